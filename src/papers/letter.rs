//! The letter that tells a decision: what was decided, on which law and grounds, what one can do, how to complain.

use chrono::{DateTime, NaiveDate, Utc};
use fluent_bundle::FluentArgs;

use super::sheet::{Sheet, Style};
use super::{Bilingual, Words, day, joined};
use crate::error::Result;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// To grant.
    Granted,
    /// To refuse.
    Refused,
    /// Not to take the application in.
    IntakeRefused,
    /// To annul the permit.
    Annulled,
}

impl Outcome {
    const fn key(self) -> &'static str {
        match self {
            Self::Granted => "letter-granted",
            Self::Refused => "letter-refused",
            Self::IntakeRefused => "letter-intake-refused",
            Self::Annulled => "letter-annulled",
        }
    }
}

/// Everything that stands in a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionLetter {
    /// The holder's language.
    pub language: String,
    /// What was decided.
    pub outcome: Outcome,
    /// The office.
    pub unit: String,
    /// Reference of the application.
    pub reference: String,
    /// The decision's number: the event's within its application.
    pub number: i32,
    /// The office's date.
    pub on: NaiveDate,
    /// Whom it is for.
    pub name: String,
    /// What the track is called.
    pub title: Bilingual,
    /// Series and number of the permit that is annulled.
    pub permit: Option<String>,
    /// The article that allows it.
    pub basis: String,
    /// Each ground: its code and its official wording.
    pub grounds: Vec<(String, Bilingual)>,
    /// What the officer wrote, in his language.
    pub reason: Option<String>,
    /// What happens next.
    pub next: Option<Bilingual>,
    /// Where the application is looked up.
    pub look_at: String,
    /// Who decided.
    pub decided_by: String,
    /// The instant of the decision.
    pub at: DateTime<Utc>,
}

pub(super) fn print(letter: &DecisionLetter, words: &Words<'_>) -> Result<Vec<u8>> {
    let mut sheet = Sheet::new()?;
    sheet.text(&letter.unit, Style::HEADING);
    sheet.skip(14.0);
    let title = words.line("letter-title")?;
    sheet.text(&title, Style::TITLE);
    sheet.skip(8.0);
    for (label, value) in [
        ("letter-number", format!("{}-{}", letter.reference, letter.number)),
        ("letter-date", day(letter.on)),
        ("letter-to", letter.name.clone()),
        ("letter-track", joined(letter.title.pair())),
        ("permit-number", letter.permit.clone().unwrap_or_default()),
    ] {
        if value.is_empty() {
            continue;
        }
        sheet.room(30.0);
        sheet.text(&words.line(label)?, Style::LABEL);
        sheet.text(&value, Style::VALUE);
        sheet.skip(3.0);
    }

    let section = |sheet: &mut Sheet, heading: &str| -> Result<()> {
        sheet.room(50.0);
        sheet.skip(10.0);
        sheet.text(&words.line(heading)?, Style::HEADING);
        sheet.skip(2.0);
        Ok(())
    };
    let both = |sheet: &mut Sheet, (official, own): (String, Option<String>)| {
        sheet.text(&official, Style::VALUE);
        if let Some(own) = own {
            sheet.text(&own, Style::OTHER);
        }
    };
    section(&mut sheet, "letter-decision")?;
    both(&mut sheet, words.both(letter.outcome.key())?);
    section(&mut sheet, "letter-basis")?;
    sheet.text(&letter.basis, Style::VALUE);
    if !letter.grounds.is_empty() {
        section(&mut sheet, "letter-grounds")?;
        for (code, wording) in &letter.grounds {
            let (official, own) = wording.pair();
            both(&mut sheet, (format!("{code}: {official}"), own));
            sheet.skip(3.0);
        }
    }
    if let Some(reason) = &letter.reason {
        section(&mut sheet, "letter-reason")?;
        sheet.text(reason, Style::VALUE);
    }
    if let Some(next) = &letter.next {
        section(&mut sheet, "letter-next")?;
        both(&mut sheet, next.pair());
    }
    section(&mut sheet, "letter-complaint")?;
    let mut args = FluentArgs::new();
    args.set("reference", letter.reference.clone());
    args.set("link", letter.look_at.clone());
    both(&mut sheet, words.both_with("letter-complain", &args)?);
    section(&mut sheet, "letter-decided-by")?;
    sheet.text(&letter.decided_by, Style::VALUE);
    sheet.text(&letter.unit, Style::VALUE);
    let foot = format!("{}-{}", letter.reference, letter.number);
    sheet.print(&format!("{title} {foot}"), &foot, letter.at)
}
