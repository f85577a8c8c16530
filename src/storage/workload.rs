//! The figures of a unit: what is under way, what was decided and how fast, who holds what. Answered from indexes alone.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Date, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, Queryable};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, query_failed};
use crate::error::Result;

/// What is under way on one track in one state.
#[derive(Debug, Clone, Queryable)]
pub struct UnderWayRow {
    /// The track.
    pub track: String,
    /// The state.
    pub state: String,
    /// How many were handed in and are not over.
    pub open: i64,
    /// Of these, how many are being checked and have their statutory date from today up to `soon`.
    pub due_soon: i64,
    /// How many are being checked and have it behind them: also where the applicant was asked only after it.
    pub overdue: i64,
}

/// What was decided; for one track, or for all where it names none.
#[derive(Debug, Clone, PartialEq)]
pub struct DecidedRow {
    /// The track.
    pub track: Option<String>,
    /// How many.
    pub decided: i64,
    /// How many of them by their statutory date.
    pub in_time: i64,
    /// Half of them took at most so many working days: the least number of days of which that is true.
    pub median: f64,
    /// Nine in ten of them took at most so many.
    pub ninth_decile: f64,
}

/// What ended without a decision on the merits.
#[derive(Debug, Clone, Queryable)]
pub struct EndedRow {
    /// The track.
    pub track: String,
    /// The state that it ended in.
    pub state: String,
    /// How many.
    pub ended: i64,
}

/// What one officer holds.
#[derive(Debug, Clone, Queryable)]
pub struct HolderRow {
    /// The account.
    pub account: Uuid,
    /// Its name.
    pub name: String,
    /// How many.
    pub holds: i64,
    /// How many of them neither a queue nor a senior officer gave out.
    pub picked: i64,
    /// How many of them a senior officer gave out.
    pub assigned: i64,
}

/// Everything of one unit.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What is under way, by track and state.
    pub under_way: Vec<UnderWayRow>,
    /// What was decided, by track and in total.
    pub decided: Vec<DecidedRow>,
    /// What ended without a decision on the merits.
    pub ended: Vec<EndedRow>,
    /// Who holds what, whoever holds most first.
    pub holders: Vec<HolderRow>,
}

/// For which unit and time the figures are.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// Unit's code.
    pub unit: &'a str,
    /// The instant.
    pub now: DateTime<Utc>,
    /// The office's date today.
    pub today: NaiveDate,
    /// The last day on which a date is soon.
    pub soon: NaiveDate,
    /// The first day that counts for what was decided or ended.
    pub since: NaiveDate,
    /// When that day began.
    pub since_at: DateTime<Utc>,
}

/// Loads the figures. Four statements.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn load(conn: &mut Conn, span: &Span<'_>) -> Result<Workload> {
    let failed = |error| query_failed("workload::load", error);
    Ok(Workload {
        under_way: UnderWay(*span).load(conn).await.map_err(failed)?,
        decided: summed(&Decided(*span).load(conn).await.map_err(failed)?),
        ended: Ended(*span).load(conn).await.map_err(failed)?,
        holders: Holders(*span).load(conn).await.map_err(failed)?,
    })
}

/// What took one number of working days on one track.
#[derive(Debug, Clone, Queryable)]
struct TookRow {
    track: String,
    days: i32,
    decided: i64,
    in_time: i64,
}

/// Sums up by track, and after all tracks in total. The rows are in order of track and days.
fn summed(rows: &[TookRow]) -> Vec<DecidedRow> {
    let mut decided: Vec<DecidedRow> = rows
        .chunk_by(|one, other| one.track == other.track)
        .map(|of_track| sum(Some(&of_track[0].track), of_track))
        .collect();
    if !rows.is_empty() {
        let mut all = rows.to_vec();
        all.sort_by_key(|row| row.days);
        decided.push(sum(None, &all));
    }
    decided
}

/// Sums up what is in order of days.
fn sum(track: Option<&String>, rows: &[TookRow]) -> DecidedRow {
    let decided = rows.iter().map(|row| row.decided).sum();
    // The least number of days in which so many tenths of all were decided.
    let quantile = |tenths: i64| {
        let mut so_far = 0;
        let reached = rows.iter().find(|row| {
            so_far += row.decided;
            so_far * 10 >= decided * tenths
        });
        reached.map_or(0.0, |row| f64::from(row.days))
    };
    DecidedRow {
        track: track.cloned(),
        decided,
        in_time: rows.iter().map(|row| row.in_time).sum(),
        median: quantile(5),
        ninth_decile: quantile(9),
    }
}

