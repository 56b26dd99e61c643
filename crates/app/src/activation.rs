//! A token is activated for signing by two pieces of information over two channels (21 CFR 1311.105(c)):
//! what the portal showed when it was added, and a code that goes to a telephone or by post. And the
//! link in every notice by which its reader says "this was not me".

use countersign_crypto::{constant_time_eq, random_array, sha256};
use countersign_domain::{
    Actor, DisableReason, Event, EventKind, Outcome, PersonId, PhoneNumber, PracticeId, Refusal,
    Timestamp, Token, TokenId, TokenState,
    access::Cause,
    console::ConsoleChange,
    enrolment::LinkSecret,
    proofing::{ActivationRefusal, Channel, Piece, may_activate},
};
use countersign_store::{Message, Person, Profile, SentCode, Session, TokenRow, Tx};
use thiserror::Error as ThisError;

use super::{
    App, At, Error,
    access::suspend,
    notices::{Mailer, Note, Notice},
};

/// Letters and digits that are not taken for one another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code: 40 bits (SP 800-63B, 6.1.2.3 asks for six random characters).
const CODE_LENGTH: usize = 8;
/// Wrong tries after which a new code is needed.
const MOST_TRIES: i64 = 5;
/// Seconds before another code is sent.
const AGAIN_SECONDS: i64 = 60;

/// Why a token is not activated now.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Hindrance {
    /// It is not active, or activated already.
    #[error("Nothing to activate: the token is not active, or it is activated already.")]
    NothingToDo,
    /// There is no confirmed way for a code.
    #[error(
        "No telephone and no postal address of yours is confirmed here, so no code can be sent. Ask your practice."
    )]
    NoChannel,
    /// A code was sent just now.
    #[error("A code was sent a moment ago. Wait a minute before you ask for another.")]
    TooSoon,
    /// No code was sent.
    #[error("Ask for a code first.")]
    NoCode,
    /// Too many wrong tries.
    #[error("That was typed wrongly too often. Ask for a new code.")]
    TooManyTries,
    /// Not the code.
    #[error("That is not the code. Check it letter by letter; the newest one counts.")]
    WrongCode,
    /// The rule says no.
    #[error(transparent)]
    Rule(#[from] ActivationRefusal),
}

impl Hindrance {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NothingToDo => Refusal::NoChange.code(),
            Self::NoChannel => "no_channel",
            Self::TooSoon => "code_too_soon",
            Self::NoCode => "code_not_sent",
            Self::TooManyTries => "code_tries",
            Self::WrongCode => "code_wrong",
            Self::Rule(_) => "code_run_out",
        }
    }
}

/// What a use case about a code came to; nothing where there is nothing it could be about.
pub(super) type Coded<T> = Result<Option<Result<T, Hindrance>>, countersign_store::Error>;

/// Puts such a use case on the record; what was refused stands there with its reason.
pub(super) fn put_on_record<T>(
    tx: &mut Tx<'_>,
    result: &Result<T, Hindrance>,
    mut event: Event,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    if let Err(hindrance) = result {
        event.outcome = Outcome::Refused;
        event = event.reason(hindrance.code());
    }
    tx.append(&event, now)
}

/// What the page of an activation shows.
#[derive(Debug, Clone)]
pub struct Activation {
    /// The ways on which a code can go: way, and masked where to.
    pub channels: Vec<(Channel, String)>,
    /// The code that is on its way: way, and until when it is good.
    pub sent: Option<(Channel, Timestamp)>,
}

/// The ways on which a code can go to somebody: way, and masked where to. `confirmed`: only those whose
/// own code came back once.
pub(super) fn channels(profile: &Profile, confirmed: bool) -> Vec<(Channel, String)> {
    let mut found = Vec::new();
    let phone = profile.phone.parse::<PhoneNumber>().ok();
    if let Some(phone) = phone.filter(|_| !confirmed || profile.phone_confirmed.is_some()) {
        found.push((Channel::Phone, phone.masked()));
    }
    if !profile.address.is_empty() && (!confirmed || profile.address_confirmed.is_some()) {
        let start: String = profile.address.chars().take(12).collect();
        found.push((Channel::Post, format!("{start}…")));
    }
    found
}

