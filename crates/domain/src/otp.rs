//! One-time passcodes: RFC 4226 (HOTP), RFC 6238 (TOTP), and how a passcode is looked for. Those that are bound
//! to what is signed are in [`crate::ocra`].

mod one_time_passcode;
mod search;
mod seed;
#[cfg(test)]
mod tests;

pub use one_time_passcode::OneTimePasscode;
pub use search::{Drift, Found, Late, find, find_pair, late_step};
pub use seed::TokenSeed;

use countersign_crypto::{HmacAlgorithm, HmacKey};
use thiserror::Error;

use crate::Timestamp;

/// Fewest bytes of a seed: 112 bits (SP 800-63B-4, 3.1.4.1; the classic 80-bit seed is refused).
pub const SEED_MIN_BYTES: usize = 14;
/// Most bytes of a seed: two blocks of SHA-512.
pub const SEED_MAX_BYTES: usize = 256;
/// Steps accepted on either side of the expected one (RFC 6238, 5.2 advises one).
pub const WINDOW_STEPS: i64 = 1;
/// Steps that drift may be learned away from where two codes last fixed it.
pub const DRIFT_CAP_STEPS: i64 = 4;
/// Steps searched on either side for two consecutive codes (RFC 4226, 7.4).
pub const RESYNC_STEPS: i64 = 120;
/// Counters of an event-based token that are accepted ahead of the last one (RFC 4226, 7.2 and 7.4):
/// somebody may press the button a few times for nothing.
pub const LOOK_AHEAD: i64 = 10;
/// Counters back from the last one whose codes are known as used. No fewer than [`LOOK_AHEAD`], or
/// digits that stand twice in one look-ahead could be given twice.
pub const LOOK_BACK: i64 = LOOK_AHEAD;

/// A moving factor: the time step of RFC 6238, 4.2, or the counter of RFC 4226, 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(i64);

/// What stands for "no counter was accepted yet": the first one is 0.
const BEFORE_FIRST: Step = Step(-1);

impl Step {
    /// The step with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Number of the step: periods since 1970 UTC, or the value of the counter.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The one so many steps on; back, where they are negative.
    #[must_use]
    pub const fn plus(self, steps: i64) -> Self {
        Self(self.0.saturating_add(steps))
    }

    const fn minus(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Why OTP parameters or a seed are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OtpError {
    /// Other than 6, 7 or 8 digits.
    #[error("a passcode has 6, 7 or 8 digits")]
    Digits,
    /// A period of no seconds, or above two minutes (SP 800-63B-4, 3.1.4.1).
    #[error("a period is 1 to 120 seconds")]
    Period,
    /// A hash that is not known.
    #[error("the algorithm is SHA1, SHA256 or SHA512")]
    Algorithm,
    /// A seed of fewer than 14 or more than 256 bytes.
    #[error("a seed has 14 to 256 bytes")]
    Seed,
    /// Not 6 to 8 digits.
    #[error("Enter the 6 digits the token shows.")]
    Passcode,
}

/// Hash, number of digits and moving factor of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtpParams {
    algorithm: HmacAlgorithm,
    digits: u8,
    moving: MovingFactor,
}

/// What moves the codes of a token on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MovingFactor {
    /// The time, in steps of so many seconds (TOTP).
    Time {
        /// Seconds of a step.
        period: u16,
    },
    /// A counter that each press of the button moves on (HOTP).
    Counter,
}

impl OtpParams {
    /// Checks digits (6 to 8) and period (1 to 120 seconds).
    pub const fn new(algorithm: HmacAlgorithm, digits: u8, period: u16) -> Result<Self, OtpError> {
        if digits < 6 || digits > 8 {
            return Err(OtpError::Digits);
        }
        if period < 1 || period > 120 {
            return Err(OtpError::Period);
        }
        Ok(Self { algorithm, digits, moving: MovingFactor::Time { period } })
    }

    /// An event-based token: its codes follow a counter. Checks digits (6 to 8).
    pub const fn event_based(algorithm: HmacAlgorithm, digits: u8) -> Result<Self, OtpError> {
        if digits < 6 || digits > 8 {
            return Err(OtpError::Digits);
        }
        Ok(Self { algorithm, digits, moving: MovingFactor::Counter })
    }

    /// As [`Self::period`] tells them: with a period of 0, event-based. For rows.
    pub const fn from_row(
        algorithm: HmacAlgorithm,
        digits: u8,
        period: u16,
    ) -> Result<Self, OtpError> {
        if period == 0 {
            Self::event_based(algorithm, digits)
        } else {
            Self::new(algorithm, digits, period)
        }
    }

