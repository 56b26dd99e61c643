//! DEA registrations and state licenses: shown, entered and ended.

use axum::{extract::Path, response::Response};
use countersign_app::{Asked, NewPaper, PaperDone, paper_in_words};
use countersign_domain::{
    AuthorityId, Date, DeaNumber, DeaRegistration, KeyboardLine, LastDayError, PersonId, Schedules,
    StateLicence, UsState, WARN_DAYS,
    access::{AccessRefusal, Permission, Review},
    command::commands,
};
use countersign_store::{Authority, Paper};

use super::{
    context::{Asking, Known, known},
    people::{MISTAKEN, person_page, person_wrong},
};
use crate::{
    portal::{Ctx, Fields, read, reason, show, typed},
    views::{Choice, PaperLine},
    web::respond::{Out, Stop, see_other},
};

/// The registrations and licences of somebody, and the institution's own; DEA numbers in full or masked.
pub(super) fn papers(known: &Known, ctx: &Ctx, person: PersonId, full: bool) -> Vec<PaperLine> {
    let today = Date::at(ctx.now(), &known.membership.practice.zone);
    let mine = known
        .practice_overview
        .authorities
        .iter()
        .filter(|it| it.person.is_none_or(|id| id == person));
    mine.map(|it| {
        let left = today.days_until(it.paper.expires());
        let standing = if it.withdrawn.is_some() {
            "Withdrawn".to_owned()
        } else if !it.holds(ctx.now()) {
            "Expired".to_owned()
        } else if left <= WARN_DAYS {
            format!("Expires in {left} days")
        } else {
            "In force".to_owned()
        };
        let permission = known
            .practice_overview
            .permissions
            .iter()
            .find(|row| row.person == person && row.authority == it.id)
            .map(|row| row.permission);
        let (permission, class) = match (it.paper.dea(), permission) {
            (None, _) => (String::new(), "disabled"),
            (_, Some(Permission::Granted { self_executed, .. })) if self_executed => {
                ("May sign, granted by the registration holder".to_owned(), "active")
            }
            (_, Some(Permission::Granted { .. })) => ("May sign".to_owned(), "active"),
            (_, Some(Permission::Revoked { review: Review::Mistaken, .. })) => {
                (MISTAKEN.to_owned(), "ended")
            }
            (_, Some(Permission::Revoked { cause, .. })) => {
                (format!("Suspended: {}", cause.label().to_lowercase()), "ended")
            }
            (_, Some(Permission::None) | None) => ("May not sign".to_owned(), "disabled"),
        };
        let (what, number, schedules) = match &it.paper {
            Paper::Dea(dea) if it.person.is_none() => {
                let number = if full { dea.number.as_text() } else { dea.number.masked() };
                (
                    "Institution's DEA registration",
                    match known.code(person) {
                        Some(row) => format!("{number}-{}", row.code),
                        None => number,
                    },
                    dea.schedules.to_string(),
                )
            }
            Paper::Dea(dea) => (
                "DEA registration",
                if full { dea.number.as_text() } else { dea.number.masked() },
                dea.schedules.to_string(),
            ),
            Paper::Licence(licence) => ("State license", licence.number.clone(), String::new()),
        };
        PaperLine {
            what: what.to_owned(),
            number,
            state: it.paper.state().as_text(),
            schedules,
            expires: it.paper.expires().text(),
            standing,
            permission,
            class,
        }
    })
    .collect()
}

/// The registrations under which somebody can sign, for a choice.
pub(super) fn registrations(known: &Known, person: PersonId, full: bool) -> Vec<Choice> {
    let theirs = |it: &&Authority| it.person.is_none_or(|owner| owner == person);
    let of = |it: &Authority| {
        let dea = it.paper.dea()?;
        let number = if full { dea.as_text() } else { dea.masked() };
        Some(Choice::new(it.id.to_string(), format!("{number}, {}", it.paper.state().as_text())))
    };
    known.practice_overview.authorities.iter().filter(theirs).filter_map(of).collect()
}

/// The registrations and licenses that can be ended, for a choice.
pub(super) fn can_be_ended(known: &Known, person: PersonId, full: bool) -> Vec<Choice> {
    let theirs =
        |it: &&Authority| it.person.is_none_or(|owner| owner == person) && it.withdrawn.is_none();
    let choice = |it: &Authority| {
        let of = if it.person.is_none() { " of the institution" } else { "" };
        let number = match &it.paper {
            Paper::Dea(dea) if full => dea.number.as_text(),
            Paper::Dea(dea) => dea.number.masked(),
            Paper::Licence(license) => license.number.clone(),
        };
        let text = format!("{}{of} {number}, {}", it.paper.label(), paper_in_words(&it.says()));
        Choice::new(it.id.to_string(), text)
    };
    known.practice_overview.authorities.iter().filter(theirs).map(choice).collect()
}

/// Saves a registration or licence as far as one person may. The inner error is why access control says no.
async fn save_paper(
    asking: &Asking<'_>,
    it: NewPaper,
    here: &str,
) -> Result<Result<Response, AccessRefusal>, Stop> {
    let (ctx, known) = (asking.ctx, asking.known);
    let act = asking.act()?;
    let saved = ctx.app().enter_paper(act, it, ctx.at).await;
    Ok(Ok(match saved.map_err(|error| ctx.stop(&error))? {
        Asked::Done(PaperDone::Saved) => see_other(&format!("{here}?done=saved")),
        Asked::Done(PaperDone::SavedAndWaits) => see_other(&format!("{here}?done=narrowed")),
        Asked::Done(PaperDone::SavedAlone(_)) => see_other(&format!("{here}?done=narrowed-only")),
        Asked::Done(PaperDone::Waits) => see_other(&format!("{}?done=entered", known.base())),
        Asked::Refused(refusal) => return Ok(Err(refusal)),
        Asked::NotConfirmed(refusal) => asking.again(&refusal),
    }))
}

