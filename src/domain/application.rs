//! One application: everything that is known of it, and how events change it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::after_life::{AfterLife, Blank, BlankStatus};
use super::checks::Check;
use super::clock::StatutoryClock;
use super::duty::Obligation;
use super::event::{Act, Change, Event};
use super::fee::ledger::Acknowledgement;
use super::fee::{Charge, ChargeStatus, Money};
use super::form::{FieldChange, Form};
use super::ground::Grounds;
use super::permit::{Permit, PermitStatus};
use super::reference::Reference;
use super::workflow::definition::{CommandName, Phase};

/// A document that was handed in; its bytes lie in the blob store under the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Kind: the document's name in the definition.
    pub kind: String,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
    /// Media type, sniffed from the bytes.
    pub media_type: String,
    /// When it was handed in.
    pub attached_at: DateTime<Utc>,
}

/// What kind of thing the applicant is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InformationKind {
    /// A document.
    Document,
    /// A field of the form.
    Field,
    /// A personal visit.
    Visit,
}

/// One thing the applicant is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InformationItem {
    /// Number within the application, from 1.
    pub item: u32,
    /// Kind.
    pub kind: InformationKind,
    /// What exactly.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub due_on: NaiveDate,
    /// The answer.
    pub answer: Option<String>,
    /// When it was answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// Whether it was closed without an answer.
    pub closed: bool,
    /// Whether it was closed because its time had run out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub expired: bool,
    /// The check whose blocking answer is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The kind of document that must be handed in anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The part of the form that may be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the answer changed in the form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amended: Vec<FieldChange>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl InformationItem {
    /// Tells whether an answer is still awaited.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.answer.is_none() && !self.closed
    }
}

/// A decision on the application. A refusal without a ground cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
pub enum Decision {
    /// Granted.
    Granted {
        /// When.
        at: DateTime<Utc>,
        /// By whom.
        by: Uuid,
        /// The event that says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<Uuid>,
    },
    /// Refused (at intake or on the merits).
    Refused {
        /// When.
        at: DateTime<Utc>,
        /// By whom.
        by: Uuid,
        /// The event that says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<Uuid>,
        /// On what grounds.
        grounds: Grounds,
        /// In words.
        reason: String,
    },
}

impl Decision {
    /// Gives when it was made.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Granted { at, .. } | Self::Refused { at, .. } => *at,
        }
    }

    /// Gives the event with which it was made.
    #[must_use]
    pub const fn event(&self) -> Option<Uuid> {
        match self {
            Self::Granted { event, .. } | Self::Refused { event, .. } => *event,
        }
    }
}

/// A proposal to annul the permit, waiting for a second officer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// By whom.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// On what grounds.
    pub grounds: Grounds,
    /// In words.
    pub reason: String,
}

/// A lease that an officer holds on the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Who holds it.
    pub by: Uuid,
    /// When it ends by itself.
    pub until: DateTime<Utc>,
    /// The queue that gave it out; `None` when the officer picked it or was given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The senior officer who gave it to him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_by: Option<Uuid>,
}

impl Claim {
    /// Gives the change that makes it last until then: where the officer has it from stays as it was.
    #[must_use]
    pub fn renewed(&self, until: DateTime<Utc>) -> Change {
        let Self { by, assigned_by, .. } = *self;
        Change::Claimed { by, until, queue: self.queue.clone(), assigned_by }
    }
}

/// Why an application goes before all others of its office.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expedited {
    /// Who said so.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// What an officer noted for his colleagues; never shown to the applicant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Number within the application, from 1.
    pub note: u32,
    /// By whom.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// The text.
    pub text: String,
}

/// What was put right: a link from the event that did so to the one that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Correction {
    /// The command that put it right.
    pub command: CommandName,
    /// The event that it put right.
    pub corrects: Uuid,
    /// By whom.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// The judgment or article it rests on, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

/// Who gave a command, for four eyes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hand {
    /// The command.
    pub command: CommandName,
    /// Who gave it.
    pub by: Uuid,
}

