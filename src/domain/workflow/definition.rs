//! A track's workflow as plain values: what a file under `workflows/` means once every name is resolved.
//!
//! [`super::source`] reads such values from TOML; [`super::proof`] shows that they are sound;
//! [`super::engine`] acts on them. Commands, guards and effects are closed vocabularies, so that a proof about
//! a file says something about what will happen.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::domain::actor::{Party, Role};
use crate::domain::checks::Outcome;
use crate::domain::ground::GroundCode;

/// The languages that every public wording must exist in.
pub const LANGUAGES: [&str; 2] = ["en", "ru"];

/// A text in every language of [`LANGUAGES`], by language code.
pub type Texts = BTreeMap<String, String>;

/// The closed phases of an application's life (`design.md` section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Being written, handed in, not yet accepted.
    Submission,
    /// Accepted: the statutory clock runs.
    Checks,
    /// Granted, waiting for money.
    Fee,
    /// Paid, waiting to be handed over.
    Issuance,
    /// A permit is in force.
    InForce,
    /// Over.
    Closed,
}

impl Phase {
    /// Every phase in order.
    pub const ALL: [Self; 6] =
        [Self::Submission, Self::Checks, Self::Fee, Self::Issuance, Self::InForce, Self::Closed];

    /// Gives the phase's name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Checks => "checks",
            Self::Fee => "fee",
            Self::Issuance => "issuance",
            Self::InForce => "inForce",
            Self::Closed => "closed",
        }
    }

    /// Finds a phase by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// What an actor can ask for: the closed list of commands, without their contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandName {
    /// Hands a draft in.
    Submit,
    /// Takes an application back.
    Withdraw,
    /// Refuses to take an application in.
    RefuseIntake,
    /// Takes an application in: the statutory clock starts.
    Accept,
    /// Makes the statutory term longer, once.
    ExtendClock,
    /// Takes the extension back.
    WithdrawExtension,
    /// Tells the office that the statutory date comes near.
    Warn,
    /// Records the answer to a check.
    RecordFinding,
    /// Sets a blocking answer aside, with a reason.
    OverrideFinding,
    /// Asks a check anew, with a reason.
    RepeatCheck,
    /// Asks the applicant for something: the clock stands still.
    RequestInformation,
    /// Answers what was asked.
    AnswerInformation,
    /// Decides for the applicant.
    Grant,
    /// Decides against the applicant, on grounds.
    Refuse,
    /// Books money on a charge.
    RecordPayment,
    /// Hands the permit over to its holder.
    HandOver,
    /// Proposes that a permit be annulled, on grounds.
    ProposeAnnulment,
    /// Confirms a proposed annulment.
    ConfirmAnnulment,
    /// Turns a proposed annulment down.
    RejectAnnulment,
    /// Asks for another paper in place of one that is lost or damaged.
    RequestDuplicate,
    /// Hands out the paper that was asked for.
    IssueDuplicate,
    /// Asks for other data on the permit: another passport, name or profession.
    RequestChange,
    /// Changes the data as it was asked for, on a new paper.
    MakeChange,
    /// Gives the permit up.
    Surrender,
    /// Ends the permit that its holder gives up.
    ConfirmSurrender,
    /// Takes back what was asked about the permit.
    WithdrawRequest,
    /// Refuses what was asked about the permit.
    RefuseRequest,
    /// Prints a paper anew that the office has spoilt.
    ReplaceBlank,
    /// Stops the permit for a time, on grounds.
    SuspendPermit,
    /// Lets a suspended permit be in force again.
    ResumePermit,
    /// Complains of a decision.
    Complain,
    /// Finds that the complaint is right.
    UpholdComplaint,
    /// Finds that the decision stands.
    RejectComplaint,
    /// Undoes a decision that was made a moment ago.
    Undo,
    /// Takes up again what was over.
    Reopen,
    /// Puts right what the form misstates, after the decision.
    Correct,
    /// Does what a court has ordered.
    CourtOrder,
    /// Closes a draft that nobody handed in.
    ExpireDraft,
    /// Closes an application whose fee nobody paid.
    ExpireUnpaid,
    /// Goes on without the answer that did not come.
    ExpireInformation,
    /// Reminds the applicant of what is awaited from him.
    Remind,
    /// Reminds him once more.
    RemindAgain,
    /// Tells the senior officer that a deadline has passed.
    Escalate,
    /// Ends a permit whose paid period is over.
    Lapse,
    /// Ends a permit whose term is over.
    Expire,
    /// Hands in the proof of a duty, or tells of an event that one follows from.
    ReportDuty,
    /// Finds the proof of a duty good.
    ConfirmDuty,
    /// Finds the proof of a duty wanting.
    RejectDutyProof,
    /// Lets a duty go, saying why.
    ExcuseDuty,
    /// Reminds the holder of a duty.
    RemindDuty,
    /// Marks that the last day of a duty has passed.
    DutyOverdue,
    /// Ends a permit in whose place another was issued.
    Supersede,
}

