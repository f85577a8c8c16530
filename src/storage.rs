//! PostgreSQL: the only module that opens connections and names diesel.
//!
//! Functions here are `load` (must exist), `find` (may not), `list`, `insert`, `apply`, `claim`, `release`.
//! Every function is one statement unless its doc says otherwise. Look next at [`applications`], the hot path.

pub mod accounts;
pub mod applications;
pub mod audit;
pub mod definitions;
pub mod erasure;
pub mod events;
pub mod health;
pub mod jobs;
pub mod log;
pub mod messages;
pub mod migrate;
pub mod papers;
pub mod payments;
pub mod permits;
pub mod queues;
pub mod registers;
pub mod rule_files;
pub mod schema;
pub mod search;
pub mod shares;
pub mod statements;
pub mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel_async::pooled_connection::deadpool::{Object, Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;

use crate::error::{Error, ErrorCode, Result};

/// A connection lent by the pool.
pub type Conn = Object<AsyncPgConnection>;

/// A connection, lent or one's own.
pub type Connection = AsyncPgConnection;

/// The role that the service works as: it may insert events and read them, nothing else with them.
pub const SERVICE_ROLE: &str = "propusk_service";

/// A pool of connections to one database, each working as [`SERVICE_ROLE`].
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
    statements: Arc<AtomicU64>,
}

/// How a [`Db`] connects.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// `postgres://…` URL; a Unix socket as `?host=/dir`.
    pub url: String,
    /// Connections at most.
    pub pool_size: usize,
    /// How long a request waits for a connection before 503.
    pub wait: Duration,
    /// PostgreSQL's `statement_timeout` for each connection.
    pub statement_timeout: Duration,
}

impl Db {
    /// Makes the pool; connects lazily.
    ///
    /// # Errors
    /// [`Error::Internal`] when the options cannot make a pool.
    pub fn new(options: &DbOptions) -> Result<Self> {
        let statements = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&statements);
        // Session settings travel with the first statement: one round trip for each new connection. Our statements take
        // milliseconds: to start workers or a compiler for one takes longer than the statement.
        let setup = format!(
            "SET ROLE {SERVICE_ROLE}; SET statement_timeout = {}; SET lock_timeout = {}; SET TIME ZONE 'UTC'; \
             SET max_parallel_workers_per_gather = 0; SET jit = off",
            options.statement_timeout.as_millis(),
            options.statement_timeout.as_millis() / 2,
        );
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        // The default recycling method asks the server before each use: a round trip for each request.
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |url| {
            let setup = setup.clone();
            let counter = Arc::clone(&counter);
            let url = url.to_owned();
            async move {
                let mut conn = AsyncPgConnection::establish(&url).await?;
                conn.batch_execute(&setup).await.map_err(|error| {
                    diesel::ConnectionError::BadConnection(format!(
                        "cannot work as the role {SERVICE_ROLE} (is the database migrated?): {error}"
                    ))
                })?;
                conn.set_instrumentation(StatementCounter(counter));
                Ok(conn)
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(&options.url, config);
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.wait))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| Error::internal("cannot make the connection pool", error))?;
        Ok(Self { pool, statements })
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when none is free in time, or the database is away.
    pub async fn conn(&self) -> Result<Conn> {
        self.pool.get().await.map_err(|error| {
            if !matches!(error, PoolError::Timeout(_)) {
                tracing::error!(%error, "cannot reach the database");
            }
            busy()
        })
    }

    /// Counts the statements sent since start, for metrics and for the tests that count round trips.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }
}

struct StatementCounter(Arc<AtomicU64>);

impl Instrumentation for StatementCounter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Says that the same request can be sent again.
fn busy() -> Error {
    Error::refused(
        ErrorCode::Unavailable,
        "The service is busy; send the same request again after the stated seconds.",
    )
    .with_retry_after(2)
}

/// Names the query that failed; the text goes to the log alone.
fn query_failed(query: &'static str, error: diesel::result::Error) -> Error {
    if let diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::Unknown, info) =
        &error
        && (info.message().contains("statement timeout") || info.message().contains("lock timeout"))
    {
        tracing::warn!(query, message = info.message(), "a statement took too long");
        return busy();
    }
    Error::internal(query, error)
}

/// Writes bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
