//! One truth: an application's events, folded, are its row; and whoever changes the row is found out.

use std::collections::BTreeSet;

use proptest::prelude::*;
use propusk::casework::Casework;
use propusk::domain::actor::{Actor, Role};
use propusk::domain::application::Application;
use propusk::domain::checks::Outcome;
use propusk::domain::fee::Uin;
use propusk::domain::reference::Reference;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::CommandName;
use propusk::storage::audit::history;
use uuid::Uuid;

use crate::support::cases::{Bench, Case, commands, grounds, user};
use crate::support::office::{Office, finding, render};
use crate::support::walk::Walk;

/// Walks an office, and compares every row with its events again and again.
async fn walk(seed: u64, steps: usize) -> Walk {
    let mut walk = Walk::begin(seed).await;
    for step in 0..steps {
        walk.step().await;
        if step % 8 == 0 {
            for id in &walk.under_way {
                walk.office.agreed(*id).await;
            }
        }
    }
    for id in &walk.all {
        walk.office.agreed(*id).await;
    }
    walk
}

/// Where a walk that is worth its time gets, and what it meets.
const STATES: [&str; 5] =
    ["awaitingDuty", "checking", "informationRequested", "inForce", "annulmentProposed"];
const REFUSALS: [&str; 5] =
    ["NotFound", "Forbidden", "WrongState", "RuleRefused", "ClaimedByAnother"];

const ANSWERS: [&str; 4] = ["first", "changed", "repeated", "late"];

#[tokio::test]
async fn random_commands_of_people_and_answers_of_registers_leave_rows_that_equal_their_events() {
    let mut states = BTreeSet::new();
    let mut refusals = BTreeSet::new();
    let mut answers = BTreeSet::new();
    for seed in 4..10 {
        let walk = walk(seed, 300).await;
        let owner = walk.office.owner().await;
        let counts = owner
            .query_one(
                "SELECT count(*), count(t.*), count(*) FILTER (WHERE seq > 1 AND NOT EXISTS (\
                 SELECT FROM events b WHERE b.application_id = e.application_id \
                 AND b.seq = e.seq - 1)) FROM events e LEFT JOIN allowed_transitions t \
                 ON (t.track, t.workflow_version, t.command, t.from_state, t.to_state) = \
                 (e.track, e.workflow_version, e.command, e.from_state, e.to_state) \
                 WHERE application_id IS NOT NULL",
                &[],
            )
            .await
            .unwrap();
        let (events, allowed, gaps): (i64, i64, i64) =
            (counts.get(0), counts.get(1), counts.get(2));
        assert_eq!((allowed, gaps), (events, 0));
        assert!(events > 120, "too little happened with seed {seed}: {events} events");
        states.extend(walk.states);
        refusals.extend(walk.refusals);
        answers.extend(walk.answers);
        let about = answers.len() == ANSWERS.len()
            && STATES.iter().all(|state| states.contains(*state))
            && REFUSALS.iter().all(|code| refusals.contains(*code));
        if seed > 4 && about {
            break;
        }
    }
    for state in STATES {
        assert!(states.contains(state), "{state} was never reached: {states:?}");
    }
    for code in REFUSALS {
        assert!(refusals.contains(code), "{code} never happened: {refusals:?}");
    }
    for answer in ANSWERS {
        assert!(answers.contains(answer), "no answer was {answer}: {answers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folding_the_events_gives_what_the_engine_said_at_every_step(
        track in 0usize..2,
        throws in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..50),
    ) {
        let bench = Bench::new();
        let definition = &bench.rules.definitions[track];
        let mut case = bench.draft(definition, definition.applicants[0]);
        let mut actors = vec![case.applicant.clone(), Actor::Payments];
        actors.extend((70..75).map(|number| user(number, Role::SeniorOfficer)));
        for (index, kind) in throws {
            let mut steps = allowed(&case, &actors);
            if kind == 0 {
                let actor = index.get(&actors);
                steps = case.claim(actor).into_iter().chain(case.release(actor)).collect();
            }
            if steps.is_empty() { continue }
            let (before, step) = (case.application.clone(), index.get(&steps).clone());
            case.take(step);
            prop_assert_ne!(&before, &case.application);
            prop_assert_eq!(case.application.version, before.version + 1);
            let folded = Application::replay(before.id, &case.events).unwrap().unwrap();
            prop_assert_eq!(&folded, &case.application);
            // What the row of an event keeps of it is enough.
            let kept = serde_json::to_string(&case.events).unwrap();
            let kept: Vec<propusk::domain::event::Event> = serde_json::from_str(&kept).unwrap();
            prop_assert_eq!(&kept, &case.events);
            case.now += chrono::TimeDelta::hours(i64::from(kind));
        }
    }
}

