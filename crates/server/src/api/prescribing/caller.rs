//! Who asks, the body of a request as it came, and the problems that end a handler.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    response::Response,
};
use countersign_app::{At, Caller, Error};
use http::{StatusCode, request::Parts};

use crate::{
    Shared, api,
    web::respond::{Stop, error_problem, no_randomness, problem, status_of},
};

/// Most bytes of a body.
const MOST_BYTES: usize = 64 * 1024;

/// Who asks, with a token that opens something.
pub(super) struct Known {
    pub(super) caller: Caller,
    pub(super) at: At,
}

impl FromRequestParts<Shared> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let at = shared.app.at().map_err(|_| no_randomness())?;
        let token = api::bearer(&parts.headers).unwrap_or_default();
        let found = shared.app.caller(token, at).await;
        let found = found.map_err(|error| error_problem(&error, at))?;
        if let Some(caller) = found {
            return Ok(Self { caller, at });
        }
        let detail = "Get a token at /api/v1/token, and send it as a bearer token.";
        Err(api::no_bearer("token_unknown", detail))
    }
}

impl Known {
    pub(super) fn must(&self, scope: &'static str) -> Result<(), Stop> {
        if self.caller.may(scope) {
            return Ok(());
        }
        let detail = format!("The token does not have the scope {scope}.");
        Err(no(StatusCode::FORBIDDEN, "scope_missing", &detail))
    }

    pub(super) fn fault(&self, error: &Error) -> Stop {
        if let Error::OutcomeUnknown(_) = error {
            let status = status_of(error, self.at);
            let detail = format!(
                "The outcome is unknown. Read the signing request before you try again. Support code {}.",
                self.at.support
            );
            return Stop::with(problem(status, "outcome_unknown", &detail));
        }
        Stop::with(error_problem(error, self.at))
    }
}

/// A problem that ends the handler.
pub(super) fn no(status: StatusCode, code: &str, detail: &str) -> Stop {
    Stop::with(problem(status, code, detail))
}

pub(super) fn not_found() -> Stop {
    no(StatusCode::NOT_FOUND, "not_found", "Not found.")
}

/// A body as it came: its digest is what an idempotency key stands for.
pub(super) struct Sent(pub(super) Vec<u8>);

impl<S: Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        api::json_bytes(request, MOST_BYTES).await.map(|bytes| Self(bytes.to_vec()))
    }
}

impl Sent {
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Stop> {
        api::json_read(&self.0).map_err(Stop::with)
    }
}
