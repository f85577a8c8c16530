//! The permit: its number, its status, and the days on which it is valid.
//!
//! Which payments prolong it and which event ends it is decided elsewhere; here is what holds of it then.

use chrono::{Months, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::domain::identity::checked_text;

/// Holds a permit's series and number: two digits of the region and ten digits, the last a check digit.
///
/// The check digit is by the Luhn formula (ISO/IEC 7812-1, annex B) over series and number together, so it
/// notices every single wrong digit, the region's too, and every swap of neighbours but 09 and 90. The
/// layout of two and ten digits is an assumption to be confirmed with the blank of MVD order 805/2021.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermitNumber(String);

checked_text!(PermitNumber, PermitNumberError);

/// Says why a text is no permit number, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PermitNumberError {
    /// Not two digits and ten digits.
    #[error("Give the series (2 digits) and the number (10 digits), such as 77-0000000016.")]
    Form,
    /// The last digit does not match the others.
    #[error("There is no permit with this number; compare it with the permit digit by digit.")]
    CheckDigit,
}

impl PermitNumber {
    /// Makes the number of the `serial`-th permit of a region.
    ///
    /// Of `region_code` the last two digits count, filled with zeros on the left; of `serial` the last nine,
    /// so two serial numbers below 10^9 never give the same number in a region.
    #[must_use]
    pub fn compose(region_code: &str, serial: u64) -> Self {
        let digits = region_code.chars().filter_map(|c| c.to_digit(10));
        let series = digits.fold(0, |code, digit| (code * 10 + digit) % 100);
        let body = format!("{series:02}{:09}", serial % 10_u64.pow(9));
        Self(format!("{}-{}{}", &body[..2], &body[2..], luhn_digit(&body)))
    }

    /// Parses series and number with a hyphen, a space or nothing between; its `Display` has a hyphen and
    /// can stand in an address.
    ///
    /// # Errors
    ///
    /// [`PermitNumberError`] names the obstacle.
    pub fn parse(text: &str) -> Result<Self, PermitNumberError> {
        let text = text.trim();
        if !text.is_ascii() || text.len() < 12 {
            return Err(PermitNumberError::Form);
        }
        let (series, number) = text.split_at(2);
        let number = number.strip_prefix([' ', '-']).unwrap_or(number);
        let digits = format!("{series}{number}");
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PermitNumberError::Form);
        }
        if digits[11..] != luhn_digit(&digits[..11]).to_string() {
            return Err(PermitNumberError::CheckDigit);
        }
        Ok(Self(format!("{series}-{number}")))
    }

    /// Gives the series: two digits of the region.
    #[must_use]
    pub fn series(&self) -> &str {
        &self.0[..2]
    }

    /// Gives the number: ten digits, the last the check digit.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.0[3..]
    }

    /// Gives the serial number that it was composed of: unique as long as they come from one sequence.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.0[3..12].bytes().fold(0, |serial, digit| serial * 10 + u64::from(digit - b'0'))
    }
}

/// Gives the digit that makes the Luhn sum of `digits` and itself a multiple of ten.
fn luhn_digit(digits: &str) -> u32 {
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|c| c.to_digit(10))
        .zip([2, 1].into_iter().cycle())
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    (10 - sum % 10) % 10
}

/// Tells how a permit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermitStatus {
    /// It may be worked under, within its dates.
    InForce,
    /// Stopped for a time by an officer.
    Suspended,
    /// Ended by itself because a month was not paid.
    Lapsed,
    /// Ended by itself with its last day.
    Expired,
    /// Ended by a decision.
    Annulled,
    /// Replaced by a re-issue or a duplicate.
    Superseded,
}

