//! What the applicant states: one form for every track; a definition says which sections it requires.
//!
//! Values here have been parsed at the edge; rules that depend on the day are guards of the engine.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fee::Money;
pub use super::identity::Sex;
use super::identity::{CountryCode, EmailAddress, Inn, Okved, PassportNumber};
use super::permit::PermitNumber;

/// The worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Family name as in the notarised translation of the passport.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// Patronymic, where there is one.
    pub patronymic: Option<String>,
    /// Date of birth.
    pub birth_date: NaiveDate,
    /// Sex.
    pub sex: Sex,
    /// Citizenship, ISO 3166-1 alpha-3.
    pub citizenship: CountryCode,
    /// Own taxpayer number, where there is one: the patent shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inn: Option<Inn>,
}

impl Person {
    /// Gives the full name in Russian order.
    #[must_use]
    pub fn full_name(&self) -> String {
        let mut name = format!("{} {}", self.family_name, self.given_name);
        if let Some(patronymic) = &self.patronymic {
            name.push(' ');
            name.push_str(patronymic);
        }
        name
    }
}

/// The passport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passport {
    /// Series and number.
    pub number: PassportNumber,
    /// Day of issue.
    pub issued_on: NaiveDate,
    /// Last day of validity.
    pub expires_on: NaiveDate,
    /// The two lines of the machine-readable zone (ICAO 9303 TD3), check digits verified.
    pub mrz: Option<[String; 2]>,
}

/// The entry into the country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Day of entry.
    pub entered_on: NaiveDate,
    /// Series and number of the migration card.
    pub migration_card: String,
    /// Number of the receipt of the fine for late filing, when filing late.
    pub fine_receipt: Option<String>,
}

/// The work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Occupation {
    /// Code of the profession: OKZ (OK 010-2014), four digits.
    pub code: String,
    /// Its name, as printed on the permit.
    pub title: String,
}

/// The employer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Employer {
    /// Tax number with verified check digits.
    pub inn: Inn,
    /// Name.
    pub name: String,
    /// The activity for which he hires, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub okved: Option<Okved>,
}

/// For which period a salary is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SalaryPeriod {
    /// A calendar month.
    Month,
    /// A quarter: three months.
    Quarter,
    /// A year: twelve months.
    Year,
}

impl SalaryPeriod {
    /// Gives the period's length in months.
    #[must_use]
    pub const fn months(self) -> i64 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

/// The employment or civil contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// Salary before tax for one period.
    pub salary: Money,
    /// The period.
    pub salary_period: SalaryPeriod,
    /// First day of work (the planned entry, for a highly qualified specialist).
    pub starts_on: NaiveDate,
    /// Last day; `None` when it has no end.
    pub ends_on: Option<NaiveDate>,
}

/// How to reach the applicant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// E-mail address for messages.
    pub email: EmailAddress,
    /// Telephone in E.164 form.
    pub phone: Option<String>,
    /// Language of messages (one of `LANGUAGES`).
    pub language: String,
}

/// Everything an applicant states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Form {
    /// The worker.
    pub person: Option<Person>,
    /// The passport.
    pub passport: Option<Passport>,
    /// The entry.
    pub entry: Option<Entry>,
    /// The work.
    pub occupation: Option<Occupation>,
    /// The employer.
    pub employer: Option<Employer>,
    /// The contract.
    pub contract: Option<Contract>,
    /// How to reach the applicant.
    pub contact: Option<Contact>,
    /// Months of a monthly fee to be paid at once, 1 to 12.
    pub prepaid_months: Option<u32>,
    /// The permit that this one is to take the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reissues: Option<PermitNumber>,
}

/// Tells whether a part of the form is filled in.
pub type Present = fn(&Form) -> bool;

/// The parts of the form that a definition can require, by name.
pub const FIELDS: [(&str, Present); 8] = [
    ("person", |form| form.person.is_some()),
    ("passport", |form| form.passport.is_some()),
    ("entry", |form| form.entry.is_some()),
    ("occupation", |form| form.occupation.is_some()),
    ("employer", |form| form.employer.is_some()),
    ("contract", |form| form.contract.is_some()),
    ("contact", |form| form.contact.is_some()),
    ("prepaidMonths", |form| form.prepaid_months.is_some()),
];

/// The parts of the form that a register can be sent: `section.field`.
pub const PARTS: [&str; 24] = [
    "person.familyName",
    "person.givenName",
    "person.patronymic",
    "person.birthDate",
    "person.sex",
    "person.citizenship",
    "person.inn",
    "passport.number",
    "passport.issuedOn",
    "passport.expiresOn",
    "passport.mrz",
    "entry.enteredOn",
    "entry.migrationCard",
    "entry.fineReceipt",
    "occupation.code",
    "occupation.title",
    "employer.inn",
    "employer.name",
    "employer.okved",
    "contract.salary",
    "contract.salaryPeriod",
    "contract.startsOn",
    "contract.endsOn",
    "prepaidMonths",
];

/// How the applicant is reached: no register's business.
const CONTACT: [&str; 3] = ["contact.email", "contact.phone", "contact.language"];

/// Every field of the form, by section.
fn fields() -> impl Iterator<Item = &'static str> {
    PARTS.into_iter().chain(CONTACT)
}

