//! Reads a [`Definition`] from TOML and reports every mistake, each with its line and what to do.
//!
//! The form of a file is specified in `workflows/README.md`. In short:
//!
//! ```toml
//! track = "patent"
//! version = 1
//! law = "…"
//! in_force_from = 2025-09-01
//! applicants = ["migrant"]
//! required = ["person"]                       # sections of the form
//! title = { en = "…", ru = "…" }
//!
//! [clock]                                     # working_days, stands_still_in, basis
//! [permit]                                    # term, paid_by
//! [[permit.duty]]                             # id, title, words, within, from, owed_by, proof, consequence, basis …
//! [[document]]                                # id, title, required
//! [[check]]                                   # id, title, source, sends, due_working_days, blocking
//! [[check.reason]]                            # id, means, title, grounds
//! [[fee]]                                     # id, title, rate, position, per_month
//! [[state]]                                   # id, phase, initial, final, awaits, deadlines, no_deadline, wording
//! [[transition]]                              # command, from, to, actors, guards, effects, four_eyes, grounds, basis
//! ```
//!
//! Keys are snake_case; names and values are camelCase, as in JSON. This module answers whether a file says
//! something; whether what it says is sound is for [`super::proof`].

pub(in crate::domain) mod table;

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use self::table::{Reading, Section, Value};
use super::definition::{
    Awaited, CheckReason, CheckRule, CheckSource, ClockRule, CommandName, ComplaintRule,
    Consequence, Deadline, DeadlineBasis, Definition, DocumentRule, Duty, DutyConsequence,
    DutyOwner, DutyStart, DutyTerm, Effect, FeePosition, FeeRule, Guard, LANGUAGES, LocalCheck,
    MESSAGES, PermitRule, PermitTerm, Phase, State, Transition, Wording,
};
use crate::domain::actor::{Party, Role};
use crate::domain::checks::Outcome;
use crate::domain::form::{FIELDS, PARTS};
use crate::domain::ground::GroundCode;

/// Names the rule that a problem breaks (`design.md` section 3), or that the file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// The text does not follow the format.
    Syntax,
    /// Every name used is defined, every definition is used.
    W01,
    /// One initial state; every state is reachable from it.
    W02,
    /// From every non-final state a final state can be reached.
    W03,
    /// Every non-final state says whom it waits for, and has a deadline or a stated reason for none.
    W04,
    /// Every deadline has a transition that the timer may take.
    W05,
    /// For one state and command at most one transition can apply.
    W06,
    /// Every path into force passes acceptance, checks, fees and a decision to grant.
    W07,
    /// Every refusal and annulment demands grounds, and four eyes where marked.
    W08,
    /// A four-eyes transition's partner comes before it on every path.
    W09,
    /// The clock starts exactly once before a decision and stands still only for the applicant.
    W10,
    /// Every transition names its actors and legal basis; no role is named that nobody can have.
    W11,
    /// Every state has its public wording in every language.
    W12,
    /// A correction leads back only to where the undone command was given, by another and with a trace.
    W13,
    /// What is owed after issue is opened, can be proved, falls due and has its consequence.
    W14,
    /// A complaint is of a decision, once, and is answered by another: back to before the decision, or to where it stands.
    W15,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Says what is wrong with a file under `workflows/`, where, by which rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file's path as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The rule broken.
    pub rule: Rule,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, rule, message, remedy } = self;
        write!(f, "{file}:{line}: {rule}: {message}; {remedy}")
    }
}

impl std::error::Error for Problem {}

/// Reads a definition.
///
/// # Errors
///
/// Everything that the text says wrongly: broken TOML, unknown keys, wrong types, undefined names (W01).
pub fn parse(file: &str, text: &str) -> Result<Definition, Vec<Problem>> {
    let (definition, problems) = read(file, text);
    if problems.is_empty() { Ok(definition) } else { Err(problems) }
}

/// Reads what can be read of a definition, so that rules about single items can be asked of the rest.
///
/// Where a value could not be read, something harmless stands in its place.
pub(super) fn read(file: &str, text: &str) -> (Definition, Vec<Problem>) {
    let (mut reading, document) = Reading::begin(file, text);
    let definition = match reading.section(&document, "the file") {
        Some(mut root) => {
            root.line = 1;
            root_table(&mut reading, root)
        }
        None => empty(),
    };
    let mut problems = reading.finish();
    problems.sort_by_key(|problem| (problem.line, problem.rule));
    (definition, problems)
}

const ROLES: [(&str, Role); 6] = [
    ("migrant", Role::Migrant),
    ("employer", Role::Employer),
    ("officer", Role::Officer),
    ("seniorOfficer", Role::SeniorOfficer),
    ("auditor", Role::Auditor),
    ("administrator", Role::Administrator),
];

const PARTIES: [(&str, Party); 6] = [
    ("applicant", Party::Applicant),
    ("officer", Party::Officer),
    ("seniorOfficer", Party::SeniorOfficer),
    ("timer", Party::Timer),
    ("payments", Party::Payments),
    ("register", Party::Register),
];

