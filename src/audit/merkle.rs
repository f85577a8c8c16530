//! The Merkle tree of RFC 6962: hashes, roots and the two proofs. Pure; keeps no more than it must.
//!
//! Sizes and indices count leaves. What is kept of a growing tree is its [`Frontier`]; where the other hashes lie
//! is [`super::tile`]'s.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash of the tree: of a leaf, of a node, or a root.
pub type Hash = [u8; 32];

/// Gives the hash of a leaf: SHA-256 of 0x00 and the leaf (RFC 6962, section 2.1).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// Gives the hash of an inner node: SHA-256 of 0x01 and its two children (RFC 6962, section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Gives the root of the tree without leaves: SHA-256 of nothing (RFC 6962, section 2.1).
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Gives the root over a full row of hashes: as many as a power of two.
pub(super) fn row_root(row: &[Hash]) -> Option<Hash> {
    if !row.len().is_power_of_two() {
        return None;
    }
    let mut row = row.to_vec();
    let mut width = row.len();
    while width > 1 {
        width /= 2;
        for place in 0..width {
            row[place] = node_hash(&row[2 * place], &row[2 * place + 1]);
        }
    }
    Some(row[0])
}

/// Gives the root over perfect subtrees, the leftmost and largest first; none for no subtree.
pub(super) fn fold(subtrees: &[Hash]) -> Option<Hash> {
    subtrees.iter().copied().rev().reduce(|right, left| node_hash(&left, &right))
}

/// Holds what a tree needs to grow: the roots of its perfect subtrees, one for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// The largest, leftmost subtree first.
    subtrees: Vec<Hash>,
}

/// Says why a frontier cannot be as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// A subtree may follow only where its size divides the tree's.
    #[error("a subtree of 2^{level} leaves cannot follow on a tree of {size}")]
    Unaligned {
        /// The binary logarithm of the subtree's size.
        level: u32,
        /// The tree's size.
        size: u64,
    },
    /// The size asks for another number of subtrees.
    #[error("a tree of {size} leaves has {} perfect subtrees, not {found}", .size.count_ones())]
    Subtrees {
        /// The tree's size.
        size: u64,
        /// How many were given.
        found: usize,
    },
}

impl Frontier {
    /// Makes the frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the frontier of a tree of `size` leaves from the roots of its perfect subtrees, the largest first:
    /// what [`super::tile::Plan::frontier`] resolves to.
    ///
    /// # Errors
    /// [`FrontierError::Subtrees`] when their number is not that of the ones in `size`'s binary form.
    pub fn from_subtrees(size: u64, subtrees: Vec<Hash>) -> Result<Self, FrontierError> {
        if u32::try_from(subtrees.len()) != Ok(size.count_ones()) {
            return Err(FrontierError::Subtrees { size, found: subtrees.len() });
        }
        Ok(Self { size, subtrees })
    }

    /// Gives the number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.append(0, leaf);
    }

    /// Appends a perfect subtree of 2^`level` leaves by its root, such as a full tile (8, 16, …).
    ///
    /// # Errors
    /// [`FrontierError::Unaligned`] when the tree's size is no multiple of the subtree's.
    pub fn push_subtree(&mut self, level: u32, root: Hash) -> Result<(), FrontierError> {
        let fits = 1_u64.checked_shl(level).is_some_and(|width| {
            self.size.is_multiple_of(width) && self.size.checked_add(width).is_some()
        });
        if !fits {
            return Err(FrontierError::Unaligned { level, size: self.size });
        }
        self.append(level, root);
        Ok(())
    }

    fn append(&mut self, level: u32, mut root: Hash) {
        // Each one bit from `level` up is a subtree as large as what is appended, which it joins.
        let mut rest = self.size >> level;
        while rest & 1 == 1 {
            if let Some(left) = self.subtrees.pop() {
                root = node_hash(&left, &root);
            }
            rest >>= 1;
        }
        self.subtrees.push(root);
        self.size += 1 << level;
    }

    /// Gives the root of the tree (RFC 6962's Merkle Tree Hash).
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.subtrees).unwrap_or_else(empty_root)
    }
}

