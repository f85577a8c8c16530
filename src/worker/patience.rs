//! How often and after what time a failed job is tried again.

use chrono::TimeDelta;

/// How long a kind of job is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The wait after the first failure.
    first: TimeDelta,
    /// By what each further wait is longer.
    factor: i32,
    /// The longest wait.
    longest: TimeDelta,
    /// After how many attempts a job is given up; `None`: never.
    attempts: Option<i32>,
}

impl Patience {
    /// A mail server may be away from Friday to Monday: twelve attempts take at least 57 hours.
    const MAIL: Self = Self {
        first: TimeDelta::seconds(30),
        factor: 3,
        longest: TimeDelta::hours(12),
        attempts: Some(12),
    };

    /// A deadline that has passed stays passed; giving up would leave an application that nobody looks at.
    const TIMER: Self = Self {
        first: TimeDelta::seconds(5),
        factor: 2,
        longest: TimeDelta::minutes(15),
        attempts: None,
    };

    /// A register is asked until the end of the check's last day, which its handler knows.
    const REGISTER: Self = Self {
        first: TimeDelta::seconds(5),
        factor: 2,
        longest: TimeDelta::minutes(15),
        attempts: None,
    };

    /// Gives the patience with jobs of `kind`.
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "mail" => Self::MAIL,
            "askRegister" => Self::REGISTER,
            _ => Self::TIMER,
        }
    }

    /// Tells whether a job is given up when this attempt fails.
    pub(super) fn is_last(self, attempt: i32) -> bool {
        self.attempts.is_some_and(|most| attempt >= most)
    }

    /// Tells whether this attempt is one too many.
    pub(super) fn is_beyond(self, attempt: i32) -> bool {
        self.attempts.is_some_and(|most| attempt > most)
    }

    /// Gives the wait after the failure of `attempt` (from 1), up to a quarter longer by `random`: jobs that
    /// failed together do not come back together.
    pub(super) fn delay(self, attempt: i32, random: u16) -> TimeDelta {
        let mut delay = self.first;
        for _ in 1..attempt {
            if delay >= self.longest {
                break;
            }
            delay = delay * self.factor;
        }
        let delay = delay.min(self.longest);
        delay + delay * i32::from(random) / (4 * 0x1_0000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_at_most_a_quarter_longer() {
        for patience in [Patience::MAIL, Patience::REGISTER, Patience::TIMER] {
            let mut before = TimeDelta::zero();
            for attempt in [1, 2, 3, 8, 12, 1000, i32::MAX] {
                let least = patience.delay(attempt, 0);
                let most = patience.delay(attempt, u16::MAX);
                assert!(least > before || least == patience.longest, "attempt {attempt}");
                assert!(most > least && most <= least + least / 4, "attempt {attempt}");
                before = least;
            }
            assert_eq!(before, patience.longest);
        }
        assert_eq!(Patience::MAIL.delay(1, 0), TimeDelta::seconds(30));
        assert_eq!(Patience::MAIL.delay(2, 0), TimeDelta::seconds(90));
    }

    #[test]
    fn mail_outlives_a_weekend_and_timers_are_never_given_up() {
        let waits = (1..12).map(|attempt| Patience::of("mail").delay(attempt, 0));
        assert!(waits.sum::<TimeDelta>() >= TimeDelta::hours(57));
        assert!(Patience::of("mail").is_last(12) && !Patience::of("mail").is_last(11));
        assert!(!Patience::of("timer").is_last(i32::MAX));
    }
}
