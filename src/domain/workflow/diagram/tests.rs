use super::*;
use crate::domain::workflow::{embedded, source};

fn definition(name: &str) -> Definition {
    let (path, text) = embedded::FILES.iter().find(|(path, _)| path.ends_with(name)).unwrap();
    source::parse(path, text).unwrap()
}

#[test]
fn both_drawings_show_every_state_and_every_command() {
    for file in ["patent.toml", "highly-qualified-specialist.toml"] {
        let definition = definition(file);
        for language in ["en", "ru"] {
            let (picture, text) = (svg(&definition, language), mermaid(&definition, language));
            for state in &definition.states {
                assert!(picture.contains(&format!(">{}</text>", state.id)), "{}", state.id);
                assert!(text.contains(&format!("\" as {}\n", state.id)), "{}", state.id);
            }
            for transition in &definition.transitions {
                let name = transition.command.name();
                assert!(picture.contains(name) && text.contains(name), "{name}");
            }
        }
    }
}

#[test]
fn parallel_transitions_are_one_arrow() {
    let text = mermaid(&definition("patent.toml"), "en");
    assert!(text.starts_with("stateDiagram-v2\n    state \"Draft\" as draft\n"), "{text}");
    assert!(text.contains("    [*] --> draft\n"));
    assert!(text.contains(
        "    informationRequested --> checking : answerInformation, expireInformation\n"
    ));
    assert!(text.contains("    annulled --> [*]\n"));
}

#[test]
fn texts_cannot_break_out_of_the_drawings() {
    let mut definition = definition("patent.toml");
    for state in &mut definition.states {
        for wording in state.wording.values_mut() {
            wording.stage = "<script>\"a\"; & #b'\n</script>".to_owned();
        }
    }
    let picture = svg(&definition, "en");
    assert!(!picture.contains("<script") && picture.contains("&lt;script&gt;&quot;a&quot;; &amp;"));
    assert!(mermaid(&definition, "en").contains("state \"<script>'a',"));
}

/// Boxes as left, top, right and bottom; none may cover another, and no label may lie in a box.
#[test]
fn nothing_lies_over_anything_else() {
    for file in ["patent.toml", "highly-qualified-specialist.toml"] {
        let definition = definition(file);
        for language in ["en", "ru"] {
            let drawn = layout::layout(&definition, language);
            let mut boxes: Vec<_> = drawn
                .nodes
                .iter()
                .map(|n| (n.x, n.y, n.x + layout::BOX_WIDTH, n.y + n.height, n.state.id.clone()))
                .collect();
            for label in drawn.arrows.iter().filter_map(|arrow| arrow.label.as_ref()) {
                for (index, line) in (0..).zip(label.text.lines()) {
                    let bottom = label.y + 15 * index;
                    let right = label.x + layout::width(line, 12);
                    boxes.push((label.x, bottom - 10, right, bottom + 3, line.to_owned()));
                }
            }
            for (index, a) in boxes.iter().enumerate() {
                assert!(a.0 >= 0 && a.1 >= 0 && a.2 <= drawn.width && a.3 <= drawn.height, "{a:?}");
                for b in boxes.iter().take(index) {
                    let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                    assert!(apart, "{file} {language}: {a:?} lies over {b:?}");
                }
            }
        }
    }
}
