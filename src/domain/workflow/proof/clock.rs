//! Rule W10: every standing the statutory clock can have in every state, followed through all transitions.

use std::collections::{BTreeMap, BTreeSet};

use super::Proof;
use crate::domain::workflow::definition::{
    Awaited, CommandName, DeadlineBasis, Effect, Phase, Transition,
};
use crate::domain::workflow::source::Rule;

/// How the clock can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    NotStarted,
    Running,
    Suspended,
    Stopped,
}

/// How the clock can stand in each state.
pub(super) type Standings<'d> = BTreeMap<&'d str, BTreeSet<Standing>>;

impl Standing {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NotStarted => "not started",
            Self::Running => "running",
            Self::Suspended => "standing still",
            Self::Stopped => "stopped",
        }
    }
}

/// W10: the clock starts exactly once before a decision on every path, and stands still only where the
/// applicant is awaited.
///
/// The proof is a data flow: beginning with "not started" in the initial state, every transition carries every
/// standing possible in its states to its target, until nothing new appears. On the way each effect must
/// find the clock as it needs it: `startClock` not started; `suspendClock` running; `resumeClock` standing
/// still; `stopClock` running or standing still; a decision to grant, or to refuse what was accepted, running,
/// and stopped when the transition is over. At the end the states `stands_still_in` are exactly those where
/// the clock stands still, on whatever path, and they await the applicant; it neither runs nor stands still
/// where a permit is in force or nothing follows; and a deadline of `clockDue` is where it runs.
///
/// Gives the standings, which rule W13 holds corrections to.
pub(super) fn w10<'d>(p: &mut Proof<'d>) -> Standings<'d> {
    let rule = p.definition.clock.clone();
    if rule.working_days == 0 {
        p.report(
            Rule::W10,
            rule.line,
            "the statutory clock has no working days",
            "give `working_days` a number from 1",
        );
    }
    let standings = flow(p);
    for state in &p.definition.states {
        let Some(possible) = standings.get(state.id.as_str()) else { continue };
        let id = &state.id;
        let declared = rule.stands_still_in.contains(id);
        let still = possible.contains(&Standing::Suspended);
        if still && !declared {
            p.report(
                Rule::W10,
                state.line,
                format!("the clock can stand still in state \"{id}\", which [clock] does not name"),
                "add it to `stands_still_in`, or resume the clock on the way there",
            );
        }
        if declared && (!still || possible.len() > 1) {
            let other = possible.iter().find(|s| **s != Standing::Suspended);
            let other = other.map_or("not standing still", |standing| standing.words());
            p.report(
                Rule::W10,
                rule.line,
                format!("`stands_still_in` names \"{id}\", where the clock can be {other}"),
                "put `suspendClock` on every transition that enters it, or do not name it",
            );
        }
        if declared && state.awaits != Some(Awaited::Applicant) {
            p.report(
                Rule::W10,
                state.line,
                format!("the clock stands still in state \"{id}\", which does not await the applicant"),
                "let it await the applicant, or let the clock run: the office's time is not the applicant's",
            );
        }
        let over = state.is_final || state.phase == Phase::InForce;
        if over && possible.contains(&Standing::Running) {
            p.report(
                Rule::W10,
                state.line,
                format!("the clock can still run in state \"{id}\""),
                "put `stopClock` on every transition that leads there with a running clock",
            );
        }
        for deadline in &state.deadlines {
            let due = deadline.basis == DeadlineBasis::ClockDue;
            if let Some(other) = possible.iter().find(|s| due && **s != Standing::Running) {
                p.report(
                    Rule::W10,
                    deadline.line,
                    format!(
                        "state \"{id}\" is due with the clock, which can be {} there",
                        other.words()
                    ),
                    "start the clock before, or give the deadline in days",
                );
            }
        }
    }
    standings
}

