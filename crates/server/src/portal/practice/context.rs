//! Who asks in the console of a practice, and a change that they ask for.

use std::convert::Infallible;

use axum::response::Response;
use countersign_app::{Act, Answer, Confirm, Error, Membership, Overview, PracticeOverview};
use countersign_domain::{PersonId, PracticeId, Refusal, Timestamp, command::Command};
use countersign_store::{CodeRow, Session};
use http::StatusCode;

use crate::{
    portal::{Ctx, Fields, show, tokens},
    views::{ANY_TOKEN, ConfirmPage, NavTab, Page, SecretField, StepUp},
    web::respond::{Stop, page},
};

pub(super) fn base(practice: PracticeId) -> String {
    format!("/practice/{practice}")
}

/// Somebody in the console of a practice. Another's practice is not found.
pub(in crate::portal) struct Known {
    pub(in crate::portal) session: Session,
    pub(in crate::portal) membership: Membership,
    pub(in crate::portal) practice_overview: PracticeOverview,
    pub(in crate::portal) overview: Overview,
}

impl Known {
    /// Who reads a page, for what a page puts on record.
    pub(in crate::portal) fn reads(&self) -> Act {
        let (membership, session) = (self.membership.clone(), self.session.clone());
        Act { membership, session, confirm: None }
    }
}

pub(in crate::portal) async fn known(ctx: &Ctx, practice: &str) -> Result<Known, Stop> {
    let (session, person) = ctx.full_session()?;
    let practice: PracticeId = practice.parse().map_err(|_| ctx.not_found())?;
    let membership =
        ctx.app().membership(person, practice).await.map_err(|error| ctx.stop(&error))?;
    let practice_overview =
        ctx.app().practice_overview(&membership).await.map_err(|error| ctx.stop(&error))?;
    let overview = ctx.app().overview(person).await.map_err(|error| ctx.stop(&error))?;
    Ok(Known { session, membership, practice_overview, overview })
}

impl Known {
    pub(in crate::portal) fn base(&self) -> String {
        base(self.membership.practice.id)
    }

    pub(in crate::portal) fn frame(&self, ctx: &Ctx, title: &str) -> Page {
        let mut page = tokens::frame(ctx, &self.overview, title, NavTab::Hidden);
        page.practice = Some(self.membership.practice.name.clone());
        page.zone = Some(self.membership.practice.zone.clone());
        page
    }

    /// A moment in the practice's time zone, for a sentence.
    pub(in crate::portal) fn time(&self, at: Timestamp) -> String {
        self.membership.practice.zone.moment_text(at)
    }

    /// Whoever acts here, with a passcode where one was given.
    pub(in crate::portal) fn act(&self, confirm: Option<Confirm>) -> Act {
        Act { membership: self.membership.clone(), session: self.session.clone(), confirm }
    }

    pub(in crate::portal) fn name(&self, id: PersonId) -> String {
        let found = self.practice_overview.people.iter().find(|person| person.id == id);
        found.map_or_else(|| "Another user".to_owned(), |person| person.name.clone())
    }

    /// The code with which somebody prescribes under the institution's registration.
    pub(in crate::portal) fn code(&self, person: PersonId) -> Option<&CodeRow> {
        self.practice_overview.codes.iter().find(|row| row.person == person && row.ended.is_none())
    }
}

/// A change that somebody wants to make in the console, and what they typed.
pub(in crate::portal) struct Asking<'a> {
    pub(super) ctx: &'a Ctx,
    pub(in crate::portal) known: &'a Known,
    pub(super) fields: &'a Fields,
    pub(super) command: Command,
    /// Where the form is sent again.
    pub(in crate::portal) action: String,
    /// Where "Cancel" leads.
    pub(in crate::portal) back: String,
    /// What exactly is asked for, for the page that asks for the passcode: what, and which.
    pub(in crate::portal) about: Vec<(&'static str, String)>,
}

impl<'a> Asking<'a> {
    pub(in crate::portal) const fn new(
        ctx: &'a Ctx,
        known: &'a Known,
        fields: &'a Fields,
        command: Command,
        action: String,
        back: String,
    ) -> Self {
        Self { ctx, known, fields, command, action, back, about: Vec::new() }
    }

    /// Says what exactly is asked for; what is empty is not shown.
    pub(in crate::portal) fn about(
        mut self,
        facts: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        self.about.extend(facts.into_iter().filter(|(_, text)| !text.is_empty()));
        self
    }

    fn page(&self) -> ConfirmPage {
        let known = self.known;
        let typed = self.fields.0.iter().filter(|(name, _)| !name.starts_with("stepup_"));
        ConfirmPage {
            page: known.frame(self.ctx, self.command.what),
            back: self.back.clone(),
            action: self.action.clone(),
            what: self.command.what,
            about: self.about.clone(),
            fields: typed.cloned().collect(),
            step_up: Some(StepUp {
                token: show::choices(&known.overview.tokens, ANY_TOKEN, self.ctx.now()),
                passcode: SecretField::default(),
            }),
            lock: None,
        }
    }

    /// Who changes it, with the passcode where one is asked for; else the handler ends with the page that asks for it and
    /// keeps what was typed.
    pub(in crate::portal) fn act(&self) -> Result<Act, Stop> {
        let (membership, session) = (self.known.membership.clone(), self.known.session.clone());
        let command = self.command;
        let stale = self.ctx.app().needs_step_up(&session, self.ctx.at);
        // Whoever may not do it is told so without a passcode.
        if !command.step_up.asks(stale) || !command.allows(&membership.roles) {
            return Ok(Act { membership, session, confirm: None });
        }
        let mut template = self.page();
        let asked = ["stepup_token", "stepup_passcode"];
        if asked.iter().all(|name| self.fields.text(name).is_empty()) {
            return Err(Stop::with(page(StatusCode::OK, &template)));
        }
        match tokens::confirm(self.fields, template.step_up.as_mut()) {
            Ok(Some(confirm)) => Ok(Act { membership, session, confirm: Some(confirm) }),
            _ => Err(Stop::with(page(StatusCode::UNPROCESSABLE_ENTITY, &template))),
        }
    }

    /// The same of a change that nothing but its passcode can stop.
    pub(in crate::portal) fn done<T>(
        &self,
        answer: Result<Answer<T, Infallible>, Error>,
    ) -> Result<T, Stop> {
        self.answer(answer)?.map_err(|never| match never {})
    }

    /// What the change came to: done, or why not; where the passcode was refused, the handler ends with the page that asks
    /// again.
    pub(in crate::portal) fn answer<T, R>(
        &self,
        answer: Result<Answer<T, R>, Error>,
    ) -> Result<Result<T, R>, Stop> {
        match answer.map_err(|error| self.ctx.stop(&error))? {
            Answer::Done(done) => Ok(Ok(done)),
            Answer::Refused(refusal) => Ok(Err(refusal)),
            Answer::NotConfirmed(refusal) => Err(Stop::with(self.again(&refusal))),
        }
    }

    /// The page that asks again, because the passcode was refused.
    pub(in crate::portal) fn again(&self, refusal: &Refusal) -> Response {
        let mut template = self.page();
        let overview = &self.known.overview;
        template.lock = tokens::step_up_refused(self.ctx, &mut template.step_up, refusal, overview);
        page(StatusCode::UNPROCESSABLE_ENTITY, &template)
    }
}
