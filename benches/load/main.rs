//! What the service does in a second, and what it costs: `make bench`.
//!
//! A private PostgreSQL in target/bench-load, two databases of different sizes, the service's own binary on each, and a load
//! generator in this process. Rounds of short slices alternate, so that what else the machine does falls on all alike; the
//! figures are medians. Everything runs on one machine, the load generator, too.
//!
//! | variable | means | else |
//! |---|---|---|
//! | `BENCH_APPLICATIONS` | the larger database | 1,000,000 |
//! | `BENCH_SMALL` | the smaller one | 10,000 |
//! | `BENCH_ROUNDS` | rounds | 3 |
//! | `BENCH_SECONDS` | a slice | 2 |
//! | `BENCH_RESULTS` | the file that is written | benches/RESULTS.md |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot go on ends"
)]

mod bare;
#[path = "../support/cases.rs"]
mod cases;
mod http;
#[path = "../support/keys.rs"]
mod keys;
mod limit;
mod machine;
#[path = "../support/names.rs"]
mod names;
mod office;
mod report;
mod service;
mod trips;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use propusk::casework::Casework;
use propusk::demo::postgres::binaries::Binaries;
use propusk::demo::postgres::{self, PostgresOptions, PrivatePostgres};
use propusk::storage::applications::{self, Key, Wants};
use propusk::storage::{Db, DbOptions, audit};
use tokio_postgres::Client;

use self::http::{Outcome, Source};
use self::limit::{CLIENTS, EACH, Limit};
use self::office::{Office, STATUS};
use self::report::{LIMIT, Report, Sample, grouped};
use self::trips::Trips;

/// On how many connections the larger office is measured.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// On how many the smaller one is, to see what growth costs.
const MANY: usize = 64;

/// How many drafts there are to hand in, at least; of a larger office, as many in a thousand.
const READY: (i64, i64) = (3_000, 30);

/// How many applications are replayed when they are many.
const REPLAYED: usize = 1_000;

/// How long is waited for what goes on by itself.
const IDLE: Duration = Duration::from_secs(3);

/// Memory that the service may have at 64 connections, in MiB.
const MEMORY: f64 = 64.0;

/// What is asked of the machine.
struct Plan {
    large: i64,
    small: i64,
    rounds: usize,
    slice: Duration,
    results: PathBuf,
}

fn main() {
    if let Ok(listen) = std::env::var(bare::LISTEN) {
        return actix_web::rt::System::new().block_on(bare::serve(&listen));
    }
    let number = |name: &str, or: i64| -> i64 {
        std::env::var(name)
            .ok()
            .and_then(|text| text.replace(['_', ','], "").parse().ok())
            .unwrap_or(or)
    };
    let large = number("BENCH_APPLICATIONS", 1_000_000);
    let plan = Plan {
        large,
        small: number("BENCH_SMALL", 10_000).min(large),
        rounds: number("BENCH_ROUNDS", 3).max(1) as usize,
        slice: Duration::from_secs(number("BENCH_SECONDS", 2).max(1) as u64),
        results: std::env::var_os("BENCH_RESULTS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md"),
            PathBuf::from,
        ),
    };
    actix_web::rt::System::new().block_on(measure(&plan));
}

/// Tells what is being done, with the seconds since the start.
fn say(began: Instant, text: &str) {
    println!("[{:6.1} s] {text}", began.elapsed().as_secs_f64());
}

/// Everything that a slice needs.
struct Bench<'a> {
    plan: &'a Plan,
    began: Instant,
    postgres: u32,
    load: String,
    report: Report,
}

