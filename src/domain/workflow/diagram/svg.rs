//! Writes a layout down as SVG, with attributes only, so that it looks the same under any style policy.

use std::fmt::Write as _;

use super::layout::{Arrow, BOX_WIDTH, HEADER, Layout, MARGIN, Node, layout, width};
use crate::domain::workflow::definition::{Awaited, CommandName, Definition, Phase};

/// Dark on white: every colour has a contrast of at least 4.5 to 1.
const HUES: [&str; 9] = [
    "#27313f", "#9c2f2f", "#1c5d99", "#6b3fa0", "#8a5a00", "#1f6f43", "#a12a6b", "#4d5a6b",
    "#006d77",
];
const INK: &str = "#1d2530";
const QUIET: &str = "#515c6b";
const APPLICANT: &str = "#1c5d99";
const OFFICE: &str = "#b3541e";
const FONT: &str = "system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif";

/// The few words of the picture that are not in the definition.
struct Words {
    description: &'static str,
    phases: [&'static str; 6],
    applicant: &'static str,
    office: &'static str,
    timer: &'static str,
    stays: &'static str,
    end: &'static str,
    corrections: &'static str,
}

const ENGLISH: Words = Words {
    description: "States from top to bottom by phase, final states on the right, and the commands that lead from \
                  one to another.",
    phases: ["Submission", "Checks", "Fee", "Issuance", "In force", "Closed"],
    applicant: "waits for the applicant",
    office: "waits for the office",
    timer: "by the timer",
    stays: "↻ stays in the state",
    end: "final state",
    corrections: "Complaints, and corrections by a second, senior officer, lead back and are not drawn",
};

const RUSSIAN: Words = Words {
    description: "Состояния сверху вниз по этапам, конечные состояния справа, и команды, которые ведут из одного в \
                  другое.",
    phases: ["Подача", "Проверка", "Оплата", "Выдача", "Действие", "Закрыто"],
    applicant: "ждёт заявителя",
    office: "ждёт ведомство",
    timer: "по таймеру",
    stays: "↻ остаётся в состоянии",
    end: "конечное состояние",
    corrections: "Жалобы и исправления, которые вносит другой, старший сотрудник, ведут назад и не показаны",
};

/// Draws a definition as a self-contained SVG picture with the wording of a language (English unless `ru`).
#[must_use]
pub fn svg(definition: &Definition, language: &str) -> String {
    let words = if language == "ru" { &RUSSIAN } else { &ENGLISH };
    let layout = layout(definition, language);
    let title = definition.title.get(language).unwrap_or(&definition.track);
    let mut out = String::new();
    let corrections = corrections(definition);
    let (w, h) = (layout.width, layout.height + if corrections.is_empty() { 0 } else { 24 });
    _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         role=\"img\" aria-labelledby=\"title desc\" lang=\"{}\" font-family=\"{FONT}\" font-size=\"13\" \
         fill=\"{INK}\">",
        escape(language)
    );
    _ = writeln!(out, "<title id=\"title\">{}</title>", escape(title));
    _ = writeln!(out, "<desc id=\"desc\">{}</desc>", escape(words.description));
    _ = writeln!(out, "<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>");
    text(&mut out, (MARGIN, 38), title, "font-size=\"20\" font-weight=\"700\"");
    bands(&mut out, &layout, words);
    for arrow in &layout.arrows {
        line(&mut out, arrow);
    }
    for arrow in &layout.arrows {
        labels(&mut out, arrow);
    }
    for node in &layout.nodes {
        state(&mut out, node);
    }
    legend(&mut out, &layout, words);
    if !corrections.is_empty() {
        let note = format!("{}: {}", words.corrections, corrections.join(", "));
        let small = format!("font-size=\"12\" fill=\"{QUIET}\"");
        text(&mut out, (MARGIN, layout.height), &note, &small);
    }
    out.push_str("</svg>\n");
    out
}

/// Names the commands that are not drawn: corrections, and complaints where they are made.
fn corrections(definition: &Definition) -> Vec<&'static str> {
    let all = definition.transitions.iter().map(|transition| transition.command);
    let mut names = Vec::new();
    for command in all.filter(|one| one.is_correction() || *one == CommandName::Complain) {
        if !names.contains(&command.name()) {
            names.push(command.name());
        }
    }
    names
}

fn bands(out: &mut String, layout: &Layout<'_>, words: &Words) {
    let name = |phase: Phase| {
        let index = Phase::ALL.iter().position(|other| *other == phase).unwrap_or_default();
        words.phases.get(index).copied().unwrap_or_default()
    };
    let (x, w) = (layout.band_x, layout.band_width);
    let heading = format!("font-size=\"13\" font-weight=\"700\" fill=\"{QUIET}\"");
    for band in &layout.bands {
        let (y, h) = (band.y, band.height);
        _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"10\" fill=\"#eef2f6\"/>"
        );
        text(out, (x + 12, y + 22), name(band.phase), &heading);
    }
    text(out, (layout.closed_x, HEADER + 22), name(Phase::Closed), &heading);
}

