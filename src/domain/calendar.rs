//! The production calendar: which days are worked, by country and year.
//!
//! A calendar is data under `workflows/calendars/`; this module reads it, refuses a wrong one, and counts.
//! It knows no statutory clock: that is [`crate::domain::clock`].

mod file;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

pub(in crate::domain) use file::line_at;
pub use file::{CalendarError, Heading, Mistake};

use crate::domain::identity::CountryCode;

/// Tells what sort of day a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DayKind {
    /// Monday to Friday, worked.
    Working,
    /// Saturday or Sunday, off.
    Weekend,
    /// Monday to Friday, off: a public holiday, or a day of rest moved there.
    Holiday,
    /// Saturday or Sunday, worked: its rest was moved elsewhere.
    WorkingWeekend,
}

impl DayKind {
    /// Tells whether a term in working days counts such a day.
    #[must_use]
    pub const fn is_working(self) -> bool {
        matches!(self, Self::Working | Self::WorkingWeekend)
    }
}

/// A day that two calendars say different things of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangedDay {
    /// The day.
    pub date: NaiveDate,
    /// What it was.
    pub before: DayKind,
    /// What it is.
    pub after: DayKind,
}

/// Says that a date lies in a year for which no calendar is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("There is no production calendar for {year}; an administrator must add it.")]
pub struct MissingYear {
    /// The year without a calendar.
    pub year: i32,
}

/// Holds the production calendar of one country for some years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    country: CountryCode,
    years: BTreeMap<i32, Year>,
}

/// What the calendar of one year adds to Monday to Friday.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Year {
    days_off: BTreeSet<NaiveDate>,
    working_weekends: BTreeSet<NaiveDate>,
    provisional: bool,
}

impl Calendar {
    /// Reads calendars of one country from pairs of file name and TOML text, one year each.
    ///
    /// # Errors
    ///
    /// Everything wrong with any of the files, each with file name and line.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Vec<CalendarError>> {
        file::parse(files)
    }

    /// Reads for which country and year a file is, without judging the rest of it; `None` when it does not say so in a
    /// way that can be read.
    #[must_use]
    pub fn heading(text: &str) -> Option<Heading> {
        file::heading(text)
    }

    /// Lists the days of a year of which `after` says something else; none when one of the two lacks the year.
    #[must_use]
    pub fn changed_days(&self, after: &Self, year: i32) -> Vec<ChangedDay> {
        let (Some(one), Some(other)) = (self.years.get(&year), after.years.get(&year)) else {
            return Vec::new();
        };
        NaiveDate::from_yo_opt(year, 1)
            .into_iter()
            .flat_map(|first| first.iter_days().take_while(|date| date.year() == year))
            .map(|date| ChangedDay {
                date,
                before: one.day_kind(date),
                after: other.day_kind(date),
            })
            .filter(|day| day.before != day.after)
            .collect()
    }

    /// Gives the country whose calendar this is.
    #[must_use]
    pub fn country(&self) -> &CountryCode {
        &self.country
    }

    /// Gives the years loaded, in order.
    pub fn years(&self) -> impl Iterator<Item = i32> {
        self.years.keys().copied()
    }

    /// Tells whether the year's calendar may still change, because its decree is not out.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when the year is not loaded.
    pub fn is_provisional(&self, year: i32) -> Result<bool, MissingYear> {
        self.years.get(&year).map(|calendar| calendar.provisional).ok_or(MissingYear { year })
    }

    /// Tells what sort of day `date` is.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when its year is not loaded.
    pub fn day_kind(&self, date: NaiveDate) -> Result<DayKind, MissingYear> {
        let missing = MissingYear { year: date.year() };
        Ok(self.years.get(&date.year()).ok_or(missing)?.day_kind(date))
    }

    /// Tells whether `date` is worked.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when its year is not loaded.
    pub fn is_working_day(&self, date: NaiveDate) -> Result<bool, MissingYear> {
        Ok(self.day_kind(date)?.is_working())
    }

    /// Gives the `n`-th working day after `start`, where day one is the next working day after it.
    ///
    /// With `n` zero it gives `start` itself, worked or not.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when the count runs into a year that is not loaded.
    pub fn add_working_days(&self, start: NaiveDate, n: u32) -> Result<NaiveDate, MissingYear> {
        let mut date = start;
        for _ in 0..n {
            date = next_day(date)?;
            while !self.is_working_day(date)? {
                date = next_day(date)?;
            }
        }
        Ok(date)
    }

    /// Gives the `n`-th working day before `end`.
    ///
    /// With `n` zero it gives `end` itself, worked or not.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when the count runs into a year that is not loaded.
    pub fn sub_working_days(&self, end: NaiveDate, n: u32) -> Result<NaiveDate, MissingYear> {
        let mut date = end;
        for _ in 0..n {
            date = date.pred_opt().ok_or(MissingYear { year: date.year() - 1 })?;
            while !self.is_working_day(date)? {
                date = date.pred_opt().ok_or(MissingYear { year: date.year() - 1 })?;
            }
        }
        Ok(date)
    }

    /// Counts the working days after `from` up to and including `to`; none when `to` is not after `from`.
    ///
    /// So `working_days_between(start, add_working_days(start, n))` is `n`.
    ///
    /// # Errors
    ///
    /// [`MissingYear`] when a day between lies in a year that is not loaded.
    pub fn working_days_between(&self, from: NaiveDate, to: NaiveDate) -> Result<u32, MissingYear> {
        let (mut date, mut count) = (from, 0);
        while date < to {
            date = next_day(date)?;
            count += u32::from(self.is_working_day(date)?);
        }
        Ok(count)
    }
}

