//! How much the unit has to do, and how it keeps the dates that the law promises.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{Days, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use super::super::applicant::{language, listed};
use super::super::extract::Query;
use super::super::views::text;
use super::unit;
use crate::app::App;
use crate::auth::access::{Caller, Office};
use crate::domain::rules::Rulebook;
use crate::domain::workflow::definition::{Awaited, CommandName, Phase};
use crate::error::{Error, Result};
use crate::storage::applications;
use crate::storage::workload::{self, DecidedRow, Span, UnderWayRow, Workload};

/// How many working days are soon.
const SOON: u32 = 2;

/// Registers the operation.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(show_workload);
}

/// For which time the figures are.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadQuery {
    /// What was decided or ended in the last so many days counts, today among them.
    #[validate(range(min = 1, max = 366))]
    #[param(minimum = 1, maximum = 366, default = 90, example = 90)]
    #[serde(default = "quarter")]
    pub days: u32,
}

const fn quarter() -> u32 {
    90
}

/// The figures of a track, or of all.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiguresView {
    /// Handed in and not over, whoever is awaited.
    #[schema(minimum = 0)]
    pub open: i64,
    /// Of these, those whose statutory date comes within two working days.
    #[schema(minimum = 0)]
    pub due_soon: i64,
    /// Those whose statutory date has passed while it runs.
    #[schema(minimum = 0)]
    pub overdue: i64,
    /// Those for which the clock stands still: the applicant is awaited, also where the date had passed before.
    #[schema(minimum = 0)]
    pub paused: i64,
    /// Decided on the merits in the time asked for.
    #[schema(minimum = 0)]
    pub decided: i64,
    /// Of these, those decided by the statutory date.
    #[schema(minimum = 0)]
    pub decided_in_time: i64,
    /// Their share, from 0 to 1; absent when nothing was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1, example = 0.97)]
    pub share_in_time: Option<f64>,
    /// Half of them took at most so many working days of the term.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 6)]
    pub median_working_days: Option<f64>,
    /// Nine in ten of them took at most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 9)]
    pub ninth_decile_working_days: Option<f64>,
    /// Withdrawn in the time asked for, counted nowhere else.
    #[schema(minimum = 0)]
    pub withdrawn: i64,
    /// Over in the time asked for without a decision on the merits and not withdrawn: refused at intake or expired.
    #[schema(minimum = 0)]
    pub ended_otherwise: i64,
}

/// The figures of a track.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrackFiguresView {
    /// The track.
    #[schema(max_length = 60, example = "patent")]
    pub track: String,
    /// What it is called.
    #[schema(max_length = 200)]
    pub title: String,
    /// Its figures.
    pub figures: FiguresView,
}

/// What an officer holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HolderView {
    /// The account.
    pub account: Uuid,
    /// Its name.
    #[schema(max_length = 200)]
    pub name: String,
    /// How many applications it holds.
    #[schema(minimum = 1)]
    pub holds: i64,
    /// How many of them it picked by hand: neither a queue nor a senior officer gave them out.
    #[schema(minimum = 0)]
    pub picked: i64,
    /// How many of them a senior officer gave it.
    #[schema(minimum = 0)]
    pub assigned: i64,
}

/// The workload of a unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadView {
    /// Unit's code.
    #[schema(max_length = 5, example = "77")]
    pub unit: String,
    /// The office's date today.
    pub today: NaiveDate,
    /// The first day of the time asked for.
    pub since: NaiveDate,
    /// All tracks together.
    pub total: FiguresView,
    /// Track by track.
    #[schema(max_items = 100)]
    pub tracks: Vec<TrackFiguresView>,
    /// Who holds how many, whoever holds most first.
    #[schema(max_items = 10_000)]
    pub holders: Vec<HolderView>,
}

/// Show the unit's workload
///
/// Counts what is under way in the caller's unit, how much of it is due soon, overdue or waits for the applicant, and how
/// fast what was decided lately was decided, in working days of the term. What was withdrawn stands apart.
#[utoipa::path(tag = "office", params(WorkloadQuery), responses(
    (status = 200, description = "The workload.", body = WorkloadView)))]
