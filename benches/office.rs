//! What the officer's day costs: `cargo bench --bench office`, with `OFFICE_APPLICATIONS=20000` for a small one.
//!
//! A private PostgreSQL in target/bench-office, filled with 1,000,000 applications of which a fifth are open, half of all
//! in one unit; rows as the service writes them, put in by SQL. Prints, for that unit, the median and the 95th percentile of
//! the time of each statement as the service sends it (client and server on one machine), and then the plans.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use propusk::app::App;
use propusk::audit::note::LogKey;
use propusk::clock::{Clock as _, SystemClock};
use propusk::config::{Config, DemoConfig};
use propusk::demo::people;
use propusk::demo::postgres::{PostgresOptions, PrivatePostgres};
use propusk::domain::actor::{Actor, Role};
use propusk::domain::identity::name;
use propusk::domain::lookup::Lookup;
use propusk::domain::queue::{Filter, Queue};
use propusk::storage::applications::{self, ClaimNext, Narrow};
use propusk::storage::workload::{self, Span};
use propusk::storage::{Conn, migrate, queues, search};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// As the demo's key, for nothing else.
const TOKEN_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// The unit that has half of all.
const UNIT: &str = "77";

/// How often each statement is timed.
const ROUNDS: usize = 60;

const FAMILIES: [&str; 16] = [
    "Абдуллаев",
    "Юсупов",
    "Рахимов",
    "Исмоилов",
    "Тошматов",
    "Холматов",
    "Эргашев",
    "Мирзаев",
    "Турсунов",
    "Хакимов",
    "Каримов",
    "Саидов",
    "Умаров",
    "Норматов",
    "Бозоров",
    "Жўраев",
];
const GIVEN: [&str; 12] = [
    "Азиз",
    "Рустам",
    "Жамшид",
    "Хуршид",
    "Алишер",
    "Гулнора",
    "Дилноза",
    "Шахзод",
    "Улуғбек",
    "Нодира",
    "Фаррух",
    "Зарина",
];

fn main() {
    let many = std::env::var("OFFICE_APPLICATIONS").ok().and_then(|text| text.parse().ok());
    actix_web::rt::System::new().block_on(measure(many.unwrap_or(1_000_000)));
}

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
    });
    App::new(&config.unwrap(), Arc::new(SystemClock)).unwrap()
}

