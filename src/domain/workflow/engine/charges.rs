//! What two officers change about a charge: one proposes, a senior officer who is not the first agrees or drops it.
//!
//! Every track has these acts. What a charge allows is the table of [`crate::domain::fee::ledger`], what a proposal allows is
//! in [`crate::domain::fee::revision`]. Where the change leaves nothing to be paid, the transition is taken that the payment
//! would have taken: whatever waits for the money goes on.

use chrono::{NaiveDate, NaiveTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::effects::{self, Agreed};
use super::guards::{self, Blocked};
use super::{
    Context, Misfit, Rejection, Step, built_in_states, in_state, months, officer, senior, stay,
};
use crate::domain::actor::Actor;
use crate::domain::application::Application;
use crate::domain::event::{BuiltIn, Change, Job, Scheduled};
use crate::domain::fee::gost::{GostError, Order};
use crate::domain::fee::ledger::ChargeStep;
use crate::domain::fee::payee::Requisites;
use crate::domain::fee::revision::{Revision, RevisionAct, RevisionError, RevisionKind, Wanted};
use crate::domain::fee::{Charge, ChargeStatus, Match, MatchedBy, Money, Payment};
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::{CommandName, FeePosition, Guard, Transition};

/// Proposes, confirms or rejects a change of a charge. What is proposed can be done at that time.
///
/// # Errors
/// [`Rejection::NotYours`] when there is no such charge; [`Rejection::WrongCharge`] when its state, or that of the
/// proposal, does not allow it; [`Rejection::Blocked`] for the officer who would confirm his own proposal;
/// [`Rejection::Misfits`] when what is wanted does not fit the charge.
pub fn revise_charge(
    application: &Application,
    charge: Uuid,
    act: &RevisionAct,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let (built_in, by) = match act {
        RevisionAct::Propose { .. } => {
            (BuiltIn::ProposeChargeRevision, officer(application, actor, context)?)
        }
        RevisionAct::Confirm => {
            (BuiltIn::ConfirmChargeRevision, senior(application, actor, context)?)
        }
        RevisionAct::Reject { .. } => {
            (BuiltIn::RejectChargeRevision, officer(application, actor, context)?)
        }
    };
    let known = application.charges.iter().find(|known| known.id == charge);
    let known = known.ok_or(Rejection::NotYours)?;
    in_state(application, &built_in_states(context.definition, built_in))?;
    let last = known.revision.as_deref();
    let unfit = |error: RevisionError| match error {
        RevisionError::FourEyes => Rejection::Blocked(vec![Blocked {
            guard: "fourEyes",
            detail: error.to_string(),
            parts: Vec::new(),
        }]),
        RevisionError::Waits | RevisionError::NothingWaits => wrong(known, error.to_string()),
    };
    match act {
        RevisionAct::Propose { wanted, reason } => {
            Revision::may_be_proposed(last).map_err(unfit)?;
            let kind = read(known, wanted, context)?;
            carry_out(application, known, &kind, actor, context)?;
            let revision = Box::new(Revision {
                kind,
                reason: reason.clone(),
                proposed_by: by,
                proposed_at: context.now,
                confirmed_by: None,
                confirmed_at: None,
            });
            let request = json!({ "charge": charge, "wanted": wanted, "reason": reason });
            let changes = vec![Change::ChargeRevisionProposed { charge, revision }];
            stay(application, built_in, request, actor, changes, context)
        }
        RevisionAct::Reject { reason } => {
            Revision::may_be_rejected(last).map_err(unfit)?;
            let request = json!({ "charge": charge, "reason": reason });
            let changes = vec![Change::ChargeRevisionRejected { charge }];
            stay(application, built_in, request, actor, changes, context)
        }
        RevisionAct::Confirm => {
            let revision = Revision::may_be_confirmed(last, by).map_err(unfit)?;
            confirm(application, known, revision, by, actor, context)
        }
    }
}

fn confirm(
    application: &Application,
    charge: &Charge,
    revision: &Revision,
    by: Uuid,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let carried = carry_out(application, charge, &revision.kind, actor, context)?;
    let (charge, request) = (charge.id, json!({ "charge": charge.id }));
    match carried {
        Carried::Stays(change) => {
            let changes = vec![Change::ChargeRevisionConfirmed { charge, by }, change];
            let act = BuiltIn::ConfirmChargeRevision;
            let mut step = stay(application, act, request, actor, changes, context)?;
            if matches!(revision.kind.step(), ChargeStep::Clarify | ChargeStep::Deannul) {
                // What was paid for it meanwhile waits.
                let event = step.event.id;
                step.schedule.push(Scheduled {
                    job: Job::MatchWaiting { application: application.id, event },
                    run_at: context.now,
                });
            }
            Ok(step)
        }
        Carried::Settles { transition, command, change } => {
            let agreed = Agreed { charge, revision, by, request, change };
            effects::take_agreed(application, &command, &agreed, actor, transition, context)
        }
    }
}

/// What a change of a charge comes to.
enum Carried<'c> {
    /// The charge changes, and nothing else does.
    Stays(Change),
    /// Nothing is due any more: the transition of the payment is taken that would have come.
    Settles {
        transition: &'c Transition,
        command: Box<Command>,
        /// The change, where it is not that the charge is taken for paid.
        change: Option<Change>,
    },
}

