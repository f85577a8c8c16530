//! Questions to registers and what came of them, and the circuit breakers that all processes share.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::Bool;
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, Insertable, IntoSql as _, JoinOnDsl as _,
    NullableExpressionMethods as _, OptionalExtension as _, QueryDsl as _, Queryable,
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use super::events::{self, PlainEvent};
use super::query_failed;
use super::schema::{applications as a, checks as c, register_requests as q, registers as r};
use crate::domain::checks::Outcome;
use crate::error::{Error, Result};

/// Within what whoever takes an answer in must have done so.
const TAKING: TimeDelta = TimeDelta::minutes(1);

// ── Circuit breakers ──────────────────────────────────────────────────────────────────────────────────────

/// The state of a register's circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// The register is asked.
    Closed,
    /// It is left alone.
    Open,
    /// One request finds out whether it answers again.
    HalfOpen,
}

impl BreakerState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Gives the state's name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "halfOpen",
        }
    }
}

/// A register and its circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRow {
    /// Name.
    pub name: String,
    /// State.
    pub state: BreakerState,
    /// Failures in a row.
    pub failures: i32,
    /// Since when it is closed, or not.
    pub since: DateTime<Utc>,
    /// When it is tried again; of a half-open one, when the probe counts as lost.
    pub retry_at: Option<DateTime<Utc>>,
    /// When it answered last.
    pub last_ok_at: Option<DateTime<Utc>>,
    /// Why it failed last.
    pub last_error: Option<String>,
}

type Columns = (
    String,
    String,
    i32,
    DateTime<Utc>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    Option<String>,
);

fn decode(columns: Columns) -> Result<RegisterRow> {
    let (name, state, failures, since, retry_at, last_ok_at, last_error) = columns;
    let known = BreakerState::ALL.into_iter().find(|known| known.name() == state);
    let Some(state) = known else {
        return Err(Error::Corrupt { table: "registers", column: "state", row: name });
    };
    Ok(RegisterRow { name, state, failures, since, retry_at, last_ok_at, last_error })
}

/// Finds a register's breaker; without a row it is closed and was never asked.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find(conn: &mut AsyncPgConnection, name: &str) -> Result<Option<RegisterRow>> {
    let row: Option<Columns> = r::table
        .find(name)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("registers::find", error))?;
    row.map(decode).transpose()
}

/// Lists every register that was ever asked, with its breaker.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn states(conn: &mut AsyncPgConnection) -> Result<Vec<RegisterRow>> {
    let rows: Vec<Columns> = r::table
        .order(r::name)
        .load(conn)
        .await
        .map_err(|error| query_failed("registers::states", error))?;
    rows.into_iter().map(decode).collect()
}

/// Takes the probe of a breaker that is not closed and whose time has come; of many who try, one gets it.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn probe(
    conn: &mut AsyncPgConnection,
    name: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool> {
    let due = r::state.ne(BreakerState::Closed.name()).and(r::retry_at.le(now));
    let taken: Option<String> = diesel::update(r::table.filter(r::name.eq(name).and(due)))
        .set((r::state.eq(BreakerState::HalfOpen.name()), r::retry_at.eq(until)))
        .returning(r::name)
        .get_result(conn)
        .await
        .optional()
        .map_err(|error| query_failed("registers::probe", error))?;
    Ok(taken.is_some())
}

/// Notes an answer of a register whose breaker is closed and that has not failed since; `false` for others.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn note_answer(
    conn: &mut AsyncPgConnection,
    name: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let sound = r::state.eq(BreakerState::Closed.name()).and(r::failures.eq(0));
    diesel::update(r::table.filter(r::name.eq(name).and(sound)))
        .set(r::last_ok_at.eq(now))
        .execute(conn)
        .await
        .map(|noted| noted > 0)
        .map_err(|error| query_failed("registers::note_answer", error))
}

