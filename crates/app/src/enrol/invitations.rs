//! Invitations: sent, sent again, and taken back.

use countersign_domain::{
    Actor, DisableReason, Event, EventKind, InvitationId, Outcome, PersonId, PracticeId, Refusal,
    Role, SignInName,
    access::AccessRefusal,
    console::ConsoleChange,
    enrolment::{Invitation, InvitationState, LinkSecret},
    proofing::Channel,
};
use countersign_store::{CasePurpose, InvitationRow, Invited, Person, Profile, TokenRow, Tx};

use crate::{
    Act, App, At, Error, Membership, Wanted,
    access::{overtake_if_gone, put_request},
    cases::current_case,
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

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invite {
    /// It is on its way.
    Sent(InvitationId),
    /// Somebody of this practice signs in with that name already.
    AlreadyHere,
    /// Another practice enrols that person at the moment.
    Elsewhere,
    /// The role takes two people, and whoever invites is none of those who ask for it.
    Refused(AccessRefusal),
}

impl App {
    /// Invites somebody: an account without a passphrase, and a link that goes to their own address. A role that
    /// takes two people is asked for at once, and given when another person has executed that.
    pub async fn invite(
        &self,
        act: Act,
        invitee: Invitee,
        at: At,
    ) -> Result<Result<Invite, Refusal>, Error> {
        let (by, practice, mailer) =
            (act.membership.person, act.membership.practice.id, self.mailer());
        self.console(act, ConsoleChange::Invite, at, move |tx, event| {
            let roles = invitee.invited.roles.iter().filter_map(|code| Role::from_code(code));
            let wanted: Vec<Role> = roles.filter(|role| role.takes_two()).collect();
            let event = event.detail(&invitee.sign_in.masked());
            if !wanted.is_empty() {
                let who = tx.acting(by, practice, at.now)?;
                let refusal = match (who.designated, who.confirmed) {
                    (false, _) => Some(AccessRefusal::NotDesignated),
                    (true, false) => Some(AccessRefusal::Unconfirmed),
                    (true, true) => None,
                };
                if let Some(refusal) = refusal {
                    let event = Event { outcome: Outcome::Refused, ..event };
                    return Ok(Some((Invite::Refused(refusal), event.reason(refusal.code()))));
                }
            }
            let (answer, _, event) =
                make_invitation(tx, &mailer, Actor::Person(by), practice, &invitee, at)?;
            if let (Invite::Sent(_), Some(person)) = (&answer, event.prescriber) {
                for role in wanted {
                    let unit = invitee.invited.unit.clone();
                    let wanted = Wanted::Role { person, role, unit, give: true };
                    let reason = "Invited with this role";
                    let asked = put_request(tx, &mailer, practice, by, &wanted, reason, at)?;
                    if let Some((_, event)) = asked {
                        tx.append(&event, at.now)?;
                    }
                }
            }
            Ok(Some((answer, event)))
        })
        .await
    }

    /// Asks somebody of the practice to prove their identity again, because the passphrase is forgotten and
    /// no two tokens are left: a link to the addresses on record, of which nobody here learns anything
    /// (SP 800-63B, 6.1.2.3). `false` where it can't be sent.
    pub async fn ask_to_prove_again(
        &self,
        act: Act,
        person: PersonId,
        at: At,
    ) -> Result<Result<bool, Refusal>, Error> {
        let (by, practice, mailer) =
            (act.membership.person, act.membership.practice.id, self.mailer());
        self.console(act, ConsoleChange::ProveAgain, at, move |tx, event| {
            let mut event = event.about(practice, person).detail("prove again");
            let found = tx.person(person)?;
            // The practice that keeps the account, and nobody for themselves.
            let who = found.filter(|it| it.practice == practice && !it.closed && by != person);
            let profile = match &who {
                Some(who) => tx.profile(who)?,
                None => None,
            };
            let (Some(who), Some(profile)) = (who, profile) else {
                event.outcome = Outcome::Refused;
                return Ok(Some((false, event.reason(Refusal::NoChange.code()))));
            };
            let invited = Invited { profile, again: true, ..Invited::default() };
            send_invitation(tx, &mailer, Actor::Person(by), practice, &who, invited, at)?;
            Ok(Some((true, event)))
        })
        .await
    }

    /// Sends an invitation again, with a new link. Nothing is found where there is none that can be.
    pub async fn resend_invitation(
        &self,
        act: Act,
        id: InvitationId,
        at: At,
    ) -> Result<Result<(), Refusal>, Error> {
        let (by, practice, mailer) =
            (act.membership.person, act.membership.practice.id, self.mailer());
        self.console(act, ConsoleChange::ResendInvitation, at, move |tx, _| {
            let Some(row) = tx.invitation(practice, id)? else { return Ok(None) };
            let sent = send_again(tx, &mailer, row, Actor::Person(by), at)?;
            Ok(sent.map(|event| ((), event)))
        })
        .await
    }

    /// Takes an invitation back: its link is dead, what was begun with it ends.
    pub async fn revoke_invitation(
        &self,
        act: Act,
        id: InvitationId,
        at: At,
    ) -> Result<Result<(), Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.console(act, ConsoleChange::RevokeInvitation, at, move |tx, _| {
            let Some(row) = tx.invitation(practice, id)? else { return Ok(None) };
            if row.invitation.state == InvitationState::Revoked || finished(tx, &row)? {
                return Ok(None);
            }
            let person = row.person;
            let event = take_back(tx, row, Actor::Person(by), at)?;
            overtake_if_gone(tx, person, practice, at)?;
            Ok(Some(((), event)))
        })
        .await
    }
}

impl Membership {
    /// Whether somebody with this membership may make a change, as the table of them says.
    pub fn may(&self, change: ConsoleChange) -> bool {
        change.rule().allows(&self.roles)
    }

    /// Whether somebody with this membership invites people.
    pub fn may_invite(&self) -> bool {
        self.may(ConsoleChange::Invite)
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
/// the console of the host. The event is the caller's to write.
pub(crate) fn make_invitation(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    by: Actor,
    practice: PracticeId,
    invitee: &Invitee,
    at: At,
) -> Result<(Invite, String, Event), countersign_store::Error> {
    let event = |outcome, person: Option<PersonId>, reason: &'static str| {
        let mut event = Event::success(EventKind::PersonInvited, by, at.support)
            .detail(&invitee.sign_in.masked());
        event.outcome = outcome;
        event.practice = Some(practice);
        event.prescriber = person;
        if outcome == Outcome::Refused { event.reason(reason) } else { event }
    };
    let person = if let Some(known) = tx.person_by_name(&invitee.sign_in)? {
        let member = tx.is_member(known.id, practice)?;
        let refused = if member && known.passphrase.is_some() {
            Some((Invite::AlreadyHere, "already_here"))
        } else if known.closed {
            Some((Invite::Elsewhere, "account_closed"))
        } else if known.passphrase.is_none() && known.practice != practice {
            Some((Invite::Elsewhere, "enrolled_elsewhere"))
        } else {
            None
        };
        if let Some((answer, reason)) = refused {
            // Whose account it is, an event of this practice does not say.
            return Ok((answer, String::new(), event(Outcome::Refused, None, reason)));
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
    Ok((Invite::Sent(id), link, event(Outcome::Success, Some(person.id), "")))
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
