//! Proves that a definition is sound before anything runs by it: the rules W01 to W15 of `workflows/README.md`.
//!
//! Each rule is one function whose comment says what is proved and how. The proofs are about the graph of
//! states and transitions; they hold for every sequence of commands, whatever the guards say on the day. Names
//! that are not defined at all are found earlier, by [`super::source`].

mod after_life;
mod checks;
mod clock;
mod corrections;
mod duties;
mod graph;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use self::graph::Graph;
use super::definition::{
    CommandName, DeadlineBasis, Definition, Effect, FeePosition, Guard, LANGUAGES, Phase, Texts,
    Transition,
};
use super::source::table::advice;
use super::source::{self, Problem, Rule};
use crate::domain::actor::Party;
use crate::domain::ground::{GroundCatalogue, GroundKind};
use crate::domain::rules::Rates;

/// One command on a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The command.
    pub command: CommandName,
    /// The state in which it is given.
    pub from: String,
    /// The state that it leads to.
    pub to: String,
}

/// A way from the initial state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// The state that it leads to.
    pub to: String,
    /// The commands, in order; none for the initial state.
    pub steps: Vec<Step>,
}

impl fmt::Display for Path {
    /// Writes one line: `draft -submit-> awaitingDuty -recordPayment-> submitted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.steps.first().map_or(&self.to, |step| &step.from))?;
        for step in &self.steps {
            write!(f, " -{}-> {}", step.command.name(), step.to)?;
        }
        Ok(())
    }
}

/// Gives a shortest path to every state that can be reached, in the order of the file.
#[must_use]
pub fn paths(definition: &Definition) -> Vec<Path> {
    let mut found = Graph::of(definition).shortest_without(|_| false);
    after_life::complaints(definition, &mut found);
    definition.states.iter().filter_map(|state| found.remove(state.id.as_str())).collect()
}

/// Tries every rule on a definition and gives what breaks one, by line; nothing when it is sound.
#[must_use]
pub fn check(
    file: &str,
    definition: &Definition,
    rates: &Rates,
    grounds: &GroundCatalogue,
) -> Vec<Problem> {
    let mut p = Proof::new(file, definition);
    w01_rates(&mut p, rates);
    w01_grounds(&mut p, grounds);
    checks::w01(&mut p, grounds);
    w01_uses(&mut p);
    w01_contents(&mut p);
    w02(&mut p);
    w03(&mut p);
    w05(&mut p);
    w06(&mut p);
    w07(&mut p);
    w09(&mut p);
    let standings = clock::w10(&mut p);
    corrections::w13(&mut p, &standings);
    duties::w14(&mut p, grounds);
    after_life::w15(&mut p, &standings);
    after_life::w09(&mut p);
    after_life::reissues(&mut p);
    single_items(&mut p);
    p.finish()
}

/// Reads a definition and proves it.
///
/// # Errors
///
/// Everything that is wrong with it. Where the text itself has mistakes, the rules about paths are not tried,
/// as what was misread would break them; the rules about single items are, on the items that were read well.
pub fn read(
    file: &str,
    text: &str,
    rates: &Rates,
    grounds: &GroundCatalogue,
) -> Result<Definition, Vec<Problem>> {
    let (definition, mut problems) = source::read(file, text);
    if problems.is_empty() {
        problems = check(file, &definition, rates, grounds);
    } else {
        let starts = item_lines(&definition);
        let item = |line: usize| starts.range(..=line).next_back().copied();
        let misread: BTreeSet<_> = problems.iter().map(|problem| item(problem.line)).collect();
        let mut p = Proof::new(file, &definition);
        single_items(&mut p);
        problems.extend(p.finish().into_iter().filter(|x| !misread.contains(&item(x.line))));
        problems.sort_by_key(|problem| (problem.line, problem.rule));
    }
    if problems.is_empty() { Ok(definition) } else { Err(problems) }
}

/// The rules that look at one item at a time.
fn single_items(p: &mut Proof<'_>) {
    w04(p);
    w08(p);
    w11(p);
    w12(p);
}

/// The lines in which the items of a file begin.
fn item_lines(d: &Definition) -> BTreeSet<usize> {
    let lines = [1, d.clock.line, d.permit.line].into_iter();
    lines
        .chain(d.documents.iter().map(|x| x.line))
        .chain(d.checks.iter().map(|x| x.line))
        .chain(d.fees.iter().map(|x| x.line))
        .chain(d.permit.duties.iter().map(|x| x.line))
        .chain(d.states.iter().map(|x| x.line))
        .chain(d.transitions.iter().map(|x| x.line))
        .collect()
}

/// One attempt to prove one definition.
struct Proof<'d> {
    file: &'d str,
    definition: &'d Definition,
    graph: Graph<'d>,
    problems: Vec<Problem>,
}

impl<'d> Proof<'d> {
    fn new(file: &'d str, definition: &'d Definition) -> Self {
        Self { file, definition, graph: Graph::of(definition), problems: Vec::new() }
    }

    fn report(
        &mut self,
        rule: Rule,
        line: usize,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            rule,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.rule));
        self.problems
    }
}

