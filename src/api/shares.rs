//! Share codes: a holder lets somebody see his permit in full, and sees who did.
//!
//! A holder needs no account for it: the reference and his date of birth do, as for `POST /v1/status/{reference}/details`,
//! within the same budget. Whatever is wrong with a code, the answer is the same, after the same work.

use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::applicant::listed;
use super::extract::{Json, Path};
use super::lookups::{DetailsRequest, budget, canonical, no_such_reference};
use super::session::spend;
use crate::app::App;
use crate::auth::access::{Applicant, Caller};
use crate::casework::Seen;
use crate::documents::{MediaType, PHOTO, print_copy};
use crate::domain::application::Application;
use crate::domain::paper::{LatinName, bound_to};
use crate::domain::permit::PermitStatus;
use crate::domain::share::{LIFETIME, MOST, ShareCode, ShareTerm};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::applications::{self, Key, Loaded, Wants};
use crate::storage::events::PlainEvent;
use crate::storage::shares::{self, Look, NewShare, SHOWN, ShareRow};

/// Where a permit is looked at with a code.
pub const SHARED_PERMIT_PATH: &str = "/v1/permits/shared";

/// As what somebody is shown in the log who has no account.
const HOLDER: &str = "holder";
const VIEWER: &str = "viewer";

/// What the use of a code is for, beside the purposes of staff.
const PURPOSE: &str = "share";

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(show_shared_permit)
        .service(make_share)
        .service(list_shares_of_reference)
        .service(revoke_share_of_reference)
        .service(list_shares)
        .service(revoke_share);
}

/// A code to be made.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShareRequest {
    /// The holder's date of birth.
    #[schema(example = "1990-05-17")]
    pub birth_date: NaiveDate,
    /// How often the code can be used within 90 days: once, or as often as one likes.
    #[schema(inline)]
    pub valid_for: ShareTermBody,
    /// For whom it is, in the holder's words; whoever uses it is not shown this.
    #[validate(length(min = 1, max = 100), custom(function = "one_line"))]
    #[schema(min_length = 1, max_length = 100, example = "ООО «Стройка», отдел кадров")]
    pub label: String,
}

/// How often a code can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ShareTermBody {
    /// Once.
    Once,
    /// As often as one likes.
    Days90,
}

impl From<ShareTermBody> for ShareTerm {
    fn from(term: ShareTermBody) -> Self {
        match term {
            ShareTermBody::Once => Self::Once,
            ShareTermBody::Days90 => Self::Days90,
        }
    }
}

/// A code to be revoked.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeShareRequest {
    /// The holder's date of birth.
    #[schema(example = "1990-05-17")]
    pub birth_date: NaiveDate,
    /// The code's id, from the list.
    pub share: Uuid,
}

/// Who wants to see a permit.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedPermitRequest {
    /// The code, in any case, with or without hyphens.
    #[validate(length(min = 1, max = 40))]
    #[schema(min_length = 1, max_length = 40, example = "K7QF-M2XW-9B4T-0HZR")]
    pub code: String,
    /// The holder's date of birth.
    #[schema(example = "1990-05-17")]
    pub birth_date: NaiveDate,
    /// Who you are: the holder is shown it.
    #[validate(length(min = 1, max = 200), custom(function = "one_line"))]
    #[schema(min_length = 1, max_length = 200, example = "ООО «Стройка», И. Петрова")]
    pub viewer: String,
    /// What for: the holder is shown it.
    #[validate(length(min = 1, max = 500), custom(function = "one_line"))]
    #[schema(min_length = 1, max_length = 500, example = "Before hiring as a mason")]
    pub purpose: String,
}

fn one_line(text: &str) -> Result<(), ValidationError> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        let error = ValidationError::new("not-one-line");
        return Err(error.with_message("Write one line with something in it.".into()));
    }
    Ok(())
}

