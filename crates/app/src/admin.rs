//! What the operator does on the host: practices, prescribers, EHRs and API keys.

mod demo;

use countersign_crypto::{random_array, sha256};
use countersign_domain::{
    Actor, ApiKeyId, DisableReason, EhrId, Event, EventKind, Npi, Outcome, Passphrase,
    PassphraseHash, PersonId, PracticeId, Refusal, StaffId, Timestamp, access::Cause,
};
use countersign_store::{ApiKey, EhrRow, Identity, SmartEhr, Staff, TokenRow};
use data_encoding::BASE64URL_NOPAD;

use super::{App, At, Error, access::suspend};

pub use demo::DemoPerson;

/// A key as it stands in a list; its text is kept by its holder alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// What names it.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// What became of the closing of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// It is closed now.
    Done,
    /// It was closed before.
    Before,
    /// Nobody has this NPI.
    Unknown,
}

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

    /// What is kept of a new passphrase.
    pub(super) async fn hash_new(&self, passphrase: Passphrase) -> Result<PassphraseHash, Error> {
        let (iterations, rng) = (self.options.iterations, self.rng);
        let create = move || PassphraseHash::create(&passphrase, iterations, rng().as_mut());
        Ok(self.hashing.reserve()?.run(create).await??)
    }

    /// Makes a prescriber with a passphrase of their own. `None` when the NPI is taken.
    pub async fn create_prescriber(
        &self,
        practice: PracticeId,
        npi: Npi,
        name: String,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Option<PersonId>, Error> {
        let hash = self.hash_new(passphrase).await?;
        let made = self
            .store
            .write("create_prescriber", move |tx| {
                let id = PersonId::new(at.now, tx.rng())?;
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

    /// Writes how we are known to a registered EHR that launches with SMART on FHIR. `false` where the EHR
    /// is not registered, or another one has that address.
    pub async fn register_smart(
        &self,
        ehr: EhrId,
        iss: String,
        client_id: String,
        client_secret: String,
        at: At,
    ) -> Result<bool, Error> {
        let done = self
            .store
            .write("register_smart", move |tx| {
                let Some(row) = tx.ehr(ehr)? else { return Ok(false) };
                let it = SmartEhr {
                    ehr,
                    practice: row.practice,
                    iss: iss.trim_end_matches('/').to_owned(),
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                };
                if !tx.save_smart_ehr(&it)? {
                    return Ok(false);
                }
                let mut event =
                    Event::success(EventKind::EhrRegistered, Actor::Operator, at.support)
                        .detail(&it.iss);
                event.practice = Some(it.practice);
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }

    /// Connects a user of an EHR with somebody of its practice. `false` where one of them is not there, or
    /// the user is connected already.
    pub async fn link_ehr_user(
        &self,
        ehr: EhrId,
        user: String,
        npi: Option<Npi>,
        staff: Option<StaffId>,
        at: At,
    ) -> Result<bool, Error> {
        let done = self
            .store
            .write("link_ehr_user", move |tx| {
                let Some(row) = tx.ehr(ehr)? else { return Ok(false) };
                if tx.ehr_user(ehr, &user)?.is_some() {
                    return Ok(false);
                }
                let mut event =
                    Event::success(EventKind::EhrRegistered, Actor::Operator, at.support)
                        .detail(&user);
                event.practice = Some(row.practice);
                let identity = match (npi, staff) {
                    (Some(npi), None) => {
                        let person = tx.person_by_name(&npi.into())?;
                        let Some(person) = person.filter(|it| !it.closed) else {
                            return Ok(false);
                        };
                        // People work in several practices.
                        let roles = tx.roles_of(person.id)?;
                        let here = person.practice == row.practice
                            || roles
                                .iter()
                                .any(|(at, it)| *at == row.practice && it.ended.is_none());
                        if !here {
                            return Ok(false);
                        }
                        event.prescriber = Some(person.id);
                        Identity::Prescriber(person.id)
                    }
                    (None, Some(id)) => {
                        let found = tx.staff(id)?.filter(|it| it.practice == row.practice);
                        let Some(found) = found else { return Ok(false) };
                        Identity::Staff(found.id)
                    }
                    _ => return Ok(false),
                };
                tx.link_ehr_user(ehr, &user, identity)?;
                tx.append(&event, at.now)?;
                Ok(true)
            })
            .await?;
        Ok(done)
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

    /// The keys of a practice, oldest first.
    pub async fn api_keys(&self, practice: PracticeId) -> Result<Vec<ListedKey>, Error> {
        let keys = self.store.read("api_keys", move |tx| tx.api_keys(practice)).await?;
        let listed = |(id, name, revoked)| ListedKey { id, name, revoked };
        Ok(keys.into_iter().map(listed).collect())
    }

    /// Revokes a key at once and for good. `false` if there is no such key, or it is revoked.
    pub async fn revoke_api_key(&self, id: ApiKeyId, at: At) -> Result<bool, Error> {
        let done = self
            .store
            .write("revoke_api_key", move |tx| {
                let mut event =
                    Event::success(EventKind::ApiKeyRevoked, Actor::Operator, at.support);
                let revoked = tx.revoke_api_key(id, at.now)?;
                if let Some((practice, name)) = &revoked {
                    event.practice = Some(*practice);
                    event = event.detail(&format!("{id} {name}"));
                } else {
                    event.outcome = Outcome::Refused;
                    event = event.reason("key_unknown").detail(&id.to_string());
                }
                tx.append(&event, at.now)?;
                Ok(revoked.is_some())
            })
            .await?;
        Ok(done)
    }

    /// Closes an account for good: its sessions end, its tokens are disabled, and a sign-in is
    /// answered as if there were no such account.
    pub async fn close_account(&self, npi: Npi, at: At) -> Result<Closing, Error> {
        let mailer = self.mailer();
        let done = self
            .store
            .write("close_account", move |tx| {
                let event = Event::success(EventKind::AccountClosed, Actor::Operator, at.support)
                    .detail(&npi.masked());
                let refused =
                    |event: Event, why| Event { outcome: Outcome::Refused, ..event }.reason(why);
                let Some(found) = tx.person_by_name(&npi.into())? else {
                    tx.append(&refused(event, "npi_unknown"), at.now)?;
                    return Ok(Closing::Unknown);
                };
                let event = event.about(found.practice, found.id);
                // Prescriber, then session, then token: the order in which everyone locks.
                if !tx.lock_open_account(found.id)? {
                    tx.append(&refused(event, Refusal::NoChange.code()), at.now)?;
                    return Ok(Closing::Before);
                }
                tx.close_account(found.id)?;
                tx.end_sessions_of(found.id)?;
                tx.end_launched_sessions_of(found.id)?;
                tx.forget_browsers_of(found.id, None)?;
                tx.append(&event, at.now)?;
                suspend(tx, &mailer, found.id, Cause::Left, Actor::Operator, "", at)?;
                // Its passcodes must not verify for other systems either.
                let reason = DisableReason::AccountClosed;
                for TokenRow { mut token, mark, .. } in tx.tokens_of(found.id)? {
                    if !token.force_disable(reason, at.now) {
                        continue;
                    }
                    tx.save_token(&token, mark)?;
                    let event =
                        Event::success(EventKind::TokenDisabled, Actor::Operator, at.support)
                            .about(found.practice, found.id)
                            .token(token.id())
                            .reason(reason.code());
                    tx.append(&event, at.now)?;
                }
                Ok(Closing::Done)
            })
            .await?;
        Ok(done)
    }
}
