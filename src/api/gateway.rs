//! The one middleware: what holds for every request and every answer.
//!
//! Before a handler (and before any body is read): request id, client address, method, token, acceptable media
//! type, public budgets. After it: problem bodies, header fields, the log line and the metrics. Which paths,
//! methods and media types exist is read from the OpenAPI document, so the document cannot disagree with it.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};
use tracing::Instrument as _;

use super::extract::{ClientAddress, budget_of};
use super::limits::Decision;
use super::openapi::{self, Operation, Route};
use super::problem;
use super::reading::HeadersAlone;
use crate::app::App;
use crate::auth::Identity;
use crate::auth::access::unauthenticated;
use crate::error::{Error, ErrorCode, Result};
use crate::permits::statement::STATUS_LIST_PATH;

const NONE: &str = "default-src 'none'; frame-ancestors 'none'";
const DOCS: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The request's id, in the answer's `X-Request-Id`, the log and the problem's `instance`.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Lets a request in, calls what it is for, and dresses the answer.
///
/// # Errors
/// Never of its own: what fails becomes a problem.
pub async fn gateway(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(app) = request.app_data::<App>().cloned() else {
        return Err(Error::bug("the service was built without its App").into());
    };
    let started = Instant::now();
    let id = request_id(request.headers(), &app);
    let address = client_address(&request, &app);
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(ClientAddress(address));
    let asked = request.method().clone();
    let route = openapi::routes().find(request.path());
    let span = tracing::info_span!(
        "request",
        id = %id,
        method = %asked,
        route = route.map_or("unknown", |route| route.template.as_str()),
    );
    let exchange = Exchange {
        operation: route.and_then(|route| route.operation(&asked)).map_or("none", |one| &one.id),
        head: asked == Method::HEAD,
        cors: cors(request.headers(), &app),
        docs: request.path().starts_with("/docs"),
        open: request.path().starts_with("/log/")
            || request.path() == STATUS_LIST_PATH
            || request.path() == "/.well-known/jwks.json",
        allow: route.map(Route::allow),
        id,
        app,
        started,
    };
    async move {
        let answer = match admit(&exchange.app, &mut request, route, address) {
            Ok(None) => next.call(request).await?.map_into_boxed_body(),
            Ok(Some(response)) => request.into_response(response),
            // Not `into_response`: it forgets the error, and with it what to do and when to come back.
            Err(error) => request.error_response(error),
        };
        Ok(exchange.dress(answer))
    }
    .instrument(span)
    .await
}

/// Decides whether the request reaches its handler; answers what needs none.
fn admit(
    app: &App,
    request: &mut ServiceRequest,
    route: Option<&Route>,
    address: IpAddr,
) -> Result<Option<HttpResponse>> {
    // An invalid token is refused everywhere, also where none is needed: its holder should know.
    if let Some(identity) = identify(request.headers(), app)? {
        request.extensions_mut().insert(identity);
    }
    let Some(route) = route else {
        // The router would also find percent-encoded spellings of our paths, past the budgets below: there are none.
        return if request.path().contains('%') { Err(Error::not_found()) } else { Ok(None) };
    };
    if request.method() == Method::OPTIONS {
        return Ok(Some(HttpResponse::NoContent().finish()));
    }
    if request.method() == Method::HEAD && route.operation(&Method::GET).is_some() {
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(HeadersAlone);
    }
    let Some(operation) = route.operation(request.method()) else {
        let detail = format!("Use one of: {}.", route.allow());
        return Err(Error::refused(ErrorCode::MethodNotAllowed, detail));
    };
    if !operation.public && request.extensions().get::<Identity>().is_none() {
        return Err(unauthenticated());
    }
    if operation.lookup {
        let decision = app.limits.lookups.take(&budget_of(address), app.clock.now());
        request.extensions_mut().insert(decision.clone());
        decision.check()?;
    }
    accept(request.headers(), operation)?;
    Ok(None)
}

fn identify(headers: &HeaderMap, app: &App) -> Result<Option<Identity>> {
    let mut fields = headers.get_all(header::AUTHORIZATION);
    let Some(field) = fields.next() else { return Ok(None) };
    let token = field.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && fields.next().is_none() =>
        {
            app.tokens.verify(token.trim(), app.clock.now()).map(Some)
        }
        _ => Err(unauthenticated()),
    }
}

fn accept(headers: &HeaderMap, operation: &Operation) -> Result<()> {
    if operation.offers.is_empty() || !headers.contains_key(header::ACCEPT) {
        return Ok(());
    }
    let wanted = headers.get_all(header::ACCEPT).filter_map(|field| field.to_str().ok());
    let acceptable = wanted.flat_map(|field| field.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && operation.offers.iter().any(|offer| fits(&essence, offer))
    });
    if acceptable {
        return Ok(());
    }
    let detail = format!("Accept one of: {}.", operation.offers.join(", "));
    Err(Error::refused(ErrorCode::NotAcceptable, detail))
}

