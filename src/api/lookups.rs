//! Look-ups for anyone: where an application stands, whether a permit is valid, and the rules themselves.
//!
//! What is unknown, mistyped or not to be told answers the same, after the same work.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

use super::applicant::language;
use super::extract::{Json, Path, Query};
use super::session::spend;
use super::views::{
    ChargeView, DutyView, GroundView, InformationView, UnitView, grounds, text, waits_for, wording,
};
use crate::app::App;
use crate::domain::after_life::BlankNumber;
use crate::domain::application::{Decision, InformationItem};
use crate::domain::clock::StatutoryClock;
use crate::domain::duty::DutyDays;
use crate::domain::permit::{PermitNumber, PermitStatus};
use crate::domain::reference::Reference;
use crate::domain::rules::Rulebook;
use crate::domain::rules::restrictions::{Ban, Stop};
use crate::domain::workflow::definition::{COMPLAINTS, CheckSource, Definition, Guard, Phase};
use crate::domain::workflow::diagram;
use crate::domain::workflow::engine::{Bases, act_by};
use crate::error::{Error, Result};
use crate::storage::applications::{self, Key, Wants};
use crate::storage::{Conn, accounts};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(show_status)
        .service(show_status_details)
        .service(show_permit)
        .service(list_workflows)
        .service(show_workflow)
        .service(show_diagram)
        .service(list_units);
}

/// Where an application stands. No personal data.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// The reference.
    #[schema(max_length = 20, example = "7K3QF-M2XWD-9B4T")]
    pub reference: String,
    /// The track.
    #[schema(max_length = 60, example = "patent")]
    pub track: String,
    /// What the track is called.
    #[schema(max_length = 200, example = "Patent for work")]
    pub track_title: String,
    /// The office.
    #[schema(max_length = 200, example = "Moscow")]
    pub unit: String,
    /// Phase.
    #[schema(max_length = 12, example = "checks")]
    pub phase: &'static str,
    /// State.
    #[schema(max_length = 60, example = "checking")]
    pub state: String,
    /// What the stage is called.
    #[schema(max_length = 200)]
    pub stage: String,
    /// What happens next and who has to do it.
    #[schema(max_length = 500)]
    pub next: String,
    /// Whose turn it is: `applicant`, `office` or `nobody`.
    #[schema(max_length = 10, example = "office")]
    pub waits_for: &'static str,
    /// When the stage began.
    pub since: DateTime<Utc>,
    /// When the application was handed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<DateTime<Utc>>,
    /// The date by which the law promises a decision; absent before acceptance, while the clock stands still, and after
    /// the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    /// The last day on which the applicant can do what the stage waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act_by: Option<NaiveDate>,
    /// Whether the clock stands still, because the applicant is awaited.
    pub clock_stopped: bool,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_stopped_since: Option<NaiveDate>,
    /// Why: `informationRequested` while the applicant is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "informationRequested")]
    pub clock_stopped_reason: Option<String>,
    /// Whether the promised date has passed without a decision.
    pub overdue: bool,
    /// By how much the office has made the term longer; absent when it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<PublicExtensionView>,
    /// That the promise was broken, and how to complain; absent while it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complaint: Option<ComplaintView>,
    /// That permits of the track are not issued at present in the office's region; absent while they are, and once it is
    /// decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

/// That the permits of a track are not issued in a region for a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopView {
    /// Code of the federal subject.
    #[schema(max_length = 2, example = "91")]
    pub region: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; absent until somebody says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// Why.
    #[schema(max_length = 1000)]
    pub reason: String,
    /// The act that says so.
    #[schema(max_length = 300)]
    pub basis: String,
}

impl StopView {
    fn of(stop: &Stop, language: &str) -> Self {
        Self {
            region: stop.region.clone(),
            from: stop.days.from,
            to: stop.days.to,
            reason: text(&stop.reason, language),
            basis: stop.basis.clone(),
        }
    }
}

