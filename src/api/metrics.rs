//! What is counted, in the OpenMetrics text format.
//!
//! Labels have few values by construction: operation ids of the document, methods and statuses, never paths; units, and
//! at most forty queues of each.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

use crate::audit::sequencer::Status;
use crate::error::{Error, Result};
use crate::storage::{Db, applications, health, payments, queues, statements};
use crate::telemetry::chain;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    unit: String,
    queue: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatementLabels {
    outcome: String,
}

/// How much waits in the queues of all units: the figures of the latest count.
#[derive(Default)]
struct QueueGauges {
    waiting: Family<QueueLabels, Gauge>,
    free: Family<QueueLabels, Gauge>,
    money: MoneyGauges,
    counted_at: Mutex<Option<DateTime<Utc>>>,
}

/// Money that was received and has not got to where it belongs: what an alarm looks at.
#[derive(Default)]
struct MoneyGauges {
    statements: Family<StatementLabels, Gauge>,
    kopecks: Gauge,
    oldest: Gauge,
    stuck: Gauge,
}

/// How long a count of the queues is good for: it reads the index of all that is open.
const COUNT_GOOD_FOR: TimeDelta = TimeDelta::seconds(15);

impl QueueGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "queue_waiting",
            "Applications, or payments, that wait in a queue of a unit",
            Family::clone(&self.waiting),
        );
        registry.register(
            "queue_free",
            "Those of them that nobody holds",
            Family::clone(&self.free),
        );
        registry.register(
            "money_waiting_kopecks",
            "Money that was received and matches nothing, or is more than was due",
            Gauge::clone(&self.money.kopecks),
        );
        registry.register(
            "money_waiting_oldest_timestamp_seconds",
            "When the oldest of it was received; 0 while there is none",
            Gauge::clone(&self.money.oldest),
        );
        registry.register(
            "statements",
            "Files found among the provider's statements, by what came of them: alike, differs, refused, underWay",
            Family::clone(&self.money.statements),
        );
        registry.register(
            "payments_not_moved_on",
            "Payments that wait though a bill that they quote is open: somebody paid, and nothing moved",
            Gauge::clone(&self.money.stuck),
        );
    }

    /// Counts anew unless the latest count is good still, or somebody is counting.
    async fn refresh(&self, db: &Db, now: DateTime<Utc>) -> Result<()> {
        let Ok(mut counted_at) = self.counted_at.try_lock() else { return Ok(()) };
        if counted_at.is_some_and(|at| at <= now && now - at < COUNT_GOOD_FOR) {
            return Ok(());
        }
        let mut conn = db.conn().await?;
        let mut counts = Vec::new();
        for (unit, queues) in queues::list_all(&mut conn).await? {
            let counted = applications::count_queues(&mut conn, &unit, &queues, now).await?;
            for (queue, count) in queues.into_iter().zip(counted) {
                counts.push((QueueLabels { unit: unit.clone(), queue: queue.name }, count));
            }
        }
        let money = payments::waiting_money(&mut conn).await?;
        self.money.kopecks.set(money.kopecks);
        self.money.oldest.set(money.oldest.map_or(0, |at| at.timestamp()));
        self.money.stuck.set(money.quoting_open);
        for (outcome, count) in statements::counts(&mut conn).await? {
            self.money.statements.get_or_create(&StatementLabels { outcome }).set(count);
        }
        // What a unit has removed is not counted on.
        self.waiting.clear();
        self.free.clear();
        for (labels, count) in counts {
            self.waiting.get_or_create(&labels).set(count.waiting);
            self.free.get_or_create(&labels).set(count.free);
        }
        *counted_at = Some(now);
        Ok(())
    }
}

/// The counters of one process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Operation, Histogram>,
    statements: Gauge<u64, AtomicU64>,
    connections: Gauge<u64, AtomicU64>,
    in_use: Gauge<u64, AtomicU64>,
    log: LogGauges,
    queues: QueueGauges,
}

/// What the sequencer of this process is doing.
#[derive(Default)]
struct LogGauges {
    active: Gauge<i64, AtomicI64>,
    refusing: Gauge<i64, AtomicI64>,
    size: Gauge<u64, AtomicU64>,
    published_at: Gauge<i64, AtomicI64>,
    delay: Gauge<f64, AtomicU64>,
}

impl LogGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "log_sequencer",
            "1 while this process numbers the events of the public log",
            Gauge::clone(&self.active),
        );
        registry.register(
            "log_refusing",
            "1 while this process refuses to sign the public log: the database contradicts what was signed",
            Gauge::clone(&self.refusing),
        );
        registry.register(
            "log_size",
            "Events under the last checkpoint that this process published",
            Gauge::clone(&self.size),
        );
        registry.register(
            "log_published_timestamp_seconds",
            "When this process last published a checkpoint",
            Gauge::clone(&self.published_at),
        );
        registry.register(
            "log_delay_seconds",
            "How old the oldest new event of the last checkpoint was when it was published",
            Gauge::clone(&self.delay),
        );
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a delay are far below 2^52")]
    fn set(&self, status: &Status) {
        self.active.set(i64::from(status.active.load(Ordering::Relaxed)));
        self.refusing.set(i64::from(status.refusing.load(Ordering::Relaxed)));
        self.size.set(status.size.load(Ordering::Relaxed));
        self.published_at.set(status.published_at.load(Ordering::Relaxed));
        self.delay.set(status.delay_millis.load(Ordering::Relaxed) as f64 / 1000.0);
    }
}

fn buckets() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("propusk");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        let (statements, connections, in_use) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register(
            "http_requests",
            "Requests answered, by operation and status",
            Family::clone(&requests),
        );
        registry.register(
            "http_request_seconds",
            "Time from a request's head to its answer's head",
            Family::clone(&seconds),
        );
        registry.register(
            "database_statements",
            "Statements sent to PostgreSQL since the start",
            Gauge::clone(&statements),
        );
        registry.register("database_connections", "Connections open", Gauge::clone(&connections));
        registry.register("database_connections_in_use", "Connections lent", Gauge::clone(&in_use));
        let log = LogGauges::default();
        log.register(&mut registry);
        let queues = QueueGauges::default();
        queues.register(&mut registry);
        Self { registry, requests, seconds, statements, connections, in_use, log, queues }
    }
}

impl Metrics {
    /// Counts one answer.
    pub fn answered(&self, operation: &str, status: u16, seconds: f64) {
        let operation = operation.to_owned();
        self.seconds.get_or_create(&Operation { operation: operation.clone() }).observe(seconds);
        self.requests.get_or_create(&Answered { operation, status }).inc();
    }

    /// Gives the registry for further metrics, before the process serves.
    pub const fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Writes everything down. The queues are counted when the latest count is fifteen seconds old; where that fails, what
    /// was counted before stays.
    ///
    /// # Errors
    /// [`Error::Internal`] when the text cannot be formatted.
    pub async fn text(&self, db: &Db, log: &Status, now: DateTime<Utc>) -> Result<String> {
        if let Err(error) = self.queues.refresh(db, now).await {
            tracing::warn!(error = chain(&error), "cannot count the queues for the metrics");
        }
        self.log.set(log);
        let (size, lent) = health::connections(db);
        self.statements.set(db.statements());
        self.connections.set(size as u64);
        self.in_use.set(lent as u64);
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .map_err(|error| Error::internal("cannot write the metrics", error))?;
        Ok(text)
    }
}
