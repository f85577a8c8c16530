//! Where and when no permits are issued, and which activities are barred to their holders, read from
//! `workflows/restrictions.toml`.
//!
//! Each holds from its first day up to and including its last. What follows from it is decided by the guards
//! `issuingNotStopped` and `activityNotBanned` of a definition.

use chrono::NaiveDate;
use serde::Serialize;

use super::rates::confidence;
use crate::domain::ground::Confidence;
use crate::domain::identity::Okved;
use crate::domain::workflow::definition::{LANGUAGES, Texts};
use crate::domain::workflow::source::table::{Reading, Section, advice};
use crate::domain::workflow::source::{Problem, Rule};

/// Says that the permits of a track are not issued in a region for a time (for patents: MVD order 828 of 1 November 2017).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The track.
    pub track: String,
    /// Code of the federal subject.
    pub region: String,
    /// The days.
    pub days: Days,
    /// Why, by language.
    pub reason: Texts,
    /// The act that says so.
    pub basis: String,
    /// How sure that is.
    pub confidence: Confidence,
    #[serde(skip)]
    line: usize,
}

/// Says that holders of permits may not be hired for an activity in a region for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// Code of the federal subject.
    pub region: String,
    /// The activity; what is a part of it is barred, too.
    pub okved: Okved,
    /// The days.
    pub days: Days,
    /// The act that says so.
    pub basis: String,
    /// How sure that is.
    pub confidence: Confidence,
    #[serde(skip)]
    line: usize,
}

/// The days on which a restriction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The last; `None` until somebody says which.
    pub to: Option<NaiveDate>,
}

impl Days {
    /// Tells whether a day is one of them.
    #[must_use]
    pub fn contain(self, day: NaiveDate) -> bool {
        self.from <= day && self.to.is_none_or(|last| day <= last)
    }

    fn meet(self, other: Self) -> bool {
        self.to.is_none_or(|last| other.from <= last)
            && other.to.is_none_or(|last| self.from <= last)
    }
}

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to {
            Some(to) => write!(f, "from {} to {to}", self.from),
            None => write!(f, "from {} on", self.from),
        }
    }
}

/// Holds the restrictions of an office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restrictions {
    stops: Vec<Stop>,
    bans: Vec<Ban>,
}

impl Restrictions {
    /// Reads restrictions from TOML; `file` names it in problems.
    ///
    /// # Errors
    ///
    /// Everything wrong with the file: wrong types, codes of the wrong shape, a last day before the first, two entries
    /// that say the same of one day.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (mut reading, document) = Reading::begin(file, text);
        let r = &mut reading;
        let mut found = Self { stops: Vec::new(), bans: Vec::new() };
        if let Some(mut root) = r.section(&document, "the file") {
            for section in root.sections(r, "stop") {
                let stop = stop(r, section);
                let same = |one: &&Stop| (&one.track, &one.region) == (&stop.track, &stop.region);
                let earlier = found.stops.iter().filter(same).find(|one| one.days.meet(stop.days));
                if let Some(earlier) = earlier {
                    let message = format!(
                        "the track \"{}\" is stopped twice on one day in region {} (also in line {})",
                        stop.track, stop.region, earlier.line
                    );
                    r.report(Rule::Syntax, stop.line, message, "let each day have one entry");
                }
                found.stops.push(stop);
            }
            for section in root.sections(r, "ban") {
                let Some(ban) = ban(r, section) else { continue };
                let same = |one: &&Ban| (&one.okved, &one.region) == (&ban.okved, &ban.region);
                let earlier = found.bans.iter().filter(same).find(|one| one.days.meet(ban.days));
                if let Some(earlier) = earlier {
                    let message = format!(
                        "the activity {} is barred twice on one day in region {} (also in line {})",
                        ban.okved, ban.region, earlier.line
                    );
                    r.report(Rule::Syntax, ban.line, message, "let each day have one entry");
                }
                found.bans.push(ban);
            }
            root.finish(r);
        }
        let mut problems = reading.finish();
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    /// Says which stops are of tracks that there are not.
    pub(super) fn unknown_tracks(&self, file: &str, known: &[&str]) -> Vec<Problem> {
        let unknown = self.stops.iter().filter(|one| !known.contains(&one.track.as_str()));
        unknown
            .map(|stop| Problem {
                file: file.to_owned(),
                line: stop.line,
                rule: Rule::W01,
                message: format!("track \"{}\" is not defined", stop.track),
                remedy: advice(&stop.track, known.iter().copied()),
            })
            .collect()
    }

    /// Finds the stop of a track in a region that holds on a day.
    #[must_use]
    pub fn stop(&self, track: &str, region: &str, on: NaiveDate) -> Option<&Stop> {
        self.stops
            .iter()
            .find(|one| one.track == track && one.region == region && one.days.contain(on))
    }

    /// Finds the ban that bars an activity in a region on a day.
    #[must_use]
    pub fn ban(&self, okved: &Okved, region: &str, on: NaiveDate) -> Option<&Ban> {
        let bars = |one: &&Ban| one.region == region && one.days.contain(on);
        self.bans.iter().filter(bars).find(|one| one.okved.covers(okved))
    }

    /// Gives the stops of a track that hold on a day.
    pub fn stops_on<'a>(
        &'a self,
        track: &'a str,
        day: NaiveDate,
    ) -> impl Iterator<Item = &'a Stop> {
        self.stops.iter().filter(move |one| one.track == track && one.days.contain(day))
    }

    /// Gives the bans that hold on a day.
    pub fn bans_on(&self, day: NaiveDate) -> impl Iterator<Item = &Ban> {
        self.bans.iter().filter(move |one| one.days.contain(day))
    }
}

