//! Calendars: which are in force, putting another one in force, and what that does to the dates of what is under way.
//!
//! A calendar that is loaded is in force for every process with the transaction that loads it (see [`super::Casework`]'s
//! guard of writes). What was under way is then dated anew, by id, some at a time: each application by an event of its own
//! and only where a promised date is another one, so that whoever is interrupted begins again and finds less to do.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde_json::json;
use uuid::Uuid;

use super::{ATTEMPTS, Ask, Casework, NO_ANSWER, busy, definition, refusal};
use crate::domain::actor::Actor;
use crate::domain::application::InformationItem;
use crate::domain::calendar::{Calendar, CalendarError, ChangedDay, Heading, MissingYear, Mistake};
use crate::domain::clock::StatutoryClock;
use crate::domain::duty::{DutyDays, Obligation};
use crate::domain::event::Scheduled;
use crate::domain::rules::{RuleFile, Rulebook};
use crate::domain::workflow::engine::{self, Bases, Dates};
use crate::error::{Error, ErrorCode, Result, Violation};
use crate::storage::applications::{self as store, Applied, DatedRow, Key, Wants};
use crate::storage::events::PlainEvent;
use crate::storage::rule_files::{self, CALENDAR_CHANGED, Loading, Version};
use crate::storage::{hex, jobs};

/// How many applications are looked at together.
const PAGE: i64 = 100;

/// How many are where nothing is written.
const TRIAL_PAGE: i64 = 1000;

/// One version of the calendar of a year.
#[derive(Debug, Clone)]
pub struct CalendarVersion {
    /// The country, ISO 3166-1 alpha-3.
    pub country: String,
    /// The year.
    pub year: i32,
    /// Its number: greater than those of all versions before it.
    pub number: i64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub digest: String,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
    /// Whether it may still change, because its decree is not out.
    pub provisional: bool,
    /// Whether it is in force.
    pub in_force: bool,
    /// The file.
    pub text: String,
}

/// A calendar that was found right and could be put in force.
#[derive(Debug)]
pub struct Draft {
    file: RuleFile,
    /// The rules as they would be.
    rules: Rulebook,
    /// The country.
    pub country: String,
    /// The year.
    pub year: i32,
    /// The number of the version in force; zero when the year has none.
    pub seen: i64,
    /// The days of which it says something else than the version in force.
    pub days: Vec<ChangedDay>,
    /// How many of them are over, and so were counted the other way.
    pub past: usize,
}

/// An application whose date another calendar moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Id.
    pub id: Uuid,
    /// Public reference.
    pub reference: String,
    /// Unit's code.
    pub unit: String,
    /// The dates that were promised.
    pub from: Dates,
    /// The dates that the other calendar gives.
    pub to: Dates,
    /// By how many days the date moves.
    pub days: Option<i64>,
    /// By how many working days of the other calendar.
    pub working_days: Option<i64>,
}

/// Where a walk through what is under way stands; begins anew with the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// The last application that was looked at.
    pub after: Option<Uuid>,
    /// How many were looked at.
    pub seen: usize,
    /// How many have other dates now.
    pub moved: usize,
    /// How many could not be dated; the next walk meets them again.
    pub failed: usize,
    /// How many are looked at together; a hundred when it does not say.
    pub page: Option<i64>,
}

/// What a calendar makes of an application.
enum Look {
    /// Other dates.
    Moved(Move),
    /// Other last days of duties.
    Duties,
    /// The same dates; and the timer comes then.
    Timers(Vec<Scheduled>),
}

impl Casework {
    /// Lists every version of every calendar, the latest first.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails or a calendar cannot be read.
    pub async fn calendars(&self) -> Result<Vec<CalendarVersion>> {
        let versions = rule_files::versions(&mut *self.db.conn().await?).await?;
        let mut met = BTreeSet::new();
        versions
            .into_iter()
            .map(|version| {
                let in_force = met.insert(version.name.clone());
                version_of(version, in_force)
            })
            .collect()
    }

    /// Gives the calendar in force of a country and year.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when there is none.
    pub async fn calendar(&self, country: &str, year: i32) -> Result<CalendarVersion> {
        let is_it = |one: &CalendarVersion| one.country == country && one.year == year;
        let mut all = self.calendars().await?.into_iter().filter(|one| one.in_force);
        all.find(is_it).ok_or_else(Error::not_found)
    }

