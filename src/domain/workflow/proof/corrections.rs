//! Rule W13: what puts a decision right. The other rules leave corrections out of their graphs; this one proves that
//! they may.

use std::collections::BTreeSet;

use super::clock::{Standing, Standings};
use super::graph::Edge;
use super::{Proof, after_life};
use crate::domain::actor::Party;
use crate::domain::workflow::definition::{
    CheckSource, CommandName, Definition, Effect, Guard, Phase, Transition,
};
use crate::domain::workflow::source::Rule;

/// What is wrong, and what to do.
pub(super) type Fault = (String, String);

/// W13: a correction leads back only to where a path has been, by another person and with a trace.
///
/// A correction is a senior officer's alone, tells the applicant, and does nothing but put right. It starts only in
/// states that are entered by commands of its `four_eyes` (so that whoever gave one cannot correct it), each of them a
/// decision or an end. `correct` stays where it is, after a decision to grant. Every other leads to a state in which the
/// command that it undoes could have been given, or, where a permit was annulled, to one in force with
/// `reinstatePermit`; and every path into its start on which its guards can hold has been there (no path goes by it):
/// so whatever the other rules prove of the paths into that state is true after the correction, too. It withdraws the
/// decision exactly when it leads back before one, and takes back the charge that was made with it; the clock stands
/// afterwards as it can stand there; what is open again has no rival of the same person. Where it leads back to checks
/// that answer by themselves it asks them again: nobody did while the application was over.
pub(super) fn w13(p: &mut Proof<'_>, standings: &Standings<'_>) {
    let d = p.definition;
    for transition in d.transitions.iter().filter(|t| t.command.is_correction()) {
        let mut faults = alone(transition);
        if transition.command == CommandName::Correct {
            faults.extend(stays(p, transition));
        } else {
            faults.extend(leads_back(p, transition, standings));
        }
        let mut told = BTreeSet::new();
        faults.retain(|fault| told.insert(fault.clone()));
        for (message, remedy) in faults {
            p.report(
                Rule::W13,
                transition.line,
                format!("\"{}\" {message}", transition.command.name()),
                remedy,
            );
        }
    }
}

fn fault(message: impl Into<String>, remedy: impl Into<String>) -> Fault {
    (message.into(), remedy.into())
}

/// What can be seen of a correction by itself.
fn alone(transition: &Transition) -> Vec<Fault> {
    let mut faults = Vec::new();
    if transition.actors.contains(&Party::Officer) {
        faults.push(fault("could be given by any officer", "use actors = [\"seniorOfficer\"]"));
    }
    let told = transition.command.event();
    if !transition.effects.iter().any(|e| matches!(e, Effect::Notify(message) if message == told)) {
        faults.push(fault(
            "does not tell the applicant",
            format!("add the effect {{ notify = \"{told}\" }}"),
        ));
    }
    let stays = transition.command == CommandName::Correct;
    let other = transition.effects.iter().find(|effect| match effect {
        Effect::CorrectForm => !stays,
        Effect::WithdrawDecision
        | Effect::ReopenClock
        | Effect::AskOpenChecks
        | Effect::ReinstatePermit
        | Effect::AnnulOpenCharges => stays,
        // What is in force again has its next month to pay again.
        Effect::CreateCharge(_) => !transition.effects.contains(&Effect::ReinstatePermit),
        Effect::Notify(message) => message != told,
        _ => true,
    });
    if let Some(effect) = other {
        faults.push(fault(
            format!("does `{}`, which puts nothing right", effect.name()),
            "remove it: whatever is to be done anew is done by its own command",
        ));
    }
    let undo = transition.command == CommandName::Undo;
    if undo && !transition.guards.iter().any(|g| matches!(g, Guard::DecidedWithinMinutes(_))) {
        faults
            .push(fault("could be given for ever", "add the guard { decidedWithinMinutes = 60 }"));
    }
    faults
}

/// `correct`: where a decision to grant stands, and nowhere else.
fn stays(p: &Proof<'_>, transition: &Transition) -> Vec<Fault> {
    let mut faults = Vec::new();
    if transition.to.is_some() {
        faults.push(fault("leads to another state", "remove `to`: what was decided stays decided"));
    }
    let grants = |t: &Transition| t.effects.contains(&Effect::DecideGrant);
    let undecided = p.graph.reachable_without(grants);
    for from in transition.from.iter().filter(|from| undecided.contains(from.as_str())) {
        faults.push(fault(
            format!("starts in \"{from}\", where no decision to grant need stand"),
            "remove the state from `from`",
        ));
    }
    for decision in p.definition.transitions.iter().filter(|t| grants(t)) {
        if !transition.four_eyes.contains(&decision.command) {
            faults.push(missing_eyes(decision.command));
        }
    }
    faults
}

