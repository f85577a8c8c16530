//! Operations for administrators: the calendars of the office.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, put, web};
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

use super::applicant::listed;
use super::extract::{BODY_LIMIT, IfMatch, IfMatchHeader, Path, Query, etag};
use crate::app::App;
use crate::auth::access::{Administrators, Caller};
use crate::casework::calendars::{CalendarVersion, Draft, Move};
use crate::domain::calendar::{Calendar, ChangedDay, DayKind};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::rule_files::Loading;

/// How many applications a trial names.
const MOST: usize = 1000;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_calendars).service(show_calendar).service(load_calendar);
}

/// A version of the calendar of a year.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalendarVersionView {
    /// The country, ISO 3166-1 alpha-3.
    #[schema(max_length = 3, example = "RUS")]
    pub country: String,
    /// The year.
    #[schema(minimum = 1900, maximum = 2200, example = 2026)]
    pub year: i32,
    /// Its number: greater than that of every version before it. The ETag is `"v<number>"`.
    #[schema(minimum = 1, example = 7)]
    pub number: i64,
    /// SHA-256 of the file, as the log's event has it.
    #[schema(max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub digest: String,
    /// When it was put in force.
    pub registered_at: DateTime<Utc>,
    /// Whether it may still change, because its decree is not out.
    pub provisional: bool,
    /// Whether it is in force; if not, a later version is.
    pub in_force: bool,
}

/// Every version of every calendar.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalendarList {
    /// The versions, the latest first.
    pub items: Vec<CalendarVersionView>,
}

/// A calendar in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalendarView {
    /// Which version it is.
    #[serde(flatten)]
    pub version: CalendarVersionView,
    /// How many days of the year are worked.
    #[schema(minimum = 0, maximum = 366, example = 247)]
    pub working_days: usize,
    /// Mondays to Fridays that are off.
    #[schema(max_items = 366)]
    pub days_off: Vec<NaiveDate>,
    /// Saturdays and Sundays that are worked.
    #[schema(max_items = 366)]
    pub working_weekends: Vec<NaiveDate>,
    /// The file.
    #[schema(max_length = 262_144)]
    pub toml: String,
}

/// A day of which the calendar says something else than the one in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangedDayView {
    /// The day.
    pub date: NaiveDate,
    /// What it was: `working`, `weekend`, `holiday` or `workingWeekend`.
    #[schema(max_length = 20, example = "working")]
    pub before: String,
    /// What it is.
    #[schema(max_length = 20, example = "holiday")]
    pub after: String,
}

/// An application whose date moves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveView {
    /// Public reference.
    #[schema(max_length = 20, example = "7K3QF-M2XWD-9B4T")]
    pub reference: String,
    /// Code of its office.
    #[schema(max_length = 5, example = "77")]
    pub unit: String,
    /// The date that was promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// The date that the calendar gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// By how many days it moves; less than zero: it comes earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
    /// By how many working days of the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_days: Option<i64>,
}

/// What loading a calendar does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalendarLoadView {
    /// The country.
    #[schema(max_length = 3, example = "RUS")]
    pub country: String,
    /// The year.
    #[schema(minimum = 1900, maximum = 2200, example = 2026)]
    pub year: i32,
    /// Whether this was a trial, and nothing has changed.
    pub dry_run: bool,
    /// The number of the version in force now.
    #[schema(minimum = 0, example = 8)]
    pub number: i64,
    /// The days of which it says something else than the version before it.
    #[schema(max_items = 366)]
    pub days: Vec<ChangedDayView>,
    /// How many of these days are over and were counted the other way.
    #[schema(minimum = 0)]
    pub past_days: usize,
    /// Of a trial: how many applications have their date moved. Loaded, the calendar moves these dates in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub total: Option<usize>,
    /// Of a trial: the first thousand of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 1000)]
    pub moves: Option<Vec<MoveView>>,
}

