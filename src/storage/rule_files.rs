//! The files of rules in use besides the definitions: registered each time they change.
//!
//! Of rates, payees, grounds and terms the binary that runs decides which are in force, and the database has to know them. A
//! calendar is in force as the database has it last, whatever binary runs: `migrate` registers one that the binary brings,
//! and an administrator loads one, through the service. Every registration has a number greater than those committed
//! before it, so that a process sees by one number whether it knows the latest.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult, Queryable, TextExpressionMethods as _,
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::events::{self, PlainEvent};
use super::schema::rule_files as f;
use super::{hex, jobs, query_failed};
use crate::clock::Clock;
use crate::domain::event::{Job, Scheduled};
use crate::domain::rules::RuleFile;
use crate::error::Result;

/// Names the advisory lock that lets one registration in at a time, and one migrating process: "propusk" in ASCII.
pub(super) const LOCK: i64 = 0x0070_726F_7075_736B;

/// The number of the latest registration, as SQL; zero before the first.
pub(super) const LATEST: &str = "(SELECT coalesce(max(number), 0) FROM rule_files)";

/// The kind of the event that puts a calendar in force.
pub const CALENDAR_CHANGED: &str = "calendarChanged";

/// One registration of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Version {
    /// The file's name, `calendars/<country>-<year>.toml`.
    pub name: String,
    /// SHA-256 of the text.
    pub digest: Vec<u8>,
    /// The text.
    pub source: String,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
    /// Its number.
    pub number: i64,
}

/// The calendars in force.
#[derive(Debug, Clone)]
pub struct Calendars {
    /// A file for each year.
    pub files: Vec<RuleFile>,
    /// The number of the latest registration of any file of rules.
    pub number: i64,
    /// The number of the latest registration of a calendar.
    pub calendar: i64,
}

/// What became of the loading of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// It is in force, under this number.
    Registered(i64),
    /// It was in force already, under this number; nothing changed.
    Known(i64),
    /// Another version than the one seen is in force, under this number; nothing changed.
    Stale(i64),
}

/// Registers the files that are not, each with its event in `role`'s name; gives the names of those.
///
/// A calendar that was registered once under its name is left alone: a later version may be in force, and an old binary
/// does not take it back. A calendar that replaces another brings the job that dates what is under way anew. One
/// statement, and two or three for each file that has changed; `migrate` runs it, inside its lock and transaction.
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
    let known = registrations(conn).await.map_err(failed)?;
    let mut changed = Vec::new();
    for file in files.iter().filter(|file| !is_registered(file, &known)) {
        let event = PlainEvent::now(clock, kind(&file.name), role, content(file));
        let before = known.iter().find(|one| one.name == file.name);
        let number = insert(conn, file, before, &event).await.map_err(failed)?;
        if file.is_calendar() && before.is_some() {
            redate(conn, number, &event).await.map_err(failed)?;
        }
        changed.push(file.name.clone());
    }
    Ok(changed)
}

/// Names the files that are not registered as they are; `serve` refuses to start with any.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn unregistered(conn: &mut AsyncPgConnection, files: &[RuleFile]) -> Result<Vec<String>> {
    let known = registrations(conn)
        .await
        .map_err(|error| query_failed("rule_files::unregistered", error))?;
    let unknown = files.iter().filter(|file| !is_registered(file, &known));
    Ok(unknown.map(|file| file.name.clone()).collect())
}

/// Puts a calendar in force with its event and with the job that dates what is under way anew, in one transaction, if the
/// version in force is still number `seen` (zero: there is none). Waits for others that register.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn load(
    conn: &mut AsyncPgConnection,
    file: &RuleFile,
    seen: i64,
    event: &PlainEvent,
) -> Result<Loading> {
    let load = async |conn: &mut AsyncPgConnection| {
        conn.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
        let known = registrations(conn).await?;
        let before = known.iter().find(|one| one.name == file.name);
        let number = before.map_or(0, |before| before.number);
        if number != seen {
            return Ok(Loading::Stale(number));
        }
        if before.is_some_and(|before| before.digest == digest(&file.text)) {
            return Ok(Loading::Known(number));
        }
        let number = insert(conn, file, before, event).await?;
        redate(conn, number, event).await?;
        Ok(Loading::Registered(number))
    };
    let loading: QueryResult<Loading> = conn.transaction(load).await;
    loading.map_err(|error| query_failed("rule_files::load", error))
}

