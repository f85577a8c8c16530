//! Who acts: accounts with a role, and the parts of the system that act by themselves.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an account may be; each account has exactly one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A foreign worker who applies for himself.
    Migrant,
    /// A company that applies for workers.
    Employer,
    /// A case officer of one unit.
    Officer,
    /// A second pair of eyes in one unit; may do all that an officer may.
    SeniorOfficer,
    /// Reads everything, changes nothing.
    Auditor,
    /// Keeps accounts and rule data; sees no applications.
    Administrator,
}

impl Role {
    /// Every role, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::Migrant,
        Self::Employer,
        Self::Officer,
        Self::SeniorOfficer,
        Self::Auditor,
        Self::Administrator,
    ];

    /// Gives the role's name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Migrant => "migrant",
            Self::Employer => "employer",
            Self::Officer => "officer",
            Self::SeniorOfficer => "seniorOfficer",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    /// Finds a role by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Tells whether the role works in a unit's office.
    #[must_use]
    pub const fn is_office(self) -> bool {
        matches!(self, Self::Officer | Self::SeniorOfficer)
    }

    /// Tells whether the role hands in applications.
    #[must_use]
    pub const fn is_applicant(self) -> bool {
        matches!(self, Self::Migrant | Self::Employer)
    }
}

/// Who gives a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Actor {
    /// A person with an account.
    User {
        /// The account.
        id: Uuid,
        /// Its role.
        role: Role,
        /// The unit's code, for officers.
        unit: Option<String>,
    },
    /// The timer, when a deadline has passed.
    Timer,
    /// The payments system, for a payment it was told of.
    Payments,
    /// A register that answers what it was asked.
    Register {
        /// Its name.
        name: String,
    },
}

impl Actor {
    /// Gives the account, if a person acts.
    #[must_use]
    pub const fn account(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Timer | Self::Payments | Self::Register { .. } => None,
        }
    }

    /// Gives the unit of a person who works in one.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::User { unit, .. } => unit.as_deref(),
            Self::Timer | Self::Payments | Self::Register { .. } => None,
        }
    }

    /// Tells whether a senior officer acts.
    #[must_use]
    pub const fn is_senior(&self) -> bool {
        matches!(self, Self::User { role: Role::SeniorOfficer, .. })
    }

    /// Gives the name under which the log shows this kind of actor.
    #[must_use]
    pub const fn role_name(&self) -> &'static str {
        match self {
            Self::User { role, .. } => role.name(),
            Self::Timer => "timer",
            Self::Payments => "payments",
            Self::Register { .. } => "register",
        }
    }
}

/// As whom an actor stands towards one application: what a definition's `actors` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Party {
    /// The account that handed the application in.
    Applicant,
    /// Any officer of the application's unit.
    Officer,
    /// A senior officer of the application's unit.
    SeniorOfficer,
    /// The timer.
    Timer,
    /// The payments system.
    Payments,
    /// A register that was asked.
    Register,
}

impl Party {
    /// Every party, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::Applicant,
        Self::Officer,
        Self::SeniorOfficer,
        Self::Timer,
        Self::Payments,
        Self::Register,
    ];
}
