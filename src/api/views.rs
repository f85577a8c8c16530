//! What an application looks like from outside: one view, from which the caller's side of the counter leaves out
//! what is not for it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::FormBody;
use crate::casework::Seen;
use crate::domain::after_life::{Asked, Blank, Complaint, HolderRequest};
use crate::domain::application::{Decision, Expedited, InformationItem, Note};
use crate::domain::checks::{Check, blocking, supported_grounds};
use crate::domain::clock::Extension;
use crate::domain::duty::{DutyDays, DutyStatus, Obligation};
use crate::domain::event::{Act, BuiltIn, Change, Event};
use crate::domain::fee::page::PaymentPage;
use crate::domain::fee::payee::Requisites;
use crate::domain::fee::revision::{Revision, RevisionKind};
use crate::domain::fee::{Charge, ChargeStatus, Money};
use crate::domain::form::FieldChange;
use crate::domain::ground::Grounds;
use crate::domain::permit::Permit;
use crate::domain::queue::{Reason, Urgency, Work};
use crate::domain::rules::Rulebook;
use crate::domain::workflow::definition::{
    Awaited, CheckSource, Consequence, Definition, Duty, DutyConsequence, FeePosition, Texts,
    Wording,
};
use crate::domain::workflow::engine::{Bases, Choice, act_by};
use crate::error::{Error, Result};
use crate::storage::audit::AccessRow;

/// An amount of money.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmountView {
    /// In kopecks.
    #[schema(minimum = 0, example = 420_000)]
    pub kopecks: i64,
    /// ISO 4217.
    #[schema(max_length = 3, example = "RUB")]
    pub currency: &'static str,
}

impl From<Money> for AmountView {
    fn from(money: Money) -> Self {
        Self { kopecks: money.kopecks(), currency: "RUB" }
    }
}

/// An office.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitView {
    /// Code.
    #[schema(max_length = 5, example = "77")]
    pub code: String,
    /// Name.
    #[schema(max_length = 200, example = "Moscow")]
    pub title: String,
}

/// A document that was handed in.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentView {
    /// Kind: its name in the track.
    #[schema(max_length = 60, example = "passport")]
    pub kind: String,
    /// SHA-256 of its bytes.
    #[schema(max_length = 64)]
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
    /// Media type.
    #[schema(max_length = 60, example = "application/pdf")]
    pub media_type: String,
    /// When it was handed in.
    pub attached_at: DateTime<Utc>,
}

/// A check and its answer. Who answered, why and what he noted is shown to the office and to auditors.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// Name.
    #[schema(max_length = 60, example = "entryBan")]
    pub id: String,
    /// What is asked.
    #[schema(max_length = 300)]
    pub title: String,
    /// `officer`, the register that is asked, or `local`: answered by the service itself.
    #[schema(max_length = 60, example = "controlledPersons")]
    pub source: String,
    /// Which time it is asked, from 1.
    #[schema(minimum = 1, example = 1)]
    pub round: u32,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// Until when an answer is due.
    pub due_on: NaiveDate,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20, example = "clear")]
    pub outcome: Option<&'static str>,
    /// The coded reason of an answer that blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "deported")]
    pub reason: Option<String>,
    /// What the reason says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub reason_title: Option<String>,
    /// What an answer that blocks means, even where it was set aside: `refuse`, the application can be refused on it;
    /// `ask`, the applicant is asked first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10, example = "refuse")]
    pub consequence: Option<&'static str>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<DateTime<Utc>>,
    /// Whether it no longer stands in the way of a grant.
    pub clear: bool,
    /// The account that recorded the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<Uuid>,
    /// What it noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
    /// Why a blocking answer was set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub override_reason: Option<String>,
}

/// A thing that the applicant is asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InformationView {
    /// Number.
    pub item: u32,
    /// `document`, `field` or `visit`.
    #[schema(max_length = 20, example = "document")]
    pub kind: &'static str,
    /// What exactly.
    #[schema(max_length = 200)]
    pub subject: String,
    /// Why.
    #[schema(max_length = 1000)]
    pub reason: String,
    /// Until when; an answer is taken as long as a later one is open.
    pub due_on: NaiveDate,
    /// Whether an answer is awaited.
    pub open: bool,
    /// Whether it was closed because its time had run out.
    pub expired: bool,
    /// The check whose answer is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "language")]
    pub check: Option<String>,
    /// The kind of document that must be handed in anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "languageCertificate")]
    pub document: Option<String>,
    /// The section of the form, or the field in it, that the answer may mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "person.familyName")]
    pub field: Option<String>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub answer: Option<String>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<DateTime<Utc>>,
    /// What the answer changed in the form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amended: Vec<FieldChangeView>,
}

/// A field of the form before and after it was changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChangeView {
    /// The field.
    #[schema(max_length = 60, example = "person.familyName")]
    pub field: String,
    /// What was stated; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
    /// What is stated now; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<serde_json::Value>,
}

impl From<&FieldChange> for FieldChangeView {
    fn from(change: &FieldChange) -> Self {
        Self {
            field: change.field.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        }
    }
}

impl From<&InformationItem> for InformationView {
    fn from(item: &InformationItem) -> Self {
        use crate::domain::application::InformationKind as Kind;
        Self {
            item: item.item,
            kind: match item.kind {
                Kind::Document => "document",
                Kind::Field => "field",
                Kind::Visit => "visit",
            },
            subject: item.subject.clone(),
            reason: item.reason.clone(),
            due_on: item.due_on,
            open: item.is_open(),
            expired: item.expired,
            check: item.check.clone(),
            document: item.document.clone(),
            field: item.field.clone(),
            answer: item.answer.clone(),
            answered_at: item.answered_at,
            amended: item.amended.iter().map(Into::into).collect(),
        }
    }
}

