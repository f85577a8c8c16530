//! What the office changes about a charge: one officer proposes, another agrees or not. A small machine of its own beside
//! that of the charge.
//!
//! Which steps a charge allows is [`ChargeStep::is_allowed`]; what each does is in [`super::Charge`].

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Money;
use super::ledger::ChargeStep;
use super::payee::Requisites;

/// Tells what is changed about a charge, as it was agreed upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum RevisionKind {
    /// It says something else; the UIN stays.
    Clarify {
        /// The amount, where it is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
        /// The payee and the purpose, where they are others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requisites: Option<Box<Requisites>>,
    },
    /// It is not owed.
    Annul,
    /// It is owed after all.
    Deannul,
    /// Its money came in another way than through the provider.
    Acknowledge {
        /// The number of the paper that proves it.
        document: String,
        /// The day on which it was paid.
        paid_on: NaiveDate,
    },
}

impl RevisionKind {
    /// Gives the step that the charge takes.
    #[must_use]
    pub const fn step(&self) -> ChargeStep {
        match self {
            Self::Clarify { .. } => ChargeStep::Clarify,
            Self::Annul => ChargeStep::Annul,
            Self::Deannul => ChargeStep::Deannul,
            Self::Acknowledge { .. } => ChargeStep::Acknowledge,
        }
    }
}

/// Tells what an officer wants changed about a charge, in his own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum Wanted {
    /// Let it say something else.
    Clarify {
        /// Another amount.
        amount: Option<Money>,
        /// Another purpose of the payment order.
        purpose: Option<String>,
        /// Whether the office's bank details of today take the place of those it names.
        renew_payee: bool,
    },
    /// Say that it is not owed.
    Annul,
    /// Say that it is owed after all.
    Deannul,
    /// Take it for paid.
    Acknowledge {
        /// The number of the paper that proves it.
        document: String,
        /// The day on which it was paid.
        paid_on: NaiveDate,
    },
}

/// Tells what an officer does about a change of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevisionAct {
    /// Proposes it.
    Propose {
        /// What.
        wanted: Wanted,
        /// Why.
        reason: String,
    },
    /// Agrees, as the second officer.
    Confirm,
    /// Drops it.
    Reject {
        /// Why.
        reason: String,
    },
}

/// Holds the change of a charge that was proposed last, and who agreed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// What is changed.
    pub kind: RevisionKind,
    /// Why.
    pub reason: String,
    /// The officer who proposed it.
    pub proposed_by: Uuid,
    /// When.
    pub proposed_at: DateTime<Utc>,
    /// The second officer, once he agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<Uuid>,
    /// When he agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<DateTime<Utc>>,
}

/// Says why nothing can be done about the change of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// Another change waits.
    #[error(
        "A change of this charge waits for a second officer; confirm or reject that one first."
    )]
    Waits,
    /// No change waits.
    #[error("No change of this charge waits for a second officer.")]
    NothingWaits,
    /// The second officer is the first one.
    #[error("You proposed this change; a colleague has to confirm it.")]
    FourEyes,
}

impl Revision {
    /// Tells whether a second officer has to say something.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.confirmed_by.is_none()
    }

    /// Sees that another change may be proposed.
    ///
    /// # Errors
    ///
    /// [`RevisionError::Waits`] while one waits.
    pub fn may_be_proposed(last: Option<&Self>) -> Result<(), RevisionError> {
        if last.is_some_and(Self::waits) { Err(RevisionError::Waits) } else { Ok(()) }
    }

    /// Gives the change that an officer may confirm.
    ///
    /// # Errors
    ///
    /// [`RevisionError::NothingWaits`], and [`RevisionError::FourEyes`] for the one who proposed it.
    pub fn may_be_confirmed(last: Option<&Self>, by: Uuid) -> Result<&Self, RevisionError> {
        let waiting = Self::may_be_rejected(last)?;
        if waiting.proposed_by == by { Err(RevisionError::FourEyes) } else { Ok(waiting) }
    }

    /// Gives the change that can be dropped, also by the one who proposed it.
    ///
    /// # Errors
    ///
    /// [`RevisionError::NothingWaits`].
    pub fn may_be_rejected(last: Option<&Self>) -> Result<&Self, RevisionError> {
        last.filter(|one| one.waits()).ok_or(RevisionError::NothingWaits)
    }
}
