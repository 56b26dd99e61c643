//! Drafts of prescriptions: the form, reading it, saving it.

use axum::extract::Path;
use countersign_app::{Answer, Draft, OneRx};
use countersign_domain::{
    Date, DeaNumber, Schedule,
    prescription::{Content, Patient, Quantity, Series, State as RxState, Supervisor, longest},
};
use countersign_store::PrescriptionRow;
use http::StatusCode;

use super::context::{HOME, Known, another_chart, found, known};
use crate::{
    portal::{Ctx, Fields, Query, read, typed, typed_lines},
    views::{Choice, ChoiceField, Notice, NoticeKind, RxEditPage, TextField},
    web::respond::{Out, page, see_other},
};

const NEXT: &str = "Add the next in a series";

fn edit_page(ctx: &Ctx, known: &Known, row: Option<&PrescriptionRow>) -> RxEditPage {
    let field = |value: &str| TextField { value: value.to_owned(), error: None };
    let content = row.map(|row| &row.it.content);
    let of = |text: fn(&Content) -> &str| field(content.map_or("", text));
    let options = |options: Vec<Choice>, value: String| ChoiceField { value, options, error: None };
    let schedules =
        Schedule::ALL.into_iter().map(|it| Choice::new(it.code(), it.label())).collect();
    let prescribers = match known.me() {
        Some(_) => Vec::new(),
        None => known
            .sheet
            .prescribers
            .iter()
            .map(|(id, name)| Choice::new(id.to_string(), name.clone()))
            .collect(),
    };
    let numbers = known
        .sheet
        .numbers
        .iter()
        .map(|it| {
            let (dea, number) = (&it.registration, it.written());
            let label = format!("{number}, {}, schedules {}", dea.state.as_text(), dea.schedules);
            Choice::new(dea.number.as_text(), label)
        })
        .collect();
    let state = known.rules(ctx, content.and_then(|it| it.dea)).state;
    let address = content.map_or(known.sheet.address.as_str(), |it| it.patient.address.as_str());
    let heading = if row.is_some() { "Edit a prescription" } else { "Write a prescription" };
    RxEditPage {
        page: known.frame(ctx, heading),
        patient: known.chart.patient.id.clone(),
        action: row
            .map_or_else(|| format!("{HOME}/new"), |row| format!("{HOME}/rx/{}/edit", row.id)),
        heading,
        prescriber: options(
            prescribers,
            row.map(|row| row.it.prescriber.to_string()).unwrap_or_default(),
        ),
        drug: of(|it| &it.drug),
        drugs: ctx.app().options().drugs.names().map(str::to_owned).collect(),
        strength: of(|it| &it.strength),
        form: of(|it| &it.form),
        // What the table says of a drug does not stay when another one is typed.
        schedule: options(
            schedules,
            content
                .filter(|it| ctx.app().options().drugs.schedule_of(&it.drug, state) != it.schedule)
                .and_then(|it| it.schedule)
                .map_or("", Schedule::code)
                .to_owned(),
        ),
        quantity: field(content.and_then(|it| it.quantity.as_ref()).map_or("", Quantity::as_str)),
        unit: of(|it| &it.unit),
        refills: field(&content.map_or(0, |it| it.refills).to_string()),
        directions: of(|it| &it.directions),
        days_supply: field(
            &content.and_then(|it| it.days_supply).map(|days| days.to_string()).unwrap_or_default(),
        ),
        earliest_fill: field(
            &content.and_then(|it| it.earliest_fill).map(|day| day.to_string()).unwrap_or_default(),
        ),
        after: String::new(),
        supervisor: of(|it| it.supervisor.as_ref().map_or("", |it| it.name.as_str())),
        supervisor_dea: field(
            &content
                .and_then(|it| it.supervisor.as_ref()?.dea)
                .map(|dea| dea.as_text())
                .unwrap_or_default(),
        ),
        no_number: known.me().is_some() && known.sheet.numbers.is_empty(),
        address: field(address),
        note: of(|it| &it.note),
        pharmacy: options(
            ctx.app()
                .options()
                .pharmacies
                .iter()
                .map(|it| Choice::new(it.ncpdp.clone(), it.name.clone()))
                .collect(),
            content
                .and_then(|it| it.pharmacy.as_ref())
                .map(|it| it.ncpdp.clone())
                .unwrap_or_default(),
        ),
        // Never chosen by itself, however many there are (21 CFR 1311.120(b)(7)).
        dea: options(
            numbers,
            content.and_then(|it| it.dea).map(|dea| dea.as_text()).unwrap_or_default(),
        ),
    }
}

