//! Who may import whom: the map of `src/lib.rs`, held against every line of `src/`.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the crate each module may name, besides itself.
const MAP: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("error", &[]),
    ("clock", &[]),
    ("config", &["audit", "domain", "error", "permits", "registers", "webhook"]),
    ("permits", &["domain"]),
    ("webhook", &[]),
    ("qr", &[]),
    ("papers", &["domain", "error", "notify", "qr"]),
    ("telemetry", &["config", "error"]),
    ("storage", &["clock", "domain", "error"]),
    ("casework", &["clock", "domain", "error", "storage"]),
    ("audit", &["clock", "domain", "error", "storage", "telemetry"]),
    ("documents", &["clock", "domain", "error"]),
    ("auth", &["clock", "domain", "error", "storage"]),
    ("notify", &["clock", "domain", "error", "telemetry"]),
    ("witness", &["audit", "clock", "error", "telemetry"]),
    ("registers", &["casework", "clock", "domain", "error", "storage", "webhook"]),
    ("register_sim", &["clock", "error", "registers", "webhook"]),
    ("provider_sim", &["clock", "error", "registers", "webhook"]),
    (
        "worker",
        &[
            "audit",
            "casework",
            "clock",
            "documents",
            "domain",
            "error",
            "notify",
            "papers",
            "permits",
            "registers",
            "storage",
            "telemetry",
        ],
    ),
    (
        "api",
        &[
            "app",
            "audit",
            "auth",
            "casework",
            "clock",
            "config",
            "documents",
            "domain",
            "error",
            "permits",
            "qr",
            "registers",
            "storage",
            "telemetry",
            "webhook",
        ],
    ),
];

/// What only the named modules may name, and why.
const KEPT: &[(&str, &[&str], &str)] = &[
    ("diesel", &["storage"], "storage alone names diesel"),
    ("tokio_postgres", &["demo"], "storage alone speaks to the database; demo makes databases"),
    (
        "actix_web",
        &["api", "app", "auth", "main", "provider_sim", "register_sim", "witness"],
        "HTTP is served by api, app, auth, provider_sim, register_sim and witness alone",
    ),
    (
        "ureq",
        &["audit", "registers"],
        "only audit and registers ask other servers, for logs, cosignatures and answers",
    ),
    ("rand::", &["clock"], "randomness comes from the clock"),
    ("SystemTime::now", &["clock"], "only clock.rs reads the wall clock"),
    ("Utc::now", &["clock"], "only clock.rs reads the wall clock"),
    ("Local::now", &["clock"], "only clock.rs reads the wall clock"),
    ("Uuid::now_v7", &["clock"], "ids come from the clock"),
    ("Uuid::new_v4", &["clock"], "ids come from the clock"),
    ("store::apply", &["casework"], "only casework changes an application"),
    ("applications::apply", &["storage", "casework"], "only casework changes an application"),
    ("store::erase(", &["casework"], "only casework erases"),
    ("erasure::erase", &["storage", "casework"], "only casework erases"),
    ("claim_next", &["api", "storage", "casework"], "only casework claims"),
    ("applications::claim_next", &["storage", "casework"], "only casework claims"),
];

/// A setting is checked by the parser that will read it; the command line starts actix's runtime.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("config", "tokio_postgres::Config"),
    ("config", "tokio_postgres::config::SslMode"),
    ("config", "actix_web::http::Uri"),
    ("cli", "actix_web::rt::System"),
];

/// The files of the log, and of what is signed on permits, that are pure, as the domain is.
const PURE: &[&str] = &[
    "audit/checkpoint.rs",
    "audit/edge.rs",
    "audit/merkle.rs",
    "audit/note.rs",
    "audit/note/key.rs",
    "audit/proof.rs",
    "audit/receipt.rs",
    "audit/tile.rs",
    "audit/witness.rs",
    "papers/letter.rs",
    "papers/permit.rs",
    "papers/sheet.rs",
    "permits/jws.rs",
    "permits/keys.rs",
    "permits/statement.rs",
    "permits/status_list.rs",
];

/// What the domain and the pure files must not know at all.
const IMPURE: &[&str] = &[
    "tokio",
    "diesel",
    "actix_web",
    "rand::",
    "std::env",
    "std::fs",
    "std::net",
    "SystemTime",
    "Instant::now",
    "async fn",
    "tracing::",
];

