//! Gives the command that a passed deadline asks for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Handler, Outcome, Task};
use crate::casework::Casework;
use crate::domain::event::Job;
use crate::domain::workflow::definition::CommandName;
use crate::error::{Error, ErrorCode, Result};
use crate::telemetry::chain;

/// How often a command that lost a race is given at once again.
const RACES: usize = 3;

/// The way into casework for the timer.
pub trait TimerDoor: Send + Sync + 'static {
    /// Gives `command` to `application` as [`Actor::Timer`](crate::domain::actor::Actor::Timer), in one transaction; an
    /// instant says that the deadline has moved and the command can be given from then on.
    ///
    /// # Errors
    /// `WrongState` and `RuleRefused` mean that the deadline no longer asks for anything; `StaleVersion` that
    /// somebody else was quicker.
    fn deadline(
        &self,
        application: Uuid,
        command: CommandName,
    ) -> BoxFuture<'_, Result<Option<DateTime<Utc>>>>;

    /// Gives many commands at once; tells of each whether it was given.
    ///
    /// # Errors
    /// Those of the database; none was then given.
    fn deadlines<'a>(&'a self, due: &'a [(Uuid, CommandName)]) -> BoxFuture<'a, Result<Vec<bool>>>;
}

impl TimerDoor for Casework {
    fn deadline(
        &self,
        application: Uuid,
        command: CommandName,
    ) -> BoxFuture<'_, Result<Option<DateTime<Utc>>>> {
        Casework::deadline(self, application, command).boxed()
    }

    fn deadlines<'a>(&'a self, due: &'a [(Uuid, CommandName)]) -> BoxFuture<'a, Result<Vec<bool>>> {
        Casework::deadlines(self, due).boxed()
    }
}

/// Runs [`Job::Timer`].
pub struct TimerHandler {
    door: Arc<dyn TimerDoor>,
}

impl TimerHandler {
    /// Makes a handler that goes in by `door`.
    #[must_use]
    pub fn new(door: Arc<dyn TimerDoor>) -> Self {
        Self { door }
    }

    async fn give(&self, application: Uuid, command: CommandName) -> Result<Option<DateTime<Utc>>> {
        // Losing to an officer says nothing about the deadline: it may have passed all the same.
        for _ in 1..RACES {
            match self.door.deadline(application, command).await {
                Err(error) if error.code() == ErrorCode::StaleVersion => {}
                other => return other,
            }
        }
        self.door.deadline(application, command).await
    }
}

impl Handler for TimerHandler {
    fn run_many<'a>(&'a self, jobs: &'a [Job]) -> BoxFuture<'a, Vec<bool>> {
        async move {
            let timers = jobs.iter().enumerate().filter_map(|(place, job)| match job {
                Job::Timer { application, command } => Some((place, (*application, *command))),
                _ => None,
            });
            let (places, due): (Vec<usize>, Vec<_>) = timers.unzip();
            let mut done = vec![false; jobs.len()];
            match self.door.deadlines(&due).await {
                Ok(given) => {
                    for (place, given) in places.into_iter().zip(given) {
                        done[place] = given;
                    }
                }
                // Each is looked at by itself: the one that it fails for stops no other.
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "cannot give many commands at once");
                }
            }
            done
        }
        .boxed()
    }

    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::Timer { application, command } = task.job else {
                return Outcome::Fail("no timer job".to_owned());
            };
            match self.give(application, command).await {
                Ok(None) => Outcome::Done,
                // Another calendar put the deadline off while the job waited: it comes again then.
                Ok(Some(at)) => Outcome::Later(at),
                Err(error) => outcome(&error),
            }
        }
        .boxed()
    }
}

