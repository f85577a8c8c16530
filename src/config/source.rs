//! The two layers that settings come from, and what is said when one is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// One setting, for readers and for the reader of the layers.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in the TOML file.
    pub key: &'static str,
    /// Its environment variable, which goes before the file.
    pub variable: &'static str,
    /// What holds when it is not set, in words.
    pub default: &'static str,
    /// What it is, and how it is written.
    pub meaning: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

const fn setting(
    key: &'static str,
    variable: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { key, variable, default, meaning, secret: false }
}

const fn secret(
    key: &'static str,
    variable: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { key, variable, default, meaning, secret: true }
}

/// All settings. Lists are TOML arrays in the file and separated by commas in the environment.
pub const SETTINGS: [Setting; 29] = [
    secret(
        "database_url",
        "DATABASE_URL",
        "required",
        "the service's database, postgres://user:password@host/database, or postgres://user@/database?host=/socket/directory",
    ),
    secret(
        "database_owner_url",
        "DATABASE_OWNER_URL",
        "database_url",
        "the same database as its owner, for `propusk migrate`",
    ),
    setting(
        "database_pool_size",
        "PROPUSK_DATABASE_POOL_SIZE",
        "two for each core, and two more",
        "connections at most, 1 to 1000",
    ),
    setting("listen", "PROPUSK_LISTEN", "127.0.0.1:8080", "address and port to serve on"),
    setting(
        "public_url",
        "PROPUSK_PUBLIC_URL",
        "required",
        "how the world reaches the service, https://host without a path (http only for this machine)",
    ),
    setting(
        "http_workers",
        "PROPUSK_HTTP_WORKERS",
        "one for each core",
        "threads that serve HTTP, 1 to 1024",
    ),
    setting(
        "token_key_file",
        "PROPUSK_TOKEN_KEY_FILE",
        "required",
        "file with the Ed25519 private key that signs access tokens, PKCS#8 in PEM",
    ),
    secret(
        "payment_webhook_secrets",
        "PROPUSK_PAYMENT_WEBHOOK_SECRETS",
        "required",
        "list of whsec_ followed by at least 24 bytes in base64; several while they are exchanged",
    ),
    secret(
        "registers",
        "PROPUSK_REGISTERS",
        "none",
        "list of registers that answer by themselves, each its name, its URL and a whsec_ secret, and timeout=10s if need be, with spaces between",
    ),
    secret(
        "smtp_url",
        "PROPUSK_SMTP_URL",
        "required, unless mail_directory is set",
        "mail server, smtps://user:password@host or smtp://user:password@host:587?tls=required",
    ),
    setting(
        "mail_from",
        "PROPUSK_MAIL_FROM",
        "required",
        "sender of mail, such as Work permits <noreply@example.org>",
    ),
    setting(
        "mail_directory",
        "PROPUSK_MAIL_DIRECTORY",
        "not set",
        "directory to write mail into as files, in place of smtp_url",
    ),
    setting(
        "documents_directory",
        "PROPUSK_DOCUMENTS_DIRECTORY",
        "required",
        "directory that keeps the uploaded documents",
    ),
    setting(
        "log_key_file",
        "PROPUSK_LOG_KEY_FILE",
        "required, unless log_key is set",
        "file with the keys that sign the public log, made by `propusk audit key new`",
    ),
    secret(
        "log_key",
        "PROPUSK_LOG_KEY",
        "not set",
        "what such a file holds, in place of log_key_file",
    ),
    setting(
        "permit_key_file",
        "PROPUSK_PERMIT_KEY_FILE",
        "required, unless permit_key is set",
        "file with the keys that sign permits, made by `propusk permit key new`",
    ),
    secret(
        "permit_key",
        "PROPUSK_PERMIT_KEY",
        "not set",
        "what such a file holds, in place of permit_key_file",
    ),
    setting(
        "log_directory",
        "PROPUSK_LOG_DIRECTORY",
        "required",
        "directory that keeps the last signed checkpoint of the log, outside the database and its backups",
    ),
    setting(
        "log_witnesses",
        "PROPUSK_LOG_WITNESSES",
        "none",
        "list of witnesses to ask for cosignatures, each its verifier key, a space, and its URL",
    ),
    setting(
        "payment_page_url",
        "PROPUSK_PAYMENT_PAGE_URL",
        "not set",
        "where a charge is paid at once, https://host/path?uin={uin}&amount={kopecks}; {roubles} is the amount with a point",
    ),
    setting(
        "statements_directory",
        "PROPUSK_STATEMENTS_DIRECTORY",
        "not set",
        "directory in which the provider's statements are put; each is compared with the ledger once, and what this lacks is taken",
    ),
    setting(
        "workflows_directory",
        "PROPUSK_WORKFLOWS_DIRECTORY",
        "the definitions in the binary",
        "directory with workflow definitions",
    ),
    setting(
        "trusted_proxies",
        "PROPUSK_TRUSTED_PROXIES",
        "none",
        "list of addresses or networks, such as 10.0.0.0/8, whose X-Forwarded-For is believed",
    ),
    setting(
        "cors_origins",
        "PROPUSK_CORS_ORIGINS",
        "none",
        "list of origins, such as https://portal.example.org, whose pages may call the service",
    ),
    setting(
        "claim_minutes",
        "PROPUSK_CLAIM_MINUTES",
        "30",
        "minutes that an officer's claim holds, 1 to 480",
    ),
    setting(
        "public_lookups_per_minute",
        "PROPUSK_PUBLIC_LOOKUPS_PER_MINUTE",
        "30",
        "public look-ups that one address may make in a minute, 1 to 100000",
    ),
    setting(
        "login_attempts_per_minute",
        "PROPUSK_LOGIN_ATTEMPTS_PER_MINUTE",
        "10",
        "log-ins that one address may try in a minute, 1 to 100000",
    ),
    setting("log", "PROPUSK_LOG", "info", "what is logged, such as info,propusk=debug"),
    setting("log_format", "PROPUSK_LOG_FORMAT", "text", "text or json"),
];

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this line of this file.
    File(PathBuf, usize),
    /// In this environment variable.
    Environment(&'static str),
    /// Nowhere.
    Default,
}

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's key.
    pub key: String,
    /// Where it was given.
    pub source: Source,
    /// What is wrong and what would be right; reads on after the key.
    pub message: String,
}