/// That an activity is barred to the holders of permits in a region for a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BanView {
    /// Code of the federal subject.
    #[schema(max_length = 2, example = "91")]
    pub region: String,
    /// The activity, a code of OKVED 2; what is a part of it is barred, too.
    #[schema(max_length = 8, example = "47.25")]
    pub okved: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; absent until somebody says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// The act that says so.
    #[schema(max_length = 300)]
    pub basis: String,
}

impl From<&Ban> for BanView {
    fn from(ban: &Ban) -> Self {
        Self {
            region: ban.region.clone(),
            okved: ban.okved.to_string(),
            from: ban.days.from,
            to: ban.days.to,
            basis: ban.basis.clone(),
        }
    }
}

/// By how much the office has made the term longer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicExtensionView {
    /// By so many working days.
    #[schema(minimum = 1, example = 5)]
    pub working_days: u32,
    /// The article that it names.
    #[schema(max_length = 300)]
    pub basis: String,
    /// When.
    pub on: NaiveDate,
    /// The date that was promised before; absent while the clock stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_due_on: Option<NaiveDate>,
}

/// How to complain of a broken promise.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplaintView {
    /// The date that was promised.
    pub promised_on: NaiveDate,
    /// That the promise was broken, and how to complain.
    #[schema(max_length = 1000)]
    pub detail: String,
    /// What one can complain of, what is at hand first.
    #[schema(max_items = 7, example = json!(["lateService"]))]
    pub types: &'static [&'static str],
}

/// The second factor of a look-up.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DetailsRequest {
    /// The worker's date of birth.
    #[schema(example = "1990-05-17")]
    pub birth_date: NaiveDate,
}

/// What an applicant without an account needs to know. No name, no passport.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetailsView {
    /// Where it stands.
    pub status: StatusView,
    /// What is asked for and not yet answered.
    pub missing: Vec<InformationView>,
    /// What is and was owed, with the UIN to state when paying.
    pub charges: Vec<ChargeView>,
    /// `granted` or `refused`, once decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10, example = "refused")]
    pub decision: Option<&'static str>,
    /// On what grounds it was refused, or the permit annulled.
    pub grounds: Vec<GroundView>,
    /// The permit's number, once issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 13, example = "77-0000000016")]
    pub permit: Option<String>,
    /// What is owed after issue, until when, and what to do; empty before issue.
    pub duties: Vec<DutyView>,
    /// What was put right, oldest first.
    pub corrections: Vec<PutRightView>,
}

/// That something was put right, and when. Why is in the application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PutRightView {
    /// What was done: `undone`, `reopened`, `corrected` or `courtOrdered`.
    #[schema(max_length = 20, example = "reopened")]
    pub kind: &'static str,
    /// When.
    pub at: DateTime<Utc>,
}

/// Whether a permit is valid today. No personal data.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidityView {
    /// The number.
    #[schema(max_length = 13, example = "77-0000000016")]
    pub number: String,
    /// Whether its holder may work today.
    pub valid: bool,
    /// Why: `inForce`, `suspended`, `lapsed`, `expired`, `annulled` or `superseded`.
    #[schema(value_type = String, max_length = 12, example = "inForce")]
    pub reason: PermitStatus,
    /// The first day on which it was not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<NaiveDate>,
    /// Code of the federal subject in which it is valid.
    #[schema(max_length = 2, example = "77")]
    pub territory: String,
    /// Profession.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "Каменщик")]
    pub profession: Option<String>,
    /// Day of issue.
    pub issued_on: NaiveDate,
    /// Last paid day, where months are paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_through: Option<NaiveDate>,
    /// Last day of the term.
    pub ends_on: NaiveDate,
    /// Of the paper that was asked about: `valid`, `superseded` by another, `spoilt`, or `unknown`: the permit was never
    /// printed on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10, example = "valid")]
    pub blank: Option<String>,
}

/// Which paper is at hand.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaperQuery {
    /// The number of the paper that the permit is printed on: says whether it is still the permit's.
    #[validate(length(max = 20))]
    #[param(max_length = 20, example = "B77-0000000016")]
    pub blank: Option<String>,
}

