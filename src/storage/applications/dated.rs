//! What is under way with dates that a calendar decides, in the order of its ids.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Bool, Date, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel::{QueryResult, Queryable};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::super::{Conn, query_failed};
use crate::error::Result;

/// An application with what its dates are reckoned from.
#[derive(Debug, Clone, Queryable)]
pub struct DatedRow {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    pub reference: String,
    /// Track.
    pub track: String,
    /// Version of its definition.
    pub workflow_version: i32,
    /// Unit's code.
    pub unit_code: String,
    /// State.
    pub state: String,
    /// Version.
    pub version: i32,
    /// When its state was entered.
    pub state_since: DateTime<Utc>,
    /// Statutory date.
    pub due_on: Option<NaiveDate>,
    /// Statutory date without an extension.
    pub standard_due_on: Option<NaiveDate>,
    /// The clock.
    pub clock: Option<Value>,
    /// What the applicant was asked for.
    pub information: Value,
    /// The permit's last paid day.
    pub permit_paid_through: Option<NaiveDate>,
    /// The permit's last day.
    pub permit_ends_on: Option<NaiveDate>,
    /// What is owed after issue.
    pub duties: Value,
    /// Whether any of that is due on a day to come.
    pub duty_is_dated: bool,
    /// Unit's time zone.
    pub time_zone: String,
}

/// Lists the applications after an id whose clock was not stopped, that owe a duty or that are in one of these states, by id.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list_dated(
    conn: &mut Conn,
    states: &[String],
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<DatedRow>> {
    let after = after.unwrap_or(Uuid::nil());
    ListDated { states, after, limit }
        .load(conn)
        .await
        .map_err(|error| query_failed("applications::list_dated", error))
}

struct ListDated<'a> {
    states: &'a [String],
    after: Uuid,
    limit: i64,
}

impl QueryId for ListDated<'_> {
    type QueryId = ListDated<'static>;
}

impl Query for ListDated<'_> {
    type SqlType = (
        SqlUuid,
        Text,
        Text,
        Integer,
        Text,
        Text,
        Integer,
        Timestamptz,
        Nullable<Date>,
        Nullable<Date>,
        Nullable<Jsonb>,
        Jsonb,
        Nullable<Date>,
        Nullable<Date>,
        Jsonb,
        Bool,
        Text,
    );
}

impl QueryFragment<Pg> for ListDated<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // The first condition is the index's, word for word.
        out.push_sql(
            "SELECT a.id, a.reference, a.track, a.workflow_version, a.unit_code, a.state, a.version, \
             a.state_since, a.due_on, a.standard_due_on, a.clock, a.information, p.paid_through, \
             p.ends_on, a.duties, a.duty_due_on IS NOT NULL, u.time_zone \
             FROM applications a JOIN units u ON u.code = a.unit_code \
             LEFT JOIN permits p ON p.application_id = a.id \
             WHERE (a.phase IN ('submission', 'checks', 'fee', 'issuance') OR a.work IS NOT NULL \
             OR a.duty_due_on IS NOT NULL) \
             AND (a.duty_due_on IS NOT NULL OR (a.clock IS NOT NULL AND a.clock ->> 'stoppedOn' IS NULL) OR a.state = ANY(",
        );
        out.push_bind_param::<Array<Text>, _>(self.states)?;
        out.push_sql(")) AND a.id > ");
        out.push_bind_param::<SqlUuid, _>(&self.after)?;
        out.push_sql(" ORDER BY a.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}
