//! The application form as it travels: the same shape in requests and answers.
//!
//! [`FormBody`] fits the schema; [`FormBody::parse`] then asks what a schema cannot: check digits, dates that lie in
//! the right direction, a machine-readable zone that agrees with what was typed.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError, ValidationErrors};

use crate::domain::fee::Money;
use crate::domain::form::{
    Contact, Contract, Employer, Entry, Form, Occupation, Passport, Person, SalaryPeriod,
};
use crate::domain::identity::{CountryCode, EmailAddress, Inn, Mrz, Okved, PassportNumber, Sex};
use crate::domain::permit::PermitNumber;
use crate::error::Violation;

/// Sex as printed in the passport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SexBody {
    /// F.
    Female,
    /// M.
    Male,
    /// `<`.
    Unspecified,
}

/// For which period a salary is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SalaryPeriodBody {
    /// A calendar month.
    Month,
    /// Three months.
    Quarter,
    /// Twelve months.
    Year,
}

/// The language of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LanguageBody {
    /// English.
    En,
    /// Russian.
    Ru,
}

/// The worker.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PersonBody {
    /// Family name.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "Каримов")]
    pub family_name: String,
    /// Given name.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "Рустам")]
    pub given_name: String,
    /// Patronymic, where there is one.
    #[validate(length(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100, example = "Алишерович")]
    pub patronymic: Option<String>,
    /// Date of birth.
    #[schema(example = "1990-05-17")]
    pub birth_date: NaiveDate,
    /// Sex.
    pub sex: SexBody,
    /// Citizenship, ISO 3166-1 alpha-3.
    #[validate(length(equal = 3))]
    #[schema(min_length = 3, max_length = 3, pattern = "^[A-Z]{3}$", example = "UZB")]
    pub citizenship: String,
    /// Own taxpayer number (INN of a person), where there is one; it is printed on the permit.
    #[validate(length(equal = 12))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 12, max_length = 12, pattern = "^[0-9]{12}$", example = "500100732259")]
    pub inn: Option<String>,
}

/// The machine-readable zone of a passport (ICAO 9303, TD3).
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MrzBody {
    /// The upper line.
    #[validate(length(equal = 44))]
    #[schema(
        min_length = 44,
        max_length = 44,
        pattern = "^[A-Z0-9<]{44}$",
        example = "P<UZBKARIMOV<<RUSTAM<<<<<<<<<<<<<<<<<<<<<<<<"
    )]
    pub line1: String,
    /// The lower line, with the check digits.
    #[validate(length(equal = 44))]
    #[schema(
        min_length = 44,
        max_length = 44,
        pattern = "^[A-Z0-9<]{44}$",
        example = "FA12345672UZB9005174M3101011<<<<<<<<<<<<<<08"
    )]
    pub line2: String,
}

/// The passport.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassportBody {
    /// Series and number, Latin letters and digits.
    #[validate(length(min = 1, max = 24))]
    #[schema(min_length = 1, max_length = 24, example = "FA1234567")]
    pub number: String,
    /// Day of issue.
    #[schema(example = "2021-01-02")]
    pub issued_on: NaiveDate,
    /// Last day of validity.
    #[schema(example = "2031-01-01")]
    pub expires_on: NaiveDate,
    /// The machine-readable zone, when it was read.
    #[validate(nested)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mrz: Option<MrzBody>,
}

/// The entry into the country.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryBody {
    /// Day of entry.
    #[schema(example = "2026-11-10")]
    pub entered_on: NaiveDate,
    /// Series and number of the migration card with the purpose "work".
    #[validate(length(min = 1, max = 30))]
    #[schema(min_length = 1, max_length = 30, example = "4526 1234567")]
    pub migration_card: String,
    /// Number of the receipt of the fine for late filing, when filing late.
    #[validate(length(min = 1, max = 60))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 60, example = "18810277260000000001")]
    pub fine_receipt: Option<String>,
}

/// The work.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OccupationBody {
    /// Code of the profession: OKZ (OK 010-2014), four digits.
    #[validate(length(equal = 4), custom(function = "four_digits"))]
    #[schema(min_length = 4, max_length = 4, pattern = "^[0-9]{4}$", example = "7112")]
    pub code: String,
    /// Its name, as printed on the permit.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "Каменщик")]
    pub title: String,
}

/// The employer.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmployerBody {
    /// Tax number, ten or twelve digits with check digits.
    #[validate(length(min = 10, max = 12))]
    #[schema(
        min_length = 10,
        max_length = 12,
        pattern = "^([0-9]{10}|[0-9]{12})$",
        example = "7707083893"
    )]
    pub inn: String,
    /// Name.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, example = "ООО «Стройка»")]
    pub name: String,
    /// The activity for which the worker is hired, where it is known: a code of OKVED 2 (OK 029-2014).
    #[validate(length(min = 2, max = 8))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 2,
        max_length = 8,
        pattern = r"^[0-9]{2}(\.[0-9]{1,2}|\.[0-9]{2}\.[0-9]{1,2})?$",
        example = "41.20"
    )]
    pub okved: Option<String>,
}

