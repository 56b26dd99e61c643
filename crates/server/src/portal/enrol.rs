//! From the link of an invitation to somebody who may sign, one step at a time.

pub(super) mod data;
pub(super) mod invitation;
pub(super) mod terms;

use axum::response::Response;
use countersign_app::{Answer, By, CaseView, Change, Enrolment, StepRefusal, new_passphrase};
use countersign_domain::{
    Date, PersonId, access::Cause, enrolment::Stage as Step, proofing::Missing,
};
use countersign_store::{Session, Stage};
use http::StatusCode;

use self::{data::data_form, terms::name_report};
use super::{
    Ctx, Fields, Query,
    recovery::{self, CaseForm},
    show, tokens, without_session,
};
use crate::{
    views::{
        AccessLine, AddToken, EnrolBody, EnrolPage, NavTab, Notice, NoticeKind, PassphraseForm,
        StepLine,
    },
    web::respond::{Out, Stop, page, see_other},
};

const PATH: &str = "/enrol";

fn words(step: Step) -> &'static str {
    match step {
        Step::Terms => "Terms",
        Step::PersonalData => "Your information",
        Step::Proofing => "Identity",
        Step::Tokens => "Token",
        Step::Passphrase => "Passphrase",
        Step::Access => "Access approval",
        Step::Done => "Done",
    }
}

/// Session and person of an enrolment.
pub(super) fn enrolling(ctx: &Ctx) -> Result<(Session, PersonId), Stop> {
    match &ctx.session {
        Some(session) => match session.stage {
            Stage::Enrolling { prescriber } => Ok((session.clone(), prescriber)),
            _ => Err(Stop::with(see_other(super::way_in(Some(session.stage))))),
        },
        None => Err(ctx.sign_in_again()),
    }
}

async fn known(ctx: &Ctx) -> Result<(Session, PersonId, Enrolment), Stop> {
    let (session, person) = enrolling(ctx)?;
    let it = ctx.app().enrolment(&session, person, ctx.at).await;
    Ok((session, person, it.map_err(|error| ctx.stop(&error))?))
}

fn enrol_page(ctx: &Ctx, it: &Enrolment, body: EnrolBody) -> EnrolPage {
    let due = match &body {
        // Whoever waits for others, or is done, has nothing to do at an earlier step: an account of before
        // invitations never accepted the terms by a page.
        EnrolBody::Access(_) => Step::Access,
        EnrolBody::Done(_) => Step::Done,
        _ => it.step(),
    };
    let mut frame = ctx.frame_for("Enrollment", &it.person.name);
    frame.practice = Some(it.practice.name.clone());
    frame.zone = Some(it.practice.zone.clone());
    // Who does not prescribe is granted nothing.
    let steps = Step::ALL.into_iter().filter(|step| *step != Step::Access || it.prescribes);
    EnrolPage {
        page: frame,
        name: it.person.name.clone(),
        steps: steps
            .filter(|step| *step != Step::Done)
            .map(|step| StepLine { label: words(step), done: step < due, current: step == due })
            .collect(),
        body,
    }
}

fn body(ctx: &Ctx, it: &Enrolment, more: bool, paired: &str) -> EnrolBody {
    let case = || Box::new(recovery::case_box(it.case.as_ref(), PATH, ctx));
    let open = it.window(ctx.now());
    match it.step() {
        Step::Terms => EnrolBody::Terms(Box::default()),
        Step::PersonalData => EnrolBody::Data(Box::new(data_form(it))),
        Step::Proofing => EnrolBody::Proofing(case()),
        Step::Tokens | Step::Passphrase if open.is_none() => EnrolBody::Closed(case()),
        Step::Tokens => EnrolBody::Token(Box::new(add_form(ctx, it, paired))),
        Step::Passphrase if more => EnrolBody::Token(Box::new(add_form(ctx, it, paired))),
        Step::Passphrase => EnrolBody::Passphrase(PassphraseForm {
            until: open.map(show::when),
            tokens: it.tokens.iter().filter(|token| token.is_active()).count(),
            can_add: true,
            ..PassphraseForm::default()
        }),
        Step::Access => EnrolBody::Access(access_line(it)),
        Step::Done => EnrolBody::Done(to_activate(it)),
    }
}

/// The page that activates a token, where none of the active ones is activated for signing.
fn to_activate(it: &Enrolment) -> Option<String> {
    let mut active = it.tokens.iter().filter(|token| token.is_active());
    if active.clone().any(|token| token.activated().is_some()) {
        return None;
    }
    active.next().map(|token| format!("/portal/tokens/{}/activate", token.id()))
}

