//! What the integration tests share.

pub mod app;
pub mod cases;
pub mod db;
pub mod drive;
pub mod office;
pub mod walk;