/// W01, rates: every fee's rate is in `rates.toml`, and every salary threshold is there and in force on the
/// first day of the definition.
fn w01_rates(p: &mut Proof<'_>, rates: &Rates) {
    for fee in &p.definition.fees {
        if !rates.has_price(&fee.rate) {
            p.report(
                Rule::W01,
                fee.line,
                format!("rate \"{}\" of fee \"{}\" is not in the rates", fee.rate, fee.id),
                advice(&fee.rate, rates.price_names()),
            );
        }
    }
    for transition in &p.definition.transitions {
        for guard in &transition.guards {
            let Guard::SalaryAtLeast(name) = guard else { continue };
            if !rates.threshold_names().any(|known| known == name) {
                p.report(
                    Rule::W01,
                    transition.line,
                    format!("threshold \"{name}\" is not in the rates"),
                    advice(name, rates.threshold_names()),
                );
            } else if rates.threshold(name, p.definition.in_force_from).is_err() {
                p.report(
                    Rule::W01,
                    transition.line,
                    format!("threshold \"{name}\" has no value on {}", p.definition.in_force_from),
                    "add the value of that day to the rates",
                );
            }
        }
    }
}

/// W01, grounds: every ground that a transition lists is in the catalogue and of the kind that the command
/// needs: intake, refuse or annul.
fn w01_grounds(p: &mut Proof<'_>, grounds: &GroundCatalogue) {
    for transition in &p.definition.transitions {
        let (kind, word) = if transition.command == CommandName::RefuseIntake {
            (GroundKind::Intake, "intake")
        } else if matches!(
            transition.command,
            CommandName::ProposeAnnulment
                | CommandName::SuspendPermit
                | CommandName::ConfirmSurrender
        ) {
            (GroundKind::Annul, "annul")
        } else {
            (GroundKind::Refuse, "refuse")
        };
        for code in &transition.grounds {
            let fault = match grounds.get(code) {
                None => format!("ground {code} is not in the catalogue"),
                Some(ground) if !ground.kinds.contains(&kind) => {
                    format!("ground {code} is not one for \"{}\"", transition.command.name())
                }
                Some(_) => continue,
            };
            let remedy = format!("use a ground of kind \"{word}\" from workflows/grounds.toml");
            p.report(Rule::W01, transition.line, fault, remedy);
        }
    }
}

/// W01, uses: what is defined is used. Every fee is charged by some transition, some transition opens the checks
/// if there are any, `formComplete` guards one if anything is required, and the fee that carries the permit is
/// a monthly one. (States that nothing leads to are found by W02.)
fn w01_uses(p: &mut Proof<'_>) {
    let d = p.definition;
    let effects = || d.transitions.iter().flat_map(|transition| &transition.effects);
    for fee in &d.fees {
        if !effects().any(|effect| matches!(effect, Effect::CreateCharge(id) if *id == fee.id)) {
            p.report(
                Rule::W01,
                fee.line,
                format!("fee \"{}\" is never charged", fee.id),
                format!("add the effect {{ createCharge = \"{}\" }}, or remove the fee", fee.id),
            );
        }
    }
    if let Some(check) = d.checks.first().filter(|_| !effects().any(|e| *e == Effect::OpenChecks)) {
        p.report(
            Rule::W01,
            check.line,
            "the checks are never asked",
            "add the effect `openChecks` to a transition, or remove the checks",
        );
    }
    let asks = d.transitions.iter().any(|t| t.guards.contains(&Guard::FormComplete));
    let required = d.documents.iter().find(|document| document.required);
    if !asks && (required.is_some() || !d.required_fields.is_empty()) {
        p.report(
            Rule::W01,
            required.map_or(1, |document| document.line),
            "sections or documents are required, but no transition asks for them",
            "guard \"submit\" with `formComplete`",
        );
    }
    if let Some(fee) = d.permit.paid_by.as_deref().and_then(|id| d.fee(id)).filter(|f| !f.per_month)
    {
        p.report(
            Rule::W01,
            d.permit.line,
            format!("the permit is paid by \"{}\", which is not a fee per month", fee.id),
            "set `per_month = true` on the fee, or remove `paid_by`",
        );
    }
    for fee in d.fees.iter().filter(|fee| fee.position == FeePosition::WhileInForce) {
        if !fee.per_month || d.permit.paid_by.is_none() {
            p.report(
                Rule::W01,
                fee.line,
                format!("fee \"{}\" is owed while the permit is in force, but no months carry it", fee.id),
                "set `per_month = true` on the fee and `paid_by` in [permit], or give it another position",
            );
        }
    }
}

