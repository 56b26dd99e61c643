//! The application, its clock, and the context of a request.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64},
    },
};

use countersign_crypto::Drawn;
use countersign_domain::{PersonId, SupportCode, Timestamp};
use countersign_store::{Lane, RngSource, Session, Store};
use tokio::sync::Notify;

use crate::{
    CheckAnswer, CheckRequest,
    attempts::AttemptQueues,
    check,
    error::Error,
    hashing::HashPool,
    in_doubt::InDoubtSteps,
    options::Options,
    outbound::{Nothing, Outbound},
    refused::Refused,
};

/// Reads the time of day; the only clock there is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The application: everything a use case needs.
pub struct App {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) rng: RngSource,
    pub(crate) hashing: HashPool,
    pub(crate) attempt_queues: AttemptQueues,
    pub(crate) checks: Lane<CheckRequest, CheckAnswer>,
    pub(crate) in_doubt: InDoubtSteps,
    pub(crate) tests: Mutex<HashMap<PersonId, (Timestamp, u32)>>,
    codes: Mutex<Drawn>,
    pub(crate) refused: Refused,
    pub(crate) outbound: Arc<dyn Outbound>,
    /// Something was signed just now.
    pub(crate) signed: Notify,
    /// The hour, since 1970, in which this process last looked for monthly logs to make.
    pub(crate) logs_hour: AtomicI64,
    /// When the clock was last measured, and by how many seconds it was behind.
    pub(crate) clock_measured: Mutex<Option<(Timestamp, i64)>>,
    /// A notice of non-compliance is about the version of this build: for as long as the process runs.
    pub(crate) noncompliant: AtomicBool,
    /// A notice is open that stops this build because no release manifest lists it: until that notice ends.
    pub(crate) awaits_word: AtomicBool,
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
            in_doubt: InDoubtSteps::default(),
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

    /// Whether the database answers.
    pub async fn ready(&self) -> bool {
        self.store.read("ready", |tx| tx.ping()).await.is_ok()
    }
}
