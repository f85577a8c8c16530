//! The service, built once from its configuration: for `serve`, for the demo and for tests.
//!
//! [`App`] is cheap to clone and is what handlers take as an argument; [`service`] makes the actix application
//! around it and [`serve`] listens.

use std::net::TcpListener;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, HttpRequest, HttpServer, web};
use chrono::TimeDelta;
use utoipa_actix_web::AppExt as _;

use crate::api;
use crate::api::limits::Limiter;
use crate::api::metrics::Metrics;
use crate::auth::passwords::{Cost, Passwords};
use crate::auth::tokens::Tokens;
use crate::clock::SharedClock;
use crate::config::{Config, Network};
use crate::error::{Error, Result};
use crate::storage::{Db, DbOptions};

/// Everything that requests share; see [`Parts`] for what is in it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// Time, randomness and ids.
    pub clock: SharedClock,
    /// The database.
    pub db: Db,
    /// Access tokens and seals.
    pub tokens: Tokens,
    /// Password hashing.
    pub passwords: Passwords,
    /// Budgets of requests.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Origins whose pages may call us.
    pub cors_origins: Vec<String>,
    /// How the world reaches us, without a slash at the end.
    pub public_url: String,
}

/// Budgets of requests.
pub struct Limits {
    /// Public look-ups by address.
    pub lookups: Limiter,
    /// Log-ins by address.
    pub logins: Limiter,
    /// Log-ins by account, from wherever.
    pub accounts: Limiter,
}

impl App {
    /// Builds the service; connects lazily.
    ///
    /// # Errors
    /// [`Error::Internal`] when a setting does not make a part.
    pub fn new(config: &Config, clock: SharedClock) -> Result<Self> {
        Self::with_password_cost(config, clock, Cost::RECOMMENDED)
    }

    /// As [`App::new`], with password hashes of another cost.
    ///
    /// # Errors
    /// [`Error::Internal`] when a setting does not make a part.
    pub fn with_password_cost(config: &Config, clock: SharedClock, cost: Cost) -> Result<Self> {
        let db = Db::new(&DbOptions {
            url: config.database.url.expose().clone(),
            pool_size: config.database.pool_size,
            wait: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
        })?;
        let minute = TimeDelta::minutes(1);
        let logins = config.login_attempts_per_minute.get();
        Ok(Self(Arc::new(Parts {
            clock,
            db,
            tokens: Tokens::new(config.token_key.expose(), &config.public_url)?,
            passwords: Passwords::new(cost, config.http_workers)?,
            limits: Limits {
                lookups: Limiter::new("lookups", config.public_lookups_per_minute.get(), minute),
                logins: Limiter::new("logins", logins, minute),
                // Guessing at one account from many addresses gets no further than from one.
                accounts: Limiter::new("account", logins, minute),
            },
            metrics: Metrics::default(),
            trusted_proxies: config.trusted_proxies.clone(),
            cors_origins: config.cors_origins.clone(),
            public_url: config.public_url.clone(),
        })))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRequest for App {
    type Error = Error;
    type Future = std::future::Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<Self>().cloned();
        std::future::ready(app.ok_or_else(|| Error::bug("the service was built without its App")))
    }
}

/// Makes the actix application: routes, the gateway around them, and a 404 for everything else.
pub fn service(
    app: App,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    actix_web::App::new()
        .app_data(app)
        .into_utoipa_app()
        .configure(api::configure)
        .into_app()
        .configure(api::configure_undocumented)
        .default_service(web::to(api::answer_not_found))
        .wrap(from_fn(api::gateway::gateway))
}

/// Serves on `listener` with `workers` threads until the process is told to stop; then finishes what runs.
///
/// # Errors
/// [`Error::Internal`] when the listener cannot be used.
pub fn serve(app: App, listener: TcpListener, workers: usize) -> Result<Server> {
    let server = HttpServer::new(move || service(app.clone()))
        .workers(workers)
        .client_request_timeout(Duration::from_secs(15))
        .shutdown_timeout(20)
        .listen(listener)
        .map_err(|error| Error::internal("cannot listen", error))?;
    Ok(server.run())
}
