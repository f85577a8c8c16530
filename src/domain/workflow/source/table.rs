//! Reading TOML so that every mistake is found, not only the first.
//!
//! A [`Reading`] collects problems with the line they stand in; a [`Section`] is one table whose keys are
//! taken one by one, each with its type, and whose left-over keys are mistakes.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Problem, Rule};
use crate::domain::workflow::definition::{LANGUAGES, Texts};

/// A value together with where it stands in the text.
pub(in crate::domain) type Value<'t> = Spanned<DeValue<'t>>;

/// One pass over one file, and what was found wrong on the way.
pub(in crate::domain) struct Reading<'t> {
    file: &'t str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'t> Reading<'t> {
    /// Parses the text as TOML; what the grammar refuses is reported, the rest is there to be read.
    pub(in crate::domain) fn begin(file: &'t str, text: &'t str) -> (Self, Value<'t>) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        let mut reading = Self { file, lines, problems: Vec::new() };
        for error in errors {
            let line = reading.line_at(error.span().map_or(0, |span| span.start));
            reading.report(Rule::Syntax, line, error.message().to_owned(), "write valid TOML");
        }
        let span = document.span();
        (reading, Spanned::new(span, DeValue::Table(document.into_inner())))
    }

    /// Adds a problem.
    pub(in crate::domain) fn report(
        &mut self,
        rule: Rule,
        line: usize,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            rule,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Tells in which line a value begins.
    pub(in crate::domain) fn line(&self, value: &Value<'_>) -> usize {
        self.line_at(value.span().start)
    }

    fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Reports a value of the wrong type.
    pub(in crate::domain) fn wrong_type(&mut self, value: &Value<'_>, name: &str, wanted: &str) {
        let line = self.line(value);
        let found = value.get_ref().type_str();
        self.report(
            Rule::Syntax,
            line,
            format!("`{name}` is {found}"),
            format!("give it {wanted}"),
        );
    }

    /// Reports a name that is none of `known` and says which of them may have been meant.
    pub(in crate::domain) fn undefined<'k>(
        &mut self,
        line: usize,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        self.report(
            Rule::W01,
            line,
            format!("{what} \"{name}\" is not defined"),
            advice(name, known),
        );
    }

    /// Opens a value as a table.
    pub(in crate::domain) fn section<'s>(
        &mut self,
        value: &'s Value<'t>,
        name: &str,
    ) -> Option<Section<'s, 't>> {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(value, name, "a table");
            return None;
        };
        let line = self.line(value);
        Some(Section { table, name: name.to_owned(), line, taken: BTreeSet::new() })
    }

    /// Reads a value as text.
    pub(in crate::domain) fn text(&mut self, value: &Value<'_>, name: &str) -> Option<String> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(value, name, "a text in quotes");
        }
        text.map(str::to_owned)
    }

    /// Reads a value as a whole number from zero.
    pub(in crate::domain) fn number(&mut self, value: &Value<'_>, name: &str) -> Option<u32> {
        let number = integer(value).and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.wrong_type(value, name, "a whole number from 0");
        }
        number
    }

    /// Ends the pass.
    pub(in crate::domain) fn finish(self) -> Vec<Problem> {
        self.problems
    }
}

/// One table being read.
pub(in crate::domain) struct Section<'s, 't> {
    table: &'s DeTable<'t>,
    /// What the table is, for messages.
    pub(in crate::domain) name: String,
    /// The line that begins it.
    pub(in crate::domain) line: usize,
    taken: BTreeSet<&'static str>,
}

impl<'s, 't> Section<'s, 't> {
    /// Takes a key that may be absent.
    pub(in crate::domain) fn take(&mut self, key: &'static str) -> Option<&'s Value<'t>> {
        self.taken.insert(key);
        self.table.get(key)
    }

