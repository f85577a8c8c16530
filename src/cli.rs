//! The command line: what each subcommand is called, takes and answers with.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. Each command has one function here that
//! calls into the module that does the work.

pub mod audit;
mod calendar;
mod payments;
pub mod permit;
mod person;
pub mod provider_sim;
pub mod register_sim;
pub mod witness;
mod workflow;

use std::io::{BufRead as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

pub use self::calendar::{CalendarCommand, CalendarLoadArgs};
pub use self::payments::{PaymentsCommand, ReconcileArgs};
pub use self::person::{PersonCommand, PersonEraseArgs};

use crate::api::openapi as document;
use crate::app::{self, App};
use crate::auth::passwords::{Cost, Passwords};
use crate::auth::{self, AccountChange, NewUser};
use crate::casework::Casework;
use crate::clock::SystemClock;
use crate::config::{CommandConfig, Config, ConfigErrors, LogConfig};
use crate::domain::actor::Role;
use crate::domain::rules::Rulebook;
use crate::error::{Error, ErrorCode};
use crate::storage::accounts::Unit;
use crate::storage::events::PlainEvent;
use crate::storage::{Db, DbOptions, migrate};
use crate::{demo, telemetry};

/// A work-permit office: applications, their workflow, permits and the log that proves them, over HTTP.
#[derive(Debug, Parser)]
#[command(name = "propusk", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API with your database
    ///
    /// Serves the HTTP API and does the background work, with the PostgreSQL that the configuration names. Any
    /// number of these can share one database. Refuses to start with a wrong configuration, the demo's
    /// secrets, pending migrations or an invalid workflow.
    #[command(after_long_help = AfterHelp::SERVE)]
    Serve(ConfigFile),
    /// Do the background work alone
    ///
    /// Sends mail and acts on deadlines that have passed, without serving HTTP. Takes the same
    /// configuration as serve.
    #[command(after_long_help = AfterHelp::WORKER)]
    Worker(ConfigFile),
    /// Bring the database up to date
    ///
    /// Runs the migrations that the database still lacks, as its owner (DATABASE_OWNER_URL, or else
    /// DATABASE_URL), each in a transaction, and registers the rules that are new or have changed. Does nothing when there
    /// are none; two at a time wait for one another.
    #[command(after_long_help = AfterHelp::MIGRATE)]
    Migrate(ConfigFile),
    /// Show a running permit office on this machine
    ///
    /// Starts a private PostgreSQL from this machine's own programs, fills it with believable data, serves, and
    /// prints the address and the accounts. Nothing leaves the machine; everything lies in one directory.
    #[command(after_long_help = AfterHelp::DEMO)]
    Demo(DemoArgs),
    /// Print the OpenAPI document
    ///
    /// Prints the OpenAPI 3.1 document of the API to the standard output; needs no database.
    #[command(after_long_help = AfterHelp::OPENAPI)]
    Openapi,
    /// Check and show workflow definitions
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// Manage the production calendars
    #[command(subcommand)]
    Calendar(CalendarCommand),
    /// Check the history against the present
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Watch other people's logs
    ///
    /// Cosigns each checkpoint of the given logs that continues all that was seen of them before, so that a log cannot
    /// show one history to some and another to others. Needs no database.
    #[command(after_long_help = witness::HELP)]
    Witness(witness::WitnessArgs),
    /// Make the keys of permits, and verify permits
    #[command(subcommand)]
    Permit(permit::PermitCommand),
    /// Play the registers of other agencies
    ///
    /// A real HTTP server that answers what registers are asked, from the data of the question, with delays, faults and
    /// wrong signatures on demand: for trying an office out. Needs no database. Keep it from the outside.
    #[command(after_long_help = register_sim::help())]
    RegisterSim(register_sim::RegisterSimArgs),
    /// Play the payment provider
    ///
    /// A real HTTP server that takes payments and tells the office of them; on demand it repeats, reorders, forges or keeps
    /// silent: for trying an office out. Needs no database. Keep it from the outside.
    #[command(after_long_help = provider_sim::HELP)]
    ProviderSim(provider_sim::ProviderSimArgs),
    /// Compare money with the bank
    #[command(subcommand)]
    Payments(PaymentsCommand),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Erase a person's data
    #[command(subcommand)]
    Person(PersonCommand),
    /// Manage offices
    #[command(subcommand)]
    Unit(UnitCommand),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// TOML file with settings; environment variables go before it
    #[arg(long, value_name = "FILE", env = "PROPUSK_CONFIG")]
    pub config: Option<PathBuf>,
}

