//! Notices: written into the outbox in the transaction of what they tell, sent afterwards, at least
//! once. No notice holds a passcode, a passphrase or a word of a patient.

use std::{collections::BTreeSet, sync::Arc};

use countersign_domain::{
    Actor, Event, EventKind, MessageId, Outcome, PersonId, PhoneNumber, PracticeId, Role,
    Timestamp, enrolment::LinkSecret, proofing::Channel, shown_line,
};
use countersign_store::{Message, MessageBody, Person, Tx};

pub(super) use super::Note;
use super::{App, At, Error, NoticeFacts, NoticeText};
use crate::outbound::{Fault, Outbound, Outgoing};

/// How long a link that says "this was not me" works, in seconds: 90 days.
const NOT_ME_SECONDS: i64 = 90 * 86_400;
/// How long a message that is being sent belongs to the one who sends it, in seconds.
const CLAIM_SECONDS: i64 = 120;
/// The first pause after a failed try, in seconds; it doubles from try to try.
const FIRST_PAUSE_SECONDS: i64 = 30;
/// The longest pause, in seconds: six hours.
const LONGEST_PAUSE_SECONDS: i64 = 6 * 3_600;
/// Tries after which a message is given up: more than three days.
const MOST_TRIES: i64 = 24;

/// What writing a notice takes beside the transaction. Cheap to clone.
#[derive(Clone)]
pub(super) struct Mailer {
    pub(super) public_url: Arc<str>,
    pub(super) demonstration: bool,
    pub(super) text: NoticeText,
}

/// One notice.
pub(super) struct Notice<'a> {
    pub(super) note: Note,
    pub(super) practice: PracticeId,
    /// What is put into the text: one line.
    pub(super) detail: &'a str,
    /// Where it leads, as a path of ours.
    pub(super) path: &'a str,
}

impl Mailer {
    fn body(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice<'_>,
        to: &str,
        not_me: Option<&str>,
    ) -> Result<MessageBody, countersign_store::Error> {
        let practice = tx.practice_name(notice.practice)?.unwrap_or_default();
        // One line: what people typed must not look like another paragraph of ours, or end a header.
        let (practice, detail) = (shown_line(&practice, 300), shown_line(notice.detail, 300));
        let link = format!("{}{}", self.public_url, notice.path);
        let facts = NoticeFacts {
            practice: &practice,
            detail: &detail,
            link: &link,
            not_me,
            demonstration: self.demonstration,
        };
        let text =
            (self.text)(notice.note, &facts).map_err(|_| Tx::broken("a notice did not render"))?;
        let subject = notice.note.subject().replace("{{ practice }}", &practice);
        Ok(MessageBody { to: to.to_owned(), subject, text })
    }

    /// Puts one message to one address into the outbox.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the message")]
    pub(super) fn write(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice<'_>,
        person: Option<PersonId>,
        channel: Channel,
        to: &str,
        not_me: Option<&str>,
        now: Timestamp,
    ) -> Result<MessageId, countersign_store::Error> {
        let body = self.body(tx, notice, to, not_me)?;
        let id = MessageId::new(now, tx.rng())?;
        tx.create_message(&Message {
            id,
            practice: notice.practice,
            person,
            kind: notice.note.code().to_owned(),
            channel,
            body: Some(body),
            created: now,
            next_try: now,
            tries: 0,
            done: None,
            outcome: String::new(),
        })?;
        Ok(id)
    }

    /// Tells somebody at all their addresses (SP 800-63B, 6.1.2.1: through a route of its own), with a
    /// link that says "this was not me". `also` are addresses that were theirs until now.
    pub(super) fn tell(
        &self,
        tx: &mut Tx<'_>,
        person: &Person,
        notice: &Notice<'_>,
        also: &[String],
        now: Timestamp,
    ) -> Result<(), countersign_store::Error> {
        let secret = LinkSecret::new(tx.rng())?;
        let link = format!("{}/not-me/{}", self.public_url, secret.text());
        let sent = self.send_to(tx, person, notice, also, Some(&link), now)?;
        if sent {
            let until = now.plus_seconds(NOT_ME_SECONDS);
            tx.create_repudiation(&secret.digest(), person.id, notice.practice, until)?;
        }
        Ok(())
    }

    /// Tells somebody what they did not do, and nobody else did in their name: without that link, which would
    /// stop all their tokens for nothing.
    pub(super) fn inform(
        &self,
        tx: &mut Tx<'_>,
        person: &Person,
        notice: &Notice<'_>,
        now: Timestamp,
    ) -> Result<(), countersign_store::Error> {
        self.send_to(tx, person, notice, &[], None, now).map(drop)
    }

