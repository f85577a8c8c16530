//! Money that was received: what waits for an officer, and what is given back. What is booked on a charge is written
//! with the decision, by [`super::applications`].

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{
    Array, BigInt, Binary, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, OptionalExtension as _, QueryResult,
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::applications::KeptAnswer;
use super::events::{self, PlainEvent};
use super::schema::{idempotency_keys as k, payments as p};
use super::{Conn, query_failed};
use crate::clock::Clock;
use crate::domain::actor::Actor;
use crate::domain::event::sealed::Seal;
use crate::domain::fee::ledger::{Holding, PaymentStatus};
use crate::domain::fee::statement::Booked;
use crate::domain::fee::{Money, Payment, Uin};
use crate::error::{Error, Result};

/// Who proposed, confirmed and sent a refund, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Who proposed it.
    pub proposed_by: Uuid,
    /// When.
    pub proposed_at: DateTime<Utc>,
    /// Why; gone with the payer's data when these are erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The second officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<Uuid>,
    /// When he agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Number of the payment order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// When the payer had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
}

/// A payment as it is kept.
#[derive(Debug, Clone)]
pub struct KeptPayment {
    /// Id.
    pub id: Uuid,
    /// The provider's id.
    pub provider_id: String,
    /// What was quoted, as it was given.
    pub quoted: Option<String>,
    /// When it was paid.
    pub paid_at: DateTime<Utc>,
    /// When we were told.
    pub received_at: DateTime<Utc>,
    /// The payer as stated.
    pub payer: Option<String>,
    /// The payer's document as stated.
    pub payer_document: Option<String>,
    /// The KBK as stated.
    pub kbk: Option<String>,
    /// The amount that was received.
    pub amount: Money,
    /// Where it is.
    pub holding: Holding,
    /// Its version: the ETag.
    pub version: i32,
    /// The refund that is under way, or was made.
    pub refund: Option<Refund>,
    /// The charge that it is booked on.
    pub charge: Option<Uuid>,
    /// That charge's application and its unit.
    pub application: Option<(Uuid, String)>,
}

impl KeptPayment {
    /// Gives the payment as it was told.
    #[must_use]
    pub fn as_told(&self) -> Payment {
        let uin = self.quoted.as_deref().and_then(|quoted| Uin::parse(quoted).ok());
        Payment {
            provider_id: self.provider_id.clone(),
            stated_uin: self.quoted.clone().filter(|_| uin.is_none()),
            uin,
            amount: self.amount,
            paid_at: self.paid_at,
            payer: self.payer.clone(),
            payer_document: self.payer_document.clone(),
            kbk: self.kbk.clone(),
            matched: None,
        }
    }
}

type Columns = (
    (Uuid, String, Option<String>, DateTime<Utc>, DateTime<Utc>),
    (Option<String>, Option<String>, Option<String>, Option<Uuid>),
    (i64, i64, i64, i64, String, i32, Option<Value>),
    (Option<Uuid>, Option<String>),
);

const COLUMNS: &str = "SELECT p.id, p.provider_id, p.uin, p.paid_at, p.received_at, p.payer, p.payer_document, p.kbk, \
    p.charge_id, p.amount_kopecks, p.matched_kopecks, p.waiting_kopecks, p.refunded_kopecks, p.status, p.version, \
    p.refund, a.id, a.unit_code FROM payments p LEFT JOIN charges c ON c.id = p.charge_id \
    LEFT JOIN applications a ON a.id = c.application_id WHERE ";

