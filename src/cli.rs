//! The command line: what each subcommand is called, takes and answers with.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. Each command has one function here that
//! calls into the module that does the work.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::config::{CommandConfig, Config, ConfigErrors, LogConfig};
use crate::error::Error;
use crate::storage::migrate;
use crate::telemetry;

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
    /// Sends mail, watches deadlines and numbers the audit log, without serving HTTP. Takes the same
    /// configuration as serve.
    #[command(after_long_help = AfterHelp::WORKER)]
    Worker(ConfigFile),
    /// Bring the database up to date
    ///
    /// Runs the migrations that the database still lacks, as its owner (DATABASE_OWNER_URL, or else
    /// DATABASE_URL), each in a transaction. Does nothing when there are none; two at a time wait for one another.
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
    /// Check the history against the present
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
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
    /// Checks definitions against the rules W01 to W12 and names every mistake with file, line and rule. Exits
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

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Replay every application's events and compare
    ///
    /// Folds the events of every application and compares the outcome with its row. Names each difference and
    /// exits with 1 when there is any.
    #[command(after_long_help = AfterHelp::AUDIT_REPLAY)]
    Replay(ConfigFile),
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
}

/// A new account.
#[derive(Debug, Args)]
pub struct UserAddArgs {
    /// E-mail address to log in with
    pub email: String,
    /// The account's role
    #[arg(long, value_parser = PossibleValuesParser::new(
        ["migrant", "employer", "officer", "senior-officer", "auditor", "administrator"]))]
    pub role: String,
    /// Code of the office, for officers and senior officers
    #[arg(long, value_name = "CODE")]
    pub unit: Option<String>,
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
    const AUDIT_REPLAY: &'static str = "\
Example:
  propusk audit replay --config /etc/propusk.toml";
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
                Failure::Config(_) => 2,
                Failure::Work(_) => 1,
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
        Command::Openapi => openapi(),
        Command::Workflow(WorkflowCommand::Check { files }) => workflow_check(&files),
        Command::Workflow(WorkflowCommand::Diagram { workflow, format }) => {
            workflow_diagram(&workflow, &format)
        }
        Command::Workflow(WorkflowCommand::Paths { workflow }) => workflow_paths(&workflow),
        Command::Audit(AuditCommand::Replay(file)) => audit_replay(&file).await,
        Command::User(UserCommand::Add(args)) => user_add(args).await,
    }
}

async fn serve(file: &ConfigFile) -> Result<(), Failure> {
    let config = service_config(file).await?;
    Err(not_built_yet(&format!("serve on {}", config.listen)))
}

async fn worker(file: &ConfigFile) -> Result<(), Failure> {
    let _config = service_config(file).await?;
    Err(not_built_yet("worker"))
}

async fn migrate(file: &ConfigFile) -> Result<(), Failure> {
    let config = command_config(file)?;
    let names = migrate::run(config.database.owner_url.expose()).await?;
    for name in &names {
        println!("migrated {name}");
    }
    if names.is_empty() {
        println!("nothing to migrate");
    }
    Ok(())
}

#[expect(clippy::unused_async, reason = "the demo runs in here")]
async fn demo(args: DemoArgs) -> Result<(), Failure> {
    Err(not_built_yet(&format!("demo in {}", args.data.display())))
}

fn openapi() -> Result<(), Failure> {
    Err(not_built_yet("openapi"))
}

fn workflow_check(files: &[PathBuf]) -> Result<(), Failure> {
    Err(not_built_yet(&format!("workflow check of {} files", files.len())))
}

fn workflow_diagram(workflow: &str, format: &str) -> Result<(), Failure> {
    Err(not_built_yet(&format!("workflow diagram of {workflow} as {format}")))
}

fn workflow_paths(workflow: &str) -> Result<(), Failure> {
    Err(not_built_yet(&format!("workflow paths of {workflow}")))
}

#[expect(clippy::unused_async, reason = "the replay reads the database in here")]
async fn audit_replay(file: &ConfigFile) -> Result<(), Failure> {
    let _config = command_config(file)?;
    Err(not_built_yet("audit replay"))
}

#[expect(clippy::unused_async, reason = "the account is stored in here")]
async fn user_add(args: UserAddArgs) -> Result<(), Failure> {
    let _config = command_config(&args.config)?;
    Err(not_built_yet(&format!("user add {}", args.email)))
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

fn not_built_yet(what: &str) -> Failure {
    Failure::Work(Error::bug(format!("{what}: not built yet")))
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
