//! Checks that need nobody's answer: what they find follows from the form, the day, the rules and the applications of
//! the same person, all of which are arguments.
//!
//! Agreement is consistency, not authenticity: a passport whose lines agree with the form can still be forged, which is
//! for an officer and the registers to find. A finding names other applications by their public reference alone.

use chrono::{Days, NaiveDate};

use super::Outcome;
use crate::domain::form::{Form, Person};
use crate::domain::ground::{GroundCatalogue, GroundCode};
use crate::domain::identity::{Mrz, PassportNumber, Sex, name};
use crate::domain::permit::add_months;
use crate::domain::reference::Reference;
use crate::domain::workflow::definition::{Definition, Guard, LocalCheck};

/// How many other applications a note names.
const NAMED: usize = 10;

/// Another application that was handed in, of the same passport number or of somebody born on the same day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// Its public reference.
    pub reference: Reference,
    /// Its track.
    pub track: String,
    /// Of whom it is.
    pub person: Person,
    /// The passport it states.
    pub passport: PassportNumber,
    /// The annulment of its permit.
    pub annulled: Option<Annulled>,
}

/// That a permit was annulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annulled {
    /// The first day on which it was not in force.
    pub on: NaiveDate,
    /// On what grounds.
    pub grounds: Vec<GroundCode>,
}

/// What a local check looks at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What is stated.
    pub form: &'a Form,
    /// The day on which it was handed in, where the office is.
    pub handed_in_on: NaiveDate,
    /// Today, where the office is.
    pub today: NaiveDate,
    /// The definition: its guards hold the numbers.
    pub definition: &'a Definition,
    /// The grounds: they hold the bars.
    pub grounds: &'a GroundCatalogue,
    /// The other applications that were handed in.
    pub twins: &'a [Twin],
}

/// What a local check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The answer: clear, hit or no data.
    pub outcome: Outcome,
    /// Why, of [`LocalCheck::reasons`]; with a hit only.
    pub reason: Option<&'static str>,
    /// What was found, for the office.
    pub note: Option<String>,
}

impl Found {
    const CLEAR: Self = Self { outcome: Outcome::Clear, reason: None, note: None };

    fn nothing(of: &str) -> Self {
        Self { outcome: Outcome::NoData, reason: None, note: Some(format!("{of} not stated.")) }
    }

    fn hit(reason: &'static str, note: String) -> Self {
        Self { outcome: Outcome::Hit, reason: Some(reason), note: Some(note) }
    }
}

/// Answers a local check.
#[must_use]
pub fn find(check: LocalCheck, scene: &Scene<'_>) -> Found {
    match check {
        LocalCheck::Mrz => mrz(scene),
        LocalCheck::Age => age(scene),
        LocalCheck::EntryWindow => entry_window(scene),
        LocalCheck::DuplicatePerson => duplicate_person(scene),
        LocalCheck::PermitBan => permit_ban(scene),
    }
}

/// Gives the number of the first guard that `wanted` takes one from.
pub(in crate::domain) fn number_of(
    definition: &Definition,
    wanted: fn(&Guard) -> Option<u32>,
) -> Option<u32> {
    definition.transitions.iter().flat_map(|transition| &transition.guards).find_map(wanted)
}

/// Takes the years from the guard `ageAtLeast`.
pub(in crate::domain) fn years(guard: &Guard) -> Option<u32> {
    if let Guard::AgeAtLeast(years) = guard { Some(*years) } else { None }
}

/// Takes the days from the guard `withinDaysOfEntryOrFined`.
pub(in crate::domain) fn days(guard: &Guard) -> Option<u32> {
    if let Guard::WithinDaysOfEntryOrFined(days) = guard { Some(*days) } else { None }
}

fn mrz(scene: &Scene<'_>) -> Found {
    let (Some(person), Some(passport)) = (&scene.form.person, &scene.form.passport) else {
        return Found::nothing("The passport is");
    };
    let Some([line1, line2]) = &passport.mrz else {
        return Found::nothing("The machine-readable lines are");
    };
    let mrz = match Mrz::parse(line1, line2, scene.today) {
        Ok(mrz) => mrz,
        Err(error) => return Found::hit("unreadable", error.to_string()),
    };
    // The names fill the line and are cut where they are long; no digit proves them.
    let cut = !line1.trim_end().ends_with('<');
    let given = mrz.given_names.split(' ').next().unwrap_or_default();
    let unsaid = [mrz.sex, person.sex].contains(&Sex::Unspecified);
    let disagreements = [
        ("passportNumber", mrz.document_number != passport.number.as_str()),
        ("expiresOn", mrz.expires_on != passport.expires_on),
        ("birthDate", mrz.birth_date != person.birth_date),
        ("sex", !unsaid && mrz.sex != person.sex),
        ("citizenship", mrz.citizenship().is_some_and(|code| code != person.citizenship)),
        (
            "name",
            !(same_in_latin(&person.family_name, &mrz.surname, cut)
                && same_in_latin(first_word(&person.given_name), given, cut)),
        ),
    ];
    let mut wrong = disagreements.iter().filter(|(_, wrong)| *wrong).map(|(field, _)| *field);
    let Some(first) = wrong.next() else { return Found::CLEAR };
    let fields: Vec<&str> = std::iter::once(first).chain(wrong).collect();
    let note = format!("The machine-readable lines and the form differ in: {}.", fields.join(", "));
    Found::hit(first, note)
}

