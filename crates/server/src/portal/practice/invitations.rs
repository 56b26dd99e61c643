//! Invitations: the form, sending again, taking back, and who is on the way.

use axum::extract::Path;
use countersign_app::{Fleet, InviteRefusal, Invitee};
use countersign_domain::{
    Date, DeaNumber, InvitationId, KeyboardLine, LastDayError, Name, Npi, PersonId, Role,
    Schedules, SignInName, UsState,
    command::commands,
    enrolment::{InvitationState, Stage as Step},
    one_script,
};
use countersign_store::{InvitationRow, Invited, Profile};
use http::StatusCode;

use super::context::{Asking, Known, known};
use crate::{
    portal::{Ctx, Fields, choice, optional, read, recovery::read_contact, show, typed},
    views::{Choice, InvitationLine, InvitePage},
    web::respond::{Out, Stop, page, see_other},
};

fn invite_page(ctx: &Ctx, known: &Known) -> InvitePage {
    InvitePage {
        page: known.frame(ctx, "Invite a user"),
        base: known.base(),
        role: choice(
            if known.membership.may(commands::ENTER_REQUEST) {
                vec![
                    Choice::new(Role::Prescriber.code(), "Prescriber"),
                    Choice::new(
                        Role::Administrator.code(),
                        "Administrator, not a prescriber (another person approves)",
                    ),
                    Choice::new("both", "Prescriber and administrator (another person approves)"),
                ]
            } else {
                vec![Choice::new(Role::Prescriber.code(), "Prescriber")]
            },
            "",
        ),
        ..InvitePage::default()
    }
}

fn may_invite(ctx: &Ctx, known: &Known) -> Result<(), Stop> {
    if known.membership.may_invite() { Ok(()) } else { Err(ctx.not_found()) }
}

pub(in crate::portal) async fn invite_form(ctx: Ctx, Path(practice): Path<String>) -> Out {
    let known = known(&ctx, &practice).await?;
    may_invite(&ctx, &known)?;
    Ok(page(StatusCode::OK, &invite_page(&ctx, &known)))
}

/// Reads the parts of a name into their one form: each by itself, and all in one script.
fn read_name(it: &mut InvitePage) {
    for (field, text) in
        [(&mut it.given, "Enter the first name."), (&mut it.family, "Enter the last name.")]
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
            it.licence.error = Some("Enter the license number.".to_owned());
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

pub(in crate::portal) async fn invite(
    ctx: Ctx,
    Path(practice): Path<String>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    may_invite(&ctx, &known)?;
    let mut template = invite_page(&ctx, &known);
    let today = Date::at(ctx.now(), &known.membership.practice.zone);
    let Some(invitee) = read_invite(&fields, &mut template, today) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let by_npi = invitee.sign_in.npi().is_some();
    let profile = &invitee.invited.profile;
    let whom = format!("{} {}", profile.given, profile.family);
    let sign_in = invitee.sign_in.as_text();
    let (change, back) = (commands::INVITE, format!("{}/invite", known.base()));
    let action = back.clone();
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", whom),
        ("Sign-in ID", sign_in),
        ("Role", template.role.chosen().to_owned()),
    ]);
    let act = asking.act()?;
    let sent = ctx.app().invite(act, invitee, ctx.at).await;
    let text = match asking.answer(sent)? {
        Ok(_) => return Ok(see_other(&format!("{}?done=invited", known.base()))),
        Err(InviteRefusal::AlreadyHere) => "This person is already in your practice.".to_owned(),
        Err(InviteRefusal::AccountClosed | InviteRefusal::EnrollsElsewhere) => {
            "This person can't be invited now: their account is closed, or another practice is enrolling them. Contact the system operator.".to_owned()
        }
        Err(InviteRefusal::Access(refusal)) => {
            template.role.error = Some(refusal.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    let field = if by_npi { &mut template.npi } else { &mut template.email };
    field.error = Some(text);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

/// Whom such an invitation is for, before a passcode is asked for.
async fn open_invitation(ctx: &Ctx, known: &Known, id: InvitationId) -> Result<PersonId, Stop> {
    let rules = ctx.app().rules(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let open = |it: &InvitationRow| it.id == id && it.invitation.state != InvitationState::Revoked;
    rules.invitations.iter().find(|it| open(it)).map(|it| it.person).ok_or_else(|| ctx.not_found())
}

pub(in crate::portal) async fn resend(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let person = open_invitation(&ctx, &known, id).await?;
    let (change, back) = (commands::RESEND_INVITATION, known.base());
    let action = format!("{back}/invitations/{id}/resend");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Person", known.name(person))]);
    let act = asking.act()?;
    let done = ctx.app().resend_invitation(act, id, ctx.at).await;
    asking.done(done)?;
    Ok(see_other(&format!("{}?done=resent", known.base())))
}

pub(in crate::portal) async fn revoke(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let person = open_invitation(&ctx, &known, id).await?;
    let (change, back) = (commands::REVOKE_INVITATION, known.base());
    let action = format!("{back}/invitations/{id}/revoke");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Person", known.name(person))]);
    let act = asking.act()?;
    let done = ctx.app().revoke_invitation(act, id, ctx.at).await;
    asking.done(done)?;
    Ok(see_other(&format!("{}?done=taken-back", known.base())))
}

/// What an enrolment waits for, in words.
pub(super) const fn waits(step: Step) -> &'static str {
    match step {
        Step::Terms => "Next: the user accepts the terms.",
        Step::PersonalData => "Next: the user enters their information.",
        Step::Proofing => "Next: identity proofing.",
        Step::Tokens => "Next: the user adds a token.",
        Step::Passphrase => "Next: the user chooses a passphrase.",
        Step::Access => "Next: two people grant permission to sign.",
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
        let has_passphrase = known
            .practice_overview
            .people
            .iter()
            .any(|it| it.id == row.person && it.has_passphrase);
        let accepted = row.invitation.state == InvitationState::Accepted;
        let step = of.map_or(Step::Done, |it| it.step);
        if accepted && (step == Step::Done || has_passphrase && step != Step::Access) {
            continue;
        }
        let state = match (accepted, ctx.now() >= row.invitation.expires) {
            (true, _) => "In progress",
            (false, true) => "Expired",
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
