//! A decision about tokens in one transaction, with its record.

use countersign_domain::{
    Actor, Event, EventKind, PasscodeFailures, PersonId, Purpose, Refusal, SessionRowId, Timestamp,
    Token, TokenId,
};
use countersign_store::Tx;

use crate::{
    account::Account,
    context::{App, At, By},
    error::Error,
    owner_notices::tell_owner,
};

impl App {
    /// Runs a decision about a prescriber's tokens in one transaction: what it changed is written,
    /// its event is appended, and its answer leaves when both are durable.
    pub(crate) async fn decide<R, F>(
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
    pub(crate) async fn decide_in<R, F>(
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
        let in_doubt = self.in_doubt.clone();
        let (watch, consumed) = self.in_doubt.watch();
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
                let mut account = Account::new(owner, passcode_at, rows, in_doubt.clone());
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
    pub(crate) async fn change_token<F>(
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
pub(crate) fn record(
    tx: &mut Tx<'_>,
    event: &Event,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    tx.append(event, now)?;
    event.twin().map_or(Ok(()), |twin| tx.append(&twin, now))
}

/// Says in the log what was decided, under the code that stands on the page. Neither NPI nor
/// credential ID: the audit event has what the log must not.
pub(crate) fn log(event: &Event) {
    let (support, kind, outcome) = (event.support, event.kind.code(), event.outcome.code());
    tracing::info!(%support, kind, outcome, reason = event.reason.unwrap_or(""), "decided");
}