fn new_code(tx: &mut Tx<'_>) -> Result<String, countersign_store::Error> {
    let bytes: [u8; CODE_LENGTH] = random_array(tx.rng())?;
    let letter = |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'0');
    Ok(bytes.iter().map(|byte| char::from(letter(byte))).collect())
}

/// A code as typed: spaces and dashes are left out, what looks alike is taken for what it is.
pub(super) fn typed(text: &str) -> String {
    let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-').take(40);
    letters
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

/// The token, if it is theirs and can be activated.
fn to_activate(
    tx: &mut Tx<'_>,
    person: PersonId,
    token: TokenId,
) -> Result<Option<Token>, countersign_store::Error> {
    let found = tx.tokens_of(person)?.into_iter().map(|row| row.token).find(|it| it.id == token);
    Ok(found.filter(|it| it.is_active() && it.activated.is_none()))
}

impl App {
    /// What the page of an activation shows.
    pub async fn activation(
        &self,
        person: PersonId,
        token: TokenId,
        at: At,
    ) -> Result<Activation, Error> {
        let found = self
            .store
            .read("activation", move |tx| {
                let Some(who) = tx.person(person)? else { return Ok(None) };
                let profile = tx.profile(&who)?.unwrap_or_default();
                let sent = on_the_way(tx, person, token.as_bytes(), at.now)?;
                Ok(Some(Activation { channels: channels(&profile, true), sent }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// One use case about a code of somebody, in a session of theirs and in one transaction.
    pub(super) async fn about_code<T, F>(
        &self,
        name: &'static str,
        session: &Session,
        person: PersonId,
        mut work: F,
    ) -> Result<Result<T, Hindrance>, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, &Person) -> Coded<T> + Send + 'static,
    {
        let session = session.id;
        let done = self
            .store
            .write(name, move |tx| {
                tx.lock_prescriber(person)?;
                if tx.lock_session(session)?.is_none() {
                    return Ok(None);
                }
                let Some(who) = tx.person(person)? else { return Ok(None) };
                work(tx, &who)
            })
            .await?;
        done.ok_or(Error::SignedOut)
    }

    /// Sends an activation code for a token, by telephone or as a letter.
    pub async fn send_activation_code(
        &self,
        session: &Session,
        person: PersonId,
        token: TokenId,
        channel: Channel,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let (practice, mailer) = (session.practice, self.mailer());
        self.about_code("send_activation_code", session, person, move |tx, who| {
            let result = send_code(tx, &mailer, who, token, channel, at)?;
            let event = Event::success(EventKind::CodeSent, Actor::Person(person), at.support)
                .about(practice, person)
                .token(result.is_ok().then_some(token))
                .detail(channel.code());
            put_on_record(tx, &result, event, at.now)?;
            Ok(Some(result))
        })
        .await
    }

    /// Takes the activation code of a token; if it is right, the token signs from now on, as far as
    /// access control lets its owner.
    pub async fn activate_token(
        &self,
        session: &Session,
        person: PersonId,
        token: TokenId,
        code: &str,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let (practice, mailer, code) = (session.practice, self.mailer(), typed(code));
        self.about_code("activate_token", session, person, move |tx, who| {
            let result = try_code(tx, person, token, &code, at.now)?;
            let mut event =
                Event::success(EventKind::TokenActivated, Actor::Person(person), at.support)
                    .about(practice, person)
                    // An event never names somebody else's token.
                    .token((result != Err(Hindrance::NothingToDo)).then_some(token));
            if let Ok(channel) = &result {
                tx.activate_token(token, person, at.now)?;
                event = event.detail(&format!("portal and {}", channel.code()));
                let name = tx.token_name(token)?.unwrap_or_default();
                let note = Note::TokenActivated;
                let notice = Notice { note, practice, detail: &name, path: "/portal" };
                mailer.tell(tx, who, &notice, &[], at.now)?;
            }
            put_on_record(tx, &result, event, at.now)?;
            Ok(Some(result.map(drop)))
        })
        .await
    }

    /// Whose link of a notice it is, while it works: the name.
    pub async fn repudiation(&self, link: &str, at: At) -> Result<Option<String>, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(None) };
        let found = self
            .store
            .read("repudiation", move |tx| match tx.repudiation(&digest, at.now)? {
                Some((person, _)) => Ok(tx.person(person)?.map(|person| person.name)),
                None => Ok(None),
            })
            .await?;
        Ok(found)
    }

    /// "This was not me": all tokens of the account stop for now, its sessions end, its permission is
    /// taken away, and the designated individuals are told. `false` where the link does not work.
    pub async fn repudiate(&self, link: &str, at: At) -> Result<bool, Error> {
        let Some(digest) = LinkSecret::digest_of(link) else { return Ok(false) };
        let mailer = self.mailer();
        let done = self
            .store
            .write("repudiate", move |tx| {
                let Some((person, practice)) = tx.repudiation(&digest, at.now)? else {
                    return Ok(false);
                };
                // Prescriber, then session, then token: the order in which everyone locks.
                tx.lock_prescriber(person)?;
                tx.use_repudiation(&digest, at.now)?;
                tx.end_sessions_of(person)?;
                tx.forget_browsers_of(person, None)?;
                let reason = DisableReason::TemporarilyUnavailable;
                for TokenRow { mut token, mark, .. } in tx.tokens_of(person)? {
                    if !token.is_active() {
                        continue;
                    }
                    // Their owner turns them on again with a code of the token itself.
                    token.state = TokenState::Disabled { reason, since: at.now };
                    tx.save_token(&token, mark)?;
                    let event =
                        Event::success(EventKind::TokenDisabled, Actor::Unknown, at.support)
                            .about(practice, person)
                            .token(token.id)
                            .reason(reason.code());
                    tx.append(&event, at.now)?;
                }
                let event = Event::success(EventKind::Repudiated, Actor::Unknown, at.support)
                    .about(practice, person);
                tx.append(&event, at.now)?;
                let what = "a change that was not theirs";
                suspend(tx, &mailer, person, Cause::FactorLost, Actor::Unknown, what, at)?;
                Ok(true)
            })
            .await?;
        Ok(done)
    }

    /// Opens a letter with a code for printing, once: afterwards its text is gone here. Whoever may
    /// print is on record.
    pub async fn print_letter(
        &self,
        act: super::Act,
        id: countersign_domain::MessageId,
        at: At,
    ) -> Result<Result<Message, countersign_domain::Refusal>, Error> {
        let (by, practice) = (act.desk.person, act.desk.practice.id);
        self.console(act, ConsoleChange::PrintLetter, at, move |tx, event| {
            let Some(message) = tx.message(practice, id)? else { return Ok(None) };
            if message.channel != Channel::Post || message.done.is_some() {
                return Ok(None);
            }
            // Nobody prints what activates a token of their own, by whatever account.
            let me = tx.acting(by, practice, at.now)?;
            let own = match message.person {
                Some(person) => tx.acting(person, practice, at.now)?.is(&me),
                None => false,
            };
            if own {
                return Ok(None);
            }
            tx.message_tried(id, "printed", Some(at.now), at.now)?;
            let mut event = event.detail(&message.kind);
            event.prescriber = message.person;
            Ok(Some((message, event)))
        })
        .await
    }

    /// The letters of a practice that wait for a printer, newest first, and the newest other messages.
    pub async fn messages(&self, desk: &super::Desk) -> Result<Vec<Message>, Error> {
        let practice = desk.practice.id;
        Ok(self.store.read("messages", move |tx| tx.messages_of(practice, 100)).await?)
    }
}

fn send_code(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    token: TokenId,
    channel: Channel,
    at: At,
) -> Result<Result<(), Hindrance>, countersign_store::Error> {
    let Some(token) = to_activate(tx, who.id, token)? else {
        return Ok(Err(Hindrance::NothingToDo));
    };
    let profile = tx.profile(who)?.unwrap_or_default();
    let confirmed = channels(&profile, true);
    let practice = token.practice.unwrap_or(who.practice);
    let about = About { subject: *token.id.as_bytes(), practice, kind: "activation" };
    put_on_the_way(tx, mailer, who, &profile, &confirmed, about, channel, at)
}

/// What a code is about.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) subject: [u8; 16],
    pub(super) practice: PracticeId,
    pub(super) kind: &'static str,
}

/// Sends a code by telephone or post, on one of these ways.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the code")]
pub(super) fn put_on_the_way(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    profile: &Profile,
    ways: &[(Channel, String)],
    about: About,
    channel: Channel,
    at: At,
) -> Result<Result<(), Hindrance>, countersign_store::Error> {
    if !channel.carries_codes() || !ways.iter().any(|(way, _)| *way == channel) {
        return Ok(Err(Hindrance::NoChannel));
    }
    if let Some(before) = tx.sent_code(&about.subject, who.id)?
        && at.now < before.sent.plus_seconds(AGAIN_SECONDS)
    {
        return Ok(Err(Hindrance::TooSoon));
    }
    let code = new_code(tx)?;
    let (note, to) = match channel {
        Channel::Phone => (Note::CodeText, profile.phone.clone()),
        _ => (Note::CodeLetter, format!("{}\n{}", who.name, profile.address)),
    };
    let (one, two) = code.split_at_checked(CODE_LENGTH / 2).unwrap_or((&code, ""));
    let detail = format!("{one} {two}");
    let notice = Notice { note, practice: about.practice, detail: &detail, path: "/portal" };
    mailer.write(tx, &notice, Some(who.id), channel, &to, None, at.now)?;
    tx.send_code(&SentCode {
        subject: about.subject,
        person: who.id,
        practice: about.practice,
        kind: about.kind.to_owned(),
        code,
        channel,
        sent: at.now,
        tries: 0,
        used: None,
    })?;
    Ok(Ok(()))
}

/// Takes a code as it was typed. A wrong one counts; a right one within its time is used up.
pub(super) fn take_code(
    tx: &mut Tx<'_>,
    person: PersonId,
    subject: &[u8; 16],
    typed: &str,
    now: Timestamp,
) -> Result<Result<SentCode, Hindrance>, countersign_store::Error> {
    let Some(mut sent) = tx.sent_code(subject, person)? else {
        return Ok(Err(Hindrance::NoCode));
    };
    if sent.used.is_some() || sent.tries >= MOST_TRIES {
        return Ok(Err(Hindrance::TooManyTries));
    }
    let right = constant_time_eq(sent.code.as_bytes(), typed.as_bytes());
    let late = now >= sent.sent.plus_seconds(sent.channel.validity_seconds());
    let result = match (right, late) {
        (false, _) => Err(Hindrance::WrongCode),
        (true, true) => Err(ActivationRefusal::RunOut.into()),
        (true, false) => Ok(()),
    };
    match &result {
        Ok(()) => sent.used = Some(now),
        Err(_) => sent.tries += 1,
    }
    tx.save_sent_code(&sent)?;
    Ok(result.map(|()| sent))
}

/// The way of a code that can still be typed, and until when.
pub(super) fn on_the_way(
    tx: &mut Tx<'_>,
    person: PersonId,
    subject: &[u8; 16],
    now: Timestamp,
) -> Result<Option<(Channel, Timestamp)>, countersign_store::Error> {
    let sent = tx.sent_code(subject, person)?;
    let sent = sent.filter(|it| it.used.is_none() && it.tries < MOST_TRIES);
    let until = |it: &SentCode| it.sent.plus_seconds(it.channel.validity_seconds());
    Ok(sent.map(|it| (it.channel, until(&it))).filter(|(_, until)| now < *until))
}

fn try_code(
    tx: &mut Tx<'_>,
    person: PersonId,
    token: TokenId,
    code: &str,
    now: Timestamp,
) -> Result<Result<Channel, Hindrance>, countersign_store::Error> {
    let Some(token) = to_activate(tx, person, token)? else {
        return Ok(Err(Hindrance::NothingToDo));
    };
    let sent = match take_code(tx, person, token.id.as_bytes(), code, now)? {
        Ok(sent) => sent,
        Err(hindrance) => return Ok(Err(hindrance)),
    };
    let added = token.added.unwrap_or(token.created);
    let pieces = [
        Piece { channel: Channel::Portal, sent: added, used: added },
        Piece { channel: sent.channel, sent: sent.sent, used: now },
    ];
    Ok(may_activate(&pieces).map(|()| sent.channel).map_err(Hindrance::from))
}

/// What a code is about that belongs to an account and to no token or case of it.
pub(super) fn subject_of(what: &str, person: PersonId) -> [u8; 16] {
    let digest = sha256(&[what.as_bytes(), b"|", person.as_bytes()].concat());
    let mut subject = [0; 16];
    subject.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        assert_eq!(typed(" ab-o1 l I "), "AB0111");
        assert_eq!(typed(&"x".repeat(100)).len(), 40);
        assert_eq!(ALPHABET.iter().collect::<std::collections::BTreeSet<_>>().len(), 32);
    }
}
