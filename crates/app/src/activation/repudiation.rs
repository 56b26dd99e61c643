//! The link in a notice by which its reader says "this was not me".

use std::convert::Infallible;

use countersign_domain::{
    Actor, DisableReason, EventKind, access::Cause, command::commands, enrolment::LinkSecret,
};
use countersign_store::TokenRow;

use crate::{
    Answer, App, At, Error,
    access::suspend,
    command::{Caller, Decision},
};

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
    /// taken away, and the designated individuals are told. Not found where the link does not work.
    pub async fn repudiate(&self, link: &str, at: At) -> Result<Answer<(), Infallible>, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Err(Error::NotFound) };
        // Looked at before anything is written: whoever guesses links fills no trail.
        if self.repudiation(link, at).await?.is_none() {
            return Err(Error::NotFound);
        }
        self.run(commands::REPUDIATE, Caller::Link, at, move |cx| {
            let Some((person, practice)) = cx.tx.repudiation(&digest, at.now)? else {
                return Ok(Decision::NotFound);
            };
            cx.event = cx.event.clone().about(practice, person);
            let disabled = cx.event_of(EventKind::TokenDisabled);
            let tx = &mut *cx.tx;
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
                let event = disabled.clone().token(token.id()).reason(reason.code());
                tx.append(&event, at.now)?;
            }
            let what = "a change that was not theirs";
            suspend(tx, cx.mailer, person, Cause::FactorLost, Actor::Unknown, what, at)?;
            Ok(Decision::Done(()))
        })
        .await
    }
}