    /// Takes a key that must be there.
    pub(in crate::domain) fn need(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Option<&'s Value<'t>> {
        let value = self.take(key);
        if value.is_none() {
            let message = format!("{} has no `{key}`", self.name);
            reading.report(Rule::Syntax, self.line, message, format!("add `{key} = …`"));
        }
        value
    }

    /// Reads a text that must be there.
    pub(in crate::domain) fn text(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> String {
        self.need(reading, key).and_then(|value| reading.text(value, key)).unwrap_or_default()
    }

    /// Reads a text that may be absent.
    pub(in crate::domain) fn maybe_text(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Option<String> {
        self.take(key).and_then(|value| reading.text(value, key))
    }

    /// Reads a whole number that must be there.
    pub(in crate::domain) fn number(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> u32 {
        self.need(reading, key).and_then(|value| reading.number(value, key)).unwrap_or_default()
    }

    /// Reads an integer that must be there and is not negative.
    pub(in crate::domain) fn amount(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> i64 {
        let Some(value) = self.need(reading, key) else { return 0 };
        let amount = integer(value).filter(|amount| *amount >= 0);
        if amount.is_none() {
            reading.wrong_type(value, key, "a whole number of kopecks from 0");
        }
        amount.unwrap_or_default()
    }

    /// Reads a truth value; absent means false.
    pub(in crate::domain) fn flag(&mut self, reading: &mut Reading<'t>, key: &'static str) -> bool {
        let Some(value) = self.take(key) else { return false };
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            reading.wrong_type(value, key, "`true` or `false`");
        }
        flag.unwrap_or_default()
    }

    /// Reads a date that may be absent.
    pub(in crate::domain) fn maybe_date(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Option<NaiveDate> {
        let value = self.take(key)?;
        let date = date(value);
        if date.is_none() {
            reading.wrong_type(value, key, "a date such as 2025-09-01, without quotes");
        }
        date
    }

    /// Reads a date that must be there.
    pub(in crate::domain) fn date(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> NaiveDate {
        if self.need(reading, key).is_none() {
            return NaiveDate::default();
        }
        self.maybe_date(reading, key).unwrap_or_default()
    }

    /// Reads the items of a list; absent means none.
    pub(in crate::domain) fn list(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Vec<&'s Value<'t>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            reading.wrong_type(value, key, "a list in brackets");
            return Vec::new();
        };
        items.iter().collect()
    }

    /// Reads a list of texts, each with its line.
    pub(in crate::domain) fn texts_in_list(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Vec<(String, usize)> {
        let mut texts = Vec::new();
        for value in self.list(reading, key) {
            if let Some(text) = reading.text(value, key) {
                texts.push((text, reading.line(value)));
            }
        }
        texts
    }

    /// Reads the tables of `[[key]]`.
    pub(in crate::domain) fn sections(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Vec<Section<'s, 't>> {
        let mut sections = Vec::new();
        for value in self.list(reading, key) {
            sections.extend(reading.section(value, &format!("a [[{key}]]")));
        }
        sections
    }

    /// Reads a text in several languages; rule W12 asks later whether any is missing.
    pub(in crate::domain) fn texts(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Texts {
        let Some(value) = self.take(key) else { return Texts::new() };
        let Some(mut section) = reading.section(value, key) else { return Texts::new() };
        let mut texts = Texts::new();
        for language in LANGUAGES {
            if let Some(text) = section.maybe_text(reading, language) {
                texts.insert(language.to_owned(), text);
            }
        }
        section.finish(reading);
        texts
    }

    /// Goes through every key with its value, taken or not.
    pub(in crate::domain) fn entries(&self) -> impl Iterator<Item = (&'s str, &'s Value<'t>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), value))
    }

    /// Reports every key that nobody took.
    pub(in crate::domain) fn finish(self, reading: &mut Reading<'t>) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if !self.taken.contains(name) {
                let line = reading.line_at(key.span().start);
                let message = format!("{} has no key `{name}`", self.name);
                reading.report(
                    Rule::Syntax,
                    line,
                    message,
                    advice(name, self.taken.iter().copied()),
                );
            }
        }
    }
}

/// Gives an integer of any radix.
fn integer(value: &Value<'_>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Gives a date that has no time.
fn date(value: &Value<'_>) -> Option<NaiveDate> {
    let datetime = value.get_ref().as_datetime()?;
    if datetime.time.is_some() || datetime.offset.is_some() {
        return None;
    }
    let date = datetime.date?;
    NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))
}

/// Says what to write instead of `name`: the nearest of `known`, or all of them.
pub(in crate::domain) fn advice<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known.iter().min_by_key(|candidate| distance(name, candidate));
    match nearest {
        Some(near) if distance(name, near) <= near.chars().count().div_ceil(3) => {
            format!("did you mean \"{near}\"?")
        }
        Some(_) => format!("use one of: {}", known.join(", ")),
        None => "remove it".to_owned(),
    }
}

/// Counts the letters to insert, delete or replace to turn `a` into `b` (Levenshtein), ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let Some(above) = row.get_mut(j + 1) else { continue };
            let cost = (diagonal + usize::from(x != *y)).min(*above + 1).min(left + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_named_and_a_far_one_lists_what_there_is() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(advice("stopClok", ["startClock", "stopClock"]), "did you mean \"stopClock\"?");
        assert_eq!(advice("sing", ["startClock", "grant"]), "use one of: startClock, grant");
    }
}
