//! What goes over the wire between the office and a register; `openapi/registers.md` says it byte for byte.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::domain::checks::Outcome;

/// The largest answer that is read, in bytes.
pub const LARGEST_ANSWER: usize = 64 * 1024;

/// What a register is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Question {
    /// Id of the request: the same however often it is sent.
    pub request_id: Uuid,
    /// The register.
    pub register: String,
    /// The check's name in the definition.
    pub check: String,
    /// What is asked, in Russian.
    pub question: String,
    /// Of whom, in the form's own shape: the parts that the check sends, and nothing else.
    pub subject: Map<String, Value>,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// When an answer is of no use any more.
    pub answer_by: DateTime<Utc>,
    /// Where a later answer goes.
    pub callback_url: String,
}

/// What a register can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AnswerOutcome {
    /// Nothing stands against the applicant.
    Clear,
    /// Something does.
    Hit,
    /// The register knows nothing of the matter.
    NoData,
}

impl From<AnswerOutcome> for Outcome {
    fn from(outcome: AnswerOutcome) -> Self {
        match outcome {
            AnswerOutcome::Clear => Self::Clear,
            AnswerOutcome::Hit => Self::Hit,
            AnswerOutcome::NoData => Self::NoData,
        }
    }
}

/// A register's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerMessage {
    /// Id of the request, as it was asked.
    pub request_id: Uuid,
    /// The answer.
    #[schema(inline, example = "clear")]
    pub outcome: AnswerOutcome,
    /// Why, as a code that the definition lists for the check.
    #[validate(length(min = 1, max = 60), custom(function = "is_code"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 60,
        pattern = "^[a-z][A-Za-z0-9]*$",
        example = "noEntry"
    )]
    pub reason: Option<String>,
    /// In words, for the office.
    #[validate(length(min = 1, max = 1000), custom(function = "is_text"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}

impl AnswerMessage {
    /// Gives the SHA-256 of what it says, outcome and reason: the same for two answers that only word it otherwise.
    #[must_use]
    pub fn meaning(&self) -> String {
        let outcome = Outcome::from(self.outcome);
        digest(format!("{} {}", outcome.name(), self.reason.as_deref().unwrap_or("")).as_bytes())
    }
}

fn is_code(text: &str) -> Result<(), ValidationError> {
    let camel = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if camel { Ok(()) } else { Err(ValidationError::new("invalid-code")) }
}

fn is_text(text: &str) -> Result<(), ValidationError> {
    if text.contains('\0') { Err(ValidationError::new("invalid-text")) } else { Ok(()) }
}

/// Reads an answer that was verified; `None` when it is none.
#[must_use]
pub fn read(body: &[u8]) -> Option<AnswerMessage> {
    let answer: AnswerMessage = serde_json::from_slice(body).ok()?;
    answer.validate().ok().map(|()| answer)
}

/// Gives the SHA-256 of a raw answer, lower-case hexadecimal.
#[must_use]
pub fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_form_is_read() {
        let id = Uuid::from_u128(7);
        let whole =
            format!(r#"{{"requestId":"{id}","outcome":"hit","reason":"noEntry","note":"Нет."}}"#);
        let answer = read(whole.as_bytes()).unwrap();
        assert_eq!((answer.request_id, answer.outcome), (id, AnswerOutcome::Hit));
        assert_eq!(answer.reason.as_deref(), Some("noEntry"));
        for wrong in [
            String::new(),
            "{}".into(),
            format!(r#"{{"requestId":"{id}"}}"#),
            format!(r#"{{"requestId":"{id}","outcome":"timedOut"}}"#),
            format!(r#"{{"requestId":"{id}","outcome":"error"}}"#),
            r#"{"requestId":"7","outcome":"clear"}"#.into(),
            format!(r#"{{"requestId":"{id}","outcome":"clear","more":1}}"#),
            format!(r#"{{"requestId":"{id}","outcome":"clear","reason":"no entry"}}"#),
            format!(r#"{{"requestId":"{id}","outcome":"clear","reason":""}}"#),
            format!(r#"{{"requestId":"{id}","outcome":"clear","note":"\u0000"}}"#),
            format!(r#"{{"requestId":"{id}","outcome":"clear","note":"{}"}}"#, "a".repeat(1001)),
            format!(r#"{{"requestId":"{id}","outcome":"clear"}} "#) + "x",
        ] {
            assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
        }
        let worded = AnswerMessage { note: None, ..answer.clone() };
        assert_eq!(worded.meaning(), answer.meaning());
        let other = AnswerMessage { reason: None, ..answer.clone() };
        assert_ne!(other.meaning(), answer.meaning());
        let clear = AnswerMessage { outcome: AnswerOutcome::Clear, ..answer.clone() };
        assert_ne!(clear.meaning(), answer.meaning());
        assert!(digest(b"").starts_with("e3b0c44298fc1c14"));
    }
}
