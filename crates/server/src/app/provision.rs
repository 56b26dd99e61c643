use countersign_domain::{
    Actor, CredentialId, Device, Event, EventKind, Failures, Manufacturer, ModelCode, Timestamp,
    Token, TokenId, TokenKind, TokenState,
    otp::{Drift, OtpParams, TokenSeed},
};

use super::{App, At, Error};

/// Most tokens that may wait to be added; beyond it the endpoint refuses until some run out.
const MOST_UNASSOCIATED: i64 = 10_000;

/// A token as it is handed to the device that asked for it, once.
pub struct Provisioned {
    /// What the person types at the portal.
    pub credential: CredentialId,
    /// The shared secret.
    pub seed: TokenSeed,
    /// Hash, digits and period.
    pub params: OtpParams,
    /// When it is discarded if nobody adds it.
    pub expires: Timestamp,
}

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvisionRefusal {
    /// The manufacturer is not switched on here.
    NotOffered,
    /// Too many wait already.
    Full,
}

impl App {
    /// Makes a soft token that belongs to nobody yet. The built-in authority serves it.
    pub async fn provision(
        &self,
        maker: Manufacturer,
        at: At,
    ) -> Result<Result<Provisioned, ProvisionRefusal>, Error> {
        let offered = self.options.manufacturers.contains(&maker)
            && matches!(maker, Manufacturer::Countersign | Manufacturer::Symantec);
        if !offered {
            return Ok(Err(ProvisionRefusal::NotOffered));
        }
        // A vendor's ID comes with what that vendor's app can do: SHA-1 (RFC 6238 default).
        let params = match maker {
            Manufacturer::Countersign => OtpParams::OWN,
            _ => OtpParams::new(countersign_crypto::HmacAlgorithm::Sha1, 6, 30)
                .map_err(|_| Error::Internal(countersign_store::Error::Crypto))?,
        };
        let prefix = self.options.symantec_prefix.clone();
        let expires = at.now.plus_seconds(self.options.policy.unassociated_seconds);
        let made = self
            .store
            .write("provision", move |tx| {
                if tx.unassociated_tokens()? >= MOST_UNASSOCIATED {
                    return Ok(Err(ProvisionRefusal::Full));
                }
                // IDs are drawn at random; one that is taken is drawn again.
                for _ in 0..20 {
                    let credential = match maker {
                        Manufacturer::Symantec => {
                            CredentialId::random_with_prefix(&prefix, tx.rng())?
                        }
                        _ => Some(CredentialId::random(TokenKind::OtpSoft, tx.rng())?),
                    };
                    let Some(credential) = credential else {
                        return Ok(Err(ProvisionRefusal::NotOffered));
                    };
                    let token = Token {
                        id: TokenId::new(at.now, tx.rng())?,
                        practice: None,
                        prescriber: None,
                        name: "new".parse().map_err(|_| countersign_store::Error::Crypto)?,
                        params,
                        seed: TokenSeed::generate(params.algorithm(), tx.rng())?,
                        state: TokenState::Unassociated { expires },
                        last_step: None,
                        drift: Drift::default(),
                        failures: Failures::NONE,
                        created: at.now,
                        added: None,
                        last_used: None,
                        device: Device::default(),
                        model: ModelCode::known(match maker {
                            Manufacturer::Symantec => ModelCode::VIP_ACCESS,
                            _ => ModelCode::AUTHENTICATOR,
                        }),
                        seed_left: None,
                        credential,
                    };
                    if tx.create_token(&token)? {
                        let event =
                            Event::success(EventKind::TokenProvisioned, Actor::Unknown, at.support)
                                .token(token.id)
                                .detail(&token.credential.masked());
                        tx.append(&event, at.now)?;
                        return Ok(Ok(Provisioned {
                            credential: token.credential,
                            seed: token.seed,
                            params,
                            expires,
                        }));
                    }
                }
                Ok(Err(ProvisionRefusal::Full))
            })
            .await?;
        Ok(made)
    }
}
