//! The README: what can be compared with the code is.

use propusk::config::SETTINGS;
use propusk::domain::workflow::diagram;

use crate::support::office::rulebook;

#[test]
fn the_readme_has_every_setting_with_its_variable_default_and_meaning() {
    let readme = include_str!("../../README.md");
    for setting in SETTINGS {
        let start = format!("| `{}` | `{}` | {} |", setting.key, setting.variable, setting.default);
        let row = readme.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("README.md lacks a row that begins {start}"));
        assert!(row.contains(setting.meaning), "{row}\n  does not say: {}", setting.meaning);
    }
}

#[test]
fn the_checked_in_pictures_are_drawn_from_the_definitions() {
    for (track, picture) in [
        ("patent", include_str!("../../workflows/patent.svg")),
        (
            "highly-qualified-specialist",
            include_str!("../../workflows/highly-qualified-specialist.svg"),
        ),
    ] {
        let rules = rulebook();
        let definition = rules.definitions.iter().find(|one| one.track == track).unwrap();
        assert!(
            diagram::svg(definition, "en").trim_end() == picture.trim_end(),
            "draw it anew: propusk workflow diagram {track} --format svg > workflows/{track}.svg"
        );
    }
}
