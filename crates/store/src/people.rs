//! Accounts of people. The submodules hold the counters of wrong passcodes and passphrases, and known browsers.

pub(crate) mod failures;
pub(crate) mod known_browsers;

use countersign_domain::{
    Npi, PasscodeFailures, PassphraseHash, PersonId, PracticeId, SignInName, Timestamp,
};

use failures::passcode_failures_of;

pub(crate) use failures::passcode_failures;

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{locking, sql, statements},
    value::{Columns, Declared, Row},
};

/// Somebody with an account, and what a sign-in needs.
#[derive(Debug, Clone)]
pub struct Person {
    /// Our identifier.
    pub id: PersonId,
    /// The practice that keeps the account; its key seals what is theirs.
    pub practice: PracticeId,
    /// Name of the practice.
    pub practice_name: String,
    /// What they sign in with.
    pub sign_in: SignInName,
    /// Name for pages.
    pub name: String,
    /// What is kept of the passphrase; none before one was chosen.
    pub passphrase: Option<PassphraseHash>,
    /// Whether the account is closed.
    pub closed: bool,
    /// Wrong passcodes, over all tokens.
    pub failures: PasscodeFailures,
}

fn person(row: &Row) -> Result<Person, Error> {
    let passphrase = match row.get(PERSON_ROW.passphrase)? {
        "" => None,
        text => {
            Some(PassphraseHash::from_row(text).map_err(|_| row.corrupt(PERSON_ROW.passphrase))?)
        }
    };
    Ok(Person {
        id: row.get_id(PERSON_ROW.id, PersonId::from_slice)?,
        practice: row.get_id(PERSON_ROW.practice, PracticeId::from_slice)?,
        sign_in: row.parsed(PERSON_ROW.sign_in)?,
        name: row.string(PERSON_ROW.name)?,
        passphrase,
        closed: row.flag(PERSON_ROW.closed)?,
        failures: passcode_failures_of(
            (row.get(PERSON_ROW.failures)?, row.get(PERSON_ROW.blocked_until)?),
            (row.get(PERSON_ROW.wrong_in_a_day)?, row.get(PERSON_ROW.wrong_began)?),
        ),
        practice_name: row.string(PERSON_ROW.practice_name)?,
    })
}

columns! {
    /// What is read of a person with an account.
    PERSON_ROW: PersonColumns from "prescriber" "p JOIN practice c ON c.id = p.practice" by id {
        id: Blob = "p.id",
        practice: Blob = "p.practice",
        sign_in: Text = "p.sign_in",
        name: Text = "p.name",
        passphrase: Text = "p.passphrase",
        closed: Int = "p.closed",
        failures: Int = "p.failures",
        blocked_until: Opt<Int> = "p.blocked_until",
        wrong_in_a_day: Int = "p.wrong_in_a_day",
        wrong_began: Opt<Int> = "p.wrong_began",
        practice_name: Text = "c.name" of "practice",
    }
}

statements! {
    CREATE_PERSON = sql!(
        "INSERT INTO prescriber (id, practice, sign_in, name, passphrase, closed, failures, created) "
        "VALUES ($1, $2, $3, $4, $5, 0, 0, $6) ON CONFLICT (sign_in) DO NOTHING"
    );
    RENAME_PERSON = sql!("UPDATE prescriber SET name = $2 WHERE id = $1");
    PERSON_BY_NAME = select!(PersonColumns, "WHERE p.sign_in = $1");
    PERSON = select!(PersonColumns, "WHERE p.id = $1");
    LOCK_PRESCRIBER = locking!(
        "SELECT failures, blocked_until, wrong_in_a_day, wrong_began FROM prescriber WHERE id = $1"
    );
    LOCK_OPEN_ACCOUNT = locking!("SELECT closed FROM prescriber WHERE id = $1");
    CLOSE_ACCOUNT = sql!("UPDATE prescriber SET closed = 1 WHERE id = $1");
    SAVE_PASSPHRASE = sql!("UPDATE prescriber SET passphrase = $2 WHERE id = $1");
}

impl Tx<'_> {
    /// Makes a prescriber. `false` when the NPI is taken.
    pub fn create_prescriber(
        &mut self,
        id: PersonId,
        practice: PracticeId,
        npi: Npi,
        name: &str,
        passphrase: &PassphraseHash,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.create_person(id, practice, &npi.into(), name, Some(passphrase), now)
    }

    /// Makes an account. `false` when somebody signs in with that name.
    pub fn create_person(
        &mut self,
        id: PersonId,
        practice: PracticeId,
        sign_in: &SignInName,
        name: &str,
        passphrase: Option<&PassphraseHash>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let made = self.run(
            CREATE_PERSON,
            &[
                id.as_bytes().into(),
                practice.as_bytes().into(),
                sign_in.as_text().as_str().into(),
                name.into(),
                passphrase.map(PassphraseHash::to_row).unwrap_or_default().as_str().into(),
                now.micros().into(),
            ],
        )?;
        Ok(made == 1)
    }

    /// Gives an account another name for pages.
    pub fn rename_person(&mut self, id: PersonId, name: &str) -> Result<(), Error> {
        self.run_one(RENAME_PERSON, &[id.as_bytes().into(), name.into()])
    }

    /// Who signs in with this name.
    pub fn person_by_name(&mut self, name: &SignInName) -> Result<Option<Person>, Error> {
        self.row(PERSON_BY_NAME, &[name.as_text().as_str().into()])?
            .as_ref()
            .map(person)
            .transpose()
    }

    /// The account with this id.
    pub fn person(&mut self, id: PersonId) -> Result<Option<Person>, Error> {
        self.row(PERSON, &[id.as_bytes().into()])?.as_ref().map(person).transpose()
    }

    /// Keeps everyone else from changing this prescriber and their tokens until the commit, and
    /// gives the failure counter as it is now.
    pub fn lock_prescriber(&mut self, id: PersonId) -> Result<PasscodeFailures, Error> {
        let mut found = None;
        self.each(LOCK_PRESCRIBER, &[id.as_bytes().into()], &mut |row| {
            found = Some(passcode_failures(row, 0)?);
            Ok(())
        })?;
        found.ok_or(Error::corrupt("prescriber.id"))
    }

    /// Locks a prescriber, and says whether the account is open.
    pub fn lock_open_account(&mut self, id: PersonId) -> Result<bool, Error> {
        let row = self
            .row(LOCK_OPEN_ACCOUNT, &[id.as_bytes().into()])?
            .ok_or(Error::corrupt("prescriber.id"))?;
        Ok(row.int(0, "prescriber.closed")? == 0)
    }

    /// Closes an account: nobody signs in to it any more.
    pub fn close_account(&mut self, id: PersonId) -> Result<(), Error> {
        self.run_one(CLOSE_ACCOUNT, &[id.as_bytes().into()])
    }

    /// Writes a passphrase hash, as when its parameters are raised.
    pub fn save_passphrase(&mut self, id: PersonId, to: &PassphraseHash) -> Result<(), Error> {
        self.run_one(SAVE_PASSPHRASE, &[id.as_bytes().into(), to.to_row().as_str().into()])
    }
}