fn wrong(charge: &Charge, detail: impl Into<String>) -> Rejection {
    Rejection::WrongCharge { status: charge.status, detail: detail.into() }
}

fn misfit(pointer: &str, code: &'static str, detail: impl Into<String>) -> Misfit {
    Misfit { pointer: pointer.to_owned(), code, detail: detail.into() }
}

/// Sees that the charge stands so that the step can be taken.
fn stands(charge: &Charge, step: ChargeStep) -> Result<(), Rejection> {
    if step.is_allowed(charge.status) {
        return Ok(());
    }
    let detail = match charge.status {
        ChargeStatus::Open => "The charge is open: it can be clarified, annulled or acknowledged.",
        ChargeStatus::Settled => "The charge is paid in full; what is paid is not changed.",
        ChargeStatus::Annulled => "The charge is annulled; propose first that it is owed again.",
    };
    Err(wrong(charge, detail))
}

/// Makes of what an officer wants what can be agreed on: names and numbers as they are now.
fn read(
    charge: &Charge,
    wanted: &Wanted,
    context: &Context<'_>,
) -> Result<RevisionKind, Rejection> {
    match wanted {
        Wanted::Clarify { amount, purpose, renew_payee } => {
            stands(charge, ChargeStep::Clarify)?;
            let (amount, purpose) = (*amount, purpose.as_deref());
            let misfits: Vec<Misfit> = unfit_amount(charge, amount, context).into_iter().collect();
            let requisites = match requisites(charge, purpose, *renew_payee, context) {
                Ok(requisites) if misfits.is_empty() => requisites,
                Ok(_) => return Err(Rejection::Misfits(misfits)),
                Err(one) => {
                    return Err(Rejection::Misfits(misfits.into_iter().chain([one]).collect()));
                }
            };
            if amount.is_none() && requisites.is_none() {
                let detail = "Say what the charge shall say: another amount, purpose or payee.";
                return Err(Rejection::Misfits(vec![misfit("", "nothing-to-clarify", detail)]));
            }
            Ok(RevisionKind::Clarify { amount, requisites: requisites.map(Box::new) })
        }
        Wanted::Annul => Ok(RevisionKind::Annul),
        Wanted::Deannul => Ok(RevisionKind::Deannul),
        Wanted::Acknowledge { document, paid_on } => {
            let today = context.today();
            if *paid_on > today {
                let detail = format!("Give the day on which it was paid, {today} at the latest.");
                let misfits = vec![misfit("/paidOn", "date-in-future", detail)];
                return Err(Rejection::Misfits(misfits));
            }
            Ok(RevisionKind::Acknowledge { document: document.clone(), paid_on: *paid_on })
        }
    }
}

