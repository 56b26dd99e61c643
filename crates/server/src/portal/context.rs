//! The context of a request: time, session and address; and the frame of a page.

use std::{net::IpAddr, sync::Arc};

use axum::{extract::FromRequestParts, response::Response};
use countersign_app::{App, At, CookieSession, Error, Overview};
use countersign_crypto::{SecretText, sha256};
use countersign_domain::{PersonId, Timestamp};
use countersign_store::{Identity, Session, Stage};
use http::{StatusCode, request::Parts};

use super::{
    layers::{bare, support_of},
    show,
};
use crate::{
    Shared,
    views::{Menu, Notice, NoticeKind, Page, PatientBanner, SignedIn},
    web::{
        browser::{SESSION_COOKIE as COOKIE, cookie, known_secret, marked},
        client_address::Peer,
        edge::after,
        limits::{Door, Try, Wait},
        respond::{Stop, error_page, frame, see_other, status_of},
    },
};

/// A request's context: time and support code, read once, and the session of its cookie.
pub(crate) struct Ctx {
    pub(super) shared: Shared,
    pub(super) at: At,
    pub(super) session: Option<Session>,
    /// The secret in the cookie of that session.
    pub(super) secret: Option<SecretText>,
    /// The secret by which accounts may know the browser.
    pub(super) known: Option<SecretText>,
    /// A cookie came, but its session is over; and how it ended, as the address of the log-in says.
    pub(super) ended: Option<&'static str>,
    pub(super) peer: IpAddr,
}

impl FromRequestParts<Shared> for Ctx {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let Peer(peer) = Peer::of(&parts.extensions);
        let app = &shared.app;
        let support = support_of(&parts.extensions, app)
            .map_err(|_| bare(StatusCode::INTERNAL_SERVER_ERROR))?;
        let known = known_secret(&parts.headers);
        let known_browser = known.as_ref().map(|secret| sha256(secret.expose().as_bytes()));
        let browser = marked(&parts.headers);
        let at = At { browser, known_browser, ..app.at_under(support) };
        let cookie = cookie(&parts.headers, COOKIE);
        let found = match &cookie {
            Some(secret) => app.session(secret, at).await.map_err(|error| {
                error_page(status_of(&error, at), frame(app.options(), support, ""))
            })?,
            None => {
                return Ok(Self {
                    shared: shared.clone(),
                    at,
                    session: None,
                    secret: None,
                    known,
                    ended: None,
                    peer,
                });
            }
        };
        let (session, ended) = match found {
            CookieSession::Open(session) => (Some(*session), None),
            CookieSession::Idle { enrolling: true } => (None, Some("enrolling")),
            CookieSession::Idle { enrolling: false } => (None, Some("idle")),
            CookieSession::Over => (None, Some("1")),
        };
        let secret = session.as_ref().and(cookie).map(SecretText::new);
        Ok(Self { shared: shared.clone(), at, session, secret, known, ended, peer })
    }
}

impl Ctx {
    pub(super) fn app(&self) -> &Arc<App> {
        &self.shared.app
    }

    pub(super) fn now(&self) -> Timestamp {
        self.at.now
    }

    /// The secret of the session, for what is derived from it.
    pub(super) fn secret(&self) -> Option<SecretText> {
        self.secret.as_ref().map(|secret| SecretText::new(secret.expose().to_owned()))
    }

    /// The frame around a page of this request.
    pub(super) fn frame(&self, title: &str) -> Page {
        let options = self.app().options();
        let mut page = frame(options, self.at.support, title);
        page.noncompliant = self.app().is_noncompliant();
        if let Some(session) = &self.session {
            let idle_end = self.now().plus_seconds(options.policy.session_idle_seconds);
            let end = idle_end.min(session.expires);
            page.session_expires_in = u64::try_from(self.now().seconds_until(end)).ok();
            page.menu = match session.launched_as {
                Some(Identity::Prescriber(_)) => Menu::Prescriber,
                Some(Identity::Staff(_)) => Menu::Staff,
                None => Menu::Hidden,
            };
            page.patient = session.patient.as_ref().map(|patient| PatientBanner {
                name: patient.name.clone(),
                born: show::date(&patient.birth_date),
                mrn: patient.mrn.clone(),
            });
        }
        page
    }

    /// The frame with a name in it.
    pub(super) fn frame_for(&self, title: &str, name: &str) -> Page {
        let mut page = self.frame(title);
        page.user = Some(SignedIn {
            name: name.to_owned(),
            initials: initials(name),
            ..SignedIn::default()
        });
        page
    }

