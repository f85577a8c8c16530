//! The public log: what is numbered, when, in which order, what survives which crash, and what is served.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use propusk::audit::merkle::{self, Hash};
use propusk::audit::note::{self, LogKey, LogKeys, SignedCheckpoint, VerifierKey};
use propusk::audit::proof::LogProof;
use propusk::audit::sequencer::{Sequencer, SequencerOptions, SequencerParts, Step};
use propusk::audit::tile::{Level, bundle, tiles_of};
use propusk::audit::witness::client::Witness;
use propusk::audit::{export, source, verify};
use propusk::clock::SystemClock;
use propusk::domain::event::leaf::Leaf;
use propusk::error::{Error, Result};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Client;

use crate::support::app::{self, TestApp};
use crate::support::db::test_dir;

// ── What is looked at ────────────────────────────────────────────────────────────────────────────────────────

/// Another process's sequencer on the same database, with a directory of its own.
fn sequencer(app: &TestApp, directory: &str) -> Sequencer {
    with_batch(app, directory, 10_000)
}

/// The directory of a sequencer made by [`sequencer`], as it is.
fn target(directory: &str) -> std::path::PathBuf {
    test_dir("any").parent().unwrap().join(directory)
}

fn with_batch(app: &TestApp, directory: &str, batch: i64) -> Sequencer {
    with(app, directory, batch, Vec::new())
}

fn with(app: &TestApp, directory: &str, batch: i64, witnesses: Vec<Witness>) -> Sequencer {
    Sequencer::new(SequencerParts {
        url: app.database.url().to_owned(),
        db: app.app.db.clone(),
        witnesses,
        keys: app.app.log_keys.clone(),
        directory: test_dir(directory),
        clock: app.clock.clone(),
        status: Arc::default(),
        options: SequencerOptions { batch, ..SequencerOptions::default() },
    })
}

/// Writes `count` events of kind `kind` in the client's own transaction or statement.
async fn insert(client: &Client, kind: &str, count: i32) {
    client
        .execute(
            "INSERT INTO events (id, at, kind, actor_role, content, salt, commitment) \
             SELECT gen_random_uuid(), now(), $1, 'operator', '{}', sha256(n::text::bytea), \
             sha256(n::text::bytea) FROM generate_series(1, $2) AS n",
            &[&kind, &count],
        )
        .await
        .unwrap();
}

async fn checkpoint(app: &TestApp) -> SignedCheckpoint {
    let reply = app.get("/log/checkpoint").send().await.expect(200);
    note::open_checkpoint(&reply.text(), &app.app.log_keys.verifiers()).unwrap()
}

/// Fetches everything that a tree of the published size has, holds it together, and gives the leaves.
async fn walk(app: &TestApp) -> (SignedCheckpoint, Vec<Leaf>) {
    let signed = checkpoint(app).await;
    let size = signed.checkpoint.size;
    let (mut leaves, mut hashes) = (Vec::new(), Vec::new());
    for tile in tiles_of(size) {
        let reply = app.get(&format!("/log/{}", tile.path())).send().await.expect(200);
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
        assert!(reply.header("cache-control").unwrap().contains("immutable"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        if tile.level() == Level::Entries {
            leaves.extend(bundle::decode(&reply.body).unwrap().into_iter().map(<[u8]>::to_vec));
        } else if tile.level() == Level::Hashes(0) {
            hashes.extend(reply.body.chunks(32).map(|hash| Hash::try_from(hash).unwrap()));
        }
    }
    assert_eq!(u64::try_from(leaves.len()).unwrap(), size);
    assert_eq!(leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect::<Vec<_>>(), hashes);
    assert_eq!(naive_root(&hashes), signed.checkpoint.root);
    let leaves = leaves.iter().map(|leaf| Leaf::parse(leaf).unwrap()).collect();
    (signed, leaves)
}

/// RFC 6962, section 2.1, word for word.
fn naive_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        more => {
            let split = more.len().next_power_of_two() / 2;
            let (left, right) = more.split_at(split);
            let joined = [&[1_u8][..], &naive_root(left), &naive_root(right)].concat();
            Sha256::digest(joined).into()
        }
    }
}

