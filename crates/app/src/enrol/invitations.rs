//! Invitations: sent, sent again, and taken back.

use std::convert::Infallible;

use countersign_domain::{
    Actor, DisableReason, Event, EventKind, InvitationId, PersonId, PracticeId, Refusal, Role,
    SignInName,
    access::AccessRefusal,
    command::{Command, commands},
    enrolment::{Invitation, InvitationState, LinkSecret},
    proofing::Channel,
};
use countersign_store::{CasePurpose, InvitationRow, Invited, Person, Profile, TokenRow, Tx};

use crate::{
    Act, Answer, App, At, Error, Membership, RefusalCode, Wanted,
    access::{overtake_if_gone, put_request},
    cases::current_case,
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
};

/// Seconds before another link goes to somebody who asks for it.
pub(super) const AGAIN_SECONDS: i64 = 60;

/// Whom somebody invites.
#[derive(Clone)]
pub struct Invitee {
    /// What they will sign in with.
    pub sign_in: SignInName,
    /// The rest, as it was typed and checked.
    pub invited: Invited,
}

/// Why somebody is not invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteRefusal {
    /// They are of the practice already.
    AlreadyHere,
    /// The account of that NPI or address is closed.
    AccountClosed,
    /// Another practice enrolls that person at the moment.
    EnrollsElsewhere,
    /// The role takes two people, and whoever invites is none of those who ask for it.
    Access(AccessRefusal),
}

impl RefusalCode for InviteRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyHere => "already_here",
            Self::AccountClosed => "account_closed",
            Self::EnrollsElsewhere => "enrolled_elsewhere",
            Self::Access(refusal) => refusal.code(),
        }
    }
}

/// An invitation that was made.
pub(crate) struct MadeInvitation {
    pub(crate) id: InvitationId,
    pub(crate) person: PersonId,
    /// The link that works, for whoever is at the terminal of the host.
    pub(crate) link: String,
}

impl App {
    /// Invites somebody: an account without a passphrase, and a link that goes to their own address. A role that
    /// takes two people is asked for at once, and given when another person has executed that.
    pub async fn invite(
        &self,
        act: Act,
        invitee: Invitee,
        at: At,
    ) -> Result<Answer<InvitationId, InviteRefusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::INVITE, Caller::Member(Box::new(act)), at, move |cx| {
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            let roles = invitee.invited.roles.iter().filter_map(|code| Role::from_code(code));
            let wanted: Vec<Role> = roles.filter(|role| role.takes_two()).collect();
            cx.event = cx.event.clone().detail(&invitee.sign_in.masked());
            if !wanted.is_empty() {
                let who = tx.acting(by, practice, at.now)?;
                let refusal = match (who.designated, who.confirmed) {
                    (false, _) => Some(AccessRefusal::NotDesignated),
                    (true, false) => Some(AccessRefusal::Unconfirmed),
                    (true, true) => None,
                };
                if let Some(refusal) = refusal {
                    return Ok(Decision::Refused(InviteRefusal::Access(refusal)));
                }
            }
            let made = make_invitation(tx, mailer, Actor::Person(by), practice, &invitee, at)?;
            let made = match made {
                Ok(made) => made,
                Err(refusal) => return Ok(Decision::Refused(refusal)),
            };
            for role in wanted {
                let (person, unit) = (made.person, invitee.invited.unit.clone());
                let wanted = Wanted::Role { person, role, unit, give: true };
                let reason = "Invited with this role";
                let asked = put_request(tx, mailer, practice, by, &wanted, reason, at)?;
                if let Some((_, event)) = asked {
                    tx.append(&event, at.now)?;
                }
            }
            cx.about(made.person);
            Ok(Decision::Done(made.id))
        })
        .await
    }

    /// Asks somebody of the practice to prove their identity again, because the passphrase is forgotten and
    /// no two tokens are left: a link to the addresses on record, of which nobody here learns anything
    /// (SP 800-63B, 6.1.2.3).
    pub async fn ask_to_prove_again(
        &self,
        act: Act,
        person: PersonId,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::PROVE_AGAIN, Caller::Member(Box::new(act)), at, move |cx| {
            cx.about(person);
            cx.detail("prove again");
            let tx = &mut *cx.tx;
            let found = tx.person(person)?;
            // The practice that keeps the account, and nobody for themselves.
            let who = found.filter(|it| it.practice == practice && !it.closed && by != person);
            let profile = match &who {
                Some(who) => tx.profile(who)?,
                None => None,
            };
            let (Some(who), Some(profile)) = (who, profile) else {
                return Ok(Decision::Refused(Refusal::NoChange));
            };
            let invited = Invited { profile, again: true, ..Invited::default() };
            send_invitation(tx, cx.mailer, Actor::Person(by), practice, &who, invited, at)?;
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Sends an invitation again, with a new link. Nothing is found where there is none that can be.
    pub async fn resend_invitation(
        &self,
        act: Act,
        id: InvitationId,
        at: At,
    ) -> Result<Answer<(), Infallible>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::RESEND_INVITATION, Caller::Member(Box::new(act)), at, move |cx| {
            let Some(row) = cx.tx.invitation(practice, id)? else { return Ok(Decision::NotFound) };
            let sent = send_again(cx.tx, cx.mailer, row, Actor::Person(by), at)?;
            let Some(event) = sent else { return Ok(Decision::NotFound) };
            cx.event = event;
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Takes an invitation back: its link is dead, what was begun with it ends.
    pub async fn revoke_invitation(
        &self,
        act: Act,
        id: InvitationId,
        at: At,
    ) -> Result<Answer<(), Infallible>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::REVOKE_INVITATION, Caller::Member(Box::new(act)), at, move |cx| {
            let Some(row) = cx.tx.invitation(practice, id)? else { return Ok(Decision::NotFound) };
            if row.invitation.state == InvitationState::Revoked || finished(cx.tx, &row)? {
                return Ok(Decision::NotFound);
            }
            let person = row.person;
            cx.event = take_back(cx.tx, row, Actor::Person(by), at)?;
            overtake_if_gone(cx.tx, person, practice, at)?;
            Ok(Decision::Done(()))
        })
        .await
    }
}

