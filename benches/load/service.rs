//! The service as its own binary, `propusk serve`, with the settings that a production would give it.
//!
//! Three differ: the budget of look-ups is as high as it can be set, and the machine itself is a trusted proxy, so that the
//! requests come from as many addresses as a public office's do; mail goes to files.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use propusk::auth::Identity;
use propusk::auth::tokens::Tokens;
use propusk::clock::{Clock as _, SystemClock};
use propusk::domain::actor::Role;
use propusk::webhook::Key;
use uuid::Uuid;

use super::http::{Connection, request};
use super::keys::{SECRET, TOKEN_KEY, log_key, permit_key};

/// Who issues the tokens, wherever the service listens.
const ISSUER: &str = "http://127.0.0.1:8080";

/// A running process that is killed when this is dropped.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took from its start to its first answer that it is ready.
    pub ready: Duration,
}

impl Running {
    /// Gives the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    async fn start(mut command: Command, address: SocketAddr, path: &str) -> Self {
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let ask = request("GET", path, None, "", "");
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("what is to be measured ended: {status}");
            }
            if tokio::net::TcpStream::connect(address).await.is_ok()
                && Connection::open(address).await.send(&ask).await.status == 200
            {
                return Self { child, address, ready: began.elapsed() };
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "what is to be measured is not ready"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn secret(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let _ = fs::remove_file(&path);
    let mut file =
        fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

/// The settings of the service's process.
pub fn command(url: &str, dir: &Path, listen: SocketAddr) -> Command {
    for each in ["mail", "documents", "log"] {
        fs::create_dir_all(dir.join(each)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_propusk"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PROPUSK_") {
            command.env_remove(name);
        }
    }
    let secret_text = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(SECRET)
    };
    command
        .env_remove("RUST_LOG")
        .env_remove("DATABASE_OWNER_URL")
        .env("DATABASE_URL", url)
        .env("PROPUSK_LISTEN", listen.to_string())
        .env("PROPUSK_PUBLIC_URL", ISSUER)
        .env("PROPUSK_TOKEN_KEY_FILE", secret(dir, "token-key.pem", TOKEN_KEY))
        .env("PROPUSK_PAYMENT_WEBHOOK_SECRETS", format!("whsec_{secret_text}"))
        .env("PROPUSK_MAIL_FROM", "Propusk <noreply@bench.example>")
        .env("PROPUSK_MAIL_DIRECTORY", dir.join("mail"))
        .env("PROPUSK_DOCUMENTS_DIRECTORY", dir.join("documents"))
        .env("PROPUSK_LOG_KEY_FILE", secret(dir, "log-key", &log_key()))
        .env("PROPUSK_PERMIT_KEY_FILE", secret(dir, "permit-key", &permit_key()))
        .env("PROPUSK_LOG_DIRECTORY", dir.join("log"))
        .env("PROPUSK_PUBLIC_LOOKUPS_PER_MINUTE", "100000")
        .env("PROPUSK_TRUSTED_PROXIES", "127.0.0.1/32");
    command
}

/// Starts the service on the database of `url`; what it keeps is under `dir`, its log at its default.
pub async fn serve(url: &str, dir: &Path) -> Running {
    let address = free();
    let mut command = command(url, dir, address);
    command.arg("serve");
    command.stderr(fs::File::create(dir.join("serve.log")).unwrap());
    Running::start(command, address, "/health/ready").await
}

/// Starts this binary as the server that the service is held against.
pub async fn bare(url: &str) -> Running {
    let address = free();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(super::bare::LISTEN, address.to_string()).env("DATABASE_URL", url);
    Running::start(command, address, "/fixed").await
}

/// Somebody who acts.
#[derive(Debug, Clone)]
pub struct Who {
    /// The account.
    pub id: Uuid,
    /// Its role.
    pub role: Role,
    /// Its unit.
    pub unit: Option<String>,
}

/// Signs in for others.
pub struct Tickets(Tokens, Key);

impl Tickets {
    /// With the keys of [`serve`].
    pub fn new() -> Self {
        Self(Tokens::new(TOKEN_KEY, ISSUER).unwrap(), Key::new(SECRET.to_vec()))
    }

    /// Gives an access token that is good for some minutes, as a log-in would.
    pub fn token(&self, who: &Who) -> String {
        let identity = Identity {
            account: who.id,
            role: who.role,
            unit: who.unit.clone(),
            name: "Бенч".to_owned(),
            session: SystemClock.new_id(),
        };
        self.0.issue(&identity, &SystemClock).unwrap()
    }

    /// Gives the provider's signed message of a payment.
    pub fn payment(&self, uin: &str, kopecks: i64, now: DateTime<Utc>) -> Vec<u8> {
        let paid_at = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let body = serde_json::json!({ "type": "payment.received", "data": {
            "uin": uin, "amountKopecks": kopecks, "paidAt": paid_at, "payer": "Рустам Каримов" } })
        .to_string();
        let id = format!("msg_{}", SystemClock.new_id().simple());
        let signed = self.1.sign(&id, now, body.as_bytes());
        let fields: String =
            signed.fields().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        request("POST", "/v1/callbacks/payments", None, &fields, &body)
    }
}