/// Draws an arrow, with a head where it ends and a dot where it joins another.
fn line(out: &mut String, arrow: &Arrow) {
    let colour = HUES.get(arrow.hue % HUES.len()).copied().unwrap_or(INK);
    let points: Vec<_> = arrow.points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let points = points.join(" ");
    let dash = if arrow.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    _ = writeln!(
        out,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.75\" \
         stroke-linejoin=\"round\"{dash}/>"
    );
    let Some(&(x, y)) = arrow.points.last() else { return };
    if !arrow.head {
        _ = writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
        return;
    }
    let before = arrow.points.iter().rev().nth(1).copied().unwrap_or((x, y));
    let (dx, dy) = ((x - before.0).signum(), (y - before.1).signum());
    // The two corners behind the tip: back by nine, and to either side by five.
    let (bx, by) = (x - 9 * dx, y - 9 * dy);
    let (sx, sy) = (5 * dy, 5 * dx);
    _ = writeln!(
        out,
        "<polygon points=\"{x},{y} {},{} {},{}\" fill=\"{colour}\"/>",
        bx + sx,
        by + sy,
        bx - sx,
        by - sy
    );
}

fn labels(out: &mut String, arrow: &Arrow) {
    let Some(label) = &arrow.label else { return };
    let colour = HUES.get(arrow.hue % HUES.len()).copied().unwrap_or(INK);
    for (index, line) in label.text.lines().enumerate() {
        let y = label.y + i32::try_from(index).unwrap_or_default() * 15;
        text(out, (label.x, y), line, &format!("font-size=\"12\" fill=\"{colour}\""));
    }
}

fn state(out: &mut String, node: &Node<'_>) {
    let (x, y, w, h) = (node.x, node.y, BOX_WIDTH, node.height);
    let edge = if node.state.is_final { QUIET } else { INK };
    _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"#ffffff\" stroke=\"{edge}\" \
         stroke-width=\"1.5\"/>"
    );
    if node.state.is_final {
        _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\" fill=\"none\" stroke=\"{edge}\" \
             stroke-width=\"1.25\"/>",
            x + 4,
            y + 4,
            w - 8,
            h - 8
        );
    }
    let colour = match node.state.awaits {
        Some(Awaited::Applicant) => Some(APPLICANT),
        Some(Awaited::Office) => Some(OFFICE),
        None => None,
    };
    if let Some(colour) = colour {
        _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{}\" width=\"6\" height=\"{}\" fill=\"{colour}\"/>",
            y + 8,
            h - 16
        );
    }
    if node.state.initial {
        // Where applications begin: a dot at the top, with an arrow into the box.
        let (cx, cy) = (x + BOX_WIDTH / 2, y - 22);
        _ = writeln!(out, "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"6\" fill=\"{INK}\"/>");
        let start = Arrow {
            points: vec![(cx, cy), (cx, y)],
            dashed: false,
            head: true,
            hue: 0,
            label: None,
        };
        line(out, &start);
    }
    let mut baseline = y + 26;
    text(out, (x + 16, baseline), &node.state.id, "font-size=\"14\" font-weight=\"700\"");
    for words in &node.words {
        baseline += 18;
        text(out, (x + 16, baseline), words, "");
    }
    for words in &node.stays {
        baseline += 18;
        text(out, (x + 16, baseline), words, &format!("font-size=\"12\" fill=\"{QUIET}\""));
    }
}

fn legend(out: &mut String, layout: &Layout<'_>, words: &Words) {
    let y = layout.height - 24;
    let mut x = MARGIN;
    let small = format!("font-size=\"12\" fill=\"{QUIET}\"");
    for (colour, words) in [(APPLICANT, words.applicant), (OFFICE, words.office)] {
        let top = y - 11;
        _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{top}\" width=\"6\" height=\"14\" fill=\"{colour}\"/>"
        );
        text(out, (x + 14, y), words, &small);
        x += 14 + width(words, 12) + 24;
    }
    let middle = y - 4;
    _ = writeln!(
        out,
        "<line x1=\"{x}\" y1=\"{middle}\" x2=\"{}\" y2=\"{middle}\" stroke=\"{INK}\" stroke-width=\"1.75\" \
         stroke-dasharray=\"6 4\"/>",
        x + 30
    );
    text(out, (x + 38, y), words.timer, &small);
    x += 38 + width(words.timer, 12) + 24;
    text(out, (x, y), words.stays, &small);
    x += width(words.stays, 12) + 24;
    for (inset, radius) in [(0, 4), (3, 2)] {
        _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{radius}\" fill=\"none\" \
             stroke=\"{QUIET}\"/>",
            x + inset,
            y - 12 + inset,
            26 - 2 * inset,
            16 - 2 * inset
        );
    }
    text(out, (x + 34, y), words.end, &small);
}

fn text(out: &mut String, (x, y): (i32, i32), words: &str, attributes: &str) {
    let space = if attributes.is_empty() { "" } else { " " };
    _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\"{space}{attributes}>{}</text>", escape(words));
}

/// Makes a text harmless between tags and in attributes, and drops what XML cannot hold.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
