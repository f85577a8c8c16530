//! The Russian taxpayer number.

use serde::{Deserialize, Serialize};

use super::{IdentityError, checked_text};

/// Holds a Russian taxpayer number (INN) whose check digits match.
///
/// Ten digits name an organisation, twelve a person. Source: order of the Federal Tax Service on the
/// structure of the INN; the weights are the published ones and are tested against well-known numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Inn(String);

checked_text!(Inn, IdentityError);

/// The weights of the last check digit of twelve; shorter rows are its tails.
const WEIGHTS: [u32; 11] = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];

impl Inn {
    /// Parses 10 or 12 digits, ignoring space around them.
    ///
    /// # Errors
    ///
    /// [`IdentityError::InnLength`] for anything but 10 or 12 digits, [`IdentityError::InnCheckDigit`] when
    /// a check digit does not match or every digit is zero.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        let digits: Vec<u32> = text.chars().map_while(|c| c.to_digit(10)).collect();
        if digits.len() != text.chars().count() {
            return Err(IdentityError::InnLength);
        }
        let sound = match digits.len() {
            10 => check_digit_at(&digits, 9),
            12 => check_digit_at(&digits, 10) && check_digit_at(&digits, 11),
            _ => return Err(IdentityError::InnLength),
        };
        if sound && digits.iter().any(|&digit| digit != 0) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentityError::InnCheckDigit)
        }
    }

    /// Tells whether the number is a person's (12 digits) and not an organisation's (10).
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.0.len() == 12
    }
}

/// Tells whether the digit at `position` is the weighted sum of those before it, modulo 11, modulo 10.
fn check_digit_at(digits: &[u32], position: usize) -> bool {
    let weights = &WEIGHTS[WEIGHTS.len() - position..];
    let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
    digits[position] == sum % 11 % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_well_known_organisations_parse() {
        for text in ["7707083893", "7736050003", "7736207543", " 7702070139 "] {
            let inn = Inn::parse(text).unwrap();
            assert_eq!(inn.as_str(), text.trim());
            assert!(!inn.is_person());
        }
    }

    #[test]
    fn a_number_of_a_person_has_two_check_digits() {
        assert!(Inn::parse("500100732259").unwrap().is_person());
        assert_eq!(Inn::parse("500100732249"), Err(IdentityError::InnCheckDigit));
        assert_eq!(Inn::parse("500100732258"), Err(IdentityError::InnCheckDigit));
    }

    #[test]
    fn anything_but_ten_or_twelve_digits_is_refused() {
        for text in ["", "770708389", "77070838931", "77070838A3", "٧٧٠٧٠٨٣٨٩٣", "7707 083893"]
        {
            assert_eq!(Inn::parse(text), Err(IdentityError::InnLength), "{text}");
        }
    }

    #[test]
    fn zeros_are_nobodys_number() {
        assert_eq!(Inn::parse("0000000000"), Err(IdentityError::InnCheckDigit));
    }

    #[test]
    fn serde_reads_and_writes_a_string_and_refuses_a_wrong_one() {
        let inn: Inn = serde_json::from_str("\"7707083893\"").unwrap();
        assert_eq!(serde_json::to_string(&inn).unwrap(), "\"7707083893\"");
        assert!(serde_json::from_str::<Inn>("\"7707083894\"").is_err());
    }
}
