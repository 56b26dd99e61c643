//! Tests of `token`.

mod add;
mod disable;
mod parts;

use super::*;
use crate::{Blocked, TokenKind, otp::passcode};
use countersign_crypto::SystemRng;
use proptest::prelude::*;

const POLICY: Policy = Policy::STANDARD;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_010 + seconds)
}

fn token(state: TokenState) -> Token {
    let rng = &mut SystemRng;
    let now = at(0);
    let owned = !matches!(state, TokenState::Unassociated { .. });
    Token {
        id: TokenId::new(now, rng).unwrap(),
        practice: owned.then(|| PracticeId::new(now, rng).unwrap()),
        prescriber: owned.then(|| PersonId::new(now, rng).unwrap()),
        credential: CredentialId::random(TokenKind::OtpSoft, rng).unwrap(),
        name: "phone".parse().unwrap(),
        params: OtpParams::OWN,
        seed: TokenSeed::generate(OtpParams::OWN.algorithm(), rng).unwrap(),
        state,
        last_step: None,
        drift: Drift::default(),
        failures: Failures::NONE,
        created: now,
        added: owned.then_some(now),
        last_used: None,
        device: Device::default(),
        model: ModelCode::known(ModelCode::AUTHENTICATOR),
        seed_left: None,
        activated: None,
        sign_until: None,
    }
}

/// Shows: R-1311.115-a3, A1
#[test]
fn a_token_is_kept_apart_from_the_browser_that_prescribes() {
    let mut token = active();
    let warn = Policy { same_browser: SameBrowser::Warn, ..POLICY };
    let (here, elsewhere) = ([1; 32], [2; 32]);
    // Neither a token nor a browser without a mark is ever taken for the same.
    for mark in [None, Some(&here)] {
        assert_eq!(same_browser(&token, mark, &POLICY), Ok(false));
    }
    token.device.browser = Some(here);
    for mark in [None, Some(&elsewhere)] {
        assert_eq!(same_browser(&token, mark, &POLICY), Ok(false));
        assert_eq!(same_browser(&token, mark, &warn), Ok(false));
    }
    assert_eq!(same_browser(&token, Some(&here), &POLICY), Err(Refusal::SameBrowser));
    assert_eq!(same_browser(&token, Some(&here), &warn), Ok(true));
}

fn active() -> Token {
    token(TokenState::Active { since: at(0) })
}

fn code(token: &Token, now: Timestamp) -> OneTimePasscode {
    passcode(&token.seed, &token.params, token.params.step_at(now)).parse().unwrap()
}

fn wrong(token: &Token, now: Timestamp) -> OneTimePasscode {
    let here = token.params.step_at(now).number();
    let near: Vec<String> = (here - 130..here + 130)
        .map(|step| passcode(&token.seed, &token.params, Step::new(step)))
        .collect();
    (0..1_000_000).map(|n| format!("{n:06}")).find(|c| !near.contains(c)).unwrap().parse().unwrap()
}

/// Shows: N-08, A15, A16
#[test]
fn a_code_works_once_whatever_it_is_for() {
    let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
    let code = code(&t, at(0));
    check_passcode(&mut t, &mut owner, &code, at(0), &POLICY).unwrap();
    for seconds in [0, 5, 29] {
        let again = check_passcode(&mut t, &mut owner, &code, at(seconds), &POLICY).unwrap_err();
        assert_eq!(again.code(), "passcode_used");
    }
    assert_eq!(t.failures.count, 3, "replays are failures");
    let mut t2 = t.clone();
    t2.failures = Failures::NONE;
    assert_eq!(
        test_token(&mut t2, &mut owner, &code, at(5), &POLICY).unwrap_err().code(),
        "passcode_used"
    );
}

