use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::domain::fee::revision::{Revision, RevisionError, RevisionKind};
use crate::domain::fee::{Charge, Uin};

fn money(kopecks: i64) -> Money {
    Money::from_kopecks(kopecks).unwrap()
}

const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

#[test]
fn what_is_annulled_can_only_be_deannulled_and_every_status_has_its_number() {
    let legal: Vec<(u8, ChargeStep, u8)> = ChangeStatus::ALL
        .into_iter()
        .flat_map(|from| {
            ChargeStep::ALL.into_iter().filter_map(move |step| {
                from.after(step).ok().map(|to| (from.number(), step, to.number()))
            })
        })
        .collect();
    // Written a second time by hand.
    let by_hand = [
        (1, ChargeStep::Clarify, 2),
        (1, ChargeStep::Annul, 3),
        (1, ChargeStep::Acknowledge, 1),
        (2, ChargeStep::Clarify, 2),
        (2, ChargeStep::Annul, 3),
        (2, ChargeStep::Acknowledge, 2),
        (3, ChargeStep::Deannul, 4),
        (4, ChargeStep::Clarify, 2),
        (4, ChargeStep::Annul, 3),
        (4, ChargeStep::Acknowledge, 4),
    ];
    assert_eq!(legal, by_hand);
    for number in 0..=9 {
        assert_eq!(ChangeStatus::try_from(number).is_ok(), (1..=4).contains(&number));
        assert_eq!(Acknowledgement::try_from(number).is_ok(), (1..=5).contains(&number));
    }
}

#[test]
fn a_charge_is_acknowledged_as_its_payments_come() {
    let of = |paid, forced| Acknowledgement::of(money(100), money(paid), forced).number();
    assert_eq!([of(0, false), of(99, false), of(100, false), of(100, true)], [3, 2, 1, 5]);
}

/// A charge of 100 kopecks as it stands, with a part of it paid.
fn charge(status: ChargeStatus, change: ChangeStatus, paid: i64) -> Charge {
    let mut charge = Charge {
        id: ONE,
        fee: "stateDuty".into(),
        uin: Uin::compose("188", 1),
        amount: money(100),
        rule: "100".into(),
        created_at: DateTime::UNIX_EPOCH,
        paid: money(paid),
        status,
        change,
        acknowledgement: Acknowledgement::default(),
        requisites: None,
        outside: Money::ZERO,
        revision: None,
    };
    charge.meet(false);
    charge
}

/// Takes a step; a clarified charge is of 80 kopecks then, and an acknowledged one is paid.
fn take(charge: &mut Charge, step: ChargeStep) {
    match step {
        ChargeStep::Clarify => charge.clarify(money(80), "80", None),
        ChargeStep::Annul => charge.annul(),
        ChargeStep::Deannul => charge.deannul(),
        ChargeStep::Acknowledge => charge.acknowledge(charge.outstanding()),
    }
}

#[test]
fn the_office_takes_four_steps_with_a_charge_and_each_leads_where_it_should() {
    use ChargeStatus::{Annulled, Open, Settled};
    let mut legal = Vec::new();
    for from in [Open, Settled, Annulled] {
        for step in ChargeStep::ALL {
            if step.is_allowed(from) {
                let changed =
                    if from == Annulled { ChangeStatus::Annulled } else { ChangeStatus::New };
                let mut charge = charge(from, changed, 30);
                take(&mut charge, step);
                let meets = (charge.change.number(), charge.acknowledgement.number());
                legal.push((from, step, charge.status, meets, charge.outstanding().kopecks()));
                assert_eq!(charge.paid, money(30), "{step:?} receives no money");
            }
        }
    }
    // Written a second time by hand.
    let by_hand = [
        (Open, ChargeStep::Clarify, Open, (2, 2), 50),
        (Open, ChargeStep::Annul, Annulled, (3, 2), 0),
        (Open, ChargeStep::Acknowledge, Settled, (1, 4), 0),
        (Annulled, ChargeStep::Deannul, Open, (4, 2), 70),
    ];
    assert_eq!(legal, by_hand);
}

