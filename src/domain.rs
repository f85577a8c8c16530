//! The rules of a permit office as pure functions over plain values.
//!
//! Nothing here knows async, diesel, actix, the wall clock, randomness or the environment: time, ids and
//! numbers are arguments. Start reading at [`workflow::engine`].

pub mod actor;
pub mod after_life;
pub mod application;
pub mod calendar;
pub mod checks;
pub mod clock;
pub mod duty;
pub mod event;
pub mod fee;
pub mod form;
pub mod ground;
pub mod identity;
pub mod lookup;
pub mod paper;
pub mod permit;
pub mod queue;
pub mod reference;
pub mod rules;
pub mod share;
pub mod workflow;
