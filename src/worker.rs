//! Runs the jobs: claims what is due, runs it, records what came of it.
//!
//! A job runs at least once, and at most once at a time while its lease lasts; so what a handler does must be
//! harmless when repeated. Jobs are kept apart: one that fails, hangs or panics is put off or given up by
//! itself. Any number of processes may run a [`Worker`]. Look next at [`timer`], [`mail`] and [`registers`], and at
//! [`retention`] for what is done once a day.

pub mod alerts;
pub mod documents;
pub mod leaving;
pub mod mail;
pub mod money;
pub mod papers;
mod patience;
mod places;
pub mod redate;
pub mod registers;
pub mod retention;
pub mod statements;
pub mod timer;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::patience::Patience;
use self::places::{PLACES, Places};
use self::retention::{Retention, Rounds};
use self::statements::Statements;
use crate::clock::SharedClock;
use crate::domain::event::Job;
use crate::error::Result;
use crate::storage::jobs::{self, JobRow};
use crate::storage::{Conn, Db, accounts, applications, shares};
use crate::telemetry::chain;

/// The kinds of jobs that share the worker's places.
const KINDS: [&str; 7] =
    ["redate", "alert", "mail", "matchWaiting", "releaseClaims", "makePaper", "deleteDocuments"];

/// The kind of job that gives the timer's commands: many at once, and one such batch at a time, so that a midnight on
/// which thousands of paid periods end keeps no mail waiting.
const TIMER: &str = "timer";

/// How many of the timer's commands are given at once. Their applications stay locked until all of them are written.
const BATCH: i64 = 100;

/// The kind of job that asks a register; it has places of its own.
const ASK: &str = "askRegister";

/// How long done jobs are kept, to look up what happened.
const KEEP_DONE: TimeDelta = TimeDelta::days(30);

/// How long the answers to requests with an idempotency key are kept; the clients' promise is 24 hours.
const KEEP_ANSWERS: TimeDelta = TimeDelta::hours(48);

/// How long the code of a share that has ended is listed for its holder.
const KEEP_SHARES: TimeDelta = TimeDelta::days(30);

/// How often what is old is removed.
const PRUNE_EVERY: TimeDelta = TimeDelta::hours(1);

/// A job being run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The job.
    pub job: Job,
    /// Its key: the same each time it is tried.
    pub key: String,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// Whether it is given up if this attempt fails.
    pub last: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or nothing was left to do.
    Done,
    /// To be tried again later, because of this.
    Retry(String),
    /// To be tried again later, because of this, and once more at this instant at the latest.
    RetryBefore(String, DateTime<Utc>),
    /// There is nothing to do before this instant; that is no failure, and the attempt does not count.
    Later(DateTime<Utc>),
    /// Never to be tried again, because of this.
    Fail(String),
}

/// Does what a job asks for. May be called again for the same job.
pub trait Handler: Send + Sync + 'static {
    /// Runs one attempt.
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome>;

    /// Runs many jobs at once, where that is quicker; tells of each whether it is done. What is not is run by itself.
    fn run_many<'a>(&'a self, jobs: &'a [Job]) -> BoxFuture<'a, Vec<bool>> {
        let none = vec![false; jobs.len()];
        async { none }.boxed()
    }
}

/// A handler for each kind of job.
#[derive(Clone)]
pub struct Handlers {
    /// For [`Job::Timer`].
    pub timer: Arc<dyn Handler>,
    /// For [`Job::Redate`].
    pub redate: Arc<dyn Handler>,
    /// For [`Job::Alert`].
    pub alert: Arc<dyn Handler>,
    /// For [`Job::Mail`].
    pub mail: Arc<dyn Handler>,
    /// For [`Job::AskRegister`].
    pub registers: Arc<dyn Handler>,
    /// For [`Job::MatchWaiting`].
    pub money: Arc<dyn Handler>,
    /// For [`Job::ReleaseClaims`].
    pub leaving: Arc<dyn Handler>,
    /// For [`Job::MakePaper`].
    pub papers: Arc<dyn Handler>,
    /// For [`Job::DeleteDocuments`].
    pub documents: Arc<dyn Handler>,
}

impl Handlers {
    fn of(&self, job: &Job) -> &dyn Handler {
        match job {
            Job::Timer { .. } => &*self.timer,
            Job::Redate { .. } => &*self.redate,
            Job::Alert { .. } => &*self.alert,
            Job::Mail { .. } => &*self.mail,
            Job::AskRegister { .. } => &*self.registers,
            Job::MatchWaiting { .. } => &*self.money,
            Job::ReleaseClaims { .. } => &*self.leaving,
            Job::MakePaper { .. } => &*self.papers,
            Job::DeleteDocuments { .. } => &*self.documents,
        }
    }
}

