//! What must hold: each guard answers with nothing or with what stands in the way and what to do about it.

mod duties;
mod restrictions;

use chrono::{DateTime, Days, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::months::{Prolongation, prolongation};
use super::{Context, Reissued, Rejection, deadlines};
use crate::domain::actor::Actor;
use crate::domain::after_life::Complaint;
use crate::domain::application::{Application, Document, Hand};
use crate::domain::checks::{Check, blocking};
use crate::domain::fee::{Charge, ChargeStatus, Money, Payment};
use crate::domain::form::FIELDS;
use crate::domain::permit::{PermitStatus, add_months};
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::{Consequence, Guard, Transition};

/// Blocks a register's answer that was taken before.
pub const ALREADY_ANSWERED: &str = "alreadyAnswered";

/// Blocks a register's answer that does not take the place of the one there is.
pub const ANSWER_STANDS: &str = "answerStands";

/// One thing that stands in the way of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// The guard's name; besides those of definitions `fourEyes`, `claimed`, `overrideNeeded`, and for registers
    /// [`ALREADY_ANSWERED`] and [`ANSWER_STANDS`].
    pub guard: &'static str,
    /// What to do about it, in one sentence.
    pub detail: String,
    /// The parts it is about: missing sections, checks not clear.
    pub parts: Vec<String>,
}

impl Blocked {
    fn new(guard: &Guard, detail: impl Into<String>) -> Self {
        Self { guard: guard.name(), detail: detail.into(), parts: Vec::new() }
    }

    /// Says that the same person has another application under way.
    #[must_use]
    pub fn other_open_application() -> Self {
        Self::new(
            &Guard::NoOtherOpenApplication,
            "Another application of the same person is under way; wait for its end or withdraw it.",
        )
    }

    /// Says what stands in the way of an answer to a check.
    pub(super) fn of_check(guard: &'static str, check: &str, detail: String) -> Self {
        Self { guard, detail, parts: vec![check.to_owned()] }
    }

    /// Says that a colleague holds the application.
    pub(super) fn claimed(until: DateTime<Utc>) -> Self {
        Self {
            guard: "claimed",
            detail: format!("A colleague holds this application until {until} at the latest."),
            parts: Vec::new(),
        }
    }
}

/// Chooses the transition all of whose guards hold (rule W06: there is at most one).
pub(super) fn choose<'a>(
    application: &Application,
    command: &Command,
    actor: &Actor,
    candidates: &[&'a Transition],
    context: &Context<'_>,
) -> Result<&'a Transition, Rejection> {
    let mut nearest: Option<Vec<Blocked>> = None;
    for transition in candidates {
        let blocked = blocked(application, Some(command), actor, transition, context);
        if blocked.is_empty() {
            return Ok(transition);
        }
        if nearest.as_ref().is_none_or(|known| blocked.len() < known.len()) {
            nearest = Some(blocked);
        }
    }
    Err(Rejection::Blocked(nearest.unwrap_or_default()))
}

/// Gives the hand that an account had in it for which four eyes keep it from a transition.
pub(super) fn keeping<'a>(
    application: &'a Application,
    by: Uuid,
    transition: &Transition,
) -> Option<&'a Hand> {
    let keeps = |hand: &&Hand| hand.by == by && transition.four_eyes.contains(&hand.command);
    application.hands.iter().find(keeps)
}

/// Gives everything that blocks a transition; without a command, what can be said before it is written.
pub(super) fn blocked(
    application: &Application,
    command: Option<&Command>,
    actor: &Actor,
    transition: &Transition,
    context: &Context<'_>,
) -> Vec<Blocked> {
    let mut blocked: Vec<Blocked> = Vec::new();
    if let Some(by) = actor.account()
        && let Some(hand) = keeping(application, by, transition)
    {
        blocked.push(Blocked {
            guard: "fourEyes",
            detail: format!(
                "You gave '{}' on this application; a colleague has to give '{}'.",
                hand.command.name(),
                transition.command.name()
            ),
            parts: vec![hand.command.name().to_owned()],
        });
    }
    for guard in &transition.guards {
        blocked.extend(holds(application, command, transition, guard, context));
    }
    blocked
}

