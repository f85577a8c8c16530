//! What is done: each effect adds changes to the event, seeing what the ones before it changed. What puts a decision
//! right is in `corrections`, what the applicant is asked and answers in `information`, what is owed after issue in `duties`,
//! what becomes of a permit in `after_life`.

mod after_life;
mod corrections;
mod duties;
mod information;

use chrono::{Days, NaiveDate};
use serde_json::Value;
use uuid::Uuid;

use super::{
    ALREADY_ANSWERED, ANSWER_STANDS, Blocked, Context, Misfit, Reissued, Rejection, Step,
    deadlines, months,
};
use crate::domain::actor::Actor;
use crate::domain::application::{Application, Decision, InformationItem, Proposal};
use crate::domain::checks::local::{self, Scene};
use crate::domain::checks::{Check, Finding, Outcome, Override, blocking, of_outcome};
use crate::domain::clock::{ClockError, Extension, StatutoryClock};
use crate::domain::event::{Act, Alert, BuiltIn, Change, Event, Job, Scheduled};
use crate::domain::fee::ledger::{Acknowledgement, ChangeStatus};
use crate::domain::fee::revision::{Revision, RevisionKind};
use crate::domain::fee::{Charge, ChargeStatus, Money, Payment, Uin};
use crate::domain::ground::Grounds;
use crate::domain::paper::PaperKind;
use crate::domain::permit::{Permit, PermitNumber, PermitStatus, add_months};
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::{
    CheckRule, CheckSource, CommandName, Consequence, Effect, FeePosition, Guard, PermitTerm,
    Phase, Transition,
};

/// The administrator's code in a UIN: the Ministry of the Interior (domain.md 9.1).
const ADMINISTRATOR: &str = "188";

/// An event being written, and the application as it stands so far.
struct Draft<'a, 'c> {
    event: Event,
    before: &'a Application,
    after: Application,
    messages: Vec<String>,
    alerts: Vec<Alert>,
    /// What is to be looked up: in registers, and in the money that waits.
    questions: Vec<Job>,
    /// Keys of jobs that are pointless now.
    pointless: Vec<String>,
    command: &'a Command,
    transition: &'a Transition,
    context: &'a Context<'c>,
    agreed: Option<&'a Agreed<'a>>,
}

/// A change of a charge that two officers agreed on and that settles it: what waits for its payment goes on.
pub(super) struct Agreed<'a> {
    /// The charge.
    pub charge: Uuid,
    /// What it is changed to.
    pub revision: &'a Revision,
    /// The second officer.
    pub by: Uuid,
    /// What the event keeps as the request.
    pub request: Value,
    /// The change, where it does not follow from the payment that it stands for.
    pub change: Option<Change>,
}

/// Takes a transition whose guards hold.
pub(super) fn take(
    application: &Application,
    command: &Command,
    actor: &Actor,
    transition: &Transition,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    take_as(application, command, None, actor, transition, context)
}

/// Takes the transition that a payment would take, for what two officers agreed on instead of one.
pub(super) fn take_agreed(
    application: &Application,
    command: &Command,
    agreed: &Agreed<'_>,
    actor: &Actor,
    transition: &Transition,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    take_as(application, command, Some(agreed), actor, transition, context)
}

fn take_as(
    application: &Application,
    command: &Command,
    agreed: Option<&Agreed<'_>>,
    actor: &Actor,
    transition: &Transition,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let to = transition.target(&application.state).to_owned();
    let (act, request) = match agreed {
        Some(agreed) => (Act::BuiltIn(BuiltIn::ConfirmChargeRevision), agreed.request.clone()),
        None => {
            let request = serde_json::to_value(command).unwrap_or(Value::Null);
            (Act::Command(command.name()), request)
        }
    };
    let event = Event {
        id: context.supplies.event,
        seq: application.version + 1,
        at: context.now,
        act,
        actor: actor.clone(),
        from: application.state.clone(),
        to: to.clone(),
        request,
        changes: Vec::new(),
    };
    let mut draft = Draft {
        event,
        before: application,
        after: application.clone(),
        messages: Vec::new(),
        alerts: Vec::new(),
        questions: Vec::new(),
        pointless: Vec::new(),
        command,
        transition,
        context,
        agreed,
    };
    if let Some(&Agreed { charge, by, .. }) = agreed {
        draft.change(Change::ChargeRevisionConfirmed { charge, by })?;
    }
    if command.name() == CommandName::Submit {
        draft.change(Change::HandedIn)?;
    }
    draft.link()?;
    for effect in &transition.effects {
        draft.effect(effect)?;
    }
    let moved = transition.to.is_some();
    if moved {
        let state = context
            .definition
            .state(&to)
            .ok_or_else(|| Rejection::RuleMissing(format!("the state '{to}' is not defined")))?;
        draft.change(Change::StateEntered { state: to, phase: state.phase })?;
    }
    draft.lay_hand()?;
    draft.lease(moved)?;
    draft.finish(moved)
}

