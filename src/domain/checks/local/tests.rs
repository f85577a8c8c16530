use super::*;
use crate::domain::form::{Entry, Passport};
use crate::domain::identity::CountryCode;
use crate::domain::rules::Rulebook;
use crate::domain::workflow::embedded::FILES;

/// The specimen of ICAO 9303; what its holder would state is [`eriksson`].
const LINE1: &str = "P<UZBERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<";
/// With the nationality of a country that there is; no digit covers it.
const LINE2: &str = "L898902C36UZB7408122F1204159ZE184226B<<<<<10";

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn rules() -> Rulebook {
    let files: Vec<(String, String)> =
        FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Rulebook::parse(&files).unwrap()
}

fn person(family: &str, given: &str, born: NaiveDate, citizenship: &str) -> Person {
    Person {
        family_name: family.into(),
        given_name: given.into(),
        patronymic: None,
        birth_date: born,
        sex: Sex::Female,
        citizenship: CountryCode::parse(citizenship).unwrap(),
        inn: None,
    }
}

fn stated(person: Person, number: &str) -> Form {
    Form {
        person: Some(person),
        passport: Some(Passport {
            number: PassportNumber::parse(number).unwrap(),
            issued_on: day(2002, 4, 15),
            expires_on: day(2012, 4, 15),
            mrz: None,
        }),
        ..Form::default()
    }
}

fn eriksson(name: &str, given: &str) -> Form {
    let mut form = stated(person(name, given, day(1974, 8, 12), "UZB"), "L898902C3");
    form.passport.as_mut().unwrap().mrz = Some([LINE1.into(), LINE2.into()]);
    form
}

/// Answers a check of the patent about a form, on a day on which it was handed in, too.
fn answer(check: LocalCheck, form: &Form, today: NaiveDate, twins: &[Twin]) -> Found {
    let rules = rules();
    let definition = rules.definitions.iter().find(|one| one.track == "patent").unwrap();
    find(
        check,
        &Scene { form, handed_in_on: today, today, definition, grounds: &rules.grounds, twins },
    )
}

fn twin(number: u64, person: Person, passport: &str) -> Twin {
    Twin {
        reference: Reference::from_random(number.to_be_bytes()),
        track: "patent".into(),
        person,
        passport: PassportNumber::parse(passport).unwrap(),
        annulled: None,
    }
}

#[test]
fn lines_that_agree_with_the_form_are_clear_in_either_script() {
    for (family, given) in [("Эрикссон", "Анна"), ("ERIKSSON", "Anna Maria"), ("Ериксон", "Анна")]
    {
        let found = answer(LocalCheck::Mrz, &eriksson(family, given), day(2010, 6, 1), &[]);
        assert_eq!(found, Found::CLEAR, "{family} {given}");
    }
}

#[test]
fn each_field_that_the_lines_contradict_is_named() {
    type Change = fn(&mut Form);
    let changes: [(&str, Change); 6] = [
        ("passportNumber", |form| {
            form.passport.as_mut().unwrap().number = PassportNumber::parse("L898902C4").unwrap();
        }),
        ("expiresOn", |form| form.passport.as_mut().unwrap().expires_on = day(2012, 4, 16)),
        ("birthDate", |form| form.person.as_mut().unwrap().birth_date = day(1974, 8, 13)),
        ("sex", |form| form.person.as_mut().unwrap().sex = Sex::Male),
        ("citizenship", |form| {
            form.person.as_mut().unwrap().citizenship = CountryCode::parse("TJK").unwrap();
        }),
        ("name", |form| form.person.as_mut().unwrap().family_name = "Каримова".into()),
    ];
    let mut all = eriksson("Эрикссон", "Анна");
    for (field, change) in changes {
        let mut form = eriksson("Эрикссон", "Анна");
        change(&mut form);
        let found = answer(LocalCheck::Mrz, &form, day(2010, 6, 1), &[]);
        assert_eq!((found.outcome, found.reason), (Outcome::Hit, Some(field)));
        assert!(found.note.unwrap().contains(field));
        change(&mut all);
    }
    let found = answer(LocalCheck::Mrz, &all, day(2010, 6, 1), &[]);
    assert_eq!(found.reason, Some("passportNumber"));
    for (field, _) in changes {
        assert!(found.note.as_ref().unwrap().contains(field), "{field}");
    }
}

