//! How an event's private content is written down, byte for byte, and committed to (`openapi/log.md`).
//!
//! The public log shows of an event a [leaf](super::leaf) that holds a commitment: SHA-256 of a random salt and the
//! private content. Whoever is given both can check them against the log; whoever has neither learns nothing, and
//! once salt and content are erased nobody does.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a salt.
pub const SALT: usize = 32;

/// The largest integer that every reader of JSON keeps exact (RFC 8785, appendix D).
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be committed to: only integers of at most 53 bits are exact for every reader")]
pub struct NotCanonical(String);

/// Everything of an event that the public does not see.
#[derive(Debug, Clone, Copy)]
pub struct Private<'a> {
    /// The event.
    pub event: Uuid,
    /// When, in microseconds.
    pub at: DateTime<Utc>,
    /// The account that acted.
    pub actor: Option<Uuid>,
    /// As what it acted.
    pub role: &'a str,
    /// The application.
    pub application: Option<Uuid>,
    /// The command.
    pub command: Option<&'a str>,
    /// The state before.
    pub from: Option<&'a str>,
    /// The state after.
    pub to: Option<&'a str>,
    /// Of a read: what for.
    pub purpose: Option<&'a str>,
    /// Of a read of a list: the applications that it showed.
    pub subjects: &'a [Uuid],
    /// What was asked and what it changed, as [`canonical`] gives it.
    pub content: &'a str,
}

/// An event's secrets and what is public in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The canonical content.
    pub content: String,
    /// The salt.
    pub salt: [u8; SALT],
    /// See [`commitment`].
    pub commitment: [u8; 32],
    /// See [`pseudonym`]; of events about an application.
    pub pseudonym: Option<[u8; 16]>,
}

/// Writes a value in the one form that everybody gives it (RFC 8785).
///
/// # Errors
/// [`NotCanonical`] for numbers that are no integers of at most 53 bits.
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    exact(value)?;
    serde_json_canonicalizer::to_string(value).map_err(|error| NotCanonical(error.to_string()))
}

fn exact(value: &Value) -> Result<(), NotCanonical> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match size {
                Some(size) if size <= MAX_SAFE => Ok(()),
                _ => Err(NotCanonical(number.to_string())),
            }
        }
        Value::Array(items) => items.iter().try_for_each(exact),
        Value::Object(members) => members.values().try_for_each(exact),
    }
}

/// Gives the commitment: SHA-256 of the salt followed by the private content.
#[must_use]
pub fn commitment(salt: &[u8; SALT], private: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(private).finalize().into()
}

