//! The one who writes the log, on a connection of its own that holds the lock: whoever loses the connection has lost both.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::{QueryDsl as _, QueryableByName};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use uuid::Uuid;

use super::super::schema::log_position as p;
use super::super::{SERVICE_ROLE, migrate, query_failed};
use super::{LeafRow, signed};
use crate::domain::event::leaf::Leaf;
use crate::error::{Error, Result};

/// Names the advisory lock that lets one sequencer write at a time: "proplog" in ASCII.
const LOCK: i64 = 0x0070_726F_706C_6F67;

/// What the sequencer has taken: all that these transactions committed.
///
/// A transaction is either before `next` and not among `open`: then everything it committed was taken; or it has to be
/// looked at again. So an event committed late is taken late, and none is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The first transaction that was not yet begun.
    pub next: i64,
    /// Those before it that had not ended.
    pub open: Vec<i64>,
}

/// Events that are committed and have no number yet.
#[derive(Debug)]
pub struct Pending {
    /// Their leaves, in the order in which they are numbered.
    pub leaves: Vec<Leaf>,
    /// Where the sequencer stands once they have numbers.
    pub position: Position,
    /// Whether there are more.
    pub more: bool,
}

/// A full tile to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTile {
    /// Level, -1 for a bundle of entries.
    pub level: i16,
    /// Number within the level.
    pub index: i64,
    /// The bytes that are served.
    pub bytes: Vec<u8>,
    /// Hash of the subtree under a tile of hashes.
    pub root: Option<[u8; 32]>,
}

/// The only writer of the log.
pub struct LogWriter {
    conn: AsyncPgConnection,
}

