//! The tokens of everybody in a practice: what needs attention, hardware tokens in stock, disabling one.

use axum::extract::Path;
use countersign_app::Fleet;
use countersign_domain::{
    DisableReason, PersonId, Refusal, Role, Token, TokenId, command::commands,
};
use countersign_store::Fob;
use http::StatusCode;

use super::{
    context::{Asking, Known, known},
    invitations::waits,
    people::{person_page, person_wrong},
};
use crate::{
    portal::{Ctx, Fields, Query, reason, show, typed},
    views::{Choice, ChoiceField, FleetLine, FleetPage, FobLine, Notice, NoticeKind, TextField},
    web::respond::{Out, Stop, page, see_other},
};

fn fleet_line(ctx: &Ctx, known: &Known, it: &Fleet) -> (FleetLine, [bool; 4]) {
    let active: Vec<&Token> = it.tokens.iter().filter(|token| token.is_active()).collect();
    let locked = |token: &&&Token| token.failures().blocked_until.is_some_and(|u| ctx.now() < u);
    let prescriber = known.practice_overview.roles.iter().any(|member| {
        member.person == it.person && member.role == Role::Prescriber && member.ended.is_none()
    });
    let marks = [
        active.is_empty(),
        active.len() == 1,
        it.blocked_until.is_some() || active.iter().any(|token| locked(&token)),
        prescriber && active.iter().any(|token| token.activated().is_none()),
    ];
    let words =
        ["no active token", "only one token", "locked now", "a token not activated for signing"];
    let mut attention: Vec<&str> =
        words.iter().zip(marks).filter(|(_, on)| *on).map(|(word, _)| *word).collect();
    let step = waits(it.step);
    if !step.is_empty() {
        attention.push(step);
    }
    let used = it.tokens.iter().filter_map(|token| token.last_used()).max();
    let line = FleetLine {
        href: format!("{}/people/{}", known.base(), it.person),
        name: known.name(it.person),
        active: active.len(),
        attention: attention.join(", "),
        last_used: used.map(show::when),
    };
    (line, marks)
}

/// Seconds of a month, for words of how much is left.
const MONTH: i64 = 30 * 86_400;

fn fob_line(ctx: &Ctx, known: &Known, it: &Fob) -> FobLine {
    let left = ctx.now().seconds_until(it.ends);
    let state = match (it.state.as_str(), it.owner, &it.sent) {
        _ if left <= 0 => "Past end of life".to_owned(),
        ("active", Some(owner), _) => format!("In use by {}", known.name(owner)),
        ("disabled", ..) => "Permanently disabled".to_owned(),
        (_, _, Some((to, how, at))) => {
            format!("Sent to {}, {how}, {}", known.name(*to), known.time(*at))
        }
        _ => "In stock".to_owned(),
    };
    FobLine {
        serial: it.credential.masked(),
        model: it.model.to_string(),
        state,
        batch: it.batch.clone(),
        left: match left / MONTH {
            _ if left <= 0 => "None".to_owned(),
            0 => "Less than a month".to_owned(),
            1 => "1 month".to_owned(),
            months => format!("{months} months"),
        },
        ends: show::when(it.ends),
    }
}

