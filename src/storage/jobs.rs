//! The table of jobs: who runs what, and what came of it.
//!
//! Jobs are inserted by `storage::applications` in the statement that writes their command, and by [`insert`] in the
//! transaction of what else they follow from. A worker claims
//! them with a lease; if it dies, the lease ends and another takes over. A job that a command schedules
//! again while it runs (a payment puts a lapse off) is not finished by that run: it waits for its new time.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::ExpressionMethods;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel::{BoolExpressionMethods, OptionalExtension, QueryDsl, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::schema::jobs;
use crate::domain::event::{Job, Scheduled};
use crate::error::{Error, Result};

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Queryable)]
pub struct JobRow {
    /// Id.
    pub id: i64,
    /// Its kind, one of those claimed.
    pub kind: String,
    /// The key under which two unfinished jobs are one.
    pub key: String,
    /// The job, as it was written.
    pub payload: Value,
    /// When it was due.
    pub run_at: DateTime<Utc>,
    /// How often it has been claimed, this time included.
    pub attempts: i32,
    /// Until when it is the claimer's. Each claim has its own end and a finished job has none, so a worker that
    /// lost its lease is recognised by it.
    pub leased_until: DateTime<Utc>,
}

impl JobRow {
    /// Gives the register that the job asks; empty when it asks none.
    #[must_use]
    pub fn register(&self) -> &str {
        self.payload["register"].as_str().unwrap_or_default()
    }

    /// Decodes the job.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it was not written by this or an earlier version of the service.
    pub fn job(&self) -> Result<Job> {
        serde_json::from_value(self.payload.clone()).map_err(|_| Error::Corrupt {
            table: "jobs",
            column: "payload",
            row: self.id.to_string(),
        })
    }
}

/// How many jobs stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobCounts {
    /// Not due yet.
    pub waiting: i64,
    /// Due, and nobody runs them.
    pub due: i64,
    /// Being run.
    pub running: i64,
    /// Given up: somebody has to look.
    pub dead: i64,
    /// How long the first of the due ones has been due.
    pub oldest_due: Option<TimeDelta>,
}

/// Inserts a job that nothing unfinished has the key of, inside the transaction of what it follows from.
///
/// # Errors
/// The database's, or that the job cannot be encoded.
pub async fn insert(
    conn: &mut AsyncPgConnection,
    scheduled: &Scheduled,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let payload = serde_json::to_value(&scheduled.job)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    diesel::insert_into(jobs::table)
        .values((
            jobs::kind.eq(scheduled.job.kind()),
            jobs::key.eq(scheduled.job.key()),
            jobs::payload.eq(payload),
            jobs::run_at.eq(scheduled.run_at),
            jobs::created_at.eq(now),
        ))
        .execute(conn)
        .await
        .map(drop)
}

/// Inserts a job unless something unfinished has its key: for work that goes on where it was, and may say so twice.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn insert_once(
    conn: &mut AsyncPgConnection,
    scheduled: &Scheduled,
    now: DateTime<Utc>,
) -> Result<()> {
    let payload = serde_json::to_value(&scheduled.job)
        .map_err(|error| Error::internal("cannot encode a job", error))?;
    diesel::insert_into(jobs::table)
        .values((
            jobs::kind.eq(scheduled.job.kind()),
            jobs::key.eq(scheduled.job.key()),
            jobs::payload.eq(payload),
            jobs::run_at.eq(scheduled.run_at),
            jobs::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map(drop)
        .map_err(failed("insert a job"))
}

/// Gives unfinished jobs other times, where they have others and a version of their application is still the current
/// one; gives how many. Each is a job, its application and the version.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn reschedule(
    conn: &mut AsyncPgConnection,
    moved: &[(Scheduled, Uuid, i32)],
) -> Result<usize> {
    Reschedule {
        keys: moved.iter().map(|(scheduled, ..)| scheduled.job.key()).collect(),
        run_ats: moved.iter().map(|(scheduled, ..)| scheduled.run_at).collect(),
        applications: moved.iter().map(|(_, application, _)| *application).collect(),
        versions: moved.iter().map(|(.., version)| *version).collect(),
    }
    .execute(conn)
    .await
    .map_err(failed("give jobs other times"))
}

/// Claims up to `limit` due jobs of `kinds` until `now + lease`, the longest due first.
///
/// Two workers never get the same job while its lease lasts. Kinds that this process does not know are left
/// to the newer one that wrote them; jobs that ask one of the registers `busy` are left for later.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn claim(
    conn: &mut AsyncPgConnection,
    kinds: &[&str],
    busy: &[String],
    now: DateTime<Utc>,
    lease: TimeDelta,
    limit: i64,
) -> Result<Vec<JobRow>> {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let claim = Claim { kinds, busy: busy.to_vec(), now, leased_until: now + lease, limit };
    let mut rows: Vec<JobRow> = claim.load(conn).await.map_err(failed("claim jobs"))?;
    rows.sort_by_key(|row| (row.run_at, row.id));
    Ok(rows)
}