impl CommandName {
    /// Every command, for tables and tests.
    pub const ALL: [Self; 52] = [
        Self::Submit,
        Self::Withdraw,
        Self::RefuseIntake,
        Self::Accept,
        Self::ExtendClock,
        Self::WithdrawExtension,
        Self::Warn,
        Self::RecordFinding,
        Self::OverrideFinding,
        Self::RepeatCheck,
        Self::RequestInformation,
        Self::AnswerInformation,
        Self::Grant,
        Self::Refuse,
        Self::RecordPayment,
        Self::HandOver,
        Self::ProposeAnnulment,
        Self::ConfirmAnnulment,
        Self::RejectAnnulment,
        Self::RequestDuplicate,
        Self::IssueDuplicate,
        Self::RequestChange,
        Self::MakeChange,
        Self::Surrender,
        Self::ConfirmSurrender,
        Self::WithdrawRequest,
        Self::RefuseRequest,
        Self::ReplaceBlank,
        Self::SuspendPermit,
        Self::ResumePermit,
        Self::Complain,
        Self::UpholdComplaint,
        Self::RejectComplaint,
        Self::Undo,
        Self::Reopen,
        Self::Correct,
        Self::CourtOrder,
        Self::ExpireDraft,
        Self::ExpireUnpaid,
        Self::ExpireInformation,
        Self::Remind,
        Self::RemindAgain,
        Self::Escalate,
        Self::Lapse,
        Self::Expire,
        Self::ReportDuty,
        Self::ConfirmDuty,
        Self::RejectDutyProof,
        Self::ExcuseDuty,
        Self::RemindDuty,
        Self::DutyOverdue,
        Self::Supersede,
    ];

    /// Gives the command's name as it stands in JSON, in definitions and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Withdraw => "withdraw",
            Self::RefuseIntake => "refuseIntake",
            Self::Accept => "accept",
            Self::ExtendClock => "extendClock",
            Self::WithdrawExtension => "withdrawExtension",
            Self::Warn => "warn",
            Self::RecordFinding => "recordFinding",
            Self::OverrideFinding => "overrideFinding",
            Self::RepeatCheck => "repeatCheck",
            Self::RequestInformation => "requestInformation",
            Self::AnswerInformation => "answerInformation",
            Self::Grant => "grant",
            Self::Refuse => "refuse",
            Self::RecordPayment => "recordPayment",
            Self::HandOver => "handOver",
            Self::ProposeAnnulment => "proposeAnnulment",
            Self::ConfirmAnnulment => "confirmAnnulment",
            Self::RejectAnnulment => "rejectAnnulment",
            Self::RequestDuplicate => "requestDuplicate",
            Self::IssueDuplicate => "issueDuplicate",
            Self::RequestChange => "requestChange",
            Self::MakeChange => "makeChange",
            Self::Surrender => "surrender",
            Self::ConfirmSurrender => "confirmSurrender",
            Self::WithdrawRequest => "withdrawRequest",
            Self::RefuseRequest => "refuseRequest",
            Self::ReplaceBlank => "replaceBlank",
            Self::SuspendPermit => "suspendPermit",
            Self::ResumePermit => "resumePermit",
            Self::Complain => "complain",
            Self::UpholdComplaint => "upholdComplaint",
            Self::RejectComplaint => "rejectComplaint",
            Self::Undo => "undo",
            Self::Reopen => "reopen",
            Self::Correct => "correct",
            Self::CourtOrder => "courtOrder",
            Self::ExpireDraft => "expireDraft",
            Self::ExpireUnpaid => "expireUnpaid",
            Self::ExpireInformation => "expireInformation",
            Self::Remind => "remind",
            Self::RemindAgain => "remindAgain",
            Self::Escalate => "escalate",
            Self::Lapse => "lapse",
            Self::Expire => "expire",
            Self::ReportDuty => "reportDuty",
            Self::ConfirmDuty => "confirmDuty",
            Self::RejectDutyProof => "rejectDutyProof",
            Self::ExcuseDuty => "excuseDuty",
            Self::RemindDuty => "remindDuty",
            Self::DutyOverdue => "dutyOverdue",
            Self::Supersede => "supersede",
        }
    }

    /// Gives the past-tense name of the event that the command leaves.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Submit => "submitted",
            Self::Withdraw => "withdrawn",
            Self::RefuseIntake => "intakeRefused",
            Self::Accept => "accepted",
            Self::ExtendClock => "clockExtended",
            Self::WithdrawExtension => "extensionWithdrawn",
            Self::Warn => "warned",
            Self::RecordFinding => "findingRecorded",
            Self::OverrideFinding => "findingOverridden",
            Self::RepeatCheck => "checkRepeated",
            Self::RequestInformation => "informationRequested",
            Self::AnswerInformation => "informationAnswered",
            Self::Grant => "granted",
            Self::Refuse => "refused",
            Self::RecordPayment => "paymentRecorded",
            Self::HandOver => "handedOver",
            Self::ProposeAnnulment => "annulmentProposed",
            Self::ConfirmAnnulment => "annulled",
            Self::RejectAnnulment => "annulmentRejected",
            Self::RequestDuplicate => "duplicateRequested",
            Self::IssueDuplicate => "duplicateIssued",
            Self::RequestChange => "changeRequested",
            Self::MakeChange => "changeMade",
            Self::Surrender => "surrenderRequested",
            Self::ConfirmSurrender => "surrendered",
            Self::WithdrawRequest => "requestWithdrawn",
            Self::RefuseRequest => "requestRefused",
            Self::ReplaceBlank => "blankReplaced",
            Self::SuspendPermit => "permitSuspended",
            Self::ResumePermit => "permitResumed",
            Self::Complain => "complained",
            Self::UpholdComplaint => "complaintUpheld",
            Self::RejectComplaint => "complaintRejected",
            Self::Undo => "undone",
            Self::Reopen => "reopened",
            Self::Correct => "corrected",
            Self::CourtOrder => "courtOrdered",
            Self::ExpireDraft => "draftExpired",
            Self::ExpireUnpaid => "unpaidExpired",
            Self::ExpireInformation => "informationExpired",
            Self::Remind => "reminded",
            Self::RemindAgain => "remindedAgain",
            Self::Escalate => "escalated",
            Self::Lapse => "lapsed",
            Self::Expire => "expired",
            Self::ReportDuty => "dutyReported",
            Self::ConfirmDuty => "dutyConfirmed",
            Self::RejectDutyProof => "dutyProofRejected",
            Self::ExcuseDuty => "dutyExcused",
            Self::RemindDuty => "dutyReminded",
            Self::DutyOverdue => "dutyFoundOverdue",
            Self::Supersede => "superseded",
        }
    }

    /// Finds a command by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    /// Tells whether the command carries grounds (and so whether rule W08 looks at it).
    #[must_use]
    pub const fn carries_grounds(self) -> bool {
        matches!(
            self,
            Self::RefuseIntake | Self::Refuse | Self::ProposeAnnulment | Self::SuspendPermit
        )
    }

    /// Tells whether its transitions list grounds: those that the command may carry, or the one on which a permit ends that
    /// its holder gives up.
    #[must_use]
    pub const fn lists_grounds(self) -> bool {
        self.carries_grounds() || matches!(self, Self::ConfirmSurrender)
    }

    /// Tells whether the command is about a complaint, and so leads out of an end (and whether rule W15 looks at it).
    #[must_use]
    pub const fn is_of_complaints(self) -> bool {
        matches!(self, Self::Complain | Self::UpholdComplaint | Self::RejectComplaint)
    }

    /// Tells whether the command may lead out of an end, and is left out of the graph of a definition.
    #[must_use]
    pub const fn leaves_an_end(self) -> bool {
        self.is_correction() || self.is_of_complaints()
    }

    /// Tells whether the command puts right what was decided before (and so whether rule W13 looks at it).
    #[must_use]
    pub const fn is_correction(self) -> bool {
        matches!(self, Self::Undo | Self::Reopen | Self::Correct | Self::CourtOrder)
    }
}

