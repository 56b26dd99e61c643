//! The client side, for tests and tools that play a VIP Access app.

use std::fmt;

use countersign_crypto::HmacAlgorithm;
use countersign_domain::{Timestamp, otp::TokenSeed};
use data_encoding::BASE64;
use roxmltree::Node;
use thiserror::Error;

use super::{
    RequestId, VipCredentialId, VipKeys,
    answer::{PERIOD, ROOT as ANSWER_ROOT, SUCCESS},
    request::{
        DELIVERY_METHOD, EXTENSION_TYPE, EXTENSION_VERSION, OTP_ALGORITHM, ROOT, signed_text,
    },
    xml::{self, NAMESPACE, PROTOCOL_VERSION, XSI, XmlError, XmlWriter},
};

const ANSWER_MAX_BYTES: usize = 16 * 1_024;
const FIELD_MAX: usize = 256;

/// What a client says of itself and wants.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The token model, known or not.
    pub model: &'a str,
    /// The client's clock; also the name of the request.
    pub now: Timestamp,
    /// A code that lets it in, or nothing.
    pub activation_code: &'a str,
    /// The kind of the client's ID.
    pub client_id_type: &'a str,
    /// The client's ID.
    pub client_id: &'a str,
    /// The distribution channel of the client.
    pub dist_channel: &'a str,
}

impl Ask<'_> {
    /// The request, with its MAC.
    pub fn to_xml(&self, keys: &VipKeys) -> Result<String, ClientError> {
        let timestamp = self.now.seconds().to_string();
        let id = RequestId::new(&timestamp).ok_or(ClientError::Malformed)?;
        let signed =
            signed_text(&id, &timestamp, self.client_id_type, self.client_id, self.dist_channel);
        let tag = keys.mac(HmacAlgorithm::Sha256).tag(signed.as_bytes());

        let mut xml = XmlWriter::new();
        xml.open(
            ROOT,
            &[
                ("Id", id.as_str()),
                ("Version", PROTOCOL_VERSION),
                ("xmlns", NAMESPACE),
                ("xmlns:xsi", XSI),
                ("xmlns:vip", NAMESPACE),
            ],
        );
        xml.text("TokenModel", self.model)
            .text("ActivationCode", self.activation_code)
            .empty("OtpAlgorithm", &[("type", OTP_ALGORITHM)])
            .text("SharedSecretDeliveryMethod", DELIVERY_METHOD);
        let kind = format!("vip:{EXTENSION_TYPE}");
        xml.open("Extension", &[("extVersion", EXTENSION_VERSION), ("xsi:type", &kind)])
            .text("AppHandle", "countersign")
            .text("ClientIDType", self.client_id_type)
            .text("ClientID", self.client_id)
            .text("DistChannel", self.dist_channel)
            .text("ClientTimestamp", &timestamp)
            .text("Data", &BASE64.encode(tag.as_ref()));
        xml.finish().map_err(|XmlError| ClientError::Malformed)
    }
}

/// Why a client has no credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The server refused, with its reason code and words.
    #[error("the server refused: {message} ({reason_code})")]
    Refused {
        /// The `ReasonCode` of the answer: four hexadecimal digits.
        reason_code: String,
        /// The text of the server's refusal.
        message: String,
    },
    /// The message is none of this protocol, or the secret does not decrypt.
    #[error("not a message of this protocol")]
    Malformed,
}

/// What moves the codes of the new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovingFactor {
    /// Steps of 30 seconds.
    Time,
    /// A counter, which begins with this value.
    Counter(u64),
}

/// A credential as the client got it.
pub struct Received {
    /// The credential ID: four letters and eight digits.
    pub credential: VipCredentialId,
    /// The decrypted seed.
    pub seed: TokenSeed,
    /// Whether its codes follow the time or a counter.
    pub moving_factor: MovingFactor,
    /// The server's clock.
    pub server_time: Timestamp,
    /// When it ends, as the server writes it.
    pub expiry: String,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Received")
    }
}

impl Received {
    /// Reads an answer and decrypts the secret in it.
    pub fn from_xml(body: &[u8], keys: &VipKeys) -> Result<Self, ClientError> {
        if body.len() > ANSWER_MAX_BYTES {
            return Err(ClientError::Malformed);
        }
        let text = std::str::from_utf8(body).map_err(|_| ClientError::Malformed)?;
        let document = xml::parse(text).map_err(|XmlError| ClientError::Malformed)?;
        let root = document.root_element();
        let status = status(root).map_err(|XmlError| ClientError::Malformed)?;
        if let Some(refused) = status {
            return Err(refused);
        }
        read(root, keys).ok_or(ClientError::Malformed)
    }
}

fn status(root: Node<'_, '_>) -> Result<Option<ClientError>, XmlError> {
    xml::expect(root, ANSWER_ROOT, &["RequestId", "Version"])?;
    let status = child(root, "Status")?;
    let message = field(status, "StatusMessage")?;
    if message == SUCCESS {
        return Ok(None);
    }
    let reason_code = field(status, "ReasonCode")?.to_owned();
    Ok(Some(ClientError::Refused { reason_code, message: message.to_owned() }))
}

fn read(root: Node<'_, '_>, keys: &VipKeys) -> Option<Received> {
    let container = child(root, "SecretContainer").ok()?;
    let iv = base64(field(child(container, "EncryptionMethod").ok()?, "IV").ok()?)?;
    let secret = child(child(container, "Device").ok()?, "Secret").ok()?;
    let usage = child(secret, "Usage").ok()?;
    if child(usage, "AI").ok()?.attribute("type") != Some(OTP_ALGORITHM) {
        return None;
    }
    let moving_factor = match (field(usage, "TimeStep"), field(usage, "Counter")) {
        (Ok(PERIOD), Err(XmlError)) => MovingFactor::Time,
        (Err(XmlError), Ok(counter)) => MovingFactor::Counter(counter.parse().ok()?),
        _ => return None,
    };
    let cipher = base64(field(child(secret, "Data").ok()?, "Cipher").ok()?)?;
    let seed = keys.cipher().decrypt(iv.try_into().ok()?, &cipher).ok()?;
    Some(Received {
        credential: secret.attribute("Id")?.parse().ok()?,
        seed: TokenSeed::new(seed).ok()?,
        moving_factor,
        server_time: Timestamp::from_seconds(field(root, "UTCTimestamp").ok()?.parse().ok()?),
        expiry: field(secret, "Expiry").ok()?.to_owned(),
    })
}

/// The one child with this name.
fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Result<Node<'a, 'input>, XmlError> {
    let mut found = None;
    for child in node.children().filter(|child| child.has_tag_name((NAMESPACE, name))) {
        xml::once(&mut found, child)?;
    }
    found.ok_or(XmlError)
}

fn field<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, XmlError> {
    xml::text(child(node, name)?, FIELD_MAX)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).ok()
}
