//! Notices: written into the outbox in the transaction of what they tell, sent afterwards, at least
//! once. No notice holds a passcode, a passphrase or a word of a patient.

use std::sync::Arc;

use askama::Template;
use countersign_domain::{
    Actor, Event, EventKind, MessageId, Outcome, PersonId, PhoneNumber, PracticeId, Role,
    Timestamp, enrolment::LinkSecret, proofing::Channel,
};
use countersign_store::{Message, MessageBody, Person, Tx};

use super::{App, At, Error};
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

macro_rules! notices {
    ($($(#[doc = $doc:literal])+ $Kind:ident: $word:literal in $path:literal = $subject:literal;)+) => {
        /// What a message tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Note {
            $($(#[doc = $doc])+ $Kind,)+
        }

        impl Note {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$Kind,)+];

            /// Stable word.
            pub(super) const fn code(self) -> &'static str {
                match self {
                    $(Self::$Kind => $word,)+
                }
            }

            const fn subject(self) -> &'static str {
                match self {
                    $(Self::$Kind => $subject,)+
                }
            }
        }

        mod text {
            $(
                #[derive(askama::Template)]
                #[template(path = $path, escape = "none")]
                #[allow(dead_code, reason = "not every template shows everything")]
                pub(super) struct $Kind<'a> {
                    pub(super) practice: &'a str,
                    pub(super) detail: &'a str,
                    pub(super) link: &'a str,
                    pub(super) not_me: Option<&'a str>,
                    pub(super) demonstration: bool,
                }
            )+
        }

        fn render(
            note: Note,
            practice: &str,
            detail: &str,
            link: &str,
            not_me: Option<&str>,
            demonstration: bool,
        ) -> Result<String, askama::Error> {
            match note {
                $(Note::$Kind => text::$Kind { practice, detail, link, not_me, demonstration }.render(),)+
            }
        }
    };
}

notices! {
    /// Invitation to the practice.
    Invitation: "invitation" in "notices/invitation.txt" = "Invitation to {{ practice }}";
    /// the practice invites you.
    InvitationHere: "invitation_here" in "notices/invitation_here.txt" = "{{ practice }} invites you";
    /// A token was added.
    TokenAdded: "token_added" in "notices/token_added.txt" = "A token was added";
    /// A token was disabled.
    TokenDisabled: "token_disabled" in "notices/token_disabled.txt" = "A token was disabled";
    /// A token was enabled.
    TokenEnabled: "token_enabled" in "notices/token_enabled.txt" = "A token was enabled";
    /// A token was activated for signing.
    TokenActivated: "token_activated" in "notices/token_activated.txt" = "A token was activated for signing";
    /// Your passphrase was changed.
    PassphraseChanged: "passphrase_changed" in "notices/passphrase_changed.txt" = "Your passphrase was changed";
    /// Your addresses were changed.
    AddressesChanged: "addresses_changed" in "notices/addresses_changed.txt" = "Your addresses were changed";
    /// A loss was reported.
    LossReported: "loss_reported" in "notices/loss_reported.txt" = "A loss was reported";
    /// A loss at the practice.
    LossForDesignated: "loss_for_designated" in "notices/loss_for_designated.txt" = "A loss at {{ practice }}";
    /// A change waits for a second person.
    RequestWaiting: "request_waiting" in "notices/request_waiting.txt" = "A change waits for a second person";
    /// You may sign.
    PermissionGranted: "permission_granted" in "notices/permission_granted.txt" = "You may sign";
    /// Your permission to sign was taken away.
    PermissionRevoked: "permission_revoked" in "notices/permission_revoked.txt" = "Your permission to sign was taken away";
    /// Identity proofing was opened.
    CaseOpened: "case_opened" in "notices/case_opened.txt" = "Identity proofing was opened";
    /// Your identity is proofed.
    CaseComplete: "case_complete" in "notices/case_complete.txt" = "Your identity is proofed";
    /// A registration ends soon.
    ExpiresSoon: "expires_soon" in "notices/expires_soon.txt" = "A registration ends soon";
    /// A registration has ended.
    Expired: "expired" in "notices/expired.txt" = "A registration has ended";
    /// Somebody has said "this was not me".
    Repudiated: "repudiated" in "notices/repudiated.txt" = "\"This was not me\" at {{ practice }}";
    /// Your code.
    CodeText: "code_text" in "notices/code_text.txt" = "Your code";
    /// Your code.
    CodeLetter: "code_letter" in "notices/code_letter.txt" = "Your code";
    /// Something is due at the practice.
    Reminder: "reminder" in "notices/reminder.txt" = "Something is due at {{ practice }}";
}

