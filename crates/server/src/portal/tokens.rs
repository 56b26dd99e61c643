//! Token management: the dashboard, the table, and what can be done to a token.

use axum::extract::Path;
use countersign_app::{AddForm, By, Change, Confirm, DisableForm, Error, Overview, RenameForm};
use countersign_domain::{
    CredentialId, DisableReason, Manufacturer, PersonId, Refusal, Token, TokenId, TokenKind,
    TokenModel, TokenName, infer_format, otp::OneTimePasscode,
};
use countersign_store::{PairingState, Session};
use http::StatusCode;

use super::{
    Ctx, Fields, Query, enrol,
    login::{chosen, enable_with, resync_refused, two_codes, wait},
    phone, show,
};
use crate::{
    respond::{Out, Stop, page, see_other},
    views::{
        ANY_TOKEN, AddToken, Choice, ChoiceField, DISABLE_WORD, DashboardPage, DeskLink,
        DisablePage, EnablePage, HistoryPage, NavTab, Notice, NoticeKind, Page, ReasonField,
        ResyncPage, SecretField, SigningLine, StepUp, TestPage, TestResult, TextField, TokenField,
        TokenPage, TokensPage,
    },
};

/// Session, person and tokens of someone who has proved both factors.
pub(super) async fn known(ctx: &Ctx) -> Result<(Session, PersonId, Overview), Stop> {
    let (session, prescriber) = ctx.full_session()?;
    let overview = ctx.app().overview(prescriber).await.map_err(|error| ctx.stop(&error))?;
    Ok((session, prescriber, overview))
}

/// Session, person, all that is theirs, and one of their tokens.
pub(super) type Theirs = (Session, PersonId, Overview, Token);

/// The same, and the token of the address, if it is theirs.
pub(super) async fn known_token(ctx: &Ctx, id: &str) -> Result<Theirs, Stop> {
    let (session, prescriber, overview) = known(ctx).await?;
    let id: TokenId = id.parse().map_err(|_| ctx.not_found())?;
    let token = overview.tokens.iter().find(|token| token.id == id).cloned();
    let token = token.ok_or_else(|| ctx.not_found())?;
    Ok((session, prescriber, overview, token))
}

pub(super) fn frame(ctx: &Ctx, overview: &Overview, title: &str, nav: NavTab) -> Page {
    let mut page = ctx.frame_for(title, &overview.prescriber.name);
    page.practice = Some(overview.prescriber.practice_name.clone());
    page.nav = nav;
    if let Some(user) = &mut page.user {
        user.prescribes = show::prescribes(overview);
    }
    page
}

/// The frame of a page of this prescriber.
pub(super) async fn frame_of(
    ctx: &Ctx,
    prescriber: PersonId,
    title: &str,
    onward: &str,
) -> Result<Page, Stop> {
    let person = ctx.app().prescriber(prescriber).await.map_err(|error| ctx.stop(&error))?;
    let mut page = ctx.frame_for(title, &person.name);
    page.practice = Some(person.practice_name);
    if onward == "/portal/tokens/new" {
        page.nav = NavTab::Tokens;
    }
    Ok(page)
}

pub(super) fn most_active(ctx: &Ctx) -> usize {
    usize::try_from(ctx.app().options().policy.max_active_tokens).unwrap_or(usize::MAX)
}

pub(super) async fn dashboard(ctx: Ctx, query: Query) -> Out {
    let (session, person, overview) = known(&ctx).await?;
    let desks = ctx.app().desks(person).await.map_err(|error| ctx.stop(&error))?;
    let active: Vec<_> = overview
        .tokens
        .iter()
        .filter(|token| token.is_active())
        .map(|token| show::row(token, &overview, ctx.now()))
        .collect();
    let mut template = DashboardPage {
        page: frame(
            &ctx,
            &overview,
            if show::prescribes(&overview) { "Prescriber dashboard" } else { "Your account" },
            NavTab::Overview,
        ),
        name: overview.prescriber.name.clone(),
        npi: overview.prescriber.sign_in.masked(),
        practice: overview.prescriber.practice_name.clone(),
        active,
        limit: most_active(&ctx),
        activity: show::events(&overview, None, 8),
        desks: desks
            .into_iter()
            .map(|(id, name, waiting)| DeskLink { href: format!("/practice/{id}"), name, waiting })
            .collect(),
        staff: !show::prescribes(&overview),
        signing: signing(&ctx, &session, person, &overview).await?,
        not_sent: ctx.app().count_not_sent(person).await.map_err(|error| ctx.stop(&error))?,
    };
    let done = match query.text("done") {
        "passphrase" => {
            Some("Your passphrase is changed. It is the one you sign with from now on.")
        }
        "joined" => Some("You have joined. What you may sign there, its own people decide."),
        _ => None,
    };
    template.page.notice = ctx.noticed(done, &overview);
    Ok(page(StatusCode::OK, &template))
}