    /// Reads a calendar that is to be put in force, and compares it with the one that is. Changes nothing.
    ///
    /// `file` is the name under which mistakes are told; a year at its end, or the country and year of `place`, must be
    /// the calendar's own.
    ///
    /// # Errors
    /// [`ErrorCode::RuleRefused`] with a violation for each mistake: its line, its kind, what is wrong.
    pub async fn draft_calendar(
        &self,
        file: &str,
        text: &str,
        place: Option<(&str, i32)>,
    ) -> Result<Draft> {
        let mut conn = self.db.conn().await?;
        let rules = self.latest_rules(&mut conn).await?;
        let versions = rule_files::versions(&mut conn).await?;
        drop(conn);
        let Some(heading) = Calendar::heading(text) else {
            return Err(wrong(file, Calendar::parse(&[(file, text)]).err().unwrap_or_default()));
        };
        let office = rules.calendar.country().as_str();
        let mut mistakes = misplaced(file, &heading, office, place);
        let in_use: Vec<&RuleFile> = rules.files.iter().filter(|one| one.is_calendar()).collect();
        let own = RuleFile { name: name_of(&in_use, heading.year), text: text.to_owned() };
        let others = in_use.into_iter().filter(|one| one.name != own.name).cloned();
        let errors = if mistakes.is_empty() {
            match rules.with_calendars(others.chain([own.clone()]).collect()) {
                Ok(read) => {
                    let days = rules.calendar.changed_days(&read.calendar, heading.year);
                    let today = self.clock.now().date_naive();
                    let known = versions.iter().find(|one| one.name == own.name);
                    return Ok(Draft {
                        seen: known.map_or(0, |known| known.number),
                        country: office.to_owned(),
                        year: heading.year,
                        past: days.iter().filter(|day| day.date <= today).count(),
                        days,
                        rules: read,
                        file: own,
                    });
                }
                Err(errors) => errors,
            }
        } else {
            Calendar::parse(&[(file, text)]).err().unwrap_or_default()
        };
        mistakes.extend(errors);
        Err(wrong(file, mistakes))
    }

    /// Lists what a calendar would move if it were put in force now, among the next applications after an id; with the
    /// last that was looked at, or nothing once all were.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails or a stored value does not decode.
    pub async fn moves(
        &self,
        draft: &Draft,
        after: Option<Uuid>,
    ) -> Result<(Vec<Move>, Option<Uuid>)> {
        let states = working_day_states(&draft.rules);
        let mut conn = self.db.conn().await?;
        let rows = store::list_dated(&mut conn, &states, after, TRIAL_PAGE).await?;
        drop(conn);
        let mut moves = Vec::new();
        for row in &rows {
            if let Look::Moved(one) = look(row, &draft.rules)? {
                moves.push(one);
            }
        }
        Ok((moves, rows.last().map(|row| row.id)))
    }

    /// Puts a calendar in force, with its event and with the job that dates what is under way anew, in the name of `role`
    /// and, where there is one, `account`; if the version in force is still the one that the draft was compared with.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails.
    pub async fn load_calendar(
        &self,
        draft: &Draft,
        role: &'static str,
        account: Option<Uuid>,
    ) -> Result<Loading> {
        let mut content = rule_files::content(&draft.file);
        content["days"] = draft
            .days
            .iter()
            .map(|day| json!({ "date": day.date, "before": day.before, "after": day.after }))
            .collect();
        let mut event = PlainEvent::now(&*self.clock, CALENDAR_CHANGED, role, content);
        if let Some(account) = account {
            event = event.by(account);
        }
        let mut conn = self.db.conn().await?;
        let loading = rule_files::load(&mut conn, &draft.file, draft.seen, &event).await?;
        drop(conn);
        if matches!(loading, Loading::Registered(_)) {
            (self.wake)();
        }
        Ok(loading)
    }

