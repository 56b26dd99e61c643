//! The signed records: the practitioner's own log, and the archive of a practice.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use countersign_app::{Answer, Entry, Format, LiftRefusal, MOST_RECORDS, Search, rendered};
use countersign_domain::{
    Date, HoldId, PersonId, PracticeId, PrescriptionId, Role, Schedule, check_line,
    command::commands, prescription::State, retyped,
};
use http::{StatusCode, header};

use super::{Ctx, Fields, Query, practice, read, reason, show, tokens};
use crate::{
    views::{
        ANY_TOKEN, Choice, ChoiceField, HoldLine, HoldsPage, LogLink, NavTab, Notice, NoticeKind,
        OwnRecordsPage, RecordLine, RecordsPage, SecretField, StepUp, TextField,
    },
    web::respond::{Out, Stop, page, see_other},
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
        more: format!(
            "{}. {}, refills: {}. {}",
            of("/prescription/directions"),
            Schedule::from_code(of("/prescription/schedule")).map_or("", Schedule::label),
            entry.number("/prescription/refills"),
            of("/prescription/pharmacy/name"),
        ),
        call: match entry.it.state {
            State::Signed { .. } | State::Transmitted { .. } => {
                Some(of("/prescription/pharmacy/name").to_owned())
            }
            _ => None,
        },
        practice: of("/practitioner/practice").to_owned(),
        by: of("/practitioner/name").to_owned(),
        dea: of("/practitioner/dea").to_owned(),
        state: entry.it.state.label(),
        disowned: entry.it.disowned.map(show::when),
        kept: String::new(),
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
        full: log.full,
        not_sent: log.not_sent.iter().map(line).collect(),
        logs: log
            .logs
            .iter()
            .map(|(it, name)| LogLink {
                practice: it.practice.to_string(),
                name: name.clone(),
                month: it.month.clone(),
                new: it.seen.is_none() && it.month != log.month,
            })
            .collect(),
        month: log.month,
    };
    if query.text("done") == "disowned" {
        let text = "Reported. Your practice's access control designees are notified and must review it within one \
                    business day. If it was sent, call the pharmacy now: reporting does not stop it there. If someone \
                    may have your token or passphrase, also disable the token.";
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
    let noted = ctx.app().note_export(&session, session.practice, what, ctx.at).await;
    noted.map_err(|error| ctx.stop(&error))?;
    let format = format_of(&fields);
    let title = format!("Signed prescriptions of {}, {}", overview.prescriber.name, log.month);
    let body = rendered(&log.entries, format, &title);
    Ok(file(&format!("prescriptions-{}", log.month), format, body))
}

pub(super) async fn disown(ctx: Ctx, Path(id): Path<String>, fields: Fields) -> Out {
    let (session, _, _) = tokens::known(&ctx).await?;
    let id: PrescriptionId = id.parse().map_err(|_| ctx.not_found())?;
    ctx.app().disown(&session, id, ctx.at).await.map_err(|error| ctx.stop(&error))?;
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
        let text = get(name);
        let error = check_line(text.trim(), 100).err().map(|error| error.to_string());
        *field = TextField { value: retyped(text.trim()), error };
    }
    let person = get("person").parse::<PersonId>().ok();
    it.person.value = person.map(|id| id.to_string()).unwrap_or_default();
    let day = |field: &mut TextField| match field.value.as_str() {
        "" => None,
        _ => read::<Date>(field),
    };
    let (from, to) = (day(&mut it.from), day(&mut it.to));
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        it.to.error = Some("The end date is before the start date.".to_owned());
    }
    if [&it.patient, &it.drug, &it.from, &it.to].iter().any(|field| field.error.is_some()) {
        return None;
    }
    Some(Search {
        person,
        patient: it.patient.value.clone(),
        drug: it.drug.value.clone(),
        from,
        to,
    })
}

fn records_page(ctx: &Ctx, known: &practice::Known) -> Result<RecordsPage, Stop> {
    if !known.membership.sees_records() {
        return Err(ctx.not_found());
    }
    Ok(RecordsPage {
        page: known.frame(ctx, "Signed prescriptions"),
        base: known.base(),
        person: prescribers(known),
        patient: TextField::default(),
        drug: TextField::default(),
        from: TextField::default(),
        to: TextField::default(),
        most: MOST_RECORDS,
        full: false,
        lines: None,
        holds: 0,
    })
}

/// Those who prescribe in a practice, or did.
fn prescribers(known: &practice::Known) -> ChoiceField {
    let prescribers = known
        .practice_overview
        .roles
        .iter()
        .filter(|member| member.role == Role::Prescriber)
        .map(|member| Choice::new(member.person.to_string(), known.name(member.person)))
        .collect();
    ChoiceField { value: String::new(), options: prescribers, error: None }
}

pub(super) async fn search(ctx: Ctx, Path(place): Path<String>, query: Query) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let mut template = records_page(&ctx, &known)?;
    let keeping = ctx.app().keeping(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    template.holds = keeping.in_force();
    let Some(search) = asked(|name| query.text(name).to_owned(), &mut template) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let found = ctx.app().search_records(&known.membership, search, ctx.at).await;
    let found = found.map_err(|error| ctx.stop(&error))?;
    template.full = i64::try_from(found.len()).unwrap_or(i64::MAX) >= MOST_RECORDS;
    let kept = |entry: &Entry| {
        let held = keeping.held(entry.it.record.prescriber);
        let kept = if held { "Held".to_owned() } else { keeping.until(entry).text() };
        RecordLine { kept, ..line(entry) }
    };
    template.lines = Some(sorted(found.iter().map(kept).collect(), query.text("sort")));
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn export(ctx: Ctx, Path(place): Path<String>, fields: Fields) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let mut template = records_page(&ctx, &known)?;
    let get = |name: &str| fields.text(name).to_owned();
    let Some(search) = asked(get, &mut template) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let (change, back) = (commands::EXPORT_RECORDS, format!("{}/records", known.base()));
    let (action, fields) = (format!("{back}/export"), &fields);
    let asking = practice::Asking::new(&ctx, &known, fields, change, action, back);
    let act = asking.act()?;
    let found = ctx.app().export_records(act, search, ctx.at).await;
    let found = asking.done(found)?;
    let format = format_of(fields);
    let title = format!("Signed prescriptions, {}", known.membership.practice.name);
    Ok(file("signed-prescriptions", format, rendered(&found, format, &title)))
}

