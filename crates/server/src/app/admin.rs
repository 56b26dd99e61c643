use countersign_crypto::{random_array, sha256};
use countersign_domain::{
    Actor, ApiKeyId, CredentialId, EhrId, Event, EventKind, Failures, Npi, Passphrase,
    PassphraseHash, PracticeId, PrescriberId, StaffId, Token, TokenId, TokenKind, TokenName,
    TokenState,
    otp::{Drift, OtpParams, TokenSeed},
};
use countersign_store::{ApiKey, EhrRow, Identity, Staff};
use data_encoding::BASE64URL_NOPAD;

use super::{App, At, Error};

/// What somebody with a shell on the host can do.
impl App {
    /// Makes a practice.
    pub async fn create_practice(&self, name: String, at: At) -> Result<PracticeId, Error> {
        let made = self
            .store
            .write("create_practice", move |tx| {
                let id = PracticeId::new(at.now, tx.rng())?;
                tx.create_practice(id, &name, at.now)?;
                let mut event =
                    Event::success(EventKind::PracticeCreated, Actor::Operator, at.support)
                        .detail(&name);
                event.practice = Some(id);
                tx.append(&event, at.now)?;
                Ok(id)
            })
            .await?;
        Ok(made)
    }

    /// All practices, by name.
    pub async fn practices(&self) -> Result<Vec<(PracticeId, String)>, Error> {
        Ok(self.store.read("practices", |tx| tx.practices()).await?)
    }

    /// Makes a prescriber with a passphrase of their own. `None` when the NPI is taken.
    pub async fn create_prescriber(
        &self,
        practice: PracticeId,
        npi: Npi,
        name: String,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Option<PrescriberId>, Error> {
        let (iterations, rng) = (self.options.iterations, self.rng);
        let hash = self
            .hashing
            .reserve()?
            .run(move || PassphraseHash::create(&passphrase, iterations, rng().as_mut()))
            .await??;
        let made = self
            .store
            .write("create_prescriber", move |tx| {
                let id = PrescriberId::new(at.now, tx.rng())?;
                if !tx.create_prescriber(id, practice, npi, &name, &hash, at.now)? {
                    return Ok(None);
                }
                let event =
                    Event::success(EventKind::PrescriberCreated, Actor::Operator, at.support)
                        .about(practice, id)
                        .detail(&npi.masked());
                tx.append(&event, at.now)?;
                Ok(Some(id))
            })
            .await?;
        Ok(made)
    }

    /// Makes a member of staff. `None` when the EHR user name is taken in that practice.
    pub async fn create_staff(
        &self,
        practice: PracticeId,
        name: String,
        ehr_user: String,
        at: At,
    ) -> Result<Option<StaffId>, Error> {
        let made = self
            .store
            .write("create_staff", move |tx| {
                let id = StaffId::new(at.now, tx.rng())?;
                let staff = Staff { id, practice, name: name.clone() };
                if !tx.create_staff(&staff, &ehr_user, at.now)? {
                    return Ok(None);
                }
                let mut event =
                    Event::success(EventKind::StaffCreated, Actor::Operator, at.support)
                        .detail(&name);
                event.practice = Some(practice);
                tx.append(&event, at.now)?;
                Ok(Some(id))
            })
            .await?;
        Ok(made)
    }

    /// Registers an EHR by its public key, and says who its users are here.
    pub async fn register_ehr(
        &self,
        practice: PracticeId,
        name: String,
        public_key: Vec<u8>,
        users: Vec<(String, Identity)>,
        at: At,
    ) -> Result<EhrId, Error> {
        let made = self
            .store
            .write("register_ehr", move |tx| {
                let id = EhrId::new(at.now, tx.rng())?;
                tx.create_ehr(
                    &EhrRow { id, practice, public_key: public_key.clone() },
                    &name,
                    at.now,
                )?;
                for (user, identity) in &users {
                    tx.link_ehr_user(id, user, *identity)?;
                }
                let mut event =
                    Event::success(EventKind::EhrRegistered, Actor::Operator, at.support)
                        .detail(&name);
                event.practice = Some(practice);
                tx.append(&event, at.now)?;
                Ok(id)
            })
            .await?;
        Ok(made)
    }

    /// Makes a key for an integrating system; its text is given out once.
    pub async fn create_api_key(
        &self,
        practice: PracticeId,
        name: String,
        at: At,
    ) -> Result<String, Error> {
        let bytes: [u8; 32] = random_array((self.rng)().as_mut())?;
        let text = format!("cs_{}", BASE64URL_NOPAD.encode(&bytes));
        let hash = sha256(text.as_bytes());
        self.store
            .write("create_api_key", move |tx| {
                let key = ApiKey { id: ApiKeyId::new(at.now, tx.rng())?, practice };
                tx.create_api_key(&key, &name, &hash, at.now)?;
                let mut event =
                    Event::success(EventKind::ApiKeyCreated, Actor::Operator, at.support)
                        .detail(&name);
                event.practice = Some(practice);
                tx.append(&event, at.now)
            })
            .await?;
        Ok(text)
    }

    /// Gives a prescriber a first token without a passcode of another: only the demonstration and
    /// tests may, since everyone else owes an identity proofing (21 CFR 1311.105).
    pub async fn install_demo_token(
        &self,
        practice: PracticeId,
        prescriber: PrescriberId,
        name: TokenName,
        at: At,
    ) -> Result<(CredentialId, TokenSeed, OtpParams), Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        let made = self
            .store
            .write("install_demo_token", move |tx| {
                let token = Token {
                    id: TokenId::new(at.now, tx.rng())?,
                    practice: Some(practice),
                    prescriber: Some(prescriber),
                    credential: CredentialId::random(TokenKind::OtpSoft, tx.rng())?,
                    name: name.clone(),
                    params: OtpParams::OWN,
                    seed: TokenSeed::generate(OtpParams::OWN.algorithm(), tx.rng())?,
                    state: TokenState::Active { since: at.now },
                    last_step: None,
                    drift: Drift::default(),
                    failures: Failures::NONE,
                    created: at.now,
                    added: Some(at.now),
                    last_used: None,
                };
                if !tx.create_token(&token)? {
                    return Err(countersign_store::Error::Retry);
                }
                let event = Event::success(EventKind::TokenAdded, Actor::Operator, at.support)
                    .about(practice, prescriber)
                    .token(token.id)
                    .detail("first token of the demonstration");
                tx.append(&event, at.now)?;
                Ok((token.credential, token.seed, token.params))
            })
            .await?;
        Ok(made)
    }
}