fn decode(columns: Columns) -> Result<KeptPayment> {
    let (
        (id, provider_id, quoted, paid_at, received_at),
        (payer, payer_document, kbk, charge),
        (amount, matched, waiting, refunded, status, version, refund),
        application,
    ) = columns;
    let corrupt = |column| Error::Corrupt { table: "payments", column, row: id.to_string() };
    let refund: Option<Refund> =
        refund.map(serde_json::from_value).transpose().map_err(|_| corrupt("refund"))?;
    let money = |kopecks| Money::from_kopecks(kopecks).ok_or_else(|| corrupt("amount_kopecks"));
    let holding = Holding::stored(
        money(matched)?,
        money(waiting)?,
        money(refunded)?,
        PaymentStatus::parse(&status).ok_or_else(|| corrupt("status"))?,
        refund.as_ref().map(|refund| refund.proposed_by),
    );
    Ok(KeptPayment {
        id,
        provider_id,
        quoted,
        paid_at,
        received_at,
        payer,
        payer_document,
        kbk,
        amount: money(amount)?,
        holding: holding.ok_or_else(|| corrupt("status"))?,
        version,
        refund,
        charge,
        application: application.0.zip(application.1),
    })
}

/// Finds a payment.
///
/// # Errors
/// [`Error::Corrupt`] when the row does not decode.
pub async fn find(conn: &mut Conn, id: Uuid) -> Result<Option<KeptPayment>> {
    let row: Option<Columns> = (Find { id })
        .get_result(conn)
        .await
        .optional()
        .map_err(|e| query_failed("payments::find", e))?;
    row.map(decode).transpose()
}

/// Lists the payments of a status, oldest first, after the given place.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn list(
    conn: &mut Conn,
    status: PaymentStatus,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<KeptPayment>> {
    let (at, id) = after.unwrap_or((DateTime::UNIX_EPOCH, Uuid::nil()));
    let query = List { status: status.name(), at, id, limit };
    let rows: Vec<Columns> =
        query.load(conn).await.map_err(|e| query_failed("payments::list", e))?;
    rows.into_iter().map(decode).collect()
}

/// The most payments that are looked at when a charge is made.
const AT_ONCE: i64 = 100;

/// Lists what waits and may be for one of these charges, each a UIN and a KBK: it quotes the UIN, or it names the KBK and
/// the document, as [`crate::domain::lookup::number`] writes it.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn list_for(
    conn: &mut Conn,
    charges: &[(&str, &str)],
    document: Option<&str>,
) -> Result<Vec<KeptPayment>> {
    let (uins, kbks): (Vec<&str>, Vec<&str>) = charges.iter().copied().unzip();
    let rows: Vec<Columns> = (ListFor { uins, kbks, document })
        .load(conn)
        .await
        .map_err(|e| query_failed("payments::list_for", e))?;
    rows.into_iter().map(decode).collect()
}

/// A step of a refund, to be written with its event.
#[derive(Debug)]
pub struct RefundStep<'a> {
    /// The payment as it was seen.
    pub seen: &'a KeptPayment,
    /// Where its money is afterwards.
    pub holding: Holding,
    /// The refund afterwards; `None` where there is none any more.
    pub refund: Option<Refund>,
    /// What the log says.
    pub event: PlainEvent,
    /// The answer to keep for a repeated request.
    pub answer: KeptAnswer,
}

/// What became of a [`RefundStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// It is written.
    Written,
    /// The payment has changed since it was seen; nothing was written.
    LostRace,
    /// The idempotency key was used meanwhile; nothing was written.
    KeyUsed,
}

