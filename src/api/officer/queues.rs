//! The queues of a unit: what they are, how much waits in them, what, and the next of it.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::super::applicant::{ApplicationPage, ask, language, listed, renderer, summaries};
use super::super::extract::{
    IdempotencyKey, IdempotencyKeyHeader, IfMatch, IfMatchHeader, IfNoneMatch, Json, Path,
    Precondition, PreconditionHeader, Query, answered, etag, versioned,
};
use super::super::page::{Page, PageQuery};
use super::super::reading::{PurposeHeader, Read, Reading};
use super::super::registers::{self, RegisterDownView};
use super::super::views::{ApplicationView, text};
use super::unit;
use crate::app::App;
use crate::auth::access::{Access, Caller, Office, Senior};
use crate::domain::actor::Role;
use crate::domain::queue::{Filter, MOST, PAYMENTS, Queue, Work};
use crate::domain::workflow::definition::Phase;
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::applications::{self, Holder, Narrow, Place, SummaryRow};
use crate::storage::events::PlainEvent;
use crate::storage::queues::{self, Expected};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_queues)
        .service(show_queue)
        .service(replace_queue)
        .service(remove_queue)
        .service(list_queue)
        .service(claim_next);
}

/// Where a queue's operations are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueLinks {
    /// What it is.
    #[schema(max_length = 100, example = "/v1/queues/intake")]
    pub queue: String,
    /// What waits in it.
    #[schema(max_length = 100, example = "/v1/queues/intake/applications")]
    pub list: String,
    /// Where to claim the next; absent where nobody claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "/v1/queues/intake/claims")]
    pub claims: Option<String>,
}

impl QueueLinks {
    fn of(queue: &Queue) -> Self {
        let own = format!("/v1/queues/{}", queue.name);
        if queue.holds_applications() {
            let (list, claims) = (format!("{own}/applications"), Some(format!("{own}/claims")));
            return Self { queue: own, list, claims };
        }
        Self { queue: own, list: "/v1/payments".to_owned(), claims: None }
    }
}

/// A queue of the caller's unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// Name.
    #[schema(max_length = 40, example = "intake")]
    pub queue: String,
    /// Title.
    #[schema(max_length = 100, example = "To be taken in")]
    pub title: String,
    /// `applications` or `payments`.
    #[schema(max_length = 12, example = "applications")]
    pub kind: &'static str,
    /// How many wait in it; payments to match are those of all units.
    #[schema(minimum = 0)]
    pub waiting: i64,
    /// How many of them nobody holds.
    #[schema(minimum = 0)]
    pub free: i64,
    /// Where its operations are.
    pub links: QueueLinks,
}

/// The queues of the caller's unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueList {
    /// The queues, in the unit's order.
    #[schema(max_items = 40)]
    pub items: Vec<QueueView>,
    /// The registers that are down, by name; what waits for them goes on when they are back, or is answered by hand.
    pub registers_down: Vec<RegisterDownView>,
}

/// A text in both languages.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TitleBody {
    /// In English.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "Hits on entry bans")]
    pub en: String,
    /// In Russian.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "Совпадения по запретам на въезд")]
    pub ru: String,
}

/// A kind of office work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum WorkBody {
    /// Handed in, to be taken in or refused at intake.
    Intake,
    /// Taken in; an officer has a check to answer.
    Checks,
    /// Taken in; only registers have still to answer.
    Registers,
    /// Every check is answered: to be decided.
    Decision,
    /// Granted, waiting for the applicant's money.
    Payment,
    /// Ready to be handed over.
    Handover,
    /// Annulment proposed, to be confirmed or turned down.
    Annulment,
    /// The proof of a duty was handed in.
    DutyProof,
    /// A duty is overdue.
    DutyOverdue,
    /// Something is asked about a permit in force, or it is suspended.
    Request,
}

/// A phase of an application's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PhaseBody {
    /// Handed in, not yet accepted.
    Submission,
    /// Accepted: the statutory clock runs.
    Checks,
    /// Granted, waiting for money.
    Fee,
    /// Paid, waiting to be handed over.
    Issuance,
    /// A permit is in force.
    InForce,
}

