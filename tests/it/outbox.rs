//! Jobs run once, failures are kept apart, and a mail server that is down delays mail and nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use propusk::clock::{Clock, FixedClock};
use propusk::domain::application::Application;
use propusk::domain::event::Job;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::{CommandName, Definition};
use propusk::error::Result;
use propusk::notify::{Case, Composer, Mailer};
use propusk::storage::jobs::JobCounts;
use propusk::storage::messages::{self, MessageStatus, NewMessage};
use propusk::storage::{Db, DbOptions, jobs};
use propusk::worker::mail::{CaseSource, MailHandler, StoredCases};
use propusk::worker::timer::{TimerDoor, TimerHandler};
use propusk::worker::{Handler, Handlers, Outcome, Task, Wake, Worker, WorkerOptions};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use crate::support::cases::grounds;
use crate::support::db::{TestDatabase, test_dir};
use crate::support::office::Office;

const APPLICATION: Uuid = Uuid::from_u128(1);
const KINDS: [&str; 3] = ["timer", "mail", "deleteDocuments"];

/// A database with one application, a clock that stands still, and the means to insert jobs.
struct Outbox {
    database: TestDatabase,
    db: Db,
    clock: Arc<FixedClock>,
    owner: tokio_postgres::Client,
}

impl Outbox {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let db = connect(&database);
        let clock = FixedClock::new("2026-03-02T09:00:00Z".parse().unwrap(), 1);
        let (owner, connection) =
            tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        owner
            .batch_execute(&format!(
                "INSERT INTO units VALUES ('77', 'Москва', '77', 'Europe/Moscow');
                 INSERT INTO accounts VALUES ('{APPLICATION}', 'a@example.org', 'A', 'migrant', NULL, '', now());
                 INSERT INTO workflow_definitions VALUES ('patent', 1, sha256(''), '', now());
                 INSERT INTO applications (id, reference, track, workflow_version, unit_code, applicant_id,
                     state, phase, version, created_at, state_since, form)
                 VALUES ('{APPLICATION}', 'R', 'patent', 1, '77', '{APPLICATION}', 'draft', 'submission', 1,
                     now(), now(), '{{}}')"
            ))
            .await
            .unwrap();
        Self { database, db, clock: Arc::new(clock), owner }
    }

    async fn enqueue(&self, job: &Job, run_at: DateTime<Utc>) -> String {
        let payload = serde_json::to_string(job).unwrap();
        let (kind, key) = (job.kind(), job.key());
        let insert = format!(
            "INSERT INTO jobs (kind, key, payload, run_at, created_at)
             VALUES ('{kind}', '{key}', '{payload}', '{run_at}', '{run_at}')"
        );
        self.owner.batch_execute(&insert).await.unwrap();
        key
    }

    async fn enqueue_timer(&self, application: u128) -> String {
        self.enqueue(&timer(application), self.clock.now()).await
    }

    async fn enqueue_mail(&self, message: &str) -> String {
        let event = self.clock.new_id();
        let job = Job::Mail { application: APPLICATION, message: message.to_owned(), event };
        self.enqueue(&job, self.clock.now()).await
    }

    fn worker(&self, handlers: Handlers) -> Worker {
        self.worker_with(handlers, Wake::default(), WorkerOptions::default())
    }

    fn worker_with(&self, handlers: Handlers, wake: Wake, options: WorkerOptions) -> Worker {
        Worker::new(connect(&self.database), self.clock.clone(), handlers, wake, options)
    }

    fn mail_handlers(&self, case: Case, smtp_port: u16) -> Handlers {
        let from = "Office <office@example.org>".parse().unwrap();
        let mail = MailHandler::new(
            self.db.clone(),
            self.clock.clone(),
            Arc::new(OneCase(case)),
            Composer::new("https://permits.example.org").unwrap(),
            Mailer::smtp(&format!("smtp://127.0.0.1:{smtp_port}"), from).unwrap(),
        );
        let timer = Arc::new(TimerHandler::new(Arc::new(OpenDoor)));
        Handlers {
            timer,
            redate: Arc::new(Does(|_| async { Outcome::Done })),
            mail: Arc::new(mail),
            alert: Arc::new(Does(|_| async { Outcome::Done })),
            registers: Arc::new(Does(|_| async { Outcome::Done })),
            money: Arc::new(Does(|_| async { Outcome::Done })),
            leaving: Arc::new(Does(|_| async { Outcome::Done })),
            papers: Arc::new(Does(|_| async { Outcome::Done })),
            documents: Arc::new(Does(|_| async { Outcome::Done })),
        }
    }

    async fn counts(&self) -> JobCounts {
        jobs::counts(&mut self.db.conn().await.unwrap(), self.clock.now()).await.unwrap()
    }

    async fn next_run_at(&self) -> Option<DateTime<Utc>> {
        jobs::next_run_at(&mut self.db.conn().await.unwrap(), &KINDS).await.unwrap()
    }

    async fn messages(&self) -> Vec<messages::MessageRow> {
        messages::list(&mut self.db.conn().await.unwrap(), APPLICATION).await.unwrap()
    }
}

