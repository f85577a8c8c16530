//! The wording that officers begin with when they say no or ask for something, read from `workflows/templates.toml`.
//!
//! A template is filled once and in one pass: what stands in for a placeholder is never looked at for placeholders
//! itself. The result is a proposal for an officer to read, change and send as the reason of a command; nothing is
//! decided here.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;

use super::Rulebook;
use crate::domain::application::Application;
use crate::domain::form::Person;
use crate::domain::ground::GroundCode;
use crate::domain::workflow::definition::{CommandName, Definition, LANGUAGES, Texts};
use crate::domain::workflow::engine::Unit;
use crate::domain::workflow::source::table::{Reading, Section, Value, advice};
use crate::domain::workflow::source::{Problem, Rule};

/// The commands that carry words for the applicant, and how many characters they take.
const WORDED: [(CommandName, usize); 4] = [
    (CommandName::RefuseIntake, 2000),
    (CommandName::RequestInformation, 1000),
    (CommandName::Refuse, 2000),
    (CommandName::ProposeAnnulment, 2000),
];

/// What stands before the name of a value that the officer fills in.
const FREE: &str = "free:";

/// How long a name of such a value may be.
const MAX_LABEL: usize = 30;

/// What a template has in the place of words that differ from case to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// The application's public reference.
    Reference,
    /// The worker's full name.
    PersonName,
    /// The name of the office.
    Unit,
    /// The date by which the law promises a decision; missing before acceptance and while the clock stands still.
    DueOn,
    /// The grounds that the officer names, each with its wording.
    Grounds,
    /// The checks whose answer stands in the way of a grant.
    Checks,
    /// The office's date today.
    Today,
    /// What the officer writes under this name.
    Free(String),
}

impl Placeholder {
    /// Every placeholder that the case itself fills.
    const KNOWN: [(&'static str, Self); 7] = [
        ("reference", Self::Reference),
        ("personName", Self::PersonName),
        ("unit", Self::Unit),
        ("dueOn", Self::DueOn),
        ("grounds", Self::Grounds),
        ("checks", Self::Checks),
        ("today", Self::Today),
    ];

    fn parse(name: &str) -> Option<Self> {
        if let Some(label) = name.strip_prefix(FREE) {
            let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let begins = label.starts_with(|first: char| first.is_ascii_lowercase());
            return (letters && begins && label.len() <= MAX_LABEL)
                .then(|| Self::Free(label.to_owned()));
        }
        Self::KNOWN.into_iter().find(|(known, _)| *known == name).map(|(_, one)| one)
    }
}

/// Written as in the file, without its braces: `personName`, `free:document`.
impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Free(label) = self {
            return write!(f, "{FREE}{label}");
        }
        let name = Self::KNOWN.iter().find(|(_, known)| known == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Place(Placeholder),
}

/// The text of a template in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<Piece>);

impl Pattern {
    /// Takes a text apart, or says what is wrong with it and how to mend it.
    fn parse(text: &str) -> Result<Self, (String, String)> {
        let mut pieces = Vec::new();
        let mut rest = text.trim();
        let stray = |brace: char| {
            let remedy = "write placeholders as {name}; braces stand for nothing else".to_owned();
            (format!("a text has a stray `{brace}`"), remedy)
        };
        while let Some(at) = rest.find(['{', '}']) {
            let (words, found) = rest.split_at(at);
            if !words.is_empty() {
                pieces.push(Piece::Words(words.to_owned()));
            }
            let Some(inner) = found.strip_prefix('{') else { return Err(stray('}')) };
            let (name, after) = inner.split_once('}').ok_or_else(|| stray('{'))?;
            let place = Placeholder::parse(name).ok_or_else(|| {
                let known = Placeholder::KNOWN.iter().map(|(known, _)| *known);
                (
                    format!("placeholder \"{name}\" is not defined"),
                    advice(name, known.chain(["free:label"])),
                )
            })?;
            pieces.push(Piece::Place(place));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Words(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    fn places(&self) -> Vec<Placeholder> {
        let mut places: Vec<Placeholder> = Vec::new();
        for piece in &self.0 {
            if let Piece::Place(place) = piece
                && !places.contains(place)
            {
                places.push(place.clone());
            }
        }
        places
    }

    fn words(&self) -> usize {
        let words = self.0.iter().map(|piece| match piece {
            Piece::Words(words) => words.chars().count(),
            Piece::Place(_) => 0,
        });
        words.sum()
    }
}

/// The texts in which a pattern is written out, as they stand in the file.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Words(words) => f.write_str(words),
            Piece::Place(place) => write!(f, "{{{place}}}"),
        })
    }
}

