//! Verifies the log from the database: every event against its commitment, its leaf, its tiles, every checkpoint.
//!
//! Trusts no row: everything is computed anew from the events, in the order of their numbers, and what is kept is held
//! against it. Names the first thing that is broken. The replay of applications is [`crate::casework`]'s.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::edge::{Edge, FullTile};
use super::note::{self, VerifierKey};
use super::tile::{Level, WIDTH, bundle};
use super::tree;
use crate::domain::event::sealed;
use crate::domain::fee::ledger::MONEY_EVENTS;
use crate::error::{Error, Result};
use crate::storage::log::inspection::{self as rows, Erased, Numbered};
use crate::storage::log::{self, CheckpointRow};
use crate::storage::{Conn, Db};

/// Leaves that are looked at in one go: whole tiles.
const PAGE: u64 = 16 * WIDTH as u64;

/// How long before the last checkpoint an event may have happened that it does not contain: as long as a transaction
/// may take to commit, with much to spare.
const LATE: i64 = 3600;

/// How far the clocks of two processes may lie apart, in seconds.
const SKEW: i64 = 60;

/// Says what is broken first, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// What was verified when nothing is broken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Leaves that were looked at, each with its event.
    pub leaves: u64,
    /// Of them those whose content was erased, by an event that says so.
    pub erased: u64,
    /// Checkpoints, each with its signature and its root.
    pub checkpoints: u64,
    /// Full tiles.
    pub tiles: u64,
    /// The latest checkpoint that was verified: what can be trusted the next time.
    pub note: Option<String>,
}

type Found<T> = std::result::Result<T, Broken>;