async fn events(client: &Client) -> BTreeSet<String> {
    let rows = client.query("SELECT id::text FROM events", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn ids(leaves: &[Leaf]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = leaves.iter().map(|leaf| leaf.event.to_string()).collect();
    assert_eq!(ids.len(), leaves.len(), "an event has two numbers");
    ids
}

// ── The sequencer ────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn every_committed_event_gets_one_number_and_the_served_tree_is_the_one_of_the_standard() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    app.publish().await;
    app.granted(app::MIGRANT).await;
    insert(&sql, "filler", 700).await;
    app.publish().await;
    let (signed, leaves) = walk(&app).await;
    assert_eq!(ids(&leaves), events(&sql).await);
    assert_eq!(signed.checkpoint.origin, "permits.example.org/log");
    assert!(signed.checkpoint.size > 700);
    // One for each key's own signature, and one that says when.
    assert_eq!(signed.signatures.len(), 2);
    let at = signed.signatures.iter().find_map(|one| one.at).unwrap();
    assert_eq!(i64::try_from(at).unwrap(), app.now().timestamp());
}

#[actix_web::test]
async fn an_event_that_commits_late_is_taken_late_and_holds_nobody_up() {
    let app = TestApp::spawn().await;
    app.publish().await;
    let (slow, fast, slower) = (app.sql().await, app.sql().await, app.sql().await);
    slow.batch_execute("BEGIN").await.unwrap();
    insert(&slow, "late", 3).await;
    slower.batch_execute("BEGIN").await.unwrap();
    insert(&slower, "later", 1).await;
    for _ in 0..20 {
        insert(&fast, "quick", 100).await;
    }
    app.publish().await;
    let count =
        |leaves: &[Leaf], kind: &str| leaves.iter().filter(|leaf| leaf.kind == kind).count();
    let (before, leaves) = walk(&app).await;
    assert_eq!((count(&leaves, "quick"), count(&leaves, "late")), (2_000, 0));
    insert(&fast, "quick", 1).await;
    slow.batch_execute("COMMIT").await.unwrap();
    app.publish().await;
    let (after, leaves) = walk(&app).await;
    assert_eq!(
        (count(&leaves, "quick"), count(&leaves, "late"), count(&leaves, "later")),
        (2_001, 3, 0)
    );
    assert!(after.checkpoint.size == before.checkpoint.size + 4);
    slower.batch_execute("ROLLBACK").await.unwrap();
    app.publish().await;
    let (_, leaves) = walk(&app).await;
    assert_eq!(count(&leaves, "later"), 0);
    assert_eq!(ids(&leaves), events(&fast).await);
}

#[actix_web::test]
async fn batches_end_between_transactions_and_no_event_is_lost_or_doubled_between_them() {
    let app = TestApp::spawn().await;
    let (sql, open) = (app.sql().await, app.sql().await);
    open.batch_execute("BEGIN").await.unwrap();
    insert(&open, "open", 5).await;
    for size in [1, 7, 2, 40, 3, 1, 1, 12] {
        insert(&sql, "some", size).await;
    }
    let other = with_batch(&app, "batches", 4);
    let mut seat = other.sit().await.unwrap().unwrap();
    let mut ticks = 0;
    while seat.tick(&|_| Ok(())).await.unwrap().more {
        ticks += 1;
    }
    assert!(ticks > 3, "{ticks}");
    open.batch_execute("COMMIT").await.unwrap();
    assert_eq!(seat.tick(&|_| Ok(())).await.unwrap().taken, 5);
    let (_, leaves) = walk(&app).await;
    assert_eq!(ids(&leaves), events(&sql).await);
}

#[actix_web::test]
async fn a_sequencer_that_dies_at_any_step_leaves_a_log_that_goes_on_correctly() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    app.publish().await;
    let steps = [Step::Read, Step::Appended, Step::Signed, Step::Kept, Step::Published];
    let mut older: Vec<SignedCheckpoint> = Vec::new();
    for (round, dies_at) in steps.into_iter().cycle().take(15).enumerate() {
        insert(&sql, "some", 150 + i32::try_from(round).unwrap()).await;
        {
            let mut seat = app.app.sequencer.sit().await.unwrap().unwrap();
            let die = |step| if step == dies_at { Err(Error::bug("killed")) } else { Ok(()) };
            seat.tick(&die).await.unwrap_err();
        }
        // What is published is whole at every moment, and only grew.
        let (signed, _) = walk(&app).await;
        for old in older.iter().chain([&signed]) {
            consistent(&app, old, &signed).await;
        }
        older.push(signed);
        let restarted = app.app.sequencer.sit().await.unwrap();
        let mut seat = restarted.expect("the lock went with the connection");
        insert(&sql, "more", 9).await;
        seat.tick(&|_| Ok(())).await.unwrap();
        drop(seat);
        let (signed, leaves) = walk(&app).await;
        assert_eq!(ids(&leaves), events(&sql).await, "after dying at {dies_at:?}");
        older.push(signed);
    }
    assert!(older.last().unwrap().checkpoint.size > 2_000);
}

