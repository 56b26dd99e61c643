//! From the link of an invitation to somebody who may sign, one step at a time.

use axum::{extract::Path, response::Response};
use countersign_domain::{
    Date, DeaNumber, DeaRegistration, EmailAddress, LastDayError, PersonId, PhoneNumber, Schedules,
    StateLicence, UsState, enrolment::Stage as Step,
};
use countersign_store::{Paper, Profile, Session, Stage};
use http::StatusCode;

use super::{
    Ctx, Fields, Query,
    practice::{read, typed},
    recovery::{self, CaseForm},
    show, tokens, with_session, without_session,
};
use crate::{
    app::{By, Change, Enrolment, Followed, Link, PersonalData, Stepped, new_passphrase},
    respond::{Out, Stop, error_page, page, see_other},
    views::{
        AddToken, DataForm, EnrolBody, EnrolPage, InvitationPage, NavTab, Notice, NoticeKind,
        PassphraseForm, StepLine, TermsForm, TextField,
    },
};

const PATH: &str = "/enrol";

fn words(step: Step) -> &'static str {
    match step {
        Step::Terms => "Terms",
        Step::PersonalData => "Your data",
        Step::Proofing => "Identity",
        Step::Tokens => "Token",
        Step::Passphrase => "Passphrase",
        Step::Access => "Access approval",
        Step::Done => "Done",
    }
}

