//! The machine's PostgreSQL server programs: where they are, which version, what to install without them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The oldest PostgreSQL that Propusk is written for.
pub const OLDEST: u32 = 15;

/// Patterns of directories that packages install the server programs in, with one `*` for the version.
const USUAL_PLACES: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// The server programs of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// Where `postgres` and `initdb` are.
    pub dir: PathBuf,
    /// Their major version.
    pub major: u32,
}

impl Binaries {
    /// Finds programs of version `wanted`, or of any version from [`OLDEST`] on: in `given` alone when given,
    /// else those of `PATH`, else the newest in the usual places.
    ///
    /// # Errors
    /// [`Error::Internal`] saying what to install.
    pub fn find(given: Option<&Path>, wanted: Option<u32>) -> Result<Self> {
        if let Some(dir) = given {
            let found = Self::at(dir).ok_or_else(|| {
                Error::bug(format!(
                    "{} has no working `postgres` and `initdb`; set PROPUSK_POSTGRES_BIN to the directory that \
                     has them, or unset it to have them searched for",
                    dir.display()
                ))
            })?;
            return found.suits(wanted).then_some(found.clone()).ok_or_else(|| {
                Error::bug(format!(
                    "{} has PostgreSQL {}; {}",
                    dir.display(),
                    found.major,
                    advice(wanted)
                ))
            });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let mut usual: Vec<Self> = USUAL_PLACES
            .iter()
            .flat_map(|place| expand(place))
            .filter_map(|dir| Self::at(&dir))
            .collect();
        usual.sort_by_key(|found| std::cmp::Reverse(found.major));
        on_path
            .iter()
            .filter_map(|dir| Self::at(dir))
            .chain(usual)
            .find(|found| found.suits(wanted))
            .ok_or_else(|| Error::bug(advice(wanted)))
    }

    /// Gives the path of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Gives the ways to ask `initdb` for UTF-8 text that sorts by code point, the best first: a system may
    /// lack the C.UTF-8 locale, a build may lack ICU.
    #[must_use]
    pub fn locales(&self) -> &'static [&'static [&'static str]] {
        const BUILTIN: &[&str] =
            &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
        const SYSTEM: &[&str] = &["--locale=C.UTF-8"];
        const ICU: &[&str] = &["--locale-provider=icu", "--icu-locale=und", "--locale=C"];
        const PLAIN: &[&str] = &["--locale=C"];
        if self.major >= 17 { &[BUILTIN, SYSTEM, ICU, PLAIN] } else { &[SYSTEM, ICU, PLAIN] }
    }

    fn at(dir: &Path) -> Option<Self> {
        if !dir.is_absolute() || !dir.join("initdb").exists() || !dir.join("postgres").exists() {
            return None;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = major(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { dir: dir.to_owned(), major })
    }

    fn suits(&self, wanted: Option<u32>) -> bool {
        wanted.map_or(self.major >= OLDEST, |wanted| self.major == wanted)
    }
}

fn advice(wanted: Option<u32>) -> String {
    match wanted {
        Some(wanted) => format!(
            "the database cluster was made by PostgreSQL {wanted}, whose server programs are not here; install \
             that version, name its directory in PROPUSK_POSTGRES_BIN, or choose another data directory"
        ),
        None => format!(
            "PostgreSQL {OLDEST} or newer is needed and its server programs were not found; install them \
             (Debian, Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; Alpine: \
             `apk add postgresql`; Arch: `pacman -S postgresql`; macOS: `brew install postgresql@17`) or name the \
             directory of `postgres` and `initdb` in PROPUSK_POSTGRES_BIN"
        ),
    }
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian 15.14-0)`, `17beta1` and the like.
fn major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![pattern.into()] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_line_gives_its_major_number() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("postgres of another kind"), None);
    }

    #[test]
    fn a_missing_server_says_what_to_install() {
        let error = Binaries::find(Some(Path::new("/nonexistent")), None).unwrap_err().to_string();
        assert!(error.contains("PROPUSK_POSTGRES_BIN"), "{error}");
        assert!(advice(None).contains("apt-get install postgresql"));
    }
}