/// Asks the service to prove that one checkpoint goes on from another, and checks it.
async fn consistent(app: &TestApp, old: &SignedCheckpoint, new: &SignedCheckpoint) {
    let (old, new) = (&old.checkpoint, &new.checkpoint);
    let path = format!("/v1/audit/consistency?from={}&to={}", old.size, new.size);
    let body = app.get(&path).send().await.expect(200).json();
    let hash =
        |text: &Value| Hash::try_from(STANDARD.decode(text.as_str().unwrap()).unwrap()).unwrap();
    assert_eq!((hash(&body["fromRoot"]), hash(&body["toRoot"])), (old.root, new.root));
    let proof: Vec<Hash> = body["proof"].as_array().unwrap().iter().map(hash).collect();
    merkle::verify_consistency(old.size, &old.root, new.size, &new.root, &proof).unwrap();
}

#[actix_web::test]
async fn only_one_process_is_the_sequencer_and_the_next_takes_over_when_it_ends() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    let (one, two) = (sequencer(&app, "one"), sequencer(&app, "two"));
    let (first, second) = tokio::join!(one.sit(), two.sit());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.is_some() != second.is_some());
    let (mut seat, other) = match (first, second) {
        (Some(seat), None) => (seat, &two),
        (None, Some(seat)) => (seat, &one),
        _ => unreachable!("exactly one has it"),
    };
    insert(&sql, "some", 300).await;
    seat.tick(&|_| Ok(())).await.unwrap();
    assert!(other.sit().await.unwrap().is_none());
    // Its connection ends as it does when the process is killed.
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sql.execute(ended, &[]).await.unwrap();
    let mut next = other.sit().await.unwrap().expect("the lock went with the connection");
    insert(&sql, "some", 300).await;
    seat.tick(&|_| Ok(())).await.unwrap_err();
    next.tick(&|_| Ok(())).await.unwrap();
    let (_, leaves) = walk(&app).await;
    assert_eq!(ids(&leaves), events(&sql).await);
}

#[actix_web::test]
async fn an_idle_log_is_signed_anew_so_that_everybody_sees_that_it_lives() {
    let app = TestApp::spawn().await;
    app.publish().await;
    let before = checkpoint(&app).await;
    app.publish().await;
    assert_eq!(checkpoint(&app).await, before);
    app.advance(chrono::TimeDelta::seconds(11));
    app.publish().await;
    let after = checkpoint(&app).await;
    assert_eq!(after.checkpoint, before.checkpoint);
    let at = |signed: &SignedCheckpoint| signed.signatures.iter().find_map(|one| one.at).unwrap();
    assert_eq!(at(&after), at(&before) + 11);
}

/// Takes the newest rows out as a restored backup would lack them, with the triggers off as for its owner.
async fn put_back(sql: &Client, statements: &str) {
    sql.batch_execute(&format!(
        "SET session_replication_role = replica; {statements}; SET session_replication_role = DEFAULT"
    ))
    .await
    .unwrap();
}

fn told(outcome: Result<Option<propusk::audit::sequencer::Seat<'_>>>) -> String {
    match outcome {
        Ok(_) => panic!("it signed for it"),
        Err(error) => error.to_string(),
    }
}

