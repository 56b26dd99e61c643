//! The terms, and the certification report that they name.

use countersign_domain::PersonId;
use countersign_store::Session;
use http::StatusCode;

use super::{PATH, enrol_page, known, onward};
use crate::{
    portal::{Ctx, Fields, certification},
    views::{EnrolBody, TermsForm, TextField},
    web::respond::{Out, Stop, page},
};

/// Names the report of the build that runs in the terms.
pub(super) async fn name_report(
    ctx: &Ctx,
    session: &Session,
    person: PersonId,
    form: &mut TermsForm,
) -> Result<(), Stop> {
    let it = ctx.app().certification(session.practice, person, ctx.at).await;
    if let Some(report) = it.map_err(|error| ctx.stop(&error))?.report {
        let mut line = certification::line(&report, PATH);
        "/enrol/certification".clone_into(&mut line.href);
        form.certification = Some(line);
        form.certification_id = report.id.to_string();
    }
    Ok(())
}

pub(in crate::portal) async fn terms(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, it) = known(&ctx).await?;
    let field = |name: &str| {
        let value = fields.text(name).chars().take(10).collect::<String>();
        let missing = value != "yes";
        let error = missing.then(|| "Read this, and check the box if you agree.".to_owned());
        TextField { value, error }
    };
    let mut form = TermsForm {
        keep: field("keep"),
        report: field("report"),
        audit: field("audit"),
        ..TermsForm::default()
    };
    name_report(&ctx, &session, person, &mut form).await?;
    if form.audit.error.is_none() && form.certification_id != fields.text("certification") {
        form.audit = TextField {
            value: String::new(),
            error: Some(
                "The report has changed. Read the new one, and check the box if you agree."
                    .to_owned(),
            ),
        };
    }
    if [&form.keep, &form.report, &form.audit].iter().any(|field| field.error.is_some()) {
        let template = enrol_page(&ctx, &it, EnrolBody::Terms(Box::new(form)));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let report = form.certification_id.parse().ok();
    onward(&ctx, ctx.app().accept_terms(&session, report, ctx.at).await)
}