fn holds(
    application: &Application,
    command: Option<&Command>,
    transition: &Transition,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let form = &application.form;
    let today = context.today();
    match guard {
        Guard::FormComplete => form_complete(application, guard, context),
        Guard::AgeAtLeast(years) => {
            let person = form.person.as_ref()?;
            let of_age = add_months(person.birth_date, years * 12);
            (today < of_age).then(|| {
                Blocked::new(
                    guard,
                    format!("The worker must be {years} years old; that is from {of_age} on."),
                )
            })
        }
        Guard::CitizenshipNotIn(countries) => {
            let citizenship = form.person.as_ref()?.citizenship.as_str();
            countries.iter().any(|country| country == citizenship).then(|| {
                Blocked::new(
                    guard,
                    format!("Citizens of {citizenship} need no permit of this kind: they may work without it."),
                )
            })
        }
        // Who holds a permit entered long ago; that he holds it, the other guard sees.
        Guard::WithinDaysOfEntryOrFined(_)
            if form.reissues.is_some()
                && transition.guards.iter().any(|g| matches!(g, Guard::ReissueInTime(_))) =>
        {
            None
        }
        Guard::WithinDaysOfEntryOrFined(days) => {
            let entry = form.entry.as_ref()?;
            let last = entry.entered_on + Days::new(u64::from(*days));
            (today > last && entry.fine_receipt.is_none()).then(|| {
                Blocked::new(
                    guard,
                    format!(
                        "The {days} days after entry ended on {last}; pay the fine for late filing and state its receipt in entry.fineReceipt."
                    ),
                )
            })
        }
        Guard::PassportValidForMonths(months) => {
            let passport = form.passport.as_ref()?;
            let needed = add_months(today, *months);
            (passport.expires_on < needed).then(|| {
                Blocked::new(
                    guard,
                    format!(
                        "The passport expires on {}; it must be valid until {needed} at least. Renew it first.",
                        passport.expires_on
                    ),
                )
            })
        }
        Guard::NoOtherOpenApplication => context.other_open.then(Blocked::other_open_application),
        Guard::SalaryAtLeast(threshold) => salary(application, guard, threshold, context),
        Guard::DecidedWithinMinutes(minutes) => {
            decided_within(application, guard, *minutes, context)
        }
        Guard::NothingPaid(fee) => {
            let paid = application.charge_of(fee).map(Charge::covered)?;
            if paid == Money::ZERO {
                return None;
            }
            Some(Blocked::new(
                guard,
                format!("{paid} were paid on '{fee}'; what was paid on is not undone."),
            ))
        }
        Guard::ClockStarted => application.clock.is_none().then(|| {
            Blocked::new(
                guard,
                "The application was never taken in; it can be taken up for intake.",
            )
        }),
        Guard::ClockNotStarted => application.clock.is_some().then(|| {
            Blocked::new(guard, "The application was taken in; it can be taken up to be decided.")
        }),
        Guard::PermitLasts => permit_lasts(application, guard, context),
        Guard::AskedFirst => asked_first(application, guard, context),
        Guard::ChecksClear => checks_clear(application, guard, context),
        Guard::FeeSettled(fee) => {
            let settled = application
                .charge_of(fee)
                .is_some_and(|charge| charge.status == ChargeStatus::Settled);
            (!settled).then(|| Blocked::new(guard, format!("The fee '{fee}' has not been paid.")))
        }
        Guard::PaymentSettles(fee) => {
            payment(application, command, fee, |paid, due| paid >= due, guard)
        }
        Guard::PaymentLeavesOpen(fee) => {
            payment(application, command, fee, |paid, due| paid < due, guard)
        }
        Guard::PaymentProlongs(fee) => {
            months(application, command, fee, |paid| paid.months > 0, guard, context)
        }
        Guard::PaymentFallsShort(fee) => {
            months(application, command, fee, |paid| paid.months == 0, guard, context)
        }
        Guard::AnswersComplete => answers(application, command, true, guard),
        Guard::AnswersIncomplete => answers(application, command, false, guard),
        Guard::Extended => {
            let extended = application.clock.as_ref().is_some_and(|one| one.extension.is_some());
            (!extended).then(|| Blocked::new(guard, "The term is not extended."))
        }
        Guard::NotExtended => {
            let extension = application.clock.as_ref()?.extension.as_ref()?;
            let (days, on) = (extension.working_days, extension.on);
            let detail = format!(
                "The term was extended by {days} working days on {on}; it can be extended once."
            );
            Some(Blocked::new(guard, detail))
        }
        Guard::NotOverdue => {
            let due = application.due_on.filter(|due| *due < today)?;
            let detail = format!(
                "The term ended on {due}, and the applicant is told so; what is late stays late. Decide as soon as you can."
            );
            Some(Blocked::new(guard, detail))
        }
        Guard::NotComplained => {
            let decided_at = application.decided_at();
            let made = |one: &&Complaint| Some(one.decided_at) == decided_at;
            let made = application.after_life.complaints.iter().find(made)?;
            let on = made.at.format("%Y-%m-%d");
            Some(Blocked::new(
                guard,
                format!("You complained of this decision on {on}; what is left is a court."),
            ))
        }
        Guard::PermitOver => permit_lasts(application, guard, context)
            .is_none()
            .then(|| Blocked::new(guard, "The permit still lasts; it can be put back into force.")),
        Guard::ReissueInTime(days) => reissue_in_time(application, guard, *days, context),
        Guard::ReissueStands => {
            let status = context.reissued.map(|one| one.status);
            (status == Some(PermitStatus::Superseded)).then(|| {
                Blocked::new(guard, "The permit named in form.reissues was re-issued already.")
            })
        }
        Guard::ChangeProven => {
            let request = application.after_life.request.as_ref();
            let proven = request.is_some_and(|request| {
                let duty = |one: &Document| context.definition.permit.is_proof(&one.kind);
                application.documents.iter().any(|one| one.attached_at > request.at && !duty(one))
            });
            (!proven).then(|| {
                Blocked::new(
                    guard,
                    "The holder has to hand in the document that proves the change first.",
                )
            })
        }
        Guard::DeadlinePassed => {
            let passed = context.definition.state(&application.state).is_some_and(|state| {
                state
                    .deadlines
                    .iter()
                    .filter(|deadline| deadline.command == transition.command)
                    .filter(|deadline| !deadlines::is_spent(application, deadline, context))
                    .filter_map(|deadline| {
                        deadlines::date(application, deadline, context).ok().flatten()
                    })
                    .any(|date| date < today)
            });
            (!passed).then(|| Blocked::new(guard, "The deadline has not passed."))
        }
        Guard::IssuingNotStopped => restrictions::stopped(guard, context),
        Guard::ActivityNotBanned => restrictions::banned(application, command, guard, context),
        Guard::DutyMissed => duties::missed(application, command, guard, context),
    }
}

