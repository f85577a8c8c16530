//! Reads and refuses calendar files. The form of a file is that of `workflows/calendars/russia-2025.toml`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::{Calendar, Year, is_weekend};
use crate::domain::identity::CountryCode;

/// The years that a calendar can be of.
const YEARS: RangeInclusive<i32> = 1900..=2200;

/// The kinds of mistakes in a calendar file; `workflows/README.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// It is no TOML, or lacks a field, or has one that is not known.
    Unreadable,
    /// Source or confidence do not say where the dates are from.
    NoSource,
    /// It is for another country or year than it should be, or for one that there is twice.
    WrongCountryOrYear,
    /// An entry is no plain date.
    NotADate,
    /// A date lies in another year.
    OutsideTheYear,
    /// A date stands twice in a list.
    ListedTwice,
    /// A Saturday or Sunday stands among the weekdays that are off.
    DayOffOnAWeekend,
    /// A weekday stands among the Saturdays and Sundays that are worked.
    WorkingWeekendOnAWeekday,
    /// A date is said to be off and worked.
    OffAndWorked,
    /// The stated number of working days is not what the dates give.
    WrongTotal,
}

impl Mistake {
    /// Gives the kind's name as people and programs are told it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NoSource => "no-source",
            Self::WrongCountryOrYear => "wrong-country-or-year",
            Self::NotADate => "not-a-date",
            Self::OutsideTheYear => "outside-the-year",
            Self::ListedTwice => "listed-twice",
            Self::DayOffOnAWeekend => "day-off-on-a-weekend",
            Self::WorkingWeekendOnAWeekday => "working-weekend-on-a-weekday",
            Self::OffAndWorked => "off-and-worked",
            Self::WrongTotal => "wrong-total",
        }
    }
}

/// Says what is wrong with a calendar file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// Of what kind the mistake is.
    pub mistake: Mistake,
    /// What is wrong, in one sentence.
    pub message: String,
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.mistake.name(), self.message)
    }
}

impl std::error::Error for CalendarError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    country: Spanned<String>,
    year: Spanned<i32>,
    source: Spanned<String>,
    confidence: Spanned<String>,
    #[serde(default)]
    provisional: bool,
    working_days: Option<Spanned<usize>>,
    days_off: Vec<Spanned<Datetime>>,
    working_weekends: Vec<Spanned<Datetime>>,
}

/// Gives the line of the byte `offset` in `text`, counted from 1.
pub(in crate::domain) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

/// For which country and year a file is, and where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The country.
    pub country: CountryCode,
    /// The line that names it.
    pub country_line: usize,
    /// The year.
    pub year: i32,
    /// The line that names it.
    pub year_line: usize,
    /// Whether it may still change, because its decree is not out.
    pub provisional: bool,
}

/// Reads for which country and year a file is; `None` when it does not say so in a way that can be read.
pub(super) fn heading(text: &str) -> Option<Heading> {
    let file: CalendarFile = toml::from_str(text).ok()?;
    Some(Heading {
        country: CountryCode::parse(file.country.get_ref()).ok()?,
        country_line: line_at(text, file.country.span().start),
        year: *file.year.get_ref(),
        year_line: line_at(text, file.year.span().start),
        provisional: file.provisional,
    })
}

pub(super) fn parse(files: &[(&str, &str)]) -> Result<Calendar, Vec<CalendarError>> {
    let mut errors = Vec::new();
    let mut country: Option<CountryCode> = None;
    let mut years = BTreeMap::new();
    for &(name, text) in files {
        let mut reader = Reader { name, text, errors: &mut errors };
        let file: CalendarFile = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                reader.refuse(offset, Mistake::Unreadable, error.message());
                continue;
            }
        };
        let at = file.country.span().start;
        match (CountryCode::parse(file.country.get_ref()), &country) {
            (Ok(code), None) => country = Some(code),
            (Ok(code), Some(first)) if code != *first => {
                reader.refuse(
                    at,
                    Mistake::WrongCountryOrYear,
                    format!("country is {code}, but the files before it are of {first}"),
                );
            }
            (Ok(_), Some(_)) => {}
            (Err(error), _) => reader.refuse(at, Mistake::WrongCountryOrYear, error.to_string()),
        }
        let year = *file.year.get_ref();
        let calendar = reader.year(&file);
        if years.insert(year, calendar).is_some() {
            reader.refuse(
                file.year.span().start,
                Mistake::WrongCountryOrYear,
                format!("another file has the year {year} already"),
            );
        }
    }
    match country {
        Some(country) if errors.is_empty() => Ok(Calendar { country, years }),
        None if errors.is_empty() => Err(vec![CalendarError {
            file: "workflows/calendars".to_owned(),
            line: 1,
            mistake: Mistake::Unreadable,
            message: "no calendar file was given".to_owned(),
        }]),
        _ => {
            errors.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
            Err(errors)
        }
    }
}

