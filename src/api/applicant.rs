//! Operations on one application, for both sides of the counter: applicants hand in, officers work, auditors read.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::command::{CommandRequest, Commanded};
use super::extract::{
    IdempotencyKey, IdempotencyKeyHeader, IfMatch, IfMatchHeader, IfNoneMatch, Json, Path, Query,
    answered, versioned,
};
use super::form::FormBody;
use super::page::{Page, PageQuery};
use super::reading::{PurposeHeader, Read, Reading};
use super::views::{
    AccessPage, AccessView, ApplicationView, ExtensionView, HistoryView, SummaryView,
};
use crate::app::App;
use crate::auth::access::{Access, Applicant, ApplicantOrOffice, Caller, CaseReader};
use crate::casework::{Ask, Seen};
use crate::documents::{self, MAX_BYTES};
use crate::domain::application::Document;
use crate::domain::clock::Explanation;
use crate::domain::form::Form;
use crate::domain::rules::Rulebook;
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::applications;
use crate::storage::audit::{self, Access as AccessFilter};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(open_application)
        .service(list_applications)
        .service(show_application)
        .service(replace_form)
        .service(attach_document)
        .service(show_document)
        .service(list_history)
        .service(list_own_accesses)
        .service(show_clock)
        .service(give_command);
}

/// An application to be opened.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenRequest {
    /// The track: one that `GET /v1/workflows` lists.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, pattern = "^[a-z0-9-]+$", example = "patent")]
    pub track: String,
    /// Code of the office: one that `GET /v1/units` lists.
    #[validate(length(min = 2, max = 5))]
    #[schema(min_length = 2, max_length = 5, example = "77")]
    pub unit: String,
    /// What is stated so far.
    #[validate(nested)]
    #[serde(default)]
    #[schema(default = json!({}))]
    pub form: FormBody,
}

/// A page of applications.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationPage {
    /// The applications.
    pub items: Vec<SummaryView>,
}

/// A page of an application's history.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// The events, oldest first.
    pub items: Vec<HistoryView>,
}

/// A day of the clock's explanation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClockDayView {
    /// The day.
    pub date: NaiveDate,
    /// Its number among the counted days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<u32>,
    /// `start`, `counted`, `workingWeekend`, `weekend`, `holiday` or `suspended`.
    #[schema(max_length = 20, example = "holiday")]
    pub why: String,
}

/// A time in which the clock stood still.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuspensionView {
    /// The day on which it stopped; it still counts.
    pub from: NaiveDate,
    /// The day on which it went on; it does not count. Absent while it stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// Why: `informationRequested`, or `closed` from a decision that was withdrawn later to the reopening.
    #[schema(max_length = 200, example = "informationRequested")]
    pub reason: String,
}

/// The statutory clock and why it ends when it does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClockView {
    /// The day of acceptance; day one is the next working day.
    pub started_on: NaiveDate,
    /// Length in working days, without an extension.
    pub working_days: u32,
    /// By how much the term was made longer, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<ExtensionView>,
    /// The date without the extension; absent while the clock stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_due_on: Option<NaiveDate>,
    /// The rule in words.
    #[schema(max_length = 500)]
    pub rule: String,
    /// The article that sets the term.
    #[schema(max_length = 200)]
    pub basis: String,
    /// The date it promises; absent while it stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    /// Working days left; negative once it is late, absent while it stands still or was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_days_left: Option<i64>,
    /// Whether it stands still now.
    pub clock_stopped: bool,
    /// Since when; the day itself still counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_stopped_since: Option<NaiveDate>,
    /// Why: `informationRequested` while the applicant is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "informationRequested")]
    pub clock_stopped_reason: Option<String>,
    /// The day on which it was stopped for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_on: Option<NaiveDate>,
    /// When it stood still.
    pub suspensions: Vec<SuspensionView>,
    /// Every day, counted or skipped, and why.
    pub days: Vec<ClockDayView>,
}

