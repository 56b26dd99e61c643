//! Disabling a token.

use axum::extract::Path;
use countersign_app::{Change, DisableForm, Overview};
use countersign_domain::{DisableReason, Refusal, Token};
use countersign_store::Session;
use http::StatusCode;

use super::{
    context::{frame, known_token},
    step_up::{confirm, step_up, step_up_refused},
};
use crate::{
    portal::{Ctx, Fields, show},
    views::{DISABLE_WORD, DisablePage, NavTab, ReasonField, TextField},
    web::respond::{Out, page, see_other},
};

fn disable_page(ctx: &Ctx, session: &Session, overview: &Overview, token: &Token) -> DisablePage {
    let others = overview.tokens.iter().any(|other| other.is_active() && other.id() != token.id());
    DisablePage {
        page: frame(ctx, overview, "Disable a token", NavTab::Tokens),
        id: token.id().to_string(),
        token: show::label(token),
        reason: ReasonField {
            value: String::new(),
            options: show::reasons(false, overview),
            error: None,
        },
        last_active: token.is_active() && !others,
        confirmation: TextField::default(),
        step_up: step_up(ctx, session, overview),
        lock: None,
    }
}

pub(in crate::portal) async fn disable_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (session, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &disable_page(&ctx, &session, &overview, &token)))
}

pub(in crate::portal) async fn disable(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, _, overview, token) = known_token(&ctx, &id).await?;
    let mut template = disable_page(&ctx, &session, &overview, &token);
    fields.text("reason").clone_into(&mut template.reason.value);
    template.confirmation.value = fields.again("confirmation", 40);
    let reason = DisableReason::from_code(fields.text("reason"))
        .filter(|reason| DisableReason::CHOICES.contains(reason));
    let Some(reason) = reason else {
        template.reason.error = Some("Choose a reason.".to_owned());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    // A loss is reported without a passcode: the token may be the only one.
    let asked = if reason.is_loss() { None } else { template.step_up.as_mut() };
    let Ok(confirm) = confirm(&fields, asked) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let confirmed = template.confirmation.value.trim().eq_ignore_ascii_case(DISABLE_WORD);
    let form = DisableForm { reason, confirmed, confirm };
    match ctx.app().disable(&session, token.id(), form, ctx.at).await {
        Ok(Change::Done(())) => {
            let done = if reason.is_loss() { "lost" } else { "disabled" };
            return Ok(see_other(&format!("/portal/tokens?done={done}")));
        }
        Ok(Change::Refused(refusal)) => {
            // The confirmation was accepted and is spent; it need not be given again.
            template.step_up = None;
            match refusal {
                Refusal::LastToken => {
                    template.last_active = true;
                    let text = "Type DISABLE to confirm, or cancel and add another token first.";
                    template.confirmation.error = Some(text.to_owned());
                }
                _ => template.reason.error = Some(refusal.to_string()),
            }
        }
        Ok(Change::NotConfirmed(refusal)) => {
            template.lock = step_up_refused(&ctx, &mut template.step_up, &refusal, &overview);
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
