//! Writes a decision: the guarded update, the event, what hangs on the application, the jobs and the kept
//! answer, in one statement that is atomic by itself.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Date, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::events::canonical;
use super::super::rule_files::LATEST;
use super::super::{Conn, query_failed};
use crate::domain::duty::next_due;
use crate::domain::event::sealed::{Private, SALT, Seal};
use crate::domain::event::{Act, BuiltIn, Change, Event};
use crate::domain::fee::ledger::{Holding, PaymentStep};
use crate::domain::fee::{Money, Payment};
use crate::domain::lookup;
use crate::domain::queue::Work;
use crate::domain::workflow::definition::Phase;
use crate::domain::workflow::engine::Step;
use crate::error::{Error, Result};

/// An answer to keep with the decision, so that a repeated request gets it again.
#[derive(Debug, Clone)]
pub struct KeptAnswer {
    /// The account that asked.
    pub account: Uuid,
    /// The idempotency key.
    pub key: String,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// HTTP status.
    pub status: i32,
    /// ETag.
    pub etag: Option<String>,
    /// Location.
    pub location: Option<String>,
    /// Body.
    pub body: String,
}

/// A payment that a decision books, or of which it lets go.
#[derive(Debug, Clone)]
pub enum PaymentRow<'a> {
    /// One to record with the decision.
    New {
        /// Id of the row.
        id: Uuid,
        /// The payment.
        payment: &'a Payment,
        /// The officer who recorded it.
        recorded_by: Option<Uuid>,
    },
    /// One that was recorded before. The decision is written only if it is still as it was seen.
    Known {
        /// Id of the row.
        id: Uuid,
        /// The version that was seen.
        version: i32,
        /// Where its money was then.
        holding: Holding,
    },
}

/// A decision to write.
#[derive(Debug)]
pub struct Write<'a> {
    /// What was decided.
    pub step: &'a Step,
    /// The payment that it books.
    pub payment: Option<PaymentRow<'a>>,
    /// The answer to keep.
    pub answer: Option<KeptAnswer>,
    /// The salt of the event's commitment.
    pub salt: [u8; SALT],
    /// The number of the latest registration of rules that was known to the decision.
    pub rules: i64,
}

/// What became of a [`Write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is written and durable.
    Written,
    /// The application or a calendar has changed since it was loaded; nothing was written.
    LostRace,
    /// The idempotency key was used meanwhile; nothing was written.
    KeyUsed,
    /// The same person handed in another application meanwhile; nothing was written.
    PersonHasAnother,
    /// The provider's payment was recorded meanwhile; nothing was written.
    PaymentKnown,
}

/// Writes a decision in one statement: all of it or nothing.
///
/// The update is guarded by the version and the state that the decision was made on, and by the rules: what was decided by
/// a calendar that is no longer in force is not written.
///
/// # Errors
/// [`Error::Internal`] when the database refuses for a reason that is ours.
pub async fn apply(conn: &mut Conn, write: &Write<'_>) -> Result<Applied> {
    let statement = Statement::new(write)?;
    match statement.get_result::<(i64,)>(conn).await {
        Ok((1,)) => Ok(Applied::Written),
        Ok(_) => Ok(Applied::LostRace),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, violation)) => {
            match violation.constraint_name() {
                Some("idempotency_keys_pkey") => Ok(Applied::KeyUsed),
                Some("one_open_application_of_a_person") => Ok(Applied::PersonHasAnother),
                Some("payments_provider_id_key") => Ok(Applied::PaymentKnown),
                _ => Err(query_failed(
                    "applications::apply",
                    DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, violation),
                )),
            }
        }
        // A deadlock ends one of its two statements: like a lost race, it is decided anew. Diesel has no kind for it.
        Err(DieselError::DatabaseError(DatabaseErrorKind::Unknown, info))
            if info.message() == "deadlock detected" =>
        {
            Ok(Applied::LostRace)
        }
        Err(error) => Err(query_failed("applications::apply", error)),
    }
}

