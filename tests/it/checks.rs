//! Checks: what an answer means, who may give it, what is asked of registers, and what the service finds itself.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures_util::future::join_all;
use propusk::casework::{Answered, RegisterAnswer};
use propusk::domain::actor::{Actor, Role};
use propusk::domain::checks::{Check, Outcome, supported_grounds};
use propusk::domain::event::{Change, Job};
use propusk::domain::form::Form;
use propusk::domain::identity::CountryCode;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::CommandName;
use propusk::domain::workflow::engine::{ALREADY_ANSWERED, ANSWER_STANDS, Rejection, Step};
use propusk::error::ErrorCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{MIGRANT, OFFICER, OTHER_OFFICER, SENIOR, TestApp};
use crate::support::cases::{Bench, Case, REGISTER, grounds, hit_for, user};
use crate::support::office::{Office, finding, id_of, render};

fn check<'a>(checks: &'a [Check], id: &str) -> &'a Check {
    checks.iter().find(|check| check.id == id).unwrap()
}

/// An answer of the register that the check `entryBan` asks.
fn answered(outcome: Outcome, reason: Option<&str>, digest: u8) -> Command {
    Command::RecordFinding {
        check: "entryBan".into(),
        outcome,
        reason: reason.map(str::to_owned),
        note: None,
        digest: Some(format!("{digest:02x}").repeat(32)),
    }
}

fn register() -> Actor {
    Actor::Register { name: REGISTER.into() }
}

fn blocked_by(answer: Result<Step, Rejection>) -> &'static str {
    match answer {
        Err(Rejection::Blocked(blocked)) => blocked[0].guard,
        other => panic!("not blocked: {other:?}"),
    }
}

fn misfit(answer: Result<Step, Rejection>) -> (String, &'static str, String) {
    match answer {
        Err(Rejection::Misfits(misfits)) => {
            (misfits[0].pointer.clone(), misfits[0].code, misfits[0].detail.clone())
        }
        other => panic!("it fits: {other:?}"),
    }
}

fn checking(bench: &Bench) -> Case<'_> {
    let patent = bench.rules.definitions.iter().find(|one| one.track == "patent").unwrap();
    bench.in_state(patent, Role::Migrant, "checking")
}

