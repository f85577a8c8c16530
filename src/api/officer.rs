//! Operations for case officers and senior officers: claims by hand, money that matches nothing; and in modules of their
//! own the [`queues`] of their unit, [`search`] and [`workload`].
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

pub mod queues;
pub mod search;
pub mod workload;

use actix_web::{HttpRequest, HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::{ask, language, listed, renderer};
use super::extract::{IfMatch, IfMatchHeader, Path, Query, answered};
use super::page::{Page, PageQuery};
use super::reading::{PurposeHeader, Read, Reading};
use super::views::{AmountView, ApplicationView};
use crate::app::App;
use crate::auth::access::{Access, Caller, Office, Senior};
use crate::domain::fee::Money;
use crate::error::{Error, Result};
use crate::storage::payments::{self, WaitingRow};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    queues::configure(config);
    search::configure(config);
    workload::configure(config);
    config.service(claim_application).service(release_application).service(list_waiting_payments);
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

pub(super) fn unit<A: Access>(caller: &Caller<A>) -> Result<&str> {
    caller.unit().ok_or_else(|| Error::bug("an officer's token names no unit"))
}

/// Claim an application
///
/// Takes a lease on an application, or renews the caller's own: send it as a sign of life. `If-Match` matters only where
/// nobody holds it: a colleague's lease is 409 with `holderName`, and the caller's own is renewed, whatever version he saw.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader), responses(
    (status = 200, description = "The application is the caller's until the lease ends.", body = ApplicationView),
    (status = 409, description = "A colleague holds it (`claimed-by-another`): `holderName` says who, `until` how long at the latest."),
    (status = 412, description = "Nobody holds it, and it has changed since the caller saw it.")))]
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
