//! The table of messages: what went to whom, and why what did not.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::schema::messages;
use crate::error::{Error, Result};

/// How the sending of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageStatus {
    /// The server took it.
    Sent,
    /// It will not be tried again.
    Failed,
    /// What it would have said was no longer so.
    Overtaken,
}

impl MessageStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Overtaken];

    /// Gives the status's name as it stands in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Overtaken => "overtaken",
        }
    }
}

/// One message and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Insertable)]
#[diesel(table_name = messages)]
pub struct NewMessage<'a> {
    /// Id.
    pub id: Uuid,
    /// The key of the job that sent it.
    pub job_key: &'a str,
    /// The application it is about.
    pub application_id: Uuid,
    /// Its name.
    pub message: &'a str,
    /// Its language.
    pub language: &'a str,
    /// To whom; `None` when the form names nobody.
    pub recipient: Option<&'a str>,
    /// A [`MessageStatus::name`].
    pub status: &'a str,
    /// What the server answered.
    pub provider_id: Option<&'a str>,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// How often it was tried.
    pub attempts: i32,
    /// When.
    pub at: DateTime<Utc>,
}

/// One message as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Id.
    pub id: Uuid,
    /// Its name.
    pub message: String,
    /// Its language.
    pub language: String,
    /// To whom.
    pub recipient: Option<String>,
    /// What came of it.
    pub status: MessageStatus,
    /// What the server answered.
    pub provider_id: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When.
    pub at: DateTime<Utc>,
}

/// Inserts what came of a message, or replaces an earlier failure; what was sent stays sent.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn insert(conn: &mut AsyncPgConnection, message: &NewMessage<'_>) -> Result<()> {
    let again = (
        messages::language.eq(message.language),
        messages::recipient.eq(message.recipient),
        messages::status.eq(message.status),
        messages::provider_id.eq(message.provider_id),
        messages::error.eq(message.error),
        messages::attempts.eq(message.attempts),
        messages::at.eq(message.at),
    );
    let insert = diesel::insert_into(messages::table)
        .values(message)
        .on_conflict(messages::job_key)
        .do_update()
        .set(again);
    diesel::query_dsl::methods::FilterDsl::filter(
        insert,
        messages::status.ne(MessageStatus::Sent.name()),
    )
    .execute(conn)
    .await
    .map_err(|error| Error::internal("cannot record a message", error))?;
    Ok(())
}

/// Tells whether the message of this job has been sent.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn is_sent(conn: &mut AsyncPgConnection, job_key: &str) -> Result<bool> {
    let sent = messages::table
        .filter(messages::job_key.eq(job_key))
        .filter(messages::status.eq(MessageStatus::Sent.name()));
    diesel::select(diesel::dsl::exists(sent))
        .get_result(conn)
        .await
        .map_err(|error| Error::internal("cannot look for a message", error))
}

type Columns = (
    Uuid,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    i32,
    DateTime<Utc>,
);

/// Lists the messages about one application, the oldest first. There are at most a few dozen.
///
/// # Errors
/// [`Error::Corrupt`] when a row does not decode; [`Error::Internal`] when the database fails.
pub async fn list(conn: &mut AsyncPgConnection, application: Uuid) -> Result<Vec<MessageRow>> {
    let rows: Vec<Columns> = messages::table
        .filter(messages::application_id.eq(application))
        .order((messages::at, messages::id))
        .select((
            messages::id,
            messages::message,
            messages::language,
            messages::recipient,
            messages::status,
            messages::provider_id,
            messages::error,
            messages::attempts,
            messages::at,
        ))
        .load(conn)
        .await
        .map_err(|error| Error::internal("cannot list messages", error))?;
    rows.into_iter().map(decode).collect()
}

fn decode(columns: Columns) -> Result<MessageRow> {
    let (id, message, language, recipient, status, provider_id, error, attempts, at) = columns;
    let status =
        MessageStatus::ALL.into_iter().find(|known| known.name() == status).ok_or_else(|| {
            Error::Corrupt { table: "messages", column: "status", row: id.to_string() }
        })?;
    Ok(MessageRow { id, message, language, recipient, status, provider_id, error, attempts, at })
}