#[actix_web::test]
async fn a_database_put_back_to_an_older_state_is_not_signed_for() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    insert(&sql, "some", 300).await;
    app.publish().await;
    insert(&sql, "lost", 10).await;
    app.publish().await;
    put_back(
        &sql,
        "DELETE FROM log_checkpoints WHERE id = (SELECT max(id) FROM log_checkpoints); \
         DELETE FROM log_leaves WHERE event_id IN (SELECT id FROM events WHERE kind = 'lost'); \
         DELETE FROM events WHERE kind = 'lost'",
    )
    .await;
    let why = told(app.app.sequencer.sit().await);
    assert!(why.contains("put back to an older state"), "{why}");
    assert!(app.app.log_status.refusing.load(std::sync::atomic::Ordering::Relaxed));
    // Even once as many other events stand where the lost ones stood.
    insert(&sql, "other", 50).await;
    let blind = sequencer(&app, "blind");
    let mut seat = blind.sit().await.unwrap().unwrap();
    seat.tick(&|_| Ok(())).await.unwrap();
    drop(seat);
    let why = told(app.app.sequencer.sit().await);
    assert!(why.contains("second history"), "{why}");
}

#[actix_web::test]
async fn a_process_that_waits_keeps_what_the_other_publishes_and_refuses_a_database_put_back() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    let waiting = sequencer(&app, "waiting");
    waiting.follow().await.unwrap();
    for _ in 0..3 {
        insert(&sql, "some", 300).await;
        app.publish().await;
        waiting.follow().await.unwrap();
        let keys = app.app.log_keys.verifiers();
        let kept = propusk::audit::sequencer::kept(&target("waiting"), &keys).unwrap().unwrap();
        assert_eq!(kept.checkpoint, checkpoint(&app).await.checkpoint);
    }
    insert(&sql, "lost", 1).await;
    app.publish().await;
    waiting.follow().await.unwrap();
    put_back(
        &sql,
        "DELETE FROM log_checkpoints WHERE id = (SELECT max(id) FROM log_checkpoints); \
         DELETE FROM log_leaves WHERE event_id IN (SELECT id FROM events WHERE kind = 'lost'); \
         DELETE FROM events WHERE kind = 'lost'",
    )
    .await;
    assert!(waiting.follow().await.unwrap_err().to_string().contains("put back to an older state"));
    let why = told(waiting.sit().await);
    assert!(why.contains("put back to an older state"), "{why}");
}

#[actix_web::test]
async fn a_checkpoint_of_another_log_in_the_directory_is_not_overwritten() {
    let app = TestApp::spawn().await;
    let other = sequencer(&app, "foreign");
    let file = test_dir("foreign").join("checkpoint");
    std::fs::write(&file, "example.org/other\n1\nAAAA\n\n— example.org/other AAAA\n").unwrap();
    let why = told(other.sit().await);
    assert!(why.contains("does not hold a checkpoint of this log"), "{why}");
    assert!(std::fs::read_to_string(file).unwrap().starts_with("example.org/other"));
}

#[actix_web::test]
async fn a_dump_restored_where_transactions_count_from_anew_goes_on_without_gap() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    insert(&sql, "some", 300).await;
    app.publish().await;
    // As after a restore: what the log remembers of transactions lies far beyond this server's.
    insert(&sql, "unnumbered", 20).await;
    put_back(
        &sql,
        "UPDATE log_position SET next_xact = next_xact + 1000000; \
                    UPDATE events SET xact = xact + 1000000",
    )
    .await;
    insert(&sql, "new", 5).await;
    app.publish().await;
    insert(&sql, "newer", 5).await;
    app.publish().await;
    let (_, leaves) = walk(&app).await;
    assert_eq!(ids(&leaves), events(&sql).await);
}

// ── Witnesses ────────────────────────────────────────────────────────────────────────────────────────────────

/// Starts a witness of the tests' log, in a thread and a runtime of its own; gives what names it in the settings.
fn start_witness(directory: &std::path::Path) -> (Witness, VerifierKey) {
    let keys =
        LogKeys::parse(&LogKey::generate("witness.example/w", [8; 32]).unwrap().private_line())
            .unwrap();
    let cosigner = keys.keys()[0].cosigner_verifier();
    let log = LogKeys::parse(&app::log_key()).unwrap().keys()[0].verifier();
    let options =
        propusk::witness::Options { keys, logs: vec![log], directory: directory.to_owned() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let witness = propusk::witness::Witness::open(options, Arc::new(SystemClock)).unwrap();
        actix_web::rt::System::new().block_on(propusk::witness::serve(witness, listener)).unwrap();
    });
    (Witness::parse(&format!("{cosigner} http://{address}")).unwrap(), cosigner)
}