fn stop<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> Stop {
    let stop = Stop {
        track: s.text(r, "track"),
        region: region(r, &mut s),
        days: days(r, &mut s),
        reason: s.texts(r, "reason"),
        basis: basis(r, &mut s),
        confidence: confidence(r, &mut s),
        line: s.line,
    };
    for language in LANGUAGES {
        if stop.reason.get(language).is_none_or(|text| text.trim().is_empty()) {
            let message = format!("the reason of a stop is missing in \"{language}\"");
            r.report(Rule::W12, s.line, message, format!("add the text in \"{language}\""));
        }
    }
    s.finish(r);
    stop
}

fn ban<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> Option<Ban> {
    let region = region(r, &mut s);
    let code = s.text(r, "okved");
    let okved = Okved::parse(&code).ok();
    if okved.is_none() && !code.is_empty() {
        let message = format!("\"{code}\" is no code of an activity");
        r.report(Rule::Syntax, s.line, message, "write it as OKVED 2 does, such as \"47.25\"");
    }
    let days = days(r, &mut s);
    let basis = basis(r, &mut s);
    let confidence = confidence(r, &mut s);
    let line = s.line;
    s.finish(r);
    Some(Ban { region, okved: okved?, days, basis, confidence, line })
}

fn region<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> String {
    let region = s.text(r, "region");
    let sound = region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_digit());
    if !sound && !region.is_empty() {
        let message = format!("\"{region}\" is no code of a region");
        r.report(Rule::Syntax, s.line, message, "write two digits in quotes, such as \"77\"");
    }
    region
}

fn days<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Days {
    let days = Days { from: s.date(r, "from"), to: s.maybe_date(r, "to") };
    if days.to.is_some_and(|to| to < days.from) {
        r.report(Rule::Syntax, s.line, "it ends before it begins", "put `to` after `from`");
    }
    days
}

fn basis<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> String {
    let basis = s.text(r, "basis");
    if basis.trim().is_empty() {
        r.report(Rule::Syntax, s.line, "it names no basis", "name the act in `basis`");
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
[[stop]]
track = \"patent\"
region = \"89\"
from = 2026-03-01
to = 2026-03-31
reason = { en = \"none\", ru = \"нет\" }
basis = \"an order\"
confidence = \"K\"

[[ban]]
region = \"89\"
okved = \"47.2\"
from = 2026-03-01
basis = \"a decree\"
confidence = \"K\"
";

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn first_and_last_day_count_and_the_days_beside_them_do_not() {
        let found = Restrictions::parse("r.toml", TWO).unwrap();
        let stopped = |on| found.stop("patent", "89", day(on)).is_some();
        assert_eq!(
            ["2026-02-28", "2026-03-01", "2026-03-31", "2026-04-01"].map(stopped),
            [false, true, true, false]
        );
        assert!(found.stop("patent", "77", day("2026-03-10")).is_none());
        assert!(found.stop("lottery", "89", day("2026-03-10")).is_none());
        let barred =
            |okved, region, on| found.ban(&Okved::parse(okved).unwrap(), region, day(on)).is_some();
        assert!(barred("47.25.1", "89", "2030-01-01"), "without a last day it goes on");
        assert!(!barred("47.25", "89", "2026-02-28"));
        assert!(!barred("47.3", "89", "2026-03-01"));
        assert!(!barred("47.25", "77", "2026-03-01"));
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let wrong = "\
[[stop]]
track = \"patent\"
region = \"7\"
from = 2026-03-31
to = 2026-03-01
reason = { en = \"none\" }
basis = \" \"
confidence = \"K\"

[[ban]]
region = \"89\"
okved = \"472\"
from = 2026-03-01
basis = \"a decree\"
why = \"so\"
confidence = \"Z\"
";
        let problems = Restrictions::parse("r.toml", wrong).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "r.toml:1: Syntax: \"7\" is no code of a region; write two digits in quotes, such as \"77\"",
                "r.toml:1: Syntax: it ends before it begins; put `to` after `from`",
                "r.toml:1: Syntax: it names no basis; name the act in `basis`",
                "r.toml:1: W12: the reason of a stop is missing in \"ru\"; add the text in \"ru\"",
                "r.toml:10: Syntax: \"472\" is no code of an activity; write it as OKVED 2 does, such as \"47.25\"",
                "r.toml:10: W01: confidence \"Z\" is not defined; did you mean \"C\"?",
                "r.toml:15: Syntax: a [[ban]] has no key `why`; use one of: basis, confidence, from, okved, region, to",
            ]
        );
    }

    #[test]
    fn a_day_has_one_stop_of_a_track_and_one_ban_of_an_activity() {
        let twice = format!("{TWO}{}", TWO.replace("from = 2026-03-01", "from = 2026-03-31"));
        let problems = Restrictions::parse("r.toml", &twice).unwrap_err();
        let told: Vec<_> = problems.iter().map(|one| (one.line, one.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (
                    16,
                    "the track \"patent\" is stopped twice on one day in region 89 (also in line 1)"
                ),
                (25, "the activity 47.2 is barred twice on one day in region 89 (also in line 10)"),
            ]
        );
        let after = TWO.replace("to = 2026-03-31", "to = 2026-04-30");
        let after = after.split("[[ban]]").next().unwrap();
        let after = after.replace("from = 2026-03-01", "from = 2026-04-01");
        assert!(Restrictions::parse("r.toml", &format!("{TWO}{after}")).is_ok());
    }
}
