#[cfg(test)]
mod tests;

use std::fmt;

use countersign_crypto::{AgreementKey, AgreementPublicKey, SecretText};
use countersign_domain::{
    CredentialId, DeviceClass, DeviceEvidence, Manufacturer, Timestamp, otp::TokenSeed,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroize;

use super::{
    Confirmation, DeriveError, PairingCode, SeedAlgorithm, derive_on_device, derive_on_server,
};

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// Longest body of either direction.
pub const BODY_MAX_BYTES: usize = 4_096;

const MICROS_PER_MILLI: i64 = 1_000;

/// Which kind of credential ID is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// `CNST` and eight digits.
    #[default]
    Countersign,
    /// An ID of that maker's shape, where switched on.
    Symantec,
}

impl Family {
    const ALL: [Self; 2] = [Self::Countersign, Self::Symantec];

    /// The word of the field `family`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Countersign => "countersign",
            Self::Symantec => "symantec",
        }
    }

    /// The manufacturer that these IDs stand for.
    pub const fn manufacturer(self) -> Manufacturer {
        match self {
            Self::Countersign => Manufacturer::Countersign,
            Self::Symantec => Manufacturer::Symantec,
        }
    }
}

/// Why a request is refused; [`RequestError::code`] is what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The body has more than [`BODY_MAX_BYTES`] bytes.
    #[error("the body is longer than {BODY_MAX_BYTES} bytes")]
    TooLong,
    /// No JSON object with the fields of the protocol, each at most once.
    #[error("the body is no request of this protocol")]
    Body,
    /// The version is not [`VERSION`].
    #[error("this server speaks version {VERSION}")]
    Version,
    /// The public key is no base64url, or no uncompressed point on P-256.
    #[error("the device key is no point on P-256")]
    Key,
    /// Neither `SHA256` nor `SHA1`.
    #[error("the algorithm is SHA256 or SHA1")]
    Algorithm,
    /// A family that does not exist.
    #[error("the family is not known")]
    Family,
    /// A device class, or a kind of evidence for it, that does not exist.
    #[error("the device class is not known")]
    DeviceClass,
    /// Not 26 characters of base32.
    #[error("the pairing code is malformed")]
    Pairing,
}

impl RequestError {
    /// The stable word of the problem document.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong | Self::Body => "body_malformed",
            Self::Version => "version_unknown",
            Self::Key => "key_malformed",
            Self::Algorithm => "algorithm_unknown",
            Self::Family => "family_unknown",
            Self::DeviceClass => "device_class_unknown",
            Self::Pairing => "pairing_malformed",
        }
    }
}

/// A request for a credential, checked.
pub struct ProvisionRequest {
    /// The device's key for this one agreement.
    pub device_key: AgreementPublicKey,
    /// The hash that its passcodes will use.
    pub algorithm: SeedAlgorithm,
    /// The kind of ID.
    pub family: Family,
    /// The class of device that the app states.
    pub device_class: DeviceClass,
    /// How that is known.
    pub device_evidence: DeviceEvidence,
    /// The pairing that this belongs to, where it belongs to one.
    pub pairing_code: Option<PairingCode>,
}

impl fmt::Debug for ProvisionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProvisionRequest")
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    version: u32,
    device_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_evidence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pairing_code: Option<String>,
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.pairing_code.zeroize();
    }
}