#[test]
fn lines_that_contradict_themselves_are_a_hit_and_missing_ones_are_none() {
    let mut form = eriksson("Эрикссон", "Анна");
    form.passport.as_mut().unwrap().mrz.as_mut().unwrap()[1].replace_range(9..10, "7");
    let found = answer(LocalCheck::Mrz, &form, day(2010, 6, 1), &[]);
    assert_eq!((found.outcome, found.reason), (Outcome::Hit, Some("unreadable")));
    form.passport.as_mut().unwrap().mrz = None;
    let found = answer(LocalCheck::Mrz, &form, day(2010, 6, 1), &[]);
    assert_eq!((found.outcome, found.reason), (Outcome::NoData, None));
}

#[test]
fn a_name_that_the_line_cuts_is_compared_as_far_as_it_goes() {
    let long = "P<UZBABDURAKHMONOVAKHMEDZHANOV<<MUHAMMADZHON";
    assert_eq!(long.len(), 44);
    let mut form = eriksson("Абдурахмонов-Ахмеджанов", "Мухаммаджонбек");
    form.passport.as_mut().unwrap().mrz.as_mut().unwrap()[0] = long.into();
    assert_eq!(answer(LocalCheck::Mrz, &form, day(2010, 6, 1), &[]), Found::CLEAR);
}

#[test]
fn the_worker_is_of_age_on_the_birthday() {
    let young = stated(person("Каримова", "Лола", day(2008, 3, 10), "UZB"), "FA1");
    let found = answer(LocalCheck::Age, &young, day(2026, 3, 9), &[]);
    assert_eq!((found.outcome, found.reason), (Outcome::Hit, Some("underAge")));
    assert_eq!(answer(LocalCheck::Age, &young, day(2026, 3, 10), &[]), Found::CLEAR);
    assert_eq!(
        answer(LocalCheck::Age, &Form::default(), day(2026, 3, 10), &[]).outcome,
        Outcome::NoData
    );
}

#[test]
fn the_thirtieth_day_after_entry_is_in_time_and_a_paid_fine_excuses_the_next() {
    let mut form = stated(person("Каримова", "Лола", day(1990, 3, 10), "UZB"), "FA1");
    form.entry = Some(Entry {
        entered_on: day(2026, 3, 1),
        migration_card: "4526 1234567".into(),
        fine_receipt: None,
    });
    let asked = |form: &Form, on| answer(LocalCheck::EntryWindow, form, on, &[]);
    assert_eq!(asked(&form, day(2026, 3, 31)), Found::CLEAR);
    let late = asked(&form, day(2026, 4, 1));
    assert_eq!((late.outcome, late.reason), (Outcome::Hit, Some("late")));
    form.entry.as_mut().unwrap().fine_receipt = Some("18810".into());
    assert_eq!(asked(&form, day(2026, 4, 1)), Found::CLEAR);
    assert_eq!(asked(&Form::default(), day(2026, 4, 1)).outcome, Outcome::NoData);
}

#[test]
fn one_person_under_two_passports_is_found_across_scripts_and_slips_of_the_pen() {
    let born = day(1990, 5, 17);
    let form = stated(person("Юсупова", "Дилноза", born, "UZB"), "FA1111111");
    for (family, given) in [
        ("Юсупова", "Дилноза"),
        ("YUSUPOVA", "DILNOZA"),
        ("Iusupova", "Dilnoza"),
        ("Юсупава", "Дилназа"),
        ("Дилноза", "Юсупова"),
    ] {
        let twins = [twin(7, person(family, given, born, "UZB"), "FA2222222")];
        let found = answer(LocalCheck::DuplicatePerson, &form, day(2026, 3, 10), &twins);
        assert_eq!((found.outcome, found.reason), (Outcome::Hit, Some("samePerson")), "{family}");
        let note = found.note.unwrap();
        assert!(note.contains(twins[0].reference.as_str()), "{note}");
        assert!(!note.contains(family) && !note.contains("FA2222222"), "{note}");
    }
}

