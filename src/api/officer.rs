//! Operations for case officers and senior officers: the queues of their unit, claims, money that matches nothing.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::{ApplicationPage, ask, language, listed, renderer, summaries};
use super::extract::{
    IdempotencyKey, IdempotencyKeyHeader, IfMatch, IfMatchHeader, Path, Query, answered,
};
use super::page::{Page, PageQuery};
use super::reading::{PurposeHeader, Read, Reading};
use super::views::{AmountView, ApplicationView};
use crate::app::App;
use crate::auth::access::{Caller, Office, Senior};
use crate::domain::fee::Money;
use crate::domain::queue::Queue;
use crate::error::{Error, Result};
use crate::storage::applications::{self, SummaryRow};
use crate::storage::payments::{self, WaitingRow};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_queues)
        .service(list_queue)
        .service(claim_next)
        .service(claim_application)
        .service(release_application)
        .service(list_waiting_payments);
}

/// A queue of the caller's unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// Name.
    #[schema(max_length = 20, example = "intake")]
    pub queue: &'static str,
    /// Title.
    #[schema(max_length = 100, example = "To be taken in")]
    pub title: &'static str,
    /// How many applications wait in it.
    #[schema(minimum = 0)]
    pub waiting: i64,
    /// How many of them nobody holds.
    #[schema(minimum = 0)]
    pub free: i64,
}

/// The queues of the caller's unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueList {
    /// The queues.
    pub items: Vec<QueueView>,
}

/// A payment that matches nothing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingPaymentView {
    /// Id.
    pub id: Uuid,
    /// The provider's id.
    #[schema(max_length = 255)]
    pub provider_id: String,
    /// The UIN stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 25)]
    pub uin: Option<String>,
    /// The amount.
    pub amount: AmountView,
    /// When it was paid.
    pub paid_at: DateTime<Utc>,
    /// When we were told.
    pub received_at: DateTime<Utc>,
    /// The payer as stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub payer: Option<String>,
}

impl From<WaitingRow> for WaitingPaymentView {
    fn from(row: WaitingRow) -> Self {
        Self {
            id: row.id,
            provider_id: row.provider_id,
            uin: row.uin,
            amount: Money::from_kopecks(row.amount_kopecks).unwrap_or(Money::ZERO).into(),
            paid_at: row.paid_at,
            received_at: row.received_at,
            payer: row.payer,
        }
    }
}

/// A page of payments that match nothing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingPaymentPage {
    /// The payments, oldest first.
    pub items: Vec<WaitingPaymentView>,
}

fn unit(caller: &Caller<Office>) -> Result<&str> {
    caller.unit().ok_or_else(|| Error::bug("an officer's token names no unit"))
}

fn queue(name: &str) -> Result<Queue> {
    Queue::parse(name).ok_or_else(Error::not_found)
}

/// List the queues
///
/// Shows how much waits in each queue of the caller's unit. List, count and claim use one predicate.
#[utoipa::path(tag = "office", responses(
    (status = 200, description = "The queues.", body = QueueList)))]
#[get("/v1/queues")]
pub async fn list_queues(app: App, caller: Caller<Office>) -> Result<HttpResponse> {
    let mut conn = app.db.conn().await?;
    let counts = applications::count_queues(&mut conn, unit(&caller)?, app.clock.now()).await?;
    let items = counts
        .into_iter()
        .map(|(queue, waiting, free)| QueueView {
            queue: queue.name(),
            title: queue.title(),
            waiting,
            free,
        })
        .collect();
    Ok(listed(QueueList { items }, None))
}

/// Read a queue
///
/// Lists what waits in a queue of the caller's unit, most urgent first: earliest statutory date, then earliest hand-in.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 20, pattern = "^[a-z]+$", example = "intake"),
    PageQuery, PurposeHeader),
    responses((status = 200, description = "A page of applications.", body = ApplicationPage)))]
