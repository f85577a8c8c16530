//! The tables of the transparency log, as they are read: leaves, tiles, checkpoints, cosignatures.
//!
//! One writes them ([`LogWriter`]), everybody reads, and who verifies looks at all of it ([`inspection`]). The tree's
//! mathematics is in [`crate::audit`]; here are rows.

pub mod inspection;
mod writer;

use chrono::{DateTime, Utc};
use diesel::prelude::{
    ExpressionMethods as _, JoinOnDsl as _, NullableExpressionMethods as _, OptionalExtension as _,
    QueryDsl as _, Queryable, QueryableByName,
};
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use super::query_failed;
use super::schema::{
    events as e, log_checkpoints as c, log_cosignatures as s, log_leaves as l, log_tiles as t,
};
pub use writer::{LogWriter, NewTile, Pending, Position};

use crate::domain::event::leaf::Leaf;
use crate::domain::event::sealed::{Private, SALT};
use crate::error::{Error, Result};

/// The level under which bundles of entries are kept.
const ENTRIES: i16 = -1;

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
/// While new ones follow one another faster than witnesses answer, the latest that one has cosigned is served for up to
/// a second instead of the very latest.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_published(conn: &mut AsyncPgConnection) -> Result<Option<CheckpointRow>> {
    let Some(latest) = find_latest(conn).await? else { return Ok(None) };
    let since = latest.at - chrono::TimeDelta::seconds(1);
    let cosigned = find_cosigned(conn).await?.filter(|row| row.at >= since);
    with_cosignatures(conn, cosigned.unwrap_or(latest)).await.map(Some)
}

/// Finds the checkpoint for a proof of the leaf `index`: the latest that a witness has cosigned, if it covers the leaf,
/// else the latest.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_covering(
    conn: &mut AsyncPgConnection,
    index: u64,
) -> Result<Option<CheckpointRow>> {
    let covers = |row: &CheckpointRow| unsigned(row.size) > index;
    let row = match find_cosigned(conn).await?.filter(covers) {
        Some(row) => Some(row),
        None => find_latest(conn).await?.filter(covers),
    };
    match row {
        Some(row) => with_cosignatures(conn, row).await.map(Some),
        None => Ok(None),
    }
}

/// Finds the latest checkpoint that a witness has cosigned.
async fn find_cosigned(conn: &mut AsyncPgConnection) -> Result<Option<CheckpointRow>> {
    let failed = |error| query_failed("log::find_cosigned", error);
    let latest: Option<i64> =
        s::table.select(diesel::dsl::max(s::checkpoint_id)).first(conn).await.map_err(failed)?;
    match latest {
        Some(id) => c::table.find(id).first(conn).await.optional().map_err(failed),
        None => Ok(None),
    }
}

async fn with_cosignatures(
    conn: &mut AsyncPgConnection,
    mut row: CheckpointRow,
) -> Result<CheckpointRow> {
    for line in cosignatures(conn, row.id).await? {
        row.note.push_str(&line);
    }
    Ok(row)
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