/// The contract.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContractBody {
    /// Salary before tax for one period, in kopecks.
    #[validate(range(min = 1, max = 1_000_000_000_000_i64))]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 75_000_000)]
    pub salary_kopecks: i64,
    /// The period.
    pub salary_period: SalaryPeriodBody,
    /// First day of work.
    #[schema(example = "2026-12-15")]
    pub starts_on: NaiveDate,
    /// Last day; absent when it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2028-12-14")]
    pub ends_on: Option<NaiveDate>,
}

/// How to reach the applicant.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContactBody {
    /// E-mail address for messages.
    #[validate(length(min = 3, max = 254))]
    #[schema(min_length = 3, max_length = 254, format = "email", example = "rustam@example.org")]
    pub email: String,
    /// Telephone in E.164 form.
    #[validate(length(min = 4, max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 4,
        max_length = 16,
        pattern = "^\\+[1-9][0-9]{2,14}$",
        example = "+79990000000"
    )]
    pub phone: Option<String>,
    /// Language of messages.
    pub language: LanguageBody,
}

/// Everything an applicant states. A draft may leave sections out; the track says which must be there when it is
/// handed in (`GET /v1/workflows/{track}`).
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FormBody {
    /// The worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonBody>,
    /// The passport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passport: Option<PassportBody>,
    /// The entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryBody>,
    /// The work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupation: Option<OccupationBody>,
    /// The employer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employer: Option<EmployerBody>,
    /// The contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractBody>,
    /// How to reach the applicant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactBody>,
    /// Months of a monthly tax to be paid at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 12, example = 1)]
    pub prepaid_months: Option<u32>,
    /// Of a re-issue: the number of the permit that the new one is to take the place of. The days after entry do not count
    /// then; it must be handed in at the latest so many working days before the end as the track says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 13, example = "77-0000000016")]
    pub reissues: Option<String>,
}

impl FormBody {
    /// Tells whether nothing is stated.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                person: None,
                passport: None,
                entry: None,
                occupation: None,
                employer: None,
                contract: None,
                contact: None,
                prepaid_months: None,
                reissues: None,
            }
        )
    }
}

// By hand: the derive's own local variable `entry` would hide the section of that name.
impl Validate for FormBody {
    fn validate(&self) -> Result<(), ValidationErrors> {
        fn section<T: Validate>(
            sum: Result<(), ValidationErrors>,
            name: &'static str,
            section: Option<&T>,
        ) -> Result<(), ValidationErrors> {
            match section {
                Some(section) => ValidationErrors::merge(sum, name, section.validate()),
                None => sum,
            }
        }
        let sum = section(Ok(()), "person", self.person.as_ref());
        let sum = section(sum, "passport", self.passport.as_ref());
        let sum = section(sum, "entry", self.entry.as_ref());
        let sum = section(sum, "occupation", self.occupation.as_ref());
        let sum = section(sum, "employer", self.employer.as_ref());
        let sum = section(sum, "contract", self.contract.as_ref());
        let sum = section(sum, "contact", self.contact.as_ref());
        match self.prepaid_months {
            Some(months) if !(1..=12).contains(&months) => {
                let mut errors = sum.err().unwrap_or_default();
                let error = ValidationError::new("range")
                    .with_message("Send a number of months from 1 to 12.".into());
                errors.add("prepaid_months", error);
                Err(errors)
            }
            Some(_) | None => sum,
        }
    }
}

/// Refuses instants that no clock shows and the database cannot hold.
pub(super) fn of_our_time(at: &DateTime<Utc>) -> Result<(), ValidationError> {
    if (1990..2200).contains(&at.year()) {
        return Ok(());
    }
    Err(ValidationError::new("range").with_message("Send a time between 1990 and 2200.".into()))
}

fn four_digits(code: &str) -> Result<(), ValidationError> {
    if code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(ValidationError::new("pattern").with_message("Send the four digits of an OKZ code.".into()))
}

/// Collects what is wrong, with pointers.
struct Findings<'a> {
    base: &'a str,
    found: Vec<Violation>,
}

impl Findings<'_> {
    fn add(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.found.push(Violation::new(format!("{}{pointer}", self.base), code, detail));
    }

    fn take<T, E: std::fmt::Display>(
        &mut self,
        pointer: &str,
        code: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        parsed.map_err(|error| self.add(pointer, code, error.to_string())).ok()
    }

    fn not_after(&mut self, pointer: &str, date: NaiveDate, today: NaiveDate) {
        if date > today {
            self.add(pointer, "date-in-future", format!("Send a date not after today, {today}."));
        }
        if date.year() < 1900 {
            self.add(pointer, "date-too-early", "Send a date from 1900 on.");
        }
    }
}

