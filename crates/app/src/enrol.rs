//! From an invitation to somebody who may sign: the link, the steps, and the first token.

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, AuthorityId, DisableReason, Event, EventKind, InvitationId, Outcome, Passphrase,
    PersonId, PracticeId, Refusal, ReportId, Role, SignInName, Timestamp, Token, TokenModel,
    TokenState,
    access::{AccessRefusal, Cause, Permission, Setting},
    console::ConsoleChange,
    enrolment::{
        Facts, Invitation, InvitationRefusal, InvitationState, LinkSecret, Stage as Step, stage,
    },
    proofing::Channel,
};
use countersign_store::{
    Authority, CasePurpose, CaseState, InvitationRow, Invited, Paper, Person, Practice, Profile,
    RequestBody, RequestRow, RequestStage, Session, Stage, TokenRow, Tx,
};

use super::{
    Act, App, At, Desk, Error, SessionSecret, Wanted,
    access::{overtake_if_gone, put_request},
    attempts::forget_browsers_and_attempts,
    cases::{CaseView, case_view, current_case, open_case},
    log, new_session,
    notices::{Mailer, Note, Notice},
};

/// The terms that are in force; whoever accepted older ones is asked again.
pub const TERMS_VERSION: &str = "2026-11";
/// Seconds before another link goes to somebody who asks for it.
const AGAIN_SECONDS: i64 = 60;

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

/// What following a link leads to.
pub enum Followed {
    /// The enrolment goes on in this session.
    Begun(SessionSecret),
    /// They have an account: log in, then follow it again.
    LogIn,
    /// It does not work.
    Refused(InvitationRefusal),
}

/// Everything that the enrolment of somebody shows.
#[derive(Clone)]
pub struct Enrolment {
    /// Who.
    pub person: Person,
    /// The practice that invited them.
    pub practice: Practice,
    /// What is known of them.
    pub profile: Profile,
    /// They prescribe, and so are proofed and granted.
    pub prescribes: bool,
    /// Registrations and licences in that practice, the institution's own among them.
    pub papers: Vec<Authority>,
    /// Their tokens.
    pub tokens: Vec<Token>,
    /// The models that the operator has judged.
    pub models: Vec<TokenModel>,
    /// What is done.
    pub facts: Facts,
    /// The proofing that is under way, or was completed.
    pub case: Option<CaseView>,
    /// They had a permission to sign in that practice and have none now: why, and since when.
    pub suspended: Option<(Cause, Timestamp)>,
    /// Who has entered a grant for them there that waits for a second person.
    pub grant_entered: Option<String>,
}

impl Enrolment {
    /// The step that is due.
    pub const fn step(&self) -> Step {
        stage(&self.facts)
    }

    /// Until when a token, or a passphrase, can be set now; nothing where a code opens it first.
    pub fn window(&self, now: Timestamp) -> Option<Timestamp> {
        self.case.as_ref().and_then(|case| case.row.window_until).filter(|until| now < *until)
    }
}

/// What somebody says of themselves.
#[derive(Clone)]
pub struct PersonalData {
    /// All of it.
    pub profile: Profile,
    /// A registration and a licence, where the practice has entered none.
    pub papers: Vec<Paper>,
}

