//! The way back when the last token is gone; and the case of proofing as whoever it is about sees it, which
//! the enrolment shows too.

use axum::response::Response;
use countersign_app::{Answer, By, CaseView, Change, Hindrance, Overview, ReplyRefusal};
use countersign_domain::{
    EmailAddress, PersonId, PhoneNumber, Role,
    access::Setting,
    proofing::{Channel, Missing},
};
use countersign_store::{CasePurpose, PairingState, Session, Stage};
use http::StatusCode;

use super::{Ctx, Fields, Query, enrol, show, tokens};
use crate::{
    views::{
        AddToken, CaseBox, Choice, ChoiceField, LaunchPage, MissingLine, NavTab, NoTokenPage,
        Notice, NoticeKind, TextField,
    },
    web::respond::{Out, Stop, page, see_other},
};

const PATH: &str = "/portal/recovery";

/// What of a case's forms was refused, and as it was typed.
pub(super) enum CaseForm {
    /// The way of a code.
    Way(String, String),
    /// A code.
    Code(String, Hindrance),
}

pub(super) fn way_label(channel: Channel, to: &str) -> String {
    match channel {
        Channel::Phone => format!("Text message or voice call to {to}"),
        _ => format!("Letter to {to}"),
    }
}

pub(super) const fn how_sent(channel: Channel) -> &'static str {
    match channel {
        Channel::Phone => "to your phone",
        _ => "by mail",
    }
}

fn names(view: &CaseView, role: Role) -> String {
    let names: Vec<&str> = view
        .helpers
        .iter()
        .filter(|(known, _)| *known == role)
        .map(|(_, name)| name.as_str())
        .collect();
    if names.is_empty() {
        "No one at your practice has this role yet. Ask your administrator.".to_owned()
    } else {
        format!("Can be done by: {}.", names.join(", "))
    }
}

/// What is missing in words, and who can act: for whoever works on the case of somebody else.
pub(super) fn missing_line(view: &CaseView, it: &Missing) -> MissingLine {
    let applicant = || format!("{}, after signing in.", view.name);
    let (what, who) = match it {
        Missing::Evidence if view.setting == Setting::Institution => {
            ("Photo ID checked in person.", names(view, Role::Proofing))
        }
        Missing::Evidence => ("Identity proofing by an outside provider.", applicant()),
        Missing::ListedProvider => (
            "New identity proofing: the practice no longer accepts the provider used.",
            applicant(),
        ),
        Missing::Assurance | Missing::Identity => {
            ("Full identity proofing of the applicant.", applicant())
        }
        Missing::NearMatch(_) => {
            ("Review of the name or address mismatch shown below.", names(view, Role::Proofing))
        }
        Missing::VaConfirmation => (
            "Confirmation of the applicant's Veterans Affairs appointment.",
            names(view, Role::Proofing),
        ),
        Missing::AddressCode => {
            ("Confirmation code sent to the applicant's address of record.", applicant())
        }
        Missing::PhotoId | Missing::Licence | Missing::Registration | Missing::Issue => {
            return own_missing_line(view, it);
        }
    };
    MissingLine { what: what.to_owned(), who }
}

/// The same for whom the case is about.
fn own_missing_line(view: &CaseView, it: &Missing) -> MissingLine {
    let (what, who) = match it {
        Missing::Evidence if view.setting == Setting::Institution => {
            ("Show your photo ID in person.", names(view, Role::Proofing))
        }
        Missing::Evidence | Missing::ListedProvider | Missing::Assurance | Missing::Identity
            if view.providers.is_empty() =>
        {
            (
                "Identity proofing.",
                "Your practice has no identity proofing provider yet. Ask your administrator."
                    .to_owned(),
            )
        }
        Missing::Evidence => (
            "Identity proofing by an outside provider.",
            "You can do this with the button below.".to_owned(),
        ),
        Missing::ListedProvider => (
            "New identity proofing: your practice no longer accepts the provider you used.",
            "You can do this with another provider.".to_owned(),
        ),
        Missing::Assurance | Missing::Identity => {
            ("Full identity proofing.", "You can do this with the button below.".to_owned())
        }
        Missing::NearMatch(_) => (
            "Review by your practice: your name or address at the provider differs from your invitation.",
            names(view, Role::Proofing),
        ),
        Missing::PhotoId => ("A valid photo ID.", names(view, Role::Proofing)),
        Missing::Licence => ("A state license in force.", names(view, Role::Proofing)),
        Missing::Registration => {
            ("A DEA registration in force, or privileges here.", names(view, Role::Proofing))
        }
        Missing::VaConfirmation => {
            ("Confirmation of your appointment.", names(view, Role::Proofing))
        }
        Missing::AddressCode => (
            "Confirmation code sent to your address.",
            "You can do this with the button below.".to_owned(),
        ),
        Missing::Issue => ("Authorization by a credential issuer.", names(view, Role::Issuing)),
    };
    MissingLine { what: what.to_owned(), who }
}

