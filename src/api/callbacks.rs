//! What others tell us: signed callbacks of the payment provider and of registers, after Standard Webhooks 1.0.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::{HttpRequest, HttpResponse, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

use super::extract::{BODY_LIMIT, Path, read_json};
use super::form::of_our_time;
use crate::app::App;
use crate::auth::unauthenticated_callback;
use crate::casework::Received;
use crate::domain::fee::{Money, Payment, Uin};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::registers::Register;
use crate::registers::protocol::{AnswerMessage, LARGEST_ANSWER, digest};
use crate::webhook::{self, Key};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(receive_payment).service(receive_register_answer);
}

/// Documents the header fields of Standard Webhooks.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents header fields")]
pub struct WebhookHeaders {
    /// Id of the message: the same when it is sent again.
    #[param(rename = "webhook-id", max_length = 255, example = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W")]
    webhook_id: String,
    /// Seconds since 1970 when it was sent; at most five minutes from now.
    #[param(
        rename = "webhook-timestamp",
        max_length = 12,
        pattern = "^[0-9]+$",
        example = "1774429312"
    )]
    webhook_timestamp: String,
    /// One or more signatures, separated by spaces: `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`.
    #[param(
        rename = "webhook-signature",
        max_length = 2048,
        example = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )]
    webhook_signature: String,
}

/// What a callback tells.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentCallback {
    /// Always `payment.received`.
    #[validate(length(min = 1, max = 60))]
    #[serde(rename = "type")]
    #[schema(
        min_length = 1,
        max_length = 60,
        pattern = "^payment\\.received$",
        example = "payment.received"
    )]
    pub kind: String,
    /// The payment.
    #[validate(nested)]
    pub data: ReceivedPayment,
}

/// A payment.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceivedPayment {
    /// The provider's id of the payment; takes effect once. The message's id when left out.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, example = "pay_8f2c")]
    pub id: Option<String>,
    /// UIN of the charge. What is no UIN, or has a wrong check digit, is kept as it is given and matches nothing.
    #[validate(length(min = 1, max = 25))]
    #[schema(min_length = 1, max_length = 25, example = "18800000000000000123")]
    pub uin: Option<String>,
    /// Amount in kopecks.
    #[validate(range(min = 1, max = 100_000_000_000_i64))]
    #[schema(minimum = 1, maximum = 100_000_000_000_i64, example = 420_000)]
    pub amount_kopecks: i64,
    /// When it was paid.
    #[validate(custom(function = "of_our_time"))]
    #[schema(example = "2026-11-24T09:30:00Z")]
    pub paid_at: DateTime<Utc>,
    /// The payer's document as stated.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub payer: Option<String>,
    /// Number of the payer's passport: with `kbk` and the amount, it finds the charge of a payment that quotes none.
    #[validate(length(min = 1, max = 40))]
    #[schema(min_length = 1, max_length = 40, example = "FA 1234567")]
    pub payer_document: Option<String>,
    /// KBK of the payment order. A payment that names another KBK than its charge waits for an officer.
    #[validate(length(min = 1, max = 20))]
    #[schema(min_length = 1, max_length = 20, example = "18810806000010000110")]
    pub kbk: Option<String>,
}

/// What became of the payment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedView {
    /// `booked` on a charge, `waiting` for an officer, or `known` from before.
    #[schema(max_length = 10, example = "booked")]
    pub outcome: &'static str,
}

/// Tell of a payment
///
/// For the payment provider: tells of money received. The signature is checked over the raw body; a payment takes effect
/// once, however often it is told, and one that matches no open charge waits for an officer.
#[utoipa::path(tag = "callbacks", security(()), params(WebhookHeaders), request_body = PaymentCallback, responses(
    (status = 200, description = "The payment is recorded.", body = ReceivedView),
    (status = 401, description = "The signature or the time is wrong.")))]
