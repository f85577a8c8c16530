//! Problem documents (RFC 9457): the one table from an error's code to status, slug and title.
//!
//! Only a [`Refusal`] has text that can reach a body; of every other error the body shows the title alone, and
//! the chain of causes goes to the log. [`gateway`](super::gateway) calls [`render`] and [`log`] once for each
//! failed request; nobody else writes an error body.

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorCode, Refusal, Violation};
use crate::telemetry;

/// The media type of every error body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What each problem's `type` begins with; the slug follows.
pub const TYPE_BASE: &str = "https://propusk.example/problems/";

/// How one code looks to a caller.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The code.
    pub code: ErrorCode,
    /// The HTTP status.
    pub status: u16,
    /// The last part of the problem's `type`.
    pub slug: &'static str,
    /// The problem's `title`.
    pub title: &'static str,
}

const fn entry(code: ErrorCode, status: u16, slug: &'static str, title: &'static str) -> Entry {
    Entry { code, status, slug, title }
}

/// Every code, in the order of the statuses.
pub const TABLE: [Entry; 18] = [
    entry(ErrorCode::InvalidRequest, 400, "invalid-request", "The request does not fit its schema"),
    entry(ErrorCode::Unauthenticated, 401, "unauthenticated", "Valid credentials are needed"),
    entry(ErrorCode::Forbidden, 403, "forbidden", "This is not allowed for your role"),
    entry(ErrorCode::NotFound, 404, "not-found", "There is no such thing"),
    entry(ErrorCode::MethodNotAllowed, 405, "method-not-allowed", "The method is not allowed here"),
    entry(ErrorCode::NotAcceptable, 406, "not-acceptable", "No acceptable media type is on offer"),
    entry(ErrorCode::WrongState, 409, "wrong-state", "The state does not allow this"),
    entry(ErrorCode::ClaimedByAnother, 409, "claimed-by-another", "Another officer holds the case"),
    entry(ErrorCode::RequestInFlight, 409, "request-in-flight", "The same request is in progress"),
    entry(ErrorCode::StaleVersion, 412, "stale-version", "The thing has changed since it was read"),
    entry(ErrorCode::PayloadTooLarge, 413, "payload-too-large", "The body is too large"),
    entry(
        ErrorCode::UnsupportedMediaType,
        415,
        "unsupported-media-type",
        "The body's media type is not accepted",
    ),
    entry(ErrorCode::RuleRefused, 422, "rule-refused", "A rule refuses the request"),
    entry(
        ErrorCode::IdempotencyKeyReused,
        422,
        "idempotency-key-reused",
        "The idempotency key belongs to another request",
    ),
    entry(
        ErrorCode::PreconditionRequired,
        428,
        "precondition-required",
        "The request must say which version it changes",
    ),
    entry(ErrorCode::TooManyRequests, 429, "too-many-requests", "A request limit is exhausted"),
    entry(ErrorCode::Internal, 500, "internal", "The service failed"),
    entry(ErrorCode::Unavailable, 503, "unavailable", "The service is temporarily unavailable"),
];

/// Finds a code's entry in the [`TABLE`].
#[must_use]
pub fn describe(code: ErrorCode) -> Entry {
    let found = TABLE.into_iter().find(|entry| entry.code == code);
    found.unwrap_or(entry(ErrorCode::Internal, 500, "internal", "The service failed"))
}

/// Gives the status of a code.
#[must_use]
pub fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(describe(code).status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// One thing wrong with one place of the request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemError {
    /// JSON pointer (RFC 6901) into the body, or the name of the header or parameter.
    #[schema(max_length = 1024, example = "/form/birthDate")]
    pub pointer: String,
    /// Stable code for programs.
    #[schema(max_length = 100, pattern = "^[a-z0-9-]+$", example = "required")]
    pub code: String,
    /// What to do.
    #[schema(max_length = 1024, example = "Add this member.")]
    pub detail: String,
}

/// A problem document (RFC 9457); further members depend on the type, such as `state` with `wrong-state`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem; the last segment is stable.
    #[schema(
        format = "uri",
        max_length = 200,
        example = "https://propusk.example/problems/not-found"
    )]
    pub r#type: String,
    /// The kind of problem in words.
    #[schema(max_length = 200, example = "There is no such thing")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// What to do about it; absent from failures of the service itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024, example = "There is nothing here that you may see.")]
    pub detail: Option<String>,
    /// This very occurrence: quote it when you ask for help.
    #[schema(max_length = 200, example = "/requests/0199a5d2-7c1e-7000-8000-2f6d1c0b9a31")]
    pub instance: String,
    /// Everything wrong with the request, all at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub errors: Vec<ProblemError>,
    /// Members that belong to this type of problem alone.
    #[serde(flatten)]
    #[schema(ignore)]
    pub facts: Map<String, Value>,
}

