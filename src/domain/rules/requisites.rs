//! Whom charges are paid to, by region and day, read from `workflows/requisites.toml`.

use chrono::NaiveDate;

use super::rates::Rates;
use crate::domain::fee::gost::Order;
use crate::domain::fee::payee::{
    Account, Bic, Kbk, Kpp, Oktmo, Refund, RequisiteError, Requisites,
};
use crate::domain::ground::Confidence;
use crate::domain::identity::{IdentityError, Inn};
use crate::domain::workflow::definition::Definition;
use crate::domain::workflow::source::table::{Reading, Section, advice};
use crate::domain::workflow::source::{Problem, Rule};

/// Holds the payees of an office's charges and the codes under which these are booked.
///
/// A charge is paid to the payee whose administrator the first three digits of its KBK name, of the unit or else of the
/// region. An entry holds from its first day until the next of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payees {
    payees: Vec<Payee>,
    codes: Vec<Code>,
}

/// One who gets money.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Payee {
    administrator: String,
    region: String,
    unit: Option<String>,
    from: NaiveDate,
    name: String,
    inn: Inn,
    kpp: Kpp,
    account: Account,
    bank: String,
    bic: Bic,
    correspondent_account: Account,
    oktmo: Oktmo,
    confidence: Confidence,
    line: usize,
}

/// What the charges of one rate are booked under.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Code {
    rate: String,
    from: NaiveDate,
    kbk: Kbk,
    purpose: String,
    tech_code: String,
    refund: Refund,
    confidence: Confidence,
    line: usize,
}

impl Payees {
    /// Reads payees and codes from TOML; `file` names it in problems.
    ///
    /// # Errors
    ///
    /// Everything wrong with the file: numbers that break their rule, an account whose key does not go with its bank, what
    /// is too long for a payment's QR, an administrator that no payee has.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (mut reading, document) = Reading::begin(file, text);
        let (mut payees, mut codes) = (Vec::new(), Vec::new());
        if let Some(mut root) = reading.section(&document, "the file") {
            for section in root.sections(&mut reading, "payee") {
                payees.extend(payee(&mut reading, section));
            }
            for section in root.sections(&mut reading, "code") {
                codes.extend(code(&mut reading, section));
            }
            root.finish(&mut reading);
        }
        let read = Self { payees, codes };
        read.check(&mut reading);
        let mut problems = reading.finish();
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    fn check(&self, r: &mut Reading<'_>) {
        for (index, payee) in self.payees.iter().enumerate() {
            let earlier = self.payees.iter().take(index).find(|earlier| {
                earlier.administrator == payee.administrator
                    && (&earlier.region, &earlier.unit) == (&payee.region, &payee.unit)
                    && earlier.from == payee.from
            });
            if let Some(earlier) = earlier {
                let message = format!(
                    "the payee {} of region {} is given twice for {} (also in line {})",
                    payee.administrator, payee.region, payee.from, earlier.line
                );
                r.report(Rule::W01, payee.line, message, "remove one of them");
            }
        }
        for (index, code) in self.codes.iter().enumerate() {
            let same = |one: &&Code| one.rate == code.rate && one.from == code.from;
            if let Some(earlier) = self.codes.iter().take(index).find(same) {
                let message = format!(
                    "the code of \"{}\" is given twice for {} (also in line {})",
                    code.rate, code.from, earlier.line
                );
                r.report(Rule::W01, code.line, message, "remove one of them");
            }
            let administrator = code.kbk.administrator();
            if !self.payees.iter().any(|payee| payee.administrator == administrator) {
                let message = format!("no payee has the administrator {administrator} of this KBK");
                let remedy = "add a [[payee]] with it, or mend the KBK's first three digits";
                r.report(Rule::W01, code.line, message, remedy);
            }
        }
        for payee in &self.payees {
            for code in self.codes.iter().filter(|code| code.is_of(payee)) {
                let requisites = requisites(payee, code);
                if let Err(error) = order(&requisites) {
                    let message = format!("the payment order of \"{}\": {error}", code.rate);
                    let remedy = "shorten the names (GOST R 56042-2014)";
                    r.report(Rule::Syntax, payee.line, message, remedy);
                    break;
                }
            }
        }
    }

