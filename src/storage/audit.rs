//! The event log as it is read: an application's history, and the auditor's questions.
//!
//! Rows are written by [`super::applications`] and by the plain writes; nobody updates or deletes them.

use chrono::{DateTime, Utc};
use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _, Queryable};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::schema::{applications as a, events as e};
use super::{Conn, query_failed};
use crate::domain::actor::Actor;
use crate::domain::event::{Act, Change, Event};
use crate::error::{Error, Result};

/// One row of the log.
#[derive(Debug, Clone, Queryable)]
pub struct EventRow {
    /// Id, time-ordered.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What happened, past tense.
    pub kind: String,
    /// The account that acted.
    pub actor_id: Option<Uuid>,
    /// Its role, or `timer`, `payments`, `operator`.
    pub actor_role: String,
    /// Unit's code.
    pub unit_code: Option<String>,
    /// The application.
    pub application_id: Option<Uuid>,
    /// Number within the application.
    pub seq: Option<i32>,
    /// State before.
    pub from_state: Option<String>,
    /// State after.
    pub to_state: Option<String>,
    /// The command.
    pub command: Option<String>,
    /// What a read was for.
    pub purpose: Option<String>,
    /// Of a read of a list: the applications that it showed.
    pub subjects: Option<Vec<Uuid>>,
    /// Private content in canonical form; `None` once it is erased.
    pub content: Option<String>,
}

/// What the auditor asks for; `None` asks for all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Events of one application.
    pub application: Option<Uuid>,
    /// Events of one account.
    pub actor: Option<Uuid>,
    /// Events of one kind.
    pub kind: Option<String>,
    /// Events of one unit.
    pub unit: Option<String>,
    /// From this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// Lists events, newest first, before the given place.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn list(
    conn: &mut Conn,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let mut query = e::table
        .select((
            e::id,
            e::at,
            e::kind,
            e::actor_id,
            e::actor_role,
            e::unit_code,
            e::application_id,
            e::seq,
            e::from_state,
            e::to_state,
            e::command,
            e::purpose,
            e::subjects,
            e::content,
        ))
        .order((e::at.desc(), e::id.desc()))
        .limit(limit)
        .into_boxed();
    if let Some(application) = filter.application {
        query = query.filter(e::application_id.eq(application));
    }
    if let Some(actor) = filter.actor {
        query = query.filter(e::actor_id.eq(actor));
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(e::kind.eq(kind.clone()));
    }
    if let Some(unit) = &filter.unit {
        query = query.filter(e::unit_code.eq(unit.clone()));
    }
    if let Some(from) = filter.from {
        query = query.filter(e::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(e::at.lt(to));
    }
    if let Some((at, id)) = before {
        query = query.filter(e::at.lt(at).or(e::at.eq(at).and(e::id.lt(id))));
    }
    query.load(conn).await.map_err(|error| query_failed("audit::list", error))
}

#[derive(Deserialize)]
struct Content {
    actor: Actor,
    #[serde(default)]
    request: Value,
    changes: Vec<Change>,
}

/// Gives a part of an application's history: events after the number `after`, in order.
///
/// # Errors
/// [`Error::Corrupt`] when an event does not decode.
pub async fn history_page(
    conn: &mut Conn,
    application: Uuid,
    after: i32,
    limit: i64,
) -> Result<Vec<Event>> {
    let rows: Vec<HistoryRow> = e::table
        .filter(e::application_id.eq(application).and(e::seq.gt(after)))
        .order(e::seq)
        .select((e::id, e::seq, e::at, e::command, e::from_state, e::to_state, e::content))
        .limit(limit)
        .load(conn)
        .await
        .map_err(|error| query_failed("audit::history_page", error))?;
    rows.into_iter().map(|row| decode(row).ok_or_else(|| corrupt(application))).collect()
}

type HistoryRow = (
    Uuid,
    Option<i32>,
    DateTime<Utc>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// Gives the whole history of an application, in order.
///
/// # Errors
/// [`Error::Corrupt`] when an event does not decode.
pub async fn history(conn: &mut Conn, application: Uuid) -> Result<Vec<Event>> {
    let rows: Vec<HistoryRow> = e::table
        .filter(e::application_id.eq(application).and(e::seq.is_not_null()))
        .order(e::seq)
        .select((e::id, e::seq, e::at, e::command, e::from_state, e::to_state, e::content))
        .load(conn)
        .await
        .map_err(|error| query_failed("audit::history", error))?;
    rows.into_iter().map(|row| decode(row).ok_or_else(|| corrupt(application))).collect()
}

fn decode((id, seq, at, command, from, to, content): HistoryRow) -> Option<Event> {
    let content: Content = serde_json::from_str(&content?).ok()?;
    let command = command?;
    let act = Act::parse(&command)?;
    Some(Event {
        id,
        seq: seq?,
        at,
        act,
        actor: content.actor,
        from: from?,
        to: to?,
        request: content.request,
        changes: content.changes,
    })
}

fn corrupt(application: Uuid) -> Error {
    Error::Corrupt { table: "events", column: "content", row: application.to_string() }
}

/// Gives the ids of applications in order, after the given one: for `audit replay`. Of what is erased nothing is left to
/// replay.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn application_ids(
    conn: &mut Conn,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let unerased = a::table.filter(a::erased_at.is_null());
    let mut query = unerased.select(a::id).order(a::id).limit(limit).into_boxed();
    if let Some(after) = after {
        query = query.filter(a::id.gt(after));
    }
    query.load(conn).await.map_err(|error| query_failed("audit::application_ids", error))
}
