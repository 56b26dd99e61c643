//! The addresses of an account: changed with a fresh passcode, told to the old ones too, confirmed by a
//! code that comes back.

use std::convert::Infallible;

use countersign_domain::{
    EmailAddress, PersonId, PhoneNumber, PracticeId, command::commands, proofing::Channel,
};
use countersign_store::{Person, Profile, Session, Tx};

use super::{
    Answer, App, At, Confirm, Error, Hindrance,
    activation::{About, channels, on_the_way, put_on_the_way, take_code, typed},
    cases::confirm_address,
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
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
    who: &Person,
    practice: PracticeId,
    form: &ContactForm,
    at: At,
) -> Result<(), countersign_store::Error> {
    let old = tx.profile(who)?.unwrap_or_default();
    let phone = form.phone.as_ref().map(|it| it.as_str().to_owned()).unwrap_or_default();
    let kept = Profile {
        emails: form.emails.iter().map(|it| it.as_str().to_owned()).collect(),
        phone_confirmed: old.phone_confirmed.filter(|_| phone == old.phone),
        address_confirmed: old.address_confirmed.filter(|_| form.address == old.address),
        phone,
        address: form.address.clone(),
        ..old.clone()
    };
    tx.save_profile(who, &kept, at.now)?;
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
    mailer.tell(tx, who, &notice, &old.emails, at.now)?;
    if old.phone != kept.phone && !old.phone.is_empty() {
        let (way, to) = (Channel::Phone, old.phone.as_str());
        mailer.write(tx, &notice, Some(who.id), way, to, None, at.now)?;
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
        form: ContactForm,
        at: At,
    ) -> Result<Answer<(), Infallible>, Error> {
        let practice = session.practice;
        let caller = Caller::confirmed(session, form.confirm.clone());
        self.run(commands::CHANGE_ADDRESSES, caller, at, move |cx| {
            let who = cx.who()?;
            write_addresses(cx.tx, cx.mailer, &who, practice, &form, at)?;
            cx.detail("addresses");
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Sends a code to a telephone number or a postal address, to confirm it.
    pub async fn send_contact_code(
        &self,
        session: &Session,
        channel: Channel,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        self.run(commands::SEND_ADDRESS_CODE, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let profile = cx.tx.profile(&who)?.unwrap_or_default();
            let ways = channels(&profile, false);
            let subject = subject(who.id, channel);
            let about = About { subject, practice: who.practice, kind: "contact" };
            cx.detail(channel.code());
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            let sent = put_on_the_way(tx, mailer, &who, &profile, &ways, about, channel, at)?;
            Ok(Decision::of(sent))
        })
        .await
    }

    /// Takes such a code: codes of activation can go there from now on.
    pub async fn take_contact_code(
        &self,
        session: &Session,
        channel: Channel,
        code: &str,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        let code = typed(code);
        self.run(commands::CONFIRM_ADDRESS, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            cx.detail(channel.code());
            let result = take_code(cx.tx, who.id, &subject(who.id, channel), &code, at.now)?;
            if result.is_ok() {
                confirm_address(cx.tx, &who, channel, at.now)?;
            }
            Ok(Decision::of(result.map(drop)))
        })
        .await
    }
}