// ── What an answer means ─────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn the_reason_says_whether_to_refuse_or_to_ask_and_on_which_grounds() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let record = async |check: &str, outcome: &str, reason: Option<&str>| {
        let mut body = json!({ "command": "recordFinding", "check": check, "outcome": outcome });
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        app.command(OFFICER, &case.id, body).await.expect(200).json()
    };
    let shown = |page: &Value, id: &str| {
        let checks = page["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|one| one["id"] == id).unwrap()
    };
    let codes = |page: &Value| {
        let codes = page["supportedGrounds"].as_array().cloned().unwrap_or_default();
        codes.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // One check, one outcome, two reasons.
    let page = record("medical", "hit", Some("expired")).await;
    let medical = shown(&page, "medical");
    assert_eq!((&medical["reason"], &medical["consequence"]), (&json!("expired"), &json!("ask")));
    assert_eq!(medical["reasonTitle"], "The certificates have expired");
    assert_eq!((&medical["clear"], &medical["round"]), (&json!(false), &json!(1)));
    assert_eq!(codes(&page), Vec::<String>::new());
    let page = record("medical", "hit", Some("illness")).await;
    assert_eq!(shown(&page, "medical")["consequence"], "refuse");
    assert_eq!(codes(&page), ["G10"]);
    // Without a reason the outcome says it.
    assert_eq!(shown(&record("language", "noData", None).await, "language")["consequence"], "ask");
    let page = record("entryBan", "hit", Some("deported")).await;
    assert_eq!(codes(&page), ["G03", "G10"]);
    assert_eq!(
        page["supportedGrounds"][0]["wording"].as_str().unwrap().get(..10),
        Some("The person")
    );
    // What is set aside supports nothing any more; the answer still says what it meant.
    let aside = json!({ "command": "overrideFinding", "check": "entryBan", "reason": "Namesake." });
    let page = app.command(SENIOR, &case.id, aside).await.expect(200).json();
    assert_eq!(codes(&page), ["G10"]);
    let ban = shown(&page, "entryBan");
    assert_eq!((&ban["clear"], &ban["consequence"]), (&json!(true), &json!("refuse")));

    // The applicant sees the answers, and none of the office's reasons.
    let mine = app.get(&case.path("")).by(MIGRANT).send().await.expect(200);
    assert_eq!(shown(&mine.json(), "medical")["outcome"], "hit");
    for secret in ["\"illness\"", "deported", "reasonTitle", "consequence", "supportedGrounds"] {
        assert!(!mine.text().contains(secret), "{secret}");
    }
}

#[actix_web::test]
async fn a_track_tells_the_reasons_and_what_each_register_is_sent() {
    let app = TestApp::spawn().await;
    let track = app.get("/v1/workflows/patent").send().await.expect(200).json();
    let rule = |id: &str| {
        let checks = track["checks"].as_array().unwrap();
        checks.iter().find(|one| one["id"] == id).unwrap().clone()
    };
    let ban = rule("entryBan");
    assert_eq!(ban["source"], REGISTER);
    assert!(ban["sends"].as_array().unwrap().contains(&json!("passport.issuedOn")), "{ban}");
    assert_eq!(
        ban["reasons"][1],
        json!({ "id": "deported", "means": "refuse", "grounds": ["G03"],
            "title": "Expelled, deported or readmitted in the last years" })
    );
    let double = rule("duplicatePerson");
    assert_eq!((&double["source"], &double["sends"]), (&json!("local"), &json!([])));
}

#[test]
fn a_reason_is_one_of_the_checks_and_for_an_answer_that_blocks() {
    let bench = Bench::new();
    let case = checking(&bench);
    let anna = user(60, Role::Officer);
    let (pointer, code, detail) = misfit(case.decide(&hit_for("weather"), &anna));
    assert_eq!((pointer.as_str(), code), ("/reason", "unknown-reason"));
    assert!(detail.contains("entryBan, deported, controlledPersons"), "{detail}");
    let clear = answered(Outcome::Clear, Some("deported"), 1);
    assert_eq!(misfit(case.decide(&clear, &register())).1, "reason-without-need");
    assert!(case.decide(&hit_for("deported"), &anna).is_ok());
}

#[test]
fn an_officer_does_not_clear_what_speaks_for_refusing_unless_he_said_it() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let (anna, boris) = (user(60, Role::Officer), user(61, Role::Officer));
    let senior = user(62, Role::SeniorOfficer);
    case.give(&hit_for("deported"), &anna);
    let clear = finding("entryBan", Outcome::Clear);
    for who in [&boris, &senior] {
        assert_eq!(blocked_by(case.decide(&clear, who)), "overrideNeeded");
    }
    assert!(case.decide(&clear, &anna).is_ok(), "he may put his own answer right");
    assert!(case.decide(&hit_for("entryBan"), &boris).is_ok(), "another reason to refuse");
    // What the register said is nobody's own.
    case.give(&answered(Outcome::Hit, Some("deported"), 1), &register());
    assert_eq!(blocked_by(case.decide(&clear, &anna)), "overrideNeeded");
    // Asked again it is as good as said until somebody has answered.
    let mut asked = case.clone();
    asked.give(&again("entryBan"), &anna);
    assert_eq!(blocked_by(asked.decide(&clear, &anna)), "overrideNeeded");
    let aside = Command::OverrideFinding { check: "entryBan".into(), reason: "a namesake".into() };
    assert!(matches!(case.decide(&aside, &boris), Err(Rejection::Forbidden { .. })));
    case.give(&aside, &senior);
    assert!(case.decide(&clear, &boris).is_ok());
    // An answer that means to ask can be replaced by whoever has the better one.
    let mut language = checking(&bench);
    language.give(&finding("language", Outcome::NoData), &anna);
    assert!(language.decide(&finding("language", Outcome::Clear), &boris).is_ok());
}

