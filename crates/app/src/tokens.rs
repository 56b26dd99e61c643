//! Tokens: added, renamed, tested and disabled, and what their owner sees of them.

mod add;
mod disable;

use std::sync::PoisonError;

use countersign_domain::{
    CredentialId, Device, DeviceClass, DeviceEvidence, ModelCode, PasscodeFailures, PersonId,
    Policy, Refusal, TimeZone, Token, TokenId, TokenModel, TokenName,
    command::{Command, commands},
    otp::OneTimePasscode,
    test_token,
};
use countersign_store::{AuditRow, Person, Session, Stage, TokenRow, Tx};

use super::{
    AdminRefusal, Answer, App, At, Chosen, Error,
    command::{Caller, Decision, person_of},
    needs_step_up,
};

pub use add::AddForm;
pub use disable::DisableForm;

/// A prescriber's tokens and what happened to them lately.
pub struct Overview {
    /// Who.
    pub prescriber: Person,
    /// All tokens ever bound, oldest first.
    pub tokens: Vec<countersign_domain::Token>,
    /// Newest first.
    pub events: Vec<AuditRow>,
    /// The models that the operator has judged.
    pub models: Vec<TokenModel>,
    /// The models that their practice does not let sign.
    pub refused_models: Vec<ModelCode>,
    /// Time zone of their practice, in which pages show times.
    pub zone: TimeZone,
}

/// A fresh passcode of an active token, given with a change.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// Which token it comes from.
    pub chosen: Chosen,
    /// The passcode.
    pub code: OneTimePasscode,
}

/// What the form that renames a token sends.
#[derive(Debug, Clone)]
pub struct RenameForm {
    /// The new name.
    pub name: TokenName,
    /// A fresh passcode of an active token, where one is asked for.
    pub confirm: Option<Confirm>,
}

/// What came of a change of one's own tokens.
pub type Change<T> = Answer<T, Refusal>;

impl App {
    /// What the dashboard and the token pages show.
    pub async fn overview(&self, prescriber: PersonId) -> Result<Overview, Error> {
        let found = self
            .store
            .read("overview", move |tx| {
                let Some(prescriber) = tx.person(prescriber)? else { return Ok(None) };
                let tokens =
                    tx.tokens_of(prescriber.id)?.into_iter().map(|row| row.token).collect();
                let events = tx.events_of(prescriber.id, 200)?;
                let models = tx.token_models()?;
                let refused = tx.refused_models(prescriber.practice)?;
                let refused_models = refused.into_iter().map(|(model, ..)| model).collect();
                let practice = tx.practice(prescriber.practice)?;
                let zone = practice.ok_or_else(|| Tx::broken("no practice"))?.zone;
                Ok(Some(Overview { prescriber, tokens, events, models, refused_models, zone }))
            })
            .await?;
        let mut found = found.ok_or(Error::NotFound)?;
        self.in_doubt.apply(found.tokens.iter_mut());
        Ok(found)
    }

    /// The newest events of one of a prescriber's tokens, and the one that added it.
    pub async fn token_events(
        &self,
        prescriber: PersonId,
        token: TokenId,
    ) -> Result<Vec<AuditRow>, Error> {
        let events = move |tx: &mut Tx<'_>| tx.events_of_token(prescriber, token, 50);
        Ok(self.store.read("token_events", events).await?)
    }

    /// Whether a change of tokens needs a passcode first: none since the policy's limit.
    pub fn needs_step_up(&self, session: &Session, at: At) -> bool {
        let passcode_at = match session.stage {
            Stage::Full { passcode_at, .. } => Some(passcode_at),
            Stage::Launched
            | Stage::Passphrase { .. }
            | Stage::Enrolling { .. }
            | Stage::Resetting { .. } => None,
        };
        needs_step_up(passcode_at, &self.options.policy, at.now)
    }

    /// Gives a token another name.
    pub async fn rename(
        &self,
        session: &Session,
        token: TokenId,
        form: RenameForm,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let caller = Caller::confirmed(session, form.confirm);
        let name = form.name;
        self.run(commands::RENAME_TOKEN, caller, at, move |cx| {
            let (account, _) = cx.account()?;
            let Some((found, _)) = account.token(token) else {
                return Ok(Decision::Refused(Refusal::TokenNotActive));
            };
            found.rename(name.clone());
            cx.about_token(token);
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Tests a token: a right code is used up, a wrong one counts for the day of its owner and not for the
    /// token. Ten in ten minutes.
    pub async fn test(
        &self,
        session: &Session,
        token: TokenId,
        code: OneTimePasscode,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let allowed = person_of(session).is_some_and(|person| self.count_test(person, at));
        self.change_token(
            commands::TEST_TOKEN,
            session,
            token,
            at,
            move |token, owner, _, policy| {
                if !allowed {
                    return Err(Refusal::TooManyTests);
                }
                test_token(token, owner, &code, at.now, policy).map(drop)
            },
        )
        .await
    }

    /// One change of one token of the caller's own.
    pub(super) async fn change_token<F>(
        &self,
        command: Command,
        session: &Session,
        token: TokenId,
        at: At,
        mut change: F,
    ) -> Result<Answer<(), Refusal>, Error>
    where
        F: FnMut(&mut Token, &mut PasscodeFailures, u32, &Policy) -> Result<(), Refusal>
            + Send
            + 'static,
    {
        self.run(command, Caller::of(session), at, move |cx| {
            let policy = cx.policy;
            let (account, _) = cx.account()?;
            let active = account.active();
            // An event never names somebody else's token.
            let Some((found, owner)) = account.token(token) else {
                return Ok(Decision::Refused(Refusal::TokenNotActive));
            };
            let changed = change(found, owner, active, &policy);
            cx.about_token(token);
            cx.note_browser();
            Ok(Decision::of(changed))
        })
        .await
    }

    fn count_test(&self, prescriber: PersonId, at: At) -> bool {
        const SECONDS: i64 = 600;
        const MOST: u32 = 10;
        let mut tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        tests.retain(|_, (since, _)| at.now < since.plus_seconds(SECONDS));
        let (_, count) = tests.entry(prescriber).or_insert((at.now, 0));
        *count += 1;
        *count <= MOST
    }

    /// Records that a person has seen the device which a token lives on.
    pub async fn attest_device(
        &self,
        credential: CredentialId,
        class: DeviceClass,
        by: String,
        at: At,
    ) -> Result<Answer<(), AdminRefusal>, Error> {
        self.run(commands::ATTEST_DEVICE, Caller::Operator, at, move |cx| {
            cx.detail(&format!("{}, {} by {by}", credential.masked(), class.code()));
            let Some(TokenRow { token, .. }) = cx.tx.token_by_credential(&credential)? else {
                return Ok(Decision::Refused(AdminRefusal::TokenUnknown));
            };
            let was = token.device();
            let device = Device { class, evidence: DeviceEvidence::Attested, ..was };
            cx.tx.save_device(token.id(), &device)?;
            cx.detail(&format!(
                "{} by {by}; was {}, {}",
                class.code(),
                was.class.code(),
                was.evidence.code()
            ));
            (cx.event.practice, cx.event.prescriber) = (token.practice(), token.prescriber());
            cx.about_token(token.id());
            Ok(Decision::Done(()))
        })
        .await
    }
}
