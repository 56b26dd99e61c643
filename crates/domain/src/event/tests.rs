//! Tests of `event`.

use super::*;
use countersign_crypto::SystemRng;

/// Shows: R-1311.120-b24
#[test]
fn codes_are_unique_and_read_back() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::from_code(kind.code()), Some(kind));
    }
    for purpose in Purpose::ALL {
        assert_eq!(Purpose::from_code(purpose.code()), Some(purpose));
    }
    assert_eq!(EventKind::from_code("nothing"), None);
}

#[test]
fn support_codes_are_readable() {
    let code = SupportCode::new(&mut SystemRng).unwrap().to_string();
    assert_eq!(code.len(), 9);
    assert!(code.chars().all(|c| c == '-'
        || c.is_ascii_digit()
        || (c.is_ascii_uppercase() && !"ILOU".contains(c))));
}

#[test]
fn a_code_from_behind_raises_a_twin_once() {
    let support = SupportCode::new(&mut SystemRng).unwrap();
    let refused = |kind, refusal: &Refusal| {
        Event::refused(kind, Actor::Unknown, refusal, support).purpose(Purpose::Sign)
    };
    let twin = refused(EventKind::PasscodeTried, &Refusal::PasscodeBehind).twin().unwrap();
    assert_eq!((twin.kind, twin.outcome), (EventKind::TwinSuspected, Outcome::Success));
    assert!(twin.twin().is_none());
    // The change that a passcode should have confirmed has the same reason; it is no second one.
    assert!(refused(EventKind::TokenAdded, &Refusal::PasscodeBehind).twin().is_none());
    assert!(refused(EventKind::PasscodeTried, &Refusal::EventPasscodeUsed).twin().is_none());
}

#[test]
fn a_detail_is_cut_not_refused() {
    let event = Event::success(
        EventKind::TokenRenamed,
        Actor::System,
        SupportCode::new(&mut SystemRng).unwrap(),
    )
    .detail(&"x".repeat(100_000));
    assert_eq!(event.detail.unwrap().chars().count(), 200);
}

#[test]
fn a_detail_is_one_line_of_what_can_be_shown() {
    let support = SupportCode::new(&mut SystemRng).unwrap();
    let event = Event::success(EventKind::TokenRenamed, Actor::System, support);
    let detail = event.detail("a\0b\u{202e}c\r\nd").detail.unwrap();
    assert_eq!(detail, "a\u{fffd}b\u{fffd}c d");
}