/// Which applications wait in a queue. All parts must hold; what is left out, or empty, holds always.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FilterBody {
    /// They wait for one of these kinds of work.
    #[validate(length(max = 7))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 7, inline)]
    pub work: Vec<WorkBody>,
    /// They are on one of these tracks.
    #[validate(length(max = 20), custom(function = "short_names"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, example = json!(["patent"]))]
    pub track: Vec<String>,
    /// They are in one of these phases.
    #[validate(length(max = 5))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 5, inline)]
    pub phase: Vec<PhaseBody>,
    /// They are in one of these states.
    #[validate(length(max = 20), custom(function = "short_names"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, example = json!(["checking"]))]
    pub state: Vec<String>,
    /// They are being checked, and one of these checks is open: unanswered, or its answer stands in the way.
    #[validate(length(max = 20), custom(function = "short_names"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, example = json!(["entryBan"]))]
    pub check: Vec<String>,
    /// They were handed in at least so many days (of 24 hours) ago.
    #[validate(range(max = 3650))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3650)]
    pub min_age_days: Option<u32>,
    /// They were handed in at most so many days (of 24 hours) ago.
    #[validate(range(max = 3650))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3650)]
    pub max_age_days: Option<u32>,
    /// Whether they are overdue: past the statutory date while they are checked, or escalated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<bool>,
    /// Whether they were put before all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expedited: Option<bool>,
}

fn short_names(names: &[String]) -> Result<(), ValidationError> {
    if names.iter().all(|name| (1..=60).contains(&name.chars().count())) {
        return Ok(());
    }
    Err(ValidationError::new("length").with_message("Send names of 1 to 60 characters.".into()))
}

impl From<FilterBody> for Filter {
    fn from(body: FilterBody) -> Self {
        let work = body.work.into_iter().map(|work| match work {
            WorkBody::Intake => Work::Intake,
            WorkBody::Checks => Work::Checks,
            WorkBody::Registers => Work::Registers,
            WorkBody::Decision => Work::Decision,
            WorkBody::Payment => Work::Payment,
            WorkBody::Handover => Work::Handover,
            WorkBody::Annulment => Work::Annulment,
            WorkBody::DutyProof => Work::DutyProof,
            WorkBody::DutyOverdue => Work::DutyOverdue,
            WorkBody::Request => Work::Request,
        });
        let phase = body.phase.into_iter().map(|phase| match phase {
            PhaseBody::Submission => Phase::Submission,
            PhaseBody::Checks => Phase::Checks,
            PhaseBody::Fee => Phase::Fee,
            PhaseBody::Issuance => Phase::Issuance,
            PhaseBody::InForce => Phase::InForce,
        });
        Self {
            work: work.collect(),
            phase: phase.collect(),
            track: body.track,
            state: body.state,
            check: body.check,
            min_age_days: body.min_age_days,
            max_age_days: body.max_age_days,
            overdue: body.overdue,
            expedited: body.expedited,
        }
    }
}

/// A queue as it is to be.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueRequest {
    /// What it is called.
    #[validate(nested)]
    pub title: TitleBody,
    /// Its place among the unit's queues; the lowest comes first. Those that every unit has stand at 10, 20 and so on.
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, example = 25)]
    pub position: i32,
    /// What waits in it.
    #[validate(nested)]
    #[serde(default)]
    #[schema(default = json!({}))]
    pub filter: FilterBody,
}

/// What a queue is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueDefinitionView {
    /// Name.
    #[schema(max_length = 40, example = "intake")]
    pub queue: String,
    /// What it is called, by language.
    #[schema(example = json!({ "en": "To be taken in", "ru": "К приёму" }))]
    pub title: BTreeMap<String, String>,
    /// `applications` or `payments`.
    #[schema(max_length = 12, example = "applications")]
    pub kind: &'static str,
    /// Its place among the unit's queues.
    pub position: i32,
    /// What waits in it.
    #[schema(value_type = FilterBody)]
    pub filter: Filter,
    /// Version; the ETag is `"v<version>"`. 0 for one of those that every unit has, as long as nobody changed it.
    #[schema(minimum = 0)]
    pub version: i32,
    /// Where its operations are.
    pub links: QueueLinks,
}

impl From<Queue> for QueueDefinitionView {
    fn from(queue: Queue) -> Self {
        Self {
            links: QueueLinks::of(&queue),
            kind: kind(&queue),
            queue: queue.name,
            title: queue.title,
            position: queue.position,
            filter: queue.filter,
            version: queue.version,
        }
    }
}

fn kind(queue: &Queue) -> &'static str {
    if queue.holds_applications() { "applications" } else { "payments" }
}

/// Tells whether a queue is there for a role: money to match names people of all units, and senior officers alone read it.
fn is_for(queue: &Queue, role: Role) -> bool {
    queue.holds_applications() || role == Role::SeniorOfficer
}

