//! What happened: an event, and the changes it made. The fold of an application's events is its state.

pub mod leaf;
pub mod sealed;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::actor::{Actor, Role};
use super::after_life::{Blank, BlankStatus, Complaint, HolderRequest, Suspension, Verdict};
use super::application::{
    Correction, Decision, Document, Expedited, InformationItem, Note, Proposal,
};
use super::checks::{Check, Finding, Override};
use super::clock::StatutoryClock;
use super::duty::Obligation;
use super::fee::payee::Requisites;
use super::fee::revision::Revision;
use super::fee::{Charge, ChargeStatus, Money};
use super::form::{FieldChange, Form};
use super::paper::PaperKind;
use super::permit::{Permit, PermitStatus};
use super::reference::Reference;
use super::workflow::definition::{CommandName, Phase};

/// One change to an application. Events carry these in order; [`super::application::Application::apply`] folds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "change")]
pub enum Change {
    /// The application came to be.
    Opened {
        /// Public reference.
        reference: Reference,
        /// Track.
        track: String,
        /// Version of its definition.
        workflow_version: u32,
        /// Unit's code.
        unit: String,
        /// Account that opened it.
        applicant: Uuid,
        /// Role of that account.
        applicant_role: Role,
        /// What was stated.
        form: Box<Form>,
    },
    /// The form was replaced.
    FormReplaced {
        /// What is stated now.
        form: Box<Form>,
        /// What that changed, where it was handed in before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<FieldChange>,
        /// The information item that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
    },
    /// A document was handed in, in place of an earlier one of its kind.
    DocumentAttached {
        /// The document.
        document: Document,
    },
    /// A state was entered (also when it is the same again).
    StateEntered {
        /// The state.
        state: String,
        /// Its phase.
        phase: Phase,
    },
    /// The application was handed in.
    HandedIn,
    /// The statutory clock is now this: started, suspended, resumed or stopped.
    ClockSet {
        /// The clock.
        clock: StatutoryClock,
        /// The date it promises; `None` while it stands still.
        due_on: Option<NaiveDate>,
        /// The date without an extension.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standard_due_on: Option<NaiveDate>,
    },
    /// Checks were asked.
    ChecksOpened {
        /// The checks.
        checks: Vec<Check>,
    },
    /// A check was answered.
    FindingRecorded {
        /// The check.
        check: String,
        /// The answer.
        finding: Finding,
        /// The answer that it does not clear away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Finding>,
    },
    /// A blocking answer was set aside.
    FindingOverridden {
        /// The check.
        check: String,
        /// Who, when, why.
        overridden: Override,
    },
    /// A check was asked anew: its answer is gone.
    CheckRepeated {
        /// The check as it is asked now.
        check: Check,
    },
    /// The applicant was asked for things.
    InformationAsked {
        /// The things.
        items: Vec<InformationItem>,
    },
    /// One thing was answered.
    InformationAnswered {
        /// Its number.
        item: u32,
        /// The answer.
        answer: String,
    },
    /// What was asked and not answered is closed.
    InformationClosed,
    /// An amount is owed.
    ChargeCreated {
        /// The charge.
        charge: Charge,
    },
    /// Money was booked on a charge.
    PaymentBooked {
        /// The charge.
        charge: Uuid,
        /// The provider's id of the payment.
        payment: String,
        /// How much.
        amount: Money,
        /// The charge's status afterwards.
        status: ChargeStatus,
        /// Whether the payment was put to the charge without quoting it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        forced: bool,
    },
    /// Money that was booked on a charge waits again; the charge is owed no more.
    PaymentReleased {
        /// The charge.
        charge: Uuid,
        /// The provider's id of the payment.
        payment: String,
        /// How much.
        amount: Money,
    },
    /// A charge is owed no more.
    ChargeAnnulled {
        /// The charge.
        charge: Uuid,
    },
    /// A charge says something else than it did: another amount, or another payee.
    ChargeClarified {
        /// The charge.
        charge: Uuid,
        /// The amount now.
        amount: Money,
        /// How it was reckoned.
        rule: String,
        /// The payee, where it is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requisites: Option<Box<Requisites>>,
    },
    /// An officer proposed to change a charge.
    ChargeRevisionProposed {
        /// The charge.
        charge: Uuid,
        /// What, why and by whom.
        revision: Box<Revision>,
    },
    /// A second officer agreed; what that changes follows.
    ChargeRevisionConfirmed {
        /// The charge.
        charge: Uuid,
        /// The second officer.
        by: Uuid,
    },
    /// The change of a charge was dropped.
    ChargeRevisionRejected {
        /// The charge.
        charge: Uuid,
    },
    /// An annulled charge is owed again.
    ChargeDeannulled {
        /// The charge.
        charge: Uuid,
    },
    /// A charge is taken for paid without a payment.
    ChargeAcknowledged {
        /// The charge.
        charge: Uuid,
        /// How much of it.
        amount: Money,
        /// The number of the paper that proves it.
        document: String,
        /// The day on which it was paid.
        paid_on: NaiveDate,
    },
    /// More months of the permit are paid.
    PermitProlonged {
        /// The last paid day.
        paid_through: NaiveDate,
    },
    /// A decision was made.
    Decided {
        /// The decision.
        decision: Decision,
    },
    /// Annulment was proposed.
    AnnulmentProposed {
        /// The proposal.
        proposal: Proposal,
    },
    /// The proposal was dropped.
    ProposalDropped,
    /// A permit was issued.
    PermitIssued {
        /// The permit.
        permit: Permit,
    },
    /// The permit ended.
    PermitEnded {
        /// How.
        status: PermitStatus,
        /// The first day on which it is not in force.
        on: NaiveDate,
    },
    /// The permit was printed on a paper.
    BlankPrinted {
        /// The paper.
        blank: Blank,
        /// What became of the one before, if there was one.
        before: BlankStatus,
    },
    /// The permit's holder asked for something.
    RequestMade {
        /// What.
        request: HolderRequest,
    },
    /// What the holder asked is answered or taken back.
    RequestClosed,
    /// The permit was suspended.
    PermitSuspended {
        /// By whom and why.
        suspension: Suspension,
    },
    /// The suspended permit is in force again.
    PermitResumed,
    /// A decision was complained of.
    Complained {
        /// The complaint.
        complaint: Complaint,
    },
    /// The complaint was answered.
    ComplaintAnswered {
        /// What was found.
        verdict: Verdict,
    },
    /// The decision was withdrawn: it is to be made anew.
    DecisionWithdrawn,
    /// What the permit says of its holder was put right.
    PermitCorrected {
        /// The holder's name.
        holder_name: String,
        /// The profession.
        profession: Option<String>,
    },
    /// The permit is in force again.
    PermitReinstated,
    /// The senior officer was told that a deadline has passed.
    Escalated {
        /// The statutory date, where it was not kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broken: Option<NaiveDate>,
    },
    /// The office was told that the statutory date comes near.
    Warned,
    /// The applicant was reminded of what is awaited from him.
    Reminded,
    /// It goes before all others of its office.
    Expedited {
        /// Who said so, when and why.
        expedited: Expedited,
    },
    /// It waits its turn again.
    ExpeditionEnded,
    /// An officer noted something for his colleagues.
    NoteAdded {
        /// The note.
        note: Note,
    },
    /// What an earlier event did was put right.
    Corrected {
        /// What, by whom and why.
        correction: Correction,
    },
    /// An officer took a lease.
    Claimed {
        /// Who.
        by: Uuid,
        /// Until when.
        until: DateTime<Utc>,
        /// The queue that gave it out; `None` when the officer picked it or was given it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<String>,
        /// The senior officer who gave it to him.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assigned_by: Option<Uuid>,
    },
    /// The lease ended.
    ClaimReleased,
    /// A person gave a command that four eyes look at.
    HandLaid {
        /// The command.
        command: CommandName,
        /// Who.
        by: Uuid,
    },
    /// A duty is now this: owed, reported, at an end, or due on another day.
    DutySet {
        /// The duty.
        obligation: Box<Obligation>,
    },
}

