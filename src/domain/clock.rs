//! The statutory clock: until when the law allows the office to decide, and why until then.
//!
//! The due date is never stored here: it is reckoned each time from start, length and every interval in
//! which the clock stood still. Which state starts, stops or suspends it is the workflow's business.
//!
//! The rule: working days of the unit's calendar are counted from the day after acceptance. A suspension
//! takes out the days after the one on which the applicant was asked, up to and including that of the
//! answer; so the day of asking still counts, and counting goes on with the day after the answer, as it
//! began with the day after acceptance. Intervals may overlap or lie within each other.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::calendar::{Calendar, DayKind, MissingYear, next_day};

/// Holds the statutory term of one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatutoryClock {
    /// The local date of acceptance; the working day after it is day one.
    pub started_on: NaiveDate,
    /// The term in working days.
    pub length: u32,
    /// Every interval in which the clock stood or stands still.
    pub suspensions: Vec<Suspension>,
    /// The local date of the decision; `None` while it is awaited.
    pub stopped_on: Option<NaiveDate>,
    /// The term made longer; `None` while it has its usual length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// The working days of the term that were used up when it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u32>,
    /// The date that the senior officer was told was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<NaiveDate>,
}

/// Holds by how much a term was made longer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extension {
    /// By so many working days.
    pub working_days: u32,
    /// Why.
    pub reason: String,
    /// The article that allows it.
    pub basis: String,
    /// Who said so.
    pub by: Uuid,
    /// The local date.
    pub on: NaiveDate,
}

/// Holds one interval in which the clock stands still: the days after `from`, up to and including `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// The day on which the applicant was asked; it still counts.
    pub from: NaiveDate,
    /// The day of the answer, the last that does not count; `None` while it is awaited.
    pub to: Option<NaiveDate>,
    /// Why the clock stands still.
    pub reason: String,
}

impl Suspension {
    fn covers(&self, date: NaiveDate) -> bool {
        self.from < date && self.to.is_none_or(|to| date <= to)
    }
}

/// Says why the clock cannot be suspended, resumed or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The clock stands still already.
    #[error("The clock has stood still since {since}; resume it first.")]
    AlreadySuspended {
        /// The day on which the applicant was asked.
        since: NaiveDate,
    },
    /// The clock runs.
    #[error("The clock is running; only a suspended clock can be resumed.")]
    NotSuspended,
    /// The decision has been made.
    #[error("The clock was stopped on {on}; nothing can be changed after the decision.")]
    AlreadyStopped {
        /// The day of the decision.
        on: NaiveDate,
    },
    /// The term was extended already.
    #[error("The term was extended by {days} working days on {on}; it can be extended once.")]
    AlreadyExtended {
        /// By so many working days.
        days: u32,
        /// The local date.
        on: NaiveDate,
    },
    /// The term has its usual length.
    #[error("The term is not extended.")]
    NotExtended,
    /// No decision has been made.
    #[error("The clock was not stopped; only a stopped clock can be reopened.")]
    NotStopped,
    /// The day lies before the last thing that happened to the clock.
    #[error("Give a day that is not before {last}, the last entry of the clock.")]
    BeforeLastEntry {
        /// The day of the last entry.
        last: NaiveDate,
    },
}

/// Tells why a day counts or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DayReason {
    /// The day of acceptance, which is not counted.
    Start,
    /// A weekday that is worked; counted.
    Counted,
    /// A Saturday or Sunday that is worked; counted.
    WorkingWeekend,
    /// A Saturday or Sunday that is off.
    Weekend,
    /// A weekday that is off.
    Holiday,
    /// A working day on which the clock stood still.
    Suspended,
}

/// Explains one day of the term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedDay {
    /// The day.
    pub date: NaiveDate,
    /// Which day of the term it is, from 1; `None` when it is not counted.
    pub counted: Option<u32>,
    /// Why it counts or does not.
    pub why: DayReason,
}

/// Explains a due date day by day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The local date of acceptance.
    pub started_on: NaiveDate,
    /// The term in working days, without an extension.
    pub length: u32,
    /// The extension, if there is one.
    pub extension: Option<Extension>,
    /// The last day without the extension; `None` while the clock stands still before it.
    pub standard_due_on: Option<NaiveDate>,
    /// The rule of counting, in plain words.
    pub rule: String,
    /// The last day of the term; `None` while the clock stands still before it.
    pub due_on: Option<NaiveDate>,
    /// Every interval in which the clock stood or stands still, with its reason.
    pub suspensions: Vec<Suspension>,
    /// Every day from the start to the due date, or to the day on which the clock came to stand still.
    pub days: Vec<ExplainedDay>,
}

const RULE: &str = "Working days are counted, the first being the working day after acceptance. While the \
                    applicant is awaited the clock stands still: the day of the request counts, the days \
                    after it up to and including the day of the answer do not. From a decision that was \
                    withdrawn later to the reopening it stands still in the same way.";

