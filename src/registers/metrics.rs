//! What is counted of the registers. The labels are names of the configuration and outcomes, few by construction.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    register: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    register: String,
}

/// The counters of one process.
#[derive(Clone)]
pub struct RegisterMetrics {
    up: Family<Named, Gauge<i64, AtomicI64>>,
    requests: Family<Asked, Counter>,
    seconds: Family<Named, Histogram>,
}

fn buckets() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl Default for RegisterMetrics {
    fn default() -> Self {
        Self {
            up: Family::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets as fn() -> Histogram),
        }
    }
}

impl RegisterMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "register_up",
            "1 while the register is asked, 0 while its circuit breaker is not closed",
            Family::clone(&self.up),
        );
        registry.register(
            "register_requests",
            "Requests to registers that ended, by what came of them",
            Family::clone(&self.requests),
        );
        registry.register(
            "register_seconds",
            "Time from a request to a register to its answer, or to giving up",
            Family::clone(&self.seconds),
        );
    }

    /// Counts one request.
    pub fn asked(&self, register: &str, outcome: &'static str, took: Duration) {
        let register = register.to_owned();
        let named = Named { register: register.clone() };
        self.seconds.get_or_create(&named).observe(took.as_secs_f64());
        self.requests.get_or_create(&Asked { register, outcome }).inc();
    }

    /// Sets whether a register is asked.
    pub fn set_up(&self, register: &str, up: bool) {
        self.up.get_or_create(&Named { register: register.to_owned() }).set(i64::from(up));
    }
}
