//! Identity proofing: the cases of a practice, what is decided in them, and asking somebody to prove it again.

use axum::extract::Path;
use countersign_app::{Answer, CaseDecision, CaseView, Seen, paper_in_words};
use countersign_domain::{
    Date, PersonId, Role, access::Setting, command::commands, proofing::CaseState,
};
use countersign_store::{CasePurpose, EvidenceRow, Paper};
use http::StatusCode;

use super::{
    context::{Asking, Known, known},
    people::odd_name,
};
use crate::{
    portal::{Ctx, Fields, Query, choice, read, recovery::missing_line, show, tokens, typed},
    views::{
        ANY_TOKEN, CaseLine, CasePage, CasesPage, Choice, ChoiceField, Notice, NoticeKind,
        SecretField, StepUp, TextField,
    },
    web::respond::{Out, Stop, page, see_other},
};

fn purpose(purpose: CasePurpose) -> &'static str {
    match purpose {
        CasePurpose::Enrolment => "First credential",
        CasePurpose::Recovery => "New token (no active token)",
        CasePurpose::Passphrase => "New passphrase",
    }
}

fn case_line(known: &Known, view: &CaseView) -> CaseLine {
    let state = match view.row.state {
        CaseState::Open => "Open",
        CaseState::Complete { .. } => "Complete",
        CaseState::Closed { .. } => "Closed",
    };
    let missing: Vec<String> = view.missing.iter().map(|it| missing_line(view, it).what).collect();
    CaseLine {
        href: format!("{}/cases/{}", known.base(), view.row.id),
        name: view.name.clone(),
        purpose: purpose(view.row.purpose),
        state,
        missing: missing.join(" "),
        when: show::when(view.row.opened),
    }
}

