//! What the operator does on the host: practices, prescribers, EHRs and API keys.

mod demo;

use countersign_crypto::{random_array, sha256};
use countersign_domain::{
    Actor, ApiKeyId, DisableReason, EhrId, EventKind, Npi, Passphrase, PassphraseHash, PersonId,
    PracticeId, Refusal, StaffId, Timestamp, access::Cause, command::commands,
};
use countersign_store::{ApiKey, EhrRow, Identity, SmartEhr, Staff, TokenRow};
use data_encoding::BASE64URL_NOPAD;

use super::{
    Answer, App, At, Error, RefusalCode,
    access::suspend,
    command::{Caller, Decision},
};

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

/// Why a command of the operator is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdminRefusal {
    /// Somebody has this NPI.
    #[error("this NPI already has an account")]
    NpiTaken,
    /// Somebody of the practice has this EHR user name.
    #[error("this EHR user name already has an account in the practice")]
    EhrUserTaken,
    /// No EHR has this ID.
    #[error("this EHR is not registered")]
    EhrUnknown,
    /// Another EHR has this address.
    #[error("another EHR has this address")]
    EhrAddressTaken,
    /// The user of the EHR is connected.
    #[error("this user of the EHR is already linked")]
    EhrUserConnected,
    /// Nobody of the practice of the EHR is named.
    #[error("prescriber or staff member not found in the practice of the EHR")]
    PersonUnknown,
    /// No key with this ID works.
    #[error(
        "no active key has this ID; list the keys with `countersign admin api-keys --practice ID`"
    )]
    KeyUnknown,
    /// Nobody has this NPI.
    #[error("no account has this NPI")]
    NpiUnknown,
    /// The account was closed before.
    #[error("this account is already closed")]
    ClosedBefore,
    /// No token has this credential ID.
    #[error("no token has this ID")]
    TokenUnknown,
}

impl RefusalCode for AdminRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::NpiTaken => "npi_taken",
            Self::EhrUserTaken => "ehr_user_taken",
            Self::EhrUnknown => "ehr_unknown",
            Self::EhrAddressTaken => "ehr_address_taken",
            Self::EhrUserConnected => "ehr_user_connected",
            Self::PersonUnknown => "person_unknown",
            Self::KeyUnknown => "key_unknown",
            Self::NpiUnknown => "npi_unknown",
            Self::ClosedBefore => Refusal::NoChange.code(),
            Self::TokenUnknown => Refusal::UnknownCredential.code(),
        }
    }
}

/// What somebody with a shell on the host can do.
impl App {
    /// Makes a practice.
    pub async fn create_practice(&self, name: String, at: At) -> Result<PracticeId, Error> {
        self.run(commands::CREATE_PRACTICE, Caller::Operator, at, move |cx| {
            let id = PracticeId::new(at.now, cx.tx.rng())?;
            cx.tx.create_practice(id, &name, at.now)?;
            cx.event.practice = Some(id);
            cx.detail(&name);
            Ok(Decision::Done(id))
        })
        .await?
        .certain()
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

    /// Makes a prescriber with a passphrase of their own.
    pub async fn create_prescriber(
        &self,
        practice: PracticeId,
        npi: Npi,
        name: String,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Answer<PersonId, AdminRefusal>, Error> {
        let hash = self.hash_new(passphrase).await?;
        self.run(commands::CREATE_PRESCRIBER, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&npi.masked());
            let id = PersonId::new(at.now, cx.tx.rng())?;
            if !cx.tx.create_prescriber(id, practice, npi, &name, &hash, at.now)? {
                return Ok(Decision::Refused(AdminRefusal::NpiTaken));
            }
            cx.about(id);
            Ok(Decision::Done(id))
        })
        .await
    }