#[actix_web::test]
async fn a_witness_cosigns_what_it_can_prove_to_continue_and_one_that_is_away_delays_nothing() {
    let (ours, key) = start_witness(&test_dir("witness"));
    // Nobody listens there.
    let away = format!(
        "{} http://127.0.0.1:9",
        LogKey::generate("away.example/w", [9; 32]).unwrap().cosigner_verifier()
    );
    let app = TestApp::spawn_with(|config| {
        config.transparency.witnesses = vec![Witness::parse(&away).unwrap(), ours.clone()];
    })
    .await;
    let sql = app.sql().await;
    let mut keys = app.app.log_keys.verifiers();
    keys.push(key.clone());
    for count in [3, 300, 0, 5] {
        insert(&sql, "some", count).await;
        app.advance(chrono::TimeDelta::seconds(11));
        app.publish().await;
        app.app.sequencer.witnesses().settled().await;
        let text = app.get("/log/checkpoint").send().await.expect(200).text();
        let signed = note::open_checkpoint(&text, &keys).unwrap();
        assert!(signed.signatures.iter().any(|one| one.key == key && one.at.is_some()), "{text}");
    }
    // Its word stands in receipts too.
    let row = sql.query_one("SELECT id::text FROM events LIMIT 1", &[]).await.unwrap();
    let path = format!("/v1/audit/events/{}/proof", row.get::<_, String>(0));
    let proof = app.get(&path).by(app::AUDITOR).send().await.expect(200).text();
    assert!(proof.contains("— witness.example/w "), "{proof}");
    // A history written anew is none that it cosigns.
    put_back(
        &sql,
        "DELETE FROM log_leaves; DELETE FROM log_tiles; DELETE FROM log_cosignatures; \
                    DELETE FROM log_checkpoints; UPDATE log_position SET next_xact = 0; \
                    DELETE FROM events WHERE kind <> 'some'",
    )
    .await;
    let forger = with(&app, "forging", 10_000, vec![ours]);
    let mut seat = forger.sit().await.unwrap().unwrap();
    insert(&sql, "more", 400).await;
    seat.tick(&|_| Ok(())).await.unwrap();
    forger.witnesses().settled().await;
    let count: i64 =
        sql.query_one("SELECT count(*) FROM log_cosignatures", &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

// ── What is served ───────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn tiles_beyond_the_published_size_and_other_paths_do_not_exist() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    app.get("/log/checkpoint").send().await.expect(503);
    insert(&sql, "some", 600).await;
    app.publish().await;
    let size = checkpoint(&app).await.checkpoint.size;
    insert(&sql, "unpublished", 600).await;
    let last = size / 256;
    for path in [
        format!("0/{:03}.p/{}", last, size % 256 + 1),
        format!("0/{last:03}"),
        format!("entries/{last:03}"),
        "1/000.p/3".to_owned(),
        "1/000".to_owned(),
        "2/000.p/1".to_owned(),
        "0/0".to_owned(),
        "0/x000/000".to_owned(),
        "00/000".to_owned(),
        "0/000.p/256".to_owned(),
        "0/000.p/0".to_owned(),
        "entries".to_owned(),
        "../checkpoint".to_owned(),
        String::new(),
    ] {
        app.get(&format!("/log/tile/{path}")).send().await.expect(404);
    }
    // A part of a tile that has become full is still what it was.
    let part = app.get("/log/tile/entries/000.p/5").send().await;
    let full = app.get("/log/tile/entries/000").send().await;
    assert!(full.body.starts_with(&part.body) && !part.body.is_empty());
    app.request(actix_web::http::Method::POST, "/log/tile/entries/x001/000")
        .send()
        .await
        .expect(405);
    app.get(&format!("/v1/audit/consistency?from=1&to={}", size + 1)).send().await.expect(400);
    app.get("/v1/audit/consistency?from=5&to=4").send().await.expect(400);
}

#[actix_web::test]
async fn a_receipt_rebuilds_its_leaf_opens_its_commitment_and_stands_in_the_signed_tree() {
    let app = TestApp::spawn().await;
    let case = app.granted(app::MIGRANT).await;
    let path = case.path("/history?limit=100");
    let history = app.get(&path).by(app::MIGRANT).send().await.json();
    let first = history["items"][0]["id"].as_str().unwrap().to_owned();
    let receipt = |event: &str| case.path(&format!("/history/{event}/receipt"));
    let early = app.get(&receipt(&first)).by(app::MIGRANT).send().await.expect(503);
    assert_eq!(early.header("retry-after"), Some("1"));
    app.publish().await;
    insert(&app.sql().await, "filler", 300).await;
    app.publish().await;
    let (mut opened, mut closed) = (0, 0);
    for event in history["items"].as_array().unwrap() {
        let id = event["id"].as_str().unwrap();
        let reply = app.get(&receipt(id)).by(app::MIGRANT).send().await.expect(200);
        let proof = LogProof::parse(&reply.text()).unwrap();
        let signed =
            note::open_checkpoint(&proof.checkpoint, &app.app.log_keys.verifiers()).unwrap();
        let extra: Value = serde_json::from_slice(proof.extra.as_deref().unwrap()).unwrap();
        let leaf = extra["leaf"].to_string();
        let tree = &signed.checkpoint;
        let hash = merkle::leaf_hash(leaf.as_bytes());
        merkle::verify_inclusion(&hash, proof.index, tree.size, &proof.hashes, &tree.root).unwrap();
        assert_eq!(extra["leaf"]["event"], event["id"]);
        // What the office wrote for itself is proved, and not shown.
        if matches!(event["kind"].as_str().unwrap(), "findingRecorded" | "claimed") {
            closed += 1;
            assert!(extra.get("private").is_none() && extra.get("salt").is_none());
            continue;
        }
        opened += 1;
        let salt = extra["salt"].as_str().unwrap();
        let salt: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&salt[at..at + 2], 16).unwrap())
            .collect();
        let committed =
            Sha256::digest([&salt[..], extra["private"].to_string().as_bytes()].concat());
        let hex: String = committed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(extra["leaf"]["commitment"], hex);
        assert_eq!(extra["private"]["application"], case.id);
    }
    assert!(opened > 5 && closed > 3, "{opened} {closed}");
    // The auditor sees all of it; nobody else's history names it.
    let reply = app
        .get(&format!("/v1/audit/events/{first}/proof"))
        .by(app::AUDITOR)
        .send()
        .await
        .expect(200);
    assert!(LogProof::parse(&reply.text()).unwrap().extra.is_some());
    let other = app.draft(app::MIGRANT, "patent").await;
    app.get(&other.path(&format!("/history/{first}/receipt")))
        .by(app::MIGRANT)
        .send()
        .await
        .expect(404);
}