async fn holds_page(ctx: &Ctx, known: &practice::Known) -> Result<HoldsPage, Stop> {
    let keeping = ctx.app().keeping(&known.membership).await.map_err(|error| ctx.stop(&error))?;
    let retention = &ctx.app().options().retention;
    let lines = keeping
        .holds
        .iter()
        .map(|it| HoldLine {
            id: it.id.to_string(),
            whose: it.person.map_or_else(|| "All prescribers".to_owned(), |id| known.name(id)),
            reason: it.reason.clone(),
            placed: show::when(it.placed.0),
            by: known.name(it.placed.1),
            lifted: it
                .lifted
                .as_ref()
                .map(|(at, by, why)| (show::when(*at), known.name(*by), why.clone())),
            field: why_field(it.id),
            why: TextField::default(),
            step_up: None,
        })
        .collect();
    Ok(HoldsPage {
        page: known.frame(ctx, "Legal holds"),
        base: known.base(),
        years: retention.years_everywhere(),
        longer: retention.years(None) > retention.years_everywhere(),
        lines,
        lifting: None,
        lock: None,
        person: whose(known),
        reason: TextField::default(),
    })
}

/// Everybody, or one of those who prescribe.
fn whose(known: &practice::Known) -> ChoiceField {
    let mut field = prescribers(known);
    field.options.insert(0, Choice::new("all", "All prescribers"));
    field
}

/// The name of the field that says why a hold is lifted: each has a form of its own on the page.
fn why_field(id: HoldId) -> String {
    format!("why-{id}")
}

pub(super) async fn holds(ctx: Ctx, Path(place): Path<String>, query: Query) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let mut template = holds_page(&ctx, &known).await?;
    let done = match query.text("done") {
        "held" => Some("Hold placed."),
        "lifted" => Some("Hold lifted."),
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn hold(ctx: Ctx, Path(place): Path<String>, fields: Fields) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let mut template = holds_page(&ctx, &known).await?;
    template.reason = reason(&fields, "reason");
    let asked = fields.text("person");
    if template.person.options.iter().any(|it| it.value == asked) {
        asked.clone_into(&mut template.person.value);
    } else {
        template.person.error = Some("Choose the prescriber.".to_owned());
    }
    if template.person.error.is_some() || template.reason.error.is_some() {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let person = asked.parse::<PersonId>().ok();
    let (change, back) = (commands::PLACE_HOLD, format!("{}/holds", known.base()));
    let (action, fields) = (back.clone(), &fields);
    let asking = practice::Asking::new(&ctx, &known, fields, change, action, back).about([
        ("Prescriber", template.person.chosen().to_owned()),
        ("Reason", template.reason.value.clone()),
    ]);
    let act = asking.act()?;
    let placed = ctx.app().place_hold(act, person, template.reason.value, ctx.at).await;
    asking.done(placed)?;
    Ok(see_other(&format!("{}/holds?done=held", known.base())))
}

pub(super) async fn lift(
    ctx: Ctx,
    Path((place, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = practice::known(&ctx, &place).await?;
    let id: HoldId = id.parse().map_err(|_| ctx.not_found())?;
    let mut template = holds_page(&ctx, &known).await?;
    let at = template.lines.iter().position(|it| it.id == id.to_string() && it.lifted.is_none());
    let at = at.ok_or_else(|| ctx.not_found())?;
    let mut line = template.lines.remove(at);
    line.why = reason(&fields, &why_field(id));
    line.step_up = Some(StepUp {
        token: show::choices(&known.overview.tokens, ANY_TOKEN, ctx.now()),
        passcode: SecretField::default(),
    });
    // The first press asks for the passcode; the second brings it.
    let asked = !fields.text("stepup_token").is_empty();
    if !asked || line.why.error.is_some() {
        template.lifting = Some(line);
        let status = if asked || template.is_wrong() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        };
        return Ok(page(status, &template));
    }
    let confirm = tokens::confirm(&fields, line.step_up.as_mut());
    let Ok(Some(confirm)) = confirm else {
        template.lifting = Some(line);
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let why = line.why.value.clone();
    let act = known.act(Some(confirm));
    let lifted = ctx.app().lift_hold(act, id, why, ctx.at).await;
    match lifted.map_err(|error| ctx.stop(&error))? {
        Answer::Done(()) | Answer::Refused(LiftRefusal::Lifted) => {
            return Ok(see_other(&format!("{}/holds?done=lifted", known.base())));
        }
        Answer::Refused(LiftRefusal::Own) => {
            let text = "This hold covers your own records, so another person must lift it.";
            template.page.notice = Some(Notice::new(NoticeKind::Error, text));
        }
        Answer::NotConfirmed(refusal) => {
            template.lock =
                tokens::step_up_refused(&ctx, &mut line.step_up, &refusal, &known.overview);
        }
    }
    template.lifting = Some(line);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
