//! Dates what is under way anew after a calendar was put in force, a part of it at a time.
//!
//! A part that is done is followed by the job of the next, so that whoever dies loses one part at most, and that part does
//! no harm when it is done again. Everything is gone through twice: a command that was being written when the calendar
//! was put in force may have been decided by the one before, and is written by the time of the second round. What fails
//! stops nothing else and is met by a further round.

use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Handler, Outcome, Task};
use crate::casework::Casework;
use crate::casework::calendars::Pass;
use crate::clock::SharedClock;
use crate::domain::event::{Job, Scheduled};
use crate::error::Result;
use crate::storage::{Db, jobs};
use crate::telemetry::chain;

/// How many pages one job goes through: a thousand applications, far within the time of an attempt.
const PAGES: usize = 10;

/// After what time the next round begins; longer than any statement may take. Doubled with each round.
const BETWEEN: TimeDelta = TimeDelta::minutes(2);

/// After how many rounds what fails is left to whoever reads the log.
const ROUNDS: u32 = 8;

/// Runs [`Job::Redate`].
pub struct RedateHandler {
    db: Db,
    clock: SharedClock,
    casework: Casework,
}

impl RedateHandler {
    /// Makes a handler that goes in by this door.
    #[must_use]
    pub const fn new(db: Db, clock: SharedClock, casework: Casework) -> Self {
        Self { db, clock, casework }
    }

    async fn go_on(&self, number: i64, round: u32, pass: Pass) -> Result<()> {
        let mut pass = pass;
        for _ in 0..PAGES {
            if !self.casework.redate_some(&mut pass).await? {
                return self.end(number, round, &pass).await;
            }
        }
        let Pass { after, seen, moved, failed, .. } = pass;
        tracing::info!(number, round, seen, moved, failed, "dating anew goes on");
        self.then(Job::Redate { number, round, after, failed }, TimeDelta::zero()).await
    }

    async fn end(&self, number: i64, round: u32, pass: &Pass) -> Result<()> {
        let Pass { seen, moved, failed, .. } = *pass;
        tracing::info!(number, round, seen, moved, failed, "dated what is under way anew");
        if round == 1 || (failed > 0 && round < ROUNDS) {
            let job = Job::Redate { number, round: round + 1, after: None, failed: 0 };
            return self.then(job, BETWEEN * (1 << (round - 1))).await;
        }
        if failed > 0 {
            tracing::error!(number, failed, "some applications keep the dates of another calendar");
        }
        Ok(())
    }

    async fn then(&self, job: Job, pause: TimeDelta) -> Result<()> {
        let now = self.clock.now();
        let mut conn = self.db.conn().await?;
        jobs::insert_once(&mut conn, &Scheduled { job, run_at: now + pause }, now).await
    }
}

impl Handler for RedateHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::Redate { number, round, after, failed } = task.job else {
                return Outcome::Fail("no job about dates".to_owned());
            };
            let pass = Pass { after, failed, ..Pass::default() };
            match self.go_on(number, round.clamp(1, ROUNDS), pass).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}