    /// Says what the file lacks for a definition, and which rates it names that there are not.
    pub(super) fn problems_of(&self, file: &str, definition: &Definition) -> Vec<Problem> {
        let lacks = |rate: &str| !self.codes.iter().any(|code| code.rate == rate);
        definition
            .fees
            .iter()
            .filter(|fee| lacks(&fee.rate))
            .map(|fee| Problem {
                file: file.to_owned(),
                line: 1,
                rule: Rule::W01,
                message: format!(
                    "the rate \"{}\" of the fee \"{}\" on the track \"{}\" has no code",
                    fee.rate, fee.id, definition.track
                ),
                remedy: format!("add a [[code]] with `rate = \"{}\"`", fee.rate),
            })
            .collect()
    }

    /// Names the codes of rates that there are not.
    pub(super) fn unknown_rates(&self, file: &str, rates: &Rates) -> Vec<Problem> {
        self.codes
            .iter()
            .filter(|code| !rates.has_price(&code.rate))
            .map(|code| Problem {
                file: file.to_owned(),
                line: code.line,
                rule: Rule::W01,
                message: format!("rate \"{}\" is not in the rates", code.rate),
                remedy: advice(&code.rate, rates.price_names()),
            })
            .collect()
    }

    /// Finds to whom a charge is paid that is made on a day in a unit of a region; `None` where nobody said.
    #[must_use]
    pub fn find(&self, rate: &str, unit: &str, region: &str, on: NaiveDate) -> Option<Requisites> {
        let codes = self.codes.iter().filter(|code| code.rate == rate && code.from <= on);
        let code = codes.max_by_key(|code| code.from)?;
        let payees = self.payees.iter().filter(|payee| {
            code.is_of(payee)
                && payee.region == region
                && payee.unit.as_deref().is_none_or(|own| own == unit)
                && payee.from <= on
        });
        // The unit's own before the region's, then the latest.
        let payee = payees.max_by_key(|payee| (payee.unit.is_some(), payee.from))?;
        Some(requisites(payee, code))
    }

    /// Tells whether anything in the file is an assumption, which an administrator must confirm.
    #[must_use]
    pub fn assumes(&self) -> bool {
        let payees = self.payees.iter().map(|one| one.confidence);
        let codes = self.codes.iter().map(|one| one.confidence);
        payees.chain(codes).any(|one| one == Confidence::Assumption)
    }
}

impl Code {
    fn is_of(&self, payee: &Payee) -> bool {
        payee.administrator == self.kbk.administrator()
    }
}

fn requisites(payee: &Payee, code: &Code) -> Requisites {
    Requisites {
        name: payee.name.clone(),
        inn: payee.inn.clone(),
        kpp: payee.kpp.clone(),
        account: payee.account.clone(),
        bank: payee.bank.clone(),
        bic: payee.bic.clone(),
        correspondent_account: payee.correspondent_account.clone(),
        oktmo: payee.oktmo.clone(),
        kbk: code.kbk.clone(),
        purpose: code.purpose.clone(),
        tech_code: code.tech_code.clone(),
        refund: code.refund,
    }
}

/// Tries what a payment order would say, with the longest amount and UIN.
fn order(to: &Requisites) -> Result<(), crate::domain::fee::gost::GostError> {
    let Requisites { account, bic, correspondent_account, .. } = to.clone();
    Order::new(&to.name, account, &to.bank, bic, correspondent_account)?
        .with("Sum", "999999999999999999")?
        .with("Purpose", &to.purpose)?
        .with("UIN", "9999999999999999999999999")?
        .with("TechCode", &to.tech_code)?
        .write()
        .map(drop)
}

/// Reads one of the texts that have a rule of their own; what breaks it is reported with its line.
fn parsed<'t, T, E: std::fmt::Display>(
    r: &mut Reading<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let value = s.need(r, key)?;
    let (line, text) = (r.line(value), r.text(value, key)?);
    match parse(&text) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            r.report(Rule::Syntax, line, format!("`{key}` is \"{text}\""), error.to_string());
            None
        }
    }
}

