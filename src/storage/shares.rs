//! The table of share codes, by digest; and who used them, which is in the log.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods as _, QueryDsl as _, Queryable, QueryableByName};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde::Deserialize;
use uuid::Uuid;

use super::events::{self, PlainEvent};
use super::query_failed;
use super::schema::{events as e, shares as s};
use crate::domain::share::MOST;
use crate::error::{Error, Result};

/// The kind of the event of each use.
pub const SHOWN: &str = "permitShown";

/// How many uses are listed.
const LISTED: i64 = 200;

/// A code to be kept.
#[derive(Debug, Clone)]
pub struct NewShare<'a> {
    /// Id.
    pub id: Uuid,
    /// The application whose permit it shows.
    pub application: Uuid,
    /// SHA-256 of the code.
    pub digest: [u8; 32],
    /// For whom, in the holder's words.
    pub label: &'a str,
    /// Whether it can be used once.
    pub once: bool,
    /// When it is made.
    pub made_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// A code as its holder sees it.
#[derive(Debug, Clone, Queryable)]
pub struct ShareRow {
    /// Id.
    pub id: Uuid,
    /// For whom.
    pub label: String,
    /// Whether it can be used once.
    pub once: bool,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// How often it was used.
    pub views: i32,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// What a code opened.
#[derive(Debug, Clone, QueryableByName)]
pub struct Opened {
    /// The code's id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The application whose permit is shown.
    #[diesel(sql_type = SqlUuid)]
    pub application_id: Uuid,
    /// Its unit's code.
    #[diesel(sql_type = Text)]
    pub unit_code: String,
    /// For whom the code was made.
    #[diesel(sql_type = Text)]
    pub label: String,
}

/// A use of a code: what who used it said of himself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// When.
    #[serde(skip)]
    pub at: DateTime<Utc>,
    /// The code's id.
    pub share: Uuid,
    /// For whom it was made.
    pub label: String,
    /// Who looked, as he said.
    pub viewer: String,
    /// What for, as he said.
    pub stated_purpose: String,
}

/// Keeps a code and the event of it; `false` when so many of the permit's codes can be used already, or it is erased.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn insert(
    conn: &mut AsyncPgConnection,
    share: &NewShare<'_>,
    event: &PlainEvent,
) -> Result<bool> {
    let insert = "INSERT INTO shares (id, application_id, digest, label, once, made_at, expires_at) \
                  SELECT $2, a.id, $3, $4, $5, $6, $7 FROM \
                  (SELECT id FROM applications WHERE id = $1 AND erased_at IS NULL FOR SHARE) a \
                  WHERE (SELECT count(*) FROM shares s WHERE s.application_id = $1 AND s.revoked_at IS NULL \
                      AND s.expires_at > $6 AND NOT (s.once AND s.views > 0)) < $8";
    let work = async |conn: &mut AsyncPgConnection| {
        let inserted = diesel::sql_query(insert)
            .bind::<SqlUuid, _>(share.application)
            .bind::<SqlUuid, _>(share.id)
            .bind::<Binary, _>(&share.digest[..])
            .bind::<Text, _>(share.label)
            .bind::<Bool, _>(share.once)
            .bind::<Timestamptz, _>(share.made_at)
            .bind::<Timestamptz, _>(share.expires_at)
            .bind::<BigInt, _>(MOST)
            .execute(conn)
            .await?;
        if inserted > 0 {
            events::insert(conn, event).await?;
        }
        Ok::<_, diesel::result::Error>(inserted > 0)
    };
    conn.transaction(work).await.map_err(|error| query_failed("shares::insert", error))
}

/// Lists the codes of an application that are still kept, the newest first.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn list(conn: &mut AsyncPgConnection, application: Uuid) -> Result<Vec<ShareRow>> {
    s::table
        .filter(s::application_id.eq(application))
        .order((s::made_at.desc(), s::id.desc()))
        .select((s::id, s::label, s::once, s::made_at, s::expires_at, s::views, s::revoked_at))
        .load(conn)
        .await
        .map_err(|error| query_failed("shares::list", error))
}

