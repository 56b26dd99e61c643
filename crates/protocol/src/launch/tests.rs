mod claims;

use super::*;

use countersign_crypto::{HmacAlgorithm, HmacKey, SystemRng};
use proptest::prelude::*;
use serde_json::{Value, json};

const AUDIENCE: &str = "http://127.0.0.1:8480";
const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);
const MAX_AGE: i64 = 60;

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn claims() -> LaunchClaims {
    LaunchClaims {
        iss: EhrId::from_slice(&[7; 16]).unwrap(),
        aud: AUDIENCE.to_owned(),
        sub: "dr.test".to_owned(),
        patient: LaunchPatient {
            id: "p-1".to_owned(),
            name: "Zoë Ünreal-Sample".to_owned(),
            birth_date: "1972-02-29".to_owned(),
            mrn: "TEST-1".to_owned(),
        },
        iat: NOW.seconds(),
        exp: NOW.seconds() + MAX_AGE,
        nbf: None,
        jti: LaunchClaims::random_jti(&mut SystemRng).unwrap(),
    }
}

/// A token of any header and payload, rightly signed.
fn forge(key: &SigningKey, header: &Value, payload: &Value) -> String {
    let message = unsigned(header, payload);
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn unsigned(header: &Value, payload: &Value) -> String {
    let [header, payload] =
        [header, payload].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    format!("{header}.{payload}")
}

fn es256() -> Value {
    json!({ "alg": "ES256", "typ": "JWT" })
}

fn verify(key: &SigningKey, token: &str) -> Result<LaunchClaims, LaunchError> {
    verify_launch(token, &key.verifying_key(), AUDIENCE, NOW, MAX_AGE)
}

/// Changes the payload, signs it rightly and verifies.
fn verify_changed(change: impl FnOnce(&mut Value)) -> Result<LaunchClaims, LaunchError> {
    let key = key();
    let mut payload = serde_json::to_value(claims()).unwrap();
    change(&mut payload);
    verify(&key, &forge(&key, &es256(), &payload))
}

#[test]
fn a_launch_goes_round() {
    let key = key();
    let claims = claims();
    let token = sign_launch(&key, &claims).unwrap();
    assert_eq!(peek_issuer(&token), Ok(claims.iss));
    assert_eq!(verify(&key, &token), Ok(claims));
}

#[test]
fn two_launches_have_different_ids() {
    assert_ne!(claims().jti, claims().jti);
    assert_eq!(claims().jti.len(), 43);
}

#[test]
fn a_changed_character_anywhere_is_refused() {
    let key = key();
    let token = sign_launch(&key, &claims()).unwrap();
    for at in 0..token.len() {
        for other in ["A", "Q", ".", "=", "\u{e9}", ""] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            if changed != token {
                assert!(verify(&key, &changed).is_err(), "{at} {other:?}");
            }
        }
    }
}

#[test]
fn a_changed_part_is_refused_by_its_signature() {
    let key = key();
    let one = sign_launch(&key, &claims()).unwrap();
    let two = sign_launch(&key, &LaunchClaims { sub: "dr.other".to_owned(), ..claims() }).unwrap();
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (one, two) = (parts(&one), parts(&two));
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ES256"}"#);
    for mixed in [
        format!("{header}.{}.{}", one[1], one[2]),
        format!("{}.{}.{}", one[0], two[1], one[2]),
        format!("{}.{}.{}", one[0], one[1], two[2]),
        format!("{}.{}.", one[0], one[1]),
    ] {
        assert_eq!(verify(&key, &mixed), Err(LaunchError::BadSignature));
    }
}

#[test]
fn the_key_of_another_ehr_is_refused() {
    let token = sign_launch(&key(), &claims()).unwrap();
    assert_eq!(verify(&key(), &token), Err(LaunchError::BadSignature));
}

#[test]
fn a_key_off_the_curve_is_refused() {
    let token = sign_launch(&key(), &claims()).unwrap();
    let mut point = [1; 65];
    point[0] = 4;
    let off_curve = VerifyingKey::from_point(&point).unwrap();
    assert_eq!(
        verify_launch(&token, &off_curve, AUDIENCE, NOW, MAX_AGE),
        Err(LaunchError::BadSignature)
    );
}

#[test]
fn no_algorithm_is_refused() {
    let key = key();
    let payload = serde_json::to_value(claims()).unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": alg, "typ": "JWT" });
        let message = unsigned(&header, &payload);
        assert_eq!(verify(&key, &format!("{message}.")), Err(LaunchError::WrongAlgorithm));
        assert_eq!(verify(&key, &forge(&key, &header, &payload)), Err(LaunchError::WrongAlgorithm));
        assert_eq!(verify(&key, &message), Err(LaunchError::WrongAlgorithm));
    }
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let key = key();
    let payload = serde_json::to_value(claims()).unwrap();
    let message = unsigned(&json!({ "alg": "HS256", "typ": "JWT" }), &payload);
    let public = key.verifying_key();
    let tag = HmacKey::new(HmacAlgorithm::Sha256, public.point()).tag(message.as_bytes());
    let token = format!("{message}.{}", BASE64URL_NOPAD.encode(tag.as_ref()));
    assert_eq!(verify(&key, &token), Err(LaunchError::WrongAlgorithm));
}

