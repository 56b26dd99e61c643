//! The page of one person of a practice.

use axum::extract::Path;
use countersign_domain::{
    Date, DisableReason, PersonId, Role, SignInName, access::Cause, command::commands,
    mixes_scripts,
};
use http::StatusCode;

use super::{
    context::{Known, known},
    invitations::waits,
    registrations::{can_be_ended, papers, registrations},
    roles::roles_of,
};
use crate::{
    portal::{Ctx, Query, show},
    views::{Choice, ChoiceField, Notice, NoticeKind, PersonPage, TextField},
    web::respond::{Out, Stop, page},
};

/// What is odd about a name, for those who check it; empty where nothing is.
pub(super) fn odd_name(name: &str) -> &'static str {
    if mixes_scripts(name) {
        "This name mixes letters from different alphabets. A letter may not be what it looks like."
    } else {
        ""
    }
}

/// Of a permission that was taken away by a report which nobody confirmed.
pub(super) const MISTAKEN: &str = "Suspended. Report not confirmed: two people must grant it again";

/// What somebody signs in with: an NPI in full, or masked.
pub(super) fn signs_in(known: &Known, person: PersonId, full: bool) -> String {
    let found = known.practice_overview.people.iter().find(|it| it.id == person);
    match found.map(|it| &it.sign_in) {
        Some(SignInName::Npi(npi)) if full => npi.as_text(),
        Some(name) => name.masked(),
        None => String::new(),
    }
}

/// Lays out the page of somebody. Whoever sets access control sees NPI and DEA numbers in full, since they check
/// them; that goes on record.
async fn person_out(
    ctx: &Ctx,
    known: &Known,
    mut template: PersonPage,
    person: PersonId,
    status: StatusCode,
) -> Out {
    let has_npi = known
        .practice_overview
        .people
        .iter()
        .any(|it| it.id == person && matches!(it.sign_in, SignInName::Npi(_)));
    let registrations = registrations(known, person, true);
    if template.can_set && (has_npi || !registrations.is_empty()) {
        let what = "page of the person".to_owned();
        let noted = ctx.app().note_shown(known.reads(), Some(person), what, ctx.at).await;
        noted.map_err(|error| ctx.stop(&error))?;
        template.sign_in = signs_in(known, person, true);
        template.papers = papers(known, ctx, person, true);
        template.grant.options.clone_from(&registrations);
        template.revoke.options = registrations;
        template.ended.options = can_be_ended(known, person, true);
    }
    Ok(page(status, &template))
}