/// Collects what is wrong with one file.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    errors: &'a mut Vec<CalendarError>,
}

impl Reader<'_> {
    fn refuse(&mut self, offset: usize, mistake: Mistake, message: impl Into<String>) {
        self.errors.push(CalendarError {
            file: self.name.to_owned(),
            line: line_at(self.text, offset),
            mistake,
            message: message.into(),
        });
    }

    fn year(&mut self, file: &CalendarFile) -> Year {
        let year = *file.year.get_ref();
        if !YEARS.contains(&year) {
            let offset = file.year.span().start;
            let (first, last) = (YEARS.start(), YEARS.end());
            let message = format!("{year} is no year between {first} and {last}");
            self.refuse(offset, Mistake::WrongCountryOrYear, message);
        }
        if file.source.get_ref().trim().is_empty() {
            let message = "source is empty; say where the dates are from";
            self.refuse(file.source.span().start, Mistake::NoSource, message);
        }
        if !["C", "W", "D", "K"].contains(&file.confidence.get_ref().as_str()) {
            let message = "confidence must be C, W, D or K";
            self.refuse(file.confidence.span().start, Mistake::NoSource, message);
        }
        let days_off = self.dates(year, &file.days_off);
        let working_weekends = self.dates(year, &file.working_weekends);
        for (date, offset) in &working_weekends {
            if days_off.contains_key(date) {
                let message = format!("{date} is in days_off and in working_weekends");
                self.refuse(*offset, Mistake::OffAndWorked, message);
            } else if !is_weekend(*date) {
                let message = format!("{date} in working_weekends is a weekday");
                self.refuse(*offset, Mistake::WorkingWeekendOnAWeekday, message);
            }
        }
        for (date, offset) in &days_off {
            if is_weekend(*date) && !working_weekends.contains_key(date) {
                let message = format!("{date} in days_off is a weekend, which is off anyway");
                self.refuse(*offset, Mistake::DayOffOnAWeekend, message);
            }
        }
        let calendar = Year {
            days_off: days_off.into_keys().collect(),
            working_weekends: working_weekends.into_keys().collect(),
            provisional: file.provisional,
        };
        if let Some(stated) = &file.working_days {
            let counted = NaiveDate::from_yo_opt(year, 1)
                .into_iter()
                .flat_map(|first| first.iter_days().take_while(|date| date.year() == year))
                .filter(|date| calendar.day_kind(*date).is_working())
                .count();
            if counted != *stated.get_ref() {
                let stated_days = stated.get_ref();
                let message =
                    format!("working_days says {stated_days}, but the dates give {counted}");
                self.refuse(stated.span().start, Mistake::WrongTotal, message);
            }
        }
        calendar
    }

    /// Gives the plain dates of `year` in a list with their places, refusing all others and repetitions.
    fn dates(&mut self, year: i32, list: &[Spanned<Datetime>]) -> BTreeMap<NaiveDate, usize> {
        let mut dates = BTreeMap::new();
        for entry in list {
            let offset = entry.span().start;
            let Some(date) = plain_date(entry.get_ref()) else {
                let message = format!("{} is no plain date", entry.get_ref());
                self.refuse(offset, Mistake::NotADate, message);
                continue;
            };
            if date.year() != year {
                let message = format!("{date} is not in the year {year}");
                self.refuse(offset, Mistake::OutsideTheYear, message);
                continue;
            }
            match dates.entry(date) {
                Entry::Occupied(_) => {
                    let message = format!("{date} is listed twice");
                    self.refuse(offset, Mistake::ListedTwice, message);
                }
                Entry::Vacant(free) => {
                    free.insert(offset);
                }
            }
        }
        dates
    }
}

