//! Tiles, entry bundles and their paths, after C2SP tlog-tiles; and which tiles a proof is read from.
//!
//! Pure: a [`Plan`] names the tiles, whoever asked fetches them (from a table, a folder, a URL), and the plan then
//! resolves to hashes.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::decimal;
use super::merkle::{Hash, fold, row_root};

/// How many hashes a full tile holds.
pub const WIDTH: u16 = 256;
/// How many levels of the tree a tile spans: the binary logarithm of [`WIDTH`].
pub const HEIGHT: u32 = 8;
/// The highest level of tiles that a path can name.
pub const MAX_LEVEL: u8 = 63;
/// How many bytes a hash takes in a tile.
const HASH: usize = 32;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The leaves themselves, length-prefixed: an entry bundle.
    Entries,
    /// Hashes: of leaves at level 0, of full tiles of the level below above it.
    Hashes(u8),
}

/// Names a tile or an entry bundle: its level, its place in the level, and how many hashes or entries it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    level: Level,
    index: u64,
    width: u16,
}

/// Says that a text is no path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no path of a tile, such as tile/0/x001/x234/067, tile/1/000.p/5 or tile/entries/000"
)]
pub struct TilePathError;

impl Tile {
    /// Names a tile; `None` for a level above [`MAX_LEVEL`], or a width of 0 or above [`WIDTH`].
    #[must_use]
    pub fn new(level: Level, index: u64, width: u16) -> Option<Self> {
        let level_fits = !matches!(level, Level::Hashes(l) if l > MAX_LEVEL);
        (level_fits && (1..=WIDTH).contains(&width)).then_some(Self { level, index, width })
    }

    /// Names the full tile at a place; `None` for a level above [`MAX_LEVEL`].
    #[must_use]
    pub fn full(level: Level, index: u64) -> Option<Self> {
        Self::new(level, index, WIDTH)
    }

    /// Gives what the tile holds.
    #[must_use]
    pub const fn level(self) -> Level {
        self.level
    }

    /// Gives the tile's place in its level, from 0.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Gives how many hashes or entries the tile holds, 1 to [`WIDTH`].
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Tells whether the tile holds all it ever will.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == WIDTH
    }

    /// Gives the path below the log's prefix, such as `tile/0/x001/x234/067.p/5`.
    #[must_use]
    pub fn path(self) -> String {
        self.to_string()
    }

    /// Parses a path below the log's prefix: exactly what [`Tile::path`] gives, and nothing else.
    ///
    /// # Errors
    /// [`TilePathError`] for everything else.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        Self::read(path).filter(|tile| tile.to_string() == path).ok_or(TilePathError)
    }

    /// Reads a path that may still be written in another way than the canonical one.
    fn read(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => Level::Entries,
            number => Level::Hashes(u8::try_from(decimal(number)?).ok()?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, u16::try_from(decimal(width)?).ok()?),
            None => (rest, WIDTH),
        };
        let mut number = 0_u64;
        for element in index.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        Self::new(level, number, width)
    }

    /// Tells whether a tree of `size` leaves has everything that the tile holds.
    #[must_use]
    pub fn is_covered_by(self, size: u64) -> bool {
        let end = self.index.checked_mul(u64::from(WIDTH));
        let end = end.and_then(|start| start.checked_add(u64::from(self.width)));
        end.is_some_and(|end| end <= hashes_at(self.shift(), size))
    }

    /// Gives the tile at the same place as wide as it is in a tree of `size` leaves; `None` where that tree has none.
    #[must_use]
    pub fn at_size(self, size: u64) -> Option<Self> {
        let start = self.index.checked_mul(u64::from(WIDTH))?;
        let rest = hashes_at(self.shift(), size).checked_sub(start)?;
        Self::new(self.level, self.index, u16::try_from(rest.min(WIDTH.into())).ok()?)
    }

    /// Gives the binary logarithm of the number of leaves below each of the tile's hashes.
    fn shift(self) -> u32 {
        match self.level {
            Level::Entries => 0,
            Level::Hashes(level) => u32::from(level) * HEIGHT,
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => f.write_str("tile/entries/")?,
            Level::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut above = Vec::new();
        let mut rest = self.index / 1000;
        while rest > 0 {
            above.push(rest % 1000);
            rest /= 1000;
        }
        for element in above.iter().rev() {
            write!(f, "x{element:03}/")?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        Self::parse(path)
    }
}

/// Gives how many hashes of 2^`shift` leaves each a tree of `size` leaves has.
fn hashes_at(shift: u32, size: u64) -> u64 {
    size.checked_shr(shift).unwrap_or(0)
}

/// Lists every tile and entry bundle of a tree of `size` leaves, level by level: the bundles, then level 0, 1, …
pub fn tiles_of(size: u64) -> impl Iterator<Item = Tile> {
    new_tiles(0, size)
}

/// Lists the tiles and entry bundles that a tree of `new` leaves has and its beginning of `old` leaves had not, or
/// had with less in them; level by level. What it lists is to be written before the checkpoint of the new tree.
pub fn new_tiles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..=7).map(Level::Hashes);
    std::iter::once(Level::Entries).chain(levels).flat_map(move |level| {
        let shift = Tile { level, index: 0, width: 1 }.shift();
        let (old, new) = (hashes_at(shift, old), hashes_at(shift, new));
        let wide = u64::from(WIDTH);
        let places = if old < new { old / wide..new.div_ceil(wide) } else { 0..0 };
        places.filter_map(move |index| {
            Tile::new(level, index, u16::try_from((new - index * wide).min(wide)).ok()?)
        })
    })
}

