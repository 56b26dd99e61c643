//! Certified builds: the audit or certification report of the build that runs, who has acknowledged it, and
//! notices that a build no longer meets the requirements (21 CFR 1311.300, 1311.302, 1311.102(d), (g)-(i)).

use std::sync::atomic::Ordering;

use countersign_crypto::sha256;
use countersign_domain::{
    Actor, Date, Event, EventKind, NoticeId, Outcome, PersonId, PracticeId, Refusal, ReportId,
    Role, TimeZone, Timestamp,
    certification::{
        BuildId, NoticeScope, ReportError, ReportFacts, ReportFormat, ReportKind, RunningBuild,
        Version,
    },
    console::ConsoleChange,
};
use countersign_store::{NoncomplianceNotice, Report, Session, Tx};

use super::{
    Act, App, At, Build, Change, Confirm, Error, SigningHindrance,
    notices::{Mailer, Note, Notice},
    prescriptions::today,
    tokens::step_up,
};

/// How long a notice of non-compliance stays open at least, in seconds: every server looks once a minute and
/// has seen it by then, also one whose build is old.
const OPEN_SECONDS: i64 = 120;
/// Longest reason of a notice of non-compliance, in characters.
pub const MOST_REASON_CHARS: usize = 200;

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
    #[error("a report with this ID is entered already; a report is never changed")]
    Known,
}

/// A notice of non-compliance as the operator enters it.
#[derive(Debug, Clone)]
pub struct NewNotice {
    /// Who has given notice.
    pub source: String,
    /// What is wrong.
    pub reason: String,
    /// The last version that is concerned.
    pub through: Version,
    /// Who enters it.
    pub by: String,
}

/// The word that ends a notice of non-compliance, as the operator records it.
#[derive(Debug, Clone)]
pub struct NoticeEnd {
    /// Which notice.
    pub notice: NoticeId,
    /// Who says that the program is compliant again.
    pub source: String,
    /// Why.
    pub reason: String,
    /// Who records it.
    pub by: String,
}

