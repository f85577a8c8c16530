//! How the registers are, for officers: who answers, who does not, and how much of the unit's work waits for whom.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::applicant::listed;
use crate::app::App;
use crate::auth::access::{Caller, Office};
use crate::error::{Error, Result};
use crate::storage::Conn;
use crate::storage::registers::{self, BreakerState, RegisterRow};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_registers);
}

/// A register that answers by itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterView {
    /// Name.
    #[schema(max_length = 60, example = "borderCrossings")]
    pub register: String,
    /// `closed`: it is asked; `open`: it does not answer and is left alone; `halfOpen`: it is being tried.
    #[schema(max_length = 10, example = "closed")]
    pub state: &'static str,
    /// Since when it is asked, or not; absent when it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// When it answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ok_at: Option<DateTime<Utc>>,
    /// How many checks of the caller's unit wait for its answer.
    #[schema(minimum = 0)]
    pub waiting: i64,
}

/// The registers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterList {
    /// By name.
    pub items: Vec<RegisterView>,
}

/// A register that is down: it is left alone, or just being tried.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterDownView {
    /// Name.
    #[schema(max_length = 60, example = "borderCrossings")]
    pub register: String,
    /// Since when it does not answer.
    pub since: DateTime<Utc>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// How many checks of the caller's unit wait for its answer.
    #[schema(minimum = 0)]
    pub waiting: i64,
}

/// List the registers
///
/// Shows each register that answers by itself, whether it does, and how many checks of the caller's unit wait for it. A
/// register that is down blocks its own checks alone; its answers can be recorded by hand meanwhile.
#[utoipa::path(tag = "office", responses(
    (status = 200, description = "The registers.", body = RegisterList)))]
#[get("/v1/registers")]
pub async fn list_registers(app: App, caller: Caller<Office>) -> Result<HttpResponse> {
    let unit = caller.unit().ok_or_else(|| Error::bug("an officer's token names no unit"))?;
    let mut conn = app.db.conn().await?;
    let states = registers::states(&mut conn).await?;
    let waiting = registers::waiting(&mut conn, unit).await?;
    drop(conn);
    Ok(listed(RegisterList { items: views(app.registers.names(), states, waiting) }, None))
}

/// Joins what is configured with what was asked, and with what waits.
fn views(
    mut names: BTreeSet<String>,
    states: Vec<RegisterRow>,
    waiting: Vec<(String, i64)>,
) -> Vec<RegisterView> {
    let waiting: BTreeMap<String, i64> = waiting.into_iter().collect();
    let states: BTreeMap<String, RegisterRow> =
        states.into_iter().map(|row| (row.name.clone(), row)).collect();
    names.extend(states.keys().cloned());
    names.extend(waiting.keys().cloned());
    names
        .into_iter()
        .map(|name| {
            let row = states.get(&name);
            RegisterView {
                state: row.map_or(BreakerState::Closed, |row| row.state).name(),
                since: row.map(|row| row.since),
                retry_at: row.and_then(|row| row.retry_at),
                last_ok_at: row.and_then(|row| row.last_ok_at),
                waiting: waiting.get(&name).copied().unwrap_or(0),
                register: name,
            }
        })
        .collect()
}

/// Gives the configured registers that are down, by name. What waits is counted only when one is.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn down(app: &App, conn: &mut Conn, unit: &str) -> Result<Vec<RegisterDownView>> {
    let mut states = registers::states(conn).await?;
    // One that is not configured any more is nobody's to wait for: officers ask it by hand.
    states
        .retain(|row| row.state != BreakerState::Closed && app.registers.get(&row.name).is_some());
    if states.is_empty() {
        return Ok(Vec::new());
    }
    let waiting: BTreeMap<String, i64> =
        registers::waiting(conn, unit).await?.into_iter().collect();
    let view = |row: RegisterRow| RegisterDownView {
        since: row.since,
        retry_at: row.retry_at,
        waiting: waiting.get(&row.name).copied().unwrap_or(0),
        register: row.name,
    };
    Ok(states.into_iter().map(view).collect())
}
