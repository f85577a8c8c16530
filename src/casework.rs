//! The one door: an application comes to be and changes only here.
//!
//! Every change takes the same five steps: load, decide, apply, record, enqueue. They cost **two round trips**: one
//! statement loads what the decision needs, one writes update, event, jobs and kept answer, atomic by itself
//! (`tests/it/casework.rs` counts them). Opening and claiming the next application of a queue cost the same.
//!
//! There is no lock between the two: the update is guarded by the version and the state that were decided on, and
//! each event moves the version. Whoever comes second writes nothing, loads anew and is decided anew, so the
//! outcome is the same as under a lock, without holding one while the network is waited for. A caller who named the
//! version he saw (`If-Match`) is told instead; but who claims is told who was quicker.
//!
//! How what is over loses its person's data is in [`erasure`]; what another calendar does, in [`calendars`]; how money finds
//! what it is for, and back, in [`payments`].

pub mod bulk;
pub mod calendars;
pub mod erasure;
mod in_force;
pub mod payments;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use self::in_force::InForce;
use self::refusal::refusal;
use crate::clock::SharedClock;
use crate::domain::actor::{Actor, Party};
use crate::domain::application::{Application, Document};
use crate::domain::checks::Outcome;
use crate::domain::event::Event;
use crate::domain::fee::page::PaymentPage;
use crate::domain::form::Form;
use crate::domain::queue::{Queue, Work};
use crate::domain::reference::Reference;
use crate::domain::rules::Rulebook;
use crate::domain::workflow::command::{Answer as InformationAnswer, Command};
use crate::domain::workflow::definition::{CommandName, Definition, Effect, Guard};
use crate::domain::workflow::engine::{
    self, Choice, Context, Opening, Rejection, Step, Supplies, Unit,
};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::Db;
use crate::storage::applications::{
    self as store, Applied, ClaimNext, Claimed, FoundUnit, KeptAnswer, Key, Likeness, Loaded,
    PaymentRow, Staff, StoredAnswer, Wants, Write,
};
use crate::storage::rule_files;

/// How often a decision that lost a race is made anew before the caller is told to try again.
const ATTEMPTS: usize = 5;

/// A client's key for one request, and what the request was.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The key as sent.
    pub key: String,
    /// SHA-256 of operation and body.
    pub fingerprint: [u8; 32],
}

/// Who asks, having seen what, under which idempotency key.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who.
    pub actor: Actor,
    /// The version that the caller saw.
    pub if_match: Option<i32>,
    /// The key under which a repeated request gets the same answer.
    pub idempotency: Option<Idempotency>,
}

/// An application with everything that a view of it shows.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The application.
    pub application: &'a Application,
    /// Its office.
    pub unit: &'a Unit,
    /// The definition it is pinned to.
    pub definition: &'a Definition,
    /// The rules.
    pub rules: &'a Rulebook,
    /// What the caller could ask for now, and what blocks it.
    pub choices: Vec<Choice>,
    /// The name of the officer who holds it, when known.
    pub holder: Option<&'a str>,
    /// The office's date today.
    pub today: chrono::NaiveDate,
    /// The instant.
    pub now: chrono::DateTime<chrono::Utc>,
    /// The kind of office work that it waits for.
    pub work: Option<Work>,
    /// The page on which a charge is paid at once.
    pub payment_page: Option<&'a PaymentPage>,
    /// How many more urgent ones colleagues hold, where this one was just given out by a queue.
    pub held_ahead: Option<i64>,
}

/// Writes the body of an answer from what the application has become.
pub type Render<'a> = &'a (dyn Fn(&Seen<'_>) -> Result<String> + Sync);

/// The answer to a request that changed something, new or repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Strong entity tag, quoted.
    pub etag: Option<String>,
    /// Where the application is.
    pub location: Option<String>,
    /// JSON.
    pub body: String,
    /// Whether an earlier answer is given again.
    pub replayed: bool,
}

impl Answer {
    /// Gives the application that the answer is at, when it names a place.
    #[must_use]
    pub fn about(&self) -> Option<Uuid> {
        self.location.as_deref()?.rsplit('/').next()?.parse().ok()
    }
}

/// What became of a payment that the provider told us of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is booked on a charge.
    Booked,
    /// It matches nothing that is open; an officer will look at it.
    Waiting,
    /// It was known before; nothing changed.
    Known,
}

/// What a register answers to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterAnswer {
    /// The register.
    pub register: String,
    /// The check.
    pub check: String,
    /// Which time the check was asked.
    pub round: u32,
    /// The answer.
    pub outcome: Outcome,
    /// Its coded reason, of those that the definition lists for the check.
    pub reason: Option<String>,
    /// What else it says, for the office.
    pub note: Option<String>,
    /// SHA-256 of the raw answer, lower-case hexadecimal.
    pub digest: Option<String>,
}

