//! What auditors ask of the whole log, newest first: one statement that some index answers at any size.
//!
//! Ids are made from instants, so an id range is a time range: it prunes the months that cannot hold an answer, and
//! together with any filter it is a range of that filter's index, whose second column is the id.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Binary, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel::{QueryResult, Queryable};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::super::{Conn, query_failed};
use super::accesses::{Access, Accesses};
use super::export::Page;
use crate::error::Result;

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
    /// The commitment.
    pub commitment: Vec<u8>,
    /// Number of its leaf; `None` until the sequencer has given one.
    pub index: Option<i64>,
}

pub(super) type EventType = (
    SqlUuid,
    Timestamptz,
    Text,
    Nullable<SqlUuid>,
    Text,
    Nullable<Text>,
    Nullable<SqlUuid>,
    Nullable<Integer>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Array<SqlUuid>>,
    Nullable<Text>,
    Binary,
    Nullable<BigInt>,
);

/// The columns of an [`EventRow`] but the last, of the table alias `e`.
pub(super) const COLUMNS: &str = "e.id, e.at, e.kind, e.actor_id, e.actor_role, e.unit_code, e.application_id, \
     e.seq, e.from_state, e.to_state, e.command, e.purpose, e.subjects, e.content, e.commitment";

/// Which half of the log is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Only {
    /// What changed an application: the events that have a number within it.
    Changes,
    /// What showed personal data to staff: the events that have a purpose.
    Reads,
}

/// What the auditor asks for; `None` asks for all. As JSON it is what the log keeps of the question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Events of one application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Uuid>,
    /// Events of one account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    /// Events of one kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Events of one unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Events of one role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Reads for one purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Changes alone, or reads alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// From this instant on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}

/// How far the clocks of two machines, or an instant and its commit, may lie apart.
pub(super) const SLACK: TimeDelta = TimeDelta::days(1);

/// Gives the first id of a millisecond, as `first_id_at` does in the database.
#[must_use]
pub(super) fn first_id_at(at: DateTime<Utc>) -> Uuid {
    Uuid::from_u128(u128::try_from(at.timestamp_millis()).unwrap_or(0) << 80)
}

/// Gives the id before which nothing about an application can have happened: its own says when it was opened.
pub(super) fn lowest_about(application: Uuid) -> Uuid {
    let slack = u128::try_from(SLACK.num_milliseconds()).unwrap_or(0);
    Uuid::from_u128((application.as_u128() >> 80).saturating_sub(slack) << 80)
}

/// The ids that can be an answer, by time and place in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    from: Option<Uuid>,
    below: Option<Uuid>,
}

impl Bounds {
    pub(super) fn new(
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        application: Option<Uuid>,
        before: Option<Uuid>,
    ) -> Self {
        let last = |to: DateTime<Utc>| first_id_at(to + TimeDelta::milliseconds(1));
        Self {
            from: from.map(first_id_at).max(application.map(lowest_about)),
            below: [to.map(last), before].into_iter().flatten().min(),
        }
    }

    /// Writes the bounds as conditions on a table's alias.
    pub(super) fn walk<'b>(
        &'b self,
        alias: &'static str,
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        for (compared, id) in [(".id >= ", &self.from), (".id < ", &self.below)] {
            if let Some(id) = id {
                out.push_sql(" AND ");
                out.push_sql(alias);
                out.push_sql(compared);
                out.push_bind_param::<SqlUuid, _>(id)?;
            }
        }
        Ok(())
    }
}

/// Writes the instants as conditions on the alias `e`: ids are exact to the millisecond alone.
pub(super) fn walk_time<'b>(
    from: &'b Option<DateTime<Utc>>,
    to: &'b Option<DateTime<Utc>>,
    mut out: AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    if let Some(from) = from {
        out.push_sql(" AND e.at >= ");
        out.push_bind_param::<Timestamptz, _>(from)?;
    }
    if let Some(to) = to {
        out.push_sql(" AND e.at < ");
        out.push_bind_param::<Timestamptz, _>(to)?;
    }
    Ok(())
}

impl Filter {
    pub(super) fn bounds(&self, before: Option<Uuid>) -> Bounds {
        Bounds::new((self.from, self.to), self.application, before)
    }

    /// Writes the filter as conditions on the alias `e`.
    pub(super) fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (column, id) in
            [(" AND e.application_id = ", &self.application), (" AND e.actor_id = ", &self.actor)]
        {
            if let Some(id) = id {
                out.push_sql(column);
                out.push_bind_param::<SqlUuid, _>(id)?;
            }
        }
        for (column, text) in [
            (" AND e.kind = ", &self.kind),
            (" AND e.unit_code = ", &self.unit),
            (" AND e.actor_role = ", &self.role),
            (" AND e.purpose = ", &self.purpose),
        ] {
            if let Some(text) = text {
                out.push_sql(column);
                out.push_bind_param::<Text, _>(text)?;
            }
        }
        out.push_sql(match self.only {
            None => "",
            Some(Only::Changes) => " AND e.seq IS NOT NULL",
            Some(Only::Reads) => " AND e.purpose IS NOT NULL",
        });
        walk_time(&self.from, &self.to, out)
    }
}

struct ListEvents<'a> {
    filter: &'a Filter,
    bounds: Bounds,
    limit: i64,
}

impl<'a> ListEvents<'a> {
    fn new(filter: &'a Filter, before: Option<Uuid>, limit: i64) -> Self {
        Self { filter, bounds: filter.bounds(before), limit }
    }
}

impl QueryId for ListEvents<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for ListEvents<'_> {
    type SqlType = EventType;
}

impl QueryFragment<Pg> for ListEvents<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(COLUMNS);
        // After the limit: the number is looked up for the rows that are shown.
        out.push_sql(", (SELECT l.index FROM log_leaves l WHERE l.event_id = e.id)");
        out.push_sql(" FROM events e WHERE true");
        self.filter.walk(out.reborrow())?;
        self.bounds.walk("e", out.reborrow())?;
        out.push_sql(" ORDER BY e.id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// Lists events, newest first, before the given one.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list(
    conn: &mut Conn,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let statement = ListEvents::new(filter, before, limit);
    statement.load(conn).await.map_err(|error| query_failed("audit::list", error))
}

// ── How it is answered ────────────────────────────────────────────────────────────────────────────────────

/// A statement of the auditor's, to be explained.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// The first page of [`list`].
    Events(&'a Filter),
    /// The first page of [`super::list_accesses`].
    Accesses(&'a Access),
    /// A page of an export, of the leaves in a range.
    Export(&'a Filter, (i64, i64)),
}

/// Asks the database how it would answer: for tests and benches, which look for sequential scans.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn explain(conn: &mut Conn, question: Question<'_>) -> Result<Vec<String>> {
    let lines = match question {
        Question::Events(filter) => Explain(ListEvents::new(filter, None, 21)).load(conn).await,
        Question::Accesses(access) => Explain(Accesses::new(access, None, 21)).load(conn).await,
        Question::Export(filter, range) => Explain(Page::new(filter, range, 1000)).load(conn).await,
    };
    lines.map_err(|error| query_failed("audit::explain", error))
}

struct Explain<Q>(Q);

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q> {
    type SqlType = Text;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN ");
        self.0.walk_ast(out)
    }
}