/// Words to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name: `refusal`.
    pub id: String,
    /// The commands that it is for; never empty.
    pub commands: Vec<CommandName>,
    /// The tracks that it is for; never empty.
    pub tracks: Vec<String>,
    /// What officers choose it by, in every language.
    pub title: Texts,
    patterns: BTreeMap<String, Pattern>,
    line: usize,
}

/// A template filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text; what is missing stands in it as it does in the file, in braces.
    pub text: String,
    /// What could not be filled, each once, in the order of the text.
    pub missing: Vec<String>,
}

/// What a template is filled from.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// The case.
    pub application: &'a Application,
    /// The definition that it is pinned to.
    pub definition: &'a Definition,
    /// Its office.
    pub unit: &'a Unit,
    /// The rules: the wording of grounds.
    pub rules: &'a Rulebook,
    /// The office's date today.
    pub today: NaiveDate,
    /// The grounds that the officer names.
    pub grounds: &'a [GroundCode],
    /// What the officer writes, by name.
    pub values: &'a BTreeMap<String, String>,
}

impl Filling<'_> {
    fn value(&self, place: &Placeholder, language: &str) -> Option<String> {
        match place {
            Placeholder::Reference => Some(self.application.reference.to_string()),
            Placeholder::PersonName => self.application.form.person.as_ref().map(Person::full_name),
            Placeholder::Unit => Some(self.unit.title.clone()),
            Placeholder::DueOn => {
                let clock = self.application.clock.as_ref();
                let runs = clock.is_some_and(|clock| clock.stopped_on.is_none());
                self.application.due_on.filter(|_| runs).map(|due| date(due, language))
            }
            Placeholder::Grounds => listed(self.grounds.iter().map(|code| {
                let wording = self.rules.grounds.wording(code, language).unwrap_or_default();
                format!("{code}: {wording}")
            })),
            Placeholder::Checks => listed(self.blocking_checks(language)),
            Placeholder::Today => Some(date(self.today, language)),
            Placeholder::Free(label) => self.values.get(label).cloned(),
        }
    }

    /// Names what stands in the way of a grant: what was asked, and the coded reason. What officers noted is for them.
    fn blocking_checks(&self, language: &str) -> impl Iterator<Item = String> {
        self.application.checks.iter().filter_map(move |check| {
            let rule = self.definition.check(&check.id)?;
            check.stands_in_the_way(rule)?;
            let title = rule.title.get(language)?;
            let reason = check.finding.as_ref()?.reason.as_deref().and_then(|id| rule.reason(id));
            let reason = reason.and_then(|reason| reason.title.get(language));
            Some(reason.map_or_else(|| title.clone(), |reason| format!("{title} {reason}")))
        })
    }
}

/// Writes items one a line; `None` when there are none.
fn listed(items: impl Iterator<Item = String>) -> Option<String> {
    let items: Vec<String> = items.map(|item| format!("- {item}")).collect();
    (!items.is_empty()).then(|| items.join("\n"))
}

fn date(date: NaiveDate, language: &str) -> String {
    let format = if language == "ru" { "%d.%m.%Y" } else { "%-d %B %Y" };
    date.format(format).to_string()
}

