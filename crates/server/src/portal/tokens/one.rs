//! The page of one token, and its name.

use axum::extract::Path;
use countersign_app::{Change, Overview, RenameForm};
use countersign_domain::{PersonId, Token, TokenName};
use countersign_store::Session;
use http::StatusCode;

use super::{
    context::{frame, known_token},
    step_up::{confirm, step_up, step_up_refused},
};
use crate::{
    portal::{Ctx, Fields, Query, show},
    views::{NavTab, Notice, NoticeKind, TextField, TokenPage},
    web::respond::{Out, Stop, page, see_other},
};

fn token_page(ctx: &Ctx, session: &Session, overview: &Overview, token: &Token) -> TokenPage {
    TokenPage {
        page: frame(ctx, overview, token.name().as_str(), NavTab::Tokens),
        token: show::row(token, overview, ctx.now()),
        issuer: "Countersign (this server)".to_owned(),
        added_by: show::added_by(overview, token),
        clock: show::clock(token),
        model: show::model(&overview.models, token),
        device: show::device(token),
        activate: token.is_active() && token.activated().is_none(),
        seed_left: token.seed_left().map(show::when),
        name: TextField { value: token.name().as_str().to_owned(), error: None },
        can_confirm: overview.tokens.iter().any(Token::is_active),
        step_up: step_up(ctx, session, overview),
        lock: None,
        events: show::events(overview, Some(token), 50),
    }
}

/// The same, with the events of that token alone: those of the others may be newer.
async fn known_with_events(
    ctx: &Ctx,
    id: &str,
) -> Result<(Session, PersonId, Overview, Token), Stop> {
    let (session, prescriber, mut overview, token) = known_token(ctx, id).await?;
    let events = ctx.app().token_events(prescriber, token.id()).await;
    overview.events = events.map_err(|error| ctx.stop(&error))?;
    Ok((session, prescriber, overview, token))
}

pub(in crate::portal) async fn one(ctx: Ctx, Path(id): Path<String>, query: Query) -> Out {
    let (session, _, overview, token) = known_with_events(&ctx, &id).await?;
    let mut template = token_page(&ctx, &session, &overview, &token);
    if query.text("done") == "renamed" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Name saved."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn rename(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, _, overview, token) = known_with_events(&ctx, &id).await?;
    let mut template = token_page(&ctx, &session, &overview, &token);
    template.name.value = fields.again("name", 80);
    let name = fields.text("name").parse::<TokenName>();
    template.name.error = name.as_ref().err().map(ToString::to_string);
    let confirm = confirm(&fields, template.step_up.as_mut());
    let (Ok(name), Ok(confirm)) = (name, confirm) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let form = RenameForm { name, confirm };
    match ctx.app().rename(&session, token.id(), form, ctx.at).await {
        Ok(Change::Done(())) => {
            return Ok(see_other(&format!("/portal/tokens/{}?done=renamed", token.id())));
        }
        Ok(Change::Refused(refusal)) => {
            // The confirmation was accepted and is spent; it need not be given again.
            template.step_up = None;
            template.name.error = Some(refusal.to_string());
        }
        Ok(Change::NotConfirmed(refusal)) => {
            template.lock = step_up_refused(&ctx, &mut template.step_up, &refusal, &overview);
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
