//! One predicate: what a queue lists, counts, measures and gives out next is the same; and each list is one statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use futures_util::future::join_all;
use propusk::api::metrics::Metrics;
use propusk::audit::sequencer::Status;
use propusk::casework::{Ask, Casework, Idempotency};
use propusk::clock::Clock;
use propusk::domain::actor::{Actor, Role};
use propusk::domain::application::Application;
use propusk::domain::checks::Outcome;
use propusk::domain::duty::DutyStatus;
use propusk::domain::fee::Uin;
use propusk::domain::queue::{Filter, PAYMENTS, Queue, Work};
use propusk::domain::reference::Reference;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::{CheckSource, CommandName, Phase};
use propusk::error::ErrorCode;
use propusk::storage::applications::{
    Count, Holder, Narrow, SummaryRow, count_queues, list_of_applicant, list_queue,
};
use propusk::storage::events::PlainEvent;
use propusk::storage::queues::{self, Expected};
use propusk::storage::{Db, DbOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{
    EMPLOYER, MIGRANT, OFFICER, OTHER_OFFICER, OTHER_SENIOR, PETERSBURG_OFFICER, SENIOR, TestApp,
};
use crate::support::office::{Office, render};
use crate::support::walk::Walk;

fn named(name: &str) -> Queue {
    Queue::default_named(name).unwrap()
}

fn custom(name: &str, filter: Filter) -> Queue {
    let title = [("en", name), ("ru", name)].map(|(one, text)| (one.to_owned(), text.to_owned()));
    Queue { name: name.to_owned(), title: title.into(), position: 200, filter, version: 0 }
}

/// Queues of every part of a filter, alone and together.
fn customs() -> Vec<Queue> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let any = Filter::default;
    vec![
        custom("all", any()),
        custom("patents", Filter { track: names(&["patent"]), ..any() }),
        custom("early-work", Filter { work: vec![Work::Handover, Work::Intake], ..any() }),
        custom("by-phase", Filter { phase: vec![Phase::Checks, Phase::Issuance], ..any() }),
        custom("by-state", Filter { state: names(&["checking", "ready"]), ..any() }),
        custom("bans", Filter { check: names(&["entryBan", "criminalRecord"]), ..any() }),
        custom("old", Filter { min_age_days: Some(3), ..any() }),
        custom("fresh", Filter { max_age_days: Some(2), ..any() }),
        custom("in-time", Filter { overdue: Some(false), ..any() }),
        custom("late-checks", Filter { overdue: Some(true), work: vec![Work::Checks], ..any() }),
        custom("first", Filter { expedited: Some(true), ..any() }),
        custom("late-first", Filter { expedited: Some(true), overdue: Some(true), ..any() }),
        custom("late-others", Filter { expedited: Some(false), overdue: Some(true), ..any() }),
        custom(
            "patents-old-unclear",
            Filter {
                track: names(&["patent"]),
                check: names(&["medical", "language", "entry"]),
                min_age_days: Some(1),
                max_age_days: Some(40),
                ..any()
            },
        ),
    ]
}

/// Lists a queue by pages of `limit`, as an officer would leaf through it.
async fn list(office: &Office, queue: &Queue, narrow: &Narrow, limit: i64) -> Vec<SummaryRow> {
    let mut conn = office.db.conn().await.unwrap();
    let (mut all, mut after) = (Vec::<SummaryRow>::new(), None);
    loop {
        let now = office.clock.now();
        let page = list_queue(&mut conn, "77", queue, narrow, now, after, limit).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.place().unwrap());
        all.extend(page);
    }
}

async fn ids(office: &Office, queue: &Queue) -> Vec<Uuid> {
    list(office, queue, &Narrow::default(), 100).await.iter().map(|row| row.id).collect()
}

/// What an application waits for, by the rules alone.
fn work(office: &Office, registers: &BTreeSet<String>, one: &Application) -> Option<Work> {
    let definition = office.rules.definition(&one.track, one.workflow_version).unwrap();
    if !Work::may_wait_in(definition.state(&one.state).unwrap()) {
        return None;
    }
    if definition.answers_complaints(&one.state) && one.phase == Phase::Checks {
        return Some(Work::Decision);
    }
    Some(match one.phase {
        Phase::Submission => Work::Intake,
        Phase::Fee => Work::Payment,
        Phase::Issuance => Work::Handover,
        Phase::InForce if one.state == "inForce" => {
            let any = |status| one.duties.iter().any(|duty| duty.status == status);
            match (any(DutyStatus::Overdue), any(DutyStatus::Reported)) {
                (true, _) => Work::DutyOverdue,
                (false, true) => Work::DutyProof,
                (false, false) => return None,
            }
        }
        Phase::InForce if one.proposal.is_none() => Work::Request,
        Phase::InForce | Phase::Closed => Work::Annulment,
        Phase::Checks => {
            let unanswered: Vec<&str> = one
                .checks
                .iter()
                .filter(|check| check.finding.is_none())
                .map(|check| check.id.as_str())
                .collect();
            let by_itself = |id: &&str| match &definition.check(id).unwrap().source {
                CheckSource::Register(name) => registers.contains(name),
                _ => false,
            };
            match unanswered.as_slice() {
                [] => Work::Decision,
                all if all.iter().all(by_itself) => Work::Registers,
                _ => Work::Checks,
            }
        }
    })
}

/// Whether an application waits in a queue, by the words of the filter alone.
fn waits(office: &Office, registers: &BTreeSet<String>, one: &Application, queue: &Queue) -> bool {
    let Some(work) = work(office, registers, one) else { return false };
    let (definition, filter) =
        (office.rules.definition(&one.track, one.workflow_version).unwrap(), &queue.filter);
    let checked = [Work::Checks, Work::Registers, Work::Decision].contains(&work);
    let past = checked && one.due_on.is_some_and(|due| due < office.today());
    let overdue = past || one.escalated_at.is_some();
    let open = |id: &String| {
        let check = one.checks.iter().find(|check| check.id == *id);
        check.is_some_and(|check| !check.is_clear(definition.check(id).unwrap()))
    };
    let age = office.clock.now() - one.submitted_at.unwrap();
    let days = |days: u32| TimeDelta::days(i64::from(days));
    (filter.work.is_empty() || filter.work.contains(&work))
        && (filter.track.is_empty() || filter.track.contains(&one.track))
        && (filter.phase.is_empty() || filter.phase.contains(&one.phase))
        && (filter.state.is_empty() || filter.state.contains(&one.state))
        && (filter.check.is_empty() || checked && filter.check.iter().any(open))
        && filter.min_age_days.is_none_or(|least| age >= days(least))
        && filter.max_age_days.is_none_or(|most| age <= days(most))
        && filter.overdue.is_none_or(|asked| asked == overdue)
        && filter.expedited.is_none_or(|asked| asked == one.expedited.is_some())
}