    /// What was done, and whether a token of the person is in this very browser.
    pub(super) fn noticed(&self, done: Option<&str>, overview: &Overview) -> Option<Notice> {
        let policy = &self.app().options().policy;
        let here = show::same_browser(&overview.tokens, self.at.browser.as_ref(), policy);
        match (done, here) {
            (Some(done), Some(here)) => {
                Some(Notice { text: format!("{done} {}", here.text), ..here })
            }
            (Some(done), None) => Some(Notice::new(NoticeKind::Success, done)),
            (None, here) => here,
        }
    }

    /// Ends the handler with the page for a fault.
    pub(super) fn stop(&self, error: &Error) -> Stop {
        if let Error::SignedOut = error {
            return self.sign_in_again();
        }
        Stop::with(error_page(status_of(error, self.at), self.frame("")))
    }

    pub(super) fn sign_in_again(&self) -> Stop {
        let ended = self.ended.or(self.session.as_ref().map(|_| "1"));
        Stop::with(match ended {
            Some(how) => see_other(&format!("/portal/login?ended={how}")),
            None => see_other("/portal/login"),
        })
    }

    /// Begins a try of this address, which counts if it fails.
    pub(super) async fn begin(&self, door: Door, reason: &'static str) -> Result<Try, Stop> {
        let begun = self.shared.limits.begin(door, self.peer, self.now()).await;
        self.let_in(begun, reason).await
    }

    /// Counts what failed for this address, and was let in whatever else had failed.
    pub(super) fn failed(&self, door: Door) {
        self.shared.limits.failed(door, self.peer, self.now());
    }

    /// Whether this address may; counts it if so.
    pub(super) async fn count(&self, door: Door, reason: &'static str) -> Result<(), Stop> {
        self.let_in(self.shared.limits.count(door, self.peer, self.now()), reason).await
    }

    /// Ends the handler where a limit says so, with a record.
    async fn let_in<T>(&self, limit: Result<T, Wait>, reason: &'static str) -> Result<T, Stop> {
        let wait = match limit {
            Ok(begun) => return Ok(begun),
            Err(wait) => wait,
        };
        self.app().note_refusal(reason, self.peer, self.at).await;
        let page = error_page(StatusCode::TOO_MANY_REQUESTS, self.frame(""));
        Err(Stop::with(after(page, wait)))
    }

    pub(super) fn not_found(&self) -> Stop {
        Stop::with(error_page(StatusCode::NOT_FOUND, self.frame("")))
    }

    /// The session of someone who has proved the passphrase and not yet a passcode.
    pub(super) fn passphrase_session(&self) -> Result<(Session, PersonId), Stop> {
        match &self.session {
            Some(session) => match session.stage {
                Stage::Passphrase { prescriber } => Ok((session.clone(), prescriber)),
                stage => Err(Stop::with(see_other(way_in(Some(stage))))),
            },
            None => Err(self.sign_in_again()),
        }
    }

    /// The session of someone who may make a token with a phone: with both factors, or on the way to a
    /// first token. What is made belongs to nobody until it is added.
    pub(super) fn pairing_session(&self) -> Result<(Session, PersonId), Stop> {
        match self.session.as_ref().map(|session| (session, session.stage)) {
            Some((session, Stage::Enrolling { prescriber } | Stage::Passphrase { prescriber })) => {
                Ok((session.clone(), prescriber))
            }
            _ => self.full_session(),
        }
    }

    /// The session of someone who has proved both factors.
    pub(super) fn full_session(&self) -> Result<(Session, PersonId), Stop> {
        match &self.session {
            Some(session) => match session.stage {
                Stage::Full { prescriber, .. } => Ok((session.clone(), prescriber)),
                stage => Err(Stop::with(see_other(way_in(Some(stage))))),
            },
            None => Err(self.sign_in_again()),
        }
    }
}

/// The page that fits how far a session has come.
pub(super) const fn way_in(stage: Option<Stage>) -> &'static str {
    match stage {
        Some(Stage::Full { .. }) => "/portal/dashboard",
        Some(Stage::Passphrase { .. }) => "/portal/login/passcode",
        Some(Stage::Enrolling { .. }) => "/enrol",
        Some(Stage::Resetting { .. }) => "/portal/forgot/code",
        Some(Stage::Launched) | None => "/portal/login",
    }
}

fn initials(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().filter(|word| !word.ends_with('.')).collect();
    let first = words.first().and_then(|word| word.chars().next());
    let last = words.get(1..).and_then(<[_]>::last).and_then(|word| word.chars().next());
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}