/// Chooses the language of an answer from `Accept-Language` (RFC 9110, 12.5.4), English when none fits.
#[must_use]
pub fn language(request: &HttpRequest) -> &'static str {
    let field = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    let mut best: (f32, &'static str) = (0.0, "en");
    for part in field.unwrap_or_default().split(',') {
        let mut pieces = part.trim().split(';');
        let tag = pieces.next().unwrap_or_default().to_ascii_lowercase();
        let weight: f32 = pieces
            .find_map(|piece| piece.trim().strip_prefix("q=").and_then(|q| q.parse().ok()))
            .unwrap_or(1.0);
        let known = crate::domain::workflow::definition::LANGUAGES
            .into_iter()
            .find(|known| tag == *known || tag.starts_with(&format!("{known}-")));
        if let Some(known) = known
            && weight > best.0
        {
            best = (weight, known);
        }
    }
    best.1
}

/// Gives today's date for checks of a form: the date at the earliest of Russia's time zones, so that nobody is told
/// that his own today lies in the future.
pub(super) fn latest_today(app: &App) -> NaiveDate {
    (app.clock.now() + TimeDelta::hours(12)).date_naive()
}

pub(super) fn parse_form(app: &App, form: FormBody, base: &'static str) -> Result<Form> {
    form.parse(latest_today(app), base).map_err(|violations| {
        Error::refused(
            ErrorCode::RuleRefused,
            "What the form states cannot be right; mend each of the listed errors and send it again.",
        )
        .with_violations(violations)
    })
}

/// Says who asks, having seen which version, under which key.
pub(super) fn ask<A: Access>(
    request: &HttpRequest,
    caller: &Caller<A>,
    if_match: Option<IfMatch>,
    key: Option<IdempotencyKey>,
) -> Ask {
    Ask {
        actor: caller.actor(),
        if_match: if_match.map(|version| version.0),
        idempotency: key.map(|key| key.bind(request)),
    }
}

/// Gives the renderer of an application for a caller.
pub(super) fn renderer(
    inside: bool,
    language: &'static str,
) -> impl Fn(&Seen<'_>) -> Result<String> + Sync {
    move |seen| ApplicationView::of(seen, inside, language).json()
}

fn is_inside<A: Access>(caller: &Caller<A>) -> bool {
    !caller.role().is_applicant()
}

/// Open an application
///
/// Opens a draft on a track at an office. The form may be incomplete; what the track requires must be there when
/// the draft is handed in.
#[utoipa::path(tag = "applications", params(IdempotencyKeyHeader), responses(
    (status = 201, description = "The draft is open; `Location` says where.", body = ApplicationView)))]
#[post("/v1/applications")]
pub async fn open_application(
    app: App,
    request: HttpRequest,
    caller: Caller<Applicant>,
    key: IdempotencyKey,
    Json(body): Json<OpenRequest>,
) -> Result<HttpResponse> {
    let form = parse_form(&app, body.form, "/form")?;
    let ask = ask(&request, &caller, None, Some(key));
    let render = renderer(false, language(&request));
    app.casework.open(&ask, &body.track, &body.unit, form, &render).await.map(answered)
}

/// List your applications
///
/// Lists what the caller opened, newest first.
#[utoipa::path(tag = "applications", params(PageQuery), responses(
    (status = 200, description = "A page of applications.", body = ApplicationPage)))]
#[get("/v1/applications")]
pub async fn list_applications(
    app: App,
    request: HttpRequest,
    caller: Caller<Applicant>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let before = page.after::<Uuid>(&app.tokens, "applications")?;
    let mut conn = app.db.conn().await?;
    let rows =
        applications::list_of_applicant(&mut conn, caller.account(), before, page.fetch()).await?;
    let page = Page::new(&request, &page, &app.tokens, "applications", rows, |row| row.id)?;
    let rules = app.casework.rules();
    Ok(listed(summaries(&app, &rules, &request, page.items, None)?, page.link))
}

