//! Papers that the office prints: the permit, and the letter that tells a decision. Pure: words and pictures come in, a PDF
//! goes out, and the same input gives the same bytes.
//!
//! What is printed is Russian first, then the holder's language. [`PermitPaper`] and [`DecisionLetter`] say what stands on
//! them, `sheet` how it is set. Which event calls for a paper is [`crate::domain::paper`]'s, who makes and keeps it
//! `worker::papers`'.

mod letter;
mod permit;
mod sheet;

pub use letter::{DecisionLetter, Outcome};
pub use permit::PermitPaper;

use chrono::NaiveDate;
use fluent_bundle::FluentArgs;

use crate::error::Result;
use crate::notify::texts::{Language, Texts};

/// The wording by language.
const FILES: [(&str, &str); 2] =
    [("en", include_str!("papers/texts/en.ftl")), ("ru", include_str!("papers/texts/ru.ftl"))];

/// The language that comes first on every paper.
const OFFICIAL: &str = "ru";

/// Prints papers. Making one reads its texts; keep it.
#[derive(Debug)]
pub struct Printer {
    texts: Texts,
}

impl Printer {
    /// Makes a printer.
    ///
    /// # Errors
    /// [`crate::error::Error::Internal`] when the texts in the binary are broken.
    pub fn new() -> Result<Self> {
        Ok(Self { texts: Texts::read(FILES)? })
    }

    /// Prints a permit.
    ///
    /// # Errors
    /// [`crate::error::Error::Internal`] when a text is missing or a picture or the QR's text cannot be set.
    pub fn permit(&self, paper: &PermitPaper) -> Result<Vec<u8>> {
        permit::print(paper, &self.words(&paper.language))
    }

    /// Prints a letter.
    ///
    /// # Errors
    /// As [`Printer::permit`].
    pub fn letter(&self, letter: &DecisionLetter) -> Result<Vec<u8>> {
        letter::print(letter, &self.words(&letter.language))
    }

    fn words(&self, language: &str) -> Words<'_> {
        let (official, own) = (self.texts.language(OFFICIAL), self.texts.language(language));
        Words { official, own: (own.name != official.name).then_some(own) }
    }
}

/// The wording of a paper: Russian, and the holder's language where it is another.
struct Words<'t> {
    official: Language<'t>,
    own: Option<Language<'t>>,
}

impl Words<'_> {
    /// Gives a text in Russian, and in the holder's language where it is another.
    fn both(&self, key: &str) -> Result<(String, Option<String>)> {
        self.both_with(key, &FluentArgs::new())
    }

    fn both_with(&self, key: &str, args: &FluentArgs<'_>) -> Result<(String, Option<String>)> {
        let own = self.own.as_ref().map(|own| own.text(key, args)).transpose()?;
        Ok((self.official.text(key, args)?, own))
    }

    /// Gives a text as one line: `Дата рождения / Date of birth`.
    fn line(&self, key: &str) -> Result<String> {
        Ok(joined(self.both(key)?))
    }
}

fn joined((official, own): (String, Option<String>)) -> String {
    own.map_or(official.clone(), |own| format!("{official} / {own}"))
}

/// Writes a day as documents do, which needs no language: `02.03.2026`.
fn day(date: NaiveDate) -> String {
    date.format("%d.%m.%Y").to_string()
}

/// What a paper says in Russian and in the holder's language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bilingual {
    /// In Russian.
    pub official: String,
    /// In the holder's language; the same where that is Russian.
    pub own: String,
}

impl Bilingual {
    /// Gives both, the second only where it differs.
    fn pair(&self) -> (String, Option<String>) {
        (self.official.clone(), (self.own != self.official).then(|| self.own.clone()))
    }
}

#[cfg(test)]
mod tests;
