//! Books what was paid for a charge before the charge was made.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Handler, Outcome, Task};
use crate::casework::Casework;
use crate::domain::event::Job;
use crate::telemetry::chain;

/// Runs [`Job::MatchWaiting`].
pub struct MoneyHandler {
    casework: Casework,
}

impl MoneyHandler {
    /// Makes a handler that goes in by this door.
    #[must_use]
    pub const fn new(casework: Casework) -> Self {
        Self { casework }
    }
}

impl Handler for MoneyHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::MatchWaiting { application, .. } = task.job else {
                return Outcome::Fail("no job about money that waits".to_owned());
            };
            match self.casework.match_waiting(application).await {
                Ok(0) => Outcome::Done,
                Ok(booked) => {
                    tracing::info!(%application, booked, "booked what was paid beforehand");
                    Outcome::Done
                }
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}
