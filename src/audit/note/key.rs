//! Keys of notes: verifier keys as they are published, and the private ones of a key file.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::super::checkpoint::Checkpoint;
use super::super::{base64, from_base64};
use super::{NoteError, cosigned, join, line};

/// What every line of a key file begins with.
const PRIVATE: &str = "PRIVATE+KEY+";
/// The label under which the freshness key is derived from the log's.
const FRESHNESS: &str = "freshness";

/// The kinds of signature that are read and made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureType {
    /// Type 0x01: Ed25519 over the note's text (C2SP signed-note).
    Ed25519,
    /// Type 0x04: timestamped Ed25519 cosignature of a checkpoint (C2SP tlog-cosignature).
    Cosignature,
}

impl SignatureType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

/// Says what is wrong with a key. Never holds any part of a private one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form.
    #[error("a verifier key is <name>+<id, 8 hexadecimal digits>+<base64>")]
    Verifier,
    /// Not of the form.
    #[error(
        "line {line} of the key file is not PRIVATE+KEY+<name>+<id, 8 hexadecimal digits>+<base64>, and no verifier \
         key of a retired key"
    )]
    Private {
        /// The line, from 1.
        line: usize,
    },
    /// The name is empty or has a space, a plus sign or a control character.
    #[error("the name of a key is not empty and has no spaces, plus signs and control characters")]
    Name,
    /// The id is not that of name and key.
    #[error(
        "the id of the key of {name} is not that of its name and content; check it for typing mistakes"
    )]
    Id {
        /// The key's name.
        name: String,
    },
    /// Another type of signature.
    #[error("the key of {name} is of type {byte:#04x}; only 0x01 and 0x04 are known here")]
    Type {
        /// The key's name.
        name: String,
        /// The type it says.
        byte: u8,
    },
    /// No point of the curve, or one that verifies anything.
    #[error("the key of {name} is no Ed25519 key")]
    Point {
        /// The key's name.
        name: String,
    },
    /// There is none, or there are retired ones alone.
    #[error("the key file has no key that signs")]
    None,
    /// The lines of a key file are for different names.
    #[error("the key file has keys of {one} and of {other}; all must be of one name")]
    Names {
        /// The first name.
        one: String,
        /// Another one.
        other: String,
    },
    /// The same key twice.
    #[error("the key file has the same key of {name} twice")]
    Repeated {
        /// The key's name.
        name: String,
    },
}

/// Tells whether a key can have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// Gives the id of a key: the first bytes of SHA-256 over name, newline, type and public key.
fn id(name: &str, kind: SignatureType, public: &VerifyingKey) -> u32 {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind.byte()])
        .chain_update(public.as_bytes())
        .finalize()
        .into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// Reads eight hexadecimal digits in lower case.
fn hex_id(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(text, 16).ok().filter(|_| digits)
}

/// Splits `<id>+<base64>` into the id, the type and the 32 bytes.
fn split_key(text: &str) -> Option<(u32, u8, [u8; 32])> {
    let (id, key) = text.split_once('+')?;
    let bytes = from_base64(key)?;
    let (kind, key) = bytes.split_first()?;
    Some((hex_id(id)?, *kind, key.try_into().ok()?))
}

/// Verifies signatures of one key of one type: what is published as a vkey.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: SignatureType,
    id: u32,
    public: VerifyingKey,
}

impl VerifierKey {
    fn new(name: String, kind: SignatureType, public: VerifyingKey) -> Self {
        let id = id(&name, kind, &public);
        Self { name, kind, id, public }
    }

