//! Decides: given an application, a command, who asks and when, what happens, or what stands in the way.
//!
//! [`decide`] is pure and total: the same arguments give the same answer, and every command gets one. The order
//! of questions is fixed, so that a caller learns the most useful thing first: is it yours; may you ever; is the
//! state right; does a colleague hold it; have you laid hands on it before; does every guard hold. The files
//! beside this one hold the parts: `guards` what must hold, `effects` what is done, `deadlines` when the
//! timer acts, `charges` what two officers change about a charge, `redating` what another calendar changes.

mod charges;
mod deadlines;
mod desk;
mod effects;
mod guards;
mod months;
mod redating;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use self::charges::revise_charge;
pub use self::deadlines::{Bases, act_by, due_at, timers};
pub use self::desk::{
    add_note, claim, end_expedition, expedite, reassign, release, release_payment, remind,
};
pub use self::guards::{ALREADY_ANSWERED, ANSWER_STANDS, Blocked};
pub use self::redating::{Dates, counts_working_days, moved, moved_duties, redate};
use super::command::Command;
use super::definition::{Awaited, CommandName, Definition, Phase, State, Transition};
use crate::domain::actor::{Actor, Party, Role};
use crate::domain::application::{Application, Document};
use crate::domain::checks::local::Twin;
use crate::domain::duty::{DutyStatus, Obligation};
use crate::domain::event::{Act, BuiltIn, Change, Event, Scheduled};
use crate::domain::fee::ChargeStatus;
use crate::domain::form::Form;
use crate::domain::permit::PermitStatus;
use crate::domain::queue::Work;
use crate::domain::reference::Reference;
use crate::domain::rules::Rulebook;

/// The office that an application belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Code.
    pub code: String,
    /// Name.
    pub title: String,
    /// Code of the federal subject: the permit's territory.
    pub region: String,
    /// Its time zone: where its days begin.
    pub time_zone: Tz,
}

/// Values that a decision may use up and that cannot follow from its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supplies {
    /// Id of the event, should there be one.
    pub event: Uuid,
    /// Id of a new charge.
    pub charge: Uuid,
    /// Serial of a new charge's UIN.
    pub charge_serial: Option<u64>,
    /// Serial of a new permit's number.
    pub permit_serial: Option<u64>,
    /// Serial of a new paper's number.
    pub blank_serial: Option<u64>,
}

/// A permit that is to be re-issued.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reissued {
    /// Its application.
    pub application: Uuid,
    /// The account that opened that.
    pub applicant: Uuid,
    /// The holder's date of birth.
    pub birth_date: Option<NaiveDate>,
    /// How it stands.
    pub status: PermitStatus,
    /// The last day paid for.
    pub paid_through: Option<NaiveDate>,
    /// The last day of its term.
    pub ends_on: NaiveDate,
}

/// Everything besides application, command and actor that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The rules: calendar, rates, grounds.
    pub rules: &'a Rulebook,
    /// The definition that the application is pinned to.
    pub definition: &'a Definition,
    /// The office.
    pub unit: &'a Unit,
    /// The instant.
    pub now: DateTime<Utc>,
    /// How long an officer's lease lasts.
    pub lease: TimeDelta,
    /// The registers that answer by themselves.
    pub registers: &'a BTreeSet<String>,
    /// Whether the same person has another application under way.
    pub other_open: bool,
    /// The applications of the same passport number or birth date, for the commands that ask checks.
    pub twins: &'a [Twin],
    /// The permit that the form names to be re-issued, if there is one of that number.
    pub reissued: Option<&'a Reissued>,
    /// Ids and serial numbers.
    pub supplies: Supplies,
}

impl Context<'_> {
    /// Gives today's date where the office is.
    #[must_use]
    pub fn today(&self) -> NaiveDate {
        self.local_date(self.now)
    }

    /// Gives the date of an instant where the office is.
    #[must_use]
    pub fn local_date(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.unit.time_zone).date_naive()
    }
}

/// What happens: the event to record, the application after it, and the work to enqueue or call off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The event.
    pub event: Event,
    /// The application as the event leaves it.
    pub after: Application,
    /// The kind of office work that it waits for now.
    pub work: Option<Work>,
    /// The checks that stand in the way of a grant: unanswered, or blocking.
    pub open_checks: Vec<String>,
    /// The accounts that four eyes keep from the work that it waits for now.
    pub barred: Vec<Uuid>,
    /// Whether only senior officers can move it on.
    pub senior: bool,
    /// Jobs to enqueue.
    pub schedule: Vec<Scheduled>,
    /// Keys of unfinished jobs to call off.
    pub call_off: Vec<String>,
}

