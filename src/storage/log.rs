//! The tables of the transparency log: leaves, tiles, checkpoints, cosignatures, and where the sequencer stands.
//!
//! [`LogWriter`] is the one who writes, on a connection of its own that holds the lock: whoever loses the connection
//! has lost both. Everybody reads. The tree's mathematics is in [`crate::audit`]; here are rows.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::{
    ExpressionMethods as _, JoinOnDsl as _, NullableExpressionMethods as _, OptionalExtension as _,
    QueryDsl as _, Queryable, QueryableByName,
};
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use uuid::Uuid;

use super::schema::{
    events as e, log_checkpoints as c, log_cosignatures as s, log_leaves as l, log_position as p,
    log_tiles as t,
};
use super::{SERVICE_ROLE, query_failed};
use crate::domain::event::leaf::Leaf;
use crate::domain::event::sealed::{Private, SALT};
use crate::error::{Error, Result};

/// Names the advisory lock that lets one sequencer write at a time: "proplog" in ASCII.
const LOCK: i64 = 0x0070_726F_706C_6F67;

/// The level under which bundles of entries are kept.
const ENTRIES: i16 = -1;

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

/// A checkpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct CheckpointRow {
    /// Number, in the order of signing.
    pub id: i64,
    /// Leaves under it.
    pub size: i64,
    /// The tree's root.
    pub root: Vec<u8>,
    /// When it was signed.
    pub at: DateTime<Utc>,
    /// The signed note, without cosignatures.
    pub note: String,
}

/// The only writer of the log.
pub struct LogWriter {
    conn: AsyncPgConnection,
}

impl LogWriter {
    /// Connects as the service and takes the lock; `None` when another process holds it.
    ///
    /// The lock goes with the connection. The server notices a dead client within some ten seconds even where its
    /// machine vanished without a word.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database cannot be reached.
    pub async fn open(url: &str) -> Result<Option<Self>> {
        let failed = |error| query_failed("log::open", error);
        let mut conn = super::migrate::connect(url).await?;
        conn.batch_execute(&format!(
            "SET ROLE {SERVICE_ROLE}; SET statement_timeout = '60s'; SET TIME ZONE 'UTC'; \
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

/// The public columns of an event.
#[derive(QueryableByName, Queryable)]
struct LeafRow {
    #[diesel(sql_type = BigInt)]
    xact: i64,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    unit_code: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    track: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    workflow_version: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    seq: Option<i32>,
    #[diesel(sql_type = Binary)]
    commitment: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    pseudonym: Option<Vec<u8>>,
}

impl LeafRow {
    fn decode(self) -> Result<Leaf> {
        let corrupt = |column| Error::Corrupt { table: "events", column, row: self.id.to_string() };
        Ok(Leaf {
            at: self.at.timestamp(),
            commitment: self.commitment.try_into().map_err(|_| corrupt("commitment"))?,
            event: self.id,
            kind: self.kind,
            pseudonym: self
                .pseudonym
                .map(TryInto::try_into)
                .transpose()
                .map_err(|_| corrupt("pseudonym"))?,
            seq: self.seq,
            track: self.track,
            unit: self.unit_code,
            workflow: self.workflow_version,
        })
    }
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

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|error| Error::internal("a number beyond 2^63", error))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Counts the leaves.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn size(conn: &mut AsyncPgConnection) -> Result<u64> {
    let last: Option<i64> = l::table
        .select(l::index)
        .order(l::index.desc())
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::size", error))?;
    Ok(last.map_or(0, |index| unsigned(index) + 1))
}

/// Finds the published checkpoint: the latest one.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_latest(conn: &mut AsyncPgConnection) -> Result<Option<CheckpointRow>> {
    c::table
        .order(c::id.desc())
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::find_latest", error))
}

/// Finds the published checkpoint as it is served: with what witnesses have added to it so far.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_published(conn: &mut AsyncPgConnection) -> Result<Option<CheckpointRow>> {
    let Some(mut row) = find_latest(conn).await? else { return Ok(None) };
    for line in cosignatures(conn, row.id).await? {
        row.note.push_str(&line);
    }
    Ok(Some(row))
}

/// Lists what witnesses have added to a checkpoint, each a line with its end.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn cosignatures(conn: &mut AsyncPgConnection, checkpoint: i64) -> Result<Vec<String>> {
    s::table
        .filter(s::checkpoint_id.eq(checkpoint))
        .order(s::witness)
        .select(s::line)
        .load(conn)
        .await
        .map_err(|error| query_failed("log::cosignatures", error))
}

/// Adds a witness's line to a checkpoint; a second one of the same witness changes nothing.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn insert_cosignature(
    conn: &mut AsyncPgConnection,
    checkpoint: i64,
    witness: &str,
    line: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    diesel::insert_into(s::table)
        .values((
            s::checkpoint_id.eq(checkpoint),
            s::witness.eq(witness),
            s::line.eq(line),
            s::at.eq(at),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map(drop)
        .map_err(|error| query_failed("log::insert_cosignature", error))
}

/// Finds the bytes of a full tile; level `None` for a bundle of entries.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_tile(
    conn: &mut AsyncPgConnection,
    level: Option<u8>,
    index: u64,
) -> Result<Option<Vec<u8>>> {
    t::table
        .find((level.map_or(ENTRIES, i16::from), signed(index)?))
        .select(t::bytes)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::find_tile", error))
}

/// Lists the roots of the full tiles of hashes of a level, from `first` on, `count` at most.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when a root is none.
pub async fn roots(
    conn: &mut AsyncPgConnection,
    level: u8,
    first: u64,
    count: u64,
) -> Result<Vec<[u8; 32]>> {
    let rows: Vec<(i64, Option<Vec<u8>>)> = t::table
        .filter(t::level.eq(i16::from(level)))
        .filter(t::index.ge(signed(first)?))
        .filter(t::index.lt(signed(first + count)?))
        .order(t::index)
        .select((t::index, t::root))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::roots", error))?;
    rows.into_iter()
        .map(|(index, root)| {
            root.and_then(|root| root.try_into().ok()).ok_or_else(|| Error::Corrupt {
                table: "log_tiles",
                column: "root",
                row: format!("{level}/{index}"),
            })
        })
        .collect()
}

/// Lists leaves by number, from `first` on, `count` at most, as their events' rows give them.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when a row does not make a leaf.
pub async fn leaves(conn: &mut AsyncPgConnection, first: u64, count: u64) -> Result<Vec<Leaf>> {
    let rows: Vec<LeafRow> = l::table
        .inner_join(e::table.on(e::id.eq(l::event_id)))
        .filter(l::index.ge(signed(first)?))
        .filter(l::index.lt(signed(first + count)?))
        .order(l::index)
        .select(LEAF)
        .load(conn)
        .await
        .map_err(|error| query_failed("log::leaves", error))?;
    rows.into_iter().map(LeafRow::decode).collect()
}

/// An event with everything that its receipt needs.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its leaf.
    pub leaf: Leaf,
    /// Its number in the log; `None` within the first second.
    pub index: Option<u64>,
    /// The application.
    pub application: Option<Uuid>,
    /// The command.
    pub command: Option<String>,
    /// The account that acted.
    pub actor: Option<Uuid>,
    /// Salt and private content; `None` once they are erased.
    pub opening: Option<([u8; SALT], String)>,
}

