//! The migrations, which travel in the binary: running them as the owner, and telling which are pending.
//!
//! A new directory under `migrations/` is seen the next time this crate is compiled; a test compares.

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::{QueryableByName, sql_types};
use diesel_async::{
    AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::events::PlainEvent;
use super::rule_files::LOCK;
use super::{accounts, definitions, rule_files, search};
use crate::clock::Clock;
use crate::domain::rules::Rulebook;
use crate::error::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How many applications are given the words of the search at a time.
const INDEXED_AT_A_TIME: i64 = 500;

/// Runs the pending migrations on the database of `url`, each in a transaction, and gives their names.
///
/// `url` must be the owner's. Processes that do this at the same time wait for one another.
///
/// # Errors
/// [`Error::Internal`] when the database cannot be reached or a migration fails; the ones before it stay.
pub async fn run(url: &str) -> Result<Vec<String>> {
    let url = url.to_owned();
    // The harness blocks inside a runtime of several threads; our caller's may have one. So it gets its own.
    tokio::task::spawn_blocking(move || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Error::internal("cannot start a runtime for the migrations", error))?
            .block_on(run_here(&url))
    })
    .await
    .map_err(|error| Error::internal("the migrations were interrupted", error))?
}

async fn run_here(url: &str) -> Result<Vec<String>> {
    let mut conn = connect(url).await?;
    // Let go with the session, whatever happens in between.
    conn.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))
        .await
        .map_err(|error| Error::internal("cannot lock the database for migrating", error))?;
    let mut harness = AsyncMigrationHarness::new(conn);
    harness
        .run_pending_migrations(MIGRATIONS)
        .map(|versions| versions.iter().map(|version| name_of(&version.to_string())).collect())
        .map_err(|error| {
            Error::internal("a migration failed; its transaction is rolled back", error)
        })
}

/// Registers the rules on the migrated database of `url`, all or none, with their events in `role`'s name; gives the
/// names of those that are new or have changed.
///
/// `url` must be the owner's. Waits for others that migrate.
///
/// # Errors
/// [`Error::Internal`] when the database fails, or when a registered version of a definition was given another content.
pub async fn register(
    url: &str,
    rules: &Rulebook,
    clock: &dyn Clock,
    role: &'static str,
) -> Result<Vec<String>> {
    let mut conn = connect(url).await?;
    conn.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})"))
        .await
        .map_err(|error| Error::internal("cannot lock the database for migrating", error))?;
    // An error drops the connection, and with it the transaction.
    let mut added = definitions::register(&mut conn, &rules.with_sources(), clock, role).await?;
    added.extend(rule_files::register(&mut conn, &rules.files, clock, role).await?);
    conn.batch_execute("COMMIT")
        .await
        .map_err(|error| Error::internal("cannot register the rules", error))?;
    Ok(added)
}

/// Gives words to the applications on the migrated database of `url` that officers could not find yet: SQL cannot spell
/// names as the domain does, so no migration can. Gives how many there were.
///
/// `url` must be the owner's. The service may run meanwhile.
///
/// # Errors
/// [`Error::Corrupt`] when a form does not decode; [`Error::Internal`] when the database fails. What was indexed stays.
pub async fn index(url: &str) -> Result<usize> {
    search::index_missing(&mut connect(url).await?, INDEXED_AT_A_TIME).await
}

/// Names the rules that are not registered as they are.
///
/// Needs no more rights than the service has.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn unregistered(conn: &mut AsyncPgConnection, rules: &Rulebook) -> Result<Vec<String>> {
    let mut unknown = definitions::unregistered(conn, &rules.with_sources()).await?;
    unknown.extend(rule_files::unregistered(conn, &rules.files).await?);
    Ok(unknown)
}

/// Adds a unit, with its event.
///
/// `url` must be the owner's: units are master data that the service only reads.
///
/// # Errors
/// [`crate::error::ErrorCode::RuleRefused`] when the code is taken.
pub async fn add_unit(url: &str, unit: &accounts::Unit, event: &PlainEvent) -> Result<()> {
    accounts::insert_unit(&mut connect(url).await?, unit, event).await
}

/// Gives the names of the migrations that the database of `url` still lacks, oldest first.
///
/// Needs no more rights than the service has.
///
/// # Errors
/// [`Error::Internal`] when the database cannot be reached or refuses to tell.
pub async fn pending(url: &str) -> Result<Vec<String>> {
    #[derive(QueryableByName)]
    struct Applied {
        #[diesel(sql_type = sql_types::Text)]
        version: String,
    }
    #[derive(QueryableByName)]
    struct Exists {
        #[diesel(sql_type = sql_types::Bool)]
        found: bool,
    }
    let failed = |error| Error::internal("cannot read which migrations ran", error);
    let mut conn = connect(url).await?;
    let exists: Exists =
        diesel::sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS found")
            .get_result(&mut conn)
            .await
            .map_err(failed)?;
    let mut applied: Vec<Applied> = Vec::new();
    if exists.found {
        applied = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
            .load(&mut conn)
            .await
            .map_err(failed)?;
    }
    Ok(embedded()?
        .into_iter()
        .filter(|(version, _)| applied.iter().all(|one| one.version != *version))
        .map(|(_, name)| name)
        .collect())
}

/// Gives the names of the migrations in the binary, oldest first.
///
/// # Errors
/// [`Error::Internal`] when one of them has no valid name.
pub fn names() -> Result<Vec<String>> {
    Ok(embedded()?.into_iter().map(|(_, name)| name).collect())
}

fn embedded() -> Result<Vec<(String, String)>> {
    let mut migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS
        .migrations()
        .map_err(|error| Error::internal("the migrations in the binary are unreadable", error))?;
    migrations.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(migrations
        .iter()
        .map(|one| (one.name().version().to_string(), one.name().to_string()))
        .collect())
}

fn name_of(version: &str) -> String {
    embedded()
        .ok()
        .and_then(|all| all.into_iter().find(|(one, _)| one == version))
        .map_or_else(|| version.to_owned(), |(_, name)| name)
}

/// Connects as the owner of `url`, for what the service itself may not do.
///
/// # Errors
/// [`Error::Internal`] when the database cannot be reached.
pub async fn connect(url: &str) -> Result<AsyncPgConnection> {
    AsyncPgConnection::establish(url)
        .await
        .map_err(|error| Error::internal("cannot reach the database", error))
}