/// Says what is wrong with a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
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
    /// More or fewer hashes than such a proof has.
    #[error("the proof has {found} hashes where it must have {expected}")]
    Length {
        /// How many it must have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The proof does not lead to the older tree's root.
    #[error("the proof does not lead to the root of the older tree")]
    OldRoot,
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the root of the tree")]
    Root,
}

/// Checks that the leaf with this hash stands at `index` in the tree of `size` leaves with this root.
///
/// # Errors
/// [`ProofError`] says what is wrong.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    // Below the level where the path to this leaf leaves the path to the last one there is a sibling on every
    // level; above it only on the left, one for each one bit of what remains of the index.
    let inner = length(index ^ (size - 1));
    let border = (index.checked_shr(inner).unwrap_or(0)).count_ones();
    expect_length(inner + border, proof)?;
    let (below, above) = proof.split_at(inner as usize);
    let mut hash = *leaf;
    for (level, sibling) in below.iter().enumerate() {
        hash = match index >> level & 1 {
            0 => node_hash(&hash, sibling),
            _ => node_hash(sibling, &hash),
        };
    }
    for left in above {
        hash = node_hash(left, &hash);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `new_size` leaves begins with the tree of `old_size`.
///
/// Every tree begins with the empty one, and with itself: the proof is then empty. (RFC 6962 defines no proof from
/// the empty tree; C2SP tlog-witness has it so.)
///
/// # Errors
/// [`ProofError`] says what is wrong.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old: old_size, new: new_size });
    }
    if old_size == 0 || old_size == new_size {
        expect_length(0, proof)?;
        if old_size == 0 && *old_root != empty_root() {
            return Err(ProofError::OldRoot);
        }
        if new_size == 0 && *new_root != empty_root() {
            return Err(ProofError::Root);
        }
        let same = old_size != new_size || old_root == new_root;
        return if same { Ok(()) } else { Err(ProofError::Root) };
    }
    // The proof is that of inclusion for the last perfect subtree of the older tree, seen as a leaf at its level.
    let shift = old_size.trailing_zeros();
    let index = (old_size - 1) >> shift;
    let inner = length((old_size - 1) ^ (new_size - 1)) - shift;
    let border = (index.checked_shr(inner).unwrap_or(0)).count_ones();
    // Where the older tree is perfect, its root is that subtree and is not repeated.
    let perfect = old_size.is_power_of_two();
    expect_length(inner + border + u32::from(!perfect), proof)?;
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !perfect => (first, rest),
        _ => (old_root, proof),
    };
    let (below, above) = rest.split_at(inner as usize);
    let (mut old, mut new) = (*seed, *seed);
    for (level, sibling) in below.iter().enumerate() {
        if index >> level & 1 == 0 {
            new = node_hash(&new, sibling);
        } else {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
        }
    }
    for left in above {
        old = node_hash(left, &old);
        new = node_hash(left, &new);
    }
    if old != *old_root {
        return Err(ProofError::OldRoot);
    }
    if new == *new_root { Ok(()) } else { Err(ProofError::Root) }
}

