//! The page that changes the passphrase.

use countersign_app::{Change, Overview, PassphraseForm};
use countersign_crypto::SecretText;
use countersign_domain::{Passphrase, Refusal};
use http::StatusCode;

use super::{
    Ctx, Fields, show,
    tokens::{confirm, frame, known},
};
use crate::{
    views::{ANY_TOKEN, NavTab, PassphrasePage, SecretField, StepUp},
    web::respond::{Out, page, see_other},
};

fn passphrase_page(ctx: &Ctx, overview: &Overview) -> PassphrasePage {
    PassphrasePage {
        page: frame(ctx, overview, "Change passphrase", NavTab::Overview),
        current: SecretField::default(),
        new: SecretField::default(),
        again: SecretField::default(),
        step_up: Some(StepUp {
            token: show::choices(&overview.tokens, ANY_TOKEN, ctx.now()),
            passcode: SecretField::default(),
        }),
        lock: None,
    }
}

pub(super) async fn form(ctx: Ctx) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    if !overview.tokens.iter().any(countersign_domain::Token::is_active) {
        // Nothing can confirm the change; that page says what can be done.
        return Ok(see_other("/portal/tokens/new"));
    }
    Ok(page(StatusCode::OK, &passphrase_page(&ctx, &overview)))
}

pub(super) async fn submit(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = passphrase_page(&ctx, &overview);
    let typed = |name: &str| SecretText::new(fields.text(name).to_owned());
    let current = typed("current");
    if current.expose().is_empty() {
        template.current.error = Some("Enter your current passphrase.".to_owned());
    }
    let person = &overview.prescriber;
    let npi = person.sign_in.as_text();
    let own = [person.name.as_str(), npi.as_str(), person.practice_name.as_str()];
    let new = Passphrase::choose(&typed("new"), &own);
    template.new.error = new.as_ref().err().map(ToString::to_string);
    if new.is_ok() && fields.text("new") != fields.text("again") {
        template.again.error = Some("The passphrases don't match. Enter both again.".to_owned());
    }
    let confirm = confirm(&fields, template.step_up.as_mut());
    let wrong = template.current.error.is_some() || template.again.error.is_some();
    let (false, Ok(new), Ok(Some(confirm))) = (wrong, new, confirm) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let form = PassphraseForm { current, new, confirm };
    match ctx.app().change_passphrase(&session, form, ctx.at).await {
        Ok(Change::Done(())) => return Ok(see_other("/portal/dashboard?done=passphrase")),
        Ok(Change::Refused(refusal @ Refusal::SamePassphrase)) => {
            template.new.error = Some(refusal.to_string());
        }
        Ok(Change::Refused(refusal)) => {
            template.lock = show::lock(&refusal, &overview.tokens, "", ctx.now());
            if template.lock.is_none() {
                template.current.error = Some(refusal.to_string());
            }
        }
        Ok(Change::NotConfirmed(refusal)) => {
            let mut asked = template.step_up.take();
            template.lock = super::tokens::step_up_refused(&ctx, &mut asked, &refusal, &overview);
            template.step_up = asked;
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
