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
    /// The counter without a failure.
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

/// How long a right passphrase may take from its beginning to its end, in seconds. An attempt without an
/// end after that (the process died) counts as a wrong one.
const ATTEMPT_SECONDS: i64 = 60;

/// Whether an attempt at a passphrase may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptStart {
    /// It may; the counter says so until [`AttemptCounter::end`].
    Begun(AttemptCounter),
    /// Another one is being looked at, and may be right: wait for its end.
    Busy,
    /// Attempts are paused or locked, until the time given.
    Blocked(Blocked),
}

/// Wrong passphrases in a row from one source, and the attempt that is being looked at.
///
/// At most one attempt is under way, on whatever server: right ones that come at the same moment follow each
/// other and pause nobody, and a hundred wrong ones at once are counted like a hundred in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptCounter {
    /// Wrong ones in a row.
    pub failures: Failures,
    /// Until when the attempt under way has an end, where there is one.
    pub under_way_until: Option<Timestamp>,
}

impl AttemptCounter {
    /// The counter without an attempt.
    pub const NONE: Self = Self { failures: Failures::NONE, under_way_until: None };

    /// Begins an attempt, unless attempts pause or one is under way.
    pub fn begin(&self, limits: &FailureLimits, now: Timestamp) -> AttemptStart {
        let failures = match self.under_way_until {
            Some(until) if now < until => return AttemptStart::Busy,
            // It began before the pause that it may have earned, so it counts from its end on.
            Some(until) => self.failures.failed(limits, until),
            None => self.failures,
        };
        match failures.blocked(limits, now) {
            Some(blocked) => AttemptStart::Blocked(blocked),
            None => AttemptStart::Begun(Self {
                failures,
                under_way_until: Some(now.plus_seconds(ATTEMPT_SECONDS)),
            }),
        }
    }

    /// Ends the attempt that was begun as `begun`. A right one clears the count.
    ///
    /// One that took so long that it was counted as wrong meanwhile is counted again, if it was wrong.
    #[must_use]
    pub fn end(&self, begun: &Self, right: bool, limits: &FailureLimits, now: Timestamp) -> Self {
        let failures = if right { Failures::NONE } else { self.failures.failed(limits, now) };
        let own = self.under_way_until == begun.under_way_until;
        Self { failures, under_way_until: self.under_way_until.filter(|_| !own) }
    }
}

/// From this many wrong passcodes of one person in a day on, each is followed by a pause that grows.
pub const WRONG_PASSCODES_PER_DAY: u32 = 10;
/// The first of these pauses, in seconds. Each is twice as long as the one before.
const FIRST_DAY_PAUSE_SECONDS: i64 = 60;
/// The longest of them, in seconds.
const LONGEST_DAY_PAUSE_SECONDS: i64 = 3_600;
/// How long wrong passcodes are counted together, in seconds, from the first of them on.
const DAY_SECONDS: i64 = 86_400;

/// Wrong passcodes of one person, whatever token they are said to come from and wherever they are typed: those
/// in a row, which a right one clears, and those of a day, which nothing clears.
///
/// Without the second count, somebody who knows the passphrase could guess on for ever: the owner's own
/// log-ins would clear the first one again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PasscodeFailures {
    /// Wrong passcodes in a row; a right one clears them.
    pub in_a_row: Failures,
    /// Wrong ones since [`PasscodeFailures::day_began`]. Codes that were used before are in `in_a_row` alone:
    /// they are no guesses.
    pub in_a_day: u32,
    /// When the first of `in_a_day` came. A day later counting begins anew.
    pub day_began: Option<Timestamp>,
}

impl PasscodeFailures {
    /// The counter without a failure.
    pub const NONE: Self = Self { in_a_row: Failures::NONE, in_a_day: 0, day_began: None };

    /// Whether passcodes are refused at `now`.
    pub fn blocked(&self, limits: &FailureLimits, now: Timestamp) -> Option<Blocked> {
        self.in_a_row.blocked(limits, now)
    }

    /// How many were wrong in the day that is counted at `now`.
    pub fn wrong_today(&self, now: Timestamp) -> u32 {
        match self.day_began {
            Some(began) if now < began.plus_seconds(DAY_SECONDS) => self.in_a_day,
            _ => 0,
        }
    }

    /// Whether a passcode no longer counts for any of a person's tokens: the token must be named, so that its
    /// own limit holds.
    pub fn token_must_be_named(&self, limits: &FailureLimits, now: Timestamp) -> bool {
        self.in_a_row.count >= limits.throttle_from
            || self.wrong_today(now) >= WRONG_PASSCODES_PER_DAY
    }

    /// After a passcode that was used before. Call only when not blocked.
    #[must_use]
    pub fn used(&self, limits: &FailureLimits, now: Timestamp) -> Self {
        Self { in_a_row: self.in_a_row.failed(limits, now), ..*self }
    }

    /// After a wrong passcode. Call only when not blocked.
    #[must_use]
    pub fn wrong(&self, limits: &FailureLimits, now: Timestamp) -> Self {
        self.used(limits, now).wrong_in_a_test(now)
    }

    /// After a wrong passcode in a test of a token: of the day's count, and not of those in a row.
    #[must_use]
    pub fn wrong_in_a_test(&self, now: Timestamp) -> Self {
        let in_a_day = self.wrong_today(now).saturating_add(1);
        let day_began = if in_a_day == 1 { Some(now) } else { self.day_began };
        let pause = day_pause(in_a_day).map(|seconds| now.plus_seconds(seconds));
        let blocked_until = self.in_a_row.blocked_until.max(pause);
        Self { in_a_row: Failures { blocked_until, ..self.in_a_row }, in_a_day, day_began }
    }

