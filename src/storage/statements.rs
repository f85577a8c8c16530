//! The provider's statements that were found in the folder: which were compared, and what came of it.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::count_star;
use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::query_failed;
use super::schema::statements as s;
use crate::error::Result;

/// What came of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It was compared.
    Compared {
        /// How many payments were taken and booked.
        booked: usize,
        /// How many were taken and wait.
        waiting: usize,
        /// What the two do not say alike.
        differences: usize,
    },
    /// It is no statement.
    Refused {
        /// Why not.
        error: &'a str,
    },
}

/// After what time one that a worker began and never ended is taken anew.
const ABANDONED: TimeDelta = TimeDelta::hours(1);

/// Takes a file in hand; `false` when it was compared or refused before, or another worker is at it.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn begin(
    conn: &mut AsyncPgConnection,
    digest: &[u8],
    name: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let failed = |e| query_failed("statements::begin", e);
    let fresh = diesel::insert_into(s::table)
        .values((
            s::digest.eq(digest),
            s::name.eq(name),
            s::taken_at.eq(now),
            s::outcome.eq("underWay"),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map_err(failed)?;
    if fresh > 0 {
        return Ok(true);
    }
    let abandoned = s::outcome.eq("underWay").and(s::taken_at.lt(now - ABANDONED));
    diesel::update(s::table.filter(s::digest.eq(digest).and(abandoned)))
        .set(s::taken_at.eq(now))
        .execute(conn)
        .await
        .map(|count| count > 0)
        .map_err(failed)
}

/// Notes what came of a file.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn end(conn: &mut AsyncPgConnection, digest: &[u8], outcome: Outcome<'_>) -> Result<()> {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let (name, [booked, waiting, differences], error) = match outcome {
        Outcome::Compared { booked, waiting, differences } => {
            let name = if differences == 0 { "alike" } else { "differs" };
            (name, [booked, waiting, differences].map(count), None)
        }
        Outcome::Refused { error } => ("refused", [0; 3], Some(error)),
    };
    diesel::update(s::table.filter(s::digest.eq(digest)))
        .set((
            s::outcome.eq(name),
            s::booked.eq(booked),
            s::waiting.eq(waiting),
            s::differences.eq(differences),
            s::error.eq(error),
        ))
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| query_failed("statements::end", e))
}

/// Counts the statements by outcome.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn counts(conn: &mut AsyncPgConnection) -> Result<Vec<(String, i64)>> {
    s::table
        .group_by(s::outcome)
        .select((s::outcome, count_star()))
        .load(conn)
        .await
        .map_err(|e| query_failed("statements::counts", e))
}
