//! What a handler takes from a request; every failure is a problem document.
//!
//! [`Json`], [`Path`] and [`Query`] are named like actix's, so that utoipa documents them by itself. All of them
//! first ask [`gate`], so that a wrong role answers before a wrong body (see [`crate::auth::access`]).

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use validator::Validate;

use super::json;
use crate::auth::access::gate;
use crate::casework::{Answer, Idempotency};
use crate::error::{Error, ErrorCode, Result, Violation};

pub use super::json::{from_tree, read_tree};
pub use crate::casework::etag;

/// The largest JSON body, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;

type Extracted<T> = LocalBoxFuture<'static, Result<T>>;

/// A JSON body that fits `T`: no unknown, doubled, missing or mistyped member, no array for an object, no NUL.
///
/// `T` derives `Deserialize` with `rename_all = "camelCase"` and `deny_unknown_fields`, and `Validate`. An
/// internally tagged enum loses serde's knowledge of inner types: give its variants structs of plain members.
/// Fails with 400 (all violations), 413 or 415.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        async move {
            gate(&request)?;
            let body = body(&request, payload).await?;
            request.extensions_mut().insert(BodyDigest(Sha256::digest(&body).into()));
            json::read(&body).map(Self).map_err(Error::invalid)
        }
        .boxed_local()
    }
}

/// Reads a body that a handler took whole, because it is signed as it stands; refuses what [`Json`] refuses.
///
/// # Errors
/// 400 with every violation, or 415.
pub fn read_json<T: DeserializeOwned + Validate>(request: &HttpRequest, body: &[u8]) -> Result<T> {
    check_media_type(request)?;
    json::read(body).map_err(Error::invalid)
}

async fn body(request: &HttpRequest, mut payload: Payload) -> Result<web::BytesMut> {
    check_media_type(request)?;
    let too_large = || {
        Error::refused(ErrorCode::PayloadTooLarge, "Send a body of at most 262144 bytes.")
            .with_fact("limitBytes", BODY_LIMIT)
    };
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_LIMIT) {
        return Err(too_large());
    }
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            let detail = "Send the body whole; it ended before its announced length.";
            Error::invalid(vec![Violation::new("", "incomplete-body", detail)])
        })?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn check_media_type(request: &HttpRequest) -> Result<()> {
    let refuse = |detail| Err(Error::refused(ErrorCode::UnsupportedMediaType, detail));
    let text = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = text.unwrap_or_default().split(';').map(str::trim);
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return refuse("Send the body as application/json and say so in Content-Type.");
    }
    let other_charset = parts.any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.eq_ignore_ascii_case("charset")
            && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if other_charset {
        return refuse("Send the body in UTF-8.");
    }
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => refuse("Send the body without a Content-Encoding."),
        _ => Ok(()),
    }
}

/// The parameters in the path; one that does not parse names nothing, so it fails with 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Path<T> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            gate(&request)?;
            let nul = request.uri().path().contains("%00");
            match web::Path::<T>::extract(&request).await {
                Ok(path) if !nul => Ok(Self(path.into_inner())),
                _ => Err(Error::not_found()),
            }
        }
        .boxed_local()
    }
}

/// The parameters of the query string; fails with 400 and every violation by parameter name.
///
/// `limit` and `cursor` belong to [`PageQuery`](super::page::PageQuery), which may be taken beside another.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Query<T> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            gate(&request)?;
            let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
            let pairs = pairs.map_err(|_| {
                let detail = "Send name=value pairs, percent-encoded UTF-8, with & between them.";
                Error::invalid(vec![Violation::new("", "malformed-query", detail)])
            })?;
            json::read_query(pairs.into_inner(), &["limit", "cursor"])
                .map(Self)
                .map_err(Error::invalid)
        }
        .boxed_local()
    }
}

// ── Header fields ─────────────────────────────────────────────────────────────────────────────────────────

/// The version that the caller read and wants to change, from `If-Match: "v12"`.
///
/// Fails with 428 when the field is missing, 412 when it names something that never was a version, 400 when it
/// is no single entity tag (`*` would change what the caller has not seen). Document it with
/// `params(IfMatchHeader)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub i32);

