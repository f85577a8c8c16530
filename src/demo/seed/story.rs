//! What becomes of each of the demo's applications, and when: planned in full before anything happens.
//!
//! The plan follows from the seed, the rules and the day alone. What a track needs is taken from its definition:
//! sections, documents, who may apply. A step that would lie in the future is left out, so that an application is
//! today where its story has got to.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::names::{self, Nation};
use crate::clock::{Clock as _, FixedClock};
use crate::domain::actor::Role;
use crate::domain::fee::Money;
use crate::domain::form::{
    Contact, Contract, Employer, Entry, Form, Occupation, Passport, Person, SalaryPeriod,
};
use crate::domain::identity::{CountryCode, EmailAddress, Inn, PassportNumber, Sex};
use crate::domain::rules::Rulebook;
use crate::domain::workflow::definition::Definition;
use crate::error::{Error, Result};

/// How many stories there are.
const STORIES: usize = 300;
/// Officers of each unit that stories distinguish: one accepts and checks, another decides.
pub const OFFICERS: usize = 3;
/// What the office's clocks are ahead of UTC: Moscow has had no summer time since 2014.
const MOSCOW: TimeDelta = TimeDelta::hours(3);

/// Who applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applicant {
    /// The worker, with an account of his own.
    Worker,
    /// The demo's own migrant.
    Rustam,
    /// A company of [`names::COMPANIES`]; the first is the demo's own employer.
    Company(usize),
}

/// One thing that somebody does. Officers are numbered within the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The applicant opens a draft.
    Open,
    /// The applicant hands in every required document.
    Attach,
    /// The applicant hands the draft in.
    Submit,
    /// Whatever is owed is paid.
    Pay,
    /// An officer takes it in.
    Accept(usize),
    /// An officer refuses to take it in.
    RefuseIntake(usize),
    /// An officer records clear answers to all checks but so many.
    Clear(usize, usize),
    /// An officer records a hit on the last check that has no answer.
    Hit(usize),
    /// The senior officer sets the hit aside.
    Override,
    /// An officer asks for a better copy.
    Ask(usize),
    /// The applicant answers.
    Answer,
    /// An officer grants.
    Grant(usize),
    /// An officer refuses.
    Refuse(usize),
    /// An officer hands the permit over.
    HandOver(usize),
    /// An officer proposes the annulment.
    Propose(usize),
    /// The senior officer confirms it.
    Confirm,
    /// The senior officer turns it down.
    Reject,
    /// The applicant takes the application back.
    Withdraw,
}

/// An [`Act`] and when it is done.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub act: Act,
}

/// An application and what becomes of it.
#[derive(Debug, Clone)]
pub struct Story {
    /// The track.
    pub track: String,
    /// The unit's code.
    pub unit: &'static str,
    /// Who applies.
    pub applicant: Applicant,
    /// The role as which he applies.
    pub role: Role,
    /// What is stated.
    pub form: Form,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// What kind of story it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    Whole,
    WholeAfterQuestion,
    WholeAfterOverride,
    Refused,
    RefusedAtIntake,
    Withdrawn,
    Abandoned,
    Unpaid,
    Waiting,
    Overdue,
    Asked,
    Unanswered,
    Granted,
    Ready,
    Annulled,
    Proposed,
    Kept,
}

/// Plots with how many in a hundred stories have them.
const PLOTS: [(Plot, u64); 17] = [
    (Plot::Whole, 33),
    (Plot::WholeAfterQuestion, 8),
    (Plot::WholeAfterOverride, 3),
    (Plot::Refused, 8),
    (Plot::RefusedAtIntake, 5),
    (Plot::Withdrawn, 5),
    (Plot::Abandoned, 6),
    (Plot::Unpaid, 4),
    (Plot::Waiting, 5),
    (Plot::Overdue, 5),
    (Plot::Asked, 4),
    (Plot::Unanswered, 2),
    (Plot::Granted, 3),
    (Plot::Ready, 3),
    (Plot::Annulled, 2),
    (Plot::Proposed, 2),
    (Plot::Kept, 2),
];

/// Plans every story from `start` to `now`.
///
/// # Errors
/// [`Error::Internal`] when the lists of names hold something that does not parse.
pub fn plan(rules: &Rulebook, start: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<Story>> {
    let mut teller = Teller { dice: Dice::new(2026), rules, start, now, cursor: start };
    (0..STORIES).map(|number| teller.tell(number)).collect()
}

/// Randomness that follows from a seed.
struct Dice(FixedClock);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(FixedClock::new(DateTime::UNIX_EPOCH, seed))
    }

    /// Gives a number from zero on, less than `end`.
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end.max(1)
    }

    fn between(&self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than the list's length")]
    fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

struct Teller<'a> {
    dice: Dice,
    rules: &'a Rulebook,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    cursor: DateTime<Utc>,
}

