//! The report of the build that runs: shown, downloaded, acknowledged for a practice, read by a practitioner
//! (21 CFR 1311.102(d), 1311.300(f)).

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use countersign_app::{Certification, Change, Overview};
use countersign_domain::{
    PersonId, PracticeId, ReportId, Role, certification::ReportFormat, command::commands,
};
use countersign_store::{NoncomplianceNotice, Report};
use data_encoding::HEXLOWER;
use http::{StatusCode, header};

use super::{Ctx, Fields, Query, enrol, practice, show, tokens};
use crate::{
    views::{
        ANY_TOKEN, CertificationPage, NavTab, Notice, NoticeKind, NoticeLine, Page, ReportLine,
        SecretField, StepUp,
    },
    web::respond::{Out, Stop, page, see_other},
};

const OWN: &str = "/portal/certification";
const NOTHING_CHANGED: &str =
    "No changes made: this was already done, or a different report is now in force.";

pub(super) fn line(report: &Report, place: &str) -> ReportLine {
    let facts = &report.facts;
    ReportLine {
        href: format!("{place}/{}", report.id),
        name: facts.name.clone(),
        kind: facts.kind.label(),
        auditor: facts.auditor.clone(),
        issued: facts.issued.text(),
        expires: facts.expires.text(),
        format: match report.format {
            ReportFormat::Pdf => "PDF",
            ReportFormat::Text => "text",
        },
        sha256: HEXLOWER.encode(&report.sha256),
    }
}

fn notice(it: &NoncomplianceNotice) -> NoticeLine {
    NoticeLine {
        source: it.source.clone(),
        reason: it.reason.clone(),
        through: it.through.to_string(),
        entered: show::when(it.entered),
    }
}

/// The page with all that is the same for a practice and a practitioner.
fn certification_page(
    frame: Page,
    it: &Certification,
    name: impl Fn(PersonId) -> String,
) -> CertificationPage {
    let current = it.report.as_ref().map(|report| report.id);
    CertificationPage {
        page: frame,
        back: (String::new(), String::new()),
        action: String::new(),
        of_practice: false,
        version: it.running.version.to_string(),
        build: it.running.id.to_string(),
        listed: it.running.listed.is_some(),
        report: it.report.as_ref().map(|report| line(report, OWN)),
        report_id: current.map_or_else(String::new, |id| id.to_string()),
        holds: it.holds,
        acknowledged: it.acknowledged.map(|(who, when)| (name(who), show::when(when))),
        reviewed: it.reviewed.map(show::when),
        may: false,
        notices: it.notices.iter().map(notice).collect(),
        older: it
            .all
            .iter()
            .filter(|report| Some(report.id) != current)
            .map(|report| line(report, OWN))
            .collect(),
        step_up: None,
        lock: None,
    }
}

fn done(template: &mut CertificationPage, query: &Query) {
    // Only where it is so: an address that is opened again says nothing that is not true.
    let text = match query.text("done") {
        "acknowledged" if template.acknowledged.is_some() => {
            "The report was acknowledged for the practice."
        }
        "read" if template.reviewed.is_some() => "Recorded: you have read the report.",
        _ => return,
    };
    template.page.notice = Some(Notice::new(NoticeKind::Success, text));
}

/// What became of the form; the address that says so, or the page again.
fn answer(
    ctx: &Ctx,
    mut template: CertificationPage,
    overview: &Overview,
    change: Change<()>,
    to: &str,
) -> Response {
    match change {
        Change::Done(()) => return see_other(to),
        Change::Refused(refusal) => {
            let text = match refusal {
                countersign_domain::Refusal::NoChange => NOTHING_CHANGED.to_owned(),
                other => other.to_string(),
            };
            template.page.notice = Some(Notice::new(NoticeKind::Error, text));
        }
        Change::NotConfirmed(refusal) => {
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(ctx, &mut asked, &refusal, overview);
            template.step_up = asked;
        }
    }
    page(StatusCode::UNPROCESSABLE_ENTITY, &template)
}

fn shown(ctx: &Ctx, fields: &Fields) -> Result<ReportId, Stop> {
    fields.text("report").parse().map_err(|_| ctx.not_found())
}