/// The form of a new one; after another one it is the next of its series, and says the same.
pub(in crate::portal) async fn new_form(ctx: Ctx, query: Query) -> Out {
    let known = known(&ctx).await?;
    let after = query.text("after");
    if after.is_empty() {
        return Ok(page(StatusCode::OK, &edit_page(&ctx, &known, None)));
    }
    let OneRx { mut row, .. } = found(&ctx, &known, after).await?;
    let content = &mut row.it.content;
    let from = content.earliest_fill.unwrap_or(known.sheet.today);
    content.earliest_fill = content.days_supply.map(|days| from.plus_days(i32::from(days)));
    let mut template = edit_page(&ctx, &known, Some(&row));
    (template.page.title, template.heading) = (NEXT.to_owned(), NEXT);
    template.action = format!("{HOME}/new");
    template.after = row.id.to_string();
    Ok(page(StatusCode::OK, &template))
}

/// Reads the form; what can't be read stands beside its field. What is merely missing may stay so in a
/// draft.
fn read_draft(
    ctx: &Ctx,
    fields: &Fields,
    known: &Known,
    series: Option<Series>,
    it: &mut RxEditPage,
) -> Option<Draft> {
    for (field, name, most) in [
        (&mut it.drug, "drug", longest("drug")),
        (&mut it.strength, "strength", longest("strength")),
        (&mut it.form, "form", longest("form")),
        (&mut it.quantity, "quantity", 12),
        (&mut it.unit, "unit", longest("unit")),
        (&mut it.days_supply, "days_supply", 4),
        (&mut it.refills, "refills", 4),
        (&mut it.supervisor, "supervisor", longest("supervisor")),
        (&mut it.supervisor_dea, "supervisor_dea", 40),
        (&mut it.earliest_fill, "earliest_fill", 20),
        (&mut it.address, "address", longest("address")),
        (&mut it.note, "note", longest("note")),
    ] {
        *field = typed(fields, name, most);
    }
    // Directions are one line on the record, however many were typed.
    it.directions = typed_lines(fields, "directions", longest("directions"));
    for (field, name) in [
        (&mut it.prescriber, "prescriber"),
        (&mut it.schedule, "schedule"),
        (&mut it.pharmacy, "pharmacy"),
        (&mut it.dea, "dea"),
    ] {
        fields.text(name).clone_into(&mut field.value);
    }
    if it.drug.value.is_empty() && it.drug.error.is_none() {
        it.drug.error = Some("Enter the drug.".to_owned());
    }
    let dea = it.dea.value.parse::<DeaNumber>().ok();
    let dea =
        dea.filter(|dea| known.sheet.numbers.iter().any(|own| own.registration.number == *dea));
    let rules = known.rules(ctx, dea);
    let listed = rules.drugs.schedule_of(&it.drug.value, rules.state);
    let chosen = Schedule::ALL.into_iter().find(|known| known.code() == it.schedule.value);
    if let Some(chosen) = chosen {
        it.schedule.error = rules.wrong_schedule(&it.drug.value, chosen);
    }
    // A drug that is not in the table has the schedule that somebody says, and nobody did for this one.
    if listed.is_none() && chosen.is_none() && it.drug.error.is_none() {
        let near = ctx.app().options().drugs.beginning_with(&it.drug.value);
        let near = if near.is_empty() {
            String::new()
        } else {
            format!(" Did you mean {}?", near.join(", "))
        };
        it.schedule.error = Some(format!(
            "This drug is not in the drug table.{near} Check the spelling, or choose its schedule."
        ));
    }
    let quantity = match it.quantity.value.as_str() {
        "" => None,
        _ => read::<Quantity>(&mut it.quantity),
    };
    let refills = it.refills.value.parse::<u8>().ok().filter(|refills| *refills < 100);
    if refills.is_none() {
        it.refills.error = Some("Enter the number of refills (0 for none).".to_owned());
    }
    let earliest_fill = match it.earliest_fill.value.as_str() {
        "" => None,
        _ => read::<Date>(&mut it.earliest_fill),
    };
    let days_supply = match it.days_supply.value.as_str() {
        "" => None,
        text => {
            let days = text.parse::<u16>().ok();
            if days.is_none() {
                it.days_supply.error = Some("Enter the number of days, such as 30.".to_owned());
            }
            days
        }
    };
    let supervisor_dea = match it.supervisor_dea.value.as_str() {
        "" => None,
        _ => read::<DeaNumber>(&mut it.supervisor_dea),
    };
    let name = it.supervisor.value.trim();
    let supervisor = (!name.is_empty() || supervisor_dea.is_some())
        .then(|| Supervisor { name: name.to_owned(), dea: supervisor_dea });
    let prescriber = known.me().or_else(|| it.prescriber.value.parse().ok());
    if prescriber.is_none() {
        it.prescriber.error = Some("Choose the prescriber.".to_owned());
    }
    let content = Content {
        patient: Patient { address: it.address.value.clone(), ..Patient::default() },
        drug: it.drug.value.clone(),
        strength: it.strength.value.clone(),
        form: it.form.value.clone(),
        schedule: chosen.or(listed),
        quantity,
        unit: it.unit.value.clone(),
        directions: it.directions.value.clone(),
        days_supply,
        refills: refills.unwrap_or(0),
        earliest_fill,
        // These are the prescription's own, not the form's: the day of signing, its series, the institution's code.
        last_fill: None,
        series: None,
        internal_code: None,
        supervisor,
        note: it.note.value.clone(),
        pharmacy: ctx
            .app()
            .options()
            .pharmacies
            .iter()
            .find(|known| known.ncpdp == it.pharmacy.value)
            .cloned(),
        dea,
    };
    fields.text("after").clone_into(&mut it.after);
    let after = (!it.after.is_empty()).then(|| it.after.parse());
    let Ok(after) = after.transpose() else { return None };
    // It is judged as one of the series that it is of, or will be.
    let series = series.or_else(|| after.map(|id| Series { id, number: 0, of: 0 }));
    let judged = Content { series, ..content.clone() };
    // What is missing may stay so; what is typed and against the rules is said where it stands.
    for lack in judged.lacking(&rules) {
        let field = match lack.field {
            "refills" => &mut it.refills,
            "days_supply" if !it.days_supply.value.is_empty() => &mut it.days_supply,
            "earliest_fill" => &mut it.earliest_fill,
            "supervisor" if content.supervisor.is_some() => &mut it.supervisor,
            "supervisor_dea" => &mut it.supervisor_dea,
            "strength" if !it.strength.value.is_empty() => &mut it.strength,
            _ => continue,
        };
        field.error.get_or_insert_with(|| lack.text.into_owned());
    }
    let prescriber = prescriber.filter(|_| it.problems_are_none())?;
    Some(Draft { prescriber, content, after })
}

