//! The event log as it is read: an application's history, and the auditor's questions.
//!
//! Rows are written by [`super::applications`] and by [`super::events`]; nobody updates or deletes them. What auditors
//! ask is one statement each: [`list`], [`list_accesses`], a page of an [`export`].

mod accesses;
pub mod export;
mod search;

use chrono::{DateTime, Utc};
use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

pub use self::accesses::{Access, AccessRow, list_accesses};
pub use self::search::{EventRow, Filter, Only, Question, explain, list};
use super::schema::{applications as a, events as e};
use super::{Conn, query_failed};
use crate::domain::actor::Actor;
use crate::domain::event::{Act, Change, Event};
use crate::error::{Error, Result};

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
