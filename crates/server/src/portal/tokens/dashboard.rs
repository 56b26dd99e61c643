//! The dashboard, and whether a prescriber may sign.

use countersign_app::Overview;
use countersign_domain::{PersonId, Token};
use countersign_store::Session;
use http::StatusCode;

use super::context::{frame, known, most_active};
use crate::{
    portal::{Ctx, Query, enrol, show},
    views::{DashboardPage, NavTab, PracticeLink, SigningLine},
    web::respond::{Out, Stop, page},
};

pub(in crate::portal) async fn dashboard(ctx: Ctx, query: Query) -> Out {
    let (session, person, overview) = known(&ctx).await?;
    let memberships = ctx.app().memberships(person).await.map_err(|error| ctx.stop(&error))?;
    let active: Vec<_> = overview
        .tokens
        .iter()
        .filter(|token| token.is_active())
        .map(|token| show::row(token, &overview, ctx.now()))
        .collect();
    let mut template = DashboardPage {
        page: frame(
            &ctx,
            &overview,
            if show::prescribes(&overview) { "Prescriber dashboard" } else { "Your account" },
            NavTab::Overview,
        ),
        name: overview.prescriber.name.clone(),
        npi: overview.prescriber.sign_in.masked(),
        practice: overview.prescriber.practice_name.clone(),
        active,
        limit: most_active(&ctx),
        activity: show::events(&overview, None, 8),
        memberships: memberships
            .into_iter()
            .map(|(id, name, waiting)| PracticeLink {
                href: format!("/practice/{id}"),
                name,
                waiting,
            })
            .collect(),
        staff: !show::prescribes(&overview),
        signing: signing(&ctx, &session, person, &overview).await?,
        not_sent: ctx.app().count_not_sent(person).await.map_err(|error| ctx.stop(&error))?,
    };
    let done = match query.text("done") {
        "passphrase" => Some("Passphrase changed. Use it to sign in and to sign prescriptions."),
        "joined" => Some("You have joined. That practice decides what you may sign there."),
        _ => None,
    };
    template.page.notice = ctx.noticed(done, &overview);
    Ok(page(StatusCode::OK, &template))
}

/// Whether a prescriber may sign, and else what is missing first.
pub(in crate::portal) async fn signing(
    ctx: &Ctx,
    session: &Session,
    person: PersonId,
    overview: &Overview,
) -> Result<Option<SigningLine>, Stop> {
    let it =
        ctx.app().enrolment(session, person, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    if !it.prescribes {
        return Ok(None);
    }
    let active = |token: &&Token| token.is_active();
    let waits = overview.tokens.iter().find(|token| show::waits_for_activation(token, overview));
    let signs = overview
        .tokens
        .iter()
        .filter(active)
        .any(|token| show::log_in_only(token, overview).is_none());
    let line = |heading, text: String, href: &str, link| SigningLine {
        allowed: false,
        heading,
        text,
        href: href.to_owned(),
        link,
    };
    let not_yet = "You can\u{2019}t sign yet.";
    let see = "View status";
    if let Some(why) = enrol::suspension(&it) {
        let text = format!("{why} {}", enrol::who_acts(&it));
        return Ok(Some(line("You can\u{2019}t sign now.", text, "/portal/approval", see)));
    }
    if let Some(token) = waits.filter(|_| !signs) {
        let href = format!("/portal/tokens/{}/activate", token.id());
        let mut text = "Your token is not activated for signing.".to_owned();
        if !it.facts.granted {
            text = format!("{text} {}", enrol::who_acts(&it));
        }
        return Ok(Some(line(not_yet, text, &href, "Activate")));
    }
    if !it.facts.granted {
        return Ok(Some(line(not_yet, enrol::who_acts(&it), "/portal/approval", see)));
    }
    let hindrance = ctx.app().certification_hindrance(session.practice, person, ctx.at).await;
    if let Some(hindrance) = hindrance.map_err(|error| ctx.stop(&error))? {
        let (text, heading) = (hindrance.to_string(), "You can\u{2019}t sign now.");
        return Ok(Some(line(heading, text, "/portal/certification", "Certification")));
    }
    if !signs && overview.tokens.iter().any(Token::is_active) {
        let text = "None of your active tokens can sign: their models are not allowed for signing."
            .to_owned();
        return Ok(Some(line(
            "You can\u{2019}t sign now.",
            text,
            "/portal/tokens",
            "View your tokens",
        )));
    }
    Ok(Some(SigningLine { allowed: true, ..line("", String::new(), "", "") }))
}
