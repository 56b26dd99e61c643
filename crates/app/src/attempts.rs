//! Attempts at a passphrase, counted apart by where they come from, so that nobody is kept out by
//! somebody who can't come from there. The bounds that result are in `docs/threat-model.md`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign_crypto::sha256;
use countersign_domain::{
    ApiKeyId, AttemptCounter, AttemptStart, Blocked, FailureLimits, PersonId, PracticeId,
    SignInName, Timestamp,
};
use countersign_store::{Identity, Person, Session, Tx};

use super::{App, At, Error, SessionSecret};

/// How long a browser is known after a log-in with both factors, in seconds: 90 days.
pub const KNOWN_BROWSER_SECONDS: i64 = 90 * 86_400;
/// Most known browsers of one account; the one that was not used for longest is forgotten.
const MOST_BROWSERS: i64 = 10;
/// Most attempts from one source that wait in this process.
const MOST_WAITING: usize = 64;
/// How often another server's attempt is waited for, and how long each time.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Where an attempt at a passphrase comes from. Each has a counter of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The log-in page, in a browser of which nothing is known. Counted for the name as it was typed,
    /// whether anybody has it or not.
    Public(SignInName),
    /// The log-in page, in a browser in which the account has signed in with both factors.
    KnownBrowser {
        /// SHA-256 of the secret in its cookie.
        browser: [u8; 32],
        /// The account.
        person: PersonId,
    },
    /// The log-in page, after a registered EHR has opened it for the account.
    Launch {
        /// The account.
        person: PersonId,
        /// The practice of the EHR.
        practice: PracticeId,
    },
    /// Typed again in an open session.
    Session {
        /// The account.
        person: PersonId,
        /// The practice of the session.
        practice: PracticeId,
    },
    /// Handed over by a system of the API.
    ApiClient {
        /// The account.
        person: PersonId,
        /// The key of the system.
        key: ApiKeyId,
    },
    /// The page of a forgotten passphrase, which takes two passcodes in its place.
    Forgotten(SignInName),
}

impl Source {
    /// What its counter is found by.
    pub(super) fn key(&self) -> [u8; 32] {
        // No name holds a NUL, so no name that somebody types is the key of another counter.
        let of = |kind: &str, [one, two]: [&[u8]; 2]| {
            sha256(&[b"\0", kind.as_bytes(), b"\0", one, two].concat())
        };
        match self {
            Self::Public(name) => sha256(name.as_text().as_bytes()),
            Self::KnownBrowser { browser, person } => of("browser", [browser, person.as_bytes()]),
            Self::Launch { person, practice } => {
                of("launch", [person.as_bytes(), practice.as_bytes()])
            }
            Self::Session { person, practice } => {
                of("session", [person.as_bytes(), practice.as_bytes()])
            }
            Self::ApiClient { person, key } => of("api", [person.as_bytes(), key.as_bytes()]),
            Self::Forgotten(name) => of("forgotten", [name.as_text().as_bytes(), b""]),
        }
    }

    /// What the record of a log-in says of it, after the name.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::KnownBrowser { .. } => ", known browser",
            Self::Launch { .. } => ", opened by the EHR",
            _ => "",
        }
    }
}

/// The attempts that wait in this process, by source. Without them those of one source would ask the
/// database again and again whether the one before has ended.
#[derive(Clone, Default)]
pub(super) struct AttemptQueues(Arc<Mutex<HashMap<[u8; 32], Queue>>>);

