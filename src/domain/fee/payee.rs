//! Whom a charge is paid to: the names and numbers that a payment order needs, each checked by its own rule.

use serde::{Deserialize, Serialize};

use crate::domain::identity::{Inn, checked_text};

/// Says why a text is no payee's number, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequisiteError {
    /// The bank's code is not 9 digits.
    #[error("Give the BIC as 9 digits.")]
    Bic,
    /// The account is not of 20 characters.
    #[error(
        "Give the account as 20 characters: digits, but for the sixth, which may be one of A B C E H K M P T X."
    )]
    Account,
    /// The account's key does not go with the bank.
    #[error(
        "The account's key (its ninth digit) does not go with the BIC; compare both digit by digit."
    )]
    AccountKey,
    /// The code of the budget's income is not 20 digits.
    #[error("Give the KBK as 20 digits.")]
    Kbk,
    /// The code of the territory is neither 8 nor 11 digits.
    #[error("Give the OKTMO as 8 digits, or as 11 for a settlement.")]
    Oktmo,
    /// The reason code is not 9 characters.
    #[error(
        "Give the KPP as 9 characters: digits, but for the fifth and sixth, which may be letters."
    )]
    Kpp,
}

/// Holds the code of a bank, 9 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bic(String);

/// Holds an account, 20 characters. Whether its key is right depends on the bank: [`Account::fits`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Account(String);

/// Holds the code under which a budget books an income, 20 digits. The first three name its administrator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kbk(String);

/// Holds the code of a territory, 8 or 11 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oktmo(String);

/// Holds the reason code that stands beside an organisation's INN, 9 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kpp(String);

checked_text!(Bic, RequisiteError);
checked_text!(Account, RequisiteError);
checked_text!(Kbk, RequisiteError);
checked_text!(Oktmo, RequisiteError);
checked_text!(Kpp, RequisiteError);

fn digits(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Bic {
    /// Parses 9 digits.
    ///
    /// # Errors
    ///
    /// [`RequisiteError::Bic`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RequisiteError> {
        digits(text, &[9]).then(|| Self(text.to_owned())).ok_or(RequisiteError::Bic)
    }
}

/// The letters that may stand in an account's sixth place, in the order of the digits that they count as.
const LETTERS: &[u8] = b"ABCEHKMPTX";

impl Account {
    /// Parses 20 characters.
    ///
    /// # Errors
    ///
    /// [`RequisiteError::Account`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RequisiteError> {
        let sound = text.len() == 20
            && text.bytes().enumerate().all(|(place, byte)| {
                byte.is_ascii_digit() || (place == 5 && LETTERS.contains(&byte))
            });
        sound.then(|| Self(text.to_owned())).ok_or(RequisiteError::Account)
    }

    /// Tells whether the account's key goes with the bank at which it is held.
    ///
    /// The key is reckoned after the Bank of Russia's order of the control key (No. 515 of 8 September 1997): three
    /// digits of the BIC before the 20 of the account, weights 7, 1, 3 repeating, the last digits of the products add up
    /// to a number that ends in 0. The three digits are the BIC's last; of accounts held with the Bank of Russia itself
    /// (correspondent accounts, and those of the treasury) a 0 and the BIC's fifth and sixth. A treasury account of the
    /// form since 2021 begins with 0 and has no key.
    #[must_use]
    pub fn fits(&self, bic: &Bic) -> bool {
        if self.0.starts_with('0') {
            return true;
        }
        let bic = bic.as_str();
        let with_the_bank_of_russia = self.0.starts_with("301")
            || !bic.starts_with("04")
            || matches!(&bic[6..], "000" | "001" | "002");
        let prefix = match with_the_bank_of_russia {
            true => format!("0{}", &bic[4..6]),
            false => bic[6..].to_owned(),
        };
        let value = |byte: u8| match LETTERS.iter().position(|letter| *letter == byte) {
            Some(place) => place,
            None => usize::from(byte - b'0'),
        };
        let sum: usize = prefix
            .bytes()
            .chain(self.0.bytes())
            .zip([7, 1, 3].into_iter().cycle())
            .map(|(byte, weight)| value(byte) * weight % 10)
            .sum();
        sum.is_multiple_of(10)
    }
}

impl Kbk {
    /// Parses 20 digits.
    ///
    /// # Errors
    ///
    /// [`RequisiteError::Kbk`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RequisiteError> {
        digits(text, &[20]).then(|| Self(text.to_owned())).ok_or(RequisiteError::Kbk)
    }

    /// Gives the three digits that name who administers the income: 188 the Ministry of the Interior, 182 the Tax Service.
    #[must_use]
    pub fn administrator(&self) -> &str {
        &self.0[..3]
    }
}

