//! Who may do what in which state: every state, command and role of every definition, without a database.
//!
//! The snapshots show every outcome. The tables [`PATENT`] and [`SPECIALIST`] say a second time, by hand, which
//! moves the law allows; what the engine allows must be that and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use propusk::domain::actor::{Actor, Role};
use propusk::domain::form::Form;
use propusk::domain::workflow::command::Command;
use propusk::domain::workflow::definition::{CommandName, Definition, Guard, Phase, Transition};
use propusk::domain::workflow::engine::{self, Rejection, Step};

use crate::support::cases::{
    Bench, Case, LEASE, REGISTER, TIMER, case_giver, commands, document, elsewhere, late, report,
    user,
};
use crate::support::office::finding;

/// State, command, who, the state after. A senior officer may do all that an officer may.
type Move = (&'static str, &'static str, &'static [&'static str], &'static str);

const OFFICE: &[&str] = &["officer", "seniorOfficer"];
const SENIOR: &[&str] = &["seniorOfficer"];
const MINE: &[&str] = &["applicant"];
const CLOCK: &[&str] = &["timer"];
const ANSWERS: &[&str] = &["officer", "register", "seniorOfficer"];
const MONEY: &[&str] = &["officer", "payments", "seniorOfficer"];

/// What both tracks have in common.
const BOTH: &[Move] = &[
    ("draft", "submit", MINE, "awaitingDuty"),
    ("draft", "withdraw", MINE, "withdrawn"),
    ("draft", "expireDraft", CLOCK, "expiredDraft"),
    ("awaitingDuty", "recordPayment", MONEY, "submitted"),
    ("awaitingDuty", "recordPayment", MONEY, "awaitingDuty"),
    ("awaitingDuty", "withdraw", MINE, "withdrawn"),
    ("awaitingDuty", "expireUnpaid", CLOCK, "unpaid"),
    ("submitted", "accept", OFFICE, "checking"),
    ("submitted", "refuseIntake", OFFICE, "intakeRefused"),
    ("submitted", "withdraw", MINE, "withdrawn"),
    ("submitted", "escalate", CLOCK, "submitted"),
    ("checking", "extendClock", SENIOR, "checking"),
    ("checking", "withdrawExtension", SENIOR, "checking"),
    ("checking", "warn", CLOCK, "checking"),
    ("informationRequested", "extendClock", SENIOR, "informationRequested"),
    ("informationRequested", "withdrawExtension", SENIOR, "informationRequested"),
    ("checking", "recordFinding", ANSWERS, "checking"),
    ("checking", "overrideFinding", SENIOR, "checking"),
    ("checking", "repeatCheck", OFFICE, "checking"),
    ("checking", "requestInformation", OFFICE, "informationRequested"),
    ("checking", "refuse", OFFICE, "refused"),
    ("checking", "withdraw", MINE, "withdrawn"),
    ("checking", "escalate", CLOCK, "checking"),
    ("informationRequested", "recordFinding", ANSWERS, "informationRequested"),
    ("informationRequested", "answerInformation", MINE, "checking"),
    ("informationRequested", "answerInformation", MINE, "informationRequested"),
    ("informationRequested", "withdraw", MINE, "withdrawn"),
    ("informationRequested", "expireInformation", CLOCK, "checking"),
    ("informationRequested", "remind", CLOCK, "informationRequested"),
    ("ready", "handOver", OFFICE, "inForce"),
    ("ready", "escalate", CLOCK, "ready"),
    ("inForce", "proposeAnnulment", OFFICE, "annulmentProposed"),
    ("inForce", "expire", CLOCK, "expired"),
    ("annulmentProposed", "confirmAnnulment", SENIOR, "annulled"),
    ("annulmentProposed", "rejectAnnulment", SENIOR, "inForce"),
    ("annulmentProposed", "expire", CLOCK, "expired"),
    ("annulmentProposed", "escalate", CLOCK, "annulmentProposed"),
    ("refused", "undo", SENIOR, "checking"),
    ("refused", "reopen", SENIOR, "checking"),
    ("refused", "courtOrder", SENIOR, "checking"),
    ("intakeRefused", "undo", SENIOR, "submitted"),
    ("intakeRefused", "reopen", SENIOR, "submitted"),
    ("ready", "correct", SENIOR, "ready"),
    ("inForce", "correct", SENIOR, "inForce"),
    ("annulmentProposed", "correct", SENIOR, "annulmentProposed"),
    ("annulled", "courtOrder", SENIOR, "inForce"),
    ("inForce", "requestDuplicate", MINE, "duplicateRequested"),
    ("duplicateRequested", "issueDuplicate", OFFICE, "inForce"),
    ("duplicateRequested", "correct", SENIOR, "duplicateRequested"),
    ("duplicateRequested", "recordPayment", MONEY, "duplicateRequested"),
    ("duplicateRequested", "refuseRequest", OFFICE, "inForce"),
    ("duplicateRequested", "withdrawRequest", MINE, "inForce"),
    ("duplicateRequested", "escalate", CLOCK, "duplicateRequested"),
    ("duplicateRequested", "expire", CLOCK, "expired"),
    ("inForce", "requestChange", MINE, "changeRequested"),
    ("changeRequested", "makeChange", OFFICE, "inForce"),
    ("changeRequested", "recordPayment", MONEY, "changeRequested"),
    ("changeRequested", "refuseRequest", OFFICE, "inForce"),
    ("changeRequested", "withdrawRequest", MINE, "inForce"),
    ("changeRequested", "escalate", CLOCK, "changeRequested"),
    ("changeRequested", "expire", CLOCK, "expired"),
    ("inForce", "surrender", MINE, "surrenderRequested"),
    ("surrenderRequested", "confirmSurrender", OFFICE, "surrendered"),
    ("surrenderRequested", "correct", SENIOR, "surrenderRequested"),
    ("surrenderRequested", "withdrawRequest", MINE, "inForce"),
    ("surrenderRequested", "escalate", CLOCK, "surrenderRequested"),
    ("surrenderRequested", "expire", CLOCK, "expired"),
    ("inForce", "replaceBlank", SENIOR, "inForce"),
    ("inForce", "suspendPermit", SENIOR, "suspended"),
    ("suspended", "resumePermit", OFFICE, "inForce"),
    ("suspended", "proposeAnnulment", OFFICE, "annulmentProposed"),
    ("suspended", "correct", SENIOR, "suspended"),
    ("suspended", "expire", CLOCK, "expired"),
    ("intakeRefused", "complain", MINE, "intakeAppealed"),
    ("intakeAppealed", "upholdComplaint", SENIOR, "submitted"),
    ("intakeAppealed", "rejectComplaint", SENIOR, "intakeRefused"),
    ("intakeAppealed", "escalate", CLOCK, "intakeAppealed"),
    ("refused", "complain", MINE, "refusalAppealed"),
    ("refusalAppealed", "upholdComplaint", SENIOR, "checking"),
    ("refusalAppealed", "rejectComplaint", SENIOR, "refused"),
    ("refusalAppealed", "courtOrder", SENIOR, "checking"),
    ("refusalAppealed", "escalate", CLOCK, "refusalAppealed"),
    ("annulled", "complain", MINE, "annulmentAppealed"),
    ("annulmentAppealed", "upholdComplaint", SENIOR, "inForce"),
    ("annulmentAppealed", "rejectComplaint", SENIOR, "annulled"),
    ("annulmentAppealed", "courtOrder", SENIOR, "inForce"),
    ("annulmentAppealed", "escalate", CLOCK, "annulmentAppealed"),
    // From `withdrawn` the guards say where to: see the test of what was taken back.
];

