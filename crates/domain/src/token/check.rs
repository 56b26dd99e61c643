//! Checking passcodes: of a chosen token, of any token of a prescriber, two in a row, and as a test.

use super::{Failure, Token};
use crate::{
    Blocked, PasscodeFailures, Policy, Refusal, Timestamp, TokenId,
    otp::{self, Found, OneTimePasscode, Step},
};

/// Outcome of a passcode check: the step consumed, or why not.
pub type PasscodeCheck = Result<Step, Refusal>;

fn pauses(
    token: &Token,
    owner: &PasscodeFailures,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Some(blocked) = owner.blocked(&policy.prescriber, now) {
        return Err(Refusal::PasscodesBlocked(blocked));
    }
    if let Some(blocked) = token.failures.blocked(&policy.token, now) {
        return Err(Refusal::TokenBlocked(blocked));
    }
    Ok(())
}

/// Checks a passcode of the chosen token and consumes its step.
///
/// A failure counts on this token and on its prescriber (`owner`), and on nothing else. The codes of
/// the window are computed before any state is looked at, so that time tells nothing.
pub fn check_passcode(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = token.find(code, now);
    if !token.is_active() {
        return Err(Refusal::TokenNotActive);
    }
    settle(token, owner, found, now, policy)
}

pub(super) fn settle(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    found: Found,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    pauses(token, owner, policy, now)?;
    match found {
        Found::Fresh { step, drift } => {
            token.accept(step, drift, now);
            *owner = owner.right();
            Ok(step)
        }
        // A replay is a failure too (question A16): it may be somebody who looked over a shoulder.
        Found::Used { step } => {
            let used = token.used(step, now);
            Err(token.count_failure(owner, Failure::Used, policy, now).unwrap_or(used))
        }
        Found::Nothing => {
            let ended = token.count_failure(owner, Failure::Wrong, policy, now);
            Err(ended.unwrap_or(Refusal::WrongPasscode))
        }
    }
}

/// Checks a passcode against all usable tokens of one prescriber; says which one matched.
///
/// One failure counts once, on the prescriber: no token is named, so none is blamed. Were that all,
/// guessing could go on for ever without ending a token (SP 800-63B-4, 3.2.2), so after as many
/// failures in a row as pause the prescriber, or so many in a day, the token must be named.
pub fn check_any(
    tokens: &mut [Token],
    owner: &mut PasscodeFailures,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> Result<(TokenId, Step), Refusal> {
    if let Some(blocked) = owner.blocked(&policy.prescriber, now) {
        return Err(Refusal::PasscodesBlocked(blocked));
    }
    if owner.token_must_be_named(&policy.prescriber, now) {
        return Err(Refusal::ChooseToken);
    }
    let mut usable = 0;
    let mut first_free: Option<Blocked> = None;
    let mut fresh = None;
    let mut used = None;
    for (index, token) in tokens.iter().enumerate() {
        let found = token.find(code, now);
        if !token.is_active() {
            continue;
        }
        if let Some(blocked) = token.failures.blocked(&policy.token, now) {
            if first_free.is_none_or(|known| blocked.until < known.until) {
                first_free = Some(blocked);
            }
            continue;
        }
        usable += 1;
        match found {
            Found::Fresh { step, drift } if fresh.is_none() => fresh = Some((index, step, drift)),
            Found::Used { step } => used = Some(token.used(step, now)),
            _ => {}
        }
    }
    if usable == 0 {
        return Err(first_free.map_or(Refusal::NoUsableToken, Refusal::AllTokensBlocked));
    }
    if let Some((token, step, drift)) = fresh
        .and_then(|(index, step, drift)| tokens.get_mut(index).map(|token| (token, step, drift)))
    {
        token.accept(step, drift, now);
        *owner = owner.right();
        Ok((token.id, step))
    } else {
        let kind = if used.is_some() { Failure::Used } else { Failure::Wrong };
        *owner = kind.counted(owner, policy, now);
        Err(used.unwrap_or(Refusal::WrongPasscode))
    }
}

/// Looks for what went wrong with a wrong passcode, for someone who has proved the passphrase.
///
/// A code of another token is burned there: to name the token must not help anyone use the code.
pub fn explain_wrong_passcode(
    tokens: &mut [Token],
    chosen: TokenId,
    code: &OneTimePasscode,
    now: Timestamp,
) -> Option<Refusal> {
    let mut late = None;
    let mut other = None;
    for token in tokens.iter_mut().filter(|token| token.is_active()) {
        if token.id == chosen {
            late = late_code(token, code, now);
        } else if let Found::Fresh { step, .. } = token.find(code, now) {
            token.last_step = Some(step);
            other = Some(Refusal::OtherToken { name: token.name.as_str().to_owned() });
        }
    }
    other.or(late)
}

/// What there is to say of a code that is older than the window.
pub(super) fn late_code(token: &Token, code: &OneTimePasscode, now: Timestamp) -> Option<Refusal> {
    let (seed, params) = (&token.seed, &token.params);
    let code = code.of_model(&token.model);
    otp::late_step(seed, params, &code, token.drift, now).map(|late| match token.last_step {
        Some(last) if late.step < last => Refusal::PasscodeBehind,
        Some(last) if late.step == last => token.used(last, now),
        _ => Refusal::LatePasscode { age_seconds: late.age_seconds },
    })
}

/// Resynchronizes a token by two consecutive codes. It is no login: the next code must follow, so
/// that two codes seen over a shoulder stay worthless.
pub fn check_resync(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    first: &OneTimePasscode,
    second: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = otp::find_pair(&token.seed, &token.params, first, second, token.last_step, now);
    if !token.is_active() {
        return Err(Refusal::TokenNotActive);
    }
    pauses(token, owner, policy, now)?;
    if let Some((step, drift)) = found {
        token.accept(step, drift, now);
        *owner = owner.right();
        Ok(step)
    } else {
        let ended = token.count_failure(owner, Failure::Wrong, policy, now);
        Err(ended.unwrap_or(Refusal::NotConsecutive))
    }
}

/// Tests a token: a right code is consumed. A wrong one counts for the day of its owner, and pauses or
/// ends no token.
pub fn test_token(
    token: &mut Token,
    owner: &mut PasscodeFailures,
    code: &OneTimePasscode,
    now: Timestamp,
    policy: &Policy,
) -> PasscodeCheck {
    let found = token.find(code, now);
    if !token.is_active() {
        return Err(Refusal::TokenNotActive);
    }
    pauses(token, owner, policy, now)?;
    match found {
        Found::Fresh { step, drift } => {
            token.bring_into_step(step, drift);
            token.last_used = Some(now);
            Ok(step)
        }
        Found::Used { step } => Err(token.used(step, now)),
        Found::Nothing => {
            *owner = owner.wrong_in_a_test(now);
            Err(late_code(token, code, now).unwrap_or(Refusal::WrongPasscode))
        }
    }
}