impl PermitStatus {
    /// Tells how a permit that was last written down so stands on a day: the days decide, also in the moments before a
    /// timer has written down that it lapsed or expired.
    #[must_use]
    pub fn on(self, day: NaiveDate, paid_through: Option<NaiveDate>, ends_on: NaiveDate) -> Self {
        match self {
            Self::InForce | Self::Suspended if ends_on < day => Self::Expired,
            Self::InForce | Self::Suspended if paid_through.is_some_and(|last| last < day) => {
                Self::Lapsed
            }
            Self::InForce
            | Self::Suspended
            | Self::Lapsed
            | Self::Expired
            | Self::Annulled
            | Self::Superseded => self,
        }
    }

    /// Gives the first day on which a permit that stands like this was not in force: that which is written down, or the one
    /// after its last day.
    #[must_use]
    pub fn invalid_since(
        self,
        closed_on: Option<NaiveDate>,
        paid_through: Option<NaiveDate>,
        ends_on: NaiveDate,
    ) -> Option<NaiveDate> {
        match self {
            Self::Expired => closed_on.or(ends_on.succ_opt()),
            Self::Lapsed => closed_on.or(paid_through.and_then(|day| day.succ_opt())),
            Self::InForce | Self::Suspended | Self::Annulled | Self::Superseded => closed_on,
        }
    }
}

/// Holds an issued permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit {
    /// Series and number; never given twice.
    pub number: PermitNumber,
    /// How it stands now.
    pub status: PermitStatus,
    /// The holder's name in Latin letters as in the passport.
    pub holder_name: String,
    /// The federal subject in which it is valid.
    pub territory: String,
    /// The profession printed on it, where the track has one.
    pub profession: Option<String>,
    /// The first day of validity.
    pub issued_on: NaiveDate,
    /// The last day paid for, on tracks where months are paid; `None` where no payment limits it.
    pub paid_through: Option<NaiveDate>,
    /// The last day on which it can be valid at all.
    pub ends_on: NaiveDate,
    /// The first day on which it is no longer in force; `None` while it is.
    pub closed_on: Option<NaiveDate>,
    /// The first day on which it is suspended; `None` while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_on: Option<NaiveDate>,
}

impl Permit {
    /// Tells whether its holder may work under it on `date`, as far as is known now.
    ///
    /// First and last day count. A permit that is not in force was valid before `closed_on`; without that
    /// day it counts as never valid.
    #[must_use]
    pub fn is_valid_on(&self, date: NaiveDate) -> bool {
        let open = match self.closed_on {
            Some(closed_on) => date < closed_on,
            None => match self.suspended_on {
                Some(suspended_on) => date < suspended_on,
                None => self.status == PermitStatus::InForce,
            },
        };
        let paid = self.paid_through.is_none_or(|last| date <= last);
        open && paid && (self.issued_on..=self.ends_on).contains(&date)
    }
}

