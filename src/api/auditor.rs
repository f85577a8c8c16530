//! Operations for auditors: the event log and its filters, who saw what, the log as a file.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it. Every one of them is an
//! event itself: auditors are watched, too.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::applicant::listed;
use super::export::{Export, Format};
use super::extract::Query;
use super::form::of_our_time;
use super::page::{Page, PageQuery};
use super::reading::{Purpose, PurposeHeader, Read, Reading};
use super::views::{AccessPage, AccessView, hex};
use crate::app::App;
use crate::auth::access::Auditors;
use crate::error::Result;
use crate::storage::audit::{self, Access, EventRow, Filter, Only};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_events).service(list_accesses).service(export_events);
}

/// Which half of the log is meant.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnlyQuery {
    /// What changed an application: the events that have a number within it (`seq`).
    Changes,
    /// What showed personal data to staff: the events that have a purpose.
    Reads,
}

/// Makes a query of the log: the filters, which two operations share, and members of its own.
macro_rules! event_query {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, Validate, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// Events of this application: what changed it and who read it.
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
            /// Events of this role, or of `timer`, `payments`, `operator`.
            #[validate(length(min = 1, max = 20))]
            #[param(min_length = 1, max_length = 20, pattern = "^[A-Za-z]+$", example = "officer")]
            pub role: Option<String>,
            /// Reads for this purpose.
            #[param(inline)]
            pub purpose: Option<Purpose>,
            /// Changes of applications alone, or reads alone.
            #[param(inline)]
            pub only: Option<OnlyQuery>,
            /// From this instant on.
            #[validate(custom(function = "of_our_time"))]
            pub from: Option<DateTime<Utc>>,
            /// Before this instant.
            #[validate(custom(function = "of_our_time"))]
            pub to: Option<DateTime<Utc>>,
            $($own)*
        }

        impl $name {
            fn filter(&self) -> Filter {
                Filter {
                    application: self.application,
                    actor: self.actor,
                    kind: self.kind.clone(),
                    unit: self.unit.clone(),
                    role: self.role.clone(),
                    purpose: self.purpose.map(|purpose| purpose.name().to_owned()),
                    only: self.only.map(|only| match only {
                        OnlyQuery::Changes => Only::Changes,
                        OnlyQuery::Reads => Only::Reads,
                    }),
                    from: self.from,
                    to: self.to,
                }
            }
        }
    };
}

event_query! {
    /// Which events are asked for; what is left out asks for all.
    EventQuery {}
}

event_query! {
    /// Which events are exported, and how; what is left out asks for all.
    ExportQuery {
        /// How the file is written.
        #[param(inline)]
        pub format: Format,
    }
}

/// One event of the log, with its private content.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Id.
    pub id: Uuid,
    /// Number of its leaf in the public log, from 0; absent for the second until it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1024)]
    pub index: Option<i64>,
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
    /// Number within the application; absent for reads of it.
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
    /// Of a read of personal data: what for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20, example = "casework")]
    pub purpose: Option<String>,
    /// Of a read of a list: the applications that it showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 100)]
    pub subjects: Option<Vec<Uuid>>,
    /// SHA-256 of salt and private content, as the public leaf has it, in hexadecimal.
    #[schema(max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub commitment: String,
    /// Present, and true, once the person's data is erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// What was asked and what it changed or showed; absent once the person's data is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub content: Option<serde_json::Value>,
}

impl From<EventRow> for EventView {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            index: row.index,
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
            purpose: row.purpose,
            subjects: row.subjects,
            commitment: hex(&row.commitment),
            erased: row.content.is_none(),
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
/// Lists events by application, account, kind, unit, role, purpose and time, newest first. Reads of personal data stand
/// among them, and so does this query: `only=changes` leaves both out.
#[utoipa::path(tag = "audit", params(EventQuery, PageQuery, PurposeHeader), responses(
    (status = 200, description = "A page of events.", body = EventPage)))]
