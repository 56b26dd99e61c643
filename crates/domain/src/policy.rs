use thiserror::Error;

use crate::FailureLimits;

/// A policy value outside what the law or the standards allow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("policy.{name} must be between {low} and {high}, not {value}")]
pub struct PolicyError {
    name: &'static str,
    low: i64,
    high: i64,
    value: i64,
}

/// What happens to a token that is used from the browser which holds it (21 CFR 1311.115(a)(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameBrowser {
    /// The token is refused in the browser that holds it.
    #[default]
    Deny,
    /// The token is accepted; the page says so, and the event has the reason `same_browser`.
    Warn,
}

/// The settings of an operator, within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Most active tokens of one prescriber.
    pub max_active_tokens: u32,
    /// Seconds after which a passcode is no longer fresh enough for a change of tokens, or in the console.
    pub step_up_seconds: i64,
    /// Seconds without a request after which a session ends (SP 800-63B-4, 2.2.3 allows an hour).
    pub session_idle_seconds: i64,
    /// Seconds after which a session ends in any case (SP 800-63B-4, 2.2.3 allows a day).
    pub session_absolute_seconds: i64,
    /// Seconds that a launch from the EHR may be old.
    pub launch_seconds: i64,
    /// Seconds after which a provisioned token that nobody added is discarded.
    pub unassociated_seconds: i64,
    /// Whether the seed of a new token may be shown once for another authenticator app.
    pub otpauth: bool,
    /// Limits of one token.
    pub token: FailureLimits,
    /// Limits of all passcode tries of one prescriber.
    pub prescriber: FailureLimits,
    /// Limits of the passphrase tries for one NPI.
    pub passphrase: FailureLimits,
    /// A token that is used from the browser which holds it.
    pub same_browser: SameBrowser,
}

impl Policy {
    /// The defaults, stricter than the standards they come from.
    pub const STANDARD: Self = Self {
        max_active_tokens: 5,
        step_up_seconds: 5 * 60,
        session_idle_seconds: 15 * 60,
        session_absolute_seconds: 12 * 60 * 60,
        launch_seconds: 60,
        unassociated_seconds: 24 * 60 * 60,
        otpauth: false,
        token: FailureLimits {
            throttle_from: 3,
            throttle_seconds: 30,
            lock_from: 6,
            lock_seconds: 900,
            disable_at: Some(30),
        },
        prescriber: FailureLimits {
            throttle_from: 8,
            throttle_seconds: 60,
            lock_from: 12,
            lock_seconds: 900,
            disable_at: None,
        },
        passphrase: FailureLimits {
            throttle_from: 3,
            throttle_seconds: 30,
            lock_from: 6,
            lock_seconds: 900,
            disable_at: None,
        },
        same_browser: SameBrowser::Deny,
    };

    /// Checks every bound; the first value outside is named.
    pub fn check(&self) -> Result<(), PolicyError> {
        let bounds = [
            ("max_active_tokens", i64::from(self.max_active_tokens), 1, 5),
            ("step_up_seconds", self.step_up_seconds, 0, 900),
            ("session_idle_seconds", self.session_idle_seconds, 60, 3_600),
            ("session_absolute_seconds", self.session_absolute_seconds, 300, 86_400),
            ("launch_seconds", self.launch_seconds, 5, 300),
            ("unassociated_seconds", self.unassociated_seconds, 60, 86_400),
            ("token_throttle_from", i64::from(self.token.throttle_from), 1, 100),
            (
                "token_lock_from",
                i64::from(self.token.lock_from),
                i64::from(self.token.throttle_from),
                100,
            ),
            ("token_lock_seconds", self.token.lock_seconds, 60, 86_400),
            // SP 800-63B-4, 3.2.2: at most 100 consecutive failures, then the authenticator is disabled.
            (
                "token_disable_at",
                i64::from(self.token.disable_at.unwrap_or(0)),
                i64::from(self.token.lock_from),
                100,
            ),
        ];
        for (name, value, low, high) in bounds {
            if value < low || value > high {
                return Err(PolicyError { name, low, high, value });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows: N-11
    #[test]
    fn the_standard_holds_and_a_hundred_is_the_ceiling() {
        Policy::STANDARD.check().unwrap();
        let mut policy = Policy::STANDARD;
        policy.token.disable_at = Some(101);
        assert!(policy.check().unwrap_err().to_string().contains("token_disable_at"));
        policy.token.disable_at = None;
        assert!(policy.check().is_err(), "a token must be disabled at some count");
    }
}
