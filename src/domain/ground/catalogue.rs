//! The list of grounds, read from `workflows/grounds.toml` and refused by file and line when wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::GroundCode;
use crate::domain::calendar::line_at;

/// Tells what a ground can be given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroundKind {
    /// To refuse an accepted application.
    Refuse,
    /// To annul a permit.
    Annul,
    /// To not take in a set of documents.
    Intake,
}

/// Tells how sure it is that the law says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Confidence {
    /// Confirmed by the source named.
    #[serde(rename = "C")]
    Confirmed,
    /// Weakly confirmed: a secondary, commercial or undated source.
    #[serde(rename = "W")]
    Weak,
    /// Derived from confirmed facts.
    #[serde(rename = "D")]
    Derived,
    /// An assumption that an administrator should confirm or change.
    #[serde(rename = "K")]
    Assumption,
}

/// Holds one ground of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ground {
    /// Its stable code.
    pub code: GroundCode,
    /// What it can be given for; never empty.
    pub kinds: BTreeSet<GroundKind>,
    /// The families of tracks it belongs to (`patent`, `permit`, `hqs`); never empty.
    pub tracks: BTreeSet<String>,
    /// A sentence for the person concerned by language (`en` and `ru` at least).
    pub wording: BTreeMap<String, String>,
    /// Where it is from.
    pub source: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// For how many months after an annulment on it no new permit of the kind is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bar_months: Option<u32>,
}

/// Holds the list of grounds by code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundCatalogue(BTreeMap<GroundCode, Ground>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    ground: Vec<GroundEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroundEntry {
    code: Spanned<String>,
    kinds: Vec<GroundKind>,
    tracks: Vec<String>,
    wording: BTreeMap<String, String>,
    source: String,
    confidence: Confidence,
    bar_months: Option<u32>,
}

/// The languages in which every ground must be worded.
const LANGUAGES: [&str; 2] = ["en", "ru"];
const TRACKS: [&str; 3] = ["patent", "permit", "hqs"];

impl GroundCatalogue {
    /// Reads the list from TOML; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// Everything wrong with the list as `file:line: sentence`; where the text is no TOML of the right
    /// form, the first such place alone.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<String>> {
        let place = |offset| format!("{file}:{}", line_at(text, offset));
        let parsed: CatalogueFile = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            vec![format!("{}: {}", place(offset), error.message())]
        })?;
        let (mut grounds, mut errors) = (BTreeMap::new(), Vec::new());
        for entry in parsed.ground {
            let at = place(entry.code.span().start);
            let code = match GroundCode::parse(entry.code.get_ref()) {
                Ok(code) => code,
                Err(error) => {
                    errors.push(format!("{at}: {error}"));
                    continue;
                }
            };
            let faults = entry.faults(&code);
            errors.extend(faults.into_iter().map(|fault| format!("{at}: {code} {fault}")));
            let ground = Ground {
                code: code.clone(),
                kinds: entry.kinds.into_iter().collect(),
                tracks: entry.tracks.into_iter().collect(),
                wording: entry.wording,
                source: entry.source,
                confidence: entry.confidence,
                bar_months: entry.bar_months,
            };
            if grounds.insert(code.clone(), ground).is_some() {
                errors.push(format!("{at}: {code} is in the list already"));
            }
        }
        if errors.is_empty() { Ok(Self(grounds)) } else { Err(errors) }
    }

    /// Gives the ground with the code, if the list has it.
    #[must_use]
    pub fn get(&self, code: &GroundCode) -> Option<&Ground> {
        self.0.get(code)
    }

    /// Gives a ground's sentence in a language (`en`, `ru`), if the list has both.
    #[must_use]
    pub fn wording(&self, code: &GroundCode, language: &str) -> Option<&str> {
        self.get(code)?.wording.get(language).map(String::as_str)
    }

    /// Goes through the list by code.
    pub fn iter(&self) -> impl Iterator<Item = &Ground> {
        self.0.values()
    }
}

