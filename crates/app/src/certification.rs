//! Certified builds: the audit or certification report of the build that runs, who has acknowledged it, and
//! notices that a build no longer meets the requirements (21 CFR 1311.300, 1311.302, 1311.102(d), (g)-(i)).

mod demo;
mod noncompliance;
mod reports;

use countersign_domain::{PersonId, PracticeId, ReportId, Timestamp, certification::RunningBuild};
use countersign_store::{NoncomplianceNotice, Report, Tx};

use super::{App, At, Build, Error, SigningHindrance, prescriptions::today};

pub use noncompliance::{MOST_REASON_CHARS, NewNotice, NoticeEnd, NoticeRefusal};
pub use reports::{NewReport, ReportRefusal};

/// How the certification of the running build stands for a practice and somebody of it.
#[derive(Debug, Clone)]
pub struct Certification {
    /// The build that runs.
    pub running: RunningBuild,
    /// Its report, where one is entered.
    pub report: Option<Report>,
    /// Whether the report holds today where the practice is.
    pub holds: bool,
    /// Who has acknowledged it for the practice, and when.
    pub acknowledged: Option<(PersonId, Timestamp)>,
    /// When whoever looks has read it.
    pub reviewed: Option<Timestamp>,
    /// The notices of non-compliance that concern this build.
    pub notices: Vec<NoncomplianceNotice>,
    /// All reports that are kept, the newest first (21 CFR 1311.300(f)).
    pub all: Vec<Report>,
}

impl App {
    /// The build that runs, as far as certification goes.
    pub fn running(&self) -> RunningBuild {
        let options = &self.options;
        RunningBuild {
            version: options.version,
            id: options.build_id.clone(),
            listed: match &options.build {
                Build::Listed { report } => Some(report.clone()),
                Build::Allowed | Build::Unlisted => None,
            },
        }
    }

    /// How the certification of the running build stands for a practice and somebody of it.
    pub async fn certification(
        &self,
        practice: PracticeId,
        person: PersonId,
        at: At,
    ) -> Result<Certification, Error> {
        let running = self.running();
        let found = self
            .store
            .read("certification", move |tx| {
                let report = tx.report_of(&running.id, running.listed.as_deref())?;
                let today = today(tx, practice, at.now)?;
                let (acknowledged, reviewed) = match &report {
                    Some(it) => (
                        tx.report_acknowledged(practice, it.id, &running.id)?,
                        tx.report_reviewed(person, it.id)?,
                    ),
                    None => (None, None),
                };
                let mut notices = tx.noncompliance()?;
                notices.retain(|it| running.is_stopped_by(it.scope()));
                Ok(Certification {
                    holds: report.as_ref().is_some_and(|it| it.facts.holds(today)),
                    report,
                    acknowledged,
                    reviewed,
                    notices,
                    all: tx.reports()?,
                    running: running.clone(),
                })
            })
            .await?;
        Ok(found)
    }

    /// What of certification keeps a practitioner from signing in a practice now.
    pub async fn certification_hindrance(
        &self,
        practice: PracticeId,
        person: PersonId,
        at: At,
    ) -> Result<Option<SigningHindrance>, Error> {
        let running = self.running();
        let found = self
            .store
            .read("certification_hindrance", move |tx| {
                hindrance(tx, &running, person, practice, at.now)
            })
            .await?;
        Ok(found)
    }
}

/// The report of the running build, if it is the one that was shown.
fn current(
    tx: &mut Tx<'_>,
    running: &RunningBuild,
    shown: ReportId,
) -> Result<Option<Report>, countersign_store::Error> {
    let found = tx.report_of(&running.id, running.listed.as_deref())?;
    Ok(found.filter(|report| report.id == shown))
}

/// A report and a build, for a record.
fn said(report: &Report, running: &RunningBuild) -> String {
    format!("report {}, version {}, build {}", report.facts.name, running.version, running.id)
}

/// What of certification keeps a practitioner from signing in a practice now.
///
/// A build that a release manifest lists needs the report that the manifest names. Where the operator lets another
/// build sign, and in a demonstration, a report that covers it counts in the same way, and none is needed.
pub(super) fn hindrance(
    tx: &mut Tx<'_>,
    running: &RunningBuild,
    person: PersonId,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Option<SigningHindrance>, countersign_store::Error> {
    let notices = tx.notice_scopes()?;
    if notices.iter().any(|it| running.is_stopped_by(*it)) {
        return Ok(Some(SigningHindrance::Noncompliant));
    }
    let Some(report) = tx.report_of(&running.id, running.listed.as_deref())? else {
        return Ok(running.listed.is_some().then_some(SigningHindrance::NoReport));
    };
    Ok(if !report.facts.holds(today(tx, practice, now)?) {
        Some(SigningHindrance::ReportExpired)
    } else if tx.report_acknowledged(practice, report.id, &running.id)?.is_none() {
        Some(SigningHindrance::ReportNotAcknowledged)
    } else if tx.report_reviewed(person, report.id)?.is_none() {
        Some(SigningHindrance::ReportNotReviewed)
    } else {
        None
    })
}

/// What hinders signing: what is known of this installation, and else what certification says.
pub(super) fn blocked(
    tx: &mut Tx<'_>,
    known: Option<SigningHindrance>,
    running: &RunningBuild,
    person: PersonId,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Option<SigningHindrance>, countersign_store::Error> {
    match known {
        Some(known) => Ok(Some(known)),
        None => hindrance(tx, running, person, practice, now),
    }
}
