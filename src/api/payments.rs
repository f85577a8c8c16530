//! Money that was received: what waits for an officer, what is matched by hand, what is given back.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::{ask, language, listed, renderer};
use super::desk::ReasonRequest;
use super::extract::{
    IdempotencyKey, IdempotencyKeyHeader, IfMatch, IfMatchHeader, Json, Path, Query, answered, etag,
};
use super::page::{Page, PageQuery};
use super::reading::{PurposeHeader, Read, Reading};
use super::views::{AmountView, ApplicationView};
use crate::app::App;
use crate::auth::access::{Caller, Office, Senior};
use crate::casework::payments::RefundAct;
use crate::domain::actor::Role;
use crate::domain::fee::Uin;
use crate::domain::fee::ledger::PaymentStatus;
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::payments::{self, KeptPayment, Refund};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_waiting_payments)
        .service(show_payment)
        .service(match_payment)
        .service(release_payment)
        .service(refund_payment);
}

/// A refund: who proposed, confirmed and sent it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundView {
    /// The officer who proposed it.
    pub proposed_by: Uuid,
    /// When.
    pub proposed_at: DateTime<Utc>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
    /// The second officer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<Uuid>,
    /// When he agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Number of the payment order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60)]
    pub document: Option<String>,
    /// When it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// When the payer had the money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
}

impl From<Refund> for RefundView {
    fn from(refund: Refund) -> Self {
        let Refund { proposed_by, proposed_at, reason, confirmed_by, confirmed_at, .. } = refund;
        let Refund { document, sent_at, completed_at, .. } = refund;
        Self {
            proposed_by,
            proposed_at,
            reason,
            confirmed_by,
            confirmed_at,
            document,
            sent_at,
            completed_at,
        }
    }
}

/// A payment. What was received is what is matched, what waits and what was refunded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView {
    /// Id.
    pub id: Uuid,
    /// The provider's id.
    #[schema(max_length = 255)]
    pub provider_id: String,
    /// What was quoted as UIN, as it was given: it may be none, or have a wrong check digit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 25)]
    pub uin: Option<String>,
    /// The amount that was received.
    pub amount: AmountView,
    /// What of it is booked on a charge.
    pub matched: AmountView,
    /// What of it waits, also while a refund is under way.
    pub waiting: AmountView,
    /// What of it the payer has back.
    pub refunded: AmountView,
    /// `waiting`, `matched`, `refundProposed`, `refundConfirmed`, `refundSent` or `refunded`.
    #[schema(max_length = 20, example = "waiting")]
    pub status: &'static str,
    /// When it was paid.
    pub paid_at: DateTime<Utc>,
    /// When we were told.
    pub received_at: DateTime<Utc>,
    /// The payer as stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub payer: Option<String>,
    /// The payer's document as stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40)]
    pub payer_document: Option<String>,
    /// The KBK as stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20)]
    pub kbk: Option<String>,
    /// The charge that it is booked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<Uuid>,
    /// The application of that charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Uuid>,
    /// The refund that is under way, or was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundView>,
    /// The ETag, for `If-Match`.
    #[schema(max_length = 64, example = "\"v1\"")]
    pub etag: String,
}

impl From<KeptPayment> for PaymentView {
    fn from(kept: KeptPayment) -> Self {
        let [matched, waiting, refunded] = kept.holding.parts().map(Into::into);
        Self {
            id: kept.id,
            provider_id: kept.provider_id,
            uin: kept.quoted,
            amount: kept.amount.into(),
            matched,
            waiting,
            refunded,
            status: kept.holding.status().name(),
            paid_at: kept.paid_at,
            received_at: kept.received_at,
            payer: kept.payer,
            payer_document: kept.payer_document,
            kbk: kept.kbk,
            charge: kept.charge,
            application: kept.application.map(|(application, _)| application),
            refund: kept.refund.map(Into::into),
            etag: etag(kept.version),
        }
    }
}

/// A page of payments.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPage {
    /// The payments, oldest first.
    pub items: Vec<PaymentView>,
}

/// Where payments are that somebody has to do something about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OpenStatus {
    /// They match nothing, or are more than was due.
    #[default]
    Waiting,
    /// A second officer has to agree.
    RefundProposed,
    /// The payment order has to be sent.
    RefundConfirmed,
    /// The bank has to answer.
    RefundSent,
}

