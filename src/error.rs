//! What went wrong, free of HTTP and SQL.
//!
//! A [`Error::Refused`] is the caller's to mend and may be shown; everything else is ours, is logged with its
//! chain of causes and never shown: only [`Refusal`] has text that `api::problem` can reach.

use std::borrow::Cow;

/// A stable, documented code for each way a request can be refused.
///
/// `api::problem` maps each to a status and title; the snake-case name is part of the problem's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request does not fit its schema (400).
    InvalidRequest,
    /// No or no valid credentials (401).
    Unauthenticated,
    /// Known, but not allowed to do this (403).
    Forbidden,
    /// There is no such thing, or it is not yours (404).
    NotFound,
    /// The path exists, but not with this method (405).
    MethodNotAllowed,
    /// None of the asked-for media types is on offer (406).
    NotAcceptable,
    /// The application's state does not allow the command (409).
    WrongState,
    /// Another officer holds the application (409).
    ClaimedByAnother,
    /// The same idempotency key is being worked on right now (409).
    RequestInFlight,
    /// The thing changed since it was read (412).
    StaleVersion,
    /// The body is larger than allowed (413).
    PayloadTooLarge,
    /// The body's media type is not accepted here (415).
    UnsupportedMediaType,
    /// A rule of the law or of the workflow refuses (422).
    RuleRefused,
    /// The idempotency key was used before with another request (422).
    IdempotencyKeyReused,
    /// `If-Match` is required here (428).
    PreconditionRequired,
    /// A limit on requests is exhausted (429).
    TooManyRequests,
    /// Ours; details are in the log (500).
    Internal,
    /// A needed part is busy or down; try again (503).
    Unavailable,
}

/// One thing wrong with one place of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the body, or the name of a header or parameter.
    pub pointer: String,
    /// Stable code, kebab-case.
    pub code: Cow<'static, str>,
    /// What to do, in one sentence.
    pub detail: String,
}

impl Violation {
    /// Makes a violation at `pointer`.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// A refusal the caller may read: what was refused, why, and what to do about it.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence that says what to do.
    pub detail: Cow<'static, str>,
    /// Everything wrong with the request, all at once.
    pub violations: Vec<Violation>,
    /// Further members of the problem document, such as `state` or `holder`; never personal data.
    pub facts: serde_json::Map<String, serde_json::Value>,
    /// Seconds after which trying again makes sense, for 429 and 503.
    pub retry_after: Option<u64>,
}

/// Everything that can end an operation early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's to mend.
    #[error("{:?}: {}", .0.code, .0.detail)]
    Refused(Box<Refusal>),
    /// A stored row does not decode: somebody else wrote to the database, or a migration is missing.
    #[error("corrupt row in {table}.{column}: {row}")]
    Corrupt {
        /// The table that holds the row.
        table: &'static str,
        /// The column whose value does not decode.
        column: &'static str,
        /// The row's key.
        row: String,
    },
    /// Ours. The text is for the log alone.
    #[error("{context}")]
    Internal {
        /// What was being done.
        context: Cow<'static, str>,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// The result of everything fallible in the house.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Refuses with `code` and a sentence for the caller.
    pub fn refused(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Box::new(Refusal {
            code,
            detail: detail.into(),
            violations: Vec::new(),
            facts: serde_json::Map::new(),
            retry_after: None,
        }))
    }

    /// Refuses a request that does not fit its schema, naming every violation.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self::refused(
            ErrorCode::InvalidRequest,
            "The request does not fit its schema; mend each of the listed errors and send it again.",
        )
        .with_violations(violations)
    }

    /// Refuses because the thing does not exist or is not the caller's; the two must look alike.
    #[must_use]
    pub fn not_found() -> Self {
        Self::refused(ErrorCode::NotFound, "There is nothing here that you may see.")
    }

    /// Adds violations to a refusal; leaves other errors as they are.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.violations = violations;
        }
        self
    }

    /// Adds a member to a refusal's problem document; leaves other errors as they are.
    #[must_use]
    pub fn with_fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.facts.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Says after how many seconds trying again makes sense; leaves other errors as they are.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.retry_after = Some(seconds);
        }
        self
    }

    /// Wraps a failure of ours.
    pub fn internal(
        context: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal { context: context.into(), source: Some(source.into()) }
    }

    /// States a failure of ours that has no further cause.
    pub fn bug(context: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal { context: context.into(), source: None }
    }

    /// Gives the refusal's code, or [`ErrorCode::Internal`].
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Corrupt { .. } | Self::Internal { .. } => ErrorCode::Internal,
        }
    }
}
