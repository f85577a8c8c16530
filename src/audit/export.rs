//! Writes the published log into a folder: the very files that are served, for a mirror or for an archive.
//!
//! Goes on from what the folder has. The checkpoint comes last, so a folder is whole at every moment: what its
//! checkpoint speaks of is there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::file::{self, Readers};
use super::note::{self, LONGEST_NOTE, SignedCheckpoint, VerifierKey};
use super::tile::{Tile, new_tiles, tiles_of};
use super::tree;
use crate::error::{Error, Result};
use crate::storage::{Db, log};

/// What an export did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Leaves that the folder had before.
    pub before: u64,
    /// Leaves that it has now.
    pub size: u64,
    /// Files that were written, but for the checkpoint.
    pub files: u64,
}

/// Brings a folder up to the published checkpoint.
///
/// # Errors
/// [`Error::Internal`] when nothing is published yet, the folder holds another log, or the checkpoint in it is not of
/// this database's tree; when the database or the disk fails. What the folder had is then still whole.
pub async fn export(
    db: &Db,
    directory: &Path,
    keys: &[VerifierKey],
    progress: &dyn Fn(u64, u64),
) -> Result<Exported> {
    let mut conn = db.conn().await?;
    let published = log::find_published(&mut conn).await?.ok_or_else(|| {
        Error::bug("nothing is published yet; the sequencer of serve or worker does it")
    })?;
    let new = open(&published.note, keys, "the published checkpoint")?.checkpoint;
    let before = match had(directory, keys)? {
        None => 0,
        Some(signed) => {
            let old = signed.checkpoint;
            let same = old.origin == new.origin && old.size <= new.size;
            if !same || tree::edge(&mut conn, old.size).await?.root() != old.root {
                return Err(Error::bug(format!(
                    "{} holds a checkpoint that the published log does not go on from; export into another folder, and \
                     keep this one: it may prove what was changed",
                    directory.display()
                )));
            }
            old.size
        }
    };
    let count = new_tiles(before, new.size).count() as u64;
    for (done, tile) in (0..).zip(new_tiles(before, new.size)) {
        let bytes = tree::tile(&mut conn, tile).await?;
        write(directory, tile, &bytes)?;
        progress(done + 1, count);
    }
    replace(&directory.join("checkpoint"), published.note.as_bytes())?;
    for tile in tiles_of(before).filter(|tile| !tile.is_full()) {
        remove_if_full_now(directory, tile);
    }
    Ok(Exported { before, size: new.size, files: count })
}

fn open(text: &str, keys: &[VerifierKey], what: &str) -> Result<SignedCheckpoint> {
    note::open_checkpoint(text, keys)
        .map_err(|error| Error::internal(format!("{what} is not signed by the log's keys"), error))
}

/// Reads the checkpoint of a folder that was exported to before.
fn had(directory: &Path, keys: &[VerifierKey]) -> Result<Option<SignedCheckpoint>> {
    let path = directory.join("checkpoint");
    match file::read_text(&path, LONGEST_NOTE) {
        Ok(text) => open(&text, keys, &path.display().to_string()).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::internal(format!("cannot read {}", path.display()), error)),
    }
}

fn write(directory: &Path, tile: Tile, bytes: &[u8]) -> Result<()> {
    let path = directory.join(tile.path());
    fs::create_dir_all(path.parent().unwrap_or(directory)).map_err(|error| {
        Error::internal(format!("cannot make the folder of {}", path.display()), error)
    })?;
    replace(&path, bytes)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    file::replace(path, bytes, Readers::Everyone)
        .map_err(|error| Error::internal(format!("cannot write {}", path.display()), error))
}

/// Removes the parts of a tile that is whole by now. One that stays is no harm.
fn remove_if_full_now(directory: &Path, tile: Tile) {
    let Some(full) = Tile::full(tile.level(), tile.index()) else { return };
    if directory.join(full.path()).exists()
        && let Some(parts) = directory.join(tile.path()).parent()
    {
        let _ = fs::remove_dir_all(parts);
    }
}