/// The effect that makes use of what a command carries, or that the command is about.
const fn essence(command: CommandName) -> Option<Effect> {
    Some(match command {
        CommandName::RecordFinding => Effect::RecordFinding,
        CommandName::OverrideFinding => Effect::OverrideFinding,
        CommandName::RepeatCheck => Effect::RepeatCheck,
        CommandName::RequestInformation => Effect::AskInformation,
        CommandName::AnswerInformation => Effect::RecordAnswers,
        CommandName::ExpireInformation => Effect::CloseInformation,
        CommandName::Remind | CommandName::RemindAgain => Effect::Remind,
        CommandName::ExtendClock => Effect::ExtendClock,
        CommandName::WithdrawExtension => Effect::WithdrawExtension,
        CommandName::Warn => Effect::Warn,
        CommandName::RecordPayment => Effect::BookPayment,
        CommandName::RefuseIntake | CommandName::Refuse => Effect::DecideRefuse,
        CommandName::Grant => Effect::DecideGrant,
        CommandName::HandOver => Effect::IssuePermit,
        CommandName::ProposeAnnulment => Effect::ProposeAnnulment,
        CommandName::ConfirmAnnulment => Effect::AnnulPermit,
        CommandName::RejectAnnulment => Effect::DropProposal,
        CommandName::RequestDuplicate | CommandName::RequestChange | CommandName::Surrender => {
            Effect::RecordRequest
        }
        CommandName::IssueDuplicate | CommandName::ReplaceBlank => Effect::PrintBlank,
        CommandName::MakeChange => Effect::ChangeForm,
        CommandName::ConfirmSurrender => Effect::SurrenderPermit,
        CommandName::WithdrawRequest | CommandName::RefuseRequest => Effect::CloseRequest,
        CommandName::SuspendPermit => Effect::SuspendPermit,
        CommandName::Complain => Effect::RecordComplaint,
        CommandName::UpholdComplaint | CommandName::RejectComplaint => Effect::AnswerComplaint,
        CommandName::ResumePermit => Effect::ResumePermit,
        CommandName::Undo => Effect::WithdrawDecision,
        CommandName::Correct => Effect::CorrectForm,
        CommandName::Lapse => Effect::LapsePermit,
        CommandName::Expire => Effect::ExpirePermit,
        CommandName::Supersede => Effect::SupersedePermit,
        CommandName::Escalate => Effect::Escalate,
        CommandName::ReportDuty => Effect::ReportDuty,
        CommandName::ConfirmDuty => Effect::ConfirmDuty,
        CommandName::RejectDutyProof => Effect::RejectDutyProof,
        CommandName::ExcuseDuty => Effect::ExcuseDuty,
        CommandName::RemindDuty => Effect::RemindDuties,
        CommandName::DutyOverdue => Effect::MarkDutiesOverdue,
        CommandName::Submit
        | CommandName::Withdraw
        | CommandName::Accept
        | CommandName::Reopen
        | CommandName::CourtOrder
        | CommandName::ExpireDraft
        | CommandName::ExpireUnpaid => return None,
    })
}

/// Tells whether an effect stands with a correction and with nothing else, or prolongs with the payment that does.
const fn puts_right(command: CommandName, effect: &Effect) -> bool {
    match effect {
        Effect::WithdrawDecision | Effect::ReopenClock | Effect::AskOpenChecks => {
            matches!(
                command,
                CommandName::Undo
                    | CommandName::Reopen
                    | CommandName::CourtOrder
                    | CommandName::UpholdComplaint
            )
        }
        Effect::ReinstatePermit => {
            matches!(command, CommandName::CourtOrder | CommandName::UpholdComplaint)
        }
        Effect::ProlongPermit(_) => matches!(command, CommandName::RecordPayment),
        _ => false,
    }
}

