//! Enabling a token again.

use axum::extract::Path;
use countersign_app::Overview;
use countersign_domain::Token;
use http::StatusCode;

use super::context::{frame, known_token};
use crate::{
    portal::{Ctx, Fields, login::enable_with, show},
    views::{EnablePage, NavTab, SecretField, TokenField},
    web::respond::{Out, page},
};

fn enable_page(ctx: &Ctx, overview: &Overview, token: &Token) -> EnablePage {
    EnablePage {
        page: frame(ctx, overview, "Enable a token", NavTab::Tokens),
        action: format!("/portal/tokens/{}/enable", token.id()),
        back: "/portal/tokens".to_owned(),
        at_login: false,
        token: fixed(token),
        passcode: SecretField::default(),
        step_up: None,
        lock: None,
        wait: None,
    }
}

pub(super) fn fixed(token: &Token) -> TokenField {
    TokenField { fixed: Some(show::label(token)), ..TokenField::default() }
}

pub(in crate::portal) async fn enable_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (_, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &enable_page(&ctx, &overview, &token)))
}

pub(in crate::portal) async fn enable(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, _, overview, token) = known_token(&ctx, &id).await?;
    let template = enable_page(&ctx, &overview, &token);
    enable_with(
        &ctx,
        &session,
        token.id(),
        template,
        &fields,
        &overview,
        "/portal/tokens?done=enabled",
    )
    .await
}
