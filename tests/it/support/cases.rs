//! Applications in every state of every definition, made by the engine itself: pure, no database.

use std::cell::Cell;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use propusk::clock::{Clock, FixedClock};
use propusk::domain::actor::{Actor, Party, Role};
use propusk::domain::after_life::{ComplaintKind, DuplicateCause};
use propusk::domain::application::{Application, Document, InformationKind};
use propusk::domain::checks::Outcome;
use propusk::domain::duty::{DutyStatus, Notice, NoticeKind};
use propusk::domain::event::Event;
use propusk::domain::fee::{ChargeStatus, Money, Payment, Uin};
use propusk::domain::form::{Form, Occupation};
use propusk::domain::ground::{GroundCode, Grounds};
use propusk::domain::identity::Inn;
use propusk::domain::reference::Reference;
use propusk::domain::rules::Rulebook;
use propusk::domain::workflow::command::{Answer, Command, Judgment, RequestedItem};
use propusk::domain::workflow::definition::{CommandName, Definition, Guard, Transition};
use propusk::domain::workflow::engine::{
    self, Context, Opening, Rejection, Step, Supplies, Unit, decide,
};
use propusk::domain::workflow::proof;
use uuid::Uuid;

use super::office::{finding, form, rulebook, start};

/// How long a lease lasts here.
pub const LEASE: TimeDelta = TimeDelta::minutes(30);

/// The person who opens the applications.
pub const APPLICANT: Uuid = Uuid::from_u128(1);

/// An account; officers of unit 77 unless made by [`elsewhere`].
pub fn user(number: u128, role: Role) -> Actor {
    let unit = role.is_office().then(|| "77".to_owned());
    Actor::User { id: Uuid::from_u128(number), role, unit }
}

/// The same of another unit.
pub fn elsewhere(number: u128, role: Role) -> Actor {
    Actor::User { id: Uuid::from_u128(number), role, unit: Some("78".to_owned()) }
}

/// What the engine needs besides a case.
pub struct Bench {
    pub rules: Arc<Rulebook>,
    unit: Unit,
    ids: FixedClock,
    serial: Cell<u64>,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            rules: rulebook(),
            unit: Unit {
                code: "77".into(),
                title: "Moscow".into(),
                region: "77".into(),
                time_zone: chrono_tz::Europe::Moscow,
            },
            ids: FixedClock::new(start(), 11),
            serial: Cell::new(0),
        }
    }

    fn context<'a>(&'a self, definition: &'a Definition, now: DateTime<Utc>) -> Context<'a> {
        self.serial.set(self.serial.get() + 1);
        Context {
            rules: &self.rules,
            definition,
            unit: &self.unit,
            now,
            lease: LEASE,
            registers: &NO_REGISTERS,
            other_open: false,
            twins: &[],
            reissued: None,
            supplies: Supplies {
                event: self.ids.new_id(),
                charge: self.ids.new_id(),
                charge_serial: Some(self.serial.get()),
                permit_serial: Some(self.serial.get()),
                blank_serial: Some(self.serial.get()),
            },
        }
    }

    /// Opens an application with this form.
    pub fn open(&self, definition: &Definition, role: Role, form: Form) -> Case<'_> {
        let definition =
            self.rules.definitions.iter().find(|known| known.track == definition.track).unwrap();
        let context = self.context(definition, start());
        let actor = Actor::User { id: APPLICANT, role, unit: None };
        let opening =
            Opening { id: self.ids.new_id(), reference: Reference::from_random([7; 8]), form };
        let step = engine::open(opening, &actor, &context).unwrap();
        Case {
            bench: self,
            definition,
            applicant: actor,
            application: step.after,
            events: vec![step.event],
            now: start(),
        }
    }

    /// Opens an application that lacks nothing.
    pub fn draft(&self, definition: &Definition, role: Role) -> Case<'_> {
        let mut case = self.open(definition, role, form("FA1234567"));
        for rule in case.definition.documents.iter().filter(|rule| rule.required) {
            let step = engine::attach_document(
                &case.application,
                document(&rule.id),
                &case.applicant,
                &case.context(),
            );
            case.take(step.unwrap());
        }
        case
    }

    /// Drives an application along the shortest path to a state.
    pub fn in_state(&self, definition: &Definition, role: Role, state: &str) -> Case<'_> {
        let mut case = self.draft(definition, role);
        let path = proof::paths(definition).into_iter().find(|path| path.to == state).unwrap();
        for step in path.steps {
            let transition = case
                .definition
                .transitions_for(&step.from, step.command)
                .find(|transition| transition.target(&step.from) == step.to)
                .unwrap();
            case.walk(transition, &mut case_giver);
            assert_eq!(case.application.state, step.to);
        }
        case
    }
}

