//! The body of `POST /v1/applications/{id}/commands`: one tagged union for every command that a person can give.

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::{Validate, ValidationErrors};

use super::extract::read_tree;
use super::form::{EmployerBody, FormBody, of_our_time};
use crate::domain::after_life::{ComplaintKind, DuplicateCause};
use crate::domain::application::InformationKind;
use crate::domain::checks::Outcome;
use crate::domain::duty::{Notice, NoticeKind};
use crate::domain::fee::{Money, Payment, Uin};
use crate::domain::form::Form;
use crate::domain::ground::{GroundCode, Grounds};
use crate::domain::workflow::command::{Answer, Command, Judgment, RequestedItem};
use crate::error::{Error, ErrorCode, Result, Violation};

/// A command: its name under `command`, its contents beside it. Reading an application lists the commands that the
/// caller may give now.
#[derive(Debug, ToSchema)]
#[serde(tag = "command", rename_all = "camelCase")]
#[schema(example = json!({"command": "recordFinding", "check": "entryBan", "outcome": "clear"}))]
pub enum CommandRequest {
    /// The applicant hands the draft in.
    Submit(Empty),
    /// The applicant takes the application back.
    Withdraw(WithdrawRequest),
    /// An officer refuses to take it in.
    RefuseIntake(GroundsRequest),
    /// An officer takes it in: the statutory clock starts.
    Accept(Empty),
    /// A senior officer makes the statutory term longer, once.
    ExtendClock(ExtensionRequest),
    /// A senior officer takes the extension back.
    WithdrawExtension(RejectRequest),
    /// An officer records the answer to a check.
    RecordFinding(FindingRequest),
    /// A senior officer sets a blocking answer aside.
    OverrideFinding(OverrideRequest),
    /// An officer has a check asked anew: its answer is gone, a local check is answered again at once.
    RepeatCheck(RepeatRequest),
    /// An officer asks the applicant for things: the clock stands still.
    RequestInformation(InformationRequest),
    /// The applicant answers.
    AnswerInformation(AnswersRequest),
    /// A second officer decides for the applicant.
    Grant(Empty),
    /// A second officer decides against the applicant.
    Refuse(GroundsRequest),
    /// An officer books a payment that the applicant proves.
    RecordPayment(PaymentRequest),
    /// An officer hands the permit over.
    HandOver(Empty),
    /// An officer proposes that the permit be annulled.
    ProposeAnnulment(GroundsRequest),
    /// A second, senior officer confirms.
    ConfirmAnnulment(Empty),
    /// A second, senior officer turns the proposal down.
    RejectAnnulment(RejectRequest),
    /// The holder asks for another paper in place of one that is lost or damaged: a duty is charged.
    RequestDuplicate(DuplicateRequest),
    /// An officer hands the paper out, once the duty is paid: it has a new number, the permit keeps its own.
    IssueDuplicate(Empty),
    /// The holder asks for another passport, name or profession on the permit: a duty is charged, and a document is to prove
    /// it.
    RequestChange(Box<ChangeRequest>),
    /// An officer changes the data as it was asked for, once the duty is paid: on a new paper.
    MakeChange(Empty),
    /// The holder gives the permit up.
    Surrender(WithdrawRequest),
    /// An officer ends the permit that is given up.
    ConfirmSurrender(Empty),
    /// The holder takes back what he asked about the permit.
    WithdrawRequest(WithdrawRequest),
    /// An officer refuses what was asked about the permit.
    RefuseRequest(RejectRequest),
    /// A senior officer has a paper printed anew that was spoilt in the office: nothing is charged.
    ReplaceBlank(RejectRequest),
    /// A senior officer suspends the permit.
    SuspendPermit(GroundsRequest),
    /// A second officer puts the suspended permit back into force.
    ResumePermit(RejectRequest),
    /// The applicant complains of a refusal, of a refusal to take documents in, or of an annulment, once.
    Complain(ComplaintRequest),
    /// A senior officer who did not decide finds the complaint right: what was refused is decided anew, the permit is in force
    /// again while it lasts.
    UpholdComplaint(RejectRequest),
    /// A senior officer who did not decide finds that the decision stands.
    RejectComplaint(RejectRequest),
    /// A senior officer other than who decided undoes a decision that was made within the hour.
    Undo(UndoRequest),
    /// A senior officer other than who decided takes up again what was refused, or was taken back by mistake.
    Reopen(ReopenRequest),
    /// A senior officer other than who decided puts right what the form misstates, after the decision.
    Correct(Box<CorrectRequest>),
    /// A senior officer other than who decided does what a court has ordered.
    CourtOrder(CourtOrderRequest),
    /// The applicant hands in the proof of a duty after issue, or tells of an event that one follows from.
    ReportDuty(DutyReportRequest),
    /// An officer finds the proof of a duty good.
    ConfirmDuty(DutyRequest),
    /// An officer finds the proof of a duty wanting: it is owed again.
    RejectDutyProof(DutyReasonRequest),
    /// An officer lets a duty go, although it is late or not done.
    ExcuseDuty(DutyReasonRequest),
}

