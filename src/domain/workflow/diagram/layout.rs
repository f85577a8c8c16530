//! Where everything goes. States that go on stand in one column, one below the other, grouped by phase; final
//! states stand in a second column to the right.
//!
//! Between neighbours of the first column arrows go straight up and down. Other arrows of that column take a lane
//! at its left, one each. Each final state has one lane between the columns, which all arrows to it join. A
//! label stands on the piece of its arrow that belongs to it alone, so no two texts can overlap.

use std::collections::BTreeMap;

use super::{Link, links, stage};
use crate::domain::workflow::definition::{Definition, Phase, State};

pub(super) const BOX_WIDTH: i32 = 300;
const PADDING: i32 = 12;
const LINE: i32 = 18;
/// Room between two boxes of the first column, for arrows and their labels.
const GAP: i32 = 50;
/// Room around the boxes of a phase.
const BAND_TOP: i32 = 34;
const BAND_BOTTOM: i32 = 12;
const BAND_NAME: i32 = 84;
/// Distance of lanes, and of arrows that leave one side of a box.
const LANE: i32 = 14;
const PORT: i32 = 24;
pub(super) const MARGIN: i32 = 24;
pub(super) const HEADER: i32 = 64;

/// A state's box.
pub(super) struct Node<'d> {
    pub(super) state: &'d State,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) height: i32,
    /// The public wording, broken into lines.
    pub(super) words: Vec<String>,
    /// Commands that leave the state as it is, broken into lines.
    pub(super) stays: Vec<String>,
}

/// A phase's background.
pub(super) struct Band {
    pub(super) phase: Phase,
    pub(super) y: i32,
    pub(super) height: i32,
}

/// A text beside an arrow.
pub(super) struct Label {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) text: String,
}

/// An arrow as corners from beginning to end.
pub(super) struct Arrow {
    pub(super) points: Vec<(i32, i32)>,
    pub(super) dashed: bool,
    /// Whether it ends in a head; an arrow that joins another's lane does not.
    pub(super) head: bool,
    /// Chooses the colour.
    pub(super) hue: usize,
    pub(super) label: Option<Label>,
}

/// A finished drawing.
pub(super) struct Layout<'d> {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) band_x: i32,
    pub(super) band_width: i32,
    pub(super) closed_x: i32,
    pub(super) nodes: Vec<Node<'d>>,
    pub(super) bands: Vec<Band>,
    pub(super) arrows: Vec<Arrow>,
}

/// Estimates the width of a text, on the wide side.
pub(super) fn width(text: &str, size: i32) -> i32 {
    let letters = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 100);
    letters.saturating_mul(size) * 62 / 100
}

