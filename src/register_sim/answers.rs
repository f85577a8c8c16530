//! What the simulated registers answer: clear, unless the data asked about say otherwise.

use serde_json::Value;

use super::Play;
use crate::registers::protocol::{AnswerMessage, AnswerOutcome, Question};

/// How a number ends, the register that answers other than clear on it, what, and for which reason.
///
/// The number is the passport's; of `companies` the employer's INN (7700000111, 7700000150, 7700000182), of `payments` the
/// UIN. `*` is every register of persons.
pub const RULES: [(&str, &str, AnswerOutcome, Option<&str>); 29] = [
    ("910", "borderCrossings", AnswerOutcome::NoData, None),
    ("911", "borderCrossings", AnswerOutcome::Hit, Some("noEntry")),
    ("912", "borderCrossings", AnswerOutcome::Hit, Some("purposeNotWork")),
    ("913", "borderCrossings", AnswerOutcome::Hit, Some("over30Days")),
    ("914", "borderCrossings", AnswerOutcome::Hit, Some("cardMismatch")),
    ("921", "controlledPersons", AnswerOutcome::Hit, Some("entryBan")),
    ("922", "controlledPersons", AnswerOutcome::Hit, Some("deported")),
    ("923", "controlledPersons", AnswerOutcome::Hit, Some("controlledPersons")),
    ("931", "criminalRecords", AnswerOutcome::Hit, Some("wanted")),
    ("932", "criminalRecords", AnswerOutcome::Hit, Some("convicted")),
    ("933", "criminalRecords", AnswerOutcome::Hit, Some("unspentConviction")),
    ("934", "criminalRecords", AnswerOutcome::Hit, Some("repeatedOffences")),
    ("935", "criminalRecords", AnswerOutcome::Hit, Some("namesake")),
    ("940", "medicalCertificates", AnswerOutcome::NoData, Some("notFound")),
    ("941", "medicalCertificates", AnswerOutcome::Hit, Some("notGenuine")),
    ("942", "medicalCertificates", AnswerOutcome::Hit, Some("illness")),
    ("943", "medicalCertificates", AnswerOutcome::Hit, Some("expired")),
    ("950", "educationDocuments", AnswerOutcome::NoData, Some("notFound")),
    ("952", "educationDocuments", AnswerOutcome::Hit, Some("expired")),
    ("953", "educationDocuments", AnswerOutcome::Hit, Some("forged")),
    ("960", "taxNumbers", AnswerOutcome::NoData, Some("notFound")),
    ("962", "taxNumbers", AnswerOutcome::Hit, Some("otherPerson")),
    ("963", "taxNumbers", AnswerOutcome::Hit, Some("taxUnpaid")),
    ("111", "companies", AnswerOutcome::Hit, Some("struckOff")),
    ("150", "companies", AnswerOutcome::NoData, Some("notFound")),
    ("182", "companies", AnswerOutcome::Hit, Some("barred")),
    ("0", "payments", AnswerOutcome::NoData, None),
    ("990", "*", AnswerOutcome::NoData, None),
    ("999", "*", AnswerOutcome::Hit, Some("simulated")),
];

/// Gives the rules as a table for people.
#[must_use]
pub fn table() -> String {
    let mut text = String::new();
    for (ends, register, outcome, reason) in RULES {
        let outcome = match outcome {
            AnswerOutcome::Clear => "clear",
            AnswerOutcome::Hit => "hit",
            AnswerOutcome::NoData => "noData",
        };
        let reason = reason.unwrap_or_default();
        text.push_str(format!("  …{ends:<4} {register:<20} {outcome:<7} {reason}").trim_end());
        text.push('\n');
    }
    text
}

/// Answers a question.
pub(super) fn answer(register: &str, question: &Question, play: &Play) -> AnswerMessage {
    let (outcome, reason) = rule(register, question);
    let (outcome, reason) = match play.outcome {
        Some(outcome) => (outcome, play.reason.clone()),
        None => (outcome, reason.map(str::to_owned)),
    };
    AnswerMessage { request_id: question.request_id, outcome, reason, note: None }
}

fn rule(register: &str, question: &Question) -> (AnswerOutcome, Option<&'static str>) {
    let stated = |section: &str, field: &str| {
        question.subject.get(section).and_then(|part| part.get(field)).and_then(Value::as_str)
    };
    let number = match register {
        "companies" => stated("employer", "inn"),
        "payments" => stated("charge", "uin"),
        _ => stated("passport", "number"),
    };
    let Some(number) = number else { return (AnswerOutcome::Clear, None) };
    let of_persons = !["companies", "payments"].contains(&register);
    let found = RULES.into_iter().find(|(ends, of, ..)| {
        number.ends_with(ends) && (*of == register || (*of == "*" && of_persons))
    });
    found.map_or((AnswerOutcome::Clear, None), |(_, _, outcome, reason)| (outcome, reason))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use serde_json::json;
    use uuid::Uuid;

    use super::super::REGISTERS;
    use super::*;

    #[test]
    fn the_same_data_have_the_same_answer_and_the_table_is_told() {
        let ask = |register: &str, subject: Value| {
            let question = Question {
                request_id: Uuid::nil(),
                register: register.to_owned(),
                check: "entry".to_owned(),
                question: String::new(),
                subject: subject.as_object().unwrap().clone(),
                asked_at: DateTime::UNIX_EPOCH,
                answer_by: DateTime::UNIX_EPOCH,
                callback_url: String::new(),
            };
            let AnswerMessage { outcome, reason, .. } =
                answer(register, &question, &Play::default());
            (outcome, reason)
        };
        let passport = |number: &str| json!({ "passport": { "number": number } });
        let hit = (AnswerOutcome::Hit, Some("noEntry".to_owned()));
        assert_eq!(ask("borderCrossings", passport("FA1234911")), hit);
        assert_eq!(ask("criminalRecords", passport("FA1234911")).0, AnswerOutcome::Clear);
        assert_eq!(ask("taxNumbers", passport("FA1234990")).0, AnswerOutcome::NoData);
        let firm = json!({ "employer": { "inn": "7700000182" } });
        assert_eq!(ask("companies", firm).1.as_deref(), Some("barred"));
        assert_eq!(ask("companies", passport("FA1234990")).0, AnswerOutcome::Clear);
        let unpaid = json!({ "charge": { "uin": "18810000000000000010" } });
        assert_eq!(ask("payments", unpaid).0, AnswerOutcome::NoData);

        let known: BTreeSet<&str> = REGISTERS.into_iter().chain(["*"]).collect();
        let told = include_str!("../../openapi/registers.md");
        for (ends, register, _, reason) in RULES {
            assert!(known.contains(register), "{register}");
            let row =
                told.lines().find(|line| line.starts_with(&format!("| …{ends} | `{register}`")));
            let row =
                row.unwrap_or_else(|| panic!("openapi/registers.md lacks …{ends} {register}"));
            assert!(reason.is_none_or(|reason| row.contains(&format!("`{reason}`"))), "{row}");
        }
    }
}
