//! Verifies the log from the database: every event against its commitment, its leaf, its tiles, every checkpoint.
//!
//! Trusts no row: everything is computed anew from the events, in the order of their numbers, and what is kept is held
//! against it. Names the first thing that is broken. The replay of applications is [`crate::casework`]'s.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::edge::{Edge, FullTile};
use super::note::{self, VerifierKey};
use super::tile::{Level, WIDTH, bundle};
use super::tree;
use crate::domain::event::sealed;
use crate::error::{Error, Result};
use crate::storage::log::{self, CheckpointRow, Numbered};
use crate::storage::{Conn, Db};

/// Leaves that are looked at in one go: whole tiles.
const PAGE: u64 = 16 * WIDTH as u64;

/// Says what is broken first, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// What was verified when nothing is broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Leaves that were looked at, each with its event.
    pub leaves: u64,
    /// Of them those whose content was erased, by an event that says so.
    pub erased: u64,
    /// Checkpoints, each with its signature and its root.
    pub checkpoints: u64,
    /// Full tiles.
    pub tiles: u64,
}

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
) -> Result<std::result::Result<Verified, Broken>> {
    let mut conn = db.conn().await?;
    log::freeze(&mut conn).await?;
    let verified = verify_frozen(&mut conn, keys, known, trusted, progress).await;
    log::thaw(&mut conn).await?;
    verified
}

