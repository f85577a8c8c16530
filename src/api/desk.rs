//! What officers do with applications besides working on them: notes, urgency, reassignment, many at once.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, delete, post, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::applicant::{ask, language, listed, renderer};
use super::extract::{
    IdempotencyKey, IdempotencyKeyHeader, IfMatch, IfMatchHeader, Json, Path, answered,
};
use super::gateway::RequestId;
use super::problem::{self, Problem};
use super::views::ApplicationView;
use crate::app::App;
use crate::auth::access::{Caller, Office, Senior};
use crate::casework::Answer;
use crate::casework::bulk::{Action, MAX_ITEMS};
use crate::error::{Error, Result, Violation};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(add_note)
        .service(expedite_application)
        .service(end_expedition)
        .service(reassign_application)
        .service(send_reminder)
        .service(change_many);
}

/// A note for colleagues.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteRequest {
    /// The text; the applicant never sees it.
    #[validate(length(min = 1, max = 2000))]
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "Called; brings the translation tomorrow."
    )]
    pub text: String,
}

/// Why something is done.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The visa of the worker's family ends.")]
    pub reason: String,
}

/// To whom an application goes, and why.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReassignRequest {
    /// Account of an officer of the unit.
    pub to: Uuid,
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "Is on leave from Monday.")]
    pub reason: String,
}

/// What can be done with many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum BulkAction {
    /// Give each to the officer named in `to`.
    Reassign,
    /// End the lease of each.
    Release,
    /// Remind the applicant of each.
    Remind,
}

/// The same for many applications.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BulkRequest {
    /// What to do with each.
    pub action: BulkAction,
    /// The applications, each once.
    #[validate(length(min = 1, max = 200), custom(function = "unique"))]
    #[schema(min_items = 1, max_items = 200)]
    pub applications: Vec<Uuid>,
    /// Account of an officer of the unit: with `reassign`, and only then.
    pub to: Option<Uuid>,
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "Is on leave from Monday.")]
    pub reason: String,
}

fn unique(applications: &[Uuid]) -> Result<(), ValidationError> {
    let mut sorted = applications.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == applications.len() {
        return Ok(());
    }
    Err(ValidationError::new("listed-twice").with_message("Name each application once.".into()))
}

/// What became of one application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkItemView {
    /// The application.
    pub application: Uuid,
    /// The status that a request about it alone would have got.
    #[schema(minimum = 200, maximum = 599, example = 200)]
    pub status: u16,
    /// Its entity tag now, where it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20, example = "\"v7\"")]
    pub etag: Option<String>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkView {
    /// In the order of the request.
    pub items: Vec<BulkItemView>,
}

/// Note something for colleagues
///
/// Adds a note that officers of the unit and auditors see, and the applicant never. The holder's note renews the lease.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader, IdempotencyKeyHeader),
    request_body = NoteRequest, responses(
    (status = 200, description = "The note is there.", body = ApplicationView)))]
#[post("/v1/applications/{id}/notes")]
pub async fn add_note(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<NoteRequest>,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), Some(key));
    let render = renderer(true, language(&request));
    app.casework.note(&ask, id, &body.text, &render).await.map(answered)
}

/// Put an application before all others
///
/// Expedites an application: the queues of its office give it out first. For senior officers, with a reason.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader),
    request_body = ReasonRequest, responses(
    (status = 200, description = "It goes before all others.", body = ApplicationView)))]
#[put("/v1/applications/{id}/expedition")]
pub async fn expedite_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Senior>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    Json(body): Json<ReasonRequest>,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.expedite(&ask, id, &body.reason, &render).await.map(answered)
}

/// Let an application wait its turn again
///
/// Ends the expedition of an application. For senior officers, with a reason.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), super::officer::ReleaseQuery, IfMatchHeader), responses(
    (status = 200, description = "It waits its turn.", body = ApplicationView)))]