/// What must hold for a transition to be taken. A blocked guard is named in the rejection.
///
/// In TOML: `"formComplete"` or `{ ageAtLeast = 18 }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Guard {
    /// Every required section of the form and every required document is there.
    FormComplete,
    /// The worker is at least so many years old today.
    AgeAtLeast(u32),
    /// The worker's citizenship (ISO 3166-1 alpha-3) is none of these.
    CitizenshipNotIn(Vec<String>),
    /// Today is within so many calendar days of entry, or the proof of a paid fine for late filing is given.
    WithinDaysOfEntryOrFined(u32),
    /// The passport is valid for at least so many months from today.
    PassportValidForMonths(u32),
    /// The same person has no other open application.
    NoOtherOpenApplication,
    /// The salary of the contract reaches the threshold of this name on today's date.
    SalaryAtLeast(String),
    /// The decision was made at most so many minutes ago.
    DecidedWithinMinutes(u32),
    /// No money was booked on the named fee since it was last charged.
    NothingPaid(String),
    /// The statutory clock was started.
    ClockStarted,
    /// The statutory clock was never started.
    ClockNotStarted,
    /// Today lies within the term of the permit and the period that was paid.
    PermitLasts,
    /// The applicant was asked about every blocking answer that means "ask", or another means "refuse".
    AskedFirst,
    /// All required checks are clear or overridden.
    ChecksClear,
    /// The named fee is settled.
    FeeSettled(String),
    /// The payment at hand settles the named fee.
    PaymentSettles(String),
    /// The payment at hand leaves the named fee partly open.
    PaymentLeavesOpen(String),
    /// The payment at hand was made in time and pays a month of the named fee or more.
    PaymentProlongs(String),
    /// The payment at hand was made in time and pays less than a month of the named fee.
    PaymentFallsShort(String),
    /// The answers at hand complete what was asked.
    AnswersComplete,
    /// The answers at hand leave something open.
    AnswersIncomplete,
    /// The statutory term was made longer.
    Extended,
    /// The statutory term has its usual length.
    NotExtended,
    /// The statutory date has not passed.
    NotOverdue,
    /// The deadline that names this command has passed.
    DeadlinePassed,
    /// The issue of this track's permits is not stopped today in the office's region.
    IssuingNotStopped,
    /// The employer's activity, where it is stated, is not barred today in the office's region.
    ActivityNotBanned,
    /// A ground of the command that is the consequence of a duty is named only while that duty is overdue.
    DutyMissed,
    /// A document was handed in since the change was asked for.
    ChangeProven,
    /// Nobody has complained of the decision yet.
    NotComplained,
    /// The permit's term, or the period that was paid, is over.
    PermitOver,
    /// The permit that is to be re-issued is the applicant's, in force, and ends in so many working days or more; always, where
    /// none is named.
    ReissueInTime(u32),
    /// The permit that is to be re-issued has not been so already; always, where none is named.
    ReissueStands,
}