/// Documents [`IfMatch`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents a header field")]
pub struct IfMatchHeader {
    /// The `ETag` that was read: the change happens only if it is still the current one.
    #[param(rename = "If-Match", max_length = 64, pattern = "^\"v[0-9]+\"$", example = "\"v3\"")]
    if_match: String,
}

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            gate(&request)?;
            let field = single(&request, &header::IF_MATCH)?.ok_or_else(|| {
                Error::refused(
                    ErrorCode::PreconditionRequired,
                    "Send If-Match with the ETag that you read; read the thing first if you have none.",
                )
            })?;
            let tag = field.strip_prefix("W/").unwrap_or(&field);
            let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let Some(inner) = inner.filter(|inner| !inner.contains('"')) else {
                let detail = "Send exactly one entity tag, as in If-Match: \"v3\".";
                return Err(Error::invalid(vec![Violation::new("If-Match", "malformed", detail)]));
            };
            let version = inner.strip_prefix('v').and_then(|digits| digits.parse().ok());
            // If-Match compares strongly (RFC 9110, 13.1.1): a weak tag matches nothing.
            version.filter(|_| !field.starts_with("W/")).map(Self).ok_or_else(|| {
                let detail = "This is not the current version; read the thing again and decide anew.";
                Error::refused(ErrorCode::StaleVersion, detail)
            })
        }
        .boxed_local()
    }
}

/// What a PUT rests on: the version that the caller read (`If-Match: "v3"`), or that there is no such thing yet
/// (`If-None-Match: *`).
///
/// Fails with 428 when neither is sent, 400 for both or for another `If-None-Match`, else as [`IfMatch`]. Document it with
/// `params(PreconditionHeader)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// It has this version.
    Version(i32),
    /// It is not there.
    Absent,
}

/// Documents [`Precondition`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents header fields")]
pub struct PreconditionHeader {
    /// The `ETag` that was read: the change happens only if it is still the current one.
    #[param(rename = "If-Match", max_length = 64, pattern = "^\"v[0-9]+\"$", example = "\"v3\"")]
    if_match: Option<String>,
    /// `*`: it happens only if there is no such thing yet. One of the two fields is needed.
    #[param(rename = "If-None-Match", max_length = 1, pattern = "^\\*$")]
    if_none_match: Option<String>,
}

impl FromRequest for Precondition {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let version = IfMatch::from_request(request, payload);
        let request = request.clone();
        async move {
            gate(&request)?;
            let Some(field) = single(&request, &header::IF_NONE_MATCH)? else {
                return version.await.map(|version| Self::Version(version.0));
            };
            if field == "*" && single(&request, &header::IF_MATCH)?.is_none() {
                return Ok(Self::Absent);
            }
            let detail = "Send If-None-Match: * alone for a new thing, or If-Match with the ETag of one that is there.";
            Err(Error::invalid(vec![Violation::new("If-None-Match", "malformed", detail)]))
        }
        .boxed_local()
    }
}

/// The versions that the caller has already, from `If-None-Match`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Option<String>);

impl IfNoneMatch {
    /// Tells whether the caller has this version, so that 304 is the answer.
    #[must_use]
    pub fn has(&self, version: i32) -> bool {
        self.names(&etag(version))
    }

    /// Tells whether the caller names this entity tag; weak ones compare as strong ones (RFC 9110, section 13.1.2).
    #[must_use]
    pub fn names(&self, current: &str) -> bool {
        let current = current.strip_prefix("W/").unwrap_or(current);
        self.0.as_deref().is_some_and(|field| {
            field
                .split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == current)
        })
    }
}

impl FromRequest for IfNoneMatch {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let field = request.headers().get(header::IF_NONE_MATCH);
        ready(Ok(Self(field.and_then(|value| value.to_str().ok()).map(str::to_owned))))
    }
}

/// The key under which the answer to this request is kept: the required `Idempotency-Key`.
///
/// Quoted (a structured field string, as draft-ietf-httpapi-idempotency-key-header says) or bare; 1 to 255
/// visible ASCII characters, else 400. Document it with `params(IdempotencyKeyHeader)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// Documents [`IdempotencyKey`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents a header field")]
pub struct IdempotencyKeyHeader {
    /// Names this request: sent again with the same key and body, it answers the same and does nothing.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "8e03978e-40d5-43dd-bc93-6894a57f9324"
    )]
    idempotency_key: String,
}

impl FromRequest for IdempotencyKey {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            gate(&request)?;
            let refuse = |code: &'static str, detail: &str| {
                Error::invalid(vec![Violation::new("Idempotency-Key", code, detail)])
            };
            let name = header::HeaderName::from_static("idempotency-key");
            let field = single(&request, &name)?.ok_or_else(|| {
                refuse("required", "Send an Idempotency-Key, such as a new UUID for each request.")
            })?;
            let quoted = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let key = quoted.unwrap_or(&field);
            if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(refuse("malformed", "Send 1 to 255 visible ASCII characters."));
            }
            Ok(Self(key.to_owned()))
        }
        .boxed_local()
    }
}

