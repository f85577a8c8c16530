//! Writing the public log into a folder.

use std::path::PathBuf;

use clap::Args;

use super::super::{ConfigFile, Failure};
use super::verify::{Meter, keys};
use crate::audit::export;
use crate::audit::note::VerifierKey;

/// Where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder; made when it is missing, brought up to date when it holds the log already
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Public key of the log, beside those of the configuration; may be given more than once
    #[arg(long = "key", value_name = "VKEY")]
    pub keys: Vec<VerifierKey>,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

pub(super) const HELP: &str = "\
Example:
  propusk audit export /srv/mirror/log --config /etc/propusk.toml

The folder then holds what is served under /log, and any web server can serve it. Run it again to go on.";

/// Writes what the folder does not have yet.
pub(super) async fn run(args: &ExportArgs) -> Result<(), Failure> {
    let config = super::super::command_config(&args.config)?;
    let keys = keys(&args.keys, &config)?;
    let db = super::super::command_db(config.database.url.expose())?;
    std::fs::create_dir_all(&args.directory).map_err(|error| {
        Failure::Found(format!("cannot make {}: {error}", args.directory.display()))
    })?;
    let meter = Meter::start("files");
    let done =
        export::export(&db, &args.directory, &keys, &|done, of| meter.tell(done, of)).await?;
    println!(
        "{} holds the log of {} events: {} files written, {} events were there before",
        args.directory.display(),
        done.size,
        done.files,
        done.before
    );
    Ok(())
}
