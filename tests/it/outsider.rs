//! What somebody outside can check of the public log, what he cannot learn from it, and how long a receipt holds.
//!
//! The checking is other people's code: `signed_note` for the note, `tlog_tiles` for the tree and every proof, and
//! `sha2`, `hmac`, `base64` and `serde_json` for the leaf. Nothing of `propusk::audit` or `propusk::domain` takes part in
//! it, so that an error which our writer and our verifier share shows here. Where our own code is used, it makes keys and
//! signs with them; and the last section holds our verifier against keys that have changed.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Days, TimeDelta};
use hmac::{Hmac, KeyInit as _, Mac as _};
use propusk::audit::note::{LogKey, LogKeys};
use propusk::audit::receipt::{Receipt, ReceiptError};
use propusk::audit::sequencer::{Sequencer, SequencerOptions, SequencerParts};
use propusk::casework::erasure::{Reason, Whose};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signed_note::{Note, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::{
    Checkpoint, Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree,
    prove_record, prove_tree, record_hash, stored_hash_index, stored_hashes, tree_hash,
};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::app::{
    self, AUDITOR, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, PEOPLE, Person, Reply, SENIOR,
    TestApp,
};
use crate::support::db::test_dir;
use crate::support::drive::{Case, fresh};

// ── A stranger's tools ───────────────────────────────────────────────────────────────────────────────────────

type Checked<T> = Result<T, Box<dyn Error>>;

/// Hashes a tile.
const HEIGHT: u8 = 8;

/// Tiles by the paths of tlog-tiles, as they were fetched.
#[derive(Clone)]
struct Tiles(BTreeMap<String, Vec<u8>>);

/// Where the log serves what `tlog_tiles` names after the Go checksum database.
fn path_of(tile: &Tile) -> String {
    let path = tile.path();
    let below = path.strip_prefix("tile/8/").unwrap();
    match below.strip_prefix("data/") {
        Some(number) => format!("tile/entries/{number}"),
        None => format!("tile/{below}"),
    }
}

fn bundle_of(tile: &Tile) -> Tile {
    let mut bundle = *tile;
    bundle.set_is_data();
    bundle
}

impl TileReader for Tiles {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile| self.0.get(&path_of(tile)).cloned();
        tiles.iter().map(|tile| read(tile).ok_or(tlog_tiles::Error::InvalidTile)).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// A tree that was computed from leaves.
#[derive(Default)]
struct Computed(Vec<Hash>);

impl HashReader for Computed {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let read = |index: &u64| self.0.get(usize::try_from(*index).ok()?).copied();
        indexes.iter().map(|index| read(index).ok_or(tlog_tiles::Error::IndexesNotInTree)).collect()
    }
}

/// Reads a checkpoint that the key has signed.
fn check_note(vkey: &str, note: &[u8]) -> Checked<Checkpoint> {
    let verifier = StandardVerifier::new(vkey)?;
    let name = verifier.name().to_owned();
    let note = Note::from_bytes(note)?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)]))?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|error| error.to_string())?;
    if checkpoint.origin() == name { Ok(checkpoint) } else { Err("another log's".into()) }
}

/// Holds every hash tile against the signed root.
///
/// The reader of `tlog_tiles` 0.2 holds the tiles on the tree's edge against the root, but passes over some of the full
/// ones below (as many as the edge has hashes more than tiles); so each full one is held against its parent here.
fn check_tiles(checkpoint: &Checkpoint, tiles: &Tiles) -> Checked<()> {
    let size = checkpoint.size();
    let reader = TileHashReader::new(size, *checkpoint.hash(), tiles);
    let get = |tile: &Tile| tiles.0.get(&path_of(tile)).ok_or("a tile is missing");
    for tile in Tile::new_tiles(HEIGHT, 0, size) {
        let data = get(&tile)?;
        let whole = tile.width() == 1 << HEIGHT;
        if let Some(parent) = tile.parent(1, size).filter(|_| whole) {
            let index = stored_hash_index(HEIGHT * parent.level(), tile.level_index());
            if parent.hash_at_index(get(&parent)?, index)? != Tile::subtree_hash(data) {
                return Err(format!("{} is not that of its parent", path_of(&tile)).into());
            }
        }
        if *data != tile.read_data(&reader)? {
            return Err(format!("{} is not of the tree", path_of(&tile)).into());
        }
    }
    Ok(())
}

/// Takes the leaves out of a bundle.
fn leaves_of(mut bundle: &[u8]) -> Checked<Vec<&[u8]>> {
    let mut leaves = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (leaf, rest) = rest.split_at_checked(length).ok_or("a leaf is cut off")?;
        leaves.push(leaf);
        bundle = rest;
    }
    if bundle.is_empty() { Ok(leaves) } else { Err("something follows the leaves".into()) }
}

