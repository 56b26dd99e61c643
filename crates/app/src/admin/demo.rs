//! People, permissions, rules and tokens of the demonstration.

use countersign_domain::{
    Actor, AuthorityId, CredentialId, Date, DeaNumber, DeaRegistration, Device, Event, EventKind,
    ModelCode, Passphrase, PersonId, PracticeId, ProvisionedToken, Role, Schedules, SignInName,
    StateLicence, Token, TokenId, TokenKind, TokenName, UsState,
    access::{Permission, Setting},
    otp::{OtpParams, TokenSeed},
};
use countersign_store::{Authority, Paper, Profile, Tx};

use crate::{App, At, Error, Invitee, enrol::make_invitation};

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

impl App {
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
                let made = make_invitation(tx, &mailer, by, practice, &invitee, at)?;
                let Ok(made) = made else { return Err(Tx::broken("enrolled before")) };
                let event = Event::success(EventKind::PersonInvited, by, at.support)
                    .about(practice, made.person)
                    .detail(&invitee.sign_in.masked());
                tx.append(&event, at.now)?;
                Ok(made.link)
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
                let mut token = Token::provisioned(ProvisionedToken {
                    id: TokenId::new(at.now, tx.rng())?,
                    credential: CredentialId::random(TokenKind::OtpSoft, tx.rng())?,
                    params: OtpParams::OWN,
                    seed: TokenSeed::generate(OtpParams::OWN.algorithm(), tx.rng())?,
                    expires: at.now.plus_seconds(1),
                    created: at.now,
                    device: Device::default(),
                    model: ModelCode::known(ModelCode::TERMINAL),
                })
                .map_err(|_| Tx::broken("no token has these parts"))?;
                token
                    .bind(practice, prescriber, name.clone(), at.now)
                    .and_then(|()| token.activate(at.now))
                    .map_err(|_| Tx::broken("a token that was just made can't be bound"))?;
                if !tx.create_token(&token)? {
                    return Err(countersign_store::Error::Retry);
                }
                tx.refresh_signing(prescriber)?;
                let event = Event::success(EventKind::TokenAdded, Actor::Operator, at.support)
                    .about(practice, prescriber)
                    .token(token.id())
                    .detail("first token of the demonstration");
                tx.append(&event, at.now)?;
                Ok((token.credential().clone(), token.seed().clone(), token.params()))
            })
            .await?;
        Ok(made)
    }
}
