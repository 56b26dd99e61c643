//! Tokens: added, renamed, tested and disabled, and what their owner sees of them.

mod add;
mod disable;

use std::sync::PoisonError;

use countersign_domain::{
    Actor, CredentialId, Device, DeviceClass, DeviceEvidence, Event, EventKind, ModelCode,
    PersonId, Purpose, Refusal, TimeZone, TokenId, TokenModel, TokenName, otp::OneTimePasscode,
    test_token,
};
use countersign_store::{AuditRow, Person, Session, Stage, TokenRow, Tx};

use super::{
    Account, App, At, By, Chosen, Error, needs_step_up, record,
    sign_in::{passcode_event, verify},
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

/// What became of a change that asks for a fresh passcode once the last one is old.
#[derive(Debug)]
pub enum Change<T> {
    /// It was made.
    Done(T),
    /// The passcode was accepted, or none was needed; the change itself was refused.
    Refused(Refusal),
    /// The passcode is missing or was refused; the change was not looked at.
    NotConfirmed(Refusal),
}

impl<T> Change<T> {
    /// Whether it was made, for its event.
    pub(super) fn outcome(&self) -> Result<(), Refusal> {
        match self {
            Self::Done(_) => Ok(()),
            Self::Refused(refusal) | Self::NotConfirmed(refusal) => Err(refusal.clone()),
        }
    }
}

impl<T> From<Result<T, Refusal>> for Change<T> {
    fn from(result: Result<T, Refusal>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}

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
        prescriber: PersonId,
        token: TokenId,
        form: RenameForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let policy = self.options.policy;
        let session_id = session.id;
        let practice = session.practice;
        self.decide("rename_token", prescriber, session.id, at.now, move |account, tx| {
            let needed = account.needs_step_up(&policy, at.now);
            let vouched =
                step_up(account, tx, needed, form.confirm.as_ref(), None, session_id, at, &policy)?;
            let change = match vouched {
                Err(refusal) => Change::NotConfirmed(refusal),
                Ok(()) => match account.token(token) {
                    None => Change::Refused(Refusal::TokenNotActive),
                    Some((token, _)) => {
                        token.rename(form.name.clone());
                        Change::Done(())
                    }
                },
            };
            let event = Event::of(
                EventKind::TokenRenamed,
                Actor::Person(prescriber),
                &change.outcome(),
                at.support,
            )
            .about(practice, prescriber)
            .token(theirs(account, token));
            Ok((Ok(change), event))
        })
        .await
    }

    /// Tests a token: a right code is used up, a wrong one counts for the day of its owner and not for the
    /// token. Ten in ten minutes.
    pub async fn test(
        &self,
        session: &Session,
        prescriber: PersonId,
        token: TokenId,
        code: OneTimePasscode,
        at: At,
    ) -> Result<(), Error> {
        let policy = self.options.policy;
        let by = By { session, prescriber };
        let allowed = self.count_test(prescriber, at);
        self.change_token(EventKind::TokenTested, &by, token, None, at, move |token, owner, _| {
            if !allowed {
                return Err(Refusal::TooManyTests);
            }
            test_token(token, owner, &code, at.now, &policy).map(drop)
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

    /// Records that a person has seen the device which a token lives on. `false` if there is no such
    /// token.
    pub async fn attest_device(
        &self,
        credential: CredentialId,
        class: DeviceClass,
        by: String,
        at: At,
    ) -> Result<bool, Error> {
        let done = self
            .store
            .write("attest_device", move |tx| {
                let Some(TokenRow { token, .. }) = tx.token_by_credential(&credential)? else {
                    return Ok(false);
                };
                let device = Device { class, evidence: DeviceEvidence::Attested, ..token.device() };
                tx.save_device(token.id(), &device)?;
                let was = token.device();
                let detail = format!(
                    "{} by {by}; was {}, {}",
                    class.code(),
                    was.class.code(),
                    was.evidence.code()
                );
                let mut event =
                    Event::success(EventKind::DeviceAttested, Actor::Operator, at.support)
                        .token(token.id())
                        .detail(&detail);
                event.practice = token.practice();
                event.prescriber = token.prescriber();
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }
}

/// The id, if the token is the prescriber's own: an event never names somebody else's.
fn theirs(account: &Account, id: TokenId) -> Option<TokenId> {
    account.tokens.iter().any(|token| token.id() == id).then_some(id)
}

/// Where a fresh passcode is needed, checks the one given, and renews the session by it.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a fact of the request; a struct would only rename them"
)]
pub(super) fn step_up(
    account: &mut Account,
    tx: &mut Tx<'_>,
    needed: bool,
    confirm: Option<&Confirm>,
    new: Option<TokenId>,
    session: countersign_domain::SessionRowId,
    at: At,
    policy: &countersign_domain::Policy,
) -> Result<Result<(), Refusal>, countersign_store::Error> {
    if !needed {
        return Ok(Ok(()));
    }
    let Some(confirm) = confirm else { return Ok(Err(Refusal::StepUpNeeded)) };
    if new.is_some_and(|id| confirm.chosen == Chosen::Token(id)) {
        return Ok(Err(Refusal::SelfVouching));
    }
    let result = verify(account, confirm.chosen, &confirm.code, at, policy);
    if let Some(owner) =
        account.tokens.first().and_then(|token| token.prescriber().zip(token.practice()))
    {
        let event =
            passcode_event(&result, owner.0, owner.1, confirm.chosen, Purpose::ManageTokens, at);
        record(tx, &account.noted_browser(event, at), at.now)?;
    }
    if result.is_ok() {
        tx.renew_passcode(session, at.now)?;
    }
    Ok(result.map(drop))
}
