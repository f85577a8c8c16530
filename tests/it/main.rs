//! All integration tests, in one binary: one PostgreSQL serves them all.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod casework;
mod layering;
mod outbox;
mod platform;
mod queues;
mod races;
mod replay;
mod schema;
mod support;
mod workflow;