const AWAITED: [(&str, Awaited); 2] =
    [("applicant", Awaited::Applicant), ("office", Awaited::Office)];

const POSITIONS: [(&str, FeePosition); 4] = [
    ("beforeAcceptance", FeePosition::BeforeAcceptance),
    ("beforeHandover", FeePosition::BeforeHandover),
    ("whileInForce", FeePosition::WhileInForce),
    ("onRequest", FeePosition::OnRequest),
];

const CONSEQUENCES: [(&str, Consequence); 2] =
    [("refuse", Consequence::Refuse), ("ask", Consequence::Ask)];

/// The names of every guard, for advice.
const GUARDS: [&str; 33] = [
    "formComplete",
    "ageAtLeast",
    "citizenshipNotIn",
    "withinDaysOfEntryOrFined",
    "passportValidForMonths",
    "noOtherOpenApplication",
    "salaryAtLeast",
    "decidedWithinMinutes",
    "nothingPaid",
    "clockStarted",
    "clockNotStarted",
    "permitLasts",
    "askedFirst",
    "checksClear",
    "feeSettled",
    "paymentSettles",
    "paymentLeavesOpen",
    "paymentProlongs",
    "paymentFallsShort",
    "answersComplete",
    "answersIncomplete",
    "extended",
    "notExtended",
    "notOverdue",
    "deadlinePassed",
    "issuingNotStopped",
    "activityNotBanned",
    "dutyMissed",
    "changeProven",
    "notComplained",
    "permitOver",
    "reissueInTime",
    "reissueStands",
];

/// The names of every effect, for advice.
const EFFECTS: [&str; 52] = [
    "startClock",
    "stopClock",
    "suspendClock",
    "resumeClock",
    "extendClock",
    "withdrawExtension",
    "warn",
    "openChecks",
    "askOpenChecks",
    "recordFinding",
    "overrideFinding",
    "repeatCheck",
    "askInformation",
    "recordAnswers",
    "closeInformation",
    "remind",
    "createCharge",
    "bookPayment",
    "prolongPermit",
    "annulOpenCharges",
    "decideGrant",
    "decideRefuse",
    "proposeAnnulment",
    "dropProposal",
    "withdrawDecision",
    "reopenClock",
    "correctForm",
    "reinstatePermit",
    "issuePermit",
    "lapsePermit",
    "expirePermit",
    "annulPermit",
    "recordRequest",
    "closeRequest",
    "printBlank",
    "changeForm",
    "surrenderPermit",
    "suspendPermit",
    "resumePermit",
    "supersedeReissued",
    "supersedePermit",
    "recordComplaint",
    "answerComplaint",
    "escalate",
    "notify",
    "openDuties",
    "reportDuty",
    "confirmDuty",
    "rejectDutyProof",
    "excuseDuty",
    "remindDuties",
    "markDutiesOverdue",
];

const BASES: [&str; 11] = [
    "calendarDays",
    "workingDays",
    "clockDue",
    "beforeClockDue",
    "informationDue",
    "beforeInformationDue",
    "paidThrough",
    "beforePaidThrough",
    "permitEnds",
    "dutyDue",
    "dutyReminder",
];

const OWNERS: [(&str, DutyOwner); 2] =
    [("holder", DutyOwner::Holder), ("employer", DutyOwner::Employer)];

const STARTS: [(&str, DutyStart); 2] = [("issue", DutyStart::Issue), ("event", DutyStart::Event)];

/// The names that the file defines and its other parts refer to.
#[derive(Default)]
struct Names {
    states: Vec<String>,
    fees: Vec<String>,
    documents: Vec<String>,
}

impl Names {
    /// Notes the names ahead of everything else, so that order in the file does not matter.
    fn note(root: &Section<'_, '_>) -> Self {
        let ids = |key: &str| {
            root.entries()
                .filter(|(name, _)| *name == key)
                .filter_map(|(_, value)| value.get_ref().as_array())
                .flatten()
                .filter_map(|item| item.get_ref().get("id")?.get_ref().as_str())
                .map(str::to_owned)
                .collect()
        };
        Self { states: ids("state"), fees: ids("fee"), documents: ids("document") }
    }
}