impl StatutoryClock {
    /// Starts a clock of `length` working days on the local date of acceptance.
    #[must_use]
    pub fn start(on: NaiveDate, length: u32) -> Self {
        Self {
            started_on: on,
            length,
            suspensions: Vec::new(),
            stopped_on: None,
            extension: None,
            used: None,
            told: None,
        }
    }

    /// Gives the last day of the term, or `None` while the clock stands still before reaching it.
    ///
    /// A suspension that begins on or after the due date does not move it: what is late stays late.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when the term runs into a year without a calendar.
    pub fn due_on(&self, calendar: &Calendar) -> Result<Option<NaiveDate>, MissingYear> {
        self.walk(self.term(), calendar, |_| {})
    }

    /// Gives what [`due_on`](Self::due_on) would give without an extension.
    ///
    /// # Errors
    ///
    /// As [`due_on`](Self::due_on).
    pub fn standard_due_on(&self, calendar: &Calendar) -> Result<Option<NaiveDate>, MissingYear> {
        self.walk(self.length, calendar, |_| {})
    }

    /// Gives the term in working days, with its extension.
    #[must_use]
    pub fn term(&self) -> u32 {
        self.length + self.extension.as_ref().map_or(0, |extension| extension.working_days)
    }

    /// Tells whether the term ended before `today`, or before the decision where there is one.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when the term runs into a year without a calendar.
    pub fn is_overdue(&self, today: NaiveDate, calendar: &Calendar) -> Result<bool, MissingYear> {
        let until = self.until(today);
        Ok(self.due_on(calendar)?.is_some_and(|due| until > due))
    }

    /// Gives how many days of the term are left after `today` (after the decision where there is one).
    ///
    /// It stays the same while the clock stands still, is zero on the due date and below zero by each
    /// counted day after it.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when a day up to `today` lies in a year without a calendar.
    pub fn working_days_left(
        &self,
        today: NaiveDate,
        calendar: &Calendar,
    ) -> Result<i64, MissingYear> {
        let until = self.until(today);
        let (mut date, mut left) = (self.started_on, i64::from(self.term()));
        while date < until && !self.stands_still_for_good_after(date) {
            date = next_day(date)?;
            left -= i64::from(is_counted(self.judge(date, calendar)?));
        }
        Ok(left)
    }

    /// Explains the due date: start, rule, and every day counted or skipped and why.
    ///
    /// A day that is off anyway is explained as that, even where the clock stands still.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when the term runs into a year without a calendar.
    pub fn explain(&self, calendar: &Calendar) -> Result<Explanation, MissingYear> {
        let mut days =
            vec![ExplainedDay { date: self.started_on, counted: None, why: DayReason::Start }];
        let due_on = self.walk(self.term(), calendar, |day| days.push(day))?;
        Ok(Explanation {
            started_on: self.started_on,
            length: self.length,
            extension: self.extension.clone(),
            standard_due_on: self.standard_due_on(calendar)?,
            rule: RULE.to_owned(),
            due_on,
            suspensions: self.suspensions.clone(),
            days,
        })
    }

    /// Gives the day since which the clock stands still, if it does.
    #[must_use]
    pub fn suspended_since(&self) -> Option<NaiveDate> {
        self.suspensions.iter().filter(|s| s.to.is_none()).map(|s| s.from).min()
    }

    /// Gives the interval in which the clock stands still now; `None` while it runs and once it was stopped.
    #[must_use]
    pub fn standing_still(&self) -> Option<&Suspension> {
        let open = self.suspensions.iter().filter(|one| one.to.is_none());
        open.min_by_key(|one| one.from).filter(|_| self.stopped_on.is_none())
    }

    /// Gives the clock as it is once the applicant has been asked on the day `on`.
    ///
    /// # Errors
    ///
    /// [`ClockError`] when it stands still or is stopped already, or `on` lies before its last entry.
    pub fn suspend(&self, on: NaiveDate, reason: impl Into<String>) -> Result<Self, ClockError> {
        self.can_change(on)?;
        if let Some(since) = self.suspended_since() {
            return Err(ClockError::AlreadySuspended { since });
        }
        let mut clock = self.clone();
        clock.suspensions.push(Suspension { from: on, to: None, reason: reason.into() });
        Ok(clock)
    }

    /// Gives the clock as it is once the applicant has answered on the day `on`.
    ///
    /// # Errors
    ///
    /// [`ClockError`] when it runs or is stopped, or `on` lies before its last entry.
    pub fn resume(&self, on: NaiveDate) -> Result<Self, ClockError> {
        self.can_change(on)?;
        if self.suspended_since().is_none() {
            return Err(ClockError::NotSuspended);
        }
        let mut clock = self.clone();
        for suspension in &mut clock.suspensions {
            suspension.to.get_or_insert(on);
        }
        Ok(clock)
    }

    /// Gives the clock as it is once its term has been made longer on the day of the extension.
    ///
    /// # Errors
    ///
    /// [`ClockError`] when that was done before or it is stopped, or the day lies before its last entry.
    pub fn extend(&self, extension: Extension) -> Result<Self, ClockError> {
        self.can_change(extension.on)?;
        if let Some(Extension { working_days, on, .. }) = &self.extension {
            return Err(ClockError::AlreadyExtended { days: *working_days, on: *on });
        }
        Ok(Self { extension: Some(extension), ..self.clone() })
    }

