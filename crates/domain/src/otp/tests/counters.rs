//! Tests of event-based tokens.

use super::*;

#[test]
fn counters_are_accepted_ten_ahead_and_those_behind_are_used() {
    // The key of RFC 4226, appendix D, has ten different codes there.
    let seed = repeated(20);
    for counter in 0..=9 {
        let first = press(&seed, counter, None);
        assert_eq!(first, Found::Fresh { step: Step(counter), drift: Drift::default() });
    }
    for offset in -15..=15 {
        let found = press(&seed, 100 + offset, Some(100));
        let step = Step(100 + offset);
        match offset {
            1..=LOOK_AHEAD => {
                assert_eq!(found, Found::Fresh { step, drift: Drift::default() });
            }
            -9..=0 => assert_eq!(found, Found::Used { step }),
            _ => assert_eq!(found, Found::Nothing, "{offset}"),
        }
    }
}

#[test]
fn two_codes_bring_a_counter_into_step() {
    let (seed, params) = (repeated(20), event_based());
    let pair = |first: i64, second: i64, last: i64| {
        let first = code_at(&seed, &params, first);
        let second = code_at(&seed, &params, second);
        let now = Timestamp::from_seconds(T0);
        find_pair(&seed, &params, &first, &second, Some(Step(last)), now)
    };
    for first in [1, 2, 60, 119] {
        assert_eq!(pair(first, first + 1, 0), Some((Step(first + 1), Drift::default())));
    }
    assert_eq!(pair(120, 121, 0), None, "too far");
    assert_eq!(pair(5, 7, 0), None, "not consecutive");
    assert_eq!(pair(7, 6, 0), None, "wrong order");
    assert_eq!(pair(5, 6, 5), None, "the first was used");
    assert_eq!(pair(5, 6, 50), None, "both are old");
}

#[test]
fn a_code_of_a_counter_has_no_age() {
    let (seed, params) = (repeated(20), event_based());
    let now = Timestamp::from_seconds(T0);
    for counter in [0, 3, 40] {
        let code = code_at(&seed, &params, counter);
        assert_eq!(late_step(&seed, &params, &code, Drift::default(), now), None);
    }
}

#[test]
fn twin_digits_of_two_counters_are_good_once() {
    let params = event_based();
    let (seed, twin) = (0..=u32::MAX)
        .find_map(|n| {
            let mut bytes = [9u8; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            let seed = seed(&bytes);
            let first = passcode(&seed, &params, Step(1));
            let twin = (2..=LOOK_AHEAD).find(|c| passcode(&seed, &params, Step(*c)) == first);
            twin.map(|twin| (seed, twin))
        })
        .unwrap();
    let found = press(&seed, twin, Some(0));
    assert!(matches!(found, Found::Fresh { step: Step(1), .. }), "the token stays in step");
    for last in 1..=LOOK_BACK {
        assert_eq!(press(&seed, 1, Some(last)), Found::Used { step: Step(1) }, "{last}");
    }
}

#[test]
fn counters_agree_with_oathtool() {
    if Command::new("oathtool").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "oathtool is missing: make setup-test installs it"
        );
        return;
    }
    let bytes: Vec<u8> = (0..20u8).map(|b| b.wrapping_mul(73).wrapping_add(5)).collect();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    for digits in [6u8, 7, 8] {
        let params = OtpParams::event_based(HmacAlgorithm::Sha1, digits).unwrap();
        for counter in [0, 1, 255, 70_000, 5_000_000_000i64] {
            let out = Command::new("oathtool")
                .args(["--hotp", &format!("--digits={digits}"), "-c", &counter.to_string(), &hex])
                .output()
                .unwrap();
            let theirs = String::from_utf8(out.stdout).unwrap();
            assert_eq!(passcode(&seed(&bytes), &params, Step(counter)), theirs.trim());
        }
    }
}