/// Every step that somebody may take from here; the timer, when its day has come.
fn allowed(case: &Case<'_>, actors: &[Actor]) -> Vec<propusk::domain::workflow::engine::Step> {
    let mut steps = Vec::new();
    for (_, command) in commands(&case.application, case.definition, case.today()) {
        for actor in actors {
            steps.extend(case.decide(&command, actor));
        }
        if let Command::Deadline { name } = command
            // Years ahead the calendar has no days to count for what may follow.
            && name != CommandName::Expire
            && case.application.version < 30
        {
            let mut later = case.clone();
            later.now = case.when_due(name);
            steps.extend(later.decide(&command, &Actor::Timer));
        }
    }
    steps
}

/// Table, column, what is put there, the part of the application that must be named.
const TAMPERINGS: &[(&str, &str, &str, &str)] = &[
    ("applications", "reference", "'{reference}'", "reference"),
    ("applications", "unit_code", "'78'", "unit"),
    ("applications", "applicant_id", "(SELECT id FROM accounts WHERE name = 'vera')", "applicant"),
    ("applications", "state", "'inForce'", "state"),
    ("applications", "phase", "'checks'", "phase"),
    ("applications", "duties", "'[]'", "duties"),
    ("applications", "version", "version + 1", "version"),
    ("applications", "created_at", "created_at - interval '1 second'", "createdAt"),
    ("applications", "state_since", "state_since + interval '1 microsecond'", "stateSince"),
    ("applications", "submitted_at", "submitted_at - interval '1 day'", "submittedAt"),
    ("applications", "due_on", "coalesce(due_on, '2026-03-11') + 1", "dueOn"),
    ("applications", "escalated_at", "now()", "escalatedAt"),
    ("applications", "form", "jsonb_set(form, '{person,familyName}', '\"Петров\"')", "form"),
    ("applications", "documents", "documents - 0", "documents"),
    ("applications", "clock", "jsonb_set(clock, '{startedOn}', '\"2026-03-01\"')", "clock"),
    ("applications", "information", "'[]'", "information"),
    (
        "applications",
        "decision",
        "jsonb_set(decision, '{at}', '\"2026-03-09T09:00:00Z\"')",
        "decision",
    ),
    ("applications", "proposal", "NULL", "proposal"),
    ("applications", "hands", "hands - 0", "hands"),
    ("applications", "claimed_until", "claimed_until + interval '1 hour'", "claim"),
    ("applications", "claimed_from", "coalesce(claimed_from, '') || 'x'", "claim"),
    ("applications", "assigned_by", "(SELECT id FROM accounts WHERE name = 'vera')", "claim"),
    ("checks", "outcome", "'hit'", "checks"),
    ("checks", "override_reason", "override_reason || '.'", "checks"),
    ("checks", "note", "'a word'", "checks"),
    ("checks", "due_on", "due_on + 1", "checks"),
    ("checks", "answered_by", "(SELECT id FROM accounts WHERE name = 'vera')", "checks"),
    ("charges", "amount_kopecks", "amount_kopecks - 1", "charges"),
    ("charges", "paid_kopecks", "paid_kopecks + 1", "charges"),
    ("charges", "fee", "'aGift'", "charges"),
    ("charges", "change_status", "2", "charges"),
    ("charges", "acknowledgement", "5", "charges"),
    ("charges", "requisites", "requisites || '{\"kbk\": \"18810806000010000111\"}'", "charges"),
    ("charges", "rule", "'a favour'", "charges"),
    (
        "charges",
        "revision",
        "'{\"kind\": {\"step\": \"annul\"}, \"reason\": \"a favour\", \"proposedAt\": \"2026-03-09T09:00:00Z\", \
         \"proposedBy\": \"00000000-0000-0000-0000-000000000001\"}'",
        "charges",
    ),
    ("permits", "status", "'suspended'", "permit"),
    ("permits", "paid_through", "paid_through + 31", "permit"),
    ("permits", "ends_on", "ends_on + 1", "permit"),
    ("permits", "issued_on", "issued_on - 1", "permit"),
    ("permits", "holder_name", "'Somebody Else'", "permit"),
    ("permits", "profession", "'Minister'", "permit"),
];

