//! Papers that were printed for an application: the permit, and the letters that tell decisions.

use actix_web::http::header;
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::applicant::listed;
use super::extract::{IfNoneMatch, Path};
use super::reading::{PurposeHeader, Read, Reading};
use crate::app::App;
use crate::auth::access::CaseReader;
use crate::casework::Seen;
use crate::domain::application::{Application, Decision};
use crate::domain::paper::PaperKind;
use crate::domain::permit::PermitStatus;
use crate::error::{Error, Result};
use crate::storage::papers::{self, Paper};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_papers).service(show_paper);
}

/// A paper that was printed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaperView {
    /// Its name, to fetch it under.
    #[schema(max_length = 20, example = "permit-14")]
    pub paper: String,
    /// `permit` or `decision`.
    #[schema(max_length = 10, example = "permit")]
    pub kind: &'static str,
    /// The event that it is printed for.
    pub event: Uuid,
    /// When it was printed.
    pub made_at: DateTime<Utc>,
    /// How many bytes it has.
    #[schema(minimum = 1, example = 61440)]
    pub size_bytes: i64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    #[schema(max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// Whether it still says how things stand: the permit is not over and was not printed anew, the decision not withdrawn.
    pub current: bool,
}

/// The papers of an application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaperList {
    /// The papers, the newest first.
    pub items: Vec<PaperView>,
}

/// A paper's place.
#[derive(Debug, Deserialize)]
pub struct PaperPath {
    id: Uuid,
    paper: String,
}

/// List the papers
///
/// Lists what was printed for an application: the permit, each time that what it shows has changed, and a letter for each
/// decision. It is printed moments after. For its applicant, officers of its unit, and auditors.
#[utoipa::path(tag = "applications", params(("id" = Uuid, Path, description = "The application."), PurposeHeader),
    responses((status = 200, description = "The papers.", body = PaperList)))]
#[get("/v1/applications/{id}/papers")]
pub async fn list_papers(
    app: App,
    reader: Reading<CaseReader>,
    Path(id): Path<Uuid>,
) -> Result<HttpResponse> {
    let see = |seen: &Seen<'_>| {
        let read = Read::new("paperRead", &["papers"]).of(seen);
        Ok((read, seen.application.clone()))
    };
    let (read, application) = app.casework.see(&reader.actor(), id, see).await?;
    let printed = papers::list(&mut app.db.conn().await?, id).await?;
    let items = printed.iter().map(|one| view(one, &printed, &application)).collect();
    reader.answer(&app, read, listed(PaperList { items }, None)).await
}

fn view(paper: &Paper, all: &[Paper], application: &Application) -> PaperView {
    let newest = all.iter().find(|one| one.kind == paper.kind) == Some(paper);
    let status = application.permit.as_ref().map(|permit| permit.status);
    let current = match paper.kind {
        PaperKind::Permit => {
            newest && matches!(status, Some(PermitStatus::InForce | PermitStatus::Suspended))
        }
        PaperKind::Decision => {
            let decision = application.decision.as_ref().and_then(Decision::event);
            match status {
                Some(PermitStatus::Annulled) => newest,
                _ => decision == Some(paper.event),
            }
        }
    };
    PaperView {
        paper: name(paper),
        kind: paper.kind.name(),
        event: paper.event,
        made_at: paper.made_at,
        size_bytes: paper.bytes,
        sha256: paper.digest.clone(),
        current,
    }
}

fn name(paper: &Paper) -> String {
    format!("{}-{}", paper.kind.name(), paper.seq)
}

/// Read a paper
///
/// Gives a paper as it was printed: the same bytes each time. For its applicant, officers of its unit, and auditors.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."),
    ("paper" = String, Path, description = "The paper's name in the list.", max_length = 20, pattern = "^(permit|decision)-[0-9]+$", example = "permit-14"),
    PurposeHeader),
    responses((status = 200, description = "The paper.", content((Vec<u8> = "application/pdf"))),
    (status = 304, description = "It is the one that you have.")))]
#[get("/v1/applications/{id}/papers/{paper}")]
pub async fn show_paper(
    app: App,
    reader: Reading<CaseReader>,
    Path(place): Path<PaperPath>,
    known: IfNoneMatch,
) -> Result<HttpResponse> {
    let see = |seen: &Seen<'_>| {
        let read = Read::new("paperRead", &["paper"]).of(seen);
        let number = seen.application.permit.as_ref().map(|permit| permit.number.to_string());
        Ok((read, seen.application.reference.to_string(), number))
    };
    let (read, reference, number) = app.casework.see(&reader.actor(), place.id, see).await?;
    let printed = papers::list(&mut app.db.conn().await?, place.id).await?;
    let paper = printed.iter().find(|one| name(one) == place.paper).ok_or_else(Error::not_found)?;
    let etag = format!("\"{}\"", paper.digest);
    if known.names(&etag) {
        let mut same = HttpResponse::NotModified();
        return Ok(same.insert_header((header::ETAG, etag)).finish());
    }
    let bytes = app.blobs.get(&paper.digest).await?;
    let file = match (paper.kind, number) {
        (PaperKind::Permit, Some(number)) => format!("permit-{number}.pdf"),
        (PaperKind::Permit | PaperKind::Decision, _) => {
            format!("{}-{reference}-{}.pdf", paper.kind.name(), paper.seq)
        }
    };
    let answer = HttpResponse::Ok()
        .content_type("application/pdf")
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")))
        .body(bytes);
    reader.answer(&app, read.with("document", &place.paper), answer).await
}
