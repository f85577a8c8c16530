//! What a paper costs: `cargo bench --bench papers`. Prints the size of a permit and of a letter, and the time of each.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate};
use propusk::documents::{MediaType, print_copy};
use propusk::papers::{Bilingual, DecisionLetter, Outcome, PermitPaper, Printer};

/// How often each step is timed.
const ROUNDS: usize = 31;

fn main() {
    let portrait = include_bytes!("../src/demo/seed/portrait.png");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let copy = || runtime.block_on(print_copy(portrait.as_slice(), MediaType::Png)).unwrap();
    let printer = Printer::new().unwrap();
    let (permit, letter) = (permit(copy()), letter());
    println!("| what | |\n|---|---|");
    row("a permit", format!("{} bytes", printer.permit(&permit).unwrap().len()));
    row("a letter", format!("{} bytes", printer.letter(&letter).unwrap().len()));
    row("make the photograph small", median(|| drop(black_box(copy()))));
    row("print a permit", median(|| drop(black_box(printer.permit(&permit).unwrap()))));
    row("print a letter", median(|| drop(black_box(printer.letter(&letter).unwrap()))));
}

fn median(mut run: impl FnMut()) -> String {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort();
    format!("{:.2} ms", times[ROUNDS / 2].as_secs_f64() * 1000.0)
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

fn text(official: &str, own: &str) -> Bilingual {
    Bilingual { official: official.to_owned(), own: own.to_owned() }
}

fn permit(photo: Vec<u8>) -> PermitPaper {
    let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
    PermitPaper {
        language: "en".to_owned(),
        title: text("Патент на работу", "Patent for work"),
        number: "77 0000000016".to_owned(),
        blank: Some("B77-0000000024".to_owned()),
        photo: Some(photo),
        name: "Каримов Рустам Алишерович".to_owned(),
        latin_name: "KARIMOV RUSTAM ALISHEROVICH".to_owned(),
        latin_of_passport: false,
        birth_date: day(17),
        citizenship: "UZB".to_owned(),
        passport: "FA1234567".to_owned(),
        profession: Some("Каменщик (7112)".to_owned()),
        inn: None,
        employer: None,
        territory: "77".to_owned(),
        unit: "Москва".to_owned(),
        issued_on: day(2),
        paid_through: Some(day(30)),
        ends_on: day(31),
        issued_by: "Анна Петрова".to_owned(),
        reference: "7K3QF-M2XWD-9B4T".to_owned(),
        // As long as a signed statement.
        code: "eyJhbGciOiJFZERTQSIsImtpZCI6IjEi.".repeat(15),
        check_at: "https://permits.example.org/v1/permits/77-0000000016".to_owned(),
        at: DateTime::from_timestamp(1_772_431_200, 0).unwrap(),
    }
}

fn letter() -> DecisionLetter {
    let ground = text(
        "Представлены подложные документы или сообщены ложные сведения",
        "Forged documents or false statements were handed in",
    );
    DecisionLetter {
        language: "en".to_owned(),
        outcome: Outcome::Refused,
        unit: "Москва".to_owned(),
        reference: "7K3QF-M2XWD-9B4T".to_owned(),
        number: 12,
        on: NaiveDate::from_ymd_opt(2026, 3, 2).unwrap(),
        name: "Каримов Рустам Алишерович".to_owned(),
        title: text("Патент на работу", "Patent for work"),
        permit: None,
        basis: "115-FZ Art. 13.3".to_owned(),
        grounds: vec![("G04".to_owned(), ground)],
        reason: Some("Справка выдана организацией, которой нет в реестре. ".repeat(20)),
        next: Some(text("Можно подать новое заявление.", "You can apply again.")),
        look_at: "https://permits.example.org/v1/status/7K3QF-M2XWD-9B4T".to_owned(),
        decided_by: "Анна Петрова".to_owned(),
        at: DateTime::from_timestamp(1_772_431_200, 0).unwrap(),
    }
}
