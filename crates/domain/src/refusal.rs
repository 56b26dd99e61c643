use thiserror::Error;

use crate::Blocked;

/// What a person may be told when something is refused, each with a stable code.
///
/// The texts are for someone who has proved the passphrase. Before that, only
/// [`Refusal::SignIn`] and [`Refusal::Paused`] are shown (see `docs/threat-model.md`, "no oracle").
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// NPI, passphrase or both are wrong; never says which.
    #[error("Incorrect NPI or passphrase. Check both and try again.")]
    SignIn,
    /// The present passphrase, asked for again inside a session, is not right.
    #[error("Incorrect passphrase.")]
    WrongPassphrase,
    /// The new passphrase is the old one.
    #[error("This is your current passphrase. Choose a different one.")]
    SamePassphrase,
    /// Too many tries for this NPI, known or not.
    #[error(
        "Too many failed attempts. Wait until the lockout ends. Trying again early won't extend it."
    )]
    Paused(Blocked),
    /// The passcode is wrong.
    #[error("Incorrect passcode. Enter the passcode the token shows now.")]
    WrongPasscode,
    /// The passcode, or a later one, was used before.
    #[error("This passcode was already used. Wait for the next one.")]
    PasscodeUsed {
        /// Seconds until the token shows the next code.
        wait_seconds: i64,
    },
    /// The same for a token whose codes follow a counter: no wait brings a new one.
    #[error("This passcode was already used. Press the button on the token for a new one.")]
    EventPasscodeUsed,
    /// The right passcode of an earlier step or counter than one that was accepted. One device does
    /// not go back: either an old code was kept, or two devices show this token's codes.
    #[error(
        "This passcode is older than one already used. Enter the passcode the token shows now. If you did, someone may have copied the token: disable it as compromised."
    )]
    PasscodeBehind,
    /// The passcode belongs to another token of the same prescriber.
    #[error(
        "This passcode is from your token \u{201c}{name}\u{201d}. Choose that token and enter its next passcode."
    )]
    OtherToken {
        /// Name of that token.
        name: String,
    },
    /// The passcode was right some time ago.
    #[error("This passcode expired {} ago. If you entered it right away, the device's clock is slow: set its time to automatic, or resync the token.", minutes(*age_seconds))]
    LatePasscode {
        /// How long ago, in seconds.
        age_seconds: i64,
    },
    /// The two codes are not consecutive codes of this token.
    #[error(
        "These are not two consecutive passcodes from this token. Enter a new passcode, then the next one."
    )]
    NotConsecutive,
    /// Tries with this token pause.
    #[error(
        "This token is locked after several incorrect passcodes. Trying again early won't extend the lockout. Your other tokens still work."
    )]
    TokenBlocked(Blocked),
    /// All passcodes of this prescriber pause.
    #[error(
        "Your tokens are locked after many incorrect passcodes. Trying again early won't extend the lockout."
    )]
    PasscodesBlocked(Blocked),
    /// Too many failures: the token was just disabled for good.
    #[error(
        "This token is now permanently disabled because of too many incorrect passcodes in a row. Use another token."
    )]
    TokenExhausted,
    /// The token is not active.
    #[error("This token is not active. Use an active token.")]
    TokenNotActive,
    /// Many wrong passcodes in a row: the token must be named, so that its own limit holds.
    #[error("After several incorrect passcodes, you must choose the token the passcode is from.")]
    ChooseToken,
    /// No token can be used for "any of my tokens".
    #[error("None of your tokens can be used right now.")]
    NoUsableToken,
    /// What was sent for a new passphrase does not do; never says what of it.
    #[error(
        "We could not verify this. Enter new passcodes from two of your tokens, and choose a phone or address that you confirmed before."
    )]
    NotReset,
    /// No complete proofing has opened the way for a first token, or its quarter of an hour is over.
    #[error("The time to add a token has expired. Request a new code to open it again.")]
    NoWindow,
    /// Every active token pauses; named is the one whose pause ends first.
    #[error(
        "All your tokens are locked after several incorrect passcodes. Trying again early won't extend the lockout."
    )]
    AllTokensBlocked(Blocked),
    /// Too many tests of a token in a short time.
    #[error("Too many tests. Try again in a few minutes.")]
    TooManyTests,
    /// No token with this ID is known here.
    #[error(
        "Token not found. Check the ID against the token. If the app was removed or its data cleared, use the new ID it shows. A soft token not added within a day must be set up again."
    )]
    UnknownCredential,
    /// The ID belongs to this prescriber already.
    #[error("This token is already in your list.")]
    AlreadyYours,
    /// The ID belongs to somebody else.
    #[error("This token belongs to another account. Tokens can't be shared.")]
    BoundToAnother,
    /// Manufacturer or type does not fit the ID.
    #[error("This ID belongs to a {label} token. Choose that type.")]
    TypeMismatch {
        /// The manufacturer or type that the ID stands for.
        label: &'static str,
    },
    /// The operator has not allowed the model for signing (21 CFR 1311.115(b)).
    #[error(
        "This token model is not allowed for signing here, so it can't be added. Ask your practice's support which models are allowed."
    )]
    ModelNotAllowed,
    /// The token's activation code has not come back (21 CFR 1311.105(c)).
    #[error("This token is not activated for signing. Activate it in Token Management first.")]
    NotActivated,
    /// Access control does not let its owner sign now (21 CFR 1311.125).
    #[error("You do not have permission to sign here. Your practice can tell you why.")]
    NotPermitted,
    /// The secret of a new token was shown, and is not shown again.
    #[error(
        "The secret was already shown and can't be shown again. If you did not save it in your app, start over to get a new one."
    )]
    ShownBefore,
    /// Too many new tokens wait to be added.
    #[error("Too many new tokens are waiting to be added. Try again in an hour.")]
    TooManyWaiting,
    /// The token that goes must confirm that it is at hand.
    #[error("Confirm with a passcode from the token you are replacing.")]
    ConfirmWithOld,
    /// As many active tokens as allowed.
    #[error(
        "You have reached the limit of {most} active tokens. Disable one you no longer use, then add this one."
    )]
    TokenLimit {
        /// Most active tokens of one account (`policy.max_active_tokens`).
        most: u32,
    },
    /// A fresh passcode of an active token is needed first.
    #[error("Confirm that it is you: enter a passcode from one of your active tokens.")]
    StepUpNeeded,
    /// The passcode that confirms and the new token's own must come from two tokens.
    #[error("Confirm with a token that is already active, not the new one.")]
    SelfVouching,
    /// The token is in the browser that asks.
    #[error("This token is in the browser you are using now. Use a token on another device.")]
    SameBrowser,
    /// The last active token would go.
    #[error(
        "This is your last active token. Without it you must verify your identity again before you can sign. Add another token first, or type DISABLE to confirm."
    )]
    LastToken,
    /// Only a temporarily disabled token can be enabled.
    #[error(
        "This token is permanently disabled and can't be enabled again. Add a new token instead."
    )]
    NotReversible,
    /// The token is active already, or disabled already.
    #[error("No changes: the token already has that status.")]
    NoChange,
    /// The account is closed. For the record only: a page says [`Refusal::SignIn`].
    #[error("This account is closed.")]
    AccountClosed,
}

