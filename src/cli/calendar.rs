//! Calendars at the command line: what is in force, putting another in force, and dating what is under way anew.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{ConfigFile, Failure, command_casework, command_config};
use crate::auth::OPERATOR;
use crate::casework::Casework;
use crate::casework::calendars::{Draft, Move, Pass};
use crate::error::Error;
use crate::storage::rule_files::Loading;

/// What can be done with calendars.
#[derive(Debug, Subcommand)]
pub enum CalendarCommand {
    /// Put a calendar in force
    ///
    /// Reads a production calendar, refuses it with each of its mistakes by name and line, says of which days it says
    /// something else than the one in force, puts it in force for every process at once, and moves the dates of what is
    /// under way by events. The worker of serve does so too: an interrupted command loses nothing.
    #[command(after_long_help = LOAD_HELP)]
    Load(CalendarLoadArgs),
    /// List every version of every calendar
    List(ConfigFile),
    /// Move the dates of what is under way to the calendar in force
    ///
    /// Goes on where a load was interrupted; does nothing where everything is dated by the calendar in force.
    Redate(ConfigFile),
}

/// A calendar to put in force.
#[derive(Debug, Args)]
pub struct CalendarLoadArgs {
    /// The file, such as russia-2027.toml
    pub file: PathBuf,
    /// Only say what it would do: list each application whose date moves, and by how much
    #[arg(long)]
    pub dry_run: bool,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigFile,
}

const LOAD_HELP: &str = "\
Examples:
  propusk calendar load russia-2027.toml --dry-run
  propusk calendar load russia-2027.toml";

/// Does what `command` says.
pub(super) async fn run(command: CalendarCommand) -> Result<(), Failure> {
    match command {
        CalendarCommand::Load(args) => load(&args).await,
        CalendarCommand::List(config) => list(&casework(&config).await?).await,
        CalendarCommand::Redate(config) => redate(&casework(&config).await?).await,
    }
}

async fn casework(file: &ConfigFile) -> Result<Casework, Failure> {
    command_casework(&command_config(file)?).await
}

async fn load(args: &CalendarLoadArgs) -> Result<(), Failure> {
    let casework = casework(&args.config).await?;
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Error::internal(format!("cannot read {}", args.file.display()), error))?;
    let draft = match casework.draft_calendar(&args.file.to_string_lossy(), &text, None).await {
        Ok(draft) => draft,
        Err(error) => return Err(mistakes(&args.file, error)),
    };
    describe(&draft);
    if args.dry_run {
        return list_moves(&casework, &draft).await;
    }
    match casework.load_calendar(&draft, OPERATOR, None).await? {
        Loading::Registered(number) => println!("in force, as number {number}"),
        Loading::Known(number) => println!("it is in force already, as number {number}"),
        Loading::Stale(number) => {
            return Err(Failure::Found(format!(
                "number {number} was put in force meanwhile; nothing has changed, try again"
            )));
        }
    }
    redate(&casework).await
}

/// Names each mistake as `file:line: kind: what is wrong`.
fn mistakes(file: &Path, error: Error) -> Failure {
    let Error::Refused(refusal) = error else { return error.into() };
    let lines: Vec<String> = refusal
        .violations
        .iter()
        .map(|one| {
            let line = one.pointer.trim_start_matches("line ");
            format!("{}:{line}: {}: {}", file.display(), one.code, one.detail)
        })
        .collect();
    Failure::Found(format!("the calendar was not taken:\n{}", lines.join("\n")))
}

fn describe(draft: &Draft) {
    let Draft { country, year, seen, days, past, .. } = draft;
    let provisional = if draft.is_provisional() { ", provisional" } else { "" };
    if draft.is_new_year() {
        println!("{country} {year}{provisional}: the year has no calendar yet");
        return;
    }
    println!("{country} {year}{provisional}: {} days are not as in number {seen}", days.len());
    for day in days {
        println!("  {}: {:?} becomes {:?}", day.date, day.before, day.after);
    }
    if *past > 0 {
        println!("{past} of these days are over and were counted the other way");
    }
}

async fn list_moves(casework: &Casework, draft: &Draft) -> Result<(), Failure> {
    let (mut total, mut after) = (0, None);
    loop {
        let (moves, last) = casework.moves(draft, after).await?;
        total += moves.len();
        for one in &moves {
            println!("{}", line(one));
        }
        if last.is_none() {
            println!("{total} dates would move; nothing has changed");
            return Ok(());
        }
        after = last;
    }
}

/// Writes `reference unit old date → new date (by so many working days)`.
fn line(one: &Move) -> String {
    let date =
        |date: Option<chrono::NaiveDate>| date.map_or("none".to_owned(), |it| it.to_string());
    let (from, to) = (date(one.from.due_on), date(one.to.due_on));
    let by = match one.working_days {
        Some(days) => format!(" ({days:+} working days)"),
        None => String::new(),
    };
    format!("{} {} {from} → {to}{by}", one.reference, one.unit)
}

async fn list(casework: &Casework) -> Result<(), Failure> {
    for one in casework.calendars().await? {
        let digest = one.digest.get(..12).unwrap_or_default();
        let (number, registered) = (one.number, one.registered_at.format("%Y-%m-%d %H:%M"));
        let notes = match (one.in_force, one.provisional) {
            (true, true) => "in force, provisional",
            (true, false) => "in force",
            (false, _) => "replaced",
        };
        println!("{number:>5} {} {} {digest} {registered} UTC {notes}", one.country, one.year);
    }
    Ok(())
}

async fn redate(casework: &Casework) -> Result<(), Failure> {
    let mut pass = Pass::default();
    while casework.redate_some(&mut pass).await? {
        print!("\r{} looked at, {} dates moved", pass.seen, pass.moved);
        // Progress that does not show hurts nobody.
        let _ = std::io::stdout().flush();
    }
    println!("\r{} looked at, {} dates moved", pass.seen, pass.moved);
    if pass.failed > 0 {
        return Err(Failure::Found(format!(
            "{} could not be dated; the log says why, and the worker tries them again",
            pass.failed
        )));
    }
    Ok(())
}