fn missing_eyes(command: CommandName) -> Fault {
    let name = command.name();
    fault(
        format!("could be given by the person who gave \"{name}\""),
        format!("add \"{name}\" to its `four_eyes`"),
    )
}

/// All that must hold of a correction that leads back.
pub(super) fn leads_back(
    p: &Proof<'_>,
    transition: &Transition,
    standings: &Standings<'_>,
) -> Vec<Fault> {
    let d = p.definition;
    let Some(to) = &transition.to else {
        return vec![fault("leads nowhere", "name in `to` the state before the command undone")];
    };
    let mut faults = Vec::new();
    // Out of a complaint it leads as out of what is complained of.
    let ends = transition.from.iter().flat_map(|from| after_life::complained_of(d, from));
    for from in ends {
        let entering: Vec<&Edge<'_>> =
            p.graph.edges().filter(|edge| edge.to == from && edge.from != from).collect();
        let over = d.state(from).is_some_and(|state| state.is_final);
        for edge in &entering {
            if !decides(edge.transition) && !over {
                faults.push(fault(
                    format!(
                        "undoes \"{}\", which is neither a decision nor an end",
                        edge.transition.command.name()
                    ),
                    format!("remove \"{from}\" from `from`"),
                ));
            } else if !transition.four_eyes.contains(&edge.transition.command) {
                faults.push(missing_eyes(edge.transition.command));
            }
        }
        faults.extend(permit(d, transition, to, &entering));
        if !transition.effects.contains(&Effect::ReinstatePermit)
            && !entering.iter().any(|edge| edge.from == to)
        {
            faults.push(fault(
                format!("leads from \"{from}\" to \"{to}\", where nothing that leads to \"{from}\" could be given"),
                "lead back to the state in which the command undone was given",
            ));
        }
        if passed_by(p, transition, from, to) {
            faults.push(fault(
                format!(
                    "leads from \"{from}\" to \"{to}\", where the application need never have been"
                ),
                "guard it so that it has (clockStarted, feeSettled), or lead it elsewhere",
            ));
        }
        let decided = entering.iter().any(|edge| decides(edge.transition));
        let withdraws = transition.effects.contains(&Effect::WithdrawDecision);
        if decided && !withdraws {
            faults.push(fault(
                "leads back before a decision and lets it stand",
                "add `withdrawDecision` to its effects",
            ));
        } else if withdraws && !decided {
            faults.push(fault(
                format!("withdraws a decision, but none leads to \"{from}\""),
                "remove `withdrawDecision`",
            ));
        }
        faults.extend(asks(d, transition, to));
        faults.extend(clock(transition, from, to, standings));
        faults.extend(charges(transition, &entering));
        let open_again = over
            && d.state(to)
                .is_some_and(|state| !matches!(state.phase, Phase::InForce | Phase::Closed));
        if open_again && !transition.guards.contains(&Guard::NoOtherOpenApplication) {
            faults.push(fault(
                "could open a second application of one person",
                "add the guard `noOtherOpenApplication`",
            ));
        }
    }
    faults
}

/// Checks that answer by themselves are asked again, exactly where they can be answered.
fn asks(d: &Definition, transition: &Transition, to: &str) -> Option<Fault> {
    let answered = d.transitions_for(to, CommandName::RecordFinding).next().is_some()
        && d.checks.iter().any(|rule| rule.source != CheckSource::Officer);
    match (answered, transition.effects.contains(&Effect::AskOpenChecks)) {
        (true, false) => Some(fault(
            format!("leads to \"{to}\", where checks wait that nobody asks any more"),
            "add `askOpenChecks` to its effects",
        )),
        (false, true) => Some(fault(
            format!("asks checks again, but leads to \"{to}\", where none can be answered"),
            "remove `askOpenChecks`",
        )),
        _ => None,
    }
}

fn decides(transition: &Transition) -> bool {
    transition.effects.iter().any(|e| matches!(e, Effect::DecideGrant | Effect::DecideRefuse))
}

