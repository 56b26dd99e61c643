//! Sessions: the secret of a cookie, how long a session lasts, and its end.

use countersign_crypto::{Rng, SecretText, random_array, sha256};
use countersign_domain::{
    Actor, Event, EventKind, Policy, Refusal, SessionRowId, SupportCode, Timestamp,
    command::commands,
};
use countersign_store::{Session, Stage, Tx};
use data_encoding::BASE64URL_NOPAD;

use crate::{
    command::{Caller, Decision},
    context::{App, At},
    error::Error,
};

/// What the session is that a cookie names.
pub enum CookieSession {
    /// It can be used.
    Open(Box<Session>),
    /// It was ended just now, because nothing happened in it for too long.
    Idle {
        /// Somebody was enrolling in it, who can't log in yet.
        enrolling: bool,
    },
    /// It has ended, or never was.
    Over,
}

/// Length of a [`SessionSecret`]: 256 bits in base64url.
pub(crate) const SECRET_LENGTH: usize = 43;

/// A session secret for a cookie, made once and kept only as a hash.
pub struct SessionSecret(SecretText);

impl SessionSecret {
    pub(crate) fn new(rng: &mut dyn Rng) -> Result<(Self, [u8; 32]), countersign_crypto::RngError> {
        let bytes: [u8; 32] = random_array(rng)?;
        let text = BASE64URL_NOPAD.encode(&bytes);
        let hash = sha256(text.as_bytes());
        Ok((Self(SecretText::new(text)), hash))
    }

    /// The text for the cookie.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl App {
    /// The session that belongs to a cookie, unless it ended. Notes that it was used; ends one
    /// whose time is over, with its record.
    pub async fn session(&self, secret: &str, at: At) -> Result<CookieSession, Error> {
        if secret.len() != SECRET_LENGTH {
            return Ok(CookieSession::Over);
        }
        let hash = sha256(secret.as_bytes());
        let found = self
            .store
            .read("session", move |tx| Ok((tx.session(&hash)?, tx.notice_scopes()?)))
            .await?;
        let (session, notices) = found;
        // So that every page, also on a server that was not told, says that signing has stopped.
        self.heed_noncompliance(&notices);
        let Some(session) = session else { return Ok(CookieSession::Over) };
        let policy = &self.options.policy;
        let idle_end = session.seen.plus_seconds(policy.session_idle_seconds);
        if at.now >= session.expires || at.now >= idle_end {
            let event = session_end(&session, Actor::System, at.support).reason("expired");
            let id = session.id;
            self.run(commands::EXPIRE_SESSIONS, Caller::System, at, move |cx| {
                cx.event = event.clone();
                // Two requests at once end it once.
                let ended = cx.tx.end_session(id)?;
                Ok(Decision::of(ended.then_some(()).ok_or(Refusal::NoChange)))
            })
            .await?;
            let idle = at.now >= idle_end;
            let enrolling = matches!(session.stage, Stage::Enrolling { .. });
            return Ok(if idle { CookieSession::Idle { enrolling } } else { CookieSession::Over });
        }
        // A page seen moves the idle end; half a minute of rounding spares a write for each picture.
        if session.seen.seconds_until(at.now) >= 30 {
            let (id, now) = (session.id, at.now);
            self.store.write("session_seen", move |tx| tx.touch_session(id, now)).await?;
        }
        Ok(CookieSession::Open(Box::new(session)))
    }

    /// Removes what has run out; called now and then by the server. Sessions get their record.
    pub async fn purge(&self) -> Result<u64, Error> {
        let At { now, support, .. } = self.at()?;
        let gone = self
            .store
            .write("purge", move |tx| {
                let mut gone = tx.purge(now)?;
                for (practice, prescriber) in tx.end_expired_sessions(now)? {
                    let mut event = Event::success(EventKind::SessionEnded, Actor::System, support)
                        .reason("expired");
                    event.practice = Some(practice);
                    event.prescriber = prescriber;
                    tx.append(&event, now)?;
                    gone += 1;
                }
                Ok(gone)
            })
            .await?;
        Ok(gone)
    }
}

/// The event of the end of a session.
pub(crate) fn session_end(session: &Session, actor: Actor, support: SupportCode) -> Event {
    let mut event = Event::success(EventKind::SessionEnded, actor, support);
    event.practice = Some(session.practice);
    event.prescriber = match session.stage {
        Stage::Passphrase { prescriber }
        | Stage::Enrolling { prescriber }
        | Stage::Resetting { prescriber }
        | Stage::Full { prescriber, .. } => Some(prescriber),
        Stage::Launched => None,
    };
    event
}

/// A new session in place of an older one: the secret changes whenever what it opens changes.
pub(crate) fn new_session(
    tx: &mut Tx<'_>,
    old: Option<&Session>,
    practice: countersign_domain::PracticeId,
    stage: Stage,
    policy: &Policy,
    now: Timestamp,
) -> Result<SessionSecret, countersign_store::Error> {
    let (secret, hash) = SessionSecret::new(tx.rng())?;
    // A patient of one practice is nobody's business in another.
    let context = old.filter(|session| session.practice == practice);
    let session = Session {
        id: SessionRowId::new(now, tx.rng())?,
        practice,
        stage,
        launched_as: context.and_then(|session| session.launched_as),
        patient: context.and_then(|session| session.patient.clone()),
        created: now,
        seen: now,
        expires: now.plus_seconds(policy.session_absolute_seconds),
    };
    if let Some(old) = old {
        tx.end_session(old.id)?;
    }
    tx.create_session(&session, &hash)?;
    Ok(secret)
}