/// W01, contents: a command's contents are used, and an effect or guard that needs contents stands only on a
/// command that has them. A payment is booked, a finding recorded, an answer kept, a refusal decided; a
/// guard about "the payment at hand" is only on `recordPayment`, about answers only on `answerInformation`,
/// about a deadline only on a command of the timer, `decidedWithinMinutes` only on `undo`, `askedFirst` only on
/// `refuse`. A permit is prolonged by exactly the fee whose payment is found to prolong it. What puts a decision right stands only with corrections. `closeInformation` may also be part of `withdraw`, and
/// `issuePermit` of `grant`, for a track without handing over.
fn w01_contents(p: &mut Proof<'_>) {
    for transition in &p.definition.transitions {
        let command = transition.command;
        let name = command.name();
        if let Some(effect) = essence(command).filter(|e| !transition.effects.contains(e)) {
            p.report(
                Rule::W01,
                transition.line,
                format!(
                    "\"{name}\" does not `{}`, and so would do nothing of what it says",
                    effect.name()
                ),
                format!("add `{}` to its effects", effect.name()),
            );
        }
        for effect in &transition.effects {
            let needed: Vec<_> = CommandName::ALL
                .into_iter()
                .filter(|c| essence(*c).as_ref() == Some(effect) || puts_right(*c, effect))
                .map(CommandName::name)
                .collect();
            let also = matches!(
                (effect, command),
                (Effect::CloseInformation, CommandName::Withdraw)
                    | (Effect::IssuePermit, CommandName::Grant)
                    | (
                        Effect::CloseRequest,
                        CommandName::IssueDuplicate
                            | CommandName::MakeChange
                            | CommandName::ConfirmSurrender
                    )
                    | (Effect::PrintBlank, CommandName::MakeChange)
                    | (Effect::ResumePermit, CommandName::RejectAnnulment)
            );
            if !needed.is_empty() && !needed.contains(&name) && !also {
                p.report(
                    Rule::W01,
                    transition.line,
                    format!("\"{name}\" carries nothing for `{}` to work on", effect.name()),
                    format!("move `{}` to {}", effect.name(), needed.join(" or ")),
                );
            }
        }
        let found = transition.guards.iter().find_map(|guard| match guard {
            Guard::PaymentProlongs(fee) => Some(fee),
            _ => None,
        });
        let prolongs = transition.effects.iter().find_map(|effect| match effect {
            Effect::ProlongPermit(fee) => Some(fee),
            _ => None,
        });
        if found != prolongs {
            p.report(
                Rule::W01,
                transition.line,
                format!("\"{name}\" prolongs the permit by another fee than it looks at"),
                "give the guard `paymentProlongs` and the effect `prolongPermit` the same fee, or neither",
            );
        }
        for guard in &transition.guards {
            let fits = match guard {
                Guard::PaymentSettles(_)
                | Guard::PaymentLeavesOpen(_)
                | Guard::PaymentProlongs(_)
                | Guard::PaymentFallsShort(_) => command == CommandName::RecordPayment,
                Guard::AnswersComplete | Guard::AnswersIncomplete => {
                    command == CommandName::AnswerInformation
                }
                Guard::DeadlinePassed => is_timers(command),
                Guard::ChangeProven => command == CommandName::MakeChange,
                Guard::NotComplained => command == CommandName::Complain,
                Guard::PermitOver => command == CommandName::UpholdComplaint,
                Guard::DecidedWithinMinutes(_) => command == CommandName::Undo,
                Guard::AskedFirst => command == CommandName::Refuse,
                Guard::DutyMissed => command == CommandName::ProposeAnnulment,
                Guard::FormComplete
                | Guard::AgeAtLeast(_)
                | Guard::CitizenshipNotIn(_)
                | Guard::WithinDaysOfEntryOrFined(_)
                | Guard::PassportValidForMonths(_)
                | Guard::NoOtherOpenApplication
                | Guard::SalaryAtLeast(_)
                | Guard::NothingPaid(_)
                | Guard::ClockStarted
                | Guard::ClockNotStarted
                | Guard::PermitLasts
                | Guard::ReissueInTime(_)
                | Guard::ReissueStands
                | Guard::ChecksClear
                | Guard::Extended
                | Guard::NotExtended
                | Guard::NotOverdue
                | Guard::IssuingNotStopped
                | Guard::ActivityNotBanned
                | Guard::FeeSettled(_) => true,
            };
            if !fits {
                p.report(
                    Rule::W01,
                    transition.line,
                    format!("\"{name}\" carries nothing for guard `{}` to look at", guard.name()),
                    "remove the guard",
                );
            }
        }
    }
}

/// W02: exactly one state is initial, and every other is reached from it by transitions.
fn w02(p: &mut Proof<'_>) {
    let d = p.definition;
    let initial: Vec<_> = d.states.iter().filter(|state| state.initial).collect();
    if initial.is_empty() {
        p.report(Rule::W02, 1, "no state is initial", "set `initial = true` on the first state");
        return;
    }
    for state in initial.iter().skip(1) {
        p.report(
            Rule::W02,
            state.line,
            format!("state \"{}\" is a second initial state", state.id),
            "let applications begin in one state",
        );
    }
    let mut reached = p.graph.reachable_without(|_| false);
    reached.extend(after_life::appealed(d));
    for state in d.states.iter().filter(|s| !s.initial && !reached.contains(s.id.as_str())) {
        p.report(
            Rule::W02,
            state.line,
            format!("state \"{}\" cannot be reached", state.id),
            "add a transition to it, or remove it",
        );
    }
}

/// W03: from every non-final state a final state can be reached, by going backwards from the final states; and
/// the end is the end: no transition but a correction (W13) or a complaint (W15) starts in a final state, and the phase `closed` holds
/// exactly these.
fn w03(p: &mut Proof<'_>) {
    let d = p.definition;
    let finals = d.states.iter().filter(|state| state.is_final).map(|state| state.id.as_str());
    let mut ending = p.graph.leading_to(finals);
    // Rule W15 proves that they lead back to the end that they come from.
    ending.extend(after_life::appealed(d));
    for state in &d.states {
        let id = &state.id;
        if !ending.contains(id.as_str()) {
            p.report(
                Rule::W03,
                state.line,
                format!("from state \"{id}\" no final state can be reached"),
                "add a transition towards one, or set `final = true`",
            );
        }
        if state.is_final != (state.phase == Phase::Closed) {
            p.report(
                Rule::W03,
                state.line,
                format!("state \"{id}\" is either final or in phase \"closed\", but not both"),
                "set `final = true` together with `phase = \"closed\"`",
            );
        }
    }
    for transition in d.transitions.iter().filter(|t| !t.command.leaves_an_end()) {
        for from in transition.from.iter().filter(|id| d.state(id).is_some_and(|s| s.is_final)) {
            p.report(
                Rule::W03,
                transition.line,
                format!("\"{}\" starts in \"{from}\", which is final", transition.command.name()),
                "remove the state from `from`",
            );
        }
    }
}