/// What only the patent has: the tax before hand-over, and the permit that ends with the paid months.
const PATENT: &[Move] = &[
    ("checking", "grant", OFFICE, "awaitingPayment"),
    ("awaitingPayment", "recordPayment", MONEY, "ready"),
    ("awaitingPayment", "recordPayment", MONEY, "awaitingPayment"),
    ("awaitingPayment", "escalate", CLOCK, "awaitingPayment"),
    ("awaitingPayment", "undo", SENIOR, "checking"),
    ("awaitingPayment", "correct", SENIOR, "awaitingPayment"),
    ("inForce", "recordPayment", MONEY, "inForce"),
    ("inForce", "remind", CLOCK, "inForce"),
    ("inForce", "remindAgain", CLOCK, "inForce"),
    ("inForce", "lapse", CLOCK, "lapsed"),
    ("annulmentProposed", "recordPayment", MONEY, "annulmentProposed"),
    ("annulmentProposed", "remind", CLOCK, "annulmentProposed"),
    ("annulmentProposed", "remindAgain", CLOCK, "annulmentProposed"),
    ("annulmentProposed", "lapse", CLOCK, "lapsed"),
    ("inForce", "reportDuty", MINE, "inForce"),
    ("inForce", "confirmDuty", OFFICE, "inForce"),
    ("inForce", "rejectDutyProof", OFFICE, "inForce"),
    ("inForce", "excuseDuty", OFFICE, "inForce"),
    ("inForce", "remindDuty", CLOCK, "inForce"),
    ("inForce", "dutyOverdue", CLOCK, "inForce"),
    ("annulmentProposed", "reportDuty", MINE, "annulmentProposed"),
    ("annulmentProposed", "remindDuty", CLOCK, "annulmentProposed"),
    ("annulmentProposed", "dutyOverdue", CLOCK, "annulmentProposed"),
    ("duplicateRequested", "lapse", CLOCK, "lapsed"),
    ("changeRequested", "lapse", CLOCK, "lapsed"),
    ("surrenderRequested", "lapse", CLOCK, "lapsed"),
    ("suspended", "lapse", CLOCK, "lapsed"),
    ("inForce", "supersede", CLOCK, "superseded"),
    ("annulmentProposed", "supersede", CLOCK, "superseded"),
    ("duplicateRequested", "supersede", CLOCK, "superseded"),
    ("changeRequested", "supersede", CLOCK, "superseded"),
    ("surrenderRequested", "supersede", CLOCK, "superseded"),
    ("suspended", "supersede", CLOCK, "superseded"),
    ("duplicateRequested", "remind", CLOCK, "duplicateRequested"),
    ("duplicateRequested", "remindAgain", CLOCK, "duplicateRequested"),
    ("duplicateRequested", "reportDuty", MINE, "duplicateRequested"),
    ("duplicateRequested", "remindDuty", CLOCK, "duplicateRequested"),
    ("duplicateRequested", "dutyOverdue", CLOCK, "duplicateRequested"),
    ("changeRequested", "remind", CLOCK, "changeRequested"),
    ("changeRequested", "remindAgain", CLOCK, "changeRequested"),
    ("changeRequested", "reportDuty", MINE, "changeRequested"),
    ("changeRequested", "remindDuty", CLOCK, "changeRequested"),
    ("changeRequested", "dutyOverdue", CLOCK, "changeRequested"),
    ("surrenderRequested", "recordPayment", MONEY, "surrenderRequested"),
    ("surrenderRequested", "remind", CLOCK, "surrenderRequested"),
    ("surrenderRequested", "remindAgain", CLOCK, "surrenderRequested"),
    ("surrenderRequested", "reportDuty", MINE, "surrenderRequested"),
    ("surrenderRequested", "remindDuty", CLOCK, "surrenderRequested"),
    ("surrenderRequested", "dutyOverdue", CLOCK, "surrenderRequested"),
    ("suspended", "recordPayment", MONEY, "suspended"),
    ("suspended", "remind", CLOCK, "suspended"),
    ("suspended", "remindAgain", CLOCK, "suspended"),
    ("suspended", "reportDuty", MINE, "suspended"),
    ("suspended", "remindDuty", CLOCK, "suspended"),
    ("suspended", "dutyOverdue", CLOCK, "suspended"),
    ("suspended", "confirmDuty", OFFICE, "suspended"),
    ("suspended", "rejectDutyProof", OFFICE, "suspended"),
    ("suspended", "excuseDuty", OFFICE, "suspended"),
];