    /// Dates the next applications of a walk by the calendar in force; `false` once it is through.
    ///
    /// One that fails is logged, counted and passed over.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails; the same applications then come again.
    pub async fn redate_some(&self, pass: &mut Pass) -> Result<bool> {
        let mut conn = self.db.conn().await?;
        let rules = self.latest_rules(&mut conn).await?;
        let states = working_day_states(&rules);
        let limit = pass.page.unwrap_or(PAGE);
        let rows = store::list_dated(&mut conn, &states, pass.after, limit).await?;
        let Some(last) = rows.last().map(|row| row.id) else { return Ok(false) };
        let (mut ids, mut timers) = (Vec::new(), Vec::new());
        for row in &rows {
            match look(row, &rules) {
                Ok(Look::Moved(one)) => ids.push(one.id),
                Ok(Look::Duties) => ids.push(row.id),
                Ok(Look::Timers(jobs)) => {
                    timers.extend(jobs.into_iter().map(|job| (job, row.id, row.version)));
                }
                Err(error) => pass.fail(row.id, &error),
            }
        }
        if !timers.is_empty() && jobs::reschedule(&mut conn, &timers).await? > 0 {
            (self.wake)();
        }
        drop(conn);
        for id in ids {
            match self.redate(id).await {
                Ok(true) => pass.moved += 1,
                // Somebody else was quicker.
                Ok(false) => {}
                Err(error) => pass.fail(id, &error),
            }
        }
        pass.seen += rows.len();
        pass.after = Some(last);
        Ok(true)
    }

    /// Dates one application by the calendar in force; `false` when its dates are that calendar's already.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database fails or a year has no calendar.
    pub async fn redate(&self, id: Uuid) -> Result<bool> {
        let ask = Ask { actor: Actor::Timer, if_match: None, idempotency: None };
        for _ in 0..ATTEMPTS {
            let mut conn = self.db.conn().await?;
            let loaded = store::find(&mut conn, Key::Id(id), Wants::default()).await?;
            let Some(loaded) = loaded else { return Ok(false) };
            let known = self.rules.at(&mut conn, loaded.rules).await?;
            let definition = definition(&known.rules, &loaded.application)?;
            let now = self.clock.now();
            let context = self.context(&known.rules, definition, &loaded.unit, now, Some(&loaded));
            let step = engine::redate(&loaded.application, known.calendar, &ask.actor, &context);
            let Some(step) = step.map_err(refusal)? else { return Ok(false) };
            match self.write(&mut conn, known.number, &step, None, &ask, &NO_ANSWER).await? {
                Applied::Written => return Ok(true),
                Applied::LostRace => {}
                Applied::KeyUsed | Applied::PersonHasAnother | Applied::PaymentKnown => {
                    return Err(Error::bug("a re-dating meets no such constraint"));
                }
            }
        }
        Err(busy())
    }
}

impl Pass {
    fn fail(&mut self, application: Uuid, error: &Error) {
        self.failed += 1;
        tracing::error!(%application, ?error, "cannot date an application anew");
    }
}

impl Draft {
    /// Tells whether the year has no calendar in force yet.
    #[must_use]
    pub const fn is_new_year(&self) -> bool {
        self.seen == 0
    }

    /// Tells whether it may still change, because its decree is not out.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.rules.calendar.is_provisional(self.year).unwrap_or(false)
    }
}

fn version_of(version: Version, in_force: bool) -> Result<CalendarVersion> {
    let corrupt =
        || Error::Corrupt { table: "rule_files", column: "source", row: version.name.clone() };
    let heading = Calendar::heading(&version.source).ok_or_else(corrupt)?;
    Ok(CalendarVersion {
        country: heading.country.as_str().to_owned(),
        year: heading.year,
        number: version.number,
        digest: hex(&version.digest),
        registered_at: version.registered_at,
        provisional: heading.provisional,
        in_force,
        text: version.source,
    })
}

/// Gives the name under which the calendar of a year is registered: that of the year's file in force, or one like those of
/// the other years.
fn name_of(in_use: &[&RuleFile], year: i32) -> String {
    let is_it = |one: &&&RuleFile| Calendar::heading(&one.text).is_some_and(|it| it.year == year);
    if let Some(known) = in_use.iter().find(is_it) {
        return known.name.clone();
    }
    let like = in_use.first().and_then(|one| one.name.rsplit_once('-'));
    format!("{}-{year}.toml", like.map_or("calendars/calendar", |(stem, _)| stem))
}

/// Finds that a calendar is for another country or year than it should be.
fn misplaced(
    file: &str,
    heading: &Heading,
    office: &str,
    place: Option<(&str, i32)>,
) -> Vec<CalendarError> {
    let (country, year) = (heading.country.as_str(), heading.year);
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let named = stem.rsplit_once('-').and_then(|(_, year)| year.parse::<i32>().ok());
    let mut mistakes = Vec::new();
    let mut mistake = |line: usize, message: String| {
        let (file, mistake) = (file.to_owned(), Mistake::WrongCountryOrYear);
        mistakes.push(CalendarError { file, line, mistake, message });
    };
    let wanted = place.map_or(office, |(country, _)| country);
    if country != office || country != wanted {
        let should = if country == office { wanted } else { office };
        mistake(heading.country_line, format!("country is {country}, and should be {should}"));
    }
    if let Some(wanted) = place.map(|(_, year)| year).or(named).filter(|wanted| *wanted != year) {
        mistake(heading.year_line, format!("year is {year}, and should be {wanted}"));
    }
    mistakes
}

