//! Replays the corpus of the fuzz targets: what once broke something must never break it again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "these are tests")]

use std::{fs, path::Path};

use countersign_crypto::SigningKey;
use countersign_domain::Timestamp;
use countersign_protocol::{
    fuzzing::TARGETS,
    jwks::{KeySet, jwk},
    launch::{LaunchClaims, sign_launch, verify_launch},
    oidc::{self, Client, Discovery},
    smart::{Configuration, patient_of},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_file_of_the_corpus_passes() {
    for (name, files) in replay::replay(&TARGETS) {
        assert!(files >= 3, "{name} has a few seeds");
    }
}

/// A seed that nothing takes would leave what lies behind unseen.
#[test]
fn seeds_reach_what_lies_behind_the_signature() {
    let now = Timestamp::from_seconds(1_793_491_200);
    let (key, _) = SigningKey::generate().unwrap();
    for seed in ["claims", "not_before", "largest"] {
        let claims: LaunchClaims = serde_json::from_slice(&read("launch_token", seed)).unwrap();
        let token = sign_launch(&key, &claims).unwrap();
        let found = verify_launch(&token, &key.verifying_key(), &claims.aud, now, 60);
        assert_eq!(found, Ok(claims), "{seed}");
    }
    let issuer = "https://csp.example";
    assert!(Discovery::read(issuer, &read("oidc_answers", "discovery")).is_ok());
    assert!(KeySet::read(&read("oidc_answers", "keys")).is_ok());
    assert!(Configuration::read(issuer, &read("smart_answers", "configuration")).is_some());
    for seed in ["patient", "patient_accents"] {
        assert!(patient_of("p-1", &read("smart_answers", seed), now).is_ok(), "{seed}");
    }
    // The claims of an ID token, signed as the target does it.
    for seed in ["claims", "claims_audiences"] {
        let set = json!({ "keys": [jwk("k1", key.verifying_key().point())] });
        let keys = KeySet::read(set.to_string().as_bytes()).unwrap();
        let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let header = part(br#"{"alg":"ES256","kid":"k1"}"#);
        let message = format!("{header}.{}", part(&read("oidc_answers", seed)));
        let signature = part(&key.sign(message.as_bytes()).unwrap());
        let client = Client {
            issuer: issuer.to_owned(),
            id: "countersign".to_owned(),
            ..Default::default()
        };
        let token = format!("{message}.{signature}");
        let found = oidc::verify(&token, &keys, &client, "n-1", now);
        assert!(found.is_ok(), "{seed}: {found:?}");
    }
}

fn read(target: &str, seed: &str) -> Vec<u8> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    fs::read(corpus.join(target).join(seed)).unwrap()
}