/// Follows the clock through all transitions and reports effects that find it wrong.
fn flow<'d>(p: &mut Proof<'d>) -> Standings<'d> {
    let mut standings = Standings::new();
    let mut mistakes = BTreeSet::new();
    if let Some(initial) = p.definition.initial() {
        standings.entry(&initial.id).or_default().insert(Standing::NotStarted);
    }
    loop {
        let mut grown = false;
        for edge in p.graph.edges() {
            for standing in standings.get(edge.from).cloned().unwrap_or_default() {
                let after = pass(edge.transition, edge.from, standing, &mut mistakes);
                grown |= standings.entry(edge.to).or_default().insert(after);
            }
        }
        if !grown {
            break;
        }
    }
    for (line, message, remedy) in mistakes {
        p.report(Rule::W10, line, message, remedy);
    }
    standings
}

/// Takes one transition with the clock as it stands; notes what is wrong and goes on as if it were right.
fn pass(
    transition: &Transition,
    from: &str,
    mut standing: Standing,
    mistakes: &mut BTreeSet<(usize, String, &'static str)>,
) -> Standing {
    let command = transition.command.name();
    let mut decided = false;
    for effect in &transition.effects {
        let (fits, after, remedy) = match effect {
            Effect::StartClock => (
                standing == Standing::NotStarted,
                Standing::Running,
                "start the clock once, at acceptance",
            ),
            Effect::SuspendClock => {
                (standing == Standing::Running, Standing::Suspended, "suspend only a running clock")
            }
            Effect::ResumeClock => (
                standing == Standing::Suspended,
                Standing::Running,
                "resume only a clock that stands still",
            ),
            Effect::ExtendClock | Effect::WithdrawExtension => (
                matches!(standing, Standing::Running | Standing::Suspended),
                standing,
                "extend only a clock that runs or stands still",
            ),
            Effect::StopClock => (
                matches!(standing, Standing::Running | Standing::Suspended),
                Standing::Stopped,
                "remove it, or split the transition by states",
            ),
            Effect::DecideGrant | Effect::DecideRefuse
                if transition.command != CommandName::RefuseIntake =>
            {
                decided = true;
                (
                    standing == Standing::Running,
                    standing,
                    "decide after `startClock`, before `stopClock`, and not while the applicant is awaited",
                )
            }
            Effect::DecideGrant
            | Effect::DecideRefuse
            | Effect::OpenChecks
            | Effect::AskOpenChecks
            | Effect::RecordFinding
            | Effect::OverrideFinding
            | Effect::RepeatCheck
            | Effect::AskInformation
            | Effect::RecordAnswers
            | Effect::CloseInformation
            | Effect::Remind
            | Effect::Warn
            | Effect::CreateCharge(_)
            | Effect::BookPayment
            | Effect::ProlongPermit(_)
            | Effect::AnnulOpenCharges
            | Effect::ProposeAnnulment
            | Effect::DropProposal
            | Effect::WithdrawDecision
            | Effect::ReopenClock
            | Effect::CorrectForm
            | Effect::ReinstatePermit
            | Effect::IssuePermit
            | Effect::LapsePermit
            | Effect::ExpirePermit
            | Effect::AnnulPermit
            | Effect::RecordRequest
            | Effect::CloseRequest
            | Effect::PrintBlank
            | Effect::ChangeForm
            | Effect::SurrenderPermit
            | Effect::SuspendPermit
            | Effect::ResumePermit
            | Effect::SupersedeReissued
            | Effect::SupersedePermit
            | Effect::RecordComplaint
            | Effect::AnswerComplaint
            | Effect::Escalate
            | Effect::Notify(_)
            | Effect::OpenDuties
            | Effect::ReportDuty
            | Effect::ConfirmDuty
            | Effect::RejectDutyProof
            | Effect::ExcuseDuty
            | Effect::RemindDuties
            | Effect::MarkDutiesOverdue => continue,
        };
        if !fits {
            let message = format!(
                "\"{command}\" from \"{from}\" does `{}` while the clock is {}",
                effect.name(),
                standing.words()
            );
            mistakes.insert((transition.line, message, remedy));
        }
        standing = after;
    }
    if decided && standing != Standing::Stopped {
        let message = format!(
            "\"{command}\" from \"{from}\" decides and leaves the clock {}",
            standing.words()
        );
        mistakes.insert((transition.line, message, "add `stopClock` to its effects"));
        standing = Standing::Stopped;
    }
    standing
}