/// Computes the tree anew from the bundles, and holds its root against the signed one.
fn check_bundles(checkpoint: &Checkpoint, tiles: &Tiles) -> Checked<Computed> {
    let (mut tree, mut number) = (Computed::default(), 0);
    let level = Tile::new_tiles(HEIGHT, 0, checkpoint.size()).into_iter();
    for tile in level.filter(|tile| tile.level() == 0) {
        let bundle = tiles.0.get(&path_of(&bundle_of(&tile))).ok_or("a bundle is missing")?;
        let leaves = leaves_of(bundle)?;
        if leaves.len() != usize::try_from(tile.width())? {
            return Err("a bundle has more or fewer leaves than its tile".into());
        }
        for leaf in leaves {
            let hashes = stored_hashes(number, leaf, &tree)?;
            tree.0.extend(hashes);
            number += 1;
        }
    }
    if tree_hash(checkpoint.size(), &tree)? == *checkpoint.hash() {
        Ok(tree)
    } else {
        Err("the leaves are not those of the signed root".into())
    }
}

/// Checks all that a log has published.
fn check_log(vkey: &str, note: &[u8], tiles: &Tiles) -> Checked<Checkpoint> {
    let checkpoint = check_note(vkey, note)?;
    check_tiles(&checkpoint, tiles)?;
    check_bundles(&checkpoint, tiles)?;
    Ok(checkpoint)
}

/// A receipt, read by hand.
struct Proof<'a> {
    extra: Vec<u8>,
    index: u64,
    hashes: Vec<Hash>,
    note: &'a str,
}

fn hash(line: &str) -> Checked<Hash> {
    let bytes = STANDARD.decode(line)?;
    Ok(Hash(bytes.try_into().map_err(|_| "not 32 bytes")?))
}

fn parse(file: &str) -> Checked<Proof<'_>> {
    let (head, note) = file.split_once("\n\n").ok_or("no blank line")?;
    let mut lines = head.lines();
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err("no proof".into());
    }
    let mut line = |start: &str| -> Checked<&str> {
        Ok(lines.next().and_then(|line| line.strip_prefix(start)).ok_or(start)?)
    };
    let extra = STANDARD.decode(line("extra ")?)?;
    let index = line("index ")?.parse()?;
    let hashes = lines.map(hash).collect::<Checked<_>>()?;
    Ok(Proof { extra, index, hashes, note })
}

fn write(proof: &Proof<'_>) -> String {
    let extra = STANDARD.encode(&proof.extra);
    let hashes: String = proof.hashes.iter().map(|hash| STANDARD.encode(hash.0) + "\n").collect();
    let (index, note) = (proof.index, proof.note);
    format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{hashes}\n{note}")
}