    /// Parses a vkey such as `example.com/log+530d903a+AekyeRrm…` (C2SP signed-note) of type 0x01 or 0x04.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with it.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let (name, rest) = vkey.split_once('+').ok_or(KeyError::Verifier)?;
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let Some((stated, byte, public)) = split_key(rest) else {
            // A key of another type is longer or shorter: better told than taken for a slip.
            return Err(other_type(name, rest).unwrap_or(KeyError::Verifier));
        };
        let name = name.to_owned();
        let Some(kind) = SignatureType::of(byte) else { return Err(KeyError::Type { name, byte }) };
        let public = match VerifyingKey::from_bytes(&public) {
            Ok(public) if !public.is_weak() => public,
            _ => return Err(KeyError::Point { name }),
        };
        let key = Self::new(name, kind, public);
        if key.id == stated { Ok(key) } else { Err(KeyError::Id { name: key.name }) }
    }

    /// Gives the name under which the key signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the id that stands in the key's signatures.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Gives the kind of signature that the key makes.
    #[must_use]
    pub const fn kind(&self) -> SignatureType {
        self.kind
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.public.verify_strict(message, signature).is_ok()
    }
}

/// Says which type a key has that is not one of Ed25519.
fn other_type(name: &str, rest: &str) -> Option<KeyError> {
    let byte = *from_base64(rest.split_once('+')?.1)?.first()?;
    SignatureType::of(byte).is_none().then(|| KeyError::Type { name: name.to_owned(), byte })
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        Self::parse(vkey)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], &self.public.as_bytes()[..]].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// Signs in the name of a log, or of a witness. Never shows its secret but through [`LogKey::private_line`].
#[derive(Clone)]
pub struct LogKey {
    name: String,
    signing: SigningKey,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({})", self.verifier())
    }
}

impl LogKey {
    /// Makes a key of a seed; the seed must come from a generator fit for secrets.
    ///
    /// # Errors
    /// [`KeyError::Name`] when a key cannot have the name.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), signing: SigningKey::from_bytes(&seed) })
    }

    fn parse(text: &str, line: usize) -> Result<Self, KeyError> {
        let malformed = KeyError::Private { line };
        let rest = text.strip_prefix(PRIVATE).ok_or_else(|| malformed.clone())?;
        let (name, rest) = rest.split_once('+').ok_or_else(|| malformed.clone())?;
        let (stated, byte, seed) = split_key(rest).ok_or(malformed)?;
        let key = Self::generate(name, seed)?;
        if byte != SignatureType::Ed25519.byte() {
            return Err(KeyError::Type { name: key.name, byte });
        }
        if key.verifier().id != stated {
            return Err(KeyError::Id { name: key.name });
        }
        Ok(key)
    }

    /// Gives the key's line of the key file, without a newline: the secret itself.
    #[must_use]
    pub fn private_line(&self) -> String {
        let key = [&[SignatureType::Ed25519.byte()], &self.signing.to_bytes()[..]].concat();
        format!("{PRIVATE}{}+{:08x}+{}", self.name, self.verifier().id, base64(&key))
    }

    /// Gives the name under which the key signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the key that verifies the log's own signatures (type 0x01).
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        self.verifies_as(SignatureType::Ed25519, &self.signing)
    }

    /// Gives the key that verifies the log's timestamped freshness cosignatures (type 0x04).
    #[must_use]
    pub fn freshness_verifier(&self) -> VerifierKey {
        self.verifies_as(SignatureType::Cosignature, &self.derived(FRESHNESS))
    }

    /// Gives the key that verifies what the key cosigns as a witness (type 0x04).
    #[must_use]
    pub fn cosigner_verifier(&self) -> VerifierKey {
        self.verifies_as(SignatureType::Cosignature, &self.signing)
    }

    /// Gives what verifies the log's checkpoints, of either type.
    fn verifiers(&self) -> [VerifierKey; 2] {
        [self.verifier(), self.freshness_verifier()]
    }

    fn verifies_as(&self, kind: SignatureType, key: &SigningKey) -> VerifierKey {
        VerifierKey::new(self.name.clone(), kind, key.verifying_key())
    }

    /// Signs a note's text as the log (type 0x01); gives the signature line with its newline.
    #[must_use]
    pub fn signature_line(&self, text: &str) -> String {
        sign(&self.name, &self.signing, text)
    }

    /// Cosigns a checkpoint's text as a witness (type 0x04), at a time in seconds since 1970; gives the signature
    /// line with its newline.
    #[must_use]
    pub fn cosignature_line(&self, text: &str, at: u64) -> String {
        self.cosign(&self.signing, text, at)
    }

    /// Cosigns a checkpoint's text as the log's freshness key (type 0x04), at a time in seconds since 1970; gives
    /// the signature line with its newline.
    #[must_use]
    pub fn freshness_line(&self, text: &str, at: u64) -> String {
        self.cosign(&self.derived(FRESHNESS), text, at)
    }

    fn cosign(&self, key: &SigningKey, text: &str, at: u64) -> String {
        let signature = key.sign(cosigned(text, at).as_bytes());
        let id = id(&self.name, SignatureType::Cosignature, &key.verifying_key());
        line(&self.name, id, &[&at.to_be_bytes(), &signature.to_bytes()])
    }

    /// Derives the key for another purpose: no signature of one purpose is then one of another.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn derived(&self, purpose: &str) -> SigningKey {
        let mac = Hmac::<Sha256>::new_from_slice(self.signing.as_bytes())
            .expect("HMAC takes keys of any length")
            .chain_update(format!("propusk log {purpose} v1"));
        SigningKey::from_bytes(&mac.finalize().into_bytes().into())
    }

    /// Gives the name and key under which texts for `purpose` are signed.
    fn for_purpose(&self, purpose: &str) -> Result<Self, KeyError> {
        if !is_name(purpose) || purpose == FRESHNESS {
            return Err(KeyError::Name);
        }
        let name = format!("{}/{purpose}", self.name);
        Ok(Self { name, signing: self.derived(purpose) })
    }
}

