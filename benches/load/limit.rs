//! The limit: pgbench with the very row writes of a command.
//!
//! The statement and its values are those that the service sent for one `recordFinding`, read from the server's own log. Only
//! what must differ between two commands does: the application, its version, the event's id, the idempotency key. It writes
//! to applications of its own, whose events then say nothing true: they take no part in any check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hdrhistogram::Histogram;
use propusk::clock::{Clock as _, SystemClock};
use propusk::demo::postgres::binaries::Binaries;
use tokio_postgres::Client;

use super::http::histogram;
use super::machine::Reading;

/// Connections that it writes on, and the applications of each.
pub const CLIENTS: usize = 64;
/// Applications for each connection.
pub const EACH: usize = 2;

/// A prepared run.
pub struct Limit {
    script: String,
    values: Vec<(String, String)>,
    slices: std::cell::Cell<i64>,
}

/// What a run gave.
pub struct Run {
    /// How long it was looked at.
    pub took: Duration,
    /// Latencies in microseconds.
    pub latency: Histogram<u64>,
    /// What the machine used meanwhile.
    pub used: Reading,
}

/// How long its connections may take to be made and to plan.
const WARM: Duration = Duration::from_secs(2);

impl Limit {
    /// Takes the statement and its values from what the server has logged, and keeps applications to write to: those in
    /// `cases`, which are in the state that the statement was for.
    pub async fn prepare(sql: &Client, log: &str, cases: &[String]) -> Self {
        let (statement, values) = logged(log);
        sql.batch_execute(
            "CREATE TABLE limit_cases (n integer PRIMARY KEY, id uuid NOT NULL); \
             GRANT SELECT ON limit_cases TO propusk_service",
        )
        .await
        .unwrap();
        for (number, id) in cases.iter().enumerate() {
            sql.batch_execute(&format!("INSERT INTO limit_cases VALUES ({number}, '{id}')"))
                .await
                .unwrap();
        }
        let place = |mark: &str| -> usize {
            let (_, rest) =
                statement.split_once(mark).unwrap_or_else(|| panic!("no {mark}: {statement}"));
            let rest = &rest[rest.find('$').unwrap() + 1..];
            rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap()].parse().unwrap()
        };
        let (_, kept) = statement.split_once("INSERT INTO idempotency_keys").unwrap();
        let key = {
            let (_, rest) = kept.split_once("SELECT $").unwrap();
            let (_, rest) = rest.split_once('$').unwrap();
            rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap()].parse::<usize>().unwrap()
        };
        let own = [
            (place("WHERE id = "), "(SELECT id FROM limit_cases WHERE n = :n)".to_owned()),
            (place("version + 1 = "), ":seq".to_owned()),
            (place(", moved.id, "), ":seq".to_owned()),
            (
                place("commitment, pseudonym) SELECT "),
                "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '70008' || \
                 lpad(to_hex(:r::bigint), 15, '0'))::uuid"
                    .to_owned(),
            ),
            (key, "('limit-' || :base::text || '-' || :client_id::text || '-' || :i::text)".to_owned()),
        ];
        let mut bound = Vec::new();
        let mut text = String::new();
        let mut rest = &statement[..];
        while let Some((before, after)) = rest.split_once('$') {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let number: usize = after[..end].parse().unwrap();
            text.push_str(before);
            match (own.iter().find(|one| one.0 == number), &values[number - 1]) {
                (Some((_, expression)), _) => text.push_str(expression),
                (None, None) => text.push_str("NULL"),
                (None, Some(value)) => {
                    text.push_str(&format!(":p{number}"));
                    bound.push((format!("p{number}"), value.clone()));
                }
            }
            rest = &after[end..];
        }
        text.push_str(rest);
        let script = format!(
            "\\set i :i + 1\n\\set n :client_id * {EACH} + :i % {EACH}\n\\set seq :base + 1 + (:i - 1) / {EACH}\n\
             \\set r random(0, 1152921504606846975)\n{text};\n"
        );
        Self { script, values: bound, slices: std::cell::Cell::new(0) }
    }

    /// Runs on `clients` connections until each has its plans, and then for `time`. `read` gives what the machine has used so
    /// far.
    pub async fn run<R: Future<Output = Reading>>(
        &self,
        sql: &Client,
        pgbench: &Path,
        url: &str,
        dir: &Path,
        (clients, time): (usize, Duration),
        read: impl Fn() -> R,
    ) -> Run {
        let slice = self.slices.get() + 1;
        self.slices.set(slice);
        let base = 1_000_000 * slice;
        sql.batch_execute(&format!(
            "UPDATE applications SET version = {base} WHERE id IN (SELECT id FROM limit_cases)"
        ))
        .await
        .unwrap();
        let logs = dir.join("limit");
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs).unwrap();
        fs::write(logs.join("command.sql"), &self.script).unwrap();
        let mut command = Command::new(pgbench);
        command
            .current_dir(&logs)
            .env(
                "PGOPTIONS",
                "-c role=propusk_service -c jit=off -c max_parallel_workers_per_gather=0",
            )
            .args(["-n", "-M", "prepared", "-j", "1", "-l", "-f", "command.sql"])
            .args(["-c", &clients.to_string()])
            .args(["-T", &(WARM + time).as_secs().max(1).to_string()])
            .args(["-D", "i=0", "-D", &format!("base={base}")]);
        for (name, value) in &self.values {
            command.args(["-D", &format!("{name}={value}")]);
        }
        command.arg(url).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        tokio::time::sleep(WARM).await;
        let (before, from) = (read().await, SystemClock.now().timestamp_micros());
        tokio::time::sleep(time - Duration::from_millis(200)).await;
        let (used, to) = (read().await.since(&before), SystemClock.now().timestamp_micros());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "pgbench: {errors}");
        let mut latency = histogram();
        let mut all = 0;
        for file in fs::read_dir(&logs).unwrap().flatten() {
            if !file.file_name().to_string_lossy().starts_with("pgbench_log") {
                continue;
            }
            // Client, transaction, microseconds, script, and when it ended: seconds, microseconds.
            for line in fs::read_to_string(file.path()).unwrap().lines() {
                let fields: Vec<i64> = line.split(' ').filter_map(|one| one.parse().ok()).collect();
                let [_, _, micros, _, second, rest] = fields[..] else { continue };
                all += 1;
                if (from..to).contains(&(second * 1_000_000 + rest)) {
                    let _ = latency.record(micros.max(1).unsigned_abs());
                }
            }
        }
        let written: i64 = sql
            .query_one(
                "SELECT sum(version - $1)::bigint FROM applications WHERE id IN (SELECT id FROM limit_cases)",
                &[&i32::try_from(base).unwrap()],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(written, all, "a transaction of the limit wrote nothing");
        Run { took: Duration::from_micros((to - from).unsigned_abs()), latency, used }
    }
}

