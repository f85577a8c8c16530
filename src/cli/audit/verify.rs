//! Checking a whole log, wherever it is.

use std::io::{ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::super::Failure;
use super::receipt::seconds;
use crate::audit::file::{self, Readers};
use crate::audit::note::{
    LONGEST_NOTE, SignatureType, SignedCheckpoint, VerifierKey, open_checkpoint,
};
use crate::audit::source;
use crate::audit::verify::{Progress, Report, verify};
use crate::error::Error;

/// A log and whom to believe.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Address of the log (its prefix, http:// or https://), or a folder that holds it
    #[arg(value_name = "URL|DIR")]
    pub log: String,
    /// Public key of the log, or of a witness whose word counts; may be given more than once
    #[arg(long = "key", value_name = "VKEY", required = true)]
    pub keys: Vec<VerifierKey>,
    /// File with a checkpoint that was verified before: only what came after it is read; the new one is kept there
    #[arg(long, value_name = "FILE")]
    pub trusted: Option<PathBuf>,
}

pub(super) const HELP: &str = "\
Examples:
  propusk audit verify https://permits.example.org/log --key permits.example.org/log+1a2b3c4d+AZ…
  propusk audit verify /srv/mirror/log --key permits.example.org/log+1a2b3c4d+AZ… --trusted checkpoint

Reads checkpoint, tiles and entry bundles alone. Ends with 1 and names the first thing that is broken.";

/// How long the program is silent between two lines of progress.
const SILENCE: Duration = Duration::from_secs(1);

/// Verifies a log, or names the first thing that is broken.
pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let trusted = args.trusted.as_deref().map(|path| load(path, &args.keys)).transpose()?.flatten();
    let log = source::open(&args.log);
    let begun = Instant::now();
    let mut last = begun;
    let mut progress = |Progress { read, of }: Progress| {
        if last.elapsed() >= SILENCE && std::io::stderr().is_terminal() {
            last = Instant::now();
            let rate = read as f64 / begun.elapsed().as_secs_f64();
            eprintln!("{read} of {of} leaves, {rate:.0} a second");
        }
    };
    let report = verify(log.as_ref(), &args.keys, trusted.as_ref(), &mut progress)
        .map_err(|broken| Failure::Found(format!("{} is not in order: {broken}", args.log)))?;
    tell(&report, &args.keys, begun.elapsed());
    if let Some(path) = &args.trusted {
        file::replace(path, report.note.as_bytes(), Readers::Everyone)
            .map_err(|error| Error::internal(format!("cannot write {}", path.display()), error))?;
    }
    Ok(())
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