#[test]
fn asking_again_clears_nothing_that_speaks_for_refusing_until_its_source_or_a_senior_officer_answers()
 {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let (anna, boris) = (user(60, Role::Officer), user(61, Role::Officer));
    let senior = user(62, Role::SeniorOfficer);
    case.give(&answered(Outcome::Hit, Some("deported"), 1), &register());
    case.give(&again("entryBan"), &anna);
    case.give(&again("entryBan"), &boris);
    let clear = finding("entryBan", Outcome::Clear);
    // That there is no data clears this check as well.
    for answer in [&clear, &finding("entryBan", Outcome::NoData)] {
        for who in [&anna, &boris] {
            assert_eq!(blocked_by(case.decide(answer, who)), "overrideNeeded");
        }
    }
    assert!(case.decide(&clear, &senior).is_ok(), "a senior officer knows what he does");
    // That it did not answer is no answer; and who says the same does not make it his own.
    case.give(&answered(Outcome::TimedOut, None, 2), &register());
    assert_eq!(blocked_by(case.decide(&clear, &anna)), "overrideNeeded");
    let mut said = case.clone();
    said.give(&hit_for("deported"), &anna);
    assert_eq!(blocked_by(said.decide(&clear, &anna)), "overrideNeeded");
    let aside = Command::OverrideFinding { check: "entryBan".into(), reason: "a namesake".into() };
    said.give(&aside, &senior);
    assert!(said.decide(&clear, &boris).is_ok());
    let step = case.decide(&answered(Outcome::Clear, None, 3), &register()).unwrap();
    assert!(!step.open_checks.contains(&"entryBan".to_owned()), "{:?}", step.open_checks);
    case.take(step);
    assert!(case.decide(&clear, &anna).is_ok(), "the register has answered");
}

#[test]
fn an_officer_asks_again_what_he_said_himself_and_nobody_else_clears_it() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let (anna, boris) = (user(60, Role::Officer), user(61, Role::Officer));
    let forged = finding("passport", Outcome::Hit);
    let clear = finding("passport", Outcome::Clear);
    case.give(&forged, &anna);
    let mut own = case.clone();
    own.give(&again("passport"), &anna);
    assert!(own.decide(&clear, &boris).is_ok(), "she took it back");
    case.give(&again("passport"), &boris);
    assert_eq!(blocked_by(case.decide(&clear, &boris)), "overrideNeeded");
    assert!(case.decide(&clear, &anna).is_ok());
    // What the applicant was only to be asked about is held against nobody.
    case.give(&finding("language", Outcome::NoData), &anna);
    case.give(&again("language"), &boris);
    assert!(case.decide(&finding("language", Outcome::Clear), &boris).is_ok());
}

#[tokio::test]
async fn a_registers_hit_that_was_asked_again_is_kept_in_row_and_events() {
    let office = Office::open().await;
    let id = accepted(&office, "FA1234567").await;
    let door = &office.casework;
    let hit = RegisterAnswer { reason: Some("deported".into()), ..ban(Outcome::Hit, 1) };
    assert_eq!(door.answer_register(id, &hit).await.unwrap(), Answered::Taken);
    office.give(&office.anna, id, again("entryBan")).await.unwrap();
    let clear = finding("entryBan", Outcome::Clear);
    let refused = office.give(&office.boris, id, clear.clone()).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RuleRefused);
    office.agreed(id).await;
    let now = office.now(id).await.application;
    let held = check(&now.checks, "entryBan").before.clone().unwrap();
    assert_eq!((held.outcome, held.reason.as_deref()), (Outcome::Hit, Some("deported")));
    assert_eq!(door.answer_register(id, &ban(Outcome::Clear, 2)).await.unwrap(), Answered::Taken);
    office.give(&office.boris, id, clear).await.unwrap();
    assert_eq!(check(&office.now(id).await.application.checks, "entryBan").before, None);
    office.agreed(id).await;
}

#[test]
fn grounds_are_listed_once_in_the_order_of_the_definition() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let anna = user(60, Role::Officer);
    for (check, reason) in
        [("medical", "notGenuine"), ("entryBan", "deported"), ("passport", "forged")]
    {
        let command = Command::RecordFinding {
            check: check.into(),
            outcome: Outcome::Hit,
            reason: Some(reason.into()),
            note: None,
            digest: None,
        };
        case.give(&command, &anna);
    }
    let supported = supported_grounds(case.definition, &case.application.checks);
    assert_eq!(
        supported.iter().map(propusk::domain::ground::GroundCode::as_str).collect::<Vec<_>>(),
        ["G04", "G03"]
    );
}

