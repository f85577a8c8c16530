//! What is proved of a permit's after-life: nothing is printed unpaid, and money is looked at by two.

use super::Proof;
use crate::domain::workflow::definition::{
    CommandName, Effect, FeeRule, Guard, Phase, Transition,
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
