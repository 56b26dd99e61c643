//! Notices that a build no longer meets the requirements.

use std::sync::atomic::Ordering;

use countersign_domain::{
    Actor, Event, EventKind, NoticeId, PracticeId,
    certification::{NoticeScope, Version},
};
use countersign_store::{NoncomplianceNotice, Tx};

use crate::{
    App, At, Error,
    notices::{Mailer, Note, Notice},
};

/// How long a notice of non-compliance stays open at least, in seconds: every server looks once a minute and
/// has seen it by then, also one whose build is old.
const OPEN_SECONDS: i64 = 120;
/// Longest reason of a notice of non-compliance, in characters.
pub const MOST_REASON_CHARS: usize = 200;

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
        "this notice is already entered and open (same source, reason and version); list it with `countersign admin reports`"
    )]
    Known,
    /// No notice with this ID is open.
    #[error("no open notice has this ID; list the notices with `countersign admin reports`")]
    NotOpen,
    /// The program that would sign is one that the notice is about.
    #[error(
        "this is version {running}, and the notice covers all versions through {through}: install a newer version first"
    )]
    OldBuild {
        /// The version of the program.
        running: Version,
        /// The last version that the notice is about.
        through: Version,
    },
}

impl App {
    /// Whether a notice of non-compliance stops this build. One that is about its version always will: a build does
    /// not change while it runs. One that stops it because no release manifest lists it does so until it ends.
    pub fn is_noncompliant(&self) -> bool {
        self.noncompliant.load(Ordering::Relaxed) || self.awaits_word.load(Ordering::Relaxed)
    }

    /// Remembers what the database says of all notices of non-compliance.
    pub(crate) fn heed_noncompliance(&self, notices: &[NoticeScope]) {
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
                tracing::error!(version = %running.version, "a notice of noncompliance covers this build: signing is stopped");
            }
            (true, false) => {
                tracing::warn!(version = %running.version, "no notice of noncompliance covers this build anymore");
            }
            _ => {}
        }
    }

    /// All notices of non-compliance, the newest first.
    pub async fn noncompliance(&self) -> Result<Vec<NoncomplianceNotice>, Error> {
        Ok(self.store.read("noncompliance", |tx| tx.noncompliance()).await?)
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
                        "{source} gave notice that this software, through version {through}, no longer meets the requirements: {reason}"
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
                        let detail = format!(
                            "version {} is running, compliant according to {source}",
                            running.version
                        );
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
                    let detail =
                        format!("version {} is running, which is certified", running.version);
                    tell(tx, &mailer, Note::SigningResumed, practice, &detail, at)?;
                }
                Ok(over.len())
            })
            .await?;
        Ok(ended)
    }
}

pub(super) fn tell(
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