fn connect(database: &TestDatabase) -> Db {
    Db::new(&DbOptions {
        url: database.url().to_owned(),
        pool_size: 10,
        wait: Duration::from_secs(30),
        statement_timeout: Duration::from_secs(30),
    })
    .unwrap()
}

fn timer(application: u128) -> Job {
    Job::Timer { application: Uuid::from_u128(application), command: CommandName::Escalate }
}

struct OneCase(Case);

impl CaseSource for OneCase {
    fn load(&self, _: Uuid) -> BoxFuture<'_, Result<Case>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

struct OpenDoor;

impl TimerDoor for OpenDoor {
    fn deadline(&self, _: Uuid, _: CommandName) -> BoxFuture<'_, Result<Option<DateTime<Utc>>>> {
        async { Ok(None) }.boxed()
    }

    fn deadlines<'a>(&'a self, due: &'a [(Uuid, CommandName)]) -> BoxFuture<'a, Result<Vec<bool>>> {
        async { Ok(vec![true; due.len()]) }.boxed()
    }
}

/// Runs a closure for every job of either kind.
struct Does<F>(F);

impl<F, R> Handler for Does<F>
where
    F: Fn(Task) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        (self.0)(task.clone()).boxed()
    }
}

fn handlers<F, R>(run: F) -> Handlers
where
    F: Fn(Task) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let handler = Arc::new(Does(run));
    Handlers {
        timer: handler.clone(),
        redate: handler.clone(),
        mail: handler.clone(),
        alert: handler.clone(),
        registers: handler.clone(),
        money: handler.clone(),
        leaving: handler.clone(),
        papers: handler.clone(),
        documents: handler,
    }
}

