//! What a permit in the hand proves, said in plain words; off line.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;

use super::super::Failure;
use crate::audit::file;
use crate::clock::{Clock as _, SystemClock};
use crate::permits::keys::PublishedKeys;
use crate::permits::statement::{self, Proven};
use crate::permits::status_list::{self, Status, StatusList};
use crate::qr;

/// The longest files that are read, in bytes: a set of keys, a picture, a status list.
const KEYS: usize = 1 << 20;
const PICTURE: usize = 64 << 20;
const LIST: usize = 512 << 20;

/// What is verified, and with what.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The text of the permit's QR, or a PNG with the QR, or a file with the text
    #[arg(value_name = "TOKEN|IMAGE")]
    pub permit: String,
    /// The office's public keys: https://…/.well-known/jwks.json, saved
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,
    /// The office's status list: https://…/v1/permits/status-list, saved today
    #[arg(long, value_name = "FILE")]
    pub status_list: Option<PathBuf>,
    /// The instant to verify for, such as 2026-11-24T10:00:00Z; without, now
    #[arg(long, value_name = "INSTANT")]
    pub at: Option<DateTime<Utc>>,
}

pub(super) const HELP: &str = "\
Example:
  curl -so jwks.json https://permits.example.org/.well-known/jwks.json
  curl -so status-list https://permits.example.org/v1/permits/status-list
  propusk permit verify photo.png --keys jwks.json --status-list status-list";

/// How a signed text begins: a JSON object in base64url.
const BEGINNING: &str = "eyJ";

/// Verifies a permit and says what that proves.
pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let keys = keys(&args.keys)?;
    let list = args.status_list.as_deref().map(|path| text(path, LIST)).transpose()?;
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let permit = permit(&args.permit)?;
    let refuse = |reason: &dyn std::fmt::Display| {
        Failure::Found(format!("this permit is not valid: {reason}"))
    };
    let proven = statement::verify(&permit, &keys, now).map_err(|error| refuse(&error))?;
    let list = match &list {
        None => None,
        Some(list) => Some(status_list::open(list, &keys, now).map_err(|error| {
            Failure::Found(format!("the status list cannot be relied on: {error}"))
        })?),
    };
    describe(&proven);
    let Some(list) = list else {
        let stated = &proven.statement;
        println!();
        println!(
            "This does not prove how the permit stands now: whether its months are paid, or whether it"
        );
        println!("was suspended or annulled since. For that give --status-list, or ask on line:");
        println!("  {}", stated.status.status_list.uri.replace("status-list", stated.num.as_str()));
        print_bearer();
        return Ok(());
    };
    match standing(&proven, &list) {
        Ok(told) => println!("{told}"),
        Err(reason) => return Err(refuse(&reason)),
    }
    print_bearer();
    Ok(())
}

fn describe(proven: &Proven<'_>) {
    let stated = &proven.statement;
    println!(
        "The permit {} is genuine: the office's key {} signed it.",
        stated.num, proven.key.kid
    );
    if proven.key.retired.is_some() {
        println!("That key has been retired since; what it signed before is good.");
    }
    println!("  holder      initials {}, born in {}", stated.ini, stated.yob);
    println!("  territory   federal subject {}", stated.ter);
    if let Some(occupation) = &stated.occ {
        println!("  profession  code {occupation} (OKZ)");
    }
    println!("  term        from {} to {}", stated.first_day(), stated.last_day());
}

fn print_bearer() {
    println!();
    println!(
        "It does not prove who holds it in the hand: compare initials and year with the passport."
    );
}

/// Says how a permit stands by a list, or why it is not valid.
fn standing(proven: &Proven<'_>, list: &StatusList<'_>) -> Result<String, String> {
    let place = &proven.statement.status.status_list;
    let at = DateTime::from_timestamp(list.at, 0).unwrap_or_default().format("%F %H:%M UTC");
    if place.uri != list.uri {
        return Err(format!(
            "its status is in the list {}, and the given one is {}",
            place.uri, list.uri
        ));
    }
    match list.bits.get(place.idx) {
        Some(Status::Valid) => {
            Ok(format!("It was in force, its months paid, at {at}, as the status list says."))
        }
        Some(Status::Suspended) => {
            Err(format!("the status list of {at} says that it is suspended"))
        }
        Some(Status::Invalid) => Err(format!(
            "the status list of {at} says that it is no longer in force; why, the office says on line"
        )),
        None => Err(format!(
            "the status list of {at} does not have it; fetch a newer one if it was just issued"
        )),
    }
}

fn keys(path: &Path) -> Result<PublishedKeys, Failure> {
    PublishedKeys::parse(&text(path, KEYS)?).map_err(|error| {
        let told = format!("{} has no keys to verify with: {error}", path.display());
        Failure::Usage(format!("{told}; save /.well-known/jwks.json of the office"))
    })
}

/// Gives the text to verify: as it stands, from a picture, or from a file.
fn permit(given: &str) -> Result<String, Failure> {
    let given = given.trim();
    if given.starts_with(BEGINNING) {
        return Ok(given.to_owned());
    }
    let path = Path::new(given);
    if !path.exists() {
        let told = format!("{given:?} is neither the text of a permit's QR nor a file");
        return Err(Failure::Usage(format!("{told}; the text begins with {BEGINNING}")));
    }
    let bytes = file::read(path, PICTURE).map_err(|error| unreadable(path, &error))?;
    let written = std::str::from_utf8(&bytes).ok().map(str::trim);
    if let Some(text) = written.filter(|text| text.starts_with(BEGINNING)) {
        return Ok(text.to_owned());
    }
    let found = qr::read(&bytes)
        .map_err(|error| Failure::Found(format!("{} shows no permit: {error}", path.display())))?;
    found.into_iter().find(|text| text.starts_with(BEGINNING)).ok_or_else(|| {
        let told = format!("the QR in {} is not one of a permit", path.display());
        Failure::Found(format!("{told}: it holds another text"))
    })
}

fn text(path: &Path, most: usize) -> Result<String, Failure> {
    file::read_text(path, most).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("cannot read {}: {error}", path.display()))
}
