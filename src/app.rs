//! The service, built once from its configuration: for `serve`, for the demo and for tests.
//!
//! [`App`] is cheap to clone and is what handlers take as an argument; [`service`] makes the actix application
//! around it and [`serve`] listens.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};
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
use crate::api::permits::StatusListCache;
use crate::audit::note::LogKeys;
use crate::audit::sequencer::{Sequencer, SequencerOptions, SequencerParts, Status};
use crate::auth::passwords::{Cost, Passwords};
use crate::auth::tokens::Tokens;
use crate::casework::Casework;
use crate::clock::SharedClock;
use crate::config::{Config, MailTransport, Network};
use crate::documents::BlobStore;
use crate::domain::rules::Rulebook;
use crate::domain::workflow::embedded::FILES;
use crate::error::{Error, Result};
use crate::notify::{Composer, Mailer};
use crate::permits::keys::PermitKeys;
use crate::registers::Registers;
use crate::registers::reception::Reception;
use crate::storage::{Db, DbOptions};
use crate::webhook::Key;
use crate::worker::alerts::AlertHandler;
use crate::worker::documents::DocumentsHandler;
use crate::worker::leaving::LeavingHandler;
use crate::worker::mail::{MailHandler, StoredCases};
use crate::worker::money::MoneyHandler;
use crate::worker::papers::{PapersHandler, Press};
use crate::worker::redate::RedateHandler;
use crate::worker::registers::RegisterHandler;
use crate::worker::retention::Retention;
use crate::worker::statements::Statements;
use crate::worker::timer::TimerHandler;
use crate::worker::{Handlers, Wake, Worker, WorkerOptions};

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
    /// Where the provider's statements are put.
    pub statements_directory: Option<PathBuf>,
    /// The one door to applications.
    pub casework: Casework,
    /// The bytes of documents.
    pub blobs: BlobStore,
    /// Keys that sign the payment provider's callbacks.
    pub payment_webhook_secrets: Vec<Key>,
    /// The registers that answer by themselves.
    pub registers: Registers,
    /// Takes their answers in.
    pub reception: Reception,
    /// Wakes this process's worker.
    pub wake: Wake,
    /// The way that mail leaves by.
    pub mailer: Mailer,
    /// The keys that sign the public log.
    pub log_keys: LogKeys,
    /// The keys that sign permits.
    pub permit_keys: PermitKeys,
    /// The signed list of how all permits stand, while it is fresh.
    pub status_list: StatusListCache,
    /// Numbers the events and publishes the log, when it is this process's turn.
    pub sequencer: Sequencer,
    /// What the sequencer of this process is doing.
    pub log_status: Arc<Status>,
}

/// Budgets of requests.
pub struct Limits {
    /// Public look-ups by address.
    pub lookups: Limiter,
    /// Log-ins by address.
    pub logins: Limiter,
    /// Log-ins by account, from wherever.
    pub accounts: Limiter,
    /// Birth dates tried at one reference, from wherever.
    pub references: Limiter,
    /// Birth dates tried at one share code, from wherever.
    pub shares: Limiter,
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
        let rules = Arc::new(rules(config.workflows_directory.as_deref())?);
        let wake = Wake::default();
        let casework = Casework::new(
            db.clone(),
            rules,
            Arc::clone(&clock),
            TimeDelta::minutes(i64::from(config.claim_minutes)),
            Arc::new({
                let wake = wake.clone();
                move || wake.poke()
            }),
        );
        let registers = Registers::new(&config.registers, &config.public_url);
        let casework = casework
            .with_registers(registers.names())
            .with_payment_page(config.payment_page.clone());
        let reception = Reception::new(db.clone(), Arc::clone(&clock), casework.clone());
        let mut metrics = Metrics::default();
        registers.metrics().register(metrics.registry());
        let from = config.mail.from.clone();
        let mailer = match &config.mail.transport {
            MailTransport::Smtp(url) => Mailer::smtp(url.expose(), from)?,
            MailTransport::Directory(dir) => Mailer::directory(dir, from),
        };
        let logins = config.login_attempts_per_minute.get();
        let log_keys = LogKeys::parse(config.transparency.keys.expose())
            .map_err(|error| Error::internal("the log's keys are not usable", error))?;
        let log_status = Arc::new(Status::default());
        let sequencer = Sequencer::new(SequencerParts {
            url: config.database.url.expose().clone(),
            db: db.clone(),
            witnesses: config.transparency.witnesses.clone(),
            keys: log_keys.clone(),
            directory: config.transparency.directory.clone(),
            clock: Arc::clone(&clock),
            status: Arc::clone(&log_status),
            options: SequencerOptions::default(),
        });
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
                // A birth date has some twenty thousand values: at ten an hour, trying them takes months.
                references: Limiter::new("reference", 10, TimeDelta::hours(1)),
                shares: Limiter::new("share", 10, TimeDelta::hours(1)),
            },
            metrics,
            trusted_proxies: config.trusted_proxies.clone(),
            cors_origins: config.cors_origins.clone(),
            public_url: config.public_url.clone(),
            statements_directory: config.statements_directory.clone(),
            casework,
            blobs: BlobStore::open(&config.documents_directory)?,
            payment_webhook_secrets: config
                .payment_webhook_secrets
                .iter()
                .map(|secret| Key::new(secret.expose().clone()))
                .collect(),
            registers,
            reception,
            wake,
            mailer,
            log_keys,
            permit_keys: PermitKeys::parse(config.permit_keys.expose())
                .map_err(|error| Error::internal("the keys of permits are not usable", error))?,
            status_list: StatusListCache::default(),
            sequencer,
            log_status,
        })))
    }
}