/// What writing a notice takes beside the transaction. Cheap to clone.
#[derive(Clone)]
pub(super) struct Mailer {
    pub(super) public_url: Arc<str>,
    pub(super) demonstration: bool,
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
        // One line: what people typed must not look like another paragraph of ours.
        let line = |text: &str| -> String {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
        };
        let (practice, detail) = (line(&practice), line(notice.detail));
        let link = format!("{}{}", self.public_url, notice.path);
        let text = render(notice.note, &practice, &detail, &link, not_me, self.demonstration)
            .map_err(|_| Tx::broken("a notice did not render"))?;
        let subject = notice.note.subject().replace("{{ practice }}", &practice);
        Ok(MessageBody { to: to.to_owned(), subject, text })
    }

    /// Puts one message to one address into the outbox.
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
        let profile = tx.profile(person)?.unwrap_or_default();
        let mut to: Vec<&String> = profile.emails.iter().chain(also).collect();
        to.sort_unstable();
        to.dedup();
        let secret = LinkSecret::new(tx.rng())?;
        let link = format!("{}/not-me/{}", self.public_url, secret.text());
        if !to.is_empty() || !profile.phone.is_empty() {
            let until = now.plus_seconds(NOT_ME_SECONDS);
            tx.create_repudiation(&secret.digest(), person.id, notice.practice, until)?;
        }
        let alone = to.len() < 2;
        for address in to {
            self.write(tx, notice, Some(person.id), Channel::Email, address, Some(&link), now)?;
        }
        // Two addresses at least: with one e-mail address the telephone is the other.
        if alone && profile.phone.parse::<PhoneNumber>().is_ok() {
            let phone = &profile.phone;
            self.write(tx, notice, Some(person.id), Channel::Phone, phone, Some(&link), now)?;
        }
        Ok(())
    }

    /// Tells the designated individuals of a practice (21 CFR 1311.102(b)), but for one.
    pub(super) fn tell_designated(
        &self,
        tx: &mut Tx<'_>,
        notice: &Notice<'_>,
        but: Option<PersonId>,
        now: Timestamp,
    ) -> Result<u32, countersign_store::Error> {
        let mut told = 0;
        let members = tx.roles_in(notice.practice)?;
        let designated = members.iter().filter(|m| m.role == Role::Designated && m.ended.is_none());
        for member in designated.filter(|member| Some(member.person) != but) {
            let Some(person) = tx.person(member.person)? else { continue };
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
            Err(fault) => fault.to_string().chars().take(200).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notice_renders_and_ends_with_who_sends_it() {
        for note in Note::ALL {
            let text =
                render(*note, "Lakeside", "x", "https://us/x", Some("https://us/n"), true).unwrap();
            assert!(text.contains("https://us/n") && text.contains("demonstration"), "{note:?}");
            assert!(text.contains("Lakeside, by Countersign"), "{note:?}");
            assert!(!note.subject().contains('\n') && !note.code().is_empty());
            let plain = render(*note, "Lakeside", "x", "y", None, false).unwrap();
            assert!(!plain.contains("not me:") && !plain.contains("{{"), "{note:?}: {plain}");
        }
    }
}
