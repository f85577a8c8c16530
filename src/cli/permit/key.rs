//! The keys that sign permits: made, rotated and shown.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate, NaiveTime};
use clap::Subcommand;

use super::super::Failure;
use crate::app;
use crate::audit::file::{self, Readers};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::permit::add_months;
use crate::domain::workflow::definition::PermitTerm;
use crate::error::Error;
use crate::permits::keys::PermitKeys;

/// The longest key file that is read, in bytes.
const LONGEST: usize = 1 << 16;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key
    ///
    /// Makes an Ed25519 key that signs permits and their status list, and writes it to a new file that only its owner can
    /// read.
    #[command(after_long_help = NEW_HELP)]
    New {
        /// The file to write; there must be none
        file: PathBuf,
    },
    /// Add the next key, or let it sign
    ///
    /// Adds a key that is published from the service's next start and signs nothing yet. When all who verify off line have
    /// fetched it, --finish lets it sign from the next start on. The old key signs nothing more; it stays published until
    /// all permits that it signed are over.
    #[command(after_long_help = ROTATE_HELP)]
    Rotate {
        /// The key file
        file: PathBuf,
        /// Let the next key sign, and retire the one before
        #[arg(long)]
        finish: bool,
        /// The day until which the old key stays published; without, the longest term of a permit from today on
        #[arg(long, value_name = "DATE", requires = "finish")]
        until: Option<NaiveDate>,
    },
    /// Print what others verify permits with, as a JWK set
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// The key file
        file: PathBuf,
    },
}

const NEW_HELP: &str = "\
Example:
  propusk permit key new /etc/propusk/permit.key";
const ROTATE_HELP: &str = "\
Example:
  propusk permit key rotate /etc/propusk/permit.key
  propusk permit key rotate --finish /etc/propusk/permit.key";
const SHOW_HELP: &str = "\
Example:
  propusk permit key show /etc/propusk/permit.key > jwks.json";

/// Does what `command` says.
pub(super) fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::New { file } => new(&file),
        KeyCommand::Rotate { file, finish: false, .. } => add(&file),
        KeyCommand::Rotate { file, finish: true, until } => finish(&file, until),
        KeyCommand::Show { file } => show(&file),
    }
}

fn new(path: &Path) -> Result<(), Failure> {
    let keys = PermitKeys::generate(seed(), SystemClock.now(), None);
    file::create(path, keys.private_text().as_bytes(), Readers::Owner).map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => {
                let told = format!("{path} is there already; it is left as it is");
                Failure::Found(format!("{told} (propusk permit key rotate adds a key to it)"))
            }
            _ => Error::internal(format!("cannot write {path}"), error).into(),
        }
    })?;
    println!("made the key {} in {}", keys.signer().kid, path.display());
    println!("Set PROPUSK_PERMIT_KEY_FILE to the file and start the service.");
    println!("Keep a copy of the file where nobody else reads it: whoever has it makes permits.");
    Ok(())
}

fn add(path: &Path) -> Result<(), Failure> {
    let old = load(path)?;
    if let Some(next) = old.next() {
        let told = format!("the key {} waits already to follow {}", next.kid, old.signer().kid);
        return Err(Failure::Found(format!("{told}; --finish lets it sign")));
    }
    let keys = old.with_next(seed(), SystemClock.now()).map_err(|error| unusable(path, &error))?;
    store(path, &keys)?;
    let next = keys.next().map_or("", |next| next.kid.as_str());
    println!("added the key {next}; it is published from the next start, and signs nothing yet");
    println!("When all who verify off line have fetched it: propusk permit key rotate --finish");
    Ok(())
}

fn finish(path: &Path, until: Option<NaiveDate>) -> Result<(), Failure> {
    let old = load(path)?;
    if old.next().is_none() {
        println!("no key waits to follow {}; nothing to retire", old.signer().kid);
        return Ok(());
    }
    let now = SystemClock.now();
    let until = match until {
        Some(until) if until <= now.date_naive() => {
            return Err(Failure::Usage(format!("--until is {until}; name a day to come")));
        }
        Some(until) => until,
        // Nobody's day is more than a day away from ours.
        None => add_months(now.date_naive(), longest_term()?) + Days::new(2),
    };
    let retired = old.signer().kid.clone();
    let keys = old.promote(now, until.and_time(NaiveTime::MIN).and_utc());
    store(path, &keys)?;
    println!("{} signs from the next start; restart the service now", keys.signer().kid);
    println!("{retired} signs nothing more and stays published until {until}");
    Ok(())
}

/// Gives the longest term of a permit in months, as the definitions in the binary have it.
fn longest_term() -> Result<u32, Failure> {
    let rules = app::rules(None)?;
    let months = rules.definitions.iter().map(|one| match one.permit.term {
        PermitTerm::Months(months) => months,
        PermitTerm::ContractUpToYears(years) => years * 12,
    });
    Ok(months.max().unwrap_or_default())
}

fn show(path: &Path) -> Result<(), Failure> {
    let published = load(path)?.published(SystemClock.now());
    let text = serde_json::to_string_pretty(&published)
        .map_err(|error| Error::internal("cannot write the keys", error))?;
    super::super::print(&text)
}

fn load(path: &Path) -> Result<PermitKeys, Failure> {
    let text = file::read_text(path, LONGEST)
        .map_err(|error| Error::internal(format!("cannot read {}", path.display()), error))?;
    PermitKeys::parse(&text).map_err(|error| unusable(path, &error))
}

fn store(path: &Path, keys: &PermitKeys) -> Result<(), Error> {
    file::replace(path, keys.private_text().as_bytes(), Readers::Owner)
        .map_err(|error| Error::internal(format!("cannot write {}", path.display()), error))
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    SystemClock.fill(&mut seed);
    seed
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Found(format!("{} has no keys to use: {error}", path.display()))
}