fn root_table<'t>(r: &mut Reading<'t>, mut root: Section<'_, 't>) -> Definition {
    let names = Names::note(&root);
    let definition = Definition {
        track: root.text(r, "track"),
        version: root.number(r, "version"),
        title: root.texts(r, "title"),
        law: root.text(r, "law"),
        in_force_from: root.date(r, "in_force_from"),
        in_force_to: root.maybe_date(r, "in_force_to"),
        applicants: root
            .texts_in_list(r, "applicants")
            .into_iter()
            .filter_map(|(name, line)| choose(r, line, "role", &name, &ROLES))
            .collect(),
        required_fields: required_fields(r, &mut root),
        documents: root.sections(r, "document").into_iter().map(|s| document(r, s)).collect(),
        checks: root.sections(r, "check").into_iter().map(|s| check(r, s)).collect(),
        fees: root.sections(r, "fee").into_iter().map(|s| fee(r, s)).collect(),
        clock: clock(r, &mut root, &names),
        complaint: complaint(r, &mut root),
        permit: permit(r, &mut root, &names),
        states: root.sections(r, "state").into_iter().map(|s| state(r, s)).collect(),
        transitions: root
            .sections(r, "transition")
            .into_iter()
            .map(|s| transition(r, s, &names))
            .collect(),
    };
    root.finish(r);
    let d = &definition;
    once_each(r, "document", d.documents.iter().map(|x| (x.id.as_str(), x.line)));
    once_each(r, "check", d.checks.iter().map(|x| (x.id.as_str(), x.line)));
    once_each(r, "fee", d.fees.iter().map(|x| (x.id.as_str(), x.line)));
    once_each(r, "state", d.states.iter().map(|x| (x.id.as_str(), x.line)));
    once_each(r, "duty", d.permit.duties.iter().map(|x| (x.id.as_str(), x.line)));
    definition
}

/// What stands for a file that is not even a table.
fn empty() -> Definition {
    Definition {
        track: String::new(),
        version: 0,
        title: BTreeMap::new(),
        law: String::new(),
        in_force_from: NaiveDate::default(),
        in_force_to: None,
        applicants: Vec::new(),
        required_fields: Vec::new(),
        documents: Vec::new(),
        checks: Vec::new(),
        fees: Vec::new(),
        clock: ClockRule {
            working_days: 0,
            stands_still_in: Vec::new(),
            extension_working_days: None,
            basis: String::new(),
            line: 1,
        },
        complaint: ComplaintRule { how: BTreeMap::new(), line: 1 },
        permit: PermitRule {
            term: PermitTerm::Months(0),
            paid_by: None,
            duties: Vec::new(),
            line: 1,
        },
        states: Vec::new(),
        transitions: Vec::new(),
    }
}

/// Reports every name that is defined a second time or is not camelCase.
fn once_each<'d>(r: &mut Reading<'_>, what: &str, items: impl Iterator<Item = (&'d str, usize)>) {
    let mut seen = BTreeMap::new();
    for (id, line) in items.filter(|(id, _)| !id.is_empty()) {
        let letters = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !letters || !id.starts_with(|first: char| first.is_ascii_lowercase()) {
            let message = format!("\"{id}\" is not a name in camelCase");
            r.report(
                Rule::Syntax,
                line,
                message,
                "use letters a to z and digits, as in \"inForce\"",
            );
        }
        if let Some(first) = seen.get(id) {
            let message = format!("{what} \"{id}\" is already defined in line {first}");
            r.report(Rule::W01, line, message, "rename or remove one of the two");
        } else {
            seen.insert(id, line);
        }
    }
}

/// Finds a value by its name in a closed list.
fn choose<T: Copy>(
    r: &mut Reading<'_>,
    line: usize,
    what: &str,
    name: &str,
    known: &[(&'static str, T)],
) -> Option<T> {
    let found = known.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| *value);
    if found.is_none() {
        r.undefined(line, what, name, known.iter().map(|(candidate, _)| *candidate));
    }
    found
}

/// Finds a command by its name.
fn command(r: &mut Reading<'_>, line: usize, name: &str) -> Option<CommandName> {
    let found = CommandName::parse(name);
    if found.is_none() {
        r.undefined(line, "command", name, CommandName::ALL.map(CommandName::name));
    }
    found
}

/// Checks that a name is one of those the file defines, and gives it back.
fn defined(r: &mut Reading<'_>, line: usize, what: &str, name: String, known: &[String]) -> String {
    if !known.contains(&name) {
        r.undefined(line, what, &name, known.iter().map(String::as_str));
    }
    name
}

fn required_fields<'t>(r: &mut Reading<'t>, root: &mut Section<'_, 't>) -> Vec<String> {
    let mut fields = Vec::new();
    for (name, line) in root.texts_in_list(r, "required") {
        if FIELDS.iter().any(|(field, _)| *field == name) {
            fields.push(name);
        } else {
            r.undefined(line, "section of the form", &name, FIELDS.map(|(field, _)| field));
        }
    }
    fields
}

fn document<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> DocumentRule {
    let rule = DocumentRule {
        id: s.text(r, "id"),
        title: s.texts(r, "title"),
        required: s.flag(r, "required"),
        line: s.line,
    };
    s.finish(r);
    rule
}

