//! The first page of e-Prescribing: the prescriptions of the patient in context.

use countersign_domain::prescription::State as RxState;
use http::StatusCode;

use super::context::known;
use crate::{
    portal::{Ctx, Query},
    views::{EPrescribingPage, Notice, NoticeKind},
    web::respond::{Out, page},
};

pub(in crate::portal) async fn home(ctx: Ctx, query: Query) -> Out {
    let known = known(&ctx).await?;
    let me = known.me();
    let ready = known.sheet.rows.iter().filter(|row| {
        Some(row.it.prescriber) == me && matches!(row.it.state, RxState::Ready { .. })
    });
    let mut template = EPrescribingPage {
        page: known.frame(&ctx, "e-Prescribing"),
        ready: ready.count(),
        rows: known.sheet.rows.iter().map(|row| known.line(row)).collect(),
    };
    let done = match query.text("done") {
        "signed" => Some("Signed. Being sent to the pharmacy."),
        "ready" => Some("Marked ready to sign. Review and sign it, or write another one first."),
        "cancelled" => Some("Canceled."),
        // It may have been turned down again by now: then its line says so.
        "again"
            if known
                .sheet
                .rows
                .iter()
                .any(|row| matches!(row.it.state, RxState::Signed { .. })) =>
        {
            Some("Being sent again.")
        }
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}
