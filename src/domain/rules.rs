//! Everything that an office works by and that is data: definitions, rates, payees, grounds, terms of retention,
//! templates, restrictions and the calendar.
//!
//! Reading and proving is here; where the files come from is the caller's business. Amounts are exact: integers
//! and decimals read from text, never floating point.

mod rates;
mod requisites;
pub mod restrictions;
pub mod retention;
pub mod templates;

use std::collections::BTreeSet;

use chrono::NaiveDate;

pub use rates::{MissingRate, Price, Rates, Threshold};
pub use requisites::Payees;

use crate::domain::calendar::{Calendar, CalendarError};
use crate::domain::ground::GroundCatalogue;
use crate::domain::rules::restrictions::Restrictions;
use crate::domain::rules::retention::Retention;
use crate::domain::rules::templates::Templates;
use crate::domain::workflow::definition::Definition;
use crate::domain::workflow::proof;
use crate::domain::workflow::source::{Problem, Rule};

/// A file of rules that is no definition, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its path within `workflows/`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl RuleFile {
    /// Tells whether it is the calendar of a year.
    #[must_use]
    pub fn is_calendar(&self) -> bool {
        self.name.starts_with("calendars/")
    }
}

/// Holds the rules of an office, every one of them proved sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rulebook {
    /// Every version of every track.
    pub definitions: Vec<Definition>,
    /// The text of each definition's file, in the same order.
    pub sources: Vec<String>,
    /// Amounts, coefficients and thresholds by date.
    pub rates: Rates,
    /// Whom charges are paid to.
    pub payees: Payees,
    /// The coded grounds.
    pub grounds: GroundCatalogue,
    /// How long applications are kept once they are over.
    pub retention: Retention,
    /// The words that officers begin with.
    pub templates: Templates,
    /// Where nothing is issued, and what is barred, by date.
    pub restrictions: Restrictions,
    /// The production calendar.
    pub calendar: Calendar,
    /// The files that these were read from: rates, requisites, grounds, retention, templates,
    /// restrictions, calendars.
    pub files: Vec<RuleFile>,
}