#[get("/v1/audit/events")]
pub async fn list_events(
    app: App,
    request: HttpRequest,
    reader: Reading<Auditors>,
    Query(query): Query<EventQuery>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let before = page.after::<Uuid>(&app.tokens, "events")?;
    let filter = query.filter();
    let mut conn = app.db.conn().await?;
    let rows = audit::list(&mut conn, &filter, before, page.fetch()).await?;
    drop(conn);
    let page = Page::new(&request, &page, &app.tokens, "events", rows, |row| row.id)?;
    let read = Read::new("logQueried", &["events"]).with("filter", &filter);
    let read = read.with("rows", page.items.len());
    // Whose events these are, they tell: one application's, or those of many.
    let read = match filter.application {
        Some(application) if !page.items.is_empty() => read.about(application),
        _ => read.showing(page.items.iter().filter_map(|row| row.application_id)),
    };
    let items = page.items.into_iter().map(Into::into).collect();
    reader.answer(&app, read, listed(EventPage { items }, page.link)).await
}

/// Which reads are asked for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessQuery {
    /// Reads that showed this application.
    pub application: Uuid,
    /// Reads by this account.
    pub actor: Option<Uuid>,
    /// Reads for this purpose.
    #[param(inline)]
    pub purpose: Option<Purpose>,
    /// From this instant on.
    #[validate(custom(function = "of_our_time"))]
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    #[validate(custom(function = "of_our_time"))]
    pub to: Option<DateTime<Utc>>,
}

impl AccessQuery {
    /// The question as it is asked, and as the log keeps it.
    fn read(self) -> (Access, Filter) {
        let purpose = self.purpose.map(|purpose| purpose.name().to_owned());
        let filter = Filter {
            application: Some(self.application),
            actor: self.actor,
            purpose: purpose.clone(),
            only: Some(Only::Reads),
            from: self.from,
            to: self.to,
            ..Filter::default()
        };
        let Self { application, actor, from, to, .. } = self;
        (Access { application, actor, purpose, from, to }, filter)
    }
}

/// See who saw a file
///
/// Lists every read by staff that showed an application, newest first: of the application, its documents, history and
/// clock, of queues and log pages in which it stood, and of exports that contained it; and every act of the office on it, such
/// as a claim, a command or a note, which shows it, too.
#[utoipa::path(tag = "audit", params(AccessQuery, PageQuery, PurposeHeader), responses(
    (status = 200, description = "A page of reads.", body = AccessPage)))]
#[get("/v1/audit/accesses")]
pub async fn list_accesses(
    app: App,
    request: HttpRequest,
    reader: Reading<Auditors>,
    Query(query): Query<AccessQuery>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let (access, filter) = query.read();
    let list = format!("accesses {}", access.application);
    let before = page.after::<Uuid>(&app.tokens, &list)?;
    let mut conn = app.db.conn().await?;
    let rows = audit::list_accesses(&mut conn, &access, before, page.fetch()).await?;
    drop(conn);
    let page = Page::new(&request, &page, &app.tokens, &list, rows, |row| row.id)?;
    let read = Read::new("logQueried", &["accesses"]).with("filter", &filter);
    let read = read.with("rows", page.items.len());
    let read = if page.items.is_empty() { read } else { read.about(access.application) };
    let items = page.items.into_iter().map(|row| AccessView::of(row, true)).collect();
    reader.answer(&app, read, listed(AccessPage { items }, page.link)).await
}

/// Export the log
///
/// Writes the events that the latest checkpoint covers, in the order of their leaves, as a file that is sent while it is
/// read. It ends with a manifest, `{"manifest":{…}}` (in CSV after `# `): `filter`, `firstIndex`, `lastIndex`, `count`,
/// `treeSize` and `root` of the checkpoint, `exportedAt`, `sha256` of every byte before the manifest's line, and
/// `signature`: a C2SP signed note by the log's keys under the name `<origin>/export`, whose text is the manifest without
/// it in RFC 8785 form. A file without its manifest is not whole.
#[utoipa::path(tag = "audit", params(ExportQuery, PurposeHeader), responses(
    (status = 200, description = "The file.",
        content((String = "application/x-ndjson"), (String = "text/csv")))))]
#[get("/v1/audit/export")]
pub async fn export_events(
    app: App,
    reader: Reading<Auditors>,
    Query(query): Query<ExportQuery>,
) -> Result<HttpResponse> {
    let export = Export::prepare(&app, query.filter(), query.format).await?;
    let read = export.read();
    reader.answer(&app, read, export.answer()).await
}
