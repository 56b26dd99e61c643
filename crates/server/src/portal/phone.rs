//! What surrounds adding a token: the new phone, and an app of another maker.

use axum::response::Response;
use countersign_app::{Answer, Change, Error, HandOverForm, HandedOver, Overview};
use countersign_domain::{DisableReason, ModelCode, Refusal, Token, TokenId};
use countersign_provision::otpauth::totp_uri;
use countersign_store::Session;
use data_encoding::BASE32_NOPAD;
use http::StatusCode;

use super::{
    Ctx, Fields, Query, show,
    tokens::{confirm, empty_add, frame, known, most_active, step_up, step_up_refused},
};
use crate::{
    views::{
        AddToken, Choice, ChoiceField, Gone, NavTab, OtherAppPage, OtherAppShownPage, PhonePage,
        PhoneSteps, SecretField, StepUp, TokenField,
    },
    web::{
        qr,
        respond::{Out, page, see_other},
    },
};

/// The token that goes when another comes, if it is one of theirs that can: it confirms by its own
/// code, which only an active one can.
pub(super) fn replaces(overview: &Overview, token: &str) -> Option<Token> {
    let id: TokenId = token.parse().ok()?;
    overview.tokens.iter().find(|token| token.id() == id && token.is_active()).cloned()
}

/// The form that adds a token in the place of another.
pub(super) fn replacing_add(
    ctx: &Ctx,
    session: &Session,
    overview: &Overview,
    old: &Token,
) -> AddToken {
    AddToken {
        step_up: Some(StepUp {
            token: TokenField {
                options: vec![show::choice(old, ctx.now())],
                ..TokenField::default()
            },
            passcode: SecretField::default(),
        }),
        replaces: Some(Gone { token: old.id().to_string(), label: show::label(old) }),
        ..empty_add(ctx, session, overview)
    }
}

const INTENTS: [(&str, &str); 3] = [
    ("getting", "I'm getting a new phone and still have the old one"),
    ("both", "I have both phones"),
    ("gone", "I no longer have the old one"),
];

fn phone_page(ctx: &Ctx, overview: &Overview) -> PhonePage {
    // A token that is only disabled for a while may be on the phone that is gone.
    let kept = |token: &&Token| token.is_active() || token.is_temporarily_disabled();
    PhonePage {
        page: frame(ctx, overview, "New phone", NavTab::Tokens),
        prescribes: show::prescribes(overview),
        intent: ChoiceField {
            value: String::new(),
            options: INTENTS.into_iter().map(|(code, label)| Choice::new(code, label)).collect(),
            error: None,
        },
        token: TokenField {
            options: overview
                .tokens
                .iter()
                .filter(kept)
                .map(|token| show::choice(token, ctx.now()))
                .collect(),
            ..TokenField::default()
        },
        steps: None,
    }
}

pub(super) async fn form(ctx: Ctx, query: Query) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    if !overview.tokens.iter().any(Token::is_active) {
        // Nothing can vouch for a new token; that page says what can be done.
        return Ok(see_other("/portal/tokens/new"));
    }
    let mut template = phone_page(&ctx, &overview);
    template.steps = match query.text("intent") {
        "getting" => Some(PhoneSteps::Getting),
        "gone" => lost(&overview, query.text("token")).map(|old| {
            let (id, token) = (old.id().to_string(), show::label(&old));
            if has_another(&overview, &old) {
                PhoneSteps::Report { id, token }
            } else {
                PhoneSteps::NoOther { id, token }
            }
        }),
        _ => None,
    };
    Ok(page(StatusCode::OK, &template))
}

/// The token that is gone, if it is one of theirs and not disabled for good.
fn lost(overview: &Overview, token: &str) -> Option<Token> {
    let id: TokenId = token.parse().ok()?;
    let may = |token: &&Token| token.is_active() || token.is_temporarily_disabled();
    overview.tokens.iter().filter(may).find(|token| token.id() == id).cloned()
}

fn has_another(overview: &Overview, old: &Token) -> bool {
    overview.tokens.iter().any(|token| token.is_active() && token.id() != old.id())
}

