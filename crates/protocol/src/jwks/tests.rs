//! Which keys of a set count, and which one a name stands for.

use countersign_crypto::SigningKey;
use serde_json::json;

use super::*;

fn fresh(kid: &str) -> Value {
    jwk(kid, SigningKey::generate().unwrap().0.verifying_key().point())
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn with(mut key: Value, member: &str, value: Value) -> Value {
    key[member] = value;
    key
}

const ES256: Algorithm = Algorithm::Es256;

#[test]
fn a_name_stands_for_one_key() {
    let (one, two) = (fresh("1"), fresh("2"));
    let keys = set(&[one.clone(), two.clone()]);
    assert!(keys.named("1", ES256).unwrap() != keys.named("2", ES256).unwrap());
    assert_eq!(keys.fitting(Some("1"), ES256).unwrap(), [keys.named("1", ES256).unwrap()]);
    for unknown in ["3", "", "1 ", "12"] {
        assert_eq!(keys.named(unknown, ES256), Err(JwsError::UnknownKey), "{unknown:?}");
        assert_eq!(keys.fitting(Some(unknown), ES256), Err(JwsError::UnknownKey), "{unknown:?}");
    }
    assert_eq!(keys.named("1", Algorithm::Rs256), Err(JwsError::UnknownKey));
    assert_eq!(keys.fitting(None, Algorithm::Rs256), Err(JwsError::UnknownKey));
    // Two keys of one name; the same key listed twice is none.
    let doubled = set(&[one.clone(), with(two, "kid", json!("1"))]);
    assert_eq!(doubled.named("1", ES256), Err(JwsError::AmbiguousKey));
    assert_eq!(doubled.fitting(Some("1"), ES256), Err(JwsError::AmbiguousKey));
    let listed_twice = set(&[one.clone(), one]);
    assert!(listed_twice.named("1", ES256).is_ok());
}

#[test]
fn without_a_name_every_key_may_have_signed_but_not_without_end() {
    let (named, mut nameless) = (fresh("1"), fresh("2"));
    nameless.as_object_mut().unwrap().remove("kid");
    let keys = set(&[named, nameless, fresh("3")]);
    assert_eq!(keys.fitting(None, ES256).unwrap().len(), 3);
    assert_eq!(keys.fitting(Some("1"), ES256).unwrap().len(), 2);
    assert_eq!(keys.fitting(Some("4"), ES256).unwrap().len(), 1);
    let many: Vec<Value> = (0..25).map(|number| fresh(&number.to_string())).collect();
    assert_eq!(set(&many).fitting(None, ES256).unwrap().len(), 20);
}

#[test]
fn what_verifies_nothing_is_left_out() {
    let good = fresh("1");
    assert!(set(std::slice::from_ref(&good)).named("1", ES256).is_ok());
    let coordinate = |bytes: usize| json!(BASE64URL_NOPAD.encode(&vec![1; bytes]));
    for (member, value) in [
        ("use", json!("enc")),
        ("kty", json!("OKP")),
        ("kty", json!("oct")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("x", json!("")),
        ("x", json!("*")),
        ("x", coordinate(31)),
        ("x", coordinate(48)),
        ("y", coordinate(33)),
    ] {
        let keys = set(&[with(good.clone(), member, value.clone())]);
        assert_eq!(keys.named("1", ES256), Err(JwsError::UnknownKey), "{member} {value}");
    }
    // Both coordinates of P-384, and P-256 with its bytes shared out otherwise.
    for (x, y) in [(48, 48), (31, 33)] {
        let key = with(with(good.clone(), "x", coordinate(x)), "y", coordinate(y));
        assert_eq!(set(&[key]).named("1", ES256), Err(JwsError::UnknownKey), "{x} {y}");
    }
    let padded = format!("{}=", good["x"].as_str().unwrap());
    assert!(set(&[with(good, "x", json!(padded))]).named("1", ES256).is_ok());
    let rsa = |bytes: usize, first: u8| {
        let modulus = [&[first], &vec![1; bytes - 1][..]].concat();
        json!({ "kty": "RSA", "kid": "1", "n": BASE64URL_NOPAD.encode(&modulus), "e": "AQAB" })
    };
    for (bytes, first, held) in [(256, 0x81, true), (128, 0x81, false), (257, 0, false)] {
        let keys = set(&[rsa(bytes, first)]);
        assert_eq!(keys.named("1", Algorithm::Rs256).is_ok(), held, "{bytes} {first}");
    }
}

#[test]
fn what_is_no_set_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":[{}]}"#,
        r#"{"keys":[{"kty":1}]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kty":"EC"}]}"#,
    ] {
        assert_eq!(KeySet::read(text.as_bytes()).err(), Some(JwsError::KeySet), "{text}");
    }
    let long = format!(r#"{{"keys":[]}}{}"#, " ".repeat(MAX_BYTES));
    assert_eq!(KeySet::read(long.as_bytes()).err(), Some(JwsError::TooLong(MAX_BYTES)));
}