/// Shows: N-04, N-10
#[test]
fn a_twin_shows_by_a_code_from_before_the_last() {
    // One device with a right clock, its twin a step behind.
    let mut t = active();
    let mut owner = PasscodeFailures::NONE;
    let (here, behind) = (code(&t, at(0)), code(&t, at(-30)));
    check_passcode(&mut t, &mut owner, &here, at(0), &POLICY).unwrap();
    let twin = check_passcode(&mut t, &mut owner, &behind, at(1), &POLICY);
    assert_eq!(twin, Err(Refusal::PasscodeBehind));
    assert_eq!((t.failures.count, owner.in_a_row.count), (1, 1), "it counts like any replay");
    let mut tokens = [t.clone()];
    let any = check_any(&mut tokens, &mut PasscodeFailures::NONE.clone(), &behind, at(1), &POLICY);
    assert_eq!(any, Err(Refusal::PasscodeBehind));
    assert_eq!(
        test_token(&mut t.clone(), &mut owner, &behind, at(1), &POLICY),
        Err(Refusal::PasscodeBehind)
    );
    // The same code again is a second click, or the same code for another purpose.
    let again = check_passcode(&mut t, &mut owner, &here, at(20), &POLICY).unwrap_err();
    assert_eq!(again.code(), "passcode_used");

    // A twin that is minutes behind is out of the window; who has proved the passphrase is told.
    let far = code(&t, at(-300));
    let id = t.id;
    assert_eq!(
        explain_wrong_passcode(&mut [t.clone()], id, &far, at(1)),
        Some(Refusal::PasscodeBehind)
    );
    // Nobody else has used a code since: only a slow clock.
    let mut fresh = active();
    let slow = code(&fresh, at(-300));
    fresh.last_step = Some(fresh.params.step_at(at(-330)));
    let id = fresh.id;
    let told = explain_wrong_passcode(&mut [fresh], id, &slow, at(0));
    assert_eq!(told, Some(Refusal::LatePasscode { age_seconds: 300 }));
}

#[test]
fn a_twin_of_a_counter_shows_when_it_lags() {
    let mut t = active();
    t.params = OtpParams::event_based(t.params.algorithm(), 6).unwrap();
    let press = |counter| -> OneTimePasscode {
        passcode(&t.seed, &t.params, Step::new(counter)).parse().unwrap()
    };
    let (first, second) = (press(1), press(2));
    let mut owner = PasscodeFailures::NONE;
    check_passcode(&mut t, &mut owner, &second, at(0), &POLICY).unwrap();
    let twin = check_passcode(&mut t, &mut owner, &first, at(100), &POLICY);
    assert_eq!(twin, Err(Refusal::PasscodeBehind));
    let again = check_passcode(&mut t, &mut owner, &second, at(200), &POLICY);
    assert_eq!(again, Err(Refusal::EventPasscodeUsed));
}

#[test]
fn wrong_codes_slow_lock_and_end_only_that_token() {
    let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
    let mut now = at(0);
    let mut refusals = vec![];
    for _ in 0..1_000 {
        let guess = wrong(&t, now);
        let refusal = check_passcode(&mut t, &mut owner, &guess, now, &POLICY).unwrap_err();
        refusals.push(refusal.code());
        if refusal == Refusal::TokenExhausted {
            break;
        }
        owner = PasscodeFailures::NONE;
        now = now.plus_seconds(29);
    }
    assert_eq!(refusals.last(), Some(&"token_exhausted"));
    assert_eq!(refusals.iter().filter(|code| **code != "token_blocked").count(), 30);
    let guess = code(&t, now.plus_seconds(100_000));
    let refusal = check_passcode(&mut t, &mut owner, &guess, now.plus_seconds(100_000), &POLICY);
    assert_eq!(refusal, Err(Refusal::TokenNotActive));
}

#[test]
fn tries_during_a_pause_change_nothing_even_right_ones() {
    let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
    for _ in 0..3 {
        let guess = wrong(&t, at(0));
        check_passcode(&mut t, &mut owner, &guess, at(0), &POLICY).unwrap_err();
    }
    let before = (t.failures, owner, t.last_step);
    for guess in [code(&t, at(1)), wrong(&t, at(1))] {
        let refusal = check_passcode(&mut t, &mut owner, &guess, at(1), &POLICY).unwrap_err();
        assert_eq!(refusal.blocked().unwrap().until, at(30));
        assert_eq!((t.failures, owner, t.last_step), before);
    }
    let right = code(&t, at(30));
    check_passcode(&mut t, &mut owner, &right, at(30), &POLICY).unwrap();
    assert_eq!((t.failures, owner.in_a_row), (Failures::NONE, Failures::NONE));
}

