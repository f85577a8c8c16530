//! What waits in a unit's queues, what an applicant handed in, and what the public may know.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, NullableExpressionMethods as _,
    OptionalExtension, QueryDsl as _, QueryResult, Queryable,
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::super::schema::{applications as a, permits as p, units as u};
use super::super::{Conn, query_failed};
use crate::domain::queue::Queue;
use crate::error::Result;

/// Writes the one predicate of a queue, over the table alias `a`.
pub(super) fn walk_predicate<'b>(
    unit: &'b str,
    queue: Queue,
    now: &'b DateTime<Utc>,
    mut out: AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    out.push_sql("a.unit_code = ");
    out.push_bind_param::<Text, str>(unit)?;
    // Literals of ours: the planner then knows the partial indexes and each queue's share of the table.
    if queue != Queue::Overdue {
        for (index, work) in queue.works().iter().enumerate() {
            out.push_sql(if index == 0 { " AND a.work IN ('" } else { "', '" });
            out.push_sql(work.name());
        }
        out.push_sql("')");
        return Ok(());
    }
    out.push_sql(
        " AND a.work IS NOT NULL AND (a.escalated_at IS NOT NULL \
         OR (a.work IN ('checks', 'registers', 'decision') \
         AND coalesce(a.due_on, 'infinity') < (SELECT (",
    );
    out.push_bind_param::<Timestamptz, _>(now)?;
    out.push_sql(" AT TIME ZONE time_zone)::date FROM units WHERE code = ");
    out.push_bind_param::<Text, str>(unit)?;
    out.push_sql(")))");
    Ok(())
}

/// A place in a queue's order, for the page that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Statutory date; `None` sorts last.
    pub due_on: Option<NaiveDate>,
    /// When it was handed in.
    pub submitted_at: DateTime<Utc>,
    /// Id.
    pub id: Uuid,
}

/// An application as a list shows it.
#[derive(Debug, Clone, Queryable)]
pub struct SummaryRow {
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
    /// Phase.
    pub phase: String,
    /// Version.
    pub version: i32,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When its state was entered.
    pub state_since: DateTime<Utc>,
    /// When it was handed in.
    pub submitted_at: Option<DateTime<Utc>>,
    /// Statutory date.
    pub due_on: Option<NaiveDate>,
    /// When it was escalated.
    pub escalated_at: Option<DateTime<Utc>>,
    /// The worker's name.
    pub person_name: Option<String>,
    /// Who holds it.
    pub claimed_by: Option<Uuid>,
    /// Until when.
    pub claimed_until: Option<DateTime<Utc>>,
    /// The holder's name.
    pub holder: Option<String>,
}

type SummaryType = (
    SqlUuid,
    Text,
    Text,
    diesel::sql_types::Integer,
    Text,
    Text,
    Text,
    diesel::sql_types::Integer,
    Timestamptz,
    Timestamptz,
    Nullable<Timestamptz>,
    Nullable<Date>,
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<SqlUuid>,
    Nullable<Timestamptz>,
    Nullable<Text>,
);

const SUMMARY: &str = "SELECT a.id, a.reference, a.track, a.workflow_version, a.unit_code, a.state, \
     a.phase, a.version, a.created_at, a.state_since, a.submitted_at, a.due_on, a.escalated_at, \
     a.person_name, a.claimed_by, a.claimed_until, \
     (SELECT o.name FROM accounts o WHERE o.id = a.claimed_by) FROM applications a WHERE ";

/// Lists a queue of a unit, most urgent first, after the given place.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list_queue(
    conn: &mut Conn,
    unit: &str,
    queue: Queue,
    now: DateTime<Utc>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<SummaryRow>> {
    ListQueue { unit, queue, now, after, limit }
        .load(conn)
        .await
        .map_err(|e| query_failed("applications::list_queue", e))
}

struct ListQueue<'a> {
    unit: &'a str,
    queue: Queue,
    now: DateTime<Utc>,
    after: Option<Place>,
    limit: i64,
}

impl QueryId for ListQueue<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for ListQueue<'_> {
    type SqlType = SummaryType;
}

impl QueryFragment<Pg> for ListQueue<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(SUMMARY);
        walk_predicate(self.unit, self.queue, &self.now, out.reborrow())?;
        if let Some(after) = &self.after {
            out.push_sql(
                " AND (coalesce(a.due_on, 'infinity'), a.submitted_at, a.id) > (coalesce(",
            );
            out.push_bind_param::<Nullable<Date>, _>(&after.due_on)?;
            out.push_sql(", 'infinity'), ");
            out.push_bind_param::<Timestamptz, _>(&after.submitted_at)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(&after.id)?;
            out.push_sql(")");
        }
        out.push_sql(" ORDER BY coalesce(a.due_on, 'infinity'), a.submitted_at, a.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// Counts a unit's queues: how many wait, and how many of them are free to claim. One statement.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn count_queues(
    conn: &mut Conn,
    unit: &str,
    now: DateTime<Utc>,
) -> Result<Vec<(Queue, i64, i64)>> {
    let rows: Vec<(String, i64, i64)> = CountQueues { unit, now }
        .load(conn)
        .await
        .map_err(|e| query_failed("applications::count_queues", e))?;
    Ok(rows
        .into_iter()
        .filter_map(|(name, waiting, free)| Queue::parse(&name).map(|queue| (queue, waiting, free)))
        .collect())
}