/// Whether a prescriber may sign, and else what is missing first.
pub(super) async fn signing(
    ctx: &Ctx,
    session: &Session,
    person: PersonId,
    overview: &Overview,
) -> Result<Option<SigningLine>, Stop> {
    let it =
        ctx.app().enrolment(session, person, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    if !it.prescribes {
        return Ok(None);
    }
    let active = |token: &&Token| token.is_active();
    let waits = overview.tokens.iter().find(|token| show::waits_for_activation(token, overview));
    let signs = overview
        .tokens
        .iter()
        .filter(active)
        .any(|token| show::log_in_only(token, overview).is_none());
    let line = |heading, text: String, href: &str, link| SigningLine {
        allowed: false,
        heading,
        text,
        href: href.to_owned(),
        link,
    };
    let not_yet = "You can\u{2019}t sign yet.";
    let see = "See how it stands";
    if let Some(why) = enrol::suspension(&it) {
        let text = format!("{why} {}", enrol::who_acts(&it));
        return Ok(Some(line("You can\u{2019}t sign now.", text, "/portal/approval", see)));
    }
    if let Some(token) = waits.filter(|_| !signs) {
        let href = format!("/portal/tokens/{}/activate", token.id);
        let mut text = "Your token waits for its activation.".to_owned();
        if !it.facts.granted {
            text = format!("{text} {}", enrol::who_acts(&it));
        }
        return Ok(Some(line(not_yet, text, &href, "Activate it")));
    }
    if !it.facts.granted {
        return Ok(Some(line(not_yet, enrol::who_acts(&it), "/portal/approval", see)));
    }
    let hindrance = ctx.app().certification_hindrance(session.practice, person, ctx.at).await;
    if let Some(hindrance) = hindrance.map_err(|error| ctx.stop(&error))? {
        let (text, heading) = (hindrance.to_string(), "You can\u{2019}t sign now.");
        return Ok(Some(line(heading, text, "/portal/certification", "Certification")));
    }
    if !signs && overview.tokens.iter().any(Token::is_active) {
        let text = "None of your active tokens may sign: their models are not allowed.".to_owned();
        return Ok(Some(line(
            "You can\u{2019}t sign now.",
            text,
            "/portal/tokens",
            "See your tokens",
        )));
    }
    Ok(Some(SigningLine { allowed: true, ..line("", String::new(), "", "") }))
}

fn tokens_page(ctx: &Ctx, overview: &Overview, add: Option<AddToken>) -> TokensPage {
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

pub(super) async fn list(ctx: Ctx, query: Query) -> Out {
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
        "activated" => Some("The token is activated for signing."),
        "added" if show::prescribes(&overview) => Some(
            "Token added. You can log in with it now. To sign prescriptions, activate it in its row. The code that you just used is used up.",
        ),
        "added" => {
            Some("Token added. You can log in with it now. The code that you just used is used up.")
        }
        "replaced" if show::prescribes(&overview) => Some(
            "The new token is added, and the old one is disabled for good. You can log in with the new one now. To sign prescriptions, activate it in its row. Remove the token from the old phone.",
        ),
        "replaced" => Some(
            "The new token is added, and the old one is disabled for good. Remove it from the old phone.",
        ),
        "disabled" => Some(show::DISABLED),
        "lost" => Some(lost.as_str()),
        "enabled" => Some("The token is active again."),
        "resynced" => Some("The token is back in step. Its next code will work."),
        _ => None,
    };
    template.page.notice = ctx.noticed(done, &overview);
    if template.active_count() == 0 {
        let text = "You have no active token, so you can neither sign nor add one. Enable one below with its own code, or prove your identity again.";
        template.page.notice = Some(Notice::new(NoticeKind::Warning, text));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) fn step_up(ctx: &Ctx, session: &Session, overview: &Overview) -> Option<StepUp> {
    ctx.app().needs_step_up(session, ctx.at).then(|| StepUp {
        token: show::choices(&overview.tokens, ANY_TOKEN, ctx.now()),
        passcode: SecretField::default(),
    })
}

pub(super) fn empty_add(ctx: &Ctx, session: &Session, overview: &Overview) -> AddToken {
    AddToken {
        other_app: phone::offers_other_app(ctx, overview),
        step_up: step_up(ctx, session, overview),
        back: "/portal/tokens".to_owned(),
        ..plain_add(ctx, &overview.models, "/portal/tokens")
    }
}

/// The form without a passcode of another token: a proofing vouches for a first one.
pub(super) fn plain_add(ctx: &Ctx, models: &[TokenModel], action: &str) -> AddToken {
    let on = &ctx.app().options().manufacturers;
    let offered = show::offered(on, models);
    let choice = |options: Vec<Choice>| ChoiceField { value: String::new(), options, error: None };
    let mut issuer = choice(vec![Choice::new("built_in", "Countersign (this server)")]);
    "built_in".clone_into(&mut issuer.value);
    AddToken {
        manufacturer: choice(show::makers(&offered)),
        manufacturer_help: offered.contains(&Manufacturer::Symantec).then(|| {
            "Symantec IDs are served by this server's built-in authority, not by Symantec. A code from the vendor's own VIP Access app cannot be checked here.".to_owned()
        }),
        models_note: show::models_note(&offered, models),
        issuer,
        token_type: choice(show::kinds()),
        formats: show::formats(&offered),
        prefixes: show::prefixes(&offered),
        action: action.to_owned(),
        can_pair: on.contains(&Manufacturer::Countersign),
        ..AddToken::default()
    }
}

pub(super) async fn add_form(ctx: Ctx, query: Query) -> Out {
    let (session, prescriber, overview) = known(&ctx).await?;
    let mut template = tokens_page(&ctx, &overview, None);
    if template.active_count() == 0 {
        return Ok(see_other("/portal/no-token"));
    }
    if let Some(old) = phone::replaces(&overview, query.text("replaces")) {
        template.add = Some(phone::replacing_add(&ctx, &session, &overview, &old));
    } else if template.active_count() < template.limit {
        template.add = Some(empty_add(&ctx, &session, &overview));
    }
    if let (Some(add), Ok(id)) = (&mut template.add, query.text("pairing").parse()) {
        let by = By { session: &session, prescriber };
        if let Ok(PairingState::Used { credential }) = ctx.app().pairing_state(&by, id).await {
            credential.as_str().clone_into(&mut add.credential_id.value);
            add.paired = true;
        }
    }
    if template.add.is_some() {
        let lost = format!(
            "{} Now add the new one: confirm with a token that you still have.",
            show::lost_text(&overview)
        );
        let done = (query.text("done") == "lost").then_some(lost.as_str());
        template.page.notice = ctx.noticed(done, &overview);
    }
    Ok(page(StatusCode::OK, &template))
}

/// Reads the fresh passcode where one is asked for; what is wrong stands beside its field.
pub(super) fn confirm(fields: &Fields, asked: Option<&mut StepUp>) -> Result<Option<Confirm>, ()> {
    let Some(asked) = asked else { return Ok(None) };
    fields.text("stepup_token").clone_into(&mut asked.token.value);
    let choice = chosen(fields.text("stepup_token"));
    let code = fields.text("stepup_passcode").parse::<OneTimePasscode>();
    if choice.is_none() {
        asked.token.error = Some("Choose the token whose code you are typing.".to_owned());
    }
    asked.passcode.error = code.as_ref().err().map(ToString::to_string);
    match (choice, code) {
        (Some(chosen), Ok(code)) => Ok(Some(Confirm { chosen, code })),
        _ => Err(()),
    }
}

/// The form as typed, and what is right of it.
pub(super) fn read_add(
    fields: &Fields,
    on: &[Manufacturer],
    add: &mut AddToken,
) -> Option<AddForm> {
    let typed = |name: &str, most: usize| fields.again(name, most);
    add.manufacturer.value = typed("manufacturer", 40);
    add.token_type.value = typed("token_type", 40);
    add.name.value = typed("name", 80);
    add.credential_id.value = typed("credential_id", 64);
    // A form without the field means the issuer that is chosen there already.
    let issuer = typed("issuer", 40);
    if !issuer.is_empty() && !add.issuer.options.iter().any(|known| known.value == issuer) {
        add.issuer.error = Some("Choose one from the list.".to_owned());
    }
    let maker = match add.manufacturer.value.as_str() {
        "" => None,
        text => match text.parse::<Manufacturer>() {
            Ok(maker) if on.contains(&maker) => Some(maker),
            _ => {
                add.manufacturer.error = Some("Choose one from the list.".to_owned());
                None
            }
        },
    };
    let kind = match add.token_type.value.as_str() {
        "" => None,
        text => match text.parse::<TokenKind>() {
            Ok(kind) => Some(kind),
            Err(error) => {
                add.token_type.error = Some(error.to_string());
                None
            }
        },
    };
    let credential = CredentialId::parse(fields.text("credential_id"), maker);
    let name = fields.text("name").parse::<TokenName>();
    let code = fields.text("otp").parse::<OneTimePasscode>();
    match &credential {
        Err(countersign_domain::CredentialIdError::OtherMaker) => {
            let label = infer_format(fields.text("credential_id"))
                .map_or("another maker", |f| f.manufacturer.label());
            add.manufacturer.error = Some(format!(
                "This ID belongs to a {label} token. Choose {label}, or leave the choice to the ID."
            ));
        }
        Err(error) => add.credential_id.error = Some(error.to_string()),
        Ok(id) if !on.contains(&id.manufacturer()) => {
            add.credential_id.error = Some(format!(
                "{} tokens are not used here. Ask your practice's support.",
                id.manufacturer().label()
            ));
        }
        Ok(id) => {
            add.inferred =
                Some(format!("From the ID: {}, {}.", id.manufacturer().label(), id.kind().label()));
            if kind.is_some_and(|kind| kind != id.kind()) {
                add.token_type.error = Some(format!(
                    "This ID belongs to an {}. Choose that, or leave the choice to the ID.",
                    id.kind().label()
                ));
            }
        }
    }
    add.name.error = name.as_ref().err().map(ToString::to_string);
    add.otp.error = code.as_ref().err().map(ToString::to_string);
    let wrong = [
        &add.manufacturer.error,
        &add.issuer.error,
        &add.token_type.error,
        &add.credential_id.error,
    ];
    if wrong.iter().any(|error| error.is_some()) {
        return None;
    }
    Some(AddForm {
        credential: credential.ok()?,
        kind,
        name: name.ok()?,
        code: code.ok()?,
        confirm: None,
        replaces: None,
    })
}

pub(super) async fn add(ctx: Ctx, fields: Fields) -> Out {
    let (session, prescriber, overview) = known(&ctx).await?;
    let replaces = match fields.text("replaces") {
        "" => None,
        id => Some(phone::replaces(&overview, id).ok_or_else(|| ctx.not_found())?),
    };
    let mut add = match &replaces {
        Some(old) => phone::replacing_add(&ctx, &session, &overview, old),
        None => empty_add(&ctx, &session, &overview),
    };
    let form = read_add(&fields, &ctx.app().options().manufacturers, &mut add);
    let confirm = confirm(&fields, add.step_up.as_mut());
    let again = |add: AddToken| {
        page(StatusCode::UNPROCESSABLE_ENTITY, &tokens_page(&ctx, &overview, Some(add)))
    };
    let (Some(mut form), Ok(confirm)) = (form, confirm) else { return Ok(again(add)) };
    form.confirm = confirm;
    form.replaces = replaces.map(|old| old.id);
    let form_replaces = form.replaces.is_some();
    match ctx.app().add_token(&session, prescriber, form, ctx.at).await {
        Ok(Change::Done(_)) => {
            let done = if form_replaces { "replaced" } else { "added" };
            return Ok(see_other(&format!("/portal/tokens?done={done}")));
        }
        Ok(Change::Refused(refusal)) => {
            // The confirmation was accepted and is spent; it need not be given again. Where a token
            // goes, each try needs a code: who has it must show so.
            if !form_replaces {
                add.step_up = None;
            }
            add_refused(&ctx, &mut add, &refusal);
        }
        Ok(Change::NotConfirmed(refusal)) => {
            add.lock = step_up_refused(&ctx, &mut add.step_up, &refusal, &overview);
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(again(add))
}

pub(super) fn add_refused(ctx: &Ctx, add: &mut AddToken, refusal: &Refusal) {
    let text = Some(refusal.to_string());
    match refusal {
        Refusal::TypeMismatch { .. } => add.token_type.error = text,
        Refusal::UnknownCredential
        | Refusal::AlreadyYours
        | Refusal::SameBrowser
        | Refusal::BoundToAnother
        | Refusal::TokenNotActive
        | Refusal::TokenLimit { .. } => add.credential_id.error = text,
        Refusal::ModelNotAllowed => {
            // Named where the page stands, not only in its footer: this is whom to ask.
            let contact = &ctx.app().options().support;
            let whom = contact.phone.as_ref().or(contact.email.as_ref());
            let whom = whom.map_or_else(String::new, |way| format!(", {way}"));
            add.credential_id.error = Some(match contact.name.as_str() {
                "" => refusal.to_string(),
                name => format!("{refusal} That is {name}{whom}."),
            });
        }
        _ => {
            add.wait = wait(refusal);
            add.otp.error = text;
            if let Some(blocked) = refusal.blocked() {
                let seconds = ctx.now().seconds_until(blocked.until);
                add.otp.error = Some(format!(
                    "{refusal} It opens again in {}.",
                    crate::views::span(u64::try_from(seconds).unwrap_or(0))
                ));
            }
        }
    }
}

/// Puts a refused confirmation beside its field; answers with the lock, if there is one.
pub(super) fn step_up_refused(
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

fn token_page(ctx: &Ctx, session: &Session, overview: &Overview, token: &Token) -> TokenPage {
    TokenPage {
        page: frame(ctx, overview, token.name.as_str(), NavTab::Tokens),
        token: show::row(token, overview, ctx.now()),
        issuer: "Countersign (this server)".to_owned(),
        added_by: show::added_by(overview, token),
        clock: show::clock(token),
        model: show::model(&overview.models, token),
        device: show::device(token),
        activate: token.is_active() && token.activated.is_none(),
        seed_left: token.seed_left.map(show::when),
        name: TextField { value: token.name.as_str().to_owned(), error: None },
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
    let events = ctx.app().token_events(prescriber, token.id).await;
    overview.events = events.map_err(|error| ctx.stop(&error))?;
    Ok((session, prescriber, overview, token))
}

pub(super) async fn one(ctx: Ctx, Path(id): Path<String>, query: Query) -> Out {
    let (session, _, overview, token) = known_with_events(&ctx, &id).await?;
    let mut template = token_page(&ctx, &session, &overview, &token);
    if query.text("done") == "renamed" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "The new name is saved."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn rename(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, prescriber, overview, token) = known_with_events(&ctx, &id).await?;
    let mut template = token_page(&ctx, &session, &overview, &token);
    template.name.value = fields.again("name", 80);
    let name = fields.text("name").parse::<TokenName>();
    template.name.error = name.as_ref().err().map(ToString::to_string);
    let confirm = confirm(&fields, template.step_up.as_mut());
    let (Ok(name), Ok(confirm)) = (name, confirm) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let form = RenameForm { name, confirm };
    match ctx.app().rename(&session, prescriber, token.id, form, ctx.at).await {
        Ok(Change::Done(())) => {
            return Ok(see_other(&format!("/portal/tokens/{}?done=renamed", token.id)));
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

fn disable_page(ctx: &Ctx, session: &Session, overview: &Overview, token: &Token) -> DisablePage {
    let others = overview.tokens.iter().any(|other| other.is_active() && other.id != token.id);
    DisablePage {
        page: frame(ctx, overview, "Disable a token", NavTab::Tokens),
        id: token.id.to_string(),
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

pub(super) async fn disable_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (session, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &disable_page(&ctx, &session, &overview, &token)))
}

pub(super) async fn disable(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, prescriber, overview, token) = known_token(&ctx, &id).await?;
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
    match ctx.app().disable(&session, prescriber, token.id, form, ctx.at).await {
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

fn enable_page(ctx: &Ctx, overview: &Overview, token: &Token) -> EnablePage {
    EnablePage {
        page: frame(ctx, overview, "Enable a token", NavTab::Tokens),
        action: format!("/portal/tokens/{}/enable", token.id),
        back: "/portal/tokens".to_owned(),
        at_login: false,
        token: fixed(token),
        passcode: SecretField::default(),
        step_up: None,
        lock: None,
        wait: None,
    }
}

fn fixed(token: &Token) -> TokenField {
    TokenField { fixed: Some(show::label(token)), ..TokenField::default() }
}

pub(super) async fn enable_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (_, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &enable_page(&ctx, &overview, &token)))
}

pub(super) async fn enable(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, prescriber, overview, token) = known_token(&ctx, &id).await?;
    let template = enable_page(&ctx, &overview, &token);
    enable_with(
        &ctx,
        &session,
        prescriber,
        token.id,
        template,
        &fields,
        &overview,
        "/portal/tokens?done=enabled",
    )
    .await
}

fn test_page(ctx: &Ctx, overview: &Overview, token: &Token) -> TestPage {
    TestPage {
        page: frame(ctx, overview, "Test a token", NavTab::Tokens),
        id: token.id.to_string(),
        token: show::label(token),
        passcode: SecretField::default(),
        result: None,
        lock: None,
        wait: None,
    }
}

pub(super) async fn test_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (_, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &test_page(&ctx, &overview, &token)))
}

pub(super) async fn test(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, prescriber, overview, token) = known_token(&ctx, &id).await?;
    let mut template = test_page(&ctx, &overview, &token);
    let code = match fields.text("passcode").parse::<OneTimePasscode>() {
        Ok(code) => code,
        Err(error) => {
            template.passcode.error = Some(error.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    template.result = match ctx.app().test(&session, prescriber, token.id, code, ctx.at).await {
        Ok(()) => Some(TestResult {
            kind: NoticeKind::Success,
            heading: "This token works.".to_owned(),
            text: "The code was right. It is spent now, so wait for the next one before you use this token.".to_owned(),
            offer_resync: false,
        }),
        Err(Error::Refused(refusal)) => {
            template.lock = show::lock(&refusal, &overview.tokens, &token.id.to_string(), ctx.now());
            template.wait = wait(&refusal);
            let late = matches!(refusal, Refusal::WrongPasscode | Refusal::LatePasscode { .. });
            template.lock.is_none().then(|| TestResult {
                kind: NoticeKind::Warning,
                heading: "That code was not accepted.".to_owned(),
                text: format!("{refusal} This test did not count against the token."),
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
        action: format!("/portal/tokens/{}/resync", token.id),
        back: format!("/portal/tokens/{}", token.id),
        token: fixed(token),
        passcode1: SecretField::default(),
        passcode2: SecretField::default(),
        lock: None,
    }
}

pub(super) async fn resync_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let (_, _, overview, token) = known_token(&ctx, &id).await?;
    Ok(page(StatusCode::OK, &resync_page(&ctx, &overview, &token)))
}

pub(super) async fn resync(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, prescriber, overview, token) = known_token(&ctx, &id).await?;
    let mut template = resync_page(&ctx, &overview, &token);
    let Some(codes) = two_codes(&fields, &mut template) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    match ctx.app().resync(&session, prescriber, token.id, codes, ctx.at).await {
        Ok(()) => Ok(see_other("/portal/tokens?done=resynced")),
        Err(error) => resync_refused(&ctx, template, &error, &overview, &token.id.to_string())
            .ok_or_else(|| ctx.stop(&error)),
    }
}

pub(super) async fn history(ctx: Ctx) -> Out {
    let (_, _, overview) = known(&ctx).await?;
    let template = HistoryPage {
        page: frame(&ctx, &overview, "History of tokens", NavTab::Tokens),
        tokens: overview
            .tokens
            .iter()
            .rev()
            .map(|token| show::row(token, &overview, ctx.now()))
            .collect(),
    };
    Ok(page(StatusCode::OK, &template))
}