/// Records that a claimed job is done; `false` if it was scheduled again meanwhile and waits for its new time.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn finish(
    conn: &mut AsyncPgConnection,
    job: &JobRow,
    now: DateTime<Utc>,
) -> Result<bool> {
    end(conn, job, "done", None, now).await
}

/// Records that a claimed job is given up, and why; `false` as for [`finish`].
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn bury(
    conn: &mut AsyncPgConnection,
    job: &JobRow,
    error: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    end(conn, job, "dead", Some(error), now).await
}

/// Records that claimed jobs are done, as [`finish`] does, in one statement.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn finish_all(
    conn: &mut AsyncPgConnection,
    rows: &[&JobRow],
    now: DateTime<Utc>,
) -> Result<()> {
    FinishAll {
        ids: rows.iter().map(|row| row.id).collect(),
        leases: rows.iter().map(|row| row.leased_until).collect(),
        run_ats: rows.iter().map(|row| row.run_at).collect(),
        attempts: rows.iter().map(|row| row.attempts).collect(),
        now,
    }
    .execute(conn)
    .await
    .map(drop)
    .map_err(failed("end jobs"))
}

async fn end(
    conn: &mut AsyncPgConnection,
    job: &JobRow,
    outcome: &str,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let ended = diesel::update(jobs::table)
        .filter(jobs::id.eq(job.id).and(jobs::leased_until.eq(job.leased_until)))
        // A command that schedules the job again begins its attempts anew.
        .filter(jobs::run_at.eq(job.run_at).and(jobs::attempts.eq(job.attempts)))
        .set((
            jobs::finished_at.eq(now),
            jobs::outcome.eq(outcome),
            jobs::last_error.eq(error),
            jobs::leased_until.eq(None::<DateTime<Utc>>),
        ))
        .execute(conn)
        .await
        .map_err(failed("end a job"))?;
    if ended == 0 {
        release(conn, job).await?;
    }
    Ok(ended > 0)
}

/// Puts a claimed job off to `run_at` after a failure, keeping the reason.
///
/// A job that was scheduled again by a command meanwhile keeps the command's time.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn retry(
    conn: &mut AsyncPgConnection,
    job: &JobRow,
    run_at: DateTime<Utc>,
    error: &str,
) -> Result<()> {
    let moved = diesel::update(jobs::table)
        .filter(jobs::id.eq(job.id).and(jobs::leased_until.eq(job.leased_until)))
        // A command that schedules the job again begins its attempts anew.
        .filter(jobs::run_at.eq(job.run_at).and(jobs::attempts.eq(job.attempts)))
        .set((
            jobs::run_at.eq(run_at),
            jobs::last_error.eq(error),
            jobs::leased_until.eq(None::<DateTime<Utc>>),
        ))
        .execute(conn)
        .await
        .map_err(failed("put a job off"))?;
    if moved == 0 {
        release(conn, job).await?;
    }
    Ok(())
}

