//! The keys that sign permits: the file that holds them, and the JWK set (RFC 7517) that others verify with.
//!
//! One key signs. [`PermitKeys::with_next`] adds the one that will: it is published at once and signs from
//! [`PermitKeys::promote`] on, so that whoever verifies off line has it before he meets what it signed. The old one then
//! signs nothing more, its private half is gone, and it stays published until all that it signed is over.
//!
//! Ed25519 and not ECDSA over P-256: the same permit and key give the same bytes, no signature depends on a random number,
//! and the service's other keys are of this kind.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a key of this kind is for, in its JWK.
pub const PERMITS: &str = "permits";

/// How many letters of the thumbprint name a key: 48 bits, for few keys and a small QR.
const ID_LETTERS: usize = 8;

/// A public key as a JWK (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Jwk {
    /// The key's type.
    #[schema(max_length = 10, example = "OKP")]
    pub kty: String,
    /// The curve.
    #[serde(default)]
    #[schema(max_length = 20, example = "Ed25519")]
    pub crv: String,
    /// The algorithm.
    #[serde(default)]
    #[schema(max_length = 20, example = "EdDSA")]
    pub alg: String,
    /// What it may be used for.
    #[serde(default, rename = "use")]
    #[schema(max_length = 10, example = "sig")]
    pub usage: String,
    /// The key's name: its thumbprint (RFC 7638), or the first eight letters of that for the keys of permits.
    #[serde(default)]
    #[schema(max_length = 64, example = "kPrK_qmx")]
    pub kid: String,
    /// The public key.
    #[serde(default)]
    #[schema(max_length = 64, example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    pub x: String,
    /// What it signs: `permits` (permits and their status list) or `sessions` (access tokens). Take none for the other.
    #[serde(default)]
    #[schema(max_length = 20, example = "permits")]
    pub purpose: String,
    /// When the key was made, in seconds of the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1_764_057_600)]
    pub nbf: Option<i64>,
    /// The instant since which it signs nothing more, where it has been retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1_795_593_600)]
    pub retired: Option<i64>,
    /// The instant from which nothing that it signed is valid, where it has been retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1_890_288_000)]
    pub exp: Option<i64>,
}

impl Jwk {
    /// Writes an Ed25519 key that signs.
    #[must_use]
    pub fn ed25519(kid: String, x: String, purpose: &str) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid,
            x,
            purpose: purpose.to_owned(),
            nbf: None,
            retired: None,
            exp: None,
        }
    }

    /// Gives the key to verify with; `None` when it is none of Ed25519.
    pub(super) fn verifying_key(&self) -> Option<VerifyingKey> {
        if self.kty != "OKP" || self.crv != "Ed25519" {
            return None;
        }
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(&self.x).ok()?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())
    }

    /// Gives the beginning of the key's thumbprint.
    fn short_name(&self) -> String {
        // RFC 7638 and RFC 8037: the members in this order, without white space.
        let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x);
        let mut name = URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
        name.truncate(ID_LETTERS);
        name
    }
}

/// A published set of keys, as `/.well-known/jwks.json` serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublishedKeys {
    /// The keys.
    #[schema(max_items = 100)]
    pub keys: Vec<Jwk>,
}

impl PublishedKeys {
    /// Reads a set. Keys of other kinds are left alone.
    ///
    /// # Errors
    /// [`KeysError::NotASet`], or [`KeysError::NoKey`] when none is for permits.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let set: Self = serde_json::from_str(text).map_err(KeysError::not_a_set)?;
        match set.keys.iter().any(|key| key.purpose == PERMITS && key.verifying_key().is_some()) {
            true => Ok(set),
            false => Err(KeysError::NoKey),
        }
    }

    /// Finds a key that signs permits by its name.
    #[must_use]
    pub fn of_permits(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid == kid && key.purpose == PERMITS)
    }
}

/// Says why a text holds no usable keys. It never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not a JSON object with `keys`.
    #[error("line {0} is not what a JWK set has there")]
    NotASet(usize),
    /// No key for permits.
    #[error("it has no Ed25519 key whose purpose is permits")]
    NoKey,
    /// A key's parts do not fit each other.
    #[error("the parts of the key {0} do not fit each other")]
    Unfit(String),
    /// Two keys of one name.
    #[error("it has the key {0} twice")]
    Twice(String),
    /// Not one key that signs and at most one to follow.
    #[error("{0} of its keys can sign; it needs one, and at most one more to follow")]
    Signers(usize),
}

impl KeysError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "for map_err; the text of the error is a secret"
    )]
    fn not_a_set(error: serde_json::Error) -> Self {
        Self::NotASet(error.line())
    }
}

/// A key in its file: what is published of it, and the private half while it can sign.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    public: Jwk,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    keys: Vec<Stored>,
}

