//! A definition as a graph: states are nodes, each transition an edge from each of its states. Corrections
//! and complaints are left out: they lead back to where a path has been, and rules W13 and W15 prove that they do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Path, Step};
use crate::domain::workflow::definition::{Definition, Transition};

/// One way to go from one state to another.
#[derive(Clone, Copy)]
pub(super) struct Edge<'d> {
    pub(super) from: &'d str,
    pub(super) to: &'d str,
    pub(super) transition: &'d Transition,
}

/// The edges of a definition and where it begins.
pub(super) struct Graph<'d> {
    initial: Option<&'d str>,
    edges: Vec<Edge<'d>>,
}

impl<'d> Graph<'d> {
    pub(super) fn of(definition: &'d Definition) -> Self {
        let steps = definition.transitions.iter().filter(|t| !t.command.leaves_an_end());
        let edges = steps.flat_map(|transition| {
            transition.from.iter().map(move |from| Edge {
                from,
                to: transition.target(from),
                transition,
            })
        });
        Self {
            initial: definition.initial().map(|state| state.id.as_str()),
            edges: edges.collect(),
        }
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = &Edge<'d>> {
        self.edges.iter()
    }

    /// Gives the states that can be reached from the initial one without a transition that is avoided.
    pub(super) fn reachable_without(
        &self,
        avoided: impl Fn(&Transition) -> bool,
    ) -> BTreeSet<&'d str> {
        self.shortest_without(avoided).into_keys().collect()
    }

    /// Gives a shortest path to each state that can be reached without a transition that is avoided.
    pub(super) fn shortest_without(
        &self,
        avoided: impl Fn(&Transition) -> bool,
    ) -> BTreeMap<&'d str, Path> {
        let mut found = BTreeMap::new();
        let mut waiting = VecDeque::new();
        if let Some(initial) = self.initial {
            found.insert(initial, Path { to: initial.to_owned(), steps: Vec::new() });
            waiting.push_back(initial);
        }
        while let Some(state) = waiting.pop_front() {
            let steps = found.get(state).map(|path| path.steps.clone()).unwrap_or_default();
            for edge in self.edges.iter().filter(|e| e.from == state && !avoided(e.transition)) {
                if found.contains_key(edge.to) {
                    continue;
                }
                let mut steps = steps.clone();
                steps.push(Step {
                    command: edge.transition.command,
                    from: edge.from.to_owned(),
                    to: edge.to.to_owned(),
                });
                found.insert(edge.to, Path { to: edge.to.to_owned(), steps });
                waiting.push_back(edge.to);
            }
        }
        found
    }

    /// Tells whether a path that never enters `avoided` leads to `goal` over an edge of a kind.
    pub(super) fn passes_by(
        &self,
        avoided: &str,
        goal: &str,
        kind: impl Fn(&Transition) -> bool,
    ) -> bool {
        let open: Vec<&Edge<'d>> =
            self.edges.iter().filter(|edge| edge.from != avoided && edge.to != avoided).collect();
        let mut reached: BTreeSet<&str> =
            self.initial.into_iter().filter(|one| *one != avoided).collect();
        // States behind such an edge.
        let mut marked: BTreeSet<&str> = BTreeSet::new();
        loop {
            let before = reached.len() + marked.len();
            for edge in &open {
                if reached.contains(edge.from) {
                    reached.insert(edge.to);
                    if kind(edge.transition) || marked.contains(edge.from) {
                        marked.insert(edge.to);
                    }
                }
            }
            if reached.len() + marked.len() == before {
                return marked.contains(goal);
            }
        }
    }

    /// Gives the states reached from `start`, which is one of them, following the edges.
    pub(super) fn reachable_from(&self, start: &str) -> BTreeSet<&'d str> {
        let first = self.edges.iter().filter(|edge| edge.from == start).map(|edge| edge.to);
        self.closure(first, |edge| (edge.from, edge.to))
    }

    /// Gives the states from which one of `goals` can be reached, the goals among them.
    pub(super) fn leading_to(&self, goals: impl Iterator<Item = &'d str>) -> BTreeSet<&'d str> {
        self.closure(goals, |edge| (edge.to, edge.from))
    }

    fn closure(
        &self,
        start: impl Iterator<Item = &'d str>,
        direction: impl Fn(&Edge<'d>) -> (&'d str, &'d str),
    ) -> BTreeSet<&'d str> {
        let mut found: BTreeSet<&str> = start.collect();
        loop {
            let before = found.len();
            for (tail, head) in self.edges.iter().map(&direction) {
                if found.contains(tail) {
                    found.insert(head);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}
