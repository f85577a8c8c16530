//! Applications: loading one with all that a decision needs, and writing what was decided.
//!
//! [`find`] is one statement, [`apply`] is one statement: that is the whole cost of a command. Both are cached
//! prepared statements (`sql_query` would be planned anew each time). Nobody but `casework` calls [`apply`] and
//! [`claim_next`].

mod claim;
mod dated;
pub(super) mod queue;
mod write;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Bool, Date, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel::{ExpressionMethods as _, OptionalExtension, QueryDsl as _, QueryResult, Queryable};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

pub use self::claim::{ClaimNext, Claimed, MOST_AHEAD, claim_next};
pub use self::dated::{DatedRow, list_dated};
pub use self::queue::{
    Count, DeskCheck, DeskRow, Holder, Narrow, Place, PublicPermitRow, StatusRow, SummaryRow,
    count_queues, find_blank, find_by_birth_date, find_permit, find_status, list_of_applicant,
    list_queue,
};
pub use self::write::{Applied, KeptAnswer, PaymentRow, Write, apply, apply_all};
use super::rule_files::LATEST;
use super::schema::{applications as a, idempotency_keys as k};
use super::{Conn, hex, query_failed};
use crate::domain::actor::Actor;
use crate::domain::after_life::{Blank, BlankNumber, BlankStatus};
use crate::domain::application::{Application, Claim};
use crate::domain::checks::local::{Annulled, Twin};
use crate::domain::checks::{Check, Finding, Outcome, Override};
use crate::domain::fee::ledger::{Acknowledgement, ChangeStatus};
use crate::domain::fee::payee::Requisites;
use crate::domain::fee::revision::Revision;
use crate::domain::fee::{Charge, ChargeStatus, Money, Uin};
use crate::domain::form::Person;
use crate::domain::ground::GroundCode;
use crate::domain::identity::PassportNumber;
use crate::domain::permit::{Permit, PermitNumber, PermitStatus};
use crate::domain::reference::Reference;
use crate::domain::workflow::definition::Phase;
use crate::domain::workflow::engine::{Reissued, Unit};
use crate::error::{Error, Result};

/// By what an application is found.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// Its id.
    Id(Uuid),
    /// Its public reference, in canonical form.
    Reference(&'a str),
    /// What a payment states.
    Payment(Stated<'a>),
    /// One of these ids.
    Any(&'a [Uuid]),
}

/// By what a payment finds the application that owes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stated<'a> {
    /// The UIN of one of its charges.
    pub uin: Option<&'a str>,
    /// What counts where no charge has the UIN.
    pub otherwise: Option<Otherwise<'a>>,
}

/// By what a payment that quotes no charge finds the only open one that fits.
#[derive(Debug, Clone, Copy)]
pub struct Otherwise<'a> {
    /// The number of the holder's passport, as [`crate::domain::lookup::number`] writes it.
    pub document: &'a str,
    /// The KBK of the charge.
    pub kbk: &'a str,
    /// What is due of it, in kopecks.
    pub kopecks: i64,
}

/// What [`find`] fetches besides the application itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wants<'a> {
    /// Take a serial number for a charge.
    pub charge_serial: bool,
    /// Take a serial number for a permit.
    pub permit_serial: bool,
    /// Take a serial number for a paper.
    pub blank_serial: bool,
    /// Look whether the same person has another application under way.
    pub other_open: bool,
    /// Look for the applications of the same passport number, or of somebody born on the same day.
    pub twins: Option<Likeness<'a>>,
    /// Look for an answer kept for this account and idempotency key.
    pub kept_answer: Option<(Uuid, &'a str)>,
    /// Look whether this payment of the provider is known.
    pub payment: Option<&'a str>,
    /// Look whether somebody of an office still is who his token says.
    pub staff: Option<Staff<'a>>,
    /// Look whether this account is an officer's of the application's unit, who may log in.
    pub officer: Option<Uuid>,
}

