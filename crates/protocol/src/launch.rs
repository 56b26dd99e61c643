//! The launch token: how an EHR opens the e-prescribing app for a clinician and a patient.
//!
//! A compact JWT (RFC 7519) that the EHR's server signs with ES256 (RFC 7518, 3.4) and that the
//! browser carries to us. It is short-lived; that it is used once is the caller's part, who keeps
//! [`LaunchClaims::jti`] until [`LaunchClaims::exp`]. The ID is what must be kept, not the token:
//! an ECDSA signature has a second valid form, so one launch can be written in two ways.
//!
//! The profile is narrower than the RFC on purpose: a header of `alg`, `typ` and `kid` only, one
//! audience as a string, whole seconds, and no claim beside those of [`LaunchClaims`]. What we
//! would not understand (`crit`, an embedded key) is refused, never skipped.

mod claims;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use countersign_crypto::{SigningKey, VerifyingKey};
use countersign_domain::{EhrId, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    dangerous::insecure_decode_claims,
    decode,
    errors::{Error as JwtError, ErrorKind},
    signature::{Error as SignatureError, Verifier},
};
use serde::Deserialize;
use thiserror::Error;

pub(crate) use self::claims::check_name;
use self::claims::read_ehr_id;
pub use self::claims::{LaunchClaims, LaunchPatient};
use crate::validity::has_begun;

/// Longest launch token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// How far the EHR's clock may be ahead of ours, in seconds.
pub const MAX_CLOCK_AHEAD_SECONDS: i64 = 30;

const HEADER: &str = r#"{"alg":"ES256","typ":"JWT"}"#;

/// Why a launch was refused, or could not be made.
///
/// For the audit record and the log; a person is told to open the app again from the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LaunchError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the launch token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// No compact JWT of our profile: parts, base64url, JSON, a claim missing, unknown or of the
    /// wrong type.
    #[error("the launch token is malformed")]
    Malformed,
    /// The header names an algorithm other than ES256, or none.
    #[error("the launch token is not signed with ES256")]
    WrongAlgorithm,
    /// The header's `typ` is there and is not `JWT`.
    #[error("the launch token is of another type")]
    WrongType,
    /// The signature is not the EHR's over these claims.
    #[error("the signature of the launch token does not hold")]
    BadSignature,
    /// It was made for another installation.
    #[error("the launch token is for another audience")]
    WrongAudience,
    /// It has ended, or was signed longer ago than allowed.
    #[error("the launch token has expired")]
    Expired,
    /// It was signed more than [`MAX_CLOCK_AHEAD_SECONDS`] after our present.
    #[error("the launch token comes from the future: compare the clocks of both servers")]
    FromTheFuture,
    /// It would be valid for longer than allowed, or ends before it begins.
    #[error("the launch token's lifetime is not allowed")]
    WrongLifetime,
    /// A claim is too long, too short or has characters it must not have.
    #[error("the launch token's claim {0} is not allowed")]
    BadClaim(&'static str),
    /// The FIPS module did not sign.
    #[error("the launch token could not be signed")]
    NotSigned,
}

impl LaunchError {
    /// Stable code for logs and audit events.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "launch_too_long",
            Self::Malformed => "launch_malformed",
            Self::WrongAlgorithm => "launch_wrong_algorithm",
            Self::WrongType => "launch_wrong_type",
            Self::BadSignature => "launch_bad_signature",
            Self::WrongAudience => "launch_wrong_audience",
            Self::Expired => "launch_expired",
            Self::FromTheFuture => "launch_from_the_future",
            Self::WrongLifetime => "launch_wrong_lifetime",
            Self::BadClaim(claim) => claim_code(claim),
            Self::NotSigned => "launch_not_signed",
        }
    }
}

/// The code of a claim that is not allowed.
const fn claim_code(claim: &str) -> &'static str {
    match claim.as_bytes() {
        b"patient.name" => "launch_patient_name",
        b"patient.birth_date" => "launch_patient_birth_date",
        _ => "launch_bad_claim",
    }
}

/// Signs a launch, as the EHR's server does.
///
/// Refuses claims whose shape [`verify_launch`] would refuse; times and audience are not judged.
pub fn sign_launch(key: &SigningKey, claims: &LaunchClaims) -> Result<String, LaunchError> {
    claims.check()?;
    let payload = serde_json::to_vec(claims).map_err(|_| LaunchError::Malformed)?;
    let mut token = BASE64URL_NOPAD.encode(HEADER.as_bytes());
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&payload));
    // Not `jsonwebtoken::encode`: it wants the private key as bytes, which never leave the module.
    let signature = key.sign(token.as_bytes()).map_err(|_| LaunchError::NotSigned)?;
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&signature));
    if token.len() > MAX_TOKEN_BYTES { Err(LaunchError::TooLong) } else { Ok(token) }
}