fn form_complete(
    application: &Application,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let definition = context.definition;
    let sections = FIELDS
        .iter()
        .filter(|(name, present)| {
            definition.required_fields.iter().any(|required| required == name)
                && !present(&application.form)
        })
        .map(|(name, _)| format!("form.{name}"));
    let documents = definition
        .documents
        .iter()
        .filter(|rule| {
            rule.required && !application.documents.iter().any(|known| known.kind == rule.id)
        })
        .map(|rule| format!("documents.{}", rule.id));
    let parts: Vec<String> = sections.chain(documents).collect();
    (!parts.is_empty()).then(|| Blocked {
        guard: guard.name(),
        detail: format!("Fill in or hand in what is missing: {}.", parts.join(", ")),
        parts,
    })
}

fn salary(
    application: &Application,
    guard: &Guard,
    threshold: &str,
    context: &Context<'_>,
) -> Option<Blocked> {
    let contract = application.form.contract.as_ref()?;
    let needed = match context.rules.rates.threshold(threshold, context.today()) {
        Ok(needed) => needed,
        Err(missing) => return Some(Blocked::new(guard, missing.to_string())),
    };
    // Compared without division: a salary for n months against a threshold for m months.
    let stated = i128::from(contract.salary.kopecks()) * i128::from(needed.period.months());
    let asked = i128::from(needed.amount.kopecks()) * i128::from(contract.salary_period.months());
    (stated < asked).then(|| {
        Blocked::new(
            guard,
            format!(
                "The salary must be at least {} for {} month(s) on the day of filing.",
                needed.amount,
                needed.period.months()
            ),
        )
    })
}