/// W04: every non-final state names whom it waits for and has either deadlines or a reason for none; a final
/// state has neither.
fn w04(p: &mut Proof<'_>) {
    for state in &p.definition.states {
        let id = &state.id;
        let reason =
            state.no_deadline.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        let fault = if state.is_final {
            let waits = state.awaits.is_some() || !state.deadlines.is_empty();
            (waits || state.no_deadline.is_some()).then_some((
                "is final, but waits for someone or something",
                "remove `awaits`, `deadlines` and `no_deadline`",
            ))
        } else if state.awaits.is_none() {
            Some((
                "does not say whom it waits for",
                "add `awaits = \"applicant\"` or `awaits = \"office\"`",
            ))
        } else if state.deadlines.is_empty() && reason.is_none() {
            Some((
                "has no deadline and no reason for none",
                "add `deadlines`, or say why not in `no_deadline`",
            ))
        } else if !state.deadlines.is_empty() && state.no_deadline.is_some() {
            Some(("has deadlines and a reason for none", "remove one of the two"))
        } else {
            None
        };
        if let Some((fault, remedy)) = fault {
            p.report(Rule::W04, state.line, format!("state \"{id}\" {fault}"), remedy);
        }
    }
}

/// W05: every deadline's command has a transition from that state that the timer may take once the deadline has
/// passed (`deadlinePassed`), and no other deadline of the state has the same command; every transition of the
/// timer has such a deadline in each of its states. A deadline counts from something that is there:
/// `informationDue` where every way in asks for information, `permitEnds` and `paidThrough` where a permit is
/// in force, `paidThrough` only if months of a fee carry the permit.
fn w05(p: &mut Proof<'_>) {
    let d = p.definition;
    for state in &d.states {
        let id = &state.id;
        for (index, deadline) in state.deadlines.iter().enumerate() {
            let command = deadline.command;
            let name = command.name();
            let taken = d.transitions_for(id, command).any(|transition| {
                transition.actors.contains(&Party::Timer)
                    && transition.guards.contains(&Guard::DeadlinePassed)
            });
            if !taken {
                p.report(
                    Rule::W05,
                    deadline.line,
                    format!("the deadline of \"{id}\" gives \"{name}\", which the timer cannot take there"),
                    format!(
                        "add a transition \"{name}\" from \"{id}\" with actors = [\"timer\"] and \
                         guards = [\"deadlinePassed\"]"
                    ),
                );
            }
            if state.deadlines.iter().take(index).any(|earlier| earlier.command == command) {
                p.report(
                    Rule::W05,
                    deadline.line,
                    format!("state \"{id}\" has two deadlines that give \"{name}\""),
                    "keep the earlier one",
                );
            }
            if let Some((fault, remedy)) = baseless(d, id, state.phase, deadline.basis) {
                p.report(Rule::W05, deadline.line, format!("state \"{id}\" {fault}"), remedy);
            }
        }
    }
    // What a re-issue ends, ends with it and with no deadline.
    let timers =
        |t: &&Transition| t.actors.contains(&Party::Timer) && t.command != CommandName::Supersede;
    for transition in d.transitions.iter().filter(timers) {
        let name = transition.command.name();
        for from in &transition.from {
            let due = d.state(from).is_some_and(|state| {
                state.deadlines.iter().any(|deadline| deadline.command == transition.command)
            });
            if !due {
                p.report(
                    Rule::W05,
                    transition.line,
                    format!(
                        "the timer can never give \"{name}\" from \"{from}\": no deadline does"
                    ),
                    format!("add a deadline with command = \"{name}\" to state \"{from}\""),
                );
            }
        }
    }
}

/// Says why a deadline would count from nothing.
fn baseless(
    d: &Definition,
    state: &str,
    phase: Phase,
    basis: DeadlineBasis,
) -> Option<(&'static str, &'static str)> {
    match basis {
        DeadlineBasis::InformationDue | DeadlineBasis::BeforeInformationDue(_) => {
            let asked = Graph::of(d)
                .edges()
                .filter(|edge| edge.to == state && edge.from != state)
                .all(|edge| edge.transition.effects.contains(&Effect::AskInformation));
            (!asked).then_some((
                "is due with the information asked, but can be entered without asking any",
                "put `askInformation` on every transition that enters it",
            ))
        }
        DeadlineBasis::PermitEnds
        | DeadlineBasis::PaidThrough
        | DeadlineBasis::BeforePaidThrough(_)
            if phase != Phase::InForce =>
        {
            Some((
                "is due with the permit, but no permit is in force there",
                "put the state into phase \"inForce\", or give the deadline in days",
            ))
        }
        DeadlineBasis::PaidThrough | DeadlineBasis::BeforePaidThrough(_)
            if d.permit.paid_by.is_none() =>
        {
            Some((
                "is due with the paid period, but no fee's months carry the permit",
                "name the fee in `paid_by` of [permit], or remove the deadline",
            ))
        }
        DeadlineBasis::PermitEnds
        | DeadlineBasis::PaidThrough
        | DeadlineBasis::BeforePaidThrough(_)
        | DeadlineBasis::CalendarDays(_)
        | DeadlineBasis::WorkingDays(_)
        | DeadlineBasis::ClockDue
        | DeadlineBasis::BeforeClockDue(_) => None,
        DeadlineBasis::DutyDue | DeadlineBasis::DutyReminder => duties::baseless(d, phase),
    }
}

