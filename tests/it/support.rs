//! What the integration tests share.

pub mod app;
pub mod cases;
pub mod db;
pub mod office;
pub mod walk;
