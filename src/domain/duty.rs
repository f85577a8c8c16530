//! Duties after issue: what a permit's holder or his employer owes, until when, and how it stands.
//!
//! Which duties a track has, and what each counts from, its definition says ([`Duty`]). Here is what becomes of one that is
//! owed. That something is overdue decides nothing: an officer does.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, MissingYear};
use super::identity::{Inn, Okved};
use super::permit::add_months;
use super::workflow::definition::{Duty, DutyTerm};

/// How a duty stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DutyStatus {
    /// Owed.
    Open,
    /// A proof was handed in; an officer looks at it.
    Reported,
    /// The proof was found good.
    Fulfilled,
    /// Its last day has passed without a proof.
    Overdue,
    /// An officer let it go, saying why.
    Excused,
    /// The permit was annulled for it.
    Breached,
}

impl DutyStatus {
    /// Gives the status's name as it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reported => "reported",
            Self::Fulfilled => "fulfilled",
            Self::Overdue => "overdue",
            Self::Excused => "excused",
            Self::Breached => "breached",
        }
    }

    /// Tells whether something can still be handed in for it.
    #[must_use]
    pub const fn is_owed(self) -> bool {
        matches!(self, Self::Open | Self::Overdue)
    }
}

/// What an employer has to notify of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeKind {
    /// A contract was concluded.
    Hiring,
    /// A contract was ended.
    Ending,
}

impl NoticeKind {
    /// Gives the kind's name as it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hiring => "hiring",
            Self::Ending => "ending",
        }
    }
}

/// What happened that must be notified of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What.
    pub kind: NoticeKind,
    /// When.
    pub on: NaiveDate,
    /// The employer's tax number.
    pub inn: Inn,
    /// The employer's name.
    pub employer: String,
    /// The activity for which he hires, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub okved: Option<Okved>,
}

impl Notice {
    /// Tells whether both are about the same event.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        (self.kind, self.on, &self.inn) == (other.kind, other.on, &other.inn)
    }
}

/// The document that was handed in for a duty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DutyProof {
    /// Its kind.
    pub document: String,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub digest: String,
    /// When it was reported.
    pub at: DateTime<Utc>,
}

/// A duty that is or was owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Obligation {
    /// Number within the application, from 1.
    pub number: u32,
    /// The duty's name in the definition.
    pub duty: String,
    /// The day from which its term counts: of issue, or of the event.
    pub counts_from: NaiveDate,
    /// Its last day.
    pub due_on: NaiveDate,
    /// How it stands.
    pub status: DutyStatus,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What was handed in for it; gone when it was found wanting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<DutyProof>,
    /// What happened, where it counts from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// Why the last proof was found wanting, or the duty let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many of the reminders are behind it.
    pub reminders: u32,
    /// When it was first found overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_at: Option<DateTime<Utc>>,
}

impl Obligation {
    /// Begins a duty whose term counts from a day; reminders of days that are past are behind it.
    ///
    /// # Errors
    /// [`MissingYear`] when its working days run into a year without a calendar.
    pub fn begin(
        rule: &Duty,
        number: u32,
        counts_from: NaiveDate,
        now: (DateTime<Utc>, NaiveDate),
        calendar: &Calendar,
    ) -> Result<Option<Self>, MissingYear> {
        let (at, today) = now;
        let Some(due_on) = due_on(rule, counts_from, calendar)? else { return Ok(None) };
        Ok(Some(Self {
            number,
            duty: rule.id.clone(),
            counts_from,
            due_on,
            status: DutyStatus::Open,
            since: at,
            proof: None,
            notice: None,
            reason: None,
            reminders: reminders_by(rule, due_on, today),
            overdue_at: None,
        }))
    }

    /// Gives the day of the next reminder, while it is open.
    #[must_use]
    pub fn next_reminder(&self, rule: &Duty) -> Option<NaiveDate> {
        let index = usize::try_from(self.reminders).ok()?;
        let days =
            rule.remind_days_before.get(index).filter(|_| self.status == DutyStatus::Open)?;
        self.due_on.checked_sub_days(Days::new(u64::from(*days)))
    }
}

/// Gives the last day of a duty whose term counts from a day; `None` for one that is told in words alone.
///
/// A term in months ends as [`add_months`] says and, where the definition says so, on the first working day from there on.
/// Where nobody knows the working days of that year yet, the day itself stands until a calendar moves it.
///
/// # Errors
/// [`MissingYear`] when working days run into a year without a calendar.
pub fn due_on(
    rule: &Duty,
    counts_from: NaiveDate,
    calendar: &Calendar,
) -> Result<Option<NaiveDate>, MissingYear> {
    Ok(match rule.term {
        None => None,
        Some(DutyTerm::WorkingDays(days)) => Some(calendar.add_working_days(counts_from, days)?),
        Some(DutyTerm::Months(months)) => {
            let last = add_months(counts_from, months);
            let rolls = last.pred_opt().filter(|_| rule.to_working_day);
            let rolled = rolls.and_then(|before| calendar.add_working_days(before, 1).ok());
            Some(rolled.unwrap_or(last))
        }
    })
}

