use super::*;
use countersign_crypto::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn client() -> Client {
    Client {
        issuer: "https://csp.example".to_owned(),
        id: "countersign".to_owned(),
        secret: Secret("s3cret".to_owned()),
        acr_values: "ial2".to_owned(),
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://csp.example", "aud": "countersign", "sub": "u-1", "nonce": "n-1",
        "iat": 1_800_000_000, "exp": 1_800_000_300, "acr": "ial2", "given_name": "Ada",
        "family_name": "Moreno", "birthdate": "1975-04-12", "address": {"formatted": "12 Elm St"},
    })
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn key_set(key: &SigningKey) -> KeySet {
    let key = key.verifying_key();
    let part = |from: usize, to: usize| BASE64URL_NOPAD.encode(&key.point()[from..to]);
    let set = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "x": part(1, 33), "y": part(33, 65)},
    ]});
    KeySet::read(set.to_string().as_bytes()).unwrap()
}

/// Shows: R-1311.105-a1
#[test]
fn only_what_the_provider_has_signed_for_this_request_counts() {
    let (key, other) = (SigningKey::generate().unwrap().0, SigningKey::generate().unwrap().0);
    let keys = key_set(&key);
    let header = json!({"alg": "ES256", "kid": "k1"});
    let check = |token: &str| verify(token, &keys, &client(), "n-1", NOW);
    let good = check(&signed(&key, &header, &claims())).unwrap();
    assert_eq!((good.assurance(), good.family_name.as_str()), ("ial2", "Moreno"));
    assert_eq!(good.address.formatted, "12 Elm St");
    assert_eq!(check(&signed(&other, &header, &claims())), Err(OidcError::BadSignature));
    for alg in ["none", "HS256", "RS256", "ES384", "es256"] {
        let token = signed(&key, &json!({"alg": alg, "kid": "k1"}), &claims());
        assert_eq!(check(&token), Err(OidcError::BadSignature), "{alg}");
    }
    let token = signed(&key, &json!({"alg": "ES256", "kid": "k2"}), &claims());
    assert_eq!(check(&token), Err(OidcError::BadSignature), "another key");
    let token = signed(&key, &json!({"alg": "ES256", "crit": ["b64"]}), &claims());
    assert_eq!(check(&token), Err(OidcError::Malformed));
    let changes: [(&str, Value, OidcError); 14] = [
        ("iss", json!("https://csp.example.evil"), OidcError::NotForUs),
        ("aud", json!("another"), OidcError::NotForUs),
        ("aud", json!(["countersign", "another"]), OidcError::NotForUs),
        ("azp", json!("another"), OidcError::NotForUs),
        ("nonce", json!("n-2"), OidcError::NotForUs),
        ("nonce", json!(""), OidcError::NotForUs),
        ("sub", json!(""), OidcError::NotForUs),
        ("exp", json!(1_799_999_940), OidcError::WrongTime),
        ("iat", json!(1_800_000_061), OidcError::WrongTime),
        ("iat", json!(1_799_999_399), OidcError::WrongTime),
        ("exp", json!("soon"), OidcError::Malformed),
        ("nbf", json!(1_800_000_061), OidcError::WrongTime),
        ("nbf", json!("soon"), OidcError::Malformed),
        ("nbf", json!(null), OidcError::Malformed),
    ];
    for (name, value, error) in changes {
        let mut claims = claims();
        claims[name] = value.clone();
        assert_eq!(check(&signed(&key, &header, &claims)), Err(error), "{name} {value}");
    }
    let mut later = claims();
    later["nbf"] = json!(1_800_000_060);
    assert!(check(&signed(&key, &header, &later)).is_ok(), "within the skew");
    let token = signed(&key, &header, &claims());
    assert_eq!(verify(&token, &keys, &client(), "", NOW), Err(OidcError::NotForUs));
    let (head, rest) = token.split_once('.').unwrap();
    for broken in [head, "", "..", &format!("{head}.{rest}.x"), &format!("{head}.e30.AAAA")] {
        assert!(check(broken).is_err(), "{broken}");
    }
}

#[test]
fn a_description_is_of_its_issuer_and_safe() {
    let read = |issuer: &str, change: &dyn Fn(&mut Value)| {
        let mut it = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
        });
        change(&mut it);
        Discovery::read(issuer, it.to_string().as_bytes())
    };
    let found = read("https://csp.example", &|_| {}).unwrap();
    assert_eq!(
        Discovery::address("https://csp.example/"),
        "https://csp.example/.well-known/openid-configuration"
    );
    assert!(read("http://127.0.0.1:9", &|_| {}).is_ok());
    for (name, value) in [
        ("issuer", "https://other.example"),
        ("token_endpoint", "http://csp.example/token"),
        ("jwks_uri", "file:///etc/passwd"),
        ("authorization_endpoint", "javascript:alert(1)"),
    ] {
        assert!(read("https://csp.example", &|it| it[name] = json!(value)).is_err(), "{name}");
    }
    let url = authorization_url(&found, &client(), "https://us/return", "s t", "n", "v");
    assert!(url.starts_with("https://csp.example/auth?response_type=code&client_id=countersign"));
    assert!(
        url.contains("&state=s%20t&") && url.contains("&redirect_uri=https%3A%2F%2Fus%2Freturn&")
    );
    // RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in "\\PC{0,200}", a in "[A-Za-z0-9_.-]{0,80}") {
        let key = SigningKey::generate().unwrap().0;
        prop_assert!(verify(&text, &key_set(&key), &client(), "n-1", NOW).is_err());
        prop_assert!(verify(&a, &key_set(&key), &client(), "n-1", NOW).is_err());
    }
}