/// How a [`Worker`] works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Jobs at the same time, besides the questions to registers.
    pub concurrency: usize,
    /// How long one attempt may take.
    pub time_limit: Duration,
    /// How long a claimed job is nobody else's; longer than `time_limit`, or jobs run twice.
    pub lease: TimeDelta,
    /// How often to look for work that nobody announced: other processes' jobs, dead workers' leases.
    pub poll: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 8,
            time_limit: Duration::from_secs(60),
            lease: TimeDelta::seconds(120),
            poll: Duration::from_secs(1),
        }
    }
}

/// Wakes the worker of this process, so that it need not wait for its next look. Clones wake the same one.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Says that jobs were committed. Cheap, and kept if the worker is busy.
    pub fn poke(&self) {
        self.0.notify_one();
    }
}

/// What [`Worker::drain`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Keys of the jobs that are done.
    pub done: Vec<String>,
    /// Keys of the jobs to be tried again later, and why.
    pub retried: Vec<(String, String)>,
    /// Keys of the jobs that had nothing to do yet, and when they will.
    pub later: Vec<(String, DateTime<Utc>)>,
    /// Keys of the jobs that were given up, and why.
    pub dead: Vec<(String, String)>,
}

/// Runs jobs; clones are the same worker.
#[derive(Clone)]
pub struct Worker {
    db: Db,
    clock: SharedClock,
    handlers: Handlers,
    options: WorkerOptions,
    wake: Wake,
    places: Places,
    retention: Option<Arc<Retention>>,
    statements: Option<Arc<Statements>>,
}

/// What a worker is at.
#[derive(Default)]
struct Running {
    /// Jobs that share the worker's places.
    common: JoinSet<()>,
    /// Questions to registers.
    asking: JoinSet<()>,
    /// Commands of the timer: one batch.
    timers: JoinSet<()>,
}

/// What an idle worker does now and then.
#[derive(Default)]
struct Chores {
    pruned_at: Option<DateTime<Utc>>,
    statements_at: Option<DateTime<Utc>>,
    rounds: Rounds,
}

impl Worker {
    /// Makes a worker; it does nothing until [`run`](Self::run) or [`drain`](Self::drain).
    #[must_use]
    pub fn new(
        db: Db,
        clock: SharedClock,
        handlers: Handlers,
        wake: Wake,
        options: WorkerOptions,
    ) -> Self {
        Self {
            db,
            clock,
            handlers,
            options,
            wake,
            places: Places::default(),
            retention: None,
            statements: None,
        }
    }

