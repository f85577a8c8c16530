//! Running a witness of other people's logs; needs no database.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Failure, audit};
use crate::audit::note::VerifierKey;
use crate::clock::SystemClock;
use crate::config::LogFormat;
use crate::error::Error;
use crate::{telemetry, witness};

/// A witness, and the logs that it watches.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// File with the witness's key, as propusk audit key new writes it
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// Public key of a log to watch; may be given more than once
    #[arg(long = "log", value_name = "VKEY", required = true)]
    pub logs: Vec<VerifierKey>,
    /// Directory to keep what was seen in; without it the key is worth nothing
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,
    /// Address to serve on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
}

pub(super) const HELP: &str = "\
Example:
  propusk audit key new witness.example.org /etc/witness.key
  propusk witness --key-file /etc/witness.key --log permits.example.org/log+1a2b3c4d+AZ… \\
      --directory /var/lib/witness --listen 0.0.0.0:8090

Tell the log's operator the address and the key that propusk audit key show prints for a witness.";

/// Serves a witness until the process is told to stop.
pub(super) async fn run(args: WitnessArgs) -> Result<(), Failure> {
    telemetry::init("info", LogFormat::Text)?;
    let keys = audit::key::load(&args.key_file)?;
    let cosigns: Vec<String> =
        keys.keys().iter().map(|key| key.cosigner_verifier().to_string()).collect();
    let options = witness::Options { keys, logs: args.logs, directory: args.directory };
    let opened = witness::Witness::open(options, Arc::new(SystemClock))?;
    let failed = |error| Error::internal(format!("cannot listen on {}", args.listen), error);
    let listener = TcpListener::bind(args.listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    println!("propusk witnesses on http://{address} with {}", cosigns.join(", "));
    Ok(witness::serve(opened, listener).await?)
}
