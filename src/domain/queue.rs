//! The office's work and its queues.
//!
//! What an application waits for in its office is its [`Work`]: the engine finds it anew with every event. A [`Queue`] is
//! data of a unit: a [`Filter`] over that. One predicate stands for a queue's list, its count, its metric and the claim
//! of its next application (`storage::applications::queue`).

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::application::Application;
use super::calendar::Calendar;
use super::duty::DutyStatus;
use super::workflow::definition::{Awaited, CheckSource, Definition, Phase, State, Texts};
use super::workflow::engine::Context;

/// A kind of office work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Handed in, to be taken in or refused at intake.
    Intake,
    /// Taken in; an officer has a check to answer.
    Checks,
    /// Taken in; only registers have still to answer.
    Registers,
    /// Every check is answered: to be decided.
    Decision,
    /// Granted, waiting for the applicant's money.
    Payment,
    /// Ready to be handed over.
    Handover,
    /// Annulment proposed, to be confirmed or turned down.
    Annulment,
    /// The proof of a duty was handed in, to be confirmed or turned down.
    DutyProof,
    /// A duty is overdue: to be let go, or the permit to be annulled for it.
    DutyOverdue,
    /// Something is asked about a permit in force, or it is suspended.
    Request,
}

impl Work {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Intake,
        Self::Checks,
        Self::Registers,
        Self::Decision,
        Self::Payment,
        Self::Handover,
        Self::Annulment,
        Self::DutyProof,
        Self::DutyOverdue,
        Self::Request,
    ];

    /// Gives the kind's name as it stands in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Checks => "checks",
            Self::Registers => "registers",
            Self::Decision => "decision",
            Self::Payment => "payment",
            Self::Handover => "handover",
            Self::Annulment => "annulment",
            Self::DutyProof => "dutyProof",
            Self::DutyOverdue => "dutyOverdue",
            Self::Request => "request",
        }
    }

    /// Finds a kind by its [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// Gives the phase in which applications wait for it.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Self::Intake => Phase::Submission,
            Self::Checks | Self::Registers | Self::Decision => Phase::Checks,
            Self::Payment => Phase::Fee,
            Self::Handover => Phase::Issuance,
            Self::Annulment | Self::Request | Self::DutyProof | Self::DutyOverdue => Phase::InForce,
        }
    }

    /// Tells whether the statutory date runs while it waits for this.
    #[must_use]
    pub const fn is_under_the_clock(self) -> bool {
        matches!(self, Self::Checks | Self::Registers | Self::Decision)
    }

    /// Tells whether an application in `state` can wait for the office.
    #[must_use]
    pub fn may_wait_in(state: &State) -> bool {
        // What was granted waits for the applicant's money and hand, and for the officer who books and hands over; with a
        // permit in force, for whoever looks at its duties.
        let granted = matches!(state.phase, Phase::Fee | Phase::Issuance | Phase::InForce);
        state.phase != Phase::Closed && (state.awaits == Some(Awaited::Office) || granted)
    }

    /// Gives the work that an application waits for; `None` when the office has nothing to do.
    #[must_use]
    pub fn of(application: &Application, context: &Context<'_>) -> Option<Self> {
        let state = context.definition.state(&application.state)?;
        if !Self::may_wait_in(state) {
            return None;
        }
        match state.phase {
            Phase::Submission => Some(Self::Intake),
            Phase::Checks => Some(Self::of_checks(application, context)),
            Phase::Fee => Some(Self::Payment),
            Phase::Issuance => Some(Self::Handover),
            Phase::InForce if application.proposal.is_some() => Some(Self::Annulment),
            Phase::InForce if state.awaits == Some(Awaited::Office) => Some(Self::Request),
            Phase::InForce => Self::of_duties(application),
            Phase::Closed => None,
        }
    }

    fn of_duties(application: &Application) -> Option<Self> {
        let any = |status| application.duties.iter().any(|one| one.status == status);
        if any(DutyStatus::Overdue) {
            return Some(Self::DutyOverdue);
        }
        any(DutyStatus::Reported).then_some(Self::DutyProof)
    }

    fn of_checks(application: &Application, context: &Context<'_>) -> Self {
        if context.definition.answers_complaints(&application.state) {
            return Self::Decision;
        }
        let mut waiting =
            application.checks.iter().filter(|check| check.finding.is_none()).peekable();
        if waiting.peek().is_none() {
            return Self::Decision;
        }
        let by_itself = |check: &super::checks::Check| {
            context.definition.check(&check.id).is_some_and(|rule| match &rule.source {
                // The engine answers when it asks: what it left unanswered waits for an officer.
                CheckSource::Officer | CheckSource::Local(_) => false,
                CheckSource::Register(name) => context.registers.contains(name),
            })
        };
        if waiting.all(by_itself) { Self::Registers } else { Self::Checks }
    }
}

