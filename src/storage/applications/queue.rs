//! What waits in a unit's queues, what an applicant handed in, and what the public may know.
//!
//! A queue's predicate is a union of disjoint [`Branch`]es, each a stretch of one index in the queue's order. List, count,
//! claim and metric are made of the same branches, so they cannot disagree; and each branch is read in order, so that the
//! first page and the claim of a queue over several kinds of work stay as fast as those over one. Whatever a predicate
//! looks at is in the index: where few rows of a stretch meet it, the walk costs no look at the rows.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Date, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, NullableExpressionMethods as _,
    OptionalExtension, QueryDsl as _, QueryResult, Queryable,
};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::super::rule_files::LATEST;
use super::super::schema::{applications as a, blanks as b, permits as p, units as u};
use super::super::{Conn, query_failed};
use crate::domain::application::{Expedited, Note};
use crate::domain::queue::{Filter, Queue, Work};
use crate::error::{Error, Result};

/// Whose applications are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Those that nobody holds.
    Nobody,
    /// Those that this account holds.
    Account(Uuid),
}

/// What an officer looks for within a queue; an empty part asks for all.
#[derive(Debug, Clone, Default)]
pub struct Narrow {
    /// The track.
    pub track: Option<String>,
    /// The state.
    pub state: Option<String>,
    /// A check that is open.
    pub check: Option<String>,
    /// Whose they are.
    pub holder: Option<Holder>,
    /// Whether they are overdue.
    pub overdue: Option<bool>,
    /// Whether they were put before all others.
    pub expedited: Option<bool>,
}

/// A stretch of the index of what waits: one kind of work and one part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Branch {
    work: Work,
    late: Late,
    expedited: Option<bool>,
}

/// How a branch stands to the statutory date and to escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// It does not matter.
    Either,
    /// Past the date.
    Past,
    /// Escalated, and not past the date.
    EscalatedInTime,
    /// Neither.
    No,
}

/// What a statement about a queue binds: the filter of the queue, and what is looked for within it.
pub(super) struct Scope<'a> {
    unit: &'a str,
    now: DateTime<Utc>,
    filter: &'a Filter,
    narrow: &'a Narrow,
    handed_in_until: Option<DateTime<Utc>>,
    handed_in_since: Option<DateTime<Utc>>,
    branches: Vec<Branch>,
}

const EVERYTHING: &Narrow =
    &Narrow { track: None, state: None, check: None, holder: None, overdue: None, expedited: None };

/// Both demands in one; `Err` when they contradict each other.
fn both(one: Option<bool>, other: Option<bool>) -> Result<Option<bool>, ()> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(()),
        (one, other) => Ok(one.or(other)),
    }
}

impl<'a> Scope<'a> {
    pub(super) fn of(unit: &'a str, filter: &'a Filter, now: DateTime<Utc>) -> Self {
        Self::within(unit, filter, EVERYTHING, now)
    }

    fn within(unit: &'a str, filter: &'a Filter, narrow: &'a Narrow, now: DateTime<Utc>) -> Self {
        let before = |days: u32| now - TimeDelta::days(i64::from(days));
        Self {
            unit,
            now,
            filter,
            narrow,
            handed_in_until: filter.min_age_days.map(before),
            handed_in_since: filter.max_age_days.map(before),
            branches: Self::branches(filter, narrow).unwrap_or_default(),
        }
    }

    fn branches(filter: &Filter, narrow: &Narrow) -> Result<Vec<Branch>, ()> {
        let overdue = both(filter.overdue, narrow.overdue)?;
        let expedited = both(filter.expedited, narrow.expedited)?;
        let mut branches = Vec::new();
        let of_check = !filter.check.is_empty() || narrow.check.is_some();
        for work in filter.works() {
            // A check stands in the way of a decision until it is made.
            if of_check && !work.is_under_the_clock() {
                continue;
            }
            let mut add = |late, expedited| branches.push(Branch { work, late, expedited });
            match overdue {
                None => add(Late::Either, expedited),
                Some(false) => add(Late::No, expedited),
                Some(true) => {
                    // Apart, what is late is the beginning of each stretch.
                    for apart in [true, false] {
                        if work.is_under_the_clock() && expedited.is_none_or(|one| one == apart) {
                            add(Late::Past, Some(apart));
                        }
                    }
                    add(Late::EscalatedInTime, expedited);
                }
            }
        }
        Ok(branches)
    }

