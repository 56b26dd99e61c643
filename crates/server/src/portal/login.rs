//! Sign-in: NPI and passphrase, then a passcode; and what helps when a token is not at hand.

use axum::response::Response;
use countersign_app::{Answer, Chosen, Error, Overview, SignInForm};
use countersign_domain::{
    DisableReason, PersonId, Refusal, SignInName, TokenId, otp::OneTimePasscode,
};
use countersign_store::{Identity, Session, Stage};
use http::StatusCode;

use super::{Ctx, Fields, Query, show, with_log_in, with_session};
use crate::{
    views::{
        ANY_TOKEN, DISABLE_WORD, EnablePage, LoginPage, LostPage, NextCode, Notice, NoticeKind,
        Page, PasscodePage, ReasonField, ResyncPage, SecretField, TextField, TokenField,
    },
    web::{
        limits::Door,
        respond::{Out, Stop, page, see_other},
    },
};

/// Who the EHR said it is, where that is a prescriber: name and NPI are then not asked for.
async fn launched(ctx: &Ctx) -> Result<Option<(String, SignInName)>, Stop> {
    match ctx.session.as_ref().and_then(|session| session.launched_as) {
        Some(Identity::Prescriber(id)) => {
            let found = ctx.app().prescriber(id).await.map_err(|error| ctx.stop(&error))?;
            Ok(Some((found.name, found.sign_in)))
        }
        _ => Ok(None),
    }
}

async fn login_page(ctx: &Ctx) -> Result<LoginPage, Stop> {
    let launched = launched(ctx).await?;
    let mut frame = ctx.frame("Sign in to Token Management");
    if let Some((name, _)) = &launched {
        frame = ctx.frame_for("Sign in to Token Management", name);
    }
    Ok(LoginPage {
        page: frame,
        npi: TextField {
            value: launched.as_ref().map_or_else(String::new, |(_, name)| name.as_text()),
            error: None,
        },
        launched_as: launched.map(|(name, _)| name),
        passphrase: SecretField::default(),
        lock: None,
        lost: false,
    })
}

