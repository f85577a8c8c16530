//! How all permits together stand.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, SmallInt, Timestamptz};
use diesel_async::RunQueryDsl as _;
use futures_util::TryStreamExt as _;

use super::{Conn, query_failed};
use crate::domain::permit::PermitStatus;
use crate::error::Result;

/// The permits of [`BLOCK`] places, each as its place in the block times four and a code.
#[derive(QueryableByName)]
struct Block {
    #[diesel(sql_type = BigInt)]
    block: i64,
    #[diesel(sql_type = Array<SmallInt>)]
    permits: Vec<i16>,
}

/// Places of a block: what a number of 16 bits holds beside two bits of code.
const BLOCK: u64 = 8192;

/// The days decide as in [`PermitStatus::on`], also in the moments before the timer has written them down. An office's day
/// begins by the clocks of its region; where a region has several, by the last of them.
const STATUSES: &str = "\
    WITH days AS (SELECT region, min(($1 AT TIME ZONE time_zone)::date) AS today FROM units GROUP BY region) \
    SELECT p.place / 8192 AS block, array_agg(((p.place % 8192) * 4 + CASE \
        WHEN p.ends_on < d.today OR p.paid_through < d.today THEN 1 \
        WHEN p.status = 'suspended' THEN 2 \
        WHEN p.status = 'inForce' AND d.today IS NOT NULL THEN 0 \
        ELSE 1 END)::smallint) AS permits \
    FROM permits p LEFT JOIN days d ON d.region = p.territory GROUP BY 1";

/// Tells how each permit stands at `now`: its place in the status list, and in force, suspended, or over (as `Expired`,
/// whatever the reason).
///
/// One statement; what it answers is taken block by block.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn each_status(
    conn: &mut Conn,
    now: DateTime<Utc>,
    mut tell: impl FnMut(u64, PermitStatus),
) -> Result<()> {
    let failed = |error| query_failed("permits::each_status", error);
    let blocks = diesel::sql_query(STATUSES).bind::<Timestamptz, _>(now);
    let mut blocks = blocks.load_stream::<Block>(conn).await.map_err(failed)?;
    while let Some(Block { block, permits }) = blocks.try_next().await.map_err(failed)? {
        let first = u64::try_from(block).unwrap_or_default() * BLOCK;
        for permit in permits {
            let permit = permit.unsigned_abs();
            let status = match permit % 4 {
                0 => PermitStatus::InForce,
                2 => PermitStatus::Suspended,
                _ => PermitStatus::Expired,
            };
            tell(first + u64::from(permit / 4), status);
        }
    }
    Ok(())
}
