//! The e-prescribing app: the prescriptions of the patient in context, and signing them.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use countersign_app::{
    Chart, Draft, Error, OneRx, RxRefusal, Sheet, Signing, SigningForm, SigningSet,
};
use countersign_domain::{
    Date, DeaNumber, ModelCode, PersonId, PrescriptionId, Schedule,
    canonical::CanonicalError,
    ocra::Challenge,
    prescription::{
        Content, Patient, Quantity, Rules, SIGNING_STATEMENT, Series, State as RxState,
        StateRefusal, Supervisor, longest,
    },
};
use countersign_protocol::oidc::jwk;
use countersign_store::{Identity, PrescriptionRow, Session};
use data_encoding::HEXLOWER;
use http::{StatusCode, header};
use serde_json::json;

use super::{Ctx, Fields, Query, read, show, start::closed, tokens, typed, typed_lines};
use crate::{
    Shared, qr,
    respond::{Out, Stop, page, see_other},
    views::{
        ANY_TOKEN, Area, Choice, ChoiceField, EPrescribingPage, Failure, Notice, NoticeKind, Page,
        RxEditPage, RxLine, RxPaperPage, RxSignPage, RxViewPage, SecretField, SigningLine, StepUp,
        TextField, When,
    },
};

const HOME: &str = "/e-prescribing";
const NEXT: &str = "Write the next of a series";
/// Most bytes of a text that is offered as a picture: with more, its squares are too small for a phone's camera.
const MOST_PICTURE: usize = 1_200;

/// Session, chart and what the chart shows.
struct Known {
    session: Session,
    chart: Chart,
    sheet: Sheet,
    name: String,
    /// Why the prescriber who looks can't sign now, whatever is written.
    signing: Option<SigningLine>,
}

fn not_from_a_chart(ctx: &Ctx) -> Stop {
    Stop::with(closed(
        ctx.frame(""),
        "Open e-Prescribing from a patient's chart",
        "In your EHR, open the chart of a patient and choose the e-Prescribing tab.",
        Some(("/portal".to_owned(), "Go to Token Management".to_owned())),
    ))
}

fn another_chart(ctx: &Ctx) -> Stop {
    Stop::with(closed(
        ctx.frame(""),
        "Another patient's chart is open now",
        "After that page another chart was opened in this browser. Nothing was saved. Open the first patient's \
         chart again from your EHR.",
        Some((HOME.to_owned(), "To the chart that is open".to_owned())),
    ))
}

async fn known(ctx: &Ctx) -> Result<Known, Stop> {
    let Some(session) = ctx.session.clone() else { return Err(not_from_a_chart(ctx)) };
    let Ok(chart) = ctx.app().chart(&session) else { return Err(not_from_a_chart(ctx)) };
    let sheet = ctx.app().sheet(&chart, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let name = ctx.app().launched_name(&session).await.map_err(|error| ctx.stop(&error))?;
    let signing = match chart.who {
        Identity::Prescriber(person) => {
            let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
            tokens::signing(ctx, &session, person, &overview).await?.filter(|it| !it.allowed)
        }
        Identity::Staff(_) => None,
    };
    Ok(Known { session, chart, sheet, name: name.unwrap_or_default(), signing })
}

impl Known {
    fn frame(&self, ctx: &Ctx, title: &str) -> Page {
        let mut frame = ctx.frame_for(title, &self.name);
        frame.area = Area::EPrescribing;
        frame.signing.clone_from(&self.signing);
        frame
    }

    fn me(&self) -> Option<PersonId> {
        match self.chart.who {
            Identity::Prescriber(id) => Some(id),
            Identity::Staff(_) => None,
        }
    }

    /// The rules for a prescription under this number.
    fn rules<'a>(&self, ctx: &'a Ctx, number: Option<DeaNumber>) -> Rules<'a> {
        let options = ctx.app().options();
        let mut numbers = self.sheet.numbers.iter().map(|it| &it.registration);
        Rules {
            today: self.sheet.today,
            drugs: &options.drugs,
            states: &options.states,
            state: numbers.find(|it| Some(it.number) == number).map(|it| it.state),
        }
    }

    fn name_of(&self, id: PersonId) -> String {
        let found = self.sheet.prescribers.iter().find(|(known, _)| *known == id);
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    }

    fn line(&self, row: &PrescriptionRow) -> RxLine {
        let content = &row.it.content;
        let what = [content.drug.as_str(), content.strength.as_str()].join(" ");
        RxLine {
            href: format!("{HOME}/rx/{}", row.id),
            what: if what.trim().is_empty() { "Prescription".to_owned() } else { what },
            state: row.it.state.label(),
            class: match row.it.state {
                RxState::Draft => "disabled",
                RxState::Ready { .. } | RxState::Failed { .. } => "locked",
                RxState::Signed { .. } | RxState::Transmitted { .. } => "active",
                RxState::Printed { .. } | RxState::Cancelled { .. } => "ended",
            },
            writer: Some(row.by.clone())
                .filter(|by| !by.is_empty() && *by != self.name_of(row.it.prescriber)),
            by: self.name_of(row.it.prescriber),
            when: show::when(row.changed),
            facts: facts(content),
            short: short(content),
            hindrance: String::new(),
        }
    }
}

