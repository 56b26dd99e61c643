//! One's own addresses.

use axum::extract::Path;
use countersign_app::{Answer, Contact, ContactForm, Hindrance, Overview};
use countersign_domain::proofing::Channel;
use http::StatusCode;

use super::{
    Ctx, Fields, Query,
    recovery::{read_contact, way_label},
    show,
    tokens::{confirm, frame, known, step_up_refused},
    typed,
};
use crate::{
    views::{
        ANY_TOKEN, ContactPage, NavTab, Notice, NoticeKind, SecretField, StepUp, TextField, WayLine,
    },
    web::respond::{Out, Stop, page, see_other},
};

fn contact_page(ctx: &Ctx, overview: &Overview, it: &Contact) -> ContactPage {
    let field = |value: &str| TextField { value: value.to_owned(), error: None };
    let email = |at: usize| it.profile.emails.get(at).map_or("", String::as_str);
    ContactPage {
        page: frame(ctx, overview, "Addresses", NavTab::Overview),
        email: field(email(0)),
        email2: field(email(1)),
        phone: field(&it.profile.phone),
        address: field(&it.profile.address),
        step_up: Some(StepUp {
            token: show::choices(&overview.tokens, ANY_TOKEN, ctx.now()),
            passcode: SecretField::default(),
        }),
        lock: None,
        ways: it
            .ways
            .iter()
            .map(|way| WayLine {
                channel: way.channel.code(),
                field: if way.channel == Channel::Phone { "code_phone" } else { "code_post" },
                label: way_label(way.channel, &way.to),
                confirmed: way.confirmed,
                sent: way.sent.filter(|until| ctx.now() < *until).map(show::when),
                code: TextField::default(),
            })
            .collect(),
    }
}

async fn theirs(ctx: &Ctx) -> Result<(countersign_store::Session, Overview, Contact), Stop> {
    let (session, person, overview) = known(ctx).await?;
    let contact = ctx.app().contact(person, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    Ok((session, overview, contact))
}

pub(super) async fn form(ctx: Ctx, query: Query) -> Out {
    let (_, overview, contact) = theirs(&ctx).await?;
    let mut template = contact_page(&ctx, &overview, &contact);
    let done = match query.text("done") {
        "saved" => Some("Addresses saved. A notice was also sent to the old addresses."),
        "confirmed" => Some("Confirmed. Codes can now be sent there."),
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn submit(ctx: Ctx, fields: Fields) -> Out {
    let (session, overview, contact) = theirs(&ctx).await?;
    let mut template = contact_page(&ctx, &overview, &contact);
    template.email = typed(&fields, "email", 254);
    template.email2 = typed(&fields, "email2", 254);
    template.phone = typed(&fields, "phone", 40);
    template.address = typed(&fields, "address", 200);
    let read = read_contact(
        &mut template.email,
        &mut template.email2,
        &mut template.phone,
        &mut template.address,
    );
    let confirm = confirm(&fields, template.step_up.as_mut());
    let (Some((emails, phone, address)), Ok(confirm)) = (read, confirm) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let form = ContactForm { emails, phone, address, confirm };

    match ctx.app().change_contact(&session, form, ctx.at).await {
        Ok(Answer::Done(())) => return Ok(see_other("/portal/addresses?done=saved")),
        Ok(Answer::NotConfirmed(refusal)) => {
            let mut asked = template.step_up.take();
            template.lock = step_up_refused(&ctx, &mut asked, &refusal, &overview);
            template.step_up = asked;
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

fn channel_of(ctx: &Ctx, word: &str) -> Result<Channel, Stop> {
    let found = Channel::from_code(word).filter(|channel| channel.carries_codes());
    found.ok_or_else(|| ctx.not_found())
}

fn refused(template: &mut ContactPage, channel: Channel, value: String, hindrance: &Hindrance) {
    let line = template.ways.iter_mut().find(|way| way.channel == channel.code());
    match line {
        Some(line) if line.sent.is_some() => {
            line.code = TextField { value, error: Some(hindrance.to_string()) };
        }
        _ => template.page.notice = Some(Notice::new(NoticeKind::Error, hindrance.to_string())),
    }
}

pub(super) async fn send(ctx: Ctx, Path(way): Path<String>) -> Out {
    let channel = channel_of(&ctx, &way)?;
    let (session, overview, contact) = theirs(&ctx).await?;

    match ctx.app().send_contact_code(&session, channel, ctx.at).await {
        Ok(Answer::Done(())) => Ok(see_other("/portal/addresses")),
        Ok(Answer::Refused(hindrance)) => {
            let mut template = contact_page(&ctx, &overview, &contact);
            refused(&mut template, channel, String::new(), &hindrance);
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}

pub(super) async fn take(ctx: Ctx, Path(way): Path<String>, fields: Fields) -> Out {
    let channel = channel_of(&ctx, &way)?;
    let (session, overview, contact) = theirs(&ctx).await?;
    let name = if channel == Channel::Phone { "code_phone" } else { "code_post" };
    let value = fields.again(name, 40);

    match ctx.app().take_contact_code(&session, channel, &value, ctx.at).await {
        Ok(Answer::Done(())) => Ok(see_other("/portal/addresses?done=confirmed")),
        Ok(Answer::Refused(hindrance)) => {
            let mut template = contact_page(&ctx, &overview, &contact);
            refused(&mut template, channel, value, &hindrance);
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Ok(Answer::NotConfirmed(refusal)) => Err(ctx.stop(&refusal.into())),
        Err(error) => Err(ctx.stop(&error)),
    }
}
