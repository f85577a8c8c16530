//! The settings of the service: one typed [`Config`] from a TOML file and the environment, whole or not at all.
//!
//! Everything wrong is reported at once, each with the setting's name, where it came from and what would be
//! right. Secrets are never printed: neither in errors nor in `Debug`. [`SETTINGS`] is the list for readers,
//! [`source`] reads the two layers, [`values`] knows what each value must look like.

pub mod source;
pub mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use self::source::Reader;
pub use self::source::{ConfigErrors, Problem, SETTINGS, Setting, Source};
pub use self::values::{LogFormat, Network, Secret};
use crate::audit::witness::client::Witness;
use crate::domain::fee::page::PaymentPage;
use crate::registers::Register;

/// Marks the secrets that the demo makes for itself: the first bytes of its webhook secret, and a line before
/// its token key. [`Config::load`] refuses whatever bears it.
pub const DEMO_MARK: &str = "propusk-demo-";

/// Everything that serve and worker need to know before they start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database is and how it is used.
    pub database: DatabaseConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// How the world reaches us, without a slash at the end: for links in mails and for the token's issuer.
    pub public_url: String,
    /// Threads that serve HTTP.
    pub http_workers: usize,
    /// Ed25519 private key that signs access tokens, PKCS#8 in PEM, checked.
    pub token_key: Secret<String>,
    /// Keys that sign the payment provider's callbacks; more than one while they are exchanged.
    pub payment_webhook_secrets: Vec<Secret<Vec<u8>>>,
    /// The registers that answer by themselves; the others' checks are officers' work.
    pub registers: Vec<Register>,
    /// How mail leaves.
    pub mail: MailConfig,
    /// Where uploaded documents are kept.
    pub documents_directory: PathBuf,
    /// How the public log is signed.
    pub transparency: TransparencyConfig,
    /// The keys that sign permits, as `propusk permit key` writes them, checked.
    pub permit_keys: Secret<String>,
    /// Definitions to use in place of the ones in the binary.
    pub workflows_directory: Option<PathBuf>,
    /// Where a charge is paid at once.
    pub payment_page: Option<PaymentPage>,
    /// Where the provider's statements are put.
    pub statements_directory: Option<PathBuf>,
    /// Networks whose `Forwarded` and `X-Forwarded-For` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Origins whose pages may call us.
    pub cors_origins: Vec<String>,
    /// Minutes that an officer's claim holds without a sign of life.
    pub claim_minutes: u32,
    /// Public look-ups that one address may make in a minute.
    pub public_lookups_per_minute: NonZeroU32,
    /// Log-ins that one address may try in a minute.
    pub login_attempts_per_minute: NonZeroU32,
}

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The service's URL; its account is a member of `propusk_service`.
    pub url: Secret<String>,
    /// The owner's URL, for migrating and administrating.
    pub owner_url: Secret<String>,
    /// Connections at most.
    pub pool_size: usize,
}

/// How the public log is signed.
#[derive(Debug, Clone)]
pub struct TransparencyConfig {
    /// The keys that sign, one a line as `propusk audit key` writes them, checked.
    pub keys: Secret<String>,
    /// Keeps the last signed checkpoint, outside the database.
    pub directory: PathBuf,
    /// Whom to ask for cosignatures.
    pub witnesses: Vec<Witness>,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// An `EnvFilter`, checked.
    pub filter: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
}

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// The sender.
    pub from: Mailbox,
    /// The way out.
    pub transport: MailTransport,
}

/// The way that mail leaves by.
#[derive(Debug, Clone)]
pub enum MailTransport {
    /// To the SMTP server of this URL; it holds the password.
    Smtp(Secret<String>),
    /// Into files of this directory.
    Directory(PathBuf),
}

/// What a command that only works on the database needs: migrate, audit, user.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// Where the database is and how it is used.
    pub database: DatabaseConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The registers that answer by themselves; the others' checks are officers' work.
    pub registers: Vec<Register>,
    /// Definitions to use in place of the ones in the binary.
    pub workflows_directory: Option<PathBuf>,
    /// The keys that sign the public log, where they are set.
    pub log_keys: Option<Secret<String>>,
    /// Where the last signed checkpoint is kept, where that is set.
    pub log_directory: Option<PathBuf>,
}