/// An amount owed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChargeView {
    /// Id.
    pub id: Uuid,
    /// The fee's name in the track.
    #[schema(max_length = 60, example = "stateDuty")]
    pub fee: String,
    /// What it is.
    #[schema(max_length = 200, example = "State duty for the patent")]
    pub title: String,
    /// Unique accrual identifier: state it when paying.
    #[schema(max_length = 25, example = "18800000000000000123")]
    pub uin: String,
    /// The whole amount.
    pub amount: AmountView,
    /// What was paid.
    pub paid: AmountView,
    /// What is still due.
    pub outstanding: AmountView,
    /// How the amount comes about.
    #[schema(max_length = 300)]
    pub rule: String,
    /// `open`, `settled` or `annulled`.
    #[schema(max_length = 10, example = "open")]
    pub status: &'static str,
    /// `beforeAcceptance`, `beforeHandover`, `whileInForce` or, of what is asked about a permit in force, `onRequest`.
    #[schema(max_length = 20, example = "beforeAcceptance")]
    pub position: &'static str,
    /// What the office took for paid without a payment: it came in another way than through the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_outside: Option<AmountView>,
    /// How it was last changed, as GIS GMP counts: 1 new, 2 clarified, 3 annulled, 4 de-annulled.
    #[schema(minimum = 1, maximum = 4, example = 1)]
    pub change_status: u8,
    /// The same by name: `new`, `clarified`, `annulled` or `deannulled`.
    #[schema(max_length = 10, example = "new")]
    pub change_status_name: &'static str,
    /// How it and its payments meet, as GIS GMP counts: 1 matched, 2 in part, 3 not matched, 4 without a payment, 5 put to it
    /// by the payer's document or an officer.
    #[schema(minimum = 1, maximum = 5, example = 3)]
    pub acknowledgement: u8,
    /// The same by name: `matched`, `preliminary`, `notMatched`, `withoutPayment` or `forced`.
    #[schema(max_length = 14, example = "notMatched")]
    pub acknowledgement_name: &'static str,
    /// The change that an officer proposed last; for the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionView>,
    /// Where it can be paid at once, while something is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        max_length = 2000,
        example = "https://pay.example/bill?uin=18800000000000000018&amount=420000"
    )]
    pub payment_page: Option<String>,
    /// To whom it is paid. Not changed by a later change of the office's bank details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee: Option<PayeeView>,
}

/// To whom a charge is paid: what a payment order says.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayeeView {
    /// Name.
    #[schema(max_length = 160)]
    pub name: String,
    /// Taxpayer number.
    #[schema(max_length = 10, example = "7709001110")]
    pub inn: String,
    /// Reason code.
    #[schema(max_length = 9, example = "770901001")]
    pub kpp: String,
    /// Account.
    #[schema(max_length = 20, example = "40101810200045250001")]
    pub account: String,
    /// Bank.
    #[schema(max_length = 45)]
    pub bank: String,
    /// Code of the bank.
    #[schema(max_length = 9, example = "044599001")]
    pub bic: String,
    /// The bank's own account.
    #[schema(max_length = 20, example = "40102810900054537001")]
    pub correspondent_account: String,
    /// Code of the territory.
    #[schema(max_length = 11, example = "45000000")]
    pub oktmo: String,
    /// Code of the budget's income.
    #[schema(max_length = 20, example = "18810806000010000110")]
    pub kbk: String,
    /// What the payment is for.
    #[schema(max_length = 210)]
    pub purpose: String,
}

impl From<&Requisites> for PayeeView {
    fn from(payee: &Requisites) -> Self {
        Self {
            name: payee.name.clone(),
            inn: payee.inn.to_string(),
            kpp: payee.kpp.to_string(),
            account: payee.account.to_string(),
            bank: payee.bank.clone(),
            bic: payee.bic.to_string(),
            correspondent_account: payee.correspondent_account.to_string(),
            oktmo: payee.oktmo.to_string(),
            kbk: payee.kbk.to_string(),
            purpose: payee.purpose.clone(),
        }
    }
}

impl ChargeView {
    /// Shows a charge with its title in a language.
    #[must_use]
    pub fn of(
        charge: &Charge,
        definition: &Definition,
        page: Option<&PaymentPage>,
        language: &str,
    ) -> Self {
        let fee = definition.fee(&charge.fee);
        Self {
            id: charge.id,
            fee: charge.fee.clone(),
            title: fee.map(|fee| text(&fee.title, language)).unwrap_or_default(),
            uin: charge.uin.to_string(),
            amount: charge.amount.into(),
            paid: charge.paid.into(),
            outstanding: charge.outstanding().into(),
            rule: charge.rule.clone(),
            status: match charge.status {
                ChargeStatus::Open => "open",
                ChargeStatus::Settled => "settled",
                ChargeStatus::Annulled => "annulled",
            },
            position: fee.map_or(FeePosition::BeforeAcceptance, |fee| fee.position).name(),
            paid_outside: (!charge.outside.is_zero()).then(|| charge.outside.into()),
            change_status: charge.change.number(),
            change_status_name: charge.change.name(),
            acknowledgement: charge.acknowledgement.number(),
            acknowledgement_name: charge.acknowledgement.name(),
            revision: None,
            payment_page: page.and_then(|page| page.link(charge)),
            payee: charge.requisites.as_deref().map(Into::into),
        }
    }

    /// Shows also what the office changes about it.
    #[must_use]
    pub fn inside(self, charge: &Charge) -> Self {
        Self { revision: charge.revision.as_deref().map(Into::into), ..self }
    }
}

/// A change of a charge: what, why, who proposed it, and who agreed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    /// `clarify`, `annul`, `deannul` or `acknowledge`.
    #[schema(max_length = 12, example = "annul")]
    pub change: &'static str,
    /// Whether a second officer has still to say something.
    pub waits: bool,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The officer who proposed it.
    pub proposed_by: Uuid,
    /// When.
    pub proposed_at: DateTime<Utc>,
    /// The second officer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<Uuid>,
    /// When he agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// The amount, where it becomes another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<AmountView>,
    /// The payee, where it becomes another one, or is paid for something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee: Option<PayeeView>,
    /// Number of the paper that proves the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60)]
    pub document: Option<String>,
    /// The day on which it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_on: Option<NaiveDate>,
}

impl From<&Revision> for RevisionView {
    fn from(revision: &Revision) -> Self {
        let (mut amount, mut payee, mut document, mut paid_on) = (None, None, None, None);
        match &revision.kind {
            RevisionKind::Clarify { amount: to, requisites } => {
                amount = to.map(Into::into);
                payee = requisites.as_deref().map(Into::into);
            }
            RevisionKind::Acknowledge { document: paper, paid_on: on } => {
                document = Some(paper.clone());
                paid_on = Some(*on);
            }
            RevisionKind::Annul | RevisionKind::Deannul => {}
        }
        Self {
            change: revision.kind.step().name(),
            waits: revision.waits(),
            reason: revision.reason.clone(),
            proposed_by: revision.proposed_by,
            proposed_at: revision.proposed_at,
            confirmed_by: revision.confirmed_by,
            confirmed_at: revision.confirmed_at,
            amount,
            payee,
            document,
            paid_on,
        }
    }
}

/// A ground with its wording.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroundView {
    /// Code.
    #[schema(max_length = 3, example = "G04")]
    pub code: String,
    /// Its wording.
    #[schema(max_length = 300)]
    pub wording: String,
}