/// A code that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareMadeView {
    /// Its id, to revoke it.
    pub id: Uuid,
    /// The code. It is shown now and never again.
    #[schema(max_length = 19, example = "K7QF-M2XW-9B4T-0HZR")]
    pub code: String,
    /// How often it can be used.
    #[schema(inline)]
    pub valid_for: ShareTermBody,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// A code as its holder sees it: without the code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareView {
    /// Its id.
    pub id: Uuid,
    /// For whom.
    #[schema(max_length = 100)]
    pub label: String,
    /// How often it can be used.
    #[schema(inline)]
    pub valid_for: ShareTermBody,
    /// `usable`, `used`, `expired` or `revoked`.
    #[schema(max_length = 10, example = "usable")]
    pub state: &'static str,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it ends, or ended.
    pub expires_at: DateTime<Utc>,
    /// How often it was used.
    #[schema(minimum = 0, example = 1)]
    pub views: i32,
}

/// A use of a code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareUseView {
    /// When.
    pub at: DateTime<Utc>,
    /// The code's id.
    pub share: Uuid,
    /// For whom it was made.
    #[schema(max_length = 100)]
    pub label: String,
    /// Who used it, as he said; nobody has looked whether it is so.
    #[schema(max_length = 200)]
    pub viewer: String,
    /// What for, as he said.
    #[schema(max_length = 500)]
    pub purpose: String,
}

/// The codes of a permit, and who used any.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareList {
    /// The codes, the newest first; one that ended 30 days ago is gone.
    pub items: Vec<ShareView>,
    /// The latest 200 uses, also of codes that are gone.
    #[schema(max_items = 200)]
    pub uses: Vec<ShareUseView>,
}

/// A permit in full, and how it stands today.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedPermitView {
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
    /// The holder's name.
    #[schema(max_length = 310, example = "Каримов Рустам Алишерович")]
    pub holder_name: String,
    /// The name in Latin letters: of the passport's machine-readable zone, else transliterated.
    #[schema(max_length = 620, example = "KARIMOV RUSTAM")]
    pub latin_name: String,
    /// Date of birth.
    pub birth_date: NaiveDate,
    /// Citizenship, ISO 3166-1 alpha-3.
    #[schema(max_length = 3, example = "UZB")]
    pub citizenship: String,
    /// Series and number of the passport.
    #[schema(max_length = 20, example = "FA1234567")]
    pub passport_number: String,
    /// The holder's taxpayer number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 12, example = "500100732259")]
    pub inn: Option<String>,
    /// Profession.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "Каменщик")]
    pub profession: Option<String>,
    /// Its code (OKZ).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4, example = "7112")]
    pub profession_code: Option<String>,
    /// The employer, on tracks whose permit is bound to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub employer: Option<String>,
    /// Code of the federal subject in which it is valid.
    #[schema(max_length = 2, example = "77")]
    pub territory: String,
    /// The office that issued it.
    #[schema(max_length = 200, example = "Moscow")]
    pub unit: String,
    /// Day of issue.
    pub issued_on: NaiveDate,
    /// Last paid day, where months are paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_through: Option<NaiveDate>,
    /// Last day of the term.
    pub ends_on: NaiveDate,
    /// The photograph: a JPEG in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 400_000)]
    pub photo: Option<String>,
}

// ── For the holder, with reference and date of birth ──────────────────────────────────────────────────────

/// Finds the application of a reference and date of birth, within the reference's budget; whatever is wrong, it is the same
/// refusal.
async fn holder(
    app: &App,
    request: &HttpRequest,
    reference: &str,
    birth_date: NaiveDate,
) -> Result<Loaded> {
    spend(request, app, &app.limits.references, &budget(reference))?;
    let mut conn = app.db.conn().await?;
    let found =
        applications::find_by_birth_date(&mut conn, &canonical(reference), birth_date).await?;
    let id = found.ok_or_else(no_such_reference)?;
    let loaded = applications::find(&mut conn, Key::Id(id), Wants::default()).await?;
    loaded.ok_or_else(no_such_reference)
}

