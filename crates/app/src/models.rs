//! Which models of tokens may sign, and the hand-over of a seed to an app of another maker.

use countersign_crypto::HmacAlgorithm;
use countersign_domain::{
    CredentialId, Device, ModelCode, ProvisionedToken, Purpose, Refusal, Token, TokenId, TokenKind,
    TokenModel,
    command::commands,
    otp::{OtpParams, TokenSeed},
};
use countersign_store::{Session, Tx};

use super::{
    Answer, App, At, Confirm, Error,
    command::{Caller, Decision},
};

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
        self.run(commands::SET_MODEL, Caller::Operator, at, move |cx| {
            let before = cx.tx.token_model(&model.code)?;
            let model = TokenModel { changed: at.now, ..model.clone() };
            cx.tx.save_token_model(&model)?;
            cx.detail(&model.change_from(before.as_ref()));
            Ok(Decision::Done(()))
        })
        .await?
        .certain()
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
        form: HandOverForm,
        at: At,
    ) -> Result<Answer<HandedOver, Refusal>, Error> {
        let policy = self.options.policy;
        if !policy.otpauth {
            return Err(Error::NotFound);
        }
        let caller = Caller::confirmed(session, form.confirm.clone());
        self.run(commands::EXPORT_SEED, caller, at, move |cx| {
            cx.event.purpose = Some(Purpose::AddToken);
            let policy = cx.policy;
            let (account, tx) = cx.account()?;
            if account.active() == 0 {
                return Ok(Decision::NotConfirmed(Refusal::NoUsableToken));
            }
            let most = policy.max_active_tokens;
            if account.active() >= most {
                return Ok(Decision::Refused(Refusal::TokenLimit { most }));
            }
            let model = ModelCode::known(ModelCode::OTHER);
            if !tx.signing_models()?.allow(&model) {
                return Ok(Decision::Refused(Refusal::ModelNotAllowed));
            }
            if tx.token_exists(form.id)? {
                return Ok(Decision::Refused(Refusal::ShownBefore));
            }
            if tx.unassociated_tokens()? >= MOST_WAITING {
                return Ok(Decision::Refused(Refusal::TooManyWaiting));
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
                    return Ok(Decision::Refused(Refusal::TooManyWaiting));
                }
                draws += 1;
            };
            let (credential, seed) = (token.credential().clone(), token.seed().clone());
            cx.about_token(form.id);
            cx.detail(&credential.masked());
            Ok(Decision::Done(HandedOver { credential, seed, params }))
        })
        .await
    }
}