async fn measure(many: i64) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-office");
    let _ = propusk::demo::postgres::remove(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    let mut options = PostgresOptions::durable(&dir);
    options.settings = [
        ("shared_buffers", "512MB"),
        ("max_wal_size", "8GB"),
        // The plans go to a file that the server itself reads out.
        ("logging_collector", "on"),
        ("log_directory", "log"),
        ("log_filename", "plans.log"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let server = PrivatePostgres::start(&options, &|_| ()).await.unwrap();
    server.ensure_database("bench").await.unwrap();
    let url = server.url("bench");
    migrate::run(&url).await.unwrap();
    let built = app(&url, &dir);
    people::settle(&built, &url).await.unwrap();
    let rules = propusk::app::rules(None).unwrap();
    migrate::register(&url, &rules, &SystemClock, "operator").await.unwrap();
    let sql = connect(&url).await;
    let began = Instant::now();
    fill(&sql, many).await;
    println!("{many} applications in {:.0} s", began.elapsed().as_secs_f64());
    let counted = "SELECT count(*) FILTER (WHERE work IS NOT NULL), count(*) FILTER (WHERE work IS NOT NULL \
         AND unit_code = $1), count(*) FILTER (WHERE unit_code = $1) FROM applications";
    let row = sql.query_one(counted, &[&UNIT]).await.unwrap();
    println!(
        "{} wait for an office, {} of them in the unit measured, which has {} in all",
        row.get::<_, i64>(0),
        row.get::<_, i64>(1),
        row.get::<_, i64>(2)
    );
    println!("\n| what | median ms | p95 ms |\n|---|---|---|");
    let officer = sql
        .query_one(
            "SELECT id::text FROM accounts WHERE role = 'officer' AND unit_code = $1 LIMIT 1",
            &[&UNIT],
        )
        .await
        .unwrap()
        .get::<_, String>(0)
        .parse()
        .unwrap();
    let asked = operations();
    for one in &asked {
        let mut times = Vec::new();
        let mut conn = built.db.conn().await.unwrap();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            one.run(&mut conn, officer).await;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "| {} | {:.2} | {:.2} |",
            one.name(),
            times[times.len() / 2],
            times[times.len() * 95 / 100]
        );
    }
    plans(&sql, &url, &dir, officer, &asked).await;
    server.stop().await.unwrap();
}

// ── What is asked ────────────────────────────────────────────────────────────────────────────────────────────

enum Asked {
    List(Queue),
    Count(Vec<Queue>),
    Claim(Queue),
    Search(&'static str),
    Workload,
    FindQueue,
}

fn custom(name: &str, filter: Filter) -> Queue {
    Queue { name: name.to_owned(), title: [].into(), position: 0, filter, version: 1 }
}

fn operations() -> Vec<Asked> {
    let checks = |check: &str| Filter { check: vec![check.to_owned()], ..Filter::default() };
    let mut own: Vec<Queue> =
        Queue::defaults().into_iter().filter(Queue::holds_applications).collect();
    own.push(custom("bans (custom: a check)", checks("entryBan")));
    own.push(custom("rare (custom: a check open in few)", checks("securityOpinion")));
    own.push(custom(
        "nothing (custom: a state without any)",
        Filter { state: vec!["lapsed".to_owned()], ..Filter::default() },
    ));
    own.push(custom("all (custom: no filter)", Filter::default()));
    let mut all = vec![Asked::FindQueue];
    all.extend(own.iter().cloned().map(Asked::List));
    all.extend(own.iter().cloned().map(|queue| Asked::Count(vec![queue])));
    all.push(Asked::Count(Queue::defaults()));
    all.extend(own.into_iter().map(Asked::Claim));
    all.extend(
        ["yu", "каримов", "karim rus", "жураев улугбек", "FA0000123", "fa00", "петров"]
            .map(Asked::Search),
    );
    all.push(Asked::Workload);
    all
}

impl Asked {
    fn name(&self) -> String {
        match self {
            Self::List(queue) => format!("first page of {}", queue.name),
            Self::Count(queues) => match queues.as_slice() {
                [queue] => format!("count of {}", queue.name),
                _ => "count of all default queues, as GET /v1/queues".to_owned(),
            },
            Self::Claim(queue) => format!("claim from {}", queue.name),
            Self::Search(typed) => format!("search for {typed}"),
            Self::Workload => "workload, its four statements".to_owned(),
            Self::FindQueue => "what a queue is".to_owned(),
        }
    }

    async fn run(&self, conn: &mut Conn, officer: Uuid) {
        let now = SystemClock.now();
        match self {
            Self::List(queue) => {
                let narrow = Narrow::default();
                applications::list_queue(conn, UNIT, queue, &narrow, now, None, 21).await.unwrap();
            }
            Self::Count(queues) => {
                applications::count_queues(conn, UNIT, queues, now).await.unwrap();
            }
            Self::Claim(queue) => {
                let key = SystemClock.new_id().to_string();
                let ask = ClaimNext {
                    unit: UNIT,
                    queue,
                    officer,
                    actor: &Actor::User {
                        id: officer,
                        role: Role::Officer,
                        unit: Some(UNIT.to_owned()),
                    },
                    now,
                    until: now + TimeDelta::minutes(30),
                    event: SystemClock.id_at(now),
                    salt: SystemClock.salt(),
                    key: (&key, &[7; 32]),
                };
                applications::claim_next(conn, &ask).await.unwrap();
            }
            Self::Search(typed) => {
                let lookup = Lookup::parse(typed).unwrap();
                search::list(conn, UNIT, &lookup, now, None, 21).await.unwrap();
            }
            Self::Workload => {
                let today = now.date_naive();
                let since = today - Days::new(89);
                let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0).unwrap().and_utc();
                let span = Span {
                    unit: UNIT,
                    now,
                    today,
                    soon: today + Days::new(2),
                    since,
                    since_at: midnight(since),
                };
                workload::load(conn, &span).await.unwrap();
            }
            Self::FindQueue => {
                queues::find(conn, UNIT, "intake").await.unwrap();
            }
        }
    }
}

// ── The rows ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Fills the tables: a fifth open, spread over the kinds of work; the others decided within the last two years.
async fn fill(sql: &Client, many: i64) {
    let mut names = String::new();
    for family in FAMILIES {
        for given in GIVEN {
            let full = format!("{family} {given}");
            let keys: Vec<String> = name::keys(&full).into_iter().collect();
            let comma = if names.is_empty() { "" } else { ", " };
            names.push_str(&format!("{comma}('{full}', '{{{}}}'::text[])", keys.join(",")));
        }
    }
    let now: DateTime<Utc> = SystemClock.now();
    sql.batch_execute(&format!(
        "CREATE TEMP TABLE names AS SELECT row_number() OVER () - 1 AS n, v.* FROM (VALUES {names}) AS v(name, keys); \
         CREATE TEMP TABLE offices AS SELECT row_number() OVER (ORDER BY code) - 1 AS n, code FROM units \
           WHERE code <> '{UNIT}'; \
         CREATE TEMP TABLE made AS \
         SELECT n, gen_random_uuid() AS id, \
           CASE WHEN hashint8(n) % 2 = 0 OR (SELECT count(*) FROM offices) = 0 THEN '{UNIT}' \
             ELSE (SELECT code FROM offices o WHERE o.n = s.n % (SELECT count(*) FROM offices)) END AS unit, \
           CASE WHEN n % 5 = 0 THEN (ARRAY['intake','intake','checks','checks','checks','registers','registers', \
             'registers','decision','decision','payment','handover','annulment','paused'])[1 + (n / 5) % 14] \
             ELSE 'closed' END AS kind, \
           abs(hashint8(n * 7)) % (SELECT count(*) FROM names) AS named, abs(hashint8(n * 13)) AS dice \
         FROM generate_series(0, {many} - 1) AS s(n); ANALYZE made;"
    ))
    .await
    .unwrap();
    sql.execute(
        "INSERT INTO applications (id, reference, track, workflow_version, unit_code, applicant_id, state, phase, \
             version, created_at, work, state_since, submitted_at, due_on, standard_due_on, escalated_at, person_key, \
             person_name, birth_date, form, clock, decision, open_checks, expedited, notes, claimed_by, claimed_until, \
             claimed_from, decided_on, decided_in) \
             SELECT m.id, 'B' || m.n, CASE WHEN dice % 50 = 0 THEN 'highly-qualified-specialist' ELSE 'patent' END, 1, \
             m.unit, (SELECT id FROM accounts WHERE role = 'migrant' LIMIT 1), \
             CASE kind WHEN 'intake' THEN 'submitted' WHEN 'payment' THEN 'awaitingPayment' WHEN 'handover' THEN 'ready' \
               WHEN 'annulment' THEN 'annulmentProposed' WHEN 'paused' THEN 'informationRequested' \
               WHEN 'closed' THEN 'refused' ELSE 'checking' END, \
             CASE kind WHEN 'intake' THEN 'submission' WHEN 'payment' THEN 'fee' WHEN 'handover' THEN 'issuance' \
               WHEN 'annulment' THEN 'inForce' WHEN 'closed' THEN 'closed' ELSE 'checks' END, \
             9, t.submitted - interval '1 hour', CASE WHEN kind NOT IN ('closed', 'paused') THEN kind END, \
             t.submitted, t.submitted, t.due, t.due, \
             CASE WHEN kind NOT IN ('closed', 'paused') AND dice % 400 = 1 THEN t.submitted + interval '15 days' END, \
             'UZB:FA' || lpad(m.n::text, 7, '0'), s.name, '1990-05-17'::date + (dice % 9000)::int, \
             jsonb_build_object('person', jsonb_build_object('familyName', split_part(s.name, ' ', 1), 'givenName', \
               split_part(s.name, ' ', 2), 'birthDate', '1990-05-17', 'sex', 'male', 'citizenship', 'UZB'), 'passport', \
               jsonb_build_object('number', 'FA' || lpad(m.n::text, 7, '0'), 'issuedOn', '2021-01-02', 'expiresOn', \
               '2031-01-01'), 'note', repeat(md5(m.n::text), 12)), \
             CASE WHEN kind <> 'intake' THEN jsonb_build_object('startedOn', t.submitted::date, 'length', 10, \
               'suspensions', '[]'::jsonb) END, \
             CASE WHEN kind IN ('payment', 'handover', 'annulment', 'closed') THEN jsonb_build_object('outcome', 'granted', \
               'at', t.submitted, 'by', m.id) END, \
             CASE kind WHEN 'checks' THEN CASE WHEN dice % 4 = 0 THEN '{entryBan,medical}' \
               WHEN dice % 997 = 1 THEN '{securityOpinion}' ELSE '{passport,language}' END::text[] \
               WHEN 'registers' THEN '{criminalRecord}' ELSE '{}' END, \
             CASE WHEN kind NOT IN ('closed', 'paused') AND dice % 300 = 2 THEN \
               jsonb_build_object('by', m.id, 'at', t.submitted, 'reason', 'ill') END, \
             CASE WHEN dice % 6 = 0 THEN jsonb_build_array(jsonb_build_object('note', 1, 'by', m.id, 'at', t.submitted, \
               'text', repeat('a word ', 12))) ELSE '[]' END, \
             h.by, CASE WHEN h.by IS NOT NULL THEN $1::text::timestamptz + interval '20 minutes' END, \
             CASE WHEN h.by IS NOT NULL THEN 'checks' END, \
             CASE WHEN kind = 'closed' AND dice % 9 > 0 THEN t.due - (dice % 4) END, \
             CASE WHEN kind = 'closed' AND dice % 9 > 0 THEN 10 - dice % 4 END \
             FROM made m JOIN names s ON s.n = m.named \
             LEFT JOIN LATERAL (SELECT id AS by FROM accounts WHERE role = 'officer' AND m.dice % 500 = 3 \
               AND m.kind NOT IN ('closed', 'paused', 'annulment') LIMIT 1) h ON true, \
             LATERAL (SELECT $1::text::timestamptz - CASE WHEN kind = 'closed' THEN interval '20 days' + \
                 (m.dice % 700) * interval '1 day' ELSE (m.dice % 1440) * interval '15 minutes' END \
                 - (m.dice % 3600) * interval '1 second' AS submitted) a, \
             LATERAL (SELECT a.submitted, CASE WHEN kind NOT IN ('intake', 'paused') THEN a.submitted::date + 14 END AS due) t",
        &[&now.to_rfc3339()],
    )
    .await
    .unwrap();
    sql.batch_execute(
        "INSERT INTO application_words SELECT m.unit, w.word, m.id FROM made m JOIN names s ON s.n = m.named, \
           LATERAL (SELECT unnest(s.keys) UNION SELECT 'fa' || lpad(m.n::text, 7, '0')) AS w(word); \
         INSERT INTO checks (application_id, id, asked_at, due_on) SELECT a.id, c, a.submitted_at, a.due_on \
           FROM applications a, unnest(a.open_checks) AS c",
    )
    .await
    .unwrap();
    sql.batch_execute("VACUUM ANALYZE").await.unwrap();
}

// ── The plans ────────────────────────────────────────────────────────────────────────────────────────────────

/// Runs each once more in sessions that write their plans down, and prints these.
async fn plans(sql: &Client, url: &str, dir: &Path, officer: Uuid, asked: &[Asked]) {
    if sql.batch_execute("LOAD 'auto_explain'").await.is_err() {
        println!("\nno plans: the server lacks auto_explain");
        return;
    }
    sql.batch_execute(
        "ALTER DATABASE bench SET session_preload_libraries = 'auto_explain'; \
         ALTER DATABASE bench SET auto_explain.log_min_duration = 0; \
         ALTER DATABASE bench SET auto_explain.log_analyze = on; \
         ALTER DATABASE bench SET auto_explain.log_buffers = on",
    )
    .await
    .unwrap();
    let app = app(url, dir);
    let size = async || -> i64 {
        sql.query_one("SELECT size FROM pg_stat_file('log/plans.log')", &[]).await.unwrap().get(0)
    };
    for one in asked {
        let mut conn = app.db.conn().await.unwrap();
        let before = size().await;
        one.run(&mut conn, officer).await;
        let length = size().await - before;
        let text = "SELECT pg_read_file('log/plans.log', $1, $2)";
        let text: String = sql.query_one(text, &[&before, &length]).await.unwrap().get(0);
        println!("\n### {}\n", one.name());
        let mut shown = false;
        for line in text.lines() {
            // After the text of the statement comes its plan, indented.
            if line.contains("duration: ") {
                println!("{}", line.split("duration: ").nth(1).unwrap_or_default());
                shown = false;
            }
            shown |= line.contains("(cost=");
            if shown {
                println!("{}", line.trim_start_matches('\t'));
            }
        }
    }
}