/// Make a share code
///
/// Makes a code with which somebody, an employer say, sees the permit in full. It is shown once; at most 20 of a permit can be
/// usable at a time. A wrong date, an unknown reference and a mistyped one answer alike; each reference has a budget of tries.
#[utoipa::path(tag = "public", security(()), params(
    ("reference" = String, Path, description = "The public reference, in any case, with or without hyphens.", max_length = 40, example = "7K3QF-M2XWD-9B4T")),
    responses((status = 201, description = "The code, to be passed on.", body = ShareMadeView),
    (status = 409, description = "There is no permit to be shown."),
    (status = 422, description = "Too many codes can be used already.")))]
#[post("/v1/status/{reference}/shares")]
pub async fn make_share(
    app: App,
    request: HttpRequest,
    Path(reference): Path<String>,
    Json(body): Json<ShareRequest>,
) -> Result<HttpResponse> {
    let loaded = holder(&app, &request, &reference, body.birth_date).await?;
    if loaded.application.permit.is_none() {
        let detail = "No permit has been issued; share it when it is in force.";
        return Err(Error::refused(ErrorCode::WrongState, detail));
    }
    let mut random = [0; 16];
    app.clock.fill(&mut random);
    let code = ShareCode::from_random(random);
    let made_at = app.clock.now();
    let share = NewShare {
        id: app.clock.new_id(),
        application: loaded.application.id,
        digest: digest(&code),
        label: body.label.trim(),
        once: ShareTerm::from(body.valid_for) == ShareTerm::Once,
        made_at,
        expires_at: made_at + LIFETIME,
    };
    let content = json!({ "share": share.id, "label": share.label, "validFor": body.valid_for,
        "expiresAt": share.expires_at });
    let event = PlainEvent::now(&*app.clock, "shareMade", HOLDER, content)
        .about(share.application)
        .in_unit(Some(loaded.unit.code));
    if !shares::insert(&mut *app.db.conn().await?, &share, &event).await? {
        let detail = format!("{MOST} codes of this permit can be used already; revoke one first.");
        return Err(Error::refused(ErrorCode::RuleRefused, detail));
    }
    Ok(HttpResponse::Created().json(ShareMadeView {
        id: share.id,
        code: code.to_string(),
        valid_for: body.valid_for,
        expires_at: share.expires_at,
    }))
}

fn digest(code: &ShareCode) -> [u8; 32] {
    Sha256::digest(code.symbols()).into()
}

/// See your share codes and who used them
///
/// Lists the codes of a permit and who saw it with them, when, and what for.
#[utoipa::path(tag = "public", security(()), params(
    ("reference" = String, Path, description = "The public reference, in any case, with or without hyphens.", max_length = 40, example = "7K3QF-M2XWD-9B4T")),
    responses((status = 200, description = "The codes and their uses.", body = ShareList)))]
#[post("/v1/status/{reference}/shares/list")]
pub async fn list_shares_of_reference(
    app: App,
    request: HttpRequest,
    Path(reference): Path<String>,
    Json(body): Json<DetailsRequest>,
) -> Result<HttpResponse> {
    let loaded = holder(&app, &request, &reference, body.birth_date).await?;
    Ok(listed(list(&app, loaded.application.id).await?, None))
}

/// Revoke a share code
///
/// Ends a code at once. Doing it again changes nothing.
#[utoipa::path(tag = "public", security(()), params(
    ("reference" = String, Path, description = "The public reference, in any case, with or without hyphens.", max_length = 40, example = "7K3QF-M2XWD-9B4T")),
    responses((status = 204, description = "The code is revoked.")))]
#[post("/v1/status/{reference}/shares/revoke")]
pub async fn revoke_share_of_reference(
    app: App,
    request: HttpRequest,
    Path(reference): Path<String>,
    Json(body): Json<RevokeShareRequest>,
) -> Result<HttpResponse> {
    let loaded = holder(&app, &request, &reference, body.birth_date).await?;
    let event =
        PlainEvent::now(&*app.clock, "shareRevoked", HOLDER, json!({ "share": body.share }))
            .about(loaded.application.id)
            .in_unit(Some(loaded.unit.code));
    revoke(&app, loaded.application.id, body.share, &event).await
}

