//! Audit and certification reports: entered, acknowledged by a practice, read by a practitioner.

use countersign_crypto::sha256;
use countersign_domain::{
    Date, Refusal, ReportId, TimeZone,
    certification::{BuildId, ReportError, ReportFacts, ReportFormat},
    command::commands,
};
use countersign_store::{Report, Session};

use super::{current, noncompliance::tell, said};
use crate::{
    Act, Answer, App, At, Confirm, Error, RefusalCode,
    command::{Caller, CommandContext, Decision},
    notices::Note,
};

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

impl RefusalCode for ReportRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Wrong(_) => "report_wrong",
            Self::Known => "report_known",
        }
    }
}

impl App {
    /// Enters a report. Every practice is told: each acknowledges it before its next signature.
    pub async fn enter_report(
        &self,
        new: NewReport,
        at: At,
    ) -> Result<Answer<Report, ReportRefusal>, Error> {
        self.run(commands::ENTER_REPORT, Caller::Operator, at, move |cx| {
            let facts = &new.facts;
            let (kind, from, to) = (facts.kind.code(), facts.issued, facts.expires);
            cx.detail(&format!(
                "{kind} {} of {}, {from} to {to}, {} builds, by {}",
                facts.name,
                facts.auditor,
                new.builds.len(),
                new.by
            ));
            let today = Date::at(at.now, &TimeZone::UTC);
            let format = facts.check(today).and_then(|()| ReportFormat::of(&new.document));
            let format = match format {
                Ok(format) if !new.builds.is_empty() => format,
                Ok(_) => return Ok(Decision::Refused(ReportError::NoBuild.into())),
                Err(error) => return Ok(Decision::Refused(error.into())),
            };
            let report = Report {
                id: ReportId::new(at.now, cx.tx.rng())?,
                facts: facts.clone(),
                format,
                sha256: sha256(&new.document),
                entered: at.now,
                entered_by: new.by.clone(),
                builds: new.builds.clone(),
            };
            if !cx.tx.create_report(&report, &new.document)? {
                return Ok(Decision::Refused(ReportRefusal::Known));
            }
            let detail = format!("{} by {}", facts.name, facts.auditor);
            for (practice, _) in cx.tx.practices()? {
                tell(cx.tx, cx.mailer, Note::ReportEntered, practice, &detail, at)?;
            }
            Ok(Decision::Done(report))
        })
        .await
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

    /// Acknowledges the report of the running build for the practice. `shown` is the report that was seen; refused
    /// where another one is in force by now, or it was acknowledged before.
    pub async fn acknowledge_report(
        &self,
        act: Act,
        shown: ReportId,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (by, practice, running) =
            (act.membership.person, act.membership.practice.id, self.running());
        self.run(commands::ACKNOWLEDGE_REPORT, Caller::Member(Box::new(act)), at, move |cx| {
            let Some(report) = current(cx.tx, &running, shown)? else {
                return Ok(Decision::Refused(Refusal::NoChange));
            };
            cx.detail(&said(&report, &running));
            let done = cx.tx.acknowledge_report(practice, report.id, &running.id, by, at.now)?;
            Ok(Decision::of(done.then_some(()).ok_or(Refusal::NoChange)))
        })
        .await
    }

    /// A practitioner says that they have read the report of the running build and found what 21 CFR
    /// 1311.102(d) asks for. `shown` is the report that they saw.
    pub async fn review_report(
        &self,
        session: &Session,
        shown: ReportId,
        confirm: Option<Confirm>,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (running, seen) = (self.running(), self.running());
        let check = move |cx: &mut CommandContext<'_, '_>, _: Option<&Confirm>| {
            let Some(report) = current(cx.tx, &seen, shown)? else {
                return Ok(Some(Decision::Refused(Refusal::NoChange)));
            };
            cx.detail(&said(&report, &seen));
            Ok(None)
        };
        let caller = Caller::confirmed(session, confirm);
        self.run_checked(commands::REVIEW_REPORT, caller, at, check, move |cx| {
            let who = cx.who()?;
            let Some(report) = current(cx.tx, &running, shown)? else {
                return Ok(Decision::Refused(Refusal::NoChange));
            };
            let done = cx.tx.review_report(who.id, report.id, at.now)?;
            Ok(Decision::of(done.then_some(()).ok_or(Refusal::NoChange)))
        })
        .await
    }
}
