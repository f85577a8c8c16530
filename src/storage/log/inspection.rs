//! The log as somebody reads it who verifies all of it and trusts no row.

use diesel::prelude::{
    ExpressionMethods as _, JoinOnDsl as _, NullableExpressionMethods as _, OptionalExtension as _,
    QueryDsl as _, QueryableByName,
};
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use uuid::Uuid;

use super::super::query_failed;
use super::super::schema::{events as e, log_checkpoints as c, log_leaves as l, log_tiles as t};
use super::{CheckpointRow, ENTRIES, Entry, EntryRow, LEAF, signed, unsigned};
use crate::error::Result;

/// Lets a connection see the log as it is now, whatever is appended, until [`thaw`].
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn freeze(conn: &mut AsyncPgConnection) -> Result<()> {
    conn.batch_execute(
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0",
    )
    .await
    .map_err(|error| query_failed("log::freeze", error))
}

/// Ends what [`freeze`] began.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn thaw(conn: &mut AsyncPgConnection) -> Result<()> {
    conn.batch_execute("COMMIT").await.map_err(|error| query_failed("log::thaw", error))
}

/// A row of the leaves, with its event.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The number.
    pub index: u64,
    /// The event that it is given to.
    pub event: Uuid,
    /// The event; `None` where there is no such row.
    pub entry: Option<Entry>,
}

/// Lists the rows of the leaves from the number `from` on, with their events: for who verifies.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails, [`crate::error::Error::Corrupt`] when a row does not make a leaf.
pub async fn numbered(
    conn: &mut AsyncPgConnection,
    from: u64,
    limit: i64,
) -> Result<Vec<Numbered>> {
    let rows: Vec<(i64, Uuid, Option<EntryRow>)> = l::table
        .left_join(e::table.on(e::id.eq(l::event_id)))
        .filter(l::index.ge(signed(from)?))
        .order(l::index)
        .limit(limit)
        .select((
            l::index,
            l::event_id,
            (
                LEAF,
                l::index.nullable(),
                (
                    e::actor_id,
                    e::actor_role,
                    e::application_id,
                    e::command,
                    e::from_state,
                    e::to_state,
                ),
                (e::purpose, e::subjects, e::content, e::salt),
            )
                .nullable(),
        ))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::numbered", error))?;
    rows.into_iter()
        .map(|(index, event, entry)| {
            let entry = entry.map(EntryRow::decode).transpose()?;
            Ok(Numbered { index: unsigned(index), event, entry })
        })
        .collect()
}

/// Lists full tiles of a level, `None` for the bundles of entries, from `first` on, `count` at most, with their roots.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn tiles(
    conn: &mut AsyncPgConnection,
    level: Option<u8>,
    first: u64,
    count: u64,
) -> Result<Vec<(u64, Vec<u8>, Option<Vec<u8>>)>> {
    let rows: Vec<(i64, Vec<u8>, Option<Vec<u8>>)> = t::table
        .filter(t::level.eq(level.map_or(ENTRIES, i16::from)))
        .filter(t::index.ge(signed(first)?))
        .filter(t::index.lt(signed(first + count)?))
        .order(t::index)
        .select((t::index, t::bytes, t::root))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::tiles", error))?;
    Ok(rows.into_iter().map(|(index, bytes, root)| (unsigned(index), bytes, root)).collect())
}

/// Counts the full tiles of all levels.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn count_tiles(conn: &mut AsyncPgConnection) -> Result<u64> {
    t::table
        .count()
        .get_result(conn)
        .await
        .map(unsigned)
        .map_err(|error| query_failed("log::count_tiles", error))
}

/// Lists checkpoints in the order of their signing, after the number `after`.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn checkpoints(
    conn: &mut AsyncPgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<CheckpointRow>> {
    c::table
        .filter(c::id.gt(after))
        .order(c::id)
        .limit(limit)
        .load(conn)
        .await
        .map_err(|error| query_failed("log::checkpoints", error))
}

/// What an event in the log says that it erased.
#[derive(Debug, Clone)]
pub struct Erased {
    /// The number of that event.
    pub by: u64,
    /// The application, and single events about none.
    pub what: Vec<Uuid>,
}

/// Lists what was erased.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn erased(conn: &mut AsyncPgConnection) -> Result<Vec<Erased>> {
    #[derive(serde::Deserialize)]
    struct Content {
        #[serde(default)]
        receipts: Vec<Uuid>,
    }
    let rows: Vec<(i64, Option<Uuid>, Option<String>)> = e::table
        .inner_join(l::table.on(l::event_id.eq(e::id)))
        .filter(e::kind.eq(ERASED))
        .select((l::index, e::application_id, e::content))
        .load(conn)
        .await
        .map_err(|error| query_failed("log::erased", error))?;
    let rows = rows.into_iter().filter_map(|(by, application, content)| {
        // One that does not read says nothing; what it should have said is then missing, and named.
        let content: Content = serde_json::from_str(&content?).ok()?;
        let what = application.into_iter().chain(content.receipts).collect();
        Some(Erased { by: unsigned(by), what })
    });
    Ok(rows.collect())
}

/// Finds the number of the first checkpoint of at least `size` leaves.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn first_checkpoint(conn: &mut AsyncPgConnection, size: u64) -> Result<Option<i64>> {
    c::table
        .filter(c::size.ge(signed(size)?))
        .order((c::size, c::id))
        .select(c::id)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::first_checkpoint", error))
}

