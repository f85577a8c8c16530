//! Money: what the provider tells of, what officers match, let go and give back, and what they change about a charge.
//!
//! A payment finds its charge by the UIN that it quotes, else by the payer's document, the KBK and the amount, if just one
//! open charge fits; else it waits for an officer. What is paid beyond a charge waits, too.

use chrono::{NaiveTime, TimeDelta};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    ATTEMPTS, Answer, Ask, Casework, NO_ANSWER, Received, Render, Seen, busy, definition, etag,
    replay,
};
use crate::domain::actor::Actor;
use crate::domain::application::Application;
use crate::domain::fee::ledger::{LedgerError, PaymentStep};
use crate::domain::fee::revision::RevisionAct;
use crate::domain::fee::statement::{Comparison, Statement, compare, span};
use crate::domain::fee::{ChargeStatus, Match, MatchedBy, Payment, Uin};
use crate::domain::lookup;
use crate::domain::workflow::command::Command;
use crate::domain::workflow::definition::CommandName;
use crate::domain::workflow::engine::{self, Rejection};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::applications::{
    self as store, Applied, KeptAnswer, Key, Loaded, Otherwise, PaymentRow, Stated, Wants,
};
use crate::storage::events::PlainEvent;
use crate::storage::payments::{self, KeptPayment, Refund, RefundStep, Stepped};

/// What an officer does about a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundAct {
    /// Proposes to give back what waits.
    Propose {
        /// Why.
        reason: String,
    },
    /// Agrees, as the second officer.
    Confirm,
    /// Drops the proposal.
    Reject {
        /// Why.
        reason: String,
    },
    /// Notes that the payment order was sent.
    Send {
        /// Its number.
        document: String,
    },
    /// Notes that the payer has the money.
    Complete,
    /// Notes that it came back from the bank.
    ComeBack {
        /// Why.
        reason: String,
    },
}

/// What a statement and the ledger do not say alike, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// What they do not say alike; what was taken is not among it any more.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// How many payments were taken and booked on a charge.
    pub booked: usize,
    /// How many were taken and wait.
    pub waiting: usize,
}

/// Writes the body of an answer from what a payment has become.
pub type RenderPayment<'a> = &'a (dyn Fn(&KeptPayment) -> Result<String> + Sync);

impl RefundAct {
    /// Gives the kind of the event, the step and the words that the event keeps.
    fn parts(&self, by: Uuid) -> (&'static str, PaymentStep, Option<&str>) {
        match self {
            Self::Propose { reason } => {
                ("refundProposed", PaymentStep::Propose { by }, Some(reason))
            }
            Self::Confirm => ("refundConfirmed", PaymentStep::Confirm { by }, None),
            Self::Reject { reason } => ("refundRejected", PaymentStep::Reject, Some(reason)),
            Self::Send { document } => ("refundSent", PaymentStep::Send, Some(document)),
            Self::Complete => ("refundCompleted", PaymentStep::Complete, None),
            Self::ComeBack { reason } => ("refundCameBack", PaymentStep::ComeBack, Some(reason)),
        }
    }
}

