//! What a practice decides in its console, one person at a time: roles that do not decide over signing,
//! the time zone of its deadlines, models of tokens that it does not want. And its founding.

use countersign_domain::{
    Actor, AuthorityId, Event, EventKind, ModelCode, Outcome, PersonId, PracticeId, Refusal, Role,
    SignInName, TimeZone, Timestamp, Token, TokenModel, access::Setting, enrolment::Stage as Step,
};
use countersign_store::{Authority, CasePurpose, InvitationRow, Invited, Member, Paper, Tx};

use super::{
    App, At, Desk, Error, Invitee,
    access::leave,
    enrol::{enrolment, enter, make_invitation},
};

/// A prescriber and how their tokens stand.
#[derive(Clone)]
pub struct Fleet {
    /// Who.
    pub person: PersonId,
    /// The tokens that are not disabled for good.
    pub tokens: Vec<Token>,
    /// Until when all of them pause, after wrong codes.
    pub blocked_until: Option<Timestamp>,
    /// The step of the enrolment that is due; `Done` where there is none.
    pub step: Step,
}

/// By which rules a practice works.
#[derive(Clone)]
pub struct Rules {
    /// The models that the operator has judged.
    pub models: Vec<TokenModel>,
    /// Those that the practice does not let sign: model, why, since when, who.
    pub refused: Vec<(ModelCode, String, Timestamp, PersonId)>,
    /// Proofing providers that it accepts: issuer, values that stand for IAL2.
    pub providers: Vec<(String, String)>,
    /// Those that the operator has set up: name, issuer.
    pub offered: Vec<(String, String)>,
    /// Invitations, newest first.
    pub invitations: Vec<InvitationRow>,
}

/// One of the first people of a practice.
#[derive(Clone)]
pub struct Founder {
    /// Who, with addresses and, of a registrant, registration and licence.
    pub invitee: Invitee,
}

/// Why a practice is not founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoundingRefusal {
    /// It was done before.
    #[error("this practice was founded before; its people change its roles in the console now")]
    Before,
    /// There is no such practice.
    #[error("there is no such practice")]
    Unknown,
    /// One person twice.
    #[error("the two must be two people: other NPIs, other e-mail addresses")]
    SamePerson,
    /// Nobody with a registration.
    #[error(
        "one of the two must have a DEA registration and a licence of its state (21 CFR 1311.125(a))"
    )]
    NoRegistrant,
    /// One of them is enrolled by another practice.
    #[error("one of the two is enrolled by another practice, or has a closed account")]
    Elsewhere,
}

impl App {
    /// Gives or takes a role that one person may: prescriber or administrator. Who no longer prescribes here
    /// no longer signs here.
    pub async fn set_role(
        &self,
        desk: &Desk,
        person: PersonId,
        role: Role,
        give: bool,
        reason: String,
        at: At,
    ) -> Result<Result<(), Refusal>, Error> {
        if !desk.may_invite() || role.takes_two() {
            return Err(Error::NotFound);
        }
        let (by, practice, mailer) = (desk.person, desk.practice.id, self.mailer());
        let done =
            self.store
                .write("set_role", move |tx| {
                    if !tx.is_member(person, practice)? {
                        return Ok(None);
                    }
                    let mut event =
                        Event::success(EventKind::RoleChanged, Actor::Person(by), at.support)
                            .about(practice, person)
                            .detail(&format!("{}: {reason}", role.code()));
                    let others = tx.roles_in(practice)?.into_iter().any(|it: Member| {
                        it.role == role && it.ended.is_none() && it.person != person
                    });
                    // A practice without an administrator could invite nobody.
                    let last = role == Role::Administrator && !give && !others;
                    let changed = match (last, give) {
                        (true, _) => false,
                        (false, true) => tx.give_role(person, practice, role, "", at.now)?,
                        (false, false) => tx.end_role(person, practice, role, at.now)?,
                    };
                    if !changed {
                        event.outcome = Outcome::Refused;
                        tx.append(&event.reason(Refusal::NoChange.code()), at.now)?;
                        return Ok(Some(Err(Refusal::NoChange)));
                    }
                    tx.append(&event.reason(if give { "given" } else { "taken" }), at.now)?;
                    if role == Role::Prescriber && !give {
                        leave(tx, &mailer, person, practice, by, at)?;
                    }
                    Ok(Some(Ok(())))
                })
                .await?;
        done.ok_or(Error::NotFound)
    }

