//! Checking and showing workflow definitions; needs no database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::app;
use crate::domain::rules::Rulebook;
use crate::domain::workflow::definition::Definition;
use crate::domain::workflow::embedded::FILES;
use crate::domain::workflow::source::Problem;
use crate::domain::workflow::{diagram, proof};
use crate::error::{Error, Result};

/// Proves every definition among `paths` (files and directories of them; none: the ones in the binary), naming
/// all that is wrong with any, a line each.
pub(super) fn check(paths: &[PathBuf]) -> Result<(), Failure> {
    let mut found: Vec<String> = Vec::new();
    let sets = if paths.is_empty() { vec![embedded(|_| true)] } else { sets(paths)? };
    for set in sets {
        match Rulebook::parse(&set) {
            Ok(rules) => {
                for definition in &rules.definitions {
                    let Definition { track, version, states, transitions, .. } = definition;
                    println!(
                        "{track} v{version} is sound: {} states, {} transitions",
                        states.len(),
                        transitions.len()
                    );
                }
            }
            Err(problems) => found.extend(problems.iter().map(Problem::to_string)),
        }
    }
    // One file of rates can stand beside many definitions.
    found.dedup();
    for line in &found {
        println!("{line}");
    }
    match found.len() {
        0 => Ok(()),
        1 => Err(Failure::Found("1 problem".to_owned())),
        count => Err(Failure::Found(format!("{count} problems"))),
    }
}

/// Draws a definition in a language.
pub(super) fn draw(workflow: &str, format: &str, language: &str) -> Result<(), Failure> {
    let definition = find(workflow)?;
    let picture = match format {
        "svg" => diagram::svg(&definition, language),
        _ => diagram::mermaid(&definition, language),
    };
    super::print(&picture)
}

/// Lists a shortest way to every state of a definition.
pub(super) fn paths(workflow: &str) -> Result<(), Failure> {
    for path in proof::paths(&find(workflow)?) {
        println!("{path}");
    }
    Ok(())
}

/// Finds a definition: a file, or the latest version of a track in the binary.
fn find(workflow: &str) -> Result<Definition, Failure> {
    let mut definitions = if workflow.ends_with(".toml") {
        let path = PathBuf::from(workflow);
        let mut read = Vec::new();
        for set in sets(&[path])? {
            match Rulebook::parse(&set) {
                Ok(rules) => read.extend(rules.definitions),
                Err(problems) => {
                    for problem in &problems {
                        println!("{problem}");
                    }
                    return Err(Failure::Found("the definition is not sound".to_owned()));
                }
            }
        }
        read
    } else {
        let mut all = app::rules(None)?.definitions;
        let tracks: Vec<String> = all.iter().map(|one| one.track.clone()).collect();
        all.retain(|definition| definition.track == workflow);
        if all.is_empty() {
            return Err(Failure::Work(Error::bug(format!(
                "there is no track '{workflow}' in the binary; name one of {}, or a file that ends in .toml",
                tracks.join(", ")
            ))));
        }
        all
    };
    definitions.sort_by_key(|definition| definition.version);
    definitions.pop().ok_or_else(|| {
        Failure::Work(Error::bug(format!("{workflow} holds no definition of a workflow")))
    })
}

/// What stands beside definitions and calendars.
const BESIDE: [&str; 6] = [
    "rates.toml",
    "requisites.toml",
    "grounds.toml",
    "retention.toml",
    "templates.toml",
    "restrictions.toml",
];

/// Puts the files of each directory together with what they are proved against, calendars included: the ones
/// beside them, or those in the binary.
fn sets(paths: &[PathBuf]) -> Result<Vec<Vec<(String, String)>>> {
    let mut named: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let files = if path.is_dir() { tomls(path)? } else { vec![path.clone()] };
        for file in files {
            let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
            let root = match folder.file_name() {
                Some(name) if name == "calendars" => folder.parent().map(Path::to_path_buf),
                _ => None,
            };
            named.entry(root.unwrap_or(folder)).or_default().push(file);
        }
    }
    let mut sets = Vec::new();
    for (root, mut files) in named {
        for beside in BESIDE {
            let path = root.join(beside);
            if path.is_file() {
                files.push(path);
            }
        }
        let calendars = root.join("calendars");
        if calendars.is_dir() {
            files.extend(tomls(&calendars)?);
        }
        files.sort();
        files.dedup();
        let mut set = Vec::new();
        for file in &files {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Error::internal(format!("cannot read {}", file.display()), error)
            })?;
            set.push((file.to_string_lossy().into_owned(), text));
        }
        let has = |end: &str| set.iter().any(|(path, _)| path.rsplit('/').next() == Some(end));
        let calendar = set.iter().any(|(path, _)| is_calendar(path));
        let lacking: Vec<&str> = BESIDE.into_iter().filter(|name| !has(name)).collect();
        set.extend(embedded(|path| match path.rsplit('/').next() {
            Some(name) if BESIDE.contains(&name) => lacking.contains(&name),
            _ => is_calendar(path) && !calendar,
        }));
        sets.push(set);
    }
    Ok(sets)
}

fn is_calendar(path: &str) -> bool {
    path.rsplit('/').nth(1) == Some("calendars")
}

fn embedded(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    FILES
        .iter()
        .filter(|(path, _)| wanted(path))
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

fn tomls(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Error::internal(format!("cannot read {}", folder.display()), error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
