//! Writes events that belong to no command: log-ins, accounts, rules, reads of personal data, erasures; and makes the
//! months that hold events.
//!
//! The events of applications are written with them, by [`super::applications`]; who wants to read the log looks at
//! [`super::audit`]. Nobody updates or deletes an event.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::result::Error as DieselError;
use diesel::{Insertable, QueryableByName, sql_types};
use diesel_async::{
    AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _,
};
use serde_json::Value;
use uuid::Uuid;

use super::schema::events;
use super::{Conn, query_failed};
use crate::clock::Clock;
use crate::domain::event::sealed::{self, Private, Seal};
use crate::error::{Error, Result};

/// An event that no command made: who did or saw what.
#[derive(Debug, Clone)]
pub struct PlainEvent {
    id: Uuid,
    at: DateTime<Utc>,
    kind: &'static str,
    actor: Option<Uuid>,
    role: &'static str,
    unit: Option<String>,
    application: Option<Uuid>,
    purpose: Option<&'static str>,
    subjects: Vec<Uuid>,
    content: Value,
    salt: [u8; sealed::SALT],
}

impl PlainEvent {
    /// Makes an event of this instant: `kind` in the past tense and camelCase, `role` the name under which the log
    /// shows who acts, `content` what was asked and what it changed.
    #[must_use]
    pub fn now(clock: &dyn Clock, kind: &'static str, role: &'static str, content: Value) -> Self {
        let at = clock.now();
        Self {
            id: clock.id_at(at),
            at,
            kind,
            actor: None,
            role,
            unit: None,
            application: None,
            purpose: None,
            subjects: Vec::new(),
            content,
            salt: clock.salt(),
        }
    }

    /// Names the account that acts.
    #[must_use]
    pub fn by(mut self, actor: Uuid) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Names the unit concerned.
    #[must_use]
    pub fn in_unit(mut self, unit: Option<String>) -> Self {
        self.unit = unit;
        self
    }

    /// Names the application concerned.
    #[must_use]
    pub fn about(mut self, application: Uuid) -> Self {
        self.application = Some(application);
        self
    }

    /// Says what a read is for.
    #[must_use]
    pub fn for_purpose(mut self, purpose: &'static str) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// Names the applications that a list showed.
    #[must_use]
    pub fn showing(mut self, subjects: Vec<Uuid>) -> Self {
        self.subjects = subjects;
        self
    }

    /// Adds a member to the content.
    #[must_use]
    pub(super) fn adding(mut self, name: &str, value: Value) -> Self {
        self.content[name] = value;
        self
    }

    /// Gives the event's id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Gives the instant.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    pub(super) fn seal(&self) -> Result<Seal> {
        let content = canonical(&self.content)?;
        let private = Private {
            event: self.id,
            at: self.at,
            actor: self.actor,
            role: self.role,
            application: self.application,
            command: None,
            from: None,
            to: None,
            purpose: self.purpose,
            subjects: &self.subjects,
            content: &content,
        };
        Ok(private.seal(self.salt))
    }
}

/// Gives a content's canonical form.
///
/// # Errors
/// [`Error::Internal`] for what has none; nothing that the service writes down does.
pub(super) fn canonical(content: &Value) -> Result<String> {
    sealed::canonical(content)
        .map_err(|error| Error::internal("an event's content has no canonical form", error))
}

#[derive(Insertable)]
#[diesel(table_name = events)]
// One text for all events, so that the statement is prepared once.
#[diesel(treat_none_as_default_value = false)]
struct NewRow<'a> {
    id: Uuid,
    at: DateTime<Utc>,
    kind: &'a str,
    actor_id: Option<Uuid>,
    actor_role: &'a str,
    unit_code: Option<&'a str>,
    application_id: Option<Uuid>,
    purpose: Option<&'a str>,
    subjects: Option<&'a [Uuid]>,
    content: &'a str,
    salt: &'a [u8],
    commitment: &'a [u8],
    pseudonym: Option<&'a [u8]>,
}

/// Inserts an event: alone, or inside the transaction of what it tells of.
///
/// # Errors
/// The database's, or [`DieselError::SerializationError`] for a content without a canonical form.
pub async fn insert(conn: &mut AsyncPgConnection, event: &PlainEvent) -> Result<(), DieselError> {
    let seal = event.seal().map_err(|error| DieselError::SerializationError(Box::new(error)))?;
    let row = NewRow {
        id: event.id,
        at: event.at,
        kind: event.kind,
        actor_id: event.actor,
        actor_role: event.role,
        unit_code: event.unit.as_deref(),
        application_id: event.application,
        purpose: event.purpose,
        subjects: (!event.subjects.is_empty()).then_some(&event.subjects[..]),
        content: &seal.content,
        salt: &seal.salt,
        commitment: &seal.commitment,
        pseudonym: seal.pseudonym.as_ref().map(|half| &half[..]),
    };
    diesel::insert_into(events::table).values(&row).execute(conn).await.map(drop)
}

/// As [`insert`], alone: for a read, which must not be answered when this fails.
///
/// # Errors
/// The database's: 503 when it is busy, else [`Error::Internal`].
pub async fn record(conn: &mut Conn, event: &PlainEvent) -> Result<()> {
    insert(conn, event).await.map_err(|error| query_failed("events::record", error))
}

#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    made: Option<i32>,
}

/// Makes the months of the log up to that of `last`; gives how many, or nothing when events lie beyond the last month
/// already, so that none can be made.
///
/// Making one keeps every writer of events out for a moment, so it waits for them a second at most.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`crate::error::ErrorCode::Unavailable`] when it is busy.
pub async fn extend_months(conn: &mut AsyncPgConnection, last: NaiveDate) -> Result<Option<i32>> {
    let extend = async |conn: &mut AsyncPgConnection| {
        conn.batch_execute("SET LOCAL lock_timeout = '1s'").await?;
        diesel::sql_query("SELECT extend_event_partitions($1) AS made")
            .bind::<sql_types::Date, _>(last)
            .get_result(conn)
            .await
    };
    let made: Result<Made, DieselError> = conn.transaction(extend).await;
    Ok(made.map_err(|error| query_failed("events::extend_months", error))?.made)
}
