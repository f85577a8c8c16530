//! The machine-readable zone of a passport: two lines of 44 characters (ICAO 9303, part 4, TD3).
//!
//! The check digits prove that the lines agree with themselves, not that the passport is genuine, and the
//! first line (the names) has none.

use chrono::{Datelike, Months, NaiveDate};
use serde::{Deserialize, Serialize};

use super::CountryCode;

/// Names the part of the zone that is wrong, and says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MrzError {
    /// A line is not 44 characters long.
    #[error("Give both lines at the foot of the passport page, 44 characters each.")]
    Length,
    /// A character cannot stand where it stands.
    #[error("Use only A to Z, 0 to 9 and < in the passport's lines, as printed.")]
    Character,
    /// The first line does not begin with `P`: another document's zone.
    #[error("Give the lines of a passport; the first of them begins with P.")]
    DocumentKind,
    /// The document number and its check digit disagree, or there is none.
    #[error("Compare the document number at the start of the second line with the passport.")]
    DocumentNumber,
    /// The birth date and its check digit disagree, or it is no full date up to today.
    #[error("Compare the birth date in the second line with the passport.")]
    BirthDate,
    /// The expiry date and its check digit disagree, or it is further off than a passport lasts.
    #[error("Compare the expiry date in the second line with the passport.")]
    ExpiryDate,
    /// The optional part and its check digit disagree.
    #[error("Compare the last third of the second line with the passport.")]
    OptionalData,
    /// The digit over the whole second line disagrees.
    #[error("Compare the whole second line with the passport; its last digit does not match.")]
    Composite,
}

/// Tells the sex as the zone states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sex {
    /// `F` in the zone.
    Female,
    /// `M` in the zone.
    Male,
    /// `<` in the zone.
    Unspecified,
}

/// Holds what a passport's zone says, all five check digits verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mrz {
    /// The document number without filler.
    pub document_number: String,
    /// The issuing state as printed without filler: mostly ISO 3166-1, but `D` for Germany and ICAO's own.
    pub issuer: String,
    /// The nationality as printed without filler, coded like `issuer`.
    pub nationality: String,
    /// The surname in Latin capitals; no check digit covers it, and long names are cut.
    pub surname: String,
    /// The given names in Latin capitals; no check digit covers them, and long names are cut.
    pub given_names: String,
    /// The birth date, never after the day of reading.
    pub birth_date: NaiveDate,
    /// The stated sex.
    pub sex: Sex,
    /// The last day on which the passport is valid.
    pub expires_on: NaiveDate,
}

impl Mrz {
    /// Reads the two lines as on the day `today`, which decides the centuries.
    ///
    /// A birth date lies in the latest century that does not put it after `today`; an expiry date lies
    /// between ten years before and fifty years after `today`. Lower case is read as upper, and space
    /// around a line is ignored.
    ///
    /// # Errors
    ///
    /// The first [`MrzError`] in the order length, characters, kind, then along the second line.
    pub fn parse(line1: &str, line2: &str, today: NaiveDate) -> Result<Self, MrzError> {
        let (line1, line2) = (normal(line1)?, normal(line2)?);
        if !line1.starts_with('P') {
            return Err(MrzError::DocumentKind);
        }
        let number = &line2[0..9];
        if !matches(number, &line2[9..10]) || number.starts_with('<') {
            return Err(MrzError::DocumentNumber);
        }
        if !matches(&line2[13..19], &line2[19..20]) {
            return Err(MrzError::BirthDate);
        }
        let birth_date = birth_date(&line2[13..19], today).ok_or(MrzError::BirthDate)?;
        let sex = match &line2[20..21] {
            "F" => Sex::Female,
            "M" => Sex::Male,
            "<" => Sex::Unspecified,
            _ => return Err(MrzError::Character),
        };
        if !matches(&line2[21..27], &line2[27..28]) {
            return Err(MrzError::ExpiryDate);
        }
        let expires_on = expiry_date(&line2[21..27], today).ok_or(MrzError::ExpiryDate)?;
        let optional = &line2[28..42];
        // An empty optional part may carry a filler in place of its digit 0 (ICAO 9303-4, 4.2.2.2).
        let unused = optional.chars().all(|c| c == '<') && &line2[42..43] == "<";
        if !unused && !matches(optional, &line2[42..43]) {
            return Err(MrzError::OptionalData);
        }
        let composite = [&line2[0..10], &line2[13..20], &line2[21..43]].concat();
        if !matches(&composite, &line2[43..44]) {
            return Err(MrzError::Composite);
        }
        let (surname, given_names) = line1[5..].split_once("<<").unwrap_or((&line1[5..], ""));
        Ok(Self {
            document_number: unfilled(number),
            issuer: unfilled(&line1[2..5]),
            nationality: unfilled(&line2[10..13]),
            surname: unfilled(surname),
            given_names: unfilled(given_names),
            birth_date,
            sex,
            expires_on,
        })
    }