/// A track.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSummaryView {
    /// Name.
    #[schema(max_length = 60, example = "patent")]
    pub track: String,
    /// Version in force today.
    pub version: u32,
    /// Title.
    #[schema(max_length = 200)]
    pub title: String,
    /// The law it follows.
    #[schema(max_length = 500)]
    pub law: String,
    /// The roles that may apply.
    pub applicants: Vec<&'static str>,
}

/// The tracks in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowList {
    /// The tracks.
    pub items: Vec<WorkflowSummaryView>,
}

/// A document that a track asks for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRuleView {
    /// Kind: the name to hand it in under.
    #[schema(max_length = 60, example = "passport")]
    pub kind: String,
    /// What it is.
    #[schema(max_length = 300)]
    pub title: String,
    /// Whether an application can be handed in without it.
    pub required: bool,
}

/// A check of a track.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckRuleView {
    /// Name.
    #[schema(max_length = 60, example = "entryBan")]
    pub id: String,
    /// What it asks.
    #[schema(max_length = 300)]
    pub title: String,
    /// `officer`, the register that is asked, or `local`: answered by the service itself.
    #[schema(max_length = 60)]
    pub source: String,
    /// The parts of the form that the register is sent.
    #[schema(example = json!(["person.familyName", "passport.number"]))]
    pub sends: Vec<String>,
    /// Working days until an answer is due.
    pub due_working_days: u32,
    /// The outcomes that block a grant.
    pub blocking: Vec<&'static str>,
    /// The reasons that a blocking answer can have.
    pub reasons: Vec<CheckReasonView>,
}

/// A reason that a blocking answer to a check can have.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReasonView {
    /// Name.
    #[schema(max_length = 60, example = "deported")]
    pub id: String,
    /// What it says.
    #[schema(max_length = 300)]
    pub title: String,
    /// `refuse`: the application can be refused on it; `ask`: the applicant is asked first.
    #[schema(max_length = 10, example = "refuse")]
    pub means: &'static str,
    /// Codes of the grounds to refuse that it supports.
    #[schema(example = json!(["G03"]))]
    pub grounds: Vec<String>,
}

/// A fee of a track.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeeRuleView {
    /// Name.
    #[schema(max_length = 60, example = "stateDuty")]
    pub id: String,
    /// What it is.
    #[schema(max_length = 200)]
    pub title: String,
    /// `beforeAcceptance`, `beforeHandover` or `whileInForce`.
    #[schema(max_length = 20)]
    pub position: &'static str,
    /// Whether the form's `prepaidMonths` multiplies it.
    pub per_month: bool,
}

/// A state of a track.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    /// Name.
    #[schema(max_length = 60, example = "checking")]
    pub id: String,
    /// Phase.
    #[schema(max_length = 12, example = "checks")]
    pub phase: &'static str,
    /// What the stage is called.
    #[schema(max_length = 200)]
    pub stage: String,
    /// What happens next and who has to do it.
    #[schema(max_length = 500)]
    pub next: String,
    /// `applicant`, `office` or `nobody`.
    #[schema(max_length = 10)]
    pub waits_for: &'static str,
    /// Whether nothing follows.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// A step of a track.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransitionView {
    /// The command that takes it.
    #[schema(max_length = 40, example = "accept")]
    pub command: &'static str,
    /// The states it starts from.
    pub from: Vec<String>,
    /// The state it leads to; absent when it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60)]
    pub to: Option<String>,
    /// Who may take it: `applicant`, `officer`, `seniorOfficer`, `timer`, `payments`.
    pub actors: Vec<String>,
    /// What must hold.
    pub guards: Vec<&'static str>,
    /// Commands whose giver may not give this one.
    pub four_eyes: Vec<&'static str>,
    /// The grounds it may carry.
    pub grounds: Vec<String>,
    /// The article that allows it.
    #[schema(max_length = 300)]
    pub basis: String,
}