/// Where in the extra data the bytes are that were hashed: leaf, private content, salt.
fn parts(extra: &[u8]) -> Checked<[Range<usize>; 3]> {
    let mut at = 0;
    let mut part = |before: &str| -> Checked<Range<usize>> {
        let rest = extra.get(at..).and_then(|rest| rest.strip_prefix(before.as_bytes()));
        let mut values = serde_json::Deserializer::from_slice(rest.ok_or(before.to_owned())?)
            .into_iter::<Value>();
        values.next().ok_or(before.to_owned())??;
        let start = at + before.len();
        at = start + values.byte_offset();
        Ok(start..at)
    };
    let all = [part("{\"leaf\":")?, part(",\"private\":")?, part(",\"salt\":")?];
    if &extra[all[2].end..] == b",\"v\":1}" { Ok(all) } else { Err("another form".into()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Checked<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| Ok(std::str::from_utf8(pair)?));
    pairs.map(|pair: Checked<&str>| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

/// Checks a receipt, and that it speaks of the application; gives leaf and private content.
fn check_receipt(vkey: &str, file: &str, application: &str) -> Checked<(Value, Value)> {
    let proof = parse(file)?;
    let tree = check_note(vkey, proof.note.as_bytes())?;
    let [leaf, private, salt] = parts(&proof.extra)?.map(|range| &proof.extra[range]);
    check_record(&proof.hashes, tree.size(), *tree.hash(), proof.index, record_hash(leaf))?;
    let salt = unhex(&serde_json::from_slice::<String>(salt)?)?;
    let commitment = Sha256::digest([&salt[..], private].concat());
    let pseudonym =
        Hmac::<Sha256>::new_from_slice(&salt)?.chain_update(application).finalize().into_bytes();
    let (leaf, private): (Value, Value) =
        (serde_json::from_slice(leaf)?, serde_json::from_slice(private)?);
    if leaf["commitment"] != hex(&commitment) {
        return Err("the content is not what was committed to".into());
    }
    if leaf["pseudonym"] != hex(&pseudonym[..16]) || private["application"] != application {
        return Err("it is of another application".into());
    }
    if leaf["event"] != private["event"] {
        return Err("leaf and content are of two events".into());
    }
    Ok((leaf, private))
}

// ── What he fetches ──────────────────────────────────────────────────────────────────────────────────────────

async fn fetch(app: &TestApp, path: &str) -> Vec<u8> {
    app.get(path).send().await.expect(200).body.to_vec()
}

async fn checkpoint(app: &TestApp) -> Vec<u8> {
    fetch(app, "/log/checkpoint").await
}

/// Fetches everything that a tree of this size has.
async fn fetch_tiles(app: &TestApp, size: u64) -> Tiles {
    let mut files = BTreeMap::new();
    for tile in Tile::new_tiles(HEIGHT, 0, size) {
        let bundle = (tile.level() == 0).then(|| bundle_of(&tile));
        for path in [Some(tile), bundle].iter().flatten().map(path_of) {
            let bytes = fetch(app, &format!("/log/{path}")).await;
            files.insert(path, bytes);
        }
    }
    Tiles(files)
}

/// The key that the log's operator gives to everybody.
fn vkey(app: &TestApp) -> String {
    app.app.log_keys.verifiers()[0].to_string()
}

/// Writes events about nobody.
async fn insert(client: &Client, count: i32) {
    client
        .execute(
            "INSERT INTO events (id, at, kind, actor_role, content, salt, commitment) \
             SELECT gen_random_uuid(), now(), 'filler', 'operator', '{}', sha256(n::text::bytea), \
             sha256(n::text::bytea) FROM generate_series(1, $1) AS n",
            &[&count],
        )
        .await
        .unwrap();
}

/// The first event of a kind in an application's history.
async fn event_of(app: &TestApp, case: &Case, kind: &str) -> String {
    let history = app.get(&case.path("/history?limit=100")).by(case.applicant).send().await;
    let history = history.expect(200).json();
    let mut items = history["items"].as_array().unwrap().iter();
    items.find(|item| item["kind"] == kind).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn receipt(app: &TestApp, case: &Case, event: &str) -> String {
    let path = case.path(&format!("/history/{event}/receipt"));
    app.get(&path).by(case.applicant).send().await.expect(200).text()
}

// ── What he can check ────────────────────────────────────────────────────────────────────────────────────────

/// Some places in bytes, the first and the last among them.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let last = bytes.len() - 1;
    (0..last).step_by(bytes.len() / 5 + 1).chain([last])
}

#[actix_web::test]
async fn an_outsider_checks_the_whole_log_with_other_peoples_tools_and_a_changed_byte_fails() {
    let app = TestApp::spawn().await;
    app.granted(MIGRANT).await;
    let sql = app.sql().await;
    insert(&sql, 300).await;
    app.publish().await;
    let vkey = vkey(&app);
    let older = check_note(&vkey, &checkpoint(&app).await).unwrap();
    insert(&sql, 700).await;
    app.publish().await;
    let note = checkpoint(&app).await;
    let tree = check_note(&vkey, &note).unwrap();
    assert!(older.size() > 300 && tree.size() == older.size() + 700);
    assert_eq!(tree.origin(), "permits.example.org/log");

    let tiles = fetch_tiles(&app, tree.size()).await;
    assert!(tiles.0.len() >= 11, "{:?}", tiles.0.keys());
    check_log(&vkey, &note, &tiles).unwrap();
    // Leaves and hashes that were served are of one tree, leaf by leaf.
    let computed = check_bundles(&tree, &tiles).unwrap();
    let reader = TileHashReader::new(tree.size(), *tree.hash(), &tiles);
    let leaves: Vec<u64> = (0..tree.size()).map(|index| stored_hash_index(0, index)).collect();
    assert_eq!(reader.read_hashes(&leaves).unwrap(), computed.read_hashes(&leaves).unwrap());
    // What was published before is served as it was, parts that have become whole included.
    let before = fetch_tiles(&app, older.size()).await;
    check_tiles(&older, &before).unwrap();
    check_bundles(&older, &before).unwrap();

    // One byte of any tile or bundle.
    for (path, bytes) in &tiles.0 {
        for place in places(bytes) {
            let mut changed = tiles.clone();
            changed.0.get_mut(path).unwrap()[place] ^= 1;
            let (hashes, entries) =
                (check_tiles(&tree, &changed).is_err(), check_bundles(&tree, &changed).is_err());
            let bundle = path.starts_with("tile/entries/");
            assert_eq!((hashes, entries), (!bundle, bundle), "{path} at {place}");
            check_log(&vkey, &note, &changed).map(drop).unwrap_err();
        }
        let mut less = tiles.clone();
        less.0.remove(path);
        check_log(&vkey, &note, &less).map(drop).unwrap_err();
    }
    check_log(&vkey, &note, &before).map(drop).unwrap_err();
    a_changed_note_fails(&vkey, std::str::from_utf8(&note).unwrap());
    a_log_that_goes_on_is_proved(&app, &older, &tree, &reader).await;
}

/// Changes each byte of what is signed, and of the log's signature of it.
fn a_changed_note_fails(vkey: &str, note: &str) {
    let (text, signatures) = note.split_once("\n\n").unwrap();
    for place in 0..=text.len() {
        let mut changed = note.as_bytes().to_vec();
        changed[place] ^= 1;
        check_note(vkey, &changed).map(drop).expect_err(&format!("text at {place}"));
    }
    let name = vkey.split('+').next().unwrap();
    let first = signatures.lines().next().unwrap();
    let start = format!("— {name} ");
    let signature = STANDARD.decode(first.strip_prefix(&start).unwrap()).unwrap();
    assert_eq!(signature.len(), 4 + 64);
    for place in 0..signature.len() {
        let mut changed = signature.clone();
        changed[place] ^= 1;
        let line = start.clone() + &STANDARD.encode(changed);
        let changed = note.replace(first, &line);
        check_note(vkey, changed.as_bytes()).map(drop).expect_err(&format!("at {place}"));
    }
}

/// Checks what the service says of how one size goes on from another, and compares it with a proof of his own.
async fn a_log_that_goes_on_is_proved(
    app: &TestApp,
    older: &Checkpoint,
    newer: &Checkpoint,
    reader: &TileHashReader<'_>,
) {
    let path = format!("/v1/audit/consistency?from={}&to={}", older.size(), newer.size());
    let told = app.get(&path).send().await.expect(200).json();
    let hash = |value: &Value| hash(value.as_str().unwrap()).unwrap();
    assert_eq!((hash(&told["fromRoot"]), hash(&told["toRoot"])), (*older.hash(), *newer.hash()));
    let proof: Vec<Hash> = told["proof"].as_array().unwrap().iter().map(hash).collect();
    assert!(!proof.is_empty());
    assert_eq!(proof, prove_tree(newer.size(), older.size(), reader).unwrap());
    let check = |proof: &Vec<Hash>, old: Hash| {
        check_tree(proof, newer.size(), *newer.hash(), older.size(), old)
    };
    check(&proof, *older.hash()).unwrap();
    for (hash, place) in (0..proof.len()).flat_map(|hash| [(hash, 0), (hash, 31)]) {
        let mut changed = proof.clone();
        changed[hash].0[place] ^= 1;
        check(&changed, *older.hash()).unwrap_err();
    }
    let mut other = *older.hash();
    other.0[7] ^= 1;
    check(&proof, other).unwrap_err();
    check(&proof[1..].to_vec(), *older.hash()).unwrap_err();
}

#[actix_web::test]
async fn an_outsider_checks_a_receipt_with_other_peoples_tools_and_a_changed_byte_fails() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    let sql = app.sql().await;
    insert(&sql, 700).await;
    app.publish().await;
    let vkey = vkey(&app);
    let event = event_of(&app, &case, "accepted").await;
    let file = receipt(&app, &case, &event).await;
    let (leaf, private) = check_receipt(&vkey, &file, &case.id).unwrap();
    assert_eq!((&leaf["event"], &leaf["kind"]), (&json!(event), &json!("accepted")));
    assert_eq!((&private["command"], &private["to"]), (&json!("accept"), &json!("checking")));
    let proof = parse(&file).unwrap();
    assert_eq!(write(&proof), file, "it is of the standard's form to the byte");
    // It says what the log says.
    let tree = check_note(&vkey, &checkpoint(&app).await).unwrap();
    let tiles = fetch_tiles(&app, tree.size()).await;
    let computed = check_bundles(&tree, &tiles).unwrap();
    assert!(tree.size() > 700);
    assert_eq!(proof.hashes, prove_record(tree.size(), proof.index, &computed).unwrap());
    let entries: Vec<&[u8]> = tiles
        .0
        .iter()
        .filter(|(path, _)| path.starts_with("tile/entries/"))
        .flat_map(|(_, bundle)| leaves_of(bundle).unwrap())
        .collect();
    let [leaf, private, salt] = parts(&proof.extra).unwrap();
    assert_eq!(entries[usize::try_from(proof.index).unwrap()], &proof.extra[leaf.clone()]);

    // Each byte of the leaf, the content and the salt; then of the path and of the signed note.
    let fails = |file: &str, what: &str, place: usize| {
        check_receipt(&vkey, file, &case.id).map(drop).expect_err(&format!("{what} at {place}"));
    };
    for (what, range) in [("leaf", leaf), ("private", private), ("salt", salt)] {
        for place in range {
            let mut changed = parse(&file).unwrap();
            changed.extra[place] ^= 1;
            fails(&write(&changed), what, place);
        }
    }
    for (at, byte) in (0..proof.hashes.len()).flat_map(|at| [(at, 0), (at, 31)]) {
        let mut changed = parse(&file).unwrap();
        changed.hashes[at].0[byte] ^= 1;
        fails(&write(&changed), "hash", at);
    }
    for index in [0, proof.index ^ 1, tree.size() - 1, tree.size(), u64::MAX] {
        fails(&write(&Proof { index, ..parse(&file).unwrap() }), "index", 0);
    }
    a_changed_note_fails(&vkey, proof.note);
    // A whole one, and not of this application, or not of this log.
    check_receipt(&vkey, &file, &Uuid::nil().to_string()).unwrap_err();
    let other = LogKey::generate("permits.example.org/log", [6; 32]).unwrap().verifier();
    check_receipt(&other.to_string(), &file, &case.id).unwrap_err();
}

// ── What he does not learn ───────────────────────────────────────────────────────────────────────────────────

/// What two persons state and what is said of them; nothing of it is a word that anything else has.
const SAID: [&str; 34] = [
    "Рахмонзода",
    "Фирдавсджон",
    "Сулаймонович",
    "ZQ7654321",
    "1987-11-29",
    "9173 7654321",
    "7704407589",
    "ООО «Неповторимая»",
    "Верхолаз-уникум",
    "firdavs.unique@example.org",
    "+79035551234",
    "fine 4471-unique",
    "note about him",
    "a namesake of his",
    "page two of his papers",
    "illegible, says Anna of him",
    "his answer is here",
    "payer-account-of-his",
    "his false contract",
    "Тохирбекова",
    "Zulaykho-Latin",
    "XR1928374",
    "4411 9988776",
    "zulaykho.unique@example.org",
    "a hit with her name",
    "forged, writes Boris of her",
    "RAKHMONZODA FIRDAVSDZHON",
    "his.own.account@example.org",
    "ANNA OF THE OFFICE",
    "anna.unique@example.org",
    "nobody.unique@example.org",
    "a password that is wrong",
    "a paper of his",
    "a paper of hers",
];

/// What is nowhere but in the files of documents, or nowhere at all.
const NOT_KEPT: [&str; 4] =
    ["nobody.unique@example.org", "a password that is wrong", "a paper of his", "a paper of hers"];

/// The profession is printed on the permit, and told to whoever has its number.
const PROFESSION: &str = "Верхолаз-уникум";

const DOCUMENT: &str = "/v1/openapi.json";

fn paper(marker: &str) -> Vec<u8> {
    format!("%PDF-1.7\n% {marker}\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer <<>>\n%%EOF\n")
        .into_bytes()
}

async fn hand_in(app: &TestApp, case: &Case, kind: &str, marker: &str) {
    let version = app.version(&case.id).await;
    app.put(&case.path(&format!("/documents/{kind}")))
        .by(case.applicant)
        .if_match(version)
        .body("application/pdf", paper(marker))
        .send()
        .await
        .expect(200);
}

async fn give(app: &TestApp, case: &Case, who: Person, command: Value) {
    app.command(who, &case.id, command).await.expect(200);
}

/// Takes his application to a permit in force that is to be annulled, through whatever takes a word.
async fn his(app: &TestApp) -> Case {
    let mut form = app.form();
    form["person"] = json!({
        "familyName": "Рахмонзода", "givenName": "Фирдавсджон", "patronymic": "Сулаймонович",
        "birthDate": "1987-11-29", "sex": "male", "citizenship": "UZB",
    });
    form["passport"]["number"] = json!("ZQ7654321");
    form["entry"]["migrationCard"] = json!("9173 7654321");
    form["entry"]["fineReceipt"] = json!("fine 4471-unique");
    form["occupation"]["title"] = json!(PROFESSION);
    form["employer"] = json!({ "inn": "7704407589", "name": "ООО «Неповторимая»" });
    form["contact"] =
        json!({ "email": "firdavs.unique@example.org", "phone": "+79035551234", "language": "ru" });
    let case = app.open(MIGRANT, "patent", form).await;
    app.attach_all(&case, "patent").await;
    hand_in(app, &case, "fineReceipt", "a paper of his").await;
    give(app, &case, MIGRANT, json!({ "command": "submit" })).await;
    let owed = app.owed(&case.id).await;
    let payment = json!({
        "id": format!("pay_{}", fresh()), "uin": owed["uin"], "paidAt": app.now(),
        "amountKopecks": owed["outstanding"]["kopecks"], "payer": "payer-account-of-his",
    });
    app.callback(payment).await.expect(200);
    give(app, &case, OFFICER, json!({ "command": "accept" })).await;
    let item = json!({
        "kind": "document", "subject": "page two of his papers",
        "reason": "illegible, says Anna of him", "dueOn": app.today() + Days::new(5),
    });
    give(app, &case, OFFICER, json!({ "command": "requestInformation", "items": [item] })).await;
    let answers = json!([{ "item": 1, "text": "his answer is here" }]);
    give(app, &case, MIGRANT, json!({ "command": "answerInformation", "answers": answers })).await;
    app.clear(&case.id).await;
    let hit = json!({ "command": "recordFinding", "check": "entry", "outcome": "hit", "note": "note about him" });
    give(app, &case, OFFICER, hit).await;
    let reason = "a namesake of his";
    let over = json!({ "command": "overrideFinding", "check": "entry", "reason": reason });
    give(app, &case, SENIOR, over).await;
    give(app, &case, OTHER_OFFICER, json!({ "command": "grant" })).await;
    app.pay(&case.id).await;
    give(app, &case, OFFICER, json!({ "command": "handOver" })).await;
    let reason = "his false contract";
    let propose = json!({ "command": "proposeAnnulment", "grounds": ["G17"], "reason": reason });
    give(app, &case, OFFICER, propose).await;
    case
}

/// Takes her application to its refusal.
async fn hers(app: &TestApp) -> Case {
    let mut form = app.form();
    form["person"]["familyName"] = json!("Тохирбекова");
    form["person"]["givenName"] = json!("Zulaykho-Latin");
    form["passport"]["number"] = json!("XR1928374");
    form["entry"]["migrationCard"] = json!("4411 9988776");
    form["contact"]["email"] = json!("zulaykho.unique@example.org");
    let case = app.draft_with(OTHER_MIGRANT, "patent", form).await;
    hand_in(app, &case, "fineReceipt", "a paper of hers").await;
    give(app, &case, OTHER_MIGRANT, json!({ "command": "submit" })).await;
    app.pay(&case.id).await;
    give(app, &case, OFFICER, json!({ "command": "accept" })).await;
    let note = "a hit with her name";
    let hit =
        json!({ "command": "recordFinding", "check": "medical", "outcome": "hit", "note": note });
    give(app, &case, OFFICER, hit).await;
    let reason = "forged, writes Boris of her";
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": reason });
    give(app, &case, OTHER_OFFICER, refuse).await;
    case
}

/// Reads by the office and by auditors: events as well, of which each has a leaf.
async fn is_read(app: &TestApp, case: &Case) {
    for below in ["", "/history", "/documents/fineReceipt"] {
        app.get(&case.path(below)).by(AUDITOR).send().await.expect(200);
    }
    for below in ["", "/documents/fineReceipt"] {
        let call = app.get(&case.path(below)).by(OFFICER);
        call.header("access-purpose", "casework").send().await.expect(200);
    }
    for path in [
        format!("/v1/audit/events?application={}", case.id),
        format!("/v1/audit/accesses?application={}", case.id),
        "/v1/audit/export?format=csv&kind=accepted".to_owned(),
    ] {
        app.get(&path).by(AUDITOR).send().await.expect(200);
    }
    app.get("/v1/applications").by(MIGRANT).send().await.expect(200);
    app.get("/v1/payments").by(SENIOR).send().await.expect(200);
}

async fn logs_in(app: &TestApp, email: &str, password: &str) -> Reply {
    let login = json!({ "email": email, "password": password });
    app.post("/v1/session").json(login).send().await
}

/// Bytes that anybody gets, and whence.
type Public = Vec<(String, Vec<u8>)>;

/// What a reply has, header fields included.
fn all_of(reply: &Reply) -> Vec<u8> {
    let mut bytes = reply.body.to_vec();
    for (name, value) in &reply.headers {
        bytes.extend([b"\n", name.as_str().as_bytes(), b": ", value.as_bytes()].concat());
    }
    bytes
}

/// Fetches what is public without a token.
async fn public(app: &TestApp, cases: [&Case; 2], number: &str) -> Public {
    let mut public = Public::new();
    let note = checkpoint(app).await;
    let size = check_note(&vkey(app), &note).unwrap().size();
    public.push(("/log/checkpoint".to_owned(), note));
    public.extend(fetch_tiles(app, size).await.0);
    let [his, hers] = cases.map(|case| case.reference.as_str());
    let mut gets = vec![
        (200, format!("/v1/audit/consistency?from=3&to={size}")),
        (200, format!("/v1/status/{his}")),
        (200, format!("/v1/status/{hers}")),
        (200, format!("/v1/permits/{number}")),
    ];
    let get = |status: u16, path: &str| (status, path.to_owned());
    for path in ["/health/live", "/health/ready", "/health/start", "/metrics", "/docs/"] {
        gets.push(get(200, path));
    }
    for path in ["/.well-known/jwks.json", DOCUMENT, "/v1/units", "/v1/workflows"] {
        gets.push(get(200, path));
    }
    for track in ["patent", "highly-qualified-specialist"] {
        gets.push(get(200, &format!("/v1/workflows/{track}")));
        gets.push(get(200, &format!("/v1/workflows/{track}/diagram")));
    }
    for path in ["/v1/status/AAAAA-AAAAA-AAAA", "/v1/permits/77-0000000000", "/v1/workflows/no"] {
        gets.push(get(404, path));
    }
    gets.push(get(404, "/log/tile/0/x009/000"));
    gets.push(get(404, "/nowhere"));
    gets.push(get(400, "/v1/audit/consistency?from=5&to=4"));
    gets.push(get(400, "/v1/audit/consistency?from=1&to=99999999"));
    gets.push(get(400, "/v1/workflows/patent/diagram?format=none"));
    gets.push(get(401, &cases[0].path("")));
    for (minute, (status, path)) in gets.into_iter().enumerate() {
        // Each from an address of its own: look-ups are counted.
        let from = [192, 0, 2, 10 + u8::try_from(minute).unwrap()];
        let reply = app.get(&path).from(from).send().await.expect(status);
        public.push((path, all_of(&reply)));
    }
    // Whatever there may be one day.
    for path in ["/v1/statistics", "/v1/statistics/applications"] {
        public.push((path.to_owned(), all_of(&app.get(path).send().await)));
    }
    let details = format!("/v1/status/{his}/details");
    for (status, path, body) in [
        (404, &*details, json!({ "birthDate": "1990-05-17" })),
        (404, "/v1/status/AAAAA-AAAAA-AAAA/details", json!({ "birthDate": "1990-05-17" })),
        (400, &*details, json!({ "birthDate": "yesterday" })),
        (400, "/v1/session", json!({ "email": "x" })),
        (
            401,
            "/v1/session",
            json!({ "email": "his.own.account@example.org", "password": "no no no" }),
        ),
        (400, "/v1/callbacks/payments", json!({ "type": "payment.received" })),
    ] {
        let reply = app.request(Method::POST, path).json(body).send().await;
        assert!(reply.status == status || reply.status == 401, "{path}: {}", reply.text());
        public.push((format!("POST {path}"), all_of(&reply)));
    }
    public
}

/// The forms in which a text may stand in bytes: itself and as JSON without other letters than those of ASCII.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let text = text.to_lowercase();
    let escaped: String =
        text.chars()
            .map(|one| {
                if one.is_ascii() { one.to_string() } else { format!("\\u{:04x}", u32::from(one)) }
            })
            .collect();
    let mut forms = vec![
        text.clone().into_bytes(),
        escaped.into_bytes(),
        STANDARD.encode(&text).to_lowercase().into_bytes(),
    ];
    if let Ok(id) = text.parse::<Uuid>() {
        forms.push(id.simple().to_string().into_bytes());
    }
    forms
}

/// Says whether bytes hold one of the forms, in large or small letters.
fn holds(lowered: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| lowered.windows(form.len()).any(|part| part == form))
}

