//! Why a token is disabled, and how it is disabled and enabled again.

use super::{PasscodeCheck, Token, TokenState, check::settle};
use crate::{PasscodeFailures, Policy, Refusal, Timestamp, otp::OneTimePasscode};

/// Why a token is disabled. Only the first can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisableReason {
    /// Left at home; comes back with a passcode of that very token.
    TemporarilyUnavailable,
    /// The owner does not know where it is.
    Lost,
    /// Somebody took it from the owner.
    Stolen,
    /// Somebody else may know its seed or codes.
    Compromised,
    /// It no longer works.
    Damaged,
    /// Another token took its place.
    Replaced,
    /// Too many wrong passcodes in a row (SP 800-63B-4, 3.2.2).
    TooManyFailures,
    /// The operator stopped it in an emergency.
    Emergency,
    /// The account it belongs to was closed.
    AccountClosed,
    /// Past the end of life that its maker states: an empty battery, a worn clock.
    EndOfLife,
}

impl DisableReason {
    /// What a person can choose, in the order of the form.
    pub const CHOICES: [Self; 6] = [
        Self::TemporarilyUnavailable,
        Self::Lost,
        Self::Stolen,
        Self::Compromised,
        Self::Damaged,
        Self::Replaced,
    ];

    /// Stable word for forms and rows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Compromised => "compromised",
            Self::Damaged => "damaged",
            Self::Replaced => "replaced",
            Self::TooManyFailures => "too_many_failures",
            Self::Emergency => "emergency",
            Self::AccountClosed => "account_closed",
            Self::EndOfLife => "end_of_life",
        }
    }

    /// The reason, for pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TemporarilyUnavailable => "Temporarily unavailable",
            Self::Lost => "Lost",
            Self::Stolen => "Stolen",
            Self::Compromised => "Compromised",
            Self::Damaged => "Damaged",
            Self::Replaced => "Replaced",
            Self::TooManyFailures => "Too many incorrect passcodes",
            Self::Emergency => "Disabled by the system operator",
            Self::AccountClosed => "Account closed",
            Self::EndOfLife => "Past its end of life",
        }
    }

    /// Whether the token can be enabled again.
    pub const fn is_reversible(self) -> bool {
        matches!(self, Self::TemporarilyUnavailable)
    }

    /// Reasons that the passphrase alone is enough for (SP 800-63B-4, 4.3: one factor reports a loss).
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Stolen | Self::Compromised)
    }

    /// The reason with that word, whoever may give it.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::TooManyFailures, Self::Emergency, Self::AccountClosed, Self::EndOfLife]
            .into_iter()
            .chain(Self::CHOICES)
            .find(|reason| reason.code() == code)
    }
}

/// Disables a token. `other_active` is how many more active tokens its owner has; without one the
/// loss must be `confirmed` in writing.
pub fn disable_token(
    token: &mut Token,
    reason: DisableReason,
    other_active: u32,
    confirmed: bool,
    now: Timestamp,
) -> Result<(), Refusal> {
    match token.state {
        TokenState::Active { .. } => {
            if other_active == 0 && !confirmed && reason != DisableReason::Emergency {
                return Err(Refusal::LastToken);
            }
        }
        // What was left at home may turn out to be lost.
        TokenState::Disabled { reason: was, .. }
            if was.is_reversible() && !reason.is_reversible() => {}
        TokenState::Disabled { .. } | TokenState::Unassociated { .. } => {
            return Err(Refusal::NoChange);
        }
    }
    token.state = TokenState::Disabled { reason, since: now };
    Ok(())
}

impl Token {
    /// Disables a token without asking its owner: the operator, the end of an account, a report of somebody
    /// else. A token that nobody has added is stopped just the same. What is final keeps its reason and its
    /// date. Says whether anything changed.
    pub fn force_disable(&mut self, reason: DisableReason, now: Timestamp) -> bool {
        let changes = match self.state {
            TokenState::Unassociated { .. } | TokenState::Active { .. } => true,
            TokenState::Disabled { reason: was, .. } => {
                was.is_reversible() && !reason.is_reversible()
            }
        };
        if changes {
            self.state = TokenState::Disabled { reason, since: now };
        }
        changes
    }
}

/// Enables a temporarily disabled token by a passcode of that very token.
pub fn enable_token(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    active: u32,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = token.find(code, now);
    match token.state {
        TokenState::Disabled { reason, .. } if reason.is_reversible() => {}
        TokenState::Disabled { .. } => return Err(Refusal::NotReversible),
        TokenState::Active { .. } | TokenState::Unassociated { .. } => {
            return Err(Refusal::NoChange);
        }
    }
    if active >= policy.max_active_tokens {
        return Err(Refusal::TokenLimit { most: policy.max_active_tokens });
    }
    let step = settle(token, owner, found, now, policy)?;
    token.state = TokenState::Active { since: now };
    Ok(step)
}