#[tokio::test]
async fn a_row_changed_behind_the_door_is_named() {
    let office = Office::open().await;
    let id = permit_with_everything(&office).await;
    let owner = office.owner().await;
    for table in ["applications", "checks", "charges", "permits"] {
        owner.batch_execute(&format!("CREATE TABLE saved_{table} AS TABLE {table}")).await.unwrap();
    }
    let mut missed = Vec::new();
    for (table, column, value, part) in TAMPERINGS {
        let value = value.replace("{reference}", Reference::from_random([9; 8]).as_str());
        owner.execute(&format!("UPDATE {table} SET {column} = {value}"), &[]).await.unwrap();
        let named = differences(&office, id).await;
        if named.len() != 1 || !named[0].starts_with(&format!("{part}: the row says ")) {
            missed.push(format!("{table}.{column}: {named:?}"));
        }
        let key = if *table == "permits" {
            "t.number = s.number"
        } else if *table == "checks" {
            "t.application_id = s.application_id AND t.id = s.id"
        } else {
            "t.id = s.id"
        };
        let back =
            format!("UPDATE {table} t SET {column} = s.{column} FROM saved_{table} s WHERE {key}");
        owner.execute(&back, &[]).await.unwrap();
        assert_eq!(differences(&office, id).await, Vec::<String>::new(), "{table}.{column} back");
    }
    assert_eq!(missed, Vec::<String>::new());
}

#[tokio::test]
async fn a_row_added_or_removed_behind_the_door_is_named() {
    let office = Office::open().await;
    let id = permit_with_everything(&office).await;
    let owner = office.owner().await;
    for (change, part) in [
        ("DELETE FROM checks WHERE id = 'entry'", "checks"),
        (
            "INSERT INTO charges SELECT '00000000-0000-0000-0000-000000000009', application_id, fee, \
             '{uin}', 1, 0, rule, created_at, 'open' FROM charges LIMIT 1",
            "charges",
        ),
        ("DELETE FROM permits", "permit"),
    ] {
        let change = change.replace("{uin}", Uin::compose("188", 999).as_str());
        owner.execute(&change, &[]).await.unwrap();
        let named = differences(&office, id).await;
        assert!(named.iter().any(|one| one.starts_with(&format!("{part}: "))), "{part}: {named:?}");
    }
}

/// A permit whose annulment is proposed and whose officer holds it: every column has something in it.
async fn permit_with_everything(office: &Office) -> Uuid {
    let id = office.checked("patent", "FA1234567").await;
    let today = office.today();
    let hit = finding("entry", Outcome::Hit);
    office.give(&office.anna, id, hit).await.unwrap();
    let aside = Command::OverrideFinding { check: "entry".into(), reason: "a namesake".into() };
    office.give(&office.senior, id, aside).await.unwrap();
    let now = office.now(id).await.application;
    let definition = office.rules.definition(&now.track, now.workflow_version).unwrap();
    for (label, who) in
        [("requestInformation", &office.boris), ("answerInformation", &office.migrant)]
    {
        let now = office.now(id).await.application;
        let (_, command) =
            commands(&now, definition, today).into_iter().find(|(one, _)| one == label).unwrap();
        office.give(who, id, command).await.unwrap();
    }
    office.give(&office.boris, id, Command::Grant).await.unwrap();
    office.pay(id).await;
    office.give(&office.boris, id, Command::HandOver).await.unwrap();
    let propose = Command::ProposeAnnulment { grounds: grounds("G01"), reason: "false".into() };
    office.give(&office.anna, id, propose).await.unwrap();
    office.casework.claim(&office.senior.ask(), id, &render).await.unwrap();
    office.agreed(id).await;
    id
}

async fn differences(office: &Office, id: Uuid) -> Vec<String> {
    let mut conn = office.db.conn().await.unwrap();
    let events = history(&mut conn, id).await.unwrap();
    drop(conn);
    // As the timer, who sees every application, whatever its row says of unit and applicant.
    let row = office.casework.see(&Actor::Timer, id, |seen| Ok(seen.application.clone())).await;
    Casework::differences(&row.unwrap(), &events)
}
