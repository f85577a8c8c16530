use std::collections::BTreeMap;
use std::sync::Mutex;

use uuid::Uuid;

use super::super::checkpoint::Checkpoint;
use super::super::note::{LogKey, LogKeys};
use super::super::tile::{new_tiles, tiles_of};
use super::*;

const ORIGIN: &str = "log.example/work";

/// A log in memory, which remembers what was read of it.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    read: Mutex<Vec<String>>,
}

impl Source for Memory {
    fn get(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
        self.read.lock().unwrap().push(path.to_owned());
        let bytes = self.files.get(path).cloned();
        match bytes {
            Some(bytes) if bytes.len() > most => {
                Err(SourceError { path: path.to_owned(), why: "it is too long".to_owned() })
            }
            bytes => Ok(bytes),
        }
    }

    fn at_once(&self) -> usize {
        3
    }
}

fn keys() -> LogKeys {
    LogKeys::new(vec![LogKey::generate(ORIGIN, [1; 32]).unwrap()]).unwrap()
}

fn leaf(index: u64) -> Vec<u8> {
    Leaf {
        at: 1_795_514_400 + index as i64,
        commitment: leaf_hash(&index.to_be_bytes()),
        event: Uuid::from_u128(index.into()),
        kind: "accepted".to_owned(),
        pseudonym: Some([index as u8; 16]),
        seq: Some(index as i32 + 1),
        track: Some("patent".to_owned()),
        unit: Some("77".to_owned()),
        workflow: Some(1),
    }
    .encode()
}

fn leaves(size: u64) -> Vec<Vec<u8>> {
    (0..size).map(leaf).collect()
}

/// Writes the log of these leaves.
fn publish(leaves: &[Vec<u8>], keys: &LogKeys) -> Memory {
    let mut memory = Memory::default();
    let mut frontier = Frontier::new();
    let mut rows: Vec<Vec<Hash>> = vec![leaves.iter().map(|leaf| leaf_hash(leaf)).collect()];
    rows[0].iter().for_each(|hash| frontier.push(*hash));
    while let Some(row) = rows.last().filter(|row| row.len() >= 256) {
        rows.push(row.chunks_exact(256).map(|row| row_root(row).unwrap()).collect());
    }
    for tile in tiles_of(leaves.len() as u64) {
        let start = tile.index() as usize * 256;
        let range = start..start + usize::from(tile.width());
        let bytes = match tile.level() {
            Level::Entries => bundle::encode(&leaves[range]).unwrap(),
            Level::Hashes(level) => rows[usize::from(level)][range].concat(),
        };
        memory.files.insert(tile.path(), bytes);
    }
    sign(&mut memory, leaves.len() as u64, frontier.root(), keys);
    memory
}

fn sign(memory: &mut Memory, size: u64, root: Hash, keys: &LogKeys) {
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root };
    let note = keys.sign_checkpoint(&checkpoint, 1_795_600_000).unwrap();
    memory.files.insert("checkpoint".to_owned(), note.into_bytes());
}

fn check(memory: &Memory, trusted: Option<&SignedCheckpoint>) -> Result<Report, String> {
    let mut last = Progress { read: 0, of: 0 };
    let found = verify(memory, &keys().verifiers(), trusted, &mut |progress| {
        assert!(progress.read >= last.read && progress.read <= progress.of);
        last = progress;
    });
    if found.is_ok() {
        assert_eq!(last.read, last.of);
    }
    found.map_err(|broken| broken.to_string())
}

fn trusted(size: u64) -> SignedCheckpoint {
    let mut frontier = Frontier::new();
    (0..size).for_each(|index| frontier.push(leaf_hash(&leaf(index))));
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: frontier.root() };
    let note = keys().sign_checkpoint(&checkpoint, 1_795_600_000).unwrap();
    note::open_checkpoint(&note, &keys().verifiers()).unwrap()
}

#[test]
fn a_log_in_order_is_found_in_order() {
    for size in [0, 1, 2, 255, 256, 257, 512, 1000] {
        let memory = publish(&leaves(size), &keys());
        let report = check(&memory, None).unwrap();
        assert_eq!((report.signed.checkpoint.size, report.trusted), (size, 0));
        let mut read = memory.read.lock().unwrap().clone();
        read.sort();
        let mut all: Vec<String> = memory.files.keys().cloned().collect();
        all.sort();
        assert_eq!(read, all, "each file is read, once");
    }
}