/// Changes a breaker under lock; a register that was never asked begins closed. Three statements in a transaction.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn change(
    conn: &mut AsyncPgConnection,
    name: &str,
    now: DateTime<Utc>,
    decide: impl Fn(&RegisterRow) -> RegisterRow + Send + Sync,
) -> Result<RegisterRow> {
    let work = async |conn: &mut AsyncPgConnection| {
        diesel::insert_into(r::table)
            .values((r::name.eq(name), r::state.eq(BreakerState::Closed.name()), r::since.eq(now)))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        let before: Columns = r::table.find(name).for_update().first(conn).await?;
        let after = match decode(before) {
            Ok(before) => decide(&before),
            Err(error) => return Ok(Err(error)),
        };
        diesel::update(r::table.find(name))
            .set((
                r::state.eq(after.state.name()),
                r::failures.eq(after.failures),
                r::since.eq(after.since),
                r::retry_at.eq(after.retry_at),
                r::last_ok_at.eq(after.last_ok_at),
                r::last_error.eq(&after.last_error),
            ))
            .execute(conn)
            .await?;
        Ok(Ok(after))
    };
    let changed: Result<Result<RegisterRow>, diesel::result::Error> = conn.transaction(work).await;
    changed.map_err(|error| query_failed("registers::change", error))?
}

/// Counts, for each register, the checks of a unit's applications that wait for its answer.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn waiting(conn: &mut AsyncPgConnection, unit: &str) -> Result<Vec<(String, i64)>> {
    let same = c::application_id
        .eq(q::application_id)
        .and(c::id.eq(q::check_id))
        .and(c::round.eq(q::round))
        .and(c::outcome.is_null());
    q::table
        .inner_join(a::table.on(a::id.eq(q::application_id)))
        .inner_join(c::table.on(same))
        .filter(q::status.eq_any([Status::Waiting.name(), Status::Accepted.name()]))
        .filter(a::unit_code.eq(unit).and(a::phase.eq("checks")))
        .group_by(q::register)
        .order(q::register)
        .select((q::register, diesel::dsl::count_star()))
        .load(conn)
        .await
        .map_err(|error| query_failed("registers::waiting", error))
}

// ── Requests ──────────────────────────────────────────────────────────────────────────────────────────────

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// To be asked, again perhaps.
    Waiting,
    /// The register will call back.
    Accepted,
    /// It answered.
    Answered,
    /// It refused, or there is nothing to ask any more.
    Failed,
    /// It did not answer by the end of the check's last day.
    TimedOut,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Accepted, Self::Answered, Self::Failed, Self::TimedOut];

    /// Gives the status's name as it stands in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::TimedOut => "timedOut",
        }
    }
}

/// A request to be: one question about one application.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = q)]
pub struct NewRequest<'a> {
    /// Id, should it be a new one.
    pub id: Uuid,
    /// The application.
    pub application_id: Uuid,
    /// The check.
    pub check_id: &'a str,
    /// How often it was asked, from 1.
    pub round: i32,
    /// The register.
    pub register: &'a str,
    /// A [`Status::name`].
    pub status: &'static str,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Id.
    pub id: Uuid,
    /// The application.
    pub application: Uuid,
    /// Its office.
    pub unit: String,
    /// The check.
    pub check: String,
    /// How often it was asked, from 1.
    pub round: u32,
    /// The register.
    pub register: String,
    /// How it stands.
    pub status: Status,
    /// How often it was sent.
    pub attempts: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether the latest answer was taken into the application; `None` when that is not known yet.
    pub used: Option<bool>,
}

impl RequestRow {
    /// Tells whether an answer is still to be had, or to be taken in.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.status {
            Status::Waiting | Status::Accepted => true,
            Status::Answered => self.used.is_none(),
            Status::Failed | Status::TimedOut => false,
        }
    }
}

#[derive(Queryable)]
struct StoredRequest {
    id: Uuid,
    application: Uuid,
    unit: String,
    check: String,
    round: i32,
    register: String,
    status: String,
    attempts: i32,
    created_at: DateTime<Utc>,
    used: Option<bool>,
}

