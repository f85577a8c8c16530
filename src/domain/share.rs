//! Share codes: with one, and the holder's date of birth, somebody sees a permit in full.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::reference::{ALPHABET, symbol};

/// How many symbols a code has, of five bits each.
const SYMBOLS: usize = 16;

/// How long a code can be used: as the share codes of the United Kingdom's Home Office.
pub const LIFETIME: TimeDelta = TimeDelta::days(90);

/// How many codes of one permit can be usable at a time.
pub const MOST: i64 = 20;

/// How often a code can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShareTerm {
    /// Once, within [`LIFETIME`].
    Once,
    /// As often as one likes, within [`LIFETIME`].
    Days90,
}

/// A code: 80 random bits in the letters of references, in four groups: `K7QF-M2XW-9B4T-0HZR`.
///
/// It is shown once, to who makes it; what is kept is its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareCode(String);

impl ShareCode {
    /// Makes a code of random bytes, which must be fit for secrets.
    #[must_use]
    pub fn from_random(bytes: [u8; SYMBOLS]) -> Self {
        Self(bytes.map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).iter().collect())
    }

    /// Parses a code as people type it: in either case, with or without hyphens and spaces, with I or L for 1 and O for 0;
    /// `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let typed = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let letter = |number: u8| char::from(ALPHABET[usize::from(number & 31)]);
        let symbols: Option<String> = typed.map(|c| symbol(c).map(letter)).collect();
        symbols.filter(|symbols| symbols.len() == SYMBOLS).map(Self)
    }

    /// Gives the symbols alone: what the digest is made of.
    #[must_use]
    pub fn symbols(&self) -> &str {
        &self.0
    }
}

/// In groups, to be read aloud and typed.
impl std::fmt::Display for ShareCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, letter) in self.0.char_indices() {
            let gap = if at > 0 && at % 4 == 0 { "-" } else { "" };
            write!(f, "{gap}{letter}")?;
        }
        Ok(())
    }
}

/// Logs show none.
impl std::fmt::Debug for ShareCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShareCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it_and_never_logged() {
        let code =
            ShareCode::from_random([0, 1, 2, 255, 31, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        assert_eq!(code.to_string(), "012Z-ZABC-DEFG-HJKM");
        for typed in ["012Z-ZABC-DEFG-HJKM", " oi2z zabc defg hjkm", "oL2zzabcdefghjkm"] {
            assert_eq!(ShareCode::parse(typed).as_ref(), Some(&code), "{typed}");
        }
        for none in ["", "012Z", "012Z-ZABC-DEFG-HJKU", "012Z-ZABC-DEFG-HJKM-0"] {
            assert_eq!(ShareCode::parse(none), None, "{none}");
        }
        assert_eq!(format!("{code:?}"), "ShareCode(…)");
    }
}
