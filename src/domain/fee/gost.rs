//! Payment orders as text for a QR code, after GOST R 56042-2014.
//!
//! `ST00012`, then the separator and `Key=Value` for each field. Every text that is written can be read again to the same
//! order; what would not keep the standard's limits is refused and not cut.

use std::fmt::Write as _;

use super::payee::{Account, Bic};
use super::{Charge, Money};

/// What every text begins with: the standard, its version 0001, and 2 for UTF-8.
const HEADER: &str = "ST00012";

/// The separators, the usual one first; one that occurs in a value cannot be taken.
const SEPARATORS: [char; 8] = ['|', '~', '^', '_', '#', '&', ';', '!'];

/// The most bytes that the five fields of the payee may take together, separators included.
const PAYEE_BYTES: usize = 300;

/// The most characters that one QR code of the largest size holds in bytes at the lowest correction.
const TEXT_BYTES: usize = 2_953;

/// The optional fields in the order in which they are written, each with the most characters of its value.
const FIELDS: [(&str, usize); 15] = [
    ("Sum", 18),
    ("Purpose", 210),
    ("PayeeINN", 12),
    ("PayerINN", 12),
    ("DrawerStatus", 2),
    ("KPP", 9),
    ("CBC", 20),
    ("OKTMO", 11),
    ("PaytReason", 2),
    ("TaxPeriod", 10),
    ("DocNo", 15),
    ("DocDate", 10),
    ("TaxPaytKind", 2),
    ("UIN", 25),
    ("TechCode", 2),
];

/// The fields that hold digits alone.
const DIGITS: [&str; 6] = ["Sum", "PayeeINN", "PayerINN", "CBC", "OKTMO", "TechCode"];

/// Holds a payment order that keeps the standard's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    name: String,
    account: Account,
    bank: String,
    bic: Bic,
    correspondent_account: Account,
    /// By their place in [`FIELDS`].
    fields: [Option<String>; FIELDS.len()],
}

/// Says what stands in the way of an order or its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GostError {
    /// A value is longer than the standard allows.
    #[error("{field} has {length} characters; the standard allows {most}.")]
    TooLong {
        /// The field.
        field: &'static str,
        /// How long the value is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A value is empty, or has a character that it cannot have.
    #[error("{0} is empty, or has a character that it cannot have.")]
    Value(&'static str),
    /// The payee's five fields are too long together.
    #[error(
        "The payee's fields take {0} bytes; the standard allows 300 (a Cyrillic letter takes two)."
    )]
    Payee(usize),
    /// The whole text is too long for a QR code.
    #[error("The text takes {0} bytes, more than a QR code holds.")]
    Text(usize),
    /// Every separator occurs in a value.
    #[error("No separator is left: each one occurs in a value.")]
    NoSeparator,
    /// A text is no payment order.
    #[error(
        "The text is no payment order in UTF-8: it does not begin with ST00012 and a separator."
    )]
    Header,
    /// A text's fields of the payee are not there, or not in their order.
    #[error("The text lacks {0} in its place.")]
    Missing(&'static str),
    /// A text has a field that is unknown, doubled or has no value.
    #[error("The text has a part that is no field, or one twice: {0}.")]
    Part(String),
}

impl Order {
    /// Makes an order from the payee's fields.
    ///
    /// # Errors
    ///
    /// [`GostError`] when they do not keep the limits.
    pub fn new(
        name: &str,
        account: Account,
        bank: &str,
        bic: Bic,
        correspondent_account: Account,
    ) -> Result<Self, GostError> {
        check("Name", name, 160)?;
        check("BankName", bank, 45)?;
        let order = Self {
            name: name.to_owned(),
            account,
            bank: bank.to_owned(),
            bic,
            correspondent_account,
            fields: Default::default(),
        };
        let bytes: usize =
            order.payee().iter().map(|(key, value)| key.len() + value.len() + 2).sum();
        if bytes > PAYEE_BYTES { Err(GostError::Payee(bytes)) } else { Ok(order) }
    }

