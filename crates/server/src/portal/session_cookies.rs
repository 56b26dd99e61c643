//! Responses that set the cookies of a session, or take them away.

use axum::response::Response;
use countersign_app::{LoggedIn, SessionSecret};
use countersign_crypto::SecretText;

use super::context::Ctx;
use crate::web::browser::{keep_known, session_cookies, session_cookies_gone, set_cookie};

/// A response that gives the browser its session, and what a launch ends it by.
pub(super) fn with_session(mut response: Response, secret: &SessionSecret) -> Response {
    for cookie in session_cookies(secret.expose()) {
        set_cookie(response.headers_mut(), &cookie);
    }
    response
}

/// A response that gives the browser the session of a log-in with both factors, and lets it keep the secret
/// by which the account knows it.
pub(super) fn with_log_in(response: Response, ctx: &Ctx, logged_in: &LoggedIn) -> Response {
    let mut response = with_session(response, &logged_in.session);
    let new = logged_in.browser.as_ref().map(SessionSecret::expose);
    let secret = new.or(ctx.known.as_ref().map(SecretText::expose));
    if let Some(secret) = secret {
        set_cookie(response.headers_mut(), &keep_known(secret));
    }
    response
}

/// A response that takes the browser's session away.
pub(super) fn without_session(mut response: Response) -> Response {
    for cookie in session_cookies_gone() {
        set_cookie(response.headers_mut(), &cookie);
    }
    response
}
