//! The console of a practice: who may sign, changes that two people make, what is due, letters.

use std::collections::BTreeMap;

use axum::extract::Path;
use countersign_domain::{
    Date, DeaNumber, DeaRegistration, DeadlineId, DisableReason, PersonId, PracticeId,
    PrescriptionId, RequestId, Role, Schedules, StateLicence, UsState, WARN_DAYS,
    access::{AccessRefusal, Cause, Change, Permission, Setting},
    proofing::Channel,
};
use countersign_store::{
    Authority, CaseState, CodeRow, Deadline, Paper, RequestBody, RequestRow, RequestStage, Session,
};
use data_encoding::HEXLOWER;
use http::StatusCode;

use super::{Ctx, Fields, Query, console, show, tokens};
use crate::{
    app::{
        Asked, Board, Desk, Execution, NewPaper, Overview, Shown, Wanted, deadline_advice,
        deadline_label,
    },
    letters,
    respond::{Out, Stop, page, see_other},
    views::{
        ANY_TOKEN, Choice, ChoiceField, DeskLink, DueLine, DuePage, LetterLine, LetterPage,
        LettersPage, NavTab, Notice, NoticeKind, Page, PaperLine, PersonLine, PersonPage,
        PracticePage, PracticesPage, RequestLine, RequestPage, SecretField, StepUp, TextField,
    },
};

/// Somebody at the desk of a practice. Another's practice is not found.
pub(super) struct Known {
    pub(super) session: Session,
    pub(super) desk: Desk,
    pub(super) board: Board,
    pub(super) overview: Overview,
}

pub(super) async fn known(ctx: &Ctx, practice: &str) -> Result<Known, Stop> {
    let (session, person) = ctx.full_session()?;
    let practice: PracticeId = practice.parse().map_err(|_| ctx.not_found())?;
    let desk = ctx.app().desk(person, practice).await.map_err(|error| ctx.stop(&error))?;
    let board = ctx.app().board(&desk).await.map_err(|error| ctx.stop(&error))?;
    let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
    Ok(Known { session, desk, board, overview })
}

fn base(practice: PracticeId) -> String {
    format!("/practice/{practice}")
}

impl Known {
    pub(super) fn base(&self) -> String {
        base(self.desk.practice.id)
    }

    pub(super) fn frame(&self, ctx: &Ctx, title: &str) -> Page {
        let mut page = tokens::frame(ctx, &self.overview, title, NavTab::Hidden);
        page.practice = Some(self.desk.practice.name.clone());
        page
    }

    pub(super) fn name(&self, id: PersonId) -> String {
        let found = self.board.people.iter().find(|person| person.id == id);
        found.map_or_else(|| "Somebody else".to_owned(), |person| person.name.clone())
    }

    /// The code with which somebody prescribes under the institution's registration.
    pub(super) fn code(&self, person: PersonId) -> Option<&CodeRow> {
        self.board.codes.iter().find(|row| row.person == person && row.ended.is_none())
    }

    fn authority(&self, row: &RequestRow) -> Option<&Authority> {
        self.board.authorities.iter().find(|it| Some(it.id) == row.authority)
    }

