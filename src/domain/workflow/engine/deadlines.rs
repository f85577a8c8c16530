//! When the timer acts: the dates that a state's deadlines stand for.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::{Context, Rejection};
use crate::domain::application::{Application, InformationItem};
use crate::domain::calendar::{Calendar, MissingYear};
use crate::domain::duty::DutyDays;
use crate::domain::event::{Job, Scheduled};
use crate::domain::workflow::definition::{Awaited, CommandName, Deadline, DeadlineBasis, State};

/// What a state's deadlines count from.
#[derive(Debug, Clone, Copy)]
pub struct Bases<'a> {
    /// The day on which the state was entered.
    pub since: NaiveDate,
    /// The statutory date.
    pub due_on: Option<NaiveDate>,
    /// What the applicant was asked for.
    pub information: &'a [InformationItem],
    /// The permit's last paid day, where months are paid, and its last day.
    pub permit_days: Option<(Option<NaiveDate>, NaiveDate)>,
    /// The days of what is owed after issue.
    pub duty_days: DutyDays,
}

/// Gives the last day that still counts; `None` when nothing is due at present.
fn day(
    basis: DeadlineBasis,
    bases: Bases<'_>,
    calendar: &Calendar,
) -> Result<Option<NaiveDate>, MissingYear> {
    let Bases { since, due_on, information, permit_days, duty_days } = bases;
    Ok(match basis {
        DeadlineBasis::CalendarDays(days) => since.checked_add_days(Days::new(u64::from(days))),
        DeadlineBasis::WorkingDays(days) => Some(calendar.add_working_days(since, days)?),
        DeadlineBasis::ClockDue => due_on,
        // The timer comes on the day after the last one that counts.
        DeadlineBasis::BeforeClockDue(days) => match due_on {
            Some(due) => calendar.sub_working_days(due, days)?.pred_opt(),
            None => None,
        },
        DeadlineBasis::InformationDue => last_open(information),
        // The timer comes on the day after the last one that counts.
        DeadlineBasis::BeforeInformationDue(days) => last_open(information)
            .and_then(|due| due.checked_sub_days(Days::new(u64::from(days) + 1)))
            .filter(|day| *day >= since),
        DeadlineBasis::PaidThrough => {
            permit_days.and_then(|(paid, ends_on)| paid.filter(|paid| *paid < ends_on))
        }
        // The timer comes on the day after the last one that counts.
        DeadlineBasis::BeforePaidThrough(days) => permit_days
            .and_then(|(paid, ends_on)| paid.filter(|paid| *paid < ends_on))
            .and_then(|paid| paid.checked_sub_days(Days::new(u64::from(days) + 1)))
            .filter(|day| *day >= since),
        DeadlineBasis::PermitEnds => permit_days.map(|(_, ends_on)| ends_on),
        DeadlineBasis::DutyDue => duty_days.due,
        // The timer comes on the day after the last one that counts.
        DeadlineBasis::DutyReminder => duty_days.reminder.and_then(|day| day.pred_opt()),
    })
}

/// Gives the latest date of what the applicant was asked and has not answered.
pub(super) fn last_open(information: &[InformationItem]) -> Option<NaiveDate> {
    information.iter().filter(|item| item.is_open()).map(|item| item.due_on).max()
}

/// Gives the last day on which the applicant can still do what a state waits for; `None` when it waits for the office
/// or has no such day.
#[must_use]
pub fn act_by(state: &State, bases: Bases<'_>, calendar: &Calendar) -> Option<NaiveDate> {
    if state.awaits != Some(Awaited::Applicant) {
        return None;
    }
    // An escalation tells the office; what the applicant has to do can still be done. Duties have days of their own.
    let deadlines = state.deadlines.iter().filter(|one| {
        !matches!(
            one.command,
            CommandName::Escalate
                | CommandName::Warn
                | CommandName::Remind
                | CommandName::RemindAgain
                | CommandName::RemindDuty
                | CommandName::DutyOverdue
        )
    });
    let days = deadlines.filter_map(|one| day(one.basis, bases, calendar).ok());
    days.flatten().min()
}

fn bases<'a>(application: &'a Application, context: &Context<'_>) -> Bases<'a> {
    Bases {
        since: context.local_date(application.state_since),
        due_on: application.due_on,
        information: &application.information,
        permit_days: application.permit.as_ref().map(|one| (one.paid_through, one.ends_on)),
        duty_days: DutyDays::of(&application.duties, &context.definition.permit.duties),
    }
}

