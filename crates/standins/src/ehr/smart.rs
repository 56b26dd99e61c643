//! The authorization server of the stand-in EHR: SMART App Launch 2, from a chart and standalone.
//!
//! It has no log-in: whoever is chosen at the top right is the user. Everything else is as an EHR does it:
//! clients are registered, codes are good once and for a minute, PKCE is asked for, and a token opens what
//! its scopes say for one patient.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::{Form, Path, Query, RawQuery, State, rejection::FormRejection},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use countersign_crypto::{SystemRng, constant_time_eq, random_array};
use countersign_domain::Timestamp;
use countersign_protocol::oidc::{challenge, escaped, jwk, query};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Ehr, fhir,
    patients::{CHARTS, Chart},
};
use crate::views::EhrChoicePage;

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

/// Its addresses.
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

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    response_type: String,
    client_id: String,
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    aud: String,
    #[serde(default)]
    launch: String,
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    /// Chosen on our own page, in a standalone launch.
    #[serde(default)]
    chosen: String,
}

/// Whether an address is one of this machine, without anything that a browser would read otherwise.
fn is_here(url: &str) -> bool {
    let rest =
        ["http://127.0.0.1:", "http://localhost:"].iter().find_map(|it| url.strip_prefix(it));
    rest.is_some_and(|rest| {
        let port = rest.split(['/', '?']).next().unwrap_or_default();
        port.parse::<u16>().is_ok() && !rest.contains(['#', '\\', '@'])
    })
}

async fn authorize(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let known = asked.ok().map(|Query(asked)| asked).filter(|asked| {
        smart.clients.iter().any(|client| {
            client.id == asked.client_id
                && match &client.redirect_uri {
                    Some(uri) => *uri == asked.redirect_uri,
                    None => is_here(&asked.redirect_uri),
                }
        })
    });
    let Some(asked) = known else {
        // Nobody is sent to an address that is not registered (RFC 6749, 3.1.2.4).
        return ehr.message(
            StatusCode::BAD_REQUEST,
            &headers,
            "This app is not registered",
            "Its client ID, or the address that it wants to be reached at, is not known here.",
        );
    };
    let back = |pairs: &[(&str, &str)]| {
        let mark = if asked.redirect_uri.contains('?') { '&' } else { '?' };
        let pairs = [pairs, &[("state", asked.state.as_str())]].concat();
        Redirect::to(&format!("{}{mark}{}", asked.redirect_uri, query(&pairs))).into_response()
    };
    if asked.response_type != "code" {
        return back(&[("error", "unsupported_response_type")]);
    }
    if asked.aud.trim_end_matches('/') != smart.fhir()
        || asked.code_challenge_method != "S256"
        || asked.code_challenge.len() != 43
        || asked.state.is_empty()
    {
        return back(&[("error", "invalid_request")]);
    }
    let now = (ehr.clock)();
    let Some((user, _)) = ehr.users_of(&headers) else {
        return back(&[("error", "access_denied")]);
    };
    let scopes: Vec<String> = asked.scope.split(' ').map(str::to_owned).collect();
    let wants = |scope: &str| scopes.iter().any(|it| it == scope);
    let patient = if asked.launch.is_empty() {
        if wants("launch/patient") {
            let Some(chart) = CHARTS.iter().find(|chart| chart.id == asked.chosen) else {
                let raw = raw.unwrap_or_default();
                let of = |chart: &Chart| {
                    (format!("/auth/authorize?{raw}&chosen={}", chart.id), chart.name.to_owned())
                };
                let page = EhrChoicePage {
                    ehr: ehr.frame("Choose a patient", &headers),
                    app: asked.client_id.clone(),
                    choices: CHARTS.iter().map(of).collect(),
                };
                return super::page(StatusCode::OK, &page);
            };
            Some(chart.id)
        } else {
            None
        }
    } else {
        // Good once, and for whoever opened it.
        let launch = smart.open().launches.remove(&asked.launch);
        let Some((.., chart, _)) = launch.filter(|(of, _, until)| *of == user.user && *until > now)
        else {
            return back(&[("error", "invalid_request"), ("error_description", "launch")]);
        };
        Some(chart)
    };
    let Some(code) = drawn() else { return back(&[("error", "server_error")]) };
    let granted = |scope: &String| {
        matches!(scope.as_str(), "openid" | "fhirUser" | "launch" | "launch/patient")
            || (patient.is_some()
                && fhir::TYPES.iter().map(|(kind, _)| *kind).chain(["*"]).any(|kind| {
                    ["rs", "r", "s", "read"]
                        .iter()
                        .any(|it| *scope == format!("patient/{kind}.{it}"))
                }))
    };
    let access = Access {
        user: user.user.clone(),
        patient,
        scopes: scopes.into_iter().filter(granted).collect(),
        until: now.plus_seconds(TOKEN_SECONDS),
    };
    let grant = Grant {
        client: asked.client_id.clone(),
        redirect_uri: asked.redirect_uri.clone(),
        challenge: asked.code_challenge.clone(),
        nonce: asked.nonce.clone(),
        access,
        until: now.plus_seconds(CODE_SECONDS),
        used: None,
    };
    let mut open = smart.open();
    // A used code is remembered as long as its token lives.
    open.codes.retain(|_, grant| grant.until.plus_seconds(TOKEN_SECONDS) > now);
    if open.codes.len() < MOST {
        open.codes.insert(code.clone(), grant);
    }
    drop(open);
    back(&[("code", &code)])
}