/// Says what is wrong with another amount.
fn unfit_amount(charge: &Charge, amount: Option<Money>, context: &Context<'_>) -> Option<Misfit> {
    let (amount, covered) = (amount?, charge.covered());
    let (code, detail) = match () {
        () if is_month(charge, context) => {
            let detail = "A month costs what it costs on the day of its payment; its amount is not set by hand.";
            ("month-priced-when-paid", detail.to_owned())
        }
        () if amount == Money::ZERO => {
            ("nothing-owed", "What is owed is more than nothing; annul the charge instead.".into())
        }
        () if amount < covered => {
            ("below-what-is-paid", format!("{covered} are paid; give that or more."))
        }
        () if amount == charge.amount => {
            ("same-amount", format!("It is {amount} already; leave the amount out."))
        }
        () => return None,
    };
    Some(misfit("/amountKopecks", code, detail))
}

/// Gives whom the charge shall be paid to and what for; `None` where that stays as it is.
fn requisites(
    charge: &Charge,
    purpose: Option<&str>,
    renew: bool,
    context: &Context<'_>,
) -> Result<Option<Requisites>, Misfit> {
    if purpose.is_none() && !renew {
        return Ok(None);
    }
    let pointer = if renew { "/renewPayee" } else { "/purpose" };
    let in_force = || {
        let rate = context.definition.fee(&charge.fee).map_or(&*charge.fee, |fee| &fee.rate);
        let unit = context.unit;
        context.rules.payees.find(rate, &unit.code, &unit.region, context.today())
    };
    let to = if renew { in_force() } else { charge.requisites.as_deref().cloned() };
    let Some(mut to) = to else {
        let detail = match renew {
            true => "The rules name no payee of the office for this fee today.",
            false => "The charge names no payee; renew that first.",
        };
        return Err(misfit(pointer, "no-payee", detail));
    };
    match purpose {
        Some(purpose) => purpose.clone_into(&mut to.purpose),
        // The office's words for it do not change with its bank.
        None => {
            let said = charge.requisites.as_ref().map(|said| said.purpose.clone());
            to.purpose = said.unwrap_or(to.purpose);
        }
    }
    if charge.requisites.as_deref() == Some(&to) {
        return Err(misfit(pointer, "same-payee", "The charge says just that already."));
    }
    let mut tried = charge.clone();
    tried.requisites = Some(Box::new(to.clone()));
    let written = Order::of(&tried).and_then(|order| match order {
        Some(order) => order.write().map(drop),
        None => Ok(()),
    });
    let unwritable = |error: GostError| misfit("/purpose", "unfit-purpose", error.to_string());
    written.map_err(unwritable)?;
    Ok(Some(to))
}

/// Tells whether the charge is for the next month of a permit in force.
fn is_month(charge: &Charge, context: &Context<'_>) -> bool {
    let position = context.definition.fee(&charge.fee).map(|fee| fee.position);
    position == Some(FeePosition::WhileInForce)
}

/// Finds what a change comes to as everything stands now, or what stands in its way.
fn carry_out<'c>(
    application: &Application,
    charge: &Charge,
    kind: &RevisionKind,
    actor: &Actor,
    context: &Context<'c>,
) -> Result<Carried<'c>, Rejection> {
    stands(charge, kind.step())?;
    let id = charge.id;
    match kind {
        RevisionKind::Annul => Ok(Carried::Stays(Change::ChargeAnnulled { charge: id })),
        RevisionKind::Deannul => {
            can_be_owed(application, charge, context)?;
            Ok(Carried::Stays(Change::ChargeDeannulled { charge: id }))
        }
        RevisionKind::Clarify { amount, requisites } => {
            let rule = match amount {
                Some(amount) => format!("{amount}, set by the office"),
                None => charge.rule.clone(),
            };
            let amount = amount.unwrap_or(charge.amount);
            if amount < charge.covered() {
                let detail = format!("{} are paid by now; reject this change.", charge.covered());
                return Err(wrong(charge, detail));
            }
            let (requisites, settles) = (requisites.clone(), amount == charge.covered());
            let change =
                Change::ChargeClarified { charge: id, amount, rule: rule.clone(), requisites };
            if !settles {
                return Ok(Carried::Stays(change));
            }
            // What waits for the charge goes on as with a last payment of nothing.
            let mut clarified = application.clone();
            for known in clarified.charges.iter_mut().filter(|known| known.id == id) {
                known.clarify(amount, &rule, None);
                known.status = ChargeStatus::Open;
            }
            let payment = in_place_of_payment(charge, Money::ZERO, context.today(), context);
            let (transition, command) = settling(&clarified, payment, actor, context)?;
            Ok(Carried::Settles { transition, command, change: Some(change) })
        }
        RevisionKind::Acknowledge { paid_on, .. } => {
            let due = if is_month(charge, context) {
                months::due(charge, *paid_on, context).map_err(Rejection::RuleMissing)?
            } else {
                charge.outstanding()
            };
            let payment = in_place_of_payment(charge, due, *paid_on, context);
            let (transition, command) = settling(application, payment, actor, context)?;
            Ok(Carried::Settles { transition, command, change: None })
        }
    }
}

