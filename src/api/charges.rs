//! Bills: how what an application owes is paid, and what two officers change about it.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::{ask, language, renderer};
use super::extract::{
    IdempotencyKey, IdempotencyKeyHeader, IfMatch, IfMatchHeader, Json, Path, answered,
};
use super::reading::{PurposeHeader, Read, Reading};
use super::views::ApplicationView;
use crate::app::App;
use crate::auth::access::{Caller, CaseReader, Office};
use crate::casework::Seen;
use crate::domain::fee::gost::Order;
use crate::domain::fee::revision::{RevisionAct, Wanted};
use crate::domain::fee::{Charge, ChargeStatus, Money};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::qr::Qr;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(show_payment_order).service(revise_charge);
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

/// A step of a change of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RevisionStepName {
    /// Propose it; needs the change and a reason.
    Propose,
    /// Agree: the charge changes. For a senior officer other than the one who proposed.
    Confirm,
    /// Drop it; needs a reason.
    Reject,
}

/// What a charge becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RevisionChangeName {
    /// It says something else: another amount, purpose or payee. The UIN stays. Of an open charge.
    Clarify,
    /// It is not owed. Of an open charge.
    Annul,
    /// It is owed after all. Of an annulled charge, while its fee can be paid.
    Deannul,
    /// Its money came in another way than through the provider: it is settled, and what waits for it goes on. Of an open
    /// charge; needs the number of the paper that proves it, and the day.
    Acknowledge,
}

/// What is done about a charge.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevisionRequest {
    /// The step.
    pub step: RevisionStepName,
    /// What is proposed.
    pub change: Option<RevisionChangeName>,
    /// Why: to propose and to reject.
    #[validate(length(min = 1, max = 2000))]
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "Reckoned by the rate of another region."
    )]
    pub reason: Option<String>,
    /// To clarify: the amount, more than nothing and not below what is paid.
    #[validate(range(min = 0))]
    #[schema(minimum = 0, example = 420_000)]
    pub amount_kopecks: Option<i64>,
    /// To clarify: what the payment order says that it is for.
    #[validate(length(min = 1, max = 210))]
    #[schema(min_length = 1, max_length = 210)]
    pub purpose: Option<String>,
    /// To clarify: whether the bank details that the rules name today take the place of those of the charge.
    pub renew_payee: Option<bool>,
    /// To acknowledge: number of the paper that proves the payment.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "1734")]
    pub document: Option<String>,
    /// To acknowledge: the day on which it was paid.
    pub paid_on: Option<NaiveDate>,
}

impl RevisionRequest {
    fn parse(self) -> Result<RevisionAct> {
        let violations = self.unfit();
        if !violations.is_empty() {
            return Err(Error::invalid(violations));
        }
        let Self { step, change, reason, amount_kopecks, purpose, renew_payee, document, paid_on } =
            self;
        let reason = reason.unwrap_or_default();
        Ok(match step {
            RevisionStepName::Confirm => RevisionAct::Confirm,
            RevisionStepName::Reject => RevisionAct::Reject { reason },
            RevisionStepName::Propose => {
                let wanted = match change {
                    Some(RevisionChangeName::Clarify) => Wanted::Clarify {
                        amount: amount_kopecks.and_then(Money::from_kopecks),
                        purpose,
                        renew_payee: renew_payee.unwrap_or(false),
                    },
                    Some(RevisionChangeName::Annul) => Wanted::Annul,
                    Some(RevisionChangeName::Deannul) => Wanted::Deannul,
                    Some(RevisionChangeName::Acknowledge) => {
                        let (Some(document), Some(paid_on)) = (document, paid_on) else {
                            return Err(Error::bug("an acknowledgement without its paper"));
                        };
                        Wanted::Acknowledge { document, paid_on }
                    }
                    None => return Err(Error::bug("a proposal without a change")),
                };
                RevisionAct::Propose { wanted, reason }
            }
        })
    }

    /// Names what is missing, and what the step does not take.
    fn unfit(&self) -> Vec<Violation> {
        let proposes = self.step == RevisionStepName::Propose;
        let proposed = |name| proposes && self.change == Some(name);
        let (clarifies, acknowledges) =
            (proposed(RevisionChangeName::Clarify), proposed(RevisionChangeName::Acknowledge));
        let confirms = self.step == RevisionStepName::Confirm;
        let only_clarify = "Only to clarify a charge.";
        let only_acknowledge = "Only to acknowledge a charge.";
        // Pointer, whether it is there, is needed, is allowed; what to do.
        let members = [
            (
                "/change",
                self.change.is_some(),
                proposes,
                proposes,
                "Name it to propose, and only then.",
            ),
            (
                "/reason",
                self.reason.is_some(),
                !confirms,
                !confirms,
                "Say why, but not to confirm.",
            ),
            ("/amountKopecks", self.amount_kopecks.is_some(), false, clarifies, only_clarify),
            ("/purpose", self.purpose.is_some(), false, clarifies, only_clarify),
            ("/renewPayee", self.renew_payee.is_some(), false, clarifies, only_clarify),
            ("/document", self.document.is_some(), acknowledges, acknowledges, only_acknowledge),
            ("/paidOn", self.paid_on.is_some(), acknowledges, acknowledges, only_acknowledge),
        ];
        let unfit =
            |(pointer, there, needed, allowed, detail): (&str, bool, bool, bool, &'static str)| {
                let code = match (there, needed, allowed) {
                    (false, true, _) => "required",
                    (true, _, false) => "unknown-field",
                    _ => return None,
                };
                Some(Violation::new(pointer, code, detail))
            };
        members.into_iter().filter_map(unfit).collect()
    }
}

/// Change a charge
///
/// Changes a charge by the word of two officers: one proposes, a senior officer who is not the first agrees. An open charge
/// is clarified (another amount, purpose or payee), annulled, or acknowledged without a payment: its money came in another
/// way, and the application goes on as with a payment; no money is booked. An annulled charge is owed again while its fee can
/// be paid. One change waits at a time; what is confirmed is checked anew against the charge as it is then.
#[utoipa::path(tag = "office", params(
    ("id" = Uuid, Path, description = "The application."),
    ("charge" = Uuid, Path, description = "The charge."), IfMatchHeader, IdempotencyKeyHeader),
    request_body = RevisionRequest, responses(
    (status = 200, description = "The application as it stands now.", body = ApplicationView)))]
#[post("/v1/applications/{id}/charges/{charge}/revision")]
pub async fn revise_charge(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(place): Path<ChargePath>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<RevisionRequest>,
) -> Result<HttpResponse> {
    let act = body.parse()?;
    let ask = ask(&request, &caller, Some(version), Some(key));
    let render = renderer(true, language(&request));
    let ChargePath { id, charge } = place;
    app.casework.revise_charge(&ask, id, charge, &act, &render).await.map(answered)
}