    /// Our own tokens: SHA-256, 6 digits, 30 seconds.
    pub const OWN: Self = Self {
        algorithm: HmacAlgorithm::Sha256,
        digits: 6,
        moving: MovingFactor::Time { period: 30 },
    };

    /// The same with SHA-1, as an app computes that ignores which hash it was told.
    #[must_use]
    pub const fn with_sha1(self) -> Self {
        Self { algorithm: HmacAlgorithm::Sha1, ..self }
    }

    /// The hash under the HMAC.
    pub const fn algorithm(&self) -> HmacAlgorithm {
        self.algorithm
    }

    /// `SHA1`, `SHA256` or `SHA512`, as `otpauth` writes them.
    pub const fn algorithm_code(&self) -> &'static str {
        match self.algorithm {
            HmacAlgorithm::Sha1 => "SHA1",
            HmacAlgorithm::Sha256 => "SHA256",
            HmacAlgorithm::Sha512 => "SHA512",
        }
    }

    /// The hash with that name.
    pub fn algorithm_from_code(code: &str) -> Result<HmacAlgorithm, OtpError> {
        match code {
            "SHA1" => Ok(HmacAlgorithm::Sha1),
            "SHA256" => Ok(HmacAlgorithm::Sha256),
            "SHA512" => Ok(HmacAlgorithm::Sha512),
            _ => Err(OtpError::Algorithm),
        }
    }

    /// Digits of a passcode.
    pub const fn digits(&self) -> u8 {
        self.digits
    }

    /// Whether the codes follow the time or a counter.
    pub const fn moving_factor(&self) -> MovingFactor {
        self.moving
    }

    /// Whether its codes follow a counter and not the time.
    pub const fn is_event_based(&self) -> bool {
        matches!(self.moving, MovingFactor::Counter)
    }

    /// Seconds of a step; 0 for an event-based token.
    pub const fn period(&self) -> u16 {
        match self.moving {
            MovingFactor::Time { period } => period,
            MovingFactor::Counter => 0,
        }
    }

    /// The step that `now` lies in (T0 = 0). No time leads to a step of an event-based token: 0.
    pub const fn step_at(&self, now: Timestamp) -> Step {
        match self.moving {
            MovingFactor::Time { period } => Step(now.seconds().div_euclid(period as i64)),
            MovingFactor::Counter => Step(0),
        }
    }

    /// Seconds until the next step begins, 1 to the period; 0 for an event-based token.
    pub const fn seconds_left(&self, now: Timestamp) -> i64 {
        match self.moving {
            MovingFactor::Time { period } => {
                period as i64 - now.seconds().rem_euclid(period as i64)
            }
            MovingFactor::Counter => 0,
        }
    }
}

/// The HOTP value (RFC 4226, 5.3) as `digits` decimal digits in ASCII; bytes beyond are zero.
pub fn hotp(seed: &TokenSeed, algorithm: HmacAlgorithm, digits: u8, counter: u64) -> [u8; 8] {
    decimal(&HmacKey::new(algorithm, seed.expose()), digits, counter)
}

/// The passcode for `step`, as text.
pub fn passcode(seed: &TokenSeed, params: &OtpParams, step: Step) -> String {
    let code = hotp(seed, params.algorithm, params.digits, counter_of(step));
    code.iter().take(usize::from(params.digits)).map(|b| char::from(*b)).collect()
}

fn counter_of(step: Step) -> u64 {
    // Steps before 1970 have no passcode; they only arise at the edge of a search.
    u64::try_from(step.0).unwrap_or(0)
}

fn decimal(key: &HmacKey, digits: u8, counter: u64) -> [u8; 8] {
    truncated(key.tag(&counter.to_be_bytes()).as_ref(), digits)
}

/// The dynamic truncation of a MAC (RFC 4226, 5.3), as decimal digits in ASCII; bytes beyond are zero.
pub(crate) fn truncated(mac: &[u8], digits: u8) -> [u8; 8] {
    let offset = usize::from(mac.last().copied().unwrap_or(0) & 0x0f);
    let mut value = 0u32;
    for byte in mac.iter().skip(offset).take(4) {
        value = (value << 8) | u32::from(*byte);
    }
    value &= 0x7fff_ffff;
    let digits = usize::from(digits.min(8));
    let mut out = [0; 8];
    for slot in out.iter_mut().take(digits).rev() {
        let digit = (value % 10) as u8;
        *slot = b'0' + digit;
        value /= 10;
    }
    out
}
