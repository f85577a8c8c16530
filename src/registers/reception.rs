//! Takes answers of registers into applications, whichever way they come, and remembers what came of them.
//!
//! An answer comes at once or by a callback, twice, late, or against what was answered before. Whatever happens to it is
//! written down: it counts, it is known, or it is ignored with an event that says so. An answer is known by what it says,
//! outcome and reason: a register that says the same in other words leaves no event. Once a request was answered, only
//! a hit can change that: who was found to be clear may turn out not to be, but a hit does not go away by itself.

use serde_json::json;
use uuid::Uuid;

use super::protocol::AnswerMessage;
use crate::casework::{Answered, Casework, RegisterAnswer};
use crate::clock::SharedClock;
use crate::domain::actor::Actor;
use crate::domain::checks::Outcome;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::Db;
use crate::storage::events::PlainEvent;
use crate::storage::registers::{self, Begun, RequestRow, Status};

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The application's check has it.
    Taken,
    /// It had come before.
    Known,
    /// It came too late, or against what counts; that is recorded.
    Ignored,
}

impl Arrival {
    /// Gives the name under which the register is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Known => "known",
            Self::Ignored => "ignored",
        }
    }
}

/// Takes answers in. Cheap to clone.
#[derive(Clone)]
pub struct Reception {
    db: Db,
    clock: SharedClock,
    casework: Casework,
}

impl Reception {
    /// Makes it.
    #[must_use]
    pub fn new(db: Db, clock: SharedClock, casework: Casework) -> Self {
        Self { db, clock, casework }
    }

    /// Takes a verified answer of a register to the request `id`; `None` when it was asked no such thing.
    ///
    /// # Errors
    /// [`Error::Internal`] when it could not be written down, [`ErrorCode::Unavailable`] while another answer to the same
    /// request is being taken: it must come again.
    pub async fn take(
        &self,
        register: &str,
        id: Uuid,
        answer: &AnswerMessage,
        digest: &str,
    ) -> Result<Option<Arrival>> {
        let request = registers::find_request(&mut *self.db.conn().await?, id).await?;
        let Some(request) = request.filter(|request| request.register == register) else {
            return Ok(None);
        };
        let event = || self.ignored(&request, answer, digest);
        let mut conn = self.db.conn().await?;
        let (outcome, now) = (answer.outcome.into(), self.clock.now());
        let meaning = answer.meaning();
        match registers::begin_answer(&mut conn, id, outcome, &meaning, now).await? {
            Begun::Yes => {}
            Begun::Known => return Ok(Some(Arrival::Known)),
            Begun::Settled => {
                registers::ignore(&mut conn, &event()).await?;
                return Ok(Some(Arrival::Ignored));
            }
            Begun::Busy => return Err(busy()),
        }
        drop(conn);
        let answered = self.hand_in(&request, answer, digest).await?;
        let mut conn = self.db.conn().await?;
        let (arrival, event) = match answered {
            Answered::Taken => (Arrival::Taken, None),
            Answered::Known => (Arrival::Known, None),
            Answered::TooLate => (Arrival::Ignored, Some(event())),
        };
        let used = event.is_none();
        registers::end_answer(&mut conn, id, &meaning, used, event.as_ref()).await?;
        Ok(Some(arrival))
    }

    /// Gives a check the outcome of a register that will not answer: `error`, or `timedOut`.
    ///
    /// # Errors
    /// [`Error::Internal`] when it could not be written down.
    pub async fn give_up(
        &self,
        request: &RequestRow,
        status: Status,
        outcome: Outcome,
        error: &str,
    ) -> Result<()> {
        let note = Some(format!("{} {error}", request.register));
        let answered = self.answer(request, outcome, None, note, None).await?;
        let given = (answered != Answered::TooLate).then_some(outcome);
        let mut conn = self.db.conn().await?;
        registers::give_up(&mut conn, request.id, status, given, error, self.clock.now()).await
    }

    /// Hands an answer in at the door. A reason that the definition does not list makes it no less of an answer: it is
    /// kept in words.
    async fn hand_in(
        &self,
        request: &RequestRow,
        answer: &AnswerMessage,
        digest: &str,
    ) -> Result<Answered> {
        let AnswerMessage { outcome, reason, note, .. } = answer.clone();
        let (outcome, digest) = (outcome.into(), Some(digest.to_owned()));
        let first =
            self.answer(request, outcome, reason.clone(), note.clone(), digest.clone()).await;
        match (first, reason) {
            (Err(error), Some(reason)) if error.code() == ErrorCode::RuleRefused => {
                let said = note.map(|note| format!("{note} ")).unwrap_or_default();
                let note = Some(format!("{said}({reason})"));
                self.answer(request, outcome, None, note, digest).await
            }
            (answered, _) => answered,
        }
    }

    async fn answer(
        &self,
        request: &RequestRow,
        outcome: Outcome,
        reason: Option<String>,
        note: Option<String>,
        digest: Option<String>,
    ) -> Result<Answered> {
        let answer = RegisterAnswer {
            register: request.register.clone(),
            check: request.check.clone(),
            round: request.round,
            outcome,
            reason,
            note,
            digest,
        };
        self.casework.answer_register(request.application, &answer).await
    }

    fn ignored(&self, request: &RequestRow, answer: &AnswerMessage, digest: &str) -> PlainEvent {
        let actor = Actor::Register { name: request.register.clone() };
        let role = actor.role_name();
        let content = json!({
            "actor": actor, "request": request.id, "check": request.check, "round": request.round,
            "outcome": answer.outcome, "reason": answer.reason, "digest": digest,
        });
        PlainEvent::now(&*self.clock, "registerAnswerIgnored", role, content)
            .about(request.application)
            .in_unit(Some(request.unit.clone()))
    }
}

fn busy() -> Error {
    let detail = "Another answer to this request is being taken; send yours again.";
    Error::refused(ErrorCode::Unavailable, detail).with_retry_after(1)
}