fn check<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> CheckRule {
    let id = s.text(r, "id");
    let title = s.texts(r, "title");
    let source = match s.need(r, "source") {
        Some(value) => check_source(r, value),
        None => CheckSource::Officer,
    };
    let local = matches!(source, CheckSource::Local(_));
    let due_working_days = match s.take("due_working_days") {
        Some(value) if local => {
            let message = "a local check has `due_working_days`";
            let line = r.line(value);
            r.report(Rule::Syntax, line, message, "remove it: it is answered when it is asked");
            0
        }
        Some(value) => r.number(value, "due_working_days").unwrap_or_default(),
        None if local => 0,
        None => s.number(r, "due_working_days"),
    };
    let mut sends = Vec::new();
    for (part, line) in s.texts_in_list(r, "sends") {
        if !PARTS.contains(&part.as_str()) {
            r.undefined(line, "part of the form", &part, PARTS);
        }
        sends.push(part);
    }
    let rule = CheckRule {
        id,
        title,
        source,
        sends,
        due_working_days,
        blocking: match s.take("blocking") {
            Some(value) => blocking(r, value),
            None => Vec::new(),
        },
        reasons: s.sections(r, "reason").into_iter().map(|one| check_reason(r, one)).collect(),
        line: s.line,
    };
    s.finish(r);
    once_each(r, "reason", rule.reasons.iter().map(|one| (one.id.as_str(), one.line)));
    rule
}

fn check_reason<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> CheckReason {
    let means = s.need(r, "means").and_then(|value| {
        let name = r.text(value, "means")?;
        let line = r.line(value);
        choose(r, line, "consequence", &name, &CONSEQUENCES)
    });
    let reason = CheckReason {
        id: s.text(r, "id"),
        means: means.unwrap_or(Consequence::Ask),
        title: s.texts(r, "title"),
        grounds: grounds(r, &mut s),
        line: s.line,
    };
    s.finish(r);
    reason
}

fn grounds<'t>(r: &mut Reading<'t>, s: &mut Section<'_, 't>) -> Vec<GroundCode> {
    let codes = s.texts_in_list(r, "grounds");
    codes.into_iter().filter_map(|(code, line)| ground(r, line, &code)).collect()
}

fn check_source<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> CheckSource {
    let Some((name, argument)) = name_and_argument(r, value, "source") else {
        return CheckSource::Officer;
    };
    let line = r.line(value);
    match (name, argument) {
        ("officer", None) => CheckSource::Officer,
        ("register", Some(argument)) => {
            CheckSource::Register(r.text(argument, "register").unwrap_or_default())
        }
        ("local", Some(argument)) => {
            let name = r.text(argument, "local").unwrap_or_default();
            let check = LocalCheck::parse(&name);
            if check.is_none() {
                r.undefined(line, "local check", &name, LocalCheck::ALL.map(LocalCheck::name));
            }
            CheckSource::Local(check.unwrap_or(LocalCheck::Mrz))
        }
        ("officer" | "register" | "local", _) => {
            let wanted = "`\"officer\"`, `{ register = \"name\" }` or `{ local = \"name\" }`";
            wrong_argument(r, line, "source", name, wanted);
            CheckSource::Officer
        }
        _ => {
            r.undefined(line, "source", name, ["officer", "register", "local"]);
            CheckSource::Officer
        }
    }
}

fn blocking<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> Vec<(Outcome, Consequence)> {
    let Some(section) = r.section(value, "blocking") else { return Vec::new() };
    let outcomes = Outcome::ALL.map(Outcome::name);
    let mut blocking = Vec::new();
    for (name, value) in section.entries() {
        let line = r.line(value);
        let Some(outcome) = Outcome::parse(name) else {
            r.undefined(line, "outcome", name, outcomes);
            continue;
        };
        if outcome == Outcome::Clear {
            let message = "`clear` is named as an outcome that blocks";
            r.report(Rule::Syntax, line, message, "remove it: a clear answer never blocks");
            continue;
        }
        let Some(means) = r.text(value, name) else { continue };
        if let Some(consequence) = choose(r, line, "consequence", &means, &CONSEQUENCES) {
            blocking.push((outcome, consequence));
        }
    }
    blocking
}

fn fee<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> FeeRule {
    let rule = FeeRule {
        id: s.text(r, "id"),
        title: s.texts(r, "title"),
        rate: s.text(r, "rate"),
        position: s
            .need(r, "position")
            .and_then(|value| {
                let name = r.text(value, "position")?;
                let line = r.line(value);
                choose(r, line, "position", &name, &POSITIONS)
            })
            .unwrap_or(FeePosition::BeforeAcceptance),
        per_month: s.flag(r, "per_month"),
        line: s.line,
    };
    s.finish(r);
    rule
}

fn clock<'t>(r: &mut Reading<'t>, root: &mut Section<'_, 't>, names: &Names) -> ClockRule {
    let section = root.need(r, "clock").and_then(|value| r.section(value, "[clock]"));
    let Some(mut s) = section else { return empty().clock };
    let rule = ClockRule {
        working_days: s.number(r, "working_days"),
        stands_still_in: s
            .texts_in_list(r, "stands_still_in")
            .into_iter()
            .map(|(name, line)| defined(r, line, "state", name, &names.states))
            .collect(),
        extension_working_days: s
            .take("extension_working_days")
            .and_then(|value| r.number(value, "extension_working_days")),
        basis: s.maybe_text(r, "basis").unwrap_or_default(),
        line: s.line,
    };
    s.finish(r);
    rule
}

