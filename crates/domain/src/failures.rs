use crate::Timestamp;

/// When consecutive failures slow tries down, stop them for a while, and end a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// From this many consecutive failures on, each one is followed by a short pause.
    pub throttle_from: u32,
    /// Length of that pause, in seconds.
    pub throttle_seconds: i64,
    /// From this many on, each one is followed by a lock.
    pub lock_from: u32,
    /// Length of a lock, in seconds.
    pub lock_seconds: i64,
    /// At this many the token is disabled for good (SP 800-63B-4, 3.2.2).
    pub disable_at: Option<u32>,
}

/// Tries are refused until then; a try meanwhile changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// First moment at which a try is looked at again.
    pub until: Timestamp,
    /// Whether it is a lock, or only a short pause.
    pub locked: bool,
}

/// Consecutive failures of one token, prescriber or NPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How many in a row.
    pub count: u32,
    /// Until when tries are refused, where they are.
    pub blocked_until: Option<Timestamp>,
}

impl Failures {
    /// No failure.
    pub const NONE: Self = Self { count: 0, blocked_until: None };

    /// Whether tries are refused at `now`.
    pub fn blocked(&self, limits: &FailureLimits, now: Timestamp) -> Option<Blocked> {
        let until = self.blocked_until.filter(|until| now < *until)?;
        Some(Blocked { until, locked: self.count >= limits.lock_from })
    }

    /// After one more failure. Call only when not blocked: tries meanwhile are not counted.
    #[must_use]
    pub fn failed(&self, limits: &FailureLimits, now: Timestamp) -> Self {
        let count = self.count.saturating_add(1);
        let pause = if count >= limits.lock_from {
            Some(limits.lock_seconds)
        } else if count >= limits.throttle_from {
            Some(limits.throttle_seconds)
        } else {
            None
        };
        Self { count, blocked_until: pause.map(|seconds| now.plus_seconds(seconds)) }
    }

    /// Whether the count ends the token.
    pub fn exhausted(&self, limits: &FailureLimits) -> bool {
        limits.disable_at.is_some_and(|most| self.count >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    const LIMITS: FailureLimits = Policy::STANDARD.token;

    /// Shows: N-11, N-12
    #[test]
    fn slows_then_locks_then_ends() {
        let now = Timestamp::from_seconds(1_000);
        let mut failures = Failures::NONE;
        for count in 1..=30 {
            failures = failures.failed(&LIMITS, now);
            assert_eq!(failures.count, count);
            let blocked = failures.blocked(&LIMITS, now);
            match count {
                1..=2 => assert_eq!(blocked, None),
                3..=5 => assert_eq!(
                    blocked,
                    Some(Blocked { until: now.plus_seconds(30), locked: false })
                ),
                _ => assert_eq!(
                    blocked,
                    Some(Blocked { until: now.plus_seconds(900), locked: true })
                ),
            }
            assert_eq!(failures.exhausted(&LIMITS), count == 30);
        }
    }

    #[test]
    fn the_end_of_a_lock_is_the_end() {
        let now = Timestamp::from_seconds(1_000);
        let failures = Failures { count: 6, blocked_until: Some(now) };
        assert_eq!(failures.blocked(&LIMITS, now), None);
        assert!(failures.blocked(&LIMITS, now.plus_seconds(-1)).is_some());
    }
}
