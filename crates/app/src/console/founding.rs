//! A practice is founded: the operator names its first two people.

use countersign_domain::{
    Actor, AuthorityId, Event, EventKind, PracticeId, Role, SignInName, TimeZone, access::Setting,
    marks::Marks,
};
use countersign_store::{Authority, Invited, Paper, Tx, marks_of};

use crate::{
    App, At, Error, Invitee,
    enrol::{enter, make_invitation},
};

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
    #[error("this practice is already set up; change its roles under Practice administration")]
    Before,
    /// There is no such practice.
    #[error("practice not found")]
    Unknown,
    /// One person twice.
    #[error(
        "the two must be different people, with different NPIs, email addresses, phones and DEA numbers"
    )]
    SamePerson,
    /// Nobody with a registration.
    #[error(
        "one of the two must have a DEA registration and a license in its state (21 CFR 1311.125(a))"
    )]
    NoRegistrant,
    /// One of them is enrolled by another practice.
    #[error("one of the two is being enrolled by another practice, or has a closed account")]
    Elsewhere,
}

impl App {
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
        let [one, two] = &founders;
        if founder_marks(one).meet(&founder_marks(two)) {
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
                            let (_, link, event) =
                                make_invitation(tx, &mailer, by, practice, invitee, at)?;
                            tx.append(&event, at.now)?;
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

/// What tells the account of a founder.
fn founder_marks(it: &Founder) -> Marks {
    let mut marks = marks_of(&it.invitee.invited.profile);
    match &it.invitee.sign_in {
        SignInName::Npi(npi) => marks.npi(*npi),
        SignInName::Email(email) => marks.email(email.as_str()),
    }
    for dea in it.invitee.invited.papers().iter().filter_map(Paper::dea) {
        marks.dea(dea);
    }
    marks
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