/// Gives the number of binary digits.
const fn length(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

fn expect_length(expected: u32, proof: &[Hash]) -> Result<(), ProofError> {
    if u32::try_from(proof.len()) == Ok(expected) {
        return Ok(());
    }
    Err(ProofError::Length { expected: expected as usize, found: proof.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves of the reference test of Certificate Transparency (MerkleTreeTest) and the roots over the first
    /// 0 to 8 of them.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap())
            .collect()
    }

    fn hash(hex: &str) -> Hash {
        bytes(hex).try_into().unwrap()
    }

    fn leaf(index: usize) -> Hash {
        leaf_hash(&bytes(LEAVES[index]))
    }

    #[test]
    fn the_roots_are_those_of_the_reference_test() {
        let mut frontier = Frontier::new();
        for (size, root) in ROOTS.iter().enumerate() {
            assert_eq!(frontier.root(), hash(root), "{size}");
            assert_eq!(frontier.size(), size as u64);
            if size < 8 {
                frontier.push(leaf(size));
            }
        }
        assert_eq!(empty_root(), hash(ROOTS[0]));
    }

    #[test]
    fn the_inclusion_proofs_of_the_reference_test_hold() {
        // (index, size, proof)
        let proofs: [(u64, u64, &[&str]); 4] = [
            (0, 1, &[]),
            (
                0,
                8,
                &[
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                5,
                8,
                &[
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        ];
        for (index, size, proof) in proofs {
            let proof: Vec<Hash> = proof.iter().map(|one| hash(one)).collect();
            let (leaf, root) = (leaf(index as usize), hash(ROOTS[size as usize]));
            assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
            for wrong in 0..proof.len() {
                let mut bad = proof.clone();
                bad[wrong][7] ^= 1;
                let found = verify_inclusion(&leaf, index, size, &bad, &root);
                assert_eq!(found, Err(ProofError::Root));
            }
        }
    }

    #[test]
    fn the_consistency_proofs_of_the_reference_test_hold() {
        let proofs: [(u64, u64, &[&str]); 4] = [
            (1, 1, &[]),
            (
                1,
                8,
                &[
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                6,
                8,
                &[
                    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (
                2,
                5,
                &[
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                ],
            ),
        ];
        for (old, new, proof) in proofs {
            let proof: Vec<Hash> = proof.iter().map(|one| hash(one)).collect();
            let (one, other) = (hash(ROOTS[old as usize]), hash(ROOTS[new as usize]));
            assert_eq!(verify_consistency(old, &one, new, &other, &proof), Ok(()));
        }
    }

    #[test]
    fn what_is_wrong_with_a_proof_is_said() {
        let (one, three) = (hash(ROOTS[1]), hash(ROOTS[3]));
        let told = |found: Result<(), ProofError>| found.unwrap_err().to_string();
        assert_eq!(
            told(verify_inclusion(&one, 3, 3, &[], &three)),
            "a tree of 3 leaves has no leaf 3"
        );
        assert_eq!(
            told(verify_inclusion(&one, 0, 3, &[], &three)),
            "the proof has 0 hashes where it must have 2"
        );
        assert_eq!(
            told(verify_consistency(3, &three, 1, &one, &[])),
            "the newer tree has 1 leaves, fewer than the 3 of the older one"
        );
        assert_eq!(
            told(verify_consistency(1, &one, 1, &three, &[])),
            "the proof does not lead to the root of the tree"
        );
        assert_eq!(
            told(verify_consistency(0, &one, 1, &one, &[])),
            "the proof does not lead to the root of the older tree"
        );
        assert_eq!(verify_consistency(0, &empty_root(), 1, &one, &[]), Ok(()));
    }

    #[test]
    fn a_subtree_follows_only_where_it_fits() {
        let mut frontier = Frontier::new();
        frontier.push(leaf(0));
        assert_eq!(
            frontier.push_subtree(1, hash(ROOTS[2])),
            Err(FrontierError::Unaligned { level: 1, size: 1 })
        );
        frontier.push(leaf(1));
        let right = node_hash(&leaf(2), &leaf(3));
        frontier.push_subtree(1, right).unwrap();
        assert_eq!((frontier.size(), frontier.root()), (4, hash(ROOTS[4])));
        for level in [3, 63, 64, 200] {
            assert!(frontier.push_subtree(level, right).is_err());
        }
        assert_eq!(
            Frontier::from_subtrees(6, vec![hash(ROOTS[4])]).unwrap_err().to_string(),
            "a tree of 6 leaves has 2 perfect subtrees, not 1"
        );
    }
}