/// Gives grounds with their wording in a language.
#[must_use]
pub fn grounds(
    grounds: &Grounds,
    catalogue: &crate::domain::ground::GroundCatalogue,
    language: &str,
) -> Vec<GroundView> {
    grounds
        .iter()
        .map(|code| GroundView {
            code: code.to_string(),
            wording: catalogue.wording(code, language).unwrap_or_default().to_owned(),
        })
        .collect()
}

/// A decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView {
    /// `granted` or `refused`.
    #[schema(max_length = 10, example = "granted")]
    pub outcome: &'static str,
    /// When.
    pub at: DateTime<Utc>,
    /// On what grounds; empty for a grant.
    pub grounds: Vec<GroundView>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
    /// The officer's account; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Uuid>,
}

/// A proposal to annul the permit.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalView {
    /// The officer's account.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// On what grounds.
    pub grounds: Vec<GroundView>,
    /// In words.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// Something that was put right.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CorrectionView {
    /// What was done: `undone`, `reopened`, `corrected` or `courtOrdered`.
    #[schema(max_length = 20, example = "reopened")]
    pub kind: &'static str,
    /// When.
    pub at: DateTime<Utc>,
    /// The event that was put right.
    pub corrects: Uuid,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The judgment, document or article it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub basis: Option<String>,
    /// The officer's account; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Uuid>,
}

/// A permit.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermitView {
    /// Number.
    #[schema(max_length = 13, example = "77-0000000016")]
    pub number: String,
    /// `inForce`, `suspended`, `lapsed`, `expired`, `annulled` or `superseded`.
    #[schema(max_length = 12, example = "inForce")]
    pub status: String,
    /// Holder's name.
    #[schema(max_length = 310)]
    pub holder_name: String,
    /// Code of the federal subject in which it is valid.
    #[schema(max_length = 2, example = "77")]
    pub territory: String,
    /// Profession.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "Каменщик")]
    pub profession: Option<String>,
    /// Day of issue.
    pub issued_on: NaiveDate,
    /// Last paid day, where months are paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_through: Option<NaiveDate>,
    /// Last day of the term.
    pub ends_on: NaiveDate,
    /// First day on which it is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_on: Option<NaiveDate>,
    /// First day on which it is suspended, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_on: Option<NaiveDate>,
}

impl From<&Permit> for PermitView {
    fn from(permit: &Permit) -> Self {
        Self {
            number: permit.number.to_string(),
            status: serde_json::to_value(permit.status)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default(),
            holder_name: permit.holder_name.clone(),
            territory: permit.territory.clone(),
            profession: permit.profession.clone(),
            issued_on: permit.issued_on,
            paid_through: permit.paid_through,
            ends_on: permit.ends_on,
            closed_on: permit.closed_on,
            suspended_on: permit.suspended_on,
        }
    }
}

/// A paper that a permit was printed on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlankView {
    /// Its number.
    #[schema(max_length = 14, example = "B77-0000000016")]
    pub number: String,
    /// `valid`, `superseded` by another, or `spoilt` in the office.
    #[schema(max_length = 10, example = "valid")]
    pub status: &'static str,
    /// When it was printed.
    pub printed_at: DateTime<Utc>,
    /// When it stopped being the permit's paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

impl From<&Blank> for BlankView {
    fn from(blank: &Blank) -> Self {
        Self {
            number: blank.number.to_string(),
            status: blank.status.name(),
            printed_at: blank.printed_at,
            ended_at: blank.ended_at,
        }
    }
}

/// What a permit's holder asks about it, until it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HolderRequestView {
    /// `duplicate`, `change` or `surrender`.
    #[schema(max_length = 10, example = "duplicate")]
    pub kind: &'static str,
    /// When.
    pub at: DateTime<Utc>,
    /// Of a duplicate: whether the paper is `lost` or `damaged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10, example = "lost")]
    pub cause: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
    /// Of a change: what it changes in the form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChangeView>,
}

impl From<&HolderRequest> for HolderRequestView {
    fn from(request: &HolderRequest) -> Self {
        Self {
            kind: request.asked.name(),
            at: request.at,
            cause: match &request.asked {
                Asked::Duplicate { cause } => Some(cause.name()),
                Asked::Change { .. } | Asked::Surrender => None,
            },
            reason: request.reason.clone(),
            changes: match &request.asked {
                Asked::Change { changes, .. } => changes.iter().map(Into::into).collect(),
                Asked::Duplicate { .. } | Asked::Surrender => Vec::new(),
            },
        }
    }
}

/// Why a permit is suspended.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuspensionView {
    /// When.
    pub at: DateTime<Utc>,
    /// The first day on which it is.
    pub on: NaiveDate,
    /// On what grounds.
    pub grounds: Vec<GroundView>,
    /// In words.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The officer's account; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Uuid>,
}

/// A complaint of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldComplaintView {
    /// Of what: one of the seven kinds that the state's portal knows.
    #[schema(max_length = 20, example = "refusalOfService")]
    pub about: &'static str,
    /// In words.
    #[schema(max_length = 2000)]
    pub text: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// When the decision was made that it is of.
    pub decided_at: DateTime<Utc>,
    /// Whether it was found right, once it is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upheld: Option<bool>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<DateTime<Utc>>,
    /// Why it was answered so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
    /// The officer's account; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Uuid>,
}

impl HeldComplaintView {
    fn of(complaint: &Complaint, inside: bool) -> Self {
        let verdict = complaint.verdict.as_ref();
        Self {
            about: complaint.about.name(),
            text: complaint.text.clone(),
            at: complaint.at,
            decided_at: complaint.decided_at,
            upheld: verdict.map(|one| one.upheld),
            answered_at: verdict.map(|one| one.at),
            reason: verdict.map(|one| one.reason.clone()),
            by: verdict.map(|one| one.by).filter(|_| inside),
        }
    }
}

/// By how much the statutory term was made longer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionView {
    /// By so many working days.
    #[schema(minimum = 1, example = 5)]
    pub working_days: u32,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The article that allows it.
    #[schema(max_length = 300)]
    pub basis: String,
    /// When.
    pub on: NaiveDate,
}

impl From<&Extension> for ExtensionView {
    fn from(extension: &Extension) -> Self {
        Self {
            working_days: extension.working_days,
            reason: extension.reason.clone(),
            basis: extension.basis.clone(),
            on: extension.on,
        }
    }
}

/// A lease that an officer holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimView {
    /// The holder's account.
    pub by: Uuid,
    /// The holder's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// When it ends by itself.
    pub until: DateTime<Utc>,
    /// The queue that gave it out; absent when the holder picked it by hand or was given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "intake")]
    pub queue: Option<String>,
    /// The account of the senior officer who gave it to the holder; absent when a queue did, or he picked it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_by: Option<Uuid>,
}

