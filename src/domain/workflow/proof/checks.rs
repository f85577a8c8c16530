//! The rules about checks: what they send, which reasons they know, and what those lead to.

use super::Proof;
use crate::domain::checks::Outcome;
use crate::domain::checks::local::{days, number_of, years};
use crate::domain::ground::{GroundCatalogue, GroundCode, GroundKind};
use crate::domain::workflow::definition::{
    CheckRule, CheckSource, CommandName, Consequence, Definition, LocalCheck,
};
use crate::domain::workflow::source::Rule;
use crate::domain::workflow::source::table::advice;

/// W01, checks: a register is sent something, and nobody else is; a reason belongs to a check that can block, and its
/// grounds are some of those that `refuse` takes and the catalogue has. A local check has the reasons and outcomes
/// that it can find, and the guard that holds its number.
pub(super) fn w01(p: &mut Proof<'_>, grounds: &GroundCatalogue) {
    let d = p.definition;
    let refusing: Vec<&GroundCode> = d
        .transitions
        .iter()
        .filter(|transition| transition.command == CommandName::Refuse)
        .flat_map(|transition| &transition.grounds)
        .collect();
    for rule in &d.checks {
        sends(p, rule);
        if let CheckSource::Local(local) = rule.source {
            finds(p, d, rule, local);
        }
        if let Some(first) = rule.reasons.first().filter(|_| rule.blocking.is_empty()) {
            p.report(
                Rule::W01,
                first.line,
                format!("check \"{}\" has reasons, but no outcome that blocks", rule.id),
                "name outcomes in `blocking`, or remove the reasons",
            );
        }
        for reason in &rule.reasons {
            for code in &reason.grounds {
                let fault = match grounds.get(code) {
                    None => format!("ground {code} is not in the catalogue"),
                    Some(ground) if !ground.kinds.contains(&GroundKind::Refuse) => {
                        format!("ground {code} is not one to refuse on")
                    }
                    Some(_) if !refusing.contains(&code) => {
                        format!("ground {code} is not among those of \"refuse\"")
                    }
                    Some(_) => continue,
                };
                let message = format!("{fault}, but reason \"{}\" names it", reason.id);
                p.report(Rule::W01, reason.line, message, "use a ground that \"refuse\" lists");
            }
        }
    }
}

fn sends(p: &mut Proof<'_>, rule: &CheckRule) {
    let (message, remedy) = match (rule.register(), rule.sends.is_empty()) {
        (Some(register), true) => (
            format!("register \"{register}\" is asked by \"{}\", but sent nothing", rule.id),
            "list the parts of the form that it needs in `sends`",
        ),
        (None, false) => (
            format!("check \"{}\" sends parts of the form, but asks no register", rule.id),
            "remove `sends`",
        ),
        (Some(_), false) | (None, true) => return,
    };
    p.report(Rule::W01, rule.line, message, remedy);
}

fn finds(p: &mut Proof<'_>, d: &Definition, rule: &CheckRule, local: LocalCheck) {
    let name = local.name();
    for reason in rule.reasons.iter().filter(|one| !local.reasons().contains(&one.id.as_str())) {
        p.report(
            Rule::W01,
            reason.line,
            format!("the local check `{name}` never finds \"{}\"", reason.id),
            advice(&reason.id, local.reasons().iter().copied()),
        );
    }
    for (outcome, _) in &rule.blocking {
        if !matches!(outcome, Outcome::Hit | Outcome::NoData) {
            p.report(
                Rule::W01,
                rule.line,
                format!("the local check `{name}` never answers \"{}\"", outcome.name()),
                "name `hit` or `noData` in `blocking`",
            );
        }
    }
    let guard = match local {
        LocalCheck::Age if number_of(d, years).is_none() => "ageAtLeast",
        LocalCheck::EntryWindow if number_of(d, days).is_none() => "withinDaysOfEntryOrFined",
        LocalCheck::Mrz
        | LocalCheck::Age
        | LocalCheck::EntryWindow
        | LocalCheck::DuplicatePerson
        | LocalCheck::PermitBan => return,
    };
    p.report(
        Rule::W01,
        rule.line,
        format!("the local check `{name}` looks for a number that no guard `{guard}` holds"),
        format!("guard \"submit\" with `{guard}`, or remove the check"),
    );
}

/// W08, reasons: one that means "refuse" names a ground to refuse on.
pub(super) fn w08(p: &mut Proof<'_>) {
    for reason in p.definition.checks.iter().flat_map(|rule| &rule.reasons) {
        if reason.means == Consequence::Refuse && reason.grounds.is_empty() {
            p.report(
                Rule::W08,
                reason.line,
                format!("reason \"{}\" means \"refuse\", but names no ground", reason.id),
                "list the grounds that it supports in `grounds`",
            );
        }
    }
}