impl Refusal {
    /// The code of [`Refusal::SameBrowser`]; also the reason in the event of a use that policy lets pass.
    pub const SAME_BROWSER: &'static str = "same_browser";
    /// The code of [`Refusal::PasscodeBehind`], from which [`crate::Event::twin`] follows.
    pub(crate) const PASSCODE_BEHIND: &'static str = "passcode_behind";

    /// Stable code for logs, audit events and the API.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignIn => "sign_in_refused",
            Self::WrongPassphrase => "passphrase_wrong",
            Self::SamePassphrase => "passphrase_same",
            Self::Paused(_) => "sign_in_paused",
            Self::WrongPasscode => "passcode_wrong",
            Self::PasscodeUsed { .. } | Self::EventPasscodeUsed => "passcode_used",
            Self::PasscodeBehind => Self::PASSCODE_BEHIND,
            Self::OtherToken { .. } => "passcode_of_other_token",
            Self::LatePasscode { .. } => "passcode_late",
            Self::NotConsecutive => "passcodes_not_consecutive",
            Self::TokenBlocked(_) => "token_blocked",
            Self::PasscodesBlocked(_) => "passcodes_blocked",
            Self::TokenExhausted => "token_exhausted",
            Self::TokenNotActive => "token_not_active",
            Self::ChooseToken => "choose_token",
            Self::NoUsableToken => "no_usable_token",
            Self::NoWindow => "window_over",
            Self::NotReset => "not_reset",
            Self::AllTokensBlocked(_) => "all_tokens_blocked",
            Self::TooManyTests => "too_many_tests",
            Self::UnknownCredential => "credential_unknown",
            Self::AlreadyYours => "credential_already_yours",
            Self::BoundToAnother => "credential_bound_to_another",
            Self::TypeMismatch { .. } => "token_type_mismatch",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::NotActivated => "not_activated",
            Self::NotPermitted => "not_permitted",
            Self::ShownBefore => "secret_shown_before",
            Self::TooManyWaiting => "too_many_waiting",
            Self::ConfirmWithOld => "confirm_with_old",
            Self::TokenLimit { .. } => "token_limit",
            Self::StepUpNeeded => "step_up_needed",
            Self::SelfVouching => "self_vouching",
            Self::SameBrowser => Self::SAME_BROWSER,
            Self::LastToken => "last_token",
            Self::NotReversible => "not_reversible",
            Self::NoChange => "no_change",
            Self::AccountClosed => "account_closed",
        }
    }

    /// Until when tries are refused, where that is the reason.
    pub const fn blocked(&self) -> Option<Blocked> {
        match self {
            Self::Paused(b)
            | Self::TokenBlocked(b)
            | Self::AllTokensBlocked(b)
            | Self::PasscodesBlocked(b) => Some(*b),
            _ => None,
        }
    }
}

fn minutes(seconds: i64) -> String {
    match seconds {
        ..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 30) / 60),
    }
}