#[actix_web::test]
async fn nobody_is_granted_a_permit_without_the_opinion_of_the_security_service() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    let record = async |outcome: &str, reason: Option<&str>| {
        let mut body =
            json!({ "command": "recordFinding", "check": "security", "outcome": outcome });
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        let page = app.command(OFFICER, &case.id, body).await.expect(200).json();
        let checks = page["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|one| one["id"] == "security").unwrap()
    };
    let grant = json!({ "command": "grant" });
    // Silence is none.
    for silent in ["noData", "timedOut", "error"] {
        assert_eq!(record(silent, None).await["consequence"], "ask", "{silent}");
        let refused = app.command(OTHER_OFFICER, &case.id, grant.clone()).await;
        assert_eq!(crate::support::drive::blocked_by(&refused), ["checksClear"], "{silent}");
    }
    for (reason, ground) in [("threat", "G01"), ("extremism", "G02")] {
        let found = record("hit", Some(reason)).await;
        assert_eq!(found["consequence"], "refuse", "{reason}");
        let seen = app.get(&case.path("")).by(OFFICER).send().await.expect(200).json();
        let grounds = seen["supportedGrounds"].as_array().unwrap();
        assert_eq!(grounds.iter().map(|one| &one["code"]).collect::<Vec<_>>(), [ground]);
    }
    let refused = app.command(OTHER_OFFICER, &case.id, grant).await;
    assert_eq!(crate::support::drive::blocked_by(&refused), ["checksClear"]);
    let refuse = json!({ "command": "refuse", "grounds": ["G02"], "reason": "The opinion." });
    app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200);
}

// ── What registers answer ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_register_answers_its_own_checks_and_nothing_else() {
    let bench = Bench::new();
    let case = checking(&bench);
    let other = Actor::Register { name: "taxNumbers".into() };
    assert_eq!(misfit(case.decide(&answered(Outcome::Clear, None, 1), &other)).1, "not-its-check");
    for check in ["passport", "mrz"] {
        assert_eq!(misfit(case.decide(&finding(check, Outcome::Clear), &other)).1, "not-its-check");
    }
    let grant = Command::Refuse { grounds: grounds("G03"), reason: "said".into() };
    assert!(matches!(case.decide(&grant, &register()), Err(Rejection::Forbidden { .. })));
    let step = case.decide(&answered(Outcome::Clear, None, 1), &register()).unwrap();
    let found = check(&step.after.checks, "entryBan").finding.clone().unwrap();
    assert_eq!((found.answered_by, found.digest), (None, Some("01".repeat(32))));
}

#[test]
fn a_repeated_answer_is_harmless_and_a_changed_one_counts() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let clear = answered(Outcome::Clear, None, 1);
    case.give(&clear, &register());
    assert_eq!(blocked_by(case.decide(&clear, &register())), ALREADY_ANSWERED);
    // In other words it is the same answer.
    let mut reworded = answered(Outcome::Clear, None, 2);
    if let Command::RecordFinding { note, .. } = &mut reworded {
        *note = Some("Ничего нет.".into());
    }
    assert_eq!(blocked_by(case.decide(&reworded, &register())), ALREADY_ANSWERED);
    case.give(&answered(Outcome::Hit, Some("deported"), 3), &register());
    assert!(case.decide(&clear, &register()).is_ok(), "its own answer a register may take back");
}

#[test]
fn a_register_never_clears_what_an_officer_holds_against_the_applicant() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let anna = user(60, Role::Officer);
    case.give(&finding("entryBan", Outcome::Hit), &anna);
    assert_eq!(
        blocked_by(case.decide(&answered(Outcome::Clear, None, 1), &register())),
        ANSWER_STANDS
    );
    // noData does not block this check: it would clear as well.
    assert_eq!(
        blocked_by(case.decide(&answered(Outcome::NoData, None, 1), &register())),
        ANSWER_STANDS
    );
    assert!(case.decide(&answered(Outcome::Hit, Some("deported"), 1), &register()).is_ok());
}

