//! Whatever is changed behind the log's back is found, and named; nothing else is.

use propusk::audit::inspect::{self, Verified};
use propusk::audit::note::{self, SignedCheckpoint};
use propusk::audit::sequencer::{Sequencer, SequencerOptions, SequencerParts};
use propusk::casework::erasure::{Reason, Whose};
use std::sync::Arc;
use tokio_postgres::Client;

use crate::support::app::{self, TestApp};
use crate::support::db::test_dir;

/// The tables that are put back after each change.
const TABLES: [&str; 7] = [
    "events",
    "log_leaves",
    "log_tiles",
    "log_checkpoints",
    "log_position",
    "rule_files",
    "workflow_definitions",
];

/// A log of some 900 leaves, three of its tiles full, with applications, log-ins and a row to change in each place.
struct World {
    app: TestApp,
    sql: Client,
    kept: SignedCheckpoint,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::spawn().await;
        let sql = app.sql().await;
        app.publish().await;
        app.in_force(app::MIGRANT).await;
        app.publish().await;
        while count(&sql).await < 800 {
            app.in_force(app::EMPLOYER).await;
            app.publish().await;
        }
        app.granted(app::MIGRANT).await;
        app.publish().await;
        let text = app.get("/log/checkpoint").send().await.expect(200).text();
        let kept = note::open_checkpoint(&text, &app.app.log_keys.verifiers()).unwrap();
        for table in TABLES {
            let copy = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
            sql.batch_execute(&copy).await.unwrap();
        }
        Self { app, sql, kept }
    }

    /// Verifies as the auditor does who trusts the database alone.
    async fn verify(&self) -> Result<Verified, String> {
        self.verify_knowing(&[]).await
    }

    async fn verify_knowing(&self, known: &[SignedCheckpoint]) -> Result<Verified, String> {
        let keys = self.app.app.log_keys.verifiers();
        let done = inspect::verify(&self.app.app.db, &keys, known, None, &|_, _| ()).await;
        match done {
            Ok(verified) => verified.map_err(|broken| broken.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Changes rows as somebody can who owns the database and turns its triggers off.
    async fn change(&self, statements: &str) {
        let script = format!(
            "SET session_replication_role = replica; {statements}; SET session_replication_role = DEFAULT"
        );
        self.sql
            .batch_execute(&script)
            .await
            .unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    async fn put_back(&self) {
        for table in TABLES {
            self.change(&format!(
                "DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table}"
            ))
            .await;
        }
    }
}

async fn count(sql: &Client) -> i64 {
    sql.query_one("SELECT count(*) FROM events", &[]).await.unwrap().get(0)
}

/// An event of an application, in a full tile.
const INNER: &str = "id = (SELECT event_id FROM log_leaves JOIN events ON id = event_id \
                     WHERE kind = 'accepted' ORDER BY index LIMIT 1)";

/// An event of an application, in the last tile, which is not full.
const EDGE: &str = "id = (SELECT event_id FROM log_leaves JOIN events ON id = event_id \
                    WHERE kind = 'granted' ORDER BY index DESC LIMIT 1)";

const NOT_COMMITTED: &str = "is not what its commitment was made from";
const OTHER_LEAF: &str = "its event's row makes another leaf than the bundle of entries";
const OTHER_TREE: &str = "was signed for another tree than the first";

/// A change of each column of the events, and what is said of it in a full tile and at the edge.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("at = at + interval '1 microsecond'", NOT_COMMITTED, NOT_COMMITTED),
    ("at = at - interval '1 day'", NOT_COMMITTED, NOT_COMMITTED),
    ("actor_id = gen_random_uuid()", NOT_COMMITTED, NOT_COMMITTED),
    ("actor_id = NULL", NOT_COMMITTED, NOT_COMMITTED),
    ("actor_role = 'timer'", NOT_COMMITTED, NOT_COMMITTED),
    ("application_id = gen_random_uuid()", NOT_COMMITTED, NOT_COMMITTED),
    ("command = 'refuse'", NOT_COMMITTED, NOT_COMMITTED),
    ("from_state = 'draft'", NOT_COMMITTED, NOT_COMMITTED),
    ("to_state = 'draft'", NOT_COMMITTED, NOT_COMMITTED),
    ("purpose = 'audit'", NOT_COMMITTED, NOT_COMMITTED),
    ("subjects = ARRAY[gen_random_uuid()]", NOT_COMMITTED, NOT_COMMITTED),
    ("content = replace(content, 'officer', 'ufficer')", NOT_COMMITTED, NOT_COMMITTED),
    ("content = content || ' '", NOT_COMMITTED, NOT_COMMITTED),
    ("salt = set_byte(salt, 31, get_byte(salt, 31) # 1)", NOT_COMMITTED, NOT_COMMITTED),
    (
        "commitment = set_byte(commitment, 0, get_byte(commitment, 0) # 1)",
        NOT_COMMITTED,
        NOT_COMMITTED,
    ),
    (
        "pseudonym = set_byte(pseudonym, 15, get_byte(pseudonym, 15) # 128)",
        "another application's pseudonym",
        "another application's pseudonym",
    ),
    (
        "content = NULL, salt = NULL",
        "no event says that it was erased",
        "no event says that it was erased",
    ),
    ("id = gen_random_uuid()", "its event", "its event"),
    ("kind = 'refused'", OTHER_LEAF, OTHER_TREE),
    ("unit_code = '78'", OTHER_LEAF, OTHER_TREE),
    ("seq = seq + 1", OTHER_LEAF, OTHER_TREE),
    ("track = 'highly-qualified-specialist'", OTHER_LEAF, OTHER_TREE),
    ("workflow_version = 2", OTHER_LEAF, OTHER_TREE),
];

/// Other changes, and what is said of them.
const CHANGES: &[(&str, &str)] = &[
    // Leaves.
    ("DELETE FROM log_leaves WHERE index = 300", "leaf 300 is missing"),
    ("DELETE FROM log_leaves WHERE index = 0", "leaf 0 is missing"),
    (
        "DELETE FROM log_leaves WHERE index = (SELECT max(index) FROM log_leaves)",
        "leaves were removed from the end",
    ),
    ("UPDATE log_leaves SET index = 100000 WHERE index = 300", "leaf 300 is missing"),
    ("UPDATE log_leaves SET event_id = gen_random_uuid() WHERE index = 10", "leaf 10: its event"),
    (
        "CREATE TEMP TABLE two AS SELECT * FROM log_leaves WHERE index IN (20, 21); \
         DELETE FROM log_leaves WHERE index IN (20, 21); \
         INSERT INTO log_leaves SELECT 41 - index, event_id FROM two; DROP TABLE two",
        "leaf 20: its event's row makes another leaf",
    ),
    (
        "DELETE FROM events WHERE id = (SELECT event_id FROM log_leaves WHERE index = 300)",
        "leaf 300: its event",
    ),
    // An event put in after the fact, with everything right but a number.
    (
        "INSERT INTO events (id, at, kind, actor_role, content, salt, commitment, xact) \
         SELECT gen_random_uuid(), at, kind, actor_role, content, salt, commitment, xact FROM events \
         WHERE id = (SELECT event_id FROM log_leaves WHERE index = 1)",
        "is committed and has no number",
    ),
    // One of a transaction that the sequencer would wait for until the end of days.
    (
        "UPDATE events SET xact = 4611686018427387904 WHERE id = (SELECT event_id FROM log_leaves WHERE index = 300); \
         DELETE FROM log_leaves WHERE index = (SELECT max(index) FROM log_leaves)",
        "leaves were removed from the end",
    ),
    (
        "INSERT INTO events (id, at, kind, actor_role, content, salt, commitment, xact) \
         SELECT gen_random_uuid(), at, kind, actor_role, content, salt, commitment, 4611686018427387904 FROM events \
         WHERE id = (SELECT event_id FROM log_leaves WHERE index = 1)",
        "is committed and has no number",
    ),
    // Rows that follow from events.
    (
        "UPDATE rule_files SET source = source || '#' WHERE name = 'rates.toml'",
        "a file of rules is not the one",
    ),
    (
        "UPDATE rule_files SET source = source || '#', digest = sha256(convert_to(source || '#', 'UTF8')) \
         WHERE name = 'rates.toml'",
        "a file of rules is not the one",
    ),
    ("UPDATE workflow_definitions SET source = ''", "a definition is not the one"),
    // Tiles.
    (
        "UPDATE log_tiles SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE level = -1 AND index = 1",
        "leaf 256: its event's row makes another leaf than the bundle of entries 1",
    ),
    (
        "UPDATE log_tiles SET bytes = set_byte(bytes, 8191, get_byte(bytes, 8191) # 1) WHERE level = 0 AND index = 2",
        "the tile 2 of level 0 does not hold the hashes",
    ),
    (
        "UPDATE log_tiles SET root = set_byte(root, 0, get_byte(root, 0) # 1) WHERE level = 0 AND index = 0",
        "the tile 0 of level 0 has another root",
    ),
    ("DELETE FROM log_tiles WHERE level = -1 AND index = 0", "the bundle of entries 0 is missing"),
    ("DELETE FROM log_tiles WHERE level = 0 AND index = 2", "the tile 2 of level 0 is missing"),
    (
        "INSERT INTO log_tiles SELECT level, 77, bytes, root FROM log_tiles WHERE level = 0 AND index = 0",
        "full tiles, and a tree of",
    ),
    (
        "UPDATE log_tiles SET index = 9 WHERE level = 0 AND index = 1",
        "the tile 1 of level 0 is missing",
    ),
    // Checkpoints.
    (
        "UPDATE log_checkpoints SET size = size - 1 WHERE id = 2",
        "checkpoint 2 has another size or root",
    ),
    (
        "UPDATE log_checkpoints SET root = set_byte(root, 5, get_byte(root, 5) # 1) WHERE id = 2",
        "checkpoint 2 has another size or root",
    ),
    (
        "UPDATE log_checkpoints SET at = at + interval '1 hour' WHERE id = 2",
        "checkpoint 2 has another time",
    ),
    (
        "UPDATE log_checkpoints SET note = replace(note, E'\\n\\n', E'\\n1\\n\\n') WHERE id = 2",
        "checkpoint 2 is not signed by the log",
    ),
    (
        "UPDATE log_checkpoints SET note = overlay(note PLACING 'AAAA' FROM length(note) - 20) WHERE id = 2",
        "checkpoint 2 is not signed by the log",
    ),
    ("DELETE FROM log_checkpoints WHERE id = 2", "checkpoint 2 is missing"),
    ("DELETE FROM log_checkpoints WHERE id = 1", "checkpoint 1 is missing"),
    (
        "UPDATE log_checkpoints a SET size = b.size, root = b.root, at = b.at, note = b.note \
         FROM log_checkpoints b WHERE a.id = 1 AND b.id = 3",
        "checkpoint 2 has",
    ),
];

#[actix_web::test]
async fn every_change_behind_the_log_is_found_and_named_and_nothing_else_is() {
    let world = World::new().await;
    let whole = world.verify().await.unwrap();
    assert!(whole.leaves >= 800 && whole.tiles == 6 && whole.erased == 0, "{whole:?}");
    assert!(whole.checkpoints > 5);
    for (columns, in_a_tile, at_the_edge) in COLUMNS {
        for (which, told) in [(INNER, in_a_tile), (EDGE, at_the_edge)] {
            world.change(&format!("UPDATE events SET {columns} WHERE {which}")).await;
            let found = world.verify().await.expect_err(columns);
            assert!(found.contains(told), "{columns}: {found}");
            world.put_back().await;
        }
    }
    for (change, told) in CHANGES {
        world.change(change).await;
        let found = world.verify().await.expect_err(change);
        assert!(found.contains(told), "{change}: {found}");
        world.put_back().await;
    }
    assert_eq!(world.verify().await.unwrap(), whole);
    assert_eq!(world.verify_knowing(std::slice::from_ref(&world.kept)).await.unwrap(), whole);
}

#[actix_web::test]
async fn every_column_of_the_log_is_among_the_changes() {
    let world = TestApp::spawn().await;
    let rows = world
        .sql()
        .await
        .query(
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name IN \
             ('events', 'log_leaves', 'log_tiles', 'log_checkpoints')",
            &[],
        )
        .await
        .unwrap();
    let uncovered = ["log_tiles.level"];
    for row in rows {
        let column: String = row.get(0);
        let (table, name) = column.split_once('.').unwrap();
        let set = |text: &str| text.contains(&format!("{name} = "));
        let covered = match table {
            "events" => {
                COLUMNS.iter().any(|(change, ..)| set(change))
                    || CHANGES.iter().any(|(change, _)| set(change))
            }
            _ => CHANGES.iter().any(|(change, _)| change.contains(table) && set(change)),
        };
        assert!(covered || uncovered.contains(&&*column), "nobody changes {column}");
    }
}

#[actix_web::test]
async fn a_row_that_no_event_accounts_for_is_found_and_named() {
    let app = TestApp::spawn().await;
    let case = app.submitted(app::MIGRANT).await;
    app.publish().await;
    let (sql, keys) = (app.sql().await, app.app.log_keys.verifiers());
    for (change, told) in [
        (
            format!("DELETE FROM applications WHERE id = '{}'", case.id),
            "events tell of an application that is gone",
        ),
        (
            format!(
                "UPDATE applications SET phase = 'closed', work = NULL, person_key = NULL, person_name = NULL, \
                 birth_date = NULL, form = '{{}}', documents = '[]', information = '[]', erased_at = now(), \
                 erasure_basis = 'x' WHERE id = '{}'",
                case.id
            ),
            "an application is said to be erased, and no event says so",
        ),
        (
            "UPDATE accounts SET role = 'administrator' WHERE role = 'auditor'".to_owned(),
            "an account has a role that no event gave it",
        ),
        (
            "UPDATE accounts SET unit_code = '50' WHERE email LIKE 'officer@%'".to_owned(),
            "an account is in an office that no event put it in",
        ),
        (
            "UPDATE accounts SET disabled_at = now() WHERE email LIKE 'officer@%'".to_owned(),
            "an account can be logged in with, or not, against the last event about that",
        ),
        (
            "INSERT INTO units VALUES ('99', 'x', '99', 'UTC')".to_owned(),
            "an office was added by no event",
        ),
    ] {
        sql.batch_execute(&format!(
            // Rows go back whole, with what the table otherwise reckons itself.
            "ALTER TABLE applications ALTER COLUMN in_turn DROP EXPRESSION IF EXISTS; \
             CREATE TABLE kept AS SELECT * FROM applications; CREATE TABLE kept_accounts AS SELECT * FROM accounts; \
             SET session_replication_role = replica; {change}"
        ))
        .await
        .unwrap();
        let found =
            inspect::verify(&app.app.db, &keys, &[], None, &|_, _| ()).await.unwrap().unwrap_err();
        assert!(found.to_string().contains(told), "{change}: {found}");
        sql.batch_execute(
            "DELETE FROM applications; INSERT INTO applications SELECT * FROM kept; DROP TABLE kept; \
             DELETE FROM accounts; INSERT INTO accounts SELECT * FROM kept_accounts; DROP TABLE kept_accounts; \
             DELETE FROM units WHERE code = '99'; SET session_replication_role = DEFAULT",
        )
        .await
        .unwrap();
    }
    inspect::verify(&app.app.db, &keys, &[], None, &|_, _| ()).await.unwrap().unwrap();
}

/// Writes an event as the service may, with everything right but its time.
async fn insert_dated(app: &TestApp, at: chrono::DateTime<chrono::Utc>, id: uuid::Uuid) {
    let salt = [7; 32];
    let private = propusk::domain::event::sealed::Private {
        event: id,
        at,
        actor: None,
        role: "operator",
        application: None,
        command: None,
        from: None,
        to: None,
        purpose: None,
        subjects: &[],
        content: "{}",
    };
    let seal = private.seal(salt);
    app.sql()
        .await
        .execute(
            &format!(
                "INSERT INTO events (id, at, kind, actor_role, content, salt, commitment) VALUES \
                 ('{id}', '{}', 'dated', 'operator', '{{}}', $1, $2)",
                at.to_rfc3339()
            ),
            &[&&salt[..], &&seal.commitment[..]],
        )
        .await
        .unwrap();
}

#[actix_web::test]
async fn an_event_that_is_dated_back_or_forward_is_found_though_its_commitment_is_right() {
    let (day, second) = (chrono::TimeDelta::days(1), chrono::TimeDelta::seconds(1));
    for (shift, own_id, told) in [
        (-day, true, "long before checkpoint"),
        (day, true, "that is dated after it"),
        (-second * 30, false, "an id that was not made when it happened"),
    ] {
        let app = TestApp::spawn().await;
        app.publish().await;
        app.draft(app::MIGRANT, "patent").await;
        app.publish().await;
        let at = app.now() + shift;
        let id = app.app.clock.id_at(if own_id { at } else { app.now() });
        insert_dated(&app, at, id).await;
        app.publish().await;
        let keys = app.app.log_keys.verifiers();
        let found = inspect::verify(&app.app.db, &keys, &[], None, &|_, _| ()).await.unwrap();
        let found = found.unwrap_err().to_string();
        assert!(found.contains(told), "{found}");
    }
}

#[actix_web::test]
async fn a_whole_history_written_anew_with_the_right_key_is_found_by_who_kept_a_checkpoint() {
    let world = World::new().await;
    world
        .change(
            "DELETE FROM events WHERE kind = 'accepted'; TRUNCATE log_leaves, log_tiles, log_cosignatures, log_checkpoints; \
             UPDATE log_position SET next_xact = 0, open = '{}'",
        )
        .await;
    let forger = Sequencer::new(SequencerParts {
        url: world.app.database.url().to_owned(),
        db: world.app.app.db.clone(),
        witnesses: Vec::new(),
        keys: world.app.app.log_keys.clone(),
        directory: test_dir("forger"),
        clock: world.app.clock.clone(),
        status: Arc::default(),
        options: SequencerOptions::default(),
    });
    let mut seat = forger.sit().await.unwrap().unwrap();
    while seat.tick(&|_| Ok(())).await.unwrap().more {}
    // It agrees with itself, and nobody who looks at the database alone can tell.
    world.verify().await.unwrap();
    let found = world.verify_knowing(std::slice::from_ref(&world.kept)).await.unwrap_err();
    assert!(found.contains("kept outside"), "{found}");
}

#[actix_web::test]
async fn from_a_trusted_checkpoint_only_what_came_after_it_is_looked_at() {
    let world = World::new().await;
    let (app, keys) = (&world.app, world.app.app.log_keys.verifiers());
    app.draft(app::MIGRANT, "patent").await;
    app.publish().await;
    let whole = world.verify().await.unwrap();
    let db = &app.app.db;
    let from =
        async || inspect::verify(db, &keys, &[], Some(&world.kept), &|_, _| ()).await.unwrap();
    let rest = from().await.unwrap();
    assert_eq!(rest.leaves, whole.leaves - world.kept.checkpoint.size);
    assert_eq!((rest.tiles, rest.checkpoints), (whole.tiles, 2));
    assert_eq!(rest.note, whole.note);
    world.change("UPDATE events SET kind = 'x' WHERE id = (SELECT event_id FROM log_leaves ORDER BY index DESC LIMIT 1)").await;
    assert!(from().await.is_err());
}

#[actix_web::test]
async fn a_log_that_is_written_to_while_it_is_verified_is_whole() {
    let world = World::new().await;
    let writing = async {
        for _ in 0..5 {
            world.app.draft(app::MIGRANT, "patent").await;
            world.app.publish().await;
        }
    };
    let (verified, ()) = tokio::join!(world.verify(), writing);
    verified.unwrap();
    world.verify().await.unwrap();
}

#[actix_web::test]
async fn what_was_erased_is_told_from_what_is_missing() {
    let app = TestApp::spawn().await;
    let gone = app.submitted(app::MIGRANT).await;
    app.submitted(app::EMPLOYER).await;
    app.command(app::MIGRANT, &gone.id, serde_json::json!({ "command": "withdraw" }))
        .await
        .expect(200);
    app.publish().await;
    app.advance(chrono::TimeDelta::days(365 * 20));
    let id = gone.id.parse().unwrap();
    let reason = Reason::Request { basis: "order 7", role: "operator" };
    app.app.casework.erase(Whose::Application(id), reason).await.unwrap();
    app.publish().await;
    let keys = app.app.log_keys.verifiers();
    let verify = async || {
        let done = inspect::verify(&app.app.db, &keys, &[], None, &|_, _| ()).await.unwrap();
        done.map_err(|broken| broken.to_string())
    };
    let verified = verify().await.unwrap();
    assert!(verified.erased > 5, "{verified:?}");
    // The event of the erasure is what tells; it cannot be made up, changed or removed.
    let sql = app.sql().await;
    let change = async |statement: &str| {
        let script = format!(
            "SET session_replication_role = replica; {statement}; SET session_replication_role = DEFAULT"
        );
        sql.batch_execute(&script).await.unwrap();
    };
    sql.batch_execute("CREATE TABLE kept AS SELECT id, content, salt FROM events").await.unwrap();
    for (statement, told) in [
        (
            "UPDATE events SET content = NULL, salt = NULL WHERE kind = 'erased'".to_owned(),
            "no event says that it was erased",
        ),
        (
            "UPDATE events SET content = replace(content, 'order 7', 'order 8') WHERE kind = 'erased'".to_owned(),
            NOT_COMMITTED,
        ),
        (
            format!("UPDATE events SET content = NULL, salt = NULL WHERE application_id <> '{id}'"),
            "no event says that it was erased",
        ),
    ] {
        change(&statement).await;
        let found = verify().await.unwrap_err();
        assert!(found.contains(told), "{statement}: {found}");
        change("UPDATE events e SET content = k.content, salt = k.salt FROM kept k WHERE k.id = e.id").await;
        assert_eq!(verify().await.unwrap(), verified);
    }
}
