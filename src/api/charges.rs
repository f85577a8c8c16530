//! Bills: how what an application owes is paid.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::extract::Path;
use super::reading::{PurposeHeader, Read, Reading};
use crate::app::App;
use crate::auth::access::CaseReader;
use crate::casework::Seen;
use crate::domain::fee::gost::Order;
use crate::domain::fee::{Charge, ChargeStatus, Money};
use crate::error::{Error, ErrorCode, Result};
use crate::qr::Qr;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(show_payment_order);
}

/// Where a charge is.
#[derive(Debug, Deserialize)]
pub struct ChargePath {
    id: Uuid,
    charge: Uuid,
}

/// The forms in which a payment order is shown, the usual one first.
const FORMS: [(&str, &str); 3] = [
    ("image/svg+xml", "image/svg+xml"),
    ("image/png", "image/png"),
    ("text/plain", "text/plain; charset=utf-8"),
];

/// Show a payment QR
///
/// Shows the payment order for what is still due of a charge, as a QR code that bank apps read (GOST R 56042-2014): payee,
/// bank, amount in kopecks, KBK, OKTMO and UIN. As SVG, PNG or the text itself, by `Accept`. 409 where nothing is due, 422
/// where the office had named no payee when the charge was made.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."),
    ("charge" = Uuid, Path, description = "The charge."), PurposeHeader), responses(
    (status = 200, description = "The payment order.", content(
        (String = "image/svg+xml"), (Vec<u8> = "image/png"), (String = "text/plain"))),
    (status = 409, description = "Nothing is due on the charge."),
    (status = 422, description = "The office had named no payee when the charge was made.")))]
#[get("/v1/applications/{id}/charges/{charge}/qr")]
pub async fn show_payment_order(
    app: App,
    request: HttpRequest,
    reader: Reading<CaseReader>,
    Path(place): Path<ChargePath>,
) -> Result<HttpResponse> {
    let show = |seen: &Seen<'_>| {
        let charge = seen.application.charges.iter().find(|charge| charge.id == place.charge);
        let text = order(charge.ok_or_else(Error::not_found)?)?;
        Ok((Read::new("chargeRead", &["charge"]).of(seen), text))
    };
    let (read, text) = app.casework.see(&reader.actor(), place.id, show).await?;
    let (form, media_type) = wanted(&request);
    let body = match form {
        "image/svg+xml" => code(&text)?.svg().into_bytes(),
        "image/png" => {
            code(&text)?.png().ok_or_else(|| Error::bug("a payment QR cannot be drawn"))?
        }
        _ => text.into_bytes(),
    };
    let answer = HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((header::VARY, "Accept, Authorization"))
        .body(body);
    reader.answer(&app, read, answer).await
}

fn code(text: &str) -> Result<Qr> {
    let detail = "This is more than a QR code holds; take the text instead.";
    Qr::new(text).ok_or_else(|| Error::refused(ErrorCode::RuleRefused, detail))
}

/// Writes the payment order of a charge.
fn order(charge: &Charge) -> Result<String> {
    if charge.outstanding() == Money::ZERO {
        let why = match charge.status {
            ChargeStatus::Annulled => "The charge is annulled; nothing is to be paid on it.",
            ChargeStatus::Open | ChargeStatus::Settled => "The charge is paid in full.",
        };
        return Err(Error::refused(ErrorCode::WrongState, why));
    }
    let unwritable = |error| Error::internal("a charge gives no payment order", error);
    let order = Order::of(charge).map_err(unwritable)?.ok_or_else(|| {
        let detail =
            "The office had named no payee when the charge was made; ask it for its bank details.";
        Error::refused(ErrorCode::RuleRefused, detail)
    })?;
    order.write().map_err(unwritable)
}

/// Chooses the form that the caller names first; the gateway has refused what is not on offer.
fn wanted(request: &HttpRequest) -> (&'static str, &'static str) {
    let fields = request.headers().get_all(header::ACCEPT).filter_map(|field| field.to_str().ok());
    let mut ranges = fields
        .flat_map(|field| field.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    ranges
        .find_map(|range| {
            FORMS.into_iter().find(|(form, _)| {
                range == *form || range.strip_suffix('*').is_some_and(|kind| form.starts_with(kind))
            })
        })
        .unwrap_or(FORMS[0])
}