#[test]
fn what_a_register_says_against_the_applicant_counts_over_an_officers_clear() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    case.clear_checks(&mut |_| user(60, Role::SeniorOfficer));
    let step = case.decide(&answered(Outcome::Hit, Some("deported"), 1), &register()).unwrap();
    assert_eq!(step.open_checks, ["entryBan"]);
}

#[test]
fn that_a_register_gave_no_answer_takes_the_place_of_none() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    for silent in [Outcome::TimedOut, Outcome::Error] {
        assert!(case.decide(&answered(silent, None, 1), &register()).is_ok());
    }
    case.give(&finding("entryBan", Outcome::Clear), &user(60, Role::Officer));
    for silent in [Outcome::TimedOut, Outcome::Error] {
        let answer = case.decide(&answered(silent, None, 1), &register());
        assert_eq!(blocked_by(answer), ANSWER_STANDS);
    }
}

#[test]
fn what_was_set_aside_stays_so_until_a_register_says_something_else() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    case.give(&answered(Outcome::Hit, Some("deported"), 1), &register());
    let aside = Command::OverrideFinding { check: "entryBan".into(), reason: "a namesake".into() };
    case.give(&aside, &user(62, Role::SeniorOfficer));
    let same = case.decide(&answered(Outcome::Hit, Some("deported"), 2), &register());
    assert_eq!(blocked_by(same), ALREADY_ANSWERED);
    for other in
        [answered(Outcome::Hit, Some("controlledPersons"), 2), answered(Outcome::Hit, None, 2)]
    {
        let step = case.decide(&other, &register()).unwrap();
        assert_eq!(check(&step.after.checks, "entryBan").overridden, None);
    }
}

#[test]
fn no_lease_keeps_a_register_out_and_its_answer_moves_none() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    let anna = user(60, Role::Officer);
    case.take(case.claim(&anna).unwrap());
    let claim = case.application.claim.clone();
    case.now += TimeDelta::minutes(5);
    let hands = case.application.hands.clone();
    case.give(&answered(Outcome::Clear, None, 1), &register());
    assert_eq!(case.application.claim, claim);
    assert_eq!(case.application.hands, hands, "four eyes are people's");
}

// ── Through the door ─────────────────────────────────────────────────────────────────────────────────────────

fn ban(outcome: Outcome, round: u32) -> RegisterAnswer {
    RegisterAnswer {
        register: REGISTER.into(),
        check: "entryBan".into(),
        round,
        outcome,
        reason: None,
        note: None,
        digest: Some("ab".repeat(32)),
    }
}

async fn accepted(office: &Office, passport: &str) -> Uuid {
    let id = office.submitted(&office.migrant, "patent", passport).await;
    office.give(&office.anna, id, Command::Accept).await.unwrap();
    id
}

fn again(check: &str) -> Command {
    Command::RepeatCheck { check: check.into(), reason: "a new paper".into() }
}

#[tokio::test]
async fn an_answer_is_taken_once_and_one_that_comes_too_late_changes_nothing() {
    let office = Office::open().await;
    let id = accepted(&office, "FA1234567").await;
    let door = &office.casework;
    let first = ban(Outcome::Clear, 1);
    assert_eq!(door.answer_register(id, &first).await.unwrap(), Answered::Taken);
    let version = office.now(id).await.application.version;
    assert_eq!(door.answer_register(id, &first).await.unwrap(), Answered::Known);
    assert_eq!(
        door.answer_register(id, &ban(Outcome::TimedOut, 1)).await.unwrap(),
        Answered::TooLate
    );
    let stranger = RegisterAnswer { register: "taxNumbers".into(), ..first.clone() };
    let refused = door.answer_register(id, &stranger).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RuleRefused);
    let unheard = RegisterAnswer { reason: Some("x".into()), ..ban(Outcome::Hit, 1) };
    let refused = door.answer_register(id, &unheard).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RuleRefused);
    assert_eq!(office.now(id).await.application.version, version);

    // Asked anew: the answer to the earlier question is no answer any more.
    office.give(&office.anna, id, again("entryBan")).await.unwrap();
    assert_eq!(door.answer_register(id, &ban(Outcome::Hit, 1)).await.unwrap(), Answered::TooLate);
    assert_eq!(door.answer_register(id, &ban(Outcome::Hit, 2)).await.unwrap(), Answered::Taken);
    office.give(&office.migrant, id, Command::Withdraw { reason: None }).await.unwrap();
    assert_eq!(door.answer_register(id, &ban(Outcome::Clear, 2)).await.unwrap(), Answered::TooLate);
    let nobody = door.answer_register(Uuid::nil(), &first).await.unwrap();
    assert_eq!(nobody, Answered::TooLate, "what was erased is past answering");
    let events = office.agreed(id).await;
    let roles: Vec<&str> = events
        .iter()
        .filter(|event| event.act.event() == "findingRecorded")
        .map(|event| event.actor.role_name())
        .collect();
    assert_eq!(roles, ["register", "register"]);
}

