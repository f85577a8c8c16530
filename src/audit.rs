//! The public transparency log: what proves to anyone that nothing was changed, removed or back-dated.
//!
//! [`merkle`], [`tile`], [`edge`], [`checkpoint`], [`note`], [`proof`] and [`receipt`] are pure, as the domain is: no
//! async, I/O, clock or randomness; whoever calls them brings bytes, seeds and seconds. They follow RFC 6962 and the
//! C2SP formats (tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature, tlog-proof), so that tools nobody here
//! wrote verify the log. The leaf itself belongs to the domain: [`crate::domain::event::leaf`].
//!
//! [`sequencer`] numbers events and publishes, [`tree`] reads the tree from the database, [`inspect`] verifies the log
//! there, [`verify`] wherever it is served; [`witness`] is what witnesses decide and are asked.

pub mod checkpoint;
pub mod edge;
pub mod export;
pub mod file;
pub mod inspect;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod receipt;
pub mod sequencer;
pub mod source;
pub mod tile;
pub mod tree;
pub mod verify;
pub mod witness;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use merkle::Hash;

/// Writes bytes in the standard alphabet of base64, padded (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads what [`base64`] writes and nothing else: no other alphabet, no missing padding, no stray bits.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads the base64 form of one hash.
fn hash_from_base64(text: &str) -> Option<Hash> {
    from_base64(text)?.try_into().ok()
}

/// Reads a decimal number without sign and without additional leading zeros, at most 2^63 - 1.
fn decimal(text: &str) -> Option<u64> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = text.parse().ok().filter(|_| canonical)?;
    i64::try_from(number).is_ok().then_some(number)
}
