//! The console: the internal code with which somebody prescribes under the institution's DEA number.

use axum::extract::Path;
use countersign_domain::InternalCode;
use http::StatusCode;

use super::{
    Ctx, Fields,
    practice::{known, person_page, read, typed},
};
use crate::{
    app::CodeEntered,
    respond::{Out, page, see_other},
};

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
    if field.error.is_none() {
        let entered = ctx.app().enter_internal_code(&known.desk, person, code, ctx.at).await;
        field.error = match entered.map_err(|error| ctx.stop(&error))? {
            CodeEntered::Done => return Ok(see_other(&format!("{}?done=saved", template.here))),
            CodeEntered::Taken => {
                Some("Another person of this institution has this code, or had it.".to_owned())
            }
            CodeEntered::NoPrescriber => {
                Some("This person does not prescribe here. Give the role first.".to_owned())
            }
        };
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