/// Who gives a command on a path: each command somebody else, so that no four eyes are in the way.
pub fn case_giver(command: CommandName) -> Actor {
    let index = CommandName::ALL.iter().position(|known| *known == command).unwrap();
    user(1000 + u128::try_from(index).unwrap(), Role::SeniorOfficer)
}

/// An application with the history that made it.
#[derive(Clone)]
pub struct Case<'b> {
    pub bench: &'b Bench,
    pub definition: &'b Definition,
    pub applicant: Actor,
    pub application: Application,
    pub events: Vec<Event>,
    pub now: DateTime<Utc>,
}

impl Case<'_> {
    pub fn context(&self) -> Context<'_> {
        self.bench.context(self.definition, self.now)
    }

    pub fn today(&self) -> NaiveDate {
        self.context().today()
    }

    /// When a command of the timer is due: a warning on the last day of the term, anything else long after it.
    pub fn when_due(&self, command: CommandName) -> DateTime<Utc> {
        let due = self.application.due_on.filter(|_| command == CommandName::Warn);
        let noon = due.and_then(|due| due.and_hms_opt(9, 0, 0)).map(|noon| noon.and_utc());
        noon.filter(|noon| *noon > self.now).unwrap_or(self.now + late(command))
    }

    pub fn decide(&self, command: &Command, actor: &Actor) -> Result<Step, Rejection> {
        decide(&self.application, command, actor, &self.context())
    }

    pub fn claim(&self, actor: &Actor) -> Result<Step, Rejection> {
        engine::claim(&self.application, actor, &self.context())
    }

    pub fn release(&self, actor: &Actor) -> Result<Step, Rejection> {
        engine::release(&self.application, Some("away"), actor, &self.context())
    }

    /// Records what was decided, as storage would: the event is folded, and must give what the engine said.
    pub fn take(&mut self, step: Step) {
        self.application.apply(&step.event).unwrap();
        assert_eq!(self.application, step.after, "an event does not say what it did");
        self.events.push(step.event);
    }

    pub fn give(&mut self, command: &Command, actor: &Actor) {
        let step = self.decide(command, actor);
        let name = command.name().name();
        self.take(step.unwrap_or_else(|no| panic!("{name} by {actor:?}: {no:?}")));
    }

    /// Answers every check: the first one with a hit that was set aside, the others clear.
    pub fn clear_checks(&mut self, giver: &mut dyn FnMut(CommandName) -> Actor) {
        let ids: Vec<String> = self.application.checks.iter().map(|one| one.id.clone()).collect();
        for (index, check) in ids.iter().enumerate() {
            let outcome = if index == 0 { Outcome::Hit } else { Outcome::Clear };
            self.give(&finding(check, outcome), &giver(CommandName::RecordFinding));
        }
        let command =
            Command::OverrideFinding { check: ids[0].clone(), reason: "a namesake".into() };
        self.give(&command, &giver(CommandName::OverrideFinding));
    }

    /// Hands in what proves the duties after issue.
    pub fn hand_in_proofs(&mut self) {
        let duties = self.definition.permit.duties.iter();
        for kind in duties.filter_map(|duty| duty.proof.as_deref()) {
            let step = engine::attach_document(
                &self.application,
                document(kind),
                &self.applicant,
                &self.context(),
            );
            self.take(step.unwrap());
        }
    }

    /// Does what the guards of a transition ask for: answers checks, pays what is asked for after issue, proves a change.
    pub fn prepare(&mut self, transition: &Transition) {
        if transition.guards.contains(&Guard::ChecksClear) {
            self.clear_checks(&mut case_giver);
        }
        let owes = self.application.charges.iter().any(|one| one.status == ChargeStatus::Open);
        let after_issue = self.application.after_life.request.is_some();
        if owes
            && after_issue
            && transition.guards.iter().any(|g| matches!(g, Guard::FeeSettled(_)))
        {
            let pay = commands(&self.application, self.definition, self.today());
            let pay = pay.into_iter().find(|(label, _)| label == "recordPayment").unwrap().1;
            self.give(&pay, &Actor::Payments);
        }
        if transition.guards.contains(&Guard::ChangeProven) {
            let kind = self.definition.documents[0].id.clone();
            let mut proof = document(&kind);
            proof.attached_at = self.now + TimeDelta::seconds(1);
            let step =
                engine::attach_document(&self.application, proof, &self.applicant, &self.context());
            self.take(step.unwrap());
        }
    }

    /// Takes one transition, doing first what its guards ask for.
    pub fn walk(&mut self, transition: &Transition, giver: &mut dyn FnMut(CommandName) -> Actor) {
        self.prepare(transition);
        let extended =
            self.application.clock.as_ref().is_some_and(|clock| clock.extension.is_some());
        if extended && transition.guards.contains(&Guard::NotExtended) {
            let back = Command::WithdrawExtension { reason: "sooner".into() };
            self.give(&back, &giver(CommandName::WithdrawExtension));
        }
        if !extended && transition.guards.contains(&Guard::Extended) {
            let extend = Command::ExtendClock {
                working_days: 1,
                reason: "long".into(),
                basis: "order".into(),
            };
            self.give(&extend, &giver(CommandName::ExtendClock));
        }
        if transition.command == CommandName::OverrideFinding {
            let check = self.application.checks[0].id.clone();
            self.give(&finding(&check, Outcome::Hit), &case_giver(CommandName::RecordFinding));
        }
        let about_duties = matches!(
            transition.command,
            CommandName::ReportDuty | CommandName::ConfirmDuty | CommandName::RejectDutyProof
        );
        if about_duties {
            self.hand_in_proofs();
        }
        if matches!(transition.command, CommandName::ConfirmDuty | CommandName::RejectDutyProof) {
            let applicant = self.applicant.clone();
            self.give(&report("employerNotice", Some(self.today())), &applicant);
        }
        let party = transition.actors[0];
        let actor = match party {
            Party::Applicant => self.applicant.clone(),
            Party::Timer => Actor::Timer,
            Party::Register => Actor::Register { name: REGISTER.into() },
            Party::Payments | Party::Officer | Party::SeniorOfficer => giver(transition.command),
        };
        if party == Party::Timer {
            self.now = self.when_due(transition.command);
        }
        let command = commands(&self.application, self.definition, self.today())
            .into_iter()
            .find(|(label, command)| {
                let short = transition.guards.iter().any(|guard| {
                    matches!(
                        guard,
                        Guard::PaymentLeavesOpen(_)
                            | Guard::PaymentFallsShort(_)
                            | Guard::AnswersIncomplete
                    )
                });
                command.name() == transition.command && label.ends_with("in part") == short
            })
            .unwrap()
            .1;
        self.give(&command, &actor);
    }
}

