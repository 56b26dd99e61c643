//! The authorization server of the stand-in EHR: SMART App Launch 2, from a chart and standalone.
//!
//! It has no log-in: whoever is chosen at the top right is the user. Everything else is as an EHR does it:
//! clients are registered, codes are good once and for a minute, PKCE is asked for, and a token opens what
//! its scopes say for one patient.

mod authorize;
mod resources;
mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use countersign_crypto::{SystemRng, random_array};
use countersign_domain::Timestamp;
use countersign_protocol::oidc::{escaped, jwk};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use self::{
    authorize::authorize,
    resources::{read, search},
    token::token,
};
use super::{Ehr, fhir, patients::Chart};

/// How long a launch of a chart can be used, in seconds.
const LAUNCH_SECONDS: i64 = 300;
/// How long a code can be exchanged, in seconds.
const CODE_SECONDS: i64 = 60;
/// How long an access token opens something, in seconds.
const TOKEN_SECONDS: i64 = 900;
const KEY_ID: &str = "ehr-1";
/// Most of anything that is remembered; the oldest goes first.
const MOST: usize = 10_000;

/// An app that may ask here.
#[derive(Debug, Clone)]
pub struct SmartClient {
    /// Its client ID.
    pub id: String,
    /// Its secret; empty for a public client.
    pub secret: String,
    /// Where it is reached again. Nothing: any address of this machine (RFC 8252, 7.3), to try things out.
    pub redirect_uri: Option<String>,
}

/// The SMART side of the stand-in EHR.
pub struct Smart {
    /// Our own origin, without a slash at the end.
    base: String,
    clients: Vec<SmartClient>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// User and chart of a launch, until when.
    launches: HashMap<String, (String, &'static str, Timestamp)>,
    codes: HashMap<String, Grant>,
    tokens: HashMap<String, Access>,
}

#[derive(Clone)]
struct Grant {
    client: String,
    redirect_uri: String,
    challenge: String,
    nonce: String,
    access: Access,
    until: Timestamp,
    /// The token that it was exchanged for: it ends when the code comes a second time (RFC 6749, 4.1.2).
    used: Option<String>,
}

#[derive(Clone)]
struct Access {
    user: String,
    patient: Option<&'static str>,
    scopes: Vec<String>,
    until: Timestamp,
}

impl Access {
    /// Whether it opens resources of a kind, to read or to search.
    fn opens(&self, kind: &str, what: char) -> bool {
        self.scopes.iter().any(|scope| {
            let Some((of, verbs)) =
                scope.strip_prefix("patient/").and_then(|scope| scope.split_once('.'))
            else {
                return false;
            };
            (of == "*" || of == kind) && (verbs == "read" || verbs.contains(what))
        })
    }
}

impl Smart {
    /// At an origin, for these apps.
    pub fn new(base: String, clients: Vec<SmartClient>) -> Self {
        Self { base, clients, open: Mutex::default() }
    }

    /// The address of its FHIR server.
    pub fn fhir(&self) -> String {
        format!("{}/fhir", self.base)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the app of the tab is opened, with a launch for a user and a chart.
    pub(super) fn launch(
        &self,
        app: &str,
        user: &str,
        chart: &Chart,
        now: Timestamp,
    ) -> Option<String> {
        let launch = drawn()?;
        let until = now.plus_seconds(LAUNCH_SECONDS);
        let mut open = self.open();
        open.launches.retain(|_, (.., until)| *until > now);
        if open.launches.len() < MOST {
            open.launches.insert(launch.clone(), (user.to_owned(), chart.id, until));
        }
        drop(open);
        Some(format!("{app}/smart/launch?iss={}&launch={launch}", escaped(&self.fhir())))
    }
}

fn drawn() -> Option<String> {
    random_array::<32>(&mut SystemRng).ok().map(|bytes| BASE64URL_NOPAD.encode(&bytes))
}

/// The addresses of the authorization server and of the FHIR server.
pub(super) fn routes() -> Router<Arc<Ehr>> {
    Router::new()
        .route("/fhir/.well-known/smart-configuration", get(configuration).options(preflight))
        .route("/fhir/.well-known/openid-configuration", get(configuration).options(preflight))
        .route("/fhir/metadata", get(metadata).options(preflight))
        .route("/fhir/{kind}", get(search).options(preflight))
        .route("/fhir/{kind}/{id}", get(read).options(preflight))
        .route("/auth/authorize", get(authorize))
        .route("/auth/token", post(token).options(preflight))
        .route("/auth/keys", get(keys).options(preflight))
        .layer(axum::middleware::from_fn(cors))
}

async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Apps in a browser read it from origins of their own; nothing here rests on a cookie but the page of
/// authorization, which is no such address.
async fn cors(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let page = request.uri().path() == "/auth/authorize";
    let mut response = next.run(request).await;
    if !page {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let allowed = HeaderValue::from_static("authorization, content-type, accept, prefer");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        let methods = HeaderValue::from_static("GET, POST");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    response
}

fn off() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

async fn configuration(State(ehr): State<Arc<Ehr>>) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let base = &smart.base;
    fhir::oauth(
        StatusCode::OK,
        json!({
            "issuer": smart.fhir(),
            "jwks_uri": format!("{base}/auth/keys"),
            "authorization_endpoint": format!("{base}/auth/authorize"),
            "token_endpoint": format!("{base}/auth/token"),
            "grant_types_supported": ["authorization_code"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "scopes_supported": [
                "openid", "fhirUser", "launch", "launch/patient", "patient/*.rs", "patient/Patient.rs",
                "patient/AllergyIntolerance.rs", "patient/Condition.rs", "patient/MedicationRequest.rs",
            ],
            "capabilities": [
                "launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric",
                "sso-openid-connect", "context-ehr-patient", "context-standalone-patient",
                "permission-patient", "permission-v1", "permission-v2",
            ],
        }),
    )
}

async fn metadata(State(ehr): State<Arc<Ehr>>) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let body = fhir::capabilities(&smart.fhir(), &format!("{}/auth", smart.base));
    fhir::answer(StatusCode::OK, &body)
}

async fn keys(State(ehr): State<Arc<Ehr>>) -> Response {
    if ehr.smart.is_none() {
        return off();
    }
    let key = jwk(KEY_ID, ehr.signing_key.verifying_key().point());
    fhir::oauth(StatusCode::OK, json!({ "keys": [key] }))
}