impl Guard {
    /// Gives the guard's name as it stands in JSON and in definitions.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FormComplete => "formComplete",
            Self::AgeAtLeast(_) => "ageAtLeast",
            Self::CitizenshipNotIn(_) => "citizenshipNotIn",
            Self::WithinDaysOfEntryOrFined(_) => "withinDaysOfEntryOrFined",
            Self::PassportValidForMonths(_) => "passportValidForMonths",
            Self::NoOtherOpenApplication => "noOtherOpenApplication",
            Self::SalaryAtLeast(_) => "salaryAtLeast",
            Self::DecidedWithinMinutes(_) => "decidedWithinMinutes",
            Self::NothingPaid(_) => "nothingPaid",
            Self::ClockStarted => "clockStarted",
            Self::ClockNotStarted => "clockNotStarted",
            Self::PermitLasts => "permitLasts",
            Self::AskedFirst => "askedFirst",
            Self::ChecksClear => "checksClear",
            Self::FeeSettled(_) => "feeSettled",
            Self::PaymentSettles(_) => "paymentSettles",
            Self::PaymentLeavesOpen(_) => "paymentLeavesOpen",
            Self::PaymentProlongs(_) => "paymentProlongs",
            Self::PaymentFallsShort(_) => "paymentFallsShort",
            Self::AnswersComplete => "answersComplete",
            Self::AnswersIncomplete => "answersIncomplete",
            Self::Extended => "extended",
            Self::NotExtended => "notExtended",
            Self::NotOverdue => "notOverdue",
            Self::DeadlinePassed => "deadlinePassed",
            Self::IssuingNotStopped => "issuingNotStopped",
            Self::ActivityNotBanned => "activityNotBanned",
            Self::DutyMissed => "dutyMissed",
            Self::ChangeProven => "changeProven",
            Self::NotComplained => "notComplained",
            Self::PermitOver => "permitOver",
            Self::ReissueInTime(_) => "reissueInTime",
            Self::ReissueStands => "reissueStands",
        }
    }

    /// Tells whether `self` and `other` are declared alternatives: never both true of one command (rule W06).
    ///
    /// A payment is for one charge: what is asked of a payment of one fee and of another is never both true.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        if let (Some(fee), Some(another)) = (self.paid_fee(), other.paid_fee())
            && fee != another
        {
            return true;
        }
        match (self, other) {
            (Self::PaymentSettles(a), Self::PaymentLeavesOpen(b))
            | (Self::PaymentLeavesOpen(a), Self::PaymentSettles(b))
            | (Self::PaymentProlongs(a), Self::PaymentFallsShort(b))
            | (Self::PaymentFallsShort(a), Self::PaymentProlongs(b)) => a == b,
            (Self::AnswersComplete, Self::AnswersIncomplete)
            | (Self::AnswersIncomplete, Self::AnswersComplete)
            | (Self::ClockStarted, Self::ClockNotStarted)
            | (Self::ClockNotStarted, Self::ClockStarted)
            | (Self::PermitLasts, Self::PermitOver)
            | (Self::PermitOver, Self::PermitLasts) => true,
            _ => false,
        }
    }

    /// Gives the fee that the payment at hand must be for.
    fn paid_fee(&self) -> Option<&str> {
        match self {
            Self::PaymentSettles(fee)
            | Self::PaymentLeavesOpen(fee)
            | Self::PaymentProlongs(fee)
            | Self::PaymentFallsShort(fee) => Some(fee),
            _ => None,
        }
    }
}