fn age(scene: &Scene<'_>) -> Found {
    let Some(person) = &scene.form.person else { return Found::nothing("The birth date is") };
    let Some(years) = number_of(scene.definition, years) else { return Found::CLEAR };
    let of_age = add_months(person.birth_date, years * 12);
    if scene.today >= of_age {
        return Found::CLEAR;
    }
    Found::hit("underAge", format!("The worker is {years} years old from {of_age} on."))
}

fn entry_window(scene: &Scene<'_>) -> Found {
    // Who holds a permit that is to be re-issued entered long ago.
    let reissues = |guard: &Guard| {
        if let Guard::ReissueInTime(days) = guard { Some(*days) } else { None }
    };
    if scene.form.reissues.is_some() && number_of(scene.definition, reissues).is_some() {
        return Found::CLEAR;
    }
    let Some(entry) = &scene.form.entry else { return Found::nothing("The entry is") };
    let Some(days) = number_of(scene.definition, days) else { return Found::CLEAR };
    let last = entry.entered_on + Days::new(u64::from(days));
    if scene.handed_in_on <= last || entry.fine_receipt.is_some() {
        return Found::CLEAR;
    }
    let note = format!(
        "Handed in on {}; the {days} days after entry ended on {last}, and no fine is stated as paid.",
        scene.handed_in_on
    );
    Found::hit("late", note)
}

fn duplicate_person(scene: &Scene<'_>) -> Found {
    let (Some(person), Some(passport)) = (&scene.form.person, &scene.form.passport) else {
        return Found::nothing("The passport is");
    };
    let (mut strangers, mut other_passports) = (Vec::new(), Vec::new());
    for twin in scene.twins {
        let same = same_person(person, &twin.person);
        if twin.passport == passport.number {
            // His own earlier application has all of it in common.
            if !same || twin.person.citizenship != person.citizenship {
                strangers.push(&twin.reference);
            }
        } else if same {
            other_passports.push(&twin.reference);
        }
    }
    let mut notes = Vec::new();
    if !strangers.is_empty() {
        notes.push(format!("The same passport number for somebody else: {}.", list(&strangers)));
    }
    if !other_passports.is_empty() {
        notes.push(format!(
            "The same birth date and name with another passport: {}.",
            list(&other_passports)
        ));
    }
    match (strangers.is_empty(), other_passports.is_empty()) {
        (true, true) => Found::CLEAR,
        (true, false) => Found::hit("samePerson", notes.join(" ")),
        (false, _) => Found::hit("samePassport", notes.join(" ")),
    }
}

fn permit_ban(scene: &Scene<'_>) -> Found {
    let (Some(person), Some(passport)) = (&scene.form.person, &scene.form.passport) else {
        return Found::nothing("The passport is");
    };
    let mut worst: Option<(NaiveDate, &'static str, &Reference)> = None;
    for twin in scene.twins.iter().filter(|twin| twin.track == scene.definition.track) {
        let Some(until) = twin.annulled.as_ref().and_then(|one| barred_until(one, scene.grounds))
        else {
            continue;
        };
        let same_passport =
            twin.passport == passport.number && twin.person.citizenship == person.citizenship;
        let reason = if same_passport {
            "annulled"
        } else if same_person(person, &twin.person) {
            "annulledUnderOtherPassport"
        } else {
            continue;
        };
        // What is certain goes before what is only likely, then the longer bar.
        let graver = worst
            .is_none_or(|(known, by, _)| (reason == "annulled", until) > (by == "annulled", known));
        if scene.today < until && graver {
            worst = Some((until, reason, &twin.reference));
        }
    }
    let Some((until, reason, reference)) = worst else { return Found::CLEAR };
    let note =
        format!("The permit of {reference} was annulled; a new one is possible from {until}.");
    Found::hit(reason, note)
}

/// Gives the first day after the longest bar that the grounds of an annulment carry.
fn barred_until(annulled: &Annulled, grounds: &GroundCatalogue) -> Option<NaiveDate> {
    let bars = annulled.grounds.iter().filter_map(|code| grounds.get(code)?.bar_months);
    bars.max().map(|months| add_months(annulled.on, months))
}

/// Tells whether two may be one person: born on the same day, and named alike in either order.
fn same_person(one: &Person, other: &Person) -> bool {
    let alike = |a: &str, b: &str| near(&name::fold(a), &name::fold(b), leeway);
    let straight =
        || alike(&one.family_name, &other.family_name) && alike(&one.given_name, &other.given_name);
    let crossed =
        || alike(&one.family_name, &other.given_name) && alike(&one.given_name, &other.family_name);
    one.birth_date == other.birth_date && (straight() || crossed())
}

/// Tells whether a stated name can be the one printed in Latin letters; states transliterate differently.
fn same_in_latin(stated: &str, printed: &str, cut: bool) -> bool {
    let (mut stated, printed) = (name::fold(stated), name::fold(printed));
    if cut {
        stated = stated.chars().take(printed.chars().count()).collect();
    }
    near(&stated, &printed, |letters| letters.div_ceil(3))
}

/// Tells whether two folded names differ by no more letters than `leeway` allows for the length of the shorter.
fn near(one: &str, other: &str, leeway: impl Fn(usize) -> usize) -> bool {
    let letters = |name: &str| name.chars().filter(|letter| *letter != ' ').count();
    let shorter = letters(one).min(letters(other));
    shorter > 0 && name::distance(one, other) <= leeway(shorter)
}

/// How many letters of a name may differ: none of a short one, one, two of a long one.
const fn leeway(letters: usize) -> usize {
    match letters {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or(text)
}

/// Lists references, the first few by name.
fn list(references: &[&Reference]) -> String {
    let named: Vec<String> = references.iter().take(NAMED).map(ToString::to_string).collect();
    match references.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests;