impl Problem {
    /// Makes the document of `error` for the request named `request_id`.
    #[must_use]
    pub fn of(error: &Error, request_id: &str) -> Self {
        let entry = describe(error.code());
        let refusal = shown(error);
        Self {
            r#type: format!("{TYPE_BASE}{}", entry.slug),
            title: entry.title.to_owned(),
            status: entry.status,
            detail: refusal.map(|refusal| refusal.detail.clone().into_owned()),
            instance: format!("/requests/{request_id}"),
            errors: refusal
                .map(|refusal| refusal.violations.iter().take(100).map(ProblemError::of).collect())
                .unwrap_or_default(),
            facts: refusal.map(|refusal| refusal.facts.clone()).unwrap_or_default(),
        }
    }
}

impl ProblemError {
    fn of(violation: &Violation) -> Self {
        Self {
            pointer: violation.pointer.clone(),
            code: violation.code.clone().into_owned(),
            detail: violation.detail.clone(),
        }
    }
}

/// What of an error may be shown: the whole refusal, and of a failure of ours nothing.
fn shown(error: &Error) -> Option<&Refusal> {
    match error {
        Error::Refused(refusal) if refusal.code != ErrorCode::Internal => Some(refusal),
        Error::Refused(_) | Error::Corrupt { .. } | Error::Internal { .. } => None,
    }
}

/// Renders `error` as the answer to the request named `request_id`.
#[must_use]
pub fn render(error: &Error, request_id: &str) -> HttpResponse {
    let problem = Problem::of(error, request_id);
    let code = error.code();
    let mut response = HttpResponse::build(status(code));
    response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if code == ErrorCode::Unauthenticated {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if let Some(seconds) = shown(error).and_then(|refusal| refusal.retry_after) {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    match serde_json::to_vec(&problem) {
        Ok(body) => response.body(body),
        Err(_) => response.finish(),
    }
}

/// Makes an error of a bare status that no handler of ours chose (the router's 404, the server's 413).
#[must_use]
pub fn of_status(status: StatusCode) -> Error {
    let refused = |code, detail: &'static str| Error::refused(code, detail);
    match status.as_u16() {
        401 => refused(ErrorCode::Unauthenticated, "Send a valid access token."),
        403 => refused(ErrorCode::Forbidden, "Your role may not do this."),
        404 => Error::not_found(),
        405 => refused(ErrorCode::MethodNotAllowed, "Use one of the methods that Allow names."),
        406 => refused(ErrorCode::NotAcceptable, "Accept application/json."),
        413 => refused(ErrorCode::PayloadTooLarge, "Send a smaller body."),
        415 => refused(ErrorCode::UnsupportedMediaType, "Send application/json."),
        400..=499 => refused(ErrorCode::InvalidRequest, "The request cannot be understood."),
        other => Error::bug(format!("a bare status {other} was answered")),
    }
}

/// Logs a failed request, once: refusals as information, failures of ours with every cause.
pub fn log(error: &Error) {
    let entry = describe(error.code());
    if entry.status >= 500 {
        tracing::error!(status = entry.status, problem = entry.slug, error = %telemetry::chain(error), "request failed");
    } else {
        let places: Vec<&str> = shown(error)
            .map(|refusal| refusal.violations.iter().map(|one| one.pointer.as_str()).collect())
            .unwrap_or_default();
        tracing::info!(status = entry.status, problem = entry.slug, ?places, "request refused");
    }
}

/// Lets handlers return [`Error`]. The gateway replaces this answer by the full document.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.code())
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_slug() {
        let mut slugs: Vec<_> = TABLE.iter().map(|entry| entry.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), TABLE.len());
    }

    #[test]
    fn text_of_ours_never_reaches_a_body() {
        for error in [
            Error::internal("secret context", std::io::Error::other("secret cause")),
            Error::Corrupt { table: "secret", column: "secret", row: "secret".to_owned() },
            Error::refused(ErrorCode::Internal, "secret"),
        ] {
            let body = serde_json::to_string(&Problem::of(&error, "r")).unwrap();
            assert!(!body.contains("secret"), "{body}");
            assert!(body.contains("\"instance\":\"/requests/r\""));
        }
    }
}
