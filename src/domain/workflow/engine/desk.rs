//! What officers do with applications besides working on them: leases, urgency, notes, reminders.
//!
//! Every track has these acts; none of them changes the state.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::guards::Blocked;
use super::{
    Context, Misfit, Rejection, Step, built_in_states, held_by_another, in_state, officer, senior,
    stay,
};
use crate::domain::actor::{Actor, Role};
use crate::domain::application::{Application, Expedited, Note};
use crate::domain::event::{BuiltIn, Change, Job, Scheduled};
use crate::domain::fee::payee::Refund;
use crate::domain::fee::{ChargeStatus, Money};
use crate::domain::workflow::definition::Phase;

/// How many notes an application can have.
pub const MAX_NOTES: usize = 500;

/// Between two reminders that officers send.
const REMINDER_PAUSE: TimeDelta = TimeDelta::hours(24);

/// Takes a lease on an application, or renews one's own.
///
/// # Errors
/// [`Rejection::Claimed`] names another holder; [`Rejection::WrongState`] when no officer is awaited.
pub fn claim(
    application: &Application,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let by = officer(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::Claim))?;
    if let Some(claim) = held_by_another(application, actor, context.now) {
        return Err(Rejection::Claimed { by: claim.by, until: claim.until });
    }
    let until = context.now + context.lease;
    let picked = || Change::Claimed { by, until, queue: None, assigned_by: None };
    let change = application.claim_at(context.now).map_or_else(picked, |own| own.renewed(until));
    stay(application, BuiltIn::Claim, Value::Null, actor, vec![change], context)
}

/// Gives a lease back. A senior officer ends a colleague's, saying why; the timer ends that of somebody who has left.
///
/// # Errors
/// [`Rejection::WrongState`] when there is no lease; [`Rejection::Claimed`] when it is a colleague's.
pub fn release(
    application: &Application,
    reason: Option<&str>,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let by = match actor {
        Actor::Timer => None,
        Actor::User { .. } | Actor::Payments | Actor::Register { .. } => {
            Some(officer(application, actor, context)?)
        }
    };
    let claim = match by {
        // Who has left holds nothing, whether the lease runs still or not.
        None => application.claim.as_ref(),
        Some(_) => application.claim_at(context.now),
    };
    let Some(claim) = claim else {
        return Err(Rejection::WrongState {
            state: application.state.clone(),
            allowed_in: Vec::new(),
        });
    };
    if by.is_some_and(|by| claim.by != by) {
        if !matches!(actor, Actor::User { role: Role::SeniorOfficer, .. }) {
            return Err(Rejection::Claimed { by: claim.by, until: claim.until });
        }
        if reason.is_none() {
            return Err(Rejection::Misfits(vec![Misfit {
                pointer: "reason".into(),
                code: "required",
                detail: "Say why you end a colleague's lease.".into(),
            }]));
        }
    }
    let request = reason.map_or(Value::Null, |reason| json!({ "reason": reason }));
    let changes = vec![Change::ClaimReleased];
    stay(application, BuiltIn::ReleaseClaim, request, actor, changes, context)
}

/// Gives an application to an officer of the unit, whoever holds it. That `to` is one the caller has to have seen.
///
/// Four eyes look at who gave which command, not at who holds what: they hold through this.
///
/// # Errors
/// [`Rejection::Forbidden`] for all but senior officers; [`Rejection::WrongState`] when no officer is awaited.
pub fn reassign(
    application: &Application,
    to: Uuid,
    reason: &str,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let by = senior(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::Reassign))?;
    let until = context.now + context.lease;
    // Who takes it himself picked it.
    let assigned_by = (by != to).then_some(by);
    let changes = vec![Change::Claimed { by: to, until, queue: None, assigned_by }];
    let request = json!({ "to": to, "reason": reason });
    stay(application, BuiltIn::Reassign, request, actor, changes, context)
}

