//! Keeps house once a day: makes the months that the log will need, and erases what has outlived its term.
//!
//! A round goes on page by page, whenever the worker has nothing else to do: jobs and a shutdown wait for a page at most.
//! Any number of processes may go round; whoever comes second finds nothing left.

use chrono::{DateTime, Months, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::casework::Casework;
use crate::casework::erasure::{Reason, Round, Whose};
use crate::clock::SharedClock;
use crate::error::{ErrorCode, Result};
use crate::storage::{Db, events};
use crate::telemetry::chain;

/// How often a round begins.
const EVERY: TimeDelta = TimeDelta::hours(24);

/// After what time a round that broke off begins anew.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// How far ahead the log has its months.
const MONTHS_AHEAD: Months = Months::new(24);

/// The way into casework for what has outlived its term.
pub trait RetentionDoor: Send + Sync + 'static {
    /// Gives what is due on the next page of a round, or nothing once it is through.
    fn outlived<'a>(&'a self, round: &'a mut Round) -> BoxFuture<'a, Result<Option<Vec<Uuid>>>>;

    /// Erases an application whose term is over.
    fn erase(&self, application: Uuid) -> BoxFuture<'_, Result<()>>;
}

impl RetentionDoor for Casework {
    fn outlived<'a>(&'a self, round: &'a mut Round) -> BoxFuture<'a, Result<Option<Vec<Uuid>>>> {
        Casework::outlived(self, round).boxed()
    }

    fn erase(&self, application: Uuid) -> BoxFuture<'_, Result<()>> {
        async move {
            Casework::erase(self, Whose::Application(application), Reason::Term).await.map(drop)
        }
        .boxed()
    }
}

/// Goes round once a day.
pub struct Retention {
    db: Db,
    clock: SharedClock,
    door: Box<dyn RetentionDoor>,
}

/// Where the rounds stand.
#[derive(Debug, Default)]
pub struct Rounds {
    next_at: Option<DateTime<Utc>>,
    current: Option<Round>,
    /// How many were erased in the round that is under way, or in the last one.
    pub erased: usize,
    /// How many could not be; they come again in the next round.
    pub failed: usize,
}

impl Retention {
    /// Makes what goes round.
    #[must_use]
    pub fn new(db: Db, clock: SharedClock, door: impl RetentionDoor) -> Self {
        Self { db, clock, door: Box::new(door) }
    }

    /// Does a page of the round that is under way, beginning one if it is time; tells whether it goes on.
    ///
    /// What cannot be erased is logged and passed over. A round that breaks off begins anew in an hour.
    pub async fn go_on(&self, rounds: &mut Rounds) -> bool {
        let now = self.clock.now();
        if rounds.current.is_none() {
            if rounds.next_at.is_some_and(|at| now < at) {
                return false;
            }
            self.make_months(now).await;
            let (next_at, current) = (Some(now + EVERY), Some(Round::default()));
            *rounds = Rounds { next_at, current, ..Rounds::default() };
        }
        let Some(round) = &mut rounds.current else { return false };
        let due = match self.door.outlived(round).await {
            Ok(Some(due)) => due,
            Ok(None) => {
                rounds.current = None;
                if rounds.erased + rounds.failed > 0 {
                    let (erased, failed) = (rounds.erased, rounds.failed);
                    tracing::info!(erased, failed, "erased what has outlived its term");
                }
                return false;
            }
            Err(error) => {
                rounds.current = None;
                rounds.next_at = Some(now + AGAIN);
                tracing::error!(error = %chain(&error), "cannot look for what has outlived its term");
                return false;
            }
        };
        for application in due {
            match self.door.erase(application).await {
                Ok(()) => rounds.erased += 1,
                // Another process was quicker.
                Err(error) if error.code() == ErrorCode::RuleRefused => {}
                Err(error) => {
                    rounds.failed += 1;
                    tracing::error!(%application, error = %chain(&error), "cannot erase");
                }
            }
        }
        true
    }

    async fn make_months(&self, now: DateTime<Utc>) {
        let Some(last) = now.date_naive().checked_add_months(MONTHS_AHEAD) else { return };
        let made = match self.db.conn().await {
            Ok(mut conn) => events::extend_months(&mut conn, last).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(Some(0)) => {}
            Ok(Some(months)) => tracing::info!(months, "the log has more months"),
            Ok(None) => tracing::warn!(
                "the log has events after its last month, so it gets no more months: was a clock years ahead?"
            ),
            Err(error) => tracing::warn!(error = %chain(&error), "cannot make the log's months"),
        }
    }
}
