//! When the timer acts: the dates that a state's deadlines stand for.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};

use super::{Context, Rejection};
use crate::domain::application::Application;
use crate::domain::event::{Job, Scheduled};
use crate::domain::workflow::definition::{Deadline, DeadlineBasis};

/// Gives the last day that still counts; `None` when nothing is due at present.
pub(super) fn date(
    application: &Application,
    deadline: &Deadline,
    context: &Context<'_>,
) -> Result<Option<NaiveDate>, Rejection> {
    let since = context.local_date(application.state_since);
    Ok(match deadline.basis {
        DeadlineBasis::CalendarDays(days) => since.checked_add_days(Days::new(u64::from(days))),
        DeadlineBasis::WorkingDays(days) => Some(
            context
                .rules
                .calendar
                .add_working_days(since, days)
                .map_err(|missing| Rejection::RuleMissing(missing.to_string()))?,
        ),
        DeadlineBasis::ClockDue => application.due_on,
        DeadlineBasis::InformationDue => application
            .information
            .iter()
            .filter(|item| item.is_open())
            .map(|item| item.due_on)
            .max(),
        DeadlineBasis::PaidThrough => application
            .permit
            .as_ref()
            .and_then(|permit| permit.paid_through.filter(|paid| *paid < permit.ends_on)),
        DeadlineBasis::PermitEnds => application.permit.as_ref().map(|permit| permit.ends_on),
    })
}

/// Gives the timer jobs of the state the application is in.
pub(super) fn schedule(
    application: &Application,
    context: &Context<'_>,
) -> Result<Vec<Scheduled>, Rejection> {
    let mut jobs = Vec::new();
    for deadline in deadlines(application, context) {
        if let Some(date) = date(application, deadline, context)? {
            jobs.push(Scheduled {
                job: Job::Timer { application: application.id, command: deadline.command },
                run_at: day_after(date, context),
            });
        }
    }
    Ok(jobs)
}

/// Gives the keys of the timer jobs of the state the application is in.
pub(super) fn keys(application: &Application, context: &Context<'_>) -> Vec<String> {
    deadlines(application, context)
        .iter()
        .map(|deadline| Job::Timer { application: application.id, command: deadline.command }.key())
        .collect()
}

fn deadlines<'a>(application: &Application, context: &Context<'a>) -> &'a [Deadline] {
    context.definition.state(&application.state).map_or(&[], |state| state.deadlines.as_slice())
}

/// Gives the first instant of the day after `date` where the office is.
fn day_after(date: NaiveDate, context: &Context<'_>) -> DateTime<Utc> {
    let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
    let midnight = next.and_time(NaiveTime::MIN);
    let zone = context.unit.time_zone;
    // Where a change to summer time skips midnight, the day begins an hour later.
    zone.from_local_datetime(&midnight)
        .earliest()
        .or_else(|| zone.from_local_datetime(&(midnight + TimeDelta::hours(1))).earliest())
        .map_or_else(|| midnight.and_utc(), |local| local.with_timezone(&Utc))
}