fn lowered(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).to_lowercase().into_bytes()
}

#[actix_web::test]
async fn no_personal_datum_is_in_anything_that_is_public() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    let name = "UPDATE accounts SET name = $2, email = $3 WHERE id::text = $1";
    for (who, called, email) in [
        (MIGRANT, "RAKHMONZODA FIRDAVSDZHON", "his.own.account@example.org"),
        (OFFICER, "ANNA OF THE OFFICE", "anna.unique@example.org"),
    ] {
        sql.execute(name, &[&who.id().to_string(), &called, &email]).await.unwrap();
    }
    logs_in(&app, "his.own.account@example.org", app::PASSWORD).await.expect(200);
    logs_in(&app, "his.own.account@example.org", "a password that is wrong").await.expect(401);
    logs_in(&app, "nobody.unique@example.org", "a password that is wrong").await.expect(401);
    let (his, hers) = (his(&app).await, hers(&app).await);
    is_read(&app, &his).await;
    is_read(&app, &hers).await;
    app.publish().await;
    let seen = app.see(&his.id).await;
    let number = seen["permit"]["number"].as_str().unwrap().to_owned();

    // What must not be found is there to be found, but for what is not kept.
    let kept = "SELECT string_agg(line, ' ') FROM (SELECT a::text AS line FROM applications a UNION ALL \
                SELECT content FROM events UNION ALL SELECT a::text FROM accounts a UNION ALL \
                SELECT c::text FROM checks c UNION ALL SELECT p::text FROM payments p) AS kept";
    let kept: String = sql.query_one(kept, &[]).await.unwrap().get(0);
    let kept = lowered(kept.as_bytes());
    for text in SAID {
        assert_eq!(holds(&kept, &forms(text)), !NOT_KEPT.contains(&text), "{text}");
    }
    let own = "SELECT uin FROM charges UNION ALL SELECT id::text FROM sessions";
    let own: Vec<String> =
        sql.query(own, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(own.len() >= 4);
    let mut hidden: Vec<String> = SAID.map(str::to_owned).to_vec();
    hidden.extend(own);
    hidden.extend(
        [&his, &hers].into_iter().flat_map(|case| [case.id.clone(), case.reference.clone()]),
    );
    hidden.push(number.clone());
    for person in PEOPLE {
        hidden.extend([person.id().to_string(), person.email()]);
    }
    for marker in ["a paper of his", "a paper of hers"] {
        // A digest would tell whoever has the same paper.
        hidden.push(hex(&Sha256::digest(paper(marker))));
    }
    let raw: Vec<Vec<u8>> = [&his, &hers]
        .map(|case| case.id.parse().unwrap())
        .into_iter()
        .chain(PEOPLE.map(Person::id))
        .map(|id: Uuid| id.as_bytes().to_vec())
        .chain(["a paper of his", "a paper of hers"].map(|one| Sha256::digest(paper(one)).to_vec()))
        .collect();

    let mut public = public(&app, [&his, &hers], &number).await;
    // The document is that of the repository, with examples that look like data, and no more.
    let document = include_bytes!("../../openapi/openapi.json");
    public.retain(|(path, _)| path != DOCUMENT);
    assert!(fetch(&app, DOCUMENT).await.trim_ascii() == document.trim_ascii());
    let leaves = public.iter().filter(|(path, _)| path.starts_with("tile/entries/"));
    let leaves: Vec<u8> = leaves.flat_map(|(_, bytes)| bytes.clone()).collect();
    for kind in [
        "handedOver",
        "refused",
        "findingOverridden",
        "sessionOpened",
        "applicationRead",
        "logQueried",
    ] {
        let kind = format!("\"kind\":\"{kind}\"").into_bytes();
        assert!(leaves.windows(kind.len()).any(|part| part == kind), "{kind:?} has no leaf");
    }
    // Each is told to whoever asks for it by itself, and the profession with the permit.
    let mut told = Vec::new();
    for (path, bytes) in &public {
        let low = lowered(bytes);
        for text in &hidden {
            if holds(&low, &forms(text)) {
                told.push((path.clone(), text.clone()));
            }
        }
        assert!(!raw.iter().any(|id| bytes.windows(id.len()).any(|part| part == id)), "{path}");
    }
    told.sort();
    let mut expected = vec![
        (format!("/v1/permits/{number}"), number.clone()),
        (format!("/v1/permits/{number}"), PROFESSION.to_owned()),
        (format!("/v1/status/{}", his.reference), his.reference.clone()),
        (format!("/v1/status/{}", hers.reference), hers.reference.clone()),
    ];
    expected.sort();
    assert_eq!(told, expected);
}

