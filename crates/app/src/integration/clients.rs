//! Systems that may ask: their keys, access tokens and scopes.

use countersign_crypto::{SecretText, VerifyingKey, random_array, sha256};
use countersign_domain::{ApiKeyId, PracticeId, Timestamp, command::commands};
use countersign_protocol::{
    jws::{Algorithm, Jws, JwsError, OtherMembers, PublicKey, Rules, Typ, unverified_payload},
    validity::{has_begun, if_there},
};
use countersign_store::{Access, ApiClient, ApiKey};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::{App, At, Error, command};

/// What a system may be allowed to do.
pub const SCOPES: [&str; 3] = ["prescribers.read", "signing", "receipts.read"];
/// How long an access token works, in seconds.
pub const ACCESS_SECONDS: i64 = 300;
/// Longest life of an assertion, in seconds.
const ASSERTION_SECONDS: i64 = 300;
/// How far a system's clock may be off, in seconds.
const SKEW_SECONDS: i64 = 30;

/// What an assertion may be: at most 4 KiB. `kid` finds no key: the client has one.
const RULES: Rules<'_> = Rules {
    max_bytes: 4_096,
    algorithms: &[Algorithm::Es256],
    typ: Typ::Any,
    other_members: OtherMembers::Ignored,
};

/// Who asks, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller(pub(super) Access);

impl Caller {
    /// Whether they may do this.
    pub fn may(&self, scope: &str) -> bool {
        self.0.scopes.split(' ').any(|it| it == scope)
    }
}

#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default, deserialize_with = "if_there")]
    nbf: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Reads the client of an assertion before anything is checked.
fn client_of(assertion: &str) -> Option<ApiKeyId> {
    let payload = unverified_payload(assertion, RULES.max_bytes).ok()?;
    let said: Assertion = serde_json::from_slice(&payload).ok()?;
    said.iss.parse().ok()
}

/// Checks an assertion (RFC 7523, section 3): its ID and until when that must be remembered.
fn check(
    assertion: &str,
    client: &ApiClient,
    audience: &str,
    now: Timestamp,
) -> Option<([u8; 32], Timestamp)> {
    let verified = VerifyingKey::from_point(&client.public)
        .map_err(|_| JwsError::UnknownKey)
        .and_then(|key| Jws::read(assertion, &RULES)?.verify([&PublicKey::P256(key)]))
        .and_then(|verified| verified.claims::<Assertion>());
    let said = verified
        .inspect_err(
            |error| tracing::info!(client = %client.key.id, %error, "an assertion is refused"),
        )
        .ok()?;
    let id = client.key.id.to_string();
    let for_us = match &said.aud {
        Audience::One(one) => one == audience,
        Audience::Several(all) => matches!(all.as_slice(), [one] if one == audience),
    };
    let begun = has_begun(said.iat, said.nbf, now, SKEW_SECONDS);
    let (now, exp) = (now.seconds(), said.exp);
    let in_time = now < exp && exp <= now + ASSERTION_SECONDS + SKEW_SECONDS && begun;
    let named = (16..=128).contains(&said.jti.len());
    if said.iss != id || said.sub != id || !for_us || !in_time || !named {
        return None;
    }
    let once = [client.key.id.as_bytes().as_slice(), said.jti.as_bytes()].concat();
    Some((sha256(&once), Timestamp::from_seconds(exp)))
}

impl App {
    /// Registers a system of a practice by its public key; its ID.
    pub async fn create_api_client(
        &self,
        practice: PracticeId,
        name: String,
        public: Vec<u8>,
        scopes: String,
        at: At,
    ) -> Result<ApiKeyId, Error> {
        // Nobody knows what this is the digest of: there is no text that would open anything.
        let nobody: [u8; 32] = random_array((self.rng)().as_mut())?;
        let caller = command::Caller::Operator;
        self.run(commands::CREATE_API_KEY, caller, at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&name);
            let key = ApiKey { id: ApiKeyId::new(at.now, cx.tx.rng())?, practice };
            cx.tx.create_api_key(&key, &name, &nobody, at.now)?;
            let (public, scopes) = (public.clone(), scopes.clone());
            cx.tx.create_api_client(&ApiClient { key, public, scopes })?;
            Ok(command::Decision::Done(key.id))
        })
        .await?
        .certain()
    }

    /// Where systems get their tokens; what their assertions are for.
    pub fn token_address(&self) -> String {
        format!("{}/api/v1/token", self.options.public_url)
    }

    /// Gives a token for an assertion, with the scopes that were asked for and are allowed: all of them, where
    /// none was asked for. Nothing where the assertion does not hold.
    pub async fn grant_access(
        &self,
        assertion: String,
        wanted: String,
        at: At,
    ) -> Result<Option<(SecretText, String)>, Error> {
        let audience = self.token_address();
        let bytes: [u8; 32] = random_array((self.rng)().as_mut())?;
        let text = BASE64URL_NOPAD.encode(&bytes);
        let hash = sha256(text.as_bytes());
        // Looked at before anything is written: who has no key costs no transaction.
        let Some(id) = client_of(&assertion) else { return Ok(None) };
        let client = self.store.read("api_client", move |tx| tx.api_client(id)).await?;
        let Some(client) = client else { return Ok(None) };
        let Some((once, until)) = check(&assertion, &client, &audience, at.now) else {
            return Ok(None);
        };
        let allowed: Vec<&str> = client.scopes.split(' ').collect();
        let scopes: Vec<&str> = match wanted.trim() {
            "" => allowed,
            wanted => wanted.split(' ').filter(|it| allowed.contains(it)).collect(),
        };
        let access = Access { key: client.key, scopes: scopes.join(" ") };
        let granted = self
            .store
            .write("grant_access", move |tx| {
                // Revoked meanwhile, or used before.
                if tx.api_client(id)?.is_none() || !tx.use_launch(&once, until)? {
                    return Ok(None);
                }
                tx.create_access(&hash, &access, at.now.plus_seconds(ACCESS_SECONDS))?;
                Ok(Some(access.scopes.clone()))
            })
            .await?;
        Ok(granted.map(|scopes| (SecretText::new(text), scopes)))
    }

    /// Who has this token.
    pub async fn caller(&self, token: &str, at: At) -> Result<Option<Caller>, Error> {
        let hash = sha256(token.as_bytes());
        let found = self.store.read("access", move |tx| tx.access(&hash, at.now)).await?;
        Ok(found.map(Caller))
    }
}