/// What a transition does besides entering its target state, in the order written.
///
/// In TOML: `"startClock"` or `{ createCharge = "stateDuty" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// Starts the statutory clock.
    StartClock,
    /// Stops the statutory clock for good: a decision was made or none will be.
    StopClock,
    /// Lets the clock stand still.
    SuspendClock,
    /// Lets the clock run again.
    ResumeClock,
    /// Makes the clock's term longer.
    ExtendClock,
    /// Gives the clock's term its usual length again.
    WithdrawExtension,
    /// Marks that the statutory date comes near and tells the office.
    Warn,
    /// Asks every check of the definition.
    OpenChecks,
    /// Asks again the checks that wait for a register or the engine; after `undo` those without an answer, else all but
    /// what an officer has answered.
    AskOpenChecks,
    /// Records the command's finding.
    RecordFinding,
    /// Records that a blocking finding was set aside.
    OverrideFinding,
    /// Asks the command's check anew.
    RepeatCheck,
    /// Records what the applicant is asked for.
    AskInformation,
    /// Records the applicant's answers.
    RecordAnswers,
    /// Closes what was asked and not answered.
    CloseInformation,
    /// Reminds the applicant of what is awaited from him.
    Remind,
    /// Creates the charge of the named fee at today's rate.
    CreateCharge(String),
    /// Books the command's payment on its charge.
    BookPayment,
    /// Prolongs the permit by the months of the named fee that the payment pays.
    ProlongPermit(String),
    /// Annuls every charge that is not settled.
    AnnulOpenCharges,
    /// Records a decision to grant.
    DecideGrant,
    /// Records a decision to refuse (intake or grant), with the command's grounds.
    DecideRefuse,
    /// Records a proposal to annul the permit, with the command's grounds.
    ProposeAnnulment,
    /// Drops a proposal to annul.
    DropProposal,
    /// Withdraws the decision: it is to be made anew.
    WithdrawDecision,
    /// Lets the stopped clock go on: as if it had never stopped (`undo`), or after the time in which all was over.
    ReopenClock,
    /// Replaces the command's sections of the form, and what of them stands in the permit.
    CorrectForm,
    /// Puts the annulled permit back into force and drops the proposal to annul it.
    ReinstatePermit,
    /// Issues the permit: numbers, dates, status in force.
    IssuePermit,
    /// Ends the permit: lapsed.
    LapsePermit,
    /// Ends the permit: expired.
    ExpirePermit,
    /// Ends the permit: annulled on the proposal's grounds.
    AnnulPermit,
    /// Records what the holder asks about the permit.
    RecordRequest,
    /// Closes what the holder asked about the permit.
    CloseRequest,
    /// Prints the permit on a paper with a number of its own; the paper before counts no more.
    PrintBlank,
    /// Changes the form and the permit as it was asked for.
    ChangeForm,
    /// Ends the permit on the ground that the transition lists.
    SurrenderPermit,
    /// Suspends the permit, on the command's grounds.
    SuspendPermit,
    /// Puts the suspended permit back into force; one that is in force stays so.
    ResumePermit,
    /// Has the permit ended that the new one is issued in place of.
    SupersedeReissued,
    /// Ends the permit: superseded.
    SupersedePermit,
    /// Records the holder's complaint.
    RecordComplaint,
    /// Records what became of the complaint.
    AnswerComplaint,
    /// Marks the application as escalated to the senior officer.
    Escalate,
    /// Sends the named message to the applicant.
    Notify(String),
    /// Opens the duties whose terms count from issue.
    OpenDuties,
    /// Records the command's proof of a duty, opening one that follows from the command's event.
    ReportDuty,
    /// Marks the command's duty as fulfilled.
    ConfirmDuty,
    /// Takes the proof of the command's duty back.
    RejectDutyProof,
    /// Marks the command's duty as excused.
    ExcuseDuty,
    /// Reminds the holder of the duties whose day for it has come.
    RemindDuties,
    /// Marks the open duties whose last day has passed as overdue, and tells the holder and the office.
    MarkDutiesOverdue,
}

impl Effect {
    /// Gives the effect's name as it stands in JSON and in definitions.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StartClock => "startClock",
            Self::StopClock => "stopClock",
            Self::SuspendClock => "suspendClock",
            Self::ResumeClock => "resumeClock",
            Self::ExtendClock => "extendClock",
            Self::WithdrawExtension => "withdrawExtension",
            Self::Warn => "warn",
            Self::OpenChecks => "openChecks",
            Self::AskOpenChecks => "askOpenChecks",
            Self::RecordFinding => "recordFinding",
            Self::OverrideFinding => "overrideFinding",
            Self::RepeatCheck => "repeatCheck",
            Self::AskInformation => "askInformation",
            Self::RecordAnswers => "recordAnswers",
            Self::CloseInformation => "closeInformation",
            Self::Remind => "remind",
            Self::CreateCharge(_) => "createCharge",
            Self::BookPayment => "bookPayment",
            Self::ProlongPermit(_) => "prolongPermit",
            Self::AnnulOpenCharges => "annulOpenCharges",
            Self::DecideGrant => "decideGrant",
            Self::DecideRefuse => "decideRefuse",
            Self::ProposeAnnulment => "proposeAnnulment",
            Self::DropProposal => "dropProposal",
            Self::WithdrawDecision => "withdrawDecision",
            Self::ReopenClock => "reopenClock",
            Self::CorrectForm => "correctForm",
            Self::ReinstatePermit => "reinstatePermit",
            Self::IssuePermit => "issuePermit",
            Self::LapsePermit => "lapsePermit",
            Self::ExpirePermit => "expirePermit",
            Self::AnnulPermit => "annulPermit",
            Self::RecordRequest => "recordRequest",
            Self::CloseRequest => "closeRequest",
            Self::PrintBlank => "printBlank",
            Self::ChangeForm => "changeForm",
            Self::SurrenderPermit => "surrenderPermit",
            Self::SuspendPermit => "suspendPermit",
            Self::ResumePermit => "resumePermit",
            Self::SupersedeReissued => "supersedeReissued",
            Self::SupersedePermit => "supersedePermit",
            Self::RecordComplaint => "recordComplaint",
            Self::AnswerComplaint => "answerComplaint",
            Self::Escalate => "escalate",
            Self::Notify(_) => "notify",
            Self::OpenDuties => "openDuties",
            Self::ReportDuty => "reportDuty",
            Self::ConfirmDuty => "confirmDuty",
            Self::RejectDutyProof => "rejectDutyProof",
            Self::ExcuseDuty => "excuseDuty",
            Self::RemindDuties => "remindDuties",
            Self::MarkDutiesOverdue => "markDutiesOverdue",
        }
    }
}

/// The messages that [`Effect::Notify`] can name; `notify` has a text for each in every language.
pub const MESSAGES: [&str; 21] = [
    "accepted",
    "dateChanged",
    "informationRequested",
    "reminder",
    "decided",
    "ready",
    "intakeRefused",
    "undone",
    "reopened",
    "corrected",
    "courtOrdered",
    "dutyReminder",
    "dutyOverdue",
    "dutyProofRejected",
    "permitRenewed",
    "requestRefused",
    "surrendered",
    "permitSuspended",
    "permitResumed",
    "complaintUpheld",
    "complaintRejected",
];

