//! Random streams of money through the real door and database, against a plain ledger kept beside: never a kopeck apart.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate, TimeDelta};
use proptest::prelude::*;
use propusk::casework::payments::RefundAct;
use propusk::casework::{Ask, Received};
use propusk::clock::Clock as _;
use propusk::domain::fee::{Money, Payment, Uin};
use propusk::domain::permit::add_months;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::CommandName;
use propusk::error::Error;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::cases::grounds;
use crate::support::drive::fresh;
use crate::support::office::{Colleague, Office, render};

/// What happens next; the numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Op {
    Pay { case: usize, bill: usize, part: usize },
    Repeat { payment: usize },
    TwoPayers { case: usize },
    PayForNothing { kopecks: i64 },
    Match { payment: usize, case: usize },
    Release { payment: usize },
    Refund { payment: usize, step: usize, by: usize },
    Withdraw { case: usize },
    Annul { case: usize, confirm: bool },
    Days { days: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let (case, many) = (0..3_usize, 0..1000_usize);
    prop_oneof![
        9 => (case.clone(), 0..3_usize, 0..7_usize).prop_map(|(case, bill, part)| Op::Pay { case, bill, part }),
        2 => many.clone().prop_map(|payment| Op::Repeat { payment }),
        2 => case.clone().prop_map(|case| Op::TwoPayers { case }),
        1 => (1..900_000_i64).prop_map(|kopecks| Op::PayForNothing { kopecks }),
        3 => (many.clone(), case.clone()).prop_map(|(payment, case)| Op::Match { payment, case }),
        2 => many.clone().prop_map(|payment| Op::Release { payment }),
        6 => (many, 0..6_usize, 0..2_usize).prop_map(|(payment, step, by)| Op::Refund { payment, step, by }),
        1 => case.clone().prop_map(|case| Op::Withdraw { case }),
        1 => (case, any::<bool>()).prop_map(|(case, confirm)| Op::Annul { case, confirm }),
        3 => (1..24_u64).prop_map(|days| Op::Days { days }),
    ]
}

/// A payment as the plain ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    amount: i64,
    matched: i64,
    waiting: i64,
    refunded: i64,
    status: &'static str,
    /// UIN of the bill that it is booked on.
    bill: Option<String>,
    quoted: Option<String>,
    paid_on: NaiveDate,
    proposed_by: usize,
}

/// A bill as the plain ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bill {
    case: usize,
    monthly: bool,
    amount: i64,
    paid: i64,
    status: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    AwaitsDuty,
    HandedIn,
    InForce,
    Proposed,
    Over,
}

/// The plain ledger.
struct Plain {
    payments: BTreeMap<String, Kept>,
    bills: BTreeMap<String, Bill>,
    stages: [Stage; 3],
    months: [u32; 3],
    issued: NaiveDate,
    month: i64,
    today: NaiveDate,
}

impl Plain {
    fn through(&self, case: usize) -> NaiveDate {
        add_months(self.issued, self.months[case])
    }

    fn open_bill(&self, case: usize) -> Option<String> {
        let mut open =
            self.bills.iter().filter(|(_, bill)| bill.case == case && bill.status == "open");
        open.next().map(|(uin, _)| uin.clone())
    }

    /// Books what can be on a bill; gives how much, or nothing where it has to wait.
    fn book(&mut self, uin: &str, kopecks: i64, paid_on: NaiveDate) -> Option<i64> {
        let bill = self.bills.get(uin)?.clone();
        if bill.status != "open" {
            return None;
        }
        let case = bill.case;
        let due = bill.amount - bill.paid;
        let fits = match self.stages[case] {
            Stage::AwaitsDuty => !bill.monthly,
            Stage::InForce | Stage::Proposed => bill.monthly && paid_on <= self.through(case),
            Stage::HandedIn | Stage::Over => false,
        };
        if !fits {
            return None;
        }
        let mut amount = bill.amount;
        if bill.monthly && kopecks >= due {
            let left = i64::from(12 - self.months[case]);
            let months = (1 + (kopecks - due) / self.month).min(left);
            amount += (months - 1) * self.month;
            self.months[case] += u32::try_from(months).unwrap();
        }
        let booked = kopecks.min(amount - bill.paid);
        let bill = self.bills.get_mut(uin).unwrap();
        bill.amount = amount;
        bill.paid += booked;
        if bill.paid == bill.amount {
            bill.status = "settled";
            if !bill.monthly {
                self.stages[case] = Stage::HandedIn;
            }
        }
        Some(booked)
    }

