//! A prescription on paper.

use axum::extract::Path;
use countersign_app::{Error, OneRx};
use countersign_domain::prescription::State as RxState;
use http::StatusCode;

use super::context::{HOME, facts, found, known};
use crate::{
    portal::{Ctx, show},
    views::RxPaperPage,
    web::respond::{Out, page},
};

/// The paper of one: a copy while the electronic one counts (21 CFR 1311.170(c)), and after a failure what
/// is to be signed by hand (1311.170(b)).
pub(in crate::portal) async fn paper(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, signed, way, .. } = found(&ctx, &known, &id).await?;
    let (Some(signed), Some(way)) = (signed, way) else { return Err(ctx.not_found()) };
    let content = &row.it.content;
    let failure = match row.it.state {
        RxState::Signed { .. } | RxState::Transmitted { .. } => None,
        RxState::Printed { .. } => Some(format!(
            "This prescription was originally transmitted electronically to {} on {}. The electronic transmission failed.",
            content.pharmacy.as_ref().map_or("the pharmacy", |it| it.name.as_str()),
            known.sheet.zone.moment_text(way.begun),
        )),
        _ => return Err(ctx.not_found()),
    };
    let mut facts = facts(content);
    let said = countersign_protocol::record::said(&signed.jws)
        .ok_or_else(|| ctx.stop(&Error::unreadable("a signed record")))?;
    let text = |path: &str| {
        said.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    facts.insert(0, ("Date", show::date(&text("/written"))));
    facts.push(("Prescriber", text("/practitioner/name")));
    facts.push(("NPI", text("/practitioner/npi")));
    facts.push(("Prescriber's address", text("/practitioner/address")));
    let template = RxPaperPage {
        page: known.frame(&ctx, "Printed prescription"),
        href: format!("{HOME}/rx/{}", row.id),
        facts,
        failure,
    };
    Ok(page(StatusCode::OK, &template))
}
