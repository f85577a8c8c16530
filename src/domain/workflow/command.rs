//! The commands with their contents, as the engine receives them: parsed, but not yet allowed.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::definition::CommandName;
use crate::domain::after_life::{ComplaintKind, DuplicateCause};
use crate::domain::application::InformationKind;
use crate::domain::checks::Outcome;
use crate::domain::duty::Notice;
use crate::domain::fee::Payment;
use crate::domain::form::Form;
use crate::domain::ground::Grounds;

/// One thing an officer asks the applicant for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestedItem {
    /// Kind.
    pub kind: InformationKind,
    /// What exactly.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub due_on: NaiveDate,
    /// The check whose blocking answer is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The kind of document of the track that must be handed in anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The part of the form that may be mended: `person`, or `person.familyName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// An applicant's answer to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The thing's number.
    pub item: u32,
    /// The answer.
    pub text: String,
    /// Sections of the form in place of those that were stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Box<Form>>,
}

/// What a court has ruled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgment {
    /// The court.
    pub court: String,
    /// The number of the case.
    pub number: String,
    /// The day of the judgment.
    pub judged_on: NaiveDate,
}

impl Judgment {
    /// Names the judgment in one line.
    #[must_use]
    pub fn citation(&self) -> String {
        format!("{}, {}, {}", self.court, self.number, self.judged_on)
    }
}

