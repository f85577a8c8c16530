//! The rule about duties after issue.

use super::Proof;
use crate::domain::actor::Party;
use crate::domain::ground::{GroundCatalogue, GroundKind};
use crate::domain::workflow::definition::{
    CommandName, DeadlineBasis, Definition, Duty, DutyConsequence, DutyStart, DutyTerm, Effect,
    Guard, Phase,
};
use crate::domain::workflow::source::Rule;

/// Says why a deadline of duties would count from nothing.
pub(super) fn baseless(d: &Definition, phase: Phase) -> Option<(&'static str, &'static str)> {
    if phase != Phase::InForce {
        return Some((
            "is due with the duties after issue, but no permit is in force there",
            "put the state into phase \"inForce\", or remove the deadline",
        ));
    }
    (!d.permit.has_duties_owed()).then_some((
        "is due with the duties after issue, but none is owed by a day",
        "give a [[permit.duty]] its `within`, or remove the deadline",
    ))
}

/// W14: what is owed after issue is owed for good. A duty with a term names the document that proves it, a term that is not
/// zero and reminders that come earlier each time, the latest on the last day but one at the earliest of its term; one
/// without a term has none of these. Where any is owed: every issue of the permit opens them (`openDuties`), and nothing
/// else does; they can be reported from every state in force and confirmed from some; in every state in force the last day
/// (`dutyDue`) is a deadline, and so is the day of a reminder (`dutyReminder`) where there are reminders. A consequence names
/// a ground to annul that a `proposeAnnulment` lists, and each that lists it is guarded by `dutyMissed`: else it would be
/// named of a duty that is not overdue, or could never be. Where none is owed, nothing speaks of duties.
pub(super) fn w14(p: &mut Proof<'_>, grounds: &GroundCatalogue) {
    let d = p.definition;
    for duty in &d.permit.duties {
        single(p, duty);
        consequence(p, duty, grounds);
    }
    let about = |effect: &Effect| {
        matches!(
            effect,
            Effect::OpenDuties
                | Effect::ReportDuty
                | Effect::ConfirmDuty
                | Effect::RejectDutyProof
                | Effect::ExcuseDuty
                | Effect::RemindDuties
                | Effect::MarkDutiesOverdue
        )
    };
    if !d.permit.has_duties_owed() {
        for transition in &d.transitions {
            if let Some(effect) = transition.effects.iter().find(|effect| about(effect)) {
                let message =
                    format!("`{}` works on duties, but none is owed by a day", effect.name());
                let remedy = "give a [[permit.duty]] its `within`, or remove the effect";
                p.report(Rule::W14, transition.line, message, remedy);
            }
        }
        return;
    }
    for transition in &d.transitions {
        let issues = transition.effects.iter().position(|one| *one == Effect::IssuePermit);
        let opens = transition.effects.iter().position(|one| *one == Effect::OpenDuties);
        let name = transition.command.name();
        match (issues, opens) {
            (Some(issue), Some(open)) if issue < open => {}
            (None, None) => {}
            (Some(_), _) => p.report(
                Rule::W14,
                transition.line,
                format!("\"{name}\" issues the permit and does not open its duties after that"),
                "add `openDuties` after `issuePermit`",
            ),
            (None, Some(_)) => p.report(
                Rule::W14,
                transition.line,
                format!("\"{name}\" opens duties and issues no permit"),
                "move `openDuties` to where the permit is issued",
            ),
        }
    }
    let reminds = d.permit.duties.iter().any(|duty| !duty.remind_days_before.is_empty());
    for state in d.states.iter().filter(|state| state.phase == Phase::InForce) {
        let id = state.id.as_str();
        let given =
            |command, party| d.transitions_for(id, command).any(|one| one.actors.contains(&party));
        if !given(CommandName::ReportDuty, Party::Applicant) {
            let message = format!("in state \"{id}\" nobody can report a duty");
            p.report(
                Rule::W14,
                state.line,
                message,
                "start a \"reportDuty\" of the applicant there",
            );
        }
        let bases = [(DeadlineBasis::DutyDue, true), (DeadlineBasis::DutyReminder, reminds)];
        for (basis, _) in bases.into_iter().filter(|(_, needed)| *needed) {
            let (name, command) = match basis {
                DeadlineBasis::DutyReminder => ("dutyReminder", CommandName::RemindDuty),
                _ => ("dutyDue", CommandName::DutyOverdue),
            };
            let due =
                state.deadlines.iter().any(|one| one.basis == basis && one.command == command);
            if !due {
                let message = format!("in state \"{id}\" no duty comes to its `{name}`");
                let remedy = format!(
                    "add the deadline {{ after = \"{name}\", command = \"{}\" }}",
                    command.name()
                );
                p.report(Rule::W14, state.line, message, remedy);
            }
        }
    }
    let confirmed = d.transitions.iter().any(|one| one.command == CommandName::ConfirmDuty);
    if !confirmed {
        let message = "no proof of a duty is ever confirmed";
        p.report(Rule::W14, d.permit.line, message, "add a transition \"confirmDuty\"");
    }
}