impl LogWriter {
    /// Connects as the service and takes the lock; `None` when another process holds it.
    ///
    /// What is committed is on the disk, whatever the server's default: what is signed must not be lost. The lock goes
    /// with the connection. The server notices a dead client within some ten seconds even where its
    /// machine vanished without a word.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database cannot be reached.
    pub async fn open(url: &str) -> Result<Option<Self>> {
        let failed = |error| query_failed("log::open", error);
        let mut conn = migrate::connect(url).await?;
        conn.batch_execute(&format!(
            "SET ROLE {SERVICE_ROLE}; SET statement_timeout = '60s'; SET TIME ZONE 'UTC'; \
             SET synchronous_commit = on; \
             SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
             SET tcp_user_timeout = '10s'"
        ))
        .await
        .map_err(failed)?;
        let got: bool = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(&format!(
            "pg_try_advisory_lock({LOCK})"
        )))
        .get_result(&mut conn)
        .await
        .map_err(failed)?;
        Ok(got.then_some(Self { conn }))
    }

    /// Gives the connection, for reading.
    pub fn reader(&mut self) -> &mut AsyncPgConnection {
        &mut self.conn
    }

    /// Gives where the sequencer stands.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails.
    pub async fn position(&mut self) -> Result<Position> {
        let (next, open) = p::table
            .select((p::next_xact, p::open))
            .first(&mut self.conn)
            .await
            .map_err(|error| query_failed("log::position", error))?;
        Ok(Position { next, open })
    }

    /// Gives at most about `limit` events that committed since `position`: whole transactions, oldest first.
    ///
    /// Looks at one snapshot: what it shows is committed, what was under way in it is remembered as open. Where the
    /// numbers of transactions have gone back (a dump restored into another server), every event without a number is
    /// looked for instead.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when a row does not make a leaf.
    pub async fn pending(&mut self, position: &Position, limit: i64) -> Result<Pending> {
        let failed = |error| query_failed("log::pending", error);
        let mut limit = limit;
        loop {
            let rows: Vec<PendingRow> = diesel::sql_query(PENDING)
                .bind::<BigInt, _>(position.next)
                .bind::<Array<BigInt>, _>(&position.open)
                .bind::<BigInt, _>(limit)
                .load(&mut self.conn)
                .await
                .map_err(failed)?;
            let Some(snapshot) = rows[..].first().and_then(|row| Snapshot::parse(&row.snapshot))
            else {
                return Err(Error::bug("the database gave no snapshot"));
            };
            if snapshot.next < position.next {
                return self.unnumbered(limit).await;
            }
            if let Some(pending) = taken(rows, position, &snapshot, limit)? {
                return Ok(pending);
            }
            // One transaction alone fills the batch: it is taken whole.
            limit *= 4;
        }
    }

    /// Gives events without a number, whatever transaction wrote them.
    async fn unnumbered(&mut self, limit: i64) -> Result<Pending> {
        tracing::warn!(
            "transaction numbers have gone back: looking for every event without a number"
        );
        let rows: Vec<PendingRow> = diesel::sql_query(UNNUMBERED)
            .bind::<BigInt, _>(limit)
            .load(&mut self.conn)
            .await
            .map_err(|error| query_failed("log::unnumbered", error))?;
        let Some(snapshot) = rows[..].first().and_then(|row| Snapshot::parse(&row.snapshot)) else {
            return Err(Error::bug("the database gave no snapshot"));
        };
        let leaves: Vec<Leaf> = rows
            .into_iter()
            .filter_map(|row| row.leaf)
            .map(LeafRow::decode)
            .collect::<Result<_>>()?;
        let more = i64::try_from(leaves.len()).is_ok_and(|taken| taken == limit);
        // While there are more, the position stays beyond the snapshot and leads here again.
        let next = if more { i64::MAX } else { snapshot.next };
        Ok(Pending { leaves, position: Position { next, open: snapshot.open }, more })
    }

    /// Numbers events from `first` on, keeps the tiles that are full now, and moves on: all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails, also when a number or an event is in the log already.
    pub async fn append(
        &mut self,
        first: u64,
        events: &[Uuid],
        tiles: &[NewTile],
        position: &Position,
    ) -> Result<()> {
        let levels: Vec<i16> = tiles.iter().map(|tile| tile.level).collect();
        let indexes: Vec<i64> = tiles.iter().map(|tile| tile.index).collect();
        let bytes: Vec<&[u8]> = tiles.iter().map(|tile| &tile.bytes[..]).collect();
        let roots: Vec<Option<&[u8]>> =
            tiles.iter().map(|tile| tile.root.as_ref().map(|root| &root[..])).collect();
        diesel::sql_query(
            "WITH leaves AS (INSERT INTO log_leaves (index, event_id) \
               SELECT $1 + n - 1, id FROM unnest($2) WITH ORDINALITY AS e(id, n)), \
             tiles AS (INSERT INTO log_tiles (level, index, bytes, root) \
               SELECT * FROM unnest($3, $4, $5, $6)) \
             UPDATE log_position SET next_xact = $7, open = $8",
        )
        .bind::<BigInt, _>(signed(first)?)
        .bind::<Array<diesel::sql_types::Uuid>, _>(events)
        .bind::<Array<SmallInt>, _>(levels)
        .bind::<Array<BigInt>, _>(indexes)
        .bind::<Array<Binary>, _>(bytes)
        .bind::<Array<Nullable<Binary>>, _>(roots)
        .bind::<BigInt, _>(position.next)
        .bind::<Array<BigInt>, _>(&position.open)
        .execute(&mut self.conn)
        .await
        .map(drop)
        .map_err(|error| query_failed("log::append", error))
    }

    /// Publishes a signed checkpoint; gives its number.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails.
    pub async fn publish(
        &mut self,
        size: u64,
        root: &[u8; 32],
        at: DateTime<Utc>,
        note: &str,
    ) -> Result<i64> {
        // Nobody else inserts: the lock is ours.
        let row: Published = diesel::sql_query(
            "INSERT INTO log_checkpoints (id, size, root, at, note) \
             SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4 FROM log_checkpoints RETURNING id",
        )
        .bind::<BigInt, _>(signed(size)?)
        .bind::<Binary, _>(&root[..])
        .bind::<Timestamptz, _>(at)
        .bind::<Text, _>(note)
        .get_result(&mut self.conn)
        .await
        .map_err(|error| query_failed("log::publish", error))?;
        Ok(row.id)
    }
}

/// One statement, so that the snapshot is the one that the rows are seen in. Two branches, so that a transaction that
/// stays open for long does not make everything since be read again.
const PENDING: &str = "\
WITH s AS MATERIALIZED (SELECT pg_current_snapshot() AS it) \
SELECT s.it::text AS snapshot, e.* FROM s LEFT JOIN LATERAL ( \
  (SELECT e.xact, e.id, e.at, e.kind, e.unit_code, e.track, e.workflow_version, e.seq, e.commitment, e.pseudonym \
   FROM events e WHERE e.xact = ANY($2) \
   AND NOT EXISTS (SELECT FROM log_leaves l WHERE l.event_id = e.id)) \
  UNION ALL \
  (SELECT e.xact, e.id, e.at, e.kind, e.unit_code, e.track, e.workflow_version, e.seq, e.commitment, e.pseudonym \
   FROM events e WHERE e.xact >= $1 AND e.xact < pg_snapshot_xmax(s.it)::text::bigint \
   AND NOT EXISTS (SELECT FROM log_leaves l WHERE l.event_id = e.id) \
   ORDER BY e.xact, e.id LIMIT $3) \
) e ON true ORDER BY e.xact, e.id";

