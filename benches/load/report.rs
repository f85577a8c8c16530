//! What was measured, as a table of Markdown with every bar's own line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::http::Outcome;
use super::machine::Reading;

/// What one slice gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// How many requests.
    pub many: f64,
    /// Requests in a second.
    pub rate: f64,
    /// Milliseconds: the median, the 99th and the 99.9th percentile.
    pub latency: [f64; 3],
    /// Milliseconds of CPU for each request: service, PostgreSQL.
    pub cpu: [f64; 2],
    /// Statements for each request.
    pub statements: f64,
    /// Milliseconds in the database for each request.
    pub database: f64,
    /// Bytes of write-ahead log for each request.
    pub wal: f64,
}

impl Sample {
    /// Puts together what the load generator and the machine saw.
    pub fn new(outcome: &Outcome, used: &Reading) -> Self {
        let many = outcome.latency.len().max(1) as f64;
        Self {
            many,
            rate: many / outcome.took.as_secs_f64(),
            latency: [0.5, 0.99, 0.999]
                .map(|at| outcome.latency.value_at_quantile(at) as f64 / 1000.0),
            cpu: [used.service, used.postgres].map(|seconds| seconds * 1000.0 / many),
            statements: used.statements / many,
            database: used.database / many,
            wal: used.wal / many,
        }
    }

    fn of(samples: &[Self], value: impl Fn(&Self) -> f64) -> f64 {
        let mut values: Vec<f64> = samples.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    }

    /// Gives the median of each figure, and how many requests there were in all.
    fn median(samples: &[Self]) -> Self {
        Self {
            many: samples.iter().map(|one| one.many).sum(),
            rate: Self::of(samples, |one| one.rate),
            latency: [0, 1, 2].map(|at| Self::of(samples, |one| one.latency[at])),
            cpu: [0, 1].map(|at| Self::of(samples, |one| one.cpu[at])),
            statements: Self::of(samples, |one| one.statements),
            database: Self::of(samples, |one| one.database),
            wal: Self::of(samples, |one| one.wal),
        }
    }
}

/// What was measured of which operation, at which size, on how many connections.
#[derive(Default)]
pub struct Report {
    order: Vec<(String, usize)>,
    samples: BTreeMap<(String, i64, usize), Vec<Sample>>,
    facts: Vec<(String, String)>,
    bars: Vec<(String, String, String, bool)>,
    trips: Vec<(String, f64)>,
}

/// The name of the limit's line.
pub const LIMIT: &str = "pgbench: the row writes of recordFinding";

impl Report {
    /// Adds what a slice gave.
    pub fn add(&mut self, what: &str, size: i64, connections: usize, sample: Sample) {
        let place = (what.to_owned(), connections);
        if !self.order.contains(&place) {
            self.order.push(place);
        }
        self.samples.entry((what.to_owned(), size, connections)).or_default().push(sample);
    }

    /// Adds a line about the machine and the run.
    pub fn fact(&mut self, what: &str, text: String) {
        self.facts.push((what.to_owned(), text));
    }

    /// Gives the medians, if it was measured.
    pub fn get(&self, what: &str, size: i64, connections: usize) -> Option<Sample> {
        self.samples.get(&(what.to_owned(), size, connections)).map(|all| Sample::median(all))
    }

    /// Adds how many round trips to the database a request takes.
    pub fn trips(&mut self, what: &str, each: f64) {
        self.trips.push((what.to_owned(), each));
    }

    /// Gives them, if they were counted.
    pub fn trips_of(&self, what: &str) -> Option<f64> {
        self.trips.iter().find(|(name, _)| name == what).map(|(_, each)| *each)
    }

    /// Adds a bar, if there is a figure to hold against it.
    pub fn bar(&mut self, what: &str, bar: &str, found: Option<(String, bool)>) {
        let (figure, met) = found.unwrap_or_else(|| ("not measured".to_owned(), false));
        self.bars.push((what.to_owned(), bar.to_owned(), figure, met));
    }

    /// Writes everything.
    pub fn text(&self, large: i64) -> String {
        let mut out = String::from(
            "# What the service does in a second\n\nWritten by `make bench`; the section *Measuring it* of the README says \
             how it is measured.\n\n",
        );
        for (what, text) in &self.facts {
            let _ = writeln!(out, "- {what}: {text}");
        }
        out.push_str("\n## The bars\n\n| operation | bar | found | |\n|---|---|---|---|\n");
        for (what, bar, figure, met) in &self.bars {
            let met = if *met { "met" } else { "**not met**" };
            let _ = writeln!(out, "| {what} | {bar} | {figure} | {met} |");
        }
        out.push_str(
            "\n## Round trips to the database\n\n| operation | for each request |\n|---|---:|\n",
        );
        for (what, each) in &self.trips {
            let _ = writeln!(out, "| {what} | {each:.1} |");
        }
        let mut sizes: Vec<i64> = self.samples.keys().map(|(_, size, _)| *size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes.into_iter().rev() {
            let _ = write!(
                out,
                "\n## {} applications{}\n\nMedians of the rounds; CPU for each request, the service's and PostgreSQL's apart; \
                 the ratio is to pgbench's rate on as many connections.\n\n\
                 | operation | connections | requests | a second | p50 ms | p99 ms | p99.9 ms | CPU service ms | CPU PostgreSQL ms | statements | database ms | WAL bytes | ratio to the limit |\n\
                 |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
                grouped(size as f64),
                if size == large { "" } else { ", for the growth" },
            );
            for (what, connections) in &self.order {
                let Some(found) = self.get(what, size, *connections) else { continue };
                let limit = self
                    .get(LIMIT, size, *connections)
                    .or_else(|| self.get(LIMIT, large, *connections));
                let ratio = limit.map_or("–".to_owned(), |limit| {
                    format!("{:.0} %", 100.0 * found.rate / limit.rate)
                });
                let [p50, p99, p999] = found.latency;
                let _ = writeln!(
                    out,
                    "| {what} | {connections} | {} | {} | {p50:.2} | {p99:.2} | {p999:.2} | {:.3} | {:.3} | {:.1} | {:.2} | {} | {ratio} |",
                    grouped(found.many),
                    grouped(found.rate),
                    found.cpu[0],
                    found.cpu[1],
                    found.statements,
                    found.database,
                    grouped(found.wal),
                );
            }
        }
        out
    }
}

/// Writes a number with its thousands apart.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
