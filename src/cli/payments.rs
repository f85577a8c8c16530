//! Money at the command line: the bank's statement against the ledger.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::{Args, Subcommand};

use super::{ConfigFile, Failure, command_config, command_db, print, refuse_unregistered};
use crate::app;
use crate::casework::Casework;
use crate::casework::payments::Reconciled;
use crate::clock::SystemClock;
use crate::domain::fee::statement::{Booked, Line, Statement};
use crate::error::Error;

/// What can be done with payments.
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// Compare a statement with the ledger
    ///
    /// Reads the provider's statement, camt.053 of ISO 20022 or the text exchange of 1C, and says what it has and the ledger
    /// lacks, what the ledger has for its days and it lacks, which amounts differ and what it has twice. Changes nothing,
    /// unless --book is given. Exits with 1 when anything is not alike.
    #[command(after_long_help = RECONCILE_HELP)]
    Reconcile(ReconcileArgs),
}

/// A statement to compare.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// The statement
    pub file: PathBuf,
    /// Take what the ledger lacks as payments, as if the provider had told of them
    #[arg(long)]
    pub book: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

const RECONCILE_HELP: &str = "\
Examples:
  propusk payments reconcile statement-2026-03-02.xml
  propusk payments reconcile kl_to_1c.txt --json
  propusk payments reconcile statement-2026-03-02.xml --book

Payments are found by the provider's id, else by UIN and amount. The text exchange of 1C has no such ids: what was
taken from it with --book and is told of later is there twice.";

/// Does what `command` says.
pub(super) async fn run(command: PaymentsCommand) -> Result<(), Failure> {
    match command {
        PaymentsCommand::Reconcile(args) => reconcile(&args).await,
    }
}

async fn reconcile(args: &ReconcileArgs) -> Result<(), Failure> {
    let file = args.file.display();
    let bytes = std::fs::read(&args.file)
        .map_err(|error| Error::internal(format!("cannot read {file}"), error))?;
    // Before the database is asked: a wrong file changes nothing.
    let statement = Statement::parse(&bytes)
        .map_err(|error| Failure::Found(format!("the statement was not taken: {file}:{error}")))?;
    let config = command_config(&args.config)?;
    let rules = Arc::new(app::rules(config.workflows_directory.as_deref())?);
    let db = command_db(config.database.url.expose())?;
    refuse_unregistered(&db, &rules).await?;
    // The worker of serve finds the jobs by itself.
    let casework =
        Casework::new(db, rules, Arc::new(SystemClock), TimeDelta::zero(), Arc::new(|| ()));
    let done = casework.reconcile(&statement, args.book).await?;
    if args.json {
        let text = serde_json::to_string_pretty(&done)
            .map_err(|error| Error::internal("cannot write JSON", error))?;
        print(&text)?;
    } else {
        print(&told(&statement, &done))?;
    }
    if done.comparison.is_clean() {
        return Ok(());
    }
    Err(Failure::Found("statement and ledger are not alike".to_owned()))
}

/// Says in lines what was found.
fn told(statement: &Statement, done: &Reconciled) -> String {
    let comparison = &done.comparison;
    let line = |what: &str, one: &Line| {
        let uin = one.uin.as_deref().unwrap_or("no UIN");
        format!("{what}: line {}: {} of {}, {}, {uin}", one.line, one.id, one.booked_on, one.amount)
    };
    let booked = |one: &Booked| {
        let uin = one.uin.as_deref().unwrap_or("no UIN");
        format!("{} of {}, {}, {uin}", one.provider_id, one.paid_at.date_naive(), one.amount)
    };
    let mut said = vec![format!(
        "{} to {}: {} alike, {} outgoing not looked at",
        statement.from, statement.to, comparison.agreed, comparison.outgoing
    )];
    said.extend(comparison.missing_in_ledger.iter().map(|one| line("not in the ledger", one)));
    said.extend(
        comparison
            .missing_in_statement
            .iter()
            .map(|one| format!("not in the statement: {}", booked(one))),
    );
    said.extend(comparison.differing.iter().map(|one| {
        format!("{}; the ledger has {}", line("other amount", &one.statement), booked(&one.ledger))
    }));
    said.extend(comparison.duplicates.iter().map(|one| line("twice in the statement", one)));
    if done.booked + done.waiting > 0 {
        said.push(format!("taken: {} booked, {} wait for an officer", done.booked, done.waiting));
    }
    said.join("\n")
}