    /// Whether nothing can wait here.
    pub(super) fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    pub(super) fn branch_count(&self) -> usize {
        self.branches.len()
    }

    /// Writes a branch of the one predicate, over the table alias `a`.
    pub(super) fn walk<'b>(
        &'b self,
        branch: usize,
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        let Branch { work, late, expedited } = self.branches[branch];
        out.push_sql("a.unit_code = ");
        out.push_bind_param::<Text, str>(self.unit)?;
        // A literal of ours: the planner then knows the partial indexes and each kind's share of the table.
        out.push_sql(" AND a.work = '");
        out.push_sql(work.name());
        out.push_sql("'");
        match expedited {
            None => {}
            Some(true) => out.push_sql(" AND NOT a.in_turn"),
            Some(false) => out.push_sql(" AND a.in_turn"),
        }
        match late {
            Late::Either => {}
            Late::Past => self.walk_date("<", out.reborrow())?,
            Late::EscalatedInTime => out.push_sql(" AND a.escalated_at IS NOT NULL"),
            Late::No => out.push_sql(" AND a.escalated_at IS NULL"),
        }
        if matches!(late, Late::EscalatedInTime | Late::No) && work.is_under_the_clock() {
            self.walk_date(">=", out.reborrow())?;
        }
        let Filter { track, state, check, .. } = self.filter;
        for (column, names) in [(" AND a.track = ANY(", track), (" AND a.state = ANY(", state)] {
            if !names.is_empty() {
                out.push_sql(column);
                out.push_bind_param::<Array<Text>, _>(names)?;
                out.push_sql(")");
            }
        }
        if !check.is_empty() {
            // The first half says nothing new, but that an index of those with any open check will do.
            out.push_sql(" AND a.open_checks <> '{}' AND a.open_checks && ");
            out.push_bind_param::<Array<Text>, _>(check)?;
        }
        for (column, at) in [
            (" AND a.submitted_at <= ", &self.handed_in_until),
            (" AND a.submitted_at >= ", &self.handed_in_since),
        ] {
            if let Some(at) = at {
                out.push_sql(column);
                out.push_bind_param::<Timestamptz, _>(at)?;
            }
        }
        self.walk_narrow(out)
    }

    /// Writes that a branch has any rows of the tracks, states and checks asked for: seen once, from small indexes, before
    /// a walk through all of a stretch that would find none. It holds wherever a row meets [`Self::walk`].
    pub(super) fn walk_any<'b>(
        &'b self,
        branch: usize,
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        const CHECK: &str = "e.open_checks <> '{}' AND e.open_checks && ";
        let (Filter { track, state, check, .. }, narrow) = (self.filter, self.narrow);
        let Branch { late, expedited, .. } = self.branches[branch];
        // Few are late, and few were put first.
        if matches!(late, Late::Past | Late::EscalatedInTime) || expedited == Some(true) {
            return Ok(());
        }
        for (condition, names) in
            [("e.state = ANY(", state), ("e.track = ANY(", track), (CHECK, check)]
        {
            if !names.is_empty() {
                self.walk_exists(branch, condition, out.reborrow())?;
                out.push_bind_param::<Array<Text>, _>(names)?;
                out.push_sql(if condition == CHECK { ")" } else { "))" });
            }
        }
        for (condition, name, end) in [
            ("e.state = ", &narrow.state, ")"),
            ("e.track = ", &narrow.track, ")"),
            ("e.open_checks <> '{}' AND e.open_checks && ARRAY[", &narrow.check, "])"),
        ] {
            if let Some(name) = name {
                self.walk_exists(branch, condition, out.reborrow())?;
                out.push_bind_param::<Text, _>(name)?;
                out.push_sql(end);
            }
        }
        Ok(())
    }

    fn walk_exists<'b>(
        &'b self,
        branch: usize,
        condition: &str,
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        out.push_sql(" AND EXISTS (SELECT FROM applications e WHERE e.unit_code = ");
        out.push_bind_param::<Text, str>(self.unit)?;
        out.push_sql(" AND e.work = '");
        out.push_sql(self.branches[branch].work.name());
        out.push_sql("' AND ");
        out.push_sql(condition);
        Ok(())
    }

    fn walk_narrow<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (column, name, end) in [
            (" AND a.track = ", &self.narrow.track, ""),
            (" AND a.state = ", &self.narrow.state, ""),
            (" AND a.open_checks <> '{}' AND a.open_checks && ARRAY[", &self.narrow.check, "]"),
        ] {
            if let Some(name) = name {
                out.push_sql(column);
                out.push_bind_param::<Text, _>(name)?;
                out.push_sql(end);
            }
        }
        match &self.narrow.holder {
            None => Ok(()),
            Some(Holder::Nobody) => self.walk_free(out),
            Some(Holder::Account(account)) => {
                out.push_sql(" AND a.claimed_by = ");
                out.push_bind_param::<SqlUuid, _>(account)?;
                self.walk_held(out)
            }
        }
    }

    fn walk_date<'b>(&'b self, compare: &str, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" AND coalesce(a.due_on, 'infinity') ");
        out.push_sql(compare);
        out.push_sql(" (SELECT (");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" AT TIME ZONE time_zone)::date FROM units WHERE code = ");
        out.push_bind_param::<Text, str>(self.unit)?;
        out.push_sql(")");
        Ok(())
    }

    /// Writes that nobody holds it.
    pub(super) fn walk_free<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" AND (a.claimed_until IS NULL OR a.claimed_until <= ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(")");
        Ok(())
    }

    /// Writes that somebody holds it.
    pub(super) fn walk_held<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" AND a.claimed_until > ");
        out.push_bind_param::<Timestamptz, _>(&self.now)
    }
}