// ── For the holder, signed in ─────────────────────────────────────────────────────────────────────────────

/// See the share codes of your permit
///
/// Lists the codes of the permit of the caller's own application, and who saw it with them, when, and what for.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application.")),
    responses((status = 200, description = "The codes and their uses.", body = ShareList)))]
#[get("/v1/applications/{id}/shares")]
pub async fn list_shares(
    app: App,
    caller: Caller<Applicant>,
    Path(id): Path<Uuid>,
) -> Result<HttpResponse> {
    app.casework.see(&caller.actor(), id, |_| Ok(())).await?;
    Ok(listed(list(&app, id).await?, None))
}

/// A code's place.
#[derive(Debug, Deserialize)]
pub struct SharePath {
    id: Uuid,
    share: Uuid,
}

/// Revoke a share code of your permit
///
/// Ends a code at once. Doing it again changes nothing.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."), ("share" = Uuid, Path, description = "The code's id.")),
    responses((status = 204, description = "The code is revoked.")))]
#[delete("/v1/applications/{id}/shares/{share}")]
pub async fn revoke_share(
    app: App,
    caller: Caller<Applicant>,
    Path(place): Path<SharePath>,
) -> Result<HttpResponse> {
    let unit = |seen: &Seen<'_>| Ok(seen.unit.code.clone());
    let unit = app.casework.see(&caller.actor(), place.id, unit).await?;
    let (role, content) = (caller.role().name(), json!({ "share": place.share }));
    let event = PlainEvent::now(&*app.clock, "shareRevoked", role, content)
        .by(caller.account())
        .about(place.id)
        .in_unit(Some(unit));
    revoke(&app, place.id, place.share, &event).await
}

async fn list(app: &App, application: Uuid) -> Result<ShareList> {
    let mut conn = app.db.conn().await?;
    let rows = shares::list(&mut conn, application).await?;
    let uses = shares::list_looks(&mut conn, application).await?;
    drop(conn);
    let now = app.clock.now();
    Ok(ShareList {
        items: rows.into_iter().map(|row| view(row, now)).collect(),
        uses: uses
            .into_iter()
            .map(|Look { at, share, label, viewer, stated_purpose }| ShareUseView {
                at,
                share,
                label,
                viewer,
                purpose: stated_purpose,
            })
            .collect(),
    })
}

fn view(row: ShareRow, now: DateTime<Utc>) -> ShareView {
    let state = match () {
        () if row.revoked_at.is_some() => "revoked",
        () if row.once && row.views > 0 => "used",
        () if row.expires_at <= now => "expired",
        () => "usable",
    };
    ShareView {
        id: row.id,
        label: row.label,
        valid_for: if row.once { ShareTermBody::Once } else { ShareTermBody::Days90 },
        state,
        made_at: row.made_at,
        expires_at: row.expires_at,
        views: row.views,
    }
}

async fn revoke(
    app: &App,
    application: Uuid,
    share: Uuid,
    event: &PlainEvent,
) -> Result<HttpResponse> {
    if shares::revoke(&mut *app.db.conn().await?, application, share, event).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    let detail = "There is no such code of this permit; list the codes to see their ids.";
    Err(Error::refused(ErrorCode::NotFound, detail))
}

// ── For whoever was given a code ──────────────────────────────────────────────────────────────────────────

/// See a permit with a share code
///
/// Shows a permit in full, and how it stands today, to whoever has a code of its holder and knows his date of birth. The
/// holder sees who looked, and what for. Whatever is wrong with code or date, the answer is the same; each code has a budget of
/// tries.
#[utoipa::path(tag = "public", security(()),
    responses((status = 200, description = "The permit.", body = SharedPermitView),
    (status = 404, description = "The code or the date is wrong, or the code was used, has ended or was revoked.")))]