#[tokio::test]
async fn registers_that_answer_at_once_do_not_lose_against_each_other() {
    let office = Office::open().await;
    let id = accepted(&office, "FA1234567").await;
    let rules = &office.rules.current("patent", office.today()).unwrap().checks;
    let answers: Vec<RegisterAnswer> = rules
        .iter()
        .filter_map(|rule| {
            let (check, register) = (rule.id.clone(), rule.register()?.to_owned());
            Some(RegisterAnswer { register, check, ..ban(Outcome::Clear, 1) })
        })
        .take(4)
        .collect();
    let done = join_all(answers.iter().map(|one| office.casework.answer_register(id, one))).await;
    for one in done {
        assert_eq!(one.unwrap(), Answered::Taken);
    }
    office.agreed(id).await;
}

async fn jobs(office: &Office) -> Vec<String> {
    let unfinished =
        "SELECT key, kind, payload::text FROM jobs WHERE kind = 'askRegister' ORDER BY key";
    let rows = office.owner().await.query(unfinished, &[]).await.unwrap();
    rows.iter()
        .map(|row| {
            let job: Job = serde_json::from_str(row.get(2)).unwrap();
            assert_eq!((job.kind(), job.key()), (row.get(1), row.get(0)));
            let Job::AskRegister { check, round, register, .. } = job else { panic!("{job:?}") };
            format!("{check} {round} {register}")
        })
        .collect()
}

#[tokio::test]
async fn the_registers_that_answer_by_themselves_are_asked_and_no_others() {
    let mut office = Office::open().await;
    accepted(&office, "FA1234567").await;
    assert_eq!(jobs(&office).await, Vec::<String>::new());
    let names = ["controlledPersons", "educationDocuments", "nobodysRegister"];
    let names: BTreeSet<String> = names.map(str::to_owned).into();
    office.casework = office.casework.clone().with_registers(names);
    let id = accepted(&office, "FA7654321").await;
    assert_eq!(
        jobs(&office).await,
        ["entryBan 1 controlledPersons", "language 1 educationDocuments"]
    );
    // Asked anew, the earlier question is called off.
    office.give(&office.anna, id, again("language")).await.unwrap();
    office.give(&office.anna, id, again("passport")).await.unwrap();
    office.give(&office.anna, id, again("medical")).await.unwrap();
    assert_eq!(
        jobs(&office).await,
        ["entryBan 1 controlledPersons", "language 2 educationDocuments"]
    );
}

#[tokio::test]
async fn a_check_that_is_asked_anew_forgets_its_answer() {
    let office = Office::open().await;
    let id = accepted(&office, "FA1234567").await;
    office.give(&office.anna, id, hit_for("deported")).await.unwrap();
    let aside = Command::OverrideFinding { check: "entryBan".into(), reason: "a namesake".into() };
    office.give(&office.senior, id, aside).await.unwrap();
    office.clock.advance(TimeDelta::days(1));
    let now = office.give(&office.anna, id, again("entryBan")).await.unwrap().application;
    let asked = check(&now.checks, "entryBan");
    assert_eq!((&asked.finding, &asked.overridden, asked.round), (&None, &None, 2));
    // Two working days from Wednesday.
    assert_eq!(asked.due_on.to_string(), "2026-03-13");
    // A local check has its new answer at once.
    let now = office.give(&office.anna, id, again("age")).await.unwrap().application;
    let age = check(&now.checks, "age");
    let found = age.finding.as_ref().unwrap();
    assert_eq!((age.round, found.outcome), (2, Outcome::Clear));
    assert_eq!(found.answered_at, office.now(id).await.application.checks[0].asked_at);
    let unknown = office.give(&office.anna, id, again("weather")).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::RuleRefused);
    let refused = office.give(&office.migrant, id, again("age")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Forbidden);
    let events = office.agreed(id).await;
    let last = events.iter().rfind(|event| event.act.event() == "checkRepeated").unwrap();
    assert_eq!(last.request["reason"], "a new paper");
    assert!(matches!(
        last.changes[..],
        [Change::CheckRepeated { .. }, Change::FindingRecorded { .. }]
    ));
}

