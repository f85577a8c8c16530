//! The public log in the C2SP formats, and the proofs that single events stand in it.
//!
//! What is under `/log` is for anyone and tells nothing of anyone: leaves are commitments. A receipt opens one of them
//! for somebody who may know what it says. Each handler is registered here, which also documents it.

use actix_web::http::header;
use actix_web::{HttpResponse, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::extract::{Path, Query};
use super::reading::{PurposeHeader, Read, Reading};
use crate::app::App;
use crate::audit::proof::LogProof;
use crate::audit::receipt;
use crate::audit::tile::Tile;
use crate::audit::tree;
use crate::auth::access::{Auditors, CaseReader};
use crate::domain::event::Act;
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::Conn;
use crate::storage::log::{self, CheckpointRow, Entry};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(show_checkpoint)
        .service(show_tile)
        .service(show_consistency)
        .service(show_proof)
        .service(show_receipt);
}

/// Tiles never change, whether full or partial.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Finds the published checkpoint.
async fn published(conn: &mut Conn) -> Result<(CheckpointRow, u64)> {
    let row = log::find_published(conn).await?.ok_or_else(not_yet)?;
    let size = u64::try_from(row.size).unwrap_or_default();
    Ok((row, size))
}

fn not_yet() -> Error {
    Error::refused(
        ErrorCode::Unavailable,
        "The public log does not have it yet; it takes every event in within a second. Ask again.",
    )
    .with_retry_after(1)
}

/// The log's checkpoint
///
/// The size and the root of the log's tree, signed: a C2SP tlog-checkpoint. It is signed anew at least every ten seconds
/// or so; its cosignature (type 0x04) by the log's own freshness key says when. Witnesses' cosignatures follow.
#[utoipa::path(tag = "log", security(()), responses(
    (status = 200, description = "The checkpoint.", body = String, content_type = "text/plain")))]
#[get("/log/checkpoint")]
pub async fn show_checkpoint(app: App) -> Result<HttpResponse> {
    let mut conn = app.db.conn().await?;
    let (row, _) = published(&mut conn).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "public, max-age=1"))
        .body(row.note))
}

/// The tree's tiles
///
/// C2SP tlog-tiles: `<L>/<N>` are the hashes of level L, 256 a tile, `entries/<N>` the leaves, each after its length in
/// two bytes; N in groups of three digits, all but the last with an x before them; `.p/<W>` for the first W of a tile
/// that is not full yet. Leaves are described in `openapi/log.md`.
#[utoipa::path(tag = "log", security(()), params(
    ("tile" = String, Path, description = "Path of the tile; its slashes are written as they are.", max_length = 100,
     pattern = "^([0-9]{1,2}|entries)/(x[0-9]{3}/)*[0-9]{3}(\\.p/[0-9]{1,3})?$", example = "entries/000")),
    responses((status = 200, description = "The tile.", body = Vec<u8>, content_type = "application/octet-stream")))]
#[get("/log/tile/{tile:.*}")]
pub async fn show_tile(app: App, Path(path): Path<String>) -> Result<HttpResponse> {
    let tile = Tile::parse(&format!("tile/{path}")).map_err(|_| Error::not_found())?;
    let mut conn = app.db.conn().await?;
    let (_, size) = published(&mut conn).await?;
    if !tree::has(tile, size) {
        return Err(Error::not_found());
    }
    let bytes = tree::tile(&mut conn, tile).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CACHE_CONTROL, FOREVER))
        .body(bytes))
}

/// Between which sizes of the tree.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsistencyQuery {
    /// The older size, at most the newer one.
    #[param(minimum = 0, example = 1)]
    pub from: u64,
    /// The newer size, at most the published one; that one when left out.
    #[param(minimum = 0, example = 2)]
    pub to: Option<u64>,
}

/// A proof that the log only grew.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyView {
    /// The older size.
    #[schema(minimum = 0)]
    pub from: u64,
    /// The newer size.
    #[schema(minimum = 0)]
    pub to: u64,
    /// Root of the tree of the older size, in base64.
    #[schema(max_length = 44)]
    pub from_root: String,
    /// Root of the tree of the newer size, in base64.
    #[schema(max_length = 44)]
    pub to_root: String,
    /// The hashes of RFC 6962, section 2.1.2, in base64.
    #[schema(max_items = 130)]
    pub proof: Vec<String>,
}

/// Prove that the log only grew
///
/// Proves that the tree of one size is the beginning of the tree of another (RFC 6962, section 2.1.2), both at most the
/// published size. Anyone may ask; whoever keeps old checkpoints compares the roots with them.
#[utoipa::path(tag = "log", security(()), params(ConsistencyQuery), responses(
    (status = 200, description = "The proof.", body = ConsistencyView)))]