/// The name of the queue of money to match. It holds payments, not applications, and nobody claims from it.
pub const PAYMENTS: &str = "payments";

/// How many queues a unit can have: each is counted whenever the queues are listed.
pub const MOST: usize = 40;

/// Which applications wait in a queue. All parts must hold; an empty one holds always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// They wait for one of these kinds of work.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<Work>,
    /// They are on one of these tracks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub track: Vec<String>,
    /// They are in one of these phases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phase: Vec<Phase>,
    /// They are in one of these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
    /// They are being checked, and one of these checks is open: unanswered, or its answer stands in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<String>,
    /// They were handed in at least so many days (of 24 hours) ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age_days: Option<u32>,
    /// They were handed in at most so many days (of 24 hours) ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u32>,
    /// Whether they are overdue: past the statutory date while they are checked, or escalated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<bool>,
    /// Whether they were put before all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expedited: Option<bool>,
}

/// One thing that is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// JSON pointer within the filter.
    pub pointer: String,
    /// Stable, kebab-case.
    pub code: &'static str,
    /// What to do about it.
    pub detail: String,
}

impl Filter {
    /// Gives the kinds of work that it draws on, each once: those named, in the phases named.
    #[must_use]
    pub fn works(&self) -> Vec<Work> {
        let named = |work: &Work| {
            (self.work.is_empty() || self.work.contains(work))
                && (self.phase.is_empty() || self.phase.contains(&work.phase()))
        };
        Work::ALL.into_iter().filter(named).collect()
    }

    /// Finds what no definition knows and what can never hold; empty for a filter that can be used.
    #[must_use]
    pub fn wrongs(&self, definitions: &[Definition]) -> Vec<Wrong> {
        let mut wrongs = Vec::new();
        let mut unknown = |part: &str,
                           names: &[String],
                           known: &dyn Fn(&Definition, &str) -> bool| {
            for (index, name) in names.iter().enumerate() {
                let on_track = |one: &&Definition| {
                    part == "track" || self.track.is_empty() || self.track.contains(&one.track)
                };
                if !definitions.iter().filter(on_track).any(|one| known(one, name)) {
                    wrongs.push(Wrong {
                        pointer: format!("/{part}/{index}"),
                        code: "unknown-name",
                        detail: format!("Name a {part} of a track that GET /v1/workflows lists."),
                    });
                }
            }
        };
        unknown("track", &self.track, &|one, name| one.track == name);
        unknown("state", &self.state, &|one, name| one.state(name).is_some());
        unknown("check", &self.check, &|one, name| one.check(name).is_some());
        if self.max_age_days.is_some_and(|most| self.min_age_days.is_some_and(|least| least > most))
        {
            wrongs.push(Wrong {
                pointer: "/maxAgeDays".to_owned(),
                code: "range",
                detail: "Send a maxAgeDays that is not below minAgeDays.".to_owned(),
            });
        }
        if self.works().is_empty() {
            wrongs.push(Wrong {
                pointer: "/phase".to_owned(),
                code: "never",
                detail: "Name a phase in which applications wait for the work that is named."
                    .to_owned(),
            });
        }
        wrongs
    }
}

/// A queue of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The name, as it stands in URLs and in the log.
    pub name: String,
    /// What it is called, by language.
    pub title: Texts,
    /// Its place among the queues of the unit; the lowest comes first.
    pub position: i32,
    /// What waits in it.
    pub filter: Filter,
    /// How often it was changed: 0 for one that is as the code has it.
    pub version: i32,
}