#[test]
fn others_born_on_the_same_day_are_not_taken_for_the_person() {
    let born = day(1990, 5, 17);
    let form = stated(person("Юсупова", "Лола", born, "UZB"), "FA1111111");
    let twins = [
        twin(1, person("Каримова", "Лола", born, "UZB"), "FA2222222"),
        twin(2, person("Юсупова", "Нигора", born, "UZB"), "FA3333333"),
        twin(3, person("Юсупова", "Лола", day(1990, 5, 18), "UZB"), "FA4444444"),
        // His own earlier application.
        twin(4, person("Юсупова", "Лола", born, "UZB"), "FA1111111"),
    ];
    let found = answer(LocalCheck::DuplicatePerson, &form, day(2026, 3, 10), &twins);
    assert_eq!(found, Found::CLEAR);
}

#[test]
fn one_passport_number_of_two_people_is_found() {
    let born = day(1990, 5, 17);
    let form = stated(person("Юсупова", "Лола", born, "UZB"), "FA1111111");
    for stranger in [
        person("Юсупова", "Лола", born, "TJK"),
        person("Каримова", "Лола", born, "UZB"),
        person("Юсупова", "Лола", day(1991, 5, 17), "UZB"),
    ] {
        let twins = [
            twin(7, stranger, "FA1111111"),
            twin(8, person("Yusupova", "Lola", born, "UZB"), "FA2222222"),
        ];
        let found = answer(LocalCheck::DuplicatePerson, &form, day(2026, 3, 10), &twins);
        assert_eq!(found.reason, Some("samePassport"));
        let note = found.note.unwrap();
        assert!(twins.iter().all(|twin| note.contains(twin.reference.as_str())), "{note}");
    }
}

#[test]
fn a_long_list_of_doubles_is_cut_and_says_so() {
    let born = day(1990, 5, 17);
    let form = stated(person("Юсупова", "Лола", born, "UZB"), "FA1111111");
    let twins: Vec<Twin> = (1..=13)
        .map(|number| twin(number, person("Юсупова", "Лола", born, "UZB"), "FA2222222"))
        .collect();
    let note = answer(LocalCheck::DuplicatePerson, &form, day(2026, 3, 10), &twins).note.unwrap();
    assert!(note.ends_with("and 3 more."), "{note}");
}

#[test]
fn an_annulment_bars_a_new_permit_for_as_long_as_its_ground_says() {
    let born = day(1990, 5, 17);
    let form = stated(person("Юсупова", "Лола", born, "UZB"), "FA1111111");
    let annulled = |passport: &str, ground: &str, track: &str| {
        let mut twin = twin(7, person("Yusupova", "Lola", born, "UZB"), passport);
        let grounds = vec![GroundCode::parse(ground).unwrap()];
        twin.annulled = Some(Annulled { on: day(2026, 3, 10), grounds });
        twin.track = track.into();
        [twin]
    };
    let asked = |twins: &[Twin], on| answer(LocalCheck::PermitBan, &form, on, twins);
    let own = annulled("FA1111111", "G15", "patent");
    let barred = asked(&own, day(2027, 3, 9));
    assert_eq!((barred.outcome, barred.reason), (Outcome::Hit, Some("annulled")));
    assert!(barred.note.unwrap().contains("2027-03-10"));
    assert_eq!(asked(&own, day(2027, 3, 10)), Found::CLEAR);
    let other = annulled("FA2222222", "G15", "patent");
    assert_eq!(asked(&other, day(2027, 3, 9)).reason, Some("annulledUnderOtherPassport"));
    // Another's annulment, a ground that bars nothing, a permit of another kind.
    let mut stranger = other.clone();
    stranger[0].person.family_name = "Каримова".into();
    for twins in [
        stranger,
        annulled("FA1111111", "G90", "patent"),
        annulled("FA1111111", "G15", "highly-qualified-specialist"),
    ] {
        assert_eq!(asked(&twins, day(2026, 4, 1)), Found::CLEAR);
    }
}