/// Why somebody may not sign, in a sentence; for those whose permission is suspended.
pub(super) fn suspension(it: &Enrolment) -> Option<String> {
    let (cause, since) = it.suspended?;
    let day = Date::at(since, &it.practice.zone).text();
    let why = match cause {
        Cause::FactorLost => {
            format!("a token or the passphrase was reported lost, stolen or compromised on {day}")
        }
        Cause::Expired => format!("a registration or license expired (recorded {day})"),
        Cause::Withdrawn => {
            format!("a registration or license was withdrawn (recorded {day})")
        }
        Cause::Left => format!("you left the practice on {day}"),
        Cause::NonCompliant => format!("the conditions for signing were not met on {day}"),
    };
    Some(format!("Your permission to sign is suspended: {why}."))
}

/// Who acts next, so that somebody may sign.
pub(super) fn who_acts(it: &Enrolment) -> String {
    match &it.grant_entered {
        Some(by) => format!(
            "{by} has requested it; another access control designee must now approve it."
        ),
        None => "Two people at your practice must act: one requests it, another approves it. It has not been requested yet."
            .to_owned(),
    }
}

fn access_line(it: &Enrolment) -> AccessLine {
    AccessLine { suspended: suspension(it), next: who_acts(it), activate: to_activate(it) }
}

fn add_form(ctx: &Ctx, it: &Enrolment, paired: &str) -> AddToken {
    let mut add = tokens::plain_add(ctx, &it.models, "/enrol/tokens");
    if !paired.is_empty() {
        paired.clone_into(&mut add.credential_id.value);
        add.paired = true;
    }
    add
}

/// The token that was just made by pairing in this session, if the address names one.
async fn paired(ctx: &Ctx, session: &Session, person: PersonId, query: &Query) -> String {
    let Ok(id) = query.text("pairing").parse() else { return String::new() };
    let by = By { session, prescriber: person };
    match ctx.app().pairing_state(&by, id).await {
        Ok(countersign_store::PairingState::Used { credential }) => credential.as_str().to_owned(),
        _ => String::new(),
    }
}

pub(super) async fn show(ctx: Ctx, query: Query) -> Out {
    let (session, person, it) = known(&ctx).await?;
    let paired = paired(&ctx, &session, person, &query).await;
    let more = query.text("token") == "more" || !paired.is_empty();
    let mut body = body(&ctx, &it, more, &paired);
    if let EnrolBody::Terms(form) = &mut body {
        name_report(&ctx, &session, person, form).await?;
    }
    let mut template = enrol_page(&ctx, &it, body);
    // What was done is said while it is so: not when the address is opened again at a later step.
    let open = it.window(ctx.now()).is_some();
    let waits = |case: &CaseView| case.row.address_confirmed.is_some() && !case.missing.is_empty();
    template.page.notice = match query.text("done") {
        "proofed" => Some(answered(it.case.as_ref())),
        "code" if open || it.case.as_ref().is_some_and(waits) => {
            Some(Notice::new(NoticeKind::Success, "Code accepted."))
        }
        "added" if open && it.facts.tokens > 0 => {
            Some(Notice::new(NoticeKind::Success, "Token added."))
        }
        _ => None,
    };
    Ok(page(StatusCode::OK, &template))
}

/// What the answer of a provider came to: it is one part of a case, and may still be compared by a person.
pub(super) fn answered(case: Option<&CaseView>) -> Notice {
    let near = |it: &Missing| matches!(it, Missing::NearMatch(_));
    match case {
        Some(case) if case.missing.is_empty() => {
            Notice::new(NoticeKind::Success, "Your identity is verified.")
        }
        Some(case) if case.missing.iter().any(near) => Notice::new(
            NoticeKind::Info,
            "Your identity is not verified yet: your name or address at the provider differs from your invitation. Someone at your practice will review it.",
        ),
        _ => Notice::new(
            NoticeKind::Info,
            "Your identity is not verified yet. See below what is still needed.",
        ),
    }
}

/// What follows a step: the next one, or the page of the one that is due.
fn onward(ctx: &Ctx, done: Result<Answer<(), StepRefusal>, countersign_app::Error>) -> Out {
    match done {
        Ok(_) => Ok(see_other(PATH)),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// A form of the case that was refused: the page again, with the words beside the field.
fn case_again(ctx: &Ctx, it: &Enrolment, case: CaseForm) -> Response {
    let form = recovery::spoilt(it.case.as_ref(), PATH, ctx, case);
    let body = match it.step() {
        Step::Tokens | Step::Passphrase => EnrolBody::Closed(Box::new(form)),
        _ => EnrolBody::Proofing(Box::new(form)),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &enrol_page(ctx, it, body))
}

pub(super) async fn code(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, it) = known(&ctx).await?;
    match recovery::send(&ctx, &session, &fields).await? {
        None => Ok(see_other(PATH)),
        Some(refused) => Ok(case_again(&ctx, &it, refused)),
    }
}

pub(super) async fn confirm(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, it) = known(&ctx).await?;
    match recovery::take(&ctx, &session, &fields).await? {
        None => Ok(see_other("/enrol?done=code")),
        Some(refused) => Ok(case_again(&ctx, &it, refused)),
    }
}

