//! The provisioning endpoint of a server, over HTTP.

use std::{io::Read, sync::OnceLock, time::Duration};

use anyhow::{Context, anyhow, ensure};
use countersign_crypto::{AgreementKey, SecretBytes, SecretText};
use countersign_domain::{
    CredentialId, DeviceClass, DeviceEvidence, Timestamp,
    otp::{OtpParams, TokenSeed},
};
use countersign_provision::native::{
    self, Answer, PairingCode, ProvisionRequest, SeedAlgorithm, ServerTime,
};
use reqwest::{Method, StatusCode, Url, blocking::Client, header, redirect};
use serde::Deserialize;

use crate::settings::is_loopback;

const ANSWER_BYTES_MAX: u64 = 64 * 1_024;
const TIMEOUT: Duration = Duration::from_secs(15);

/// A credential as the server hands it out.
pub(super) struct Credential {
    pub(super) id: CredentialId,
    pub(super) params: OtpParams,
    pub(super) seed: TokenSeed,
    pub(super) expires: Option<Timestamp>,
}

/// The provisioning endpoint of a server.
pub(super) struct Server {
    client: Client,
    origin: Url,
}

impl Server {
    /// HTTPS; plain HTTP only to this machine, since the seed goes over it.
    pub(super) fn at(address: &str) -> anyhow::Result<Self> {
        let url = Url::parse(address.trim()).ok().filter(|url| url.host_str().is_some());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let origin = url
            .ok_or_else(|| anyhow!("--server: give an address such as https://erx.example.org"))?;
        let only_origin =
            origin.path() == "/" && origin.query().is_none() && origin.fragment().is_none();
        ensure!(
            only_origin && origin.username().is_empty() && origin.password().is_none(),
            "--server: give the address without a path or user: {}",
            origin.origin().ascii_serialization()
        );
        let builder = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        install_tls();
        let builder = if origin.scheme() == "https" {
            builder.https_only(true)
        } else {
            ensure!(
                is_loopback(&origin),
                "--server: use https; with plain http others could read the token's secret"
            );
            // No proxy may see the seed, and no certificates are needed: a computer may have none.
            builder.no_proxy().tls_backend_preconfigured(trusts_nobody())
        };
        let client = builder.build().context(
            "TLS could not be set up: install the certificates of your system (Debian: ca-certificates)",
        )?;
        Ok(Self { client, origin })
    }

    /// The server's time less ours, in milliseconds.
    pub(super) fn clock_offset_ms(&self, clock: fn() -> Timestamp) -> anyhow::Result<i64> {
        let before = clock();
        let answer = self.ask(Method::GET, "/provision/v1/time", None)?;
        let after = clock();
        let time = ServerTime::from_json(answer.expose()).map_err(|_| self.not_understood())?;
        Ok(time.offset_ms(before, after))
    }

    pub(super) fn new_credential(
        &self,
        family: native::Family,
        pairing_code: Option<PairingCode>,
    ) -> anyhow::Result<Credential> {
        // A vendor's IDs come with what that vendor's apps can do.
        let algorithm = match family {
            native::Family::Countersign => SeedAlgorithm::Sha256,
            native::Family::Symantec => SeedAlgorithm::Sha1,
        };
        let own = AgreementKey::generate().context("the FIPS module could not create a key")?;
        let request = ProvisionRequest {
            device_key: own.public_key().clone(),
            algorithm,
            family,
            device_class: DeviceClass::Terminal,
            device_evidence: DeviceEvidence::Checked,
            pairing_code,
        };
        let body = request.to_json();
        let answer = self.ask(Method::POST, "/provision/v1/credentials", Some(&body))?;
        let answer = Answer::from_json(answer.expose())
            .ok()
            .filter(|answer| answer.credential_id.manufacturer() == family.manufacturer())
            .ok_or_else(|| self.not_understood())?;
        let seed = answer.seed(own, algorithm).map_err(|error| {
            anyhow!(
                "{} did not prove that it has the same secret ({error}): nothing was saved; someone may be intercepting the connection",
                self.name()
            )
        })?;
        Ok(Credential {
            id: answer.credential_id,
            params: algorithm.params()?,
            seed,
            expires: Some(answer.expires_at),
        })
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&SecretText>,
    ) -> anyhow::Result<SecretBytes> {
        let url = self.origin.join(path).context("--server")?;
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.expose().to_owned());
        }
        let answer = request.send().map_err(|error| self.away(&error))?;
        let status = answer.status();
        let mut bytes = Vec::with_capacity(4_096);
        let read = answer.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        let bytes = SecretBytes::new(bytes);
        read.map_err(|error| anyhow!("connection to {} failed ({error}): try again", self.name()))?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(self.refused(status, &bytes))
    }

    fn not_understood(&self) -> anyhow::Error {
        anyhow!(
            "{} sent an invalid response: check that it is a Countersign server of this version",
            self.name()
        )
    }

    /// The words of an RFC 9457 problem, where the server gave them.
    fn refused(&self, status: StatusCode, body: &SecretBytes) -> anyhow::Error {
        #[derive(Deserialize)]
        struct Problem {
            title: Option<String>,
            detail: Option<String>,
        }
        let problem = serde_json::from_slice::<Problem>(body.expose()).ok();
        let words = problem.and_then(|problem| problem.detail.or(problem.title));
        match words.map(|words| shown(&words)).filter(|words| !words.is_empty()) {
            Some(words) => anyhow!("{} rejected the request: {words}", self.name()),
            None => {
                anyhow!("{} returned {status}: check that it is a Countersign server", self.name())
            }
        }
    }

    fn away(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        anyhow!(
            "{} can't be reached ({cause}): check the address and that the server is running",
            self.name()
        )
    }

    pub(super) fn name(&self) -> String {
        self.origin.origin().ascii_serialization()
    }
}

/// Words of a server, made harmless for a terminal.
fn shown(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn install_tls() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // A provider that is there already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

fn trusts_nobody() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
