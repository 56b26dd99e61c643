//! One prescription: its page, and what can be done to it: mark ready, cancel, send again, print.

use axum::extract::Path;
use countersign_app::{Answer, Error, OneRx, RxRefusal};
use countersign_domain::{Schedule, prescription::State as RxState};
use http::StatusCode;

use super::context::{HOME, Known, found, known};
use crate::{
    portal::{Ctx, Query, show},
    views::{Failure, Notice, NoticeKind, RxViewPage, When},
    web::respond::{Out, page, see_other},
};

fn view_page(ctx: &Ctx, known: &Known, one: &OneRx) -> RxViewPage {
    let row = &one.row;
    let open = row.it.state.is_open();
    let mine = known.me() == Some(row.it.prescriber);
    // The number is the practitioner's to choose: whoever else writes can't mend that.
    let mendable = one.judgment.lacks.iter().filter(|lack| mine || lack.field != "dea");
    let lacking: Vec<(&'static str, String)> =
        mendable.map(|lack| (lack.field, lack.text.to_string())).collect();
    let hindrances: Vec<String> = if mine {
        one.judgment.hindrances.iter().map(ToString::to_string).collect()
    } else {
        Vec::new()
    };
    let it = known.line(row);
    RxViewPage {
        page: known.frame(ctx, &it.what),
        signed: one.signed.as_ref().map(|signed| (show::when(signed.signed), it.by.clone())),
        disowned: one.disowned.map(show::when),
        call: match row.it.state {
            RxState::Signed { .. } | RxState::Transmitted { .. } => {
                row.it.content.pharmacy.as_ref().map(|it| it.name.clone())
            }
            _ => None,
        },
        can_mark: row.it.state == RxState::Draft
            && mine
            && lacking.is_empty()
            && hindrances.is_empty(),
        next: (open && row.it.content.schedule.is_some_and(Schedule::is_two))
            .then(|| row.id.to_string()),
        lacking,
        hindrances,
        it,
        open,
        sending: sending(one),
        failure: match row.it.state {
            RxState::Failed { .. } if mine => Failure::Mine,
            RxState::Failed { .. } => Failure::Theirs,
            _ => Failure::None,
        },
        paper: match row.it.state {
            RxState::Signed { .. } | RxState::Transmitted { .. } => Some("Print a copy"),
            RxState::Printed { .. } => Some("Show the printed prescription"),
            _ => None,
        },
        key_id: one.signed.as_ref().map(|record| record.key_id.clone()),
    }
}

/// Where it is on its way: words, when that was, and more words. Nothing where nothing was sent.
fn sending(one: &OneRx) -> Option<(String, Option<When>, String)> {
    let way = one.way.as_ref()?;
    let pharmacy = one.row.it.content.pharmacy.as_ref().map_or("the pharmacy", |it| &it.name);
    let (words, when, more) = match one.row.it.state {
        RxState::Signed { .. } if way.state.outcome().is_empty() => {
            (format!("Being sent to {pharmacy}."), None, String::new())
        }
        RxState::Signed { .. } => (
            format!("Not accepted yet by {pharmacy}: {}.", way.state.outcome()),
            None,
            format!(" Retrying automatically ({} so far).", way.tries),
        ),
        RxState::Transmitted { at } => (format!("Accepted by {pharmacy}"), Some(at), String::new()),
        RxState::Failed { at } => (
            format!("Not delivered to {pharmacy},"),
            Some(at),
            format!(": {}.", way.state.outcome()),
        ),
        RxState::Printed { at } => (
            "Printed for manual signature".to_owned(),
            Some(at),
            ". It will not be sent again.".to_owned(),
        ),
        RxState::Draft | RxState::Ready { .. } | RxState::Cancelled { .. } => return None,
    };
    Some((words, when.map(show::when), more))
}

pub(in crate::portal) async fn one(ctx: Ctx, Path(id): Path<String>, query: Query) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let mut template = view_page(&ctx, &known, &one);
    if query.text("done") == "unmarked" && one.row.it.state == RxState::Draft {
        let text = "Saved. It is no longer marked ready to sign: review it, then mark it again.";
        template.page.notice = Some(Notice::new(NoticeKind::Warning, text));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn send_again(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().send_again(&known.chart, one.row.id, ctx.at).await;
    changed(&ctx, &known, &one, done, "?done=again")
}

pub(in crate::portal) async fn print(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().print_prescription(&known.chart, one.row.id, ctx.at).await;
    changed(&ctx, &known, &one, done, &format!("/rx/{}/paper", one.row.id))
}

fn changed(
    ctx: &Ctx,
    known: &Known,
    one: &OneRx,
    done: Result<Answer<(), RxRefusal>, Error>,
    to: &str,
) -> Out {
    match done.map_err(|error| ctx.stop(&error))? {
        Answer::Done(()) => Ok(see_other(&format!("{HOME}{to}"))),
        Answer::NotConfirmed(refusal) => Err(ctx.stop(&refusal.into())),
        Answer::Refused(refusal) => {
            let mut template = view_page(ctx, known, one);
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
    }
}

pub(in crate::portal) async fn ready(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().mark_ready(&known.chart, one.row.id, ctx.at).await;
    changed(&ctx, &known, &one, done, "?done=ready")
}

pub(in crate::portal) async fn cancel(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().cancel_prescription(&known.chart, one.row.id, ctx.at).await;
    changed(&ctx, &known, &one, done, "?done=cancelled")
}
