//! Asks a register, and sees to it that its check is answered or given up by the end of its last day.
//!
//! No connection to the database is held while the register takes its time. What may be asked at the same time, the
//! worker's `places` say; whether a register is asked at all, its circuit breaker.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Handler, Outcome, Task};
use crate::clock::SharedClock;
use crate::domain::actor::Party;
use crate::domain::checks::{self, Check};
use crate::domain::event::Job;
use crate::domain::rules::Rulebook;
use crate::domain::workflow::definition::{CommandName, Definition};
use crate::error::{Error, ErrorCode, Result};
use crate::registers::breaker::{self, Admission};
use crate::registers::client::Reply;
use crate::registers::protocol::Question;
use crate::registers::reception::Reception;
use crate::registers::{Register, Registers};
use crate::storage::Db;
use crate::storage::applications::{self, Key, Loaded, Wants};
use crate::storage::registers::{self, BreakerState, NewRequest, RequestRow, Status};
use crate::telemetry::chain;

/// How long a register that this process does not know is left to the ones that do.
const UNKNOWN: TimeDelta = TimeDelta::minutes(10);

/// By how many milliseconds at the most jobs come back apart that were put off together.
const APART: u16 = 5000;

/// Runs [`Job::AskRegister`].
pub struct RegisterHandler {
    db: Db,
    clock: SharedClock,
    rules: Arc<Rulebook>,
    registers: Registers,
    reception: Reception,
}

/// What the job names.
struct Asked<'a> {
    application: Uuid,
    check: &'a str,
    round: u32,
    register: &'a str,
}

impl RegisterHandler {
    /// Makes a handler.
    #[must_use]
    pub fn new(
        db: Db,
        clock: SharedClock,
        rules: Arc<Rulebook>,
        registers: Registers,
        reception: Reception,
    ) -> Self {
        Self { db, clock, rules, registers, reception }
    }

    async fn ask(&self, asked: &Asked<'_>) -> Result<Outcome> {
        let now = self.clock.now();
        let mut conn = self.db.conn().await?;
        let wants = Wants::default();
        let loaded = applications::find(&mut conn, Key::Id(asked.application), wants).await?;
        let Some(loaded) = loaded else { return Ok(Outcome::Done) };
        let definition = self.definition(&loaded)?;
        let Some(check) = waiting(&loaded, definition, asked) else {
            let Asked { application, check, round, .. } = *asked;
            registers::drop_request(&mut conn, application, check, round).await?;
            return Ok(Outcome::Done);
        };
        let request = self.request(&mut conn, asked).await?;
        if !request.is_open() {
            return Ok(Outcome::Done);
        }
        let due = end_of(check.due_on, loaded.unit.time_zone);
        if now >= due {
            drop(conn);
            let error = "did not answer by the end of the last day";
            let outcome = checks::Outcome::TimedOut;
            self.reception.give_up(&request, Status::TimedOut, outcome, error).await?;
            return Ok(Outcome::Done);
        }
        if request.status == Status::Accepted {
            return Ok(Outcome::Later(due));
        }
        let Some(register) = self.registers.get(asked.register) else {
            return Ok(Outcome::Later(due.min(now + UNKNOWN)));
        };
        if let Admission::Wait(until) = breaker::admit(&mut conn, asked.register, now).await? {
            return Ok(Outcome::Later(due.min(until + self.apart())));
        }
        registers::begin_attempt(&mut conn, request.id, now).await?;
        drop(conn);
        let question = self.question(&loaded, definition, check, &request, due);
        let reply = self.send(register, question).await?;
        self.settle(&request, reply, due).await
    }

    fn definition(&self, loaded: &Loaded) -> Result<&Definition> {
        let (track, version) = (&loaded.application.track, loaded.application.workflow_version);
        let found = self.rules.definition(track, version);
        found.ok_or_else(|| Error::bug(format!("there is no version {version} of {track}")))
    }

    /// Gives the request of this question: its id stays the same however often it is sent.
    async fn request(
        &self,
        conn: &mut crate::storage::Conn,
        asked: &Asked<'_>,
    ) -> Result<RequestRow> {
        let request = NewRequest {
            id: self.clock.new_id(),
            application_id: asked.application,
            check_id: asked.check,
            round: i32::try_from(asked.round).unwrap_or(i32::MAX),
            register: asked.register,
            status: Status::Waiting.name(),
            created_at: self.clock.now(),
        };
        registers::open_request(conn, &request).await
    }

    fn question(
        &self,
        loaded: &Loaded,
        definition: &Definition,
        check: &Check,
        request: &RequestRow,
        due: DateTime<Utc>,
    ) -> Question {
        let rule = definition.check(&check.id);
        let sent = rule.map(|rule| rule.sends.as_slice()).unwrap_or_default();
        let title = rule.and_then(|rule| rule.title.get("ru").or_else(|| rule.title.get("en")));
        Question {
            request_id: request.id,
            register: request.register.clone(),
            check: check.id.clone(),
            question: title.cloned().unwrap_or_default(),
            subject: loaded.application.form.excerpt(sent),
            asked_at: request.created_at,
            answer_by: due,
            callback_url: self.registers.callback_url(&request.register),
        }
    }

