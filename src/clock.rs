//! The only reader of wall time and of randomness in the process.
//!
//! Everything else receives a [`Clock`] (or the values it gave), so that tests stand still, jump and replay.
//! `clippy.toml` refuses `Utc::now`, `SystemTime::now` and the random generators anywhere else.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use uuid::Uuid;

/// Gives the current instant, random bytes and new ids.
pub trait Clock: Send + Sync + 'static {
    /// Gives the current instant, in UTC, with microseconds (what PostgreSQL keeps).
    fn now(&self) -> DateTime<Utc>;

    /// Fills `bytes` with randomness fit for secrets (the system's generator in production).
    fn fill(&self, bytes: &mut [u8]);

    /// Gives a salt for a commitment.
    fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        self.fill(&mut salt);
        salt
    }

    /// Gives a new version 7 UUID (RFC 9562): time of [`Clock::now`], the rest random.
    fn new_id(&self) -> Uuid {
        self.id_at(self.now())
    }

    /// Gives a new version 7 UUID of an instant: what happened then sorts and is found by it, to a quarter of a
    /// microsecond (RFC 9562, 6.2, method 3), so that two steps of one millisecond keep their order.
    fn id_at(&self, at: DateTime<Utc>) -> Uuid {
        let mut random = [0u8; 10];
        self.fill(&mut random);
        let [.., high, low] = (at.timestamp_subsec_micros() % 1000 * 4096 / 1000).to_be_bytes();
        [random[0], random[1]] = [high, low];
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// The clock every part of the process shares.
pub type SharedClock = Arc<dyn Clock>;

/// Reads the machine's time and the system's random generator.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of wall time")]
    fn now(&self) -> DateTime<Utc> {
        truncate(Utc::now())
    }

    #[expect(
        clippy::expect_used,
        reason = "without the system's generator no secret is safe; stop"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        SysRng.try_fill_bytes(bytes).expect("the system's random generator must answer");
    }
}

/// Stands still until told otherwise, with a seeded generator: for tests and for seeding the demo.
pub struct FixedClock {
    inner: Mutex<(DateTime<Utc>, StdRng)>,
}

impl FixedClock {
    /// Makes a clock that shows `now` and whose randomness follows from `seed` alone.
    #[must_use]
    pub fn new(now: DateTime<Utc>, seed: u64) -> Self {
        Self { inner: Mutex::new((truncate(now), StdRng::seed_from_u64(seed))) }
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: DateTime<Utc>) {
        self.lock().0 = truncate(now);
    }

    /// Moves the clock by `delta`.
    pub fn advance(&self, delta: TimeDelta) {
        self.lock().0 += delta;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (DateTime<Utc>, StdRng)> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.lock().0
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.lock().1.fill_bytes(bytes);
    }
}

fn truncate(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_instants_to_the_microsecond() {
        let start = DateTime::from_timestamp_micros(1_772_431_200_998_500).unwrap();
        let clock = FixedClock::new(start, 1);
        let mut last = Uuid::nil();
        for micros in 0..3000 {
            let at = start + TimeDelta::microseconds(micros);
            let id = clock.id_at(at);
            assert!(id > last, "{at}");
            assert_eq!(id.get_version_num(), 7);
            let millis = u64::try_from(at.timestamp_millis()).unwrap();
            assert_eq!(u64::try_from(id.as_u128() >> 80).unwrap(), millis);
            last = id;
        }
    }
}
