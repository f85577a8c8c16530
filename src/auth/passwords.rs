//! Passwords: argon2id in a bounded number of threads, and what a new one must withstand.
//!
//! A hash costs megabytes and milliseconds on purpose, so a flood of log-ins must not take the machine: a few
//! run, a few wait, the rest is told to come back. An unknown account costs the same hash as a known one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::error::{Error, ErrorCode, Result, Violation};

/// The shortest and the longest password, in characters.
pub const LENGTH: std::ops::RangeInclusive<usize> = 12..=256;

/// How many hashes may wait for each one that runs.
const QUEUE: usize = 16;

/// How dear a hash is.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
}

impl Cost {
    /// OWASP's recommendation for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes.
    pub const RECOMMENDED: Self = Self { memory_kib: 19 * 1024, passes: 2 };

    /// The least that argon2 takes: for tests, where passwords protect nothing.
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1 };
}

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    params: Params,
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    slots: usize,
    decoy: Arc<str>,
}

impl Passwords {
    /// Makes a hasher that runs `slots` hashes at a time.
    ///
    /// # Errors
    /// [`Error::Internal`] when argon2 does not take the cost.
    pub fn new(cost: Cost, slots: usize) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None)
            .map_err(|error| Error::internal("argon2 does not take this cost", error))?;
        let decoy = hash(&params, "nobody's password", &[0; 16])?.into();
        let slots = slots.max(1);
        let running = Arc::new(Semaphore::new(slots));
        Ok(Self { params, running, waiting: Arc::default(), slots, decoy })
    }

    /// Hashes `password` with `salt` into a PHC string.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when too many hashes wait.
    pub async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String> {
        let params = self.params.clone();
        self.run(move || hash(&params, &password, &salt)).await?
    }

    /// Tells whether `password` has the hash; with none it takes the same time and says no.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when too many hashes wait.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.to_string());
        let params = self.params.clone();
        let fits = self.run(move || {
            let hash = PasswordHash::new(&hash)
                .map_err(|error| Error::internal("a stored password hash does not parse", error))?;
            Ok::<_, Error>(argon2(&params).verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(fits.await?? && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Place::take(&self.waiting);
        if place.number >= self.slots * QUEUE {
            return Err(busy());
        }
        let permit = Arc::clone(&self.running).acquire_owned().await;
        let permit =
            permit.map_err(|error| Error::internal("the hashing slots are gone", error))?;
        drop(place);
        // The permit goes with the work: a caller who hangs up does not free the thread.
        let work = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        work.await.map_err(|error| Error::internal("hashing broke off", error))
    }
}

/// A place in the queue, given back when dropped (also when the caller hangs up).
struct Place<'a> {
    waiting: &'a AtomicUsize,
    number: usize,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, number: waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy() -> Error {
    Error::refused(
        ErrorCode::Unavailable,
        "Many people are logging in; send the same request again after the stated seconds.",
    )
    .with_retry_after(2)
}

fn argon2(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn hash(params: &Params, password: &str, salt: &[u8; 16]) -> Result<String> {
    argon2(params)
        .hash_password_with_salt(password.as_bytes(), salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal("cannot hash a password", error))
}

/// Says why `password` is too weak for somebody of whom `about` is known, if it is.
#[must_use]
pub fn weakness(password: &str, about: &[&str]) -> Option<Violation> {
    if !LENGTH.contains(&password.chars().count()) {
        return Some(Violation::new("/password", "length", "Send 12 to 256 characters."));
    }
    if zxcvbn::zxcvbn(password, about).score() < zxcvbn::Score::Three {
        let detail = "This password is easily guessed; use several unrelated words.";
        return Some(Violation::new("/password", "weak-password", detail));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let passwords = Passwords::new(Cost::LEAST, 1).unwrap();
        let hash = passwords.hash("correct horse battery".to_owned(), [7; 16]).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let verify = |password: &str, hash: Option<&str>| {
            passwords.verify(password.to_owned(), hash.map(str::to_owned))
        };
        assert!(verify("correct horse battery", Some(&hash)).await.unwrap());
        assert!(!verify("correct horse batterY", Some(&hash)).await.unwrap());
        assert!(!verify("nobody's password", None).await.unwrap());
    }

    #[test]
    fn short_and_guessable_passwords_are_refused() {
        let code = |password: &str| weakness(password, &["ivan@example.org"]).map(|one| one.code);
        assert_eq!(code("short").as_deref(), Some("length"));
        assert_eq!(code("passwordpassword").as_deref(), Some("weak-password"));
        assert_eq!(code("ivan@example.org").as_deref(), Some("weak-password"));
        assert_eq!(code("tundra lantern quartz ferry"), None);
    }
}