fn plain_date(value: &Datetime) -> Option<NaiveDate> {
    match (value.date, value.time, value.offset) {
        (Some(date), None, None) => {
            NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "country = \"RUS\"\nsource = \"a decree\"\nconfidence = \"C\"\n";

    fn refusals(text: &str) -> Vec<String> {
        let errors = parse(&[("x.toml", &format!("{HEAD}{text}"))]).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wrong_dates_are_refused_each_with_its_line() {
        let text = "year = 2025\ndays_off = [\n2026-01-01,\n2025-01-01,\n2025-01-01,\n2025-01-04,\n\
                    2025-01-02T10:00:00,\n]\nworking_weekends = [\n2025-11-05]\n";
        assert_eq!(
            refusals(text),
            [
                "x.toml:6: outside-the-year: 2026-01-01 is not in the year 2025",
                "x.toml:8: listed-twice: 2025-01-01 is listed twice",
                "x.toml:9: day-off-on-a-weekend: 2025-01-04 in days_off is a weekend, which is off anyway",
                "x.toml:10: not-a-date: 2025-01-02T10:00:00 is no plain date",
                "x.toml:13: working-weekend-on-a-weekday: 2025-11-05 in working_weekends is a weekday",
            ]
        );
    }

    #[test]
    fn a_day_both_off_and_worked_is_refused() {
        let text = "year = 2025\ndays_off = [2025-01-01]\nworking_weekends = [2025-01-01]\n";
        let both = "2025-01-01 is in days_off and in working_weekends";
        assert_eq!(refusals(text), [format!("x.toml:6: off-and-worked: {both}")]);
        let text = "year = 2025\ndays_off = [2025-11-01]\nworking_weekends = [2025-11-01]\n";
        let both = "2025-11-01 is in days_off and in working_weekends";
        assert_eq!(refusals(text), [format!("x.toml:6: off-and-worked: {both}")]);
    }

    #[test]
    fn a_total_that_does_not_match_is_refused() {
        let text = "year = 2025\nworking_days = 260\ndays_off = []\nworking_weekends = []\n";
        assert_eq!(
            refusals(text),
            ["x.toml:5: wrong-total: working_days says 260, but the dates give 261"]
        );
    }

    #[test]
    fn unknown_and_missing_fields_are_refused() {
        let unknown = refusals("year = 2025\nday_off = []\ndays_off = []\nworking_weekends = []\n");
        assert_eq!(unknown.len(), 1);
        assert!(
            unknown[0].starts_with("x.toml:5: unreadable: unknown field `day_off`"),
            "{unknown:?}"
        );
        let missing = refusals("days_off = []\nworking_weekends = []\n");
        assert_eq!(missing, ["x.toml:1: unreadable: missing field `year`"]);
    }

    #[test]
    fn broken_toml_is_refused_with_its_line() {
        let broken = refusals("year = 2025\ndays_off = [2025-13-01]\nworking_weekends = []\n");
        assert!(broken[0].starts_with("x.toml:5: unreadable: "), "{broken:?}");
    }

    #[test]
    fn source_confidence_and_country_are_verified() {
        let text = "country = \"RU\"\nsource = \" \"\nconfidence = \"sure\"\nyear = 2025\n\
                    days_off = []\nworking_weekends = []\n";
        let errors = parse(&[("x.toml", text)]).unwrap_err();
        let found: Vec<_> = errors.iter().map(|one| (one.line, one.mistake)).collect();
        assert_eq!(
            found,
            [(1, Mistake::WrongCountryOrYear), (2, Mistake::NoSource), (3, Mistake::NoSource),]
        );
    }

    #[test]
    fn a_year_given_twice_and_a_second_country_are_refused() {
        let rest = "year = 2025\ndays_off = []\nworking_weekends = []\n";
        let first = format!("{HEAD}{rest}");
        let second = first.replace("RUS", "KAZ");
        let errors = parse(&[("a.toml", &first), ("b.toml", &second)]).unwrap_err();
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "b.toml:1: wrong-country-or-year: country is KAZ, but the files before it are of RUS",
                "b.toml:4: wrong-country-or-year: another file has the year 2025 already",
            ]
        );
    }

    #[test]
    fn no_files_are_no_calendar() {
        assert!(parse(&[]).is_err());
    }
}
