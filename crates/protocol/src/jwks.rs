//! Sets of public keys as JSON (RFC 7517, 5; RFC 7518, 6): read once here, for providers, EHRs and our own records.

#[cfg(test)]
mod tests;

use countersign_crypto::{RsaVerifyingKey, VerifyingKey};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::Value;

use crate::jws::{Algorithm, JwsError, PublicKey};

/// Longest set, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Most keys that one signature is tried with.
const MAX_CANDIDATES: usize = 20;

/// The keys of a set that verify signatures of an [`Algorithm`]: EC on P-256, and RSA of 2048 to 8192 bits, whose `use`,
/// where they have one, is `sig`. Others are left out.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<(Option<String>, PublicKey)>,
}

impl KeySet {
    /// Reads a set. A key that can't be used is left out; one that is no JWK spoils the set.
    ///
    /// # Errors
    ///
    /// [`JwsError::TooLong`] beyond 256 KiB, [`JwsError::KeySet`] where it is no set.
    pub fn read(body: &[u8]) -> Result<Self, JwsError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Jwk>,
        }
        if body.len() > MAX_BYTES {
            return Err(JwsError::TooLong(MAX_BYTES));
        }
        let set: Set = serde_json::from_slice(body).map_err(|_| JwsError::KeySet)?;
        let for_signatures = set
            .keys
            .into_iter()
            .filter(|key| key.purpose.as_deref().is_none_or(|purpose| purpose == "sig"));
        let keys = for_signatures.filter_map(|key| Some((key.public_key()?, key.kid)));
        Ok(Self { keys: keys.map(|(key, kid)| (kid, key)).collect() })
    }

    /// The one key of this name for this algorithm.
    ///
    /// # Errors
    ///
    /// [`JwsError::UnknownKey`], or [`JwsError::AmbiguousKey`] where different keys have the name.
    pub fn named(&self, key_id: &str, algorithm: Algorithm) -> Result<&PublicKey, JwsError> {
        let mut named = self.of(algorithm).filter(|(kid, _)| *kid == Some(key_id));
        let (_, key) = named.next().ok_or(JwsError::UnknownKey)?;
        // A provider may list a key once for each algorithm that it signs with.
        if named.any(|(_, other)| other != key) {
            return Err(JwsError::AmbiguousKey);
        }
        Ok(key)
    }

    /// The keys that may have signed what names this key, or none: those of the name and those without one, at most 20.
    /// Where no key is named, every one may have (`OpenID` Connect Core 1.0, 10.1 asks for a name; not all give one).
    ///
    /// # Errors
    ///
    /// [`JwsError::UnknownKey`], or [`JwsError::AmbiguousKey`] where different keys have the name.
    pub fn fitting(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&PublicKey>, JwsError> {
        if let Some(key_id) = key_id
            && self.named(key_id, algorithm) == Err(JwsError::AmbiguousKey)
        {
            return Err(JwsError::AmbiguousKey);
        }
        let fits = |kid: Option<&str>| key_id.is_none() || kid.is_none() || kid == key_id;
        let fitting = self.of(algorithm).filter(|(kid, _)| fits(*kid)).map(|(_, key)| key);
        let fitting: Vec<&PublicKey> = fitting.take(MAX_CANDIDATES).collect();
        if fitting.is_empty() { Err(JwsError::UnknownKey) } else { Ok(fitting) }
    }

    fn of(&self, algorithm: Algorithm) -> impl Iterator<Item = (Option<&str>, &PublicKey)> {
        let all = self.keys.iter().map(|(kid, key)| (kid.as_deref(), key));
        all.filter(move |(_, key)| key.algorithm() == algorithm)
    }
}

/// A key of a set (RFC 7517, 4), as far as it is read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Jwk {
    /// The key, where it is of a kind that verifies. That a point is on the curve is checked at each verification.
    fn public_key(&self) -> Option<PublicKey> {
        // RFC 7515, 2 allows no padding here; some providers write it all the same, and it changes no key.
        let bytes = |text: &str| BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok();
        match self.kty.as_str() {
            "EC" if self.crv == "P-256" => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                // Each coordinate has its full length (RFC 7518, 6.2.1.2).
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                VerifyingKey::from_point(&[&[4], &x[..], &y[..]].concat()).ok().map(PublicKey::P256)
            }
            "RSA" => {
                let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                RsaVerifyingKey::from_components(&n, &e).ok().map(PublicKey::Rsa)
            }
            _ => None,
        }
    }
}

/// A P-256 key for a set of keys (RFC 7517), from its point: 65 bytes, uncompressed.
pub fn jwk(key_id: &str, point: &[u8]) -> Value {
    let part = |from: usize| point.get(from..from + 32).map(|it| BASE64URL_NOPAD.encode(it));
    serde_json::json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key_id,
        "x": part(1), "y": part(33),
    })
}