/// Finds an event with its secrets.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when the row does not make a leaf.
pub async fn find_entry(conn: &mut AsyncPgConnection, event: Uuid) -> Result<Option<Entry>> {
    let row: Option<EntryRow> = e::table
        .left_join(l::table.on(l::event_id.eq(e::id)))
        .filter(e::id.eq(event))
        .select((
            LEAF,
            l::index.nullable(),
            (e::actor_id, e::actor_role, e::application_id, e::command, e::from_state, e::to_state),
            (e::purpose, e::subjects, e::content, e::salt),
        ))
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::find_entry", error))?;
    row.map(EntryRow::decode).transpose()
}

type LeafColumns = (
    e::xact,
    e::id,
    e::at,
    e::kind,
    e::unit_code,
    e::track,
    e::workflow_version,
    e::seq,
    e::commitment,
    e::pseudonym,
);

const LEAF: LeafColumns = (
    e::xact,
    e::id,
    e::at,
    e::kind,
    e::unit_code,
    e::track,
    e::workflow_version,
    e::seq,
    e::commitment,
    e::pseudonym,
);

type Act = (Option<Uuid>, String, Option<Uuid>, Option<String>, Option<String>, Option<String>);

type Secrets = (Option<String>, Option<Vec<Uuid>>, Option<String>, Option<Vec<u8>>);

#[derive(Queryable)]
struct EntryRow {
    leaf: LeafRow,
    index: Option<i64>,
    act: Act,
    secrets: Secrets,
}

impl EntryRow {
    fn decode(self) -> Result<Entry> {
        let (actor, role, application, command, from, to) = self.act;
        let (purpose, subjects, content, salt) = self.secrets;
        let at = self.leaf.at;
        let leaf = self.leaf.decode()?;
        let opening = match (content, salt) {
            (Some(content), Some(salt)) => {
                let salt = salt.try_into().map_err(|_| Error::Corrupt {
                    table: "events",
                    column: "salt",
                    row: leaf.event.to_string(),
                })?;
                let private = Private {
                    event: leaf.event,
                    at,
                    actor,
                    role: &role,
                    application,
                    command: command.as_deref(),
                    from: from.as_deref(),
                    to: to.as_deref(),
                    purpose: purpose.as_deref(),
                    subjects: subjects.as_deref().unwrap_or_default(),
                    content: &content,
                };
                Some((salt, private.encode()))
            }
            _ => None,
        };
        let index = self.index.map(unsigned);
        Ok(Entry { leaf, index, application, command, actor, opening })
    }
}