fn single(p: &mut Proof<'_>, duty: &Duty) {
    let id = &duty.id;
    let Some(term) = duty.term else {
        let more = duty.proof.is_some()
            || !duty.remind_days_before.is_empty()
            || duty.to_working_day
            || duty.start == DutyStart::Event
            || duty.consequence != DutyConsequence::Tell;
        if more {
            let message = format!("duty \"{id}\" has no term, and so is never owed");
            let remedy =
                "add `within`, or leave it in words alone: id, title, words, owed_by, basis";
            p.report(Rule::W14, duty.line, message, remedy);
        }
        return;
    };
    if duty.proof.is_none() {
        let message = format!("duty \"{id}\" names no document that proves it");
        p.report(Rule::W14, duty.line, message, "name a document in `proof`");
    }
    let (length, days) = match term {
        DutyTerm::Months(months) => (months, months.saturating_mul(28)),
        DutyTerm::WorkingDays(days) => (days, days),
    };
    if length == 0 {
        let message = format!("duty \"{id}\" ends on the day it begins");
        p.report(Rule::W14, duty.line, message, "give it a term of one at least");
    }
    let falling = duty.remind_days_before.windows(2).all(|pair| pair[0] > pair[1]);
    let within = duty.remind_days_before.iter().all(|before| (1..=days).contains(before));
    if !falling || !within {
        let message = format!("the reminders of duty \"{id}\" do not lie within its term, in turn");
        let remedy = "list days before its end, the most first, none of them 0";
        p.report(Rule::W14, duty.line, message, remedy);
    }
}