impl Template {
    /// Gives the text in a language as it stands in the file; empty where there is no such language.
    #[must_use]
    pub fn text(&self, language: &str) -> String {
        self.patterns.get(language).map(ToString::to_string).unwrap_or_default()
    }

    /// Gives the placeholders, each once, in the order of the English text.
    #[must_use]
    pub fn placeholders(&self) -> Vec<Placeholder> {
        self.patterns.get("en").map(Pattern::places).unwrap_or_default()
    }

    /// Tells whether it is for a track and, if one is named, a command.
    #[must_use]
    pub fn is_for(&self, track: &str, command: Option<CommandName>) -> bool {
        self.tracks.iter().any(|known| known == track)
            && command.is_none_or(|command| self.commands.contains(&command))
    }

    /// Writes the text in a language of [`LANGUAGES`] with what the case and the officer give.
    #[must_use]
    pub fn fill(&self, filling: &Filling<'_>, language: &str) -> Filled {
        let mut filled = Filled { text: String::new(), missing: Vec::new() };
        let pieces = self.patterns.get(language).map_or(&[][..], |pattern| &pattern.0);
        for piece in pieces {
            match piece {
                Piece::Words(words) => filled.text.push_str(words),
                Piece::Place(place) => match filling.value(place, language) {
                    Some(value) => filled.text.push_str(&value),
                    None => {
                        let name = place.to_string();
                        filled.text.push_str(&format!("{{{name}}}"));
                        if !filled.missing.contains(&name) {
                            filled.missing.push(name);
                        }
                    }
                },
            }
        }
        filled
    }
}

/// Holds the templates of an office in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates(Vec<Template>);

impl Templates {
    /// Reads templates from TOML; `file` names it in problems.
    ///
    /// # Errors
    ///
    /// Everything wrong with the file: unknown commands and placeholders, a name given twice, a language that is missing or
    /// has other placeholders than the others, words that no command takes.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (mut reading, document) = Reading::begin(file, text);
        let mut templates: Vec<Template> = Vec::new();
        if let Some(mut root) = reading.section(&document, "the file") {
            for section in root.sections(&mut reading, "template") {
                let Some(template) = read(&mut reading, section) else { continue };
                match templates.iter().find(|known| known.id == template.id) {
                    Some(earlier) => {
                        let message = format!(
                            "the template \"{}\" is given twice (also in line {})",
                            template.id, earlier.line
                        );
                        reading.report(Rule::W01, template.line, message, "rename one of them");
                    }
                    None => templates.push(template),
                }
            }
            root.finish(&mut reading);
        }
        let mut problems = reading.finish();
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(Self(templates)) } else { Err(problems) }
    }

    /// Says which tracks are none of `known`.
    pub(super) fn unknown_tracks(&self, file: &str, known: &[&str]) -> Vec<Problem> {
        let named = self.0.iter().flat_map(|one| one.tracks.iter().map(move |track| (one, track)));
        named
            .filter(|(_, track)| !known.contains(&track.as_str()))
            .map(|(template, track)| {
                let message = format!("track \"{track}\" is not defined");
                template.problem(file, message, advice(track, known.iter().copied()))
            })
            .collect()
    }

    /// Says which templates are for a command that the definition of their track does not have.
    pub(super) fn problems_of(&self, file: &str, definition: &Definition) -> Vec<Problem> {
        let of_track = self.0.iter().filter(|one| one.is_for(&definition.track, None));
        let commands = of_track.flat_map(|one| one.commands.iter().map(move |name| (one, name)));
        commands
            .filter(|(_, name)| definition.transitions.iter().all(|one| one.command != **name))
            .map(|(template, name)| {
                let message = format!(
                    "the template \"{}\" is for '{}', which version {} of the track \"{}\" does not have",
                    template.id,
                    name.name(),
                    definition.version,
                    definition.track
                );
                template.problem(file, message, "remove the command or the track".to_owned())
            })
            .collect()
    }

    /// Goes through the templates in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.0.iter()
    }

    /// Finds a template by its name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Template> {
        self.0.iter().find(|template| template.id == id)
    }
}