    fn line(&self, row: &RequestRow) -> RequestLine {
        let whom = row.person.map(|id| self.name(id)).unwrap_or_default();
        let what = match &row.body {
            RequestBody::Grant { .. } => format!("{whom}: permission to sign"),
            RequestBody::Revoke { cause } => {
                let cause = Cause::from_code(cause).map_or("", Cause::label);
                format!("{whom}: permission taken away ({})", cause.to_lowercase())
            }
            RequestBody::Role { role, give, .. } => {
                let role = Role::from_code(role).map_or("", Role::label).to_lowercase();
                format!(
                    "{whom}: {} the role \u{201c}{role}\u{201d}",
                    if *give { "gets" } else { "loses" }
                )
            }
            RequestBody::Provider { issuer, give: true, .. } => {
                format!("Accept the proofing provider {issuer}")
            }
            RequestBody::Provider { issuer, .. } => {
                format!("No longer accept the proofing provider {issuer}")
            }
        };
        let state = match (row.stage, row.decided) {
            (RequestStage::Executed, Some((by, _))) => format!("Executed by {}", self.name(by)),
            (RequestStage::Rejected, Some((by, _))) => format!("Turned down by {}", self.name(by)),
            _ => "Waits for a second person".to_owned(),
        };
        RequestLine {
            href: format!("{}/requests/{}", self.base(), row.id),
            what,
            dea: self
                .authority(row)
                .and_then(|it| it.paper.dea())
                .map(|dea| dea.masked())
                .unwrap_or_default(),
            reason: row.reason.clone(),
            by: self.name(row.entered_by),
            when: show::when(row.entered),
            state,
        }
    }

    fn due(&self, ctx: &Ctx, it: &Deadline) -> DueLine {
        let what = deadline_label(&it.kind);
        DueLine {
            id: it.id.to_string(),
            what: what.to_owned(),
            whom: it.person.map(|id| self.name(id)).unwrap_or_default(),
            discovered: show::when(it.discovered),
            due: show::when(it.due),
            overdue: it.done.is_none() && ctx.now() >= it.due,
            done: it.done.map(|(by, at)| {
                (show::when(at), by.map_or_else(|| "the server".to_owned(), |by| self.name(by)))
            }),
            note: it.note.clone(),
            advice: deadline_advice(&it.kind),
            record: record_of(&it.note).map(|id| format!("{}/records?patient={id}", self.base())),
            error: None,
        }
    }

    /// What keeps anybody from being granted anything here (21 CFR 1311.125(a)).
    fn lacking(&self, ctx: &Ctx) -> Vec<String> {
        let designated: Vec<PersonId> = self
            .board
            .roles
            .iter()
            .filter(|member| member.role == Role::Designated && member.ended.is_none())
            .map(|member| member.person)
            .collect();
        let mut found = Vec::new();
        if designated.len() < 2 {
            found.push("Fewer than two people set access control here, so nothing can be granted. Name a second one.".to_owned());
        }
        let registrant = self.board.authorities.iter().any(|it| {
            it.paper.dea().is_some()
                && it.holds(ctx.now())
                && it.person.is_some_and(|person| designated.contains(&person))
        });
        if self.desk.practice.setting == Setting::Practitioners && !registrant {
            found.push("None of the people who set access control here has a DEA registration in force, so nothing can be executed.".to_owned());
        }
        found
    }
}

/// The practices of whoever asks; the only one at once.
pub(super) async fn list(ctx: Ctx) -> Out {
    let (_, person) = ctx.full_session()?;
    let desks = ctx.app().desks(person).await.map_err(|error| ctx.stop(&error))?;
    if let [(only, ..)] = desks.as_slice() {
        return Ok(see_other(&base(*only)));
    }
    let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
    let link = |(id, name, waiting)| DeskLink { href: base(id), name, waiting };
    let desks = desks.into_iter().map(link).collect();
    let frame = tokens::frame(&ctx, &overview, "Practices", NavTab::Hidden);
    Ok(page(StatusCode::OK, &PracticesPage { page: frame, desks }))
}

fn signing(board: &Board, person: PersonId) -> (String, &'static str) {
    let mut words = Vec::new();
    let mut class = "active";
    for row in board.permissions.iter().filter(|row| row.person == person) {
        match row.permission {
            Permission::Granted { self_executed: false, .. } => words.push("May sign"),
            Permission::Granted { self_executed: true, .. } => {
                words.push("May sign, granted by the holder");
            }
            Permission::Revoked { confirmed, .. } => {
                class = "ended";
                words.push(if confirmed { "Suspended" } else { "Suspended, to be confirmed" });
            }
            Permission::None => {}
        }
    }
    words.dedup();
    (words.join(", "), class)
}