/// What the demo decides about itself; the rest of its settings is fixed in [`Config::demo`].
#[derive(Debug)]
pub struct DemoConfig {
    /// URL of the private server's database.
    pub database_url: String,
    /// Port on the loopback address.
    pub port: u16,
    /// The demo's directory; mail and documents go into directories of it, which the demo makes.
    pub data_dir: PathBuf,
    /// As [`Config::token_key`], with a line that has [`DEMO_MARK`] before it.
    pub token_key: String,
    /// As [`Config::payment_webhook_secrets`], beginning with [`DEMO_MARK`].
    pub payment_webhook_secret: Vec<u8>,
    /// As [`TransparencyConfig::keys`], of a name that begins with [`DEMO_MARK`].
    pub log_key: String,
    /// As [`Config::permit_keys`], with a note that begins with [`DEMO_MARK`].
    pub permit_key: String,
}

impl Config {
    /// Reads the settings of serve and worker from `file`, overlaid by `environment` (an empty variable counts
    /// as unset), and checks them all.
    ///
    /// # Errors
    /// Everything that is wrong, missing, unknown, or a secret of the demo.
    pub fn load(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::open(file, environment)?;
        let draft = Draft::read(&mut reader);
        let config = draft.complete(&mut reader);
        reader.finish(config)
    }

    /// Makes the settings of the demo.
    ///
    /// # Errors
    /// Never with the demo's own values; the sender's address is parsed.
    pub fn demo(demo: DemoConfig) -> Result<Self, ConfigErrors> {
        let from = values::mailbox("Propusk <noreply@propusk.example>").map_err(|message| {
            ConfigErrors(vec![Problem::new("mail_from", Source::Default, message)])
        })?;
        Ok(Self {
            database: DatabaseConfig {
                url: Secret::new(demo.database_url.clone()),
                owner_url: Secret::new(demo.database_url),
                pool_size: default_pool_size(),
            },
            log: LogConfig { filter: "warn".to_owned(), format: LogFormat::Text },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, demo.port)),
            public_url: format!("http://127.0.0.1:{}", demo.port),
            http_workers: cores(),
            token_key: Secret::new(demo.token_key),
            payment_webhook_secrets: vec![Secret::new(demo.payment_webhook_secret)],
            registers: Vec::new(),
            mail: MailConfig {
                from,
                transport: MailTransport::Directory(demo.data_dir.join("mail")),
            },
            documents_directory: demo.data_dir.join("documents"),
            transparency: TransparencyConfig {
                keys: Secret::new(demo.log_key),
                directory: demo.data_dir.join("log"),
                witnesses: Vec::new(),
            },
            permit_keys: Secret::new(demo.permit_key),
            workflows_directory: None,
            payment_page: None,
            statements_directory: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            claim_minutes: CLAIM_MINUTES,
            // Whoever tries the demo is alone with it: he may log in as everybody and put it under load.
            public_lookups_per_minute: DEMO_LOOKUPS,
            login_attempts_per_minute: DEMO_LOGINS,
        })
    }
}

impl CommandConfig {
    /// Reads the settings of a command that only works on the database. What is set beyond that is checked as
    /// [`Config::load`] checks it, but nothing else must be there.
    ///
    /// # Errors
    /// Everything that is wrong or unknown, or no database.
    pub fn load(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::open(file, environment)?;
        let mut draft = Draft::read(&mut reader);
        let database = draft.database(&mut reader);
        let config = database.map(|database| Self {
            database,
            log: draft.log,
            registers: draft.registers,
            workflows_directory: draft.workflows_directory,
            log_keys: draft.log_key_file.or(draft.log_key).map(Secret::new),
            log_directory: draft.log_directory,
        });
        reader.finish(config)
    }
}