#[actix_web::test]
async fn an_officer_has_a_check_asked_anew_over_http() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let hit = json!({ "command": "recordFinding", "check": "language", "outcome": "hit",
        "reason": "expired" });
    app.command(OFFICER, &case.id, hit).await.expect(200);
    let again = json!({ "command": "repeatCheck", "check": "language", "reason": "A new one." });
    let page = app.command(OTHER_OFFICER, &case.id, again).await.expect(200).json();
    let checks = page["checks"].as_array().unwrap();
    let language = checks.iter().find(|one| one["id"] == "language").unwrap();
    assert_eq!((&language["round"], &language["outcome"]), (&json!(2), &Value::Null));
    let bare = json!({ "command": "repeatCheck", "check": "language" });
    app.command(OFFICER, &case.id, bare).await.expect(400);
    // The applicant sees that it was done, and not with which words.
    let history = app.get(&format!("{}?limit=100", case.path("/history"))).by(MIGRANT).send().await;
    let text = history.expect(200).text();
    assert!(text.contains("checkRepeated") && !text.contains("A new one."), "{text}");
}

// ── What the service finds itself ────────────────────────────────────────────────────────────────────────────

/// Hands an application in and has it accepted.
async fn taken_in(office: &Office, form: &Form) -> Uuid {
    let id = office.draft(&office.migrant, "patent", "FA0000000").await.unwrap();
    office.casework.amend(&office.migrant.ask(), id, form, &render).await.unwrap();
    office.give(&office.migrant, id, Command::Submit).await.unwrap();
    office.pay(id).await;
    office.give(&office.anna, id, Command::Accept).await.unwrap();
    id
}

async fn found(office: &Office, id: Uuid, check_id: &str) -> (Outcome, Option<String>, String) {
    let now = office.now(id).await.application;
    let found = check(&now.checks, check_id).finding.clone().unwrap();
    assert_eq!(found.answered_by, None);
    (found.outcome, found.reason, found.note.unwrap_or_default())
}

#[tokio::test]
async fn local_checks_are_answered_on_acceptance() {
    let office = Office::open().await;
    let id = accepted(&office, "FA1234567").await;
    for check in ["age", "entryWindow", "duplicatePerson", "permitBan"] {
        assert_eq!(found(&office, id, check).await.0, Outcome::Clear, "{check}");
    }
    // The form has no machine-readable lines; that alone keeps nobody waiting.
    assert_eq!(found(&office, id, "mrz").await.0, Outcome::NoData);
    let open: Vec<String> = office
        .owner()
        .await
        .query_one(&format!("SELECT open_checks FROM applications WHERE id = '{id}'"), &[])
        .await
        .unwrap()
        .get(0);
    assert!(open.contains(&"passport".to_owned()) && !open.contains(&"mrz".to_owned()), "{open:?}");
    office.agreed(id).await;
}

