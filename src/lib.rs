//! Propusk: takes a permit application from submission through checks and fee to an issued permit.
//!
//! The map of the house, and who may import whom (`tests/it/layering.rs` holds it):
//!
//! ```text
//! main, cli → app → everything it builds
//! api → casework → domain ← imported by all, imports nobody
//! api → storage, audit, auth, documents        worker → casework, storage, notify, documents
//! audit → storage, domain                      config → audit, permits, registers, for the parsers of their keys
//! casework → storage, domain                   storage → domain
//! registers → casework, storage, domain        worker, api → registers
//! auth → storage, domain                       api → app, for the `App` that handlers are given
//! witness → audit                              register_sim, provider_sim → registers, for what goes over the wire
//! permits → domain                             api → permits
//! papers → domain, notify, qr                  worker → papers, permits
//! webhook ← whoever signs messages or takes signed ones
//! qr ← whoever shows a QR code
//! ```
//!
//! All but `domain` may name `error` and `clock`. `domain` is pure: no async, no I/O, no clock, no randomness, no
//! environment; so are the formats and proofs in `audit`. `storage` alone names diesel and opens connections, but for
//! those with which `demo` makes the databases themselves. An application comes to be and changes only through
//! [`casework`].

pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
pub mod casework;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod documents;
pub mod domain;
pub mod error;
pub mod notify;
pub mod papers;
pub mod permits;
pub mod provider_sim;
pub mod qr;
pub mod register_sim;
pub mod registers;
pub mod storage;
pub mod telemetry;
pub mod webhook;
pub mod witness;
pub mod worker;