impl Membership {
    /// Whether somebody with this membership may make a change, as the table of them says.
    pub fn may(&self, command: Command) -> bool {
        command.allows(&self.roles)
    }

    /// Whether somebody with this membership invites people.
    pub fn may_invite(&self) -> bool {
        self.may(commands::INVITE)
    }
}

/// Whether nothing more is to be done with an invitation: it was followed and led to its end.
pub(super) fn finished(
    tx: &mut Tx<'_>,
    row: &InvitationRow,
) -> Result<bool, countersign_store::Error> {
    if row.invitation.state != InvitationState::Accepted {
        return Ok(false);
    }
    let Some(person) = tx.person(row.person)? else { return Ok(true) };
    if row.invited.again {
        let open = current_case(tx, person.id)?;
        return Ok(!open.is_some_and(|case| case.purpose == CasePurpose::Passphrase));
    }
    Ok(person.passphrase.is_some())
}

/// Invites somebody, with an account where there is none. Also says which link works, for whoever is at
/// the terminal of the host. The event is the caller's to write.
pub(crate) fn make_invitation(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    by: Actor,
    practice: PracticeId,
    invitee: &Invitee,
    at: At,
) -> Result<Result<MadeInvitation, InviteRefusal>, countersign_store::Error> {
    let person = if let Some(known) = tx.person_by_name(&invitee.sign_in)? {
        let member = tx.is_member(known.id, practice)?;
        // Whose account it is, an event of this practice does not say.
        if member && known.passphrase.is_some() {
            return Ok(Err(InviteRefusal::AlreadyHere));
        }
        if known.closed {
            return Ok(Err(InviteRefusal::AccountClosed));
        }
        if known.passphrase.is_none() && known.practice != practice {
            return Ok(Err(InviteRefusal::EnrollsElsewhere));
        }
        known
    } else {
        let id = PersonId::new(at.now, tx.rng())?;
        let name = full_name(&invitee.invited.profile);
        tx.create_person(id, practice, &invitee.sign_in, &name, None, at.now)?;
        tx.person(id)?.ok_or_else(|| Tx::broken("a person who was just made"))?
    };
    let mut invited = invitee.invited.clone();
    if person.passphrase.is_some() {
        // Somebody with an account is told at their own addresses, whatever was typed here.
        invited.profile = tx.profile(&person)?.unwrap_or_default();
    } else {
        tx.save_profile(&person, &invited.profile, at.now)?;
    }
    let (id, link) = send_invitation(tx, mailer, by, practice, &person, invited, at)?;
    Ok(Ok(MadeInvitation { id, person: person.id, link }))
}

fn full_name(profile: &Profile) -> String {
    let parts = [&profile.given, &profile.middle, &profile.family, &profile.suffix];
    let parts: Vec<&str> =
        parts.into_iter().map(|it| it.trim()).filter(|it| !it.is_empty()).collect();
    parts.join(" ")
}

