//! The unique accrual identifier (UIN), by which a payment finds its charge.

use serde::{Deserialize, Serialize};

use crate::domain::identity::checked_text;

/// Holds a unique accrual identifier of GIS GMP whose check digit matches.
///
/// It is either 20 letters and digits or 25 digits; the last character is the check digit: weights
/// 1, 2, … 10 repeating from the left, modulo 11, and where that gives 10 once more from weight 3; where that
/// gives 10 too, zero. Source: type `SupplierBillIDType` of the GIS GMP formats, PR 50.1.024-2005 and the
/// public Java rule `UnifiedIdControlDigitCalculationRule`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uin(String);

checked_text!(Uin, UinError);

/// Says why a text is no UIN, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UinError {
    /// Neither 20 nor 25 characters long.
    #[error("Give the UIN as printed on the bill: 20 characters or 25 digits.")]
    Length,
    /// A character that a UIN cannot hold, or a letter among 25.
    #[error("Give the UIN with digits (or, among 20 characters, letters) only.")]
    Character,
    /// The last digit does not match the others.
    #[error("The UIN's check digit does not match; compare it with the bill digit by digit.")]
    CheckDigit,
}

impl Uin {
    /// Parses a UIN, ignoring space around it and turning letters to upper case.
    ///
    /// # Errors
    ///
    /// [`UinError`] names the obstacle.
    pub fn parse(text: &str) -> Result<Self, UinError> {
        let text = text.trim().to_uppercase();
        let length = text.chars().count();
        if length != 20 && length != 25 {
            return Err(UinError::Length);
        }
        let digits_only = text.bytes().all(|b| b.is_ascii_digit());
        if length == 25 && !digits_only {
            return Err(UinError::Character);
        }
        let values: Vec<u32> =
            text.chars().map(value).collect::<Option<_>>().ok_or(UinError::Character)?;
        let last = text.chars().last().and_then(|c| c.to_digit(10));
        match values.split_last() {
            Some((_, before)) if last == Some(check_digit(before)) => Ok(Self(text)),
            _ => Err(UinError::CheckDigit),
        }
    }

    /// Makes a UIN of 20 digits: the administrator's 3 (188 for the Ministry of the Interior), the serial
    /// number in 16, and the check digit.
    ///
    /// Of `administrator` the last three digits count, filled with zeros on the left; of `serial` the last
    /// sixteen, so two serial numbers below 10^16 never give the same UIN.
    #[must_use]
    pub fn compose(administrator: &str, serial: u64) -> Self {
        let digits = administrator.chars().filter_map(|c| c.to_digit(10));
        let code = digits.fold(0, |code, digit| (code * 10 + digit) % 1000);
        let body = format!("{code:03}{:016}", serial % 10_u64.pow(16));
        let values: Vec<u32> = body.chars().filter_map(|c| c.to_digit(10)).collect();
        Self(format!("{body}{}", check_digit(&values)))
    }
}

/// The letters that have a value, in its order from 1; a Latin letter that looks like a Cyrillic one has
/// that one's value, the others continue the row. Ъ, Ы and Ь share 33, 36 and 42 with Latin letters.
const CYRILLIC: &str = "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ";
const LATIN_LOOKALIKES: [(char, char); 12] = [
    ('A', 'А'),
    ('B', 'В'),
    ('C', 'С'),
    ('E', 'Е'),
    ('H', 'Н'),
    ('K', 'К'),
    ('M', 'М'),
    ('O', 'О'),
    ('P', 'Р'),
    ('T', 'Т'),
    ('X', 'Х'),
    ('Y', 'У'),
];
const LATIN_OTHERS: &str = "DFGIJLNQRSUVWZ";

/// Gives what a character counts in the sum: a digit itself, a letter its value modulo 10.
fn value(c: char) -> Option<u32> {
    if let Some(digit) = c.to_digit(10) {
        return Some(digit);
    }
    let c = LATIN_LOOKALIKES.iter().find(|(latin, _)| *latin == c).map_or(c, |(_, twin)| *twin);
    let place = |row: &str, first: u32| {
        (first..).zip(row.chars()).find(|(_, letter)| *letter == c).map(|(value, _)| value)
    };
    let value = match c {
        'Ъ' => Some(33),
        'Ы' => Some(36),
        'Ь' => Some(42),
        _ => place(CYRILLIC, 1).or_else(|| place(LATIN_OTHERS, 29)),
    };
    value.map(|value| value % 10)
}

