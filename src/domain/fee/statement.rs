//! Statements of an account, and what of them the ledger does not say.
//!
//! Two formats are read: camt.053 of ISO 20022 (`camt`) and the text exchange of 1C (`one_c`). A file is taken whole
//! or not at all: what is cut off, does not add up or is something else is refused with its line.

mod camt;
mod one_c;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Europe::Moscow;
use serde::Serialize;

use super::Money;

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// An account's movements of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The first day that it is about.
    pub from: NaiveDate,
    /// The last one.
    pub to: NaiveDate,
    /// What came in, in the order of the file.
    pub lines: Vec<Line>,
    /// How many movements went out: they are not looked at.
    pub outgoing: usize,
}

/// Money that came in, as the bank says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The line of the file that begins it.
    pub line: usize,
    /// The id under which the provider knows it too; of a format that has none, what names it within the file.
    pub id: String,
    /// The amount.
    #[serde(rename = "kopecks")]
    pub amount: Money,
    /// The bank's day.
    pub booked_on: NaiveDate,
    /// The UIN that the payment order quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uin: Option<String>,
    /// The KBK that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kbk: Option<String>,
    /// Who paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
}

/// Says why a file is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
pub struct StatementError {
    /// The line.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl StatementError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl Statement {
    /// Reads a statement of either format, in UTF-8 or in one of the Russian code pages.
    ///
    /// # Errors
    ///
    /// [`StatementError`] names the first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > LARGEST {
            return Err(StatementError::new(1, format!("the file is larger than {LARGEST} bytes")));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.starts_with(one_c::HEADER.as_bytes()) {
            return one_c::parse(&one_c::decode(bytes)?);
        }
        if bytes.trim_ascii_start().starts_with(b"<") {
            return camt::parse(&camt::decode(bytes)?);
        }
        let message = "the file is no statement: neither camt.053 nor 1CClientBankExchange";
        Err(StatementError::new(1, message))
    }
}

/// Reads roubles with two digits of kopecks at most, as `4200`, `4200.5` or `4200.00`.
fn amount(text: &str) -> Option<Money> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let kopecks: i64 = format!("{fraction:0<2}").parse().ok()?;
    let whole: i64 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(kopecks).and_then(Money::from_kopecks)
}

/// A payment as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Booked {
    /// The provider's id, with where it came from: `provider:…`, `statement:…`.
    pub provider_id: String,
    /// What was quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uin: Option<String>,
    /// The amount that was received.
    #[serde(rename = "kopecks")]
    pub amount: Money,
    /// When it was paid.
    pub paid_at: DateTime<Utc>,
}

impl Booked {
    /// Gives the bank's day: banks keep Moscow's.
    fn day(&self) -> NaiveDate {
        self.paid_at.with_timezone(&Moscow).date_naive()
    }

    fn id(&self) -> &str {
        self.provider_id.split_once(':').map_or(self.provider_id.as_str(), |(_, id)| id)
    }
}

/// A movement that both have, with two amounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Differing {
    /// What the statement says.
    pub statement: Line,
    /// What the ledger says.
    pub ledger: Booked,
}

/// What statement and ledger do not say alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// How many movements both have alike.
    pub agreed: usize,
    /// How many went out and were not looked at.
    pub outgoing: usize,
    /// What the statement has and the ledger lacks.
    pub missing_in_ledger: Vec<Line>,
    /// What the ledger has for these days and the statement lacks.
    pub missing_in_statement: Vec<Booked>,
    /// What both have with different amounts.
    pub differing: Vec<Differing>,
    /// What the statement has twice under one id: the second time.
    pub duplicates: Vec<Line>,
}

impl Comparison {
    /// Tells whether everything is alike.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing_in_ledger.is_empty()
            && self.missing_in_statement.is_empty()
            && self.differing.is_empty()
            && self.duplicates.is_empty()
    }
}

/// Gives the instants between which the ledger can have what a statement is about: a payer's day may be one of the bank's
/// neighbours.
#[must_use]
pub fn span(statement: &Statement) -> (DateTime<Utc>, DateTime<Utc>) {
    let day = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
    (
        day(statement.from).checked_sub_signed(TimeDelta::days(3)).unwrap_or(DateTime::UNIX_EPOCH),
        day(statement.to).checked_add_signed(TimeDelta::days(4)).unwrap_or(DateTime::UNIX_EPOCH),
    )
}

/// Compares a statement with what the ledger has around its days.
///
/// A movement is found by its id, else by UIN and amount, else by UIN alone, with another amount. Each payment of the
/// ledger answers for one movement. Money that an officer recorded from a paper is no matter of the provider's statement.
#[must_use]
pub fn compare(statement: &Statement, ledger: &[Booked]) -> Comparison {
    let mut result = Comparison { outgoing: statement.outgoing, ..Comparison::default() };
    let by_id: BTreeMap<&str, usize> =
        ledger.iter().enumerate().map(|(place, booked)| (booked.id(), place)).collect();
    let mut by_uin: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, booked) in ledger.iter().enumerate() {
        by_uin.entry(booked.uin.as_deref().unwrap_or_default()).or_default().push(place);
    }
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    let mut rest: Vec<&Line> = Vec::new();
    let mut met = |line: &Line, place: usize, used: &mut BTreeSet<usize>| {
        let Some(booked) = ledger.get(place) else { return };
        used.insert(place);
        if booked.amount == line.amount {
            result.agreed += 1;
        } else {
            let differing = Differing { statement: line.clone(), ledger: booked.clone() };
            result.differing.push(differing);
        }
    };
    for line in &statement.lines {
        if !ids.insert(&line.id) {
            result.duplicates.push(line.clone());
        } else if let Some(place) = by_id.get(line.id.as_str()) {
            met(line, *place, &mut used);
        } else {
            rest.push(line);
        }
    }
    // What the ids have not told apart: first what is alike, then what differs.
    for same_amount in [true, false] {
        rest.retain(|line| {
            let Some(uin) = line.uin.as_deref() else { return true };
            let free = by_uin.get(uin).into_iter().flatten().copied().find(|place| {
                !used.contains(place)
                    && ledger.get(*place).is_some_and(|booked| {
                        (!same_amount || booked.amount == line.amount)
                            && !ids.contains(booked.id())
                            && (booked.day() - line.booked_on).abs() <= TimeDelta::days(3)
                    })
            });
            if let Some(place) = free {
                met(line, place, &mut used);
            }
            free.is_none()
        });
    }
    result.missing_in_ledger = rest.into_iter().cloned().collect();
    result.missing_in_statement = ledger
        .iter()
        .enumerate()
        .filter(|(place, booked)| {
            !used.contains(place) && (statement.from..=statement.to).contains(&booked.day())
        })
        .map(|(_, booked)| booked.clone())
        .collect();
    result
}

#[cfg(test)]
mod tests;