/// Leads on. A loss is reported by itself, on a page that names the token: it must not live on until a
/// new one is at hand and its code is right, and no wrong choice in a list may end another.
pub(super) async fn submit(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = phone_page(&ctx, &overview);
    template.intent.value = fields.again("intent", 20);
    template.token.value = fields.again("token", 40);
    let intent = template.intent.value.clone();
    if intent == "getting" {
        return Ok(see_other("/portal/phone?intent=getting"));
    }
    if !INTENTS.iter().any(|(code, _)| *code == intent) {
        template.intent.error = Some("Choose an option.".to_owned());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let gone = intent == "gone";
    let find = if gone { lost } else { replaces };
    let Some(old) = find(&overview, &template.token.value) else {
        let off = template.token.options.iter().any(|option| option.id == template.token.value);
        template.token.error = Some(
            if off {
                "This token is temporarily disabled. Enable it first, then come back here."
            } else {
                "Choose the token on the old phone."
            }
            .to_owned(),
        );
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    if !gone {
        return Ok(see_other(&format!("/portal/tokens/new?replaces={}#add-token", old.id())));
    }
    let named = || see_other(&format!("/portal/phone?intent=gone&token={}", old.id()));
    if fields.text("confirmed") != "yes" || !has_another(&overview, &old) {
        return Ok(named());
    }
    let reason = DisableReason::Lost;
    match ctx
        .app()
        .report_lost(&session, old.id(), reason, false, ctx.at)
        .await
        .and_then(Answer::into_result)
    {
        Ok(()) => Ok(see_other("/portal/tokens/new?done=lost")),
        // Another page has changed something meanwhile.
        Err(Error::Refused(_)) => Ok(named()),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// Whether a seed may be handed to another app here.
pub(super) fn offers_other_app(ctx: &Ctx, overview: &Overview) -> bool {
    ctx.app().options().policy.otpauth
        && overview
            .models
            .iter()
            .any(|model| model.allowed && model.code.as_str() == ModelCode::OTHER)
}

fn other_page(ctx: &Ctx, session: &Session, overview: &Overview, id: String) -> OtherAppPage {
    OtherAppPage {
        page: frame(ctx, overview, "Use another authenticator app", NavTab::Tokens),
        id,
        step_up: step_up(ctx, session, overview),
        problem: None,
        lock: None,
    }
}

pub(super) async fn other_form(ctx: Ctx) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    if !offers_other_app(&ctx, &overview) {
        return Err(ctx.not_found());
    }
    let active = overview.tokens.iter().filter(|token| token.is_active()).count();
    if active == 0 || active >= most_active(&ctx) {
        return Ok(see_other("/portal/tokens/new"));
    }
    let id = ctx.app().draw_token_id(ctx.at).map_err(|error| ctx.stop(&error))?;
    Ok(page(StatusCode::OK, &other_page(&ctx, &session, &overview, id.to_string())))
}

pub(super) async fn other(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let id = fields.text("id").parse::<TokenId>();
    let (true, Ok(id)) = (offers_other_app(&ctx, &overview), id) else {
        return Err(ctx.not_found());
    };
    let mut template = other_page(&ctx, &session, &overview, id.to_string());
    let Ok(confirm) = confirm(&fields, template.step_up.as_mut()) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let form = HandOverForm { id, confirm };
    match ctx.app().hand_over(&session, form, ctx.at).await {
        Ok(Change::Done(made)) => return Ok(shown(&ctx, &overview, &made)),
        Ok(Change::Refused(refusal)) => {
            // The confirmation was accepted and is spent; it need not be given again.
            template.step_up = None;
            if refusal == Refusal::ShownBefore {
                let id = ctx.app().draw_token_id(ctx.at).map_err(|error| ctx.stop(&error))?;
                template.id = id.to_string();
            }
            template.problem = Some(refusal.to_string());
        }
        Ok(Change::NotConfirmed(refusal)) => {
            template.lock = step_up_refused(&ctx, &mut template.step_up, &refusal, &overview);
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

/// The one page that shows a seed. It is not kept (`no-store`, as every page), and its form sent again
/// shows nothing.
fn shown(ctx: &Ctx, overview: &Overview, made: &HandedOver) -> Response {
    let practice = &overview.prescriber.practice_name;
    let uri =
        totp_uri(&format!("Countersign {practice}"), &made.credential, &made.seed, &made.params);
    let template = OtherAppShownPage {
        page: frame(ctx, overview, "Set up the other app", NavTab::Tokens),
        // The secret stands beside it, so a name too long for a picture is no dead end.
        picture: qr::svg(uri.expose()).ok(),
        secret: groups(&BASE32_NOPAD.encode(made.seed.expose())),
        credential: groups(made.credential.as_str()),
        id: made.credential.as_str().to_owned(),
    };
    page(StatusCode::OK, &template)
}

/// In groups of four, as people copy it.
fn groups(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_four() {
        assert_eq!(groups("CNST12345674"), "CNST 1234 5674");
        assert_eq!(groups("ABCDE"), "ABCD E");
        assert_eq!(groups(""), "");
    }
}
