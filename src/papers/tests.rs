use std::collections::BTreeSet;

use chrono::DateTime;

use super::*;
use crate::domain::workflow::definition::LANGUAGES;

fn keys(source: &str) -> BTreeSet<&str> {
    source.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect()
}

fn text(words: &str) -> Bilingual {
    Bilingual { official: words.to_owned(), own: words.to_owned() }
}

fn permit() -> PermitPaper {
    let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
    PermitPaper {
        language: "en".to_owned(),
        title: text("Патент"),
        number: "77 0000000016".to_owned(),
        blank: Some("B77-0000000024".to_owned()),
        photo: None,
        name: "Каримов Рустам".to_owned(),
        latin_name: "KARIMOV RUSTAM".to_owned(),
        latin_of_passport: true,
        birth_date: day(1),
        citizenship: "UZB".to_owned(),
        passport: "FA1234567".to_owned(),
        profession: None,
        inn: Some("500100732259".to_owned()),
        employer: Some("ООО «Стройка»".to_owned()),
        territory: "77".to_owned(),
        unit: "Москва".to_owned(),
        issued_on: day(2),
        paid_through: None,
        ends_on: day(3),
        issued_by: "А. Петрова".to_owned(),
        reference: "7K3QF-M2XWD-9B4T".to_owned(),
        code: "signed".to_owned(),
        check_at: "https://permits.example.org".to_owned(),
        at: DateTime::from_timestamp(1_772_431_200, 0).unwrap(),
    }
}

#[test]
fn every_text_of_a_paper_exists_in_every_language() {
    assert_eq!(FILES.map(|(language, _)| language), LANGUAGES);
    for (language, source) in FILES {
        assert_eq!(keys(source), keys(FILES[0].1), "{language}");
    }
}

#[test]
fn the_same_permit_gives_the_same_bytes_and_another_gives_others() {
    let one = Printer::new().unwrap().permit(&permit()).unwrap();
    assert!(one.starts_with(b"%PDF-"));
    assert_eq!(one, Printer::new().unwrap().permit(&permit()).unwrap());
    let other = PermitPaper { at: DateTime::from_timestamp(1_772_431_201, 0).unwrap(), ..permit() };
    assert_ne!(one, Printer::new().unwrap().permit(&other).unwrap());
}

#[test]
fn letters_that_no_font_has_and_words_without_end_are_set_all_the_same() {
    let printer = Printer::new().unwrap();
    for name in ["名前", "", "\u{0}\u{1b}", &"Ж".repeat(5000), &"a b ".repeat(5000)] {
        printer.permit(&PermitPaper { name: name.to_owned(), ..permit() }).unwrap();
    }
}

#[test]
fn a_picture_that_is_none_is_not_printed_as_one() {
    let paper = PermitPaper { photo: Some(b"no picture".to_vec()), ..permit() };
    assert!(Printer::new().unwrap().permit(&paper).is_err());
    let paper = PermitPaper { code: "x".repeat(3000), ..permit() };
    assert!(Printer::new().unwrap().permit(&paper).is_err());
}
