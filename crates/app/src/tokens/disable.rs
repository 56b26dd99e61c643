//! Disabling a token: by its owner, for somebody else, or in an emergency.

use countersign_domain::{
    Actor, CredentialId, DisableReason, Event, EventKind, Outcome, PersonId, Refusal, TokenId,
    access::Cause, console::ConsoleChange, disable_token,
};
use countersign_store::{Session, Stage, TokenRow};

use super::{Change, Confirm, step_up, theirs};
use crate::{Act, App, At, Error, access::suspend};

/// What the page that disables a token sends.
#[derive(Debug, Clone)]
pub struct DisableForm {
    /// Why.
    pub reason: DisableReason,
    /// Whether the loss of the last token was confirmed in writing.
    pub confirmed: bool,
    /// A fresh passcode of an active token, where one is asked for.
    pub confirm: Option<Confirm>,
}

impl App {
    /// Disables a token of somebody of the practice, for them: whoever looks after the practice may take
    /// away, and never adds (the owner alone does, with a passcode).
    pub async fn disable_for(
        &self,
        act: Act,
        person: PersonId,
        token: TokenId,
        reason: DisableReason,
        words: String,
        at: At,
    ) -> Result<Result<Result<(), Refusal>, Refusal>, Error> {
        let (by, practice) = (Actor::Person(act.membership.person), act.membership.practice.id);
        let mailer = self.mailer();
        // A loss must never wait for a passcode.
        let change = if reason.is_loss() {
            ConsoleChange::DisableLostToken
        } else {
            ConsoleChange::DisableToken
        };
        self.console(act, change, at, move |tx, event| {
            if !tx.is_member(person, practice)? {
                return Ok(None);
            }
            // Prescriber, then session, then token: the order in which everyone locks.
            tx.lock_prescriber(person)?;
            let rows = tx.tokens_of(person)?;
            let found = rows.into_iter().find(|row| row.token.id() == token);
            // Tokens that another practice gave out are that practice's to disable.
            let found = found.filter(|row| row.token.practice() == Some(practice));
            let Some(TokenRow { token: mut it, mark, .. }) = found else { return Ok(None) };
            let result = disable_token(&mut it, reason, 1, true, at.now);
            let mut event = event.about(practice, person).token(token).detail(&words);
            match &result {
                Ok(()) => {
                    tx.save_token(&it, mark)?;
                    tx.stale_passcodes(person)?;
                    event = event.reason(reason.code());
                    if reason.is_loss() {
                        tx.end_sessions_of(person)?;
                        let what = reason.label();
                        suspend(tx, &mailer, person, Cause::FactorLost, by, what, at)?;
                    }
                }
                Err(refusal) => {
                    event.outcome = Outcome::Refused;
                    event = event.reason(refusal.code());
                }
            }
            Ok(Some((result, event)))
        })
        .await
    }

    /// Disables a token for a reason.
    pub async fn disable(
        &self,
        session: &Session,
        prescriber: PersonId,
        token: TokenId,
        form: DisableForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let policy = self.options.policy;
        let session_id = session.id;
        let practice = session.practice;
        let alone = !matches!(session.stage, Stage::Full { .. });
        let mailer = self.mailer();
        self.decide("disable_token", prescriber, session.id, at.now, move |account, tx| {
            // A loss must never wait for a passcode; everything else does.
            let needed = account.needs_step_up(&policy, at.now) && !form.reason.is_loss();
            let vouched =
                step_up(account, tx, needed, form.confirm.as_ref(), None, session_id, at, &policy)?;
            let active = account.active();
            let change: Change<()> = match vouched {
                Err(refusal) => Change::NotConfirmed(refusal),
                Ok(()) => match account.token(token) {
                    None => Change::Refused(Refusal::TokenNotActive),
                    Some((token, _)) => {
                        let others = active.saturating_sub(u32::from(token.is_active()));
                        disable_token(token, form.reason, others, form.confirmed, at.now).into()
                    }
                },
            };
            let done = change.outcome();
            let mut event =
                Event::of(EventKind::TokenDisabled, Actor::Person(prescriber), &done, at.support)
                    .about(practice, prescriber)
                    .token(theirs(account, token));
            if done.is_ok() {
                if form.reason.is_loss() {
                    // Whoever holds the token may hold a session too.
                    tx.end_other_sessions(prescriber, session_id)?;
                    let (actor, what) = (Actor::Person(prescriber), form.reason.label());
                    suspend(tx, &mailer, prescriber, Cause::FactorLost, actor, what, at)?;
                }
                event = event.reason(form.reason.code());
                if alone {
                    event = event.detail("reported with the passphrase alone");
                }
            }
            Ok((Ok(change), event))
        })
        .await
    }

    /// Stops a token in an emergency, by the operator's hand. `false` if there is no such token.
    pub async fn emergency_disable(&self, credential: CredentialId, at: At) -> Result<bool, Error> {
        let mailer = self.mailer();
        let done = self
            .store
            .write("emergency_disable", move |tx| {
                // Prescriber, then session, then token: the order in which everyone locks.
                tx.lock_owner(&credential)?;
                let event = Event::success(EventKind::TokenDisabled, Actor::Operator, at.support);
                let Some(TokenRow { mut token, mark, .. }) = tx.token_by_credential(&credential)?
                else {
                    let refusal = Refusal::UnknownCredential;
                    let event = Event::refused(event.kind, event.actor, &refusal, at.support);
                    tx.append(&event.detail(&credential.masked()), at.now)?;
                    return Ok(false);
                };
                let mut event = event.token(token.id()).reason(DisableReason::Emergency.code());
                event.practice = token.practice();
                event.prescriber = token.prescriber();
                if token.force_disable(DisableReason::Emergency, at.now) {
                    tx.save_token(&token, mark)?;
                }
                if let Some(prescriber) = token.prescriber() {
                    // Whoever made the emergency may hold a session.
                    tx.end_sessions_of(prescriber)?;
                    let what = DisableReason::Emergency.label();
                    let cause = Cause::FactorLost;
                    suspend(tx, &mailer, prescriber, cause, Actor::Operator, what, at)?;
                }
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }
}