    /// Gives the clock as it is once its extension has been taken back on the day `on`.
    ///
    /// # Errors
    ///
    /// [`ClockError`] when there is none or it is stopped, or `on` lies before its last entry.
    pub fn withdraw_extension(&self, on: NaiveDate) -> Result<Self, ClockError> {
        self.can_change(on)?;
        let Some(Extension { on: last, .. }) = self.extension else {
            return Err(ClockError::NotExtended);
        };
        if on < last {
            return Err(ClockError::BeforeLastEntry { last });
        }
        Ok(Self { extension: None, ..self.clone() })
    }

    /// Gives the clock as it is once the decision has been made on the day `on`, awaited or not.
    ///
    /// # Errors
    ///
    /// [`ClockError`] when it is stopped already, or `on` lies before its last entry.
    pub fn stop(&self, on: NaiveDate) -> Result<Self, ClockError> {
        self.can_change(on)?;
        Ok(Self { stopped_on: Some(on), ..self.clone() })
    }

    /// Gives the clock as it is once the decision that stopped it is withdrawn on the day `on`.
    ///
    /// With a `reason` the clock stood still from the decision to that day; without one the decision was undone at
    /// once and the clock is as if it had never stopped.
    ///
    /// # Errors
    ///
    /// [`ClockError`] when it was not stopped, or `on` lies before the decision.
    pub fn reopen(&self, on: NaiveDate, reason: Option<&str>) -> Result<Self, ClockError> {
        let Some(stopped) = self.stopped_on else { return Err(ClockError::NotStopped) };
        if on < stopped {
            return Err(ClockError::BeforeLastEntry { last: stopped });
        }
        let mut clock = Self { stopped_on: None, used: None, ..self.clone() };
        // What was asked when the applicant took everything back is not asked any more.
        for suspension in &mut clock.suspensions {
            suspension.to.get_or_insert(stopped);
        }
        if let Some(reason) = reason {
            let reason = reason.to_owned();
            clock.suspensions.push(Suspension { from: stopped, to: Some(on), reason });
        }
        Ok(clock)
    }

    /// Gives the working days that have counted up to `today`, or up to the decision where there is one.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when a day up to then lies in a year without a calendar.
    pub fn working_days_used(
        &self,
        today: NaiveDate,
        calendar: &Calendar,
    ) -> Result<u32, MissingYear> {
        let used = i64::from(self.term()) - self.working_days_left(today, calendar)?;
        Ok(u32::try_from(used).unwrap_or(0))
    }

    fn can_change(&self, on: NaiveDate) -> Result<(), ClockError> {
        if let Some(on) = self.stopped_on {
            return Err(ClockError::AlreadyStopped { on });
        }
        let entries = self.suspensions.iter().map(|s| s.to.unwrap_or(s.from));
        let last = entries.fold(self.started_on, Ord::max);
        if on < last { Err(ClockError::BeforeLastEntry { last }) } else { Ok(()) }
    }

    fn until(&self, today: NaiveDate) -> NaiveDate {
        self.stopped_on.map_or(today, |stopped| stopped.min(today))
    }

    /// Tells whether no day after `date` counts as long as nobody resumes the clock.
    fn stands_still_for_good_after(&self, date: NaiveDate) -> bool {
        self.suspended_since().is_some_and(|since| since <= date)
    }

    /// Tells what the calendar and the suspensions say of a day after the start.
    fn judge(&self, date: NaiveDate, calendar: &Calendar) -> Result<DayReason, MissingYear> {
        let suspended = self.suspensions.iter().any(|suspension| suspension.covers(date));
        Ok(match calendar.day_kind(date)? {
            DayKind::Weekend => DayReason::Weekend,
            DayKind::Holiday => DayReason::Holiday,
            DayKind::Working | DayKind::WorkingWeekend if suspended => DayReason::Suspended,
            DayKind::Working => DayReason::Counted,
            DayKind::WorkingWeekend => DayReason::WorkingWeekend,
        })
    }

    /// Goes through the days of the term in order, showing each to `visit`, and gives the due date.
    fn walk(
        &self,
        term: u32,
        calendar: &Calendar,
        mut visit: impl FnMut(ExplainedDay),
    ) -> Result<Option<NaiveDate>, MissingYear> {
        let (mut date, mut count) = (self.started_on, 0);
        while count < term {
            if self.stands_still_for_good_after(date) {
                return Ok(None);
            }
            date = next_day(date)?;
            let why = self.judge(date, calendar)?;
            let counted = is_counted(why).then(|| {
                count += 1;
                count
            });
            visit(ExplainedDay { date, counted, why });
        }
        Ok(Some(date))
    }
}

fn is_counted(why: DayReason) -> bool {
    matches!(why, DayReason::Counted | DayReason::WorkingWeekend)
}

#[cfg(test)]
mod tests;
