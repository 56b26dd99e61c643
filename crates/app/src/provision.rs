use countersign_crypto::Rng;
use countersign_domain::{
    Actor, CredentialId, Device, Event, EventKind, ModelCode, PersonId, PracticeId,
    ProvisionedToken, Timestamp, Token, TokenId, TokenKind,
    otp::{OtpParams, TokenSeed},
};
use countersign_provision::native::{Answer, Family, ProvisionRequest, SeedAlgorithm};
use countersign_store::Tx;

use super::{App, At, Error};

/// Most tokens that may wait to be added; beyond it the endpoints refuse until some run out.
pub(super) const MOST_UNASSOCIATED: i64 = 10_000;
/// An ID that is taken is drawn again, so often.
const DRAWS: u32 = 20;

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvisionRefusal {
    /// The family is not switched on here.
    NotOffered,
    /// The family's tokens have another algorithm.
    AlgorithmNotOffered,
    /// No such pairing: unknown, used or too old; never says which.
    PairingUnknown,
    /// Too many wait already.
    Full,
}

/// A token that is about to be made, but for its ID and its seed.
pub(super) struct Draft {
    pub(super) params: OtpParams,
    pub(super) device: Device,
    pub(super) model: ModelCode,
    pub(super) expires: Timestamp,
    /// More for the reader of the event.
    pub(super) how: Option<&'static str>,
}

impl App {
    /// Makes a soft token that belongs to nobody yet; its seed is agreed with the device (native
    /// protocol, `docs/provisioning.md`).
    pub async fn provision(
        &self,
        request: ProvisionRequest,
        at: At,
    ) -> Result<Result<Answer, ProvisionRefusal>, Error> {
        if !self.options.manufacturers.contains(&request.family.manufacturer()) {
            return Ok(Err(ProvisionRefusal::NotOffered));
        }
        // A vendor's ID comes with what that vendor's app can do.
        if request.family == Family::Symantec && request.algorithm != SeedAlgorithm::Sha1 {
            return Ok(Err(ProvisionRefusal::AlgorithmNotOffered));
        }
        let params = request
            .algorithm
            .params()
            .map_err(|_| Error::Internal(countersign_store::Error::Crypto))?;
        let (class, evidence) = (request.device_class, request.device_evidence);
        let paired = request.pairing_code.is_some();
        let expires = at.now.plus_seconds(self.options.policy.unassociated_seconds);
        let draft = Draft {
            params,
            device: Device { class, evidence, browser: at.browser },
            model: ModelCode::for_device(class),
            expires,
            how: paired.then_some("paired"),
        };
        let prefix = self.options.symantec_prefix.clone();
        let draw = move |rng: &mut dyn Rng| match request.family {
            Family::Symantec => CredentialId::random_with_prefix(&prefix, rng),
            Family::Countersign => CredentialId::random(TokenKind::OtpSoft, rng).map(Some),
        };
        let agree = move |request: &ProvisionRequest, credential: &CredentialId| {
            request
                .answer(credential.clone(), at.now, expires)
                .map_err(|_| countersign_store::Error::Crypto)
        };
        // Before the transaction, which others wait for: the agreement is the costly part.
        let Some(first) = draw((self.rng)().as_mut())? else {
            return Ok(Err(ProvisionRefusal::NotOffered));
        };
        let ready = agree(&request, &first)?;
        let made = self
            .store
            .write("provision", move |tx| {
                let pairing = request.pairing_code.as_ref().map(|code| code.digest());
                let owner = match &pairing {
                    Some(digest) => match tx.open_pairing(digest, at.now)? {
                        Some(owner) => Some(owner),
                        None => return Ok(Err(ProvisionRefusal::PairingUnknown)),
                    },
                    None => None,
                };
                let mut answer = None;
                let mut drawn = Some((first.clone(), ready.clone()));
                let make = |tx: &mut Tx<'_>| {
                    // An ID that is taken is drawn again, and agreed on anew.
                    let (credential, (given, seed)) = match drawn.take() {
                        Some(ready) => ready,
                        None => match draw(tx.rng())? {
                            Some(credential) => {
                                let agreed = agree(&request, &credential)?;
                                (credential, agreed)
                            }
                            None => return Ok(None),
                        },
                    };
                    answer = Some(given);
                    Ok(Some((credential, seed)))
                };
                let token = match make_token(tx, &draft, owner, at, make)? {
                    Ok(token) => token,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                if let Some(digest) = &pairing {
                    tx.use_pairing(digest, token, at.now)?;
                }
                Ok(answer.ok_or(ProvisionRefusal::Full))
            })
            .await?;
        Ok(made)
    }
}

/// Makes a token that nobody has added, with its event; `owner` is who paired it, `make` draws an ID
/// and makes the seed that goes with it.
pub(super) fn make_token(
    tx: &mut Tx<'_>,
    draft: &Draft,
    owner: Option<(PracticeId, PersonId)>,
    at: At,
    mut make: impl FnMut(
        &mut Tx<'_>,
    ) -> Result<Option<(CredentialId, TokenSeed)>, countersign_store::Error>,
) -> Result<Result<TokenId, ProvisionRefusal>, countersign_store::Error> {
    if tx.unassociated_tokens()? >= MOST_UNASSOCIATED {
        return Ok(Err(ProvisionRefusal::Full));
    }
    for _ in 0..DRAWS {
        let Some((credential, seed)) = make(tx)? else {
            return Ok(Err(ProvisionRefusal::NotOffered));
        };
        let token = Token::provisioned(ProvisionedToken {
            id: TokenId::new(at.now, tx.rng())?,
            credential,
            params: draft.params,
            seed,
            expires: draft.expires,
            created: at.now,
            device: draft.device,
            model: draft.model.clone(),
        })
        .map_err(|_| Tx::broken("no token has these parts"))?;
        if tx.create_token(&token)? {
            let masked = token.credential().masked();
            let detail = draft.how.map_or_else(|| masked.clone(), |how| format!("{masked}, {how}"));
            let mut event = Event::success(EventKind::TokenProvisioned, Actor::Unknown, at.support)
                .token(token.id())
                .detail(&detail);
            if let Some((practice, prescriber)) = owner {
                // Who started the pairing sees in the history that a device has used it.
                event = event.about(practice, prescriber);
            }
            tx.append(&event, at.now)?;
            return Ok(Ok(token.id()));
        }
    }
    Ok(Err(ProvisionRefusal::Full))
}
