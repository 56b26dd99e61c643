//! From the link of an invitation to somebody who may sign, one step at a time.

use axum::{extract::Path, response::Response};
use countersign_app::{
    By, CaseView, Change, Enrolment, Followed, Link, PersonalData, Stepped, new_passphrase,
};
use countersign_domain::{
    Date, DeaNumber, DeaRegistration, EmailAddress, KeyboardLine, LastDayError, PersonId,
    PhoneNumber, Schedules, StateLicence, UsState, access::Cause, enrolment::Stage as Step,
    proofing::Missing,
};
use countersign_protocol::oidc::escaped;
use countersign_store::{Paper, Profile, Session, Stage};
use http::StatusCode;

use super::{
    Ctx, Fields, Query, certification, read,
    recovery::{self, CaseForm},
    show, tokens, typed, with_session, without_session,
};
use crate::{
    limits::Door,
    respond::{Out, Stop, page, see_other},
    views::{
        AccessLine, AddToken, DataForm, EnrolBody, EnrolPage, InvitationPage, NavTab, Notice,
        NoticeKind, PassphraseForm, StepLine, TermsForm, TextField,
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
    let found = ctx.app().invitation(link, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let mut template = InvitationPage {
        page: ctx.frame("Invitation"),
        here: format!("/invitation/{}", escaped(link)),
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
            // A link that is open is looked at before the limit: strangers keep nobody from it, and 256 random
            // bits are not guessed.
            ctx.count(Door::Invitation, "invitation_limit").await?;
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
    ctx.count(Door::Invitation, "invitation_limit").await?;
    ctx.app().ask_again(&link, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    Ok(see_other(&format!("/invitation/{}?done=sent", escaped(&link))))
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
    if active.clone().any(|token| token.activated.is_some()) {
        return None;
    }
    active.next().map(|token| format!("/portal/tokens/{}/activate", token.id))
}

/// Why somebody may not sign, in a sentence; for those whose permission is suspended.
pub(super) fn suspension(it: &Enrolment) -> Option<String> {
    let (cause, since) = it.suspended?;
    let day = Date::at(since, &it.practice.zone);
    let why = match cause {
        Cause::FactorLost => {
            format!("a token or the passphrase was reported lost, stolen or compromised on {day}")
        }
        Cause::Expired => format!("a registration or license expired; it was noted on {day}"),
        Cause::Withdrawn => {
            format!("a registration or license was withdrawn; it was noted on {day}")
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
            "{by} has entered it; another person who sets access control must approve it now."
        ),
        None => "Two people of your practice must approve it: one enters it, another approves it. Nobody has entered it yet."
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
            Some(Notice::new(NoticeKind::Success, "The code was right."))
        }
        "added" if open && it.facts.tokens > 0 => {
            Some(Notice::new(NoticeKind::Success, "The token is added."))
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
            Notice::new(NoticeKind::Success, "Your identity is confirmed.")
        }
        Some(case) if case.missing.iter().any(near) => Notice::new(
            NoticeKind::Info,
            "The provider has answered. Your identity is not confirmed yet: your name or address is written differently there, and a person of your practice compares the two.",
        ),
        _ => Notice::new(
            NoticeKind::Info,
            "The provider has answered. Your identity is not confirmed yet: see below what is missing.",
        ),
    }
}

/// What follows a step: the next one, or the page of the one that is due.
fn onward<T>(ctx: &Ctx, done: Result<Stepped<T>, countersign_app::Error>) -> Out {
    match done {
        Ok(_) => Ok(see_other(PATH)),
        Err(error) => Err(ctx.stop(&error)),
    }
}

/// Names the report of the build that runs in the terms.
async fn name_report(
    ctx: &Ctx,
    session: &Session,
    person: PersonId,
    form: &mut TermsForm,
) -> Result<(), Stop> {
    let it = ctx.app().certification(session.practice, person, ctx.at).await;
    if let Some(report) = it.map_err(|error| ctx.stop(&error))?.report {
        let mut line = certification::line(&report, PATH);
        "/enrol/certification".clone_into(&mut line.href);
        form.certification = Some(line);
        form.certification_id = report.id.to_string();
    }
    Ok(())
}

pub(super) async fn terms(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, it) = known(&ctx).await?;
    let field = |name: &str| {
        let value = fields.text(name).chars().take(10).collect::<String>();
        let missing = value != "yes";
        let error = missing.then(|| "Read it, and tick it if you agree.".to_owned());
        TextField { value, error }
    };
    let mut form = TermsForm {
        keep: field("keep"),
        report: field("report"),
        audit: field("audit"),
        ..TermsForm::default()
    };
    name_report(&ctx, &session, person, &mut form).await?;
    if form.audit.error.is_none() && form.certification_id != fields.text("certification") {
        form.audit = TextField {
            value: String::new(),
            error: Some(
                "The report has changed. Read this one, and tick it if you agree.".to_owned(),
            ),
        };
    }
    if [&form.keep, &form.report, &form.audit].iter().any(|field| field.error.is_some()) {
        let template = enrol_page(&ctx, &it, EnrolBody::Terms(Box::new(form)));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let report = form.certification_id.parse().ok();
    onward(&ctx, ctx.app().accept_terms(&session, person, report, ctx.at).await)
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
        read::<KeyboardLine<40>>(&mut form.licence);
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
