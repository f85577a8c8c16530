//! The wording of messages: Fluent files in the binary, one a language, under `texts/`.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use crate::domain::fee::Money;
use crate::domain::workflow::definition::LANGUAGES;
use crate::error::{Error, Result};

/// The files by language; a test holds them to [`LANGUAGES`] and to each other.
const FILES: [(&str, &str); 2] =
    [("en", include_str!("texts/en.ftl")), ("ru", include_str!("texts/ru.ftl"))];

/// The language of whoever asked for one that is not there.
const FALLBACK: &str = "en";

/// Holds every text in every language.
pub struct Texts {
    bundles: BTreeMap<&'static str, FluentBundle<FluentResource>>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.bundles.keys()).finish()
    }
}

impl Texts {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Internal`] when a file is not Fluent.
    pub fn load() -> Result<Self> {
        Self::read(FILES)
    }

    /// Reads the wording of something else, a file for each language.
    ///
    /// # Errors
    /// As [`Texts::load`].
    pub fn read(files: [(&'static str, &str); LANGUAGES.len()]) -> Result<Self> {
        let mut bundles = BTreeMap::new();
        for (language, source) in files {
            let bad = |what: String| Error::bug(format!("texts/{language}.ftl: {what}"));
            let resource = FluentResource::try_new(source.to_owned())
                .map_err(|(_, errors)| bad(format!("{errors:?}")))?;
            let id: LanguageIdentifier =
                language.parse().map_err(|error| bad(format!("{error:?}")))?;
            let mut bundle = FluentBundle::new_concurrent(vec![id]);
            // The marks that isolate right-to-left text would become part of a copied link or UIN.
            bundle.set_use_isolating(false);
            bundle.add_resource(resource).map_err(|errors| bad(format!("{errors:?}")))?;
            bundles.insert(language, bundle);
        }
        Ok(Self { bundles })
    }

    /// Gives the wording in `language`, or in English where there is no such language.
    #[must_use]
    pub fn language(&self, language: &str) -> Language<'_> {
        let name = LANGUAGES.into_iter().find(|known| *known == language).unwrap_or(FALLBACK);
        Language { name, bundle: self.bundles.get(name) }
    }
}

/// The wording in one language.
#[derive(Clone, Copy)]
pub struct Language<'a> {
    /// The language's code.
    pub name: &'static str,
    bundle: Option<&'a FluentBundle<FluentResource>>,
}

impl Language<'_> {
    /// Gives the text of `key` with its variables filled in.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no such text or a variable is missing.
    pub fn text(&self, key: &str, args: &FluentArgs<'_>) -> Result<String> {
        let bad = |what: &str| Error::bug(format!("texts/{}.ftl: {key}: {what}", self.name));
        let bundle = self.bundle.ok_or_else(|| bad("no such language"))?;
        let pattern = bundle
            .get_message(key)
            .and_then(|message| message.value())
            .ok_or_else(|| bad("no such text"))?;
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(args), &mut errors);
        if !errors.is_empty() {
            return Err(bad(&format!("{errors:?}")));
        }
        Ok(text.into_owned())
    }

    /// Writes a date as people read it: `12 March 2026`.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn date(&self, date: NaiveDate) -> Result<String> {
        let mut args = FluentArgs::new();
        args.set("day", date.day());
        args.set("month", date.month());
        args.set("year", date.year());
        self.text("date", &args)
    }

    /// Writes an amount in roubles and kopecks.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn money(&self, amount: Money) -> Result<String> {
        let separator = self.text("thousands", &FluentArgs::new())?;
        let digits = (amount.kopecks() / 100).to_string();
        let mut roubles = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                roubles.push_str(&separator);
            }
            roubles.push(digit);
        }
        let mut args = FluentArgs::new();
        args.set("roubles", roubles);
        args.set("kopecks", format!("{:02}", amount.kopecks() % 100));
        self.text("money", &args)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Reads the keys of a file and the variables that each uses.
    fn keys(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut current = String::new();
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                current = line.split(' ').next().unwrap().to_owned();
                assert!(keys.insert(current.clone(), BTreeSet::new()).is_none(), "{current} twice");
            }
            for part in line.split('$').skip(1) {
                let name = part.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
                keys.get_mut(&current).unwrap().insert(name.to_owned());
            }
        }
        keys
    }

    #[test]
    fn every_text_exists_in_every_language_with_the_same_variables() {
        assert_eq!(FILES.map(|(language, _)| language), LANGUAGES);
        let (first, rest) = FILES.split_first().unwrap();
        for (language, source) in rest {
            assert_eq!(keys(source), keys(first.1), "{language} and {}", first.0);
        }
        let texts = Texts::load().unwrap();
        for (language, source) in FILES {
            for (key, variables) in keys(source) {
                for count in [0, 1, 2, 5, 21] {
                    let mut args = FluentArgs::new();
                    for variable in &variables {
                        args.set(variable.clone(), count);
                    }
                    let text = texts.language(language).text(&key, &args).unwrap();
                    assert!(!text.trim().is_empty() || key == "thousands", "{language}: {key}");
                }
            }
        }
    }

    #[test]
    fn every_part_of_the_form_has_a_name() {
        let texts = Texts::load().unwrap();
        for (field, _) in crate::domain::form::FIELDS {
            let key = super::super::field_key(field);
            for language in LANGUAGES {
                texts.language(language).text(&key, &FluentArgs::new()).unwrap();
            }
        }
    }

    #[test]
    fn dates_and_amounts_are_written_as_the_language_does() {
        let texts = Texts::load().unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 3, 12).unwrap();
        let amount = Money::from_kopecks(123_456_705).unwrap();
        let small = Money::from_kopecks(99_900).unwrap();
        let english = texts.language("en");
        assert_eq!(english.date(date).unwrap(), "12 March 2026");
        assert_eq!(english.money(amount).unwrap(), "RUB 1,234,567.05");
        assert_eq!(english.money(small).unwrap(), "RUB 999.00");
        let russian = texts.language("ru");
        assert_eq!(russian.date(date).unwrap(), "12 марта 2026 г.");
        assert_eq!(russian.money(amount).unwrap(), "1\u{a0}234\u{a0}567,05 руб.");
        assert_eq!(texts.language("tlh").name, "en");
    }

    #[test]
    fn a_missing_text_or_variable_is_an_error_and_no_half_message() {
        let texts = Texts::load().unwrap();
        assert!(texts.language("en").text("no-such-text", &FluentArgs::new()).is_err());
        assert!(texts.language("en").text("status", &FluentArgs::new()).is_err());
    }

    #[test]
    fn russian_plurals_follow_the_number() {
        let texts = Texts::load().unwrap();
        for (count, wanted) in [(1, "платёж:"), (3, "платежа:"), (5, "платежей:"), (21, "платёж:")]
        {
            let mut args = FluentArgs::new();
            args.set("count", count);
            let text = texts.language("ru").text("decided-granted-payment", &args).unwrap();
            assert!(text.ends_with(wanted), "{count}: {text}");
        }
    }
}
