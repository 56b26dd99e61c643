//! The passphrase is changed by whoever knows the old one and holds a token, and by nobody else.

use std::sync::Arc;

use countersign_crypto::SecretText;
use countersign_domain::{Passphrase, PassphraseHash, Refusal, command::commands};
use countersign_store::{Person, Session};

use super::{
    Answer, App, At, Confirm, Error,
    attempts::Source,
    command::{Caller, CommandContext, Decision, person_of},
    hashing::Place,
    to_completion::to_completion,
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
        form: PassphraseForm,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (app, session) = (Arc::clone(self), session.clone());
        to_completion(
            "change_passphrase",
            at,
            async move { app.try_change(session, form, at).await },
        )
        .await
    }

    async fn try_change(
        &self,
        session: Session,
        form: PassphraseForm,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let prescriber = person_of(&session).ok_or(Error::NotFound)?;
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
        let before = found.passphrase.as_ref().map(PassphraseHash::to_row);
        let new = hashed.as_ref().map(|hashed| hashed.new.clone());
        // What can't be done costs no passcode.
        let check = move |cx: &mut CommandContext<'_, '_>, _: Option<&Confirm>| {
            // Read again under the lock: another page may have changed it while the hash ran.
            let now = cx.who()?.passphrase.map(|hash| hash.to_row());
            let refusal = match &hashed {
                None => Some(paused.map_or(Refusal::SignIn, Refusal::Paused)),
                Some(hashed) if !hashed.right || now != before => Some(Refusal::WrongPassphrase),
                Some(hashed) => hashed.same.then_some(Refusal::SamePassphrase),
            };
            Ok(refusal.map(Decision::Refused))
        };
        let (caller, this) = (Caller::confirmed(&session, Some(form.confirm)), session.id);
        self.run_checked(commands::CHANGE_PASSPHRASE, caller, at, check, move |cx| {
            let Some(new) = &new else { return Ok(Decision::Refused(Refusal::SignIn)) };
            let who = cx.who()?;
            cx.tx.save_passphrase(who.id, new)?;
            // Whoever knew the old one may hold a session, or have signed in elsewhere.
            cx.tx.end_other_sessions(who.id, this)?;
            cx.tx.forget_browsers_of(who.id, at.known_browser.as_ref())?;
            Ok(Decision::Done(()))
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