/// The names of the commands that a person can give.
const NAMES: [&str; 40] = [
    "submit",
    "withdraw",
    "refuseIntake",
    "accept",
    "extendClock",
    "withdrawExtension",
    "recordFinding",
    "overrideFinding",
    "repeatCheck",
    "requestInformation",
    "answerInformation",
    "grant",
    "refuse",
    "recordPayment",
    "handOver",
    "proposeAnnulment",
    "confirmAnnulment",
    "rejectAnnulment",
    "requestDuplicate",
    "issueDuplicate",
    "requestChange",
    "makeChange",
    "surrender",
    "confirmSurrender",
    "withdrawRequest",
    "refuseRequest",
    "replaceBlank",
    "suspendPermit",
    "resumePermit",
    "complain",
    "upholdComplaint",
    "rejectComplaint",
    "undo",
    "reopen",
    "correct",
    "courtOrder",
    "reportDuty",
    "confirmDuty",
    "rejectDutyProof",
    "excuseDuty",
];

/// A command without contents.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// Why an application is taken back.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Why, if the applicant wants to say.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "I found work at home.")]
    pub reason: Option<String>,
}

/// Grounds and what they rest on.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroundsRequest {
    /// Codes of the grounds, at least one; the track lists those it takes.
    #[validate(length(min = 1, max = 10))]
    #[schema(min_items = 1, max_items = 10, example = json!(["G04"]))]
    pub grounds: Vec<String>,
    /// What they rest on, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The certificate was never issued.")]
    pub reason: String,
}

/// By how much the statutory term is made longer: once, and not after its last day.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtensionRequest {
    /// By so many working days; the track says how many at most.
    #[validate(range(min = 1, max = 250))]
    #[schema(minimum = 1, maximum = 250, example = 5)]
    pub working_days: u32,
    /// Why, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "The register of another country has to be asked."
    )]
    pub reason: String,
    /// The article that allows it.
    #[validate(length(min = 1, max = 300))]
    #[schema(min_length = 1, max_length = 300, example = "Order 4 of the ministry, section 12")]
    pub basis: String,
}

/// What an answer to a check can be.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OutcomeRequest {
    /// Nothing stands against the applicant.
    Clear,
    /// Something does.
    Hit,
    /// The source knows nothing of the matter.
    NoData,
    /// The source could not answer.
    Error,
    /// The source did not answer in time.
    TimedOut,
}

/// The answer to a check.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindingRequest {
    /// The check's name.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "entryBan")]
    pub check: String,
    /// The answer.
    pub outcome: OutcomeRequest,
    /// The coded reason of an answer that blocks; `GET /v1/workflows/{track}` lists those of each check, and whether each
    /// means to refuse or to ask the applicant first.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "deported")]
    pub reason: Option<String>,
    /// Free text for the office.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "Register extract of today.")]
    pub note: Option<String>,
}