/// A case for whom it is about.
pub(super) fn case_box(view: Option<&CaseView>, action: &'static str, ctx: &Ctx) -> CaseBox {
    let Some(view) = view else { return CaseBox { action, ..CaseBox::default() } };
    let complete = view.row.state.is_complete();
    let asks_code = complete || view.row.address_confirmed.is_none();
    let options: Vec<Choice> = view
        .ways
        .iter()
        .map(|(channel, to)| Choice::new(channel.code(), way_label(*channel, to)))
        .collect();
    let proofs = view.missing.iter().any(|it| {
        matches!(
            it,
            Missing::Evidence | Missing::ListedProvider | Missing::Assurance | Missing::Identity
        )
    });
    let outside = view.setting == Setting::Practitioners;
    let sent = view.sent.filter(|(_, until)| ctx.now() < *until);
    CaseBox {
        action,
        missing: view.missing.iter().map(|it| own_missing_line(view, it)).collect(),
        complete,
        providers: if proofs && outside { view.providers.clone() } else { Vec::new() },
        asks_code,
        channel: ChoiceField {
            value: options.first().map(|first| first.value.clone()).unwrap_or_default(),
            options,
            error: None,
        },
        sent: sent.map(|(channel, until)| (how_sent(channel).to_owned(), show::when(until))),
        code: TextField::default(),
    }
}

/// The same, with what was refused beside its field.
pub(super) fn spoilt(
    view: Option<&CaseView>,
    action: &'static str,
    ctx: &Ctx,
    form: CaseForm,
) -> CaseBox {
    let mut it = case_box(view, action, ctx);
    match form {
        CaseForm::Way(value, text) => {
            it.channel.value = value;
            it.channel.error = Some(text);
        }
        CaseForm::Code(value, hindrance) => {
            let spent = matches!(hindrance, Hindrance::TooManyTries | Hindrance::Rule(_));
            if spent || it.sent.is_none() {
                it.sent = None;
                it.channel.error = Some(hindrance.to_string());
            } else {
                it.code = TextField { value, error: Some(hindrance.to_string()) };
            }
        }
    }
    it
}

