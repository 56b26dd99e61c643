//! Personal data, registrations and licenses that somebody enters when they enroll.

use countersign_app::{Enrolment, PersonalData};
use countersign_domain::{
    Date, DeaNumber, DeaRegistration, EmailAddress, KeyboardLine, LastDayError, PhoneNumber,
    Schedules, StateLicence, UsState,
};
use countersign_store::{Paper, Profile};
use http::StatusCode;

use super::{enrol_page, known, onward};
use crate::{
    portal::{Ctx, Fields, read, recovery, typed},
    views::{DataForm, EnrolBody, TextField},
    web::respond::{Out, page},
};

pub(super) fn data_form(it: &Enrolment) -> DataForm {
    let field = |value: &str| TextField { value: value.to_owned(), error: None };
    let profile = &it.profile;
    let email = |at: usize| profile.emails.get(at).map_or("", String::as_str);
    DataForm {
        name: it.person.name.clone(),
        prescribes: it.prescribes,
        papers: it
            .papers
            .iter()
            .map(|paper| {
                format!("{}, expires {}", paper.paper.label(), paper.paper.expires().text())
            })
            .collect(),
        asks_dea: it.prescribes && !it.papers.iter().any(|paper| paper.paper.dea().is_some()),
        asks_licence: it.prescribes
            && !it.papers.iter().any(|paper| matches!(paper.paper, Paper::Licence(_))),
        born: field(&profile.born),
        email: field(email(0)),
        email2: field(email(1)),
        phone: field(&profile.phone),
        address: field(&profile.address),
        ..DataForm::default()
    }
}

/// Reads the form; what is wrong stands beside its field.
fn read_data(
    ctx: &Ctx,
    fields: &Fields,
    it: &Enrolment,
    form: &mut DataForm,
) -> Option<PersonalData> {
    for (field, name, most) in [
        (&mut form.born, "born", 20),
        (&mut form.email, "email", 254),
        (&mut form.email2, "email2", 254),
        (&mut form.phone, "phone", 40),
        (&mut form.address, "address", 200),
        (&mut form.dea, "dea", 40),
        (&mut form.dea_state, "dea_state", 10),
        (&mut form.schedules, "schedules", 40),
        (&mut form.dea_expires, "dea_expires", 20),
        (&mut form.licence_state, "licence_state", 10),
        (&mut form.licence, "licence", 40),
        (&mut form.licence_expires, "licence_expires", 20),
    ] {
        *field = typed(fields, name, most);
    }
    let mut good = true;
    if form.prescribes {
        let born = read::<Date>(&mut form.born);
        let today = Date::at(ctx.now(), &it.practice.zone);
        if born.is_some_and(|born| born.days_until(today) < 18 * 365) {
            form.born.error = Some("Enter your date of birth.".to_owned());
        }
        good &= form.born.error.is_none();
    }
    let contact = recovery::read_contact(
        &mut form.email,
        &mut form.email2,
        &mut form.phone,
        &mut form.address,
    );
    good &= contact.is_some();
    let mut papers = Vec::new();
    if form.asks_dea {
        let parts = (
            read::<DeaNumber>(&mut form.dea),
            read::<UsState>(&mut form.dea_state),
            read::<Schedules>(&mut form.schedules),
            read::<Date>(&mut form.dea_expires),
        );
        if let Some(last) = parts.3 {
            let today = Date::at(ctx.now(), &it.practice.zone);
            form.dea_expires.error =
                LastDayError::of_registration(last, today).err().map(|error| error.to_string());
        }
        if let (Some(number), Some(state), Some(schedules), Some(expires), None) =
            (parts.0, parts.1, parts.2, parts.3, &form.dea_expires.error)
        {
            let dea = DeaRegistration { number, state, schedules, expires, withdrawn: None };
            papers.push(Paper::Dea(dea));
        } else {
            good = false;
        }
    }
    if form.asks_licence {
        if form.licence.value.is_empty() {
            form.licence.error = Some("Enter the license number.".to_owned());
        }
        read::<KeyboardLine<40>>(&mut form.licence);
        let state = read::<UsState>(&mut form.licence_state);
        let expires = read::<Date>(&mut form.licence_expires);
        if let Some(last) = expires {
            let today = Date::at(ctx.now(), &it.practice.zone);
            form.licence_expires.error =
                LastDayError::of_licence(last, today).err().map(|error| error.to_string());
        }
        let wrong = form.licence.error.is_some() || form.licence_expires.error.is_some();
        match (state, expires, wrong) {
            (Some(state), Some(expires), false) => {
                let number = form.licence.value.clone();
                papers.push(Paper::Licence(StateLicence {
                    state,
                    number,
                    expires,
                    withdrawn: None,
                }));
            }
            _ => good = false,
        }
    }
    let (emails, phone, address) = contact.filter(|_| good)?;
    let profile = Profile {
        born: if form.prescribes { form.born.value.clone() } else { String::new() },
        emails: emails.iter().map(|email: &EmailAddress| email.as_str().to_owned()).collect(),
        phone: phone.map(|phone: PhoneNumber| phone.as_str().to_owned()).unwrap_or_default(),
        address,
        ..Profile::default()
    };
    Some(PersonalData { profile, papers })
}

pub(in crate::portal) async fn data(ctx: Ctx, fields: Fields) -> Out {
    let (session, _, it) = known(&ctx).await?;
    let mut form = data_form(&it);
    let Some(data) = read_data(&ctx, &fields, &it, &mut form) else {
        let template = enrol_page(&ctx, &it, EnrolBody::Data(Box::new(form)));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    onward(&ctx, ctx.app().save_personal_data(&session, data, ctx.at).await)
}