/// What an actor asked for, under the name that the log shows.
///
/// Besides the commands of definitions there are some that every track has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Act {
    /// A command of the definition.
    Command(CommandName),
    /// One of the acts that every track has.
    BuiltIn(BuiltIn),
}

/// The acts that every track has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BuiltIn {
    /// Open an application.
    Open,
    /// Replace the form of a draft.
    AmendForm,
    /// Hand a document in.
    AttachDocument,
    /// Take a lease on an application.
    Claim,
    /// Write the dates anew that another calendar makes others.
    Redate,
    /// Give the lease back.
    ReleaseClaim,
    /// Give the lease to a colleague.
    Reassign,
    /// Note something for colleagues.
    AddNote,
    /// Put the application before all others.
    Expedite,
    /// Let it wait its turn again.
    EndExpedition,
    /// Remind the applicant of what he is awaited for.
    SendReminder,
    /// Let money that was booked wait again, to be given back.
    ReleasePayment,
    /// Propose to change a charge.
    ProposeChargeRevision,
    /// Agree to that: the charge changes.
    ConfirmChargeRevision,
    /// Drop it.
    RejectChargeRevision,
}

impl BuiltIn {
    /// Every built-in act.
    pub const ALL: [Self; 15] = [
        Self::Open,
        Self::AmendForm,
        Self::AttachDocument,
        Self::Claim,
        Self::Redate,
        Self::ReleaseClaim,
        Self::Reassign,
        Self::AddNote,
        Self::Expedite,
        Self::EndExpedition,
        Self::SendReminder,
        Self::ReleasePayment,
        Self::ProposeChargeRevision,
        Self::ConfirmChargeRevision,
        Self::RejectChargeRevision,
    ];
}