fn complaint<'t>(r: &mut Reading<'t>, root: &mut Section<'_, 't>) -> ComplaintRule {
    let section = root.need(r, "complaint").and_then(|value| r.section(value, "[complaint]"));
    let Some(mut s) = section else { return empty().complaint };
    let rule = ComplaintRule { how: s.texts(r, "how"), line: s.line };
    s.finish(r);
    rule
}

fn permit<'t>(r: &mut Reading<'t>, root: &mut Section<'_, 't>, names: &Names) -> PermitRule {
    let section = root.need(r, "permit").and_then(|value| r.section(value, "[permit]"));
    let Some(mut s) = section else { return empty().permit };
    let rule = PermitRule {
        term: s.need(r, "term").map_or(PermitTerm::Months(0), |value| term(r, value)),
        paid_by: s.take("paid_by").and_then(|value| {
            let name = r.text(value, "paid_by")?;
            let line = r.line(value);
            Some(defined(r, line, "fee", name, &names.fees))
        }),
        duties: s.sections(r, "duty").into_iter().map(|one| duty(r, one, names)).collect(),
        line: s.line,
    };
    s.finish(r);
    rule
}

fn term<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> PermitTerm {
    let line = r.line(value);
    let Some((name, argument)) = name_and_argument(r, value, "term") else {
        return PermitTerm::Months(0);
    };
    let number = argument.and_then(|argument| r.number(argument, name));
    match (name, number) {
        ("months", Some(months)) => PermitTerm::Months(months),
        ("contractUpToYears", Some(years)) => PermitTerm::ContractUpToYears(years),
        ("months" | "contractUpToYears", None) => {
            if argument.is_none() {
                wrong_argument(r, line, "term", name, "a number, as in `{ months = 12 }`");
            }
            PermitTerm::Months(0)
        }
        _ => {
            r.undefined(line, "term", name, ["months", "contractUpToYears"]);
            PermitTerm::Months(0)
        }
    }
}

fn duty<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>, names: &Names) -> Duty {
    let term = s.take("within").and_then(|value| duty_term(r, value));
    let duty = Duty {
        id: s.text(r, "id"),
        title: s.texts(r, "title"),
        words: s.texts(r, "words"),
        owner: named(r, &mut s, "owed_by", "party", &OWNERS).unwrap_or(DutyOwner::Holder),
        start: named(r, &mut s, "from", "start", &STARTS).unwrap_or(DutyStart::Issue),
        term,
        to_working_day: s.flag(r, "to_working_day"),
        remind_days_before: s
            .list(r, "remind_days_before")
            .into_iter()
            .filter_map(|value| r.number(value, "remind_days_before"))
            .collect(),
        proof: s.take("proof").and_then(|value| {
            let name = r.text(value, "proof")?;
            let line = r.line(value);
            Some(defined(r, line, "document", name, &names.documents))
        }),
        consequence: s
            .take("consequence")
            .and_then(|value| duty_consequence(r, value))
            .unwrap_or(DutyConsequence::Tell),
        basis: s.maybe_text(r, "basis").unwrap_or_default(),
        line: s.line,
    };
    s.finish(r);
    duty
}

/// Reads a key whose value is one of a closed list; absent gives nothing.
fn named<'t, T: Copy>(
    r: &mut Reading<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    what: &str,
    known: &[(&'static str, T)],
) -> Option<T> {
    let value = s.take(key)?;
    let name = r.text(value, key)?;
    let line = r.line(value);
    choose(r, line, what, &name, known)
}

fn duty_term<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> Option<DutyTerm> {
    let line = r.line(value);
    let (name, argument) = name_and_argument(r, value, "within")?;
    match (name, argument) {
        ("months", Some(months)) => r.number(months, name).map(DutyTerm::Months),
        ("workingDays", Some(days)) => r.number(days, name).map(DutyTerm::WorkingDays),
        ("months" | "workingDays", None) => {
            wrong_argument(r, line, "within", name, "a number, as in `{ months = 2 }`");
            None
        }
        _ => {
            r.undefined(line, "term", name, ["months", "workingDays"]);
            None
        }
    }
}

fn duty_consequence<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> Option<DutyConsequence> {
    let line = r.line(value);
    let (name, argument) = name_and_argument(r, value, "consequence")?;
    match (name, argument) {
        ("tell", None) => Some(DutyConsequence::Tell),
        ("proposeAnnulment", Some(argument)) => {
            let code = r.text(argument, name)?;
            ground(r, line, &code).map(DutyConsequence::ProposeAnnulment)
        }
        ("tell" | "proposeAnnulment", _) => {
            let wanted = "`\"tell\"` or `{ proposeAnnulment = \"G15\" }`";
            wrong_argument(r, line, "consequence", name, wanted);
            None
        }
        _ => {
            r.undefined(line, "consequence", name, ["tell", "proposeAnnulment"]);
            None
        }
    }
}

fn state<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>) -> State {
    let id = s.text(r, "id");
    if !id.is_empty() {
        s.name = format!("state \"{id}\"");
    }
    let phase = s.need(r, "phase").and_then(|value| {
        let name = r.text(value, "phase")?;
        let line = r.line(value);
        let phase = Phase::parse(&name);
        if phase.is_none() {
            r.undefined(line, "phase", &name, Phase::ALL.map(Phase::name));
        }
        phase
    });
    let state = State {
        id,
        phase: phase.unwrap_or(Phase::Submission),
        initial: s.flag(r, "initial"),
        is_final: s.flag(r, "final"),
        awaits: s.take("awaits").and_then(|value| {
            let name = r.text(value, "awaits")?;
            let line = r.line(value);
            choose(r, line, "party", &name, &AWAITED)
        }),
        deadlines: s
            .list(r, "deadlines")
            .into_iter()
            .filter_map(|value| deadline(r, value))
            .collect(),
        no_deadline: s.maybe_text(r, "no_deadline"),
        wording: wording(r, &mut s),
        line: s.line,
    };
    s.finish(r);
    state
}