/// Shows rows of a list with their definitions' wording; the days left by the rules' calendar. What the office alone sees
/// is shown to this account of it.
pub(super) fn summaries(
    app: &App,
    rules: &Rulebook,
    request: &HttpRequest,
    rows: Vec<applications::SummaryRow>,
    office: Option<Uuid>,
) -> Result<ApplicationPage> {
    let (language, now) = (language(request), app.clock.now());
    let show = |row| SummaryView::of(row, rules, office, language, now);
    Ok(ApplicationPage { items: rows.into_iter().map(show).collect::<Result<_>>()? })
}

/// Dresses a page, or what is read whole.
pub(super) fn listed<T: Serialize>(page: T, link: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(link) = link {
        response.insert_header((header::LINK, link));
    }
    response.json(page)
}

/// Read an application
///
/// Shows an application with what the caller can ask for now and what blocks it. For its applicant, officers of its
/// unit, and auditors.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), PurposeHeader), responses(
    (status = 200, description = "The application.", body = ApplicationView),
    (status = 304, description = "It has not changed.")))]
#[get("/v1/applications/{id}")]
pub async fn show_application(
    app: App,
    request: HttpRequest,
    reader: Reading<CaseReader>,
    Path(id): Path<Uuid>,
    known: IfNoneMatch,
) -> Result<HttpResponse> {
    let (inside, language) = (is_inside(&reader), language(&request));
    let (read, answer) = app
        .casework
        .see(&reader.actor(), id, |seen| {
            let view = ApplicationView::of(seen, inside, language);
            let read = Read::new("applicationRead", &view.groups()).of(seen);
            Ok((read, versioned(&view, seen.application.version, &known)))
        })
        .await?;
    reader.answer(&app, read, answer).await
}

/// Replace the form
///
/// Replaces the form of a draft; after handing in it can only be answered.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), IfMatchHeader),
    request_body = FormBody, responses(
    (status = 200, description = "The form is replaced.", body = ApplicationView)))]
#[put("/v1/applications/{id}/form")]
pub async fn replace_form(
    app: App,
    request: HttpRequest,
    caller: Caller<Applicant>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    Json(form): Json<FormBody>,
) -> Result<HttpResponse> {
    let form = parse_form(&app, form, "")?;
    let ask = ask(&request, &caller, Some(version), None);
    let render = renderer(false, language(&request));
    app.casework.amend(&ask, id, &form, &render).await.map(answered)
}

/// A document's place.
#[derive(Debug, Deserialize)]
pub struct DocumentPath {
    id: Uuid,
    kind: String,
}