/// Which payments are listed.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentQuery {
    /// Their status: those that wait, if it is missing.
    #[serde(default)]
    #[param(inline, required = false)]
    pub status: OpenStatus,
}

/// List payments to match
///
/// Lists money that was received and matches no open charge, or is more than was due, of any unit, oldest first; or money
/// of which a refund is under way. For senior officers.
#[utoipa::path(tag = "office", params(PaymentQuery, PageQuery, PurposeHeader), responses(
    (status = 200, description = "A page of payments.", body = PaymentPage)))]
#[get("/v1/payments")]
pub async fn list_waiting_payments(
    app: App,
    request: HttpRequest,
    reader: Reading<Senior>,
    Query(query): Query<PaymentQuery>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let status = match query.status {
        OpenStatus::Waiting => PaymentStatus::Waiting,
        OpenStatus::RefundProposed => PaymentStatus::RefundProposed,
        OpenStatus::RefundConfirmed => PaymentStatus::RefundConfirmed,
        OpenStatus::RefundSent => PaymentStatus::RefundSent,
    };
    let list = match status {
        PaymentStatus::Waiting => "payments".to_owned(),
        other => format!("payments:{}", other.name()),
    };
    let after = page.after::<(DateTime<Utc>, Uuid)>(&app.tokens, &list)?;
    let mut conn = app.db.conn().await?;
    let rows = payments::list(&mut conn, status, after, page.fetch()).await?;
    drop(conn);
    let page =
        Page::new(&request, &page, &app.tokens, &list, rows, |row| (row.received_at, row.id))?;
    let shown: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    let read = (!shown.is_empty())
        .then(|| Read::new("paymentsRead", &["payment", "payer"]).with("payments", shown));
    let items = page.items.into_iter().map(Into::into).collect();
    reader.answer(&app, read, listed(PaymentPage { items }, page.link)).await
}

/// Show a payment
///
/// Shows a payment that is booked on nothing, or on an application of the caller's unit.
#[utoipa::path(tag = "office", params(("payment" = Uuid, Path, description = "The payment."), PurposeHeader), responses(
    (status = 200, description = "The payment.", body = PaymentView)))]
#[get("/v1/payments/{payment}")]
pub async fn show_payment(
    app: App,
    reader: Reading<Office>,
    Path(id): Path<Uuid>,
) -> Result<HttpResponse> {
    let seen = app.casework.see_payment(&reader.actor(), id).await?;
    let mut read = Read::new("paymentsRead", &["payment", "payer"]).with("payments", [id]);
    if let Some((application, _)) = &seen.application {
        read = read.about(*application);
    }
    let tag = etag(seen.version);
    let answer =
        HttpResponse::Ok().insert_header((header::ETAG, tag)).json(PaymentView::from(seen));
    reader.answer(&app, read, answer).await
}

/// The charge that a payment is for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchRequest {
    /// UIN of the charge, as the bill has it.
    #[validate(length(min = 1, max = 25))]
    #[schema(min_length = 1, max_length = 25, example = "18800000000000000018")]
    pub uin: String,
}

/// Match a payment
///
/// Books a payment that waits on the charge that has the UIN, whatever the payment quotes itself: the application goes on
/// as if it had been quoted. What is more than is due goes on waiting.
#[utoipa::path(tag = "office", params(("payment" = Uuid, Path, description = "The payment."), IfMatchHeader, IdempotencyKeyHeader),
    request_body = MatchRequest, responses(
    (status = 200, description = "The application as it stands now.", body = ApplicationView)))]
#[post("/v1/payments/{payment}/match")]
pub async fn match_payment(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<MatchRequest>,
) -> Result<HttpResponse> {
    let uin = Uin::parse(&body.uin).map_err(|error| {
        Error::refused(ErrorCode::RuleRefused, "The payment cannot be matched.")
            .with_violations(vec![Violation::new("/uin", "invalid-uin", error.to_string())])
    })?;
    let ask = ask(&request, &caller, Some(version), Some(key));
    let render = renderer(true, language(&request));
    app.casework.match_payment(&ask, id, &uin, &render).await.map(answered)
}

