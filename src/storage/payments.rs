//! Money that was received and matches nothing yet.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, Queryable};
use diesel_async::RunQueryDsl;
use serde_json::json;
use uuid::Uuid;

use super::events::PlainEvent;
use super::schema::payments as p;
use super::{Conn, query_failed};
use crate::clock::Clock;
use crate::domain::actor::Actor;
use crate::domain::event::sealed::Seal;
use crate::domain::fee::Payment;
use crate::error::Result;

/// A payment that waits for an officer.
#[derive(Debug, Clone, Queryable)]
pub struct WaitingRow {
    /// Id.
    pub id: Uuid,
    /// The provider's id.
    pub provider_id: String,
    /// The UIN stated, if any.
    pub uin: Option<String>,
    /// Amount in kopecks.
    pub amount_kopecks: i64,
    /// When it was paid.
    pub paid_at: DateTime<Utc>,
    /// When we were told.
    pub received_at: DateTime<Utc>,
    /// The payer's document as stated.
    pub payer: Option<String>,
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
        uin: payment.uin.as_ref().map(ToString::to_string),
        amount: payment.amount.kopecks(),
        paid_at: payment.paid_at,
        payer: &payment.payer,
        now: event.at(),
    };
    let (inserted,): (i64,) = statement
        .get_result(conn)
        .await
        .map_err(|e| query_failed("payments::insert_waiting", e))?;
    Ok(inserted == 1)
}

/// Lists the payments that wait, oldest first, after the given place.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn list_waiting(
    conn: &mut Conn,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<WaitingRow>> {
    use diesel::BoolExpressionMethods as _;
    let mut query = p::table
        .filter(p::status.eq("waiting"))
        .order((p::received_at, p::id))
        .select((
            p::id,
            p::provider_id,
            p::uin,
            p::amount_kopecks,
            p::paid_at,
            p::received_at,
            p::payer,
        ))
        .limit(limit)
        .into_boxed();
    if let Some((at, id)) = after {
        query = query.filter(p::received_at.gt(at).or(p::received_at.eq(at).and(p::id.gt(id))));
    }
    query.load(conn).await.map_err(|e| query_failed("payments::list_waiting", e))
}

struct InsertWaiting<'a> {
    id: Uuid,
    event: Uuid,
    provider_id: &'a str,
    uin: Option<String>,
    amount: i64,
    paid_at: DateTime<Utc>,
    payer: &'a Option<String>,
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
             paid_at, received_at, payer, status) VALUES (",
        );
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(self.provider_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.uin)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.amount)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&self.paid_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(self.payer)?;
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