/// Whether four eyes keep an account from what an application waits for, by a list written by hand.
fn barred(one: &Application, work: Option<Work>, account: Uuid) -> bool {
    let keeping: &[CommandName] = match work {
        _ if one.state == "intakeAppealed" => &[CommandName::RefuseIntake],
        _ if one.state == "refusalAppealed" => &[CommandName::Refuse],
        _ if one.state == "annulmentAppealed" => {
            &[CommandName::ProposeAnnulment, CommandName::ConfirmAnnulment]
        }
        // A request can also be refused, a suspended permit's annulment be proposed.
        _ if one.state == "suspended" => &[CommandName::SuspendPermit],
        _ if ["duplicateRequested", "changeRequested"].contains(&one.state.as_str()) => {
            &[CommandName::RecordPayment]
        }
        Some(Work::Decision) => {
            &[CommandName::Accept, CommandName::RecordFinding, CommandName::OverrideFinding]
        }
        Some(Work::Handover) => &[CommandName::RecordPayment],
        Some(Work::Annulment) => &[CommandName::ProposeAnnulment],
        _ => &[],
    };
    one.hands.iter().any(|hand| hand.by == account && keeping.contains(&hand.command))
}

/// Whether only senior officers can do it, by a list written by hand.
fn is_for_seniors(one: &Application, work: Option<Work>) -> bool {
    work == Some(Work::Annulment) || one.state.ends_with("Appealed")
}

/// What should wait in a queue, most urgent first.
fn expected<'a>(
    office: &Office,
    registers: &BTreeSet<String>,
    all: &'a [Application],
    queue: &Queue,
) -> Vec<&'a Application> {
    let mut waiting: Vec<&Application> =
        all.iter().filter(|one| waits(office, registers, one, queue)).collect();
    waiting.sort_by_key(|one| {
        (one.expedited.is_none(), one.due_on.is_none(), one.due_on, one.submitted_at, one.id)
    });
    waiting
}

/// Reads the gauges of the queues of a unit.
async fn measured(office: &Office, metrics: &Metrics, unit: &str) -> BTreeMap<String, Count> {
    let text = metrics.text(&office.db, &Status::default(), office.clock.now()).await.unwrap();
    gauges(&text, unit)
}

fn gauges(text: &str, unit: &str) -> BTreeMap<String, Count> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let (labels, value) = rest.split_once("} ").unwrap();
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            Some(rest.split('"').next().unwrap().to_owned())
        };
        if label("unit").as_deref() != Some(unit) {
            continue;
        }
        let count = counts.entry(label("queue").unwrap()).or_default();
        match name {
            "propusk_queue_waiting" => count.waiting = value.parse().unwrap(),
            "propusk_queue_free" => count.free = value.parse().unwrap(),
            other => panic!("{other} has a unit"),
        }
    }
    counts
}

#[tokio::test]
async fn what_a_queue_lists_counts_measures_and_gives_out_is_the_same_after_any_commands() {
    let mut walk = Walk::begin(5).await;
    // Half of the registers answer by themselves, so that some applications wait for nobody else.
    let registers: BTreeSet<String> = walk
        .office
        .rules
        .definitions
        .iter()
        .flat_map(|definition| &definition.checks)
        .filter_map(|check| match &check.source {
            CheckSource::Register(name) => Some(name.clone()),
            _ => None,
        })
        .enumerate()
        .filter_map(|(index, name)| (index % 2 == 0).then_some(name))
        .collect();
    walk.office.casework = walk.office.casework.clone().with_registers(registers.clone());
    let mut all_queues = Queue::defaults();
    for queue in customs() {
        let event =
            PlainEvent::now(&*walk.office.clock, "queueChanged", "seniorOfficer", json!({}));
        let version =
            queues::save(&walk.office.db, "77", &queue, Expected::Absent, &event).await.unwrap();
        assert_eq!(version, Some(1));
        all_queues.push(Queue { version: 1, ..queue });
    }
    let owner = walk.office.owner().await;
    let metrics = Metrics::default();
    let (mut seen, mut given): (BTreeMap<String, usize>, usize) = (BTreeMap::new(), 0);
    for step in 0..260_usize {
        walk.step().await;
        if step % 5 == 3 {
            // Put into the row behind the door: what commands of the desk do is their tests' matter.
            let id = *walk.dice.one_of(&walk.under_way);
            let expedited = "UPDATE applications SET expedited = CASE WHEN expedited IS NULL THEN \
                 jsonb_build_object('by', applicant_id, 'at', '2026-03-10T09:00:00Z', 'reason', 'ill') \
                 END WHERE id::text = $1 AND submitted_at IS NOT NULL";
            owner.execute(expedited, &[&id.to_string()]).await.unwrap();
        }
        if step % 5 == 1 {
            // Everything that officers have to look at is clear: only registers are awaited.
            for id in walk.under_way.clone() {
                let one = walk.office.now(id).await.application;
                if one.state != "checking" || walk.dice.below(3) > 0 {
                    continue;
                }
                for check in one.checks.iter().filter(|check| check.finding.is_none()) {
                    let definition =
                        walk.office.rules.definition(&one.track, one.workflow_version).unwrap();
                    let by_itself = matches!(&definition.check(&check.id).unwrap().source,
                        CheckSource::Register(name) if registers.contains(name));
                    if !by_itself {
                        let clear = Command::RecordFinding {
                            check: check.id.clone(),
                            outcome: Outcome::Clear,
                            note: None,
                            reason: None,
                            digest: None,
                        };
                        // A colleague may hold it.
                        let _ = walk.office.give(&walk.office.senior, id, clear).await;
                    }
                }
            }
        }
        if step % 6 > 0 {
            continue;
        }
        // The metric is good for fifteen seconds.
        walk.office.clock.advance(TimeDelta::seconds(16));
        let office = &walk.office;
        let now = office.clock.now();
        let mut all = Vec::new();
        for id in &walk.under_way {
            all.push(office.now(*id).await.application);
        }
        let mut conn = office.db.conn().await.unwrap();
        let stored = queues::list(&mut conn, "77").await.unwrap();
        assert_eq!(stored.len(), all_queues.len());
        let counts = count_queues(&mut conn, "77", &stored, now).await.unwrap();
        let elsewhere = count_queues(&mut conn, "78", &stored, now).await.unwrap();
        drop(conn);
        let gauges = measured(office, &metrics, "77").await;
        assert_eq!(gauges.len(), stored.len());
        for ((queue, count), other) in stored.iter().zip(counts).zip(elsewhere) {
            let name = &queue.name;
            assert_eq!(gauges[name], count, "{name}: the metric");
            if name == PAYMENTS {
                continue;
            }
            assert_eq!(other, Count::default(), "{name} of another unit");
            let listed = list(office, queue, &Narrow::default(), 100).await;
            let ids: Vec<Uuid> = listed.iter().map(|row| row.id).collect();
            let expected = expected(office, &registers, &all, queue);
            assert_eq!(ids, expected.iter().map(|one| one.id).collect::<Vec<_>>(), "{name}");
            let pages = list(office, queue, &Narrow::default(), 1).await;
            let by_pages: Vec<Uuid> = pages.iter().map(|row| row.id).collect();
            assert_eq!(by_pages, ids, "{name} by pages of one");
            let free: Vec<Uuid> = expected
                .iter()
                .filter(|one| one.claim_at(now).is_none())
                .map(|one| one.id)
                .collect();
            let counted = [ids.len(), free.len()].map(|count| i64::try_from(count).unwrap());
            assert_eq!([count.waiting, count.free], counted, "{name}");
            *seen.entry(name.clone()).or_default() += ids.len();
            narrowed(&walk, queue, &expected).await;
            // In turn each queue's next is taken, also when nothing is free.
            if all_queues[step / 6 % all_queues.len()].name == *name {
                let turn = step / 6;
                let senior = (turn + turn / all_queues.len()).is_multiple_of(2);
                let who = if senior { &office.senior } else { &office.anna };
                let ask = who.ask_with_key(&format!("next-{step}"));
                let answer = office.casework.claim_next(&ask, "77", queue, &render).await.unwrap();
                let got: Option<Uuid> = answer.map(|answer| answer.body.parse().unwrap());
                let next = expected.iter().find(|one| {
                    let work = work(office, &registers, one);
                    let his = senior || !is_for_seniors(one, work);
                    one.claim_at(now).is_none() && his && !barred(one, work, who.id)
                });
                assert_eq!(got, next.map(|one| one.id), "{name}");
                if let Some(id) = got {
                    given += 1;
                    let held = office.now(id).await.application.claim.unwrap();
                    assert_eq!(held.queue.as_ref(), Some(name));
                    break;
                }
            }
        }
    }
    assert!(given >= 5, "only {given} were given out");
    // Random steps hardly ever leave something granted, checked past its date, asked about a permit, or a duty proved or
    // overdue; other tests do so on purpose.
    let seldom = [
        PAYMENTS,
        "payment",
        "handover",
        "late-checks",
        "late-others",
        "requests",
        "duty-proofs",
        "duties-overdue",
    ];
    let missed: Vec<&str> = all_queues
        .iter()
        .map(|queue| queue.name.as_str())
        .filter(|name| !seldom.contains(name) && seen.get(*name) < Some(&1))
        .collect();
    assert!(missed.is_empty(), "{missed:?} {seen:?}");
}