pub(super) async fn provider(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, it) = known(&ctx).await?;
    match recovery::go_to_provider(&ctx, &session, &fields).await? {
        Ok(response) => Ok(response),
        Err(refusal) => Ok(refused_reply(&ctx, &it, &refusal.to_string())),
    }
}

/// The page of the step that is due, under what a provider, or we, said no to.
fn refused_reply(ctx: &Ctx, it: &Enrolment, text: &str) -> Response {
    let mut template = enrol_page(ctx, it, body(ctx, it, false, ""));
    template.page.notice = Some(Notice::new(NoticeKind::Error, text));
    page(StatusCode::UNPROCESSABLE_ENTITY, &template)
}

/// Back from a provider, for somebody who enrols.
pub(super) async fn back(ctx: &Ctx, refused: Option<String>) -> Out {
    let (_, _, it) = known(ctx).await?;
    match refused {
        None => Ok(see_other("/enrol?done=proofed")),
        Some(text) => Ok(refused_reply(ctx, &it, &text)),
    }
}

pub(super) async fn add(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, it) = known(&ctx).await?;
    let mut add = tokens::plain_add(&ctx, &it.models, "/enrol/tokens");
    let Some(form) = tokens::read_add(&fields, &ctx.app().options().manufacturers, &mut add) else {
        let body = EnrolBody::Token(Box::new(add));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &enrol_page(&ctx, &it, body)));
    };
    match ctx.app().add_first_token(&session, form, ctx.at).await {
        Ok(Change::Done(_)) => return Ok(see_other("/enrol?done=added")),
        // The time is over: the page says how to open it again.
        Ok(Change::NotConfirmed(_)) => return Ok(see_other(PATH)),
        Ok(Change::Refused(refusal)) => tokens::add_refused(&ctx, &mut add, &refusal),
        Err(error) => return Err(ctx.stop(&error)),
    }
    let body = EnrolBody::Token(Box::new(add));
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &enrol_page(&ctx, &it, body)))
}

pub(super) async fn passphrase(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, it) = known(&ctx).await?;
    let mut form = PassphraseForm {
        until: it.window(ctx.now()).map(show::when),
        tokens: 2,
        ..PassphraseForm::default()
    };
    let new = new_passphrase(&fields.secret("new"), &it.person);
    form.new.error = new.as_ref().err().map(ToString::to_string);
    if new.is_ok() && fields.text("new") != fields.text("again") {
        form.again.error = Some("The passphrases don't match. Enter both again.".to_owned());
    }
    let (Ok(new), None) = (new, &form.again.error) else {
        let template = enrol_page(&ctx, &it, EnrolBody::Passphrase(form));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    match ctx.app().choose_passphrase(&session, new, ctx.at).await {
        Ok(Answer::Done(())) => Ok(without_session(see_other("/portal/login?ended=enrolled"))),
        Ok(Answer::Refused(_) | Answer::NotConfirmed(_)) => Ok(see_other(PATH)),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// How far somebody who has logged in has come: what is left is for others to do.
pub(super) async fn waiting(ctx: Ctx) -> Out {
    if let Some(Stage::Full { prescriber, .. }) = ctx.session.as_ref().map(|session| session.stage)
    {
        let (session, _) = ctx.full_session()?;
        let it = ctx.app().enrolment(&session, prescriber, ctx.at).await;
        let it = it.map_err(|error| ctx.stop(&error))?;
        if !it.prescribes {
            // Nothing is approved for those who do not prescribe.
            return Ok(see_other("/portal/dashboard"));
        }
        let body = if it.facts.granted {
            EnrolBody::Done(to_activate(&it))
        } else {
            EnrolBody::Access(access_line(&it))
        };
        let suspended = it.suspended.is_some();
        let mut template = enrol_page(&ctx, &it, body);
        if suspended {
            // Somebody who has signed before is at no step of an enrolment.
            template.steps.clear();
            "Access approval".clone_into(&mut template.page.title);
        }
        template.page.nav = NavTab::Overview;
        return Ok(page(StatusCode::OK, &template));
    }
    Ok(see_other(super::way_in(ctx.session.as_ref().map(|session| session.stage))))
}
