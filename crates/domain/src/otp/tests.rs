//! Tests of `otp`.

mod counters;

use super::*;
use countersign_crypto::SecretBytes;
use proptest::prelude::*;
use std::process::Command;

const T0: i64 = 1_700_000_010;

fn seed(bytes: &[u8]) -> TokenSeed {
    TokenSeed::new(SecretBytes::new(bytes.to_vec())).unwrap()
}

fn repeated(length: usize) -> TokenSeed {
    seed(&b"1234567890".iter().copied().cycle().take(length).collect::<Vec<_>>())
}

fn params(algorithm: HmacAlgorithm, digits: u8) -> OtpParams {
    OtpParams::new(algorithm, digits, 30).unwrap()
}

/// Shows: N-03
#[test]
fn rfc_4226_appendix_d() {
    let expected = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for (counter, code) in (0..).zip(expected) {
        let value = hotp(&repeated(20), HmacAlgorithm::Sha1, 6, counter);
        assert_eq!(&value[..6], code.as_bytes());
    }
}

/// Shows: N-03
#[test]
fn rfc_6238_appendix_b() {
    let rows = [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ];
    for (time, sha1, sha256, sha512) in rows {
        let now = Timestamp::from_seconds(time);
        for (algorithm, length, code) in [
            (HmacAlgorithm::Sha1, 20, sha1),
            (HmacAlgorithm::Sha256, 32, sha256),
            (HmacAlgorithm::Sha512, 64, sha512),
        ] {
            let params = params(algorithm, 8);
            assert_eq!(passcode(&repeated(length), &params, params.step_at(now)), code);
        }
    }
}

/// Shows: N-01, N-02
#[test]
fn short_seeds_and_odd_parameters_are_refused() {
    assert_eq!(TokenSeed::new(SecretBytes::new(vec![1; 13])).unwrap_err(), OtpError::Seed);
    assert_eq!(TokenSeed::new(SecretBytes::new(vec![1; 10])).unwrap_err(), OtpError::Seed);
    assert!(TokenSeed::new(SecretBytes::new(vec![1; 14])).is_ok());
    assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 5, 30), Err(OtpError::Digits));
    assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 9, 30), Err(OtpError::Digits));
    assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 6, 0), Err(OtpError::Period));
    assert_eq!(OtpParams::new(HmacAlgorithm::Sha1, 6, 121), Err(OtpError::Period));
    assert_eq!(OtpParams::algorithm_from_code("MD5"), Err(OtpError::Algorithm));
}

#[test]
fn passcodes_have_one_form() {
    for text in ["123456", "123 456", "123-456", " 123456 "] {
        assert_eq!(text.parse::<OneTimePasscode>().unwrap().as_bytes(), b"123456");
    }
    for text in
        ["", "12345", "123456789", "12345a", "１２３４５６", "١٢٣٤٥٦", "123456\u{200b}", "123\t456"]
    {
        assert_eq!(text.parse::<OneTimePasscode>().unwrap_err(), OtpError::Passcode, "{text:?}");
    }
    assert!("1".repeat(1 << 20).parse::<OneTimePasscode>().is_err());
    assert_eq!(format!("{:?}", "123456".parse::<OneTimePasscode>().unwrap()), "OneTimePasscode");
}

fn code_at(seed: &TokenSeed, params: &OtpParams, step: i64) -> OneTimePasscode {
    passcode(seed, params, Step(step)).parse().unwrap()
}

/// Shows: N-09
#[test]
fn one_step_either_side_and_no_further() {
    let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
    let now = Timestamp::from_seconds(T0);
    let here = params.step_at(now).0;
    for offset in -3..=3 {
        let found = find(
            &seed,
            &params,
            &code_at(&seed, &params, here + offset),
            None,
            Drift::default(),
            now,
        );
        if offset.abs() <= 1 {
            assert_eq!(
                found,
                Found::Fresh { step: Step(here + offset), drift: Drift::from_parts(0, offset) }
            );
        } else {
            assert_eq!(found, Found::Nothing, "{offset}");
        }
    }
}

#[test]
fn an_accepted_step_and_all_older_ones_are_used() {
    let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
    let now = Timestamp::from_seconds(T0);
    let here = params.step_at(now).0;
    for last in [here, here + 1] {
        for step in here - 1..=here {
            let found = find(
                &seed,
                &params,
                &code_at(&seed, &params, step),
                Some(Step(last)),
                Drift::default(),
                now,
            );
            assert_eq!(found, Found::Used { step: Step(step) });
        }
    }
    let next = find(
        &seed,
        &params,
        &code_at(&seed, &params, here + 1),
        Some(Step(here)),
        Drift::default(),
        now,
    );
    assert!(matches!(next, Found::Fresh { .. }));
}

