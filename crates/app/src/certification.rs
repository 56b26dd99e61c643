//! Certified builds: the audit or certification report of the build that runs, who has acknowledged it, and
//! notices that a build no longer meets the requirements (21 CFR 1311.300, 1311.302, 1311.102(d), (g)-(i)).

mod demo;
mod noncompliance;
mod reports;

use countersign_domain::{
    PersonId, PracticeId, ReportId, Timestamp,
    certification::RunningBuild,
    signing::{Installation, ReportFacts, SigningFacts, hindrances},
};
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
                let (noncompliant, report) = facts(tx, &running, person, practice, at.now)?;
                let installation = Installation { noncompliant, ..Installation::CLEAR };
                let facts = SigningFacts { installation, report, ..SigningFacts::CLEAR };
                Ok(hindrances(&facts).first().copied())
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

/// What certification says of a practitioner who would sign in a practice now: whether a notice of non-compliance
/// stops this build, and how its report stands.
///
/// A build that a release manifest lists needs the report that the manifest names. Where the operator lets another
/// build sign, and in a demonstration, a report that covers it counts in the same way, and none is needed.
pub(super) fn facts(
    tx: &mut Tx<'_>,
    running: &RunningBuild,
    person: PersonId,
    practice: PracticeId,
    now: Timestamp,
) -> Result<(bool, ReportFacts), countersign_store::Error> {
    let stopped = tx.notice_scopes()?.iter().any(|it| running.is_stopped_by(*it));
    let report = match tx.report_of(&running.id, running.listed.as_deref())? {
        None if running.listed.is_some() => ReportFacts::Missing,
        None => ReportFacts::NotNeeded,
        Some(report) => ReportFacts::Entered {
            holds: report.facts.holds(today(tx, practice, now)?),
            acknowledged: tx.report_acknowledged(practice, report.id, &running.id)?.is_some(),
            reviewed: tx.report_reviewed(person, report.id)?.is_some(),
        },
    };
    Ok((stopped, report))
}
