//! One-time passcodes: RFC 4226 (HOTP), RFC 6238 (TOTP), and how a passcode is looked for. Those that are bound
//! to what is signed are in [`crate::ocra`].

use std::{fmt, str::FromStr};

use countersign_crypto::{HmacAlgorithm, HmacKey, Rng, RngError, SecretBytes, constant_time_eq};
use thiserror::Error;
use zeroize::Zeroize;

use crate::{
    ModelCode, Timestamp,
    ocra::{BOUND_DIGITS, Binding, Challenge, can_bind},
};

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

    /// Its number.
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
    #[error("Enter the 6 digits that the token shows.")]
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

    /// What moves its codes on.
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

/// The shared secret of a token: 14 to 256 bytes, never shown.
#[derive(Clone)]
pub struct TokenSeed(SecretBytes);

impl TokenSeed {
    /// Takes seed bytes over, if there are enough.
    pub fn new(bytes: SecretBytes) -> Result<Self, OtpError> {
        if bytes.len() < SEED_MIN_BYTES || bytes.len() > SEED_MAX_BYTES {
            return Err(OtpError::Seed);
        }
        Ok(Self(bytes))
    }

    /// A new seed as long as the hash output (RFC 6238, 5.1): 20, 32 or 64 bytes.
    pub fn generate(algorithm: HmacAlgorithm, rng: &mut dyn Rng) -> Result<Self, RngError> {
        let length = match algorithm {
            HmacAlgorithm::Sha1 => 20,
            HmacAlgorithm::Sha256 => 32,
            HmacAlgorithm::Sha512 => 64,
        };
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes)?;
        Ok(Self(SecretBytes::new(bytes)))
    }

    /// The bytes, to be sealed or handed to the token.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for TokenSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSeed")
    }
}

/// A passcode as typed: 6 to 8 ASCII digits, never shown.
#[derive(Clone)]
pub struct OneTimePasscode {
    digits: [u8; 8],
    length: u8,
    /// What it may be bound to, where something is signed.
    challenge: Option<Challenge>,
    /// In which ways: as the token's model has them.
    ways: [Option<Binding>; 2],
}

impl OneTimePasscode {
    fn as_bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// The same, given to sign something: it may be one that is bound to that.
    #[must_use]
    pub fn bound_to(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self.ways = [Some(Binding::Shown), Some(Binding::Typed)];
        self
    }

    /// The same for a token of a model: bound in no way that such a token has not.
    pub(crate) fn of_model(&self, model: &ModelCode) -> Self {
        let mut it = self.clone();
        it.ways = it.ways.map(|way| way.filter(|way| can_bind(model, *way)));
        it
    }

    /// What it may be bound to, where it has the form of a bound code and no passcode of the token has.
    fn challenge_for(&self, params: &OtpParams) -> Option<&Challenge> {
        let form = self.length == BOUND_DIGITS && params.digits != BOUND_DIGITS;
        self.challenge.as_ref().filter(|_| form)
    }

    /// How it is bound, where it is the code of this step.
    pub(crate) fn binding(&self, seed: &TokenSeed, params: &OtpParams, step: Step) -> Binding {
        let Some(challenge) = self.challenge_for(params) else { return Binding::Unbound };
        let key = HmacKey::new(params.algorithm, seed.expose());
        let is = |way: &Binding| {
            let code = challenge.code(&key, params, step, *way);
            code.is_some_and(|code| constant_time_eq(&code, self.as_bytes()))
        };
        self.ways.into_iter().flatten().find(is).unwrap_or(Binding::Unbound)
    }
}

impl FromStr for OneTimePasscode {
    type Err = OtpError;