#[get("/v1/queues/{queue}/applications")]
pub async fn list_queue(
    app: App,
    request: HttpRequest,
    reader: Reading<Office>,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let (queue, unit) = (queue(&name)?, unit(&reader)?);
    let list = format!("queue {name}");
    let after = page
        .after::<(Option<NaiveDate>, DateTime<Utc>, Uuid)>(&app.tokens, &list)?
        .map(|(due_on, submitted_at, id)| applications::Place { due_on, submitted_at, id });
    let (mut conn, now) = (app.db.conn().await?, app.clock.now());
    let rows = applications::list_queue(&mut conn, unit, queue, now, after, page.fetch()).await?;
    drop(conn);
    let place = |row: &SummaryRow| (row.due_on, row.submitted_at, row.id);
    let page = Page::new(&request, &page, &app.tokens, &list, rows, place)?;
    let read = (!page.items.is_empty()).then(|| {
        let shown = page.items.iter().map(|row| row.id);
        Read::new("queueRead", &["summary", "personName"]).showing(shown).with("queue", name)
    });
    let answer = listed(summaries(&app, &request, page.items, true), page.link);
    reader.answer(&app, read, answer).await
}

/// Claim the next application
///
/// Gives the caller the most urgent application of a queue that nobody holds, as a lease. Two officers never get the
/// same one; when nothing is free the answer is 204.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 20, pattern = "^[a-z]+$", example = "intake"),
    IdempotencyKeyHeader, PurposeHeader), responses(
    (status = 200, description = "The application is the caller's until the lease ends.", body = ApplicationView),
    (status = 204, description = "Nothing is free.")))]
#[post("/v1/queues/{queue}/claims")]
pub async fn claim_next(
    app: App,
    request: HttpRequest,
    reader: Reading<Office>,
    Path(name): Path<String>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let queue = queue(&name)?;
    let ask = ask(&request, &reader, None, Some(key));
    let render = renderer(true, language(&request));
    let claimed = app.casework.claim_next(&ask, unit(&reader)?, queue, &render).await?;
    let Some(claimed) = claimed else { return Ok(HttpResponse::NoContent().finish()) };
    // The claim's own event says what the first answer shows; a repeated one shows the application as it is now.
    let read = claimed.about().filter(|_| claimed.replayed).map(|application| {
        Read::new("applicationRead", &["application"]).about(application).with("queue", name)
    });
    reader.answer(&app, read, answered(claimed)).await
}

/// Claim an application
///
/// Takes a lease on an application, or renews the caller's own: send it as a sign of life.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader), responses(
    (status = 200, description = "The application is the caller's until the lease ends.", body = ApplicationView)))]
#[put("/v1/applications/{id}/claim")]
pub async fn claim_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.claim(&ask, id, &render).await.map(answered)
}

/// Why a lease is ended.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReleaseQuery {
    /// Why a senior officer ends a colleague's lease; one's own needs no reason.
    #[validate(length(min = 1, max = 500))]
    #[param(min_length = 1, max_length = 500, example = "On sick leave")]
    pub reason: Option<String>,
}

/// Release an application
///
/// Gives the caller's lease back; a senior officer can end a colleague's and says why in `reason`.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), ReleaseQuery, IfMatchHeader), responses(
    (status = 200, description = "Nobody holds the application.", body = ApplicationView)))]
#[delete("/v1/applications/{id}/claim")]
pub async fn release_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    Query(query): Query<ReleaseQuery>,
    version: IfMatch,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.release(&ask, id, query.reason.as_deref(), &render).await.map(answered)
}

/// List payments to match
///
/// Lists money that was received and matches no open charge, of any unit, oldest first. For senior officers.
#[utoipa::path(tag = "office", params(PageQuery, PurposeHeader), responses(
    (status = 200, description = "A page of payments.", body = WaitingPaymentPage)))]
#[get("/v1/payments")]
pub async fn list_waiting_payments(
    app: App,
    request: HttpRequest,
    reader: Reading<Senior>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let after = page.after::<(DateTime<Utc>, Uuid)>(&app.tokens, "payments")?;
    let mut conn = app.db.conn().await?;
    let rows = payments::list_waiting(&mut conn, after, page.fetch()).await?;
    drop(conn);
    let page =
        Page::new(&request, &page, &app.tokens, "payments", rows, |row| (row.received_at, row.id))?;
    let shown: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    let read = (!shown.is_empty())
        .then(|| Read::new("paymentsRead", &["payment", "payer"]).with("payments", shown));
    let items = page.items.into_iter().map(Into::into).collect();
    reader.answer(&app, read, listed(WaitingPaymentPage { items }, page.link)).await
}
