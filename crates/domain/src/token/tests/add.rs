//! Tests of adding and replacing a token.

use super::*;

#[test]
fn a_model_that_is_not_allowed_is_not_added() {
    let (mut t, mut owner) =
        (token(TokenState::Unassociated { expires: at(60) }), PasscodeFailures::NONE);
    let right = code(&t, at(0));
    let new = NewToken { model_allowed: false, ..new_token(0) };
    let answer = add_token(&mut t, &mut owner, &new, &right, at(0), &POLICY);
    assert_eq!(answer, Err(Refusal::ModelNotAllowed));
    assert_eq!((t.prescriber, t.last_step, owner), (None, None, PasscodeFailures::NONE));
}

#[test]
fn an_app_that_ignores_the_hash_is_found_by_its_first_code_only() {
    let waiting = || token(TokenState::Unassociated { expires: at(3_600) });
    let by_sha1 = |t: &Token, now| -> OneTimePasscode {
        let params = t.params.with_sha1();
        passcode(&t.seed, &params, params.step_at(now)).parse().unwrap()
    };
    // The seed has not left: a code by SHA-1 is a wrong one.
    let (mut t, mut owner) = (waiting(), PasscodeFailures::NONE);
    let other = by_sha1(&t, at(0));
    let answer = add_token(&mut t, &mut owner, &new_token(0), &other, at(0), &POLICY);
    assert_eq!(answer, Err(Refusal::WrongPasscode));
    assert_eq!(t.params, OtpParams::OWN);

    let (mut t, mut owner) = (waiting(), PasscodeFailures::NONE);
    t.seed_left = Some(at(0));
    let guess = wrong(&t, at(0));
    let answer = add_token(&mut t, &mut owner, &new_token(0), &guess, at(0), &POLICY);
    assert_eq!(answer, Err(Refusal::WrongPasscode));
    assert_eq!((t.params, t.failures.count), (OtpParams::OWN, 1));
    let other = by_sha1(&t, at(0));
    add_token(&mut t, &mut owner, &new_token(0), &other, at(0), &POLICY).unwrap();
    assert_eq!(t.params, OtpParams::OWN.with_sha1());
    assert!(t.is_active() && t.last_step.is_some());

    // An app that does as it is told keeps its hash, and later codes change nothing.
    let (mut t, mut owner) = (waiting(), PasscodeFailures::NONE);
    t.seed_left = Some(at(0));
    let right = code(&t, at(0));
    add_token(&mut t, &mut owner, &new_token(0), &right, at(0), &POLICY).unwrap();
    let other = by_sha1(&t, at(60));
    assert_eq!(
        check_passcode(&mut t, &mut owner, &other, at(60), &POLICY),
        Err(Refusal::WrongPasscode)
    );
    assert_eq!(t.params, OtpParams::OWN);
}

#[test]
fn a_token_takes_the_place_of_another_or_nothing_changes() {
    let most = POLICY.max_active_tokens;
    let reason = DisableReason::Replaced;
    let (mut old, mut owner) = (active(), PasscodeFailures::NONE);
    let mut t = token(TokenState::Unassociated { expires: at(3_600) });
    let mut replace = |old: &mut Token, t: &mut Token, code: &OneTimePasscode, new| {
        replace_token(old, t, &mut owner, &new, code, at(0), &POLICY)
    };
    let guess = wrong(&t, at(0));
    let answer = replace(&mut old, &mut t, &guess, new_token(most));
    assert_eq!(answer, Err(Refusal::WrongPasscode));
    assert!(old.is_active() && t.prescriber.is_none());
    let right = code(&t, at(0));
    let forbidden = NewToken { model_allowed: false, ..new_token(1) };
    let answer = replace(&mut old, &mut t, &right, forbidden);
    assert_eq!(answer, Err(Refusal::ModelNotAllowed));
    assert!(old.is_active() && t.prescriber.is_none());
    // The older one makes room for the new one.
    replace(&mut old, &mut t, &right, new_token(most)).unwrap();
    assert_eq!(old.state, TokenState::Disabled { reason, since: at(0) });
    assert!(t.is_active());
    // What is gone can't be replaced again.
    let mut t = token(TokenState::Unassociated { expires: at(3_600) });
    let right = code(&t, at(0));
    let answer = replace(&mut old, &mut t, &right, new_token(1));
    assert_eq!(answer, Err(Refusal::NoChange));
    assert!(t.prescriber.is_none() && t.last_step.is_none());
}

#[test]
fn adding_needs_the_new_tokens_own_code_and_burns_it() {
    let mut owner = PasscodeFailures::NONE;
    let new = new_token(1);
    let mut t = token(TokenState::Unassociated { expires: at(60) });
    let guess = wrong(&t, at(0));
    assert_eq!(
        add_token(&mut t, &mut owner, &new, &guess, at(0), &POLICY),
        Err(Refusal::WrongPasscode)
    );
    assert!(t.prescriber.is_none());
    let late = code(&t, at(-90));
    let refusal = add_token(&mut t, &mut owner, &new, &late, at(0), &POLICY);
    assert_eq!(refusal, Err(Refusal::LatePasscode { age_seconds: 90 }));
    let right = code(&t, at(0));
    add_token(&mut t, &mut owner, &new, &right, at(0), &POLICY).unwrap();
    assert!(t.is_active() && t.prescriber == Some(new.prescriber));
    let login = check_passcode(&mut t, &mut owner, &right, at(1), &POLICY).unwrap_err();
    assert!(matches!(login, Refusal::PasscodeUsed { wait_seconds: 1..=30 }));
    assert_eq!(
        add_token(&mut t, &mut owner, &new, &right, at(1), &POLICY),
        Err(Refusal::AlreadyYours)
    );
    assert_eq!(
        add_token(&mut t, &mut owner, &new_token(0), &right, at(1), &POLICY),
        Err(Refusal::BoundToAnother)
    );
}

#[test]
fn adding_is_refused_when_late_or_too_many() {
    let mut owner = PasscodeFailures::NONE;
    let mut t = token(TokenState::Unassociated { expires: at(60) });
    let right = code(&t, at(60));
    assert_eq!(
        add_token(&mut t, &mut owner, &new_token(0), &right, at(60), &POLICY),
        Err(Refusal::UnknownCredential)
    );
    let right = code(&t, at(0));
    let refusal = add_token(&mut t, &mut owner, &new_token(5), &right, at(0), &POLICY);
    assert_eq!(refusal, Err(Refusal::TokenLimit { most: 5 }));
}