/// Puts a claimed job off to `run_at` as if it had not been claimed: there was nothing to do yet.
///
/// A job that was scheduled again by a command meanwhile keeps the command's time.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn put_off(
    conn: &mut AsyncPgConnection,
    job: &JobRow,
    run_at: DateTime<Utc>,
) -> Result<()> {
    let moved = diesel::update(jobs::table)
        .filter(jobs::id.eq(job.id).and(jobs::leased_until.eq(job.leased_until)))
        .filter(jobs::run_at.eq(job.run_at).and(jobs::attempts.eq(job.attempts)))
        .set((
            jobs::run_at.eq(run_at),
            jobs::attempts.eq(jobs::attempts - 1),
            jobs::leased_until.eq(None::<DateTime<Utc>>),
        ))
        .execute(conn)
        .await
        .map_err(failed("put a job off"))?;
    if moved == 0 {
        release(conn, job).await?;
    }
    Ok(())
}

/// Ends the lease on a job that was scheduled again while it ran.
async fn release(conn: &mut AsyncPgConnection, job: &JobRow) -> Result<()> {
    diesel::update(jobs::table)
        .filter(jobs::id.eq(job.id).and(jobs::leased_until.eq(job.leased_until)))
        .set(jobs::leased_until.eq(None::<DateTime<Utc>>))
        .execute(conn)
        .await
        .map_err(failed("release a job"))?;
    Ok(())
}

/// Gives the time at which the next job of `kinds` is due that nobody runs, past or future.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn next_run_at(
    conn: &mut AsyncPgConnection,
    kinds: &[&str],
) -> Result<Option<DateTime<Utc>>> {
    // Leases of dead workers are left to polling: with them this would no longer be the index's first row.
    jobs::table
        .filter(jobs::finished_at.is_null())
        .filter(jobs::leased_until.is_null())
        .filter(jobs::kind.eq_any(kinds.iter().copied()))
        .order((jobs::run_at, jobs::id))
        .select(jobs::run_at)
        .first(conn)
        .await
        .optional()
        .map_err(failed("look for the next job"))
}

/// Counts the jobs, for metrics and alarms.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn counts(conn: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<JobCounts> {
    let (waiting, due, running, dead, oldest): (i64, i64, i64, i64, Option<DateTime<Utc>>) =
        Counts { now }.get_result(conn).await.map_err(failed("count jobs"))?;
    Ok(JobCounts { waiting, due, running, dead, oldest_due: oldest.map(|at| now - at) })
}

/// Removes the jobs that were done before `older_than`, and says how many; dead ones stay until looked at.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn prune(conn: &mut AsyncPgConnection, older_than: DateTime<Utc>) -> Result<usize> {
    diesel::delete(jobs::table)
        .filter(jobs::outcome.eq("done").and(jobs::finished_at.lt(older_than)))
        .execute(conn)
        .await
        .map_err(failed("prune jobs"))
}

fn failed(doing: &'static str) -> impl FnOnce(diesel::result::Error) -> Error {
    move |error| Error::internal(format!("cannot {doing}"), error)
}

/// Claims in one statement. diesel has no UPDATE from a locked selection, and its `sql_query` is not kept
/// prepared.
#[derive(QueryId)]
struct Claim {
    kinds: Vec<String>,
    busy: Vec<String>,
    now: DateTime<Utc>,
    leased_until: DateTime<Utc>,
    limit: i64,
}

impl Query for Claim {
    type SqlType = (BigInt, Text, Text, Jsonb, Timestamptz, Integer, Timestamptz);
}

impl<Conn> diesel::RunQueryDsl<Conn> for Claim {}

