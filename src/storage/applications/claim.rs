//! Takes the most urgent free application of a queue: one statement, and two officers never get the same.
//!
//! A queue is read kind of work by kind of work, each from its index alone: as many of each as colleagues can take
//! meanwhile, merged. The first row of them that no colleague is just taking is locked, if it is still free and still in
//! the queue then.

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::json;
use uuid::Uuid;

use super::super::events::canonical;
use super::super::{Conn, query_failed};
use super::Staff;
use super::queue::{KEYS, ORDER, Scope};
use crate::domain::actor::Actor;
use crate::domain::event::sealed::{self, Private, SALT};
use crate::domain::event::{Act, BuiltIn, Change};
use crate::domain::queue::Queue;
use crate::error::{Error, Result};

/// From which applications to claim, for whom, until when.
#[derive(Debug)]
pub struct ClaimNext<'a> {
    /// Unit's code.
    pub unit: &'a str,
    /// The queue.
    pub queue: &'a Queue,
    /// The officer's account.
    pub officer: Uuid,
    /// The officer as actor.
    pub actor: &'a Actor,
    /// The instant.
    pub now: DateTime<Utc>,
    /// When the lease ends by itself.
    pub until: DateTime<Utc>,
    /// Id of the event.
    pub event: Uuid,
    /// The salt of its commitment.
    pub salt: [u8; SALT],
    /// Idempotency key and SHA-256 of the request.
    pub key: (&'a str, &'a [u8]),
}

/// What became of a [`ClaimNext`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// This application is the officer's until the lease ends.
    Application {
        /// Which.
        id: Uuid,
        /// How many more urgent ones colleagues hold; at most [`MOST_AHEAD`] for each kind of work.
        held_ahead: i64,
    },
    /// Nothing is free.
    Nothing,
    /// Who asks has left the unit or his role, or may not log in.
    HasLeft,
    /// The idempotency key was used before.
    KeyUsed,
}

/// How many applications colleagues can take while one claim runs. Rows are read as they are needed, so many cost no more
/// than few; but if all of them were taken, nothing would seem to be free.
const AT_ONCE: i64 = 1024;

/// Up to how many held applications are counted for each kind of work.
pub const MOST_AHEAD: i64 = 1000;

/// Claims the most urgent free application: expedited ones first, then the earliest statutory date, then the earliest
/// hand-in.
///
/// Applications on which a colleague is at work this instant are skipped, not waited for, and so are those that four eyes
/// keep the officer from and, for who is no senior officer, those that only senior officers can move on. The lease, its
/// event and the kept answer (an empty body, with the application as location) are one statement.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the database fails.
pub async fn claim_next(conn: &mut Conn, ask: &ClaimNext<'_>) -> Result<Claimed> {
    let content = canonical(&json!({
        "actor": ask.actor,
        "request": null,
        "changes": [Change::Claimed {
            by: ask.officer,
            until: ask.until,
            queue: Some(ask.queue.name.clone()),
            assigned_by: None,
        }],
    }))?;
    let scope = Scope::of(ask.unit, &ask.queue.filter, ask.now);
    if scope.is_empty() {
        return Ok(Claimed::Nothing);
    }
    let staff = Staff::of(ask.actor).ok_or_else(|| Error::bug("who claims works in no office"))?;
    let statement = Statement {
        ask,
        staff,
        scope,
        officer: Some(ask.officer),
        private: private(ask, &content),
        content,
        pads: sealed::pads(&ask.salt),
    };
    match statement.get_result::<(Option<Uuid>, Option<i64>, bool)>(conn).await {
        Ok((Some(id), held_ahead, _)) => {
            Ok(Claimed::Application { id, held_ahead: held_ahead.unwrap_or(0) })
        }
        Ok((None, _, true)) => Ok(Claimed::Nothing),
        Ok((None, _, false)) => Ok(Claimed::HasLeft),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, violation))
            if violation.constraint_name() == Some("idempotency_keys_pkey") =>
        {
            Ok(Claimed::KeyUsed)
        }
        Err(error) => Err(query_failed("applications::claim_next", error)),
    }
}

struct Statement<'a> {
    ask: &'a ClaimNext<'a>,
    staff: Staff<'a>,
    scope: Scope<'a>,
    content: String,
    private: String,
    pads: [[u8; 64]; 2],
    officer: Option<Uuid>,
}

/// Stand in the private content where only the statement will know: ids and names of states hold no such sign.
const APPLICATION: &str = "$application";
const STATE: &str = "$state";