impl Wants<'_> {
    /// Tells whether a decision needs more than the application itself.
    #[must_use]
    pub const fn needs_more(&self) -> bool {
        self.charge_serial || self.permit_serial || self.other_open || self.twins.is_some()
    }
}

/// Somebody of an office, as his token says. It lives ten minutes; what he is now, his account says.
#[derive(Debug, Clone, Copy)]
pub struct Staff<'a> {
    account: Uuid,
    role: &'static str,
    unit: &'a str,
}

impl<'a> Staff<'a> {
    /// Gives who acts, if it is somebody of an office.
    #[must_use]
    pub fn of(actor: &'a Actor) -> Option<Self> {
        match actor {
            Actor::User { id, role, unit: Some(unit) } if role.is_office() => {
                Some(Self { account: *id, role: role.name(), unit })
            }
            Actor::User { .. } | Actor::Timer | Actor::Payments | Actor::Register { .. } => None,
        }
    }

    /// Writes the query of his account, which is empty once he has left his role or unit or may not log in.
    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT FROM accounts o WHERE o.disabled_at IS NULL AND o.id = ");
        out.push_bind_param::<SqlUuid, _>(&self.account)?;
        out.push_sql(" AND o.role = ");
        out.push_bind_param::<Text, str>(self.role)?;
        out.push_sql(" AND o.unit_code = ");
        out.push_bind_param::<Text, str>(self.unit)
    }
}

/// Whom to look for: what is not named here is as the form states it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Likeness<'a> {
    /// The passport number.
    pub passport: Option<&'a str>,
    /// The birth date.
    pub birth_date: Option<NaiveDate>,
}

/// An answer kept for a repeated request.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredAnswer {
    /// SHA-256 of the request it answered, lower-case hexadecimal.
    pub fingerprint: String,
    /// HTTP status.
    pub status: i32,
    /// ETag.
    pub etag: Option<String>,
    /// Location.
    pub location: Option<String>,
    /// Body.
    pub body: String,
}

/// An application with what a decision about it needs.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The application.
    pub application: Application,
    /// Its office.
    pub unit: Unit,
    /// The name of the officer who holds it.
    pub holder: Option<String>,
    /// A serial number for a charge, if wanted.
    pub charge_serial: Option<u64>,
    /// A serial number for a permit, if wanted.
    pub permit_serial: Option<u64>,
    /// A serial number for a paper, if wanted.
    pub blank_serial: Option<u64>,
    /// The permit that the form names to be re-issued, if there is one of that number.
    pub reissued: Option<Reissued>,
    /// Whether the same person has another application under way, if wanted.
    pub other_open: bool,
    /// The applications of the same passport number or birth date, if wanted.
    pub twins: Vec<Twin>,
    /// The answer kept for the idempotency key, if wanted and there.
    pub kept_answer: Option<StoredAnswer>,
    /// Whether the payment is known, if wanted.
    pub payment_known: bool,
    /// Whether who acts for an office has left it or may not log in, if wanted.
    pub has_left: bool,
    /// Whether the account is no officer's of the unit, if wanted.
    pub is_no_officer: bool,
    /// The number of the latest registration of rules.
    pub rules: i64,
}

/// Loads an application and all that a decision needs, in one statement; `None` when there is none.
///
/// Takes no lock: the guarded update of [`apply`] is what keeps two writers apart.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn find(conn: &mut Conn, key: Key<'_>, wants: Wants<'_>) -> Result<Option<Loaded>> {
    let query = Load { key, wants };
    let row: Option<Row> = query
        .get_result(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find", e))?;
    row.map(Row::decode).transpose()
}