/// From what a deadline counts.
///
/// In TOML: `{ calendarDays = 30 }`, `"clockDue"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DeadlineBasis {
    /// So many calendar days after the state was entered.
    CalendarDays(u32),
    /// So many working days after the state was entered.
    WorkingDays(u32),
    /// The statutory due date; none while the clock stands still.
    ClockDue,
    /// So many working days before that date: on that day the timer acts.
    BeforeClockDue(u32),
    /// The latest date of the information items still open.
    InformationDue,
    /// So many calendar days before that date: on that day the timer acts.
    BeforeInformationDue(u32),
    /// The last paid day of the permit, when that is before its end.
    PaidThrough,
    /// So many calendar days before that day: on that day the timer acts.
    BeforePaidThrough(u32),
    /// The last day of the permit.
    PermitEnds,
    /// The earliest last day of a duty that is open.
    DutyDue,
    /// The day of the next reminder of a duty: on that day the timer acts.
    DutyReminder,
}

/// A day after which the timer acts; the day itself still counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deadline {
    /// From what it counts.
    pub basis: DeadlineBasis,
    /// The command that the timer then gives.
    pub command: CommandName,
    /// The line of the file that says so.
    pub line: usize,
}

/// Whom a state waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Awaited {
    /// The applicant (or the permit's holder).
    Applicant,
    /// The office.
    Office,
}

/// What the public reads about a state, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// What the stage is called.
    pub stage: String,
    /// What happens next and who has to do it.
    pub next: String,
}

/// A state of the lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Name, camelCase, unique in the definition.
    pub id: String,
    /// The phase it belongs to.
    pub phase: Phase,
    /// Whether applications begin here.
    pub initial: bool,
    /// Whether nothing follows.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Whom it waits for; `None` only for final states.
    pub awaits: Option<Awaited>,
    /// Its deadlines.
    pub deadlines: Vec<Deadline>,
    /// Why it has none.
    pub no_deadline: Option<String>,
    /// Public wording by language.
    pub wording: BTreeMap<String, Wording>,
    /// The line of the file that begins it.
    pub line: usize,
}

/// A permitted step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The command that takes it.
    pub command: CommandName,
    /// The states it starts from.
    pub from: Vec<String>,
    /// The state it leads to; `None` stays where it is.
    pub to: Option<String>,
    /// Who may take it.
    pub actors: Vec<Party>,
    /// What must hold, checked in order; the first that fails blocks.
    pub guards: Vec<Guard>,
    /// What it does, in order.
    pub effects: Vec<Effect>,
    /// Commands whose giver on this application may not give this one (four eyes).
    pub four_eyes: Vec<CommandName>,
    /// The grounds that the command may carry; empty when it carries none.
    pub grounds: Vec<GroundCode>,
    /// The article or regulation that allows it.
    pub basis: String,
    /// The line of the file that begins it.
    pub line: usize,
}

impl Transition {
    /// Gives the state entered when starting from `from`.
    #[must_use]
    pub fn target<'a>(&'a self, from: &'a str) -> &'a str {
        self.to.as_deref().unwrap_or(from)
    }
}

/// Who answers a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum CheckSource {
    /// An officer looks and records.
    Officer,
    /// A register of this name is asked; an officer can record its answer.
    Register(String),
    /// The engine finds the answer itself, from what the office holds.
    Local(LocalCheck),
}

/// A check that needs nobody's answer: see [`crate::domain::checks::local`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LocalCheck {
    /// The machine-readable lines of the passport agree with themselves and with the form.
    Mrz,
    /// The worker is as old as the guard `ageAtLeast` demands.
    Age,
    /// The application was handed in within the days of the guard `withinDaysOfEntryOrFined`.
    EntryWindow,
    /// Nobody else has the passport, and the person no other passport.
    DuplicatePerson,
    /// No permit of the person was annulled on a ground whose bar still lasts.
    PermitBan,
}

impl LocalCheck {
    /// Every local check.
    pub const ALL: [Self; 5] =
        [Self::Mrz, Self::Age, Self::EntryWindow, Self::DuplicatePerson, Self::PermitBan];

    /// Gives the check's name as it stands in definitions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mrz => "mrz",
            Self::Age => "age",
            Self::EntryWindow => "entryWindow",
            Self::DuplicatePerson => "duplicatePerson",
            Self::PermitBan => "permitBan",
        }
    }

    /// Finds a local check by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }

    /// Gives the reasons that its findings can have.
    #[must_use]
    pub const fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::Mrz => &[
                "unreadable",
                "passportNumber",
                "expiresOn",
                "birthDate",
                "sex",
                "citizenship",
                "name",
            ],
            Self::Age => &["underAge"],
            Self::EntryWindow => &["late"],
            Self::DuplicatePerson => &["samePassport", "samePerson"],
            Self::PermitBan => &["annulled", "annulledUnderOtherPassport"],
        }
    }

    /// Tells whether it looks at other applications than the one it is about.
    #[must_use]
    pub const fn looks_at_others(self) -> bool {
        matches!(self, Self::DuplicatePerson | Self::PermitBan)
    }
}

/// What a blocking answer means for the applicant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Consequence {
    /// The application can be refused on it.
    Refuse,
    /// The applicant is asked for something first.
    Ask,
}

impl Consequence {
    /// Gives the consequence's name as it stands in JSON and in definitions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Ask => "ask",
        }
    }
}