/// A track in full.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView {
    /// The track.
    #[serde(flatten)]
    pub summary: WorkflowSummaryView,
    /// The statutory term in working days.
    pub working_days: u32,
    /// By how many working days at most a senior officer can extend it; absent where it cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 30)]
    pub extension_working_days: Option<u32>,
    /// The form's sections that must be there when it is handed in.
    pub required_sections: Vec<String>,
    /// The documents.
    pub documents: Vec<DocumentRuleView>,
    /// The checks.
    pub checks: Vec<CheckRuleView>,
    /// The fees.
    pub fees: Vec<FeeRuleView>,
    /// The states.
    pub states: Vec<StateView>,
    /// The steps.
    pub transitions: Vec<TransitionView>,
    /// The grounds that its commands can carry, with their wording.
    pub grounds: Vec<GroundView>,
    /// Where its permits are not issued today.
    pub stops: Vec<StopView>,
    /// Which activities are barred today, where its steps ask for them.
    pub bans: Vec<BanView>,
}

/// The offices.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitList {
    /// The offices.
    pub items: Vec<UnitView>,
}

/// How a picture is to be.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiagramQuery {
    /// The picture's format.
    #[serde(default)]
    #[param(inline)]
    pub format: DiagramFormat,
}

/// The formats of a picture.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiagramFormat {
    /// A picture to look at.
    #[default]
    Svg,
    /// Text for Mermaid.
    Mermaid,
}

/// Gives the canonical form of a reference; a mistyped one becomes one that nothing has, so that it is looked for all
/// the same.
pub(super) fn canonical(reference: &str) -> String {
    Reference::parse(reference).map_or_else(|_| "-".to_owned(), |reference| reference.to_string())
}

/// Gives the key of a reference's budget of tries. A mistyped one has its own, as an unknown one does: were all of them
/// counted together, the answer would tell the two apart.
pub(super) fn budget(reference: &str) -> String {
    Reference::parse(reference).map_or_else(
        |_| reference.chars().filter(char::is_ascii_alphanumeric).take(40).collect(),
        |reference| reference.to_string(),
    )
}

fn today(time_zone: &str, now: DateTime<Utc>) -> NaiveDate {
    let zone: Tz = time_zone.parse().unwrap_or(Tz::UTC);
    now.with_timezone(&zone).date_naive()
}

pub(super) fn no_such_reference() -> Error {
    Error::refused(
        crate::error::ErrorCode::NotFound,
        "There is no application with these data; compare the reference with your receipt, letter by letter.",
    )
}

/// Where does it stand
///
/// Shows the stage of an application, whose turn it is, what happens next and by when, in the language of
/// `Accept-Language` (en, ru). Needs the reference alone and shows no personal data. A reference that is unknown and one
/// that is mistyped answer alike.
#[utoipa::path(tag = "public", security(()), params(
    ("reference" = String, Path, description = "The public reference, in any case, with or without hyphens.", max_length = 40, example = "7K3QF-M2XWD-9B4T")),
    responses((status = 200, description = "The status.", body = StatusView)))]
#[get("/v1/status/{reference}")]
pub async fn show_status(
    app: App,
    request: HttpRequest,
    Path(reference): Path<String>,
) -> Result<HttpResponse> {
    let reference = canonical(&reference);
    let mut conn = app.db.conn().await?;
    let row = applications::find_status(&mut conn, &reference).await?;
    let row = row.ok_or_else(no_such_reference)?;
    let rules = app.casework.rules_at(&mut conn, row.rules).await?;
    drop(conn);
    let language = language(&request);
    let clock: Option<StatutoryClock> = row
        .clock
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| Error::internal("a stored clock does not decode", error))?;
    let information: Vec<InformationItem> = serde_json::from_value(row.information)
        .map_err(|error| Error::internal("stored information items do not decode", error))?;
    let version = u32::try_from(row.workflow_version).unwrap_or_default();
    let definition = definition(&rules, &row.track, version)?;
    let status = Stand {
        reference,
        unit: row.unit_title,
        region: &row.region,
        state: &row.state,
        since: row.state_since,
        submitted_at: row.submitted_at,
        due_on: row.due_on,
        clock: clock.as_ref(),
        information: &information,
        permit_days: row.permit_ends_on.map(|ends_on| (row.permit_paid_through, ends_on)),
        time_zone: row.time_zone.parse().unwrap_or(Tz::UTC),
        now: app.clock.now(),
    }
    .view(definition, &rules, language);
    Ok(spoken(language, &status))
}

