//! The one reader and verifier of JWS in the compact serialization (RFC 7515, 3.1 and 5.2).
//!
//! Used for launches, ID tokens, signed records and the assertions of API clients. The caller names the limits and the
//! algorithms ([`Rules`]) and chooses the keys; nothing in a token does. A payload can be had in two ways: after a
//! signature was verified ([`Verified`]), or as [`unverified_payload`], to find the key.
//!
//! Of the header, `alg`, `kid`, `typ`, `crit` and `b64` are read. Keys in a header (`jwk`, `jku`, `x5c`, `x5u`) are never
//! used. Signatures are verified by `countersign_crypto` alone.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use countersign_crypto::{RsaVerifyingKey, VerifyingKey};
use data_encoding::BASE64URL_NOPAD;
use serde::{
    Deserialize,
    de::{DeserializeOwned, Deserializer, MapAccess, Visitor},
};
use serde_json::Value;
use thiserror::Error;

/// A signature algorithm that a caller may accept (RFC 7518, 3.1). There is no `none` and no HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256; the signature is r then s, 64 bytes (RFC 7518, 3.4).
    Es256,
    /// RSA with PKCS #1 v1.5 and SHA-256 (RFC 7518, 3.3); only for what identity providers sign.
    Rs256,
}

impl Algorithm {
    /// The value of `alg`, compared byte by byte.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// A public key, with the one algorithm that it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// For ES256.
    P256(VerifyingKey),
    /// For RS256.
    Rsa(RsaVerifyingKey),
}

impl PublicKey {
    /// The algorithm of this kind of key.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(key) => key.verify(message, signature).is_ok(),
            Self::Rsa(key) => key.verify(message, signature).is_ok(),
        }
    }
}

/// What the header's `typ` must be (RFC 7515, 4.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typ {
    /// It is not looked at.
    Any,
    /// Exactly this text where it is there.
    IfThere(&'static str),
}

/// Members of the header that are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherMembers {
    /// Ignored, as RFC 7515, 4 asks of a general reader.
    Ignored,
    /// Refused: for a profile of our own.
    Refused,
}

/// What a caller accepts.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Longest serialization, in bytes.
    pub max_bytes: usize,
    /// The algorithms that are accepted; one that is not listed is refused whatever the keys are.
    pub algorithms: &'a [Algorithm],
    /// What `typ` must be.
    pub typ: Typ,
    /// What becomes of other members of the header.
    pub other_members: OtherMembers,
}

/// Why a JWS, or a set of keys, is refused: the cause for a log line. Callers answer with codes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Longer than [`Rules::max_bytes`].
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Not three parts with a dot between them.
    #[error("not three parts")]
    Parts,
    /// A part is not base64url without padding, or has bits set beyond its last byte (RFC 4648, 3.2 and 3.5).
    #[error("the {0} is not base64url")]
    Base64(&'static str),
    /// The header is no JSON object.
    #[error("the header is no JSON object")]
    Header,
    /// The header has two members of one name (RFC 7515, 4).
    #[error("a member of the header stands twice")]
    Twice,
    /// A member of the header has a value of the wrong type.
    #[error("{0} in the header is no text")]
    MemberType(&'static str),
    /// The header has a member that the caller refuses.
    #[error("the header has a member that is not of the profile")]
    OtherMember,
    /// The header has `crit` or `b64`: it asks for an extension, and none is supported (RFC 7515, 4.1.11; RFC 7797).
    #[error("the header asks for an extension")]
    Extension,
    /// The header has no `alg`, or one that is no text.
    #[error("the header names no algorithm")]
    NoAlgorithm,
    /// `alg` is none of those that the caller accepts.
    #[error("the algorithm is not accepted")]
    Algorithm,
    /// `typ` is not what the caller demands.
    #[error("of another type")]
    Typ,
    /// The set of keys can't be read (RFC 7517, 5).
    #[error("no JSON Web Key Set")]
    KeySet,
    /// There is no key of this name and kind.
    #[error("no key of this name and kind")]
    UnknownKey,
    /// Several keys have this name and kind.
    #[error("several keys of this name and kind")]
    AmbiguousKey,
    /// The key is for another algorithm than the header names.
    #[error("the key is for another algorithm")]
    KeyKind,
    /// No key that was given has made the signature.
    #[error("the signature does not hold")]
    Signature,
    /// The payload is no JSON of the expected claims.
    #[error("the claims can't be read")]
    Claims,
}

/// A serialization that was read within its rules. Nothing is verified yet.
#[derive(Debug)]
pub struct Jws<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// What is signed: header and payload as they came (RFC 7515, 5.1).
    message: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Reads a compact serialization.
    ///
    /// # Errors
    ///
    /// What is wrong, the header first; see [`JwsError`].
    pub fn read(text: &'a str, rules: &Rules<'_>) -> Result<Self, JwsError> {
        if text.len() > rules.max_bytes {
            return Err(JwsError::TooLong(rules.max_bytes));
        }
        let (header, _) = text.split_once('.').ok_or(JwsError::Parts)?;
        let header = Header::read(&decoded(header, "header")?)?;
        let algorithm = header.checked(rules)?;
        let (_, payload, signature) = parts(text)?;
        let (message, _) = text.rsplit_once('.').ok_or(JwsError::Parts)?;
        let payload = decoded(payload, "payload")?;
        let signature = decoded(signature, "signature")?;
        Ok(Self { algorithm, key_id: header.key_id, message, payload, signature })
    }

    /// The name of the key (`kid`), where the header has one: a hint to look it up.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithm that the header names, one of those that the caller accepts.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies the signature with the keys that the caller chose: one of them must hold.
    ///
    /// # Errors
    ///
    /// [`JwsError::UnknownKey`] without a key, [`JwsError::KeyKind`] where all are of another kind than
    /// [`Jws::algorithm`], else [`JwsError::Signature`].
    pub fn verify<'k>(
        self,
        keys: impl IntoIterator<Item = &'k PublicKey>,
    ) -> Result<Verified, JwsError> {
        let mut error = JwsError::UnknownKey;
        for key in keys {
            if key.algorithm() == self.algorithm {
                if key.verifies(self.message.as_bytes(), &self.signature) {
                    return Ok(Verified(self.payload));
                }
                error = JwsError::Signature;
            } else if error == JwsError::UnknownKey {
                error = JwsError::KeyKind;
            }
        }
        Err(error)
    }
}