/// Shows: N-09
#[test]
fn drift_is_learned_up_to_the_cap_and_no_further() {
    let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
    let mut drift = Drift::default();
    let mut last = None;
    for minute in 0..20 {
        let now = Timestamp::from_seconds(T0 + minute * 60);
        let here = params.step_at(now).0;
        // A clock that runs away by one step at each use.
        let token_step = here + minute + 1;
        match find(&seed, &params, &code_at(&seed, &params, token_step), last, drift, now) {
            Found::Fresh { step, drift: learned } => {
                assert!(minute < DRIFT_CAP_STEPS + WINDOW_STEPS);
                assert!(learned.current() <= DRIFT_CAP_STEPS);
                (last, drift) = (Some(step), learned);
            }
            other => {
                assert_eq!(other, Found::Nothing);
                assert!(minute + 1 > DRIFT_CAP_STEPS + WINDOW_STEPS, "{minute}");
            }
        }
    }
    assert_eq!(drift.current(), DRIFT_CAP_STEPS);
}

#[test]
fn two_consecutive_codes_resynchronize_and_lone_or_used_ones_do_not() {
    let (seed, params) = (repeated(32), params(HmacAlgorithm::Sha256, 6));
    let now = Timestamp::from_seconds(T0);
    let here = params.step_at(now).0;
    let pair = |first: i64, second: i64, last: Option<i64>| {
        find_pair(
            &seed,
            &params,
            &code_at(&seed, &params, first),
            &code_at(&seed, &params, second),
            last.map(Step),
            now,
        )
    };
    assert_eq!(pair(here + 60, here + 61, None), Some((Step(here + 61), Drift::fixed(61))));
    assert_eq!(pair(here - 119, here - 118, None), Some((Step(here - 118), Drift::fixed(-118))));
    assert_eq!(pair(here + 60, here + 62, None), None, "not consecutive");
    assert_eq!(pair(here + 61, here + 60, None), None, "wrong order");
    assert_eq!(pair(here + 120, here + 121, None), None, "too far");
    assert_eq!(pair(here - 10, here - 9, Some(here - 10)), None, "the first was used");
    assert_eq!(pair(here - 10, here - 9, Some(here)), None, "both are old");
    assert_eq!(
        pair(here - 10, here - 9, Some(here - 11)),
        Some((Step(here - 9), Drift::fixed(-9)))
    );
}

#[test]
fn a_late_code_is_named_and_a_future_one_never() {
    let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
    let now = Timestamp::from_seconds(T0);
    let here = params.step_at(now).0;
    let late = |step: i64| {
        late_step(&seed, &params, &code_at(&seed, &params, step), Drift::default(), now)
    };
    assert_eq!(late(here - 8), Some(Late { step: Step(here - 8), age_seconds: 240 }));
    for ahead in 2..=RESYNC_STEPS {
        assert_eq!(late(here + ahead), None);
    }
}

/// A token with the same digits in two steps of one window, found by searching seeds.
fn token_with_twin_steps(params: &OtpParams, here: i64) -> TokenSeed {
    (0..=u32::MAX)
        .map(|n| {
            let mut bytes = [7u8; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            seed(&bytes)
        })
        .find(|seed| passcode(seed, params, Step(here)) == passcode(seed, params, Step(here + 1)))
        .unwrap()
}

/// Shows: N-08
#[test]
fn twin_digits_consume_the_later_step() {
    let params = params(HmacAlgorithm::Sha1, 6);
    let now = Timestamp::from_seconds(T0);
    let here = params.step_at(now).0;
    let seed = token_with_twin_steps(&params, here);
    let code = code_at(&seed, &params, here);
    let found = find(&seed, &params, &code, None, Drift::default(), now);
    assert!(matches!(found, Found::Fresh { step, .. } if step == Step(here + 1)));
    let again = find(&seed, &params, &code, Some(Step(here + 1)), Drift::default(), now);
    assert_eq!(again, Found::Used { step: Step(here + 1) });
}

/// Shows: N-03
#[test]
fn agrees_with_oathtool() {
    if Command::new("oathtool").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "oathtool is missing: make setup-test installs it"
        );
        return;
    }
    let bytes: Vec<u8> = (0..32u8).map(|b| b.wrapping_mul(37).wrapping_add(11)).collect();
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    for (algorithm, word) in [
        (HmacAlgorithm::Sha1, "sha1"),
        (HmacAlgorithm::Sha256, "sha256"),
        (HmacAlgorithm::Sha512, "sha512"),
    ] {
        for digits in [6u8, 7, 8] {
            for period in [30u16, 60] {
                let params = OtpParams::new(algorithm, digits, period).unwrap();
                for time in [0, 1_700_000_000, 4_000_000_000i64] {
                    let out = Command::new("oathtool")
                        .args([
                            &format!("--totp={word}"),
                            &format!("--digits={digits}"),
                            &format!("--time-step-size={period}s"),
                            &format!("--now=@{time}"),
                            &hex,
                        ])
                        .output()
                        .unwrap();
                    let theirs = String::from_utf8(out.stdout).unwrap();
                    let step = params.step_at(Timestamp::from_seconds(time));
                    assert_eq!(
                        passcode(&seed(&bytes), &params, step),
                        theirs.trim(),
                        "{word} {digits} {period}"
                    );
                }
            }
        }
    }
}

