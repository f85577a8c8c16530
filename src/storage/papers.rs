//! The table of papers: what was printed for which event. Their bytes lie in the blob store.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, Queryable};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::schema::{accounts, applications as a, papers as p};
use super::{Conn, query_failed};
use crate::domain::paper::PaperKind;
use crate::error::{Error, Result};

/// A paper that was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// The application.
    pub application: Uuid,
    /// Number within the application of the event that called for it.
    pub seq: i32,
    /// Its kind.
    pub kind: PaperKind,
    /// That event.
    pub event: Uuid,
    /// SHA-256 of the PDF, lower-case hexadecimal.
    pub digest: String,
    /// How many bytes it has.
    pub bytes: i64,
    /// When it was printed.
    pub made_at: DateTime<Utc>,
}

#[derive(Queryable)]
struct Row {
    application_id: Uuid,
    event_seq: i32,
    kind: String,
    event_id: Uuid,
    digest: String,
    bytes: i64,
    made_at: DateTime<Utc>,
}

impl Row {
    fn decode(self) -> Result<Paper> {
        let kind = PaperKind::parse(&self.kind).ok_or_else(|| Error::Corrupt {
            table: "papers",
            column: "kind",
            row: format!("{} {}", self.application_id, self.event_seq),
        })?;
        Ok(Paper {
            application: self.application_id,
            seq: self.event_seq,
            kind,
            event: self.event_id,
            digest: self.digest,
            bytes: self.bytes,
            made_at: self.made_at,
        })
    }
}

/// What keeping a paper came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    New,
    /// There is one for this event already.
    Known,
    /// The application was erased: nothing is kept of it.
    Erased,
}

/// Tells what would come of keeping a paper for this event now.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn standing(
    conn: &mut Conn,
    application: Uuid,
    kind: PaperKind,
    event: Uuid,
) -> Result<Kept> {
    let erased: Option<Option<DateTime<Utc>>> = a::table
        .find(application)
        .select(a::erased_at)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("papers::standing", error))?;
    if erased.is_none_or(|at| at.is_some()) {
        return Ok(Kept::Erased);
    }
    let known: Option<i32> = p::table
        .filter(p::application_id.eq(application))
        .filter(p::kind.eq(kind.name()))
        .filter(p::event_id.eq(event))
        .select(p::event_seq)
        .first(conn)
        .await
        .optional()
        .map_err(|error| query_failed("papers::standing", error))?;
    Ok(if known.is_some() { Kept::Known } else { Kept::New })
}

/// Keeps a paper, unless there is one for its event, or its application was or is just being erased.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn insert(conn: &mut Conn, paper: &Paper) -> Result<Kept> {
    // Whoever erases the application has locked its row: this waits, and then finds it erased.
    let insert = "INSERT INTO papers SELECT a.id, $2, $3, $4, $5, $6, $7 FROM \
                  (SELECT id FROM applications WHERE id = $1 AND erased_at IS NULL FOR SHARE) a \
                  ON CONFLICT DO NOTHING";
    let inserted = diesel::sql_query(insert)
        .bind::<SqlUuid, _>(paper.application)
        .bind::<Integer, _>(paper.seq)
        .bind::<Text, _>(paper.kind.name())
        .bind::<SqlUuid, _>(paper.event)
        .bind::<Text, _>(&paper.digest)
        .bind::<BigInt, _>(paper.bytes)
        .bind::<Timestamptz, _>(paper.made_at)
        .execute(conn)
        .await
        .map_err(|error| query_failed("papers::insert", error))?;
    match inserted {
        0 => standing(conn, paper.application, paper.kind, paper.event).await,
        _ => Ok(Kept::New),
    }
}

/// Lists the papers of an application, the newest first.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn list(conn: &mut Conn, application: Uuid) -> Result<Vec<Paper>> {
    let rows: Vec<Row> = p::table
        .filter(p::application_id.eq(application))
        .order((p::event_seq.desc(), p::kind.desc()))
        .load(conn)
        .await
        .map_err(|error| query_failed("papers::list", error))?;
    rows.into_iter().map(Row::decode).collect()
}

/// Gives the name of an account, for the line in which an officer signs.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn signatory(conn: &mut Conn, account: Uuid) -> Result<Option<String>> {
    let name = accounts::table.find(account).select(accounts::name).first(conn).await;
    name.optional().map_err(|error| query_failed("papers::signatory", error))
}
