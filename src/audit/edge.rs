//! The right edge of a growing tree: the tiles that are not full yet, from which the root follows.
//!
//! Pure. The sequencer pushes leaves and is given each tile at the moment when it is full.

use super::merkle::{Frontier, Hash, leaf_hash, node_hash};
use super::tile::bundle::{self, BundleError};
use super::tile::{HEIGHT, Level, WIDTH};

/// A tile that is full now and will never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Its level.
    pub level: Level,
    /// Its number within the level.
    pub index: u64,
    /// Its bytes as they are served (C2SP tlog-tiles).
    pub bytes: Vec<u8>,
    /// Of a tile of hashes: the root of the subtree under it, which is a hash of the level above.
    pub root: Option<Hash>,
}

/// Holds what of a tree of `size` leaves is in no full tile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    entries: Vec<Vec<u8>>,
    levels: Vec<Vec<Hash>>,
}

/// Says that what was read does not make the edge of a tree of this size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tree of {size} leaves has {expected} hashes at the right end of level {level}, and {found} were found"
)]
pub struct EdgeError {
    size: u64,
    level: usize,
    expected: u64,
    found: usize,
}

/// Tells how many hashes the partial tile of each level has, from level 0 up, in a tree of `size` leaves.
#[must_use]
pub fn widths(size: u64) -> Vec<u64> {
    let width = u64::from(WIDTH);
    let mut widths = Vec::new();
    let mut hashes = size;
    while hashes > 0 {
        widths.push(hashes % width);
        hashes /= width;
    }
    widths
}

impl Edge {
    /// Puts the edge of a tree of `size` leaves together: the leaves of the partial bundle, and from level 1 up the
    /// roots of the full tiles that the partial tile of that level consists of.
    ///
    /// # Errors
    /// [`EdgeError`] when there are more or fewer than such a tree has.
    pub fn restore(
        size: u64,
        entries: Vec<Vec<u8>>,
        upper: Vec<Vec<Hash>>,
    ) -> Result<Self, EdgeError> {
        let mut levels = vec![entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>()];
        levels.extend(upper);
        let widths = widths(size);
        levels.resize(levels.len().max(widths.len()), Vec::new());
        for (level, hashes) in levels.iter().enumerate() {
            let expected = widths.get(level).copied().unwrap_or_default();
            if u64::try_from(hashes.len()) != Ok(expected) {
                return Err(EdgeError { size, level, expected, found: hashes.len() });
            }
        }
        Ok(Self { size, entries, levels })
    }

    /// Counts the leaves of the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; tiles that it fills are added to `full`, lower levels first.
    ///
    /// # Errors
    /// [`BundleError`] for a leaf of more bytes than a bundle's lengths can say; the edge is then of no more use.
    pub fn push(&mut self, entry: Vec<u8>, full: &mut Vec<FullTile>) -> Result<(), BundleError> {
        let hash = leaf_hash(&entry);
        self.entries.push(entry);
        self.size += 1;
        if self.entries.len() == usize::from(WIDTH) {
            let bytes = bundle::encode(&self.entries)?;
            let index = self.size / u64::from(WIDTH) - 1;
            full.push(FullTile { level: Level::Entries, index, bytes, root: None });
            self.entries.clear();
        }
        self.add(0, hash, full);
        Ok(())
    }

    fn add(&mut self, level: usize, hash: Hash, full: &mut Vec<FullTile>) {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        let hashes = &mut self.levels[level];
        hashes.push(hash);
        if hashes.len() < usize::from(WIDTH) {
            return;
        }
        let hashes = std::mem::take(hashes);
        let root = root_of(&hashes);
        let shift = HEIGHT * (u32::try_from(level).unwrap_or(u32::MAX).saturating_add(1));
        let index = self.size.checked_shr(shift).unwrap_or_default().saturating_sub(1);
        full.push(FullTile {
            level: Level::Hashes(u8::try_from(level).unwrap_or(u8::MAX)),
            index,
            bytes: hashes.concat(),
            root: Some(root),
        });
        self.add(level + 1, root, full);
    }

    /// Gives the root of the tree (RFC 6962, section 2.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut frontier = Frontier::new();
        for (level, hashes) in self.levels.iter().enumerate().rev() {
            let height = HEIGHT * u32::try_from(level).unwrap_or(u32::MAX);
            for hash in hashes {
                // Higher levels come first, so each subtree stands where its size divides what is before it.
                let aligned = frontier.push_subtree(height, *hash);
                debug_assert!(aligned.is_ok());
            }
        }
        frontier.root()
    }
}

/// Gives the root of a full tile.
fn root_of(hashes: &[Hash]) -> Hash {
    let mut layer = hashes.to_vec();
    while layer.len() > 1 {
        layer = layer
            .chunks(2)
            .map(|pair| node_hash(&pair[0], pair.last().unwrap_or(&pair[0])))
            .collect();
    }
    layer.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(number: u64) -> Vec<u8> {
        format!("leaf {number}").into_bytes()
    }

    fn grown(size: u64) -> (Edge, Vec<FullTile>) {
        let (mut edge, mut full) = (Edge::default(), Vec::new());
        for number in 0..size {
            edge.push(leaf(number), &mut full).unwrap();
        }
        (edge, full)
    }

    fn plain_root(size: u64) -> Hash {
        let mut frontier = Frontier::new();
        for number in 0..size {
            frontier.push(leaf_hash(&leaf(number)));
        }
        frontier.root()
    }

    #[test]
    fn tiles_come_full_in_the_order_of_the_standards_example() {
        // tlog-tiles: 70,000 leaves are 273 full tiles at level 0 and one at level 1, with 112 and 17 and 1 left over.
        let (edge, full) = grown(70_000);
        let count = |level| full.iter().filter(|tile| tile.level == level).count();
        assert_eq!(count(Level::Entries), 273);
        assert_eq!(count(Level::Hashes(0)), 273);
        assert_eq!(count(Level::Hashes(1)), 1);
        assert_eq!(widths(70_000), [112, 17, 1]);
        assert_eq!(edge.root(), plain_root(70_000));
        assert!(full.iter().all(|tile| tile.level == Level::Entries || tile.bytes.len() == 8192));
    }

    #[test]
    fn an_edge_that_lacks_a_hash_or_has_one_too_many_is_refused() {
        let entries: Vec<_> = (256..300).map(leaf).collect();
        assert!(Edge::restore(300, entries.clone(), vec![vec![[0; 32]]]).is_ok());
        assert!(Edge::restore(300, entries.clone(), Vec::new()).is_err());
        assert!(Edge::restore(300, entries[1..].to_vec(), vec![vec![[0; 32]]]).is_err());
        assert!(Edge::restore(300, entries, vec![vec![[0; 32]], vec![[0; 32]]]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn an_edge_put_together_from_what_is_kept_goes_on_like_the_one_that_grew(size in 0_u64..3_000, more in 0_u64..600) {
            let (edge, full) = grown(size);
            let entries = (size - size % 256..size).map(leaf).collect();
            let roots = full.iter().filter(|tile| tile.level == Level::Hashes(0)).map(|tile| tile.root.unwrap());
            let upper = if size < 256 { Vec::new() } else { vec![roots.collect()] };
            let mut restored = Edge::restore(size, entries, upper).unwrap();
            prop_assert_eq!(restored.root(), plain_root(size));
            let mut grown = edge;
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for number in size..size + more {
                restored.push(leaf(number), &mut ours).unwrap();
                grown.push(leaf(number), &mut theirs).unwrap();
            }
            prop_assert_eq!(ours, theirs);
            prop_assert_eq!(restored.root(), plain_root(size + more));
        }
    }
}
