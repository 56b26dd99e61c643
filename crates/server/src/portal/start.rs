//! Ways in and out: the launch, the e-prescribing app, sign-out, static files.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};

use super::{Ctx, Query, bare, with_session, without_session};
use crate::{
    Shared,
    app::LaunchRefusal,
    authenticator,
    respond::{Out, page, see_other},
    views::{Area, ErrorPage, GetPage, LaunchPage, Page, SignedOutPage},
};

/// A signed launch from an EHR: used up here, then on to a clean address with a session.
pub(super) async fn launch(ctx: Ctx, query: Query) -> Out {
    let accepted = ctx
        .app()
        .accept_launch(query.text("token"), ctx.session.clone(), ctx.at)
        .await
        .map_err(|error| ctx.stop(&error))?;
    let mut frame = ctx.frame("Opening e-Prescribing");
    frame.area = Area::EPrescribing;
    match accepted {
        Ok(secret) => {
            frame.patient = None;
            let template = LaunchPage { page: frame, continue_href: "/e-prescribing".to_owned() };
            Ok(with_session(page(StatusCode::OK, &template), &secret))
        }
        Err(LaunchRefusal(code)) => {
            tracing::warn!(support = %ctx.at.support, code, "a launch was refused");
            Ok(closed(
                frame,
                "This link has been used or has run out",
                "Go back to the patient's chart and choose e-Prescribing again.",
                None,
            ))
        }
    }
}

/// A page that is not open this way, with what to do instead.
pub(super) fn closed(
    frame: Page,
    heading: &str,
    what_to_do: &str,
    onward: Option<(String, String)>,
) -> Response {
    let template = ErrorPage {
        page: Page { title: heading.to_owned(), ..frame },
        status: StatusCode::FORBIDDEN.as_u16(),
        heading: heading.to_owned(),
        what_to_do: what_to_do.to_owned(),
        onward,
    };
    page(StatusCode::FORBIDDEN, &template)
}

/// The way into the portal that fits the session.
pub(super) async fn portal(ctx: Ctx) -> Response {
    see_other(super::way_in(ctx.session.map(|session| session.stage)))
}

/// Ends the session on the server, then in the browser.
pub(super) async fn sign_out(ctx: Ctx) -> Out {
    if let Some(session) = &ctx.session {
        ctx.app().sign_out(session, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    }
    Ok(without_session(see_other("/signed-out")))
}

pub(super) async fn signed_out(ctx: Ctx) -> Response {
    page(StatusCode::OK, &SignedOutPage { page: ctx.frame("Signed out") })
}

/// Brings a phone to the app: for everyone, signed in or not.
pub(super) async fn get_app(ctx: Ctx) -> Response {
    let address = authenticator::address(&ctx.app().options().public_url);
    let frame = ctx.frame("Get the Countersign Authenticator");
    page(StatusCode::OK, &GetPage { page: frame, address })
}

pub(super) async fn ready(axum::extract::State(shared): axum::extract::State<Shared>) -> Response {
    if shared.app.ready().await {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
    }
}

/// The files that pages ask for, compiled in.
pub(super) async fn asset(Path(file): Path<String>) -> Response {
    let (kind, bytes): (&str, &'static [u8]) = match file.as_str() {
        "portal.css" => ("text/css; charset=utf-8", include_bytes!("../../static/portal.css")),
        "portal.js" => ("text/javascript; charset=utf-8", include_bytes!("../../static/portal.js")),
        "favicon.svg" | "logo.svg" => ("image/svg+xml", include_bytes!("../../static/logo.svg")),
        _ => return bare(StatusCode::NOT_FOUND),
    };
    // The address carries the version, so a day is safe.
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=86400")], bytes)
        .into_response()
}