/// What stands beside the fields that sign: patient, drug, strength, quantity, DEA number.
fn short(content: &Content) -> String {
    let quantity = content.quantity.as_ref().map_or("", Quantity::as_str);
    format!(
        "{}: {} {}, {quantity} {}, {}, DEA {}",
        content.patient.name,
        content.drug,
        content.strength,
        content.unit,
        content.directions,
        content.written_dea(),
    )
}

/// Everything that a prescription says, as the practitioner must see it (21 CFR 1311.120(b)(9)).
fn facts(content: &Content) -> Vec<(&'static str, String)> {
    let quantity = content.quantity.as_ref().map_or("", Quantity::as_str);
    let mut facts = vec![
        ("Patient", format!("{}, born {}", content.patient.name, content.patient.born)),
        ("Record number", content.patient.mrn.clone()),
        ("Patient's address", content.patient.address.clone()),
        ("Drug", content.drug.clone()),
        ("Strength, form", format!("{}, {}", content.strength, content.form)),
        ("Schedule", content.schedule.map_or("", Schedule::code).to_owned()),
        ("Quantity", format!("{quantity} {}", content.unit)),
        ("Directions", content.directions.clone()),
        ("Refills", content.refills.to_string()),
    ];
    if let Some(days) = content.days_supply {
        facts.push(("Days' supply", days.to_string()));
    }
    if let Some(day) = content.earliest_fill {
        facts.push(("Do not fill before", day.to_string()));
    }
    if let Some(day) = content.last_fill {
        facts.push(("Do not fill after", day.to_string()));
    }
    if let Some(series) = content.series {
        let text = match series.of {
            0 => "Schedule II".to_owned(),
            of => format!("{} of {of}", series.number),
        };
        facts.push(("In a series", text));
    }
    if !content.note.is_empty() {
        facts.push(("To the pharmacist", content.note.clone()));
    }
    facts.push((
        "Pharmacy",
        content
            .pharmacy
            .as_ref()
            .map_or_else(String::new, |it| format!("{}, NCPDP {}", it.name, it.ncpdp)),
    ));
    facts.push(("DEA number", content.written_dea()));
    if let Some(it) = &content.supervisor {
        let dea = it.dea.map(|dea| format!(", DEA {}", dea.as_text())).unwrap_or_default();
        facts.push(("Supervisor, who does not sign", format!("{}{dea}", it.name)));
    }
    facts
}