fn decided_within(
    application: &Application,
    guard: &Guard,
    minutes: u32,
    context: &Context<'_>,
) -> Option<Blocked> {
    let Some(decision) = &application.decision else {
        return Some(Blocked::new(guard, "There is no decision to undo."));
    };
    let until = decision.at() + TimeDelta::minutes(i64::from(minutes));
    (context.now > until).then(|| {
        Blocked::new(
            guard,
            format!(
                "A decision can be undone for {minutes} minutes; this one could until {}. See whether it can be reopened.",
                until.format("%Y-%m-%dT%H:%M:%SZ")
            ),
        )
    })
}

fn permit_lasts(
    application: &Application,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let today = context.today();
    let Some(permit) = &application.permit else {
        return Some(Blocked::new(guard, "No permit was issued."));
    };
    let detail = match permit.paid_through {
        _ if permit.ends_on < today => {
            format!("The permit's term ended on {}; a new one is needed.", permit.ends_on)
        }
        Some(paid) if paid < today => {
            format!("The paid period ended on {paid}; a new permit is needed.")
        }
        Some(_) | None => return None,
    };
    Some(Blocked::new(guard, detail))
}

/// What is to be re-issued is the applicant's own permit, in force, and not too near to its end.
fn reissue_in_time(
    application: &Application,
    guard: &Guard,
    days: u32,
    context: &Context<'_>,
) -> Option<Blocked> {
    let number = application.form.reissues.as_ref()?;
    let today = context.today();
    let born = application.form.person.as_ref().map(|person| person.birth_date);
    let own = |one: &&Reissued| one.applicant == application.applicant && one.birth_date == born;
    let Some(permit) = context.reissued.filter(own) else {
        let detail = format!("You hold no permit {number}; state your own in form.reissues.");
        return Some(Blocked::new(guard, detail));
    };
    if permit.status.on(today, permit.paid_through, permit.ends_on) != PermitStatus::InForce {
        let detail = format!("The permit {number} is not in force; apply for a new one.");
        return Some(Blocked::new(guard, detail));
    }
    match context.rules.calendar.sub_working_days(permit.ends_on, days) {
        Err(missing) => Some(Blocked::new(guard, missing.to_string())),
        Ok(last) => (today > last).then(|| {
            Blocked::new(
                guard,
                format!(
                    "The permit ends on {}; its re-issue had to be asked for until {last}. Apply for a new one.",
                    permit.ends_on
                ),
            )
        }),
    }
}

/// A refusal needs either an answer that means one, or a question to the applicant about each that means asking.
fn asked_first(application: &Application, guard: &Guard, context: &Context<'_>) -> Option<Blocked> {
    let mut parts = Vec::new();
    for (check, means) in blocking_checks(application, context) {
        match means {
            Consequence::Refuse => return None,
            Consequence::Ask => {
                let asked = application
                    .information
                    .iter()
                    .any(|item| item.check.as_deref() == Some(check.id.as_str()));
                if !asked {
                    parts.push(check.id.clone());
                }
            }
        }
    }
    (!parts.is_empty()).then(|| Blocked {
        guard: guard.name(),
        detail: format!(
            "The answers to these checks mean that the applicant is asked first: {}. Give `requestInformation` with an item for each that names it in `check`.",
            parts.join(", ")
        ),
        parts,
    })
}

