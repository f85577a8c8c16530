//! What another calendar does to the dates of what is under way.
//!
//! Only dates that were promised are written anew, by an event; when the timer comes follows from them. A check keeps the
//! date that its register was told, and what was decided keeps its own.

use chrono::NaiveDate;
use serde_json::json;

use super::{Context, Rejection, Step, deadlines, stay};
use crate::domain::actor::{Actor, Party};
use crate::domain::application::Application;
use crate::domain::calendar::{Calendar, MissingYear};
use crate::domain::clock::StatutoryClock;
use crate::domain::duty::{self, DutyStatus, Obligation};
use crate::domain::event::{BuiltIn, Change, Job, Scheduled};
use crate::domain::workflow::definition::{CommandName, DeadlineBasis, Duty, Phase, State};

/// The dates that a clock promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// The date; `None` while the clock stands still.
    pub due_on: Option<NaiveDate>,
    /// The date without an extension.
    pub standard_due_on: Option<NaiveDate>,
}

/// Gives the dates that a calendar makes of a clock that was not stopped, when they are others than `known`.
///
/// # Errors
/// [`MissingYear`] when the term runs into a year without a calendar.
pub fn moved(
    clock: Option<&StatutoryClock>,
    known: Dates,
    calendar: &Calendar,
) -> Result<Option<Dates>, MissingYear> {
    let Some(clock) = clock.filter(|clock| clock.stopped_on.is_none()) else { return Ok(None) };
    let dates = Dates {
        due_on: clock.due_on(calendar)?,
        standard_due_on: clock.standard_due_on(calendar)?,
    };
    Ok((dates != known).then_some(dates))
}

/// Gives the duties that are owed and that a calendar gives another last day.
///
/// # Errors
/// [`MissingYear`] when the term of one runs into a year without a calendar.
pub fn moved_duties(
    owed: &[Obligation],
    rules: &[Duty],
    calendar: &Calendar,
) -> Result<Vec<Obligation>, MissingYear> {
    let mut moved = Vec::new();
    for one in owed.iter().filter(|one| one.status == DutyStatus::Open) {
        let Some(rule) = rules.iter().find(|rule| rule.id == one.duty) else { continue };
        match duty::due_on(rule, one.counts_from, calendar)? {
            Some(due_on) if due_on != one.due_on => {
                moved.push(Obligation { due_on, ..one.clone() });
            }
            Some(_) | None => {}
        }
    }
    Ok(moved)
}

/// Tells whether the timer's days in a state are counted in working days, from its beginning or to the statutory date.
#[must_use]
pub fn counts_working_days(state: &State) -> bool {
    state.deadlines.iter().any(|deadline| {
        matches!(deadline.basis, DeadlineBasis::WorkingDays(_) | DeadlineBasis::BeforeClockDue(_))
    })
}

/// Writes the dates anew that the calendar of this number makes others; `None` when it makes none.
///
/// # Errors
/// [`Rejection`] for all but the timer, and when a year has no calendar.
pub fn redate(
    application: &Application,
    number: i64,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Option<Step>, Rejection> {
    if !matches!(actor, Actor::Timer) {
        return Err(Rejection::Forbidden { parties: vec![Party::Timer] });
    }
    let known = Dates { due_on: application.due_on, standard_due_on: application.standard_due_on };
    let missing = |missing: MissingYear| Rejection::RuleMissing(missing.to_string());
    let calendar = &context.rules.calendar;
    let dates = moved(application.clock.as_ref(), known, calendar).map_err(missing)?;
    let rules = &context.definition.permit.duties;
    let duties = moved_duties(&application.duties, rules, calendar).map_err(missing)?;
    if !duties.is_empty() && application.phase == Phase::InForce {
        return redate_duties(application, number, duties, actor, context).map(Some);
    }
    let (Some(dates), Some(clock)) = (dates, &application.clock) else { return Ok(None) };
    let mut request = json!({
        "calendar": number,
        "dueOn": { "from": known.due_on, "to": dates.due_on },
    });
    if clock.extension.is_some() {
        request["standardDueOn"] =
            json!({ "from": known.standard_due_on, "to": dates.standard_due_on });
    }
    // Who was told that it is late need not be told so of the new date, where that is past as well.
    let late = dates.due_on.filter(|due| *due < context.today());
    let told = clock.told.map(|told| late.unwrap_or(told));
    let changes = vec![Change::ClockSet {
        clock: StatutoryClock { told, ..clock.clone() },
        due_on: dates.due_on,
        standard_due_on: dates.standard_due_on,
    }];
    let mut step = stay(application, BuiltIn::Redate, request, actor, changes, context)?;
    step.schedule = deadlines::schedule(&step.after, context)?;
    // What the office was told once it is not told again, unless the new day is still to come.
    let told = |scheduled: &Scheduled| match &scheduled.job {
        Job::Timer { command: CommandName::Escalate, .. } => application.escalated_at.is_some(),
        Job::Timer { command: CommandName::Warn, .. } => application.warned_at.is_some(),
        _ => false,
    };
    step.schedule.retain(|scheduled| scheduled.run_at > context.now || !told(scheduled));
    Ok(Some(step))
}

/// Writes the last days of duties anew; the clock of a permit in force was stopped long ago.
fn redate_duties(
    application: &Application,
    number: i64,
    duties: Vec<Obligation>,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let before = |number: u32| application.duties.iter().find(|one| one.number == number);
    let days: Vec<_> = duties
        .iter()
        .map(|one| {
            let from = before(one.number).map(|before| before.due_on);
            json!({ "number": one.number, "dueOn": { "from": from, "to": one.due_on } })
        })
        .collect();
    let request = json!({ "calendar": number, "duties": days });
    let set = |one| Change::DutySet { obligation: Box::new(one) };
    let changes = duties.into_iter().map(set).collect();
    let mut step = stay(application, BuiltIn::Redate, request, actor, changes, context)?;
    step.schedule = deadlines::schedule(&step.after, context)?;
    Ok(step)
}