async fn find<A: Access>(app: &App, caller: &Caller<A>, name: &str) -> Result<Queue> {
    let mut conn = app.db.conn().await?;
    queues::find(&mut conn, unit(caller)?, name).await?.ok_or_else(Error::not_found)
}

/// As [`find`], for what only applications have.
async fn find_of_applications(app: &App, caller: &Caller<Office>, name: &str) -> Result<Queue> {
    let queue = find(app, caller, name).await?;
    if queue.holds_applications() {
        return Ok(queue);
    }
    Err(Error::refused(
        ErrorCode::NotFound,
        "This queue holds payments, not applications: GET /v1/payments lists them for senior officers, and nobody claims them.",
    ))
}

fn changed() -> Error {
    Error::refused(
        ErrorCode::StaleVersion,
        "The queue has changed since you read it; read it again and decide anew.",
    )
}

/// List the queues
///
/// Shows how much waits in each queue of the caller's unit, and which registers are down. List, count, claim and metric
/// use one predicate. The queue of money to match is for senior officers and stands in their list alone. `GET /v1/registers` shows every register.
#[utoipa::path(tag = "office", responses(
    (status = 200, description = "The queues.", body = QueueList)))]
#[get("/v1/queues")]
pub async fn list_queues(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
) -> Result<HttpResponse> {
    let (unit, language) = (unit(&caller)?, language(&request));
    let mut conn = app.db.conn().await?;
    let mut queues = queues::list(&mut conn, unit).await?;
    queues.retain(|queue| is_for(queue, caller.role()));
    let counts = applications::count_queues(&mut conn, unit, &queues, app.clock.now()).await?;
    let registers_down = registers::down(&app, &mut conn, unit).await?;
    drop(conn);
    let items = queues
        .iter()
        .zip(counts)
        .map(|(queue, count)| QueueView {
            queue: queue.name.clone(),
            title: text(&queue.title, language),
            kind: kind(queue),
            waiting: count.waiting,
            free: count.free,
            links: QueueLinks::of(queue),
        })
        .collect();
    Ok(listed(QueueList { items, registers_down }, None))
}

/// Read what a queue is
///
/// Shows the filter of a queue of the caller's unit; that of money to match is shown to senior officers.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 40, pattern = "^[a-z][a-z0-9-]*$", example = "intake")),
    responses((status = 200, description = "The queue.", body = QueueDefinitionView),
    (status = 304, description = "It has not changed.")))]
#[get("/v1/queues/{queue}")]
pub async fn show_queue(
    app: App,
    caller: Caller<Office>,
    Path(name): Path<String>,
    known: IfNoneMatch,
) -> Result<HttpResponse> {
    let queue = find(&app, &caller, &name).await?;
    if !is_for(&queue, caller.role()) {
        let detail = "This queue holds payments, which senior officers match.";
        return Err(Error::refused(ErrorCode::Forbidden, detail));
    }
    let version = queue.version;
    Ok(versioned(&QueueDefinitionView::from(queue), version, &known))
}

/// Set a queue
///
/// Makes a queue of the caller's unit, or changes one: what waits in it is decided by its filter alone, so nothing is
/// moved. For senior officers.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 40, pattern = "^[a-z][a-z0-9-]*$", example = "entry-bans"),
    PreconditionHeader), request_body = QueueRequest, responses(
    (status = 200, description = "The queue is changed.", body = QueueDefinitionView),
    (status = 201, description = "The queue is new.", body = QueueDefinitionView),
    (status = 422, description = "The unit has as many queues as it can have.")))]
