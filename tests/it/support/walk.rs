//! Random commands by random people on random days, through the door, on several applications at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use propusk::casework::{Answered, Ask, RegisterAnswer};
use propusk::clock::{Clock, FixedClock};
use propusk::domain::actor::Actor;
use propusk::domain::checks::Outcome;
use propusk::domain::fee::{Money, Payment, Uin};
use propusk::domain::queue::Queue;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::CommandName;
use propusk::error::{Error, ErrorCode, Result};
use uuid::Uuid;

use super::cases::{commands, document};
use super::office::{Colleague, Office, render, start};

/// Throws dice; the same seed gives the same throws.
pub struct Dice(FixedClock);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(FixedClock::new(start(), seed))
    }

    pub fn below(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % u64::try_from(sides).unwrap()).unwrap()
    }

    pub fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A random walk of an office.
pub struct Walk {
    pub office: Office,
    pub dice: Dice,
    /// Every application so far.
    pub all: Vec<Uuid>,
    /// Every state that one of them was in.
    pub states: BTreeSet<String>,
    /// How many requests had an effect.
    pub effects: usize,
    /// The codes of the refusals.
    pub refusals: BTreeSet<String>,
    /// What became of the answers of registers: `first`, `changed`, `repeated` or `late`.
    pub answers: BTreeSet<&'static str>,
    /// The last answer of a register about each application.
    said: BTreeMap<Uuid, RegisterAnswer>,
    /// Those that are not over.
    pub under_way: Vec<Uuid>,
}

/// How many applications are under way at a time.
const AT_A_TIME: usize = 6;

impl Walk {
    pub async fn begin(seed: u64) -> Self {
        Self {
            office: Office::open().await,
            dice: Dice::new(seed),
            all: Vec::new(),
            states: BTreeSet::new(),
            effects: 0,
            refusals: BTreeSet::new(),
            answers: BTreeSet::new(),
            said: BTreeMap::new(),
            under_way: Vec::new(),
        }
    }

    /// Does one thing to one application, allowed or not; a fault of ours ends the test.
    pub async fn step(&mut self) {
        if self.under_way.len() < AT_A_TIME {
            self.open().await;
        }
        let id = *self.dice.one_of(&self.under_way);
        let done = match self.dice.below(20) {
            0 => {
                self.office.clock.advance(TimeDelta::hours(20 * (1 + self.hours().await)));
                Ok(())
            }
            1..=4 => self.lease(id).await,
            5 => self.write_draft(id).await,
            6 | 7 => self.pay(id).await,
            8 | 9 => self.answer(id).await,
            _ => self.command(id).await,
        };
        match done {
            Ok(()) => self.effects += 1,
            Err(Error::Refused(refusal)) => {
                assert_ne!(refusal.code, ErrorCode::Unavailable);
                self.refusals.insert(format!("{:?}", refusal.code));
            }
            Err(ours) => panic!("{id}: {}", propusk::telemetry::chain(&ours)),
        }
        let now = self.office.now(id).await.application;
        let definition = self.office.rules.definition(&now.track, now.workflow_version).unwrap();
        if definition.state(&now.state).unwrap().is_final {
            self.under_way.retain(|known| *known != id);
        }
        self.states.insert(now.state);
    }

    /// A day mostly, some weeks where everybody waits for a deadline.
    async fn hours(&self) -> i64 {
        if self.dice.below(4) > 0 { 0 } else { i64::try_from(self.dice.below(30)).unwrap() }
    }

    async fn open(&mut self) {
        let number = self.all.len();
        let (track, who) = match number % 3 {
            0 => ("patent", &self.office.migrant),
            1 => ("highly-qualified-specialist", &self.office.employer),
            _ => ("patent", &self.office.employer),
        };
        // Every fourth is the person of the one before: refused while that one is under way.
        let passport = format!("FA{:07}", if number % 4 == 3 { number - 1 } else { number });
        let id = self.office.draft(who, track, &passport).await.unwrap();
        // The worker entered at the start; by now he may be late, and has then paid the fine.
        let mut form = self.office.form(&passport);
        form.entry.as_mut().unwrap().fine_receipt = Some("18810".into());
        self.office.casework.amend(&who.ask(), id, &form, &render).await.unwrap();
        // Some begin further on: by chance alone, few would get there.
        let goal = if number % 4 == 3 { 0 } else { number % 5 };
        if goal > 0 {
            self.office.give(who, id, Command::Submit).await.unwrap();
            self.office.pay(id).await;
        }
        if goal > 1 {
            self.office.give(&self.office.anna, id, Command::Accept).await.unwrap();
            self.office.clear(&self.office.anna, id).await;
        }
        if goal > 2 {
            let granted = self.office.give(&self.office.boris, id, Command::Grant).await.unwrap();
            if granted.application.state == "awaitingPayment" {
                self.office.pay(id).await;
            }
        }
        if goal > 3 {
            self.office.give(&self.office.boris, id, Command::HandOver).await.unwrap();
        }
        self.all.push(id);
        self.under_way.push(id);
    }

    fn people(&self) -> [&Colleague; 6] {
        let office = &self.office;
        [
            &office.migrant,
            &office.employer,
            &office.anna,
            &office.boris,
            &office.senior,
            &office.vera,
        ]
    }

    async fn lease(&self, id: Uuid) -> Result<()> {
        let who = *self.dice.one_of(&[&self.office.anna, &self.office.boris, &self.office.senior]);
        let (casework, ask) = (&self.office.casework, who.ask());
        match self.dice.below(3) {
            0 => casework.release(&ask, id, Some("away"), &render).await.map(drop),
            1 => casework.claim(&ask, id, &render).await.map(drop),
            _ => {
                let key = format!("{}", self.effects);
                let queues = Queue::defaults();
                let queue = self.dice.one_of(&queues);
                casework.claim_next(&who.ask_with_key(&key), "77", queue, &render).await.map(drop)
            }
        }
    }

