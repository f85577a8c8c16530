//! Budgets of requests by key (an address, an account), and the header fields that show them.
//!
//! The generic cell rate algorithm: a key's one number is the instant at which its whole budget is free again.
//! Each process counts for itself, so with n processes a caller may get n budgets: a brake, not an invoice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, ErrorCode};

/// How many keys one limiter remembers.
const KEYS: usize = 100_000;

/// A budget of requests for each key.
pub struct Limiter {
    name: &'static str,
    quota: u32,
    window: TimeDelta,
    full_at: Mutex<HashMap<String, DateTime<Utc>>>,
}

/// What a limiter says of one request, and what the answer's header fields show of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on.
    pub allowed: bool,
    name: &'static str,
    quota: u32,
    window: i64,
    remaining: u32,
    reset: i64,
}

impl Limiter {
    /// Makes a limiter that gives each key `quota` requests in `window`, refilled evenly.
    #[must_use]
    pub fn new(name: &'static str, quota: u32, window: TimeDelta) -> Self {
        Self { name, quota: quota.max(1), window, full_at: Mutex::default() }
    }

    /// Takes one request from the budget of `key`.
    pub fn take(&self, key: &str, now: DateTime<Utc>) -> Decision {
        let step = self.window / i32::try_from(self.quota).unwrap_or(i32::MAX);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= KEYS && !full_at.contains_key(key) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= KEYS {
                // A flood from more addresses than we remember: those seen from here on share one budget.
                return self.settle(full_at.entry(String::new()).or_insert(now), step, now);
            }
        }
        self.settle(full_at.entry(key.to_owned()).or_insert(now), step, now)
    }

    fn settle(&self, full_at: &mut DateTime<Utc>, step: TimeDelta, now: DateTime<Utc>) -> Decision {
        let base = (*full_at).max(now);
        let owed = base + step - now;
        let allowed = owed <= self.window;
        let left = if allowed {
            *full_at = base + step;
            self.window - owed
        } else {
            TimeDelta::zero()
        };
        // Until one more request fits, or, with some left, until the budget is whole again.
        let reset = if allowed { owed } else { owed - self.window };
        let millis = |delta: TimeDelta| delta.num_milliseconds().max(0);
        Decision {
            allowed,
            name: self.name,
            quota: self.quota,
            window: self.window.num_seconds(),
            remaining: u32::try_from(millis(left) / millis(step).max(1)).unwrap_or(0),
            reset: (millis(reset) + 999) / 1000,
        }
    }
}

impl Decision {
    /// Refuses the request when the budget is exhausted.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyRequests`] with the seconds to wait.
    pub fn check(&self) -> Result<(), Error> {
        if self.allowed {
            return Ok(());
        }
        let seconds = u64::try_from(self.reset.max(1)).unwrap_or(1);
        Err(Error::refused(
            ErrorCode::TooManyRequests,
            "Too many requests; send the same request again after the stated seconds.",
        )
        .with_retry_after(seconds))
    }

    /// The `RateLimit-Policy` field (draft-ietf-httpapi-ratelimit-headers).
    #[must_use]
    pub fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.quota, self.window)
    }

    /// The `RateLimit` field (draft-ietf-httpapi-ratelimit-headers).
    #[must_use]
    pub fn state(&self) -> String {
        format!("\"{}\";r={};t={}", self.name, self.remaining, self.reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_refills_evenly() {
        let limiter = Limiter::new("test", 3, TimeDelta::seconds(60));
        let start = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let takes: Vec<_> = (0..4).map(|_| limiter.take("a", start)).collect();
        let allowed: Vec<_> = takes.iter().map(|one| (one.allowed, one.remaining)).collect();
        assert_eq!(allowed, [(true, 2), (true, 1), (true, 0), (false, 0)]);
        assert_eq!(takes[3].state(), "\"test\";r=0;t=20");
        assert_eq!(takes[3].policy(), "\"test\";q=3;w=60");
        assert!(limiter.take("b", start).allowed, "another key has its own budget");
        assert!(!limiter.take("a", start + TimeDelta::seconds(19)).allowed);
        assert!(limiter.take("a", start + TimeDelta::seconds(20)).allowed);
        assert!(!limiter.take("a", start + TimeDelta::seconds(20)).allowed);
    }
}
