//! What is proved of a permit's after-life, nothing is printed unpaid and money is looked at by two; and of complaints.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::Standings;
use super::{Path, Proof, Step, corrections};
use crate::domain::workflow::definition::{
    CommandName, Definition, Effect, FeeRule, Guard, Phase, Transition,
};
use crate::domain::workflow::source::Rule;

/// Tells whether a transition prints another paper at the holder's request.
fn reprints(transition: &Transition) -> bool {
    transition.effects.contains(&Effect::PrintBlank)
        && transition.command != CommandName::ReplaceBlank
}

/// W07 for a fee of position `onRequest`: each request pays for itself.
///
/// Every transition that prints a paper at the holder's request is guarded by `feeSettled` of the fee, and every other state
/// from which one leads to where it starts charges the fee on the way. So the charge that the guard looks at, which is the
/// latest, is that of this request, however many came before it. It is charged only where a permit is in force.
pub(super) fn w07(p: &mut Proof<'_>, fee: &FeeRule) {
    let d = p.definition;
    let charges = |t: &Transition| {
        t.effects.iter().any(|effect| matches!(effect, Effect::CreateCharge(id) if *id == fee.id))
    };
    for transition in d.transitions.iter().filter(|one| reprints(one)) {
        let name = transition.command.name();
        let settled =
            transition.guards.iter().any(|g| matches!(g, Guard::FeeSettled(id) if *id == fee.id));
        if !settled {
            p.report(
                Rule::W07,
                transition.line,
                format!("\"{name}\" prints a paper without fee \"{}\" settled", fee.id),
                format!("add the guard {{ feeSettled = \"{}\" }}", fee.id),
            );
        }
        let free = p.graph.edges().find(|edge| {
            edge.from != edge.to
                && transition.from.iter().any(|from| from == edge.to)
                && !charges(edge.transition)
        });
        if let Some(edge) = free {
            let (line, by) = (edge.transition.line, edge.transition.command.name());
            let message = format!(
                "\"{by}\" leads to \"{}\" and does not charge fee \"{}\": an earlier request would have paid for this one",
                edge.to, fee.id
            );
            let remedy = format!("add the effect {{ createCharge = \"{}\" }}", fee.id);
            p.report(Rule::W07, line, message, remedy);
        }
    }
    for transition in d.transitions.iter().filter(|one| charges(one)) {
        let outside = transition
            .from
            .iter()
            .find(|from| d.state(from).is_some_and(|state| state.phase != Phase::InForce));
        if let Some(from) = outside {
            p.report(
                Rule::W07,
                transition.line,
                format!("fee \"{}\" is due after issue, but is charged in \"{from}\"", fee.id),
                "charge it where a permit is in force",
            );
        }
    }
}

/// W09 for what is printed at the holder's request: who has booked a payment by hand does not print.
pub(super) fn w09(p: &mut Proof<'_>) {
    let d = p.definition;
    for transition in d.transitions.iter().filter(|one| reprints(one)) {
        let paid = transition.guards.iter().any(|g| matches!(g, Guard::FeeSettled(_)));
        if paid && !transition.four_eyes.contains(&CommandName::RecordPayment) {
            p.report(
                Rule::W09,
                transition.line,
                format!(
                    "\"{}\" could be given by the person who gave \"recordPayment\"",
                    transition.command.name()
                ),
                "add \"recordPayment\" to its `four_eyes`: money is involved",
            );
        }
    }
}

/// W07 for a re-issue: where a permit can be named that is to be re-issued, the new one takes its place.
///
/// If any transition looks at the permit that is named (`reissueInTime`), every issue supersedes it and is guarded by
/// `reissueStands`, and the timer can supersede in every state in force: two permits of one person are never in force for good.
pub(super) fn reissues(p: &mut Proof<'_>) {
    let d = p.definition;
    let looks = |t: &Transition| t.guards.iter().any(|g| matches!(g, Guard::ReissueInTime(_)));
    if !d.transitions.iter().any(looks) {
        return;
    }
    for issue in d.transitions.iter().filter(|one| one.effects.contains(&Effect::IssuePermit)) {
        let whole = issue.effects.contains(&Effect::SupersedeReissued)
            && issue.guards.contains(&Guard::ReissueStands);
        if !whole {
            p.report(
                Rule::W07,
                issue.line,
                "a permit could be issued beside the one that it is to take the place of",
                "add the effect `supersedeReissued` and the guard `reissueStands`",
            );
        }
    }
    for state in d.states.iter().filter(|state| state.phase == Phase::InForce) {
        if d.transitions_for(&state.id, CommandName::Supersede).next().is_none() {
            p.report(
                Rule::W07,
                state.line,
                format!("in state \"{}\" a permit cannot be superseded by its re-issue", state.id),
                "add the state to `from` of `supersede`",
            );
        }
    }
}

/// Gives the states in which complaints wait.
pub(super) fn appealed(d: &Definition) -> impl Iterator<Item = &str> {
    let complaints = d.transitions.iter().filter(|one| one.command == CommandName::Complain);
    complaints.filter_map(|one| one.to.as_deref())
}