/// A blocking answer that is set aside.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideRequest {
    /// The check's name.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "criminalRecord")]
    pub check: String,
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "A namesake; another birth date.")]
    pub reason: String,
}

/// A check that is asked anew. An answer that spoke for refusing, and is not the officer's own, stays held against the
/// applicant until the check is answered again or a senior officer records an answer.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepeatRequest {
    /// The check's name.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "language")]
    pub check: String,
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The applicant has a new certificate.")]
    pub reason: String,
}

/// What kind of thing is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum InformationKindRequest {
    /// A document.
    Document,
    /// A field of the form.
    Field,
    /// A personal visit.
    Visit,
}

/// One thing that is asked for.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemRequest {
    /// Kind.
    pub kind: InformationKindRequest,
    /// What exactly.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, example = "languageCertificate")]
    pub subject: String,
    /// Why.
    #[validate(length(min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000, example = "The copy cannot be read.")]
    pub reason: String,
    /// Until when: a day after today. While a later one is open the applicant can still answer: an item's own date has
    /// no effect until then. The clock goes on with the complete answer, or with the latest date or answer.
    #[schema(example = "2026-12-10")]
    pub due_on: NaiveDate,
    /// The check whose answer is the reason: one that blocks and means asking.
    #[validate(length(min = 1, max = 60))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 60, example = "language")]
    pub check: Option<String>,
    /// For `document`: the kind of document of the track that must be handed in anew before it is answered.
    #[validate(length(min = 1, max = 60))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 60, example = "languageCertificate")]
    pub document: Option<String>,
    /// For `field`: the section of the form, or the field in it, that the answer may mend.
    #[validate(length(min = 1, max = 60))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 60, example = "person.familyName")]
    pub field: Option<String>,
}

/// What the applicant is asked for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InformationRequest {
    /// The things.
    #[validate(length(min = 1, max = 20), nested)]
    #[schema(min_items = 1, max_items = 20)]
    pub items: Vec<ItemRequest>,
}

/// One answer.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerRequest {
    /// The thing's number.
    #[validate(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, example = 1)]
    pub item: u32,
    /// The answer.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "I have uploaded a better copy.")]
    pub text: String,
    /// For a `field`: the section that was asked for, whole, in place of what was stated.
    #[validate(nested)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<FormBody>,
}

/// The applicant's answers.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswersRequest {
    /// The answers.
    #[validate(length(min = 1, max = 20), nested)]
    #[schema(min_items = 1, max_items = 20)]
    pub answers: Vec<AnswerRequest>,
}

/// A payment that the applicant proves at the counter.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentRequest {
    /// UIN of the charge it is for.
    #[validate(length(min = 20, max = 25))]
    #[schema(min_length = 20, max_length = 25, example = "18800000000000000123")]
    pub uin: String,
    /// Amount in kopecks.
    #[validate(range(min = 1, max = 100_000_000_000_i64))]
    #[schema(minimum = 1, maximum = 100_000_000_000_i64, example = 420_000)]
    pub amount_kopecks: i64,
    /// When it was paid.
    #[validate(custom(function = "of_our_time"))]
    #[schema(example = "2026-11-24T09:30:00Z")]
    pub paid_at: DateTime<Utc>,
    /// Number of the payment document, once only.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "receipt 4711")]
    pub document_number: String,
}

/// Why a proposal is turned down.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectRequest {
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "The contract copy had arrived in time."
    )]
    pub reason: String,
}

/// What became of a paper.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum DuplicateCauseRequest {
    /// It is lost.
    Lost,
    /// It is damaged.
    Damaged,
}

/// Why another paper is asked for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DuplicateRequest {
    /// What became of the one before.
    pub cause: DuplicateCauseRequest,
    /// How it came about.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "Left in a bus on 3 March.")]
    pub reason: String,
}

