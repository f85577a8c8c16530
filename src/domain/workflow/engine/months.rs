//! The months that carry a permit: how many a payment pays of, at the price of its day, and until when they last.

use chrono::NaiveDate;
use uuid::Uuid;

use super::Context;
use crate::domain::application::Application;
use crate::domain::fee::{Charge, ChargeStatus, Money, Payment};
use crate::domain::permit::{Permit, add_months};

/// What a payment does to a permit that is paid by the month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prolongation {
    /// How many whole months it pays; none when it pays a part of one.
    pub months: u32,
    /// The bill that it is for.
    pub charge: Uuid,
    /// What that bill then says: these months, or one, at the price of the day of the payment.
    pub amount: Money,
    /// How that was reckoned.
    pub rule: String,
    /// The last paid day then.
    pub paid_through: NaiveDate,
}

/// Gives how many months from its issue a permit has at most; one that ends within a month has that one, too.
fn all(permit: &Permit) -> u32 {
    (1..).find(|months| add_months(permit.issued_on, *months) >= permit.ends_on).unwrap_or(0)
}

/// Gives how many months from its issue are paid.
///
/// They are counted from the day of issue each time, so that a short February does not shorten the months after it.
fn paid(permit: &Permit) -> u32 {
    let Some(through) = permit.paid_through else { return 0 };
    if through >= permit.ends_on {
        return all(permit);
    }
    (0..).take_while(|months| add_months(permit.issued_on, *months) <= through).last().unwrap_or(0)
}

/// Gives how many months of a permit can still be paid.
pub(super) fn left(permit: &Permit) -> u32 {
    if permit.paid_through.is_none() { 0 } else { all(permit).saturating_sub(paid(permit)) }
}

/// Gives what has to be paid on a day for the bill of a month: the rest of a month that was begun, else the price of the day.
pub(super) fn due(bill: &Charge, on: NaiveDate, context: &Context<'_>) -> Result<Money, String> {
    if bill.covered() > Money::ZERO {
        return Ok(bill.outstanding());
    }
    let rate = context.definition.fee(&bill.fee).map_or(&*bill.fee, |rule| rule.rate.as_str());
    let price = context.rules.rates.price(rate, &context.unit.region, on, 1);
    price.map(|price| price.amount).map_err(|missing| missing.to_string())
}

/// Reckons what a payment of a month's bill does; says in words why it does nothing.
///
/// The price is that of the day of the payment, by the calendar of the office; once a part of a month was paid, that
/// month keeps its price. What was paid after the last paid day prolongs nothing, whatever the timer has done so far.
pub(super) fn prolongation(
    application: &Application,
    fee: &str,
    payment: &Payment,
    context: &Context<'_>,
) -> Result<Prolongation, String> {
    let permit = application.permit.as_ref().ok_or("No permit was issued.")?;
    let through = permit.paid_through.ok_or("No months carry this permit.")?;
    let left = left(permit);
    if left == 0 {
        return Err(format!("The permit is paid until its end on {through}."));
    }
    let on = context.local_date(payment.paid_at).min(context.today());
    if on > through {
        return Err(format!(
            "It was paid on {on}, after the last paid day {through}; a permit that has lapsed is not prolonged."
        ));
    }
    let bill = application.charge_of(fee).filter(|charge| charge.status == ChargeStatus::Open);
    let bill = bill.ok_or_else(|| format!("No month of '{fee}' is open."))?;
    let rate = context.definition.fee(fee).map_or(fee, |rule| rule.rate.as_str());
    let price = |months| context.rules.rates.price(rate, &context.unit.region, on, months);
    let price = |months| price(months).map_err(|missing| missing.to_string());
    let month = price(1)?.amount;
    let first = due(bill, on, context)?;
    let more =
        payment.amount.checked_sub(first).map(|rest| rest.kopecks() / month.kopecks().max(1));
    let months = more.map_or(0, |more| u32::try_from(more).unwrap_or(left).saturating_add(1));
    let months = months.min(left);
    let too_much = || "The months cost more than can be reckoned.".to_owned();
    let (amount, rule) = if bill.covered() == Money::ZERO {
        let price = price(months.max(1))?;
        (price.amount, price.rule)
    } else if months > 1 {
        let rest = price(months - 1)?;
        let amount = bill.amount.checked_add(rest.amount).ok_or_else(too_much)?;
        (amount, format!("{}; and {}", bill.rule, rest.rule))
    } else {
        (bill.amount, bill.rule.clone())
    };
    let paid_through = add_months(permit.issued_on, paid(permit) + months).min(permit.ends_on);
    let paid_through = if months == 0 { through } else { paid_through };
    Ok(Prolongation { months, charge: bill.id, amount, rule, paid_through })
}
