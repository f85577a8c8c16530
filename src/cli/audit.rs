//! The audit log: what proves it, and what checks it.

pub mod export;
pub mod key;
pub mod receipt;
pub mod verify;

use clap::Subcommand;
use uuid::Uuid;

use super::{ConfigFile, Failure};
use crate::casework::Casework;
use crate::error::Error;
use crate::storage::applications::{self, Key, Wants};
use crate::storage::{Conn, Db, audit};

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Replay every application's events and compare
    ///
    /// Folds the events of every application and compares the outcome with its row. Names each difference and
    /// exits with 1 when there is any.
    #[command(after_long_help = REPLAY_HELP)]
    Replay(ConfigFile),
    /// Make, rotate and show the log's keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Say in plain words what a receipt proves
    ///
    /// Verifies a receipt off line, from the event's content to the log's signature, and says what it proves. Exits
    /// with 1 and the first thing that is wrong.
    #[command(after_long_help = receipt::HELP)]
    Receipt(receipt::ReceiptArgs),
    /// Verify a whole log
    ///
    /// Checks every leaf, every tile and the signed checkpoint of a log that is served at an address or lies in a folder;
    /// of the database itself also every event against its commitment, and every application against its events.
    /// Exits with 1 and the first thing that is broken.
    #[command(after_long_help = verify::HELP)]
    Verify(verify::VerifyArgs),
    /// Write the public log into a folder
    ///
    /// Writes the checkpoint, the tiles and the bundles of entries that are served under /log as files, and goes on from
    /// what the folder has.
    #[command(after_long_help = export::HELP)]
    Export(export::ExportArgs),
}

const REPLAY_HELP: &str = "\
Example:
  propusk audit replay --config /etc/propusk.toml";

/// Does what `command` says.
///
/// # Errors
/// [`Failure::Config`] for wrong settings, [`Failure::Found`] for what is not as it should be.
pub(super) async fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Replay(file) => {
            let config = super::command_config(&file)?;
            replay_all(&super::command_db(config.database.url.expose())?).await
        }
        AuditCommand::Key(command) => key::run(command),
        AuditCommand::Receipt(args) => receipt::run(&args),
        AuditCommand::Export(args) => export::run(&args).await,
        AuditCommand::Verify(args) => verify::run(&args).await,
    }
}

/// How many applications are replayed for each look at the list.
const PAGE: i64 = 500;

async fn replay_all(db: &Db) -> Result<(), Failure> {
    let (mut seen, mut differing) = (0, 0);
    let mut after = None;
    loop {
        let mut conn = db.conn().await?;
        let ids = audit::application_ids(&mut conn, after, PAGE).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for id in ids {
            let differences = match replay(&mut conn, id).await {
                Ok(differences) => differences,
                // What does not decode is a difference with a name, and no reason to leave the others unseen.
                Err(error @ Error::Corrupt { .. }) => vec![error.to_string()],
                Err(error) => return Err(error.into()),
            };
            for difference in &differences {
                println!("{id}: {difference}");
            }
            seen += 1;
            differing += usize::from(!differences.is_empty());
        }
    }
    println!("{seen} applications replayed, {differing} differ from their events");
    match differing {
        0 => Ok(()),
        _ => Err(Failure::Found("the events and the rows are not the same".to_owned())),
    }
}

/// Compares one application with its events.
async fn replay(conn: &mut Conn, id: Uuid) -> Result<Vec<String>, Error> {
    let Some(loaded) = applications::find(conn, Key::Id(id), Wants::default()).await? else {
        return Ok(Vec::new());
    };
    let mut stored = loaded.application;
    let mut events = audit::history(conn, id).await?;
    if events.last().is_some_and(|event| event.seq > stored.version) {
        // Written in between, or the row was put back: a second look at the row tells.
        if let Some(again) = applications::find(conn, Key::Id(id), Wants::default()).await? {
            stored = again.application;
            events = audit::history(conn, id).await?;
        }
    }
    Ok(Casework::differences(&stored, &events))
}