#[actix_web::test]
async fn a_claim_of_the_next_application_commits_to_what_it_says() {
    let app = TestApp::spawn().await;
    app.submitted(app::MIGRANT).await;
    app.post("/v1/queues/intake/claims").by(app::OFFICER).key("next").send().await.expect(200);
    app.publish().await;
    let sql = app.sql().await;
    let rows = sql.query("SELECT id::text FROM events WHERE kind = 'claimed'", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    let id: String = rows[0].get(0);
    let reply = app.get(&format!("/v1/audit/events/{id}/proof")).by(app::AUDITOR).send().await;
    let proof = LogProof::parse(&reply.expect(200).text()).unwrap();
    let extra: Value = serde_json::from_slice(proof.extra.as_deref().unwrap()).unwrap();
    let salt = extra["salt"].as_str().unwrap();
    let salt: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&salt[at..at + 2], 16).unwrap()).collect();
    let committed = Sha256::digest([&salt[..], extra["private"].to_string().as_bytes()].concat());
    let hex: String = committed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(extra["leaf"]["commitment"], hex);
    let application = extra["private"]["application"].as_str().unwrap().parse().unwrap();
    let pseudonym =
        propusk::domain::event::sealed::pseudonym(&salt.try_into().unwrap(), application);
    let hex: String = pseudonym.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(extra["leaf"]["pseudonym"], hex);
}