impl FormBody {
    /// Asks what a schema cannot, and gives the form; `base` is the pointer of the form in the body.
    ///
    /// # Errors
    /// Everything wrong, all at once.
    pub fn parse(self, today: NaiveDate, base: &str) -> Result<Form, Vec<Violation>> {
        let mut findings = Findings { base, found: Vec::new() };
        let person = self.person.map(|one| one.parse(today, &mut findings));
        let passport = self.passport.map(|one| one.parse(today, &mut findings));
        let entry = self.entry.map(|one| {
            findings.not_after("/entry/enteredOn", one.entered_on, today);
            Entry {
                entered_on: one.entered_on,
                migration_card: one.migration_card,
                fine_receipt: one.fine_receipt,
            }
        });
        let employer = self.employer.map(|one| one.find("/employer", &mut findings));
        let contract = self.contract.map(|one| one.parse(&mut findings));
        let contact = self.contact.map(|one| one.parse(&mut findings));
        let reissues = self.reissues.and_then(|number| {
            findings.take("/reissues", "invalid-permit-number", PermitNumber::parse(&number))
        });
        if let (Some(Some(person)), Some(Some((passport, Some(mrz))))) = (&person, &passport) {
            agree(person, passport, mrz, &mut findings);
        }
        if !findings.found.is_empty() {
            return Err(findings.found);
        }
        Ok(Form {
            person: person.flatten(),
            passport: passport.flatten().map(|(passport, _)| passport),
            entry,
            occupation: self.occupation.map(|one| Occupation { code: one.code, title: one.title }),
            employer: employer.flatten(),
            contract: contract.flatten(),
            contact: contact.flatten(),
            prepaid_months: self.prepaid_months,
            reissues,
        })
    }
}

impl EmployerBody {
    /// Asks what a schema cannot; `base` is the pointer of the employer in the body.
    pub(super) fn parse(self, base: &str) -> Result<Employer, Vec<Violation>> {
        let mut findings = Findings { base, found: Vec::new() };
        let found = self.find("", &mut findings);
        found.filter(|_| findings.found.is_empty()).ok_or(findings.found)
    }

    fn find(self, place: &str, findings: &mut Findings<'_>) -> Option<Employer> {
        let inn = findings.take(&format!("{place}/inn"), "invalid-inn", Inn::parse(&self.inn));
        let okved = self.okved.map(|code| {
            findings.take(&format!("{place}/okved"), "invalid-okved", Okved::parse(&code))
        });
        Some(Employer { inn: inn?, name: self.name, okved: okved.flatten() })
    }
}

impl PersonBody {
    fn parse(self, today: NaiveDate, findings: &mut Findings<'_>) -> Option<Person> {
        findings.not_after("/person/birthDate", self.birth_date, today);
        let citizenship = findings.take(
            "/person/citizenship",
            "unknown-country",
            CountryCode::parse(&self.citizenship),
        );
        let inn = self.inn.map(|inn| findings.take("/person/inn", "invalid-inn", Inn::parse(&inn)));
        let (citizenship, inn) = (citizenship?, inn.map_or(Some(None), |inn| inn.map(Some))?);
        Some(Person {
            family_name: self.family_name,
            given_name: self.given_name,
            patronymic: self.patronymic,
            birth_date: self.birth_date,
            sex: match self.sex {
                SexBody::Female => Sex::Female,
                SexBody::Male => Sex::Male,
                SexBody::Unspecified => Sex::Unspecified,
            },
            citizenship,
            inn,
        })
    }
}

impl PassportBody {
    fn parse(
        self,
        today: NaiveDate,
        findings: &mut Findings<'_>,
    ) -> Option<(Passport, Option<Mrz>)> {
        findings.not_after("/passport/issuedOn", self.issued_on, today);
        if self.expires_on < self.issued_on {
            findings.add(
                "/passport/expiresOn",
                "dates-reversed",
                "The passport cannot expire before its day of issue.",
            );
        }
        let number = findings.take(
            "/passport/number",
            "invalid-passport-number",
            PassportNumber::parse(&self.number),
        );
        let mrz = match &self.mrz {
            None => None,
            Some(lines) => Some(findings.take(
                "/passport/mrz",
                "invalid-mrz",
                Mrz::parse(&lines.line1, &lines.line2, today),
            )?),
        };
        let passport = Passport {
            number: number?,
            issued_on: self.issued_on,
            expires_on: self.expires_on,
            mrz: self.mrz.map(|lines| [lines.line1, lines.line2]),
        };
        Some((passport, mrz))
    }
}