#[test]
fn a_change_of_a_charge_waits_alone_for_another_officer() {
    let proposed = |confirmed_by| Revision {
        kind: RevisionKind::Annul,
        reason: "x".into(),
        proposed_by: ONE,
        proposed_at: DateTime::UNIX_EPOCH,
        confirmed_by,
        confirmed_at: confirmed_by.map(|_| DateTime::UNIX_EPOCH),
    };
    let (waits, done) = (proposed(None), proposed(Some(OTHER)));
    // Proposing, confirming by the same and by another officer, rejecting.
    let answers = |last: Option<&Revision>| {
        [
            Revision::may_be_proposed(last).err(),
            Revision::may_be_confirmed(last, ONE).err(),
            Revision::may_be_confirmed(last, OTHER).err(),
            Revision::may_be_rejected(last).err(),
        ]
    };
    let (nothing, four_eyes) = (Some(RevisionError::NothingWaits), Some(RevisionError::FourEyes));
    assert_eq!(answers(None), [None, nothing, nothing, nothing]);
    assert_eq!(answers(Some(&waits)), [Some(RevisionError::Waits), four_eyes, None, None]);
    assert_eq!(answers(Some(&done)), [None, nothing, nothing, nothing]);
}

proptest! {
    /// Steps that no officer is let take change nothing that contradicts what the table `charges` checks.
    #[test]
    fn whatever_is_done_with_a_charge_its_parts_agree(steps in proptest::collection::vec(0_usize..5, 0..12)) {
        let mut charge = charge(ChargeStatus::Open, ChangeStatus::New, 0);
        for step in steps {
            match ChargeStep::ALL.get(step) {
                Some(step) if step.is_allowed(charge.status) => take(&mut charge, *step),
                Some(step) => {
                    // What is settled can be annulled by what ends the application's use of it.
                    let annuls = *step == ChargeStep::Annul;
                    let before = charge.clone();
                    if charge.status == ChargeStatus::Annulled && !annuls {
                        take(&mut charge, *step);
                        prop_assert_eq!(&charge, &before);
                    }
                }
                None if charge.status == ChargeStatus::Open && charge.outstanding() > money(10) => {
                    charge.paid = charge.paid.checked_add(money(10)).unwrap();
                    charge.meet(false);
                }
                None => {}
            }
            let (annulled, settled) =
                (charge.status == ChargeStatus::Annulled, charge.status == ChargeStatus::Settled);
            prop_assert_eq!(annulled, charge.change == ChangeStatus::Annulled);
            prop_assert_eq!(settled, !annulled && charge.covered() >= charge.amount);
            let outside = charge.outside > Money::ZERO;
            prop_assert_eq!(outside, charge.acknowledgement == Acknowledgement::WithoutPayment);
        }
    }
}

/// Every step, with a due amount, by one officer and the other.
fn steps() -> Vec<PaymentStep> {
    vec![
        PaymentStep::Match { due: money(60) },
        PaymentStep::Match { due: money(100) },
        PaymentStep::Match { due: Money::ZERO },
        PaymentStep::Release,
        PaymentStep::Propose { by: ONE },
        PaymentStep::Confirm { by: ONE },
        PaymentStep::Confirm { by: OTHER },
        PaymentStep::Reject,
        PaymentStep::Send,
        PaymentStep::Complete,
        PaymentStep::ComeBack,
    ]
}

/// Every holding of 100 kopecks that can be reached.
fn reachable() -> Vec<Holding> {
    let mut found = vec![Holding::received(money(100))];
    let mut next = 0;
    while let Some(holding) = found.get(next).copied() {
        next += 1;
        for step in steps() {
            if let Ok(after) = holding.after(step)
                && !found.contains(&after)
            {
                found.push(after);
            }
        }
    }
    found
}

#[test]
fn every_status_is_reached_and_every_kopeck_is_somewhere() {
    let found = reachable();
    for status in PaymentStatus::ALL {
        assert!(found.iter().any(|one| one.status() == status), "{status:?} is never reached");
        assert_eq!(PaymentStatus::parse(status.name()), Some(status));
    }
    for one in &found {
        let sum: i64 =
            [one.matched(), one.waiting(), one.refunded()].iter().map(|part| part.kopecks()).sum();
        assert_eq!(sum, 100, "{one:?}");
        let stored =
            Holding::stored(one.matched, one.waiting, one.refunded, one.status, one.proposed_by);
        assert_eq!(stored, Some(*one), "what can be reached can be stored");
    }
}

