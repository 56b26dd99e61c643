//! The rules of a practice: time zone, refused models of tokens, accepted proofing providers.

use axum::extract::Path;
use countersign_app::{Rules, Wanted};
use countersign_domain::{TimeZone, access::Setting, command::commands};
use http::StatusCode;

use super::{
    context::{Asking, Known, known},
    requests::enter,
};
use crate::{
    portal::{Ctx, Fields, Query, choice, read, reason, typed},
    views::{Choice, Notice, NoticeKind, RulesPage, TextField},
    web::respond::{Out, Stop, page, see_other},
};

async fn rules_page(ctx: &Ctx, known: &Known) -> Result<(RulesPage, Rules), Stop> {
    let rules = ctx.app().rules(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let models = rules
        .models
        .iter()
        .map(|model| {
            let refused = rules.refused.iter().find(|(code, ..)| *code == model.code);
            let (state, note) = match (model.allowed, refused) {
                (false, _) => ("Blocked by the system operator", model.note.clone()),
                (true, Some((_, reason, at, by))) => {
                    let note = format!("{reason}. {}, {}", known.name(*by), known.time(*at));
                    ("Blocked by this practice", note)
                }
                (true, None) => ("Allowed", model.note.clone()),
            };
            (format!("{} {}", model.maker, model.name), state, note)
        })
        .collect();
    let allowed = rules.models.iter().filter(|model| model.allowed);
    let template = RulesPage {
        page: known.frame(ctx, "Settings"),
        base: known.base(),
        name: known.membership.practice.name.clone(),
        rule: match known.membership.practice.setting {
            Setting::Practitioners => {
                "Individual practitioners: an outside provider verifies identity (21 CFR 1311.105)"
            }
            Setting::Institution => {
                "Institution: identity is verified in person, and a different department authorizes tokens (21 CFR 1311.110)"
            }
        },
        can_set: known.membership.may(commands::REFUSE_MODEL),
        can_enter: known.membership.may(commands::SET_TIME_ZONE),
        listed: rules.providers.clone(),
        provider: choice(
            rules
                .offered
                .iter()
                .map(|(name, issuer)| Choice::new(issuer.clone(), format!("{name}, {issuer}")))
                .collect(),
            "",
        ),
        give: choice(vec![Choice::new("yes", "Accept"), Choice::new("no", "Stop accepting")], ""),
        accepted: TextField::default(),
        provider_reason: TextField::default(),
        models,
        model: choice(
            allowed
                .map(|model| {
                    Choice::new(model.code.to_string(), format!("{} {}", model.maker, model.name))
                })
                .collect(),
            "",
        ),
        refuse: choice(
            vec![
                Choice::new("yes", "Block for signing here"),
                Choice::new("no", "Allow for signing here"),
            ],
            "",
        ),
        model_reason: TextField::default(),
        zone: TextField { value: known.membership.practice.zone.name().to_owned(), error: None },
        zone_reason: TextField::default(),
    };
    Ok((template, rules))
}

pub(in crate::portal) async fn rules(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, _) = rules_page(&ctx, &known).await?;
    if query.text("done") == "saved" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Saved."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn zone(ctx: Ctx, Path(practice): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, _) = rules_page(&ctx, &known).await?;
    template.zone = typed(&fields, "zone", 60);
    template.zone_reason = reason(&fields, "zone_reason");
    let zone = read::<TimeZone>(&mut template.zone);
    let (Some(zone), None) = (zone, &template.zone_reason.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let why = template.zone_reason.value.clone();
    let (change, back) = (commands::SET_TIME_ZONE, format!("{}/rules", known.base()));
    let action = format!("{back}/zone");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Time zone", template.zone.value.clone()), ("Reason", why.clone())]);
    let act = asking.act()?;
    let saved = ctx.app().set_time_zone(act, zone, why, ctx.at).await;
    asking.done(saved)?;
    Ok(see_other(&format!("{}/rules?done=saved", known.base())))
}

pub(in crate::portal) async fn model(
    ctx: Ctx,
    Path(practice): Path<String>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, rules) = rules_page(&ctx, &known).await?;
    fields.text("model").clone_into(&mut template.model.value);
    fields.text("refuse").clone_into(&mut template.refuse.value);
    template.model_reason = reason(&fields, "model_reason");
    let code = rules.models.iter().find(|model| model.code.to_string() == template.model.value);
    if code.is_none() {
        template.model.error = Some("Choose the model.".to_owned());
    }
    let (Some(code), None) = (code, &template.model_reason.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let (refuse, why) = (template.refuse.value == "yes", template.model_reason.value.clone());
    let code = code.code.clone();
    // Before a passcode is asked for: what is so already costs none.
    let is_so = rules.refused.iter().any(|(refused, ..)| *refused == code) == refuse;
    if !is_so {
        let (change, back) = (commands::REFUSE_MODEL, format!("{}/rules", known.base()));
        let action = format!("{back}/model");
        let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
            ("Model", template.model.chosen().to_owned()),
            ("Change", template.refuse.chosen().to_owned()),
            ("Reason", why.clone()),
        ]);
        let act = asking.act()?;
        let done = ctx.app().refuse_model(act, code, refuse, why, ctx.at).await;
        if asking.answer(done)?.is_ok() {
            return Ok(see_other(&format!("{}/rules?done=saved", known.base())));
        }
    }
    template.model.error = Some("No changes: this is already the case.".to_owned());
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(in crate::portal) async fn provider(
    ctx: Ctx,
    Path(practice): Path<String>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, rules) = rules_page(&ctx, &known).await?;
    fields.text("provider").clone_into(&mut template.provider.value);
    fields.text("give").clone_into(&mut template.give.value);
    template.accepted = typed(&fields, "accepted", 200);
    template.provider_reason = reason(&fields, "provider_reason");
    let give = template.give.value == "yes";
    if !rules.offered.iter().any(|(_, issuer)| *issuer == template.provider.value) {
        template.provider.error = Some("Choose the provider.".to_owned());
    }
    if give && template.accepted.value.is_empty() {
        template.accepted.error =
            Some("Enter the values this provider uses for IAL2 or higher.".to_owned());
    }
    let wrong = template.provider.error.is_some()
        || template.accepted.error.is_some()
        || template.provider_reason.error.is_some();
    if wrong {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let accepted: Vec<&str> = template.accepted.value.split_whitespace().collect();
    let wanted = Wanted::Provider {
        issuer: template.provider.value.clone(),
        accepted: if give { accepted.join(" ") } else { String::new() },
        give,
    };
    let why = template.provider_reason.value.clone();
    let (change, back) = (commands::ENTER_REQUEST, format!("{}/rules", known.base()));
    let action = format!("{back}/provider");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Provider", template.provider.chosen().to_owned()),
        ("Change", template.give.chosen().to_owned()),
        ("Accepted as IAL2 or higher", template.accepted.value.clone()),
        ("Reason", why.clone()),
    ]);
    match enter(&asking, wanted, why).await? {
        None => Ok(see_other(&format!("{}?done=entered", known.base()))),
        Some(refusal) => {
            template.provider.error = Some(refusal.to_string());
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
    }
}
