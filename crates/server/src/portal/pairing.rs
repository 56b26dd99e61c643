//! Pairing by picture: the page with the QR code, and what has become of it.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use countersign_app::{Answer, By};
use countersign_crypto::SecretText;
use countersign_domain::{PairingId, PersonId, TokenId};
use countersign_store::{PairingState, Stage};
use http::{HeaderValue, StatusCode, header};

use super::{Ctx, Fields, Query, tokens};
use crate::{
    views::PairingPage,
    web::{
        qr,
        respond::{Out, Stop, page, see_other},
    },
};

/// Person, secret of the session and pairing of an address.
struct Known {
    prescriber: PersonId,
    secret: SecretText,
    id: PairingId,
    state: PairingState,
}

async fn known(ctx: &Ctx, id: &str) -> Result<Known, Stop> {
    let (session, prescriber) = ctx.pairing_session()?;
    let id: PairingId = id.parse().map_err(|_| ctx.not_found())?;
    let by = By { session: &session, prescriber };
    let state = ctx.app().pairing_state(&by, id).await.map_err(|error| ctx.stop(&error))?;
    let secret = ctx.secret().ok_or_else(|| ctx.sign_in_again())?;
    Ok(Known { prescriber, secret, id, state })
}

/// Seconds that a code can still be used; none when its time is over.
fn seconds_left(ctx: &Ctx, state: &PairingState) -> Option<u64> {
    let PairingState::Open { expires } = state else { return None };
    u64::try_from(ctx.now().seconds_until(*expires)).ok().filter(|seconds| *seconds > 0)
}

/// The token in whose place the new one comes, if the address or the form names one.
fn replaces(text: &str) -> Option<TokenId> {
    text.parse().ok()
}

/// Where the token that was made is added.
fn onward(ctx: &Ctx) -> &'static str {
    match ctx.session.as_ref().map(|session| session.stage) {
        Some(Stage::Enrolling { .. }) => "/enrol",
        Some(Stage::Passphrase { .. }) => "/portal/no-token",
        _ => "/portal/tokens/new",
    }
}

pub(super) async fn start(ctx: Ctx, fields: Fields) -> Out {
    let (session, _) = ctx.pairing_session()?;
    let secret = ctx.secret().ok_or_else(|| ctx.sign_in_again())?;
    let id = match ctx.app().start_pairing(&session, secret.expose(), ctx.at).await {
        Ok(Answer::Done(id)) => id,
        Ok(Answer::NotConfirmed(refusal)) => return Err(ctx.stop(&refusal.into())),
        Err(error) => return Err(ctx.stop(&error)),
    };
    let along = replaces(fields.text("replaces")).map(|token| format!("?replaces={token}"));
    Ok(see_other(&format!("/portal/pairings/{id}{}", along.unwrap_or_default())))
}

pub(super) async fn show(ctx: Ctx, Path(id): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &id).await?;
    let replaces = replaces(query.text("replaces"));
    if let PairingState::Used { .. } = known.state {
        let along = replaces.map(|token| format!("&replaces={token}")).unwrap_or_default();
        let next = format!("{}?pairing={}{along}#add-token", onward(&ctx), known.id);
        return Ok(see_other(&next));
    }
    let left = seconds_left(&ctx, &known.state);
    let code = ctx.app().pairing_code(known.secret.expose(), known.id);
    let template = PairingPage {
        page: tokens::frame_of(&ctx, known.prescriber, "Pair a phone", onward(&ctx)).await?,
        id: known.id.to_string(),
        code: left.map(|_| code.grouped_text().expose().to_owned()),
        seconds_left: left.unwrap_or(0),
        replaces: replaces.map(|token| token.to_string()).unwrap_or_default(),
        onward: onward(&ctx),
        back: if onward(&ctx) == "/portal/tokens/new" { "/portal/tokens" } else { onward(&ctx) },
        app_address: format!("{}/authenticator", ctx.app().options().public_url),
    };
    Ok(page(StatusCode::OK, &template))
}

/// The picture. Like the page it is kept nowhere.
pub(super) async fn picture(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx, &id).await?;
    if seconds_left(&ctx, &known.state).is_none() {
        return Err(ctx.not_found());
    }
    let code = ctx.app().pairing_code(known.secret.expose(), known.id);
    let public = &ctx.app().options().public_url;
    let text = SecretText::new(format!("{public}/authenticator/#pair={}", code.text().expose()));
    let Ok(svg) = qr::svg(text.expose()) else {
        tracing::error!("server.public_url is too long for a QR code");
        return Err(ctx.not_found());
    };
    Ok(answer("image/svg+xml", svg))
}

/// For the page, which asks until the device has used the code.
pub(super) async fn state(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx, &id).await?;
    let state = match (&known.state, seconds_left(&ctx, &known.state)) {
        (PairingState::Used { .. }, _) => "used",
        (PairingState::Open { .. }, Some(_)) => "open",
        (PairingState::Open { .. }, None) => "over",
    };
    Ok(answer("application/json", format!("{{\"state\":\"{state}\"}}")))
}

fn answer(kind: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
}