// ── How long a receipt holds ─────────────────────────────────────────────────────────────────────────────────

/// Publishes as a process with these keys does, which keeps its last checkpoint in the directory.
async fn publish_with(app: &TestApp, directory: &Path, keys: &LogKeys) {
    let sequencer = Sequencer::new(SequencerParts {
        url: app.database.url().to_owned(),
        db: app.app.db.clone(),
        witnesses: Vec::new(),
        keys: keys.clone(),
        directory: directory.to_owned(),
        clock: app.clock.clone(),
        status: Arc::default(),
        options: SequencerOptions::default(),
    });
    let mut seat = sequencer.sit().await.unwrap().expect("nobody else is the sequencer");
    while seat.tick(&|_| Ok(())).await.unwrap().more {}
}

/// Opens a receipt with one key alone, by our own verifier and by other people's, which agree.
fn opens(file: &str, key: &LogKey, case: &Case) -> Result<Receipt, ReceiptError> {
    let ours = Receipt::open(file, &[key.verifier()]);
    let theirs = check_receipt(&key.verifier().to_string(), file, &case.id);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
    ours
}

#[actix_web::test]
async fn receipts_outlive_the_change_of_keys_and_the_erasure_of_others() {
    let app = TestApp::spawn().await;
    let directory = test_dir("outsider-rotation");
    let [old, new] =
        [5, 6].map(|seed| LogKey::generate("permits.example.org/log", [seed; 32]).unwrap());
    assert_eq!(old.private_line() + "\n", app::log_key());
    let only = |key: &LogKey| LogKeys::parse(&key.private_line()).unwrap();
    let both =
        LogKeys::parse(&format!("{}\n{}\n", old.private_line(), new.private_line())).unwrap();

    let case = app.granted(MIGRANT).await;
    let other = app.draft(OTHER_MIGRANT, "patent").await;
    app.command(OTHER_MIGRANT, &other.id, json!({ "command": "withdraw" })).await.expect(200);
    insert(&app.sql().await, 300).await;
    publish_with(&app, &directory, &only(&old)).await;
    let event = event_of(&app, &case, "accepted").await;
    let first = receipt(&app, &case, &event).await;
    let said = opens(&first, &old, &case).unwrap();
    assert!(said.private.is_some());
    opens(&first, &new, &case).unwrap_err();
    let others_event = event_of(&app, &other, "withdrawn").await;
    let others = receipt(&app, &other, &others_event).await;

    // Both sign; whoever has either key goes on.
    insert(&app.sql().await, 5).await;
    publish_with(&app, &directory, &both).await;
    let second = receipt(&app, &case, &event).await;
    for key in [&old, &new] {
        let again = opens(&second, key, &case).unwrap();
        assert_eq!((&again.leaf, &again.private), (&said.leaf, &said.private));
        assert_eq!(again.index, said.index);
    }

    // Somebody else is forgotten.
    app.advance(TimeDelta::days(800));
    let basis = Reason::Request { basis: "order 12-3 of the archive", role: "operator" };
    app.app.casework.erase(Whose::Application(other.id.parse().unwrap()), basis).await.unwrap();
    publish_with(&app, &directory, &both).await;
    let third = receipt(&app, &case, &event).await;
    for key in [&old, &new] {
        assert_eq!(opens(&third, key, &case).unwrap().private, said.private);
    }
    let proof = format!("/v1/audit/events/{others_event}/proof");
    let proof = app.get(&proof).by(AUDITOR).send().await.expect(200).text();
    for key in [&old, &new] {
        let closed = Receipt::open(&proof, &[key.verifier()]).unwrap();
        assert_eq!((closed.leaf.event.to_string(), closed.private), (others_event.clone(), None));
    }

    // The new one alone.
    insert(&app.sql().await, 300).await;
    publish_with(&app, &directory, &only(&new)).await;
    let last = receipt(&app, &case, &event).await;
    let again = opens(&last, &new, &case).unwrap();
    assert_eq!((&again.leaf, &again.private), (&said.leaf, &said.private));
    opens(&last, &old, &case).unwrap_err();

    // Nothing that was given out before has become worth less, his who was erased included: he has the salt.
    assert_eq!(opens(&first, &old, &case).unwrap(), said);
    opens(&second, &old, &case).unwrap();
    opens(&second, &new, &case).unwrap();
    opens(&others, &old, &other).unwrap();
    // And the tree of today goes on from the one that the first receipt stands in.
    let older =
        check_note(&old.verifier().to_string(), parse(&first).unwrap().note.as_bytes()).unwrap();
    let note = checkpoint(&app).await;
    let newer = check_note(&new.verifier().to_string(), &note).unwrap();
    assert!(newer.size() > older.size() + 300);
    let tiles = fetch_tiles(&app, newer.size()).await;
    check_log(&new.verifier().to_string(), &note, &tiles).unwrap();
    let reader = TileHashReader::new(newer.size(), *newer.hash(), &tiles);
    a_log_that_goes_on_is_proved(&app, &older, &newer, &reader).await;
}