impl StoredRequest {
    fn decode(self) -> Result<RequestRow> {
        let id = self.id.to_string();
        let corrupt = |column| Error::Corrupt { table: "register_requests", column, row: id };
        let known = Status::ALL.into_iter().find(|known| known.name() == self.status);
        let Some(status) = known else { return Err(corrupt("status")) };
        let Ok(round) = u32::try_from(self.round) else { return Err(corrupt("round")) };
        Ok(RequestRow {
            id: self.id,
            application: self.application,
            unit: self.unit,
            check: self.check,
            round,
            register: self.register,
            status,
            attempts: self.attempts,
            created_at: self.created_at,
            used: self.used,
        })
    }
}

/// The requests with their offices, where something holds.
macro_rules! requests {
    ($which:expr) => {
        q::table.inner_join(a::table.on(a::id.eq(q::application_id))).filter($which).select((
            q::id,
            q::application_id,
            a::unit_code,
            q::check_id,
            q::round,
            q::register,
            q::status,
            q::attempts,
            q::created_at,
            q::used,
        ))
    };
}

/// Gives the request of a check's round: the one that is there, or a new one. Two statements.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn open_request(
    conn: &mut AsyncPgConnection,
    request: &NewRequest<'_>,
) -> Result<RequestRow> {
    let failed = |error| query_failed("registers::open_request", error);
    diesel::insert_into(q::table)
        .values(request)
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map_err(failed)?;
    let which = q::application_id
        .eq(request.application_id)
        .and(q::check_id.eq(request.check_id))
        .and(q::round.eq(request.round));
    let found: StoredRequest = requests!(which).first(conn).await.map_err(failed)?;
    found.decode()
}

/// Finds a request by its id.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_request(conn: &mut AsyncPgConnection, id: Uuid) -> Result<Option<RequestRow>> {
    let found: Option<StoredRequest> = requests!(q::id.eq(id))
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("registers::find_request", error))?;
    found.map(StoredRequest::decode).transpose()
}

/// Notes that a request is being sent; gives how often it was by now.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn begin_attempt(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<i32> {
    diesel::update(q::table.find(id))
        .set((q::attempts.eq(q::attempts + 1), q::sent_at.eq(now)))
        .returning(q::attempts)
        .get_result(conn)
        .await
        .map_err(|error| query_failed("registers::begin_attempt", error))
}

/// Notes why a request was not answered.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn note_error(conn: &mut AsyncPgConnection, id: Uuid, error: &str) -> Result<()> {
    diesel::update(q::table.find(id))
        .set(q::last_error.eq(error))
        .execute(conn)
        .await
        .map(drop)
        .map_err(|error| query_failed("registers::note_error", error))
}

/// Notes that the register will call back, unless it has done so by now.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn accept(conn: &mut AsyncPgConnection, id: Uuid) -> Result<()> {
    let open = q::id.eq(id).and(q::status.eq(Status::Waiting.name()));
    diesel::update(q::table.filter(open))
        .set((q::status.eq(Status::Accepted.name()), q::last_error.eq(None::<String>)))
        .execute(conn)
        .await
        .map(drop)
        .map_err(|error| query_failed("registers::accept", error))
}

/// Ends the request of a check's round that nobody needs an answer to any more, if there is one.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn drop_request(
    conn: &mut AsyncPgConnection,
    application: Uuid,
    check: &str,
    round: u32,
) -> Result<()> {
    let which = q::application_id
        .eq(application)
        .and(q::check_id.eq(check))
        .and(q::round.eq(i32::try_from(round).unwrap_or(i32::MAX)))
        .and(q::status.eq_any([Status::Waiting.name(), Status::Accepted.name()]));
    diesel::update(q::table.filter(which))
        .set((q::status.eq(Status::Failed.name()), q::last_error.eq("nobody waits for it")))
        .execute(conn)
        .await
        .map(drop)
        .map_err(|error| query_failed("registers::drop_request", error))
}

