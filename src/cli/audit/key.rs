//! The log's keys: made, rotated and shown. A witness has one of the same form.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::super::Failure;
use crate::audit::file::{self, Readers};
use crate::audit::note::{LogKey, LogKeys, VerifierKey};
use crate::clock::{Clock as _, SystemClock};
use crate::error::Error;

/// The longest key file that is read, in bytes.
const LONGEST: usize = 1 << 16;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key
    ///
    /// Makes an Ed25519 key for a log, or for a witness, and writes it to a new file that only its owner can read.
    /// Prints what others verify its signatures with.
    #[command(after_long_help = NEW_HELP)]
    New {
        /// The log's name: the address where it is served, without https:// and without a slash at the end
        name: String,
        /// The file to write; there must be none
        file: PathBuf,
    },
    /// Add a key beside the old one, or retire the old one
    ///
    /// Adds a new key to the file: from the service's next start both sign, so that those who know the old key and those
    /// who know the new one can both verify. When everybody knows the new one, --finish retires all others: of them the
    /// file keeps the verifier keys alone, so that what they signed can still be verified.
    #[command(after_long_help = ROTATE_HELP)]
    Rotate {
        /// The key file
        file: PathBuf,
        /// Let only the newest key sign, and keep of the others what verifies
        #[arg(long)]
        finish: bool,
    },
    /// Print what others verify the keys' signatures with, those of retired keys too
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// The key file
        file: PathBuf,
    },
}

const NEW_HELP: &str = "\
Example:
  propusk audit key new permits.example.org/log /etc/propusk/log.key";
const ROTATE_HELP: &str = "\
Example:
  propusk audit key rotate /etc/propusk/log.key
  propusk audit key rotate --finish /etc/propusk/log.key";
const SHOW_HELP: &str = "\
Example:
  propusk audit key show /etc/propusk/log.key";

/// Does what `command` says.
pub(super) fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::New { name, file } => new(&name, &file),
        KeyCommand::Rotate { file, finish: false } => add(&file),
        KeyCommand::Rotate { file, finish: true } => finish(&file),
        KeyCommand::Show { file } => show(&load(&file)?),
    }
}

fn new(name: &str, path: &Path) -> Result<(), Failure> {
    let keys = LogKeys::new(vec![generate(name)?]).map_err(unusable)?;
    file::create(path, keys.private_text().as_bytes(), Readers::Owner).map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => {
                let told = format!("{path} is there already; it is left as it is");
                Failure::Found(format!("{told} (propusk audit key rotate adds a key to it)"))
            }
            _ => Error::internal(format!("cannot write {path}"), error).into(),
        }
    })?;
    println!("made a key of {name} in {}", path.display());
    show(&keys)?;
    println!();
    println!("For a log: set PROPUSK_LOG_KEY_FILE to the file and start the service.");
    println!("For a witness: propusk witness --key-file FILE --log VKEY --directory DIR");
    println!(
        "Keep a copy of the file where nobody else reads it: without it the log cannot go on."
    );
    Ok(())
}

fn add(path: &Path) -> Result<(), Failure> {
    let old = load(path)?;
    let key = generate(old.name())?;
    let keys = old.with_newer(key).map_err(unusable)?;
    store(path, &keys)?;
    println!("added a key of {}; all {} sign from the next start", keys.name(), keys.keys().len());
    show(&keys)?;
    println!();
    println!("Publish the new ones. When everybody has them: propusk audit key rotate --finish");
    Ok(())
}

fn finish(path: &Path) -> Result<(), Failure> {
    let old = load(path)?;
    let older = old.keys().len() - 1;
    if older == 0 {
        println!("only one key of {} signs; nothing to retire", old.name());
        return Ok(());
    }
    let exports = exports(&old)?;
    let keys = old.retire_older();
    store(path, &keys)?;
    println!(
        "retired {older} of the keys of {}; the newest signs alone from the next start",
        keys.name()
    );
    show(&keys)?;
    println!();
    println!("Checkpoints and receipts signed by a retired key can be verified as before.");
    println!("For exports that it signed, which the file does not keep, note:");
    for key in &exports[..older] {
        println!("  {key}");
    }
    Ok(())
}

/// Reads a key file.
pub(crate) fn load(path: &Path) -> Result<LogKeys, Failure> {
    let text = file::read_text(path, LONGEST)
        .map_err(|error| Error::internal(format!("cannot read {}", path.display()), error))?;
    LogKeys::parse(&text)
        .map_err(|error| Failure::Found(format!("{} has no keys to use: {error}", path.display())))
}

fn store(path: &Path, keys: &LogKeys) -> Result<(), Error> {
    file::replace(path, keys.private_text().as_bytes(), Readers::Owner)
        .map_err(|error| Error::internal(format!("cannot write {}", path.display()), error))
}

fn generate(name: &str) -> Result<LogKey, Failure> {
    let mut seed = [0; 32];
    SystemClock.fill(&mut seed);
    LogKey::generate(name, seed).map_err(unusable)
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::Found(error.to_string())
}

/// Gives what the exports signed by each key are verified with.
fn exports(keys: &LogKeys) -> Result<Vec<VerifierKey>, Failure> {
    keys.purpose_verifiers("export").map_err(unusable)
}

/// Prints the public keys, to copy whole lines from.
fn show(keys: &LogKeys) -> Result<(), Failure> {
    let many = keys.keys().len() > 1;
    for (number, (key, export)) in (1..).zip(keys.keys().iter().zip(exports(keys)?)) {
        println!();
        let which =
            if many { format!(" (key {number} of {})", keys.keys().len()) } else { String::new() };
        println!("Checkpoints and receipts are verified with{which}:");
        println!("  {}", key.verifier());
        println!("How recently the log signed its newest checkpoint, with:");
        println!("  {}", key.freshness_verifier());
        println!("Signed exports, with:");
        println!("  {export}");
        println!("What the key cosigns as a witness of other logs, with:");
        println!("  {}", key.cosigner_verifier());
    }
    if !keys.retired().is_empty() {
        println!();
        println!("Retired, and only for what was signed before:");
        for key in keys.retired() {
            println!("  {key}");
        }
    }
    Ok(())
}
