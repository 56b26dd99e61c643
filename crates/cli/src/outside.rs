//! What leaves this machine: e-mail through a relay, text messages and calls through a signed webhook,
//! prescriptions through a signed gateway; and what is asked of proofing providers and EHRs.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use countersign_app::outbound::{Call, Fault, Outbound, Outgoing, Parcel, Sending};
use countersign_crypto::{HmacAlgorithm, HmacKey};
use countersign_protocol::webhook_signature::signature;
use data_encoding::HEXLOWER;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};

use crate::{
    private_file,
    settings::{Settings, SettingsError},
    soft_token::now,
};

/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const MOST_BYTES: usize = 256 * 1024;

/// Sends through what the settings name.
pub(crate) struct Outside {
    mail: Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox)>,
    webhook: Option<(String, HmacKey)>,
    gateway: Option<Gateway>,
    client: Option<reqwest::Client>,
}

impl Outside {
    /// Reads the key of the webhook, where there is one.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let notices = &settings.notices;
        let mail = match notices.smtp.parse::<std::net::SocketAddr>() {
            Ok(relay) => {
                let transport =
                    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(relay.ip().to_string())
                        .port(relay.port())
                        .timeout(Some(PATIENCE))
                        .build();
                Some((transport, notices.from.parse().context("notices.from")?))
            }
            Err(_) => None,
        };
        let webhook = signed_post(
            &notices.webhook_url,
            &notices.webhook_key_file,
            "notices.webhook_key_file",
        )?;
        let transmission = &settings.transmission;
        let gateway = signed_post(
            &transmission.gateway_url,
            &transmission.gateway_key_file,
            "transmission.gateway_key_file",
        )?
        .map(|(url, key)| Gateway { url, key: Arc::new(key) });
        // EHRs stand in the database: whether one is asked is not known here. What the settings name can't
        // be reached without it; else a host without certificates goes on, and says so.
        let asks =
            webhook.is_some() || gateway.is_some() || !settings.proofing.provider_files.is_empty();
        let client = match client() {
            Ok(client) => Some(client),
            Err(error) if asks => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "no EHR can be contacted");
                None
            }
        };
        Ok(Self { mail, webhook, gateway, client })
    }

    fn client(&self) -> Result<&reqwest::Client, Fault> {
        self.client.as_ref().ok_or(Fault::NotSetUp)
    }

    async fn mail(&self, message: Outgoing<'_>) -> Result<(), Fault> {
        let Some((transport, from)) = &self.mail else { return Err(Fault::NotSetUp) };
        let refused = |why: String| Fault::Refused(why);
        let to: Mailbox = message.to.parse().map_err(|_| refused("the address".to_owned()))?;
        let domain = from.email.domain().to_owned();
        let mail = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(message.subject)
            // The same at each try: a mailbox that got it twice shows it once.
            .message_id(Some(format!("<{}@{domain}>", message.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.to_owned())
            .map_err(|error| refused(error.to_string()))?;
        match transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(refused(error.to_string())),
            Err(error) => Err(Fault::NotReached(error.to_string())),
        }
    }

    async fn hook(&self, message: Outgoing<'_>) -> Result<(), Fault> {
        let Some((url, key)) = &self.webhook else { return Err(Fault::NotSetUp) };
        let body = serde_json::json!({
            "id": message.id, "kind": message.kind, "to": message.to, "text": message.text,
        })
        .to_string();
        let at = now().seconds();
        let request = self
            .client()?
            .post(url)
            .header("content-type", "application/json")
            .header("countersign-signature", signature(key, at, &body))
            .body(body);
        let (status, _) = answer(request).await?;
        match said(status) {
            Said::Yes => Ok(()),
            Said::Later => Err(Fault::NotReached(format!("status {status}"))),
            Said::No => Err(Fault::Refused(format!("status {status}"))),
        }
    }

    async fn ask(&self, call: Call<'_>) -> Result<Vec<u8>, Fault> {
        ask(self.client()?, call).await
    }
}

/// Where something is posted, signed with the key of that file, which stands in `setting`; nothing without an address.
fn signed_post(
    url: &str,
    path: &Path,
    setting: &'static str,
) -> anyhow::Result<Option<(String, HmacKey)>> {
    if url.is_empty() {
        return Ok(None);
    }
    let text = private_file::read(path, 256).context(setting)?;
    let key = HEXLOWER
        .decode(text.expose().trim_ascii())
        .ok()
        .filter(|key| key.len() == 32)
        .ok_or_else(|| {
            SettingsError::from(format!(
                "{setting}: {}: it does not contain 64 lowercase hexadecimal digits: create it with `openssl rand -hex 32`",
                path.display()
            ))
        })?;
    Ok(Some((url.to_owned(), HmacKey::new(HmacAlgorithm::Sha256, &key))))
}