impl GroundEntry {
    fn faults(&self, code: &GroundCode) -> Vec<String> {
        let mut faults = Vec::new();
        if self.kinds.is_empty() {
            faults.push("has no kind".to_owned());
        }
        if self.kinds.iter().any(|kind| (*kind == GroundKind::Intake) != code.is_intake()) {
            faults.push(
                "has a wrong kind; I codes are for intake, G codes to refuse or annul".into(),
            );
        }
        if self.tracks.is_empty() {
            faults.push("has no track".to_owned());
        }
        for track in self.tracks.iter().filter(|track| !TRACKS.contains(&track.as_str())) {
            faults.push(format!("names the unknown track {track}"));
        }
        for language in LANGUAGES {
            if self.wording.get(language).is_none_or(|wording| wording.trim().is_empty()) {
                faults.push(format!("has no wording in {language}"));
            }
        }
        if self.source.trim().is_empty() {
            faults.push("has no source".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../workflows/grounds.toml");

    fn code(text: &str) -> GroundCode {
        GroundCode::parse(text).unwrap()
    }

    fn refusals(text: &str) -> Vec<String> {
        GroundCatalogue::parse("x.toml", text).unwrap_err()
    }

    #[test]
    fn the_shipped_list_has_every_ground_of_the_law_and_of_intake() {
        let list = GroundCatalogue::parse("grounds.toml", SHIPPED).unwrap();
        let codes: Vec<String> = list.iter().map(|ground| ground.code.to_string()).collect();
        let mut expected: Vec<String> = (1..=20).map(|n| format!("G{n:02}")).collect();
        expected.push("G90".into());
        expected.extend((1..=6).map(|n| format!("I{n:02}")));
        assert_eq!(codes, expected);
        // That issuing can be stopped in a region is confirmed.
        let assumed = |ground: &&Ground| ground.code.is_intake() && ground.code != code("I06");
        let intake = list.iter().filter(assumed);
        assert!(intake.map(|ground| ground.confidence).all(|c| c == Confidence::Assumption));
    }

    #[test]
    fn grounds_are_found_by_code_and_worded_by_language() {
        let list = GroundCatalogue::parse("grounds.toml", SHIPPED).unwrap();
        assert!(list.get(&code("G15")).unwrap().kinds.contains(&GroundKind::Annul));
        assert!(list.wording(&code("G04"), "en").unwrap().starts_with("Forged documents"));
        assert!(list.wording(&code("G04"), "ru").unwrap().starts_with("Представлены поддельные"));
        assert_eq!(list.wording(&code("G04"), "xx"), None);
        assert_eq!(list.get(&code("G77")), None);
    }

    #[test]
    fn everything_wrong_is_named_with_file_and_line() {
        let text = r#"
[[ground]]
code = "G01"
kinds = ["intake"]
tracks = ["patents"]
wording.en = "Reason."
source = ""
confidence = "C"

[[ground]]
code = "G1"
kinds = ["refuse"]
tracks = ["patent"]
wording = { en = "Reason.", ru = "Основание." }
source = "law"
confidence = "C"

[[ground]]
code = "G01"
kinds = []
tracks = []
wording = { en = "Reason.", ru = "Основание." }
source = "law"
confidence = "C"
"#;
        assert_eq!(
            refusals(text),
            [
                "x.toml:3: G01 has a wrong kind; I codes are for intake, G codes to refuse or annul",
                "x.toml:3: G01 names the unknown track patents",
                "x.toml:3: G01 has no wording in ru",
                "x.toml:3: G01 has no source",
                "x.toml:11: Give the ground's code as G or I and two digits, such as G04 or I02.",
                "x.toml:19: G01 has no kind",
                "x.toml:19: G01 has no track",
                "x.toml:19: G01 is in the list already",
            ]
        );
    }

    #[test]
    fn unknown_keys_kinds_and_confidences_are_refused_with_their_line() {
        let entry = "[[ground]]\ncode = \"G01\"\nkinds = [\"refuse\"]\ntracks = [\"patent\"]\n\
                     wording = { en = \"a\", ru = \"б\" }\nsource = \"law\"\nconfidence = \"C\"\n";
        assert!(GroundCatalogue::parse("x.toml", entry).is_ok());
        for (old, new, line) in [
            ("source", "sauce", "x.toml:6: unknown field"),
            ("refuse", "reject", "x.toml:3: unknown variant"),
            ("\"C\"", "\"Q\"", "x.toml:7: unknown variant"),
        ] {
            let errors = refusals(&entry.replace(old, new));
            assert!(errors[0].starts_with(line), "{errors:?}");
        }
    }
}
