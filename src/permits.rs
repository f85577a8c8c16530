//! Permits that prove themselves: what is signed on a permit, with which keys, and how anyone verifies it.
//!
//! [`keys`] are the keys and what is published of them, [`statement`] is what a permit's QR says, [`status_list`] says of
//! all permits together how they stand. All of it is pure: bytes, days and instants come in, bytes go out. `openapi/permits.md` describes the bytes for strangers. Which permit there is and how it stands is
//! [`crate::domain::permit`]'s.

mod jws;
pub mod keys;
pub mod statement;
pub mod status_list;

pub use self::jws::Untrusted;