pub(super) async fn home(ctx: Ctx, query: Query) -> Out {
    let known = known(&ctx).await?;
    let me = known.me();
    let ready = known.sheet.rows.iter().filter(|row| {
        Some(row.it.prescriber) == me && matches!(row.it.state, RxState::Ready { .. })
    });
    let mut template = EPrescribingPage {
        page: known.frame(&ctx, "e-Prescribing"),
        ready: ready.count(),
        rows: known.sheet.rows.iter().map(|row| known.line(row)).collect(),
    };
    let done = match query.text("done") {
        "signed" => Some("Signed, and on its way to the pharmacy."),
        "ready" => Some("Marked ready. Review and sign it, or write another one first."),
        "cancelled" => Some("Cancelled."),
        // It may have been turned down again by now: then its line says so.
        "again"
            if known
                .sheet
                .rows
                .iter()
                .any(|row| matches!(row.it.state, RxState::Signed { .. })) =>
        {
            Some("It is being sent again.")
        }
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}

fn edit_page(ctx: &Ctx, known: &Known, row: Option<&PrescriptionRow>) -> RxEditPage {
    let field = |value: &str| TextField { value: value.to_owned(), error: None };
    let content = row.map(|row| &row.it.content);
    let of = |text: fn(&Content) -> &str| field(content.map_or("", text));
    let options = |options: Vec<Choice>, value: String| ChoiceField { value, options, error: None };
    let schedules = Schedule::ALL.into_iter().map(|it| Choice::new(it.code(), it.code())).collect();
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
    let heading = if row.is_some() { "Change a prescription" } else { "Write a prescription" };
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
pub(super) async fn new_form(ctx: Ctx, query: Query) -> Out {
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
        it.drug.error = Some("Type the drug.".to_owned());
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
        let near =
            if near.is_empty() { String::new() } else { format!(" It has {}.", near.join(", ")) };
        it.schedule.error = Some(format!(
            "This drug is not in the table.{near} Look whether it is spelled right, or choose its schedule."
        ));
    }
    let quantity = match it.quantity.value.as_str() {
        "" => None,
        _ => read::<Quantity>(&mut it.quantity),
    };
    let refills = it.refills.value.parse::<u8>().ok().filter(|refills| *refills < 100);
    if refills.is_none() {
        it.refills.error = Some("Type how many refills; 0 for none.".to_owned());
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
                it.days_supply.error = Some("Type the days as a number, such as 30.".to_owned());
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
        Ok(id) if marked => Ok(see_other(&format!("{HOME}/rx/{id}?done=unmarked"))),
        Ok(id) => Ok(see_other(&format!("{HOME}/rx/{id}"))),
        Err(refusal) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
    }
}

pub(super) async fn new(ctx: Ctx, fields: Fields) -> Out {
    let known = known(&ctx).await?;
    save(&ctx, &known, &fields, None).await
}

/// The prescription of an address, if it is one of this chart.
async fn found(ctx: &Ctx, known: &Known, id: &str) -> Result<OneRx, Stop> {
    let id: PrescriptionId = id.parse().map_err(|_| ctx.not_found())?;
    ctx.app().prescription(&known.chart, id, ctx.at).await.map_err(|error| ctx.stop(&error))
}

pub(super) async fn edit_form(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, .. } = found(&ctx, &known, &id).await?;
    Ok(page(StatusCode::OK, &edit_page(&ctx, &known, Some(&row))))
}

pub(super) async fn edit(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, .. } = found(&ctx, &known, &id).await?;
    save(&ctx, &known, &fields, Some(&row)).await
}

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
            RxState::Printed { .. } => Some("Show the paper"),
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
        RxState::Signed { .. } if way.outcome.is_empty() => {
            (format!("On its way to {pharmacy}."), None, String::new())
        }
        RxState::Signed { .. } => (
            format!("Not taken yet by {pharmacy}: {}.", way.outcome),
            None,
            format!(" It is tried again by itself ({} so far).", way.tries),
        ),
        RxState::Transmitted { at } => (format!("{pharmacy} took it at"), Some(at), String::new()),
        RxState::Failed { at } => {
            (format!("It did not get to {pharmacy},"), Some(at), format!(": {}.", way.outcome))
        }
        RxState::Printed { at } => (
            "Printed, to be signed by hand,".to_owned(),
            Some(at),
            ". It is not sent any more.".to_owned(),
        ),
        RxState::Draft | RxState::Ready { .. } | RxState::Cancelled { .. } => return None,
    };
    Some((words, when.map(show::when), more))
}

pub(super) async fn one(ctx: Ctx, Path(id): Path<String>, query: Query) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let mut template = view_page(&ctx, &known, &one);
    if query.text("done") == "unmarked" && one.row.it.state == RxState::Draft {
        let text = "Saved. It is no longer marked ready: review it, and mark it again.";
        template.page.notice = Some(Notice::new(NoticeKind::Warning, text));
    }
    Ok(page(StatusCode::OK, &template))
}

