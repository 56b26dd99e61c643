//! What is due in a practice, and noting it as done.

use axum::extract::Path;
use countersign_app::{deadline_advice, deadline_label};
use countersign_domain::{DeadlineId, PrescriptionId, command::commands};
use countersign_store::Deadline;
use http::StatusCode;

use super::context::{Asking, Known, known};
use crate::{
    portal::{Ctx, Fields, Query, show, typed},
    views::{DueLine, DuePage, Notice, NoticeKind},
    web::respond::{Out, page, see_other},
};

impl Known {
    pub(super) fn due(&self, ctx: &Ctx, it: &Deadline) -> DueLine {
        let what = deadline_label(&it.kind);
        DueLine {
            id: it.id.to_string(),
            what: what.to_owned(),
            whom: it.person.map(|id| self.name(id)).unwrap_or_default(),
            discovered: show::when(it.discovered),
            due: show::when(it.due),
            overdue: it.done.is_none() && ctx.now() >= it.due,
            done: it.done.map(|(by, at)| {
                (show::when(at), by.map_or_else(|| "the system".to_owned(), |by| self.name(by)))
            }),
            note: it.note.clone(),
            advice: deadline_advice(&it.kind),
            record: record_of(&it.note).map(|id| format!("{}/records?patient={id}", self.base())),
            error: None,
        }
    }
}

/// The prescription that a note of a deadline names.
fn record_of(note: &str) -> Option<PrescriptionId> {
    note.strip_prefix("Record ")?.get(..36)?.parse().ok()
}

fn due_page(ctx: &Ctx, known: &Known) -> DuePage {
    DuePage {
        page: known.frame(ctx, "Open tasks"),
        base: known.base(),
        zone: known.membership.practice.zone.name().replace('_', " "),
        due: known.practice_overview.deadlines.iter().map(|it| known.due(ctx, it)).collect(),
        can_close: known.membership.may(commands::CLOSE_DEADLINE),
        decided: known
            .practice_overview
            .requests
            .iter()
            .map(|row| known.line(row, ctx.now()))
            .collect(),
    }
}

pub(in crate::portal) async fn due(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let mut template = due_page(&ctx, &known);
    if query.text("done") == "noted" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Marked as done."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn due_done(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id: DeadlineId = id.parse().map_err(|_| ctx.not_found())?;
    let open = known.practice_overview.deadlines.iter().find(|it| it.id == id && it.done.is_none());
    let open = known.due(&ctx, open.ok_or_else(|| ctx.not_found())?);
    let (task, whom) = (open.what, open.whom);
    let mut note = typed(&fields, "note", 200);
    if note.value.is_empty() {
        note.error = Some("Briefly describe what was done.".to_owned());
    }
    if note.error.is_some() {
        let mut template = due_page(&ctx, &known);
        let wanted = format!("{id}");
        let line = template.due.iter_mut().find(|it| it.id == wanted && it.done.is_none());
        let line = line.ok_or_else(|| ctx.not_found())?;
        (line.note, line.error) = (note.value, note.error);
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let (change, back) = (commands::CLOSE_DEADLINE, format!("{}/due", known.base()));
    let (action, fields, known) = (format!("{back}/{id}"), &fields, &known);
    let asking = Asking::new(&ctx, known, fields, change, action, back).about([
        ("Task", task),
        ("Person", whom),
        ("What was done", note.value.clone()),
    ]);
    let act = asking.act()?;
    let done = ctx.app().deadline_done(act, id, note.value, ctx.at).await;
    asking.done(done)?;
    Ok(see_other(&format!("{}/due?done=noted", known.base())))
}
