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
                words.push("May sign, granted by the registration holder");
            }
            Permission::Revoked { review, .. } => {
                class = "ended";
                words.push(match review {
                    Review::Waiting => "Suspended, waiting for confirmation",
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
            found.push("This practice has fewer than two access control designees, so no permission can be granted. Assign a second one.".to_owned());
        }
        let registrant = self.practice_overview.authorities.iter().any(|it| {
            it.paper.dea().is_some()
                && it.holds(ctx.now())
                && it.person.is_some_and(|person| designated.contains(&person))
        });
        if self.membership.practice.setting == Setting::Practitioners && !registrant {
            found.push("No access control designee here has a DEA registration in force, so nothing can be approved.".to_owned());
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
        page: known.frame(&ctx, "Practice administration"),
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
        "executed" => Some("Change approved. It is now in effect."),
        "confirmed" => Some("Record confirmed. The permission was already revoked."),
        "rejected" => Some("Change rejected. Nothing was changed."),
        "mistaken" => {
            Some("Report not confirmed. To restore the permission, two people must grant it again.")
        }
        "withdrawn" => Some("Change withdrawn. Nothing was changed."),
        "entered" => Some("Change requested. Another person must now approve it."),
        "revoked" => Some("Permission revoked. Another person must now confirm the record."),
        "invited" => Some("Invitation sent to their email address."),
        "resent" => Some("New link sent. The old one no longer works."),
        "taken-back" => Some("Invitation canceled. Its link no longer works."),
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}
