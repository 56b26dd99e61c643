//! A launch from an EHR that speaks SMART on FHIR: out to its authorization server, and back with a code.

use countersign_crypto::{constant_time_eq, random_array, sha256};
use countersign_domain::{Timestamp, check_line};
use countersign_protocol::{
    oidc::{self, Client, KeySet, OidcError, Secret},
    smart::{self, Configuration, Granted},
};
use countersign_store::{Patient, SmartEhr, SmartTry};
use data_encoding::BASE64URL_NOPAD;

use super::{
    Answer, App, At, Error, SessionSecret,
    launch::{CheckedLaunch, LaunchRefusal},
};
use crate::outbound::{Call, Fault};

/// How long the way to the EHR and back may take, in seconds.
pub const SMART_SECONDS: i64 = 300;

/// Most characters of the address of a FHIR server, and of a reference to a user there.
pub const LONGEST_REFERENCE: usize = 500;

/// A launch that begins.
pub struct SmartWay {
    /// Where the browser is sent.
    pub url: String,
    /// What the browser keeps, so that nobody else's code is brought into it.
    pub browser: SessionSecret,
}

impl App {
    /// The EHR with this FHIR server, and how we are known to it.
    pub async fn smart_ehr(&self, iss: &str) -> Result<Option<SmartEhr>, Error> {
        // Whoever makes a browser come here says what it is: no such text is registered.
        if check_line(iss, LONGEST_REFERENCE).is_err() {
            return Ok(None);
        }
        let iss = iss.trim_end_matches('/').to_owned();
        Ok(self.store.read("smart_ehr", move |tx| tx.smart_ehr(&iss)).await?)
    }

    /// Begins a launch: asks the EHR where its users are sent, and remembers what comes back.
    pub async fn begin_smart(
        &self,
        iss: &str,
        launch: Option<&str>,
        at: At,
    ) -> Result<Answer<SmartWay, LaunchRefusal>, Error> {
        let Some(ehr) = self.smart_ehr(iss).await? else {
            return self.launch_refused(None, LaunchRefusal("launch_unknown_ehr"), at).await;
        };
        let url = Configuration::address(&ehr.iss);
        let body = match self.outbound.call(Call::get(&url)).await {
            Ok(body) => body,
            Err(fault) => return self.ehr_silent(&ehr, &fault, at).await,
        };
        let Some(it) = Configuration::read(&ehr.iss, &body) else {
            let refusal = LaunchRefusal("launch_ehr_configuration");
            return self.launch_refused(Some(&ehr), refusal, at).await;
        };
        let draw = || -> Result<String, Error> {
            let bytes: [u8; 32] = random_array((self.rng)().as_mut())?;
            Ok(BASE64URL_NOPAD.encode(&bytes))
        };
        let (state, nonce, verifier) = (draw()?, draw()?, draw()?);
        let (browser, browser_hash) = SessionSecret::new((self.rng)().as_mut())?;
        let redirect = self.smart_redirect();
        let parts = (state.as_str(), nonce.as_str(), verifier.as_str());
        let url = smart::authorization_url(&it, &ehr.client_id, &redirect, &ehr.iss, launch, parts);
        let (hash, expires) = (sha256(state.as_bytes()), at.now.plus_seconds(SMART_SECONDS));
        let remembered = SmartTry {
            iss: ehr.iss.clone(),
            issuer: it.issuer,
            token_endpoint: it.token_endpoint,
            jwks_uri: it.jwks_uri,
            nonce,
            verifier,
            browser: browser_hash,
        };
        self.store
            .write("begin_smart", move |tx| tx.create_smart_try(&hash, &ehr, &remembered, expires))
            .await?;
        Ok(Answer::Done(SmartWay { url, browser }))
    }

    fn smart_redirect(&self) -> String {
        format!("{}/smart/callback", self.options.public_url)
    }

