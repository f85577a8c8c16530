//! The embedded default: a private PostgreSQL and believable data, in one directory.
//!
//! [`postgres`] runs a server of our own from the machine's binaries; the tests use it too. [`people`] are the
//! offices and accounts, [`seed`] makes the applications through casework, `walk` drives one through HTTP.
//!
//! The data is made in a database of another name, which gets its own when all of it is there: a demo that was
//! killed while it was being filled begins anew, and one that was filled is never filled again.

pub mod http;
pub mod people;
pub mod postgres;
pub mod secrets;
pub mod seed;
mod walk;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::postgres::{PostgresOptions, PrivatePostgres};
use self::secrets::Secrets;
use crate::app::{self, App};
use crate::auth;
use crate::clock::{Clock as _, FixedClock, SharedClock, SystemClock};
use crate::config::{Config, DemoConfig};
use crate::error::{Error, Result};
use crate::provider_sim;
use crate::register_sim::{self, Running, Simulator};
use crate::storage::migrate;
use crate::telemetry;
use crate::webhook::Key;

/// The database, once it is filled.
const DATABASE: &str = "propusk";
/// The database while it is being filled.
const UNFINISHED: &str = "propusk_unfinished";

/// How the demo is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port at 127.0.0.1; 0 takes any.
    pub port: u16,
    /// Where everything lies.
    pub data: PathBuf,
    /// The track of an application to walk through its life; without, the demo serves until it is told to stop.
    pub walk: Option<String>,
    /// Where PostgreSQL's programs are; searched for when not given.
    pub postgres_bin: Option<PathBuf>,
}

/// Runs the demo until the process is told to stop, or until the walk is over.
///
/// # Errors
/// [`Error::Internal`] saying what to do, or where the walk met what it did not expect.
pub async fn run(options: &Options) -> Result<()> {
    let began = Instant::now();
    let listener = listen(options)?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::internal("cannot tell the address we listen on", error))?;
    let mut server = PostgresOptions::durable(&options.data);
    server.bin_dir.clone_from(&options.postgres_bin);
    let server = PrivatePostgres::start(&server, &|step| say(began, step)).await?;
    let secrets = Secrets::keep(&options.data, &SystemClock)?;
    let config = |url: String| settings(options, address.port(), &secrets, url);
    let outcome = open(options, &server, &secrets, &config, listener, began).await;
    say(began, "stopping PostgreSQL");
    let stopped = server.stop().await;
    outcome.and(stopped)
}

/// Fills the database if need be, brings it up to date, serves.
async fn open(
    options: &Options,
    server: &PrivatePostgres,
    secrets: &Secrets,
    config: &dyn Fn(String) -> Result<Config>,
    listener: TcpListener,
    began: Instant,
) -> Result<()> {
    let admin_url = server.url("postgres");
    if !postgres::database_exists(&admin_url, DATABASE).await? {
        postgres::drop_database(&admin_url, UNFINISHED).await?;
        postgres::create_database(&admin_url, UNFINISHED, None).await?;
        fill(&server.url(UNFINISHED), config, began).await?;
        postgres::rename_database(&admin_url, UNFINISHED, DATABASE).await?;
    }
    let url = server.url(DATABASE);
    bring_up_to_date(&url, began).await?;
    let mut config = config(url)?;
    let simulated = play_registers(&mut config)?;
    say(began, &format!("the registers answer on http://{}", simulated.address));
    let address = listener
        .local_addr()
        .map_err(|error| Error::internal("cannot tell the address we listen on", error))?;
    let key = Key::new(secrets.payment_webhook_secret.clone());
    let provider = play_provider(key, address)?;
    say(began, &format!("the payment provider takes money on http://{}", provider.address));
    telemetry::init(&config.log.filter, config.log.format)?;
    let app = App::new(&config, Arc::new(SystemClock))?;
    let Some(track) = &options.walk else {
        say(began, "ready");
        welcome(&app, &config.public_url, &simulated, &provider).await?;
        let served = app::run(app, listener, config.http_workers, std::future::pending()).await;
        simulated.stop().await;
        provider.stop().await;
        return served;
    };
    say(began, &format!("walking one application of the track '{track}'"));
    // Cut short by a signal, the walk has not been walked.
    let mut walked = Err(Error::bug("the walk was interrupted"));
    let walking = async {
        walked = walk::walk(&app, address, provider.address, track).await;
    };
    let served = app::run(app.clone(), listener, config.http_workers, walking).await;
    simulated.stop().await;
    provider.stop().await;
    served.and(walked)
}

/// Plays the registers inside this process, on a free port, and has the office ask them.
fn play_registers(config: &mut Config) -> Result<Running> {
    let mut key = [0; 32];
    SystemClock.fill(&mut key);
    let simulator = Simulator::new(register_sim::Options {
        key: Some(Key::new(key.to_vec())),
        keys: BTreeMap::new(),
        callback_base: None,
        clock: Arc::new(SystemClock),
    });
    let running = simulator.start()?;
    config.registers = simulator.registers(running.address, Duration::from_secs(10));
    Ok(running)
}