impl<'c> Draft<'_, 'c> {
    fn change(&mut self, change: Change) -> Result<(), Rejection> {
        self.after
            .change(&self.event, &change)
            .map_err(|error| Rejection::RuleMissing(error.to_string()))?;
        self.event.changes.push(change);
        Ok(())
    }

    fn effect(&mut self, effect: &Effect) -> Result<(), Rejection> {
        let today = self.context.today();
        match effect {
            Effect::StartClock => {
                let length = self.context.definition.clock.working_days;
                self.set_clock(StatutoryClock::start(today, length))
            }
            Effect::StopClock => {
                let calendar = &self.context.rules.calendar;
                self.move_clock(|clock| {
                    let stopped = clock.stop(today).map_err(|error| error.to_string())?;
                    let used = stopped.working_days_used(today, calendar);
                    let used = used.map_err(|missing| missing.to_string())?;
                    Ok::<_, String>(StatutoryClock { used: Some(used), ..stopped })
                })
            }
            Effect::SuspendClock => {
                self.move_clock(|clock| clock.suspend(today, "informationRequested"))
            }
            Effect::ResumeClock => {
                let on = self.resumes_on(today);
                self.move_clock(|clock| clock.resume(on))
            }
            Effect::ExtendClock => self.extend_clock(),
            Effect::WithdrawExtension => {
                self.move_clock_if(|clock| clock.withdraw_extension(today))
            }
            Effect::Warn => {
                self.alerts.push(Alert::DueSoon);
                self.change(Change::Warned)
            }
            Effect::OpenChecks => self.open_checks(),
            Effect::AskOpenChecks => self.ask_open_checks(),
            Effect::RecordFinding => self.record_finding(),
            Effect::OverrideFinding => self.override_finding(),
            Effect::RepeatCheck => self.repeat_check(),
            Effect::AskInformation => self.ask(),
            Effect::RecordAnswers => self.answer(),
            Effect::CloseInformation => self.change(Change::InformationClosed),
            Effect::Remind => {
                self.messages.push("reminder".to_owned());
                self.change(Change::Reminded)
            }
            Effect::CreateCharge(fee) => self.charge(fee),
            Effect::BookPayment => self.book(),
            Effect::ProlongPermit(fee) => self.prolong(fee),
            Effect::AnnulOpenCharges => self.annul_charges(|_| true),
            Effect::DecideGrant => {
                let decision = Decision::Granted {
                    at: self.event.at,
                    by: self.person()?,
                    event: Some(self.event.id),
                };
                self.change(Change::Decided { decision })
            }
            Effect::DecideRefuse => {
                let (grounds, reason) = self.grounds()?;
                let decision = Decision::Refused {
                    at: self.event.at,
                    by: self.person()?,
                    event: Some(self.event.id),
                    grounds,
                    reason,
                };
                self.change(Change::Decided { decision })
            }
            Effect::ProposeAnnulment => {
                let (grounds, reason) = self.grounds()?;
                let proposal = Proposal { by: self.person()?, at: self.event.at, grounds, reason };
                self.change(Change::AnnulmentProposed { proposal })
            }
            Effect::DropProposal => self.change(Change::ProposalDropped),
            Effect::WithdrawDecision => self.change(Change::DecisionWithdrawn),
            Effect::ReopenClock => {
                let undone = self.transition.command == CommandName::Undo;
                self.move_clock(|clock| clock.reopen(today, (!undone).then_some("closed")))
            }
            Effect::CorrectForm => self.correct_form(),
            Effect::ReinstatePermit => {
                self.change(Change::PermitReinstated)?;
                self.restore_duties()?;
                self.change(Change::ProposalDropped)
            }
            Effect::IssuePermit => self.issue(),
            Effect::LapsePermit => {
                let paid = self.after.permit.as_ref().and_then(|permit| permit.paid_through);
                let on = paid.unwrap_or(today) + Days::new(1);
                self.change(Change::PermitEnded { status: PermitStatus::Lapsed, on })
            }
            Effect::ExpirePermit => {
                let end = self.after.permit.as_ref().map(|permit| permit.ends_on);
                let on = end.unwrap_or(today) + Days::new(1);
                self.change(Change::PermitEnded { status: PermitStatus::Expired, on })
            }
            Effect::AnnulPermit => {
                self.change(Change::PermitEnded { status: PermitStatus::Annulled, on: today })?;
                self.breach_duties()
            }
            Effect::RecordRequest => self.record_request(),
            Effect::CloseRequest => {
                // What the permit itself still owes is another matter.
                self.annul_charges(|position| position == FeePosition::OnRequest)?;
                self.change(Change::RequestClosed)
            }
            Effect::PrintBlank => self.print_blank(),
            Effect::ChangeForm => self.change_form(),
            Effect::SurrenderPermit => self.surrender(),
            Effect::SuspendPermit => self.suspend_permit(),
            Effect::ResumePermit => self.resume_permit(),
            Effect::SupersedeReissued => {
                let lasts = |one: &&Reissued| {
                    matches!(one.status, PermitStatus::InForce | PermitStatus::Suspended)
                };
                if let Some(reissued) = self.context.reissued.filter(lasts) {
                    let (application, command) = (reissued.application, CommandName::Supersede);
                    self.questions.push(Job::Timer { application, command });
                }
                Ok(())
            }
            Effect::SupersedePermit => {
                self.change(Change::PermitEnded { status: PermitStatus::Superseded, on: today })
            }
            Effect::RecordComplaint => self.record_complaint(),
            Effect::AnswerComplaint => self.answer_complaint(),
            Effect::Escalate => {
                self.alerts.push(Alert::Overdue);
                let due_on = self.after.due_on.filter(|_| self.after.phase == Phase::Checks);
                let broken = due_on.filter(|due| *due < today);
                self.change(Change::Escalated { broken })
            }
            Effect::Notify(message) => {
                self.messages.push(message.clone());
                Ok(())
            }
            Effect::OpenDuties => self.open_duties(),
            Effect::ReportDuty => self.report_duty(),
            Effect::ConfirmDuty => self.confirm_duty(),
            Effect::RejectDutyProof => self.reject_duty_proof(),
            Effect::ExcuseDuty => self.excuse_duty(),
            Effect::RemindDuties => self.remind_duties(),
            Effect::MarkDutiesOverdue => self.mark_duties_overdue(),
        }
    }

    fn person(&self) -> Result<Uuid, Rejection> {
        self.event
            .actor
            .account()
            .ok_or_else(|| Rejection::RuleMissing("a decision needs a person who makes it".into()))
    }

    /// Gives the command's grounds once each is known to be one that the transition takes.
    fn grounds(&self) -> Result<(Grounds, String), Rejection> {
        let (Command::RefuseIntake { grounds, reason }
        | Command::Refuse { grounds, reason }
        | Command::ProposeAnnulment { grounds, reason }
        | Command::SuspendPermit { grounds, reason }) = self.command
        else {
            return Err(Rejection::RuleMissing("the command carries no grounds".into()));
        };
        let known = &self.transition.grounds;
        let misfits: Vec<Misfit> = grounds
            .iter()
            .enumerate()
            .filter(|(_, code)| !known.contains(code))
            .map(|(index, code)| Misfit {
                pointer: format!("/grounds/{index}"),
                code: "ground-not-allowed",
                detail: format!(
                    "'{code}' is no ground for this; use one of {}.",
                    known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                ),
            })
            .collect();
        if misfits.is_empty() {
            Ok((grounds.clone(), reason.clone()))
        } else {
            Err(Rejection::Misfits(misfits))
        }
    }

    fn set_clock(&mut self, clock: StatutoryClock) -> Result<(), Rejection> {
        let due_on = clock
            .due_on(&self.context.rules.calendar)
            .map_err(|missing| Rejection::RuleMissing(missing.to_string()))?;
        let standard_due_on = clock
            .standard_due_on(&self.context.rules.calendar)
            .map_err(|missing| Rejection::RuleMissing(missing.to_string()))?;
        self.change(Change::ClockSet { clock, due_on, standard_due_on })
    }

    fn move_clock<E: std::fmt::Display>(
        &mut self,
        moved: impl FnOnce(&StatutoryClock) -> Result<StatutoryClock, E>,
    ) -> Result<(), Rejection> {
        // Before acceptance there is no clock to stop.
        let Some(clock) = &self.after.clock else { return Ok(()) };
        let clock = moved(clock).map_err(|error| Rejection::RuleMissing(error.to_string()))?;
        self.set_clock(clock)
    }

    /// As `move_clock`, where a person asks for what the clock may refuse.
    fn move_clock_if(
        &mut self,
        moved: impl FnOnce(&StatutoryClock) -> Result<StatutoryClock, ClockError>,
    ) -> Result<(), Rejection> {
        let clock = self.after.clock.as_ref();
        let clock = clock.ok_or_else(|| Rejection::RuleMissing("there is no clock".into()))?;
        let clock = moved(clock).map_err(|error| {
            Rejection::Blocked(vec![Blocked {
                guard: "clock",
                detail: error.to_string(),
                parts: Vec::new(),
            }])
        })?;
        self.set_clock(clock)
    }

    fn extend_clock(&mut self) -> Result<(), Rejection> {
        let Command::ExtendClock { working_days, reason, basis } = self.command else {
            return Err(Rejection::RuleMissing("the command extends nothing".into()));
        };
        let most = self.context.definition.clock.extension_working_days.unwrap_or(0);
        if *working_days > most {
            return Err(Rejection::Misfits(vec![Misfit {
                pointer: "/workingDays".into(),
                code: "too-long",
                detail: format!("The term can be extended by {most} working days at most."),
            }]));
        }
        let extension = Extension {
            working_days: *working_days,
            reason: reason.clone(),
            basis: basis.clone(),
            by: self.person()?,
            on: self.context.today(),
        };
        self.move_clock_if(|clock| clock.extend(extension))
    }

    /// Gives the day on which the clock goes on: today, or, where not all was answered, the last day on which he could
    /// have, but not before the day of his latest answer.
    ///
    /// The timer comes after that day, and late when it was down; the law's days do not wait for it.
    fn resumes_on(&self, today: NaiveDate) -> NaiveDate {
        if !matches!(self.event.actor, Actor::Timer) {
            return today;
        }
        // The state is entered with the request and left with its end.
        let answers = self.after.information.iter().filter_map(|item| item.answered_at);
        let answers = answers.filter(|at| *at >= self.after.state_since);
        let answered_on = answers.max().map(|at| self.context.local_date(at));
        let last = deadlines::last_open(&self.before.information).max(answered_on);
        last.map_or(today, |last| last.min(today))
    }

    fn open_checks(&mut self) -> Result<(), Rejection> {
        let today = self.context.today();
        let checks = self
            .context
            .definition
            .checks
            .iter()
            .map(|rule| {
                let due_on =
                    self.context.rules.calendar.add_working_days(today, rule.due_working_days)?;
                Ok(Check {
                    id: rule.id.clone(),
                    asked_at: self.event.at,
                    due_on,
                    finding: None,
                    overridden: None,
                    round: 1,
                    before: None,
                })
            })
            .collect::<Result<Vec<_>, crate::domain::calendar::MissingYear>>()
            .map_err(|missing| Rejection::RuleMissing(missing.to_string()))?;
        self.change(Change::ChecksOpened { checks })?;
        let rules = &self.context.definition.checks;
        rules.iter().try_for_each(|rule| self.pose(rule, 1))
    }

    /// Puts a check to whom it is for: the engine answers a local one at once, a register is asked by a job; an officer
    /// finds his in the queue.
    fn pose(&mut self, rule: &CheckRule, round: u32) -> Result<(), Rejection> {
        match &rule.source {
            CheckSource::Officer => Ok(()),
            CheckSource::Register(register) => {
                if self.context.registers.contains(register) {
                    self.questions.push(Job::AskRegister {
                        application: self.after.id,
                        check: rule.id.clone(),
                        round,
                        register: register.clone(),
                    });
                }
                Ok(())
            }
            CheckSource::Local(check) => {
                let handed_in = self.after.submitted_at.unwrap_or(self.event.at);
                let found = local::find(
                    *check,
                    &Scene {
                        form: &self.after.form,
                        handed_in_on: self.context.local_date(handed_in),
                        today: self.context.today(),
                        definition: self.context.definition,
                        grounds: &self.context.rules.grounds,
                        twins: self.context.twins,
                    },
                );
                let known = found.reason.filter(|reason| rule.reason(reason).is_some());
                let finding = Finding {
                    outcome: found.outcome,
                    answered_at: self.event.at,
                    answered_by: None,
                    note: found.note,
                    reason: known.map(str::to_owned),
                    digest: None,
                };
                self.change(Change::FindingRecorded {
                    check: rule.id.clone(),
                    finding,
                    before: None,
                })
            }
        }
    }

    fn repeat_check(&mut self) -> Result<(), Rejection> {
        let Command::RepeatCheck { check, .. } = self.command else {
            return Err(Rejection::RuleMissing("the command repeats no check".into()));
        };
        self.known_check(check)?;
        let rule = self.check_rule(check)?;
        let round = self.ask_again(rule)?;
        self.pose(rule, round)
    }

    /// Asks again what waits for an answer where a correction leads back to checks: while the application was over, no
    /// register was asked.
    ///
    /// Within the hour of `undo` what registers said stands. Later they are all asked anew, and so is the engine; what an
    /// officer answered or set aside stays.
    fn ask_open_checks(&mut self) -> Result<(), Rejection> {
        let at_once = self.transition.command == CommandName::Undo;
        for rule in &self.context.definition.checks {
            let Some(known) = self.after.checks.iter().find(|known| known.id == rule.id) else {
                continue;
            };
            let officers = known.overridden.is_some()
                || known.finding.as_ref().is_some_and(|found| found.answered_by.is_some());
            let stands = officers || (at_once && known.finding.is_some());
            if !stands && rule.source != CheckSource::Officer {
                let round = self.ask_again(rule)?;
                self.pose(rule, round)?;
            }
        }
        Ok(())
    }

    /// Forgets a check's answer and asks it another time; gives which time it is. Who is to answer is not told yet.
    ///
    /// An answer that speaks for refusing, and is not the caller's own, is held against the applicant until its source
    /// or a senior officer has answered: else asking again would clear it.
    fn ask_again(&mut self, rule: &CheckRule) -> Result<u32, Rejection> {
        let check = &rule.id;
        let known = self.known_check(check)?;
        let (round, before) = (known.round, known.held_against(rule, self.event.actor.account()));
        let due_on = self
            .context
            .rules
            .calendar
            .add_working_days(self.context.today(), rule.due_working_days)
            .map_err(|missing| Rejection::RuleMissing(missing.to_string()))?;
        if let CheckSource::Register(register) = &rule.source {
            let (application, register) = (self.after.id, register.clone());
            let earlier = Job::AskRegister { application, check: check.clone(), round, register };
            self.pointless.push(earlier.key());
        }
        let asked = Check {
            id: check.clone(),
            asked_at: self.event.at,
            due_on,
            finding: None,
            overridden: None,
            round: round + 1,
            before,
        };
        self.change(Change::CheckRepeated { check: asked })?;
        Ok(round + 1)
    }

    fn check_rule(&self, check: &str) -> Result<&'c CheckRule, Rejection> {
        self.context
            .definition
            .check(check)
            .ok_or_else(|| Rejection::RuleMissing(format!("the check '{check}' is not defined")))
    }

    fn known_check(&self, check: &str) -> Result<&Check, Rejection> {
        self.after.checks.iter().find(|known| known.id == check).ok_or_else(|| {
            let known: Vec<&str> =
                self.after.checks.iter().map(|known| known.id.as_str()).collect();
            Rejection::Misfits(vec![Misfit {
                pointer: "/check".into(),
                code: "unknown-check",
                detail: format!("The checks of this application are {}.", known.join(", ")),
            }])
        })
    }

    fn record_finding(&mut self) -> Result<(), Rejection> {
        let Command::RecordFinding { check, outcome, reason, note, digest } = self.command else {
            return Err(Rejection::RuleMissing("the command carries no finding".into()));
        };
        let known = self.known_check(check)?.clone();
        let rule = self.check_rule(check)?;
        let finding = Finding {
            outcome: *outcome,
            answered_at: self.event.at,
            answered_by: self.event.actor.account(),
            note: note.clone(),
            reason: reason.clone(),
            digest: digest.clone(),
        };
        reason_fits(rule, &finding)?;
        let before = if let Actor::Register { name } = &self.event.actor {
            register_may_answer(rule, name, &known, &finding)?;
            // That it did not answer clears nothing away.
            known.before.filter(|_| is_silent(&finding))
        } else {
            officer_may_answer(rule, &known, &finding, self.event.actor.is_senior())?
        };
        self.change(Change::FindingRecorded { check: check.clone(), finding, before })
    }

    fn override_finding(&mut self) -> Result<(), Rejection> {
        let Command::OverrideFinding { check, reason } = self.command else {
            return Err(Rejection::RuleMissing("the command overrides no finding".into()));
        };
        let known = self.known_check(check)?;
        let blocks = self.context.definition.check(check).is_some_and(|rule| {
            known
                .finding
                .as_ref()
                .is_some_and(|found| known.before.is_some() || blocking(rule, found).is_some())
        });
        if !blocks {
            return Err(Rejection::Misfits(vec![Misfit {
                pointer: "/check".into(),
                code: "nothing-to-override",
                detail: format!("The check '{check}' has no answer that blocks."),
            }]));
        }
        let overridden = Override { by: self.person()?, at: self.event.at, reason: reason.clone() };
        self.change(Change::FindingOverridden { check: check.clone(), overridden })
    }

    fn ask(&mut self) -> Result<(), Rejection> {
        let Command::RequestInformation { items } = self.command else {
            return Err(Rejection::RuleMissing("the command asks for nothing".into()));
        };
        let today = self.context.today();
        // The clock stands still until then: a date of a far year is a slip of the pen.
        let last = add_months(today, 12);
        let misfits: Vec<Misfit> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                let (code, detail) = if item.due_on <= today {
                    let detail = format!("Give the applicant time: a date after {today}.");
                    ("date-not-in-future", detail)
                } else if item.due_on > last {
                    ("date-too-late", format!("Name a date within a year, until {last}."))
                } else {
                    return None;
                };
                Some(Misfit { pointer: format!("/items/{index}/dueOn"), code, detail })
            })
            .chain(information::unfit_items(items, &self.after, self.context))
            .collect();
        if !misfits.is_empty() {
            return Err(Rejection::Misfits(misfits));
        }
        let mut number = self.after.information.iter().map(|item| item.item).max().unwrap_or(0);
        let items = items
            .iter()
            .map(|asked| {
                number += 1;
                InformationItem {
                    item: number,
                    kind: asked.kind,
                    subject: asked.subject.clone(),
                    reason: asked.reason.clone(),
                    due_on: asked.due_on,
                    answer: None,
                    answered_at: None,
                    closed: false,
                    expired: false,
                    check: asked.check.clone(),
                    document: asked.document.clone(),
                    field: asked.field.clone(),
                    amended: Vec::new(),
                }
            })
            .collect();
        self.change(Change::InformationAsked { items })
    }

    /// Annuls the open charges of fees in some positions.
    fn annul_charges(&mut self, annuls: impl Fn(FeePosition) -> bool) -> Result<(), Rejection> {
        let definition = self.context.definition;
        let open: Vec<Uuid> = self
            .after
            .charges
            .iter()
            .filter(|charge| charge.status == ChargeStatus::Open)
            .filter(|charge| definition.fee(&charge.fee).is_none_or(|fee| annuls(fee.position)))
            .map(|charge| charge.id)
            .collect();
        open.into_iter().try_for_each(|charge| self.change(Change::ChargeAnnulled { charge }))
    }

    fn charge(&mut self, fee: &str) -> Result<(), Rejection> {
        let missing = |what: &str| Rejection::RuleMissing(what.to_owned());
        let rule =
            self.context.definition.fee(fee).ok_or_else(|| missing("the fee is not defined"))?;
        let months = match rule.position {
            // The next month, while there is one.
            FeePosition::WhileInForce => match &self.after.permit {
                Some(permit) if months::left(permit) > 0 => 1,
                Some(_) | None => return Ok(()),
            },
            FeePosition::BeforeAcceptance | FeePosition::BeforeHandover if rule.per_month => {
                self.after.form.prepaid_months.unwrap_or(1)
            }
            FeePosition::BeforeAcceptance
            | FeePosition::BeforeHandover
            | FeePosition::OnRequest => 1,
        };
        let price = self
            .context
            .rules
            .rates
            .price(&rule.rate, &self.context.unit.region, self.context.today(), months)
            .map_err(|error| Rejection::RuleMissing(error.to_string()))?;
        if price.amount == Money::ZERO {
            return Err(missing("a charge of nothing can never be paid; mend the rate"));
        }
        let serial = self
            .context
            .supplies
            .charge_serial
            .ok_or_else(|| missing("no serial number for a charge was supplied"))?;
        let unit = self.context.unit;
        let requisites = self.context.rules.payees.find(
            &rule.rate,
            &unit.code,
            &unit.region,
            self.context.today(),
        );
        let charge = Charge {
            id: self.context.supplies.charge,
            fee: fee.to_owned(),
            uin: Uin::compose(ADMINISTRATOR, serial),
            amount: price.amount,
            rule: price.rule,
            created_at: self.event.at,
            paid: Money::ZERO,
            status: ChargeStatus::Open,
            change: ChangeStatus::New,
            acknowledgement: Acknowledgement::NotMatched,
            requisites: requisites.map(Box::new),
            outside: Money::ZERO,
            revision: None,
        };
        // Somebody may have paid before he was asked to.
        self.questions.push(Job::MatchWaiting { application: self.after.id, event: self.event.id });
        self.change(Change::ChargeCreated { charge })
    }

    fn book(&mut self) -> Result<(), Rejection> {
        let Command::RecordPayment { payment } = self.command else {
            return Err(Rejection::RuleMissing("the command carries no payment".into()));
        };
        let Payment { provider_id, amount, .. } = payment;
        if let Some(change) = self.agreed.and_then(|agreed| agreed.change.clone()) {
            return self.change(change);
        }
        self.price_months(payment)?;
        // The guard has found that the payment is for one of these.
        let charge = self
            .after
            .charges
            .iter()
            .find(|charge| payment.is_for(charge))
            .ok_or_else(|| Rejection::RuleMissing("the payment's charge is gone".into()))?;
        // What is paid beyond the charge is not booked on it: it waits to be given back.
        let booked = (*amount).min(charge.outstanding());
        let status = if *amount >= charge.outstanding() {
            ChargeStatus::Settled
        } else {
            ChargeStatus::Open
        };
        let charge = charge.id;
        let acknowledged = self.agreed.map(|agreed| &agreed.revision.kind);
        if let Some(RevisionKind::Acknowledge { document, paid_on }) = acknowledged {
            let (document, paid_on) = (document.clone(), *paid_on);
            return self.change(Change::ChargeAcknowledged {
                charge,
                amount: booked,
                document,
                paid_on,
            });
        }
        self.change(Change::PaymentBooked {
            charge,
            payment: provider_id.clone(),
            amount: booked,
            status,
            forced: payment.matched.is_some(),
        })
    }

    /// Has the bill of the next month say what the payment pays of: the price of its day, and all its months.
    fn price_months(&mut self, payment: &Payment) -> Result<(), Rejection> {
        let fee = self.transition.guards.iter().find_map(|guard| match guard {
            Guard::PaymentProlongs(fee) | Guard::PaymentFallsShort(fee) => Some(fee),
            _ => None,
        });
        let Some(fee) = fee else { return Ok(()) };
        let paid = months::prolongation(self.before, fee, payment, self.context)
            .map_err(Rejection::RuleMissing)?;
        if self.after.charges.iter().any(|one| one.id == paid.charge && one.amount == paid.amount) {
            return Ok(());
        }
        self.change(Change::ChargeClarified {
            charge: paid.charge,
            amount: paid.amount,
            rule: paid.rule,
            requisites: None,
        })
    }

    fn prolong(&mut self, fee: &str) -> Result<(), Rejection> {
        let Command::RecordPayment { payment } = self.command else {
            return Err(Rejection::RuleMissing("the command carries no payment".into()));
        };
        let paid = months::prolongation(self.before, fee, payment, self.context)
            .map_err(Rejection::RuleMissing)?;
        self.change(Change::PermitProlonged { paid_through: paid.paid_through })
    }

    fn issue(&mut self) -> Result<(), Rejection> {
        let missing = |what: &str| Rejection::RuleMissing(what.to_owned());
        let rule = &self.context.definition.permit;
        let form = &self.after.form;
        let person = form.person.as_ref().ok_or_else(|| missing("a permit needs a holder"))?;
        let issued_on = self.context.today();
        let longest = match rule.term {
            PermitTerm::Months(months) => add_months(issued_on, months),
            PermitTerm::ContractUpToYears(years) => {
                let longest = add_months(issued_on, years * 12);
                let contract = form.contract.as_ref().and_then(|contract| contract.ends_on);
                contract.map_or(longest, |end| end.min(longest))
            }
        };
        // A permit outlives neither the contract nor the passport it is issued on.
        let ends_on = form.passport.as_ref().map_or(longest, |one| one.expires_on.min(longest));
        if ends_on < issued_on {
            return Err(Rejection::Misfits(vec![Misfit {
                pointer: "/command".into(),
                code: "nothing-left-of-the-term",
                detail: format!(
                    "The contract or the passport ended on {ends_on}; it must be renewed first."
                ),
            }]));
        }
        let paid_through = rule
            .paid_by
            .as_ref()
            .map(|_| add_months(issued_on, form.prepaid_months.unwrap_or(1)).min(ends_on));
        let serial = self
            .context
            .supplies
            .permit_serial
            .ok_or_else(|| missing("no serial number for a permit was supplied"))?;
        let permit = Permit {
            number: PermitNumber::compose(&self.context.unit.region, serial),
            status: PermitStatus::InForce,
            holder_name: person.full_name(),
            territory: self.context.unit.region.clone(),
            profession: form.occupation.as_ref().map(|occupation| occupation.title.clone()),
            issued_on,
            paid_through,
            ends_on,
            closed_on: None,
            suspended_on: None,
        };
        self.change(Change::PermitIssued { permit })?;
        self.print_blank()
    }

    /// Remembers who gave a command that some transition's four eyes look at.
    fn lay_hand(&mut self) -> Result<(), Rejection> {
        let command = self.transition.command;
        let watched = self
            .context
            .definition
            .transitions
            .iter()
            .any(|transition| transition.four_eyes.contains(&command));
        if !watched {
            return Ok(());
        }
        // Of what two officers agreed on, both have laid hands on it.
        let first = self.agreed.map(|agreed| agreed.revision.proposed_by);
        let hands = first.into_iter().chain(self.event.actor.account());
        hands
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|by| self.change(Change::HandLaid { command, by }))
    }

    /// A lease ends with the state it was taken in, and when its holder has checked all that he may not decide; his work
    /// in the state renews it.
    fn lease(&mut self, moved: bool) -> Result<(), Rejection> {
        let Some(claim) = &self.after.claim else { return Ok(()) };
        if moved {
            return self.change(Change::ClaimReleased);
        }
        let (by, renewed) = (claim.by, claim.renewed(self.context.now + self.context.lease));
        if self.event.actor.account() == Some(by) {
            if super::is_done_with(&self.after, by, self.context) {
                return self.change(Change::ClaimReleased);
            }
            self.change(renewed)?;
        }
        Ok(())
    }

    fn finish(self, moved: bool) -> Result<Step, Rejection> {
        let dates_moved = self.event.changes.iter().any(|change| {
            matches!(
                change,
                Change::StateEntered { .. }
                    | Change::ClockSet { .. }
                    | Change::InformationAsked { .. }
                    | Change::InformationAnswered { .. }
                    | Change::PermitIssued { .. }
                    | Change::DutySet { .. }
                    | Change::PermitProlonged { .. }
            )
        });
        let mut schedule =
            if dates_moved { deadlines::schedule(&self.after, self.context)? } else { Vec::new() };
        // What was paid to the end has no more paid day to wait for.
        let prolonged =
            self.event.changes.iter().any(|c| matches!(c, Change::PermitProlonged { .. }));
        let duties_moved = self.before.duties != self.after.duties;
        let mut call_off = match (moved || prolonged, duties_moved) {
            (true, _) => deadlines::keys(self.before, self.context),
            (false, true) => deadlines::duty_keys(self.before, self.context),
            (false, false) => Vec::new(),
        };
        call_off.extend(self.pointless);
        call_off.retain(|key| !schedule.iter().any(|scheduled| scheduled.job.key() == *key));
        schedule.extend(self.messages.iter().map(|message| Scheduled {
            job: Job::Mail {
                application: self.after.id,
                message: message.clone(),
                event: self.event.id,
            },
            run_at: self.event.at,
        }));
        let run_at = self.event.at;
        schedule.extend(self.questions.into_iter().map(|job| Scheduled { job, run_at }));
        schedule.extend(self.alerts.iter().map(|alert| Scheduled {
            job: Job::Alert { application: self.after.id, alert: *alert, event: self.event.id },
            run_at: self.event.at,
        }));
        let mut after = self.after;
        after.version = self.event.seq;
        let papers = PaperKind::ALL.into_iter();
        let papers = papers.filter(|paper| paper.is_called_for(&self.event, after.permit.as_ref()));
        let (application, event) = (after.id, self.event.id);
        schedule.extend(
            papers.map(|paper| Scheduled {
                job: Job::MakePaper { application, paper, event },
                run_at,
            }),
        );
        Ok(Step { schedule, call_off, ..Step::of(self.event, after, self.context) })
    }
}

