//! How long an application is kept once it is over, read from `workflows/retention.toml`.
//!
//! What has outlived its term is erased by `casework`, the only one who may; here is when.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};

use crate::domain::permit::add_months;
use crate::domain::workflow::source::table::{Reading, Section};
use crate::domain::workflow::source::{Problem, Rule};

/// What became of an application, as far as its term of retention depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The decision was to grant, whatever became of the permit.
    Granted,
    /// The decision was to refuse, at intake or on the merits.
    Refused,
    /// There was none: withdrawn, not paid in time, or never handed in.
    Undecided,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Granted, Self::Refused, Self::Undecided];

    /// Gives the outcome's name in `retention.toml` and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
        }
    }

    /// Finds an outcome by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// The length of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many years.
    Years(u32),
    /// So many months.
    Months(u32),
}

impl Length {
    /// Gives the length in months.
    #[must_use]
    pub const fn months(self) -> u32 {
        match self {
            Self::Years(years) => years.saturating_mul(12),
            Self::Months(months) => months,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self {
            Self::Years(years) => (years, "year"),
            Self::Months(months) => (months, "month"),
        };
        write!(f, "{count} {unit}{}", if *count == 1 { "" } else { "s" })
    }
}

/// Written as it is read: `5 years`.
impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How long applications of one track and outcome are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Term {
    /// The track.
    pub track: String,
    /// The outcome.
    pub outcome: Outcome,
    /// How long, from the day on which they ended.
    pub length: Length,
    /// Where the length is from.
    pub basis: String,
    /// Whether nobody has confirmed it.
    pub assumption: bool,
    #[serde(skip)]
    line: usize,
}

impl Term {
    /// Gives the first day on which an application that ended on a day may be erased.
    ///
    /// Counted after the Civil Code, Art. 191 and 192: from the next day on, to the end of the day of the same number,
    /// or of the last of a month that has none.
    #[must_use]
    pub fn erasable_from(&self, ended_on: NaiveDate) -> NaiveDate {
        let last = add_months(ended_on, self.length.months());
        last.succ_opt().unwrap_or(last)
    }
}

/// What the term of a closed application is counted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended<'a> {
    /// Its track.
    pub track: &'a str,
    /// What became of it.
    pub outcome: Outcome,
    /// When its last state was entered.
    pub closed_at: DateTime<Utc>,
    /// The last day of the permit's term, if one was issued.
    pub permit_ends_on: Option<NaiveDate>,
    /// Where the days of its unit begin.
    pub time_zone: Tz,
}

impl Ended<'_> {
    /// Gives the day on which it ended: the closing, or the last day of the permit's term where that is later.
    ///
    /// Of a permit that lapsed or was annulled, too, the day printed on it counts: until then somebody may be asked about
    /// it, and later is never too early.
    #[must_use]
    pub fn on(&self) -> NaiveDate {
        let closed_on = self.closed_at.with_timezone(&self.time_zone).date_naive();
        self.permit_ends_on.map_or(closed_on, |ends_on| closed_on.max(ends_on))
    }
}

/// Says that `retention.toml` has no term for a track and outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "There is no term of retention for what is {} on the track '{track}'; an administrator must add it.",
    .outcome.name()
)]
pub struct MissingTerm {
    /// The track.
    pub track: String,
    /// The outcome.
    pub outcome: Outcome,
}

/// Holds the terms of an office, every outcome of every track that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    terms: Vec<Term>,
}

/// Nothing is kept longer than this many years, and nothing for no time at all.
const MAX_YEARS: u32 = 100;