#[delete("/v1/applications/{id}/expedition")]
pub async fn end_expedition(
    app: App,
    request: HttpRequest,
    caller: Caller<Senior>,
    Path(id): Path<Uuid>,
    super::extract::Query(query): super::extract::Query<super::officer::ReleaseQuery>,
    version: IfMatch,
) -> Result<HttpResponse> {
    let reason = query.reason.ok_or_else(|| {
        Error::invalid(vec![Violation::new("reason", "required", "Say why in `reason`.")])
    })?;
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.end_expedition(&ask, id, &reason, &render).await.map(answered)
}

/// Give an application to a colleague
///
/// Gives an application, whoever holds it, to an officer of the unit as a lease. For senior officers, with a reason. Four
/// eyes look at who gave which command: they hold through this.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader),
    request_body = ReassignRequest, responses(
    (status = 200, description = "The officer holds it.", body = ApplicationView)))]
#[put("/v1/applications/{id}/claim/holder")]
pub async fn reassign_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Senior>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    Json(body): Json<ReassignRequest>,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(true, language(&request));
    app.casework.reassign(&ask, id, body.to, &body.reason, &render).await.map(answered)
}

/// Remind the applicant
///
/// Sends the applicant a message that says what is awaited from him and until when; once a day at most.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader, IdempotencyKeyHeader),
    request_body = ReasonRequest, responses(
    (status = 200, description = "The message is on its way.", body = ApplicationView)))]
#[post("/v1/applications/{id}/reminders")]
pub async fn send_reminder(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<ReasonRequest>,
) -> Result<HttpResponse> {
    let ask = ask(&request, &caller, Some(version), Some(key));
    let render = renderer(true, language(&request));
    app.casework.remind(&ask, id, &body.reason, &render).await.map(answered)
}

/// Do the same with many applications
///
/// Reassigns, releases or reminds for up to 200 applications, each by itself: the answer says for each what became of it,
/// and one that is refused stops none of the others. Sent again with the same key, it does what was not done yet and
/// answers the rest again. For senior officers. Nothing is decided this way.
#[utoipa::path(tag = "office", params(IdempotencyKeyHeader), request_body = BulkRequest, responses(
    (status = 200, description = "What became of each.", body = BulkView)))]
#[post("/v1/bulk")]
pub async fn change_many(
    app: App,
    request: HttpRequest,
    caller: Caller<Senior>,
    key: IdempotencyKey,
    Json(body): Json<BulkRequest>,
) -> Result<HttpResponse> {
    debug_assert_eq!(MAX_ITEMS, 200);
    let action = action(&body)?;
    let ask = ask(&request, &caller, None, Some(key));
    let done = app.casework.bulk(&ask, &action, &body.reason, &body.applications).await?;
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let items = done.into_iter().map(|(one, answer)| item(one, answer, &id)).collect();
    Ok(listed(BulkView { items }, None))
}

fn action(body: &BulkRequest) -> Result<Action> {
    let wrong = |code, detail: &str| Error::invalid(vec![Violation::new("/to", code, detail)]);
    match (body.action, body.to) {
        (BulkAction::Reassign, Some(to)) => Ok(Action::Reassign { to }),
        (BulkAction::Reassign, None) => Err(wrong("required", "Name the officer's account.")),
        (_, Some(_)) => Err(wrong("unknown-field", "Only `reassign` names an officer.")),
        (BulkAction::Release, None) => Ok(Action::Release),
        (BulkAction::Remind, None) => Ok(Action::Remind),
    }
}

fn item(application: Uuid, answer: Result<Answer>, request: &str) -> BulkItemView {
    match answer {
        Ok(answer) => {
            BulkItemView { application, status: answer.status, etag: answer.etag, problem: None }
        }
        Err(error) => {
            problem::log(&error);
            let problem = Problem::of(&error, request);
            BulkItemView { application, status: problem.status, etag: None, problem: Some(problem) }
        }
    }
}