#[get("/v1/audit/consistency")]
pub async fn show_consistency(
    app: App,
    Query(query): Query<ConsistencyQuery>,
) -> Result<HttpResponse> {
    let mut conn = app.db.conn().await?;
    let (_, size) = published(&mut conn).await?;
    let (from, to) = (query.from, query.to.unwrap_or(size));
    if from > to || to > size {
        let detail = format!("Send sizes with from ≤ to ≤ {size}, the published size.");
        return Err(Error::invalid(vec![Violation::new("/from", "out-of-range", detail)]));
    }
    let proof = tree::consistency(&mut conn, from, to).await?;
    let from_root = tree::edge(&mut conn, from).await?.root();
    let to_root = tree::edge(&mut conn, to).await?.root();
    Ok(HttpResponse::Ok().json(ConsistencyView {
        from,
        to,
        from_root: STANDARD.encode(from_root),
        to_root: STANDARD.encode(to_root),
        proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect(),
    }))
}

/// Prove an event
///
/// Gives a C2SP tlog-proof of any event: its number, its inclusion proof, the signed checkpoint, and in `extra` what
/// rebuilds the leaf and opens its commitment (not after erasure). 503 within the second in which the log takes it in.
#[utoipa::path(tag = "audit", params(("id" = Uuid, Path, description = "The event."), PurposeHeader), responses(
    (status = 200, description = "The proof.", body = String, content_type = "text/plain"),
    (status = 503, description = "Not in the log yet; ask again.")))]
#[get("/v1/audit/events/{id}/proof")]
pub async fn show_proof(
    app: App,
    reader: Reading<Auditors>,
    Path(id): Path<Uuid>,
) -> Result<HttpResponse> {
    let mut conn = app.db.conn().await?;
    let entry = log::find_entry(&mut conn, id).await?.ok_or_else(Error::not_found)?;
    let proof = prove(&mut conn, &entry, true).await?;
    drop(conn);
    reader.answer(&app, read(&entry), proof).await
}

/// Says whose event a proof opens; nobody's when nothing is left to be opened.
fn read(entry: &Entry) -> Option<Read> {
    entry.opening.as_ref()?;
    let read = Read::new("receiptRead", &["receipt"]).with("event", entry.leaf.event);
    let read = read.in_unit(entry.leaf.unit.clone());
    Some(match entry.application {
        Some(application) => read.about(application),
        None => read,
    })
}

/// An event's place in an application's history.
#[derive(Debug, Deserialize)]
pub struct EventPath {
    id: Uuid,
    event: Uuid,
}

/// Give a receipt
///
/// Gives a C2SP tlog-proof of one event of an application: a small file that `propusk audit receipt` and every other
/// tool for the format verify off line, years later. Its `extra` rebuilds the leaf and opens the commitment, with the
/// words and the account's id of who acted; what the office wrote for itself (findings, claims, proposals) is not opened
/// to the applicant. For the application's applicant,
/// officers of its unit, and auditors. 503 within the second in which the log takes it in.
#[utoipa::path(tag = "applications", params(
    ("id" = Uuid, Path, description = "The application."),
    ("event" = Uuid, Path, description = "The event, as the history names it."), PurposeHeader),
    responses((status = 200, description = "The receipt.", body = String, content_type = "text/plain"),
    (status = 503, description = "Not in the log yet; ask again.")))]
#[get("/v1/applications/{id}/history/{event}/receipt")]
pub async fn show_receipt(
    app: App,
    reader: Reading<CaseReader>,
    Path(place): Path<EventPath>,
) -> Result<HttpResponse> {
    app.casework.see(&reader.actor(), place.id, |_| Ok(())).await?;
    let mut conn = app.db.conn().await?;
    let entry = log::find_entry(&mut conn, place.event).await?;
    let entry =
        entry.filter(|entry| entry.application == Some(place.id) && entry.leaf.seq.is_some());
    let entry = entry.ok_or_else(Error::not_found)?;
    let act = entry.command.as_deref().and_then(Act::parse);
    let own = entry.actor == Some(reader.account());
    let opened = own || !reader.role().is_applicant() || act.is_some_and(|act| !act.is_internal());
    let proof = prove(&mut conn, &entry, opened).await?;
    drop(conn);
    reader.answer(&app, read(&entry), proof).await
}

/// Writes the proof of an event under the published checkpoint.
async fn prove(conn: &mut Conn, entry: &Entry, opened: bool) -> Result<HttpResponse> {
    let index = entry.index.ok_or_else(not_yet)?;
    let row = log::find_covering(conn, index).await?.ok_or_else(not_yet)?;
    let size = u64::try_from(row.size).unwrap_or_default();
    let opening = entry.opening.as_ref().filter(|_| opened);
    let opening = opening.map(|(salt, private)| (salt, private.as_str()));
    let proof = LogProof {
        extra: Some(receipt::extra(&entry.leaf, opening)),
        index,
        hashes: tree::inclusion(conn, index, size).await?,
        checkpoint: row.note,
    };
    let name = format!("attachment; filename=\"{}.tlog-proof\"", entry.leaf.event);
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(proof.to_string()))
}
