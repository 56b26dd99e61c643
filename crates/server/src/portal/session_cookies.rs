//! Responses that set the cookies of a session, or take them away.

use axum::response::Response;
use countersign_app::{LoggedIn, SessionSecret};
use countersign_crypto::{SecretText, sha256};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderValue, header};

use super::context::Ctx;
use crate::web::browser::{
    OPEN_COOKIE, SESSION_COOKIE as COOKIE, keep_known, session_cookies_gone,
};

/// A response that gives the browser its session, and what a launch ends it by.
pub(super) fn with_session(mut response: Response, secret: &SessionSecret) -> Response {
    let open = BASE64URL_NOPAD.encode(&sha256(secret.expose().as_bytes()));
    for text in [
        format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", secret.expose()),
        format!("{OPEN_COOKIE}={open}; Path=/; Secure; HttpOnly; SameSite=Lax"),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// A response that gives the browser the session of a log-in with both factors, and lets it keep the secret
/// by which the account knows it.
pub(super) fn with_log_in(response: Response, ctx: &Ctx, logged_in: &LoggedIn) -> Response {
    let mut response = with_session(response, &logged_in.session);
    let new = logged_in.browser.as_ref().map(SessionSecret::expose);
    let secret = new.or(ctx.known.as_ref().map(SecretText::expose));
    if let Some(value) = secret.and_then(keep_known) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A response that takes the browser's session away.
pub(super) fn without_session(mut response: Response) -> Response {
    for text in session_cookies_gone() {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}