/// A coded reason for an answer that stands in the way of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReason {
    /// Name, camelCase, unique in the check.
    pub id: String,
    /// What an answer for this reason means.
    pub means: Consequence,
    /// What it says, by language.
    pub title: Texts,
    /// The grounds to refuse that it supports; at least one when it means [`Consequence::Refuse`].
    pub grounds: Vec<GroundCode>,
    /// The line of the file that begins it.
    pub line: usize,
}

/// One question that the office must have answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRule {
    /// Name, camelCase, unique in the definition.
    pub id: String,
    /// What it asks, by language.
    pub title: Texts,
    /// Who answers.
    pub source: CheckSource,
    /// The parts of the form that a register is sent, of [`crate::domain::form::PARTS`]: no more than it needs.
    pub sends: Vec<String>,
    /// Working days until an answer is due; none for a local check, which is answered when it is asked.
    pub due_working_days: u32,
    /// The outcomes that block, and what each means. `clear` never blocks.
    pub blocking: Vec<(Outcome, Consequence)>,
    /// The reasons that a blocking answer can have; each says what the answer means, whatever its outcome.
    pub reasons: Vec<CheckReason>,
    /// The line of the file that begins it.
    pub line: usize,
}

impl CheckRule {
    /// Finds a reason.
    #[must_use]
    pub fn reason(&self, id: &str) -> Option<&CheckReason> {
        self.reasons.iter().find(|reason| reason.id == id)
    }

    /// Gives the register that is asked, if one is.
    #[must_use]
    pub fn register(&self) -> Option<&str> {
        match &self.source {
            CheckSource::Register(name) => Some(name),
            CheckSource::Officer | CheckSource::Local(_) => None,
        }
    }
}

/// When a fee must have been paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FeePosition {
    /// Before the application is taken in.
    BeforeAcceptance,
    /// Before the permit is handed over.
    BeforeHandover,
    /// Month by month while the permit is in force: a bill of the next month is always open.
    WhileInForce,
    /// Before what is asked about a permit in force is done: each request is charged anew.
    OnRequest,
}

impl FeePosition {
    /// Gives the position's name as it stands in JSON and in definitions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeAcceptance => "beforeAcceptance",
            Self::BeforeHandover => "beforeHandover",
            Self::WhileInForce => "whileInForce",
            Self::OnRequest => "onRequest",
        }
    }
}

/// Money that an application owes at some point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeeRule {
    /// Name, camelCase, unique in the definition.
    pub id: String,
    /// What it is, by language.
    pub title: Texts,
    /// The rate's name in `rates.toml`.
    pub rate: String,
    /// When it must have been paid.
    pub position: FeePosition,
    /// Whether it is owed by the month: the form's `prepaidMonths`, and while the permit is in force the next one.
    pub per_month: bool,
    /// The line of the file that begins it.
    pub line: usize,
}

/// A document that the applicant hands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRule {
    /// Name, camelCase, unique in the definition.
    pub id: String,
    /// What it is, by language.
    pub title: Texts,
    /// Whether an application can be handed in without it.
    pub required: bool,
    /// The line of the file that begins it.
    pub line: usize,
}

/// The statutory term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockRule {
    /// Its length in working days; day one is the next working day after the start.
    pub working_days: u32,
    /// The states in which it stands still.
    pub stands_still_in: Vec<String>,
    /// By how many working days at most it can be extended; `None`: not at all.
    pub extension_working_days: Option<u32>,
    /// The article that sets it.
    pub basis: String,
    /// The line of the file that begins it.
    pub line: usize,
}

/// What an applicant reads when the promised date has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComplaintRule {
    /// That the promise was broken and how to complain, by language.
    pub how: Texts,
    /// The line of the file that begins it.
    pub line: usize,
}

/// What one can complain of: the seven kinds that the state's portal of complaints knows (domain.md 6, S88).
pub const COMPLAINTS: [&str; 7] = [
    "lateService",
    "lateRegistration",
    "refusalToCorrect",
    "refusalOfService",
    "refusalOfDocuments",
    "extraMoney",
    "extraDocuments",
];

/// How long a permit is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum PermitTerm {
    /// So many months from issue.
    Months(u32),
    /// Until the contract ends, at most so many years from issue.
    ContractUpToYears(u32),
}

/// From what the term of a duty counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DutyStart {
    /// The issue of the permit: it is owed from then on.
    Issue,
    /// An event that is reported: it is owed from its report on, each time.
    Event,
}

/// How long a duty may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DutyTerm {
    /// So many months.
    Months(u32),
    /// So many working days; day one is the next working day.
    WorkingDays(u32),
}

/// Who owes a duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DutyOwner {
    /// The permit's holder.
    Holder,
    /// His employer.
    Employer,
}

impl DutyOwner {
    /// Gives the owner's name as it stands in JSON and in definitions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::Employer => "employer",
        }
    }
}

/// What may follow from a duty that is overdue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DutyConsequence {
    /// Nothing but that holder and office are told.
    Tell,
    /// An officer may propose to annul the permit on this ground, and on it only then.
    ProposeAnnulment(GroundCode),
}

