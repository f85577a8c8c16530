//! Where money is and how a charge stands: two small machines, and the sum that always holds.
//!
//! Of every payment, what was received is what is matched with a charge, what waits and what was given back. A
//! [`Holding`] cannot be made otherwise; the table `payments` repeats it as a CHECK. A charge changes as GIS GMP says
//! (statuses 1 to 4), and is acknowledged as its payments come (1 to 5).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ChargeStatus, Money};

/// The kinds of the events about money that belong to no application; erasing the payer's data empties them.
pub const MONEY_EVENTS: [&str; 7] = [
    "paymentReceived",
    "refundProposed",
    "refundConfirmed",
    "refundRejected",
    "refundSent",
    "refundCompleted",
    "refundCameBack",
];

/// Tells how a charge was last changed: the change status of GIS GMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum ChangeStatus {
    /// 1: made and not changed since.
    #[default]
    New,
    /// 2: changed since it was made.
    Clarified,
    /// 3: owed no more.
    Annulled,
    /// 4: owed again.
    Deannulled,
}

/// Says that a number is no status, or that a status does not allow a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A number that no status has.
    #[error("{0} is no status of GIS GMP.")]
    Unknown(u8),
    /// A charge that is annulled already, or is not.
    #[error("The charge's status does not allow this.")]
    Charge,
    /// A payment of which nothing waits, or whose refund is under way or is not.
    #[error("The payment's status does not allow this; it is {}.", .0.name())]
    Payment(PaymentStatus),
    /// The officer who proposed a refund cannot confirm it.
    #[error("Another officer than the one who proposed the refund must confirm it.")]
    FourEyes,
    /// More than is there.
    #[error("This is more than the payment has.")]
    Amount,
}

/// What can be done with a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeStep {
    /// Change what it says.
    Clarify,
    /// Say that nothing is owed any more.
    Annul,
    /// Say that it is owed again.
    Deannul,
    /// Take it for paid without a payment.
    Acknowledge,
}

/// What the office may do with a charge, by how it stands: the whole table. What is settled stays as it is.
pub const OFFICE_STEPS: [(ChargeStatus, ChargeStep); 4] = [
    (ChargeStatus::Open, ChargeStep::Clarify),
    (ChargeStatus::Open, ChargeStep::Annul),
    (ChargeStatus::Open, ChargeStep::Acknowledge),
    (ChargeStatus::Annulled, ChargeStep::Deannul),
];

impl ChargeStep {
    /// Every step.
    pub const ALL: [Self; 4] = [Self::Clarify, Self::Annul, Self::Deannul, Self::Acknowledge];

    /// Gives the name that stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clarify => "clarify",
            Self::Annul => "annul",
            Self::Deannul => "deannul",
            Self::Acknowledge => "acknowledge",
        }
    }

    /// Tells whether the office may do this with a charge that stands so.
    #[must_use]
    pub fn is_allowed(self, status: ChargeStatus) -> bool {
        OFFICE_STEPS.contains(&(status, self))
    }
}

impl ChangeStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::New, Self::Clarified, Self::Annulled, Self::Deannulled];

    /// Gives the name that stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Clarified => "clarified",
            Self::Annulled => "annulled",
            Self::Deannulled => "deannulled",
        }
    }

    /// Gives the number that GIS GMP has for it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::New => 1,
            Self::Clarified => 2,
            Self::Annulled => 3,
            Self::Deannulled => 4,
        }
    }

    /// Gives the status after a step.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Charge`]: what is annulled can only be de-annulled, and nothing else can. That a charge is paid, with
    /// a payment or without, is no change of what it says.
    pub const fn after(self, step: ChargeStep) -> Result<Self, LedgerError> {
        match (self, step) {
            (Self::New | Self::Clarified | Self::Deannulled, ChargeStep::Clarify) => {
                Ok(Self::Clarified)
            }
            (Self::New | Self::Clarified | Self::Deannulled, ChargeStep::Annul) => {
                Ok(Self::Annulled)
            }
            (Self::New | Self::Clarified | Self::Deannulled, ChargeStep::Acknowledge) => Ok(self),
            (Self::Annulled, ChargeStep::Deannul) => Ok(Self::Deannulled),
            (Self::Annulled, ChargeStep::Clarify | ChargeStep::Annul | ChargeStep::Acknowledge)
            | (Self::New | Self::Clarified | Self::Deannulled, ChargeStep::Deannul) => {
                Err(LedgerError::Charge)
            }
        }
    }
}

impl TryFrom<u8> for ChangeStatus {
    type Error = LedgerError;

