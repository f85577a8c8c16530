//! Who is calling: from the `Authorization` header to an [`Identity`], and from an e-mail and password to a session.
//!
//! [`tokens`] signs and verifies access tokens without the database, [`passwords`] hashes in bounded numbers,
//! [`access`] is what handlers put into their signatures. Accounts and sessions are rows of
//! [`crate::storage::accounts`].

pub mod access;
pub mod passwords;
pub mod tokens;

use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::actor::{Actor, Role};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::Db;
use crate::storage::accounts::{self, NewAccount};
use crate::storage::events::PlainEvent;

use self::passwords::Passwords;

/// Under which name the log shows whoever works at the command line.
pub const OPERATOR: &str = "operator";

/// Who is calling, as a valid access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: Uuid,
    /// The account's only role.
    pub role: Role,
    /// The unit's code: present exactly for officers and senior officers.
    pub unit: Option<String>,
    /// The name to show.
    pub name: String,
    /// The session that the token belongs to.
    pub session: Uuid,
}

impl Identity {
    /// Gives the identity as the engine sees it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::User { id: self.account, role: self.role, unit: self.unit.clone() }
    }
}

/// An account to be.
#[derive(Clone)]
pub struct NewUser {
    /// The address to log in with; any case.
    pub email: String,
    /// The name to show.
    pub name: String,
    /// The only role.
    pub role: Role,
    /// The unit's code: present exactly for officers and senior officers.
    pub unit: Option<String>,
    /// The password in clear.
    pub password: String,
}

/// Adds an account, with the event `accountAdded` in `by`'s name (none: an administrator at the command line).
///
/// # Errors
/// [`ErrorCode::InvalidRequest`] with every violation, or [`ErrorCode::RuleRefused`] when the address is taken
/// or the unit unknown.
pub async fn add_user(
    db: &Db,
    clock: &dyn Clock,
    passwords: &Passwords,
    user: NewUser,
    by: Option<&Identity>,
) -> Result<Uuid> {
    let email = user.email.trim().to_lowercase();
    let mut violations = Vec::new();
    if !validator::ValidateEmail::validate_email(&email) || email.len() > 254 {
        violations.push(Violation::new("/email", "email", "Send a valid e-mail address."));
    }
    let name = user.name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.contains('\0') {
        violations.push(Violation::new("/name", "length", "Send a name of 1 to 200 characters."));
    }
    if user.role.is_office() != user.unit.is_some() {
        let detail = "Officers and senior officers belong to a unit, nobody else does.";
        violations.push(Violation::new("/unit", "invalid-value", detail));
    }
    violations.extend(passwords::weakness(&user.password, &[&email, name]));
    if !violations.is_empty() {
        return Err(Error::invalid(violations));
    }
    let mut salt = [0; 16];
    clock.fill(&mut salt);
    let account = NewAccount {
        id: clock.new_id(),
        email,
        name: name.to_owned(),
        role: user.role,
        unit: user.unit,
        password_hash: passwords.hash(user.password, salt).await?,
        created_at: clock.now(),
    };
    let role = by.map_or(OPERATOR, |identity| identity.role.name());
    let content = serde_json::json!({ "account": account.id, "role": account.role });
    let mut event =
        PlainEvent::now(clock, "accountAdded", role, content).in_unit(account.unit.clone());
    if let Some(identity) = by {
        event = event.by(identity.account);
    }
    accounts::insert(db, &account, &event).await?;
    Ok(account.id)
}

/// What becomes of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChange {
    /// It has another role or unit.
    Moved {
        /// The role.
        role: Role,
        /// The unit's code: present exactly for officers and senior officers.
        unit: Option<String>,
    },
    /// Nobody logs in with it.
    Disabled,
    /// It can be logged in with again.
    Enabled,
}

/// Changes an account, with its event (`accountChanged`, `accountDisabled`, `accountEnabled`) in one transaction.
///
/// A change of role or unit, and disabling, end its sessions, and what it holds is released by a job of the same
/// transaction. An access token that is out holds for its few minutes still.
///
/// # Errors
/// [`ErrorCode::NotFound`] when no account has the address, [`ErrorCode::RuleRefused`] when nothing would change or the
/// unit is unknown, [`ErrorCode::InvalidRequest`] when role and unit do not fit each other.
pub async fn change_user(
    db: &Db,
    clock: &dyn Clock,
    email: &str,
    change: &AccountChange,
) -> Result<Uuid> {
    if let AccountChange::Moved { role, unit } = change
        && role.is_office() != unit.is_some()
    {
        let detail = "Officers and senior officers belong to a unit, nobody else does.";
        return Err(Error::invalid(vec![Violation::new("/unit", "invalid-value", detail)]));
    }
    let email = email.trim().to_lowercase();
    let event = |account: &accounts::Account| {
        let (kind, content) = match change {
            AccountChange::Moved { role, unit } => (
                "accountChanged",
                serde_json::json!({ "account": account.id, "role": role, "unit": unit,
                    "before": { "role": account.role, "unit": account.unit } }),
            ),
            AccountChange::Disabled => {
                ("accountDisabled", serde_json::json!({ "account": account.id }))
            }
            AccountChange::Enabled => {
                ("accountEnabled", serde_json::json!({ "account": account.id }))
            }
        };
        PlainEvent::now(clock, kind, OPERATOR, content).in_unit(account.unit.clone())
    };
    accounts::change(db, &email, change.into(), clock.now(), event).await
}

impl<'a> From<&'a AccountChange> for accounts::Change<'a> {
    fn from(change: &'a AccountChange) -> Self {
        match change {
            AccountChange::Moved { role, unit } => {
                Self::Moved { role: *role, unit: unit.as_deref() }
            }
            AccountChange::Disabled => Self::Disabled,
            AccountChange::Enabled => Self::Enabled,
        }
    }
}

/// The one refusal of a log-in, whatever was wrong with it.
#[must_use]
pub fn refused_login() -> Error {
    Error::refused(ErrorCode::Unauthenticated, "The e-mail address or the password is wrong.")
}

/// Refuses a callback whose signature or time is wrong; which of them is not said.
#[must_use]
pub fn unauthenticated_callback() -> Error {
    Error::refused(
        ErrorCode::Unauthenticated,
        "Sign the message after Standard Webhooks 1.0 with a shared secret and send it within five minutes.",
    )
}