    /// By which rules the practice works.
    pub async fn rules(&self, desk: &Desk) -> Result<Rules, Error> {
        let practice = desk.practice.id;
        let offered: Vec<(String, String)> = self
            .options
            .providers
            .iter()
            .map(|(name, client)| (name.clone(), client.issuer.clone()))
            .collect();
        let rules = self
            .store
            .read("rules", move |tx| {
                Ok(Rules {
                    models: tx.token_models()?,
                    refused: tx.refused_models(practice)?,
                    providers: tx.providers(practice)?,
                    invitations: tx.invitations_of(practice, 100)?,
                    offered: offered.clone(),
                })
            })
            .await?;
        Ok(rules)
    }

    /// Counts the deadlines of the practice, and the last days of its registrations, in another time zone.
    pub async fn set_time_zone(
        &self,
        desk: &Desk,
        zone: TimeZone,
        reason: String,
        at: At,
    ) -> Result<(), Error> {
        if !desk.may_invite() {
            return Err(Error::NotFound);
        }
        let (by, practice) = (desk.person, desk.practice.clone());
        self.store
            .write("set_time_zone", move |tx| {
                tx.save_practice_rules(practice.id, practice.setting, &zone)?;
                for it in tx.all_authorities(practice.id)? {
                    let stops_at = it.paper.expires().end(&zone);
                    tx.save_authority(&Authority { stops_at, ..it })?;
                }
                let mut event =
                    Event::success(EventKind::PolicyChanged, Actor::Person(by), at.support)
                        .detail(&format!("time zone {}: {reason}", zone.name()));
                event.practice = Some(practice.id);
                tx.append(&event, at.now)
            })
            .await?;
        Ok(())
    }

    /// Lets tokens of a model sign no more in this practice, or again. What the operator forbids stays
    /// forbidden.
    pub async fn refuse_model(
        &self,
        desk: &Desk,
        model: ModelCode,
        refuse: bool,
        reason: String,
        at: At,
    ) -> Result<bool, Error> {
        if !desk.roles.contains(&Role::Designated) {
            return Err(Error::NotFound);
        }
        let (by, practice) = (desk.person, desk.practice.id);
        let done =
            self.store
                .write("refuse_model", move |tx| {
                    let why = refuse.then_some(reason.as_str());
                    let changed = tx.refuse_model(practice, &model, why, by, at.now)?;
                    let mut event =
                        Event::success(EventKind::PolicyChanged, Actor::Person(by), at.support)
                            .detail(&format!(
                                "model {model} {}: {reason}",
                                if refuse { "refused" } else { "allowed" }
                            ));
                    event.practice = Some(practice);
                    if !changed {
                        event.outcome = Outcome::Refused;
                        event = event.reason(Refusal::NoChange.code());
                    }
                    tx.append(&event, at.now)?;
                    Ok(changed)
                })
                .await?;
        Ok(done)
    }

    /// How the people of the practice stand: their tokens, and the step that an enrolment waits for.
    pub async fn fleet(&self, desk: &Desk, at: At) -> Result<Vec<Fleet>, Error> {
        let practice = desk.practice.id;
        let found = self
            .store
            .read("fleet", move |tx| {
                let mut found = Vec::new();
                for person in tx.people_of(practice)? {
                    let Some(it) = enrolment(tx, person.id, practice, at.now)? else { continue };
                    // Whoever has logged in once is through with all but the grant. Those whom the operator
                    // made were proofed as the operator did it.
                    let again = it
                        .case
                        .as_ref()
                        .is_some_and(|case| case.row.purpose == CasePurpose::Passphrase);
                    let step = match (&it.person.passphrase, it.facts.granted) {
                        (Some(_), true) if !again => Step::Done,
                        (Some(_), false) if !again => Step::Access,
                        _ => it.step(),
                    };
                    // Of somebody of another practice too: a token is one person's.
                    let kept = |token: &Token| token.is_active() || token.is_temporarily_disabled();
                    found.push(Fleet {
                        person: person.id,
                        step: if person.closed { Step::Done } else { step },
                        tokens: it.tokens.into_iter().filter(kept).collect(),
                        blocked_until: it
                            .person
                            .failures
                            .in_a_row
                            .blocked_until
                            .filter(|u| at.now < *u),
                    });
                }
                Ok(found)
            })
            .await?;
        Ok(found)
    }