/// What only the highly qualified specialist has: nothing is owed after the decision.
const SPECIALIST: &[Move] =
    &[("checking", "grant", OFFICE, "ready"), ("ready", "undo", SENIOR, "checking")];

fn by_hand(track: &str) -> BTreeSet<(String, String, String, String)> {
    let own = match track {
        "patent" => PATENT,
        "highly-qualified-specialist" => SPECIALIST,
        _ => panic!("write the legal moves of '{track}' down by hand"),
    };
    let moves = BOTH.iter().chain(own);
    let owned = |text: &str| text.to_owned();
    moves
        .flat_map(|(state, command, who, to)| {
            who.iter().map(move |who| (owned(state), owned(command), owned(who), owned(to)))
        })
        .collect()
}

/// Everyone who could ask: all six roles, strangers among them, and the parts that act by themselves.
fn cast(applicant: &Actor) -> Vec<(&'static str, Actor)> {
    vec![
        ("applicant", applicant.clone()),
        ("migrant", user(20, Role::Migrant)),
        ("employer", user(21, Role::Employer)),
        ("officer", user(22, Role::Officer)),
        ("seniorOfficer", user(23, Role::SeniorOfficer)),
        ("otherOfficer", elsewhere(24, Role::Officer)),
        ("otherSenior", elsewhere(25, Role::SeniorOfficer)),
        ("auditor", user(26, Role::Auditor)),
        ("administrator", user(27, Role::Administrator)),
        ("payments", Actor::Payments),
        ("register", Actor::Register { name: REGISTER.into() }),
        ("timer", Actor::Timer),
    ]
}

fn outcome(state: &str, answer: &Result<Step, Rejection>) -> String {
    match answer {
        Ok(step) if step.after.state == state => "stays".to_owned(),
        Ok(step) => format!("→ {}", step.after.state),
        Err(Rejection::NotYours) => "not yours".to_owned(),
        Err(Rejection::Forbidden { .. }) => "forbidden".to_owned(),
        Err(Rejection::WrongState { .. }) => "wrong state".to_owned(),
        Err(Rejection::WrongCharge { .. }) => "wrong charge".to_owned(),
        Err(Rejection::Claimed { .. }) => "claimed".to_owned(),
        Err(Rejection::Blocked(blocked)) => {
            let guards: Vec<&str> = blocked.iter().map(|one| one.guard).collect();
            format!("blocked by {}", guards.join(", "))
        }
        Err(Rejection::Misfits(misfits)) => {
            let mut codes: Vec<&str> = misfits.iter().map(|one| one.code).collect();
            codes.dedup();
            format!("misfit: {}", codes.join(", "))
        }
        Err(Rejection::RuleMissing(what)) => panic!("{state}: {what}"),
    }
}

