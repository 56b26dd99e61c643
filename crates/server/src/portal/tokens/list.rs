//! The table of tokens, and the history of all of them.

use countersign_app::Overview;
use countersign_domain::Token;
use http::StatusCode;

use super::context::{frame, known, most_active};
use crate::{
    portal::{Ctx, Query, show},
    views::{AddToken, HistoryPage, NavTab, Notice, NoticeKind, TokensPage},
    web::respond::{Out, page, see_other},
};

pub(super) fn tokens_page(ctx: &Ctx, overview: &Overview, add: Option<AddToken>) -> TokensPage {
    let kept = |token: &&Token| token.is_active() || token.is_temporarily_disabled();
    TokensPage {
        page: frame(ctx, overview, "Tokens", NavTab::Tokens),
        twins: show::twins(overview, ctx.now()),
        tokens: overview
            .tokens
            .iter()
            .filter(kept)
            .map(|token| show::row(token, overview, ctx.now()))
            .collect(),
        limit: most_active(ctx),
        waiting: 0,
        add,
    }
}

pub(in crate::portal) async fn list(ctx: Ctx, query: Query) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = tokens_page(&ctx, &overview, None);
    let waiting = ctx.app().waiting(&session, ctx.at).await;
    template.waiting = waiting.map_err(|error| ctx.stop(&error))?;
    if template.active_count() == 0 {
        // A table without an active token is a dead end; this page says what can be done.
        let done = match query.text("done") {
            "disabled" => "?done=disabled",
            "lost" => "?done=lost",
            _ => "",
        };
        return Ok(see_other(&format!("/portal/no-token{done}")));
    }
    let lost = show::lost_text(&overview);
    let done = match query.text("done") {
        "activated" => Some("Token activated for signing."),
        "added" if show::prescribes(&overview) => Some(
            "Token added. You can sign in with it now. To sign prescriptions, activate it in the list below. The passcode you just used can't be used again.",
        ),
        "added" => Some(
            "Token added. You can sign in with it now. The passcode you just used can't be used again.",
        ),
        "replaced" if show::prescribes(&overview) => Some(
            "New token added, and the old one is permanently disabled. You can sign in with the new one now. To sign prescriptions, activate it in the list below. Remove the token from the old phone.",
        ),
        "replaced" => Some(
            "New token added, and the old one is permanently disabled. Remove the old one from the old phone.",
        ),
        "disabled" => Some(show::DISABLED),
        "lost" => Some(lost.as_str()),
        "enabled" => Some("Token enabled."),
        "resynced" => Some("Token resynced. Its next passcode will work."),
        _ => None,
    };
    template.page.notice = ctx.noticed(done, &overview);
    if template.active_count() == 0 {
        let text = "You have no active token, so you can't sign or add a token. Enable one below with a passcode from it, or verify your identity again.";
        template.page.notice = Some(Notice::new(NoticeKind::Warning, text));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn history(ctx: Ctx) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    let template = HistoryPage {
        page: frame(&ctx, &overview, "History of all tokens", NavTab::Tokens),
        tokens: overview
            .tokens
            .iter()
            .rev()
            .map(|token| show::row(token, &overview, ctx.now()))
            .collect(),
    };
    Ok(page(StatusCode::OK, &template))
}