/// Breaks a text at spaces into lines of at most a width.
fn wrap(text: &str, size: i32, widest: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(word, size) + size <= widest => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Lays a definition out with the wording of a language.
pub(super) fn layout<'d>(definition: &'d Definition, language: &str) -> Layout<'d> {
    let links = links(definition, false);
    let (stays, goes): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.from == link.to);
    let mut column: Vec<&State> = definition.states.iter().filter(|s| !s.is_final).collect();
    column.sort_by_key(|state| state.phase);
    let rows: BTreeMap<&str, usize> =
        column.iter().enumerate().map(|(row, state)| (state.id.as_str(), row)).collect();

    let is_neighbour = |link: &Link<'_>| match (rows.get(link.from), rows.get(link.to)) {
        (Some(a), Some(b)) => a.abs_diff(*b) == 1,
        _ => false,
    };
    let (ending, going): (Vec<_>, Vec<_>) =
        goes.into_iter().partition(|link| !rows.contains_key(link.to));
    let (near, far): (Vec<_>, Vec<_>) = going.into_iter().partition(is_neighbour);

    let label_room = |links: &[Link<'_>]| {
        links.iter().map(|link| width(&link.label(), 12)).max().map_or(0, |widest| widest + 16)
    };
    let lanes = |count: usize| i32::try_from(count).unwrap_or_default() * LANE;
    let band_x = MARGIN;
    // The lanes keep clear of the phases' names.
    let first_lane = band_x + if far.is_empty() { 0 } else { BAND_NAME };
    let x = first_lane + 16 + lanes(far.len()) + label_room(&far);
    let band_width = x + BOX_WIDTH + 16 - band_x;
    let label_x = x + BOX_WIDTH;

    let mut nodes = Vec::new();
    let mut bands: Vec<Band> = Vec::new();
    let mut y = HEADER;
    for state in column {
        let begins = bands.last().is_none_or(|band| band.phase != state.phase);
        y += if begins && bands.is_empty() { BAND_TOP } else { GAP };
        let ports = ending.iter().filter(|link| link.from == state.id).count();
        let lefts = far.iter().filter(|link| link.from == state.id || link.to == state.id).count();
        let node = node(state, x, y, language, &stays, ports.max(lefts));
        let bottom = y + node.height + BAND_BOTTOM;
        match bands.last_mut() {
            Some(band) if !begins => band.height = bottom - band.y,
            _ => {
                let top = y - BAND_TOP;
                bands.push(Band { phase: state.phase, y: top, height: bottom - top });
            }
        }
        y += node.height;
        nodes.push(node);
    }
    let bottom = bands.last().map_or(y, |band| band.y + band.height);

    let mut arrows = Vec::new();
    neighbours(&near, &nodes, &mut arrows);
    far_lanes(&far, &nodes, first_lane + 16, &mut arrows);

    let mut finals: Vec<(&State, Vec<&Link<'_>>)> = definition
        .states
        .iter()
        .filter(|state| state.is_final)
        .map(|state| (state, ending.iter().filter(|link| link.to == state.id).collect()))
        .collect();
    let count = lanes(finals.len());
    let lane_x = label_x + label_room(&ending) + LANE;
    let closed_x = lane_x + count + 2 * LANE;
    let ports = ports(&ending, &nodes);
    let mean = |links: &[&Link<'_>]| {
        let ys: Vec<i32> =
            links.iter().filter_map(|link| ports.get(&(link.from, link.to))).copied().collect();
        let count = i32::try_from(ys.len()).unwrap_or(1).max(1);
        ys.iter().sum::<i32>() / count
    };
    finals.sort_by_key(|(_, links)| mean(links));
    // The lane with the most arrows is the first, as the arrows to it then cross no other lane.
    let mut order: Vec<usize> = (0..finals.len()).collect();
    order.sort_by_key(|index| finals.get(*index).map(|(_, links)| std::cmp::Reverse(links.len())));
    let mut free = HEADER + BAND_TOP;
    for (index, (state, links)) in finals.iter().enumerate() {
        let mut node = node(state, closed_x, 0, language, &stays, 0);
        node.y = free.max(mean(links) - node.height / 2);
        free = node.y + node.height + 16;
        let lane = order.iter().position(|other| *other == index).unwrap_or_default();
        let lane = lane_x + lanes(lane);
        bus(links, &ports, &node, (label_x, lane), index + 1, &mut arrows);
        nodes.push(node);
    }
    let height = bottom.max(free) + 64;
    Layout {
        width: closed_x + BOX_WIDTH + MARGIN,
        height,
        band_x,
        band_width,
        closed_x,
        nodes,
        bands,
        arrows,
    }
}

/// Sizes a state's box for its texts and the arrows at one of its sides.
fn node<'d>(
    state: &'d State,
    x: i32,
    y: i32,
    language: &str,
    stays: &[Link<'_>],
    ports: usize,
) -> Node<'d> {
    let words = wrap(stage(state, language), 13, BOX_WIDTH - 2 * PADDING);
    let own: Vec<_> = stays.iter().filter(|link| link.from == state.id).map(Link::label).collect();
    let stays = if own.is_empty() {
        Vec::new()
    } else {
        wrap(&format!("↻ {}", own.join(", ")), 12, BOX_WIDTH - 2 * PADDING)
    };
    let count = |lines: usize| i32::try_from(lines).unwrap_or_default();
    let text = 2 * PADDING + LINE * (1 + count(words.len()) + count(stays.len()));
    let height = text.max((count(ports) + 1) * PORT);
    Node { state, x, y, height, words, stays }
}

/// Draws straight arrows between boxes that stand one below the other: down on the left, up on the right.
fn neighbours(links: &[Link<'_>], nodes: &[Node<'_>], arrows: &mut Vec<Arrow>) {
    for link in links {
        let (Some(from), Some(to)) = (find(nodes, link.from), find(nodes, link.to)) else {
            continue;
        };
        let down = from.y < to.y;
        let both = links.iter().any(|other| other.from == link.to && other.to == link.from);
        let x = match (both, down) {
            (false, _) => from.x + BOX_WIDTH / 2,
            (true, true) => from.x + 24,
            (true, false) => from.x + BOX_WIDTH / 2 + 8,
        };
        let (start, end) =
            if down { (from.y + from.height, to.y) } else { (from.y, to.y + to.height) };
        let text = wrap(&link.label(), 12, BOX_WIDTH / 2 - 8);
        let y = start.min(end) + if text.len() > 1 { 20 } else { GAP / 2 + 4 };
        arrows.push(Arrow {
            points: vec![(x, start), (x, end)],
            dashed: link.timer,
            head: true,
            hue: 0,
            label: Some(Label { x: x + 8, y, text: text.join("\n") }),
        });
    }
}