impl Teller<'_> {
    fn tell(&mut self, number: usize) -> Result<Story> {
        // The demo's own migrant had a permit that was not paid on, and applies again.
        let own = number < 2;
        let plot = match number {
            0 => Plot::Whole,
            1 => Plot::Overdue,
            _ => self.plot(),
        };
        self.cursor = match number {
            0 => self.start + TimeDelta::days(4),
            1 => self.now - TimeDelta::days(6),
            _ => self.beginning(plot),
        }
        .max(self.start);
        let opened_on = local(self.cursor);
        let definition = self.definition(number, own, opened_on)?;
        let by_workers = definition.applicants.contains(&Role::Migrant);
        let company = self.dice.below(names::COMPANIES.len() as u64 + 4) as usize;
        // The demo's own employer has more to do than the others.
        let company = if company < names::COMPANIES.len() { company } else { 0 };
        let (applicant, role) = match () {
            () if own => (Applicant::Rustam, Role::Migrant),
            () if by_workers && self.dice.percent(45) => (Applicant::Worker, Role::Migrant),
            () => (Applicant::Company(company), Role::Employer),
        };
        let unit = if own { "77" } else { names::COMPANIES[company].1 };
        let form = self.form(number, own, definition, company, plot)?;
        let track = definition.track.clone();
        let mut steps = self.steps(plot);
        steps.retain(|step| step.at <= self.now);
        Ok(Story { track, unit, applicant, role, form, steps })
    }

    fn plot(&self) -> Plot {
        let mut dice = self.dice.below(PLOTS.iter().map(|(_, weight)| weight).sum());
        for (plot, weight) in PLOTS {
            if dice < weight {
                return plot;
            }
            dice -= weight;
        }
        Plot::Whole
    }

    /// Chooses when a story begins: some are to be under way today.
    fn beginning(&self, plot: Plot) -> DateTime<Utc> {
        let days = match plot {
            Plot::Waiting => self.dice.between(2, 9),
            Plot::Overdue => self.dice.between(17, 50),
            Plot::Asked => self.dice.between(5, 9),
            Plot::Granted => self.dice.between(12, 45),
            Plot::Ready => self.dice.between(14, 50),
            Plot::Proposed => self.dice.between(25, 80),
            _ if self.dice.percent(35) => self.dice.between(0, 35),
            _ => self.dice.below((self.now - self.start).num_days().unsigned_abs() + 1),
        };
        let at = self.now - Days::new(days);
        let minute = self.dice.between(4 * 60, 18 * 60);
        let at = at.date_naive().and_time(NaiveTime::MIN).and_utc()
            + TimeDelta::minutes(i64::try_from(minute).unwrap_or(0));
        at.min(self.now)
    }

    /// Chooses a track: one in six is of those that only employers apply on.
    fn definition(&self, number: usize, own: bool, on: NaiveDate) -> Result<&Definition> {
        let mut tracks: Vec<&str> =
            self.rules.definitions.iter().map(|one| one.track.as_str()).collect();
        tracks.sort_unstable();
        tracks.dedup();
        let current: Vec<&Definition> =
            tracks.into_iter().filter_map(|track| self.rules.current(track, on)).collect();
        let workers = own || !number.is_multiple_of(6);
        let fitting: Vec<&&Definition> = current
            .iter()
            .filter(|one| one.applicants.contains(&Role::Migrant) == workers)
            .collect();
        fitting
            .get(number % fitting.len().max(1))
            .map(|one| **one)
            .or_else(|| current.first().copied())
            .ok_or_else(|| Error::bug(format!("no track is in force on {on}")))
    }

    fn form(
        &self,
        number: usize,
        own: bool,
        definition: &Definition,
        company: usize,
        plot: Plot,
    ) -> Result<Form> {
        let dice = &self.dice;
        let today = local(self.cursor);
        let by_workers = definition.applicants.contains(&Role::Migrant);
        let nation: &Nation = match () {
            () if own => names::WORKERS[0],
            () if by_workers => dice.pick::<&Nation>(&names::WORKERS),
            () => dice.pick::<&Nation>(&names::SPECIALISTS),
        };
        let wanted = |section: &str| definition.required_fields.iter().any(|one| one == section);
        let person = if own { rustam()? } else { self.person(nation)? };
        let issued_on = today - Days::new(dice.between(200, 1200));
        let issued_on = if own { day(2023, 6, 14) } else { issued_on };
        let passport = format!("{}{:07}", nation.passport, 1_000_003 + number.max(1) * 29_989);
        let entered = dice.between(2, 18);
        let late = dice.percent(6);
        let (code, title) =
            *if by_workers { dice.pick(&names::TRADES) } else { dice.pick(&names::PROFESSIONS) };
        let long = matches!(plot, Plot::Annulled | Plot::Proposed | Plot::Kept);
        let months = if long { 9 } else { *dice.pick(&[1, 1, 2, 3, 3, 4, 6, 6, 12, 12]) };
        let parsed = |error: &dyn std::fmt::Display| Error::bug(format!("the seed: {error}"));
        let employed = wanted("employer") || dice.percent(60);
        Ok(Form {
            person: Some(person),
            passport: Some(Passport {
                number: PassportNumber::parse(&passport).map_err(|error| parsed(&error))?,
                issued_on,
                expires_on: issued_on + Days::new(3650),
                mrz: None,
            }),
            entry: wanted("entry").then(|| Entry {
                entered_on: today - Days::new(if late { 48 } else { entered }),
                migration_card: format!(
                    "46{:02} {:07}",
                    today.year() % 100,
                    dice.below(10_000_000)
                ),
                fine_receipt: late.then(|| format!("188102772600{:08}", dice.below(100_000_000))),
            }),
            occupation: Some(Occupation { code: code.to_owned(), title: title.to_owned() }),
            employer: employed
                .then(|| {
                    let (name, unit) = names::COMPANIES[company];
                    Inn::parse(&inn(unit, company))
                        .map(|inn| Employer { inn, name: name.to_owned(), okved: None })
                        .map_err(|error| parsed(&error))
                })
                .transpose()?,
            contract: wanted("contract")
                .then(|| {
                    let kopecks = 100_000 * i64::try_from(dice.between(260, 900)).unwrap_or(300);
                    let salary = Money::from_kopecks(kopecks)
                        .ok_or_else(|| Error::bug("a salary below zero"))?;
                    Ok::<_, Error>(Contract {
                        salary,
                        salary_period: SalaryPeriod::Month,
                        starts_on: today + Days::new(30),
                        // Some only come for a season.
                        ends_on: match dice.below(10) {
                            0..4 => None,
                            4..6 => Some(today + Days::new(30 + 90)),
                            _ => Some(today + Days::new(30 + 730)),
                        },
                    })
                })
                .transpose()?,
            contact: Some(Contact {
                email: EmailAddress::parse(&format!("applicant{number}@mail.example"))
                    .map_err(|error| parsed(&error))?,
                phone: Some(format!("+7999{:07}", dice.below(10_000_000))),
                language: if dice.percent(80) { "ru" } else { "en" }.to_owned(),
            }),
            prepaid_months: wanted("prepaidMonths").then_some(if own { 2 } else { months }),
            reissues: None,
        })
    }

    fn person(&self, nation: &Nation) -> Result<Person> {
        let dice = &self.dice;
        let woman = dice.percent(22);
        let family = dice.pick(nation.families);
        let father = dice.pick(nation.men);
        let (son, daughter) = nation.patronymic;
        let ending = if woman { daughter } else { son };
        let stem = father.trim_end_matches(['а', 'ё']);
        Ok(Person {
            family_name: format!("{family}{}", if woman { nation.female_ending } else { "" }),
            given_name: (*dice.pick(if woman { nation.women } else { nation.men })).to_owned(),
            patronymic: (!ending.is_empty()).then(|| format!("{stem}{ending}")),
            birth_date: day(1968, 1, 1) + Days::new(dice.between(0, 13_500)),
            sex: if woman { Sex::Female } else { Sex::Male },
            citizenship: CountryCode::parse(nation.code)
                .map_err(|error| Error::bug(format!("the seed: {error}")))?,
            inn: None,
        })
    }

    /// Writes the steps of a plot; the cursor moves with them.
    fn steps(&mut self, plot: Plot) -> Vec<Step> {
        let first = usize::try_from(self.dice.below(OFFICERS as u64)).unwrap_or(0);
        let second = (first + 1) % OFFICERS;
        let mut told = Vec::new();
        self.add(&mut told, Act::Open, 0, 0);
        if plot == Plot::Abandoned {
            if self.dice.percent(50) {
                self.add(&mut told, Act::Attach, 0, 3);
            }
            return told;
        }
        self.add(&mut told, Act::Attach, 0, 2);
        self.add(&mut told, Act::Submit, 0, 1);
        if plot == Plot::Unpaid {
            return told;
        }
        if plot == Plot::Withdrawn && self.dice.percent(40) {
            self.add(&mut told, Act::Withdraw, 0, 4);
            return told;
        }
        self.add(&mut told, Act::Pay, 0, 1);
        match plot {
            Plot::Waiting => return told,
            Plot::RefusedAtIntake => {
                self.add(&mut told, Act::RefuseIntake(first), 1, 2);
                return told;
            }
            _ => {}
        }
        self.add(&mut told, Act::Accept(first), 0, 2);
        match plot {
            Plot::Withdrawn => {
                self.add(&mut told, Act::Withdraw, 1, 4);
                return told;
            }
            Plot::Overdue => {
                self.add(&mut told, Act::Clear(first, 2), 1, 4);
                return told;
            }
            Plot::Asked | Plot::WholeAfterQuestion | Plot::Unanswered => {
                self.add(&mut told, Act::Clear(first, 1), 1, 2);
                self.add(&mut told, Act::Ask(first), 0, 1);
                if plot == Plot::Asked {
                    return told;
                }
                if plot == Plot::Unanswered {
                    self.add(&mut told, Act::Refuse(second), 13, 16);
                    return told;
                }
                self.add(&mut told, Act::Answer, 1, 7);
                self.add(&mut told, Act::Clear(first, 0), 1, 2);
            }
            Plot::Refused | Plot::WholeAfterOverride => {
                self.add(&mut told, Act::Clear(first, 1), 1, 3);
                self.add(&mut told, Act::Hit(first), 0, 1);
                if plot == Plot::Refused {
                    self.add(&mut told, Act::Refuse(second), 1, 4);
                    return told;
                }
                self.add(&mut told, Act::Override, 1, 2);
            }
            _ => self.add(&mut told, Act::Clear(first, 0), 1, 5),
        }
        self.add(&mut told, Act::Grant(second), 1, 4);
        if plot == Plot::Granted {
            return told;
        }
        self.add(&mut told, Act::Pay, 0, 8);
        if plot == Plot::Ready {
            return told;
        }
        self.add(&mut told, Act::HandOver(second), 1, 5);
        match plot {
            Plot::Annulled | Plot::Kept => {
                self.add(&mut told, Act::Propose(first), 5, 40);
                let last = if plot == Plot::Kept { Act::Reject } else { Act::Confirm };
                self.add(&mut told, last, 1, 3);
            }
            Plot::Proposed => {
                let today = self.now - TimeDelta::days(4);
                self.cursor = self.cursor.max(today);
                self.add(&mut told, Act::Propose(first), 0, 2);
            }
            _ => {}
        }
        told
    }

    /// Adds an act so many days after the one before; the office works on working days.
    fn add(&mut self, told: &mut Vec<Step>, act: Act, least: u64, most: u64) {
        let before = self.cursor;
        if act != Act::Open {
            let mut date = local(before) + Days::new(self.dice.between(least, most));
            let theirs =
                matches!(act, Act::Attach | Act::Submit | Act::Pay | Act::Answer | Act::Withdraw);
            let open = |date| self.rules.calendar.is_working_day(date).unwrap_or(true);
            while !theirs && !open(date) {
                date = date + Days::new(1);
            }
            let (from, to) = if theirs { (8 * 60, 21 * 60) } else { (9 * 60, 17 * 60 + 30) };
            let minute = i64::try_from(self.dice.between(from, to)).unwrap_or(600);
            let at = date.and_time(NaiveTime::MIN).and_utc() - MOSCOW + TimeDelta::minutes(minute);
            let soon = i64::try_from(self.dice.between(4, 25)).unwrap_or(5);
            self.cursor = at.max(before + TimeDelta::minutes(soon));
        }
        told.push(Step { at: self.cursor, act });
    }
}

/// Gives the date in Moscow.
pub fn local(at: DateTime<Utc>) -> NaiveDate {
    (at + MOSCOW).date_naive()
}

/// Gives the first instant of a day in Moscow.
pub fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() - MOSCOW
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or(NaiveDate::MIN)
}

/// The demo's own migrant.
fn rustam() -> Result<Person> {
    Ok(Person {
        family_name: "Каримов".to_owned(),
        given_name: "Рустам".to_owned(),
        patronymic: Some("Алишерович".to_owned()),
        birth_date: day(1990, 5, 17),
        sex: Sex::Male,
        citizenship: CountryCode::parse("UZB")
            .map_err(|error| Error::bug(format!("the seed: {error}")))?,
        inn: None,
    })
}

/// Makes an organisation's tax number with its check digit (weights of FNS order MMV-7-6/435@).
fn inn(unit: &str, number: usize) -> String {
    let digits = format!("{unit}{:02}{:05}", number + 1, 20_000 + number * 1_237);
    let weights = [2, 4, 10, 3, 5, 9, 4, 6, 8];
    let sum: u32 =
        digits.chars().filter_map(|c| c.to_digit(10)).zip(weights).map(|(d, w)| d * w).sum();
    format!("{digits}{}", sum % 11 % 10)
}