/// W06: of any two transitions with the same command from the same state, one has a guard that excludes a guard
/// of the other ([`Guard::excludes`]), so at most one can apply.
fn w06(p: &mut Proof<'_>) {
    let transitions = &p.definition.transitions;
    for (index, second) in transitions.iter().enumerate() {
        for first in transitions.iter().take(index).filter(|t| t.command == second.command) {
            let exclusive =
                first.guards.iter().any(|a| second.guards.iter().any(|b| a.excludes(b)));
            let common = first.from.iter().find(|from| second.from.contains(from));
            if let Some(state) = common.filter(|_| !exclusive) {
                let name = second.command.name();
                p.report(
                    Rule::W06,
                    second.line,
                    format!(
                        "\"{name}\" from \"{state}\" is also in line {}, and both could apply",
                        first.line
                    ),
                    "guard them with alternatives (paymentSettles and paymentLeavesOpen, paymentProlongs and \
                     paymentFallsShort, answersComplete and answersIncomplete, clockStarted and clockNotStarted), or make them one",
                );
            }
        }
    }
}

/// W07: every path to a state in force passes acceptance, all checks opened and then clear, every fee charged and
/// then settled in its position, a decision to grant, and the issue of the permit.
///
/// Each is a set of transitions that must dominate its goal: with these transitions taken away, the goal is no
/// longer reached from the initial state. The goals are the states in force; for "opened before clear" and
/// "charged before settled" the transitions that demand the latter; for a fee of position `beforeAcceptance`
/// the acceptance, and of `beforeHandover` the issue; for one of `onRequest` see `after_life`. The message gives a path that
/// goes past.
fn w07(p: &mut Proof<'_>) {
    let d = p.definition;
    let accepts = |t: &Transition| t.command == CommandName::Accept;
    let opens = |t: &Transition| t.effects.contains(&Effect::OpenChecks);
    let clears = |t: &Transition| t.guards.contains(&Guard::ChecksClear);
    let grants = |t: &Transition| t.effects.contains(&Effect::DecideGrant);
    let issues = |t: &Transition| t.effects.contains(&Effect::IssuePermit);

    in_force_only_after(p, "command \"accept\"", accepts);
    if !d.checks.is_empty() {
        in_force_only_after(p, "all checks clear (guard `checksClear`)", clears);
        if d.transitions.iter().any(opens) {
            only_after(p, "the checks opened (effect `openChecks`)", opens, clears);
        }
    }
    for fee in &d.fees {
        let charges = |t: &Transition| {
            t.effects.iter().any(|e| matches!(e, Effect::CreateCharge(id) if *id == fee.id))
        };
        let settles = |t: &Transition| {
            t.guards.iter().any(|guard| {
                matches!(guard, Guard::FeeSettled(id) | Guard::PaymentSettles(id) | Guard::PaymentProlongs(id)
                    if *id == fee.id)
            })
        };
        let settled = format!("fee \"{}\" settled", fee.id);
        match fee.position {
            FeePosition::BeforeAcceptance => only_after(p, &settled, settles, accepts),
            FeePosition::BeforeHandover => only_after(p, &settled, settles, issues),
            // Whoever does not pay it goes on until the paid days are over.
            FeePosition::WhileInForce => {}
            FeePosition::OnRequest => after_life::w07(p, fee),
        }
        if d.transitions.iter().any(charges) {
            only_after(p, &format!("fee \"{}\" charged", fee.id), charges, settles);
        }
    }
    in_force_only_after(p, "a decision to grant (effect `decideGrant`)", grants);
    in_force_only_after(p, "the issue of the permit (effect `issuePermit`)", issues);
}

/// Reports the first state in force that can be reached without a transition of a kind.
fn in_force_only_after(p: &mut Proof<'_>, what: &str, marks: impl Fn(&Transition) -> bool) {
    let past = p.graph.shortest_without(marks);
    let d = p.definition;
    let reached = d
        .states
        .iter()
        .filter(|state| state.phase == Phase::InForce)
        .find_map(|state| past.get(state.id.as_str()).map(|path| (state, path)));
    if let Some((state, path)) = reached {
        p.report(
            Rule::W07,
            state.line,
            format!("state \"{}\" can be reached without {what}: {path}", state.id),
            "close that path, or put the missing step on it",
        );
    }
}

/// Reports the first transition of a kind that can be taken without one of another kind before or with it.
fn only_after(
    p: &mut Proof<'_>,
    what: &str,
    marks: impl Fn(&Transition) -> bool,
    goals: impl Fn(&Transition) -> bool,
) {
    let past = p.graph.shortest_without(&marks);
    let d = p.definition;
    let taken = d
        .transitions
        .iter()
        .filter(|t| goals(t) && !marks(t) && !t.command.leaves_an_end())
        .find_map(|t| t.from.iter().find_map(|from| past.get(from.as_str())).map(|path| (t, path)));
    if let Some((transition, path)) = taken {
        p.report(
            Rule::W07,
            transition.line,
            format!("\"{}\" can be given without {what}: {path}", transition.command.name()),
            "close that path, or put the missing step on it",
        );
    }
}