/// What became of a register's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It is the check's answer now.
    Taken,
    /// This very answer was taken before; nothing changed.
    Known,
    /// Nothing changed: the application has left its checks, the check was asked anew, or an answer stands that this
    /// one does not replace.
    TooLate,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Casework {
    db: Db,
    rules: InForce,
    clock: SharedClock,
    lease: TimeDelta,
    registers: Arc<BTreeSet<String>>,
    payment_page: Option<Arc<PaymentPage>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// Gives the strong entity tag of a version.
#[must_use]
pub fn etag(version: i32) -> String {
    format!("\"v{version}\"")
}

/// Gives the address of an application.
fn location(id: Uuid) -> String {
    format!("/v1/applications/{id}")
}

impl Casework {
    /// Makes the door; `wake` is called after each change that enqueued work.
    #[must_use]
    pub fn new(
        db: Db,
        rules: Arc<Rulebook>,
        clock: SharedClock,
        lease: TimeDelta,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let rules = InForce::new(rules);
        Self { db, rules, clock, lease, registers: Arc::default(), payment_page: None, wake }
    }

    /// Names the registers that answer by themselves; the others' checks are an officer's work.
    #[must_use]
    pub fn with_registers(mut self, registers: BTreeSet<String>) -> Self {
        self.registers = Arc::new(registers);
        self
    }

    /// Names the page on which a charge is paid at once.
    #[must_use]
    pub fn with_payment_page(mut self, page: Option<PaymentPage>) -> Self {
        self.payment_page = page.map(Arc::new);
        self
    }

    /// Gives the page on which a charge is paid at once.
    #[must_use]
    pub fn payment_page(&self) -> Option<&PaymentPage> {
        self.payment_page.as_deref()
    }

    /// Gives the rules as this process knows them. For what depends on the calendar, ask for those of a
    /// [number](Self::rules_at) or for the [latest](Self::latest_rules): others may have put another one in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rulebook> {
        self.rules.known().rules
    }

    /// Gives the rules with the calendar in force at the registration of this number, or at a later one.
    ///
    /// Asks the database only for what this process does not know yet.
    ///
    /// # Errors
    /// [`Error::Internal`] when a calendar cannot be read: nothing is decided by another one.
    pub async fn rules_at(
        &self,
        conn: &mut crate::storage::Conn,
        number: i64,
    ) -> Result<Arc<Rulebook>> {
        Ok(self.rules.at(conn, number).await?.rules)
    }

    /// Gives the rules with the calendar in force now. One statement.
    ///
    /// # Errors
    /// As [`Casework::rules_at`].
    pub async fn latest_rules(&self, conn: &mut crate::storage::Conn) -> Result<Arc<Rulebook>> {
        let number = rule_files::latest(conn).await?;
        self.rules_at(conn, number).await
    }

    /// Opens an application as a draft.
    ///
    /// # Errors
    /// Refused when the track is unknown or not for this role, or the unit is unknown.
    pub async fn open(
        &self,
        ask: &Ask,
        track: &str,
        unit: &str,
        form: Form,
        render: Render<'_>,
    ) -> Result<Answer> {
        let mut conn = self.db.conn().await?;
        let kept = ask.idempotency.as_ref().map(|one| one.key.as_str());
        let found = store::find_unit(&mut conn, unit, ask.actor.account().zip(kept)).await?;
        let FoundUnit { unit, kept_answer, rules } = found.ok_or_else(|| {
            unknown("/unit", "unknown-unit", "Name an office that GET /v1/units lists.")
        })?;
        if let Some(kept) = kept_answer {
            return replay(ask, kept);
        }
        let known = self.rules.at(&mut conn, rules).await?;
        let now = self.clock.now();
        let today = now.with_timezone(&unit.time_zone).date_naive();
        let definition = known.rules.current(track, today).ok_or_else(|| {
            unknown("/track", "unknown-track", "Name a track that GET /v1/workflows lists.")
        })?;
        let mut random = [0u8; 8];
        self.clock.fill(&mut random);
        let opening =
            Opening { id: self.clock.id_at(now), reference: Reference::from_random(random), form };
        let context = self.context(&known.rules, definition, &unit, now, None);
        let step = engine::open(opening, &ask.actor, &context).map_err(refusal)?;
        let answer = self.answer(ask, 201, &step, &context, None, render)?;
        match self.write(&mut conn, known.number, &step, None, ask, &answer).await? {
            Applied::Written => Ok(answer),
            Applied::KeyUsed => self.replay_kept(ask).await,
            Applied::LostRace | Applied::PersonHasAnother | Applied::PaymentKnown => {
                Err(Error::bug("an opening cannot lose a race"))
            }
        }
    }

    /// Gives a command on an application.
    ///
    /// # Errors
    /// Refused with what stands in the way; nothing has then changed.
    pub async fn execute(
        &self,
        ask: &Ask,
        id: Uuid,
        command: &Command,
        render: Render<'_>,
    ) -> Result<Answer> {
        let payment = match command {
            Command::RecordPayment { payment } => Some(self.new_payment(payment, ask)),
            _ => None,
        };
        let mut wants = self.wants(command.name());
        if let Command::AnswerInformation { answers } = command {
            wants.twins = wants.twins.and_then(|_| restated(answers));
        }
        self.change(ask, id, wants, payment, render, |application, context| {
            engine::decide(application, command, &ask.actor, context)
        })
        .await
    }

    /// Replaces the form of a draft.
    ///
    /// # Errors
    /// Refused when it is not the caller's or was handed in.
    pub async fn amend(
        &self,
        ask: &Ask,
        id: Uuid,
        form: &Form,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::amend_form(application, form.clone(), &ask.actor, context)
        })
        .await
    }

    /// Takes a document whose bytes are in the blob store.
    ///
    /// # Errors
    /// Refused when it is not the caller's, or the state or track takes no such document.
    pub async fn attach(
        &self,
        ask: &Ask,
        id: Uuid,
        document: &Document,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::attach_document(application, document.clone(), &ask.actor, context)
        })
        .await
    }

    /// Tells whether [`Casework::attach`] would take a document, before its bytes are kept.
    ///
    /// # Errors
    /// As [`Casework::attach`].
    pub async fn may_attach(&self, ask: &Ask, id: Uuid, document: &Document) -> Result<()> {
        let mut conn = self.db.conn().await?;
        let loaded = store::find(&mut conn, Key::Id(id), Wants::default()).await?;
        let loaded = loaded.ok_or_else(Error::not_found)?;
        let application = &loaded.application;
        if !engine::may_see(application, &ask.actor) {
            return Err(Error::not_found());
        }
        if ask.if_match.is_some_and(|seen| seen != application.version) {
            return Err(stale(application));
        }
        let known = self.rules.at(&mut conn, loaded.rules).await?;
        let definition = definition(&known.rules, application)?;
        let now = self.clock.now();
        let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
        engine::attach_document(application, document.clone(), &ask.actor, &context)
            .map(|_| ())
            .map_err(refusal)
    }

    /// Takes or renews a lease on an application.
    ///
    /// What the caller saw matters only where nobody holds it: a lost race names the holder, and a colleague's note ends
    /// nobody's sign of life.
    ///
    /// # Errors
    /// Refused naming the holder, when a colleague holds it.
    pub async fn claim(&self, ask: &Ask, id: Uuid, render: Render<'_>) -> Result<Answer> {
        let free = |application: &Application| application.claim_at(self.clock.now()).is_none();
        let claim = |application: &Application, context: &Context<'_>| {
            engine::claim(application, &ask.actor, context)
        };
        self.change_seen(ask, id, Wants::default(), None, render, free, claim).await
    }

    /// Gives a lease back; a senior officer ends a colleague's, saying why.
    ///
    /// # Errors
    /// Refused when there is none, or when it is a colleague's and the caller is not a senior officer.
    pub async fn release(
        &self,
        ask: &Ask,
        id: Uuid,
        reason: Option<&str>,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::release(application, reason, &ask.actor, context)
        })
        .await
    }

    /// Gives an application to an officer of its unit.
    ///
    /// # Errors
    /// Refused for all but senior officers, and when `to` is no officer of the unit.
    pub async fn reassign(
        &self,
        ask: &Ask,
        id: Uuid,
        to: Uuid,
        reason: &str,
        render: Render<'_>,
    ) -> Result<Answer> {
        let wants = Wants { officer: Some(to), ..Wants::default() };
        self.change(ask, id, wants, None, render, |application, context| {
            engine::reassign(application, to, reason, &ask.actor, context)
        })
        .await
    }

    /// Notes something for the colleagues of the office.
    ///
    /// # Errors
    /// Refused for all but the unit's officers, and when there are too many notes.
    pub async fn note(
        &self,
        ask: &Ask,
        id: Uuid,
        text: &str,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::add_note(application, text, &ask.actor, context)
        })
        .await
    }

    /// Puts an application before all others of its office.
    ///
    /// # Errors
    /// Refused for all but senior officers, and when nothing is under way.
    pub async fn expedite(
        &self,
        ask: &Ask,
        id: Uuid,
        reason: &str,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::expedite(application, reason, &ask.actor, context)
        })
        .await
    }

    /// Lets an application wait its turn again.
    ///
    /// # Errors
    /// As [`Casework::expedite`], and when it is not expedited.
    pub async fn end_expedition(
        &self,
        ask: &Ask,
        id: Uuid,
        reason: &str,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::end_expedition(application, reason, &ask.actor, context)
        })
        .await
    }

    /// Reminds the applicant of what is awaited from him.
    ///
    /// # Errors
    /// Refused when he is not awaited, or was reminded within a day.
    pub async fn remind(
        &self,
        ask: &Ask,
        id: Uuid,
        reason: &str,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.change(ask, id, Wants::default(), None, render, |application, context| {
            engine::remind(application, reason, &ask.actor, context)
        })
        .await
    }

    /// Releases what an account holds; gives how many. For somebody who has left his role or unit.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails; what was released stays so.
    pub async fn release_all(&self, account: Uuid) -> Result<usize> {
        let held = store::held_by(&mut self.db.conn().await?, account).await?;
        let ask = Ask { actor: Actor::Timer, if_match: None, idempotency: None };
        let mut released = 0;
        for id in held {
            let release = |application: &Application, context: &Context<'_>| {
                // Between the list and now a colleague may have got it.
                match application.claim.as_ref().is_some_and(|claim| claim.by == account) {
                    true => engine::release(application, None, &ask.actor, context),
                    false => Err(Rejection::WrongState {
                        state: application.state.clone(),
                        allowed_in: Vec::new(),
                    }),
                }
            };
            let nothing = |_: &Seen<'_>| Ok(String::new());
            match self.change(&ask, id, Wants::default(), None, &nothing, release).await {
                Ok(_) => released += 1,
                Err(error)
                    if matches!(error.code(), ErrorCode::WrongState | ErrorCode::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(released)
    }

    /// Claims the most urgent free application in a unit's queue; `None` when nothing is free.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`] for anybody but the unit's officers, before anything is claimed.
    pub async fn claim_next(
        &self,
        ask: &Ask,
        unit: &str,
        queue: &Queue,
        render: Render<'_>,
    ) -> Result<Option<Answer>> {
        let officer = match &ask.actor {
            Actor::User { id, role, unit: Some(of) } if role.is_office() && of == unit => *id,
            Actor::User { .. } | Actor::Timer | Actor::Payments | Actor::Register { .. } => {
                return Err(refusal(Rejection::Forbidden { parties: vec![Party::Officer] }));
            }
        };
        let Some(idempotency) = &ask.idempotency else {
            return Err(Error::bug("a claim needs an idempotency key"));
        };
        let now = self.clock.now();
        let mut conn = self.db.conn().await?;
        let claimed = store::claim_next(
            &mut conn,
            &ClaimNext {
                unit,
                queue,
                officer,
                actor: &ask.actor,
                now,
                until: now + self.lease,
                event: self.clock.id_at(now),
                salt: self.clock.salt(),
                key: (&idempotency.key, &idempotency.fingerprint),
            },
        )
        .await?;
        // Where nothing is free, no row met the key: the one that was may be what this very request has claimed.
        let kept = match claimed {
            Claimed::Application { .. } | Claimed::HasLeft => None,
            Claimed::Nothing | Claimed::KeyUsed => {
                store::find_kept_answer(&mut conn, officer, &idempotency.key).await?
            }
        };
        drop(conn);
        match (claimed, kept) {
            (Claimed::Application { id, held_ahead }, _) => {
                self.see_as_answer(ask, id, Some(held_ahead), render).await.map(Some)
            }
            (Claimed::Nothing | Claimed::KeyUsed, Some(kept)) => {
                let id = replay(ask, kept)?
                    .about()
                    .ok_or_else(|| Error::bug("a kept claim names no application"))?;
                self.see_as_answer(ask, id, None, render).await.map(Some)
            }
            (Claimed::HasLeft, _) => Err(has_left()),
            (Claimed::Nothing, None) => Ok(None),
            (Claimed::KeyUsed, None) => Err(busy()),
        }
    }

    /// Shows an application to somebody who may see it.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when there is none or it is not the caller's.
    pub async fn see<T>(
        &self,
        actor: &Actor,
        id: Uuid,
        show: impl FnOnce(&Seen<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut conn = self.db.conn().await?;
        let wants = Wants { other_open: true, staff: Staff::of(actor), ..Wants::default() };
        let loaded = store::find(&mut conn, Key::Id(id), wants).await?;
        let loaded = loaded.ok_or_else(Error::not_found)?;
        if loaded.has_left {
            return Err(has_left());
        }
        if !engine::may_see(&loaded.application, actor) {
            return Err(Error::not_found());
        }
        let known = self.rules.at(&mut conn, loaded.rules).await?;
        drop(conn);
        let definition = definition(&known.rules, &loaded.application)?;
        let now = self.clock.now();
        let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
        let holder = loaded.holder.as_deref();
        show(&seen(&loaded.application, actor, &context, holder, self.payment_page()))
    }

    /// Lets the timer give a command whose deadline may have passed; gives the instant from which it may, when that is
    /// still to come: another calendar, or an extension, has moved the deadline since.
    ///
    /// # Errors
    /// Refused when the state has no such deadline, or nothing is due: nothing is then left to do.
    pub async fn deadline(
        &self,
        id: Uuid,
        name: CommandName,
    ) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
        let ask = Ask { actor: Actor::Timer, if_match: None, idempotency: None };
        let command = Command::Deadline { name };
        match self.execute(&ask, id, &command, &|_| Ok(String::new())).await {
            Ok(_) => Ok(None),
            Err(error) if error.code() == ErrorCode::RuleRefused => {
                let later = self.due_later(id, name).await?;
                later.map_or(Err(error), |at| Ok(Some(at)))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives many commands of the timer, each to another application: loads them together, decides each as
    /// [`Casework::deadline`] does, and writes them in one transaction. Tells of each whether it was given; what was not is
    /// to be looked at by itself: somebody was quicker, nothing is due, or the command needs more than an application.
    ///
    /// A midnight on which thousands of paid periods end costs one commit for a hundred of them.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails; nothing was then given.
    pub async fn deadlines(&self, due: &[(Uuid, CommandName)]) -> Result<Vec<bool>> {
        let ask = Ask { actor: Actor::Timer, if_match: None, idempotency: None };
        let ids: Vec<Uuid> = due.iter().map(|(id, _)| *id).collect();
        let mut conn = self.db.conn().await?;
        let mut loaded: BTreeMap<Uuid, Loaded> = store::find_all(&mut conn, &ids)
            .await?
            .into_iter()
            .map(|loaded| (loaded.application.id, loaded))
            .collect();
        let (mut places, mut steps) = (Vec::new(), Vec::new());
        for (place, (id, name)) in due.iter().enumerate() {
            if self.wants(*name).needs_more() {
                continue;
            }
            // A second command to the same application is decided once the first is written.
            let Some(loaded) = loaded.remove(id) else { continue };
            let known = self.rules.at(&mut conn, loaded.rules).await?;
            let definition = definition(&known.rules, &loaded.application)?;
            let now = self.clock.now();
            let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
            let command = Command::Deadline { name: *name };
            if let Ok(step) = engine::decide(&loaded.application, &command, &ask.actor, &context) {
                places.push(place);
                steps.push((step, known.number));
            }
        }
        let writes: Vec<Write<'_>> = steps
            .iter()
            .map(|(step, rules)| Write {
                step,
                payment: None,
                answer: None,
                salt: self.clock.salt(),
                rules: *rules,
            })
            .collect();
        let mut given = vec![false; due.len()];
        if writes.is_empty() {
            return Ok(given);
        }
        let written = store::apply_all(&mut conn, &writes).await?;
        for (place, written) in places.into_iter().zip(written) {
            given[place] = written;
        }
        if steps.iter().any(|(step, _)| !step.schedule.is_empty()) {
            (self.wake)();
        }
        Ok(given)
    }

    async fn due_later(
        &self,
        id: Uuid,
        name: CommandName,
    ) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
        let mut conn = self.db.conn().await?;
        let loaded = store::find(&mut conn, Key::Id(id), Wants::default()).await?;
        let Some(loaded) = loaded else { return Ok(None) };
        let known = self.rules.at(&mut conn, loaded.rules).await?;
        let definition = definition(&known.rules, &loaded.application)?;
        let now = self.clock.now();
        let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
        let due = engine::due_at(&loaded.application, name, &context).map_err(refusal)?;
        Ok(due.filter(|at| *at > now))
    }

    /// Takes what a register answers to a check. Late and repeated answers are harmless.
    ///
    /// # Errors
    /// Refused when the check is not the register's, or its reason is none of the check's.
    pub async fn answer_register(&self, id: Uuid, answer: &RegisterAnswer) -> Result<Answered> {
        let actor = Actor::Register { name: answer.register.clone() };
        let ask = Ask { actor, if_match: None, idempotency: None };
        let command = Command::RecordFinding {
            check: answer.check.clone(),
            outcome: answer.outcome,
            reason: answer.reason.clone(),
            note: answer.note.clone(),
            digest: answer.digest.clone(),
        };
        for _ in 0..ATTEMPTS {
            let mut conn = self.db.conn().await?;
            let loaded = store::find(&mut conn, Key::Id(id), Wants::default()).await?;
            let Some(loaded) = loaded else { return Ok(Answered::TooLate) };
            let application = &loaded.application;
            let asked = application.checks.iter().find(|known| known.id == answer.check);
            if asked.is_some_and(|known| known.round != answer.round) {
                return Ok(Answered::TooLate);
            }
            let known = self.rules.at(&mut conn, loaded.rules).await?;
            let definition = definition(&known.rules, application)?;
            let now = self.clock.now();
            let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
            let step = match engine::decide(application, &command, &ask.actor, &context) {
                Ok(step) => step,
                Err(Rejection::WrongState { .. }) => return Ok(Answered::TooLate),
                Err(Rejection::Blocked(blocked)) => {
                    let by = |guard| blocked.iter().all(|one| one.guard == guard);
                    return match () {
                        () if by(engine::ALREADY_ANSWERED) => Ok(Answered::Known),
                        () if by(engine::ANSWER_STANDS) => Ok(Answered::TooLate),
                        () => Err(refusal(Rejection::Blocked(blocked))),
                    };
                }
                Err(rejection) => return Err(refusal(rejection)),
            };
            match self.write(&mut conn, known.number, &step, None, &ask, &NO_ANSWER).await? {
                Applied::Written => return Ok(Answered::Taken),
                Applied::LostRace => {}
                Applied::KeyUsed | Applied::PersonHasAnother | Applied::PaymentKnown => {
                    return Err(Error::bug("a finding meets no such constraint"));
                }
            }
        }
        Err(busy())
    }

    /// Folds an application's events and compares with its row; gives what differs, in words.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails.
    pub fn differences(stored: &Application, events: &[Event]) -> Vec<String> {
        match Application::replay(stored.id, events) {
            Err(error) => vec![error.to_string()],
            Ok(None) => vec!["there are no events".to_owned()],
            Ok(Some(replayed)) => differing_parts(stored, &replayed),
        }
    }

    async fn change(
        &self,
        ask: &Ask,
        id: Uuid,
        wants: Wants<'_>,
        payment: Option<PaymentRow<'_>>,
        render: Render<'_>,
        decide: impl Fn(&Application, &Context<'_>) -> Result<Step, Rejection>,
    ) -> Result<Answer> {
        self.change_seen(ask, id, wants, payment, render, |_| true, decide).await
    }

    /// As [`Casework::change`], where the version that the caller saw is compared only if `compares` says so.
    #[expect(clippy::too_many_arguments, reason = "one place takes all the steps of a change")]
    async fn change_seen(
        &self,
        ask: &Ask,
        id: Uuid,
        wants: Wants<'_>,
        payment: Option<PaymentRow<'_>>,
        render: Render<'_>,
        compares: impl Fn(&Application) -> bool,
        decide: impl Fn(&Application, &Context<'_>) -> Result<Step, Rejection>,
    ) -> Result<Answer> {
        let key = ask.idempotency.as_ref().map(|one| one.key.as_str());
        let (kept_answer, staff) = (ask.actor.account().zip(key), Staff::of(&ask.actor));
        let wants = Wants { kept_answer, staff, ..wants };
        for _ in 0..ATTEMPTS {
            let mut conn = self.db.conn().await?;
            let loaded = store::find(&mut conn, Key::Id(id), wants).await?;
            let loaded = loaded.ok_or_else(Error::not_found)?;
            if loaded.has_left {
                return Err(has_left());
            }
            if !engine::may_see(&loaded.application, &ask.actor) {
                return Err(Error::not_found());
            }
            if let Some(kept) = loaded.kept_answer.clone() {
                return replay(ask, kept);
            }
            if let Some(seen) = ask.if_match
                && seen != loaded.application.version
                && compares(&loaded.application)
            {
                return Err(stale(&loaded.application));
            }
            if loaded.is_no_officer && ask.actor.is_senior() {
                return Err(no_such_officer());
            }
            let known = self.rules.at(&mut conn, loaded.rules).await?;
            let definition = definition(&known.rules, &loaded.application)?;
            let now = self.clock.now();
            let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
            let step = decide(&loaded.application, &context)
                .map_err(refusal)
                .map_err(|error| name_holder(error, loaded.holder.as_deref()))?;
            let answer =
                self.answer(ask, 200, &step, &context, loaded.holder.as_deref(), render)?;
            let paid = payment.clone();
            match self.write(&mut conn, known.number, &step, paid, ask, &answer).await? {
                Applied::Written => return Ok(answer),
                Applied::LostRace => {}
                Applied::KeyUsed => return self.replay_kept(ask).await,
                Applied::PersonHasAnother => {
                    return Err(refusal(Rejection::Blocked(vec![
                        engine::Blocked::other_open_application(),
                    ])));
                }
                Applied::PaymentKnown => {
                    return Err(Error::refused(
                        ErrorCode::RuleRefused,
                        "A payment with this document number was recorded before.",
                    ));
                }
            }
        }
        Err(busy())
    }

    async fn write(
        &self,
        conn: &mut crate::storage::Conn,
        rules: i64,
        step: &Step,
        payment: Option<PaymentRow<'_>>,
        ask: &Ask,
        answer: &Answer,
    ) -> Result<Applied> {
        let kept = match (ask.actor.account(), &ask.idempotency) {
            (Some(account), Some(idempotency)) => Some(KeptAnswer {
                account,
                key: idempotency.key.clone(),
                fingerprint: idempotency.fingerprint.to_vec(),
                status: i32::from(answer.status),
                etag: answer.etag.clone(),
                location: answer.location.clone(),
                body: answer.body.clone(),
            }),
            _ => None,
        };
        let applied = store::apply(
            conn,
            &Write { step, payment, answer: kept, salt: self.clock.salt(), rules },
        )
        .await?;
        if applied == Applied::Written && !step.schedule.is_empty() {
            (self.wake)();
        }
        Ok(applied)
    }

    fn answer(
        &self,
        ask: &Ask,
        status: u16,
        step: &Step,
        context: &Context<'_>,
        holder: Option<&str>,
        render: Render<'_>,
    ) -> Result<Answer> {
        let body = render(&seen(&step.after, &ask.actor, context, holder, self.payment_page()))?;
        Ok(Answer {
            status,
            etag: Some(etag(step.after.version)),
            location: (status == 201).then(|| location(step.after.id)),
            body,
            replayed: false,
        })
    }

    /// Shows what a queue gave out just now, or once more when `held_ahead` is not known.
    async fn see_as_answer(
        &self,
        ask: &Ask,
        id: Uuid,
        held_ahead: Option<i64>,
        render: Render<'_>,
    ) -> Result<Answer> {
        self.see(&ask.actor, id, |seen| {
            let seen = Seen { held_ahead, choices: seen.choices.clone(), ..*seen };
            Ok(Answer {
                status: 200,
                etag: Some(etag(seen.application.version)),
                location: Some(location(id)),
                body: render(&seen)?,
                replayed: held_ahead.is_none(),
            })
        })
        .await
    }

    /// Gives the answer that a racing request with the same key has just kept.
    async fn replay_kept(&self, ask: &Ask) -> Result<Answer> {
        let (Some(account), Some(idempotency)) = (ask.actor.account(), &ask.idempotency) else {
            return Err(Error::bug("no idempotency key to replay"));
        };
        let mut conn = self.db.conn().await?;
        let kept = store::find_kept_answer(&mut conn, account, &idempotency.key).await?;
        replay(ask, kept.ok_or_else(busy)?)
    }

    fn context<'a>(
        &'a self,
        rules: &'a Rulebook,
        definition: &'a Definition,
        unit: &'a Unit,
        now: chrono::DateTime<chrono::Utc>,
        loaded: Option<&'a Loaded>,
    ) -> Context<'a> {
        Context {
            rules,
            definition,
            unit,
            now,
            lease: self.lease,
            registers: &self.registers,
            other_open: loaded.is_some_and(|loaded| loaded.other_open),
            twins: loaded.map_or(&[], |loaded| &loaded.twins),
            reissued: loaded.and_then(|loaded| loaded.reissued.as_ref()),
            supplies: Supplies {
                event: self.clock.id_at(now),
                charge: self.clock.new_id(),
                charge_serial: loaded.and_then(|loaded| loaded.charge_serial),
                permit_serial: loaded.and_then(|loaded| loaded.permit_serial),
                blank_serial: loaded.and_then(|loaded| loaded.blank_serial),
            },
        }
    }

    /// Tells what a command may need, whatever the definition: sequences are not spent on commands that never do.
    fn wants(&self, command: CommandName) -> Wants<'static> {
        let rules = self.rules();
        let any = |test: &dyn Fn(&crate::domain::workflow::definition::Transition) -> bool| {
            rules
                .definitions
                .iter()
                .flat_map(|definition| &definition.transitions)
                .any(|transition| transition.command == command && test(transition))
        };
        let asks = |effect: &Effect| {
            matches!(
                effect,
                Effect::OpenChecks
                    | Effect::RepeatCheck
                    | Effect::AskOpenChecks
                    | Effect::RecordAnswers
            )
        };
        Wants {
            charge_serial: any(&|t| {
                t.effects.iter().any(|effect| matches!(effect, Effect::CreateCharge(_)))
            }),
            permit_serial: any(&|t| t.effects.contains(&Effect::IssuePermit)),
            blank_serial: any(&|t| {
                t.effects.iter().any(|one| matches!(one, Effect::IssuePermit | Effect::PrintBlank))
            }),
            other_open: any(&|t| t.guards.contains(&Guard::NoOtherOpenApplication)),
            twins: (any(&|t| t.effects.iter().any(asks))
                && rules.definitions.iter().any(Definition::looks_at_others))
            .then(Likeness::default),
            ..Wants::default()
        }
    }
}

const NO_ANSWER: Answer =
    Answer { status: 200, etag: None, location: None, body: String::new(), replayed: false };

/// Gives whom to look for once these answers have mended the form; `None` where they mend nothing.
fn restated(answers: &[InformationAnswer]) -> Option<Likeness<'_>> {
    let forms = || answers.iter().filter_map(|answer| answer.form.as_ref());
    forms().next()?;
    let passport = forms().filter_map(|form| form.passport.as_ref()).next_back();
    let person = forms().filter_map(|form| form.person.as_ref()).next_back();
    Some(Likeness {
        passport: passport.map(|passport| passport.number.as_str()),
        birth_date: person.map(|person| person.birth_date),
    })
}

/// Finds the definition that an application is pinned to.
fn definition<'r>(rules: &'r Rulebook, application: &Application) -> Result<&'r Definition> {
    let Application { track, workflow_version, .. } = application;
    rules.definition(track, *workflow_version).ok_or_else(|| {
        Error::bug(format!("version {workflow_version} of the track '{track}' is not loaded"))
    })
}

