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

use std::{fmt, sync::OnceLock};

use countersign_crypto::{Rng, RngError, SigningKey, VerifyingKey, random_array};
use countersign_domain::{Date, EhrId, TextError, TimeZone, Timestamp, check_line, one_script};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    dangerous::insecure_decode_claims,
    decode,
    errors::{Error as JwtError, ErrorKind},
    signature::{Error as SignatureError, Verifier},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::validity::{has_begun, if_there};

/// Longest launch token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// How far the EHR's clock may be ahead of ours, in seconds.
pub const MAX_CLOCK_AHEAD_SECONDS: i64 = 30;

const HEADER: &str = r#"{"alg":"ES256","typ":"JWT"}"#;
const MAX_USER_BYTES: usize = 64;
const MAX_PATIENT_ID_BYTES: usize = 64;
const MAX_MRN_BYTES: usize = 32;
/// Longest name of a patient, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 128;
const MAX_JTI_BYTES: usize = 64;
const MIN_JTI_RANDOM_BYTES: usize = 16;

/// What a launch says, under the names that RFC 7519 gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchClaims {
    /// The EHR.
    #[serde(serialize_with = "write_ehr_id", deserialize_with = "read_ehr_id")]
    pub iss: EhrId,
    /// The public URL of this installation, as configured.
    pub aud: String,
    /// The clinician, by the name the EHR knows: 1 to 64 visible ASCII characters.
    pub sub: String,
    /// The patient whose chart is open.
    pub patient: LaunchPatient,
    /// When it was signed, in seconds since the epoch.
    pub iat: i64,
    /// When it ends, in seconds since the epoch; that second is already too late.
    pub exp: i64,
    /// From when on it holds, in seconds since the epoch, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_there")]
    pub nbf: Option<i64>,
    /// Names this launch: base64url of at least 128 random bits. See [`LaunchClaims::random_jti`].
    pub jti: String,
}

impl LaunchClaims {
    /// A fresh `jti` of 256 random bits.
    pub fn random_jti(rng: &mut dyn Rng) -> Result<String, RngError> {
        Ok(BASE64URL_NOPAD.encode(&random_array::<32>(rng)?))
    }

    /// The shape of every field; both sides hold to it, so that nothing is signed that we refuse.
    fn check(&self) -> Result<(), LaunchError> {
        let signed = Timestamp::from_seconds(self.iat);
        let jti_random_bytes = BASE64URL_NOPAD.decode(self.jti.as_bytes()).map_or(0, |b| b.len());
        let fields = [
            ("sub", is_visible_ascii(&self.sub, MAX_USER_BYTES)),
            ("jti", self.jti.len() <= MAX_JTI_BYTES && jti_random_bytes >= MIN_JTI_RANDOM_BYTES),
        ];
        let mut all = self.patient.fields(signed).into_iter().chain(fields);
        match all.find(|(_, holds)| !holds) {
            Some((claim, _)) => Err(LaunchError::BadClaim(claim)),
            None => Ok(()),
        }
    }
}