/// To whom no application is there, whatever they ask.
const STRANGERS: [&str; 5] =
    ["migrant", "employer", "otherOfficer", "otherSenior", "administrator"];

/// Writes one line: what became of one request, by whom it was made. Strangers are not repeated in each.
fn line(out: &mut String, label: &str, outcomes: &[(&str, String)]) {
    let mut grouped: Vec<(&str, Vec<&str>)> = Vec::new();
    for (who, outcome) in outcomes {
        if STRANGERS.contains(who) {
            assert_eq!(outcome, "not yours", "{label} by {who}");
            continue;
        }
        match grouped.iter_mut().find(|(known, _)| known == outcome) {
            Some((_, all)) => all.push(who),
            None => grouped.push((outcome, vec![who])),
        }
    }
    let groups: Vec<String> =
        grouped.iter().map(|(outcome, who)| format!("{outcome}: {}", who.join(" "))).collect();
    writeln!(out, "{label:<40} {}", groups.join(" | ")).unwrap();
}

/// Asks everything of everyone in one case.
fn ask_all(
    case: &Case<'_>,
    mut tell: impl FnMut(&str, CommandName, &[(&'static str, Result<Step, Rejection>)]),
) {
    for (label, command) in commands(&case.application, case.definition, case.today()) {
        let mut answers = Vec::new();
        for (who, actor) in cast(&case.applicant) {
            answers.push((who, case.decide(&command, &actor)));
        }
        if TIMER.contains(&command.name()) {
            let mut later = case.clone();
            later.now = case.when_due(command.name());
            answers.push(("timer after the deadline", later.decide(&command, &Actor::Timer)));
        }
        tell(&label, command.name(), &answers);
    }
}

fn table(bench: &Bench, definition: &Definition, role: Role) -> String {
    let mut out = String::new();
    for state in &definition.states {
        let case = complete(bench, definition, role, &state.id);
        writeln!(out, "\n# {}", state.id).unwrap();
        ask_all(&case, |label, _, answers| {
            let outcomes: Vec<_> =
                answers.iter().map(|(who, answer)| (*who, outcome(&state.id, answer))).collect();
            line(&mut out, label, &outcomes);
        });
        let context = case.context();
        let known = definition.documents[0].id.clone();
        type Act<'a> = (&'a str, Box<dyn Fn(&Actor) -> Result<Step, Rejection> + 'a>);
        let application = &case.application;
        let acts: [Act<'_>; 5] = [
            (
                "amend the form",
                Box::new(|who| engine::amend_form(application, Form::default(), who, &context)),
            ),
            (
                "attach a document",
                Box::new(|who| {
                    engine::attach_document(application, document(&known), who, &context)
                }),
            ),
            (
                "attach a document of no kind",
                Box::new(|who| {
                    engine::attach_document(application, document("selfie"), who, &context)
                }),
            ),
            ("claim", Box::new(|who| engine::claim(application, who, &context))),
            (
                "release what nobody holds",
                Box::new(|who| engine::release(application, Some("away"), who, &context)),
            ),
        ];
        for (label, act) in acts {
            let outcomes: Vec<_> = cast(&case.applicant)
                .into_iter()
                .map(|(who, actor)| (who, outcome(&state.id, &act(&actor))))
                .collect();
            line(&mut out, label, &outcomes);
        }
    }
    out
}

/// A case in a state, with everything done that can be done without leaving it.
fn complete<'b>(bench: &'b Bench, definition: &Definition, role: Role, state: &str) -> Case<'b> {
    let mut case = bench.in_state(definition, role, state);
    if state == "checking" {
        case.clear_checks(&mut case_giver);
    }
    let phase = definition.state(state).map(|state| state.phase);
    if phase == Some(Phase::InForce) && definition.permit.has_duties_owed() {
        case.hand_in_proofs();
        let applicant = case.applicant.clone();
        case.give(&report("employerNotice", Some(case.today())), &applicant);
    }
    case
}

#[test]
fn every_state_answers_every_command_of_every_role_as_recorded() {
    let bench = Bench::new();
    for definition in &bench.rules.definitions {
        let tables: Vec<String> =
            definition.applicants.iter().map(|role| table(&bench, definition, *role)).collect();
        assert!(
            tables.iter().all(|table| *table == tables[0]),
            "{}: who the applicant is makes a difference",
            definition.track
        );
        insta::assert_snapshot!(definition.track.clone(), tables[0]);
    }
}

#[test]
fn what_is_not_complete_yet_is_blocked_by_the_guards_recorded() {
    let bench = Bench::new();
    let mut out = String::new();
    for definition in &bench.rules.definitions {
        let role = definition.applicants[0];
        let empty = bench.open(definition, role, Form::default());
        let unchecked = bench.in_state(definition, role, "checking");
        for (what, case) in [("an empty draft", empty), ("nothing checked", unchecked)] {
            writeln!(out, "\n# {}: {what}", definition.track).unwrap();
            ask_all(&case, |label, _, answers| {
                for (who, answer) in answers {
                    if let Err(Rejection::Blocked(blocked)) = answer {
                        for one in blocked {
                            writeln!(out, "{label} by {who}: {} {:?}", one.guard, one.parts)
                                .unwrap();
                        }
                    }
                }
            });
        }
    }
    insta::assert_snapshot!("incomplete", out);
}

#[test]
fn the_legal_moves_are_those_written_by_hand_and_no_others() {
    let bench = Bench::new();
    assert_eq!(bench.rules.definitions.len(), 2, "a definition without a table by hand");
    for definition in &bench.rules.definitions {
        let mut allowed = BTreeSet::new();
        for state in &definition.states {
            let mut case = complete(&bench, definition, definition.applicants[0], &state.id);
            let extend = Command::ExtendClock {
                working_days: 1,
                reason: "long".into(),
                basis: "order".into(),
            };
            // As it is, with a longer term, and with what is asked after issue paid and proven.
            for (longer, prepared) in [(false, false), (true, false), (false, true)] {
                if prepared {
                    let here = |one: &&Transition| one.from.contains(&state.id);
                    definition.transitions.iter().filter(here).for_each(|one| case.prepare(one));
                }
                if longer {
                    let Ok(step) = case.decide(&extend, &user(70, Role::SeniorOfficer)) else {
                        continue;
                    };
                    case.take(step);
                }
                ask_all(&case, |_, command, answers| {
                    for (who, answer) in answers {
                        let Ok(step) = answer else { continue };
                        allowed.insert((
                            state.id.clone(),
                            command.name().to_owned(),
                            who.split(' ').next().unwrap().to_owned(),
                            step.after.state.clone(),
                        ));
                    }
                });
            }
        }
        let expected = by_hand(&definition.track);
        let surplus: Vec<_> = allowed.difference(&expected).collect();
        let lacking: Vec<_> = expected.difference(&allowed).collect();
        assert!(
            surplus.is_empty() && lacking.is_empty(),
            "{}: the engine also allows {surplus:#?}, and does not allow {lacking:#?}",
            definition.track
        );
    }
}

#[test]
fn a_choice_that_nothing_blocks_is_a_command_that_is_accepted() {
    let bench = Bench::new();
    for definition in &bench.rules.definitions {
        for state in &definition.states {
            let case = complete(&bench, definition, definition.applicants[0], &state.id);
            let all = commands(&case.application, definition, case.today());
            for (who, actor) in cast(&case.applicant) {
                let choices = engine::choices(&case.application, &actor, &case.context());
                let open: BTreeSet<_> = choices
                    .iter()
                    .filter(|choice| choice.blocked.is_empty())
                    .map(|choice| choice.command.name())
                    .collect();
                let accepted: BTreeSet<_> = all
                    .iter()
                    .filter(|(_, command)| case.decide(command, &actor).is_ok())
                    .map(|(_, command)| command.name().name())
                    .collect();
                assert_eq!(open, accepted, "{} {} {who}", definition.track, state.id);
            }
        }
    }
}

// ── Four eyes ────────────────────────────────────────────────────────────────────────────────────────────────

/// Every walk from the start to `state` that takes each transition at most once, `partner` among them.
fn walks<'d>(
    definition: &'d Definition,
    state: &str,
    partner: CommandName,
) -> Vec<Vec<&'d Transition>> {
    fn go<'d>(
        definition: &'d Definition,
        at: &str,
        (goal, partner): (&str, CommandName),
        walk: &mut Vec<&'d Transition>,
        found: &mut Vec<Vec<&'d Transition>>,
    ) {
        if at == goal && walk.iter().any(|taken| taken.command == partner) {
            found.push(walk.clone());
        }
        for transition in &definition.transitions {
            let to = transition.target(at);
            // Of what stays in the state only the partner counts, and what may lead on; a correction leads back to
            // where the walk has been.
            let idle = to == at
                && transition.command != partner
                && ![CommandName::RecordPayment, CommandName::AnswerInformation]
                    .contains(&transition.command);
            // In force it can go round and round; once is enough.
            let in_force = |id: &str| definition.state(id).unwrap().phase == Phase::InForce;
            let been = |id: &str| walk.iter().any(|taken| taken.to.as_deref() == Some(id));
            let paid = walk.last().is_some_and(|taken| taken.command == CommandName::RecordPayment);
            // What was just paid leaves nothing open.
            let part = |g: &Guard| matches!(g, Guard::PaymentLeavesOpen(_));
            let nothing = to == at && paid && transition.guards.iter().any(part);
            let again = to != at && in_force(at) && in_force(to) && been(to);
            if !transition.from.iter().any(|from| from == at)
                || walk.iter().any(|taken| taken.line == transition.line)
                || idle
                || again
                || nothing
                || transition.command.is_correction()
                || (transition.command.is_of_complaints() && to != goal)
            {
                continue;
            }
            // What is complained of is over.
            let complained = definition.transitions.iter().any(|one| {
                one.command == CommandName::Complain
                    && one.to.as_deref() == Some(goal)
                    && one.from.iter().any(|from| from == to)
            });
            let goes_on = definition.state(to).is_some_and(|state| !state.is_final);
            if to == goal || goes_on || complained {
                walk.push(transition);
                go(definition, to, (goal, partner), walk, found);
                walk.pop();
            }
        }
    }
    let mut found = Vec::new();
    let start = definition.initial().unwrap().id.as_str();
    go(definition, start, (state, partner), &mut Vec::new(), &mut found);
    found
}

