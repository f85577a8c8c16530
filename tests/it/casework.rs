//! The door: what a change costs, and that it is whole.

use propusk::casework::Received;
use propusk::clock::Clock as _;
use propusk::domain::fee::{Money, Payment};
use propusk::domain::permit::PermitStatus;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::Phase;
use propusk::error::{Error, ErrorCode};

use crate::support::office::{Office, render};

#[tokio::test]
async fn a_patent_walks_from_draft_to_a_permit_in_force() {
    let office = Office::open().await;
    let id = office.checked("patent", "FA1234567").await;
    let granted = office.give(&office.boris, id, Command::Grant).await.unwrap();
    assert_eq!(granted.application.state, "awaitingPayment");
    assert_eq!(office.pay(id).await, Received::Booked);
    let now = office.give(&office.boris, id, Command::HandOver).await.unwrap();
    assert_eq!(now.application.phase, Phase::InForce);
    let permit = now.application.permit.unwrap();
    assert_eq!(permit.status, PermitStatus::InForce);
    assert_eq!(permit.issued_on.to_string(), "2026-03-10");
    assert_eq!(permit.paid_through.unwrap().to_string(), "2026-04-10");
    assert_eq!(permit.ends_on.to_string(), "2027-03-10");
}

#[tokio::test]
async fn a_highly_qualified_specialist_walks_the_same_engine() {
    let office = Office::open().await;
    let id = office.checked("highly-qualified-specialist", "FA1234567").await;
    office.give(&office.boris, id, Command::Grant).await.unwrap();
    let now = office.give(&office.boris, id, Command::HandOver).await.unwrap();
    assert_eq!(now.application.phase, Phase::InForce);
    assert_eq!(now.application.permit.unwrap().ends_on.to_string(), "2029-03-10");
}

#[tokio::test]
async fn a_command_takes_two_round_trips() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let counted = |before: u64| office.db.statements() - before;

    let before = office.db.statements();
    office
        .casework
        .execute(&office.migrant.ask_with_key("k1"), id, &Command::Submit, &render)
        .await
        .unwrap();
    assert_eq!(counted(before), 2, "a command loads once and writes once");

    let before = office.db.statements();
    office
        .casework
        .execute(&office.migrant.ask_with_key("k1"), id, &Command::Submit, &render)
        .await
        .unwrap();
    assert_eq!(counted(before), 1, "a repeated command is answered from what was loaded");

    let before = office.db.statements();
    office.pay(id).await;
    assert_eq!(counted(before) - 1, 2, "a payment loads once and writes once");

    let stray = Payment {
        provider_id: "stray".into(),
        amount: Money::from_kopecks(1).unwrap(),
        paid_at: office.clock.now(),
        payer_document: Some("FA0000000".into()),
        kbk: Some("18810806000010000110".into()),
        ..Payment::default()
    };
    let before = office.db.statements();
    office.casework.receive(&stray).await.unwrap();
    assert_eq!(
        counted(before),
        2,
        "a payment that matches nothing looks once and is recorded once"
    );

    let before = office.db.statements();
    office
        .casework
        .open(&office.migrant.ask_with_key("k2"), "patent", "77", office.form("FA7654321"), &render)
        .await
        .unwrap();
    assert_eq!(counted(before), 2, "an opening loads once and writes once");

    let before = office.db.statements();
    office
        .casework
        .claim_next(
            &office.anna.ask_with_key("k3"),
            "77",
            &propusk::domain::queue::Queue::default_named("intake").unwrap(),
            &render,
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(counted(before), 2, "a claim takes once and reads once");
}

#[tokio::test]
async fn who_accepted_or_checked_cannot_decide() {
    let office = Office::open().await;
    let id = office.checked("patent", "FA1234567").await;
    let refused = office.give(&office.anna, id, Command::Grant).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RuleRefused);
    let Error::Refused(refusal) = refused else { panic!("not a refusal") };
    assert_eq!(refusal.violations[0].code, "four-eyes");
    assert_eq!(office.now(id).await.application.state, "checking");
}

#[tokio::test]
async fn a_payment_takes_effect_once_and_one_that_matches_nothing_waits() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let now = office.give(&office.migrant, id, Command::Submit).await.unwrap();
    let charge = &now.application.charges[0];
    let payment = |id: &str, kopecks: i64| Payment {
        provider_id: id.into(),
        uin: Some(charge.uin.clone()),
        amount: Money::from_kopecks(kopecks).unwrap(),
        paid_at: now.application.created_at,
        payer: None,
        ..Payment::default()
    };
    assert_eq!(office.casework.receive(&payment("p1", 100_000)).await.unwrap(), Received::Booked);
    assert_eq!(office.casework.receive(&payment("p1", 100_000)).await.unwrap(), Received::Known);
    assert_eq!(office.now(id).await.application.state, "awaitingDuty");
    assert_eq!(office.casework.receive(&payment("p2", 320_000)).await.unwrap(), Received::Booked);
    assert_eq!(office.now(id).await.application.state, "submitted");
    assert_eq!(office.casework.receive(&payment("p3", 1)).await.unwrap(), Received::Waiting);
    assert_eq!(office.casework.receive(&payment("p3", 1)).await.unwrap(), Received::Known);
}