async fn save(ctx: &Ctx, known: &Known, fields: &Fields, row: Option<&PrescriptionRow>) -> Out {
    // The page was of one patient; a browser has one chart at a time, and it may be another's by now.
    if fields.text("patient") != known.chart.patient.id {
        return Err(another_chart(ctx));
    }
    let mut template = edit_page(ctx, known, row);
    let series = row.and_then(|row| row.it.content.series);
    let Some(draft) = read_draft(ctx, fields, known, series, &mut template) else {
        if !template.after.is_empty() {
            (template.page.title, template.heading) = (NEXT.to_owned(), NEXT);
        }
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let marked = row.is_some_and(|row| matches!(row.it.state, RxState::Ready { .. }));
    let saved = ctx.app().save_draft(&known.chart, row.map(|row| row.id), draft, ctx.at).await;
    match saved.map_err(|error| ctx.stop(&error))? {
        Answer::Done(id) if marked => Ok(see_other(&format!("{HOME}/rx/{id}?done=unmarked"))),
        Answer::Done(id) => Ok(see_other(&format!("{HOME}/rx/{id}"))),
        Answer::NotConfirmed(refusal) => Err(ctx.stop(&refusal.into())),
        Answer::Refused(refusal) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
    }
}

pub(in crate::portal) async fn new(ctx: Ctx, fields: Fields) -> Out {
    let known = known(&ctx).await?;
    save(&ctx, &known, &fields, None).await
}

pub(in crate::portal) async fn edit_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, .. } = found(&ctx, &known, &id).await?;
    Ok(page(StatusCode::OK, &edit_page(&ctx, &known, Some(&row))))
}

pub(in crate::portal) async fn edit(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, .. } = found(&ctx, &known, &id).await?;
    save(&ctx, &known, &fields, Some(&row)).await
}
