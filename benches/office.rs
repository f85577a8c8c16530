//! What the officer's day costs: `cargo bench --bench office`, with `OFFICE_APPLICATIONS=20000` for a small one.
//!
//! A private PostgreSQL in target/bench-office, filled with 1,000,000 applications of which a sixth are open, most of
//! all in one unit; by the generator of benches/support, and what is seldom in its cases put in by SQL. Prints, for that unit, the median and the 95th
//! percentile of the time of each statement as the service sends it (client and server on one machine, one connection),
//! then how many claims a second many connections make, and then the plans. With `OFFICE_KEEP=1` a database that is there
//! is measured again as it is, but for new migrations.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/keys.rs"]
mod keys;
#[path = "support/names.rs"]
mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{Days, NaiveDate, TimeDelta};
use propusk::app::App;
use propusk::clock::{Clock as _, SystemClock};
use propusk::demo::postgres::{PostgresOptions, PrivatePostgres};
use propusk::domain::actor::{Actor, Role};
use propusk::domain::lookup::Lookup;
use propusk::domain::queue::{Filter, Queue, Work};
use propusk::storage::applications::{self, ClaimNext, Claimed, Holder, Narrow, Place};
use propusk::storage::workload::{self, Span};
use propusk::storage::{Conn, Db, DbOptions, migrate, queues, search};
use tokio_postgres::Client;
use uuid::Uuid;

/// The unit that has two fifths of all.
const UNIT: &str = "77";

/// How often each statement is timed.
const ROUNDS: usize = 60;

/// How many officers the unit gets: as many as claim at one instant.
const OFFICERS: usize = 64;

fn main() {
    let many = std::env::var("OFFICE_APPLICATIONS").ok().and_then(|text| text.parse().ok());
    actix_web::rt::System::new().block_on(measure(many.unwrap_or(1_000_000)));
}

fn app(url: &str, dir: &Path) -> App {
    App::new(&keys::config(url, dir), Arc::new(SystemClock)).unwrap()
}

async fn measure(many: i64) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-office");
    if std::env::var_os("OFFICE_KEEP").is_none() {
        let _ = propusk::demo::postgres::remove(&dir).await;
        let _ = std::fs::remove_dir_all(&dir);
    }
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
    let new = server.ensure_database("bench").await.unwrap();
    let url = server.url("bench");
    migrate::run(&url).await.unwrap();
    let built = app(&url, &dir);
    let sql = cases::connect(&url).await;
    if new {
        cases::seed(&url, &dir).await;
        let filled = cases::fill(&url, many, 0).await;
        add_what_is_seldom(&sql).await;
        let took: f64 = filled.took.iter().sum();
        println!(
            "{} applications with {} events in {took:.0} s",
            filled.applications, filled.events
        );
    }
    let counted = "SELECT count(*) FILTER (WHERE work IS NOT NULL), count(*) FILTER (WHERE work IS NOT NULL \
         AND unit_code = $1), count(*) FILTER (WHERE unit_code = $1), count(*) FROM applications";
    let row = sql.query_one(counted, &[&UNIT]).await.unwrap();
    println!(
        "{} applications, {} wait for an office, {} of them in the unit measured, which has {} in all",
        row.get::<_, i64>(3),
        row.get::<_, i64>(0),
        row.get::<_, i64>(1),
        row.get::<_, i64>(2)
    );
    let officers: Vec<Uuid> = sql
        .query(
            "SELECT id::text FROM accounts WHERE role = 'officer' AND unit_code = $1 ORDER BY id",
            &[&UNIT],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get::<_, String>(0).parse().unwrap())
        .collect();
    let asked = operations(&mut built.db.conn().await.unwrap(), officers[0]).await;
    println!("\n| what | least ms | median ms | p95 ms |\n|---|---|---|---|");
    for one in &asked {
        let mut times = Vec::new();
        let mut conn = built.db.conn().await.unwrap();
        release(&sql).await;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            one.run(&mut conn, officers[0]).await;
            times.push(began.elapsed());
        }
        println!("| {} | {} |", one.name(), quantiles(&mut times));
    }
    println!(
        "\n| claiming at once | claims | a second | least ms | median ms | p95 ms | p99 ms |\n|---|---|---|---|---|---|---|"
    );
    for at_once in [1, 16, OFFICERS] {
        for queue in ["checks", "all (custom: no filter)"] {
            race(&url, &sql, &officers, at_once, queue).await;
        }
    }
    plans(&sql, &url, &dir, officers[0], &asked).await;
    server.stop().await.unwrap();
}

/// The least, the median and the 95th percentile in milliseconds. The least tells what a statement costs when nothing
/// else runs on the machine.
fn quantiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1000.0;
    format!("{:.2} | {:.2} | {:.2}", at(0), at(50), at(95))
}

// ── At once ──────────────────────────────────────────────────────────────────────────────────────────────────

