//! Checks a whole log from its files alone: no database, and no trust in who serves them.
//!
//! Every leaf is parsed as a [`Leaf`], hashed and compared with its tile; every full tile's root with the tile above;
//! the root over all with the checkpoint that the log signed. From a checkpoint that was verified before, only what
//! came after it is read: the tiles must lead to its root, and on to the new one.

use std::sync::mpsc::{Receiver, sync_channel};

use super::merkle::{Frontier, FrontierError, Hash, empty_root, leaf_hash, row_root};
use super::note::{self, NoteError, SignedCheckpoint, VerifierKey};
use super::source::{self, Source, SourceError};
use super::tile::{HEIGHT, Level, Tile, TileBytesError, WIDTH, bundle, hashes};
use crate::domain::event::leaf::{Leaf, LeafError};

/// How many rows each reader may be ahead of the one who puts them together.
const AHEAD: usize = 4;

/// What a verification found: everything in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint up to which the log was verified.
    pub signed: SignedCheckpoint,
    /// Its note, to be trusted the next time.
    pub note: String,
    /// How many leaves were vouched for by the trusted checkpoint, and not read again.
    pub trusted: u64,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many leaves were read and verified.
    pub read: u64,
    /// How many are to be read.
    pub of: u64,
}

/// The first thing that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A file could not be read, which proves nothing for or against the log.
    #[error(transparent)]
    Unreadable(#[from] SourceError),
    /// The checkpoint is none, or not signed as it must be.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// The trusted checkpoint is that of another log.
    #[error("checkpoint: it is of {found}, and the trusted one of {trusted}")]
    OtherLog {
        /// Whose the trusted checkpoint is.
        trusted: String,
        /// Whose the new one is.
        found: String,
    },
    /// The log has become shorter.
    #[error(
        "checkpoint: the log went back from {trusted} leaves, which it once signed, to {found}"
    )]
    RolledBack {
        /// The trusted checkpoint's size.
        trusted: u64,
        /// The new one's.
        found: u64,
    },
    /// The log does not begin with what it once signed.
    #[error(
        "checkpoint: the log is not a continuation of the trusted checkpoint: its first {size} leaves have another root now"
    )]
    Forked {
        /// The trusted checkpoint's size.
        size: u64,
    },
    /// A tile or bundle of the log is not there.
    #[error("{}: it is missing", named(.0))]
    Missing(Tile),
    /// A tile has too few or too many bytes.
    #[error("tile {0}")]
    TileBytes(#[from] TileBytesError),
    /// A bundle does not come apart.
    #[error("{}: {error}", named(.tile))]
    Bundle {
        /// The bundle.
        tile: Tile,
        /// Why.
        error: bundle::BundleError,
    },
    /// A bundle has too few or too many leaves.
    #[error("{}: it has {found} leaves where it must have {}", named(.tile), .tile.width())]
    Leaves {
        /// The bundle.
        tile: Tile,
        /// How many leaves it has.
        found: usize,
    },
    /// A leaf is not of the form.
    #[error("{}, leaf {index}: {error}", named(.tile))]
    Leaf {
        /// The bundle.
        tile: Tile,
        /// The leaf's index in the log.
        index: u64,
        /// Why.
        error: LeafError,
    },
    /// A leaf is not the one whose hash stands in the tree.
    #[error("{}, leaf {index}: it is not the leaf whose hash stands in {above}", named(.tile))]
    LeafHash {
        /// The bundle.
        tile: Tile,
        /// The leaf's index in the log.
        index: u64,
        /// The tile of hashes.
        above: Tile,
    },
    /// A tile is not the one whose root stands above it.
    #[error("tile {tile}: its root is not hash {place} of {above}")]
    Node {
        /// The tile.
        tile: Tile,
        /// The tile that should hold its root.
        above: Tile,
        /// The root's place there, from 0.
        place: usize,
    },
    /// The leaves and tiles agree with one another and not with the checkpoint.
    #[error("checkpoint: the root it signs is not that of the log's {size} leaves")]
    Root {
        /// The checkpoint's size.
        size: u64,
    },
    /// Ours.
    #[error("the verification itself failed: {0}")]
    Failed(&'static str),
}

impl From<FrontierError> for Broken {
    fn from(_: FrontierError) -> Self {
        Self::Failed("subtrees do not fit together")
    }
}

/// Names a tile or bundle as a person would.
fn named(tile: &Tile) -> String {
    match tile.level() {
        Level::Entries => format!("entry bundle {tile}"),
        Level::Hashes(_) => format!("tile {tile}"),
    }
}

/// Verifies the log in `source` with the keys of the log (and of witnesses) that are trusted, from a checkpoint that
/// was verified before, or from the beginning. Calls `progress` after each bundle.
///
/// # Errors
/// [`Broken`] names the first thing that is not as it should be.
pub fn verify(
    source: &dyn Source,
    keys: &[VerifierKey],
    trusted: Option<&SignedCheckpoint>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Broken> {
    let note = source::checkpoint(source)?;
    let signed = note::open_checkpoint(&note, keys)?;
    let (size, root) = (signed.checkpoint.size, signed.checkpoint.root);
    let (old, old_root) = match trusted.map(|trusted| &trusted.checkpoint) {
        Some(trusted) if trusted.origin != signed.checkpoint.origin => {
            let (trusted, found) = (trusted.origin.clone(), signed.checkpoint.origin);
            return Err(Broken::OtherLog { trusted, found });
        }
        Some(trusted) => (trusted.size, trusted.root),
        None => (0, empty_root()),
    };
    if size < old {
        return Err(Broken::RolledBack { trusted: old, found: size });
    }
    if size == old && root != old_root {
        return Err(if size == 0 { Broken::Root { size } } else { Broken::Forked { size } });
    }
    let mut tree = Tree::begin(source, old, size)?;
    tree.check_trusted(old, &old_root)?;
    let mut told = |read: u64| progress(Progress { read, of: size - old });
    told(0);
    if old < size {
        rows(source, tree.frontier.size(), size, |row| {
            tree.append(&row, old, &old_root)?;
            told(tree.frontier.size().saturating_sub(old));
            Ok(())
        })?;
        if tree.frontier.root() != root {
            return Err(Broken::Root { size });
        }
    }
    Ok(Report { signed, note, trusted: old })
}

/// Fetches a tile or bundle that a log of this size must have.
fn fetch(source: &dyn Source, tile: Tile) -> Result<Vec<u8>, Broken> {
    source::tile(source, tile)?.ok_or(Broken::Missing(tile))
}

/// The verified beginning of a tree, and the tiles above the leaves that are being filled.
struct Tree<'a> {
    source: &'a dyn Source,
    size: u64,
    frontier: Frontier,
    /// Level 1 first.
    levels: Vec<Filling>,
}

/// A tile above the leaves of which some hashes were verified.
#[derive(Default)]
struct Filling {
    /// How many hashes of this level were verified, from the first.
    done: u64,
    /// What the log has for the tile that holds the next one.
    tile: Option<(Tile, Vec<Hash>)>,
}

impl<'a> Tree<'a> {
    /// Takes from the log's tiles what is needed to go on after the last whole bundle of its first `old` leaves.
    fn begin(source: &'a dyn Source, old: u64, size: u64) -> Result<Self, Broken> {
        let wide = u64::from(WIDTH);
        let base = old / wide * wide;
        let mut levels: Vec<Filling> = Vec::new();
        let mut done = base / wide;
        while done > 0 {
            levels.push(Filling { done, tile: None });
            done /= wide;
        }
        let mut tree = Self { source, size, frontier: Frontier::new(), levels };
        for level in (1..=tree.levels.len()).rev() {
            let done = tree.levels[level - 1].done;
            let place = usize::try_from(done % wide).unwrap_or(0);
            if place == 0 {
                continue;
            }
            let (tile, row) = tree.fetch(level, done / wide)?;
            for hash in &row[..place.min(row.len())] {
                tree.frontier.push_subtree(shift(level), *hash)?;
            }
            tree.levels[level - 1].tile = Some((tile, row));
        }
        Ok(tree)
    }

    fn fetch(&self, level: usize, index: u64) -> Result<(Tile, Vec<Hash>), Broken> {
        let level = u8::try_from(level).map_err(|_| Broken::Failed("too many levels"))?;
        let tile = Tile::full(Level::Hashes(level), index)
            .and_then(|tile| tile.at_size(self.size))
            .ok_or(Broken::Failed("a tile outside the tree"))?;
        Ok((tile, hashes(tile, &fetch(self.source, tile)?)?))
    }

    /// Compares the root with the trusted one, where the tree has just as many leaves.
    fn check_trusted(&self, old: u64, old_root: &Hash) -> Result<(), Broken> {
        if self.frontier.size() == old && self.frontier.root() != *old_root {
            return Err(Broken::Forked { size: old });
        }
        Ok(())
    }

    /// Appends the leaves of one bundle.
    fn append(&mut self, row: &Row, old: u64, old_root: &Hash) -> Result<(), Broken> {
        let Some(root) = row.root.filter(|_| self.frontier.size() >= old) else {
            for hash in &row.hashes {
                self.frontier.push(*hash);
                self.check_trusted(old, old_root)?;
            }
            return row.root.map_or(Ok(()), |root| self.climb(row.tile, root));
        };
        self.frontier.push_subtree(HEIGHT, root)?;
        self.climb(row.tile, root)
    }

    /// Compares the root of a full tile with the tile above, and so on where that is full too.
    fn climb(&mut self, mut below: Tile, mut root: Hash) -> Result<(), Broken> {
        for level in 1.. {
            if self.levels.len() < level {
                self.levels.push(Filling::default());
            }
            let done = self.levels[level - 1].done;
            let place = usize::try_from(done % u64::from(WIDTH)).unwrap_or(0);
            let (above, row) = match self.levels[level - 1].tile.take() {
                Some(kept) => kept,
                None => self.fetch(level, done / u64::from(WIDTH))?,
            };
            if row.get(place) != Some(&root) {
                return Err(Broken::Node { tile: below, above, place });
            }
            let filling = &mut self.levels[level - 1];
            filling.done += 1;
            if place + 1 < usize::from(WIDTH) {
                filling.tile = Some((above, row));
                break;
            }
            root = row_root(&row).ok_or(Broken::Failed("a full tile is not full"))?;
            below = above;
        }
        Ok(())
    }
}

/// Gives the binary logarithm of the leaves below each hash of a tile at this level.
fn shift(level: usize) -> u32 {
    u32::try_from(level).unwrap_or(u32::MAX).saturating_mul(HEIGHT)
}

/// One bundle: its leaves' hashes, each compared with its tile.
struct Row {
    /// The tile of hashes.
    tile: Tile,
    hashes: Vec<Hash>,
    /// The root over them, of a full tile.
    root: Option<Hash>,
}

/// Reads the bundles from leaf `from`, the first of one, up to `size`, several at a time, and hands them on in order.
fn rows(
    source: &dyn Source,
    from: u64,
    size: u64,
    mut take: impl FnMut(Row) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let wide = u64::from(WIDTH);
    let (first, end) = (from / wide, size.div_ceil(wide));
    let readers = usize::try_from(end - first).unwrap_or(usize::MAX).min(source.at_once().max(1));
    std::thread::scope(|scope| {
        let lanes: Vec<Receiver<Result<Row, Broken>>> = (0..readers)
            .map(|lane| {
                let (sender, receiver) = sync_channel(AHEAD);
                scope.spawn(move || {
                    for index in (first..end).skip(lane).step_by(readers) {
                        let row = read(source, index, size);
                        let last = row.is_err();
                        // Nobody takes it any more: something before it is broken.
                        if sender.send(row).is_err() || last {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for lane in lanes.iter().cycle().take(usize::try_from(end - first).unwrap_or(usize::MAX)) {
            take(lane.recv().map_err(|_| Broken::Failed("a reader stopped"))??)?;
        }
        Ok(())
    })
}

/// Reads one bundle and compares its leaves with the tile of their hashes.
fn read(source: &dyn Source, index: u64, size: u64) -> Result<Row, Broken> {
    let outside = Broken::Failed("a bundle outside the tree");
    let at_size = |level| Tile::full(level, index).and_then(|tile| tile.at_size(size));
    let (Some(entries), Some(tile)) = (at_size(Level::Entries), at_size(Level::Hashes(0))) else {
        return Err(outside);
    };
    let bytes = fetch(source, entries)?;
    let leaves = bundle::decode(&bytes).map_err(|error| Broken::Bundle { tile: entries, error })?;
    if leaves.len() != usize::from(entries.width()) {
        return Err(Broken::Leaves { tile: entries, found: leaves.len() });
    }
    let known = hashes(tile, &fetch(source, tile)?)?;
    for ((index, leaf), known) in (index * u64::from(WIDTH)..).zip(leaves).zip(&known) {
        Leaf::check(leaf).map_err(|error| Broken::Leaf { tile: entries, index, error })?;
        if leaf_hash(leaf) != *known {
            return Err(Broken::LeafHash { tile: entries, index, above: tile });
        }
    }
    let root = if tile.is_full() { row_root(&known) } else { None };
    Ok(Row { tile, hashes: known, root })
}

#[cfg(test)]
mod tests;