/// Verifies the whole log of a database, as it is at this moment, with the keys that ever signed it.
///
/// `known` are checkpoints that somebody kept elsewhere; from the one of `trusted`, which somebody verified before, only
/// what came after it is looked at. `progress` is told how many of how many leaves are done, about every page.
///
/// # Errors
/// The outer error is the database's; the inner one what is broken.
pub async fn verify(
    db: &Db,
    keys: &[VerifierKey],
    known: &[note::SignedCheckpoint],
    trusted: Option<&note::SignedCheckpoint>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Found<Verified>> {
    let mut conn = db.conn().await?;
    rows::freeze(&mut conn).await?;
    let verified = verify_frozen(&mut conn, keys, known, trusted, progress).await;
    rows::thaw(&mut conn).await?;
    verified
}

async fn verify_frozen(
    conn: &mut Conn,
    keys: &[VerifierKey],
    known: &[note::SignedCheckpoint],
    trusted: Option<&note::SignedCheckpoint>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Found<Verified>> {
    let size = log::size(conn).await?;
    let outside: Vec<&note::SignedCheckpoint> = known.iter().chain(trusted).collect();
    if let Some(beyond) = outside.iter().find(|signed| signed.checkpoint.size > size) {
        return Ok(Err(Broken(format!(
            "a checkpoint of {} leaves was signed and is kept outside, and the database has {size}: it was put back to an \
             older state, or leaves were removed from its end",
            beyond.checkpoint.size
        ))));
    }
    let begin = trusted.map_or(0, |signed| signed.checkpoint.size);
    let mut loader = Loader::begin(conn, begin).await?;
    let mut state = State {
        size,
        keys: keys.to_vec(),
        edge: tree::edge(loader.conn, begin).await?,
        outside: outside.iter().map(|it| (it.checkpoint.size, it.checkpoint.root)).collect(),
        claims: VecDeque::new(),
        last: None,
        newest: i64::MIN,
        erased: HashMap::new(),
        verified: Verified::default(),
    };
    for Erased { by, what } in rows::erased(loader.conn).await? {
        state.erased.extend(what.into_iter().map(|id| (id, by)));
    }
    let mut page = loader.page(begin).await?;
    loop {
        let ended = page.rows.is_empty();
        let next = end_of_page(state.edge.size());
        // The next page is fetched while this one is computed.
        let work = tokio::task::spawn_blocking(move || state.take(&page));
        let (done, fetched) = tokio::join!(work, loader.page(next));
        state = match done.map_err(|error| Error::internal("verifying was interrupted", error))? {
            Ok(state) => state,
            Err(broken) => return Ok(Err(broken)),
        };
        page = fetched?;
        if ended {
            return state.finish(loader.conn).await;
        }
        progress(state.edge.size(), size);
    }
}

/// Gives where the run of leaves that contains a place ends.
const fn end_of_page(from: u64) -> u64 {
    from - from % PAGE + PAGE
}

/// Counts the full tiles that a tree has.
fn full_tiles(size: u64) -> u64 {
    let width = u64::from(WIDTH);
    let hashes = std::iter::successors(Some(size / width), |full| Some(full / width));
    size / width + hashes.take_while(|full| *full > 0).sum::<u64>()
}

/// Reads runs of leaves with what is kept of them, and the checkpoints beside them.
struct Loader<'a> {
    conn: &'a mut Conn,
    /// The number of the last checkpoint that was read, and its size.
    read: (i64, u64),
}

impl<'a> Loader<'a> {
    /// Begins at the first checkpoint of a size.
    async fn begin(conn: &'a mut Conn, size: u64) -> Result<Self> {
        let first = match size {
            0 => None,
            _ => rows::first_checkpoint(conn, size).await?,
        };
        Ok(Self { conn, read: (first.unwrap_or(1) - 1, 0) })
    }

    /// Reads the run from the leaf `from` on, empty after the last one.
    async fn page(&mut self, from: u64) -> Result<Page> {
        let end = end_of_page(from);
        let limit = i64::try_from(end - from).unwrap_or(i64::MAX);
        let conn = &mut *self.conn;
        let rows = rows::numbered(conn, from, limit).await?;
        let width = u64::from(WIDTH);
        let (first, count) = (from / width, end / width - from / width);
        let mut hashes = HashMap::new();
        let (mut level, mut first_of, mut count_of) = (0_u8, first, count);
        while count_of > 0 {
            for (index, bytes, root) in rows::tiles(conn, Some(level), first_of, count_of).await? {
                hashes.insert((level, index), (bytes, root));
            }
            // The tiles above that become full within this run.
            level += 1;
            let end = (first_of + count_of) / width;
            first_of /= width;
            count_of = end - first_of;
        }
        let bundles = rows::tiles(conn, None, first, count).await?;
        let bundles =
            bundles.into_iter().map(|(index, bytes, _)| (index, KeptBundle::new(bytes))).collect();
        let checkpoints = self.checkpoints(end).await?;
        Ok(Page { rows, bundles, hashes, checkpoints })
    }

    /// Reads on until a checkpoint is beyond `end`.
    async fn checkpoints(&mut self, end: u64) -> Result<Vec<CheckpointRow>> {
        let mut all = Vec::new();
        while self.read.1 <= end {
            let rows = rows::checkpoints(self.conn, self.read.0, 1000).await?;
            let Some(last) = rows.last() else { break };
            self.read = (last.id, u64::try_from(last.size).unwrap_or(u64::MAX));
            all.extend(rows);
        }
        Ok(all)
    }
}

/// A run of leaves and what is kept of it.
struct Page {
    rows: Vec<Numbered>,
    bundles: HashMap<u64, KeptBundle>,
    hashes: HashMap<(u8, u64), KeptTile>,
    checkpoints: Vec<CheckpointRow>,
}

/// The bytes of a kept bundle, and where in them its leaves are.
struct KeptBundle {
    bytes: Vec<u8>,
    leaves: Vec<std::ops::Range<usize>>,
}

impl KeptBundle {
    fn new(bytes: Vec<u8>) -> Self {
        let mut leaves = Vec::with_capacity(usize::from(WIDTH));
        let mut end = 0;
        // What follows the first wrong length is no leaf: the leaves that it should hold are then missed.
        for leaf in bundle::entries(&bytes).map_while(std::result::Result::ok) {
            let start = end + 2;
            end = start + leaf.len();
            leaves.push(start..end);
        }
        Self { bytes, leaves }
    }
}

/// The bytes and the root of a kept tile.
type KeptTile = (Vec<u8>, Option<Vec<u8>>);

impl Page {
    /// Holds a leaf against the bundle that is kept of it, if there is one already.
    fn hold_leaf(&self, number: u64, leaf: &[u8]) -> Found<()> {
        let width = u64::from(WIDTH);
        let Some(kept) = self.bundles.get(&(number / width)) else { return Ok(()) };
        let place = usize::try_from(number % width).unwrap_or_default();
        let range = kept.leaves.get(place).cloned().unwrap_or_default();
        if kept.bytes.get(range) == Some(leaf) {
            return Ok(());
        }
        Err(Broken(format!(
            "leaf {number}: its event's row makes another leaf than the bundle of entries {} holds",
            number / width
        )))
    }

    /// Holds a tile that is full now against the one that is kept.
    fn hold_tile(&self, tile: &FullTile) -> Found<()> {
        let index = tile.index;
        match tile.level {
            Level::Entries => {
                let Some(kept) = self.bundles.get(&index) else {
                    return Err(Broken(format!("the bundle of entries {index} is missing")));
                };
                if kept.bytes == tile.bytes {
                    return Ok(());
                }
                Err(Broken(format!("the bundle of entries {index} holds more than its leaves")))
            }
            Level::Hashes(level) => {
                let Some((bytes, root)) = self.hashes.get(&(level, index)) else {
                    return Err(Broken(format!("the tile {index} of level {level} is missing")));
                };
                if *bytes != tile.bytes {
                    return Err(Broken(format!(
                        "the tile {index} of level {level} does not hold the hashes of what is under it"
                    )));
                }
                if root.as_deref() != tile.root.as_ref().map(|root| &root[..]) {
                    return Err(Broken(format!(
                        "the tile {index} of level {level} has another root than its hashes make"
                    )));
                }
                Ok(())
            }
        }
    }
}

/// A checkpoint whose signature is verified; its root is not yet.
struct Claim {
    id: i64,
    size: u64,
    root: [u8; 32],
    at: DateTime<Utc>,
    note: String,
}

struct State {
    size: u64,
    keys: Vec<VerifierKey>,
    edge: Edge,
    /// Roots that somebody kept elsewhere, by size.
    outside: HashMap<u64, [u8; 32]>,
    /// Checkpoints of the size that the tree has now, or larger, in order.
    claims: VecDeque<Claim>,
    /// The last checkpoint that was taken in: number, size and time.
    last: Option<(i64, u64, DateTime<Utc>)>,
    /// When the newest event since then happened, in seconds.
    newest: i64,
    /// What an event says that it erased, and the number of that event.
    erased: HashMap<Uuid, u64>,
    verified: Verified,
}

impl State {
    /// Takes a run of leaves in.
    fn take(mut self, page: &Page) -> Found<Self> {
        for row in &page.checkpoints {
            let claim = self.claim(row)?;
            self.claims.push_back(claim);
        }
        self.hold_roots()?;
        for row in &page.rows {
            let expected = self.edge.size();
            if row.index != expected {
                return Err(Broken(format!(
                    "leaf {expected} is missing: the next one is {}",
                    row.index
                )));
            }
            let leaf = self.leaf(row)?;
            page.hold_leaf(expected, &leaf)?;
            let mut full = Vec::new();
            self.edge
                .push(leaf, &mut full)
                .map_err(|error| Broken(format!("leaf {expected}: {error}")))?;
            for tile in full {
                page.hold_tile(&tile)?;
            }
            self.verified.leaves += 1;
            self.hold_roots()?;
        }
        Ok(self)
    }

    /// Verifies one checkpoint's row by itself and against the one before it.
    fn claim(&self, row: &CheckpointRow) -> Found<Claim> {
        let broken = |what: String| Broken(format!("checkpoint {} {what}", row.id));
        let before = self.claims.back().map(|one| (one.id, one.size));
        if let Some((id, size)) = before.or(self.last.map(|(id, size, _)| (id, size))) {
            if row.id != id + 1 {
                return Err(Broken(format!(
                    "checkpoint {} is missing: the next one is {}",
                    id + 1,
                    row.id
                )));
            }
            if u64::try_from(row.size).is_ok_and(|now| now < size) {
                let what =
                    format!("has {} leaves, fewer than the one before it ({size})", row.size);
                return Err(broken(what));
            }
        } else if self.edge.size() == 0 && row.id != 1 {
            return Err(Broken(format!("checkpoint 1 is missing: the next one is {}", row.id)));
        }
        let opened = note::open_checkpoint(&row.note, &self.keys)
            .map_err(|error| broken(format!("is not signed by the log: {error}")))?;
        let at = u64::try_from(row.at.timestamp()).unwrap_or_default();
        if opened.signatures.iter().filter_map(|one| one.at).any(|signed| signed != at) {
            return Err(broken("has another time in its row than in its signature".to_owned()));
        }
        let signed = opened.checkpoint;
        if u64::try_from(row.size) != Ok(signed.size) || row.root != signed.root {
            let what = "has another size or root in its row than in its signed note";
            return Err(broken(what.to_owned()));
        }
        if signed.size > self.size {
            return Err(broken(format!(
                "was signed for {} leaves, and there are {}: leaves were removed from the end",
                signed.size, self.size
            )));
        }
        let note = row.note.clone();
        Ok(Claim { id: row.id, size: signed.size, root: signed.root, at: row.at, note })
    }

    /// Gives the leaf that an event's row makes, once the row agrees with its commitment and its time with its place.
    fn leaf(&mut self, row: &Numbered) -> Found<Vec<u8>> {
        let Numbered { index, event, entry } = row;
        let broken = |what: &str| Broken(format!("leaf {index}: the event {event} {what}"));
        let Some(entry) = entry else {
            return Err(Broken(format!("leaf {index}: its event {event} is missing")));
        };
        match &entry.opening {
            Some((salt, private)) => {
                if sealed::commitment(salt, private) != entry.leaf.commitment {
                    return Err(broken("is not what its commitment was made from"));
                }
                let pseudonym = entry.application.map(|id| sealed::pseudonym(salt, id));
                if pseudonym != entry.leaf.pseudonym {
                    return Err(broken("has another application's pseudonym"));
                }
            }
            None => {
                // Of events about no application, erasure takes those about money alone.
                let may_go =
                    entry.application.is_some() || MONEY_EVENTS.contains(&entry.leaf.kind.as_str());
                let by = self.erased.get(&entry.application.unwrap_or(*event));
                if !may_go || by.is_none_or(|by| by <= index) {
                    return Err(Broken(format!(
                        "leaf {index}: the content of the event {event} is missing, and no event says that it was erased"
                    )));
                }
                self.verified.erased += 1;
            }
        }
        let at = entry.leaf.at;
        let (seconds, _) = event.get_timestamp().map_or((0, 0), |time| time.to_unix());
        if i64::try_from(seconds) != Ok(at) {
            return Err(broken("has an id that was not made when it happened"));
        }
        if let Some((id, _, checkpoint)) = self.last
            && at < checkpoint.timestamp() - LATE
        {
            return Err(broken(&format!(
                "is dated {}, long before checkpoint {id}, which does not contain it",
                DateTime::<Utc>::from_timestamp(at, 0).unwrap_or_default()
            )));
        }
        self.newest = self.newest.max(at);
        Ok(entry.leaf.encode())
    }

    /// Holds the tree as it is now against the checkpoints of its size.
    fn hold_roots(&mut self) -> Found<()> {
        let size = self.edge.size();
        let claimed = self.claims.front().is_some_and(|one| one.size == size);
        let outside = self.outside.remove(&size);
        if !claimed && outside.is_none() {
            return Ok(());
        }
        let root = self.edge.root();
        let other = |what: String| {
            Broken(format!("{what} was signed for another tree than the first {size} events make"))
        };
        if outside.is_some_and(|kept| kept != root) {
            return Err(other("the checkpoint that is kept outside the database".to_owned()));
        }
        while let Some(claim) = self.claims.front().filter(|one| one.size == size) {
            if claim.root != root {
                return Err(other(format!("checkpoint {} of {size} leaves", claim.id)));
            }
            if self.newest > claim.at.timestamp() + SKEW {
                return Err(Broken(format!(
                    "checkpoint {} contains an event that is dated after it",
                    claim.id
                )));
            }
            self.last = Some((claim.id, size, claim.at));
            self.verified.checkpoints += 1;
            self.verified.note = self.claims.pop_front().map(|one| one.note);
        }
        Ok(())
    }

    /// Looks for what no leaf leads to.
    async fn finish(mut self, conn: &mut Conn) -> Result<Found<Verified>> {
        let tiles = rows::count_tiles(conn).await?;
        self.verified.tiles = full_tiles(self.edge.size());
        if tiles != self.verified.tiles {
            return Ok(Err(Broken(format!(
                "there are {tiles} full tiles, and a tree of {} leaves has {}",
                self.edge.size(),
                self.verified.tiles
            ))));
        }
        if let Some(event) = rows::find_unnumbered(conn).await? {
            return Ok(Err(Broken(format!(
                "the event {event} is committed and has no number in the log"
            ))));
        }
        if let Some(what) = rows::find_unfounded(conn).await? {
            return Ok(Err(Broken(what)));
        }
        Ok(Ok(self.verified))
    }
}
