//! Draws a definition: as a picture (SVG) and as text for Mermaid.
//!
//! Both show every state with its public wording and every transition with its command; several between the same
//! two states are one arrow. Corrections, which lead back from nearly everywhere, are in the text alone; the picture says
//! so. The picture is laid out here, so that it needs no tool and is the same everywhere.

mod layout;
mod svg;

use std::fmt::Write as _;

use super::definition::{CommandName, Definition, State};
use crate::domain::actor::Party;

pub use svg::svg;

/// Every way from one state to another (or to itself), as one arrow.
struct Link<'d> {
    from: &'d str,
    to: &'d str,
    commands: Vec<CommandName>,
    /// Whether only the timer takes it.
    timer: bool,
}

impl Link<'_> {
    /// The names of the commands.
    fn label(&self) -> String {
        let names: Vec<_> = self.commands.iter().map(|command| command.name()).collect();
        names.join(", ")
    }
}

/// Gathers the links of a definition, in the order of the file.
fn links(definition: &Definition, corrections: bool) -> Vec<Link<'_>> {
    let mut links: Vec<Link<'_>> = Vec::new();
    let wanted = |command: CommandName| corrections || !command.is_correction();
    for transition in definition.transitions.iter().filter(|one| wanted(one.command)) {
        let timer = transition.actors.iter().all(|actor| *actor == Party::Timer);
        for from in &transition.from {
            let to = transition.target(from);
            match links.iter_mut().find(|link| link.from == from && link.to == to) {
                Some(link) => {
                    link.timer &= timer;
                    if !link.commands.contains(&transition.command) {
                        link.commands.push(transition.command);
                    }
                }
                None => links.push(Link { from, to, commands: vec![transition.command], timer }),
            }
        }
    }
    links
}

/// Gives a state's public wording, or its name where it has none.
fn stage<'d>(state: &'d State, language: &str) -> &'d str {
    state.wording.get(language).map_or(&state.id, |wording| &wording.stage)
}

/// Draws a definition as a Mermaid `stateDiagram-v2` with the wording of a language.
#[must_use]
pub fn mermaid(definition: &Definition, language: &str) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    for state in &definition.states {
        // A quotation mark would end the name; a semicolon or number sign has a meaning of its own.
        let words =
            stage(state, language).replace('"', "'").replace('#', " ").replace([';', '\n'], ",");
        _ = writeln!(text, "    state \"{words}\" as {}", state.id);
    }
    for state in definition.states.iter().filter(|state| state.initial) {
        _ = writeln!(text, "    [*] --> {}", state.id);
    }
    for link in links(definition, true) {
        _ = writeln!(text, "    {} --> {} : {}", link.from, link.to, link.label());
    }
    for state in definition.states.iter().filter(|state| state.is_final) {
        _ = writeln!(text, "    {} --> [*]", state.id);
    }
    text
}

#[cfg(test)]
mod tests;
