use super::*;
use countersign_crypto::{AgreementKey, SystemRng};
use countersign_domain::TokenKind;
use proptest::prelude::*;
use serde_json::{Value, json};

fn key() -> AgreementPublicKey {
    AgreementKey::generate().unwrap().public_key().clone()
}

fn request() -> Value {
    json!({
        "version": 1, "device_key": encode(key().as_bytes()), "algorithm": "SHA256",
        "family": "countersign", "device_class": "phone", "device_evidence": "checked",
        "pairing_code": "ijbe-eqsc-ijbe-eqsc-ijbe-eqsc-ii",
    })
}

fn read(value: &Value) -> Result<ProvisionRequest, RequestError> {
    ProvisionRequest::from_json(value.to_string().as_bytes())
}

fn with(name: &str, value: Value) -> RequestError {
    let mut body = request();
    body[name] = value;
    read(&body).unwrap_err()
}

#[test]
fn what_is_optional_has_its_default() {
    let body = json!({ "version": 1, "device_key": encode(key().as_bytes()) });
    let read = read(&body).unwrap();
    assert_eq!(read.algorithm, SeedAlgorithm::Sha256);
    assert_eq!(read.family.manufacturer(), Manufacturer::Countersign);
    assert_eq!(read.device_class, DeviceClass::Unknown);
    assert_eq!(read.device_evidence, DeviceEvidence::Stated);
    assert!(read.pairing_code.is_none());
    assert_eq!(format!("{read:?}"), "ProvisionRequest");
}