fn deadline<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> Option<Deadline> {
    let mut s = r.section(value, "a deadline")?;
    let basis = s.need(r, "after").and_then(|value| deadline_basis(r, value));
    let command = s.need(r, "command").and_then(|value| {
        let name = r.text(value, "command")?;
        let line = r.line(value);
        command(r, line, &name)
    });
    let line = s.line;
    s.finish(r);
    Some(Deadline { basis: basis?, command: command?, line })
}

fn deadline_basis<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> Option<DeadlineBasis> {
    let line = r.line(value);
    let (name, argument) = name_and_argument(r, value, "after")?;
    match (name, argument) {
        ("calendarDays", Some(days)) => r.number(days, name).map(DeadlineBasis::CalendarDays),
        ("workingDays", Some(days)) => r.number(days, name).map(DeadlineBasis::WorkingDays),
        ("beforeClockDue", Some(days)) => r.number(days, name).map(DeadlineBasis::BeforeClockDue),
        ("clockDue", None) => Some(DeadlineBasis::ClockDue),
        ("beforeInformationDue", Some(days)) => {
            r.number(days, name).map(DeadlineBasis::BeforeInformationDue)
        }
        ("informationDue", None) => Some(DeadlineBasis::InformationDue),
        ("beforePaidThrough", Some(days)) => {
            r.number(days, name).map(DeadlineBasis::BeforePaidThrough)
        }
        ("paidThrough", None) => Some(DeadlineBasis::PaidThrough),
        ("permitEnds", None) => Some(DeadlineBasis::PermitEnds),
        ("dutyDue", None) => Some(DeadlineBasis::DutyDue),
        ("dutyReminder", None) => Some(DeadlineBasis::DutyReminder),
        _ if BASES.contains(&name) => {
            let wanted = if argument.is_none() { "a number of days" } else { "no value" };
            wrong_argument(r, line, "deadline", name, wanted);
            None
        }
        _ => {
            r.undefined(line, "deadline", name, BASES);
            None
        }
    }
}

fn wording<'t>(r: &mut Reading<'t>, state: &mut Section<'_, 't>) -> BTreeMap<String, Wording> {
    let mut wording = BTreeMap::new();
    let Some(value) = state.take("wording") else { return wording };
    let Some(mut languages) = r.section(value, "wording") else { return wording };
    for language in LANGUAGES {
        let Some(value) = languages.take(language) else { continue };
        if let Some(mut s) = r.section(value, &format!("wording.{language}")) {
            let words = Wording { stage: s.text(r, "stage"), next: s.text(r, "next") };
            wording.insert(language.to_owned(), words);
            s.finish(r);
        }
    }
    languages.finish(r);
    wording
}

fn transition<'t>(r: &mut Reading<'t>, mut s: Section<'_, 't>, names: &Names) -> Transition {
    let given = s.need(r, "command").and_then(|value| {
        let name = r.text(value, "command")?;
        let line = r.line(value);
        command(r, line, &name)
    });
    if let Some(command) = given {
        s.name = format!("transition \"{}\"", command.name());
    }
    if s.need(r, "from")
        .is_some_and(|value| value.get_ref().as_array().is_some_and(|a| a.is_empty()))
    {
        r.report(
            Rule::Syntax,
            s.line,
            format!("{} starts nowhere", s.name),
            "name a state in `from`",
        );
    }
    let transition = Transition {
        command: given.unwrap_or(CommandName::Escalate),
        from: s
            .texts_in_list(r, "from")
            .into_iter()
            .map(|(name, line)| defined(r, line, "state", name, &names.states))
            .collect(),
        to: s.take("to").and_then(|value| {
            let name = r.text(value, "to")?;
            let line = r.line(value);
            Some(defined(r, line, "state", name, &names.states))
        }),
        actors: s
            .texts_in_list(r, "actors")
            .into_iter()
            .filter_map(|(name, line)| choose(r, line, "actor", &name, &PARTIES))
            .collect(),
        guards: s.list(r, "guards").into_iter().filter_map(|v| guard(r, v, names)).collect(),
        effects: s.list(r, "effects").into_iter().filter_map(|v| effect(r, v, names)).collect(),
        four_eyes: s
            .texts_in_list(r, "four_eyes")
            .into_iter()
            .filter_map(|(name, line)| command(r, line, &name))
            .collect(),
        grounds: grounds(r, &mut s),
        basis: s.maybe_text(r, "basis").unwrap_or_default(),
        line: s.line,
    };
    s.finish(r);
    transition
}

