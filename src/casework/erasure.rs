//! The one way in which a person's data goes: of what is over, after its term, with an event that says so.
//!
//! Which application, when and why is decided here; what exactly goes is said by the database's function, and the bytes
//! of documents go with a job. What stays is numbers and dates: events, their order and their commitments, and the event
//! `erased`, whose own content names nobody.

use chrono::{DateTime, Days, Months, NaiveDate, NaiveTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::Casework;
use crate::domain::actor::Actor;
use crate::domain::rules::retention::{Ended, MissingTerm, Term};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::erasure::{self as store, Candidate, Order, Place};
use crate::storage::events::PlainEvent;

pub use crate::storage::erasure::Whose;

/// How many closed applications are looked at together.
const PAGE: i64 = 100;

/// Why somebody's data goes. The words stay, so they name nobody.
#[derive(Debug, Clone, Copy)]
pub enum Reason<'a> {
    /// Somebody asked for it.
    Request {
        /// On what basis, such as the number of an order.
        basis: &'a str,
        /// As what whoever carries it out is shown in the log.
        role: &'static str,
    },
    /// Its term is over.
    Term,
}

/// Whether an application can be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can, since this day.
    Since(NaiveDate),
    /// It can from this day on, not before.
    NotBefore(NaiveDate),
    /// It is not over.
    Open,
    /// It was, then.
    Erased(DateTime<Utc>),
}

/// An application with what stands in the way of its erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    pub reference: String,
    /// Track.
    pub track: String,
    /// State.
    pub state: String,
    /// Whether it can be erased.
    pub standing: Standing,
}

/// A walk through everything that is closed; begins anew with the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    term: usize,
    after: Option<Place>,
}

impl Casework {
    /// Lists the applications that are meant, each with what stands in the way of its erasure.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no term for one of them.
    pub async fn kept(&self, whose: Whose<'_>) -> Result<Vec<Kept>> {
        let now = self.clock.now();
        let candidates = store::list(&mut *self.db.conn().await?, whose).await?;
        let kept = |one| Ok(kept(one, self.standing(one, now)?));
        candidates.iter().map(kept).collect()
    }

    /// Erases the applications that are meant, all or none of them, in one transaction; gives what they were.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when there are none; [`ErrorCode::RuleRefused`] when one is open, within its term or
    /// erased, with a violation for each (and, of one alone, the day from which it is possible as `possibleFrom`);
    /// [`ErrorCode::InvalidRequest`] for a basis that is empty or names the person.
    pub async fn erase(&self, whose: Whose<'_>, reason: Reason<'_>) -> Result<Vec<Kept>> {
        let now = self.clock.now();
        let mut conn = self.db.conn().await?;
        let decide = |candidates: &[Candidate]| self.order(candidates, reason, now);
        let (erased, left) = store::erase(&mut conn, whose, decide).await?;
        drop(conn);
        if left {
            (self.wake)();
        }
        Ok(erased.iter().map(|one| kept(one, Standing::Erased(now))).collect())
    }

    /// Goes on with a walk through everything that is closed: gives what has outlived its term among the next
    /// applications, or nothing once it is through.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails; the same page then comes again.
    pub async fn outlived(&self, round: &mut Round) -> Result<Option<Vec<Uuid>>> {
        let now = self.clock.now();
        let rules = self.rules();
        let Some(term) = rules.retention.terms().get(round.term) else { return Ok(None) };
        let (page, last) = match closed_before(term, now) {
            Some(before) => {
                let (track, after) = (&term.track, round.after);
                let mut conn = self.db.conn().await?;
                store::list_closed(&mut conn, track, term.outcome, before, after, PAGE).await?
            }
            None => (Vec::new(), None),
        };
        match last {
            Some(_) => round.after = last,
            None => *round = Round { term: round.term + 1, after: None },
        }
        let mut due = Vec::new();
        for one in &page {
            if matches!(self.standing(one, now)?, Standing::Since(_)) {
                due.push(one.id);
            }
        }
        Ok(Some(due))
    }

    fn standing(&self, one: &Candidate, now: DateTime<Utc>) -> Result<Standing> {
        if let Some(at) = one.erased_at {
            return Ok(Standing::Erased(at));
        }
        if !one.closed {
            return Ok(Standing::Open);
        }
        let from = self.rules().retention.erasable_from(&ended(one)).map_err(missing)?;
        let today = now.with_timezone(&one.time_zone).date_naive();
        Ok(if from <= today { Standing::Since(from) } else { Standing::NotBefore(from) })
    }