pub(in crate::portal) async fn dea(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    template.dea = typed(&fields, "dea", 40);
    template.dea_state = typed(&fields, "dea_state", 10);
    template.schedules = typed(&fields, "schedules", 40);
    template.dea_expires = typed(&fields, "dea_expires", 20);
    template.dea_reason = reason(&fields, "dea_reason");
    let read = (
        read::<DeaNumber>(&mut template.dea),
        read::<UsState>(&mut template.dea_state),
        read::<Schedules>(&mut template.schedules),
        read::<Date>(&mut template.dea_expires),
    );
    let today = Date::at(ctx.now(), &known.membership.practice.zone);
    if let Some(last) = read.3 {
        template.dea_expires.error =
            LastDayError::of_registration(last, today).err().map(|it| it.to_string());
    }
    let (Some(number), Some(state), Some(schedules), Some(expires), true) =
        (read.0, read.1, read.2, read.3, template.problems_are_none())
    else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let paper = Paper::Dea(DeaRegistration { number, state, schedules, expires, withdrawn: None });
    // The institution's own number is nobody's.
    let own = known
        .practice_overview
        .authorities
        .iter()
        .any(|it| it.person.is_none() && it.paper.is_same(&paper));
    let (why, here) = (template.dea_reason.value.clone(), template.here.clone());
    let it = NewPaper { person: (!own).then_some(person), paper, reason: why };
    let (change, action) = (commands::ENTER_PAPER, format!("{here}/dea"));
    let back = here.clone();
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", if own { "The institution".to_owned() } else { template.name.clone() }),
        ("DEA number", template.dea.value.clone()),
        ("State", template.dea_state.value.clone()),
        ("Schedules", template.schedules.value.clone()),
        ("Expiration date", show::date(&template.dea_expires.value)),
        ("Reason", template.dea_reason.value.clone()),
    ]);
    match save_paper(&asking, it, &here).await? {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            template.dea.error = Some(paper_refused(refusal));
            person_wrong(&ctx, &known, template, person).await
        }
    }
}

/// Why a registration or licence is not saved, in words.
fn paper_refused(refusal: AccessRefusal) -> String {
    match refusal {
        AccessRefusal::NoChange => "No changes: this is already on file.".to_owned(),
        other => other.to_string(),
    }
}

pub(in crate::portal) async fn licence(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    template.licence_state = typed(&fields, "licence_state", 10);
    template.licence = typed(&fields, "licence", 40);
    template.licence_expires = typed(&fields, "licence_expires", 20);
    template.licence_reason = reason(&fields, "licence_reason");
    if template.licence.value.is_empty() {
        template.licence.error = Some("Enter the license number.".to_owned());
    }
    read::<KeyboardLine<40>>(&mut template.licence);
    let read =
        (read::<UsState>(&mut template.licence_state), read::<Date>(&mut template.licence_expires));
    let today = Date::at(ctx.now(), &known.membership.practice.zone);
    if let Some(last) = read.1 {
        template.licence_expires.error =
            LastDayError::of_licence(last, today).err().map(|it| it.to_string());
    }
    let (Some(state), Some(expires), true) = (read.0, read.1, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let number = template.licence.value.clone();
    let paper = Paper::Licence(StateLicence { state, number, expires, withdrawn: None });
    let (why, here) = (template.licence_reason.value.clone(), template.here.clone());
    let it = NewPaper { person: Some(person), paper, reason: why };
    let (change, action) = (commands::ENTER_PAPER, format!("{here}/licence"));
    let back = here.clone();
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("License", template.licence.value.clone()),
        ("State", template.licence_state.value.clone()),
        ("Expiration date", show::date(&template.licence_expires.value)),
        ("Reason", template.licence_reason.value.clone()),
    ]);
    match save_paper(&asking, it, &here).await? {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            template.licence.error = Some(paper_refused(refusal));
            person_wrong(&ctx, &known, template, person).await
        }
    }
}

/// Ends a registration or licence.
pub(in crate::portal) async fn end(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("ended").clone_into(&mut template.ended.value);
    template.end_reason = reason(&fields, "end_reason");
    let ended = template.ended.options.iter().any(|it| it.value == template.ended.value);
    let authority = template.ended.value.parse::<AuthorityId>();
    if !ended || authority.is_err() {
        template.ended.error = Some("Choose the registration or license.".to_owned());
    }
    let (Ok(authority), true) = (authority, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let (why, back) = (template.end_reason.value.clone(), template.here.clone());
    let (change, action) = (commands::NARROW_PAPER, format!("{back}/end"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Ending", template.ended.chosen().to_owned()),
        ("Reason", why.clone()),
    ]);
    let act = asking.act()?;
    let done = ctx.app().end_paper(act, Some(person), authority, why, ctx.at).await;
    if asking.answer(done)?.is_ok() {
        Ok(see_other(&format!("{}?done=ended", template.here)))
    } else {
        template.ended.error = Some("This has already ended.".to_owned());
        person_wrong(&ctx, &known, template, person).await
    }
}