#[get("/v1/workload")]
pub async fn show_workload(
    app: App,
    request: HttpRequest,
    caller: Caller<Office>,
    Query(query): Query<WorkloadQuery>,
) -> Result<HttpResponse> {
    let (code, now) = (unit(&caller)?, app.clock.now());
    let mut conn = app.db.conn().await?;
    let found = applications::find_unit(&mut conn, code, None).await?;
    let found = found.ok_or_else(|| Error::bug("an officer's unit is not there"))?;
    let (office, rules) = (found.unit, app.casework.rules_at(&mut conn, found.rules).await?);
    let today = now.with_timezone(&office.time_zone).date_naive();
    let since = today - Days::new(u64::from(query.days - 1));
    let soon = rules
        .calendar
        .add_working_days(today, SOON)
        .map_err(|missing| Error::internal("the calendar lacks a year", missing))?;
    let midnight = office.time_zone.from_local_datetime(&since.and_time(NaiveTime::MIN)).earliest();
    let since_at = midnight.map_or(now, |at| at.with_timezone(&Utc));
    let span = Span { unit: code, now, today, soon, since, since_at };
    let workload = workload::load(&mut conn, &span).await?;
    drop(conn);
    let view = view(code, today, since, workload, &rules, language(&request));
    Ok(listed(view, None))
}

impl FiguresView {
    fn count(&mut self, row: &UnderWayRow, is_paused: bool) {
        self.open += row.open;
        if is_paused {
            self.paused += row.open;
        } else {
            self.due_soon += row.due_soon;
            self.overdue += row.overdue;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of applications are far below 2^52")]
    fn decide(&mut self, row: &DecidedRow) {
        self.decided = row.decided;
        self.decided_in_time = row.in_time;
        self.share_in_time = (row.decided > 0).then(|| row.in_time as f64 / row.decided as f64);
        self.median_working_days = Some(row.median);
        self.ninth_decile_working_days = Some(row.ninth_decile);
    }
}

fn view(
    unit: &str,
    today: NaiveDate,
    since: NaiveDate,
    workload: Workload,
    rules: &Rulebook,
    language: &str,
) -> WorkloadView {
    let mut total = FiguresView::default();
    let mut tracks: BTreeMap<String, FiguresView> =
        rules.definitions.iter().map(|one| (one.track.clone(), FiguresView::default())).collect();
    let paused = paused(rules);
    for row in &workload.under_way {
        let is_paused = paused.contains(&(row.track.as_str(), row.state.as_str()));
        for figures in [&mut total, tracks.entry(row.track.clone()).or_default()] {
            figures.count(row, is_paused);
        }
    }
    for row in &workload.decided {
        match &row.track {
            None => total.decide(row),
            Some(track) => tracks.entry(track.clone()).or_default().decide(row),
        }
    }
    let withdrawn = withdrawn(rules);
    for row in workload.ended {
        let by_will = withdrawn.contains(&(row.track.as_str(), row.state.as_str()));
        for figures in [&mut total, tracks.entry(row.track.clone()).or_default()] {
            *(if by_will { &mut figures.withdrawn } else { &mut figures.ended_otherwise }) +=
                row.ended;
        }
    }
    let title = |track: &str| {
        let latest =
            rules.definitions.iter().filter(|one| one.track == track).max_by_key(|one| one.version);
        latest.map(|one| text(&one.title, language)).unwrap_or_default()
    };
    WorkloadView {
        unit: unit.to_owned(),
        today,
        since,
        total,
        tracks: tracks
            .into_iter()
            .map(|(track, figures)| TrackFiguresView { title: title(&track), track, figures })
            .collect(),
        holders: workload
            .holders
            .into_iter()
            .map(|row| HolderView {
                account: row.account,
                name: row.name,
                holds: row.holds,
                picked: row.picked,
                assigned: row.assigned,
            })
            .collect(),
    }
}

/// Gives the states, by track, in which the clock stands still: whether or not its date had passed before.
fn paused(rules: &Rulebook) -> BTreeSet<(&str, &str)> {
    rules
        .definitions
        .iter()
        .flat_map(|one| one.states.iter().map(move |state| (one, state)))
        .filter(|(_, state)| {
            state.phase == Phase::Checks && state.awaits == Some(Awaited::Applicant)
        })
        .map(|(one, state)| (one.track.as_str(), state.id.as_str()))
        .collect()
}

/// Gives the states, by track, that withdrawing leads to.
fn withdrawn(rules: &Rulebook) -> BTreeSet<(&str, &str)> {
    rules
        .definitions
        .iter()
        .flat_map(|one| one.transitions.iter().map(move |transition| (one, transition)))
        .filter(|(_, transition)| transition.command == CommandName::Withdraw)
        .filter_map(|(one, transition)| Some((one.track.as_str(), transition.to.as_deref()?)))
        .collect()
}