/// Release a payment
///
/// Lets what is booked of a payment wait again, so that it can be given back: what was paid on a charge that is annulled,
/// and what was paid for an application that ended without a permit, where the rules of the charge allow it. A state duty
/// that was paid in full is kept.
#[utoipa::path(tag = "office", params(("payment" = Uuid, Path, description = "The payment."), IfMatchHeader, IdempotencyKeyHeader),
    request_body = ReasonRequest, responses(
    (status = 200, description = "The application as it stands now.", body = ApplicationView)))]
#[post("/v1/payments/{payment}/release")]
pub async fn release_payment(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<ReasonRequest>,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), Some(key));
    let render = renderer(true, language(&request));
    app.casework.release_payment(&ask, id, &body.reason, &render).await.map(answered)
}

/// A step of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RefundStepName {
    /// Propose to give back what waits; needs a reason.
    Propose,
    /// Agree. For a senior officer other than the one who proposed.
    Confirm,
    /// Drop the proposal; needs a reason.
    Reject,
    /// Note that the payment order was sent; needs its number.
    Send,
    /// Note that the payer has the money.
    Complete,
    /// Note that the money came back from the bank; needs a reason. It waits again.
    ComeBack,
}

/// What is done about a refund.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefundRequest {
    /// The step.
    pub step: RefundStepName,
    /// Why: to propose, reject and when the money came back.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "Paid twice.")]
    pub reason: Option<String>,
    /// Number of the payment order, to send.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "1734")]
    pub document: Option<String>,
}

impl RefundRequest {
    fn parse(self) -> Result<RefundAct> {
        let Self { step, reason, document } = self;
        let needs = |name: &str, detail: &str| {
            Error::invalid(vec![Violation::new(format!("/{name}"), "required", detail.to_owned())])
        };
        let why = || needs("reason", "Say why.");
        let takes_reason = matches!(
            step,
            RefundStepName::Propose | RefundStepName::Reject | RefundStepName::ComeBack
        );
        let unfit = [
            (
                "/reason",
                reason.is_some() && !takes_reason,
                "Only propose, reject and comeBack have a reason.",
            ),
            (
                "/document",
                document.is_some() && step != RefundStepName::Send,
                "Only send has a payment order.",
            ),
        ];
        let violations: Vec<Violation> = unfit
            .into_iter()
            .filter(|(_, is, _)| *is)
            .map(|(pointer, _, detail)| Violation::new(pointer, "unknown-field", detail))
            .collect();
        if !violations.is_empty() {
            return Err(Error::invalid(violations));
        }
        Ok(match step {
            RefundStepName::Propose => RefundAct::Propose { reason: reason.ok_or_else(why)? },
            RefundStepName::Confirm => RefundAct::Confirm,
            RefundStepName::Reject => RefundAct::Reject { reason: reason.ok_or_else(why)? },
            RefundStepName::Send => {
                let needed = || needs("document", "Name the payment order.");
                RefundAct::Send { document: document.ok_or_else(needed)? }
            }
            RefundStepName::Complete => RefundAct::Complete,
            RefundStepName::ComeBack => RefundAct::ComeBack { reason: reason.ok_or_else(why)? },
        })
    }
}

/// Refund a payment
///
/// Gives back what waits of a payment: an officer proposes, a senior officer who is not the first agrees, the payment order
/// is sent, the payer has the money or it comes back. What is under way is neither matched nor proposed again. Each step is
/// an event of the log.
#[utoipa::path(tag = "office", params(("payment" = Uuid, Path, description = "The payment."), IfMatchHeader, IdempotencyKeyHeader),
    request_body = RefundRequest, responses(
    (status = 200, description = "The payment as it stands now.", body = PaymentView)))]
#[post("/v1/payments/{payment}/refund")]
pub async fn refund_payment(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<RefundRequest>,
) -> Result<HttpResponse> {
    let act = body.parse()?;
    if act == RefundAct::Confirm && caller.role() != Role::SeniorOfficer {
        let detail = "A senior officer confirms refunds; ask one who did not propose this one.";
        return Err(Error::refused(ErrorCode::Forbidden, detail));
    }
    let ask = ask(&request, &caller, Some(version), Some(key));
    let render = |kept: &KeptPayment| {
        serde_json::to_string(&PaymentView::from(kept.clone()))
            .map_err(|error| Error::internal("cannot write a payment", error))
    };
    app.casework.refund(&ask, id, &act, &render).await.map(answered)
}