#[actix_web::test]
async fn the_database_is_verified_after_a_rotation_and_it_is_said_what_it_was_not_compared_with() {
    let app = TestApp::spawn().await;
    app.draft(app::MIGRANT, "patent").await;
    app.publish().await;
    let folder = test_dir("verified-by-program");
    let (key, outside, trusted) =
        (folder.join("log.key"), folder.join("outside"), folder.join("trusted"));
    fs::create_dir_all(&outside).unwrap();
    let _ = fs::remove_file(&trusted);
    fs::write(&key, app::log_key()).unwrap();
    let run = |arguments: &[&str], directory: Option<&Path>| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_propusk"));
        process.arg("audit").args(arguments).env_clear().env("DATABASE_URL", app.database.url());
        process.env("PROPUSK_LOG_KEY_FILE", &key);
        if let Some(directory) = directory {
            process.env("PROPUSK_LOG_DIRECTORY", directory);
        }
        let Output { status, stdout, stderr } = process.output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    for rotate in [&["key", "rotate"][..], &["key", "rotate", "--finish"]] {
        let (done, said) = run(&[rotate, &[key.to_str().unwrap()]].concat(), None);
        assert!(done, "{said}");
    }
    // All that was signed was signed with the key that is retired now.
    let uncompared = "no checkpoint kept outside the database was compared";
    for directory in [None, Some(&*outside)] {
        let (done, said) = run(&["verify"], directory);
        assert!(done && said.contains("the log is in order"), "{said}");
        assert!(said.contains(uncompared), "{said}");
    }
    let note = app.get("/log/checkpoint").send().await.expect(200).text();
    fs::write(outside.join("checkpoint"), note).unwrap();
    let (done, said) = run(&["verify"], Some(&outside));
    assert!(done && said.contains("in order") && !said.contains(uncompared), "{said}");
    // The first time there is nothing to trust yet; the second time there is.
    for compared in [false, true] {
        let (done, said) = run(&["verify", "--trusted", trusted.to_str().unwrap()], None);
        assert!(done && said.contains("in order"), "{said}");
        assert_eq!(said.contains(uncompared), !compared, "{said}");
    }
}

#[actix_web::test]
async fn an_exported_folder_is_verified_without_the_service_and_goes_on_where_it_ended() {
    let app = TestApp::spawn().await;
    let (sql, keys) = (app.sql().await, app.app.log_keys.verifiers());
    let directory = test_dir("exported");
    let export = async || export::export(&app.app.db, &directory, &keys, &|_, _| ()).await;
    assert!(export().await.unwrap_err().to_string().contains("nothing is published yet"));
    let mut before = 0;
    for count in [200, 600, 0, 7, 70_000] {
        insert(&sql, "some", count).await;
        app.publish().await;
        let done = export().await.unwrap();
        let source = source::open(directory.to_str().unwrap());
        let report = verify::verify(source.as_ref(), &keys, None, &mut |_| ()).unwrap();
        let size = report.signed.checkpoint.size;
        assert_eq!((done.before, done.size), (before, size));
        assert_eq!(size, checkpoint(&app).await.checkpoint.size);
        before = size;
    }
    assert_eq!(export().await.unwrap().files, 0);
    // Nothing is left of parts that have become whole.
    assert!(!directory.join("tile/0/000.p").exists() && directory.join("tile/0/000").exists());
    // A history written anew does not replace the one that may prove it.
    put_back(
        &sql,
        "DELETE FROM log_leaves; DELETE FROM log_tiles; DELETE FROM log_checkpoints; \
                    UPDATE log_position SET next_xact = 0; DELETE FROM events WHERE kind <> 'some'",
    )
    .await;
    let forger = sequencer(&app, "export-forger");
    let mut seat = forger.sit().await.unwrap().unwrap();
    insert(&sql, "more", 100).await;
    while seat.tick(&|_| Ok(())).await.unwrap().more {}
    let why = export().await.unwrap_err().to_string();
    assert!(why.contains("does not go on from"), "{why}");
}