async fn own_page(
    ctx: &Ctx,
) -> Result<(CertificationPage, countersign_store::Session, PersonId, Overview), Stop> {
    let (session, person, overview) = tokens::known(ctx).await?;
    let it = ctx.app().certification(session.practice, person, ctx.at).await;
    let it = it.map_err(|error| ctx.stop(&error))?;
    let frame = tokens::frame(ctx, &overview, "Certification", NavTab::Overview);
    let mut template = certification_page(frame, &it, |_| String::new());
    template.back = ("/portal/dashboard".to_owned(), "Overview".to_owned());
    OWN.clone_into(&mut template.action);
    template.may = overview.prescriber.sign_in.npi().is_some();
    template.step_up = tokens::step_up(ctx, &session, &overview);
    Ok((template, session, person, overview))
}

pub(super) async fn own(ctx: Ctx, query: Query) -> Out {
    let (mut template, ..) = own_page(&ctx).await?;
    done(&mut template, &query);
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn review(ctx: Ctx, fields: Fields) -> Out {
    let (mut template, session, _, overview) = own_page(&ctx).await?;
    let report = shown(&ctx, &fields)?;
    let Ok(confirm) = tokens::confirm(&fields, template.step_up.as_mut()) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let change = ctx.app().review_report(&session, report, confirm, ctx.at).await;
    let change = change.map_err(|error| ctx.stop(&error))?;
    Ok(answer(&ctx, template, &overview, change, &format!("{OWN}?done=read")))
}

/// The document of a report, for whoever has an account (21 CFR 1311.300(f)).
pub(super) async fn document(ctx: Ctx, Path(id): Path<String>) -> Out {
    ctx.full_session()?;
    let id: ReportId = id.parse().map_err(|_| ctx.not_found())?;
    file(&ctx, id).await
}

/// The report of the build that runs, for somebody who enrols and reads it with the terms.
pub(super) async fn enrolling_document(ctx: Ctx) -> Out {
    let (session, person) = enrol::enrolling(&ctx)?;
    let it = ctx.app().certification(session.practice, person, ctx.at).await;
    let report = it.map_err(|error| ctx.stop(&error))?.report.ok_or_else(|| ctx.not_found())?;
    file(&ctx, report.id).await
}

async fn file(ctx: &Ctx, id: ReportId) -> Out {
    let found = ctx.app().report_document(id).await.map_err(|error| ctx.stop(&error))?;
    let (report, document) = found;
    let name =
        format!("attachment; filename=\"certification-report-{id}.{}\"", report.format.extension());
    let headers = [
        (header::CONTENT_TYPE, report.format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, document).into_response())
}

async fn practice_page(
    ctx: &Ctx,
    place: &str,
) -> Result<(CertificationPage, practice::Known), Stop> {
    let known = practice::known(ctx, place).await?;
    let practice: PracticeId = known.membership.practice.id;
    let it = ctx.app().certification(practice, known.membership.person, ctx.at).await;
    let it = it.map_err(|error| ctx.stop(&error))?;
    let frame = known.frame(ctx, "Certification");
    let mut template = certification_page(frame, &it, |id| known.name(id));
    template.back = (known.base(), known.membership.practice.name.clone());
    template.action = format!("{}/certification", known.base());
    template.of_practice = true;
    template.may = known.membership.roles.contains(&Role::Designated);
    template.step_up = Some(StepUp {
        token: show::choices(&known.overview.tokens, ANY_TOKEN, ctx.now()),
        passcode: SecretField::default(),
    });
    Ok((template, known))
}

pub(super) async fn of_practice(ctx: Ctx, Path(place): Path<String>, query: Query) -> Out {
    let (mut template, _) = practice_page(&ctx, &place).await?;
    done(&mut template, &query);
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn acknowledge(ctx: Ctx, Path(place): Path<String>, fields: Fields) -> Out {
    let (mut template, known) = practice_page(&ctx, &place).await?;
    if !template.may {
        return Err(ctx.not_found());
    }
    let report = shown(&ctx, &fields)?;
    let back = template.action.clone();
    let (change, action) = (commands::ACKNOWLEDGE_REPORT, back.clone());
    let asking = practice::Asking::new(&ctx, &known, &fields, change, action, back);
    let act = asking.act()?;
    let done = ctx.app().acknowledge_report(act, report, ctx.at).await;
    if asking.answer(done)?.is_ok() {
        return Ok(see_other(&format!("{}?done=acknowledged", template.action)));
    }
    template.page.notice = Some(Notice::new(NoticeKind::Error, NOTHING_CHANGED));
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
