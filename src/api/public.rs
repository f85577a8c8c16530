//! Operations for anyone, without an account: health, the document; look-ups by reference and number.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it, and says
//! `security(())`. Under `/v1`, what is public is also counted against the caller's address.

use actix_web::http::header;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::openapi;
use crate::app::App;
use crate::error::Result;
use crate::storage::health;
use crate::storage::registers::{self, BreakerState};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(show_liveness)
        .service(show_readiness)
        .service(show_start)
        .service(show_metrics)
        .service(show_openapi);
}

/// How the service is.
#[derive(Serialize, ToSchema)]
pub struct HealthView {
    /// Always `up`; what is not up answers a problem.
    #[schema(max_length = 10, example = "up")]
    pub status: &'static str,
}

const UP: HealthView = HealthView { status: "up" };

/// Is the process alive
///
/// Answers as long as the process does; looks at nothing else, so that a database that is away restarts nobody.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "The process is alive.", body = HealthView)))]
#[get("/health/live")]
pub async fn show_liveness() -> HttpResponse {
    HttpResponse::Ok().json(UP)
}

/// Can it take requests
///
/// Answers 200 when the database is reachable and migrated.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "Requests are welcome.", body = HealthView),
    (status = 503, description = "The database is away, busy or not migrated.")))]
#[get("/health/ready")]
pub async fn show_readiness(app: App) -> Result<HttpResponse> {
    health::ready(&app.db).await?;
    Ok(HttpResponse::Ok().json(UP))
}

/// Has it started
///
/// Answers 200 when the first requests can be taken, as `/health/ready` does.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "The service has started.", body = HealthView),
    (status = 503, description = "Not yet.")))]
#[get("/health/start")]
pub async fn show_start(app: App) -> Result<HttpResponse> {
    health::ready(&app.db).await?;
    Ok(HttpResponse::Ok().json(UP))
}

/// Metrics
///
/// What is counted, in the OpenMetrics text format. Keep it from the outside at the proxy.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "The metrics.", body = String,
     content_type = "application/openmetrics-text")))]
#[get("/metrics")]
pub async fn show_metrics(app: App) -> Result<HttpResponse> {
    show_registers(&app).await;
    let text = app.metrics.text(&app.db, &app.log_status, app.clock.now()).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(HttpResponse::Ok().content_type(kind).body(text))
}

/// Tells the metrics which registers are asked. While the database is away they say what was known last.
async fn show_registers(app: &App) {
    let names = app.registers.names();
    if names.is_empty() {
        return;
    }
    let states = match app.db.conn().await {
        Ok(mut conn) => registers::states(&mut conn).await,
        Err(error) => Err(error),
    };
    let Ok(states) = states else { return };
    for name in names {
        let row = states.iter().find(|row| row.name == name);
        let up = row.is_none_or(|row| row.state == BreakerState::Closed);
        app.registers.metrics().set_up(&name, up);
    }
}

/// This document
///
/// The OpenAPI document of this very version.
#[utoipa::path(tag = "public", security(()), responses(
    (status = 200, description = "The document.", body = Object, content_type = "application/json")))]
#[get("/v1/openapi.json")]
pub async fn show_openapi() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .content_type("application/json")
        .body(openapi::text())
}
