//! The console: the internal code with which somebody prescribes under the institution's DEA number.

use axum::extract::Path;
use countersign_app::InternalCodeRefusal;
use countersign_domain::{InternalCode, command::commands};

use super::{
    Ctx, Fields,
    practice::{Asking, known, person_page, person_wrong},
    read, typed,
};
use crate::web::respond::{Out, see_other};

pub(super) async fn enter(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    let Some(field) = template.code.as_mut().filter(|_| template.can_enter) else {
        return Err(ctx.not_found());
    };
    *field = typed(&fields, "code", 40);
    let code = match field.value.as_str() {
        "" => None,
        _ => read::<InternalCode>(field),
    };
    let entered_code = match field.value.as_str() {
        "" => "None (code removed)".to_owned(),
        code => code.to_owned(),
    };
    if field.error.is_some() {
        return person_wrong(&ctx, &known, template, person).await;
    }
    let back = template.here.clone();
    let (change, action) = (commands::SET_INTERNAL_CODE, format!("{back}/code"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back.clone())
        .about([("Person", template.name.clone()), ("Internal code", entered_code)]);
    let act = asking.act()?;
    let entered = ctx.app().set_internal_code(act, person, code, ctx.at).await;
    let error = match asking.answer(entered)? {
        Ok(()) => return Ok(see_other(&format!("{back}?done=saved"))),
        Err(InternalCodeRefusal::Taken) => {
            "This code is or was used by another person at this institution."
        }
        Err(InternalCodeRefusal::NoPrescriber) => {
            "This person is not a prescriber here. Assign the Prescriber role first."
        }
    };
    if let Some(field) = template.code.as_mut() {
        field.error = Some(error.to_owned());
    }
    person_wrong(&ctx, &known, template, person).await
}
