//! Tokens for clients of the VIP Access protocol.

use countersign_crypto::{HmacAlgorithm, Rng};
use countersign_domain::{
    CredentialId, Device, Manufacturer, ModelCode, ProvisionedToken, Refusal, Timestamp, Token,
    TokenId, check_unauthenticated,
    command::{Command, commands},
    otp::{OtpParams, Step, TokenSeed},
    sync_unauthenticated,
};
use countersign_provision::vip::{
    CheckForm, FIRST_COUNTER, SyncForm, TokenModel, VipCredentialId, VipKeys,
};
use countersign_store::{Error as StoreError, TokenRow, Tx};

use super::{
    Answer, App, At, Error, RefusalCode,
    command::{Caller, Decision},
    provision::must_have_room,
};
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

/// Why codes are not taken, and whether the token waits to be added.
struct VipRefusal {
    refusal: Refusal,
    waits: bool,
}

impl RefusalCode for VipRefusal {
    fn refusal_code(&self) -> &'static str {
        self.refusal.code()
    }
}

impl From<VipRefusal> for VipOutcome {
    fn from(VipRefusal { refusal, waits }: VipRefusal) -> Self {
        match refusal {
            Refusal::UnknownCredential => Self::NoToken,
            Refusal::TokenBlocked(_) | Refusal::TokenNotActive => Self::Refused,
            _ if waits => Self::OutOfStep,
            _ => Self::Refused,
        }
    }
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
    ) -> Result<Answer<VipProvisioned, ProvisionRefusal>, Error> {
        if !self.options.manufacturers.contains(&Manufacturer::Symantec) {
            return Ok(Answer::Refused(ProvisionRefusal::NotOffered));
        }
        // Looked at before anything is written: what a stranger is refused is put on record by `note_refusal`, which has
        // a limit.
        if let Err(refusal) = self.store.read("before_provisioning", must_have_room).await? {
            return Ok(Answer::Refused(refusal));
        }
        let expires = at.now.plus_seconds(self.options.policy.unassociated_seconds);
        self.run(commands::PROVISION_TOKEN, Caller::Anybody, at, move |cx| {
            if let Err(refusal) = must_have_room(cx.tx)? {
                return Ok(Decision::Refused(refusal));
            }
            for _ in 0..DRAWS {
                let token = new_token(model, expires, at.now, cx.tx.rng())?;
                if !cx.tx.create_token(&token)? {
                    continue;
                }
                cx.about_token(token.id());
                cx.detail(&token.credential().masked());
                let credential =
                    token.credential().as_str().parse().map_err(|_| StoreError::Crypto)?;
                let seed = token.seed().clone();
                return Ok(Decision::Done(VipProvisioned { credential, seed, expires }));
            }
            Ok(Decision::Refused(ProvisionRefusal::Full))
        })
        .await
    }

    /// "Is this credential in order?" A right code is used up, a wrong one counts nowhere.
    pub async fn check_vip(&self, form: CheckForm, at: At) -> Result<VipOutcome, Error> {
        let policy = self.options.policy;
        let credential = form.credential.clone();
        self.unauthenticated(commands::CHECK_UNAUTHENTICATED, &credential, at, move |token| {
            check_unauthenticated(token, &form.passcode, at.now, &policy)
        })
        .await
    }

    /// "Bring this credential into step." Right codes are used up, wrong ones count nowhere.
    pub async fn sync_vip(&self, form: SyncForm, at: At) -> Result<VipOutcome, Error> {
        let policy = self.options.policy;
        let credential = form.credential.clone();
        self.unauthenticated(commands::RESYNC_UNAUTHENTICATED, &credential, at, move |token| {
            sync_unauthenticated(token, &form.first, &form.second, at.now, &policy)
        })
        .await
    }

    async fn unauthenticated<F>(
        &self,
        command: Command,
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
        // Looked at before anything is written: an ID that nobody has is put on record by `note_refusal`, which has a
        // limit.
        let sought = wanted.clone();
        let there = self.store.read("vip_token", move |tx| Ok(served(tx, &sought)?.is_some()));
        if !there.await? {
            return Ok(VipOutcome::NoToken);
        }
        let done = self.run(command, Caller::Anybody, at, move |cx| {
            let Some(TokenRow { mut token, mark, .. }) = served(cx.tx, &wanted)? else {
                return Ok(Decision::NotFound);
            };
            cx.about_token(token.id());
            cx.detail("asked without a login, by the VIP Access protocol");
            (cx.event.practice, cx.event.prescriber) = (token.practice(), token.prescriber());
            let waits = token.prescriber().is_none();
            cx.apply_in_doubt(&mut token);
            match decision(&mut token) {
                Ok(step) => {
                    cx.note_consumed(token.id(), step);
                    cx.tx.save_token(&token, mark)?;
                    Ok(Decision::Done(()))
                }
                Err(refusal) => Ok(Decision::Refused(VipRefusal { refusal, waits })),
            }
        });
        match done.await {
            Ok(Answer::Done(())) => Ok(VipOutcome::Done),
            Ok(Answer::Refused(refusal)) => Ok(refusal.into()),
            Ok(Answer::NotConfirmed(_)) => Ok(VipOutcome::Refused),
            Err(Error::NotFound) => Ok(VipOutcome::NoToken),
            Err(error) => Err(error),
        }
    }
}

/// The token with this ID, where clients without a login are answered about it: it waits to be added, or is of a model
/// whose clients ask that way.
fn served(tx: &mut Tx<'_>, wanted: &CredentialId) -> Result<Option<TokenRow>, StoreError> {
    let found = tx.token_by_credential(wanted)?;
    Ok(found.filter(|TokenRow { token, .. }| {
        token.prescriber().is_none() || token.model().as_str() == ModelCode::VIP_ACCESS
    }))
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