/// In these tests officers answer every check.
static NO_REGISTERS: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();

/// After how long a command of the timer is due, whatever the state: long enough for each, within the calendars.
pub fn late(command: CommandName) -> TimeDelta {
    TimeDelta::days(match command {
        CommandName::Expire => 1200,
        CommandName::RemindDuty | CommandName::DutyOverdue => 70,
        _ => 45,
    })
}

/// Every command with contents that fit the application where anything does, then those that never fit.
pub fn commands(
    application: &Application,
    definition: &Definition,
    today: NaiveDate,
) -> Vec<(String, Command)> {
    let first = application.checks.first().map(|check| &check.id);
    let check = first.unwrap_or(&definition.checks[0].id).clone();
    let ask = |due_on| Command::RequestInformation {
        items: ["page 2", "page 3"]
            .map(|subject| RequestedItem {
                kind: InformationKind::Document,
                subject: subject.into(),
                reason: "illegible".into(),
                due_on,
                check: None,
                document: None,
                field: None,
            })
            .into(),
    };
    let open: Vec<Answer> = application
        .information
        .iter()
        .filter(|item| item.is_open())
        .map(|item| Answer { item: item.item, text: "here".into(), form: None })
        .collect();
    let charge = application
        .charges
        .iter()
        .rev()
        .find(|charge| charge.outstanding() > Money::ZERO)
        .or(application.charges.last());
    let known = charge.map_or_else(|| Uin::compose("188", 999), |charge| charge.uin.clone());
    let due = charge.map_or(100, |charge| charge.outstanding().kopecks().max(1));
    let pay = |uin: Uin, kopecks: i64| Command::RecordPayment {
        payment: Payment {
            provider_id: format!("{}:{}", application.id, application.version),
            uin: Some(uin),
            amount: Money::from_kopecks(kopecks).unwrap(),
            paid_at: start(),
            payer: None,
            ..Payment::default()
        },
    };
    let said = || "said".to_owned();
    let reported = application.duties.iter().find(|one| one.status == DutyStatus::Reported);
    let looked_at = reported.map_or(1, |one| one.number);
    let mut all = vec![
        ("submit", Command::Submit),
        ("withdraw", Command::Withdraw { reason: None }),
        ("refuseIntake", Command::RefuseIntake { grounds: grounds("I01"), reason: said() }),
        ("accept", Command::Accept),
        ("extendClock", Command::ExtendClock { working_days: 5, reason: said(), basis: said() }),
        ("withdrawExtension", Command::WithdrawExtension { reason: said() }),
        ("recordFinding", finding(&check, Outcome::Clear)),
        ("recordFinding of the register", of_the_register()),
        ("overrideFinding", Command::OverrideFinding { check: check.clone(), reason: said() }),
        ("repeatCheck", Command::RepeatCheck { check, reason: said() }),
        ("requestInformation", ask(today + Days::new(10))),
        ("answerInformation", Command::AnswerInformation { answers: open.clone() }),
        (
            "answerInformation in part",
            Command::AnswerInformation { answers: open.into_iter().take(1).collect() },
        ),
        ("grant", Command::Grant),
        ("refuse", Command::Refuse { grounds: grounds("G01"), reason: said() }),
        ("recordPayment", pay(known.clone(), due)),
        ("recordPayment in part", pay(known, (due / 2).max(1))),
        ("handOver", Command::HandOver),
        ("proposeAnnulment", Command::ProposeAnnulment { grounds: grounds("G01"), reason: said() }),
        ("confirmAnnulment", Command::ConfirmAnnulment),
        ("rejectAnnulment", Command::RejectAnnulment { reason: said() }),
        (
            "requestDuplicate",
            Command::RequestDuplicate { cause: DuplicateCause::Lost, reason: said() },
        ),
        ("issueDuplicate", Command::IssueDuplicate),
        ("requestChange", change(application)),
        ("makeChange", Command::MakeChange),
        ("surrender", Command::Surrender { reason: None }),
        ("confirmSurrender", Command::ConfirmSurrender),
        ("withdrawRequest", Command::WithdrawRequest { reason: None }),
        ("refuseRequest", Command::RefuseRequest { reason: said() }),
        ("replaceBlank", Command::ReplaceBlank { reason: said() }),
        ("suspendPermit", Command::SuspendPermit { grounds: grounds("G01"), reason: said() }),
        ("resumePermit", Command::ResumePermit { reason: said() }),
        ("complain", Command::Complain { about: ComplaintKind::RefusalOfService, text: said() }),
        ("upholdComplaint", Command::UpholdComplaint { reason: said() }),
        ("rejectComplaint", Command::RejectComplaint { reason: said() }),
        ("undo", Command::Undo { reason: said() }),
        ("reopen", Command::Reopen { reason: said(), basis: said() }),
        ("correct", correct(application, "Каримоф")),
        ("courtOrder", Command::CourtOrder { reason: said(), basis: judgment(today) }),
        ("reportDuty", report("contractCopy", None)),
        ("confirmDuty", Command::ConfirmDuty { number: looked_at }),
        ("rejectDutyProof", Command::RejectDutyProof { number: looked_at, reason: said() }),
        ("excuseDuty", Command::ExcuseDuty { number: looked_at, reason: said() }),
    ];
    for name in TIMER {
        all.push((name.name(), Command::Deadline { name }));
    }
    all.extend([
        (
            "refuseIntake on a ground to refuse",
            Command::RefuseIntake { grounds: grounds("G01"), reason: said() },
        ),
        (
            "refuse on a ground of intake",
            Command::Refuse { grounds: grounds("I01"), reason: said() },
        ),
        (
            "proposeAnnulment on a ground of intake",
            Command::ProposeAnnulment { grounds: grounds("I01"), reason: said() },
        ),
        ("recordFinding of an unknown check", finding("weather", Outcome::Clear)),
        ("recordFinding for an unknown reason", hit_for("weather")),
        (
            "repeatCheck of an unknown check",
            Command::RepeatCheck { check: "weather".into(), reason: said() },
        ),
        ("requestInformation until today", ask(today)),
        (
            "answerInformation that was not asked",
            Command::AnswerInformation {
                answers: vec![Answer { item: 99, text: "here".into(), form: None }],
            },
        ),
        ("recordPayment for another UIN", pay(Uin::compose("188", 777), 100)),
        ("correct what is right", correct(application, "")),
        ("reportDuty that there is not", report("weather", None)),
        ("reportDuty without an event", report("employerNotice", None)),
        ("reportDuty with an event to come", report("employerNotice", Some(today + Days::new(1)))),
        ("confirmDuty that there is not", Command::ConfirmDuty { number: 99 }),
        (
            "courtOrder of tomorrow",
            Command::CourtOrder { reason: said(), basis: judgment(today + Days::new(1)) },
        ),
    ]);
    all.into_iter().map(|(label, command)| (label.to_owned(), command)).collect()
}