fn ground(r: &mut Reading<'_>, line: usize, code: &str) -> Option<GroundCode> {
    let parsed = GroundCode::parse(code).ok();
    if parsed.is_none() {
        r.report(
            Rule::W01,
            line,
            format!("\"{code}\" is not the code of a ground"),
            "use a code of workflows/grounds.toml, such as \"G01\"",
        );
    }
    parsed
}

/// Splits `"name"` or `{ name = argument }`.
fn name_and_argument<'v, 't>(
    r: &mut Reading<'t>,
    value: &'v Value<'t>,
    what: &str,
) -> Option<(&'v str, Option<&'v Value<'t>>)> {
    if let Some(name) = value.get_ref().as_str() {
        return Some((name, None));
    }
    let entries: Vec<_> = match value.get_ref().as_table() {
        Some(_) => r.section(value, what)?.entries().collect(),
        None => Vec::new(),
    };
    match entries.as_slice() {
        [(name, argument)] => Some((*name, Some(*argument))),
        _ => {
            r.wrong_type(value, what, "a name, or one name with its value in braces");
            None
        }
    }
}

fn wrong_argument(r: &mut Reading<'_>, line: usize, what: &str, name: &str, wanted: &str) {
    let message = format!("{what} `{name}` has the wrong kind of value");
    r.report(Rule::Syntax, line, message, format!("give it {wanted}"));
}

fn guard<'t>(r: &mut Reading<'t>, value: &Value<'t>, names: &Names) -> Option<Guard> {
    let line = r.line(value);
    let (name, argument) = name_and_argument(r, value, "guard")?;
    let fee_named = |r: &mut Reading<'t>, argument: &Value<'t>| {
        let fee = r.text(argument, name)?;
        Some(defined(r, line, "fee", fee, &names.fees))
    };
    match (name, argument) {
        ("formComplete", None) => Some(Guard::FormComplete),
        ("noOtherOpenApplication", None) => Some(Guard::NoOtherOpenApplication),
        ("checksClear", None) => Some(Guard::ChecksClear),
        ("answersComplete", None) => Some(Guard::AnswersComplete),
        ("answersIncomplete", None) => Some(Guard::AnswersIncomplete),
        ("extended", None) => Some(Guard::Extended),
        ("notExtended", None) => Some(Guard::NotExtended),
        ("notOverdue", None) => Some(Guard::NotOverdue),
        ("deadlinePassed", None) => Some(Guard::DeadlinePassed),
        ("issuingNotStopped", None) => Some(Guard::IssuingNotStopped),
        ("activityNotBanned", None) => Some(Guard::ActivityNotBanned),
        ("dutyMissed", None) => Some(Guard::DutyMissed),
        ("changeProven", None) => Some(Guard::ChangeProven),
        ("notComplained", None) => Some(Guard::NotComplained),
        ("permitOver", None) => Some(Guard::PermitOver),
        ("reissueInTime", Some(days)) => r.number(days, name).map(Guard::ReissueInTime),
        ("reissueStands", None) => Some(Guard::ReissueStands),
        ("ageAtLeast", Some(years)) => r.number(years, name).map(Guard::AgeAtLeast),
        ("withinDaysOfEntryOrFined", Some(days)) => {
            r.number(days, name).map(Guard::WithinDaysOfEntryOrFined)
        }
        ("passportValidForMonths", Some(months)) => {
            r.number(months, name).map(Guard::PassportValidForMonths)
        }
        ("citizenshipNotIn", Some(list)) => countries(r, list).map(Guard::CitizenshipNotIn),
        ("salaryAtLeast", Some(rate)) => r.text(rate, name).map(Guard::SalaryAtLeast),
        ("decidedWithinMinutes", Some(minutes)) => {
            r.number(minutes, name).map(Guard::DecidedWithinMinutes)
        }
        ("nothingPaid", Some(fee)) => fee_named(r, fee).map(Guard::NothingPaid),
        ("clockStarted", None) => Some(Guard::ClockStarted),
        ("clockNotStarted", None) => Some(Guard::ClockNotStarted),
        ("permitLasts", None) => Some(Guard::PermitLasts),
        ("askedFirst", None) => Some(Guard::AskedFirst),
        ("feeSettled", Some(fee)) => fee_named(r, fee).map(Guard::FeeSettled),
        ("paymentSettles", Some(fee)) => fee_named(r, fee).map(Guard::PaymentSettles),
        ("paymentLeavesOpen", Some(fee)) => fee_named(r, fee).map(Guard::PaymentLeavesOpen),
        ("paymentProlongs", Some(fee)) => fee_named(r, fee).map(Guard::PaymentProlongs),
        ("paymentFallsShort", Some(fee)) => fee_named(r, fee).map(Guard::PaymentFallsShort),
        _ if GUARDS.contains(&name) => {
            let wanted = if argument.is_none() { "a value in braces" } else { "no value" };
            wrong_argument(r, line, "guard", name, wanted);
            None
        }
        _ => {
            r.undefined(line, "guard", name, GUARDS);
            None
        }
    }
}

