//! What the fuzz targets do with their input; the tests do the same with the corpus.
//!
//! An input is used in two ways: as it is, which nobody has signed, and as what a key made at the start signs, so that
//! what lies behind the signature is reached too.

use std::{str, sync::OnceLock};

use countersign_crypto::SigningKey;
use countersign_domain::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::{
    jwks::{KeySet, jwk},
    jws::{Algorithm, Jws, OtherMembers, PublicKey, Rules, Typ, unverified_payload},
    launch::{peek_issuer, sign_launch, verify_launch},
    oidc::{self, Client, Discovery, Secret, TokenAnswer},
    record,
    smart::{Configuration, Granted, is_id, patient_of, user_of},
};

/// One target: the bytes are the input.
pub type Target = fn(&[u8]);

/// All targets by the name of their corpus.
pub const TARGETS: [(&str, Target); 4] = [
    ("jws", jws),
    ("launch_token", launch_token),
    ("oidc_answers", oidc_answers),
    ("smart_answers", smart_answers),
];

/// 2026-11-01 00:00 UTC; the seeds are of that time.
const NOW: Timestamp = Timestamp::from_seconds(1_793_491_200);
/// Who signs in the seeds of providers and EHRs.
const ISSUER: &str = "https://csp.example";
const RULES: Rules<'_> = Rules {
    max_bytes: 16 * 1024,
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    typ: Typ::Any,
    other_members: OtherMembers::Ignored,
};
const NARROW: Rules<'_> = Rules {
    max_bytes: 4 * 1024,
    algorithms: &[Algorithm::Es256],
    typ: Typ::IfThere("JWT"),
    other_members: OtherMembers::Refused,
};

/// A key that is made once in a process, so that no input can hold what it signed.
fn key() -> Option<&'static SigningKey> {
    static KEY: OnceLock<Option<SigningKey>> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().ok().map(|(key, _)| key)).as_ref()
}

/// A compact serialization of these bytes as header and payload, rightly signed.
fn signed(key: &SigningKey, header: &[u8], payload: &[u8]) -> String {
    let [header, payload] = [header, payload].map(|part| BASE64URL_NOPAD.encode(part));
    let message = format!("{header}.{payload}");
    let signature = key.sign(message.as_bytes()).unwrap_or_default();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// A text that nobody has signed holds for no key. What is signed is read as it was written, if its header may be so. The
/// first line of the input is the header, the rest is the payload.
pub fn jws(data: &[u8]) {
    let Some(key) = key() else { return };
    let public = PublicKey::P256(key.verifying_key());
    if let Ok(text) = str::from_utf8(data) {
        for rules in [&RULES, &NARROW] {
            if let Ok(jws) = Jws::read(text, rules) {
                assert!(
                    unverified_payload(text, text.len()).is_ok(),
                    "read, and not to be peeked at"
                );
                assert!(jws.verify([&public]).is_err(), "a signature out of nothing");
            }
        }
        let set = json!({ "keys": [jwk("k1", key.verifying_key().point())] }).to_string();
        assert!(record::verify(text, set.as_bytes()).is_err(), "a record out of nothing");
        let _ = record::said(text);
    }
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, rest) = data.split_at_checked(end).unwrap_or((data, &[]));
    let payload = rest.get(1..).unwrap_or_default();
    let token = signed(key, header, payload);
    let Ok(jws) = Jws::read(&token, &RULES) else { return };
    let said: Value = serde_json::from_slice(header).unwrap_or_default();
    assert!(
        said.get("crit").is_none() && said.get("b64").is_none(),
        "an extension was passed over"
    );
    assert!(said.get("alg") == Some(&json!(jws.algorithm().name())), "another algorithm was read");
    let es256 = jws.algorithm() == Algorithm::Es256;
    let verified = jws.verify([&public]);
    assert!(verified.is_ok() == es256, "a key of one kind for the algorithm of another");
    assert!(verified.is_ok_and(|it| it.payload() == payload) == es256, "the payload changed");
}