    /// Orders the erasure of all of them, or refuses it.
    fn order(
        &self,
        candidates: &[Candidate],
        reason: Reason<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Order>> {
        if candidates.is_empty() {
            return Err(Error::not_found());
        }
        let mut blocked = Vec::new();
        let mut orders = Vec::new();
        for one in candidates {
            match self.standing(one, now)? {
                Standing::Since(from) => orders.push(self.order_one(one, from, reason)?),
                standing => blocked.push((one, standing)),
            }
        }
        if blocked.is_empty() { Ok(orders) } else { Err(refusal(&blocked, candidates.len())) }
    }

    fn order_one(&self, one: &Candidate, from: NaiveDate, reason: Reason<'_>) -> Result<Order> {
        let ended = ended(one);
        let rules = self.rules();
        let term = rules.retention.term(ended.track, ended.outcome).map_err(missing)?;
        let (basis, role) = match reason {
            Reason::Request { basis, role } => (checked(basis, one)?, role),
            Reason::Term => ("the term of retention is over".to_owned(), Actor::Timer.role_name()),
        };
        let content = json!({
            "basis": basis, "term": term, "endedOn": ended.on(), "possibleFrom": from,
        });
        let event = PlainEvent::now(&*self.clock, "erased", role, content)
            .about(one.id)
            .in_unit(Some(one.unit.clone()));
        Ok(Order { application: one.id, basis, event })
    }
}

fn ended(one: &Candidate) -> Ended<'_> {
    Ended {
        track: &one.track,
        outcome: one.outcome,
        closed_at: one.state_since,
        permit_ends_on: one.permit_ends_on,
        time_zone: one.time_zone,
    }
}

fn kept(one: &Candidate, standing: Standing) -> Kept {
    let Candidate { id, reference, track, state, .. } = one.clone();
    Kept { id, reference, track, state, standing }
}

/// Gives an instant after which nothing can have ended that has outlived the term now, wherever its unit is.
fn closed_before(term: &Term, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let day = now.date_naive().checked_sub_months(Months::new(term.length.months()))?;
    Some(day.checked_add_days(Days::new(2))?.and_time(NaiveTime::MIN).and_utc())
}

fn missing(error: MissingTerm) -> Error {
    Error::internal("a term of retention is missing", error)
}

/// Gives the words of a basis; they stay for good, so they must not name whose data goes.
fn checked(basis: &str, one: &Candidate) -> Result<String> {
    let wrong = |code: &'static str, detail: &str| {
        Err(Error::invalid(vec![Violation::new("/basis", code, detail)]))
    };
    let basis = basis.trim();
    if basis.is_empty() || basis.chars().count() > 500 || basis.contains(char::is_control) {
        return wrong("length", "Give a basis of 1 to 500 characters in one line.");
    }
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|letter: char| !letter.is_alphanumeric());
        parts.filter(|word| word.chars().count() > 2).map(str::to_lowercase).collect()
    };
    let mut own = words(one.person_name.as_deref().unwrap_or_default());
    own.extend(one.person_key.as_deref().and_then(|key| words(key).pop()));
    if words(basis).iter().any(|word| own.contains(word)) {
        let detail = "The basis stays in the log: name an order or a file number, not the person.";
        return wrong("names-the-person", detail);
    }
    Ok(basis.to_owned())
}

/// Says of each of these applications, out of so many, why it is not erased.
fn refusal(blocked: &[(&Candidate, Standing)], of: usize) -> Error {
    let violations: Vec<Violation> = blocked
        .iter()
        .map(|(one, standing)| {
            let (code, detail) = obstacle(one, *standing);
            Violation::new(one.id.to_string(), code, detail)
        })
        .collect();
    let detail = match &violations[..] {
        [violation] if of == 1 => violation.detail.clone(),
        _ => "Nothing was erased: some of these applications cannot be erased yet.".to_owned(),
    };
    // The day from which all of it is possible, if there is one.
    let from = blocked.iter().map(|(_, standing)| match standing {
        Standing::NotBefore(from) => Some(*from),
        Standing::Open | Standing::Erased(_) | Standing::Since(_) => None,
    });
    let error = Error::refused(ErrorCode::RuleRefused, detail).with_violations(violations);
    match from.collect::<Option<Vec<_>>>().and_then(|days| days.into_iter().max()) {
        Some(from) => error.with_fact("possibleFrom", from.to_string()),
        None => error,
    }
}

fn obstacle(one: &Candidate, standing: Standing) -> (&'static str, String) {
    let state = &one.state;
    match standing {
        Standing::NotBefore(from) => (
            "within-term",
            format!("It is kept until its term is over; it can be erased from {from} on."),
        ),
        Standing::Erased(at) => {
            ("erased", format!("It was erased on {}; nothing is left to erase.", at.date_naive()))
        }
        Standing::Open | Standing::Since(_) => (
            "open",
            format!("It is still open, in the state '{state}'; only what is over can be erased."),
        ),
    }
}