/// Gives the last day of a deadline that still counts; `None` when nothing is due at present.
pub(super) fn date(
    application: &Application,
    deadline: &Deadline,
    context: &Context<'_>,
) -> Result<Option<NaiveDate>, Rejection> {
    day(deadline.basis, bases(application, context), &context.rules.calendar)
        .map_err(|missing| Rejection::RuleMissing(missing.to_string()))
}

/// Gives the instant from which the timer may give `command`; `None` when no deadline of the state asks for it.
///
/// # Errors
/// [`Rejection::RuleMissing`] when a year has no calendar.
pub fn due_at(
    application: &Application,
    command: CommandName,
    context: &Context<'_>,
) -> Result<Option<DateTime<Utc>>, Rejection> {
    let jobs = schedule(application, context)?;
    let asked = |job: &Job| matches!(job, Job::Timer { command: one, .. } if *one == command);
    Ok(jobs.iter().find(|scheduled| asked(&scheduled.job)).map(|scheduled| scheduled.run_at))
}

/// Gives the timer jobs of an application in a state, reckoned from `bases` where its office is.
///
/// # Errors
/// [`MissingYear`] when a deadline runs into a year without a calendar.
pub fn timers(
    application: Uuid,
    state: &State,
    bases: Bases<'_>,
    calendar: &Calendar,
    zone: Tz,
) -> Result<Vec<Scheduled>, MissingYear> {
    let mut jobs = Vec::new();
    for deadline in &state.deadlines {
        if let Some(date) = day(deadline.basis, bases, calendar)? {
            jobs.push(Scheduled {
                job: Job::Timer { application, command: deadline.command },
                run_at: day_after(date, zone),
            });
        }
    }
    Ok(jobs)
}

/// Tells whether a deadline has nothing to say any more: no warning comes after the date itself, that it was broken is
/// told once, and so is each reminder of a paid period that ends: whoever was told late is not told twice.
pub(super) fn is_spent(
    application: &Application,
    deadline: &Deadline,
    context: &Context<'_>,
) -> bool {
    let today = context.today();
    let broken = application.due_on.filter(|due| *due < today);
    match (deadline.command, deadline.basis) {
        (CommandName::Warn, DeadlineBasis::BeforeClockDue(_)) => broken.is_some(),
        (CommandName::Escalate, DeadlineBasis::ClockDue) => {
            let told = application.clock.as_ref().and_then(|clock| clock.told);
            broken.is_some() && told == broken
        }
        (_, DeadlineBasis::BeforePaidThrough(_)) => {
            let told = application.reminded_at.map(|at| context.local_date(at));
            let day = date(application, deadline, context).ok().flatten();
            told.zip(day).is_some_and(|(told, day)| told > day)
        }
        _ => false,
    }
}

/// Gives the timer jobs of the state the application is in.
pub(super) fn schedule(
    application: &Application,
    context: &Context<'_>,
) -> Result<Vec<Scheduled>, Rejection> {
    let Some(state) = context.definition.state(&application.state) else { return Ok(Vec::new()) };
    let bases = bases(application, context);
    let mut jobs =
        timers(application.id, state, bases, &context.rules.calendar, context.unit.time_zone)
            .map_err(|missing| Rejection::RuleMissing(missing.to_string()))?;
    for spent in state.deadlines.iter().filter(|one| is_spent(application, one, context)) {
        jobs.retain(|scheduled| {
            !matches!(&scheduled.job, Job::Timer { command, .. } if *command == spent.command)
        });
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

/// Gives the keys of those of them that are about duties.
pub(super) fn duty_keys(application: &Application, context: &Context<'_>) -> Vec<String> {
    let about =
        |one: &&Deadline| matches!(one.basis, DeadlineBasis::DutyDue | DeadlineBasis::DutyReminder);
    deadlines(application, context)
        .iter()
        .filter(about)
        .map(|deadline| Job::Timer { application: application.id, command: deadline.command }.key())
        .collect()
}

fn deadlines<'a>(application: &Application, context: &Context<'a>) -> &'a [Deadline] {
    context.definition.state(&application.state).map_or(&[], |state| state.deadlines.as_slice())
}

/// Gives the first instant of the day after `date` where the office is.
fn day_after(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
    let midnight = next.and_time(NaiveTime::MIN);
    // Where a change to summer time skips midnight, the day begins an hour later.
    zone.from_local_datetime(&midnight)
        .earliest()
        .or_else(|| zone.from_local_datetime(&(midnight + TimeDelta::hours(1))).earliest())
        .map_or_else(|| midnight.and_utc(), |local| local.with_timezone(&Utc))
}
