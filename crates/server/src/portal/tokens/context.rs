//! Who asks and what tokens are theirs; the frame of the pages of token management.

use countersign_app::Overview;
use countersign_domain::{PersonId, Token, TokenId};
use countersign_store::Session;

use crate::{
    portal::{Ctx, show},
    views::{NavTab, Page},
    web::respond::Stop,
};

/// Session, person and tokens of someone who has proved both factors.
pub(in crate::portal) async fn known(ctx: &Ctx) -> Result<(Session, PersonId, Overview), Stop> {
    let (session, prescriber) = ctx.full_session()?;
    let overview = ctx.app().overview(prescriber).await.map_err(|error| ctx.stop(&error))?;
    Ok((session, prescriber, overview))
}

/// Session, person, all that is theirs, and one of their tokens.
pub(in crate::portal) type Theirs = (Session, PersonId, Overview, Token);

/// The same, and the token of the address, if it is theirs.
pub(in crate::portal) async fn known_token(ctx: &Ctx, id: &str) -> Result<Theirs, Stop> {
    let (session, prescriber, overview) = known(ctx).await?;
    let id: TokenId = id.parse().map_err(|_| ctx.not_found())?;
    let token = overview.tokens.iter().find(|token| token.id() == id).cloned();
    let token = token.ok_or_else(|| ctx.not_found())?;
    Ok((session, prescriber, overview, token))
}

pub(in crate::portal) fn frame(ctx: &Ctx, overview: &Overview, title: &str, nav: NavTab) -> Page {
    let mut page = ctx.frame_for(title, &overview.prescriber.name);
    page.practice = Some(overview.prescriber.practice_name.clone());
    page.zone = Some(overview.zone.clone());
    page.nav = nav;
    if let Some(user) = &mut page.user {
        user.prescribes = show::prescribes(overview);
    }
    page
}

/// The frame of a page of this prescriber.
pub(in crate::portal) async fn frame_of(
    ctx: &Ctx,
    prescriber: PersonId,
    title: &str,
    onward: &str,
) -> Result<Page, Stop> {
    let person = ctx.app().prescriber(prescriber).await.map_err(|error| ctx.stop(&error))?;
    let mut page = ctx.frame_for(title, &person.name);
    page.practice = Some(person.practice_name);
    if onward == "/portal/tokens/new" {
        page.nav = NavTab::Tokens;
    }
    Ok(page)
}

pub(in crate::portal) fn most_active(ctx: &Ctx) -> usize {
    usize::try_from(ctx.app().options().policy.max_active_tokens).unwrap_or(usize::MAX)
}