fn seen<'a>(
    application: &'a Application,
    actor: &Actor,
    context: &Context<'a>,
    holder: Option<&'a str>,
    payment_page: Option<&'a PaymentPage>,
) -> Seen<'a> {
    Seen {
        application,
        unit: context.unit,
        definition: context.definition,
        rules: context.rules,
        choices: engine::choices(application, actor, context),
        holder,
        today: context.today(),
        now: context.now,
        work: Work::of(application, context),
        payment_page,
        held_ahead: None,
    }
}

/// Gives an earlier answer again, if the request is the same.
fn replay(ask: &Ask, kept: StoredAnswer) -> Result<Answer> {
    let same = ask.idempotency.as_ref().is_some_and(|one| {
        let mut stored = [0u8; 32];
        decode_hex(&kept.fingerprint, &mut stored) && stored == one.fingerprint
    });
    if !same {
        return Err(reused());
    }
    Ok(Answer {
        status: u16::try_from(kept.status).unwrap_or(200),
        etag: kept.etag,
        location: kept.location,
        body: kept.body,
        replayed: true,
    })
}

fn reused() -> Error {
    Error::refused(
        ErrorCode::IdempotencyKeyReused,
        "This Idempotency-Key was used with another request; send a new key.",
    )
}

fn decode_hex(text: &str, bytes: &mut [u8; 32]) -> bool {
    text.len() == 64
        && bytes.iter_mut().enumerate().all(|(index, byte)| {
            text.get(index * 2..index * 2 + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .is_some_and(|value| {
                    *byte = value;
                    true
                })
        })
}

fn stale(application: &Application) -> Error {
    Error::refused(
        ErrorCode::StaleVersion,
        "The application has changed since you read it; read it again and decide anew.",
    )
    .with_fact("currentETag", etag(application.version))
    .with_fact("state", application.state.clone())
}

/// The refusal of whose token says more than his account does by now.
fn has_left() -> Error {
    Error::refused(
        ErrorCode::Unauthenticated,
        "Your role, your office or your account has changed since you logged in; log in again.",
    )
}

fn no_such_officer() -> Error {
    let detail = "Name the account of an officer of your unit who can log in.";
    Error::refused(
        ErrorCode::RuleRefused,
        "The command does not fit this application; mend each of the listed errors.",
    )
    .with_violations(vec![crate::error::Violation::new("/to", "no-such-officer", detail)])
}

fn busy() -> Error {
    Error::refused(
        ErrorCode::Unavailable,
        "Others are changing the same application; send the same request again.",
    )
    .with_retry_after(1)
}

fn unknown(pointer: &str, code: &'static str, detail: &str) -> Error {
    Error::invalid(vec![crate::error::Violation::new(pointer, code, detail)])
}

fn name_holder(error: Error, holder: Option<&str>) -> Error {
    match (error.code(), holder) {
        (ErrorCode::ClaimedByAnother, Some(holder)) => error.with_fact("holderName", holder),
        _ => error,
    }
}

/// Names the parts in which two states of one application differ.
fn differing_parts(stored: &Application, replayed: &Application) -> Vec<String> {
    let (Ok(serde_json::Value::Object(stored)), Ok(serde_json::Value::Object(replayed))) =
        (serde_json::to_value(stored), serde_json::to_value(replayed))
    else {
        return vec!["the application cannot be compared".to_owned()];
    };
    stored
        .iter()
        .filter(|(name, value)| replayed.get(*name) != Some(value))
        .map(|(name, value)| {
            let other = replayed.get(name).unwrap_or(&serde_json::Value::Null);
            format!("{name}: the row says {value}, the events say {other}")
        })
        .collect()
}
