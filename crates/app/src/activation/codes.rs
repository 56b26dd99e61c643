//! Codes that go to a telephone or by post: made, sent, and typed in.

use countersign_crypto::{constant_time_eq, random_array, sha256};
use countersign_domain::{
    PersonId, PhoneNumber, PracticeId, Timestamp, TokenId,
    proofing::{ActivationRefusal, Channel, Piece, may_activate},
};
use countersign_store::{Person, Profile, SentCode, Tx};

use super::{Hindrance, to_activate};
use crate::{
    At,
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

/// The ways on which a code can go to somebody: way, and masked where to. `confirmed`: only those whose
/// own code came back once.
pub(crate) fn channels(profile: &Profile, confirmed: bool) -> Vec<(Channel, String)> {
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
pub(crate) fn typed(text: &str) -> String {
    let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-').take(40);
    letters
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

/// What a code is about.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) subject: [u8; 16],
    pub(crate) practice: PracticeId,
    pub(crate) kind: &'static str,
}

/// Sends a code by telephone or post, on one of these ways.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the code")]
pub(crate) fn put_on_the_way(
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
pub(crate) fn take_code(
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
pub(crate) fn on_the_way(
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

pub(super) fn try_code(
    tx: &mut Tx<'_>,
    person: PersonId,
    token: TokenId,
    code: &str,
    now: Timestamp,
) -> Result<Result<Channel, Hindrance>, countersign_store::Error> {
    let Some(token) = to_activate(tx, person, token)? else {
        return Ok(Err(Hindrance::NothingToDo));
    };
    let sent = match take_code(tx, person, token.id().as_bytes(), code, now)? {
        Ok(sent) => sent,
        Err(hindrance) => return Ok(Err(hindrance)),
    };
    let added = token.added().unwrap_or(token.created());
    let pieces = [
        Piece { channel: Channel::Portal, sent: added, used: added },
        Piece { channel: sent.channel, sent: sent.sent, used: now },
    ];
    Ok(may_activate(&pieces).map(|()| sent.channel).map_err(Hindrance::from))
}

/// What a code is about that belongs to an account and to no token or case of it.
pub(crate) fn subject_of(what: &str, person: PersonId) -> [u8; 16] {
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
