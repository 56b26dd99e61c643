//! The console of a practice: who may sign, changes that two people make, what is due, letters.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use countersign_app::{
    Act, Asked, Board, Desk, Execution, NewPaper, Overview, PaperDone, Shown, Wanted,
    deadline_advice, deadline_label, notice_subject, still_waits,
};
use countersign_domain::{
    AuthorityId, Date, DeaNumber, DeaRegistration, DeadlineId, DisableReason, KeyboardLine,
    LastDayError, MessageId, PersonId, PracticeId, PrescriptionId, Refusal, RequestId, Role,
    Schedules, SignInName, StateLicence, Timestamp, UsState, WARN_DAYS,
    access::{AccessRefusal, Cause, Change, Matter, Permission, Review, Setting},
    console::ConsoleChange,
    mixes_scripts,
    proofing::Channel,
};
use countersign_store::{
    Authority, CaseState, CodeRow, Deadline, Paper, RequestBody, RequestRow, RequestStage, Session,
};
use data_encoding::HEXLOWER;
use http::StatusCode;

use super::{Ctx, Fields, Query, console, read, reason, show, tokens, typed};
use crate::{
    respond::{Out, Stop, page, see_other},
    views::{
        ANY_TOKEN, Choice, ChoiceField, ConfirmPage, DeskLink, DueLine, DuePage, LetterLine,
        LetterPage, LettersPage, NavTab, Notice, NoticeKind, Page, PaperLine, PersonLine,
        PersonPage, PracticePage, PracticesPage, RequestLine, RequestPage, SecretField, StepUp,
        TextField,
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

/// What is odd about a name, for those who check it; empty where nothing is.
pub(super) fn odd_name(name: &str) -> &'static str {
    if mixes_scripts(name) {
        "This name mixes letters of different scripts: one may not be the letter that it looks like."
    } else {
        ""
    }
}

fn base(practice: PracticeId) -> String {
    format!("/practice/{practice}")
}

/// A change that somebody wants to make in the console, and what they typed.
pub(super) struct Asking<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) known: &'a Known,
    pub(super) fields: &'a Fields,
    pub(super) change: ConsoleChange,
    /// Where the form is sent again.
    pub(super) action: String,
    /// Where "Cancel" leads.
    pub(super) back: String,
    /// What exactly is asked for, for the page that asks for the passcode: what, and which.
    pub(super) about: Vec<(&'static str, String)>,
}

impl<'a> Asking<'a> {
    pub(super) const fn new(
        ctx: &'a Ctx,
        known: &'a Known,
        fields: &'a Fields,
        change: ConsoleChange,
        action: String,
        back: String,
    ) -> Self {
        Self { ctx, known, fields, change, action, back, about: Vec::new() }
    }

    /// Says what exactly is asked for; what is empty is not shown.
    pub(super) fn about(mut self, facts: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.about.extend(facts.into_iter().filter(|(_, text)| !text.is_empty()));
        self
    }

    fn page(&self) -> ConfirmPage {
        let known = self.known;
        let typed = self.fields.0.iter().filter(|(name, _)| !name.starts_with("stepup_"));
        ConfirmPage {
            page: known.frame(self.ctx, self.change.rule().what),
            back: self.back.clone(),
            action: self.action.clone(),
            what: self.change.rule().what,
            about: self.about.clone(),
            fields: typed.cloned().collect(),
            step_up: Some(StepUp {
                token: show::choices(&known.overview.tokens, ANY_TOKEN, self.ctx.now()),
                passcode: SecretField::default(),
            }),
            lock: None,
        }
    }

