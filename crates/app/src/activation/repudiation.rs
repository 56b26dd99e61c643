//! The link in a notice by which its reader says "this was not me".

use countersign_domain::{
    Actor, DisableReason, Event, EventKind, access::Cause, enrolment::LinkSecret,
};
use countersign_store::TokenRow;

use crate::{App, At, Error, access::suspend};

impl App {
    /// Whose link of a notice it is, while it works: the name.
    pub async fn repudiation(&self, link: &str, at: At) -> Result<Option<String>, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(None) };
        let found = self
            .store
            .read("repudiation", move |tx| match tx.repudiation(&digest, at.now)? {
                Some((person, _)) => Ok(tx.person(person)?.map(|person| person.name)),
                None => Ok(None),
            })
            .await?;
        Ok(found)
    }

    /// "This was not me": all tokens of the account stop for now, its sessions end, its permission is
    /// taken away, and the designated individuals are told. `false` where the link does not work.
    pub async fn repudiate(&self, link: &str, at: At) -> Result<bool, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(false) };
        let mailer = self.mailer();
        let done = self
            .store
            .write("repudiate", move |tx| {
                let Some((person, practice)) = tx.repudiation(&digest, at.now)? else {
                    return Ok(false);
                };
                // Prescriber, then session, then token: the order in which everyone locks.
                tx.lock_prescriber(person)?;
                tx.use_repudiation(&digest, at.now)?;
                tx.end_sessions_of(person)?;
                tx.forget_browsers_of(person, None)?;
                let reason = DisableReason::TemporarilyUnavailable;
                for TokenRow { mut token, mark, .. } in tx.tokens_of(person)? {
                    if !token.is_active() {
                        continue;
                    }
                    // Their owner turns them on again with a code of the token itself.
                    token.force_disable(reason, at.now);
                    tx.save_token(&token, mark)?;
                    let event =
                        Event::success(EventKind::TokenDisabled, Actor::Unknown, at.support)
                            .about(practice, person)
                            .token(token.id())
                            .reason(reason.code());
                    tx.append(&event, at.now)?;
                }
                let event = Event::success(EventKind::Repudiated, Actor::Unknown, at.support)
                    .about(practice, person);
                tx.append(&event, at.now)?;
                let what = "a change that was not theirs";
                suspend(tx, &mailer, person, Cause::FactorLost, Actor::Unknown, what, at)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }
}
