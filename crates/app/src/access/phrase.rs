//! A passphrase tried by somebody who is signed in, as one factor of a decision.

use countersign_crypto::SecretText;
use countersign_domain::{Passphrase, PassphraseHash, PersonId, Refusal};
use countersign_store::Tx;

use crate::{App, Error, attempts::Source};

/// A passphrase that was tried, for the decision that it is one factor of.
pub(crate) struct PassphraseAttempt {
    right: bool,
    paused: Option<countersign_domain::Blocked>,
    before: Option<String>,
}

impl PassphraseAttempt {
    /// Whether it holds, read again under the lock: it may have been changed while the hash ran.
    pub(crate) fn recheck_under_lock(
        &self,
        tx: &mut Tx<'_>,
        person: PersonId,
    ) -> Result<Result<(), Refusal>, countersign_store::Error> {
        let held = tx.person(person)?.and_then(|found| found.passphrase);
        if !self.right || held.map(|hash| hash.to_row()) != self.before {
            let refusal = self.paused.map_or(Refusal::WrongPassphrase, Refusal::Paused);
            return Ok(Err(refusal));
        }
        Ok(Ok(()))
    }
}

impl App {
    /// Tries the passphrase of somebody who is known already, as far as `source` says so.
    pub(crate) async fn attempt_passphrase(
        &self,
        person: PersonId,
        typed: SecretText,
        source: &Source,
    ) -> Result<PassphraseAttempt, Error> {
        let turn = self.attempt_queues.wait(source).await?;
        let place = self.hashing.reserve()?;
        let attempt = match self.begin_attempt(turn).await? {
            Ok(attempt) => attempt,
            Err(blocked) => {
                return Ok(PassphraseAttempt { right: false, paused: Some(blocked), before: None });
            }
        };
        let found = self.prescriber(person).await?;
        let iterations = self.options.iterations;
        let before = found.passphrase.as_ref().map(PassphraseHash::to_row);
        let hash = found.passphrase;
        let right = place
            .run(move || {
                let hash = hash.unwrap_or_else(|| PassphraseHash::decoy(iterations));
                Passphrase::parse(&typed).is_ok_and(|phrase| hash.verify(&phrase))
            })
            .await?;
        self.end_attempt(attempt, right).await?;
        Ok(PassphraseAttempt { right, paused: None, before })
    }
}