/// The keys of an office: the one that signs, the one that will, and those that did.
#[derive(Clone)]
pub struct PermitKeys {
    note: Option<String>,
    signer: (Jwk, SigningKey),
    next: Option<(Jwk, SigningKey)>,
    retired: Vec<Jwk>,
}

impl fmt::Debug for PermitKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitKeys").field("signer", &self.signer.0.kid).finish_non_exhaustive()
    }
}

impl PermitKeys {
    /// Makes a first key from 32 random bytes; `note` says in the file what the keys are for, if anything.
    #[must_use]
    pub fn generate(seed: [u8; 32], now: DateTime<Utc>, note: Option<&str>) -> Self {
        let note = note.map(str::to_owned);
        Self { note, signer: made(seed, now), next: None, retired: Vec::new() }
    }

    /// Parses what [`PermitKeys::private_text`] writes.
    ///
    /// # Errors
    /// [`KeysError`] names the obstacle.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let file: KeyFile = serde_json::from_str(text).map_err(KeysError::not_a_set)?;
        let (mut signers, mut retired) = (Vec::new(), Vec::<Jwk>::new());
        let mut seen = Vec::new();
        for Stored { public, d } in file.keys {
            let unfit = || KeysError::Unfit(public.kid.clone());
            if public.purpose != PERMITS || public.kid != public.short_name() {
                return Err(unfit());
            }
            if seen.contains(&public.kid) {
                return Err(KeysError::Twice(public.kid));
            }
            seen.push(public.kid.clone());
            let verifying = public.verifying_key().ok_or_else(unfit)?;
            let Some(d) = d else {
                if public.retired.is_none() || public.exp.is_none() {
                    return Err(unfit());
                }
                retired.push(public);
                continue;
            };
            let seed = URL_SAFE_NO_PAD.decode(d).ok().and_then(|seed| seed.try_into().ok());
            let key = SigningKey::from_bytes(&seed.ok_or_else(unfit)?);
            if key.verifying_key() != verifying || public.retired.is_some() {
                return Err(unfit());
            }
            signers.push((public, key));
        }
        if signers.len() > 2 {
            return Err(KeysError::Signers(signers.len()));
        }
        let mut signers = signers.into_iter();
        let signer = signers.next().ok_or(KeysError::Signers(0))?;
        Ok(Self { note: file.note, signer, next: signers.next(), retired })
    }

    /// Writes the key file: a JWK set with the private halves of the keys that can sign.
    #[must_use]
    pub fn private_text(&self) -> String {
        let private = |(public, key): &(Jwk, SigningKey)| Stored {
            public: public.clone(),
            d: Some(URL_SAFE_NO_PAD.encode(key.as_bytes())),
        };
        let signing = std::iter::once(&self.signer).chain(&self.next).map(private);
        let retired = self.retired.iter().map(|key| Stored { public: key.clone(), d: None });
        let file = KeyFile { note: self.note.clone(), keys: signing.chain(retired).collect() };
        // Serialising structs of strings and numbers cannot fail; an empty file would not parse.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// Adds the key that will sign after this one.
    ///
    /// # Errors
    /// [`KeysError::Signers`] when there is one already.
    pub fn with_next(self, seed: [u8; 32], now: DateTime<Utc>) -> Result<Self, KeysError> {
        match self.next {
            Some(_) => Err(KeysError::Signers(3)),
            None => Ok(Self { next: Some(made(seed, now)), ..self }),
        }
    }

    /// Lets the next key sign from `now` on and retires the one before, which stays published before `until`; keys whose
    /// time is over go. Without a next key nothing changes.
    #[must_use]
    pub fn promote(mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let Some(next) = self.next.take() else { return self };
        let (mut old, _) = std::mem::replace(&mut self.signer, next);
        old.retired = Some(now.timestamp());
        old.exp = Some(until.timestamp());
        self.retired.push(old);
        self.retired.retain(|key| key.exp.is_some_and(|until| now.timestamp() < until));
        self
    }

    /// Gives the key that signs, as it is published.
    #[must_use]
    pub const fn signer(&self) -> &Jwk {
        &self.signer.0
    }

    /// Gives the key that will sign, as it is published already.
    #[must_use]
    pub fn next(&self) -> Option<&Jwk> {
        self.next.as_ref().map(|(key, _)| key)
    }

    /// Gives the keys that signed and of which something may still be valid.
    #[must_use]
    pub fn retired(&self) -> &[Jwk] {
        &self.retired
    }

    /// Gives what others verify with at `now`: all keys but those whose time is over.
    #[must_use]
    pub fn published(&self, now: DateTime<Utc>) -> PublishedKeys {
        let retired = self.retired.iter();
        let retired = retired.filter(|key| key.exp.is_some_and(|until| now.timestamp() < until));
        let keys = std::iter::once(self.signer()).chain(self.next()).chain(retired);
        PublishedKeys { keys: keys.cloned().collect() }
    }

    /// Signs `payload` as a text of type `typ`.
    pub(super) fn sign(&self, typ: &str, payload: &[u8]) -> String {
        let (public, key) = &self.signer;
        super::jws::sign(key, &public.kid, typ, payload)
    }
}

