//! The lifecycle of an application: its [`definition`], the [`proof`] that a definition is sound, the
//! [`engine`] that decides, and the [`diagram`] that shows it.

pub mod command;
pub mod definition;
pub mod diagram;
pub mod engine;
pub mod proof;