/// Ends the leases that measuring has left behind: an office holds as many as it has officers, not thousands.
async fn release(sql: &Client) {
    sql.batch_execute(
        "UPDATE applications SET claimed_by = NULL, claimed_until = NULL, claimed_from = NULL \
         WHERE claimed_by IS NOT NULL AND assigned_by IS NULL",
    )
    .await
    .unwrap();
}

/// How many are claimed by all together.
const RACE: usize = 960;

/// Claims from one queue on many connections at once, each with an officer of its own, and sees to it that each claim got
/// an application of its own, with its lease and its event.
async fn race(url: &str, sql: &Client, officers: &[Uuid], at_once: usize, queue: &str) {
    let db = Db::new(&DbOptions {
        url: url.to_owned(),
        pool_size: at_once,
        wait: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(10),
    })
    .unwrap();
    let claim = Asked::Claim(
        Queue::default_named(queue).unwrap_or_else(|| custom(queue, Filter::default())),
    );
    release(sql).await;
    let before = SystemClock.now();
    let began = Instant::now();
    let each = officers[..at_once].iter().map(async |officer| {
        let mut conn = db.conn().await.unwrap();
        let mut claims = Vec::new();
        for _ in 0..RACE / at_once {
            let began = Instant::now();
            let got = claim.run(&mut conn, *officer).await;
            claims.push((began.elapsed(), got.unwrap()));
        }
        claims
    });
    let claims: Vec<(Duration, Uuid)> =
        futures_util::future::join_all(each).await.into_iter().flatten().collect();
    let took = began.elapsed().as_secs_f64();
    let apart: BTreeSet<Uuid> = claims.iter().map(|(_, id)| *id).collect();
    assert_eq!(apart.len(), claims.len(), "an application was given to two");
    let text = "SELECT count(*), count(DISTINCT e.application_id) FROM events e \
         JOIN applications a ON a.id = e.application_id AND a.claimed_by = e.actor_id AND a.version = e.seq \
         WHERE e.at >= $1::text::timestamptz";
    let row = sql.query_one(text, &[&before.to_rfc3339()]).await.unwrap();
    let stored = (row.get::<_, i64>(0), row.get::<_, i64>(1));
    let all = i64::try_from(claims.len()).unwrap();
    assert_eq!(stored, (all, all), "a claim has no lease or no event, or two");
    let mut times: Vec<Duration> = claims.iter().map(|(time, _)| *time).collect();
    let quantiles = quantiles(&mut times);
    let last = times[times.len() * 99 / 100].as_secs_f64() * 1000.0;
    let name = queue.split(' ').next().unwrap_or_default();
    let speed = times.len() as f64 / took;
    println!("| {at_once} from {name} | {all} | {speed:.0} | {quantiles} | {last:.2} |");
}

// ── What is asked ────────────────────────────────────────────────────────────────────────────────────────────

