//! What the integration tests share.

pub mod app;
pub mod db;
pub mod drive;
pub mod office;
