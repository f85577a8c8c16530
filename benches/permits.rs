//! What it costs that permits prove themselves: `cargo bench --bench permits`, with `PERMITS=100000` for a small one.
//!
//! A private PostgreSQL in target/bench-permits with 1,000,000 permits of 85 regions, three in ten in force, one in fifty
//! suspended. Prints the status list's size and the time of each step, and the size and time of a permit's QR.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use propusk::clock::{Clock as _, SystemClock};
use propusk::demo::postgres::{PostgresOptions, PrivatePostgres};
use propusk::domain::permit::PermitNumber;
use propusk::permits::keys::PermitKeys;
use propusk::permits::statement::{self, STATUS_LIST_PATH, Statement};
use propusk::permits::status_list::{self, Bits, Status};
use propusk::qr::{self, Qr};
use propusk::storage::{Db, DbOptions, migrate, permits};
use serde_json::json;
use tokio_postgres::NoTls;

/// How often each step is timed.
const ROUNDS: usize = 11;

/// Serial numbers from 1 on; which permits are over is a hash of them, as nobody sorts permits by their end.
const FILL: &str = "INSERT INTO permits (number, application_id, status, holder_name, territory, issued_on, paid_through, \
        ends_on, closed_on) \
    SELECT lpad((1 + n % 85)::text, 2, '0') || '-' || lpad(n::text, 9, '0') || '0', gen_random_uuid(), s, \
        'Каримов Рустам Алишерович', lpad((1 + n % 85)::text, 2, '0'), current_date - 200, \
        current_date + CASE s WHEN 'lapsed' THEN -20 ELSE 20 END, current_date + 165, \
        CASE s WHEN 'lapsed' THEN current_date - 19 END \
    FROM generate_series(1, $1::bigint) n, LATERAL (SELECT CASE WHEN h < 30 THEN 'inForce' WHEN h < 32 THEN 'suspended' \
        ELSE 'lapsed' END AS s FROM (SELECT abs(hashint8(n)::bigint) % 100 AS h) x) y";

fn main() {
    let many = std::env::var("PERMITS").ok().and_then(|text| text.parse().ok());
    let now = SystemClock.now();
    let keys = PermitKeys::generate([6; 32], now - TimeDelta::days(400), None);
    of_one(&keys, now);
    actix_web::rt::System::new().block_on(of_all(&keys, now, many.unwrap_or(1_000_000)));
}

fn median(mut run: impl FnMut()) -> String {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort();
    format!("{:.3} ms", times[ROUNDS / 2].as_secs_f64() * 1000.0)
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

/// A permit as it is printed.
fn of_one(keys: &PermitKeys, now: DateTime<Utc>) {
    let statement: Statement = serde_json::from_value(json!({
        "num": PermitNumber::compose("77", 1_234_567), "ini": "КРА", "yob": 1990, "ter": "77", "occ": "7112",
        "nbf": (now - TimeDelta::days(100)).timestamp(), "exp": (now + TimeDelta::days(265)).timestamp(), "off": 180,
        "status": { "status_list": { "idx": 1_234_567, "uri": format!("https://permits.example.org{STATUS_LIST_PATH}") } },
    }))
    .unwrap();
    let token = statement.sign(keys);
    let code = Qr::new(&token).unwrap();
    let (png, published) = (code.png().unwrap(), keys.published(now));
    println!("One permit\n\n| what | |\n|---|---|");
    row("signed text", format!("{} bytes", token.len()));
    row(
        "QR",
        format!(
            "version {}, {2} × {2} modules, level {1}",
            (code.width() - 17) / 4,
            "M",
            code.width()
        ),
    );
    row(
        "a module at 25 mm",
        format!("{:.2} mm", 25.0 / f64::from(u16::try_from(code.width()).unwrap())),
    );
    row("SVG, PNG", format!("{} and {} bytes", code.svg().len(), png.len()));
    row("sign", median(|| drop(black_box(statement.sign(keys)))));
    row("draw the SVG", median(|| drop(black_box(Qr::new(&token).unwrap().svg()))));
    row("draw the PNG", median(|| drop(black_box(Qr::new(&token).unwrap().png()))));
    row("read the PNG", median(|| drop(black_box(qr::read(&png).unwrap()))));
    row("verify", median(|| assert!(statement::verify(&token, &published, now).is_ok())));
}

/// The status list of all.
async fn of_all(keys: &PermitKeys, now: DateTime<Utc>, many: i64) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-permits");
    let _ = propusk::demo::postgres::remove(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    let server = PrivatePostgres::start(&PostgresOptions::durable(&dir), &|_| ()).await.unwrap();
    server.ensure_database("bench").await.unwrap();
    let url = server.url("bench");
    migrate::run(&url).await.unwrap();
    let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    // Permits alone, without the applications that they belong to.
    sql.batch_execute(
        "SET session_replication_role = replica; INSERT INTO units (code, title, region, time_zone) \
         SELECT lpad(n::text, 2, '0'), 'Region', lpad(n::text, 2, '0'), 'Europe/Moscow' FROM generate_series(1, 85) n",
    )
    .await
    .unwrap();
    sql.execute(FILL, &[&many]).await.unwrap();
    sql.batch_execute("VACUUM ANALYZE permits").await.unwrap();
    let db = Db::new(&DbOptions {
        url,
        pool_size: 1,
        wait: Duration::from_secs(30),
        statement_timeout: Duration::from_secs(60),
    })
    .unwrap();
    let mut conn = db.conn().await.unwrap();
    let (mut bits, mut times) = (Bits::default(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        bits = Bits::default();
        permits::each_status(&mut conn, now, |place, status| bits.set(place, status.into()))
            .await
            .unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    let places = 1..=u64::try_from(many).unwrap();
    let count = |status| places.clone().filter(|place| bits.get(*place) == Some(status)).count();
    println!("\nThe status list\n\n| what | |\n|---|---|");
    row("permits", many);
    row("in force, suspended", format!("{}, {}", count(Status::Valid), count(Status::Suspended)));
    row("read from the database", format!("{:.0} ms", times[ROUNDS / 2].as_secs_f64() * 1000.0));
    row("bits", format!("{} bytes", bits.size()));
    let uri = format!("https://permits.example.org{STATUS_LIST_PATH}");
    let text = status_list::sign(&bits, &uri, now, keys);
    row("pack and sign", median(|| drop(black_box(status_list::sign(&bits, &uri, now, keys)))));
    row("the list as it is downloaded", format!("{} bytes", text.len()));
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    row(
        "the same with Content-Encoding: gzip",
        format!("{} bytes", packer.finish().unwrap().len()),
    );
    let published = keys.published(now);
    row(
        "verify and unpack",
        median(|| drop(black_box(status_list::open(&text, &published, now).unwrap()))),
    );
    let list = status_list::open(&text, &published, now).unwrap();
    let look_up = median(|| {
        let valid = (1..=10_000).filter(|place| list.bits.get(*place) == Some(Status::Valid));
        black_box(valid.count());
    });
    row("look up 10,000 permits", look_up);
    drop((conn, db, sql));
    server.stop().await.unwrap();
    let _ = std::fs::remove_dir_all(&dir);
}
