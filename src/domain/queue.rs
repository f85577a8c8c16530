//! The office's queues: what waits for an officer, by the kind of work.
//!
//! One predicate stands for a queue's list, its count and the claim of its next application
//! (`storage::applications::queue`).

use serde::{Deserialize, Serialize};

use super::workflow::definition::{Awaited, Definition, Phase};

/// A kind of work that waits in an office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Queue {
    /// Handed in, to be taken in or refused at intake.
    Intake,
    /// Taken in, to be checked and decided.
    Checks,
    /// Granted, waiting for the applicant's money.
    Payment,
    /// Ready to be handed over.
    Handover,
    /// Annulment proposed, to be confirmed or turned down.
    Annulments,
    /// Past the date that the law promises, or escalated because another deadline has passed.
    Overdue,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 6] = [
        Self::Intake,
        Self::Checks,
        Self::Payment,
        Self::Handover,
        Self::Annulments,
        Self::Overdue,
    ];

    /// Gives the queue's name as it stands in URLs, in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Checks => "checks",
            Self::Payment => "payment",
            Self::Handover => "handover",
            Self::Annulments => "annulments",
            Self::Overdue => "overdue",
        }
    }

    /// Gives the queue's English title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Intake => "To be taken in",
            Self::Checks => "To be checked and decided",
            Self::Payment => "Granted, waiting to be paid",
            Self::Handover => "Ready to be handed over",
            Self::Annulments => "Annulments to be confirmed",
            Self::Overdue => "Past the date that the law promises, or escalated",
        }
    }

    /// Finds a queue by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// Gives the queue that an application in `state` waits in; `None` when no officer
    /// has anything to do.
    #[must_use]
    pub fn of(definition: &Definition, state: &str) -> Option<Self> {
        let state = definition.state(state)?;
        // What was granted waits for the applicant's money and hand, and for the officer who books and hands over.
        let granted = matches!(state.phase, Phase::Fee | Phase::Issuance);
        if state.awaits != Some(Awaited::Office) && !granted {
            return None;
        }
        match state.phase {
            Phase::Submission => Some(Self::Intake),
            Phase::Checks => Some(Self::Checks),
            Phase::Fee => Some(Self::Payment),
            Phase::Issuance => Some(Self::Handover),
            Phase::InForce => Some(Self::Annulments),
            Phase::Closed => None,
        }
    }
}