/// Finds pgbench: beside the server, where a distribution keeps the server's programs, or on the path.
pub fn pgbench(binaries: &Binaries) -> PathBuf {
    let beside = binaries.program("pgbench");
    let linked = fs::canonicalize(binaries.program("postgres")).unwrap_or_default();
    let kept = PathBuf::from(format!("/usr/lib/postgresql/{}/bin/pgbench", binaries.major));
    let all = [beside, linked.with_file_name("pgbench"), kept];
    all.into_iter().find(|one| one.exists()).unwrap_or_else(|| PathBuf::from("pgbench"))
}

/// Finds the last command in the server's log, with its values.
fn logged(log: &str) -> (String, Vec<Option<String>>) {
    let mut found = None;
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, statement)) = line.split_once(": WITH moved AS (UPDATE") else { continue };
        let Some((_, values)) = lines.peek().and_then(|next| next.split_once("parameters: "))
        else {
            continue;
        };
        if statement.contains("INTO checks") {
            found = Some((format!("WITH moved AS (UPDATE{statement}"), parse(values)));
        }
    }
    found.expect("the server logged no command")
}

/// Reads `$1 = 'text', $2 = NULL, …`.
fn parse(text: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(" = ") {
        if let Some(after) = after.strip_prefix("NULL") {
            values.push(None);
            rest = after;
            continue;
        }
        let mut value = String::new();
        let mut from = after[1..].char_indices().peekable();
        let mut end = after.len();
        while let Some((at, c)) = from.next() {
            if c != '\'' {
                value.push(c);
            } else if from.peek().is_some_and(|(_, next)| *next == '\'') {
                value.push('\'');
                from.next();
            } else {
                end = at + 2;
                break;
            }
        }
        values.push(Some(value));
        rest = &after[end..];
    }
    values
}
