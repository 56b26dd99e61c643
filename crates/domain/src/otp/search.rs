//! Looking for a passcode: in the window, as one of two in a row, and among those that are too late; and the drift of
//! a clock.

use countersign_crypto::{HmacKey, constant_time_eq};

use super::{
    BEFORE_FIRST, DRIFT_CAP_STEPS, LOOK_AHEAD, LOOK_BACK, MovingFactor, OneTimePasscode, OtpParams,
    RESYNC_STEPS, Step, TokenSeed, WINDOW_STEPS, counter_of, decimal,
};
use crate::Timestamp;

/// How far a token's clock is from ours, in steps: positive when it is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drift {
    base: i64,
    current: i64,
}

impl Drift {
    /// From the two numbers of a row; values out of range are brought back into it.
    pub fn from_parts(base: i64, current: i64) -> Self {
        let base = base.clamp(-RESYNC_STEPS, RESYNC_STEPS);
        Self { base, current: current.clamp(base - DRIFT_CAP_STEPS, base + DRIFT_CAP_STEPS) }
    }

    /// Fixed by two consecutive codes.
    pub fn fixed(steps: i64) -> Self {
        Self::from_parts(steps, steps)
    }

    /// Where two codes last fixed it, in steps.
    pub const fn base(self) -> i64 {
        self.base
    }

    /// The drift that is expected now, in steps; positive when the token is ahead.
    pub const fn current(self) -> i64 {
        self.current
    }

    fn learned(self, steps: i64) -> Self {
        Self::from_parts(self.base, steps)
    }
}

/// The result of looking for a passcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A step that was never accepted, and the drift it shows.
    Fresh {
        /// The step to consume.
        step: Step,
        /// The drift to remember.
        drift: Drift,
    },
    /// The right digits of a step already accepted, or of an older one.
    Used {
        /// The step to which the digits belong.
        step: Step,
    },
    /// Not the digits of any step in the window.
    Nothing,
}

/// Looks for `code` in the window around the expected step; for an event-based token, in the counters
/// after the last one that was accepted.
///
/// All steps of the window are computed and compared in constant time, whatever is found. Where
/// several steps have the same digits the latest is taken, so that the digits can't be used again.
/// Of counters the first is taken: it is the likeliest, and to take a later one would put a token out
/// of step that is not. There the digits can't be used again because those of the last counters are
/// looked at too, and win.
pub fn find(
    seed: &TokenSeed,
    params: &OtpParams,
    code: &OneTimePasscode,
    last_step: Option<Step>,
    drift: Drift,
    now: Timestamp,
) -> Found {
    let key = HmacKey::new(params.algorithm, seed.expose());
    if params.is_event_based() {
        return find_counter(&key, params, code, last_step, drift);
    }
    let here = params.step_at(now);
    let mut best: Option<Step> = None;
    for offset in -WINDOW_STEPS..=WINDOW_STEPS {
        let step = here.plus(drift.current + offset);
        if matches(&key, params, code, step) {
            best = Some(step);
        }
    }
    match best {
        None => Found::Nothing,
        Some(step) if last_step.is_some_and(|last| step <= last) => Found::Used { step },
        Some(step) => Found::Fresh { step, drift: drift.learned(step.minus(here)) },
    }
}

fn find_counter(
    key: &HmacKey,
    params: &OtpParams,
    code: &OneTimePasscode,
    last: Option<Step>,
    drift: Drift,
) -> Found {
    let last = last.unwrap_or(BEFORE_FIRST);
    let (mut used, mut fresh) = (None, None);
    for offset in (1 - LOOK_BACK)..=LOOK_AHEAD {
        let step = last.plus(offset);
        let slot = if offset <= 0 { &mut used } else { &mut fresh };
        if matches(key, params, code, step) & slot.is_none() {
            *slot = Some(step);
        }
    }
    match (used, fresh) {
        (Some(step), _) => Found::Used { step },
        (None, Some(step)) => Found::Fresh { step, drift },
        (None, None) => Found::Nothing,
    }
}

/// Looks for two consecutive codes within 120 steps (RFC 4226, 7.4), neither of them used before.
/// The second step is the one to consume. An event-based token is only looked for ahead.
pub fn find_pair(
    seed: &TokenSeed,
    params: &OtpParams,
    first: &OneTimePasscode,
    second: &OneTimePasscode,
    last_step: Option<Step>,
    now: Timestamp,
) -> Option<(Step, Drift)> {
    let key = HmacKey::new(params.algorithm, seed.expose());
    if params.is_event_based() {
        return find_counter_pair(&key, params, first, second, last_step);
    }
    let here = params.step_at(now);
    let mut found = None;
    let mut first_matched = false;
    for offset in -RESYNC_STEPS..=RESYNC_STEPS {
        let step = here.plus(offset);
        let second_matches = matches(&key, params, second, step);
        let unused = last_step.is_none_or(|last| step.plus(-1) > last);
        if first_matched & second_matches & unused {
            found = Some((step, Drift::fixed(offset)));
        }
        first_matched = matches(&key, params, first, step);
    }
    found
}

fn find_counter_pair(
    key: &HmacKey,
    params: &OtpParams,
    first: &OneTimePasscode,
    second: &OneTimePasscode,
    last: Option<Step>,
) -> Option<(Step, Drift)> {
    let last = last.unwrap_or(BEFORE_FIRST);
    let mut found = None;
    let mut first_matched = false;
    for offset in 1..=RESYNC_STEPS {
        let step = last.plus(offset);
        let second_matches = matches(key, params, second, step);
        if first_matched & second_matches & found.is_none() {
            found = Some((step, Drift::default()));
        }
        first_matched = matches(key, params, first, step);
    }
    found
}

/// A code that was right some time ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// The step to which the code belongs.
    pub step: Step,
    /// How long ago, in seconds.
    pub age_seconds: i64,
}

/// Looks for `code` among those of the last hour that are older than the window. The codes of an
/// event-based token have no age.
///
/// Only the past is searched: to say that a code will be right later would tell a guesser when to
/// come back.
pub fn late_step(
    seed: &TokenSeed,
    params: &OtpParams,
    code: &OneTimePasscode,
    drift: Drift,
    now: Timestamp,
) -> Option<Late> {
    let MovingFactor::Time { period } = params.moving else { return None };
    let here = params.step_at(now);
    let key = HmacKey::new(params.algorithm, seed.expose());
    let mut late = None;
    for back in (WINDOW_STEPS + 1)..=RESYNC_STEPS {
        let step = here.plus(drift.current - back);
        if matches(&key, params, code, step) & late.is_none() {
            late = Some(Late { step, age_seconds: back * i64::from(period) });
        }
    }
    late
}

fn matches(key: &HmacKey, params: &OtpParams, code: &OneTimePasscode, step: Step) -> bool {
    if let Some(challenge) = code.challenge_for(params) {
        // Both ways are computed, whichever it is.
        let [shown, typed] = code.ways.map(|way| {
            let expected = way.and_then(|way| challenge.code(key, params, step, way));
            expected.is_some_and(|expected| constant_time_eq(&expected, code.as_bytes()))
        });
        return shown | typed;
    }
    let expected = decimal(key, params.digits, counter_of(step));
    let expected = expected.get(..usize::from(params.digits)).unwrap_or(&[]);
    // No step before 1970 exists, though its counter would read as zero.
    constant_time_eq(expected, code.as_bytes()) && (step.0 >= 0)
}