/// Why work that waits comes when it does: expedited first, then by statutory date, then by time of handing in.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrgencyView {
    /// `expedited`, `overdue`, `due` or `oldest`.
    #[schema(max_length = 10, example = "due")]
    pub reason: &'static str,
    /// The same in words.
    #[schema(max_length = 2200, example = "Due on 2026-04-01: 5 working days are left.")]
    pub detail: String,
    /// The statutory date, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    /// Working days left until it; negative once it has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_days_left: Option<i64>,
    /// Why it was put before all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub expedited_reason: Option<String>,
    /// In the answer to a claim: how many that are more urgent colleagues hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub held_ahead: Option<i64>,
}

impl UrgencyView {
    /// Shows an urgency in a language.
    #[must_use]
    pub fn of(
        urgency: Urgency,
        expedited: Option<&Expedited>,
        submitted_at: Option<DateTime<Utc>>,
        language: &str,
    ) -> Self {
        let Urgency { reason, due_on, working_days_left } = urgency;
        let russian = language == "ru";
        let date = due_on.map(|due| due.to_string()).unwrap_or_default();
        let days = working_days_left.map_or(0, i64::abs);
        let since = submitted_at.map(|at| at.date_naive().to_string()).unwrap_or_default();
        let why = expedited.map(|one| one.reason.as_str()).unwrap_or_default();
        let detail = match (reason, russian) {
            (Reason::Expedited, false) => format!("Put before all others: {why}"),
            (Reason::Expedited, true) => format!("Вне очереди: {why}"),
            (Reason::Overdue, false) => {
                format!(
                    "The date that the law promises, {date}, has passed; working days since: {days}."
                )
            }
            (Reason::Overdue, true) => {
                format!("Установленный законом срок {date} истёк; рабочих дней с тех пор: {days}.")
            }
            (Reason::Due, false) => format!("Due on {date}; working days left: {days}."),
            (Reason::Due, true) => format!("Срок {date}; осталось рабочих дней: {days}."),
            (Reason::Oldest, false) => {
                format!("No statutory date runs; it was handed in on {since}.")
            }
            (Reason::Oldest, true) => format!("Срок не течёт; подано {since}."),
        };
        Self {
            reason: reason.name(),
            detail,
            due_on,
            working_days_left,
            expedited_reason: expedited.map(|one| one.reason.clone()),
            held_ahead: None,
        }
    }
}

/// What an officer noted for his colleagues.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoteView {
    /// Number within the application, from 1.
    #[schema(minimum = 1)]
    pub note: u32,
    /// The officer's account.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// The text.
    #[schema(max_length = 2000)]
    pub text: String,
}

impl From<&Note> for NoteView {
    fn from(note: &Note) -> Self {
        Self { note: note.note, by: note.by, at: note.at, text: note.text.clone() }
    }
}

/// Why an application goes before all others of its office.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpeditedView {
    /// The senior officer's account.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// Something that stands in the way of a command.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockedView {
    /// The guard's name.
    #[schema(max_length = 60, example = "checksClear")]
    pub guard: &'static str,
    /// What to do about it.
    #[schema(max_length = 1000)]
    pub detail: String,
    /// The parts it is about.
    pub parts: Vec<String>,
}

/// A command that the caller's role can give from this state.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChoiceView {
    /// The command.
    #[schema(max_length = 30, example = "grant")]
    pub command: &'static str,
    /// What blocks it now; empty when it may be given.
    pub blocked_by: Vec<BlockedView>,
}

impl From<&Choice> for ChoiceView {
    fn from(choice: &Choice) -> Self {
        Self {
            command: choice.command.name(),
            blocked_by: choice
                .blocked
                .iter()
                .map(|one| BlockedView {
                    guard: one.guard,
                    detail: one.detail.clone(),
                    parts: one.parts.clone(),
                })
                .collect(),
        }
    }
}

/// A duty after issue.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DutyView {
    /// Name.
    #[schema(max_length = 60, example = "contractCopy")]
    pub id: String,
    /// What is to be done.
    #[schema(max_length = 300)]
    pub title: String,
    /// Until when, in words.
    #[schema(max_length = 100)]
    pub within: String,
    /// Who owes it: `holder` or `employer`.
    #[schema(max_length = 10, example = "holder")]
    pub owed_by: &'static str,
    /// The article that sets it.
    #[schema(max_length = 300)]
    pub basis: String,
    /// The kind of the document that proves it; absent for one that is told in words alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "contractCopy")]
    pub proof: Option<String>,
    /// What to do about it now.
    #[schema(max_length = 1000)]
    pub next: String,
    /// Codes of the grounds on which the permit may be annulled when it is overdue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1, example = json!(["G15"]))]
    pub grounds: Vec<String>,
    /// How it stands; absent while nothing is owed of it by a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owed: Option<ObligationView>,
}

/// A duty that is or was owed by a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObligationView {
    /// Number within the application, from 1.
    #[schema(minimum = 1, example = 1)]
    pub number: u32,
    /// Its last day.
    pub due_on: NaiveDate,
    /// `open`, `reported`, `fulfilled`, `overdue`, `excused` or `breached`.
    #[schema(max_length = 10, example = "open")]
    pub status: &'static str,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it was first found overdue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_at: Option<DateTime<Utc>>,
    /// The document that was reported for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<DutyProofView>,
    /// What happened, where it counts from that; absent where the person's data is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<NoticeView>,
    /// Why the last proof was found wanting, or the duty let go; absent where the person's data is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
}

/// The document that was reported for a duty.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DutyProofView {
    /// Its kind.
    #[schema(max_length = 60, example = "contractCopy")]
    pub document: String,
    /// SHA-256 of its bytes.
    #[schema(max_length = 64)]
    pub digest: String,
    /// When it was reported.
    pub at: DateTime<Utc>,
}

/// What happened that must be notified of.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeView {
    /// `hiring` or `ending`.
    #[schema(max_length = 10, example = "hiring")]
    pub kind: &'static str,
    /// When.
    pub on: NaiveDate,
    /// The employer's tax number.
    #[schema(max_length = 12, example = "7707083893")]
    pub inn: String,
    /// The employer's name.
    #[schema(max_length = 200)]
    pub employer: String,
    /// The activity for which he hires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 8, example = "41.20")]
    pub okved: Option<String>,
}

