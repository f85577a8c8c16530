//! Two at once: each race is run so that both have decided before either writes, and one of them wins.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{Days, TimeDelta};
use futures_util::future::join_all;
use propusk::casework::{Answer, Ask, Idempotency, Received, Seen};
use propusk::domain::actor::Actor;
use propusk::domain::application::InformationKind;
use propusk::domain::event::{Act, BuiltIn, Event};
use propusk::domain::fee::{Money, Payment, Uin};
use propusk::domain::queue::Queue;
use propusk::domain::workflow::command::{Answer as Reply, Command, RequestedItem};
use propusk::domain::workflow::definition::CommandName;
use propusk::error::{Error, ErrorCode, Result};
use uuid::Uuid;

use crate::support::cases::grounds;
use crate::support::office::{Colleague, Office, render};

/// Renders for one of several racers: the first time, it waits until all have come so far. The engine has then
/// decided for each of them, and none has written.
fn at_the_line<'a>(
    line: &'a Barrier,
    met: &'a AtomicBool,
) -> impl Fn(&Seen<'_>) -> Result<String> + 'a {
    move |seen| {
        if !met.swap(true, Ordering::SeqCst) {
            line.wait();
        }
        Ok(format!("{} {}", seen.application.id, seen.application.state))
    }
}

/// Gives two commands on applications, both decided before either is written.
async fn race(
    office: &Office,
    first: (Ask, Uuid, Command),
    second: (Ask, Uuid, Command),
) -> [Result<Answer>; 2] {
    let (line, met) = (Barrier::new(2), [AtomicBool::new(false), AtomicBool::new(false)]);
    let run = |(ask, id, command): (Ask, Uuid, Command), met| {
        let (casework, line) = (office.casework.clone(), &line);
        async move { casework.execute(&ask, id, &command, &at_the_line(line, met)).await }
    };
    on_threads(run(first, &met[0]), run(second, &met[1])).await
}

/// Runs two futures on threads of their own, as the line holds each up.
async fn on_threads<T: Send>(
    first: impl Future<Output = T> + Send,
    second: impl Future<Output = T> + Send,
) -> [T; 2] {
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| handle.block_on(second));
            let one = handle.block_on(first);
            [one, other.join().unwrap()]
        })
    })
}

/// Sorts the two answers of a race that one must win.
fn won_and_lost(answers: [Result<Answer>; 2]) -> (Answer, Error) {
    match answers {
        [Ok(won), Err(lost)] | [Err(lost), Ok(won)] => (won, lost),
        both => panic!("not one winner: {both:?}"),
    }
}

fn times(events: &[Event], act: Act) -> usize {
    events.iter().filter(|event| event.act == act).count()
}

fn intake() -> Queue {
    Queue::default_named("intake").unwrap()
}