    /// Has the worker erase what has outlived its term, too.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = Some(Arc::new(retention));
        self
    }

    /// Has the worker compare the provider's statements, too.
    #[must_use]
    pub fn with_statements(mut self, statements: Option<Statements>) -> Self {
        self.statements = statements.map(Arc::new);
        self
    }

    /// Runs jobs as they become due until `shutdown` is ready; then claims no more and ends what runs.
    ///
    /// Outlives the database: while it is away, the worker waits for it.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut running = Running::default();
        let mut chores = Chores::default();
        let mut failures = 0;
        loop {
            let pause = match self.fill(&mut running, &mut chores).await {
                Ok(pause) => {
                    failures = 0;
                    pause
                }
                Err(error) => {
                    failures = (failures + 1).min(5);
                    tracing::warn!(error = %chain(&error), "cannot look for jobs");
                    self.options.poll * (1 << failures)
                }
            };
            tokio::select! {
                // In this order: after a shutdown nothing more is claimed.
                biased;
                () = &mut shutdown => break,
                Some(_) = running.common.join_next() => {}
                Some(_) = running.asking.join_next() => {}
                Some(_) = running.timers.join_next() => {}
                () = self.wake.0.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        while running.common.join_next().await.is_some() {}
        while running.asking.join_next().await.is_some() {}
        while running.timers.join_next().await.is_some() {}
    }

    /// Starts as much due work as there is room for, and says how long to wait before looking again.
    async fn fill(&self, running: &mut Running, chores: &mut Chores) -> Result<Duration> {
        let now = self.clock.now();
        let mut conn = self.db.conn().await?;
        let room = self.options.concurrency.saturating_sub(running.common.len());
        if room > 0 {
            let limit = i64::try_from(room).unwrap_or(i64::MAX);
            let rows = jobs::claim(&mut conn, &KINDS, &[], now, self.options.lease, limit).await?;
            for row in rows {
                let worker = self.clone();
                running.common.spawn(async move {
                    worker.work(&row).await;
                });
            }
        }
        if running.timers.is_empty() {
            let rows = self.claim_batch(&mut conn).await?;
            if !rows.is_empty() {
                let worker = self.clone();
                running.timers.spawn(async move { worker.work_batch(&rows).await });
            }
        }
        self.fill_places(&mut conn, &mut running.asking).await?;
        // The end of a running job comes back here, so only an idle worker asks how long it may sleep.
        let busy = [&running.common, &running.asking, &running.timers];
        if busy.iter().any(|set| !set.is_empty()) {
            return Ok(self.options.poll);
        }
        if chores.pruned_at.is_none_or(|at| now.signed_duration_since(at) >= PRUNE_EVERY) {
            jobs::prune(&mut conn, now - KEEP_DONE).await?;
            applications::prune_answers(&mut conn, now - KEEP_ANSWERS).await?;
            accounts::prune_sessions(&mut conn, now).await?;
            shares::prune(&mut conn, now - KEEP_SHARES).await?;
            chores.pruned_at = Some(now);
        }
        let next = jobs::next_run_at(&mut conn, &every_kind()).await?;
        drop(conn);
        if let Some(statements) = &self.statements {
            statements.go_on(&mut chores.statements_at).await;
        }
        if let Some(retention) = &self.retention
            && retention.go_on(&mut chores.rounds).await
        {
            return Ok(Duration::ZERO);
        }
        let until = next.and_then(|at| (at - now).to_std().ok()).unwrap_or(self.options.poll);
        Ok(until.min(self.options.poll))
    }

    async fn claim_batch(&self, conn: &mut Conn) -> Result<Vec<JobRow>> {
        let now = self.clock.now();
        jobs::claim(conn, &[TIMER], &[], now, self.options.lease, BATCH).await
    }

    /// Gives a batch of the timer's commands that are due; gives how many there were. What [`run`](Self::run) does again
    /// and again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn batch(&self) -> Result<usize> {
        let mut conn = self.db.conn().await?;
        let rows = self.claim_batch(&mut conn).await?;
        drop(conn);
        self.work_batch(&rows).await;
        Ok(rows.len())
    }

    /// Runs claimed jobs of the timer at once, and by themselves those that could not be; never fails, never panics.
    async fn work_batch(&self, rows: &[JobRow]) {
        let (mut known, mut tasks): (Vec<&JobRow>, Vec<Job>) = (Vec::new(), Vec::new());
        let mut alone: Vec<&JobRow> = Vec::new();
        for row in rows {
            match row.job() {
                // What has failed before is not let near the others.
                Ok(job) if row.attempts == 1 => {
                    known.push(row);
                    tasks.push(job);
                }
                Ok(_) | Err(_) => alone.push(row),
            }
        }
        let run = AssertUnwindSafe(self.handlers.timer.run_many(&tasks)).catch_unwind();
        let run = tokio::time::timeout(self.options.time_limit, run).await;
        let done = run.ok().and_then(std::result::Result::ok).unwrap_or_default();
        let mut finished: Vec<&JobRow> = Vec::new();
        for (place, row) in known.into_iter().enumerate() {
            if done.get(place) == Some(&true) { finished.push(row) } else { alone.push(row) }
        }
        if !finished.is_empty() {
            let ended = match self.db.conn().await {
                Ok(mut conn) => jobs::finish_all(&mut conn, &finished, self.clock.now()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                // The leases end by themselves; the commands find nothing due then.
                tracing::warn!(error = %chain(&error), "cannot record the end of jobs");
            }
            tracing::debug!(jobs = finished.len(), "done at once");
        }
        alone.sort_by_key(|row| (row.run_at, row.id));
        for row in alone {
            self.work(row).await;
        }
    }

    /// Starts as many due questions as their registers have places for.
    async fn fill_places(&self, conn: &mut Conn, asking: &mut JoinSet<()>) -> Result<()> {
        let limit = i64::try_from(PLACES).unwrap_or(i64::MAX);
        loop {
            let (now, full) = (self.clock.now(), self.places.full());
            let lease = self.options.lease;
            let rows = jobs::claim(conn, &[ASK], &full, now, lease, limit).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                let Some(place) = self.places.take(row.register()) else {
                    // One more than the register had places for.
                    jobs::put_off(conn, &row, row.run_at).await?;
                    continue;
                };
                let worker = self.clone();
                asking.spawn(async move {
                    worker.work(&row).await;
                    drop(place);
                });
            }
        }
    }

    /// Runs everything that is due now, one job after another, until nothing due is left. For tests.
    ///
    /// # Errors
    /// Those of the database; what becomes of jobs is in the report.
    pub async fn drain(&self) -> Result<DrainReport> {
        let mut report = DrainReport::default();
        loop {
            let mut conn = self.db.conn().await?;
            let now = self.clock.now();
            let lease = self.options.lease;
            let rows = jobs::claim(&mut conn, &every_kind(), &[], now, lease, 1).await?;
            drop(conn);
            let Some(row) = rows.first() else { return Ok(report) };
            match self.work(row).await {
                Outcome::Done => report.done.push(row.key.clone()),
                Outcome::Retry(reason) | Outcome::RetryBefore(reason, _) => {
                    report.retried.push((row.key.clone(), reason));
                }
                Outcome::Later(run_at) => report.later.push((row.key.clone(), run_at)),
                Outcome::Fail(reason) => report.dead.push((row.key.clone(), reason)),
            }
        }
    }

    /// Runs one claimed job and records what came of it; never fails, never panics.
    async fn work(&self, row: &JobRow) -> Outcome {
        let mut outcome = match row.job() {
            Ok(job) => self.attempt(row, job).await,
            Err(error) => Outcome::Fail(chain(&error)),
        };
        let patience = Patience::of(&row.kind);
        if let Outcome::Retry(reason) = &outcome
            && patience.is_last(row.attempts)
        {
            outcome = Outcome::Fail(format!("gave up after {} attempts: {reason}", row.attempts));
        }
        if let Err(error) = self.record(row, &outcome, patience).await {
            // The lease ends by itself, and the job runs again.
            tracing::warn!(job = %row, error = %chain(&error), "cannot record the end of a job");
        }
        outcome
    }

    async fn attempt(&self, row: &JobRow, job: Job) -> Outcome {
        let patience = Patience::of(&row.kind);
        if patience.is_beyond(row.attempts) {
            // Nobody recorded the last attempts: the job takes the process down with it.
            return Outcome::Fail(format!("did not end in {} attempts", row.attempts - 1));
        }
        let last = patience.is_last(row.attempts);
        let task = Task { job, key: row.key.clone(), attempt: row.attempts, last };
        let run = AssertUnwindSafe(self.handlers.of(&task.job).run(&task)).catch_unwind();
        match tokio::time::timeout(self.options.time_limit, run).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Outcome::Retry(format!("panicked: {}", panic_text(&*panic))),
            Err(_) => Outcome::Retry("took too long".to_owned()),
        }
    }

    async fn record(&self, row: &JobRow, outcome: &Outcome, patience: Patience) -> Result<()> {
        let mut conn = self.db.conn().await?;
        let now = self.clock.now();
        match outcome {
            Outcome::Done => {
                jobs::finish(&mut conn, row, now).await?;
                tracing::debug!(job = %row, attempt = row.attempts, "done");
            }
            Outcome::Later(run_at) => {
                jobs::put_off(&mut conn, row, *run_at).await?;
                tracing::debug!(job = %row, %run_at, "not yet");
            }
            Outcome::Retry(reason) | Outcome::RetryBefore(reason, _) => {
                let mut random = [0u8; 2];
                self.clock.fill(&mut random);
                let mut run_at = now + patience.delay(row.attempts, u16::from_be_bytes(random));
                if let Outcome::RetryBefore(_, latest) = outcome {
                    run_at = run_at.min(*latest);
                }
                jobs::retry(&mut conn, row, run_at, reason).await?;
                tracing::warn!(job = %row, attempt = row.attempts, %run_at, reason, "put off");
            }
            Outcome::Fail(reason) => {
                jobs::bury(&mut conn, row, reason, now).await?;
                tracing::error!(job = %row, attempt = row.attempts, reason, "given up");
            }
        }
        Ok(())
    }
}

/// Gives the kinds of all jobs that this version can run.
fn every_kind() -> [&'static str; KINDS.len() + 2] {
    let mut kinds = [ASK; KINDS.len() + 2];
    kinds[1] = TIMER;
    kinds[2..].copy_from_slice(&KINDS);
    kinds
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