/// Shows: N-11, N-12
#[test]
fn any_of_my_tokens_counts_once_and_blames_none() {
    let mut tokens = [
        active(),
        active(),
        token(TokenState::Disabled { reason: DisableReason::Lost, since: at(0) }),
    ];
    let mut owner = PasscodeFailures::NONE;
    let guess = code(&tokens[1], at(0));
    assert_eq!(check_any(&mut tokens, &mut owner, &guess, at(0), &POLICY).unwrap().0, tokens[1].id);
    let lost = code(&tokens[2], at(0));
    assert_eq!(
        check_any(&mut tokens, &mut owner, &lost, at(0), &POLICY),
        Err(Refusal::WrongPasscode)
    );
    assert_eq!(owner.in_a_row.count, 1);
    assert!(tokens.iter().all(|t| t.failures == Failures::NONE));
    assert_eq!(
        check_any(&mut tokens[2..], &mut owner, &lost, at(0), &POLICY),
        Err(Refusal::NoUsableToken)
    );
    for _ in 1..POLICY.prescriber.throttle_from {
        let _ = check_any(&mut tokens, &mut owner, &lost, at(0), &POLICY);
    }
    let later = at(3_600);
    let right = code(&tokens[1], later);
    assert_eq!(
        check_any(&mut tokens, &mut owner, &right, later, &POLICY),
        Err(Refusal::ChooseToken)
    );
    check_passcode(&mut tokens[1], &mut owner, &right, later, &POLICY).unwrap();
    assert_eq!((owner.in_a_row, owner.in_a_day), (Failures::NONE, 8));
}

#[test]
fn any_of_my_tokens_names_the_pause_that_ends_first() {
    let mut tokens = [active(), active(), active()];
    tokens[2].state = TokenState::Disabled { reason: DisableReason::Lost, since: at(0) };
    let paused = |until| Failures { count: 6, blocked_until: Some(until) };
    (tokens[0].failures, tokens[1].failures) = (paused(at(900)), paused(at(120)));
    tokens[2].failures = paused(at(60));
    let mut owner = PasscodeFailures::NONE;
    let right = code(&tokens[1], at(0));
    let refusal = check_any(&mut tokens, &mut owner, &right, at(0), &POLICY).unwrap_err();
    assert_eq!(refusal, Refusal::AllTokensBlocked(Blocked { until: at(120), locked: true }));
    assert_eq!(refusal.blocked().unwrap().until, at(120));
    assert_eq!(owner, PasscodeFailures::NONE, "a try during the pause counts nowhere");
    let right = code(&tokens[1], at(120));
    check_any(&mut tokens, &mut owner, &right, at(120), &POLICY).unwrap();
}

#[test]
fn a_code_of_another_token_is_named_and_consumed() {
    let mut tokens = [active(), active()];
    tokens[1].name = "key fob".parse().unwrap();
    let guess = code(&tokens[1], at(0));
    let chosen = tokens[0].id;
    let hint = explain_wrong_passcode(&mut tokens, chosen, &guess, at(0)).unwrap();
    assert_eq!(hint, Refusal::OtherToken { name: "key fob".into() });
    let mut owner = PasscodeFailures::NONE;
    let refusal = check_passcode(&mut tokens[1], &mut owner, &guess, at(0), &POLICY).unwrap_err();
    assert_eq!(refusal.code(), "passcode_used");
    let late = code(&tokens[0], at(-120));
    let hint = explain_wrong_passcode(&mut tokens, chosen, &late, at(0)).unwrap();
    assert_eq!(hint, Refusal::LatePasscode { age_seconds: 120 });
    let early = code(&tokens[0], at(120));
    assert_eq!(explain_wrong_passcode(&mut tokens, chosen, &early, at(0)), None);
}

fn new_token(active: u32) -> NewToken {
    let rng = &mut SystemRng;
    NewToken {
        practice: PracticeId::new(at(0), rng).unwrap(),
        prescriber: PersonId::new(at(0), rng).unwrap(),
        name: "iPhone".parse().unwrap(),
        active,
        model_allowed: true,
    }
}

