//! All integration tests, in one binary: one PostgreSQL serves them all.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod access;
mod bad_business;
mod bad_input;
mod casework;
mod http;
mod openapi;
mod outbox;
mod platform;
mod session;
mod support;
mod walk;
