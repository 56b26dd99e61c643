//! The JSON API for integrating systems, and provisioning for token apps.

mod prescribing;
pub(crate) mod vip;

pub use prescribing::openapi;
pub(crate) use prescribing::read_request;

use std::{net::IpAddr, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use countersign_app::{Answer, At, CheckAnswer, ProvisionRefusal};
use countersign_domain::{CredentialId, Manufacturer, Purpose, otp::OneTimePasscode};
use countersign_provision::native::{ProvisionRequest, RequestError, ServerTime};
use data_encoding::HEXLOWER;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Shared,
    web::{
        browser,
        client_address::Peer,
        edge::{SentFrom, after, app_sent_from},
        limits::Door,
        respond::{error_problem, no_randomness, problem, within},
    },
};

/// Most bytes of a body: an ID, a passcode and a purpose.
const MOST_BYTES: usize = 4 * 1024;

pub(crate) fn routes(most: Duration) -> axum::Router<Shared> {
    axum::Router::new()
        .route("/api/v1/passcode-checks", post(check_passcode))
        .route("/provision/v1/credentials", post(provision))
        .route("/provision/v1/time", get(time))
        .route("/provision/v1/browser", get(browser::answer))
        .merge(prescribing::routes())
        .method_not_allowed_fallback(async || {
            problem(StatusCode::METHOD_NOT_ALLOWED, "method", "Use the documented method.")
        })
        // One stack: each layer that a router takes by itself costs every request a box of its own.
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn(move |request: Request, next: Next| async move {
                    let mut response = within(most, request, next, || {
                        problem(
                            StatusCode::GATEWAY_TIMEOUT,
                            "too_slow",
                            "Not verified. Wait for the next passcode.",
                        )
                    })
                    .await;
                    let headers = response.headers_mut();
                    headers
                        .insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
                    headers.insert(
                        header::X_CONTENT_TYPE_OPTIONS,
                        http::HeaderValue::from_static("nosniff"),
                    );
                    response
                }))
                .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
                    tracing::error!("a handler panicked");
                    problem(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal",
                        "Something went wrong on our end.",
                    )
                })),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    credential_id: String,
    passcode: String,
    purpose: String,
    #[serde(default)]
    content_digest: Option<String>,
}

#[derive(Serialize)]
struct CheckReply {
    verified: bool,
}

/// A body of at most [`MOST_BYTES`] that says it is JSON.
struct JsonBytes(Bytes);

impl<S: Sync> FromRequest<S> for JsonBytes {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        json_bytes(request, MOST_BYTES).await.map(Self)
    }
}

/// A body of at most so many bytes that says it is JSON.
async fn json_bytes(request: Request, most: usize) -> Result<Bytes, Response> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next()).map(str::trim);
    if !kind.is_some_and(|it| it.eq_ignore_ascii_case("application/json")) {
        let detail =
            "Only JSON is accepted. Send it with the header Content-Type: application/json.";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body_malformed", detail));
    }
    let body = axum::body::to_bytes(request.into_body(), most).await;
    body.map_err(|_| {
        let detail = format!("The body must not exceed {most} bytes.");
        problem(StatusCode::PAYLOAD_TOO_LARGE, "body_malformed", &detail)
    })
}

/// Reads a body.
#[expect(clippy::result_large_err, reason = "it is the answer")]
fn json_read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| {
        let malformed = error.is_syntax() || error.is_eof();
        bad_body(if malformed { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY })
    })
}

/// The same, read.
struct JsonBody<T>(T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let JsonBytes(body) = JsonBytes::from_request(request, state).await?;
        json_read(&body).map(Self)
    }
}

/// The bearer token of a request (RFC 6750), where it has one that can be ours.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    // The name of a scheme is read without case (RFC 9110, 11.1).
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("Bearer") && token.len() <= 128).then_some(token)
}

/// The answer for whoever has none that opens something.
fn no_bearer(code: &str, detail: &str) -> Response {
    let mut response = problem(StatusCode::UNAUTHORIZED, code, detail);
    let value = http::HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    response
}

/// IDs of digits alone need their maker and are looked up as OneSpan's, the only such maker whose IDs
/// cover all lengths.
fn credential(text: &str) -> Option<CredentialId> {
    CredentialId::parse(text, None)
        .or_else(|_| CredentialId::parse(text, Some(Manufacturer::OneSpan)))
        .ok()
}

/// A SHA-256 as a request writes it; else what is wrong with it.
fn digest(text: &str) -> Result<[u8; 32], String> {
    let found = text.chars().count();
    if found != 64 {
        return Err(format!(
            "A SHA-256 has 64 hexadecimal digits; this value has {found} characters."
        ));
    }
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "Write a SHA-256 with the digits 0-9 and a-f only.".to_owned())
}

fn bad_body(status: StatusCode) -> Response {
    problem(status, "body_malformed", "Send a JSON object with exactly the documented fields.")
}

