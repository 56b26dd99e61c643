//! Disabling a token: by its owner, for somebody else, or in an emergency.

use countersign_domain::{
    Actor, CredentialId, DisableReason, PersonId, Refusal, TokenId, access::Cause,
    command::commands, disable_token,
};
use countersign_store::{Session, Stage, TokenRow};

use super::Confirm;
use crate::{
    Act, AdminRefusal, Answer, App, At, Error,
    access::suspend,
    command::{Caller, Decision},
};

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
    ) -> Result<Answer<(), Refusal>, Error> {
        let (by, practice) = (Actor::Person(act.membership.person), act.membership.practice.id);
        // A loss must never wait for a passcode.
        let command = if reason.is_loss() {
            commands::DISABLE_LOST_TOKEN
        } else {
            commands::DISABLE_TOKEN_OF
        };
        self.run(command, Caller::Member(Box::new(act)), at, move |cx| {
            let tx = &mut *cx.tx;
            if !tx.is_member(person, practice)? {
                return Ok(Decision::NotFound);
            }
            // Person, then session, then token: the order in which everyone locks.
            tx.lock_prescriber(person)?;
            let rows = tx.tokens_of(person)?;
            let found = rows.into_iter().find(|row| row.token.id() == token);
            // Tokens that another practice gave out are that practice's to disable.
            let found = found.filter(|row| row.token.practice() == Some(practice));
            let Some(TokenRow { token: mut it, mark, .. }) = found else {
                return Ok(Decision::NotFound);
            };
            let result = disable_token(&mut it, reason, 1, true, at.now);
            if result.is_ok() {
                tx.save_token(&it, mark)?;
                tx.stale_passcodes(person)?;
                if reason.is_loss() {
                    tx.end_sessions_of(person)?;
                    let what = reason.label();
                    suspend(tx, cx.mailer, person, Cause::FactorLost, by, what, at)?;
                }
            }
            cx.about(person);
            cx.about_token(token);
            cx.detail(&words);
            cx.reason(reason.code());
            Ok(Decision::of(result))
        })
        .await
    }

    /// Disables a token of one's own for a reason.
    pub async fn disable(
        &self,
        session: &Session,
        token: TokenId,
        form: DisableForm,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        // A loss must never wait for a passcode; everything else does.
        let command = if form.reason.is_loss() {
            commands::REPORT_TOKEN_LOST
        } else {
            commands::DISABLE_TOKEN
        };
        let (this, reason, confirmed) = (session.id, form.reason, form.confirmed);
        let alone = !matches!(session.stage, Stage::Full { .. });
        self.run(command, Caller::confirmed(session, form.confirm), at, move |cx| {
            let who = cx.who()?;
            let (account, _) = cx.account()?;
            let active = account.active();
            let Some((found, _)) = account.token(token) else {
                return Ok(Decision::Refused(Refusal::TokenNotActive));
            };
            let others = active.saturating_sub(u32::from(found.is_active()));
            let disabled = disable_token(found, reason, others, confirmed, at.now);
            cx.about_token(token);
            if let Err(refusal) = disabled {
                return Ok(Decision::Refused(refusal));
            }
            if reason.is_loss() {
                // Whoever holds the token may hold a session too.
                cx.tx.end_other_sessions(who.id, this)?;
                let (actor, what) = (Actor::Person(who.id), reason.label());
                suspend(cx.tx, cx.mailer, who.id, Cause::FactorLost, actor, what, at)?;
            }
            cx.reason(reason.code());
            if alone {
                cx.detail("reported with the passphrase alone");
            }
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Stops a token in an emergency, by the operator's hand.
    pub async fn emergency_disable(
        &self,
        credential: CredentialId,
        at: At,
    ) -> Result<Answer<(), AdminRefusal>, Error> {
        self.run(commands::EMERGENCY_DISABLE, Caller::Operator, at, move |cx| {
            let tx = &mut *cx.tx;
            // Prescriber, then session, then token: the order in which everyone locks.
            tx.lock_owner(&credential)?;
            let Some(TokenRow { mut token, mark, .. }) = tx.token_by_credential(&credential)?
            else {
                cx.detail(&credential.masked());
                return Ok(Decision::Refused(AdminRefusal::TokenUnknown));
            };
            let reason = DisableReason::Emergency;
            if token.force_disable(reason, at.now) {
                tx.save_token(&token, mark)?;
            }
            if let Some(prescriber) = token.prescriber() {
                // Whoever made the emergency may hold a session.
                tx.end_sessions_of(prescriber)?;
                let (cause, what) = (Cause::FactorLost, reason.label());
                suspend(tx, cx.mailer, prescriber, cause, Actor::Operator, what, at)?;
            }
            (cx.event.practice, cx.event.prescriber) = (token.practice(), token.prescriber());
            cx.about_token(token.id());
            cx.reason(reason.code());
            Ok(Decision::Done(()))
        })
        .await
    }
}
