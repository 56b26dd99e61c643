//! A fresh passcode that confirms a change.

use countersign_app::{Confirm, Overview};
use countersign_domain::{Refusal, otp::OneTimePasscode};
use countersign_store::Session;

use crate::{
    portal::{Ctx, Fields, login::chosen, show},
    views::{ANY_TOKEN, SecretField, StepUp},
};

pub(in crate::portal) fn step_up(
    ctx: &Ctx,
    session: &Session,
    overview: &Overview,
) -> Option<StepUp> {
    ctx.app().needs_step_up(session, ctx.at).then(|| StepUp {
        token: show::choices(&overview.tokens, ANY_TOKEN, ctx.now()),
        passcode: SecretField::default(),
    })
}

/// Reads the fresh passcode where one is asked for; what is wrong stands beside its field.
pub(in crate::portal) fn confirm(
    fields: &Fields,
    asked: Option<&mut StepUp>,
) -> Result<Option<Confirm>, ()> {
    let Some(asked) = asked else { return Ok(None) };
    fields.text("stepup_token").clone_into(&mut asked.token.value);
    let choice = chosen(fields.text("stepup_token"));
    let code = fields.text("stepup_passcode").parse::<OneTimePasscode>();
    if choice.is_none() {
        asked.token.error = Some("Choose the token the passcode is from.".to_owned());
    }
    asked.passcode.error = code.as_ref().err().map(ToString::to_string);
    match (choice, code) {
        (Some(chosen), Ok(code)) => Ok(Some(Confirm { chosen, code })),
        _ => Err(()),
    }
}

/// Puts a refused confirmation beside its field; answers with the lock, if there is one.
pub(in crate::portal) fn step_up_refused(
    ctx: &Ctx,
    step_up: &mut Option<StepUp>,
    refusal: &Refusal,
    overview: &Overview,
) -> Option<crate::views::Lock> {
    let asked = step_up.get_or_insert_with(|| StepUp {
        token: show::choices(&overview.tokens, ANY_TOKEN, ctx.now()),
        passcode: SecretField::default(),
    });
    let lock = show::lock(refusal, &overview.tokens, &asked.token.value, ctx.now());
    if lock.is_none() {
        asked.passcode.error = Some(refusal.to_string());
    }
    lock
}