#[test]
fn every_import_is_on_the_map() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut lines = 0;
    for file in files(&src) {
        let name = file.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file).unwrap();
        lines += text.lines().count();
        found.extend(breaches(&name, &text));
    }
    for file in PURE {
        assert!(src.join(file).is_file(), "there is no {file}");
    }
    assert!(lines > 10_000, "only {lines} lines were read");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_forbidden_import_is_found_and_named_with_file_line_and_rule() {
    for (file, text, told) in [
        (
            "domain/fee.rs",
            "\nuse crate::storage::Db;",
            "domain/fee.rs:2: domain must not name crate::storage",
        ),
        (
            "domain.rs",
            "use crate::{clock, domain};",
            "domain.rs:1: domain must not name crate::clock",
        ),
        (
            "domain/a/b.rs",
            "let x = std::env::var(y);",
            "domain/a/b.rs:1: the domain is pure: std::env",
        ),
        (
            "audit/merkle.rs",
            "use crate::storage::Db;",
            "audit/merkle.rs:1: this part of audit is pure: crate::storage",
        ),
        (
            "audit/note.rs",
            "let now = Instant::now();",
            "audit/note.rs:1: this part of audit is pure: Instant::now",
        ),
        (
            "storage/jobs.rs",
            "use crate::casework;",
            "storage/jobs.rs:1: storage must not name crate::casework",
        ),
        (
            "api/public.rs",
            "use diesel::prelude::*;",
            "api/public.rs:1: storage alone names diesel: diesel",
        ),
        (
            "cli.rs",
            "let now = chrono::Utc::now();",
            "cli.rs:1: only clock.rs reads the wall clock: Utc::now",
        ),
        (
            "worker.rs",
            "use crate::storage::{\n    applications::{apply},\n};",
            "worker.rs:2: only casework changes an application: applications::apply",
        ),
        (
            "casework.rs",
            "fn a() {\n    crate::api::b()\n}",
            "casework.rs:2: casework must not name crate::api",
        ),
    ] {
        assert_eq!(breaches(file, text), [told]);
    }
    assert!(
        breaches("domain/fee.rs", "/// As `crate::storage` keeps it.\nuse crate::domain::a;")
            .is_empty()
    );
    assert!(
        breaches("storage/jobs.rs", "use crate::{domain::a, error::{Error, Result}};").is_empty()
    );
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Gives what a file names and must not: `file:line: rule`.
fn breaches(file: &str, text: &str) -> Vec<String> {
    let module = file.split(['/', '.']).next().unwrap();
    let pure = PURE.contains(&file);
    let mut found = Vec::new();
    for (line, code) in paths(text) {
        let mut tell = |rule: String| found.push(format!("{file}:{line}: {rule}"));
        if let Some((_, allowed)) = MAP.iter().find(|(known, _)| *known == module)
            && let Some(rest) = code.split("crate::").nth(1)
        {
            let named: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if named != module && !allowed.contains(&named.as_str()) {
                tell(format!("{module} must not name crate::{named}"));
            } else if pure && !["audit", "domain", "error", "qr"].contains(&named.as_str()) {
                tell(format!("this part of {module} is pure: crate::{named}"));
            }
        }
        for (what, by, why) in KEPT {
            let excepted =
                EXCEPTIONS.iter().any(|(who, path)| *who == module && code.contains(path));
            if code.contains(what) && !by.contains(&module) && !excepted {
                tell(format!("{why}: {what}"));
            }
        }
        for what in IMPURE {
            if module == "domain" && code.contains(what) {
                tell(format!("the domain is pure: {what}"));
            } else if pure && code.contains(what) {
                tell(format!("this part of {module} is pure: {what}"));
            }
        }
    }
    found
}

/// Takes a file apart into pieces of code with their lines, `use` trees unfolded into one path each.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut in_use = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        in_use |= ["use ", "pub use ", "pub(super) use ", "pub(crate) use "]
            .iter()
            .any(|start| line.trim_start().starts_with(start));
        if !in_use {
            found.push((index + 1, line.to_owned()));
            continue;
        }
        let mut word = String::new();
        for letter in line.trim().chars() {
            match letter {
                '{' => prefixes.push(std::mem::take(&mut word)),
                '}' | ',' | ';' => {
                    if !word.trim().is_empty() {
                        found.push((index + 1, format!("{}{}", prefixes.concat(), word.trim())));
                    }
                    word.clear();
                    if letter == '}' {
                        prefixes.pop();
                    }
                    in_use &= letter != ';';
                }
                ' ' if word.is_empty() => {}
                _ => word.push(letter),
            }
        }
    }
    found
}