/// Everything that is known of one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    pub reference: Reference,
    /// Track.
    pub track: String,
    /// Version of its definition.
    pub workflow_version: u32,
    /// Unit's code.
    pub unit: String,
    /// Account that opened it.
    pub applicant: Uuid,
    /// State.
    pub state: String,
    /// Phase of the state.
    pub phase: Phase,
    /// Number of its latest event: the ETag.
    pub version: i32,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When its state was entered.
    pub state_since: DateTime<Utc>,
    /// The event with which its state was entered.
    pub state_event: Option<Uuid>,
    /// When it was handed in.
    pub submitted_at: Option<DateTime<Utc>>,
    /// What the applicant states.
    pub form: Form,
    /// What the applicant handed in.
    pub documents: Vec<Document>,
    /// The statutory clock, once it was started.
    pub clock: Option<StatutoryClock>,
    /// The date the clock promises; `None` before acceptance and while it stands still.
    pub due_on: Option<NaiveDate>,
    /// The date without an extension.
    pub standard_due_on: Option<NaiveDate>,
    /// When the senior officer was told that a deadline has passed; cleared by a new state.
    pub escalated_at: Option<DateTime<Utc>>,
    /// When the office was told that the statutory date comes near; cleared by a new state.
    pub warned_at: Option<DateTime<Utc>>,
    /// When the applicant was last reminded of what is awaited from him; cleared by a new state.
    pub reminded_at: Option<DateTime<Utc>>,
    /// The checks, by id.
    pub checks: Vec<Check>,
    /// What the applicant was asked for.
    pub information: Vec<InformationItem>,
    /// What is and was owed.
    pub charges: Vec<Charge>,
    /// The decision.
    pub decision: Option<Decision>,
    /// The proposal to annul, while one waits.
    pub proposal: Option<Proposal>,
    /// The permit.
    pub permit: Option<Permit>,
    /// The papers that it was printed on, oldest first.
    pub blanks: Vec<Blank>,
    /// What is asked and said about it.
    pub after_life: AfterLife,
    /// Who gave which command.
    pub hands: Vec<Hand>,
    /// The lease.
    pub claim: Option<Claim>,
    /// Why it goes before all others.
    pub expedited: Option<Expedited>,
    /// What officers noted, oldest first.
    pub notes: Vec<Note>,
    /// What was put right, oldest first.
    pub corrections: Vec<Correction>,
    /// What is and was owed after issue, by number.
    #[serde(default)]
    pub duties: Vec<Obligation>,
}

/// Why an event does not fit the application it is applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The first event must open the application.
    #[error("event {seq} does not open the application")]
    NotOpened {
        /// The event's number.
        seq: i32,
    },
    /// Events must come in order without gaps.
    #[error("event {seq} does not follow version {version}")]
    OutOfOrder {
        /// The event's number.
        seq: i32,
        /// The version it was applied to.
        version: i32,
    },
    /// The event starts from another state.
    #[error("event {seq} starts from '{from}', the application is in '{state}'")]
    WrongState {
        /// The event's number.
        seq: i32,
        /// The state it starts from.
        from: String,
        /// The state the application is in.
        state: String,
    },
    /// The event changes something that is not there.
    #[error("event {seq} changes {what}, which is not there")]
    Missing {
        /// The event's number.
        seq: i32,
        /// What is missing.
        what: String,
    },
    /// The event leaves the application in another state than it says.
    #[error("event {seq} says it leads to '{to}', its changes lead to '{state}'")]
    WrongTarget {
        /// The event's number.
        seq: i32,
        /// The state it names.
        to: String,
        /// The state its changes lead to.
        state: String,
    },
}

impl Application {
    /// Folds events, the first of which opens the application, into its state.
    ///
    /// # Errors
    /// [`ApplyError`] names the first event that does not fit.
    pub fn replay<'a>(
        id: Uuid,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Option<Self>, ApplyError> {
        let mut application: Option<Self> = None;
        for event in events {
            match &mut application {
                None => application = Some(Self::open(id, event)?),
                Some(application) => application.apply(event)?,
            }
        }
        Ok(application)
    }