fn event_based() -> OtpParams {
    OtpParams::event_based(HmacAlgorithm::Sha1, 6).unwrap()
}

fn press(seed: &TokenSeed, counter: i64, last: Option<i64>) -> Found {
    let code = code_at(seed, &event_based(), counter);
    let now = Timestamp::from_seconds(T0);
    find(seed, &event_based(), &code, last.map(Step), Drift::default(), now)
}

#[test]
fn periods_of_rows() {
    let time = OtpParams::from_row(HmacAlgorithm::Sha1, 6, 30).unwrap();
    assert_eq!(time, params(HmacAlgorithm::Sha1, 6));
    assert!(!time.is_event_based());
    let counter = OtpParams::from_row(HmacAlgorithm::Sha1, 6, 0).unwrap();
    assert_eq!((counter, counter.period()), (event_based(), 0));
    assert_eq!(counter.moving_factor(), MovingFactor::Counter);
    let now = Timestamp::from_seconds(T0);
    assert_eq!((counter.step_at(now), counter.seconds_left(now)), (Step(0), 0));
    assert_eq!(OtpParams::event_based(HmacAlgorithm::Sha1, 9), Err(OtpError::Digits));
}

proptest! {
    #[test]
    fn no_counter_and_no_digits_are_accepted_twice(presses in proptest::collection::vec(-12i64..=14, 1..80), n in any::<u32>()) {
        let mut bytes = [3u8; 20];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let seed = seed(&bytes);
        let mut last = 0;
        let mut accepted = std::collections::HashSet::new();
        for offset in presses {
            let counter = (last + offset).max(0);
            if let Found::Fresh { step: Step(step), drift } = press(&seed, counter, Some(last)) {
                prop_assert!(step > last && step <= last + LOOK_AHEAD && accepted.insert(step));
                prop_assert_eq!(drift, Drift::default());
                last = step;
                let again = press(&seed, counter, Some(last));
                let used = matches!(again, Found::Used { .. });
                prop_assert!(used);
            }
        }
    }

    /// Shows: N-03
    #[test]
    fn agrees_with_totp_rs(bytes in proptest::collection::vec(any::<u8>(), 16..64), time in 0i64..10_000_000_000, digits in 6u8..=8) {
        for (ours, theirs) in [
            (HmacAlgorithm::Sha1, totp_rs::Algorithm::SHA1),
            (HmacAlgorithm::Sha256, totp_rs::Algorithm::SHA256),
            (HmacAlgorithm::Sha512, totp_rs::Algorithm::SHA512),
        ] {
            let params = params(ours, digits);
            let code = passcode(&seed(&bytes), &params, params.step_at(Timestamp::from_seconds(time)));
            let oracle = oracle(theirs, digits, &bytes, u64::try_from(time).unwrap());
            prop_assert_eq!(code, oracle);
        }
    }

    /// Shows: N-08
    #[test]
    fn no_step_is_ever_accepted_twice(offsets in proptest::collection::vec((0i64..40, -2i64..=2), 1..60)) {
        let (seed, params) = (repeated(20), params(HmacAlgorithm::Sha1, 6));
        let mut time = T0;
        let (mut last, mut drift) = (None, Drift::default());
        let mut accepted = std::collections::HashSet::new();
        for (wait, offset) in offsets {
            time += wait;
            let now = Timestamp::from_seconds(time);
            let step = params.step_at(now).0 + offset;
            let code = code_at(&seed, &params, step);
            if let Found::Fresh { step, drift: learned } = find(&seed, &params, &code, last, drift, now) {
                prop_assert!(accepted.insert(step));
                prop_assert!(last.is_none_or(|l| step > l));
                (last, drift) = (Some(step), learned);
            }
        }
    }

    #[test]
    fn any_text_is_answered(text in ".{0,40}") {
        if let Ok(code) = text.parse::<OneTimePasscode>() {
            prop_assert!((6..=8).contains(&code.as_bytes().len()));
        }
    }
}

fn oracle(algorithm: totp_rs::Algorithm, digits: u8, bytes: &[u8], time: u64) -> String {
    totp_rs::Builder::new()
        .with_algorithm(algorithm)
        .with_digits(digits)
        .with_step_duration(30)
        .with_secret(totp_rs::Secret::from(bytes))
        .build_noncompliant()
        .generate(time)
        .to_string()
}
