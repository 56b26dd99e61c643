//! The signed records: the practitioner's own log, and the archive of a practice.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use countersign_domain::{Date, PersonId, PracticeId, PrescriptionId, Role};
use http::{StatusCode, header};

use super::{
    Ctx, Fields, Query,
    practice::{self, read, typed},
    show, tokens,
};
use crate::{
    app::{Entry, Format, MOST_RECORDS, Search, rendered},
    respond::{Out, Stop, page, see_other},
    views::{
        Choice, ChoiceField, LogLink, NavTab, Notice, NoticeKind, OwnRecordsPage, RecordLine,
        RecordsPage, TextField,
    },
};

const OWN: &str = "/portal/prescriptions";

fn line(entry: &Entry) -> RecordLine {
    let of = |path: &str| entry.text(path);
    RecordLine {
        id: entry.it.record.prescription.to_string(),
        signed: show::when(entry.it.record.signed),
        patient: of("/prescription/patient/name").to_owned(),
        drug: format!(
            "{} {}, {} {}",
            of("/prescription/drug"),
            of("/prescription/strength"),
            of("/prescription/quantity"),
            of("/prescription/unit"),
        ),
        by: of("/practitioner/name").to_owned(),
        dea: of("/practitioner/dea").to_owned(),
        state: entry.it.state.label(),
        disowned: entry.it.disowned.map(show::when),
    }
}

/// Sorted as the law wants it to be possible: by patient, drug or date (21 CFR 1311.120(b)(27)(v)).
fn sorted(mut lines: Vec<RecordLine>, by: &str) -> Vec<RecordLine> {
    match by {
        "patient" => lines.sort_by(|a, b| a.patient.cmp(&b.patient)),
        "drug" => lines.sort_by(|a, b| a.drug.cmp(&b.drug)),
        _ => {}
    }
    lines
}

fn month_before(month: &str, back: i32) -> Option<String> {
    let first: Date = format!("{month}-01").parse().ok()?;
    Some(first.plus_days(if back < 0 { -1 } else { 31 }).month_start().month())
}

pub(super) async fn own(ctx: Ctx, query: Query) -> Out {
    let (session, person, overview) = tokens::known(&ctx).await?;
    let log = ctx.app().own_log(person, session.practice, query.text("month"), ctx.at).await;
    let log = log.map_err(|error| ctx.stop(&error))?;
    let sort = query.text("sort");
    let mut template = OwnRecordsPage {
        page: tokens::frame(&ctx, &overview, "Signed prescriptions", NavTab::Prescriptions),
        lines: sorted(log.entries.iter().map(line).collect(), sort),
        sort: match sort {
            "patient" => "patient",
            "drug" => "drug",
            _ => "date",
        },
        before: month_before(&log.month, -1),
        after: month_before(&log.month, 1).filter(|month| *month <= log.this_month),
        logs: log
            .logs
            .iter()
            .map(|(practice, name, month)| LogLink {
                practice: practice.to_string(),
                name: name.clone(),
                month: month.clone(),
            })
            .collect(),
        month: log.month,
    };
    if query.text("done") == "disowned" {
        let text = "Reported. The people who set access control have been told, and must look at it within one \
                    business day. If somebody may have your token or passphrase, report that too.";
        template.page.notice = Some(Notice::new(NoticeKind::Success, text));
    }
    Ok(page(StatusCode::OK, &template))
}

fn file(name: &str, format: Format, body: Vec<u8>) -> Response {
    let (kind, end) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::JsonLines => ("application/jsonl", "jsonl"),
        Format::Pdf => ("application/pdf", "pdf"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{end}\"")),
    ];
    (headers, body).into_response()
}

fn format_of(fields: &Fields) -> Format {
    match fields.text("format") {
        "jsonl" => Format::JsonLines,
        "pdf" => Format::Pdf,
        _ => Format::Csv,
    }
}