    /// Makes an application from the event that opens it.
    ///
    /// # Errors
    /// [`ApplyError::NotOpened`] when the event does not begin with [`Change::Opened`].
    pub fn open(id: Uuid, event: &Event) -> Result<Self, ApplyError> {
        let Some((
            Change::Opened { reference, track, workflow_version, unit, applicant, form, .. },
            rest,
        )) = event.changes.split_first()
        else {
            return Err(ApplyError::NotOpened { seq: event.seq });
        };
        if event.seq != 1 {
            return Err(ApplyError::OutOfOrder { seq: event.seq, version: 0 });
        }
        let mut application = Self {
            id,
            reference: reference.clone(),
            track: track.clone(),
            workflow_version: *workflow_version,
            unit: unit.clone(),
            applicant: *applicant,
            state: String::new(),
            phase: Phase::Submission,
            version: 1,
            created_at: event.at,
            state_since: event.at,
            state_event: None,
            submitted_at: None,
            form: (**form).clone(),
            documents: Vec::new(),
            clock: None,
            due_on: None,
            standard_due_on: None,
            escalated_at: None,
            warned_at: None,
            reminded_at: None,
            checks: Vec::new(),
            information: Vec::new(),
            charges: Vec::new(),
            decision: None,
            proposal: None,
            permit: None,
            blanks: Vec::new(),
            after_life: AfterLife::default(),
            hands: Vec::new(),
            claim: None,
            expedited: None,
            notes: Vec::new(),
            corrections: Vec::new(),
            duties: Vec::new(),
        };
        for change in rest {
            application.change(event, change)?;
        }
        application.arrives_at(event)?;
        Ok(application)
    }

    /// Applies the next event.
    ///
    /// # Errors
    /// [`ApplyError`] when it does not follow.
    pub fn apply(&mut self, event: &Event) -> Result<(), ApplyError> {
        if event.seq != self.version + 1 {
            return Err(ApplyError::OutOfOrder { seq: event.seq, version: self.version });
        }
        if event.from != self.state {
            return Err(ApplyError::WrongState {
                seq: event.seq,
                from: event.from.clone(),
                state: self.state.clone(),
            });
        }
        for change in &event.changes {
            self.change(event, change)?;
        }
        self.version = event.seq;
        self.arrives_at(event)
    }

    fn arrives_at(&self, event: &Event) -> Result<(), ApplyError> {
        if event.to == self.state {
            return Ok(());
        }
        Err(ApplyError::WrongTarget {
            seq: event.seq,
            to: event.to.clone(),
            state: self.state.clone(),
        })
    }

