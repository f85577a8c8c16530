//! One predicate: what a queue lists, counts and gives out next is the same; and each list is one statement.

use std::collections::BTreeMap;

use propusk::clock::Clock;
use propusk::domain::application::Application;
use propusk::domain::queue::{Queue, Work};
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::{CommandName, Phase};
use propusk::storage::applications::{
    Place, SummaryRow, count_queues, list_of_applicant, list_queue,
};
use uuid::Uuid;

use crate::support::office::{Office, render};
use crate::support::walk::Walk;

/// Lists a queue by pages of `limit`, as an officer would leaf through it.
async fn list(office: &Office, unit: &str, queue: Queue, limit: i64) -> Vec<SummaryRow> {
    let mut conn = office.db.conn().await.unwrap();
    let (mut all, mut after) = (Vec::<SummaryRow>::new(), None);
    loop {
        let page =
            list_queue(&mut conn, unit, queue, office.clock.now(), after, limit).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(Place {
            due_on: last.due_on,
            submitted_at: last.submitted_at.unwrap(),
            id: last.id,
        });
        all.extend(page);
    }
}

/// What should wait in a queue, most urgent first, by the rules alone.
fn expected(office: &Office, all: &[Application], queue: Queue) -> Vec<Uuid> {
    let mut waiting: Vec<&Application> = all
        .iter()
        .filter(|one| {
            let definition = office.rules.definition(&one.track, one.workflow_version).unwrap();
            let state = definition.state(&one.state).unwrap();
            let home = Work::may_wait_in(state).then_some(match state.phase {
                Phase::Submission => Queue::Intake,
                Phase::Checks => Queue::Checks,
                Phase::Fee => Queue::Payment,
                Phase::Issuance => Queue::Handover,
                Phase::InForce | Phase::Closed => Queue::Annulments,
            });
            let late = one.due_on.is_some_and(|due| due < office.today());
            let overdue =
                home.is_some() && one.escalated_at.is_some() || home == Some(Queue::Checks) && late;
            home == Some(queue) || queue == Queue::Overdue && overdue
        })
        .collect();
    waiting.sort_by_key(|one| (one.due_on.is_none(), one.due_on, one.submitted_at, one.id));
    waiting.into_iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn what_a_queue_lists_counts_and_gives_out_is_the_same_after_any_commands() {
    let mut walk = Walk::begin(5).await;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut given = 0;
    for step in 0..240 {
        walk.step().await;
        if step % 6 > 0 {
            continue;
        }
        let office = &walk.office;
        let now = office.clock.now();
        let mut all = Vec::new();
        for id in &walk.under_way {
            all.push(office.now(*id).await.application);
        }
        let mut conn = office.db.conn().await.unwrap();
        let counts = count_queues(&mut conn, "77", now).await.unwrap();
        let elsewhere = count_queues(&mut conn, "78", now).await.unwrap();
        drop(conn);
        assert!(elsewhere.iter().all(|(_, waiting, free)| (*waiting, *free) == (0, 0)));
        assert_eq!(counts.len(), Queue::ALL.len());
        let mut first_free = None;
        for (queue, waiting, free) in counts {
            let listed = list(office, "77", queue, 100).await;
            let ids: Vec<Uuid> = listed.iter().map(|row| row.id).collect();
            assert_eq!(ids, expected(office, &all, queue), "{queue:?}");
            assert_eq!(waiting, i64::try_from(ids.len()).unwrap(), "{queue:?}");
            let of_pages: Vec<Uuid> =
                list(office, "77", queue, 1).await.iter().map(|row| row.id).collect();
            assert_eq!(of_pages, ids, "{queue:?} by pages of one");
            let open: Vec<&SummaryRow> = listed
                .iter()
                .filter(|row| row.claimed_until.is_none_or(|until| until <= now))
                .collect();
            assert_eq!(free, i64::try_from(open.len()).unwrap(), "{queue:?}");
            *seen.entry(queue.name()).or_default() += ids.len();
            // In turn each queue's next is taken, also when nothing is free.
            if Queue::ALL[step / 6 % Queue::ALL.len()] == queue {
                first_free = Some((queue, open.first().map(|row| row.id)));
            }
        }
        if let Some((queue, next)) = first_free {
            let ask = office.senior.ask_with_key(&format!("next-{step}"));
            let answer = office.casework.claim_next(&ask, "77", queue, &render).await.unwrap();
            let got: Option<Uuid> = answer.map(|answer| answer.body.parse().unwrap());
            assert_eq!(got, next, "{queue:?}");
            given += usize::from(got.is_some());
        }
    }
    assert!(given >= 5, "only {given} were given out");
    // Random steps hardly ever leave a patent granted and unpaid; the next test does so on purpose.
    let walked = Queue::ALL.iter().filter(|queue| **queue != Queue::Payment);
    assert!(walked.into_iter().all(|queue| seen.get(queue.name()) > Some(&0)), "{seen:?}");
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
    for queue in [Queue::Intake, Queue::Checks, Queue::Handover, Queue::Annulments] {
        let ids: Vec<Uuid> =
            list(&office, "77", queue, 100).await.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), 3, "{queue:?}");
        for (number, id) in ids.iter().map(|id| Some(*id)).chain([None]).enumerate() {
            let ask = office.senior.ask_with_key(&format!("{queue:?}-{number}"));
            let answer = office.casework.claim_next(&ask, "77", queue, &render).await.unwrap();
            assert_eq!(answer.map(|answer| answer.body.parse().unwrap()), id, "{queue:?}");
        }
    }
}

#[tokio::test]
async fn a_list_is_one_statement_however_long() {
    let office = Office::open().await;
    for number in 0..4 {
        office.submitted(&office.migrant, "patent", &format!("FA100000{number}")).await;
    }
    let mut conn = office.db.conn().await.unwrap();
    let now = office.clock.now();
    let before = office.db.statements();
    let listed = list_queue(&mut conn, "77", Queue::Intake, now, None, 50).await.unwrap();
    assert_eq!((listed.len(), office.db.statements() - before), (4, 1), "a queue");
    let before = office.db.statements();
    count_queues(&mut conn, "77", now).await.unwrap();
    assert_eq!(office.db.statements() - before, 1, "the counts of all queues");
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
    let ids = |rows: Vec<SummaryRow>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(list(&office, "77", Queue::Payment, 10).await), [id]);
    assert!(list(&office, "77", Queue::Overdue, 10).await.is_empty());
    office.clock.advance(chrono::TimeDelta::days(31));
    office.casework.deadline(id, CommandName::Escalate).await.unwrap();
    assert_eq!(ids(list(&office, "77", Queue::Overdue, 10).await), [id]);
    let ask = office.anna.ask_with_key("next");
    let answer = office.casework.claim_next(&ask, "77", Queue::Overdue, &render).await.unwrap();
    assert_eq!(answer.unwrap().body, id.to_string());
}