/// Loads applications as [`find`] does, in one statement, in no order; what is not there is left out.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode.
pub async fn find_all(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<Loaded>> {
    let query = Load { key: Key::Any(ids), wants: Wants::default() };
    let rows: Vec<Row> =
        query.load(conn).await.map_err(|e| query_failed("applications::find_all", e))?;
    rows.into_iter().map(Row::decode).collect()
}

/// Finds the answer kept for an account's idempotency key, when there is no application to load it with.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn find_kept_answer(
    conn: &mut Conn,
    account: Uuid,
    key: &str,
) -> Result<Option<StoredAnswer>> {
    let row: Option<KeptRow> = k::table
        .find((account, key))
        .select((k::fingerprint, k::status, k::etag, k::location, k::body))
        .first(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_kept_answer", e))?;
    Ok(row.map(|(fingerprint, status, etag, location, body)| StoredAnswer {
        fingerprint: hex(&fingerprint),
        status,
        etag,
        location,
        body,
    }))
}

/// Remembers a request that is answered in parts; `false` when its key was used with another request.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn begin_kept_answer(
    conn: &mut Conn,
    account: Uuid,
    key: &str,
    fingerprint: &[u8],
    now: DateTime<Utc>,
) -> Result<bool> {
    let failed = |e| query_failed("applications::begin_kept_answer", e);
    let fresh = diesel::insert_into(k::table)
        .values((
            k::account_id.eq(account),
            k::key.eq(key),
            k::fingerprint.eq(fingerprint),
            k::status.eq(200),
            k::body.eq(""),
            k::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map_err(failed)?;
    if fresh > 0 {
        return Ok(true);
    }
    let known: Option<Vec<u8>> = k::table
        .find((account, key))
        .select(k::fingerprint)
        .first(conn)
        .await
        .optional()
        .map_err(failed)?;
    // Pruned in between: then it is as good as new, and each part has its own key.
    Ok(known.is_none_or(|known| known == fingerprint))
}

/// Lists the applications whose lease an account has, whether it still runs or not.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn held_by(conn: &mut Conn, account: Uuid) -> Result<Vec<Uuid>> {
    a::table
        .filter(a::claimed_by.eq(account))
        .order(a::id)
        .select(a::id)
        .load(conn)
        .await
        .map_err(|e| query_failed("applications::held_by", e))
}

type KeptRow = (Vec<u8>, i32, Option<String>, Option<String>, String);
/// Removes the answers kept before an instant; gives how many. They hold what an application held: personal data.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn prune_answers(conn: &mut Conn, before: DateTime<Utc>) -> Result<usize> {
    diesel::delete(k::table.filter(k::created_at.lt(before)))
        .execute(conn)
        .await
        .map_err(|e| query_failed("applications::prune_answers", e))
}

/// A unit with what an opening there needs.
#[derive(Debug, Clone)]
pub struct FoundUnit {
    /// The unit.
    pub unit: Unit,
    /// The answer kept for the idempotency key, if there is one.
    pub kept_answer: Option<StoredAnswer>,
    /// The number of the latest registration of rules.
    pub rules: i64,
}

/// Finds a unit and, for an account's idempotency key, the answer kept for it; one statement.
///
/// # Errors
/// [`Error::Corrupt`] when the unit's time zone is none.
pub async fn find_unit(
    conn: &mut Conn,
    code: &str,
    kept_answer: Option<(Uuid, &str)>,
) -> Result<Option<FoundUnit>> {
    let (account, key) = kept_answer.unwrap_or((Uuid::nil(), ""));
    let row: Option<(String, String, String, Option<Value>, i64)> = FindUnit { code, account, key }
        .get_result(conn)
        .await
        .optional()
        .map_err(|e| query_failed("applications::find_unit", e))?;
    let Some((title, region, time_zone, kept, rules)) = row else { return Ok(None) };
    let time_zone: Tz = time_zone.parse().map_err(|_| Error::Corrupt {
        table: "units",
        column: "time_zone",
        row: code.to_owned(),
    })?;
    let kept_answer = maybe("idempotency_keys", "row", account, kept)?;
    let unit = Unit { code: code.to_owned(), title, region, time_zone };
    Ok(Some(FoundUnit { unit, kept_answer, rules }))
}

struct FindUnit<'a> {
    code: &'a str,
    account: Uuid,
    key: &'a str,
}

impl QueryId for FindUnit<'_> {
    type QueryId = FindUnit<'static>;
}

impl Query for FindUnit<'_> {
    type SqlType = (Text, Text, Text, Nullable<Jsonb>, BigInt);
}