impl Retention {
    /// Reads terms from TOML; `file` names it in problems.
    ///
    /// # Errors
    ///
    /// Everything wrong with the file: wrong types, unknown outcomes, a term given twice, a track that lacks an outcome.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (mut reading, document) = Reading::begin(file, text);
        let mut terms: Vec<Term> = Vec::new();
        if let Some(mut root) = reading.section(&document, "the file") {
            for section in root.sections(&mut reading, "term") {
                let Some(term) = read(&mut reading, section) else { continue };
                match terms.iter().find(|known| known.is_for(&term.track, term.outcome)) {
                    Some(earlier) => {
                        let message = format!(
                            "the term of what is {} on the track \"{}\" is given twice (also in line {})",
                            term.outcome.name(),
                            term.track,
                            earlier.line
                        );
                        reading.report(Rule::W01, term.line, message, "remove one of them");
                    }
                    None => terms.push(term),
                }
            }
            root.finish(&mut reading);
        }
        let mut problems = reading.finish();
        if problems.is_empty() {
            for (index, first) in terms.iter().enumerate() {
                if terms.iter().take(index).all(|earlier| earlier.track != first.track) {
                    problems.extend(lacking(&terms, file, &first.track, first.line));
                }
            }
        }
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(Self { terms }) } else { Err(problems) }
    }

    /// Says what a definition's track lacks in the file; terms of tracks that have none any more stay in use.
    pub(super) fn problems_of(&self, file: &str, track: &str) -> Vec<Problem> {
        lacking(&self.terms, file, track, 1).collect()
    }

    /// Gives every term.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Gives the term of a track and outcome.
    ///
    /// # Errors
    ///
    /// [`MissingTerm`] when there is none: nothing is then erased.
    pub fn term(&self, track: &str, outcome: Outcome) -> Result<&Term, MissingTerm> {
        self.terms
            .iter()
            .find(|term| term.is_for(track, outcome))
            .ok_or_else(|| MissingTerm { track: track.to_owned(), outcome })
    }

    /// Gives the first day, in the time zone of its unit, on which a closed application may be erased.
    ///
    /// # Errors
    ///
    /// [`MissingTerm`] when there is no term for it.
    pub fn erasable_from(&self, ended: &Ended<'_>) -> Result<NaiveDate, MissingTerm> {
        Ok(self.term(ended.track, ended.outcome)?.erasable_from(ended.on()))
    }
}

impl Term {
    fn is_for(&self, track: &str, outcome: Outcome) -> bool {
        self.track == track && self.outcome == outcome
    }
}

/// Names the outcomes for which a track has no term.
fn lacking<'a>(
    terms: &'a [Term],
    file: &'a str,
    track: &'a str,
    line: usize,
) -> impl Iterator<Item = Problem> + 'a {
    Outcome::ALL
        .into_iter()
        .filter(|outcome| !terms.iter().any(|term| term.is_for(track, *outcome)))
        .map(move |outcome| Problem {
            file: file.to_owned(),
            line,
            rule: Rule::W01,
            message: format!(
                "the track \"{track}\" has no term of retention for what is {}",
                outcome.name()
            ),
            remedy: format!("add a [[term]] with outcome = \"{}\"", outcome.name()),
        })
}

fn read<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> Option<Term> {
    let track = s.text(r, "track");
    let name = s.text(r, "outcome");
    let outcome = Outcome::parse(&name);
    if outcome.is_none() && !name.is_empty() {
        r.undefined(s.line, "outcome", &name, Outcome::ALL.map(Outcome::name));
    }
    let length = length(r, &mut s);
    let basis = s.text(r, "basis");
    if basis.trim().is_empty() {
        r.report(Rule::Syntax, s.line, "a term has an empty `basis`", "say where it is from");
    }
    let assumption = s.flag(r, "assumption");
    let line = s.line;
    s.finish(r);
    Some(Term { track, outcome: outcome?, length: length?, basis, assumption, line })
}