#[put("/v1/queues/{queue}")]
pub async fn replace_queue(
    app: App,
    caller: Caller<Senior>,
    Path(name): Path<String>,
    precondition: Precondition,
    Json(body): Json<QueueRequest>,
) -> Result<HttpResponse> {
    let unit = unit(&caller)?;
    let mut queue = parse(&app, name, body)?;
    let expected = match precondition {
        Precondition::Version(version) => Expected::Version(version),
        Precondition::Absent => Expected::Absent,
    };
    if expected == Expected::Absent {
        let mut conn = app.db.conn().await?;
        if queues::list(&mut conn, unit).await?.len() >= MOST {
            let detail = format!("A unit has at most {MOST} queues; remove one that nobody needs.");
            return Err(Error::refused(ErrorCode::RuleRefused, detail));
        }
    } else {
        // What is not there has no version that could be current.
        find(&app, &caller, &queue.name).await?;
    }
    let content = json!({
        "queue": queue.name, "title": queue.title, "position": queue.position, "filter": queue.filter,
    });
    let event = PlainEvent::now(&*app.clock, "queueChanged", caller.role().name(), content)
        .by(caller.account())
        .in_unit(Some(unit.to_owned()));
    let version = queues::save(&app.db, unit, &queue, expected, &event).await?;
    queue.version = version.ok_or_else(changed)?;
    let mut response = match expected {
        Expected::Absent => HttpResponse::Created(),
        Expected::Version(_) => HttpResponse::Ok(),
    };
    response.insert_header((header::ETAG, etag(queue.version)));
    Ok(response.json(QueueDefinitionView::from(queue)))
}

/// Reads a queue that fits the schema against the definitions in use.
fn parse(app: &App, name: String, body: QueueRequest) -> Result<Queue> {
    let mut violations = Vec::new();
    if !Queue::is_name(&name) {
        let detail = "Name a queue with 1 to 40 of a-z, 0-9 and hyphen, a letter first.";
        violations.push(Violation::new("queue", "pattern", detail));
    }
    let filter = Filter::from(body.filter);
    for wrong in filter.wrongs(&app.casework.rules().definitions) {
        let pointer = format!("/filter{}", wrong.pointer);
        violations.push(Violation::new(&*pointer, wrong.code, &wrong.detail));
    }
    if name == PAYMENTS && filter != Filter::default() {
        let detail = "This queue holds payments: leave its filter empty.";
        violations.push(Violation::new("/filter", "not-applicable", detail));
    }
    if !violations.is_empty() {
        return Err(Error::invalid(violations));
    }
    let TitleBody { en, ru } = body.title;
    let title = [("en", en), ("ru", ru)].map(|(language, text)| (language.to_owned(), text)).into();
    Ok(Queue { name, title, position: body.position, filter, version: 0 })
}

/// Remove a queue
///
/// Removes a queue of the caller's unit, also one that every unit has; what waited in it waits in the others whose filters
/// it meets. Setting it again brings it back. For senior officers.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 40, pattern = "^[a-z][a-z0-9-]*$", example = "entry-bans"),
    IfMatchHeader), responses((status = 204, description = "The queue is gone.")))]
#[delete("/v1/queues/{queue}")]
pub async fn remove_queue(
    app: App,
    caller: Caller<Senior>,
    Path(name): Path<String>,
    version: IfMatch,
) -> Result<HttpResponse> {
    let unit = unit(&caller)?;
    let queue = find(&app, &caller, &name).await?;
    let content = json!({ "queue": queue.name });
    let event = PlainEvent::now(&*app.clock, "queueRemoved", caller.role().name(), content)
        .by(caller.account())
        .in_unit(Some(unit.to_owned()));
    if !queues::remove(&app.db, unit, &queue, version.0, &event).await? {
        return Err(changed());
    }
    Ok(HttpResponse::NoContent().finish())
}

/// What an officer looks for within a queue.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueQuery {
    /// On this track.
    #[validate(length(min = 1, max = 60))]
    #[param(min_length = 1, max_length = 60, pattern = "^[a-z0-9-]+$", example = "patent")]
    pub track: Option<String>,
    /// In this state.
    #[validate(length(min = 1, max = 60))]
    #[param(min_length = 1, max_length = 60, pattern = "^[A-Za-z0-9]+$", example = "checking")]
    pub state: Option<String>,
    /// Held by the caller (`me`), by nobody (`none`), or by this account.
    #[validate(custom(function = "whose"))]
    #[param(max_length = 36, pattern = "^(me|none|[0-9a-fA-F-]{36})$", example = "none")]
    pub holder: Option<String>,
    /// Being checked, with this check open.
    #[validate(length(min = 1, max = 60))]
    #[param(min_length = 1, max_length = 60, pattern = "^[A-Za-z0-9]+$", example = "entryBan")]
    pub check: Option<String>,
    /// Overdue or not: past the statutory date while they are checked, or escalated.
    pub overdue: Option<bool>,
    /// Put before all others or not.
    pub expedited: Option<bool>,
}

fn whose(text: &str) -> Result<(), ValidationError> {
    if text == "me" || text == "none" || Uuid::parse_str(text).is_ok() {
        return Ok(());
    }
    let message = "Send me, none, or the id of an account.";
    Err(ValidationError::new("unknown-value").with_message(message.into()))
}