impl QueryFragment<Pg> for FindUnit<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT u.title, u.region, u.time_zone, (SELECT to_jsonb(k) || jsonb_build_object(\
             'fingerprint', encode(k.fingerprint, 'hex')) FROM idempotency_keys k \
             WHERE k.account_id = ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.account)?;
        out.push_sql(" AND k.key = ");
        out.push_bind_param::<Text, str>(self.key)?;
        out.push_sql("), ");
        out.push_sql(LATEST);
        out.push_sql(" FROM units u WHERE u.code = ");
        out.push_bind_param::<Text, str>(self.code)
    }
}

struct Load<'a> {
    key: Key<'a>,
    wants: Wants<'a>,
}

// Which parts the text has depends on the values, so the text itself is the key of the statement cache.
impl QueryId for Load<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Load<'_> {
    type SqlType = (
        (SqlUuid, Text, Text, Integer, Text, SqlUuid, Text, Text, Integer),
        (Timestamptz, Timestamptz, Nullable<Timestamptz>, Nullable<Date>, Nullable<Timestamptz>),
        (Jsonb, Jsonb, Nullable<Jsonb>, Jsonb, Nullable<Jsonb>, Nullable<Jsonb>, Jsonb),
        (Nullable<Jsonb>, Jsonb, Jsonb, Nullable<SqlUuid>, Nullable<Date>, Jsonb),
        (Nullable<Timestamptz>, Nullable<Timestamptz>, Jsonb),
        (
            Nullable<SqlUuid>,
            Nullable<Timestamptz>,
            Nullable<Text>,
            Nullable<SqlUuid>,
            Nullable<Text>,
        ),
        (Text, Text, Text),
        (Nullable<Jsonb>, Nullable<Jsonb>, Nullable<Jsonb>, Nullable<Jsonb>),
        (Jsonb, Bool, Bool),
    );
}

