//! Erasure: which applications can be meant, and the one transaction that takes a person's data out.
//!
//! What exactly goes is said once, by the database's function `erase_application`. Nobody but `casework` calls
//! [`erase`], which does not know any term.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::dsl::sql;
use diesel::sql_types::{Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, NullableExpressionMethods as _,
    QueryDsl as _, QueryableByName,
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde_json::json;
use uuid::Uuid;

use super::accounts::Failure;
use super::events::{self, PlainEvent};
use super::schema::{applications as a, papers, permits as p, units as u};
use super::{jobs, query_failed};
use crate::domain::event::{Job, Scheduled};
use crate::domain::rules::retention::Outcome;
use crate::domain::workflow::definition::Phase;
use crate::error::{Error, Result};

/// Whose data is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// One application, erased or not.
    Application(Uuid),
    /// Every application of a person, by [`crate::domain::form::person_key`]; what is erased is nobody's.
    Person(&'a str),
}

/// An application with what its erasure depends on.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    pub reference: String,
    /// Track.
    pub track: String,
    /// Unit's code.
    pub unit: String,
    /// The unit's time zone.
    pub time_zone: Tz,
    /// State.
    pub state: String,
    /// Whether the state is a final one.
    pub closed: bool,
    /// When the state was entered.
    pub state_since: DateTime<Utc>,
    /// What was decided, so far.
    pub outcome: Outcome,
    /// The last day of the permit's term.
    pub permit_ends_on: Option<NaiveDate>,
    /// When it was erased.
    pub erased_at: Option<DateTime<Utc>>,
    /// Citizenship and passport number.
    pub person_key: Option<String>,
    /// The worker's name.
    pub person_name: Option<String>,
}

/// One application to erase.
#[derive(Debug, Clone)]
pub struct Order {
    /// The application.
    pub application: Uuid,
    /// On what basis; it stays, so it names nobody.
    pub basis: String,
    /// The event of it, about the application; its instant is when it was erased.
    pub event: PlainEvent,
}

/// The place of a closed application in the order of [`list_closed`].
pub type Place = (DateTime<Utc>, Uuid);

type Columns = (
    (a::id, a::reference, a::track, a::unit_code, a::state, a::phase, a::state_since),
    (a::erased_at, a::person_key, a::person_name),
);
const COLUMNS: Columns = (
    (a::id, a::reference, a::track, a::unit_code, a::state, a::phase, a::state_since),
    (a::erased_at, a::person_key, a::person_name),
);

/// As the index of closed applications has it.
const OUTCOME: &str = "coalesce(applications.decision ->> 'outcome', 'undecided')";

type Row = (
    (
        (Uuid, String, String, String, String, String, DateTime<Utc>),
        (Option<DateTime<Utc>>, Option<String>, Option<String>),
    ),
    String,
    Option<NaiveDate>,
    String,
);

fn decode(row: Row) -> Result<Candidate> {
    let ((head, rest), outcome, permit_ends_on, time_zone) = row;
    let (id, reference, track, unit, state, phase, state_since) = head;
    let (erased_at, person_key, person_name) = rest;
    let corrupt = |table: &'static str, column: &'static str| Error::Corrupt {
        table,
        column,
        row: id.to_string(),
    };
    let phase = Phase::parse(&phase).ok_or_else(|| corrupt("applications", "phase"))?;
    Ok(Candidate {
        id,
        reference,
        track,
        unit,
        time_zone: time_zone.parse().map_err(|_| corrupt("units", "time_zone"))?,
        state,
        closed: phase == Phase::Closed,
        state_since,
        outcome: Outcome::parse(&outcome).ok_or_else(|| corrupt("applications", "decision"))?,
        permit_ends_on,
        erased_at,
        person_key,
        person_name,
    })
}

/// Finds the applications that are meant, in the order of their ids. Takes no lock.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn list(conn: &mut AsyncPgConnection, whose: Whose<'_>) -> Result<Vec<Candidate>> {
    let mut query = a::table
        .inner_join(u::table)
        .left_join(p::table)
        .select((COLUMNS, sql::<Text>(OUTCOME), p::ends_on.nullable(), u::time_zone))
        .order(a::id)
        .into_boxed();
    query = match whose {
        Whose::Application(id) => query.filter(a::id.eq(id)),
        Whose::Person(key) => query.filter(a::person_key.eq(key)),
    };
    let rows: Vec<Row> =
        query.load(conn).await.map_err(|error| query_failed("erasure::list", error))?;
    rows.into_iter().map(decode).collect()
}