impl QueueQuery {
    fn narrow(self, caller: Uuid) -> Narrow {
        let holder = self.holder.as_deref().map(|text| match text {
            "none" => Holder::Nobody,
            "me" => Holder::Account(caller),
            other => Holder::Account(other.parse().unwrap_or(Uuid::nil())),
        });
        let Self { track, state, check, overdue, expedited, .. } = self;
        Narrow { track, state, check, holder, overdue, expedited }
    }
}

/// Expedited, statutory date, time of handing in, id: the keys of a page.
type Keys = (bool, Option<NaiveDate>, DateTime<Utc>, Uuid);

/// Read a queue
///
/// Lists what waits in a queue of the caller's unit, most urgent first: those put before all others, then the earliest
/// statutory date, then the earliest hand-in. Each row has what an officer decides by: why it comes when it does, who holds
/// it, the latest note, the checks that stand in the way.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 40, pattern = "^[a-z][a-z0-9-]*$", example = "intake"),
    QueueQuery, PageQuery, PurposeHeader),
    responses((status = 200, description = "A page of applications.", body = ApplicationPage)))]
#[get("/v1/queues/{queue}/applications")]
pub async fn list_queue(
    app: App,
    request: HttpRequest,
    reader: Reading<Office>,
    Path(name): Path<String>,
    Query(narrow): Query<QueueQuery>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let list = format!("queue {name}");
    let after = page
        .after::<Keys>(&app.tokens, &list)?
        .map(|(expedited, due_on, submitted_at, id)| Place { expedited, due_on, submitted_at, id });
    let queue = find_of_applications(&app, &reader, &name).await?;
    let (narrow, unit, now) = (narrow.narrow(reader.account()), unit(&reader)?, app.clock.now());
    let mut conn = app.db.conn().await?;
    let rows = applications::list_queue(&mut conn, unit, &queue, &narrow, now, after, page.fetch())
        .await?;
    let rules = rows.first().map_or(0, SummaryRow::rules);
    let rules = app.casework.rules_at(&mut conn, rules).await?;
    drop(conn);
    let keys = |row: &SummaryRow| -> Option<Keys> {
        let Place { expedited, due_on, submitted_at, id } = row.place().ok()?;
        Some((expedited, due_on, submitted_at, id))
    };
    let page = Page::new(&request, &page, &app.tokens, &list, rows, keys)?;
    let read = (!page.items.is_empty()).then(|| {
        let shown = page.items.iter().map(|row| row.id);
        Read::new("queueRead", &["summary", "personName", "lastNote", "openChecks"])
            .showing(shown)
            .with("queue", name)
    });
    let answer =
        listed(summaries(&app, &rules, &request, page.items, Some(reader.account()))?, page.link);
    reader.answer(&app, read, answer).await
}

/// Claim the next application
///
/// Gives the caller the most urgent application of a queue that nobody holds, as a lease, and says in `urgency` why it is
/// this one. Two officers never get the same one, nobody one that a colleague has to decide because of four eyes, and none
/// but senior officers one that only they can move on; when nothing is left the answer is 204.
#[utoipa::path(tag = "office", params(
    ("queue" = String, Path, description = "The queue's name.", max_length = 40, pattern = "^[a-z][a-z0-9-]*$", example = "intake"),
    IdempotencyKeyHeader, PurposeHeader), responses(
    (status = 200, description = "The application is the caller's until the lease ends.", body = ApplicationView),
    (status = 204, description = "Nothing is free, or nothing that is can be done by the caller (`barred` and `seniorOnly` in the list).")))]
#[post("/v1/queues/{queue}/claims")]
pub async fn claim_next(
    app: App,
    request: HttpRequest,
    reader: Reading<Office>,
    Path(name): Path<String>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let queue = find_of_applications(&app, &reader, &name).await?;
    let ask = ask(&request, &reader, None, Some(key));
    let render = renderer(true, language(&request));
    let claimed = app.casework.claim_next(&ask, unit(&reader)?, &queue, &render).await?;
    let Some(claimed) = claimed else { return Ok(HttpResponse::NoContent().finish()) };
    // The claim's own event says what the first answer shows; a repeated one shows the application as it is now.
    let read = claimed.about().filter(|_| claimed.replayed).map(|application| {
        Read::new("applicationRead", &["application"]).about(application).with("queue", name)
    });
    reader.answer(&app, read, answered(claimed)).await
}