/// The patient of a launch. Never shown by `Debug`, so that no log line holds one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchPatient {
    /// The EHR's ID: 1 to 64 visible ASCII characters.
    pub id: String,
    /// Full name: 1 to 128 characters of one line in which everything is seen ([`check_line`]), without a space at
    /// either end, and with letters of one script ([`one_script`]).
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`; a day that has begun somewhere on earth.
    pub birth_date: String,
    /// Medical record number: 1 to 32 visible ASCII characters.
    pub mrn: String,
}

impl LaunchPatient {
    /// Each field, and whether it has its shape at this moment.
    fn fields(&self, now: Timestamp) -> [(&'static str, bool); 4] {
        [
            ("patient.id", is_visible_ascii(&self.id, MAX_PATIENT_ID_BYTES)),
            ("patient.name", is_name(&self.name)),
            ("patient.birth_date", is_date(&self.birth_date) && !self.is_unborn(now)),
            ("patient.mrn", is_visible_ascii(&self.mrn, MAX_MRN_BYTES)),
        ]
    }

    /// Whether the date of birth is a day that has begun nowhere on earth (UTC+14 is first).
    fn is_unborn(&self, now: Timestamp) -> bool {
        let first = now.plus_seconds(14 * 3_600);
        self.birth_date.parse().is_ok_and(|born: Date| born > Date::at(first, &TimeZone::UTC))
    }

    /// A field that has not its shape at this moment, and what is wrong with it.
    pub fn wrong_field(&self, now: Timestamp) -> Option<(&'static str, String)> {
        let (field, _) = self.fields(now).into_iter().find(|(_, holds)| !holds)?;
        let visible = |most: usize| {
            format!("Send 1 to {most} letters, digits and signs of ASCII, without spaces.")
        };
        let said = match (field, check_name(&self.name)) {
            ("patient.name", Err(error)) => error.to_string(),
            ("patient.name", Ok(())) => {
                format!("Send 1 to {MAX_NAME_CHARS} characters, without a space at either end.")
            }
            ("patient.id", _) => visible(MAX_PATIENT_ID_BYTES),
            ("patient.mrn", _) => visible(MAX_MRN_BYTES),
            _ if self.is_unborn(now) => "This day has not come yet.".to_owned(),
            _ => "Send a day of the calendar, such as 1961-04-12.".to_owned(),
        };
        Some((field, said))
    }
}

impl fmt::Debug for LaunchPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaunchPatient")
    }
}

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
            Self::BadClaim(_) => "launch_bad_claim",
            Self::NotSigned => "launch_not_signed",
        }
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

fn is_visible_ascii(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && check_name(text).is_ok()
}

/// One line of letters of one script: a look-alike letter of another one would make a different patient of it.
pub(crate) fn check_name(text: &str) -> Result<(), TextError> {
    check_line(text, MAX_NAME_CHARS)?;
    one_script(text)
}

fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| -> Option<u32> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    text.len() == 10
        && text.get(4..5) == Some("-")
        && text.get(7..8) == Some("-")
        && (1..=days).contains(&day)
}

fn write_ehr_id<S: Serializer>(id: &EhrId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn read_ehr_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EhrId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
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

#[cfg(test)]
mod tests {
    use super::*;

    use countersign_crypto::{HmacAlgorithm, HmacKey, SystemRng};
    use jsonwebtoken::EncodingKey;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const AUDIENCE: &str = "http://127.0.0.1:8480";
    const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);
    const MAX_AGE: i64 = 60;

    fn key() -> SigningKey {
        SigningKey::generate().unwrap().0
    }

    fn claims() -> LaunchClaims {
        LaunchClaims {
            iss: EhrId::from_slice(&[7; 16]).unwrap(),
            aud: AUDIENCE.to_owned(),
            sub: "dr.test".to_owned(),
            patient: LaunchPatient {
                id: "p-1".to_owned(),
                name: "Zoë Ünreal-Sample".to_owned(),
                birth_date: "1972-02-29".to_owned(),
                mrn: "TEST-1".to_owned(),
            },
            iat: NOW.seconds(),
            exp: NOW.seconds() + MAX_AGE,
            nbf: None,
            jti: LaunchClaims::random_jti(&mut SystemRng).unwrap(),
        }
    }

    /// A token of any header and payload, rightly signed.
    fn forge(key: &SigningKey, header: &Value, payload: &Value) -> String {
        let message = unsigned(header, payload);
        let signature = key.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn unsigned(header: &Value, payload: &Value) -> String {
        let [header, payload] =
            [header, payload].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
        format!("{header}.{payload}")
    }

    fn es256() -> Value {
        json!({ "alg": "ES256", "typ": "JWT" })
    }

    fn verify(key: &SigningKey, token: &str) -> Result<LaunchClaims, LaunchError> {
        verify_launch(token, &key.verifying_key(), AUDIENCE, NOW, MAX_AGE)
    }

    /// Changes the payload, signs it rightly and verifies.
    fn verify_changed(change: impl FnOnce(&mut Value)) -> Result<LaunchClaims, LaunchError> {
        let key = key();
        let mut payload = serde_json::to_value(claims()).unwrap();
        change(&mut payload);
        verify(&key, &forge(&key, &es256(), &payload))
    }

    #[test]
    fn a_launch_goes_round() {
        let key = key();
        let claims = claims();
        let token = sign_launch(&key, &claims).unwrap();
        assert_eq!(peek_issuer(&token), Ok(claims.iss));
        assert_eq!(verify(&key, &token), Ok(claims));
    }

    #[test]
    fn two_launches_have_different_ids() {
        assert_ne!(claims().jti, claims().jti);
        assert_eq!(claims().jti.len(), 43);
    }

    #[test]
    fn a_changed_character_anywhere_is_refused() {
        let key = key();
        let token = sign_launch(&key, &claims()).unwrap();
        for at in 0..token.len() {
            for other in ["A", "Q", ".", "=", "\u{e9}", ""] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, other);
                if changed != token {
                    assert!(verify(&key, &changed).is_err(), "{at} {other:?}");
                }
            }
        }
    }

    #[test]
    fn a_changed_part_is_refused_by_its_signature() {
        let key = key();
        let one = sign_launch(&key, &claims()).unwrap();
        let two =
            sign_launch(&key, &LaunchClaims { sub: "dr.other".to_owned(), ..claims() }).unwrap();
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&one), parts(&two));
        let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ES256"}"#);
        for mixed in [
            format!("{header}.{}.{}", one[1], one[2]),
            format!("{}.{}.{}", one[0], two[1], one[2]),
            format!("{}.{}.{}", one[0], one[1], two[2]),
            format!("{}.{}.", one[0], one[1]),
        ] {
            assert_eq!(verify(&key, &mixed), Err(LaunchError::BadSignature));
        }
    }

    #[test]
    fn the_key_of_another_ehr_is_refused() {
        let token = sign_launch(&key(), &claims()).unwrap();
        assert_eq!(verify(&key(), &token), Err(LaunchError::BadSignature));
    }

    #[test]
    fn a_key_off_the_curve_is_refused() {
        let token = sign_launch(&key(), &claims()).unwrap();
        let mut point = [1; 65];
        point[0] = 4;
        let off_curve = VerifyingKey::from_point(&point).unwrap();
        assert_eq!(
            verify_launch(&token, &off_curve, AUDIENCE, NOW, MAX_AGE),
            Err(LaunchError::BadSignature)
        );
    }

    #[test]
    fn no_algorithm_is_refused() {
        let key = key();
        let payload = serde_json::to_value(claims()).unwrap();
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            let header = json!({ "alg": alg, "typ": "JWT" });
            let message = unsigned(&header, &payload);
            assert_eq!(verify(&key, &format!("{message}.")), Err(LaunchError::WrongAlgorithm));
            assert_eq!(
                verify(&key, &forge(&key, &header, &payload)),
                Err(LaunchError::WrongAlgorithm)
            );
            assert_eq!(verify(&key, &message), Err(LaunchError::WrongAlgorithm));
        }
    }

    #[test]
    fn the_public_key_is_no_hmac_secret() {
        let key = key();
        let payload = serde_json::to_value(claims()).unwrap();
        let message = unsigned(&json!({ "alg": "HS256", "typ": "JWT" }), &payload);
        let public = key.verifying_key();
        let tag = HmacKey::new(HmacAlgorithm::Sha256, public.point()).tag(message.as_bytes());
        let token = format!("{message}.{}", BASE64URL_NOPAD.encode(tag.as_ref()));
        assert_eq!(verify(&key, &token), Err(LaunchError::WrongAlgorithm));
    }

    #[test]
    fn other_algorithms_are_refused() {
        let key = key();
        let payload = serde_json::to_value(claims()).unwrap();
        for alg in ["ES384", "RS256", "PS256", "EdDSA", "HS512", "es256", "ES256K"] {
            let token = forge(&key, &json!({ "alg": alg }), &payload);
            assert_eq!(verify(&key, &token), Err(LaunchError::WrongAlgorithm), "{alg}");
        }
    }

    #[test]
    fn the_library_itself_takes_nothing_but_es256() {
        install_crypto();
        let key = key().verifying_key();
        let public = DecodingKey::from_ec_der(key.point());
        let secret = DecodingKey::from_secret(key.point());
        assert!(es256_verifier(Algorithm::ES256, &public).is_ok());
        assert!(es256_verifier(Algorithm::ES384, &public).is_err());
        assert!(es256_verifier(Algorithm::HS256, &secret).is_err());
        assert!(es256_verifier(Algorithm::ES256, &secret).is_err());
        let header = jsonwebtoken::Header::new(Algorithm::ES256);
        let private = EncodingKey::from_ec_der(b"");
        assert!(jsonwebtoken::encode(&header, &claims(), &private).is_err());
    }

    #[test]
    fn the_header_holds_nothing_that_we_would_skip() {
        let key = key();
        let payload = serde_json::to_value(claims()).unwrap();
        let with = |header: Value| verify(&key, &forge(&key, &header, &payload));
        assert!(with(json!({ "alg": "ES256" })).is_ok());
        assert!(with(json!({ "alg": "ES256", "typ": "JWT", "kid": "1" })).is_ok());
        for typ in ["jwt", "at+jwt", "JOSE", ""] {
            assert_eq!(
                with(json!({ "alg": "ES256", "typ": typ })),
                Err(LaunchError::WrongType),
                "{typ}"
            );
        }
        for member in ["crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc", "cty", "other"] {
            assert_eq!(
                with(json!({ "alg": "ES256", member: "x" })),
                Err(LaunchError::Malformed),
                "{member}"
            );
        }
        for header in [json!({}), json!([]), json!("ES256"), json!({ "alg": 1 }), json!(null)] {
            assert_eq!(with(header), Err(LaunchError::Malformed));
        }
    }

    #[test]
    fn a_member_written_twice_is_refused() {
        let key = key();
        let payload = serde_json::to_string(&claims()).unwrap();
        let twice = payload.replacen('{', r#"{"sub":"dr.other","#, 1);
        let header = BASE64URL_NOPAD.encode(HEADER.as_bytes());
        let message = format!("{header}.{}", BASE64URL_NOPAD.encode(twice.as_bytes()));
        let signature = BASE64URL_NOPAD.encode(&key.sign(message.as_bytes()).unwrap());
        let token = format!("{message}.{signature}");
        assert_eq!(verify(&key, &token), Err(LaunchError::Malformed));
    }

    #[test]
    fn another_audience_is_refused() {
        for audience in [
            "http://127.0.0.1:8480/",
            "http://127.0.0.1:848",
            "HTTP://127.0.0.1:8480",
            "http://127.0.0.1:8481",
            "",
        ] {
            assert_eq!(
                verify_changed(|claims| claims["aud"] = json!(audience)),
                Err(LaunchError::WrongAudience),
                "{audience}"
            );
        }
        for audience in [json!([AUDIENCE]), json!([]), json!(null), json!(1)] {
            assert_eq!(
                verify_changed(|claims| claims["aud"] = audience),
                Err(LaunchError::Malformed)
            );
        }
    }

    #[test]
    fn times_are_judged_by_the_clock_handed_in() {
        let key = key();
        let token = sign_launch(&key, &claims()).unwrap();
        let at = |now: Timestamp| {
            verify_launch(&token, &key.verifying_key(), AUDIENCE, now, MAX_AGE).map(|_| ())
        };
        assert_eq!(at(NOW), Ok(()));
        assert_eq!(at(NOW.plus_seconds(MAX_AGE - 1)), Ok(()));
        assert_eq!(at(NOW.plus_seconds(MAX_AGE)), Err(LaunchError::Expired));
        assert_eq!(at(NOW.plus_seconds(86_400)), Err(LaunchError::Expired));
        assert_eq!(at(NOW.plus_seconds(-30)), Ok(()));
        assert_eq!(at(NOW.plus_seconds(-31)), Err(LaunchError::FromTheFuture));
        assert_eq!(at(Timestamp::from_seconds(i64::MIN)), Err(LaunchError::FromTheFuture));
        assert_eq!(at(Timestamp::from_seconds(i64::MAX)), Err(LaunchError::Expired));
    }

    #[test]
    fn lifetimes_are_bounded() {
        let with = |iat: i64, exp: i64| {
            verify_changed(|claims| {
                claims["iat"] = json!(iat);
                claims["exp"] = json!(exp);
            })
            .map(|_| ())
        };
        let now = NOW.seconds();
        assert_eq!(with(now, now + 60), Ok(()));
        assert_eq!(with(now, now + 61), Err(LaunchError::WrongLifetime));
        assert_eq!(with(now + 5, now + 5), Err(LaunchError::WrongLifetime));
        assert_eq!(with(now + 5, now + 1), Err(LaunchError::WrongLifetime));
        assert_eq!(with(now - 60, now), Err(LaunchError::Expired));
        assert_eq!(with(now - 61, now + 1), Err(LaunchError::Expired));
        assert_eq!(with(i64::MIN, i64::MAX), Err(LaunchError::Expired));
        assert_eq!(with(now, i64::MAX), Err(LaunchError::WrongLifetime));
        assert_eq!(with(i64::MAX, i64::MAX), Err(LaunchError::FromTheFuture));
        assert_eq!(with(now, i64::MIN), Err(LaunchError::Expired));
    }

    #[test]
    fn a_launch_that_does_not_hold_yet_is_refused() {
        let from = |nbf: serde_json::Value| {
            verify_changed(|claims| claims["nbf"] = nbf.clone()).map(|_| ())
        };
        let now = NOW.seconds();
        for good in [i64::MIN, 0, now, now + MAX_CLOCK_AHEAD_SECONDS] {
            assert_eq!(from(json!(good)), Ok(()), "{good}");
        }
        for early in [now + MAX_CLOCK_AHEAD_SECONDS + 1, i64::MAX] {
            assert_eq!(from(json!(early)), Err(LaunchError::FromTheFuture), "{early}");
        }
        for odd in [json!(1.5), json!("0"), json!(null)] {
            assert_eq!(from(odd.clone()), Err(LaunchError::Malformed), "{odd}");
        }
    }

    #[test]
    fn a_time_that_is_no_whole_number_is_refused() {
        for time in [json!(1.5), json!("1780000000"), json!(1e300), json!(null), json!(u64::MAX)] {
            for claim in ["iat", "exp"] {
                assert_eq!(
                    verify_changed(|claims| claims[claim] = time.clone()),
                    Err(LaunchError::Malformed),
                    "{claim} {time}"
                );
            }
        }
    }

    #[test]
    fn a_missing_or_unknown_claim_is_refused() {
        for claim in ["iss", "aud", "sub", "patient", "iat", "exp", "jti"] {
            assert_eq!(
                verify_changed(|claims| {
                    claims.as_object_mut().unwrap().remove(claim);
                }),
                Err(LaunchError::Malformed),
                "{claim}"
            );
        }
        for claim in ["id", "name", "birth_date", "mrn"] {
            assert_eq!(
                verify_changed(|claims| {
                    claims["patient"].as_object_mut().unwrap().remove(claim);
                }),
                Err(LaunchError::Malformed),
                "{claim}"
            );
        }
        assert_eq!(
            verify_changed(|claims| claims["iss"] = json!("not-an-id")),
            Err(LaunchError::Malformed)
        );
    }

    #[test]
    fn every_text_is_bounded_and_plain() {
        let refused: [(&str, &str, Vec<String>); 6] = [
            (
                "/sub",
                "sub",
                vec![
                    String::new(),
                    "a".repeat(65),
                    "dr test".into(),
                    "dr\n".into(),
                    "dr\0".into(),
                    "d\u{e9}".into(),
                ],
            ),
            ("/patient/id", "patient.id", vec![String::new(), "p".repeat(65), "p 1".into()]),
            (
                "/patient/name",
                "patient.name",
                vec![
                    String::new(),
                    " ".into(),
                    "n".repeat(129),
                    "A\nB".into(),
                    "A\tB".into(),
                    "A\0B".into(),
                    "A\u{202e}B".into(),
                    "A\u{2066}B".into(),
                    "A\u{85}B".into(),
                    "A\u{2028}B".into(),
                    "A\u{200c}B".into(),
                    "A\u{e000}B".into(),
                    "A\u{fffd}B".into(),
                    "\u{301}A".into(),
                    "A ".into(),
                ],
            ),
            (
                "/patient/birth_date",
                "patient.birth_date",
                vec![
                    String::new(),
                    "1972-2-29".into(),
                    "1971-02-29".into(),
                    "1900-02-29".into(),
                    "1972-04-31".into(),
                    "1972-13-01".into(),
                    "1972-00-10".into(),
                    "1972-01-00".into(),
                    "1972/01/01".into(),
                    "1972-01-01T".into(),
                    "+972-01-01".into(),
                    "72-01-01".into(),
                    "\u{e9}\u{e9}-01-01\u{e9}".into(),
                ],
            ),
            ("/patient/mrn", "patient.mrn", vec![String::new(), "m".repeat(33), "1\r".into()]),
            (
                "/jti",
                "jti",
                vec![
                    String::new(),
                    "A".repeat(21),
                    "A".repeat(65),
                    "A".repeat(66),
                    format!("{}=", "A".repeat(22)),
                    "+".repeat(24),
                    " ".repeat(24),
                ],
            ),
        ];
        for (pointer, claim, texts) in refused {
            for text in texts {
                let result = verify_changed(|claims| {
                    *claims.pointer_mut(pointer).unwrap() = json!(text);
                });
                assert_eq!(result, Err(LaunchError::BadClaim(claim)), "{pointer} {text:?}");
            }
        }
        let accepted = [
            ("/sub", "a".repeat(64)),
            ("/patient/id", "p".repeat(64)),
            ("/patient/name", "\u{e9}".repeat(128)),
            // A Persian name, with the joiner that it is written with.
            ("/patient/name", "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}".to_owned()),
            ("/patient/birth_date", "2000-02-29".to_owned()),
            ("/patient/mrn", "m".repeat(32)),
            ("/jti", "A".repeat(64)),
            ("/jti", "AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ];
        for (pointer, text) in accepted {
            let result =
                verify_changed(|claims| *claims.pointer_mut(pointer).unwrap() = json!(text));
            assert!(result.is_ok(), "{pointer} {text:?}");
        }
    }

    #[test]
    fn nothing_is_signed_that_would_be_refused() {
        let bad = LaunchClaims { sub: "two words".to_owned(), ..claims() };
        assert_eq!(sign_launch(&key(), &bad), Err(LaunchError::BadClaim("sub")));
        let bad = LaunchClaims { jti: "short".to_owned(), ..claims() };
        assert_eq!(sign_launch(&key(), &bad), Err(LaunchError::BadClaim("jti")));
        let bad = LaunchClaims { aud: "a".repeat(4_000), ..claims() };
        assert_eq!(sign_launch(&key(), &bad), Err(LaunchError::TooLong));
    }

    #[test]
    fn the_largest_claims_still_fit() {
        let key = key();
        let mut largest = claims();
        largest.sub = "a".repeat(64);
        largest.patient.id = "p".repeat(64);
        largest.patient.name = "\u{1f9ea}".repeat(128);
        largest.patient.mrn = "m".repeat(32);
        largest.jti = "A".repeat(64);
        assert_eq!(verify(&key, &sign_launch(&key, &largest).unwrap()), Ok(largest));
    }

    #[test]
    fn an_oversized_token_is_refused_unread() {
        let key = key();
        let payload = json!({ "iss": claims().iss.to_string(), "padding": "x".repeat(4_000) });
        let token = forge(&key, &es256(), &payload);
        assert_eq!(verify(&key, &token), Err(LaunchError::TooLong));
        assert_eq!(peek_issuer(&token), Err(LaunchError::TooLong));
    }

    #[test]
    fn garbage_is_malformed() {
        let key = key();
        let deep = format!(
            "{}.{}.x",
            BASE64URL_NOPAD.encode(HEADER.as_bytes()),
            BASE64URL_NOPAD.encode("[".repeat(2_500).as_bytes())
        );
        for token in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "\u{1f9ea}", "\0", &deep] {
            assert!(verify(&key, token).is_err(), "{token:?}");
            assert_eq!(peek_issuer(token), Err(LaunchError::Malformed), "{token:?}");
        }
        let token = sign_launch(&key, &claims()).unwrap();
        for wrapped in
            [format!(" {token}"), format!("{token}\n"), format!("{token}."), format!(".{token}")]
        {
            assert!(verify(&key, &wrapped).is_err(), "{wrapped:?}");
        }
    }

    #[test]
    fn codes_differ_and_debug_shows_no_patient() {
        let all = [
            LaunchError::TooLong,
            LaunchError::Malformed,
            LaunchError::WrongAlgorithm,
            LaunchError::WrongType,
            LaunchError::BadSignature,
            LaunchError::WrongAudience,
            LaunchError::Expired,
            LaunchError::FromTheFuture,
            LaunchError::WrongLifetime,
            LaunchError::BadClaim("sub"),
            LaunchError::NotSigned,
        ];
        let codes: std::collections::BTreeSet<_> = all.iter().map(LaunchError::code).collect();
        assert_eq!(codes.len(), all.len());
        assert!(codes.iter().all(|code| code.starts_with("launch_")));
        assert!(!format!("{:?}", claims()).contains("Sample"));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,300}") {
            let key = VerifyingKey::from_point(&[4; 65]).unwrap();
            prop_assert!(verify_launch(&text, &key, AUDIENCE, NOW, MAX_AGE).is_err());
            prop_assert!(peek_issuer(&text).is_err());
        }

        #[test]
        fn any_three_parts_are_refused_without_a_panic(
            header in prop::collection::vec(any::<u8>(), 0..3),
            payload in "\\PC{0,200}",
            signature in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            // An empty draw stands for a right header, so that the rest is reached too.
            let header = if header.is_empty() { HEADER.as_bytes() } else { &header };
            let token = [header, payload.as_bytes(), &signature]
                .map(|part| BASE64URL_NOPAD.encode(part))
                .join(".");
            let key = VerifyingKey::from_point(&[4; 65]).unwrap();
            prop_assert!(verify_launch(&token, &key, AUDIENCE, NOW, MAX_AGE).is_err());
            prop_assert!(peek_issuer(&token).is_err());
        }

        #[test]
        fn any_times_are_judged_without_a_panic(
            iat: i64, exp: i64, now: i64, max_age in 0..i64::MAX,
        ) {
            let claims = LaunchClaims { iat, exp, ..claims() };
            let now = Timestamp::from_micros(now);
            if check_times(&claims, now, max_age).is_ok() {
                prop_assert!(Timestamp::from_seconds(exp) > now);
                prop_assert!(exp > iat && exp.saturating_sub(iat) <= max_age);
            }
        }
    }
}
