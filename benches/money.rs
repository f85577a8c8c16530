//! What money costs: `cargo bench --bench money`, with `MONEY_PAYMENTS=2000` and `MONEY_LAPSES=20000` for a small one.
//!
//! A private PostgreSQL in target/bench-money and the service in this process, on real sockets. First month payments through
//! the signed callback at 64 connections, in rounds that alternate with `pgbench` writing the very same rows in one prepared
//! statement; each payment prolongs another permit. Then a midnight on which 200,000 paid periods end: how long one worker
//! takes, and how long a public look-up and a payment take meanwhile. Permits are copies of one that was walked through the
//! door.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{Days, TimeDelta};
use propusk::app::{self, App};
use propusk::audit::note::LogKey;
use propusk::casework::{Ask, Seen};
use propusk::clock::{Clock as _, SystemClock};
use propusk::config::{Config, DemoConfig};
use propusk::demo::people::{self, ACCOUNTS};
use propusk::demo::postgres::{PostgresOptions, PrivatePostgres};
use propusk::domain::actor::Actor;
use propusk::domain::application::{Application, Document};
use propusk::domain::checks::Outcome;
use propusk::domain::fee::{Payment, Uin};
use propusk::domain::permit::PermitNumber;
use propusk::domain::reference::Reference;
use propusk::domain::workflow::command::Command;
use propusk::permits::keys::PermitKeys;
use propusk::storage::migrate;
use propusk::webhook::Key;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// As the demo's key, for nothing else.
const TOKEN_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const SECRET: &[u8] = b"propusk-demo-measured-by-bench-money";

/// How many connections pay at once.
const AT_ONCE: usize = 64;

/// How many rounds alternate.
const ROUNDS: usize = 3;

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let payments = number("MONEY_PAYMENTS").unwrap_or(6000);
    let lapses = number("MONEY_LAPSES").unwrap_or(200_000);
    actix_web::rt::System::new().block_on(measure(payments, lapses));
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn built(url: &str, dir: &Path) -> App {
    let mut config = Config::demo(DemoConfig {
        database_url: url.to_owned(),
        port: 0,
        data_dir: dir.to_owned(),
        token_key: TOKEN_KEY.to_owned(),
        payment_webhook_secret: SECRET.to_vec(),
        log_key: LogKey::generate("bench.example/log", [3; 32]).unwrap().private_line(),
        permit_key: PermitKeys::generate([4; 32], SystemClock.now(), None).private_text(),
    })
    .unwrap();
    config.public_lookups_per_minute = 1_000_000.try_into().unwrap();
    App::new(&config, Arc::new(SystemClock)).unwrap()
}

