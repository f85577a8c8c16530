//! The office's work and its queues.
//!
//! What an application waits for in its office is its [`Work`]: the engine finds it anew with every event. One predicate
//! stands for a queue's list, its count and the claim of its next application (`storage::applications::queue`).

use serde::{Deserialize, Serialize};

use super::application::Application;
use super::workflow::definition::{Awaited, CheckSource, Phase, State};
use super::workflow::engine::Context;

/// A kind of office work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Handed in, to be taken in or refused at intake.
    Intake,
    /// Taken in; an officer has a check to answer.
    Checks,
    /// Taken in; only registers have still to answer.
    Registers,
    /// Every check is answered: to be decided.
    Decision,
    /// Granted, waiting for the applicant's money.
    Payment,
    /// Ready to be handed over.
    Handover,
    /// Annulment proposed, to be confirmed or turned down.
    Annulment,
}

impl Work {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Intake,
        Self::Checks,
        Self::Registers,
        Self::Decision,
        Self::Payment,
        Self::Handover,
        Self::Annulment,
    ];

    /// Gives the kind's name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Checks => "checks",
            Self::Registers => "registers",
            Self::Decision => "decision",
            Self::Payment => "payment",
            Self::Handover => "handover",
            Self::Annulment => "annulment",
        }
    }

    /// Finds a kind by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// Tells whether an application in `state` can wait for the office.
    #[must_use]
    pub fn may_wait_in(state: &State) -> bool {
        // What was granted waits for the applicant's money and hand, and for the officer who books and hands over.
        let granted = matches!(state.phase, Phase::Fee | Phase::Issuance);
        state.phase != Phase::Closed && (state.awaits == Some(Awaited::Office) || granted)
    }

    /// Gives the work that an application waits for; `None` when the office has nothing to do.
    #[must_use]
    pub fn of(application: &Application, context: &Context<'_>) -> Option<Self> {
        let state = context.definition.state(&application.state)?;
        if !Self::may_wait_in(state) {
            return None;
        }
        match state.phase {
            Phase::Submission => Some(Self::Intake),
            Phase::Checks => Some(Self::of_checks(application, context)),
            Phase::Fee => Some(Self::Payment),
            Phase::Issuance => Some(Self::Handover),
            Phase::InForce => Some(Self::Annulment),
            Phase::Closed => None,
        }
    }

    fn of_checks(application: &Application, context: &Context<'_>) -> Self {
        let mut waiting =
            application.checks.iter().filter(|check| check.finding.is_none()).peekable();
        if waiting.peek().is_none() {
            return Self::Decision;
        }
        let by_itself = |check: &super::checks::Check| {
            context.definition.check(&check.id).is_some_and(|rule| match &rule.source {
                CheckSource::Officer => false,
                CheckSource::Register(name) => context.registers.contains(name),
                CheckSource::Local(_) => true,
            })
        };
        if waiting.all(by_itself) { Self::Registers } else { Self::Checks }
    }
}

/// A queue of a unit.
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

    /// Gives the kinds of work that wait in it; none for the overdue queue, which draws on all.
    #[must_use]
    pub const fn works(self) -> &'static [Work] {
        match self {
            Self::Intake => &[Work::Intake],
            Self::Checks => &[Work::Checks, Work::Registers, Work::Decision],
            Self::Payment => &[Work::Payment],
            Self::Handover => &[Work::Handover],
            Self::Annulments => &[Work::Annulment],
            Self::Overdue => &[],
        }
    }

    /// Finds a queue by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }
}