fn definition<'r>(rules: &'r Rulebook, track: &str, version: u32) -> Result<&'r Definition> {
    rules.definition(track, version).ok_or_else(|| {
        Error::bug(format!("version {version} of the track '{track}' is not loaded"))
    })
}

/// Answers in a language that the request chose.
fn spoken<T: Serialize>(language: &'static str, body: &T) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_LANGUAGE, language))
        .insert_header((header::VARY, "Accept-Language"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}

/// What a status is shown from.
struct Stand<'a> {
    reference: String,
    unit: String,
    region: &'a str,
    state: &'a str,
    since: DateTime<Utc>,
    submitted_at: Option<DateTime<Utc>>,
    due_on: Option<NaiveDate>,
    clock: Option<&'a StatutoryClock>,
    information: &'a [InformationItem],
    permit_days: Option<(Option<NaiveDate>, NaiveDate)>,
    time_zone: Tz,
    now: DateTime<Utc>,
}

impl Stand<'_> {
    fn view(self, definition: &Definition, rules: &Rulebook, language: &str) -> StatusView {
        let calendar = &rules.calendar;
        let undecided = |phase: Phase| matches!(phase, Phase::Submission | Phase::Checks);
        let waits = definition.state(self.state).is_some_and(|state| undecided(state.phase));
        let words = wording(definition, self.state, language);
        let running = self.clock.is_some_and(|clock| clock.stopped_on.is_none());
        let due_on = self.due_on.filter(|_| running);
        let still = self.clock.and_then(StatutoryClock::standing_still);
        let today = self.now.with_timezone(&self.time_zone).date_naive();
        let late = due_on.filter(|due| *due < today);
        let bases = Bases {
            since: self.since.with_timezone(&self.time_zone).date_naive(),
            due_on,
            information: self.information,
            permit_days: self.permit_days,
            duty_days: DutyDays::default(),
        };
        StatusView {
            reference: self.reference,
            track: definition.track.clone(),
            track_title: text(&definition.title, language),
            unit: self.unit,
            phase: definition.state(self.state).map_or("closed", |state| state.phase.name()),
            state: self.state.to_owned(),
            stage: words.map(|words| words.stage.clone()).unwrap_or_default(),
            next: words.map(|words| words.next.clone()).unwrap_or_default(),
            waits_for: waits_for(definition, self.state),
            since: self.since,
            submitted_at: self.submitted_at,
            due_on,
            act_by: definition.state(self.state).and_then(|one| act_by(one, bases, calendar)),
            clock_stopped: still.is_some(),
            clock_stopped_since: still.map(|one| one.from),
            clock_stopped_reason: still.map(|one| one.reason.clone()),
            overdue: late.is_some(),
            extension: self.clock.filter(|_| running).and_then(|clock| {
                clock.extension.as_ref().map(|extension| PublicExtensionView {
                    working_days: extension.working_days,
                    basis: extension.basis.clone(),
                    on: extension.on,
                    standard_due_on: clock.standard_due_on(calendar).ok().flatten(),
                })
            }),
            complaint: late.map(|promised_on| ComplaintView {
                promised_on,
                detail: text(&definition.complaint.how, language),
                types: &COMPLAINTS,
            }),
            stop: rules
                .restrictions
                .stop(&definition.track, self.region, today)
                .filter(|_| waits)
                .map(|stop| StopView::of(stop, language)),
        }
    }
}

/// What is missing
///
/// With the worker's date of birth beside the reference: what is asked for, what is owed and the grounds of a refusal.
/// A wrong date, an unknown reference and a mistyped one answer alike; each reference has a budget of tries.
#[utoipa::path(tag = "public", security(()), params(
    ("reference" = String, Path, description = "The public reference, in any case, with or without hyphens.", max_length = 40, example = "7K3QF-M2XWD-9B4T")),
    responses((status = 200, description = "The details.", body = DetailsView)))]
