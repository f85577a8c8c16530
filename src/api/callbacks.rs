//! What others tell us: signed callbacks of the payment provider, after Standard Webhooks 1.0.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::{HttpRequest, HttpResponse, post, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

use super::extract::{BODY_LIMIT, read_json};
use crate::app::App;
use crate::auth::unauthenticated_callback;
use crate::casework::Received;
use crate::domain::fee::{Money, Payment, Uin};
use crate::error::{Error, ErrorCode, Result, Violation};

/// How far the sender's clock may be from ours.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(receive_payment);
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
    /// UIN of the charge.
    #[validate(length(min = 1, max = 25))]
    #[schema(min_length = 1, max_length = 25, example = "18800000000000000123")]
    pub uin: Option<String>,
    /// Amount in kopecks.
    #[validate(range(min = 1, max = 100_000_000_000_i64))]
    #[schema(minimum = 1, maximum = 100_000_000_000_i64, example = 420_000)]
    pub amount_kopecks: i64,
    /// When it was paid.
    #[schema(example = "2026-11-24T09:30:00Z")]
    pub paid_at: DateTime<Utc>,
    /// The payer's document as stated.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub payer: Option<String>,
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
    let body = payload.to_bytes_limited(BODY_LIMIT).await.map_err(|_| {
        Error::refused(ErrorCode::PayloadTooLarge, "Send a body of at most 262144 bytes.")
    })?;
    let body = body.map_err(|_| {
        Error::invalid(vec![Violation::new("", "incomplete-body", "Send the whole body.")])
    })?;
    let id = verify(&app, &request, &body)?;
    let PaymentCallback { kind, data } = read_json(&request, &body)?;
    if kind != "payment.received" {
        let detail = "Send messages of the type payment.received here.";
        return Err(Error::invalid(vec![Violation::new("/type", "unknown-type", detail)]));
    }
    let payment = Payment {
        provider_id: format!("provider:{}", data.id.unwrap_or(id)),
        // A UIN that is none, or has a wrong check digit, matches nothing: the money is real and waits.
        uin: data.uin.as_deref().and_then(|uin| Uin::parse(uin).ok()),
        amount: Money::from_kopecks(data.amount_kopecks).unwrap_or(Money::ZERO),
        paid_at: data.paid_at,
        payer: data.payer,
    };
    let outcome = match app.casework.receive(&payment).await? {
        Received::Booked => "booked",
        Received::Waiting => "waiting",
        Received::Known => "known",
    };
    Ok(HttpResponse::Ok().json(ReceivedView { outcome }))
}

/// Checks signature and time; gives the message's id. Which of the two was wrong is not said.
fn verify(app: &App, request: &HttpRequest, body: &[u8]) -> Result<String> {
    let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(sent), Some(signatures)) =
        (field("webhook-id"), field("webhook-timestamp"), field("webhook-signature"))
    else {
        return Err(unauthenticated_callback());
    };
    let at = sent.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let fresh = at.is_some_and(|at| (app.clock.now() - at).abs() <= WINDOW);
    let signed = signatures
        .split(' ')
        .filter_map(|one| one.strip_prefix("v1,"))
        .filter_map(|one| STANDARD.decode(one).ok())
        .any(|signature| {
            app.payment_webhook_secrets.iter().any(|secret| {
                Hmac::<Sha256>::new_from_slice(secret).is_ok_and(|mac| {
                    mac.chain_update(id)
                        .chain_update(".")
                        .chain_update(sent)
                        .chain_update(".")
                        .chain_update(body)
                        .verify_slice(&signature)
                        .is_ok()
                })
            })
        });
    if fresh && signed && (1..=200).contains(&id.len()) {
        return Ok(id.to_owned());
    }
    Err(unauthenticated_callback())
}