async fn check_passcode(
    State(shared): State<Shared>,
    Peer(address): Peer,
    headers: HeaderMap,
    body: Result<JsonBody<CheckBody>, Response>,
) -> Response {
    let Some(key) = bearer(&headers) else { return unauthorized(&shared, address).await };
    let JsonBody(body) = match body {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let Ok(passcode) = body.passcode.parse::<OneTimePasscode>() else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "passcode_malformed",
            "A passcode has 6 to 8 digits.",
        );
    };
    let Some(purpose) = Purpose::from_code(&body.purpose) else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "purpose_unknown",
            "The purpose is unknown.",
        );
    };
    let content = match body.content_digest.as_deref().map(digest).transpose() {
        Ok(content) => content,
        Err(detail) => {
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "digest_malformed", &detail);
        }
    };
    let Ok(at) = shared.app.at() else { return no_randomness() };
    // A malformed ID is answered like an unknown one.
    let credential = credential(&body.credential_id);
    match shared.app.check_passcode(key, credential, passcode, purpose, content, at).await {
        Ok(CheckAnswer::UnknownKey) => unauthorized(&shared, address).await,
        Ok(answer) => {
            Json(CheckReply { verified: answer == CheckAnswer::Verified }).into_response()
        }
        Err(error) => error_problem(&error, at),
    }
}

async fn unauthorized(shared: &Shared, address: IpAddr) -> Response {
    if let Ok(at) = shared.app.at() {
        shared.app.note_refusal("api_key_unknown", address, at).await;
    }
    no_bearer("key_unknown", "Send a valid API key as a bearer token.")
}

/// Whether a new token may be made for this address now. A pairing code that somebody shows is looked at before
/// any limit: whoever waits for it is not held up by strangers. A code that nobody shows counts; it has 128 random
/// bits, and is not found by trying.
async fn within_limits(
    shared: &Shared,
    request: &ProvisionRequest,
    address: IpAddr,
    at: At,
) -> Result<(), Response> {
    let limits = &shared.limits;
    let (wait, reason, detail) = match &request.pairing_code {
        Some(code) => {
            let open = shared.app.pairing_is_open(code, at).await;
            if open.map_err(|error| error_problem(&error, at))? {
                return Ok(());
            }
            (
                limits.count(Door::Pairing, address, at.now),
                "pairing_limit",
                "Too many invalid pairing codes. Show a new one in the portal.",
            )
        }
        None => (
            limits
                .count(Door::Provisioning, address, at.now)
                .and_then(|()| limits.provision_unpaired(at.now)),
            "provisioning_limit",
            "Too many new tokens requested. Wait a minute, or show a pairing code in the portal.",
        ),
    };
    let Err(wait) = wait else { return Ok(()) };
    shared.app.note_refusal(reason, address, at).await;
    Err(after(problem(StatusCode::TOO_MANY_REQUESTS, "too_many", detail), wait))
}

async fn provision(
    State(shared): State<Shared>,
    Peer(address): Peer,
    headers: HeaderMap,
    JsonBytes(body): JsonBytes,
) -> Response {
    let Ok(at) = shared.app.at() else { return no_randomness() };
    // An app in a browser says where its page is from; other apps say nothing of it.
    if app_sent_from(&headers, &shared.app.options().public_url) == SentFrom::Elsewhere {
        shared.app.note_refusal("form_of_other_origin", address, at).await;
        return problem(
            StatusCode::FORBIDDEN,
            "origin_foreign",
            "Pages from another origin may not request tokens here.",
        );
    }
    let request = match ProvisionRequest::from_json(&body) {
        Ok(request) => request,
        Err(refused) => {
            let status = match refused {
                RequestError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
                RequestError::Body => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let detail = format!("The request was rejected: {refused}.");
            return problem(status, refused.code(), &detail);
        }
    };
    if let Err(refused) = within_limits(&shared, &request, address, at).await {
        return refused;
    }
    let unprocessable = |code, detail| problem(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    let (at, mark) = match browser::for_new_token(&shared, &headers, address, at).await {
        Ok(known) => known,
        Err(refused) => return refused,
    };
    match shared.app.provision(request, at).await {
        Ok(Answer::Done(answer)) => {
            let kind = http::HeaderValue::from_static("application/json");
            let mut response =
                (StatusCode::CREATED, [(header::CONTENT_TYPE, kind)], answer.to_json())
                    .into_response();
            response.headers_mut().extend(mark.map(|mark| (header::SET_COOKIE, mark)));
            response
        }
        Ok(Answer::Refused(ProvisionRefusal::NotOffered) | Answer::NotConfirmed(_)) => {
            unprocessable("family_not_offered", "This server does not issue tokens of that family.")
        }
        Ok(Answer::Refused(ProvisionRefusal::AlgorithmNotOffered)) => {
            unprocessable("algorithm_not_offered", "Tokens of that family use SHA1.")
        }
        Ok(Answer::Refused(ProvisionRefusal::PairingUnknown)) => {
            shared.app.note_refusal("pairing_unknown", address, at).await;
            problem(
                StatusCode::NOT_FOUND,
                "pairing_unknown",
                "This pairing code is not valid: it was already used or has expired (5 minutes). Show a new one.",
            )
        }
        Ok(Answer::Refused(ProvisionRefusal::Full)) => {
            shared.app.note_refusal("provisioning_full", address, at).await;
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "full",
                "Too many new tokens are waiting to be added. Try again later.",
            )
        }
        Err(error) => error_problem(&error, at),
    }
}

async fn time(State(shared): State<Shared>) -> Response {
    let Ok(at) = shared.app.at() else { return no_randomness() };
    (
        [(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))],
        ServerTime::at(at.now).to_json(),
    )
        .into_response()
}