const UNNUMBERED: &str = "\
WITH s AS MATERIALIZED (SELECT pg_current_snapshot() AS it) \
SELECT s.it::text AS snapshot, e.* FROM s LEFT JOIN LATERAL ( \
  SELECT e.xact, e.id, e.at, e.kind, e.unit_code, e.track, e.workflow_version, e.seq, e.commitment, e.pseudonym \
  FROM events e WHERE NOT EXISTS (SELECT FROM log_leaves l WHERE l.event_id = e.id) \
  ORDER BY e.id LIMIT $1) e ON true ORDER BY e.id";

#[derive(QueryableByName)]
struct Published {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(QueryableByName)]
struct PendingRow {
    #[diesel(sql_type = Text)]
    snapshot: String,
    #[diesel(embed)]
    leaf: Option<LeafRow>,
}

/// What PostgreSQL says of the transactions that a statement sees.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    next: i64,
    open: Vec<i64>,
}

impl Snapshot {
    /// Reads `xmin:xmax:xip,…`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (_, next, open) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let ids = open.split(',').filter(|id| !id.is_empty()).map(str::parse);
        let mut open: Vec<i64> = ids.collect::<Result<_, _>>().ok()?;
        open.sort_unstable();
        Some(Self { next, open })
    }
}

/// Takes whole transactions out of what was read; `None` when not even one is whole.
fn taken(
    rows: Vec<PendingRow>,
    position: &Position,
    snapshot: &Snapshot,
    limit: i64,
) -> Result<Option<Pending>> {
    let new = |xact: i64| xact >= position.next;
    let rows: Vec<LeafRow> = rows.into_iter().filter_map(|row| row.leaf).collect();
    let read = rows.iter().filter(|row| new(row.xact)).count();
    let more = i64::try_from(read).is_ok_and(|read| read >= limit);
    let last = rows.iter().map(|row| row.xact).max().unwrap_or(0);
    let end = if more { last } else { snapshot.next };
    if more && !rows.iter().any(|row| new(row.xact) && row.xact < end) {
        return Ok(None);
    }
    let open: BTreeSet<i64> = snapshot
        .open
        .iter()
        .copied()
        .filter(|id| *id < end && (new(*id) || position.open.contains(id)))
        .collect();
    let leaves = rows
        .into_iter()
        .filter(|row| !new(row.xact) || row.xact < end)
        .map(LeafRow::decode)
        .collect::<Result<_>>()?;
    let position = Position { next: end, open: open.into_iter().collect() };
    Ok(Some(Pending { leaves, position, more }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(xact: i64) -> PendingRow {
        PendingRow {
            snapshot: String::new(),
            leaf: Some(LeafRow {
                xact,
                id: Uuid::from_u128(u128::try_from(xact).unwrap()),
                at: DateTime::UNIX_EPOCH,
                kind: "opened".to_owned(),
                unit_code: None,
                track: None,
                workflow_version: None,
                seq: None,
                commitment: vec![0; 32],
                pseudonym: None,
            }),
        }
    }

    fn take(
        rows: &[i64],
        position: (i64, &[i64]),
        snapshot: (i64, &[i64]),
        limit: i64,
    ) -> Option<(Vec<u128>, Position, bool)> {
        taken(
            rows.iter().copied().map(row).collect(),
            &Position { next: position.0, open: position.1.to_vec() },
            &Snapshot { next: snapshot.0, open: snapshot.1.to_vec() },
            limit,
        )
        .unwrap()
        .map(|it| {
            (it.leaves.iter().map(|leaf| leaf.event.as_u128()).collect(), it.position, it.more)
        })
    }

    #[test]
    fn a_snapshot_reads_as_postgresql_writes_it() {
        let read = |text| Snapshot::parse(text);
        assert_eq!(read("10:20:14,10,15"), Some(Snapshot { next: 20, open: vec![10, 14, 15] }));
        assert_eq!(read("10:10:"), Some(Snapshot { next: 10, open: Vec::new() }));
        for text in ["", "10", "10:x:", "10:20:a"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_open_is_looked_at_again_and_what_ended_is_not() {
        let (ids, position, more) = take(&[5, 11, 12], (10, &[5, 6]), (14, &[6, 13]), 100).unwrap();
        assert_eq!(ids, [5, 11, 12]);
        assert_eq!(position, Position { next: 14, open: vec![6, 13] });
        assert!(!more);
    }

    #[test]
    fn a_full_batch_ends_between_transactions_and_forgets_none_that_is_open_before_its_end() {
        let (ids, position, more) =
            take(&[11, 11, 12, 12], (10, &[4]), (30, &[4, 11, 20]), 4).unwrap();
        assert_eq!(ids, [11, 11]);
        assert_eq!(position, Position { next: 12, open: vec![4, 11] });
        assert!(more);
    }

    #[test]
    fn a_transaction_that_fills_a_batch_is_read_whole_first() {
        assert_eq!(take(&[11, 11], (10, &[]), (30, &[]), 2), None);
    }
}
