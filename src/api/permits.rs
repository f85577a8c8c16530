//! Permits that prove themselves: the QR for its holder, and for anyone the keys and how all permits stand.

use std::io::Write as _;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::extract::{IfNoneMatch, Path, media_type};
use super::reading::{PurposeHeader, Read, Reading};
use crate::app::App;
use crate::auth::access::ApplicantOrOffice;
use crate::domain::permit::PermitStatus;
use crate::error::{Error, ErrorCode, Result};
use crate::permits::keys::{Jwk, PublishedKeys};
use crate::permits::statement::{STATUS_LIST_PATH, Statement};
use crate::permits::status_list::{self, Bits};
use crate::qr::Qr;
use crate::storage::permits;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(show_jwks).service(show_status_list).service(show_permit_qr);
}

/// Public keys
///
/// The keys that sign permits and their status list (`purpose` is `permits`), and access tokens (`sessions`), as a JWK set.
/// Retired keys of permits stay in it until all that they signed is over.
#[utoipa::path(tag = "public", security(()), responses(
    (status = 200, description = "The keys.", body = PublishedKeys),
    (status = 304, description = "They have not changed.")))]
#[get("/.well-known/jwks.json")]
pub async fn show_jwks(app: App, seen: IfNoneMatch) -> HttpResponse {
    let mut set = app.permit_keys.published(app.clock.now());
    let (kid, x) = app.tokens.public_key();
    set.keys.push(Jwk::ed25519(kid.to_owned(), x.to_owned(), "sessions"));
    // Serialising strings and numbers cannot fail.
    let body = serde_json::to_string(&set).unwrap_or_default();
    cached(&seen, &etag_of(&body), "public, max-age=300", "application/json", body)
}

/// The status list of a minute, signed.
struct SignedList {
    minute: DateTime<Utc>,
    text: web::Bytes,
    gzip: web::Bytes,
    etag: String,
}

/// Keeps the status list of the last minute in which somebody asked; who asks meanwhile waits for the one that is made.
#[derive(Default)]
pub struct StatusListCache(Mutex<Option<Arc<SignedList>>>);

/// How all permits stand
///
/// One signed list with two bits for each permit (0 valid, 1 not valid, 2 suspended), after draft-ietf-oauth-status-list: a
/// permit's QR names its place. It is made anew every minute, and may be used off line for a day. `openapi/permits.md` has it
/// byte for byte.
#[utoipa::path(tag = "public", security(()), responses(
    (status = 200, description = "The list.", body = String, content_type = "application/statuslist+jwt"),
    (status = 304, description = "It has not changed.")))]