impl Template {
    fn problem(&self, file: &str, message: String, remedy: String) -> Problem {
        Problem { file: file.to_owned(), line: self.line, rule: Rule::W01, message, remedy }
    }
}

fn read<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> Option<Template> {
    let line = s.line;
    let id = s.text(r, "id");
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.is_empty() || id.len() > 60 || !id.bytes().all(kebab) {
        let remedy = "use 1 to 60 lower-case letters, digits and hyphens";
        r.report(Rule::Syntax, line, format!("\"{id}\" is no name of a template"), remedy);
    }
    let commands = commands(r, &mut s);
    let tracks: Vec<String> =
        s.texts_in_list(r, "tracks").into_iter().map(|(track, _)| track).collect();
    if tracks.is_empty() {
        r.report(Rule::Syntax, line, "a template is for no track", "add `tracks = […]`");
    }
    let title = spoken(r, &mut s, "title")
        .into_iter()
        .map(|(language, text, _)| (language, text))
        .collect();
    let limit = WORDED.iter().filter(|(name, _)| commands.contains(name)).map(|(_, most)| *most);
    let limit = limit.min().unwrap_or_default();
    let mut patterns: BTreeMap<String, Pattern> = BTreeMap::new();
    let mut first: Option<Vec<Placeholder>> = None;
    for (language, text, line) in spoken(r, &mut s, "text") {
        let pattern = match Pattern::parse(&text) {
            Ok(pattern) => pattern,
            Err((message, remedy)) => {
                r.report(Rule::W01, line, message, remedy);
                continue;
            }
        };
        let mut places = pattern.places();
        if !commands.is_empty() && pattern.words() > limit {
            let message = format!("the text in {language} has more than {limit} characters");
            r.report(Rule::Syntax, line, message, "say it shorter: the command takes no more");
        }
        if commands.contains(&CommandName::RequestInformation)
            && places.contains(&Placeholder::Grounds)
        {
            let message = "'requestInformation' carries no grounds for {grounds}";
            r.report(Rule::W01, line, message, "remove the placeholder or the command");
        }
        places.sort();
        match &first {
            Some(first) if *first != places => {
                let message = format!("the text in {language} has other placeholders");
                let remedy = "say the same in every language, from the same values";
                r.report(Rule::W12, line, message, remedy);
            }
            Some(_) => {}
            None => first = Some(places),
        }
        patterns.insert(language, pattern);
    }
    s.finish(r);
    Some(Template { id, commands, tracks, title, patterns, line })
}

/// Reads the commands that a template is for.
fn commands<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Vec<CommandName> {
    let mut commands = Vec::new();
    let named = s.texts_in_list(r, "commands");
    if named.is_empty() {
        r.report(Rule::Syntax, s.line, "a template is for no command", "add `commands = […]`");
    }
    for (name, line) in named {
        let known = WORDED.iter().find(|(known, _)| known.name() == name);
        match known {
            Some((command, _)) if !commands.contains(command) => commands.push(*command),
            Some(_) => {
                r.report(Rule::W01, line, format!("'{name}' is named twice"), "remove one");
            }
            None => {
                let known = WORDED.iter().map(|(known, _)| known.name());
                r.undefined(line, "command with words for the applicant", &name, known);
            }
        }
    }
    commands
}