impl DutyView {
    /// Shows the duties of an issued permit, each as often as it was owed, once where it was not; `whole` says whether events
    /// and reasons are shown, too.
    #[must_use]
    pub fn all(
        owed: &[Obligation],
        definition: &Definition,
        whole: bool,
        language: &str,
    ) -> Vec<Self> {
        let mut all = Vec::new();
        for rule in &definition.permit.duties {
            let before = all.len();
            let of_it = owed.iter().filter(|one| one.duty == rule.id);
            all.extend(of_it.map(|one| Self::of(rule, Some(one), whole, language)));
            if all.len() == before {
                all.push(Self::of(rule, None, whole, language));
            }
        }
        all
    }

    fn of(rule: &Duty, owed: Option<&Obligation>, whole: bool, language: &str) -> Self {
        Self {
            id: rule.id.clone(),
            title: text(&rule.title, language),
            within: text(&rule.words, language),
            owed_by: rule.owner.name(),
            basis: rule.basis.clone(),
            proof: rule.proof.clone(),
            next: what_next(rule, owed, language),
            grounds: match &rule.consequence {
                DutyConsequence::ProposeAnnulment(code) => vec![code.to_string()],
                DutyConsequence::Tell => Vec::new(),
            },
            owed: owed.map(|one| ObligationView {
                number: one.number,
                due_on: one.due_on,
                status: one.status.name(),
                since: one.since,
                overdue_at: one.overdue_at,
                proof: one.proof.as_ref().map(|proof| DutyProofView {
                    document: proof.document.clone(),
                    digest: proof.digest.clone(),
                    at: proof.at,
                }),
                notice: one.notice.as_ref().filter(|_| whole).map(|notice| NoticeView {
                    kind: notice.kind.name(),
                    on: notice.on,
                    inn: notice.inn.to_string(),
                    employer: notice.employer.clone(),
                    okved: notice.okved.as_ref().map(ToString::to_string),
                }),
                reason: one.reason.clone().filter(|_| whole),
            }),
        }
    }
}

/// Says what to do about a duty.
fn what_next(rule: &Duty, owed: Option<&Obligation>, language: &str) -> String {
    let russian = language == "ru";
    let proof = rule.proof.as_deref().unwrap_or_default();
    let due = owed.map(|one| one.due_on.to_string()).unwrap_or_default();
    match (owed.map(|one| one.status), russian) {
        (None, false) if rule.term.is_none() => "Keep to the term.".to_owned(),
        (None, true) if rule.term.is_none() => "Соблюдайте срок.".to_owned(),
        (None, false) => {
            format!("Tell of each such event with reportDuty, with the document '{proof}'.")
        }
        (None, true) => {
            format!("Сообщайте о каждом таком событии командой reportDuty, с документом «{proof}».")
        }
        (Some(DutyStatus::Open), false) => {
            format!("Hand in the document '{proof}' and report it (reportDuty) by {due}.")
        }
        (Some(DutyStatus::Open), true) => {
            format!("До {due} передайте документ «{proof}» и сообщите о нём (reportDuty).")
        }
        (Some(DutyStatus::Reported), false) => {
            "An officer looks at what you handed in. You need not do anything.".to_owned()
        }
        (Some(DutyStatus::Reported), true) => {
            "Сотрудник проверяет переданный документ. От вас ничего не требуется.".to_owned()
        }
        (Some(DutyStatus::Overdue), false) => format!(
            "The last day, {due}, has passed. Hand in the document '{proof}' at once and report it; an officer decides              what follows."
        ),
        (Some(DutyStatus::Overdue), true) => format!(
            "Срок {due} истёк. Немедленно передайте документ «{proof}» и сообщите о нём; что последует, решит сотрудник."
        ),
        (Some(DutyStatus::Fulfilled), false) => "Done.".to_owned(),
        (Some(DutyStatus::Fulfilled), true) => "Исполнено.".to_owned(),
        (Some(DutyStatus::Excused), false) => "An officer has let it go.".to_owned(),
        (Some(DutyStatus::Excused), true) => "Сотрудник освободил от исполнения.".to_owned(),
        (Some(DutyStatus::Breached), false) => "The permit was annulled for it.".to_owned(),
        (Some(DutyStatus::Breached), true) => "За неисполнение разрешение аннулировано.".to_owned(),
    }
}

/// An application, as far as the caller may see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationView {
    /// Id.
    pub id: Uuid,
    /// Public reference, for `GET /v1/status/{reference}`.
    #[schema(max_length = 20, example = "7K3QF-M2XWD-9B4T")]
    pub reference: String,
    /// Track.
    #[schema(max_length = 60, example = "patent")]
    pub track: String,
    /// Version of the track's definition.
    pub workflow_version: u32,
    /// The office.
    pub unit: UnitView,
    /// State.
    #[schema(max_length = 60, example = "checking")]
    pub state: String,
    /// `submission`, `checks`, `fee`, `issuance`, `inForce` or `closed`.
    #[schema(max_length = 12, example = "checks")]
    pub phase: &'static str,
    /// What the stage is called.
    #[schema(max_length = 200)]
    pub stage: String,
    /// What happens next and who has to do it.
    #[schema(max_length = 500)]
    pub next: String,
    /// `applicant`, `office` or `nobody`.
    #[schema(max_length = 10, example = "office")]
    pub waits_for: &'static str,
    /// Version: number of the latest event; the ETag is `"v<version>"`.
    pub version: i32,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When its state was entered.
    pub state_since: DateTime<Utc>,
    /// When it was handed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<DateTime<Utc>>,
    /// The date that the law promises; absent before acceptance, while the clock stands still, and after the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    /// The date that the law would promise had the term not been extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_due_on: Option<NaiveDate>,
    /// The last day on which the applicant can do what the state waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act_by: Option<NaiveDate>,
    /// Whether the promised date has passed without a decision.
    pub overdue: bool,
    /// Whether the clock stands still.
    pub clock_stopped: bool,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_stopped_since: Option<NaiveDate>,
    /// Why: `informationRequested` while the applicant is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "informationRequested")]
    pub clock_stopped_reason: Option<String>,
    /// When the senior officer was told that a deadline has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalated_at: Option<DateTime<Utc>>,
    /// What the applicant states.
    pub form: FormBody,
    /// What was handed in.
    pub documents: Vec<DocumentView>,
    /// The checks.
    pub checks: Vec<CheckView>,
    /// The grounds to refuse that the findings support; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_grounds: Vec<GroundView>,
    /// What the applicant is asked for.
    pub information: Vec<InformationView>,
    /// What is and was owed.
    pub charges: Vec<ChargeView>,
    /// The decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionView>,
    /// The proposal to annul; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalView>,
    /// What was put right, oldest first.
    pub corrections: Vec<CorrectionView>,
    /// The permit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit: Option<PermitView>,
    /// The papers that it was printed on, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blanks: Vec<BlankView>,
    /// What its holder asks about it, until it is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<HolderRequestView>,
    /// Why it is suspended, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspension: Option<SuspensionView>,
    /// What decisions were complained of, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<HeldComplaintView>,
    /// What its holder or the employer owes after issue.
    pub duties: Vec<DutyView>,
    /// Who holds it; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimView>,
    /// Why it goes before all others; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expedited: Option<ExpeditedView>,
    /// What officers noted for each other, oldest first; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// When the applicant was last reminded of what is awaited from him.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminded_at: Option<DateTime<Utc>>,
    /// Why it comes when it does, while it waits for the office; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<UrgencyView>,
    /// What the caller can ask for now, and what blocks it.
    pub commands: Vec<ChoiceView>,
}