/// Gives the media type that the caller likes best among `offers`, the first of which stands for all where he does not say.
///
/// That one of them is acceptable at all is the gateway's concern.
pub(super) fn media_type(request: &HttpRequest, offers: &[&'static str]) -> &'static str {
    let fields = request.headers().get_all(header::ACCEPT);
    let wanted = fields.filter_map(|field| field.to_str().ok()).collect::<Vec<_>>().join(",");
    let weight = |offer: &str| {
        let kind = offer.split('/').next().unwrap_or_default();
        // The most exact range that covers it decides (RFC 9110, section 12.5.1).
        let ranges = wanted.split(',').filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let range = pieces.next()?.to_ascii_lowercase();
            let exact = [offer.to_owned(), format!("{kind}/*"), "*/*".to_owned()];
            let exact = exact.iter().position(|one| *one == range)?;
            let weight = pieces.find_map(|piece| piece.strip_prefix("q=")?.parse::<f32>().ok());
            Some((exact, weight.unwrap_or(1.0)))
        });
        ranges.min_by_key(|(exact, _)| *exact).map_or(0.0, |(_, weight)| weight)
    };
    let mut best = (0.0, offers.first().copied().unwrap_or_default());
    for offer in offers {
        if weight(offer) > best.0 {
            best = (weight(offer), *offer);
        }
    }
    best.1
}

/// Gives a header field that may stand at most once.
pub(super) fn single(request: &HttpRequest, name: &header::HeaderName) -> Result<Option<String>> {
    let mut fields = request.headers().get_all(name);
    let first = fields.next().map(|value| value.to_str().unwrap_or("\u{fffd}").trim().to_owned());
    if fields.next().is_some() {
        let violation = Violation::new(name.as_str(), "duplicate", "Send this field once.");
        return Err(Error::invalid(vec![violation]));
    }
    Ok(first)
}

struct BodyDigest([u8; 32]);

/// Gives SHA-256 over the request's method, path, query and body: what an idempotency key is bound to.
///
/// To be called in a handler, when [`Json`] has read the body; without a body that of the empty one counts.
#[must_use]
pub fn fingerprint(request: &HttpRequest) -> [u8; 32] {
    let extensions = request.extensions();
    let body = extensions.get::<BodyDigest>();
    let body = body.map_or_else(|| Sha256::digest(b"").into(), |digest| digest.0);
    let mut hash = Sha256::new();
    for part in [request.method().as_str(), request.path(), request.query_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(body);
    hash.finalize().into()
}

/// Gives the key of an address's budgets. One subscriber has a whole /64 of IPv6: it is one caller.
#[must_use]
pub fn budget_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// The caller's address, as far as the trusted proxies tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequest for ClientAddress {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let address = request.extensions().get::<Self>().copied();
        ready(address.ok_or_else(|| Error::bug("no gateway stands before this handler")))
    }
}

// ── Answers of casework ───────────────────────────────────────────────────────────────────────────────────

impl IdempotencyKey {
    /// Binds the key to the request it came with; to be called in the handler.
    #[must_use]
    pub fn bind(self, request: &HttpRequest) -> Idempotency {
        Idempotency { key: self.0, fingerprint: fingerprint(request) }
    }
}

/// Sends an answer of casework, new or repeated.
#[must_use]
pub fn answered(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if let Some(etag) = answer.etag {
        response.insert_header((header::ETAG, etag));
    }
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    if answer.replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    if answer.body.is_empty() {
        return response.finish();
    }
    response.content_type("application/json").body(answer.body)
}

/// Sends a view with its entity tag, or 304 when the caller has this version already.
#[must_use]
pub fn versioned<V: serde::Serialize>(
    view: &V,
    version: i32,
    if_none_match: &IfNoneMatch,
) -> HttpResponse {
    let vary = (header::VARY, "Accept-Language, Authorization");
    if if_none_match.has(version) {
        return HttpResponse::NotModified()
            .insert_header((header::ETAG, etag(version)))
            .insert_header(vary)
            .finish();
    }
    HttpResponse::Ok().insert_header((header::ETAG, etag(version))).insert_header(vary).json(view)
}
