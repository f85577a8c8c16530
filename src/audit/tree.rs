//! The published tree as the database keeps it: any tile of it, its edge at any size, its proofs.
//!
//! Full tiles are rows; partial ones follow from the leaves and from the roots of the tiles below. Nothing here is told
//! how much is published: whoever asks says up to which size.

use std::collections::HashMap;

use super::edge::{self, Edge};
use super::merkle::{Hash, leaf_hash};
use super::tile::{HEIGHT, Level, Plan, Tile, WIDTH, bundle};
use crate::domain::event::leaf::Leaf;
use crate::error::{Error, Result};
use crate::storage::{Connection, log};

/// Puts the right edge of the tree of the first `size` leaves together.
///
/// One statement for each level, five at ten years of 150,000,000 events.
///
/// # Errors
/// [`Error::Internal`] when the database fails, or lacks a leaf or a tile that such a tree has.
pub async fn edge(conn: &mut Connection, size: u64) -> Result<Edge> {
    let mut entries = Vec::new();
    let mut upper = Vec::new();
    for (level, width) in (0_u8..).zip(edge::widths(size)) {
        if level == 0 {
            let leaves = log::leaves(conn, size - width, width).await?;
            entries = leaves.iter().map(Leaf::encode).collect();
        } else {
            let hashes = size >> (HEIGHT * u32::from(level));
            upper.push(log::roots(conn, level - 1, hashes - width, width).await?);
        }
    }
    Edge::restore(size, entries, upper)
        .map_err(|error| Error::internal("the log lacks leaves or tiles", error))
}

/// Tells whether a tree of `size` leaves has a tile, whole as it is named.
#[must_use]
pub fn has(tile: Tile, size: u64) -> bool {
    let height = match tile.level() {
        Level::Entries => 0,
        Level::Hashes(level) => HEIGHT * u32::from(level),
    };
    let hashes = size.checked_shr(height).unwrap_or(0);
    tile.index()
        .checked_mul(u64::from(WIDTH))
        .and_then(|first| first.checked_add(u64::from(tile.width())))
        .is_some_and(|end| end <= hashes)
}

/// Gives the bytes of a tile that the tree [`has`].
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when it lacks what the tile consists of.
pub async fn tile(conn: &mut Connection, tile: Tile) -> Result<Vec<u8>> {
    let lacking = || Error::Corrupt { table: "log_tiles", column: "index", row: tile.path() };
    let level = match tile.level() {
        Level::Entries => None,
        Level::Hashes(level) => Some(level),
    };
    if tile.is_full() {
        return log::find_tile(conn, level, tile.index()).await?.ok_or_else(lacking);
    }
    // A part of what has become full is a part of one row.
    if let Some(full) = log::find_tile(conn, level, tile.index()).await? {
        let width = usize::from(tile.width());
        let part = match level {
            Some(_) => full.get(..width * 32).map(<[u8]>::to_vec),
            None => bundle::decode(&full)
                .ok()
                .and_then(|leaves| bundle::encode(leaves.into_iter().take(width)).ok()),
        };
        return part.ok_or_else(lacking);
    }
    let (first, width) = (tile.index() * u64::from(WIDTH), u64::from(tile.width()));
    let bytes = match level {
        Some(level) if level > 0 => log::roots(conn, level - 1, first, width).await?.concat(),
        _ => {
            let leaves = log::leaves(conn, first, width).await?;
            let entries: Vec<Vec<u8>> = leaves.iter().map(Leaf::encode).collect();
            if entries.len() != usize::from(tile.width()) {
                return Err(lacking());
            }
            match level {
                None => bundle::encode(&entries)
                    .map_err(|error| Error::internal("an event makes no leaf", error))?,
                Some(_) => {
                    entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>().concat()
                }
            }
        }
    };
    match level {
        Some(_) if bytes.len() != usize::from(tile.width()) * 32 => Err(lacking()),
        _ => Ok(bytes),
    }
}

/// Proves that the leaf `index` stands in the tree of `size` leaves (RFC 6962, section 2.1.1).
///
/// # Errors
/// [`Error::Internal`] when there is no such leaf, or the database fails.
pub async fn inclusion(conn: &mut Connection, index: u64, size: u64) -> Result<Vec<Hash>> {
    let plan = Plan::inclusion(index, size)
        .map_err(|error| Error::internal("no proof of inclusion", error))?;
    resolve(conn, &plan).await
}

/// Proves that the tree of `new` leaves goes on from the tree of `old` (RFC 6962, section 2.1.2).
///
/// # Errors
/// [`Error::Internal`] when it cannot, or the database fails.
pub async fn consistency(conn: &mut Connection, old: u64, new: u64) -> Result<Vec<Hash>> {
    let plan = Plan::consistency(old, new)
        .map_err(|error| Error::internal("no proof of consistency", error))?;
    resolve(conn, &plan).await
}

async fn resolve(conn: &mut Connection, plan: &Plan) -> Result<Vec<Hash>> {
    let mut tiles = HashMap::new();
    for wanted in plan.tiles() {
        let bytes = tile(conn, *wanted).await?;
        tiles.insert(*wanted, bytes);
    }
    plan.resolve(&tiles).map_err(|error| Error::internal("the tiles do not make a proof", error))
}
