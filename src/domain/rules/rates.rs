//! Amounts, factors and thresholds by the day from which they hold, read from `workflows/rates.toml`.

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::fee::Money;
use crate::domain::form::SalaryPeriod;
use crate::domain::ground::Confidence;
use crate::domain::workflow::source::table::{Reading, Section};
use crate::domain::workflow::source::{Problem, Rule};

/// Holds every rate of an office.
///
/// An entry holds from its first day up to and including its last, or until the next entry of its name and
/// region. Between entries there is nothing: a price is then missing, not guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    amounts: Vec<Entry<Money>>,
    factors: Vec<Entry<Decimal>>,
    formulas: Vec<Entry<Formula>>,
    thresholds: Vec<Entry<Threshold>>,
}

/// An amount to be charged and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// What is owed.
    pub amount: Money,
    /// The calculation with its inputs, for the record.
    pub rule: String,
}

/// A salary that must be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// How much.
    pub amount: Money,
    /// For which period.
    pub period: SalaryPeriod,
}

/// Says that there is no rate of a name for a day and region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "There is no usable rate {name}{} on {on}; an administrator must add it to the rates.",
    self.region.as_deref().map(|region| format!(" for region {region}")).unwrap_or_default()
)]
pub struct MissingRate {
    /// The rate's name.
    pub name: String,
    /// The region, where the rate depends on it.
    pub region: Option<String>,
    /// The day asked for.
    pub on: NaiveDate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<T> {
    name: String,
    region: Option<String>,
    from: NaiveDate,
    to: Option<NaiveDate>,
    value: T,
    source: String,
    confidence: Confidence,
    line: usize,
}

/// A positive decimal number of at most eight digits: `digits` divided by ten to the power of `scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    digits: i128,
    scale: u32,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Formula {
    base: String,
    factors: Vec<String>,
}

/// Bounds that keep every product within 128 bits.
const MAX_DIGITS: usize = 8;
const MAX_FACTORS: usize = 3;
const MAX_KOPECKS: i64 = 1_000_000_000_000;

impl Rates {
    /// Reads rates from TOML; `file` names it in problems.
    ///
    /// # Errors
    ///
    /// Everything wrong with the file: wrong types, names of formulas that are not defined, entries of one
    /// name and region that hold on the same day.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (mut reading, document) = Reading::begin(file, text);
        let mut rates = Self {
            amounts: Vec::new(),
            factors: Vec::new(),
            formulas: Vec::new(),
            thresholds: Vec::new(),
        };
        if let Some(root) = reading.section(&document, "the file") {
            rates.read(&mut reading, root);
        }
        rates.check(&mut reading);
        let mut problems = reading.finish();
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(rates) } else { Err(problems) }
    }

    fn read<'t>(&mut self, r: &mut Reading<'t>, mut root: Section<'_, 't>) {
        for section in root.sections(r, "amount") {
            self.amounts.push(entry(r, section, money));
        }
        for section in root.sections(r, "factor") {
            self.factors.push(entry(r, section, |r, s| {
                let text = s.text(r, "value");
                Decimal::parse(&text).unwrap_or_else(|| {
                    let message = format!("\"{text}\" is not a decimal number");
                    let remedy = "write digits with a point, in quotes, such as \"2.594\"";
                    r.report(Rule::Syntax, s.line, message, remedy);
                    Decimal { digits: 0, scale: 0, text: String::new() }
                })
            }));
        }
        for section in root.sections(r, "formula") {
            self.formulas.push(entry(r, section, |r, s| {
                let base = s.text(r, "base");
                let factors: Vec<_> =
                    s.texts_in_list(r, "factors").into_iter().map(|(name, _)| name).collect();
                if factors.len() > MAX_FACTORS {
                    let message = format!("a formula has more than {MAX_FACTORS} factors");
                    r.report(Rule::Syntax, s.line, message, "multiply some of them beforehand");
                }
                Formula { base, factors }
            }));
        }
        for section in root.sections(r, "threshold") {
            self.thresholds.push(entry(r, section, |r, s| {
                let amount = money(r, s);
                let period = match s.text(r, "period").as_str() {
                    "month" => SalaryPeriod::Month,
                    "quarter" => SalaryPeriod::Quarter,
                    "year" => SalaryPeriod::Year,
                    other => {
                        r.undefined(s.line, "period", other, ["month", "quarter", "year"]);
                        SalaryPeriod::Month
                    }
                };
                Threshold { amount, period }
            }));
        }
        root.finish(r);
    }

    fn check(&self, r: &mut Reading<'_>) {
        check_dates(r, &self.amounts);
        check_dates(r, &self.factors);
        check_dates(r, &self.formulas);
        check_dates(r, &self.thresholds);
        for formula in &self.formulas {
            if !self.amounts.iter().any(|amount| amount.name == formula.value.base) {
                let known = self.amounts.iter().map(|amount| amount.name.as_str());
                r.undefined(formula.line, "amount", &formula.value.base, known);
            }
            for factor in &formula.value.factors {
                if !self.factors.iter().any(|known| known.name == *factor) {
                    let known = self.factors.iter().map(|factor| factor.name.as_str());
                    r.undefined(formula.line, "factor", factor, known);
                }
            }
        }
    }

    /// Tells whether there is any price of the name, on whatever day.
    #[must_use]
    pub fn has_price(&self, rate: &str) -> bool {
        self.price_names().any(|name| name == rate)
    }

    /// Gives the names of every price, with repetitions.
    pub fn price_names(&self) -> impl Iterator<Item = &str> {
        let amounts = self.amounts.iter().map(|entry| entry.name.as_str());
        amounts.chain(self.formulas.iter().map(|entry| entry.name.as_str()))
    }

    /// Gives the names of every threshold, with repetitions.
    pub fn threshold_names(&self) -> impl Iterator<Item = &str> {
        self.thresholds.iter().map(|entry| entry.name.as_str())
    }

    /// Reckons what a rate costs in a region on a day for a number of months (1 for what is paid once).
    ///
    /// A formula is cut to whole roubles a month before it is multiplied by the months (Tax Code Art. 227.1;
    /// that it is cut and not rounded follows from the published amounts of 2025 and 2026).
    ///
    /// # Errors
    ///
    /// [`MissingRate`] names the amount or factor that is not there.
    pub fn price(
        &self,
        rate: &str,
        region: &str,
        on: NaiveDate,
        months: u32,
    ) -> Result<Price, MissingRate> {
        if let Ok(entry) = find(&self.amounts, rate, region, on) {
            let rule = format!("{rate} of {}: {}", entry.from, entry.value);
            return times(rate, on, entry.value, months, rule);
        }
        let formula = &find(&self.formulas, rate, region, on)?.value;
        let base = find(&self.amounts, &formula.base, region, on)?.value;
        let mut product =
            Decimal { digits: i128::from(base.kopecks()), scale: 2, text: String::new() };
        let mut rule = format!("{} {base}", formula.base);
        for name in &formula.factors {
            let entry = find(&self.factors, name, region, on)?;
            product.digits *= entry.value.digits;
            product.scale += entry.value.scale;
            let region = entry.region.as_deref().map(|r| format!("[{r}]")).unwrap_or_default();
            rule.push_str(&format!(" × {name}{region} {}", entry.value.text));
        }
        let too_large = || missing(rate, None, on);
        let roubles = product.digits / 10_i128.pow(product.scale);
        let kopecks = i64::try_from(roubles).ok().and_then(|roubles| roubles.checked_mul(100));
        let a_month = kopecks.and_then(Money::from_kopecks).ok_or_else(too_large)?;
        rule.push_str(&format!(" = {}, cut to {a_month} a month", product.plain()));
        times(rate, on, a_month, months, rule)
    }

    /// Finds a salary threshold on a day.
    ///
    /// # Errors
    ///
    /// [`MissingRate`] when none is in force.
    pub fn threshold(&self, name: &str, on: NaiveDate) -> Result<Threshold, MissingRate> {
        find(&self.thresholds, name, "", on)
            .map(|entry| entry.value.clone())
            .map_err(|_| missing(name, None, on))
    }
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}");
        let well_formed = !whole.is_empty()
            && digits.len() <= MAX_DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (fraction.is_empty() != text.contains('.'));
        let digits = digits.parse().ok().filter(|_| well_formed)?;
        Some(Self { digits, scale: u32::try_from(fraction.len()).ok()?, text: text.to_owned() })
    }

    /// Writes the number in full, without trailing zeros.
    fn plain(&self) -> String {
        let unit = 10_i128.pow(self.scale);
        let width = self.scale as usize;
        let text = format!("{}.{:0width$}", self.digits / unit, self.digits % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn money<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Money {
    let kopecks = s.amount(r, "kopecks");
    if kopecks > MAX_KOPECKS {
        let message = format!("{kopecks} kopecks are more than anyone is charged");
        r.report(Rule::Syntax, s.line, message, format!("stay within {MAX_KOPECKS}"));
    }
    Money::from_kopecks(kopecks).unwrap_or_default()
}

fn entry<'s, 't, T>(
    r: &mut Reading<'t>,
    mut s: Section<'s, 't>,
    value: impl FnOnce(&mut Reading<'t>, &mut Section<'s, 't>) -> T,
) -> Entry<T> {
    let entry = Entry {
        name: s.text(r, "name"),
        region: s.maybe_text(r, "region"),
        from: s.date(r, "from"),
        to: s.maybe_date(r, "to"),
        value: value(r, &mut s),
        source: s.text(r, "source"),
        confidence: confidence(r, &mut s),
        line: s.line,
    };
    s.finish(r);
    entry
}

/// Reads how sure an entry is.
pub(super) fn confidence<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Confidence {
    match s.text(r, "confidence").as_str() {
        "C" => Confidence::Confirmed,
        "W" => Confidence::Weak,
        "D" => Confidence::Derived,
        "K" => Confidence::Assumption,
        other => {
            r.undefined(s.line, "confidence", other, ["C", "W", "D", "K"]);
            Confidence::Assumption
        }
    }
}

/// Reports entries of one name and region that hold on the same day, and terms that end before they begin.
fn check_dates<T>(r: &mut Reading<'_>, entries: &[Entry<T>]) {
    for (index, entry) in entries.iter().enumerate() {
        if entry.to.is_some_and(|to| to < entry.from) {
            let message = format!("rate \"{}\" ends before it begins", entry.name);
            r.report(Rule::Syntax, entry.line, message, "put `to` after `from`");
        }
        for earlier in entries.iter().take(index) {
            let same = earlier.name == entry.name && earlier.region == entry.region;
            let (first, second) =
                if earlier.from <= entry.from { (earlier, entry) } else { (entry, earlier) };
            let overlap = first.from == second.from || first.to.is_some_and(|to| to >= second.from);
            if same && overlap {
                let message = format!(
                    "rate \"{}\" is given twice for {} (also in line {})",
                    entry.name, second.from, earlier.line
                );
                r.report(Rule::Syntax, entry.line, message, "let each day have one entry");
            }
        }
    }
}

/// Finds the entry in force on a day, for the region or for all.
fn find<'e, T>(
    entries: &'e [Entry<T>],
    name: &str,
    region: &str,
    on: NaiveDate,
) -> Result<&'e Entry<T>, MissingRate> {
    let of_name = || entries.iter().filter(|entry| entry.name == name);
    let regional = of_name().any(|entry| entry.region.is_some());
    of_name()
        .filter(|entry| entry.region.as_deref().is_none_or(|own| own == region))
        .filter(|entry| entry.from <= on)
        .max_by_key(|entry| entry.from)
        .filter(|entry| entry.to.is_none_or(|last| on <= last))
        .ok_or_else(|| missing(name, regional.then_some(region), on))
}

fn missing(name: &str, region: Option<&str>, on: NaiveDate) -> MissingRate {
    MissingRate { name: name.to_owned(), region: region.map(str::to_owned), on }
}

/// Multiplies by months and says so where that changes anything.
fn times(
    name: &str,
    on: NaiveDate,
    amount: Money,
    months: u32,
    mut rule: String,
) -> Result<Price, MissingRate> {
    let total = amount
        .kopecks()
        .checked_mul(i64::from(months))
        .and_then(Money::from_kopecks)
        .ok_or_else(|| missing(name, None, on))?;
    if months != 1 {
        rule.push_str(&format!(" × {months} months = {total}"));
    }
    Ok(Price { amount: total, rule })
}