    /// Who changes it, with the passcode where one is asked for; else the page that asks for it and keeps what was
    /// typed.
    #[expect(clippy::result_large_err, reason = "it is the answer")]
    pub(super) fn act(&self) -> Result<Act, Response> {
        let (desk, session) = (self.known.desk.clone(), self.known.session.clone());
        let rule = self.change.rule();
        let stale = self.ctx.app().needs_step_up(&session, self.ctx.at);
        // Whoever may not do it is told so without a passcode.
        if !rule.step_up.asks(stale) || !rule.allows(&desk.roles) {
            return Ok(Act { desk, session, confirm: None });
        }
        let mut template = self.page();
        let asked = ["stepup_token", "stepup_passcode"];
        if asked.iter().all(|name| self.fields.text(name).is_empty()) {
            return Err(page(StatusCode::OK, &template));
        }
        match tokens::confirm(self.fields, template.step_up.as_mut()) {
            Ok(Some(confirm)) => Ok(Act { desk, session, confirm: Some(confirm) }),
            _ => Err(page(StatusCode::UNPROCESSABLE_ENTITY, &template)),
        }
    }

    /// The page that asks again, because the passcode was refused.
    pub(super) fn again(&self, refusal: &Refusal) -> Response {
        let mut template = self.page();
        let overview = &self.known.overview;
        template.lock = tokens::step_up_refused(self.ctx, &mut template.step_up, refusal, overview);
        page(StatusCode::UNPROCESSABLE_ENTITY, &template)
    }
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