/// Something that must be done after issue.
///
/// One without a `term` is told in words alone: nothing is owed, nothing falls due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Duty {
    /// Name, camelCase, unique in the definition.
    pub id: String,
    /// What it is, by language.
    pub title: Texts,
    /// In words: how long after what.
    pub words: Texts,
    /// Who owes it.
    pub owner: DutyOwner,
    /// From what its term counts.
    pub start: DutyStart,
    /// The term.
    pub term: Option<DutyTerm>,
    /// Whether a term in months that ends on a day off goes on to the next working day.
    pub to_working_day: bool,
    /// How many calendar days before its last day the holder is reminded, the earliest reminder first.
    pub remind_days_before: Vec<u32>,
    /// The document that proves it.
    pub proof: Option<String>,
    /// What may follow when it is overdue.
    pub consequence: DutyConsequence,
    /// The article that sets it.
    pub basis: String,
    /// The line of the file that begins it.
    pub line: usize,
}

/// The permit that a track leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermitRule {
    /// How long it is valid.
    pub term: PermitTerm,
    /// The fee whose months carry it; `None`: valid for the whole term at once.
    pub paid_by: Option<String>,
    /// What its holder or the employer owes afterwards.
    pub duties: Vec<Duty>,
    /// The line of the file that begins it.
    pub line: usize,
}

impl Duty {
    /// Tells whether a ground to annul is its consequence.
    #[must_use]
    pub fn follows(&self, code: &GroundCode) -> bool {
        matches!(&self.consequence, DutyConsequence::ProposeAnnulment(own) if own == code)
    }
}

impl PermitRule {
    /// Finds a duty.
    #[must_use]
    pub fn duty(&self, id: &str) -> Option<&Duty> {
        self.duties.iter().find(|duty| duty.id == id)
    }

    /// Tells whether a document proves a duty: it is handed in after issue, and not with the application.
    #[must_use]
    pub fn is_proof(&self, document: &str) -> bool {
        self.duties.iter().any(|duty| duty.proof.as_deref() == Some(document))
    }

    /// Tells whether any of its duties is owed by a day.
    #[must_use]
    pub fn has_duties_owed(&self) -> bool {
        self.duties.iter().any(|duty| duty.term.is_some())
    }
}

/// One version of one track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// The track's name, kebab-case; the file is named after it.
    pub track: String,
    /// The version; applications stay with the one they were opened under.
    pub version: u32,
    /// What the track is called, by language.
    pub title: Texts,
    /// The law it follows.
    pub law: String,
    /// The first day on which applications can be opened under it.
    pub in_force_from: NaiveDate,
    /// The last such day.
    pub in_force_to: Option<NaiveDate>,
    /// The roles that may apply.
    pub applicants: Vec<Role>,
    /// The form's required sections (names of [`crate::domain::form::FIELDS`]).
    pub required_fields: Vec<String>,
    /// The documents.
    pub documents: Vec<DocumentRule>,
    /// The checks.
    pub checks: Vec<CheckRule>,
    /// The fees.
    pub fees: Vec<FeeRule>,
    /// The statutory clock.
    pub clock: ClockRule,
    /// What an applicant reads when the promised date has passed.
    pub complaint: ComplaintRule,
    /// The permit.
    pub permit: PermitRule,
    /// The states, in the order of the file.
    pub states: Vec<State>,
    /// The transitions, in the order of the file.
    pub transitions: Vec<Transition>,
}

impl Definition {
    /// Finds a state.
    #[must_use]
    pub fn state(&self, id: &str) -> Option<&State> {
        self.states.iter().find(|state| state.id == id)
    }

    /// Gives the state in which applications begin (rule W02 proves that there is exactly one).
    #[must_use]
    pub fn initial(&self) -> Option<&State> {
        self.states.iter().find(|state| state.initial)
    }

    /// Gives the transitions that `command` can take from `state`.
    pub fn transitions_for<'a>(
        &'a self,
        state: &'a str,
        command: CommandName,
    ) -> impl Iterator<Item = &'a Transition> + 'a {
        self.transitions
            .iter()
            .filter(move |t| t.command == command && t.from.iter().any(|from| from == state))
    }

    /// Finds a fee.
    #[must_use]
    pub fn fee(&self, id: &str) -> Option<&FeeRule> {
        self.fees.iter().find(|fee| fee.id == id)
    }

    /// Tells whether any check looks at other applications than the one it is about.
    #[must_use]
    pub fn looks_at_others(&self) -> bool {
        let others = |rule: &CheckRule| matches!(rule.source, CheckSource::Local(local) if local.looks_at_others());
        self.checks.iter().any(others)
    }

    /// Finds a check.
    #[must_use]
    pub fn check(&self, id: &str) -> Option<&CheckRule> {
        self.checks.iter().find(|check| check.id == id)
    }

    /// Tells whether a complaint is answered in a state.
    #[must_use]
    pub fn answers_complaints(&self, state: &str) -> bool {
        self.transitions_for(state, CommandName::RejectComplaint).next().is_some()
    }

    /// Tells whether documents that prove a change of the permit can be handed in.
    #[must_use]
    pub fn takes_proofs(&self, state: &str) -> bool {
        self.transitions_for(state, CommandName::MakeChange).next().is_some()
    }

    /// Tells whether `command` can issue a permit, and so needs a number at hand.
    #[must_use]
    pub fn issues_permit(&self, command: CommandName) -> bool {
        self.transitions
            .iter()
            .any(|t| t.command == command && t.effects.contains(&Effect::IssuePermit))
    }
}