    async fn write_draft(&self, id: Uuid) -> Result<()> {
        let who = *self.dice.one_of(&self.people());
        let casework = &self.office.casework;
        if self.dice.below(2) == 0 {
            let mut form = self.office.now(id).await.application.form;
            form.prepaid_months = Some(1 + u32::try_from(self.dice.below(12)).unwrap());
            casework.amend(&who.ask(), id, &form, &render).await.map(drop)
        } else {
            casework.attach(&who.ask(), id, &document("passport"), &render).await.map(drop)
        }
    }

    async fn pay(&self, id: Uuid) -> Result<()> {
        let charges = self.office.now(id).await.application.charges;
        let uin = charges.last().map_or_else(|| Uin::compose("188", 5), |one| one.uin.clone());
        let due = charges.last().map_or(100, |one| one.outstanding().kopecks()).max(1);
        let part = *self.dice.one_of(&[due, due, (due / 3).max(1), due + 1]);
        let payment = Payment {
            provider_id: format!("walk:{}", self.dice.below(200)),
            uin: Some(uin),
            amount: Money::from_kopecks(part).unwrap(),
            paid_at: self.office.clock.now(),
            payer: None,
            ..Payment::default()
        };
        self.office.casework.receive(&payment).await.map(drop)
    }

    /// Has a register answer: for the first time or against what it said before; what it said already; to a question that
    /// was asked anew meanwhile, or about what is over.
    async fn answer(&mut self, under_way: Uuid) -> Result<()> {
        let over = self.dice.below(8) == 0;
        let id = if over { *self.dice.one_of(&self.all) } else { under_way };
        let now = self.office.now(id).await.application;
        let definition = self.office.rules.definition(&now.track, now.workflow_version).unwrap();
        let asked: Vec<_> =
            definition.checks.iter().filter(|rule| rule.register().is_some()).collect();
        let rule = *self.dice.one_of(&asked);
        let known = now.checks.iter().find(|check| check.id == rule.id);
        let outcomes =
            [Outcome::Clear, Outcome::Clear, Outcome::Hit, Outcome::NoData, Outcome::TimedOut];
        let outcome = *self.dice.one_of(&outcomes);
        let coded = outcome == Outcome::Hit && self.dice.below(2) == 0;
        let mut answer = RegisterAnswer {
            register: rule.register().unwrap().to_owned(),
            check: rule.id.clone(),
            round: known.map_or(1, |check| check.round),
            outcome,
            reason: coded.then(|| self.dice.one_of(&rule.reasons).id.clone()),
            note: (self.dice.below(2) == 0).then(|| "said".to_owned()),
            digest: Some(format!("{:02x}", self.dice.below(3)).repeat(32)),
        };
        if let Some(said) = self.said.get(&id)
            && self.dice.below(3) == 0
        {
            answer.clone_from(said);
        }
        let had = now.checks.iter().find(|check| check.id == answer.check);
        let had = had.is_some_and(|check| check.finding.is_some());
        let became = match self.office.casework.answer_register(id, &answer).await? {
            Answered::Taken if had => "changed",
            Answered::Taken => "first",
            Answered::Known => "repeated",
            Answered::TooLate => "late",
        };
        self.answers.insert(became);
        self.said.insert(id, answer);
        Ok(())
    }

    /// Gives a command: mostly one that the engine offers to somebody, now and then any to anybody.
    async fn command(&self, id: Uuid) -> Result<()> {
        let actor = match self.dice.below(7) {
            6 => Actor::Timer,
            person => self.people()[person].actor(),
        };
        let now = self.office.now(id).await.application;
        let definition = self.office.rules.definition(&now.track, now.workflow_version).unwrap();
        let mut possible = commands(&now, definition, self.office.today());
        let offered = self.office.casework.see(&actor, id, |seen| Ok(seen.choices.clone())).await;
        if let Ok(offered) = offered
            && self.dice.below(5) > 0
        {
            // Who takes back or refuses at every chance never gets far.
            let ends = [CommandName::Withdraw, CommandName::RefuseIntake, CommandName::Refuse];
            let rare = self.dice.below(6) > 0;
            let open: Vec<CommandName> = offered
                .iter()
                .filter(|choice| choice.blocked.is_empty())
                .map(|choice| choice.command)
                .filter(|name| !(rare && ends.contains(name)))
                .collect();
            if !open.is_empty() {
                let name = *self.dice.one_of(&open);
                possible.retain(|(_, command)| command.name() == name);
            }
        }
        let mut command = self.dice.one_of(&possible).1.clone();
        if let Command::RecordFinding { check, outcome, .. } = &mut command
            && !now.checks.is_empty()
        {
            check.clone_from(&self.dice.one_of(&now.checks).id);
            let outcomes = [Outcome::Clear, Outcome::Clear, Outcome::Clear, Outcome::Hit];
            *outcome = *self.dice.one_of(&outcomes);
        }
        if let Command::OverrideFinding { check, .. } = &mut command
            && let Some(hit) = now
                .checks
                .iter()
                .find(|one| one.finding.as_ref().is_some_and(|found| found.outcome.name() == "hit"))
        {
            check.clone_from(&hit.id);
        }
        let ask = Ask { actor, if_match: None, idempotency: None };
        self.office.casework.execute(&ask, id, &command, &render).await.map(drop)
    }
}