fn payee<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> Option<Payee> {
    let line = s.line;
    let administrator = parsed(r, &mut s, "administrator", |text| {
        let sound = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        sound.then(|| text.to_owned()).ok_or("give the first three digits of its KBKs, such as 188")
    });
    let region = s.text(r, "region");
    let unit = s.maybe_text(r, "unit");
    let from = s.date(r, "from");
    let name = s.text(r, "name");
    let inn = parsed(r, &mut s, "inn", |text| {
        Inn::parse(text).and_then(|inn| match inn.is_person() {
            true => Err(IdentityError::InnLength),
            false => Ok(inn),
        })
    });
    let kpp = parsed(r, &mut s, "kpp", Kpp::parse);
    let account = s.take("account").map(|value| r.line(value)).unwrap_or(line);
    let correspondent = s.take("correspondent_account").map(|value| r.line(value)).unwrap_or(line);
    let lines = (account, correspondent);
    let account = parsed(r, &mut s, "account", Account::parse);
    let bank = s.text(r, "bank");
    let bic = parsed(r, &mut s, "bic", Bic::parse);
    let correspondent_account = parsed(r, &mut s, "correspondent_account", Account::parse);
    let oktmo = parsed(r, &mut s, "oktmo", Oktmo::parse);
    let confidence = confidence(r, &mut s);
    s.finish(r);
    let (account, bic, correspondent_account) = (account?, bic?, correspondent_account?);
    for (key, account, line) in
        [("account", &account, lines.0), ("correspondent_account", &correspondent_account, lines.1)]
    {
        if !account.fits(&bic) {
            let message = format!("`{key}` {account} is no account of the bank {bic}");
            r.report(Rule::Syntax, line, message, RequisiteError::AccountKey.to_string());
        }
    }
    Some(Payee {
        administrator: administrator?,
        region,
        unit,
        from,
        name,
        inn: inn?,
        kpp: kpp?,
        account,
        bank,
        bic,
        correspondent_account,
        oktmo: oktmo?,
        confidence,
        line,
    })
}

fn code<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> Option<Code> {
    let line = s.line;
    let rate = s.text(r, "rate");
    let from = s.date(r, "from");
    let kbk = parsed(r, &mut s, "kbk", Kbk::parse);
    let purpose = s.text(r, "purpose");
    let tech_code = parsed(r, &mut s, "tech_code", |text| {
        let sound = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        sound.then(|| text.to_owned()).ok_or("give two digits, such as 05")
    });
    let refund = match s.text(r, "refund").as_str() {
        "overpayment" => Refund::Overpayment,
        "unused" => Refund::Unused,
        other => {
            r.undefined(s.line, "refund", other, ["overpayment", "unused"]);
            Refund::Overpayment
        }
    };
    let confidence = confidence(r, &mut s);
    s.finish(r);
    Some(Code { rate, from, kbk: kbk?, purpose, tech_code: tech_code?, refund, confidence, line })
}