pub(super) async fn form(ctx: Ctx, query: Query) -> Out {
    if let Some(stage) = ctx.session.as_ref().map(|session| session.stage)
        && stage != Stage::Launched
    {
        return Ok(see_other(super::way_in(Some(stage))));
    }
    let mut template = login_page(&ctx).await?;
    template.lost = query.text("lost") == "1";
    // Said because the address says so, whoever asks: it tells nothing of any session.
    let text = match query.text("ended") {
        "1" => Some("Your session has ended. Saved work is kept. Sign in to continue.".to_owned()),
        "enrolled" => Some("Your passphrase is set. Sign in with it and a passcode from your token.".to_owned()),
        "enrolling" => Some("You were signed out due to inactivity. Saved work is kept. Open your invitation link again to get a new link.".to_owned()),
        "reset" => Some("Your new passphrase is set. Sign in with it.".to_owned()),
        "idle" => {
            let minutes = show::minutes(ctx.app().options().policy.session_idle_seconds);
            Some(format!(
                "You were signed out after {minutes} of inactivity. Saved work is kept. Sign in to continue."
            ))
        }
        _ => None,
    };
    template.page.notice = text.map(|text| Notice::new(NoticeKind::Info, text));
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn submit(ctx: Ctx, fields: Fields) -> Out {
    let mut template = login_page(&ctx).await?;
    template.lost = fields.text("then") == "lost";
    let name = if template.launched_as.is_some() {
        template.npi.value.parse()
    } else {
        template.npi.value = fields.again("npi", 254);
        fields.text("npi").parse::<SignInName>()
    };
    // Whoever uses a browser that the account knows is not kept out by what others do behind the same address.
    let known = match &name {
        Ok(name) => ctx.app().knows_browser(name, ctx.at).await,
        Err(_) => Ok(false),
    };
    let under_way = if known.map_err(|error| ctx.stop(&error))? {
        None
    } else {
        Some(ctx.begin(Door::LogIn, "sign_in_limit").await?)
    };
    if fields.text("passphrase").is_empty() {
        template.passphrase.error = Some("Enter your EPCS passphrase.".to_owned());
    }
    let name = match name {
        Ok(name) if template.passphrase.error.is_none() => name,
        other => {
            template.npi.error = other.err().map(|error| error.to_string());
            // An empty field is no attempt.
            if let Some(under_way) = under_way {
                under_way.end(false);
            }
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    let form = SignInForm { name, passphrase: fields.secret("passphrase") };
    let answer = ctx.app().sign_in(form, ctx.session.clone(), ctx.at).await;
    // Only what failed: a whole practice behind one address logs in as often as it likes.
    let failed = matches!(answer, Err(Error::Refused(_)));
    match under_way {
        Some(under_way) => under_way.end(failed),
        None if failed => ctx.failed(Door::LogIn),
        None => {}
    }
    match answer {
        Ok(secret) => {
            let next = if template.lost { "/portal/login/lost" } else { "/portal/login/passcode" };
            Ok(with_session(see_other(next), &secret))
        }
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

/// Session, person and tokens of someone who has proved the passphrase.
async fn known(ctx: &Ctx) -> Result<(Session, PersonId, Overview), Stop> {
    let (session, prescriber) = ctx.passphrase_session()?;
    let overview = ctx.app().overview(prescriber).await.map_err(|error| ctx.stop(&error))?;
    Ok((session, prescriber, overview))
}

fn frame(ctx: &Ctx, overview: &Overview, title: &str) -> Page {
    let mut frame = ctx.frame_for(title, &overview.prescriber.name);
    frame.zone = Some(overview.zone.clone());
    frame
}

fn passcode_page(ctx: &Ctx, overview: &Overview) -> PasscodePage {
    PasscodePage {
        page: frame(ctx, overview, "Enter a passcode"),
        token: show::choices(&overview.tokens, ANY_TOKEN, ctx.now()),
        passcode: SecretField::default(),
        lock: None,
        wait: None,
    }
}

pub(super) async fn passcode_form(ctx: Ctx, query: Query) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    if !overview.tokens.iter().any(countersign_domain::Token::is_active) {
        return Ok(see_other("/portal/no-token"));
    }
    let mut template = passcode_page(&ctx, &overview);
    let lost = format!("{} Sign in with another token.", show::lost_text(&overview));
    let done = match query.text("done") {
        "resynced" => Some("Token resynced. Wait for its next passcode and enter it here."),
        "enabled" => Some("Token enabled. Wait for its next passcode and enter it here."),
        "lost" => Some(lost.as_str()),
        "recovered" => Some("Token added. Wait for its next passcode and enter it here."),
        _ => None,
    };
    template.page.notice = ctx.noticed(done, &overview);
    Ok(page(StatusCode::OK, &template))
}

/// Reads which token was meant; `None` for a text that names none.
pub(super) fn chosen(text: &str) -> Option<Chosen> {
    if text == ANY_TOKEN { Some(Chosen::Any) } else { text.parse().ok().map(Chosen::Token) }
}

pub(super) async fn passcode(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = passcode_page(&ctx, &overview);
    fields.text("token").clone_into(&mut template.token.value);
    let choice = chosen(fields.text("token"));
    let code = fields.text("passcode").parse::<OneTimePasscode>();
    if choice.is_none() {
        template.token.error = Some("Choose the token the passcode is from.".to_owned());
    }
    if let Err(error) = &code {
        template.passcode.error = Some(error.to_string());
    }
    let (Some(choice), Ok(code)) = (choice, code) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    match ctx
        .app()
        .prove_passcode(session, choice, code, ctx.at)
        .await
        .and_then(Answer::into_result)
    {
        Ok(logged_in) => Ok(with_log_in(see_other("/portal/dashboard"), &ctx, &logged_in)),
        Err(Error::Refused(refusal)) => {
            template.lock = show::lock(&refusal, &overview.tokens, fields.text("token"), ctx.now());
            template.wait = wait(&refusal);
            if template.lock.is_none() {
                template.passcode.error = Some(refusal.to_string());
            }
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Err(error) => Err(ctx.stop(&error)),
    }
}

pub(super) fn wait(refusal: &Refusal) -> Option<NextCode> {
    match refusal {
        Refusal::PasscodeUsed { wait_seconds } => {
            Some(NextCode { seconds: u64::try_from(*wait_seconds).unwrap_or(0) })
        }
        _ => None,
    }
}

fn resync_page(ctx: &Ctx, overview: &Overview) -> ResyncPage {
    let mut token = show::choices(&overview.tokens, "", ctx.now());
    token.any = false;
    ResyncPage {
        page: frame(ctx, overview, "Resync a token"),
        action: "/portal/login/resync".to_owned(),
        back: "/portal/login/passcode".to_owned(),
        token,
        passcode1: SecretField::default(),
        passcode2: SecretField::default(),
        lock: None,
    }
}

pub(super) async fn resync_form(ctx: Ctx) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    Ok(page(StatusCode::OK, &resync_page(&ctx, &overview)))
}

pub(super) async fn resync(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = resync_page(&ctx, &overview);
    fields.text("token").clone_into(&mut template.token.value);
    let token = fields.text("token").parse::<TokenId>();
    if token.is_err() {
        template.token.error = Some("Choose the token the passcodes are from.".to_owned());
    }
    let codes = two_codes(&fields, &mut template);
    let (Ok(token), Some(codes)) = (token, codes) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    match ctx.app().resync(&session, token, codes, ctx.at).await.and_then(Answer::into_result) {
        Ok(()) => Ok(see_other("/portal/login/passcode?done=resynced")),
        Err(error) => resync_refused(&ctx, template, &error, &overview, fields.text("token"))
            .ok_or_else(|| ctx.stop(&error)),
    }
}

/// Reads two codes; what is wrong stands beside its field.
pub(super) fn two_codes(
    fields: &Fields,
    template: &mut ResyncPage,
) -> Option<(OneTimePasscode, OneTimePasscode)> {
    let first = fields.text("passcode1").parse::<OneTimePasscode>();
    let second = fields.text("passcode2").parse::<OneTimePasscode>();
    template.passcode1.error = first.as_ref().err().map(ToString::to_string);
    template.passcode2.error = second.as_ref().err().map(ToString::to_string);
    Some((first.ok()?, second.ok()?))
}

/// The page that says why a resync was refused; none where it is another fault.
pub(super) fn resync_refused(
    ctx: &Ctx,
    mut template: ResyncPage,
    error: &Error,
    overview: &Overview,
    token: &str,
) -> Option<Response> {
    let Error::Refused(refusal) = error else { return None };
    template.lock = show::lock(refusal, &overview.tokens, token, ctx.now());
    if template.lock.is_none() {
        template.passcode2.error = Some(refusal.to_string());
    }
    Some(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

fn lost_page(ctx: &Ctx, overview: &Overview) -> LostPage {
    let mut token = show::choices(&overview.tokens, "", ctx.now());
    token.any = false;
    if let [only] = token.options.as_slice() {
        token.value.clone_from(&only.id);
    }
    LostPage {
        page: frame(ctx, overview, "Report a lost token"),
        last_active: token.options.len() == 1,
        prescribes: show::prescribes(overview),
        token,
        // The one it nearly always is, and the mildest.
        reason: ReasonField {
            value: DisableReason::Lost.code().to_owned(),
            options: show::reasons(true, overview),
            error: None,
        },
    }
}

pub(super) async fn lost_form(ctx: Ctx) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    if !overview.tokens.iter().any(countersign_domain::Token::is_active) {
        return Ok(see_other("/portal/no-token"));
    }
    Ok(page(StatusCode::OK, &lost_page(&ctx, &overview)))
}

pub(super) async fn lost(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = lost_page(&ctx, &overview);
    fields.text("token").clone_into(&mut template.token.value);
    fields.text("reason").clone_into(&mut template.reason.value);
    let token = fields.text("token").parse::<TokenId>();
    let reason = DisableReason::from_code(fields.text("reason")).filter(|reason| reason.is_loss());
    if token.is_err() {
        template.token.error = Some("Choose the lost token.".to_owned());
    }
    if reason.is_none() {
        template.reason.error = Some("Choose what happened.".to_owned());
    }
    let (Ok(token), Some(reason)) = (token, reason) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    // The page says what follows, and its button means it; a form without it was not that page.
    let confirmed = fields.text("confirmation") == DISABLE_WORD;
    match ctx
        .app()
        .report_lost(&session, token, reason, confirmed, ctx.at)
        .await
        .and_then(Answer::into_result)
    {
        Ok(()) => {
            let other = overview.tokens.iter().any(|it| it.is_active() && it.id() != token);
            Ok(see_other(if other {
                "/portal/login/passcode?done=lost"
            } else {
                "/portal/no-token?done=lost"
            }))
        }
        Err(Error::Refused(refusal)) => {
            template.last_active |= refusal == Refusal::LastToken;
            template.token.error = Some(refusal.to_string());
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Err(error) => Err(ctx.stop(&error)),
    }
}

fn enable_page(ctx: &Ctx, overview: &Overview) -> EnablePage {
    let options: Vec<_> = overview
        .tokens
        .iter()
        .filter(|token| token.is_temporarily_disabled())
        .map(|token| show::choice(token, ctx.now()))
        .collect();
    let value = options.first().map(|option| option.id.clone()).unwrap_or_default();
    EnablePage {
        page: frame(ctx, overview, "Enable a token"),
        action: "/portal/login/enable".to_owned(),
        back: "/portal/no-token".to_owned(),
        at_login: true,
        token: TokenField { fixed: None, options, any: false, value, error: None },
        passcode: SecretField::default(),
        step_up: None,
        lock: None,
        wait: None,
    }
}

pub(super) async fn enable_form(ctx: Ctx) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    let template = enable_page(&ctx, &overview);
    if template.token.options.is_empty() {
        return Ok(see_other("/portal/no-token"));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn enable(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
    let mut template = enable_page(&ctx, &overview);
    fields.text("token").clone_into(&mut template.token.value);
    let Ok(token) = fields.text("token").parse::<TokenId>() else {
        template.token.error = Some("Choose the token you have with you.".to_owned());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    enable_with(
        &ctx,
        &session,
        token,
        template,
        &fields,
        &overview,
        "/portal/login/passcode?done=enabled",
    )
    .await
}

/// Enables a token by its own code, at sign-in or in token management.
pub(super) async fn enable_with(
    ctx: &Ctx,
    session: &Session,
    token: TokenId,
    mut template: EnablePage,
    fields: &Fields,
    overview: &Overview,
    then: &str,
) -> Out {
    let code = match fields.text("passcode").parse::<OneTimePasscode>() {
        Ok(code) => code,
        Err(error) => {
            template.passcode.error = Some(error.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    match ctx.app().enable(session, token, code, ctx.at).await.and_then(Answer::into_result) {
        Ok(()) => Ok(see_other(then)),
        Err(Error::Refused(refusal)) => {
            template.lock = show::lock(&refusal, &overview.tokens, &token.to_string(), ctx.now());
            template.wait = wait(&refusal);
            if template.lock.is_none() {
                template.passcode.error = Some(refusal.to_string());
            }
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Err(error) => Err(ctx.stop(&error)),
    }
}