/// Refuses a reason that the definition does not list for the check, and one for an answer that blocks nothing.
fn reason_fits(rule: &CheckRule, finding: &Finding) -> Result<(), Rejection> {
    let Some(reason) = &finding.reason else { return Ok(()) };
    let misfit = |code, detail| {
        Err(Rejection::Misfits(vec![Misfit { pointer: "/reason".into(), code, detail }]))
    };
    if rule.reason(reason).is_none() {
        let known: Vec<&str> = rule.reasons.iter().map(|one| one.id.as_str()).collect();
        let detail = format!("The reasons of the check '{}' are: {}.", rule.id, known.join(", "));
        return misfit("unknown-reason", detail);
    }
    if of_outcome(rule, finding.outcome).is_none() {
        let outcome = finding.outcome.name();
        let detail =
            format!("The answer '{outcome}' stands in nobody's way; leave the reason out.");
        return misfit("reason-without-need", detail);
    }
    Ok(())
}

/// Tells whether two findings say the same, whoever says it, and in whichever words.
fn says_the_same(one: &Finding, other: &Finding) -> bool {
    one.outcome == other.outcome && one.reason == other.reason
}

/// Tells whether a finding is that its source gave no answer.
fn is_silent(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Error | Outcome::TimedOut)
}

/// An officer replaces answers; one that speaks for refusing, and is not his own, a senior officer sets aside. Gives the
/// one that stays held against the applicant behind another that speaks for refusing.
///
/// Nor does an officer answer where such a one was asked again and nobody has answered since: he would clear it all the
/// same. A senior officer may.
fn officer_may_answer(
    rule: &CheckRule,
    known: &Check,
    new: &Finding,
    senior: bool,
) -> Result<Option<Finding>, Rejection> {
    let refuse = Some(Consequence::Refuse);
    let held = known.held_against(rule, new.answered_by);
    if blocking(rule, new) == refuse || held.is_none() {
        return Ok(held);
    }
    let check = &known.id;
    let standing = known.stands_in_the_way(rule) == refuse;
    let detail = if standing {
        format!(
            "The answer to '{check}' speaks for refusing. Let a senior officer set it aside with overrideFinding, or ask \
             again with repeatCheck and wait for the answer."
        )
    } else if senior {
        return Ok(None);
    } else {
        format!(
            "The answer to '{check}' spoke for refusing until it was asked again. Wait for the new answer, or let a senior \
             officer record one."
        )
    };
    Err(Rejection::Blocked(vec![Blocked::of_check("overrideNeeded", check, detail)]))
}