    fn end(&mut self, case: usize) {
        self.stages[case] = Stage::Over;
        self.annul(case);
    }

    fn annul(&mut self, case: usize) {
        for bill in
            self.bills.values_mut().filter(|bill| bill.case == case && bill.status == "open")
        {
            bill.status = "annulled";
        }
    }

    /// Takes a payment that was told of; says what becomes of it.
    fn receive(&mut self, id: &str, uin: Option<&str>, kopecks: i64) -> Received {
        if self.payments.contains_key(id) {
            return Received::Known;
        }
        let booked = uin.and_then(|uin| self.book(uin, kopecks, self.today));
        let matched = booked.unwrap_or(0);
        let waiting = kopecks - matched;
        self.payments.insert(
            id.to_owned(),
            Kept {
                amount: kopecks,
                matched,
                waiting,
                refunded: 0,
                status: if waiting > 0 { "waiting" } else { "matched" },
                bill: booked.and(uin).map(str::to_owned),
                quoted: uin.map(str::to_owned),
                paid_on: self.today,
                proposed_by: 9,
            },
        );
        if booked.is_some() { Received::Booked } else { Received::Waiting }
    }
}

/// The office, and the plain ledger beside it.
struct Both {
    office: Office,
    sql: Client,
    cases: [Uuid; 3],
    plain: Plain,
}

impl Both {
    /// One application that owes its duty, and two patents in force.
    async fn begin() -> Self {
        let office = Office::open().await;
        let first = office.draft(&office.migrant, "patent", "FA0000001").await.unwrap();
        office.give(&office.migrant, first, Command::Submit).await.unwrap();
        let cases = [first, office.in_force("FA0000002").await, office.in_force("FA0000003").await];
        let sql = office.owner().await;
        let today = office.today();
        let plain = Plain {
            payments: BTreeMap::new(),
            bills: BTreeMap::new(),
            stages: [Stage::AwaitsDuty, Stage::InForce, Stage::InForce],
            months: [0, 1, 1],
            issued: today,
            month: 0,
            today,
        };
        let mut both = Self { office, sql, cases, plain };
        both.adopt().await;
        both.plain.month = both.plain.bills.values().find(|bill| bill.monthly).unwrap().amount;
        both
    }

