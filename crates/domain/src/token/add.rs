//! Adding a token to a prescriber, by itself or in the place of an older one.

use super::{
    DisableReason, Token, TokenName,
    check::{late_code, settle},
    disable_token,
};
use crate::{
    PasscodeFailures, PersonId, Policy, PracticeId, Refusal, Timestamp,
    otp::{self, Found, OneTimePasscode, OtpParams},
};

/// Outcome of adding a token.
pub type AddCheck = Result<(), Refusal>;

/// Who adds a token, and what they said of it.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The practice in which the token is added.
    pub practice: PracticeId,
    /// The person to whom it is bound.
    pub prescriber: PersonId,
    /// The name that the owner gives it.
    pub name: TokenName,
    /// How many active tokens there are already.
    pub active: u32,
    /// Whether the token's model is allowed for signing.
    pub model_allowed: bool,
}

/// Adds a provisioned token to a prescriber, if its own passcode verifies.
///
/// The caller has made sure that the same session proved a fresh passcode of an active token, or
/// does so in the same transaction. The step is consumed: the code that adds can't be a login code.
pub fn add_token(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    new: &NewToken,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> AddCheck {
    let mut found = token.find(code, now);
    token.may_be_bound(new.prescriber, now)?;
    if !new.model_allowed {
        return Err(Refusal::ModelNotAllowed);
    }
    if new.active >= policy.max_active_tokens {
        return Err(Refusal::TokenLimit { most: policy.max_active_tokens });
    }
    let mut params = token.params;
    if found == Found::Nothing
        && let Some(by_sha1) = found_by_sha1(token, code, now)
    {
        (params, found) = by_sha1;
    }
    let wrong = matches!(found, Found::Nothing);
    if let Err(refusal) = settle(token, owner, found, now, policy) {
        if wrong && refusal == Refusal::WrongPasscode {
            return Err(late_code(token, code, now).unwrap_or(refusal));
        }
        return Err(refusal);
    }
    token.params = params;
    token.bind(new.practice, new.prescriber, new.name.clone(), now)
}

/// Many apps ignore the hash that an `otpauth` address names and compute SHA-1. The first code tells;
/// afterwards the hash is fixed. Looked for only where the seed went to such an app.
fn found_by_sha1(
    token: &Token,
    code: &OneTimePasscode,
    now: Timestamp,
) -> Option<(OtpParams, Found)> {
    token.seed_left?;
    let params = token.params.with_sha1();
    let found = otp::find(&token.seed, &params, code, token.last_step, token.drift, now);
    (params != token.params && matches!(found, Found::Fresh { .. })).then_some((params, found))
}

/// Adds a token in the place of an older one, which is disabled for good. Either both or neither.
///
/// The older one makes room: somebody with as many tokens as allowed can still change phones.
pub fn replace_token(
    old: &mut Token,
    token: &mut Token,
    owner: &mut PasscodeFailures,
    new: &NewToken,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> AddCheck {
    // Tried on a copy: what may still be refused must not show on the older one.
    let mut gone = old.clone();
    // The new one is there when this counts, so the older one is not the last.
    disable_token(&mut gone, DisableReason::Replaced, 1, false, now)?;
    let active = new.active.saturating_sub(u32::from(old.is_active()));
    add_token(token, owner, &NewToken { active, ..new.clone() }, code, now, policy)?;
    *old = gone;
    Ok(())
}
