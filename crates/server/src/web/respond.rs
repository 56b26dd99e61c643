//! Where answers become HTTP: pages, problem documents and the headers around them.

use std::time::Duration;

use askama::Template;
use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use countersign_app::{At, Build, Error, Options};
use countersign_domain::SupportCode;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::views::{ErrorPage, Page, SupportContact};

/// Headers of every answer that a browser may show. No inline script or style, nothing from
/// elsewhere, no frame around us, nothing kept.
pub(crate) const SECURITY_HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
];

/// Puts the security headers on a response, and forbids keeping it unless it says otherwise.
pub(crate) async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Runs the rest of a request, and gives it up after `most`. A transaction that it began goes on
/// to its end all the same, and what it consumed counts as consumed.
pub(crate) async fn within(
    most: Duration,
    request: Request,
    next: Next,
    late: impl FnOnce() -> Response,
) -> Response {
    if let Ok(response) = tokio::time::timeout(most, next.run(request)).await {
        return response;
    }
    tracing::warn!("a request timed out");
    late()
}

/// A page with its status.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (
            status,
            [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))],
            html,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "a template did not render");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Goes on to another page after a form: 303, so that a reload sends nothing twice.
pub(crate) fn see_other(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A handler's early end, with the answer that goes out.
pub(crate) struct Stop(Box<Response>);

impl Stop {
    pub(crate) fn with(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What a page handler answers.
pub(crate) type Out = Result<Response, Stop>;

/// The status of a fault, logged once with its chain under the support code.
pub(crate) fn status_of(error: &Error, at: At) -> StatusCode {
    let support = at.support;
    match error {
        Error::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::SignedOut => StatusCode::UNAUTHORIZED,
        Error::NotFound => StatusCode::NOT_FOUND,
        Error::NulInText => {
            tracing::warn!(%support, "a text with a NUL character was rejected");
            StatusCode::BAD_REQUEST
        }
        Error::Busy => {
            tracing::warn!(%support, "too many requests are waiting for a passphrase hash");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::HashFailed => {
            tracing::error!(%support, "a passphrase hash task ended without a result");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::Unavailable(cause) => {
            tracing::error!(%support, %cause, "the database is not available");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::OutcomeUnknown(cause) => {
            tracing::error!(%support, %cause, "the outcome of a change is unknown");
            StatusCode::GATEWAY_TIMEOUT
        }
        Error::Internal(cause) => {
            tracing::error!(%support, %cause, "internal error");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The page for a fault.
pub(crate) fn error_page(status: StatusCode, frame: Page) -> Response {
    page(status, &ErrorPage::for_status(status.as_u16(), frame))
}

/// A problem document (RFC 9457).
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// The problem document of a fault.
pub(crate) fn error_problem(error: &Error, at: At) -> Response {
    let support = at.support.to_string();
    let status = status_of(error, at);
    let (code, detail) = match error {
        Error::Busy | Error::HashFailed | Error::Unavailable(_) => {
            ("unavailable", "Nothing was changed. Try again in a moment.")
        }
        Error::OutcomeUnknown(_) => {
            ("outcome_unknown", "Not verified. Wait for the next passcode.")
        }
        Error::NotFound => ("not_found", "Not found."),
        Error::NulInText => {
            ("nul_in_text", "A value contains a NUL character (U+0000). Nothing was changed.")
        }
        _ => ("internal", "Something went wrong on our end."),
    };
    problem(status, code, &format!("{detail} Support code {support}."))
}

/// The frame around a page of nobody in particular.
pub(crate) fn frame(options: &Options, support: SupportCode, title: &str) -> Page {
    let mut page = Page::new(title);
    page.support_code = Some(support.to_string());
    page.demonstration = options.demonstration;
    // A demonstration signs nothing that counts, and says so already.
    page.unlisted = !matches!(options.build, Build::Listed { .. }) && !options.demonstration;
    let contact = &options.support;
    if !contact.name.is_empty() {
        page.support = Some(SupportContact {
            name: contact.name.clone(),
            phone: contact.phone.clone(),
            email: contact.email.clone(),
            hours: None,
        });
    }
    page
}

/// Without the module's generator no support code and no token can be made.
pub(crate) fn no_randomness() -> Response {
    tracing::error!("the random generator of the FIPS module failed");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our end.")
}
