//! Words that officers begin with when they refuse, annul or ask for something: a list, and one filled in for a case.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::applicant::{language, listed};
use super::extract::{Json, Path, Query};
use super::form::LanguageBody;
use super::reading::{PurposeHeader, Read, Reading};
use super::views::text;
use crate::app::App;
use crate::auth::access::{Caller, Office};
use crate::casework::Seen;
use crate::domain::ground::GroundCode;
use crate::domain::rules::templates::{Filled, Filling, Placeholder, Template};
use crate::domain::workflow::definition::{CommandName, LANGUAGES};
use crate::error::{Error, ErrorCode, Result, Violation};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_templates).service(preview_text);
}

/// Which templates.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateQuery {
    /// Those for this track.
    #[validate(length(min = 1, max = 60))]
    #[param(min_length = 1, max_length = 60, example = "patent")]
    pub track: Option<String>,
    /// Those for this command.
    #[validate(length(min = 1, max = 40))]
    #[param(min_length = 1, max_length = 40, example = "refuse")]
    pub command: Option<String>,
}

/// Words to begin with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView {
    /// Its name.
    #[schema(max_length = 60, example = "refusal")]
    pub id: String,
    /// What it is called.
    #[schema(max_length = 200, example = "Refusal")]
    pub title: String,
    /// The commands that it is for.
    #[schema(example = json!(["refuse"]))]
    pub commands: Vec<&'static str>,
    /// The tracks that it is for.
    #[schema(example = json!(["patent"]))]
    pub tracks: Vec<String>,
    /// The words, with placeholders in braces.
    #[schema(max_length = 2200, example = "The application {reference} is refused: {free:facts}")]
    pub text: String,
    /// The placeholders; those that begin with `free:` are filled from `values`.
    #[schema(example = json!(["reference", "free:facts"]))]
    pub placeholders: Vec<String>,
}

/// The templates.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateList {
    /// The templates, in the order of the rules.
    pub items: Vec<TemplateView>,
}

/// What to fill in, and from what.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewRequest {
    /// The template: one that `GET /v1/templates` lists for the track.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "refusal")]
    pub template: String,
    /// Codes of the grounds that the command will carry.
    #[validate(length(max = 10))]
    #[serde(default)]
    #[schema(max_items = 10, example = json!(["G04"]))]
    pub grounds: Vec<String>,
    /// What stands for the placeholders that begin with `free:`, by the name after that.
    #[validate(custom(function = "short"))]
    #[serde(default)]
    #[schema(example = json!({"facts": "The certificate was never issued."}))]
    pub values: BTreeMap<String, String>,
    /// The language; the applicant's when it is not named.
    pub language: Option<LanguageBody>,
}

fn short(values: &BTreeMap<String, String>) -> Result<(), ValidationError> {
    if values.len() <= 20
        && values.values().all(|value| (1..=1000).contains(&value.chars().count()))
    {
        return Ok(());
    }
    let detail = "Send at most 20 values of 1 to 1000 characters each.";
    Err(ValidationError::new("length").with_message(detail.into()))
}

/// A template filled in, to be read and changed by an officer before it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    /// The language.
    #[schema(max_length = 2, example = "ru")]
    pub language: &'static str,
    /// The text; what is missing stands in braces.
    #[schema(
        example = "The application 7K3QF-M2XWD-9B4T is refused: the certificate was never issued."
    )]
    pub text: String,
    /// The placeholders that nothing fills.
    #[schema(example = json!(["free:complaintTo"]))]
    pub missing: Vec<String>,
}

/// List the templates
///
/// Lists the words to begin with when refusing, annulling or asking for something, in the language of `Accept-Language`.
#[utoipa::path(tag = "office", params(TemplateQuery), responses(
    (status = 200, description = "The templates.", body = TemplateList)))]
#[get("/v1/templates")]
pub async fn list_templates(
    app: App,
    request: HttpRequest,
    _caller: Caller<Office>,
    Query(query): Query<TemplateQuery>,
) -> Result<HttpResponse> {
    let command = query.command.as_deref().map(command).transpose()?;
    let language = language(&request);
    let wanted = |one: &&Template| {
        query.track.as_ref().is_none_or(|track| one.tracks.contains(track))
            && command.is_none_or(|command| one.commands.contains(&command))
    };
    let rules = app.casework.rules();
    let templates = rules.templates.iter().filter(wanted);
    let items = templates.map(|one| TemplateView::of(one, language)).collect();
    Ok(listed(TemplateList { items }, None))
}

fn command(name: &str) -> Result<CommandName> {
    CommandName::parse(name).ok_or_else(|| {
        let detail = "Name a command that a track has.";
        Error::invalid(vec![Violation::new("command", "unknown-value", detail)])
    })
}