impl Step {
    fn of(event: Event, after: Application, context: &Context<'_>) -> Self {
        let work = Work::of(&after, context);
        Self {
            open_checks: open_checks(&after, context),
            barred: work.map(|work| barred(&after, work, context)).unwrap_or_default(),
            senior: work.is_some() && is_for_seniors(&after, context),
            work,
            event,
            after,
            schedule: Vec::new(),
            call_off: Vec::new(),
        }
    }
}

/// One thing wrong with a command's contents, seen against the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Misfit {
    /// JSON pointer into the command.
    pub pointer: String,
    /// Stable code, kebab-case.
    pub code: &'static str,
    /// What to do.
    pub detail: String,
}

/// Why nothing happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The actor has nothing to do with this application.
    NotYours,
    /// Nobody of the actor's kind may ever do this.
    Forbidden {
        /// Who may.
        parties: Vec<Party>,
    },
    /// The state does not allow it.
    WrongState {
        /// The state the application is in.
        state: String,
        /// The states that allow it.
        allowed_in: Vec<String>,
    },
    /// The charge's state, or that of the change proposed for it, does not allow it.
    WrongCharge {
        /// How the charge stands.
        status: ChargeStatus,
        /// What to do about it.
        detail: String,
    },
    /// Another officer holds the application.
    Claimed {
        /// Who.
        by: Uuid,
        /// Until when at the latest.
        until: DateTime<Utc>,
    },
    /// Guards stand in the way; all of them are named.
    Blocked(Vec<Blocked>),
    /// The command's contents do not fit the application.
    Misfits(Vec<Misfit>),
    /// A rule is missing that the decision needs: the operator's to mend.
    RuleMissing(String),
}

/// What an actor could ask for now, and what stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The command.
    pub command: CommandName,
    /// The guards that block it; empty when it may be given.
    pub blocked: Vec<Blocked>,
}

/// Decides one command.
///
/// # Errors
/// [`Rejection`] says why nothing happens; nothing has then changed.
pub fn decide(
    application: &Application,
    command: &Command,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let parties = parties(application, actor, context.unit);
    let transition = permitted(application, command.name(), actor, &parties, context)?;
    let transition = guards::choose(application, command, actor, &transition, context)?;
    effects::take(application, command, actor, transition, context)
}

/// Lists what an actor could ask for now, in the order of the definition, with what blocks each.
#[must_use]
pub fn choices(application: &Application, actor: &Actor, context: &Context<'_>) -> Vec<Choice> {
    let parties = parties(application, actor, context.unit);
    let mut choices: Vec<Choice> = Vec::new();
    for transition in &context.definition.transitions {
        let here = transition.from.contains(&application.state)
            && transition.actors.iter().any(|party| parties.contains(party));
        if !here {
            continue;
        }
        let mut blocked = guards::blocked(application, None, actor, transition, context);
        if let Some(claim) = held_by_another(application, actor, context.now) {
            blocked.insert(0, Blocked::claimed(claim.until));
        }
        // Of alternatives the one counts that is nearest to being possible, as it does for the command itself.
        match choices.iter_mut().find(|choice| choice.command == transition.command) {
            Some(known) if blocked.len() < known.blocked.len() => known.blocked = blocked,
            Some(_) => {}
            None => choices.push(Choice { command: transition.command, blocked }),
        }
    }
    choices
}

/// Tells as whom an actor stands towards an application.
fn parties(application: &Application, actor: &Actor, unit: &Unit) -> Vec<Party> {
    match actor {
        Actor::Timer => vec![Party::Timer],
        Actor::Register { .. } => vec![Party::Register],
        Actor::Payments => vec![Party::Payments],
        Actor::User { id, role, unit: of } => match role {
            Role::Migrant | Role::Employer if *id == application.applicant => {
                vec![Party::Applicant]
            }
            Role::Officer if of.as_ref() == Some(&unit.code) => vec![Party::Officer],
            Role::SeniorOfficer if of.as_ref() == Some(&unit.code) => {
                vec![Party::Officer, Party::SeniorOfficer]
            }
            Role::Migrant
            | Role::Employer
            | Role::Officer
            | Role::SeniorOfficer
            | Role::Auditor
            | Role::Administrator => Vec::new(),
        },
    }
}