/// Sends a code; what was refused, where it was.
pub(super) async fn send(
    ctx: &Ctx,
    session: &Session,
    fields: &Fields,
) -> Result<Option<CaseForm>, Stop> {
    let value: String = fields.text("channel").chars().take(20).collect();
    let Some(channel) = Channel::from_code(&value) else {
        let text = "Choose how to get the code.".to_owned();
        return Ok(Some(CaseForm::Way(value, text)));
    };
    match ctx.app().send_case_code(session, channel, ctx.at).await {
        Ok(Answer::Done(())) => Ok(None),
        Ok(Answer::Refused(hindrance)) => Ok(Some(CaseForm::Way(value, hindrance.to_string()))),
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// Takes a code; what was refused, where it was.
pub(super) async fn take(
    ctx: &Ctx,
    session: &Session,
    fields: &Fields,
) -> Result<Option<CaseForm>, Stop> {
    let value = fields.again("code", 40);
    match ctx.app().take_case_code(session, &value, ctx.at).await {
        Ok(Answer::Done(())) => Ok(None),
        Ok(Answer::Refused(hindrance)) => Ok(Some(CaseForm::Code(value, hindrance))),
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// Sends the browser to a provider.
pub(super) async fn go_to_provider(
    ctx: &Ctx,
    session: &Session,
    fields: &Fields,
) -> Result<Result<Response, ReplyRefusal>, Stop> {
    let begun = ctx.app().begin_proofing(session, fields.text("issuer"), ctx.at).await;
    let continue_href = match begun.map_err(|error| ctx.stop(&error))? {
        Answer::Done(address) => address,
        Answer::Refused(refusal) => return Ok(Err(refusal)),
        Answer::NotConfirmed(refusal) => return Err(ctx.stop(&refusal.into())),
    };
    // By a page, since no form of ours may be sent on to another origin.
    let mut frame = ctx.frame("Opening the identity proofing provider");
    frame.patient = None;
    Ok(Ok(page(StatusCode::OK, &LaunchPage { page: frame, continue_href })))
}

/// Back from a provider's page. The redirect comes from another origin, so that the cookie stays at home;
/// the refresh of this page starts from our own origin and carries it.
pub(super) async fn landed(ctx: Ctx, query: Query) -> Out {
    let escaped = countersign_protocol::oidc::escaped;
    let part = |name: &str| escaped(&query.text(name).chars().take(512).collect::<String>());
    let mut frame = ctx.frame("Identity proofing");
    frame.patient = None;
    let continue_href = format!("/proofing/finish?state={}&code={}", part("state"), part("code"));
    Ok(page(StatusCode::OK, &LaunchPage { page: frame, continue_href }))
}

pub(super) async fn finish(ctx: Ctx, query: Query) -> Out {
    let Some(session) = ctx.session.clone() else { return Err(ctx.sign_in_again()) };
    if matches!(session.stage, Stage::Launched | Stage::Resetting { .. }) {
        return Err(ctx.sign_in_again());
    }
    let (state, code) = (query.text("state"), query.text("code"));
    let done = ctx.app().end_proofing(&session, state, code, ctx.at).await;
    let refused = match done.map_err(|error| ctx.stop(&error))? {
        Answer::Done(()) => None,
        Answer::Refused(refusal) => Some(refusal.to_string()),
        Answer::NotConfirmed(refusal) => return Err(ctx.stop(&refusal.into())),
    };
    match session.stage {
        Stage::Enrolling { .. } => enrol::back(&ctx, refused).await,
        _ => back(&ctx, refused).await,
    }
}

/// Reads addresses from a form: one or two e-mail addresses, a telephone, a postal address; at least two
/// for notices, and one for codes.
pub(super) fn read_contact(
    email: &mut TextField,
    email2: &mut TextField,
    phone: &mut TextField,
    address: &mut TextField,
) -> Option<(Vec<EmailAddress>, Option<PhoneNumber>, String)> {
    let mut emails = Vec::new();
    for field in [&mut *email, &mut *email2] {
        match field.value.parse::<EmailAddress>() {
            Ok(found) if emails.contains(&found) => {
                field.error = Some(
                    "This is the same address. Enter a different one, or leave it empty."
                        .to_owned(),
                );
            }
            Ok(found) => emails.push(found),
            Err(_) if field.value.is_empty() && !emails.is_empty() => {}
            // What is wrong with its characters says more.
            Err(error) => {
                field.error.get_or_insert_with(|| error.to_string());
            }
        }
        if field.error.is_some() {
            break;
        }
    }
    let number = match phone.value.as_str() {
        "" => None,
        text => match text.parse::<PhoneNumber>() {
            Ok(number) => Some(number),
            Err(error) => {
                phone.error.get_or_insert_with(|| error.to_string());
                None
            }
        },
    };
    let short = (1..8).contains(&address.value.chars().count());
    if short && address.error.is_none() {
        address.error = Some("Enter street, city, state and ZIP code.".to_owned());
    }
    if phone.value.is_empty() && address.value.is_empty() {
        phone.error = Some(
            "Enter a mobile phone or a mailing address, so that we can send you a code.".to_owned(),
        );
    } else if phone.value.is_empty() && email2.value.is_empty() && email2.error.is_none() {
        email2.error = Some(
            "Enter a second email address or a mobile phone. Notices of changes go to two addresses.".to_owned(),
        );
    }
    let wrong = [&*email, &*email2, &*phone, &*address].iter().any(|it| it.error.is_some());
    (!wrong).then(|| (emails, number, address.value.clone()))
}

/// Somebody who has proved the passphrase at least, and has no active token.
async fn known(ctx: &Ctx) -> Result<(Session, PersonId, Overview), Stop> {
    let Some(session) = ctx.session.clone() else { return Err(ctx.sign_in_again()) };
    let (person, onward) = match session.stage {
        Stage::Passphrase { prescriber } => (prescriber, "/portal/login/passcode"),
        Stage::Full { prescriber, .. } => (prescriber, "/portal/tokens"),
        stage => return Err(Stop::with(see_other(super::way_in(Some(stage))))),
    };
    let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
    if overview.tokens.iter().any(countersign_domain::Token::is_active) {
        return Err(Stop::with(see_other(onward)));
    }
    Ok((session, person, overview))
}

async fn roads(
    ctx: &Ctx,
    session: &Session,
    person: PersonId,
    overview: &Overview,
) -> Result<(NoTokenPage, Option<CaseView>), Stop> {
    let case = ctx.app().own_case(person, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let case = case.filter(|case| case.row.purpose == CasePurpose::Recovery);
    let window = case.as_ref().and_then(|case| case.row.state.window_until());
    let open = window.is_some_and(|until| ctx.now() < until);
    let asleep = overview.tokens.iter().find(|token| token.is_temporarily_disabled());
    let full = matches!(session.stage, Stage::Full { .. });
    let mut frame = ctx.frame_for("No active token", &overview.prescriber.name);
    frame.practice = Some(overview.prescriber.practice_name.clone());
    frame.zone = Some(overview.zone.clone());
    frame.nav = if full { NavTab::Tokens } else { NavTab::Hidden };
    let template = NoTokenPage {
        page: frame,
        // Each has its own page there; the one at the log-in is for who has no passcode.
        enable_href: asleep.map(|token| {
            if full {
                format!("/portal/tokens/{}/enable", token.id())
            } else {
                "/portal/login/enable".to_owned()
            }
        }),
        case: case.as_ref().map(|view| case_box(Some(view), PATH, ctx)),
        add: open.then(|| tokens::plain_add(ctx, &overview.models, "/portal/recovery/tokens")),
    };
    Ok((template, case))
}

pub(super) async fn show(ctx: Ctx, query: Query) -> Out {
    let (session, person, overview) = known(&ctx).await?;
    let (mut template, case) = roads(&ctx, &session, person, &overview).await?;
    let done = |text: String| Some(Notice::new(NoticeKind::Success, text));
    template.page.notice = match query.text("done") {
        "lost" => done(format!(
            "{} Your practice's access control designees are notified.",
            show::lost_text(&overview)
        )),
        "disabled" => done(show::DISABLED.to_owned()),
        "proofed" => Some(enrol::answered(case.as_ref())),
        // Said while it is so, and not when the address is opened again later.
        "code" if template.add.is_some() => done("Code accepted.".to_owned()),
        _ => None,
    };
    if let (Some(add), Ok(id)) = (&mut template.add, query.text("pairing").parse()) {
        let by = By { session: &session, prescriber: person };
        if let Ok(PairingState::Used { credential }) = ctx.app().pairing_state(&by, id).await {
            credential.as_str().clone_into(&mut add.credential_id.value);
            add.paired = true;
        }
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn begin(ctx: Ctx) -> Out {
    let (session, _, _) = known(&ctx).await?;
    ctx.app().begin_recovery(&session, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    Ok(see_other("/portal/no-token"))
}

pub(super) async fn code(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, overview) = known(&ctx).await?;
    match send(&ctx, &session, &fields).await? {
        None => Ok(see_other("/portal/no-token")),
        Some(refused) => again(&ctx, &session, person, &overview, refused).await,
    }
}

pub(super) async fn confirm(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, overview) = known(&ctx).await?;
    match take(&ctx, &session, &fields).await? {
        None => Ok(see_other("/portal/no-token?done=code")),
        Some(refused) => again(&ctx, &session, person, &overview, refused).await,
    }
}

async fn again(
    ctx: &Ctx,
    session: &Session,
    person: PersonId,
    overview: &Overview,
    refused: CaseForm,
) -> Out {
    let (mut template, case) = roads(ctx, session, person, overview).await?;
    template.case = Some(spoilt(case.as_ref(), PATH, ctx, refused));
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(super) async fn provider(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, _) = known(&ctx).await?;
    match go_to_provider(&ctx, &session, &fields).await? {
        Ok(response) => Ok(response),
        Err(refusal) => back(&ctx, Some(refusal.to_string())).await,
    }
}

/// Back from a provider, for somebody whose tokens are gone.
async fn back(ctx: &Ctx, refused: Option<String>) -> Out {
    let Some(text) = refused else { return Ok(see_other("/portal/no-token?done=proofed")) };
    let (session, person, overview) = known(ctx).await?;
    let (mut template, _) = roads(ctx, &session, person, &overview).await?;
    template.page.notice = Some(Notice::new(NoticeKind::Error, text));
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(super) async fn add(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, overview) = known(&ctx).await?;
    let (mut template, _) = roads(&ctx, &session, person, &overview).await?;
    let mut add = tokens::plain_add(&ctx, &overview.models, "/portal/recovery/tokens");
    let form = tokens::read_add(&fields, &ctx.app().options().manufacturers, &mut add);
    let again = |mut template: NoTokenPage, add: AddToken| {
        template.add = Some(add);
        Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
    };
    let Some(form) = form else { return again(template, add) };
    match ctx.app().add_first_token(&session, form, ctx.at).await {
        Ok(Change::Done(_)) => {
            return Ok(see_other(match session.stage {
                Stage::Full { .. } => "/portal/tokens?done=added",
                _ => "/portal/login/passcode?done=recovered",
            }));
        }
        Ok(Change::NotConfirmed(refusal)) => {
            template.add = None;
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
        Ok(Change::Refused(refusal)) => tokens::add_refused(&ctx, &mut add, &refusal),
        Err(error) => return Err(ctx.stop(&error)),
    }
    again(template, add)
}
