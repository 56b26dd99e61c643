//! A practice with many people.

use countersign_crypto::sha256;
use countersign_domain::{
    CredentialId, Device, ModelCode, PassphraseHash, PersonId, PracticeId, ProvisionedToken,
    Timestamp, Token, TokenId, TokenKind, TokenParts,
    otp::{OtpParams, TokenSeed},
};
use countersign_store::Store;

use crate::{Phone, models::allow_models, npi, people::HASH};

/// A practice with many prescribers of one token each, made past the server: for floods.
pub async fn fill(store: &Store, tokens: u32, key: &str, now: Timestamp) -> Vec<Phone> {
    let hash = PassphraseHash::from_row(HASH).unwrap();
    let key_hash = sha256(key.as_bytes());
    store
        .write("test_fill", move |tx| {
            let practice = PracticeId::new(now, tx.rng())?;
            tx.create_practice(practice, "Flood", now)?;
            allow_models(tx, now)?;
            let key = countersign_store::ApiKey {
                id: countersign_domain::ApiKeyId::new(now, tx.rng())?,
                practice,
            };
            tx.create_api_key(&key, "flood", &key_hash, now)?;
            let mut phones = Vec::new();
            for number in 0..tokens {
                let prescriber = PersonId::new(now, tx.rng())?;
                tx.create_prescriber(
                    prescriber,
                    practice,
                    npi(50_000 + number),
                    "Dr. Flood",
                    &hash,
                    now,
                )?;
                let mut token = Token::provisioned(ProvisionedToken {
                    id: TokenId::new(now, tx.rng())?,
                    credential: CredentialId::random(TokenKind::OtpSoft, tx.rng())?,
                    params: OtpParams::OWN,
                    seed: TokenSeed::generate(OtpParams::OWN.algorithm(), tx.rng())?,
                    expires: now.plus_seconds(1),
                    created: now,
                    device: Device::default(),
                    model: ModelCode::known(ModelCode::AUTHENTICATOR),
                })
                .unwrap();
                token.bind(practice, prescriber, "flood".parse().unwrap(), now).unwrap();
                token.activate(now).unwrap();
                let mut parts = TokenParts::from(token);
                parts.sign_until = Some(now.plus_seconds(365 * 86_400));
                let token = Token::from_parts(parts).unwrap();
                assert!(tx.create_token(&token)?, "an ID came twice");
                phones.push(Phone::new(
                    token.credential().clone(),
                    token.seed().clone(),
                    token.params(),
                ));
            }
            Ok(phones)
        })
        .await
        .unwrap()
}