/// The kind of the event that tells of an erasure.
pub const ERASED: &str = "erased";

/// Finds an event without a number although the sequencer has taken what its transaction committed, or never will.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_unnumbered(conn: &mut AsyncPgConnection) -> Result<Option<Uuid>> {
    e::table
        .left_join(l::table.on(l::event_id.eq(e::id)))
        .filter(l::index.is_null())
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(
            "((xact < (SELECT next_xact FROM log_position) \
               AND xact <> ALL((SELECT open FROM log_position)::bigint[])) \
              OR xact >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)",
        ))
        .order(e::id)
        .select(e::id)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("log::find_unnumbered", error))
}

/// What must follow from events, and what is said of a row that does not; each gives the row's name, or nothing.
const UNFOUNDED: [(&str, &str); 8] = [
    (
        "SELECT e.application_id::text AS it FROM events e WHERE e.seq = 1 \
         AND NOT EXISTS (SELECT FROM applications a WHERE a.id = e.application_id) LIMIT 1",
        "events tell of an application that is gone:",
    ),
    (
        "SELECT a.id::text AS it FROM applications a WHERE a.erased_at IS NOT NULL AND NOT EXISTS \
         (SELECT FROM events e JOIN log_leaves l ON l.event_id = e.id WHERE e.application_id = a.id \
          AND e.kind = 'erased' AND e.content IS NOT NULL) LIMIT 1",
        "an application is said to be erased, and no event says so:",
    ),
    // The latest event by its time, and of one instant by its transaction: ids of one millisecond are in no order.
    (
        "WITH last AS (SELECT DISTINCT ON (1) e.content::jsonb ->> 'account' AS account, \
         e.content::jsonb ->> 'role' AS role FROM events e \
         WHERE e.kind IN ('accountAdded', 'accountChanged') ORDER BY 1, e.at DESC, e.xact DESC) \
         SELECT a.id::text AS it FROM accounts a LEFT JOIN last ON last.account = a.id::text \
         WHERE last.role IS DISTINCT FROM a.role LIMIT 1",
        "an account has a role that no event gave it:",
    ),
    (
        "WITH last AS (SELECT DISTINCT ON (1) e.content::jsonb ->> 'account' AS account, \
         CASE e.kind WHEN 'accountAdded' THEN e.unit_code ELSE e.content::jsonb ->> 'unit' END AS unit \
         FROM events e WHERE e.kind IN ('accountAdded', 'accountChanged') \
         ORDER BY 1, e.at DESC, e.xact DESC) \
         SELECT a.id::text AS it FROM accounts a LEFT JOIN last ON last.account = a.id::text \
         WHERE last.unit IS DISTINCT FROM a.unit_code LIMIT 1",
        "an account is in an office that no event put it in:",
    ),
    // A migrant's account goes with his last application; the event of that erasure stands for its end.
    (
        "WITH last AS (SELECT DISTINCT ON (1) e.content::jsonb ->> 'account' AS account, \
         e.kind = 'accountDisabled' AS disabled FROM events e \
         WHERE e.kind IN ('accountDisabled', 'accountEnabled') ORDER BY 1, e.at DESC, e.xact DESC) \
         SELECT a.id::text AS it FROM accounts a LEFT JOIN last ON last.account = a.id::text \
         WHERE coalesce(last.disabled, false) <> (a.disabled_at IS NOT NULL) \
         AND NOT (a.disabled_at IS NOT NULL AND a.role = 'migrant' AND EXISTS \
          (SELECT FROM applications p WHERE p.applicant_id = a.id AND p.erased_at IS NOT NULL)) LIMIT 1",
        "an account can be logged in with, or not, against the last event about that:",
    ),
    (
        "SELECT u.code AS it FROM units u WHERE NOT EXISTS (SELECT FROM events e \
         WHERE e.kind = 'unitAdded' AND e.unit_code = u.code) LIMIT 1",
        "an office was added by no event:",
    ),
    (
        "SELECT r.name AS it FROM rule_files r WHERE sha256(convert_to(r.source, 'UTF8')) <> r.digest \
         OR NOT EXISTS (SELECT FROM events e WHERE e.kind LIKE '%Changed' \
         AND e.content::jsonb ->> 'name' = r.name \
         AND e.content::jsonb ->> 'digest' = encode(r.digest, 'hex')) LIMIT 1",
        "a file of rules is not the one that an event registered:",
    ),
    (
        "SELECT w.track || ' ' || w.version AS it FROM workflow_definitions w \
         WHERE sha256(convert_to(w.source, 'UTF8')) <> w.digest OR NOT EXISTS (SELECT FROM events e \
         WHERE e.kind = 'definitionRegistered' AND e.content::jsonb ->> 'track' = w.track \
         AND (e.content::jsonb ->> 'version')::integer = w.version \
         AND e.content::jsonb ->> 'digest' = encode(w.digest, 'hex')) LIMIT 1",
        "a definition is not the one that an event registered:",
    ),
];

/// Finds a row that no event accounts for, and says which, in words.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn find_unfounded(conn: &mut AsyncPgConnection) -> Result<Option<String>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        it: String,
    }
    for (query, words) in UNFOUNDED {
        let found: Option<Row> = diesel::sql_query(query)
            .get_result(conn)
            .await
            .optional()
            .map_err(|error| query_failed("log::find_unfounded", error))?;
        if let Some(row) = found {
            return Ok(Some(format!("{words} {}", row.it)));
        }
    }
    Ok(None)
}