async fn verify_frozen(
    conn: &mut Conn,
    keys: &[VerifierKey],
    known: &[note::SignedCheckpoint],
    trusted: Option<&note::SignedCheckpoint>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<std::result::Result<Verified, Broken>> {
    let size = log::size(conn).await?;
    let outside: Vec<&note::SignedCheckpoint> = known.iter().chain(trusted).collect();
    let checkpoints = match checkpoints(conn, keys, &outside, size).await? {
        Ok(checkpoints) => checkpoints,
        Err(broken) => return Ok(Err(broken)),
    };
    let begin = trusted.map_or(0, |signed| signed.checkpoint.size);
    let edge = tree::edge(conn, begin).await?;
    let erased = log::erased(conn).await?.into_iter().collect();
    let verified = Verified { checkpoints: checkpoints.count, ..Verified::default() };
    let mut state = State { edge, checkpoints, erased, verified };
    if let Err(broken) = state.hold_roots() {
        return Ok(Err(broken));
    }
    let mut page = Page::load(conn, begin).await?;
    while let Some(current) = page {
        let next = end_of_page(state.edge.size());
        // The next page is fetched while this one is computed.
        let work = tokio::task::spawn_blocking(move || state.take(&current));
        let (done, fetched) = tokio::join!(work, Page::load(conn, next));
        state = match done.map_err(|error| Error::internal("verifying was interrupted", error))? {
            Ok(state) => state,
            Err(broken) => return Ok(Err(broken)),
        };
        progress(state.edge.size(), size);
        page = fetched?;
    }
    state.finish(conn).await
}

/// Roots that checkpoints claim, by size.
struct Claims {
    roots: HashMap<u64, Vec<(String, [u8; 32])>>,
    count: u64,
}

/// Reads every checkpoint and verifies its signature; `outside` are those that somebody kept elsewhere.
async fn checkpoints(
    conn: &mut Conn,
    keys: &[VerifierKey],
    outside: &[&note::SignedCheckpoint],
    size: u64,
) -> Result<std::result::Result<Claims, Broken>> {
    let mut claims = Claims { roots: HashMap::new(), count: 0 };
    for signed in outside {
        let checkpoint = &signed.checkpoint;
        if checkpoint.size > size {
            return Ok(Err(Broken(format!(
                "a checkpoint of {} leaves was signed and is kept outside, and the database has {size}: it was put \
                 back to an older state, or leaves were removed from its end",
                checkpoint.size
            ))));
        }
        let what = "the checkpoint that is kept outside the database".to_owned();
        claims.roots.entry(checkpoint.size).or_default().push((what, checkpoint.root));
    }
    let (mut after, mut last) = (0, 0);
    loop {
        let rows = log::checkpoints(conn, after, 1000).await?;
        if rows.is_empty() {
            return Ok(Ok(claims));
        }
        for row in rows {
            if row.id != after + 1 {
                return Ok(Err(Broken(format!(
                    "checkpoint {} is missing: the next one is {}",
                    after + 1,
                    row.id
                ))));
            }
            after = row.id;
            match claim(&row, keys, last, size) {
                Ok((of, root)) => {
                    last = of;
                    claims.count += 1;
                    let what = format!("checkpoint {} of {of} leaves", row.id);
                    let roots = claims.roots.entry(of).or_default();
                    if !roots.iter().any(|(_, known)| *known == root) {
                        roots.push((what, root));
                    }
                }
                Err(broken) => return Ok(Err(broken)),
            }
        }
    }
}

/// Verifies one checkpoint's row by itself; gives its size and root.
fn claim(
    row: &CheckpointRow,
    keys: &[VerifierKey],
    last: u64,
    size: u64,
) -> std::result::Result<(u64, [u8; 32]), Broken> {
    let broken = |what: String| Broken(format!("checkpoint {} {what}", row.id));
    let opened = note::open_checkpoint(&row.note, keys)
        .map_err(|error| broken(format!("is not signed by the log: {error}")))?;
    let at = u64::try_from(row.at.timestamp()).unwrap_or_default();
    if opened.signatures.iter().filter_map(|one| one.at).any(|signed| signed != at) {
        return Err(broken("has another time in its row than in its signature".to_owned()));
    }
    let signed = opened.checkpoint;
    if u64::try_from(row.size) != Ok(signed.size) || row.root != signed.root {
        return Err(broken(
            "has another size or root in its row than in its signed note".to_owned(),
        ));
    }
    if signed.size < last {
        return Err(broken(format!(
            "has {} leaves, fewer than the one before it ({last})",
            signed.size
        )));
    }
    if signed.size > size {
        return Err(broken(format!(
            "was signed for {} leaves, and there are {size}: leaves were removed from the end",
            signed.size
        )));
    }
    Ok((signed.size, signed.root))
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

/// A run of leaves and the tiles that are kept of it.
struct Page {
    rows: Vec<Numbered>,
    bundles: HashMap<u64, KeptBundle>,
    hashes: HashMap<(u8, u64), KeptTile>,
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
    /// Loads the run from the leaf `from` on; `None` when there is none.
    async fn load(conn: &mut Conn, from: u64) -> Result<Option<Self>> {
        let end = end_of_page(from);
        let limit = i64::try_from(end - from).unwrap_or(i64::MAX);
        let rows = log::numbered(conn, from, limit).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let width = u64::from(WIDTH);
        let (first, count) = (from / width, end / width - from / width);
        let mut hashes = HashMap::new();
        let (mut level, mut first_of, mut count_of) = (0_u8, first, count);
        while count_of > 0 {
            for (index, bytes, root) in log::tiles(conn, Some(level), first_of, count_of).await? {
                hashes.insert((level, index), (bytes, root));
            }
            // The tiles above that become full within this run.
            level += 1;
            let end = (first_of + count_of) / width;
            first_of /= width;
            count_of = end - first_of;
        }
        let bundles = log::tiles(conn, None, first, count).await?;
        let bundles =
            bundles.into_iter().map(|(index, bytes, _)| (index, KeptBundle::new(bytes))).collect();
        Ok(Some(Self { rows, bundles, hashes }))
    }
}

impl Page {
    /// Holds a leaf against the bundle that is kept of it, if there is one already.
    fn hold_leaf(&self, number: u64, leaf: &[u8]) -> std::result::Result<(), Broken> {
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
}

struct State {
    edge: Edge,
    checkpoints: Claims,
    /// Applications, and events about none.
    erased: HashSet<Uuid>,
    verified: Verified,
}

impl State {
    /// Takes a run of leaves in.
    fn take(mut self, page: &Page) -> std::result::Result<Self, Broken> {
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
                Self::hold_tile(page, &tile)?;
            }
            self.verified.leaves += 1;
            self.hold_roots()?;
        }
        Ok(self)
    }

    /// Gives the leaf that an event's row makes, once the row agrees with its commitment.
    fn leaf(&mut self, row: &Numbered) -> std::result::Result<Vec<u8>, Broken> {
        let Numbered { index, event, entry } = row;
        let Some(entry) = entry else {
            return Err(Broken(format!("leaf {index}: its event {event} is missing")));
        };
        match &entry.opening {
            Some((salt, private)) => {
                if sealed::commitment(salt, private) != entry.leaf.commitment {
                    return Err(Broken(format!(
                        "leaf {index}: the event {event} is not what its commitment was made from"
                    )));
                }
                let pseudonym = entry.application.map(|id| sealed::pseudonym(salt, id));
                if pseudonym != entry.leaf.pseudonym {
                    return Err(Broken(format!(
                        "leaf {index}: the event {event} has another application's pseudonym"
                    )));
                }
            }
            None if self.erased.contains(&entry.application.unwrap_or(*event)) => {
                self.verified.erased += 1;
            }
            None => {
                return Err(Broken(format!(
                    "leaf {index}: the content of the event {event} is missing, and no event says that it was erased"
                )));
            }
        }
        Ok(entry.leaf.encode())
    }

    /// Holds a tile that is full now against the one that is kept.
    fn hold_tile(page: &Page, tile: &FullTile) -> std::result::Result<(), Broken> {
        let index = tile.index;
        match tile.level {
            Level::Entries => {
                let Some(kept) = page.bundles.get(&index) else {
                    return Err(Broken(format!("the bundle of entries {index} is missing")));
                };
                if kept.bytes == tile.bytes {
                    return Ok(());
                }
                Err(Broken(format!("the bundle of entries {index} holds more than its leaves")))
            }
            Level::Hashes(level) => {
                let Some((bytes, root)) = page.hashes.get(&(level, index)) else {
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

    /// Holds the tree as it is now against the checkpoints of its size.
    fn hold_roots(&mut self) -> std::result::Result<(), Broken> {
        let Some(claims) = self.checkpoints.roots.remove(&self.edge.size()) else { return Ok(()) };
        let root = self.edge.root();
        match claims.iter().find(|(_, claimed)| *claimed != root) {
            None => Ok(()),
            Some((what, _)) => Err(Broken(format!(
                "{what} was signed for another tree than the first {} events make",
                self.edge.size()
            ))),
        }
    }

    /// Looks for what no leaf leads to.
    async fn finish(mut self, conn: &mut Conn) -> Result<std::result::Result<Verified, Broken>> {
        if let Err(broken) = self.hold_roots() {
            return Ok(Err(broken));
        }
        let tiles = log::count_tiles(conn).await?;
        self.verified.tiles = full_tiles(self.edge.size());
        if tiles != self.verified.tiles {
            return Ok(Err(Broken(format!(
                "there are {tiles} full tiles, and a tree of {} leaves has {}",
                self.edge.size(),
                self.verified.tiles
            ))));
        }
        if let Some(event) = log::find_unnumbered(conn).await? {
            return Ok(Err(Broken(format!(
                "the event {event} is committed and has no number in the log"
            ))));
        }
        Ok(Ok(self.verified))
    }
}
