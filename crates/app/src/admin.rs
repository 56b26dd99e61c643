use countersign_crypto::{random_array, sha256};
use countersign_domain::{
    Actor, ApiKeyId, AuthorityId, CredentialId, Date, DeaNumber, DeaRegistration, Device,
    DisableReason, EhrId, Event, EventKind, Failures, ModelCode, Npi, Outcome, Passphrase,
    PassphraseHash, PersonId, PracticeId, Refusal, Role, Schedules, SignInName, StaffId,
    StateLicence, Timestamp, Token, TokenId, TokenKind, TokenName, TokenState, UsState,
    access::{Cause, Permission, Setting},
    otp::{Drift, OtpParams, TokenSeed},
};
use countersign_store::{
    ApiKey, Authority, EhrRow, Identity, Paper, Profile, SmartEhr, Staff, TokenRow, Tx,
};
use data_encoding::BASE64URL_NOPAD;

use super::{App, At, Error, Invitee, access::suspend, enrol::make_invitation};

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

/// Somebody whom the demonstration makes up.
#[derive(Debug, Clone)]
pub struct DemoPerson {
    /// What they sign in with.
    pub sign_in: SignInName,
    /// Full name.
    pub name: String,
    /// Passphrase.
    pub passphrase: Passphrase,
    /// Roles.
    pub roles: Vec<Role>,
    /// Addresses.
    pub profile: Profile,
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
                    if !token.is_active() && !token.is_temporarily_disabled() {
                        continue;
                    }
                    token.state = TokenState::Disabled { reason, since: at.now };
                    tx.save_token(&token, mark)?;
                    let event =
                        Event::success(EventKind::TokenDisabled, Actor::Operator, at.support)
                            .about(found.practice, found.id)
                            .token(token.id)
                            .reason(reason.code());
                    tx.append(&event, at.now)?;
                }
                Ok(Closing::Done)
            })
            .await?;
        Ok(done)
    }

    /// Makes somebody of a practice with roles and addresses, all made up: only the demonstration and tests
    /// may, since everybody else is invited and proofed.
    pub async fn install_demo_person(
        &self,
        practice: PracticeId,
        person: DemoPerson,
        at: At,
    ) -> Result<Option<PersonId>, Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        let DemoPerson { sign_in, name, passphrase, roles, profile } = person;
        let hash = self.hash_new(passphrase).await?;
        let made = self
            .store
            .write("install_demo_person", move |tx| {
                let id = PersonId::new(at.now, tx.rng())?;
                if !tx.create_person(id, practice, &sign_in, &name, Some(&hash), at.now)? {
                    return Ok(None);
                }
                let Some(made) = tx.person(id)? else { return Ok(None) };
                tx.save_profile(&made, &profile, at.now)?;
                for role in &roles {
                    tx.give_role(id, practice, *role, "", at.now)?;
                }
                let event =
                    Event::success(EventKind::PrescriberCreated, Actor::Operator, at.support)
                        .about(practice, id)
                        .detail(&sign_in.masked());
                tx.append(&event, at.now)?;
                Ok(Some(id))
            })
            .await?;
        Ok(made)
    }

    /// Gives a prescriber a registration, a licence and a permission that nobody has looked at: only the
    /// demonstration and tests may, since it takes two persons everywhere else (21 CFR 1311.125(c)).
    pub async fn install_demo_permission(
        &self,
        practice: PracticeId,
        prescriber: PersonId,
        dea: DeaNumber,
        at: At,
    ) -> Result<AuthorityId, Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        let made = self
            .store
            .write("install_demo_permission", move |tx| {
                let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
                let expires = Date::at(at.now, &zone).plus_days(700);
                let state: UsState = "NE".parse().map_err(|_| Tx::broken("no state"))?;
                let mut made = None;
                for dea in [Some(dea), None] {
                    let paper = match dea {
                        Some(number) => Paper::Dea(DeaRegistration {
                            number,
                            state,
                            schedules: Schedules::ALL,
                            expires,
                            withdrawn: None,
                        }),
                        None => Paper::Licence(StateLicence {
                            state,
                            number: "NE-20411".to_owned(),
                            expires,
                            withdrawn: None,
                        }),
                    };
                    let it = Authority {
                        id: AuthorityId::new(at.now, tx.rng())?,
                        practice,
                        person: Some(prescriber),
                        paper,
                        stops_at: expires.end(&zone),
                        withdrawn: None,
                        warned: None,
                    };
                    tx.create_authority(&it, at.now)?;
                    made = made.or(Some(it.id));
                }
                let id = made.ok_or_else(|| Tx::broken("no registration"))?;
                tx.give_role(prescriber, practice, Role::Prescriber, "", at.now)?;
                let granted = Permission::Granted { since: at.now, self_executed: false };
                tx.save_permission(prescriber, practice, id, &granted)?;
                let event =
                    Event::success(EventKind::PermissionChanged, Actor::Operator, at.support)
                        .about(practice, prescriber)
                        .detail("permission of the demonstration");
                tx.append(&event, at.now)?;
                Ok(id)
            })
            .await?;
        Ok(made)
    }

    /// Sets up a practice of the demonstration as two people would: by which rule it works, who does what in
    /// which unit, which provider it accepts, and the institution's own registration.
    pub async fn install_demo_rules(
        &self,
        practice: PracticeId,
        setting: Setting,
        roles: Vec<(PersonId, Role, String)>,
        provider: Option<(String, String)>,
        institution: Option<DeaNumber>,
        at: At,
    ) -> Result<(), Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        self.store
            .write("install_demo_rules", move |tx| {
                let known = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?;
                tx.save_practice_rules(practice, setting, &known.zone)?;
                tx.found_practice(practice, at.now)?;
                for (person, role, unit) in &roles {
                    tx.give_role(*person, practice, *role, unit, at.now)?;
                }
                if let Some((issuer, accepted)) = &provider {
                    tx.accept_provider(practice, issuer, accepted, at.now)?;
                }
                if let Some(number) = institution {
                    let expires = Date::at(at.now, &known.zone).plus_days(700);
                    let state: UsState = "NE".parse().map_err(|_| Tx::broken("no state"))?;
                    let paper = Paper::Dea(DeaRegistration {
                        number,
                        state,
                        schedules: Schedules::ALL,
                        expires,
                        withdrawn: None,
                    });
                    let it = Authority {
                        id: AuthorityId::new(at.now, tx.rng())?,
                        practice,
                        person: None,
                        stops_at: expires.end(&known.zone),
                        paper,
                        withdrawn: None,
                        warned: None,
                    };
                    tx.create_authority(&it, at.now)?;
                }
                let mut event =
                    Event::success(EventKind::PracticeFounded, Actor::Operator, at.support)
                        .detail("of the demonstration");
                event.practice = Some(practice);
                tx.append(&event, at.now)
            })
            .await?;
        Ok(())
    }

    /// Invites somebody made up, and says the link: a real one goes to the invited person's mailbox alone.
    pub async fn install_demo_invitation(
        &self,
        practice: PracticeId,
        invitee: Invitee,
        at: At,
    ) -> Result<String, Error> {
        if !self.options.demonstration {
            return Err(Error::NotFound);
        }
        let mailer = self.mailer();
        let link = self
            .store
            .write("install_demo_invitation", move |tx| {
                let by = Actor::Operator;
                let (_, link, event) = make_invitation(tx, &mailer, by, practice, &invitee, at)?;
                tx.append(&event, at.now)?;
                Ok(link)
            })
            .await?;
        Ok(link)
    }

    /// Gives a prescriber a first token without a passcode of another: only the demonstration and
    /// tests may, since everyone else owes an identity proofing (21 CFR 1311.105).
    pub async fn install_demo_token(
        &self,
        practice: PracticeId,
        prescriber: PersonId,
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
                    device: Device::default(),
                    model: ModelCode::known(ModelCode::TERMINAL),
                    seed_left: None,
                    activated: Some(at.now),
                    sign_until: None,
                };
                if !tx.create_token(&token)? {
                    return Err(countersign_store::Error::Retry);
                }
                tx.refresh_signing(prescriber)?;
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
