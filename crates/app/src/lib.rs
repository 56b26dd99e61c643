//! The use cases: what a request asks for, decided by the domain, written by the store.
//!
//! No line here knows HTTP. Each use case reads the clock once, runs one transaction (an attempt at
//! a passphrase begins and ends in others, with the slow hash between them) and answers.

mod access;
mod activation;
mod admin;
mod archive;
mod attempts;
mod browser;
mod burned;
mod cases;
mod certification;
mod check;
mod console;
mod contact;
mod enrol;
mod fobs;
mod hashing;
mod integration;
mod internal_codes;
mod launch;
mod models;
mod note;
mod notices;
pub mod outbound;
mod pairing;
mod passphrase;
pub mod pdf;
mod prescriptions;
mod provision;
mod refused;
mod reset;
mod retention;
mod sign_in;
mod smart;
mod to_completion;
mod tokens;
mod transmission;
mod vip;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64},
    },
};

use countersign_crypto::{Drawn, Rng, SecretText, random_array, sha256};
use countersign_domain::{
    Actor, Event, EventKind, Failures, Manufacturer, Outcome, PasscodeFailures, PersonId, Policy,
    Purpose, Refusal, SessionRowId, SupportCode, Timestamp, Token, TokenId, TokenState,
    WRONG_PASSCODES_PER_DAY,
    certification::{BuildId, Version},
    controlled::Table,
    otp::Step,
    prescription::Pharmacy,
    retention::Retention,
    state_rules::StateRules,
};
use countersign_protocol::oidc::Client;
use countersign_store::{Lane, ReadMark, RngSource, Session, Stage, Store, TokenRow, Tx};
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use tokio::sync::Notify;

use crate::outbound::{Nothing, Outbound};

pub use access::{
    Asked, Board, Desk, Execution, NewPaper, PaperDone, Shown, Wanted, deadline_advice,
    deadline_label, still_waits,
};
pub use activation::{Activation, Hindrance};
pub use admin::{Closing, DemoPerson, ListedKey};
pub use archive::{Entry, Format, MOST_RECORDS, OwnLog, Search, rendered};
pub use attempts::KNOWN_BROWSER_SECONDS;
pub use cases::{CaseView, Decision, ReplyRefusal, Seen, WINDOW_SECONDS};
pub use certification::{
    Certification, MOST_REASON_CHARS, NewNotice, NewReport, NoticeEnd, NoticeRefusal, ReportRefusal,
};
pub use check::{CheckAnswer, CheckRequest};
pub use console::{Act, Fleet, Founder, FoundingRefusal, Rules};
pub use contact::{Contact, ContactForm, Way};
pub use enrol::{
    Enrolment, Followed, Invite, Invitee, Link, PersonalData, Stepped, TERMS_VERSION,
    new_passphrase,
};
pub use fobs::{ImportRefusal, NewFob};
pub use integration::{
    ACCESS_SECONDS, Caller, Created, Known, NewRequest, RequestView, SCOPES, Written, Wrong,
};
pub use internal_codes::CodeEntered;
pub use launch::LaunchRefusal;
pub use models::{HandOverForm, HandedOver};
pub use note::{Note, NoticeFacts, NoticeText, notice_subject};
pub use pairing::PAIRING_SECONDS;
pub use passphrase::PassphraseForm;
pub use prescriptions::{
    Chart, Draft, Judgment, OneRx, RxRefusal, Sheet, Signing, SigningForm, SigningHindrance,
    SigningSet,
};
pub use provision::ProvisionRefusal;
pub use refused::network;
pub use reset::ForgotForm;
pub use retention::{Keeping, Lifting, OverRecord, RemovalRefusal, Removed};
pub use sign_in::{Chosen, LoggedIn, SignInForm};
pub use smart::{LONGEST_REFERENCE, SMART_SECONDS, SmartWay};
pub use tokens::{AddForm, Change, Confirm, DisableForm, Overview, RenameForm};
pub use vip::{Vip, VipOutcome, VipProvisioned};

