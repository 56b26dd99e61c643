//! The console of a practice beside access control: invitations, cases of proofing, roles, rules, tokens.

use axum::extract::Path;
use countersign_app::{Asked, CaseView, Decision, Fleet, Invite, Invitee, Rules, Seen, Wanted};
use countersign_domain::{
    Date, DeaNumber, DisableReason, InvitationId, KeyboardLine, Label, LastDayError, Name, Npi,
    PersonId, Refusal, Role, Schedules, SignInName, TimeZone, Token, TokenId, UsState,
    access::{AccessRefusal, Setting},
    console::ConsoleChange,
    enrolment::{InvitationState, Stage as Step},
    one_script,
};
use countersign_store::{
    CasePurpose, CaseState, EvidenceRow, Fob, InvitationRow, Invited, Paper, Profile,
};
use http::StatusCode;

use super::{
    Ctx, Fields, Query, choice, optional,
    practice::{Asking, Known, enter, known, odd_name, person_page, person_wrong},
    read, reason,
    recovery::{missing_line, read_contact},
    show, tokens, typed,
};
use crate::{
    respond::{Out, Stop, page, see_other},
    views::{
        ANY_TOKEN, CaseLine, CasePage, CasesPage, Choice, ChoiceField, FleetLine, FleetPage,
        FobLine, InvitationLine, InvitePage, Notice, NoticeKind, RulesPage, SecretField, StepUp,
        TextField,
    },
};

fn invite_page(ctx: &Ctx, known: &Known) -> InvitePage {
    InvitePage {
        page: known.frame(ctx, "Invite somebody"),
        base: known.base(),
        role: choice(
            if known.desk.may(ConsoleChange::EnterRequest) {
                vec![
                    Choice::new(Role::Prescriber.code(), "Prescribes"),
                    Choice::new(
                        Role::Administrator.code(),
                        "Administers, prescribes nothing (another person approves)",
                    ),
                    Choice::new("both", "Prescribes and administers (another person approves)"),
                ]
            } else {
                vec![Choice::new(Role::Prescriber.code(), "Prescribes")]
            },
            "",
        ),
        ..InvitePage::default()
    }
}

fn may_invite(ctx: &Ctx, known: &Known) -> Result<(), Stop> {
    if known.desk.may_invite() { Ok(()) } else { Err(ctx.not_found()) }
}

pub(super) async fn invite_form(ctx: Ctx, Path(practice): Path<String>) -> Out {
    let known = known(&ctx, &practice).await?;
    may_invite(&ctx, &known)?;
    Ok(page(StatusCode::OK, &invite_page(&ctx, &known)))
}

/// Reads the parts of a name into their one form: each by itself, and all in one script.
fn read_name(it: &mut InvitePage) {
    for (field, text) in
        [(&mut it.given, "Type the given name."), (&mut it.family, "Type the family name.")]
    {
        if field.value.is_empty() {
            field.error = Some(text.to_owned());
        }
    }
    for field in [&mut it.given, &mut it.middle, &mut it.family, &mut it.suffix] {
        if let Some(name) = optional::<Name<60>>(field) {
            field.value = name.into();
        }
    }
    let all = [&it.given, &it.middle, &it.family, &it.suffix];
    if all.iter().all(|field| field.error.is_none()) {
        let whole: Vec<&str> = all.iter().map(|field| field.value.as_str()).collect();
        it.family.error = one_script(&whole.join(" ")).err().map(|error| error.to_string());
    }
}