#[post("/v1/callbacks/payments")]
pub async fn receive_payment(
    app: App,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let keys = &app.payment_webhook_secrets;
    let (id, body) = signed(&app, &request, payload, BODY_LIMIT, keys).await?;
    let PaymentCallback { kind, data } = read_json(&request, &body)?;
    if kind != "payment.received" {
        let detail = "Send messages of the type payment.received here.";
        return Err(Error::invalid(vec![Violation::new("/type", "unknown-type", detail)]));
    }
    // A UIN that is none, or has a wrong check digit, matches nothing: the money is real and waits.
    let uin = data.uin.as_deref().and_then(|uin| Uin::parse(uin).ok());
    let payment = Payment {
        provider_id: format!("provider:{}", data.id.unwrap_or(id)),
        stated_uin: data.uin.filter(|_| uin.is_none()),
        uin,
        amount: Money::from_kopecks(data.amount_kopecks).unwrap_or(Money::ZERO),
        paid_at: data.paid_at,
        payer: data.payer,
        payer_document: data.payer_document,
        kbk: data.kbk,
        matched: None,
    };
    let outcome = match app.casework.receive(&payment).await? {
        Received::Booked => "booked",
        Received::Waiting => "waiting",
        Received::Known => "known",
    };
    Ok(HttpResponse::Ok().json(ReceivedView { outcome }))
}

/// What became of a register's answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArrivalView {
    /// `taken` as the check's answer, `known` from before, or `ignored`: it came too late, or against what counts.
    #[schema(max_length = 10, example = "taken")]
    pub outcome: &'static str,
}

/// Answer a register request
///
/// For registers that answer later than at once: the same signed body as an answer at once has, with the request's id as
/// the message's id. An answer takes effect once, however often it is told; one that comes when the application is decided
/// or was asked anew is recorded and ignored. `openapi/registers.md` describes the protocol byte for byte.
#[utoipa::path(tag = "callbacks", security(()), params(
    ("register" = String, Path, description = "The register's name.", max_length = 60, pattern = "^[a-z][A-Za-z0-9]*$", example = "borderCrossings"),
    WebhookHeaders), request_body = AnswerMessage, responses(
    (status = 200, description = "The answer is recorded; it need not be sent again.", body = ArrivalView),
    (status = 401, description = "The signature or the time is wrong, or there is no such register."),
    (status = 404, description = "The register was asked no such thing.")))]
#[post("/v1/callbacks/registers/{register}")]
pub async fn receive_register_answer(
    app: App,
    request: HttpRequest,
    Path(register): Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let keys = app.registers.get(&register).map(Register::keys).unwrap_or_default();
    let (id, body) = signed(&app, &request, payload, LARGEST_ANSWER, keys).await?;
    let answer: AnswerMessage = read_json(&request, &body)?;
    if answer.request_id.to_string() != id {
        let detail = "Send the request's id as webhook-id, too.";
        return Err(Error::invalid(vec![Violation::new("/requestId", "mismatch", detail)]));
    }
    let arrival = app.reception.take(&register, answer.request_id, &answer, &digest(&body)).await?;
    let outcome = arrival.ok_or_else(Error::not_found)?.name();
    Ok(HttpResponse::Ok().json(ArrivalView { outcome }))
}

/// Reads a signed message of at most `limit` bytes; gives its id and body.
async fn signed<'k>(
    app: &App,
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
    keys: impl IntoIterator<Item = &'k Key>,
) -> Result<(String, web::Bytes)> {
    let body = payload.to_bytes_limited(limit).await.map_err(|_| {
        let detail = format!("Send a body of at most {limit} bytes.");
        Error::refused(ErrorCode::PayloadTooLarge, detail).with_fact("limitBytes", limit)
    })?;
    let body = body.map_err(|_| {
        Error::invalid(vec![Violation::new("", "incomplete-body", "Send the whole body.")])
    })?;
    let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let id = webhook::verify(field, &body, keys, app.clock.now());
    let id = id.ok_or_else(unauthenticated_callback)?.to_owned();
    Ok((id, body))
}