    fn try_from(number: u8) -> Result<Self, LedgerError> {
        Self::ALL.into_iter().find(|one| one.number() == number).ok_or(LedgerError::Unknown(number))
    }
}

impl From<ChangeStatus> for u8 {
    fn from(status: ChangeStatus) -> Self {
        status.number()
    }
}

/// Tells how a charge and its payments meet: the acknowledgement status of GIS GMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Acknowledgement {
    /// 1: paid in full by payments that quote it.
    Matched,
    /// 2: paid in part.
    Preliminary,
    /// 3: nothing is paid.
    #[default]
    NotMatched,
    /// 4: taken for paid without a payment.
    WithoutPayment,
    /// 5: paid in full, at least in part by a payment that was put to it by its document or by an officer.
    Forced,
}

impl Acknowledgement {
    /// Gives the number that GIS GMP has for it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Matched => 1,
            Self::Preliminary => 2,
            Self::NotMatched => 3,
            Self::WithoutPayment => 4,
            Self::Forced => 5,
        }
    }

    /// Gives the name that stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Preliminary => "preliminary",
            Self::NotMatched => "notMatched",
            Self::WithoutPayment => "withoutPayment",
            Self::Forced => "forced",
        }
    }

    /// Tells how a charge of `amount` stands of which `paid` is paid.
    #[must_use]
    pub fn of(amount: Money, paid: Money, forced: bool) -> Self {
        match () {
            () if paid == Money::ZERO => Self::NotMatched,
            () if paid < amount => Self::Preliminary,
            () if forced => Self::Forced,
            () => Self::Matched,
        }
    }
}

impl TryFrom<u8> for Acknowledgement {
    type Error = LedgerError;

    fn try_from(number: u8) -> Result<Self, LedgerError> {
        let all = [
            Self::Matched,
            Self::Preliminary,
            Self::NotMatched,
            Self::WithoutPayment,
            Self::Forced,
        ];
        all.into_iter().find(|one| one.number() == number).ok_or(LedgerError::Unknown(number))
    }
}

impl From<Acknowledgement> for u8 {
    fn from(status: Acknowledgement) -> Self {
        status.number()
    }
}

/// Tells what is done with a payment's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PaymentStatus {
    /// Some of it waits for somebody to say what it is for, or to give it back.
    Waiting,
    /// All of it is matched.
    Matched,
    /// An officer proposed to give back what waits.
    RefundProposed,
    /// A second officer agreed.
    RefundConfirmed,
    /// The payment order is on its way.
    RefundSent,
    /// The payer has it.
    Refunded,
}

impl PaymentStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Matched,
        Self::RefundProposed,
        Self::RefundConfirmed,
        Self::RefundSent,
        Self::Refunded,
    ];

    /// Gives the name that stands in the database and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Matched => "matched",
            Self::RefundProposed => "refundProposed",
            Self::RefundConfirmed => "refundConfirmed",
            Self::RefundSent => "refundSent",
            Self::Refunded => "refunded",
        }
    }

    /// Finds a status by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What can be done with a payment's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStep {
    /// Book on a charge what is still due of it; more than that goes on waiting.
    Match {
        /// What is due.
        due: Money,
    },
    /// Let what was booked wait again.
    Release,
    /// Propose to give back what waits.
    Propose {
        /// The officer.
        by: Uuid,
    },
    /// Agree.
    Confirm {
        /// The second officer.
        by: Uuid,
    },
    /// Drop the proposal, confirmed or not.
    Reject,
    /// Note that the payment order was sent.
    Send,
    /// Note that the payer has it.
    Complete,
    /// Note that it came back from the bank: it waits again.
    ComeBack,
}

/// Holds where the money of one payment is. What was received is the sum of the three parts, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    matched: Money,
    waiting: Money,
    refunded: Money,
    status: PaymentStatus,
    proposed_by: Option<Uuid>,
}

impl Holding {
    /// Begins with an amount that was received: all of it waits.
    #[must_use]
    pub const fn received(amount: Money) -> Self {
        Self {
            matched: Money::ZERO,
            waiting: amount,
            refunded: Money::ZERO,
            status: PaymentStatus::Waiting,
            proposed_by: None,
        }
    }

