use std::fmt;

use countersign_crypto::HmacAlgorithm;
use countersign_domain::Timestamp;
use data_encoding::BASE64;
use roxmltree::Node;

use super::{
    Fault, Refusal, TokenModel, VipKeys,
    xml::{self, NAMESPACE, PROTOCOL_VERSION, XSI, XmlError},
};

/// Longest request that is looked at.
pub const REQUEST_MAX_BYTES: usize = 16 * 1_024;

pub(super) const ROOT: &str = "GetSharedSecret";
pub(super) const OTP_ALGORITHM: &str = "HMAC-SHA1-TRUNC-6DIGITS";
pub(super) const DELIVERY_METHOD: &str = "HTTPS";
pub(super) const EXTENSION_VERSION: &str = "auth";
pub(super) const EXTENSION_TYPE: &str = "ProvisionInfoType";

const ID_MAX: usize = 40;
const MODEL_MAX: usize = 16;
const ACTIVATION_CODE_MAX: usize = 64;
const FIELD_MAX: usize = 128;
const TIMESTAMP_MAX: usize = 12;
const MAC_BYTES: usize = 32;
const MAC_MAX: usize = 44;

/// What a client calls its request; the answer repeats it. At most 40 letters, digits and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    pub(super) fn new(text: &str) -> Option<Self> {
        let holds = !text.is_empty()
            && text.len() <= ID_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        holds.then(|| Self(text.to_owned()))
    }

    /// The ID as the client sent it: 1 to 40 letters, digits and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request as it was sent: well formed, and no more is known.
pub struct SharedSecretRequest {
    id: RequestId,
    model: String,
    activation_code: String,
    client_id_type: String,
    client_id: String,
    dist_channel: String,
    client_timestamp: String,
    client_time: Timestamp,
    mac: [u8; MAC_BYTES],
}

impl SharedSecretRequest {
    /// Reads a body: every element once, none that is not known, each within its length.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(None, Fault::Malformed);
        if body.len() > REQUEST_MAX_BYTES {
            return Err(malformed());
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let document = xml::parse(text).map_err(|_| malformed())?;
        let root = document.root_element();
        xml::expect(root, ROOT, &["Id", "Version"]).map_err(|_| malformed())?;
        let id = root.attribute("Id").and_then(RequestId::new).ok_or_else(malformed)?;
        match root.attribute("Version") {
            Some(PROTOCOL_VERSION) => {}
            Some(_) => return Err(Refusal::new(Some(id), Fault::Version)),
            None => return Err(Refusal::new(Some(id), Fault::Malformed)),
        }
        match Fields::read(root) {
            Ok(fields) => fields.with_id(&id),
            Err(XmlError) => None,
        }
        .ok_or_else(|| Refusal::new(Some(id), Fault::Malformed))
    }

    /// Checks the MAC, in constant time, and that the model is one of ours.
    ///
    /// The fields stand in the MAC without anything between them, so that it cannot tell where one
    /// ends. Nothing here depends on that but the client's time.
    pub fn authenticate(self, keys: &VipKeys) -> Result<AuthenticRequest, Refusal> {
        let signed = signed_text(
            &self.id,
            &self.client_timestamp,
            &self.client_id_type,
            &self.client_id,
            &self.dist_channel,
        );
        if !keys.mac(HmacAlgorithm::Sha256).verify(signed.as_bytes(), &self.mac) {
            return Err(Refusal::new(Some(self.id), Fault::NotAuthorized));
        }
        match TokenModel::from_code(&self.model) {
            Some(model) => Ok(AuthenticRequest { model, request: self }),
            None => Err(Refusal::new(Some(self.id), Fault::Model)),
        }
    }
}

impl fmt::Debug for SharedSecretRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecretRequest")
    }
}

/// What the MAC of a request is over.
pub(super) fn signed_text(
    id: &RequestId,
    client_timestamp: &str,
    client_id_type: &str,
    client_id: &str,
    dist_channel: &str,
) -> String {
    [id.as_str(), client_timestamp, client_id_type, client_id, dist_channel].concat()
}

/// A request whose MAC holds and whose model is one of ours.
pub struct AuthenticRequest {
    model: TokenModel,
    request: SharedSecretRequest,
}

impl AuthenticRequest {
    /// The token model that the client asks for.
    pub const fn model(&self) -> TokenModel {
        self.model
    }

    /// The ID that the client gave its request.
    pub const fn id(&self) -> &RequestId {
        &self.request.id
    }

    /// The client's clock.
    pub const fn client_time(&self) -> Timestamp {
        self.request.client_time
    }

    /// The activation code, where the client sent one. The MAC does not cover it.
    pub fn activation_code(&self) -> Option<&str> {
        Some(self.request.activation_code.as_str()).filter(|code| !code.is_empty())
    }

    /// Refuses a request from a clock more than `tolerance_seconds` off `now`, either way.
    pub fn check_clock(&self, now: Timestamp, tolerance_seconds: i64) -> Result<(), Refusal> {
        let off = self.client_time().seconds().abs_diff(now.seconds());
        if u64::try_from(tolerance_seconds).is_ok_and(|most| off <= most) {
            Ok(())
        } else {
            Err(self.refuse(Fault::Clock))
        }
    }

    /// The refusal of this request.
    pub fn refuse(&self, fault: Fault) -> Refusal {
        Refusal::new(Some(self.request.id.clone()), fault)
    }
}

impl fmt::Debug for AuthenticRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticRequest")
    }
}