/// The demo's arguments.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Port to serve on, at 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub port: u16,
    /// Directory to keep everything in; removed, the demo begins anew
    #[arg(long, value_name = "DIR", default_value = "var/demo")]
    pub data: PathBuf,
    /// Walk one new application through its whole life, print each step, and end
    #[arg(long)]
    pub walk: bool,
    /// Track of the application to walk
    #[arg(long, value_name = "TRACK", default_value = "patent", requires = "walk")]
    pub track: String,
    /// Directory of PostgreSQL's `postgres` and `initdb`; searched for when not given
    #[arg(long, value_name = "DIR", env = "PROPUSK_POSTGRES_BIN")]
    pub postgres_bin: Option<PathBuf>,
}

/// What can be done with workflow definitions.
#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Prove that definitions are sound
    ///
    /// Checks definitions against the rules W01 to W15 and names every mistake with file, line and rule. Exits
    /// with 1 when there is any.
    #[command(after_long_help = AfterHelp::WORKFLOW_CHECK)]
    Check {
        /// Definition files or directories of them; the ones in the binary when none is given
        files: Vec<PathBuf>,
    },
    /// Draw a definition
    ///
    /// Prints a picture of a definition's states and transitions.
    #[command(after_long_help = AfterHelp::WORKFLOW_DIAGRAM)]
    Diagram {
        /// Track to draw, or a definition file
        workflow: String,
        /// The picture's format
        #[arg(long, default_value = "mermaid", value_parser = PossibleValuesParser::new(["mermaid", "svg"]))]
        format: String,
        /// The language of the states' wording
        #[arg(long, default_value = "en", value_parser = PossibleValuesParser::new(["en", "ru"]))]
        language: String,
    },
    /// List the shortest way to each state
    ///
    /// Prints for each state of a definition the fewest commands that lead there.
    #[command(after_long_help = AfterHelp::WORKFLOW_PATHS)]
    Paths {
        /// Track to list, or a definition file
        workflow: String,
    },
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account
    ///
    /// Adds an account, reading its password from the first line of the standard input. The first
    /// administrator of a new installation is made like this.
    #[command(after_long_help = AfterHelp::USER_ADD)]
    Add(UserAddArgs),
    /// Give an account another role or office
    ///
    /// Changes role or office of an account. Its sessions end, and the applications that it holds are released.
    Change(UserChangeArgs),
    /// Let nobody log in with an account
    ///
    /// Disables an account. Its sessions end, and the applications that it holds are released.
    Disable(UserNameArgs),
    /// Let an account log in again
    Enable(UserNameArgs),
}