#[test]
fn other_algorithms_are_refused() {
    let key = key();
    let payload = serde_json::to_value(claims()).unwrap();
    for alg in ["ES384", "RS256", "PS256", "EdDSA", "HS512", "es256", "ES256K"] {
        let token = forge(&key, &json!({ "alg": alg }), &payload);
        assert_eq!(verify(&key, &token), Err(LaunchError::WrongAlgorithm), "{alg}");
    }
}

#[test]
fn the_header_holds_nothing_that_we_would_skip() {
    let key = key();
    let payload = serde_json::to_value(claims()).unwrap();
    let with = |header: Value| verify(&key, &forge(&key, &header, &payload));
    assert!(with(json!({ "alg": "ES256" })).is_ok());
    assert!(with(json!({ "alg": "ES256", "typ": "JWT", "kid": "1" })).is_ok());
    for typ in ["jwt", "at+jwt", "JOSE", ""] {
        assert_eq!(
            with(json!({ "alg": "ES256", "typ": typ })),
            Err(LaunchError::WrongType),
            "{typ}"
        );
    }
    for member in ["crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc", "cty", "other"] {
        assert_eq!(
            with(json!({ "alg": "ES256", member: "x" })),
            Err(LaunchError::Malformed),
            "{member}"
        );
    }
    for header in [json!({}), json!([]), json!("ES256"), json!({ "alg": 1 }), json!(null)] {
        assert_eq!(with(header), Err(LaunchError::Malformed));
    }
}

#[test]
fn a_member_written_twice_is_refused() {
    let key = key();
    let payload = serde_json::to_string(&claims()).unwrap();
    let twice = payload.replacen('{', r#"{"sub":"dr.other","#, 1);
    let header = BASE64URL_NOPAD.encode(HEADER.as_bytes());
    let message = format!("{header}.{}", BASE64URL_NOPAD.encode(twice.as_bytes()));
    let signature = BASE64URL_NOPAD.encode(&key.sign(message.as_bytes()).unwrap());
    let token = format!("{message}.{signature}");
    assert_eq!(verify(&key, &token), Err(LaunchError::Malformed));
}

#[test]
fn an_oversized_token_is_refused_unread() {
    let key = key();
    let payload = json!({ "iss": claims().iss.to_string(), "padding": "x".repeat(4_000) });
    let token = forge(&key, &es256(), &payload);
    assert_eq!(verify(&key, &token), Err(LaunchError::TooLong));
    assert_eq!(peek_issuer(&token), Err(LaunchError::TooLong));
}

#[test]
fn garbage_is_malformed() {
    let key = key();
    let deep = format!(
        "{}.{}.x",
        BASE64URL_NOPAD.encode(HEADER.as_bytes()),
        BASE64URL_NOPAD.encode("[".repeat(2_500).as_bytes())
    );
    for token in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "\u{1f9ea}", "\0", &deep] {
        assert!(verify(&key, token).is_err(), "{token:?}");
        assert_eq!(peek_issuer(token), Err(LaunchError::Malformed), "{token:?}");
    }
    let token = sign_launch(&key, &claims()).unwrap();
    for wrapped in
        [format!(" {token}"), format!("{token}\n"), format!("{token}."), format!(".{token}")]
    {
        assert!(verify(&key, &wrapped).is_err(), "{wrapped:?}");
    }
}

#[test]
fn codes_differ_and_debug_shows_no_patient() {
    let all = [
        LaunchError::TooLong,
        LaunchError::Malformed,
        LaunchError::WrongAlgorithm,
        LaunchError::WrongType,
        LaunchError::BadSignature,
        LaunchError::WrongAudience,
        LaunchError::Expired,
        LaunchError::FromTheFuture,
        LaunchError::WrongLifetime,
        LaunchError::BadClaim("sub"),
        LaunchError::NotSigned,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(LaunchError::code).collect();
    assert_eq!(codes.len(), all.len());
    assert!(codes.iter().all(|code| code.starts_with("launch_")));
    assert!(!format!("{:?}", claims()).contains("Sample"));
}

proptest! {
    #[test]
    fn any_text_is_refused_without_a_panic(text in ".{0,300}") {
        let key = VerifyingKey::from_point(&[4; 65]).unwrap();
        prop_assert!(verify_launch(&text, &key, AUDIENCE, NOW, MAX_AGE).is_err());
        prop_assert!(peek_issuer(&text).is_err());
    }

    #[test]
    fn any_three_parts_are_refused_without_a_panic(
        header in prop::collection::vec(any::<u8>(), 0..3),
        payload in "\\PC{0,200}",
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        // An empty draw stands for a right header, so that the rest is reached too.
        let header = if header.is_empty() { HEADER.as_bytes() } else { &header };
        let token = [header, payload.as_bytes(), &signature]
            .map(|part| BASE64URL_NOPAD.encode(part))
            .join(".");
        let key = VerifyingKey::from_point(&[4; 65]).unwrap();
        prop_assert!(verify_launch(&token, &key, AUDIENCE, NOW, MAX_AGE).is_err());
        prop_assert!(peek_issuer(&token).is_err());
    }

    #[test]
    fn any_times_are_judged_without_a_panic(
        iat: i64, exp: i64, now: i64, max_age in 0..i64::MAX,
    ) {
        let claims = LaunchClaims { iat, exp, ..claims() };
        let now = Timestamp::from_micros(now);
        if check_times(&claims, now, max_age).is_ok() {
            prop_assert!(Timestamp::from_seconds(exp) > now);
            prop_assert!(exp > iat && exp.saturating_sub(iat) <= max_age);
        }
    }
}