macro_rules! statements {
    ($($name:ident -> $columns:ty;)+) => {$(
        struct $name<'a>(Span<'a>);

        impl QueryId for $name<'_> {
            type QueryId = $name<'static>;
        }

        impl Query for $name<'_> {
            type SqlType = $columns;
        }
    )+};
}

statements! {
    UnderWay -> (Text, Text, BigInt, BigInt, BigInt);
    Decided -> (Text, Integer, BigInt, BigInt);
    Ended -> (Text, Text, BigInt);
    Holders -> (SqlUuid, Text, BigInt, BigInt, BigInt);
}

impl QueryFragment<Pg> for UnderWay<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // In the phase of checks the clock runs.
        out.push_sql(
            "SELECT track, state, count(*), count(*) FILTER (WHERE phase = 'checks' AND due_on >= ",
        );
        out.push_bind_param::<Date, _>(&self.0.today)?;
        out.push_sql(" AND due_on <= ");
        out.push_bind_param::<Date, _>(&self.0.soon)?;
        out.push_sql("), count(*) FILTER (WHERE phase = 'checks' AND due_on < ");
        out.push_bind_param::<Date, _>(&self.0.today)?;
        out.push_sql(
            ") FROM applications WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance') \
             AND unit_code = ",
        );
        out.push_bind_param::<Text, str>(self.0.unit)?;
        out.push_sql(" GROUP BY track, state ORDER BY track COLLATE \"C\"");
        Ok(())
    }
}

impl QueryFragment<Pg> for Decided<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT track, decided_in, count(*), count(*) FILTER (WHERE decided_on <= due_on) \
             FROM applications WHERE decided_on IS NOT NULL AND unit_code = ",
        );
        out.push_bind_param::<Text, str>(self.0.unit)?;
        out.push_sql(" AND decided_on >= ");
        out.push_bind_param::<Date, _>(&self.0.since)?;
        out.push_sql(" GROUP BY track, decided_in ORDER BY track COLLATE \"C\", decided_in");
        Ok(())
    }
}

impl QueryFragment<Pg> for Ended<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT track, state, count(*) FROM applications WHERE phase = 'closed' \
             AND decided_on IS NULL AND submitted_at IS NOT NULL AND unit_code = ",
        );
        out.push_bind_param::<Text, str>(self.0.unit)?;
        out.push_sql(" AND state_since >= ");
        out.push_bind_param::<Timestamptz, _>(&self.0.since_at)?;
        out.push_sql(" GROUP BY track, state");
        Ok(())
    }
}

impl QueryFragment<Pg> for Holders<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT o.id, o.name, count(*), count(*) FILTER (WHERE a.claimed_from IS NULL \
             AND a.assigned_by IS NULL), count(a.assigned_by) \
             FROM applications a JOIN accounts o ON o.id = a.claimed_by \
             WHERE a.claimed_by IS NOT NULL AND a.work IS NOT NULL AND a.claimed_until > ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.0.now)?;
        out.push_sql(" AND a.unit_code = ");
        out.push_bind_param::<Text, str>(self.0.unit)?;
        out.push_sql(" GROUP BY o.id ORDER BY 3 DESC, o.name, o.id");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(track: &str, days: i32, decided: i64, in_time: i64) -> TookRow {
        TookRow { track: track.to_owned(), days, decided, in_time }
    }

    #[test]
    fn days_are_those_in_which_a_half_and_nine_tenths_were_decided() {
        let rows =
            [took("a", 2, 1, 1), took("a", 7, 1, 1), took("b", 3, 8, 8), took("b", 12, 2, 0)];
        let of = |track: Option<&str>, decided, in_time, median, ninth_decile| DecidedRow {
            track: track.map(str::to_owned),
            decided,
            in_time,
            median,
            ninth_decile,
        };
        assert_eq!(
            summed(&rows),
            [
                of(Some("a"), 2, 2, 2.0, 7.0),
                of(Some("b"), 10, 8, 3.0, 12.0),
                of(None, 12, 10, 3.0, 12.0),
            ]
        );
        assert_eq!(summed(&[]), []);
    }
}