    /// Gives the nationality as a country, or `None` for ICAO's codes that name no country.
    #[must_use]
    pub fn citizenship(&self) -> Option<CountryCode> {
        // Germany alone has a one-letter code in travel documents (ICAO 9303-3, section 5).
        let code = if self.nationality == "D" { "DEU" } else { &self.nationality };
        CountryCode::parse(code).ok()
    }
}

/// Gives the line in upper case if it is 44 characters of the zone's alphabet.
fn normal(line: &str) -> Result<String, MrzError> {
    let line = line.trim().to_ascii_uppercase();
    if line.chars().count() != 44 {
        return Err(MrzError::Length);
    }
    if !line.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'<') {
        return Err(MrzError::Character);
    }
    Ok(line)
}

/// Tells whether `check` is the check digit of `text`: weights 7, 3, 1, modulo 10 (ICAO 9303-3, 4.9).
fn matches(text: &str, check: &str) -> bool {
    let sum: u32 = text
        .chars()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(c, weight)| c.to_digit(36).unwrap_or(0) * weight)
        .sum();
    check.parse() == Ok(sum % 10)
}

/// Gives the text with each run of fillers as one space.
fn unfilled(text: &str) -> String {
    text.split('<').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Gives the dates that `yymmdd` can mean in the century of `today` and its neighbours, latest first.
fn readings(yymmdd: &str, today: NaiveDate) -> Option<impl Iterator<Item = NaiveDate>> {
    if !yymmdd.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year: i32 = yymmdd[0..2].parse().ok()?;
    let month = yymmdd[2..4].parse().ok()?;
    let day = yymmdd[4..6].parse().ok()?;
    let century = today.year() - today.year().rem_euclid(100);
    let readings = [century + 100, century, century - 100];
    Some(readings.into_iter().filter_map(move |c| NaiveDate::from_ymd_opt(c + year, month, day)))
}

fn birth_date(yymmdd: &str, today: NaiveDate) -> Option<NaiveDate> {
    readings(yymmdd, today)?.find(|date| *date <= today)
}

fn expiry_date(yymmdd: &str, today: NaiveDate) -> Option<NaiveDate> {
    let earliest = today.checked_sub_months(Months::new(10 * 12))?;
    let latest = today.checked_add_months(Months::new(50 * 12))?;
    readings(yymmdd, today)?.find(|date| (earliest..=latest).contains(date))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE1: &str = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<";
    /// The specimen of ICAO 9303.
    const LINE2: &str = "L898902C36UTO7408122F1204159ZE184226B<<<<<10";

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    fn read(line2: &str) -> Result<Mrz, MrzError> {
        Mrz::parse(LINE1, line2, day(2015, 6, 1))
    }

    /// Replaces the character at `position`, counted from one as the standard does.
    fn with(position: usize, c: char) -> String {
        LINE2.chars().enumerate().map(|(i, old)| if i + 1 == position { c } else { old }).collect()
    }

    #[test]
    fn the_specimen_of_the_standard_is_read_in_full() {
        let mrz = read(LINE2).unwrap();
        assert_eq!(mrz.document_number, "L898902C3");
        assert_eq!((mrz.issuer.as_str(), mrz.nationality.as_str()), ("UTO", "UTO"));
        assert_eq!((mrz.surname.as_str(), mrz.given_names.as_str()), ("ERIKSSON", "ANNA MARIA"));
        assert_eq!(mrz.birth_date, day(1974, 8, 12));
        assert_eq!(mrz.expires_on, day(2012, 4, 15));
        assert_eq!(mrz.sex, Sex::Female);
        assert_eq!(mrz.citizenship(), None);
    }

    #[test]
    fn each_check_digit_is_verified_and_named() {
        assert_eq!(read(&with(2, '9')), Err(MrzError::DocumentNumber));
        assert_eq!(read(&with(10, '<')), Err(MrzError::DocumentNumber));
        assert_eq!(read(&with(19, '3')), Err(MrzError::BirthDate));
        assert_eq!(read(&with(27, '6')), Err(MrzError::ExpiryDate));
        assert_eq!(read(&with(30, 'F')), Err(MrzError::OptionalData));
        assert_eq!(read(&with(43, '<')), Err(MrzError::OptionalData));
        assert_eq!(read(&with(44, '1')), Err(MrzError::Composite));
    }

    #[test]
    fn length_characters_and_kind_are_verified_first() {
        assert_eq!(read(&LINE2[1..]), Err(MrzError::Length));
        assert_eq!(read(&with(1, 'Л')), Err(MrzError::Character));
        assert_eq!(read(&with(21, 'X')), Err(MrzError::Character));
        let visa = LINE1.replacen('P', "V", 1);
        assert_eq!(Mrz::parse(&visa, LINE2, day(2015, 6, 1)), Err(MrzError::DocumentKind));
    }

    #[test]
    fn lower_case_and_space_around_are_forgiven() {
        assert!(read(&format!(" {} ", LINE2.to_lowercase())).is_ok());
    }

    #[test]
    fn an_empty_optional_part_may_have_a_filler_for_its_digit() {
        // The composite digits were reckoned by hand from the standard's weights.
        for line2 in [
            "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<<8",
            "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<08",
        ] {
            assert!(read(line2).is_ok(), "{line2}");
        }
    }

    #[test]
    fn a_birth_date_is_never_in_the_future() {
        assert_eq!(birth_date("150601", day(2015, 6, 1)), Some(day(2015, 6, 1)));
        assert_eq!(birth_date("150602", day(2015, 6, 1)), Some(day(1915, 6, 2)));
        assert_eq!(birth_date("000229", day(2015, 6, 1)), Some(day(2000, 2, 29)));
        assert_eq!(birth_date("74<<<<", day(2015, 6, 1)), None);
        assert_eq!(birth_date("741301", day(2015, 6, 1)), None);
    }

    #[test]
    fn an_expiry_date_lies_between_ten_years_ago_and_fifty_years_ahead() {
        let today = day(2026, 1, 10);
        assert_eq!(expiry_date("160110", today), Some(day(2016, 1, 10)));
        assert_eq!(expiry_date("160109", today), None);
        assert_eq!(expiry_date("760110", today), Some(day(2076, 1, 10)));
        assert_eq!(expiry_date("760111", today), None);
        assert_eq!(expiry_date("020101", day(2098, 1, 1)), Some(day(2102, 1, 1)));
    }

    #[test]
    fn germany_s_one_letter_code_is_understood() {
        let mut mrz = read(LINE2).unwrap();
        mrz.nationality = "D".into();
        assert_eq!(mrz.citizenship().unwrap().as_str(), "DEU");
    }
}
