//! Testing a token, and bringing it back in step.

use axum::extract::Path;
use countersign_app::{Answer, Error, Overview};
use countersign_domain::{Refusal, Token, otp::OneTimePasscode};
use http::StatusCode;

use super::{
    context::{frame, known_token},
    enable::fixed,
};
use crate::{
    portal::{
        Ctx, Fields,
        login::{resync_refused, two_codes, wait},
        show,
    },
    views::{NavTab, NoticeKind, ResyncPage, SecretField, TestPage, TestResult},
    web::respond::{Out, page, see_other},
};

fn test_page(ctx: &Ctx, overview: &Overview, token: &Token) -> TestPage {
    TestPage {
        page: frame(ctx, overview, "Test a token", NavTab::Tokens),
        id: token.id().to_string(),
        token: show::label(token),
        passcode: SecretField::default(),
        result: None,
        lock: None,
        wait: None,
    }
}

pub(in crate::portal) async fn test_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (_, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &test_page(&ctx, &overview, &token)))
}

pub(in crate::portal) async fn test(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, _, overview, token) = known_token(&ctx, &id).await?;
    let mut template = test_page(&ctx, &overview, &token);
    let code = match fields.text("passcode").parse::<OneTimePasscode>() {
        Ok(code) => code,
        Err(error) => {
            template.passcode.error = Some(error.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    template.result = match ctx.app().test(&session, token.id(), code, ctx.at).await.and_then(Answer::into_result) {
        Ok(()) => Some(TestResult {
            kind: NoticeKind::Success,
            heading: "This token works.".to_owned(),
            text: "Passcode accepted. Each passcode works once, so wait for the next one before you use this token.".to_owned(),
            offer_resync: false,
        }),
        Err(Error::Refused(refusal)) => {
            template.lock = show::lock(&refusal, &overview.tokens, &token.id().to_string(), ctx.now());
            template.wait = wait(&refusal);
            let late = matches!(refusal, Refusal::WrongPasscode | Refusal::LatePasscode { .. });
            template.lock.is_none().then(|| TestResult {
                kind: NoticeKind::Warning,
                heading: "Passcode not accepted.".to_owned(),
                text: format!("{refusal} This test does not count toward locking the token."),
                offer_resync: late,
            })
        }
        Err(error) => return Err(ctx.stop(&error)),
    };
    Ok(page(StatusCode::OK, &template))
}

fn resync_page(ctx: &Ctx, overview: &Overview, token: &Token) -> ResyncPage {
    ResyncPage {
        page: frame(ctx, overview, "Resync a token", NavTab::Tokens),
        action: format!("/portal/tokens/{}/resync", token.id()),
        back: format!("/portal/tokens/{}", token.id()),
        token: fixed(token),
        passcode1: SecretField::default(),
        passcode2: SecretField::default(),
        lock: None,
    }
}

pub(in crate::portal) async fn resync_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (_, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &resync_page(&ctx, &overview, &token)))
}

pub(in crate::portal) async fn resync(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, _, overview, token) = known_token(&ctx, &id).await?;
    let mut template = resync_page(&ctx, &overview, &token);
    let Some(codes) = two_codes(&fields, &mut template) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    match ctx.app().resync(&session, token.id(), codes, ctx.at).await.and_then(Answer::into_result)
    {
        Ok(()) => Ok(see_other("/portal/tokens?done=resynced")),
        Err(error) => resync_refused(&ctx, template, &error, &overview, &token.id().to_string())
            .ok_or_else(|| ctx.stop(&error)),
    }
}