/// Gives a text in a language, English when there is none.
#[must_use]
pub fn text(texts: &Texts, language: &str) -> String {
    texts.get(language).or_else(|| texts.get("en")).cloned().unwrap_or_default()
}

/// Gives a state's public wording in a language.
#[must_use]
pub fn wording<'a>(definition: &'a Definition, state: &str, language: &str) -> Option<&'a Wording> {
    let wording = &definition.state(state)?.wording;
    wording.get(language).or_else(|| wording.get("en"))
}

/// Gives whom a state waits for.
#[must_use]
pub fn waits_for(definition: &Definition, state: &str) -> &'static str {
    match definition.state(state).and_then(|state| state.awaits) {
        Some(Awaited::Applicant) => "applicant",
        Some(Awaited::Office) => "office",
        None => "nobody",
    }
}

impl ApplicationView {
    /// Shows an application; `inside` says whether the caller works in the office or audits it.
    #[must_use]
    pub fn of(seen: &Seen<'_>, inside: bool, language: &str) -> Self {
        let Seen { application, definition, .. } = seen;
        let words = wording(definition, &application.state, language);
        let stopped = application.clock.as_ref().is_some_and(|clock| clock.stopped_on.is_some());
        let due_on = application.due_on.filter(|_| !stopped);
        let still = application.clock.as_ref().and_then(|clock| clock.standing_still());
        let view = |check: &Check| {
            let rule = definition.check(&check.id);
            let finding = check.finding.as_ref();
            CheckView {
                id: check.id.clone(),
                title: rule.map(|rule| text(&rule.title, language)).unwrap_or_default(),
                source: match rule.map(|rule| &rule.source) {
                    Some(CheckSource::Register(register)) => register.clone(),
                    Some(CheckSource::Local(_)) => "local".to_owned(),
                    Some(CheckSource::Officer) | None => "officer".to_owned(),
                },
                round: check.round,
                asked_at: check.asked_at,
                due_on: check.due_on,
                outcome: finding.map(|finding| finding.outcome.name()),
                reason: finding.and_then(|f| f.reason.clone()).filter(|_| inside),
                reason_title: finding
                    .and_then(|finding| rule?.reason(finding.reason.as_deref()?))
                    .map(|reason| text(&reason.title, language))
                    .filter(|_| inside),
                consequence: finding
                    .and_then(|finding| blocking(rule?, finding))
                    .map(Consequence::name)
                    .filter(|_| inside),
                answered_at: finding.map(|finding| finding.answered_at),
                clear: rule.is_some_and(|rule| check.is_clear(rule)),
                answered_by: finding.and_then(|f| f.answered_by).filter(|_| inside),
                note: finding.and_then(|f| f.note.clone()).filter(|_| inside),
                override_reason: check
                    .overridden
                    .as_ref()
                    .map(|one| one.reason.clone())
                    .filter(|_| inside),
            }
        };
        let catalogue = &seen.rules.grounds;
        Self {
            id: application.id,
            reference: application.reference.to_string(),
            track: application.track.clone(),
            workflow_version: application.workflow_version,
            unit: UnitView { code: seen.unit.code.clone(), title: seen.unit.title.clone() },
            state: application.state.clone(),
            phase: application.phase.name(),
            stage: words.map(|words| words.stage.clone()).unwrap_or_default(),
            next: words.map(|words| words.next.clone()).unwrap_or_default(),
            waits_for: waits_for(definition, &application.state),
            version: application.version,
            created_at: application.created_at,
            state_since: application.state_since,
            submitted_at: application.submitted_at,
            due_on,
            standard_due_on: application
                .standard_due_on
                .filter(|date| due_on.is_some_and(|due| due != *date)),
            act_by: definition.state(&application.state).and_then(|state| {
                act_by(
                    state,
                    Bases {
                        since: application
                            .state_since
                            .with_timezone(&seen.unit.time_zone)
                            .date_naive(),
                        due_on,
                        information: &application.information,
                        permit_days: application
                            .permit
                            .as_ref()
                            .map(|one| (one.paid_through, one.ends_on)),
                        duty_days: DutyDays::default(),
                    },
                    &seen.rules.calendar,
                )
            }),
            overdue: due_on.is_some_and(|due| due < seen.today),
            clock_stopped: still.is_some(),
            clock_stopped_since: still.map(|one| one.from),
            clock_stopped_reason: still.map(|one| one.reason.clone()),
            escalated_at: application.escalated_at,
            form: FormBody::from(&application.form),
            documents: application
                .documents
                .iter()
                .map(|document| DocumentView {
                    kind: document.kind.clone(),
                    digest: document.digest.clone(),
                    size: document.size,
                    media_type: document.media_type.clone(),
                    attached_at: document.attached_at,
                })
                .collect(),
            checks: application.checks.iter().map(view).collect(),
            supported_grounds: Grounds::new(supported_grounds(definition, &application.checks))
                .filter(|_| inside)
                .map(|supported| grounds(&supported, catalogue, language))
                .unwrap_or_default(),
            information: application.information.iter().map(Into::into).collect(),
            charges: application
                .charges
                .iter()
                .map(|charge| {
                    let view = ChargeView::of(charge, definition, seen.payment_page, language);
                    if inside { view.inside(charge) } else { view }
                })
                .collect(),
            decision: application.decision.as_ref().map(|decision| match decision {
                Decision::Granted { at, by, .. } => DecisionView {
                    outcome: "granted",
                    at: *at,
                    grounds: Vec::new(),
                    reason: None,
                    by: Some(*by).filter(|_| inside),
                },
                Decision::Refused { at, by, grounds: on, reason, .. } => DecisionView {
                    outcome: "refused",
                    at: *at,
                    grounds: grounds(on, catalogue, language),
                    reason: Some(reason.clone()),
                    by: Some(*by).filter(|_| inside),
                },
            }),
            proposal: application.proposal.as_ref().filter(|_| inside).map(|proposal| {
                ProposalView {
                    by: proposal.by,
                    at: proposal.at,
                    grounds: grounds(&proposal.grounds, catalogue, language),
                    reason: proposal.reason.clone(),
                }
            }),
            corrections: application
                .corrections
                .iter()
                .map(|one| CorrectionView {
                    kind: one.command.event(),
                    at: one.at,
                    corrects: one.corrects,
                    reason: one.reason.clone(),
                    basis: one.basis.clone(),
                    by: Some(one.by).filter(|_| inside),
                })
                .collect(),
            permit: application.permit.as_ref().map(Into::into),
            blanks: application.blanks.iter().map(Into::into).collect(),
            request: application.after_life.request.as_ref().map(Into::into),
            complaints: application
                .after_life
                .complaints
                .iter()
                .map(|one| HeldComplaintView::of(one, inside))
                .collect(),
            suspension: application.after_life.suspension.as_ref().map(|one| SuspensionView {
                at: one.at,
                on: one.on,
                grounds: grounds(&one.grounds, catalogue, language),
                reason: one.reason.clone(),
                by: Some(one.by).filter(|_| inside),
            }),
            duties: application
                .permit
                .as_ref()
                .map(|_| DutyView::all(&application.duties, definition, true, language))
                .unwrap_or_default(),
            claim: application.claim_at(seen.now).filter(|_| inside).map(|claim| ClaimView {
                by: claim.by,
                name: seen.holder.map(str::to_owned),
                until: claim.until,
                queue: claim.queue.clone(),
                assigned_by: claim.assigned_by,
            }),
            urgency: seen.work.filter(|_| inside).map(|work| {
                let expedited = application.expedited.as_ref();
                let urgency = Urgency::of(
                    work,
                    expedited.is_some(),
                    application.due_on,
                    seen.today,
                    &seen.rules.calendar,
                );
                UrgencyView {
                    held_ahead: seen.held_ahead,
                    ..UrgencyView::of(urgency, expedited, application.submitted_at, language)
                }
            }),
            expedited: application.expedited.as_ref().filter(|_| inside).map(|one| ExpeditedView {
                by: one.by,
                at: one.at,
                reason: one.reason.clone(),
            }),
            notes: match inside {
                true => application.notes.iter().map(Into::into).collect(),
                false => Vec::new(),
            },
            reminded_at: application.reminded_at,
            commands: seen.choices.iter().map(Into::into).collect(),
        }
    }