/// Why a notice of non-compliance is not entered or not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoticeRefusal {
    /// An equal one is open.
    #[error(
        "this notice is entered already and open: same sender, same reason, same version; `countersign admin reports` lists it"
    )]
    Known,
    /// No notice with this ID is open.
    #[error("no notice with this ID is open: `countersign admin reports` lists them")]
    NotOpen,
    /// The program that would sign is one that the notice is about.
    #[error(
        "this program is version {running}, and the notice is about all versions through {through}: install a newer one first"
    )]
    OldBuild {
        /// The version of the program.
        running: Version,
        /// The last version that the notice is about.
        through: Version,
    },
}

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

    /// Whether a notice of non-compliance stops this build. One that is about its version always will: a build does
    /// not change while it runs. One that stops it because no release manifest lists it does so until it ends.
    pub fn is_noncompliant(&self) -> bool {
        self.noncompliant.load(Ordering::Relaxed) || self.awaits_word.load(Ordering::Relaxed)
    }

    /// Remembers what the database says of all notices of non-compliance.
    pub(super) fn heed_noncompliance(&self, notices: &[NoticeScope]) {
        let before = self.is_noncompliant();
        let running = self.running();
        if notices.iter().any(|it| running.version <= it.through) {
            self.noncompliant.store(true, Ordering::Relaxed);
        }
        // A reader that was slow may write what is no longer true; the next one mends it, and meanwhile the rows of
        // the tokens, which every signature reads, say that they don't sign.
        let awaits = notices.iter().any(|it| it.open && running.is_stopped_by(*it));
        self.awaits_word.store(awaits, Ordering::Relaxed);
        match (before, self.is_noncompliant()) {
            (false, true) => {
                tracing::error!(version = %running.version, "a notice of non-compliance stops this build: nothing is signed");
            }
            (true, false) => {
                tracing::warn!(version = %running.version, "no notice of non-compliance stops this build any more");
            }
            _ => {}
        }
    }

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
                    let detail = format!("{} of {}", facts.name, facts.auditor);
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

    /// All notices of non-compliance, the newest first.
    pub async fn noncompliance(&self) -> Result<Vec<NoncomplianceNotice>, Error> {
        Ok(self.store.read("noncompliance", |tx| tx.noncompliance()).await?)
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

    /// Acknowledges the report of the running build for the practice. `shown` is the report that was seen; `false`
    /// where another one is in force by now, or it was acknowledged before.
    pub async fn acknowledge_report(
        &self,
        act: Act,
        shown: ReportId,
        at: At,
    ) -> Result<Result<bool, Refusal>, Error> {
        let (by, practice, running) = (act.desk.person, act.desk.practice.id, self.running());
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

    /// Enters a notice that all builds up to and including a version no longer meet the requirements. From the
    /// commit on nothing is signed in any practice, on any server, by page or API, and all who set access control
    /// are told (21 CFR 1311.102(g), (h), 1311.302).
    pub async fn enter_noncompliance(
        &self,
        new: NewNotice,
        at: At,
    ) -> Result<Result<NoticeId, NoticeRefusal>, Error> {
        let mailer = self.mailer();
        let entered = self
            .store
            .write("enter_noncompliance", move |tx| {
                let NewNotice { source, reason, through, by } = &new;
                let through = *through;
                let stopped = !tx.open_noncompliance()?.is_empty();
                let notice = NoncomplianceNotice {
                    id: NoticeId::new(at.now, tx.rng())?,
                    source: source.clone(),
                    reason: reason.clone(),
                    through,
                    entered: at.now,
                    entered_by: by.clone(),
                    ended: None,
                };
                if !tx.create_noncompliance(&notice)? {
                    return Ok(None);
                }
                let event =
                    Event::success(EventKind::NoncomplianceEntered, Actor::Operator, at.support)
                        .detail(&format!("through {through}, from {source}, by {by}: {reason}"));
                tx.append(&event, at.now)?;
                for (practice, _) in tx.practices()? {
                    if !stopped {
                        let stop = Event {
                            kind: EventKind::SigningStopped,
                            practice: Some(practice),
                            ..event.clone()
                        };
                        tx.append(&stop, at.now)?;
                    }
                    let detail = format!(
                        "{source} has given notice that this program, up to version {through}, no longer meets the requirements: {reason}"
                    );
                    tell(tx, &mailer, Note::SigningStopped, practice, &detail, at)?;
                }
                Ok(Some(notice.id))
            })
            .await?;
        let notices = self.store.read("notice_scopes", |tx| tx.notice_scopes()).await?;
        self.heed_noncompliance(&notices);
        Ok(entered.ok_or(NoticeRefusal::Known))
    }

    /// Ends a notice of non-compliance on somebody's word that the program is compliant again (21 CFR 1311.102(h),
    /// (i)). Builds up to its version stay stopped, so that only a newer program does this: running it is the update.
    /// With the last open notice signing goes on in every practice, and each is told.
    pub async fn end_noncompliance(
        &self,
        end: NoticeEnd,
        at: At,
    ) -> Result<Result<NoncomplianceNotice, NoticeRefusal>, Error> {
        let (running, mailer) = (self.running(), self.mailer());
        let ended = self
            .store
            .write("end_noncompliance", move |tx| {
                let NoticeEnd { notice, source, reason, by } = &end;
                let open = tx.open_noncompliance()?;
                let Some(found) = open.iter().find(|it| it.id == *notice) else {
                    return Ok(Err(NoticeRefusal::NotOpen));
                };
                let through = found.through;
                if running.version <= through {
                    let running = running.version;
                    return Ok(Err(NoticeRefusal::OldBuild { running, through }));
                }
                tx.end_noncompliance(found.id, &format!("{source}, recorded by {by}"), at.now)?;
                let event =
                    Event::success(EventKind::NoncomplianceEnded, Actor::Operator, at.support)
                        .detail(&format!(
                            "through {through}, on the word of {source}, by {by}: {reason}"
                        ));
                tx.append(&event, at.now)?;
                if open.len() == 1 {
                    for (practice, _) in tx.practices()? {
                        let resumed = Event {
                            kind: EventKind::SigningResumed,
                            practice: Some(practice),
                            ..event.clone()
                        };
                        tx.append(&resumed, at.now)?;
                        let detail =
                            format!("version {} runs, compliant by {source}", running.version);
                        tell(tx, &mailer, Note::SigningResumed, practice, &detail, at)?;
                    }
                }
                Ok(Ok(NoncomplianceNotice { ended: Some(at.now), ..found.clone() }))
            })
            .await?;
        let notices = self.store.read("notice_scopes", |tx| tx.notice_scopes()).await?;
        self.heed_noncompliance(&notices);
        Ok(ended)
    }

    /// Heeds the notices of non-compliance that the database holds, and ends those that this build is free of: a
    /// newer one that a release manifest lists (21 CFR 1311.102(i)). How many were ended. Called at the start and
    /// once a minute by every server.
    pub async fn watch_certification(&self) -> Result<usize, Error> {
        let notices = self.store.read("notice_scopes", |tx| tx.notice_scopes()).await?;
        self.heed_noncompliance(&notices);
        if !notices.iter().any(|it| it.open) || self.is_noncompliant() {
            return Ok(0);
        }
        let (at, running, mailer) = (self.at()?, self.running(), self.mailer());
        let ended = self
            .store
            .write("end_noncompliance", move |tx| {
                let open = tx.open_noncompliance()?;
                let over = |it: &&NoncomplianceNotice| {
                    !running.is_stopped_by(it.scope())
                        && it.entered.seconds_until(at.now) >= OPEN_SECONDS
                };
                let over: Vec<&NoncomplianceNotice> = open.iter().filter(over).collect();
                for it in &over {
                    tx.end_noncompliance(it.id, &format!("version {}", running.version), at.now)?;
                }
                if over.is_empty() || over.len() < open.len() {
                    return Ok(over.len());
                }
                let detail = format!("version {}, build {}", running.version, running.id);
                let event = Event::success(EventKind::SigningResumed, Actor::System, at.support)
                    .detail(&detail);
                for (practice, _) in tx.practices()? {
                    let resumed = Event { practice: Some(practice), ..event.clone() };
                    tx.append(&resumed, at.now)?;
                    let detail = format!("version {} runs, which is certified", running.version);
                    tell(tx, &mailer, Note::SigningResumed, practice, &detail, at)?;
                }
                Ok(over.len())
            })
            .await?;
        Ok(ended)
    }

    /// Puts a made-up report in force for the build of a demonstration: entered, acknowledged for each practice by
    /// somebody who sets access control, and read by everybody who prescribes. Does nothing where that is done.
    pub async fn install_demo_report(&self, at: At) -> Result<(), Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        let running = self.running();
        let day = Date::at(at.now, &TimeZone::UTC);
        let document = DEMO_REPORT.replace("{version}", &running.version.to_string());
        self.store
            .write("install_demo_report", move |tx| {
                let known = tx.report_of(&running.id, None)?;
                let known = known.filter(|it| it.facts.holds(day.plus_days(-1)));
                let report = if let Some(known) = known {
                    known
                } else {
                    let report = Report {
                        id: ReportId::new(at.now, tx.rng())?,
                        facts: ReportFacts {
                            name: format!("MADE-UP-{day}"),
                            kind: ReportKind::Audit,
                            auditor: "Nobody: this report is made up".to_owned(),
                            // The day before, so that it holds in every time zone.
                            issued: day.plus_days(-1),
                            expires: day.plus_days(700),
                        },
                        format: ReportFormat::Text,
                        sha256: sha256(document.as_bytes()),
                        entered: at.now,
                        entered_by: "demo".to_owned(),
                        builds: vec![running.id.clone()],
                    };
                    if !tx.create_report(&report, document.as_bytes())? {
                        return Ok(());
                    }
                    let event =
                        Event::success(EventKind::ReportEntered, Actor::Operator, at.support);
                    tx.append(&event.detail(&said(&report, &running)), at.now)?;
                    report
                };
                let detail = format!("{}, of the demonstration", report.facts.name);
                for (practice, _) in tx.practices()? {
                    let members = tx.roles_in(practice)?;
                    let now = members.iter().filter(|member| member.ended.is_none());
                    let first = now.clone().find(|member| member.role == Role::Designated);
                    let mut event =
                        Event::success(EventKind::ReportAcknowledged, Actor::Operator, at.support)
                            .detail(&detail);
                    event.practice = Some(practice);
                    if let Some(first) = first
                        && tx.acknowledge_report(
                            practice,
                            report.id,
                            &running.id,
                            first.person,
                            at.now,
                        )?
                    {
                        tx.append(&event, at.now)?;
                    }
                    event.kind = EventKind::ReportReviewed;
                    for it in now.filter(|member| member.role == Role::Prescriber) {
                        // Whoever is only invited reads it with the terms.
                        let enrolled =
                            tx.person(it.person)?.is_some_and(|found| found.passphrase.is_some());
                        if enrolled && tx.review_report(it.person, report.id, at.now)? {
                            let event = Event { prescriber: Some(it.person), ..event.clone() };
                            tx.append(&event, at.now)?;
                        }
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}

/// The report of a demonstration.
const DEMO_REPORT: &str = "MADE UP. This is not an audit report.\n\n\
    It stands in for the report of an auditor (21 CFR 1311.300) in the demonstration of Countersign {version}.\n\
    Nobody has audited or certified this program. No prescription of the demonstration is real.\n\n\
    A real report says, among other things, whether the application records, stores and transmits accurately and\n\
    consistently (21 CFR 1311.102(d)):\n\n\
    1. the information required for a prescription (21 CFR 1306.05(a)),\n\
    2. the indication of signing (21 CFR 1311.120(b)(17)),\n\
    3. the number of refills (21 CFR 1306.22).\n";

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

fn tell(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    note: Note,
    practice: PracticeId,
    detail: &str,
    at: At,
) -> Result<(), countersign_store::Error> {
    let path = format!("/practice/{practice}/certification");
    let notice = Notice { note, practice, detail, path: &path };
    mailer.tell_designated(tx, &notice, None, at.now).map(drop)
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
