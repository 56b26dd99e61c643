//! The first page of a practice: its people, what waits, what is due; and the list of practices.

use axum::extract::Path;
use countersign_app::{PracticeOverview, still_waits};
use countersign_domain::{
    PersonId, Role,
    access::{Permission, Review, Setting},
    proofing::Channel,
};
use http::StatusCode;

use super::{
    context::{Known, base, known},
    invitations::invitation_lines,
    people::MISTAKEN,
    roles::roles_of,
};
use crate::{
    portal::{Ctx, Query, tokens},
    views::{NavTab, Notice, NoticeKind, PersonLine, PracticeLink, PracticePage, PracticesPage},
    web::respond::{Out, page, see_other},
};

/// The practices of whoever asks; the only one at once.
pub(in crate::portal) async fn list(ctx: Ctx) -> Out {
    let (_, person) = ctx.full_session()?;
    let memberships = ctx.app().memberships(person).await.map_err(|error| ctx.stop(&error))?;
    if let [(only, ..)] = memberships.as_slice() {
        return Ok(see_other(&base(*only)));
    }
    let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
    let link = |(id, name, waiting)| PracticeLink { href: base(id), name, waiting };
    let memberships = memberships.into_iter().map(link).collect();
    let frame = tokens::frame(&ctx, &overview, "Practices", NavTab::Hidden);
    Ok(page(StatusCode::OK, &PracticesPage { page: frame, memberships }))
}

fn signing(practice_overview: &PracticeOverview, person: PersonId) -> (String, &'static str) {
    let mut words = Vec::new();
    let mut class = "active";
    for row in practice_overview.permissions.iter().filter(|row| row.person == person) {
        match row.permission {
            Permission::Granted { self_executed: false, .. } => words.push("May sign"),
            Permission::Granted { self_executed: true, .. } => {
                words.push("May sign, granted by the holder");
            }
            Permission::Revoked { review, .. } => {
                class = "ended";
                words.push(match review {
                    Review::Waiting => "Suspended, to be confirmed",
                    Review::Confirmed => "Suspended",
                    Review::Mistaken => MISTAKEN,
                });
            }
            Permission::None => {}
        }
    }
    words.dedup();
    (words.join(", "), class)
}

impl Known {
    /// What keeps anybody from being granted anything here (21 CFR 1311.125(a)).
    fn lacking(&self, ctx: &Ctx) -> Vec<String> {
        let designated: Vec<PersonId> = self
            .practice_overview
            .roles
            .iter()
            .filter(|member| member.role == Role::Designated && member.ended.is_none())
            .map(|member| member.person)
            .collect();
        let mut found = Vec::new();
        if designated.len() < 2 {
            found.push("Fewer than two people set access control here, so nothing can be granted. Name a second one.".to_owned());
        }
        let registrant = self.practice_overview.authorities.iter().any(|it| {
            it.paper.dea().is_some()
                && it.holds(ctx.now())
                && it.person.is_some_and(|person| designated.contains(&person))
        });
        if self.membership.practice.setting == Setting::Practitioners && !registrant {
            found.push("None of the people who set access control here has a DEA registration in force, so nothing can be executed.".to_owned());
        }
        found
    }
}

pub(in crate::portal) async fn home(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let messages = ctx.app().messages(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let cases =
        ctx.app().cases(&known.membership, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let rules = ctx.app().rules(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let fleet =
        ctx.app().fleet(&known.membership, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let letters =
        messages.iter().filter(|it| it.channel == Channel::Post && it.done.is_none()).count();
    // Oldest first: a suspension stands above the grant that came after it.
    let waiting =
        known.practice_overview.requests.iter().rev().filter(|row| still_waits(row, ctx.now()));
    let open = known.practice_overview.deadlines.iter().filter(|it| it.done.is_none());
    let mut template = PracticePage {
        page: known.frame(&ctx, "Console"),
        base: known.base(),
        name: known.membership.practice.name.clone(),
        rule: match known.membership.practice.setting {
            Setting::Practitioners => "Individual practitioners (21 CFR 1311.125)".to_owned(),
            Setting::Institution => "Institution (21 CFR 1311.130)".to_owned(),
        },
        waiting: waiting.map(|row| known.line(row, ctx.now())).collect(),
        due: open.map(|it| known.due(&ctx, it)).collect(),
        people: known
            .practice_overview
            .people
            .iter()
            .map(|person| {
                let (signing, class) = signing(&known.practice_overview, person.id);
                PersonLine {
                    href: format!("{}/people/{}", known.base(), person.id),
                    name: person.name.clone(),
                    sign_in: person.sign_in.masked(),
                    roles: roles_of(&known.practice_overview, person.id),
                    signing,
                    class,
                }
            })
            .collect(),
        letters,
        cases: cases.iter().filter(|it| it.row.state.is_open()).count(),
        invitations: invitation_lines(&ctx, &known, &rules.invitations, &fleet),
        sees_records: known.membership.sees_records(),
        can_invite: known.membership.may_invite(),
        lacking: known.lacking(&ctx),
    };
    let done = match query.text("done") {
        "executed" => Some("The change is executed. It works from now on."),
        "confirmed" => Some("The record is confirmed. The permission was taken away before."),
        "rejected" => Some("The change is turned down. Nothing was changed."),
        "mistaken" => Some(
            "The report is not confirmed. A new grant by two people gives the permission back.",
        ),
        "withdrawn" => Some("The change is withdrawn. Nothing was changed."),
        "entered" => Some("The change is entered. Another person now has to look at it."),
        "revoked" => Some("The permission is taken away. Another person now confirms the record."),
        "invited" => Some("The invitation is on its way to their own e-mail address."),
        "resent" => Some("A new link is on its way. The old one no longer works."),
        "taken-back" => Some("The invitation is taken back. Its link no longer works."),
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}