/// How a calendar is loaded.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadQuery {
    /// Whether only to say what it would do.
    #[serde(default)]
    #[param(inline)]
    pub dry_run: bool,
}

/// Where a calendar is.
#[derive(Debug, Deserialize)]
pub struct CalendarPath {
    country: String,
    year: i32,
}

impl From<CalendarVersion> for CalendarVersionView {
    fn from(version: CalendarVersion) -> Self {
        let CalendarVersion { country, year, number, digest, registered_at, .. } = version;
        let CalendarVersion { provisional, in_force, .. } = version;
        Self { country, year, number, digest, registered_at, provisional, in_force }
    }
}

fn kind(kind: DayKind) -> String {
    let name = serde_json::to_value(kind).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

impl From<&ChangedDay> for ChangedDayView {
    fn from(day: &ChangedDay) -> Self {
        Self { date: day.date, before: kind(day.before), after: kind(day.after) }
    }
}

impl From<Move> for MoveView {
    fn from(one: Move) -> Self {
        let Move { reference, unit, from, to, days, working_days, .. } = one;
        Self { reference, unit, from: from.due_on, to: to.due_on, days, working_days }
    }
}

impl CalendarView {
    fn of(version: CalendarVersion) -> Result<Self> {
        let text = version.text.clone();
        let wrong = |_| Error::bug("a registered calendar does not read");
        let calendar = Calendar::parse(&[("", &text)]).map_err(wrong)?;
        let first = NaiveDate::from_yo_opt(version.year, 1);
        let year = first
            .into_iter()
            .flat_map(|first| first.iter_days().take_while(|date| date.year() == version.year));
        let days: Vec<(NaiveDate, DayKind)> =
            year.filter_map(|date| Some((date, calendar.day_kind(date).ok()?))).collect();
        let of = |wanted: DayKind| {
            days.iter().filter(|(_, kind)| *kind == wanted).map(|(date, _)| *date).collect()
        };
        Ok(Self {
            working_days: days.iter().filter(|(_, kind)| kind.is_working()).count(),
            days_off: of(DayKind::Holiday),
            working_weekends: of(DayKind::WorkingWeekend),
            version: version.into(),
            toml: text,
        })
    }
}

/// Gives the part of an entity tag that stands for a calendar's number.
fn version(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// List the calendars
///
/// Lists every version of the production calendar of every year, the latest first. The latest of a year is in force.
#[utoipa::path(tag = "administration", responses(
    (status = 200, description = "The versions.", body = CalendarList)))]
#[get("/v1/calendars")]
pub async fn list_calendars(app: App, _: Caller<Administrators>) -> Result<HttpResponse> {
    let items = app.casework.calendars().await?.into_iter().map(Into::into).collect();
    Ok(listed(CalendarList { items }, None))
}

/// Read a calendar
///
/// Shows the calendar in force of a year: the days that are off, the weekends that are worked, and the file itself.
#[utoipa::path(tag = "administration", params(
    ("country" = String, Path, description = "The country, ISO 3166-1 alpha-3.", max_length = 3, pattern = "^[A-Z]{3}$", example = "RUS"),
    ("year" = i32, Path, description = "The year.", minimum = 1900, maximum = 2200, example = 2026)),
    responses((status = 200, description = "The calendar.", body = CalendarView)))]
#[get("/v1/calendars/{country}/{year}")]
pub async fn show_calendar(
    app: App,
    _: Caller<Administrators>,
    Path(place): Path<CalendarPath>,
) -> Result<HttpResponse> {
    let found = app.casework.calendar(&place.country, place.year).await?;
    let tag = etag(version(found.number));
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(CalendarView::of(found)?))
}