/// What stands against taking an answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is the one that counts now.
    Yes,
    /// It was taken in before.
    Known,
    /// Another answer counts, and this one changes nothing.
    Settled,
    /// Another answer is being taken in at this very moment.
    Busy,
}

/// Makes an answer the one that counts of its request, before it is taken into the application; [`end_answer`] says what
/// came of that.
///
/// `meaning` tells answers apart: it is the digest of what one says. The first answer counts, and after it only a hit. Of
/// two that come at the same time the row lets one through: the application would keep whichever came last. Whoever began
/// and did not end within a minute is gone. Two statements at the most.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn begin_answer(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    outcome: Outcome,
    meaning: &str,
    now: DateTime<Utc>,
) -> Result<Begun> {
    let failed = |error| query_failed("registers::begin_answer", error);
    let hit = Outcome::Hit;
    let same = q::outcome.eq(outcome.name()).and(q::digest.eq(meaning));
    let gone = q::used.is_not_null().or(q::answered_at.le(now - TAKING));
    let worse = q::outcome.ne(hit.name()).and(gone);
    let unfinished = same.and(q::used.is_null());
    let open = q::status.ne(Status::Answered.name());
    let against = (outcome == hit).into_sql::<Bool>();
    let counts = open.nullable().or(unfinished).or(worse.and(against));
    let begun = diesel::update(q::table)
        .filter(q::id.eq(id).and(counts))
        .set((
            q::status.eq(Status::Answered.name()),
            q::outcome.eq(outcome.name()),
            q::digest.eq(meaning),
            q::answered_at.eq(now),
            q::used.eq(None::<bool>),
        ))
        .execute(conn)
        .await
        .map_err(failed)?;
    if begun > 0 {
        return Ok(Begun::Yes);
    }
    let (used, before, kept): (Option<bool>, Option<String>, Option<String>) = q::table
        .find(id)
        .select((q::used, q::outcome, q::digest))
        .first(conn)
        .await
        .map_err(failed)?;
    let known = before.as_deref() == Some(outcome.name()) && kept.as_deref() == Some(meaning);
    let against = outcome == hit && before.as_deref() != Some(hit.name());
    Ok(match used {
        Some(_) if known => Begun::Known,
        None if against => Begun::Busy,
        Some(_) | None => Begun::Settled,
    })
}

/// Records whether an answer that [`begin_answer`] let through was taken into the application, with the event of one that
/// came too late. One transaction.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn end_answer(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    meaning: &str,
    used: bool,
    event: Option<&PlainEvent>,
) -> Result<()> {
    let work = async |conn: &mut AsyncPgConnection| {
        diesel::update(q::table.filter(q::id.eq(id).and(q::digest.eq(meaning))))
            .set((q::used.eq(used), q::last_error.eq(None::<String>)))
            .execute(conn)
            .await?;
        match event {
            Some(event) => events::insert(conn, event).await,
            None => Ok(()),
        }
    };
    conn.transaction(work).await.map_err(|error| query_failed("registers::end_answer", error))
}

/// Ends a request that got no answer, with the outcome that its check was given; one that got an answer meanwhile stays
/// answered.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn give_up(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    status: Status,
    outcome: Option<Outcome>,
    error: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let open = q::id.eq(id).and(q::status.ne(Status::Answered.name()));
    diesel::update(q::table.filter(open))
        .set((
            q::status.eq(status.name()),
            q::answered_at.eq(outcome.map(|_| now)),
            q::outcome.eq(outcome.map(Outcome::name)),
            q::used.eq(outcome.map(|_| true)),
            q::last_error.eq(error),
        ))
        .execute(conn)
        .await
        .map(drop)
        .map_err(|error| query_failed("registers::give_up", error))
}

/// Records an answer that was ignored, beside the one that counts. One statement.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn ignore(conn: &mut AsyncPgConnection, event: &PlainEvent) -> Result<()> {
    events::insert(conn, event).await.map_err(|error| query_failed("registers::ignore", error))
}