/// The order of every queue: as the index has it.
pub(super) const ORDER: &str = "a.in_turn, coalesce(a.due_on, 'infinity'), a.submitted_at, a.id";

/// The parts of [`ORDER`] as columns `in_turn`, `due`, `submitted_at` and `id`.
pub(super) const KEYS: &str =
    "a.in_turn, coalesce(a.due_on, 'infinity') AS due, a.submitted_at, a.id";

/// A place in a queue's order, for the page that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whether it was put before all others.
    pub expedited: bool,
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
    desk: Option<Value>,
}

/// What the office alone sees in a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeskRow {
    /// The office's date today.
    pub today: NaiveDate,
    /// The kind of work it waits for.
    pub work: Option<Work>,
    /// Whom four eyes keep from it.
    pub barred: Vec<Uuid>,
    /// Whether only senior officers can do that work.
    pub senior: bool,
    /// Why it goes before all others.
    pub expedited: Option<Expedited>,
    /// The latest note.
    pub note: Option<Note>,
    /// Who wrote it.
    pub note_by: Option<String>,
    /// The checks that stand in the way of a grant.
    #[serde(default)]
    pub checks: Option<Vec<DeskCheck>>,
    /// The queue that gave it to its holder.
    pub claimed_from: Option<String>,
    /// The senior officer who gave it to its holder.
    pub assigned_by: Option<Uuid>,
}

/// A check that stands in the way of a grant.
#[derive(Debug, Clone, Deserialize)]
pub struct DeskCheck {
    /// Its name in the definition.
    pub id: String,
    /// The answer; `None` while it is awaited.
    pub outcome: Option<String>,
    /// The coded reason of the answer.
    pub reason: Option<String>,
}

impl SummaryRow {
    /// Gives what the office alone sees; `None` in lists that are not for it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a stored value does not decode.
    pub fn desk(&self) -> Result<Option<DeskRow>> {
        super::maybe("applications", "desk", self.id, self.desk.clone())
    }

    /// Gives the number of the latest registration of rules when it was listed; zero in lists that are not for the office.
    #[must_use]
    pub fn rules(&self) -> i64 {
        self.desk.as_ref().and_then(|desk| desk["rules"].as_i64()).unwrap_or(0)
    }

