//! A prescriber's tokens and failure counter, as one transaction sees them.

use countersign_domain::{
    Event, Failures, Outcome, PasscodeFailures, PersonId, Policy, Refusal, Timestamp, Token,
    TokenId, TokenState, WRONG_PASSCODES_PER_DAY, otp::Step,
};
use countersign_store::{ReadMark, TokenRow, Tx};

use crate::{context::At, in_doubt::InDoubtSteps, notices::Mailer, owner_notices::tell_pause};

/// A prescriber's tokens and failure counter, as one transaction sees them.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) owner: PasscodeFailures,
    pub(crate) tokens: Vec<Token>,
    marks: Vec<ReadMark>,
    in_doubt: InDoubtSteps,
    /// A step consumed of a token that is not on the list: a new one.
    pub(crate) consumed_elsewhere: Option<(TokenId, Step)>,
}

impl Account {
    pub(crate) fn new(
        owner: PasscodeFailures,
        rows: Vec<TokenRow>,
        in_doubt: InDoubtSteps,
    ) -> Self {
        let (mut tokens, marks): (Vec<Token>, _) =
            rows.into_iter().map(|row| (row.token, row.mark)).unzip();
        in_doubt.apply(tokens.iter_mut());
        Self { owner, tokens, marks, in_doubt, consumed_elsewhere: None }
    }

    /// The steps that were consumed since `before`.
    pub(crate) fn consumed_since(&self, before: &Self) -> impl Iterator<Item = (TokenId, Step)> {
        let listed = before.tokens.iter().zip(&self.tokens).filter_map(|(old, new)| {
            let step = new.last_step().filter(|step| old.last_step() != Some(*step))?;
            Some((new.id(), step))
        });
        listed.chain(self.consumed_elsewhere)
    }

    pub(crate) fn apply_in_doubt(&self, token: &mut Token) {
        self.in_doubt.apply(std::iter::once(token));
    }

    pub(crate) fn active(&self) -> u32 {
        u32::try_from(self.tokens.iter().filter(|token| token.is_active()).count())
            .unwrap_or(u32::MAX)
    }

    /// Whether wrong codes make a token, or all of them, pause.
    fn pauses(&self, now: Timestamp) -> bool {
        let blocked = |failures: &Failures| failures.blocked_until.is_some_and(|until| now < until);
        blocked(&self.owner.in_a_row) || self.tokens.iter().any(|token| blocked(&token.failures()))
    }

    /// The token with this id, if it is theirs, apart from the failure counter.
    pub(crate) fn token(&mut self, id: TokenId) -> Option<(&mut Token, &mut PasscodeFailures)> {
        let owner = &mut self.owner;
        self.tokens.iter_mut().find(|token| token.id() == id).map(|token| (token, owner))
    }

    /// The event, with a reason where policy let a token pass in the browser that holds it.
    pub(crate) fn noted_browser(&self, event: Event, at: At) -> Event {
        let here = |token: &Token| {
            Some(token.id()) == event.token && token.is_in_browser(at.browser.as_ref())
        };
        if event.outcome == Outcome::Success && self.tokens.iter().any(here) {
            event.reason(Refusal::SAME_BROWSER)
        } else {
            event
        }
    }

    /// Tells the owner when wrong codes have begun a pause.
    pub(crate) fn tell_new_pause(
        &self,
        before: &Self,
        prescriber: PersonId,
        mailer: &Mailer,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<(), countersign_store::Error> {
        if !self.pauses(now) || before.pauses(now) {
            return Ok(());
        }
        let day = self.owner.wrong_today(now);
        // Of many in a day once: the pauses after that are longer, and no news.
        if day < WRONG_PASSCODES_PER_DAY || tx.wrong_passcodes_told(prescriber)? {
            tell_pause(mailer, prescriber, day, tx, now)?;
        }
        Ok(())
    }

    pub(crate) fn save_changes(
        &self,
        before: &Self,
        prescriber: PersonId,
        tx: &mut Tx<'_>,
    ) -> Result<(), countersign_store::Error> {
        for ((old, new), mark) in before.tokens.iter().zip(&self.tokens).zip(&self.marks) {
            if columns(old) != columns(new) {
                tx.save_token(new, *mark)?;
            }
        }
        if self.owner != before.owner {
            tx.save_prescriber_failures(prescriber, &self.owner)?;
        }
        Ok(())
    }
}

/// Whether the last passcode, if any, is too old for a change of tokens.
pub(crate) fn needs_step_up(
    passcode_at: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> bool {
    passcode_at.is_none_or(|at| now >= at.plus_seconds(policy.step_up_seconds))
}

/// What of a token a decision can change.
fn columns(
    token: &Token,
) -> (&str, TokenState, Option<Step>, i64, i64, Failures, Option<Timestamp>) {
    (
        token.name().as_str(),
        token.state(),
        token.last_step(),
        token.drift().base(),
        token.drift().current(),
        token.failures(),
        token.last_used(),
    )
}