#[test]
fn each_fault_has_its_code() {
    assert!(read(&request()).is_ok());
    let off_curve = {
        let mut bytes = *key().as_bytes();
        bytes[64] ^= 1;
        encode(&bytes)
    };
    for (name, value, error, code) in [
        ("version", json!(2), RequestError::Version, "version_unknown"),
        ("version", json!("1"), RequestError::Body, "body_malformed"),
        ("more", json!(1), RequestError::Body, "body_malformed"),
        ("device_key", json!(off_curve), RequestError::Key, "key_malformed"),
        ("device_key", json!(""), RequestError::Key, "key_malformed"),
        ("device_key", json!(5), RequestError::Body, "body_malformed"),
        ("algorithm", json!("SHA512"), RequestError::Algorithm, "algorithm_unknown"),
        ("algorithm", json!("sha256"), RequestError::Algorithm, "algorithm_unknown"),
        ("family", json!("rsa"), RequestError::Family, "family_unknown"),
        ("device_class", json!("desktop"), RequestError::DeviceClass, "device_class_unknown"),
        ("device_evidence", json!(""), RequestError::DeviceClass, "device_class_unknown"),
        ("device_evidence", json!("attested"), RequestError::DeviceClass, "device_class_unknown"),
        ("pairing_code", json!("ABC"), RequestError::Pairing, "pairing_malformed"),
    ] {
        assert_eq!((with(name, value), error.code()), (error, code), "{name}");
    }
    let mut later = request();
    later["version"] = json!(2);
    later["more"] = json!({});
    assert_eq!(read(&later).unwrap_err(), RequestError::Version);
    let twice =
        format!(r#"{{"version":1,"version":1,"device_key":"{}"}}"#, encode(key().as_bytes()));
    assert_eq!(ProvisionRequest::from_json(twice.as_bytes()).unwrap_err(), RequestError::Body);
    let padded = format!("{}=", encode(key().as_bytes()));
    assert_eq!(with("device_key", json!(padded)), RequestError::Key);
    let long = [b' '; BODY_MAX_BYTES + 1];
    assert_eq!(ProvisionRequest::from_json(&long).unwrap_err(), RequestError::TooLong);
    assert_eq!(RequestError::TooLong.code(), "body_malformed");
}

#[test]
fn an_answer_in_another_spelling_is_not_believed() {
    let answer = Answer {
        credential_id: CredentialId::random(TokenKind::OtpSoft, &mut SystemRng).unwrap(),
        server_key: key(),
        confirmation: Confirmation::from_bytes(&[7; 32]).unwrap(),
        algorithm: SeedAlgorithm::Sha1,
        server_time: Timestamp::from_seconds(1_795_567_688),
        expires_at: Timestamp::from_seconds(1_795_654_088),
    };
    let good: Value = serde_json::from_str(&answer.to_json()).unwrap();
    assert_eq!(Answer::from_json(good.to_string().as_bytes()).unwrap(), answer);
    for (name, value) in [
        ("credential_id", json!(answer.credential_id.as_str().to_lowercase())),
        ("credential_id", json!("CNST00000000 x")),
        ("digits", json!(8)),
        ("period", json!(60)),
        ("algorithm", json!("SHA512")),
        ("server_key", json!(encode(&[4; 65]))),
        ("confirmation", json!(encode(&[7; 31]))),
        ("server_time_ms", json!(i64::MAX)),
        ("server_time_ms", json!(1.5)),
        ("more", json!(null)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert_eq!(Answer::from_json(bad.to_string().as_bytes()), Err(AnswerError), "{name}");
    }
    assert_eq!(Answer::from_json(&[b' '; BODY_MAX_BYTES + 1]), Err(AnswerError));
}

#[test]
fn request_and_answer_make_one_seed_on_both_sides() {
    for algorithm in [SeedAlgorithm::Sha256, SeedAlgorithm::Sha1] {
        let (own, again) = (AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap());
        let request = ProvisionRequest {
            device_key: own.public_key().clone(),
            algorithm,
            ..read(&request()).unwrap()
        };
        let id = CredentialId::random(TokenKind::OtpSoft, &mut SystemRng).unwrap();
        let now = Timestamp::from_seconds(1_795_567_688);
        let (answer, kept) = request.answer(id, now, now.plus_seconds(86_400)).unwrap();
        let answer = Answer::from_json(answer.to_json().as_bytes()).unwrap();
        assert!(answer.seed(again, algorithm).is_err(), "another device's key");
        assert_eq!(answer.seed(own, algorithm).unwrap().expose(), kept.expose());
        let other = match algorithm {
            SeedAlgorithm::Sha256 => SeedAlgorithm::Sha1,
            SeedAlgorithm::Sha1 => SeedAlgorithm::Sha256,
        };
        let fresh = AgreementKey::generate().unwrap();
        assert_eq!(answer.seed(fresh, other).unwrap_err(), DeriveError::OtherAlgorithm);
    }
}

#[test]
fn the_clock_is_compared_with_the_middle() {
    let at = |seconds| Timestamp::from_seconds(seconds);
    let time = ServerTime::at(at(1_000));
    assert_eq!(time.to_json(), r#"{"unix_time_ms":1000000}"#);
    assert_eq!(ServerTime::from_json(time.to_json().as_bytes()), Ok(time));
    assert_eq!(time.offset_ms(at(998), at(1_000)), 1_000);
    assert_eq!(time.offset_ms(at(1_004), at(1_006)), -5_000);
    assert!(ServerTime::from_json(br#"{"unix_time_ms":9223372036854775807}"#).is_err());
    assert_eq!(BrowserState { portal_session: true }.to_json(), r#"{"portal_session":true}"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_comes_back(algorithm in 0usize..2, family in 0usize..2, class in 0usize..5, evidence in 0usize..2, paired: bool) {
        let request = ProvisionRequest {
            device_key: key(),
            algorithm: [SeedAlgorithm::Sha256, SeedAlgorithm::Sha1][algorithm],
            family: Family::ALL[family],
            device_class: DeviceClass::ALL[class],
            device_evidence: DeviceEvidence::OF_APPS[evidence],
            pairing_code: paired.then(|| PairingCode::random(&mut SystemRng).unwrap()),
        };
        let read = ProvisionRequest::from_json(request.to_json().expose().as_bytes()).unwrap();
        prop_assert_eq!(&read.device_key, &request.device_key);
        prop_assert_eq!(read.algorithm, request.algorithm);
        prop_assert_eq!(read.family, request.family);
        prop_assert_eq!(read.device_class, request.device_class);
        prop_assert_eq!(read.device_evidence, request.device_evidence);
        prop_assert_eq!(read.pairing_code.map(|c| c.digest()), request.pairing_code.map(|c| c.digest()));
    }

    #[test]
    fn every_answer_comes_back(confirmation: [u8; 32], sha1: bool, now in 0i64..4_000_000_000_000, wait in 0i64..100_000_000) {
        let millis = |ms: i64| Timestamp::from_micros(ms * 1_000);
        let answer = Answer {
            credential_id: CredentialId::random(TokenKind::OtpSoft, &mut SystemRng).unwrap(),
            server_key: key(),
            confirmation: Confirmation::from_bytes(&confirmation).unwrap(),
            algorithm: if sha1 { SeedAlgorithm::Sha1 } else { SeedAlgorithm::Sha256 },
            server_time: millis(now),
            expires_at: millis(now + wait),
        };
        prop_assert_eq!(Answer::from_json(answer.to_json().as_bytes()).unwrap(), answer);
    }

    #[test]
    fn what_is_cut_off_is_refused(cut in 1usize..100) {
        let body = request().to_string();
        let cut = body.len().saturating_sub(cut);
        prop_assert!(ProvisionRequest::from_json(&body.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProvisionRequest::from_json(&bytes);
        let _ = Answer::from_json(&bytes);
        let _ = ServerTime::from_json(&bytes);
    }
}