fn fits(range: &str, offer: &str) -> bool {
    let offer = offer.split(';').next().unwrap_or(offer).trim();
    range == "*/*"
        || range == offer
        || range
            .strip_suffix('*')
            .is_some_and(|kind| kind.ends_with('/') && offer.starts_with(kind))
}

/// Takes the trace's id, else the caller's own request id when it is harmless, else makes one.
fn request_id(headers: &HeaderMap, app: &App) -> String {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let trace = field("traceparent").and_then(|text| {
        let parts: Vec<&str> = text.split('-').collect();
        let hex = |part: &str, length: usize| {
            part.len() == length
                && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match parts.as_slice() {
            [version, trace, parent, flags, ..]
                if hex(version, 2)
                    && *version != "ff"
                    && hex(trace, 32)
                    && trace.bytes().any(|byte| byte != b'0')
                    && hex(parent, 16)
                    && hex(flags, 2) =>
            {
                Some((*trace).to_owned())
            }
            _ => None,
        }
    });
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    trace
        .or_else(|| field("x-request-id").filter(harmless).map(str::to_owned))
        .unwrap_or_else(|| app.clock.new_id().to_string())
}

/// Walks `X-Forwarded-For` from the right as long as trusted proxies stand there.
fn client_address(request: &ServiceRequest, app: &App) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let trusted = |address: IpAddr| app.trusted_proxies.iter().any(|one| one.contains(address));
    let mut address = peer.to_canonical();
    let fields: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .map(str::trim)
        .collect();
    for hop in fields.iter().rev() {
        if !trusted(address) {
            break;
        }
        let Ok(next) = hop.parse::<IpAddr>() else { break };
        address = next.to_canonical();
    }
    address
}

fn cors(headers: &HeaderMap, app: &App) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    app.cors_origins.iter().any(|allowed| origin == allowed.as_str()).then(|| origin.clone())
}

/// What the answer's dress depends on.
struct Exchange<'a> {
    app: App,
    id: String,
    operation: &'a str,
    head: bool,
    docs: bool,
    /// Whether pages of any origin may read the answer: the public log and what permits are verified with are for everybody.
    open: bool,
    allow: Option<String>,
    cors: Option<HeaderValue>,
    started: Instant,
}

impl Exchange<'_> {
    fn dress(self, answer: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let (request, response) = answer.into_parts();
        let mut response = self.state_problem(response);
        let status = response.status();
        let decision = request.extensions().get::<Decision>().cloned();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(HeaderName::from_static("x-request-id"), &self.id);
        set(HeaderName::from_static("api-version"), openapi::VERSION);
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
        set(header::REFERRER_POLICY, "no-referrer");
        set(header::CONTENT_SECURITY_POLICY, if self.docs { DOCS } else { NONE });
        if let Some(decision) = decision {
            set(HeaderName::from_static("ratelimit-policy"), &decision.policy());
            set(HeaderName::from_static("ratelimit"), &decision.state());
        }
        if let Some(allow) = &self.allow
            && (status == StatusCode::METHOD_NOT_ALLOWED || request.method() == Method::OPTIONS)
        {
            set(header::ALLOW, allow);
            if self.cors.is_some() {
                set(header::ACCESS_CONTROL_ALLOW_METHODS, allow);
                set(
                    header::ACCESS_CONTROL_ALLOW_HEADERS,
                    "Accept, Access-Purpose, Authorization, Content-Type, Idempotency-Key, If-Match, \
                     If-None-Match, Traceparent, X-Request-Id",
                );
                set(header::ACCESS_CONTROL_MAX_AGE, "3600");
            }
        }
        if !self.app.cors_origins.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if self.open {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else if let Some(origin) = &self.cors {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(
                    "API-Version, ETag, Idempotency-Replayed, Link, Location, RateLimit, \
                     RateLimit-Policy, Retry-After, X-Request-Id",
                ),
            );
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.head {
            response = response.map_body(|_, body| BoxBody::new(Headless(body.size())));
        }
        let seconds = self.started.elapsed().as_secs_f64();
        tracing::debug!(status = status.as_u16(), seconds, "request answered");
        self.app.metrics.answered(self.operation, status.as_u16(), seconds);
        ServiceResponse::new(request, response)
    }

    /// Writes the problem document of a failure, whoever found it, and logs it: here alone.
    fn state_problem(&self, response: HttpResponse) -> HttpResponse {
        let status = response.status();
        let fault = response.error();
        if fault.is_none() && !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        if let Some(error) = fault.and_then(actix_web::Error::as_error::<Error>) {
            problem::log(error);
            return problem::render(error, &self.id);
        }
        let error = problem::of_status(status);
        problem::log(&error);
        problem::render(&error, &self.id)
    }
}

/// A body that only has a length: the answer to HEAD.
struct Headless(BodySize);

impl MessageBody for Headless {
    type Error = actix_web::Error;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
