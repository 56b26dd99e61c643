//! What a launch may say: audience, times, lifetimes and texts.

use super::*;

#[test]
fn another_audience_is_refused() {
    for audience in [
        "http://127.0.0.1:8480/",
        "http://127.0.0.1:848",
        "HTTP://127.0.0.1:8480",
        "http://127.0.0.1:8481",
        "",
    ] {
        assert_eq!(
            verify_changed(|claims| claims["aud"] = json!(audience)),
            Err(LaunchError::WrongAudience),
            "{audience}"
        );
    }
    for audience in [json!([AUDIENCE]), json!([]), json!(null), json!(1)] {
        assert_eq!(verify_changed(|claims| claims["aud"] = audience), Err(LaunchError::Malformed));
    }
}

#[test]
fn times_are_judged_by_the_clock_handed_in() {
    let key = key();
    let token = sign_launch(&key, &claims()).unwrap();
    let at = |now: Timestamp| {
        verify_launch(&token, &key.verifying_key(), AUDIENCE, now, MAX_AGE).map(|_| ())
    };
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(NOW.plus_seconds(MAX_AGE - 1)), Ok(()));
    assert_eq!(at(NOW.plus_seconds(MAX_AGE)), Err(LaunchError::Expired));
    assert_eq!(at(NOW.plus_seconds(86_400)), Err(LaunchError::Expired));
    assert_eq!(at(NOW.plus_seconds(-30)), Ok(()));
    assert_eq!(at(NOW.plus_seconds(-31)), Err(LaunchError::FromTheFuture));
    assert_eq!(at(Timestamp::from_seconds(i64::MIN)), Err(LaunchError::FromTheFuture));
    assert_eq!(at(Timestamp::from_seconds(i64::MAX)), Err(LaunchError::Expired));
}

#[test]
fn lifetimes_are_bounded() {
    let with = |iat: i64, exp: i64| {
        verify_changed(|claims| {
            claims["iat"] = json!(iat);
            claims["exp"] = json!(exp);
        })
        .map(|_| ())
    };
    let now = NOW.seconds();
    assert_eq!(with(now, now + 60), Ok(()));
    assert_eq!(with(now, now + 61), Err(LaunchError::WrongLifetime));
    assert_eq!(with(now + 5, now + 5), Err(LaunchError::WrongLifetime));
    assert_eq!(with(now + 5, now + 1), Err(LaunchError::WrongLifetime));
    assert_eq!(with(now - 60, now), Err(LaunchError::Expired));
    assert_eq!(with(now - 61, now + 1), Err(LaunchError::Expired));
    assert_eq!(with(i64::MIN, i64::MAX), Err(LaunchError::Expired));
    assert_eq!(with(now, i64::MAX), Err(LaunchError::WrongLifetime));
    assert_eq!(with(i64::MAX, i64::MAX), Err(LaunchError::FromTheFuture));
    assert_eq!(with(now, i64::MIN), Err(LaunchError::Expired));
}

#[test]
fn a_launch_that_does_not_hold_yet_is_refused() {
    let from =
        |nbf: serde_json::Value| verify_changed(|claims| claims["nbf"] = nbf.clone()).map(|_| ());
    let now = NOW.seconds();
    for good in [i64::MIN, 0, now, now + MAX_CLOCK_AHEAD_SECONDS] {
        assert_eq!(from(json!(good)), Ok(()), "{good}");
    }
    for early in [now + MAX_CLOCK_AHEAD_SECONDS + 1, i64::MAX] {
        assert_eq!(from(json!(early)), Err(LaunchError::FromTheFuture), "{early}");
    }
    for odd in [json!(1.5), json!("0"), json!(null)] {
        assert_eq!(from(odd.clone()), Err(LaunchError::Malformed), "{odd}");
    }
}

#[test]
fn a_time_that_is_no_whole_number_is_refused() {
    for time in [json!(1.5), json!("1780000000"), json!(1e300), json!(null), json!(u64::MAX)] {
        for claim in ["iat", "exp"] {
            assert_eq!(
                verify_changed(|claims| claims[claim] = time.clone()),
                Err(LaunchError::Malformed),
                "{claim} {time}"
            );
        }
    }
}