/// What an actor asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "command")]
pub enum Command {
    /// Hands the draft in.
    Submit,
    /// Takes the application back.
    Withdraw {
        /// Why, if the applicant wants to say.
        reason: Option<String>,
    },
    /// Refuses to take it in.
    RefuseIntake {
        /// On what grounds.
        grounds: Grounds,
        /// In words.
        reason: String,
    },
    /// Takes it in.
    Accept,
    /// Makes the statutory term longer.
    ExtendClock {
        /// By so many working days.
        working_days: u32,
        /// Why.
        reason: String,
        /// The article that allows it.
        basis: String,
    },
    /// Takes the extension back.
    WithdrawExtension {
        /// Why.
        reason: String,
    },
    /// Records the answer to a check.
    RecordFinding {
        /// The check.
        check: String,
        /// The answer.
        outcome: Outcome,
        /// The coded reason of an answer that blocks, of those that the definition lists for the check.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Free text for the office.
        note: Option<String>,
        /// SHA-256 of a register's raw answer, lower-case hexadecimal; an officer has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
    /// Sets a blocking answer aside.
    OverrideFinding {
        /// The check.
        check: String,
        /// Why.
        reason: String,
    },
    /// Asks a check anew.
    RepeatCheck {
        /// The check.
        check: String,
        /// Why.
        reason: String,
    },
    /// Asks the applicant for things.
    RequestInformation {
        /// The things.
        items: Vec<RequestedItem>,
    },
    /// Answers what was asked.
    AnswerInformation {
        /// The answers.
        answers: Vec<Answer>,
    },
    /// Decides for the applicant.
    Grant,
    /// Decides against the applicant.
    Refuse {
        /// On what grounds.
        grounds: Grounds,
        /// In words.
        reason: String,
    },
    /// Books a payment.
    RecordPayment {
        /// The payment.
        payment: Payment,
    },
    /// Hands the permit over.
    HandOver,
    /// Proposes to annul the permit.
    ProposeAnnulment {
        /// On what grounds.
        grounds: Grounds,
        /// In words.
        reason: String,
    },
    /// Confirms the proposal.
    ConfirmAnnulment,
    /// Turns the proposal down.
    RejectAnnulment {
        /// Why.
        reason: String,
    },
    /// Asks for another paper.
    RequestDuplicate {
        /// What became of the paper.
        cause: DuplicateCause,
        /// How it came about.
        reason: String,
    },
    /// Hands out the paper that was asked for.
    IssueDuplicate,
    /// Asks for other data on the permit.
    RequestChange {
        /// Why.
        reason: String,
        /// The sections to replace.
        form: Box<Form>,
    },
    /// Changes the data as it was asked for.
    MakeChange,
    /// Gives the permit up.
    Surrender {
        /// Why, if the holder wants to say.
        reason: Option<String>,
    },
    /// Ends the permit that its holder gives up.
    ConfirmSurrender,
    /// Takes back what was asked about the permit.
    WithdrawRequest {
        /// Why, if the holder wants to say.
        reason: Option<String>,
    },
    /// Refuses what was asked about the permit.
    RefuseRequest {
        /// Why.
        reason: String,
    },
    /// Prints a paper anew that the office has spoilt.
    ReplaceBlank {
        /// What happened to it.
        reason: String,
    },
    /// Suspends the permit.
    SuspendPermit {
        /// On what grounds.
        grounds: Grounds,
        /// In words.
        reason: String,
    },
    /// Puts the suspended permit back into force.
    ResumePermit {
        /// Why.
        reason: String,
    },
    /// Complains of a decision.
    Complain {
        /// Of what, of the seven kinds that the state's portal knows.
        about: ComplaintKind,
        /// In words.
        text: String,
    },
    /// Finds that the complaint is right.
    UpholdComplaint {
        /// Why.
        reason: String,
    },
    /// Finds that the decision stands.
    RejectComplaint {
        /// Why.
        reason: String,
    },
    /// Undoes a decision that was made a moment ago.
    Undo {
        /// Why.
        reason: String,
    },
    /// Takes up again what was over.
    Reopen {
        /// Why.
        reason: String,
        /// The article or decision it rests on.
        basis: String,
    },
    /// Puts right what the form misstates.
    Correct {
        /// Why.
        reason: String,
        /// The article or document it rests on; needed where it changes who the person is.
        basis: Option<String>,
        /// The sections to replace.
        form: Box<Form>,
    },
    /// Does what a court has ordered.
    CourtOrder {
        /// Why.
        reason: String,
        /// The judgment.
        basis: Judgment,
    },
    /// A deadline has passed: one of the commands that only the timer gives.
    Deadline {
        /// Which.
        name: CommandName,
    },
    /// Hands in the proof of a duty, or tells of an event that one follows from.
    ReportDuty {
        /// The duty's name.
        duty: String,
        /// The kind of the document that proves it, handed in before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document: Option<String>,
        /// The event, of a duty that counts from one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notice: Option<Notice>,
    },
    /// Finds the proof of a duty good.
    ConfirmDuty {
        /// Its number.
        number: u32,
    },
    /// Finds the proof of a duty wanting.
    RejectDutyProof {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
    },
    /// Lets a duty go.
    ExcuseDuty {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
    },
}

impl Command {
    /// Gives the command's name.
    #[must_use]
    pub const fn name(&self) -> CommandName {
        match self {
            Self::Submit => CommandName::Submit,
            Self::Withdraw { .. } => CommandName::Withdraw,
            Self::RefuseIntake { .. } => CommandName::RefuseIntake,
            Self::Accept => CommandName::Accept,
            Self::ExtendClock { .. } => CommandName::ExtendClock,
            Self::WithdrawExtension { .. } => CommandName::WithdrawExtension,
            Self::RecordFinding { .. } => CommandName::RecordFinding,
            Self::OverrideFinding { .. } => CommandName::OverrideFinding,
            Self::RepeatCheck { .. } => CommandName::RepeatCheck,
            Self::RequestInformation { .. } => CommandName::RequestInformation,
            Self::AnswerInformation { .. } => CommandName::AnswerInformation,
            Self::Grant => CommandName::Grant,
            Self::Refuse { .. } => CommandName::Refuse,
            Self::RecordPayment { .. } => CommandName::RecordPayment,
            Self::HandOver => CommandName::HandOver,
            Self::ProposeAnnulment { .. } => CommandName::ProposeAnnulment,
            Self::ConfirmAnnulment => CommandName::ConfirmAnnulment,
            Self::RejectAnnulment { .. } => CommandName::RejectAnnulment,
            Self::RequestDuplicate { .. } => CommandName::RequestDuplicate,
            Self::IssueDuplicate => CommandName::IssueDuplicate,
            Self::RequestChange { .. } => CommandName::RequestChange,
            Self::MakeChange => CommandName::MakeChange,
            Self::Surrender { .. } => CommandName::Surrender,
            Self::ConfirmSurrender => CommandName::ConfirmSurrender,
            Self::WithdrawRequest { .. } => CommandName::WithdrawRequest,
            Self::RefuseRequest { .. } => CommandName::RefuseRequest,
            Self::ReplaceBlank { .. } => CommandName::ReplaceBlank,
            Self::SuspendPermit { .. } => CommandName::SuspendPermit,
            Self::ResumePermit { .. } => CommandName::ResumePermit,
            Self::Complain { .. } => CommandName::Complain,
            Self::UpholdComplaint { .. } => CommandName::UpholdComplaint,
            Self::RejectComplaint { .. } => CommandName::RejectComplaint,
            Self::Undo { .. } => CommandName::Undo,
            Self::Reopen { .. } => CommandName::Reopen,
            Self::Correct { .. } => CommandName::Correct,
            Self::CourtOrder { .. } => CommandName::CourtOrder,
            Self::Deadline { name } => *name,
            Self::ReportDuty { .. } => CommandName::ReportDuty,
            Self::ConfirmDuty { .. } => CommandName::ConfirmDuty,
            Self::RejectDutyProof { .. } => CommandName::RejectDutyProof,
            Self::ExcuseDuty { .. } => CommandName::ExcuseDuty,
        }
    }

