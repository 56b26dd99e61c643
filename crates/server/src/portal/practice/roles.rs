//! The roles of people in a practice.

use axum::extract::Path;
use countersign_app::{PracticeOverview, Wanted};
use countersign_domain::{Label, PersonId, Role, access::AccessRefusal, command::commands};

use super::{
    context::{Asking, known},
    people::{person_page, person_wrong},
    requests::enter,
};
use crate::{
    portal::{Ctx, Fields, optional, reason, typed},
    web::respond::{Out, see_other},
};

pub(super) fn roles_of(practice_overview: &PracticeOverview, person: PersonId) -> String {
    let roles = practice_overview.roles.iter().filter(|m| m.person == person && m.ended.is_none());
    let words: Vec<String> = roles
        .map(|member| match member.unit.as_str() {
            "" => member.role.label().to_owned(),
            unit => format!("{} ({unit})", member.role.label()),
        })
        .collect();
    words.join(", ")
}

pub(in crate::portal) async fn role(
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
        template.unit.error = Some("Enter the department.".to_owned());
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
        let change = commands::ENTER_REQUEST;
        let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
            ("Person", template.name.clone()),
            ("Role", role.label().to_owned()),
            ("Change", template.give.chosen().to_owned()),
            ("Department", if give { template.unit.value.clone() } else { String::new() }),
            ("Reason", why.clone()),
        ]);
        return match enter(&asking, wanted, why).await? {
            None => Ok(see_other(&format!("{}?done=entered", known.base()))),
            Some(refusal) => {
                template.role.error = Some(match refusal {
                    AccessRefusal::NoChange => "No changes: this is already the case.".to_owned(),
                    other => other.to_string(),
                });
                person_wrong(&ctx, &known, template, person).await
            }
        };
    }
    let change = commands::SET_PRESCRIBER;
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Role", role.label().to_owned()),
        ("Change", template.give.chosen().to_owned()),
        ("Reason", why.clone()),
    ]);
    let act = asking.act()?;
    let done = ctx.app().set_prescriber(act, person, give, why, ctx.at).await;
    if asking.answer(done)?.is_ok() {
        Ok(see_other(&format!("{}?done=saved", template.here)))
    } else {
        template.role.error = Some("No changes: this is already the case.".to_owned());
        person_wrong(&ctx, &known, template, person).await
    }
}