impl Casework {
    /// Takes a payment that the provider tells of: books it if it matches an open charge, else lets it wait. Each of the
    /// provider's ids takes effect once. Two round trips.
    ///
    /// # Errors
    /// [`Error::Internal`] when it could not be written down; the provider will repeat it.
    pub async fn receive(&self, told: &Payment) -> Result<Received> {
        let ask = Ask { actor: Actor::Payments, if_match: None, idempotency: None };
        let document = told.payer_document.as_deref().map(lookup::number);
        let otherwise =
            document.as_deref().filter(|number| !number.is_empty()).zip(told.kbk.as_deref());
        let stated = Stated {
            uin: told.uin.as_ref().map(Uin::as_str),
            otherwise: otherwise.map(|(document, kbk)| Otherwise {
                document,
                kbk,
                kopecks: told.amount.kopecks(),
            }),
        };
        for _ in 0..ATTEMPTS {
            let mut conn = self.db.conn().await?;
            let found = match stated {
                Stated { uin: None, otherwise: None } => None,
                Stated { .. } => {
                    let wants = Wants {
                        payment: Some(&told.provider_id),
                        ..self.wants(CommandName::RecordPayment)
                    };
                    store::find(&mut conn, Key::Payment(stated), wants).await?
                }
            };
            if let Some(loaded) = &found {
                if loaded.payment_known {
                    return Ok(Received::Known);
                }
                let payment = Payment {
                    matched: put(told, stated.otherwise.as_ref(), &loaded.application),
                    ..told.clone()
                };
                let known = self.rules.at(&mut conn, loaded.rules).await?;
                let definition = definition(&known.rules, &loaded.application)?;
                let now = self.clock.now();
                let context =
                    self.context(&known.rules, definition, &loaded.unit, now, Some(loaded));
                let command = Command::RecordPayment { payment: payment.clone() };
                match engine::decide(&loaded.application, &command, &ask.actor, &context) {
                    Ok(step) => {
                        let paid = Some(self.new_payment(&payment, &ask));
                        let number = known.number;
                        match self.write(&mut conn, number, &step, paid, &ask, &NO_ANSWER).await? {
                            Applied::Written => return Ok(Received::Booked),
                            Applied::PaymentKnown => return Ok(Received::Known),
                            Applied::LostRace => continue,
                            Applied::KeyUsed | Applied::PersonHasAnother => {
                                return Err(Error::bug("a payment meets no such constraint"));
                            }
                        }
                    }
                    Err(Rejection::RuleMissing(what)) => return Err(Error::bug(what)),
                    Err(_) => {}
                }
            }
            let event = payments::received(&*self.clock, told);
            let id = self.clock.new_id();
            let known = payments::insert_waiting(&mut conn, id, told, &event).await?;
            return Ok(if known { Received::Waiting } else { Received::Known });
        }
        Err(busy())
    }

    /// Compares a statement of the provider's account with the ledger; with `book`, takes what the ledger lacks as if it had
    /// been told of. Gives what was compared, and of what was taken how much is booked on a charge and how much waits.
    ///
    /// Taken twice, a statement changes nothing more: what has an id takes effect once.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails; what was taken stays taken.
    pub async fn reconcile(&self, statement: &Statement, book: bool) -> Result<Reconciled> {
        let ids: Vec<String> = statement
            .lines
            .iter()
            .flat_map(|line| ["provider", "statement"].map(|from| format!("{from}:{}", line.id)))
            .collect();
        let mut conn = self.db.conn().await?;
        let ledger = payments::told_between(&mut conn, span(statement), &ids).await?;
        drop(conn);
        let mut done =
            Reconciled { comparison: compare(statement, &ledger), booked: 0, waiting: 0 };
        if !book {
            return Ok(done);
        }
        for line in std::mem::take(&mut done.comparison.missing_in_ledger) {
            let noon = line.booked_on.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(9);
            let uin = line.uin.as_deref().and_then(|uin| Uin::parse(uin).ok());
            // Of a format without the provider's ids, the id is the file's own.
            let from = if line.id.starts_with("1c-") || line.id.starts_with("camt-") {
                "statement"
            } else {
                "provider"
            };
            let payment = Payment {
                provider_id: format!("{from}:{}", line.id),
                stated_uin: line.uin.filter(|_| uin.is_none()),
                uin,
                amount: line.amount,
                paid_at: noon,
                payer: line.payer,
                payer_document: None,
                kbk: line.kbk,
                matched: None,
            };
            match self.receive(&payment).await? {
                Received::Booked => done.booked += 1,
                Received::Waiting => done.waiting += 1,
                Received::Known => {}
            }
        }
        Ok(done)
    }