async fn fleet_page(ctx: &Ctx, known: &Known) -> Result<FleetPage, Stop> {
    let fleet =
        ctx.app().fleet(&known.membership, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let fobs = ctx.app().fobs(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let all: Vec<_> = fleet.iter().map(|it| fleet_line(ctx, known, it)).collect();
    let texts = [
        "without an active token",
        "with only one token",
        "locked now",
        "with a token not activated for signing",
    ];
    let mut sums: Vec<(usize, &'static str)> = texts
        .into_iter()
        .enumerate()
        .map(|(at, text)| {
            let of = |marks: &[bool; 4]| marks.get(at).copied().unwrap_or(false);
            (all.iter().filter(|(_, marks)| of(marks)).count(), text)
        })
        .collect();
    let free = |it: &&Fob| it.owner.is_none() && it.state == "unassociated" && ctx.now() < it.ends;
    let soon = ctx.now().plus_seconds(3 * MONTH);
    sums.push((
        fobs.iter().filter(free).filter(|it| it.sent.is_none()).count(),
        "hardware tokens in stock",
    ));
    sums.push((
        fobs.iter().filter(|it| it.state == "active" && it.ends < soon).count(),
        "hardware tokens in use that reach end of life within 3 months",
    ));
    let mut lines: Vec<FleetLine> = all.into_iter().map(|(line, _)| line).collect();
    lines.sort_by_key(|line| line.attention.is_empty());
    Ok(FleetPage {
        page: known.frame(ctx, "All tokens"),
        base: known.base(),
        sums,
        lines,
        can_enter: known.membership.may(commands::SEND_FOB),
        fob: ChoiceField {
            options: fobs
                .iter()
                .filter(free)
                .map(|it| {
                    let text = format!("{}, {}", it.credential.masked(), it.model);
                    Choice::new(it.token.to_string(), text)
                })
                .collect(),
            ..ChoiceField::default()
        },
        person: ChoiceField {
            options: known
                .practice_overview
                .people
                .iter()
                .filter(|person| !person.closed)
                .map(|person| Choice::new(person.id.to_string(), person.name.clone()))
                .collect(),
            ..ChoiceField::default()
        },
        how: TextField::default(),
        fobs: fobs.iter().map(|it| fob_line(ctx, known, it)).collect(),
    })
}

pub(in crate::portal) async fn fleet(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let mut template = fleet_page(&ctx, &known).await?;
    if query.text("done") == "sent" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Saved."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn send_fob(
    ctx: Ctx,
    Path(practice): Path<String>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let mut template = fleet_page(&ctx, &known).await?;
    fields.text("fob").clone_into(&mut template.fob.value);
    fields.text("person").clone_into(&mut template.person.value);
    template.how = typed(&fields, "how", 100);
    let fob = template.fob.value.parse::<TokenId>();
    let person = template.person.value.parse::<PersonId>();
    if fob.is_err() {
        template.fob.error = Some("Choose the hardware token.".to_owned());
    }
    if person.is_err() {
        template.person.error = Some("Choose the person.".to_owned());
    }
    if template.how.value.is_empty() {
        template.how.error = Some("Enter how it was delivered.".to_owned());
    }
    let (Ok(fob), Ok(person), None) = (fob, person, &template.how.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let how = template.how.value.clone();
    let (change, back) = (commands::SEND_FOB, format!("{}/fleet", known.base()));
    let action = format!("{back}/send");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Token", template.fob.chosen().to_owned()),
        ("Person", template.person.chosen().to_owned()),
        ("How", how.clone()),
    ]);
    let act = asking.act()?;
    let sent = ctx.app().send_fob(act, fob, person, how, ctx.at).await;
    if asking.answer(sent)?.is_ok() {
        return Ok(see_other(&format!("{}/fleet?done=sent", known.base())));
    }
    template.fob.error =
        Some("That hardware token is already in use or not in your stock.".to_owned());
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(in crate::portal) async fn disable(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("token").clone_into(&mut template.token.value);
    fields.text("why").clone_into(&mut template.why.value);
    template.disable_reason = reason(&fields, "disable_reason");
    let token = template.token.value.parse::<TokenId>();
    let why = DisableReason::from_code(&template.why.value)
        .filter(|why| template.why.options.iter().any(|known| known.value == why.code()));
    if token.is_err() {
        template.token.error = Some("Choose the token.".to_owned());
    }
    if why.is_none() {
        template.why.error = Some("Choose the reason.".to_owned());
    }
    let (Ok(token), Some(why), true) = (token, why, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let words = template.disable_reason.value.clone();
    let change =
        if why.is_loss() { commands::DISABLE_LOST_TOKEN } else { commands::DISABLE_TOKEN_OF };
    let back = template.here.clone();
    let action = format!("{back}/disable");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Token", template.token.chosen().to_owned()),
        ("Reason", why.label().to_owned()),
        ("Reason", words.clone()),
    ]);
    let act = asking.act()?;
    let done = ctx.app().disable_for(act, person, token, why, words, ctx.at).await;
    match asking.answer(done)? {
        Ok(()) => {
            let done = if why.is_loss() { "lost" } else { "disabled" };
            Ok(see_other(&format!("{}?done={done}", template.here)))
        }
        Err(refusal) => {
            template.token.error = Some(match refusal {
                Refusal::TokenNotActive => "That token is already disabled.".to_owned(),
                other => other.to_string(),
            });
            person_wrong(&ctx, &known, template, person).await
        }
    }
}
