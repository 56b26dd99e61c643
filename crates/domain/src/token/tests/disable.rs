//! Tests of disabling and enabling a token.

use super::*;

proptest! {
    /// One device, whatever its clock, never goes back: it is never taken for two.
    #[test]
    fn one_device_is_no_twin(
        ahead in -50i64..50,
        waits in prop::collection::vec(0i64..200, 1..40),
    ) {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        let mut now = at(0);
        for wait in waits {
            now = now.plus_seconds(wait);
            let shown = code(&t, now.plus_seconds(ahead));
            if let Err(refusal) = check_passcode(&mut t, &mut owner, &shown, now, &POLICY) {
                prop_assert_ne!(refusal, Refusal::PasscodeBehind);
            }
        }
    }
}

#[test]
fn only_the_temporary_reason_comes_back_and_only_by_its_own_code() {
    for reason in DisableReason::CHOICES {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        disable_token(&mut t, reason, 1, false, at(0)).unwrap();
        let right = code(&t, at(0));
        assert_eq!(
            check_passcode(&mut t, &mut owner, &right, at(0), &POLICY),
            Err(Refusal::TokenNotActive)
        );
        let guess = wrong(&t, at(0));
        let result = enable_token(&mut t, &mut owner, 1, &guess, at(0), &POLICY);
        assert!(result.is_err());
        let result = enable_token(&mut t, &mut owner, 1, &right, at(0), &POLICY);
        assert_eq!(result.is_ok(), reason == DisableReason::TemporarilyUnavailable, "{reason:?}");
        if !reason.is_reversible() {
            assert_eq!(result, Err(Refusal::NotReversible));
            assert_eq!(
                disable_token(&mut t, DisableReason::TemporarilyUnavailable, 1, false, at(0)),
                Err(Refusal::NoChange)
            );
        }
    }
}

#[test]
fn the_last_token_needs_a_confirmation() {
    let mut t = active();
    assert_eq!(
        disable_token(&mut t, DisableReason::Lost, 0, false, at(0)),
        Err(Refusal::LastToken)
    );
    disable_token(&mut t, DisableReason::TemporarilyUnavailable, 0, true, at(0)).unwrap();
    disable_token(&mut t, DisableReason::Lost, 0, false, at(0)).unwrap();
    assert!(!t.is_temporarily_disabled());
}

proptest! {
    /// Shows: N-25
    #[test]
    fn no_path_out_of_a_final_state(actions in proptest::collection::vec(0u8..6, 1..30)) {
        let (mut t, mut owner) = (active(), PasscodeFailures::NONE);
        disable_token(&mut t, DisableReason::Stolen, 0, true, at(0)).unwrap();
        let state = t.state;
        for (n, action) in actions.into_iter().enumerate() {
            let now = at(i64::try_from(n).unwrap() * 30);
            let right = code(&t, now);
            let next = code(&t, now.plus_seconds(30));
            match action {
                0 => { let _ = check_passcode(&mut t, &mut owner, &right, now, &POLICY); }
                1 => { let _ = enable_token(&mut t, &mut owner, 0, &right, now, &POLICY); }
                2 => { let _ = check_resync(&mut t, &mut owner, &right, &next, now, &POLICY); }
                3 => { let _ = disable_token(&mut t, DisableReason::TemporarilyUnavailable, 1, true, now); }
                4 => { let _ = add_token(&mut t, &mut owner, &new_token(0), &right, now, &POLICY); }
                _ => { let _ = test_token(&mut t, &mut owner, &right, now, &POLICY); }
            }
            prop_assert_eq!(t.state, state);
        }
    }
}
