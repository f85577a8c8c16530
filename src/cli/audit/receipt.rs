//! What a receipt proves, in plain words, off line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;

use super::super::Failure;
use crate::audit::file;
use crate::audit::note::{SignatureType, VerifierKey};
use crate::audit::receipt::{Private, Receipt};
use crate::error::Error;

/// The longest receipt that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// A receipt and whom to believe.
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The receipt, a .tlog-proof file
    pub file: PathBuf,
    /// Public key of the log, or of a witness whose word counts; may be given more than once
    #[arg(long = "key", value_name = "VKEY", required = true)]
    pub keys: Vec<VerifierKey>,
}

pub(super) const HELP: &str = "\
Example:
  propusk audit receipt decision.tlog-proof --key permits.example.org/log+1a2b3c4d+AZ…

Needs no network and no database. The keys are those that the log's operator and the witnesses published.";

/// Says what a receipt proves, or the first thing that is wrong with it.
pub(super) fn run(args: &ReceiptArgs) -> Result<(), Failure> {
    let receipt = open(&args.file, &args.keys)?;
    super::super::print(&told(&receipt, &args.keys))
}

fn open(path: &Path, keys: &[VerifierKey]) -> Result<Receipt, Failure> {
    let text = file::read_text(path, LONGEST)
        .map_err(|error| Error::internal(format!("cannot read {}", path.display()), error))?;
    Receipt::open(&text, keys)
        .map_err(|error| Failure::Found(format!("{} proves nothing: {error}", path.display())))
}

/// Tells what a receipt proves.
fn told(receipt: &Receipt, keys: &[VerifierKey]) -> String {
    let Receipt { leaf, index, signed, private } = receipt;
    let mut out = Lines::default();
    out.0.push_str("The receipt is valid. It proves that this happened:\n\n");
    out.line("event", &format!("{} ({})", leaf.kind, leaf.event));
    match private {
        Some(private) => {
            out.line("when", &format!("{} UTC", private.at.format("%Y-%m-%d %H:%M:%S%.6f")));
            told_private(&mut out, private);
        }
        None => out.line("when", &time(leaf.at)),
    }
    if let Some(seq) = leaf.seq {
        out.line("number", &format!("{seq} in the application's history"));
    }
    match (&leaf.track, leaf.workflow) {
        (Some(track), Some(version)) => {
            out.line("definition", &format!("{track}, version {version}"));
        }
        (Some(track), None) => out.line("definition", track),
        (None, _) => {}
    }
    if let Some(unit) = &leaf.unit {
        out.line("office", unit);
    }

    out.0.push_str("\nIt stands in a public log:\n\n");
    let checkpoint = &signed.checkpoint;
    out.line("log", &checkpoint.origin);
    out.line("place", &format!("leaf {index} of {} (counted from 0)", checkpoint.size));
    let log = |key: &VerifierKey| key.name() == checkpoint.origin;
    for one in &signed.signatures {
        let key = &one.key;
        match (one.at, log(key)) {
            (None, true) => out.line("signed by", &key.to_string()),
            (Some(at), true) => {
                out.line("current at", &format!("{}, as the log itself says", seconds(at)));
            }
            (Some(at), false) => {
                out.line("cosigned by", &format!("{} at {}", key.name(), seconds(at)));
            }
            (None, false) => {}
        }
    }
    let signed_by = |key: &&VerifierKey| signed.signatures.iter().any(|one| one.key == **key);
    let witnesses =
        || keys.iter().filter(|key| key.kind() == SignatureType::Cosignature && !log(key));
    for key in witnesses().filter(|key| !signed_by(key)) {
        out.line("not cosigned", &format!("by {}", key.name()));
    }
    if !witnesses().any(|key| signed_by(&key)) {
        out.0.push_str(
            "\nNo witness of yours vouches that the log showed everybody the same: that it is one log for all, you have\n\
             the log's word.\n",
        );
    }
    match private {
        Some(private) => {
            let content = serde_json::to_string_pretty(&private.content).unwrap_or_default();
            let content: Vec<String> = content.lines().map(harmless).collect();
            let content = content.join("\n");
            let _ = write!(out.0, "\nThe log committed to this content:\n\n{content}\n");
        }
        None => out.0.push_str(
            "\nThe receipt has no content: it was erased before the receipt was made, or the office kept it to itself.\n\
             What is proved is that an event of this kind happened at that time; about whom, the receipt cannot tell.\n",
        ),
    }
    out.0
}

fn told_private(out: &mut Lines, private: &Private) {
    let Private { actor, role, application, command, from, to, purpose, subjects, .. } = private;
    if let Some(application) = application {
        out.line("application", &application.to_string());
    }
    let who = match actor {
        Some(actor) => format!("{role} (account {actor})"),
        None => role.clone(),
    };
    out.line("by", &who);
    if let Some(command) = command {
        out.line("command", command);
    }
    match (from, to) {
        (Some(from), Some(to)) if from != to && !from.is_empty() => {
            out.line("state", &format!("{from}, then {to}"));
        }
        (_, Some(state)) | (Some(state), None) => out.line("state", state),
        (None, None) => {}
    }
    if let Some(purpose) = purpose {
        out.line("purpose", purpose);
    }
    for subject in subjects {
        out.line("showed", &subject.to_string());
    }
}

/// Lines of a name and what it is.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, what: &str) {
        let _ = writeln!(self.0, "  {name:<13}{}", harmless(what));
    }
}

/// Takes out what would steer the reader's terminal: what a receipt holds was written by others.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Shows a time in seconds since 1970.
fn time(at: i64) -> String {
    DateTime::<Utc>::from_timestamp(at, 0).map_or_else(
        || format!("second {at}"),
        |at| format!("{} UTC", at.format("%Y-%m-%d %H:%M:%S")),
    )
}

/// Shows the time of a cosignature.
pub(super) fn seconds(at: u64) -> String {
    time(i64::try_from(at).unwrap_or(i64::MAX))
}