/// Tells whether an actor may see an application at all: its applicant; once it was handed in, its unit's officers; any
/// auditor.
#[must_use]
pub fn may_see(application: &Application, actor: &Actor) -> bool {
    match actor {
        Actor::Timer | Actor::Payments | Actor::Register { .. } => true,
        Actor::User { id, role, unit } => match role {
            Role::Migrant | Role::Employer => *id == application.applicant,
            Role::Officer | Role::SeniorOfficer => {
                unit.as_ref() == Some(&application.unit) && application.submitted_at.is_some()
            }
            Role::Auditor => true,
            Role::Administrator => false,
        },
    }
}

/// Gives the transitions that the actor may take from here, or says why there are none.
fn permitted<'a>(
    application: &Application,
    command: CommandName,
    actor: &Actor,
    parties: &[Party],
    context: &Context<'a>,
) -> Result<Vec<&'a Transition>, Rejection> {
    if !may_see(application, actor) {
        return Err(Rejection::NotYours);
    }
    let all: Vec<&Transition> =
        context.definition.transitions.iter().filter(|t| t.command == command).collect();
    let mine: Vec<&Transition> = all
        .iter()
        .filter(|t| t.actors.iter().any(|party| parties.contains(party)))
        .copied()
        .collect();
    if mine.is_empty() && !all.is_empty() {
        let mut who: Vec<Party> = all.iter().flat_map(|t| t.actors.iter().copied()).collect();
        who.sort_unstable();
        who.dedup();
        return Err(Rejection::Forbidden { parties: who });
    }
    let here: Vec<&Transition> =
        mine.iter().filter(|t| t.from.contains(&application.state)).copied().collect();
    if here.is_empty() {
        let mut allowed_in: Vec<String> = mine.iter().flat_map(|t| t.from.clone()).collect();
        allowed_in.sort_unstable();
        allowed_in.dedup();
        return Err(Rejection::WrongState { state: application.state.clone(), allowed_in });
    }
    if let Some(claim) = held_by_another(application, actor, context.now) {
        return Err(Rejection::Claimed { by: claim.by, until: claim.until });
    }
    Ok(here)
}

fn held_by_another<'a>(
    application: &'a Application,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Option<&'a crate::domain::application::Claim> {
    let Actor::User { id, role, .. } = actor else { return None };
    application.claim_at(now).filter(|claim| role.is_office() && claim.by != *id)
}

/// What a new application begins with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    pub reference: Reference,
    /// What is stated so far.
    pub form: Form,
}

/// Opens an application in the definition's initial state.
///
/// # Errors
/// [`Rejection::Forbidden`] when the actor's role may not apply on this track.
pub fn open(opening: Opening, actor: &Actor, context: &Context<'_>) -> Result<Step, Rejection> {
    let forbidden = || Rejection::Forbidden { parties: vec![Party::Applicant] };
    let Actor::User { id: applicant, role, .. } = actor else { return Err(forbidden()) };
    if !context.definition.applicants.contains(role) {
        return Err(forbidden());
    }
    let initial = context
        .definition
        .initial()
        .ok_or_else(|| Rejection::RuleMissing("the definition has no initial state".into()))?;
    let changes = vec![
        Change::Opened {
            reference: opening.reference,
            track: context.definition.track.clone(),
            workflow_version: context.definition.version,
            unit: context.unit.code.clone(),
            applicant: *applicant,
            applicant_role: *role,
            form: Box::new(opening.form),
        },
        Change::StateEntered { state: initial.id.clone(), phase: initial.phase },
    ];
    let event = Event {
        id: context.supplies.event,
        seq: 1,
        at: context.now,
        act: Act::BuiltIn(BuiltIn::Open),
        actor: actor.clone(),
        from: String::new(),
        to: initial.id.clone(),
        request: Value::Null,
        changes,
    };
    let after = Application::open(opening.id, &event)
        .map_err(|error| Rejection::RuleMissing(error.to_string()))?;
    let schedule = deadlines::schedule(&after, context)?;
    Ok(Step { schedule, ..Step::of(event, after, context) })
}

/// Replaces the form of an application that was not handed in yet.
///
/// # Errors
/// [`Rejection`] when it is not the actor's or was handed in.
pub fn amend_form(
    application: &Application,
    form: Form,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let states = built_in_states(context.definition, BuiltIn::AmendForm);
    applicant_may(application, actor, &states)?;
    let changes =
        vec![Change::FormReplaced { form: Box::new(form), changed: Vec::new(), item: None }];
    stay(application, BuiltIn::AmendForm, Value::Null, actor, changes, context)
}

