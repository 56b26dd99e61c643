//! Notices that a build no longer meets the requirements.

use std::sync::atomic::Ordering;

use countersign_domain::{
    Event, EventKind, NoticeId, PracticeId, Refusal, Timestamp,
    certification::{NoticeScope, RunningBuild, Version},
    command::commands,
};
use countersign_store::{NoncomplianceNotice, Tx};

use crate::{
    Answer, App, At, Error, RefusalCode,
    command::{Caller, CommandContext, Decision},
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

impl RefusalCode for NoticeRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Known => "notice_known",
            Self::NotOpen => "notice_not_open",
            Self::OldBuild { .. } => "build_noncompliant",
        }
    }
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
    ) -> Result<Answer<NoticeId, NoticeRefusal>, Error> {
        let entered = self.run(commands::ENTER_NONCOMPLIANCE, Caller::Operator, at, move |cx| {
            let NewNotice { source, reason, through, by } = &new;
            let through = *through;
            cx.detail(&format!("through {through}, from {source}, by {by}: {reason}"));
            let stopped = !cx.tx.open_noncompliance()?.is_empty();
            let notice = NoncomplianceNotice {
                id: NoticeId::new(at.now, cx.tx.rng())?,
                source: source.clone(),
                reason: reason.clone(),
                through,
                entered: at.now,
                entered_by: by.clone(),
                ended: None,
            };
            if !cx.tx.create_noncompliance(&notice)? {
                return Ok(Decision::Refused(NoticeRefusal::Known));
            }
            let detail = format!(
                "{source} gave notice that this software, through version {through}, no longer meets the requirements: {reason}"
            );
            let recorded = (!stopped).then_some(EventKind::SigningStopped);
            say_everywhere(cx, recorded, Note::SigningStopped, &detail)?;
            Ok(Decision::Done(notice.id))
        });
        let entered = entered.await?;
        let notices = self.store.read("notice_scopes", |tx| tx.notice_scopes()).await?;
        self.heed_noncompliance(&notices);
        Ok(entered)
    }

    /// Ends a notice of non-compliance on somebody's word that the program is compliant again (21 CFR 1311.102(h),
    /// (i)). Builds up to its version stay stopped, so that only a newer program does this: running it is the update.
    /// With the last open notice signing goes on in every practice, and each is told.
    pub async fn end_noncompliance(
        &self,
        end: NoticeEnd,
        at: At,
    ) -> Result<Answer<NoncomplianceNotice, NoticeRefusal>, Error> {
        let running = self.running();
        let ended = self.run(commands::END_NONCOMPLIANCE, Caller::Operator, at, move |cx| {
            let NoticeEnd { notice, source, reason, by } = &end;
            cx.detail(&format!("{notice}, on the word of {source}, by {by}: {reason}"));
            let open = cx.tx.open_noncompliance()?;
            let Some(found) = open.iter().find(|it| it.id == *notice) else {
                return Ok(Decision::Refused(NoticeRefusal::NotOpen));
            };
            let through = found.through;
            cx.detail(&format!("through {through}, on the word of {source}, by {by}: {reason}"));
            if running.version <= through {
                let running = running.version;
                return Ok(Decision::Refused(NoticeRefusal::OldBuild { running, through }));
            }
            cx.tx.end_noncompliance(found.id, &format!("{source}, recorded by {by}"), at.now)?;
            if open.len() == 1 {
                let detail = format!(
                    "version {} is running, compliant according to {source}",
                    running.version
                );
                let recorded = Some(EventKind::SigningResumed);
                say_everywhere(cx, recorded, Note::SigningResumed, &detail)?;
            }
            Ok(Decision::Done(NoncomplianceNotice { ended: Some(at.now), ..found.clone() }))
        });
        let ended = ended.await?;
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
        let (at, running) = (self.at()?, self.running());
        // Looked at before anything is written: a notice that stays open for now is no refusal.
        let (now, build) = (at.now, running.clone());
        let over = self.store.read("noncompliance_over", move |tx| {
            Ok(tx.open_noncompliance()?.iter().any(|it| is_over(it, &build, now)))
        });
        if !over.await? {
            return Ok(0);
        }
        let ended = self.run(commands::WATCH_CERTIFICATION, Caller::System, at, move |cx| {
            let open = cx.tx.open_noncompliance()?;
            let over: Vec<&NoncomplianceNotice> =
                open.iter().filter(|it| is_over(it, &running, at.now)).collect();
            cx.detail(&format!("version {}, build {}", running.version, running.id));
            if over.is_empty() {
                // Another server has ended them meanwhile.
                return Ok(Decision::Refused(Refusal::NoChange));
            }
            for it in &over {
                cx.tx.end_noncompliance(it.id, &format!("version {}", running.version), at.now)?;
            }
            if over.len() == open.len() {
                let detail = format!("version {} is running, which is certified", running.version);
                let recorded = Some(EventKind::SigningResumed);
                say_everywhere(cx, recorded, Note::SigningResumed, &detail)?;
            }
            Ok(Decision::Done(over.len()))
        });
        Ok(match ended.await? {
            Answer::Done(ended) => ended,
            Answer::Refused(_) | Answer::NotConfirmed(_) => 0,
        })
    }
}

/// Whether a build ends a notice by running: it is free of it, and every server has seen it.
fn is_over(it: &NoncomplianceNotice, running: &RunningBuild, now: Timestamp) -> bool {
    !running.is_stopped_by(it.scope()) && it.entered.seconds_until(now) >= OPEN_SECONDS
}

/// Tells every practice that signing stops or goes on, and puts it on record there: the event of the command as another
/// kind, where one is given.
fn say_everywhere(
    cx: &mut CommandContext<'_, '_>,
    recorded: Option<EventKind>,
    note: Note,
    detail: &str,
) -> Result<(), countersign_store::Error> {
    let at = cx.at;
    for (practice, _) in cx.tx.practices()? {
        if let Some(kind) = recorded {
            let event = Event { kind, practice: Some(practice), ..cx.event.clone() };
            cx.tx.append(&event, at.now)?;
        }
        tell(cx.tx, cx.mailer, note, practice, detail, at)?;
    }
    Ok(())
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
