//! Tokens for clients of the VIP Access protocol.

use countersign_crypto::{HmacAlgorithm, Rng};
use countersign_domain::{
    Actor, CredentialId, Device, Event, EventKind, Manufacturer, ModelCode, ProvisionedToken,
    Refusal, Timestamp, Token, TokenId, check_unauthenticated,
    otp::{OtpParams, Step, TokenSeed},
    sync_unauthenticated,
};
use countersign_provision::vip::{
    CheckForm, FIRST_COUNTER, SyncForm, TokenModel, VipCredentialId, VipKeys,
};
use countersign_store::{Error as StoreError, TokenRow, Tx};

use super::{App, At, Error, log, provision::MOST_UNASSOCIATED, record};
use crate::ProvisionRefusal;

/// Tries to draw an ID that nobody has yet.
const DRAWS: usize = 20;

/// What the operator chose for the VIP Access protocol.
#[derive(Debug)]
pub struct Vip {
    /// Where it is served, without a slash at the end: `/vip`.
    pub path: String,
    /// The keys that server and clients share.
    pub keys: VipKeys,
    /// How far a client's clock may be off.
    pub clock_tolerance_seconds: i64,
}

/// A token as it is handed to the client that asked for it, once.
pub struct VipProvisioned {
    /// What the client shows, and the person types at the portal.
    pub credential: VipCredentialId,
    /// The shared secret.
    pub seed: TokenSeed,
    /// When it is discarded if nobody adds it.
    pub expires: Timestamp,
}

/// What became of a check or a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VipOutcome {
    /// The codes were right; they are used up.
    Done,
    /// They were not, and the token waits to be added: to say that it is there harms nobody.
    OutOfStep,
    /// They were not, or the token is paused or off.
    Refused,
    /// No token that is served here has this ID.
    NoToken,
}

impl App {
    /// The generator of the FIPS module.
    pub fn generator(&self) -> Box<dyn Rng> {
        (self.rng)()
    }

    /// Makes a soft token of one of the protocol's models, which belongs to nobody yet.
    pub async fn provision_vip(
        &self,
        model: TokenModel,
        at: At,
    ) -> Result<Result<VipProvisioned, ProvisionRefusal>, Error> {
        if !self.options.manufacturers.contains(&Manufacturer::Symantec) {
            return Ok(Err(ProvisionRefusal::NotOffered));
        }
        let expires = at.now.plus_seconds(self.options.policy.unassociated_seconds);
        let made = self
            .store
            .write("provision_vip", move |tx| {
                if tx.unassociated_tokens()? >= MOST_UNASSOCIATED {
                    return Ok(Err(ProvisionRefusal::Full));
                }
                for _ in 0..DRAWS {
                    let token = new_token(model, expires, at.now, tx.rng())?;
                    if !tx.create_token(&token)? {
                        continue;
                    }
                    let event =
                        Event::success(EventKind::TokenProvisioned, Actor::Unknown, at.support)
                            .token(token.id())
                            .detail(&token.credential().masked());
                    tx.append(&event, at.now)?;
                    let credential =
                        token.credential().as_str().parse().map_err(|_| StoreError::Crypto)?;
                    return Ok(Ok(VipProvisioned {
                        credential,
                        seed: token.seed().clone(),
                        expires,
                    }));
                }
                Ok(Err(ProvisionRefusal::Full))
            })
            .await?;
        Ok(made)
    }

    /// "Is this credential in order?" A right code is used up, a wrong one counts nowhere.
    pub async fn check_vip(&self, form: CheckForm, at: At) -> Result<VipOutcome, Error> {
        let policy = self.options.policy;
        let credential = form.credential.clone();
        self.unauthenticated(EventKind::TokenTested, &credential, at, move |token| {
            check_unauthenticated(token, &form.passcode, at.now, &policy)
        })
        .await
    }

    /// "Bring this credential into step." Right codes are used up, wrong ones count nowhere.
    pub async fn sync_vip(&self, form: SyncForm, at: At) -> Result<VipOutcome, Error> {
        let policy = self.options.policy;
        let credential = form.credential.clone();
        self.unauthenticated(EventKind::TokenResynced, &credential, at, move |token| {
            sync_unauthenticated(token, &form.first, &form.second, at.now, &policy)
        })
        .await
    }

    async fn unauthenticated<F>(
        &self,
        kind: EventKind,
        credential: &VipCredentialId,
        at: At,
        mut decision: F,
    ) -> Result<VipOutcome, Error>
    where
        F: FnMut(&mut Token) -> Result<Step, Refusal> + Send + 'static,
    {
        let Ok(wanted) = CredentialId::parse(credential.as_str(), Some(Manufacturer::Symantec))
        else {
            return Ok(VipOutcome::NoToken);
        };
        let in_doubt = self.in_doubt.clone();
        let (watch, consumed) = self.in_doubt.watch();
        let result = self
            .store
            .write(kind.code(), move |tx| {
                consumed.set(std::iter::empty());
                let Some(TokenRow { mut token, mark, .. }) = tx.token_by_credential(&wanted)?
                else {
                    return Ok(None);
                };
                let waits = token.prescriber().is_none();
                if !waits && token.model().as_str() != ModelCode::VIP_ACCESS {
                    return Ok(None);
                }
                in_doubt.apply(std::iter::once(&mut token));
                let answer = decision(&mut token);
                if let Ok(step) = &answer {
                    consumed.set(std::iter::once((token.id(), *step)));
                    tx.save_token(&token, mark)?;
                }
                let mut event = Event::of(kind, Actor::Unknown, &answer, at.support)
                    .token(token.id())
                    .detail("asked without a login, by the VIP Access protocol");
                event.practice = token.practice();
                event.prescriber = token.prescriber();
                record(tx, &event, at.now)?;
                let outcome = match answer {
                    Ok(_) => VipOutcome::Done,
                    Err(Refusal::UnknownCredential) => VipOutcome::NoToken,
                    Err(Refusal::TokenBlocked(_) | Refusal::TokenNotActive) => VipOutcome::Refused,
                    Err(_) if waits => VipOutcome::OutOfStep,
                    Err(_) => VipOutcome::Refused,
                };
                Ok(Some((outcome, event)))
            })
            .await;
        watch.settle(&result);
        let Some((outcome, event)) = result? else { return Ok(VipOutcome::NoToken) };
        log(&event);
        Ok(outcome)
    }
}

fn new_token(
    model: TokenModel,
    expires: Timestamp,
    now: Timestamp,
    rng: &mut dyn Rng,
) -> Result<Token, StoreError> {
    const ALGORITHM: HmacAlgorithm = HmacAlgorithm::Sha1;
    // The counter of the first code is agreed, so all before it count as used.
    let (params, last_step) = if model.is_event_based() {
        (OtpParams::event_based(ALGORITHM, 6), Some(Step::new(FIRST_COUNTER - 1)))
    } else {
        (OtpParams::new(ALGORITHM, 6, 30), None)
    };
    let mut token = Token::provisioned(ProvisionedToken {
        id: TokenId::new(now, rng)?,
        credential: CredentialId::random_with_prefix(model.code(), rng)?
            .ok_or(StoreError::Crypto)?,
        params: params.map_err(|_| StoreError::Crypto)?,
        seed: TokenSeed::generate(ALGORITHM, rng)?,
        expires,
        created: now,
        device: Device::default(),
        model: ModelCode::known(ModelCode::VIP_ACCESS),
    })
    .map_err(|_| Tx::broken("no token has these parts"))?;
    if let Some(step) = last_step {
        token.consume(step);
    }
    Ok(token)
}