#[test]
fn from_everywhere_the_money_can_still_be_matched_or_given_back() {
    for one in reachable() {
        let mut seen = vec![one];
        let mut next = 0;
        while let Some(holding) = seen.get(next).copied() {
            next += 1;
            for step in steps() {
                if let Ok(after) = holding.after(step)
                    && !seen.contains(&after)
                {
                    seen.push(after);
                }
            }
        }
        assert!(seen.iter().any(|end| end.waiting() == Money::ZERO), "{one:?} waits for ever");
    }
}

#[test]
fn no_refund_leaves_without_a_second_officer() {
    // Whatever leads to a refund that is sent went through a confirmation by another than the proposer.
    for one in reachable() {
        for step in steps() {
            if one.after(step).is_ok_and(|after| after.status() == PaymentStatus::RefundSent) {
                assert_eq!(one.status(), PaymentStatus::RefundConfirmed, "{one:?} {step:?}");
            }
            if one.after(step).is_ok_and(|after| after.status() == PaymentStatus::RefundConfirmed) {
                assert_eq!(
                    step,
                    PaymentStep::Confirm { by: OTHER },
                    "{one:?} by {:?}",
                    one.proposed_by
                );
            }
        }
    }
    let proposed = Holding::received(money(1)).after(PaymentStep::Propose { by: ONE }).unwrap();
    assert_eq!(proposed.after(PaymentStep::Confirm { by: ONE }), Err(LedgerError::FourEyes));
}

#[test]
fn a_refund_under_way_is_neither_matched_nor_proposed_again() {
    let proposed = Holding::received(money(1)).after(PaymentStep::Propose { by: ONE }).unwrap();
    for step in [PaymentStep::Match { due: money(1) }, PaymentStep::Propose { by: OTHER }] {
        assert_eq!(proposed.after(step), Err(LedgerError::Payment(PaymentStatus::RefundProposed)));
    }
}

#[test]
fn a_status_that_contradicts_the_parts_is_not_taken_from_storage() {
    let stored = |matched, waiting, refunded, status, by| {
        Holding::stored(money(matched), money(waiting), money(refunded), status, by)
    };
    assert_eq!(stored(50, 50, 0, PaymentStatus::Matched, None), None);
    assert_eq!(stored(0, 0, 0, PaymentStatus::Matched, None), None);
    assert_eq!(stored(100, 0, 0, PaymentStatus::Waiting, None), None);
    assert_eq!(stored(0, 100, 0, PaymentStatus::RefundSent, None), None);
    assert_eq!(stored(0, 100, 0, PaymentStatus::Waiting, Some(ONE)), None);
    assert_eq!(stored(100, 0, 0, PaymentStatus::Refunded, Some(ONE)), None);
}

