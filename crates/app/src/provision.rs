use countersign_crypto::Rng;
use countersign_domain::{
    CredentialId, Device, ModelCode, PersonId, PracticeId, ProvisionedToken, Timestamp, Token,
    TokenId, TokenKind,
    command::commands,
    otp::{OtpParams, TokenSeed},
};
use countersign_provision::native::{
    Answer as DeviceAnswer, Family, ProvisionRequest, SeedAlgorithm,
};
use countersign_store::Tx;

use super::{
    Answer, App, At, Error, RefusalCode,
    command::{Caller, Decision},
};

/// Most tokens that may wait to be added; beyond it the endpoints refuse until some run out.
const MOST_UNASSOCIATED: i64 = 10_000;
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

impl RefusalCode for ProvisionRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::NotOffered => "family_not_offered",
            Self::AlgorithmNotOffered => "algorithm_not_offered",
            Self::PairingUnknown => "pairing_unknown",
            Self::Full => "provisioning_full",
        }
    }
}

/// A token that is about to be made, but for its ID and its seed.
struct Draft {
    params: OtpParams,
    device: Device,
    model: ModelCode,
    expires: Timestamp,
    /// More for the reader of the event.
    how: Option<&'static str>,
}

/// A practice, and whoever started a pairing there.
type Owner = (PracticeId, PersonId);

type Stored<T> = Result<T, countersign_store::Error>;

impl App {
    /// Makes a soft token that belongs to nobody yet; its seed is agreed with the device (native
    /// protocol, `docs/provisioning.md`).
    pub async fn provision(
        &self,
        request: ProvisionRequest,
        at: At,
    ) -> Result<Answer<DeviceAnswer, ProvisionRefusal>, Error> {
        if !self.options.manufacturers.contains(&request.family.manufacturer()) {
            return Ok(Answer::Refused(ProvisionRefusal::NotOffered));
        }
        // A vendor's ID comes with what that vendor's app can do.
        if request.family == Family::Symantec && request.algorithm != SeedAlgorithm::Sha1 {
            return Ok(Answer::Refused(ProvisionRefusal::AlgorithmNotOffered));
        }
        let pairing = request.pairing_code.as_ref().map(|code| code.digest());
        // Looked at before anything is written: what a stranger is refused is put on record by `note_refusal`, which has
        // a limit.
        let early = self.store.read("before_provisioning", move |tx| owner_of(tx, pairing, at.now));
        if let Err(refusal) = early.await? {
            return Ok(Answer::Refused(refusal));
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
            return Ok(Answer::Refused(ProvisionRefusal::NotOffered));
        };
        let ready = agree(&request, &first)?;
        self.run(commands::PROVISION_TOKEN, Caller::Anybody, at, move |cx| {
            let owner = match owner_of(cx.tx, pairing, at.now)? {
                Ok(owner) => owner,
                Err(refusal) => return Ok(Decision::Refused(refusal)),
            };
            if let Some((practice, person)) = owner {
                // Who started the pairing sees in the history that a device has used it.
                cx.event = cx.event.clone().about(practice, person);
            }
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
            let token = match make_token(cx.tx, &draft, at, make)? {
                Ok(token) => token,
                Err(refusal) => return Ok(Decision::Refused(refusal)),
            };
            if let Some(digest) = &pairing {
                cx.tx.use_pairing(digest, token.id(), at.now)?;
            }
            let masked = token.credential().masked();
            cx.about_token(token.id());
            cx.detail(&draft.how.map_or_else(|| masked.clone(), |how| format!("{masked}, {how}")));
            let answer = answer.ok_or_else(|| Tx::broken("a token without an answer"))?;
            Ok(Decision::Done(answer))
        })
        .await
    }
}

/// Who started the pairing with this digest, where one is given; why no token is made, where none may be.
fn owner_of(
    tx: &mut Tx<'_>,
    pairing: Option<[u8; 32]>,
    now: Timestamp,
) -> Stored<Result<Option<Owner>, ProvisionRefusal>> {
    let owner = match pairing {
        Some(digest) => match tx.open_pairing(&digest, now)? {
            Some(owner) => Some(owner),
            None => return Ok(Err(ProvisionRefusal::PairingUnknown)),
        },
        None => None,
    };
    Ok(must_have_room(tx)?.map(|()| owner))
}

/// Whether fewer tokens wait to be added than may.
pub(super) fn must_have_room(tx: &mut Tx<'_>) -> Stored<Result<(), ProvisionRefusal>> {
    let room = tx.unassociated_tokens()? < MOST_UNASSOCIATED;
    Ok(room.then_some(()).ok_or(ProvisionRefusal::Full))
}

/// Makes a token that nobody has added; `make` draws an ID and makes the seed that goes with it.
fn make_token(
    tx: &mut Tx<'_>,
    draft: &Draft,
    at: At,
    mut make: impl FnMut(&mut Tx<'_>) -> Stored<Option<(CredentialId, TokenSeed)>>,
) -> Stored<Result<Token, ProvisionRefusal>> {
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
            return Ok(Ok(token));
        }
    }
    Ok(Err(ProvisionRefusal::Full))
}