/// What is to be changed on the permit.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRequest {
    /// Why.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "I have a new passport.")]
    pub reason: String,
    /// The sections to replace, each whole: `person`, `passport`, `occupation`.
    #[validate(nested)]
    pub form: FormBody,
}

/// What a complaint can be of: the seven kinds that the state's portal knows.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ComplaintKindRequest {
    /// The office is late.
    LateService,
    /// The request was registered late.
    LateRegistration,
    /// The office does not put its mistakes right.
    RefusalToCorrect,
    /// The office refuses the service.
    RefusalOfService,
    /// The office refuses to take documents.
    RefusalOfDocuments,
    /// The office asks for money that is not owed.
    ExtraMoney,
    /// The office asks for documents that are not owed.
    ExtraDocuments,
}

/// What a decision is complained of for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComplaintRequest {
    /// Of what.
    pub about: ComplaintKindRequest,
    /// In words.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The certificate was in the register.")]
    pub text: String,
}

/// Why a decision is undone.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UndoRequest {
    /// Why, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The refusal was meant for a namesake.")]
    pub reason: String,
}

/// Why and on what basis an application is taken up again.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReopenRequest {
    /// Why, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The certificate is in the register.")]
    pub reason: String,
    /// The article or decision it rests on.
    #[validate(length(min = 1, max = 300))]
    #[schema(min_length = 1, max_length = 300, example = "Complaint 12-345 of 20 November 2026")]
    pub basis: String,
}

/// What is put right, why and on what basis.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorrectRequest {
    /// Why, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "A letter was lost in the translation.")]
    pub reason: String,
    /// The document or article it rests on; needed where birth date or citizenship change.
    #[validate(length(min = 1, max = 300))]
    #[schema(min_length = 1, max_length = 300, example = "Notarised translation 77-1234")]
    pub basis: Option<String>,
    /// The sections to replace, each whole: `person`, `passport`, `occupation`, `contact`.
    #[validate(nested)]
    pub form: FormBody,
}

/// What a court has ruled.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgmentRequest {
    /// The court.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, example = "Tverskoy District Court of Moscow")]
    pub court: String,
    /// The number of the case.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "02a-0123/2026")]
    pub number: String,
    /// The day of the judgment.
    #[schema(example = "2026-11-20")]
    pub judged_on: NaiveDate,
}

/// What a court has ordered.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CourtOrderRequest {
    /// What it ordered and why, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The refusal is void; decide anew.")]
    pub reason: String,
    /// The judgment.
    #[validate(nested)]
    pub basis: JudgmentRequest,
}

/// What an employer has to notify of.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoticeKindRequest {
    /// A contract was concluded.
    Hiring,
    /// A contract was ended.
    Ending,
}

/// What happened that must be notified of.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoticeRequest {
    /// What.
    pub kind: NoticeKindRequest,
    /// When: from the issue of the permit to today.
    #[schema(example = "2026-11-20")]
    pub on: NaiveDate,
    /// The employer, and the activity for which he hires.
    #[validate(nested)]
    pub employer: EmployerBody,
}

/// The proof of a duty, or an event that one follows from.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DutyReportRequest {
    /// The duty's name, as the application lists it.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "contractCopy")]
    pub duty: String,
    /// The kind of the document that proves it; hand it in first. May be left out with an event that is told for the first
    /// time: its duty is owed from then on.
    #[validate(length(min = 1, max = 60))]
    #[schema(min_length = 1, max_length = 60, example = "contractCopy")]
    pub document: Option<String>,
    /// The event, of a duty that counts from one.
    #[validate(nested)]
    pub notice: Option<NoticeRequest>,
}

/// Which duty.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DutyRequest {
    /// Its number, as the application shows it.
    #[validate(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, example = 1)]
    pub number: u32,
}

