//! Signed records as JWS: made with a key of ours, and verified with the published keys alone. Release
//! manifests have the same form.

use countersign_crypto::SigningKey;
use countersign_domain::canonical::Json;
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use thiserror::Error;

use crate::{
    jwks::KeySet,
    jws::{Algorithm, Jws, JwsError, OtherMembers, Rules, Typ, unverified_payload},
};

/// What a signed record calls itself. A format is one set of names, each always there: with a new name comes a new number,
/// and older records stay verifiable under theirs.
pub const RECORD_FORMAT: &str = "countersign-prescription/2";
/// All formats that are read: the first had no days' supply, last day, series, internal code and supervisor.
pub const RECORD_FORMATS: [&str; 2] = [RECORD_FORMAT, "countersign-prescription/1"];

/// What a record may be: at most 64 KiB. Its kind is said by `format`, which is signed with the rest.
const RULES: Rules<'_> = Rules {
    max_bytes: 64 * 1024,
    algorithms: &[Algorithm::Es256],
    typ: Typ::Any,
    other_members: OtherMembers::Ignored,
};

/// Why a record does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It is none: three parts in base64url, of which two are JSON.
    #[error("this is no signed record")]
    Malformed,
    /// Signed in a way that is not accepted.
    #[error("the record is not signed with ES256, or names no key")]
    Algorithm,
    /// The key is unknown, or did not sign this.
    #[error("the signature does not hold: the record was changed, or the key is not among these")]
    Signature,
    /// Signed, and yet not in the one spelling that records have (RFC 8785), or of another kind.
    #[error("the record is signed, and is no prescription as this program writes them")]
    Kind,
}

impl From<JwsError> for RecordError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Extension
            | JwsError::NoAlgorithm
            | JwsError::Algorithm
            | JwsError::MemberType(_) => Self::Algorithm,
            JwsError::KeySet
            | JwsError::UnknownKey
            | JwsError::AmbiguousKey
            | JwsError::KeyKind
            | JwsError::Signature => Self::Signature,
            JwsError::Claims => Self::Kind,
            _ => Self::Malformed,
        }
    }
}

/// Signs something in its canonical form (RFC 8785) with ES256: the compact form (RFC 7515). Nothing where it
/// has no canonical form, or the key does not sign.
pub fn sign(key: &SigningKey, key_id: &str, kind: &str, payload: &Json) -> Option<String> {
    let header = Json::object([
        ("alg", Json::from("ES256")),
        ("kid", Json::from(key_id)),
        ("typ", Json::from(kind)),
    ]);
    let part = |it: &Json| Some(BASE64URL_NOPAD.encode(it.canonical().ok()?.as_bytes()));
    let message = format!("{}.{}", part(&header)?, part(payload)?);
    let signature = key.sign(message.as_bytes()).ok()?;
    Some(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// What a record of our own archive says; it was sealed there, and its signature is not looked at.
pub fn said(jws: &str) -> Option<Value> {
    serde_json::from_slice(&unverified_payload(jws, RULES.max_bytes).ok()?).ok()
}

/// Reads a record and verifies it (RFC 7515, ES256; RFC 8785). What it says, if it holds.
pub fn verify(jws: &str, keys: &[u8]) -> Result<Value, RecordError> {
    verify_one_of(&RECORD_FORMATS, jws, keys)
}

/// The same for whatever calls itself `format`.
pub fn verify_as(format: &str, jws: &str, keys: &[u8]) -> Result<Value, RecordError> {
    verify_one_of(&[format], jws, keys)
}

fn verify_one_of(formats: &[&str], jws: &str, keys: &[u8]) -> Result<Value, RecordError> {
    let jws = Jws::read(jws.trim(), &RULES)?;
    let key_id = jws.key_id().ok_or(RecordError::Algorithm)?;
    let keys = KeySet::read(keys).map_err(|_| RecordError::Signature)?;
    let key = keys.named(key_id, jws.algorithm())?;
    let signed = jws.verify([key])?;
    let value: Value = signed.claims()?;
    let spelling = json(&value).and_then(|it| it.canonical().ok()).ok_or(RecordError::Kind)?;
    let format = value.get("format").and_then(Value::as_str);
    let ours = format.is_some_and(|format| formats.contains(&format));
    if spelling.as_bytes() != signed.payload() || !ours {
        return Err(RecordError::Kind);
    }
    Ok(value)
}

/// What a record says, in words: lines for people who read paper. `state` is what became of it.
pub fn paragraphs(said: &Value, state: &str, disowned: bool) -> [String; 3] {
    let of = |path: &str| said.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let refills = number(said, "/prescription/refills");
    let disowned = if disowned { "; said not to be the practitioner's" } else { "" };
    // Beside what is signed, and told apart from it.
    let since = match (state, disowned) {
        ("", "") => String::new(),
        _ => format!(" [since: {state}{disowned}]"),
    };
    let mut more = String::new();
    let mut add = |label: &str, text: &str| {
        if !text.is_empty() {
            more.push_str(&[" ", label, ": ", text, "."].concat());
        }
    };
    match number(said, "/prescription/days_supply") {
        0 => {}
        days => add("Days' supply", &days.to_string()),
    }
    add("Series", &series(said));
    add("Do not fill before", of("/prescription/earliest_fill"));
    add("Do not fill after", of("/prescription/last_fill"));
    add("Supervisor", of("/prescription/supervisor/name"));
    [
        format!(
            "{}  {}, born {}, record number {}",
            of("/signed_at"),
            of("/prescription/patient/name"),
            of("/prescription/patient/birth_date"),
            of("/prescription/patient/mrn"),
        ),
        format!(
            "    {} {} {}, {} {}, schedule {}, {refills} refills. {}.{more} DEA {}, {}. {}. {}{since}",
            of("/prescription/drug"),
            of("/prescription/strength"),
            of("/prescription/form"),
            of("/prescription/quantity"),
            of("/prescription/unit"),
            of("/prescription/schedule"),
            of("/prescription/directions"),
            of("/practitioner/dea"),
            of("/practitioner/name"),
            of("/prescription/pharmacy/name"),
            of("/id"),
        ),
        String::new(),
    ]
}

fn number(said: &Value, path: &str) -> i64 {
    said.pointer(path).and_then(Value::as_i64).unwrap_or_default()
}

/// Which of a series a record is, such as `2 of 3`; empty where it is of none.
pub fn series(said: &Value) -> String {
    match number(said, "/prescription/series/of") {
        0 => String::new(),
        of => format!("{} of {of}", number(said, "/prescription/series/number")),
    }
}

fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(it) => Json::Bool(*it),
        Value::Number(it) => Json::Int(it.as_i64()?),
        Value::String(it) => Json::Text(it.clone()),
        Value::Array(items) => Json::List(items.iter().map(json).collect::<Option<_>>()?),
        Value::Object(pairs) => Json::Object(
            pairs
                .iter()
                .map(|(name, value)| Some((name.clone(), json(value)?)))
                .collect::<Option<_>>()?,
        ),
    })
}