    /// Gives its place in the order of the queue that listed it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what was never handed in.
    pub fn place(&self) -> Result<Place> {
        let submitted_at = self.submitted_at.ok_or_else(|| Error::Corrupt {
            table: "applications",
            column: "submitted_at",
            row: self.id.to_string(),
        })?;
        let expedited = self.desk.as_ref().is_some_and(|desk| !desk["expedited"].is_null());
        Ok(Place { expedited, due_on: self.due_on, submitted_at, id: self.id })
    }
}

pub(in crate::storage) type SummaryType = (
    SqlUuid,
    Text,
    Text,
    Integer,
    Text,
    Text,
    Text,
    Integer,
    Timestamptz,
    Timestamptz,
    Nullable<Timestamptz>,
    Nullable<Date>,
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<SqlUuid>,
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<Jsonb>,
);

/// The columns of a [`SummaryRow`] but for the last, over the table alias `a`.
const SUMMARY: &str = "a.id, a.reference, a.track, a.workflow_version, a.unit_code, a.state, \
     a.phase, a.version, a.created_at, a.state_since, a.submitted_at, a.due_on, a.escalated_at, \
     a.person_name, a.claimed_by, a.claimed_until, \
     (SELECT o.name FROM accounts o WHERE o.id = a.claimed_by), ";

/// Writes the columns of a [`SummaryRow`] as the office sees it, over the table alias `a`.
pub(in crate::storage) fn walk_summary<'b>(
    now: &'b DateTime<Utc>,
    mut out: AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    out.push_sql(SUMMARY);
    out.push_sql("jsonb_build_object('rules', ");
    out.push_sql(LATEST);
    out.push_sql(", 'today', (SELECT (");
    out.push_bind_param::<Timestamptz, _>(now)?;
    out.push_sql(
        " AT TIME ZONE n.time_zone)::date FROM units n WHERE n.code = a.unit_code), \
         'work', a.work, 'barred', to_jsonb(a.barred), 'senior', a.senior, 'expedited', a.expedited, 'claimedFrom', a.claimed_from, \
         'assignedBy', a.assigned_by, \
         'note', a.notes -> -1, 'noteBy', (SELECT o.name FROM accounts o \
           WHERE o.id = (a.notes -> -1 ->> 'by')::uuid), \
         'checks', (SELECT jsonb_agg(jsonb_build_object('id', c.id, 'outcome', c.outcome, \
           'reason', c.reason) ORDER BY c.id COLLATE \"C\") FROM checks c \
           WHERE c.application_id = a.id AND c.id = ANY(a.open_checks)))",
    );
    Ok(())
}

/// Lists a queue of a unit, most urgent first, after the given place. No statement when nothing can be in it.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn list_queue(
    conn: &mut Conn,
    unit: &str,
    queue: &Queue,
    narrow: &Narrow,
    now: DateTime<Utc>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<SummaryRow>> {
    let scope = Scope::within(unit, &queue.filter, narrow, now);
    if scope.is_empty() || !queue.holds_applications() {
        return Ok(Vec::new());
    }
    ListQueue { scope, after, limit }
        .load(conn)
        .await
        .map_err(|e| query_failed("applications::list_queue", e))
}

struct ListQueue<'a> {
    scope: Scope<'a>,
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
        out.push_sql("SELECT ");
        walk_summary(&self.scope.now, out.reborrow())?;
        out.push_sql(" FROM (");
        for branch in 0..self.scope.branch_count() {
            out.push_sql(if branch == 0 { "(SELECT " } else { " UNION ALL (SELECT " });
            out.push_sql(KEYS);
            out.push_sql(" FROM applications a WHERE ");
            self.scope.walk(branch, out.reborrow())?;
            self.scope.walk_any(branch, out.reborrow())?;
            if let Some(after) = &self.after {
                out.push_sql(" AND (");
                out.push_sql(ORDER);
                out.push_sql(if after.expedited { ") > (false, " } else { ") > (true, " });
                out.push_sql("coalesce(");
                out.push_bind_param::<Nullable<Date>, _>(&after.due_on)?;
                out.push_sql(", 'infinity'), ");
                out.push_bind_param::<Timestamptz, _>(&after.submitted_at)?;
                out.push_sql(", ");
                out.push_bind_param::<SqlUuid, _>(&after.id)?;
                out.push_sql(")");
            }
            out.push_sql(" ORDER BY ");
            out.push_sql(ORDER);
            out.push_sql(" LIMIT ");
            out.push_bind_param::<BigInt, _>(&self.limit)?;
            out.push_sql(")");
        }
        out.push_sql(
            ") AS next JOIN applications a ON a.id = next.id \
             ORDER BY next.in_turn, next.due, next.submitted_at, next.id LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// How many wait in a queue, and how many of them are free to claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many wait.
    pub waiting: i64,
    /// How many of them nobody holds.
    pub free: i64,
}

