//! Standard Webhooks 1.0: signs messages and verifies them, pure. Payments, registers and their simulator use it.
//!
//! A message is signed over `id.timestamp.body` with HMAC-SHA-256; its three header fields carry the id, the seconds
//! since 1970 and the signatures. Which keys count for which message, the callers know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The header field with the message's id.
pub const ID: &str = "webhook-id";
/// The header field with the seconds since 1970 when the message was sent.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header field with the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// The shortest key that the standard allows, in bytes.
pub const KEY_BYTES: usize = 24;

/// How far the sender's clock may be from ours.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// The longest id of a message.
const LONGEST_ID: usize = 200;

/// A key that both sides share; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// Says why a text is no key. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form.
    #[error("a secret that does not begin with whsec_")]
    Prefix,
    /// Not base64.
    #[error("a secret that is not base64")]
    Base64,
    /// Too short to be safe.
    #[error("a secret of only {0} bytes")]
    Short(usize),
}

impl Key {
    /// Takes the bytes of a key.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Parses `whsec_` followed by base64.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let coded = text.strip_prefix("whsec_").ok_or(KeyError::Prefix)?;
        let bytes = STANDARD.decode(coded).or_else(|_| STANDARD_NO_PAD.decode(coded));
        let bytes = bytes.map_err(|_| KeyError::Base64)?;
        if bytes.len() < KEY_BYTES {
            return Err(KeyError::Short(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// Gives the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Signs a message sent at `at`.
    #[must_use]
    pub fn sign(&self, id: &str, at: DateTime<Utc>, body: &[u8]) -> Signed {
        let timestamp = at.timestamp().to_string();
        let mac = self.mac(id, &timestamp, body).finalize().into_bytes();
        let signature = format!("v1,{}", STANDARD.encode(mac));
        Signed { id: id.to_owned(), timestamp, signature }
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104, 2)")]
    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.chain_update(id)
            .chain_update(".")
            .chain_update(timestamp)
            .chain_update(".")
            .chain_update(body)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The header fields of a message that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its id.
    pub id: String,
    /// When it was sent.
    pub timestamp: String,
    /// Its signature.
    pub signature: String,
}

impl Signed {
    /// Gives the fields with their names.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, &str); 3] {
        [(ID, &self.id), (TIMESTAMP, &self.timestamp), (SIGNATURE, &self.signature)]
    }
}

/// Checks signature and time of a message whose header fields `field` gives; gives its id.
///
/// `None` for whatever is wrong: which of them it was is not for the sender to know.
#[must_use]
pub fn verify<'a, 'k>(
    field: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    keys: impl IntoIterator<Item = &'k Key>,
    now: DateTime<Utc>,
) -> Option<&'a str> {
    let (id, sent, signatures) = (field(ID)?, field(TIMESTAMP)?, field(SIGNATURE)?);
    let at = sent.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))?;
    let signatures: Vec<Vec<u8>> = signatures
        .split(' ')
        .filter_map(|one| one.strip_prefix("v1,"))
        .filter_map(|one| STANDARD.decode(one).ok())
        .collect();
    let signed = keys.into_iter().any(|key| {
        let mac = key.mac(id, sent, body);
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    });
    let fresh = (now - at).abs() <= WINDOW;
    (signed && fresh && (1..=LONGEST_ID).contains(&id.len())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    #[test]
    fn the_example_of_the_standard_is_signed_as_there() {
        let at = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let signed = key().sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signed.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_a_fresh_message_under_a_shared_key_is_taken() {
        let at = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let other = Key::new(vec![1; 32]);
        let signed = key().sign("a", at, b"body");
        let verify = |signed: &Signed, body: &[u8], keys: &[Key], now| {
            let field = |name: &str| {
                signed.fields().into_iter().find(|(known, _)| *known == name).map(|(_, is)| is)
            };
            super::verify(field, body, keys, now).map(str::to_owned)
        };
        let both = [other.clone(), key()];
        assert_eq!(verify(&signed, b"body", &both, at).as_deref(), Some("a"));
        assert_eq!(verify(&signed, b"body", &both, at + WINDOW).as_deref(), Some("a"));
        assert_eq!(verify(&signed, b"body", &both, at + WINDOW + TimeDelta::seconds(1)), None);
        assert_eq!(verify(&signed, b"Body", &both, at), None);
        assert_eq!(verify(&signed, b"body", &[other], at), None);
        let two = Signed { signature: format!("v1,AAAA {}", signed.signature), ..signed.clone() };
        assert_eq!(verify(&two, b"body", &both, at).as_deref(), Some("a"));
        let another = Signed { id: "b".into(), ..signed };
        assert_eq!(verify(&another, b"body", &both, at), None);
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", key()), "[redacted]");
        assert_eq!(Key::parse("hunter2").unwrap_err(), KeyError::Prefix);
        assert_eq!(Key::parse("whsec_%").unwrap_err(), KeyError::Base64);
        assert_eq!(Key::parse("whsec_c2hvcnQ=").unwrap_err(), KeyError::Short(5));
    }
}