fn confidence<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Confidence {
    s.text(r, "source");
    super::rates::confidence(r, s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "workflows/requisites.toml";

    fn shipped() -> &'static str {
        let files = crate::domain::workflow::embedded::FILES;
        files.iter().find(|(path, _)| *path == FILE).unwrap().1
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Gives what is said of the shipped file when the first `old` in it is `new`, as `line: message`.
    fn mistakes(old: &str, new: &str) -> Vec<String> {
        assert!(shipped().contains(old), "{old}");
        let text = shipped().replacen(old, new, 1);
        let problems = Payees::parse(FILE, &text).err().unwrap_or_default();
        problems
            .iter()
            .map(|one| format!("{}: {}; {}", one.line, one.message, one.remedy))
            .collect()
    }

    /// Gives the first line in which a text stands.
    fn line(text: &str) -> usize {
        1 + shipped().lines().position(|line| line.starts_with(text)).unwrap()
    }

    #[test]
    fn every_fee_of_every_office_of_the_demo_has_its_payee() {
        let payees = Payees::parse(FILE, shipped()).unwrap();
        for rate in ["patent.stateDuty", "patent.monthlyTax", "hqs.stateDuty"] {
            for region in ["77", "78", "50"] {
                let found = payees.find(rate, region, region, day("2026-03-01")).unwrap();
                let tax = if rate.ends_with("Tax") { "182" } else { "188" };
                assert_eq!(found.kbk.administrator(), tax);
                assert_eq!(found.refund == Refund::Unused, rate.ends_with("Tax"));
            }
        }
        assert!(payees.assumes(), "what is shipped must be confirmed by the office");
        assert_eq!(payees.find("patent.stateDuty", "99", "99", day("2026-03-01")), None);
        assert_eq!(payees.find("patent.stateDuty", "77", "77", day("2014-12-31")), None);
    }

    #[test]
    fn a_units_own_payee_goes_before_the_regions_and_a_later_one_before_an_earlier() {
        let first = shipped().find("[[payee]]").unwrap();
        let payee = &shipped()[first..first + shipped()[first + 1..].find("\n\n").unwrap() + 2];
        let own = payee.replacen("region = \"77\"", "region = \"77\"\nunit = \"77-02\"", 1);
        let own = own.replacen("name = \"", "name = \"Own ", 1);
        let later = payee.replacen("from = 2015-01-01", "from = 2026-07-01", 1);
        let later = later.replacen("name = \"", "name = \"New ", 1);
        let payees = Payees::parse(FILE, &format!("{}\n{own}\n{later}", shipped())).unwrap();
        let name = |unit, on| payees.find("patent.stateDuty", unit, "77", day(on)).unwrap().name;
        assert!(name("77-02", "2026-08-01").starts_with("Own "));
        assert!(name("77", "2026-07-01").starts_with("New "));
        assert!(!name("77", "2026-06-30").starts_with("New "));
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_what_to_do() {
        let one = |old: &str, new: &str, key: &str, words: &str| {
            let said = mistakes(old, new);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(&format!("{}: ", line(key))), "{said:?}");
            assert!(said[0].contains(words), "{said:?}");
        };
        one("bic = \"0", "bic = \"", "bic = ", "BIC as 9 digits");
        one("account = \"40101810", "account = \"40101811", "account = ", "no account of the bank");
        one("kbk = \"188", "kbk = \"18", "kbk = ", "KBK as 20 digits");
        one("kbk = \"188", "kbk = \"199", "[[code]]", "no payee has the administrator 199");
        one("oktmo = \"", "oktmo = \"0", "oktmo = ", "OKTMO as 8 digits");
        one("kpp = \"", "kpp = \"0", "kpp = ", "KPP as 9 characters");
        one("tech_code = \"05", "tech_code = \"5", "tech_code = ", "two digits");
        one("refund = \"overpayment", "refund = \"all", "[[code]]", "\"all\" is not defined");
        one("inn = \"", "inn = \"1", "inn = ", "INN as 10 digits");
        one(
            "bank = \"",
            &format!("bank = \"{}", "x".repeat(40)),
            "[[payee]]",
            "the standard allows 45",
        );
        one("name = \"", &format!("name = \"{}", "я".repeat(100)), "[[payee]]", "allows 300");
    }

    #[test]
    fn a_check_digit_of_the_inn_that_is_wrong_is_noticed() {
        let at = shipped().find("inn = \"").unwrap() + 7;
        let inn = &shipped()[at..at + 10];
        let last = inn.as_bytes()[9] - b'0';
        let wrong = format!("{}{}", &inn[..9], (last + 1) % 10);
        let said = mistakes(inn, &wrong);
        assert!(said.len() == 1 && said[0].contains("check digits"), "{said:?}");
    }

    #[test]
    fn an_entry_given_twice_is_refused() {
        let twice = format!("{}\n{}", shipped(), shipped());
        let problems = Payees::parse(FILE, &twice).unwrap_err();
        assert!(problems.iter().all(|one| one.message.contains("given twice")), "{problems:?}");
    }
}