#[test]
fn who_gave_a_partner_command_cannot_give_the_second_one_whatever_the_path() {
    let bench = Bench::new();
    let (laid, fresh) = (user(50, Role::SeniorOfficer), user(51, Role::SeniorOfficer));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for definition in &bench.rules.definitions {
        for transition in definition.transitions.iter().filter(|one| !one.four_eyes.is_empty()) {
            let name = transition.command;
            for (partner, from) in transition
                .four_eyes
                .iter()
                .flat_map(|partner| transition.from.iter().map(move |from| (*partner, from)))
            {
                // The applicant takes back; he is no officer who could give it.
                if partner == CommandName::Withdraw {
                    continue;
                }
                let undoes = transition.guards.iter().any(|g| matches!(g, Guard::NothingPaid(_)));
                // Who is corrected has acted last: what came before makes ever less of a difference.
                let most = if name.leaves_an_end() { 64 } else { usize::MAX };
                for walk in walks(definition, from, partner).into_iter().take(most) {
                    let paid = walk.last().map(|step| step.command);
                    if undoes && paid == Some(CommandName::RecordPayment) {
                        continue;
                    }
                    let mut case = bench.draft(definition, definition.applicants[0]);
                    for step in &walk {
                        case.walk(step, &mut |command| {
                            if command == partner { laid.clone() } else { case_giver(command) }
                        });
                    }
                    case.prepare(transition);
                    let (_, command) = commands(&case.application, definition, case.today())
                        .into_iter()
                        .find(|(_, command)| command.name() == name)
                        .unwrap();
                    let told = format!(
                        "{}: {} after {:?}",
                        definition.track,
                        name.name(),
                        walk.iter().map(|step| step.command.name()).collect::<Vec<_>>()
                    );
                    match case.decide(&command, &laid) {
                        Err(Rejection::Blocked(blocked)) => {
                            assert_eq!(blocked.len(), 1, "{told}");
                            assert_eq!(blocked[0].guard, "fourEyes", "{told}");
                            assert_eq!(blocked[0].parts, [partner.name()], "{told}");
                        }
                        other => panic!("{told}: {other:?}"),
                    }
                    assert!(
                        case.decide(&command, &fresh).is_ok(),
                        "{told}: nobody else may either"
                    );
                    *seen
                        .entry(format!("{} {} {}", definition.track, partner.name(), name.name()))
                        .or_default() += 1;
                }
            }
        }
    }
    assert_eq!(
        seen.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "highly-qualified-specialist accept grant",
            "highly-qualified-specialist accept refuse",
            "highly-qualified-specialist confirmAnnulment courtOrder",
            "highly-qualified-specialist confirmAnnulment rejectComplaint",
            "highly-qualified-specialist confirmAnnulment upholdComplaint",
            "highly-qualified-specialist grant correct",
            "highly-qualified-specialist grant undo",
            "highly-qualified-specialist overrideFinding grant",
            "highly-qualified-specialist overrideFinding refuse",
            "highly-qualified-specialist proposeAnnulment confirmAnnulment",
            "highly-qualified-specialist proposeAnnulment rejectAnnulment",
            "highly-qualified-specialist proposeAnnulment rejectComplaint",
            "highly-qualified-specialist proposeAnnulment upholdComplaint",
            "highly-qualified-specialist recordFinding grant",
            "highly-qualified-specialist recordFinding refuse",
            "highly-qualified-specialist recordPayment handOver",
            "highly-qualified-specialist recordPayment issueDuplicate",
            "highly-qualified-specialist recordPayment makeChange",
            "highly-qualified-specialist refuse courtOrder",
            "highly-qualified-specialist refuse rejectComplaint",
            "highly-qualified-specialist refuse reopen",
            "highly-qualified-specialist refuse undo",
            "highly-qualified-specialist refuse upholdComplaint",
            "highly-qualified-specialist refuseIntake rejectComplaint",
            "highly-qualified-specialist refuseIntake reopen",
            "highly-qualified-specialist refuseIntake undo",
            "highly-qualified-specialist refuseIntake upholdComplaint",
            "highly-qualified-specialist suspendPermit resumePermit",
            "patent accept grant",
            "patent accept refuse",
            "patent confirmAnnulment courtOrder",
            "patent confirmAnnulment rejectComplaint",
            "patent confirmAnnulment upholdComplaint",
            "patent grant correct",
            "patent grant undo",
            "patent overrideFinding grant",
            "patent overrideFinding refuse",
            "patent proposeAnnulment confirmAnnulment",
            "patent proposeAnnulment rejectAnnulment",
            "patent proposeAnnulment rejectComplaint",
            "patent proposeAnnulment upholdComplaint",
            "patent recordFinding grant",
            "patent recordFinding refuse",
            "patent recordPayment handOver",
            "patent recordPayment issueDuplicate",
            "patent recordPayment makeChange",
            "patent refuse courtOrder",
            "patent refuse rejectComplaint",
            "patent refuse reopen",
            "patent refuse undo",
            "patent refuse upholdComplaint",
            "patent refuseIntake rejectComplaint",
            "patent refuseIntake reopen",
            "patent refuseIntake undo",
            "patent refuseIntake upholdComplaint",
            "patent suspendPermit resumePermit",
        ]
    );
    assert!(seen.values().all(|paths| *paths >= 2), "only one path each: {seen:?}");
}