    /// Applies one change of an event; the engine uses it to see the effect of what it has decided so far.
    pub(super) fn change(&mut self, event: &Event, change: &Change) -> Result<(), ApplyError> {
        let missing = |what: &str| ApplyError::Missing { seq: event.seq, what: what.to_owned() };
        match change {
            Change::Opened { .. } => {
                return Err(ApplyError::OutOfOrder { seq: event.seq, version: self.version });
            }
            Change::FormReplaced { form, changed, item } => {
                self.form = (**form).clone();
                if let Some(item) = item {
                    let known = self
                        .information
                        .iter_mut()
                        .find(|known| known.item == *item)
                        .ok_or_else(|| missing("an information item"))?;
                    known.amended.clone_from(changed);
                }
            }
            Change::DocumentAttached { document } => {
                self.documents.retain(|known| known.kind != document.kind);
                self.documents.push(document.clone());
            }
            Change::StateEntered { state, phase } => {
                self.state.clone_from(state);
                self.phase = *phase;
                self.state_since = event.at;
                self.state_event = Some(event.id);
                self.escalated_at = None;
                self.warned_at = None;
                self.reminded_at = None;
            }
            Change::HandedIn => self.submitted_at = Some(event.at),
            Change::ClockSet { clock, due_on, standard_due_on } => {
                self.clock = Some(clock.clone());
                self.due_on = *due_on;
                self.standard_due_on = *standard_due_on;
            }
            Change::ChecksOpened { checks } => {
                self.checks.clone_from(checks);
                // The order in which storage gives them back: a row has no place in a list.
                self.checks.sort_by(|one, other| one.id.cmp(&other.id));
            }
            Change::FindingRecorded { check, finding, before } => {
                let known = self.check_mut(check).ok_or_else(|| missing(check))?;
                known.finding = Some(finding.clone());
                known.overridden = None;
                known.before.clone_from(before);
            }
            Change::FindingOverridden { check, overridden } => {
                let known = self.check_mut(check).ok_or_else(|| missing(check))?;
                known.overridden = Some(overridden.clone());
                known.before = None;
            }
            Change::CheckRepeated { check } => {
                let known = self.check_mut(&check.id).ok_or_else(|| missing(&check.id))?;
                known.clone_from(check);
            }
            Change::InformationAsked { items } => self.information.extend(items.iter().cloned()),
            Change::InformationAnswered { item, answer } => {
                let known = self
                    .information
                    .iter_mut()
                    .find(|known| known.item == *item)
                    .ok_or_else(|| missing("an information item"))?;
                known.answer = Some(answer.clone());
                known.answered_at = Some(event.at);
            }
            Change::InformationClosed => {
                let expired = event.act == Act::Command(CommandName::ExpireInformation);
                for item in self.information.iter_mut().filter(|item| item.is_open()) {
                    item.closed = true;
                    item.expired = expired;
                }
            }
            Change::ChargeCreated { charge } => self.charges.push(charge.clone()),
            Change::PaymentBooked { charge, amount, status, forced, .. } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.paid = known.paid.checked_add(*amount).ok_or_else(|| missing("room"))?;
                known.status = *status;
                let forced = *forced || known.acknowledgement == Acknowledgement::Forced;
                known.meet(forced);
            }
            Change::PaymentReleased { charge, amount, .. } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                let left = known.paid.checked_sub(*amount);
                known.paid = left.ok_or_else(|| missing("the money"))?;
                known.meet(false);
                known.annul();
            }
            Change::ChargeAnnulled { charge } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.annul();
            }
            Change::ChargeClarified { charge, amount, rule, requisites } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.clarify(*amount, rule, requisites.as_deref());
            }
            Change::ChargeRevisionProposed { charge, revision } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.revision = Some(revision.clone());
            }
            Change::ChargeRevisionConfirmed { charge, by } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                let revision = known.revision.as_mut().ok_or_else(|| missing("a revision"))?;
                revision.confirmed_by = Some(*by);
                revision.confirmed_at = Some(event.at);
            }
            Change::ChargeRevisionRejected { charge } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.revision = None;
            }
            Change::ChargeDeannulled { charge } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.deannul();
            }
            Change::ChargeAcknowledged { charge, amount, .. } => {
                let known = self.charge_mut(*charge).ok_or_else(|| missing("a charge"))?;
                known.acknowledge(*amount);
            }
            Change::PermitProlonged { paid_through } => {
                let permit = self.permit.as_mut().ok_or_else(|| missing("a permit"))?;
                permit.paid_through = Some(*paid_through);
            }
            Change::Decided { decision } => self.decision = Some(decision.clone()),
            Change::DecisionWithdrawn => self.decision = None,
            Change::AnnulmentProposed { proposal } => self.proposal = Some(proposal.clone()),
            Change::ProposalDropped => self.proposal = None,
            Change::PermitIssued { permit } => self.permit = Some(permit.clone()),
            Change::PermitEnded { status, on } => {
                let permit = self.permit.as_mut().ok_or_else(|| missing("a permit"))?;
                permit.status = *status;
                permit.closed_on = Some(*on);
                permit.suspended_on = None;
                self.after_life.request = None;
                self.after_life.suspension = None;
            }
            Change::BlankPrinted { blank, before } => {
                for known in self.blanks.iter_mut().filter(|one| one.status == BlankStatus::Valid) {
                    known.status = *before;
                    known.ended_at = Some(event.at);
                }
                self.blanks.push(blank.clone());
            }
            Change::RequestMade { request } => self.after_life.request = Some(request.clone()),
            Change::RequestClosed => self.after_life.request = None,
            Change::PermitSuspended { suspension } => {
                let permit = self.permit.as_mut().ok_or_else(|| missing("a permit"))?;
                permit.status = PermitStatus::Suspended;
                permit.suspended_on = Some(suspension.on);
                self.after_life.suspension = Some(suspension.clone());
            }
            Change::Complained { complaint } => self.after_life.complaints.push(complaint.clone()),
            Change::ComplaintAnswered { verdict } => {
                let complaint = self.after_life.complaints.last_mut();
                let complaint = complaint.ok_or_else(|| missing("a complaint"))?;
                complaint.verdict = Some(verdict.clone());
            }
            Change::PermitResumed => {
                let permit = self.permit.as_mut().ok_or_else(|| missing("a permit"))?;
                permit.status = PermitStatus::InForce;
                permit.suspended_on = None;
                self.after_life.suspension = None;
            }
            Change::PermitCorrected { holder_name, profession } => {
                let permit = self.permit.as_mut().ok_or_else(|| missing("a permit"))?;
                permit.holder_name.clone_from(holder_name);
                permit.profession.clone_from(profession);
            }
            Change::PermitReinstated => {
                let permit = self.permit.as_mut().ok_or_else(|| missing("a permit"))?;
                permit.status = PermitStatus::InForce;
                permit.closed_on = None;
            }
            Change::Escalated { broken } => {
                self.escalated_at = Some(event.at);
                if let (Some(broken), Some(clock)) = (broken, &mut self.clock) {
                    clock.told = Some(*broken);
                }
            }
            Change::Warned => self.warned_at = Some(event.at),
            Change::Reminded => self.reminded_at = Some(event.at),
            Change::Expedited { expedited } => self.expedited = Some(expedited.clone()),
            Change::ExpeditionEnded => self.expedited = None,
            Change::NoteAdded { note } => self.notes.push(note.clone()),
            Change::Corrected { correction } => self.corrections.push(correction.clone()),
            Change::Claimed { by, until, queue, assigned_by } => {
                self.claim = Some(Claim {
                    by: *by,
                    until: *until,
                    queue: queue.clone(),
                    assigned_by: *assigned_by,
                });
            }
            Change::ClaimReleased => self.claim = None,
            Change::HandLaid { command, by } => {
                let hand = Hand { command: *command, by: *by };
                if !self.hands.contains(&hand) {
                    self.hands.push(hand);
                }
            }
            Change::DutySet { obligation } => {
                match self.duties.iter_mut().find(|known| known.number == obligation.number) {
                    Some(known) => known.clone_from(obligation),
                    None => self.duties.push((**obligation).clone()),
                }
            }
        }
        Ok(())
    }

    fn check_mut(&mut self, id: &str) -> Option<&mut Check> {
        self.checks.iter_mut().find(|check| check.id == id)
    }

    fn charge_mut(&mut self, id: Uuid) -> Option<&mut Charge> {
        self.charges.iter_mut().find(|charge| charge.id == id)
    }

    /// Gives the latest charge of a fee that was not annulled.
    #[must_use]
    pub fn charge_of(&self, fee: &str) -> Option<&Charge> {
        self.charges
            .iter()
            .rev()
            .find(|charge| charge.fee == fee && charge.status != ChargeStatus::Annulled)
    }

    /// Gives the paper that counts, of those that the permit was printed on.
    #[must_use]
    pub fn valid_blank(&self) -> Option<&Blank> {
        self.blanks.iter().rev().find(|blank| blank.status == BlankStatus::Valid)
    }

    /// Gives when the decision was made that stands last: that to annul the permit, or else that on the application.
    #[must_use]
    pub fn decided_at(&self) -> Option<DateTime<Utc>> {
        let annulled = |permit: &Permit| permit.status == PermitStatus::Annulled;
        match (&self.permit, &self.proposal) {
            (Some(permit), Some(proposal)) if annulled(permit) => Some(proposal.at),
            _ => self.decision.as_ref().map(super::application::Decision::at),
        }
    }

    /// Gives the lease that is still running at `now`.
    #[must_use]
    pub fn claim_at(&self, now: DateTime<Utc>) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| claim.until > now)
    }

    /// Gives the sum of what is owed and not yet paid.
    #[must_use]
    pub fn outstanding(&self) -> Money {
        self.charges
            .iter()
            .filter(|charge| charge.status == ChargeStatus::Open)
            .fold(Money::ZERO, |sum, charge| sum.checked_add(charge.outstanding()).unwrap_or(sum))
    }
}