/// Starts the loop; the sender shuts it down, the handle ends when it has.
fn start(worker: Worker) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(async move { worker.run(stopped.map(|_| ())).await });
    (stop, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_never_run_one_job_twice() {
    let outbox = Outbox::new().await;
    for application in 0..60 {
        outbox.enqueue_timer(application).await;
    }
    let (ran, mut runs) = mpsc::unbounded_channel();
    let work = handlers(move |task| {
        let ran = ran.clone();
        async move {
            tokio::task::yield_now().await;
            ran.send(task.key).unwrap();
            Outcome::Done
        }
    });
    let first = start(outbox.worker(work.clone()));
    let second = start(outbox.worker(work));
    let mut seen = BTreeMap::new();
    for _ in 0..60 {
        *seen.entry(runs.recv().await.unwrap()).or_insert(0) += 1;
    }
    for (stop, running) in [first, second] {
        stop.send(()).unwrap();
        running.await.unwrap();
    }
    assert!(runs.recv().await.is_none());
    assert_eq!(seen.len(), 60);
    let counts = outbox.counts().await;
    assert_eq!((counts.due, counts.running, counts.dead), (0, 0, 0));
}

#[tokio::test]
async fn the_job_of_a_dead_worker_is_taken_over_when_its_lease_ends() {
    let outbox = Outbox::new().await;
    let key = outbox.enqueue_timer(1).await;
    let mut dead = outbox.db.conn().await.unwrap();
    let lease = TimeDelta::seconds(120);
    let rows = jobs::claim(&mut dead, &KINDS, &[], outbox.clock.now(), lease, 5).await.unwrap();
    assert_eq!(rows.iter().map(|row| &row.key).collect::<Vec<_>>(), [&key]);
    assert_eq!(outbox.counts().await.running, 1);

    let worker = outbox.worker(handlers(|task| async move {
        assert_eq!(task.attempt, 2);
        Outcome::Retry("not yet".to_owned())
    }));
    assert_eq!(worker.drain().await.unwrap(), Default::default());
    outbox.clock.advance(lease);
    assert_eq!(worker.drain().await.unwrap().retried.len(), 1);

    // The dead one was only slow; what it has to say no longer counts.
    let due = outbox.next_run_at().await;
    assert!(!jobs::finish(&mut dead, &rows[0], outbox.clock.now()).await.unwrap());
    jobs::retry(&mut dead, &rows[0], outbox.clock.now(), "late").await.unwrap();
    assert_eq!(outbox.next_run_at().await, due);
}

#[tokio::test]
async fn a_job_that_fails_panics_or_is_unknown_does_not_stop_the_others() {
    let outbox = Outbox::new().await;
    let mut keys = Vec::new();
    for application in 0..5 {
        keys.push(outbox.enqueue_timer(application).await);
    }
    outbox
        .owner
        .batch_execute(
            "INSERT INTO jobs (kind, key, payload, run_at, created_at) VALUES
                ('timer', 'broken', '{}', '2026-01-01', now()),
                ('hologram', 'newer', '{}', '2026-01-01', now())",
        )
        .await
        .unwrap();
    let (fails, panics) = (keys[0].clone(), keys[2].clone());
    let worker = outbox.worker(handlers(move |task| {
        let (fails, panics) = (task.key == fails, task.key == panics);
        async move {
            assert!(!panics, "boom");
            if fails { Outcome::Fail("hopeless".to_owned()) } else { Outcome::Done }
        }
    }));
    let report = worker.drain().await.unwrap();
    assert_eq!(report.done, [keys[1].clone(), keys[3].clone(), keys[4].clone()]);
    assert_eq!(report.retried, [(keys[2].clone(), "panicked: boom".to_owned())]);
    assert_eq!(
        report.dead,
        [
            ("broken".to_owned(), "corrupt row in jobs.payload: 6".to_owned()),
            (keys[0].clone(), "hopeless".to_owned()),
        ]
    );
    let counts = outbox.counts().await;
    // What a newer version enqueued is left to it, and shows.
    assert_eq!((counts.due, counts.waiting, counts.dead), (1, 1, 2));
    assert!(counts.oldest_due.unwrap() > TimeDelta::days(59));
}

#[tokio::test]
async fn failures_are_put_off_longer_each_time_and_mail_is_given_up_at_last() {
    let outbox = Outbox::new().await;
    let key = outbox.enqueue_mail("accepted").await;
    let worker = outbox.worker(handlers(|_| async { Outcome::Retry("away".to_owned()) }));
    let began = outbox.clock.now();
    let mut wait = TimeDelta::zero();
    for attempt in 1..12 {
        let report = worker.drain().await.unwrap();
        assert_eq!(report.retried, [(key.clone(), "away".to_owned())], "attempt {attempt}");
        let next = outbox.next_run_at().await.unwrap();
        let longer = next - outbox.clock.now();
        assert!(longer > wait || longer >= TimeDelta::hours(12), "attempt {attempt}: {longer}");
        wait = longer;
        outbox.clock.set(next - TimeDelta::microseconds(1));
        assert_eq!(worker.drain().await.unwrap(), Default::default());
        outbox.clock.set(next);
    }
    let report = worker.drain().await.unwrap();
    assert_eq!(report.dead, [(key, "gave up after 12 attempts: away".to_owned())]);
    assert!(outbox.clock.now() - began > TimeDelta::hours(57));
    assert_eq!(outbox.counts().await.dead, 1);
}

#[tokio::test]
async fn a_job_that_a_command_schedules_again_while_it_runs_is_not_lost() {
    let outbox = Outbox::new().await;
    let key = outbox.enqueue_timer(1).await;
    let later = outbox.clock.now() + TimeDelta::days(30);
    let (owner, connection) =
        tokio_postgres::connect(outbox.database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let owner = Arc::new(owner);
    // Once to the time it has, once to another.
    let again = Arc::new(Mutex::new(vec![later, outbox.clock.now()]));
    let worker = outbox.worker(handlers(move |_| {
        let (owner, next) = (Arc::clone(&owner), again.lock().unwrap().pop());
        async move {
            if let Some(run_at) = next {
                let schedule = format!("UPDATE jobs SET run_at = '{run_at}', attempts = 0");
                owner.batch_execute(&schedule).await.unwrap();
            }
            Outcome::Done
        }
    }));
    assert_eq!(worker.drain().await.unwrap().done, [key.clone(), key.clone()]);
    assert_eq!(outbox.next_run_at().await, Some(later));
    outbox.clock.set(later);
    assert_eq!(worker.drain().await.unwrap().done, [key]);
    assert_eq!(outbox.next_run_at().await, None);
}

#[tokio::test]
async fn a_poked_worker_does_not_wait_and_shutdown_ends_what_runs() {
    let outbox = Outbox::new().await;
    let (entered, mut entries) = mpsc::unbounded_channel();
    let leave = Arc::new(Notify::new());
    let work = {
        let leave = Arc::clone(&leave);
        handlers(move |_| {
            let (entered, leave) = (entered.clone(), Arc::clone(&leave));
            async move {
                entered.send(()).unwrap();
                leave.notified().await;
                Outcome::Done
            }
        })
    };
    let wake = Wake::default();
    let options = WorkerOptions { poll: Duration::from_secs(3600), ..WorkerOptions::default() };
    let (stop, running) = start(outbox.worker_with(work, wake.clone(), options));
    outbox.enqueue_timer(1).await;
    wake.poke();
    entries.recv().await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(outbox.counts().await.running, 1);
    assert!(!running.is_finished());
    leave.notify_one();
    running.await.unwrap();
    assert_eq!(outbox.counts().await.running, 0);
    outbox.enqueue_timer(2).await;
    wake.poke();
    assert_eq!(outbox.counts().await.due, 1);
}

#[tokio::test]
async fn only_done_jobs_are_pruned() {
    let outbox = Outbox::new().await;
    outbox.enqueue_timer(1).await;
    let dead = outbox.enqueue_timer(2).await;
    outbox.enqueue(&timer(3), outbox.clock.now() + TimeDelta::days(90)).await;
    let worker = outbox.worker(handlers(move |task| {
        let fails = task.key == dead;
        async move { if fails { Outcome::Fail("no".to_owned()) } else { Outcome::Done } }
    }));
    worker.drain().await.unwrap();
    let mut conn = outbox.db.conn().await.unwrap();
    assert_eq!(jobs::prune(&mut conn, outbox.clock.now()).await.unwrap(), 0);
    outbox.clock.advance(TimeDelta::days(60));
    assert_eq!(jobs::prune(&mut conn, outbox.clock.now()).await.unwrap(), 1);
    let counts = outbox.counts().await;
    assert_eq!((counts.waiting, counts.dead), (1, 1));
}

#[tokio::test]
async fn a_mail_server_that_is_down_delays_mail_and_nothing_else() {
    let outbox = Outbox::new().await;
    // Bound but not listening: connections are refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let worker = outbox.worker(outbox.mail_handlers(case("worker@example.org"), port));
    let mail = outbox.enqueue_mail("accepted").await;
    let timer = outbox.enqueue_timer(1).await;

    let report = worker.drain().await.unwrap();
    assert_eq!(report.done, [timer]);
    assert_eq!(report.retried.len(), 1, "{report:?}");
    assert_eq!(outbox.messages().await, []);

    let server = SmtpServer::start(socket.listen(8).unwrap());
    assert_eq!(worker.drain().await.unwrap(), Default::default());
    outbox.clock.set(outbox.next_run_at().await.unwrap());
    assert_eq!(worker.drain().await.unwrap().done, [mail]);
    outbox.clock.advance(TimeDelta::days(1));
    assert_eq!(worker.drain().await.unwrap(), Default::default());

    let inbox = server.inbox();
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].contains("To: worker@example.org\r\n"), "{}", inbox[0]);
    let sent = outbox.messages().await;
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].status, sent[0].attempts), (MessageStatus::Sent, 2));
    assert_eq!(sent[0].recipient.as_deref(), Some("worker@example.org"));
    assert_eq!(sent[0].provider_id.as_deref(), Some("2.0.0 queued as 1"));
}