#[test]
fn a_log_of_three_levels_is_found_in_order_and_what_is_wrong_on_top_is_named() {
    let all = leaves(65_536 + 300);
    let mut memory = publish(&all, &keys());
    check(&memory, None).unwrap();
    for (path, told) in [
        ("tile/1/000", "tile tile/0/010: its root is not hash 10 of tile/1/000"),
        ("tile/1/001.p/1", "tile tile/0/256: its root is not hash 0 of tile/1/001.p/1"),
        ("tile/2/000.p/1", "tile tile/1/000: its root is not hash 0 of tile/2/000.p/1"),
    ] {
        let place = if path == "tile/1/000" { 32 * 10 + 3 } else { 3 };
        memory.files.get_mut(path).unwrap()[place] ^= 1;
        assert_eq!(check(&memory, None).unwrap_err(), told);
        memory.files.get_mut(path).unwrap()[place] ^= 1;
    }
    // From a trusted checkpoint in the middle: three levels are taken up, and little is read.
    for old in [65_536, 65_535, 65_800, 40_000] {
        let before = trusted(old);
        memory.read.lock().unwrap().clear();
        let report = check(&memory, Some(&before)).unwrap();
        assert_eq!(report.trusted, old);
        let read = memory.read.lock().unwrap().len() as u64;
        assert!(read <= 2 * (65_836 - old).div_ceil(256) + 7, "{read} files from {old}");
    }
    let level_one = memory.files.get_mut("tile/1/000").unwrap();
    level_one[5] ^= 1;
    assert_eq!(
        check(&memory, Some(&trusted(40_000))).unwrap_err(),
        "checkpoint: the log is not a continuation of the trusted checkpoint: its first 40000 leaves have another root now"
    );
}

#[test]
fn every_kind_of_tampering_is_found_and_named() {
    type Change = fn(&mut Memory);
    let cases: [(&str, Change); 19] = [
        (
            "entry bundle tile/entries/002, leaf 600: the leaf is not of the form at byte 0: a leaf begins with its time",
            |log| replace_leaf(log, "tile/entries/002", 88, |leaf| leaf[0] = b'['),
        ),
        (
            "entry bundle tile/entries/002, leaf 600: it is not the leaf whose hash stands in tile/0/002",
            |log| replace_leaf(log, "tile/entries/002", 88, |leaf| leaf[10] = b'7'),
        ),
        (
            "entry bundle tile/entries/003.p/232, leaf 999: it is not the leaf whose hash stands in tile/0/003.p/232",
            |log| replace_leaf(log, "tile/entries/003.p/232", 231, |one| *one = leaf(1)),
        ),
        ("entry bundle tile/entries/001: it has 255 leaves where it must have 256", |log| {
            edit(log, "tile/entries/001", |leaves| drop(leaves.remove(7)));
        }),
        ("entry bundle tile/entries/001: it has 257 leaves where it must have 256", |log| {
            edit(log, "tile/entries/001", |leaves| leaves.insert(7, leaf(5)));
        }),
        (
            "entry bundle tile/entries/001, leaf 263: it is not the leaf whose hash stands in tile/0/001",
            |log| edit(log, "tile/entries/001", |leaves| leaves.swap(7, 8)),
        ),
        ("entry bundle tile/entries/001: the bundle ends within its leaf 255", |log| {
            log.files.get_mut("tile/entries/001").unwrap().pop();
        }),
        ("entry bundle tile/entries/001: it is missing", |log| {
            log.files.remove("tile/entries/001").unwrap();
        }),
        ("tile tile/0/003.p/232: it is missing", |log| {
            log.files.remove("tile/0/003.p/232").unwrap();
        }),
        ("tile tile/1/000.p/3: it is missing", |log| {
            log.files.remove("tile/1/000.p/3").unwrap();
        }),
        ("tile tile/0/001 has 8191 bytes where it must have 8192", |log| {
            log.files.get_mut("tile/0/001").unwrap().pop();
        }),
        ("cannot read tile/0/001: it is too long", |log| {
            log.files.get_mut("tile/0/001").unwrap().push(0);
        }),
        (
            "entry bundle tile/entries/000, leaf 2: it is not the leaf whose hash stands in tile/0/000",
            |log| log.files.get_mut("tile/0/000").unwrap()[64] ^= 1,
        ),
        ("tile tile/0/001: its root is not hash 1 of tile/1/000.p/3", |log| {
            log.files.get_mut("tile/1/000.p/3").unwrap()[32] ^= 1;
        }),
        // Leaf and hash changed together: found one level up.
        ("tile tile/0/001: its root is not hash 1 of tile/1/000.p/3", |log| {
            edit(log, "tile/entries/001", |leaves| leaves[7] = leaf(5));
            log.files.get_mut("tile/0/001").unwrap()[7 * 32..8 * 32]
                .copy_from_slice(&leaf_hash(&leaf(5)));
        }),
        // Everything changed together: the signature holds.
        ("checkpoint: the root it signs is not that of the log's 1000 leaves", |log| {
            let mut all = leaves(1000);
            all.swap(0, 999);
            let other = publish(&all, &keys());
            let signed = log.files.remove("checkpoint").unwrap();
            log.files = other.files;
            log.files.insert("checkpoint".to_owned(), signed);
        }),
        ("checkpoint: the note is not signed by any of the keys that were given", |log| {
            let other = LogKey::generate(ORIGIN, [2; 32]).unwrap();
            sign(log, 1000, [0; 32], &LogKeys::new(vec![other]).unwrap());
        }),
        ("checkpoint: the signature of log.example/work does not match the text", |log| {
            let note = String::from_utf8(log.files["checkpoint"].clone()).unwrap();
            log.files.insert("checkpoint".to_owned(), note.replace("\n1000\n", "\n1001\n").into());
        }),
        ("cannot read checkpoint: there is none", |log| {
            log.files.remove("checkpoint").unwrap();
        }),
    ];
    let all = leaves(1000);
    for (told, change) in cases {
        let mut log = publish(&all, &keys());
        change(&mut log);
        assert_eq!(check(&log, None).unwrap_err(), told);
    }
}

