//! Who saw an application: every read that showed it, found by its own id, in the lists and in the exports; and every act of
//! the office on it, whose answer shows it, too.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, Queryable};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::super::{Conn, query_failed};
use super::search::{Bounds, walk_time};
use crate::error::Result;

/// Which reads of an application are asked for; `None` asks for all.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The application.
    pub application: Uuid,
    /// Reads by one account.
    pub actor: Option<Uuid>,
    /// Reads for one purpose.
    pub purpose: Option<String>,
    /// From this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// A read that showed an application, or an act of the office on it.
#[derive(Debug, Clone, Queryable)]
pub struct AccessRow {
    /// Id of the event.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What was read, such as `applicationRead`, or what was done, such as `claimed`.
    pub kind: String,
    /// The account that read.
    pub actor_id: Option<Uuid>,
    /// Its name today.
    pub actor_name: Option<String>,
    /// Its role then.
    pub actor_role: String,
    /// Unit's code.
    pub unit_code: Option<String>,
    /// What for.
    pub purpose: Option<String>,
    /// What was shown, as the event's content says it; `None` once it is erased.
    pub content: Option<String>,
    /// Whether something was done, and the whole application was shown with the answer.
    pub is_act: bool,
}

pub(super) struct Accesses<'a> {
    access: &'a Access,
    subjects: [Uuid; 1],
    bounds: Bounds,
    lowest: Bounds,
    limit: i64,
}

impl<'a> Accesses<'a> {
    pub(super) fn new(access: &'a Access, before: Option<Uuid>, limit: i64) -> Self {
        Self {
            access,
            subjects: [access.application],
            bounds: Bounds::new((access.from, access.to), Some(access.application), before),
            lowest: Bounds::new((None, None), Some(access.application), None),
            limit,
        }
    }

    /// Writes one source of events: those that `which` tells, under the filter, newest first.
    fn walk_source<'b>(
        &'b self,
        mut out: AstPass<'_, 'b, Pg>,
        which: impl FnOnce(&mut AstPass<'_, 'b, Pg>) -> QueryResult<()>,
    ) -> QueryResult<()> {
        out.push_sql("(SELECT e.* FROM events e WHERE ");
        which(&mut out)?;
        if let Some(actor) = &self.access.actor {
            out.push_sql(" AND e.actor_id = ");
            out.push_bind_param::<SqlUuid, _>(actor)?;
        }
        if let Some(purpose) = &self.access.purpose {
            out.push_sql(" AND coalesce(e.purpose, 'casework') = ");
            out.push_bind_param::<Text, _>(purpose)?;
        }
        walk_time(&self.access.from, &self.access.to, out.reborrow())?;
        self.bounds.walk("e", out.reborrow())?;
        out.push_sql(" ORDER BY e.id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(")");
        Ok(())
    }

    /// Writes the condition that an export of more than one application contained an event of this one.
    fn walk_exported<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "e.purpose IS NOT NULL AND e.kind = 'logExported' AND e.application_id IS NULL AND EXISTS (SELECT FROM \
             (SELECT e.content::jsonb AS export, e.content::jsonb -> 'filter' AS filter) q, \
             LATERAL (SELECT x.* FROM events x WHERE x.application_id = ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.access.application)?;
        self.lowest.walk("x", out.reborrow())?;
        out.push_sql(
            ") x JOIN log_leaves l ON l.event_id = x.id \
             WHERE l.index < (q.export ->> 'treeSize')::bigint \
             AND jsonb_build_object('actor', x.actor_id, 'kind', x.kind, 'unit', x.unit_code, \
                 'role', x.actor_role, 'purpose', x.purpose) @> (q.filter - '{from,to,only}'::text[]) \
             AND x.at >= coalesce((q.filter ->> 'from')::timestamptz, '-infinity') \
             AND x.at < coalesce((q.filter ->> 'to')::timestamptz, 'infinity') \
             AND CASE q.filter ->> 'only' WHEN 'changes' THEN x.seq IS NOT NULL \
                 WHEN 'reads' THEN x.purpose IS NOT NULL ELSE true END)",
        );
        Ok(())
    }
}

impl QueryId for Accesses<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Accesses<'_> {
    type SqlType = (
        SqlUuid,
        Timestamptz,
        Text,
        Nullable<SqlUuid>,
        Nullable<Text>,
        Text,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Bool,
    );
}

impl QueryFragment<Pg> for Accesses<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT r.id, r.at, r.kind, r.actor_id, \
             (SELECT a.name FROM accounts a WHERE a.id = r.actor_id), \
             r.actor_role, r.unit_code, coalesce(r.purpose, 'casework'), r.content, r.seq IS NOT NULL \
             FROM (",
        );
        self.walk_source(out.reborrow(), |out| {
            out.push_sql("e.purpose IS NOT NULL AND e.seq IS NULL AND e.application_id = ");
            out.push_bind_param::<SqlUuid, _>(&self.access.application)
        })?;
        out.push_sql(" UNION ALL ");
        // An act of the office is casework by itself, and its answer shows the application.
        self.walk_source(out.reborrow(), |out| {
            out.push_sql(
                "e.seq IS NOT NULL AND e.actor_role IN ('officer', 'seniorOfficer') \
                 AND e.application_id = ",
            );
            out.push_bind_param::<SqlUuid, _>(&self.access.application)
        })?;
        out.push_sql(" UNION ALL ");
        self.walk_source(out.reborrow(), |out| {
            out.push_sql("e.purpose IS NOT NULL AND e.subjects @> ");
            out.push_bind_param::<Array<SqlUuid>, [Uuid]>(&self.subjects)?;
            out.push_sql(" AND e.application_id IS DISTINCT FROM ");
            out.push_bind_param::<SqlUuid, _>(&self.access.application)
        })?;
        out.push_sql(" UNION ALL ");
        self.walk_source(out.reborrow(), |out| self.walk_exported(out))?;
        out.push_sql(") r ORDER BY r.id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// Lists the reads that showed an application, newest first, before the given one: of it alone, of lists in which it
/// stood, and of exports that contained an event of it; and what the office did with it, which shows it, too.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list_accesses(
    conn: &mut Conn,
    access: &Access,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AccessRow>> {
    let statement = Accesses::new(access, before, limit);
    statement.load(conn).await.map_err(|error| query_failed("audit::list_accesses", error))
}