/// Writes a step of a refund, its event and the kept answer in one transaction.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn step_refund(conn: &mut AsyncPgConnection, step: &RefundStep<'_>) -> Result<Stepped> {
    let work = async |conn: &mut AsyncPgConnection| -> Result<bool, DieselError> {
        let [matched, waiting, refunded] = step.holding.parts().map(Money::kopecks);
        let refund = step.refund.as_ref().map(serde_json::to_value).transpose();
        let refund = refund.map_err(|error| DieselError::SerializationError(Box::new(error)))?;
        // What belongs to an application is emptied with it; of what belongs to none the payment has to know.
        let known = step.seen.application.is_none().then(|| vec![step.event.id()]);
        let written = diesel::update(p::table)
            .filter(p::id.eq(step.seen.id).and(p::version.eq(step.seen.version)))
            .set((
                p::version.eq(p::version + 1),
                p::status.eq(step.holding.status().name()),
                p::matched_kopecks.eq(matched),
                p::waiting_kopecks.eq(waiting),
                p::refunded_kopecks.eq(refunded),
                p::refund.eq(refund),
                p::events.eq(sql::<Array<SqlUuid>>("events || ")
                    .bind::<Array<SqlUuid>, _>(known.unwrap_or_default())),
            ))
            .execute(conn)
            .await?;
        if written == 0 {
            return Ok(false);
        }
        events::insert(conn, &step.event).await?;
        let KeptAnswer { account, key, fingerprint, status, etag, location, body } = &step.answer;
        diesel::insert_into(k::table)
            .values((
                k::account_id.eq(account),
                k::key.eq(key),
                k::fingerprint.eq(fingerprint),
                k::status.eq(status),
                k::etag.eq(etag),
                k::location.eq(location),
                k::body.eq(body),
                k::created_at.eq(step.event.at()),
            ))
            .execute(conn)
            .await?;
        Ok(true)
    };
    match conn.transaction(work).await {
        Ok(true) => Ok(Stepped::Written),
        Ok(false) => Ok(Stepped::LostRace),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, violation))
            if violation.constraint_name() == Some("idempotency_keys_pkey") =>
        {
            Ok(Stepped::KeyUsed)
        }
        Err(error) => Err(query_failed("payments::step_refund", error)),
    }
}

/// Makes the event of a payment that matches nothing.
#[must_use]
pub fn received(clock: &dyn Clock, payment: &Payment) -> PlainEvent {
    let content = json!({ "actor": Actor::Payments, "payment": payment });
    PlainEvent::now(clock, "paymentReceived", Actor::Payments.role_name(), content)
}

/// Records a payment that matches nothing, with its event, in one statement; `false` when it was known.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn insert_waiting(
    conn: &mut Conn,
    id: Uuid,
    payment: &Payment,
    event: &PlainEvent,
) -> Result<bool> {
    let statement = InsertWaiting {
        id,
        event: event.id(),
        seal: event.seal()?,
        provider_id: &payment.provider_id,
        quoted: payment.quoted(),
        amount: payment.amount.kopecks(),
        paid_at: payment.paid_at,
        payer: [&payment.payer, &payment.payer_document, &payment.kbk],
        now: event.at(),
    };
    let (inserted,): (i64,) = statement
        .get_result(conn)
        .await
        .map_err(|e| query_failed("payments::insert_waiting", e))?;
    Ok(inserted == 1)
}

/// Gives what the provider told of between two instants, and whatever has one of these ids; not what officers recorded.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn told_between(
    conn: &mut AsyncPgConnection,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    ids: &[String],
) -> Result<Vec<Booked>> {
    use diesel::{PgTextExpressionMethods as _, QueryDsl as _};
    let rows: Vec<(String, Option<String>, i64, DateTime<Utc>)> = p::table
        .filter(p::provider_id.not_ilike("counter:%"))
        .filter(p::paid_at.ge(from).and(p::paid_at.lt(to)).or(p::provider_id.eq_any(ids)))
        .order((p::paid_at, p::id))
        .select((p::provider_id, p::uin, p::amount_kopecks, p::paid_at))
        .load(conn)
        .await
        .map_err(|e| query_failed("payments::told_between", e))?;
    rows.into_iter()
        .map(|(provider_id, uin, kopecks, paid_at)| {
            let amount = Money::from_kopecks(kopecks).ok_or_else(|| Error::Corrupt {
                table: "payments",
                column: "amount_kopecks",
                row: provider_id.clone(),
            })?;
            Ok(Booked { provider_id, uin, amount, paid_at })
        })
        .collect()
}

/// How much money waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, diesel::QueryableByName)]
pub struct WaitingMoney {
    /// All of it, in kopecks.
    #[diesel(sql_type = BigInt)]
    pub kopecks: i64,
    /// When the oldest of it was received.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub oldest: Option<DateTime<Utc>>,
    /// How many payments quote a charge that is open.
    #[diesel(sql_type = BigInt)]
    pub quoting_open: i64,
}