/// Gives the check digit over the values of all characters before it.
fn check_digit(values: &[u32]) -> u32 {
    let remainder = |shift: u32| {
        let weights = (0..10).cycle().map(|i| (i + shift) % 10 + 1);
        values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<u32>() % 11
    };
    match remainder(0) {
        10 => remainder(2) % 10,
        digit => digit,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_sample_verifies() {
        let uin = Uin::parse(" 32117072411021588933 ").unwrap();
        assert_eq!(uin.as_str(), "32117072411021588933");
    }

    #[test]
    fn a_wrong_last_digit_is_refused() {
        for last in "012456789".chars() {
            let text = format!("3211707241102158893{last}");
            assert_eq!(Uin::parse(&text), Err(UinError::CheckDigit), "{text}");
        }
    }

    #[test]
    fn where_the_first_pass_gives_ten_the_weights_start_at_three() {
        // First pass 5·2 = 10, second pass 5·4 = 20 → 9.
        assert_eq!(check_digit(&[0, 5]), 9);
        // First pass 1·10 = 10, second pass 1·2 = 2.
        assert_eq!(check_digit(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 2);
        // First pass 1·1 + 3·3 = 10, second pass 1·3 + 3·5 = 18 → 7.
        assert_eq!(check_digit(&[1, 0, 3]), 7);
        // First pass 7·1 + 7·2 = 21 → 10, second pass 7·3 + 7·4 = 49 → 5.
        assert_eq!(check_digit(&[7, 7]), 5);
    }

    #[test]
    fn where_both_passes_give_ten_the_digit_is_zero() {
        // First pass 2·1 + 8·2 + 1·3 = 21 → 10, second pass 2·3 + 8·4 + 1·5 = 43 → 10.
        assert_eq!(check_digit(&[2, 8, 1]), 0);
    }

    #[test]
    fn letters_have_the_values_of_the_table() {
        for (letter, expected) in [
            ('А', 1),
            ('Л', 1),
            ('О', 4),
            ('O', 4),
            ('Я', 8),
            ('D', 9),
            ('Z', 2),
            ('Ъ', 3),
            ('Ы', 6),
            ('Ь', 2),
        ] {
            assert_eq!(value(letter), Some(expected), "{letter}");
        }
        assert_eq!(value('_'), None);
        assert_eq!(value('Ё'), None);
    }

    #[test]
    fn a_uin_of_twenty_may_have_letters_and_one_of_twenty_five_may_not() {
        let body = "18810О23456789012Лz";
        let values: Vec<u32> = body.to_uppercase().chars().map(|c| value(c).unwrap()).collect();
        let uin = Uin::parse(&format!("{body}{}", check_digit(&values))).unwrap();
        assert!(uin.as_str().contains('Z'));
        assert_eq!(Uin::parse(&"A".repeat(25)), Err(UinError::Character));
        assert_eq!(Uin::parse("1881_023456789012340"), Err(UinError::Character));
    }

    #[test]
    fn other_lengths_are_refused_and_so_is_the_zero_uin() {
        for text in ["", "0", "3211707241102158893", "321170724110215889333"] {
            assert_eq!(Uin::parse(text), Err(UinError::Length), "{text}");
        }
    }

    #[test]
    fn twenty_five_digits_parse_with_their_check_digit() {
        let body = "123456780000000000000001";
        let values: Vec<u32> = body.chars().map(|c| value(c).unwrap()).collect();
        assert!(Uin::parse(&format!("{body}{}", check_digit(&values))).is_ok());
    }

    #[test]
    fn composing_pads_the_administrator_and_the_serial_number() {
        assert!(Uin::compose("188", 42).as_str().starts_with("1880000000000000042"));
        assert!(Uin::compose("7", 42).as_str().starts_with("0070000000000000042"));
    }

    proptest! {
        #[test]
        fn every_composed_uin_parses_and_keeps_its_serial_number(serial in 0..10_u64.pow(16)) {
            let uin = Uin::compose("188", serial);
            prop_assert_eq!(Uin::parse(uin.as_str()).unwrap(), uin.clone());
            prop_assert_eq!(uin.as_str()[3..19].parse::<u64>().unwrap(), serial);
        }
    }
}
