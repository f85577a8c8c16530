//! The log in the order of its leaves, page by page, for an export of any size.
//!
//! Nothing is held between two pages, neither a transaction nor a connection: numbers are given once and never
//! change, so every page continues where the last one ended, and a slow reader keeps nobody waiting.

use chrono::TimeDelta;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::super::schema::applications as a;
use super::super::{Conn, query_failed};
use super::search::{Bounds, COLUMNS, EventRow, EventType, Filter, SLACK, first_id_at};
use crate::error::Result;

/// How many leaves one statement looks through: under any filter it takes a bounded time.
pub const WINDOW: i64 = 20_000;

/// How many events one page holds.
pub const PAGE: i64 = 1000;

/// Tells whether there is such an application.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn exists(conn: &mut Conn, application: Uuid) -> Result<bool> {
    diesel::select(diesel::dsl::exists(a::table.filter(a::id.eq(application))))
        .get_result(conn)
        .await
        .map_err(|error| query_failed("audit::exists", error))
}

/// The leaves that are still to be looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// The first.
    pub from: i64,
    /// The one after the last.
    pub to: i64,
}

/// Finds which of a tree's leaves can fit a filter, by its times.
///
/// The order of numbers is that of commits, not that of instants: a leaf's neighbours may be older or younger, by a day
/// at most.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_rest(conn: &mut Conn, filter: &Filter, size: i64) -> Result<Rest> {
    if filter.application.is_some() || (filter.from.is_none() && filter.to.is_none()) {
        return Ok(Rest { from: 0, to: size });
    }
    let ends = Ends {
        from: filter.from.map(|from| first_id_at(from - SLACK)).unwrap_or(Uuid::nil()),
        to: filter
            .to
            .map(|to| first_id_at(to + SLACK + TimeDelta::milliseconds(1)))
            .unwrap_or(Uuid::max()),
        size,
    };
    let (from, to): (i64, i64) =
        ends.get_result(conn).await.map_err(|error| query_failed("audit::find_rest", error))?;
    Ok(Rest { from, to: to.min(size) })
}

struct Ends {
    from: Uuid,
    to: Uuid,
    size: i64,
}

impl QueryId for Ends {
    type QueryId = Self;
}

impl Query for Ends {
    type SqlType = (BigInt, BigInt);
}

impl QueryFragment<Pg> for Ends {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Of a thousand neighbours each, should one of them have been committed late.
        out.push_sql(
            "SELECT coalesce((SELECT min(l.index) FROM (SELECT e.id FROM events e WHERE e.id >= ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.from)?;
        out.push_sql(" ORDER BY e.id LIMIT 1000) f JOIN log_leaves l ON l.event_id = f.id), ");
        out.push_bind_param::<BigInt, _>(&self.size)?;
        out.push_sql(
            "), coalesce((SELECT max(l.index) + 1 FROM (SELECT e.id FROM events e WHERE e.id < ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.to)?;
        out.push_sql(
            " ORDER BY e.id DESC LIMIT 1000) f JOIN log_leaves l ON l.event_id = f.id), 0)",
        );
        Ok(())
    }
}

/// Gives the next events of an export, in the order of their numbers, and what is left after them; they may be none.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn next_page(
    conn: &mut Conn,
    filter: &Filter,
    rest: Rest,
) -> Result<(Vec<EventRow>, Rest)> {
    // The events of one application are few, and found by it; for everything else the leaves are gone through.
    let until =
        if filter.application.is_some() { rest.to } else { rest.to.min(rest.from + WINDOW) };
    let page = Page::new(filter, (rest.from, until), PAGE);
    let rows: Vec<EventRow> =
        page.load(conn).await.map_err(|error| query_failed("audit::next_page", error))?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == PAGE);
    let last = rows.last().and_then(|row| row.index).filter(|_| full);
    Ok((rows, Rest { from: last.map_or(until, |last| last + 1), to: rest.to }))
}

pub(super) struct Page<'a> {
    filter: &'a Filter,
    bounds: Bounds,
    range: (i64, i64),
    limit: i64,
}

impl<'a> Page<'a> {
    pub(super) fn new(filter: &'a Filter, range: (i64, i64), limit: i64) -> Self {
        Self { filter, bounds: filter.bounds(None), range, limit }
    }
}

impl QueryId for Page<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Page<'_> {
    type SqlType = EventType;
}

impl QueryFragment<Pg> for Page<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(COLUMNS);
        if self.filter.application.is_some() {
            out.push_sql(
                ", l.index FROM events e JOIN log_leaves l ON l.event_id = e.id WHERE true",
            );
        } else {
            // Leaf by leaf: joined freely, a large share of the log would make the planner read all of it.
            out.push_sql(
                ", l.index FROM log_leaves l CROSS JOIN LATERAL \
                 (SELECT e.* FROM events e WHERE e.id = l.event_id",
            );
        }
        self.filter.walk(out.reborrow())?;
        self.bounds.walk("e", out.reborrow())?;
        if self.filter.application.is_none() {
            out.push_sql(" LIMIT 1) e WHERE true");
        }
        out.push_sql(" AND l.index >= ");
        out.push_bind_param::<BigInt, _>(&self.range.0)?;
        out.push_sql(" AND l.index < ");
        out.push_bind_param::<BigInt, _>(&self.range.1)?;
        out.push_sql(" ORDER BY l.index LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}
