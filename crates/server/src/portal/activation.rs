//! The page that activates a token for signing, and the link that says "this was not me".

use axum::extract::Path;
use countersign_app::{Answer, Error, Hindrance};
use countersign_domain::proofing::Channel;
use countersign_protocol::oidc::escaped;
use http::StatusCode;

use super::{Ctx, Fields, show, tokens};
use crate::{
    views::{ActivatePage, Choice, ChoiceField, NavTab, NotMePage, TextField},
    web::{
        limits::Door,
        respond::{Out, Stop, page, see_other},
    },
};

async fn activate_page(ctx: &Ctx, id: &str) -> Result<(ActivatePage, tokens::Theirs), Stop> {
    let theirs = tokens::known_token(ctx, id).await?;
    let (_, person, overview, token) = &theirs;
    let it = ctx
        .app()
        .activation(*person, token.id(), ctx.at)
        .await
        .map_err(|error| ctx.stop(&error))?;
    let way = |channel: Channel, to: &str| match channel {
        Channel::Phone => format!("Text message or voice call to {to}"),
        _ => format!("Letter to {to}"),
    };
    let options: Vec<Choice> = it
        .channels
        .iter()
        .map(|(channel, to)| Choice::new(channel.code(), way(*channel, to)))
        .collect();
    let sent = it.sent.map(|(channel, until)| {
        let how = match channel {
            Channel::Phone => "to your phone",
            _ => "by mail",
        };
        (how.to_owned(), show::when(until))
    });
    let template = ActivatePage {
        page: tokens::frame(ctx, overview, "Activate for signing", NavTab::Tokens),
        id: token.id().to_string(),
        token: show::label(token),
        channel: ChoiceField {
            value: options.first().map(|first| first.value.clone()).unwrap_or_default(),
            options,
            error: None,
        },
        sent,
        code: TextField::default(),
    };
    Ok((template, theirs))
}

pub(super) async fn form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (template, (_, _, _, token)) = activate_page(&ctx, &id).await?;
    if token.activated().is_some() || !token.is_active() {
        return Ok(see_other(&format!("/portal/tokens/{}", token.id())));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn send(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (mut template, (session, _, _, token)) = activate_page(&ctx, &id).await?;
    let Some(channel) = Channel::from_code(fields.text("channel")) else {
        template.channel.error = Some("Choose how to get the code.".to_owned());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    channel.code().clone_into(&mut template.channel.value);
    match ctx.app().send_activation_code(&session, token.id(), channel, ctx.at).await {
        Ok(Answer::Done(())) => Ok(see_other(&format!("/portal/tokens/{}/activate", token.id()))),
        Ok(Answer::Refused(hindrance)) => {
            template.channel.error = Some(hindrance.to_string());
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}

pub(super) async fn activate(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (mut template, (session, _, _, token)) = activate_page(&ctx, &id).await?;
    template.code.value = fields.again("code", 40);
    if template.code.value.is_empty() {
        template.code.error = Some("Enter the code you were sent.".to_owned());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let code = template.code.value.clone();
    match ctx.app().activate_token(&session, token.id(), &code, ctx.at).await {
        Ok(Answer::Done(())) => Ok(see_other("/portal/tokens?done=activated")),
        Ok(Answer::Refused(hindrance)) => {
            let spent = matches!(hindrance, Hindrance::TooManyTries | Hindrance::Rule(_));
            if spent || template.sent.is_none() {
                template.sent = None;
                template.channel.error = Some(hindrance.to_string());
            } else {
                template.code.error = Some(hindrance.to_string());
            }
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// Whose account the link stops; a link that leads nowhere counts against its sender's limit.
async fn repudiation(ctx: &Ctx, link: &str) -> Result<Option<String>, Stop> {
    let name = ctx.app().repudiation(link, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    if name.is_none() {
        ctx.count(Door::Invitation, "link_limit").await?;
    }
    Ok(name)
}

pub(super) async fn not_me(ctx: Ctx, Path(link): Path<String>) -> Out {
    let name = repudiation(&ctx, &link).await?;
    let template = NotMePage {
        page: ctx.frame("This was not me"),
        // Shown, not done: mail programs open links by themselves.
        action: format!("/not-me/{}", escaped(&link)),
        name,
        done: false,
    };
    let status = if template.name.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(page(status, &template))
}

pub(super) async fn stop_all(ctx: Ctx, Path(link): Path<String>) -> Out {
    repudiation(&ctx, &link).await?;
    let done = match ctx.app().repudiate(&link, ctx.at).await {
        Ok(answer) => matches!(answer, Answer::Done(())),
        Err(Error::NotFound) => false,
        Err(error) => return Err(ctx.stop(&error)),
    };
    let action = String::new();
    let template = NotMePage { page: ctx.frame("This was not me"), action, name: None, done };
    let status = if done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(page(status, &template))
}