/// Gives the states whose decision is complained of in `state`; where none is, the state itself.
pub(super) fn complained_of<'d>(d: &'d Definition, state: &'d str) -> Vec<&'d str> {
    let complaints = d.transitions.iter().filter(|one| one.command == CommandName::Complain);
    let ends: Vec<&str> = complaints
        .filter(|one| one.to.as_deref() == Some(state))
        .flat_map(|one| one.from.iter().map(String::as_str))
        .collect();
    if ends.is_empty() { vec![state] } else { ends }
}

/// Adds the paths to where complaints wait: to what is complained of, and one step on.
pub(super) fn complaints<'d>(d: &'d Definition, found: &mut BTreeMap<&'d str, Path>) {
    for complaint in d.transitions.iter().filter(|one| one.command == CommandName::Complain) {
        let Some(to) = complaint.to.as_deref() else { continue };
        let Some((from, path)) =
            complaint.from.iter().find_map(|from| Some((from, found.get(from.as_str())?)))
        else {
            continue;
        };
        let mut steps = path.steps.clone();
        let step = Step { command: complaint.command, from: from.clone(), to: to.to_owned() };
        steps.push(step);
        found.insert(to, Path { to: to.to_owned(), steps });
    }
}

/// W15: a complaint is of one decision, is made once, and is answered by another.
///
/// `complain` starts in one final state, which is entered by refusing or annulling, is guarded by `notComplained`, and leads
/// to a state of its own: nothing else leads there. Where it leads opens the application again, it has no rival of the
/// same person. From there `rejectComplaint` leads back to that very end, and `upholdComplaint` to where a correction of it
/// could lead (W13), or back where a permit's term is over meanwhile (`permitOver`). Both are a senior officer's who did not
/// give the decision, and tell the applicant.
pub(super) fn w15(p: &mut Proof<'_>, standings: &Standings<'_>) {
    let d = p.definition;
    let mut faults: BTreeSet<(usize, String, String)> = BTreeSet::new();
    for one in d.transitions.iter().filter(|one| one.command.is_of_complaints()) {
        let name = one.command.name();
        let mut fault = |message: String, remedy: &str| {
            faults.insert((one.line, format!("\"{name}\" {message}"), remedy.to_owned()));
        };
        let Some(to) = one.to.as_deref() else {
            fault(
                "leads nowhere".into(),
                "name in `to` where the complaint waits, or where it ends",
            );
            continue;
        };
        if one.command == CommandName::Complain {
            let decides = |t: &Transition| {
                t.effects.contains(&Effect::DecideRefuse)
                    || t.effects.contains(&Effect::AnnulPermit)
            };
            let of_a_decision = |from: &str| {
                d.state(from).is_some_and(|state| state.is_final)
                    && p.graph.edges().filter(|edge| edge.to == from).all(|e| decides(e.transition))
            };
            if one.from.len() != 1 || !one.from.iter().all(|from| of_a_decision(from)) {
                fault(
                    "is not of one decision".into(),
                    "start it in the one final state that refusing or annulling leads to",
                );
            }
            if !one.guards.contains(&Guard::NotComplained) {
                fault("could be made for ever".into(), "add the guard `notComplained`");
            }
            if !one.guards.contains(&Guard::NoOtherOpenApplication) {
                fault(
                    "could open a second application of one person".into(),
                    "add the guard `noOtherOpenApplication`",
                );
            }
            let others = |t: &&Transition| t.to.as_deref() == Some(to) && t.line != one.line;
            if d.transitions.iter().any(|t| others(&t)) || !d.answers_complaints(to) {
                fault(
                    format!("leads to \"{to}\", which is not where this complaint alone waits"),
                    "give it a state of its own, from which `rejectComplaint` leads back",
                );
            }
            continue;
        }
        let told = one.command.event();
        if !one.effects.iter().any(|e| matches!(e, Effect::Notify(message) if message == told)) {
            fault("does not tell the applicant".into(), "add the effect that notifies him");
        }
        for from in &one.from {
            let ends = complained_of(d, from);
            let decided = |end: &&str| {
                p.graph
                    .edges()
                    .filter(|edge| edge.to == *end && edge.from != *end)
                    .all(|edge| one.four_eyes.contains(&edge.transition.command))
            };
            if ends == [from.as_str()] {
                fault(
                    format!("starts in \"{from}\", where no complaint waits"),
                    "start it where one does",
                );
            } else if !ends.iter().all(decided) {
                fault(
                    "could be given by the person who decided".into(),
                    "add the command that is complained of to its `four_eyes`",
                );
            }
            let back = ends.contains(&to);
            if one.command == CommandName::RejectComplaint && !back {
                fault(format!("leads to \"{to}\", and the decision stands"), "lead it back");
            }
            if one.command == CommandName::UpholdComplaint
                && back
                && !one.guards.contains(&Guard::PermitOver)
            {
                fault("changes nothing".into(), "add the guard `permitOver`, or lead it elsewhere");
            }
        }
        let restores =
            one.command == CommandName::UpholdComplaint && !one.guards.contains(&Guard::PermitOver);
        if restores {
            for (message, remedy) in corrections::leads_back(p, one, standings) {
                fault(message, &remedy);
            }
        }
    }
    for (line, message, remedy) in faults {
        p.report(Rule::W15, line, message, remedy);
    }
}