/// Hand a document in
///
/// Takes a PDF, JPEG or PNG of at most 10 MiB as the document of this kind, in place of an earlier one. The kinds are
/// those of the track: while a permit is in force those that prove a duty or a change, before that the others. The `photo`
/// is printed: it must be a picture of at most 16 million pixels, not a PDF.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."),
    ("kind" = String, Path, description = "The document's name in the track.", max_length = 60, pattern = "^[A-Za-z0-9]+$", example = "passport"),
    IfMatchHeader),
    request_body(content((Vec<u8> = "application/pdf"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"))),
    responses((status = 200, description = "The document is taken.", body = ApplicationView)))]
#[put("/v1/applications/{id}/documents/{kind}")]
pub async fn attach_document(
    app: App,
    request: HttpRequest,
    caller: Caller<Applicant>,
    Path(place): Path<DocumentPath>,
    version: IfMatch,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let declared = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = payload.to_bytes_limited(MAX_BYTES).await.map_err(|_| too_large())?;
    let bytes = bytes.map_err(|_| {
        Error::invalid(vec![Violation::new("", "incomplete-body", "Send the whole document.")])
    })?;
    let media_type = documents::check(&bytes, &declared)?;
    if place.kind == documents::PHOTO {
        documents::check_photo(bytes.clone(), media_type).await?;
    }
    let mut document = Document {
        kind: place.kind,
        digest: String::new(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        media_type: media_type.as_str().to_owned(),
        attached_at: app.clock.now(),
    };
    let ask = ask(&request, &caller, Some(version), None);
    // Whether the application takes this document now is asked before its bytes are kept.
    app.casework.may_attach(&ask, place.id, &document).await?;
    document.digest = app.blobs.put(bytes.clone()).await?;
    let render = renderer(false, language(&request));
    let answer = app.casework.attach(&ask, place.id, &document, &render).await?;
    // The last one who had these bytes may have been erased in between; see BlobStore::set_aside.
    app.blobs.put_again(&document.digest, bytes).await?;
    Ok(answered(answer))
}

fn too_large() -> Error {
    Error::refused(ErrorCode::PayloadTooLarge, "Send a document of at most 10 MiB.")
        .with_fact("limitBytes", MAX_BYTES)
}

/// Read a document
///
/// Gives the bytes of a document that was handed in. For its applicant, officers of its unit, and auditors.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."),
    ("kind" = String, Path, description = "The document's name in the track.", max_length = 60, pattern = "^[A-Za-z0-9]+$", example = "passport"),
    PurposeHeader),
    responses((status = 200, description = "The document.",
        content((Vec<u8> = "application/pdf"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png")))))]
#[get("/v1/applications/{id}/documents/{kind}")]
pub async fn show_document(
    app: App,
    reader: Reading<CaseReader>,
    Path(place): Path<DocumentPath>,
) -> Result<HttpResponse> {
    let (read, document) = app
        .casework
        .see(&reader.actor(), place.id, |seen| {
            let found = seen.application.documents.iter().find(|one| one.kind == place.kind);
            let found = found.ok_or_else(Error::not_found)?.clone();
            Ok((Read::new("documentRead", &["document"]).of(seen), found))
        })
        .await?;
    let bytes = app.blobs.get(&document.digest).await?;
    let name = format!("attachment; filename=\"{}\"", document.kind);
    let answer = HttpResponse::Ok()
        .content_type(document.media_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(bytes);
    reader.answer(&app, read.with("document", document.kind), answer).await
}

/// Read the history
///
/// Lists what happened to an application, oldest first. Applicants see what and when; the office and auditors also see
/// who and with which words.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), PageQuery, PurposeHeader),
    responses((status = 200, description = "A page of the history.", body = HistoryPage)))]
#[get("/v1/applications/{id}/history")]
pub async fn list_history(
    app: App,
    request: HttpRequest,
    reader: Reading<CaseReader>,
    Path(id): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let list = format!("history {id}");
    let after = page.after::<i32>(&app.tokens, &list)?.unwrap_or(0);
    let read = |seen: &Seen<'_>| Ok(Read::new("historyRead", &["history"]).of(seen));
    let read = app.casework.see(&reader.actor(), id, read).await?;
    let mut conn = app.db.conn().await?;
    let events = audit::history_page(&mut conn, id, after, page.fetch()).await?;
    drop(conn);
    let page = Page::new(&request, &page, &app.tokens, &list, events, |event| event.seq)?;
    let read = page
        .items
        .first()
        .zip(page.items.last())
        .map(|(first, last)| read.with("firstSeq", first.seq).with("lastSeq", last.seq));
    let inside = is_inside(&reader);
    let items = page.items.into_iter().map(|event| HistoryView::of(event, inside)).collect();
    reader.answer(&app, read, listed(HistoryPage { items }, page.link)).await
}

/// See who read your file
///
/// Lists when staff read the caller's own application, in which role and office, for which purpose, and what they were
/// shown, newest first; lists and exports in which it stood among others count, too, and so does what the office did with it,
/// as whoever claims, decides or notes is shown it. Who they are the audit knows.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), PageQuery),
    responses((status = 200, description = "A page of reads.", body = AccessPage)))]
#[get("/v1/applications/{id}/accesses")]
pub async fn list_own_accesses(
    app: App,
    request: HttpRequest,
    caller: Caller<Applicant>,
    Path(id): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse> {
    let list = format!("own accesses {id}");
    let before = page.after::<Uuid>(&app.tokens, &list)?;
    app.casework.see(&caller.actor(), id, |_| Ok(())).await?;
    let mut conn = app.db.conn().await?;
    let access = AccessFilter { application: id, ..AccessFilter::default() };
    let rows = audit::list_accesses(&mut conn, &access, before, page.fetch()).await?;
    let page = Page::new(&request, &page, &app.tokens, &list, rows, |row| row.id)?;
    let items = page.items.into_iter().map(|row| AccessView::of(row, false)).collect();
    Ok(listed(AccessPage { items }, page.link))
}

/// Explain the date
///
/// Shows the statutory clock: when it started, which days counted and which did not, and why the date is the one it is.
/// 404 before acceptance, when there is no clock yet.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), PurposeHeader), responses(
    (status = 200, description = "The clock.", body = ClockView)))]