/// Gives the calendars in force, and how many registrations they follow.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn calendars(conn: &mut AsyncPgConnection) -> Result<Calendars> {
    let rows: Vec<(String, String, i64, i64)> = f::table
        .distinct_on(f::name)
        .filter(f::name.like("calendars/%"))
        .order((f::name, f::number.desc()))
        .select((f::name, f::source, f::number, sql::<BigInt>(LATEST)))
        .load(conn)
        .await
        .map_err(|error| query_failed("rule_files::calendars", error))?;
    let number = rows.iter().map(|(.., number)| *number).max().unwrap_or(0);
    let calendar = rows.iter().map(|(_, _, number, _)| *number).max().unwrap_or(0);
    let files = rows.into_iter().map(|(name, text, ..)| RuleFile { name, text }).collect();
    Ok(Calendars { files, number, calendar })
}

/// Lists every version of every calendar, the latest first.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn versions(conn: &mut AsyncPgConnection) -> Result<Vec<Version>> {
    f::table
        .filter(f::name.like("calendars/%"))
        .order(f::number.desc())
        .select((f::name, f::digest, f::source, f::registered_at, f::number))
        .load(conn)
        .await
        .map_err(|error| query_failed("rule_files::versions", error))
}

/// Gives the number of the latest registration.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn latest(conn: &mut AsyncPgConnection) -> Result<i64> {
    diesel::select(sql::<BigInt>(LATEST))
        .get_result(conn)
        .await
        .map_err(|error| query_failed("rule_files::latest", error))
}

/// Gives the content of the event that registers a file.
#[must_use]
pub fn content(file: &RuleFile) -> Value {
    json!({ "name": file.name, "digest": hex(&digest(&file.text)) })
}

/// A registration without its text.
#[derive(Queryable)]
struct Registration {
    name: String,
    digest: Vec<u8>,
    registered_at: DateTime<Utc>,
    number: i64,
}

/// Gives every registration, the latest first.
async fn registrations(conn: &mut AsyncPgConnection) -> QueryResult<Vec<Registration>> {
    f::table
        .order(f::number.desc())
        .select((f::name, f::digest, f::registered_at, f::number))
        .load(conn)
        .await
}

/// Tells whether a file need not be registered: the latest of its name is the same, or, of a calendar, any.
fn is_registered(file: &RuleFile, known: &[Registration]) -> bool {
    let digest = digest(&file.text);
    let mut of_name = known.iter().filter(|one| one.name == file.name);
    if file.is_calendar() {
        of_name.any(|one| one.digest == digest)
    } else {
        of_name.next().is_some_and(|latest| latest.digest == digest)
    }
}

async fn insert(
    conn: &mut AsyncPgConnection,
    file: &RuleFile,
    before: Option<&Registration>,
    event: &PlainEvent,
) -> QueryResult<i64> {
    // The key has a later time each time, also where a clock was put back in between.
    let after = before.map(|before| before.registered_at + TimeDelta::microseconds(1));
    let number = diesel::insert_into(f::table)
        .values((
            f::name.eq(&file.name),
            f::digest.eq(&digest(&file.text)),
            f::source.eq(&file.text),
            f::registered_at.eq(after.map_or(event.at(), |after| after.max(event.at()))),
        ))
        .returning(f::number)
        .get_result(conn)
        .await?;
    events::insert(conn, event).await?;
    Ok(number)
}

async fn redate(conn: &mut AsyncPgConnection, number: i64, event: &PlainEvent) -> QueryResult<()> {
    let job = Job::Redate { number, round: 1, after: None, failed: 0 };
    jobs::insert(conn, &Scheduled { job, run_at: event.at() }, event.at()).await
}

/// Gives the event's kind: what sort of rules has changed.
fn kind(name: &str) -> &'static str {
    match name {
        "rates.toml" => "ratesChanged",
        "requisites.toml" => "requisitesChanged",
        "grounds.toml" => "groundsChanged",
        "retention.toml" => "retentionChanged",
        "templates.toml" => "templatesChanged",
        "restrictions.toml" => "restrictionsChanged",
        _ => CALENDAR_CHANGED,
    }
}

/// Gives the SHA-256 of a file.
pub(super) fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}