/// Load a calendar
///
/// Puts a calendar in force, for every process at once, and has the dates of what is under way moved by events, in the
/// background. `If-Match` names the version that it replaces, `"v0"` where the year has none. With `dryRun=true` nothing
/// changes and the answer lists what would move. 422 names each mistake by its kind and line.
#[utoipa::path(tag = "administration", params(
    ("country" = String, Path, description = "The country, ISO 3166-1 alpha-3.", max_length = 3, pattern = "^[A-Z]{3}$", example = "RUS"),
    ("year" = i32, Path, description = "The year.", minimum = 1900, maximum = 2200, example = 2026),
    LoadQuery, IfMatchHeader),
    request_body(content = String, content_type = "application/toml", description = "The file, as workflows/README.md describes it."),
    responses((status = 200, description = "What it does.", body = CalendarLoadView),
        (status = 422, description = "The calendar is wrong; each mistake is listed with its line.")))]
#[put("/v1/calendars/{country}/{year}")]
pub async fn load_calendar(
    app: App,
    request: HttpRequest,
    caller: Caller<Administrators>,
    Path(place): Path<CalendarPath>,
    Query(query): Query<LoadQuery>,
    IfMatch(seen): IfMatch,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let text = text(&request, payload).await?;
    let wanted = Some((place.country.as_str(), place.year));
    let draft = app.casework.draft_calendar("the calendar", &text, wanted).await?;
    if version(draft.seen) != seen {
        return Err(stale(draft.seen));
    }
    let mut view = CalendarLoadView {
        country: draft.country.clone(),
        year: draft.year,
        dry_run: query.dry_run,
        number: draft.seen,
        days: draft.days.iter().map(Into::into).collect(),
        past_days: draft.past,
        total: None,
        moves: None,
    };
    if query.dry_run {
        let (total, moves) = trial(&app, &draft).await?;
        view.total = Some(total);
        view.moves = Some(moves.into_iter().map(Into::into).collect());
    } else {
        let (role, account) = (caller.role().name(), Some(caller.account()));
        view.number = match app.casework.load_calendar(&draft, role, account).await? {
            Loading::Registered(number) | Loading::Known(number) => number,
            Loading::Stale(number) => return Err(stale(number)),
        };
    }
    let tag = etag(version(view.number));
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(view))
}

/// Counts what a calendar would move, and names the first of it.
async fn trial(app: &App, draft: &Draft) -> Result<(usize, Vec<Move>)> {
    let (mut total, mut first, mut after) = (0, Vec::new(), None);
    loop {
        let (moves, last) = app.casework.moves(draft, after).await?;
        total += moves.len();
        first.extend(moves);
        first.truncate(MOST);
        if last.is_none() {
            return Ok((total, first));
        }
        after = last;
    }
}

fn stale(number: i64) -> Error {
    let detail = "Another version is in force; read the calendar again and decide anew.";
    Error::refused(ErrorCode::StaleVersion, detail).with_fact("currentETag", etag(version(number)))
}

/// Reads the body, which must say that it is TOML and be UTF-8.
async fn text(request: &HttpRequest, payload: web::Payload) -> Result<String> {
    let declared = request.headers().get(header::CONTENT_TYPE);
    let declared = declared.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/toml") {
        let detail = "Send the calendar as application/toml and say so in Content-Type.";
        return Err(Error::refused(ErrorCode::UnsupportedMediaType, detail));
    }
    let wrong = |code: &'static str, detail: &'static str| {
        Error::invalid(vec![Violation::new("", code, detail)])
    };
    let bytes = payload.to_bytes_limited(BODY_LIMIT).await.map_err(|_| {
        let detail = "Send a calendar of at most 262144 bytes.";
        Error::refused(ErrorCode::PayloadTooLarge, detail).with_fact("limitBytes", BODY_LIMIT)
    })?;
    let bytes = bytes.map_err(|_| wrong("incomplete-body", "Send the whole calendar."))?;
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) if text.contains('\0') => Err(wrong("nul-character", "Remove the NUL character.")),
        Ok(text) => Ok(text),
        Err(_) => Err(wrong("not-utf-8", "Send the calendar in UTF-8.")),
    }
}