/// Reads the hashes of a tile.
///
/// # Errors
/// [`TileBytesError`] when the bytes are not exactly as many as the tile's width asks for.
pub fn hashes(tile: Tile, bytes: &[u8]) -> Result<Vec<Hash>, TileBytesError> {
    let expected = usize::from(tile.width) * HASH;
    let (hashes, rest) = bytes.as_chunks::<HASH>();
    if bytes.len() != expected || !rest.is_empty() {
        return Err(TileBytesError { tile, expected, found: bytes.len() });
    }
    Ok(hashes.to_vec())
}

/// Says that the bytes of a tile of hashes are too few or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{tile} has {found} bytes where it must have {expected}")]
pub struct TileBytesError {
    /// The tile.
    pub tile: Tile,
    /// How many bytes it must have.
    pub expected: usize,
    /// How many it has.
    pub found: usize,
}

/// Entry bundles: leaves one after the other, each after its length in two bytes, the larger first.
pub mod bundle {
    /// The longest leaf that fits into a bundle, in bytes.
    pub const LONGEST: usize = u16::MAX as usize;

    /// Says why bytes are no entry bundle, or leaves fit into none.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    pub enum BundleError {
        /// A leaf is longer than two bytes can say.
        #[error("leaf {place} of the bundle has {length} bytes; {LONGEST} is the most")]
        TooLong {
            /// The leaf's place in the bundle, from 0.
            place: usize,
            /// How long it is.
            length: usize,
        },
        /// The bytes end within a leaf or its length.
        #[error("the bundle ends within its leaf {place}")]
        Truncated {
            /// The leaf's place in the bundle, from 0.
            place: usize,
        },
    }

    /// Puts leaves together into a bundle.
    ///
    /// # Errors
    /// [`BundleError::TooLong`] names the leaf.
    pub fn encode<L: AsRef<[u8]>>(
        leaves: impl IntoIterator<Item = L>,
    ) -> Result<Vec<u8>, BundleError> {
        let mut bundle = Vec::new();
        for (place, leaf) in leaves.into_iter().enumerate() {
            let leaf = leaf.as_ref();
            let length = u16::try_from(leaf.len())
                .map_err(|_| BundleError::TooLong { place, length: leaf.len() })?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(leaf);
        }
        Ok(bundle)
    }

    /// Takes a bundle apart into its leaves.
    ///
    /// # Errors
    /// [`BundleError::Truncated`] names the leaf within which it ends.
    pub fn decode(bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
        entries(bundle).collect()
    }

    /// Gives the leaves of a bundle one after the other, without keeping them; ends after the first error.
    pub fn entries(bundle: &[u8]) -> impl Iterator<Item = Result<&[u8], BundleError>> {
        let mut rest = Some(bundle);
        (0..).map_while(move |place| {
            let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
            let leaf = bytes.split_first_chunk().and_then(|(length, after)| {
                after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
            });
            Some(leaf.map_or(Err(BundleError::Truncated { place }), |(leaf, after)| {
                rest = Some(after);
                Ok(leaf)
            }))
        })
    }
}