/// Reads a text that must be there in every language; gives each with its language and line.
fn spoken<'t>(
    r: &mut Reading<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
) -> Vec<(String, String, usize)> {
    let Some(value) = s.need(r, key) else { return Vec::new() };
    let Some(mut section) = r.section(value, key) else { return Vec::new() };
    let mut texts = Vec::new();
    for language in LANGUAGES {
        let found: Option<&Value<'t>> = section.take(language);
        let text = found.and_then(|value| Some((r.text(value, language)?, r.line(value))));
        match text {
            Some((text, line)) if !text.trim().is_empty() => {
                texts.push((language.to_owned(), text, line));
            }
            _ => {
                let message = format!("a template has no {key} in {language}");
                r.report(Rule::W12, s.line, message, format!("add `{key}.{language} = …`"));
            }
        }
    }
    section.finish(r);
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workflow::embedded::FILES;

    fn of(id: &str, text: &str) -> String {
        format!(
            "[[template]]\nid = \"{id}\"\ncommands = [\"refuse\"]\ntracks = [\"patent\"]\n\
             title = {{ en = \"A\", ru = \"Б\" }}\ntext.en = \"{text}\"\ntext.ru = \"{text}\"\n"
        )
    }

    #[track_caller]
    fn refused(text: &str) -> Vec<String> {
        let problems = Templates::parse("x.toml", text).unwrap_err();
        problems.iter().map(|one| format!("{}: {}", one.line, one.message)).collect()
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_its_file_and_line() {
        let text = of("a", "Of {reference}.") + &of("b", "Of {referense}.");
        let problems = Templates::parse("workflows/templates.toml", &text).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told[0],
            "workflows/templates.toml:13: W01: placeholder \"referense\" is not defined; \
             did you mean \"reference\"?"
        );
        assert_eq!(told.len(), 2, "one for each language");
        for text in ["{free:}", "{free:A}", "{free:a b}", "{ reference }", "{}", "{Reference}"] {
            let told = refused(&of("a", text));
            assert!(told[0].contains("is not defined"), "{text}: {told:?}");
        }
        for text in ["{reference", "reference}", "{{reference}}", "}{"] {
            assert!(!refused(&of("a", text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn everything_else_that_is_wrong_is_named_too() {
        let twice = of("a", "x") + &of("a", "x");
        assert_eq!(refused(&twice), ["8: the template \"a\" is given twice (also in line 1)"]);
        let change = |from: &str, to: &str| refused(&of("a", "{grounds}").replace(from, to));
        assert_eq!(
            change("refuse", "grant"),
            ["3: command with words for the applicant \"grant\" is not defined"]
        );
        assert_eq!(
            change("\"refuse\"", "\"requestInformation\""),
            [
                "6: 'requestInformation' carries no grounds for {grounds}",
                "7: 'requestInformation' carries no grounds for {grounds}"
            ]
        );
        assert_eq!(change("[\"patent\"]", "[]"), ["1: a template is for no track"]);
        assert_eq!(
            change("text.ru = \"{grounds}\"", "text.ru = \"{checks}\""),
            ["7: the text in ru has other placeholders"]
        );
        assert_eq!(change("text.ru = \"{grounds}\"\n", ""), ["1: a template has no text in ru"]);
        assert_eq!(
            change("tracks", "track"),
            ["1: a template is for no track", "4: a [[template]] has no key `track`"]
        );
        let long = of("a", &"x".repeat(2001));
        assert_eq!(refused(&long)[0], "6: the text in en has more than 2000 characters");
    }

    #[test]
    fn the_templates_that_ship_are_for_every_word_on_both_tracks() {
        let (file, text) = FILES.iter().find(|(path, _)| path.ends_with("templates.toml")).unwrap();
        let templates = Templates::parse(file, text).unwrap();
        for track in ["patent", "highly-qualified-specialist"] {
            for (command, _) in WORDED {
                let found = templates.iter().any(|one| one.is_for(track, Some(command)));
                assert!(found, "{track} {}", command.name());
            }
        }
        let visit = templates.get("personal-visit").unwrap();
        assert!(visit.placeholders().iter().any(|one| matches!(one, Placeholder::Free(_))));
    }

    #[test]
    fn a_text_comes_out_as_it_was_written() {
        let text = "Of {reference}, {free:why}.{today}";
        let templates = Templates::parse("x.toml", &of("a", text)).unwrap();
        let template = templates.get("a").unwrap();
        assert_eq!(template.text("en"), text);
        let names: Vec<_> = template.placeholders().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["reference", "free:why", "today"]);
    }
}