impl Act {
    /// Gives the name that stands in the log and in `allowed_transitions`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command(command) => command.name(),
            Self::BuiltIn(BuiltIn::Open) => "open",
            Self::BuiltIn(BuiltIn::AmendForm) => "amendForm",
            Self::BuiltIn(BuiltIn::AttachDocument) => "attachDocument",
            Self::BuiltIn(BuiltIn::Claim) => "claim",
            Self::BuiltIn(BuiltIn::Redate) => "redate",
            Self::BuiltIn(BuiltIn::ReleaseClaim) => "releaseClaim",
            Self::BuiltIn(BuiltIn::Reassign) => "reassign",
            Self::BuiltIn(BuiltIn::AddNote) => "addNote",
            Self::BuiltIn(BuiltIn::Expedite) => "expedite",
            Self::BuiltIn(BuiltIn::EndExpedition) => "endExpedition",
            Self::BuiltIn(BuiltIn::SendReminder) => "sendReminder",
            Self::BuiltIn(BuiltIn::ReleasePayment) => "releasePayment",
            Self::BuiltIn(BuiltIn::ProposeChargeRevision) => "proposeChargeRevision",
            Self::BuiltIn(BuiltIn::ConfirmChargeRevision) => "confirmChargeRevision",
            Self::BuiltIn(BuiltIn::RejectChargeRevision) => "rejectChargeRevision",
        }
    }

    /// Tells whether the office alone sees with which words it was done: the applicant sees that it was done, and when.
    #[must_use]
    pub const fn is_internal(self) -> bool {
        matches!(
            self,
            Self::BuiltIn(
                BuiltIn::Claim
                    | BuiltIn::ReleaseClaim
                    | BuiltIn::Reassign
                    | BuiltIn::AddNote
                    | BuiltIn::Expedite
                    | BuiltIn::EndExpedition
                    | BuiltIn::ProposeChargeRevision
                    | BuiltIn::RejectChargeRevision
            ) | Self::Command(
                CommandName::RecordFinding
                    | CommandName::OverrideFinding
                    | CommandName::RepeatCheck
                    | CommandName::ProposeAnnulment
                    | CommandName::RejectAnnulment
                    | CommandName::Escalate
                    | CommandName::Warn
            )
        )
    }

    /// Finds an act by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        BuiltIn::ALL
            .into_iter()
            .map(Self::BuiltIn)
            .find(|act| act.name() == name)
            .or_else(|| CommandName::parse(name).map(Self::Command))
    }

    /// Gives the past-tense kind of the event.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Command(command) => command.event(),
            Self::BuiltIn(BuiltIn::Open) => "opened",
            Self::BuiltIn(BuiltIn::AmendForm) => "formAmended",
            Self::BuiltIn(BuiltIn::AttachDocument) => "documentAttached",
            Self::BuiltIn(BuiltIn::Claim) => "claimed",
            Self::BuiltIn(BuiltIn::Redate) => "redated",
            Self::BuiltIn(BuiltIn::ReleaseClaim) => "claimReleased",
            Self::BuiltIn(BuiltIn::Reassign) => "reassigned",
            Self::BuiltIn(BuiltIn::AddNote) => "noteAdded",
            Self::BuiltIn(BuiltIn::Expedite) => "expedited",
            Self::BuiltIn(BuiltIn::EndExpedition) => "expeditionEnded",
            Self::BuiltIn(BuiltIn::SendReminder) => "reminderSent",
            Self::BuiltIn(BuiltIn::ReleasePayment) => "paymentReleased",
            Self::BuiltIn(BuiltIn::ProposeChargeRevision) => "chargeRevisionProposed",
            Self::BuiltIn(BuiltIn::ConfirmChargeRevision) => "chargeRevisionConfirmed",
            Self::BuiltIn(BuiltIn::RejectChargeRevision) => "chargeRevisionRejected",
        }
    }
}

