//! A forgotten passphrase: two tokens, then a code and a new one.

use countersign_app::{Answer, Error, ForgotForm, new_passphrase};
use countersign_domain::{PersonId, SignInName, otp::OneTimePasscode, proofing::Channel};
use countersign_store::{Session, Stage};
use http::StatusCode;

use super::{Ctx, Fields, Query, recovery::how_sent, show, typed, with_session, without_session};
use crate::{
    views::{
        Choice, ChoiceField, ForgotCodePage, ForgotPage, Notice, NoticeKind, SecretField, TextField,
    },
    web::{
        limits::Door,
        respond::{Out, Stop, page, see_other},
    },
};

fn forgot_page(ctx: &Ctx) -> ForgotPage {
    ForgotPage {
        page: ctx.frame("Forgot your passphrase?"),
        npi: TextField::default(),
        first: SecretField::default(),
        second: SecretField::default(),
        channel: ChoiceField {
            value: Channel::Phone.code().to_owned(),
            options: vec![
                Choice::new(Channel::Phone.code(), "Text message or voice call"),
                Choice::new(Channel::Post.code(), "Letter"),
            ],
            error: None,
        },
        lock: None,
    }
}

pub(super) async fn form(ctx: Ctx, query: Query) -> Out {
    let resetting =
        matches!(ctx.session.as_ref().map(|session| session.stage), Some(Stage::Resetting { .. }));
    if resetting && query.text("again").is_empty() {
        return Ok(see_other("/portal/forgot/code"));
    }
    Ok(page(StatusCode::OK, &forgot_page(&ctx)))
}

pub(super) async fn submit(ctx: Ctx, fields: Fields) -> Out {
    let under_way = ctx.begin(Door::ForgottenPassphrase, "forgotten_passphrase_limit").await?;
    let mut template = forgot_page(&ctx);
    template.npi = typed(&fields, "npi", 254);
    fields.text("channel").clone_into(&mut template.channel.value);
    let name = template.npi.value.parse::<SignInName>();
    template.npi.error = name.as_ref().err().map(ToString::to_string);
    let first = fields.text("first").parse::<OneTimePasscode>();
    let second = fields.text("second").parse::<OneTimePasscode>();
    template.first.error = first.as_ref().err().map(ToString::to_string);
    template.second.error = second.as_ref().err().map(ToString::to_string);
    let channel = Channel::from_code(fields.text("channel")).filter(|it| it.carries_codes());
    if channel.is_none() {
        template.channel.error = Some("Choose how to get the code.".to_owned());
    }
    let (Ok(name), Ok(first), Ok(second), Some(channel)) = (name, first, second, channel) else {
        under_way.end(false);
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let form = ForgotForm { name, codes: [first, second], channel };
    let answer = ctx.app().begin_reset(form, ctx.session.clone(), ctx.at).await;
    under_way.end(matches!(answer, Err(Error::Refused(_))));
    match answer {
        Ok(secret) => Ok(with_session(see_other("/portal/forgot/code"), &secret)),
        Err(Error::Refused(refusal)) => {
            template.lock = show::lock(&refusal, &[], "", ctx.now());
            if template.lock.is_none() {
                template.page.notice = Some(Notice {
                    kind: NoticeKind::Error,
                    text: refusal.to_string(),
                    code: Some(ctx.at.support.to_string()),
                });
            }
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Err(error) => Err(ctx.stop(&error)),
    }
}

fn resetting(ctx: &Ctx) -> Result<(Session, PersonId), Stop> {
    match &ctx.session {
        Some(session) => match session.stage {
            Stage::Resetting { prescriber } => Ok((session.clone(), prescriber)),
            _ => Err(Stop::with(see_other(super::way_in(Some(session.stage))))),
        },
        None => Err(Stop::with(see_other("/portal/forgot"))),
    }
}

async fn code_page(ctx: &Ctx, person: PersonId) -> Result<ForgotCodePage, Stop> {
    let sent = ctx.app().reset_code(person, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    Ok(ForgotCodePage {
        page: ctx.frame("New passphrase"),
        how: sent.map_or("some time ago, and has expired. Start over", how_sent),
        code: TextField::default(),
        new: SecretField::default(),
        again: SecretField::default(),
    })
}

pub(super) async fn code_form(ctx: Ctx) -> Out {
    let (_, person) = resetting(&ctx)?;
    Ok(page(StatusCode::OK, &code_page(&ctx, person).await?))
}

pub(super) async fn code(ctx: Ctx, fields: Fields) -> Out {
    let (session, person) = resetting(&ctx)?;
    let mut template = code_page(&ctx, person).await?;
    template.code = typed(&fields, "code", 40);
    if template.code.value.is_empty() {
        template.code.error = Some("Enter the code you were sent.".to_owned());
    }
    let who = ctx.app().prescriber(person).await.map_err(|error| ctx.stop(&error))?;
    let new = new_passphrase(&fields.secret("new"), &who);
    template.new.error = new.as_ref().err().map(ToString::to_string);
    if new.is_ok() && fields.text("new") != fields.text("again") {
        template.again.error = Some("The passphrases don't match. Enter both again.".to_owned());
    }
    let wrong = template.code.error.is_some() || template.again.error.is_some();
    let (Ok(new), false) = (new, wrong) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let value = template.code.value.clone();
    match ctx.app().end_reset(&session, &value, new, ctx.at).await {
        Ok(Answer::Done(())) => Ok(without_session(see_other("/portal/login?ended=reset"))),
        Ok(Answer::Refused(hindrance)) => {
            template.code.error = Some(hindrance.to_string());
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}
