//! People as the rules of access control know them, and what tells that two accounts are one person's.

use countersign_crypto::random_array;
use countersign_domain::{
    PersonId, PracticeId, Role, SignInName, Timestamp,
    access::Acting,
    marks::{FORMER_DAYS, Marks},
};

use super::parsed;
use crate::{
    Error, Person, Profile, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// What of a profile tells that two accounts are one person's.
pub fn marks_of(profile: &Profile) -> Marks {
    let mut marks = Marks::default();
    profile.emails.iter().for_each(|address| marks.email(address));
    marks.phone(&profile.phone);
    if let Ok(born) = profile.born.parse() {
        marks.born(&profile.given, &profile.family, born);
    }
    marks
}

statements! {
    KEEP_FORMER_MARKS = sql!("INSERT INTO former_marks (id, person, sealed, ended) VALUES ($1, $2, $3, $4)");
    DEA_NUMBERS = sql!("SELECT number FROM authority WHERE person = $1 AND kind = 'dea'");
    FORMER_MARKS = sql!("SELECT id, sealed FROM former_marks WHERE person = $1 AND ended > $2");
    REGISTERED = sql!(
        "SELECT a.id FROM authority a WHERE a.person = $1 AND a.practice = $2 AND a.kind = 'dea' "
        "AND a.withdrawn IS NULL AND a.stops_at > $3 AND (a.vouched IS NOT NULL OR EXISTS "
        "(SELECT p.authority FROM permission p WHERE p.authority = a.id AND p.person = a.person "
        "AND (p.state = 'granted' OR p.cause = 'factor_lost'))) LIMIT 1"
    );
    HAS_CREDENTIAL = sql!(
        "SELECT id FROM token WHERE prescriber = $1 AND state = 'active' AND activated IS NOT NULL LIMIT 1"
    );
}

impl Tx<'_> {
    /// Keeps what no longer tells an account: it still counts for a while.
    pub(crate) fn keep_former_marks(
        &mut self,
        person: &Person,
        old: &Profile,
        new: &Profile,
        now: Timestamp,
    ) -> Result<(), Error> {
        let gone = marks_of(old).without(&marks_of(new));
        if gone.is_empty() {
            return Ok(());
        }
        let id: [u8; 16] = random_array(self.rng()).map_err(|_| Error::Crypto)?;
        let sealed = self.seal_json(person.practice, "former_marks.sealed", &id, &gone)?;
        self.run(
            KEEP_FORMER_MARKS,
            &[
                id.as_slice().into(),
                person.id.as_bytes().into(),
                sealed.as_slice().into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Everything that tells the accounts of somebody, now or until a while ago.
    fn marks(
        &mut self,
        person: &Person,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Marks, Error> {
        let mut marks = marks_of(profile);
        match &person.sign_in {
            SignInName::Npi(npi) => marks.npi(*npi),
            SignInName::Email(email) => marks.email(email.as_str()),
        }
        let numbers = self.rows(DEA_NUMBERS, &[person.id.as_bytes().into()])?;
        for row in &numbers {
            marks.dea(parsed(row.text(0, "authority.number")?, "authority.number")?);
        }
        let since = now.plus_seconds(-FORMER_DAYS * 86_400);
        let former =
            self.rows(FORMER_MARKS, &[person.id.as_bytes().into(), since.micros().into()])?;
        for row in &former {
            let (id, sealed) = (row.blob(0, "former_marks.id")?, row.blob(1, "former_marks")?);
            marks.kept(self.open_json(person.practice, "former_marks.sealed", id, sealed)?);
        }
        Ok(marks)
    }

    /// Somebody as the rules of access control know them in a practice.
    ///
    /// A registrant has a registration in force there and a credential of their own: an active token that
    /// was activated, which takes a proofed identity (21 CFR 1311.125(a)).
    pub fn acting(
        &mut self,
        id: PersonId,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<Acting, Error> {
        let person = self.person(id)?.ok_or(Error::corrupt("prescriber.id"))?;
        let roles = self.roles_of(id)?;
        let designated = roles
            .iter()
            .any(|(place, member)| *place == practice && member.role == Role::Designated);
        // A number that somebody typed makes nobody a registrant: the operator has vouched for it at the
        // founding, or two people have granted a permission under it. One that a loss took keeps counting,
        // or a practice with one registrant could never grant it again.
        let registered = self
            .row(
                REGISTERED,
                &[id.as_bytes().into(), practice.as_bytes().into(), now.micros().into()],
            )?
            .is_some();
        let credential = self.row(HAS_CREDENTIAL, &[id.as_bytes().into()])?;
        let profile = self.profile(&person)?.unwrap_or_default();
        let confirmed = profile.phone_confirmed.is_some() || profile.address_confirmed.is_some();
        Ok(Acting {
            person: id,
            marks: self.marks(&person, &profile, now)?,
            confirmed,
            registrant: registered && credential.is_some() && !person.closed,
            designated: designated && !person.closed,
        })
    }
}