async fn measure(payments: usize, lapses: usize) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-money");
    let _ = propusk::demo::postgres::remove(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    let mut options = PostgresOptions::durable(&dir);
    options.settings = [("shared_buffers", "512MB"), ("max_wal_size", "8GB")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let server = PrivatePostgres::start(&options, &|_| ()).await.unwrap();
    server.ensure_database("bench").await.unwrap();
    let url = server.url("bench");
    migrate::run(&url).await.unwrap();
    let app = built(&url, &dir);
    people::settle(&app, &url).await.unwrap();
    let rules = app::rules(None).unwrap();
    migrate::register(&url, &rules, &SystemClock, "operator").await.unwrap();
    let sql = connect(&url).await;
    let template = permit(&app, &sql).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let served = app::serve(app.clone(), listener, 2).unwrap();
    let handle = served.handle();
    actix_web::rt::spawn(served);

    let began = Instant::now();
    let total = payments * (ROUNDS * 2) + 2000;
    let uins = copy(&sql, &template, 1_000_000, total, "now() + interval '30 days'").await;
    println!("{total} permits in {:.0} s", began.elapsed().as_secs_f64());
    pay(&app, &sql, &url, address, &template, &uins, payments).await;
    midnight(&app, &sql, address, &template, &uins[payments * ROUNDS * 2..], lapses).await;
    handle.stop(false).await;
    server.stop().await.unwrap();
}

// ── A permit, and copies of it ─────────────────────────────────────────────────────────────────────────────

async fn ask(sql: &Client, login: &str) -> Ask {
    let account = ACCOUNTS.into_iter().find(|account| account.login == login).unwrap();
    let id = "SELECT id::text FROM accounts WHERE email = $1";
    let id: String = sql.query_one(id, &[&account.email()]).await.unwrap().get(0);
    let (id, unit) = (id.parse().unwrap(), account.unit.map(str::to_owned));
    Ask { actor: Actor::User { id, role: account.role, unit }, if_match: None, idempotency: None }
}

/// Walks one patent through the door.
async fn permit(app: &App, sql: &Client) -> Application {
    let render = |seen: &Seen<'_>| Ok(seen.application.id.to_string());
    let migrant = ask(sql, "migrant").await;
    let (officer, other) = (ask(sql, "officer1").await, ask(sql, "officer2").await);
    let today = (SystemClock.now() + TimeDelta::hours(3)).date_naive();
    let form = json!({
        "person": {"familyName": "Юсупов", "givenName": "Фаррух", "birthDate": "1992-03-08", "sex": "male",
            "citizenship": "UZB"},
        "passport": {"number": "FB0000000", "issuedOn": today - Days::new(400),
            "expiresOn": today + Days::new(3200)},
        "entry": {"enteredOn": today - Days::new(5), "migrationCard": "4626 1234567"},
        "occupation": {"code": "7112", "title": "Каменщик"},
        "contact": {"email": "farrukh@mail.example", "language": "ru"},
        "prepaidMonths": 1,
    });
    let form = serde_json::from_value(form).unwrap();
    let opened = app.casework.open(&migrant, "patent", "77", form, &render).await.unwrap();
    let id: Uuid = opened.body.parse().unwrap();
    let rules = app.casework.rules();
    for rule in
        rules.current("patent", today).unwrap().documents.iter().filter(|rule| rule.required)
    {
        let document = Document {
            kind: rule.id.clone(),
            digest: "00".repeat(32),
            size: 1,
            media_type: "application/pdf".into(),
            attached_at: SystemClock.now(),
        };
        app.casework.attach(&migrant, id, &document, &render).await.unwrap();
    }
    let give = async |ask: &Ask, command: Command| {
        app.casework.execute(ask, id, &command, &render).await.unwrap();
    };
    give(&migrant, Command::Submit).await;
    settle(app, id).await;
    give(&officer, Command::Accept).await;
    for check in seen(app, id).await.checks {
        if check.finding.is_none() {
            let (check, outcome) = (check.id, Outcome::Clear);
            let finding =
                Command::RecordFinding { check, outcome, reason: None, note: None, digest: None };
            give(&officer, finding).await;
        }
    }
    give(&other, Command::Grant).await;
    settle(app, id).await;
    give(&other, Command::HandOver).await;
    seen(app, id).await
}

async fn seen(app: &App, id: Uuid) -> Application {
    app.casework.see(&Actor::Timer, id, |seen| Ok(seen.application.clone())).await.unwrap()
}

/// Pays what is due first.
async fn settle(app: &App, id: Uuid) {
    let charges = seen(app, id).await.charges;
    let due = charges.iter().find(|charge| charge.outstanding().kopecks() > 0).unwrap();
    let payment = Payment {
        provider_id: format!("bench:{}", due.uin),
        uin: Some(due.uin.clone()),
        amount: due.outstanding(),
        paid_at: SystemClock.now(),
        ..Payment::default()
    };
    app.casework.receive(&payment).await.unwrap();
}

/// Copies the permit, with its open bill and its timers, of which the lapse is due at an instant; gives the UINs.
async fn copy(
    sql: &Client,
    template: &Application,
    from: u64,
    many: usize,
    lapses_at: &str,
) -> Vec<String> {
    sql.batch_execute(
        "DROP TABLE IF EXISTS named; \
         CREATE TEMP TABLE named (id uuid, reference text, number text, uin text)",
    )
    .await
    .unwrap();
    let mut all = Vec::new();
    let id = template.id;
    let serials: Vec<u64> = (from..).take(many).collect();
    for part in serials.chunks(20_000) {
        let ids: Vec<String> = part
            .iter()
            .map(|serial| {
                Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(*serial))
                    .to_string()
            })
            .collect();
        let references: Vec<String> = part
            .iter()
            .map(|serial| {
                Reference::from_random(serial.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes())
                    .to_string()
            })
            .collect();
        let numbers: Vec<String> =
            part.iter().map(|serial| PermitNumber::compose("77", *serial).to_string()).collect();
        let uins: Vec<String> =
            part.iter().map(|serial| Uin::compose("188", *serial).to_string()).collect();
        let keep = "INSERT INTO named SELECT n.id::uuid, n.reference, n.number, n.uin \
                    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n(id, reference, number, uin)";
        sql.execute(keep, &[&ids, &references, &numbers, &uins]).await.unwrap();
        for (table, key, others) in [
            (
                "applications",
                "id",
                "'id', n.id, 'reference', n.reference, 'person_key', t.person_key || n.number",
            ),
            ("permits", "application_id", "'application_id', n.id, 'number', n.number"),
            (
                "charges",
                "status = 'open' AND t.application_id",
                "'application_id', n.id, 'id', gen_random_uuid(), 'uin', n.uin",
            ),
        ] {
            let columns = format!(
                "SELECT string_agg(column_name, ', '), string_agg('r.' || column_name, ', ') \
                 FROM information_schema.columns WHERE table_name = '{table}' AND is_generated = 'NEVER'"
            );
            let columns = sql.query_one(&columns, &[]).await.unwrap();
            let (names, values): (String, String) = (columns.get(0), columns.get(1));
            let copy = format!(
                "INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, named n, \
                 jsonb_populate_record(t, jsonb_build_object({others})) r WHERE t.{key} = '{id}'"
            );
            sql.batch_execute(&copy).await.unwrap();
        }
        let copy = format!(
            "INSERT INTO jobs (kind, key, payload, run_at, created_at) SELECT j.kind, \
               replace(j.key, '{id}', n.id::text), j.payload || jsonb_build_object('application', n.id), \
               CASE WHEN j.payload ->> 'command' = 'lapse' THEN {lapses_at} ELSE j.run_at END, j.created_at \
               FROM jobs j, named n \
               WHERE j.kind = 'timer' AND j.finished_at IS NULL AND j.payload ->> 'application' = '{id}'; \
             TRUNCATE named"
        );
        sql.batch_execute(&copy).await.unwrap();
        all.extend(uins);
    }
    sql.batch_execute("VACUUM ANALYZE applications, permits, charges, jobs").await.unwrap();
    all
}

