//! What is counted, in the OpenMetrics text format.
//!
//! Labels have few values by construction: operation ids of the document, methods and statuses, never paths.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::error::{Error, Result};
use crate::storage::{Db, health};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

/// The counters of one process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Operation, Histogram>,
    statements: Gauge<u64, AtomicU64>,
    connections: Gauge<u64, AtomicU64>,
    in_use: Gauge<u64, AtomicU64>,
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
        Self { registry, requests, seconds, statements, connections, in_use }
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

    /// Writes everything down.
    ///
    /// # Errors
    /// [`Error::Internal`] when the text cannot be formatted.
    pub fn text(&self, db: &Db) -> Result<String> {
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