/// A register answers its own checks, once for all: the same outcome for the same reason is no other answer, whatever its
/// note and its bytes, and what was set aside stays so. What it says against the applicant always counts; it never clears
/// what an officer holds against him, and that it did not answer takes the place of no answer.
fn register_may_answer(
    rule: &CheckRule,
    register: &str,
    known: &Check,
    new: &Finding,
) -> Result<(), Rejection> {
    let blocked = |guard, detail: &str| {
        Err(Rejection::Blocked(vec![Blocked::of_check(guard, &known.id, detail.to_owned())]))
    };
    if rule.register() != Some(register) {
        return Err(Rejection::Misfits(vec![Misfit {
            pointer: "/check".into(),
            code: "not-its-check",
            detail: format!("The register '{register}' is not asked by the check '{}'.", known.id),
        }]));
    }
    let Some(had) = &known.finding else { return Ok(()) };
    if had.answered_by.is_none() && says_the_same(had, new) {
        return blocked(ALREADY_ANSWERED, "This answer was taken before.");
    }
    if is_silent(new) && !is_silent(had) {
        return blocked(
            ANSWER_STANDS,
            "There is an answer; that the register gave none changes nothing.",
        );
    }
    let officers = had.answered_by.is_some() && blocking(rule, had).is_some();
    if officers && blocking(rule, new).is_none() {
        return blocked(
            ANSWER_STANDS,
            "An officer's answer that blocks is not cleared by a register.",
        );
    }
    Ok(())
}