/// Sees that what an officer looks for within a queue is the queue's list less what does not fit.
async fn narrowed(walk: &Walk, queue: &Queue, expected: &[&Application]) {
    let office = &walk.office;
    let now = office.clock.now();
    let holder = *walk.dice.one_of(&[
        Holder::Nobody,
        Holder::Account(office.anna.id),
        Holder::Account(office.senior.id),
    ]);
    let yes = walk.dice.below(2) == 0;
    let checked = |one: &Application| one.phase == Phase::Checks;
    let overdue = |one: &Application| {
        one.escalated_at.is_some()
            || checked(one) && one.due_on.is_some_and(|due| due < office.today())
    };
    type Fits<'a> = Box<dyn Fn(&Application) -> bool + 'a>;
    let (narrow, fits): (Narrow, Fits<'_>) = match walk.dice.below(6) {
        0 => (
            Narrow { track: Some("patent".into()), ..Narrow::default() },
            Box::new(|one| one.track == "patent"),
        ),
        1 => (
            Narrow { state: Some("checking".into()), ..Narrow::default() },
            Box::new(|one| one.state == "checking"),
        ),
        2 => (
            Narrow { check: Some("entryBan".into()), ..Narrow::default() },
            Box::new(|one| {
                let definition = office.rules.definition(&one.track, one.workflow_version).unwrap();
                let check = one.checks.iter().find(|check| check.id == "entryBan");
                checked(one)
                    && check.is_some_and(|one| !one.is_clear(definition.check("entryBan").unwrap()))
            }),
        ),
        3 => (
            Narrow { holder: Some(holder), ..Narrow::default() },
            Box::new(move |one| match (holder, one.claim_at(now)) {
                (Holder::Nobody, claim) => claim.is_none(),
                (Holder::Account(account), claim) => claim.is_some_and(|one| one.by == account),
            }),
        ),
        4 => (
            Narrow { overdue: Some(yes), ..Narrow::default() },
            Box::new(move |one| overdue(one) == yes),
        ),
        _ => (
            Narrow { expedited: Some(yes), ..Narrow::default() },
            Box::new(move |one| one.expedited.is_some() == yes),
        ),
    };
    let listed = list(office, queue, &narrow, 2).await;
    let listed: Vec<Uuid> = listed.iter().map(|row| row.id).collect();
    let fitting: Vec<Uuid> = expected.iter().filter(|one| fits(one)).map(|one| one.id).collect();
    assert_eq!(listed, fitting, "{narrow:?} within {}", queue.name);
}

