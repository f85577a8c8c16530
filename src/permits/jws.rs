//! Signed texts: the compact serialisation of RFC 7515 with Ed25519 (RFC 8037), and nothing else of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::keys::{Jwk, PublishedKeys};

/// The longest text that is looked at, in bytes: a status list of some hundred million permits.
const LONGEST: usize = 512 << 20;

/// Says why a signed text is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Not three parts in base64url with JSON in them.
    #[error("it is not a signed text of the form of RFC 7515 (three parts with dots between)")]
    NotSigned,
    /// Parts or bytes are missing at the end.
    #[error("it was cut: its end is missing; scan or copy it whole")]
    Cut,
    /// Another kind of signed text, or another algorithm.
    #[error("it is not a {0}: its header says otherwise")]
    OtherKind(&'static str),
    /// The key is not among the given ones.
    #[error(
        "it names the key {0}, which is not among the office's keys for permits; if the keys were fetched long ago, fetch them anew"
    )]
    UnknownKey(String),
    /// The signature does not fit the content.
    #[error("it is forged or was altered: the signature of the key {0} does not fit it")]
    Forged(String),
    /// The key had stopped signing before what it is said to have signed came to be.
    #[error("it is signed with the key {0}, which had been retired before")]
    KeyRetired(String),
    /// Nothing that the key signed can be valid any more.
    #[error("it is signed with the key {0}, and all that this key signed is over")]
    KeyOver(String),
    /// Signed, but its content is not what such a text has.
    #[error("it is signed with the key {0}, but does not say what a {1} says")]
    Content(String, &'static str),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// Signs `payload`: a header of algorithm, key and type in this order, without white space.
pub(super) fn sign(key: &SigningKey, kid: &str, typ: &str, payload: &[u8]) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#);
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = key.sign(text.as_bytes()).to_bytes();
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

/// Opens a signed text of type `typ`, which people call `what`: its content, and the key that signed it.
///
/// The signature is verified before anything of the content is looked at. Times are the caller's to compare, but for a
/// key whose time is over at `now`, in seconds of the epoch.
///
/// # Errors
/// The first reason not to trust it.
pub(super) fn open<'k, T: DeserializeOwned>(
    text: &str,
    (typ, what): (&str, &'static str),
    keys: &'k PublishedKeys,
    now: i64,
) -> Result<(T, &'k Jwk), Untrusted> {
    let text = text.trim();
    if text.len() > LONGEST || !text.is_ascii() {
        return Err(Untrusted::NotSigned);
    }
    let mut parts = text.split('.');
    let header = parts.next().unwrap_or_default();
    let header: Header = decode(header)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(Untrusted::NotSigned)?;
    let (payload, signature) = match (parts.next(), parts.next(), parts.next()) {
        (Some(payload), Some(signature), None) => (payload, signature),
        (_, None, _) => return Err(Untrusted::Cut),
        (None | Some(_), _, _) => return Err(Untrusted::NotSigned),
    };
    if header.alg != "EdDSA" || header.typ != typ {
        return Err(Untrusted::OtherKind(what));
    }
    // Ed25519's 64 bytes are 86 letters.
    if signature.len() < 86 {
        return Err(Untrusted::Cut);
    }
    let key = keys.of_permits(&header.kid).ok_or_else(|| {
        // It can be anything, and somebody's terminal will show it.
        let harmless = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        Untrusted::UnknownKey(header.kid.chars().filter(harmless).take(64).collect())
    })?;
    let forged = || Untrusted::Forged(header.kid.clone());
    let signature = decode(signature).and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signed = &text[..text.rfind('.').unwrap_or_default()];
    let fits = signature.zip(key.verifying_key()).is_some_and(|(signature, key)| {
        // Strictly: one text has one signature, and no key signs everything.
        key.verify_strict(signed.as_bytes(), &signature).is_ok()
    });
    if !fits {
        return Err(forged());
    }
    if key.exp.is_some_and(|until| until <= now) {
        return Err(Untrusted::KeyOver(header.kid));
    }
    decode(payload)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .map(|content| (content, key))
        .ok_or(Untrusted::Content(header.kid, what))
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