impl ProvisionRequest {
    /// Reads a request from JSON; an error says which field is wrong, the version first.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > BODY_MAX_BYTES {
            return Err(RequestError::TooLong);
        }
        // A later version may have other fields: its client should learn about the version, not that
        // a field is unknown.
        let head: VersionOnly = serde_json::from_slice(body).map_err(|_| RequestError::Body)?;
        if head.version != VERSION {
            return Err(RequestError::Version);
        }
        let body: RequestBody = serde_json::from_slice(body).map_err(|_| RequestError::Body)?;
        let device_key = decode(&body.device_key)
            .and_then(|bytes| AgreementPublicKey::from_bytes(&bytes).ok())
            .ok_or(RequestError::Key)?;
        let algorithm = match body.algorithm.as_deref() {
            Some(code) => SeedAlgorithm::from_code(code).ok_or(RequestError::Algorithm)?,
            None => SeedAlgorithm::default(),
        };
        let family =
            word(body.family.as_deref(), &Family::ALL, Family::code).ok_or(RequestError::Family)?;
        let device_class = word(body.device_class.as_deref(), &DeviceClass::ALL, DeviceClass::code)
            .ok_or(RequestError::DeviceClass)?;
        let device_evidence =
            word(body.device_evidence.as_deref(), &DeviceEvidence::OF_APPS, DeviceEvidence::code)
                .ok_or(RequestError::DeviceClass)?;
        let pairing_code = match body.pairing_code.as_deref() {
            Some(text) => Some(text.parse().map_err(|_| RequestError::Pairing)?),
            None => None,
        };
        Ok(Self { device_key, algorithm, family, device_class, device_evidence, pairing_code })
    }

    /// The server's part: makes a key for this one agreement, derives the seed to keep, and the answer.
    pub fn answer(
        &self,
        credential_id: CredentialId,
        server_time: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(Answer, TokenSeed), DeriveError> {
        let own = AgreementKey::generate()?;
        let server_key = own.public_key().clone();
        let algorithm = self.algorithm;
        let (seed, confirmation) =
            derive_on_server(own, &self.device_key, credential_id.as_str(), algorithm)?;
        let answer =
            Answer { credential_id, server_key, confirmation, algorithm, server_time, expires_at };
        Ok((answer, seed))
    }

    /// Writes a body. It holds the pairing code.
    pub fn to_json(&self) -> SecretText {
        let body = RequestBody {
            version: VERSION,
            device_key: encode(self.device_key.as_bytes()),
            algorithm: Some(self.algorithm.code().to_owned()),
            family: Some(self.family.code().to_owned()),
            device_class: Some(self.device_class.code().to_owned()),
            device_evidence: Some(self.device_evidence.code().to_owned()),
            pairing_code: self.pairing_code.as_ref().map(|code| code.text().expose().to_owned()),
        };
        SecretText::new(json(&body))
    }
}

/// Why an answer is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the server's answer is not one of this protocol")]
pub struct AnswerError;

/// The answer to a request, status 201.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The new credential ID.
    pub credential_id: CredentialId,
    /// The server's key for this one agreement.
    pub server_key: AgreementPublicKey,
    /// The proof that it derived the same seed.
    pub confirmation: Confirmation,
    /// The hash; digits and period are 6 and 30 in this version.
    pub algorithm: SeedAlgorithm,
    /// The server's clock. Milliseconds travel; what is finer is lost.
    pub server_time: Timestamp,
    /// When the credential is discarded unless a prescriber has added it.
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    credential_id: String,
    server_key: String,
    confirmation: String,
    algorithm: String,
    digits: u8,
    period: u16,
    server_time_ms: i64,
    expires_at_ms: i64,
}

const DIGITS: u8 = 6;
const PERIOD: u16 = 30;

impl Answer {
    /// Writes the answer as JSON; times in milliseconds since 1970 UTC, bytes in base64url.
    pub fn to_json(&self) -> String {
        json(&AnswerBody {
            credential_id: self.credential_id.as_str().to_owned(),
            server_key: encode(self.server_key.as_bytes()),
            confirmation: encode(self.confirmation.as_bytes()),
            algorithm: self.algorithm.code().to_owned(),
            digits: DIGITS,
            period: PERIOD,
            server_time_ms: self.server_time.micros().div_euclid(MICROS_PER_MILLI),
            expires_at_ms: self.expires_at.micros().div_euclid(MICROS_PER_MILLI),
        })
    }

