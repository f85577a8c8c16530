//! What the public log costs: `cargo bench --bench log [-- EVENTS]`.
//!
//! A private, durable PostgreSQL in target/bench; rows as the service writes them. Prints the delay from an event to its
//! published checkpoint at 5,000 events a second, how fast a backlog is taken, bytes for each event, how fast the
//! database is verified, and the processor time that commands take, with and without what the log adds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot go on ends"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use propusk::app::App;
use propusk::audit::inspect;
use propusk::audit::note::LogKey;
use propusk::casework::{Ask, Seen};
use propusk::clock::{Clock as _, SystemClock};
use propusk::config::{Config, DemoConfig};
use propusk::demo::people;
use propusk::demo::postgres::{PostgresOptions, PrivatePostgres};
use propusk::domain::actor::{Actor, Role};
use propusk::domain::form::Form;
use propusk::permits::keys::PermitKeys;
use propusk::storage::events::{self, PlainEvent};
use propusk::storage::migrate;
use tokio_postgres::{Client, NoTls};

/// As the demo's key, for nothing else.
const TOKEN_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// An event of the size that commands write, `$1` of them in one transaction: 620 bytes of content, committed to.
const INSERT: &str = "\
    INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, content, salt, commitment) \
    SELECT e.id, e.at, 'measured', '019ab5c8-f400-7a3b-8c2d-1f0e5d4c3b2a', 'officer', '77', c.content, c.salt, \
    sha256(c.salt || convert_to('{\"actor\":\"019ab5c8-f400-7a3b-8c2d-1f0e5d4c3b2a\",\"at\":\"' || \
      to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || '\",\"content\":' || c.content || \
      ',\"event\":\"' || e.id || '\",\"role\":\"officer\",\"v\":1}', 'UTF8')) \
    FROM (SELECT t.at, t.n, (substr(first_id_at(t.at)::text, 1, 13) || '-7' || \
      substr(gen_random_uuid()::text, 16))::uuid AS id \
      FROM (SELECT date_trunc('milliseconds', clock_timestamp()) AS at, n FROM generate_series(1, $1::int) AS n) AS t) AS e, \
    LATERAL (SELECT '{\"note\":\"' || repeat(md5(e.n::text), 19) || '\"}' AS content, \
      sha256(convert_to(gen_random_uuid()::text, 'UTF8')) AS salt) AS c";

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
    client
}

fn app(url: &str, dir: &Path) -> App {
    let config = Config::demo(DemoConfig {
        database_url: url.to_owned(),
        port: 0,
        data_dir: dir.to_owned(),
        token_key: TOKEN_KEY.to_owned(),
        payment_webhook_secret: b"propusk-demo-measured".to_vec(),
        log_key: LogKey::generate("bench.example/log", [3; 32]).unwrap().private_line(),
        permit_key: PermitKeys::generate([4; 32], SystemClock.now(), None).private_text(),
    });
    App::new(&config.unwrap(), Arc::new(SystemClock)).unwrap()
}

/// Processor seconds of this process and, by command name, of PostgreSQL's.
fn cpu(postmaster: u32) -> (f64, f64) {
    let ticks = |pid: &str| -> Option<(f64, String)> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let used = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some((used / 100.0, (*fields.get(1)?).to_owned()))
    };
    let own = ticks("self").map_or(0.0, |(used, _)| used);
    let parent = postmaster.to_string();
    let mut server = ticks(&parent).map_or(0.0, |(used, _)| used);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Some((used, of)) = entry.file_name().to_str().and_then(ticks)
            && of == parent
        {
            server += used;
        }
    }
    (own, server)
}

fn main() {
    let events = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(300_000);
    actix_web::rt::System::new().block_on(measure(events));
}

async fn measure(events: i64) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let _ = propusk::demo::postgres::remove(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    let server = PrivatePostgres::start(&PostgresOptions::durable(&dir), &|_| ()).await.unwrap();
    server.ensure_database("bench").await.unwrap();
    let url = server.url("bench");
    migrate::run(&url).await.unwrap();
    let app = app(&url, &dir);
    people::settle(&app, &url).await.unwrap();
    let rules = propusk::app::rules(None).unwrap();
    migrate::register(&url, &rules, &SystemClock, "operator").await.unwrap();
    println!("| what | figure |\n|---|---|");
    commands(&app, &url, server.server_pid().unwrap()).await;
    paced(&app, &url, server.server_pid().unwrap()).await;
    backlog(&app, &url, events, server.server_pid().unwrap()).await;
    sizes(&url).await;
    verified(&app, server.server_pid().unwrap()).await;
    server.stop().await.unwrap();
}