/// An account by its address.
#[derive(Debug, Args)]
pub struct UserNameArgs {
    /// E-mail address that it logs in with
    pub email: String,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

/// What an account becomes.
#[derive(Debug, Args)]
pub struct UserChangeArgs {
    /// E-mail address that it logs in with
    pub email: String,
    /// The account's role from now on
    #[arg(long, value_parser = PossibleValuesParser::new(ROLES))]
    pub role: String,
    /// Code of the office, for officers and senior officers
    #[arg(long, value_name = "CODE")]
    pub unit: Option<String>,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

const ROLES: [&str; 6] =
    ["migrant", "employer", "officer", "senior-officer", "auditor", "administrator"];

/// A new account.
#[derive(Debug, Args)]
pub struct UserAddArgs {
    /// E-mail address to log in with
    pub email: String,
    /// The account's role
    #[arg(long, value_parser = PossibleValuesParser::new(ROLES))]
    pub role: String,
    /// The name that others are shown; the address when not given
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Code of the office, for officers and senior officers
    #[arg(long, value_name = "CODE")]
    pub unit: Option<String>,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

/// What can be done with offices.
#[derive(Debug, Subcommand)]
pub enum UnitCommand {
    /// Add an office
    ///
    /// Adds an office, as the database's owner: its officers and its applications belong to it, its region is where its
    /// permits are valid, its time zone is where its days begin.
    #[command(after_long_help = AfterHelp::UNIT_ADD)]
    Add(UnitAddArgs),
}

/// A new office.
#[derive(Debug, Args)]
pub struct UnitAddArgs {
    /// Code of the office: two digits, or two more after a hyphen where a region has several
    pub code: String,
    /// Its name
    #[arg(long)]
    pub title: String,
    /// Code of the federal subject, two digits: the key of the regional coefficient
    #[arg(long, value_name = "CODE")]
    pub region: String,
    /// Its time zone in the IANA data
    #[arg(long, value_name = "ZONE", default_value = "Europe/Moscow")]
    pub time_zone: String,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

struct AfterHelp;

impl AfterHelp {
    const SERVE: &'static str = "\
Example:
  propusk migrate --config /etc/propusk.toml
  propusk serve --config /etc/propusk.toml

The README has a table of all settings.";
    const WORKER: &'static str = "\
Example:
  propusk worker --config /etc/propusk.toml";
    const MIGRATE: &'static str = "\
Example:
  DATABASE_URL=postgres://owner:secret@db.internal/propusk propusk migrate";
    const DEMO: &'static str = "\
Examples:
  propusk demo
  propusk demo --walk --track highly-qualified-specialist --data /tmp/propusk-walk";
    const UNIT_ADD: &'static str = "\
Example:
  propusk unit add 77 --title Moscow --region 77 --time-zone Europe/Moscow";
    const OPENAPI: &'static str = "\
Example:
  propusk openapi > openapi/openapi.json";
    const WORKFLOW_CHECK: &'static str = "\
Example:
  propusk workflow check workflows/patent.toml";
    const WORKFLOW_DIAGRAM: &'static str = "\
Example:
  propusk workflow diagram patent --format svg > patent.svg";
    const WORKFLOW_PATHS: &'static str = "\
Example:
  propusk workflow paths patent";
    const PERSON_ERASE: &'static str = "\
Examples:
  propusk person erase --citizenship UZB --passport FA1234567 --dry-run
  propusk person erase --citizenship UZB --passport FA1234567 --basis 'order 12-3/2031'";
    const USER_ADD: &'static str = "\
Example:
  propusk user add chief@example.org --role administrator < password-file";
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings are wrong: exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The work failed: exit code 1.
    #[error(transparent)]
    Work(#[from] Error),
    /// What was looked at is not as it should be, as was printed: exit code 1.
    #[error("{0}")]
    Found(String),
    /// The command cannot be carried out as it was given: exit code 2.
    #[error("{0}")]
    Usage(String),
}

/// Parses the command line, does what it says, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Actix serves from a system of its own, which drives everything else that is asynchronous too.
    match actix_web::rt::System::new().block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("propusk: {}", telemetry::chain(&failure));
            ExitCode::from(match failure {
                Failure::Config(_) | Failure::Usage(_) => 2,
                Failure::Work(_) | Failure::Found(_) => 1,
            })
        }
    }
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure::Config`] for wrong settings, [`Failure::Work`] for everything else.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(file) => serve(&file).await,
        Command::Worker(file) => worker(&file).await,
        Command::Migrate(file) => migrate(&file).await,
        Command::Demo(args) => demo(args).await,
        Command::Openapi => print(document::text()),
        Command::Workflow(WorkflowCommand::Check { files }) => workflow::check(&files),
        Command::Workflow(WorkflowCommand::Diagram { workflow, format, language }) => {
            workflow::draw(&workflow, &format, &language)
        }
        Command::Workflow(WorkflowCommand::Paths { workflow }) => workflow::paths(&workflow),
        Command::Calendar(command) => calendar::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Witness(args) => witness::run(args).await,
        Command::Permit(command) => permit::run(command),
        Command::RegisterSim(args) => register_sim::run(args).await,
        Command::ProviderSim(args) => provider_sim::run(args).await,
        Command::Payments(command) => payments::run(command).await,
        Command::User(UserCommand::Add(args)) => user_add(args).await,
        Command::User(UserCommand::Change(args)) => {
            let moved = AccountChange::Moved { role: role(&args.role)?, unit: args.unit };
            user_change(&args.config, &args.email, &moved).await
        }
        Command::User(UserCommand::Disable(args)) => {
            user_change(&args.config, &args.email, &AccountChange::Disabled).await
        }
        Command::User(UserCommand::Enable(args)) => {
            user_change(&args.config, &args.email, &AccountChange::Enabled).await
        }
        Command::Unit(UnitCommand::Add(args)) => unit_add(args).await,
        Command::Person(PersonCommand::Erase(args)) => person::erase(args).await,
    }
}

async fn serve(file: &ConfigFile) -> Result<(), Failure> {
    let config = service_config(file).await?;
    let app = service_app(&config).await?;
    let listener = TcpListener::bind(config.listen)
        .map_err(|error| Error::internal(format!("cannot listen on {}", config.listen), error))?;
    println!("propusk listens on http://{}", config.listen);
    Ok(app::run(app, listener, config.http_workers, std::future::pending()).await?)
}

async fn worker(file: &ConfigFile) -> Result<(), Failure> {
    let config = service_config(file).await?;
    let app = service_app(&config).await?;
    println!("propusk works on jobs");
    let (stop, stopped) = tokio::sync::watch::channel(());
    let told = app::told_to_stop()?;
    let worker = app::worker(&app)?;
    tokio::join!(app::background(app, worker, stopped), async move {
        told.await;
        drop(stop);
    });
    Ok(())
}

async fn migrate(file: &ConfigFile) -> Result<(), Failure> {
    let config = command_config(file)?;
    let url = config.database.owner_url.expose();
    // First of all: definitions that are not sound must not meet a half-migrated database.
    let rules = app::rules(config.workflows_directory.as_deref())?;
    let names = migrate::run(url).await?;
    for name in &names {
        println!("migrated {name}");
    }
    let added = migrate::register(url, &rules, &SystemClock, auth::OPERATOR).await?;
    for name in &added {
        println!("registered {name}");
    }
    let indexed = migrate::index(url).await?;
    if indexed > 0 {
        println!("indexed {indexed} applications for the search");
    }
    if names.is_empty() && added.is_empty() && indexed == 0 {
        println!("nothing to migrate");
    }
    Ok(())
}

async fn demo(args: DemoArgs) -> Result<(), Failure> {
    let options = demo::Options {
        port: args.port,
        data: args.data,
        walk: args.walk.then_some(args.track),
        postgres_bin: args.postgres_bin,
    };
    Ok(demo::run(&options).await?)
}

/// Finds a role by its name at the command line.
fn role(name: &str) -> Result<Role, Error> {
    let role = match name {
        "senior-officer" => Some(Role::SeniorOfficer),
        name => Role::parse(name),
    };
    role.ok_or_else(|| Error::bug(format!("there is no role '{name}'")))
}

async fn user_add(args: UserAddArgs) -> Result<(), Failure> {
    let config = command_config(&args.config)?;
    let role = role(&args.role)?;
    let mut password = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut password)
        .map_err(|error| Error::internal("cannot read the password", error))?;
    let user = NewUser {
        name: args.name.unwrap_or_else(|| args.email.clone()),
        email: args.email,
        role,
        unit: args.unit,
        password: password.trim_end_matches(['\r', '\n']).to_owned(),
    };
    let email = user.email.clone();
    let db = command_db(config.database.url.expose())?;
    let passwords = Passwords::new(Cost::RECOMMENDED, 1)?;
    match auth::add_user(&db, &SystemClock, &passwords, user, None).await {
        Ok(id) => {
            println!("added {email} as {} ({id})", role.name());
            Ok(())
        }
        Err(Error::Refused(refusal)) => {
            let mut lines = vec![refusal.detail.to_string()];
            lines.extend(
                refusal.violations.iter().map(|one| format!("{}: {}", one.pointer, one.detail)),
            );
            Err(Failure::Found(format!("{email} was not added: {}", lines.join("\n  "))))
        }
        Err(other) => Err(other.into()),
    }
}

async fn user_change(
    config: &ConfigFile,
    email: &str,
    change: &AccountChange,
) -> Result<(), Failure> {
    let config = command_config(config)?;
    let db = command_db(config.database.url.expose())?;
    let wrong = |what: String| Err(Failure::Found(format!("{email} was not changed: {what}")));
    match auth::change_user(&db, &SystemClock, email, change).await {
        Ok(_) => {
            println!("changed {email}; what it holds is released by the worker");
            Ok(())
        }
        Err(error) if error.code() == ErrorCode::NotFound => {
            wrong("no account has this address".to_owned())
        }
        Err(Error::Refused(refusal)) => wrong(match refusal.violations.first() {
            Some(violation) => violation.detail.clone(),
            None => refusal.detail.to_string(),
        }),
        Err(other) => Err(other.into()),
    }
}

async fn unit_add(args: UnitAddArgs) -> Result<(), Failure> {
    let config = command_config(&args.config)?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let code_fits = match args.code.split_once('-') {
        Some((region, office)) => digits(region) && digits(office),
        None => digits(&args.code),
    };
    let wrong = |what: &str| Err(Failure::Found(format!("the office was not added: {what}")));
    if !code_fits {
        return wrong("its code must be two digits, such as 77, or two pairs, such as 77-02");
    }
    if !digits(&args.region) {
        return wrong("its region must be two digits, such as 77");
    }
    if args.time_zone.parse::<chrono_tz::Tz>().is_err() {
        return wrong("its time zone must be one of the IANA data, such as Europe/Moscow");
    }
    let unit =
        Unit { code: args.code, title: args.title, region: args.region, time_zone: args.time_zone };
    let content = serde_json::json!({
        "title": unit.title, "region": unit.region, "timeZone": unit.time_zone,
    });
    let event = PlainEvent::now(&SystemClock, "unitAdded", auth::OPERATOR, content)
        .in_unit(Some(unit.code.clone()));
    match migrate::add_unit(config.database.owner_url.expose(), &unit, &event).await {
        Ok(()) => {
            println!("added the office {} ({})", unit.code, unit.title);
            Ok(())
        }
        Err(Error::Refused(refusal)) => wrong(&refusal.detail),
        Err(other) => Err(other.into()),
    }
}

/// Writes a document to the standard output; a reader who has seen enough, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::internal("cannot write to the standard output", error).into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens the database for a command that does one thing after another.
fn command_db(url: &str) -> Result<Db, Error> {
    Db::new(&DbOptions {
        url: url.to_owned(),
        pool_size: 1,
        wait: Duration::from_secs(30),
        statement_timeout: Duration::from_secs(60),
    })
}

/// Opens the door for a command: with the registers of the configuration, by which it is told what waits for whom.
async fn command_casework(config: &CommandConfig) -> Result<Casework, Failure> {
    let rules = Arc::new(app::rules(config.workflows_directory.as_deref())?);
    let db = command_db(config.database.url.expose())?;
    refuse_unregistered(&db, &rules).await?;
    let registers = config.registers.iter().map(|one| one.name().to_owned()).collect();
    // The worker of serve finds the jobs by itself.
    let casework =
        Casework::new(db, rules, Arc::new(SystemClock), TimeDelta::zero(), Arc::new(|| ()));
    Ok(casework.with_registers(registers))
}

/// Builds the service and refuses rules that the database does not know as they are.
async fn service_app(config: &Config) -> Result<App, Failure> {
    let app = App::new(config, Arc::new(SystemClock))?;
    refuse_unregistered(&app.db, &app.casework.rules()).await?;
    // A calendar in force that this binary cannot read is told at the start, not with the first decision.
    app.casework.latest_rules(&mut app.db.conn().await?).await?;
    Ok(app)
}

/// Refuses rules that the database does not know as they are: nobody works by what the log does not show.
async fn refuse_unregistered(db: &Db, rules: &Rulebook) -> Result<(), Failure> {
    let unknown = migrate::unregistered(&mut *db.conn().await?, rules).await?;
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Failure::Work(Error::bug(format!(
        "the database does not know these rules as they are: {}; run `propusk migrate` first",
        unknown.join(", ")
    ))))
}

/// Reads the whole configuration, sets logging up, and refuses a database that lacks migrations.
async fn service_config(file: &ConfigFile) -> Result<Config, Failure> {
    let config = Config::load(file.config.as_deref(), &environment)?;
    log_to(&config.log)?;
    let pending = migrate::pending(config.database.url.expose()).await?;
    if pending.is_empty() {
        return Ok(config);
    }
    Err(Failure::Work(Error::bug(format!(
        "the database lacks {} migrations ({}); run `propusk migrate` first",
        pending.len(),
        pending.join(", ")
    ))))
}

fn command_config(file: &ConfigFile) -> Result<CommandConfig, Failure> {
    let config = CommandConfig::load(file.config.as_deref(), &environment)?;
    log_to(&config.log)?;
    Ok(config)
}

fn log_to(log: &LogConfig) -> Result<(), Failure> {
    Ok(telemetry::init(&log.filter, log.format)?)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