fn sign(name: &str, key: &SigningKey, text: &str) -> String {
    let id = id(name, SignatureType::Ed25519, &key.verifying_key());
    line(name, id, &[&key.sign(text.as_bytes()).to_bytes()])
}

/// Holds all keys of a key file, one or more of one name, in the order of its lines: the newest last. All of them
/// sign, so that those who know the old key and those who know the new one can both verify while keys are rotated.
///
/// Of a key that was retired only what verifies is kept: it signs nothing, and what it signed can still be verified.
#[derive(Debug, Clone)]
pub struct LogKeys {
    keys: Vec<LogKey>,
    retired: Vec<VerifierKey>,
}

impl LogKeys {
    /// Puts keys together, the newest last.
    ///
    /// # Errors
    /// [`KeyError`] when there is none, when their names differ, or when one is there twice.
    pub fn new(keys: Vec<LogKey>) -> Result<Self, KeyError> {
        Self::with_retired(keys, Vec::new())
    }

    fn with_retired(keys: Vec<LogKey>, retired: Vec<VerifierKey>) -> Result<Self, KeyError> {
        let Some(first) = keys.first() else { return Err(KeyError::None) };
        let names = keys.iter().map(LogKey::name).chain(retired.iter().map(VerifierKey::name));
        if let Some(other) = names.into_iter().find(|name| *name != first.name) {
            let (one, other) = (first.name.clone(), other.to_owned());
            return Err(KeyError::Names { one, other });
        }
        let all = Self { keys, retired };
        let verifiers = all.verifiers();
        for (place, key) in verifiers.iter().enumerate() {
            if verifiers[..place].contains(key) {
                return Err(KeyError::Repeated { name: key.name.clone() });
            }
        }
        Ok(all)
    }