/// What a command costs in all, and what of it the log adds: sealing, wider rows and more indexes than a plain history
/// of jsonb rows would have, and a read that is recorded.
async fn commands(app: &App, url: &str, postmaster: u32) {
    const COUNT: u32 = 4_000;
    let each = |before: (f64, f64), after: (f64, f64)| {
        let share = 1e6 / f64::from(COUNT);
        ((after.0 - before.0) * share, (after.1 - before.1) * share)
    };
    let sql = connect(url).await;
    let migrant: uuid::Uuid = sql
        .query_one("SELECT id::text FROM accounts WHERE role = 'migrant' LIMIT 1", &[])
        .await
        .unwrap()
        .get::<_, String>(0)
        .parse()
        .unwrap();
    let ask = Ask {
        actor: Actor::User { id: migrant, role: Role::Migrant, unit: None },
        if_match: None,
        idempotency: None,
    };
    let form: Form = serde_json::from_value(serde_json::json!({})).unwrap_or_default();
    let render = |_: &Seen<'_>| Ok(String::new());
    let before = cpu(postmaster);
    for _ in 0..COUNT {
        app.casework.open(&ask, "patent", "77", form.clone(), &render).await.unwrap();
    }
    let command = each(before, cpu(postmaster));
    println!(
        "| a command (opening a draft), service + PostgreSQL | {:.0} + {:.0} µs of processor |",
        command.0, command.1
    );
    // The same rows as the log of before had them.
    sql.batch_execute(
        "CREATE TABLE plain (id uuid PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL, actor_id uuid, \
         actor_role text NOT NULL, unit_code text, content jsonb NOT NULL); \
         CREATE INDEX ON plain (actor_id, at, id); CREATE INDEX ON plain (at, id)",
    )
    .await
    .unwrap();
    let plain = sql
        .prepare(
            "INSERT INTO plain SELECT gen_random_uuid(), clock_timestamp(), 'measured', \
             '019ab5c8-f400-7a3b-8c2d-1f0e5d4c3b2a', 'officer', '77', ('{\"note\":\"' || $1 || '\"}')::jsonb",
        )
        .await
        .unwrap();
    let note = "0123456789abcdef".repeat(38);
    let before = cpu(postmaster);
    for _ in 0..COUNT {
        sql.execute(&plain, &[&note]).await.unwrap();
    }
    let plain = each(before, cpu(postmaster));
    let mut conn = app.db.conn().await.unwrap();
    let before = cpu(postmaster);
    for _ in 0..COUNT {
        let content = serde_json::json!({ "note": note });
        let event = PlainEvent::now(&SystemClock, "measured", "officer", content);
        let event = event.by(migrant).in_unit(Some("77".to_owned())).for_purpose("casework");
        events::record(&mut conn, &event).await.unwrap();
    }
    let logged = each(before, cpu(postmaster));
    println!(
        "| an event as a plain row of history, client + PostgreSQL | {:.0} + {:.0} µs |",
        plain.0, plain.1
    );
    println!(
        "| an event of the log, alone: what a recorded read adds | {:.0} + {:.0} µs |",
        logged.0, logged.1
    );
}