    /// Puts together what is stored; `None` where status and parts contradict each other.
    #[must_use]
    pub fn stored(
        matched: Money,
        waiting: Money,
        refunded: Money,
        status: PaymentStatus,
        proposed_by: Option<Uuid>,
    ) -> Option<Self> {
        let fits = match status {
            PaymentStatus::Matched => waiting == Money::ZERO && matched > Money::ZERO,
            PaymentStatus::Refunded => waiting == Money::ZERO && refunded > Money::ZERO,
            PaymentStatus::Waiting => waiting > Money::ZERO && proposed_by.is_none(),
            PaymentStatus::RefundProposed
            | PaymentStatus::RefundConfirmed
            | PaymentStatus::RefundSent => waiting > Money::ZERO && proposed_by.is_some(),
        };
        fits.then_some(Self { matched, waiting, refunded, status, proposed_by })
    }

    /// Gives what is booked on a charge.
    #[must_use]
    pub const fn matched(self) -> Money {
        self.matched
    }

    /// Gives what waits, also while its refund is under way.
    #[must_use]
    pub const fn waiting(self) -> Money {
        self.waiting
    }

    /// Gives what the payer has back.
    #[must_use]
    pub const fn refunded(self) -> Money {
        self.refunded
    }

    /// Gives what is matched, what waits and what was refunded: together what was received.
    #[must_use]
    pub const fn parts(self) -> [Money; 3] {
        [self.matched, self.waiting, self.refunded]
    }

    /// Gives the officer who proposed the refund that is under way.
    #[must_use]
    pub const fn proposed_by(self) -> Option<Uuid> {
        self.proposed_by
    }

    /// Gives the status.
    #[must_use]
    pub const fn status(self) -> PaymentStatus {
        self.status
    }

    /// Gives where the money is after a step.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the status does not allow it; nothing has then moved.
    pub fn after(self, step: PaymentStep) -> Result<Self, LedgerError> {
        let wrong = Err(LedgerError::Payment(self.status));
        let in_status = |allowed: &[PaymentStatus]| allowed.contains(&self.status);
        match step {
            PaymentStep::Match { due } => {
                if !in_status(&[PaymentStatus::Waiting]) || self.matched > Money::ZERO {
                    return wrong;
                }
                let booked = self.waiting.min(due);
                if booked == Money::ZERO {
                    return wrong;
                }
                let waiting = self.waiting.checked_sub(booked).ok_or(LedgerError::Amount)?;
                let status = match waiting {
                    Money::ZERO => PaymentStatus::Matched,
                    _ => PaymentStatus::Waiting,
                };
                Ok(Self { matched: booked, waiting, status, ..self })
            }
            PaymentStep::Release => {
                let still =
                    [PaymentStatus::Waiting, PaymentStatus::Matched, PaymentStatus::Refunded];
                if !in_status(&still) || self.matched == Money::ZERO {
                    return wrong;
                }
                let waiting = self.waiting.checked_add(self.matched).ok_or(LedgerError::Amount)?;
                let status = PaymentStatus::Waiting;
                Ok(Self { matched: Money::ZERO, waiting, status, proposed_by: None, ..self })
            }
            PaymentStep::Propose { by } if in_status(&[PaymentStatus::Waiting]) => {
                Ok(Self { status: PaymentStatus::RefundProposed, proposed_by: Some(by), ..self })
            }
            PaymentStep::Confirm { by } if in_status(&[PaymentStatus::RefundProposed]) => {
                if self.proposed_by == Some(by) {
                    return Err(LedgerError::FourEyes);
                }
                Ok(Self { status: PaymentStatus::RefundConfirmed, ..self })
            }
            PaymentStep::Reject
                if in_status(&[PaymentStatus::RefundProposed, PaymentStatus::RefundConfirmed]) =>
            {
                Ok(Self { status: PaymentStatus::Waiting, proposed_by: None, ..self })
            }
            PaymentStep::Send if in_status(&[PaymentStatus::RefundConfirmed]) => {
                Ok(Self { status: PaymentStatus::RefundSent, ..self })
            }
            PaymentStep::Complete if in_status(&[PaymentStatus::RefundSent]) => {
                let refunded = self.refunded.checked_add(self.waiting);
                let refunded = refunded.ok_or(LedgerError::Amount)?;
                let status = PaymentStatus::Refunded;
                Ok(Self { waiting: Money::ZERO, refunded, status, ..self })
            }
            PaymentStep::ComeBack if in_status(&[PaymentStatus::RefundSent]) => {
                Ok(Self { status: PaymentStatus::Waiting, proposed_by: None, ..self })
            }
            PaymentStep::Propose { .. }
            | PaymentStep::Confirm { .. }
            | PaymentStep::Reject
            | PaymentStep::Send
            | PaymentStep::Complete
            | PaymentStep::ComeBack => wrong,
        }
    }
}

#[cfg(test)]
mod tests;
