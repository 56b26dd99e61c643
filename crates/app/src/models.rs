//! Which models of tokens may sign, and the hand-over of a seed to an app of another maker.

use countersign_crypto::HmacAlgorithm;
use countersign_domain::{
    Actor, CredentialId, Device, Event, EventKind, ModelCode, PersonId, ProvisionedToken, Purpose,
    Refusal, Token, TokenId, TokenKind, TokenModel,
    otp::{OtpParams, TokenSeed},
};
use countersign_store::{Session, Tx};

use super::{App, At, Change, Confirm, Error, tokens::step_up};

/// Most tokens that may wait to be added, whoever made them.
const MOST_WAITING: i64 = 10_000;

/// What the form that hands a seed over sends.
#[derive(Debug, Clone)]
pub struct HandOverForm {
    /// The identifier of the token to be made, drawn when the form was shown. The same form sent
    /// twice finds the token there, and shows nothing.
    pub id: TokenId,
    /// A fresh passcode of an active token, where one is asked for.
    pub confirm: Option<Confirm>,
}

/// A new token whose seed is shown once.
#[derive(Debug)]
pub struct HandedOver {
    /// Its credential ID.
    pub credential: CredentialId,
    /// The shared secret.
    pub seed: TokenSeed,
    /// Hash, digits and period.
    pub params: OtpParams,
}

impl App {
    /// The models that the operator has judged, by code.
    pub async fn models(&self) -> Result<Vec<TokenModel>, Error> {
        Ok(self.store.read("models", |tx| tx.token_models()).await?)
    }

    /// Writes what the operator says of a model; the record keeps what was said before.
    pub async fn set_model(&self, model: TokenModel, at: At) -> Result<(), Error> {
        self.store
            .write("set_model", move |tx| {
                let before = tx.token_model(&model.code)?;
                let model = TokenModel { changed: at.now, ..model.clone() };
                tx.save_token_model(&model)?;
                let event = Event::success(EventKind::ModelChanged, Actor::Operator, at.support)
                    .detail(&model.change_from(before.as_ref()));
                tx.append(&event, at.now)
            })
            .await?;
        Ok(())
    }

    /// An identifier for [`HandOverForm`].
    pub fn draw_token_id(&self, at: At) -> Result<TokenId, Error> {
        Ok(TokenId::new(at.now, (self.rng)().as_mut())?)
    }

    /// Makes a token for an app of another maker and gives its seed out, once. From then on nobody
    /// knows how many copies of the seed there are, and the token says so for good.
    pub async fn hand_over(
        &self,
        session: &Session,
        prescriber: PersonId,
        form: HandOverForm,
        at: At,
    ) -> Result<Change<HandedOver>, Error> {
        let policy = self.options.policy;
        if !policy.otpauth {
            return Err(Error::NotFound);
        }
        let (session_id, practice) = (session.id, session.practice);
        self.decide("hand_over", prescriber, session.id, at.now, move |account, tx| {
            let needed = account.needs_step_up(&policy, at.now);
            let confirm = form.confirm.as_ref();
            let vouched = step_up(account, tx, needed, confirm, None, session_id, at, &policy)?;
            let work = || -> Result<Change<HandedOver>, countersign_store::Error> {
                if let Err(refusal) = vouched {
                    return Ok(Change::NotConfirmed(refusal));
                }
                if account.active() == 0 {
                    return Ok(Change::NotConfirmed(Refusal::NoUsableToken));
                }
                let most = policy.max_active_tokens;
                if account.active() >= most {
                    return Ok(Change::Refused(Refusal::TokenLimit { most }));
                }
                let model = ModelCode::known(ModelCode::OTHER);
                if !tx.signing_models()?.allow(&model) {
                    return Ok(Change::Refused(Refusal::ModelNotAllowed));
                }
                if tx.token_exists(form.id)? {
                    return Ok(Change::Refused(Refusal::ShownBefore));
                }
                if tx.unassociated_tokens()? >= MOST_WAITING {
                    return Ok(Change::Refused(Refusal::TooManyWaiting));
                }
                // SHA-1: many apps know nothing else, and say so only by wrong codes.
                let params = OtpParams::new(HmacAlgorithm::Sha1, 6, 30)
                    .map_err(|_| countersign_store::Error::Crypto)?;
                // IDs are drawn at random; one that is taken is drawn again.
                let mut draws = 1;
                let token = loop {
                    let mut token = Token::provisioned(ProvisionedToken {
                        id: form.id,
                        credential: CredentialId::random(TokenKind::OtpSoft, tx.rng())?,
                        params,
                        seed: TokenSeed::generate(params.algorithm(), tx.rng())?,
                        expires: at.now.plus_seconds(policy.unassociated_seconds),
                        created: at.now,
                        device: Device::default(),
                        model: model.clone(),
                    })
                    .map_err(|_| Tx::broken("no token has these parts"))?;
                    token.seed_handed_over(at.now);
                    if tx.create_token(&token)? {
                        break token;
                    }
                    if draws == 20 {
                        return Ok(Change::Refused(Refusal::TooManyWaiting));
                    }
                    draws += 1;
                };
                let (credential, seed) = (token.credential().clone(), token.seed().clone());
                Ok(Change::Done(HandedOver { credential, seed, params }))
            };
            let change = work()?;
            let mut event = Event::of(
                EventKind::SeedHandedOver,
                Actor::Person(prescriber),
                &change.outcome(),
                at.support,
            )
            .about(practice, prescriber)
            .purpose(Purpose::AddToken);
            if let Change::Done(made) = &change {
                event = event.token(form.id).detail(&made.credential.masked());
            }
            Ok((Ok(change), event))
        })
        .await
    }
}