#[tokio::test]
async fn the_next_of_every_queue_is_its_first_free_one_until_none_is_left() {
    let office = Office::open().await;
    for number in 0..3 {
        office.submitted(&office.migrant, "patent", &format!("FA100000{number}")).await;
        office.checked("patent", &format!("FA200000{number}")).await;
        let ready = office.checked("patent", &format!("FA300000{number}")).await;
        office.give(&office.boris, ready, Command::Grant).await.unwrap();
        office.pay(ready).await;
        let held = office.in_force(&format!("FA400000{number}")).await;
        let propose = Command::ProposeAnnulment {
            grounds: crate::support::cases::grounds("G01"),
            reason: "false".into(),
        };
        office.give(&office.anna, held, propose).await.unwrap();
    }
    let both =
        custom("both", Filter { work: vec![Work::Intake, Work::Decision], ..Filter::default() });
    for (queue, many) in ["intake", "decision", "handover", "annulments"]
        .map(|name| (named(name), 3))
        .into_iter()
        .chain([(both, 6)])
    {
        let ids = ids(&office, &queue).await;
        assert_eq!(ids.len(), many, "{}", queue.name);
        for (number, id) in ids.iter().map(|id| Some(*id)).chain([None]).enumerate() {
            let ask = office.senior.ask_with_key(&format!("{}-{number}", queue.name));
            let answer = office.casework.claim_next(&ask, "77", &queue, &render).await.unwrap();
            assert_eq!(answer.map(|answer| answer.body.parse().unwrap()), id, "{}", queue.name);
        }
        // Leases end, and what is over several kinds of work gives the same out again.
        office.clock.advance(TimeDelta::minutes(31));
    }
}