/// What was signed, by a key that the caller chose.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified(Vec<u8>);

impl Verified {
    /// The payload as it was signed.
    pub fn payload(&self) -> &[u8] {
        &self.0
    }

    /// The payload as JSON of this type. Types that derive `Deserialize` refuse a member that stands twice.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        serde_json::from_slice(&self.0).map_err(|_| JwsError::Claims)
    }
}

/// The payload of a serialization of which nothing is verified: to look up the key, or where the text was kept sealed.
pub fn unverified_payload(text: &str, max_bytes: usize) -> Result<Vec<u8>, JwsError> {
    if text.len() > max_bytes {
        return Err(JwsError::TooLong(max_bytes));
    }
    let (_, payload, _) = parts(text)?;
    decoded(payload, "payload")
}

fn parts(text: &str) -> Result<(&str, &str, &str), JwsError> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => Ok((header, payload, signature)),
        _ => Err(JwsError::Parts),
    }
}

fn decoded(part: &str, name: &'static str) -> Result<Vec<u8>, JwsError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| JwsError::Base64(name))
}

/// The members of a header that are read.
struct Header {
    algorithm: Option<String>,
    key_id: Option<String>,
    typ: Option<String>,
    typ_is_text: bool,
    extension: bool,
    other: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, JwsError> {
        let Members { members, twice } =
            serde_json::from_slice(bytes).map_err(|_| JwsError::Header)?;
        if twice {
            return Err(JwsError::Twice);
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        if members.contains_key("kid") && text("kid").is_none() {
            return Err(JwsError::MemberType("kid"));
        }
        let known = ["alg", "kid", "typ", "crit", "b64"];
        Ok(Self {
            algorithm: text("alg"),
            key_id: text("kid"),
            typ: text("typ"),
            typ_is_text: members.get("typ").is_none_or(Value::is_string),
            extension: members.contains_key("crit") || members.contains_key("b64"),
            other: members.keys().any(|name| !known.contains(&name.as_str())),
        })
    }

    /// The algorithm, if the header keeps to the rules.
    fn checked(&self, rules: &Rules<'_>) -> Result<Algorithm, JwsError> {
        if self.extension {
            return Err(JwsError::Extension);
        }
        if self.other && rules.other_members == OtherMembers::Refused {
            return Err(JwsError::OtherMember);
        }
        let named = self.algorithm.as_deref().ok_or(JwsError::NoAlgorithm)?;
        let accepted = rules.algorithms.iter().find(|accepted| accepted.name() == named);
        let algorithm = *accepted.ok_or(JwsError::Algorithm)?;
        match rules.typ {
            Typ::IfThere(_) if !self.typ_is_text => Err(JwsError::MemberType("typ")),
            Typ::IfThere(wanted) if self.typ.as_deref().is_some_and(|typ| typ != wanted) => {
                Err(JwsError::Typ)
            }
            _ => Ok(algorithm),
        }
    }
}

/// The members of a JSON object, and whether a name stands twice; `serde_json`'s own map would silently keep the last.
struct Members {
    members: BTreeMap<String, Value>,
    twice: bool,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut found = Members { members: BTreeMap::new(), twice: false };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    found.twice |= found.members.insert(name, value).is_some();
                }
                Ok(found)
            }
        }
        from.deserialize_map(Object)
    }
}