#[derive(Deserialize)]
struct Exchange {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    client_id: String,
}

fn refused(status: StatusCode, error: &str) -> Response {
    fhir::oauth(status, json!({ "error": error }))
}

async fn token(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    form: Result<Form<Exchange>, FormRejection>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let Ok(Form(asked)) = form else { return refused(StatusCode::BAD_REQUEST, "invalid_request") };
    if asked.grant_type != "authorization_code" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .unwrap_or_default();
    let client = smart.clients.iter().find(|client| {
        if client.secret.is_empty() {
            basic.is_empty() && client.id == asked.client_id
        } else {
            let both = format!("{}:{}", escaped(&client.id), escaped(&client.secret));
            constant_time_eq(BASE64.encode(both.as_bytes()).as_bytes(), basic.as_bytes())
        }
    });
    let Some(client) = client else { return refused(StatusCode::UNAUTHORIZED, "invalid_client") };
    let now = (ehr.clock)();
    let Some(name) = drawn() else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
    };
    let grant = {
        let mut open = smart.open();
        let Some(grant) = open.codes.get_mut(&asked.code) else {
            return refused(StatusCode::BAD_REQUEST, "invalid_grant");
        };
        if let Some(first) = grant.used.clone() {
            open.tokens.remove(&first);
            return refused(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        let good = now < grant.until
            && grant.client == client.id
            && grant.redirect_uri == asked.redirect_uri
            && challenge(&asked.code_verifier) == grant.challenge;
        grant.used = Some(name.clone());
        let grant = grant.clone();
        if !good {
            return refused(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        open.tokens.retain(|_, access| access.until > now);
        if open.tokens.len() < MOST {
            open.tokens.insert(name.clone(), grant.access.clone());
        }
        grant
    };
    let access = &grant.access;
    let mut body = Map::from_iter([
        ("access_token".to_owned(), json!(name)),
        ("token_type".to_owned(), json!("Bearer")),
        ("expires_in".to_owned(), json!(TOKEN_SECONDS)),
        ("scope".to_owned(), json!(access.scopes.join(" "))),
    ]);
    if let Some(patient) = access.patient {
        body.insert("patient".to_owned(), json!(patient));
    }
    if access.scopes.iter().any(|scope| scope == "openid") {
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(smart.fhir())),
            ("aud".to_owned(), json!(client.id)),
            ("sub".to_owned(), json!(access.user)),
            ("iat".to_owned(), json!(now.seconds())),
            ("exp".to_owned(), json!(now.seconds() + 300)),
        ]);
        if !grant.nonce.is_empty() {
            claims.insert("nonce".to_owned(), json!(grant.nonce));
        }
        if access.scopes.iter().any(|scope| scope == "fhirUser") {
            let user = format!("{}/Practitioner/{}", smart.fhir(), access.user);
            claims.insert("fhirUser".to_owned(), json!(user));
        }
        let Some(signed) = id_token(&ehr, &Value::Object(claims)) else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
        };
        body.insert("id_token".to_owned(), json!(signed));
    }
    fhir::oauth(StatusCode::OK, Value::Object(body))
}

