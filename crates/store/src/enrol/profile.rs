//! What is known of somebody: names, date of birth, addresses.

use countersign_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Person, Tx,
    statements::{sql, statements},
    value::Columns,
};

/// What is known of somebody; sealed in its row.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Given name.
    pub given: String,
    /// Middle names or initials.
    pub middle: String,
    /// Family name.
    pub family: String,
    /// Such as Jr.
    pub suffix: String,
    /// Date of birth as `YYYY-MM-DD`; empty where it is not known.
    pub born: String,
    /// Postal address in one line.
    pub address: String,
    /// Telephone number (E.164); empty where there is none.
    pub phone: String,
    /// Addresses for notices, the first of which is the account's own.
    pub emails: Vec<String>,
    /// When a code that went to the telephone came back.
    pub phone_confirmed: Option<i64>,
    /// When a code that went to the postal address came back.
    pub address_confirmed: Option<i64>,
}

impl std::fmt::Debug for Profile {
    /// Personal data: never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile")
    }
}

statements! {
    PROFILE = sql!("SELECT sealed FROM person_profile WHERE person = $1");
    SAVE_PROFILE = sql!(
        "INSERT INTO person_profile (person, sealed, changed) VALUES ($1, $2, $3) "
        "ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed"
    );
}

impl Tx<'_> {
    /// What is known of somebody.
    pub fn profile(&mut self, person: &Person) -> Result<Option<Profile>, Error> {
        let row = self.row(PROFILE, &[person.id.as_bytes().into()])?;
        let Some(row) = row else { return Ok(None) };
        let sealed = row.blob(0, "person_profile.sealed")?;
        self.open_json(person.practice, "person_profile.sealed", person.id.as_bytes(), sealed)
            .map(Some)
    }

    /// Writes what is known of somebody.
    pub fn save_profile(
        &mut self,
        person: &Person,
        to: &Profile,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Some(old) = self.profile(person)? {
            self.keep_former_marks(person, &old, to, now)?;
        }
        let sealed =
            self.seal_json(person.practice, "person_profile.sealed", person.id.as_bytes(), to)?;
        self.run_one(
            SAVE_PROFILE,
            &[person.id.as_bytes().into(), sealed.as_slice().into(), now.micros().into()],
        )
    }
}
