//! Says in the caller's words why the engine refused.

use serde_json::json;

use crate::domain::workflow::engine::Rejection;
use crate::error::{Error, ErrorCode, Violation};

/// Turns a rejection into an error: 404, 403, 409 or 422, with what to do.
pub(super) fn refusal(rejection: Rejection) -> Error {
    match rejection {
        Rejection::NotYours => Error::not_found(),
        Rejection::Forbidden { parties } => Error::refused(
            ErrorCode::Forbidden,
            "Your role may not do this; ask somebody of the listed parties.",
        )
        .with_fact("parties", json!(parties)),
        Rejection::WrongState { state, allowed_in } => Error::refused(
            ErrorCode::WrongState,
            "The application's state does not allow this; read it again to see what it allows.",
        )
        .with_fact("state", state)
        .with_fact("allowedIn", allowed_in),
        Rejection::WrongCharge { status, detail } => Error::refused(ErrorCode::WrongState, detail)
            .with_fact("chargeStatus", json!(status)),
        Rejection::Claimed { by, until } => Error::refused(
            ErrorCode::ClaimedByAnother,
            "A colleague holds this application; wait until the lease ends or ask a senior officer to release it.",
        )
        .with_fact("holder", by.to_string())
        .with_fact("until", json!(until)),
        Rejection::Blocked(blocked) => Error::refused(
            ErrorCode::RuleRefused,
            "A rule stands in the way; see what blocks and mend it.",
        )
        .with_violations(
            blocked
                .iter()
                .map(|one| Violation::new("", kebab(one.guard), one.detail.clone()))
                .collect(),
        )
        .with_fact("blockedBy", json!(blocked)),
        Rejection::Misfits(misfits) => Error::refused(
            ErrorCode::RuleRefused,
            "The command does not fit this application; mend each of the listed errors.",
        )
        .with_violations(
            misfits
                .into_iter()
                .map(|one| Violation::new(one.pointer, one.code, one.detail))
                .collect(),
        ),
        Rejection::RuleMissing(what) => Error::bug(what),
    }
}

/// Writes a camel-case name in kebab case.
fn kebab(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
