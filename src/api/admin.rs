//! Operations for administrators: accounts, units and the rules in use.
//!
//! Each handler is registered here with `config.service(handler)`, which also documents it.

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    let _ = config;
}