const CLAIM_MINUTES: u32 = 30;
const PUBLIC_LOOKUPS: NonZeroU32 = NonZeroU32::new(30).unwrap();
const LOGIN_ATTEMPTS: NonZeroU32 = NonZeroU32::new(10).unwrap();
const DEMO_LOOKUPS: NonZeroU32 = NonZeroU32::new(6_000_000).unwrap();
const DEMO_LOGINS: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// What is set, each value checked by itself.
struct Draft {
    database_url: Option<String>,
    database_owner_url: Option<String>,
    pool_size: usize,
    log: LogConfig,
    listen: SocketAddr,
    public_url: Option<String>,
    http_workers: usize,
    token_key: Option<String>,
    payment_webhook_secrets: Vec<Vec<u8>>,
    registers: Vec<Register>,
    smtp_url: Option<String>,
    mail_from: Option<Mailbox>,
    mail_directory: Option<PathBuf>,
    documents_directory: Option<PathBuf>,
    log_key_file: Option<String>,
    log_key: Option<String>,
    permit_key_file: Option<String>,
    permit_key: Option<String>,
    log_directory: Option<PathBuf>,
    log_witnesses: Vec<Witness>,
    workflows_directory: Option<PathBuf>,
    payment_page: Option<PaymentPage>,
    statements_directory: Option<PathBuf>,
    trusted_proxies: Vec<Network>,
    cors_origins: Vec<String>,
    claim_minutes: u32,
    public_lookups: NonZeroU32,
    login_attempts: NonZeroU32,
}

impl Draft {
    fn read(from: &mut Reader) -> Self {
        Self {
            database_url: from.one("database_url", values::database_url),
            database_owner_url: from.one("database_owner_url", values::database_url),
            pool_size: from
                .one("database_pool_size", |text| values::number(text, 1, 1000))
                .map_or_else(default_pool_size, |size| size as usize),
            log: LogConfig {
                filter: from.one("log", values::log_filter).unwrap_or_else(|| "info".to_owned()),
                format: from.one("log_format", values::log_format).unwrap_or(LogFormat::Text),
            },
            listen: from
                .one("listen", values::address)
                .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            public_url: from.one("public_url", values::public_url),
            http_workers: from
                .one("http_workers", |text| values::number(text, 1, 1024))
                .map_or_else(cores, |count| count as usize),
            token_key: from.one("token_key_file", values::token_key_file),
            payment_webhook_secrets: from.many("payment_webhook_secrets", values::webhook_secret),
            registers: from.many("registers", values::register),
            smtp_url: from.one("smtp_url", values::smtp_url),
            mail_from: from.one("mail_from", values::mailbox),
            mail_directory: from.one("mail_directory", values::directory),
            documents_directory: from.one("documents_directory", values::directory),
            log_key_file: from.one("log_key_file", values::log_key_file),
            log_key: from.one("log_key", values::log_key),
            permit_key_file: from.one("permit_key_file", values::permit_key_file),
            permit_key: from.one("permit_key", values::permit_key),
            log_directory: from.one("log_directory", values::directory),
            log_witnesses: from.many("log_witnesses", values::witness),
            workflows_directory: from.one("workflows_directory", values::directory),
            payment_page: from.one("payment_page_url", values::payment_page),
            statements_directory: from.one("statements_directory", values::directory),
            trusted_proxies: from.many("trusted_proxies", values::network),
            cors_origins: from.many("cors_origins", values::origin),
            claim_minutes: from
                .one("claim_minutes", |text| values::number(text, 1, 480))
                .unwrap_or(CLAIM_MINUTES),
            public_lookups: from
                .one("public_lookups_per_minute", values::rate)
                .unwrap_or(PUBLIC_LOOKUPS),
            login_attempts: from
                .one("login_attempts_per_minute", values::rate)
                .unwrap_or(LOGIN_ATTEMPTS),
        }
    }

    fn database(&mut self, from: &mut Reader) -> Option<DatabaseConfig> {
        let url = from.required("database_url", self.database_url.take());
        let owner_url = self.database_owner_url.take().or_else(|| url.clone())?;
        Some(DatabaseConfig {
            url: Secret::new(url?),
            owner_url: Secret::new(owner_url),
            pool_size: self.pool_size,
        })
    }

