//! Messages as applicants read them.

use chrono::NaiveDate;

use super::*;
use crate::domain::actor::Role;
use crate::domain::duty::Obligation;
use crate::domain::fee::{Money, Uin};
use crate::domain::form::{Contact, Form};
use crate::domain::identity::{CountryCode, Sex};
use crate::domain::reference::Reference;
use crate::domain::workflow::definition::{
    ClockRule, ComplaintRule, DocumentRule, FeePosition, FeeRule, MESSAGES, PermitRule, PermitTerm,
    Texts,
};

fn titles(en: &str, ru: &str) -> Texts {
    [("en", en), ("ru", ru)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at() -> DateTime<Utc> {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

fn case(language: &str) -> Case {
    let person = Person {
        family_name: "Юлдашев".to_owned(),
        given_name: "Тимур".to_owned(),
        patronymic: None,
        birth_date: day("1990-05-17"),
        sex: Sex::Male,
        citizenship: CountryCode::parse("UZB").unwrap(),
        inn: None,
    };
    let contact = Contact {
        email: EmailAddress::parse("timur@example.org").unwrap(),
        phone: None,
        language: language.to_owned(),
    };
    let definition = Definition {
        track: "patent".to_owned(),
        version: 1,
        title: titles("patent", "патент"),
        law: String::new(),
        in_force_from: day("2025-01-01"),
        in_force_to: None,
        applicants: vec![Role::Migrant],
        required_fields: Vec::new(),
        documents: vec![DocumentRule {
            id: "insurance".to_owned(),
            title: titles("insurance policy", "полис страхования"),
            required: true,
            line: 1,
        }],
        checks: Vec::new(),
        fees: vec![FeeRule {
            id: "firstTax".to_owned(),
            title: titles("first tax payment", "первый платёж по налогу"),
            rate: "tax".to_owned(),
            position: FeePosition::BeforeHandover,
            per_month: true,
            line: 1,
        }],
        complaint: ComplaintRule { how: Texts::new(), line: 1 },
        clock: ClockRule {
            extension_working_days: None,
            working_days: 10,
            stands_still_in: Vec::new(),
            basis: String::new(),
            line: 1,
        },
        permit: PermitRule {
            term: PermitTerm::Months(12),
            paid_by: None,
            duties: Vec::new(),
            line: 1,
        },
        states: Vec::new(),
        transitions: Vec::new(),
    };
    let application = Application {
        id: Uuid::nil(),
        reference: Reference::from_random([7; 8]),
        track: "patent".to_owned(),
        workflow_version: 1,
        unit: "77".to_owned(),
        applicant: Uuid::nil(),
        state: "checking".to_owned(),
        phase: Phase::Checks,
        version: 3,
        created_at: at(),
        state_since: at(),
        state_event: None,
        submitted_at: Some(at()),
        form: Form { person: Some(person), contact: Some(contact), ..Form::default() },
        documents: Vec::new(),
        clock: None,
        due_on: Some(day("2026-03-17")),
        standard_due_on: None,
        escalated_at: None,
        warned_at: None,
        reminded_at: None,
        checks: Vec::new(),
        information: Vec::new(),
        charges: Vec::new(),
        decision: None,
        proposal: None,
        permit: None,
        blanks: Vec::new(),
        after_life: Default::default(),
        hands: Vec::new(),
        claim: None,
        expedited: None,
        notes: Vec::new(),
        corrections: Vec::new(),
        duties: Vec::new(),
    };
    Case {
        application,
        definition: Arc::new(definition),
        unit_title: "Миграционный центр".to_owned(),
        time_zone: chrono_tz::Europe::Moscow,
    }
}

fn item(number: u32, kind: InformationKind, subject: &str, due: &str) -> InformationItem {
    InformationItem {
        item: number,
        kind,
        subject: subject.to_owned(),
        reason: "the officer's own words".to_owned(),
        due_on: day(due),
        answer: None,
        answered_at: None,
        closed: false,
        expired: false,
        check: None,
        document: None,
        field: None,
        amended: Vec::new(),
    }
}

fn compose(case: &Case, message: &str) -> Result<Email, NoEmail> {
    let composer = Composer::new("https://permits.example.org:8443/").unwrap();
    composer.compose(case, message, Uuid::nil(), at())
}

fn refusal() -> Decision {
    let codes = ["G03", "G11"].map(|code| GroundCode::parse(code).unwrap()).to_vec();
    Decision::Refused {
        at: at(),
        by: Uuid::nil(),
        event: None,
        grounds: Grounds::new(codes).unwrap(),
        reason: "the officer's own words".to_owned(),
    }
}

#[test]
fn acceptance_promises_the_date() {
    let email = compose(&case("en"), "accepted").unwrap();
    assert_eq!(email.to.as_str(), "timur@example.org");
    assert_eq!(
        email.message_id,
        "00000000-0000-0000-0000-000000000000.accepted@permits.example.org"
    );
    insta::assert_snapshot!(format!("{}\n\n{}", email.subject, email.body), @r"
    Application 0E1R7-0W3GE-1R7E: accepted

    Your application has been accepted.

    The office has to decide by 17 March 2026. If it asks you for something, the time until your answer is not counted.

    Application 0E1R7-0W3GE-1R7E (patent), Юлдашев Тимур
    Office: Миграционный центр
    Status at any time: https://permits.example.org:8443/v1/status/0E1R7-0W3GE-1R7E

    This message was sent by a machine; answers to it are not read.
    ");
}

#[test]
fn a_request_lists_what_is_open_and_not_what_the_officer_wrote() {
    let mut case = case("ru");
    case.application.due_on = None;
    case.application.information = vec![
        item(1, InformationKind::Document, "insurance", "2026-03-10"),
        item(2, InformationKind::Field, "passport.number", "2026-03-12"),
        item(3, InformationKind::Visit, "отпечатки\nпальцев", "2026-03-11"),
        InformationItem { closed: true, ..item(4, InformationKind::Field, "entry", "2026-04-01") },
    ];
    let email = compose(&case, "informationRequested").unwrap();
    insta::assert_snapshot!(format!("{}\n\n{}", email.subject, email.body), @r"
    Заявление 0E1R7-0W3GE-1R7E: требуется дополнение

    Для продолжения рассмотрения требуются 3 дополнения, последний срок – до 12 марта 2026 г.

    - Документ: полис страхования – до 10 марта 2026 г.
    - В заявлении: паспорт – до 12 марта 2026 г.
    - Личная явка: отпечатки пальцев – до 11 марта 2026 г.

    До этого времени течение срока рассмотрения приостановлено. Что требуется и почему, указано на странице статуса.

    Заявление 0E1R7-0W3GE-1R7E (патент), Юлдашев Тимур
    Подразделение: Миграционный центр
    Статус в любое время: https://permits.example.org:8443/v1/status/0E1R7-0W3GE-1R7E

    Это сообщение отправлено автоматически; ответы на него не читаются.
    ");
}

#[test]
fn a_grant_says_what_is_to_be_paid_and_how() {
    let mut case = case("en");
    case.application.phase = Phase::Fee;
    case.application.decision = Some(Decision::Granted { at: at(), by: Uuid::nil(), event: None });
    let free = compose(&case, "decided").unwrap();
    assert!(!free.body.contains("UIN"), "{}", free.body);
    case.application.charges = vec![Charge {
        id: Uuid::nil(),
        fee: "firstTax".to_owned(),
        uin: Uin::compose("188", 1),
        amount: Money::from_kopecks(1_000_000).unwrap(),
        rule: String::new(),
        created_at: at(),
        paid: Money::from_kopecks(12_345).unwrap(),
        status: ChargeStatus::Open,
        change: Default::default(),
        acknowledgement: Default::default(),
        requisites: None,
        outside: Money::ZERO,
        revision: None,
    }];
    let email = compose(&case, "decided").unwrap();
    insta::assert_snapshot!(format!("{}\n\n{}", email.subject, email.body), @r"
    Application 0E1R7-0W3GE-1R7E: granted

    Your application has been granted.

    One payment is needed before the permit can be handed over:

    - first tax payment: RUB 9,876.55, UIN 18800000000000000016

    Quote the UIN exactly as it stands here: the payment is recognised by it.

    Application 0E1R7-0W3GE-1R7E (patent), Юлдашев Тимур
    Office: Миграционный центр
    Status at any time: https://permits.example.org:8443/v1/status/0E1R7-0W3GE-1R7E

    This message was sent by a machine; answers to it are not read.
    ");
}

#[test]
fn a_refusal_names_codes_and_the_way_to_complain() {
    for (language, message) in [("ru", "decided"), ("en", "intakeRefused")] {
        let mut case = case(language);
        case.application.phase = Phase::Closed;
        case.application.decision = Some(refusal());
        let email = compose(&case, message).unwrap();
        assert!(email.body.contains("G03, G11"), "{}", email.body);
        assert!(!email.body.contains("own words"), "{}", email.body);
    }
}

#[test]
fn what_is_no_longer_so_is_not_sent() {
    let mut late = case("en");
    assert!(matches!(compose(&late, "informationRequested"), Err(NoEmail::Overtaken)));
    assert!(matches!(compose(&late, "decided"), Err(NoEmail::Overtaken)));
    late.application.decision = Some(Decision::Granted { at: at(), by: Uuid::nil(), event: None });
    assert!(matches!(compose(&late, "accepted"), Err(NoEmail::Overtaken)));
    let undone = compose(&late, "undone");
    assert!(matches!(undone, Err(NoEmail::Overtaken)), "it was decided anew meanwhile");
    late.application.phase = Phase::InForce;
    assert!(matches!(compose(&late, "ready"), Err(NoEmail::Overtaken)));
    late.application.form.contact = None;
    assert!(matches!(compose(&late, "ready"), Err(NoEmail::NoAddress)));
    assert!(matches!(compose(&case("en"), "hello"), Err(NoEmail::Unknown(_))));
}

/// Lets the application owe something after issue.
fn owe(application: &mut Application, status: DutyStatus) {
    application.phase = Phase::InForce;
    application.duties = vec![Obligation {
        number: 1,
        duty: "contractCopy".to_owned(),
        counts_from: day("2026-03-12"),
        due_on: day("2026-05-12"),
        status,
        since: at(),
        proof: None,
        notice: None,
        reason: Some("an officer's own words".to_owned()),
        reminders: 0,
        overdue_at: None,
    }];
}

#[test]
fn what_is_owed_after_issue_is_told_with_its_last_day_and_only_while_it_is_owed() {
    let mut case = case("en");
    assert!(matches!(compose(&case, "dutyReminder"), Err(NoEmail::Overtaken)));
    owe(&mut case.application, DutyStatus::Open);
    let email = compose(&case, "dutyReminder").unwrap();
    assert!(email.body.contains("by 12 May 2026"), "{}", email.body);
    assert!(matches!(compose(&case, "dutyOverdue"), Err(NoEmail::Overtaken)));
    owe(&mut case.application, DutyStatus::Reported);
    for message in ["dutyReminder", "dutyOverdue", "dutyProofRejected"] {
        assert!(matches!(compose(&case, message), Err(NoEmail::Overtaken)), "{message}");
    }
    owe(&mut case.application, DutyStatus::Overdue);
    assert!(compose(&case, "dutyOverdue").unwrap().body.contains("Nothing follows by itself"));
    case.application.phase = Phase::Closed;
    assert!(matches!(compose(&case, "dutyOverdue"), Err(NoEmail::Overtaken)));
}

#[test]
fn every_message_is_written_in_every_language_without_what_mail_must_not_hold() {
    for language in crate::domain::workflow::definition::LANGUAGES {
        for message in MESSAGES {
            let mut case = case(language);
            let application = &mut case.application;
            match message {
                "ready" | "reminder" => application.phase = Phase::Issuance,
                "decided" | "intakeRefused" => application.decision = Some(refusal()),
                "informationRequested" => {
                    application.information =
                        vec![item(1, InformationKind::Visit, "office", "2026-03-10")];
                }
                "dutyReminder" | "dutyProofRejected" => owe(application, DutyStatus::Open),
                "dutyOverdue" => owe(application, DutyStatus::Overdue),
                _ => {}
            }
            let email = compose(&case, message).unwrap();
            assert_eq!(email.language, language);
            let reference = case.application.reference.to_string();
            assert!(email.subject.contains(&reference));
            let link = format!("https://permits.example.org:8443/v1/status/{reference}\n");
            assert!(email.body.contains(&link), "{}", email.body);
            for secret in ["1990", "UZB", "officer's own words"] {
                assert!(!email.body.contains(secret), "{secret} in {}", email.body);
            }
        }
    }
}

#[test]
fn a_decision_that_was_withdrawn_and_made_anew_is_told_once() {
    let mut case = case("en");
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    case.application.decision =
        Some(Decision::Granted { at: at(), by: Uuid::nil(), event: Some(second) });
    case.application.phase = Phase::Fee;
    let composer = Composer::new("https://permits.example.org").unwrap();
    let told = |event| composer.compose(&case, "decided", event, at());
    assert!(matches!(told(first), Err(NoEmail::Overtaken)));
    assert!(told(second).unwrap().subject.ends_with("granted"));
}

#[test]
fn what_was_put_right_says_what_counts_now() {
    let mut case = case("en");
    for (message, wanted) in [
        ("undone", "does not count any more"),
        ("reopened", "opened again"),
        ("courtOrdered", "be decided anew"),
        ("corrected", "the decision stays as it is"),
    ] {
        let body = compose(&case, message).unwrap().body;
        assert!(body.contains(wanted), "{body}");
        assert_eq!(body.contains("decide by 17 March 2026"), message != "corrected", "{body}");
    }
    case.application.phase = Phase::InForce;
    case.application.decision = Some(Decision::Granted { at: at(), by: Uuid::nil(), event: None });
    let email = compose(&case, "courtOrdered").unwrap();
    assert!(email.subject.ends_with("in force again"), "{}", email.subject);
}