    /// Names the first two people of a practice: once, by whoever has a shell on the host (question A10).
    /// From then on its own people decide. `providers` are those whose proofing counts (issuer, values that
    /// stand for IAL2): without one the first practitioner could not be proofed. Says the links by which the
    /// two begin.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the founding")]
    pub async fn found_practice(
        &self,
        practice: PracticeId,
        setting: Setting,
        zone: TimeZone,
        institution: Option<Paper>,
        providers: Vec<(String, String)>,
        founders: [Founder; 2],
        at: At,
    ) -> Result<Result<Vec<(String, String)>, FoundingRefusal>, Error> {
        let mailer = self.mailer();
        let emails = |it: &Founder| it.invitee.invited.profile.emails.clone();
        let [one, two] = &founders;
        let same = one.invitee.sign_in == two.invitee.sign_in
            || emails(one).iter().any(|email| emails(two).contains(email));
        if same {
            return Ok(Err(FoundingRefusal::SamePerson));
        }
        let registrant = founders.iter().any(|it| is_registrant(&it.invitee.invited));
        if setting == Setting::Practitioners && !registrant {
            return Ok(Err(FoundingRefusal::NoRegistrant));
        }
        let done = self
            .store
            .write("found_practice", move |tx| {
                let Some(mut known) = tx.practice(practice)? else {
                    return Ok(Err(FoundingRefusal::Unknown));
                };
                if !tx.found_practice(practice, at.now)? {
                    return Ok(Err(FoundingRefusal::Before));
                }
                tx.save_practice_rules(practice, setting, &zone)?;
                (known.setting, known.zone) = (setting, zone.clone());
                if let Some(paper) = &institution {
                    let it = Authority {
                        id: AuthorityId::new(at.now, tx.rng())?,
                        practice,
                        person: None,
                        paper: paper.clone(),
                        stops_at: paper.expires().end(&zone),
                        withdrawn: None,
                        warned: None,
                    };
                    tx.create_authority(&it, at.now)?;
                }
                for (issuer, accepted) in &providers {
                    tx.accept_provider(practice, issuer, accepted, at.now)?;
                }
                let mut links = Vec::new();
                let mut names: Vec<SignInName> = Vec::new();
                for Founder { invitee } in &founders {
                    let by = Actor::Operator;
                    let link = match tx.person_by_name(&invitee.sign_in)? {
                        // Somebody whom the operator made before goes on with that account.
                        Some(person) if person.passphrase.is_some() && !person.closed => {
                            for role in founding_roles(&invitee.invited) {
                                tx.give_role(person.id, practice, role, "", at.now)?;
                            }
                            for paper in invitee.invited.papers() {
                                enter(tx, &known, person.id, &paper, at)?;
                            }
                            tx.vouch(person.id, practice, at.now)?;
                            String::new()
                        }
                        _ => {
                            let (_, link) =
                                make_invitation(tx, &mailer, by, practice, invitee, at)?;
                            let made = tx.person_by_name(&invitee.sign_in)?;
                            let Some(made) = made.filter(|_| !link.is_empty()) else {
                                return Err(Tx::broken("a founder is enrolled elsewhere"));
                            };
                            for role in founding_roles(&invitee.invited) {
                                tx.give_role(made.id, practice, role, "", at.now)?;
                            }
                            for paper in invitee.invited.papers() {
                                enter(tx, &known, made.id, &paper, at)?;
                            }
                            tx.vouch(made.id, practice, at.now)?;
                            link
                        }
                    };
                    names.push(invitee.sign_in.clone());
                    links.push((invitee.sign_in.masked(), link));
                }
                let masked: Vec<String> = names.iter().map(SignInName::masked).collect();
                let mut event =
                    Event::success(EventKind::PracticeFounded, Actor::Operator, at.support)
                        .detail(&format!("{}: {}", known.name, masked.join(" and ")));
                event.practice = Some(practice);
                tx.append(&event, at.now)?;
                Ok(Ok(links))
            })
            .await?;
        Ok(done)
    }
}

/// The first two set access control; they invite everybody else.
fn founding_roles(invited: &Invited) -> Vec<Role> {
    let mut roles = vec![Role::Administrator, Role::Designated];
    if invited.roles.iter().any(|code| code == Role::Prescriber.code()) {
        roles.push(Role::Prescriber);
    }
    roles
}

fn is_registrant(invited: &Invited) -> bool {
    let papers = invited.papers();
    papers.iter().any(|it| {
        it.dea().is_some()
            && papers
                .iter()
                .any(|other| matches!(other, Paper::Licence(_)) && other.state() == it.state())
    })
}