/// Draws arrows between boxes further apart, each in a lane of its own at the left.
fn far_lanes(links: &[Link<'_>], nodes: &[Node<'_>], first_lane: i32, arrows: &mut Vec<Arrow>) {
    let mut used: BTreeMap<&str, i32> = BTreeMap::new();
    for (index, link) in links.iter().enumerate() {
        let (Some(from), Some(to)) = (find(nodes, link.from), find(nodes, link.to)) else {
            continue;
        };
        let mut port = |node: &Node<'_>, id| {
            let used = used.entry(id).or_insert(0);
            *used += 1;
            node.y + *used * PORT
        };
        let start = port(from, link.from);
        let end = port(to, link.to);
        let lane = first_lane + i32::try_from(index).unwrap_or_default() * LANE;
        arrows.push(Arrow {
            points: vec![(from.x, start), (lane, start), (lane, end), (to.x, end)],
            dashed: link.timer,
            head: true,
            hue: 0,
            label: Some(Label {
                x: from.x - 8 - width(&link.label(), 12),
                y: start - 6,
                text: link.label(),
            }),
        });
    }
}

/// Chooses the height at which each arrow to a final state leaves its box.
fn ports<'l>(links: &'l [Link<'_>], nodes: &[Node<'_>]) -> BTreeMap<(&'l str, &'l str), i32> {
    let mut ports = BTreeMap::new();
    for node in nodes {
        let own: Vec<_> = links.iter().filter(|link| link.from == node.state.id).collect();
        let step = node.height / (i32::try_from(own.len()).unwrap_or_default() + 1);
        for (index, link) in own.iter().enumerate() {
            let index = i32::try_from(index).unwrap_or_default();
            ports.insert((link.from, link.to), node.y + step * (index + 1));
        }
    }
    ports
}

/// Draws all arrows to one final state: each goes right to the state's lane, and the lane to the state.
fn bus(
    links: &[&Link<'_>],
    ports: &BTreeMap<(&str, &str), i32>,
    to: &Node<'_>,
    (label_x, lane): (i32, i32),
    hue: usize,
    arrows: &mut Vec<Arrow>,
) {
    let end = to.y + to.height / 2;
    if let [link] = links {
        let Some(&y) = ports.get(&(link.from, link.to)) else { return };
        let bends = if y == end { Vec::new() } else { vec![(lane, y), (lane, end)] };
        arrows.push(Arrow {
            points: [vec![(label_x, y)], bends, vec![(to.x, end)]].concat(),
            dashed: link.timer,
            head: true,
            hue,
            label: Some(Label { x: label_x + 8, y: y - 6, text: link.label() }),
        });
        return;
    }
    let mut reach: Vec<i32> = Vec::new();
    for link in links {
        let Some(&y) = ports.get(&(link.from, link.to)) else { continue };
        reach.push(y);
        arrows.push(Arrow {
            points: vec![(label_x, y), (lane, y)],
            dashed: link.timer,
            head: false,
            hue,
            label: Some(Label { x: label_x + 8, y: y - 6, text: link.label() }),
        });
    }
    let dashed = links.iter().all(|link| link.timer);
    let lowest = reach.iter().copied().max().unwrap_or(end);
    let highest = reach.iter().copied().min().unwrap_or(end);
    // What lies beyond the state's own height on the other side is a branch of the lane.
    let (trunk, branch) = if highest > end { (lowest, None) } else { (highest, Some(lowest)) };
    arrows.push(Arrow {
        points: vec![(lane, trunk), (lane, end), (to.x, end)],
        dashed,
        head: true,
        hue,
        label: None,
    });
    if let Some(lowest) = branch.filter(|lowest| *lowest > end) {
        arrows.push(Arrow {
            points: vec![(lane, lowest), (lane, end)],
            dashed,
            head: false,
            hue,
            label: None,
        });
    }
}

fn find<'n, 'd>(nodes: &'n [Node<'d>], id: &str) -> Option<&'n Node<'d>> {
    nodes.iter().find(|node| node.state.id == id)
}