    fn line(&self, row: &RequestRow, now: Timestamp) -> RequestLine {
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
            RequestBody::Paper { paper, .. } => {
                let paper = Paper::of_parts(paper);
                let whose = if whom.is_empty() { "The institution" } else { &whom };
                let label = paper.map(|it| it.label()).unwrap_or_default();
                format!("{whose}: {label} lasts longer or covers more")
            }
        };
        let state = match (row.stage, row.decided) {
            (RequestStage::Executed, Some((by, _))) => format!("Executed by {}", self.name(by)),
            (RequestStage::Rejected, Some((by, _))) => format!("Turned down by {}", self.name(by)),
            (RequestStage::Withdrawn, _) => "Withdrawn".to_owned(),
            (RequestStage::Overtaken, _) => "Closed by a newer decision".to_owned(),
            _ if !still_waits(row, now) => "Ran out".to_owned(),
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

/// Of a permission that was taken away by a report which nobody confirmed.
const MISTAKEN: &str = "Suspended. Not confirmed: a new grant by two is needed";

fn signing(board: &Board, person: PersonId) -> (String, &'static str) {
    let mut words = Vec::new();
    let mut class = "active";
    for row in board.permissions.iter().filter(|row| row.person == person) {
        match row.permission {
            Permission::Granted { self_executed: false, .. } => words.push("May sign"),
            Permission::Granted { self_executed: true, .. } => {
                words.push("May sign, granted by the holder");
            }
            Permission::Revoked { review, .. } => {
                class = "ended";
                words.push(match review {
                    Review::Waiting => "Suspended, to be confirmed",
                    Review::Confirmed => "Suspended",
                    Review::Mistaken => MISTAKEN,
                });
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
    // Oldest first: a suspension stands above the grant that came after it.
    let waiting = known.board.requests.iter().rev().filter(|row| still_waits(row, ctx.now()));
    let open = known.board.deadlines.iter().filter(|it| it.done.is_none());
    let mut template = PracticePage {
        page: known.frame(&ctx, "Console"),
        base: known.base(),
        name: known.desk.practice.name.clone(),
        rule: match known.desk.practice.setting {
            Setting::Practitioners => "Individual practitioners (21 CFR 1311.125)".to_owned(),
            Setting::Institution => "Institution (21 CFR 1311.130)".to_owned(),
        },
        waiting: waiting.map(|row| known.line(row, ctx.now())).collect(),
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
        "confirmed" => Some("The record is confirmed. The permission was taken away before."),
        "rejected" => Some("The change is turned down. Nothing was changed."),
        "mistaken" => Some(
            "The report is not confirmed. A new grant by two people gives the permission back.",
        ),
        "withdrawn" => Some("The change is withdrawn. Nothing was changed."),
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
        can_close: known.desk.may(ConsoleChange::CloseDeadline),
        decided: known.board.requests.iter().map(|row| known.line(row, ctx.now())).collect(),
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
    let open = known.board.deadlines.iter().find(|it| it.id == id && it.done.is_none());
    let open = known.due(&ctx, open.ok_or_else(|| ctx.not_found())?);
    let (task, whom) = (open.what, open.whom);
    let mut note = typed(&fields, "note", 200);
    if note.value.is_empty() {
        note.error = Some("Say what was done, in a few words.".to_owned());
    }
    if note.error.is_some() {
        let mut template = due_page(&ctx, &known);
        let wanted = format!("{id}");
        let line = template.due.iter_mut().find(|it| it.id == wanted && it.done.is_none());
        let line = line.ok_or_else(|| ctx.not_found())?;
        (line.note, line.error) = (note.value, note.error);
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    }
    let (change, back) = (ConsoleChange::CloseDeadline, format!("{}/due", known.base()));
    let (action, fields, known) = (format!("{back}/{id}"), &fields, &known);
    let asking = Asking::new(&ctx, known, fields, change, action, back).about([
        ("Task", task),
        ("Person", whom),
        ("What was done", note.value.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    match ctx
        .app()
        .deadline_done(act, id, note.value, ctx.at)
        .await
        .map_err(|error| ctx.stop(&error))?
    {
        Ok(true) => Ok(see_other(&format!("{}/due?done=noted", known.base()))),
        Ok(false) => Err(ctx.not_found()),
        Err(refusal) => Ok(asking.again(&refusal)),
    }
}

/// The registrations and licences of somebody, and the institution's own; DEA numbers in full or masked.
fn papers(known: &Known, ctx: &Ctx, person: PersonId, full: bool) -> Vec<PaperLine> {
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
            (_, Some(Permission::Revoked { review: Review::Mistaken, .. })) => {
                (MISTAKEN.to_owned(), "ended")
            }
            (_, Some(Permission::Revoked { cause, .. })) => {
                (format!("Suspended: {}", cause.label().to_lowercase()), "ended")
            }
            (_, Some(Permission::None) | None) => ("May not sign".to_owned(), "disabled"),
        };
        let (what, number, schedules) = match &it.paper {
            Paper::Dea(dea) if it.person.is_none() => {
                let number = if full { dea.number.as_text() } else { dea.number.masked() };
                (
                    "DEA registration of the institution",
                    match known.code(person) {
                        Some(row) => format!("{number}-{}", row.code),
                        None => number,
                    },
                    dea.schedules.to_string(),
                )
            }
            Paper::Dea(dea) => (
                "DEA registration",
                if full { dea.number.as_text() } else { dea.number.masked() },
                dea.schedules.to_string(),
            ),
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

/// The registrations under which somebody can sign, for a choice.
fn registrations(known: &Known, person: PersonId, full: bool) -> Vec<Choice> {
    let theirs = |it: &&Authority| it.person.is_none_or(|owner| owner == person);
    let of = |it: &Authority| {
        let dea = it.paper.dea()?;
        let number = if full { dea.as_text() } else { dea.masked() };
        Some(Choice::new(it.id.to_string(), format!("{number}, {}", it.paper.state().as_text())))
    };
    known.board.authorities.iter().filter(theirs).filter_map(of).collect()
}

/// The registrations and licenses that can be ended, for a choice.
fn can_be_ended(known: &Known, person: PersonId, full: bool) -> Vec<Choice> {
    let theirs =
        |it: &&Authority| it.person.is_none_or(|owner| owner == person) && it.withdrawn.is_none();
    let choice = |it: &Authority| {
        let of = if it.person.is_none() { " of the institution" } else { "" };
        let number = match &it.paper {
            Paper::Dea(dea) if full => dea.number.as_text(),
            Paper::Dea(dea) => dea.number.masked(),
            Paper::Licence(license) => license.number.clone(),
        };
        let text = format!("{}{of} {number}, {}", it.paper.label(), it.says());
        Choice::new(it.id.to_string(), text)
    };
    known.board.authorities.iter().filter(theirs).map(choice).collect()
}

/// What somebody signs in with: an NPI in full, or masked.
fn signs_in(known: &Known, person: PersonId, full: bool) -> String {
    let found = known.board.people.iter().find(|it| it.id == person);
    match found.map(|it| &it.sign_in) {
        Some(SignInName::Npi(npi)) if full => npi.as_text(),
        Some(name) => name.masked(),
        None => String::new(),
    }
}

/// Lays out the page of somebody. Whoever sets access control sees NPI and DEA numbers in full, since they check
/// them; that goes on record.
pub(super) async fn person_out(
    ctx: &Ctx,
    known: &Known,
    mut template: PersonPage,
    person: PersonId,
    status: StatusCode,
) -> Out {
    let has_npi = known
        .board
        .people
        .iter()
        .any(|it| it.id == person && matches!(it.sign_in, SignInName::Npi(_)));
    let registrations = registrations(known, person, true);
    if template.can_set && (has_npi || !registrations.is_empty()) {
        let what = "page of the person".to_owned();
        let noted = ctx.app().note_shown(&known.desk, Some(person), what, ctx.at).await;
        noted.map_err(|error| ctx.stop(&error))?;
        template.sign_in = signs_in(known, person, true);
        template.papers = papers(known, ctx, person, true);
        template.grant.options.clone_from(&registrations);
        template.revoke.options = registrations;
        template.ended.options = can_be_ended(known, person, true);
    }
    Ok(page(status, &template))
}

/// The same for a form in which something is wrong.
pub(super) async fn person_wrong(
    ctx: &Ctx,
    known: &Known,
    template: PersonPage,
    person: PersonId,
) -> Out {
    person_out(ctx, known, template, person, StatusCode::UNPROCESSABLE_ENTITY).await
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
    let registrations = registrations(known, id, false);
    let ended = can_be_ended(known, id, false);
    let choice = |options: &[Choice]| ChoiceField {
        value: options.first().map(|only| only.value.clone()).unwrap_or_default(),
        options: options.to_vec(),
        error: None,
    };
    let may_role = |role: &&Role| {
        let two = known.desk.may(ConsoleChange::EnterRequest);
        if role.takes_two() { two } else { known.desk.may(ConsoleChange::SetPrescriber) }
    };
    let template = PersonPage {
        page: known.frame(ctx, &person.name),
        base: known.base(),
        here: format!("{}/people/{id}", known.base()),
        name: person.name.clone(),
        odd_name: odd_name(&person.name),
        sign_in: person.sign_in.masked(),
        roles: roles_of(&known.board, id),
        papers: papers(known, ctx, id, false),
        tokens: theirs.tokens.iter().filter(|token| token.is_active()).count(),
        can_set: known.desk.may(ConsoleChange::EnterRequest),
        can_enter: known.desk.may(ConsoleChange::EnterPaper),
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
        dea_reason: TextField::default(),
        licence_state: TextField::default(),
        licence: TextField::default(),
        licence_expires: TextField::default(),
        licence_reason: TextField::default(),
        ended: ChoiceField { options: ended, ..ChoiceField::default() },
        end_reason: TextField::default(),
        waits: of.map(|it| console::waits(it.step)).filter(|step| !step.is_empty()).map(|step| {
            // Who has enrolled already waits again after a loss.
            (if person.has_passphrase { "Waiting" } else { "Enrollment" }, step)
        }),
        can_prove: known.desk.may_invite()
            && id != known.desk.person
            && person.has_passphrase
            && !person.closed
            && theirs.prescriber.practice == known.desk.practice.id,
        role: ChoiceField {
            options: Role::ALL
                .iter()
                .filter(may_role)
                .map(|it| Choice::new(it.code(), it.label()))
                .collect(),
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
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    let done = match query.text("done") {
        "saved" => Some((NoticeKind::Success, "Saved.")),
        "narrowed" => Some((
            NoticeKind::Success,
            "What is narrower works now. Another person has to look at the rest.",
        )),
        "narrowed-only" => Some((
            NoticeKind::Error,
            "What is narrower works now. The rest was not entered: that is for those who set access control, with a confirmed address.",
        )),
        "ended" => Some((NoticeKind::Success, "It is ended, and so is what rested on it.")),
        "disabled" => Some((NoticeKind::Success, "The token is disabled, and its owner told.")),
        "lost" => Some((
            NoticeKind::Success,
            "The token is disabled, and its owner told. A permission to sign that they had is suspended, for every token, until two people approve it again.",
        )),
        "asked" => Some((NoticeKind::Success, "The link is on its way to their own address.")),
        "not-asked" => Some((NoticeKind::Error, "No link was sent: no address is on record.")),
        _ => None,
    };
    template.page.notice = done.map(|(kind, text)| Notice::new(kind, text));
    person_out(&ctx, &known, template, person, StatusCode::OK).await
}

/// Enters a change; why access control says no, where it does. The answer is the page that asks for a passcode,
/// where one is asked for.
pub(super) async fn enter(
    asking: &Asking<'_>,
    wanted: Wanted,
    reason: String,
) -> Result<Result<Option<AccessRefusal>, Response>, Stop> {
    let ctx = asking.ctx;
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(Err(asked)),
    };
    match ctx.app().enter_request(act, wanted, reason, ctx.at).await {
        Ok(Asked::Done(_)) => Ok(Ok(None)),
        Ok(Asked::Refused(refusal)) => Ok(Ok(Some(refusal))),
        Ok(Asked::NotConfirmed(refusal)) => Ok(Err(asking.again(&refusal))),
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
    template.grant_reason = reason(&fields, "grant_reason");
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
    let (Ok(authority), true) = (authority, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let why = template.grant_reason.value.clone();
    let wanted = Wanted::Permission { person, authority, change: Change::Grant { verified } };
    let (change, back) = (ConsoleChange::EnterRequest, template.here.clone());
    let action = format!("{back}/grant");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Change", "Permission to sign".to_owned()),
        ("Person", template.name.clone()),
        ("Registration", template.grant.chosen().to_owned()),
        ("Looked at on", template.verified.value.clone()),
        ("Reason", why.clone()),
    ]);
    match enter(&asking, wanted, why).await? {
        Ok(None) => Ok(see_other(&format!("{}?done=entered", known.base()))),
        Ok(Some(refusal)) => {
            template.grant.error = Some(refusal.to_string());
            person_wrong(&ctx, &known, template, person).await
        }
        Err(asked) => Ok(asked),
    }
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
    template.revoke_reason = reason(&fields, "revoke_reason");
    let authority = template.revoke.value.parse();
    if authority.is_err() {
        template.revoke.error = Some("Choose the registration.".to_owned());
    }
    let cause = Cause::from_code(&template.cause.value);
    if cause.is_none() {
        template.cause.error = Some("Choose the cause.".to_owned());
    }
    let (Ok(authority), Some(cause), true) = (authority, cause, template.problems_are_none())
    else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let why = template.revoke_reason.value.clone();
    let wanted = Wanted::Permission { person, authority, change: Change::Revoke(cause) };
    let (change, back) = (ConsoleChange::TakePermission, template.here.clone());
    let action = format!("{back}/revoke");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Registration", template.revoke.chosen().to_owned()),
        ("Cause", cause.label().to_owned()),
        ("Reason", why.clone()),
    ]);
    match enter(&asking, wanted, why).await? {
        Ok(None) => Ok(see_other(&format!("{}?done=revoked", known.base()))),
        Ok(Some(refusal)) => {
            template.revoke.error = Some(refusal.to_string());
            person_wrong(&ctx, &known, template, person).await
        }
        Err(asked) => Ok(asked),
    }
}

/// Saves a registration or licence as far as one person may. The inner error is why access control says no.
async fn save_paper(
    asking: &Asking<'_>,
    it: NewPaper,
    here: &str,
) -> Result<Result<Response, AccessRefusal>, Stop> {
    let (ctx, known) = (asking.ctx, asking.known);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(Ok(asked)),
    };
    let saved = ctx.app().enter_paper(act, it, ctx.at).await;
    Ok(Ok(match saved.map_err(|error| ctx.stop(&error))? {
        Asked::Done(PaperDone::Saved) => see_other(&format!("{here}?done=saved")),
        Asked::Done(PaperDone::SavedAndWaits) => see_other(&format!("{here}?done=narrowed")),
        Asked::Done(PaperDone::SavedAlone(_)) => see_other(&format!("{here}?done=narrowed-only")),
        Asked::Done(PaperDone::Waits) => see_other(&format!("{}?done=entered", known.base())),
        Asked::Refused(refusal) => return Ok(Err(refusal)),
        Asked::NotConfirmed(refusal) => asking.again(&refusal),
    }))
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
    template.dea_reason = reason(&fields, "dea_reason");
    let read = (
        read::<DeaNumber>(&mut template.dea),
        read::<UsState>(&mut template.dea_state),
        read::<Schedules>(&mut template.schedules),
        read::<Date>(&mut template.dea_expires),
    );
    let today = Date::at(ctx.now(), &known.desk.practice.zone);
    if let Some(last) = read.3 {
        template.dea_expires.error =
            LastDayError::of_registration(last, today).err().map(|it| it.to_string());
    }
    let (Some(number), Some(state), Some(schedules), Some(expires), true) =
        (read.0, read.1, read.2, read.3, template.problems_are_none())
    else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let paper = Paper::Dea(DeaRegistration { number, state, schedules, expires, withdrawn: None });
    // The institution's own number is nobody's.
    let own =
        known.board.authorities.iter().any(|it| it.person.is_none() && it.paper.is_same(&paper));
    let (why, here) = (template.dea_reason.value.clone(), template.here.clone());
    let it = NewPaper { person: (!own).then_some(person), paper, reason: why };
    let (change, action) = (ConsoleChange::EnterPaper, format!("{here}/dea"));
    let back = here.clone();
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", if own { "The institution".to_owned() } else { template.name.clone() }),
        ("DEA number", template.dea.value.clone()),
        ("State", template.dea_state.value.clone()),
        ("Schedules", template.schedules.value.clone()),
        ("Last day", template.dea_expires.value.clone()),
        ("Reason", template.dea_reason.value.clone()),
    ]);
    match save_paper(&asking, it, &here).await? {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            template.dea.error = Some(paper_refused(refusal));
            person_wrong(&ctx, &known, template, person).await
        }
    }
}

/// Why a registration or licence is not saved, in words.
fn paper_refused(refusal: AccessRefusal) -> String {
    match refusal {
        AccessRefusal::NoChange => "It says that already.".to_owned(),
        other => other.to_string(),
    }
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
    template.licence_reason = reason(&fields, "licence_reason");
    if template.licence.value.is_empty() {
        template.licence.error = Some("Type the number of the licence.".to_owned());
    }
    read::<KeyboardLine<40>>(&mut template.licence);
    let read =
        (read::<UsState>(&mut template.licence_state), read::<Date>(&mut template.licence_expires));
    let today = Date::at(ctx.now(), &known.desk.practice.zone);
    if let Some(last) = read.1 {
        template.licence_expires.error =
            LastDayError::of_licence(last, today).err().map(|it| it.to_string());
    }
    let (Some(state), Some(expires), true) = (read.0, read.1, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let number = template.licence.value.clone();
    let paper = Paper::Licence(StateLicence { state, number, expires, withdrawn: None });
    let (why, here) = (template.licence_reason.value.clone(), template.here.clone());
    let it = NewPaper { person: Some(person), paper, reason: why };
    let (change, action) = (ConsoleChange::EnterPaper, format!("{here}/licence"));
    let back = here.clone();
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("Licence", template.licence.value.clone()),
        ("State", template.licence_state.value.clone()),
        ("Last day", template.licence_expires.value.clone()),
        ("Reason", template.licence_reason.value.clone()),
    ]);
    match save_paper(&asking, it, &here).await? {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            template.licence.error = Some(paper_refused(refusal));
            person_wrong(&ctx, &known, template, person).await
        }
    }
}

/// Ends a registration or licence.
pub(super) async fn end(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (mut template, person) = person_page(&ctx, &known, &id).await?;
    fields.text("ended").clone_into(&mut template.ended.value);
    template.end_reason = reason(&fields, "end_reason");
    let ended = template.ended.options.iter().any(|it| it.value == template.ended.value);
    let authority = template.ended.value.parse::<AuthorityId>();
    if !ended || authority.is_err() {
        template.ended.error = Some("Choose the registration or licence.".to_owned());
    }
    let (Ok(authority), true) = (authority, template.problems_are_none()) else {
        return person_wrong(&ctx, &known, template, person).await;
    };
    let (why, back) = (template.end_reason.value.clone(), template.here.clone());
    let (change, action) = (ConsoleChange::NarrowPaper, format!("{back}/end"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Person", template.name.clone()),
        ("To be ended", template.ended.chosen().to_owned()),
        ("Reason", why.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let done = ctx.app().end_paper(act, Some(person), authority, why, ctx.at).await;
    match done.map_err(|error| ctx.stop(&error))? {
        Ok(true) => Ok(see_other(&format!("{}?done=ended", template.here))),
        Ok(false) => {
            template.ended.error = Some("It is ended already.".to_owned());
            person_wrong(&ctx, &known, template, person).await
        }
        Err(refusal) => Ok(asking.again(&refusal)),
    }
}

async fn shown(ctx: &Ctx, known: &Known, id: &str) -> Result<(Shown, RequestId), Stop> {
    let id: RequestId = id.parse().map_err(|_| ctx.not_found())?;
    let shown = ctx.app().request(&known.desk, id, ctx.at).await;
    Ok((shown.map_err(|error| ctx.stop(&error))?, id))
}

/// Lays out the page of a change. Whoever sets access control sees NPI and DEA numbers in full, since they check
/// them; that goes on record.
async fn request_out(
    ctx: &Ctx,
    known: &Known,
    shown: &Shown,
    template: &RequestPage,
    status: StatusCode,
) -> Out {
    let row = &shown.row;
    let npi = row.person.is_some_and(|id| {
        let is = |name: &SignInName| matches!(name, SignInName::Npi(_));
        known.board.people.iter().any(|it| it.id == id && is(&it.sign_in))
    });
    let numbers = npi || !template.line.dea.is_empty() || template.paper.is_some();
    if numbers && known.desk.may(ConsoleChange::ExecuteRequest) {
        let what = format!("change {}", row.id);
        let noted = ctx.app().note_shown(&known.desk, row.person, what, ctx.at).await;
        noted.map_err(|error| ctx.stop(&error))?;
    }
    Ok(page(status, template))
}

fn request_page(ctx: &Ctx, known: &Known, shown: &Shown) -> RequestPage {
    let row = &shown.row;
    let full = known.desk.may(ConsoleChange::ExecuteRequest);
    let is_open = shown.request.is_open(ctx.now());
    let sign_in = row.person.map(|id| signs_in(known, id, full)).unwrap_or_default();
    let authority = known.authority(row);
    let mut line = known.line(row, ctx.now());
    if full && let Some(dea) = authority.and_then(|it| it.paper.dea()) {
        line.dea = dea.as_text();
    }
    let paper = match &shown.request.matter {
        Matter::Paper { before, after, .. } if full => Some((before.clone(), after.clone())),
        Matter::Paper { .. } => match &row.body {
            RequestBody::Paper { paper, before } => {
                let says = Paper::of_parts(paper).map(|it| it.says()).unwrap_or_default();
                Some((if before.is_empty() { "none".to_owned() } else { before.clone() }, says))
            }
            _ => None,
        },
        _ => None,
    };
    let registration = match authority {
        Some(it) if paper.is_none() => it.says(),
        _ => String::new(),
    };
    let mine = shown.hindrance == Some(AccessRefusal::SamePerson);
    let outside = shown.hindrance == Some(AccessRefusal::NotDesignated);
    let works = shown.request.matter.works_at_once();
    RequestPage {
        page: known.frame(ctx, "Change of access control"),
        base: known.base(),
        here: format!("{}/requests/{}", known.base(), row.id),
        odd_name: row.person.map_or("", |id| odd_name(&known.name(id))),
        line,
        sign_in,
        registration,
        verified: match &row.body {
            RequestBody::Grant { verified, .. } => verified.clone(),
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
        open: is_open,
        hindrance: shown.hindrance.as_ref().map(ToString::to_string),
        reject: (!mine && !outside).then(TextField::default),
        can_withdraw: !works && row.entered_by == known.desk.person,
        works,
        paper,
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
    let template = request_page(&ctx, &known, &shown);
    request_out(&ctx, &known, &shown, &template, StatusCode::OK).await
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
        return request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    // A form without what was shown is bound to nothing, and so is refused as changed.
    let shown = digest.unwrap_or_default();
    let execution = Execution { shown, passphrase: fields.secret("passphrase"), confirm };
    match ctx.app().execute_request(&known.session, &known.desk, id, execution, ctx.at).await {
        Ok(Asked::Done(())) => {
            let taken = matches!(it.row.body, RequestBody::Revoke { .. });
            let done = if taken { "confirmed" } else { "executed" };
            return Ok(see_other(&format!("{}?done={done}", known.base())));
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
    request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await
}

pub(super) async fn reject(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    let mut template = request_page(&ctx, &known, &it);
    let typed = reason(&fields, "reject_reason");
    let (why, wrong) = (typed.value.clone(), typed.error.is_some());
    if template.reject.is_some() {
        template.reject = Some(typed);
        if wrong {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return request_out(&ctx, &known, &it, &template, status).await;
        }
    }
    let (change, back) = (ConsoleChange::RejectRequest, template.here.clone());
    let action = format!("{back}/reject");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Change", template.line.what.clone()),
        ("DEA number", template.line.dea.clone()),
        ("Entered by", template.line.by.clone()),
        ("Reason", why.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    match ctx.app().reject_request(act, id, why, ctx.at).await.map_err(|error| ctx.stop(&error))? {
        Asked::Done(()) => {
            let done = if template.works { "mistaken" } else { "rejected" };
            Ok(see_other(&format!("{}?done={done}", known.base())))
        }
        Asked::Refused(refusal) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Asked::NotConfirmed(refusal) => Ok(asking.again(&refusal)),
    }
}

/// Whoever entered a change withdraws it.
pub(super) async fn withdraw(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    let back = format!("{}/requests/{id}", known.base());
    let (change, action) = (ConsoleChange::WithdrawRequest, format!("{back}/withdraw"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Change", known.line(&it.row, ctx.now()).what),
        ("Reason", it.row.reason.clone()),
    ]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    match ctx.app().withdraw_request(act, id, ctx.at).await.map_err(|error| ctx.stop(&error))? {
        Asked::Done(()) => Ok(see_other(&format!("{}?done=withdrawn", known.base()))),
        Asked::Refused(refusal) => {
            let mut template = request_page(&ctx, &known, &it);
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Asked::NotConfirmed(refusal) => Ok(asking.again(&refusal)),
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
        can_print: known.desk.may(ConsoleChange::PrintLetter),
        letters: letters
            .iter()
            .filter(|_| known.desk.may(ConsoleChange::PrintLetter))
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
                let what = format!("{} \u{2192} {}", notice_subject(&it.kind), name(it.person));
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

pub(super) async fn letter(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let id: MessageId = id.parse().map_err(|_| ctx.not_found())?;
    // Before a passcode is asked for.
    let messages = ctx.app().messages(&known.desk).await.map_err(|error| ctx.stop(&error))?;
    let waits = messages.iter().find(|it| {
        let theirs = it.person != Some(known.desk.person);
        it.id == id && it.channel == Channel::Post && it.done.is_none() && theirs
    });
    let waits = waits.ok_or_else(|| ctx.not_found())?;
    let to = waits.person.map(|person| known.name(person)).unwrap_or_default();
    let back = format!("{}/letters", known.base());
    let (change, action) = (ConsoleChange::PrintLetter, format!("{back}/{id}"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([("To", to)]);
    let act = match asking.act() {
        Ok(act) => act,
        Err(asked) => return Ok(asked),
    };
    let printed = ctx.app().print_letter(act, id, ctx.at).await;
    let message = match printed.map_err(|error| ctx.stop(&error))? {
        Ok(message) => message,
        Err(refusal) => return Ok(asking.again(&refusal)),
    };
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