impl Queue {
    /// Gives the queues that a unit has until it sets others, in order.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        use Work::{
            Annulment, Checks, Decision, DutyOverdue, DutyProof, Handover, Intake, Payment,
            Registers, Request,
        };
        let all: [(&str, &str, &str, Option<Work>); 12] = [
            ("intake", "To be taken in", "К приёму", Some(Intake)),
            ("checks", "To be checked", "К проверке", Some(Checks)),
            ("registers", "Awaiting registers", "Ждут ответа реестров", Some(Registers)),
            ("decision", "To be decided", "К решению", Some(Decision)),
            ("payment", "Granted, waiting to be paid", "Одобрены, ждут оплаты", Some(Payment)),
            (PAYMENTS, "Money to be matched", "Платежи для разнесения", None),
            ("handover", "Ready to be handed over", "К выдаче", Some(Handover)),
            (
                "annulments",
                "Annulments to be confirmed",
                "Аннулирования на подтверждение",
                Some(Annulment),
            ),
            ("requests", "Asked about permits", "Обращения по действующим", Some(Request)),
            (
                "overdue",
                "Past the date that the law promises, or escalated",
                "Просрочены или переданы старшему",
                None,
            ),
            (
                "duty-proofs",
                "Proofs of duties to be looked at",
                "Подтверждения обязанностей на проверку",
                Some(DutyProof),
            ),
            ("duties-overdue", "Duties overdue", "Просроченные обязанности", Some(DutyOverdue)),
        ];
        all.into_iter()
            .zip(1..)
            .map(|((name, en, ru, work), place)| Self {
                name: name.to_owned(),
                title: [("en", en), ("ru", ru)]
                    .map(|(one, text)| (one.to_owned(), text.to_owned()))
                    .into(),
                position: place * 10,
                filter: Filter {
                    work: work.into_iter().collect(),
                    overdue: (name == "overdue").then_some(true),
                    ..Filter::default()
                },
                version: 0,
            })
            .collect()
    }

    /// Finds the queue of this name that the code has.
    #[must_use]
    pub fn default_named(name: &str) -> Option<Self> {
        Self::defaults().into_iter().find(|queue| queue.name == name)
    }

    /// Tells whether applications wait in it; in the other one payments do.
    #[must_use]
    pub fn holds_applications(&self) -> bool {
        self.name != PAYMENTS
    }

    /// Tells whether a text can be the name of a queue: 1 to 40 of `a`-`z`, `0`-`9` and hyphen, a letter first.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        text.len() <= 40
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}

/// Why an application comes when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was put before all others.
    Expedited,
    /// The statutory date has passed.
    Overdue,
    /// The statutory date comes.
    Due,
    /// No date runs: the oldest comes first.
    Oldest,
}

impl Reason {
    /// Gives the reason's name as it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expedited => "expedited",
            Self::Overdue => "overdue",
            Self::Due => "due",
            Self::Oldest => "oldest",
        }
    }
}

/// An application's place in the order of every queue, in words: expedited ones first, then by the statutory date, then
/// by the time of handing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Urgency {
    /// Why.
    pub reason: Reason,
    /// The statutory date, while it runs.
    pub due_on: Option<NaiveDate>,
    /// Working days left until it; negative once it has passed, `None` where the calendar ends before it.
    pub working_days_left: Option<i64>,
}

impl Urgency {
    /// Says why work that waits comes when it does. `due_on` is the application's date whether or not it still runs.
    #[must_use]
    pub fn of(
        work: Work,
        expedited: bool,
        due_on: Option<NaiveDate>,
        today: NaiveDate,
        calendar: &Calendar,
    ) -> Self {
        let due_on = due_on.filter(|_| work.is_under_the_clock());
        let days = |from, to| calendar.working_days_between(from, to).ok().map(i64::from);
        let working_days_left = due_on.and_then(|due| {
            if due < today { days(due, today).map(|late| -late) } else { days(today, due) }
        });
        let reason = match due_on {
            _ if expedited => Reason::Expedited,
            Some(due) if due < today => Reason::Overdue,
            Some(_) => Reason::Due,
            None => Reason::Oldest,
        };
        Self { reason, due_on, working_days_left }
    }
}
