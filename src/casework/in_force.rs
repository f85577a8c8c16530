//! The rules that decisions are made by: those of the binary, with the calendar as the database has it.
//!
//! What is loaded for a decision says which registration was the latest; who knows an earlier one reads the calendars anew
//! before it decides. The write is guarded by the same number, so that no decision by an older calendar is written.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::rules::{RuleFile, Rulebook};
use crate::error::{Error, Result};
use crate::storage::Conn;
use crate::storage::rule_files::{self, Calendars};

/// Rules, and what they follow.
#[derive(Clone)]
pub(super) struct Known {
    /// The rules.
    pub rules: Arc<Rulebook>,
    /// The number of the latest registration of any file.
    pub number: i64,
    /// The number of the latest registration of a calendar.
    pub calendar: i64,
}

/// What this process knows; clones share it.
#[derive(Clone)]
pub(super) struct InForce(Arc<RwLock<Known>>);

impl InForce {
    /// Begins with the rules of the binary, as if nothing was registered yet.
    pub fn new(rules: Arc<Rulebook>) -> Self {
        Self(Arc::new(RwLock::new(Known { rules, number: 0, calendar: 0 })))
    }

    /// Gives what is known.
    pub fn known(&self) -> Known {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives rules that follow at least the registration of this number; one statement if they are not known yet.
    pub async fn at(&self, conn: &mut Conn, number: i64) -> Result<Known> {
        let known = self.known();
        if known.number >= number {
            return Ok(known);
        }
        let Calendars { files, number: latest, calendar } = rule_files::calendars(conn).await?;
        // Where no calendar is registered, the number comes from another file.
        let latest = latest.max(number);
        let rules = replace(known.rules, files)?;
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if latest > held.number {
            *held = Known { rules, number: latest, calendar };
        }
        Ok(held.clone())
    }
}

/// Gives the same rules with these calendars, when they are others.
fn replace(rules: Arc<Rulebook>, files: Vec<RuleFile>) -> Result<Arc<Rulebook>> {
    let in_use: Vec<_> = rules.files.iter().filter(|file| file.is_calendar()).collect();
    let same = files.len() == in_use.len() && in_use.iter().all(|one| files.contains(one));
    if files.is_empty() || same {
        return Ok(rules);
    }
    match rules.with_calendars(files) {
        Ok(rules) => Ok(Arc::new(rules)),
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(Error::bug(format!("a calendar in force cannot be read:\n{}", lines.join("\n"))))
        }
    }
}