    /// The device's part: the seed, if the server has confirmed that it has the same, and if it is of
    /// the algorithm that was `asked` for.
    pub fn seed(&self, own: AgreementKey, asked: SeedAlgorithm) -> Result<TokenSeed, DeriveError> {
        if self.algorithm != asked {
            return Err(DeriveError::OtherAlgorithm);
        }
        derive_on_device(
            own,
            &self.server_key,
            self.credential_id.as_str(),
            asked,
            &self.confirmation,
        )
    }

    /// Reads a body. What it says is to be trusted only once the seed is derived and confirmed.
    pub fn from_json(body: &[u8]) -> Result<Self, AnswerError> {
        let body: AnswerBody = strict(body)?;
        if (body.digits, body.period) != (DIGITS, PERIOD) {
            return Err(AnswerError);
        }
        let credential_id =
            CredentialId::parse(&body.credential_id, None).map_err(|_| AnswerError)?;
        // The derivation takes the ID as it was sent: another spelling would be another seed.
        if credential_id.as_str() != body.credential_id {
            return Err(AnswerError);
        }
        let server_key = decode(&body.server_key)
            .and_then(|bytes| AgreementPublicKey::from_bytes(&bytes).ok())
            .ok_or(AnswerError)?;
        let confirmation = decode(&body.confirmation)
            .and_then(|bytes| Confirmation::from_bytes(&bytes))
            .ok_or(AnswerError)?;
        let algorithm = SeedAlgorithm::from_code(&body.algorithm).ok_or(AnswerError)?;
        Ok(Self {
            credential_id,
            server_key,
            confirmation,
            algorithm,
            server_time: from_millis(body.server_time_ms)?,
            expires_at: from_millis(body.expires_at_ms)?,
        })
    }
}

/// `GET /provision/v1/time`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTime {
    /// Milliseconds since 1970 UTC.
    pub unix_time_ms: i64,
}

impl ServerTime {
    /// The answer at this time.
    pub const fn at(now: Timestamp) -> Self {
        Self { unix_time_ms: now.micros().div_euclid(MICROS_PER_MILLI) }
    }

    /// Writes the answer as JSON.
    pub fn to_json(&self) -> String {
        json(self)
    }

    /// Reads the answer from JSON; an error for other fields and for a time out of range.
    pub fn from_json(body: &[u8]) -> Result<Self, AnswerError> {
        let read: Self = strict(body)?;
        from_millis(read.unix_time_ms).map(|_| read)
    }

    /// How far the server's clock is ahead of the own one, in milliseconds; the answer is taken to be
    /// from the middle of the time that it took.
    pub const fn offset_ms(&self, before: Timestamp, after: Timestamp) -> i64 {
        let (before, after) = (before.micros() / 2_000, after.micros() / 2_000);
        self.unix_time_ms.saturating_sub(before.saturating_add(after))
    }
}

/// `GET /provision/v1/browser`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrowserState {
    /// Whether the browser that asks holds a live portal or e-prescribing session.
    pub portal_session: bool,
}

impl BrowserState {
    /// Writes the answer as JSON.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

fn word<T: Copy + Default>(
    text: Option<&str>,
    all: &[T],
    code: fn(T) -> &'static str,
) -> Option<T> {
    match text {
        Some(text) => all.iter().copied().find(|one| code(*one) == text),
        None => Some(T::default()),
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

fn from_millis(millis: i64) -> Result<Timestamp, AnswerError> {
    millis.checked_mul(MICROS_PER_MILLI).map(Timestamp::from_micros).ok_or(AnswerError)
}

fn strict<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, AnswerError> {
    if body.len() > BODY_MAX_BYTES {
        return Err(AnswerError);
    }
    serde_json::from_slice(body).map_err(|_| AnswerError)
}

fn json<T: Serialize>(body: &T) -> String {
    // Structs of numbers and text always serialize; an empty body is refused by whoever reads it.
    serde_json::to_string(body).unwrap_or_default()
}
