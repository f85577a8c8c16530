//! Accounts, units, sessions and refresh tokens, each change with its event in one transaction.
//!
//! Refresh tokens are kept as SHA-256 digests: a stolen copy of the table opens no session. Passwords come here
//! hashed. Look at [`crate::auth`] for the rules.

use chrono::{DateTime, Utc};
use diesel::prelude::{
    BoolExpressionMethods as _, ExpressionMethods as _, Insertable, OptionalExtension as _,
    QueryDsl as _, Queryable,
};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use super::Db;
use super::events::{self, PlainEvent};
use super::jobs;
use super::schema::{accounts, refresh_tokens, sessions, units};
use crate::domain::actor::Role;
use crate::domain::event::{Job, Scheduled};
use crate::error::{Error, ErrorCode, Result};

/// A territorial office.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = units)]
pub struct Unit {
    /// The code, such as `77`.
    pub code: String,
    /// The name.
    pub title: String,
    /// The federal subject's code.
    pub region: String,
    /// The IANA time zone.
    pub time_zone: String,
}

/// An account to be.
#[derive(Clone)]
pub struct NewAccount {
    /// The id.
    pub id: Uuid,
    /// The address to log in with, in lower case.
    pub email: String,
    /// The name to show.
    pub name: String,
    /// The only role.
    pub role: Role,
    /// The unit's code: present exactly for officers.
    pub unit: Option<String>,
    /// The argon2id hash as a PHC string.
    pub password_hash: String,
    /// When it is added.
    pub created_at: DateTime<Utc>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The id.
    pub id: Uuid,
    /// The name to show.
    pub name: String,
    /// The only role.
    pub role: Role,
    /// The unit's code: present exactly for officers.
    pub unit: Option<String>,
}

/// An account with what a log-in compares.
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// The argon2id hash as a PHC string.
    pub password_hash: String,
}

#[derive(Queryable)]
struct AccountRow {
    id: Uuid,
    name: String,
    role: String,
    unit: Option<String>,
}

type AccountColumns = (accounts::id, accounts::name, accounts::role, accounts::unit_code);
const ACCOUNT: AccountColumns = (accounts::id, accounts::name, accounts::role, accounts::unit_code);

impl AccountRow {
    fn decode(self) -> Result<Account> {
        let role = Role::parse(&self.role).ok_or_else(|| Error::Corrupt {
            table: "accounts",
            column: "role",
            row: self.id.to_string(),
        })?;
        Ok(Account { id: self.id, name: self.name, role, unit: self.unit })
    }
}

fn failed(context: &'static str) -> impl Fn(DieselError) -> Error {
    move |error| Error::internal(context, error)
}

/// Lists the units by code.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn list_units(db: &Db) -> Result<Vec<Unit>> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    units::table.order(units::code).load(conn).await.map_err(failed("cannot list the units"))
}

/// Inserts a unit and its event. Units are master data: the connection must be the owner's.
///
/// # Errors
/// [`ErrorCode::RuleRefused`] when the code is taken.
pub async fn insert_unit(
    conn: &mut AsyncPgConnection,
    unit: &Unit,
    event: &PlainEvent,
) -> Result<()> {
    let insert = async |conn: &mut AsyncPgConnection| {
        diesel::insert_into(units::table).values(unit).execute(conn).await?;
        events::insert(conn, event).await
    };
    conn.transaction(insert).await.map_err(refused("A unit with this code exists already."))
}

/// Inserts an account and its event.
///
/// # Errors
/// [`ErrorCode::RuleRefused`] when the address is taken or the unit unknown.
pub async fn insert(db: &Db, account: &NewAccount, event: &PlainEvent) -> Result<()> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let insert = async |conn: &mut AsyncPgConnection| {
        diesel::insert_into(accounts::table)
            .values((
                accounts::id.eq(account.id),
                accounts::email.eq(&account.email),
                accounts::name.eq(&account.name),
                accounts::role.eq(account.role.name()),
                accounts::unit_code.eq(&account.unit),
                accounts::password_hash.eq(&account.password_hash),
                accounts::created_at.eq(account.created_at),
            ))
            .execute(conn)
            .await?;
        events::insert(conn, event).await
    };
    conn.transaction(insert)
        .await
        .map_err(refused("An account with this e-mail address exists already; choose another one."))
}

fn refused(taken: &'static str) -> impl Fn(DieselError) -> Error {
    move |error| match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
            Error::refused(ErrorCode::RuleRefused, taken)
        }
        DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
            Error::refused(ErrorCode::RuleRefused, "There is no such unit; name one that exists.")
        }
        other => Error::internal("cannot insert an account or unit", other),
    }
}

