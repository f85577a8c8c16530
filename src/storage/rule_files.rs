//! The files of rules in use besides the definitions: registered by `migrate` as the owner each time they change, only
//! read by the service.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{ExpressionMethods as _, QueryDsl as _};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::events::{self, PlainEvent};
use super::schema::rule_files as f;
use super::{hex, query_failed};
use crate::clock::Clock;
use crate::domain::rules::RuleFile;
use crate::error::Result;

/// Registers the files whose latest registered text is another, each with its event in `role`'s name; gives the names
/// of those.
///
/// One statement, and two for each file that has changed; `migrate` runs it, inside its lock and transaction.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn register(
    conn: &mut AsyncPgConnection,
    files: &[RuleFile],
    clock: &dyn Clock,
    role: &'static str,
) -> Result<Vec<String>> {
    let failed = |error| query_failed("rule_files::register", error);
    let known = latest(conn).await.map_err(failed)?;
    let mut changed = Vec::new();
    for file in files {
        let digest = digest(&file.text);
        let before = known.iter().find(|(name, ..)| *name == file.name);
        if before.is_some_and(|(_, known, _)| *known == digest) {
            continue;
        }
        let content = json!({ "name": file.name, "digest": hex(&digest) });
        let event = PlainEvent::now(clock, kind(&file.name), role, content);
        // The latest is in use, also where a clock was put back in between.
        let after = before.map(|(.., at)| *at + TimeDelta::microseconds(1));
        diesel::insert_into(f::table)
            .values((
                f::name.eq(&file.name),
                f::digest.eq(&digest),
                f::source.eq(&file.text),
                f::registered_at.eq(after.map_or(event.at(), |after| after.max(event.at()))),
            ))
            .execute(conn)
            .await
            .map_err(failed)?;
        events::insert(conn, &event).await.map_err(failed)?;
        changed.push(file.name.clone());
    }
    Ok(changed)
}

/// Names the files that are not registered as they are; `serve` refuses to start with any.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn unregistered(conn: &mut AsyncPgConnection, files: &[RuleFile]) -> Result<Vec<String>> {
    let known =
        latest(conn).await.map_err(|error| query_failed("rule_files::unregistered", error))?;
    Ok(files
        .iter()
        .filter(|file| {
            let digest = digest(&file.text);
            !known.iter().any(|(name, known, _)| *name == file.name && *known == digest)
        })
        .map(|file| file.name.clone())
        .collect())
}

/// Name, digest and time of the latest registration of each file.
type Latest = (String, Vec<u8>, DateTime<Utc>);

async fn latest(conn: &mut AsyncPgConnection) -> diesel::QueryResult<Vec<Latest>> {
    f::table
        .distinct_on(f::name)
        .order((f::name, f::registered_at.desc()))
        .select((f::name, f::digest, f::registered_at))
        .load(conn)
        .await
}

/// Gives the event's kind: what sort of rules has changed.
fn kind(name: &str) -> &'static str {
    match name {
        "rates.toml" => "ratesChanged",
        "grounds.toml" => "groundsChanged",
        "retention.toml" => "retentionChanged",
        _ => "calendarChanged",
    }
}

/// Gives the SHA-256 of a file.
pub(super) fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}