#[post("/v1/permits/shared")]
pub async fn show_shared_permit(
    app: App,
    request: HttpRequest,
    Json(body): Json<SharedPermitRequest>,
) -> Result<HttpResponse> {
    let code = ShareCode::parse(&body.code);
    let key = code.as_ref().map_or(body.code.as_str(), ShareCode::symbols);
    // As a digest: what is remembered for the budget is no code.
    let digest: [u8; 32] = Sha256::digest(key).into();
    spend(&request, &app, &app.limits.shares, &STANDARD.encode(digest))?;
    let now = app.clock.now();
    let viewer = (body.viewer.trim(), body.purpose.trim());
    let mut conn = app.db.conn().await?;
    let opened = shares::open(&mut conn, digest, body.birth_date, now, |opened| {
        let content = json!({ "fields": ["permit"], "share": opened.id, "label": opened.label,
            "viewer": viewer.0, "statedPurpose": viewer.1 });
        PlainEvent::now(&*app.clock, SHOWN, VIEWER, content)
            .about(opened.application_id)
            .in_unit(Some(opened.unit_code.clone()))
            .for_purpose(PURPOSE)
    })
    .await?;
    let opened = opened.ok_or_else(no_such_code)?;
    let key = Key::Id(opened.application_id);
    let loaded = applications::find(&mut conn, key, Wants::default()).await?;
    drop(conn);
    let loaded = loaded.ok_or_else(no_such_code)?;
    let photo = photo(&app, &loaded.application).await;
    Ok(listed(shared(&app, &loaded, photo)?, None))
}

fn no_such_code() -> Error {
    Error::refused(
        ErrorCode::NotFound,
        "No permit can be seen with this code and date of birth: one of them is wrong, or the code was used, has ended or was \
         revoked. Compare them with what the holder gave you, or ask him for a new code.",
    )
}

fn shared(app: &App, loaded: &Loaded, photo: Option<String>) -> Result<SharedPermitView> {
    let application = &loaded.application;
    let (permit, form) = (application.permit.as_ref(), &application.form);
    let (Some(permit), Some(person), Some(passport)) = (permit, &form.person, &form.passport)
    else {
        return Err(no_such_code());
    };
    let today = app.clock.now().with_timezone(&loaded.unit.time_zone).date_naive();
    let status = permit.status.on(today, permit.paid_through, permit.ends_on);
    let rules = app.casework.rules();
    let definition = rules.definition(&application.track, application.workflow_version);
    let employer = definition.and_then(|definition| bound_to(form, definition));
    let code = form.occupation.as_ref().map(|occupation| occupation.code.clone());
    Ok(SharedPermitView {
        number: permit.number.to_string(),
        valid: status == PermitStatus::InForce,
        reason: status,
        invalid_since: status.invalid_since(permit.closed_on, permit.paid_through, permit.ends_on),
        holder_name: permit.holder_name.clone(),
        latin_name: LatinName::of(form, &permit.holder_name, today).text,
        birth_date: person.birth_date,
        citizenship: person.citizenship.to_string(),
        passport_number: passport.number.to_string(),
        inn: person.inn.as_ref().map(ToString::to_string),
        profession: permit.profession.clone(),
        profession_code: permit.profession.as_ref().and(code),
        employer: employer.map(|employer| employer.name.clone()),
        territory: permit.territory.clone(),
        unit: loaded.unit.title.clone(),
        issued_on: permit.issued_on,
        paid_through: permit.paid_through,
        ends_on: permit.ends_on,
        photo,
    })
}

/// Gives the photograph as it is printed, in base64; what cannot be shown leaves the rest of the answer as it is.
async fn photo(app: &App, application: &Application) -> Option<String> {
    let photo = application.documents.iter().find(|document| document.kind == PHOTO)?;
    let bytes = app.blobs.get(&photo.digest).await.ok()?;
    let jpeg = print_copy(bytes, MediaType::parse(&photo.media_type)?).await.ok()?;
    Some(STANDARD.encode(jpeg))
}