impl Year {
    fn day_kind(&self, date: NaiveDate) -> DayKind {
        if is_weekend(date) {
            if self.working_weekends.contains(&date) {
                DayKind::WorkingWeekend
            } else {
                DayKind::Weekend
            }
        } else if self.days_off.contains(&date) {
            DayKind::Holiday
        } else {
            DayKind::Working
        }
    }
}

/// Gives the day after `date`; the end of time counts as a year without a calendar.
pub(in crate::domain) fn next_day(date: NaiveDate) -> Result<NaiveDate, MissingYear> {
    date.succ_opt().ok_or(MissingYear { year: date.year() + 1 })
}

fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// The calendars that ship with the house, for tests of this module and its neighbours.
#[cfg(test)]
pub(in crate::domain) const RUSSIA: [(&str, &str); 4] = [
    ("russia-2024.toml", include_str!("../../workflows/calendars/russia-2024.toml")),
    ("russia-2025.toml", include_str!("../../workflows/calendars/russia-2025.toml")),
    ("russia-2026.toml", include_str!("../../workflows/calendars/russia-2026.toml")),
    ("russia-2027.toml", include_str!("../../workflows/calendars/russia-2027.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn russia() -> Calendar {
        Calendar::parse(&RUSSIA).unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Counts the working days of the months `first` to `last` of a year.
    fn in_months(year: i32, first: u32, last: u32) -> u32 {
        let calendar = russia();
        NaiveDate::from_ymd_opt(year, first, 1)
            .unwrap()
            .iter_days()
            .take_while(|d| d.year() == year && d.month() <= last)
            .map(|d| u32::from(calendar.is_working_day(d).unwrap()))
            .sum()
    }

    #[test]
    fn the_shipped_calendars_name_country_years_and_what_is_provisional() {
        let calendar = russia();
        assert_eq!(calendar.country().as_str(), "RUS");
        assert_eq!(calendar.years().collect::<Vec<_>>(), [2024, 2025, 2026, 2027]);
        assert_eq!(calendar.is_provisional(2026), Ok(false));
        assert_eq!(calendar.is_provisional(2027), Ok(true));
        assert_eq!(calendar.is_provisional(2028), Err(MissingYear { year: 2028 }));
    }

    #[test]
    fn the_working_days_of_each_year_are_those_published() {
        for (year, expected) in [(2024, 248), (2025, 247), (2026, 247)] {
            assert_eq!(in_months(year, 1, 12), expected, "{year}");
        }
    }

    #[test]
    fn the_working_days_of_each_quarter_are_those_published() {
        for (year, expected) in [(2025, [58, 59, 66, 64]), (2026, [55, 62, 66, 64])] {
            let quarters = [1, 4, 7, 10].map(|first| in_months(year, first, first + 2));
            assert_eq!(quarters, expected, "{year}");
        }
    }

    #[test]
    fn terms_in_working_days_end_on_the_days_reckoned_by_hand() {
        let calendar = russia();
        for (start, n, end) in [
            ("2025-04-25", 10, "2025-05-15"),
            ("2025-10-29", 3, "2025-11-01"),
            ("2025-10-31", 10, "2025-11-17"),
            ("2025-12-22", 10, "2026-01-15"),
            ("2025-12-30", 3, "2026-01-14"),
            ("2026-02-18", 10, "2026-03-05"),
            ("2026-04-27", 10, "2026-05-13"),
            ("2026-04-30", 3, "2026-05-06"),
            ("2026-06-08", 14, "2026-06-29"),
            ("2026-10-30", 10, "2026-11-16"),
            ("2024-12-27", 3, "2025-01-10"),
        ] {
            let (start, end) = (day(start), day(end));
            assert_eq!(calendar.add_working_days(start, n), Ok(end), "{start} + {n}");
            assert_eq!(calendar.working_days_between(start, end), Ok(n), "{start} to {end}");
        }
    }

    #[test]
    fn every_kind_of_day_is_told_apart() {
        let calendar = russia();
        for (date, kind) in [
            ("2025-10-31", DayKind::Working),
            ("2025-11-01", DayKind::WorkingWeekend),
            ("2025-11-02", DayKind::Weekend),
            ("2025-11-03", DayKind::Holiday),
        ] {
            assert_eq!(calendar.day_kind(day(date)), Ok(kind), "{date}");
        }
    }

    #[test]
    fn a_day_outside_the_years_loaded_is_an_error_that_names_the_year() {
        let calendar = russia();
        assert_eq!(calendar.day_kind(day("2023-12-31")), Err(MissingYear { year: 2023 }));
        let missing = calendar.add_working_days(day("2027-12-30"), 5).unwrap_err();
        assert_eq!(missing, MissingYear { year: 2028 });
        assert!(missing.to_string().contains("2028"));
        assert!(calendar.working_days_between(day("2027-12-30"), day("2028-01-01")).is_err());
        assert!(calendar.add_working_days(NaiveDate::MAX, 1).is_err());
    }

    #[test]
    fn the_days_that_another_version_changes_are_listed() {
        let before = russia();
        let mut files = RUSSIA;
        let text = RUSSIA[2]
            .1
            .replace("2026-06-12,", "2026-06-11,")
            .replace("working_weekends = []", "working_weekends = [2026-06-20]");
        let text = text.replace("working_days = 247", "working_days = 248");
        files[2].1 = &text;
        let after = Calendar::parse(&files).unwrap();
        let changed: Vec<_> = before
            .changed_days(&after, 2026)
            .into_iter()
            .map(|day| (day.date.to_string(), day.before, day.after))
            .collect();
        assert_eq!(
            changed,
            [
                ("2026-06-11".to_owned(), DayKind::Working, DayKind::Holiday),
                ("2026-06-12".to_owned(), DayKind::Holiday, DayKind::Working),
                ("2026-06-20".to_owned(), DayKind::Weekend, DayKind::WorkingWeekend),
            ]
        );
        assert_eq!(before.changed_days(&after, 2025), []);
        assert_eq!(before.changed_days(&after, 2031), []);
        let heading = Calendar::heading(&text).unwrap();
        assert_eq!((heading.country.as_str(), heading.year), ("RUS", 2026));
        assert_eq!(Calendar::heading("year = 2026"), None);
    }

    #[test]
    fn no_working_days_lie_between_a_day_and_itself_or_an_earlier_one() {
        let calendar = russia();
        let date = day("2025-10-31");
        assert_eq!(calendar.add_working_days(date, 0), Ok(date));
        assert_eq!(calendar.working_days_between(date, date), Ok(0));
        assert_eq!(calendar.working_days_between(date, day("2025-10-01")), Ok(0));
    }
}