#[post("/v1/status/{reference}/details")]
pub async fn show_status_details(
    app: App,
    request: HttpRequest,
    Path(reference): Path<String>,
    Json(factor): Json<DetailsRequest>,
) -> Result<HttpResponse> {
    spend(&request, &app, &app.limits.references, &budget(&reference))?;
    let reference = canonical(&reference);
    let mut conn = app.db.conn().await?;
    // One look at one index, whether the reference or the date is wrong.
    let id = applications::find_by_birth_date(&mut conn, &reference, factor.birth_date).await?;
    let id = id.ok_or_else(no_such_reference)?;
    let found = applications::find(&mut conn, Key::Id(id), Wants::default()).await?;
    let loaded = found.ok_or_else(no_such_reference)?;
    let rules = app.casework.rules_at(&mut conn, loaded.rules).await?;
    drop(conn);
    let application = &loaded.application;
    let language = language(&request);
    let definition = definition(&rules, &application.track, application.workflow_version)?;
    let status = Stand {
        reference,
        unit: loaded.unit.title.clone(),
        region: &loaded.unit.region,
        state: &application.state,
        since: application.state_since,
        submitted_at: application.submitted_at,
        due_on: application.due_on,
        clock: application.clock.as_ref(),
        information: &application.information,
        permit_days: application.permit.as_ref().map(|one| (one.paid_through, one.ends_on)),
        time_zone: loaded.unit.time_zone,
        now: app.clock.now(),
    }
    .view(definition, &rules, language);
    let details = DetailsView {
        status,
        missing: application
            .information
            .iter()
            .filter(|item| item.is_open())
            .map(Into::into)
            .collect(),
        charges: application
            .charges
            .iter()
            .map(|charge| ChargeView::of(charge, definition, app.casework.payment_page(), language))
            .collect(),
        decision: application.decision.as_ref().map(|decision| match decision {
            Decision::Granted { .. } => "granted",
            Decision::Refused { .. } => "refused",
        }),
        grounds: match &application.decision {
            Some(Decision::Refused { grounds: on, .. }) => grounds(on, &rules.grounds, language),
            Some(Decision::Granted { .. }) | None => {
                match (&application.permit, &application.proposal) {
                    (Some(permit), Some(proposal)) if permit.status == PermitStatus::Annulled => {
                        grounds(&proposal.grounds, &rules.grounds, language)
                    }
                    _ => Vec::new(),
                }
            }
        },
        permit: application.permit.as_ref().map(|permit| permit.number.to_string()),
        duties: match &application.permit {
            Some(_) => DutyView::all(&application.duties, definition, false, language),
            None => Vec::new(),
        },
        corrections: application
            .corrections
            .iter()
            .map(|one| PutRightView { kind: one.command.event(), at: one.at })
            .collect(),
    };
    Ok(spoken(language, &details))
}

/// Is a permit valid
///
/// Says whether the holder of a permit may work today, and if not, since when and why. Shows no personal data.
#[utoipa::path(tag = "public", security(()), params(
    ("number" = String, Path, description = "The permit's number.", max_length = 20, example = "77-0000000016"), PaperQuery),
    responses((status = 200, description = "What the register says.", body = ValidityView)))]
#[get("/v1/permits/{number}")]
pub async fn show_permit(
    app: App,
    Path(number): Path<String>,
    Query(paper): Query<PaperQuery>,
) -> Result<HttpResponse> {
    let number =
        PermitNumber::parse(&number).map_or_else(|_| "-".to_owned(), |number| number.to_string());
    let mut conn = app.db.conn().await?;
    let row = applications::find_permit(&mut conn, &number).await?;
    let row = row.ok_or_else(|| {
        Error::refused(
            crate::error::ErrorCode::NotFound,
            "There is no permit with this number; compare it with the permit, digit by digit.",
        )
    })?;
    let blank = match &paper.blank {
        Some(text) => Some(paper_of(&mut conn, &number, text).await?),
        None => None,
    };
    drop(conn);
    let today = today(&row.time_zone, app.clock.now());
    let written = serde_json::from_value::<PermitStatus>(row.status.clone().into());
    let written = written.map_err(|_| Error::Corrupt {
        table: "permits",
        column: "status",
        row: row.number.clone(),
    })?;
    let status = written.on(today, row.paid_through, row.ends_on);
    let invalid_since = match status {
        PermitStatus::Suspended => row.suspended_on,
        other => other.invalid_since(row.closed_on, row.paid_through, row.ends_on),
    };
    let view = ValidityView {
        number: row.number,
        valid: status == PermitStatus::InForce,
        reason: status,
        invalid_since,
        territory: row.territory,
        profession: row.profession,
        issued_on: row.issued_on,
        paid_through: row.paid_through,
        ends_on: row.ends_on,
        blank,
    };
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(view))
}