/// Lists closed applications of a track and outcome that are not erased and whose last state was entered before an
/// instant, the longest closed first, after the given place; and gives the place of the last, `None` where there is none.
///
/// A row that does not decode is logged and left out: it must not keep the others.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn list_closed(
    conn: &mut AsyncPgConnection,
    track: &str,
    outcome: Outcome,
    before: DateTime<Utc>,
    after: Option<Place>,
    limit: i64,
) -> Result<(Vec<Candidate>, Option<Place>)> {
    let mut query = a::table
        .inner_join(u::table)
        .left_join(p::table)
        .filter(a::phase.eq("closed").and(a::erased_at.is_null()))
        .filter(a::track.eq(track).and(sql::<Text>(OUTCOME).eq(outcome.name())))
        .filter(a::state_since.lt(before))
        .select((COLUMNS, sql::<Text>(OUTCOME), p::ends_on.nullable(), u::time_zone))
        .order((a::state_since, a::id))
        .limit(limit)
        .into_boxed();
    if let Some((at, id)) = after {
        // As one comparison, so that the index goes there and does not read what was seen.
        let later = sql::<Bool>("(applications.state_since, applications.id) > (");
        let later = later.bind::<Timestamptz, _>(at).sql(", ").bind::<SqlUuid, _>(id).sql(")");
        query = query.filter(later);
    }
    let rows: Vec<Row> =
        query.load(conn).await.map_err(|error| query_failed("erasure::list_closed", error))?;
    let last = rows.last().map(|(((id, .., state_since), _), ..)| (*state_since, *id));
    let decoded = rows.into_iter().filter_map(|row| {
        decode(row)
            .inspect_err(|error| tracing::error!(%error, "cannot tell whether to erase"))
            .ok()
    });
    Ok((decoded.collect(), last))
}

#[derive(QueryableByName)]
struct Gone {
    #[diesel(sql_type = Nullable<Text>)]
    freed_digest: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    emptied_event: Option<Uuid>,
}

/// Erases what `decide` orders of the applications that are meant, all of it in one transaction or nothing; gives what it
/// was and whether bytes of documents are left to delete.
///
/// The applications are locked, in the order of their ids, before `decide` sees them. Of each, the data goes first, then
/// its event comes, so that the event's own content stays, and a job for the documents that belong to nobody else and for the papers. Where
/// money was received for it that matched nothing, those events lose their content too, and the event names them as
/// `receipts`.
///
/// # Errors
/// Those of `decide`; [`Error::Internal`] when the database fails or refuses what was ordered.
pub async fn erase(
    conn: &mut AsyncPgConnection,
    whose: Whose<'_>,
    decide: impl FnOnce(&[Candidate]) -> Result<Vec<Order>> + Send,
) -> Result<(Vec<Candidate>, bool)> {
    let work = async |conn: &mut AsyncPgConnection| {
        let ids = a::table.select(a::id).order(a::id);
        let ids: Vec<Uuid> = match whose {
            Whose::Application(id) => ids.filter(a::id.eq(id)).for_update().load(conn).await?,
            Whose::Person(key) => ids.filter(a::person_key.eq(key)).for_update().load(conn).await?,
        };
        let mut candidates = list(conn, whose).await?;
        // Whatever came to be since the lock waits for its own turn.
        candidates.retain(|candidate| ids.contains(&candidate.id));
        let mut left = false;
        let orders = decide(&candidates)?;
        for order in &orders {
            left |= erase_one(conn, order).await?;
        }
        candidates.retain(|one| orders.iter().any(|order| order.application == one.id));
        Ok::<_, Failure>((candidates, left))
    };
    conn.transaction(work).await.map_err(|failure| match failure {
        Failure::Ours(error) => error,
        Failure::Diesel(error) => query_failed("erasure::erase", error),
    })
}

async fn erase_one(
    conn: &mut AsyncPgConnection,
    Order { application, basis, event }: &Order,
) -> Result<bool, diesel::result::Error> {
    // The rows go with the application: see the trigger `what_is_erased_has_no_papers`.
    let printed: Vec<String> = papers::table
        .filter(papers::application_id.eq(application))
        .select(papers::digest)
        .load(conn)
        .await?;
    let gone: Vec<Gone> = diesel::sql_query("SELECT * FROM erase_application($1, $2, $3)")
        .bind::<SqlUuid, _>(application)
        .bind::<Timestamptz, _>(event.at())
        .bind::<Text, _>(basis)
        .load(conn)
        .await?;
    let mut receipts: Vec<Uuid> = gone.iter().filter_map(|one| one.emptied_event).collect();
    receipts.sort_unstable();
    let mut event = event.clone();
    if !receipts.is_empty() {
        event = event.adding("receipts", json!(receipts));
    }
    events::insert(conn, &event).await?;
    let mut digests: Vec<String> = gone.into_iter().filter_map(|one| one.freed_digest).collect();
    digests.extend(printed);
    if digests.is_empty() {
        return Ok(false);
    }
    let job = Job::DeleteDocuments { application: *application, digests };
    jobs::insert(conn, &Scheduled { job, run_at: event.at() }, event.at()).await?;
    Ok(true)
}

/// Tells whether an application, or a paper of one, refers to bytes by their digest.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn is_referred_to(conn: &mut AsyncPgConnection, digest: &str) -> Result<bool> {
    let document = json!([{ "digest": digest }]);
    let holds = sql::<Bool>("documents @> ").bind::<Jsonb, _>(document);
    let handed_in = diesel::dsl::exists(a::table.filter(holds));
    let printed = diesel::dsl::exists(papers::table.filter(papers::digest.eq(digest)));
    diesel::select(handed_in.or(printed))
        .get_result(conn)
        .await
        .map_err(|error| query_failed("erasure::is_referred_to", error))
}
