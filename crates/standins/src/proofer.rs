//! The proofing provider of the demonstration: an `OpenID` provider on an origin of its own, with made-up
//! people. It says so on every page and in every ID token, and a real installation refuses such a token.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use askama::Template;
use axum::{
    Json, Router,
    extract::{Form, Path, Query, State, rejection::QueryRejection},
    middleware::map_response,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use countersign_crypto::{SigningKey, SystemRng, constant_time_eq, random_array};
use countersign_domain::Timestamp;
use countersign_protocol::oidc;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::views::ProoferPage;

/// How long a code can be exchanged, in seconds.
const CODE_SECONDS: i64 = 60;
/// How long an ID token is good, in seconds.
const TOKEN_SECONDS: i64 = 300;
/// The assurance that it claims, as its discovery says.
pub const ASSURANCE: &str = "demo-ial2";
const KEY_ID: &str = "demo-1";
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A made-up person of the provider, with the claims of its ID token about them. An empty text is sent as it is.
#[derive(Debug, Clone, Default)]
pub struct MadeUp {
    /// Name at the provider: `sub` of the ID token, and what the page of choices sends.
    pub subject: String,
    /// Given name: `given_name`.
    pub given: String,
    /// Middle name: `middle_name`.
    pub middle: String,
    /// Family name: `family_name`.
    pub family: String,
    /// Date of birth: `birthdate`, `YYYY-MM-DD`.
    pub born: String,
    /// National Provider Identifier, 10 digits: `npi`.
    pub npi: String,
    /// Address in one line.
    pub address: String,
    /// What the page of choices says of them, such as why they are refused.
    pub note: &'static str,
}

/// What the provider is made of.
pub struct Proofer {
    /// Its address, without a slash at the end.
    pub issuer: String,
    /// The one client that it knows, and its secret.
    pub client: (String, String),
    /// Where that client is reached again.
    pub redirect_uri: String,
    /// Signs the ID tokens.
    pub signing_key: SigningKey,
    /// Who can be chosen on its page, in this order.
    pub people: Vec<MadeUp>,
    /// Reads the time, by which codes and ID tokens run out.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Proofer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

struct Grant {
    person: usize,
    nonce: String,
    challenge: String,
    until: Timestamp,
}

struct Running {
    proofer: Proofer,
    grants: Mutex<HashMap<String, Grant>>,
}

/// Its pages and endpoints. `None` outside a demonstration: there it does not run.
pub fn router(proofer: Proofer, demonstration: bool) -> Option<Router> {
    let running = Running { proofer, grants: Mutex::default() };
    demonstration.then(|| {
        Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/authorize", get(authorize))
            .route("/authorize/as", get(choose))
            .route("/token", post(token))
            .route("/keys", get(keys))
            .route("/static/{file}", get(static_file))
            .fallback(async || nothing())
            .layer(map_response(harden))
            .with_state(Arc::new(running))
    })
}

/// The headers of a plain page that sends nothing anywhere.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn shown(
    status: StatusCode,
    heading: &'static str,
    text: &'static str,
    choices: Vec<(String, String, &'static str)>,
) -> Response {
    match (ProoferPage { heading, text, choices }).render() {
        Ok(body) => (status, Html(body)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn nothing() -> Response {
    shown(StatusCode::NOT_FOUND, "Page not found", "Go back.", Vec::new())
}

async fn static_file(Path(file): Path<String>) -> Response {
    crate::ehr::asset(&file).unwrap_or_else(nothing)
}

async fn discovery(State(it): State<Arc<Running>>) -> Json<Value> {
    let issuer = &it.proofer.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": [ASSURANCE],
        "service_documentation": "Demonstration provider. It verifies no one.",
    }))
}

#[derive(Clone, Deserialize, Serialize)]
struct Asked {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
    #[serde(default)]
    person: String,
}

impl Asked {
    fn is_good(&self, proofer: &Proofer) -> bool {
        self.response_type == "code"
            && self.client_id == proofer.client.0
            && self.redirect_uri == proofer.redirect_uri
            && self.code_challenge_method == "S256"
            && self.code_challenge.len() == 43
            && !self.nonce.is_empty()
    }

    fn href(&self, person: &str) -> String {
        let pairs = [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .append_pair("person", person)
            .finish();
        format!("/authorize/as?{query}")
    }
}

fn not_asked() -> Response {
    let text = "This page is opened by a practice that requests identity proofing.";
    shown(StatusCode::BAD_REQUEST, "No request", text, Vec::new())
}

async fn authorize(
    State(it): State<Arc<Running>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Some(Query(asked)) = asked.ok().filter(|asked| asked.is_good(&it.proofer)) else {
        return not_asked();
    };
    let mut choices: Vec<_> = it
        .proofer
        .people
        .iter()
        .map(|person| {
            let name = format!("{} {} {}", person.given, person.middle, person.family);
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            (asked.href(&person.subject), name, person.note)
        })
        .collect();
    choices.push((asked.href(""), "Decline".to_owned(), ""));
    let text = "A real provider would now check documents. Here you choose who you are.";
    shown(StatusCode::OK, "Who are you?", text, choices)
}

async fn choose(
    State(it): State<Arc<Running>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Some(Query(asked)) = asked.ok().filter(|asked| asked.is_good(&it.proofer)) else {
        return not_asked();
    };
    let state = oidc::escaped(&asked.state);
    let back = &it.proofer.redirect_uri;
    let Some(person) = it.proofer.people.iter().position(|p| p.subject == asked.person) else {
        return Redirect::to(&format!("{back}?error=access_denied&state={state}")).into_response();
    };
    let Ok(bytes) = random_array::<32>(&mut SystemRng) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let code = BASE64URL_NOPAD.encode(&bytes);
    let until = (it.proofer.clock)().plus_seconds(CODE_SECONDS);
    let grant = Grant { person, nonce: asked.nonce, challenge: asked.code_challenge, until };
    it.grants.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone(), grant);
    Redirect::to(&format!("{back}?code={code}&state={state}")).into_response()
}

#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn token(
    State(it): State<Arc<Running>>,
    headers: HeaderMap,
    Form(asked): Form<Exchange>,
) -> Response {
    let (id, secret) = &it.proofer.client;
    let both = format!("{}:{}", oidc::escaped(id), oidc::escaped(secret));
    let expected = BASE64.encode(both.as_bytes());
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Basic ")).unwrap_or_default();
    if !constant_time_eq(given.as_bytes(), expected.as_bytes()) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let now = (it.proofer.clock)();
    let grant = it.grants.lock().unwrap_or_else(PoisonError::into_inner).remove(&asked.code);
    let good = grant.filter(|grant| {
        now < grant.until
            && asked.grant_type == "authorization_code"
            && asked.redirect_uri == it.proofer.redirect_uri
            && oidc::challenge(&asked.code_verifier) == grant.challenge
    });
    let person = good.as_ref().and_then(|grant| it.proofer.people.get(grant.person));
    let (Some(grant), Some(person)) = (&good, person) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let claims = json!({
        "iss": it.proofer.issuer,
        "aud": id,
        "sub": person.subject,
        "nonce": grant.nonce,
        "iat": now.seconds(),
        "exp": now.seconds() + TOKEN_SECONDS,
        "acr": ASSURANCE,
        "given_name": person.given,
        "middle_name": person.middle,
        "family_name": person.family,
        "birthdate": person.born,
        "npi": person.npi,
        "address": { "formatted": person.address },
        "demonstration": true,
    });
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(&header), part(&claims));
    let Ok(signature) = it.proofer.signing_key.sign(message.as_bytes()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let id_token = format!("{message}.{}", BASE64URL_NOPAD.encode(&signature));
    Json(json!({
        "access_token": asked.code, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "id_token": id_token,
    }))
    .into_response()
}

async fn keys(State(it): State<Arc<Running>>) -> Json<Value> {
    let point = it.proofer.signing_key.verifying_key();
    let bytes = point.point();
    let part = |from: usize| bytes.get(from..from + 32).map(|it| BASE64URL_NOPAD.encode(it));
    Json(json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
        "x": part(1), "y": part(33),
    }] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    fn proofer() -> Proofer {
        Proofer {
            issuer: "http://127.0.0.1:1".to_owned(),
            client: ("countersign".to_owned(), "s".to_owned()),
            redirect_uri: "http://127.0.0.1:2/proofing/return".to_owned(),
            signing_key: SigningKey::generate().unwrap().0,
            people: vec![MadeUp { subject: "p1".to_owned(), ..MadeUp::default() }],
            clock: Arc::new(|| Timestamp::from_seconds(1_800_000_000)),
        }
    }

    async fn get(router: &Router, uri: &str) -> (StatusCode, String, String) {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let location = answer.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap(), location.unwrap_or_default())
    }

    const ASKED: &str = "response_type=code&client_id=countersign&redirect_uri=http%3A%2F%2F127.0.0.1%3A2%2Fproofing%2Freturn&state=a%26b&nonce=n&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    #[test]
    fn it_runs_in_a_demonstration_only() {
        assert!(router(proofer(), false).is_none());
        assert!(router(proofer(), true).is_some());
    }

    #[tokio::test]
    async fn every_page_says_that_it_is_made_up() {
        let app = router(proofer(), true).unwrap();
        for uri in ["/authorize", "/nothing", &format!("/authorize?{ASKED}")] {
            let (_, body, _) = get(&app, uri).await;
            assert!(body.contains("It verifies no one"), "{uri}: {body}");
        }
        let (status, body, _) = get(&app, "/.well-known/openid-configuration").await;
        assert!(status.is_success() && body.contains("It verifies no one"));
    }

    #[tokio::test]
    async fn what_was_not_asked_for_by_its_client_gets_no_code() {
        let app = router(proofer(), true).unwrap();
        for (from, to) in [
            ("client_id=countersign", "client_id=other"),
            ("proofing%2Freturn", "elsewhere"),
            ("S256", "plain"),
            ("response_type=code", "response_type=token"),
        ] {
            let uri = format!("/authorize/as?{}&person=p1", ASKED.replace(from, to));
            let (status, _, location) = get(&app, &uri).await;
            assert_eq!((status, location.as_str()), (StatusCode::BAD_REQUEST, ""), "{to}");
        }
        let (_, _, location) = get(&app, &format!("/authorize/as?{ASKED}&person=nobody")).await;
        assert!(location.ends_with("?error=access_denied&state=a%26b"), "{location}");
        let (status, _, location) = get(&app, &format!("/authorize/as?{ASKED}&person=p1")).await;
        assert!(status.is_redirection() && location.contains("?code="), "{location}");
        let request = Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("grant_type=authorization_code&code=x&redirect_uri=y&code_verifier=z"))
            .unwrap();
        let answer = app.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
}
