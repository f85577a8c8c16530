//! Money owed and money paid: amounts, the number that links the two (UIN), charges and payments; to whom a charge is
//! paid ([`payee`]), how a payment order says so ([`gost`]), where the money is ([`ledger`]), what the office changes
//! about a charge ([`revision`]), and what the bank says of it ([`statement`]).
//!
//! What an amount is reckoned from is the rules' business ([`crate::domain::rules`]); which payment meets
//! which charge is decided by casework.

pub mod gost;
pub mod ledger;
pub mod page;
pub mod payee;
pub mod revision;
pub mod statement;
mod uin;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use uin::{Uin, UinError};

use ledger::{Acknowledgement, ChangeStatus, ChargeStep};
use payee::Requisites;
use revision::Revision;

/// Holds an amount of Russian roubles in kopecks, never negative.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Money(i64);

/// Says that an amount was below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Give an amount in kopecks that is zero or more.")]
pub struct NegativeAmount;

impl Money {
    /// Nothing: 0 kopecks.
    pub const ZERO: Self = Self(0);

    /// Makes an amount of `kopecks`, or `None` below zero.
    #[must_use]
    pub const fn from_kopecks(kopecks: i64) -> Option<Self> {
        if kopecks < 0 { None } else { Some(Self(kopecks)) }
    }

    /// Tells whether it is nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// Gives the amount in kopecks.
    #[must_use]
    pub const fn kopecks(self) -> i64 {
        self.0
    }

    /// Adds, or gives `None` where the sum is too large to hold.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Takes `other` away, or gives `None` where less than nothing would be left.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::from_kopecks)
    }
}

impl fmt::Display for Money {
    /// Writes roubles, a point, two digits of kopecks and the currency: `4200.00 RUB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} RUB", self.0 / 100, self.0 % 100)
    }
}

impl TryFrom<i64> for Money {
    type Error = NegativeAmount;

    fn try_from(kopecks: i64) -> Result<Self, Self::Error> {
        Self::from_kopecks(kopecks).ok_or(NegativeAmount)
    }
}

impl From<Money> for i64 {
    fn from(money: Money) -> Self {
        money.0
    }
}

/// Tells how a charge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChargeStatus {
    /// Something is still to be paid.
    Open,
    /// Paid in full.
    Settled,
    /// Withdrawn; nothing is owed any more.
    Annulled,
}

/// Holds one amount that an applicant owes, frozen when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    /// The charge's id.
    pub id: Uuid,
    /// The id of the fee in the workflow's definition.
    pub fee: String,
    /// The number that a payment quotes.
    pub uin: Uin,
    /// The amount owed; a later change of rates does not touch it.
    pub amount: Money,
    /// The formula in plain words with its inputs, such as
    /// `1200.00 × 2.842 × 2.9323 × 1 month, cut to whole roubles`.
    pub rule: String,
    /// When the charge was made.
    pub created_at: DateTime<Utc>,
    /// The sum of the payments matched to it so far: money that was received.
    pub paid: Money,
    /// How the charge stands.
    pub status: ChargeStatus,
    /// How it was last changed.
    #[serde(default)]
    pub change: ChangeStatus,
    /// How it and its payments meet.
    #[serde(default)]
    pub acknowledgement: Acknowledgement,
    /// To whom it is paid, as the rules said when it was made; `None` where they did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requisites: Option<Box<Requisites>>,
    /// What the office took for paid without a payment. It was never received here: it is in no sum of money.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub outside: Money,
    /// The change that an officer proposed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Box<Revision>>,
}

impl Charge {
    /// Gives what is paid of it, here and elsewhere.
    #[must_use]
    pub fn covered(&self) -> Money {
        self.paid.checked_add(self.outside).unwrap_or(self.paid)
    }

    /// Reckons anew how it and its payments meet; `forced` says whether one of them was put to it without quoting it.
    pub fn meet(&mut self, forced: bool) {
        self.acknowledgement = match self.outside {
            Money::ZERO => Acknowledgement::of(self.amount, self.paid, forced),
            _ => Acknowledgement::WithoutPayment,
        };
    }

    fn stand(&mut self) {
        let open = self.covered() < self.amount;
        self.status = if open { ChargeStatus::Open } else { ChargeStatus::Settled };
    }

    /// Says that it is owed no more.
    pub fn annul(&mut self) {
        // What is annulled already stays so.
        self.change = self.change.after(ChargeStep::Annul).unwrap_or(self.change);
        self.status = ChargeStatus::Annulled;
    }

    /// Changes what it says; what is annulled already stays as it is.
    pub fn clarify(&mut self, amount: Money, rule: &str, requisites: Option<&Requisites>) {
        let Ok(change) = self.change.after(ChargeStep::Clarify) else { return };
        self.change = change;
        self.amount = amount;
        self.rule = rule.to_owned();
        if let Some(requisites) = requisites {
            self.requisites = Some(Box::new(requisites.clone()));
        }
        self.meet(self.acknowledgement == Acknowledgement::Forced);
        self.stand();
    }

    /// Says that it is owed again; what is not annulled stays as it is.
    pub fn deannul(&mut self) {
        let Ok(change) = self.change.after(ChargeStep::Deannul) else { return };
        self.change = change;
        self.stand();
    }