async fn measure(plan: &Plan) {
    let began = Instant::now();
    let load = machine::load();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-load");
    let _ = postgres::remove(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    let mut options = PostgresOptions::durable(&dir);
    options.settings = [
        ("shared_buffers", "1GB"),
        ("max_wal_size", "8GB"),
        ("max_connections", "200"),
        ("shared_preload_libraries", "pg_stat_statements"),
        // What the limit is made of is read from the server's own log.
        ("logging_collector", "on"),
        ("log_directory", "log"),
        ("log_filename", "server.log"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let server = PrivatePostgres::start(&options, &|step| say(began, step)).await.unwrap();
    let mut bench = Bench {
        plan,
        began,
        postgres: server.server_pid().unwrap(),
        load,
        report: Report::default(),
    };
    bench.run(&server, &dir).await;
    server.stop().await.unwrap();
    let text = bench.report.text(plan.large);
    std::fs::write(&plan.results, &text).unwrap();
    println!("\n{text}");
    say(began, "done");
}

impl Bench<'_> {
    async fn run(&mut self, server: &PrivatePostgres, dir: &Path) {
        let plan = self.plan;
        let admin = server.url("postgres");
        postgres::create_database(&admin, "seed", None).await.unwrap();
        cases::seed(&server.url("seed"), dir).await;
        say(self.began, "the engine has made the cases that the others are variants of");
        let mut offices = Vec::new();
        let sizes = [(plan.large, "large"), (plan.small, "small")];
        for (size, database) in sizes.into_iter().take(if plan.large == plan.small { 1 } else { 2 })
        {
            offices.push(Rc::new(self.open(server, dir, size, database).await));
        }
        let (large, all) = (Rc::clone(&offices[0]), offices);
        let bare = service::bare(&large.url).await;
        let limit = self.limit(&large).await;
        let mut cases = Vec::new();
        for office in &all {
            cases.push(office.checking(true, 4 * MANY).await);
            assert!(cases.last().unwrap().len() >= MANY, "too few applications are being checked");
        }
        let pgbench = limit::pgbench(&Binaries::find(None, None).unwrap());
        for round in 1..=plan.rounds {
            say(self.began, &format!("round {round} of {}", plan.rounds));
            for connections in CONNECTIONS {
                self.bare(&large, &bare, connections).await;
                self.limited(&limit, &large, &pgbench, dir, connections).await;
                for (office, cases) in all.iter().zip(&cases) {
                    if office.size == plan.large || connections == MANY {
                        office.work_on(cases).await;
                        self.reads(office, connections).await;
                        office.work_on(cases).await;
                        self.again(office, cases, connections).await;
                        self.walk(office, connections).await;
                    }
                }
            }
        }
        self.open_loop(&large, &cases[0]).await;
        self.trips(&large, &cases[0], dir).await;
        for office in &all {
            let found = replayed(office, REPLAYED.min(300)).await;
            say(self.began, &format!("{found} applications replayed after the load, none differs"));
        }
        self.facts(&all).await;
        self.bars(&all, large.service.id());
    }

    /// Makes, fills and checks a database, and starts the service on it.
    async fn open(
        &mut self,
        server: &PrivatePostgres,
        dir: &Path,
        size: i64,
        database: &'static str,
    ) -> Office {
        let admin = server.url("postgres");
        postgres::create_database(&admin, database, Some("seed")).await.unwrap();
        let url = server.url(database);
        let began = Instant::now();
        let ready = READY.0.max(size * READY.1 / 1000).min(size / 2);
        let filled = cases::fill(&url, size, ready).await;
        let sql = cases::connect(&url).await;
        sql.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
        let bytes: f64 = sql
            .query_one("SELECT pg_database_size(current_database())::float8", &[])
            .await
            .unwrap()
            .get(0);
        let text = format!(
            "{} applications with {} events, {:.1} GB, in {:.0} s (seed read in {:.0} s, rows in {:.0} s, indexes in {:.0} s)",
            grouped(filled.applications as f64),
            grouped(filled.events as f64),
            bytes / 1e9,
            began.elapsed().as_secs_f64(),
            filled.took[0],
            filled.took[1],
            filled.took[2]
        );
        say(self.began, &text);
        self.report.fact("data", text);
        let home = dir.join(database);
        std::fs::create_dir_all(&home).unwrap();
        if size <= 10_000 {
            // The service's own command, on all of them.
            let listen = "127.0.0.1:0".parse().unwrap();
            let mut command = service::command(&url, &home, listen);
            let output = command.args(["audit", "replay"]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
            say(self.began, &format!("propusk audit replay: {}", text.trim()));
        }
        let service = service::serve(&url, &home).await;
        say(self.began, &format!("serve was ready in {} ms", service.ready.as_millis()));
        let office = Office::open((size, database), url, sql, service).await;
        if size > 10_000 {
            let many = replayed(&office, REPLAYED).await;
            say(self.began, &format!("{many} applications replayed, none differs"));
        }
        office
    }

    /// Has the service give one command with the server's log on, and makes the limit of it.
    async fn limit(&mut self, office: &Office) -> Limit {
        let kept = office.checking(false, CLIENTS * EACH).await;
        assert_eq!(kept.len(), CLIENTS * EACH, "too few applications are being checked");
        office.work_on(&office.checking(true, 1).await).await;
        let sql = &office.sql;
        sql.batch_execute("ALTER SYSTEM SET log_statement = 'all'").await.unwrap();
        sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut source = office.findings(1).remove(0);
        let mut connection = http::Connection::open(office.service.address).await;
        for _ in 0..2 {
            let answer = connection.send(&source().unwrap()).await;
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        }
        sql.batch_execute("ALTER SYSTEM RESET log_statement").await.unwrap();
        sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let log: String =
            sql.query_one("SELECT pg_read_file('log/server.log')", &[]).await.unwrap().get(0);
        Limit::prepare(sql, &log, &kept).await
    }

    // ── Slices ───────────────────────────────────────────────────────────────────────────────────────────────

    async fn slice(&mut self, office: &Office, what: &str, sources: Vec<Source>, time: Duration) {
        let connections = sources.len();
        let before = self.read(office, office.service.id()).await;
        let outcome = http::closed(office.service.address, sources, time).await;
        let used = self.read(office, office.service.id()).await.since(&before);
        self.add(what, office, connections, &outcome, &used);
    }

    async fn read(&self, office: &Office, process: u32) -> machine::Reading {
        machine::read(&office.sql, process, self.postgres, office.database).await
    }

    fn add(
        &mut self,
        what: &str,
        office: &Office,
        connections: usize,
        outcome: &Outcome,
        used: &machine::Reading,
    ) {
        for (status, (many, body)) in &outcome.wrong {
            say(self.began, &format!("{what}: {many} answers were {status}, the first: {body}"));
        }
        if outcome.latency.is_empty() {
            say(self.began, &format!("{what}: nothing was left to ask"));
            return;
        }
        let sample = Sample::new(outcome, used);
        say(
            self.began,
            &format!(
                "{:>9} {connections:>2} {what}: {:.0}/s, p99 {:.1} ms, CPU {:.3} + {:.3} ms",
                office.size, sample.rate, sample.latency[1], sample.cpu[0], sample.cpu[1]
            ),
        );
        self.report.add(what, office.size, connections, sample);
    }

    async fn bare(&mut self, office: &Office, bare: &service::Running, connections: usize) {
        for (what, path, once) in [(FIXED, "/fixed?of=", false), (SELECT, "/select/", true)] {
            let sources =
                if once { office.cold(path, connections) } else { office.hot(path, connections) };
            let before = self.read(office, bare.id()).await;
            let outcome = http::closed(bare.address, sources, self.plan.slice).await;
            let used = self.read(office, bare.id()).await.since(&before);
            self.add(what, office, connections, &outcome, &used);
        }
    }

    async fn limited(
        &mut self,
        limit: &Limit,
        office: &Office,
        pgbench: &Path,
        dir: &Path,
        connections: usize,
    ) {
        let read = || self.read(office, office.service.id());
        let size = (connections, self.plan.slice);
        let mut run = limit.run(&office.sql, pgbench, &office.url, dir, size, read).await;
        run.used.service = 0.0;
        let outcome = Outcome { latency: run.latency, took: run.took, wrong: [].into() };
        self.add(LIMIT, office, connections, &outcome, &run.used);
    }

    async fn reads(&mut self, office: &Rc<Office>, connections: usize) {
        let time = self.plan.slice;
        self.slice(
            office,
            "status, few references again and again",
            office.hot(STATUS, connections),
            time,
        )
        .await;
        self.slice(office, "status, each reference once", office.cold(STATUS, connections), time)
            .await;
        self.slice(office, "queue page", office.queue(connections), time / 2).await;
        self.slice(office, "search", office.search(connections), time / 2).await;
        for by in ["case", "actor", "time"] {
            let sources = office.audit(by, connections);
            self.slice(office, &format!("audit page by {by}"), sources, time / 2).await;
        }
    }

    async fn again(&mut self, office: &Rc<Office>, cases: &[String], connections: usize) {
        let time = self.plan.slice;
        self.slice(office, FINDING, office.findings(connections), time).await;
        self.slice(office, CLAIM, office.claims(connections), time / 2).await;
        let sources = http::shared(office.releases().await, connections);
        self.slice(office, "release", sources, time * 4).await;
        office.work_on(cases).await;
        self.slice(office, MIX, office.mixed(connections), time).await;
    }

    /// Drafts go through their whole life, a slice for each command.
    async fn walk(&mut self, office: &Rc<Office>, connections: usize) {
        let time = self.plan.slice;
        let share = if connections == 1 { 4 } else { 1 };
        let stock = READY.0.max(office.size * READY.1 / 1000).min(office.size / 2) as usize;
        let slices =
            self.plan.rounds * if office.size == self.plan.large { CONNECTIONS.len() } else { 1 };
        let drafts = office.drafts(stock / slices / share);
        let commands = async |state: &str, command: &str| {
            http::shared(office.commands(&drafts, state, command).await, connections)
        };
        let payments = async || http::shared(office.payments(&drafts).await, connections);
        let sources = commands("draft", "submit").await;
        self.slice(office, SUBMIT, sources, time).await;
        let sources = payments().await;
        self.slice(office, PAYMENT, sources, time).await;
        let sources = commands("submitted", "accept").await;
        self.slice(office, "accept", sources, time).await;
        let sources = office.open_checks(&drafts, connections).await;
        self.slice(office, "recordFinding, each check of the walk", sources, time * 3).await;
        let sources = commands("checking", "grant").await;
        self.slice(office, "grant", sources, time).await;
        let sources = payments().await;
        self.slice(office, "payment callback, the tax", sources, time).await;
        let sources = commands("ready", "handOver").await;
        self.slice(office, "handOver", sources, time).await;
    }

    /// Sends at half of the rate that the closed loop found, at fixed instants.
    async fn open_loop(&mut self, office: &Rc<Office>, cases: &[String]) {
        for what in ["status, each reference once", FINDING, MIX] {
            let Some(found) = self.report.get(what, office.size, MANY) else { continue };
            office.work_on(cases).await;
            let sources = match what {
                FINDING => office.findings(MANY),
                MIX => office.mixed(MANY),
                _ => office.cold(STATUS, MANY),
            };
            let rate = found.rate / 2.0;
            let before = self.read(office, office.service.id()).await;
            let outcome =
                http::open(office.service.address, sources, rate, self.plan.slice * 2).await;
            let used = self.read(office, office.service.id()).await.since(&before);
            let name = format!("{what}, at fixed instants at half the rate");
            self.add(&name, office, MANY, &outcome, &used);
        }
    }

    /// Counts round trips on one connection, through a service of its own that talks to the server through the proxy.
    async fn trips(&mut self, office: &Rc<Office>, cases: &[String], dir: &Path) {
        let (_, socket) = office.url.split_once("host=").unwrap();
        let socket = socket.replace("%2F", "/").replace("%2D", "-").replace("%2E", ".");
        let trips = Trips::open(&dir.join("proxy"), Path::new(&socket));
        let home = dir.join("counted");
        std::fs::create_dir_all(&home).unwrap();
        let service = service::serve(&trips.url(&office.url), &home).await;
        office.work_on(cases).await;
        let drafts = office.drafts(200);
        // The worker and the sequencer look into the database, too, whether anything is asked or not.
        tokio::time::sleep(IDLE).await;
        let (looked, before) = (trips.count(), Instant::now());
        tokio::time::sleep(IDLE).await;
        let idle = (trips.count() - looked) as f64 / before.elapsed().as_secs_f64();
        let shared = |stock| http::shared(stock, 1);
        for what in [
            FINDING,
            SUBMIT,
            PAYMENT,
            "accept",
            CLAIM,
            "release",
            "status, each reference once",
            "queue page",
            "search",
            "audit page by case",
            "audit page by actor",
            "audit page by time",
        ] {
            let sources = match what {
                FINDING => office.findings(1),
                SUBMIT => shared(office.commands(&drafts, "draft", "submit").await),
                PAYMENT => shared(office.payments(&drafts).await),
                "accept" => shared(office.commands(&drafts, "submitted", "accept").await),
                CLAIM => office.claims(1),
                "release" => shared(office.releases().await),
                "queue page" => office.queue(1),
                "search" => office.search(1),
                "status, each reference once" => office.cold(STATUS, 1),
                other => office.audit(other.rsplit(' ').next().unwrap_or_default(), 1),
            };
            // The first ones prepare their statements on each connection of the pool.
            let mut sources = sources;
            let mut source = sources.remove(0);
            let mut connection = http::Connection::open(service.address).await;
            let (mut many, mut before, mut began) = (0, trips.count(), Instant::now());
            for number in 0..150 {
                if number == 50 {
                    (many, before, began) = (0, trips.count(), Instant::now());
                }
                let Some(request) = source() else { break };
                connection.send(&request).await;
                many += 1;
            }
            let all = (trips.count() - before) as f64 - idle * began.elapsed().as_secs_f64();
            let each = all.max(0.0) / f64::from(many.max(1));
            say(self.began, &format!("{what}: {each:.2} round trips"));
            self.report.trips(what, each);
        }
    }

    // ── What it says ─────────────────────────────────────────────────────────────────────────────────────────

    async fn facts(&mut self, all: &[Rc<Office>]) {
        let (cores, memory) = machine::size();
        let version: String = all[0]
            .sql
            .query_one("SELECT current_setting('server_version')", &[])
            .await
            .unwrap()
            .get(0);
        let version = version.split(' ').next().unwrap_or_default().to_owned();
        let load = self.load.clone();
        let report = &mut self.report;
        report.fact("load of the machine before the run", load);
        report.fact("machine", format!("{cores} cores, {memory:.0} GiB of memory; database, service and load generator share it"));
        report.fact(
            "PostgreSQL",
            format!("{version}, durable commits, shared_buffers 1 GB, max_wal_size 8 GB"),
        );
        report.fact(
            "settings of the service",
            "its defaults, log included, but for a budget of 100,000 look-ups a minute for each of 4,096 addresses".to_owned(),
        );
        report.fact(
            "run",
            format!(
                "{} rounds of slices of {} s, {:.0} s in all, {}",
                self.plan.rounds,
                self.plan.slice.as_secs(),
                self.began.elapsed().as_secs_f64(),
                if cfg!(debug_assertions) { "not optimised" } else { "optimised" },
            ),
        );
        report.fact(
            "not in the figures",
            "registers that answer by themselves (none is set up, the checks are officers')"
                .to_owned(),
        );
    }

    fn bars(&mut self, all: &[Rc<Office>], process: u32) {
        let large = self.plan.large;
        let median =
            |report: &Report, what: &str, connections| report.get(what, large, connections);
        let report = &self.report;
        let ratio = |what: &str, to: &str, connections: usize, least: f64| {
            let (one, other) =
                (median(report, what, connections)?, median(report, to, connections)?);
            let share = one.rate / other.rate;
            Some((
                format!(
                    "{:.0} % ({} of {}/s)",
                    share * 100.0,
                    grouped(one.rate),
                    grouped(other.rate)
                ),
                share >= least,
            ))
        };
        let mut bars: Vec<(String, String, Figure)> = Vec::new();
        let mut bar =
            |what: &str, bar: &str, found| bars.push((what.to_owned(), bar.to_owned(), found));
        for command in [FINDING, "accept", "grant", "handOver"] {
            bar(
                command,
                "at least 70 % of pgbench's rate for the same row writes",
                ratio(command, LIMIT, MANY, 0.7),
            );
            let found = median(report, command, MANY);
            bar(
                command,
                "at most 0.50 ms CPU in all",
                found.map(|one| {
                    let [service, postgres] = one.cpu;
                    (
                        format!("{:.2} ms ({service:.2} + {postgres:.2})", service + postgres),
                        service + postgres <= 0.5,
                    )
                }),
            );
        }
        let found = report.trips_of(FINDING);
        bar(FINDING, "at most 2 round trips", found.map(|each| (format!("{each:.2}"), each < 2.1)));
        bar(SUBMIT, "at least 50 % of the same", ratio(SUBMIT, LIMIT, MANY, 0.5));
        let hot = "status, few references again and again";
        bar(
            hot,
            "at least 60 % of an actix handler without a database",
            ratio(hot, FIXED, MANY, 0.6),
        );
        bar(
            hot,
            "p99 under 5 ms at 16 connections",
            median(report, hot, 16)
                .map(|one| (format!("{:.2} ms", one.latency[1]), one.latency[1] < 5.0)),
        );
        let cold = "status, each reference once";
        bar(
            cold,
            "at least 90 % of a bare actix + diesel-async select by key",
            ratio(cold, SELECT, MANY, 0.9),
        );
        bar(CLAIM, "at least 60 % of a command", ratio(CLAIM, FINDING, MANY, 0.6));
        bar(PAYMENT, "at least 60 % of a command", ratio(PAYMENT, FINDING, MANY, 0.6));
        for what in [
            "queue page",
            "search",
            "audit page by case",
            "audit page by actor",
            "audit page by time",
        ] {
            let found = median(report, what, 1);
            bar(
                what,
                "one statement and the event of the read, under 5 ms database time",
                found.map(|one| {
                    let met = one.statements < 2.3 && one.database < 5.0;
                    (format!("{:.1} statements, {:.2} ms", one.statements, one.database), met)
                }),
            );
        }
        if let [_, small] = all {
            for what in GROWING {
                let found = median(report, what, MANY).zip(report.get(what, small.size, MANY)).map(
                    |(one, other)| {
                        let loss = 1.0 - one.rate / other.rate;
                        (
                            format!(
                                "{:+.0} % ({} against {}/s)",
                                -loss * 100.0,
                                grouped(one.rate),
                                grouped(other.rate)
                            ),
                            loss <= 0.2,
                        )
                    },
                );
                let text = format!(
                    "growth from {} to {}: {what}",
                    grouped(small.size as f64),
                    grouped(large as f64)
                );
                bar(&text, "loses at most 20 %", found);
            }
        }
        let (now, most) = machine::memory(process);
        bar(
            "memory",
            "service under 64 MiB at 64 connections",
            Some((format!("{now:.0} MiB, at most {most:.0}"), most < MEMORY)),
        );
        let ready = all[0].service.ready.as_millis();
        bar(
            "start",
            "`serve` ready in under 300 ms on a migrated database",
            Some((format!("{ready} ms"), ready < 300)),
        );
        for (what, text, found) in bars {
            self.report.bar(&what, &text, found);
        }
    }
}

const FIXED: &str = "actix without a database";
const SELECT: &str = "actix + diesel-async, one select by key";
const FINDING: &str = "recordFinding";
const CLAIM: &str = "claim next";
const SUBMIT: &str = "submit";
const PAYMENT: &str = "payment callback, signed";
const MIX: &str = "mix: status 80 %, commands 12 %, payments 8 %";

/// What was found for a bar, in words, and whether that is enough.
type Figure = Option<(String, bool)>;

/// What is looked at in both sizes.
const GROWING: [&str; 14] = [
    "status, few references again and again",
    "status, each reference once",
    "queue page",
    "search",
    "audit page by case",
    "audit page by actor",
    "audit page by time",
    FINDING,
    CLAIM,
    "release",
    SUBMIT,
    PAYMENT,
    "accept",
    MIX,
];

/// Replays some applications that only the service has written to, and compares each with its row; gives how many.
async fn replayed(office: &Office, many: usize) -> usize {
    let db = Db::new(&DbOptions {
        url: office.url.clone(),
        pool_size: 1,
        wait: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(60),
    });
    let mut conn = db.unwrap().conn().await.unwrap();
    let ids = sample(&office.sql, many).await;
    for id in &ids {
        let id = id.parse().unwrap();
        let found =
            applications::find(&mut conn, Key::Id(id), Wants::default()).await.unwrap().unwrap();
        let events = audit::history(&mut conn, id).await.unwrap();
        let differences = Casework::differences(&found.application, &events);
        assert!(differences.is_empty(), "{id}: {}", differences.join("; "));
    }
    ids.len()
}

async fn sample(sql: &Client, many: usize) -> Vec<String> {
    // Half of those that have just changed, half of any; the limit's own do not count.
    let kept = sql.query_one("SELECT to_regclass('limit_cases') IS NOT NULL", &[]).await.unwrap();
    let but = if kept.get(0) { "AND id NOT IN (SELECT id FROM limit_cases)" } else { "" };
    let text = format!(
        "(SELECT id FROM applications WHERE state_since > now() - interval '1 hour' {but} LIMIT {half}) UNION \
         (SELECT id FROM applications TABLESAMPLE BERNOULLI (least(100, {many} * 400.0 / (SELECT greatest(reltuples, 1) \
           FROM pg_class WHERE oid = 'applications'::regclass))) WHERE true {but} LIMIT {many}) LIMIT {many}",
        half = many / 2,
    );
    cases::rows(sql, &text).await.into_iter().filter_map(|mut row| row.remove(0)).collect()
}
