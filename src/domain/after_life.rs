//! What becomes of a permit once it is issued: the papers it is printed on, and what its holder or the office asks about it.
//!
//! The permit itself, its number and its days, is [`super::permit`]'s; what may be asked when, the definition's.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::form::{FieldChange, Form};
use super::ground::Grounds;
use super::identity::checked_text;
use super::permit::{PermitNumber, PermitNumberError};

/// Holds the number of a paper: `B` and, like a permit's, two digits of the region and ten digits, the last a check digit.
///
/// The papers are counted by themselves: two permits never have one paper, and one permit can have several, one after the
/// other. That a paper's number looks so is an assumption, to be confirmed with the blank of MVD order 805/2021.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlankNumber(String);

checked_text!(BlankNumber, BlankNumberError);

/// Says why a text is no number of a paper, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BlankNumberError {
    /// Not `B`, two digits and ten digits.
    #[error("Give the number of the paper: B, 2 digits and 10 digits, such as B77-0000000016.")]
    Form,
    /// The last digit does not match the others.
    #[error("There is no paper with this number; compare it with the permit digit by digit.")]
    CheckDigit,
}

impl BlankNumber {
    /// Makes the number of the `serial`-th paper, of a region; see [`PermitNumber::compose`].
    #[must_use]
    pub fn compose(region_code: &str, serial: u64) -> Self {
        Self(format!("B{}", PermitNumber::compose(region_code, serial)))
    }

    /// Parses it, with a hyphen, a space or nothing between series and number.
    ///
    /// # Errors
    /// [`BlankNumberError`] names the obstacle.
    pub fn parse(text: &str) -> Result<Self, BlankNumberError> {
        let digits = text.trim().strip_prefix(['B', 'b']).ok_or(BlankNumberError::Form)?;
        match PermitNumber::parse(digits) {
            Ok(number) => Ok(Self(format!("B{number}"))),
            Err(PermitNumberError::Form) => Err(BlankNumberError::Form),
            Err(PermitNumberError::CheckDigit) => Err(BlankNumberError::CheckDigit),
        }
    }
}

/// Tells how a paper stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlankStatus {
    /// It is the permit's paper.
    Valid,
    /// Another took its place.
    Superseded,
    /// The office has spoilt it.
    Spoilt,
}

impl BlankStatus {
    /// Gives the name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Superseded => "superseded",
            Self::Spoilt => "spoilt",
        }
    }
}

/// A paper that a permit was printed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blank {
    /// Its number; never given twice.
    pub number: BlankNumber,
    /// How it stands.
    pub status: BlankStatus,
    /// When it was printed.
    pub printed_at: DateTime<Utc>,
    /// When it stopped being the permit's paper.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What became of a paper in place of which another is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DuplicateCause {
    /// It is lost.
    Lost,
    /// It is damaged.
    Damaged,
}

impl DuplicateCause {
    /// Gives the name as it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Damaged => "damaged",
        }
    }
}

/// What a permit's holder asks about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Asked {
    /// Another paper.
    Duplicate {
        /// What became of the one before.
        cause: DuplicateCause,
    },
    /// Other data on it.
    Change {
        /// The form as it is to be.
        form: Box<Form>,
        /// What that changes.
        changes: Vec<FieldChange>,
    },
    /// Its end.
    Surrender,
}

impl Asked {
    /// Gives the name as it stands in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Duplicate { .. } => "duplicate",
            Self::Change { .. } => "change",
            Self::Surrender => "surrender",
        }
    }
}

/// A request of a permit's holder that the office has not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HolderRequest {
    /// What is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// When.
    pub at: DateTime<Utc>,
    /// Why, in the holder's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a permit is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// By whom.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// The first day on which it is.
    pub on: NaiveDate,
    /// On what grounds.
    pub grounds: Grounds,
    /// In words.
    pub reason: String,
}

/// What a complaint can be of: see [`super::workflow::definition::COMPLAINTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ComplaintKind {
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

impl ComplaintKind {
    /// Every kind, in the order of [`super::workflow::definition::COMPLAINTS`].
    pub const ALL: [Self; 7] = [
        Self::LateService,
        Self::LateRegistration,
        Self::RefusalToCorrect,
        Self::RefusalOfService,
        Self::RefusalOfDocuments,
        Self::ExtraMoney,
        Self::ExtraDocuments,
    ];

    /// Gives the name as it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LateService => "lateService",
            Self::LateRegistration => "lateRegistration",
            Self::RefusalToCorrect => "refusalToCorrect",
            Self::RefusalOfService => "refusalOfService",
            Self::RefusalOfDocuments => "refusalOfDocuments",
            Self::ExtraMoney => "extraMoney",
            Self::ExtraDocuments => "extraDocuments",
        }
    }
}

/// What the office found of a complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it is right.
    pub upheld: bool,
    /// By whom.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// A complaint of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Complaint {
    /// Of what.
    pub about: ComplaintKind,
    /// In words.
    pub text: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// When the decision was made that it is of.
    pub decided_at: DateTime<Utc>,
    /// What the office found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What is asked and said about a permit at present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AfterLife {
    /// What its holder asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<HolderRequest>,
    /// Why it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// What decisions were complained of, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<Complaint>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_complaints_are_those_that_the_public_is_told_of() {
        let names = ComplaintKind::ALL.map(ComplaintKind::name);
        assert_eq!(names, crate::domain::workflow::definition::COMPLAINTS);
        for kind in ComplaintKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn a_paper_is_numbered_like_a_permit_and_never_taken_for_one() {
        let number = BlankNumber::compose("77", 1);
        assert_eq!(number.as_str(), "B77-0000000016");
        assert!(PermitNumber::parse(number.as_str()).is_err());
        for text in ["B77-0000000016", " b77 0000000016 ", "B770000000016"] {
            assert_eq!(BlankNumber::parse(text), Ok(number.clone()), "{text}");
        }
        for text in ["", "B", "77-0000000016", "B7-0000000016", "Б77-0000000016"] {
            assert_eq!(BlankNumber::parse(text), Err(BlankNumberError::Form), "{text}");
        }
        assert_eq!(BlankNumber::parse("B77-0000000017"), Err(BlankNumberError::CheckDigit));
    }
}