/// Writes the payment that two officers' word stands for.
fn in_place_of_payment(
    charge: &Charge,
    amount: Money,
    paid_on: NaiveDate,
    context: &Context<'_>,
) -> Payment {
    let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap_or_default();
    let noon = paid_on.and_time(noon).and_local_timezone(context.unit.time_zone).earliest();
    Payment {
        uin: Some(charge.uin.clone()),
        amount,
        paid_at: noon.map_or(context.now, |noon| noon.with_timezone(&Utc)),
        matched: Some(Match { charge: charge.id, by: MatchedBy::Officer }),
        ..Payment::default()
    }
}

/// Finds the transition that a payment takes from here.
fn settling<'c>(
    application: &Application,
    payment: Payment,
    actor: &Actor,
    context: &Context<'c>,
) -> Result<(&'c Transition, Box<Command>), Rejection> {
    let all = || payments(context);
    let here: Vec<&Transition> = all().filter(|t| t.from.contains(&application.state)).collect();
    if here.is_empty() {
        return Err(wrong_state(application, all()));
    }
    let command = Box::new(Command::RecordPayment { payment });
    let transition = guards::choose(application, &command, actor, &here, context)?;
    Ok((transition, command))
}

/// Gives the transitions that a payment can take.
fn payments<'c>(context: &Context<'c>) -> impl Iterator<Item = &'c Transition> {
    let all = context.definition.transitions.iter();
    all.filter(|transition| transition.command == CommandName::RecordPayment)
}

fn wrong_state<'t>(
    application: &Application,
    transitions: impl Iterator<Item = &'t Transition>,
) -> Rejection {
    let mut allowed_in: Vec<String> = transitions.flat_map(|one| one.from.clone()).collect();
    allowed_in.sort_unstable();
    allowed_in.dedup();
    Rejection::WrongState { state: application.state.clone(), allowed_in }
}

/// Sees that the charge could be paid if it were owed again: the fee is paid in this state, and no other charge of it is
/// owed or came after.
fn can_be_owed(
    application: &Application,
    charge: &Charge,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    let of_fee = |guard: &Guard| matches!(guard, Guard::PaymentSettles(fee) | Guard::PaymentProlongs(fee) if *fee == charge.fee);
    let all = || payments(context).filter(|one| one.guards.iter().any(of_fee));
    if !all().any(|one| one.from.contains(&application.state)) {
        return Err(wrong_state(application, all()));
    }
    let place = application.charges.iter().position(|known| known.id == charge.id);
    let other = application.charges.iter().enumerate().find(|(at, known)| {
        known.fee == charge.fee
            && known.status != ChargeStatus::Annulled
            && (known.status == ChargeStatus::Open || Some(*at) > place)
    });
    if let Some((_, other)) = other {
        let detail = format!("The charge {} has taken its place; change that one.", other.uin);
        return Err(wrong(charge, detail));
    }
    let months_left = application.permit.as_ref().map_or(0, months::left);
    if is_month(charge, context) && months_left == 0 {
        return Err(wrong(charge, "The permit is paid to its end; no month is owed any more."));
    }
    Ok(())
}