/// W08: a command that carries grounds (`refuseIntake`, `refuse`, `proposeAnnulment`) lists at least one that it
/// may carry, and no other command lists any; a decision (`grant`, `refuse`) is not for who accepted the
/// application; a permit is annulled only by another than who proposed it, and resumed by another than who suspended it; what
/// its holder gives up ends on one ground (`confirmSurrender`). A reason of a check that means "refuse"
/// names a ground, too.
fn w08(p: &mut Proof<'_>) {
    checks::w08(p);
    for transition in &p.definition.transitions {
        let command = transition.command;
        let name = command.name();
        if command.carries_grounds() && transition.grounds.is_empty() {
            p.report(
                Rule::W08,
                transition.line,
                format!("\"{name}\" lists no ground, and nobody may be refused without one"),
                "list the codes that it may carry in `grounds`",
            );
        }
        if !command.lists_grounds() && !transition.grounds.is_empty() {
            p.report(
                Rule::W08,
                transition.line,
                format!("\"{name}\" lists grounds, but carries none"),
                "remove `grounds`",
            );
        }
        if command == CommandName::ConfirmSurrender && transition.grounds.len() != 1 {
            p.report(
                Rule::W08,
                transition.line,
                "\"confirmSurrender\" must list the one ground on which the permit ends",
                "list it in `grounds`",
            );
        }
        let partner = if matches!(command, CommandName::Grant | CommandName::Refuse) {
            CommandName::Accept
        } else if command == CommandName::ConfirmAnnulment {
            CommandName::ProposeAnnulment
        } else if command == CommandName::ResumePermit {
            CommandName::SuspendPermit
        } else {
            continue;
        };
        if !transition.four_eyes.contains(&partner) {
            let partner = partner.name();
            p.report(
                Rule::W08,
                transition.line,
                format!("\"{name}\" could be given by the person who gave \"{partner}\""),
                format!("add \"{partner}\" to its `four_eyes`"),
            );
        }
    }
}

/// W09: four eyes are four. In every state where a four-eyes transition starts, at least one of the commands
/// that it names has been given on every path there (it dominates the state), so that someone is excluded;
/// and every other command that it names can have been given before (a recorded finding, say), so that no
/// name is idle.
fn w09(p: &mut Proof<'_>) {
    let reached = p.graph.reachable_without(|_| false);
    // What leads out of an end is not in the graph; W13 and W15 ask for its partners.
    for transition in &p.definition.transitions {
        let name = transition.command.name();
        if transition.four_eyes.is_empty() || transition.command.is_of_complaints() {
            continue;
        }
        let starts = || transition.from.iter().map(String::as_str);
        for partner in &transition.four_eyes {
            let can_precede = p.graph.edges().any(|edge| {
                edge.transition.command == *partner
                    && reached.contains(edge.from)
                    && starts().any(|from| {
                        edge.to == from || p.graph.reachable_from(edge.to).contains(from)
                    })
            });
            if !can_precede {
                p.report(
                    Rule::W09,
                    transition.line,
                    format!("\"{}\" can never come before \"{name}\"", partner.name()),
                    "remove it from `four_eyes`",
                );
            }
        }
        for from in starts().filter(|from| reached.contains(from)) {
            let dominated = transition.four_eyes.iter().any(|partner| {
                !p.graph.reachable_without(|t| t.command == *partner).contains(from)
            });
            if !dominated {
                p.report(
                    Rule::W09,
                    transition.line,
                    format!(
                        "\"{from}\" can be reached without any four-eyes partner of \"{name}\""
                    ),
                    "name a command in `four_eyes` that comes before on every path",
                );
            }
        }
    }
}

/// Tells whether a command is the timer's.
const fn is_timers(command: CommandName) -> bool {
    matches!(
        command,
        CommandName::ExpireDraft
            | CommandName::ExpireUnpaid
            | CommandName::ExpireInformation
            | CommandName::Remind
            | CommandName::RemindAgain
            | CommandName::Warn
            | CommandName::Escalate
            | CommandName::Lapse
            | CommandName::Expire
            | CommandName::RemindDuty
            | CommandName::DutyOverdue
    )
}

/// The parties that may ever give a command.
const fn eligible(command: CommandName) -> &'static [Party] {
    match command {
        CommandName::Submit
        | CommandName::Withdraw
        | CommandName::AnswerInformation
        | CommandName::RequestDuplicate
        | CommandName::RequestChange
        | CommandName::Surrender
        | CommandName::WithdrawRequest
        | CommandName::Complain
        | CommandName::ReportDuty => &[Party::Applicant],
        CommandName::RecordFinding => &[Party::Officer, Party::SeniorOfficer, Party::Register],
        CommandName::ExtendClock
        | CommandName::WithdrawExtension
        | CommandName::SuspendPermit
        | CommandName::ReplaceBlank
        | CommandName::UpholdComplaint
        | CommandName::RejectComplaint => &[Party::SeniorOfficer],
        CommandName::RecordPayment => &[Party::Payments, Party::Officer, Party::SeniorOfficer],
        CommandName::ExpireDraft
        | CommandName::ExpireUnpaid
        | CommandName::ExpireInformation
        | CommandName::Remind
        | CommandName::RemindAgain
        | CommandName::Warn
        | CommandName::Escalate
        | CommandName::Lapse
        | CommandName::Expire
        | CommandName::Supersede
        | CommandName::RemindDuty
        | CommandName::DutyOverdue => &[Party::Timer],
        CommandName::RefuseIntake
        | CommandName::Accept
        | CommandName::OverrideFinding
        | CommandName::RepeatCheck
        | CommandName::RequestInformation
        | CommandName::Grant
        | CommandName::Refuse
        | CommandName::HandOver
        | CommandName::ProposeAnnulment
        | CommandName::ConfirmAnnulment
        | CommandName::RejectAnnulment
        | CommandName::IssueDuplicate
        | CommandName::MakeChange
        | CommandName::ConfirmSurrender
        | CommandName::RefuseRequest
        | CommandName::ResumePermit
        | CommandName::Undo
        | CommandName::Reopen
        | CommandName::Correct
        | CommandName::CourtOrder
        | CommandName::ConfirmDuty
        | CommandName::RejectDutyProof
        | CommandName::ExcuseDuty => &[Party::Officer, Party::SeniorOfficer],
    }
}

