//! The link of an invitation: its page, following it, asking for a new one.

use axum::extract::Path;
use countersign_app::{Answer, Error, Followed, Link};
use countersign_protocol::oidc::escaped;
use http::StatusCode;

use super::PATH;
use crate::{
    portal::{Ctx, Query, with_session},
    views::{InvitationPage, Notice, NoticeKind},
    web::{
        limits::Door,
        respond::{Out, Stop, page, see_other},
    },
};

async fn invitation_page(ctx: &Ctx, link: &str) -> Result<InvitationPage, Stop> {
    let found = ctx.app().invitation(link, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let mut template = InvitationPage {
        page: ctx.frame("Invitation"),
        here: format!("/invitation/{}", escaped(link)),
        practice: String::new(),
        name: String::new(),
        account: false,
        signed_in: ctx.full_session().is_ok(),
        closed: None,
        again: None,
    };
    match found {
        Link::Open { practice, name, account } => {
            (template.practice, template.name, template.account) = (practice, name, account);
        }
        Link::Closed { why, again } => {
            // A link that is open is looked at before the limit: strangers keep nobody from it, and 256 random
            // bits are not guessed.
            ctx.count(Door::Invitation, "invitation_limit").await?;
            template.closed = Some(why.to_string());
            template.again = again;
        }
    }
    Ok(template)
}

pub(in crate::portal) async fn invitation(ctx: Ctx, Path(link): Path<String>, query: Query) -> Out {
    let mut template = invitation_page(&ctx, &link).await?;
    if query.text("done") == "sent" {
        let text =
            "If your invitation is still valid, a new link was sent. Use the newest message.";
        template.page.notice = Some(Notice::new(NoticeKind::Info, text));
    }
    let status = if template.closed.is_none() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(page(status, &template))
}

pub(in crate::portal) async fn follow(ctx: Ctx, Path(link): Path<String>) -> Out {
    let mut template = invitation_page(&ctx, &link).await?;
    let refused = if let (true, Ok((session, _))) = (template.account, ctx.full_session()) {
        match ctx.app().join_practice(&session, &link, ctx.at).await {
            Ok(Answer::Done(())) => return Ok(see_other("/portal/dashboard?done=joined")),
            Ok(Answer::Refused(why)) => why,
            Ok(Answer::NotConfirmed(refusal)) => return Err(ctx.stop(&refusal.into())),
            Err(error) => return Err(ctx.stop(&error)),
        }
    } else {
        match ctx.app().follow(&link, ctx.session.clone(), ctx.at).await {
            Ok(Answer::Done(Followed::Begun(secret))) => {
                return Ok(with_session(see_other(PATH), &secret));
            }
            Ok(Answer::Done(Followed::SignIn)) => return Ok(see_other("/portal/login")),
            Ok(Answer::Refused(why)) => why,
            Ok(Answer::NotConfirmed(refusal)) => return Err(ctx.stop(&refusal.into())),
            Err(error) => return Err(ctx.stop(&error)),
        }
    };
    template.closed = Some(refused.to_string());
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(in crate::portal) async fn again(ctx: Ctx, Path(link): Path<String>) -> Out {
    ctx.count(Door::Invitation, "invitation_limit").await?;
    match ctx.app().ask_again(&link, ctx.at).await {
        // Whether there was one to send is not said.
        Ok(_) | Err(Error::NotFound) => {}
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(see_other(&format!("/invitation/{}?done=sent", escaped(&link))))
}