/// What becomes of a step that is not the one that is due.
#[derive(Debug)]
pub enum Stepped<T> {
    /// It was done.
    Done(T),
    /// Another step is due.
    NotNow,
    /// The quarter of an hour for it is over, or has not begun.
    NoWindow,
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
        let (by, practice, mailer) = (act.desk.person, act.desk.practice.id, self.mailer());
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
        let (by, practice, mailer) = (act.desk.person, act.desk.practice.id, self.mailer());
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
        let (by, practice, mailer) = (act.desk.person, act.desk.practice.id, self.mailer());
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
        let (by, practice) = (act.desk.person, act.desk.practice.id);
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
    ) -> Result<Followed, Error> {
        let replaced = Followed::Refused(InvitationRefusal::Replaced);
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(replaced) };
        let (policy, mailer) = (self.options.policy, self.mailer());
        let done = self
            .store
            .write("follow_invitation", move |tx| {
                let Some(mut row) = tx.invitation_by_link(&digest)? else { return Ok(None) };
                let Some(person) = tx.person(row.person)? else { return Ok(None) };
                if person.passphrase.is_some() && !row.invited.again {
                    return Ok(Some(Followed::LogIn));
                }
                let accepted = match row.invitation.accept(&digest, at.now) {
                    Ok(()) if person.closed => Err(InvitationRefusal::TakenBack),
                    other => other,
                };
                let event =
                    Event::success(EventKind::InvitationAccepted, Actor::Unknown, at.support)
                        .about(row.practice, row.person)
                        .detail(&row.id.to_string());
                if let Err(why) = accepted {
                    let event = Event { outcome: Outcome::Refused, ..event };
                    tx.append(&event.reason(invitation_code(why)), at.now)?;
                    return Ok(Some(Followed::Refused(why)));
                }
                tx.lock_prescriber(row.person)?;
                tx.save_invitation(&row, at.now)?;
                join(tx, &row, &person, at)?;
                if row.invited.again {
                    let purpose = CasePurpose::Passphrase;
                    open_case(tx, &mailer, &person, row.practice, purpose, at)?;
                }
                tx.end_enrolling_sessions_of(row.person)?;
                let stage = Stage::Enrolling { prescriber: row.person };
                let secret = new_session(tx, old.as_ref(), row.practice, stage, &policy, at.now)?;
                tx.append(&event, at.now)?;
                Ok(Some(Followed::Begun(secret)))
            })
            .await?;
        Ok(done.unwrap_or(replaced))
    }

    /// Joins another practice with the account that one has (question A11).
    pub async fn join_practice(
        &self,
        person: PersonId,
        link: &str,
        at: At,
    ) -> Result<Result<(), InvitationRefusal>, Error> {
        let replaced = Err(InvitationRefusal::Replaced);
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(replaced) };
        let done = self
            .store
            .write("join_practice", move |tx| {
                let Some(mut row) = tx.invitation_by_link(&digest)? else { return Ok(None) };
                // A link for somebody else says nothing of whom.
                if row.person != person || row.invited.again {
                    return Ok(None);
                }
                let Some(who) = tx.person(person)? else { return Ok(None) };
                let accepted = row.invitation.accept(&digest, at.now);
                let actor = Actor::Person(person);
                let event = Event::success(EventKind::InvitationAccepted, actor, at.support)
                    .about(row.practice, person)
                    .detail(&row.id.to_string());
                if let Err(why) = accepted {
                    let event = Event { outcome: Outcome::Refused, ..event };
                    tx.append(&event.reason(invitation_code(why)), at.now)?;
                    return Ok(Some(Err(why)));
                }
                tx.lock_prescriber(person)?;
                tx.save_invitation(&row, at.now)?;
                join(tx, &row, &who, at)?;
                tx.append(&event, at.now)?;
                Ok(Some(Ok(())))
            })
            .await?;
        Ok(done.unwrap_or(replaced))
    }

    /// Sends a new link to somebody whose link was used: to the address that was invited, whoever asks.
    pub async fn ask_again(&self, link: &str, at: At) -> Result<bool, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(false) };
        let mailer = self.mailer();
        let done = self
            .store
            .write("ask_again", move |tx| {
                let Some(row) = tx.invitation_by_link(&digest)? else { return Ok(false) };
                if row.invitation.state != InvitationState::Accepted
                    || at.now < row.created.plus_seconds(AGAIN_SECONDS)
                {
                    return Ok(false);
                }
                let sent = send_again(tx, &mailer, row, Actor::Unknown, at)?;
                if let Some(event) = &sent {
                    tx.append(event, at.now)?;
                }
                Ok(sent.is_some())
            })
            .await?;
        Ok(done)
    }

    /// How far somebody has come.
    pub async fn enrolment(
        &self,
        session: &Session,
        person: PersonId,
        at: At,
    ) -> Result<Enrolment, Error> {
        let practice = session.practice;
        let found =
            self.store.read("enrolment", move |tx| enrolment(tx, person, practice, at.now)).await?;
        let mut found = found.ok_or(Error::NotFound)?;
        found.case = found.case.map(|case| self.with_names(case));
        Ok(found)
    }

    /// Accepts the terms, with the report that was shown with them (21 CFR 1311.102(d)).
    pub async fn accept_terms(
        &self,
        session: &Session,
        person: PersonId,
        report: Option<ReportId>,
        at: At,
    ) -> Result<Stepped<()>, Error> {
        self.enrol("accept_terms", session, person, Step::Terms, at, move |tx, it| {
            tx.accept_terms(person, TERMS_VERSION, at.now)?;
            let mut event =
                Event::success(EventKind::TermsAccepted, Actor::Person(person), at.support)
                    .about(it.practice.id, person)
                    .detail(TERMS_VERSION);
            if let Some(id) = report
                && let Some((report, _)) = tx.report_document(id)?
            {
                tx.review_report(person, id, at.now)?;
                event = event.detail(&format!("{TERMS_VERSION}, report {}", report.facts.name));
            }
            Ok((Stepped::Done(()), event))
        })
        .await
    }

    /// Writes what somebody says of themselves, and opens the case of their proofing.
    pub async fn save_personal_data(
        &self,
        session: &Session,
        person: PersonId,
        data: PersonalData,
        at: At,
    ) -> Result<Stepped<()>, Error> {
        let mailer = self.mailer();
        self.enrol("save_personal_data", session, person, Step::PersonalData, at, move |tx, it| {
            let kept = Profile {
                // Who somebody is, the invitation says; and an address is confirmed by a code alone.
                given: it.profile.given.clone(),
                middle: it.profile.middle.clone(),
                family: it.profile.family.clone(),
                suffix: it.profile.suffix.clone(),
                phone_confirmed: it
                    .profile
                    .phone_confirmed
                    .filter(|_| data.profile.phone == it.profile.phone),
                address_confirmed: it
                    .profile
                    .address_confirmed
                    .filter(|_| data.profile.address == it.profile.address),
                ..data.profile.clone()
            };
            tx.save_profile(&it.person, &kept, at.now)?;
            for paper in &data.papers {
                enter(tx, &it.practice, person, paper, at)?;
            }
            let event = Event::success(EventKind::ProfileSaved, Actor::Person(person), at.support)
                .about(it.practice.id, person);
            // Who proves their identity again has a case already.
            if it.case.is_none() {
                open_case(tx, &mailer, &it.person, it.practice.id, CasePurpose::Enrolment, at)?;
            }
            Ok((Stepped::Done(()), event))
        })
        .await
    }

    /// Chooses the first passphrase, or another one after proofing. The sessions of the enrolment end:
    /// whoever goes on logs in, and sees that all of it works.
    pub async fn choose_passphrase(
        &self,
        session: &Session,
        person: PersonId,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Stepped<()>, Error> {
        let hash = self.hash_new(passphrase).await?;
        let mailer = self.mailer();
        self.enrol("choose_passphrase", session, person, Step::Passphrase, at, move |tx, it| {
            let event =
                Event::success(EventKind::PassphraseChosen, Actor::Person(person), at.support)
                    .about(it.practice.id, person);
            if it.window(at.now).is_none() {
                let event = Event { outcome: Outcome::Refused, ..event };
                return Ok((Stepped::NoWindow, event.reason("window_over")));
            }
            tx.save_passphrase(person, &hash)?;
            if let Some(case) = &it.case {
                let mut row = case.row.clone();
                // A case for a passphrase is used up; one of an enrolment stays as its proof.
                if row.purpose == CasePurpose::Passphrase {
                    row.state = CaseState::Closed;
                }
                row.window_until = None;
                tx.save_case(&row)?;
            }
            tx.end_sessions_of(person)?;
            forget_browsers_and_attempts(tx, &it.person, at.now)?;
            let notice = Notice {
                note: Note::PassphraseChanged,
                practice: it.practice.id,
                detail: "",
                path: "/portal",
            };
            mailer.tell(tx, &it.person, &notice, &[], at.now)?;
            Ok((Stepped::Done(()), event))
        })
        .await
    }

    /// One step of an enrolment: in the session of it, and only while it is the step that is due.
    async fn enrol<T, F>(
        &self,
        name: &'static str,
        session: &Session,
        person: PersonId,
        wanted: Step,
        at: At,
        mut step: F,
    ) -> Result<Stepped<T>, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, &Enrolment) -> Result<(Stepped<T>, Event), countersign_store::Error>
            + Send
            + 'static,
    {
        let (session, practice) = (session.id, session.practice);
        let done = self
            .store
            .write(name, move |tx| {
                tx.lock_prescriber(person)?;
                if tx.lock_session(session)?.is_none() {
                    return Ok(None);
                }
                let Some(it) = enrolment(tx, person, practice, at.now)? else { return Ok(None) };
                if it.step() != wanted {
                    return Ok(Some((Stepped::NotNow, None)));
                }
                let (done, event) = step(tx, &it)?;
                tx.append(&event, at.now)?;
                Ok(Some((done, Some(event))))
            })
            .await?;
        let (done, event) = done.ok_or(Error::SignedOut)?;
        if let Some(event) = &event {
            log(event);
        }
        Ok(done)
    }
}