/// Counts the reminders whose day has come.
#[must_use]
pub fn reminders_by(rule: &Duty, due_on: NaiveDate, today: NaiveDate) -> u32 {
    let come = |days: &&u32| {
        due_on.checked_sub_days(Days::new(u64::from(**days))).is_none_or(|day| day <= today)
    };
    u32::try_from(rule.remind_days_before.iter().take_while(come).count()).unwrap_or(u32::MAX)
}

/// The days on which a timer has to do with duties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DutyDays {
    /// The day of the next reminder.
    pub reminder: Option<NaiveDate>,
    /// The earliest last day of one that is open.
    pub due: Option<NaiveDate>,
}

impl DutyDays {
    /// Finds the days among what is owed.
    #[must_use]
    pub fn of(owed: &[Obligation], rules: &[Duty]) -> Self {
        let rule = |one: &Obligation| rules.iter().find(|rule| rule.id == one.duty);
        Self {
            reminder: owed.iter().filter_map(|one| one.next_reminder(rule(one)?)).min(),
            due: next_due(owed),
        }
    }
}

/// Gives the earliest last day of what is open.
#[must_use]
pub fn next_due(owed: &[Obligation]) -> Option<NaiveDate> {
    let open = owed.iter().filter(|one| one.status == DutyStatus::Open);
    open.map(|one| one.due_on).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::Rulebook;
    use crate::domain::workflow::embedded;

    fn rules() -> Rulebook {
        let files: Vec<_> =
            embedded::FILES.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        Rulebook::parse(&files).unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_term_in_months_ends_on_the_same_day_or_the_last_and_goes_on_to_a_working_day() {
        let rules = rules();
        let copy = rules.definition("patent", 1).unwrap().permit.duty("contractCopy").unwrap();
        let due = |from| due_on(copy, day(from), &rules.calendar).unwrap().unwrap().to_string();
        // Thursday, 12 March; Tuesday, 12 May.
        assert_eq!(due("2026-03-12"), "2026-05-12");
        // 28 February 2026 is a Saturday, and so is the last of that month for the 29th to the 31st.
        assert_eq!(due("2025-12-28"), "2026-03-02");
        assert_eq!(due("2025-12-31"), "2026-03-02");
        // A leap year: 29 February 2024 is a Thursday.
        assert_eq!(due("2023-12-31"), "2024-02-29");
        // 1 May 2026 is a holiday before a weekend.
        assert_eq!(due("2026-03-01"), "2026-05-04");
        // Nobody knows the days off of that year.
        assert_eq!(due("2030-04-06"), "2030-06-06");
    }

    #[test]
    fn a_notice_is_due_three_working_days_after_its_event() {
        let rules = rules();
        let notice = rules.definition("patent", 1).unwrap().permit.duty("employerNotice").unwrap();
        let due = |from| due_on(notice, day(from), &rules.calendar).unwrap().unwrap().to_string();
        assert_eq!(due("2026-03-12"), "2026-03-17");
        assert_eq!(due("2026-03-14"), "2026-03-18");
        assert!(due_on(notice, day("2035-01-01"), &rules.calendar).is_err());
    }

    #[test]
    fn reminders_that_were_given_are_not_given_again() {
        let rules = rules();
        let copy = rules.definition("patent", 1).unwrap().permit.duty("contractCopy").unwrap();
        assert_eq!(copy.remind_days_before, [14, 3]);
        let now = (DateTime::UNIX_EPOCH, day("2026-03-12"));
        let begun = Obligation::begin(copy, 1, day("2026-03-12"), now, &rules.calendar);
        let mut owed = begun.unwrap().unwrap();
        assert_eq!(owed.next_reminder(copy), Some(day("2026-04-28")));
        owed.reminders = 1;
        assert_eq!(owed.next_reminder(copy), Some(day("2026-05-09")));
        owed.reminders = 2;
        assert_eq!(owed.next_reminder(copy), None);
        let by = |today| reminders_by(copy, day("2026-05-12"), day(today));
        assert_eq!([by("2026-04-27"), by("2026-04-28"), by("2026-05-12")], [0, 1, 2]);
    }
}