fn read_invite(fields: &Fields, it: &mut InvitePage, today: Date) -> Option<Invitee> {
    fields.text("role").clone_into(&mut it.role.value);
    for (field, name, most) in [
        (&mut it.given, "given", 60),
        (&mut it.middle, "middle", 60),
        (&mut it.family, "family", 60),
        (&mut it.suffix, "suffix", 20),
        (&mut it.email, "email", 254),
        (&mut it.email2, "email2", 254),
        (&mut it.phone, "phone", 40),
        (&mut it.address, "address", 200),
        (&mut it.npi, "npi", 20),
        (&mut it.dea, "dea", 40),
        (&mut it.dea_state, "dea_state", 10),
        (&mut it.schedules, "schedules", 40),
        (&mut it.dea_expires, "dea_expires", 20),
        (&mut it.licence_state, "licence_state", 10),
        (&mut it.licence, "licence", 40),
        (&mut it.licence_expires, "licence_expires", 20),
    ] {
        *field = typed(fields, name, most);
    }
    let roles: Vec<String> = match it.role.value.as_str() {
        "both" if it.role.options.iter().any(|known| known.value == "both") => {
            vec![Role::Prescriber.code().to_owned(), Role::Administrator.code().to_owned()]
        }
        code if it.role.options.iter().any(|known| known.value == code) => vec![code.to_owned()],
        _ => {
            it.role.error = Some("Choose one from the list.".to_owned());
            Vec::new()
        }
    };
    let prescribes = roles.iter().any(|code| code == Role::Prescriber.code());
    read_name(it);
    // The second way may be the person's own to add: only what is typed must be right here.
    let mut contact = (it.email.clone(), it.email2.clone(), it.phone.clone(), it.address.clone());
    if contact.2.value.is_empty() && contact.3.value.is_empty() {
        "402 555 0100".clone_into(&mut contact.2.value);
    }
    let read_in = read_contact(&mut contact.0, &mut contact.1, &mut contact.2, &mut contact.3);
    it.email.error = contact.0.error;
    it.email2.error = contact.1.error;
    if !it.phone.value.is_empty() {
        it.phone.error = contact.2.error;
    }
    it.address.error = contact.3.error;
    let npi = if prescribes { read::<Npi>(&mut it.npi) } else { optional::<Npi>(&mut it.npi) };
    let mut registrations = Vec::new();
    let dea = [&it.dea, &it.dea_state, &it.schedules, &it.dea_expires];
    if dea.iter().any(|field| !field.value.is_empty()) {
        let parts = (
            read::<DeaNumber>(&mut it.dea),
            read::<UsState>(&mut it.dea_state),
            read::<Schedules>(&mut it.schedules),
            read::<Date>(&mut it.dea_expires),
        );
        if let Some(last) = parts.3 {
            it.dea_expires.error =
                LastDayError::of_registration(last, today).err().map(|error| error.to_string());
        }
        if let (Some(number), Some(state), Some(schedules), Some(expires)) = parts {
            registrations.push([
                number.as_text(),
                state.as_text(),
                schedules.to_string(),
                expires.to_string(),
            ]);
        }
    }
    let mut licences = Vec::new();
    let licence = [&it.licence, &it.licence_state, &it.licence_expires];
    if licence.iter().any(|field| !field.value.is_empty()) {
        if it.licence.value.is_empty() {
            it.licence.error = Some("Type the number of the licence.".to_owned());
        }
        read::<KeyboardLine<40>>(&mut it.licence);
        let state = read::<UsState>(&mut it.licence_state);
        let expires = read::<Date>(&mut it.licence_expires);
        if let Some(last) = expires {
            it.licence_expires.error =
                LastDayError::of_licence(last, today).err().map(|error| error.to_string());
        }
        if let (Some(state), Some(expires)) = (state, expires) {
            licences.push([state.as_text(), it.licence.value.clone(), expires.to_string()]);
        }
    }
    let (emails, phone, address) = read_in.filter(|_| it.problems_are_none())?;
    let first = emails.first()?.clone();
    let sign_in = match npi.filter(|_| prescribes) {
        Some(npi) => SignInName::Npi(npi),
        None => SignInName::Email(first),
    };
    let phone = phone.filter(|_| !it.phone.value.is_empty());
    let profile = Profile {
        given: it.given.value.clone(),
        middle: it.middle.value.clone(),
        family: it.family.value.clone(),
        suffix: it.suffix.value.clone(),
        address,
        phone: phone.map(|phone| phone.as_str().to_owned()).unwrap_or_default(),
        emails: emails.iter().map(|email| email.as_str().to_owned()).collect(),
        ..Profile::default()
    };
    let invited = Invited { profile, roles, registrations, licences, ..Invited::default() };
    Some(Invitee { sign_in, invited })
}