    /// Sends the question from a thread that may wait, and counts what comes of it.
    async fn send(&self, register: &Register, question: Question) -> Result<Reply> {
        let began = Instant::now();
        let (client, clock) = (self.registers.client().clone(), Arc::clone(&self.clock));
        let asked = register.clone();
        let asking = tokio::task::spawn_blocking(move || client.ask(&asked, &question, &clock));
        let reply = asking.await.map_err(|error| Error::internal("asking broke off", error))?;
        let outcome = match &reply {
            Reply::Answered { answer, .. } => checks::Outcome::from(answer.outcome).name(),
            Reply::Later => "later",
            Reply::Refused(_) => "refused",
            Reply::Failed(_) => "failed",
        };
        self.registers.metrics().asked(register.name(), outcome, began.elapsed());
        Ok(reply)
    }

    async fn settle(
        &self,
        request: &RequestRow,
        reply: Reply,
        due: DateTime<Utc>,
    ) -> Result<Outcome> {
        let (id, register) = (request.id, request.register.as_str());
        let mut conn = self.db.conn().await?;
        let now = self.clock.now();
        match reply {
            Reply::Answered { answer, digest } => {
                breaker::succeeded(&mut conn, register, now).await?;
                drop(conn);
                self.reception.take(register, id, &answer, &digest).await?;
                Ok(Outcome::Done)
            }
            Reply::Later => {
                breaker::succeeded(&mut conn, register, now).await?;
                registers::accept(&mut conn, id).await?;
                Ok(Outcome::Later(due))
            }
            Reply::Refused(error) => {
                self.count(&mut conn, request, &error).await?;
                drop(conn);
                let outcome = checks::Outcome::Error;
                self.reception.give_up(request, Status::Failed, outcome, &error).await?;
                Ok(Outcome::Done)
            }
            Reply::Failed(error) => {
                self.count(&mut conn, request, &error).await?;
                Ok(Outcome::RetryBefore(error, due))
            }
        }
    }

    /// Records a failure, of the request and of the register.
    async fn count(
        &self,
        conn: &mut crate::storage::Conn,
        request: &RequestRow,
        error: &str,
    ) -> Result<()> {
        let now = self.clock.now();
        registers::note_error(conn, request.id, error).await?;
        let row = breaker::failed(conn, &request.register, now, error).await?;
        if row.state == BreakerState::Open && row.since == now {
            let register = &request.register;
            tracing::error!(register, error, "a register is left alone: it does not answer");
        }
        Ok(())
    }

    fn apart(&self) -> TimeDelta {
        let mut random = [0; 2];
        self.clock.fill(&mut random);
        TimeDelta::milliseconds(i64::from(u16::from_be_bytes(random) % APART))
    }
}

/// Gives the check, if the register's answer is still of use.
fn waiting<'a>(
    loaded: &'a Loaded,
    definition: &Definition,
    asked: &Asked<'_>,
) -> Option<&'a Check> {
    let application = &loaded.application;
    definition
        .transitions_for(&application.state, CommandName::RecordFinding)
        .any(|transition| transition.actors.contains(&Party::Register))
        .then_some(())?;
    let check = application.checks.iter().find(|check| check.id == asked.check)?;
    (check.round == asked.round && check.finding.is_none()).then_some(check)
}

/// Gives the instant at which a day is over where the office is.
fn end_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let next = (day + Days::new(1)).and_time(NaiveTime::MIN);
    // A zone may skip midnight; then the day is over an hour later.
    let local = next.and_local_timezone(zone).earliest();
    let local = local.or_else(|| (next + TimeDelta::hours(1)).and_local_timezone(zone).earliest());
    local.map_or_else(|| next.and_utc(), |at| at.with_timezone(&Utc))
}

impl Handler for RegisterHandler {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        async move {
            let Job::AskRegister { application, check, round, register } = &task.job else {
                return Outcome::Fail("no job to ask a register".to_owned());
            };
            let asked = Asked { application: *application, check, round: *round, register };
            match self.ask(&asked).await {
                Ok(outcome) => outcome,
                // The definition does not let registers answer.
                Err(error) if error.code() == ErrorCode::Forbidden => Outcome::Fail(chain(&error)),
                Err(error) => Outcome::Retry(chain(&error)),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_at_midnight_where_the_office_is() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 10).unwrap();
        let end = end_of(day, "Europe/Moscow".parse().unwrap());
        assert_eq!(end.to_rfc3339(), "2026-03-10T21:00:00+00:00");
        let end = end_of(day, "Asia/Vladivostok".parse().unwrap());
        assert_eq!(end.to_rfc3339(), "2026-03-10T14:00:00+00:00");
    }
}