    /// Parses a key file: a line `PRIVATE+KEY+<name>+<id>+<base64>` for each key that signs, and the plain verifier
    /// keys (types 0x01 and 0x04) of those that are retired; blank lines are skipped.
    ///
    /// # Errors
    /// [`KeyError`] names the line and never its content.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (mut keys, mut retired) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.starts_with(PRIVATE) {
                keys.push(LogKey::parse(line, number)?);
            } else if !line.is_empty() {
                // What is wrong with it is not told: it may be a private line that was cut or broken in two.
                let key = VerifierKey::parse(line);
                retired.push(key.map_err(|_| KeyError::Private { line: number })?);
            }
        }
        Self::with_retired(keys, retired)
    }

    /// Adds a newer key, which signs beside the others.
    ///
    /// # Errors
    /// [`KeyError`] when it is of another name, or there already.
    pub fn with_newer(mut self, key: LogKey) -> Result<Self, KeyError> {
        self.keys.push(key);
        Self::with_retired(self.keys, self.retired)
    }

    /// Lets the newest key sign alone; of the others only what verifies is left.
    #[must_use]
    pub fn retire_older(mut self) -> Self {
        let newest = self.keys.len().saturating_sub(1);
        self.retired.extend(self.keys.drain(..newest).flat_map(|key| key.verifiers()));
        self
    }

    /// Gives the key file's text: the secrets themselves, after what is left of retired keys.
    #[must_use]
    pub fn private_text(&self) -> String {
        let retired = self.retired.iter().map(|key| format!("{key}\n"));
        retired.chain(self.keys.iter().map(|key| key.private_line() + "\n")).collect()
    }

    /// Gives the log's name: the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        self.keys.first().map_or("", LogKey::name)
    }

    /// Gives the keys that sign, the newest last.
    #[must_use]
    pub fn keys(&self) -> &[LogKey] {
        &self.keys
    }

    /// Gives what verifies the signatures of keys that sign no more.
    #[must_use]
    pub fn retired(&self) -> &[VerifierKey] {
        &self.retired
    }

    /// Gives what verifies the log's checkpoints, new and old: for each key that of its signatures (type 0x01) and
    /// that of its freshness cosignatures (type 0x04), and then those of retired keys.
    #[must_use]
    pub fn verifiers(&self) -> Vec<VerifierKey> {
        let signing = self.keys.iter().flat_map(LogKey::verifiers);
        signing.chain(self.retired.iter().cloned()).collect()
    }

    /// Signs a checkpoint at a time in seconds since 1970: gives the whole note, with every key's signature and then
    /// every key's freshness cosignature. The same arguments give the same note.
    ///
    /// # Errors
    /// [`NoteError`] when the checkpoint's origin is not the keys' name, or the time is beyond 2^63 - 1.
    pub fn sign_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        unix_seconds: u64,
    ) -> Result<String, NoteError> {
        if checkpoint.origin != self.name() {
            return Err(NoteError::Origin { origin: checkpoint.origin.clone() });
        }
        if i64::try_from(unix_seconds).is_err() {
            return Err(NoteError::Form("its time is out of range"));
        }
        let text = checkpoint.to_string();
        let signatures = self.keys.iter().map(|key| key.signature_line(&text));
        let fresh = self.keys.iter().map(|key| key.freshness_line(&text, unix_seconds));
        join(&text, &signatures.chain(fresh).collect::<String>())
    }

    /// Signs another text, such as an export's manifest, for a purpose such as `export`: gives the note, signed (type
    /// 0x01) under `<name>/<purpose>` by keys derived for that purpose alone, so that no text whatever becomes a
    /// checkpoint.
    ///
    /// # Errors
    /// [`NoteError::Form`] when the text does not end in a newline or has control characters, or no key can have the
    /// name.
    pub fn sign_text(&self, purpose: &str, text: &str) -> Result<String, NoteError> {
        let keys = self.for_purpose(purpose).map_err(|_| NoteError::Form("its purpose"))?;
        let lines: String = keys.iter().map(|key| key.signature_line(text)).collect();
        join(text, &lines)
    }

    /// Gives what verifies the texts of a purpose, for each key that signs.
    ///
    /// # Errors
    /// [`KeyError::Name`] when no key can have the name.
    pub fn purpose_verifiers(&self, purpose: &str) -> Result<Vec<VerifierKey>, KeyError> {
        Ok(self.for_purpose(purpose)?.iter().map(LogKey::verifier).collect())
    }

    fn for_purpose(&self, purpose: &str) -> Result<Vec<LogKey>, KeyError> {
        self.keys.iter().map(|key| key.for_purpose(purpose)).collect()
    }
}

impl FromStr for LogKeys {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    /// A pair of the test of Go's golang.org/x/mod/sumdb/note.
    const PRIVATE_PETER: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_verifier_key_of_the_standard_is_read_and_written() {
        let key = VerifierKey::parse(VKEY).unwrap();
        assert_eq!(key.name(), "example.com/foo");
        assert_eq!(key.id(), 0x530d_903a);
        assert_eq!(key.kind(), SignatureType::Ed25519);
        assert_eq!(key.to_string(), VKEY);
    }

