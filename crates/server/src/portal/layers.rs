//! What every request passes before its handler: a support code, and the check of where a form comes from.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use countersign_app::{App, Error};
use countersign_domain::SupportCode;
use http::{Method, StatusCode, header};

use crate::{
    Shared,
    views::Page,
    web::{
        client_address::Peer,
        edge::{SentFrom, sent_from},
        respond::{error_page, frame},
    },
};

/// Marks an answer that has a status and no page yet.
#[derive(Clone, Copy)]
struct Bare;

/// A fault found where the frame of a page is not at hand; [`under_a_support_code`] lays it out.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(Bare);
    response
}

/// Draws the support code of a request before anything can fail, so that every fault has one.
pub(super) async fn under_a_support_code(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let Ok(support) = shared.app.support_code() else {
        tracing::error!("the random generator of the FIPS module failed");
        return error_page(StatusCode::INTERNAL_SERVER_ERROR, Page::new(""));
    };
    request.extensions_mut().insert(support);
    let response = next.run(request).await;
    if response.extensions().get::<Bare>().is_none() {
        return response;
    }
    let status = response.status();
    tracing::warn!(%support, status = status.as_u16(), "a request was cut short");
    let mut page = error_page(status, frame(shared.app.options(), support, ""));
    for cookie in response.headers().get_all(header::SET_COOKIE) {
        page.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    page
}

/// The code that [`under_a_support_code`] drew.
pub(super) fn support_of(extensions: &http::Extensions, app: &App) -> Result<SupportCode, Error> {
    extensions.get::<SupportCode>().copied().map_or_else(|| app.support_code(), Ok)
}

/// Lets forms in only from our own pages; what has neither `Origin` nor `Sec-Fetch-Site` is no browser of today
/// and is refused too.
pub(super) async fn from_our_pages(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let reason = match sent_from(request.headers(), &shared.app.options().public_url) {
        SentFrom::OwnPage => return next.run(request).await,
        SentFrom::Elsewhere => "form_of_other_origin",
        SentFrom::Unmarked => "form_unmarked",
    };
    let Peer(peer) = Peer::of(request.extensions());
    let Ok(support) = support_of(request.extensions(), &shared.app) else {
        return bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    shared.app.note_refusal(reason, peer, shared.app.at_under(support)).await;
    bare(StatusCode::FORBIDDEN)
}