fn edit(log: &mut Memory, path: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let bytes = log.files.get_mut(path).unwrap();
    let mut leaves: Vec<Vec<u8>> =
        bundle::decode(bytes).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    change(&mut leaves);
    *bytes = bundle::encode(leaves).unwrap();
}

fn replace_leaf(log: &mut Memory, path: &str, place: usize, change: impl FnOnce(&mut Vec<u8>)) {
    edit(log, path, |leaves| change(&mut leaves[place]));
}

#[test]
fn a_log_that_goes_back_or_forks_after_a_trusted_checkpoint_is_found() {
    let before = trusted(700);
    let all = leaves(1000);
    check(&publish(&all, &keys()), Some(&before)).unwrap();
    check(&publish(&all[..700], &keys()), Some(&before)).unwrap();
    assert_eq!(
        check(&publish(&all[..699], &keys()), Some(&before)).unwrap_err(),
        "checkpoint: the log went back from 700 leaves, which it once signed, to 699"
    );
    let forked = "checkpoint: the log is not a continuation of the trusted checkpoint: its first 700 leaves have another root now";
    for changed in [0, 511, 512, 699] {
        let mut other = all.clone();
        other[changed] = leaf(5000);
        assert_eq!(check(&publish(&other, &keys()), Some(&before)).unwrap_err(), forked);
        assert_eq!(check(&publish(&other[..700], &keys()), Some(&before)).unwrap_err(), forked);
    }
    let mut other = all.clone();
    other[700] = leaf(5000);
    check(&publish(&other, &keys()), Some(&before)).unwrap();

    let mut foreign = before;
    foreign.checkpoint.origin = "other.example".to_owned();
    assert_eq!(
        check(&publish(&all, &keys()), Some(&foreign)).unwrap_err(),
        "checkpoint: it is of log.example/work, and the trusted one of other.example"
    );
}

#[test]
fn what_a_trusted_checkpoint_vouches_for_is_not_read_again() {
    let memory = publish(&leaves(1000), &keys());
    let report = check(&memory, Some(&trusted(800))).unwrap();
    assert_eq!(report.trusted, 800);
    let mut read = memory.read.lock().unwrap().clone();
    read.sort();
    assert_eq!(
        read,
        ["checkpoint", "tile/0/003.p/232", "tile/1/000.p/3", "tile/entries/003.p/232"]
    );
}

#[test]
fn partial_tiles_that_are_no_longer_kept_are_cut_from_full_ones() {
    let mut memory = publish(&leaves(1000), &keys());
    let grown = publish(&leaves(1100), &keys());
    for tile in new_tiles(1000, 1100).filter(|tile| tile.is_full()) {
        memory.files.insert(tile.path(), grown.files[&tile.path()].clone());
    }
    memory.files.retain(|path, _| !path.starts_with("tile/0/003.p") && !path.contains("s/003.p"));
    check(&memory, None).unwrap();
}

#[test]
fn a_tree_without_leaves_has_the_root_of_none() {
    let mut memory = publish(&[], &keys());
    sign(&mut memory, 0, [7; 32], &keys());
    assert_eq!(
        check(&memory, None).unwrap_err(),
        "checkpoint: the root it signs is not that of the log's 0 leaves"
    );
}
