//! What the machine and the database say of a slice: CPU time, memory, statements, write-ahead log.

use std::fs;

use tokio_postgres::Client;

/// Hundredths of a second: what Linux counts CPU time in for everybody who reads /proc.
const TICKS: f64 = 100.0;

/// Statements that nobody asks for: how the sequencer and the worker look for work, and how this bench does.
const BACKGROUND: &str = "^WITH (s|due) AS |pg_stat_statements|log_checkpoints|log_position";

/// CPU seconds and statements so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// Of the service's process.
    pub service: f64,
    /// Of all processes of PostgreSQL.
    pub postgres: f64,
    /// Bytes written to the write-ahead log.
    pub wal: f64,
    /// Statements of this database, but for those that look for work.
    pub statements: f64,
    /// Milliseconds that they took in the database.
    pub database: f64,
}

/// Reads the counters; `service` and `postgres` are processes, `database` the one that is measured.
pub async fn read(sql: &Client, service: u32, postgres: u32, database: &str) -> Reading {
    let text = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8, coalesce(sum(calls), 0)::float8, \
         coalesce(sum(total_exec_time), 0)::float8 FROM pg_stat_statements \
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) AND query !~ $2";
    let row = sql.query_one(text, &[&database, &BACKGROUND]).await.unwrap();
    Reading {
        service: cpu(service, false),
        postgres: cpu(postgres, true),
        wal: row.get(0),
        statements: row.get(1),
        database: row.get(2),
    }
}

impl Reading {
    /// Gives what was used since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            service: self.service - before.service,
            postgres: self.postgres - before.postgres,
            wal: self.wal - before.wal,
            statements: self.statements - before.statements,
            database: self.database - before.database,
        }
    }
}

/// Fields of /proc/PID/stat after the name: state, parent and so on.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Gives the CPU seconds of a process, with those of its children, living and gone.
pub fn cpu(process: u32, children: bool) -> f64 {
    let ticks = |fields: &[String], from: usize| -> f64 {
        (0..2).filter_map(|more| fields.get(from + more)?.parse::<f64>().ok()).sum()
    };
    let Some(own) = stat(process) else { return 0.0 };
    let mut all = ticks(&own, 11);
    if children {
        all += ticks(&own, 13);
        all += processes()
            .filter_map(stat)
            .filter(|fields| fields.get(1).is_some_and(|parent| *parent == process.to_string()))
            .map(|fields| ticks(&fields, 11))
            .sum::<f64>();
    }
    all / TICKS
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Gives the resident memory of a process in MiB, now and at its highest.
pub fn memory(process: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let of = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        number.unwrap_or_default() / 1024.0
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Gives how many processes wanted a core in the last minute, five and fifteen minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(", ")
}

/// Gives cores and memory in GiB.
pub fn size() -> (usize, f64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = kib.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores, kib.unwrap_or_default() / 1024.0 / 1024.0)
}
