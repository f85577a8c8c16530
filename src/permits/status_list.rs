//! How all permits together stand: a signed list with two bits for each, after draft-ietf-oauth-status-list.
//!
//! A permit's place is the serial number in its number, so none is ever given twice. Places that no permit has say that it
//! is not valid: what was never issued proves nothing.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::jws::{self, Untrusted};
use super::keys::{Jwk, PermitKeys, PublishedKeys};
use crate::domain::permit::PermitStatus;

/// The type of a list, in the header.
pub const TYPE: &str = "statuslist+jwt";

const WHAT: &str = "status list";

/// Every place that a permit's number can name: a serial number has nine digits.
pub const PLACES: usize = 1_000_000_000;

/// How long a list may be used before a new one is asked for, in seconds.
pub const TTL: i64 = 60;

/// How long a list is valid at all, in seconds: a day, so that who is off line for a shift can still verify.
pub const LIFETIME: i64 = 86_400;

/// How a permit stands, as its two bits say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It may be worked under.
    Valid = 0,
    /// Over for good, or never issued.
    Invalid = 1,
    /// Stopped for a time.
    Suspended = 2,
}

impl From<PermitStatus> for Status {
    fn from(status: PermitStatus) -> Self {
        match status {
            PermitStatus::InForce => Self::Valid,
            PermitStatus::Suspended => Self::Suspended,
            PermitStatus::Lapsed
            | PermitStatus::Expired
            | PermitStatus::Annulled
            | PermitStatus::Superseded => Self::Invalid,
        }
    }
}

/// Two bits for each place, the lowest place in the lowest bits of the first byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Four places that say [`Status::Invalid`].
    const NOBODY: u8 = 0b0101_0101;

    /// Writes how the permit at a place stands; the list grows as far as need be. Places beyond [`PLACES`] name no permit
    /// and are left out.
    pub fn set(&mut self, place: u64, status: Status) {
        let Some((byte, shift)) = position(place) else { return };
        if self.0.len() <= byte {
            self.0.resize(byte + 1, Self::NOBODY);
        }
        self.0[byte] = self.0[byte] & !(0b11 << shift) | (status as u8) << shift;
    }

    /// Gives what a place says: `None` beyond the end, or for a value that says nothing here.
    #[must_use]
    pub fn get(&self, place: u64) -> Option<Status> {
        let (byte, shift) = position(place)?;
        match self.0.get(byte)? >> shift & 0b11 {
            0 => Some(Status::Valid),
            1 => Some(Status::Invalid),
            2 => Some(Status::Suspended),
            _ => None,
        }
    }

    /// Gives how many bytes it has.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.len()
    }
}

fn position(place: u64) -> Option<(usize, u8)> {
    let place = usize::try_from(place).ok().filter(|place| *place < PLACES)?;
    Some((place / 4, u8::try_from(place % 4).ok()? * 2))
}

/// What a list says, in the order of the bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    iat: i64,
    exp: i64,
    ttl: i64,
    status_list: Packed,
}

#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    bits: u8,
    lst: String,
}

/// Signs the list that is found at `uri`, as of `now`.
#[must_use]
pub fn sign(bits: &Bits, uri: &str, now: DateTime<Utc>, keys: &PermitKeys) -> String {
    let claims = Claims {
        sub: uri.to_owned(),
        iat: now.timestamp(),
        exp: now.timestamp() + LIFETIME,
        ttl: TTL,
        status_list: Packed { bits: 2, lst: pack(&bits.0) },
    };
    // Serialising strings and numbers cannot fail; an empty text would prove nothing.
    keys.sign(TYPE, &serde_json::to_vec(&claims).unwrap_or_default())
}

fn pack(bytes: &[u8]) -> String {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    // Writing into a vector does not fail.
    let packed = packer.write_all(bytes).and_then(|()| packer.finish());
    URL_SAFE_NO_PAD.encode(packed.unwrap_or_default())
}

/// Unpacks at most `most` bytes.
fn unpack(text: &str, most: usize) -> Option<Vec<u8>> {
    let packed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(&*packed).take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= most).then_some(bytes)
}

/// A list that the office's key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusList<'k> {
    /// Where it is found.
    pub uri: String,
    /// As of when, in seconds of the epoch.
    pub at: i64,
    /// The key that signed it.
    pub key: &'k Jwk,
    /// What it says.
    pub bits: Bits,
}