struct CountQueues<'a> {
    unit: &'a str,
    now: DateTime<Utc>,
}

impl QueryId for CountQueues<'_> {
    type QueryId = CountQueues<'static>;
}

impl Query for CountQueues<'_> {
    type SqlType = (Text, BigInt, BigInt);
}

impl QueryFragment<Pg> for CountQueues<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (index, queue) in Queue::ALL.into_iter().enumerate() {
            out.push_sql(if index == 0 { "SELECT '" } else { " UNION ALL SELECT '" });
            out.push_sql(queue.name());
            out.push_sql(
                "', count(*), count(*) FILTER (WHERE a.claimed_until IS NULL OR a.claimed_until <= ",
            );
            out.push_bind_param::<Timestamptz, _>(&self.now)?;
            out.push_sql(") FROM applications a WHERE ");
            walk_predicate(self.unit, queue, &self.now, out.reborrow())?;
        }
        Ok(())
    }
}

/// Lists what an account handed in, newest first, before the given id.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list_of_applicant(
    conn: &mut Conn,
    applicant: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<SummaryRow>> {
    ListOfApplicant { applicant, before, limit }
        .load(conn)
        .await
        .map_err(|e| query_failed("applications::list_of_applicant", e))
}

struct ListOfApplicant {
    applicant: Uuid,
    before: Option<Uuid>,
    limit: i64,
}

impl QueryId for ListOfApplicant {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for ListOfApplicant {
    type SqlType = SummaryType;
}

impl QueryFragment<Pg> for ListOfApplicant {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(SUMMARY);
        out.push_sql("a.erased_at IS NULL AND a.applicant_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.applicant)?;
        if let Some(before) = &self.before {
            out.push_sql(" AND a.id < ");
            out.push_bind_param::<SqlUuid, _>(before)?;
        }
        out.push_sql(" ORDER BY a.id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// What the public may know of an application, by its reference: no personal data.
#[derive(Debug, Clone, Queryable)]
pub struct StatusRow {
    /// Track.
    pub track: String,
    /// Version of its definition.
    pub workflow_version: i32,
    /// State.
    pub state: String,
    /// When its state was entered.
    pub state_since: DateTime<Utc>,
    /// When it was handed in.
    pub submitted_at: Option<DateTime<Utc>>,
    /// Statutory date; `None` before acceptance and while the clock stands still.
    pub due_on: Option<NaiveDate>,
    /// The clock.
    pub clock: Option<Value>,
    /// What the applicant was asked for.
    pub information: Value,
    /// The permit's last paid day.
    pub permit_paid_through: Option<NaiveDate>,
    /// The permit's last day.
    pub permit_ends_on: Option<NaiveDate>,
    /// Unit's name.
    pub unit_title: String,
    /// Unit's time zone.
    pub time_zone: String,
}

/// Finds what the public may know, by the canonical reference.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_status(conn: &mut Conn, reference: &str) -> Result<Option<StatusRow>> {
    a::table
        .inner_join(u::table)
        .left_join(p::table)
        .filter(a::reference.eq(reference).and(a::erased_at.is_null()))
        .select((
            a::track,
            a::workflow_version,
            a::state,
            a::state_since,
            a::submitted_at,
            a::due_on,
            a::clock,
            a::information,
            p::paid_through.nullable(),
            p::ends_on.nullable(),
            u::title,
            u::time_zone,
        ))
        .first(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_status", e))
}

/// Finds an application by its canonical reference and the worker's date of birth together.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_by_birth_date(
    conn: &mut Conn,
    reference: &str,
    birth_date: NaiveDate,
) -> Result<Option<Uuid>> {
    a::table
        .filter(a::reference.eq(reference))
        .filter(a::birth_date.eq(birth_date))
        .select(a::id)
        .first(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_by_birth_date", e))
}

/// A permit as the public may see it: no personal data.
#[derive(Debug, Clone, Queryable)]
pub struct PublicPermitRow {
    /// Number.
    pub number: String,
    /// Status.
    pub status: String,
    /// Code of the federal subject.
    pub territory: String,
    /// Profession.
    pub profession: Option<String>,
    /// Day of issue.
    pub issued_on: NaiveDate,
    /// Last paid day.
    pub paid_through: Option<NaiveDate>,
    /// Last day of the term.
    pub ends_on: NaiveDate,
    /// First day on which it is not in force.
    pub closed_on: Option<NaiveDate>,
    /// Time zone of the unit that issued it.
    pub time_zone: String,
}

/// Finds a permit by its canonical number.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_permit(conn: &mut Conn, number: &str) -> Result<Option<PublicPermitRow>> {
    p::table
        .inner_join(a::table.inner_join(u::table))
        .filter(p::number.eq(number))
        .select((
            p::number,
            p::status,
            p::territory,
            p::profession,
            p::issued_on,
            p::paid_through,
            p::ends_on,
            p::closed_on,
            u::time_zone,
        ))
        .first(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_permit", e))
}