    pub(super) fn new_payment<'p>(&self, payment: &'p Payment, ask: &Ask) -> PaymentRow<'p> {
        PaymentRow::New { id: self.clock.new_id(), payment, recorded_by: ask.actor.account() }
    }

    /// Shows a payment to an officer: one that is booked on nothing, or on an application of his unit.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when there is none or it is not his.
    pub async fn see_payment(&self, actor: &Actor, id: Uuid) -> Result<KeptPayment> {
        let mut conn = self.db.conn().await?;
        let seen = payments::find(&mut conn, id).await?.ok_or_else(Error::not_found)?;
        let foreign = seen.application.as_ref().is_some_and(|(_, unit)| actor.unit() != Some(unit));
        if foreign { Err(Error::not_found()) } else { Ok(seen) }
    }

    /// Puts a payment that waits to the charge that has a UIN, whatever it quotes itself; `ask` names the version of the
    /// payment that was seen.
    ///
    /// # Errors
    /// Refused when the payment is booked or on its way back, or no open charge of the officer's unit has the UIN.
    pub async fn match_payment(
        &self,
        ask: &Ask,
        id: Uuid,
        uin: &Uin,
        render: Render<'_>,
    ) -> Result<Answer> {
        if let Some(answer) = self.answered_before(ask).await? {
            return Ok(answer);
        }
        let seen = self.unchanged(ask, id).await?;
        if seen.charge.is_some() {
            let detail = "The payment is booked on a charge; what waits of it was paid beyond that and can be given back.";
            return Err(Error::refused(ErrorCode::WrongState, detail));
        }
        seen.holding
            .after(PaymentStep::Match { due: seen.holding.waiting() })
            .map_err(|error| wrong_step(&error, &seen))?;
        let stated = Stated { uin: Some(uin.as_str()), otherwise: None };
        let mut conn = self.db.conn().await?;
        let found = store::find(&mut conn, Key::Payment(stated), Wants::default()).await?;
        drop(conn);
        let found = found
            .map(|loaded| loaded.application)
            .filter(|application| engine::may_see(application, &ask.actor));
        let charge = found.as_ref().and_then(|application| {
            let charge = application.charges.iter().find(|charge| charge.uin == *uin)?;
            Some((application.id, charge.id))
        });
        let (application, charge) = charge.ok_or_else(|| {
            let detail = "No charge of your unit has this UIN; compare it with the bill.";
            Error::refused(ErrorCode::RuleRefused, "The payment cannot be matched.")
                .with_violations(vec![Violation::new("/uin", "unknown-charge", detail)])
        })?;
        let payment = Payment {
            matched: Some(Match { charge, by: MatchedBy::Officer }),
            amount: seen.holding.waiting(),
            ..seen.as_told()
        };
        let wants = self.wants(CommandName::RecordPayment);
        let command = Command::RecordPayment { payment };
        self.change_payment(ask, &seen, application, wants, render, |application, context| {
            engine::decide(application, &command, &ask.actor, context)
        })
        .await
    }

    /// Books the money that waits and was paid for a charge of the application before the charge was made; gives how many
    /// payments. Which payment is for which charge is found as when it came.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails; what was booked stays booked.
    pub async fn match_waiting(&self, id: Uuid) -> Result<usize> {
        let ask = Ask { actor: Actor::Payments, if_match: None, idempotency: None };
        let mut booked = 0;
        let mut conn = self.db.conn().await?;
        let loaded = store::find(&mut conn, Key::Id(id), Wants::default()).await?;
        let Some(Loaded { application, .. }) = loaded else { return Ok(0) };
        let open: Vec<_> = application
            .charges
            .iter()
            .filter(|charge| charge.status == ChargeStatus::Open)
            .map(|charge| {
                let kbk = charge.requisites.as_ref().map(|to| to.kbk.as_str());
                (charge.uin.as_str(), kbk.unwrap_or_default())
            })
            .collect();
        let passport = application.form.passport.as_ref();
        let passport = passport.map(|passport| lookup::number(passport.number.as_str()));
        let waiting = payments::list_for(&mut conn, &open, passport.as_deref()).await?;
        drop(conn);
        for seen in waiting {
            let told = Payment { amount: seen.holding.waiting(), ..seen.as_told() };
            let document = told.payer_document.as_deref().map(lookup::number);
            let nothing = |_: &Seen<'_>| Ok(String::new());
            let wants = self.wants(CommandName::RecordPayment);
            let decide = |application: &Application, context: &engine::Context<'_>| {
                let otherwise = document.as_deref().zip(told.kbk.as_deref());
                let otherwise = otherwise.map(|(document, kbk)| Otherwise {
                    document,
                    kbk,
                    kopecks: told.amount.kopecks(),
                });
                let matched = put(&told, otherwise.as_ref(), application);
                let command =
                    Command::RecordPayment { payment: Payment { matched, ..told.clone() } };
                engine::decide(application, &command, &ask.actor, context)
            };
            match self.change_payment(&ask, &seen, id, wants, &nothing, decide).await {
                Ok(_) => booked += 1,
                // It is for something else, or somebody was quicker.
                Err(Error::Refused(refusal)) if refusal.code != ErrorCode::Unavailable => {}
                Err(error) => return Err(error),
            }
        }
        Ok(booked)
    }

    /// Lets what is booked of a payment wait again, so that it can be given back; `ask` names the version of the payment
    /// that was seen.
    ///
    /// # Errors
    /// Refused when nothing is booked, or the rules of the charge keep the money.
    pub async fn release_payment(
        &self,
        ask: &Ask,
        id: Uuid,
        reason: &str,
        render: Render<'_>,
    ) -> Result<Answer> {
        if let Some(answer) = self.answered_before(ask).await? {
            return Ok(answer);
        }
        let seen = self.unchanged(ask, id).await?;
        seen.holding.after(PaymentStep::Release).map_err(|error| wrong_step(&error, &seen))?;
        let (Some(charge), Some((application, _))) = (seen.charge, seen.application.clone()) else {
            return Err(Error::bug("money is booked on no charge"));
        };
        let booked = (charge, seen.provider_id.as_str(), seen.holding.matched());
        let wants = Wants::default();
        self.change_payment(ask, &seen, application, wants, render, |application, context| {
            engine::release_payment(application, booked, reason, &ask.actor, context)
        })
        .await
    }

    /// Proposes, confirms or rejects a change of a charge; where that leaves nothing to be paid, what waits for the payment
    /// goes on.
    ///
    /// # Errors
    /// Refused when the charge or the proposal does not allow it, or the second officer is the first one.
    pub async fn revise_charge(
        &self,
        ask: &Ask,
        id: Uuid,
        charge: Uuid,
        act: &RevisionAct,
        render: Render<'_>,
    ) -> Result<Answer> {
        let wants = match act {
            // What the payment would need.
            RevisionAct::Confirm => self.wants(CommandName::RecordPayment),
            RevisionAct::Propose { .. } | RevisionAct::Reject { .. } => Wants::default(),
        };
        self.change(ask, id, wants, None, render, |application, context| {
            engine::revise_charge(application, charge, act, &ask.actor, context)
        })
        .await
    }

    /// Takes a step of a refund; `ask` names the version of the payment that was seen.
    ///
    /// # Errors
    /// Refused when the payment's status does not allow it, or the second officer is the first one.
    pub async fn refund(
        &self,
        ask: &Ask,
        id: Uuid,
        act: &RefundAct,
        render: RenderPayment<'_>,
    ) -> Result<Answer> {
        if let Some(answer) = self.answered_before(ask).await? {
            return Ok(answer);
        }
        let (Some(by), Some(idempotency)) = (ask.actor.account(), &ask.idempotency) else {
            return Err(Error::bug("a refund needs an officer and an idempotency key"));
        };
        let seen = self.unchanged(ask, id).await?;
        let (kind, step, words) = act.parts(by);
        let holding = seen.holding.after(step).map_err(|error| wrong_step(&error, &seen))?;
        let content = json!({
            "actor": ask.actor, "payment": seen.id, "words": words,
            "amountKopecks": seen.holding.waiting().kopecks(),
        });
        let mut event = PlainEvent::now(&*self.clock, kind, ask.actor.role_name(), content)
            .by(by)
            .in_unit(ask.actor.unit().map(str::to_owned));
        if let Some((application, _)) = &seen.application {
            event = event.about(*application);
        }
        let now = event.at();
        let before = seen.refund.clone();
        let refund = match act {
            RefundAct::Propose { reason } => Some(Refund {
                proposed_by: by,
                proposed_at: now,
                reason: Some(reason.clone()),
                confirmed_by: None,
                confirmed_at: None,
                document: None,
                sent_at: None,
                completed_at: None,
            }),
            RefundAct::Confirm => before.map(|refund| Refund {
                confirmed_by: Some(by),
                confirmed_at: Some(now),
                ..refund
            }),
            RefundAct::Send { document } => before.map(|refund| Refund {
                document: Some(document.clone()),
                sent_at: Some(now),
                ..refund
            }),
            RefundAct::Complete => {
                before.map(|refund| Refund { completed_at: Some(now), ..refund })
            }
            RefundAct::Reject { .. } | RefundAct::ComeBack { .. } => None,
        };
        let after = KeptPayment {
            holding,
            refund: refund.clone(),
            version: seen.version + 1,
            ..seen.clone()
        };
        let answer = Answer {
            status: 200,
            etag: Some(etag(after.version)),
            location: None,
            body: render(&after)?,
            replayed: false,
        };
        let kept = KeptAnswer {
            account: by,
            key: idempotency.key.clone(),
            fingerprint: idempotency.fingerprint.to_vec(),
            status: 200,
            etag: answer.etag.clone(),
            location: None,
            body: answer.body.clone(),
        };
        let step = RefundStep { seen: &seen, holding, refund, event, answer: kept };
        let mut conn = self.db.conn().await?;
        let stepped = payments::step_refund(&mut conn, &step).await?;
        drop(conn);
        match stepped {
            Stepped::Written => Ok(answer),
            Stepped::LostRace => Err(stale()),
            Stepped::KeyUsed => self.replay_kept(ask).await,
        }
    }

    /// Gives the answer that was kept for this very request.
    async fn answered_before(&self, ask: &Ask) -> Result<Option<Answer>> {
        let (Some(account), Some(idempotency)) = (ask.actor.account(), &ask.idempotency) else {
            return Ok(None);
        };
        let mut conn = self.db.conn().await?;
        let kept = store::find_kept_answer(&mut conn, account, &idempotency.key).await?;
        kept.map(|kept| replay(ask, kept)).transpose()
    }

    async fn unchanged(&self, ask: &Ask, id: Uuid) -> Result<KeptPayment> {
        let seen = self.see_payment(&ask.actor, id).await?;
        if ask.if_match.is_some_and(|version| version != seen.version) {
            return Err(stale());
        }
        Ok(seen)
    }

    /// Changes an application and a payment of its together: both, or nothing.
    async fn change_payment(
        &self,
        ask: &Ask,
        seen: &KeptPayment,
        application: Uuid,
        wants: Wants<'_>,
        render: Render<'_>,
        decide: impl Fn(&Application, &engine::Context<'_>) -> Result<engine::Step, Rejection>,
    ) -> Result<Answer> {
        let row = PaymentRow::Known { id: seen.id, version: seen.version, holding: seen.holding };
        let ask = Ask { if_match: None, ..ask.clone() };
        match self.change(&ask, application, wants, Some(row), render, decide).await {
            Err(error) if error.code() == ErrorCode::Unavailable => {
                // What is lost again and again may be lost to a colleague who has moved the payment.
                self.unchanged(&Ask { if_match: Some(seen.version), ..ask }, seen.id).await?;
                Err(error)
            }
            // The version in the answer's tag would be the application's, and what was changed by it is the payment.
            Ok(answer) => Ok(Answer { etag: None, ..answer }),
            Err(error) => Err(error),
        }
    }
}

