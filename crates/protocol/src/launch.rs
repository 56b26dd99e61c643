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

use countersign_crypto::{SigningKey, VerifyingKey};
use countersign_domain::{EhrId, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use thiserror::Error;

pub(crate) use self::claims::check_name;
use self::claims::read_ehr_id;
pub use self::claims::{LaunchClaims, LaunchPatient};
use crate::{
    jws::{Algorithm, Jws, JwsError, OtherMembers, PublicKey, Rules, Typ, unverified_payload},
    validity::has_begun,
};

/// Longest launch token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// How far the EHR's clock may be ahead of ours, in seconds.
pub const MAX_CLOCK_AHEAD_SECONDS: i64 = 30;

/// What a launch token may be. One key per EHR today, so that `kid` may be there and finds none.
const RULES: Rules<'_> = Rules {
    max_bytes: MAX_TOKEN_BYTES,
    algorithms: &[Algorithm::Es256],
    typ: Typ::IfThere("JWT"),
    other_members: OtherMembers::Refused,
};

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

impl From<JwsError> for LaunchError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::TooLong(_) => Self::TooLong,
            JwsError::Algorithm => Self::WrongAlgorithm,
            JwsError::Typ => Self::WrongType,
            JwsError::UnknownKey
            | JwsError::AmbiguousKey
            | JwsError::KeyKind
            | JwsError::Signature => Self::BadSignature,
            _ => Self::Malformed,
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
    let payload = unverified_payload(token, MAX_TOKEN_BYTES)?;
    serde_json::from_slice(&payload)
        .map(|claims: Issuer| claims.iss)
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
    let key = PublicKey::P256(key.clone());
    let claims: LaunchClaims = Jws::read(token, &RULES)?.verify([&key])?.claims()?;
    if claims.aud != audience {
        return Err(LaunchError::WrongAudience);
    }
    check_times(&claims, now, max_age_seconds)?;
    claims.check()?;
    Ok(claims)
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