use attempts::AttemptQueues;
use burned::Burned;
use hashing::HashPool;
use notices::{Mailer, Notice};
use refused::Refused;

/// Reads the time of day; the only clock there is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Whom a practice names for help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Support {
    /// A person or a desk.
    pub name: String,
    /// Phone number.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}

/// What is known of the build that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A signed release manifest lists it.
    Listed {
        /// The ID of the report that the manifest names.
        report: String,
    },
    /// No manifest lists it, and the operator lets it sign.
    Allowed,
    /// No manifest lists it.
    Unlisted,
}

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct Options {
    /// Our own address as browsers see it, without a slash at the end.
    pub public_url: String,
    /// The rules.
    pub policy: Policy,
    /// PBKDF2 iterations for passphrases.
    pub iterations: u32,
    /// Manufacturers that are switched on.
    pub manufacturers: Vec<Manufacturer>,
    /// Prefix of Symantec IDs that the built-in authority issues.
    pub symantec_prefix: String,
    /// Whom to ask for help.
    pub support: Support,
    /// Whether the data are made up.
    pub demonstration: bool,
    /// The VIP Access protocol, where it is switched on.
    pub vip: Option<Arc<Vip>>,
    /// Proofing providers that are set up here: name, and how we are known there. Which of them counts,
    /// two people of each practice decide.
    pub providers: Vec<(String, Client)>,
    /// A time server is set up, by which the clock is checked before anything is signed.
    pub time_server: bool,
    /// What is known of this build.
    pub build: Build,
    /// Its version.
    pub version: Version,
    /// Which build it is: what a report covers, and a practice acknowledges.
    pub build_id: BuildId,
    /// The drugs that are offered, with their schedules.
    pub drugs: Arc<Table>,
    /// What states ask of prescriptions beyond the federal rules.
    pub states: Arc<StateRules>,
    /// A gateway to the pharmacies is set up; without one nothing is signed.
    pub gateway: bool,
    /// The pharmacies that it reaches.
    pub pharmacies: Vec<Pharmacy>,
    /// For how long signed records are kept.
    pub retention: Retention,
    /// The words of notices.
    pub notice_text: NoticeText,
}

/// What a use case can answer besides what was asked for.
#[derive(Debug, Error)]
pub enum Error {
    /// Refused, with a reason for the right person.
    #[error("{0}")]
    Refused(Refusal),
    /// The session ended meanwhile.
    #[error("the session has ended")]
    SignedOut,
    /// No such thing, or not theirs: never says which.
    #[error("not found")]
    NotFound,
    /// A text holds a NUL character, which can't be stored. Nothing was changed.
    #[error("a text holds a NUL character (U+0000)")]
    NulInText,
    /// Too many wait already; nothing was changed.
    #[error("too busy")]
    Busy,
    /// A passphrase hash ended without an answer. It comes before the decision: nothing was decided.
    #[error("a passphrase hash ended without an answer")]
    HashFailed,
    /// The database is away.
    #[error("not available: {0}")]
    Unavailable(countersign_store::Error),
    /// Nobody knows whether it was done.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(countersign_store::Error),
    /// Our fault.
    #[error("internal: {0}")]
    Internal(countersign_store::Error),
}

impl Error {
    /// Something that this program has written does not read back.
    pub fn unreadable(what: &str) -> Self {
        Self::Internal(Tx::broken(&format!("{what} does not read back")))
    }
}

impl From<countersign_store::Error> for Error {
    fn from(error: countersign_store::Error) -> Self {
        use countersign_store::Error as E;
        match error {
            E::Unavailable(_) | E::Retry => Self::Unavailable(error),
            E::OutcomeUnknown(_) => Self::OutcomeUnknown(error),
            E::NulInText => Self::NulInText,
            other => Self::Internal(other),
        }
    }
}