/// A new invitation in place of earlier ones, and its link on the way.
fn send_invitation(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    by: Actor,
    practice: PracticeId,
    person: &Person,
    invited: Invited,
    at: At,
) -> Result<(InvitationId, String), countersign_store::Error> {
    for row in tx.invitations_for(person.id)? {
        let open = row.invitation.state != InvitationState::Revoked && !finished(tx, &row)?;
        if row.practice == practice && open {
            let event = take_back(tx, row, by, at)?;
            tx.append(&event, at.now)?;
        }
    }
    let id = InvitationId::new(at.now, tx.rng())?;
    let secret = LinkSecret::new(tx.rng())?;
    let row = InvitationRow {
        id,
        practice,
        person: person.id,
        invited_by: match by {
            Actor::Person(by) => Some(by),
            _ => None,
        },
        invitation: Invitation::new(&secret.digest(), at.now),
        created: at.now,
        invited,
    };
    tx.create_invitation(&row)?;
    mail_link(tx, mailer, &row, person, &secret, at)?;
    Ok((id, format!("{}/invitation/{}", mailer.public_url, secret.text())))
}

fn mail_link(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    row: &InvitationRow,
    person: &Person,
    secret: &LinkSecret,
    at: At,
) -> Result<(), countersign_store::Error> {
    let note = if row.invited.again { Note::ProveAgain } else { Note::Invitation };
    let notice = Notice {
        note,
        practice: row.practice,
        detail: &person.name,
        path: &format!("/invitation/{}", secret.text()),
    };
    // The link goes to one address; that it went, to all others.
    let Some((first, others)) = row.invited.profile.emails.split_first() else { return Ok(()) };
    mailer.write(tx, &notice, Some(person.id), Channel::Email, first, None, at.now)?;
    if row.invited.again {
        let told = Notice { note: Note::ProveAgainTold, path: "/portal", ..notice };
        for address in others {
            mailer.write(tx, &told, Some(person.id), Channel::Email, address, None, at.now)?;
        }
        let phone = &row.invited.profile.phone;
        if !phone.is_empty() {
            mailer.write(tx, &told, Some(person.id), Channel::Phone, phone, None, at.now)?;
        }
    }
    Ok(())
}

/// Sends an invitation again, with a new link; the event is the caller's to write.
pub(super) fn send_again(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    mut row: InvitationRow,
    by: Actor,
    at: At,
) -> Result<Option<Event>, countersign_store::Error> {
    let Some(person) = tx.person(row.person)? else { return Ok(None) };
    let secret = LinkSecret::new(tx.rng())?;
    if finished(tx, &row)? || row.invitation.resend(&secret.digest(), at.now).is_err() {
        return Ok(None);
    }
    row.created = at.now;
    tx.save_invitation(&row, at.now)?;
    mail_link(tx, mailer, &row, &person, &secret, at)?;
    let event = Event::success(EventKind::InvitationSentAgain, by, at.support)
        .about(row.practice, row.person)
        .detail(&row.id.to_string());
    Ok(Some(event))
}

/// Takes an invitation back, and with it what was begun: another invitation starts anew, so that no
/// proofing of one serves the addresses of another. The event is the caller's to write.
fn take_back(
    tx: &mut Tx<'_>,
    mut row: InvitationRow,
    by: Actor,
    at: At,
) -> Result<Event, countersign_store::Error> {
    tx.lock_prescriber(row.person)?;
    row.invitation.revoke();
    tx.save_invitation(&row, at.now)?;
    let account = tx.person(row.person)?.is_some_and(|person| person.passphrase.is_some());
    if !account || row.invited.again {
        tx.end_enrolling_sessions_of(row.person)?;
        // What was bound on the way belongs to whoever held that link.
        for TokenRow { mut token, mark, .. } in tx.tokens_of(row.person)? {
            if account || !token.is_active() {
                continue;
            }
            let reason = DisableReason::Replaced;
            token.force_disable(reason, at.now);
            tx.save_token(&token, mark)?;
            let event = Event::success(EventKind::TokenDisabled, by, at.support)
                .about(row.practice, row.person)
                .token(token.id())
                .reason(reason.code());
            tx.append(&event, at.now)?;
        }
        for mut case in tx.cases_for(row.person)? {
            if case.practice == row.practice && !case.state.is_closed() {
                case.state.close();
                tx.save_case(&case)?;
            }
        }
    }
    Ok(Event::success(EventKind::InvitationRevoked, by, at.support)
        .about(row.practice, row.person)
        .detail(&row.id.to_string()))
}