/// Gives the day `months` later with the same day number, or the last day of that month if it has none.
///
/// Beyond the end of the calendar (year 262142) it gives that end. That terms in months end so is an
/// assumption from the Civil Code, Art. 192.
#[must_use]
pub fn add_months(date: NaiveDate, months: u32) -> NaiveDate {
    date.checked_add_months(Months::new(months)).unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    fn permit() -> Permit {
        Permit {
            number: PermitNumber::compose("77", 1),
            status: PermitStatus::InForce,
            holder_name: "RUSTAM KARIMOV".into(),
            territory: "77".into(),
            profession: None,
            issued_on: day(2026, 2, 10),
            paid_through: Some(day(2026, 4, 9)),
            ends_on: day(2027, 2, 9),
            closed_on: None,
            suspended_on: None,
        }
    }

    #[test]
    fn a_number_is_composed_of_region_serial_number_and_check_digit() {
        let number = PermitNumber::compose("77", 1);
        assert_eq!(number.to_string(), "77-0000000016");
        assert_eq!((number.series(), number.number()), ("77", "0000000016"));
        assert_eq!(PermitNumber::compose("5", 999_999_999).series(), "05");
    }

    #[test]
    fn the_check_digit_is_the_one_of_the_luhn_formula() {
        assert_eq!(luhn_digit("7992739871"), 3);
    }

    #[test]
    fn a_number_parses_with_hyphen_space_or_nothing_between() {
        for text in ["77-0000000016", "77 0000000016", " 770000000016 "] {
            assert_eq!(PermitNumber::parse(text).unwrap().as_str(), "77-0000000016");
        }
    }

    #[test]
    fn malformed_and_mistyped_numbers_are_refused() {
        for text in [
            "",
            "77",
            "77--0000000016",
            "7-70000000016",
            "77-000000016",
            "АА-0000000016",
            "77/0000000016",
        ] {
            assert_eq!(PermitNumber::parse(text), Err(PermitNumberError::Form), "{text}");
        }
        for text in ["77-0000000017", "78-0000000016", "77-0000000106"] {
            assert_eq!(PermitNumber::parse(text), Err(PermitNumberError::CheckDigit), "{text}");
        }
    }

    #[test]
    fn first_and_last_day_count_and_an_unpaid_day_does_not() {
        let permit = permit();
        assert!(!permit.is_valid_on(day(2026, 2, 9)));
        assert!(permit.is_valid_on(day(2026, 2, 10)));
        assert!(permit.is_valid_on(day(2026, 4, 9)));
        assert!(!permit.is_valid_on(day(2026, 4, 10)));
        let unlimited = Permit { paid_through: None, ..permit };
        assert!(unlimited.is_valid_on(day(2027, 2, 9)));
        assert!(!unlimited.is_valid_on(day(2027, 2, 10)));
    }

    #[test]
    fn a_closed_permit_was_valid_until_the_day_it_closed() {
        let closed_on = Some(day(2026, 3, 1));
        let permit = Permit { status: PermitStatus::Annulled, closed_on, ..permit() };
        assert!(permit.is_valid_on(day(2026, 2, 28)));
        assert!(!permit.is_valid_on(day(2026, 3, 1)));
        assert!(!Permit { closed_on: None, ..permit }.is_valid_on(day(2026, 2, 28)));
    }

    #[test]
    fn months_end_on_the_same_day_number_or_the_last_day_of_the_month() {
        assert_eq!(add_months(day(2026, 2, 10), 12), day(2027, 2, 10));
        assert_eq!(add_months(day(2026, 1, 31), 1), day(2026, 2, 28));
        assert_eq!(add_months(day(2027, 12, 31), 2), day(2028, 2, 29));
        assert_eq!(add_months(day(2026, 1, 1), 0), day(2026, 1, 1));
        assert_eq!(add_months(day(2026, 1, 1), u32::MAX), NaiveDate::MAX);
    }

    #[test]
    fn a_permit_is_serialised_in_camel_case() {
        let json = serde_json::to_value(permit()).unwrap();
        assert_eq!(json["number"], "77-0000000016");
        assert_eq!(
            (&json["status"], &json["paidThrough"]),
            (&"inForce".into(), &"2026-04-09".into())
        );
        assert_eq!(serde_json::from_value::<Permit>(json).unwrap(), permit());
    }

    proptest! {
        #[test]
        fn every_number_parses_to_itself_and_no_single_wrong_digit_passes(
            region in 0..100u32, serial in 0..10_u64.pow(9), place in 0..12usize, wrong in 0..10u8,
        ) {
            let number = PermitNumber::compose(&region.to_string(), serial);
            prop_assert_eq!(PermitNumber::parse(number.as_str()), Ok(number.clone()));
            prop_assert_eq!(number.serial(), serial);
            let mut digits = number.as_str().replace('-', "").into_bytes();
            let same = digits[place] == b'0' + wrong;
            digits[place] = b'0' + wrong;
            let typed = String::from_utf8(digits).unwrap();
            prop_assert_eq!(PermitNumber::parse(&typed).is_ok(), same);
        }
    }
}