/// One entry of an application's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Id, time-ordered.
    pub id: Uuid,
    /// Number within the application, from 1 without gaps: the application's version afterwards.
    pub seq: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// What was asked for.
    pub act: Act,
    /// Who asked.
    pub actor: Actor,
    /// The state before; empty for the opening.
    pub from: String,
    /// The state after.
    pub to: String,
    /// The command's contents, as given.
    pub request: Value,
    /// What it changed, in order.
    pub changes: Vec<Change>,
}

/// What the office is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Alert {
    /// The statutory date comes near.
    DueSoon,
    /// A date has passed.
    Overdue,
    /// The last day of a duty has passed.
    DutyOverdue,
}

impl Alert {
    /// Gives the name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DueSoon => "dueSoon",
            Self::Overdue => "overdue",
            Self::DutyOverdue => "dutyFoundOverdue",
        }
    }
}

/// Work to be done after the transaction, written in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Job {
    /// Give a timer command when a deadline has passed.
    Timer {
        /// The application.
        application: Uuid,
        /// The command.
        command: CommandName,
    },
    /// Write the dates of what is under way anew by the calendar in force, a part of it at a time.
    Redate {
        /// The registration of the calendar that this began with.
        number: i64,
        /// Which time all of it is gone through, from 1: what was decided meanwhile by the calendar before is met by the
        /// second.
        round: u32,
        /// The application after which to go on; `None` begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Uuid>,
        /// How many could not be dated in this round so far.
        #[serde(default)]
        failed: usize,
    },
    /// Tell the holder and the senior officers of the unit.
    Alert {
        /// The application.
        application: Uuid,
        /// Of what.
        alert: Alert,
        /// The event that caused it.
        event: Uuid,
    },
    /// Send a message to the applicant.
    Mail {
        /// The application.
        application: Uuid,
        /// The message's name, one of [`super::workflow::definition::MESSAGES`].
        message: String,
        /// The event that caused it.
        event: Uuid,
    },
    /// Book what waits and was paid for a charge before it was made.
    MatchWaiting {
        /// The application.
        application: Uuid,
        /// The event that made the charge.
        event: Uuid,
    },
    /// Release what an account holds that has left its role or unit.
    ReleaseClaims {
        /// The account.
        account: Uuid,
        /// The event of its leaving.
        event: Uuid,
    },
    /// Ask a register what a check asks.
    AskRegister {
        /// The application.
        application: Uuid,
        /// The check's name in the definition.
        check: String,
        /// Which time the check is asked, from 1.
        round: u32,
        /// The register's name.
        register: String,
    },
    /// Print a paper that an event calls for.
    MakePaper {
        /// The application.
        application: Uuid,
        /// The kind of paper.
        paper: PaperKind,
        /// The event: what is printed is what was so then.
        event: Uuid,
    },
    /// Delete the bytes of documents, unless somebody refers to them.
    DeleteDocuments {
        /// The application that was erased.
        application: Uuid,
        /// SHA-256 of each, lower-case hexadecimal.
        digests: Vec<String>,
    },
}

/// A [`Job`] and when to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The job.
    pub job: Job,
    /// Not before.
    pub run_at: DateTime<Utc>,
}

impl Job {
    /// Gives the name of the job's kind, as it stands in the database.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Timer { .. } => "timer",
            Self::Redate { .. } => "redate",
            Self::Alert { .. } => "alert",
            Self::Mail { .. } => "mail",
            Self::MatchWaiting { .. } => "matchWaiting",
            Self::ReleaseClaims { .. } => "releaseClaims",
            Self::AskRegister { .. } => "askRegister",
            Self::MakePaper { .. } => "makePaper",
            Self::DeleteDocuments { .. } => "deleteDocuments",
        }
    }

    /// Gives the key under which two unfinished jobs are one.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Timer { application, command } => {
                format!("timer:{application}:{}", command.name())
            }
            Self::Redate { number, round, after: None, .. } => format!("redate:{number}:{round}"),
            Self::Redate { number, round, after: Some(after), .. } => {
                format!("redate:{number}:{round}:{after}")
            }
            Self::Alert { event, alert, .. } => format!("alert:{event}:{}", alert.name()),
            Self::Mail { event, message, .. } => format!("mail:{event}:{message}"),
            Self::MatchWaiting { application, event } => {
                format!("matchWaiting:{application}:{event}")
            }
            Self::ReleaseClaims { account, event } => format!("releaseClaims:{account}:{event}"),
            Self::AskRegister { application, check, round, .. } => {
                format!("askRegister:{application}:{check}:{round}")
            }
            Self::MakePaper { event, paper, .. } => format!("makePaper:{event}:{}", paper.name()),
            Self::DeleteDocuments { application, .. } => format!("deleteDocuments:{application}"),
        }
    }
}
