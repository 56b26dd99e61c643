//! Permissions to sign: granting and revoking, each a change that a second person looks at.

use axum::extract::Path;
use countersign_app::Wanted;
use countersign_domain::{
    Date, WARN_DAYS,
    access::{Cause, Change},
    command::commands,
};

use super::{
    context::{Asking, known},
    people::{person_page, person_wrong},
    requests::enter,
};
use crate::{
    portal::{Ctx, Fields, read, reason, show, typed},
    web::respond::{Out, see_other},
};

pub(in crate::portal) async fn grant(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("registration").clone_into(&mut template.grant.value);
    template.verified = typed(&fields, "verified", 20);
    template.grant_reason = reason(&fields, "grant_reason");
    let authority = template.grant.value.parse();
    if authority.is_err() {
        template.grant.error = Some("Choose the registration.".to_owned());
    }
    let verified = read::<Date>(&mut template.verified);
    let today = Date::at(ctx.now(), &known.membership.practice.zone);
    if verified.is_some_and(|day| day > today || day.plus_days(WARN_DAYS) < today) {
        template.verified.error =
            Some("Enter a date within the last 30 days on which you verified both.".to_owned());
    }
    let (Ok(authority), true) = (authority, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let why = template.grant_reason.value.clone();
    let wanted = Wanted::Permission { person, authority, change: Change::Grant { verified } };
    let (change, back) = (commands::ENTER_REQUEST, template.here.clone());
    let action = format!("{back}/grant");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Change", "Permission to sign".to_owned()),
        ("Person", template.name.clone()),
        ("Registration", template.grant.chosen().to_owned()),
        ("Verified on", show::date(&template.verified.value)),
        ("Reason", why.clone()),
    ]);
    match enter(&asking, wanted, why).await? {
        None => Ok(see_other(&format!("{}?done=entered", known.base()))),
        Some(refusal) => {
            template.grant.error = Some(refusal.to_string());
            person_wrong(&ctx, &known, template, person).await
        }
    }
}

pub(in crate::portal) async fn revoke(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("revoked").clone_into(&mut template.revoke.value);
    fields.text("cause").clone_into(&mut template.cause.value);
    template.revoke_reason = reason(&fields, "revoke_reason");
    let authority = template.revoke.value.parse();
    if authority.is_err() {
        template.revoke.error = Some("Choose the registration.".to_owned());
    }
    let cause = Cause::from_code(&template.cause.value);
    if cause.is_none() {
        template.cause.error = Some("Choose the cause.".to_owned());
    }
    let (Ok(authority), Some(cause), true) = (authority, cause, template.problems_are_none())
    else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let why = template.revoke_reason.value.clone();
    let wanted = Wanted::Permission { person, authority, change: Change::Revoke(cause) };
    let (change, back) = (commands::TAKE_PERMISSION, template.here.clone());
    let action = format!("{back}/revoke");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Registration", template.revoke.chosen().to_owned()),
        ("Cause", cause.label().to_owned()),
        ("Reason", why.clone()),
    ]);
    match enter(&asking, wanted, why).await? {
        None => Ok(see_other(&format!("{}?done=revoked", known.base()))),
        Some(refusal) => {
            template.revoke.error = Some(refusal.to_string());
            person_wrong(&ctx, &known, template, person).await
        }
    }
}