async fn invitation_page(ctx: &Ctx, link: &str) -> Result<InvitationPage, Stop> {
    if !ctx.shared.limits.sign_in(ctx.peer) {
        return Err(Stop::with(error_page(StatusCode::TOO_MANY_REQUESTS, ctx.frame(""))));
    }
    let found = ctx.app().invitation(link, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let mut template = InvitationPage {
        page: ctx.frame("Invitation"),
        here: format!("/invitation/{link}"),
        practice: String::new(),
        name: String::new(),
        account: false,
        signed_in: ctx.full_session().is_ok(),
        closed: None,
        again: None,
    };
    match found {
        Link::Open { practice, name, account } => {
            (template.practice, template.name, template.account) = (practice, name, account);
        }
        Link::Closed { why, again } => {
            template.closed = Some(why.to_string());
            template.again = again;
        }
    }
    Ok(template)
}

pub(super) async fn invitation(ctx: Ctx, Path(link): Path<String>, query: Query) -> Out {
    let mut template = invitation_page(&ctx, &link).await?;
    if query.text("done") == "sent" {
        let text = "If a new link can be had, it is on its way. Use the newest message.";
        template.page.notice = Some(Notice::new(NoticeKind::Info, text));
    }
    let status = if template.closed.is_none() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(page(status, &template))
}

pub(super) async fn follow(ctx: Ctx, Path(link): Path<String>) -> Out {
    let mut template = invitation_page(&ctx, &link).await?;
    let refused = if let (true, Ok((_, person))) = (template.account, ctx.full_session()) {
        match ctx.app().join_practice(person, &link, ctx.at).await {
            Ok(Ok(())) => return Ok(see_other("/portal/dashboard?done=joined")),
            Ok(Err(why)) => why,
            Err(error) => return Err(ctx.stop(&error)),
        }
    } else {
        match ctx.app().follow(&link, ctx.session.clone(), ctx.at).await {
            Ok(Followed::Begun(secret)) => return Ok(with_session(see_other(PATH), &secret)),
            Ok(Followed::LogIn) => return Ok(see_other("/portal/login")),
            Ok(Followed::Refused(why)) => why,
            Err(error) => return Err(ctx.stop(&error)),
        }
    };
    template.closed = Some(refused.to_string());
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(super) async fn again(ctx: Ctx, Path(link): Path<String>) -> Out {
    if !ctx.shared.limits.sign_in(ctx.peer) {
        return Ok(error_page(StatusCode::TOO_MANY_REQUESTS, ctx.frame("")));
    }
    ctx.app().ask_again(&link, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    Ok(see_other(&format!("/invitation/{link}?done=sent")))
}

/// Session and person of an enrolment.
fn enrolling(ctx: &Ctx) -> Result<(Session, PersonId), Stop> {
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
    let due = it.step();
    let mut frame = ctx.frame_for("Enrolment", &it.person.name);
    frame.practice = Some(it.practice.name.clone());
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
        Step::Terms => EnrolBody::Terms(TermsForm::default()),
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
        Step::Access => EnrolBody::Access,
        Step::Done => EnrolBody::Done,
    }
}

fn add_form(ctx: &Ctx, it: &Enrolment, paired: &str) -> AddToken {
    let mut add = tokens::plain_add(ctx, &it.models, "/enrol/tokens");
    if !paired.is_empty() {
        paired.clone_into(&mut add.credential_id.value);
        add.paired = true;
    }
    add
}

fn data_form(it: &Enrolment) -> DataForm {
    let field = |value: &str| TextField { value: value.to_owned(), error: None };
    let profile = &it.profile;
    let email = |at: usize| profile.emails.get(at).map_or("", String::as_str);
    DataForm {
        name: it.person.name.clone(),
        prescribes: it.prescribes,
        papers: it
            .papers
            .iter()
            .map(|paper| format!("{}, last day {}", paper.paper.label(), paper.paper.expires()))
            .collect(),
        asks_dea: it.prescribes && !it.papers.iter().any(|paper| paper.paper.dea().is_some()),
        asks_licence: it.prescribes
            && !it.papers.iter().any(|paper| matches!(paper.paper, Paper::Licence(_))),
        born: field(&profile.born),
        email: field(email(0)),
        email2: field(email(1)),
        phone: field(&profile.phone),
        address: field(&profile.address),
        ..DataForm::default()
    }
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
    let body = body(&ctx, &it, more, &paired);
    let mut template = enrol_page(&ctx, &it, body);
    let done = match query.text("done") {
        "proofed" => Some("Your identity is confirmed."),
        "code" => Some("The code was right."),
        "added" => Some("The token is added."),
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}

/// What follows a step: the next one, or the page of the one that is due.
fn onward<T>(ctx: &Ctx, done: Result<Stepped<T>, crate::app::Error>) -> Out {
    match done {
        Ok(_) => Ok(see_other(PATH)),
        Err(error) => Err(ctx.stop(&error)),
    }
}

pub(super) async fn terms(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, it) = known(&ctx).await?;
    let field = |name: &str| {
        let value = fields.text(name).chars().take(10).collect::<String>();
        let missing = value != "yes";
        let error = missing.then(|| "Read it, and tick it if you agree.".to_owned());
        TextField { value, error }
    };
    let form = TermsForm { keep: field("keep"), report: field("report"), audit: field("audit") };
    if [&form.keep, &form.report, &form.audit].iter().any(|field| field.error.is_some()) {
        let template = enrol_page(&ctx, &it, EnrolBody::Terms(form));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    onward(&ctx, ctx.app().accept_terms(&session, person, ctx.at).await)
}

/// Reads the form; what is wrong stands beside its field.
fn read_data(
    ctx: &Ctx,
    fields: &Fields,
    it: &Enrolment,
    form: &mut DataForm,
) -> Option<PersonalData> {
    for (field, name, most) in [
        (&mut form.born, "born", 20),
        (&mut form.email, "email", 254),
        (&mut form.email2, "email2", 254),
        (&mut form.phone, "phone", 40),
        (&mut form.address, "address", 200),
        (&mut form.dea, "dea", 40),
        (&mut form.dea_state, "dea_state", 10),
        (&mut form.schedules, "schedules", 40),
        (&mut form.dea_expires, "dea_expires", 20),
        (&mut form.licence_state, "licence_state", 10),
        (&mut form.licence, "licence", 40),
        (&mut form.licence_expires, "licence_expires", 20),
    ] {
        *field = typed(fields, name, most);
    }
    let mut good = true;
    if form.prescribes {
        let born = read::<Date>(&mut form.born);
        let today = Date::at(ctx.now(), &it.practice.zone);
        if born.is_some_and(|born| born.days_until(today) < 18 * 365) {
            form.born.error = Some("Type your date of birth, such as 1975-04-12.".to_owned());
        }
        good &= form.born.error.is_none();
    }
    let contact = recovery::read_contact(
        &mut form.email,
        &mut form.email2,
        &mut form.phone,
        &mut form.address,
    );
    good &= contact.is_some();
    let mut papers = Vec::new();
    if form.asks_dea {
        let parts = (
            read::<DeaNumber>(&mut form.dea),
            read::<UsState>(&mut form.dea_state),
            read::<Schedules>(&mut form.schedules),
            read::<Date>(&mut form.dea_expires),
        );
        if let Some(last) = parts.3 {
            let today = Date::at(ctx.now(), &it.practice.zone);
            form.dea_expires.error =
                LastDayError::of_registration(last, today).err().map(|error| error.to_string());
        }
        if let (Some(number), Some(state), Some(schedules), Some(expires), None) =
            (parts.0, parts.1, parts.2, parts.3, &form.dea_expires.error)
        {
            let dea = DeaRegistration { number, state, schedules, expires, withdrawn: None };
            papers.push(Paper::Dea(dea));
        } else {
            good = false;
        }
    }
    if form.asks_licence {
        if form.licence.value.is_empty() {
            form.licence.error = Some("Type the number of the licence.".to_owned());
        }
        let state = read::<UsState>(&mut form.licence_state);
        let expires = read::<Date>(&mut form.licence_expires);
        if let Some(last) = expires {
            let today = Date::at(ctx.now(), &it.practice.zone);
            form.licence_expires.error =
                LastDayError::of_licence(last, today).err().map(|error| error.to_string());
        }
        let wrong = form.licence.error.is_some() || form.licence_expires.error.is_some();
        match (state, expires, wrong) {
            (Some(state), Some(expires), false) => {
                let number = form.licence.value.clone();
                papers.push(Paper::Licence(StateLicence {
                    state,
                    number,
                    expires,
                    withdrawn: None,
                }));
            }
            _ => good = false,
        }
    }
    let (emails, phone, address) = contact.filter(|_| good)?;
    let profile = Profile {
        born: if form.prescribes { form.born.value.clone() } else { String::new() },
        emails: emails.iter().map(|email: &EmailAddress| email.as_str().to_owned()).collect(),
        phone: phone.map(|phone: PhoneNumber| phone.as_str().to_owned()).unwrap_or_default(),
        address,
        ..Profile::default()
    };
    Some(PersonalData { profile, papers })
}

pub(super) async fn data(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, it) = known(&ctx).await?;
    let mut form = data_form(&it);
    let Some(data) = read_data(&ctx, &fields, &it, &mut form) else {
        let template = enrol_page(&ctx, &it, EnrolBody::Data(Box::new(form)));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    onward(&ctx, ctx.app().save_personal_data(&session, person, data, ctx.at).await)
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
    let (session, person, it) = known(&ctx).await?;
    match recovery::send(&ctx, &session, person, &fields).await? {
        None => Ok(see_other(PATH)),
        Some(refused) => Ok(case_again(&ctx, &it, refused)),
    }
}

pub(super) async fn confirm(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, it) = known(&ctx).await?;
    match recovery::take(&ctx, &session, person, &fields).await? {
        None => Ok(see_other("/enrol?done=code")),
        Some(refused) => Ok(case_again(&ctx, &it, refused)),
    }
}

pub(super) async fn provider(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, it) = known(&ctx).await?;
    match recovery::go_to_provider(&ctx, &session, person, &fields).await? {
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
    let (session, person, it) = known(&ctx).await?;
    let mut add = tokens::plain_add(&ctx, &it.models, "/enrol/tokens");
    let Some(form) = tokens::read_add(&fields, &ctx.app().options().manufacturers, &mut add) else {
        let body = EnrolBody::Token(Box::new(add));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &enrol_page(&ctx, &it, body)));
    };
    match ctx.app().add_first_token(&session, person, form, ctx.at).await {
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
    let (session, person, it) = known(&ctx).await?;
    let mut form = PassphraseForm {
        until: it.window(ctx.now()).map(show::when),
        tokens: 2,
        ..PassphraseForm::default()
    };
    let new = new_passphrase(&fields.secret("new"), &it.person);
    form.new.error = new.as_ref().err().map(ToString::to_string);
    if new.is_ok() && fields.text("new") != fields.text("again") {
        form.again.error = Some("The two are not the same. Type both again.".to_owned());
    }
    let (Ok(new), None) = (new, &form.again.error) else {
        let template = enrol_page(&ctx, &it, EnrolBody::Passphrase(form));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    match ctx.app().choose_passphrase(&session, person, new, ctx.at).await {
        Ok(Stepped::Done(())) => Ok(without_session(see_other("/portal/login?ended=enrolled"))),
        Ok(Stepped::NotNow | Stepped::NoWindow) => Ok(see_other(PATH)),
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
        let body = if it.facts.granted { EnrolBody::Done } else { EnrolBody::Access };
        let mut template = enrol_page(&ctx, &it, body);
        template.page.nav = NavTab::Overview;
        return Ok(page(StatusCode::OK, &template));
    }
    Ok(see_other(super::way_in(ctx.session.as_ref().map(|session| session.stage))))
}
