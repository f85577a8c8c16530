//! The demo's own secrets: made once, kept in its directory, and marked so that nothing else accepts them.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

use crate::audit::note::LogKey;
use crate::clock::Clock;
use crate::config::DEMO_MARK;
use crate::error::{Error, Result};
use crate::permits::keys::PermitKeys;

/// What the demo signs with.
pub struct Secrets {
    /// The key of access tokens: PKCS#8 PEM after a line that says whose it is.
    pub token_key: String,
    /// The key that the payment provider and we share.
    pub payment_webhook_secret: Vec<u8>,
    /// The key of the public log, of a name that says whose it is.
    pub log_key: String,
    /// The keys of permits, with a note that says whose they are.
    pub permit_key: String,
}

impl Secrets {
    /// Reads the secrets kept in `dir`, or makes and keeps them.
    ///
    /// # Errors
    /// [`Error::Internal`] when the files cannot be read or written.
    pub fn keep(dir: &Path, clock: &dyn Clock) -> Result<Self> {
        let token_key = keep(&dir.join("token-key.pem"), || {
            let mut seed = [0; 32];
            clock.fill(&mut seed);
            let pem = SigningKey::from_bytes(&seed)
                .to_pkcs8_pem(LineEnding::LF)
                .map_err(|error| Error::internal("cannot write the demo's token key", error))?;
            Ok(format!("{DEMO_MARK}token-key\n{}", pem.as_str()))
        })?;
        let webhook = keep(&dir.join("payment-webhook-secret"), || {
            let mut random = [0; 16];
            clock.fill(&mut random);
            let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("{DEMO_MARK}{hex}"))
        })?;
        let log_key = keep(&dir.join("log.key"), || {
            let (mut seed, mut name) = ([0; 32], [0; 4]);
            clock.fill(&mut seed);
            clock.fill(&mut name);
            let name = format!("{DEMO_MARK}{:08x}/log", u32::from_be_bytes(name));
            LogKey::generate(&name, seed)
                .map(|key| format!("{}\n", key.private_line()))
                .map_err(|error| Error::internal("cannot make the demo's log key", error))
        })?;
        let permit_key = keep(&dir.join("permit.key"), || {
            let mut seed = [0; 32];
            clock.fill(&mut seed);
            let note = format!("{DEMO_MARK}permit-key");
            Ok(PermitKeys::generate(seed, clock.now(), Some(&note)).private_text())
        })?;
        let payment_webhook_secret = webhook.into_bytes();
        Ok(Self { token_key, payment_webhook_secret, log_key, permit_key })
    }
}

/// Reads a file, or writes it whole with what `make` gives, for our own eyes only.
fn keep(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    let failed = |error| Error::internal(format!("cannot keep {}", path.display()), error);
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let text = make()?;
    let partial = path.with_extension("part");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tokens::Tokens;
    use crate::clock::FixedClock;

    #[test]
    fn secrets_are_marked_usable_and_the_same_again() {
        let dir = std::env::temp_dir().join(format!("propusk-secrets-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let clock = FixedClock::new("2026-11-24T09:00:00Z".parse().unwrap(), 1);
        let first = Secrets::keep(&dir, &clock).unwrap();
        let second = Secrets::keep(&dir, &clock).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(first.token_key, second.token_key);
        assert_eq!(first.payment_webhook_secret, second.payment_webhook_secret);
        assert_eq!(first.permit_key, second.permit_key);
        assert!(first.permit_key.contains(DEMO_MARK));
        assert!(PermitKeys::parse(&first.permit_key).is_ok());
        assert!(first.token_key.starts_with(DEMO_MARK));
        assert!(first.payment_webhook_secret.starts_with(DEMO_MARK.as_bytes()));
        assert!(Tokens::new(&first.token_key, "http://127.0.0.1:8080").is_ok());
    }
}