    async fn rows(&self) -> (BTreeMap<String, Kept>, BTreeMap<String, Bill>) {
        let of = |name: String| -> &'static str {
            [
                "waiting",
                "matched",
                "refundProposed",
                "refundConfirmed",
                "refundSent",
                "refunded",
                "open",
                "settled",
                "annulled",
            ]
            .into_iter()
            .find(|known| *known == name)
            .unwrap()
        };
        let all = "SELECT p.provider_id, p.amount_kopecks, p.matched_kopecks, p.waiting_kopecks, p.refunded_kopecks, \
                   p.status, c.uin, p.uin FROM payments p LEFT JOIN charges c ON c.id = p.charge_id";
        let payments = self.sql.query(all, &[]).await.unwrap().into_iter().map(|row| {
            let id: String = row.get(0);
            let known = self.plain.payments.get(&id);
            let kept = Kept {
                amount: row.get(1),
                matched: row.get(2),
                waiting: row.get(3),
                refunded: row.get(4),
                status: of(row.get(5)),
                bill: row.get(6),
                quoted: row.get(7),
                paid_on: known.map_or(self.plain.today, |known| known.paid_on),
                proposed_by: known.map_or(9, |known| known.proposed_by),
            };
            (id, kept)
        });
        let payments = payments.collect();
        let all = "SELECT uin, application_id::text, fee, amount_kopecks, paid_kopecks, status FROM charges";
        let bills = self.sql.query(all, &[]).await.unwrap().into_iter().map(|row| {
            let application: Uuid = row.get::<_, String>(1).parse().unwrap();
            let bill = Bill {
                case: self.cases.iter().position(|case| *case == application).unwrap(),
                monthly: row.get::<_, String>(2) == "monthTax",
                amount: row.get(3),
                paid: row.get(4),
                status: of(row.get(5)),
            };
            (row.get(0), bill)
        });
        (payments, bills.collect())
    }

    /// Takes into the plain ledger what was done before it began.
    async fn adopt(&mut self) {
        (self.plain.payments, self.plain.bills) = self.rows().await;
    }

    /// Compares every payment, every bill and every permit.
    async fn compare(&mut self) {
        let (payments, bills) = self.rows().await;
        // A bill that was made meanwhile has a number that nobody could foretell.
        for (uin, bill) in &bills {
            if !self.plain.bills.contains_key(uin) {
                let fresh =
                    Bill { paid: 0, status: "open", amount: self.plain.month, ..bill.clone() };
                assert!(bill.monthly && self.plain.open_bill(bill.case).is_none(), "{bill:?}");
                self.plain.bills.insert(uin.clone(), fresh);
            }
        }
        assert_eq!(payments, self.plain.payments);
        assert_eq!(bills, self.plain.bills);
        for one in payments.values() {
            assert_eq!(one.matched + one.waiting + one.refunded, one.amount, "{one:?}");
        }
        for (uin, bill) in &bills {
            let on = payments.values().filter(|one| one.bill.as_ref() == Some(uin));
            assert_eq!(on.map(|one| one.matched).sum::<i64>(), bill.paid, "{uin}: {bill:?}");
        }
        for (index, case) in self.cases.iter().enumerate() {
            let lives = matches!(self.plain.stages[index], Stage::InForce | Stage::Proposed);
            assert_eq!(
                self.plain.open_bill(index).is_some(),
                match self.plain.stages[index] {
                    Stage::AwaitsDuty => true,
                    _ => lives && self.plain.months[index] < 12,
                },
                "the next month is billed"
            );
            let now = self.office.now(*case).await.application;
            if let Some(permit) = now.permit {
                assert_eq!(permit.paid_through, Some(self.plain.through(index)));
            }
        }
    }

    fn told(&self, id: &str, uin: Option<&str>, kopecks: i64) -> Payment {
        Payment {
            provider_id: id.to_owned(),
            uin: uin.map(|uin| Uin::parse(uin).unwrap()),
            amount: Money::from_kopecks(kopecks).unwrap(),
            paid_at: self.office.clock.now(),
            ..Payment::default()
        }
    }

    async fn receive(&mut self, id: &str, uin: Option<&str>, kopecks: i64) {
        let became = self.office.casework.receive(&self.told(id, uin, kopecks)).await.unwrap();
        assert_eq!(became, self.plain.receive(id, uin, kopecks), "{id} {uin:?} {kopecks}");
    }

    /// Chooses a payment that there is.
    async fn chosen(&self, number: usize) -> (String, Uuid) {
        let ids: Vec<&String> = self.plain.payments.keys().collect();
        let id = ids[number % ids.len()].clone();
        let row = "SELECT id::text FROM payments WHERE provider_id = $1";
        let key: String = self.sql.query_one(row, &[&id]).await.unwrap().get(0);
        (id, key.parse().unwrap())
    }

    fn ask(who: &Colleague) -> Ask {
        who.ask_with_key(&format!("stream-{}", fresh()))
    }

    async fn run(&mut self, op: Op) {
        match op {
            Op::Pay { case, bill, part } => {
                let own = self.plain.bills.iter().filter(|(_, one)| one.case == case);
                let own: Vec<String> = own.map(|(uin, _)| uin.clone()).collect();
                // Mostly the open one, now and then one that is over.
                let uin = match (bill, self.plain.open_bill(case)) {
                    (1.., Some(open)) => open,
                    _ => own[part % own.len()].clone(),
                };
                let known = &self.plain.bills[&uin];
                let due = (known.amount - known.paid).max(1);
                let month = self.plain.month;
                let kopecks =
                    [due, due, due / 3 + 1, due + 1, due + month, due + 4 * month + 5, 1][part];
                self.receive(&format!("stream:{}", fresh()), Some(&uin), kopecks).await;
            }
            Op::Repeat { payment } => {
                let (id, _) = self.chosen(payment).await;
                let known = self.plain.payments[&id].clone();
                self.receive(&id, known.quoted.as_deref(), known.amount).await;
            }
            Op::TwoPayers { case } => {
                let Some(uin) = self.plain.open_bill(case) else { return };
                let bill = &self.plain.bills[&uin];
                let due = bill.amount - bill.paid;
                let ids = [format!("stream:{}", fresh()), format!("stream:{}", fresh())];
                let [one, two] = ids.each_ref().map(|id| self.told(id, Some(&uin), due));
                let casework = self.office.casework.clone();
                let (first, second) = tokio::join!(casework.receive(&one), casework.receive(&two));
                let (first, second) = (first.unwrap(), second.unwrap());
                let order = if second == Received::Booked { [1, 0] } else { [0, 1] };
                let became = order.map(|index| self.plain.receive(&ids[index], Some(&uin), due));
                let mut was = [first, second];
                if order == [1, 0] {
                    was.swap(0, 1);
                }
                assert_eq!(was, became);
            }
            Op::PayForNothing { kopecks } => {
                self.receive(&format!("stream:{}", fresh()), None, kopecks).await;
            }
            Op::Match { payment, case } => self.put(payment, case).await,
            Op::Release { payment } => self.release(payment).await,
            Op::Refund { payment, step, by } => self.refund(payment, step, by).await,
            Op::Withdraw { case } => {
                let may = matches!(self.plain.stages[case], Stage::AwaitsDuty | Stage::HandedIn);
                let withdraw = Command::Withdraw { reason: None };
                let done = self.office.give(&self.office.migrant, self.cases[case], withdraw).await;
                assert_eq!(done.is_ok(), may);
                if may {
                    self.plain.end(case);
                }
            }
            Op::Annul { case, confirm } => self.annul(case, confirm).await,
            Op::Days { days } => self.go_on(days).await,
        }
    }

    async fn put(&mut self, number: usize, case: usize) {
        let (id, key) = self.chosen(number).await;
        let Some(uin) = self.plain.open_bill(case) else { return };
        let known = self.plain.payments[&id].clone();
        let done = self
            .office
            .casework
            .match_payment(&Self::ask(&self.office.anna), key, &Uin::parse(&uin).unwrap(), &render)
            .await;
        let may = known.bill.is_none() && known.status == "waiting";
        let booked = may.then(|| self.plain.book(&uin, known.waiting, known.paid_on)).flatten();
        refused(&done.map(drop), booked.is_some(), &format!("match {known:?}"));
        let Some(booked) = booked else { return };
        let one = self.plain.payments.get_mut(&id).unwrap();
        (one.matched, one.waiting, one.bill) = (booked, one.waiting - booked, Some(uin));
        one.status = if one.waiting > 0 { "waiting" } else { "matched" };
    }

    async fn release(&mut self, number: usize) {
        let (id, key) = self.chosen(number).await;
        let ask = Self::ask(&self.office.anna);
        let done = self.office.casework.release_payment(&ask, key, "released", &render).await;
        let known = self.plain.payments[&id].clone();
        let annulled =
            known.bill.as_ref().is_some_and(|uin| self.plain.bills[uin].status == "annulled");
        let may = annulled && ["waiting", "matched", "refunded"].contains(&known.status);
        refused(&done.map(drop), may, &format!("release {known:?}"));
        if may {
            self.plain.bills.get_mut(&known.bill.unwrap()).unwrap().paid -= known.matched;
            let one = self.plain.payments.get_mut(&id).unwrap();
            (one.waiting, one.matched, one.bill) = (one.waiting + one.matched, 0, None);
            one.status = "waiting";
        }
    }

    async fn refund(&mut self, number: usize, step: usize, by: usize) {
        let (id, key) = self.chosen(number).await;
        let reason = || "said".to_owned();
        let (act, from, to): (RefundAct, &[&str], &'static str) = match step {
            0 => (RefundAct::Propose { reason: reason() }, &["waiting"], "refundProposed"),
            1 => (RefundAct::Confirm, &["refundProposed"], "refundConfirmed"),
            2 => (
                RefundAct::Reject { reason: reason() },
                &["refundProposed", "refundConfirmed"],
                "waiting",
            ),
            3 => (RefundAct::Send { document: reason() }, &["refundConfirmed"], "refundSent"),
            4 => (RefundAct::Complete, &["refundSent"], "refunded"),
            _ => (RefundAct::ComeBack { reason: reason() }, &["refundSent"], "waiting"),
        };
        let known = self.plain.payments[&id].clone();
        let may = from.contains(&known.status) && !(step == 1 && known.proposed_by == by);
        let ask = Self::ask([&self.office.anna, &self.office.senior][by]);
        let said = |_: &propusk::storage::payments::KeptPayment| Ok(String::new());
        let done = self.office.casework.refund(&ask, key, &act, &said).await;
        refused(&done.map(drop), may, &format!("{act:?} {known:?}"));
        if may {
            let one = self.plain.payments.get_mut(&id).unwrap();
            one.status = to;
            match step {
                0 => one.proposed_by = by,
                4 => (one.refunded, one.waiting) = (one.refunded + one.waiting, 0),
                _ => {}
            }
        }
    }

    async fn annul(&mut self, case: usize, confirm: bool) {
        let (anna, senior, id) = (&self.office.anna, &self.office.senior, self.cases[case]);
        match self.plain.stages[case] {
            Stage::InForce => {
                let why =
                    Command::ProposeAnnulment { grounds: grounds("G01"), reason: "said".into() };
                self.office.give(anna, id, why).await.unwrap();
                self.plain.stages[case] = Stage::Proposed;
            }
            Stage::Proposed if confirm => {
                self.office.give(senior, id, Command::ConfirmAnnulment).await.unwrap();
                self.plain.end(case);
            }
            Stage::Proposed => {
                let no = Command::RejectAnnulment { reason: "said".into() };
                self.office.give(senior, id, no).await.unwrap();
                self.plain.stages[case] = Stage::InForce;
            }
            Stage::AwaitsDuty | Stage::HandedIn | Stage::Over => {}
        }
    }

    /// Lets days go by, and the timer look at everything at midnight.
    async fn go_on(&mut self, days: u64) {
        // Rates are known to the end of the year.
        if self.plain.today + Days::new(days) > NaiveDate::from_ymd_opt(2026, 12, 20).unwrap() {
            return;
        }
        self.office.clock.advance(TimeDelta::days(i64::try_from(days).unwrap()));
        self.plain.today = self.office.today();
        let today = self.plain.today;
        for case in 0..3 {
            let (command, due) = match self.plain.stages[case] {
                Stage::AwaitsDuty => {
                    (CommandName::ExpireUnpaid, self.plain.issued + Days::new(30) < today)
                }
                Stage::InForce | Stage::Proposed => (
                    CommandName::Lapse,
                    self.plain.months[case] < 12 && self.plain.through(case) < today,
                ),
                Stage::HandedIn | Stage::Over => continue,
            };
            let done = self.office.casework.deadline(self.cases[case], command).await;
            assert_eq!(matches!(done, Ok(None)), due, "{done:?}");
            if due {
                self.plain.end(case);
            }
        }
    }
}

/// Sees that what the plain ledger forbids was refused, and that a refusal is no fault of ours.
fn refused(done: &Result<(), Error>, may: bool, what: &str) {
    if let Err(error) = done {
        assert!(matches!(error, Error::Refused(_)), "{what}: {}", propusk::telemetry::chain(error));
    }
    assert_eq!(done.is_ok(), may, "{what}: {done:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6, max_shrink_iters: 12, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_office_and_a_plain_ledger_are_never_a_kopeck_apart(
        ops in prop::collection::vec(op(), 30..90),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut both = Both::begin().await;
            for op in ops {
                both.run(op).await;
                both.compare().await;
            }
            for case in both.cases {
                both.office.agreed(case).await;
            }
        });
    }
}
