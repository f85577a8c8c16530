//! Operations for auditors: the event log and its filters.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::listed;
use super::extract::Query;
use super::form::of_our_time;
use super::page::{Page, PageQuery};
use crate::app::App;
use crate::auth::access::{Auditors, Caller};
use crate::error::Result;
use crate::storage::audit::{self, EventRow, Filter};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_events);
}

/// Which events are asked for; what is left out asks for all.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventQuery {
    /// Events of this application.
    pub application: Option<Uuid>,
    /// Events of this account.
    pub actor: Option<Uuid>,
    /// Events of this kind, such as `accepted`.
    #[validate(length(min = 1, max = 40))]
    #[param(min_length = 1, max_length = 40, pattern = "^[A-Za-z]+$", example = "accepted")]
    pub kind: Option<String>,
    /// Events of this unit.
    #[validate(length(min = 2, max = 5))]
    #[param(min_length = 2, max_length = 5, example = "77")]
    pub unit: Option<String>,
    /// From this instant on.
    #[validate(custom(function = "of_our_time"))]
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    #[validate(custom(function = "of_our_time"))]
    pub to: Option<DateTime<Utc>>,
}

/// One event of the log, with its private content.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Id.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    #[schema(max_length = 40, example = "accepted")]
    pub kind: String,
    /// The account that acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    /// The role that acted, or `timer`, `payments`, `operator`.
    #[schema(max_length = 20, example = "officer")]
    pub role: String,
    /// Unit's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 5, example = "77")]
    pub unit: Option<String>,
    /// The application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Uuid>,
    /// Number within the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i32>,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "accept")]
    pub command: Option<String>,
    /// The state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "submitted")]
    pub from: Option<String>,
    /// The state after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "checking")]
    pub to: Option<String>,
    /// What was asked and what it changed; absent once the person's data is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub content: Option<serde_json::Value>,
}

impl From<EventRow> for EventView {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            kind: row.kind,
            actor: row.actor_id,
            role: row.actor_role,
            unit: row.unit_code,
            application: row.application_id,
            seq: row.seq,
            command: row.command,
            from: row.from_state,
            to: row.to_state,
            content: row.content.and_then(|text| serde_json::from_str(&text).ok()),
        }
    }
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events, newest first.
    pub items: Vec<EventView>,
}

/// Read the log
///
/// Lists events by application, account, kind, unit and time, newest first.
#[utoipa::path(tag = "audit", params(EventQuery, PageQuery), responses(
    (status = 200, description = "A page of events.", body = EventPage)))]
#[get("/v1/audit/events")]
pub async fn list_events(
    app: App,
    request: HttpRequest,
    caller: Caller<Auditors>,
    Query(query): Query<EventQuery>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let _ = caller;
    let before = page.after::<(DateTime<Utc>, Uuid)>(&app.tokens, "events")?;
    let filter = Filter {
        application: query.application,
        actor: query.actor,
        kind: query.kind,
        unit: query.unit,
        from: query.from,
        to: query.to,
    };
    let mut conn = app.db.conn().await?;
    let rows = audit::list(&mut conn, &filter, before, page.fetch()).await?;
    let page = Page::new(&request, &page, &app.tokens, "events", rows, |row| (row.at, row.id))?;
    let items = page.items.into_iter().map(Into::into).collect();
    Ok(listed(EventPage { items }, page.link))
}