/// The EHR that a token claims to be from, to look up its key. Nothing is verified yet.
pub fn peek_issuer(token: &str) -> Result<EhrId, LaunchError> {
    #[derive(Deserialize)]
    struct Issuer {
        #[serde(deserialize_with = "read_ehr_id")]
        iss: EhrId,
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(LaunchError::TooLong);
    }
    insecure_decode_claims::<Issuer>(token)
        .map(|claims| claims.iss)
        .map_err(|_| LaunchError::Malformed)
}

/// Checks a launch that was signed with `key` for `audience` and may be used `now`.
///
/// `max_age_seconds` bounds both the time since it was signed and its whole lifetime.
pub fn verify_launch(
    token: &str,
    key: &VerifyingKey,
    audience: &str,
    now: Timestamp,
    max_age_seconds: i64,
) -> Result<LaunchClaims, LaunchError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(LaunchError::TooLong);
    }
    check_header(token)?;
    install_crypto();
    let claims = decode::<LaunchClaims>(
        token,
        &DecodingKey::from_ec_der(key.point()),
        &validation(audience),
    )
    .map_err(|error| refusal(&error))?
    .claims;
    check_times(&claims, now, max_age_seconds)?;
    claims.check()?;
    Ok(claims)
}

/// Looks at the header before the library does.
///
/// The library has no reading of `alg: none` and skips header members that it does not know.
fn check_header(token: &str) -> Result<(), LaunchError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        alg: String,
        typ: Option<String>,
        // One key per EHR today; the EHR may still name it.
        #[serde(rename = "kid")]
        _kid: Option<String>,
    }
    let (header, _) = token.split_once('.').ok_or(LaunchError::Malformed)?;
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| LaunchError::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| LaunchError::Malformed)?;
    if header.alg != "ES256" {
        return Err(LaunchError::WrongAlgorithm);
    }
    if header.typ.is_some_and(|typ| typ != "JWT") {
        return Err(LaunchError::WrongType);
    }
    Ok(())
}

fn validation(audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    // The library reads the system's clock; ours is handed in, so times are checked by us.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.required_spec_claims.clear();
    validation
}

fn refusal(error: &JwtError) -> LaunchError {
    match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidEcdsaKey => LaunchError::BadSignature,
        ErrorKind::InvalidAlgorithm => LaunchError::WrongAlgorithm,
        ErrorKind::InvalidAudience => LaunchError::WrongAudience,
        _ => LaunchError::Malformed,
    }
}

fn check_times(
    claims: &LaunchClaims,
    now: Timestamp,
    max_age_seconds: i64,
) -> Result<(), LaunchError> {
    let signed = Timestamp::from_seconds(claims.iat);
    let end = Timestamp::from_seconds(claims.exp);
    if !has_begun(Some(claims.iat), claims.nbf, now, MAX_CLOCK_AHEAD_SECONDS) {
        return Err(LaunchError::FromTheFuture);
    }
    if end <= now || signed < now.plus_seconds(-max_age_seconds) {
        return Err(LaunchError::Expired);
    }
    if end <= signed || end > signed.plus_seconds(max_age_seconds) {
        return Err(LaunchError::WrongLifetime);
    }
    Ok(())
}

/// Gives `jsonwebtoken` the FIPS module for its cryptography, once per process.
fn install_crypto() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        // We sign with a key that never leaves the module: see `sign_launch`.
        signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        verifier_factory: |algorithm, key| es256_verifier(*algorithm, key),
        key_utils: KeyUtils {
            rsa_pub_components_from_private_key: |_| Err(ErrorKind::UnsupportedAlgorithm.into()),
            rsa_pub_components_from_public_key: |_| Err(ErrorKind::UnsupportedAlgorithm.into()),
            ec_pub_components_from_private_key: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
            ed_pub_components_from_private_key: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
            compute_digest: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        },
    };
    static INSTALLED: OnceLock<()> = OnceLock::new();
    // A second installation is refused by the library and changes nothing.
    INSTALLED.get_or_init(|| {
        PROVIDER.install_default().ok();
    });
}

struct Es256Verifier(VerifyingKey);

impl Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.0.verify(message, signature).map_err(SignatureError::from_source)
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

fn es256_verifier(
    algorithm: Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, JwtError> {
    if algorithm != Algorithm::ES256 || key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    VerifyingKey::from_point(key.try_get_as_bytes()?)
        .map(|key| Box::new(Es256Verifier(key)) as Box<dyn JwtVerifier>)
        .map_err(|_| ErrorKind::InvalidEcdsaKey.into())
}