impl QueryFragment<Pg> for Load<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT a.id, a.reference, a.track, a.workflow_version, a.unit_code, a.applicant_id, \
             a.state, a.phase, a.version, a.created_at, a.state_since, a.submitted_at, a.due_on, \
             a.escalated_at, a.form, a.documents, a.clock, a.information, a.decision, a.proposal, \
             a.hands, a.expedited, a.notes, a.corrections, a.state_event, a.standard_due_on, a.duties, \
             a.warned_at, a.reminded_at, a.after_life, a.claimed_by, a.claimed_until, \
             a.claimed_from, a.assigned_by, \
             (SELECT o.name FROM accounts o WHERE o.id = a.claimed_by), \
             u.title, u.region, u.time_zone, \
             (SELECT jsonb_agg(to_jsonb(c) - 'application_id' ORDER BY c.id COLLATE \"C\") \
               FROM checks c WHERE c.application_id = a.id), \
             (SELECT jsonb_agg(to_jsonb(c) - 'application_id' ORDER BY c.created_at, c.uin) \
               FROM charges c WHERE c.application_id = a.id), \
             (SELECT to_jsonb(p) - 'application_id' FROM permits p WHERE p.application_id = a.id), \
             (SELECT jsonb_agg(to_jsonb(b) - 'application_id' ORDER BY b.printed_at, b.number) \
               FROM blanks b WHERE b.application_id = a.id), \
             jsonb_build_object('chargeSerial', ",
        );
        out.push_sql(if self.wants.charge_serial { "nextval('charge_serials')" } else { "NULL" });
        out.push_sql(", 'permitSerial', ");
        out.push_sql(if self.wants.permit_serial { "nextval('permit_serials')" } else { "NULL" });
        // Where no permit is named this looks for none.
        out.push_sql(
            ", 'reissued', (SELECT jsonb_build_object('application', o.id, 'applicant', o.applicant_id, \
             'birthDate', o.birth_date, 'status', p.status, 'paidThrough', p.paid_through, \
             'endsOn', p.ends_on) FROM permits p JOIN applications o ON o.id = p.application_id \
             WHERE p.number = a.form ->> 'reissues')",
        );
        out.push_sql(", 'blankSerial', ");
        out.push_sql(if self.wants.blank_serial { "nextval('blank_serials')" } else { "NULL" });
        if let Some((account, key)) = &self.wants.kept_answer {
            out.push_sql(
                ", 'keptAnswer', (SELECT to_jsonb(k) || jsonb_build_object('fingerprint', \
                 encode(k.fingerprint, 'hex')) FROM idempotency_keys k WHERE k.account_id = ",
            );
            out.push_bind_param::<SqlUuid, _>(account)?;
            out.push_sql(" AND k.key = ");
            out.push_bind_param::<Text, _>(key)?;
            out.push_sql(")");
        }
        if let Some(like) = &self.wants.twins {
            // The limit bounds what one decision reads; whoever has the same passport is always among them.
            out.push_sql(
                ", 'twins', (SELECT jsonb_agg(to_jsonb(t) - 'same' - 'id') FROM (\
                 SELECT o.id, o.reference, o.track, o.form -> 'person' AS person, \
                 o.form -> 'passport' -> 'number' AS passport, p.closed_on, \
                 o.proposal -> 'grounds' AS grounds, \
                 split_part(o.person_key, ':', 2) = ",
            );
            like.walk_passport(out.reborrow())?;
            out.push_sql(
                " AS same FROM applications o \
                 LEFT JOIN permits p ON p.application_id = o.id AND p.status = 'annulled' \
                 WHERE (o.birth_date = ",
            );
            match &like.birth_date {
                Some(birth_date) => out.push_bind_param::<Date, _>(birth_date)?,
                None => out.push_sql("a.birth_date"),
            }
            out.push_sql(" OR split_part(o.person_key, ':', 2) = ");
            like.walk_passport(out.reborrow())?;
            out.push_sql(
                ") AND o.id <> a.id AND o.submitted_at IS NOT NULL \
                 ORDER BY same DESC, o.id DESC LIMIT 500) AS t)",
            );
        }
        if let Some(staff) = &self.wants.staff {
            out.push_sql(", 'hasLeft', NOT EXISTS (");
            staff.walk(out.reborrow())?;
            out.push_sql(")");
        }
        if let Some(officer) = &self.wants.officer {
            out.push_sql(
                ", 'isNoOfficer', NOT EXISTS (SELECT FROM accounts o WHERE o.disabled_at IS NULL \
                 AND o.unit_code = a.unit_code AND o.role IN ('officer', 'seniorOfficer') AND o.id = ",
            );
            out.push_bind_param::<SqlUuid, _>(officer)?;
            out.push_sql(")");
        }
        out.push_sql(", 'rules', ");
        out.push_sql(LATEST);
        out.push_sql("), ");
        out.push_sql(if self.wants.other_open {
            "coalesce((SELECT true FROM applications o WHERE o.person_key = a.person_key \
             AND o.id <> a.id AND o.submitted_at IS NOT NULL \
             AND o.phase IN ('submission', 'checks', 'fee', 'issuance') LIMIT 1), false)"
        } else {
            "false"
        });
        out.push_sql(", ");
        if let Some(payment) = &self.wants.payment {
            out.push_sql("EXISTS (SELECT FROM payments p WHERE p.provider_id = ");
            out.push_bind_param::<Text, _>(payment)?;
            out.push_sql(")");
        } else {
            out.push_sql("false");
        }
        out.push_sql(
            " FROM applications a JOIN units u ON u.code = a.unit_code \
             WHERE a.erased_at IS NULL AND a.",
        );
        match &self.key {
            Key::Id(id) => {
                out.push_sql("id = ");
                out.push_bind_param::<SqlUuid, _>(id)?;
            }
            Key::Any(ids) => {
                out.push_sql("id = ANY(");
                out.push_bind_param::<Array<SqlUuid>, [Uuid]>(ids)?;
                out.push_sql(")");
            }
            Key::Reference(reference) => {
                out.push_sql("reference = ");
                out.push_bind_param::<Text, _>(reference)?;
            }
            Key::Payment(Stated { uin, otherwise }) => {
                out.push_sql(
                    "id = coalesce((SELECT c.application_id FROM charges c WHERE c.uin = ",
                );
                out.push_bind_param::<Nullable<Text>, _>(uin)?;
                out.push_sql(")");
                if let Some(Otherwise { document, kbk, kopecks }) = otherwise {
                    // One charge and no other: money is not guessed about.
                    out.push_sql(
                        ", (SELECT CASE WHEN count(*) = 1 THEN min(c.application_id::text)::uuid END \
                         FROM units o JOIN application_words w ON w.unit_code = o.code AND w.word = ",
                    );
                    out.push_bind_param::<Text, _>(document)?;
                    out.push_sql(
                        " JOIN charges c ON c.application_id = w.application_id \
                         WHERE c.status = 'open' AND c.requisites ->> 'kbk' = ",
                    );
                    out.push_bind_param::<Text, _>(kbk)?;
                    out.push_sql(" AND c.amount_kopecks - c.paid_kopecks - c.outside_kopecks = ");
                    out.push_bind_param::<BigInt, _>(kopecks)?;
                    out.push_sql(")");
                }
                out.push_sql(")");
            }
        }
        Ok(())
    }
}