/// Refuses a calendar with each of its mistakes.
fn wrong(file: &str, mut mistakes: Vec<CalendarError>) -> Error {
    mistakes.sort_by_key(|one| one.line);
    let violation = |one: &CalendarError| {
        Violation::new(format!("line {}", one.line), one.mistake.name(), one.message.clone())
    };
    let detail = "The calendar is wrong; mend each of the listed mistakes and send it again.";
    Error::refused(ErrorCode::RuleRefused, detail)
        .with_violations(mistakes.iter().map(violation).collect())
        .with_fact("file", file)
}

/// Names the states, of whatever definition, in which the timer's days are working days.
fn working_day_states(rules: &Rulebook) -> Vec<String> {
    let states = rules.definitions.iter().flat_map(|definition| &definition.states);
    let counting = states.filter(|state| engine::counts_working_days(state));
    let names: BTreeSet<&str> = counting.map(|state| state.id.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Says what the calendar of some rules makes of an application.
fn look(row: &DatedRow, rules: &Rulebook) -> Result<Look> {
    let corrupt = |column: &'static str| Error::Corrupt {
        table: "applications",
        column,
        row: row.id.to_string(),
    };
    let missing = |missing: MissingYear| Error::internal("the calendar lacks a year", missing);
    let clock: Option<StatutoryClock> =
        row.clock.clone().map(serde_json::from_value).transpose().map_err(|_| corrupt("clock"))?;
    let from = Dates { due_on: row.due_on, standard_due_on: row.standard_due_on };
    if let Some(to) = engine::moved(clock.as_ref(), from, &rules.calendar).map_err(missing)? {
        return Ok(Look::Moved(Move {
            id: row.id,
            reference: row.reference.clone(),
            unit: row.unit_code.clone(),
            from,
            to,
            days: from.due_on.zip(to.due_on).map(|(from, to)| (to - from).num_days()),
            working_days: from
                .due_on
                .zip(to.due_on)
                .map(|(from, to)| working_days(from, to, &rules.calendar))
                .transpose()
                .map_err(missing)?,
        }));
    }
    let version = u32::try_from(row.workflow_version).unwrap_or_default();
    let definition = rules.definition(&row.track, version);
    let duties: Vec<Obligation> =
        serde_json::from_value(row.duties.clone()).map_err(|_| corrupt("duties"))?;
    let owed = definition.map_or(&[][..], |definition| &definition.permit.duties);
    if row.duty_is_dated
        && !engine::moved_duties(&duties, owed, &rules.calendar).map_err(missing)?.is_empty()
    {
        return Ok(Look::Duties);
    }
    let state = definition.and_then(|definition| definition.state(&row.state));
    let Some(state) = state.filter(|state| engine::counts_working_days(state)) else {
        return Ok(Look::Timers(Vec::new()));
    };
    let information: Vec<InformationItem> =
        serde_json::from_value(row.information.clone()).map_err(|_| corrupt("information"))?;
    let zone: Tz = row.time_zone.parse().map_err(|_| Error::Corrupt {
        table: "units",
        column: "time_zone",
        row: row.unit_code.clone(),
    })?;
    let bases = Bases {
        since: row.state_since.with_timezone(&zone).date_naive(),
        due_on: row.due_on,
        information: &information,
        permit_days: row.permit_ends_on.map(|ends_on| (row.permit_paid_through, ends_on)),
        duty_days: DutyDays::of(&duties, owed),
    };
    engine::timers(row.id, state, bases, &rules.calendar, zone).map(Look::Timers).map_err(missing)
}

/// Counts the working days from one date to another, less than zero when that is earlier.
fn working_days(from: NaiveDate, to: NaiveDate, calendar: &Calendar) -> Result<i64, MissingYear> {
    let between = |one, other| calendar.working_days_between(one, other).map(i64::from);
    if to < from { between(to, from).map(|days| -days) } else { between(from, to) }
}