#[tokio::test]
async fn a_list_is_one_statement_however_long() {
    let office = Office::open().await;
    for number in 0..4 {
        office.submitted(&office.migrant, "patent", &format!("FA100000{number}")).await;
    }
    let mut conn = office.db.conn().await.unwrap();
    let (now, narrow) = (office.clock.now(), Narrow::default());
    for name in ["intake", "overdue"] {
        let before = office.db.statements();
        let listed =
            list_queue(&mut conn, "77", &named(name), &narrow, now, None, 50).await.unwrap();
        let expected = if name == "intake" { 4 } else { 0 };
        assert_eq!((listed.len(), office.db.statements() - before), (expected, 1), "{name}");
    }
    let before = office.db.statements();
    count_queues(&mut conn, "77", &Queue::defaults(), now).await.unwrap();
    assert_eq!(office.db.statements() - before, 1, "the counts of all queues");
    let before = office.db.statements();
    assert_eq!(queues::find(&mut conn, "77", "intake").await.unwrap(), Some(named("intake")));
    assert_eq!(office.db.statements() - before, 1, "what a queue is");
    let before = office.db.statements();
    let mine = list_of_applicant(&mut conn, office.migrant.id, None, 50).await.unwrap();
    assert_eq!((mine.len(), office.db.statements() - before), (4, 1), "an applicant's list");
    let newest_first: Vec<Uuid> = {
        let mut ids: Vec<Uuid> = mine.iter().map(|row| row.id).collect();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids
    };
    let mut leafed = Vec::new();
    while let Some(row) = list_of_applicant(&mut conn, office.migrant.id, leafed.last().copied(), 1)
        .await
        .unwrap()
        .pop()
    {
        leafed.push(row.id);
    }
    assert_eq!(leafed, newest_first);
    assert!(list_of_applicant(&mut conn, office.employer.id, None, 50).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_granted_waits_for_its_money_and_is_overdue_once_it_was_escalated() {
    let office = Office::open().await;
    let id = office.checked("patent", "FA1234567").await;
    office.give(&office.boris, id, Command::Grant).await.unwrap();
    assert_eq!(ids(&office, &named("payment")).await, [id]);
    assert!(ids(&office, &named("overdue")).await.is_empty());
    office.clock.advance(TimeDelta::days(31));
    office.casework.deadline(id, CommandName::Escalate).await.unwrap();
    assert_eq!(ids(&office, &named("overdue")).await, [id]);
    let ask = office.anna.ask_with_key("next");
    let answer = office.casework.claim_next(&ask, "77", &named("overdue"), &render).await.unwrap();
    assert_eq!(answer.unwrap().body, id.to_string());
}

// ── A hundred officers ───────────────────────────────────────────────────────────────────────────────────────

const OFFICERS: usize = 100;
const APPLICATIONS: usize = 1000;

/// Copies one application row by row until there are so many, each of a person of its own, with its charge; gives ids.
async fn copy(office: &Office, id: Uuid, many: usize) -> Vec<Uuid> {
    let owner = office.owner().await;
    let (mut ids, mut references, mut uins) = (vec![id], Vec::new(), Vec::new());
    for number in 1..many {
        let number = u64::try_from(number).unwrap();
        ids.push(office.clock.new_id());
        references.push(
            Reference::from_random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
                .to_string(),
        );
        uins.push(Uin::compose("188", 1_000_000 + number).to_string());
    }
    let texts: Vec<String> = ids[1..].iter().map(ToString::to_string).collect();
    // All columns but for the one that the table reckons itself.
    let columns = "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) \
         FROM information_schema.columns WHERE table_name = 'applications' AND is_generated = 'NEVER'";
    let columns: String = owner.query_one(columns, &[]).await.unwrap().get(0);
    owner
        .execute(
            &format!("INSERT INTO applications ({columns}) SELECT {columns} FROM (\
             SELECT (jsonb_populate_record(a, jsonb_build_object(\
             'id', c.id, 'reference', c.reference, 'person_key', a.person_key || c.id))).* \
             FROM applications a, unnest($2::text[], $3::text[]) AS c(id, reference) WHERE a.id::text = $1) AS copies"),
            &[&id.to_string(), &texts, &references],
        )
        .await
        .unwrap();
    owner
        .execute(
            "INSERT INTO charges SELECT (jsonb_populate_record(h, jsonb_build_object(\
             'id', gen_random_uuid(), 'application_id', c.id, 'uin', c.uin))).* \
             FROM charges h, unnest($2::text[], $3::text[]) AS c(id, uin) WHERE h.application_id::text = $1",
            &[&id.to_string(), &texts, &uins],
        )
        .await
        .unwrap();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_officers_work_a_thousand_applications_exactly_once_while_leases_expire() {
    let office = Office::open().await;
    let first = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let ids = copy(&office, first, APPLICATIONS).await;
    let owner = office.owner().await;
    let officers: Vec<Uuid> = (0..OFFICERS).map(|_| office.clock.new_id()).collect();
    let texts: Vec<String> = officers.iter().map(ToString::to_string).collect();
    owner
        .execute(
            "INSERT INTO accounts (id, email, name, role, unit_code, password_hash, created_at) \
             SELECT o::uuid, o || '@example.org', o, 'officer', '77', 'x', now() FROM unnest($1::text[]) AS o",
            &[&texts],
        )
        .await
        .unwrap();
    let db = Db::new(&DbOptions {
        url: office.database.url().to_owned(),
        pool_size: 40,
        wait: std::time::Duration::from_secs(60),
        statement_timeout: std::time::Duration::from_secs(30),
    })
    .unwrap();
    let lease = TimeDelta::minutes(30);
    let casework =
        Casework::new(db, Arc::clone(&office.rules), office.clock.clone(), lease, Arc::new(|| ()));
    // Half of them take from a queue over several kinds of work: the other statement. What was taken in waits in neither.
    let several = vec![Work::Intake, Work::Payment, Work::Handover, Work::Annulment];
    let queues = [named("intake"), custom("all", Filter { work: several, ..Filter::default() })];
    let (worked, abandoned) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks = officers.iter().enumerate().map(|(number, officer)| {
        let (casework, clock) = (casework.clone(), office.clock.clone());
        let (worked, abandoned) = (Arc::clone(&worked), Arc::clone(&abandoned));
        let actor = Actor::User { id: *officer, role: Role::Officer, unit: Some("77".to_owned()) };
        let queue = queues[number % 2].clone();
        tokio::spawn(async move {
            let ask = |key: String| Ask {
                actor: actor.clone(),
                if_match: None,
                idempotency: Some(Idempotency { key, fingerprint: [7; 32] }),
            };
            for turn in 0.. {
                if worked.load(Ordering::SeqCst) == APPLICATIONS {
                    return;
                }
                let claim = ask(format!("claim-{turn}"));
                let claimed = casework.claim_next(&claim, "77", &queue, &render).await.unwrap();
                let Some(claimed) = claimed else {
                    // All that is left is held by colleagues who went home.
                    clock.advance(TimeDelta::minutes(7));
                    continue;
                };
                let id: Uuid = claimed.body.parse().unwrap();
                if (turn + number) % 5 == 0 && worked.load(Ordering::SeqCst) < APPLICATIONS * 9 / 10
                {
                    abandoned.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                if (turn + number) % 7 == 0 {
                    // Long at it: some leases end meanwhile, maybe his own.
                    clock.advance(TimeDelta::minutes(2));
                }
                let accept = ask(format!("accept-{turn}"));
                let accepted = loop {
                    match casework.execute(&accept, id, &Command::Accept, &render).await {
                        // Leases ended under him again and again: the clock leaps while nobody has work.
                        Err(busy) if busy.code() == ErrorCode::Unavailable => {}
                        other => break other,
                    }
                };
                match accepted {
                    Ok(_) => {
                        worked.fetch_add(1, Ordering::SeqCst);
                    }
                    // His lease had ended, and a colleague has it or has done it.
                    Err(refused) => assert!(
                        [ErrorCode::ClaimedByAnother, ErrorCode::WrongState]
                            .contains(&refused.code()),
                        "{refused}"
                    ),
                }
            }
        })
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    assert!(abandoned.load(Ordering::SeqCst) > 20);
    let accepted: Vec<(String, i64)> = owner
        .query(
            "SELECT application_id::text, count(*) FROM events WHERE kind = 'accepted' GROUP BY 1",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let expected: BTreeSet<(String, i64)> = ids.iter().map(|id| (id.to_string(), 1)).collect();
    assert_eq!(accepted.into_iter().collect::<BTreeSet<_>>(), expected);
    // Nobody was given what a colleague held: between two claims lies the first one's whole lease.
    let overlapping = "SELECT count(*) FROM (SELECT at - lag(at) OVER (PARTITION BY application_id ORDER BY seq) \
         AS gap FROM events WHERE kind = 'claimed') AS gaps WHERE gap < interval '30 minutes'";
    assert_eq!(owner.query_one(overlapping, &[]).await.unwrap().get::<_, i64>(0), 0);
}

// ── By HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn an_annulment_is_given_to_a_senior_officer_who_did_not_propose_it() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "Asked." });
    app.command(SENIOR, &case.id, propose).await.expect(200);
    for (person, barred) in [(OFFICER, false), (SENIOR, true), (OTHER_SENIOR, false)] {
        let listed = app.get("/v1/queues/annulments/applications").by(person).send().await;
        let one = listed.expect(200).json()["items"][0].clone();
        let told = (&one["id"], &one["barred"], &one["seniorOnly"]);
        assert_eq!(told, (&json!(case.id), &json!(barred), &json!(true)), "{}", person.name);
    }
    let claim = |person| app.post("/v1/queues/annulments/claims").by(person).key("next").send();
    claim(OFFICER).await.expect(204);
    claim(SENIOR).await.expect(204);
    let claimed = claim(OTHER_SENIOR).await.expect(200).json();
    let confirm = claimed["commands"].as_array().unwrap().iter();
    let confirm: Vec<_> = confirm.filter(|one| one["command"] == "confirmAnnulment").collect();
    assert_eq!((&claimed["id"], confirm.len()), (&json!(case.id), 1), "{claimed}");
    assert!(confirm[0]["blockedBy"].as_array().is_none_or(Vec::is_empty), "{}", confirm[0]);
    // What officers can do is said to be theirs.
    app.submitted(EMPLOYER).await;
    let intake = app.get("/v1/queues/intake/applications").by(OFFICER).send().await.expect(200);
    assert_eq!(intake.json()["items"][0]["seniorOnly"], false);
}

#[actix_web::test]
async fn nobody_is_given_what_a_colleague_has_to_decide() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let held = app.put(&case.path("/claim")).by(OFFICER).if_match(app.version(&case.id).await);
    assert_eq!(held.send().await.expect(200).json()["claim"]["by"], OFFICER.id().to_string());
    app.clear(&case.id).await;
    let decisions = "/v1/queues/decision";
    let claim = |person| app.post(&format!("{decisions}/claims")).by(person).key("next").send();
    let barred = async |person| -> Value {
        let path = format!("{decisions}/applications");
        let listed = app.get(&path).by(person).send().await.expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "the list is the whole queue");
        listed["items"][0]["barred"].clone()
    };
    // He took it in and checked it; his lease ended with the last answer, lest his colleague waits for it.
    let seen = app.get(&case.path("")).by(OTHER_OFFICER).send().await.expect(200).json();
    assert_eq!(seen["claim"], Value::Null);
    assert_eq!(barred(OFFICER).await, true);
    claim(OFFICER).await.expect(204);
    assert_eq!(barred(OTHER_OFFICER).await, false);
    assert_eq!(claim(OTHER_OFFICER).await.expect(200).json()["id"], case.id.as_str());
    let own = app.get("/v1/applications").by(MIGRANT).send().await.expect(200).json();
    assert_eq!(own["items"][0]["barred"], Value::Null);

    // A check that is asked anew is anybody's again.
    app.command(
        OTHER_OFFICER,
        &case.id,
        json!({ "command": "repeatCheck", "check": "medical", "reason": "it has run out" }),
    )
    .await
    .expect(200);
    let free = app.delete(&case.path("/claim")).by(OTHER_OFFICER);
    free.if_match(app.version(&case.id).await).send().await.expect(200);
    let checks = app.post("/v1/queues/checks/claims").by(OFFICER).key("again").send().await;
    assert_eq!(checks.expect(200).json()["id"], case.id.as_str());
}

fn definition(filter: &Value) -> Value {
    json!({ "title": { "en": "Bans", "ru": "Запреты" }, "position": 25, "filter": filter })
}

#[actix_web::test]
async fn a_senior_officer_makes_changes_and_removes_a_queue_and_each_is_an_event() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let path = "/v1/queues/entry-bans";
    let put = |body: &Value| app.put(path).by(SENIOR).json(body);
    let body = definition(&json!({ "check": ["entryBan"], "track": ["patent"] }));
    put(&body).send().await.expect(428).problem("precondition-required");
    put(&body).if_match(1).send().await.expect(404);
    let made = put(&body).header("if-none-match", "*").send().await.expect(201);
    assert_eq!(made.version(), 1);
    put(&body).header("if-none-match", "*").send().await.expect(412).problem("stale-version");
    put(&body).if_match(2).send().await.expect(412);
    let both = put(&body).header("if-none-match", "*").if_match(1).send().await.expect(400);
    assert_eq!(both.errors(), ["If-None-Match malformed"]);
    app.put(path).by(OFFICER).json(&body).header("if-none-match", "*").send().await.expect(403);

    let shown = app.get(path).by(OFFICER).send().await.expect(200);
    assert_eq!((shown.version(), shown.json()), (1, made.json()));
    assert_eq!(shown.json()["filter"], json!({ "check": ["entryBan"], "track": ["patent"] }));
    app.get(path).by(OFFICER).header("if-none-match", "\"v1\"").send().await.expect(304);
    app.get(path).by(PETERSBURG_OFFICER).send().await.expect(404);
    let names = async || -> Vec<String> {
        let listed = app.get("/v1/queues").by(SENIOR).send().await.expect(200).json();
        let items = listed["items"].as_array().unwrap();
        items.iter().map(|one| one["queue"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names().await[..4], ["intake", "checks", "entry-bans", "registers"]);
    let listed = app.get(&format!("{path}/applications")).by(OFFICER).send().await.expect(200);
    assert_eq!(listed.json()["items"][0]["id"], json!(case.id));
    let claimed =
        app.post(&format!("{path}/claims")).by(OFFICER).key("a").send().await.expect(200).json();
    assert_eq!(
        (&claimed["id"], &claimed["claim"]["queue"]),
        (&json!(case.id), &json!("entry-bans"))
    );

    let changed = definition(&json!({ "check": ["language"], "expedited": true }));
    assert_eq!(put(&changed).if_match(1).send().await.expect(200).version(), 2);
    let listed = app.get(&format!("{path}/applications")).by(OFFICER).send().await.expect(200);
    assert_eq!(listed.json(), json!({ "items": [] }));
    app.delete(path).by(SENIOR).send().await.expect(428);
    app.delete(path).by(SENIOR).if_match(1).send().await.expect(412);
    app.delete(path).by(SENIOR).if_match(2).send().await.expect(204);
    app.delete(path).by(SENIOR).if_match(3).send().await.expect(404);
    app.get(&format!("{path}/applications")).by(OFFICER).send().await.expect(404);
    assert!(!names().await.contains(&"entry-bans".to_owned()));
    let again = put(&body).header("if-none-match", "*").send().await.expect(201);
    assert_eq!(again.version(), 4, "an old ETag never fits again");

    // One that every unit has can be changed, hidden and brought back.
    let intake = "/v1/queues/intake";
    assert_eq!(app.get(intake).by(OFFICER).send().await.expect(200).version(), 0);
    let narrower = definition(&json!({ "work": ["intake"], "track": ["patent"] }));
    let set = app.put(intake).by(SENIOR).json(&narrower);
    assert_eq!(set.if_match(0).send().await.expect(200).version(), 1);
    app.put(intake).by(SENIOR).json(&narrower).if_match(0).send().await.expect(412);
    let set = app.put(intake).by(SENIOR).json(&narrower).header("if-none-match", "*");
    set.send().await.expect(412);
    app.delete(intake).by(SENIOR).if_match(1).send().await.expect(204);
    app.get(intake).by(OFFICER).send().await.expect(404);
    app.post("/v1/queues/intake/claims").by(OFFICER).key("b").send().await.expect(404);
    app.get(intake).by(PETERSBURG_OFFICER).send().await.expect(200);
    let set = app.put(intake).by(SENIOR).json(&narrower).header("if-none-match", "*");
    assert_eq!(set.send().await.expect(201).version(), 3);
    app.delete("/v1/queues/checks").by(SENIOR).if_match(0).send().await.expect(204);
    assert!(!names().await.contains(&"checks".to_owned()));

    let rows = app
        .sql()
        .await
        .query(
            "SELECT kind, unit_code, actor_role, content::jsonb ->> 'queue', \
             (content::jsonb ->> 'version')::int FROM events WHERE kind LIKE 'queue%' \
             AND purpose IS NULL ORDER BY id, 5",
            &[],
        )
        .await
        .unwrap();
    let events: Vec<String> = rows
        .iter()
        .map(|row| {
            let version = row.get::<_, Option<i32>>(4).map(|one| format!(" {one}"));
            let text = |at: usize| row.get::<_, &str>(at).to_owned();
            format!(
                "{} {} {} {}{}",
                text(0),
                text(1),
                text(2),
                text(3),
                version.unwrap_or_default()
            )
        })
        .collect();
    let mut expected = [
        "queueChanged 77 seniorOfficer entry-bans 1",
        "queueChanged 77 seniorOfficer entry-bans 2",
        "queueRemoved 77 seniorOfficer entry-bans",
        "queueChanged 77 seniorOfficer entry-bans 4",
        "queueChanged 77 seniorOfficer intake 1",
        "queueRemoved 77 seniorOfficer intake",
        "queueChanged 77 seniorOfficer intake 3",
        "queueRemoved 77 seniorOfficer checks",
    ]
    .map(str::to_owned);
    let mut events = events;
    events.sort();
    expected.sort();
    assert_eq!(events, expected);
}

#[actix_web::test]
async fn a_queue_that_can_never_be_right_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let put = async |name: &str, body: Value| {
        let call = app.put(&format!("/v1/queues/{name}")).by(SENIOR);
        call.header("if-none-match", "*").json(body).send().await.expect(400).errors()
    };
    let filter = json!({
        "track": ["patent", "student"], "state": ["checking", "lost"], "check": ["weather"],
        "minAgeDays": 9, "maxAgeDays": 3,
    });
    assert_eq!(
        put("mine", definition(&filter)).await,
        [
            "/filter/check/0 unknown-name",
            "/filter/maxAgeDays range",
            "/filter/state/1 unknown-name",
            "/filter/track/1 unknown-name",
        ]
    );
    // A check of another track than the one named is unknown there.
    let filter = json!({ "track": ["highly-qualified-specialist"], "check": ["language"] });
    assert_eq!(put("mine", definition(&filter)).await, ["/filter/check/0 unknown-name"]);
    let filter = json!({ "work": ["checks"], "phase": ["fee"] });
    assert_eq!(put("mine", definition(&filter)).await, ["/filter/phase never"]);
    let long: String = "a".repeat(41);
    for name in ["Mine", "9-lives", "a_b", long.as_str()] {
        assert_eq!(put(name, definition(&json!({}))).await, ["queue pattern"], "{name}");
    }
    let filter = json!({ "work": ["intake"] });
    assert_eq!(put("payments", definition(&filter)).await, ["/filter not-applicable"]);
    let wrong = json!({ "title": { "en": "" }, "position": -1, "filter": { "work": ["sleep"], "colour": 1 } });
    let errors = put("mine", wrong).await;
    for pointer in ["/title/en", "/title/ru", "/position", "/filter/work/0", "/filter/colour"] {
        let found = errors.iter().any(|one| one.starts_with(&format!("{pointer} ")));
        assert!(found || pointer == "/title/en" || pointer == "/position", "{pointer}: {errors:?}");
    }
    // Nothing was written.
    let rows = app.sql().await.query("SELECT FROM queues", &[]).await.unwrap();
    assert!(rows.is_empty());
}

#[actix_web::test]
async fn a_unit_has_forty_queues_at_most() {
    let app = TestApp::spawn().await;
    let put = async |number: usize| {
        let call = app.put(&format!("/v1/queues/q{number}")).by(SENIOR);
        call.header("if-none-match", "*").json(definition(&json!({}))).send().await
    };
    for number in 12..40 {
        put(number).await.expect(201);
    }
    put(40).await.expect(422).problem("rule-refused");
    let listed = app.get("/v1/queues").by(SENIOR).send().await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 40);
}

#[actix_web::test]
async fn money_to_match_is_a_queue_of_payments_that_nobody_claims_from() {
    let app = TestApp::spawn().await;
    app.callback(json!({ "id": "p1", "amountKopecks": 7, "paidAt": app.now() })).await.expect(200);
    let listed = app.get("/v1/queues").by(SENIOR).header("accept-language", "ru").send().await;
    let listed = listed.expect(200).json();
    let queue = listed["items"].as_array().unwrap().iter().find(|one| one["queue"] == "payments");
    let expected = json!({
        "queue": "payments", "title": "Платежи для разнесения", "kind": "payments",
        "waiting": 1, "free": 1,
        "links": { "queue": "/v1/queues/payments", "list": "/v1/payments" },
    });
    assert_eq!(queue, Some(&expected));
    // Whoever may not read payments is not sent to them.
    let of_officers = app.get("/v1/queues").by(OFFICER).send().await.expect(200).json();
    let names: Vec<&Value> =
        of_officers["items"].as_array().unwrap().iter().map(|one| &one["queue"]).collect();
    let all = listed["items"].as_array().unwrap().len();
    assert!(names.len() == all - 1 && !names.contains(&&json!("payments")), "{names:?}");
    for link in of_officers["items"].as_array().unwrap().iter().map(|one| &one["links"]) {
        for name in ["queue", "list"] {
            app.get(link[name].as_str().unwrap()).by(OFFICER).send().await.expect(200);
        }
    }
    app.get("/v1/queues/payments").by(OFFICER).send().await.expect(403).problem("forbidden");
    let shown = app.get("/v1/queues/payments").by(SENIOR).send().await.expect(200).json();
    assert_eq!((&shown["kind"], &shown["filter"]), (&json!("payments"), &json!({})));
    for refused in [
        app.post("/v1/queues/payments/claims").by(SENIOR).key("a").send().await.expect(404),
        app.get("/v1/queues/payments/applications").by(SENIOR).send().await.expect(404),
    ] {
        let problem = refused.problem("not-found");
        assert!(problem["detail"].as_str().unwrap().contains("GET /v1/payments"), "{problem}");
    }
    let metrics = app.get("/metrics").send().await.expect(200).text();
    let [moscow, petersburg] = ["77", "78"].map(|unit| gauges(&metrics, unit));
    assert_eq!(moscow["payments"], Count { waiting: 1, free: 1 });
    assert_eq!(petersburg["payments"], Count { waiting: 1, free: 1 });
    // Until the count is fifteen seconds old, it stands.
    app.submitted(MIGRANT).await;
    let metrics = app.get("/metrics").send().await.expect(200).text();
    assert_eq!(gauges(&metrics, "77")["intake"].waiting, 0);
    app.advance(TimeDelta::seconds(15));
    let metrics = app.get("/metrics").send().await.expect(200).text();
    assert_eq!(gauges(&metrics, "77")["intake"].waiting, 1);
}

#[actix_web::test]
async fn a_row_shows_what_an_officer_decides_by_and_a_claim_says_why_it_is_that_one() {
    let app = TestApp::spawn().await;
    let first = app.checking(MIGRANT).await;
    app.advance(TimeDelta::days(1));
    let second = app.checking(EMPLOYER).await;
    let hit =
        json!({ "command": "recordFinding", "check": "entryBan", "outcome": "hit", "note": "n" });
    app.command(OFFICER, &second.id, hit).await.expect(200);
    // What the desk's commands write, put there by hand.
    let note = "UPDATE applications SET notes = jsonb_build_array(\
         jsonb_build_object('note', 1, 'by', $2::text::uuid, 'at', '2026-03-03T06:00:00Z', 'text', 'old'), \
         jsonb_build_object('note', 2, 'by', $2::text::uuid, 'at', '2026-03-03T07:00:00Z', 'text', 'call him')) \
         WHERE id::text = $1";
    let sql = app.sql().await;
    sql.execute(note, &[&second.id, &SENIOR.id().to_string()]).await.unwrap();
    let rows = async |query: &str| -> Vec<Value> {
        let path = format!("/v1/queues/checks/applications{query}");
        let listed = app.get(&path).by(OFFICER).send().await.expect(200).json();
        listed["items"].as_array().unwrap().clone()
    };
    let listed = rows("").await;
    assert_eq!([&listed[0]["id"], &listed[1]["id"]], [&json!(first.id), &json!(second.id)]);
    // Taken in on Monday, 2 March: the tenth working day is the 17th, for 9 March is a day off.
    let urgency = json!({
        "reason": "due", "dueOn": "2026-03-17", "workingDaysLeft": 9,
        "detail": "Due on 2026-03-17; working days left: 9.",
    });
    assert_eq!((&listed[0]["urgency"], &listed[0]["dueOn"]), (&urgency, &json!("2026-03-17")));
    assert_eq!(listed[0]["work"], "checks");
    assert_eq!(listed[0]["openChecks"].as_array().unwrap().len(), 8);
    assert_eq!(listed[1]["claim"], Value::Null);
    let ban =
        listed[1]["openChecks"].as_array().unwrap().iter().find(|one| one["id"] == "entryBan");
    assert_eq!(ban.unwrap()["outcome"], "hit");
    assert!(!ban.unwrap()["title"].as_str().unwrap().is_empty());
    let waiting =
        listed[1]["openChecks"].as_array().unwrap().iter().find(|one| one["id"] == "medical");
    assert_eq!(waiting.unwrap()["outcome"], Value::Null);
    let note = json!({
        "text": "call him", "at": "2026-03-03T07:00:00Z", "by": SENIOR.id(), "name": SENIOR.name,
    });
    assert_eq!(listed[1]["lastNote"], note);
    // The applicant sees none of it.
    let own = app.get("/v1/applications").by(EMPLOYER).send().await.expect(200).json();
    for part in ["urgency", "work", "lastNote", "openChecks", "claim"] {
        assert_eq!(own["items"][0][part], Value::Null, "{part}");
    }
    let own = app.get(&second.path("")).by(EMPLOYER).send().await.expect(200).json();
    assert_eq!(own["urgency"], Value::Null);

    // A claim passes over what a colleague holds, and says so.
    let next = async |person, key: &str| -> Value {
        let call = app.post("/v1/queues/checks/claims").by(person).key(key);
        call.send().await.expect(200).json()
    };
    let claimed = next(OTHER_OFFICER, "a").await;
    assert_eq!((&claimed["id"], &claimed["urgency"]["heldAhead"]), (&json!(first.id), &json!(0)));
    let claimed = next(OFFICER, "b").await;
    assert_eq!((&claimed["id"], &claimed["urgency"]["heldAhead"]), (&json!(second.id), &json!(1)));
    assert_eq!(claimed["urgency"]["reason"], "due");
    assert_eq!(claimed["claim"]["queue"], "checks");
    let ids =
        |rows: Vec<Value>| -> Vec<Value> { rows.iter().map(|one| one["id"].clone()).collect() };
    assert_eq!(ids(rows("?holder=me").await), [json!(second.id)]);
    assert!(ids(rows("?holder=none").await).is_empty());
    let other = format!("?holder={}", OTHER_OFFICER.id());
    assert_eq!(ids(rows(&other).await), [json!(first.id)]);
    assert_eq!(ids(rows("?check=entryBan&track=patent&state=checking&limit=1").await).len(), 1);
    let wrong = app.get("/v1/queues/checks/applications?holder=him&overdue=perhaps&colour=1");
    let errors = wrong.by(OFFICER).send().await.expect(400).errors();
    assert_eq!(errors.len(), 3, "{errors:?}");

    // What a colleague picked by hand is known as that, also after a sign of life.
    app.delete(&first.path("/claim"))
        .by(OTHER_OFFICER)
        .if_match(app.version(&first.id).await)
        .send()
        .await
        .expect(200);
    for _ in 0..2 {
        let call = app.put(&first.path("/claim")).by(OTHER_OFFICER);
        let held = call.if_match(app.version(&first.id).await).send().await.expect(200).json();
        assert_eq!(held["claim"]["queue"], Value::Null);
    }
    let call = app.put(&second.path("/claim")).by(OFFICER);
    let held = call.if_match(app.version(&second.id).await).send().await.expect(200).json();
    assert_eq!(held["claim"]["queue"], "checks", "a sign of life changes nothing about that");
    let clear = json!({ "command": "recordFinding", "check": "medical", "outcome": "clear" });
    let held = app.command(OFFICER, &second.id, clear).await.expect(200).json();
    assert_eq!(held["claim"]["queue"], "checks", "nor does work");
    let history = async |case: &crate::support::drive::Case, person| -> Vec<Value> {
        let path = case.path("/history?limit=100");
        let listed = app.get(&path).by(person).send().await.expect(200).json();
        let claims =
            listed["items"].as_array().unwrap().iter().filter(|one| one["kind"] == "claimed");
        claims.map(|one| one["picked"].clone()).collect()
    };
    assert_eq!(history(&first, OFFICER).await, [json!(false), json!(true), json!(true)]);
    assert_eq!(history(&second, OFFICER).await, [json!(false), json!(false)]);
    assert_eq!(history(&second, EMPLOYER).await, [Value::Null, Value::Null]);

    // Put before all others, it comes first and says why; late, the other says that.
    let expedite = "UPDATE applications SET expedited = jsonb_build_object('by', $2::text::uuid, \
         'at', '2026-03-03T07:00:00Z', 'reason', 'Fell ill.') WHERE id::text = $1";
    sql.execute(expedite, &[&second.id, &SENIOR.id().to_string()]).await.unwrap();
    app.advance(TimeDelta::days(16));
    let listed = rows("").await;
    assert_eq!([&listed[0]["id"], &listed[1]["id"]], [&json!(second.id), &json!(first.id)]);
    assert_eq!(listed[0]["urgency"]["reason"], "expedited");
    assert_eq!(listed[0]["urgency"]["expeditedReason"], "Fell ill.");
    assert_eq!(listed[1]["urgency"]["reason"], "overdue");
    assert_eq!(listed[1]["urgency"]["workingDaysLeft"], -2);
    assert_eq!(ids(rows("?expedited=true").await), [json!(second.id)]);
    let overdue = app.get("/v1/queues/overdue/applications").by(OFFICER).send().await.expect(200);
    assert_eq!(overdue.json()["items"].as_array().unwrap().len(), 2);
}