fn outcome(error: &Error) -> Outcome {
    match error.code() {
        // An officer was there first, or nothing is due any more.
        ErrorCode::WrongState | ErrorCode::RuleRefused => Outcome::Done,
        // The definition does not let the timer do what it scheduled: rule W05 should have noticed.
        ErrorCode::Forbidden | ErrorCode::NotFound | ErrorCode::InvalidRequest => {
            Outcome::Fail(chain(error))
        }
        _ => Outcome::Retry(chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Door(Mutex<Vec<ErrorCode>>, Option<DateTime<Utc>>);

    impl TimerDoor for Door {
        fn deadline(
            &self,
            _: Uuid,
            _: CommandName,
        ) -> BoxFuture<'_, Result<Option<DateTime<Utc>>>> {
            let answer = self.0.lock().unwrap().pop().map_or(Ok(self.1), |code| {
                Err(if code == ErrorCode::Internal {
                    Error::bug("the database is away")
                } else {
                    Error::refused(code, "no")
                })
            });
            async { answer }.boxed()
        }

        fn deadlines<'a>(
            &'a self,
            due: &'a [(Uuid, CommandName)],
        ) -> BoxFuture<'a, Result<Vec<bool>>> {
            let given = if self.0.lock().unwrap().is_empty() {
                Ok(vec![true; due.len()])
            } else {
                Err(Error::bug("the database is away"))
            };
            async { given }.boxed()
        }
    }

    async fn run(answers: &[ErrorCode]) -> Outcome {
        run_until(answers, None).await
    }

    async fn run_until(answers: &[ErrorCode], later: Option<DateTime<Utc>>) -> Outcome {
        let answers = Mutex::new(answers.iter().rev().copied().collect());
        let door = Arc::new(Door(answers, later));
        let job = Job::Timer { application: Uuid::nil(), command: CommandName::Escalate };
        let task = Task { key: job.key(), job, attempt: 1, last: false };
        TimerHandler::new(door).run(&task).await
    }

    #[tokio::test]
    async fn a_deadline_that_asks_for_nothing_any_more_is_done() {
        assert_eq!(run(&[]).await, Outcome::Done);
        assert_eq!(run(&[ErrorCode::WrongState]).await, Outcome::Done);
        assert_eq!(run(&[ErrorCode::RuleRefused]).await, Outcome::Done);
    }

    #[tokio::test]
    async fn a_deadline_that_has_moved_on_is_waited_for() {
        let later = DateTime::from_timestamp(1_772_431_200, 0);
        assert_eq!(run_until(&[], later).await, Outcome::Later(later.unwrap()));
        let stale = ErrorCode::StaleVersion;
        assert_eq!(run_until(&[stale], later).await, Outcome::Later(later.unwrap()));
    }

    #[tokio::test]
    async fn many_that_cannot_be_given_at_once_are_left_to_be_given_by_themselves() {
        let job = || Job::Timer { application: Uuid::nil(), command: CommandName::Lapse };
        for (fails, done) in [(vec![], true), (vec![ErrorCode::Internal], false)] {
            let handler = TimerHandler::new(Arc::new(Door(Mutex::new(fails), None)));
            assert_eq!(handler.run_many(&[job(), job()]).await, [done, done]);
        }
    }

    #[tokio::test]
    async fn a_lost_race_is_run_again_and_not_taken_for_an_answer() {
        let stale = ErrorCode::StaleVersion;
        assert_eq!(run(&[stale, ErrorCode::WrongState]).await, Outcome::Done);
        assert_eq!(run(&[stale, stale]).await, Outcome::Done);
        assert!(matches!(run(&[stale, stale, stale]).await, Outcome::Retry(_)));
    }

    #[tokio::test]
    async fn what_is_ours_is_tried_again_and_what_the_definition_forbids_is_given_up() {
        assert!(matches!(run(&[ErrorCode::Internal]).await, Outcome::Retry(_)));
        assert!(matches!(run(&[ErrorCode::Unavailable]).await, Outcome::Retry(_)));
        assert!(matches!(run(&[ErrorCode::Forbidden]).await, Outcome::Fail(_)));
    }
}
