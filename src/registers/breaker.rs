//! The circuit breaker of a register: it is left alone when it does not answer, and tried by one process at a time.
//!
//! Its state is a row that all processes share ([`crate::storage::registers`]). After [`THRESHOLD`] failures in a row it
//! opens: nothing is sent until `retry_at`. Then it is half open: whoever moves `retry_at` on may send one request. An
//! answer closes it, a failure opens it again for twice as long.

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Result;
use crate::storage::Connection;
use crate::storage::registers::{self, BreakerState, RegisterRow};

/// After how many failures in a row the breaker opens.
pub const THRESHOLD: i32 = 5;

/// How long it stays open at first.
const FIRST: TimeDelta = TimeDelta::seconds(30);

/// How long it stays open at the most.
const LONGEST: TimeDelta = TimeDelta::minutes(10);

/// Within what the process that probes must have told what came of it.
const PROBE: TimeDelta = TimeDelta::seconds(60);

/// How soon to look again when a probe is under way.
const SOON: TimeDelta = TimeDelta::seconds(2);

/// Whether a register may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Ask it.
    Ask,
    /// Leave it alone until then.
    Wait(DateTime<Utc>),
}

/// Tells whether a register may be asked now; takes the probe when it is due.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn admit(conn: &mut Connection, name: &str, now: DateTime<Utc>) -> Result<Admission> {
    let Some(row) = registers::find(conn, name).await? else { return Ok(Admission::Ask) };
    let retry_at = match (row.state, row.retry_at) {
        (BreakerState::Closed, _) => return Ok(Admission::Ask),
        (BreakerState::Open | BreakerState::HalfOpen, retry_at) => retry_at.unwrap_or(now),
    };
    if retry_at > now {
        return Ok(Admission::Wait(retry_at));
    }
    if registers::probe(conn, name, now, now + PROBE).await? {
        return Ok(Admission::Ask);
    }
    Ok(Admission::Wait(now + SOON))
}

/// Records that a register answered: the breaker closes.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn succeeded(conn: &mut Connection, name: &str, now: DateTime<Utc>) -> Result<()> {
    if registers::note_answer(conn, name, now).await? {
        return Ok(());
    }
    registers::change(conn, name, now, |row| close(row, now)).await.map(drop)
}

/// Records that a register did not answer; gives the breaker as it is now.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn failed(
    conn: &mut Connection,
    name: &str,
    now: DateTime<Utc>,
    error: &str,
) -> Result<RegisterRow> {
    registers::change(conn, name, now, |row| count(row, now, error)).await
}

fn close(row: &RegisterRow, now: DateTime<Utc>) -> RegisterRow {
    let since = if row.state == BreakerState::Closed { row.since } else { now };
    RegisterRow {
        name: row.name.clone(),
        state: BreakerState::Closed,
        failures: 0,
        since,
        retry_at: None,
        last_ok_at: Some(now),
        last_error: None,
    }
}

fn count(row: &RegisterRow, now: DateTime<Utc>, error: &str) -> RegisterRow {
    let mut row = RegisterRow { last_error: Some(error.to_owned()), ..row.clone() };
    // Requests that were under way when it opened tell nothing new.
    if row.state == BreakerState::Open {
        return row;
    }
    row.failures = row.failures.saturating_add(1);
    if row.state == BreakerState::Closed && row.failures < THRESHOLD {
        return row;
    }
    if row.state == BreakerState::Closed {
        row.since = now;
    }
    row.state = BreakerState::Open;
    row.retry_at = Some(now + wait(row.failures));
    row
}

/// Gives how long the breaker stays open after so many failures in a row.
fn wait(failures: i32) -> TimeDelta {
    let doublings = failures.saturating_sub(THRESHOLD).clamp(0, 10);
    (FIRST * (1 << doublings)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(now: DateTime<Utc>) -> RegisterRow {
        RegisterRow {
            name: "taxNumbers".into(),
            state: BreakerState::Closed,
            failures: 0,
            since: now,
            retry_at: None,
            last_ok_at: None,
            last_error: None,
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_for_longer_and_longer() {
        let now = DateTime::from_timestamp(1_772_431_200, 0).unwrap();
        let later = now + TimeDelta::minutes(1);
        let mut row = closed(now);
        for failures in 1..THRESHOLD {
            row = count(&row, later, "answers 500");
            assert_eq!((row.state, row.failures), (BreakerState::Closed, failures));
        }
        let forgiven = close(&row, later);
        assert_eq!((forgiven.failures, forgiven.since), (0, now));
        row = count(&row, later, "answers 500");
        assert_eq!((row.state, row.since), (BreakerState::Open, later));
        assert_eq!(row.retry_at, Some(later + FIRST));
        assert_eq!(count(&row, later, "answers 502").retry_at, row.retry_at);

        for seconds in [60, 120, 240, 480, 600, 600] {
            row.state = BreakerState::HalfOpen;
            row = count(&row, later, "answers 500");
            assert_eq!(row.retry_at, Some(later + TimeDelta::seconds(seconds)));
            assert_eq!((row.state, row.since), (BreakerState::Open, later), "open since the first");
        }
        assert_eq!(wait(i32::MAX), LONGEST);
        let shut = close(&row, now + TimeDelta::days(1));
        assert_eq!((shut.state, shut.failures, shut.retry_at), (BreakerState::Closed, 0, None));
        assert_eq!(shut.since, now + TimeDelta::days(1));
    }
}