fn id_token(ehr: &Ehr, claims: &Value) -> Option<String> {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = ehr.signing_key.sign(message.as_bytes()).ok()?;
    Some(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature)))
}

async fn keys(State(ehr): State<Arc<Ehr>>) -> Response {
    if ehr.smart.is_none() {
        return off();
    }
    let key = jwk(KEY_ID, ehr.signing_key.verifying_key().point());
    fhir::oauth(StatusCode::OK, json!({ "keys": [key] }))
}

/// What the token of a request opens.
fn access(ehr: &Ehr, smart: &Smart, headers: &HeaderMap) -> Option<Access> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let found = smart.open().tokens.get(text).cloned();
    found.filter(|access| access.until > (ehr.clock)())
}

async fn read(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let Some(access) = access(&ehr, smart, &headers) else {
        return fhir::not_allowed(StatusCode::UNAUTHORIZED);
    };
    // Whoever is logged in may read who that is.
    let own = kind == "Practitioner"
        && id == access.user
        && access.scopes.iter().any(|scope| scope == "fhirUser");
    if !own && !access.opens(&kind, 'r') {
        return fhir::not_allowed(StatusCode::FORBIDDEN);
    }
    let found = if kind == "Practitioner" {
        ehr.users.iter().find(|user| user.user == id).map(fhir::practitioner)
    } else {
        let chart = CHARTS.iter().find(|chart| Some(chart.id) == access.patient);
        let all = chart.map(|chart| fhir::resources(chart, &kind)).unwrap_or_default();
        all.into_iter().find(|it| it.get("id").and_then(Value::as_str) == Some(id.as_str()))
    };
    match found {
        Some(body) => fhir::answer(StatusCode::OK, &body),
        // Another patient's too: a token says nothing of whether that one exists.
        None => fhir::outcome(StatusCode::NOT_FOUND, "not-found", "There is no such resource."),
    }
}

async fn search(
    State(ehr): State<Arc<Ehr>>,
    headers: HeaderMap,
    Path(kind): Path<String>,
    RawQuery(raw): RawQuery,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(smart) = &ehr.smart else { return off() };
    let Some(access) = access(&ehr, smart, &headers) else {
        return fhir::not_allowed(StatusCode::UNAUTHORIZED);
    };
    if !fhir::TYPES.iter().any(|(known, _)| *known == kind) {
        return fhir::outcome(StatusCode::NOT_FOUND, "not-supported", "There is no such type.");
    }
    if !access.opens(&kind, 's') {
        return fhir::not_allowed(StatusCode::FORBIDDEN);
    }
    let value = |name: &str| query.get(name).map(String::as_str);
    let wanted = value("patient").map(|it| it.strip_prefix("Patient/").unwrap_or(it));
    let id = value("_id");
    let found: Vec<Value> = if kind == "Practitioner" {
        let of = |user: &&super::EhrUser| id.is_none_or(|id| id == user.user);
        ehr.users.iter().filter(of).map(fhir::practitioner).collect()
    } else {
        let chart = CHARTS.iter().find(|chart| {
            Some(chart.id) == access.patient && wanted.is_none_or(|wanted| wanted == chart.id)
        });
        let all = chart.map(|chart| fhir::resources(chart, &kind)).unwrap_or_default();
        let of = |it: &Value| id.is_none_or(|id| it.get("id").and_then(Value::as_str) == Some(id));
        all.into_iter().filter(of).collect()
    };
    let link = format!("{}/{kind}?{}", smart.fhir(), raw.unwrap_or_default());
    fhir::answer(StatusCode::OK, &fhir::bundle(&smart.fhir(), &link, &found))
}