/// Gives the application's pseudonym in one event's leaf: the first half of HMAC-SHA256 (RFC 2104) of its id, as text,
/// under the event's salt.
///
/// Another one for each event, so that nobody who recognises one event of a person finds the others; the holder of a
/// receipt can still check that the leaf speaks of his application, and after the erasure of the salt nobody can.
#[must_use]
pub fn pseudonym(salt: &[u8; SALT], application: Uuid) -> [u8; 16] {
    let [inner, outer] = pads(salt);
    let inner = Sha256::new().chain_update(inner).chain_update(application.to_string()).finalize();
    let whole = Sha256::new().chain_update(outer).chain_update(inner).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Gives the two blocks of RFC 2104 that a key makes, for where a database has to compute [`pseudonym`].
#[must_use]
pub fn pads(salt: &[u8; SALT]) -> [[u8; 64]; 2] {
    [0x36, 0x5c].map(|pad| {
        let mut block = [pad; 64];
        for (byte, key) in block.iter_mut().zip(salt) {
            *byte ^= key;
        }
        block
    })
}

impl Private<'_> {
    /// Writes the private content: RFC 8785 JSON with the members in order, those without a value left out.
    #[must_use]
    pub fn encode(&self) -> String {
        let application = self.application.map(|id| id.to_string());
        self.encode_about(application.as_deref())
    }

    /// As [`encode`](Self::encode), with the application's id as any text: a placeholder where only the database will
    /// know which.
    #[must_use]
    pub fn encode_about(&self, application: Option<&str>) -> String {
        let mut out = String::with_capacity(self.content.len() + 400);
        let mut member = |name: &str, value: &str| {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            out.push_str(value);
        };
        let quoted = |text: &str| Value::from(text).to_string();
        if let Some(actor) = self.actor {
            member("actor", &quoted(&actor.to_string()));
        }
        if let Some(application) = application {
            member("application", &quoted(application));
        }
        member("at", &quoted(&self.at.to_rfc3339_opts(SecondsFormat::Micros, true)));
        if let Some(command) = self.command {
            member("command", &quoted(command));
        }
        member("content", self.content);
        member("event", &quoted(&self.event.to_string()));
        if let Some(from) = self.from {
            member("from", &quoted(from));
        }
        if let Some(purpose) = self.purpose {
            member("purpose", &quoted(purpose));
        }
        member("role", &quoted(self.role));
        if !self.subjects.is_empty() {
            let ids: Vec<String> = self.subjects.iter().map(|id| quoted(&id.to_string())).collect();
            member("subjects", &format!("[{}]", ids.join(",")));
        }
        if let Some(to) = self.to {
            member("to", &quoted(to));
        }
        member("v", "1");
        out.push('}');
        out
    }

    /// Commits to the private content with a salt that nobody else has seen.
    #[must_use]
    pub fn seal(&self, salt: [u8; SALT]) -> Seal {
        Seal {
            content: self.content.to_owned(),
            salt,
            commitment: commitment(&salt, &self.encode()),
            pseudonym: self.application.map(|id| pseudonym(&salt, id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn private<'a>(content: &'a str, subjects: &'a [Uuid]) -> Private<'a> {
        Private {
            event: Uuid::from_u128(1),
            at: DateTime::from_timestamp_micros(1_764_000_000_123_456).unwrap(),
            actor: Some(Uuid::from_u128(2)),
            role: "officer",
            application: Some(Uuid::from_u128(3)),
            command: Some("accept"),
            from: Some("submitted"),
            to: Some("checking"),
            purpose: Some("casework"),
            subjects,
            content,
        }
    }

    #[test]
    fn the_private_content_is_the_documented_bytes() {
        assert_eq!(
            private(r#"{"changes":[]}"#, &[Uuid::from_u128(4)]).encode(),
            "{\"actor\":\"00000000-0000-0000-0000-000000000002\",\
             \"application\":\"00000000-0000-0000-0000-000000000003\",\
             \"at\":\"2025-11-24T16:00:00.123456Z\",\"command\":\"accept\",\"content\":{\"changes\":[]},\
             \"event\":\"00000000-0000-0000-0000-000000000001\",\"from\":\"submitted\",\
             \"purpose\":\"casework\",\"role\":\"officer\",\
             \"subjects\":[\"00000000-0000-0000-0000-000000000004\"],\"to\":\"checking\",\"v\":1}"
        );
    }

    #[test]
    fn the_pseudonym_is_hmac_as_the_library_computes_it() {
        let (salt, id) = ([7; SALT], Uuid::from_u128(9));
        let mut mac = Hmac::<Sha256>::new_from_slice(&salt).unwrap();
        mac.update(id.to_string().as_bytes());
        assert_eq!(pseudonym(&salt, id), mac.finalize().into_bytes()[..16]);
    }

    #[test]
    fn numbers_that_readers_disagree_about_are_refused() {
        assert_eq!(
            canonical(&json!({"b": 9_007_199_254_740_991_u64, "a": -1})).unwrap(),
            r#"{"a":-1,"b":9007199254740991}"#
        );
        for value in [json!(9_007_199_254_740_992_u64), json!([{"x": 1.5}]), json!(i64::MIN)] {
            assert!(canonical(&value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_reads_back_as_what_it_was_and_has_one_form(text in "\\PC{0,40}", number in -1_000_000_i64..1_000_000) {
            let value = json!({ "ключ": text, "a": [number, null, true], &text: {} });
            let once = canonical(&value).unwrap();
            let again: Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(&again, &value);
            prop_assert_eq!(canonical(&again).unwrap(), once);
        }

        #[test]
        fn the_whole_private_content_is_in_canonical_form(text in "\\PC{0,40}") {
            let content = canonical(&json!({ "note": text })).unwrap();
            let mut whole = private(&content, &[]);
            whole.command = Some(&text);
            let encoded = whole.encode();
            let value: Value = serde_json::from_str(&encoded).unwrap();
            prop_assert_eq!(canonical(&value).unwrap(), encoded);
        }
    }
}
