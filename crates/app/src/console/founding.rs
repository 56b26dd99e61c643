//! A practice is founded: the operator names its first two people.

use countersign_domain::{
    Actor, AuthorityId, EventKind, PracticeId, Refusal, Role, SignInName, TimeZone,
    access::Setting, command::commands, marks::Marks,
};
use countersign_store::{Authority, Invited, Paper, Practice, Tx, marks_of};

use crate::{
    Answer, App, At, Error, Invitee, RefusalCode,
    command::{Caller, CommandContext, Decision},
    enrol::{MadeInvitation, enter, make_invitation},
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

impl RefusalCode for FoundingRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Before => Refusal::NoChange.code(),
            Self::Unknown => "practice_unknown",
            Self::SamePerson => "same_person",
            Self::NoRegistrant => "no_registrant",
            Self::Elsewhere => "enrolled_elsewhere",
        }
    }
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
    ) -> Result<Answer<Vec<(String, String)>, FoundingRefusal>, Error> {
        self.run(commands::FOUND_PRACTICE, Caller::Operator, at, move |cx| {
            let Some(mut known) = cx.tx.practice(practice)? else {
                return Ok(Decision::Refused(FoundingRefusal::Unknown));
            };
            cx.event.practice = Some(practice);
            let masked = founders.each_ref().map(|it| it.invitee.sign_in.masked());
            cx.detail(&format!("{}: {}", known.name, masked.join(" and ")));
            let [one, two] = &founders;
            if founder_marks(one).meet(&founder_marks(two)) {
                return Ok(Decision::Refused(FoundingRefusal::SamePerson));
            }
            let registrant = founders.iter().any(|it| is_registrant(&it.invitee.invited));
            if setting == Setting::Practitioners && !registrant {
                return Ok(Decision::Refused(FoundingRefusal::NoRegistrant));
            }
            if !cx.tx.found_practice(practice, at.now)? {
                return Ok(Decision::Refused(FoundingRefusal::Before));
            }
            cx.tx.save_practice_rules(practice, setting, &zone)?;
            (known.setting, known.zone) = (setting, zone.clone());
            if let Some(paper) = &institution {
                let it = Authority {
                    id: AuthorityId::new(at.now, cx.tx.rng())?,
                    practice,
                    person: None,
                    paper: paper.clone(),
                    stops_at: paper.expires().end(&zone),
                    withdrawn: None,
                    warned: None,
                };
                cx.tx.create_authority(&it, at.now)?;
            }
            for (issuer, accepted) in &providers {
                cx.tx.accept_provider(practice, issuer, accepted, at.now)?;
            }
            let mut links = Vec::new();
            for (founder, masked) in founders.iter().zip(masked) {
                links.push((masked, take_in(cx, &known, &founder.invitee)?));
            }
            Ok(Decision::Done(links))
        })
        .await
    }
}

/// Makes one of the first two somebody of the practice: the link by which they begin, empty where they have an account.
fn take_in(
    cx: &mut CommandContext<'_, '_>,
    known: &Practice,
    invitee: &Invitee,
) -> Result<String, countersign_store::Error> {
    let (at, practice) = (cx.at, known.id);
    let found = cx.tx.person_by_name(&invitee.sign_in)?;
    let (person, link) = match found {
        // Somebody whom the operator made before goes on with that account.
        Some(person) if person.passphrase.is_some() && !person.closed => (person.id, String::new()),
        _ => {
            let by = Actor::Operator;
            let made = make_invitation(cx.tx, cx.mailer, by, practice, invitee, at)?;
            let Ok(MadeInvitation { person, link, .. }) = made else {
                return Err(Tx::broken("a founder is enrolled elsewhere"));
            };
            let event = cx.event_of(EventKind::PersonInvited).about(practice, person);
            cx.tx.append(&event.detail(&invitee.sign_in.masked()), at.now)?;
            (person, link)
        }
    };
    for role in founding_roles(&invitee.invited) {
        cx.tx.give_role(person, practice, role, "", at.now)?;
    }
    for paper in invitee.invited.papers() {
        enter(cx.tx, known, person, &paper, at)?;
    }
    cx.tx.vouch(person, practice, at.now)?;
    Ok(link)
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