/// Lists who used the codes of an application, the latest first; as many as fit on a page.
///
/// # Errors
/// [`Error::Corrupt`] when an event does not decode.
pub async fn list_looks(conn: &mut AsyncPgConnection, application: Uuid) -> Result<Vec<Look>> {
    let rows: Vec<(DateTime<Utc>, Option<String>)> = e::table
        .filter(e::application_id.eq(application))
        .filter(e::kind.eq(SHOWN))
        .order(e::id.desc())
        .limit(LISTED)
        .select((e::at, e::content))
        .load(conn)
        .await
        .map_err(|error| query_failed("shares::list_looks", error))?;
    let decode = |(at, content): (DateTime<Utc>, Option<String>)| {
        // What is erased says nothing any more.
        let content = content?;
        let look = serde_json::from_str::<Look>(&content).map(|look| Look { at, ..look });
        let row = application.to_string();
        Some(look.map_err(|_| Error::Corrupt { table: "events", column: "content", row }))
    };
    rows.into_iter().filter_map(decode).collect()
}

#[derive(QueryableByName)]
struct Revoked {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    before: Option<DateTime<Utc>>,
}

/// Revokes a code of an application, with the event of it the first time; `false` when there is no such code.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn revoke(
    conn: &mut AsyncPgConnection,
    application: Uuid,
    share: Uuid,
    event: &PlainEvent,
) -> Result<bool> {
    let revoke = "UPDATE shares SET revoked_at = coalesce(shares.revoked_at, $3) \
                  FROM (SELECT id, revoked_at FROM shares WHERE id = $1 AND application_id = $2 FOR UPDATE) b \
                  WHERE shares.id = b.id RETURNING b.revoked_at AS before";
    let work = async |conn: &mut AsyncPgConnection| {
        let revoked: Vec<Revoked> = diesel::sql_query(revoke)
            .bind::<SqlUuid, _>(share)
            .bind::<SqlUuid, _>(application)
            .bind::<Timestamptz, _>(event.at())
            .load(conn)
            .await?;
        if revoked.iter().any(|one| one.before.is_none()) {
            events::insert(conn, event).await?;
        }
        Ok::<_, diesel::result::Error>(!revoked.is_empty())
    };
    conn.transaction(work).await.map_err(|error| query_failed("shares::revoke", error))
}

/// Uses a code: counts it and writes the event that `tell` makes of it, both or neither; `None` for a code that is unknown,
/// used up, ended or revoked, and for another's date of birth.
///
/// One look at one index, whatever is wrong. Of two who use a code at a moment that can be used once, one gets nothing: the
/// second waits for the row and then finds it used.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn open(
    conn: &mut AsyncPgConnection,
    digest: [u8; 32],
    birth_date: NaiveDate,
    now: DateTime<Utc>,
    tell: impl FnOnce(&Opened) -> PlainEvent + Send,
) -> Result<Option<Opened>> {
    let open = "UPDATE shares s SET views = s.views + 1 FROM applications a \
                WHERE s.digest = $1 AND a.id = s.application_id AND a.birth_date = $2 AND a.erased_at IS NULL \
                AND s.revoked_at IS NULL AND s.expires_at > $3 AND NOT (s.once AND s.views > 0) \
                RETURNING s.id, s.application_id, a.unit_code, s.label";
    let work = async |conn: &mut AsyncPgConnection| {
        let opened: Vec<Opened> = diesel::sql_query(open)
            .bind::<Binary, _>(&digest[..])
            .bind::<Date, _>(birth_date)
            .bind::<Timestamptz, _>(now)
            .load(conn)
            .await?;
        let Some(opened) = opened.into_iter().next() else { return Ok(None) };
        events::insert(conn, &tell(&opened)).await?;
        Ok::<_, diesel::result::Error>(Some(opened))
    };
    conn.transaction(work).await.map_err(|error| query_failed("shares::open", error))
}

/// Removes the codes that ended before `older_than`, and says how many. Who used them stays in the log.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn prune(conn: &mut AsyncPgConnection, older_than: DateTime<Utc>) -> Result<usize> {
    diesel::delete(s::table.filter(s::expires_at.lt(older_than)))
        .execute(conn)
        .await
        .map_err(|error| query_failed("shares::prune", error))
}
