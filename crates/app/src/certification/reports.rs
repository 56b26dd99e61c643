//! Audit and certification reports: entered, acknowledged by a practice, read by a practitioner.

use countersign_crypto::sha256;
use countersign_domain::{
    Actor, Date, Event, EventKind, Outcome, PersonId, Refusal, ReportId, TimeZone,
    certification::{BuildId, ReportError, ReportFacts, ReportFormat},
    console::ConsoleChange,
};
use countersign_store::{Report, Session};

use super::{current, noncompliance::tell, said};
use crate::{Act, App, At, Change, Confirm, Error, notices::Note, tokens::step_up};

/// A report as the operator enters it.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// What it says of itself.
    pub facts: ReportFacts,
    /// The builds that it covers.
    pub builds: Vec<BuildId>,
    /// The document.
    pub document: Vec<u8>,
    /// Who enters it.
    pub by: String,
}

/// Why a report is not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportRefusal {
    /// A fact or the document is wrong.
    #[error(transparent)]
    Wrong(#[from] ReportError),
    /// Another one has that ID.
    #[error("a report with this ID is already entered; reports can't be changed")]
    Known,
}

impl App {
    /// Enters a report. Every practice is told: each acknowledges it before its next signature.
    pub async fn enter_report(
        &self,
        new: NewReport,
        at: At,
    ) -> Result<Result<Report, ReportRefusal>, Error> {
        let today = Date::at(at.now, &TimeZone::UTC);
        if let Err(error) = new.facts.check(today) {
            return Ok(Err(error.into()));
        }
        let format = match ReportFormat::of(&new.document) {
            Ok(format) => format,
            Err(error) => return Ok(Err(error.into())),
        };
        if new.builds.is_empty() {
            return Ok(Err(ReportError::NoBuild.into()));
        }
        let mailer = self.mailer();
        let entered = self
            .store
            .write("enter_report", move |tx| {
                let report = Report {
                    id: ReportId::new(at.now, tx.rng())?,
                    facts: new.facts.clone(),
                    format,
                    sha256: sha256(&new.document),
                    entered: at.now,
                    entered_by: new.by.clone(),
                    builds: new.builds.clone(),
                };
                if !tx.create_report(&report, &new.document)? {
                    return Ok(None);
                }
                let facts = &report.facts;
                let detail = format!(
                    "{} {} of {}, {} to {}, {} builds, by {}",
                    facts.kind.code(),
                    facts.name,
                    facts.auditor,
                    facts.issued,
                    facts.expires,
                    report.builds.len(),
                    report.entered_by
                );
                let event = Event::success(EventKind::ReportEntered, Actor::Operator, at.support);
                tx.append(&event.detail(&detail), at.now)?;
                for (practice, _) in tx.practices()? {
                    let detail = format!("{} by {}", facts.name, facts.auditor);
                    tell(tx, &mailer, Note::ReportEntered, practice, &detail, at)?;
                }
                Ok(Some(report))
            })
            .await?;
        Ok(entered.ok_or(ReportRefusal::Known))
    }

    /// All reports, the newest first.
    pub async fn reports(&self) -> Result<Vec<Report>, Error> {
        Ok(self.store.read("reports", |tx| tx.reports()).await?)
    }

    /// A report and its document, as it was entered.
    pub async fn report_document(&self, id: ReportId) -> Result<(Report, Vec<u8>), Error> {
        let found = self.store.read("report_document", move |tx| tx.report_document(id)).await?;
        let (report, document) = found.ok_or(Error::NotFound)?;
        if sha256(&document) != report.sha256 {
            return Err(Error::unreadable("the document of a report"));
        }
        Ok((report, document))
    }

    /// Acknowledges the report of the running build for the practice. `shown` is the report that was seen; `false`
    /// where another one is in force by now, or it was acknowledged before.
    pub async fn acknowledge_report(
        &self,
        act: Act,
        shown: ReportId,
        at: At,
    ) -> Result<Result<bool, Refusal>, Error> {
        let (by, practice, running) =
            (act.membership.person, act.membership.practice.id, self.running());
        self.console(act, ConsoleChange::AcknowledgeReport, at, move |tx, mut event| {
            let report = current(tx, &running, shown)?;
            let mut done = false;
            if let Some(report) = &report {
                event = event.detail(&said(report, &running));
                done = tx.acknowledge_report(practice, report.id, &running.id, by, at.now)?;
            }
            if !done {
                event.outcome = Outcome::Refused;
                event = event.reason(Refusal::NoChange.code());
            }
            Ok(Some((done, event)))
        })
        .await
    }

    /// A practitioner says that they have read the report of the running build and found what 21 CFR
    /// 1311.102(d) asks for. `shown` is the report that they saw.
    pub async fn review_report(
        &self,
        session: &Session,
        person: PersonId,
        shown: ReportId,
        confirm: Option<Confirm>,
        at: At,
    ) -> Result<Change<()>, Error> {
        let (policy, running) = (self.options.policy, self.running());
        let (practice, session) = (session.practice, session.id);
        self.decide("review_report", person, session, at.now, move |account, tx| {
            let needed = account.needs_step_up(&policy, at.now);
            let confirm = confirm.as_ref();
            let mut detail = String::new();
            let mut work = || -> Result<Change<()>, countersign_store::Error> {
                let Some(report) = current(tx, &running, shown)? else {
                    return Ok(Change::Refused(Refusal::NoChange));
                };
                detail = said(&report, &running);
                let vouched = step_up(account, tx, needed, confirm, None, session, at, &policy)?;
                if let Err(refusal) = vouched {
                    return Ok(Change::NotConfirmed(refusal));
                }
                if !tx.review_report(person, report.id, at.now)? {
                    return Ok(Change::Refused(Refusal::NoChange));
                }
                Ok(Change::Done(()))
            };
            let change = work()?;
            let actor = Actor::Person(person);
            let event = Event::of(EventKind::ReportReviewed, actor, &change.outcome(), at.support)
                .about(practice, person)
                .detail(&detail);
            Ok((Ok(change), event))
        })
        .await
    }
}