#[get("/v1/applications/{id}/clock")]
pub async fn show_clock(
    app: App,
    reader: Reading<CaseReader>,
    Path(id): Path<Uuid>,
) -> Result<HttpResponse> {
    let show = |seen: &Seen<'_>| {
        let view = clock_view(seen)?;
        Ok((Read::new("clockRead", &["clock"]).of(seen), listed(view, None)))
    };
    let (read, answer) = app.casework.see(&reader.actor(), id, show).await?;
    reader.answer(&app, read, answer).await
}

fn clock_view(seen: &Seen<'_>) -> Result<ClockView> {
    let clock = seen.application.clock.as_ref().ok_or_else(Error::not_found)?;
    let calendar = &seen.rules.calendar;
    let missing = |error| Error::internal("the calendar lacks a year", error);
    let Explanation {
        started_on,
        length,
        extension,
        standard_due_on,
        rule,
        due_on,
        suspensions,
        days,
    } = clock.explain(calendar).map_err(missing)?;
    let running = clock.stopped_on.is_none() && due_on.is_some();
    let working_days_left = running
        .then(|| clock.working_days_left(seen.today, calendar).map_err(missing))
        .transpose()?;
    Ok(ClockView {
        started_on,
        working_days: length,
        extension: extension.as_ref().map(Into::into),
        standard_due_on,
        rule,
        basis: seen.definition.clock.basis.clone(),
        due_on,
        working_days_left,
        clock_stopped: clock.standing_still().is_some(),
        clock_stopped_since: clock.standing_still().map(|one| one.from),
        clock_stopped_reason: clock.standing_still().map(|one| one.reason.clone()),
        stopped_on: clock.stopped_on,
        suspensions: suspensions
            .into_iter()
            .map(|one| SuspensionView { from: one.from, to: one.to, reason: one.reason })
            .collect(),
        days: days
            .into_iter()
            .map(|day| ClockDayView {
                date: day.date,
                counted: day.counted,
                why: serde_json::to_value(day.why)
                    .ok()
                    .and_then(|value| value.as_str().map(str::to_owned))
                    .unwrap_or_default(),
            })
            .collect(),
    })
}

/// Give a command
///
/// The one way in which an application changes: what may be asked for now stands in its `commands`. A wrong state is
/// 409, a version that is not current 412, what a rule refuses 422 with every guard that blocks; nothing has then
/// changed, and the key may be used again.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."), IfMatchHeader, IdempotencyKeyHeader, PurposeHeader),
    request_body = CommandRequest,
    responses((status = 200, description = "It is done; the application as it is now.", body = ApplicationView)))]
#[post("/v1/applications/{id}/commands")]
pub async fn give_command(
    app: App,
    request: HttpRequest,
    reader: Reading<ApplicantOrOffice>,
    Path(id): Path<Uuid>,
    version: IfMatch,
    key: IdempotencyKey,
    Json(body): Json<Commanded>,
) -> Result<HttpResponse> {
    let command = body.read(latest_today(&app))?;
    let ask = ask(&request, &reader, Some(version), Some(key));
    let render = renderer(is_inside(&reader), language(&request));
    let done = app.casework.execute(&ask, id, &command, &render).await?;
    // The command's own event says what the first answer shows; a repeated one shows it to staff once more.
    let read = done.replayed.then(|| Read::new("applicationRead", &["application"]).about(id));
    reader.answer(&app, read, answered(done)).await
}