    /// Takes an amount for paid without a payment; of what is annulled, nothing is.
    pub fn acknowledge(&mut self, amount: Money) {
        let Ok(change) = self.change.after(ChargeStep::Acknowledge) else { return };
        self.change = change;
        self.outside = self.outside.checked_add(amount).unwrap_or(self.outside);
        self.meet(false);
        self.stand();
    }

    /// Gives what is still to be paid: zero when annulled, paid in full or overpaid.
    #[must_use]
    pub fn outstanding(&self) -> Money {
        match self.status {
            ChargeStatus::Annulled => Money::ZERO,
            ChargeStatus::Open | ChargeStatus::Settled => {
                self.amount.checked_sub(self.covered()).unwrap_or(Money::ZERO)
            }
        }
    }
}

/// Says who put a payment to a charge that it does not quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchedBy {
    /// The payer's document, the KBK and the amount.
    Document,
    /// An officer.
    Officer,
}

/// Puts a payment to a charge that it does not quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The charge.
    pub charge: Uuid,
    /// Who says so.
    pub by: MatchedBy,
}

/// Holds one payment as the provider reported it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The provider's own id; a payment reported twice has the same one.
    pub provider_id: String,
    /// The number quoted, if the payer gave one.
    pub uin: Option<Uin>,
    /// The amount paid.
    pub amount: Money,
    /// When the payer paid, by the provider's account.
    pub paid_at: DateTime<Utc>,
    /// The payer as the provider passed it on.
    pub payer: Option<String>,
    /// What was quoted in place of a UIN and is none, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_uin: Option<String>,
    /// The payer's identity document, by which a payment without a UIN can find its charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_document: Option<String>,
    /// The KBK that the payment order named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kbk: Option<String>,
    /// The charge that it was put to without quoting it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Match>,
}

impl Payment {
    /// Tells whether the payment is for a charge: put to it, or else quoting its UIN.
    #[must_use]
    pub fn is_for(&self, charge: &Charge) -> bool {
        match &self.matched {
            Some(put) => put.charge == charge.id,
            None => self.uin.as_ref() == Some(&charge.uin),
        }
    }

    /// Tells whether the payment names another KBK than the charge. An officer who put it to the charge has seen that.
    #[must_use]
    pub fn names_another_kbk(&self, charge: &Charge) -> bool {
        let seen = self.matched.is_some_and(|put| put.by == MatchedBy::Officer);
        let (Some(named), Some(to)) = (&self.kbk, &charge.requisites) else { return false };
        !seen && named != to.kbk.as_str()
    }

    /// Gives what stands in the place of the UIN, whether it is one or not.
    #[must_use]
    pub fn quoted(&self) -> Option<&str> {
        self.uin.as_ref().map(Uin::as_str).or(self.stated_uin.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(kopecks: i64) -> Money {
        Money::from_kopecks(kopecks).unwrap()
    }

    fn charge(amount: i64, paid: i64, status: ChargeStatus) -> Charge {
        Charge {
            id: Uuid::nil(),
            fee: "state-duty".into(),
            uin: Uin::compose("188", 1),
            amount: money(amount),
            rule: "4200.00".into(),
            created_at: DateTime::UNIX_EPOCH,
            paid: money(paid),
            status,
            change: ChangeStatus::default(),
            acknowledgement: Acknowledgement::default(),
            requisites: None,
            outside: Money::ZERO,
            revision: None,
        }
    }

    #[test]
    fn money_is_never_negative() {
        assert_eq!(Money::from_kopecks(-1), None);
        assert_eq!(money(1).checked_sub(money(2)), None);
        assert!(serde_json::from_str::<Money>("-1").is_err());
    }

    #[test]
    fn money_adds_and_subtracts_without_overflow() {
        assert_eq!(money(420_000).checked_add(money(1)), Some(money(420_001)));
        assert_eq!(money(i64::MAX).checked_add(money(1)), None);
        assert_eq!(money(420_000).checked_sub(money(420_000)), Some(Money::ZERO));
    }

    #[test]
    fn money_is_shown_in_roubles_and_serialised_in_kopecks() {
        assert_eq!(money(420_000).to_string(), "4200.00 RUB");
        assert_eq!(money(5).to_string(), "0.05 RUB");
        assert_eq!(serde_json::to_string(&money(420_000)).unwrap(), "420000");
    }

    #[test]
    fn what_is_outstanding_never_falls_below_nothing() {
        assert_eq!(charge(100, 40, ChargeStatus::Open).outstanding(), money(60));
        assert_eq!(charge(100, 100, ChargeStatus::Settled).outstanding(), Money::ZERO);
        assert_eq!(charge(100, 140, ChargeStatus::Settled).outstanding(), Money::ZERO);
        assert_eq!(charge(100, 0, ChargeStatus::Annulled).outstanding(), Money::ZERO);
    }

    #[test]
    fn a_charge_survives_serialisation_in_camel_case() {
        let charge = charge(100, 0, ChargeStatus::Open);
        let json = serde_json::to_value(&charge).unwrap();
        assert_eq!(json["createdAt"], "1970-01-01T00:00:00Z");
        assert_eq!((&json["amount"], &json["status"]), (&100.into(), &"open".into()));
        assert_eq!(serde_json::from_value::<Charge>(json).unwrap(), charge);
    }
}