/// Counts queues of a unit, in the order given; one statement. Payments to match are counted for all units: they name
/// none.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn count_queues(
    conn: &mut Conn,
    unit: &str,
    queues: &[Queue],
    now: DateTime<Utc>,
) -> Result<Vec<Count>> {
    let scopes: Vec<Option<Scope<'_>>> = queues
        .iter()
        .map(|queue| queue.holds_applications().then(|| Scope::of(unit, &queue.filter, now)))
        .collect();
    let mut counts = vec![Count::default(); queues.len()];
    if scopes.iter().flatten().all(Scope::is_empty) && scopes.iter().all(Option::is_some) {
        return Ok(counts);
    }
    let rows: Vec<(i32, i64, i64)> = CountQueues { scopes }
        .load(conn)
        .await
        .map_err(|e| query_failed("applications::count_queues", e))?;
    for (index, waiting, free) in rows {
        let count = usize::try_from(index).ok().and_then(|index| counts.get_mut(index));
        let count = count.ok_or_else(|| Error::bug("a count of no queue"))?;
        *count = Count { waiting: count.waiting + waiting, free: count.free + free };
    }
    Ok(counts)
}

struct CountQueues<'a> {
    scopes: Vec<Option<Scope<'a>>>,
}

impl QueryId for CountQueues<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for CountQueues<'_> {
    type SqlType = (Integer, BigInt, BigInt);
}

impl QueryFragment<Pg> for CountQueues<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut between = "SELECT ";
        for (index, scope) in self.scopes.iter().enumerate() {
            let Some(scope) = scope else {
                out.push_sql(between);
                between = " UNION ALL SELECT ";
                out.push_sql(&index.to_string());
                out.push_sql(", count(*), count(*) FROM payments WHERE status = 'waiting'");
                continue;
            };
            for branch in 0..scope.branch_count() {
                out.push_sql(between);
                between = " UNION ALL SELECT ";
                out.push_sql(&index.to_string());
                out.push_sql(", count(*), count(*) FILTER (WHERE true");
                scope.walk_free(out.reborrow())?;
                out.push_sql(") FROM applications a WHERE ");
                scope.walk(branch, out.reborrow())?;
            }
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
        out.push_sql("SELECT ");
        out.push_sql(SUMMARY);
        out.push_sql(
            "NULL::jsonb FROM applications a WHERE a.erased_at IS NULL AND a.applicant_id = ",
        );
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
    /// Unit's region.
    pub region: String,
    /// Unit's time zone.
    pub time_zone: String,
    /// The number of the latest registration of rules.
    pub rules: i64,
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
            u::region,
            u::time_zone,
            sql::<BigInt>(LATEST),
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
    /// First day on which it is suspended.
    pub suspended_on: Option<NaiveDate>,
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
            p::suspended_on,
            u::time_zone,
        ))
        .first(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_permit", e))
}

/// Finds how a paper of a permit stands, both by their canonical numbers; `None` where the permit was never printed on it.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_blank(conn: &mut Conn, permit: &str, blank: &str) -> Result<Option<String>> {
    b::table
        .filter(b::number.eq(blank))
        .filter(
            b::application_id
                .eq_any(p::table.filter(p::number.eq(permit)).select(p::application_id)),
        )
        .select(b::status)
        .first(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_blank", e))
}
