//! The public reference of an application: unguessable, and fit to be read aloud and typed from paper.
//!
//! It tells nothing about the application. Whoever knows it may see the stage, never personal data.

use serde::{Deserialize, Serialize};

use crate::domain::identity::checked_text;

/// Holds the public reference of an application: 13 random symbols and a check symbol, `XXXXX-XXXXX-XXXX`.
///
/// The symbols are the digits and the Latin capitals without I, L, O and U (the alphabet of Crockford's
/// base 32). The check symbol makes a weighted sum over the field of 32 elements zero; as all weights are
/// different and none is zero, every single wrong symbol and every swap of two symbols, neighbours or not,
/// is noticed. (A hybrid system in the manner of ISO 7064 with modulus 33, 32 would miss some swaps.)
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(String);

checked_text!(Reference, ReferenceError);

/// Says why a text is no reference, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReferenceError {
    /// Not 14 symbols long.
    #[error("Give all 14 letters and digits of the reference, such as 7Q3M0-XK2PD-9RTH.")]
    Length,
    /// A character that no reference holds.
    #[error("Give the reference with digits and Latin letters; it never has the letter U.")]
    Character,
    /// The check symbol does not match.
    #[error("There is no such reference; check it for typing mistakes and swapped characters.")]
    CheckSymbol,
}

/// Digits and Latin capitals that nobody takes for each other.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many symbols a reference has, the check symbol among them.
const SYMBOLS: usize = 14;

impl Reference {
    /// Makes a reference of 64 random bits; the randomness must be fit for secrets.
    ///
    /// Different bytes give different references.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        let number = u64::from_be_bytes(bytes);
        let mut symbols: Vec<u8> =
            (0..13).rev().map(|place| (number >> (5 * place) & 31) as u8).collect();
        symbols.push(times_alpha(weighted_sum(&symbols)));
        Self(shown(&symbols))
    }

    /// Parses a reference as people type it: in either case, with or without hyphens and spaces, with I or
    /// L for 1 and O for 0.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] names the obstacle.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let symbols: Vec<u8> = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(symbol)
            .collect::<Option<_>>()
            .ok_or(ReferenceError::Character)?;
        if symbols.len() != SYMBOLS {
            return Err(ReferenceError::Length);
        }
        // Thirteen symbols have room for 65 bits, of which 64 are used: the first is below 16.
        if weighted_sum(&symbols) != 0 || symbols[0] >= 16 {
            return Err(ReferenceError::CheckSymbol);
        }
        Ok(Self(shown(&symbols)))
    }
}

/// Gives the number of a typed character in the alphabet.
pub(super) fn symbol(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    (0..).zip(ALPHABET).find(|(_, letter)| char::from(**letter) == c).map(|(number, _)| number)
}

fn shown(symbols: &[u8]) -> String {
    let letters: Vec<String> = symbols
        .chunks(5)
        .map(|group| group.iter().map(|&s| char::from(ALPHABET[usize::from(s & 31)])).collect())
        .collect();
    letters.join("-")
}

/// Multiplies by α in GF(2^5) with the primitive polynomial x^5 + x^2 + 1.
///
/// α generates all 31 elements but zero, so its powers 0 to 13 are different and none is zero.
fn times_alpha(element: u8) -> u8 {
    let doubled = element << 1;
    if doubled & 32 == 0 { doubled } else { doubled ^ 0b10_0101 }
}

/// Sums the symbols, the last with weight 1 and each before it with α times the weight of its successor.
fn weighted_sum(symbols: &[u8]) -> u8 {
    symbols.iter().fold(0, |sum, symbol| times_alpha(sum) ^ symbol)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn without_hyphens(reference: &Reference) -> Vec<char> {
        reference.as_str().chars().filter(|c| *c != '-').collect()
    }

    fn parse(symbols: &[char]) -> Result<Reference, ReferenceError> {
        Reference::parse(&symbols.iter().collect::<String>())
    }

    #[test]
    fn the_weights_are_all_different_and_none_is_zero() {
        let weights: HashSet<u8> =
            std::iter::successors(Some(1), |w| Some(times_alpha(*w))).take(31).collect();
        assert_eq!(weights.len(), 31);
        assert!(!weights.contains(&0));
    }

    #[test]
    fn a_reference_is_grouped_for_reading_aloud() {
        let reference = Reference::from_random([0; 8]);
        assert_eq!(reference.to_string(), "00000-00000-0000");
        let reference = Reference::from_random([0xff; 8]);
        assert_eq!(&reference.as_str()[..15], "FZZZZ-ZZZZZ-ZZZ");
    }

    #[test]
    fn the_example_in_the_error_has_the_right_length_and_alphabet() {
        assert_eq!(Reference::parse("7Q3M0-XK2PD-9RTH"), Err(ReferenceError::CheckSymbol));
    }

    #[test]
    fn typing_habits_are_forgiven() {
        let reference = Reference::from_random([0, 0x10, 0x40, 0x03, 1, 2, 3, 4]);
        let typed =
            reference.as_str().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(Reference::parse(&typed), Ok(reference.clone()));
        assert_eq!(Reference::parse(&typed.replace('l', "I").replace(' ', "")), Ok(reference));
    }

    #[test]
    fn wrong_lengths_and_characters_are_named() {
        assert_eq!(Reference::parse(""), Err(ReferenceError::Length));
        assert_eq!(Reference::parse("00000-00000-000"), Err(ReferenceError::Length));
        assert_eq!(Reference::parse("00000-00000-000U"), Err(ReferenceError::Character));
        assert_eq!(Reference::parse("00000-00000-000О"), Err(ReferenceError::Character));
    }

    #[test]
    fn a_first_symbol_that_is_never_given_is_refused() {
        let mut symbols = vec![16; 13];
        symbols.push(times_alpha(weighted_sum(&symbols)));
        assert_eq!(weighted_sum(&symbols), 0);
        assert_eq!(Reference::parse(&shown(&symbols)), Err(ReferenceError::CheckSymbol));
    }

    proptest! {
        #[test]
        fn every_reference_parses_to_itself_and_keeps_all_bits(
            a in any::<[u8; 8]>(), b in any::<[u8; 8]>(),
        ) {
            let (one, other) = (Reference::from_random(a), Reference::from_random(b));
            prop_assert_eq!(a == b, one == other);
            prop_assert_eq!(Reference::parse(one.as_str()), Ok(one.clone()));
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), one);
        }

        #[test]
        fn every_single_wrong_symbol_is_noticed(bytes in any::<[u8; 8]>()) {
            let symbols = without_hyphens(&Reference::from_random(bytes));
            for place in 0..SYMBOLS {
                for wrong in ALPHABET.map(char::from) {
                    let mut typed = symbols.clone();
                    typed[place] = wrong;
                    prop_assert_eq!(parse(&typed).is_ok(), wrong == symbols[place]);
                }
            }
        }

        #[test]
        fn every_swap_of_two_symbols_is_noticed(bytes in any::<[u8; 8]>()) {
            let symbols = without_hyphens(&Reference::from_random(bytes));
            for one in 0..SYMBOLS {
                for other in one + 1..SYMBOLS {
                    let mut typed = symbols.clone();
                    typed.swap(one, other);
                    prop_assert_eq!(parse(&typed).is_ok(), symbols[one] == symbols[other]);
                }
            }
        }
    }
}