/// Writes many decisions, each about another application, in one transaction: those that are still as they were decided
/// on. Tells of each whether it is written.
///
/// # Errors
/// [`Error::Internal`] when the database refuses one of them; none is then written.
pub async fn apply_all(conn: &mut AsyncPgConnection, writes: &[Write<'_>]) -> Result<Vec<bool>> {
    let statements = writes.iter().map(Statement::new).collect::<Result<Vec<_>>>()?;
    let work = async |conn: &mut AsyncPgConnection| -> Result<Vec<bool>, DieselError> {
        let mut written = Vec::with_capacity(statements.len());
        for statement in statements {
            let (count,): (i64,) = statement.get_result(conn).await?;
            written.push(count == 1);
        }
        Ok(written)
    };
    conn.transaction(work).await.map_err(|e| query_failed("applications::apply_all", e))
}

/// The values of one write, ready to bind; absent parts leave their text out.
struct Statement<'a> {
    step: &'a Step,
    event: EventColumns<'a>,
    form: Option<FormColumns>,
    documents: Option<Value>,
    clock: Option<Value>,
    information: Value,
    decision: Option<Value>,
    proposal: Option<Value>,
    hands: Value,
    claimed_by: Option<Uuid>,
    claimed_until: Option<DateTime<Utc>>,
    claimed_from: Option<&'a str>,
    assigned_by: Option<Uuid>,
    checks: Option<Value>,
    charges: Option<Value>,
    permit: Option<Value>,
    blanks: Option<Value>,
    payment: Option<PaymentColumns<'a>>,
    jobs: Option<JobColumns>,
    answer: Option<&'a KeptAnswer>,
    workflow_version: i32,
    work: Option<&'static str>,
    open_checks: Vec<&'a str>,
    words: Option<Vec<String>>,
    desk: Desk,
    decided: (Option<NaiveDate>, Option<i32>),
    rules: i64,
}

/// What the office keeps at an application; absent parts have not changed.
#[derive(Default)]
struct Desk {
    expedited: Option<Option<Value>>,
    notes: Option<Value>,
    corrections: Option<Value>,
    /// And the earliest last day among them, while the permit is in force.
    duties: Option<(Value, Option<NaiveDate>)>,
    after_life: Option<Value>,
}

struct EventColumns<'a> {
    event: &'a Event,
    actor: Option<Uuid>,
    seal: Seal,
}

struct FormColumns {
    form: Value,
    person_key: Option<String>,
    person_name: Option<String>,
    birth_date: Option<NaiveDate>,
}

struct PaymentColumns<'a> {
    row: &'a PaymentRow<'a>,
    charge: Option<Uuid>,
    status: &'static str,
    /// Matched, waiting and refunded kopecks.
    parts: [i64; 3],
    quoted: Option<&'a str>,
    amount: i64,
}

#[derive(Default)]
struct JobColumns {
    kinds: Vec<&'static str>,
    keys: Vec<String>,
    payloads: Vec<Value>,
    run_ats: Vec<DateTime<Utc>>,
}

fn to_value<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::internal("cannot encode a stored value", e))
}