    /// Checks what serve and worker need on top: what must be there, and what must not be used.
    fn complete(mut self, from: &mut Reader) -> Option<Config> {
        let database = self.database(from);
        let public_url = from.required("public_url", self.public_url);
        let token_key = from.required("token_key_file", self.token_key);
        if token_key.as_ref().is_some_and(|pem| pem.contains(DEMO_MARK)) {
            from.refuse(
                "token_key_file",
                "is the demo's key, which anybody can have; make one with \
                 `openssl genpkey -algorithm ed25519 -out token-key.pem`",
            );
        }
        let secrets = self.payment_webhook_secrets;
        let secrets =
            from.required("payment_webhook_secrets", (!secrets.is_empty()).then_some(secrets));
        if secrets.iter().flatten().any(|secret| secret.starts_with(DEMO_MARK.as_bytes())) {
            from.refuse(
                "payment_webhook_secrets",
                "has the demo's secret, which anybody can have; take the payment provider's, or make one with \
                 `echo whsec_$(openssl rand -base64 32)`",
            );
        }
        for (index, register) in self.registers.iter().enumerate() {
            if self.registers[..index].iter().any(|other| other.name() == register.name()) {
                let twice = format!("names {} twice; leave one of them out", register.name());
                from.refuse("registers", &twice);
            }
        }
        let mail_from = from.required("mail_from", self.mail_from);
        let transport = match (self.smtp_url, self.mail_directory) {
            (Some(url), None) => Some(MailTransport::Smtp(Secret::new(url))),
            (None, Some(directory)) => Some(MailTransport::Directory(directory)),
            (Some(_), Some(_)) => {
                from.refuse("mail_directory", "and smtp_url exclude each other; unset one of them");
                None
            }
            (None, None) => {
                if !from.is_set("mail_directory") {
                    from.required::<()>("smtp_url", None);
                }
                None
            }
        };
        let documents_directory = from.required("documents_directory", self.documents_directory);
        let log_keys = either(
            from,
            ("log_key_file", self.log_key_file),
            ("log_key", self.log_key),
            "and log_key_file exclude each other; unset one of them",
        );
        if log_keys.as_ref().is_some_and(|keys| keys.contains(DEMO_MARK)) {
            from.refuse(
                "log_key_file",
                "is the demo's key, whose log nobody trusts; make one with `propusk audit key new NAME FILE`",
            );
        }
        let permit_keys = either(
            from,
            ("permit_key_file", self.permit_key_file),
            ("permit_key", self.permit_key),
            "and permit_key_file exclude each other; unset one of them",
        );
        if permit_keys.as_ref().is_some_and(|keys| keys.contains(DEMO_MARK)) {
            from.refuse(
                "permit_key_file",
                "is the demo's key, with which anybody can sign permits; make one with `propusk permit key new FILE`",
            );
        }
        let log_directory = from.required("log_directory", self.log_directory);
        Some(Config {
            database: database?,
            log: self.log,
            listen: self.listen,
            public_url: public_url?,
            http_workers: self.http_workers,
            token_key: Secret::new(token_key?),
            payment_webhook_secrets: secrets?.into_iter().map(Secret::new).collect(),
            registers: self.registers,
            mail: MailConfig { from: mail_from?, transport: transport? },
            documents_directory: documents_directory?,
            transparency: TransparencyConfig {
                keys: Secret::new(log_keys?),
                directory: log_directory?,
                witnesses: self.log_witnesses,
            },
            permit_keys: Secret::new(permit_keys?),
            workflows_directory: self.workflows_directory,
            payment_page: self.payment_page,
            statements_directory: self.statements_directory,
            trusted_proxies: self.trusted_proxies,
            cors_origins: self.cors_origins,
            claim_minutes: self.claim_minutes,
            public_lookups_per_minute: self.public_lookups,
            login_attempts_per_minute: self.login_attempts,
        })
    }
}

/// Takes keys from a file or as they stand, whichever is set.
fn either(
    from: &mut Reader,
    (in_file, file): (&'static str, Option<String>),
    (as_is, keys): (&'static str, Option<String>),
    both: &str,
) -> Option<String> {
    match (file, keys) {
        (Some(_), Some(_)) => {
            from.refuse(as_is, both);
            None
        }
        (None, None) if from.is_set(as_is) => None,
        (file, keys) => from.required(in_file, file.or(keys)),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Two connections for each core and two more: PostgreSQL works on about as many statements at a time, and
/// more connections only queue inside it.
fn default_pool_size() -> usize {
    2 * cores() + 2
}