/// The register whose check both tracks have.
pub const REGISTER: &str = "controlledPersons";

/// What it answers.
fn of_the_register() -> Command {
    Command::RecordFinding {
        check: "entryBan".into(),
        outcome: Outcome::Clear,
        reason: None,
        note: None,
        digest: Some("ab".repeat(32)),
    }
}

/// A hit of its check for a reason.
pub fn hit_for(reason: &str) -> Command {
    Command::RecordFinding {
        check: "entryBan".into(),
        outcome: Outcome::Hit,
        reason: Some(reason.into()),
        note: None,
        digest: None,
    }
}

/// Corrects the worker's family name; to nothing: states the form as it is.
fn correct(application: &Application, family_name: &str) -> Command {
    let mut form = Form { person: application.form.person.clone(), ..Form::default() };
    if let Some(person) = form.person.as_mut().filter(|_| !family_name.is_empty()) {
        person.family_name = family_name.into();
    }
    Command::Correct { reason: "a letter".into(), basis: None, form: Box::new(form) }
}

fn judgment(judged_on: NaiveDate) -> Judgment {
    Judgment { court: "Tverskoy".into(), number: "02a-1/2026".into(), judged_on }
}

/// The commands that only the timer gives.
pub const TIMER: [CommandName; 12] = [
    CommandName::ExpireDraft,
    CommandName::ExpireUnpaid,
    CommandName::ExpireInformation,
    CommandName::Remind,
    CommandName::RemindAgain,
    CommandName::Warn,
    CommandName::Escalate,
    CommandName::Lapse,
    CommandName::Supersede,
    CommandName::Expire,
    CommandName::RemindDuty,
    CommandName::DutyOverdue,
];

/// Reports a duty with its document; with a day: that the worker was hired then.
pub fn report(duty: &str, hired_on: Option<NaiveDate>) -> Command {
    Command::ReportDuty {
        duty: duty.into(),
        document: Some(duty.into()),
        notice: hired_on.map(|on| Notice {
            kind: NoticeKind::Hiring,
            on,
            inn: Inn::parse("7707083893").unwrap(),
            employer: "ООО «Стройка»".into(),
            okved: None,
        }),
    }
}

pub fn grounds(code: &str) -> Grounds {
    Grounds::new(vec![GroundCode::parse(code).unwrap()]).unwrap()
}

pub fn document(kind: &str) -> Document {
    Document {
        kind: kind.to_owned(),
        digest: "00".repeat(32),
        size: 1,
        media_type: "application/pdf".into(),
        attached_at: start(),
    }
}

/// Another profession, whatever it was.
fn change(application: &Application) -> Command {
    let title = format!("Плотник {}", application.version);
    let occupation = Occupation { code: "7115".into(), title };
    let form = Box::new(Form { occupation: Some(occupation), ..Form::default() });
    Command::RequestChange { reason: "another trade".into(), form }
}
