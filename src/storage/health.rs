//! Whether the database answers and is migrated, and how busy the pool is.

use diesel::{QueryableByName, sql_types};
use diesel_async::RunQueryDsl as _;

use super::{Db, migrate};
use crate::error::{Error, ErrorCode, Result};

#[derive(QueryableByName)]
struct Latest {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    version: Option<String>,
}

/// Checks that the database answers and has the newest migration of this binary.
///
/// # Errors
/// [`ErrorCode::Unavailable`] when it is away, busy or not migrated.
pub async fn ready(db: &Db) -> Result<()> {
    let latest: Latest =
        diesel::sql_query("SELECT max(version) AS version FROM __diesel_schema_migrations")
            .get_result(&mut db.conn().await?)
            .await
            .map_err(|error| Error::internal("cannot read the latest migration", error))?;
    let newest = migrate::names()?.pop().unwrap_or_default();
    let digits = |name: &str| -> String {
        name.split('_').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect()
    };
    // A newer database than ours is fine: the next version of the service is being rolled out.
    if latest.version.is_some_and(|version| digits(&version) >= digits(&newest)) {
        return Ok(());
    }
    Err(Error::refused(ErrorCode::Unavailable, "The database is being migrated; try again.")
        .with_retry_after(5))
}

/// How many connections the pool has and how many of them are lent.
#[must_use]
pub fn connections(db: &Db) -> (usize, usize) {
    let status = db.pool.status();
    (status.size, status.size.saturating_sub(status.available))
}