/// Finds the charge that a payment is for which quotes none: the only open one of its KBK and amount.
fn put(
    told: &Payment,
    otherwise: Option<&Otherwise<'_>>,
    application: &Application,
) -> Option<Match> {
    if application.charges.iter().any(|charge| told.uin.as_ref() == Some(&charge.uin)) {
        return None;
    }
    let otherwise = otherwise?;
    let passport = application.form.passport.as_ref()?;
    if lookup::number(passport.number.as_str()) != otherwise.document {
        return None;
    }
    let mut fitting = application.charges.iter().filter(|charge| {
        charge.status == ChargeStatus::Open
            && charge.outstanding() == told.amount
            && charge.requisites.as_ref().is_some_and(|to| to.kbk.as_str() == otherwise.kbk)
    });
    match (fitting.next(), fitting.next()) {
        (Some(charge), None) => Some(Match { charge: charge.id, by: MatchedBy::Document }),
        _ => None,
    }
}

fn wrong_step(error: &LedgerError, seen: &KeptPayment) -> Error {
    match error {
        LedgerError::FourEyes => Error::refused(ErrorCode::RuleRefused, error.to_string())
            .with_violations(vec![Violation::new("", "four-eyes", error.to_string())]),
        LedgerError::Payment(_)
        | LedgerError::Charge
        | LedgerError::Amount
        | LedgerError::Unknown(_) => Error::refused(ErrorCode::WrongState, error.to_string())
            .with_fact("paymentStatus", seen.holding.status().name()),
    }
}

fn stale() -> Error {
    Error::refused(
        ErrorCode::StaleVersion,
        "The payment has changed since you read it; read it again and decide anew.",
    )
}