impl TemplateView {
    fn of(template: &Template, language: &str) -> Self {
        Self {
            id: template.id.clone(),
            title: text(&template.title, language),
            commands: template.commands.iter().map(|command| command.name()).collect(),
            tracks: template.tracks.clone(),
            text: template.text(language),
            placeholders: template.placeholders().iter().map(ToString::to_string).collect(),
        }
    }
}

/// Fill a template in
///
/// Writes a template's words for an application, in the applicant's language, for an officer to read, change and send as
/// the `reason` of a command. Changes nothing; values are taken as they are, whatever braces they hold.
#[utoipa::path(tag = "office", params(("id" = Uuid, Path, description = "The application."), PurposeHeader),
    request_body = PreviewRequest, responses(
    (status = 200, description = "The words.", body = PreviewView),
    (status = 422, description = "The template, a ground or a value does not fit the application.")))]
#[post("/v1/applications/{id}/preview")]
pub async fn preview_text(
    app: App,
    reader: Reading<Office>,
    Path(id): Path<Uuid>,
    Json(body): Json<PreviewRequest>,
) -> Result<HttpResponse> {
    let preview = |seen: &Seen<'_>| preview(seen, &body);
    let (read, view) = app.casework.see(&reader.actor(), id, preview).await?;
    reader.answer(&app, read, listed(view, None)).await
}

/// Fills a template in, and says for the log what that shows.
fn preview(seen: &Seen<'_>, body: &PreviewRequest) -> Result<(Read, PreviewView)> {
    let track = &seen.application.track;
    let found = seen.rules.templates.get(&body.template).filter(|one| one.is_for(track, None));
    let template = found.ok_or_else(|| {
        let detail = format!("Name a template that GET /v1/templates?track={track} lists.");
        unfit(vec![Violation::new("/template", "unknown-template", detail)])
    })?;
    let grounds = grounds(seen, template, body)?;
    let language = spoken(seen, body.language);
    let filling = Filling {
        application: seen.application,
        definition: seen.definition,
        unit: seen.unit,
        rules: seen.rules,
        today: seen.today,
        grounds: &grounds,
        values: &body.values,
    };
    let Filled { text, missing } = template.fill(&filling, language);
    let places = template.placeholders();
    let parts = [
        ("summary", true),
        ("personName", places.contains(&Placeholder::PersonName)),
        ("checks", places.contains(&Placeholder::Checks)),
    ];
    let fields: Vec<&str> =
        parts.into_iter().filter(|(_, shown)| *shown).map(|(name, _)| name).collect();
    let read = Read::new("applicationRead", &fields).of(seen).with("template", &template.id);
    Ok((read, PreviewView { language, text, missing }))
}

/// Chooses the language: the one asked for, else the applicant's, else Russian.
fn spoken(seen: &Seen<'_>, asked: Option<LanguageBody>) -> &'static str {
    let contact = seen.application.form.contact.as_ref();
    match asked {
        Some(LanguageBody::En) => "en",
        Some(LanguageBody::Ru) => "ru",
        None => LANGUAGES
            .into_iter()
            .find(|known| contact.is_some_and(|contact| contact.language == *known))
            .unwrap_or("ru"),
    }
}

/// Gives the grounds once each is one that the template's commands take, and each value is one that it has a place for.
fn grounds(seen: &Seen<'_>, template: &Template, body: &PreviewRequest) -> Result<Vec<GroundCode>> {
    let steps = &seen.definition.transitions;
    let steps = steps.iter().filter(|step| template.commands.contains(&step.command));
    let taken: Vec<&GroundCode> = steps.flat_map(|step| &step.grounds).collect();
    let (mut codes, mut violations) = (Vec::new(), Vec::new());
    for (index, code) in body.grounds.iter().enumerate() {
        let mut wrong = |code, detail: String| {
            violations.push(Violation::new(format!("/grounds/{index}"), code, detail));
        };
        match GroundCode::parse(code) {
            Err(error) => wrong("unknown-ground", error.to_string()),
            Ok(code) if !taken.contains(&&code) => {
                wrong("ground-not-allowed", format!("'{code}' is no ground for this."));
            }
            Ok(code) if codes.contains(&code) => {}
            Ok(code) => codes.push(code),
        }
    }
    let places = template.placeholders();
    for label in body.values.keys() {
        if !places.contains(&Placeholder::Free(label.clone())) {
            let detail = "The template has no place for this value; leave it out.";
            let member = label.replace('~', "~0").replace('/', "~1");
            violations.push(Violation::new(format!("/values/{member}"), "unknown-value", detail));
        }
    }
    if violations.is_empty() { Ok(codes) } else { Err(unfit(violations)) }
}

fn unfit(violations: Vec<Violation>) -> Error {
    Error::refused(
        ErrorCode::RuleRefused,
        "The contents are wrong; mend each of the listed errors and send it again.",
    )
    .with_violations(violations)
}
