//! The link of an invitation: where it leads, and how it is followed.

use std::convert::Infallible;

use countersign_domain::{
    Actor, AuthorityId, Event, EventKind, Outcome, PersonId, Role,
    command::commands,
    enrolment::{InvitationRefusal, InvitationState, LinkSecret},
};
use countersign_store::{
    Authority, CasePurpose, InvitationRow, Paper, Person, Practice, Session, Stage, Tx,
};

use super::invitations::{AGAIN_SECONDS, finished, send_again};
use crate::{
    Answer, App, At, Error, RefusalCode, SessionSecret,
    cases::open_case,
    command::{Caller, Decision},
    new_session,
};

/// Where the link of an invitation leads.
#[derive(Debug, Clone)]
pub enum Link {
    /// It can be followed.
    Open {
        /// The practice that invites.
        practice: String,
        /// Whom: the name.
        name: String,
        /// They have an account, and log in to accept.
        account: bool,
    },
    /// It can't.
    Closed {
        /// Why.
        why: InvitationRefusal,
        /// A new link can be had: where it would go, masked.
        again: Option<String>,
    },
}

/// Where a link that was followed leads.
pub enum Followed {
    /// An enrollment goes on in this session.
    Begun(SessionSecret),
    /// The person has an account: they sign in, and join from there.
    SignIn,
}

impl App {
    /// Where a link leads. Looking at it changes nothing: mail programs open links by themselves.
    pub async fn invitation(&self, link: &str, at: At) -> Result<Link, Error> {
        let closed = Link::Closed { why: InvitationRefusal::Replaced, again: None };
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(closed) };
        let found = self
            .store
            .read("invitation", move |tx| {
                let Some(row) = tx.invitation_by_link(&digest)? else { return Ok(None) };
                let Some(person) = tx.person(row.person)? else { return Ok(None) };
                let again = match row.invitation.state {
                    InvitationState::Accepted if !finished(tx, &row)? => {
                        row.invited.profile.emails.first().map(|address| masked(address))
                    }
                    _ => None,
                };
                let practice = tx.practice_name(row.practice)?.unwrap_or_default();
                let mut tried = row.invitation.clone();
                if let Err(why) = tried.accept(&digest, at.now) {
                    return Ok(Some(Link::Closed { why, again }));
                }
                let account = person.passphrase.is_some() && !row.invited.again;
                Ok(Some(Link::Open { practice, name: person.name, account }))
            })
            .await?;
        Ok(found.unwrap_or(closed))
    }

    /// Follows a link: once. Whoever enrols elsewhere at the same time is signed out there.
    pub async fn follow(
        &self,
        link: &str,
        old: Option<Session>,
        at: At,
    ) -> Result<Answer<Followed, InvitationRefusal>, Error> {
        let replaced = Answer::Refused(InvitationRefusal::Replaced);
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(replaced) };
        let done = self.run(commands::FOLLOW_INVITATION, Caller::Link, at, move |cx| {
            let Some(mut row) = cx.tx.invitation_by_link(&digest)? else {
                return Ok(Decision::NotFound);
            };
            let Some(person) = cx.tx.person(row.person)? else { return Ok(Decision::NotFound) };
            cx.event = cx.event.clone().about(row.practice, row.person);
            cx.detail(&row.id.to_string());
            if person.passphrase.is_some() && !row.invited.again {
                return Ok(Decision::Done(Followed::SignIn));
            }
            let accepted = match row.invitation.accept(&digest, at.now) {
                Ok(()) if person.closed => Err(InvitationRefusal::TakenBack),
                other => other,
            };
            if let Err(why) = accepted {
                return Ok(Decision::Refused(why));
            }
            let (tx, policy) = (&mut *cx.tx, cx.policy);
            tx.lock_prescriber(row.person)?;
            tx.save_invitation(&row, at.now)?;
            join(tx, &row, &person, at)?;
            if row.invited.again {
                let purpose = CasePurpose::Passphrase;
                open_case(tx, cx.mailer, &person, row.practice, purpose, at)?;
            }
            tx.end_enrolling_sessions_of(row.person)?;
            let stage = Stage::Enrolling { prescriber: row.person };
            let secret = new_session(tx, old.as_ref(), row.practice, stage, &policy, at.now)?;
            Ok(Decision::Done(Followed::Begun(secret)))
        });
        match done.await {
            // A link that nobody knows was replaced.
            Err(Error::NotFound) => Ok(Answer::Refused(InvitationRefusal::Replaced)),
            other => other,
        }
    }

    /// Joins another practice with the account that one has (question A11).
    pub async fn join_practice(
        &self,
        session: &Session,
        link: &str,
        at: At,
    ) -> Result<Answer<(), InvitationRefusal>, Error> {
        let replaced = Answer::Refused(InvitationRefusal::Replaced);
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(replaced) };
        let done = self.run(commands::JOIN_PRACTICE, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            // A link for somebody else says nothing of whom.
            let found = cx.tx.invitation_by_link(&digest)?;
            let found = found.filter(|row| row.person == who.id && !row.invited.again);
            let Some(mut row) = found else { return Ok(Decision::NotFound) };
            cx.event.practice = Some(row.practice);
            cx.detail(&row.id.to_string());
            if let Err(why) = row.invitation.accept(&digest, at.now) {
                return Ok(Decision::Refused(why));
            }
            cx.tx.save_invitation(&row, at.now)?;
            join(cx.tx, &row, &who, at)?;
            Ok(Decision::Done(()))
        });
        match done.await {
            Err(Error::NotFound) => Ok(Answer::Refused(InvitationRefusal::Replaced)),
            other => other,
        }
    }

    /// Sends a new link to somebody whose link was used: to the address that was invited, whoever asks. Nothing is found
    /// where there is none to send.
    pub async fn ask_again(&self, link: &str, at: At) -> Result<Answer<(), Infallible>, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Err(Error::NotFound) };
        self.run(commands::ASK_INVITATION_AGAIN, Caller::Link, at, move |cx| {
            let found = cx.tx.invitation_by_link(&digest)?;
            let found = found.filter(|row| {
                row.invitation.state == InvitationState::Accepted
                    && at.now >= row.created.plus_seconds(AGAIN_SECONDS)
            });
            let Some(row) = found else { return Ok(Decision::NotFound) };
            let sent = send_again(cx.tx, cx.mailer, row, Actor::Unknown, at)?;
            let Some(event) = sent else { return Ok(Decision::NotFound) };
            cx.event = event;
            Ok(Decision::Done(()))
        })
        .await
    }
}