/// W11: every transition names its actors and its legal basis, as do the clock, the duties and the definition
/// itself. Only those act who can: the applicant submits, answers and withdraws; the timer alone gives the
/// timer's commands; the payments system records payments and nothing else, a register findings; the office does the
/// rest. The
/// roles that apply are some of those that hand in applications.
fn w11(p: &mut Proof<'_>) {
    let d = p.definition;
    for transition in &d.transitions {
        let name = transition.command.name();
        let able = eligible(transition.command);
        if transition.actors.is_empty() {
            let message = format!("\"{name}\" names nobody who may give it");
            p.report(Rule::W11, transition.line, message, "name them in `actors`");
        }
        for actor in transition.actors.iter().filter(|actor| !able.contains(actor)) {
            p.report(
                Rule::W11,
                transition.line,
                format!("\"{name}\" is not for {}", party(*actor)),
                format!("use {}", able.iter().map(|x| party(*x)).collect::<Vec<_>>().join(" or ")),
            );
        }
        if transition.basis.trim().is_empty() {
            let message = format!("\"{name}\" names no legal basis");
            p.report(Rule::W11, transition.line, message, "name the article in `basis`");
        }
    }
    if d.applicants.is_empty() {
        p.report(Rule::W11, 1, "nobody may apply", "name roles in `applicants`");
    }
    for role in d.applicants.iter().filter(|role| !role.is_applicant()) {
        p.report(
            Rule::W11,
            1,
            format!("a person with the role \"{}\" cannot apply", role.name()),
            "use \"migrant\" or \"employer\" in `applicants`",
        );
    }
    let others = [("the definition", 1, &d.law), ("the clock", d.clock.line, &d.clock.basis)];
    let duties = d.permit.duties.iter().map(|duty| ("a duty", duty.line, &duty.basis));
    for (what, line, basis) in others.into_iter().chain(duties) {
        if basis.trim().is_empty() {
            p.report(Rule::W11, line, format!("{what} names no legal basis"), "name the article");
        }
    }
}

const fn party(party: Party) -> &'static str {
    match party {
        Party::Applicant => "\"applicant\"",
        Party::Officer => "\"officer\"",
        Party::SeniorOfficer => "\"seniorOfficer\"",
        Party::Timer => "\"timer\"",
        Party::Payments => "\"payments\"",
        Party::Register => "\"register\"",
    }
}

/// W12: every state's stage and next step, and every title, exist and are not blank in every language that ships.
fn w12(p: &mut Proof<'_>) {
    let d = p.definition;
    for state in &d.states {
        for language in LANGUAGES {
            let complete = state.wording.get(language).is_some_and(|wording| {
                !wording.stage.trim().is_empty() && !wording.next.trim().is_empty()
            });
            if !complete {
                p.report(
                    Rule::W12,
                    state.line,
                    format!("state \"{}\" has no wording in \"{language}\"", state.id),
                    format!("add wording.{language}.stage and wording.{language}.next"),
                );
            }
        }
    }
    let mut titles: Vec<(&Texts, String, usize)> = vec![(&d.title, "the title".to_owned(), 1)];
    for item in &d.documents {
        titles.push((&item.title, format!("the title of document \"{}\"", item.id), item.line));
    }
    for item in &d.checks {
        titles.push((&item.title, format!("the title of check \"{}\"", item.id), item.line));
        for one in &item.reasons {
            titles.push((&one.title, format!("the title of reason \"{}\"", one.id), one.line));
        }
    }
    for item in &d.fees {
        titles.push((&item.title, format!("the title of fee \"{}\"", item.id), item.line));
    }
    titles.push((
        &d.complaint.how,
        "what to do when the date has passed".to_owned(),
        d.complaint.line,
    ));
    for item in &d.permit.duties {
        titles.push((&item.title, format!("the title of duty \"{}\"", item.id), item.line));
        titles.push((&item.words, format!("the term of duty \"{}\"", item.id), item.line));
    }
    for (texts, what, line) in titles {
        for language in LANGUAGES {
            if texts.get(language).is_none_or(|text| text.trim().is_empty()) {
                p.report(
                    Rule::W12,
                    line,
                    format!("{what} is missing in \"{language}\""),
                    format!("add the text in \"{language}\""),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