    /// Names the parts that hold something: what the log says of who was shown the view.
    #[must_use]
    pub fn groups(&self) -> Vec<&'static str> {
        let groups = [
            ("summary", true),
            ("form", !self.form.is_empty()),
            ("documents", !self.documents.is_empty()),
            ("checks", !self.checks.is_empty()),
            ("information", !self.information.is_empty()),
            ("charges", !self.charges.is_empty()),
            ("decision", self.decision.is_some()),
            ("proposal", self.proposal.is_some()),
            ("corrections", !self.corrections.is_empty()),
            ("permit", self.permit.is_some()),
            ("duties", self.duties.iter().any(|duty| duty.owed.is_some())),
            ("claim", self.claim.is_some()),
            ("notes", !self.notes.is_empty()),
        ];
        groups.into_iter().filter(|(_, held)| *held).map(|(name, _)| name).collect()
    }

    /// Writes the view as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be written.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::internal("cannot write a view", e))
    }
}

/// An application as a list shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SummaryView {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    #[schema(max_length = 20, example = "7K3QF-M2XWD-9B4T")]
    pub reference: String,
    /// Track.
    #[schema(max_length = 60, example = "patent")]
    pub track: String,
    /// Unit's code.
    #[schema(max_length = 5, example = "77")]
    pub unit: String,
    /// State.
    #[schema(max_length = 60, example = "checking")]
    pub state: String,
    /// Phase.
    #[schema(max_length = 12, example = "checks")]
    pub phase: String,
    /// What the stage is called.
    #[schema(max_length = 200)]
    pub stage: String,
    /// `applicant`, `office` or `nobody`.
    #[schema(max_length = 10, example = "office")]
    pub waits_for: &'static str,
    /// Version; the ETag is `"v<version>"`.
    pub version: i32,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When its state was entered.
    pub state_since: DateTime<Utc>,
    /// When it was handed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<DateTime<Utc>>,
    /// The date that the law promises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    /// When it was escalated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalated_at: Option<DateTime<Utc>>,
    /// The worker's name, once it was stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 310)]
    pub person_name: Option<String>,
    /// Who holds it; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimView>,
    /// The kind of office work that it waits for: `intake`, `checks`, `registers`, `decision`, `payment`, `handover`,
    /// `annulment`, `request`, `dutyProof` or `dutyOverdue`; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10, example = "checks")]
    pub work: Option<&'static str>,
    /// Why it comes when it does; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<UrgencyView>,
    /// The latest of the officers' notes; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_note: Option<LastNoteView>,
    /// The checks that stand in the way of a grant; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 40)]
    pub open_checks: Option<Vec<OpenCheckView>>,
    /// Whether four eyes keep the caller from the work that it waits for; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barred: Option<bool>,
    /// Whether only senior officers can do the work that it waits for; shown to the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub senior_only: Option<bool>,
}

/// The latest of the officers' notes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastNoteView {
    /// The text.
    #[schema(max_length = 4000)]
    pub text: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The officer's account.
    pub by: Uuid,
    /// The officer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub name: Option<String>,
}

/// A check that stands in the way of a grant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenCheckView {
    /// Name.
    #[schema(max_length = 60, example = "entryBan")]
    pub id: String,
    /// What is asked.
    #[schema(max_length = 300)]
    pub title: String,
    /// The answer that blocks; absent while an answer is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20, example = "hit")]
    pub outcome: Option<String>,
    /// The coded reason of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60)]
    pub reason: Option<String>,
}