/// A permit that was annulled, and no other, comes back into force, while it lasts.
fn permit(
    d: &Definition,
    transition: &Transition,
    to: &str,
    entering: &[&Edge<'_>],
) -> Option<Fault> {
    let annulled =
        entering.iter().all(|edge| edge.transition.effects.contains(&Effect::AnnulPermit));
    let in_force = d.state(to).is_some_and(|state| state.phase == Phase::InForce);
    let reinstates = transition.effects.contains(&Effect::ReinstatePermit);
    if reinstates && !(annulled && in_force) {
        return Some(fault(
            "reinstates a permit that was not annulled, or outside of a state in force",
            "lead from what annuls the permit to a state in force, or remove `reinstatePermit`",
        ));
    }
    if in_force && !reinstates {
        return Some(fault(
            format!("leads to \"{to}\", which is in force, and puts no permit back into force"),
            "add `reinstatePermit` to its effects",
        ));
    }
    (reinstates && !transition.guards.contains(&Guard::PermitLasts)).then(|| {
        fault("could reinstate a permit whose term is over", "add the guard `permitLasts`")
    })
}

/// Tells whether a path leads to `from` that was never in `to` and on which every guard can hold.
fn passed_by(p: &Proof<'_>, transition: &Transition, from: &str, to: &str) -> bool {
    if !p.graph.passes_by(to, from, |_| true) {
        return false;
    }
    // A guard that can hold only behind such a step rules out the paths without one.
    !transition.guards.iter().any(|guard| match guard {
        Guard::ClockStarted => {
            !p.graph.passes_by(to, from, |t| t.effects.contains(&Effect::StartClock))
        }
        Guard::FeeSettled(fee) => !p.graph.passes_by(to, from, |t| can_settle(t, fee)),
        _ => false,
    })
}

/// Tells whether a step can settle a fee: it books money, and not on another fee or leaving this one open.
fn can_settle(transition: &Transition, fee: &str) -> bool {
    transition.effects.contains(&Effect::BookPayment)
        && !transition.guards.iter().any(|guard| match guard {
            Guard::PaymentLeavesOpen(_) | Guard::PaymentFallsShort(_) => true,
            Guard::PaymentSettles(other) | Guard::PaymentProlongs(other) => other != fee,
            _ => false,
        })
}

/// The clock stands after the correction as it can stand in the state.
fn clock(
    transition: &Transition,
    from: &str,
    to: &str,
    standings: &Standings<'_>,
) -> Option<Fault> {
    let (before, there) = (standings.get(from)?, standings.get(to)?);
    let reopens = transition.effects.contains(&Effect::ReopenClock);
    for standing in before {
        let possible = transition.guards.iter().all(|guard| match guard {
            Guard::ClockStarted => *standing != Standing::NotStarted,
            Guard::ClockNotStarted => *standing == Standing::NotStarted,
            _ => true,
        });
        if !possible {
            continue;
        }
        if reopens && *standing != Standing::Stopped {
            return Some(fault(
                format!("reopens the clock from \"{from}\", where it can be {}", standing.words()),
                "remove `reopenClock`, or add the guard `clockStarted`",
            ));
        }
        let after = if reopens { Standing::Running } else { *standing };
        if !there.contains(&after) {
            return Some(fault(
                format!("leaves the clock {} in \"{to}\", where it never is so", after.words()),
                if reopens {
                    "remove `reopenClock`, or lead to a state in which the clock runs"
                } else {
                    "add `reopenClock` to its effects, or the guard `clockNotStarted`"
                },
            ));
        }
    }
    None
}

/// What was charged with the decision is owed no more, and was not paid.
fn charges(transition: &Transition, entering: &[&Edge<'_>]) -> Vec<Fault> {
    let effects = entering.iter().flat_map(|edge| &edge.transition.effects);
    let fees: BTreeSet<&String> = effects
        .filter_map(|effect| match effect {
            Effect::CreateCharge(fee) => Some(fee),
            _ => None,
        })
        .collect();
    let annuls = transition.effects.contains(&Effect::AnnulOpenCharges);
    let mut faults = Vec::new();
    for fee in fees {
        if !annuls {
            faults.push(fault(
                format!("leaves the charge of \"{fee}\" that the decision made"),
                "add `annulOpenCharges` to its effects",
            ));
        }
        if !transition.guards.iter().any(|g| matches!(g, Guard::NothingPaid(of) if of == fee)) {
            faults.push(fault(
                format!("could undo a decision whose fee \"{fee}\" was paid in part"),
                format!("add the guard {{ nothingPaid = \"{fee}\" }}"),
            ));
        }
    }
    faults
}