impl From<countersign_crypto::RngError> for Error {
    fn from(_: countersign_crypto::RngError) -> Self {
        Self::Internal(countersign_store::Error::Crypto)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The application: everything a use case needs.
pub struct App {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    rng: RngSource,
    hashing: HashPool,
    attempt_queues: AttemptQueues,
    checks: Lane<CheckRequest, CheckAnswer>,
    burned: Burned,
    tests: Mutex<HashMap<PersonId, (Timestamp, u32)>>,
    codes: Mutex<Drawn>,
    refused: Refused,
    outbound: Arc<dyn Outbound>,
    /// Something was signed just now.
    signed: Notify,
    /// The hour, since 1970, in which this process last looked for monthly logs to make.
    logs_hour: AtomicI64,
    /// When the clock was last measured, and by how many seconds it was behind.
    clock_measured: Mutex<Option<(Timestamp, i64)>>,
    /// A notice of non-compliance is about the version of this build: for as long as the process runs.
    noncompliant: AtomicBool,
    /// A notice is open that stops this build because no release manifest lists it: until that notice ends.
    awaits_word: AtomicBool,
}

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
const SECRET_LENGTH: usize = 43;

/// A session secret for a cookie, made once and kept only as a hash.
pub struct SessionSecret(SecretText);

impl SessionSecret {
    fn new(rng: &mut dyn Rng) -> Result<(Self, [u8; 32]), countersign_crypto::RngError> {
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

/// Who asks for a change: a session, and the prescriber it belongs to.
#[derive(Clone, Copy)]
pub struct By<'s> {
    /// The session.
    pub session: &'s Session,
    /// The prescriber.
    pub prescriber: PersonId,
}

/// One request's context: read once, handed down.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// When.
    pub now: Timestamp,
    /// The code on the page and in the log.
    pub support: SupportCode,
    /// SHA-256 of the mark of the browser that asks, where it got a token here.
    pub browser: Option<[u8; 32]>,
    /// SHA-256 of the secret of a known browser, as its cookie has it. Whether it is one, and of whom, only the
    /// database knows.
    pub known_browser: Option<[u8; 32]>,
}

impl App {
    /// Puts the application together.
    pub fn new(store: Store, clock: Arc<dyn Clock>, rng: RngSource, options: Options) -> Self {
        let checks = store.lane("check_passcode", check::run);
        Self {
            checks,
            hashing: HashPool::new(),
            attempt_queues: AttemptQueues::default(),
            burned: Burned::default(),
            tests: Mutex::default(),
            codes: Mutex::default(),
            refused: Refused::default(),
            outbound: Arc::new(Nothing),
            signed: Notify::new(),
            logs_hour: AtomicI64::new(0),
            clock_measured: Mutex::default(),
            noncompliant: AtomicBool::new(false),
            awaits_word: AtomicBool::new(false),
            store,
            clock,
            options,
            rng,
        }
    }

    /// The same, with a way to ask proofing providers.
    #[must_use]
    pub fn reaching(mut self, outbound: Arc<dyn Outbound>) -> Self {
        self.outbound = outbound;
        self
    }

    /// The context of a request that begins now.
    pub fn at(&self) -> Result<At, Error> {
        Ok(self.at_under(self.support_code()?))
    }

    /// The same, under a support code that was drawn before.
    pub fn at_under(&self, support: SupportCode) -> At {
        At { now: self.clock.now(), support, browser: None, known_browser: None }
    }

    /// A new support code.
    pub fn support_code(&self) -> Result<SupportCode, Error> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.left() < SupportCode::RANDOM_BYTES {
            codes.refill((self.rng)().as_mut(), 64 * SupportCode::RANDOM_BYTES)?;
        }
        Ok(SupportCode::new(&mut *codes)?)
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

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
            self.store
                .write("session_expired", move |tx| {
                    // Two requests at once end it once.
                    if tx.end_session(id)? { tx.append(&event, at.now) } else { Ok(()) }
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

    /// Whether the database answers.
    pub async fn ready(&self) -> bool {
        self.store.read("ready", |tx| tx.ping()).await.is_ok()
    }

    /// Runs a decision about a prescriber's tokens in one transaction: what it changed is written,
    /// its event is appended, and its answer leaves when both are durable.
    async fn decide<R, F>(
        &self,
        name: &'static str,
        prescriber: PersonId,
        session: SessionRowId,
        now: Timestamp,
        decision: F,
    ) -> Result<R, Error>
    where
        R: Send + 'static,
        F: FnMut(
                &mut Account,
                &mut Tx<'_>,
            ) -> Result<(Result<R, Refusal>, Event), countersign_store::Error>
            + Send
            + 'static,
    {
        self.decide_in(name, prescriber, Some(session), now, decision).await
    }

    /// The same, also where there is no session yet.
    async fn decide_in<R, F>(
        &self,
        name: &'static str,
        prescriber: PersonId,
        session: Option<SessionRowId>,
        now: Timestamp,
        mut decision: F,
    ) -> Result<R, Error>
    where
        R: Send + 'static,
        F: FnMut(
                &mut Account,
                &mut Tx<'_>,
            ) -> Result<(Result<R, Refusal>, Event), countersign_store::Error>
            + Send
            + 'static,
    {
        let burned = self.burned.clone();
        let (watch, consumed) = self.burned.watch();
        let mailer = self.mailer();
        let result = self
            .store
            .write(name, move |tx| {
                // Prescriber, then session, then token: the order in which everyone locks.
                let owner = tx.lock_prescriber(prescriber)?;
                let passcode_at = match session {
                    Some(id) => match tx.lock_session(id)? {
                        Some(passcode_at) => passcode_at,
                        None => return Ok(None),
                    },
                    None => None,
                };
                let rows = tx.tokens_of(prescriber)?;
                let mut account = Account::new(owner, passcode_at, rows, burned.clone());
                let before = account.clone();
                let (answer, event) = decision(&mut account, tx)?;
                consumed.set(account.consumed_since(&before));
                account.save_changes(&before, prescriber, tx)?;
                if account.active() < before.active() {
                    // A passcode of a token that is gone vouches for nothing more, in no session.
                    tx.stale_passcodes(prescriber)?;
                }
                record(tx, &event, now)?;
                tell_owner(&mailer, &event, tx, now)?;
                account.tell_new_pause(&before, prescriber, &mailer, tx, now)?;
                Ok(Some((answer, event)))
            })
            .await;
        watch.settle(&result);
        let (answer, event) = result?.ok_or(Error::SignedOut)?;
        log(&event);
        answer.map_err(Error::Refused)
    }

    /// One change of one token of the prescriber's own, with its event.
    async fn change_token<F>(
        &self,
        kind: EventKind,
        by: &By<'_>,
        token: TokenId,
        purpose: Option<Purpose>,
        at: At,
        mut change: F,
    ) -> Result<(), Error>
    where
        F: FnMut(&mut Token, &mut PasscodeFailures, u32) -> Result<(), Refusal> + Send + 'static,
    {
        let (prescriber, practice) = (by.prescriber, by.session.practice);
        self.decide(kind.code(), prescriber, by.session.id, at.now, move |account, _| {
            let active = account.active();
            let (result, theirs) = match account.token(token) {
                Some((found, owner)) => (change(found, owner, active), Some(token)),
                // An event never names somebody else's token.
                None => (Err(Refusal::TokenNotActive), None),
            };
            let mut event = Event::of(kind, Actor::Person(prescriber), &result, at.support)
                .about(practice, prescriber)
                .token(theirs);
            event.purpose = purpose;
            Ok((result, account.noted_browser(event, at)))
        })
        .await
    }
}

/// Appends an event, and the one that follows from it.
fn record(tx: &mut Tx<'_>, event: &Event, now: Timestamp) -> Result<(), countersign_store::Error> {
    tx.append(event, now)?;
    event.twin().map_or(Ok(()), |twin| tx.append(&twin, now))
}

/// The event of the end of a session.
fn session_end(session: &Session, actor: Actor, support: SupportCode) -> Event {
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

/// Says in the log what was decided, under the code that stands on the page. Neither NPI nor
/// credential ID: the audit event has what the log must not.
fn log(event: &Event) {
    let (support, kind, outcome) = (event.support, event.kind.code(), event.outcome.code());
    tracing::info!(%support, kind, outcome, reason = event.reason.unwrap_or(""), "decided");
}

/// A prescriber's tokens and failure counter, as one transaction sees them.
#[derive(Clone)]
struct Account {
    owner: PasscodeFailures,
    /// When this session last proved a passcode; `None` before the first.
    passcode_at: Option<Timestamp>,
    tokens: Vec<Token>,
    marks: Vec<ReadMark>,
    burned: Burned,
    /// A step consumed of a token that is not on the list: a new one.
    consumed_elsewhere: Option<(TokenId, Step)>,
}

impl Account {
    fn new(
        owner: PasscodeFailures,
        passcode_at: Option<Timestamp>,
        rows: Vec<TokenRow>,
        burned: Burned,
    ) -> Self {
        let (mut tokens, marks): (Vec<Token>, _) =
            rows.into_iter().map(|row| (row.token, row.mark)).unzip();
        burned.apply(tokens.iter_mut());
        Self { owner, passcode_at, tokens, marks, burned, consumed_elsewhere: None }
    }

    /// Whether a change of tokens needs a fresh passcode first.
    fn needs_step_up(&self, policy: &Policy, now: Timestamp) -> bool {
        needs_step_up(self.passcode_at, policy, now)
    }

    /// The steps that were consumed since `before`.
    fn consumed_since(&self, before: &Self) -> impl Iterator<Item = (TokenId, Step)> {
        let listed = before.tokens.iter().zip(&self.tokens).filter_map(|(old, new)| {
            let step = new.last_step.filter(|step| old.last_step != Some(*step))?;
            Some((new.id, step))
        });
        listed.chain(self.consumed_elsewhere)
    }

    fn apply_burned(&self, token: &mut Token) {
        self.burned.apply(std::iter::once(token));
    }

    fn active(&self) -> u32 {
        u32::try_from(self.tokens.iter().filter(|token| token.is_active()).count())
            .unwrap_or(u32::MAX)
    }

    /// Whether wrong codes make a token, or all of them, pause.
    fn pauses(&self, now: Timestamp) -> bool {
        let blocked = |failures: &Failures| failures.blocked_until.is_some_and(|until| now < until);
        blocked(&self.owner.in_a_row) || self.tokens.iter().any(|token| blocked(&token.failures))
    }

    /// The token with this id, if it is theirs, apart from the failure counter.
    fn token(&mut self, id: TokenId) -> Option<(&mut Token, &mut PasscodeFailures)> {
        let owner = &mut self.owner;
        self.tokens.iter_mut().find(|token| token.id == id).map(|token| (token, owner))
    }

    /// The event, with a reason where policy let a token pass in the browser that holds it.
    fn noted_browser(&self, event: Event, at: At) -> Event {
        let here = |token: &Token| {
            Some(token.id) == event.token && token.is_in_browser(at.browser.as_ref())
        };
        if event.outcome == Outcome::Success && self.tokens.iter().any(here) {
            event.reason(Refusal::SAME_BROWSER)
        } else {
            event
        }
    }

    /// Tells the owner when wrong codes have begun a pause.
    fn tell_new_pause(
        &self,
        before: &Self,
        prescriber: PersonId,
        mailer: &Mailer,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<(), countersign_store::Error> {
        if !self.pauses(now) || before.pauses(now) {
            return Ok(());
        }
        let day = self.owner.wrong_today(now);
        // Of many in a day once: the pauses after that are longer, and no news.
        if day < WRONG_PASSCODES_PER_DAY || tx.wrong_passcodes_told(prescriber)? {
            tell_pause(mailer, prescriber, day, tx, now)?;
        }
        Ok(())
    }

    fn save_changes(
        &self,
        before: &Self,
        prescriber: PersonId,
        tx: &mut Tx<'_>,
    ) -> Result<(), countersign_store::Error> {
        for ((old, new), mark) in before.tokens.iter().zip(&self.tokens).zip(&self.marks) {
            if columns(old) != columns(new) {
                tx.save_token(new, *mark)?;
            }
        }
        if self.owner != before.owner {
            tx.save_prescriber_failures(prescriber, &self.owner)?;
        }
        Ok(())
    }
}

/// Tells the owner of a change, at all their addresses (SP 800-63B, 6.1.2.1).
fn tell_owner(
    mailer: &Mailer,
    event: &Event,
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let note = match (event.kind, event.outcome) {
        (EventKind::TokenAdded, Outcome::Success) => Note::TokenAdded,
        (EventKind::TokenEnabled, Outcome::Success) => Note::TokenEnabled,
        (EventKind::PassphraseChanged, Outcome::Success) => Note::PassphraseChanged,
        // A loss is told by whoever takes the permission away.
        (EventKind::TokenDisabled, Outcome::Success) => Note::TokenDisabled,
        _ => return Ok(()),
    };
    let Some(id) = event.prescriber else { return Ok(()) };
    let Some(person) = tx.person(id)? else { return Ok(()) };
    let token = event.token.map(|id| tx.token_name(id)).transpose()?.flatten();
    let detail = token.unwrap_or_default();
    let practice = event.practice.unwrap_or(person.practice);
    let notice = Notice { note, practice, detail: &detail, path: "/portal" };
    mailer.tell(tx, &person, &notice, &[], now)
}

/// Tells the owner that several wrong codes were typed: how many in a day, where that is the reason.
fn tell_pause(
    mailer: &Mailer,
    prescriber: PersonId,
    day: u32,
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let Some(person) = tx.person(prescriber)? else { return Ok(()) };
    let practice = person.practice;
    let detail = match day {
        WRONG_PASSCODES_PER_DAY.. => format!("{day} in 24 hours"),
        _ => String::new(),
    };
    let notice = Notice { note: Note::TriesFailed, practice, detail: &detail, path: "/portal" };
    mailer.tell(tx, &person, &notice, &[], now)
}

/// How long after it began a day of wrong passcodes is still told, in seconds: two days, for a server that
/// was away.
const TELL_SECONDS: i64 = 2 * 86_400;

/// Tells the owners of accounts with many wrong passcodes in a day, wherever those came from. A check of the
/// API tells nobody itself: how long it takes must not say whose the credential is.
fn tell_wrong_passcodes(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let since = now.plus_seconds(-TELL_SECONDS);
    for (person, count) in tx.wrong_passcodes_untold(WRONG_PASSCODES_PER_DAY, since)? {
        // Two servers look at once; one of them tells.
        if tx.wrong_passcodes_told(person)? {
            tell_pause(mailer, person, count, tx, now)?;
        }
    }
    Ok(())
}

/// What a code is about that belongs to an account and to no token or case of it.
fn subject_of(what: &str, person: PersonId) -> [u8; 16] {
    let digest = sha256(&[what.as_bytes(), b"|", person.as_bytes()].concat());
    let mut subject = [0; 16];
    subject.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    subject
}

/// Whether the last passcode, if any, is too old for a change of tokens.
fn needs_step_up(passcode_at: Option<Timestamp>, policy: &Policy, now: Timestamp) -> bool {
    passcode_at.is_none_or(|at| now >= at.plus_seconds(policy.step_up_seconds))
}

/// What of a token a decision can change.
fn columns(
    token: &Token,
) -> (&str, TokenState, Option<Step>, i64, i64, Failures, Option<Timestamp>) {
    (
        token.name.as_str(),
        token.state,
        token.last_step,
        token.drift.base(),
        token.drift.current(),
        token.failures,
        token.last_used,
    )
}

/// A new session in place of an older one: the secret changes whenever what it opens changes.
fn new_session(
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