/// Sums up the money that waits.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn waiting_money(conn: &mut AsyncPgConnection) -> Result<WaitingMoney> {
    let sums = "SELECT coalesce(sum(p.waiting_kopecks), 0)::bigint AS kopecks, min(p.received_at) AS oldest, \
                count(c.id) AS quoting_open FROM payments p \
                LEFT JOIN charges c ON c.uin = p.uin AND c.status = 'open' AND p.charge_id IS NULL \
                WHERE p.status = 'waiting'";
    diesel::sql_query(sums)
        .get_result(conn)
        .await
        .map_err(|e| query_failed("payments::waiting_money", e))
}

struct Find {
    id: Uuid,
}

impl QueryId for Find {
    type QueryId = Find;
}

impl Query for Find {
    type SqlType = Shape;
}

type Shape = (
    (SqlUuid, Text, Nullable<Text>, Timestamptz, Timestamptz),
    (Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<SqlUuid>),
    (BigInt, BigInt, BigInt, BigInt, Text, Integer, Nullable<Jsonb>),
    (Nullable<SqlUuid>, Nullable<Text>),
);

impl QueryFragment<Pg> for Find {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(COLUMNS);
        out.push_sql("p.id = ");
        out.push_bind_param::<SqlUuid, _>(&self.id)
    }
}

struct ListFor<'a> {
    uins: Vec<&'a str>,
    kbks: Vec<&'a str>,
    document: Option<&'a str>,
}

impl QueryId for ListFor<'_> {
    type QueryId = ListFor<'static>;
}

impl Query for ListFor<'_> {
    type SqlType = Shape;
}

impl QueryFragment<Pg> for ListFor<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(COLUMNS);
        out.push_sql("p.status = 'waiting' AND p.charge_id IS NULL AND (p.uin = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.uins)?;
        out.push_sql(") OR (lower(regexp_replace(p.payer_document, '[^a-zA-Z0-9]', '', 'g')) = ");
        out.push_bind_param::<Nullable<Text>, _>(&self.document)?;
        out.push_sql(" AND p.kbk = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.kbks)?;
        out.push_sql("))) ORDER BY p.received_at, p.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&AT_ONCE)
    }
}

struct List {
    status: &'static str,
    at: DateTime<Utc>,
    id: Uuid,
    limit: i64,
}

// The statement has the status in its text, so that each partial index is found.
impl QueryId for List {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for List {
    type SqlType = Shape;
}

impl QueryFragment<Pg> for List {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(COLUMNS);
        out.push_sql("p.status = '");
        out.push_sql(self.status);
        out.push_sql("' AND (p.received_at, p.id) > (");
        out.push_bind_param::<Timestamptz, _>(&self.at)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(") ORDER BY p.received_at, p.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

struct InsertWaiting<'a> {
    id: Uuid,
    event: Uuid,
    provider_id: &'a str,
    quoted: Option<&'a str>,
    amount: i64,
    paid_at: DateTime<Utc>,
    /// The payer, his document and the KBK.
    payer: [&'a Option<String>; 3],
    now: DateTime<Utc>,
    seal: Seal,
}

impl QueryId for InsertWaiting<'_> {
    type QueryId = InsertWaiting<'static>;
}

impl Query for InsertWaiting<'_> {
    type SqlType = (BigInt,);
}

impl QueryFragment<Pg> for InsertWaiting<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH inserted AS (INSERT INTO payments (id, provider_id, uin, amount_kopecks, \
             paid_at, received_at, payer, payer_document, kbk, waiting_kopecks, status) VALUES (",
        );
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(self.provider_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.quoted)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.amount)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&self.paid_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", ");
        for stated in self.payer {
            out.push_bind_param::<Nullable<Text>, _>(stated)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<BigInt, _>(&self.amount)?;
        out.push_sql(
            ", 'waiting') ON CONFLICT (provider_id) DO NOTHING RETURNING id), \
             event AS (INSERT INTO events (id, at, kind, actor_role, content, salt, commitment) SELECT ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.event)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", 'paymentReceived', 'payments', ");
        out.push_bind_param::<Text, _>(&self.seal.content)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(&self.seal.salt)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(&self.seal.commitment)?;
        out.push_sql(" FROM inserted) SELECT count(*) FROM inserted");
        Ok(())
    }
}