impl SummaryView {
    /// Shows a row of a list, with what the office alone sees to this account of it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a stored value does not decode.
    pub fn of(
        row: crate::storage::applications::SummaryRow,
        rules: &Rulebook,
        office: Option<Uuid>,
        language: &str,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let version = u32::try_from(row.workflow_version).unwrap_or_default();
        let definition = rules.definition(&row.track, version);
        let desk = row.desk()?.filter(|_| office.is_some());
        let claim = match (row.claimed_by, row.claimed_until) {
            (Some(by), Some(until)) if office.is_some() && until > now => {
                let queue = desk.as_ref().and_then(|desk| desk.claimed_from.clone());
                let assigned_by = desk.as_ref().and_then(|desk| desk.assigned_by);
                Some(ClaimView { by, name: row.holder, until, queue, assigned_by })
            }
            _ => None,
        };
        let work = desk.as_ref().and_then(|desk| desk.work);
        let urgency = desk.as_ref().zip(work).map(|(desk, work)| {
            let expedited = desk.expedited.as_ref();
            let urgency =
                Urgency::of(work, expedited.is_some(), row.due_on, desk.today, &rules.calendar);
            UrgencyView::of(urgency, expedited, row.submitted_at, language)
        });
        let barred = desk.as_ref().zip(office).map(|(desk, by)| desk.barred.contains(&by));
        let senior_only = desk.as_ref().map(|desk| desk.senior);
        let (mut last_note, mut open_checks) = (None, None);
        if let Some(desk) = desk {
            last_note = desk.note.map(|note| LastNoteView {
                text: note.text,
                at: note.at,
                by: note.by,
                name: desk.note_by,
            });
            let shown = desk.checks.unwrap_or_default().into_iter().map(|check| {
                let rule = definition.and_then(|definition| definition.check(&check.id));
                OpenCheckView {
                    title: rule.map(|rule| text(&rule.title, language)).unwrap_or_default(),
                    id: check.id,
                    outcome: check.outcome,
                    reason: check.reason,
                }
            });
            open_checks = Some(shown.collect());
        }
        Ok(Self {
            stage: definition
                .and_then(|definition| wording(definition, &row.state, language))
                .map(|words| words.stage.clone())
                .unwrap_or_default(),
            waits_for: definition.map_or("nobody", |definition| waits_for(definition, &row.state)),
            id: row.id,
            reference: row.reference,
            track: row.track,
            unit: row.unit_code,
            state: row.state,
            phase: row.phase,
            version: row.version,
            created_at: row.created_at,
            state_since: row.state_since,
            submitted_at: row.submitted_at,
            due_on: row.due_on,
            escalated_at: row.escalated_at,
            person_name: row.person_name,
            claim,
            work: work.map(Work::name),
            urgency,
            last_note,
            open_checks,
            barred,
            senior_only,
        })
    }
}

/// One entry of an application's history.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    /// Id of the event.
    pub id: Uuid,
    /// Number within the application, from 1 without gaps.
    pub seq: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    #[schema(max_length = 40, example = "accepted")]
    pub kind: &'static str,
    /// The state before; empty for the opening.
    #[schema(max_length = 60, example = "submitted")]
    pub from: String,
    /// The state after.
    #[schema(max_length = 60, example = "checking")]
    pub to: String,
    /// The role that acted, or `timer`, `payments`.
    #[schema(max_length = 20, example = "officer")]
    pub role: &'static str,
    /// The event that it put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Uuid>,
    /// The account that acted; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    /// The command as given; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub request: Option<serde_json::Value>,
    /// Of a claim: whether the officer picked it by hand, so that neither a queue nor a senior officer gave it to him; shown to the office and to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picked: Option<bool>,
}

impl HistoryView {
    /// Shows an event; `inside` says whether the caller works in the office or audits it.
    #[must_use]
    pub fn of(event: Event, inside: bool) -> Self {
        let picked = event.changes.iter().find_map(|change| match change {
            Change::Claimed { queue, assigned_by, .. } => {
                Some(queue.is_none() && assigned_by.is_none())
            }
            _ => None,
        });
        let is_claim = event.act == Act::BuiltIn(BuiltIn::Claim);
        Self {
            picked: picked.filter(|_| inside && is_claim),
            id: event.id,
            seq: event.seq,
            at: event.at,
            kind: event.act.event(),
            from: event.from,
            to: event.to,
            role: event.actor.role_name(),
            corrects: event.changes.iter().find_map(|change| match change {
                Change::Corrected { correction } => Some(correction.corrects),
                _ => None,
            }),
            actor: event.actor.account().filter(|_| inside),
            request: Some(event.request).filter(|request| inside && !request.is_null()),
        }
    }
}

/// A read that showed an application, or an act of the office on it, whose answer shows it, too.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessView {
    /// Id of the event.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What was read: `applicationRead`, `documentRead`, `historyRead`, `clockRead`, `receiptRead`, `permitRead`,
    /// `paperRead`, `permitShown` (with a share code), `queueRead`, `searchRead`, `logQueried`, `logExported`; or what was done, as the history says it, such as `claimed` or `accepted`.
    #[schema(max_length = 40, example = "applicationRead")]
    pub kind: String,
    /// The account that read or acted; shown to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    /// Its name; shown to auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Its role.
    #[schema(max_length = 20, example = "officer")]
    pub role: String,
    /// Code of the application's unit, or of the reader's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 5, example = "77")]
    pub unit: Option<String>,
    /// What for; whatever was done is `casework`, and `share` is a use of a share code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20, example = "casework")]
    pub purpose: Option<String>,
    /// Which parts were shown, `application` for the whole; empty once the person's data is erased.
    #[schema(max_items = 20, example = json!(["summary", "form", "documents"]))]
    pub fields: Vec<String>,
    /// The kind of the document that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 60, example = "passport")]
    pub document: Option<String>,
    /// The queue in which it was shown, or that gave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "intake")]
    pub queue: Option<String>,
    /// Who used a share code, as he said; nobody has looked whether it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub viewer: Option<String>,
    /// What for, as he said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub stated_purpose: Option<String>,
}

/// A page of reads that showed an application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessPage {
    /// The reads, newest first.
    pub items: Vec<AccessView>,
}

impl AccessView {
    /// Shows a row; `inside` says whether the caller may know who it was.
    #[must_use]
    pub fn of(row: AccessRow, inside: bool) -> Self {
        #[derive(Default, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown {
            #[serde(default)]
            fields: Vec<String>,
            document: Option<String>,
            queue: Option<String>,
            viewer: Option<String>,
            stated_purpose: Option<String>,
            #[serde(default)]
            changes: Vec<Change>,
        }
        let shown: Option<Shown> = row.content.and_then(|text| serde_json::from_str(&text).ok());
        let shown = shown.unwrap_or_default();
        let given_out = shown.changes.iter().find_map(|change| match change {
            Change::Claimed { queue, .. } if row.kind == "claimed" => queue.clone(),
            _ => None,
        });
        let Shown { mut fields, document, queue, viewer, stated_purpose, changes } = shown;
        if row.is_act && !changes.is_empty() {
            fields.push("application".to_owned());
        }
        Self {
            id: row.id,
            at: row.at,
            kind: row.kind,
            actor: row.actor_id.filter(|_| inside),
            name: row.actor_name.filter(|_| inside),
            role: row.actor_role,
            unit: row.unit_code,
            purpose: row.purpose,
            fields,
            document,
            queue: queue.or(given_out),
            viewer,
            stated_purpose,
        }
    }
}

/// Writes bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