#[test]
fn a_missing_or_unknown_claim_is_refused() {
    for claim in ["iss", "aud", "sub", "patient", "iat", "exp", "jti"] {
        assert_eq!(
            verify_changed(|claims| {
                claims.as_object_mut().unwrap().remove(claim);
            }),
            Err(LaunchError::Malformed),
            "{claim}"
        );
    }
    for claim in ["id", "name", "birth_date", "mrn"] {
        assert_eq!(
            verify_changed(|claims| {
                claims["patient"].as_object_mut().unwrap().remove(claim);
            }),
            Err(LaunchError::Malformed),
            "{claim}"
        );
    }
    assert_eq!(
        verify_changed(|claims| claims["iss"] = json!("not-an-id")),
        Err(LaunchError::Malformed)
    );
}

#[test]
fn every_text_is_bounded_and_plain() {
    let refused: [(&str, &str, Vec<String>); 6] = [
        (
            "/sub",
            "sub",
            vec![
                String::new(),
                "a".repeat(65),
                "dr test".into(),
                "dr\n".into(),
                "dr\0".into(),
                "d\u{e9}".into(),
            ],
        ),
        ("/patient/id", "patient.id", vec![String::new(), "p".repeat(65), "p 1".into()]),
        (
            "/patient/name",
            "patient.name",
            vec![
                String::new(),
                " ".into(),
                "n".repeat(129),
                "A\nB".into(),
                "A\tB".into(),
                "A\0B".into(),
                "A\u{202e}B".into(),
                "A\u{2066}B".into(),
                "A\u{85}B".into(),
                "A\u{2028}B".into(),
                "A\u{200c}B".into(),
                "A\u{e000}B".into(),
                "A\u{fffd}B".into(),
                "\u{301}A".into(),
                "A ".into(),
            ],
        ),
        (
            "/patient/birth_date",
            "patient.birth_date",
            vec![
                String::new(),
                "1972-2-29".into(),
                "1971-02-29".into(),
                "1900-02-29".into(),
                "1972-04-31".into(),
                "1972-13-01".into(),
                "1972-00-10".into(),
                "1972-01-00".into(),
                "1972/01/01".into(),
                "1972-01-01T".into(),
                "+972-01-01".into(),
                "72-01-01".into(),
                "\u{e9}\u{e9}-01-01\u{e9}".into(),
            ],
        ),
        ("/patient/mrn", "patient.mrn", vec![String::new(), "m".repeat(33), "1\r".into()]),
        (
            "/jti",
            "jti",
            vec![
                String::new(),
                "A".repeat(21),
                "A".repeat(65),
                "A".repeat(66),
                format!("{}=", "A".repeat(22)),
                "+".repeat(24),
                " ".repeat(24),
            ],
        ),
    ];
    for (pointer, claim, texts) in refused {
        for text in texts {
            let result = verify_changed(|claims| {
                *claims.pointer_mut(pointer).unwrap() = json!(text);
            });
            assert_eq!(result, Err(LaunchError::BadClaim(claim)), "{pointer} {text:?}");
        }
    }
    let accepted = [
        ("/sub", "a".repeat(64)),
        ("/patient/id", "p".repeat(64)),
        ("/patient/name", "\u{e9}".repeat(128)),
        // A Persian name, with the joiner that it is written with.
        ("/patient/name", "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}".to_owned()),
        ("/patient/birth_date", "2000-02-29".to_owned()),
        ("/patient/mrn", "m".repeat(32)),
        ("/jti", "A".repeat(64)),
        ("/jti", "AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
    ];
    for (pointer, text) in accepted {
        let result = verify_changed(|claims| *claims.pointer_mut(pointer).unwrap() = json!(text));
        assert!(result.is_ok(), "{pointer} {text:?}");
    }
}

#[test]
fn nothing_is_signed_that_would_be_refused() {
    let bad = LaunchClaims { sub: "two words".to_owned(), ..claims() };
    assert_eq!(sign_launch(&key(), &bad), Err(LaunchError::BadClaim("sub")));
    let bad = LaunchClaims { jti: "short".to_owned(), ..claims() };
    assert_eq!(sign_launch(&key(), &bad), Err(LaunchError::BadClaim("jti")));
    let bad = LaunchClaims { aud: "a".repeat(4_000), ..claims() };
    assert_eq!(sign_launch(&key(), &bad), Err(LaunchError::TooLong));
}

#[test]
fn the_largest_claims_still_fit() {
    let key = key();
    let mut largest = claims();
    largest.sub = "a".repeat(64);
    largest.patient.id = "p".repeat(64);
    largest.patient.name = "\u{1f9ea}".repeat(128);
    largest.patient.mrn = "m".repeat(32);
    largest.jti = "A".repeat(64);
    assert_eq!(verify(&key, &sign_launch(&key, &largest).unwrap()), Ok(largest));
}