fn length<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Option<Length> {
    let mut given = |key: &'static str| {
        let value = s.take(key)?;
        Some((r.number(value, key)?, r.line(value)))
    };
    let (years, months) = (given("years"), given("months"));
    let (length, line) = match (years, months) {
        (Some((years, line)), None) => (Length::Years(years), line),
        (None, Some((months, line))) => (Length::Months(months), line),
        (Some(_), Some((_, line))) => {
            r.report(Rule::Syntax, line, "a term has both `years` and `months`", "remove one");
            return None;
        }
        (None, None) => {
            let remedy = "add `years = …` or `months = …`, a whole number";
            r.report(Rule::Syntax, s.line, "a term has no usable length", remedy);
            return None;
        }
    };
    if !(1..=MAX_YEARS * 12).contains(&length.months()) {
        let message = format!("a term of {length} is none");
        r.report(
            Rule::Syntax,
            line,
            message,
            format!("stay between 1 month and {MAX_YEARS} years"),
        );
        return None;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn of(track: &str, outcome: &str, length: &str) -> String {
        format!(
            "[[term]]\ntrack = \"{track}\"\noutcome = \"{outcome}\"\n{length}\nbasis = \"law\"\n\n"
        )
    }

    fn whole() -> String {
        of("patent", "granted", "years = 5")
            + &of("patent", "refused", "months = 30")
            + &of("patent", "undecided", "years = 1")
    }

    fn ended(outcome: Outcome, closed_at: &str, permit_ends_on: Option<&str>) -> Ended<'static> {
        Ended {
            track: "patent",
            outcome,
            closed_at: closed_at.parse().unwrap(),
            permit_ends_on: permit_ends_on.map(day),
            time_zone: chrono_tz::Asia::Vladivostok,
        }
    }

    #[test]
    fn a_term_counts_from_the_day_of_the_unit_or_from_the_end_of_the_permit() {
        let retention = Retention::parse("r", &whole()).unwrap();
        let from = |ended: &Ended<'_>| retention.erasable_from(ended).unwrap();
        // 15:00 in Greenwich is 01:00 of the next day in Vladivostok.
        let undecided = ended(Outcome::Undecided, "2026-03-10T15:00:00Z", None);
        assert_eq!(from(&undecided), day("2027-03-12"));
        let refused = ended(Outcome::Refused, "2026-03-10T13:59:59Z", None);
        assert_eq!(from(&refused), day("2028-09-11"));
        let lapsed = ended(Outcome::Granted, "2026-05-01T00:00:00Z", Some("2027-02-09"));
        assert_eq!(from(&lapsed), day("2032-02-10"));
        let expired = ended(Outcome::Granted, "2027-02-10T00:00:00Z", Some("2027-02-09"));
        assert_eq!(from(&expired), day("2032-02-11"));
        let never_issued = ended(Outcome::Granted, "2026-05-01T00:00:00Z", None);
        assert_eq!(from(&never_issued), day("2031-05-02"));
    }

    #[test]
    fn a_term_ends_with_the_last_day_of_a_month_that_has_no_such_day() {
        let retention = Retention::parse("r", &whole()).unwrap();
        let leap = ended(Outcome::Granted, "2028-02-29T00:00:00Z", None);
        assert_eq!(retention.erasable_from(&leap).unwrap(), day("2033-03-01"));
        let far = ended(Outcome::Granted, "2026-01-01T00:00:00Z", Some("+262142-12-31"));
        assert_eq!(retention.erasable_from(&far).unwrap(), NaiveDate::MAX);
    }

    #[test]
    fn what_has_no_term_is_missing_and_named() {
        let retention = Retention::parse("r", &whole()).unwrap();
        let elsewhere =
            Ended { track: "lottery", ..ended(Outcome::Granted, "2026-01-01T00:00:00Z", None) };
        assert_eq!(
            retention.erasable_from(&elsewhere).unwrap_err().to_string(),
            "There is no term of retention for what is granted on the track 'lottery'; an administrator must add it."
        );
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "\
[[term]]
track = \"patent\"
outcome = \"grnted\"
years = 5
basis = \"law\"

[[term]]
track = \"patent\"
outcome = \"refused\"
years = 5
months = 6
basis = \"law\"

[[term]]
track = \"patent\"
outcome = \"undecided\"
years = \"one\"
basis = \"law\"

[[term]]
track = \"patent\"
outcome = \"granted\"
months = 0
basis = \" \"
reason = \"none\"
";
        let problems = Retention::parse("r.toml", text).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "r.toml:1: W01: outcome \"grnted\" is not defined; did you mean \"granted\"?",
                "r.toml:11: Syntax: a term has both `years` and `months`; remove one",
                "r.toml:14: Syntax: a term has no usable length; add `years = …` or `months = …`, a whole number",
                "r.toml:17: Syntax: `years` is string; give it a whole number from 0",
                "r.toml:20: Syntax: a term has an empty `basis`; say where it is from",
                "r.toml:23: Syntax: a term of 0 months is none; stay between 1 month and 100 years",
                "r.toml:25: Syntax: a [[term]] has no key `reason`; use one of: assumption, basis, months, outcome, track, years",
            ]
        );
    }

    #[test]
    fn a_track_has_each_outcome_once() {
        let twice = whole()
            + &of("patent", "granted", "years = 3")
            + &of("lottery", "refused", "years = 1");
        let problems = Retention::parse("r.toml", &twice).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "r.toml:19: W01: the term of what is granted on the track \"patent\" is given twice (also in line 1); remove one of them"
        );
        let lacking = whole() + &of("lottery", "refused", "years = 1");
        let problems = Retention::parse("r.toml", &lacking).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "r.toml:19: W01: the track \"lottery\" has no term of retention for what is granted; add a [[term]] with outcome = \"granted\"",
                "r.toml:19: W01: the track \"lottery\" has no term of retention for what is undecided; add a [[term]] with outcome = \"undecided\"",
            ]
        );
    }
}