pub(super) async fn own_export(ctx: Ctx, fields: Fields) -> Out {
    let (session, person, overview) = tokens::known(&ctx).await?;
    let month = fields.text("month");
    let practice: Option<PracticeId> = fields.text("practice").parse().ok();
    if let Some(practice) = practice {
        let text = ctx.app().monthly_log(person, practice, month.to_owned(), ctx.at).await;
        let text = text.map_err(|error| ctx.stop(&error))?;
        return Ok(file(&format!("log-{month}"), Format::Csv, text.into_bytes()));
    }
    let log = ctx.app().own_log(person, session.practice, month, ctx.at).await;
    let log = log.map_err(|error| ctx.stop(&error))?;
    let what = format!("own records of {}", log.month);
    let noted = ctx.app().note_export(person, session.practice, what, ctx.at).await;
    noted.map_err(|error| ctx.stop(&error))?;
    let format = format_of(&fields);
    let title = format!("Signed prescriptions of {}, {}", overview.prescriber.name, log.month);
    let body = rendered(&log.entries, format, &title);
    Ok(file(&format!("prescriptions-{}", log.month), format, body))
}

pub(super) async fn disown(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (_, person, _) = tokens::known(&ctx).await?;
    let id: PrescriptionId = id.parse().map_err(|_| ctx.not_found())?;
    ctx.app().disown(person, id, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let month: String =
        fields.text("month").chars().filter(|c| c.is_ascii_digit() || *c == '-').collect();
    Ok(see_other(&format!("{OWN}?month={month}&done=disowned")))
}

/// What a form of the search says; nothing where a day can't be read.
fn asked(get: impl Fn(&str) -> String, it: &mut RecordsPage) -> Option<Search> {
    for (field, name) in [
        (&mut it.patient, "patient"),
        (&mut it.drug, "drug"),
        (&mut it.from, "from"),
        (&mut it.to, "to"),
    ] {
        field.value = get(name).trim().chars().take(100).collect();
    }
    it.person.value = get("person");
    let day = |field: &mut TextField| match field.value.as_str() {
        "" => None,
        _ => read::<Date>(field),
    };
    let (from, to) = (day(&mut it.from), day(&mut it.to));
    if it.from.error.is_some() || it.to.error.is_some() {
        return None;
    }
    Some(Search {
        person: it.person.value.parse::<PersonId>().ok(),
        patient: it.patient.value.clone(),
        drug: it.drug.value.clone(),
        from,
        to,
    })
}

fn records_page(ctx: &Ctx, known: &practice::Known) -> Result<RecordsPage, Stop> {
    if !known.desk.sees_records() {
        return Err(ctx.not_found());
    }
    let prescribers = known
        .board
        .roles
        .iter()
        .filter(|member| member.role == Role::Prescriber)
        .map(|member| Choice::new(member.person.to_string(), known.name(member.person)))
        .collect();
    Ok(RecordsPage {
        page: known.frame(ctx, "Signed prescriptions"),
        base: known.base(),
        person: ChoiceField { value: String::new(), options: prescribers, error: None },
        patient: TextField::default(),
        drug: TextField::default(),
        from: TextField::default(),
        to: TextField::default(),
        most: MOST_RECORDS,
        full: false,
        lines: Vec::new(),
    })
}

pub(super) async fn search(ctx: Ctx, Path(place): Path<String>, query: Query) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let mut template = records_page(&ctx, &known)?;
    let Some(search) = asked(|name| query.text(name).to_owned(), &mut template) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let found = ctx.app().search_records(&known.desk, search, ctx.at).await;
    let found = found.map_err(|error| ctx.stop(&error))?;
    template.full = i64::try_from(found.len()).unwrap_or(i64::MAX) >= MOST_RECORDS;
    template.lines = sorted(found.iter().map(line).collect(), query.text("sort"));
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn export(ctx: Ctx, Path(place): Path<String>, fields: Fields) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let mut template = records_page(&ctx, &known)?;
    let get = |name: &str| typed(&fields, name, 100).value;
    let Some(search) = asked(get, &mut template) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let found = ctx.app().search_records(&known.desk, search, ctx.at).await;
    let found = found.map_err(|error| ctx.stop(&error))?;
    let what = format!("{} records of the practice", found.len());
    let (person, practice) = (known.desk.person, known.desk.practice.id);
    let noted = ctx.app().note_export(person, practice, what, ctx.at).await;
    noted.map_err(|error| ctx.stop(&error))?;
    let format = format_of(&fields);
    let title = format!("Signed prescriptions, {}", known.desk.practice.name);
    Ok(file("signed-prescriptions", format, rendered(&found, format, &title)))
}
