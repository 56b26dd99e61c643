//! The passphrase is changed by whoever knows the old one and holds a token, and by nobody else.

use std::sync::Arc;

use countersign_crypto::SecretText;
use countersign_domain::{Actor, Event, EventKind, Passphrase, PassphraseHash, PersonId, Refusal};
use countersign_store::{Person, Session};

use super::{
    App, At, Change, Confirm, Error, attempts::Source, hashing::Place,
    to_completion::to_completion, tokens::step_up,
};

/// What the page sends.
#[derive(Debug, Clone)]
pub struct PassphraseForm {
    /// The present passphrase as typed.
    pub current: SecretText,
    /// The new one, which may be chosen.
    pub new: Passphrase,
    /// A fresh passcode of an active token; always asked for.
    pub confirm: Confirm,
}

/// What the slow part found out.
struct Hashed {
    right: bool,
    same: bool,
    new: PassphraseHash,
}

impl App {
    /// Changes the passphrase: the present one, and a fresh passcode (SP 800-63B, 6.1.2.3: what both
    /// factors vouch for). All other sessions end, and other browsers are no longer known.
    ///
    /// A try counts like one at the log-in, on a counter of the open session. Runs to its end even if the
    /// client leaves.
    pub async fn change_passphrase(
        self: &Arc<Self>,
        session: &Session,
        prescriber: PersonId,
        form: PassphraseForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let (app, session) = (Arc::clone(self), session.clone());
        to_completion("change_passphrase", at, async move {
            app.try_change(session, prescriber, form, at).await
        })
        .await
    }

    async fn try_change(
        &self,
        session: Session,
        prescriber: PersonId,
        form: PassphraseForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let policy = self.options.policy;
        let source = Source::Session { person: prescriber, practice: session.practice };
        let turn = self.attempt_queues.wait(&source).await?;
        let place = self.hashing.reserve()?;
        let begun = self.begin_attempt(turn).await?;
        let paused = begun.as_ref().err().copied();
        let found = self.prescriber(prescriber).await?;
        let hashed = match begun {
            Err(_) => None,
            Ok(attempt) => {
                let hashed = self.hash_both(place, &found, form.current, form.new).await?;
                self.end_attempt(attempt, hashed.right).await?;
                Some(hashed)
            }
        };
        let (session_id, practice) = (session.id, session.practice);
        let (confirm, before) =
            (form.confirm, found.passphrase.as_ref().map(PassphraseHash::to_row));
        self.decide("change_passphrase", prescriber, session_id, at.now, move |account, tx| {
            let mut work = || -> Result<Change<()>, countersign_store::Error> {
                // Read again under the lock: another page may have changed it while the hash ran.
                let now =
                    tx.person(prescriber)?.and_then(|now| now.passphrase).map(|hash| hash.to_row());
                let Some(hashed) = &hashed else {
                    let refusal = paused.map_or(Refusal::SignIn, Refusal::Paused);
                    return Ok(Change::Refused(refusal));
                };
                if !hashed.right || now != before {
                    // The passcode is not looked at, and so is not spent.
                    return Ok(Change::Refused(Refusal::WrongPassphrase));
                }
                if hashed.same {
                    return Ok(Change::Refused(Refusal::SamePassphrase));
                }
                let asked = Some(&confirm);
                let vouched = step_up(account, tx, true, asked, None, session_id, at, &policy)?;
                if let Err(refusal) = vouched {
                    return Ok(Change::NotConfirmed(refusal));
                }
                tx.save_passphrase(prescriber, &hashed.new)?;
                // Whoever knew the old one may hold a session, or have signed in elsewhere.
                tx.end_other_sessions(prescriber, session_id)?;
                tx.forget_browsers_of(prescriber, at.known_browser.as_ref())?;
                Ok(Change::Done(()))
            };
            let change = work()?;
            let event = Event::of(
                EventKind::PassphraseChanged,
                Actor::Person(prescriber),
                &change.outcome(),
                at.support,
            )
            .about(practice, prescriber);
            Ok((Ok(change), event))
        })
        .await
    }

    /// Whether the old one is right, whether the new one is the same, and the hash of the new one.
    async fn hash_both(
        &self,
        place: Place<'_>,
        found: &Person,
        current: SecretText,
        new: Passphrase,
    ) -> Result<Hashed, Error> {
        let (iterations, rng) = (self.options.iterations, self.rng);
        let old = found.passphrase.clone().unwrap_or_else(|| PassphraseHash::decoy(iterations));
        place
            .run(move || {
                let right = Passphrase::parse(&current).is_ok_and(|phrase| old.verify(&phrase));
                let same = right && old.verify(&new);
                let new = PassphraseHash::create(&new, iterations, rng().as_mut())?;
                Ok(Hashed { right, same, new })
            })
            .await?
    }
}