#[tokio::test]
async fn a_refused_address_is_recorded_and_given_up() {
    let outbox = Outbox::new().await;
    let server = SmtpServer::start(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let worker = outbox.worker(outbox.mail_handlers(case("nobody@example.org"), server.port));
    outbox.enqueue_mail("accepted").await;
    let report = worker.drain().await.unwrap();
    assert_eq!(report.dead.len(), 1, "{report:?}");
    assert!(!report.dead[0].1.contains("nobody@example.org"), "{report:?}");
    let failed = outbox.messages().await;
    assert_eq!((failed[0].status, failed[0].attempts), (MessageStatus::Failed, 1));
    assert!(failed[0].error.as_deref().unwrap().contains("550"), "{failed:?}");
    assert_eq!(outbox.counts().await.dead, 1);
    assert!(server.inbox().is_empty());
}

#[tokio::test]
async fn what_was_sent_or_overtaken_is_not_sent() {
    let outbox = Outbox::new().await;
    let server = SmtpServer::start(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let worker = outbox.worker(outbox.mail_handlers(case("worker@example.org"), server.port));
    let sent = outbox.enqueue_mail("accepted").await;
    let overtaken = outbox.enqueue_mail("informationRequested").await;
    // As if the process had died after the server's answer.
    let before = NewMessage {
        id: outbox.clock.new_id(),
        job_key: &sent,
        application_id: APPLICATION,
        message: "accepted",
        language: "en",
        recipient: Some("worker@example.org"),
        status: MessageStatus::Sent.name(),
        provider_id: Some("queued"),
        error: None,
        attempts: 1,
        at: outbox.clock.now(),
    };
    messages::insert(&mut outbox.db.conn().await.unwrap(), &before).await.unwrap();
    outbox.clock.advance(TimeDelta::seconds(1));
    assert_eq!(worker.drain().await.unwrap().done, [sent, overtaken]);
    assert!(server.inbox().is_empty());
    let statuses: Vec<_> = outbox.messages().await.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [MessageStatus::Sent, MessageStatus::Overtaken]);
}

/// Makes the worker of an office as a process would, with mail going into a folder.
fn office_worker(office: &Office, mail: &Path) -> Worker {
    let from = "Office <office@example.org>".parse().unwrap();
    let handler = MailHandler::new(
        office.db.clone(),
        office.clock.clone(),
        Arc::new(StoredCases::new(office.db.clone(), Arc::clone(&office.rules))),
        Composer::new("https://permits.example.org").unwrap(),
        Mailer::directory(mail, from),
    );
    let handlers = Handlers {
        timer: Arc::new(TimerHandler::new(Arc::new(office.casework.clone()))),
        redate: Arc::new(Does(|_| async { Outcome::Done })),
        mail: Arc::new(handler),
        alert: Arc::new(Does(|_| async { Outcome::Done })),
        registers: Arc::new(Does(|_| async { Outcome::Done })),
        money: Arc::new(Does(|_| async { Outcome::Done })),
        leaving: Arc::new(Does(|_| async { Outcome::Done })),
        papers: Arc::new(Does(|_| async { Outcome::Done })),
        documents: Arc::new(Does(|_| async { Outcome::Done })),
    };
    let (db, clock) = (office.db.clone(), office.clock.clone());
    Worker::new(db, clock, handlers, Wake::default(), WorkerOptions::default())
}

#[tokio::test]
async fn an_applicant_is_told_of_acceptance_decision_and_readiness() {
    let office = Office::open().await;
    let mail = test_dir("mail-of-a-patent");
    let worker = office_worker(&office, &mail);
    let id = office.checked("patent", "FA1234567").await;
    worker.drain().await.unwrap();
    office.give(&office.boris, id, Command::Grant).await.unwrap();
    worker.drain().await.unwrap();
    office.pay(id).await;
    let report = worker.drain().await.unwrap();
    assert_eq!((report.retried.len(), report.dead.len()), (0, 0), "{report:?}");

    let mut conn = office.db.conn().await.unwrap();
    let told = messages::list(&mut conn, id).await.unwrap();
    let mut names: Vec<_> = told.iter().map(|row| (row.message.as_str(), row.status)).collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    let sent = MessageStatus::Sent;
    assert_eq!(names, [("accepted", sent), ("decided", sent), ("ready", sent)]);
    assert_eq!(std::fs::read_dir(&mail).unwrap().count(), 3);
}

#[tokio::test]
async fn a_refusal_that_was_undone_before_it_was_told_is_not_told() {
    let office = Office::open().await;
    let mail = test_dir("mail-of-an-undone-refusal");
    let worker = office_worker(&office, &mail);
    let id = office.checked("patent", "FA1234567").await;
    worker.drain().await.unwrap();
    let refuse = Command::Refuse { grounds: grounds("G01"), reason: "forged".into() };
    office.give(&office.boris, id, refuse).await.unwrap();
    let undo = Command::Undo { reason: "a namesake".into() };
    office.give(&office.senior, id, undo).await.unwrap();
    worker.drain().await.unwrap();
    let mut conn = office.db.conn().await.unwrap();
    let told = messages::list(&mut conn, id).await.unwrap();
    let names: Vec<_> = told.iter().map(|row| (row.message.as_str(), row.status)).collect();
    assert!(names.contains(&("decided", MessageStatus::Overtaken)), "{names:?}");
    assert!(names.contains(&("undone", MessageStatus::Sent)), "{names:?}");
    assert_eq!(std::fs::read_dir(&mail).unwrap().count(), 2, "accepted and undone");
}

#[tokio::test]
async fn a_passed_deadline_acts_once_and_one_that_was_met_does_nothing() {
    let office = Office::open().await;
    let worker = office_worker(&office, &test_dir("mail-of-deadlines"));
    let left = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let met = office.draft(&office.employer, "highly-qualified-specialist", "FA7654321").await;
    let met = met.unwrap();
    office.clock.advance(TimeDelta::days(29));
    assert_eq!(worker.drain().await.unwrap(), Default::default());
    office.give(&office.employer, met, Command::Withdraw { reason: None }).await.unwrap();
    let withdrawn = office.now(met).await.application;

    office.clock.advance(TimeDelta::days(3));
    let report = worker.drain().await.unwrap();
    assert_eq!((report.retried.len(), report.dead.len()), (0, 0), "{report:?}");
    let expired = office.now(left).await.application;
    assert_eq!(expired.state, "expiredDraft");
    assert_eq!(office.now(met).await.application, withdrawn);
    office.clock.advance(TimeDelta::days(30));
    assert_eq!(worker.drain().await.unwrap(), Default::default());
    assert_eq!(office.now(left).await.application, expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_timer_and_the_officer_act_together_and_both_acts_are_whole() {
    let office = Office::open().await;
    let worker = office_worker(&office, &test_dir("mail-of-a-race"));
    let id = office.checked("patent", "FA1234567").await;
    office.clock.advance(TimeDelta::days(40));
    let (report, granted) =
        tokio::join!(worker.drain(), office.give(&office.boris, id, Command::Grant));
    let report = report.unwrap();
    assert_eq!((report.retried.len(), report.dead.len()), (0, 0), "{report:?}");
    granted.unwrap();
    let now = office.now(id).await.application;
    assert_eq!(now.state, "awaitingPayment");
    // Whoever was first: a state that was entered anew is not escalated.
    assert_eq!(now.escalated_at, None);
}

/// An application that was accepted.
fn case(email: &str) -> Case {
    let application: Application = serde_json::from_value(json!({
        "id": APPLICATION, "reference": "0E1R7-0W3GE-1R7E", "track": "patent", "workflowVersion": 1,
        "unit": "77", "applicant": APPLICATION, "state": "checking", "phase": "checks", "version": 3,
        "createdAt": "2026-03-01T09:00:00Z", "stateSince": "2026-03-01T09:00:00Z",
        "submittedAt": "2026-03-01T09:00:00Z", "dueOn": "2026-03-17", "documents": [], "checks": [],
        "information": [], "charges": [], "hands": [], "notes": [], "corrections": [],
        "blanks": [], "afterLife": {},
        "form": {"contact": {"email": email, "phone": null, "language": "en"}}
    }))
    .unwrap();
    let definition: Definition = serde_json::from_value(json!({
        "track": "patent", "version": 1, "title": {"en": "patent"}, "law": "", "inForceFrom": "2025-01-01",
        "applicants": [], "requiredFields": [], "documents": [], "checks": [], "fees": [],
        "clock": {"workingDays": 10, "standsStillIn": [], "basis": "", "line": 1},
        "complaint": {"how": {}, "line": 1},
        "permit": {"term": {"months": 12}, "duties": [], "line": 1}, "states": [], "transitions": []
    }))
    .unwrap();
    Case {
        application,
        definition: Arc::new(definition),
        unit_title: "Moscow".to_owned(),
        time_zone: chrono_tz::Europe::Moscow,
    }
}

/// Speaks as much SMTP (RFC 5321) as a delivery needs; refuses the recipient `nobody`.
struct SmtpServer {
    port: u16,
    inbox: Arc<Mutex<Vec<String>>>,
}

impl SmtpServer {
    fn start(listener: TcpListener) -> Self {
        let port = listener.local_addr().unwrap().port();
        let inbox = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&inbox);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, inbox }
    }

    fn inbox(&self) -> Vec<String> {
        self.inbox.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, inbox: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read);
    write.write_all(b"220 test\r\n").await?;
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        let answer = match line.split([' ', '\r']).next().unwrap() {
            "EHLO" => "250-test\r\n250 8BITMIME\r\n".to_owned(),
            "RCPT" if line.contains("nobody") => {
                "550 5.1.1 <nobody@example.org> no such user\r\n".to_owned()
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    lines.read_line(&mut text).await?;
                }
                let mut inbox = inbox.lock().unwrap();
                inbox.push(text);
                format!("250 2.0.0 queued as {}\r\n", inbox.len())
            }
            _ => "250 ok\r\n".to_owned(),
        };
        write.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}