/// Gives the checks whose answers block and were not set aside, and what each means.
pub(super) fn blocking_checks<'a>(
    application: &'a Application,
    context: &Context<'a>,
) -> impl Iterator<Item = (&'a Check, Consequence)> {
    let definition = context.definition;
    application.checks.iter().filter(|check| check.overridden.is_none()).filter_map(|check| {
        let finding = check.finding.as_ref()?;
        let means = blocking(definition.check(&check.id)?, finding)?;
        Some((check, means))
    })
}

fn checks_clear(
    application: &Application,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let parts: Vec<String> = context
        .definition
        .checks
        .iter()
        .filter(|rule| {
            !application.checks.iter().any(|check| check.id == rule.id && check.is_clear(rule))
        })
        .map(|rule| rule.id.clone())
        .collect();
    (!parts.is_empty()).then(|| Blocked {
        guard: guard.name(),
        detail: format!("These checks are not clear: {}.", parts.join(", ")),
        parts,
    })
}

/// Asks whether the payment at hand pays months of the fee, and how many.
fn months(
    application: &Application,
    command: Option<&Command>,
    fee: &str,
    fits: impl Fn(&Prolongation) -> bool,
    guard: &Guard,
    context: &Context<'_>,
) -> Option<Blocked> {
    let Some(Command::RecordPayment { payment }) = command else { return None };
    if let Err(blocked) = billed(application, payment, fee, guard) {
        return Some(blocked);
    }
    match prolongation(application, fee, payment, context) {
        Ok(paid) if fits(&paid) => None,
        Ok(paid) => {
            let detail = format!("The payment pays {} month(s) of '{fee}'.", paid.months);
            Some(Blocked::new(guard, detail))
        }
        Err(detail) => Some(Blocked::new(guard, detail)),
    }
}

/// Asks whether the payment at hand is for the fee and how it compares with what is still due.
fn payment(
    application: &Application,
    command: Option<&Command>,
    fee: &str,
    fits: impl Fn(i64, i64) -> bool,
    guard: &Guard,
) -> Option<Blocked> {
    let Some(Command::RecordPayment { payment }) = command else { return None };
    let charge = match billed(application, payment, fee, guard) {
        Ok(charge) => charge,
        Err(blocked) => return Some(blocked),
    };
    let fits = charge.status == ChargeStatus::Open
        && fits(payment.amount.kopecks(), charge.outstanding().kopecks());
    (!fits)
        .then(|| Blocked::new(guard, format!("Of '{fee}' {} is still due.", charge.outstanding())))
}

/// Gives the bill of the fee that the payment at hand is for.
fn billed<'a>(
    application: &'a Application,
    payment: &Payment,
    fee: &str,
    guard: &Guard,
) -> Result<&'a Charge, Blocked> {
    let Some(charge) = application.charge_of(fee) else {
        return Err(Blocked::new(guard, format!("Nothing is owed for '{fee}'.")));
    };
    if !payment.is_for(charge) {
        return Err(Blocked::new(
            guard,
            format!("The payment must state the UIN {} of '{fee}'.", charge.uin),
        ));
    }
    if payment.names_another_kbk(charge) {
        return Err(Blocked::new(
            guard,
            format!(
                "The payment names another KBK than the bill of '{fee}'; an officer must match it."
            ),
        ));
    }
    Ok(charge)
}

fn answers(
    application: &Application,
    command: Option<&Command>,
    complete: bool,
    guard: &Guard,
) -> Option<Blocked> {
    let Some(Command::AnswerInformation { answers }) = command else { return None };
    let parts: Vec<String> = application
        .information
        .iter()
        .filter(|item| item.is_open())
        .filter(|item| !answers.iter().any(|answer| answer.item == item.item))
        .map(|item| item.item.to_string())
        .collect();
    (parts.is_empty() != complete).then(|| Blocked {
        guard: guard.name(),
        detail: "Some of what was asked is still without an answer.".into(),
        parts,
    })
}