#[derive(Default)]
struct Queue {
    /// Who waits, and who is at it.
    length: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl AttemptQueues {
    fn queues(&self) -> MutexGuard<'_, HashMap<[u8; 32], Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of an attempt. Where too many wait already it is turned away, uncounted.
    pub(super) async fn wait(&self, source: &Source) -> Result<Turn, Error> {
        let key = source.key();
        let (place, turn) = {
            let mut queues = self.queues();
            let queue = queues.entry(key).or_default();
            if queue.length >= MOST_WAITING {
                return Err(Error::Busy);
            }
            queue.length += 1;
            (QueuePlace { queues: self.clone(), key }, Arc::clone(&queue.turn))
        };
        let held = turn.lock_owned().await;
        Ok(Turn { key, _held: held, _place: place })
    }
}

/// Given back when it is dropped, whether its turn came or not.
struct QueuePlace {
    queues: AttemptQueues,
    key: [u8; 32],
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut queues = self.queues.queues();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.length = queue.length.saturating_sub(1);
            if queue.length == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

/// The turn of one attempt in this process. The next one comes when it is dropped.
pub(super) struct Turn {
    key: [u8; 32],
    _held: tokio::sync::OwnedMutexGuard<()>,
    _place: QueuePlace,
}

/// An attempt that has begun. One that never ends counts as a wrong one.
pub(super) struct Attempt {
    begun: AttemptCounter,
    limits: FailureLimits,
    turn: Turn,
}

impl Attempt {
    /// Ends it, and says what is counted now. `now` is when it ends.
    pub(super) fn end(
        &self,
        tx: &mut Tx<'_>,
        right: bool,
        now: Timestamp,
    ) -> Result<AttemptCounter, countersign_store::Error> {
        let counter = tx.attempts(&self.turn.key, now)?.end(&self.begun, right, &self.limits, now);
        tx.save_attempts(&self.turn.key, &counter, now)?;
        Ok(counter)
    }
}

impl App {
    /// Begins an attempt: from now on it counts as a wrong one unless it ends as a right one, so attempts
    /// in parallel, or a crash, gain nothing. One that is under way on another server is waited for, some
    /// seconds; then this one is turned away, uncounted.
    pub(super) async fn begin_attempt(
        &self,
        turn: Turn,
    ) -> Result<Result<Attempt, Blocked>, Error> {
        let (key, limits) = (turn.key, self.options.policy.passphrase);
        for _ in 0..LOOKS {
            let now = self.clock.now();
            let start = self
                .store
                .write("begin_attempt", move |tx| {
                    let start = tx.attempts(&key, now)?.begin(&limits, now);
                    if let AttemptStart::Begun(counter) = &start {
                        tx.save_attempts(&key, counter, now)?;
                    }
                    Ok(start)
                })
                .await?;
            match start {
                AttemptStart::Begun(begun) => return Ok(Ok(Attempt { begun, limits, turn })),
                AttemptStart::Blocked(blocked) => return Ok(Err(blocked)),
                AttemptStart::Busy => {}
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err(Error::Busy)
    }

    /// Ends an attempt in a transaction of its own.
    pub(super) async fn end_attempt(&self, attempt: Attempt, right: bool) -> Result<(), Error> {
        let now = self.clock.now();
        self.store.write("end_attempt", move |tx| attempt.end(tx, right, now).map(drop)).await?;
        Ok(())
    }

    /// Whether the account of this name knows the browser that asks.
    pub async fn knows_browser(&self, name: &SignInName, at: At) -> Result<bool, Error> {
        let Some(browser) = at.known_browser else { return Ok(false) };
        let name = name.clone();
        let known = self
            .store
            .read("knows_browser", move |tx| {
                let person = tx.person_by_name(&name)?.map(|found| found.id);
                tx.is_known_browser(&browser, person, at.now)
            })
            .await?;
        Ok(known)
    }

    /// Where a log-in comes from. The same is asked of the database for a name that nobody has.
    pub(super) async fn sign_in_source(
        &self,
        name: &SignInName,
        session: Option<&Session>,
        at: At,
    ) -> Result<Source, Error> {
        let launched = session.and_then(|session| match session.launched_as {
            Some(Identity::Prescriber(person)) => Some((person, session.practice)),
            _ => None,
        });
        let name = name.clone();
        let source = self
            .store
            .read("sign_in_source", move |tx| {
                let found = tx.person_by_name(&name)?;
                let person = found.filter(|found| !found.closed).map(|found| found.id);
                let known = match &at.known_browser {
                    Some(browser) => tx.is_known_browser(browser, person, at.now)?,
                    None => false,
                };
                Ok(match (person, at.known_browser, launched) {
                    (Some(person), Some(browser), _) if known => {
                        Source::KnownBrowser { browser, person }
                    }
                    (Some(id), _, Some((person, practice))) if id == person => {
                        Source::Launch { person, practice }
                    }
                    _ => Source::Public(name.clone()),
                })
            })
            .await?;
        Ok(source)
    }
}

/// Notes that an account has signed in with both factors in the browser that asks. A secret for its cookie,
/// where it needs one: a secret that nobody has signed in with here is never taken over.
pub(super) fn know_browser(
    tx: &mut Tx<'_>,
    person: PersonId,
    at: At,
) -> Result<Option<SessionSecret>, countersign_store::Error> {
    let known = match at.known_browser {
        Some(browser) if tx.is_browser_of_anybody(&browser, at.now)? => Some(browser),
        _ => None,
    };
    let (secret, browser) = if let Some(browser) = known {
        (None, browser)
    } else {
        let (secret, browser) = SessionSecret::new(tx.rng())?;
        (Some(secret), browser)
    };
    if !tx.is_known_browser(&browser, Some(person), at.now)? {
        // It may have lost its trust, and its count with it.
        let counter = Source::KnownBrowser { browser, person };
        tx.save_attempts(&counter.key(), &AttemptCounter::NONE, at.now)?;
    }
    let expires = at.now.plus_seconds(KNOWN_BROWSER_SECONDS);
    tx.know_browser(&browser, person, at.now, expires, MOST_BROWSERS)?;
    Ok(secret)
}

/// After a new passphrase that is not vouched for by the old one: no browser is known any more, and wrong attempts at
/// the old one keep nobody from using the new one on our pages. A system of the API that guessed stays paused.
pub(super) fn forget_browsers_and_attempts(
    tx: &mut Tx<'_>,
    who: &Person,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    tx.forget_browsers_of(who.id, None)?;
    let person = who.id;
    let mut sources =
        vec![Source::Public(who.sign_in.clone()), Source::Forgotten(who.sign_in.clone())];
    let practices: BTreeSet<PracticeId> = tx
        .roles_of(person)?
        .into_iter()
        .map(|(practice, _)| practice)
        .chain([who.practice])
        .collect();
    for practice in practices {
        sources.extend([Source::Launch { person, practice }, Source::Session { person, practice }]);
    }
    for source in sources {
        tx.save_attempts(&source.key(), &AttemptCounter::NONE, now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use std::collections::HashSet;

    fn public(name: &str) -> Source {
        Source::Public(name.parse().unwrap())
    }

    #[test]
    fn every_source_has_a_counter_of_its_own() {
        let (now, rng) = (Timestamp::from_seconds(1), &mut SystemRng);
        let person = PersonId::new(now, rng).unwrap();
        let practice = PracticeId::new(now, rng).unwrap();
        let key = ApiKeyId::new(now, rng).unwrap();
        let name: SignInName = "ada@x.example".parse().unwrap();
        let sources = [
            Source::Public(name.clone()),
            Source::Public("ben@x.example".parse().unwrap()),
            Source::KnownBrowser { browser: [1; 32], person },
            Source::KnownBrowser { browser: [2; 32], person },
            Source::Launch { person, practice },
            Source::Session { person, practice },
            Source::Session { person, practice: PracticeId::new(now, rng).unwrap() },
            Source::ApiClient { person, key },
            Source::ApiClient { person, key: ApiKeyId::new(now, rng).unwrap() },
            Source::Forgotten(name),
        ];
        let keys: HashSet<[u8; 32]> = sources.iter().map(Source::key).collect();
        assert_eq!(keys.len(), sources.len());
        assert!("\0forgotten\0ada@x.example".parse::<SignInName>().is_err());
    }

    #[tokio::test]
    async fn turns_come_one_by_one_and_places_are_given_back() {
        let queues = AttemptQueues::default();
        let (one, other) = (public("ada@x.example"), public("ben@x.example"));
        let first = queues.wait(&one).await.unwrap();
        let mut second = Box::pin(queues.wait(&one));
        assert!(futures_poll(&mut second).await, "its turn has not come");
        // Somebody else's queue is not this one.
        drop(queues.wait(&other).await.unwrap());
        let waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(queues.wait(&one))).collect();
        let mut turned_away = 0;
        let mut kept = Vec::new();
        for mut wait in waiting {
            if futures_poll(&mut wait).await {
                kept.push(wait);
            } else {
                turned_away += 1;
            }
        }
        assert_eq!((kept.len(), turned_away), (MOST_WAITING - 2, 2));
        // Who leaves gives the place back.
        drop(kept);
        drop(first);
        drop(second.await.unwrap());
        assert!(queues.queues().is_empty());
    }

    /// Whether it waits after it was asked once.
    async fn futures_poll<F: Future>(work: &mut std::pin::Pin<Box<F>>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx).is_pending())).await
    }
}