impl Likeness<'_> {
    fn walk_passport<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match &self.passport {
            Some(number) => out.push_bind_param::<Text, _>(number),
            None => {
                out.push_sql("split_part(a.person_key, ':', 2)");
                Ok(())
            }
        }
    }
}

type Times =
    (DateTime<Utc>, DateTime<Utc>, Option<DateTime<Utc>>, Option<NaiveDate>, Option<DateTime<Utc>>);

/// Holder, end, queue, who assigned it, the holder's name.
type ClaimColumns =
    (Option<Uuid>, Option<DateTime<Utc>>, Option<String>, Option<Uuid>, Option<String>);

type Desk = (Option<Value>, Value, Value, Option<Uuid>, Option<NaiveDate>, Value);

#[derive(Queryable)]
struct Row {
    head: (Uuid, String, String, i32, String, Uuid, String, String, i32),
    times: Times,
    parts: (Value, Value, Option<Value>, Value, Option<Value>, Option<Value>, Value),
    desk: Desk,
    told: (Option<DateTime<Utc>>, Option<DateTime<Utc>>, Value),
    claim: ClaimColumns,
    unit: (String, String, String),
    children: (Option<Value>, Option<Value>, Option<Value>, Option<Value>),
    extras: (Value, bool, bool),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extras {
    charge_serial: Option<u64>,
    permit_serial: Option<u64>,
    blank_serial: Option<u64>,
    #[serde(default)]
    reissued: Option<Reissued>,
    #[serde(default)]
    kept_answer: Option<StoredAnswer>,
    #[serde(default)]
    twins: Option<Vec<TwinRow>>,
    #[serde(default)]
    has_left: bool,
    #[serde(default)]
    is_no_officer: bool,
    rules: i64,
}

#[derive(Deserialize)]
struct TwinRow {
    reference: String,
    track: String,
    person: Person,
    passport: PassportNumber,
    closed_on: Option<NaiveDate>,
    grounds: Option<Vec<GroundCode>>,
}

#[derive(Deserialize)]
struct CheckRow {
    id: String,
    asked_at: DateTime<Utc>,
    due_on: NaiveDate,
    outcome: Option<String>,
    answered_at: Option<DateTime<Utc>>,
    answered_by: Option<Uuid>,
    note: Option<String>,
    overridden_by: Option<Uuid>,
    overridden_at: Option<DateTime<Utc>>,
    override_reason: Option<String>,
    round: u32,
    reason: Option<String>,
    digest: Option<String>,
    before: Option<Finding>,
}

#[derive(Deserialize)]
struct ChargeRow {
    id: Uuid,
    fee: String,
    uin: String,
    amount_kopecks: i64,
    paid_kopecks: i64,
    rule: String,
    created_at: DateTime<Utc>,
    status: ChargeStatus,
    change_status: ChangeStatus,
    acknowledgement: Acknowledgement,
    requisites: Option<Box<Requisites>>,
    outside_kopecks: i64,
    revision: Option<Box<Revision>>,
}

#[derive(Deserialize)]
struct PermitRow {
    number: String,
    status: PermitStatus,
    holder_name: String,
    territory: String,
    profession: Option<String>,
    issued_on: NaiveDate,
    paid_through: Option<NaiveDate>,
    ends_on: NaiveDate,
    closed_on: Option<NaiveDate>,
    suspended_on: Option<NaiveDate>,
}

#[derive(Deserialize)]
struct BlankRow {
    number: String,
    status: BlankStatus,
    printed_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    fn decode(self) -> Result<Loaded> {
        let (id, reference, track, workflow_version, unit, applicant, state, phase, version) =
            self.head;
        let corrupt = |table: &'static str, column: &'static str| Error::Corrupt {
            table,
            column,
            row: id.to_string(),
        };
        let (created_at, state_since, submitted_at, due_on, escalated_at) = self.times;
        let (form, documents, clock, information, decision, proposal, hands) = self.parts;
        let (expedited, notes, corrections, state_event, standard_due_on, duties) = self.desk;
        let (warned_at, reminded_at, after_life) = self.told;
        let claim = match (self.claim.0, self.claim.1) {
            (Some(by), Some(until)) => {
                Some(Claim { by, until, queue: self.claim.2, assigned_by: self.claim.3 })
            }
            (None, None) => None,
            _ => return Err(corrupt("applications", "claimed_until")),
        };
        let extras: Extras = json("applications", "extras", id, self.extras.0)?;
        let checks: Vec<CheckRow> = list("checks", id, self.children.0)?;
        let charges: Vec<ChargeRow> = list("charges", id, self.children.1)?;
        let permit: Option<PermitRow> = maybe("permits", "row", id, self.children.2)?;
        let blanks: Vec<BlankRow> = list("blanks", id, self.children.3)?;
        let (title, region, time_zone) = self.unit;
        let application = Application {
            id,
            reference: Reference::parse(&reference)
                .map_err(|_| corrupt("applications", "reference"))?,
            track,
            workflow_version: u32::try_from(workflow_version)
                .map_err(|_| corrupt("applications", "workflow_version"))?,
            unit: unit.clone(),
            applicant,
            state,
            phase: Phase::parse(&phase).ok_or_else(|| corrupt("applications", "phase"))?,
            version,
            created_at,
            state_since,
            state_event,
            submitted_at,
            form: json("applications", "form", id, form)?,
            documents: json("applications", "documents", id, documents)?,
            clock: maybe("applications", "clock", id, clock)?,
            due_on,
            standard_due_on,
            escalated_at,
            warned_at,
            reminded_at,
            checks: checks
                .into_iter()
                .map(|row| row.decode().ok_or_else(|| corrupt("checks", "outcome")))
                .collect::<Result<_>>()?,
            information: json("applications", "information", id, information)?,
            charges: charges
                .into_iter()
                .map(|row| row.decode().ok_or_else(|| corrupt("charges", "uin")))
                .collect::<Result<_>>()?,
            decision: maybe("applications", "decision", id, decision)?,
            proposal: maybe("applications", "proposal", id, proposal)?,
            permit: permit
                .map(|row| row.decode().ok_or_else(|| corrupt("permits", "number")))
                .transpose()?,
            blanks: blanks
                .into_iter()
                .map(|row| row.decode().ok_or_else(|| corrupt("blanks", "number")))
                .collect::<Result<_>>()?,
            after_life: json("applications", "after_life", id, after_life)?,
            hands: json("applications", "hands", id, hands)?,
            claim,
            expedited: maybe("applications", "expedited", id, expedited)?,
            notes: json("applications", "notes", id, notes)?,
            corrections: json("applications", "corrections", id, corrections)?,
            duties: json("applications", "duties", id, duties)?,
        };
        let time_zone: Tz = time_zone.parse().map_err(|_| corrupt("units", "time_zone"))?;
        Ok(Loaded {
            application,
            unit: Unit { code: unit, title, region, time_zone },
            holder: self.claim.4,
            charge_serial: extras.charge_serial,
            permit_serial: extras.permit_serial,
            blank_serial: extras.blank_serial,
            reissued: extras.reissued,
            other_open: self.extras.1,
            twins: extras
                .twins
                .unwrap_or_default()
                .into_iter()
                .map(|row| row.decode().ok_or_else(|| corrupt("applications", "reference")))
                .collect::<Result<_>>()?,
            kept_answer: extras.kept_answer,
            payment_known: self.extras.2,
            has_left: extras.has_left,
            is_no_officer: extras.is_no_officer,
            rules: extras.rules,
        })
    }
}

impl CheckRow {
    fn decode(self) -> Option<Check> {
        let finding = match (self.outcome, self.answered_at) {
            (Some(outcome), Some(answered_at)) => Some(Finding {
                outcome: Outcome::parse(&outcome)?,
                answered_at,
                answered_by: self.answered_by,
                note: self.note,
                reason: self.reason,
                digest: self.digest,
            }),
            (None, None) => None,
            _ => return None,
        };
        let overridden = match (self.overridden_by, self.overridden_at, self.override_reason) {
            (Some(by), Some(at), Some(reason)) => Some(Override { by, at, reason }),
            (None, None, None) => None,
            _ => return None,
        };
        Some(Check {
            id: self.id,
            asked_at: self.asked_at,
            due_on: self.due_on,
            finding,
            overridden,
            round: self.round,
            before: self.before,
        })
    }
}

impl TwinRow {
    fn decode(self) -> Option<Twin> {
        let grounds = self.grounds.unwrap_or_default();
        Some(Twin {
            reference: Reference::parse(&self.reference).ok()?,
            track: self.track,
            person: self.person,
            passport: self.passport,
            annulled: self.closed_on.map(|on| Annulled { on, grounds }),
        })
    }
}

impl ChargeRow {
    fn decode(self) -> Option<Charge> {
        Some(Charge {
            id: self.id,
            fee: self.fee,
            uin: Uin::parse(&self.uin).ok()?,
            amount: Money::from_kopecks(self.amount_kopecks)?,
            rule: self.rule,
            created_at: self.created_at,
            paid: Money::from_kopecks(self.paid_kopecks)?,
            status: self.status,
            change: self.change_status,
            acknowledgement: self.acknowledgement,
            requisites: self.requisites,
            outside: Money::from_kopecks(self.outside_kopecks)?,
            revision: self.revision,
        })
    }
}

impl PermitRow {
    fn decode(self) -> Option<Permit> {
        Some(Permit {
            number: PermitNumber::parse(&self.number).ok()?,
            status: self.status,
            holder_name: self.holder_name,
            territory: self.territory,
            profession: self.profession,
            issued_on: self.issued_on,
            paid_through: self.paid_through,
            ends_on: self.ends_on,
            closed_on: self.closed_on,
            suspended_on: self.suspended_on,
        })
    }
}

impl BlankRow {
    fn decode(self) -> Option<Blank> {
        Some(Blank {
            number: BlankNumber::parse(&self.number).ok()?,
            status: self.status,
            printed_at: self.printed_at,
            ended_at: self.ended_at,
        })
    }
}

fn json<T: DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    id: Uuid,
    value: Value,
) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        tracing::error!(table, column, %id, %error, "a stored value does not decode");
        Error::Corrupt { table, column, row: id.to_string() }
    })
}

fn maybe<T: DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    id: Uuid,
    value: Option<Value>,
) -> Result<Option<T>> {
    value.map(|value| json(table, column, id, value)).transpose()
}

fn list<T: DeserializeOwned>(
    table: &'static str,
    id: Uuid,
    value: Option<Value>,
) -> Result<Vec<T>> {
    Ok(maybe(table, "row", id, value)?.unwrap_or_default())
}