/// Plays the payment provider inside this process, on a free port; it shares the demo's secret with the office.
fn play_provider(key: Key, office: SocketAddr) -> Result<provider_sim::Running> {
    let office = format!("http://{office}");
    let options = provider_sim::Options { key, office, clock: Arc::new(SystemClock) };
    provider_sim::Simulator::new(options).start()
}

/// Fills an empty database.
async fn fill(url: &str, config: &dyn Fn(String) -> Result<Config>, began: Instant) -> Result<()> {
    bring_up_to_date(url, began).await?;
    let now = SystemClock.now();
    let clock = Arc::new(FixedClock::new(now, 2026));
    let shared: SharedClock = clock.clone();
    // What is lost in a crash is made anew; the new name at the end makes all of it durable.
    let app = App::new(&config(format!("{url}&options=-c%20synchronous_commit%3Doff"))?, shared)?;
    say(began, "adding offices and accounts");
    people::settle(&app, url).await?;
    let count = seed::sow(&app, &clock, now, &|step| say(began, step)).await?;
    say(began, &format!("{count} applications are there"));
    Ok(())
}

async fn bring_up_to_date(url: &str, began: Instant) -> Result<()> {
    for name in migrate::run(url).await? {
        say(began, &format!("migrated {name}"));
    }
    let rules = app::rules(None)?;
    for name in migrate::register(url, &rules, &SystemClock, auth::OPERATOR).await? {
        say(began, &format!("registered {name}"));
    }
    let indexed = migrate::index(url).await?;
    if indexed > 0 {
        say(began, &format!("indexed {indexed} applications for the search"));
    }
    Ok(())
}

/// Takes the port first, so that nothing is started for a port that is taken. A walk needs no certain port.
fn listen(options: &Options) -> Result<TcpListener> {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    match bind(options.port) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && options.walk.is_some() => bind(0),
        other => other,
    }
    .map_err(|error| {
        Error::internal(
            format!("cannot listen on 127.0.0.1:{}; choose another --port", options.port),
            error,
        )
    })
}

fn settings(options: &Options, port: u16, secrets: &Secrets, url: String) -> Result<Config> {
    Config::demo(DemoConfig {
        database_url: url,
        port,
        data_dir: options.data.clone(),
        token_key: secrets.token_key.clone(),
        payment_webhook_secret: secrets.payment_webhook_secret.clone(),
        log_key: secrets.log_key.clone(),
        permit_key: secrets.permit_key.clone(),
    })
    .map_err(|error| Error::internal("the demo's settings are wrong", error))
}

/// Prints a line. Whoever reads our output may stop reading it; the office stays open.
fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a step with the seconds since the start.
fn say(began: Instant, step: &str) {
    line(&format!("[{:5.1} s] {step}", began.elapsed().as_secs_f64()));
}

async fn welcome(
    app: &App,
    url: &str,
    simulated: &Running,
    provider: &provider_sim::Running,
) -> Result<()> {
    line(&format!("\nThe permit office is open at {url}\n"));
    line(&format!("Accounts, all with the password \"{}\":", people::PASSWORD));
    for account in people::ACCOUNTS {
        let unit = account.unit.map(|code| format!(" of unit {code}")).unwrap_or_default();
        line(&format!("  {:34} {}{unit}", account.email(), account.role.name()));
    }
    line("\nWorth trying:");
    line(&format!(
        "  curl -s {url}/v1/session -H 'Content-Type: application/json' -d '{{\"email\":\"{}\",\"password\":\"{}\"}}'",
        people::ACCOUNTS[2].email(),
        people::PASSWORD
    ));
    if let Some(reference) = seed::a_reference(app).await? {
        line(&format!("  curl -s -H 'Accept-Language: en' {url}/v1/status/{reference}"));
    }
    line(&format!("  curl -sL {url}/docs        (or open it in a browser)"));
    line(
        "\nThe registers are played on this machine, too; one of them can fall silent (and be \"normal\" again):",
    );
    line(&format!(
        "  curl -s -X PUT http://{}/_sim/borderCrossings -d '{{\"mode\":\"down\"}}'",
        simulated.address
    ));
    line(
        "\nSo is the payment provider: it takes what anybody says he pays, and tells the office, signed:",
    );
    line(&format!(
        "  curl -s http://{}/payments -d '{{\"uin\":\"UIN OF A CHARGE\",\"amountKopecks\":420000}}'",
        provider.address
    ));
    line(&format!(
        "  curl -s http://{}/statement        (what its bank would say)",
        provider.address
    ));
    line("\nThe public log, and the key that verifies it:");
    line(&format!("  curl -s {url}/log/checkpoint"));
    if let Some(key) = app.log_keys.verifiers().first() {
        line(&format!("  propusk audit verify {url}/log --key {key}"));
    }
    line("\nStop it with Ctrl-C.");
    Ok(())
}
