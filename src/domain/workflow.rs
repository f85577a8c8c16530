//! The lifecycle of an application: its [`definition`], read from TOML by [`source`], the [`proof`] that a
//! definition is sound, the [`engine`] that decides, and the [`diagram`] that shows it. The definitions that
//! ship with the house are [`embedded`].

pub mod command;
pub mod definition;
pub mod diagram;
pub mod embedded;
pub mod engine;
pub mod proof;
pub mod source;