/// Which duty, and why.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DutyReasonRequest {
    /// Its number, as the application shows it.
    #[validate(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, example = 1)]
    pub number: u32,
    /// Why, in words that the applicant can read.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, example = "The contract is not signed.")]
    pub reason: String,
}

/// A body that is an object with a command's name in it; [`Commanded::read`] takes it apart.
#[derive(Debug)]
pub struct Commanded(Map<String, Value>);

impl<'de> Deserialize<'de> for Commanded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self)
    }
}

impl Validate for Commanded {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

impl Commanded {
    /// Gives the command, its contents checked against their schema and for what a schema cannot say.
    ///
    /// # Errors
    /// 400 with everything that does not fit; 422 for a wrong check digit or ground code, or a form that cannot be right
    /// on the day `today`.
    pub fn read(mut self, today: NaiveDate) -> Result<Command> {
        let name = match self.0.remove("command") {
            Some(Value::String(name)) => name,
            Some(_) => return Err(unknown("wrong-type")),
            None => return Err(unknown("required")),
        };
        let rest = Value::Object(self.0);
        Ok(match name.as_str() {
            "submit" => empty(rest, Command::Submit)?,
            "accept" => empty(rest, Command::Accept)?,
            "grant" => empty(rest, Command::Grant)?,
            "handOver" => empty(rest, Command::HandOver)?,
            "confirmAnnulment" => empty(rest, Command::ConfirmAnnulment)?,
            "withdraw" => {
                let WithdrawRequest { reason } = part(rest)?;
                Command::Withdraw { reason }
            }
            "refuseIntake" => {
                let (grounds, reason) = grounds(rest)?;
                Command::RefuseIntake { grounds, reason }
            }
            "refuse" => {
                let (grounds, reason) = grounds(rest)?;
                Command::Refuse { grounds, reason }
            }
            "proposeAnnulment" => {
                let (grounds, reason) = grounds(rest)?;
                Command::ProposeAnnulment { grounds, reason }
            }
            "extendClock" => {
                let ExtensionRequest { working_days, reason, basis } = part(rest)?;
                Command::ExtendClock { working_days, reason, basis }
            }
            "withdrawExtension" => {
                let RejectRequest { reason } = part(rest)?;
                Command::WithdrawExtension { reason }
            }
            "recordFinding" => {
                let FindingRequest { check, outcome, reason, note } = part(rest)?;
                let outcome = outcome.into();
                Command::RecordFinding { check, outcome, reason, note, digest: None }
            }
            "overrideFinding" => {
                let OverrideRequest { check, reason } = part(rest)?;
                Command::OverrideFinding { check, reason }
            }
            "repeatCheck" => {
                let RepeatRequest { check, reason } = part(rest)?;
                Command::RepeatCheck { check, reason }
            }
            "requestInformation" => {
                let InformationRequest { items } = part(rest)?;
                Command::RequestInformation { items: items.into_iter().map(Into::into).collect() }
            }
            "answerInformation" => {
                let AnswersRequest { answers } = part(rest)?;
                Command::AnswerInformation { answers: answered(answers, today)? }
            }
            "recordPayment" => {
                Command::RecordPayment { payment: part::<PaymentRequest>(rest)?.parse()? }
            }
            "rejectAnnulment" => {
                let RejectRequest { reason } = part(rest)?;
                Command::RejectAnnulment { reason }
            }
            "requestDuplicate" => {
                let DuplicateRequest { cause, reason } = part(rest)?;
                let cause = match cause {
                    DuplicateCauseRequest::Lost => DuplicateCause::Lost,
                    DuplicateCauseRequest::Damaged => DuplicateCause::Damaged,
                };
                Command::RequestDuplicate { cause, reason }
            }
            "issueDuplicate" => empty(rest, Command::IssueDuplicate)?,
            "requestChange" => {
                let ChangeRequest { reason, form } = part(rest)?;
                let form = form.parse(today, "/form").map_err(unfit)?;
                Command::RequestChange { reason, form: Box::new(form) }
            }
            "makeChange" => empty(rest, Command::MakeChange)?,
            "surrender" => {
                let WithdrawRequest { reason } = part(rest)?;
                Command::Surrender { reason }
            }
            "confirmSurrender" => empty(rest, Command::ConfirmSurrender)?,
            "withdrawRequest" => {
                let WithdrawRequest { reason } = part(rest)?;
                Command::WithdrawRequest { reason }
            }
            "refuseRequest" => {
                let RejectRequest { reason } = part(rest)?;
                Command::RefuseRequest { reason }
            }
            "replaceBlank" => {
                let RejectRequest { reason } = part(rest)?;
                Command::ReplaceBlank { reason }
            }
            "suspendPermit" => {
                let (grounds, reason) = grounds(rest)?;
                Command::SuspendPermit { grounds, reason }
            }
            "resumePermit" => {
                let RejectRequest { reason } = part(rest)?;
                Command::ResumePermit { reason }
            }
            "complain" => {
                let ComplaintRequest { about, text } = part(rest)?;
                Command::Complain { about: about.into(), text }
            }
            "upholdComplaint" => {
                let RejectRequest { reason } = part(rest)?;
                Command::UpholdComplaint { reason }
            }
            "rejectComplaint" => {
                let RejectRequest { reason } = part(rest)?;
                Command::RejectComplaint { reason }
            }
            "undo" => {
                let UndoRequest { reason } = part(rest)?;
                Command::Undo { reason }
            }
            "reopen" => {
                let ReopenRequest { reason, basis } = part(rest)?;
                Command::Reopen { reason, basis }
            }
            "correct" => {
                let CorrectRequest { reason, basis, form } = part(rest)?;
                let form = form.parse(today, "/form").map_err(unfit)?;
                Command::Correct { reason, basis, form: Box::new(form) }
            }
            "courtOrder" => {
                let CourtOrderRequest { reason, basis } = part(rest)?;
                let JudgmentRequest { court, number, judged_on } = basis;
                Command::CourtOrder { reason, basis: Judgment { court, number, judged_on } }
            }
            "reportDuty" => part::<DutyReportRequest>(rest)?.parse()?,
            "confirmDuty" => {
                let DutyRequest { number } = part(rest)?;
                Command::ConfirmDuty { number }
            }
            "rejectDutyProof" => {
                let DutyReasonRequest { number, reason } = part(rest)?;
                Command::RejectDutyProof { number, reason }
            }
            "excuseDuty" => {
                let DutyReasonRequest { number, reason } = part(rest)?;
                Command::ExcuseDuty { number, reason }
            }
            _ => return Err(unknown("unknown-command")),
        })
    }
}

fn unknown(code: &'static str) -> Error {
    Error::invalid(vec![Violation::new(
        "/command",
        code,
        format!("Send the name of a command: one of {}.", NAMES.join(", ")),
    )])
}

fn part<T: DeserializeOwned + Validate>(tree: Value) -> Result<T> {
    read_tree(tree).map_err(Error::invalid)
}

fn empty(tree: Value, command: Command) -> Result<Command> {
    part::<Empty>(tree).map(|_| command)
}

fn grounds(tree: Value) -> Result<(Grounds, String)> {
    let GroundsRequest { grounds, reason } = part(tree)?;
    let mut violations = Vec::new();
    let mut codes = Vec::new();
    for (index, code) in grounds.iter().enumerate() {
        match GroundCode::parse(code) {
            Ok(code) => codes.push(code),
            Err(error) => violations.push(Violation::new(
                format!("/grounds/{index}"),
                "unknown-ground",
                error.to_string(),
            )),
        }
    }
    match Grounds::new(codes) {
        Some(grounds) if violations.is_empty() => Ok((grounds, reason)),
        _ => Err(unfit(violations)),
    }
}

/// Says 422: the contents fit the schema and are still wrong.
fn unfit(violations: Vec<Violation>) -> Error {
    Error::refused(
        ErrorCode::RuleRefused,
        "The contents are wrong; mend each of the listed errors and send it again.",
    )
    .with_violations(violations)
}

/// Reads answers and the sections of the form that they bring, all that is wrong with these at once.
fn answered(answers: Vec<AnswerRequest>, today: NaiveDate) -> Result<Vec<Answer>> {
    let mut violations = Vec::new();
    let mut read = Vec::new();
    for (index, one) in answers.into_iter().enumerate() {
        let form = one.form.map(|form| form.parse(today, &format!("/answers/{index}/form")));
        let form: Option<Box<Form>> = match form.transpose() {
            Ok(form) => form.map(Box::new),
            Err(found) => {
                violations.extend(found);
                None
            }
        };
        read.push(Answer { item: one.item, text: one.text, form });
    }
    if violations.is_empty() { Ok(read) } else { Err(unfit(violations)) }
}

impl PaymentRequest {
    fn parse(self) -> Result<Payment> {
        let uin = Uin::parse(&self.uin).map_err(|error| {
            unfit(vec![Violation::new("/uin", "invalid-uin", error.to_string())])
        })?;
        Ok(Payment {
            // A counter's document numbers and the provider's ids never meet.
            provider_id: format!("counter:{}:{}", uin.as_str(), self.document_number),
            uin: Some(uin),
            amount: Money::from_kopecks(self.amount_kopecks).unwrap_or(Money::ZERO),
            paid_at: self.paid_at,
            payer: None,
            ..Payment::default()
        })
    }
}

impl DutyReportRequest {
    fn parse(self) -> Result<Command> {
        let notice = self.notice.map(|one| {
            let employer = one.employer.parse("/notice/employer").map_err(unfit)?;
            Ok(Notice {
                kind: match one.kind {
                    NoticeKindRequest::Hiring => NoticeKind::Hiring,
                    NoticeKindRequest::Ending => NoticeKind::Ending,
                },
                on: one.on,
                inn: employer.inn,
                employer: employer.name,
                okved: employer.okved,
            })
        });
        Ok(Command::ReportDuty {
            duty: self.duty,
            document: self.document,
            notice: notice.transpose()?,
        })
    }
}

impl From<ComplaintKindRequest> for ComplaintKind {
    fn from(kind: ComplaintKindRequest) -> Self {
        match kind {
            ComplaintKindRequest::LateService => Self::LateService,
            ComplaintKindRequest::LateRegistration => Self::LateRegistration,
            ComplaintKindRequest::RefusalToCorrect => Self::RefusalToCorrect,
            ComplaintKindRequest::RefusalOfService => Self::RefusalOfService,
            ComplaintKindRequest::RefusalOfDocuments => Self::RefusalOfDocuments,
            ComplaintKindRequest::ExtraMoney => Self::ExtraMoney,
            ComplaintKindRequest::ExtraDocuments => Self::ExtraDocuments,
        }
    }
}

impl From<OutcomeRequest> for Outcome {
    fn from(outcome: OutcomeRequest) -> Self {
        match outcome {
            OutcomeRequest::Clear => Self::Clear,
            OutcomeRequest::Hit => Self::Hit,
            OutcomeRequest::NoData => Self::NoData,
            OutcomeRequest::Error => Self::Error,
            OutcomeRequest::TimedOut => Self::TimedOut,
        }
    }
}

impl From<ItemRequest> for RequestedItem {
    fn from(item: ItemRequest) -> Self {
        Self {
            kind: match item.kind {
                InformationKindRequest::Document => InformationKind::Document,
                InformationKindRequest::Field => InformationKind::Field,
                InformationKindRequest::Visit => InformationKind::Visit,
            },
            subject: item.subject,
            reason: item.reason,
            due_on: item.due_on,
            check: item.check,
            document: item.document,
            field: item.field,
        }
    }
}