/// Takes a document, in place of an earlier one of its kind.
///
/// # Errors
/// [`Rejection`] when it is not the actor's, the state takes no documents or the kind is unknown.
pub fn attach_document(
    application: &Application,
    document: Document,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let states = built_in_states(context.definition, BuiltIn::AttachDocument);
    applicant_may(application, actor, &states)?;
    // What proves a duty is handed in after issue; the others before it, and where they prove a change of the permit.
    let issued = application.phase == Phase::InForce;
    let changes = context.definition.takes_proofs(&application.state);
    let permit = &context.definition.permit;
    let mut known: Vec<&str> =
        context.definition.documents.iter().map(|rule| rule.id.as_str()).collect();
    known.retain(|kind| if permit.is_proof(kind) { issued } else { !issued || changes });
    let looked_at = |one: &Obligation| {
        let proof = one.proof.as_ref().filter(|_| one.status == DutyStatus::Reported);
        proof.is_some_and(|proof| proof.document == document.kind)
    };
    if application.duties.iter().any(looked_at) {
        return Err(Rejection::Misfits(vec![Misfit {
            pointer: "kind".into(),
            code: "proof-looked-at",
            detail: "An officer looks at the one that was handed in; wait for the answer.".into(),
        }]));
    }
    if !known.contains(&&*document.kind) {
        return Err(Rejection::Misfits(vec![Misfit {
            pointer: "kind".into(),
            code: "unknown-document-kind",
            detail: format!("This track takes documents of these kinds: {}.", known.join(", ")),
        }]));
    }
    stay(
        application,
        BuiltIn::AttachDocument,
        Value::Null,
        actor,
        vec![Change::DocumentAttached { document }],
        context,
    )
}

/// Gives the states in which a built-in act is possible; also what `allowed_transitions` holds.
#[must_use]
pub fn built_in_states(definition: &Definition, act: BuiltIn) -> Vec<&str> {
    let fits = |state: &State| match act {
        BuiltIn::Open => false,
        BuiltIn::AmendForm => state.initial,
        // Documents are handed in with a draft, as answers, to prove a change and as proofs of duties, never slipped under a
        // finished decision.
        BuiltIn::AttachDocument => {
            state.initial
                || (state.phase == Phase::Checks && state.awaits == Some(Awaited::Applicant))
                || definition.transitions_for(&state.id, CommandName::ReportDuty).next().is_some()
                || definition.takes_proofs(&state.id)
        }
        BuiltIn::Claim | BuiltIn::ReleaseClaim | BuiltIn::Reassign => Work::may_wait_in(state),
        // No date runs before something was handed in, or once all is over; with a permit in force those of duties do.
        BuiltIn::Redate => match state.phase {
            Phase::Closed => false,
            Phase::InForce => definition.permit.has_duties_owed(),
            Phase::Submission | Phase::Checks | Phase::Fee | Phase::Issuance => !state.initial,
        },
        // Whatever was handed in, the office can say something about, also when it is over.
        BuiltIn::AddNote
        | BuiltIn::ReleasePayment
        | BuiltIn::ProposeChargeRevision
        | BuiltIn::ConfirmChargeRevision
        | BuiltIn::RejectChargeRevision => !state.initial,
        BuiltIn::Expedite | BuiltIn::EndExpedition => {
            !state.initial && !matches!(state.phase, Phase::InForce | Phase::Closed)
        }
        BuiltIn::SendReminder => {
            !state.initial
                && state.awaits == Some(Awaited::Applicant)
                && !matches!(state.phase, Phase::InForce | Phase::Closed)
        }
    };
    definition.states.iter().filter(|state| fits(state)).map(|state| state.id.as_str()).collect()
}

/// Gives the checks that stand in the way of a grant.
fn open_checks(application: &Application, context: &Context<'_>) -> Vec<String> {
    let clear = |check: &crate::domain::checks::Check| {
        context.definition.check(&check.id).is_some_and(|rule| check.is_clear(rule))
    };
    application.checks.iter().filter(|one| !clear(one)).map(|one| one.id.clone()).collect()
}

