//! The rule files that ship inside the binary. An office with files of its own reads those instead.

/// Path and text of every file under `workflows/`, as [`crate::domain::rules::Rulebook::parse`] takes them.
pub const FILES: &[(&str, &str)] = &[
    ("workflows/patent.toml", include_str!("../../../workflows/patent.toml")),
    (
        "workflows/highly-qualified-specialist.toml",
        include_str!("../../../workflows/highly-qualified-specialist.toml"),
    ),
    ("workflows/rates.toml", include_str!("../../../workflows/rates.toml")),
    ("workflows/requisites.toml", include_str!("../../../workflows/requisites.toml")),
    ("workflows/grounds.toml", include_str!("../../../workflows/grounds.toml")),
    ("workflows/retention.toml", include_str!("../../../workflows/retention.toml")),
    ("workflows/templates.toml", include_str!("../../../workflows/templates.toml")),
    ("workflows/restrictions.toml", include_str!("../../../workflows/restrictions.toml")),
    (
        "workflows/calendars/russia-2024.toml",
        include_str!("../../../workflows/calendars/russia-2024.toml"),
    ),
    (
        "workflows/calendars/russia-2025.toml",
        include_str!("../../../workflows/calendars/russia-2025.toml"),
    ),
    (
        "workflows/calendars/russia-2026.toml",
        include_str!("../../../workflows/calendars/russia-2026.toml"),
    ),
    (
        "workflows/calendars/russia-2027.toml",
        include_str!("../../../workflows/calendars/russia-2027.toml"),
    ),
];