/// Asks that the machine-readable zone says what was typed. Names carry no check digit and are not compared.
fn agree(person: &Person, passport: &Passport, mrz: &Mrz, findings: &mut Findings<'_>) {
    let mut differs = |pointer: &str, what: &str| {
        findings.add(
            pointer,
            "mrz-disagrees",
            format!("The machine-readable zone states another {what}; correct one of them."),
        );
    };
    if mrz.document_number != passport.number.as_str() {
        differs("/passport/number", "number");
    }
    if mrz.expires_on != passport.expires_on {
        differs("/passport/expiresOn", "date of expiry");
    }
    if mrz.birth_date != person.birth_date {
        differs("/person/birthDate", "date of birth");
    }
    if mrz.citizenship().is_some_and(|code| code != person.citizenship) {
        differs("/person/citizenship", "nationality");
    }
}

impl ContractBody {
    fn parse(self, findings: &mut Findings<'_>) -> Option<Contract> {
        if self.ends_on.is_some_and(|end| end < self.starts_on) {
            findings.add(
                "/contract/endsOn",
                "dates-reversed",
                "The contract cannot end before it starts.",
            );
        }
        Some(Contract {
            salary: Money::from_kopecks(self.salary_kopecks)?,
            salary_period: match self.salary_period {
                SalaryPeriodBody::Month => SalaryPeriod::Month,
                SalaryPeriodBody::Quarter => SalaryPeriod::Quarter,
                SalaryPeriodBody::Year => SalaryPeriod::Year,
            },
            starts_on: self.starts_on,
            ends_on: self.ends_on,
        })
    }
}

impl ContactBody {
    fn parse(self, findings: &mut Findings<'_>) -> Option<Contact> {
        let email =
            findings.take("/contact/email", "invalid-email", EmailAddress::parse(&self.email));
        if let Some(phone) = &self.phone {
            let digits = phone.strip_prefix('+').unwrap_or_default();
            let e164 = (3..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.starts_with('0');
            if !e164 {
                findings.add(
                    "/contact/phone",
                    "invalid-phone",
                    "Send the number in E.164 form, as in +79990000000.",
                );
            }
        }
        Some(Contact {
            email: email?,
            phone: self.phone,
            language: match self.language {
                LanguageBody::En => "en".to_owned(),
                LanguageBody::Ru => "ru".to_owned(),
            },
        })
    }
}

impl From<&Form> for FormBody {
    fn from(form: &Form) -> Self {
        Self {
            person: form.person.as_ref().map(|one| PersonBody {
                family_name: one.family_name.clone(),
                given_name: one.given_name.clone(),
                patronymic: one.patronymic.clone(),
                birth_date: one.birth_date,
                sex: match one.sex {
                    Sex::Female => SexBody::Female,
                    Sex::Male => SexBody::Male,
                    Sex::Unspecified => SexBody::Unspecified,
                },
                citizenship: one.citizenship.as_str().to_owned(),
                inn: one.inn.as_ref().map(|inn| inn.as_str().to_owned()),
            }),
            passport: form.passport.as_ref().map(|one| PassportBody {
                number: one.number.as_str().to_owned(),
                issued_on: one.issued_on,
                expires_on: one.expires_on,
                mrz: one
                    .mrz
                    .as_ref()
                    .map(|[line1, line2]| MrzBody { line1: line1.clone(), line2: line2.clone() }),
            }),
            entry: form.entry.as_ref().map(|one| EntryBody {
                entered_on: one.entered_on,
                migration_card: one.migration_card.clone(),
                fine_receipt: one.fine_receipt.clone(),
            }),
            occupation: form
                .occupation
                .as_ref()
                .map(|one| OccupationBody { code: one.code.clone(), title: one.title.clone() }),
            employer: form.employer.as_ref().map(|one| EmployerBody {
                inn: one.inn.as_str().to_owned(),
                name: one.name.clone(),
                okved: one.okved.as_ref().map(ToString::to_string),
            }),
            contract: form.contract.as_ref().map(|one| ContractBody {
                salary_kopecks: one.salary.kopecks(),
                salary_period: match one.salary_period {
                    SalaryPeriod::Month => SalaryPeriodBody::Month,
                    SalaryPeriod::Quarter => SalaryPeriodBody::Quarter,
                    SalaryPeriod::Year => SalaryPeriodBody::Year,
                },
                starts_on: one.starts_on,
                ends_on: one.ends_on,
            }),
            contact: form.contact.as_ref().map(|one| ContactBody {
                email: one.email.as_str().to_owned(),
                phone: one.phone.clone(),
                language: if one.language == "ru" { LanguageBody::Ru } else { LanguageBody::En },
            }),
            prepaid_months: form.prepaid_months,
            reissues: form.reissues.as_ref().map(ToString::to_string),
        }
    }
}
