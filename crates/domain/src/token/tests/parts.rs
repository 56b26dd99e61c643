//! Tests of tokens from their parts, and of the changes that need no passcode.

use super::*;

fn refused(change: impl FnOnce(&mut TokenParts)) -> Option<TokenPartsError> {
    let mut parts = TokenParts::from(active());
    change(&mut parts);
    Token::from_parts(parts).err()
}

#[test]
fn parts_that_no_token_has_together_are_refused() {
    use TokenPartsError::{Owner, Period, Signing, State};
    assert_eq!(refused(|_| {}), None);
    let counter = OtpParams::event_based(OtpParams::OWN.algorithm(), 6).unwrap();
    assert_eq!(refused(|it| it.params = counter), Some(Period));
    assert_eq!(refused(|it| it.practice = None), Some(Owner));
    assert_eq!(refused(|it| it.prescriber = None), Some(Owner));
    assert_eq!(refused(|it| it.added = None), Some(Owner));
    let nobody = |it: &mut TokenParts| (it.practice, it.prescriber, it.added) = (None, None, None);
    let disabled = |reason| TokenState::Disabled { reason, since: at(0) };
    let waits = TokenState::Unassociated { expires: at(60) };
    assert_eq!(refused(nobody), Some(State), "active, and nobody's");
    assert_eq!(refused(|it| it.state = waits), Some(State), "waits, and somebody's");
    for reason in DisableReason::CHOICES {
        let change = |it: &mut TokenParts| {
            nobody(it);
            it.state = disabled(reason);
        };
        assert_eq!(refused(change), Some(State), "nobody can have said {reason:?}");
        assert_eq!(refused(|it| it.state = disabled(reason)), None);
    }
    for reason in [DisableReason::TooManyFailures, DisableReason::Emergency] {
        let change = |it: &mut TokenParts| {
            nobody(it);
            it.state = disabled(reason);
        };
        assert_eq!(refused(change), None);
    }
    assert_eq!(refused(|it| it.sign_until = Some(at(60))), Some(Signing), "not activated");
    assert_eq!(
        refused(|it| (it.activated, it.sign_until) = (Some(at(0)), Some(at(60)))),
        None,
        "permission of its owner is written to every token"
    );
    let change = |it: &mut TokenParts| {
        nobody(it);
        (it.state, it.activated) = (waits, Some(at(0)));
    };
    assert_eq!(refused(change), Some(Signing), "nobody's, and activated");
}

#[test]
fn a_token_that_was_taken_apart_is_the_same_again() {
    let mut parts = TokenParts::from(active());
    parts.last_step = Some(Step::new(7));
    parts.drift = Drift::from_parts(3, 4);
    parts.failures = Failures { count: 2, blocked_until: Some(at(9)) };
    parts.last_used = Some(at(1));
    parts.device.browser = Some([3; 32]);
    parts.seed_left = Some(at(2));
    parts.activated = Some(at(3));
    parts.sign_until = Some(at(4));
    let text = format!("{parts:?}");
    let token = Token::from_parts(parts).unwrap();
    assert_eq!(format!("{:?}", TokenParts::from(token)), text);
}

#[test]
fn what_is_final_stays_as_it_is() {
    let final_reason = DisableReason::Stolen;
    let mut t = active();
    assert!(t.force_disable(DisableReason::TemporarilyUnavailable, at(1)));
    assert!(!t.force_disable(DisableReason::TemporarilyUnavailable, at(2)));
    assert!(t.is_temporarily_disabled());
    assert!(t.force_disable(final_reason, at(3)));
    for reason in DisableReason::CHOICES {
        assert!(!t.force_disable(reason, at(4)));
    }
    assert_eq!(t.state(), TokenState::Disabled { reason: final_reason, since: at(3) });
    let mut waits = token(TokenState::Unassociated { expires: at(60) });
    assert!(waits.force_disable(DisableReason::Emergency, at(1)), "nobody has it");
}

#[test]
fn a_token_is_bound_and_activated_once() {
    let (one, two) = (new_token(0), new_token(0));
    let name = || one.name.clone();
    let mut t = token(TokenState::Unassociated { expires: at(60) });
    assert_eq!(t.activate(at(1)), Err(Refusal::NoChange), "nobody has it");
    let late = t.bind(one.practice, one.prescriber, name(), at(60));
    assert_eq!(late, Err(Refusal::UnknownCredential));
    t.bind(one.practice, one.prescriber, name(), at(59)).unwrap();
    assert_eq!((t.added(), t.state()), (Some(at(59)), TokenState::Active { since: at(59) }));
    let again = t.bind(one.practice, one.prescriber, name(), at(59));
    assert_eq!(again, Err(Refusal::AlreadyYours));
    let other = t.bind(two.practice, two.prescriber, name(), at(59));
    assert_eq!(other, Err(Refusal::BoundToAnother));
    assert_eq!(t.in_other_practice(Some(at(90))).sign_until(), None, "not activated");
    t.activate(at(60)).unwrap();
    assert_eq!(t.activate(at(61)), Err(Refusal::NoChange));
    assert_eq!(t.activated(), Some(at(60)));
    assert_eq!(t.in_other_practice(Some(at(90))).sign_until(), Some(at(90)));
}

#[test]
fn the_last_step_never_goes_back() {
    let mut t = active();
    for (step, last) in [(0, 0), (5, 5), (4, 5)] {
        t.consume(Step::new(step));
        assert_eq!(t.last_step(), Some(Step::new(last)));
    }
}