impl Oktmo {
    /// Parses 8 or 11 digits.
    ///
    /// # Errors
    ///
    /// [`RequisiteError::Oktmo`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RequisiteError> {
        digits(text, &[8, 11]).then(|| Self(text.to_owned())).ok_or(RequisiteError::Oktmo)
    }
}

impl Kpp {
    /// Parses 9 characters.
    ///
    /// # Errors
    ///
    /// [`RequisiteError::Kpp`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RequisiteError> {
        let sound = text.len() == 9
            && text.bytes().enumerate().all(|(place, byte)| {
                byte.is_ascii_digit() || (matches!(place, 4 | 5) && byte.is_ascii_uppercase())
            });
        sound.then(|| Self(text.to_owned())).ok_or(RequisiteError::Kpp)
    }
}

/// Says whether money that was booked on a charge can be given back when nothing came of the application. What was paid
/// beyond the charge always can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refund {
    /// Only what was paid beyond the charge.
    Overpayment,
    /// Also the charge itself, where no permit was issued.
    Unused,
}

/// Holds what a payment order for one charge says of its payee. Frozen with the charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requisites {
    /// The payee's name, as a bank wants it.
    pub name: String,
    /// The payee's taxpayer number.
    pub inn: Inn,
    /// Its reason code.
    pub kpp: Kpp,
    /// The account.
    pub account: Account,
    /// The bank's name.
    pub bank: String,
    /// The bank's code.
    pub bic: Bic,
    /// The bank's own account with the Bank of Russia, or the treasury's.
    pub correspondent_account: Account,
    /// The territory whose budget gets the money.
    pub oktmo: Oktmo,
    /// The code of the income.
    pub kbk: Kbk,
    /// What the payment is for, in the words of the payment order.
    pub purpose: String,
    /// The code of the kind of service in a payment's QR (GOST R 56042-2014).
    pub tech_code: String,
    /// What of it can be given back.
    pub refund: Refund,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(bic: &str, account: &str) -> bool {
        Account::parse(account).unwrap().fits(&Bic::parse(bic).unwrap())
    }

    #[test]
    fn published_accounts_have_the_key_of_their_bank() {
        // The correspondent account of a large bank, a treasury's account of before 2021 and one of after.
        assert!(fits("044525225", "30101810400000000225"));
        assert!(fits("044525000", "40101810045250010041"));
        assert!(fits("004525988", "40102810545370000003"));
        assert!(fits("004525988", "03100643000000017300"), "a treasury account has no key");
    }

    #[test]
    fn every_single_wrong_digit_of_an_account_is_noticed() {
        let right = "40102810545370000003";
        for place in 1..20 {
            for digit in b'0'..=b'9' {
                let mut wrong = right.as_bytes().to_vec();
                wrong[place] = digit;
                let wrong = String::from_utf8(wrong).unwrap();
                assert_eq!(fits("004525988", &wrong), wrong == right, "{wrong}");
            }
        }
    }

    #[test]
    fn an_account_may_have_a_letter_in_its_sixth_place_only() {
        assert!(Account::parse("40702A10900000000001").is_ok());
        assert_eq!(Account::parse("4070A810900000000001"), Err(RequisiteError::Account));
        assert_eq!(Account::parse("40702D10900000000001"), Err(RequisiteError::Account));
        assert_eq!(Account::parse("4070281090000000000"), Err(RequisiteError::Account));
    }

    #[test]
    fn codes_of_another_length_or_with_letters_are_refused() {
        assert_eq!(Bic::parse("04452522"), Err(RequisiteError::Bic));
        assert_eq!(Bic::parse("04452522O"), Err(RequisiteError::Bic));
        assert_eq!(Kbk::parse("1881080600001001711"), Err(RequisiteError::Kbk));
        assert_eq!(Oktmo::parse("453480001"), Err(RequisiteError::Oktmo));
        assert!(Oktmo::parse("45348000").is_ok() && Oktmo::parse("45348000123").is_ok());
        assert_eq!(Kpp::parse("77010100"), Err(RequisiteError::Kpp));
        assert!(Kpp::parse("7701AB001").is_ok());
    }

    #[test]
    fn the_first_three_digits_of_a_kbk_name_its_administrator() {
        assert_eq!(Kbk::parse("18810806000010017110").unwrap().administrator(), "188");
    }
}
