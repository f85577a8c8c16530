//! The database is what the code believes: columns, constraints, rights and the append-only log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use propusk::storage::migrate;
use tokio_postgres::{Client, NoTls};

use crate::support::db::TestDatabase;
use crate::support::office::Office;

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Every column of every table of ours: `table.column type null?`, and the primary keys.
async fn of_the_database(client: &Client) -> BTreeSet<String> {
    let rows = client
        .query(
            "SELECT table_name || '.' || column_name || ' ' || data_type || \
             CASE is_nullable WHEN 'YES' THEN ' null' ELSE '' END \
             FROM information_schema.columns WHERE table_schema = 'public' \
             AND table_name <> '__diesel_schema_migrations' \
             UNION SELECT conrelid::regclass || ' key ' || (SELECT string_agg(attname, ', ' \
             ORDER BY array_position(conkey, attnum)) FROM pg_attribute \
             WHERE attrelid = conrelid AND attnum = ANY(conkey)) \
             FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace \
             AND conrelid::regclass::text <> '__diesel_schema_migrations'",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The same as `schema.rs` says it.
fn of_the_code() -> BTreeSet<String> {
    let text = include_str!("../../src/storage/schema.rs");
    let mut found = BTreeSet::new();
    for table in text.split("diesel::table! {").skip(1) {
        let table: String =
            table.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let (head, columns) = table.split_once('{').unwrap();
        let (name, keys) = head.split_once('(').unwrap();
        let name = name.trim();
        found.insert(format!("{name} key {}", keys.split_once(')').unwrap().0));
        for column in columns.split_once('}').unwrap().0.split(',') {
            let Some((column, kind)) = column.split_once("->") else { continue };
            let kind = kind.trim();
            let (kind, null) = kind
                .strip_prefix("Nullable<")
                .map_or((kind, ""), |inner| (inner.trim_end_matches('>'), " null"));
            let kind = match kind {
                "Text" => "text",
                "Uuid" => "uuid",
                "Timestamptz" => "timestamp with time zone",
                "Date" => "date",
                "Integer" => "integer",
                "BigInt" => "bigint",
                "Jsonb" => "jsonb",
                "Binary" => "bytea",
                "Bool" => "boolean",
                "SmallInt" => "smallint",
                "Array<Uuid" | "Array<Uuid>" | "Array<BigInt>" | "Array<Text>" => "ARRAY",
                other => panic!("add the type {other} to this test"),
            };
            found.insert(format!("{name}.{} {kind}{null}", column.trim()));
        }
    }
    found
}

#[tokio::test]
async fn every_column_of_the_code_is_one_of_the_database_and_the_other_way_round() {
    let database = TestDatabase::new().await;
    let stored = of_the_database(&connect(database.url()).await).await;
    let written = of_the_code();
    let unknown: Vec<_> = stored.difference(&written).collect();
    let missing: Vec<_> = written.difference(&stored).collect();
    assert!(
        unknown.is_empty() && missing.is_empty(),
        "schema.rs lacks {unknown:#?}, the database lacks {missing:#?}"
    );
}

#[tokio::test]
async fn migrations_go_down_to_nothing_and_up_again_to_the_same() {
    let database = TestDatabase::new().await;
    let client = connect(database.url()).await;
    let before = (of_the_database(&client).await, rest(&client).await);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut names = migrate::names().unwrap();
    names.sort();
    for name in names.iter().rev() {
        let down = std::fs::read_to_string(dir.join(name).join("down.sql")).unwrap();
        client.batch_execute(&down).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    assert_eq!(of_the_database(&client).await, BTreeSet::new());
    assert_eq!(rest(&client).await, Vec::<String>::new());
    client.batch_execute("DELETE FROM __diesel_schema_migrations").await.unwrap();
    assert_eq!(migrate::run(database.url()).await.unwrap(), names);
    let client = connect(database.url()).await;
    assert_eq!((of_the_database(&client).await, rest(&client).await), before);
}

/// Constraints, indexes, triggers, functions, sequences and rights: what columns do not show.
async fn rest(client: &Client) -> Vec<String> {
    let rows = client
        .query(
            "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS it \
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
             AND conrelid::regclass::text <> '__diesel_schema_migrations' \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
             AND tablename <> '__diesel_schema_migrations' \
             UNION ALL SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger \
             WHERE NOT tgisinternal \
             UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             AND proname NOT LIKE 'diesel%' \
             UNION ALL SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' \
             UNION ALL SELECT table_name || ' ' || privilege_type \
             FROM information_schema.role_table_grants WHERE grantee = 'propusk_service' \
             AND table_name <> '__diesel_schema_migrations' ORDER BY it",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

// ── Rights ───────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn the_service_has_these_rights_and_no_others() {
    let database = TestDatabase::new().await;
    let client = connect(database.url()).await;
    let rows = client
        .query(
            "SELECT table_name::text, string_agg(privilege_type, ' ' ORDER BY privilege_type) \
             FROM information_schema.role_table_grants WHERE grantee = 'propusk_service' \
             GROUP BY 1 ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    let mut rights = String::new();
    for row in rows {
        writeln!(rights, "{}: {}", row.get::<_, String>(0), row.get::<_, String>(1)).unwrap();
    }
    insta::assert_snapshot!(rights, @r"
    __diesel_schema_migrations: SELECT
    accounts: INSERT SELECT UPDATE
    allowed_transitions: SELECT
    application_words: DELETE INSERT SELECT
    applications: INSERT SELECT UPDATE
    blanks: INSERT SELECT UPDATE
    charges: INSERT SELECT UPDATE
    checks: INSERT SELECT UPDATE
    events: SELECT
    idempotency_keys: DELETE INSERT SELECT
    jobs: DELETE INSERT SELECT UPDATE
    log_checkpoints: INSERT SELECT
    log_cosignatures: INSERT SELECT
    log_leaves: INSERT SELECT
    log_position: SELECT UPDATE
    log_tiles: INSERT SELECT
    messages: INSERT SELECT UPDATE
    papers: INSERT SELECT
    payments: INSERT SELECT UPDATE
    permits: INSERT SELECT UPDATE
    queues: INSERT SELECT UPDATE
    refresh_tokens: DELETE INSERT SELECT UPDATE
    register_requests: INSERT SELECT UPDATE
    registers: INSERT SELECT UPDATE
    rule_files: INSERT SELECT
    sessions: DELETE INSERT SELECT UPDATE
    shares: DELETE INSERT SELECT UPDATE
    statements: INSERT SELECT UPDATE
    units: SELECT
    workflow_definitions: SELECT
    ");
}

#[tokio::test]
async fn the_service_writes_every_column_of_an_event_but_the_one_that_the_server_fills() {
    let database = TestDatabase::new().await;
    let client = connect(database.url()).await;
    let rows = client
        .query(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'public' \
             AND table_name = 'events' AND NOT has_column_privilege('propusk_service', \
             'public.events', column_name, 'INSERT')",
            &[],
        )
        .await
        .unwrap();
    let not: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(not, ["xact"]);
}

#[tokio::test]
async fn what_works_as_the_owner_looks_at_temporary_tables_last() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let owner = office.owner().await;
    let rows = owner
        .query(
            "SELECT proname::text, proconfig::text FROM pg_proc WHERE prosecdef \
             AND pronamespace = 'public'::regnamespace ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let path: Option<String> = row.get(1);
        let path = path.unwrap_or_default();
        assert!(path.contains("search_path=pg_catalog, public, pg_temp"), "{path}");
    }
    // The service makes up a table that says that the application is closed, and a trigger that works as the owner.
    let service = office.owner().await;
    service
        .batch_execute(
            "SET ROLE propusk_service; CREATE TEMP TABLE applications (LIKE public.applications); \
             INSERT INTO pg_temp.applications SELECT * FROM public.applications; \
             UPDATE pg_temp.applications SET phase = 'closed'; \
             CREATE FUNCTION pg_temp.evil() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN DELETE FROM public.log_checkpoints; RETURN NULL; END'; \
             CREATE TRIGGER evil AFTER UPDATE ON pg_temp.applications \
             FOR EACH ROW EXECUTE FUNCTION pg_temp.evil()",
        )
        .await
        .unwrap();
    let erase = format!("SELECT * FROM public.erase_application('{id}', now(), 'x')");
    assert_eq!(refused(&service, &erase).await, NO_RIGHT);
    let gone = "SELECT count(*) FROM events WHERE content IS NULL";
    assert_eq!(owner.query_one(gone, &[]).await.unwrap().get::<_, i64>(0), 0);
}

/// Gives the code with which a statement is refused.
async fn refused(client: &Client, statement: &str) -> String {
    match client.batch_execute(statement).await {
        Ok(()) => panic!("nobody refused: {statement}"),
        Err(error) => error.code().unwrap().code().to_owned(),
    }
}

const NO_RIGHT: &str = "42501";

#[tokio::test]
async fn the_service_can_neither_change_the_log_nor_the_rules() {
    let office = Office::open().await;
    office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let service = office.owner().await;
    service.batch_execute("SET ROLE propusk_service").await.unwrap();
    for statement in [
        "UPDATE events SET at = now()",
        "UPDATE events SET content = '{}' WHERE seq = 1",
        "UPDATE events SET content = NULL, salt = NULL",
        "SET propusk.erasing = ''; UPDATE events SET content = NULL, salt = NULL",
        "UPDATE log_leaves SET index = index + 1",
        "DELETE FROM log_leaves",
        "TRUNCATE log_leaves",
        "UPDATE log_tiles SET bytes = bytes",
        "DELETE FROM log_tiles",
        "UPDATE log_checkpoints SET note = ''",
        "DELETE FROM log_checkpoints",
        "UPDATE log_cosignatures SET line = ''",
        "DELETE FROM log_cosignatures",
        "DELETE FROM log_position",
        "SELECT count(*) FROM events_by_month.late",
        "INSERT INTO events (id, at, kind, actor_role, content, salt, commitment, xact) VALUES \
         (gen_random_uuid(), now(), 'x', 'officer', '{}', sha256(''), sha256(''), 4611686018427387904)",
        "UPDATE rule_files SET source = ''",
        "DELETE FROM rule_files",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE applications CASCADE",
        "DELETE FROM applications",
        "DELETE FROM payments",
        "DELETE FROM permits",
        "INSERT INTO allowed_transitions VALUES ('patent', 1, 'grant', 'draft', 'inForce')",
        "UPDATE allowed_transitions SET to_state = 'inForce'",
        "DELETE FROM allowed_transitions",
        "INSERT INTO workflow_definitions VALUES ('patent', 9, sha256(''), '', now())",
        "UPDATE workflow_definitions SET source = ''",
        "DELETE FROM workflow_definitions",
        "UPDATE idempotency_keys SET body = ''",
        "UPDATE units SET time_zone = 'UTC'",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER TABLE events ADD COLUMN x integer",
        "DROP TABLE events",
        "DROP TRIGGER events_are_append_only ON events",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN RETURN NEW; END'",
        "CREATE TABLE mine (x integer)",
        "SELECT setval('permit_serials', 1)",
        "INSERT INTO __diesel_schema_migrations VALUES ('2099', now())",
        "SET session_replication_role = replica",
    ] {
        // A superuser as session user could still do the last; serve's account is none.
        if statement.starts_with("SET session") && superuser(&service).await {
            continue;
        }
        assert_eq!(refused(&service, statement).await, NO_RIGHT, "{statement}");
    }
    let count: i64 = service.query_one("SELECT count(*) FROM events", &[]).await.unwrap().get(0);
    assert!(count > 1);
}

async fn superuser(client: &Client) -> bool {
    let asked = "SELECT rolsuper FROM pg_roles WHERE rolname = session_user";
    client.query_one(asked, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn even_the_owner_cannot_change_the_log() {
    let office = Office::open().await;
    office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let owner = office.owner().await;
    for statement in [
        "UPDATE events SET at = now()",
        "UPDATE events SET content = NULL, salt = NULL",
        "UPDATE events SET content = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE events_by_month.late",
        "TRUNCATE applications CASCADE",
    ] {
        assert_eq!(refused(&owner, statement).await, NO_RIGHT, "{statement}");
    }
}

#[tokio::test]
async fn an_event_of_a_transition_that_is_not_allowed_violates_the_foreign_key() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let service = office.owner().await;
    service.batch_execute("SET ROLE propusk_service").await.unwrap();
    let event = |command: &str, from: &str, to: &str| {
        format!(
            "BEGIN; INSERT INTO events (id, at, kind, actor_role, unit_code, application_id, seq, \
             track, workflow_version, command, from_state, to_state, content, salt, commitment, \
             pseudonym) VALUES (gen_random_uuid(), now(), 'x', 'officer', '77', '{id}', 99, 'patent', \
             1, '{command}', '{from}', '{to}', '{{}}', sha256(''), sha256(''), \
             substr(sha256(''), 1, 16)); ROLLBACK"
        )
    };
    service.batch_execute(&event("submit", "draft", "awaitingDuty")).await.unwrap();
    for (command, from, to) in [
        ("submit", "draft", "submitted"),
        ("grant", "draft", "awaitingPayment"),
        ("grant", "checking", "inForce"),
        ("submit", "draft", ""),
        ("open", "", "inForce"),
        ("claim", "draft", "draft"),
        ("bribe", "draft", "inForce"),
    ] {
        let error = service.batch_execute(&event(command, from, to)).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "23503", "{command} {from} {to}");
        assert!(error.constraint().unwrap().starts_with("events_track_workflow_version"));
        service.batch_execute("ROLLBACK").await.unwrap();
    }
}

// ── What rows may say ────────────────────────────────────────────────────────────────────────────────────────

/// The constraint, and a change that breaks it and it alone: of a permit in force, or of a draft.
const PROVOCATIONS: &[(&str, &str)] = &[
    ("applications_phase_check", "applications SET phase = 'limbo' WHERE phase = 'inForce'"),
    ("applications_version_check", "applications SET version = 0"),
    ("a_claim_has_an_end", "applications SET claimed_until = now()"),
    (
        "the_clock_runs_from_acceptance",
        "applications SET clock = NULL, due_on = NULL, standard_due_on = NULL WHERE phase = 'inForce'",
    ),
    (
        "a_decision_precedes_money_and_permit",
        "applications SET decision = NULL WHERE phase = 'inForce'",
    ),
    (
        "what_was_taken_in_was_handed_in",
        "applications SET submitted_at = NULL WHERE phase = 'inForce'",
    ),
    (
        "only_what_is_open_is_work",
        "applications SET phase = 'closed', work = 'checks' WHERE phase = 'inForce'",
    ),
    ("what_is_work_was_handed_in", "applications SET work = 'intake' WHERE state = 'draft'"),
    ("a_due_date_needs_a_clock", "applications SET due_on = now() WHERE state = 'draft'"),
    (
        "what_was_handed_in_names_its_person",
        "applications SET birth_date = NULL WHERE phase = 'inForce'",
    ),
    (
        "only_what_is_closed_is_erased",
        "applications SET erased_at = now(), erasure_basis = 'x' WHERE phase = 'inForce'",
    ),
    ("an_erasure_has_a_basis", "applications SET erasure_basis = 'x'"),
    (
        "what_is_erased_is_empty",
        "applications SET phase = 'closed', work = NULL, erased_at = now(), erasure_basis = 'x' \
         WHERE phase = 'inForce'",
    ),
    ("work_is_of_a_kind", "applications SET work = 'leisure' WHERE phase = 'inForce'"),
    (
        "a_standard_date_needs_a_clock",
        "applications SET standard_due_on = now() WHERE state = 'draft'",
    ),
    ("decided_means_both", "applications SET decided_in = 3 WHERE state = 'draft'"),
    ("applications_decided_in_check", "applications SET decided_in = -1 WHERE phase = 'inForce'"),
    ("checks_round_check", "checks SET round = 0"),
    ("checks_digest_check", "checks SET digest = 'x'"),
    ("a_reason_needs_an_answer", "checks SET outcome = NULL, answered_at = NULL, reason = 'x'"),
    ("checks_outcome_check", "checks SET outcome = 'maybe'"),
    ("an_answer_has_a_time", "checks SET answered_at = NULL"),
    ("an_override_is_whole", "checks SET overridden_at = now()"),
    (
        "nothing_is_held_beside_an_override",
        "checks SET before = '{}', overridden_by = (SELECT id FROM accounts LIMIT 1), \
         overridden_at = now(), override_reason = 'x'",
    ),
    ("charges_uin_check", "charges SET uin = '18800' WHERE fee = 'stateDuty'"),
    ("charges_amount_kopecks_check", "charges SET amount_kopecks = -1"),
    ("charges_paid_kopecks_check", "charges SET paid_kopecks = -1, status = 'open'"),
    ("charges_status_check", "charges SET status = 'forgiven'"),
    ("settled_means_paid", "charges SET paid_kopecks = amount_kopecks - 1"),
    ("charges_change_status_check", "charges SET change_status = 5"),
    ("charges_acknowledgement_check", "charges SET acknowledgement = 0"),
    ("what_is_annulled_says_so", "charges SET change_status = 3"),
    ("charges_outside_kopecks_check", "charges SET outside_kopecks = -1, status = 'open'"),
    ("what_came_outside_says_so", "charges SET outside_kopecks = 1"),
    (
        "two_officers_revise",
        "charges SET revision = '{\"proposedBy\": \"a\", \"confirmedBy\": \"a\"}'",
    ),
    ("payments_amount_kopecks_check", "payments SET amount_kopecks = 0"),
    ("payments_version_check", "payments SET version = 0"),
    ("payments_status_check", "payments SET status = 'lost'"),
    ("matched_means_a_charge", "payments SET charge_id = NULL"),
    (
        "no_part_is_negative",
        "payments SET waiting_kopecks = -1, matched_kopecks = matched_kopecks + 1",
    ),
    ("received_is_matched_waiting_and_refunded", "payments SET waiting_kopecks = 1"),
    ("refund_goes_with_its_status", "payments SET refund = '{}'"),
    ("the_status_says_what_waits", "payments SET status = 'waiting'"),
    (
        "two_officers_refund",
        "payments SET status = 'refunded', refunded_kopecks = amount_kopecks, matched_kopecks = 0, \
         charge_id = NULL, refund = '{\"proposedBy\": \"a\", \"confirmedBy\": \"a\"}'",
    ),
    ("permits_status_check", "permits SET status = 'sold'"),
    ("a_term_has_an_order", "permits SET ends_on = issued_on - 1, paid_through = NULL"),
    ("paid_within_the_term", "permits SET paid_through = ends_on + 1"),
    ("only_what_is_over_has_ended", "permits SET status = 'lapsed'"),
    ("only_a_suspended_permit_was_suspended_on", "permits SET suspended_on = issued_on"),
    ("blanks_status_check", "blanks SET status = 'burnt'"),
    ("only_the_valid_paper_has_not_ended", "blanks SET ended_at = now()"),
];

#[tokio::test]
async fn every_check_on_what_hangs_on_an_application_refuses_what_it_should() {
    let office = Office::open().await;
    office.in_force("FA1234567").await;
    office.draft(&office.migrant, "patent", "FA7654321").await.unwrap();
    let owner = office.owner().await;
    for (constraint, change) in PROVOCATIONS {
        let error = owner.batch_execute(&format!("UPDATE {change}")).await;
        let error = error.expect_err(change);
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.constraint()), ("23514", Some(*constraint)));
    }
    let there: BTreeMap<String, String> = owner
        .query(
            "SELECT conname::text, conrelid::regclass::text FROM pg_constraint WHERE contype = 'c' \
             AND conrelid::regclass::text IN \
             ('applications', 'permits', 'payments', 'charges', 'checks', 'blanks')",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let provoked: BTreeSet<&str> = PROVOCATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(there.keys().map(String::as_str).collect::<BTreeSet<_>>(), provoked);
}

#[tokio::test]
async fn an_event_belongs_wholly_to_an_application_or_not_at_all() {
    let office = Office::open().await;
    let id = office.draft(&office.migrant, "patent", "FA1234567").await.unwrap();
    let owner = office.owner().await;
    let names = "id, at, kind, actor_role, content, salt, commitment, pseudonym, application_id, \
                 seq, unit_code, track, workflow_version, command, from_state, to_state";
    let whole = ["99", "'77'", "'patent'", "1", "'submit'", "'draft'", "'awaitingDuty'"];
    let insert = |values: &[&str]| {
        format!(
            "BEGIN; INSERT INTO events ({names}) VALUES \
             (gen_random_uuid(), now(), 'x', 'officer', '{{}}', sha256(''), sha256(''), \
             substr(sha256(''), 1, 16), '{id}', {}); ROLLBACK",
            values.join(", ")
        )
    };
    owner.batch_execute(&insert(&whole)).await.unwrap();
    for part in 0..whole.len() {
        let mut lacking = whole;
        lacking[part] = "NULL";
        let error = owner.batch_execute(&insert(&lacking)).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.constraint(), Some("an_application_event_is_whole"), "{lacking:?}");
        owner.batch_execute("ROLLBACK").await.unwrap();
    }
}