fn timer() -> Ask {
    Ask { actor: Actor::Timer, if_match: None, idempotency: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_claim_one_application_and_one_gets_it() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let (line, met) = (Barrier::new(2), [AtomicBool::new(false), AtomicBool::new(false)]);
    let claim = |who: &Colleague, met| {
        let (casework, line, ask) = (office.casework.clone(), &line, who.ask());
        async move { casework.claim(&ask, id, &at_the_line(line, met)).await }
    };
    let answers = on_threads(claim(&office.anna, &met[0]), claim(&office.boris, &met[1])).await;
    let (_, lost) = won_and_lost(answers);
    assert_eq!(lost.code(), ErrorCode::ClaimedByAnother);
    assert_eq!(times(&office.agreed(id).await, Act::BuiltIn(BuiltIn::Claim)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_claim_is_told_the_holder_whatever_version_he_saw() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let version = office.now(id).await.application.version;
    let having_seen = |who: &Colleague| Ask { if_match: Some(version), ..who.ask() };
    let (line, met) = (Barrier::new(2), [AtomicBool::new(false), AtomicBool::new(false)]);
    let claim = |who: &Colleague, met| {
        let (casework, line, ask) = (office.casework.clone(), &line, having_seen(who));
        async move { casework.claim(&ask, id, &at_the_line(line, met)).await }
    };
    let answers = on_threads(claim(&office.anna, &met[0]), claim(&office.boris, &met[1])).await;
    let (_, lost) = won_and_lost(answers);
    let holder = office.now(id).await.application.claim.unwrap().by;
    let (winner, loser, name) = if holder == office.anna.id {
        (&office.anna, &office.boris, "anna")
    } else {
        (&office.boris, &office.anna, "boris")
    };
    let late = office.casework.claim(&having_seen(loser), id, &render).await.unwrap_err();
    for refused in [lost, late] {
        assert_eq!(refused.code(), ErrorCode::ClaimedByAnother);
        let Error::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.facts.get("holderName"), Some(&name.into()));
    }

    // A colleague's note ends nobody's sign of life.
    office.casework.note(&loser.ask(), id, "he called", &render).await.unwrap();
    office.casework.claim(&having_seen(winner), id, &render).await.unwrap();
    // Where nobody holds it, the version counts.
    office.casework.release(&winner.ask(), id, None, &render).await.unwrap();
    let stale = office.casework.claim(&having_seen(loser), id, &render).await.unwrap_err();
    assert_eq!(stale.code(), ErrorCode::StaleVersion);
    office.agreed(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_ask_for_the_next_of_one_application_and_one_gets_it() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let given = next_for_many(&office, 2).await;
    assert_eq!(given, [id]);
    assert_eq!(times(&office.agreed(id).await, Act::BuiltIn(BuiltIn::Claim)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_ask_for_the_next_of_ten_and_each_is_given_once() {
    let office = Office::open().await;
    let mut waiting = Vec::new();
    for number in 0..10 {
        let passport = format!("FA100000{number}");
        waiting.push(office.submitted(&office.migrant, "patent", &passport).await);
    }
    let mut given = next_for_many(&office, 20).await;
    given.sort_unstable();
    waiting.sort_unstable();
    assert_eq!(given, waiting);
    for id in waiting {
        assert_eq!(times(&office.agreed(id).await, Act::BuiltIn(BuiltIn::Claim)), 1);
    }
}

/// Asks so many times at once for the next of the intake queue; gives what was given.
async fn next_for_many(office: &Office, times: usize) -> Vec<Uuid> {
    let asks = (0..times).map(|number| {
        let who = if number % 2 == 0 { &office.anna } else { &office.boris };
        let (ask, casework) =
            (who.ask_with_key(&format!("next-{number}")), office.casework.clone());
        tokio::spawn(async move { casework.claim_next(&ask, "77", &intake(), &render).await })
    });
    let given = join_all(asks).await.into_iter().map(|answer| answer.unwrap().unwrap());
    given.flatten().map(|answer| answer.body.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_repeated_request_for_the_next_gets_the_same_application() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let ask = office.anna.ask_with_key("next");
    let queue = intake();
    let next = || office.casework.claim_next(&ask, "77", &queue, &render);
    let first = next().await.unwrap().unwrap();
    assert_eq!((first.body.parse(), first.replayed), (Ok(id), false));
    let again = next().await.unwrap().expect("the first answer was lost, and nothing else is free");
    assert_eq!((again.body.parse(), again.replayed), (Ok(id), true));
    let other = office.submitted(&office.migrant, "patent", "FA1234568").await;
    let again = next().await.unwrap().unwrap();
    assert_eq!((again.body.parse(), again.replayed), (Ok(id), true));
    assert_eq!(office.now(other).await.application.claim, None);
    assert_eq!(times(&office.agreed(id).await, Act::BuiltIn(BuiltIn::Claim)), 1);
}

#[tokio::test]
async fn the_next_of_a_unit_is_for_its_officers_alone() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    for who in [&office.vera, &office.migrant, &office.auditor] {
        let ask = who.ask_with_key("not-mine");
        let refused = office.casework.claim_next(&ask, "77", &intake(), &render).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::Forbidden, "{:?}", who.role);
    }
    assert_eq!(office.now(id).await.application.claim, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_grant_one_application_and_one_decides() {
    let office = Office::open().await;
    let id = office.checked("patent", "FA1234567").await;
    let answers = race(
        &office,
        (office.boris.ask(), id, Command::Grant),
        (office.senior.ask(), id, Command::Grant),
    )
    .await;
    let (_, lost) = won_and_lost(answers);
    assert_eq!(lost.code(), ErrorCode::WrongState);
    let events = office.agreed(id).await;
    assert_eq!(times(&events, Act::Command(CommandName::Grant)), 1);
    assert_eq!(office.now(id).await.application.charges.len(), 2, "one charge for the tax");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_named_the_version_he_saw_is_told_that_it_is_stale() {
    let office = Office::open().await;
    let id = office.checked("patent", "FA1234567").await;
    let seen = Some(office.now(id).await.application.version);
    let ask = |who: &Colleague| Ask { if_match: seen, ..who.ask() };
    let answers = race(
        &office,
        (ask(&office.boris), id, Command::Grant),
        (ask(&office.senior), id, Command::Grant),
    )
    .await;
    assert_eq!(won_and_lost(answers).1.code(), ErrorCode::StaleVersion);
    assert_eq!(times(&office.agreed(id).await, Act::Command(CommandName::Grant)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_submits_twice_with_one_key_and_gets_one_answer_twice() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let ask = office.migrant.ask_with_key("once");
    let answers =
        race(&office, (ask.clone(), id, Command::Submit), (ask, id, Command::Submit)).await;
    let [one, other] = answers.map(Result::unwrap);
    assert_ne!(one.replayed, other.replayed);
    assert_eq!((one.status, one.etag, one.body), (other.status, other.etag, other.body));
    assert_eq!(times(&office.agreed(id).await, Act::Command(CommandName::Submit)), 1);
    assert_eq!(office.now(id).await.application.charges.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_for_two_requests_is_refused_and_nothing_is_written() {
    let office = Office::open().await;
    let [one, other] = ["FA1234567", "FA1234568"]
        .map(|passport| office.draft(&office.migrant, "patent", passport));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    let ask = |fingerprint| Ask {
        idempotency: Some(Idempotency { key: "once".into(), fingerprint: [fingerprint; 32] }),
        ..office.migrant.ask()
    };
    let answers =
        race(&office, (ask(1), one, Command::Submit), (ask(2), other, Command::Submit)).await;
    let (won, lost) = won_and_lost(answers);
    assert_eq!(lost.code(), ErrorCode::IdempotencyKeyReused);
    let winner: Uuid = won.body.split(' ').next().unwrap().parse().unwrap();
    let (loser, print) = if winner == one { (other, 2) } else { (one, 1) };
    let untouched = office.now(loser).await.application;
    assert_eq!((untouched.state.as_str(), untouched.charges.len()), ("draft", 0));
    for id in [winner, loser] {
        let (ask, withdraw) = (ask(print), Command::Withdraw { reason: None });
        let refused = office.casework.execute(&ask, id, &withdraw, &render).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::IdempotencyKeyReused);
    }
    assert_eq!(office.now(loser).await.application, untouched);
    assert_eq!(times(&office.agreed(loser).await, Act::Command(CommandName::Submit)), 0);
    office.agreed(winner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_and_the_applicant_meet_on_the_last_day_and_one_of_them_wins() {
    let office = Office::open().await;
    let id = office.checked("patent", "FA1234567").await;
    let item = RequestedItem {
        kind: InformationKind::Document,
        subject: "page 2".into(),
        reason: "illegible".into(),
        due_on: office.today() + Days::new(3),
        check: None,
        document: None,
        field: None,
    };
    office
        .give(&office.boris, id, Command::RequestInformation { items: vec![item] })
        .await
        .unwrap();
    office.clock.advance(TimeDelta::days(4));
    let answers = vec![Reply { item: 1, text: "here".into(), form: None }];
    let expire = Command::Deadline { name: CommandName::ExpireInformation };
    let answers = race(
        &office,
        (office.migrant.ask(), id, Command::AnswerInformation { answers }),
        (timer(), id, expire),
    )
    .await;
    assert_eq!(won_and_lost(answers).1.code(), ErrorCode::WrongState);
    let now = office.now(id).await.application;
    assert_eq!(now.state, "checking");
    assert_ne!(now.information[0].answer.is_some(), now.information[0].closed);
    office.agreed(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_and_the_officer_end_one_permit_once() {
    let office = Office::open().await;
    let id = office.in_force("FA1234567").await;
    office.clock.set("2026-04-11T12:00:00Z".parse().unwrap());
    let propose =
        Command::ProposeAnnulment { grounds: grounds("G01"), reason: "false statements".into() };
    office.give(&office.anna, id, propose).await.unwrap();
    let answers = race(
        &office,
        (office.senior.ask(), id, Command::ConfirmAnnulment),
        (timer(), id, Command::Deadline { name: CommandName::Lapse }),
    )
    .await;
    assert_eq!(won_and_lost(answers).1.code(), ErrorCode::WrongState);
    let now = office.now(id).await.application;
    assert!(["annulled", "lapsed"].contains(&now.state.as_str()), "{}", now.state);
    office.agreed(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escalation_never_holds_an_officer_up() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    office.clock.advance(TimeDelta::days(3));
    let [accepted, escalated] = race(
        &office,
        (office.anna.ask(), id, Command::Accept),
        (timer(), id, Command::Deadline { name: CommandName::Escalate }),
    )
    .await;
    accepted.unwrap();
    // Too late, the timer finds a state whose own deadline has not passed.
    assert!(escalated.is_ok() || escalated.is_err_and(|no| no.code() == ErrorCode::RuleRefused));
    assert_eq!(office.now(id).await.application.state, "checking");
    office.agreed(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_drafts_of_one_passport_are_handed_in_at_once_and_one_is_taken() {
    let office = Office::open().await;
    let mine = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let theirs = office.draft(&office.employer, "patent", "FA1234567").await.unwrap();
    let answers = race(
        &office,
        (office.migrant.ask(), mine, Command::Submit),
        (office.employer.ask(), theirs, Command::Submit),
    )
    .await;
    let (_, lost) = won_and_lost(answers);
    assert_eq!(lost.code(), ErrorCode::RuleRefused);
    let Error::Refused(refusal) = lost else { panic!("not a refusal") };
    assert_eq!(refusal.facts["blockedBy"][0]["guard"], "noOtherOpenApplication");
    let mut states = Vec::new();
    for id in [mine, theirs] {
        office.agreed(id).await;
        states.push(office.now(id).await.application.state);
    }
    states.sort();
    assert_eq!(states, ["awaitingDuty", "draft"]);
}

async fn tell(office: &Office, payments: Vec<Payment>) -> Vec<Received> {
    let told = payments.into_iter().map(|payment| {
        let casework = office.casework.clone();
        tokio::spawn(async move { casework.receive(&payment).await })
    });
    let mut told: Vec<Received> =
        join_all(told).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    told.sort_by_key(|one| format!("{one:?}"));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_told_many_times_at_once_is_booked_once() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let charge =
        office.give(&office.migrant, id, Command::Submit).await.unwrap().application.charges[0]
            .clone();
    let payment = |provider_id: &str, uin: &Uin, amount| Payment {
        provider_id: provider_id.into(),
        uin: Some(uin.clone()),
        amount,
        paid_at: charge.created_at,
        payer: None,
        ..Payment::default()
    };
    let half = Money::from_kopecks(charge.amount.kopecks() / 2).unwrap();
    let told = tell(&office, vec![payment("half", &charge.uin, half); 6]).await;
    assert_eq!(told[..2], [Received::Booked, Received::Known]);
    assert_eq!(told.last(), Some(&Received::Known));
    assert_eq!(office.now(id).await.application.charges[0].paid, half);

    // Two that would each settle the rest: one does, the other waits for an officer.
    let rest = ["rest", "again"].map(|name| payment(name, &charge.uin, half)).into();
    assert_eq!(tell(&office, rest).await, [Received::Booked, Received::Waiting]);
    let now = office.now(id).await.application;
    assert_eq!((now.state.as_str(), now.charges[0].paid), ("submitted", charge.amount));
    assert_eq!(times(&office.agreed(id).await, Act::Command(CommandName::RecordPayment)), 2);

    let nobodys = payment("nobody", &Uin::compose("188", 999_999), half);
    let told = tell(&office, vec![nobodys; 6]).await;
    assert_eq!(told.iter().filter(|one| **one == Received::Waiting).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|one| **one == Received::Known).count(), 5, "{told:?}");
    let owner = office.owner().await;
    let count = "SELECT count(*) FROM payments UNION ALL \
                 SELECT count(*) FROM events WHERE kind = 'paymentReceived'";
    let rows: Vec<i64> =
        owner.query(count, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, [4, 2]);
}