/// Tells whether every check is clear and four eyes leave the decision to others than this account.
fn is_done_with(application: &Application, by: Uuid, context: &Context<'_>) -> bool {
    Work::of(application, context) == Some(Work::Decision)
        && open_checks(application, context).is_empty()
        && barred(application, Work::Decision, context).contains(&by)
}

/// Gives what the office's people can give from here to move it on. Corrections put right what is done: no work waits for
/// them; nor does any for a month that its holder pays at the counter.
fn office_transitions<'a>(
    application: &'a Application,
    context: &Context<'a>,
) -> impl Iterator<Item = &'a Transition> {
    let office = |party: &Party| matches!(party, Party::Officer | Party::SeniorOfficer);
    let transitions = context.definition.transitions.iter();
    let in_force = application.phase == Phase::InForce;
    transitions
        .filter(|one| one.from.contains(&application.state) && !one.command.is_correction())
        .filter(move |one| !(in_force && one.command == CommandName::RecordPayment))
        .filter(move |one| one.actors.iter().any(office))
}

/// Tells whether there is something to do for the office, and nothing of it for an officer who is no senior one.
fn is_for_seniors(application: &Application, context: &Context<'_>) -> bool {
    let mut all = office_transitions(application, context).peekable();
    all.peek().is_some() && all.all(|one| !one.actors.contains(&Party::Officer))
}

/// Gives the accounts that four eyes keep from every decision that `work` is there for.
fn barred(application: &Application, work: Work, context: &Context<'_>) -> Vec<Uuid> {
    // What a check still has to answer is not decided yet, and whoever took it in may go on checking.
    if matches!(work, Work::Checks | Work::Registers) {
        return Vec::new();
    }
    let decisions: Vec<&Transition> =
        office_transitions(application, context).filter(|one| !one.four_eyes.is_empty()).collect();
    let mut accounts: Vec<Uuid> = application.hands.iter().map(|hand| hand.by).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let keeps = |by: Uuid, one: &Transition| guards::keeping(application, by, one).is_some();
    accounts.retain(|by| !decisions.is_empty() && decisions.iter().all(|one| keeps(*by, one)));
    accounts
}

fn in_state(application: &Application, states: &[&str]) -> Result<(), Rejection> {
    if states.contains(&application.state.as_str()) {
        return Ok(());
    }
    Err(Rejection::WrongState {
        state: application.state.clone(),
        allowed_in: states.iter().map(|state| (*state).to_owned()).collect(),
    })
}

fn applicant_may(
    application: &Application,
    actor: &Actor,
    states: &[&str],
) -> Result<(), Rejection> {
    if !may_see(application, actor) {
        return Err(Rejection::NotYours);
    }
    if !matches!(actor, Actor::User { role, .. } if role.is_applicant()) {
        return Err(Rejection::Forbidden { parties: vec![Party::Applicant] });
    }
    in_state(application, states)
}

fn officer(
    application: &Application,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Uuid, Rejection> {
    if !may_see(application, actor) {
        return Err(Rejection::NotYours);
    }
    match actor {
        Actor::User { id, .. }
            if parties(application, actor, context.unit).contains(&Party::Officer) =>
        {
            Ok(*id)
        }
        Actor::User { .. } | Actor::Timer | Actor::Payments | Actor::Register { .. } => {
            Err(Rejection::Forbidden { parties: vec![Party::Officer] })
        }
    }
}

fn senior(
    application: &Application,
    actor: &Actor,
    context: &Context<'_>,
) -> Result<Uuid, Rejection> {
    let by = officer(application, actor, context)?;
    match actor {
        Actor::User { role: Role::SeniorOfficer, .. } => Ok(by),
        Actor::User { .. } | Actor::Timer | Actor::Payments | Actor::Register { .. } => {
            Err(Rejection::Forbidden { parties: vec![Party::SeniorOfficer] })
        }
    }
}

/// Records a built-in act that leaves the state as it is.
fn stay(
    application: &Application,
    act: BuiltIn,
    request: Value,
    actor: &Actor,
    changes: Vec<Change>,
    context: &Context<'_>,
) -> Result<Step, Rejection> {
    let event = Event {
        id: context.supplies.event,
        seq: application.version + 1,
        at: context.now,
        act: Act::BuiltIn(act),
        actor: actor.clone(),
        from: application.state.clone(),
        to: application.state.clone(),
        request,
        changes,
    };
    let mut after = application.clone();
    after.apply(&event).map_err(|error| Rejection::RuleMissing(error.to_string()))?;
    Ok(Step::of(event, after, context))
}
