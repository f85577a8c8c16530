//! HTTP: what a request must look like, who may send it, and how every answer is dressed.
//!
//! A handler is extract, call, view. It takes [`extract`]'s types and a [`crate::auth::access::Caller`] whose
//! type says who may call, and returns [`crate::error::Result`]; everything else (request ids, problems, 405,
//! HEAD, limits, headers, metrics) is done once, in [`gateway`]. Handlers stand in one module for each audience
//! and are registered in its `configure`, which is also what puts them into the document ([`openapi`]).
//! Nothing here names diesel.

pub mod admin;
pub mod applicant;
pub mod auditor;
pub mod callbacks;
pub mod charges;
pub mod command;
pub mod desk;
mod docs;
pub mod export;
pub mod extract;
pub mod form;
pub mod gateway;
mod json;
pub mod limits;
pub mod log;
pub mod lookups;
pub mod metrics;
pub mod officer;
pub mod openapi;
pub mod page;
pub mod papers;
pub mod payments;
pub mod permits;
pub mod problem;
pub mod public;
pub mod reading;
pub mod registers;
pub mod session;
pub mod shares;
pub mod templates;
pub mod views;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers every documented operation, in the order of the audiences.
pub fn configure(config: &mut ServiceConfig<'_>) {
    public::configure(config);
    // Before the look-ups: a list is not the number of a permit.
    permits::configure(config);
    shares::configure(config);
    lookups::configure(config);
    session::configure(config);
    applicant::configure(config);
    charges::configure(config);
    papers::configure(config);
    officer::configure(config);
    payments::configure(config);
    registers::configure(config);
    desk::configure(config);
    templates::configure(config);
    auditor::configure(config);
    admin::configure(config);
    log::configure(config);
    callbacks::configure(config);
}

/// Registers what stands outside of the document: the page that shows it.
pub fn configure_undocumented(config: &mut actix_web::web::ServiceConfig) {
    config.service(docs::show_docs_root).service(docs::show_docs);
}

/// Answers where no route is.
///
/// # Errors
/// Always [`crate::error::ErrorCode::NotFound`].
pub async fn answer_not_found() -> crate::error::Result<actix_web::HttpResponse> {
    Err(crate::error::Error::not_found())
}