    /// Gives the grounds that the command carries.
    #[must_use]
    pub const fn grounds(&self) -> Option<&Grounds> {
        match self {
            Self::RefuseIntake { grounds, .. }
            | Self::Refuse { grounds, .. }
            | Self::ProposeAnnulment { grounds, .. }
            | Self::SuspendPermit { grounds, .. } => Some(grounds),
            Self::Submit
            | Self::Withdraw { .. }
            | Self::Accept
            | Self::ExtendClock { .. }
            | Self::WithdrawExtension { .. }
            | Self::RecordFinding { .. }
            | Self::OverrideFinding { .. }
            | Self::RepeatCheck { .. }
            | Self::RequestInformation { .. }
            | Self::AnswerInformation { .. }
            | Self::Grant
            | Self::RecordPayment { .. }
            | Self::HandOver
            | Self::ConfirmAnnulment
            | Self::RejectAnnulment { .. }
            | Self::RequestDuplicate { .. }
            | Self::IssueDuplicate
            | Self::RequestChange { .. }
            | Self::MakeChange
            | Self::Surrender { .. }
            | Self::ConfirmSurrender
            | Self::WithdrawRequest { .. }
            | Self::RefuseRequest { .. }
            | Self::ReplaceBlank { .. }
            | Self::ResumePermit { .. }
            | Self::Complain { .. }
            | Self::UpholdComplaint { .. }
            | Self::RejectComplaint { .. }
            | Self::Undo { .. }
            | Self::Reopen { .. }
            | Self::Correct { .. }
            | Self::CourtOrder { .. }
            | Self::Deadline { .. }
            | Self::ReportDuty { .. }
            | Self::ConfirmDuty { .. }
            | Self::RejectDutyProof { .. }
            | Self::ExcuseDuty { .. } => None,
        }
    }

    /// Gives why and on what basis the command puts something right.
    #[must_use]
    pub fn correction(&self) -> Option<(&str, Option<String>)> {
        match self {
            Self::Undo { reason } => Some((reason, None)),
            Self::Reopen { reason, basis } => Some((reason, Some(basis.clone()))),
            Self::Correct { reason, basis, .. } => Some((reason, basis.clone())),
            Self::CourtOrder { reason, basis } => Some((reason, Some(basis.citation()))),
            Self::Submit
            | Self::Withdraw { .. }
            | Self::RefuseIntake { .. }
            | Self::Accept
            | Self::ExtendClock { .. }
            | Self::WithdrawExtension { .. }
            | Self::RepeatCheck { .. }
            | Self::RecordFinding { .. }
            | Self::OverrideFinding { .. }
            | Self::RequestInformation { .. }
            | Self::AnswerInformation { .. }
            | Self::Grant
            | Self::Refuse { .. }
            | Self::RecordPayment { .. }
            | Self::HandOver
            | Self::ProposeAnnulment { .. }
            | Self::ConfirmAnnulment
            | Self::RejectAnnulment { .. }
            | Self::RequestDuplicate { .. }
            | Self::IssueDuplicate
            | Self::RequestChange { .. }
            | Self::MakeChange
            | Self::Surrender { .. }
            | Self::ConfirmSurrender
            | Self::WithdrawRequest { .. }
            | Self::RefuseRequest { .. }
            | Self::ReplaceBlank { .. }
            | Self::SuspendPermit { .. }
            | Self::ResumePermit { .. }
            | Self::Complain { .. }
            | Self::UpholdComplaint { .. }
            | Self::RejectComplaint { .. }
            | Self::Deadline { .. }
            | Self::ReportDuty { .. }
            | Self::ConfirmDuty { .. }
            | Self::RejectDutyProof { .. }
            | Self::ExcuseDuty { .. } => None,
        }
    }
}