/// Finds an account that may log in by its address, in lower case.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when the row does not decode.
pub async fn find_by_email(db: &Db, email: &str) -> Result<Option<Credentials>> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let row: Option<(AccountRow, String)> = accounts::table
        .filter(accounts::email.eq(email).and(accounts::disabled_at.is_null()))
        .select((ACCOUNT, accounts::password_hash))
        .first(conn)
        .await
        .optional()
        .map_err(failed("cannot find an account"))?;
    row.map(|(row, password_hash)| Ok(Credentials { account: row.decode()?, password_hash }))
        .transpose()
}

/// What becomes of an account's row.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Another role or unit.
    Moved {
        /// The role.
        role: Role,
        /// The unit's code.
        unit: Option<&'a str>,
    },
    /// Nobody logs in with it.
    Disabled,
    /// It can be logged in with again.
    Enabled,
}

/// Changes an account, ends its sessions and has what it holds released, with the event that `event` makes of the account
/// as it was; one transaction under the row's lock. Gives its id.
///
/// # Errors
/// [`ErrorCode::NotFound`], or [`ErrorCode::RuleRefused`] when nothing would change or the unit is unknown.
pub async fn change(
    db: &Db,
    email: &str,
    change: Change<'_>,
    now: DateTime<Utc>,
    event: impl Fn(&Account) -> PlainEvent + Send + Sync,
) -> Result<Uuid> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let change = async |conn: &mut AsyncPgConnection| {
        let found: Option<(AccountRow, bool)> = accounts::table
            .filter(accounts::email.eq(email))
            .select((ACCOUNT, accounts::disabled_at.is_null()))
            .for_update()
            .first(conn)
            .await
            .optional()?;
        let (row, enabled) = found.ok_or_else(Error::not_found)?;
        let account = row.decode()?;
        let same = match change {
            Change::Moved { role, unit } => account.role == role && account.unit.as_deref() == unit,
            Change::Disabled => !enabled,
            Change::Enabled => enabled,
        };
        if same {
            let detail = "The account is like that already; nothing was changed.";
            return Err::<_, Failure>(Error::refused(ErrorCode::RuleRefused, detail).into());
        }
        let this = accounts::table.find(account.id);
        match change {
            Change::Moved { role, unit } => {
                diesel::update(this)
                    .set((accounts::role.eq(role.name()), accounts::unit_code.eq(unit)))
                    .execute(conn)
                    .await?
            }
            Change::Disabled => {
                diesel::update(this).set(accounts::disabled_at.eq(now)).execute(conn).await?
            }
            Change::Enabled => {
                diesel::update(this)
                    .set(accounts::disabled_at.eq(None::<DateTime<Utc>>))
                    .execute(conn)
                    .await?
            }
        };
        let event = event(&account);
        if !matches!(change, Change::Enabled) {
            diesel::update(sessions::table)
                .filter(sessions::account_id.eq(account.id).and(sessions::ended_at.is_null()))
                .set(sessions::ended_at.eq(now))
                .execute(conn)
                .await?;
            let job = Job::ReleaseClaims { account: account.id, event: event.id() };
            jobs::insert(conn, &Scheduled { job, run_at: now }, now).await?;
        }
        events::insert(conn, &event).await?;
        Ok(account.id)
    };
    conn.transaction(change).await.map_err(|failure| match failure {
        Failure::Ours(error) => error,
        Failure::Diesel(error) => refused("The account cannot be changed like this.")(error),
    })
}

/// Lists id and address of whom a unit's alerts go to: its senior officers, and who holds the application.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn list_alerted(
    db: &Db,
    unit: &str,
    holder: Option<Uuid>,
) -> Result<Vec<(Uuid, String)>> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let senior = accounts::role.eq(Role::SeniorOfficer.name()).and(accounts::unit_code.eq(unit));
    accounts::table
        .filter(accounts::disabled_at.is_null())
        .filter(senior.or(accounts::id.eq_any(holder)))
        .order(accounts::id)
        .select((accounts::id, accounts::email))
        .load(conn)
        .await
        .map_err(failed("cannot list whom an alert goes to"))
}

/// Removes sessions that are over, with their refresh tokens; gives how many.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn prune_sessions(conn: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<usize> {
    diesel::delete(sessions::table.filter(sessions::expires_at.lt(now)))
        .execute(conn)
        .await
        .map_err(failed("cannot remove sessions that are over"))
}

/// A session to be, with its first refresh token.
pub struct NewSession {
    /// The session.
    pub id: Uuid,
    /// Whose it is.
    pub account: Uuid,
    /// When it begins.
    pub created_at: DateTime<Utc>,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// SHA-256 of the first refresh token.
    pub digest: [u8; 32],
}

