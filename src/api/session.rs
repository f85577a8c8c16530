//! Logging in, going on and logging out.
//!
//! Whatever is wrong with a log-in, the answer and its time are the same. Budgets are taken before anything is
//! looked up, by address and by account.

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, delete, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::extract::{ClientAddress, Json, budget_of};
use super::limits::Limiter;
use crate::app::App;
use crate::auth::access::{AnyUser, Caller};
use crate::auth::tokens::LIFETIME;
use crate::auth::{Identity, refused_login};
use crate::domain::actor::Role;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::accounts::{self, Account, NewSession, Rotation};
use crate::storage::events::PlainEvent;

/// How long a session can go on without a new log-in.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::days(14);

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(open_session).service(refresh_session).service(end_session);
}

/// Who wants to log in.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginRequest {
    /// The account's e-mail address, in any case.
    #[validate(length(min = 3, max = 254))]
    #[schema(min_length = 3, max_length = 254, example = "officer@example.org")]
    pub email: String,
    /// The password.
    #[validate(length(min = 1, max = 256))]
    #[schema(min_length = 1, max_length = 256, format = Password, example = "tundra lantern quartz ferry")]
    pub password: String,
}

/// A session that is to go on.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefreshRequest {
    /// The refresh token of the latest answer.
    #[validate(length(min = 43, max = 43))]
    #[schema(
        min_length = 43,
        max_length = 43,
        pattern = "^[A-Za-z0-9_-]{43}$",
        example = "mF_9.B5f-4.1JqM0vT2xYc8Zr6Lk3Nw7Qp5Hs1Dg4Ba9Ue"
    )]
    pub refresh_token: String,
}

/// A session's tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// For `Authorization: Bearer …`.
    #[schema(
        max_length = 2048,
        example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.e30.c2ln"
    )]
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(max_length = 10, example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds for which the access token is valid.
    #[schema(minimum = 1, example = 600)]
    pub expires_in: i64,
    /// For one use at `/v1/session/refresh`; its second use ends the session.
    #[schema(max_length = 43, example = "x4rU0mP6n2Qw8Zt1Vb3Ky5Jd7Hs9Lf0Gc2Ra4Ne6Mo8")]
    pub refresh_token: String,
    /// Who is logged in.
    pub account: AccountView,
}

/// An account as its holder sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// The id.
    pub id: Uuid,
    /// The name to show.
    #[schema(max_length = 200, example = "Anna Petrova")]
    pub name: String,
    /// The only role.
    #[schema(max_length = 20, example = "officer")]
    pub role: &'static str,
    /// The unit's code, for officers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 5, example = "77")]
    pub unit: Option<String>,
}

/// Log in
///
/// Opens a session with an e-mail address and a password.
#[utoipa::path(tag = "session", security(()), responses(
    (status = 200, description = "Logged in.", body = SessionView),
    (status = 401, description = "The address or the password is wrong; which one is not said."),
    (status = 429, description = "Too many attempts from this address or at this account."),
))]
#[post("/v1/session")]
pub async fn open_session(
    app: App,
    request: HttpRequest,
    address: ClientAddress,
    Json(login): Json<LoginRequest>,
) -> Result<HttpResponse> {
    let email = login.email.trim().to_lowercase();
    spend(&request, &app, &app.limits.logins, &budget_of(address.0))?;
    spend(&request, &app, &app.limits.accounts, &email)?;
    let found = accounts::find_by_email(&app.db, &email).await?;
    let (account, hash) = found.map(|one| (one.account, one.password_hash)).unzip();
    let fits = app.passwords.verify(login.password, hash).await?;
    let Some(account) = account.filter(|_| fits) else { return Err(refused_login()) };
    let now = app.clock.now();
    let (token, digest) = new_token(&app);
    let session = NewSession {
        id: app.clock.new_id(),
        account: account.id,
        created_at: now,
        expires_at: now + SESSION_LIFETIME,
        digest,
    };
    let event = event(&app, "sessionOpened", session.id, &account);
    accounts::open_session(&app.db, &session, &event).await?;
    answer(&app, session.id, account, token)
}

/// Go on
///
/// Exchanges a refresh token for new tokens. Each is good once: when one comes a second time, somebody else may
/// have it, and the session ends.
#[utoipa::path(tag = "session", security(()), responses(
    (status = 200, description = "The session goes on with new tokens.", body = SessionView),
    (status = 401, description = "The token is unknown, used or its session is over; log in again."),
    (status = 429, description = "Too many attempts from this address."),
))]
#[post("/v1/session/refresh")]
pub async fn refresh_session(
    app: App,
    request: HttpRequest,
    address: ClientAddress,
    Json(refresh): Json<RefreshRequest>,
) -> Result<HttpResponse> {
    spend(&request, &app, &app.limits.logins, &budget_of(address.0))?;
    let digest = Sha256::digest(refresh.refresh_token.as_bytes()).into();
    let (token, next) = new_token(&app);
    let reused =
        |session: Uuid, account: &Account| event(&app, "refreshTokenReused", session, account);
    match accounts::rotate(&app.db, &digest, &next, app.clock.now(), reused).await? {
        Rotation::Rotated { session, account } => answer(&app, session, account, token),
        Rotation::Reused { session, account } => {
            tracing::warn!(%session, account = %account.id, "a refresh token was used twice");
            Err(over())
        }
        Rotation::Refused => Err(over()),
    }
}

/// Log out
///
/// Ends the session: its refresh token is void at once, its access token within ten minutes.
#[utoipa::path(tag = "session", responses((status = 204, description = "Logged out.")))]
#[delete("/v1/session")]
pub async fn end_session(app: App, caller: Caller<AnyUser>) -> Result<HttpResponse> {
    let Identity { account, role, unit, name, session } = caller.identity().clone();
    let account = Account { id: account, name, role, unit };
    let event = event(&app, "sessionEnded", session, &account);
    accounts::end_session(&app.db, session, app.clock.now(), &event).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn spend(request: &HttpRequest, app: &App, limiter: &Limiter, key: &str) -> Result<()> {
    let decision = limiter.take(key, app.clock.now());
    request.extensions_mut().insert(decision.clone());
    decision.check()
}

fn over() -> Error {
    Error::refused(ErrorCode::Unauthenticated, "This session is over; log in again.")
}

/// Makes a refresh token and the digest under which it is kept.
fn new_token(app: &App) -> (String, [u8; 32]) {
    let mut secret = [0; 32];
    app.clock.fill(&mut secret);
    let token = URL_SAFE_NO_PAD.encode(secret);
    let digest = Sha256::digest(token.as_bytes()).into();
    (token, digest)
}

fn event(app: &App, kind: &'static str, session: Uuid, account: &Account) -> PlainEvent {
    let content = serde_json::json!({ "session": session });
    PlainEvent::now(&*app.clock, kind, account.role.name(), content)
        .by(account.id)
        .in_unit(account.unit.clone())
}

fn answer(
    app: &App,
    session: Uuid,
    account: Account,
    refresh_token: String,
) -> Result<HttpResponse> {
    let Account { id, name, role, unit } = account;
    let identity = Identity { account: id, role, unit: unit.clone(), name: name.clone(), session };
    Ok(HttpResponse::Ok().json(SessionView {
        access_token: app.tokens.issue(&identity, &*app.clock)?,
        token_type: "Bearer",
        expires_in: LIFETIME.num_seconds(),
        refresh_token,
        account: AccountView { id, name, role: Role::name(role), unit },
    }))
}