/// Lets a connection see the log as it is now, whatever is appended, until [`thaw`].
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn freeze(conn: &mut AsyncPgConnection) -> Result<()> {
    conn.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .await
        .map_err(|error| query_failed("log::freeze", error))
}

/// Ends what [`freeze`] began.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn thaw(conn: &mut AsyncPgConnection) -> Result<()> {
    conn.batch_execute("COMMIT").await.map_err(|error| query_failed("log::thaw", error))
}

/// A row of the leaves, with its event.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The number.
    pub index: u64,
    /// The event that it is given to.
    pub event: Uuid,
    /// The event; `None` where there is no such row.
    pub entry: Option<Entry>,
}

/// Lists the rows of the leaves from the number `from` on, with their events: for who verifies.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when a row does not make a leaf.
pub async fn numbered(
    conn: &mut AsyncPgConnection,
    from: u64,
    limit: i64,
) -> Result<Vec<Numbered>> {
    let rows: Vec<(i64, Uuid, Option<EntryRow>)> = l::table
        .left_join(e::table.on(e::id.eq(l::event_id)))
        .filter(l::index.ge(signed(from)?))
        .order(l::index)
        .limit(limit)
        .select((
            l::index,
            l::event_id,
            (
                LEAF,
                l::index.nullable(),
                (
                    e::actor_id,
                    e::actor_role,
                    e::application_id,
                    e::command,
                    e::from_state,
                    e::to_state,
                ),
                (e::purpose, e::subjects, e::content, e::salt),
            )
                .nullable(),
        ))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::numbered", error))?;
    rows.into_iter()
        .map(|(index, event, entry)| {
            let entry = entry.map(EntryRow::decode).transpose()?;
            Ok(Numbered { index: unsigned(index), event, entry })
        })
        .collect()
}

/// Lists full tiles of a level, `None` for the bundles of entries, from `first` on, `count` at most, with their roots.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn tiles(
    conn: &mut AsyncPgConnection,
    level: Option<u8>,
    first: u64,
    count: u64,
) -> Result<Vec<(u64, Vec<u8>, Option<Vec<u8>>)>> {
    let rows: Vec<(i64, Vec<u8>, Option<Vec<u8>>)> = t::table
        .filter(t::level.eq(level.map_or(ENTRIES, i16::from)))
        .filter(t::index.ge(signed(first)?))
        .filter(t::index.lt(signed(first + count)?))
        .order(t::index)
        .select((t::index, t::bytes, t::root))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::tiles", error))?;
    Ok(rows.into_iter().map(|(index, bytes, root)| (unsigned(index), bytes, root)).collect())
}

/// Counts the full tiles of all levels.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn count_tiles(conn: &mut AsyncPgConnection) -> Result<u64> {
    t::table
        .count()
        .get_result(conn)
        .await
        .map(unsigned)
        .map_err(|error| query_failed("log::count_tiles", error))
}

/// Lists checkpoints in the order of their signing, after the number `after`.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn checkpoints(
    conn: &mut AsyncPgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<CheckpointRow>> {
    c::table
        .filter(c::id.gt(after))
        .order(c::id)
        .limit(limit)
        .load(conn)
        .await
        .map_err(|error| query_failed("log::checkpoints", error))
}

/// Lists what events in the log say that was erased: applications, and single events about none.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn erased(conn: &mut AsyncPgConnection) -> Result<Vec<Uuid>> {
    #[derive(serde::Deserialize)]
    struct Erased {
        #[serde(default)]
        receipts: Vec<Uuid>,
    }
    let rows: Vec<(Option<Uuid>, Option<String>)> = e::table
        .inner_join(l::table.on(l::event_id.eq(e::id)))
        .filter(e::kind.eq(ERASED))
        .select((e::application_id, e::content))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::erased", error))?;
    let mut erased = Vec::new();
    for (application, content) in rows {
        // One that does not read says nothing; what it should have said is then missing, and named.
        if let Some(Ok(content)) = content.as_deref().map(serde_json::from_str::<Erased>) {
            erased.extend(application);
            erased.extend(content.receipts);
        }
    }
    Ok(erased)
}

/// The kind of the event that tells of an erasure.
pub const ERASED: &str = "erased";

/// Finds an event without a number although the sequencer has taken what its transaction committed.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_unnumbered(conn: &mut AsyncPgConnection) -> Result<Option<Uuid>> {
    e::table
        .left_join(l::table.on(l::event_id.eq(e::id)))
        .filter(l::index.is_null())
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(
            "xact < (SELECT next_xact FROM log_position) AND xact <> ALL((SELECT open FROM log_position)::bigint[])",
        ))
        .order(e::id)
        .select(e::id)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::find_unnumbered", error))
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