/// One perfect subtree: the `index`-th of 2^`level` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    level: u32,
    index: u64,
}

impl Node {
    /// Gives the tile of a tree of `size` leaves that holds the node, or a row of nodes below it.
    fn tile(self, size: u64) -> Option<Tile> {
        let level = Level::Hashes(u8::try_from(self.level / HEIGHT).ok()?);
        let index = (self.index << (self.level % HEIGHT)) / u64::from(WIDTH);
        Tile { level, index, width: 1 }.at_size(size)
    }

    /// Gives the place of the node's row in its tile.
    fn row(self) -> std::ops::Range<usize> {
        let wide = 1_usize << (self.level % HEIGHT);
        let place = self.index % (u64::from(WIDTH) >> (self.level % HEIGHT));
        let start = usize::try_from(place).unwrap_or(0) * wide;
        start..start + wide
    }
}

/// Names the tiles from which some hashes of a tree are made, and makes them.
///
/// The tiles are those of the tree at the size asked for, partial ones among them. A server may meanwhile have only
/// the full tile; its first bytes are then those of the partial one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    tiles: Vec<Tile>,
    /// For each hash its perfect subtrees, the largest first.
    hashes: Vec<Vec<(Tile, Node)>>,
}

/// Says why there is no such proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The leaf would stand beyond the tree's end.
    #[error("a tree of {size} leaves has no leaf {index}")]
    Index {
        /// The leaf's index, from 0.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The newer tree is the smaller one.
    #[error("the newer tree has {new} leaves, fewer than the {old} of the older one")]
    Shrunk {
        /// The older tree's size.
        old: u64,
        /// The newer tree's size.
        new: u64,
    },
}

/// Says why a plan does not resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// One of the plan's tiles was not brought.
    #[error("{0} is missing")]
    Missing(Tile),
    /// A tile has too few or too many bytes.
    #[error(transparent)]
    Bytes(#[from] TileBytesError),
}

impl Plan {
    /// Plans the inclusion proof of leaf `index` in a tree of `size` leaves (RFC 6962, section 2.1.1): it resolves
    /// to the proof's hashes in their order, the leaf's sibling first.
    ///
    /// # Errors
    /// [`PlanError::Index`] when there is no such leaf.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, PlanError> {
        if index >= size {
            return Err(PlanError::Index { index, size });
        }
        let (mut low, mut high) = (0, size);
        let mut ranges = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                ranges.push((middle, high));
                high = middle;
            } else {
                ranges.push((low, middle));
                low = middle;
            }
        }
        ranges.reverse();
        Ok(Self::of(&ranges, size))
    }

    /// Plans the consistency proof from a tree of `old` leaves to one of `new` (RFC 6962, section 2.1.2): it
    /// resolves to the proof's hashes in their order; to none where `old` is 0 or `new`.
    ///
    /// # Errors
    /// [`PlanError::Shrunk`] when `new` is below `old`.
    pub fn consistency(old: u64, new: u64) -> Result<Self, PlanError> {
        if old > new {
            return Err(PlanError::Shrunk { old, new });
        }
        let mut ranges = Vec::new();
        if 0 < old && old < new {
            let (mut low, mut high) = (0, new);
            while high != old {
                let middle = low + split(high - low);
                if old <= middle {
                    ranges.push((middle, high));
                    high = middle;
                } else {
                    ranges.push((low, middle));
                    low = middle;
                }
            }
            // The older tree's last subtree; where that is the whole older tree, its root is known.
            if low > 0 {
                ranges.push((low, high));
            }
            ranges.reverse();
        }
        Ok(Self::of(&ranges, new))
    }

    /// Plans the [`super::merkle::Frontier`] of a tree: it resolves to its perfect subtrees, the largest first.
    #[must_use]
    pub fn frontier(size: u64) -> Self {
        let ranges: Vec<(u64, u64)> = perfect(0, size)
            .map(|node| (node.index << node.level, (node.index + 1) << node.level))
            .collect();
        Self::of(&ranges, size)
    }

    /// Plans the root of a tree: it resolves to that one hash, and to none for the empty tree.
    #[must_use]
    pub fn root(size: u64) -> Self {
        let ranges = [(0, size)];
        Self::of(if size == 0 { &[] } else { &ranges }, size)
    }

    fn of(ranges: &[(u64, u64)], size: u64) -> Self {
        let hashes: Vec<Vec<(Tile, Node)>> = ranges
            .iter()
            .map(|(low, high)| {
                perfect(*low, *high).filter_map(|node| Some((node.tile(size)?, node))).collect()
            })
            .collect();
        let mut tiles: Vec<Tile> = hashes.iter().flatten().map(|(tile, _)| *tile).collect();
        tiles.sort_unstable();
        tiles.dedup();
        Self { tiles, hashes }
    }

    /// Lists the tiles to fetch, each once.
    #[must_use]
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Makes the hashes from the tiles' bytes.
    ///
    /// The tiles are believed: whoever did not make them checks the proof.
    ///
    /// # Errors
    /// [`ResolveError`] names the tile that is missing or of a wrong length.
    pub fn resolve(&self, tiles: &HashMap<Tile, Vec<u8>>) -> Result<Vec<Hash>, ResolveError> {
        let one = |(tile, node): &(Tile, Node)| {
            let bytes = tiles.get(tile).ok_or(ResolveError::Missing(*tile))?;
            let row = hashes(*tile, bytes)?;
            // A node lies within its tile: `Plan::of` took the tile of the tree that has the node.
            row.get(node.row()).and_then(row_root).ok_or(ResolveError::Missing(*tile))
        };
        self.hashes
            .iter()
            .filter_map(|nodes| {
                let roots: Result<Vec<Hash>, ResolveError> = nodes.iter().map(one).collect();
                roots.map(|roots| fold(&roots)).transpose()
            })
            .collect()
    }
}