pub(super) async fn invite(ctx: Ctx, Path(practice): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx, &practice).await?;
    may_invite(&ctx, &known)?;
    let mut template = invite_page(&ctx, &known);
    let today = Date::at(ctx.now(), &known.desk.practice.zone);
    let Some(invitee) = read_invite(&fields, &mut template, today) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let by_npi = invitee.sign_in.npi().is_some();
    let profile = &invitee.invited.profile;
    let whom = format!("{} {}", profile.given, profile.family);
    let sign_in = invitee.sign_in.as_text();
    let (change, back) = (ConsoleChange::Invite, format!("{}/invite", known.base()));
    let action = back.clone();
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", whom),
        ("Sign-in ID", sign_in),
        ("Role", template.role.chosen().to_owned()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let sent = ctx.app().invite(act, invitee, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let text = match sent {
        Ok(Invite::Sent(_)) => {
            return Ok(see_other(&format!("{}?done=invited", known.base())));
        }
        Ok(Invite::AlreadyHere) => "This person is in your practice already.".to_owned(),
        Ok(Invite::Elsewhere) => {
            "This person can't be invited now: their account is closed, or another practice enrols them. Ask the operator.".to_owned()
        }
        Ok(Invite::Refused(refusal)) => {
            template.role.error = Some(refusal.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
        Err(refusal) => return Ok(asking.again(&refusal)),
    };
    let field = if by_npi { &mut template.npi } else { &mut template.email };
    field.error = Some(text);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

/// Whom such an invitation is for, before a passcode is asked for.
async fn open_invitation(ctx: &Ctx, known: &Known, id: InvitationId) -> Result<PersonId, Stop> {
    let rules = ctx.app().rules(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let open = |it: &InvitationRow| it.id == id && it.invitation.state != InvitationState::Revoked;
    rules.invitations.iter().find(|it| open(it)).map(|it| it.person).ok_or_else(|| ctx.not_found())
}

pub(super) async fn resend(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let person = open_invitation(&ctx, &known, id).await?;
    let (change, back) = (ConsoleChange::ResendInvitation, known.base());
    let action = format!("{back}/invitations/{id}/resend");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Person", known.name(person))]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let done = ctx.app().resend_invitation(act, id, ctx.at).await;
    Ok(match done.map_err(|error| ctx.stop(&error))? {
        Ok(()) => see_other(&format!("{}?done=resent", known.base())),
        Err(refusal) => asking.again(&refusal),
    })
}

pub(super) async fn revoke(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let person = open_invitation(&ctx, &known, id).await?;
    let (change, back) = (ConsoleChange::RevokeInvitation, known.base());
    let action = format!("{back}/invitations/{id}/revoke");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Person", known.name(person))]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let done = ctx.app().revoke_invitation(act, id, ctx.at).await;
    Ok(match done.map_err(|error| ctx.stop(&error))? {
        Ok(()) => see_other(&format!("{}?done=taken-back", known.base())),
        Err(refusal) => asking.again(&refusal),
    })
}

/// What an enrolment waits for, in words.
pub(super) const fn waits(step: Step) -> &'static str {
    match step {
        Step::Terms => "Waits for the person: terms.",
        Step::PersonalData => "Waits for the person: data.",
        Step::Proofing => "Waits for identity proofing.",
        Step::Tokens => "Waits for the person: a token.",
        Step::Passphrase => "Waits for the person: a passphrase.",
        Step::Access => "Waits for two people to grant the permission.",
        Step::Done => "",
    }
}

/// The people who are on their way, with what each waits for.
pub(super) fn invitation_lines(
    ctx: &Ctx,
    known: &Known,
    rows: &[InvitationRow],
    fleet: &[Fleet],
) -> Vec<InvitationLine> {
    let mut seen = Vec::new();
    let mut lines = Vec::new();
    for row in rows {
        if row.invitation.state == InvitationState::Revoked || seen.contains(&row.person) {
            continue;
        }
        seen.push(row.person);
        let of = fleet.iter().find(|it| it.person == row.person);
        let has_passphrase =
            known.board.people.iter().any(|it| it.id == row.person && it.has_passphrase);
        let accepted = row.invitation.state == InvitationState::Accepted;
        let step = of.map_or(Step::Done, |it| it.step);
        if accepted && (step == Step::Done || has_passphrase && step != Step::Access) {
            continue;
        }
        let state = match (accepted, ctx.now() >= row.invitation.expires) {
            (true, _) => "Begun",
            (false, true) => "Run out",
            (false, false) => "Sent",
        };
        lines.push(InvitationLine {
            id: row.id.to_string(),
            name: known.name(row.person),
            state,
            waits: if accepted { waits(step).to_owned() } else { String::new() },
            when: show::when(row.created),
        });
    }
    lines
}

fn purpose(purpose: CasePurpose) -> &'static str {
    match purpose {
        CasePurpose::Enrolment => "First credential",
        CasePurpose::Recovery => "New token, none is left",
        CasePurpose::Passphrase => "New passphrase",
    }
}

fn case_line(known: &Known, view: &CaseView) -> CaseLine {
    let state = match view.row.state {
        CaseState::Open => "Open",
        CaseState::Complete => "Complete",
        CaseState::Closed => "Closed",
    };
    let missing: Vec<String> = view.missing.iter().map(|it| missing_line(view, it).what).collect();
    CaseLine {
        href: format!("{}/cases/{}", known.base(), view.row.id),
        name: view.name.clone(),
        purpose: purpose(view.row.purpose),
        state,
        missing: missing.join(" "),
        when: show::when(view.row.opened),
    }
}

pub(super) async fn cases(ctx: Ctx, Path(practice): Path<String>) -> Out {
    let known = known(&ctx, &practice).await?;
    let cases = ctx.app().cases(&known.desk, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let template = CasesPage {
        page: known.frame(&ctx, "Identity proofing"),
        base: known.base(),
        cases: cases.iter().map(|view| case_line(&known, view)).collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

async fn case_page(ctx: &Ctx, known: &Known, id: &str) -> Result<(CasePage, CaseView), Stop> {
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let view = ctx.app().case(&known.desk, id, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let open = view.row.state == CaseState::Open && view.row.person != known.desk.person;
    let has = |role| open && known.desk.roles.contains(&role);
    let mut facts = Vec::new();
    let mut compared = Vec::new();
    let found = known.board.people.iter().find(|person| person.id == view.row.person);
    let sign_in_npi = found.and_then(|person| person.sign_in.npi());
    match &view.row.evidence {
        Some(EvidenceRow::Provider { issuer, assurance, proofed, npi, .. }) => {
            facts.push(("Proofed by", format!("{issuer} ({assurance})")));
            if view.row.near.is_none() && !view.differences.is_empty() && has(Role::Proofing) {
                let profile = ctx.app().contact(view.row.person, ctx.at).await;
                let ours = profile.map_err(|error| ctx.stop(&error))?.profile;
                let rows = [
                    ("Given name", &ours.given, &proofed.given),
                    ("Middle name", &ours.middle, &proofed.middle),
                    ("Family name", &ours.family, &proofed.family),
                    ("Date of birth", &ours.born, &proofed.born),
                    ("Address", &ours.address, &proofed.address),
                ];
                compared = rows.into_iter().map(|(w, a, b)| (w, a.clone(), b.clone())).collect();
                if !npi.is_empty() {
                    let invited = sign_in_npi.map(|it| it.as_text()).unwrap_or_default();
                    compared.push(("NPI", invited, npi.clone()));
                }
            }
        }
        Some(EvidenceRow::InPerson { by, unit, id_kind, id_last_four, id_expires, .. }) => {
            let name = by.parse().map(|id: PersonId| known.name(id)).unwrap_or_default();
            facts.push(("Seen by", format!("{name} ({unit})")));
            facts.push(("Photo ID", format!("{id_kind}, •••• {id_last_four}, until {id_expires}")));
        }
        None => {}
    }
    if let Some((by, at)) = view.row.near {
        let when = at.minute_text();
        facts.push(("Near match", format!("accepted by {}, {when}", known.name(by))));
    }
    if let Some(at) = view.row.address_confirmed {
        facts.push(("Address", format!("confirmed by a code, {}", at.minute_text())));
    }
    if let Some((by, unit)) = &view.row.issue {
        facts.push(("Authorized by", format!("{} ({unit})", known.name(*by))));
    }
    // Whoever decides compares the numbers with what they have at hand.
    if has(Role::Proofing) || has(Role::Issuing) {
        let contact = ctx.app().contact(view.row.person, ctx.at).await;
        let profile = contact.map_err(|error| ctx.stop(&error))?.profile;
        for (what, text) in [("Date of birth", profile.born), ("Address", profile.address)] {
            if !text.is_empty() {
                facts.push((what, text));
            }
        }
        if let Some(npi) = sign_in_npi {
            facts.push(("NPI", npi.as_text()));
        }
        let papers = known.board.authorities.iter();
        for it in papers.filter(|it| it.person == Some(view.row.person)) {
            facts.push(match &it.paper {
                Paper::Dea(dea) => {
                    ("DEA number", format!("{}, {}", dea.number.as_text(), it.says()))
                }
                Paper::Licence(license) => {
                    ("License", format!("{}, {}", license.number, it.says()))
                }
            });
        }
    }
    let in_person = view.setting == Setting::Institution;
    let yes_no = |value: &str| TextField { value: value.to_owned(), error: None };
    let template = CasePage {
        page: known.frame(ctx, "Identity proofing"),
        base: known.base(),
        here: format!("{}/cases/{}", known.base(), view.row.id),
        line: case_line(known, &view),
        odd_name: odd_name(&view.name),
        facts,
        missing: view.missing.iter().map(|it| missing_line(&view, it)).collect(),
        can_near: !compared.is_empty(),
        compared,
        differences: view.differences.iter().map(|it| it.label()).collect(),
        can_proof: in_person && has(Role::Proofing),
        can_issue: in_person && has(Role::Issuing) && view.row.issue.is_none(),
        id_kind: ChoiceField {
            value: String::new(),
            options: [
                "Passport",
                "Driving licence",
                "State ID",
                "Military ID",
                "Other government ID",
            ]
            .into_iter()
            .map(|kind| Choice::new(kind, kind))
            .collect(),
            error: None,
        },
        id_last_four: TextField::default(),
        id_expires: TextField::default(),
        licence: yes_no(""),
        registration: yes_no(""),
        privileges: yes_no(""),
        va: choice(
            vec![
                Choice::new("no", "Not this institution"),
                Choice::new("yes", "Appointment or eligibility confirmed"),
                Choice::new("open", "Not confirmed yet"),
            ],
            "",
        ),
        step_up: Some(StepUp {
            token: show::choices(&known.overview.tokens, ANY_TOKEN, ctx.now()),
            passcode: SecretField::default(),
        }),
        lock: None,
    };
    Ok((template, view))
}

/// Lays out the page of a case. That NPI and DEA numbers were shown in full goes on record.
async fn case_out(
    ctx: &Ctx,
    known: &Known,
    view: &CaseView,
    template: &CasePage,
    status: StatusCode,
) -> Out {
    if template.facts.iter().any(|(what, _)| matches!(*what, "NPI" | "DEA number")) {
        let what = format!("case {}", view.row.id);
        let noted = ctx.app().note_shown(&known.desk, Some(view.row.person), what, ctx.at).await;
        noted.map_err(|error| ctx.stop(&error))?;
    }
    Ok(page(status, template))
}

pub(super) async fn case(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    query: Query,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, view) = case_page(&ctx, &known, &id).await?;
    if query.text("done") == "1" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Noted."));
    }
    case_out(&ctx, &known, &view, &template, StatusCode::OK).await
}

fn read_seen(fields: &Fields, it: &mut CasePage) -> Option<Seen> {
    fields.text("id_kind").clone_into(&mut it.id_kind.value);
    if !it.id_kind.options.iter().any(|known| known.value == it.id_kind.value) {
        it.id_kind.error = Some("Choose the kind of photo ID.".to_owned());
    }
    it.id_last_four = typed(fields, "id_last_four", 10);
    let right = it.id_last_four.value.chars().count() == 4
        && it.id_last_four.value.chars().all(|c| c.is_ascii_alphanumeric());
    if !right {
        it.id_last_four.error = Some("Type the last four characters of the number.".to_owned());
    }
    it.id_expires = typed(fields, "id_expires", 20);
    let expires = read::<Date>(&mut it.id_expires);
    let ticked = |name: &str| fields.text(name) == "yes";
    for (field, name) in [
        (&mut it.licence, "licence"),
        (&mut it.registration, "registration"),
        (&mut it.privileges, "privileges"),
    ] {
        field.value = if ticked(name) { "yes".to_owned() } else { String::new() };
    }
    if !ticked("licence") {
        it.licence.error = Some("Without state authority nothing can be issued.".to_owned());
    }
    if !ticked("registration") && !ticked("privileges") {
        it.registration.error =
            Some("One of the two must be in force: registration or privileges.".to_owned());
    }
    fields.text("va").clone_into(&mut it.va.value);
    let va_confirmed = match it.va.value.as_str() {
        "yes" => Some(true),
        "open" => Some(false),
        _ => None,
    };
    let id_expires = expires.filter(|_| it.problems_are_none())?;
    Some(Seen {
        id_kind: it.id_kind.value.clone(),
        id_last_four: it.id_last_four.value.clone(),
        id_expires,
        licence: true,
        registration: ticked("registration"),
        privileges: ticked("privileges"),
        va_confirmed,
    })
}

pub(super) async fn decide(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, view) = case_page(&ctx, &known, &id).await?;
    let decision = match fields.text("decision") {
        "in_person" => read_seen(&fields, &mut template).map(Decision::InPerson),
        "near" => Some(Decision::Near),
        "not_near" => Some(Decision::NotNear),
        "issue" => Some(Decision::Issue),
        _ => return Err(ctx.not_found()),
    };
    let confirm = tokens::confirm(&fields, template.step_up.as_mut());
    let (Some(decision), Ok(Some(confirm))) = (decision, confirm) else {
        return case_out(&ctx, &known, &view, &template, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    let done = ctx
        .app()
        .decide_case(&known.session, &known.desk, view.row.id, decision, confirm, ctx.at)
        .await;
    match done.map_err(|error| ctx.stop(&error))? {
        Asked::Done(Ok(())) => return Ok(see_other(&format!("{}?done=1", template.here))),
        Asked::Done(Err(refusal)) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
        }
        Asked::Refused(refusal) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
        }
        Asked::NotConfirmed(refusal) => {
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(&ctx, &mut asked, &refusal, &known.overview);
            template.step_up = asked;
        }
    }
    case_out(&ctx, &known, &view, &template, StatusCode::UNPROCESSABLE_ENTITY).await
}

async fn rules_page(ctx: &Ctx, known: &Known) -> Result<(RulesPage, Rules), Stop> {
    let rules = ctx.app().rules(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let models = rules
        .models
        .iter()
        .map(|model| {
            let refused = rules.refused.iter().find(|(code, ..)| *code == model.code);
            let (state, note) = match (model.allowed, refused) {
                (false, _) => ("Forbidden by the operator", model.note.clone()),
                (true, Some((_, reason, at, by))) => {
                    let note = format!("{reason}. {}, {}", known.name(*by), at.minute_text());
                    ("Not wanted here", note)
                }
                (true, None) => ("Allowed", model.note.clone()),
            };
            (format!("{} {}", model.maker, model.name), state, note)
        })
        .collect();
    let allowed = rules.models.iter().filter(|model| model.allowed);
    let template = RulesPage {
        page: known.frame(ctx, "Rules"),
        base: known.base(),
        name: known.desk.practice.name.clone(),
        rule: match known.desk.practice.setting {
            Setting::Practitioners => {
                "Individual practitioners: an outside provider says who somebody is (21 CFR 1311.105)"
            }
            Setting::Institution => {
                "Institution: in person, and another unit authorizes tokens (21 CFR 1311.110)"
            }
        },
        can_set: known.desk.may(ConsoleChange::RefuseModel),
        can_enter: known.desk.may(ConsoleChange::SetTimeZone),
        listed: rules.providers.clone(),
        provider: choice(
            rules
                .offered
                .iter()
                .map(|(name, issuer)| Choice::new(issuer.clone(), format!("{name}, {issuer}")))
                .collect(),
            "",
        ),
        give: choice(vec![Choice::new("yes", "Accept it"), Choice::new("no", "No longer")], ""),
        accepted: TextField::default(),
        provider_reason: TextField::default(),
        models,
        model: choice(
            allowed
                .map(|model| {
                    Choice::new(model.code.to_string(), format!("{} {}", model.maker, model.name))
                })
                .collect(),
            "",
        ),
        refuse: choice(
            vec![
                Choice::new("yes", "Its tokens don't sign here"),
                Choice::new("no", "Its tokens sign here again"),
            ],
            "",
        ),
        model_reason: TextField::default(),
        zone: TextField { value: known.desk.practice.zone.name().to_owned(), error: None },
        zone_reason: TextField::default(),
    };
    Ok((template, rules))
}

pub(super) async fn rules(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, _) = rules_page(&ctx, &known).await?;
    if query.text("done") == "saved" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Saved."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn zone(ctx: Ctx, Path(practice): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, _) = rules_page(&ctx, &known).await?;
    template.zone = typed(&fields, "zone", 60);
    template.zone_reason = reason(&fields, "zone_reason");
    let zone = read::<TimeZone>(&mut template.zone);
    let (Some(zone), None) = (zone, &template.zone_reason.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let why = template.zone_reason.value.clone();
    let (change, back) = (ConsoleChange::SetTimeZone, format!("{}/rules", known.base()));
    let action = format!("{back}/zone");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Time zone", template.zone.value.clone()), ("Reason", why.clone())]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let saved = ctx.app().set_time_zone(act, zone, why, ctx.at).await;
    Ok(match saved.map_err(|error| ctx.stop(&error))? {
        Ok(()) => see_other(&format!("{}/rules?done=saved", known.base())),
        Err(refusal) => asking.again(&refusal),
    })
}

pub(super) async fn model(ctx: Ctx, Path(practice): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, rules) = rules_page(&ctx, &known).await?;
    fields.text("model").clone_into(&mut template.model.value);
    fields.text("refuse").clone_into(&mut template.refuse.value);
    template.model_reason = reason(&fields, "model_reason");
    let code = rules.models.iter().find(|model| model.code.to_string() == template.model.value);
    if code.is_none() {
        template.model.error = Some("Choose the model.".to_owned());
    }
    let (Some(code), None) = (code, &template.model_reason.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let (refuse, why) = (template.refuse.value == "yes", template.model_reason.value.clone());
    let code = code.code.clone();
    // Before a passcode is asked for: what is so already costs none.
    let is_so = rules.refused.iter().any(|(refused, ..)| *refused == code) == refuse;
    if !is_so {
        let (change, back) = (ConsoleChange::RefuseModel, format!("{}/rules", known.base()));
        let action = format!("{back}/model");
        let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
            ("Model", template.model.chosen().to_owned()),
            ("Change", template.refuse.chosen().to_owned()),
            ("Reason", why.clone()),
        ]);
        let act = match asking.act() {
            Ok(act) => act,
            Err(asked) => return Ok(asked),
        };
        let done = ctx.app().refuse_model(act, code, refuse, why, ctx.at).await;
        match done.map_err(|error| ctx.stop(&error))? {
            Ok(true) => return Ok(see_other(&format!("{}/rules?done=saved", known.base()))),
            Ok(false) => {}
            Err(refusal) => return Ok(asking.again(&refusal)),
        }
    }
    template.model.error = Some("It is so already.".to_owned());
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(super) async fn provider(ctx: Ctx, Path(practice): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, rules) = rules_page(&ctx, &known).await?;
    fields.text("provider").clone_into(&mut template.provider.value);
    fields.text("give").clone_into(&mut template.give.value);
    template.accepted = typed(&fields, "accepted", 200);
    template.provider_reason = reason(&fields, "provider_reason");
    let give = template.give.value == "yes";
    if !rules.offered.iter().any(|(_, issuer)| *issuer == template.provider.value) {
        template.provider.error = Some("Choose the provider.".to_owned());
    }
    if give && template.accepted.value.is_empty() {
        template.accepted.error =
            Some("Type the values that this provider uses for IAL2 or more.".to_owned());
    }
    let wrong = template.provider.error.is_some()
        || template.accepted.error.is_some()
        || template.provider_reason.error.is_some();
    if wrong {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let accepted: Vec<&str> = template.accepted.value.split_whitespace().collect();
    let wanted = Wanted::Provider {
        issuer: template.provider.value.clone(),
        accepted: if give { accepted.join(" ") } else { String::new() },
        give,
    };
    let why = template.provider_reason.value.clone();
    let (change, back) = (ConsoleChange::EnterRequest, format!("{}/rules", known.base()));
    let action = format!("{back}/provider");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Provider", template.provider.chosen().to_owned()),
        ("Change", template.give.chosen().to_owned()),
        ("Counts as IAL2 or more", template.accepted.value.clone()),
        ("Reason", why.clone()),
    ]);
    match enter(&asking, wanted, why).await? {
        Ok(None) => Ok(see_other(&format!("{}?done=entered", known.base()))),
        Ok(Some(refusal)) => {
            template.provider.error = Some(refusal.to_string());
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Err(asked) => Ok(asked),
    }
}

fn fleet_line(ctx: &Ctx, known: &Known, it: &Fleet) -> (FleetLine, [bool; 4]) {
    let active: Vec<&Token> = it.tokens.iter().filter(|token| token.is_active()).collect();
    let locked = |token: &&&Token| token.failures.blocked_until.is_some_and(|u| ctx.now() < u);
    let prescriber = known.board.roles.iter().any(|member| {
        member.person == it.person && member.role == Role::Prescriber && member.ended.is_none()
    });
    let marks = [
        active.is_empty(),
        active.len() == 1,
        it.blocked_until.is_some() || active.iter().any(|token| locked(&token)),
        prescriber && active.iter().any(|token| token.activated.is_none()),
    ];
    let words = ["no active token", "one token only", "locked now", "a token waits for activation"];
    let mut attention: Vec<&str> =
        words.iter().zip(marks).filter(|(_, on)| *on).map(|(word, _)| *word).collect();
    let step = waits(it.step);
    if !step.is_empty() {
        attention.push(step);
    }
    let used = it.tokens.iter().filter_map(|token| token.last_used).max();
    let line = FleetLine {
        href: format!("{}/people/{}", known.base(), it.person),
        name: known.name(it.person),
        active: active.len(),
        attention: attention.join(", "),
        last_used: used.map(show::when),
    };
    (line, marks)
}

/// Seconds of a month, for words of how much is left.
const MONTH: i64 = 30 * 86_400;

fn fob_line(ctx: &Ctx, known: &Known, it: &Fob) -> FobLine {
    let left = ctx.now().seconds_until(it.ends);
    let state = match (it.state.as_str(), it.owner, &it.sent) {
        _ if left <= 0 => "At its end of life".to_owned(),
        ("active", Some(owner), _) => format!("In use by {}", known.name(owner)),
        ("disabled", ..) => "Disabled for good".to_owned(),
        (_, _, Some((to, how, at))) => {
            format!("Sent to {}, {how}, {}", known.name(*to), at.minute_text())
        }
        _ => "In the drawer".to_owned(),
    };
    FobLine {
        serial: it.credential.masked(),
        model: it.model.to_string(),
        state,
        batch: it.batch.clone(),
        left: match left / MONTH {
            _ if left <= 0 => "None".to_owned(),
            0 => "Less than a month".to_owned(),
            1 => "A month".to_owned(),
            months => format!("{months} months"),
        },
        ends: show::when(it.ends),
    }
}

async fn fleet_page(ctx: &Ctx, known: &Known) -> Result<FleetPage, Stop> {
    let fleet = ctx.app().fleet(&known.desk, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let fobs = ctx.app().fobs(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let all: Vec<_> = fleet.iter().map(|it| fleet_line(ctx, known, it)).collect();
    let texts = [
        "without an active token",
        "with one token only",
        "locked now",
        "with a token to activate",
    ];
    let mut sums: Vec<(usize, &'static str)> = texts
        .into_iter()
        .enumerate()
        .map(|(at, text)| {
            let of = |marks: &[bool; 4]| marks.get(at).copied().unwrap_or(false);
            (all.iter().filter(|(_, marks)| of(marks)).count(), text)
        })
        .collect();
    let free = |it: &&Fob| it.owner.is_none() && it.state == "unassociated" && ctx.now() < it.ends;
    let soon = ctx.now().plus_seconds(3 * MONTH);
    sums.push((
        fobs.iter().filter(free).filter(|it| it.sent.is_none()).count(),
        "fobs in the drawer",
    ));
    sums.push((
        fobs.iter().filter(|it| it.state == "active" && it.ends < soon).count(),
        "fobs in use that end within three months",
    ));
    let mut lines: Vec<FleetLine> = all.into_iter().map(|(line, _)| line).collect();
    lines.sort_by_key(|line| line.attention.is_empty());
    Ok(FleetPage {
        page: known.frame(ctx, "Tokens of everybody"),
        base: known.base(),
        sums,
        lines,
        can_enter: known.desk.may(ConsoleChange::SendFob),
        fob: ChoiceField {
            options: fobs
                .iter()
                .filter(free)
                .map(|it| {
                    let text = format!("{}, {}", it.credential.masked(), it.model);
                    Choice::new(it.token.to_string(), text)
                })
                .collect(),
            ..ChoiceField::default()
        },
        person: ChoiceField {
            options: known
                .board
                .people
                .iter()
                .filter(|person| !person.closed)
                .map(|person| Choice::new(person.id.to_string(), person.name.clone()))
                .collect(),
            ..ChoiceField::default()
        },
        how: TextField::default(),
        fobs: fobs.iter().map(|it| fob_line(ctx, known, it)).collect(),
    })
}

pub(super) async fn fleet(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let mut template = fleet_page(&ctx, &known).await?;
    if query.text("done") == "sent" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Noted."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn send_fob(ctx: Ctx, Path(practice): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx, &practice).await?;
    let mut template = fleet_page(&ctx, &known).await?;
    fields.text("fob").clone_into(&mut template.fob.value);
    fields.text("person").clone_into(&mut template.person.value);
    template.how = typed(&fields, "how", 100);
    let fob = template.fob.value.parse::<TokenId>();
    let person = template.person.value.parse::<PersonId>();
    if fob.is_err() {
        template.fob.error = Some("Choose the fob.".to_owned());
    }
    if person.is_err() {
        template.person.error = Some("Choose the person.".to_owned());
    }
    if template.how.value.is_empty() {
        template.how.error = Some("Say how it went to them.".to_owned());
    }
    let (Ok(fob), Ok(person), None) = (fob, person, &template.how.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let how = template.how.value.clone();
    let (change, back) = (ConsoleChange::SendFob, format!("{}/fleet", known.base()));
    let action = format!("{back}/send");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Token", template.fob.chosen().to_owned()),
        ("Person", template.person.chosen().to_owned()),
        ("How", how.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let sent = ctx.app().send_fob(act, fob, person, how, ctx.at).await;
    match sent.map_err(|error| ctx.stop(&error))? {
        Ok(true) => return Ok(see_other(&format!("{}/fleet?done=sent", known.base()))),
        Ok(false) => {}
        Err(refusal) => return Ok(asking.again(&refusal)),
    }
    template.fob.error = Some("That fob is in use, or not in your stock.".to_owned());
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(super) async fn role(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("role").clone_into(&mut template.role.value);
    fields.text("give").clone_into(&mut template.give.value);
    template.unit = typed(&fields, "unit", 60);
    template.role_reason = reason(&fields, "role_reason");
    let role = Role::from_code(&template.role.value);
    if role.is_none() {
        template.role.error = Some("Choose the role.".to_owned());
    }
    let give = template.give.value == "yes";
    let needs_unit = matches!(role, Some(Role::Proofing | Role::Issuing)) && give;
    if needs_unit && template.unit.value.is_empty() {
        template.unit.error = Some("Say in which unit.".to_owned());
    }
    // In one form: who proofed and who issues are compared by it (21 CFR 1311.110(b)).
    if let Some(unit) = optional::<Label<60>>(&mut template.unit) {
        template.unit.value = unit.into();
    }
    let (Some(role), true) = (role, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let why = template.role_reason.value.clone();
    let back = template.here.clone();
    let action = format!("{back}/role");
    if role.takes_two() {
        let unit = if needs_unit { template.unit.value.clone() } else { String::new() };
        let wanted = Wanted::Role { person, role, unit, give };
        let change = ConsoleChange::EnterRequest;
        let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
            ("Person", template.name.clone()),
            ("Role", role.label().to_owned()),
            ("Change", template.give.chosen().to_owned()),
            ("Unit", if give { template.unit.value.clone() } else { String::new() }),
            ("Reason", why.clone()),
        ]);
        return match enter(&asking, wanted, why).await? {
            Ok(None) => Ok(see_other(&format!("{}?done=entered", known.base()))),
            Ok(Some(refusal)) => {
                template.role.error = Some(match refusal {
                    AccessRefusal::NoChange => "It is so already.".to_owned(),
                    other => other.to_string(),
                });
                person_wrong(&ctx, &known, template, person).await
            }
            Err(asked) => Ok(asked),
        };
    }
    let change = ConsoleChange::SetPrescriber;
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Role", role.label().to_owned()),
        ("Change", template.give.chosen().to_owned()),
        ("Reason", why.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let done = ctx.app().set_prescriber(act, person, give, why, ctx.at).await;
    match done.map_err(|error| ctx.stop(&error))? {
        Ok(Ok(())) => Ok(see_other(&format!("{}?done=saved", template.here))),
        Ok(Err(_)) => {
            template.role.error = Some("It is so already.".to_owned());
            person_wrong(&ctx, &known, template, person).await
        }
        Err(refusal) => Ok(asking.again(&refusal)),
    }
}

pub(super) async fn disable(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("token").clone_into(&mut template.token.value);
    fields.text("why").clone_into(&mut template.why.value);
    template.disable_reason = reason(&fields, "disable_reason");
    let token = template.token.value.parse::<TokenId>();
    let why = DisableReason::from_code(&template.why.value)
        .filter(|why| template.why.options.iter().any(|known| known.value == why.code()));
    if token.is_err() {
        template.token.error = Some("Choose the token.".to_owned());
    }
    if why.is_none() {
        template.why.error = Some("Choose the reason.".to_owned());
    }
    let (Ok(token), Some(why), true) = (token, why, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let words = template.disable_reason.value.clone();
    let change =
        if why.is_loss() { ConsoleChange::DisableLostToken } else { ConsoleChange::DisableToken };
    let back = template.here.clone();
    let action = format!("{back}/disable");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Token", template.token.chosen().to_owned()),
        ("Why", why.label().to_owned()),
        ("Reason", words.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let done = ctx.app().disable_for(act, person, token, why, words, ctx.at).await;
    match done.map_err(|error| ctx.stop(&error))? {
        Err(refusal) => Ok(asking.again(&refusal)),
        Ok(Ok(())) => {
            let done = if why.is_loss() { "lost" } else { "disabled" };
            Ok(see_other(&format!("{}?done={done}", template.here)))
        }
        Ok(Err(refusal)) => {
            template.token.error = Some(match refusal {
                Refusal::TokenNotActive => "That token is disabled already.".to_owned(),
                other => other.to_string(),
            });
            person_wrong(&ctx, &known, template, person).await
        }
    }
}

pub(super) async fn prove_again(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id: PersonId = id.parse().map_err(|_| ctx.not_found())?;
    if !known.board.people.iter().any(|person| person.id == id) {
        return Err(ctx.not_found());
    }
    let (change, back) = (ConsoleChange::ProveAgain, format!("{}/people/{id}", known.base()));
    let action = format!("{back}/prove-again");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Person", known.name(id))]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let sent = ctx.app().ask_to_prove_again(act, id, ctx.at).await;
    let done = match sent.map_err(|error| ctx.stop(&error))? {
        Ok(true) => "asked",
        Ok(false) => "not-asked",
        Err(refusal) => return Ok(asking.again(&refusal)),
    };
    Ok(see_other(&format!("{}/people/{id}?done={done}", known.base())))
}