// ── A plain ledger beside the machine ─────────────────────────────────────────────────────────────────────

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happening {
    Charge(i64),
    Payment {
        charge: usize,
        kopecks: i64,
    },
    /// The provider tells of a payment again: nothing happens.
    Repeat,
    Annul(usize),
    Step {
        payment: usize,
        step: PaymentStep,
        charge: usize,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let steps = steps();
    prop_oneof![
        2 => (1i64..500).prop_map(Happening::Charge),
        4 => (0usize..8, 1i64..700)
            .prop_map(|(charge, kopecks)| Happening::Payment { charge, kopecks }),
        1 => Just(Happening::Repeat),
        1 => (0usize..8).prop_map(Happening::Annul),
        8 => (0usize..12, 0..steps.len(), 0usize..8).prop_map(move |(payment, at, charge)| {
            Happening::Step { payment, step: steps[at], charge }
        }),
    ]
}

#[derive(Debug, Clone, Copy, Default)]
struct Bill {
    amount: i64,
    paid: i64,
    annulled: bool,
}

/// What the office does with the machine.
#[derive(Default)]
struct Office {
    bills: Vec<Bill>,
    payments: Vec<(Holding, Option<usize>)>,
}

/// A cash book: for each payment what came in, and every kopeck that left it again, in plain signed entries.
#[derive(Default)]
struct CashBook {
    received: i64,
    /// By payment: entries to charges and to payers.
    entries: BTreeMap<usize, Vec<(&'static str, i64)>>,
}

impl CashBook {
    fn of(&self, payment: usize, account: &str) -> i64 {
        let entries = self.entries.get(&payment).into_iter().flatten();
        entries.filter(|(name, _)| *name == account).map(|(_, amount)| amount).sum()
    }

    fn enter(&mut self, payment: usize, account: &'static str, amount: i64) {
        self.entries.entry(payment).or_default().push((account, amount));
    }
}

impl Office {
    fn due(&self, charge: usize) -> i64 {
        self.bills.get(charge).filter(|bill| !bill.annulled).map_or(0, |b| b.amount - b.paid)
    }

    fn happens(&mut self, what: &Happening, book: &mut CashBook) {
        match what {
            Happening::Charge(amount) => {
                self.bills.push(Bill { amount: *amount, ..Bill::default() });
            }
            Happening::Annul(charge) => {
                if let Some(bill) = self.bills.get_mut(*charge) {
                    bill.annulled |= bill.paid < bill.amount;
                }
            }
            Happening::Repeat => {}
            Happening::Payment { charge, kopecks } => {
                let number = self.payments.len();
                book.received += kopecks;
                self.payments.push((Holding::received(money(*kopecks)), None));
                let due = money(self.due(*charge));
                self.step(number, PaymentStep::Match { due }, *charge, book);
            }
            Happening::Step { payment, step, charge } => {
                let step = match step {
                    PaymentStep::Match { .. } => {
                        PaymentStep::Match { due: money(self.due(*charge)) }
                    }
                    other => *other,
                };
                self.step(*payment, step, *charge, book);
            }
        }
    }

    fn step(&mut self, number: usize, step: PaymentStep, charge: usize, book: &mut CashBook) {
        let Some((holding, on)) = self.payments.get_mut(number) else { return };
        let before = *holding;
        let Ok(after) = before.after(step) else { return };
        *holding = after;
        match step {
            PaymentStep::Match { due } => {
                // Reckoned here from what the book says, not from the machine.
                let left = book_waiting(book, number, before);
                let booked = left.min(due.kopecks());
                book.enter(number, "charge", booked);
                *on = Some(charge);
                self.bills[charge].paid += booked;
            }
            PaymentStep::Release => {
                let back = book.of(number, "charge");
                book.enter(number, "charge", -back);
                let bill = &mut self.bills[on.take().unwrap()];
                bill.paid -= back;
                bill.annulled = true;
            }
            PaymentStep::Complete => {
                let left = book_waiting(book, number, before);
                book.enter(number, "payer", left);
            }
            _ => {}
        }
    }
}

/// What is left of a payment by the book.
fn book_waiting(book: &CashBook, payment: usize, holding: Holding) -> i64 {
    let received = [holding.matched(), holding.waiting(), holding.refunded()]
        .iter()
        .map(|m| m.kopecks())
        .sum::<i64>();
    received - book.of(payment, "charge") - book.of(payment, "payer")
}

proptest! {
    #[test]
    fn whatever_happens_the_machine_and_a_plain_cash_book_are_never_a_kopeck_apart(
        stream in proptest::collection::vec(happening(), 0..80),
    ) {
        let (mut office, mut book) = (Office::default(), CashBook::default());
        for what in &stream {
            office.happens(what, &mut book);
            let (mut matched, mut waiting, mut refunded) = (0, 0, 0);
            for (number, (holding, _)) in office.payments.iter().enumerate() {
                prop_assert_eq!(holding.matched().kopecks(), book.of(number, "charge"));
                prop_assert_eq!(holding.refunded().kopecks(), book.of(number, "payer"));
                prop_assert_eq!(holding.waiting().kopecks(), book_waiting(&book, number, *holding));
                matched += holding.matched().kopecks();
                waiting += holding.waiting().kopecks();
                refunded += holding.refunded().kopecks();
            }
            prop_assert_eq!(book.received, matched + waiting + refunded);
            let paid: i64 = office.bills.iter().map(|bill| bill.paid).sum();
            prop_assert_eq!(paid, matched, "what the charges got is what the payments gave");
            for bill in &office.bills {
                prop_assert!((0..=bill.amount).contains(&bill.paid), "{:?}", bill);
            }
        }
    }
}