fn consequence(p: &mut Proof<'_>, duty: &Duty, grounds: &GroundCatalogue) {
    let DutyConsequence::ProposeAnnulment(code) = &duty.consequence else { return };
    let id = &duty.id;
    if !grounds.get(code).is_some_and(|ground| ground.kinds.contains(&GroundKind::Annul)) {
        let message = format!("the consequence of duty \"{id}\", {code}, is no ground to annul");
        let remedy = "use a ground of kind \"annul\" from workflows/grounds.toml";
        p.report(Rule::W14, duty.line, message, remedy);
        return;
    }
    let proposals: Vec<_> = p
        .definition
        .transitions
        .iter()
        .filter(|one| one.command == CommandName::ProposeAnnulment && one.grounds.contains(code))
        .collect();
    if proposals.is_empty() {
        let message = format!("nobody can propose the consequence of duty \"{id}\", {code}");
        let remedy = format!("add \"{code}\" to the grounds of a \"proposeAnnulment\"");
        p.report(Rule::W14, duty.line, message, remedy);
    }
    for proposal in proposals.into_iter().filter(|one| !one.guards.contains(&Guard::DutyMissed)) {
        let message = format!("{code} could be named while duty \"{id}\" is not overdue");
        p.report(Rule::W14, proposal.line, message, "add the guard `dutyMissed`");
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::ground::GroundCatalogue;
    use crate::domain::rules::Rates;
    use crate::domain::workflow::embedded;
    use crate::domain::workflow::proof::read;

    fn embedded(name: &str) -> &'static str {
        embedded::FILES
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .map(|(_, text)| *text)
            .unwrap()
    }

    /// What is wrong with the patent's file when each text stands for another: rule and message.
    fn wrong(changes: &[(&str, &str)]) -> Vec<String> {
        let mut text = embedded("patent.toml").to_owned();
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        let rates = Rates::parse("rates.toml", embedded("rates.toml")).unwrap();
        let grounds = GroundCatalogue::parse("grounds.toml", embedded("grounds.toml")).unwrap();
        let found = read("patent.toml", &text, &rates, &grounds).err().unwrap_or_default();
        found.iter().map(|one| format!("{}: {}", one.rule, one.message)).collect()
    }

    #[test]
    fn w14_every_issue_opens_what_is_owed() {
        assert_eq!(wrong(&[]), Vec::<String>::new());
        let told = "W14: \"handOver\" issues the permit and does not open its duties after that";
        let both = "\"issuePermit\", \"openDuties\"";
        assert_eq!(wrong(&[(both, "\"issuePermit\"")]), [told]);
        assert_eq!(wrong(&[(both, "\"openDuties\", \"issuePermit\"")]), [told]);
        assert_eq!(
            wrong(&[(
                "effects = [\"dropProposal\", \"resumePermit\"]",
                "effects = [\"dropProposal\", \"resumePermit\", \"openDuties\"]"
            )]),
            ["W14: \"rejectAnnulment\" opens duties and issues no permit"]
        );
    }

    #[test]
    fn w14_a_consequence_is_named_only_of_what_is_overdue() {
        assert_eq!(
            wrong(&[("guards = [\"dutyMissed\"]\n", "")]),
            ["W14: G15 could be named while duty \"contractCopy\" is not overdue"]
        );
        assert_eq!(
            wrong(&[("{ proposeAnnulment = \"G15\" }", "{ proposeAnnulment = \"G18\" }")]),
            ["W14: the consequence of duty \"contractCopy\", G18, is no ground to annul"]
        );
        assert_eq!(
            wrong(&[("{ proposeAnnulment = \"G15\" }", "{ proposeAnnulment = \"G11\" }")]),
            ["W14: nobody can propose the consequence of duty \"contractCopy\", G11"]
        );
    }

    #[test]
    fn w14_what_is_owed_falls_due_and_can_be_reported_in_every_state_in_force() {
        let due = "    { after = \"dutyDue\", command = \"dutyOverdue\" },\n]\nwording.en.stage = \"In force\"";
        let found = wrong(&[(due, "]\nwording.en.stage = \"In force\"")]);
        assert!(
            found.contains(&"W14: in state \"inForce\" no duty comes to its `dutyDue`".to_owned()),
            "{found:?}"
        );
        let from = "command = \"reportDuty\"\nfrom = [\n    \"inForce\", \"annulmentProposed\", ";
        assert_eq!(
            wrong(&[(from, "command = \"reportDuty\"\nfrom = [\n    \"inForce\", ")]),
            ["W14: in state \"annulmentProposed\" nobody can report a duty"]
        );
    }

    #[test]
    fn w14_a_duty_with_a_term_has_a_proof_and_reminders_within_it_and_one_without_has_none() {
        assert_eq!(
            wrong(&[("proof = \"contractCopy\"\n", "")]),
            ["W14: duty \"contractCopy\" names no document that proves it"]
        );
        for reminders in ["[3, 14]", "[14, 0]", "[100]", "[3, 3]"] {
            assert_eq!(
                wrong(&[(
                    "remind_days_before = [14, 3]",
                    &format!("remind_days_before = {reminders}")
                )]),
                ["W14: the reminders of duty \"contractCopy\" do not lie within its term, in turn"],
                "{reminders}"
            );
        }
        assert_eq!(
            wrong(&[("within = { workingDays = 3 }\n", "")]),
            ["W14: duty \"employerNotice\" has no term, and so is never owed"]
        );
        assert_eq!(
            wrong(&[("within = { workingDays = 3 }", "within = { workingDays = 0 }")]),
            [
                "W14: duty \"employerNotice\" ends on the day it begins",
                "W14: the reminders of duty \"employerNotice\" do not lie within its term, in turn"
            ]
        );
        assert_eq!(
            wrong(&[("within = { months = 2 }", "within = { weeks = 2 }")])[0],
            "W01: term \"weeks\" is not defined"
        );
    }
}