impl<'a> Statement<'a> {
    fn new(write: &'a Write<'a>) -> Result<Self> {
        let Step { event, after, schedule, .. } = write.step;
        let opens = event.seq == 1;
        let changed = |test: fn(&Change) -> bool| event.changes.iter().any(test);
        let form = if opens || changed(|c| matches!(c, Change::FormReplaced { .. })) {
            let person = after.form.person.as_ref();
            Some(FormColumns {
                form: to_value(&after.form)?,
                person_key: after.form.person_key(),
                person_name: person.map(crate::domain::form::Person::full_name),
                birth_date: person.map(|person| person.birth_date),
            })
        } else {
            None
        };
        // A draft is nobody's business but its applicant's: officers find what was handed in.
        let words = (after.submitted_at.is_some()
            && changed(|c| matches!(c, Change::HandedIn | Change::FormReplaced { .. })))
        .then(|| lookup::words(&after.form).into_iter().collect());
        let documents = (opens || changed(|c| matches!(c, Change::DocumentAttached { .. })))
            .then(|| to_value(&after.documents))
            .transpose()?;
        let checks = changed(|c| {
            matches!(
                c,
                Change::ChecksOpened { .. }
                    | Change::FindingRecorded { .. }
                    | Change::FindingOverridden { .. }
                    | Change::CheckRepeated { .. }
            )
        })
        .then(|| check_rows(event, after));
        let charges = changed(|c| {
            matches!(
                c,
                Change::ChargeCreated { .. }
                    | Change::PaymentBooked { .. }
                    | Change::PaymentReleased { .. }
                    | Change::ChargeAnnulled { .. }
                    | Change::ChargeClarified { .. }
                    | Change::ChargeRevisionProposed { .. }
                    | Change::ChargeRevisionConfirmed { .. }
                    | Change::ChargeRevisionRejected { .. }
                    | Change::ChargeDeannulled { .. }
                    | Change::ChargeAcknowledged { .. }
            )
        })
        .then(|| charge_rows(event, after));
        let permit = match &after.permit {
            Some(permit)
                if changed(|c| {
                    matches!(
                        c,
                        Change::PermitIssued { .. }
                            | Change::PermitProlonged { .. }
                            | Change::PermitEnded { .. }
                            | Change::PermitCorrected { .. }
                            | Change::PermitReinstated
                            | Change::PermitSuspended { .. }
                            | Change::PermitResumed
                    )
                }) =>
            {
                Some(json!({
                    "number": permit.number.to_string(), "status": permit.status,
                    "holder_name": permit.holder_name, "territory": permit.territory,
                    "profession": permit.profession, "issued_on": permit.issued_on,
                    "paid_through": permit.paid_through, "ends_on": permit.ends_on,
                    "closed_on": permit.closed_on, "suspended_on": permit.suspended_on,
                }))
            }
            Some(_) | None => None,
        };
        // The order counts: what is the permit's paper no more makes room for the one that is.
        let blanks = changed(|c| matches!(c, Change::BlankPrinted { .. })).then(|| {
            let rows = after.blanks.iter().rev().take(2).rev().map(|blank| {
                json!({
                    "number": blank.number.as_str(), "status": blank.status,
                    "printed_at": blank.printed_at, "ended_at": blank.ended_at,
                })
            });
            Value::Array(rows.collect())
        });
        let moved = event.changes.iter().find_map(|change| match change {
            Change::PaymentBooked { charge, amount, .. } => {
                Some((Some(*charge), PaymentStep::Match { due: *amount }))
            }
            Change::PaymentReleased { .. } => Some((None, PaymentStep::Release)),
            _ => None,
        });
        let payment = match (&write.payment, moved) {
            (Some(row), Some((charge, step))) => {
                let before = match row {
                    PaymentRow::New { payment, .. } => Holding::received(payment.amount),
                    PaymentRow::Known { holding, .. } => *holding,
                };
                let holding = before.after(step).map_err(|error| {
                    Error::internal("a decision moves money that is not there", error)
                })?;
                let (quoted, amount) = match row {
                    PaymentRow::New { payment, .. } => (payment.quoted(), payment.amount),
                    PaymentRow::Known { .. } => (None, Money::ZERO),
                };
                Some(PaymentColumns {
                    row,
                    charge,
                    status: holding.status().name(),
                    parts: holding.parts().map(Money::kopecks),
                    quoted,
                    amount: amount.kopecks(),
                })
            }
            _ => None,
        };
        let desk = Desk {
            expedited: changed(|c| matches!(c, Change::Expedited { .. } | Change::ExpeditionEnded))
                .then(|| after.expedited.as_ref().map(to_value).transpose())
                .transpose()?,
            notes: changed(|c| matches!(c, Change::NoteAdded { .. }))
                .then(|| to_value(&after.notes))
                .transpose()?,
            corrections: changed(|c| matches!(c, Change::Corrected { .. }))
                .then(|| to_value(&after.corrections))
                .transpose()?,
            duties: changed(|c| matches!(c, Change::DutySet { .. } | Change::StateEntered { .. }))
                .then(|| {
                    let in_force = after.phase == Phase::InForce;
                    let due = next_due(&after.duties).filter(|_| in_force);
                    to_value(&after.duties).map(|duties| (duties, due))
                })
                .transpose()?,
            after_life: changed(|c| {
                matches!(
                    c,
                    Change::RequestMade { .. }
                        | Change::Complained { .. }
                        | Change::ComplaintAnswered { .. }
                        | Change::RequestClosed
                        | Change::PermitSuspended { .. }
                        | Change::PermitResumed
                        | Change::PermitEnded { .. }
                )
            })
            .then(|| to_value(&after.after_life))
            .transpose()?,
        };
        let decided = match (&after.decision, &after.clock) {
            (Some(_), Some(clock)) => {
                let used = clock.stopped_on.and(clock.used);
                (used.and(clock.stopped_on), used.and_then(|used| i32::try_from(used).ok()))
            }
            _ => (None, None),
        };
        let mut jobs = JobColumns::default();
        for scheduled in schedule {
            jobs.kinds.push(scheduled.job.kind());
            jobs.keys.push(scheduled.job.key());
            jobs.payloads.push(to_value(&scheduled.job)?);
            jobs.run_ats.push(scheduled.run_at);
        }
        Ok(Self {
            step: write.step,
            event: EventColumns {
                event,
                actor: event.actor.account(),
                seal: seal(event, after.id, write.salt)?,
            },
            form,
            documents,
            clock: after.clock.as_ref().map(to_value).transpose()?,
            information: to_value(&after.information)?,
            decision: after.decision.as_ref().map(to_value).transpose()?,
            proposal: after.proposal.as_ref().map(to_value).transpose()?,
            hands: to_value(&after.hands)?,
            claimed_by: after.claim.as_ref().map(|claim| claim.by),
            claimed_until: after.claim.as_ref().map(|claim| claim.until),
            claimed_from: after.claim.as_ref().and_then(|claim| claim.queue.as_deref()),
            assigned_by: after.claim.as_ref().and_then(|claim| claim.assigned_by),
            checks,
            charges,
            permit,
            blanks,
            payment,
            jobs: (!jobs.kinds.is_empty()).then_some(jobs),
            answer: write.answer.as_ref(),
            work: write.step.work.map(Work::name),
            open_checks: write.step.open_checks.iter().map(String::as_str).collect(),
            words,
            desk,
            decided,
            rules: write.rules,
            workflow_version: i32::try_from(after.workflow_version)
                .map_err(|e| Error::internal("a workflow version beyond 2^31", e))?,
        })
    }
}