fn roles_of(board: &Board, person: PersonId) -> String {
    let roles = board.roles.iter().filter(|m| m.person == person && m.ended.is_none());
    let words: Vec<String> = roles
        .map(|member| match member.unit.as_str() {
            "" => member.role.label().to_owned(),
            unit => format!("{} ({unit})", member.role.label()),
        })
        .collect();
    words.join(", ")
}

pub(super) async fn home(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let messages = ctx.app().messages(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let cases = ctx.app().cases(&known.desk, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let rules = ctx.app().rules(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let fleet = ctx.app().fleet(&known.desk, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let letters =
        messages.iter().filter(|it| it.channel == Channel::Post && it.done.is_none()).count();
    let waiting = known.board.requests.iter().filter(|row| row.stage == RequestStage::Entered);
    let open = known.board.deadlines.iter().filter(|it| it.done.is_none());
    let mut template = PracticePage {
        page: known.frame(&ctx, "Console"),
        base: known.base(),
        name: known.desk.practice.name.clone(),
        rule: match known.desk.practice.setting {
            Setting::Practitioners => "Individual practitioners (21 CFR 1311.125)".to_owned(),
            Setting::Institution => "Institution (21 CFR 1311.130)".to_owned(),
        },
        waiting: waiting.map(|row| known.line(row)).collect(),
        due: open.map(|it| known.due(&ctx, it)).collect(),
        people: known
            .board
            .people
            .iter()
            .map(|person| {
                let (signing, class) = signing(&known.board, person.id);
                PersonLine {
                    href: format!("{}/people/{}", known.base(), person.id),
                    name: person.name.clone(),
                    sign_in: person.sign_in.masked(),
                    roles: roles_of(&known.board, person.id),
                    signing,
                    class,
                }
            })
            .collect(),
        letters,
        cases: cases.iter().filter(|it| it.row.state == CaseState::Open).count(),
        invitations: console::invitation_lines(&ctx, &known, &rules.invitations, &fleet),
        sees_records: known.desk.sees_records(),
        can_invite: known.desk.may_invite(),
        lacking: known.lacking(&ctx),
    };
    let done = match query.text("done") {
        "executed" => Some("The change is executed. It works from now on."),
        "rejected" => Some("The change is turned down. Nothing was changed."),
        "entered" => Some("The change is entered. Another person now has to look at it."),
        "revoked" => Some("The permission is taken away. Another person now confirms the record."),
        "invited" => Some("The invitation is on its way to their own e-mail address."),
        "resent" => Some("A new link is on its way. The old one no longer works."),
        "taken-back" => Some("The invitation is taken back. Its link no longer works."),
        _ => None,
    };
    template.page.notice = done.map(|text| Notice::new(NoticeKind::Success, text));
    Ok(page(StatusCode::OK, &template))
}

/// The prescription that a note of a deadline names.
fn record_of(note: &str) -> Option<PrescriptionId> {
    note.strip_prefix("Record ")?.get(..36)?.parse().ok()
}

fn due_page(ctx: &Ctx, known: &Known) -> DuePage {
    DuePage {
        page: known.frame(ctx, "What is due"),
        base: known.base(),
        zone: known.desk.practice.zone.name().replace('_', " "),
        due: known.board.deadlines.iter().map(|it| known.due(ctx, it)).collect(),
        decided: known.board.requests.iter().map(|row| known.line(row)).collect(),
    }
}

pub(super) async fn due(ctx: Ctx, Path(practice): Path<String>, query: Query) -> Out {
    let known = known(&ctx, &practice).await?;
    let mut template = due_page(&ctx, &known);
    if query.text("done") == "noted" {
        template.page.notice = Some(Notice::new(NoticeKind::Success, "Noted as done."));
    }
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn due_done(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id: DeadlineId = id.parse().map_err(|_| ctx.not_found())?;
    let note: String = fields.text("note").trim().chars().take(200).collect();
    if note.is_empty() {
        let mut template = due_page(&ctx, &known);
        let wanted = format!("{id}");
        let line = template.due.iter_mut().find(|it| it.id == wanted && it.done.is_none());
        line.ok_or_else(|| ctx.not_found())?.error =
            Some("Say what was done, in a few words.".to_owned());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let done = ctx.app().deadline_done(&known.desk, id, note, ctx.at).await;
    if !done.map_err(|error| ctx.stop(&error))? {
        return Err(ctx.not_found());
    }
    Ok(see_other(&format!("{}/due?done=noted", known.base())))
}

fn papers(known: &Known, ctx: &Ctx, person: PersonId) -> Vec<PaperLine> {
    let today = Date::at(ctx.now(), &known.desk.practice.zone);
    let mine = known.board.authorities.iter().filter(|it| it.person.is_none_or(|id| id == person));
    mine.map(|it| {
        let left = today.days_until(it.paper.expires());
        let standing = if it.withdrawn.is_some() {
            "Withdrawn".to_owned()
        } else if !it.holds(ctx.now()) {
            "Expired".to_owned()
        } else if left <= WARN_DAYS {
            format!("Ends in {left} days")
        } else {
            "In force".to_owned()
        };
        let permission = known
            .board
            .permissions
            .iter()
            .find(|row| row.person == person && row.authority == it.id)
            .map(|row| row.permission);
        let (permission, class) = match (it.paper.dea(), permission) {
            (None, _) => (String::new(), "disabled"),
            (_, Some(Permission::Granted { self_executed, .. })) if self_executed => {
                ("May sign, granted by the holder".to_owned(), "active")
            }
            (_, Some(Permission::Granted { .. })) => ("May sign".to_owned(), "active"),
            (_, Some(Permission::Revoked { cause, .. })) => {
                (format!("Suspended: {}", cause.label().to_lowercase()), "ended")
            }
            (_, Some(Permission::None) | None) => ("May not sign".to_owned(), "disabled"),
        };
        let (what, number, schedules) = match &it.paper {
            Paper::Dea(dea) if it.person.is_none() => (
                "DEA registration of the institution",
                match known.code(person) {
                    Some(row) => format!("{}-{}", dea.number.masked(), row.code),
                    None => dea.number.masked(),
                },
                dea.schedules.to_string(),
            ),
            Paper::Dea(dea) => ("DEA registration", dea.number.masked(), dea.schedules.to_string()),
            Paper::Licence(licence) => ("State licence", licence.number.clone(), String::new()),
        };
        PaperLine {
            what: what.to_owned(),
            number,
            state: it.paper.state().as_text(),
            schedules,
            expires: it.paper.expires().to_string(),
            standing,
            permission,
            class,
        }
    })
    .collect()
}

/// The page of somebody of this practice.
pub(super) async fn person_page(
    ctx: &Ctx,
    known: &Known,
    id: &str,
) -> Result<(PersonPage, PersonId), Stop> {
    let id: PersonId = id.parse().map_err(|_| ctx.not_found())?;
    let person = known.board.people.iter().find(|person| person.id == id);
    let person = person.ok_or_else(|| ctx.not_found())?;
    let theirs = ctx.app().overview(id).await.map_err(|error| ctx.stop(&error))?;
    let fleet = ctx.app().fleet(&known.desk, ctx.at).await.map_err(|error| ctx.stop(&error))?;
    let of = fleet.iter().find(|it| it.person == id);
    let registrations: Vec<Choice> = known
        .board
        .authorities
        .iter()
        .filter(|it| it.person.is_none_or(|owner| owner == id))
        .filter_map(|it| {
            let dea = it.paper.dea()?;
            Some(Choice::new(
                it.id.to_string(),
                format!("{}, {}", dea.masked(), it.paper.state().as_text()),
            ))
        })
        .collect();
    let choice = |options: &[Choice]| ChoiceField {
        value: options.first().map(|only| only.value.clone()).unwrap_or_default(),
        options: options.to_vec(),
        error: None,
    };
    let has = |role| known.desk.roles.contains(&role);
    let template = PersonPage {
        page: known.frame(ctx, &person.name),
        base: known.base(),
        here: format!("{}/people/{id}", known.base()),
        name: person.name.clone(),
        sign_in: person.sign_in.masked(),
        roles: roles_of(&known.board, id),
        papers: papers(known, ctx, id),
        tokens: theirs.tokens.iter().filter(|token| token.is_active()).count(),
        can_set: has(Role::Designated),
        can_enter: has(Role::Designated) || has(Role::Administrator),
        grant: choice(&registrations),
        verified: TextField {
            value: Date::at(ctx.now(), &known.desk.practice.zone).to_string(),
            error: None,
        },
        grant_reason: TextField::default(),
        revoke: choice(&registrations),
        cause: ChoiceField {
            value: String::new(),
            options: Cause::ALL.iter().map(|it| Choice::new(it.code(), it.label())).collect(),
            error: None,
        },
        revoke_reason: TextField::default(),
        code: known
            .board
            .authorities
            .iter()
            .any(|it| it.person.is_none() && it.paper.dea().is_some())
            .then(|| TextField {
                value: known.code(id).map(|row| row.code.to_string()).unwrap_or_default(),
                error: None,
            }),
        code_entered: known
            .code(id)
            .map(|row| (known.name(row.entered_by), show::when(row.entered))),
        dea: TextField::default(),
        dea_state: TextField::default(),
        schedules: TextField::default(),
        dea_expires: TextField::default(),
        licence_state: TextField::default(),
        licence: TextField::default(),
        licence_expires: TextField::default(),
        waits: of.map_or("", |it| console::waits(it.step)).to_owned(),
        can_prove: known.desk.may_invite()
            && id != known.desk.person
            && person.has_passphrase
            && !person.closed
            && theirs.prescriber.practice == known.desk.practice.id,
        role: ChoiceField {
            options: Role::ALL.iter().map(|it| Choice::new(it.code(), it.label())).collect(),
            ..ChoiceField::default()
        },
        give: ChoiceField {
            value: "yes".to_owned(),
            options: vec![Choice::new("yes", "Give it"), Choice::new("no", "Take it away")],
            error: None,
        },
        unit: TextField::default(),
        role_reason: TextField::default(),
        token: ChoiceField {
            options: of
                .map(|it| it.tokens.as_slice())
                .unwrap_or_default()
                .iter()
                // Those that another practice gave out are that practice's.
                .filter(|token| token.is_active() && token.practice == Some(known.desk.practice.id))
                .map(|token| {
                    let label = show::label(token);
                    let id = &label.credential;
                    let text = format!("{} — {}••••{}", label.name, id.head, id.tail);
                    Choice::new(token.id.to_string(), text)
                })
                .collect(),
            ..ChoiceField::default()
        },
        why: ChoiceField {
            options: DisableReason::CHOICES
                .iter()
                .map(|it| Choice::new(it.code(), it.label()))
                .collect(),
            ..ChoiceField::default()
        },
        disable_reason: TextField::default(),
    };
    Ok((template, id))
}

pub(super) async fn person(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    query: Query,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, _) = person_page(&ctx, &known, &id).await?;
    let done = match query.text("done") {
        "saved" => Some((NoticeKind::Success, "Saved.")),
        "disabled" => Some((NoticeKind::Success, "The token is disabled, and its owner told.")),
        "asked" => Some((NoticeKind::Success, "The link is on its way to their own address.")),
        "not-asked" => Some((NoticeKind::Error, "No link was sent: no address is on record.")),
        _ => None,
    };
    template.page.notice = done.map(|(kind, text)| Notice::new(kind, text));
    Ok(page(StatusCode::OK, &template))
}

pub(super) fn typed(fields: &Fields, name: &str, most: usize) -> TextField {
    TextField { value: fields.text(name).trim().chars().take(most).collect(), error: None }
}

/// Reads a field; what is wrong with it stands beside it.
pub(super) fn read<T: std::str::FromStr<Err: ToString>>(field: &mut TextField) -> Option<T> {
    match field.value.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            field.error = Some(T::Err::to_string(&error));
            None
        }
    }
}

/// Enters a change; why access control says no, where it does.
pub(super) async fn enter(
    ctx: &Ctx,
    known: &Known,
    wanted: Wanted,
    reason: String,
) -> Result<Option<AccessRefusal>, Stop> {
    match ctx.app().enter_request(&known.desk, wanted, reason, ctx.at).await {
        Ok(Asked::Done(_)) => Ok(None),
        Ok(Asked::Refused(refusal)) => Ok(Some(refusal)),
        Ok(Asked::NotConfirmed(_)) => Err(ctx.not_found()),
        Err(error) => Err(ctx.stop(&error)),
    }
}

pub(super) async fn grant(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("registration").clone_into(&mut template.grant.value);
    template.verified = typed(&fields, "verified", 20);
    template.grant_reason = typed(&fields, "grant_reason", 200);
    let authority = template.grant.value.parse();
    if authority.is_err() {
        template.grant.error = Some("Choose the registration.".to_owned());
    }
    let verified = read::<Date>(&mut template.verified);
    let today = Date::at(ctx.now(), &known.desk.practice.zone);
    if verified.is_some_and(|day| day > today || day.plus_days(WARN_DAYS) < today) {
        template.verified.error =
            Some("Give a day of the last 30 on which you looked at both.".to_owned());
    }
    if template.grant_reason.value.is_empty() {
        template.grant_reason.error = Some(AccessRefusal::NoReason.to_string());
    }
    let (Ok(authority), true) = (authority, template.problems_are_none()) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let reason = template.grant_reason.value.clone();
    let wanted = Wanted::Permission { person, authority, change: Change::Grant { verified } };
    if let Some(refusal) = enter(&ctx, &known, wanted, reason).await? {
        template.grant.error = Some(refusal.to_string());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    Ok(see_other(&format!("{}?done=entered", known.base())))
}

pub(super) async fn revoke(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("revoked").clone_into(&mut template.revoke.value);
    fields.text("cause").clone_into(&mut template.cause.value);
    template.revoke_reason = typed(&fields, "revoke_reason", 200);
    let authority = template.revoke.value.parse();
    if authority.is_err() {
        template.revoke.error = Some("Choose the registration.".to_owned());
    }
    let cause = Cause::from_code(&template.cause.value);
    if cause.is_none() {
        template.cause.error = Some("Choose the cause.".to_owned());
    }
    if template.revoke_reason.value.is_empty() {
        template.revoke_reason.error = Some(AccessRefusal::NoReason.to_string());
    }
    let (Ok(authority), Some(cause), true) = (authority, cause, template.problems_are_none())
    else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let reason = template.revoke_reason.value.clone();
    let wanted = Wanted::Permission { person, authority, change: Change::Revoke(cause) };
    if let Some(refusal) = enter(&ctx, &known, wanted, reason).await? {
        template.revoke.error = Some(refusal.to_string());
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    Ok(see_other(&format!("{}?done=revoked", known.base())))
}

async fn save_paper(ctx: &Ctx, known: &Known, person: PersonId, here: &str, paper: Paper) -> Out {
    let saved = ctx.app().enter_paper(&known.desk, NewPaper { person, paper }, ctx.at).await;
    if !saved.map_err(|error| ctx.stop(&error))? {
        return Err(ctx.not_found());
    }
    Ok(see_other(&format!("{here}?done=saved")))
}

pub(super) async fn dea(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    template.dea = typed(&fields, "dea", 40);
    template.dea_state = typed(&fields, "dea_state", 10);
    template.schedules = typed(&fields, "schedules", 40);
    template.dea_expires = typed(&fields, "dea_expires", 20);
    let read = (
        read::<DeaNumber>(&mut template.dea),
        read::<UsState>(&mut template.dea_state),
        read::<Schedules>(&mut template.schedules),
        read::<Date>(&mut template.dea_expires),
    );
    let (Some(number), Some(state), Some(schedules), Some(expires)) = read else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let paper = DeaRegistration { number, state, schedules, expires, withdrawn: None };
    save_paper(&ctx, &known, person, &template.here, Paper::Dea(paper)).await
}

pub(super) async fn licence(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    template.licence_state = typed(&fields, "licence_state", 10);
    template.licence = typed(&fields, "licence", 40);
    template.licence_expires = typed(&fields, "licence_expires", 20);
    if template.licence.value.is_empty() {
        template.licence.error = Some("Type the number of the licence.".to_owned());
    }
    let read =
        (read::<UsState>(&mut template.licence_state), read::<Date>(&mut template.licence_expires));
    let (Some(state), Some(expires), true) = (read.0, read.1, template.licence.error.is_none())
    else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    let number = template.licence.value.clone();
    let paper = StateLicence { state, number, expires, withdrawn: None };
    save_paper(&ctx, &known, person, &template.here, Paper::Licence(paper)).await
}

async fn shown(ctx: &Ctx, known: &Known, id: &str) -> Result<(Shown, RequestId), Stop> {
    let id: RequestId = id.parse().map_err(|_| ctx.not_found())?;
    let shown = ctx.app().request(&known.desk, id, ctx.at).await;
    Ok((shown.map_err(|error| ctx.stop(&error))?, id))
}

fn request_page(ctx: &Ctx, known: &Known, shown: &Shown) -> RequestPage {
    let row = &shown.row;
    let authority = known.authority(row);
    let registration = match authority.map(|it| &it.paper) {
        Some(Paper::Dea(dea)) => format!(
            "{}, schedules {}, last day {}",
            dea.state.as_text(),
            dea.schedules,
            dea.expires
        ),
        _ => String::new(),
    };
    let sign_in = known.board.people.iter().find(|person| Some(person.id) == row.person);
    let mine = shown.hindrance == Some(AccessRefusal::SamePerson);
    let outside = shown.hindrance == Some(AccessRefusal::NotDesignated);
    RequestPage {
        page: known.frame(ctx, "Change of access control"),
        base: known.base(),
        here: format!("{}/requests/{}", known.base(), row.id),
        line: known.line(row),
        sign_in: sign_in.map(|person| person.sign_in.masked()).unwrap_or_default(),
        registration,
        verified: match &row.body {
            RequestBody::Grant { verified } => verified.clone(),
            _ => String::new(),
        },
        more: match &row.body {
            RequestBody::Role { unit, .. } if !unit.is_empty() => format!("Unit {unit}"),
            RequestBody::Provider { accepted, .. } if !accepted.is_empty() => {
                format!("Counts as IAL2: {accepted}")
            }
            _ => String::new(),
        },
        digest: HEXLOWER.encode(&shown.digest),
        open: shown.request.is_open(ctx.now()),
        hindrance: shown.hindrance.as_ref().map(ToString::to_string),
        can_reject: !mine && !outside,
        gives: shown.request.matter.gives(),
        passphrase: SecretField::default(),
        step_up: Some(StepUp {
            token: show::choices(&known.overview.tokens, ANY_TOKEN, ctx.now()),
            passcode: SecretField::default(),
        }),
        lock: None,
    }
}

pub(super) async fn request(ctx: Ctx, Path((practice, id)): Path<(String, String)>) -> Out {
    let known = known(&ctx, &practice).await?;
    let (shown, _) = shown(&ctx, &known, &id).await?;
    Ok(page(StatusCode::OK, &request_page(&ctx, &known, &shown)))
}

pub(super) async fn execute(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    let mut template = request_page(&ctx, &known, &it);
    let digest = HEXLOWER.decode(fields.text("shown").as_bytes()).ok();
    let digest: Option<[u8; 32]> = digest.and_then(|bytes| bytes.try_into().ok());
    if fields.text("passphrase").is_empty() {
        template.passphrase.error = Some("Type your passphrase.".to_owned());
    }
    let confirm = tokens::confirm(&fields, template.step_up.as_mut());
    let (Ok(Some(confirm)), None) = (confirm, &template.passphrase.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    // A form without what was shown is bound to nothing, and so is refused as changed.
    let shown = digest.unwrap_or_default();
    let execution = Execution { shown, passphrase: fields.secret("passphrase"), confirm };
    match ctx.app().execute_request(&known.session, &known.desk, id, execution, ctx.at).await {
        Ok(Asked::Done(())) => {
            return Ok(see_other(&format!("{}?done=executed", known.base())));
        }
        Ok(Asked::Refused(refusal)) => {
            let notice = Notice::new(NoticeKind::Error, refusal.to_string());
            template.page.notice = Some(notice);
        }
        Ok(Asked::NotConfirmed(refusal @ countersign_domain::Refusal::WrongPassphrase)) => {
            template.passphrase.error = Some(refusal.to_string());
        }
        Ok(Asked::NotConfirmed(refusal)) => {
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(&ctx, &mut asked, &refusal, &known.overview);
            template.step_up = asked;
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}

pub(super) async fn reject(ctx: Ctx, Path((practice, id)): Path<(String, String)>) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    match ctx.app().reject_request(&known.desk, id, ctx.at).await {
        Ok(Asked::Refused(refusal)) => {
            let mut template = request_page(&ctx, &known, &it);
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
        }
        Ok(_) => Ok(see_other(&format!("{}?done=rejected", known.base()))),
        Err(error) => Err(ctx.stop(&error)),
    }
}

pub(super) async fn letters(ctx: Ctx, Path(practice): Path<String>) -> Out {
    let known = known(&ctx, &practice).await?;
    let messages = ctx.app().messages(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let (letters, others): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|it| it.channel == Channel::Post);
    let names: BTreeMap<PersonId, &str> =
        known.board.people.iter().map(|it| (it.id, it.name.as_str())).collect();
    let name = |person: Option<PersonId>| {
        person.and_then(|id| names.get(&id)).map_or("", |name| *name).to_owned()
    };
    let template = LettersPage {
        page: known.frame(&ctx, "Letters and messages"),
        base: known.base(),
        letters: letters
            .iter()
            .filter(|it| it.done.is_none() && it.person != Some(known.desk.person))
            .map(|it| LetterLine {
                id: it.id.to_string(),
                to: name(it.person),
                when: show::when(it.created),
            })
            .collect(),
        messages: others
            .iter()
            .map(|it| {
                let what =
                    format!("{} \u{2192} {}", letters::subject_of(&it.kind), name(it.person));
                let how = match (it.done, it.outcome.as_str()) {
                    (None, "") => "waits".to_owned(),
                    (None, why) => format!("waits: {why}"),
                    (Some(_), how) => how.to_owned(),
                };
                (show::when(it.created), what, how)
            })
            .collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn letter(ctx: Ctx, Path((practice, id)): Path<(String, String)>) -> Out {
    let known = known(&ctx, &practice).await?;
    let id = id.parse().map_err(|_| ctx.not_found())?;
    let printed = ctx.app().print_letter(&known.desk, id, ctx.at).await;
    let message = printed.map_err(|error| ctx.stop(&error))?.ok_or_else(|| ctx.not_found())?;
    let body = message.body.ok_or_else(|| ctx.not_found())?;
    let mut template = LetterPage {
        page: known.frame(&ctx, "Letter"),
        base: known.base(),
        to: body.to,
        text: body.text,
    };
    template.page.nav = NavTab::Hidden;
    Ok(page(StatusCode::OK, &template))
}
