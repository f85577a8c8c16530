//! All integration tests, in one binary: one PostgreSQL serves them all.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod access;
mod auditor;
mod bad_business;
mod bad_input;
mod calendars;
mod casework;
mod checks;
mod corrections;
mod demo;
mod desk;
mod duties;
mod erasure;
mod http;
mod information;
mod layering;
mod log;
mod log_tools;
mod money;
mod openapi;
mod outbox;
mod outsider;
mod papers;
mod permits;
mod platform;
mod queues;
mod races;
mod readme;
mod reads;
mod registers;
mod replay;
mod restrictions;
mod rule_files;
mod schema;
mod search;
mod session;
mod shares;
mod support;
mod tampering;
mod templates;
mod term;
mod walk;
mod workflow;
mod workload;
