//! A passcode as somebody typed it, and what it may be bound to.

use std::{fmt, str::FromStr};

use countersign_crypto::{HmacKey, constant_time_eq};
use zeroize::Zeroize;

use super::{OtpError, OtpParams, Step, TokenSeed};
use crate::{
    ModelCode,
    ocra::{BOUND_DIGITS, Binding, Challenge, can_bind},
};

/// A passcode as typed: 6 to 8 ASCII digits, never shown.
#[derive(Clone)]
pub struct OneTimePasscode {
    digits: [u8; 8],
    length: u8,
    /// What it may be bound to, where something is signed.
    challenge: Option<Challenge>,
    /// In which ways: as the token's model has them.
    pub(super) ways: [Option<Binding>; 2],
}

impl OneTimePasscode {
    pub(super) fn as_bytes(&self) -> &[u8] {
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
    pub(super) fn challenge_for(&self, params: &OtpParams) -> Option<&Challenge> {
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