/// Says how a paper of a permit stands; what is no number of a paper is unknown like any other.
async fn paper_of(conn: &mut Conn, permit: &str, text: &str) -> Result<String> {
    let status = match BlankNumber::parse(text) {
        Ok(number) => applications::find_blank(conn, permit, number.as_str()).await?,
        Err(_) => None,
    };
    Ok(status.unwrap_or_else(|| "unknown".to_owned()))
}

/// List the tracks
///
/// Lists the tracks under which applications can be opened today.
#[utoipa::path(tag = "public", security(()), responses(
    (status = 200, description = "The tracks.", body = WorkflowList)))]
#[get("/v1/workflows")]
pub async fn list_workflows(app: App, request: HttpRequest) -> Result<HttpResponse> {
    let language = language(&request);
    let rules = app.casework.rules();
    let today = app.clock.now().date_naive();
    let items = rules
        .definitions
        .iter()
        .filter(|one| {
            rules.current(&one.track, today).is_some_and(|now| now.version == one.version)
        })
        .map(|one| workflow_summary(one, language))
        .collect();
    Ok(spoken(language, &WorkflowList { items }))
}

fn workflow_summary(definition: &Definition, language: &str) -> WorkflowSummaryView {
    WorkflowSummaryView {
        track: definition.track.clone(),
        version: definition.version,
        title: text(&definition.title, language),
        law: definition.law.clone(),
        applicants: definition.applicants.iter().map(|role| role.name()).collect(),
    }
}

fn current<'r>(app: &App, rules: &'r Rulebook, track: &str) -> Result<&'r Definition> {
    let today = app.clock.now().date_naive();
    rules.current(track, today).ok_or_else(Error::not_found)
}

/// Read a track
///
/// Shows a track in full: what it asks for, its states, and who may do what when, on which legal basis.
#[utoipa::path(tag = "public", security(()), params(
    ("track" = String, Path, description = "The track.", max_length = 60, pattern = "^[a-z0-9-]+$", example = "patent")),
    responses((status = 200, description = "The track.", body = WorkflowView)))]
#[get("/v1/workflows/{track}")]
pub async fn show_workflow(
    app: App,
    request: HttpRequest,
    Path(track): Path<String>,
) -> Result<HttpResponse> {
    let language = language(&request);
    let rules = app.casework.rules();
    let today = app.clock.now().date_naive();
    let view = workflow_view(&rules, current(&app, &rules, &track)?, today, language);
    Ok(spoken(language, &view))
}