    /// Adds an optional field of the standard.
    ///
    /// # Errors
    ///
    /// [`GostError`] when the value does not keep its limit, or there is no such field.
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, GostError> {
        let place = FIELDS.iter().position(|(known, _)| *known == key);
        let Some((place, (field, most))) = place.and_then(|at| Some((at, *FIELDS.get(at)?))) else {
            return Err(GostError::Part(key.to_owned()));
        };
        check(field, value, most)?;
        if DIGITS.contains(&field) && !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(GostError::Value(field));
        }
        if let Some(slot) = self.fields.get_mut(place) {
            *slot = Some(value.to_owned());
        }
        Ok(self)
    }

    /// Makes the order by which what is still due of a charge is paid; `None` where the charge names no payee.
    ///
    /// # Errors
    ///
    /// [`GostError`] when the payee's fields do not keep the limits; of registered rules they do.
    pub fn of(charge: &Charge) -> Result<Option<Self>, GostError> {
        let Some(to) = &charge.requisites else { return Ok(None) };
        let order = Self::new(
            &to.name,
            to.account.clone(),
            &to.bank,
            to.bic.clone(),
            to.correspondent_account.clone(),
        )?;
        order
            .with("Sum", &charge.outstanding().kopecks().to_string())?
            .with("Purpose", &to.purpose)?
            .with("PayeeINN", to.inn.as_str())?
            .with("KPP", to.kpp.as_str())?
            .with("CBC", to.kbk.as_str())?
            .with("OKTMO", to.oktmo.as_str())?
            .with("UIN", charge.uin.as_str())?
            .with("TechCode", &to.tech_code)
            .map(Some)
    }

    /// Gives the amount, if the order names one.
    #[must_use]
    pub fn sum(&self) -> Option<Money> {
        self.field("Sum")?.parse().ok().and_then(Money::from_kopecks)
    }

    /// Gives the value of an optional field.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&str> {
        let place = FIELDS.iter().position(|(known, _)| *known == key)?;
        self.fields.get(place)?.as_deref()
    }

    fn payee(&self) -> [(&'static str, &str); 5] {
        [
            ("Name", &self.name),
            ("PersonalAcc", self.account.as_str()),
            ("BankName", &self.bank),
            ("BIC", self.bic.as_str()),
            ("CorrespAcc", self.correspondent_account.as_str()),
        ]
    }

    /// Writes the order as text.
    ///
    /// The separator is the first of a fixed row that occurs in no value.
    ///
    /// # Errors
    ///
    /// [`GostError::NoSeparator`] or [`GostError::Text`].
    pub fn write(&self) -> Result<String, GostError> {
        let payee = self.payee();
        let optional = FIELDS.iter().zip(&self.fields);
        let optional = optional.filter_map(|((key, _), value)| Some((*key, value.as_deref()?)));
        let pairs: Vec<(&str, &str)> = payee.into_iter().chain(optional).collect();
        let free = |separator: &char| pairs.iter().all(|(_, value)| !value.contains(*separator));
        let separator = SEPARATORS.into_iter().find(free).ok_or(GostError::NoSeparator)?;
        let mut text = HEADER.to_owned();
        for (key, value) in pairs {
            // Writing to a text cannot fail.
            let _ = write!(text, "{separator}{key}={value}");
        }
        if text.len() > TEXT_BYTES { Err(GostError::Text(text.len())) } else { Ok(text) }
    }

    /// Reads an order from its text.
    ///
    /// # Errors
    ///
    /// [`GostError`] names the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, GostError> {
        if text.len() > TEXT_BYTES {
            return Err(GostError::Text(text.len()));
        }
        let rest = text.strip_prefix(HEADER).ok_or(GostError::Header)?;
        let separator = rest.chars().next().ok_or(GostError::Header)?;
        if separator.is_alphanumeric() || separator == '=' || separator.is_control() {
            return Err(GostError::Header);
        }
        let mut pairs = rest.split(separator).skip(1).map(|part| {
            part.split_once('=').ok_or_else(|| GostError::Part(part.chars().take(40).collect()))
        });
        let mut next = |key: &'static str| match pairs.next() {
            Some(Ok((found, value))) if found == key => Ok(value),
            _ => Err(GostError::Missing(key)),
        };
        let name = next("Name")?;
        let account = next("PersonalAcc")?;
        let bank = next("BankName")?;
        let bic = next("BIC")?;
        let correspondent = next("CorrespAcc")?;
        let parsed = |account, key| Account::parse(account).map_err(|_| GostError::Value(key));
        let mut order = Self::new(
            name,
            parsed(account, "PersonalAcc")?,
            bank,
            Bic::parse(bic).map_err(|_| GostError::Value("BIC"))?,
            parsed(correspondent, "CorrespAcc")?,
        )?;
        for pair in pairs {
            let (key, value) = pair?;
            if order.field(key).is_some() {
                return Err(GostError::Part(key.to_owned()));
            }
            order = order.with(key, value)?;
        }
        Ok(order)
    }
}