pub(in crate::portal) async fn cases(ctx: Ctx, Path(practice): Path<String>) -> Out {
    let known = known(&ctx, &practice).await?;
    let cases =
        ctx.app().cases(&known.membership, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let template = CasesPage {
        page: known.frame(&ctx, "Identity proofing"),
        base: known.base(),
        cases: cases.iter().map(|view| case_line(&known, view)).collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

async fn case_page(ctx: &Ctx, known: &Known, id: &str) -> Result<(CasePage, CaseView), Stop> {
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let view =
        ctx.app().case(&known.membership, id, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let open = view.row.state.is_open() && view.row.person != known.membership.person;
    let has = |role| open && known.membership.roles.contains(&role);
    let mut facts = Vec::new();
    let mut compared = Vec::new();
    let found = known.practice_overview.people.iter().find(|person| person.id == view.row.person);
    let sign_in_npi = found.and_then(|person| person.sign_in.npi());
    match &view.row.evidence {
        Some(EvidenceRow::Provider { issuer, assurance, proofed, npi, .. }) => {
            facts.push(("Proofed by", format!("{issuer} ({assurance})")));
            if view.row.near.is_none() && !view.differences.is_empty() && has(Role::Proofing) {
                let profile = ctx.app().contact(view.row.person, ctx.at).await;
                let ours = profile.map_err(|error| ctx.stop(&error))?.profile;
                let rows = [
                    ("First name", &ours.given, &proofed.given),
                    ("Middle name", &ours.middle, &proofed.middle),
                    ("Last name", &ours.family, &proofed.family),
                    ("Date of birth", &show::date(&ours.born), &show::date(&proofed.born)),
                    ("Address", &ours.address, &proofed.address),
                ];
                compared = rows.into_iter().map(|(w, a, b)| (w, a.clone(), b.clone())).collect();
                if !npi.is_empty() {
                    let invited = sign_in_npi.map(|it| it.as_text()).unwrap_or_default();
                    compared.push(("NPI", invited, npi.clone()));
                }
            }
        }
        Some(EvidenceRow::InPerson { by, unit, id_kind, id_last_four, id_expires, .. }) => {
            let name = by.parse().map(|id: PersonId| known.name(id)).unwrap_or_default();
            facts.push(("Proofed in person by", format!("{name} ({unit})")));
            facts.push((
                "Photo ID",
                format!("{id_kind}, •••• {id_last_four}, expires {}", show::date(id_expires)),
            ));
        }
        None => {}
    }
    if let Some((by, at)) = view.row.near {
        let when = known.time(at);
        facts.push(("Name or address mismatch", format!("accepted by {}, {when}", known.name(by))));
    }
    if let Some(at) = view.row.address_confirmed {
        facts.push(("Address", format!("confirmed by a code, {}", known.time(at))));
    }
    if let Some((by, unit)) = &view.row.issue {
        facts.push(("Authorized by", format!("{} ({unit})", known.name(*by))));
    }
    // Whoever decides compares the numbers with what they have at hand.
    if has(Role::Proofing) || has(Role::Issuing) {
        let contact = ctx.app().contact(view.row.person, ctx.at).await;
        let profile = contact.map_err(|error| ctx.stop(&error))?.profile;
        for (what, text) in
            [("Date of birth", show::date(&profile.born)), ("Address", profile.address)]
        {
            if !text.is_empty() {
                facts.push((what, text));
            }
        }
        if let Some(npi) = sign_in_npi {
            facts.push(("NPI", npi.as_text()));
        }
        let papers = known.practice_overview.authorities.iter();
        for it in papers.filter(|it| it.person == Some(view.row.person)) {
            facts.push(match &it.paper {
                Paper::Dea(dea) => (
                    "DEA number",
                    format!("{}, {}", dea.number.as_text(), paper_in_words(&it.says())),
                ),
                Paper::Licence(license) => {
                    ("License", format!("{}, {}", license.number, paper_in_words(&it.says())))
                }
            });
        }
    }
    let in_person = view.setting == Setting::Institution;
    let yes_no = |value: &str| TextField { value: value.to_owned(), error: None };
    let template = CasePage {
        page: known.frame(ctx, "Identity proofing"),
        base: known.base(),
        here: format!("{}/cases/{}", known.base(), view.row.id),
        line: case_line(known, &view),
        odd_name: odd_name(&view.name),
        facts,
        missing: view.missing.iter().map(|it| missing_line(&view, it)).collect(),
        can_near: !compared.is_empty(),
        compared,
        differences: view.differences.iter().map(|it| it.label()).collect(),
        can_proof: in_person && has(Role::Proofing),
        can_issue: in_person && has(Role::Issuing) && view.row.issue.is_none(),
        id_kind: ChoiceField {
            value: String::new(),
            options: [
                "Passport",
                "Driver's license",
                "State ID",
                "Military ID",
                "Other government ID",
            ]
            .into_iter()
            .map(|kind| Choice::new(kind, kind))
            .collect(),
            error: None,
        },
        id_last_four: TextField::default(),
        id_expires: TextField::default(),
        licence: yes_no(""),
        registration: yes_no(""),
        privileges: yes_no(""),
        va: choice(
            vec![
                Choice::new("no", "Not this institution"),
                Choice::new("yes", "Appointment or eligibility confirmed"),
                Choice::new("open", "Not confirmed yet"),
            ],
            "",
        ),
        step_up: Some(StepUp {
            token: show::choices(&known.overview.tokens, ANY_TOKEN, ctx.now()),
            passcode: SecretField::default(),
        }),
        lock: None,
    };
    Ok((template, view))
}

/// Lays out the page of a case. That NPI and DEA numbers were shown in full goes on record.
async fn case_out(
    ctx: &Ctx,
    known: &Known,
    view: &CaseView,
    template: &CasePage,
    status: StatusCode,
) -> Out {
    if template.facts.iter().any(|(what, _)| matches!(*what, "NPI" | "DEA number")) {
        let what = format!("case {}", view.row.id);
        let noted = ctx.app().note_shown(known.reads(), Some(view.row.person), what, ctx.at).await;
        noted.map_err(|error| ctx.stop(&error))?;
    }
    Ok(page(status, template))
}

pub(in crate::portal) async fn case(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    query: Query,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, view) = case_page(&ctx, &known, &id).await?;
    if query.text("done") == "1" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Saved."));
    }
    case_out(&ctx, &known, &view, &template, StatusCode::OK).await
}

fn read_seen(fields: &Fields, it: &mut CasePage) -> Option<Seen> {
    fields.text("id_kind").clone_into(&mut it.id_kind.value);
    if !it.id_kind.options.iter().any(|known| known.value == it.id_kind.value) {
        it.id_kind.error = Some("Choose the type of photo ID.".to_owned());
    }
    it.id_last_four = typed(fields, "id_last_four", 10);
    let right = it.id_last_four.value.chars().count() == 4
        && it.id_last_four.value.chars().all(|c| c.is_ascii_alphanumeric());
    if !right {
        it.id_last_four.error = Some("Enter the last four characters of the ID number.".to_owned());
    }
    it.id_expires = typed(fields, "id_expires", 20);
    let expires = read::<Date>(&mut it.id_expires);
    let ticked = |name: &str| fields.text(name) == "yes";
    for (field, name) in [
        (&mut it.licence, "licence"),
        (&mut it.registration, "registration"),
        (&mut it.privileges, "privileges"),
    ] {
        field.value = if ticked(name) { "yes".to_owned() } else { String::new() };
    }
    if !ticked("licence") {
        it.licence.error = Some("State authorization is required.".to_owned());
    }
    if !ticked("registration") && !ticked("privileges") {
        it.registration.error =
            Some("Check one: the DEA registration or the privileges.".to_owned());
    }
    fields.text("va").clone_into(&mut it.va.value);
    let va_confirmed = match it.va.value.as_str() {
        "yes" => Some(true),
        "open" => Some(false),
        _ => None,
    };
    let id_expires = expires.filter(|_| it.problems_are_none())?;
    Some(Seen {
        id_kind: it.id_kind.value.clone(),
        id_last_four: it.id_last_four.value.clone(),
        id_expires,
        licence: true,
        registration: ticked("registration"),
        privileges: ticked("privileges"),
        va_confirmed,
    })
}

pub(in crate::portal) async fn decide(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, view) = case_page(&ctx, &known, &id).await?;
    let decision = match fields.text("decision") {
        "in_person" => read_seen(&fields, &mut template).map(CaseDecision::InPerson),
        "near" => Some(CaseDecision::Near),
        "not_near" => Some(CaseDecision::NotNear),
        "issue" => Some(CaseDecision::Issue),
        _ => return Err(ctx.not_found()),
    };
    let confirm = tokens::confirm(&fields, template.step_up.as_mut());
    let (Some(decision), Ok(Some(confirm))) = (decision, confirm) else {
        return case_out(&ctx, &known, &view, &template, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    let done = ctx.app().decide_case(known.act(Some(confirm)), view.row.id, decision, ctx.at).await;
    match done.map_err(|error| ctx.stop(&error))? {
        Answer::Done(()) => return Ok(see_other(&format!("{}?done=1", template.here))),
        Answer::Refused(refusal) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
        }
        Answer::NotConfirmed(refusal) => {
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(&ctx, &mut asked, &refusal, &known.overview);
            template.step_up = asked;
        }
    }
    case_out(&ctx, &known, &view, &template, StatusCode::UNPROCESSABLE_ENTITY).await
}

pub(in crate::portal) async fn prove_again(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id: PersonId = id.parse().map_err(|_| ctx.not_found())?;
    if !known.practice_overview.people.iter().any(|person| person.id == id) {
        return Err(ctx.not_found());
    }
    let (change, back) = (commands::PROVE_AGAIN, format!("{}/people/{id}", known.base()));
    let action = format!("{back}/prove-again");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back)
        .about([("Person", known.name(id))]);
    let act = asking.act()?;
    let sent = ctx.app().ask_to_prove_again(act, id, ctx.at).await;
    let done = if asking.answer(sent)?.is_ok() { "asked" } else { "not-asked" };
    Ok(see_other(&format!("{}/people/{id}?done={done}", known.base())))
}