/// Commits to what the public does not see of an event.
fn seal(event: &Event, application: Uuid, salt: [u8; SALT]) -> Result<Seal> {
    let content = json!({
        "actor": event.actor, "request": event.request, "changes": event.changes,
    });
    let content = canonical(&content)?;
    let private = Private {
        event: event.id,
        at: event.at,
        actor: event.actor.account(),
        role: event.actor.role_name(),
        application: Some(application),
        command: Some(event.act.name()),
        from: Some(&event.from),
        to: Some(&event.to),
        purpose: None,
        subjects: &[],
        content: &content,
    };
    Ok(private.seal(salt))
}

/// Gives the checks that the event touched, as rows.
fn check_rows(event: &Event, after: &crate::domain::application::Application) -> Value {
    let touched = |id: &str| {
        event.changes.iter().any(|change| match change {
            Change::ChecksOpened { .. } => true,
            Change::FindingRecorded { check, .. } | Change::FindingOverridden { check, .. } => {
                check == id
            }
            Change::CheckRepeated { check } => check.id == id,
            _ => false,
        })
    };
    let rows = after.checks.iter().filter(|check| touched(&check.id)).map(|check| {
        let finding = check.finding.as_ref();
        let overridden = check.overridden.as_ref();
        json!({
            "id": check.id, "asked_at": check.asked_at, "due_on": check.due_on,
            "outcome": finding.map(|f| f.outcome.name()),
            "answered_at": finding.map(|f| f.answered_at),
            "answered_by": finding.and_then(|f| f.answered_by),
            "note": finding.and_then(|f| f.note.as_deref()),
            "overridden_by": overridden.map(|o| o.by),
            "overridden_at": overridden.map(|o| o.at),
            "override_reason": overridden.map(|o| o.reason.as_str()),
            "round": check.round,
            "reason": finding.and_then(|f| f.reason.as_deref()),
            "digest": finding.and_then(|f| f.digest.as_deref()),
            "before": check.before,
        })
    });
    Value::Array(rows.collect())
}

/// Gives the charges that the event touched, as rows.
fn charge_rows(event: &Event, after: &crate::domain::application::Application) -> Value {
    let touched = |id: Uuid| {
        event.changes.iter().any(|change| match change {
            Change::ChargeCreated { charge } => charge.id == id,
            Change::PaymentBooked { charge, .. }
            | Change::PaymentReleased { charge, .. }
            | Change::ChargeClarified { charge, .. }
            | Change::ChargeRevisionProposed { charge, .. }
            | Change::ChargeRevisionConfirmed { charge, .. }
            | Change::ChargeRevisionRejected { charge }
            | Change::ChargeDeannulled { charge }
            | Change::ChargeAcknowledged { charge, .. }
            | Change::ChargeAnnulled { charge } => *charge == id,
            _ => false,
        })
    };
    let rows = after.charges.iter().filter(|charge| touched(charge.id)).map(|charge| {
        json!({
            "id": charge.id, "fee": charge.fee, "uin": charge.uin.to_string(),
            "amount_kopecks": charge.amount.kopecks(), "paid_kopecks": charge.paid.kopecks(),
            "rule": charge.rule, "created_at": charge.created_at, "status": charge.status,
            "requisites": charge.requisites, "change_status": charge.change,
            "acknowledgement": charge.acknowledgement,
            "outside_kopecks": charge.outside.kopecks(), "revision": charge.revision,
        })
    });
    Value::Array(rows.collect())
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = (BigInt,);
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH ");
        self.hold(out.reborrow())?;
        out.push_sql("moved AS (");
        if self.event.event.seq == 1 {
            self.insert(out.reborrow())?;
        } else {
            self.update(out.reborrow())?;
        }
        out.push_sql(" RETURNING id)");
        self.record(out.reborrow())?;
        self.children(out.reborrow())?;
        self.work(out.reborrow())?;
        self.find_by(out.reborrow())?;
        self.keep(out.reborrow())?;
        out.push_sql(" SELECT count(*) FROM moved");
        Ok(())
    }
}