    #[test]
    fn the_private_key_of_another_implementation_is_read_and_written() {
        let keys = LogKeys::parse(PRIVATE_PETER).unwrap();
        assert_eq!(keys.name(), "PeterNeumann");
        assert_eq!(keys.keys()[0].verifier().to_string(), PETER);
        assert_eq!(keys.private_text(), format!("{PRIVATE_PETER}\n"));
    }

    #[test]
    fn what_is_wrong_with_a_verifier_key_is_said() {
        for (vkey, error) in [
            ("", KeyError::Verifier),
            ("name", KeyError::Verifier),
            ("name+530d903a", KeyError::Verifier),
            ("+530d903a+Aeky", KeyError::Name),
            ("two words+530d903a+Aeky", KeyError::Name),
            (&VKEY.replace("530d903a", "530D903A"), KeyError::Verifier),
            (&VKEY.replace("+530d", "+0x53"), KeyError::Verifier),
            (&VKEY.replace("U2k", "U2l="), KeyError::Verifier),
            (
                &VKEY.replace("530d903a", "530d903b"),
                KeyError::Id { name: "example.com/foo".into() },
            ),
            (&VKEY.replace("com/foo", "com/bar"), KeyError::Id { name: "example.com/bar".into() }),
            (
                &VKEY.replace("+Aek", "+Bek"),
                KeyError::Type { name: "example.com/foo".into(), byte: 5 },
            ),
            (
                "w+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                KeyError::Point { name: "w".into() },
            ),
            ("w+00000000+BgAA", KeyError::Type { name: "w".into(), byte: 6 }),
        ] {
            assert_eq!(VerifierKey::parse(vkey), Err(error), "{vkey}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_said_without_its_content() {
        let bob = LogKey::generate("bob", [1; 32]).unwrap().private_line();
        let two = format!("{PRIVATE_PETER}\n\n{PRIVATE_PETER}\n");
        let old = LogKey::generate("PeterNeumann", [1; 32]).unwrap().verifier();
        for (text, told) in [
            ("", "the key file has no key that signs"),
            (" \n\n", "the key file has no key that signs"),
            (PETER, "the key file has no key that signs"),
            // A private line that lost its beginning, or was broken in two, is no verifier key.
            (&PRIVATE_PETER[12..], "line 1 of the key file is not PRIVATE+KEY+"),
            ("secret+c74f20a3+BiEK", "line 1 of the key file is not PRIVATE+KEY+"),
            (&PETER.replace("c74f", "c74e"), "line 1 of the key file is not PRIVATE+KEY+"),
            (
                &format!("{PRIVATE_PETER}\n{VKEY}"),
                "the key file has keys of PeterNeumann and of ex",
            ),
            (&format!("{PRIVATE_PETER}\n{PETER}"), "the key file has the same key of PeterN"),
            (
                &format!("{PRIVATE_PETER}\n{old}\n{old}"),
                "the key file has the same key of PeterNeumann twice",
            ),
            ("\nsecret", "line 2 of the key file is not PRIVATE+KEY+"),
            (&PRIVATE_PETER[..70], "line 1 of the key file is not PRIVATE+KEY+"),
            (&PRIVATE_PETER.replace("AYEK", "AYEL"), "the id of the key of PeterNeumann"),
            (&PRIVATE_PETER.replace("+AYEK", "+BIEK"), "the key of PeterNeumann is of type 0x04"),
            (
                &format!("{PRIVATE_PETER}\n{bob}"),
                "the key file has keys of PeterNeumann and of bob",
            ),
            (&two, "the key file has the same key of PeterNeumann twice"),
        ] {
            let error = LogKeys::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
            assert!(!error.contains("AYE") && !error.contains("secret"), "{error}");
        }
        assert_eq!(LogKey::generate("a b", [0; 32]).unwrap_err(), KeyError::Name);
    }

    #[test]
    fn a_retired_key_verifies_what_it_signed_and_signs_no_more() {
        let key = |seed| LogKey::generate("log.example", [seed; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "log.example".to_owned(), size: 0, root: [0; 32] };
        let first = LogKeys::new(vec![key(1)]).unwrap();
        let note = first.sign_checkpoint(&checkpoint, 5).unwrap();
        let mut keys = first.clone();
        for newer in 2..5 {
            keys = keys.with_newer(key(newer)).unwrap().retire_older();
            assert_eq!(keys.retired().len(), 2 * usize::from(newer - 1));
            let opened = super::super::open_checkpoint(&note, &keys.verifiers()).unwrap();
            let by: Vec<_> = opened.signatures.into_iter().map(|one| (one.key, one.at)).collect();
            assert_eq!(by, [(key(1).verifier(), None), (key(1).freshness_verifier(), Some(5))]);
            let alone = LogKeys::new(vec![key(newer)]).unwrap();
            let signed = keys.sign_checkpoint(&checkpoint, 6).unwrap();
            assert_eq!(signed, alone.sign_checkpoint(&checkpoint, 6).unwrap());
            assert_eq!(keys.sign_text("export", "text\n"), alone.sign_text("export", "text\n"));
            assert_eq!(keys.purpose_verifiers("export"), alone.purpose_verifiers("export"));
            assert_eq!(keys.verifiers()[0], key(newer).verifier());
            // The file says the same, whatever the order of its lines.
            let text = keys.private_text();
            assert_eq!(text.matches(PRIVATE).count(), 1);
            let again = LogKeys::parse(&text).unwrap();
            assert_eq!((again.private_text(), again.verifiers()), (text.clone(), keys.verifiers()));
            let backwards: Vec<&str> = text.lines().rev().collect();
            assert_eq!(LogKeys::parse(&backwards.join("\n\n")).unwrap().keys().len(), 1);
        }
        let back = keys.with_newer(key(1)).unwrap_err();
        assert_eq!(back, KeyError::Repeated { name: "log.example".to_owned() });
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        let keys = LogKeys::parse(PRIVATE_PETER).unwrap();
        let shown = format!("{keys:?}");
        assert!(shown.contains(PETER), "{shown}");
        assert!(!shown.contains("AYEKFALVF"), "{shown}");
        assert!(!shown.contains("129, 10, 20"), "{shown}");
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let keys = LogKeys::parse(PRIVATE_PETER).unwrap();
        let key = &keys.keys()[0];
        let mut all = keys.verifiers();
        all.push(key.cosigner_verifier());
        all.extend(keys.purpose_verifiers("export").unwrap());
        let names: Vec<(String, &str)> =
            all.iter().map(|key| (base64(key.public.as_bytes()), key.name())).collect();
        assert_eq!(names[3].1, "PeterNeumann/export");
        assert_eq!(names[0].0, names[2].0);
        assert_ne!(names[0].0, names[1].0);
        assert_ne!(names[0].0, names[3].0);
        assert_ne!(names[1].0, names[3].0);
        assert!(keys.purpose_verifiers("freshness").is_err());
    }

    proptest! {
        #[test]
        fn every_key_parses_to_itself(name in "[^\\s+\\p{Cc}]{1,20}", seed in any::<[u8; 32]>()) {
            let key = LogKey::generate(&name, seed).unwrap();
            for vkey in [key.verifier(), key.freshness_verifier(), key.cosigner_verifier()] {
                prop_assert_eq!(VerifierKey::parse(&vkey.to_string()), Ok(vkey));
            }
            let again = LogKeys::parse(&key.private_line()).unwrap();
            prop_assert_eq!(again.keys()[0].private_line(), key.private_line());
        }

        #[test]
        fn any_text_is_a_key_or_refused(text in "(?s).{0,120}", near in "(PRIVATE\\+KEY\\+)?[a-c+]{0,5}\\+[0-9a-f]{7,9}\\+[A-Za-f0-9+/=]{0,48}") {
            for text in [text, near] {
                let _ = LogKeys::parse(&text);
                if let Ok(key) = VerifierKey::parse(&text) {
                    prop_assert_eq!(key.to_string(), text);
                }
            }
        }
    }
}