    /// After a right passcode.
    #[must_use]
    pub const fn right(&self) -> Self {
        Self { in_a_row: Failures::NONE, ..*self }
    }
}

/// The pause after so many wrong passcodes in a day, in seconds.
fn day_pause(wrong: u32) -> Option<i64> {
    let more = wrong.checked_sub(WRONG_PASSCODES_PER_DAY)?;
    Some((FIRST_DAY_PAUSE_SECONDS << more.min(16)).min(LONGEST_DAY_PAUSE_SECONDS))
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

    const PASSPHRASE: FailureLimits = Policy::STANDARD.passphrase;

    fn begun(counter: AttemptCounter, now: Timestamp) -> AttemptCounter {
        match counter.begin(&PASSPHRASE, now) {
            AttemptStart::Begun(begun) => begun,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_attempt_is_under_way_and_right_ones_follow_each_other() {
        let now = Timestamp::from_seconds(1_000);
        let mut counter = AttemptCounter::NONE;
        for _ in 0..20 {
            let first = begun(counter, now);
            assert_eq!(first.begin(&PASSPHRASE, now), AttemptStart::Busy);
            counter = first.end(&first, true, &PASSPHRASE, now);
            assert_eq!(counter, AttemptCounter::NONE);
        }
        // Two wrong ones before change nothing of that.
        for _ in 0..2 {
            let first = begun(counter, now);
            counter = first.end(&first, false, &PASSPHRASE, now);
        }
        let third = begun(counter, now);
        assert_eq!(third.begin(&PASSPHRASE, now), AttemptStart::Busy);
        assert_eq!(third.end(&third, true, &PASSPHRASE, now), AttemptCounter::NONE);
        let paused = third.end(&third, false, &PASSPHRASE, now);
        let blocked = Blocked { until: now.plus_seconds(30), locked: false };
        assert_eq!(paused.begin(&PASSPHRASE, now), AttemptStart::Blocked(blocked));
    }

    /// A crash between beginning and end gains a guesser nothing.
    #[test]
    fn an_attempt_without_an_end_counts_as_wrong() {
        let mut now = Timestamp::from_seconds(1_000);
        let mut counter = AttemptCounter::NONE;
        for cut_off in 0..3 {
            let next = begun(counter, now);
            assert_eq!(next.failures.count, cut_off);
            (counter, now) = (next, now.plus_seconds(60));
        }
        let until = now.plus_seconds(30);
        let blocked = Blocked { until, locked: false };
        assert_eq!(counter.begin(&PASSPHRASE, now), AttemptStart::Blocked(blocked));
        // One that comes to its end so late: what it was counts, and the one that follows stays under way.
        let slow = begun(AttemptCounter::NONE, now);
        let next = begun(slow, now.plus_seconds(60));
        let after = next.end(&slow, false, &PASSPHRASE, now.plus_seconds(61));
        assert_eq!((after.failures.count, after.under_way_until), (2, next.under_way_until));
    }

    const OWNER: FailureLimits = Policy::STANDARD.prescriber;

    #[test]
    fn wrong_codes_of_a_day_pause_ever_longer_though_right_ones_come_between() {
        let began = Timestamp::from_seconds(1_000);
        let (mut now, mut owner) = (began, PasscodeFailures::NONE);
        let mut pauses = vec![];
        while now < began.plus_seconds(DAY_SECONDS) {
            owner = owner.right().wrong(&OWNER, now);
            let until = owner.blocked(&OWNER, now).map_or(now, |blocked| blocked.until);
            pauses.push(now.seconds_until(until));
            // The guesser loses no second.
            now = until.max(now.plus_seconds(1));
        }
        assert_eq!(pauses[..9], [0; 9]);
        assert_eq!(pauses[9..16], [60, 120, 240, 480, 960, 1_920, 3_600]);
        assert!(pauses[16..].iter().all(|seconds| *seconds == 3_600));
        assert_eq!(pauses.len(), 38, "guesses in a day: docs/threat-model.md says so");
        assert_eq!(owner.day_began, Some(began));
        // The next day begins with its first wrong one.
        let next = owner.right().wrong(&OWNER, now);
        assert_eq!((next.in_a_day, next.day_began), (1, Some(now)));
        assert_eq!(next.blocked(&OWNER, now), None);
    }

    #[test]
    fn a_used_code_is_no_guess_and_a_longer_pause_stays() {
        let now = Timestamp::from_seconds(1_000);
        let mut owner = PasscodeFailures::NONE;
        for _ in 0..11 {
            owner = owner.used(&OWNER, now);
        }
        assert_eq!((owner.in_a_row.count, owner.in_a_day, owner.day_began), (11, 0, None));
        // The twelfth in a row locks for 15 minutes; the tenth of the day would pause for one.
        let owner = PasscodeFailures { in_a_day: 9, day_began: Some(now), ..owner };
        let locked = owner.wrong(&OWNER, now).blocked(&OWNER, now).unwrap();
        assert_eq!(locked, Blocked { until: now.plus_seconds(900), locked: true });
        // A test of a token counts for the day alone.
        let tested = PasscodeFailures::NONE.wrong_in_a_test(now);
        assert_eq!((tested.in_a_row, tested.in_a_day), (Failures::NONE, 1));
    }
}
