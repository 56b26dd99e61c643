//! The token of a system that proves itself with a key of its own.

use axum::{
    Form, Json,
    extract::{State, rejection::FormRejection},
    response::{IntoResponse, Response},
};
use countersign_app::ACCESS_SECONDS;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Shared,
    web::{
        client_address::Peer,
        edge::after,
        limits::Door,
        respond::{error_problem, no_randomness},
    },
};

/// Request for a token (RFC 6749, 4.4; RFC 7523, 2.2), as a form.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TokenForm {
    /// `client_credentials`.
    grant_type: String,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    client_assertion_type: String,
    /// A JWT that you sign with ES256: `iss` and `sub` your client ID, `aud` this address, `exp` within five
    /// minutes, `iat` and `nbf`, if present, at most 30 seconds ahead, `jti` of 16 to 128 characters, never
    /// used before.
    client_assertion: String,
    /// Scopes separated by spaces; if omitted, all of your scopes.
    #[serde(default)]
    scope: String,
}

/// A token.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenReply {
    /// Send it as `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    /// Scopes granted.
    scope: String,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

pub(super) async fn token(
    State(shared): State<Shared>,
    Peer(address): Peer,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    let Ok(Form(form)) = form else { return refused(StatusCode::BAD_REQUEST, "invalid_request") };
    if form.grant_type != "client_credentials" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    if form.client_assertion_type != ASSERTION_TYPE || form.client_assertion.len() > 4_096 {
        return refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let Ok(at) = shared.app.at() else { return no_randomness() };
    let under_way = match shared.limits.begin(Door::ApiToken, address, at.now).await {
        Ok(begun) => begun,
        Err(wait) => {
            shared.app.note_refusal("api_token_limit", address, at).await;
            // RFC 6749 has no code of its own for it; this one is of RFC 6749, 4.1.2.1.
            let refusal = refused(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable");
            return after(refusal, wait);
        }
    };
    let granted = shared.app.grant_access(form.client_assertion, form.scope, at).await;
    under_way.end(matches!(granted, Ok(None)));
    match granted {
        Ok(Some((_, scope))) if scope.is_empty() => {
            refused(StatusCode::BAD_REQUEST, "invalid_scope")
        }
        Ok(Some((token, scope))) => Json(TokenReply {
            access_token: token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: ACCESS_SECONDS,
            scope,
        })
        .into_response(),
        Ok(None) => {
            shared.app.note_refusal("api_client_unknown", address, at).await;
            refused(StatusCode::UNAUTHORIZED, "invalid_client")
        }
        Err(error) => error_problem(&error, at),
    }
}