impl Rulebook {
    /// Reads and proves a set of files, each a path and its text.
    ///
    /// `rates.toml`, `requisites.toml`, `grounds.toml`, `retention.toml`, `templates.toml` and `restrictions.toml` are what
    /// they are called; what lies in a folder `calendars` is a calendar of one year; every other `*.toml` is a definition. Files that are no TOML are
    /// passed over.
    ///
    /// # Errors
    ///
    /// Everything wrong with any of the files.
    pub fn parse(files: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let (mut rates, mut grounds, mut terms, mut templates) = (None, None, None, None);
        let (mut payees, mut limits) = (None, None);
        let (mut calendars, mut workflows) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".toml")) {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let mut keep = |name: String| kept.push(RuleFile { name, text: text.clone() });
            match name {
                "rates.toml" => rates = Some(Rates::parse(path, text)),
                "requisites.toml" => payees = Some((path.as_str(), Payees::parse(path, text))),
                "grounds.toml" => grounds = Some(GroundCatalogue::parse(path, text)),
                "retention.toml" => terms = Some((path.as_str(), Retention::parse(path, text))),
                "templates.toml" => templates = Some((path.as_str(), Templates::parse(path, text))),
                "restrictions.toml" => {
                    limits = Some((path.as_str(), Restrictions::parse(path, text)));
                }
                _ if folder.rsplit('/').next() == Some("calendars") => {
                    calendars.push((path.as_str(), text.as_str()));
                    keep(format!("calendars/{name}"));
                    continue;
                }
                _ => {
                    workflows.push((path.as_str(), text.as_str()));
                    continue;
                }
            }
            keep(name.to_owned());
        }
        let rates = rates.unwrap_or_else(|| Err(vec![missing("rates.toml")]));
        let rates = keep(rates, &mut problems);
        let grounds = grounds.map_or_else(
            || Err(vec![missing("grounds.toml")]),
            |read| read.map_err(|errors| errors.iter().map(|e| from_sentence(e)).collect()),
        );
        let grounds = keep(grounds, &mut problems);
        let (payees_file, payees) =
            payees.unwrap_or_else(|| ("", Err(vec![missing("requisites.toml")])));
        let payees = keep(payees, &mut problems);
        if let (Some(payees), Some(rates)) = (&payees, &rates) {
            problems.extend(payees.unknown_rates(payees_file, rates));
        }
        let (terms_file, terms) =
            terms.unwrap_or_else(|| ("", Err(vec![missing("retention.toml")])));
        let retention = keep(terms, &mut problems);
        let (templates_file, templates) =
            templates.unwrap_or_else(|| ("", Err(vec![missing("templates.toml")])));
        let templates = keep(templates, &mut problems);
        let (limits_file, limits) =
            limits.unwrap_or_else(|| ("", Err(vec![missing("restrictions.toml")])));
        let restrictions = keep(limits, &mut problems);
        let calendar = if calendars.is_empty() {
            Err(vec![missing("calendars/*.toml")])
        } else {
            Calendar::parse(&calendars).map_err(|errors| {
                let said = |e: &CalendarError| format!("{}: {}", e.mistake.name(), e.message);
                errors.into_iter().map(|e| problem(e.file.clone(), e.line, said(&e))).collect()
            })
        };
        let calendar = keep(calendar, &mut problems);

        let mut definitions: Vec<Definition> = Vec::new();
        let mut sources = Vec::new();
        for (path, text) in workflows {
            let read = match (&rates, &grounds) {
                (Some(rates), Some(grounds)) => proof::read(path, text, rates, grounds),
                // Without both, no proof can be made; what the text itself does wrong can still be said.
                _ => crate::domain::workflow::source::parse(path, text),
            };
            let Some(definition) = keep(read, &mut problems) else { continue };
            if definitions
                .iter()
                .any(|d| d.track == definition.track && d.version == definition.version)
            {
                let Definition { track, version, .. } = &definition;
                problems.push(Problem {
                    file: path.to_owned(),
                    line: 1,
                    rule: Rule::W01,
                    message: format!("track \"{track}\" has its version {version} in two files"),
                    remedy: "give one of them another version".to_owned(),
                });
            }
            if let Some(retention) = &retention
                && definitions.iter().all(|d| d.track != definition.track)
            {
                problems.extend(retention.problems_of(terms_file, &definition.track));
            }
            if let Some(payees) = &payees {
                problems.extend(payees.problems_of(payees_file, &definition));
            }
            if let Some(templates) = &templates {
                problems.extend(templates.problems_of(templates_file, &definition));
            }
            definitions.push(definition);
            sources.push(text.to_owned());
        }
        if let (Some(templates), Some(restrictions), Some(retention)) =
            (&templates, &restrictions, &retention)
        {
            // One definition may be proved by itself; the terms of retention name the tracks of all.
            let terms = retention.terms().iter().map(|term| term.track.as_str());
            let defined = definitions.iter().map(|one| one.track.as_str());
            let tracks: BTreeSet<&str> = defined.chain(terms).collect();
            let tracks: Vec<&str> = tracks.into_iter().collect();
            problems.extend(templates.unknown_tracks(templates_file, &tracks));
            problems.extend(restrictions.unknown_tracks(limits_file, &tracks));
        }
        let parts = (rates, payees, grounds, retention, templates, restrictions, calendar);
        match parts {
            (
                Some(rates),
                Some(payees),
                Some(grounds),
                Some(retention),
                Some(templates),
                Some(restrictions),
                Some(calendar),
            ) if problems.is_empty() => {
                let files = kept;
                Ok(Self {
                    definitions,
                    sources,
                    rates,
                    payees,
                    grounds,
                    retention,
                    templates,
                    restrictions,
                    calendar,
                    files,
                })
            }
            _ => Err(problems),
        }
    }

    /// Gives the same rules with another calendar, read from these files.
    ///
    /// # Errors
    ///
    /// Everything wrong with any of the files.
    pub fn with_calendars(&self, calendars: Vec<RuleFile>) -> Result<Self, Vec<CalendarError>> {
        let texts: Vec<_> =
            calendars.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
        let calendar = Calendar::parse(&texts)?;
        let mut files = self.files.clone();
        files.retain(|file| !file.is_calendar());
        files.extend(calendars);
        Ok(Self { calendar, files, ..self.clone() })
    }

    /// Gives each definition with the text of its file.
    #[must_use]
    pub fn with_sources(&self) -> Vec<(&Definition, &str)> {
        self.definitions.iter().zip(self.sources.iter().map(String::as_str)).collect()
    }

    /// Finds one version of a track.
    #[must_use]
    pub fn definition(&self, track: &str, version: u32) -> Option<&Definition> {
        self.definitions.iter().find(|d| d.track == track && d.version == version)
    }

    /// Finds the version under which an application of a track is opened on a day: the highest in force.
    #[must_use]
    pub fn current(&self, track: &str, on: NaiveDate) -> Option<&Definition> {
        self.definitions
            .iter()
            .filter(|d| d.track == track && d.in_force_from <= on)
            .filter(|d| d.in_force_to.is_none_or(|last| on <= last))
            .max_by_key(|d| d.version)
    }
}

/// Takes the value out of a result, or its problems to the others.
fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

fn missing(file: &str) -> Problem {
    Problem {
        file: format!("workflows/{file}"),
        line: 1,
        rule: Rule::Syntax,
        message: "the file is missing".to_owned(),
        remedy: "add it; workflows/README.md says what it holds".to_owned(),
    }
}

fn problem(file: String, line: usize, message: String) -> Problem {
    let remedy = "put it right as workflows/README.md describes".to_owned();
    Problem { file, line, rule: Rule::Syntax, message, remedy }
}

/// Takes `file:line: sentence` apart.
fn from_sentence(sentence: &str) -> Problem {
    let parts: Vec<&str> = sentence.splitn(3, ':').collect();
    match parts.as_slice() {
        [file, line, message] => {
            let line = line.parse().unwrap_or(1);
            problem((*file).to_owned(), line, message.trim().to_owned())
        }
        _ => problem("workflows/grounds.toml".to_owned(), 1, sentence.to_owned()),
    }
}

#[cfg(test)]
mod tests;