/// 5,000 events a second for twenty seconds, in transactions of five, and the sequencer beside it.
async fn paced(app: &App, url: &str, postmaster: u32) {
    const RATE: f64 = 5_000.0;
    const SECONDS: f64 = 20.0;
    const EACH: i32 = 5;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sequencer = app.clone();
    let running = actix_web::rt::spawn(async move {
        sequencer
            .sequencer
            .run(async {
                let _ = stopped.await;
            })
            .await;
    });
    // When each checkpoint could first be read.
    let watch = connect(url).await;
    let (end, mut ended) = tokio::sync::oneshot::channel::<()>();
    let watcher = actix_web::rt::spawn(async move {
        let mut seen: Vec<(i64, i64)> = Vec::new();
        let latest = watch
            .prepare("SELECT size FROM log_checkpoints ORDER BY id DESC LIMIT 1")
            .await
            .unwrap();
        while ended.try_recv().is_err() {
            if let Some(row) = watch.query_opt(&latest, &[]).await.unwrap() {
                let size: i64 = row.get(0);
                if seen.last().is_none_or(|(last, _)| *last < size) {
                    seen.push((size, SystemClock.now().timestamp_micros()));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seen
    });
    let before = cpu(postmaster);
    let (began, since) = (Instant::now(), SystemClock.now().timestamp_micros());
    let writers = 8_u32;
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let client = connect(url).await;
        tasks.push(actix_web::rt::spawn(async move {
            let insert = client.prepare(INSERT).await.unwrap();
            let gap = Duration::from_secs_f64(f64::from(writers) * f64::from(EACH) / RATE);
            let mut due = Instant::now() + gap * writer / writers;
            let mut written = 0;
            while began.elapsed().as_secs_f64() < SECONDS {
                tokio::time::sleep_until(due.into()).await;
                client.execute(&insert, &[&EACH]).await.unwrap();
                written += EACH;
                due += gap;
            }
            written
        }));
    }
    let mut written = 0;
    for task in tasks {
        written += task.await.unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = cpu(postmaster);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _ = end.send(());
    let seen = watcher.await.unwrap();
    let _ = stop.send(());
    running.await.unwrap();
    let sql = connect(url).await;
    let rows = sql
        .query("SELECT index, (extract(epoch FROM at) * 1e6)::bigint FROM log_leaves JOIN events ON id = event_id ORDER BY 1", &[])
        .await
        .unwrap();
    let mut delays: Vec<f64> = rows
        .iter()
        .filter_map(|row| {
            let (index, at): (i64, i64) = (row.get(0), row.get(1));
            // What waited for the sequencer to be started is another question.
            if at < since {
                return None;
            }
            let (_, published) = seen.iter().find(|(size, _)| *size > index)?;
            Some((published - at) as f64 / 1000.0)
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "| events written | {written} in {seconds:.1} s: {:.0}/s |",
        f64::from(written) / seconds
    );
    println!(
        "| event to published checkpoint | median {:.0} ms, p99 {:.0} ms, most {:.0} ms |",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!(
        "| processor, writers and sequencer of this process, PostgreSQL | {:.0} % + {:.0} % of a core |",
        (after.0 - before.0) / seconds * 100.0,
        (after.1 - before.1) / seconds * 100.0
    );
}

/// A backlog, as after hours without a sequencer.
async fn backlog(app: &App, url: &str, events: i64, postmaster: u32) {
    let sql = connect(url).await;
    let chunk = i32::try_from(events / 100).unwrap();
    let began = Instant::now();
    for _ in 0..100 {
        sql.execute(INSERT, &[&chunk]).await.unwrap();
    }
    println!(
        "| inserting {events} events, in hundred transactions | {:.0}/s |",
        events as f64 / began.elapsed().as_secs_f64()
    );
    let before = cpu(postmaster);
    let began = Instant::now();
    let mut seat = app.sequencer.sit().await.unwrap().expect("nobody else");
    while seat.tick(&|_| Ok(())).await.unwrap().more {}
    let seconds = began.elapsed().as_secs_f64();
    let after = cpu(postmaster);
    println!("| the sequencer on that backlog | {:.0} events/s |", events as f64 / seconds);
    println!(
        "| processor for each event of it, sequencer + PostgreSQL | {:.1} + {:.1} µs |",
        (after.0 - before.0) / events as f64 * 1e6,
        (after.1 - before.1) / events as f64 * 1e6
    );
}

async fn sizes(url: &str) {
    let sql = connect(url).await;
    sql.batch_execute("VACUUM ANALYZE").await.unwrap();
    let size = async |what: &str| -> f64 {
        sql.query_one(&format!("SELECT ({what})::float8 / (SELECT count(*) FROM log_leaves)"), &[])
            .await
            .unwrap()
            .get(0)
    };
    let parts = "(SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass)";
    println!(
        "| bytes of an event's row, its content of 620 bytes among them | {:.0} |",
        size(&format!("SELECT sum(pg_table_size(inhrelid)) FROM {parts} AS p(inhrelid)")).await
    );
    println!(
        "| bytes of its indexes | {:.0} |",
        size(&format!("SELECT sum(pg_indexes_size(inhrelid)) FROM {parts} AS p(inhrelid)")).await
    );
    println!(
        "| bytes of its number | {:.0} |",
        size("SELECT pg_total_relation_size('log_leaves')").await
    );
    println!(
        "| bytes of its share of the tiles | {:.0} |",
        size("SELECT pg_total_relation_size('log_tiles')").await
    );
    println!(
        "| bytes of its share of the checkpoints | {:.1} |",
        size("SELECT pg_total_relation_size('log_checkpoints')").await
    );
}

async fn verified(app: &App, postmaster: u32) {
    let before = cpu(postmaster);
    let began = Instant::now();
    let done =
        inspect::verify(&app.db, &app.log_keys.verifiers(), &[], None, &|_, _| ()).await.unwrap();
    let verified = done.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let after = cpu(postmaster);
    println!(
        "| verifying {} events from the database | {:.0}/s; {:.1} + {:.1} µs of processor each |",
        verified.leaves,
        verified.leaves as f64 / seconds,
        (after.0 - before.0) / verified.leaves as f64 * 1e6,
        (after.1 - before.1) / verified.leaves as f64 * 1e6
    );
}