/// Reads and proves the rules: the ones in the binary, or those of a directory laid out like `workflows/`.
///
/// # Errors
/// [`Error::Internal`] with everything that is wrong with them, a line each.
pub fn rules(directory: Option<&Path>) -> Result<Rulebook> {
    let files = match directory {
        None => FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
        Some(directory) => read_rules(directory)?,
    };
    Rulebook::parse(&files).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::bug(format!("the workflow definitions are not sound:\n{}", lines.join("\n")))
    })
}

fn read_rules(directory: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for folder in [directory.to_path_buf(), directory.join("calendars")] {
        let unreadable =
            |error| Error::internal(format!("cannot read {}", folder.display()), error);
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    Error::internal(format!("cannot read {}", path.display()), error)
                })?;
                files.push((path.to_string_lossy().into_owned(), text));
            }
        }
    }
    files.sort();
    Ok(files)
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

/// Makes the worker that runs the service's jobs.
///
/// # Errors
/// [`Error::Internal`] when the texts of messages in the binary are broken.
pub fn worker(app: &App) -> Result<Worker> {
    let rules = app.casework.rules();
    let mail = MailHandler::new(
        app.db.clone(),
        Arc::clone(&app.clock),
        Arc::new(StoredCases::new(app.db.clone(), rules)),
        Composer::new(&app.public_url)?,
        app.mailer.clone(),
    );
    let alert = AlertHandler::new(
        app.db.clone(),
        Arc::clone(&app.clock),
        Arc::new(StoredCases::new(app.db.clone(), app.casework.rules())),
        Composer::new(&app.public_url)?,
        app.mailer.clone(),
    );
    let registers = RegisterHandler::new(
        app.db.clone(),
        Arc::clone(&app.clock),
        app.casework.rules(),
        app.registers.clone(),
        app.reception.clone(),
    );
    let timer = TimerHandler::new(Arc::new(app.casework.clone()));
    let redate = RedateHandler::new(app.db.clone(), Arc::clone(&app.clock), app.casework.clone());
    let money = MoneyHandler::new(app.casework.clone());
    let leaving = LeavingHandler::new(app.casework.clone());
    let papers = PapersHandler::new(Press {
        db: app.db.clone(),
        clock: Arc::clone(&app.clock),
        casework: app.casework.clone(),
        blobs: app.blobs.clone(),
        keys: app.permit_keys.clone(),
        public_url: app.public_url.clone(),
    })?;
    let documents = DocumentsHandler::new(app.db.clone(), app.blobs.clone());
    let retention = Retention::new(app.db.clone(), Arc::clone(&app.clock), app.casework.clone());
    Ok(Worker::new(
        app.db.clone(),
        Arc::clone(&app.clock),
        Handlers {
            timer: Arc::new(timer),
            redate: Arc::new(redate),
            alert: Arc::new(alert),
            mail: Arc::new(mail),
            registers: Arc::new(registers),
            money: Arc::new(money),
            leaving: Arc::new(leaving),
            papers: Arc::new(papers),
            documents: Arc::new(documents),
        },
        app.wake.clone(),
        WorkerOptions::default(),
    )
    .with_retention(retention)
    .with_statements(app.statements_directory.clone().map(|folder| {
        let (db, clock) = (app.db.clone(), Arc::clone(&app.clock));
        Statements::new(db, clock, app.casework.clone(), folder)
    })))
}

/// Serves and works until `until` is ready or the process is told to stop; then finishes what runs.
///
/// # Errors
/// [`Error::Internal`] when the listener cannot be used.
pub async fn run(
    app: App,
    listener: TcpListener,
    workers: usize,
    until: impl Future<Output = ()>,
) -> Result<()> {
    let worker = worker(&app)?;
    let server = serve(app.clone(), listener, workers)?;
    let handle = server.handle();
    let (stop, stopped) = tokio::sync::watch::channel(());
    let work = actix_web::rt::spawn(background(app, worker, stopped));
    let mut server = actix_web::rt::spawn(server);
    let served = tokio::select! {
        served = &mut server => served,
        () = until => {
            handle.stop(true).await;
            server.await
        }
    };
    drop(stop);
    let worked = work.await;
    served
        .map_err(|error| Error::internal("the server was interrupted", error))?
        .map_err(|error| Error::internal("the server failed", error))?;
    worked.map_err(|error| Error::internal("the worker was interrupted", error))
}

/// Runs jobs and the log's sequencer until the other end of `stop` is dropped; then ends what runs.
pub async fn background(app: App, worker: Worker, stop: tokio::sync::watch::Receiver<()>) {
    let stopped = async |mut stop: tokio::sync::watch::Receiver<()>| {
        while stop.changed().await.is_ok() {}
    };
    tokio::join!(worker.run(stopped(stop.clone())), app.sequencer.run(stopped(stop)));
}

/// Gives a future that is ready when the process is told to stop, by Ctrl-C or by a service manager.
///
/// # Errors
/// [`Error::Internal`] when signals cannot be listened to.
pub fn told_to_stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Error::internal("cannot listen to signals", error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