/// Lets money that was booked on a charge wait again, so that it can be given back.
///
/// That can be what was paid on a charge that is annulled; and, where the rules of the charge say so, what was paid on one
/// whose application came to its end without a permit.
///
/// # Errors
/// [`Rejection::Forbidden`] for all but the unit's officers; [`Rejection::Blocked`] where the rules keep the money.
pub fn release_payment(
    application: &Application,
    (charge, payment, amount): (Uuid, &str, Money),
    reason: &str,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    officer(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::ReleasePayment))?;
    let known = application.charges.iter().find(|known| known.id == charge);
    let known =
        known.ok_or_else(|| Rejection::RuleMissing("the payment's charge is gone".into()))?;
    let refund = known.requisites.as_ref().map(|to| to.refund);
    let unused = application.phase == Phase::Closed
        && application.permit.is_none()
        && refund == Some(Refund::Unused);
    if known.status != ChargeStatus::Annulled && !unused {
        let detail = match refund {
            Some(Refund::Unused) => format!(
                "What was paid on '{}' is given back when the application has come to its end without a permit.",
                known.fee
            ),
            Some(Refund::Overpayment) | None => {
                format!("Of '{}' only what was paid beyond the charge is given back.", known.fee)
            }
        };
        return Err(Rejection::Blocked(vec![Blocked {
            guard: "refund",
            detail,
            parts: vec![known.fee.clone()],
        }]));
    }
    let request = json!({ "payment": payment, "charge": charge, "reason": reason });
    let changes = vec![Change::PaymentReleased { charge, payment: payment.to_owned(), amount }];
    stay(application, BuiltIn::ReleasePayment, request, actor, changes, context)
}

/// Notes something for the colleagues; the holder's note renews his lease.
///
/// # Errors
/// [`Rejection::Blocked`] when there are 500 already.
pub fn add_note(
    application: &Application,
    text: &str,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let by = officer(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::AddNote))?;
    if application.notes.len() >= MAX_NOTES {
        return Err(blocked("notesLimit", format!("There are {MAX_NOTES} notes already.")));
    }
    let number = application.notes.last().map_or(1, |last| last.note + 1);
    let note = Note { note: number, by, at: context.now, text: text.to_owned() };
    let mut changes = vec![Change::NoteAdded { note }];
    if let Some(own) = application.claim_at(context.now).filter(|claim| claim.by == by) {
        changes.push(own.renewed(context.now + context.lease));
    }
    stay(application, BuiltIn::AddNote, Value::Null, actor, changes, context)
}

/// Puts an application before all others of its office.
///
/// # Errors
/// [`Rejection::Forbidden`] for all but senior officers; [`Rejection::WrongState`] when nothing is under way.
pub fn expedite(
    application: &Application,
    reason: &str,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let by = senior(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::Expedite))?;
    let expedited = Expedited { by, at: context.now, reason: reason.to_owned() };
    let changes = vec![Change::Expedited { expedited }];
    stay(application, BuiltIn::Expedite, json!({ "reason": reason }), actor, changes, context)
}

/// Lets an application wait its turn again.
///
/// # Errors
/// As [`expedite`]; [`Rejection::Blocked`] when it is not expedited.
pub fn end_expedition(
    application: &Application,
    reason: &str,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    senior(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::EndExpedition))?;
    if application.expedited.is_none() {
        return Err(blocked("notExpedited", "The application is not expedited.".into()));
    }
    let changes = vec![Change::ExpeditionEnded];
    stay(application, BuiltIn::EndExpedition, json!({ "reason": reason }), actor, changes, context)
}

/// Sends the applicant a reminder of what is awaited from him, once a day at most.
///
/// # Errors
/// [`Rejection::WrongState`] when he is not awaited; [`Rejection::Blocked`] when he was reminded within a day.
pub fn remind(
    application: &Application,
    reason: &str,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    officer(application, actor, context)?;
    in_state(application, &built_in_states(context.definition, BuiltIn::SendReminder))?;
    let again = application.reminded_at.map(|at| at + REMINDER_PAUSE);
    if let Some(again) = again.filter(|again| context.now < *again) {
        return Err(blocked(
            "remindedToday",
            format!("The applicant was reminded within a day; he can be again from {again} on."),
        ));
    }
    let request = json!({ "reason": reason });
    let changes = vec![Change::Reminded];
    let mut step = stay(application, BuiltIn::SendReminder, request, actor, changes, context)?;
    step.schedule.push(Scheduled {
        job: Job::Mail {
            application: application.id,
            message: "reminder".into(),
            event: step.event.id,
        },
        run_at: context.now,
    });
    Ok(step)
}

fn blocked(guard: &'static str, detail: String) -> Rejection {
    Rejection::Blocked(vec![Blocked { guard, detail, parts: Vec::new() }])
}