enum Asked {
    List { what: &'static str, queue: Queue, narrow: Narrow, after: Option<Place> },
    Count(Vec<Queue>),
    Claim(Queue),
    Search(&'static str),
    Workload,
    FindQueue,
}

fn custom(name: &str, filter: Filter) -> Queue {
    Queue { name: name.to_owned(), title: [].into(), position: 0, filter, version: 1 }
}

/// Queues that a unit may set: what is hard about each is in its name.
fn customs() -> Vec<Queue> {
    let checks = |check: &str| Filter { check: vec![check.to_owned()], ..Filter::default() };
    let state = |state: &str| Filter { state: vec![state.to_owned()], ..Filter::default() };
    vec![
        custom("bans (custom: a check open in many)", checks("entryBan")),
        custom("rare (custom: a check open in few)", checks("securityOpinion")),
        custom("never (custom: a check open in none)", checks("localCheck")),
        custom("nothing (custom: a state without any)", state("lapsed")),
        custom("old (custom: by age)", Filter { min_age_days: Some(13), ..Filter::default() }),
        custom(
            "highly-qualified (custom: a track with few)",
            Filter { track: vec!["highly-qualified-specialist".to_owned()], ..Filter::default() },
        ),
        custom(
            "in-time (custom: not overdue)",
            Filter { overdue: Some(false), ..Filter::default() },
        ),
        custom(
            "late-rare (custom: overdue with a check open in few)",
            Filter { overdue: Some(true), work: vec![Work::Checks], ..checks("securityOpinion") },
        ),
        custom("all (custom: no filter)", Filter::default()),
    ]
}

async fn operations(conn: &mut Conn, officer: Uuid) -> Vec<Asked> {
    let mut own: Vec<Queue> =
        Queue::defaults().into_iter().filter(Queue::holds_applications).collect();
    own.extend(customs());
    let mut all = vec![Asked::FindQueue];
    let list = |what, queue: &Queue, narrow, after| Asked::List {
        what,
        queue: queue.clone(),
        narrow,
        after,
    };
    all.extend(own.iter().map(|queue| list("first page", queue, Narrow::default(), None)));
    for queue in own.iter().filter(|queue| matches!(queue.filter.works().len(), 7)) {
        if let Some(after) = far(conn, queue).await {
            all.push(list("page 100", queue, Narrow::default(), Some(after)));
        }
    }
    let everything = custom("all", Filter::default());
    let narrow = |what, narrow| list(what, &everything, narrow, None);
    let any = Narrow::default;
    all.extend([
        narrow("what nobody holds", Narrow { holder: Some(Holder::Nobody), ..any() }),
        narrow("the caller's own", Narrow { holder: Some(Holder::Account(officer)), ..any() }),
        narrow(
            "a check open in few",
            Narrow { check: Some("securityOpinion".to_owned()), ..any() },
        ),
        narrow("a state without any", Narrow { state: Some("lapsed".to_owned()), ..any() }),
        narrow(
            "a track with few",
            Narrow { track: Some("highly-qualified-specialist".to_owned()), ..any() },
        ),
        narrow("what is overdue", Narrow { overdue: Some(true), ..any() }),
        narrow("what was put first", Narrow { expedited: Some(true), ..any() }),
    ]);
    all.extend(own.iter().cloned().map(|queue| Asked::Count(vec![queue])));
    all.push(Asked::Count(Queue::defaults()));
    all.extend(own.into_iter().map(Asked::Claim));
    all.extend(
        [
            "yu",
            "каримов",
            "karim rus",
            "rustam karim",
            "каримов улугбек",
            "карим зухра шариф",
            "karimova zulfiya",
            "каримов рустам игамбердиев",
            "рустамов каримович умаров",
            "FA0000123",
            "fa00",
            "fa00 karim",
            "петров",
        ]
        .map(Asked::Search),
    );
    all.push(Asked::Workload);
    all
}

/// Leafs through 99 pages.
async fn far(conn: &mut Conn, queue: &Queue) -> Option<Place> {
    let mut after = None;
    for _ in 0..99 {
        let narrow = Narrow::default();
        let now = SystemClock.now();
        let page = applications::list_queue(conn, UNIT, queue, &narrow, now, after, 20);
        after = Some(page.await.unwrap().last()?.place().unwrap());
    }
    after
}

impl Asked {
    fn name(&self) -> String {
        match self {
            Self::List { what, queue, .. } => format!("{what} of {}", queue.name),
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

    /// Asks once; gives what was claimed.
    async fn run(&self, conn: &mut Conn, officer: Uuid) -> Option<Uuid> {
        let now = SystemClock.now();
        match self {
            Self::List { queue, narrow, after, .. } => {
                applications::list_queue(conn, UNIT, queue, narrow, now, *after, 21).await.unwrap();
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
                return match applications::claim_next(conn, &ask).await.unwrap() {
                    Claimed::Application { id, .. } => Some(id),
                    Claimed::Nothing | Claimed::KeyUsed => None,
                    Claimed::HasLeft => panic!("the officer has no account"),
                };
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
        None
    }
}

// ── The rows ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Adds what the cases of the generator have seldom or never: colleagues, leases, work of registers, what goes first, a check
/// that is open in few and one that is open in many.
async fn add_what_is_seldom(sql: &Client) {
    let dice = "abs(hashtext(id::text)::bigint)";
    sql.batch_execute(&format!(
        "INSERT INTO accounts (id, email, name, role, unit_code, password_hash, created_at) \
           SELECT gen_random_uuid(), 'officer-' || n || '@bench.example', 'Officer ' || n, 'officer', '{UNIT}', '', now() \
           FROM generate_series(1, {OFFICERS}) AS n; \
         UPDATE applications SET open_checks = CASE WHEN {dice} % 997 = 1 THEN '{{securityOpinion}}' \
             ELSE '{{entryBan,medical}}' END::text[] WHERE work = 'checks' AND ({dice} % 997 = 1 OR {dice} % 4 = 0); \
         UPDATE applications SET work = 'registers', open_checks = '{{criminalRecord}}' \
           WHERE work = 'checks' AND {dice} % 5 = 3; \
         UPDATE applications SET expedited = jsonb_build_object('by', id, 'at', submitted_at, 'reason', 'ill') \
           WHERE work IS NOT NULL AND {dice} % 300 = 2; \
         UPDATE applications a SET claimed_by = o.id, assigned_by = o.id, claimed_until = now() + interval '20 minutes', \
             claimed_from = 'checks' FROM (SELECT min(id::text)::uuid AS id FROM accounts WHERE role = 'officer' \
             AND unit_code = '{UNIT}') o WHERE a.work = 'checks' AND a.unit_code = '{UNIT}' AND abs(hashtext(a.id::text)::bigint) % 500 = 4"
    ))
    .await
    .unwrap();
    sql.batch_execute("VACUUM ANALYZE applications").await.unwrap();
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