impl Statement<'_> {
    fn insert<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let after = &self.step.after;
        out.push_sql(
            "INSERT INTO applications (id, reference, track, workflow_version, unit_code, \
             applicant_id, created_at, state, phase, version, state_since, state_event, form, \
             person_key, person_name, birth_date, documents) VALUES (",
        );
        out.push_bind_param::<SqlUuid, _>(&after.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(after.reference.as_str())?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&after.track)?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, _>(&self.workflow_version)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&after.unit)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&after.applicant)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&after.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&after.state)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(after.phase.name())?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, _>(&after.version)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&after.state_since)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&after.state_event)?;
        if let Some(form) = &self.form {
            out.push_sql(", ");
            out.push_bind_param::<Jsonb, _>(&form.form)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(&form.person_key)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(&form.person_name)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Date>, _>(&form.birth_date)?;
        }
        if let Some(documents) = &self.documents {
            out.push_sql(", ");
            out.push_bind_param::<Jsonb, _>(documents)?;
        }
        out.push_sql(")");
        Ok(())
    }

    fn update<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let after = &self.step.after;
        out.push_sql("UPDATE applications SET state = ");
        out.push_bind_param::<Text, _>(&after.state)?;
        out.push_sql(", phase = ");
        out.push_bind_param::<Text, str>(after.phase.name())?;
        // Other dates are no other work, whatever registers the process that moves them knows of.
        if self.event.event.act != Act::BuiltIn(BuiltIn::Redate) {
            out.push_sql(", work = ");
            out.push_bind_param::<Nullable<Text>, _>(&self.work)?;
            out.push_sql(", open_checks = ");
            out.push_bind_param::<Array<Text>, _>(&self.open_checks)?;
            out.push_sql(", barred = ");
            out.push_bind_param::<Array<SqlUuid>, _>(&self.step.barred)?;
            out.push_sql(", senior = ");
            out.push_bind_param::<Bool, _>(&self.step.senior)?;
        }
        out.push_sql(", version = version + 1, state_since = ");
        out.push_bind_param::<Timestamptz, _>(&after.state_since)?;
        out.push_sql(", state_event = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&after.state_event)?;
        out.push_sql(", submitted_at = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&after.submitted_at)?;
        out.push_sql(", due_on = ");
        out.push_bind_param::<Nullable<Date>, _>(&after.due_on)?;
        out.push_sql(", standard_due_on = ");
        out.push_bind_param::<Nullable<Date>, _>(&after.standard_due_on)?;
        out.push_sql(", escalated_at = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&after.escalated_at)?;
        out.push_sql(", warned_at = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&after.warned_at)?;
        out.push_sql(", reminded_at = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&after.reminded_at)?;
        out.push_sql(", decided_on = ");
        out.push_bind_param::<Nullable<Date>, _>(&self.decided.0)?;
        out.push_sql(", decided_in = ");
        out.push_bind_param::<Nullable<Integer>, _>(&self.decided.1)?;
        out.push_sql(", clock = ");
        out.push_bind_param::<Nullable<Jsonb>, _>(&self.clock)?;
        out.push_sql(", information = ");
        out.push_bind_param::<Jsonb, _>(&self.information)?;
        out.push_sql(", decision = ");
        out.push_bind_param::<Nullable<Jsonb>, _>(&self.decision)?;
        out.push_sql(", proposal = ");
        out.push_bind_param::<Nullable<Jsonb>, _>(&self.proposal)?;
        out.push_sql(", hands = ");
        out.push_bind_param::<Jsonb, _>(&self.hands)?;
        out.push_sql(", claimed_by = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&self.claimed_by)?;
        out.push_sql(", claimed_until = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&self.claimed_until)?;
        out.push_sql(", claimed_from = ");
        out.push_bind_param::<Nullable<Text>, _>(&self.claimed_from)?;
        out.push_sql(", assigned_by = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&self.assigned_by)?;
        if let Some(form) = &self.form {
            out.push_sql(", form = ");
            out.push_bind_param::<Jsonb, _>(&form.form)?;
            out.push_sql(", person_key = ");
            out.push_bind_param::<Nullable<Text>, _>(&form.person_key)?;
            out.push_sql(", person_name = ");
            out.push_bind_param::<Nullable<Text>, _>(&form.person_name)?;
            out.push_sql(", birth_date = ");
            out.push_bind_param::<Nullable<Date>, _>(&form.birth_date)?;
        }
        if let Some(documents) = &self.documents {
            out.push_sql(", documents = ");
            out.push_bind_param::<Jsonb, _>(documents)?;
        }
        if let Some(expedited) = &self.desk.expedited {
            out.push_sql(", expedited = ");
            out.push_bind_param::<Nullable<Jsonb>, _>(expedited)?;
        }
        if let Some(notes) = &self.desk.notes {
            out.push_sql(", notes = ");
            out.push_bind_param::<Jsonb, _>(notes)?;
        }
        if let Some(corrections) = &self.desk.corrections {
            out.push_sql(", corrections = ");
            out.push_bind_param::<Jsonb, _>(corrections)?;
        }
        if let Some((duties, due_on)) = &self.desk.duties {
            out.push_sql(", duties = ");
            out.push_bind_param::<Jsonb, _>(duties)?;
            out.push_sql(", duty_due_on = ");
            out.push_bind_param::<Nullable<Date>, _>(due_on)?;
        }
        if let Some(after_life) = &self.desk.after_life {
            out.push_sql(", after_life = ");
            out.push_bind_param::<Jsonb, _>(after_life)?;
        }
        // The guard repeats what the decision was made on.
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&after.id)?;
        out.push_sql(" AND version + 1 = ");
        out.push_bind_param::<Integer, _>(&self.event.event.seq)?;
        out.push_sql(" AND state = ");
        out.push_bind_param::<Text, _>(&self.event.event.from)?;
        out.push_sql(" AND ");
        out.push_sql(LATEST);
        out.push_sql(" = ");
        out.push_bind_param::<BigInt, _>(&self.rules)?;
        if self.known_payment().is_some() {
            out.push_sql(" AND EXISTS (SELECT FROM held)");
        }
        Ok(())
    }

    fn known_payment(&self) -> Option<(&Uuid, &i32)> {
        match self.payment.as_ref()?.row {
            PaymentRow::Known { id, version, .. } => Some((id, version)),
            PaymentRow::New { .. } => None,
        }
    }

    /// Locks the payment, if it is as it was seen: whoever comes second finds nothing when the lock is his, and nothing of
    /// the decision is written.
    fn hold<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Some((id, version)) = self.known_payment() else { return Ok(()) };
        out.push_sql("held AS (SELECT p.id FROM payments p WHERE p.id = ");
        out.push_bind_param::<SqlUuid, _>(id)?;
        out.push_sql(" AND p.version = ");
        out.push_bind_param::<Integer, _>(version)?;
        out.push_sql(" FOR UPDATE), ");
        Ok(())
    }

    /// Records the payment, or moves its money.
    fn money<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Some(PaymentColumns { row, charge, status, parts, quoted, amount }) = &self.payment
        else {
            return Ok(());
        };
        match row {
            PaymentRow::New { id, payment, recorded_by } => {
                out.push_sql(
                    ", payment_written AS (INSERT INTO payments (id, provider_id, uin, \
                     amount_kopecks, paid_at, received_at, payer, payer_document, kbk, recorded_by, \
                     charge_id, status, matched_kopecks, waiting_kopecks, refunded_kopecks) SELECT ",
                );
                out.push_bind_param::<SqlUuid, _>(id)?;
                out.push_sql(", ");
                out.push_bind_param::<Text, _>(&payment.provider_id)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<Text>, _>(quoted)?;
                out.push_sql(", ");
                out.push_bind_param::<BigInt, _>(amount)?;
                out.push_sql(", ");
                out.push_bind_param::<Timestamptz, _>(&payment.paid_at)?;
                out.push_sql(", ");
                out.push_bind_param::<Timestamptz, _>(&self.event.event.at)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<Text>, _>(&payment.payer)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<Text>, _>(&payment.payer_document)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<Text>, _>(&payment.kbk)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<SqlUuid>, _>(recorded_by)?;
            }
            PaymentRow::Known { .. } => {
                out.push_sql(
                    ", payment_written AS (UPDATE payments SET version = version + 1, refund = NULL, (\
                     charge_id, status, matched_kopecks, waiting_kopecks, refunded_kopecks) = ROW(",
                );
            }
        }
        if matches!(row, PaymentRow::New { .. }) {
            out.push_sql(", ");
        }
        out.push_bind_param::<Nullable<SqlUuid>, _>(charge)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(status)?;
        for part in parts {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(part)?;
        }
        match row {
            PaymentRow::New { .. } => out.push_sql(" FROM moved)"),
            PaymentRow::Known { id, .. } => {
                out.push_sql(") FROM moved WHERE payments.id = ");
                out.push_bind_param::<SqlUuid, _>(id)?;
                out.push_sql(")");
            }
        }
        Ok(())
    }

    fn record<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let EventColumns { event, actor, seal } = &self.event;
        let after = &self.step.after;
        out.push_sql(
            ", event AS (INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, \
             application_id, seq, track, workflow_version, command, from_state, to_state, content, salt, \
             commitment, pseudonym) SELECT ",
        );
        out.push_bind_param::<SqlUuid, _>(&event.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&event.at)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(event.act.event())?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(actor)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(event.actor.role_name())?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&after.unit)?;
        out.push_sql(", moved.id, ");
        out.push_bind_param::<Integer, _>(&event.seq)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&after.track)?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, _>(&self.workflow_version)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(event.act.name())?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&event.from)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&event.to)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&seal.content)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(&seal.salt)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(&seal.commitment)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Binary>, _>(&seal.pseudonym)?;
        out.push_sql(" FROM moved)");
        Ok(())
    }

    fn children<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if let Some(checks) = &self.checks {
            out.push_sql(
                ", checks_written AS (INSERT INTO checks (application_id, id, asked_at, due_on, \
                 outcome, answered_at, answered_by, note, overridden_by, overridden_at, \
                 override_reason, round, reason, digest, before) \
                 SELECT moved.id, c.* FROM moved, jsonb_to_recordset(",
            );
            out.push_bind_param::<Jsonb, _>(checks)?;
            out.push_sql(
                ") AS c(id text, asked_at timestamptz, due_on date, outcome text, \
                 answered_at timestamptz, answered_by uuid, note text, overridden_by uuid, \
                 overridden_at timestamptz, override_reason text, round integer, reason text, \
                 digest text, before jsonb) \
                 ON CONFLICT (application_id, id) DO UPDATE SET asked_at = excluded.asked_at, \
                 due_on = excluded.due_on, outcome = excluded.outcome, \
                 answered_at = excluded.answered_at, answered_by = excluded.answered_by, \
                 note = excluded.note, overridden_by = excluded.overridden_by, \
                 overridden_at = excluded.overridden_at, \
                 override_reason = excluded.override_reason, round = excluded.round, \
                 reason = excluded.reason, digest = excluded.digest, before = excluded.before)",
            );
        }
        if let Some(charges) = &self.charges {
            out.push_sql(
                ", charges_written AS (INSERT INTO charges (application_id, id, fee, uin, \
                 amount_kopecks, paid_kopecks, rule, created_at, status, requisites, \
                 change_status, acknowledgement, outside_kopecks, revision) \
                 SELECT moved.id, c.* FROM moved, jsonb_to_recordset(",
            );
            out.push_bind_param::<Jsonb, _>(charges)?;
            out.push_sql(
                ") AS c(id uuid, fee text, uin text, amount_kopecks bigint, paid_kopecks bigint, \
                 rule text, created_at timestamptz, status text, requisites jsonb, \
                 change_status smallint, acknowledgement smallint, outside_kopecks bigint, revision jsonb) \
                 ON CONFLICT (id) DO UPDATE SET amount_kopecks = excluded.amount_kopecks, \
                 rule = excluded.rule, requisites = excluded.requisites, \
                 paid_kopecks = excluded.paid_kopecks, status = excluded.status, change_status = excluded.change_status, \
                 acknowledgement = excluded.acknowledgement, outside_kopecks = excluded.outside_kopecks, \
                 revision = excluded.revision)",
            );
        }
        if let Some(permit) = &self.permit {
            out.push_sql(
                ", permit_written AS (INSERT INTO permits (application_id, number, status, \
                 holder_name, territory, profession, issued_on, paid_through, ends_on, closed_on, suspended_on) \
                 SELECT moved.id, p.* FROM moved, jsonb_to_record(",
            );
            out.push_bind_param::<Jsonb, _>(permit)?;
            out.push_sql(
                ") AS p(number text, status text, holder_name text, territory text, \
                 profession text, issued_on date, paid_through date, ends_on date, closed_on date, \
                 suspended_on date) \
                 ON CONFLICT (number) DO UPDATE SET status = excluded.status, \
                 holder_name = excluded.holder_name, profession = excluded.profession, \
                 paid_through = excluded.paid_through, closed_on = excluded.closed_on, \
                 suspended_on = excluded.suspended_on)",
            );
        }
        if let Some(blanks) = &self.blanks {
            out.push_sql(
                ", blanks_written AS (INSERT INTO blanks (application_id, number, status, printed_at, \
                 ended_at) SELECT moved.id, b.* FROM moved, jsonb_to_recordset(",
            );
            out.push_bind_param::<Jsonb, _>(blanks)?;
            out.push_sql(
                ") AS b(number text, status text, printed_at timestamptz, ended_at timestamptz) \
                 ON CONFLICT (number) DO UPDATE SET status = excluded.status, \
                 ended_at = excluded.ended_at)",
            );
        }
        self.money(out)
    }

    fn work<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if let Some(jobs) = &self.jobs {
            out.push_sql(
                ", jobs_written AS (INSERT INTO jobs (kind, key, payload, run_at, created_at) \
                 SELECT j.kind, j.key, j.payload, j.run_at, ",
            );
            out.push_bind_param::<Timestamptz, _>(&self.event.event.at)?;
            out.push_sql(" FROM moved, unnest(");
            out.push_bind_param::<Array<Text>, _>(&jobs.kinds)?;
            out.push_sql(", ");
            out.push_bind_param::<Array<Text>, _>(&jobs.keys)?;
            out.push_sql(", ");
            out.push_bind_param::<Array<Jsonb>, _>(&jobs.payloads)?;
            out.push_sql(", ");
            out.push_bind_param::<Array<Timestamptz>, _>(&jobs.run_ats)?;
            out.push_sql(
                ") AS j(kind, key, payload, run_at) ON CONFLICT (key) WHERE finished_at IS NULL \
                 DO UPDATE SET run_at = excluded.run_at, payload = excluded.payload, attempts = 0)",
            );
        }
        if !self.step.call_off.is_empty() {
            out.push_sql(", called_off AS (DELETE FROM jobs USING moved WHERE key = ANY(");
            out.push_bind_param::<Array<Text>, _>(&self.step.call_off)?;
            out.push_sql(") AND finished_at IS NULL)");
        }
        Ok(())
    }

    /// The words by which officers find it, each with all of them beside it, in order; what stays as it was is not
    /// touched.
    fn find_by<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Some(words) = &self.words else { return Ok(()) };
        out.push_sql(
            ", words_gone AS (DELETE FROM application_words w USING moved \
             WHERE w.application_id = moved.id AND w.word <> ALL(",
        );
        out.push_bind_param::<Array<Text>, _>(words)?;
        out.push_sql(
            ")), words_written AS (INSERT INTO application_words AS w (unit_code, word, application_id, all_words) SELECT ",
        );
        out.push_bind_param::<Text, _>(&self.step.after.unit)?;
        out.push_sql(", word, moved.id, ' ' || array_to_string(");
        out.push_bind_param::<Array<Text>, _>(words)?;
        out.push_sql(", ' ') || ' ' FROM moved, unnest(");
        out.push_bind_param::<Array<Text>, _>(words)?;
        out.push_sql(
            ") AS word ON CONFLICT (unit_code, word, application_id) DO UPDATE SET all_words = excluded.all_words \
             WHERE w.all_words <> excluded.all_words)",
        );
        Ok(())
    }

    fn keep<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Some(answer) = self.answer else { return Ok(()) };
        out.push_sql(
            ", answer AS (INSERT INTO idempotency_keys (account_id, key, fingerprint, status, \
             etag, location, body, created_at) SELECT ",
        );
        out.push_bind_param::<SqlUuid, _>(&answer.account)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&answer.key)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(&answer.fingerprint)?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, _>(&answer.status)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&answer.etag)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&answer.location)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&answer.body)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&self.event.event.at)?;
        out.push_sql(" FROM moved)");
        Ok(())
    }
}
