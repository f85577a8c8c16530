//! Reads and refuses calendar files. The form of a file is that of `workflows/calendars/russia-2025.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::{Calendar, Year, is_weekend};
use crate::domain::identity::CountryCode;

/// Says what is wrong with a calendar file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, in one sentence.
    pub message: String,
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
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

pub(super) fn parse(files: &[(&str, &str)]) -> Result<Calendar, Vec<CalendarError>> {
    let mut errors = Vec::new();
    let mut country: Option<CountryCode> = None;
    let mut years = BTreeMap::new();
    for &(name, text) in files {
        let mut reader = Reader { name, text, errors: &mut errors };
        let file: CalendarFile = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                reader.refuse(error.span().map_or(0, |span| span.start), error.message());
                continue;
            }
        };
        let at = file.country.span().start;
        match (CountryCode::parse(file.country.get_ref()), &country) {
            (Ok(code), None) => country = Some(code),
            (Ok(code), Some(first)) if code != *first => {
                reader.refuse(
                    at,
                    format!("country is {code}, but the files before it are of {first}"),
                );
            }
            (Ok(_), Some(_)) => {}
            (Err(error), _) => reader.refuse(at, error.to_string()),
        }
        let year = *file.year.get_ref();
        let calendar = reader.year(&file);
        if years.insert(year, calendar).is_some() {
            reader.refuse(
                file.year.span().start,
                format!("another file has the year {year} already"),
            );
        }
    }
    match country {
        Some(country) if errors.is_empty() => Ok(Calendar { country, years }),
        None if errors.is_empty() => {
            let message = "no calendar file was given".to_owned();
            Err(vec![CalendarError { file: "workflows/calendars".to_owned(), line: 1, message }])
        }
        _ => Err(errors),
    }
}

/// Collects what is wrong with one file.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    errors: &'a mut Vec<CalendarError>,
}

impl Reader<'_> {
    fn refuse(&mut self, offset: usize, message: impl Into<String>) {
        self.errors.push(CalendarError {
            file: self.name.to_owned(),
            line: line_at(self.text, offset),
            message: message.into(),
        });
    }

    fn year(&mut self, file: &CalendarFile) -> Year {
        let year = *file.year.get_ref();
        if NaiveDate::from_yo_opt(year, 1).is_none() {
            self.refuse(file.year.span().start, format!("{year} is no year"));
        }
        if file.source.get_ref().trim().is_empty() {
            self.refuse(file.source.span().start, "source is empty; say where the dates are from");
        }
        if !["C", "W", "D", "K"].contains(&file.confidence.get_ref().as_str()) {
            self.refuse(file.confidence.span().start, "confidence must be C, W, D or K");
        }
        let mut seen = BTreeSet::new();
        let days_off = self.dates(year, &file.days_off, &mut seen);
        let working_weekends = self.dates(year, &file.working_weekends, &mut seen);
        for (date, offset) in &days_off {
            if is_weekend(*date) {
                self.refuse(
                    *offset,
                    format!("{date} in days_off is a weekend, which is off anyway"),
                );
            }
        }
        for (date, offset) in &working_weekends {
            if !is_weekend(*date) {
                self.refuse(*offset, format!("{date} in working_weekends is a weekday"));
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
                self.refuse(stated.span().start, message);
            }
        }
        calendar
    }

    /// Gives the plain dates of `year` in a list with their places, refusing all others and repetitions.
    fn dates(
        &mut self,
        year: i32,
        list: &[Spanned<Datetime>],
        seen: &mut BTreeSet<NaiveDate>,
    ) -> BTreeMap<NaiveDate, usize> {
        let mut dates = BTreeMap::new();
        for entry in list {
            let offset = entry.span().start;
            let Some(date) = plain_date(entry.get_ref()) else {
                self.refuse(offset, format!("{} is no plain date", entry.get_ref()));
                continue;
            };
            if date.year() != year {
                self.refuse(offset, format!("{date} is not in the year {year}"));
            } else if !seen.insert(date) {
                self.refuse(offset, format!("{date} is listed twice"));
            } else {
                dates.insert(date, offset);
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
                "x.toml:6: 2026-01-01 is not in the year 2025",
                "x.toml:8: 2025-01-01 is listed twice",
                "x.toml:10: 2025-01-02T10:00:00 is no plain date",
                "x.toml:9: 2025-01-04 in days_off is a weekend, which is off anyway",
                "x.toml:13: 2025-11-05 in working_weekends is a weekday",
            ]
        );
    }

    #[test]
    fn a_day_both_off_and_worked_is_refused() {
        let text = "year = 2025\ndays_off = [2025-01-01]\nworking_weekends = [2025-01-01]\n";
        assert_eq!(refusals(text), ["x.toml:6: 2025-01-01 is listed twice"]);
    }

    #[test]
    fn a_total_that_does_not_match_is_refused() {
        let text = "year = 2025\nworking_days = 260\ndays_off = []\nworking_weekends = []\n";
        assert_eq!(refusals(text), ["x.toml:5: working_days says 260, but the dates give 261"]);
    }

    #[test]
    fn unknown_and_missing_fields_are_refused() {
        let unknown = refusals("year = 2025\nday_off = []\ndays_off = []\nworking_weekends = []\n");
        assert_eq!(unknown.len(), 1);
        assert!(unknown[0].starts_with("x.toml:5: unknown field `day_off`"), "{unknown:?}");
        let missing = refusals("days_off = []\nworking_weekends = []\n");
        assert_eq!(missing, ["x.toml:1: missing field `year`"]);
    }

    #[test]
    fn broken_toml_is_refused_with_its_line() {
        let broken = refusals("year = 2025\ndays_off = [2025-13-01]\nworking_weekends = []\n");
        assert!(broken[0].starts_with("x.toml:5: "), "{broken:?}");
    }

    #[test]
    fn source_confidence_and_country_are_verified() {
        let text = "country = \"RU\"\nsource = \" \"\nconfidence = \"sure\"\nyear = 2025\n\
                    days_off = []\nworking_weekends = []\n";
        let lines: Vec<usize> =
            parse(&[("x.toml", text)]).unwrap_err().iter().map(|error| error.line).collect();
        assert_eq!(lines, [1, 2, 3]);
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
                "b.toml:1: country is KAZ, but the files before it are of RUS",
                "b.toml:4: another file has the year 2025 already",
            ]
        );
    }

    #[test]
    fn no_files_are_no_calendar() {
        assert!(parse(&[]).is_err());
    }
}