    /// Makes a member of staff.
    pub async fn create_staff(
        &self,
        practice: PracticeId,
        name: String,
        ehr_user: String,
        at: At,
    ) -> Result<Answer<StaffId, AdminRefusal>, Error> {
        self.run(commands::CREATE_STAFF, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&name);
            let id = StaffId::new(at.now, cx.tx.rng())?;
            let staff = Staff { id, practice, name: name.clone() };
            let made = cx.tx.create_staff(&staff, &ehr_user, at.now)?;
            Ok(Decision::of(made.then_some(id).ok_or(AdminRefusal::EhrUserTaken)))
        })
        .await
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
        self.run(commands::REGISTER_EHR, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&name);
            let id = EhrId::new(at.now, cx.tx.rng())?;
            let row = EhrRow { id, practice, public_key: public_key.clone() };
            cx.tx.create_ehr(&row, &name, at.now)?;
            for (user, identity) in &users {
                cx.tx.link_ehr_user(id, user, *identity)?;
            }
            Ok(Decision::Done(id))
        })
        .await?
        .certain()
    }

    /// Writes how we are known to a registered EHR that launches with SMART on FHIR.
    pub async fn register_smart(
        &self,
        ehr: EhrId,
        iss: String,
        client_id: String,
        client_secret: String,
        at: At,
    ) -> Result<Answer<(), AdminRefusal>, Error> {
        self.run(commands::REGISTER_SMART, Caller::Operator, at, move |cx| {
            let iss = iss.trim_end_matches('/').to_owned();
            cx.detail(&iss);
            let Some(row) = cx.tx.ehr(ehr)? else {
                return Ok(Decision::Refused(AdminRefusal::EhrUnknown));
            };
            cx.event.practice = Some(row.practice);
            let it = SmartEhr {
                ehr,
                practice: row.practice,
                iss,
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            };
            let saved = cx.tx.save_smart_ehr(&it)?;
            Ok(Decision::of(saved.then_some(()).ok_or(AdminRefusal::EhrAddressTaken)))
        })
        .await
    }

    /// Connects a user of an EHR with somebody of its practice.
    pub async fn link_ehr_user(
        &self,
        ehr: EhrId,
        user: String,
        npi: Option<Npi>,
        staff: Option<StaffId>,
        at: At,
    ) -> Result<Answer<(), AdminRefusal>, Error> {
        self.run(commands::LINK_EHR_USER, Caller::Operator, at, move |cx| {
            cx.detail(&user);
            let Some(row) = cx.tx.ehr(ehr)? else {
                return Ok(Decision::Refused(AdminRefusal::EhrUnknown));
            };
            cx.event.practice = Some(row.practice);
            if cx.tx.ehr_user(ehr, &user)?.is_some() {
                return Ok(Decision::Refused(AdminRefusal::EhrUserConnected));
            }
            let identity = match (npi, staff) {
                (Some(npi), None) => {
                    let person = cx.tx.person_by_name(&npi.into())?.filter(|it| !it.closed);
                    let Some(person) = person else {
                        return Ok(Decision::Refused(AdminRefusal::PersonUnknown));
                    };
                    // People work in several practices.
                    let roles = cx.tx.roles_of(person.id)?;
                    let here = person.practice == row.practice
                        || roles.iter().any(|(at, it)| *at == row.practice && it.ended.is_none());
                    if !here {
                        return Ok(Decision::Refused(AdminRefusal::PersonUnknown));
                    }
                    cx.about(person.id);
                    Identity::Prescriber(person.id)
                }
                (None, Some(id)) => {
                    let found = cx.tx.staff(id)?.filter(|it| it.practice == row.practice);
                    let Some(found) = found else {
                        return Ok(Decision::Refused(AdminRefusal::PersonUnknown));
                    };
                    Identity::Staff(found.id)
                }
                _ => return Ok(Decision::Refused(AdminRefusal::PersonUnknown)),
            };
            cx.tx.link_ehr_user(ehr, &user, identity)?;
            Ok(Decision::Done(()))
        })
        .await
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
        self.run(commands::CREATE_API_KEY, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&name);
            let key = ApiKey { id: ApiKeyId::new(at.now, cx.tx.rng())?, practice };
            cx.tx.create_api_key(&key, &name, &hash, at.now)?;
            Ok(Decision::Done(()))
        })
        .await?
        .certain()?;
        Ok(text)
    }

    /// The keys of a practice, oldest first.
    pub async fn api_keys(&self, practice: PracticeId) -> Result<Vec<ListedKey>, Error> {
        let keys = self.store.read("api_keys", move |tx| tx.api_keys(practice)).await?;
        let listed = |(id, name, revoked)| ListedKey { id, name, revoked };
        Ok(keys.into_iter().map(listed).collect())
    }

    /// Revokes a key at once and for good.
    pub async fn revoke_api_key(
        &self,
        id: ApiKeyId,
        at: At,
    ) -> Result<Answer<(), AdminRefusal>, Error> {
        self.run(commands::REVOKE_API_KEY, Caller::Operator, at, move |cx| {
            cx.detail(&id.to_string());
            let Some((practice, name)) = cx.tx.revoke_api_key(id, at.now)? else {
                return Ok(Decision::Refused(AdminRefusal::KeyUnknown));
            };
            cx.event.practice = Some(practice);
            cx.detail(&format!("{id} {name}"));
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Closes an account for good: its sessions end, its tokens are disabled, and a sign-in is
    /// answered as if there were no such account.
    pub async fn close_account(&self, npi: Npi, at: At) -> Result<Answer<(), AdminRefusal>, Error> {
        self.run(commands::CLOSE_ACCOUNT, Caller::Operator, at, move |cx| {
            cx.detail(&npi.masked());
            let Some(found) = cx.tx.person_by_name(&npi.into())? else {
                return Ok(Decision::Refused(AdminRefusal::NpiUnknown));
            };
            cx.event = cx.event.clone().about(found.practice, found.id);
            // Prescriber, then session, then token: the order in which everyone locks.
            if !cx.tx.lock_open_account(found.id)? {
                return Ok(Decision::Refused(AdminRefusal::ClosedBefore));
            }
            let disabled = cx.event_of(EventKind::TokenDisabled);
            let tx = &mut *cx.tx;
            tx.close_account(found.id)?;
            tx.end_sessions_of(found.id)?;
            tx.end_launched_sessions_of(found.id)?;
            tx.forget_browsers_of(found.id, None)?;
            suspend(tx, cx.mailer, found.id, Cause::Left, Actor::Operator, "", at)?;
            // Its passcodes must not verify for other systems either.
            let reason = DisableReason::AccountClosed;
            for TokenRow { mut token, mark, .. } in tx.tokens_of(found.id)? {
                if !token.force_disable(reason, at.now) {
                    continue;
                }
                tx.save_token(&token, mark)?;
                let event = disabled.clone().token(token.id()).reason(reason.code());
                tx.append(&event, at.now)?;
            }
            Ok(Decision::Done(()))
        })
        .await
    }
}