fn workflow_view(
    rules: &Rulebook,
    definition: &Definition,
    today: NaiveDate,
    language: &str,
) -> WorkflowView {
    let asks =
        definition.transitions.iter().any(|one| one.guards.contains(&Guard::ActivityNotBanned));
    let named = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let mut codes: Vec<_> = definition.transitions.iter().flat_map(|t| t.grounds.iter()).collect();
    codes.sort_unstable();
    codes.dedup();
    let catalogue = &rules.grounds;
    WorkflowView {
        summary: workflow_summary(definition, language),
        working_days: definition.clock.working_days,
        extension_working_days: definition.clock.extension_working_days,
        required_sections: definition.required_fields.clone(),
        documents: definition
            .documents
            .iter()
            .map(|rule| DocumentRuleView {
                kind: rule.id.clone(),
                title: text(&rule.title, language),
                required: rule.required,
            })
            .collect(),
        checks: definition
            .checks
            .iter()
            .map(|rule| CheckRuleView {
                id: rule.id.clone(),
                title: text(&rule.title, language),
                source: match &rule.source {
                    CheckSource::Officer => "officer".to_owned(),
                    CheckSource::Register(register) => register.clone(),
                    CheckSource::Local(_) => "local".to_owned(),
                },
                sends: rule.sends.clone(),
                due_working_days: rule.due_working_days,
                blocking: rule.blocking.iter().map(|(outcome, _)| outcome.name()).collect(),
                reasons: rule
                    .reasons
                    .iter()
                    .map(|reason| CheckReasonView {
                        id: reason.id.clone(),
                        title: text(&reason.title, language),
                        means: reason.means.name(),
                        grounds: reason.grounds.iter().map(ToString::to_string).collect(),
                    })
                    .collect(),
            })
            .collect(),
        fees: definition
            .fees
            .iter()
            .map(|rule| FeeRuleView {
                id: rule.id.clone(),
                title: text(&rule.title, language),
                position: rule.position.name(),
                per_month: rule.per_month,
            })
            .collect(),
        states: definition
            .states
            .iter()
            .map(|state| {
                let words = wording(definition, &state.id, language);
                StateView {
                    id: state.id.clone(),
                    phase: state.phase.name(),
                    stage: words.map(|words| words.stage.clone()).unwrap_or_default(),
                    next: words.map(|words| words.next.clone()).unwrap_or_default(),
                    waits_for: waits_for(definition, &state.id),
                    is_final: state.is_final,
                }
            })
            .collect(),
        transitions: definition
            .transitions
            .iter()
            .map(|one| TransitionView {
                command: one.command.name(),
                from: one.from.clone(),
                to: one.to.clone(),
                actors: one.actors.iter().map(|party| named(serde_json::to_value(party))).collect(),
                guards: one.guards.iter().map(Guard::name).collect(),
                four_eyes: one.four_eyes.iter().map(|command| command.name()).collect(),
                grounds: one.grounds.iter().map(ToString::to_string).collect(),
                basis: one.basis.clone(),
            })
            .collect(),
        grounds: codes
            .into_iter()
            .map(|code| GroundView {
                code: code.to_string(),
                wording: catalogue.wording(code, language).unwrap_or_default().to_owned(),
            })
            .collect(),
        stops: rules
            .restrictions
            .stops_on(&definition.track, today)
            .map(|stop| StopView::of(stop, language))
            .collect(),
        bans: rules.restrictions.bans_on(today).filter(|_| asks).map(Into::into).collect(),
    }
}

/// See a track
///
/// Draws a track's states and steps.
#[utoipa::path(tag = "public", security(()), params(
    ("track" = String, Path, description = "The track.", max_length = 60, pattern = "^[a-z0-9-]+$", example = "patent"), DiagramQuery),
    responses((status = 200, description = "The picture.",
        content((String = "image/svg+xml"), (String = "text/vnd.mermaid")))))]
#[get("/v1/workflows/{track}/diagram")]
pub async fn show_diagram(
    app: App,
    request: HttpRequest,
    Path(track): Path<String>,
    Query(query): Query<DiagramQuery>,
) -> Result<HttpResponse> {
    let language = language(&request);
    let rules = app.casework.rules();
    let definition = current(&app, &rules, &track)?;
    let (kind, picture) = match query.format {
        DiagramFormat::Svg => ("image/svg+xml", diagram::svg(definition, language)),
        DiagramFormat::Mermaid => ("text/vnd.mermaid", diagram::mermaid(definition, language)),
    };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_LANGUAGE, language))
        .insert_header((header::VARY, "Accept-Language"))
        .body(picture))
}

/// List the offices
///
/// Lists the offices at which applications can be opened.
#[utoipa::path(tag = "public", security(()), responses(
    (status = 200, description = "The offices.", body = UnitList)))]
#[get("/v1/units")]
pub async fn list_units(app: App) -> Result<HttpResponse> {
    let units = accounts::list_units(&app.db).await?;
    let items =
        units.into_iter().map(|unit| UnitView { code: unit.code, title: unit.title }).collect();
    Ok(HttpResponse::Ok().json(UnitList { items }))
}
