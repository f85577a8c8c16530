//! Who may call, written in a handler's signature: `caller: Caller<Office>`.
//!
//! [`crate::api::gateway`] verifies the token before the body is read and leaves the [`Identity`] in the request.
//! [`Caller`] compares its role. actix creates a handler's extractors in order but polls them together, so a bad
//! body could answer before a wrong role does: `Caller` leaves its refusal in the request when it is *created*,
//! and every extractor of ours calls [`gate`] when it is *polled*. Thus the refusal wins in any order.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use uuid::Uuid;

use super::Identity;
use crate::domain::actor::{Actor, Role};
use crate::error::{Error, ErrorCode, Result};

/// A set of roles.
pub trait Access: 'static {
    /// The roles that may call.
    const ROLES: &'static [Role];
}

macro_rules! access {
    ($($(#[$doc:meta])* $name:ident = $($role:ident)|+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Access for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),+];
        }
    )+};
}

access! {
    /// Anybody with an account.
    AnyUser = Migrant | Employer | Officer | SeniorOfficer | Auditor | Administrator;
    /// Those who hand in applications.
    Applicant = Migrant | Employer;
    /// Those who work in a unit's office.
    Office = Officer | SeniorOfficer;
    /// The second pair of eyes.
    Senior = SeniorOfficer;
    /// Those who read everything.
    Auditors = Auditor;
    /// Those who keep accounts and rules.
    Administrators = Administrator;
    /// Both sides of the counter: those who command applications.
    ApplicantOrOffice = Migrant | Employer | Officer | SeniorOfficer;
    /// Those who may read some applications.
    CaseReader = Migrant | Employer | Officer | SeniorOfficer | Auditor;
    /// Those who read how the office works.
    OfficeOrAuditor = Officer | SeniorOfficer | Auditor;
}

/// The caller, who has one of `A`'s roles; without a token the answer was 401, with another role 403.
#[derive(Debug, Clone)]
pub struct Caller<A: Access> {
    identity: Identity,
    access: PhantomData<A>,
}

impl<A: Access> Caller<A> {
    /// Gives the caller as the engine sees him.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.identity.actor()
    }

    /// Gives the account.
    #[must_use]
    pub const fn account(&self) -> Uuid {
        self.identity.account
    }

    /// Gives the role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.identity.role
    }

    /// Gives the unit's code: present exactly for officers and senior officers.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.identity.unit.as_deref()
    }

    /// Gives all that the token says.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl<A: Access> FromRequest for Caller<A> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = request.extensions().get::<Identity>().cloned();
        let outcome = match identity {
            None => Err(ErrorCode::Unauthenticated),
            Some(identity) if A::ROLES.contains(&identity.role) => Ok(identity),
            Some(_) => Err(ErrorCode::Forbidden),
        };
        if let Err(code) = outcome {
            request.extensions_mut().insert(Refused(code));
        }
        ready(outcome.map(|identity| Self { identity, access: PhantomData }).map_err(refusal))
    }
}

struct Refused(ErrorCode);

/// Refuses when the handler's [`Caller`] has refused: to be called by every extractor when it is polled.
///
/// # Errors
/// The `Caller`'s own.
pub fn gate(request: &HttpRequest) -> Result<()> {
    match request.extensions().get::<Refused>() {
        Some(Refused(code)) => Err(refusal(*code)),
        None => Ok(()),
    }
}

fn refusal(code: ErrorCode) -> Error {
    match code {
        ErrorCode::Unauthenticated => unauthenticated(),
        _ => Error::refused(ErrorCode::Forbidden, "Your role may not do this."),
    }
}

/// The refusal of a call without a valid token.
#[must_use]
pub fn unauthenticated() -> Error {
    Error::refused(
        ErrorCode::Unauthenticated,
        "Send a valid access token as `Authorization: Bearer …`; POST /v1/session gives one.",
    )
}