/// Gives the largest power of two below `size`, which is at least 2.
const fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// Gives the perfect subtrees of the leaves from `low` to `high`, the largest first; `low` is a multiple of the first.
fn perfect(low: u64, high: u64) -> impl Iterator<Item = Node> {
    let mut start = low;
    std::iter::from_fn(move || {
        let rest = high.checked_sub(start).filter(|rest| *rest > 0)?;
        let level = u64::BITS - 1 - rest.leading_zeros();
        let node = Node { level, index: start >> level };
        start += 1 << level;
        Some(node)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tlog_tiles::{HashReader, Tile as OtherTile};

    use super::super::merkle::{
        Frontier, ProofError, empty_root, leaf_hash, node_hash, verify_consistency,
        verify_inclusion,
    };
    use super::*;

    /// RFC 6962's definition of the Merkle Tree Hash, word for word.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    /// RFC 6962's PATH, word for word.
    fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = split(leaves.len() as u64) as usize;
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if index < k {
            (naive_path(index, left), naive_root(right))
        } else {
            (naive_path(index - k, right), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// RFC 6962's SUBPROOF, word for word.
    fn naive_subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if known { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let k = split(leaves.len() as u64) as usize;
        let (left, right) = leaves.split_at(k);
        let (mut proof, other) = if old <= k {
            (naive_subproof(old, left, known), naive_root(right))
        } else {
            (naive_subproof(old - k, right, false), naive_root(left))
        };
        proof.push(other);
        proof
    }

    fn leaves(size: usize, seed: u64) -> Vec<Vec<u8>> {
        (0..size).map(|index| format!("{seed} {index}").into_bytes()).collect()
    }

    /// The bytes of every hash tile of the tree, made level by level.
    fn tiles_from(leaves: &[Hash]) -> HashMap<Tile, Vec<u8>> {
        let mut made = HashMap::new();
        let mut row = leaves.to_vec();
        for level in 0.. {
            if row.is_empty() {
                return made;
            }
            for (index, chunk) in (0..).zip(row.chunks(256)) {
                let tile = Tile::new(Level::Hashes(level), index, chunk.len() as u16).unwrap();
                made.insert(tile, chunk.concat());
            }
            row = row.chunks_exact(256).map(naive_root).collect();
        }
        unreachable!()
    }

    /// The tree as the other implementation stores it.
    struct Other(Vec<tlog_tiles::Hash>);

    impl Other {
        fn of(leaves: &[Vec<u8>]) -> Self {
            let mut other = Self(Vec::new());
            for (index, leaf) in (0..).zip(leaves) {
                let more = tlog_tiles::stored_hashes(index, leaf, &other).unwrap();
                other.0.extend(more);
            }
            other
        }
    }

    impl HashReader for Other {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
        }
    }

    fn plain(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
        hashes.iter().map(|hash| hash.0).collect()
    }

    #[test]
    fn the_paths_are_those_of_the_standard() {
        for (path, level, index, width) in [
            ("tile/0/x001/x234/067", Level::Hashes(0), 1_234_067, 256),
            ("tile/0/x001/x234/067.p/5", Level::Hashes(0), 1_234_067, 5),
            ("tile/63/000.p/255", Level::Hashes(63), 0, 255),
            ("tile/entries/000", Level::Entries, 0, 256),
            ("tile/entries/x001/000.p/1", Level::Entries, 1000, 1),
        ] {
            let tile = Tile::new(level, index, width).unwrap();
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::parse(path), Ok(tile));
            assert_eq!((tile.level(), tile.index(), tile.width()), (level, index, width));
        }
    }

    #[test]
    fn every_other_path_is_refused() {
        for path in [
            "",
            "tile",
            "tile/",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/01/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/data/000",
            "tile/Entries/000",
            "tile/0/x000/000",
            "tile/0/x000/x001/000",
            "tile/0/x001",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/X001/000",
            "tile/0/xx01/000",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/000.p/1/",
            "tile/0/000.p/1.p/1",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/0/٠٠٠",
            "tile/8/000/1",
        ] {
            assert_eq!(Tile::parse(path), Err(TilePathError), "{path}");
        }
        assert_eq!(Tile::new(Level::Hashes(64), 0, 1), None);
        assert_eq!(Tile::new(Level::Entries, 0, 0), None);
        assert_eq!(Tile::new(Level::Entries, 0, 257), None);
    }

    #[test]
    fn the_trees_of_the_standard_have_the_tiles_it_names() {
        let count = |size: u64, level: Level, full: bool| {
            tiles_of(size).filter(|tile| tile.level() == level && tile.is_full() == full).count()
        };
        assert_eq!(count(70_000, Level::Hashes(0), true), 273);
        assert_eq!(count(70_000, Level::Entries, true), 273);
        let partial: Vec<String> =
            tiles_of(70_000).filter(|tile| !tile.is_full()).map(Tile::path).collect();
        assert_eq!(
            partial,
            ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        assert_eq!(count(70_000, Level::Hashes(1), true), 1);
        let all: Vec<String> = tiles_of(256).map(Tile::path).collect();
        assert_eq!(all, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(tiles_of(0).count(), 0);
    }

    #[test]
    fn a_tile_is_covered_from_the_size_on_at_which_it_is_first_listed() {
        for size in [1_u64, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000] {
            for tile in tiles_of(size) {
                assert!(tile.is_covered_by(size));
                assert_eq!(tile.at_size(size), Some(tile));
                let more = Tile::new(tile.level(), tile.index(), tile.width() + 1);
                assert!(more.is_none_or(|more| !more.is_covered_by(size)));
                let next = Tile::new(tile.level(), tile.index() + 1, 1).unwrap();
                assert!(next.is_covered_by(size) || next.at_size(size).is_none());
            }
        }
        let far = Tile::new(Level::Hashes(63), u64::MAX, 256).unwrap();
        assert!(!far.is_covered_by(u64::MAX));
        assert_eq!(far.at_size(u64::MAX), None);
    }

    #[test]
    fn a_bundle_holds_its_leaves_and_nothing_else() {
        let leaves: [&[u8]; 3] = [b"one", b"", b"three"];
        let bytes = bundle::encode(leaves).unwrap();
        assert_eq!(bytes, b"\0\x03one\0\0\0\x05three");
        assert_eq!(bundle::decode(&bytes).unwrap(), leaves);
        assert!(bundle::decode(&[]).unwrap().is_empty());
        for end in 1..bytes.len() {
            let whole = [5, 7].contains(&end);
            assert_eq!(bundle::decode(&bytes[..end]).is_ok(), whole, "{end}");
        }
        assert_eq!(bundle::decode(&bytes[..9]), Err(bundle::BundleError::Truncated { place: 2 }));
        assert_eq!(
            bundle::encode([vec![0; 65_535], vec![0; 65_536]]).unwrap_err().to_string(),
            "leaf 1 of the bundle has 65536 bytes; 65535 is the most"
        );
    }

    #[test]
    fn a_missing_or_shortened_tile_is_named() {
        let plan = Plan::inclusion(3, 300).unwrap();
        let paths: Vec<String> = plan.tiles().iter().map(|tile| tile.path()).collect();
        assert_eq!(paths, ["tile/0/000", "tile/0/001.p/44"]);
        let hashes: Vec<Hash> = (0..300_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut tiles = tiles_from(&hashes);
        assert_eq!(plan.resolve(&tiles), Ok(naive_path(3, &hashes)));
        tiles.get_mut(&plan.tiles()[1]).unwrap().pop();
        assert_eq!(
            plan.resolve(&tiles).unwrap_err().to_string(),
            "tile/0/001.p/44 has 1407 bytes where it must have 1408"
        );
        tiles.remove(&plan.tiles()[1]);
        assert_eq!(plan.resolve(&tiles).unwrap_err().to_string(), "tile/0/001.p/44 is missing");
        assert_eq!(Plan::inclusion(3, 3), Err(PlanError::Index { index: 3, size: 3 }));
        assert_eq!(Plan::consistency(3, 2), Err(PlanError::Shrunk { old: 3, new: 2 }));
    }

    /// Compares everything about one tree with the definition and with the other implementation.
    fn compare(size: usize, old: usize, index: usize, seed: u64) {
        let data = leaves(size, seed);
        let hashes: Vec<Hash> = data.iter().map(|leaf| leaf_hash(leaf)).collect();
        let root = naive_root(&hashes);
        let other = Other::of(&data);

        let mut frontier = Frontier::new();
        hashes.iter().for_each(|hash| frontier.push(*hash));
        assert_eq!(frontier.root(), root);
        assert_eq!(tlog_tiles::tree_hash(size as u64, &other).unwrap().0, root);
        let mut coarse = Frontier::new();
        for tile in hashes.chunks(256) {
            match tile.len() {
                256 => coarse.push_subtree(8, naive_root(tile)).unwrap(),
                _ => tile.iter().for_each(|hash| coarse.push(*hash)),
            }
        }
        assert_eq!(coarse, frontier);

        let tiles = tiles_from(&hashes);
        let mut listed: Vec<Tile> =
            tiles_of(size as u64).filter(|tile| tile.level() != Level::Entries).collect();
        let mut made: Vec<Tile> = tiles.keys().copied().collect();
        listed.sort();
        made.sort();
        assert_eq!(listed, made);
        for tile in &listed {
            let theirs = OtherTile::from_path(&format!("tile/8{}", &tile.path()[4..])).unwrap();
            assert_eq!(theirs.read_data(&other).unwrap(), tiles[tile]);
        }
        let mut theirs: Vec<String> = OtherTile::new_tiles(8, old as u64, size as u64)
            .iter()
            .map(|tile| tile.path().replacen("tile/8", "tile", 1))
            .collect();
        let mut ours: Vec<String> = new_tiles(old as u64, size as u64)
            .filter(|tile| tile.level() != Level::Entries)
            .map(Tile::path)
            .collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs);

        let resolved = Plan::frontier(size as u64).resolve(&tiles).unwrap();
        assert_eq!(Frontier::from_subtrees(size as u64, resolved), Ok(frontier));
        let resolved = Plan::root(size as u64).resolve(&tiles).unwrap();
        assert_eq!(resolved, if size == 0 { vec![] } else { vec![root] });

        if index < size {
            let (index64, size64) = (index as u64, size as u64);
            let proof = Plan::inclusion(index64, size64).unwrap().resolve(&tiles).unwrap();
            assert_eq!(proof, naive_path(index, &hashes));
            let theirs = tlog_tiles::prove_record(size64, index64, &other).unwrap();
            assert_eq!(proof, plain(&theirs));
            let leaf = hashes[index];
            assert_eq!(verify_inclusion(&leaf, index64, size64, &proof, &root), Ok(()));
            let elsewhere = verify_inclusion(&leaf, index64 ^ 1, size64, &proof, &root);
            assert!(size == 1 || elsewhere.is_err());
            let mut longer = proof.clone();
            longer.push(leaf);
            assert!(matches!(
                verify_inclusion(&leaf, index64, size64, &longer, &root),
                Err(ProofError::Length { .. })
            ));
        }

        let old_root = naive_root(&hashes[..old]);
        let (old64, size64) = (old as u64, size as u64);
        let proof = Plan::consistency(old64, size64).unwrap().resolve(&tiles).unwrap();
        let expected = if old == 0 { vec![] } else { naive_subproof(old, &hashes, true) };
        assert_eq!(proof, expected);
        if old > 0 {
            let theirs = tlog_tiles::prove_tree(size64, old64, &other).unwrap();
            assert_eq!(proof, plain(&theirs));
        }
        assert_eq!(verify_consistency(old64, &old_root, size64, &root, &proof), Ok(()));
        for wrong in 0..proof.len() {
            let mut bad = proof.clone();
            bad[wrong][31] ^= 0x80;
            assert!(verify_consistency(old64, &old_root, size64, &root, &bad).is_err());
        }
        if old > 0 && old < size {
            let mut fork = old_root;
            fork[0] ^= 1;
            assert!(verify_consistency(old64, &fork, size64, &root, &proof).is_err());
            assert!(verify_consistency(old64, &old_root, size64, &fork, &proof).is_err());
        }
    }

    #[test]
    fn every_small_tree_is_that_of_the_definition_and_of_the_other_implementation() {
        for size in 0..=20 {
            for old in 0..=size {
                for index in 0..size.max(1) {
                    compare(size, old, index, 0);
                }
            }
        }
        for size in [255, 256, 257, 511, 512, 513, 4096] {
            for old in [0, 1, 255, 256, 257, size] {
                compare(size, old.min(size), old.min(size - 1), 1);
            }
        }
    }

    #[test]
    fn proofs_in_trees_of_several_levels_come_from_few_tiles() {
        // The plan alone: such a tree is too large to make.
        let plan = Plan::inclusion(1_000_000_007, 3_000_000_000_017).unwrap();
        assert!(plan.tiles().len() <= 2 * 6, "{:?}", plan.tiles());
        let size = i64::MAX as u64;
        let plan = Plan::inclusion(size - 1, size).unwrap();
        assert!(plan.tiles().iter().all(|tile| tile.is_covered_by(size)));
        let plan = Plan::consistency(size / 3, size).unwrap();
        assert!(plan.tiles().iter().all(|tile| tile.is_covered_by(size)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_tree_is_that_of_the_definition_and_of_the_other_implementation(
            size in 1..=5000_usize,
            old in any::<prop::sample::Index>(),
            index in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            compare(size, old.index(size + 1), index.index(size), seed);
        }
    }

    proptest! {
        #[test]
        fn every_tile_parses_from_its_path(
            level in proptest::option::of(0..=MAX_LEVEL), index in any::<u64>(), width in 1..=WIDTH,
        ) {
            let level = level.map_or(Level::Entries, Level::Hashes);
            for index in [index, index % 1_000_000, index % 1000] {
                let tile = Tile::new(level, index, width).unwrap();
                prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
            }
        }

        #[test]
        fn any_text_is_the_canonical_path_of_a_tile_or_refused(
            text in "(?s).{0,60}", near in "tile/([0-9]{1,2}|entries)(/x?[0-9x]{2,4}){1,3}(.p/?[0-9]{1,3})?",
        ) {
            for text in [text, near] {
                if let Ok(tile) = Tile::parse(&text) {
                    prop_assert_eq!(tile.path(), text);
                }
            }
        }

        #[test]
        fn any_bytes_are_a_bundle_or_refused(bytes in prop::collection::vec(0..8_u8, 0..200)) {
            if let Ok(leaves) = bundle::decode(&bytes) {
                prop_assert_eq!(bundle::encode(leaves).unwrap(), bytes);
            }
        }

        #[test]
        fn leaves_come_back_from_their_bundle(
            leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..40),
        ) {
            let bytes = bundle::encode(&leaves).unwrap();
            prop_assert_eq!(bundle::decode(&bytes).unwrap(), leaves);
        }
    }
}
