//! Every check of the reader and the verifier, each broken once.

use countersign_crypto::SigningKey;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::jwks::KeySet;

const RULES: Rules<'_> = Rules {
    max_bytes: 4_096,
    algorithms: &[Algorithm::Es256],
    typ: Typ::Any,
    other_members: OtherMembers::Ignored,
};

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::P256(key.verifying_key())
}

/// A serialization of a header and a payload as they are written, rightly signed.
fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
    let [header, payload] = [header, payload].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
    sign(key, &format!("{header}.{payload}"))
}

fn sign(key: &SigningKey, message: &str) -> String {
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// What becomes of a token with this header, rightly signed.
fn with_header(header: &str, rules: &Rules<'_>) -> Result<Verified, JwsError> {
    let key = key();
    Jws::read(&signed(&key, header, "{}"), rules)?.verify([&public(&key)])
}

fn verify(token: &str, key: &SigningKey) -> Result<Verified, JwsError> {
    Jws::read(token, &RULES)?.verify([&public(key)])
}

#[test]
fn what_was_signed_is_what_is_read() {
    let key = key();
    // As in RFC 7515, A.3: the payload is any bytes, with line ends and spaces as they were signed.
    let payload =
        "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    let token = signed(&key, r#"{"alg":"ES256","kid":"k1"}"#, payload);
    let jws = Jws::read(&token, &RULES).unwrap();
    assert_eq!((jws.key_id(), jws.algorithm()), (Some("k1"), Algorithm::Es256));
    let verified = jws.verify([&public(&key)]).unwrap();
    assert_eq!(verified.payload(), payload.as_bytes());
    assert_eq!(verified.claims::<Value>().unwrap()["exp"], 1_300_819_380);
    assert_eq!(verified.claims::<Vec<u8>>(), Err(JwsError::Claims));
    assert_eq!(unverified_payload(&token, 4_096).unwrap(), payload.as_bytes());
}

#[test]
fn an_algorithm_that_is_not_accepted_is_refused_whatever_signed_it() {
    for alg in [
        "none", "None", "", "HS256", "RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256",
        "ES256 ",
    ] {
        let header = json!({ "alg": alg }).to_string();
        assert_eq!(with_header(&header, &RULES), Err(JwsError::Algorithm), "{alg}");
        let part = BASE64URL_NOPAD.encode(header.as_bytes());
        assert_eq!(verify(&format!("{part}.e30."), &key()), Err(JwsError::Algorithm), "{alg}");
    }
    for header in ["{}", r#"{"alg":1}"#, r#"{"alg":null}"#, r#"{"alg":["ES256"]}"#] {
        assert_eq!(with_header(header, &RULES), Err(JwsError::NoAlgorithm), "{header}");
    }
    let none = Rules { algorithms: &[], ..RULES };
    assert_eq!(with_header(r#"{"alg":"ES256"}"#, &none), Err(JwsError::Algorithm));
}

#[test]
fn an_accepted_algorithm_takes_no_key_of_another_kind() {
    let both = Rules { algorithms: &[Algorithm::Es256, Algorithm::Rs256], ..RULES };
    assert_eq!(with_header(r#"{"alg":"RS256"}"#, &both), Err(JwsError::KeyKind));
    let rsa = PublicKey::Rsa(RsaVerifyingKey::from_components(&[0x81; 256], &[1, 0, 1]).unwrap());
    let token = signed(&key(), r#"{"alg":"ES256"}"#, "{}");
    assert_eq!(Jws::read(&token, &both).unwrap().verify([&rsa]), Err(JwsError::KeyKind));
}

#[test]
fn a_header_is_one_object_of_unique_members() {
    for header in
        ["", "null", "[]", "\"ES256\"", "{", r#"{"alg":"ES256"}{}"#, r#"{"alg":"ES256",}"#]
    {
        assert_eq!(with_header(header, &RULES), Err(JwsError::Header), "{header}");
    }
    for header in [
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"1","kid":"2"}"#,
        r#"{"alg":"ES256","other":1,"other":1}"#,
    ] {
        assert_eq!(with_header(header, &RULES), Err(JwsError::Twice), "{header}");
    }
    for kid in ["1", "null", "[]"] {
        let header = format!(r#"{{"alg":"ES256","kid":{kid}}}"#);
        assert_eq!(with_header(&header, &RULES), Err(JwsError::MemberType("kid")), "{kid}");
    }
    let deep = format!(r#"{{"alg":"ES256","x":{}"#, "[".repeat(1_000));
    assert_eq!(with_header(&deep, &RULES), Err(JwsError::Header));
}

#[test]
fn an_extension_is_refused_in_any_form() {
    for member in [
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"b64""#,
        // RFC 7797, 6 wants it in `crit` too; by itself it is as little understood.
        r#""b64":false"#,
        r#""b64":true"#,
    ] {
        let header = format!(r#"{{"alg":"ES256",{member}}}"#);
        assert_eq!(with_header(&header, &RULES), Err(JwsError::Extension), "{member}");
    }
    // RFC 7797, 4.1: a payload that is not encoded, and one that is not there.
    let key = key();
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"ES256","b64":false,"crit":["b64"]}"#);
    for message in [format!("{header}.$.02"), format!("{header}.")] {
        assert_eq!(verify(&sign(&key, &message), &key), Err(JwsError::Extension));
    }
}

#[test]
fn typ_and_other_members_are_as_the_caller_demands() {
    let narrow = Rules { typ: Typ::IfThere("JWT"), other_members: OtherMembers::Refused, ..RULES };
    for (header, refused) in [
        (r#"{"alg":"ES256"}"#, None),
        (r#"{"alg":"ES256","typ":"JWT","kid":"1"}"#, None),
        (r#"{"alg":"ES256","typ":"jwt"}"#, Some(JwsError::Typ)),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, Some(JwsError::Typ)),
        (r#"{"alg":"ES256","typ":""}"#, Some(JwsError::Typ)),
        (r#"{"alg":"ES256","typ":1}"#, Some(JwsError::MemberType("typ"))),
        (r#"{"alg":"ES256","typ":null}"#, Some(JwsError::MemberType("typ"))),
        (r#"{"alg":"ES256","jwk":{}}"#, Some(JwsError::OtherMember)),
        (r#"{"alg":"ES256","x5u":"https://x.example"}"#, Some(JwsError::OtherMember)),
    ] {
        assert_eq!(with_header(header, &narrow).err(), refused, "{header}");
        assert!(with_header(header, &RULES).is_ok(), "{header}");
    }
}

#[test]
fn no_key_of_the_header_is_used() {
    let (ours, theirs) = (key(), key());
    let jwk = crate::jwks::jwk("k1", theirs.verifying_key().point());
    let header = json!({ "alg": "ES256", "kid": "k1", "jwk": jwk }).to_string();
    let token = signed(&theirs, &header, "{}");
    assert_eq!(verify(&token, &ours), Err(JwsError::Signature));
}

#[test]
fn there_are_three_parts() {
    let key = key();
    let token = signed(&key, r#"{"alg":"ES256"}"#, "{}");
    let (message, signature) = token.rsplit_once('.').unwrap();
    for broken in [
        "",
        "e30",
        message,
        &format!("{token}."),
        &format!("{token}.AA"),
        &format!("{message}.e30.{signature}"),
    ] {
        assert_eq!(verify(broken, &key), Err(JwsError::Parts), "{broken}");
        assert_eq!(unverified_payload(broken, 4_096), Err(JwsError::Parts), "{broken}");
    }
    // An empty payload can be signed; an empty signature holds for nothing.
    let empty = sign(&key, &format!("{}.", message.split_once('.').unwrap().0));
    assert_eq!(verify(&empty, &key).unwrap().payload(), b"");
    assert_eq!(verify(&format!("{message}."), &key), Err(JwsError::Signature));
}

#[test]
fn base64url_has_one_spelling() {
    let key = key();
    let token = signed(&key, r#"{"alg":"ES256" }"#, "{  }");
    let [header, payload, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    // 16 bytes of header, 4 of payload and 64 of signature: each leaves four bits of its last letter, which are zero.
    for (name, part) in [("header", header), ("payload", payload), ("signature", signature)] {
        let loose = format!("{}{}", &part[..part.len() - 1], next(part.chars().last().unwrap()));
        for bad in [
            format!("{part}="),
            format!("{part}=="),
            format!("{part}\n"),
            format!(" {part}"),
            format!("{part}AAA"),
            format!("+{}", &part[1..]),
            format!("/{}", &part[1..]),
            loose,
        ] {
            let parts = [("header", header), ("payload", payload), ("signature", signature)]
                .map(|(at, kept)| if at == name { bad.as_str() } else { kept });
            let (broken, message) = (parts.join("."), parts[..2].join("."));
            assert_eq!(verify(&broken, &key), Err(JwsError::Base64(name)), "{bad:?}");
            if name != "signature" {
                assert_eq!(
                    verify(&sign(&key, &message), &key),
                    Err(JwsError::Base64(name)),
                    "{bad:?}"
                );
            }
        }
    }
    assert_eq!(unverified_payload("e30.e31.AA", 4_096), Err(JwsError::Base64("payload")));
}

/// The next letter of the alphabet of base64url: other bits at the end of a part.
fn next(letter: char) -> char {
    char::from(u8::try_from(letter).unwrap() + 1)
}

#[test]
fn what_is_too_long_is_not_read() {
    let key = key();
    let token = signed(&key, r#"{"alg":"ES256"}"#, &"x".repeat(100));
    let exact = Rules { max_bytes: token.len(), ..RULES };
    assert!(Jws::read(&token, &exact).is_ok() && unverified_payload(&token, token.len()).is_ok());
    let shorter = Rules { max_bytes: token.len() - 1, ..RULES };
    let refused = JwsError::TooLong(token.len() - 1);
    assert_eq!(Jws::read(&token, &shorter).err(), Some(refused));
    assert_eq!(unverified_payload(&token, token.len() - 1), Err(refused));
}

#[test]
fn a_signature_is_of_this_key_over_this_message_and_in_one_form() {
    let (key, other) = (key(), key());
    let token = signed(&key, r#"{"alg":"ES256"}"#, r#"{"a":1}"#);
    assert_eq!(verify(&token, &other), Err(JwsError::Signature));
    assert!(Jws::read(&token, &RULES).unwrap().verify([&public(&other), &public(&key)]).is_ok());
    assert_eq!(Jws::read(&token, &RULES).unwrap().verify([]), Err(JwsError::UnknownKey));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let bytes = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let with = |signature: &[u8]| {
        verify(&format!("{message}.{}", BASE64URL_NOPAD.encode(signature)), &key)
    };
    assert!(with(&bytes).is_ok());
    let mut changed = bytes.clone();
    changed[40] ^= 1;
    for bad in [
        der(&bytes),
        changed,
        bytes[..63].to_vec(),
        [&bytes[..], &[0]].concat(),
        vec![0; 64],
        vec![],
    ] {
        assert_eq!(with(&bad), Err(JwsError::Signature), "{bad:?}");
    }
    let payload = BASE64URL_NOPAD.encode(br#"{"a":2}"#);
    let moved = format!("{}.{payload}.{signature}", message.split_once('.').unwrap().0);
    assert_eq!(verify(&moved, &key), Err(JwsError::Signature));
    // Not a point of the curve.
    let off = PublicKey::P256(VerifyingKey::from_point(&[4; 65]).unwrap());
    assert_eq!(Jws::read(&token, &RULES).unwrap().verify([&off]), Err(JwsError::Signature));
}

/// The same signature as ASN.1 DER (RFC 3279, 2.2.3), as other libraries write it.
fn der(signature: &[u8]) -> Vec<u8> {
    let number = |part: &[u8]| {
        let skipped: Vec<u8> = part.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if skipped[0] & 0x80 == 0 { &[][..] } else { &[0][..] };
        let value = [sign, &skipped].concat();
        [&[2, u8::try_from(value.len()).unwrap()], &value[..]].concat()
    };
    let both = [number(&signature[..32]), number(&signature[32..])].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

#[test]
fn rs256_is_verified_where_it_is_accepted() {
    let rules = Rules { algorithms: &[Algorithm::Rs256], ..RULES };
    let set = json!({ "keys": [{ "kty": "RSA", "kid": "r1", "n": RSA_N, "e": "AQAB" }] });
    let keys = KeySet::read(set.to_string().as_bytes()).unwrap();
    let key = keys.named("r1", Algorithm::Rs256).unwrap();
    let with =
        |signature: &str| Jws::read(&format!("{RSA_MESSAGE}.{signature}"), &rules)?.verify([key]);
    assert_eq!(with(RSA_SIGNATURE).unwrap().claims::<Value>().unwrap()["sub"], "u-1");
    assert_eq!(with(RSA_PSS_SIGNATURE), Err(JwsError::Signature));
    let token = format!("{RSA_MESSAGE}.{RSA_SIGNATURE}");
    assert_eq!(Jws::read(&token, &RULES).err(), Some(JwsError::Algorithm));
}

proptest! {
    #[test]
    fn no_text_is_taken(text in "\\PC{0,200}", dotted in "[A-Za-z0-9_.=-]{0,120}") {
        let key = PublicKey::P256(VerifyingKey::from_point(&[4; 65]).unwrap());
        for text in [text, dotted] {
            prop_assert!(Jws::read(&text, &RULES).and_then(|jws| jws.verify([&key])).is_err());
            let _ = unverified_payload(&text, 4_096);
        }
    }
}

/// Modulus of a key that was made for this test (openssl genrsa 2048) and thrown away.
const RSA_N: &str = "\
    4D6bvyhBvhGkaew8ddGe_EukFkvaTUK8gcpoEn53v-cnzENHWy2R7y9xx4dpGsBLWvTbD_Zn9GaCFcevnoN8\
    voSKJU4XBshu4pUzkrAWIHTn-BS9izNs9-LFWMJmIg9-muFUZm5uqCfPeyiNJI2gYddgd78BScqbPdCl3vPv\
    APZ8IwKKfKRPsgZUg4O1UWuCQLZK36Ux6VHG1oTT5_hxe3rcGCDHKc64gfqmOhb4a2tW8CQvt-nJmNtDx2ol\
    q3q6NzArM2kDxIuAeRymCj49-STTEG_Th48oTON1KxzCG1gvMjugC7XgSK1GTdJFyI7Uc5YCx-by3qhocydy\
    EjMtQw";

/// Header `RS256` with `kid` `r1`, and claims of `u-1`.
const RSA_MESSAGE: &str = "\
    eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2NzcC5leGFt\
    cGxlIiwic3ViIjoidS0xIn0";

/// Its signature by that key with PKCS #1 v1.5.
const RSA_SIGNATURE: &str = "\
    y-Il7T2wFrVWGGKTlnIOV5KikwwPVvUBIsXm6a7bD0N3af_Da--r0V8TmzTmXE_IgsVktu13K5MJOMD2FnLl\
    DDLnoIwE_Id_jceWttWTi6ghf-trv5y4brfy3cWCRN4FBXbe6oePm1NGbTPwOmEztqU20D0C2W464SFKLDAw\
    zgppYVxPJKXL_pscZA7bppSduSQbQtELPqiQA44j-c5tB64Agsdy6GExqWEYGFaM4rFf2jrixYuen606pWaa\
    4hcK2rr31NBk4TxY6wD2z9gNOhRJCCjnfXg-F8-jFZzyxN_hMDaqeqBa3EqSCr7ruWxt89KC0NNKjXTUTap_\
    pmYhmw";

/// Another by the same key with PSS, which is PS256 and not RS256.
const RSA_PSS_SIGNATURE: &str = "\
    CmCK3golpAhYkWV9JMm6qUK6-oFOo2ThL0EpcgmzKuXTn7C2TPYdmsBfmzT8qUbLIRkn40iewJAIVP1dWO-X\
    SJ_5L2_IpEKqiIzZn0bkhxCC4CBEKPR-eoTltCT-T5qevUdmJEkSkAO2jlLkkgS5HrGw-sU9uTWyDnpI46B8\
    Yn4ix8HsgG_ixlP_xoow0f92PKC8kfHxHEBRvID4zHVw785L_WrtPbtbC0LOl79Yj9PcFPnhMPdGAQgeolmW\
    LCrPXBRI3LpKFxNVbzcy8sq-WmUafrWYVqZvv3Tr4QmrLXvDTtGaAj12VvgsGIIM6i7LlSw-mYwGfGMAyYB3\
    UWWBnw";