impl Problem {
    /// Makes a problem.
    pub fn new(key: impl Into<String>, source: Source, message: impl Into<String>) -> Self {
        Self { key: key.into(), source, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path, line) => write!(f, "{}:{line}: ", path.display())?,
            Source::Environment(variable) => write!(f, "environment variable {variable}: ")?,
            Source::Default => {}
        }
        write!(f, "{} {}", self.key, self.message)
    }
}

/// Everything wrong with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

struct Given {
    /// The value's parts: one for a plain value, any number for a list.
    values: Vec<String>,
    list: bool,
    source: Source,
}

/// What was given, and the problems found so far.
pub(super) struct Reader {
    given: BTreeMap<&'static str, Given>,
    problems: Vec<Problem>,
}

impl Reader {
    /// Reads both layers. A file that cannot be read or parsed ends it; unknown keys and types are collected.
    pub(super) fn open(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Self { given: BTreeMap::new(), problems: Vec::new() };
        if let Some(path) = file {
            reader.read_file(path)?;
        }
        for setting in &SETTINGS {
            if let Some(text) = environment(setting.variable).filter(|text| !text.trim().is_empty())
            {
                let given = Given {
                    values: vec![text.trim().to_owned()],
                    list: false,
                    source: Source::Environment(setting.variable),
                };
                reader.given.insert(setting.key, given);
            }
        }
        Ok(reader)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let fatal = |line, message: String| {
            ConfigErrors(vec![Problem::new(
                "the configuration file",
                Source::File(path.to_owned(), line),
                message,
            )])
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| fatal(1, format!("cannot be read: {error}")))?;
        let line_of = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let table = DeTable::parse(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            fatal(line, format!("is not TOML: {}", error.message()))
        })?;
        for (key, value) in table.get_ref() {
            let source = Source::File(path.to_owned(), line_of(key.span().start));
            let Some(setting) = SETTINGS.iter().find(|one| one.key == key.get_ref()) else {
                let message = match nearest(key.get_ref()) {
                    Some(known) => format!("is no setting; did you mean {known}?"),
                    None => "is no setting; `propusk serve --help` lists them".to_owned(),
                };
                self.problems.push(Problem::new(key.get_ref().as_ref(), source, message));
                continue;
            };
            let found = match value.get_ref() {
                DeValue::Array(items) => items
                    .iter()
                    .map(|item| plain(item.get_ref()))
                    .collect::<Option<Vec<_>>>()
                    .map(|all| (all, true)),
                other => plain(other).map(|one| (vec![one], false)),
            };
            match found {
                Some((values, list)) => {
                    self.given.insert(setting.key, Given { values, list, source });
                }
                None => self.problems.push(Problem::new(
                    setting.key,
                    source,
                    format!("must be text, a number or a list of them: {}", setting.meaning),
                )),
            }
        }
        Ok(())
    }

    /// Reads a setting of one value; none when it is not set or wrong.
    pub(super) fn one<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.given.get(key)?;
        let outcome = match given.values.as_slice() {
            [value] if !given.list => parse(value),
            _ => Err("must be one value, not a list".to_owned()),
        };
        self.settle(key, outcome)
    }

    /// Reads a setting of any number of values; those that are wrong are left out.
    pub(super) fn many<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(given) = self.given.get(key) else { return Vec::new() };
        let values: Vec<String> = if given.list {
            given.values.clone()
        } else {
            given
                .values
                .iter()
                .flat_map(|text| text.split(','))
                .map(|one| one.trim().to_owned())
                .collect()
        };
        values.iter().filter_map(|value| self.settle(key, parse(value))).collect()
    }

    /// Demands a setting; one that is set but wrong was reported before.
    pub(super) fn required<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none()
            && !self.is_set(key)
            && let Some(setting) = SETTINGS.iter().find(|one| one.key == key)
        {
            let message = format!(
                "is not set; set it in the file or as {}: {}",
                setting.variable, setting.meaning
            );
            self.problems.push(Problem::new(key, Source::Default, message));
        }
        value
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.given.get(key).is_some_and(|given| !given.values.is_empty())
            || self.problems.iter().any(|problem| problem.key == key)
    }

    /// Reports a value that is right by itself and wrong here.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str) {
        let source = self.given.get(key).map_or(Source::Default, |given| given.source.clone());
        self.problems.push(Problem::new(key, source, message));
    }

    /// Gives `config` when there was no problem.
    pub(super) fn finish<T>(self, config: Option<T>) -> Result<T, ConfigErrors> {
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => Err(ConfigErrors(self.problems)),
        }
    }

    fn settle<T>(&mut self, key: &'static str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|message| self.refuse(key, &message)).ok()
    }
}

fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}

/// Finds the setting that a misspelt key most likely means.
fn nearest(key: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .map(|setting| (distance(key, setting.key), setting.key))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known)
}

/// Counts the single-letter changes between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