/// Inserts a session, its first refresh token and the event. Four statements and the transaction's frame.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn open_session(db: &Db, session: &NewSession, event: &PlainEvent) -> Result<()> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let open = async |conn: &mut AsyncPgConnection| {
        diesel::insert_into(sessions::table)
            .values((
                sessions::id.eq(session.id),
                sessions::account_id.eq(session.account),
                sessions::created_at.eq(session.created_at),
                sessions::expires_at.eq(session.expires_at),
            ))
            .execute(conn)
            .await?;
        insert_token(conn, session.id, &session.digest, session.created_at).await?;
        events::insert(conn, event).await
    };
    conn.transaction(open).await.map_err(failed("cannot open a session"))
}

async fn insert_token(
    conn: &mut AsyncPgConnection,
    session: Uuid,
    digest: &[u8; 32],
    at: DateTime<Utc>,
) -> Result<(), DieselError> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::digest.eq(&digest[..]),
            refresh_tokens::session_id.eq(session),
            refresh_tokens::issued_at.eq(at),
        ))
        .execute(conn)
        .await
        .map(drop)
}

/// What became of a refresh token that was handed in.
#[derive(Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was good, is used up, and the next one is in its place.
    Rotated {
        /// The session that goes on.
        session: Uuid,
        /// Whose it is, as of now.
        account: Account,
    },
    /// It had been used before: two hold it, so the session was ended.
    Reused {
        /// The session that was ended.
        session: Uuid,
        /// Whose it was.
        account: Account,
    },
    /// It is unknown, or its session is over.
    Refused,
}

/// Uses up the refresh token `digest` and inserts `next`, once; a second use ends the session instead.
///
/// Two requests with one token meet at the row's lock: exactly one rotates. `reused` makes the event of a reuse
/// from the session and the account.
///
/// # Errors
/// [`Error::Internal`] when the database fails, [`Error::Corrupt`] when the account's row does not decode.
pub async fn rotate(
    db: &Db,
    digest: &[u8; 32],
    next: &[u8; 32],
    now: DateTime<Utc>,
    reused: impl Fn(Uuid, &Account) -> PlainEvent + Send + Sync,
) -> Result<Rotation> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let rotate = async |conn: &mut AsyncPgConnection| {
        let fresh: Option<Uuid> = diesel::update(refresh_tokens::table)
            .filter(refresh_tokens::digest.eq(&digest[..]).and(refresh_tokens::used_at.is_null()))
            .set(refresh_tokens::used_at.eq(now))
            .returning(refresh_tokens::session_id)
            .get_result(conn)
            .await
            .optional()?;
        let held: Option<HeldRow> = refresh_tokens::table
            .inner_join(sessions::table.inner_join(accounts::table))
            .filter(refresh_tokens::digest.eq(&digest[..]))
            .select((
                sessions::id,
                sessions::ended_at,
                sessions::expires_at,
                accounts::disabled_at.is_null(),
                ACCOUNT,
            ))
            .first(conn)
            .await
            .optional()?;
        let Some((session, ended_at, expires_at, enabled, row)) = held else {
            return Ok::<_, Failure>(Rotation::Refused);
        };
        let account = row.decode()?;
        if ended_at.is_some() {
            return Ok(Rotation::Refused);
        }
        if fresh.is_none() {
            end(conn, session, now).await?;
            events::insert(conn, &reused(session, &account)).await?;
            return Ok(Rotation::Reused { session, account });
        }
        if expires_at <= now || !enabled {
            return Ok(Rotation::Refused);
        }
        insert_token(conn, session, next, now).await?;
        Ok(Rotation::Rotated { session, account })
    };
    conn.transaction(rotate).await.map_err(|failure| match failure {
        Failure::Ours(error) => error,
        Failure::Diesel(error) => Error::internal("cannot rotate a refresh token", error),
    })
}

/// Session, its end, its latest end, whether the account may log in, and the account.
type HeldRow = (Uuid, Option<DateTime<Utc>>, DateTime<Utc>, bool, AccountRow);

/// Why a transaction broke off: for a reason of ours, or because of the database.
pub(super) enum Failure {
    Ours(Error),
    Diesel(DieselError),
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        Self::Diesel(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

async fn end(
    conn: &mut AsyncPgConnection,
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<usize, DieselError> {
    diesel::update(sessions::table)
        .filter(sessions::id.eq(session).and(sessions::ended_at.is_null()))
        .set(sessions::ended_at.eq(now))
        .execute(conn)
        .await
}

/// Ends a session, with the event when it had not ended before.
///
/// # Errors
/// [`Error::Internal`] when the database fails.
pub async fn end_session(
    db: &Db,
    session: Uuid,
    now: DateTime<Utc>,
    event: &PlainEvent,
) -> Result<()> {
    let mut conn = db.conn().await?;
    let conn: &mut AsyncPgConnection = &mut conn;
    let finish = async |conn: &mut AsyncPgConnection| {
        if end(conn, session, now).await? > 0 {
            events::insert(conn, event).await?;
        }
        Ok::<_, DieselError>(())
    };
    conn.transaction(finish).await.map_err(failed("cannot end a session"))
}