// ── Corrections ──────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_was_taken_back_is_reopened_where_it_was_if_its_duty_was_paid() {
    let bench = Bench::new();
    let senior = user(70, Role::SeniorOfficer);
    let reopen = Command::Reopen { reason: "a slip".into(), basis: "a letter".into() };
    let mut seen = BTreeSet::new();
    for definition in &bench.rules.definitions {
        let withdrawals =
            definition.transitions.iter().filter(|t| t.command == CommandName::Withdraw);
        for state in withdrawals.flat_map(|transition| &transition.from) {
            let mut case = bench.in_state(definition, definition.applicants[0], state);
            case.give(&Command::Withdraw { reason: None }, &case.applicant.clone());
            seen.insert(format!(
                "{state} {}",
                outcome("withdrawn", &case.decide(&reopen, &senior))
            ));
            let open = engine::choices(&case.application, &senior, &case.context())
                .iter()
                .any(|choice| choice.command == CommandName::Reopen && choice.blocked.is_empty());
            assert_eq!(open, case.decide(&reopen, &senior).is_ok(), "{state}");
            let officer = case.decide(&reopen, &user(71, Role::Officer));
            assert!(officer.is_err(), "{state}: {officer:?}");
        }
    }
    assert_eq!(
        seen.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "awaitingDuty blocked by feeSettled",
            "checking → checking",
            // Nobody in the office has ever seen a draft.
            "draft not yours",
            "informationRequested → checking",
            "submitted → submitted",
        ]
    );
}

// ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_was_answered_stays_answered_when_the_rest_runs_out() {
    let bench = Bench::new();
    let mut case =
        bench.in_state(&bench.rules.definitions[0], Role::Migrant, "informationRequested");
    let (_, part) = commands(&case.application, case.definition, case.today())
        .into_iter()
        .find(|(label, _)| label == "answerInformation in part")
        .unwrap();
    case.give(&part, &case.applicant.clone());
    case.now += late(CommandName::ExpireInformation);
    let expire = Command::Deadline { name: CommandName::ExpireInformation };
    case.give(&expire, &Actor::Timer);
    let items: Vec<(bool, bool)> = case
        .application
        .information
        .iter()
        .map(|item| (item.answer.is_some(), item.closed))
        .collect();
    assert_eq!(items, [(true, false), (false, true)]);
}

// ── Leases ───────────────────────────────────────────────────────────────────────────────────────────────────

fn checking(bench: &Bench) -> Case<'_> {
    complete(bench, &bench.rules.definitions[0], Role::Migrant, "checking")
}

/// Everything an officer could do to an application in checks.
fn work(case: &Case<'_>) -> Vec<Command> {
    let wanted = ["recordFinding", "requestInformation", "grant", "refuse"];
    commands(&case.application, case.definition, case.today())
        .into_iter()
        .filter(|(label, _)| wanted.contains(&label.as_str()))
        .map(|(_, command)| command)
        .collect()
}