/// The gateway to the pharmacies.
#[derive(Clone)]
pub(crate) struct Gateway {
    /// Where prescriptions are posted.
    pub(crate) url: String,
    /// Signs what is posted.
    pub(crate) key: Arc<HmacKey>,
}

impl Gateway {
    pub(crate) async fn hand_over(
        &self,
        client: &reqwest::Client,
        parcel: Parcel<'_>,
    ) -> Result<Vec<u8>, Fault> {
        let request = client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("idempotency-key", parcel.key)
            .header("countersign-signature", signature(&self.key, now().seconds(), parcel.body))
            .body(parcel.body.to_owned());
        let (status, body) = answer(request).await?;
        match status.as_u16() {
            _ if status.is_success() => Ok(body),
            // These two say that the message itself is no good. Whatever else it says, an earlier try may
            // have arrived, and asked again it says so.
            400 | 422 => Err(Fault::Refused(format!("status {status}"))),
            _ => Err(Fault::NotReached(format!("status {status}"))),
        }
    }
}

/// What a status says of whoever asks again.
enum Said {
    Yes,
    Later,
    No,
}

/// 4xx says that it would be refused again; but for the two that ask for patience.
fn said(status: reqwest::StatusCode) -> Said {
    if status.is_success() {
        Said::Yes
    } else if matches!(status.as_u16(), 408 | 429) || status.is_server_error() {
        Said::Later
    } else {
        Said::No
    }
}

/// Status and body of an answer, not too long.
async fn answer(request: reqwest::RequestBuilder) -> Result<(reqwest::StatusCode, Vec<u8>), Fault> {
    let fault = |error: reqwest::Error| Fault::NotReached(error.without_url().to_string());
    let mut answer = request.send().await.map_err(fault)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(fault)? {
        if body.len() + chunk.len() > MOST_BYTES {
            // It may have done what was asked: asked again, it says so.
            return Err(Fault::NotReached("the response is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((answer.status(), body))
}

pub(crate) async fn ask(client: &reqwest::Client, call: Call<'_>) -> Result<Vec<u8>, Fault> {
    let mut request = match call.form {
        None => client.get(call.url),
        Some(form) => client
            .post(call.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()),
    };
    if let Some((name, secret)) = call.basic {
        let encoded = countersign_protocol::oidc::escaped;
        request = request.basic_auth(encoded(name), Some(encoded(secret)));
    }
    if let Some(token) = call.bearer {
        request = request.bearer_auth(token);
    }
    let (status, body) = answer(request).await?;
    if status.is_success() { Ok(body) } else { Err(Fault::Refused(format!("status {status}"))) }
}

pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("the HTTP client could not be created")
}

impl Outbound for Outside {
    fn email<'a>(&'a self, message: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(self.mail(message))
    }

    fn phone<'a>(&'a self, message: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(self.hook(message))
    }

    fn call<'a>(&'a self, call: Call<'a>) -> Sending<'a, Vec<u8>> {
        Box::pin(self.ask(call))
    }

    fn parcel<'a>(&'a self, parcel: Parcel<'a>) -> Sending<'a, Vec<u8>> {
        Box::pin(async move {
            let gateway = self.gateway.as_ref().ok_or(Fault::NotSetUp)?;
            gateway.hand_over(self.client()?, parcel).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_protocol::webhook_signature::is_signed;

    #[test]
    fn a_webhook_is_signed_over_time_and_body() {
        let key = HmacKey::new(HmacAlgorithm::Sha256, &[7; 32]);
        let one = signature(&key, 1_800_000_000, "{}");
        // Python: hmac.new(bytes([7]*32), b"1800000000.{}", "sha256").hexdigest()
        assert_eq!(
            one,
            "t=1800000000,v1=53921a4b7167dae86855da937e5046e173f28d43eb08328897bf59048fff51bf"
        );
        assert!(is_signed(&key, &one, 1_800_000_300, "{}"));
        assert!(
            !is_signed(&key, &one, 1_800_000_301, "{}")
                && !is_signed(&key, &one, 1_800_000_000, "x")
        );
        assert_ne!(one, signature(&key, 1_800_000_001, "{}"));
        assert_ne!(one, signature(&key, 1_800_000_000, "{ }"));
    }
}
