//! The addresses of an account: changed with a fresh passcode, told to the old ones too, confirmed by a
//! code that comes back.

use countersign_domain::{
    Actor, EmailAddress, Event, EventKind, PersonId, PhoneNumber, PracticeId, proofing::Channel,
};
use countersign_store::{Profile, Session, Tx};

use super::{
    App, At, Change, Confirm, Error, Hindrance,
    activation::{About, channels, on_the_way, put_on_record, put_on_the_way, take_code, typed},
    cases::confirm_address,
    notices::{Mailer, Note, Notice},
    tokens::step_up,
};

/// The addresses of somebody, and how far each is confirmed.
#[derive(Clone)]
pub struct Contact {
    /// All that is known.
    pub profile: Profile,
    /// Ways on which a code could go: way, masked where to, whether it is confirmed, and until when a code
    /// that is on its way is good.
    pub ways: Vec<Way>,
}

/// A way on which codes go.
#[derive(Debug, Clone)]
pub struct Way {
    /// Telephone or post.
    pub channel: Channel,
    /// Masked where to.
    pub to: String,
    /// A code came back.
    pub confirmed: bool,
    /// A code is on its way, and good until then.
    pub sent: Option<countersign_domain::Timestamp>,
}

/// New addresses.
#[derive(Debug, Clone)]
pub struct ContactForm {
    /// One or two e-mail addresses.
    pub emails: Vec<EmailAddress>,
    /// Telephone; may be missing.
    pub phone: Option<PhoneNumber>,
    /// Postal address; may be empty.
    pub address: String,
    /// A fresh passcode; always asked for.
    pub confirm: Option<Confirm>,
}

/// Writes new addresses, and tells the old ones and the new.
fn write_addresses(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    person: PersonId,
    practice: PracticeId,
    form: &ContactForm,
    at: At,
) -> Result<(), countersign_store::Error> {
    let who = tx.person(person)?.ok_or_else(|| Tx::broken("nobody"))?;
    let old = tx.profile(&who)?.unwrap_or_default();
    let phone = form.phone.as_ref().map(|it| it.as_str().to_owned()).unwrap_or_default();
    let kept = Profile {
        emails: form.emails.iter().map(|it| it.as_str().to_owned()).collect(),
        phone_confirmed: old.phone_confirmed.filter(|_| phone == old.phone),
        address_confirmed: old.address_confirmed.filter(|_| form.address == old.address),
        phone,
        address: form.address.clone(),
        ..old.clone()
    };
    tx.save_profile(&who, &kept, at.now)?;
    let what: Vec<&str> = [
        ("email", old.emails != kept.emails),
        ("phone", old.phone != kept.phone),
        ("mailing address", old.address != kept.address),
    ]
    .into_iter()
    .filter_map(|(word, changed)| changed.then_some(word))
    .collect();
    if what.is_empty() {
        return Ok(());
    }
    let detail = what.join(", ");
    let (note, path) = (Note::AddressesChanged, "/portal");
    let notice = Notice { note, practice, detail: &detail, path };
    mailer.tell(tx, &who, &notice, &old.emails, at.now)?;
    if old.phone != kept.phone && !old.phone.is_empty() {
        let (way, to) = (Channel::Phone, old.phone.as_str());
        mailer.write(tx, &notice, Some(person), way, to, None, at.now)?;
    }
    Ok(())
}

fn subject(person: PersonId, channel: Channel) -> [u8; 16] {
    super::subject_of(channel.code(), person)
}

impl App {
    /// The addresses of somebody.
    pub async fn contact(&self, person: PersonId, at: At) -> Result<Contact, Error> {
        let found = self
            .store
            .read("contact", move |tx| {
                let Some(who) = tx.person(person)? else { return Ok(None) };
                let profile = tx.profile(&who)?.unwrap_or_default();
                let mut ways = Vec::new();
                for (channel, to) in channels(&profile, false) {
                    let sent = on_the_way(tx, person, &subject(person, channel), at.now)?;
                    let confirmed = match channel {
                        Channel::Phone => profile.phone_confirmed,
                        _ => profile.address_confirmed,
                    };
                    let sent = sent.map(|(_, until)| until);
                    ways.push(Way { channel, to, confirmed: confirmed.is_some(), sent });
                }
                Ok(Some(Contact { profile, ways }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// Changes the addresses. The old ones are told as well: whoever did it unseen is seen there.
    pub async fn change_contact(
        &self,
        session: &Session,
        person: PersonId,
        form: ContactForm,
        at: At,
    ) -> Result<Change<()>, Error> {
        let policy = self.options.policy;
        let (session, practice, mailer) = (session.id, session.practice, self.mailer());
        self.decide("change_contact", person, session, at.now, move |account, tx| {
            let confirm = form.confirm.as_ref();
            let vouched = step_up(account, tx, true, confirm, None, session, at, &policy)?;
            let change = match vouched {
                Ok(()) => {
                    write_addresses(tx, &mailer, person, practice, &form, at)?;
                    Change::Done(())
                }
                Err(refusal) => Change::NotConfirmed(refusal),
            };
            let event = Event::of(
                EventKind::ProfileSaved,
                Actor::Person(person),
                &change.outcome(),
                at.support,
            )
            .about(practice, person)
            .detail("addresses");
            Ok((Ok(change), event))
        })
        .await
    }

    /// Sends a code to a telephone number or a postal address, to confirm it.
    pub async fn send_contact_code(
        &self,
        session: &Session,
        person: PersonId,
        channel: Channel,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let (practice, mailer) = (session.practice, self.mailer());
        self.about_code("send_contact_code", session, person, move |tx, who| {
            let profile = tx.profile(who)?.unwrap_or_default();
            let ways = channels(&profile, false);
            let subject = subject(person, channel);
            let about = About { subject, practice: who.practice, kind: "contact" };
            let result = put_on_the_way(tx, &mailer, who, &profile, &ways, about, channel, at)?;
            let event = Event::success(EventKind::CodeSent, Actor::Person(person), at.support)
                .about(practice, person)
                .detail(channel.code());
            put_on_record(tx, &result, event, at.now)?;
            Ok(Some(result))
        })
        .await
    }

    /// Takes such a code: codes of activation can go there from now on.
    pub async fn take_contact_code(
        &self,
        session: &Session,
        person: PersonId,
        channel: Channel,
        code: &str,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let (practice, code) = (session.practice, typed(code));
        self.about_code("take_contact_code", session, person, move |tx, who| {
            let result = take_code(tx, person, &subject(person, channel), &code, at.now)?;
            if result.is_ok() {
                confirm_address(tx, who, channel, at.now)?;
            }
            let event =
                Event::success(EventKind::AddressConfirmed, Actor::Person(person), at.support)
                    .about(practice, person)
                    .detail(channel.code());
            put_on_record(tx, &result, event, at.now)?;
            Ok(Some(result.map(drop)))
        })
        .await
    }
}
