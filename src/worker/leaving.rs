//! Releases what somebody holds who has left his role or unit.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Handler, Outcome, Task};
use crate::casework::Casework;
use crate::domain::event::Job;
use crate::telemetry::chain;

/// Runs [`Job::ReleaseClaims`].
pub struct LeavingHandler {
    casework: Casework,
}

impl LeavingHandler {
    /// Makes a handler that goes in by this door.
    #[must_use]
    pub const fn new(casework: Casework) -> Self {
        Self { casework }
    }
}

impl Handler for LeavingHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::ReleaseClaims { account, .. } = task.job else {
                return Outcome::Fail("no job about claims".to_owned());
            };
            match self.casework.release_all(account).await {
                Ok(released) => {
                    tracing::info!(%account, released, "released what a leaver held");
                    Outcome::Done
                }
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}
