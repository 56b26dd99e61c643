//! Adding a token: the form, reading it, what is refused.

use countersign_app::{AddForm, By, Change, Overview};
use countersign_domain::{
    CredentialId, Manufacturer, Refusal, TokenKind, TokenModel, TokenName, infer_format,
    otp::OneTimePasscode,
};
use countersign_store::{PairingState, Session};
use http::StatusCode;

use super::{
    context::known,
    list::tokens_page,
    step_up::{confirm, step_up, step_up_refused},
};
use crate::{
    portal::{Ctx, Fields, Query, login::wait, phone, show},
    views::{AddToken, Choice, ChoiceField},
    web::respond::{Out, page, see_other},
};

pub(in crate::portal) fn empty_add(ctx: &Ctx, session: &Session, overview: &Overview) -> AddToken {
    AddToken {
        other_app: phone::offers_other_app(ctx, overview),
        step_up: step_up(ctx, session, overview),
        back: "/portal/tokens".to_owned(),
        ..plain_add(ctx, &overview.models, "/portal/tokens")
    }
}

/// The form without a passcode of another token: a proofing vouches for a first one.
pub(in crate::portal) fn plain_add(ctx: &Ctx, models: &[TokenModel], action: &str) -> AddToken {
    let on = &ctx.app().options().manufacturers;
    let offered = show::offered(on, models);
    let choice = |options: Vec<Choice>| ChoiceField { value: String::new(), options, error: None };
    let mut issuer = choice(vec![Choice::new("built_in", "Countersign (this server)")]);
    "built_in".clone_into(&mut issuer.value);
    AddToken {
        manufacturer: choice(show::makers(&offered)),
        manufacturer_help: offered.contains(&Manufacturer::Symantec).then(|| {
            "Symantec IDs are issued by this server, not by Symantec. Passcodes from the vendor's own VIP Access app can't be verified here.".to_owned()
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

pub(in crate::portal) async fn add_form(ctx: Ctx, query: Query) -> Out {
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
            "{} Now add the new token, and confirm with a token that you still have.",
            show::lost_text(&overview)
        );
        let done = (query.text("done") == "lost").then_some(lost.as_str());
        template.page.notice = ctx.noticed(done, &overview);
    }
    Ok(page(StatusCode::OK, &template))
}

/// The form as typed, and what is right of it.
pub(in crate::portal) fn read_add(
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
                .map_or("another manufacturer", |f| f.manufacturer.label());
            add.manufacturer.error = Some(format!(
                "This ID belongs to a {label} token. Choose {label}, or Detect from the ID."
            ));
        }
        Err(error) => add.credential_id.error = Some(error.to_string()),
        Ok(id) if !on.contains(&id.manufacturer()) => {
            add.credential_id.error = Some(format!(
                "{} tokens are not supported here. Contact your practice's support.",
                id.manufacturer().label()
            ));
        }
        Ok(id) => {
            add.inferred =
                Some(format!("From the ID: {}, {}.", id.manufacturer().label(), id.kind().label()));
            if kind.is_some_and(|kind| kind != id.kind()) {
                add.token_type.error = Some(format!(
                    "This ID belongs to an {}. Choose that, or Detect from the ID.",
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

pub(in crate::portal) async fn add(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, overview) = known(&ctx).await?;
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
    form.replaces = replaces.map(|old| old.id());
    let form_replaces = form.replaces.is_some();
    match ctx.app().add_token(&session, form, ctx.at).await {
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

pub(in crate::portal) fn add_refused(ctx: &Ctx, add: &mut AddToken, refusal: &Refusal) {
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
                    "{refusal} It unlocks in {}.",
                    crate::views::span(u64::try_from(seconds).unwrap_or(0))
                ));
            }
        }
    }
}
