use std::fmt;

use countersign_crypto::{HmacAlgorithm, Rng, random_array};
use countersign_domain::{Timestamp, otp::TokenSeed};
use data_encoding::BASE64;
use thiserror::Error;

use super::{
    AuthenticRequest, RequestId, VipCredentialId, VipKeys,
    request::{DELIVERY_METHOD, OTP_ALGORITHM},
    xml::{NAMESPACE, PROTOCOL_VERSION, XmlError, XmlWriter},
};

pub(super) const ROOT: &str = "GetSharedSecretResponse";
pub(super) const SUCCESS_CODE: &str = "0000";
pub(super) const SUCCESS: &str = "Success";
pub(super) const PERIOD: &str = "30";

/// The protocol has a password-based cipher that its clients do not use; they only want to see
/// its parameters.
const SALT_BYTES: usize = 20;
const ITERATIONS: &str = "50";
const CLOCK_DRIFT: &str = "4";
const SEED_BYTES: usize = 20;

/// The counter of an event-based token's first code, as clients of this protocol expect it.
pub const FIRST_COUNTER: i64 = 1;

/// Why there is no credential, with the code and the words of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// Not a request of this protocol. The published codes of the provisioning service have none for
    /// it; this is the one of the vendor's user service for a message that breaks its schema.
    #[error("Malformed request")]
    Malformed,
    /// Another version than 2.0.
    #[error("Unsupported service protocol version")]
    Version,
    /// The MAC does not hold.
    #[error("Authorization failed")]
    NotAuthorized,
    /// The client's clock is too far off.
    #[error("Client clock differs too much from the server clock")]
    Clock,
    /// A token model that does not exist, or is not offered. Clients look for exactly these words.
    #[error("Unsupported token model")]
    Model,
    /// A fault of this server.
    #[error("Internal error")]
    Internal,
    /// Too many requests, or switched off for now.
    #[error("The service is temporarily unavailable")]
    Unavailable,
}

impl Fault {
    /// All faults that an answer can name.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Version,
        Self::NotAuthorized,
        Self::Clock,
        Self::Model,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The `ReasonCode` of the answer: four hexadecimal digits.
    pub const fn reason_code(self) -> &'static str {
        match self {
            Self::Malformed => "600B",
            Self::Version => "4E04",
            Self::NotAuthorized | Self::Clock => "4E03",
            Self::Model => "4E0D",
            Self::Internal => "4E01",
            Self::Unavailable => "4879",
        }
    }
}

/// A refused request: what went wrong, and which request it was where that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct Refusal {
    request_id: Option<RequestId>,
    fault: Fault,
}

impl Refusal {
    pub(super) const fn new(request_id: Option<RequestId>, fault: Fault) -> Self {
        Self { request_id, fault }
    }

    /// The refusal of a request that was not even read, such as one too many.
    pub const fn unread(fault: Fault) -> Self {
        Self::new(None, fault)
    }

    /// Why the request is refused.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// The answer. It repeats nothing of the request but its ID.
    pub fn to_xml(&self) -> String {
        let id = self.request_id.as_ref().map_or("", RequestId::as_str);
        let mut xml = head(id, self.fault.reason_code(), &self.fault.to_string());
        xml.close();
        // Writing to memory does not fail.
        xml.finish().unwrap_or_default()
    }
}

/// A credential that was made for a request.
pub struct Issued<'a> {
    /// Its ID, of the model that was asked for.
    pub credential: &'a VipCredentialId,
    /// Its seed: 20 bytes, as SHA-1 has.
    pub seed: &'a TokenSeed,
    /// The time of the answer.
    pub now: Timestamp,
    /// The `Expiry` of the answer, which the protocol requires; an added credential does not end.
    pub expires: Timestamp,
}

impl fmt::Debug for Issued<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}

impl AuthenticRequest {
    /// The answer with the credential. Not for a log: who has the keys can read the seed in it.
    pub fn answer(
        &self,
        issued: &Issued<'_>,
        keys: &VipKeys,
        rng: &mut dyn Rng,
    ) -> Result<String, Refusal> {
        if issued.credential.model() != self.model() || issued.seed.expose().len() != SEED_BYTES {
            return Err(self.refuse(Fault::Internal));
        }
        let salt: [u8; SALT_BYTES] = random_array(rng).map_err(|_| self.refuse(Fault::Internal))?;
        self.write(issued, keys, &salt).map_err(|XmlError| self.refuse(Fault::Internal))
    }

    fn write(&self, issued: &Issued<'_>, keys: &VipKeys, salt: &[u8]) -> Result<String, XmlError> {
        let sealed = keys.cipher().encrypt(issued.seed.expose()).map_err(|_| XmlError)?;
        // Clients do not check the digest, and how the vendor makes it is not public. Ours is a MAC of
        // what was encrypted, which tells nothing of the seed: HMAC-SHA-1 under the HMAC key, over the
        // initialization vector and the cipher text.
        let digest = keys
            .mac(HmacAlgorithm::Sha1)
            .tag(&[sealed.iv.as_slice(), sealed.cipher.as_slice()].concat());

        let mut xml = head(self.id().as_str(), SUCCESS_CODE, SUCCESS);
        xml.text("SharedSecretDeliveryMethod", DELIVERY_METHOD);
        xml.text("UTCTimestamp", &issued.now.seconds().to_string());
        xml.open("SecretContainer", &[("Version", "1.0")]);
        xml.open("EncryptionMethod", &[])
            .text("PBESalt", &BASE64.encode(salt))
            .text("PBEIterationCount", ITERATIONS)
            .text("IV", &BASE64.encode(&sealed.iv))
            .close();
        xml.open("Device", &[]);
        // The type says HOTP for time-based secrets too.
        xml.open("Secret", &[("type", "HOTP"), ("Id", issued.credential.as_str())]);
        xml.text("Issuer", "Countersign");
        xml.open("Usage", &[("otp", "true")]).empty("AI", &[("type", OTP_ALGORITHM)]);
        if self.model().is_event_based() {
            xml.text("Counter", &FIRST_COUNTER.to_string());
        } else {
            xml.text("TimeStep", PERIOD).text("Time", "0").text("ClockDrift", CLOCK_DRIFT);
        }
        xml.close();
        xml.text("FriendlyName", "Countersign");
        xml.open("Data", &[])
            .text("Cipher", &BASE64.encode(&sealed.cipher))
            .text_with("Digest", &[("algorithm", "HMAC-SHA1")], &BASE64.encode(digest.as_ref()))
            .close();
        xml.text("Expiry", &date_time(issued.expires));
        xml.finish()
    }
}

fn head(request_id: &str, reason_code: &str, message: &str) -> XmlWriter {
    let mut xml = XmlWriter::new();
    xml.open(
        ROOT,
        &[("RequestId", request_id), ("Version", PROTOCOL_VERSION), ("xmlns", NAMESPACE)],
    );
    xml.open("Status", &[]).text("ReasonCode", reason_code).text("StatusMessage", message).close();
    xml
}

fn date_time(time: Timestamp) -> String {
    let (year, month, day, hour, minute, second) = time.civil();
    let millis = time.micros().rem_euclid(1_000_000) / 1_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}