/// Gives the section that a path names, alone (`person`) or with one of its fields (`person.familyName`).
#[must_use]
pub fn section_of(path: &str) -> Option<&'static str> {
    let (section, field) = path.split_once('.').unwrap_or((path, ""));
    let (name, _) = FIELDS.iter().find(|(name, _)| *name == section)?;
    (field.is_empty() || fields().any(|known| known == path)).then_some(*name)
}

/// One field of the form before and after it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The field: `person.familyName`.
    pub field: String,
    /// What was stated; `None` where nothing was.
    pub before: Option<Value>,
    /// What is stated now; `None` where nothing is.
    pub after: Option<Value>,
}

impl Form {
    /// Names the sections that are filled in.
    pub fn sections(&self) -> impl Iterator<Item = &'static str> {
        FIELDS.iter().filter(|(_, present)| present(self)).map(|(name, _)| *name)
    }

    /// Gives the form with every section that `other` fills in in place of its own.
    #[must_use]
    pub fn replaced_by(&self, other: &Self) -> Self {
        let (own, other) = (self.clone(), other.clone());
        Self {
            person: other.person.or(own.person),
            passport: other.passport.or(own.passport),
            entry: other.entry.or(own.entry),
            occupation: other.occupation.or(own.occupation),
            employer: other.employer.or(own.employer),
            contract: other.contract.or(own.contract),
            contact: other.contact.or(own.contact),
            prepaid_months: other.prepaid_months.or(own.prepaid_months),
            reissues: other.reissues.or(own.reissues),
        }
    }

    /// Names every field that is not the same in `after`.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<FieldChange> {
        let stated = |form: &Self| serde_json::to_value(form).unwrap_or_default();
        let (before, after) = (stated(self), stated(after));
        let mut changes = Vec::new();
        for path in fields() {
            let pointer = format!("/{}", path.replace('.', "/"));
            let value = |form: &Value| form.pointer(&pointer).filter(|one| !one.is_null()).cloned();
            let (old, new) = (value(&before), value(&after));
            if old != new {
                changes.push(FieldChange { field: path.to_owned(), before: old, after: new });
            }
        }
        changes
    }

    /// Gives these parts of the form and nothing else, in the form's own shape; a part that is not stated is left out.
    #[must_use]
    pub fn excerpt(&self, parts: &[String]) -> Map<String, Value> {
        let mut excerpt = Map::new();
        let whole = serde_json::to_value(self).unwrap_or(Value::Null);
        for part in parts {
            let (section, field) = part.split_once('.').unwrap_or((part, ""));
            let stated = whole.get(section).map(|found| match field {
                "" => Some(found),
                field => found.get(field),
            });
            let Some(stated) = stated.flatten().filter(|value| !value.is_null()) else { continue };
            if field.is_empty() {
                excerpt.insert(section.to_owned(), stated.clone());
            } else if let Some(fields) =
                excerpt.entry(section).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
            {
                fields.insert(field.to_owned(), stated.clone());
            }
        }
        excerpt
    }

    /// Gives the key by which two applications of one person are recognised: citizenship and passport number.
    #[must_use]
    pub fn person_key(&self) -> Option<String> {
        let person = self.person.as_ref()?;
        let passport = self.passport.as_ref()?;
        Some(person_key(&person.citizenship, &passport.number))
    }
}

/// Gives the key of whoever has this citizenship and passport: see [`Form::person_key`].
#[must_use]
pub fn person_key(citizenship: &CountryCode, passport: &PassportNumber) -> String {
    format!("{}:{}", citizenship.as_str(), passport.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Form {
        serde_json::from_value(serde_json::json!({
            "person": {"familyName": "Каримов", "givenName": "Рустам", "patronymic": "Алишерович",
                "birthDate": "1990-05-17", "sex": "male", "citizenship": "UZB", "inn": "500100732259"},
            "passport": {"number": "FA1234567", "issuedOn": "2021-01-02", "expiresOn": "2031-01-01",
                "mrz": ["P<", "FA"]},
            "entry": {"enteredOn": "2026-03-05", "migrationCard": "4526 1234567", "fineReceipt": "1"},
            "occupation": {"code": "7112", "title": "Каменщик"},
            "employer": {"inn": "7707083893", "name": "ООО «Стройка»", "okved": "41.20"},
            "contract": {"salary": 90_000_000, "salaryPeriod": "quarter", "startsOn": "2026-04-01",
                "endsOn": "2027-04-01"},
            "prepaidMonths": 2,
        }))
        .unwrap()
    }

    #[test]
    fn every_part_that_can_be_sent_is_one_of_the_form() {
        for part in PARTS {
            let sent = Value::Object(full().excerpt(&[part.to_owned()]));
            let pointer = format!("/{}", part.replace('.', "/"));
            assert!(sent.pointer(&pointer).is_some_and(|value| !value.is_null()), "{part}: {sent}");
        }
    }

    #[test]
    fn an_excerpt_holds_what_was_named_and_nothing_else() {
        let named = ["person.familyName", "passport.number", "prepaidMonths"].map(str::to_owned);
        let expected = serde_json::json!({"person": {"familyName": "Каримов"},
            "passport": {"number": "FA1234567"}, "prepaidMonths": 2});
        assert_eq!(Value::Object(full().excerpt(&named)), expected);
        assert_eq!(Form::default().excerpt(&named), Map::new());
    }
}
