//! How many leaves a second `propusk audit verify` checks in a folder: `cargo bench --bench verify [-- LEAVES]`.
//!
//! Writes a log of that many leaves (2,000,000 when not told) under `target/`, verifies it with one reader and with
//! one for each core, prints the rates, and removes it again.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on stops")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use propusk::audit::checkpoint::Checkpoint;
use propusk::audit::merkle::{Frontier, Hash, leaf_hash, node_hash};
use propusk::audit::note::{LogKey, LogKeys};
use propusk::audit::source::{Folder, Source, SourceError};
use propusk::audit::tile::{Level, bundle, tiles_of};
use propusk::audit::verify::verify;
use propusk::domain::event::leaf::Leaf;
use uuid::Uuid;

/// A folder that is read by one reader.
struct One(Folder);

impl Source for One {
    fn get(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
        self.0.get(path, most)
    }

    fn at_once(&self) -> usize {
        1
    }
}

fn main() {
    let size = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(2_000_000);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-log");
    let _ = fs::remove_dir_all(&folder);
    let key = LogKey::generate("log.example/bench", [1; 32]).expect("the name is fit for a key");
    let keys = LogKeys::new(vec![key]).expect("there is one key");
    let bytes = publish(&folder, size, &keys);
    println!("{size} leaves, {} bytes each in bundles", bytes / size.max(1));
    let folder = Folder(folder);
    for (named, source) in
        [("one reader", &One(folder.clone()) as &dyn Source), ("a reader for each core", &folder)]
    {
        let mut best = 0.0_f64;
        for _ in 0..3 {
            let begun = Instant::now();
            verify(source, &keys.verifiers(), None, &mut |_| {}).expect("the log is in order");
            best = best.max(size as f64 / begun.elapsed().as_secs_f64());
        }
        println!("{named}: {best:.0} leaves a second");
    }
    let _ = fs::remove_dir_all(&folder.0);
}

fn leaf(index: u64) -> Vec<u8> {
    Leaf {
        at: 1_795_514_400 + i64::try_from(index / 5000).unwrap_or(0),
        commitment: leaf_hash(&index.to_le_bytes()),
        event: Uuid::from_u128(u128::from(index) << 40 | 7 << 76),
        kind: "paymentReceived".to_owned(),
        pseudonym: Some(Uuid::from_u128(u128::from(index) * 3).into_bytes()),
        seq: i32::try_from(index % 30).ok(),
        track: Some("patent".to_owned()),
        unit: Some("77".to_owned()),
        workflow: Some(1),
    }
    .encode()
}

/// Writes the log and gives how many bytes its bundles have.
fn publish(folder: &Path, size: u64, keys: &LogKeys) -> u64 {
    let mut rows: Vec<Vec<Hash>> = vec![(0..size).map(|index| leaf_hash(&leaf(index))).collect()];
    while let Some(row) = rows.last().filter(|row| row.len() >= 256) {
        let above = row.chunks_exact(256).map(root).collect();
        rows.push(above);
    }
    let mut bytes = 0;
    for tile in tiles_of(size) {
        let start = tile.index() * 256;
        let end = start + u64::from(tile.width());
        let content = match tile.level() {
            Level::Entries => bundle::encode((start..end).map(leaf)).expect("leaves are short"),
            Level::Hashes(level) => rows[usize::from(level)][start as usize..end as usize].concat(),
        };
        if tile.level() == Level::Entries {
            bytes += content.len() as u64;
        }
        let path = folder.join(tile.path());
        fs::create_dir_all(path.parent().expect("a tile lies in a folder")).expect("a folder");
        fs::write(path, content).expect("a tile");
    }
    let mut frontier = Frontier::new();
    rows[0].iter().for_each(|hash| frontier.push(*hash));
    let checkpoint = Checkpoint { origin: keys.name().to_owned(), size, root: frontier.root() };
    let note = keys.sign_checkpoint(&checkpoint, 1_795_600_000).expect("the keys are the log's");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("checkpoint"), note).expect("a checkpoint");
    bytes
}

fn root(row: &[Hash]) -> Hash {
    match row {
        [hash] => *hash,
        _ => {
            let (left, right) = row.split_at(row.len() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}