    /// Spaces and dashes between digits are forgiven. Digits of other scripts are not: what is
    /// compared, counted and remembered must have one form only.
    fn from_str(text: &str) -> Result<Self, OtpError> {
        if text.len() > 32 {
            return Err(OtpError::Passcode);
        }
        let mut digits = [0; 8];
        let mut length = 0u8;
        for byte in text.bytes().filter(|b| !matches!(b, b' ' | b'-')) {
            let slot = digits.get_mut(usize::from(length)).ok_or(OtpError::Passcode)?;
            if !byte.is_ascii_digit() {
                return Err(OtpError::Passcode);
            }
            *slot = byte;
            length += 1;
        }
        if length < 6 {
            return Err(OtpError::Passcode);
        }
        Ok(Self { digits, length, challenge: None, ways: [None; 2] })
    }
}

impl Drop for OneTimePasscode {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl fmt::Debug for OneTimePasscode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimePasscode")
    }
}

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

    /// What is expected now, in steps.
    pub const fn current(self) -> i64 {
        self.current
    }

    fn learned(self, steps: i64) -> Self {
        Self::from_parts(self.base, steps)
    }
}

/// What looking for a passcode found.
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
        /// That step.
        step: Step,
    },
    /// Not the digits of any step in the window.
    Nothing,
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
    /// Whose code it is.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    const T0: i64 = 1_700_000_010;

    fn seed(bytes: &[u8]) -> TokenSeed {
        TokenSeed::new(SecretBytes::new(bytes.to_vec())).unwrap()
    }

    fn repeated(length: usize) -> TokenSeed {
        seed(&b"1234567890".iter().copied().cycle().take(length).collect::<Vec<_>>())
    }

    fn params(algorithm: HmacAlgorithm, digits: u8) -> OtpParams {
        OtpParams::new(algorithm, digits, 30).unwrap()
    }

    /// Shows: N-03
    #[test]
    fn rfc_4226_appendix_d() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(expected) {
            let value = hotp(&repeated(20), HmacAlgorithm::Sha1, 6, counter);
            assert_eq!(&value[..6], code.as_bytes());
        }
    }

    /// Shows: N-03
    #[test]
    fn rfc_6238_appendix_b() {
        let rows = [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ];
        for (time, sha1, sha256, sha512) in rows {
            let now = Timestamp::from_seconds(time);
            for (algorithm, length, code) in [
                (HmacAlgorithm::Sha1, 20, sha1),
                (HmacAlgorithm::Sha256, 32, sha256),
                (HmacAlgorithm::Sha512, 64, sha512),
            ] {
                let params = params(algorithm, 8);
                assert_eq!(passcode(&repeated(length), &params, params.step_at(now)), code);
            }
        }
    }

    /// Shows: N-01, N-02
    #[test]
    fn short_seeds_and_odd_parameters_are_refused() {
        assert_eq!(TokenSeed::new(SecretBytes::new(vec![1; 13])).unwrap_err(), OtpError::Seed);
        assert_eq!(TokenSeed::new(SecretBytes::new(vec![1; 10])).unwrap_err(), OtpError::Seed);
        assert!(TokenSeed::new(SecretBytes::new(vec![1; 14])).is_ok());
        assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 5, 30), Err(OtpError::Digits));
        assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 9, 30), Err(OtpError::Digits));
        assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 6, 0), Err(OtpError::Period));
        assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 6, 121), Err(OtpError::Period));
        assert_eq!(OtpParams::algorithm_from_code("MD5"), Err(OtpError::Algorithm));
    }

    #[test]
    fn passcodes_have_one_form() {
        for text in ["123456", "123 456", "123-456", " 123456 "] {
            assert_eq!(text.parse::<OneTimePasscode>().unwrap().as_bytes(), b"123456");
        }
        for text in [
            "",
            "12345",
            "123456789",
            "12345a",
            "１２３４５６",
            "١٢٣٤٥٦",
            "123456\u{200b}",
            "123\t456",
        ] {
            assert_eq!(
                text.parse::<OneTimePasscode>().unwrap_err(),
                OtpError::Passcode,
                "{text:?}"
            );
        }
        assert!("1".repeat(1 << 20).parse::<OneTimePasscode>().is_err());
        assert_eq!(
            format!("{:?}", "123456".parse::<OneTimePasscode>().unwrap()),
            "OneTimePasscode"
        );
    }

    fn code_at(seed: &TokenSeed, params: &OtpParams, step: i64) -> OneTimePasscode {
        passcode(seed, params, Step(step)).parse().unwrap()
    }

    /// Shows: N-09
    #[test]
    fn one_step_either_side_and_no_further() {
        let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
        let now = Timestamp::from_seconds(T0);
        let here = params.step_at(now).0;
        for offset in -3..=3 {
            let found = find(
                &seed,
                &params,
                &code_at(&seed, &params, here + offset),
                None,
                Drift::default(),
                now,
            );
            if offset.abs() <= 1 {
                assert_eq!(
                    found,
                    Found::Fresh { step: Step(here + offset), drift: Drift::from_parts(0, offset) }
                );
            } else {
                assert_eq!(found, Found::Nothing, "{offset}");
            }
        }
    }

    #[test]
    fn an_accepted_step_and_all_older_ones_are_used() {
        let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
        let now = Timestamp::from_seconds(T0);
        let here = params.step_at(now).0;
        for last in [here, here + 1] {
            for step in here - 1..=here {
                let found = find(
                    &seed,
                    &params,
                    &code_at(&seed, &params, step),
                    Some(Step(last)),
                    Drift::default(),
                    now,
                );
                assert_eq!(found, Found::Used { step: Step(step) });
            }
        }
        let next = find(
            &seed,
            &params,
            &code_at(&seed, &params, here + 1),
            Some(Step(here)),
            Drift::default(),
            now,
        );
        assert!(matches!(next, Found::Fresh { .. }));
    }

    /// Shows: N-09
    #[test]
    fn drift_is_learned_up_to_the_cap_and_no_further() {
        let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
        let mut drift = Drift::default();
        let mut last = None;
        for minute in 0..20 {
            let now = Timestamp::from_seconds(T0 + minute * 60);
            let here = params.step_at(now).0;
            // A clock that runs away by one step at each use.
            let token_step = here + minute + 1;
            match find(&seed, &params, &code_at(&seed, &params, token_step), last, drift, now) {
                Found::Fresh { step, drift: learned } => {
                    assert!(minute < DRIFT_CAP_STEPS + WINDOW_STEPS);
                    assert!(learned.current() <= DRIFT_CAP_STEPS);
                    (last, drift) = (Some(step), learned);
                }
                other => {
                    assert_eq!(other, Found::Nothing);
                    assert!(minute + 1 > DRIFT_CAP_STEPS + WINDOW_STEPS, "{minute}");
                }
            }
        }
        assert_eq!(drift.current(), DRIFT_CAP_STEPS);
    }

    #[test]
    fn two_consecutive_codes_resynchronize_and_lone_or_used_ones_do_not() {
        let (seed, params) = (repeated(32), params(HmacAlgorithm::Sha256, 6));
        let now = Timestamp::from_seconds(T0);
        let here = params.step_at(now).0;
        let pair = |first: i64, second: i64, last: Option<i64>| {
            find_pair(
                &seed,
                &params,
                &code_at(&seed, &params, first),
                &code_at(&seed, &params, second),
                last.map(Step),
                now,
            )
        };
        assert_eq!(pair(here + 60, here + 61, None), Some((Step(here + 61), Drift::fixed(61))));
        assert_eq!(
            pair(here - 119, here - 118, None),
            Some((Step(here - 118), Drift::fixed(-118)))
        );
        assert_eq!(pair(here + 60, here + 62, None), None, "not consecutive");
        assert_eq!(pair(here + 61, here + 60, None), None, "wrong order");
        assert_eq!(pair(here + 120, here + 121, None), None, "too far");
        assert_eq!(pair(here - 10, here - 9, Some(here - 10)), None, "the first was used");
        assert_eq!(pair(here - 10, here - 9, Some(here)), None, "both are old");
        assert_eq!(
            pair(here - 10, here - 9, Some(here - 11)),
            Some((Step(here - 9), Drift::fixed(-9)))
        );
    }

    #[test]
    fn a_late_code_is_named_and_a_future_one_never() {
        let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
        let now = Timestamp::from_seconds(T0);
        let here = params.step_at(now).0;
        let late = |step: i64| {
            late_step(&seed, &params, &code_at(&seed, &params, step), Drift::default(), now)
        };
        assert_eq!(late(here - 8), Some(Late { step: Step(here - 8), age_seconds: 240 }));
        for ahead in 2..=RESYNC_STEPS {
            assert_eq!(late(here + ahead), None);
        }
    }

    /// A token with the same digits in two steps of one window, found by searching seeds.
    fn token_with_twin_steps(params: &OtpParams, here: i64) -> TokenSeed {
        (0..=u32::MAX)
            .map(|n| {
                let mut bytes = [7u8; 20];
                bytes[..4].copy_from_slice(&n.to_be_bytes());
                seed(&bytes)
            })
            .find(|seed| {
                passcode(seed, params, Step(here)) == passcode(seed, params, Step(here + 1))
            })
            .unwrap()
    }

    /// Shows: N-08
    #[test]
    fn twin_digits_consume_the_later_step() {
        let params = params(HmacAlgorithm::Sha1, 6);
        let now = Timestamp::from_seconds(T0);
        let here = params.step_at(now).0;
        let seed = token_with_twin_steps(&params, here);
        let code = code_at(&seed, &params, here);
        let found = find(&seed, &params, &code, None, Drift::default(), now);
        assert!(matches!(found, Found::Fresh { step, .. } if step == Step(here + 1)));
        let again = find(&seed, &params, &code, Some(Step(here + 1)), Drift::default(), now);
        assert_eq!(again, Found::Used { step: Step(here + 1) });
    }

    /// Shows: N-03
    #[test]
    fn agrees_with_oathtool() {
        if Command::new("oathtool").arg("--version").output().is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "oathtool is missing: make setup-test installs it"
            );
            return;
        }
        let bytes: Vec<u8> = (0..32u8).map(|b| b.wrapping_mul(37).wrapping_add(11)).collect();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        for (algorithm, word) in [
            (HmacAlgorithm::Sha1, "sha1"),
            (HmacAlgorithm::Sha256, "sha256"),
            (HmacAlgorithm::Sha512, "sha512"),
        ] {
            for digits in [6u8, 7, 8] {
                for period in [30u16, 60] {
                    let params = OtpParams::new(algorithm, digits, period).unwrap();
                    for time in [0, 1_700_000_000, 4_000_000_000i64] {
                        let out = Command::new("oathtool")
                            .args([
                                &format!("--totp={word}"),
                                &format!("--digits={digits}"),
                                &format!("--time-step-size={period}s"),
                                &format!("--now=@{time}"),
                                &hex,
                            ])
                            .output()
                            .unwrap();
                        let theirs = String::from_utf8(out.stdout).unwrap();
                        let step = params.step_at(Timestamp::from_seconds(time));
                        assert_eq!(
                            passcode(&seed(&bytes), &params, step),
                            theirs.trim(),
                            "{word} {digits} {period}"
                        );
                    }
                }
            }
        }
    }

    fn event_based() -> OtpParams {
        OtpParams::event_based(HmacAlgorithm::Sha1, 6).unwrap()
    }

    fn press(seed: &TokenSeed, counter: i64, last: Option<i64>) -> Found {
        let code = code_at(seed, &event_based(), counter);
        let now = Timestamp::from_seconds(T0);
        find(seed, &event_based(), &code, last.map(Step), Drift::default(), now)
    }

    #[test]
    fn periods_of_rows() {
        let time = OtpParams::from_row(HmacAlgorithm::Sha1, 6, 30).unwrap();
        assert_eq!(time, params(HmacAlgorithm::Sha1, 6));
        assert!(!time.is_event_based());
        let counter = OtpParams::from_row(HmacAlgorithm::Sha1, 6, 0).unwrap();
        assert_eq!((counter, counter.period()), (event_based(), 0));
        assert_eq!(counter.moving_factor(), MovingFactor::Counter);
        let now = Timestamp::from_seconds(T0);
        assert_eq!((counter.step_at(now), counter.seconds_left(now)), (Step(0), 0));
        assert_eq!(OtpParams::event_based(HmacAlgorithm::Sha1, 9), Err(OtpError::Digits));
    }

    #[test]
    fn counters_are_accepted_ten_ahead_and_those_behind_are_used() {
        // The key of RFC 4226, appendix D, has ten different codes there.
        let seed = repeated(20);
        for counter in 0..=9 {
            let first = press(&seed, counter, None);
            assert_eq!(first, Found::Fresh { step: Step(counter), drift: Drift::default() });
        }
        for offset in -15..=15 {
            let found = press(&seed, 100 + offset, Some(100));
            let step = Step(100 + offset);
            match offset {
                1..=LOOK_AHEAD => {
                    assert_eq!(found, Found::Fresh { step, drift: Drift::default() });
                }
                -9..=0 => assert_eq!(found, Found::Used { step }),
                _ => assert_eq!(found, Found::Nothing, "{offset}"),
            }
        }
    }

    #[test]
    fn two_codes_bring_a_counter_into_step() {
        let (seed, params) = (repeated(20), event_based());
        let pair = |first: i64, second: i64, last: i64| {
            let first = code_at(&seed, &params, first);
            let second = code_at(&seed, &params, second);
            let now = Timestamp::from_seconds(T0);
            find_pair(&seed, &params, &first, &second, Some(Step(last)), now)
        };
        for first in [1, 2, 60, 119] {
            assert_eq!(pair(first, first + 1, 0), Some((Step(first + 1), Drift::default())));
        }
        assert_eq!(pair(120, 121, 0), None, "too far");
        assert_eq!(pair(5, 7, 0), None, "not consecutive");
        assert_eq!(pair(7, 6, 0), None, "wrong order");
        assert_eq!(pair(5, 6, 5), None, "the first was used");
        assert_eq!(pair(5, 6, 50), None, "both are old");
    }

    #[test]
    fn a_code_of_a_counter_has_no_age() {
        let (seed, params) = (repeated(20), event_based());
        let now = Timestamp::from_seconds(T0);
        for counter in [0, 3, 40] {
            let code = code_at(&seed, &params, counter);
            assert_eq!(late_step(&seed, &params, &code, Drift::default(), now), None);
        }
    }

    #[test]
    fn twin_digits_of_two_counters_are_good_once() {
        let params = event_based();
        let (seed, twin) = (0..=u32::MAX)
            .find_map(|n| {
                let mut bytes = [9u8; 20];
                bytes[..4].copy_from_slice(&n.to_be_bytes());
                let seed = seed(&bytes);
                let first = passcode(&seed, &params, Step(1));
                let twin = (2..=LOOK_AHEAD).find(|c| passcode(&seed, &params, Step(*c)) == first);
                twin.map(|twin| (seed, twin))
            })
            .unwrap();
        let found = press(&seed, twin, Some(0));
        assert!(matches!(found, Found::Fresh { step: Step(1), .. }), "the token stays in step");
        for last in 1..=LOOK_BACK {
            assert_eq!(press(&seed, 1, Some(last)), Found::Used { step: Step(1) }, "{last}");
        }
    }

    #[test]
    fn counters_agree_with_oathtool() {
        if Command::new("oathtool").arg("--version").output().is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "oathtool is missing: make setup-test installs it"
            );
            return;
        }
        let bytes: Vec<u8> = (0..20u8).map(|b| b.wrapping_mul(73).wrapping_add(5)).collect();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        for digits in [6u8, 7, 8] {
            let params = OtpParams::event_based(HmacAlgorithm::Sha1, digits).unwrap();
            for counter in [0, 1, 255, 70_000, 5_000_000_000i64] {
                let out = Command::new("oathtool")
                    .args([
                        "--hotp",
                        &format!("--digits={digits}"),
                        "-c",
                        &counter.to_string(),
                        &hex,
                    ])
                    .output()
                    .unwrap();
                let theirs = String::from_utf8(out.stdout).unwrap();
                assert_eq!(passcode(&seed(&bytes), &params, Step(counter)), theirs.trim());
            }
        }
    }

    proptest! {
        #[test]
        fn no_counter_and_no_digits_are_accepted_twice(presses in proptest::collection::vec(-12i64..=14, 1..80), n in any::<u32>()) {
            let mut bytes = [3u8; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            let seed = seed(&bytes);
            let mut last = 0;
            let mut accepted = std::collections::HashSet::new();
            for offset in presses {
                let counter = (last + offset).max(0);
                if let Found::Fresh { step: Step(step), drift } = press(&seed, counter, Some(last)) {
                    prop_assert!(step > last && step <= last + LOOK_AHEAD && accepted.insert(step));
                    prop_assert_eq!(drift, Drift::default());
                    last = step;
                    let again = press(&seed, counter, Some(last));
                    let used = matches!(again, Found::Used { .. });
                    prop_assert!(used);
                }
            }
        }

        /// Shows: N-03
        #[test]
        fn agrees_with_totp_rs(bytes in proptest::collection::vec(any::<u8>(), 16..64), time in 0i64..10_000_000_000, digits in 6u8..=8) {
            for (ours, theirs) in [
                (HmacAlgorithm::Sha1, totp_rs::Algorithm::SHA1),
                (HmacAlgorithm::Sha256, totp_rs::Algorithm::SHA256),
                (HmacAlgorithm::Sha512, totp_rs::Algorithm::SHA512),
            ] {
                let params = params(ours, digits);
                let code = passcode(&seed(&bytes), &params, params.step_at(Timestamp::from_seconds(time)));
                let oracle = oracle(theirs, digits, &bytes, u64::try_from(time).unwrap());
                prop_assert_eq!(code, oracle);
            }
        }

        /// Shows: N-08
        #[test]
        fn no_step_is_ever_accepted_twice(offsets in proptest::collection::vec((0i64..40, -2i64..=2), 1..60)) {
            let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
            let mut time = T0;
            let (mut last, mut drift) = (None, Drift::default());
            let mut accepted = std::collections::HashSet::new();
            for (wait, offset) in offsets {
                time += wait;
                let now = Timestamp::from_seconds(time);
                let step = params.step_at(now).0 + offset;
                let code = code_at(&seed, &params, step);
                if let Found::Fresh { step, drift: learned } = find(&seed, &params, &code, last, drift, now) {
                    prop_assert!(accepted.insert(step));
                    prop_assert!(last.is_none_or(|l| step > l));
                    (last, drift) = (Some(step), learned);
                }
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            if let Ok(code) = text.parse::<OneTimePasscode>() {
                prop_assert!((6..=8).contains(&code.as_bytes().len()));
            }
        }
    }

    fn oracle(algorithm: totp_rs::Algorithm, digits: u8, bytes: &[u8], time: u64) -> String {
        totp_rs::Builder::new()
            .with_algorithm(algorithm)
            .with_digits(digits)
            .with_step_duration(30)
            .with_secret(totp_rs::Secret::from(bytes))
            .build_noncompliant()
            .generate(time)
            .to_string()
    }
}