impl QueryFragment<Pg> for Claim {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // PostgreSQL works a locking WITH out once; a subselect may be repeated and lock more than the limit.
        out.push_sql("WITH due AS (SELECT id FROM jobs WHERE finished_at IS NULL AND run_at <= ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" AND (leased_until IS NULL OR leased_until <= ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(") AND kind = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.kinds)?;
        out.push_sql(") AND coalesce(payload ->> 'register', '') <> ALL(");
        out.push_bind_param::<Array<Text>, _>(&self.busy)?;
        out.push_sql(") ORDER BY run_at, id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" FOR UPDATE SKIP LOCKED) UPDATE jobs SET leased_until = ");
        out.push_bind_param::<Timestamptz, _>(&self.leased_until)?;
        out.push_sql(
            ", attempts = attempts + 1 FROM due WHERE jobs.id = due.id \
             RETURNING jobs.id, kind, key, payload, run_at, attempts, leased_until",
        );
        Ok(())
    }
}

/// Ends many jobs in one statement; what was scheduled again while it ran only loses its lease.
#[derive(QueryId)]
struct FinishAll {
    ids: Vec<i64>,
    leases: Vec<DateTime<Utc>>,
    run_ats: Vec<DateTime<Utc>>,
    attempts: Vec<i32>,
    now: DateTime<Utc>,
}

impl Query for FinishAll {
    type SqlType = ();
}

impl<Conn> diesel::RunQueryDsl<Conn> for FinishAll {}

impl QueryFragment<Pg> for FinishAll {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE jobs SET leased_until = NULL, \
             last_error = CASE WHEN jobs.run_at = m.run_at AND jobs.attempts = m.attempts THEN NULL ELSE last_error END, \
             outcome = CASE WHEN jobs.run_at = m.run_at AND jobs.attempts = m.attempts THEN 'done' END, \
             finished_at = CASE WHEN jobs.run_at = m.run_at AND jobs.attempts = m.attempts THEN ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql("::timestamptz END FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.leases)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.run_ats)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.attempts)?;
        out.push_sql(
            ") AS m(id, leased_until, run_at, attempts) \
             WHERE jobs.id = m.id AND jobs.leased_until = m.leased_until AND jobs.finished_at IS NULL",
        );
        Ok(())
    }
}

/// Gives many jobs their times in one statement.
#[derive(QueryId)]
struct Reschedule {
    keys: Vec<String>,
    run_ats: Vec<DateTime<Utc>>,
    applications: Vec<Uuid>,
    versions: Vec<i32>,
}

impl Query for Reschedule {
    type SqlType = ();
}

impl<Conn> diesel::RunQueryDsl<Conn> for Reschedule {}

impl QueryFragment<Pg> for Reschedule {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE jobs SET run_at = m.run_at FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.run_ats)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.applications)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.versions)?;
        // What waits to be tried again after a failure is due already, and keeps its pause.
        out.push_sql(
            ") AS m(key, run_at, application, version) JOIN applications a ON a.id = m.application \
             AND a.version = m.version WHERE jobs.key = m.key AND jobs.finished_at IS NULL \
             AND jobs.run_at <> m.run_at AND jobs.attempts = 0",
        );
        Ok(())
    }
}

#[derive(QueryId)]
struct Counts {
    now: DateTime<Utc>,
}

impl Query for Counts {
    type SqlType = (BigInt, BigInt, BigInt, BigInt, Nullable<Timestamptz>);
}

impl<Conn> diesel::RunQueryDsl<Conn> for Counts {}

impl QueryFragment<Pg> for Counts {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT count(*) FILTER (WHERE NOT is_due), count(*) FILTER (WHERE is_due AND NOT held), \
             count(*) FILTER (WHERE is_due AND held), \
             (SELECT count(*) FROM jobs WHERE outcome = 'dead'), \
             min(run_at) FILTER (WHERE is_due AND NOT held) \
             FROM (SELECT run_at, run_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" AS is_due, COALESCE(leased_until > ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", false) AS held FROM jobs WHERE finished_at IS NULL) AS open");
        Ok(())
    }
}

impl fmt::Display for JobRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} ({})", self.id, self.key)
    }
}