#[test]
fn resync_fixes_a_wrong_clock_and_is_no_login() {
    let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
    let (first, second) = (code(&t, at(1_200)), code(&t, at(1_230)));
    check_resync(&mut t, &mut owner, &first, &second, at(0), &POLICY).unwrap();
    assert_eq!(t.drift.current(), 41);
    let again = check_resync(&mut t, &mut owner, &first, &second, at(0), &POLICY);
    assert_eq!(again, Err(Refusal::NotConsecutive));
    let next = code(&t, at(1_260));
    check_passcode(&mut t, &mut owner, &next, at(30), &POLICY).unwrap();
}

#[test]
fn a_test_counts_for_the_day_and_pauses_no_token() {
    let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
    for _ in 0..10 {
        let guess = wrong(&t, at(0));
        let answer = test_token(&mut t, &mut owner, &guess, at(0), &POLICY);
        assert_eq!(answer, Err(Refusal::WrongPasscode));
    }
    assert_eq!((t.failures, owner.in_a_row.count), (Failures::NONE, 0));
    let right = code(&t, at(0));
    let answer = test_token(&mut t, &mut owner, &right, at(0), &POLICY).unwrap_err();
    assert_eq!(answer.blocked().map(|it| it.until), Some(at(60)), "{answer}");
    let right = code(&t, at(60));
    test_token(&mut t, &mut owner, &right, at(60), &POLICY).unwrap();
    assert_eq!(owner.in_a_day, 10);
}

/// Whatever a code is given for, a wrong one counts for the day, and the pause holds for all.
#[test]
fn every_use_of_a_code_counts_for_the_day() {
    type Use = fn(&mut Token, &mut PasscodeFailures, &OneTimePasscode, Timestamp) -> Refusal;
    let uses: [(&str, TokenState, Use); 6] = [
        ("chosen", TokenState::Active { since: at(0) }, |t, owner, code, now| {
            check_passcode(t, owner, code, now, &POLICY).unwrap_err()
        }),
        ("any", TokenState::Active { since: at(0) }, |t, owner, code, now| {
            check_any(std::slice::from_mut(t), owner, code, now, &POLICY).unwrap_err()
        }),
        ("resync", TokenState::Active { since: at(0) }, |t, owner, code, now| {
            check_resync(t, owner, code, code, now, &POLICY).unwrap_err()
        }),
        ("test", TokenState::Active { since: at(0) }, |t, owner, code, now| {
            test_token(t, owner, code, now, &POLICY).unwrap_err()
        }),
        (
            "enable",
            TokenState::Disabled { reason: DisableReason::TemporarilyUnavailable, since: at(0) },
            |t, owner, code, now| enable_token(t, owner, 0, code, now, &POLICY).unwrap_err(),
        ),
        ("add", TokenState::Unassociated { expires: at(86_400) }, |t, owner, code, now| {
            add_token(t, owner, &new_token(0), code, now, &POLICY).unwrap_err()
        }),
    ];
    for (name, state, try_code) in uses {
        let mut owner = PasscodeFailures::NONE;
        for count in 1..=10 {
            // A right code in between clears what is in a row, and each token is another one.
            owner = owner.right();
            let mut t = token(state);
            let guess = wrong(&t, at(count));
            try_code(&mut t, &mut owner, &guess, at(count));
            assert_eq!(i64::from(owner.in_a_day), count, "{name}");
        }
        let mut t = token(state);
        let right = code(&t, at(11));
        let refusal = try_code(&mut t, &mut owner, &right, at(11));
        let until = refusal.blocked().map(|blocked| blocked.until);
        assert_eq!(until, Some(at(70)), "{name}: {refusal}");
    }
}

#[test]
fn after_ten_wrong_codes_in_a_day_the_token_must_be_named() {
    let mut tokens = [active(), active()];
    let mut owner =
        PasscodeFailures { in_a_day: 10, day_began: Some(at(0)), ..PasscodeFailures::NONE };
    let right = code(&tokens[1], at(100));
    let answer = check_any(&mut tokens, &mut owner, &right, at(100), &POLICY);
    assert_eq!(answer, Err(Refusal::ChooseToken));
    check_passcode(&mut tokens[1], &mut owner, &right, at(100), &POLICY).unwrap();
    let tomorrow = at(86_400);
    let right = code(&tokens[1], tomorrow);
    check_any(&mut tokens, &mut owner, &right, tomorrow, &POLICY).unwrap();
}