// ── Payments ───────────────────────────────────────────────────────────────────────────────────────────────

async fn pay(
    app: &App,
    sql: &Client,
    url: &str,
    address: SocketAddr,
    template: &Application,
    uins: &[String],
    many: usize,
) {
    let month = template.charges.last().unwrap().amount.kopecks();
    let mut rates = Vec::new();
    // One payment by the door gives the rows that pgbench writes again.
    let first = request(&uins[uins.len() - 1], month);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, &first).await;
    assert!(answer.contains("booked"), "{answer}");
    let script = prepare(sql, url, &uins[..many * ROUNDS * 2]).await;
    println!(
        "\n| round | payments a second | p50 ms | p99 ms | pgbench a second | p50 of it | ratio |\n|---|---|---|---|---|---|---|"
    );
    for round in 0..ROUNDS {
        let own = &uins[many * round..many * (round + 1)];
        let (rate, p50, p99) = callbacks(address, own, month).await;
        let own = many * (ROUNDS + round);
        let (limit, latency) = pgbench(url, &script, own, many);
        println!(
            "| {} | {rate:.0} | {p50:.2} | {p99:.2} | {limit:.0} | {latency:.2} | {:.2} |",
            round + 1,
            rate / limit
        );
        rates.push(rate / limit);
    }
    rates.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", rates[rates.len() / 2]);
    let wrong = "SELECT count(*) FROM payments p WHERE matched_kopecks + waiting_kopecks + refunded_kopecks <> amount_kopecks";
    let wrong: i64 = sql.query_one(wrong, &[]).await.unwrap().get(0);
    assert_eq!(wrong, 0);
    drop(app.clone());
}

