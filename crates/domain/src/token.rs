//! A token: its state, what a decision about it needs, and in which browser it may not be used.

mod add;
mod check;
mod disable;
mod fields;
mod name;
mod parts;
#[cfg(test)]
mod tests;

pub use add::{AddCheck, NewToken, add_token, replace_token};
pub use check::{
    PasscodeCheck, check_any, check_passcode, check_resync, explain_wrong_passcode, test_token,
};
pub use disable::{DisableReason, disable_token, enable_token};
pub use name::{TokenName, TokenNameError};
pub use parts::{ProvisionedToken, TokenParts, TokenPartsError};

use crate::{
    CredentialId, Device, Failures, ModelCode, PasscodeFailures, PersonId, Policy, PracticeId,
    Refusal, SameBrowser, Timestamp, TokenId,
    ocra::Binding,
    otp::{self, Drift, Found, OneTimePasscode, OtpParams, Step, TokenSeed},
};

/// The state of a token. The data of a state lives in it, so that no second flag can disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Made by an authority, not added by anyone yet.
    Unassociated {
        /// The first moment at which it can no longer be added.
        expires: Timestamp,
    },
    /// It is added, and its passcodes are accepted.
    Active {
        /// The time of adding or enabling it.
        since: Timestamp,
    },
    /// Its passcodes are not accepted.
    Disabled {
        /// Why it was disabled.
        reason: DisableReason,
        /// The time of disabling it.
        since: Timestamp,
    },
}

/// A token with everything that a decision about it needs. The store reads and writes it whole.
///
/// Its fields are private, so that a state that can't be does not come about: [`Token::from_parts`]
/// checks what was stored, and everything after that is a method or function that holds a rule.
#[derive(Debug, Clone)]
pub struct Token {
    id: TokenId,
    practice: Option<PracticeId>,
    prescriber: Option<PersonId>,
    credential: CredentialId,
    name: TokenName,
    params: OtpParams,
    seed: TokenSeed,
    state: TokenState,
    last_step: Option<Step>,
    drift: Drift,
    failures: Failures,
    created: Timestamp,
    added: Option<Timestamp>,
    last_used: Option<Timestamp>,
    device: Device,
    model: ModelCode,
    seed_left: Option<Timestamp>,
    activated: Option<Timestamp>,
    sign_until: Option<Timestamp>,
}

impl Token {
    /// Whether its passcodes count, apart from pauses.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, TokenState::Active { .. })
    }

    /// Whether its owner can enable it again.
    pub const fn is_temporarily_disabled(&self) -> bool {
        matches!(self.state, TokenState::Disabled { reason, .. } if reason.is_reversible())
    }

    /// Whether it lives in the browser with this mark. A browser or token without one is no match.
    pub fn is_in_browser(&self, mark: Option<&[u8; 32]>) -> bool {
        mark.is_some() && self.device.browser.as_ref() == mark
    }

    fn find(&self, code: &OneTimePasscode, now: Timestamp) -> Found {
        let code = code.of_model(&self.model);
        otp::find(&self.seed, &self.params, &code, self.last_step, self.drift, now)
    }

    /// How a code is bound that was accepted just now.
    pub fn binding(&self, code: &OneTimePasscode) -> Binding {
        let Some(step) = self.last_step else { return Binding::Unbound };
        code.of_model(&self.model).binding(&self.seed, &self.params, step)
    }

    /// Consumes a step and takes over what its code has shown of the clock.
    pub(crate) const fn bring_into_step(&mut self, step: Step, drift: Drift) {
        self.last_step = Some(step);
        self.drift = drift;
    }

    fn accept(&mut self, step: Step, drift: Drift, now: Timestamp) {
        self.bring_into_step(step, drift);
        self.failures = Failures::NONE;
        self.last_used = Some(now);
    }

    /// The refusal of the code of a step that was accepted, or that is older than one.
    ///
    /// The very step again is a second click, or the same code for another purpose. An older one is a
    /// sign of a twin: two devices that use one credential. It shows where their clocks or counters
    /// differ and the one behind is used second; twins in step can't be told from one device.
    pub(crate) fn used(&self, step: Step, now: Timestamp) -> Refusal {
        if self.last_step.is_some_and(|last| step < last) {
            return Refusal::PasscodeBehind;
        }
        if self.params.is_event_based() {
            return Refusal::EventPasscodeUsed;
        }
        Refusal::PasscodeUsed { wait_seconds: self.seconds_to_fresh_code(now) }
    }

    /// Seconds until the token shows a code that was not used yet. No wait brings one on an
    /// event-based token: 0.
    pub fn seconds_to_fresh_code(&self, now: Timestamp) -> i64 {
        if self.params.is_event_based() {
            return 0;
        }
        let shown = self.params.step_at(now).number() + self.drift.current();
        let used = self.last_step.map_or(shown, Step::number);
        let steps_to_wait = (used - shown + 1).clamp(0, otp::DRIFT_CAP_STEPS + 1);
        let period = i64::from(self.params.period());
        if steps_to_wait == 0 {
            0
        } else {
            self.params.seconds_left(now) + (steps_to_wait - 1) * period
        }
    }

    fn count_failure(
        &mut self,
        owner: &mut PasscodeFailures,
        kind: Failure,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Refusal> {
        self.failures = self.failures.failed(&policy.token, now);
        *owner = kind.counted(owner, policy, now);
        if self.failures.exhausted(&policy.token) {
            self.state =
                TokenState::Disabled { reason: DisableReason::TooManyFailures, since: now };
            return Some(Refusal::TokenExhausted);
        }
        None
    }
}

/// Refuses a token that is used from the browser which holds it: what prescribes and what shows the
/// passcode must be two devices (21 CFR 1311.115(a)(3)). `Ok(true)` where policy lets that pass; it
/// is then to be said and recorded.
pub fn same_browser(
    token: &Token,
    mark: Option<&[u8; 32]>,
    policy: &Policy,
) -> Result<bool, Refusal> {
    match (token.is_in_browser(mark), policy.same_browser) {
        (false, _) => Ok(false),
        (true, SameBrowser::Warn) => Ok(true),
        (true, SameBrowser::Deny) => Err(Refusal::SameBrowser),
    }
}

/// Why a passcode is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// It is of no step of the window.
    Wrong,
    /// Its step, or a later one, was accepted before.
    Used,
}

impl Failure {
    fn counted(
        self,
        owner: &PasscodeFailures,
        policy: &Policy,
        now: Timestamp,
    ) -> PasscodeFailures {
        match self {
            Self::Wrong => owner.wrong(&policy.prescriber, now),
            Self::Used => owner.used(&policy.prescriber, now),
        }
    }
}
