//! Ways in and out: the launch, the e-prescribing app, sign-out, static files.
//!
//! No handler of a launch has a session: [`launch_ends_what_was_open`] ended it before.

use axum::{
    extract::{Path, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cookie::SameSite;
use countersign_app::{Answer, Error, LaunchRefusal, SMART_SECONDS};
use http::{HeaderMap, StatusCode, header};

use super::{Ctx, Query, bare, with_session, without_session};
use crate::{
    Shared,
    views::{Area, ErrorPage, GetPage, LaunchPage, Page, SignedOutPage},
    web::{
        authenticator,
        browser::{
            OPEN_COOKIE, SESSION_COOKIE, cookie, cookie_gone, kept_cookie, open_here, set_cookie,
            take_cookies,
        },
        limits::Door,
        respond::{Out, page, see_other, status_of},
    },
};

/// The addresses at which launches begin and come back.
const LAUNCHES: [&str; 3] = ["/launch", "/smart/launch", "/smart/callback"];

/// Ends what was open in the browser before anything of a launch can fail, so that no page shows the chart or the
/// user of an earlier one. An EHR is another site: its links bring no `SameSite=Strict` cookie along, so the session
/// is found by [`OPEN_COOKIE`], which comes with links and proves nothing. The answer takes both cookies away, also
/// where neither came, such as with a form of another site.
pub(super) async fn launch_ends_what_was_open(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    if !LAUNCHES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let mut open = open_here(request.headers());
    open.dedup();
    // The session in the cookie is over: no handler and no page of this request sees it.
    take_cookies(request.headers_mut(), &[SESSION_COOKIE, OPEN_COOKIE]);
    let Ok(support) = super::support_of(request.extensions(), &shared.app) else {
        return without_session(bare(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let at = shared.app.at_under(support);
    let ended = if open.is_empty() { Ok(()) } else { shared.app.end_before_launch(open, at).await };
    if let Err(error) = ended {
        return without_session(bare(status_of(&error, at)));
    }
    let response = next.run(request).await;
    let begins = response.headers().get_all(header::SET_COOKIE).iter().any(|value| {
        let name = value.as_bytes().split(|byte| *byte == b'=').next();
        name == Some(SESSION_COOKIE.as_bytes())
    });
    if begins { response } else { without_session(response) }
}

/// A signed launch from an EHR: used up here, then on to a clean address with a session.
pub(super) async fn launch(ctx: Ctx, query: Query) -> Out {
    let under_way = ctx.begin(Door::Launch, "launch_limit").await?;
    let accepted = ctx.app().accept_launch(query.text("token"), ctx.at).await;
    under_way.end(matches!(accepted, Ok(Answer::Refused(_))));
    let accepted = accepted.map_err(|error| ctx.stop(&error))?;
    let mut frame = ctx.frame("Opening e-Prescribing");
    frame.area = Area::EPrescribing;
    match accepted {
        Answer::Done(secret) => {
            let template = LaunchPage { page: frame, continue_href: "/e-prescribing".to_owned() };
            Ok(with_session(page(StatusCode::OK, &template), &secret))
        }
        Answer::Refused(refusal) => Ok(not_launched(&ctx, refusal)),
        Answer::NotConfirmed(refusal) => Err(ctx.stop(&Error::Refused(refusal))),
    }
}

/// What the browser keeps on the way to an EHR and back. Sent along when the EHR's page leads back here,
/// which is another site's.
const SMART_COOKIE: &str = "__Host-countersign-smart";

/// A SMART launch from an EHR's chart: on to its authorization server.
pub(super) async fn smart_launch(ctx: Ctx, query: Query) -> Out {
    // Whoever comes back with a code that holds is forgiven: a practice launches as often as it likes.
    ctx.count(Door::Launch, "launch_limit").await?;
    let launch = Some(query.text("launch")).filter(|launch| !launch.is_empty());
    let begun = ctx.app().begin_smart(query.text("iss"), launch, ctx.at).await;
    match begun.map_err(|error| ctx.stop(&error))? {
        Answer::Done(way) => {
            let kept =
                kept_cookie(SMART_COOKIE, way.browser.expose(), SameSite::Lax, SMART_SECONDS);
            let mut response = see_other(&way.url);
            set_cookie(response.headers_mut(), &kept);
            Ok(response)
        }
        Answer::Refused(refusal) => Ok(not_launched(&ctx, refusal)),
        Answer::NotConfirmed(refusal) => Err(ctx.stop(&Error::Refused(refusal))),
    }
}

/// The way back from the EHR, with a code or without.
pub(super) async fn smart_callback(ctx: Ctx, headers: HeaderMap, query: Query) -> Out {
    let under_way = ctx.begin(Door::Launch, "launch_limit").await?;
    let browser = cookie(&headers, SMART_COOKIE).unwrap_or_default();
    let (state, code) = (query.text("state"), query.text("code"));
    let finished = ctx.app().finish_smart(state, code, &browser, ctx.at).await;
    under_way.end(matches!(finished, Ok(Answer::Refused(_))));
    match finished.map_err(|error| ctx.stop(&error))? {
        Answer::Done(secret) => {
            ctx.shared.limits.forgive(Door::Launch, ctx.peer, ctx.now());
            let mut frame = ctx.frame("Opening e-Prescribing");
            frame.area = Area::EPrescribing;
            let template = LaunchPage { page: frame, continue_href: "/e-prescribing".to_owned() };
            let mut response = with_session(page(StatusCode::OK, &template), &secret);
            // It has done its work.
            set_cookie(response.headers_mut(), &cookie_gone(SMART_COOKIE, SameSite::Lax));
            Ok(response)
        }
        Answer::Refused(refusal) => Ok(not_launched(&ctx, refusal)),
        Answer::NotConfirmed(refusal) => Err(ctx.stop(&Error::Refused(refusal))),
    }
}

fn not_launched(ctx: &Ctx, LaunchRefusal(code): LaunchRefusal) -> Response {
    tracing::warn!(support = %ctx.at.support, code, "a launch was rejected");
    let mut frame = ctx.frame("");
    frame.area = Area::EPrescribing;
    let (heading, what_to_do) = match code {
        "launch_unknown_ehr" => (
            "This EHR is not registered",
            "Contact support: the address of the EHR must be registered first.",
        ),
        "launch_unknown_user" => (
            "Your EHR user is not linked to an account",
            "Contact support: your EHR user must be linked to your account first.",
        ),
        "launch_ehr_not_reached" | "launch_ehr_refused" | "launch_ehr_configuration" => (
            "The EHR did not respond",
            "Wait a moment, go back to the patient's chart, and choose e-Prescribing again.",
        ),
        "launch_no_patient" => (
            "The EHR did not name a patient",
            "Open a patient's chart, and choose e-Prescribing there.",
        ),
        "launch_patient_name" => (
            "The patient's name can't be shown",
            "Contact support: the patient's name in the EHR is too long, mixes alphabets, or has invisible characters.",
        ),
        "launch_patient_birth_date" => (
            "The patient's date of birth can't be used",
            "Contact support: the patient's date of birth in the EHR is invalid or in the future.",
        ),
        "launch_from_the_future" => (
            "The clocks of the EHR and this system differ",
            "Contact support: the clock of the EHR or of this system is wrong.",
        ),
        "launch_bad_claim"
        | "launch_malformed"
        | "launch_wrong_audience"
        | "launch_bad_signature"
        | "launch_wrong_algorithm"
        | "launch_wrong_type"
        | "launch_wrong_lifetime"
        | "launch_too_long"
        | "launch_bad_key" => (
            "The EHR's link can't be used here",
            "Contact support: the EHR's link must be fixed first. The server log gives the cause.",
        ),
        _ => (
            "This link was already used or has expired",
            "Go back to the patient's chart and choose e-Prescribing again.",
        ),
    };
    closed(frame, heading, what_to_do, None)
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

pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    if shared.app.ready().await {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database is not responding\n").into_response()
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