#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a str>,
    activation_code: Option<&'a str>,
    algorithm: Option<()>,
    delivery: Option<()>,
    device: Option<()>,
    extension: Option<()>,
    app_handle: Option<()>,
    client_id_type: Option<&'a str>,
    client_id: Option<&'a str>,
    dist_channel: Option<&'a str>,
    client_info: Option<()>,
    client_timestamp: Option<&'a str>,
    data: Option<[u8; MAC_BYTES]>,
}

impl<'a> Fields<'a> {
    fn read(root: Node<'a, '_>) -> Result<Self, XmlError> {
        let mut fields = Self::default();
        for node in xml::children(root)? {
            match node.tag_name().name() {
                name @ "TokenModel" => {
                    xml::once(&mut fields.model, leaf(node, name, MODEL_MAX)?)?;
                }
                name @ "ActivationCode" => {
                    xml::once(&mut fields.activation_code, leaf(node, name, ACTIVATION_CODE_MAX)?)?;
                }
                name @ "OtpAlgorithm" => {
                    xml::expect(node, name, &["type"])?;
                    let known = node.attribute("type") == Some(OTP_ALGORITHM);
                    xml::once(
                        &mut fields.algorithm,
                        only_if(known && xml::text(node, 0).is_ok())?,
                    )?;
                }
                name @ "SharedSecretDeliveryMethod" => {
                    let known = leaf(node, name, FIELD_MAX)? == DELIVERY_METHOD;
                    xml::once(&mut fields.delivery, only_if(known)?)?;
                }
                // Older clients describe their device; we have no use for it.
                name @ "DeviceId" => xml::once(&mut fields.device, passed_over(node, name)?)?,
                name @ "Extension" => {
                    xml::expect(node, name, &["extVersion", "type"])?;
                    let known = node.attribute("extVersion") == Some(EXTENSION_VERSION)
                        && node.attribute((XSI, "type")).is_some_and(|kind| is_known(node, kind));
                    xml::once(&mut fields.extension, only_if(known)?)?;
                    fields.read_extension(node)?;
                }
                _ => return Err(XmlError),
            }
        }
        Ok(fields)
    }

    fn read_extension(&mut self, extension: Node<'a, '_>) -> Result<(), XmlError> {
        for node in xml::children(extension)? {
            match node.tag_name().name() {
                name @ "AppHandle" => {
                    leaf(node, name, FIELD_MAX)?;
                    xml::once(&mut self.app_handle, ())?;
                }
                name @ "ClientIDType" => {
                    xml::once(&mut self.client_id_type, leaf(node, name, FIELD_MAX)?)?;
                }
                name @ "ClientID" => {
                    xml::once(&mut self.client_id, leaf(node, name, FIELD_MAX)?)?;
                }
                name @ "DistChannel" => {
                    xml::once(&mut self.dist_channel, leaf(node, name, FIELD_MAX)?)?;
                }
                name @ "ClientInfo" => {
                    xml::once(&mut self.client_info, passed_over(node, name)?)?;
                }
                name @ "ClientTimestamp" => {
                    xml::once(&mut self.client_timestamp, leaf(node, name, TIMESTAMP_MAX)?)?;
                }
                name @ "Data" => {
                    let data = BASE64
                        .decode(leaf(node, name, MAC_MAX)?.as_bytes())
                        .map_err(|_| XmlError)?;
                    xml::once(&mut self.data, data.try_into().map_err(|_| XmlError)?)?;
                }
                _ => return Err(XmlError),
            }
        }
        Ok(())
    }

    fn with_id(self, id: &RequestId) -> Option<SharedSecretRequest> {
        self.algorithm.and(self.delivery).and(self.extension).and(self.app_handle)?;
        let client_timestamp = self.client_timestamp?;
        let model = self.model.filter(|model| {
            !model.is_empty() && model.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })?;
        Some(SharedSecretRequest {
            id: id.clone(),
            model: model.to_owned(),
            activation_code: self.activation_code.unwrap_or_default().to_owned(),
            client_id_type: self.client_id_type?.to_owned(),
            client_id: self.client_id?.to_owned(),
            dist_channel: self.dist_channel?.to_owned(),
            client_timestamp: client_timestamp.to_owned(),
            client_time: seconds(client_timestamp)?,
            mac: self.data?,
        })
    }
}

fn leaf<'a>(node: Node<'a, '_>, name: &str, most: usize) -> Result<&'a str, XmlError> {
    xml::expect(node, name, &[])?;
    xml::text(node, most)
}

/// An element with text elements below it, all of them within bounds but without a use.
fn passed_over(node: Node<'_, '_>, name: &str) -> Result<(), XmlError> {
    xml::expect(node, name, &[])?;
    for child in xml::children(node)? {
        xml::expect(child, child.tag_name().name(), &[])?;
        xml::text(child, FIELD_MAX)?;
    }
    Ok(())
}

fn only_if(holds: bool) -> Result<(), XmlError> {
    if holds { Ok(()) } else { Err(XmlError) }
}

fn is_known(node: Node<'_, '_>, kind: &str) -> bool {
    let (prefix, name) = match kind.split_once(':') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, kind),
    };
    name == EXTENSION_TYPE && node.lookup_namespace_uri(prefix) == Some(NAMESPACE)
}

fn seconds(text: &str) -> Option<Timestamp> {
    let holds = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if !holds {
        return None;
    }
    text.parse().ok().map(Timestamp::from_seconds)
}