fn made(seed: [u8; 32], now: DateTime<Utc>) -> (Jwk, SigningKey) {
    let key = SigningKey::from_bytes(&seed);
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let mut public = Jwk::ed25519(String::new(), x, PERMITS);
    public.kid = public.short_name();
    public.nbf = Some(now.timestamp());
    (public, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + day * 86_400, 0).unwrap()
    }

    fn ids(keys: &PublishedKeys) -> Vec<&str> {
        keys.keys.iter().map(|key| key.kid.as_str()).collect()
    }

    #[test]
    fn a_key_is_named_by_the_beginning_of_its_thumbprint() {
        // The example of RFC 8037, appendices A.1 and A.3.
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let keys = PermitKeys::generate(seed.try_into().unwrap(), at(0), None);
        assert_eq!(keys.signer().kid, "kPrK_qmx");
        assert_eq!(keys.signer().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_what_is_published_tells_no_secret() {
        let keys = PermitKeys::generate([1; 32], at(0), Some("for tests"));
        let keys = keys.with_next([2; 32], at(1)).unwrap().promote(at(2), at(100));
        let keys = keys.with_next([3; 32], at(3)).unwrap();
        let text = keys.private_text();
        let again = PermitKeys::parse(&text).unwrap();
        assert_eq!(again.private_text(), text);
        let published = serde_json::to_string(&again.published(at(4))).unwrap();
        assert!(text.contains("\"d\"") && !published.contains("\"d\""), "{published}");
        assert_eq!(PublishedKeys::parse(&published).unwrap(), keys.published(at(4)));
    }

    #[test]
    fn a_next_key_is_published_before_it_signs_and_an_old_one_until_its_day() {
        let first = PermitKeys::generate([1; 32], at(0), None);
        let old = first.signer().kid.clone();
        let both = first.with_next([2; 32], at(1)).unwrap();
        let new = both.next().unwrap().kid.clone();
        assert_eq!(both.signer().kid, old);
        assert_eq!(ids(&both.published(at(1))), [&*old, &*new]);
        assert_eq!(both.clone().with_next([3; 32], at(1)).unwrap_err(), KeysError::Signers(3));
        let turned = both.promote(at(2), at(100));
        assert_eq!(ids(&turned.published(at(2))), [&*new, &*old]);
        assert_eq!(turned.retired()[0].retired, Some(at(2).timestamp()));
        assert_eq!(ids(&turned.published(at(100))), [&*new]);
        // The private half is gone, and with the day the rest.
        assert_eq!(turned.private_text().matches("\"d\"").count(), 1);
        let later = turned.with_next([4; 32], at(101)).unwrap().promote(at(102), at(200));
        assert!(!later.private_text().contains(&old));
    }

    #[test]
    fn a_broken_file_is_refused_by_name_and_no_secret_is_repeated() {
        let keys = PermitKeys::generate([1; 32], at(0), None).with_next([2; 32], at(0)).unwrap();
        let text = keys.private_text();
        let kid = keys.signer().kid.clone();
        let secret = URL_SAFE_NO_PAD.encode([1; 32]);
        let other = URL_SAFE_NO_PAD.encode([9; 32]);
        assert_eq!(PermitKeys::parse("nonsense").unwrap_err(), KeysError::NotASet(1));
        assert_eq!(PermitKeys::parse("{\"keys\":[]}").unwrap_err(), KeysError::Signers(0));
        for broken in [text.replacen(&secret, &other, 1), text.replacen(&kid, "AAAAAAAA", 1)] {
            let error = PermitKeys::parse(&broken).unwrap_err();
            assert!(matches!(error, KeysError::Unfit(_)), "{error}");
        }
        let mut file: KeyFile = serde_json::from_str(&text).unwrap();
        file.keys.push(file.keys[0].clone());
        let twice = serde_json::to_string(&file).unwrap();
        assert_eq!(PermitKeys::parse(&twice).unwrap_err(), KeysError::Twice(kid));
        let number = text.replacen(&format!("\"{secret}\""), "7", 1);
        assert!(!PermitKeys::parse(&number).unwrap_err().to_string().contains(&secret));
        assert_eq!(PublishedKeys::parse("{\"keys\":[{\"kty\":\"EC\"}]}"), Err(KeysError::NoKey));
    }
}