/// A launch that nobody has signed is refused. One that is taken can be signed again, and says the same.
pub fn launch_token(data: &[u8]) {
    const AUDIENCE: &str = "https://erx.example";
    let Some(key) = key() else { return };
    let verify = |token: &str| verify_launch(token, &key.verifying_key(), AUDIENCE, NOW, 60);
    if let Ok(text) = str::from_utf8(data) {
        let _ = peek_issuer(text);
        assert!(verify(text).is_err(), "a launch out of nothing");
    }
    let token = signed(key, br#"{"alg":"ES256","typ":"JWT"}"#, data);
    if let Ok(claims) = verify(&token) {
        assert!(peek_issuer(&token) == Ok(claims.iss), "a launch of two EHRs");
        let again = sign_launch(key, &claims).and_then(|token| verify(&token));
        assert!(again == Ok(claims), "a launch changed");
    }
}

/// What a provider says of itself, its keys, its answer to a code, and the claims of its ID token.
pub fn oidc_answers(data: &[u8]) {
    let Some(key) = key() else { return };
    if let Ok(found) = Discovery::read(ISSUER, data) {
        let all = [found.authorization_endpoint, found.token_endpoint, found.jwks_uri];
        assert!(all.iter().all(|url| url.starts_with("https://")), "an address that is not safe");
    }
    let client = Client {
        issuer: ISSUER.to_owned(),
        id: "countersign".to_owned(),
        secret: Secret::default(),
        acr_values: String::new(),
    };
    let set = json!({ "keys": [jwk("k1", key.verifying_key().point())] }).to_string();
    let Ok(ours) = KeySet::read(set.as_bytes()) else { return };
    let verify = |token: &str, keys: &KeySet| oidc::verify(token, keys, &client, "n-1", NOW);
    if let Ok(answer) = TokenAnswer::read(data) {
        assert!(verify(&answer.id_token, &ours).is_err(), "an ID token out of nothing");
    }
    let token = signed(key, br#"{"alg":"ES256","kid":"k1"}"#, data);
    if let Ok(keys) = KeySet::read(data) {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let fitting = keys.fitting(None, algorithm).unwrap_or_default();
            assert!(fitting.len() <= 20, "more keys than are tried");
            assert!(fitting.iter().all(|it| it.algorithm() == algorithm), "of another kind");
        }
        assert!(verify(&token, &keys).is_err(), "signed by a key that nobody has");
    }
    if let Ok(claims) = verify(&token, &ours) {
        let said: Value = serde_json::from_slice(data).unwrap_or_default();
        assert!(said.get("iss") == Some(&json!(ISSUER)), "of another issuer");
        assert!(said.get("nonce") == Some(&json!("n-1")), "for another request");
        assert!(!claims.sub.is_empty(), "about nobody");
    }
}

/// What an EHR says of itself, its answer to a code, and a patient of it.
pub fn smart_answers(data: &[u8]) {
    if let Ok(found) = serde_json::from_slice::<Granted>(data) {
        let path = format!("/{}", found.patient);
        assert!(!is_id(&found.patient) || path.matches('/').count() == 1, "an ID with a path");
    }
    if let Some(found) = Configuration::read(ISSUER, data) {
        let all = [found.jwks_uri, found.authorization_endpoint, found.token_endpoint];
        assert!(all.iter().all(|url| url.starts_with("https://")), "an address that is not safe");
    }
    if let Ok(text) = str::from_utf8(data) {
        assert!(text.ends_with(&user_of(ISSUER, text)), "a reference to somebody else");
    }
    if let Ok((patient, address)) = patient_of("p-1", data, NOW) {
        assert!(patient.wrong_field(NOW).is_none(), "a patient that a launch would refuse");
        assert!(!address.contains(['\n', '\0']), "an address of more than a line");
    }
}
