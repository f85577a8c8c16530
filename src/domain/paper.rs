//! Papers that the office prints: which of them an event calls for. How they look is `papers`' business.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::event::{Change, Event};
use super::form::{Employer, Form};
use super::identity::{Mrz, latin};
use super::permit::{Permit, PermitStatus};
use super::workflow::definition::Definition;

/// What the permit shows of the form; who changes any of it needs the permit printed anew.
const PRINTED: [&str; 11] = [
    "person.familyName",
    "person.givenName",
    "person.patronymic",
    "person.birthDate",
    "person.citizenship",
    "person.inn",
    "passport.number",
    "passport.mrz",
    "occupation.code",
    "occupation.title",
    "employer.name",
];

/// A kind of paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PaperKind {
    /// The permit.
    Permit,
    /// The letter that tells a decision: to grant, to refuse, not to take in, to annul.
    Decision,
}

impl PaperKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Permit, Self::Decision];

    /// Gives the name as it stands in JSON, in the database and in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Decision => "decision",
        }
    }

    /// Finds a kind by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Tells whether an event calls for a paper of this kind; `permit` is the permit after it.
    ///
    /// Paying another month calls for none: the permit says that it is prolonged by payment.
    #[must_use]
    pub fn is_called_for(self, event: &Event, permit: Option<&Permit>) -> bool {
        event.changes.iter().any(|change| match self {
            Self::Permit => match change {
                Change::PermitIssued { .. }
                | Change::PermitCorrected { .. }
                | Change::BlankPrinted { .. } => true,
                Change::FormReplaced { changed, .. } => {
                    let lasts = |permit: &Permit| {
                        matches!(permit.status, PermitStatus::InForce | PermitStatus::Suspended)
                    };
                    permit.is_some_and(lasts)
                        && changed.iter().any(|one| PRINTED.contains(&one.field.as_str()))
                }
                _ => false,
            },
            Self::Decision => matches!(
                change,
                Change::Decided { .. } | Change::PermitEnded { status: PermitStatus::Annulled, .. }
            ),
        })
    }
}

/// A holder's name in Latin letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatinName {
    /// The name.
    pub text: String,
    /// Whether the passport's machine-readable zone says so; else it is transliterated.
    pub of_passport: bool,
}

impl LatinName {
    /// Gives the name of a permit's holder, as the passport is read on a day.
    #[must_use]
    pub fn of(form: &Form, holder_name: &str, on: NaiveDate) -> Self {
        let lines = form.passport.as_ref().and_then(|passport| passport.mrz.as_ref());
        let zone = lines.and_then(|[first, second]| Mrz::parse(first, second, on).ok());
        let text = zone.map(|zone| format!("{} {}", zone.surname, zone.given_names));
        match text {
            Some(text) => Self { text: text.trim().to_owned(), of_passport: true },
            None => Self { text: latin(holder_name), of_passport: false },
        }
    }
}

/// Gives the employer that a permit names: on tracks that demand one, nobody else may employ its holder.
#[must_use]
pub fn bound_to<'f>(form: &'f Form, definition: &Definition) -> Option<&'f Employer> {
    let bound = definition.required_fields.iter().any(|field| field == "employer");
    form.employer.as_ref().filter(|_| bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::form::Passport;
    use crate::domain::identity::PassportNumber;

    #[test]
    fn the_passport_s_zone_says_how_a_name_is_written_and_without_one_it_is_transliterated() {
        let day = |year| NaiveDate::from_ymd_opt(year, 3, 2).unwrap();
        // The specimen of ICAO Doc 9303, part 4.
        let lines = [
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<".to_owned(),
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10".to_owned(),
        ];
        let passport = Passport {
            number: PassportNumber::parse("L898902C3").unwrap(),
            issued_on: day(2002),
            expires_on: day(2012),
            mrz: Some(lines),
        };
        let mut form = Form { passport: Some(passport), ..Form::default() };
        let name = LatinName::of(&form, "Эрикссон Анна", day(2010));
        assert_eq!(name, LatinName { text: "ERIKSSON ANNA MARIA".to_owned(), of_passport: true });
        form.passport = None;
        let name = LatinName::of(&form, "Эрикссон Анна", day(2010));
        assert_eq!(name, LatinName { text: "ERIKSSON ANNA".to_owned(), of_passport: false });
    }
}