/// The same for a form in which something is wrong.
pub(in crate::portal) async fn person_wrong(
    ctx: &Ctx,
    known: &Known,
    template: PersonPage,
    person: PersonId,
) -> Out {
    person_out(ctx, known, template, person, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// The page of somebody of this practice.
pub(in crate::portal) async fn person_page(
    ctx: &Ctx,
    known: &Known,
    id: &str,
) -> Result<(PersonPage, PersonId), Stop> {
    let id: PersonId = id.parse().map_err(|_| ctx.not_found())?;
    let person = known.practice_overview.people.iter().find(|person| person.id == id);
    let person = person.ok_or_else(|| ctx.not_found())?;
    let theirs = ctx.app().overview(id).await.map_err(|error| ctx.stop(&error))?;
    let fleet =
        ctx.app().fleet(&known.membership, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let of = fleet.iter().find(|it| it.person == id);
    let registrations = registrations(known, id, false);
    let ended = can_be_ended(known, id, false);
    let choice = |options: &[Choice]| ChoiceField {
        value: options.first().map(|only| only.value.clone()).unwrap_or_default(),
        options: options.to_vec(),
        error: None,
    };
    let may_role = |role: &&Role| {
        let two = known.membership.may(commands::ENTER_REQUEST);
        if role.takes_two() { two } else { known.membership.may(commands::SET_PRESCRIBER) }
    };
    let template = PersonPage {
        page: known.frame(ctx, &person.name),
        base: known.base(),
        here: format!("{}/people/{id}", known.base()),
        name: person.name.clone(),
        odd_name: odd_name(&person.name),
        sign_in: person.sign_in.masked(),
        roles: roles_of(&known.practice_overview, id),
        papers: papers(known, ctx, id, false),
        tokens: theirs.tokens.iter().filter(|token| token.is_active()).count(),
        can_set: known.membership.may(commands::ENTER_REQUEST),
        can_enter: known.membership.may(commands::ENTER_PAPER),
        grant: choice(&registrations),
        verified: TextField {
            value: Date::at(ctx.now(), &known.membership.practice.zone).to_string(),
            error: None,
        },
        grant_reason: TextField::default(),
        revoke: choice(&registrations),
        cause: ChoiceField {
            value: String::new(),
            options: Cause::ALL.iter().map(|it| Choice::new(it.code(), it.label())).collect(),
            error: None,
        },
        revoke_reason: TextField::default(),
        code: known
            .practice_overview
            .authorities
            .iter()
            .any(|it| it.person.is_none() && it.paper.dea().is_some())
            .then(|| TextField {
                value: known.code(id).map(|row| row.code.to_string()).unwrap_or_default(),
                error: None,
            }),
        code_entered: known
            .code(id)
            .map(|row| (known.name(row.entered_by), show::when(row.entered))),
        dea: TextField::default(),
        dea_state: TextField::default(),
        schedules: TextField::default(),
        dea_expires: TextField::default(),
        dea_reason: TextField::default(),
        licence_state: TextField::default(),
        licence: TextField::default(),
        licence_expires: TextField::default(),
        licence_reason: TextField::default(),
        ended: ChoiceField { options: ended, ..ChoiceField::default() },
        end_reason: TextField::default(),
        waits: of.map(|it| waits(it.step)).filter(|step| !step.is_empty()).map(|step| {
            // Who has enrolled already waits again after a loss.
            (if person.has_passphrase { "Next step" } else { "Enrollment" }, step)
        }),
        can_prove: known.membership.may_invite()
            && id != known.membership.person
            && person.has_passphrase
            && !person.closed
            && theirs.prescriber.practice == known.membership.practice.id,
        role: ChoiceField {
            options: Role::ALL
                .iter()
                .filter(may_role)
                .map(|it| Choice::new(it.code(), it.label()))
                .collect(),
            ..ChoiceField::default()
        },
        give: ChoiceField {
            value: "yes".to_owned(),
            options: vec![Choice::new("yes", "Assign"), Choice::new("no", "Remove")],
            error: None,
        },
        unit: TextField::default(),
        role_reason: TextField::default(),
        token: ChoiceField {
            options: of
                .map(|it| it.tokens.as_slice())
                .unwrap_or_default()
                .iter()
                // Those that another practice gave out are that practice's.
                .filter(|token| {
                    token.is_active() && token.practice() == Some(known.membership.practice.id)
                })
                .map(|token| {
                    let label = show::label(token);
                    let id = &label.credential;
                    let text = format!("{} — {}••••{}", label.name, id.head, id.tail);
                    Choice::new(token.id().to_string(), text)
                })
                .collect(),
            ..ChoiceField::default()
        },
        why: ChoiceField {
            options: DisableReason::CHOICES
                .iter()
                .map(|it| Choice::new(it.code(), it.label()))
                .collect(),
            ..ChoiceField::default()
        },
        disable_reason: TextField::default(),
    };
    Ok((template, id))
}

pub(in crate::portal) async fn person(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    query: Query,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    let done = match query.text("done") {
        "saved" => Some((NoticeKind::Success, "Saved.")),
        "narrowed" => Some((
            NoticeKind::Success,
            "Reductions are in effect. Another person must approve the rest.",
        )),
        "narrowed-only" => Some((
            NoticeKind::Error,
            "Reductions are in effect. The rest was not requested: only an access control designee with a confirmed address can do that.",
        )),
        "ended" => Some((NoticeKind::Success, "Ended. Permissions that depend on it are revoked.")),
        "disabled" => Some((NoticeKind::Success, "Token disabled and its owner notified.")),
        "lost" => Some((
            NoticeKind::Success,
            "Token disabled and its owner notified. Their permission to sign, if any, is suspended for all tokens until two people approve it again.",
        )),
        "asked" => Some((NoticeKind::Success, "Link sent to their address.")),
        "not-asked" => Some((NoticeKind::Error, "No link was sent: no address is on file.")),
        _ => None,
    };
    template.page.notice = done.map(|(kind, text)| Notice::new(kind, text));
    person_out(&ctx, &known, template, person, StatusCode::OK).await
}