fn check(field: &'static str, value: &str, most: usize) -> Result<(), GostError> {
    let length = value.chars().count();
    if length > most {
        return Err(GostError::TooLong { field, length, most });
    }
    let sound = !value.trim().is_empty() && !value.chars().any(char::is_control);
    sound.then_some(()).ok_or(GostError::Value(field))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(text: &str) -> Account {
        Account::parse(text).unwrap()
    }

    fn order(name: &str) -> Result<Order, GostError> {
        Order::new(
            name,
            account("40101810045250010041"),
            "ГУ Банка России по ЦФО",
            Bic::parse("044525000").unwrap(),
            account("30101810400000000225"),
        )
    }

    #[test]
    fn an_order_is_written_in_the_order_of_the_standard_with_kopecks_and_capital_keys() {
        let order = order("УФК по г. Москве").unwrap();
        let order = order.with("TechCode", "05").unwrap().with("Sum", "420000").unwrap();
        let order = order.with("UIN", "18810000000000000018").unwrap();
        let text = order.write().unwrap();
        assert_eq!(
            text,
            "ST00012|Name=УФК по г. Москве|PersonalAcc=40101810045250010041|\
             BankName=ГУ Банка России по ЦФО|BIC=044525000|CorrespAcc=30101810400000000225|\
             Sum=420000|UIN=18810000000000000018|TechCode=05"
        );
        assert_eq!(order.sum(), Money::from_kopecks(420_000));
        assert_eq!(Order::parse(&text), Ok(order));
    }

    #[test]
    fn a_separator_that_occurs_in_the_data_gives_way_to_another() {
        let text = order("УФК | МВД ~ Москва").unwrap().write().unwrap();
        assert!(text.starts_with("ST00012^Name=УФК | МВД ~ Москва^PersonalAcc="), "{text}");
        assert_eq!(Order::parse(&text).unwrap(), order("УФК | МВД ~ Москва").unwrap());
        assert_eq!(order("|~^_#&;!").unwrap().write(), Err(GostError::NoSeparator));
    }

    #[test]
    fn what_is_over_the_limits_is_refused_by_name_and_not_cut() {
        let long = "x".repeat(161);
        assert_eq!(order(&long), Err(GostError::TooLong { field: "Name", length: 161, most: 160 }));
        // 100 Cyrillic letters keep the limit of the name, and not that of the payee's fields together.
        assert!(matches!(order(&"я".repeat(100)), Err(GostError::Payee(bytes)) if bytes > 300));
        let sum = order("x").unwrap().with("Sum", "1234567890123456789");
        assert_eq!(sum, Err(GostError::TooLong { field: "Sum", length: 19, most: 18 }));
        assert_eq!(order("x").unwrap().with("Sum", "4200.00"), Err(GostError::Value("Sum")));
        assert_eq!(order("").err(), Some(GostError::Value("Name")));
        assert_eq!(order("a\nb").err(), Some(GostError::Value("Name")));
        let unknown = order("x").unwrap().with("sum", "1");
        assert_eq!(unknown, Err(GostError::Part("sum".to_owned())));
    }

    #[test]
    fn a_text_that_is_no_order_is_refused_by_what_is_wrong() {
        let text = order("x").unwrap().with("Sum", "1").unwrap().write().unwrap();
        assert_eq!(Order::parse("https://example.org"), Err(GostError::Header));
        assert_eq!(Order::parse("ST00011|Name=x"), Err(GostError::Header));
        assert_eq!(Order::parse("ST00012|PersonalAcc=x"), Err(GostError::Missing("Name")));
        let twice = format!("{text}|Sum=2");
        assert_eq!(Order::parse(&twice), Err(GostError::Part("Sum".to_owned())));
        assert_eq!(Order::parse(&format!("{text}|x")), Err(GostError::Part("x".to_owned())));
        let bic = text.replace("BIC=044525000", "BIC=04452500");
        assert_eq!(Order::parse(&bic), Err(GostError::Value("BIC")));
    }

    proptest! {
        #[test]
        fn what_is_written_keeps_the_limits_and_reads_to_the_same_order(
            name in "[^\\p{Cc}]{1,170}",
            purpose in proptest::option::of("[^\\p{Cc}]{1,220}"),
            sum in 0..i64::MAX,
        ) {
            let made = order(&name).and_then(|order| match &purpose {
                Some(purpose) => order.with("Purpose", purpose),
                None => Ok(order),
            });
            let made = made.and_then(|order| order.with("Sum", &sum.to_string()));
            if let Ok(order) = made
                && let Ok(text) = order.write()
            {
                prop_assert!(text.len() <= TEXT_BYTES);
                prop_assert!(name.chars().count() <= 160);
                let payee = text.find("Sum=").unwrap();
                prop_assert!(payee - HEADER.len() <= PAYEE_BYTES + 1);
                prop_assert_eq!(Order::parse(&text).unwrap(), order);
            }
        }

        #[test]
        fn no_text_makes_the_reader_stumble(text in ".*", rest in "\\PC*") {
            let _ = Order::parse(&text);
            let _ = Order::parse(&format!("ST00012|Name={rest}"));
        }
    }
}