/// A callback, signed now.
fn request(uin: &str, kopecks: i64) -> Vec<u8> {
    let now = SystemClock.now();
    let id = format!("msg_{uin}");
    let body =
        json!({ "type": "payment.received", "data": { "id": format!("bench_{uin}"), "uin": uin,
        "amountKopecks": kopecks, "paidAt": now, "payer": "A Payer", "kbk": null } })
        .to_string()
        .replace(",\"kbk\":null", "")
        .replace("\"kbk\":null,", "");
    let signed = Key::new(SECRET.to_vec()).sign(&id, now, body.as_bytes());
    let fields: String =
        signed.fields().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "POST /v1/callbacks/payments HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a request on a connection that stays open; gives the answer.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut read = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).await.unwrap();
        assert!(count > 0, "the connection ended");
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return text.into_owned();
            }
        }
    }
}

/// Pays every bill, on 64 connections; gives payments a second and quantiles of the latency in milliseconds.
async fn callbacks(address: SocketAddr, uins: &[String], kopecks: i64) -> (f64, f64, f64) {
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new(uins.iter().map(|uin| request(uin, kopecks)).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..AT_ONCE {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        tasks.push(actix_web::rt::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut times = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                let answer = exchange(&mut stream, request).await;
                times.push(began.elapsed());
                assert!(answer.contains("\"booked\""), "{answer}");
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1000.0;
    (times.len() as f64 / seconds, at(50), at(99))
}

/// Makes a table of bills for pgbench and writes its script: the rows of a payment that prolongs a permit.
async fn prepare(sql: &Client, url: &str, uins: &[String]) -> PathBuf {
    let uins: Vec<&str> = uins.iter().map(String::as_str).collect();
    sql.batch_execute("CREATE TABLE bench_bills (n bigint PRIMARY KEY, uin text)").await.unwrap();
    let fill = "INSERT INTO bench_bills SELECT n, uin FROM unnest($1::text[]) WITH ORDINALITY AS u(uin, n)";
    sql.execute(fill, &[&uins]).await.unwrap();
    sql.batch_execute(
        "ALTER TABLE bench_bills ADD COLUMN application uuid, ADD COLUMN charge uuid, ADD COLUMN permit text; \
         UPDATE bench_bills b SET application = c.application_id, charge = c.id, permit = p.number \
         FROM charges c JOIN permits p USING (application_id) WHERE c.uin = b.uin; \
         CREATE TABLE bench_event AS SELECT * FROM events WHERE kind = 'paymentRecorded' \
         AND from_state = 'inForce' LIMIT 1; ANALYZE bench_bills",
    )
    .await
    .unwrap();
    let row = sql.query_one("SELECT count(*) FROM bench_event", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
    let script = "\
WITH b AS (SELECT * FROM bench_bills WHERE n = :n), \
moved AS (UPDATE applications a SET state = a.state, phase = a.phase, work = a.work, open_checks = a.open_checks, \
  barred = a.barred, senior = a.senior, version = a.version + 1, state_since = a.state_since, hands = a.hands, \
  clock = a.clock, information = a.information, decision = a.decision, proposal = a.proposal, due_on = a.due_on \
  FROM b WHERE a.id = b.application AND a.state = 'inForce' RETURNING a.id, a.version, b.charge, b.permit, b.uin), \
event AS (INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, application_id, seq, track, workflow_version, \
  command, from_state, to_state, content, salt, commitment, pseudonym) \
  SELECT overlay(first_id_at(now())::text placing substr(gen_random_uuid()::text, 20) from 20)::uuid, now(), e.kind, \
  e.actor_id, e.actor_role, e.unit_code, moved.id, moved.version, e.track, e.workflow_version, e.command, e.from_state, \
  e.to_state, e.content, e.salt, e.commitment, e.pseudonym FROM moved, bench_event e), \
bill AS (UPDATE charges c SET paid_kopecks = c.amount_kopecks, status = 'settled', acknowledgement = 1, rule = c.rule, \
  amount_kopecks = c.amount_kopecks, requisites = c.requisites FROM moved WHERE c.id = moved.charge RETURNING c.*), \
next AS (INSERT INTO charges (application_id, id, fee, uin, amount_kopecks, paid_kopecks, rule, created_at, status, \
  requisites, change_status, acknowledgement) SELECT application_id, gen_random_uuid(), fee, 'x' || nextval('charge_serials'), \
  amount_kopecks, 0, rule, now(), 'open', requisites, 1, 3 FROM bill), \
permit AS (UPDATE permits p SET paid_through = p.paid_through + 31, holder_name = p.holder_name, \
  profession = p.profession FROM moved WHERE p.number = moved.permit), \
payment AS (INSERT INTO payments (id, provider_id, uin, amount_kopecks, paid_at, received_at, payer, charge_id, status, \
  matched_kopecks, waiting_kopecks, refunded_kopecks) SELECT gen_random_uuid(), 'pgbench:' || uin, uin, 1000000, now(), now(), \
  'A Payer', charge, 'matched', 1000000, 0, 0 FROM moved), \
jobs AS (INSERT INTO jobs (kind, key, payload, run_at, created_at) SELECT k.kind, \
  k.kind || ':' || moved.id || k.name, jsonb_build_object('application', moved.id, 'kind', k.kind, 'command', k.name), now() + interval '60 days', \
  now() FROM moved, (VALUES ('timer', ':lapse'), ('timer', ':expire'), ('timer', ':remind'), ('timer', ':remindAgain'), \
  ('matchWaiting', '')) AS k(kind, name) \
  ON CONFLICT (key) WHERE finished_at IS NULL DO UPDATE SET run_at = excluded.run_at, payload = excluded.payload, attempts = 0) \
SELECT count(*) FROM moved;
";
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-money/payment.sql");
    std::fs::write(&place, script).unwrap();
    let _ = url;
    place
}

/// Has pgbench write the rows of as many payments on as many connections; gives transactions a second and mean latency.
fn pgbench(url: &str, script: &Path, from: usize, many: usize) -> (f64, f64) {
    // Each connection has bills of its own.
    let each = many / AT_ONCE;
    let text = std::fs::read_to_string(script).unwrap();
    let body = text.lines().next_back().unwrap();
    let counted = format!(
        "\\if :{{?own}}\n\\else\n\\set own 0\n\\endif\n\\set n {from} + :client_id * {each} + :own + 1\n\\set own :own + 1\n{body}\n"
    );
    let place = script.with_extension("counted.sql");
    std::fs::write(&place, counted).unwrap();
    let output = Process::new(bin("pgbench"))
        .args([
            "-n",
            "-M",
            "prepared",
            "-c",
            &AT_ONCE.to_string(),
            "-j",
            "2",
            "-t",
            &each.to_string(),
        ])
        .arg("-f")
        .arg(&place)
        .arg(url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let number = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name));
        let words = line.unwrap_or_else(|| panic!("{said}")).split_whitespace();
        words.filter_map(|word| word.parse::<f64>().ok()).next().unwrap()
    };
    (number("tps ="), number("latency average ="))
}

/// Finds a program of PostgreSQL beside `psql`, or where Debian puts it.
fn bin(name: &str) -> PathBuf {
    let places = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = places
        .map(|entry| entry.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

// ── A midnight ─────────────────────────────────────────────────────────────────────────────────────────────

async fn midnight(
    app: &App,
    sql: &Client,
    address: SocketAddr,
    template: &Application,
    spare: &[String],
    many: usize,
) {
    let began = Instant::now();
    copy(sql, template, 5_000_000, many, "now()").await;
    // Their paid period ended yesterday.
    let overdue = "UPDATE permits p SET paid_through = current_date - 2, issued_on = current_date - 33 FROM jobs j \
                   WHERE j.kind = 'timer' AND j.payload ->> 'command' = 'lapse' AND j.run_at <= now() \
                   AND p.application_id = (j.payload ->> 'application')::uuid";
    sql.batch_execute(overdue).await.unwrap();
    sql.batch_execute(
        "DELETE FROM jobs WHERE payload ->> 'command' LIKE 'remind%'; VACUUM ANALYZE permits, jobs",
    )
    .await
    .unwrap();
    println!("\n{many} more, whose paid period is over, in {:.0} s", began.elapsed().as_secs_f64());
    let month = template.charges.last().unwrap().amount.kopecks();
    let (calm, busy) = spare.split_at(300);
    println!(
        "\n| while | look-up p50 ms | p99 ms | most | payment p50 ms | p99 ms | most |\n|---|---|---|---|---|---|---|"
    );
    let ends = Arc::new(AtomicBool::new(false));
    let told = watch(address, template, calm, month, &ends).await;
    println!("| nothing else runs | {told} |");
    let worker = app::worker(app).unwrap();
    let began = Instant::now();
    let work = actix_web::rt::spawn({
        let ends = Arc::clone(&ends);
        async move {
            while worker.batch().await.unwrap() > 0 {}
            ends.store(true, Ordering::Relaxed);
            began.elapsed()
        }
    });
    let told = watch(address, template, busy, month, &ends).await;
    let took = work.await.unwrap();
    println!("| {many} permits lapse | {told} |");
    let lapsed = "SELECT count(*) FROM applications WHERE state = 'lapsed'";
    let lapsed: i64 = sql.query_one(lapsed, &[]).await.unwrap().get(0);
    assert_eq!(usize::try_from(lapsed).unwrap(), many);
    println!(
        "\n{lapsed} lapses in {:.0} s by one worker: {:.0} a second",
        took.as_secs_f64(),
        many as f64 / took.as_secs_f64()
    );
}

/// Looks a status up and pays a month, one after the other, until the bills or the work are at an end.
async fn watch(
    address: SocketAddr,
    template: &Application,
    uins: &[String],
    month: i64,
    ends: &AtomicBool,
) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let look = format!("GET /v1/status/{} HTTP/1.1\r\nHost: bench\r\n\r\n", template.reference);
    let (mut looks, mut payments) = (Vec::new(), Vec::new());
    for uin in uins {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        let answer = exchange(&mut stream, look.as_bytes()).await;
        looks.push(began.elapsed());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let payment = request(uin, month);
        let began = Instant::now();
        let answer = exchange(&mut stream, &payment).await;
        payments.push(began.elapsed());
        assert!(answer.contains("\"booked\""), "{answer}");
        tokio::time::sleep(Duration::from_millis(if uins.len() > 300 { 100 } else { 10 })).await;
    }
    let quantiles = |times: &mut Vec<Duration>| {
        times.sort();
        let at = |share: usize| {
            times[(times.len() * share / 1000).min(times.len() - 1)].as_secs_f64() * 1000.0
        };
        format!("{:.1} | {:.1} | {:.1}", at(500), at(990), at(1000))
    };
    format!("{} | {}", quantiles(&mut looks), quantiles(&mut payments))
}
