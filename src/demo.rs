//! The embedded default: a private PostgreSQL and believable data.
//!
//! [`postgres`] runs a server of our own from the machine's binaries; the tests use it too.

pub mod postgres;