fn private(ask: &ClaimNext<'_>, content: &str) -> String {
    let act = Act::BuiltIn(BuiltIn::Claim);
    let private = Private {
        event: ask.event,
        at: ask.now,
        actor: Some(ask.officer),
        role: ask.actor.role_name(),
        application: None,
        command: Some(act.name()),
        from: Some(STATE),
        to: Some(STATE),
        purpose: None,
        subjects: &[],
        content,
    };
    private.encode_about(Some(APPLICATION))
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = (Nullable<SqlUuid>, Nullable<BigInt>, Bool);
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let ask = self.ask;
        let act = Act::BuiltIn(BuiltIn::Claim);
        out.push_sql("WITH staff AS MATERIALIZED (");
        self.staff.walk(out.reborrow())?;
        out.push_sql("), ");
        self.next(out.reborrow())?;
        out.push_sql(
            ", moved AS (UPDATE applications a SET version = version + 1, assigned_by = NULL, claimed_from = ",
        );
        out.push_bind_param::<Text, _>(&ask.queue.name)?;
        out.push_sql(", claimed_by = ");
        out.push_bind_param::<SqlUuid, _>(&ask.officer)?;
        out.push_sql(", claimed_until = ");
        out.push_bind_param::<Timestamptz, _>(&ask.until)?;
        out.push_sql(
            " FROM next WHERE a.id = next.id RETURNING a.id, a.unit_code, a.version, a.track, \
             a.workflow_version, a.state), \
             event AS (INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, \
             application_id, seq, track, workflow_version, command, from_state, to_state, content, \
             salt, commitment, pseudonym) SELECT ",
        );
        out.push_bind_param::<SqlUuid, _>(&ask.event)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&ask.now)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(act.event())?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&self.officer)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(ask.actor.role_name())?;
        out.push_sql(", unit_code, id, version, track, workflow_version, ");
        out.push_bind_param::<Text, str>(act.name())?;
        out.push_sql(", state, state, ");
        out.push_bind_param::<Text, _>(&self.content)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(&ask.salt)?;
        // What the application is, the statement alone knows: it computes as domain::event::sealed does.
        out.push_sql(", sha256(");
        out.push_bind_param::<Binary, [u8]>(&ask.salt)?;
        out.push_sql(" || convert_to(replace(replace(");
        out.push_bind_param::<Text, _>(&self.private)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(APPLICATION)?;
        out.push_sql(", id::text), ");
        out.push_bind_param::<Text, str>(STATE)?;
        out.push_sql(", state), 'UTF8')), substr(sha256(");
        out.push_bind_param::<Binary, [u8]>(&self.pads[1])?;
        out.push_sql(" || sha256(");
        out.push_bind_param::<Binary, [u8]>(&self.pads[0])?;
        out.push_sql(" || convert_to(id::text, 'UTF8'))), 1, 16)");
        out.push_sql(
            " FROM moved), answer AS (INSERT INTO idempotency_keys (account_id, key, \
             fingerprint, status, location, body, created_at) SELECT ",
        );
        out.push_bind_param::<SqlUuid, _>(&ask.officer)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(ask.key.0)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(ask.key.1)?;
        out.push_sql(", 200, '/v1/applications/' || id, '', ");
        out.push_bind_param::<Timestamptz, _>(&ask.now)?;
        out.push_sql(" FROM moved) SELECT moved.id, CASE WHEN moved.id IS NOT NULL THEN ");
        self.held_ahead(out.reborrow())?;
        out.push_sql(
            " END, EXISTS (SELECT FROM staff) \
             FROM (SELECT) AS one LEFT JOIN (moved JOIN next ON next.id = moved.id) ON true",
        );
        Ok(())
    }
}

impl Statement<'_> {
    /// Writes the table `next`: the one to be claimed, locked, with its place.
    fn next<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let scope = &self.scope;
        out.push_sql(
            "next AS (SELECT f.in_turn, f.due, f.submitted_at, a.id FROM (SELECT * FROM (",
        );
        for branch in 0..scope.branch_count() {
            out.push_sql(if branch == 0 { "(SELECT " } else { " UNION ALL (SELECT " });
            out.push_sql(KEYS);
            out.push_sql(" FROM applications a WHERE ");
            scope.walk(branch, out.reborrow())?;
            scope.walk_any(branch, out.reborrow())?;
            self.walk_claimable(out.reborrow())?;
            out.push_sql(" ORDER BY ");
            out.push_sql(ORDER);
            out.push_sql(" LIMIT ");
            out.push_bind_param::<BigInt, _>(&AT_ONCE)?;
            out.push_sql(")");
        }
        // A subquery in order, not a table of WITH: the rows are looked up one by one until one can be locked.
        out.push_sql(") AS each ORDER BY in_turn, due, submitted_at, id LIMIT ");
        out.push_bind_param::<BigInt, _>(&AT_ONCE)?;
        out.push_sql(") AS f JOIN applications a ON a.id = f.id");
        // A colleague may have changed it since it was read: what is locked is looked at once more, as it is now.
        for branch in 0..scope.branch_count() {
            out.push_sql(if branch == 0 { " AND (" } else { " OR " });
            scope.walk(branch, out.reborrow())?;
        }
        out.push_sql(")");
        self.walk_claimable(out.reborrow())?;
        out.push_sql(
            " AND EXISTS (SELECT FROM staff) ORDER BY f.in_turn, f.due, f.submitted_at, f.id LIMIT 1 FOR UPDATE OF a SKIP LOCKED)",
        );
        Ok(())
    }

    /// Writes that nobody holds it, no four eyes keep the officer from it, and he may do something with it.
    fn walk_claimable<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.scope.walk_free(out.reborrow())?;
        out.push_sql(" AND ");
        out.push_bind_param::<SqlUuid, _>(&self.ask.officer)?;
        out.push_sql(" <> ALL(a.barred)");
        if !self.ask.actor.is_senior() {
            out.push_sql(" AND NOT a.senior");
        }
        Ok(())
    }

    /// Writes how many that colleagues hold come before `next`.
    fn held_ahead<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(SELECT count(*) FROM (");
        for branch in 0..self.scope.branch_count() {
            out.push_sql(if branch == 0 { "(SELECT " } else { " UNION ALL (SELECT " });
            out.push_sql("1 FROM applications a WHERE ");
            self.scope.walk(branch, out.reborrow())?;
            self.scope.walk_held(out.reborrow())?;
            out.push_sql(" AND (");
            out.push_sql(ORDER);
            out.push_sql(") < (next.in_turn, next.due, next.submitted_at, next.id) LIMIT ");
            out.push_bind_param::<BigInt, _>(&MOST_AHEAD)?;
            out.push_sql(")");
        }
        out.push_sql(") AS held)");
        Ok(())
    }
}