#[get("/v1/permits/status-list")]
pub async fn show_status_list(
    app: App,
    request: HttpRequest,
    seen: IfNoneMatch,
) -> Result<HttpResponse> {
    let list = current_list(&app).await?;
    let gzip = takes_gzip(&request);
    let body = if gzip { list.gzip.clone() } else { list.text.clone() };
    let kind = "application/statuslist+jwt";
    let mut answer = cached(&seen, &list.etag, "public, max-age=60", kind, body);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip && answer.status() == StatusCode::OK {
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let fields = request.headers().get_all(header::ACCEPT_ENCODING);
    fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(',')).any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let gzip = pieces.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        gzip && !pieces.any(|piece| matches!(piece, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

async fn current_list(app: &App) -> Result<Arc<SignedList>> {
    let now = app.clock.now();
    let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
    let mut kept = app.status_list.0.lock().await;
    if let Some(list) = kept.as_ref().filter(|list| list.minute == minute) {
        return Ok(Arc::clone(list));
    }
    let mut bits = Bits::default();
    let mut conn = app.db.conn().await?;
    permits::each_status(&mut conn, now, |place, status| bits.set(place, status.into())).await?;
    drop(conn);
    let signing = app.clone();
    let (text, gzip) = web::block(move || {
        let uri = format!("{}{STATUS_LIST_PATH}", signing.public_url);
        let text = status_list::sign(&bits, &uri, minute, &signing.permit_keys);
        // What is packed stands in base64 in base64: half of that is given back.
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = packer.write_all(text.as_bytes()).and_then(|()| packer.finish());
        gzip.map(|gzip| (text, gzip))
    })
    .await
    .map_err(|error| Error::internal("the status list was not signed", error))?
    .map_err(|error| Error::internal("the status list was not packed", error))?;
    let etag = format!("W/{}", etag_of(&text));
    let list = Arc::new(SignedList { minute, etag, text: text.into(), gzip: gzip.into() });
    *kept = Some(Arc::clone(&list));
    Ok(list)
}

/// The QR of a permit
///
/// Gives what is printed on a permit so that it proves itself: a QR as SVG or PNG, or the signed text in it
/// (`openapi/permits.md`). The same permit and key give the same bytes. For the permit's applicant and officers of its unit.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), PurposeHeader),
    responses((status = 200, description = "The QR.",
        content((String = "image/svg+xml"), (Vec<u8> = "image/png"), (String = "application/jwt"), (String = "text/plain"))),
    (status = 409, description = "There is no permit, or it is over.")))]
#[get("/v1/applications/{id}/permit/qr")]
pub async fn show_permit_qr(
    app: App,
    request: HttpRequest,
    reader: Reading<ApplicantOrOffice>,
    Path(id): Path<Uuid>,
) -> Result<HttpResponse> {
    let (read, statement) = app
        .casework
        .see(&reader.actor(), id, |seen| {
            let permit = seen.application.permit.as_ref().ok_or_else(|| over(None))?;
            if !matches!(permit.status, PermitStatus::InForce | PermitStatus::Suspended) {
                return Err(over(Some(permit.status)));
            }
            let zone = seen.unit.time_zone;
            let statement = Statement::of(seen.application, zone, &app.public_url);
            let read = Read::new("permitRead", &["permit"]).of(seen);
            Ok((read, statement.ok_or_else(|| over(Some(permit.status)))?))
        })
        .await?;
    let answer = draw(&request, statement.sign(&app.permit_keys))?;
    reader.answer(&app, read, answer).await
}

fn over(status: Option<PermitStatus>) -> Error {
    let detail = match status {
        None => "No permit has been issued; ask again when it is in force.",
        Some(_) => "The permit is not in force; there is nothing left to be proved.",
    };
    let error = Error::refused(ErrorCode::WrongState, detail);
    let name = status.and_then(|status| serde_json::to_value(status).ok());
    match name {
        Some(name) => error.with_fact("permitStatus", name),
        None => error,
    }
}

/// Writes a signed text as the media type that the caller likes best.
fn draw(request: &HttpRequest, text: String) -> Result<HttpResponse> {
    let kind =
        media_type(request, &["image/svg+xml", "image/png", "application/jwt", "text/plain"]);
    let code = || Qr::new(&text).ok_or_else(|| Error::bug("a permit does not fit into a QR"));
    let body: web::Bytes = match kind {
        "image/svg+xml" => code()?.svg().into(),
        "image/png" => code()?.png().ok_or_else(|| Error::bug("a QR was not painted"))?.into(),
        _ => text.into(),
    };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::VARY, "Accept, Authorization"))
        .body(body))
}

fn etag_of(text: &str) -> String {
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(text.as_bytes())[..16]);
    format!("\"{digest}\"")
}

/// Sends what caches may keep, or 304 to who has it already. Pages of any origin may read it.
fn cached(
    seen: &IfNoneMatch,
    etag: &str,
    cache: &'static str,
    kind: &'static str,
    body: impl Into<web::Bytes>,
) -> HttpResponse {
    let known = seen.names(etag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, cache)).insert_header((header::ETAG, etag));
    if known { response.finish() } else { response.content_type(kind).body(body.into()) }
}
