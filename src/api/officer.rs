//! Operations for case officers and senior officers: claims by hand; and in modules of their own the [`queues`] of their unit, [`search`] and [`workload`].
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

pub mod queues;
pub mod search;
pub mod workload;

use actix_web::{HttpRequest, HttpResponse, delete, put};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::{ask, language, renderer};
use super::extract::{IfMatch, IfMatchHeader, Path, Query, answered};
use super::views::ApplicationView;
use crate::app::App;
use crate::auth::access::{Access, Caller, Office};
use crate::error::{Error, Result};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    queues::configure(config);
    search::configure(config);
    workload::configure(config);
    config.service(claim_application).service(release_application);
}

pub(super) fn unit<A: Access>(caller: &Caller<A>) -> Result<&str> {
    caller.unit().ok_or_else(|| Error::bug("an officer's token names no unit"))
}

/// Claim an application
///
/// Takes a lease on an application, or renews the caller's own: send it as a sign of life. `If-Match` matters only where
/// nobody holds it: a colleague's lease is 409 with `holderName`, and the caller's own is renewed, whatever version he saw.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader), responses(
    (status = 200, description = "The application is the caller's until the lease ends.", body = ApplicationView),
    (status = 409, description = "A colleague holds it (`claimed-by-another`): `holderName` says who, `until` how long at the latest."),
    (status = 412, description = "Nobody holds it, and it has changed since the caller saw it.")))]
#[put("/v1/applications/{id}/claim")]
pub async fn claim_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.claim(&ask, id, &render).await.map(answered)
}

/// Why a lease is ended.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReleaseQuery {
    /// Why a senior officer ends a colleague's lease; one's own needs no reason.
    #[validate(length(min = 1, max = 500))]
    #[param(min_length = 1, max_length = 500, example = "On sick leave")]
    pub reason: Option<String>,
}

/// Release an application
///
/// Gives the caller's lease back; a senior officer can end a colleague's and says why in `reason`.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), ReleaseQuery, IfMatchHeader), responses(
    (status = 200, description = "Nobody holds the application.", body = ApplicationView)))]
#[delete("/v1/applications/{id}/claim")]
pub async fn release_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    Query(query): Query<ReleaseQuery>,
    version: IfMatch,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.release(&ask, id, query.reason.as_deref(), &render).await.map(answered)
}
