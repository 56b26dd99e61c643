//! The relying party of `OpenID` Connect Core 1.0, code flow with PKCE (RFC 7636): who a proofing provider
//! says somebody is.
//!
//! Narrow on purpose: ES256 and RS256, one audience, a nonce, no key from anywhere but the provider's
//! `jwks_uri`. Nothing here knows HTTP; whoever calls carries what is asked.

#[cfg(test)]
mod tests;

use countersign_crypto::sha256;
use countersign_domain::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use thiserror::Error;

pub use crate::jwks::{KeySet, jwk};
use crate::{
    jws::{Algorithm, Jws, JwsError, OtherMembers, Rules, Typ},
    validity::{has_begun, if_there},
};

/// What an ID token may be: at most 16 KiB, of any `typ`.
const RULES: Rules<'_> = Rules {
    max_bytes: 16 * 1024,
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    typ: Typ::Any,
    other_members: OtherMembers::Ignored,
};
/// How far the provider's clock may be off, in seconds.
const SKEW_SECONDS: i64 = 60;
/// How old an ID token may be, in seconds.
const MOST_AGE_SECONDS: i64 = 600;

/// How we are known to a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The provider's issuer address.
    pub issuer: String,
    /// Our client ID there.
    pub id: String,
    /// Our client secret there.
    pub secret: Secret,
    /// What we ask for; sent as `acr_values` where not empty.
    pub acr_values: String,
}

/// A secret that is not printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a provider's answer counts for nothing; a stable code for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OidcError {
    /// Its description is no description, or of another issuer.
    #[error("the provider's description can't be used")]
    Discovery,
    /// The answer to the code is none.
    #[error("the provider's answer can't be read")]
    Malformed,
    /// No key of the provider has signed it.
    #[error("the signature of the ID token does not hold")]
    BadSignature,
    /// Another issuer, audience or nonce.
    #[error("the ID token is not for this request")]
    NotForUs,
    /// Too old, or from the future.
    #[error("the ID token's time is over, or has not come")]
    WrongTime,
}

impl OidcError {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Discovery => "provider_description",
            Self::Malformed => "provider_answer",
            Self::BadSignature => "provider_signature",
            Self::NotForUs => "provider_other_request",
            Self::WrongTime => "provider_time",
        }
    }
}

impl From<JwsError> for OidcError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Algorithm
            | JwsError::UnknownKey
            | JwsError::AmbiguousKey
            | JwsError::KeyKind
            | JwsError::Signature => Self::BadSignature,
            _ => Self::Malformed,
        }
    }
}

/// A provider's description (`OpenID` Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, Deserialize)]
pub struct Discovery {
    issuer: String,
    /// Where the person is sent.
    pub authorization_endpoint: String,
    /// Where a code is exchanged.
    pub token_endpoint: String,
    /// Where the keys are.
    pub jwks_uri: String,
}

impl Discovery {
    /// Where the description of an issuer lies.
    pub fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads it. All its addresses must be as safe as the issuer's own.
    pub fn read(issuer: &str, body: &[u8]) -> Result<Self, OidcError> {
        let found: Self = serde_json::from_slice(body).map_err(|_| OidcError::Discovery)?;
        let safe = |url: &str| {
            url.starts_with("https://")
                || (issuer.starts_with("http://") && url.starts_with("http://"))
        };
        let all = [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri];
        if found.issuer != issuer || !all.into_iter().all(|url| safe(url)) {
            return Err(OidcError::Discovery);
        }
        Ok(found)
    }
}

/// The challenge of a verifier (RFC 7636, 4.2: S256).
pub fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(verifier.as_bytes()))
}

/// Text for a query (RFC 3986: everything but unreserved characters is escaped).
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Where somebody is sent to be proofed.
pub fn authorization_url(
    discovery: &Discovery,
    client: &Client,
    redirect_uri: &str,
    state: &str,
    nonce: &str,
    verifier: &str,
) -> String {
    let mut url = discovery.authorization_endpoint.clone();
    url.push(if url.contains('?') { '&' } else { '?' });
    let challenge = challenge(verifier);
    let fields = [
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", redirect_uri),
        ("scope", "openid profile address"),
        ("state", state),
        ("nonce", nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("acr_values", &client.acr_values),
    ];
    url + &query(&fields)
}

/// The fields that say something, as a query.
pub fn query(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    pairs.join("&")
}

/// The answer to a code (section 3.1.3.3).
#[derive(Deserialize)]
pub struct TokenAnswer {
    /// The ID token.
    pub id_token: String,
}

impl TokenAnswer {
    /// Reads it.
    pub fn read(body: &[u8]) -> Result<Self, OidcError> {
        serde_json::from_slice(body).map_err(|_| OidcError::Malformed)
    }
}

/// What an ID token says, as far as it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct IdClaims {
    iss: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    iat: i64,
    #[serde(default, deserialize_with = "if_there")]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: String,
    /// The provider's name for the person.
    pub sub: String,
    /// Assurance, in the two ways in which providers write it.
    #[serde(default)]
    pub acr: String,
    /// See [`IdClaims::acr`].
    #[serde(default)]
    pub ial: String,
    /// Who it is at the EHR, as a reference (SMART App Launch 2).
    #[serde(default, rename = "fhirUser")]
    pub fhir_user: String,
    /// Given name.
    #[serde(default)]
    pub given_name: String,
    /// Middle names.
    #[serde(default)]
    pub middle_name: String,
    /// Family name.
    #[serde(default)]
    pub family_name: String,
    /// Date of birth, `YYYY-MM-DD`.
    #[serde(default)]
    pub birthdate: String,
    /// The NPI, where the provider knows it.
    #[serde(default)]
    pub npi: String,
    /// The address.
    #[serde(default)]
    pub address: Address,
    /// The provider is that of a demonstration, whose people are made up.
    #[serde(default)]
    pub demonstration: bool,
}

impl IdClaims {
    /// The value that stands for the assurance.
    pub fn assurance(&self) -> &str {
        if self.ial.is_empty() { &self.acr } else { &self.ial }
    }
}

/// The address claim (`OpenID` Connect Core 1.0, 5.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Address {
    /// All of it, in lines.
    #[serde(default)]
    pub formatted: String,
}

/// One audience, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Audience {
    fn is(&self, client: &str) -> bool {
        match self {
            Self::One(one) => one == client,
            // With others beside us somebody else could have got it.
            Self::Several(all) => matches!(all.as_slice(), [one] if one == client),
        }
    }
}

/// Checks an ID token (`OpenID` Connect Core 1.0, 3.1.3.7).
pub fn verify(
    token: &str,
    keys: &KeySet,
    client: &Client,
    nonce: &str,
    now: Timestamp,
) -> Result<IdClaims, OidcError> {
    let jws = Jws::read(token, &RULES)?;
    let keys = keys.fitting(jws.key_id(), jws.algorithm())?;
    let claims: IdClaims = jws.verify(keys)?.claims()?;
    let other_party = claims.azp.as_deref().is_some_and(|azp| azp != client.id);
    if claims.iss != client.issuer
        || !claims.aud.is(&client.id)
        || other_party
        || nonce.is_empty()
        || claims.nonce != nonce
        || claims.sub.is_empty()
    {
        return Err(OidcError::NotForUs);
    }
    let (at, now, issued) = (now, now.seconds(), claims.iat);
    if now >= claims.exp.saturating_add(SKEW_SECONDS)
        || !has_begun(Some(issued), claims.nbf, at, SKEW_SECONDS)
        || issued < now - MOST_AGE_SECONDS
    {
        return Err(OidcError::WrongTime);
    }
    Ok(claims)
}