fn countries<'t>(r: &mut Reading<'t>, value: &Value<'t>) -> Option<Vec<String>> {
    let Some(items) = value.get_ref().as_array() else {
        r.wrong_type(value, "citizenshipNotIn", "a list of country codes");
        return None;
    };
    let mut codes = Vec::new();
    for item in items {
        let code = r.text(item, "citizenshipNotIn")?;
        let line = r.line(item);
        if crate::domain::identity::CountryCode::parse(&code).is_err() {
            let message = format!("\"{code}\" is not the code of a country");
            r.report(Rule::W01, line, message, "use ISO 3166-1 alpha-3, such as \"KGZ\"");
        }
        codes.push(code);
    }
    Some(codes)
}

fn effect<'t>(r: &mut Reading<'t>, value: &Value<'t>, names: &Names) -> Option<Effect> {
    let line = r.line(value);
    let (name, argument) = name_and_argument(r, value, "effect")?;
    if let (None, Some(effect)) = (argument, plain_effect(name)) {
        return Some(effect);
    }
    match (name, argument) {
        ("createCharge", Some(argument)) => {
            let fee = r.text(argument, name)?;
            Some(Effect::CreateCharge(defined(r, line, "fee", fee, &names.fees)))
        }
        ("prolongPermit", Some(argument)) => {
            let fee = r.text(argument, name)?;
            Some(Effect::ProlongPermit(defined(r, line, "fee", fee, &names.fees)))
        }
        ("notify", Some(argument)) => {
            let message = r.text(argument, name)?;
            if !MESSAGES.contains(&message.as_str()) {
                r.undefined(line, "message", &message, MESSAGES);
            }
            Some(Effect::Notify(message))
        }
        _ if EFFECTS.contains(&name) => {
            let wanted = if argument.is_none() { "a value in braces" } else { "no value" };
            wrong_argument(r, line, "effect", name, wanted);
            None
        }
        _ => {
            r.undefined(line, "effect", name, EFFECTS);
            None
        }
    }
}

/// Finds an effect that takes no value.
fn plain_effect(name: &str) -> Option<Effect> {
    Some(match name {
        "startClock" => Effect::StartClock,
        "stopClock" => Effect::StopClock,
        "suspendClock" => Effect::SuspendClock,
        "resumeClock" => Effect::ResumeClock,
        "extendClock" => Effect::ExtendClock,
        "withdrawExtension" => Effect::WithdrawExtension,
        "warn" => Effect::Warn,
        "openChecks" => Effect::OpenChecks,
        "askOpenChecks" => Effect::AskOpenChecks,
        "recordFinding" => Effect::RecordFinding,
        "overrideFinding" => Effect::OverrideFinding,
        "repeatCheck" => Effect::RepeatCheck,
        "askInformation" => Effect::AskInformation,
        "recordAnswers" => Effect::RecordAnswers,
        "closeInformation" => Effect::CloseInformation,
        "remind" => Effect::Remind,
        "bookPayment" => Effect::BookPayment,
        "annulOpenCharges" => Effect::AnnulOpenCharges,
        "decideGrant" => Effect::DecideGrant,
        "decideRefuse" => Effect::DecideRefuse,
        "proposeAnnulment" => Effect::ProposeAnnulment,
        "dropProposal" => Effect::DropProposal,
        "withdrawDecision" => Effect::WithdrawDecision,
        "reopenClock" => Effect::ReopenClock,
        "correctForm" => Effect::CorrectForm,
        "reinstatePermit" => Effect::ReinstatePermit,
        "issuePermit" => Effect::IssuePermit,
        "lapsePermit" => Effect::LapsePermit,
        "expirePermit" => Effect::ExpirePermit,
        "annulPermit" => Effect::AnnulPermit,
        "recordRequest" => Effect::RecordRequest,
        "closeRequest" => Effect::CloseRequest,
        "printBlank" => Effect::PrintBlank,
        "changeForm" => Effect::ChangeForm,
        "surrenderPermit" => Effect::SurrenderPermit,
        "suspendPermit" => Effect::SuspendPermit,
        "resumePermit" => Effect::ResumePermit,
        "supersedeReissued" => Effect::SupersedeReissued,
        "supersedePermit" => Effect::SupersedePermit,
        "recordComplaint" => Effect::RecordComplaint,
        "answerComplaint" => Effect::AnswerComplaint,
        "escalate" => Effect::Escalate,
        "openDuties" => Effect::OpenDuties,
        "reportDuty" => Effect::ReportDuty,
        "confirmDuty" => Effect::ConfirmDuty,
        "rejectDutyProof" => Effect::RejectDutyProof,
        "excuseDuty" => Effect::ExcuseDuty,
        "remindDuties" => Effect::RemindDuties,
        "markDutiesOverdue" => Effect::MarkDutiesOverdue,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