/// The paper of one: a copy while the electronic one counts (21 CFR 1311.170(c)), and after a failure what
/// is to be signed by hand (1311.170(b)).
pub(super) async fn paper(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, signed, way, .. } = found(&ctx, &known, &id).await?;
    let (Some(signed), Some(way)) = (signed, way) else { return Err(ctx.not_found()) };
    let content = &row.it.content;
    let failure = match row.it.state {
        RxState::Signed { .. } | RxState::Transmitted { .. } => None,
        RxState::Printed { .. } => Some(format!(
            "This prescription was originally transmitted electronically to {} on {}. The electronic transmission failed.",
            content.pharmacy.as_ref().map_or("the pharmacy", |it| it.name.as_str()),
            way.begun.minute_text(),
        )),
        _ => return Err(ctx.not_found()),
    };
    let mut facts = facts(content);
    let said = countersign_protocol::record::said(&signed.jws)
        .ok_or_else(|| ctx.stop(&Error::unreadable("a signed record")))?;
    let text = |path: &str| {
        said.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    facts.insert(0, ("Date", text("/written")));
    facts.push(("Practitioner", text("/practitioner/name")));
    facts.push(("NPI", text("/practitioner/npi")));
    facts.push(("Practitioner's address", text("/practitioner/address")));
    let template = RxPaperPage {
        page: known.frame(&ctx, "Prescription on paper"),
        href: format!("{HOME}/rx/{}", row.id),
        facts,
        failure,
    };
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn send_again(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().send_again(&known.chart, one.row.id, ctx.at).await;
    let done = done.map_err(|error| ctx.stop(&error))?;
    Ok(changed(&ctx, &known, &one, done, "?done=again"))
}

pub(super) async fn print(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().print_prescription(&known.chart, one.row.id, ctx.at).await;
    let done = done.map_err(|error| ctx.stop(&error))?;
    Ok(changed(&ctx, &known, &one, done, &format!("/rx/{}/paper", one.row.id)))
}

fn changed(
    ctx: &Ctx,
    known: &Known,
    one: &OneRx,
    done: Result<(), RxRefusal>,
    to: &str,
) -> Response {
    match done {
        Ok(()) => see_other(&format!("{HOME}{to}")),
        Err(refusal) => {
            let mut template = view_page(ctx, known, one);
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            page(StatusCode::UNPROCESSABLE_ENTITY, &template)
        }
    }
}

pub(super) async fn ready(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().mark_ready(&known.chart, one.row.id, ctx.at).await;
    let done = done.map_err(|error| ctx.stop(&error))?;
    Ok(changed(&ctx, &known, &one, done, "?done=ready"))
}

pub(super) async fn cancel(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let one = found(&ctx, &known, &id).await?;
    let done = ctx.app().cancel_prescription(&known.chart, one.row.id, ctx.at).await;
    let done = done.map_err(|error| ctx.stop(&error))?;
    Ok(changed(&ctx, &known, &one, done, "?done=cancelled"))
}

/// The signed record, as it lies in the archive.
pub(super) async fn record(ctx: Ctx, Path(id): Path<String>) -> Out {
    let known = known(&ctx).await?;
    let OneRx { row, signed, .. } = found(&ctx, &known, &id).await?;
    let signed = signed.ok_or_else(|| ctx.not_found())?;
    let name = format!("attachment; filename=\"prescription-{}.jws\"", row.id);
    let headers = [
        (header::CONTENT_TYPE, "application/jose".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, signed.jws).into_response())
}

async fn sign_page(
    ctx: &Ctx,
    known: &Known,
    me: PersonId,
) -> Result<(RxSignPage, SigningSet), Stop> {
    let set = ctx.app().signing_set(&known.chart, ctx.at).await;
    let set = set.map_err(|error| ctx.stop(&error))?;
    let overview = ctx.app().overview(me).await.map_err(|error| ctx.stop(&error))?;
    let shown_at = ctx.now().micros();
    let npi = set.npi();
    let line = |row: &PrescriptionRow| {
        let mut line = known.line(row);
        let why = set.hindrances.iter().filter(|(id, _)| *id == row.id);
        let why: Vec<String> = why.map(|(_, why)| why.to_string()).collect();
        line.hindrance = why.join(" ");
        line.facts.insert(0, ("Date", set.today.to_string()));
        line.facts.push(("Practitioner", format!("{}, NPI {npi}", set.person.name)));
        line.facts.push(("Practitioner's address", set.address.clone()));
        line
    };
    let rows: Vec<RxLine> = set.rows.iter().map(line).collect();
    let held = set.held.iter().map(line).collect();
    let signing = show::signing_choices(&overview, ANY_TOKEN, ctx.now());
    let signs = !signing.options.is_empty();
    let own = [ModelCode::AUTHENTICATOR, ModelCode::TERMINAL].map(ModelCode::known);
    let app = overview.tokens.iter().any(|it| it.is_active() && own.contains(&it.model));
    // What has no canonical form is not shown to be signed.
    let stop = |error: CanonicalError| ctx.stop(&error.into());
    let text = set.text(&ctx.app().options().public_url).map_err(stop)?;
    let bound = app.then(|| {
        let challenge = Challenge::of(&text).digits();
        let (first, last) = challenge.split_at(4);
        let picture = Some(&text).filter(|text| text.len() <= MOST_PICTURE);
        (picture.and_then(|text| qr::svg(text).ok()), format!("{first} {last}"))
    });
    let template = RxSignPage {
        page: known.frame(ctx, "Review and sign"),
        can_sign: !rows.is_empty() && signs,
        no_token: !signs,
        rows,
        held,
        statement: SIGNING_STATEMENT,
        digest: HEXLOWER.encode(&set.digest(shown_at).map_err(stop)?),
        shown_at,
        passphrase: SecretField::default(),
        step_up: Some(StepUp { token: signing, passcode: SecretField::default() }),
        bound,
        lock: None,
    };
    Ok((template, set))
}

/// Staff write, and never sign.
fn practitioner(ctx: &Ctx, known: &Known) -> Result<PersonId, Stop> {
    known.me().ok_or_else(|| {
        Stop::with(closed(
            ctx.frame(""),
            "Only prescribers sign",
            "What you write waits for the prescriber whose name stands on it.",
            Some((HOME.to_owned(), "Back to the prescriptions".to_owned())),
        ))
    })
}

pub(super) async fn sign_form(ctx: Ctx) -> Out {
    let known = known(&ctx).await?;
    let me = practitioner(&ctx, &known)?;
    let (template, _) = sign_page(&ctx, &known, me).await?;
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn sign(ctx: Ctx, fields: Fields) -> Out {
    let known = known(&ctx).await?;
    let me = practitioner(&ctx, &known)?;
    let (mut template, _) = sign_page(&ctx, &known, me).await?;
    if fields.text("passphrase").is_empty() {
        template.passphrase.error = Some("Type your passphrase.".to_owned());
    }
    let confirm = tokens::confirm(&fields, template.step_up.as_mut());
    let (Ok(Some(confirm)), None) = (confirm, &template.passphrase.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    // A form without what was shown is bound to nothing, and so is refused as changed.
    let digest = HEXLOWER.decode(fields.text("shown").as_bytes()).ok();
    let form = SigningForm {
        shown_at: fields.text("shown_at").parse().unwrap_or_default(),
        digest: digest.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        passphrase: fields.secret("passphrase"),
        confirm,
    };
    let signing = ctx.app().sign(&known.session, form, ctx.at).await;
    let text = match signing.map_err(|error| ctx.stop(&error))? {
        Signing::Done(_) => return Ok(see_other(&format!("{HOME}?done=signed"))),
        Signing::Refused(StateRefusal::NotReady) => {
            "Nothing was signed: what you saw is not marked ready any more. Somebody may have changed it. \
             Look at it, and mark it ready again."
                .to_owned()
        }
        Signing::Refused(refusal) => refusal.to_string(),
        Signing::Hindered(hindrance) => hindrance.to_string(),
        Signing::TimedOut => {
            "More than two minutes have passed. Look at it again, then sign.".to_owned()
        }
        Signing::NotConfirmed(refusal @ countersign_domain::Refusal::WrongPassphrase) => {
            template.passphrase.error = Some(refusal.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
        Signing::NotConfirmed(refusal) => {
            let overview = ctx.app().overview(me).await.map_err(|error| ctx.stop(&error))?;
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(&ctx, &mut asked, &refusal, &overview);
            template.step_up = asked;
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    template.page.notice = Some(Notice::new(NoticeKind::Error, text));
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

/// The keys of all signed records (RFC 7517), also those that sign no more.
pub(super) async fn keys(State(shared): State<Shared>) -> Response {
    let Ok(found) = shared.app.public_keys().await else {
        return super::bare(StatusCode::SERVICE_UNAVAILABLE);
    };
    let keys: Vec<_> = found.iter().map(|key| jwk(&key.key_id, &key.point)).collect();
    Json(json!({ "keys": keys })).into_response()
}