#[test]
fn an_officer_cannot_act_on_what_a_colleague_holds() {
    let bench = Bench::new();
    let (anna, boris) = (user(60, Role::Officer), user(61, Role::SeniorOfficer));
    let mut case = checking(&bench);
    case.take(case.claim(&anna).unwrap());
    let until = case.now + LEASE;
    let held = Rejection::Claimed { by: anna.account().unwrap(), until };
    for command in work(&case) {
        assert_eq!(case.decide(&command, &boris), Err(held.clone()), "{}", command.name().name());
        assert!(case.decide(&command, &anna).is_ok(), "{}", command.name().name());
    }
    assert_eq!(case.claim(&boris), Err(held));
    let choices = engine::choices(&case.application, &boris, &case.context());
    assert!(!choices.is_empty());
    assert!(choices.iter().all(|choice| choice.blocked[0].guard == "claimed"), "{choices:?}");
}

#[test]
fn a_lease_binds_officers_only() {
    let bench = Bench::new();
    let mut case = checking(&bench);
    case.take(case.claim(&user(60, Role::Officer)).unwrap());
    let withdraw = Command::Withdraw { reason: None };
    assert_eq!(case.decide(&withdraw, &case.applicant).unwrap().after.state, "withdrawn");
    let mut overdue = case.clone();
    overdue.now += late(CommandName::Escalate);
    // Held anew, so that the lease runs while the timer acts.
    overdue.take(overdue.claim(&user(60, Role::Officer)).unwrap());
    let escalate = Command::Deadline { name: CommandName::Escalate };
    assert!(overdue.decide(&escalate, &Actor::Timer).is_ok());
}

#[test]
fn a_lease_ends_with_the_state() {
    let bench = Bench::new();
    let anna = user(60, Role::Officer);
    let mut case = checking(&bench);
    case.take(case.claim(&anna).unwrap());
    assert_eq!(case.application.claim.as_ref().unwrap().by, anna.account().unwrap());
    case.give(&Command::Grant, &anna);
    assert_eq!(case.application.claim, None);
}

#[test]
fn a_lease_that_has_run_out_is_free_to_the_minute() {
    let bench = Bench::new();
    let (anna, boris) = (user(60, Role::Officer), user(61, Role::Officer));
    let mut case = checking(&bench);
    case.take(case.claim(&anna).unwrap());
    let taken = case.now;
    case.now = taken + LEASE - chrono::TimeDelta::microseconds(1);
    assert!(matches!(case.decide(&Command::Grant, &boris), Err(Rejection::Claimed { .. })));
    case.now = taken + LEASE;
    assert!(case.decide(&Command::Grant, &boris).is_ok());
    assert!(matches!(case.release(&anna), Err(Rejection::WrongState { .. })));
    case.take(case.claim(&boris).unwrap());
    assert!(matches!(case.decide(&Command::Grant, &anna), Err(Rejection::Claimed { .. })));
}

#[test]
fn the_holders_work_renews_the_lease_and_nobody_elses_does() {
    let bench = Bench::new();
    let (anna, check) = (user(60, Role::Officer), "language".to_owned());
    let mut case = checking(&bench);
    case.take(case.claim(&anna).unwrap());
    let first = case.application.claim.clone().unwrap().until;
    case.now += chrono::TimeDelta::minutes(20);
    let finding = finding(&check, propusk::domain::checks::Outcome::NoData);
    case.give(&finding, &anna);
    let second = case.application.claim.clone().unwrap().until;
    assert_eq!(second - first, chrono::TimeDelta::minutes(20));
    case.take(case.claim(&anna).unwrap());
    assert_eq!(
        case.application.claim.clone().unwrap().until,
        second,
        "the same instant, the same end"
    );
    case.now += LEASE;
    case.give(&finding, &user(61, Role::Officer));
    assert_eq!(case.application.claim.clone().unwrap().until, second, "a colleague renewed it");
}

#[test]
fn only_the_holder_and_a_senior_officer_of_the_unit_can_release() {
    let bench = Bench::new();
    let anna = user(60, Role::Officer);
    let mut case = checking(&bench);
    case.take(case.claim(&anna).unwrap());
    for (who, actor) in cast(&case.applicant) {
        let answer = case.release(&actor);
        match who {
            "seniorOfficer" => assert_eq!(answer.unwrap().after.claim, None),
            "officer" => assert!(matches!(answer, Err(Rejection::Claimed { .. })), "{who}"),
            // For somebody who has left his role or unit.
            "timer" => assert_eq!(answer.unwrap().after.claim, None),
            "applicant" | "auditor" | "payments" | "register" => {
                assert!(matches!(answer, Err(Rejection::Forbidden { .. })), "{who}: {answer:?}");
            }
            _ => assert_eq!(answer, Err(Rejection::NotYours), "{who}"),
        }
    }
    assert_eq!(case.release(&anna).unwrap().after.claim, None);
}
