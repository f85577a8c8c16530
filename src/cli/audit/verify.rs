//! Checking a whole log, wherever it is.

use std::io::{ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::super::{ConfigFile, Failure};
use super::receipt::seconds;
use crate::audit::file::{self, Readers};
use crate::audit::note::{
    LONGEST_NOTE, LogKeys, SignatureType, SignedCheckpoint, VerifierKey, open_checkpoint,
};
use crate::audit::sequencer::kept;
use crate::audit::verify::{Progress, Report, verify};
use crate::audit::{inspect, source};
use crate::config::CommandConfig;
use crate::error::Error;

/// A log and whom to believe.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Address of the log (its prefix, http:// or https://), or a folder that holds it; without it, the database
    #[arg(value_name = "URL|DIR", requires = "keys")]
    pub log: Option<String>,
    /// Public key of the log, or of a witness whose word counts; may be given more than once. For the database, those
    /// of the configuration count too
    #[arg(long = "key", value_name = "VKEY")]
    pub keys: Vec<VerifierKey>,
    /// File with a checkpoint that was verified before: only what came after it is read; the new one is kept there
    #[arg(long, value_name = "FILE")]
    pub trusted: Option<PathBuf>,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

pub(super) const HELP: &str = "\
Examples:
  propusk audit verify https://permits.example.org/log --key permits.example.org/log+1a2b3c4d+AZ…
  propusk audit verify /srv/mirror/log --key permits.example.org/log+1a2b3c4d+AZ… --trusted checkpoint
  propusk audit verify --config /etc/propusk.toml

Of an address or a folder, reads checkpoint, tiles and entry bundles alone. Of the database, recomputes every event's
commitment, leaf and tile, holds the tree against every checkpoint ever signed and the one kept in log_directory, and
replays every application; says so when no checkpoint kept outside the database was compared, neither from log_directory
nor from --trusted. Ends with 1 and names the first thing that is broken.";

/// What is said when the database was held against itself alone.
const UNCOMPARED: &str = "  no checkpoint kept outside the database was compared: had it been put back to an older state, \
                          nobody would have noticed (see log_directory and --trusted)";

/// How long the program is silent between two lines of progress.
const SILENCE: Duration = Duration::from_secs(1);

/// Verifies a log, or names the first thing that is broken.
pub(super) async fn run(args: &VerifyArgs) -> Result<(), Failure> {
    match &args.log {
        Some(log) => files(args, log),
        None => database(args).await,
    }
}

/// Verifies a log of which only the public files are at hand.
fn files(args: &VerifyArgs, log: &str) -> Result<(), Failure> {
    let trusted = args.trusted.as_deref().map(|path| load(path, &args.keys)).transpose()?.flatten();
    let source = source::open(log);
    let meter = Meter::start("leaves");
    let mut progress = |Progress { read, of }: Progress| meter.tell(read, of);
    let report = verify(source.as_ref(), &args.keys, trusted.as_ref(), &mut progress)
        .map_err(|broken| Failure::Found(format!("{log} is not in order: {broken}")))?;
    tell(&report, &args.keys, meter.begun.elapsed());
    keep(args, &report.note)
}

/// Verifies the log of the configured database, and that its applications are what their events say.
async fn database(args: &VerifyArgs) -> Result<(), Failure> {
    let config = super::super::command_config(&args.config)?;
    let keys = keys(&args.keys, &config)?;
    let trusted = args.trusted.as_deref().map(|path| load(path, &keys)).transpose()?.flatten();
    let kept = config.log_directory.as_deref().map(|path| kept(path, &keys)).transpose()?.flatten();
    let known: Vec<SignedCheckpoint> = kept.into_iter().collect();
    let db = super::super::command_db(config.database.url.expose())?;
    let meter = Meter::start("leaves");
    let progress = |read, of| meter.tell(read, of);
    let verified = inspect::verify(&db, &keys, &known, trusted.as_ref(), &progress)
        .await?
        .map_err(|broken| Failure::Found(format!("the log is not in order: {broken}")))?;
    let took = meter.begun.elapsed().as_secs_f64();
    println!(
        "the log is in order: {} events read in {took:.1} s, {:.0} a second, {} of them erased; {} tiles, {} checkpoints",
        verified.leaves,
        verified.leaves as f64 / took.max(0.001),
        verified.erased,
        verified.tiles,
        verified.checkpoints
    );
    if known.is_empty() && trusted.is_none() {
        println!("{UNCOMPARED}");
    }
    super::replay_all(&db).await?;
    // Of what was verified: what was published meanwhile was not.
    verified.note.map_or(Ok(()), |note| keep(args, &note))
}

/// Gives the keys that were named and those of the configuration.
pub(super) fn keys(
    named: &[VerifierKey],
    config: &CommandConfig,
) -> Result<Vec<VerifierKey>, Failure> {
    let mut keys = named.to_vec();
    if let Some(own) = &config.log_keys {
        let own = LogKeys::parse(own.expose())
            .map_err(|error| Error::internal("the log's keys are not usable", error))?;
        keys.extend(own.verifiers());
    }
    if keys.is_empty() {
        return Err(Failure::Found(
            "name the log's public key with --key, or set log_key_file; `propusk audit key show FILE` prints it"
                .to_owned(),
        ));
    }
    Ok(keys)
}

/// Keeps the checkpoint up to which all is verified, to be trusted the next time.
fn keep(args: &VerifyArgs, note: &str) -> Result<(), Failure> {
    let Some(path) = &args.trusted else { return Ok(()) };
    file::replace(path, note.as_bytes(), Readers::Everyone)
        .map_err(|error| Error::internal(format!("cannot write {}", path.display()), error).into())
}

/// Tells a person who waits how far it is.
pub(super) struct Meter {
    what: &'static str,
    begun: Instant,
    last: Mutex<Instant>,
}

impl Meter {
    pub(super) fn start(what: &'static str) -> Self {
        let begun = Instant::now();
        Self { what, begun, last: Mutex::new(begun) }
    }

    pub(super) fn tell(&self, read: u64, of: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= SILENCE && std::io::stderr().is_terminal() {
            *last = Instant::now();
            let rate = read as f64 / self.begun.elapsed().as_secs_f64();
            eprintln!("{read} of {of} {}, {rate:.0} a second", self.what);
        }
    }
}

/// Reads the checkpoint that was verified before; `None` when there is no such file yet.
fn load(path: &Path, keys: &[VerifierKey]) -> Result<Option<SignedCheckpoint>, Failure> {
    match file::read_text(path, LONGEST_NOTE) {
        Ok(note) => open_checkpoint(&note, keys).map(Some).map_err(|error| {
            Failure::Found(format!("{} is no checkpoint to trust: {error}", path.display()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::internal(format!("cannot read {}", path.display()), error).into()),
    }
}

fn tell(report: &Report, keys: &[VerifierKey], took: Duration) {
    let SignedCheckpoint { checkpoint, signatures, .. } = &report.signed;
    let read = checkpoint.size - report.trusted;
    println!("the log {} is in order: {} leaves", checkpoint.origin, checkpoint.size);
    if report.trusted > 0 {
        println!("  it continues the trusted checkpoint of {} leaves", report.trusted);
    }
    let rate = read as f64 / took.as_secs_f64().max(0.001);
    println!("  {read} leaves read in {:.1} s, {rate:.0} a second", took.as_secs_f64());
    for one in signatures {
        match one.at {
            Some(at) if one.key.name() == checkpoint.origin => {
                println!("  current at {}, as the log itself says", seconds(at));
            }
            Some(at) => println!("  cosigned by {} at {}", one.key.name(), seconds(at)),
            None => println!("  signed by {}", one.key),
        }
    }
    for key in keys {
        let silent = !signatures.iter().any(|one| one.key == *key);
        let witness = key.kind() == SignatureType::Cosignature && key.name() != checkpoint.origin;
        if silent && witness {
            println!("  not cosigned by {}", key.name());
        }
    }
}