impl Desk {
    /// Whether somebody at this desk may make a change, as the table of them says.
    pub fn may(&self, change: ConsoleChange) -> bool {
        change.rule().allows(&self.roles)
    }

    /// Whether somebody at this desk invites people.
    pub fn may_invite(&self) -> bool {
        self.may(ConsoleChange::Invite)
    }
}

fn masked(address: &str) -> String {
    address
        .parse::<countersign_domain::EmailAddress>()
        .map_or_else(|_| String::new(), |email| email.masked())
}

const fn invitation_code(why: InvitationRefusal) -> &'static str {
    match why {
        InvitationRefusal::Replaced => "link_replaced",
        InvitationRefusal::RunOut => "link_run_out",
        InvitationRefusal::TakenBack => "link_taken_back",
        InvitationRefusal::Used => "link_used",
    }
}

/// Whether nothing more is to be done with an invitation: it was followed and led to its end.
fn finished(tx: &mut Tx<'_>, row: &InvitationRow) -> Result<bool, countersign_store::Error> {
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
pub(super) fn make_invitation(
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
fn send_again(
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
            token.state = TokenState::Disabled { reason, since: at.now };
            tx.save_token(&token, mark)?;
            let event = Event::success(EventKind::TokenDisabled, by, at.support)
                .about(row.practice, row.person)
                .token(token.id)
                .reason(reason.code());
            tx.append(&event, at.now)?;
        }
        for mut case in tx.cases_for(row.person)? {
            if case.practice == row.practice && case.state != CaseState::Closed {
                case.state = CaseState::Closed;
                tx.save_case(&case)?;
            }
        }
    }
    Ok(Event::success(EventKind::InvitationRevoked, by, at.support)
        .about(row.practice, row.person)
        .detail(&row.id.to_string()))
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
pub(super) fn enter(
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

/// How far somebody has come, from the rows that say so.
pub(super) fn enrolment(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Option<Enrolment>, countersign_store::Error> {
    let Some(person) = tx.person(person)? else { return Ok(None) };
    let Some(practice) = tx.practice(practice)? else { return Ok(None) };
    let profile = tx.profile(&person)?.unwrap_or_default();
    let roles = tx.roles_of(person.id)?;
    let prescribes = roles.iter().any(|(_, member)| member.role == Role::Prescriber);
    let mut papers = tx.authorities(practice.id, Some(person.id))?;
    if practice.setting == Setting::Institution {
        papers.extend(tx.authorities(practice.id, None)?);
    }
    let tokens: Vec<Token> = tx.tokens_of(person.id)?.into_iter().map(|row| row.token).collect();
    let case = current_case(tx, person.id)?;
    let again = case.as_ref().is_some_and(|case| case.purpose == CasePurpose::Passphrase);
    let permissions = tx.permissions_of(person.id)?;
    let granted = permissions.iter().any(|(_, row)| row.permission.allows());
    let id = practice.id;
    let here = || permissions.iter().filter(move |(place, _)| *place == id);
    let suspended = here()
        .filter_map(|(_, row)| match row.permission {
            Permission::Revoked { cause, since, .. } => Some((cause, since)),
            Permission::Granted { .. } | Permission::None => None,
        })
        .max_by_key(|(_, since)| *since)
        .filter(|_| !here().any(|(_, row)| row.permission.allows()));
    let waits = |row: &RequestRow| {
        row.person == Some(person.id)
            && row.stage == RequestStage::Entered
            && matches!(row.body, RequestBody::Grant { .. })
    };
    let waiting = if granted && suspended.is_none() {
        None
    } else {
        tx.requests(practice.id, 200)?.into_iter().find(waits)
    };
    let grant_entered = match waiting {
        Some(row) => tx.person(row.entered_by)?.map(|found| found.name),
        None => None,
    };
    let facts = Facts {
        terms: tx.terms_accepted(person.id, TERMS_VERSION)?,
        // The person has looked at it: that is what opens the case.
        personal_data: is_whole(&profile, prescribes, &papers)
            && (case.is_some() || person.passphrase.is_some()),
        // An account of before has been proofed as the operator did it then.
        proofed: case
            .as_ref()
            .map_or(person.passphrase.is_some(), |case| case.state == CaseState::Complete),
        tokens: u32::try_from(tokens.iter().filter(|token| token.is_active()).count())
            .unwrap_or(u32::MAX),
        passphrase: person.passphrase.is_some() && !again,
        granted: granted || !prescribes,
    };
    let case = case.map(|row| case_view(tx, row, now)).transpose()?;
    let models = tx.token_models()?;
    Ok(Some(Enrolment {
        person,
        practice,
        profile,
        prescribes,
        papers,
        tokens,
        models,
        facts,
        case,
        suspended,
        grant_entered,
    }))
}

/// Whether the personal data is all there: two addresses for notices, a way for a code; and of a
/// prescriber the date of birth, a registration and a licence.
fn is_whole(profile: &Profile, prescribes: bool, papers: &[Authority]) -> bool {
    let addresses = profile.emails.len() + usize::from(!profile.phone.is_empty());
    let way = !profile.phone.is_empty() || !profile.address.is_empty();
    let dea = papers.iter().any(|it| it.paper.dea().is_some());
    let licence = papers.iter().any(|it| matches!(it.paper, Paper::Licence(_)));
    addresses >= 2 && way && (!prescribes || !profile.born.is_empty() && dea && licence)
}

/// A passphrase as somebody chooses it, checked against what is known of the account.
pub fn new_passphrase(
    typed: &SecretText,
    person: &Person,
) -> Result<Passphrase, countersign_domain::PassphraseError> {
    let name = person.sign_in.as_text();
    let own = [person.name.as_str(), name.as_str(), person.practice_name.as_str()];
    Passphrase::choose(typed, &own)
}