    /// To all their addresses; whether there is one.
    fn send_to(
        &self,
        tx: &mut Tx<'_>,
        person: &Person,
        notice: &Notice<'_>,
        also: &[String],
        link: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, countersign_store::Error> {
        let profile = tx.profile(person)?.unwrap_or_default();
        let mut to: Vec<&String> = profile.emails.iter().chain(also).collect();
        to.sort_unstable();
        to.dedup();
        let any = !to.is_empty() || !profile.phone.is_empty();
        let alone = to.len() < 2;
        for address in to {
            self.write(tx, notice, Some(person.id), Channel::Email, address, link, now)?;
        }
        // Two addresses at least: with one e-mail address the telephone is the other.
        if alone && profile.phone.parse::<PhoneNumber>().is_ok() {
            let phone = &profile.phone;
            self.write(tx, notice, Some(person.id), Channel::Phone, phone, link, now)?;
        }
        Ok(any)
    }

    /// Tells the designated individuals of a practice (21 CFR 1311.102(b)), but for one.
    pub(super) fn tell_designated(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice<'_>,
        but: Option<PersonId>,
        now: Timestamp,
    ) -> Result<u32, countersign_store::Error> {
        self.tell_roles(tx, notice, &[Role::Designated], but, now)
    }

    /// Tells everybody of a practice who has one of these roles, but for one.
    pub(super) fn tell_roles(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice<'_>,
        roles: &[Role],
        but: Option<PersonId>,
        now: Timestamp,
    ) -> Result<u32, countersign_store::Error> {
        let mut told = 0;
        let members = tx.roles_in(notice.practice)?;
        let of = members.iter().filter(|m| roles.contains(&m.role) && m.ended.is_none());
        let people: BTreeSet<PersonId> = of.map(|member| member.person).collect();
        for id in people.into_iter().filter(|id| Some(*id) != but) {
            let Some(person) = tx.person(id)? else { continue };
            let Some(profile) = tx.profile(&person)? else { continue };
            for address in &profile.emails {
                self.write(tx, notice, Some(person.id), Channel::Email, address, None, now)?;
                told += 1;
            }
        }
        Ok(told)
    }
}

impl App {
    pub(super) fn mailer(&self) -> Mailer {
        Mailer {
            public_url: self.options.public_url.as_str().into(),
            demonstration: self.options.demonstration,
            text: self.options.notice_text,
        }
    }

    /// Sends what waits in the outbox; says how much was sent. A message may go out twice where this
    /// process ends in between, and never not at all.
    pub async fn deliver(&self, outbound: &dyn Outbound) -> Result<usize, Error> {
        let At { now, .. } = self.at()?;
        let again = now.plus_seconds(CLAIM_SECONDS);
        let waiting =
            self.store.write("take_messages", move |tx| tx.take_messages(now, again, 20)).await?;
        let mut sent = 0;
        for message in waiting {
            let result = match &message.body {
                Some(body) => {
                    let id = message.id.to_string();
                    let out = Outgoing {
                        id: &id,
                        kind: &message.kind,
                        to: &body.to,
                        subject: &body.subject,
                        text: &body.text,
                    };
                    match message.channel {
                        Channel::Email => outbound.email(out).await,
                        Channel::Phone => outbound.phone(out).await,
                        Channel::Post | Channel::Portal => Err(Fault::NotSetUp),
                    }
                }
                None => Err(Fault::Refused("it says nothing".to_owned())),
            };
            sent += usize::from(result.is_ok());
            self.tried(&message, result).await?;
        }
        Ok(sent)
    }

    async fn tried(&self, message: &Message, result: Result<(), Fault>) -> Result<(), Error> {
        let At { now, support, .. } = self.at()?;
        let (id, practice, person) = (message.id, message.practice, message.person);
        let given_up = match &result {
            Ok(()) => false,
            Err(Fault::Refused(_)) => true,
            Err(_) => message.tries >= MOST_TRIES,
        };
        let doubled = FIRST_PAUSE_SECONDS << message.tries.clamp(0, 12);
        let next = now.plus_seconds(doubled.min(LONGEST_PAUSE_SECONDS));
        let outcome: String = match &result {
            Ok(()) => "sent".to_owned(),
            Err(fault) => shown_line(&fault.to_string(), 200),
        };
        let detail = format!("{}, {}", message.kind, message.channel.code());
        if let Err(fault) = &result {
            tracing::warn!(message = %id, kind = message.kind, %fault, given_up, "a notice was not sent");
        }
        let done = (result.is_ok() || given_up).then_some(now);
        self.store
            .write("message_tried", move |tx| {
                tx.message_tried(id, &outcome, done, next)?;
                if given_up {
                    let mut event =
                        Event::success(EventKind::NoticeGivenUp, Actor::System, support);
                    event.outcome = Outcome::Refused;
                    event.practice = Some(practice);
                    event.prescriber = person;
                    tx.append(&event.detail(&detail), now)?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}