    /// Takes what the EHR's redirect brought back, and begins a session for who it names, with the patient
    /// whose chart is open. A state is good once, and only in the browser that set out.
    pub async fn finish_smart(
        &self,
        state: &str,
        code: &str,
        browser: &str,
        at: At,
    ) -> Result<Answer<SessionSecret, LaunchRefusal>, Error> {
        let (hash, now) = (sha256(state.as_bytes()), at.now);
        let found =
            self.store.write("take_smart_try", move |tx| tx.take_smart_try(&hash, now)).await?;
        let Some(it) = found else {
            return self.launch_refused(None, LaunchRefusal("launch_stale"), at).await;
        };
        let Some(ehr) = self.smart_ehr(&it.iss).await? else {
            return self.launch_refused(None, LaunchRefusal("launch_unknown_ehr"), at).await;
        };
        if !constant_time_eq(&sha256(browser.as_bytes()), &it.browser) {
            let refusal = LaunchRefusal("launch_other_browser");
            return self.launch_refused(Some(&ehr), refusal, at).await;
        }
        if code.is_empty() {
            let refusal = LaunchRefusal("launch_declined");
            return self.launch_refused(Some(&ehr), refusal, at).await;
        }
        match self.exchange_smart(&ehr, &it, code, at.now).await {
            Ok((user, patient)) => {
                // A state is unique; it was used up when it was taken.
                let expires = at.now.plus_seconds(SMART_SECONDS);
                let checked = CheckedLaunch { user, once: hash, expires, patient };
                self.open_launch(Some((ehr.ehr, ehr.practice)), Ok(checked), at).await
            }
            Err(Trouble::Silent(fault)) => self.ehr_silent(&ehr, &fault, at).await,
            Err(Trouble::No(code)) => {
                self.launch_refused(Some(&ehr), LaunchRefusal(code), at).await
            }
        }
    }

    async fn exchange_smart(
        &self,
        ehr: &SmartEhr,
        it: &SmartTry,
        code: &str,
        now: Timestamp,
    ) -> Result<(String, Patient), Trouble> {
        let redirect = self.smart_redirect();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", it.verifier.as_str()),
        ];
        let secret = ehr.client_secret.as_str();
        // A public client names itself; one with a secret proves it (RFC 6749, 2.3.1 and 3.2.1).
        let basic = (!secret.is_empty()).then_some((ehr.client_id.as_str(), secret));
        if basic.is_none() {
            form.push(("client_id", ehr.client_id.as_str()));
        }
        let call = Call { url: &it.token_endpoint, form: Some(&form), basic, bearer: None };
        let granted: Granted = serde_json::from_slice(&self.outbound.call(call).await?)
            .map_err(|_| Trouble::No("launch_answer"))?;
        let keys = self.outbound.call(Call::get(&it.jwks_uri)).await?;
        let keys =
            KeySet::read(&keys).map_err(|error| Trouble::No(OidcError::from(error).code()))?;
        let client = Client {
            issuer: it.issuer.clone(),
            id: ehr.client_id.clone(),
            secret: Secret(String::new()),
            acr_values: String::new(),
        };
        let claims = oidc::verify(&granted.id_token, &keys, &client, &it.nonce, now)
            .map_err(|error| Trouble::No(error.code()))?;
        let user = smart::user_of(&it.iss, &claims.fhir_user);
        if user.is_empty() || check_line(&user, LONGEST_REFERENCE).is_err() {
            return Err(Trouble::No("launch_no_user"));
        }
        if !smart::is_id(&granted.patient) {
            return Err(Trouble::No("launch_no_patient"));
        }
        let url = format!("{}/Patient/{}", it.iss, granted.patient);
        let bearer = Some(granted.access_token.as_str());
        let call = Call { url: &url, form: None, basic: None, bearer };
        let body = self.outbound.call(call).await?;
        let (patient, address) =
            smart::patient_of(&granted.patient, &body, now).map_err(Trouble::No)?;
        let patient = Patient {
            id: patient.id,
            name: patient.name,
            birth_date: patient.birth_date,
            mrn: patient.mrn,
            address,
        };
        Ok((user, patient))
    }

    async fn ehr_silent<T>(
        &self,
        ehr: &SmartEhr,
        fault: &Fault,
        at: At,
    ) -> Result<Answer<T, LaunchRefusal>, Error> {
        tracing::warn!(ehr = %ehr.ehr, %fault, "an EHR did not answer");
        let code = match fault {
            Fault::Refused(_) => "launch_ehr_refused",
            Fault::NotSetUp | Fault::NotReached(_) => "launch_ehr_not_reached",
        };
        self.launch_refused(Some(ehr), LaunchRefusal(code), at).await
    }

    /// Puts a launch on record that is refused before it names a user.
    async fn launch_refused<T>(
        &self,
        ehr: Option<&SmartEhr>,
        refusal: LaunchRefusal,
        at: At,
    ) -> Result<Answer<T, LaunchRefusal>, Error> {
        let known = ehr.map(|ehr| (ehr.ehr, ehr.practice));
        self.open_launch(known, Err(refusal), at).await?;
        Ok(Answer::Refused(refusal))
    }
}

/// Why a code came to nothing.
enum Trouble {
    /// The EHR does not answer, or says no.
    Silent(Fault),
    /// What it says does not hold.
    No(&'static str),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Silent(fault)
    }
}
