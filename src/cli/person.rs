//! Erasing a person's data on request; the worker does the same by itself when the term is over.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{AfterHelp, ConfigFile, Failure, command_casework, command_config};
use crate::auth::OPERATOR;
use crate::casework::erasure::{Kept, Reason, Standing, Whose};
use crate::domain::form::person_key;
use crate::domain::identity::{CountryCode, PassportNumber};
use crate::error::Error;

/// What can be done with a person's data.
#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Erase a person's data
    ///
    /// Takes the person's values, the salts of the events and the documents out of applications that are over and whose
    /// term of retention has passed; what stays is numbers and dates, and the log with all its proofs. All of the
    /// applications that are meant, or none: if one is open or within its term, each such is named with the day from which
    /// it is possible. Drafts without citizenship and passport number are nobody's here; they go with their own term.
    #[command(after_long_help = AfterHelp::PERSON_ERASE)]
    Erase(PersonEraseArgs),
}

/// Whose data goes, and why.
#[derive(Debug, Args)]
pub struct PersonEraseArgs {
    /// Citizenship of the person, ISO 3166-1 alpha-3
    #[arg(long, value_name = "CODE", value_parser = CountryCode::parse, requires = "passport",
        required_unless_present = "application")]
    pub citizenship: Option<CountryCode>,
    /// Number of the passport, as in the application
    #[arg(long, value_name = "NUMBER", value_parser = PassportNumber::parse, requires = "citizenship")]
    pub passport: Option<PassportNumber>,
    /// One application by its id, in place of a person
    #[arg(long, value_name = "ID", conflicts_with_all = ["citizenship", "passport"])]
    pub application: Option<Uuid>,
    /// On what basis, such as the number of an order; it stays in the log, so it must not name the person
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub basis: Option<String>,
    /// Only list what would go, and what stands in the way
    #[arg(long)]
    pub dry_run: bool,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Erases, or says what stands in the way.
pub(super) async fn erase(args: PersonEraseArgs) -> Result<(), Failure> {
    let config = command_config(&args.config)?;
    let casework = command_casework(&config).await?;

    let key = args.citizenship.zip(args.passport).map(|(of, number)| person_key(&of, &number));
    let whose = match (&key, args.application) {
        (Some(key), _) => Whose::Person(key),
        (None, Some(id)) => Whose::Application(id),
        (None, None) => return Err(Error::bug("nobody is named").into()),
    };
    let kept = casework.kept(whose).await?;
    if kept.is_empty() {
        return Err(Failure::Found(
            "there is no such application that holds a person's data".to_owned(),
        ));
    }
    let possible = kept.iter().all(|one| matches!(one.standing, Standing::Since(_)));
    let Some(basis) = args.basis.filter(|_| !args.dry_run && possible) else {
        for one in &kept {
            println!("{}: {}", name(one), standing(one));
        }
        if possible {
            return Ok(());
        }
        return Err(Failure::Found("nothing can be erased before all of it can".to_owned()));
    };
    let reason = Reason::Request { basis: &basis, role: OPERATOR };
    match casework.erase(whose, reason).await {
        Ok(erased) => {
            for one in &erased {
                println!("{}: erased", name(one));
            }
            println!("{} erased; documents go with the worker's next jobs", erased.len());
            Ok(())
        }
        Err(Error::Refused(refusal)) => {
            let mut lines = vec![refusal.detail.to_string()];
            lines.extend(
                refusal.violations.iter().map(|one| format!("{}: {}", one.pointer, one.detail)),
            );
            Err(Failure::Found(format!("nothing was erased: {}", lines.join("\n  "))))
        }
        Err(other) => Err(other.into()),
    }
}

fn name(one: &Kept) -> String {
    format!("{} ({}, {})", one.reference, one.track, one.id)
}

fn standing(one: &Kept) -> String {
    match one.standing {
        Standing::Since(from) => format!("{}; can be erased since {from}", one.state),
        Standing::NotBefore(from) => {
            format!("{}; can be erased from {from} on, not before", one.state)
        }
        Standing::Open => format!("{}; still open: only what is over can be erased", one.state),
        Standing::Erased(at) => format!("was erased on {}", at.date_naive()),
    }
}