#[tokio::test]
async fn a_person_with_two_passports_is_found_in_another_script_and_another_office() {
    let office = Office::open().await;
    let first = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let reference = office.now(first).await.application.reference.to_string();
    let moved = format!("UPDATE applications SET unit_code = '78' WHERE id = '{first}'");
    office.owner().await.batch_execute(&moved).await.unwrap();
    // A draft is nobody's business yet.
    office.draft(&office.migrant, "patent", "FA5555555").await.unwrap();
    let mut form = office.form("FA7654321");
    let person = form.person.as_mut().unwrap();
    person.family_name = "KARIMOV".into();
    person.given_name = "Rustem".into();
    let id = taken_in(&office, &form).await;
    let (outcome, reason, note) = found(&office, id, "duplicatePerson").await;
    assert_eq!((outcome, reason.as_deref()), (Outcome::Hit, Some("samePerson")));
    assert!(note.contains(&reference) && note.matches('-').count() == 2, "{note}");
    assert!(!note.contains("1234567") && !note.contains("Каримов"), "{note}");

    // The same number under another citizenship, and another person with the very passport.
    let mut stranger = office.form("FA7654321");
    let person = stranger.person.as_mut().unwrap();
    person.citizenship = CountryCode::parse("TJK").unwrap();
    person.birth_date = "1985-01-02".parse().unwrap();
    let other = taken_in(&office, &stranger).await;
    let (_, reason, note) = found(&office, other, "duplicatePerson").await;
    assert_eq!(reason.as_deref(), Some("samePassport"));
    assert!(note.contains(&office.now(id).await.application.reference.to_string()), "{note}");

    // The applicant is asked; nobody is refused for it.
    let now = office.now(id).await.application;
    let definition = office.rules.definition(&now.track, now.workflow_version).unwrap();
    let rule = definition.check("duplicatePerson").unwrap();
    let consequence = check(&now.checks, "duplicatePerson").stands_in_the_way(rule);
    assert_eq!(consequence.unwrap().name(), "ask");
}

#[tokio::test]
async fn an_annulled_patent_bars_a_new_one_for_a_year() {
    let office = Office::open().await;
    let id = office.in_force("FA1234567").await;
    let next = office.submitted(&office.migrant, "patent", "FA1234567").await;
    office.clock.advance(TimeDelta::days(70));
    office.casework.deadline(id, CommandName::DutyOverdue).await.unwrap();
    let propose = Command::ProposeAnnulment { grounds: grounds("G15"), reason: "no copy".into() };
    office.give(&office.boris, id, propose).await.unwrap();
    office.give(&office.senior, id, Command::ConfirmAnnulment).await.unwrap();
    let reference = office.now(id).await.application.reference.to_string();
    office.give(&office.anna, next, Command::Accept).await.unwrap();
    let (outcome, reason, note) = found(&office, next, "permitBan").await;
    assert_eq!((outcome, reason.as_deref()), (Outcome::Hit, Some("annulled")));
    assert!(note.contains(&reference) && note.contains("2027-05-19"), "{note}");
    assert_eq!(found(&office, next, "duplicatePerson").await.0, Outcome::Clear);
    // It can be refused on the ground that the reason names.
    office.clear_all_but(&office.anna, next, "permitBan").await;
    let refuse = Command::Refuse { grounds: grounds("G15"), reason: "barred".into() };
    let now = office.give(&office.boris, next, refuse).await.unwrap();
    assert_eq!(now.application.state, "refused");
}

#[tokio::test]
async fn asking_the_checks_takes_two_round_trips_whatever_they_look_at() {
    let office = Office::open().await;
    for number in 0..3 {
        office.submitted(&office.migrant, "patent", &format!("FA000000{number}")).await;
    }
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let before = office.db.statements();
    let answer = office.casework.execute(&office.anna.ask(), id, &Command::Accept, &render).await;
    assert_eq!(office.db.statements() - before, 2, "acceptance loads once and writes once");
    assert_eq!(id_of(&answer.unwrap()), id);
    let before = office.db.statements();
    let repeat = again("duplicatePerson");
    office.casework.execute(&office.anna.ask(), id, &repeat, &render).await.unwrap();
    assert_eq!(office.db.statements() - before, 2, "and so does asking anew");
    let before = office.db.statements();
    office.casework.answer_register(id, &ban(Outcome::Clear, 1)).await.unwrap();
    assert_eq!(office.db.statements() - before, 2, "and a register's answer");
    let (_, reason, note) = found(&office, id, "duplicatePerson").await;
    assert_eq!(reason.as_deref(), Some("samePerson"));
    assert_eq!(note.matches(", ").count(), 2, "{note}");
}