/// Says why a list says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not to be trusted at all.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Too old to say how permits stand.
    #[error("it is of {0} and says nothing after {1}; fetch it anew")]
    Old(DateTime<Utc>, DateTime<Utc>),
    /// From the future.
    #[error("it is of {0}, which is still to come; look at this machine's clock")]
    NotYet(DateTime<Utc>),
}

/// Verifies a list at `now`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn open<'k>(
    text: &str,
    keys: &'k PublishedKeys,
    now: DateTime<Utc>,
) -> Result<StatusList<'k>, Unusable> {
    let (claims, key): (Claims, _) = jws::open(text, (TYPE, WHAT), keys, now.timestamp())?;
    if key.retired.is_some_and(|since| since < claims.iat) {
        return Err(Untrusted::KeyRetired(key.kid.clone()).into());
    }
    let instant = |at| DateTime::from_timestamp(at, 0).unwrap_or_default();
    // The machine that signed may be a minute ahead.
    if now.timestamp() + 60 < claims.iat {
        return Err(Unusable::NotYet(instant(claims.iat)));
    }
    if claims.exp <= now.timestamp() {
        return Err(Unusable::Old(instant(claims.iat), instant(claims.exp)));
    }
    let content = || Untrusted::Content(key.kid.clone(), WHAT);
    let bytes = Some(claims.status_list).filter(|list| list.bits == 2);
    let bytes = bytes.and_then(|list| unpack(&list.lst, PLACES / 4)).ok_or_else(content)?;
    Ok(StatusList { uri: claims.sub, at: claims.iat, key, bits: Bits(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "https://permits.example.org/v1/permits/status-list";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn keys(seed: u8) -> PermitKeys {
        PermitKeys::generate([seed; 32], at(-1000), None)
    }

    #[test]
    fn the_draft_s_own_example_is_read_and_written() {
        // draft-ietf-oauth-status-list-21, section 4.1 and 4.2: 1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3.
        let bits = Bits(unpack("eNo76fITAAPfAgc", 3).unwrap());
        assert_eq!(bits.0, [0xc9, 0x44, 0xf9]);
        let said: Vec<Option<u8>> = (0..12).map(|one| bits.get(one).map(|one| one as u8)).collect();
        let (a, b, c, d) = (Some(0), Some(1), Some(2), None);
        assert_eq!(said, [b, c, a, d, a, b, a, b, b, c, d, d]);
        assert_eq!(unpack(&pack(&bits.0), 3).unwrap(), bits.0);
    }

    #[test]
    fn a_place_says_what_was_written_last_and_every_other_that_nobody_has_it() {
        let mut bits = Bits::default();
        bits.set(5, Status::Suspended);
        bits.set(2, Status::Valid);
        bits.set(5, Status::Valid);
        bits.set(PLACES as u64, Status::Valid);
        let said: Vec<Option<Status>> = (0..9).map(|place| bits.get(place)).collect();
        let (yes, no) = (Some(Status::Valid), Some(Status::Invalid));
        assert_eq!(said, [no, no, yes, no, no, yes, no, no, None]);
        assert_eq!(bits.size(), 2);
    }

    #[test]
    fn a_list_is_trusted_for_its_time_and_from_the_office_alone() {
        let mut bits = Bits::default();
        bits.set(1, Status::Valid);
        let text = sign(&bits, URI, at(0), &keys(1));
        let published = keys(1).published(at(0));
        let list = open(&text, &published, at(10)).unwrap();
        assert_eq!((list.uri.as_str(), list.at, list.bits), (URI, at(0).timestamp(), bits.clone()));
        assert!(matches!(open(&text, &published, at(-120)), Err(Unusable::NotYet(_))));
        assert!(matches!(open(&text, &published, at(LIFETIME)), Err(Unusable::Old(..))));
        let forged = sign(&bits, URI, at(0), &keys(2));
        let kid = keys(2).signer().kid.clone();
        let unknown = Unusable::Untrusted(Untrusted::UnknownKey(kid));
        assert_eq!(open(&forged, &published, at(10)), Err(unknown));
        let turned = keys(1).with_next([2; 32], at(-500)).unwrap().promote(at(-100), at(9_999_999));
        let retired = open(&text, &turned.published(at(0)), at(10)).unwrap_err();
        assert!(matches!(retired, Unusable::Untrusted(Untrusted::KeyRetired(_))), "{retired}");
    }

    #[test]
    fn a_list_that_would_fill_the_memory_is_not_unpacked() {
        let packed = pack(&[0; 1000]);
        assert!(unpack(&packed, 1000).is_some() && unpack(&packed, 999).is_none());
    }
}
