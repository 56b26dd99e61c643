//! Letters to be printed, and messages that were sent.

use std::collections::BTreeMap;

use axum::extract::Path;
use countersign_app::notice_subject;
use countersign_domain::{MessageId, PersonId, command::commands, proofing::Channel};
use http::StatusCode;

use super::context::{Asking, known};
use crate::{
    portal::{Ctx, Fields, show},
    views::{LetterLine, LetterPage, LettersPage, NavTab},
    web::respond::{Out, page},
};

pub(in crate::portal) async fn letters(ctx: Ctx, Path(practice): Path<String>) -> Out {
    let known = known(&ctx, &practice).await?;
    let messages = ctx.app().messages(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let (letters, others): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|it| it.channel == Channel::Post);
    let names: BTreeMap<PersonId, &str> =
        known.practice_overview.people.iter().map(|it| (it.id, it.name.as_str())).collect();
    let name = |person: Option<PersonId>| {
        person.and_then(|id| names.get(&id)).map_or("", |name| *name).to_owned()
    };
    let template = LettersPage {
        page: known.frame(&ctx, "Messages"),
        base: known.base(),
        can_print: known.membership.may(commands::PRINT_LETTER),
        letters: letters
            .iter()
            .filter(|_| known.membership.may(commands::PRINT_LETTER))
            .filter(|it| it.done.is_none() && it.person != Some(known.membership.person))
            .map(|it| LetterLine {
                id: it.id.to_string(),
                to: name(it.person),
                when: show::when(it.created),
            })
            .collect(),
        messages: others
            .iter()
            .map(|it| {
                let what = format!("{} \u{2192} {}", notice_subject(&it.kind), name(it.person));
                let how = match (it.done, it.outcome.as_str()) {
                    (None, "") => "waits".to_owned(),
                    (None, why) => format!("waits: {why}"),
                    (Some(_), how) => how.to_owned(),
                };
                (show::when(it.created), what, how)
            })
            .collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn letter(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id: MessageId = id.parse().map_err(|_| ctx.not_found())?;
    // Before a passcode is asked for.
    let messages = ctx.app().messages(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let waits = messages.iter().find(|it| {
        let theirs = it.person != Some(known.membership.person);
        it.id == id && it.channel == Channel::Post && it.done.is_none() && theirs
    });
    let waits = waits.ok_or_else(|| ctx.not_found())?;
    let to = waits.person.map(|person| known.name(person)).unwrap_or_default();
    let back = format!("{}/letters", known.base());
    let (change, action) = (commands::PRINT_LETTER, format!("{back}/{id}"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([("To", to)]);
    let act = asking.act()?;
    let printed = ctx.app().print_letter(act, id, ctx.at).await;
    let message = asking.done(printed)?;
    let body = message.body.ok_or_else(|| ctx.not_found())?;
    let mut template = LetterPage {
        page: known.frame(&ctx, "Letter"),
        base: known.base(),
        to: body.to,
        text: body.text,
    };
    template.page.nav = NavTab::Hidden;
    Ok(page(StatusCode::OK, &template))
}