impl RefusalCode for InvitationRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Replaced => "link_replaced",
            Self::RunOut => "link_run_out",
            Self::TakenBack => "link_taken_back",
            Self::Used => "link_used",
        }
    }
}

fn masked(address: &str) -> String {
    address
        .parse::<countersign_domain::EmailAddress>()
        .map_or_else(|_| String::new(), |email| email.masked())
}

/// Makes somebody one of a practice, as their invitation says: roles that one person gives, and papers.
fn join(
    tx: &mut Tx<'_>,
    row: &InvitationRow,
    person: &Person,
    at: At,
) -> Result<(), countersign_store::Error> {
    let Some(practice) = tx.practice(row.practice)? else { return Ok(()) };
    for role in row.invited.roles.iter().filter_map(|code| Role::from_code(code)) {
        // The first people of a practice, whom the operator named, have theirs already.
        if !role.takes_two()
            && tx.give_role(person.id, practice.id, role, &row.invited.unit, at.now)?
        {
            let event = Event::success(EventKind::RoleChanged, Actor::System, at.support)
                .about(practice.id, person.id)
                .reason("given")
                .detail(role.code());
            tx.append(&event, at.now)?;
        }
    }
    for paper in row.invited.papers() {
        enter(tx, &practice, person.id, &paper, at)?;
    }
    Ok(())
}

/// Enters a registration or a licence, if it is not there.
pub(crate) fn enter(
    tx: &mut Tx<'_>,
    practice: &Practice,
    person: PersonId,
    paper: &Paper,
    at: At,
) -> Result<(), countersign_store::Error> {
    let known = tx.authorities(practice.id, Some(person))?;
    if known.iter().any(|it| it.paper.is_same(paper)) {
        return Ok(());
    }
    let actor = Actor::Person(person);
    // The institution's number is nobody's own: under it one signs with an internal code (21 CFR 1301.22(c)).
    if tx.authorities(practice.id, None)?.iter().any(|it| it.paper.is_same(paper)) {
        let mut event = Event::success(EventKind::AuthorityChanged, actor, at.support)
            .about(practice.id, person)
            .detail(&paper.label());
        event.outcome = Outcome::Refused;
        return tx.append(&event.reason("institutions_number"), at.now);
    }
    if tx.is_relied_on(practice.id, Some(person), None, paper)? {
        // What a permission would rest on from now on takes two people, whoever typed it.
        let mut event = Event::success(EventKind::AuthorityChanged, actor, at.support)
            .about(practice.id, person)
            .detail(&format!("{}, until {}", paper.label(), paper.expires()));
        event.outcome = Outcome::Refused;
        return tx.append(&event.reason("takes_two"), at.now);
    }
    let made = Authority {
        id: AuthorityId::new(at.now, tx.rng())?,
        practice: practice.id,
        person: Some(person),
        paper: paper.clone(),
        stops_at: paper.expires().end(&practice.zone),
        withdrawn: None,
        warned: None,
    };
    tx.create_authority(&made, at.now)?;
    let event = Event::success(EventKind::AuthorityChanged, actor, at.support)
        .about(practice.id, person)
        .detail(&format!("{}, until {}", paper.label(), paper.expires()));
    tx.append(&event, at.now)
}
