//! A check: one question to a register or an officer, and the finding that answers it.
//!
//! What the office can answer from what it holds is in [`local`].

pub mod local;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ground::GroundCode;
use super::workflow::definition::{CheckRule, Consequence, Definition};

/// What an answer can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
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

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Clear, Self::Hit, Self::NoData, Self::Error, Self::TimedOut];

    /// Gives the outcome's name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Hit => "hit",
            Self::NoData => "noData",
            Self::Error => "error",
            Self::TimedOut => "timedOut",
        }
    }

    /// Finds an outcome by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// The answer to a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was answered.
    pub outcome: Outcome,
    /// When.
    pub answered_at: DateTime<Utc>,
    /// Who recorded it; `None` for a register and for what the engine found itself.
    pub answered_by: Option<Uuid>,
    /// Free text for the office.
    pub note: Option<String>,
    /// The coded reason, of those that the definition lists for the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of a register's raw answer, lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A blocking answer set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Who set it aside.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// One question about one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The check's name in the definition.
    pub id: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// Until when an answer is due.
    pub due_on: NaiveDate,
    /// The latest answer.
    pub finding: Option<Finding>,
    /// Whether a blocking answer was set aside.
    pub overridden: Option<Override>,
    /// How often it was asked, from 1.
    #[serde(default = "first")]
    pub round: u32,
    /// The answer that spoke for refusing until it was asked anew or an officer answered over it, without its note; gone
    /// once its source answers, or a senior officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Finding>,
}

const fn first() -> u32 {
    1
}

impl Check {
    /// Tells whether the check no longer stands in the way of a grant.
    #[must_use]
    pub fn is_clear(&self, rule: &CheckRule) -> bool {
        let clear = |finding: &Finding| blocking(rule, finding).is_none();
        self.overridden.is_some()
            || (self.before.is_none() && self.finding.as_ref().is_some_and(clear))
    }

    /// Gives what the answer means while it stands in the way of a grant: it blocks, and was not set aside.
    #[must_use]
    pub fn stands_in_the_way(&self, rule: &CheckRule) -> Option<Consequence> {
        let finding = self.finding.as_ref().filter(|_| self.overridden.is_none())?;
        blocking(rule, finding)
    }

    /// Gives an answer that speaks for refusing and is not this account's own, without its note: the one there is, or one
    /// from before the check was asked anew or answered over.
    #[must_use]
    pub fn held_against(&self, rule: &CheckRule, by: Option<Uuid>) -> Option<Finding> {
        let refuses = self.stands_in_the_way(rule) == Some(Consequence::Refuse);
        let standing = self.finding.as_ref().filter(|_| refuses);
        let anothers = |finding: &&Finding| by.is_none() || finding.answered_by != by;
        let held = self.before.as_ref().filter(anothers).or(standing.filter(anothers))?;
        Some(Finding { note: None, ..held.clone() })
    }
}

/// Tells whether a finding blocks under a rule, and what it then means: what its reason says, else what its outcome does.
#[must_use]
pub fn blocking(rule: &CheckRule, finding: &Finding) -> Option<Consequence> {
    let by_outcome = of_outcome(rule, finding.outcome)?;
    let reason = finding.reason.as_deref().and_then(|id| rule.reason(id));
    Some(reason.map_or(by_outcome, |reason| reason.means))
}

/// Tells whether an outcome blocks under a rule, and what it means where no reason is given.
#[must_use]
pub fn of_outcome(rule: &CheckRule, outcome: Outcome) -> Option<Consequence> {
    rule.blocking.iter().find(|(blocked, _)| *blocked == outcome).map(|(_, means)| *means)
}

/// Gives the grounds to refuse that the findings of an application support, each once, in the definition's order.
#[must_use]
pub fn supported_grounds(definition: &Definition, checks: &[Check]) -> Vec<GroundCode> {
    let mut supported: Vec<GroundCode> = Vec::new();
    for rule in &definition.checks {
        let blocked = checks.iter().find(|check| check.id == rule.id);
        let blocked = blocked.filter(|check| check.stands_in_the_way(rule).is_some());
        let reason = blocked
            .and_then(|check| check.finding.as_ref()?.reason.as_deref())
            .and_then(|id| rule.reason(id));
        for code in reason.map_or(&[][..], |reason| &reason.grounds) {
            if !supported.contains(code) {
                supported.push(code.clone());
            }
        }
    }
    supported
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workflow::definition::{CheckReason, CheckSource, Texts};

    fn rule() -> CheckRule {
        let reason = |id: &str, means, grounds: &[&str]| CheckReason {
            id: id.into(),
            means,
            title: Texts::new(),
            grounds: grounds.iter().map(|code| GroundCode::parse(code).unwrap()).collect(),
            line: 1,
        };
        CheckRule {
            id: "medical".into(),
            title: Texts::new(),
            source: CheckSource::Officer,
            sends: Vec::new(),
            due_working_days: 1,
            blocking: vec![
                (Outcome::Hit, Consequence::Refuse),
                (Outcome::NoData, Consequence::Ask),
            ],
            reasons: vec![
                reason("illness", Consequence::Refuse, &["G10"]),
                reason("expired", Consequence::Ask, &[]),
            ],
            line: 1,
        }
    }

    fn found(outcome: Outcome, reason: Option<&str>) -> Finding {
        Finding {
            outcome,
            answered_at: DateTime::UNIX_EPOCH,
            answered_by: None,
            note: None,
            reason: reason.map(str::to_owned),
            digest: None,
        }
    }

    #[test]
    fn a_reason_goes_before_what_the_outcome_means() {
        for (outcome, reason, means) in [
            (Outcome::Hit, None, Some(Consequence::Refuse)),
            (Outcome::Hit, Some("illness"), Some(Consequence::Refuse)),
            (Outcome::Hit, Some("expired"), Some(Consequence::Ask)),
            (Outcome::NoData, None, Some(Consequence::Ask)),
            (Outcome::NoData, Some("illness"), Some(Consequence::Refuse)),
            (Outcome::Clear, None, None),
            (Outcome::TimedOut, None, None),
        ] {
            assert_eq!(blocking(&rule(), &found(outcome, reason)), means, "{outcome:?} {reason:?}");
        }
    }
}
