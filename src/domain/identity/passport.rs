//! The number of a passport.

use serde::{Deserialize, Serialize};

use super::{IdentityError, checked_text};

/// Holds the number of a passport as 1 to 20 of `A`-`Z` and `0`-`9`.
///
/// Cyrillic letters are refused and not translated: many look like Latin ones, and a number that only looks
/// right is found in no register.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PassportNumber(String);

checked_text!(PassportNumber, IdentityError);

impl PassportNumber {
    /// Parses a number, dropping spaces and hyphens and turning letters to upper case.
    ///
    /// # Errors
    ///
    /// [`IdentityError::PassportCyrillic`], [`IdentityError::PassportCharacter`] or
    /// [`IdentityError::PassportLength`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let number: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        if number.chars().any(|c| ('\u{400}'..='\u{52f}').contains(&c)) {
            return Err(IdentityError::PassportCyrillic);
        }
        if !number.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(IdentityError::PassportCharacter);
        }
        if !(1..=20).contains(&number.len()) {
            return Err(IdentityError::PassportLength);
        }
        Ok(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_hyphens_go_and_letters_become_upper_case() {
        assert_eq!(PassportNumber::parse(" aa 123-4567 ").unwrap().as_str(), "AA1234567");
    }

    #[test]
    fn cyrillic_letters_are_refused_even_where_they_look_latin() {
        assert_eq!(PassportNumber::parse("АА1234567"), Err(IdentityError::PassportCyrillic));
        assert_eq!(PassportNumber::parse("а1"), Err(IdentityError::PassportCyrillic));
    }

    #[test]
    fn other_characters_and_lengths_are_refused() {
        assert_eq!(PassportNumber::parse("A/1"), Err(IdentityError::PassportCharacter));
        assert_eq!(PassportNumber::parse("ß1"), Err(IdentityError::PassportCharacter));
        assert_eq!(PassportNumber::parse(" - "), Err(IdentityError::PassportLength));
        assert!(PassportNumber::parse(&"9".repeat(20)).is_ok());
        assert_eq!(PassportNumber::parse(&"9".repeat(21)), Err(IdentityError::PassportLength));
    }
}
