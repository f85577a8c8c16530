//! Documents that applicants hand in: which bytes are taken, and where they lie.
//!
//! [`check`] is pure and cheap: it looks at headers and marks, it does not decode and is no virus scan. [`check_photo`]
//! decodes the one document that is printed.
//! [`BlobStore`] keeps bytes under their SHA-256, so that what was handed in cannot change unnoticed. Who may
//! hand in or read a document is decided by `api`; that an application has one is an event of `casework`.

mod content;
mod photo;
mod store;

pub use content::{MAX_BYTES, MAX_PIXELS, MediaType, check};
pub use photo::{PHOTO, check_photo, print_copy};
pub use store::{BlobStore, SetAside};
