//! Roles in a practice, and who belongs to it.

use countersign_domain::{PersonId, PracticeId, Role, SignInName, Timestamp};

use super::{opt_time, time};
use crate::{
    Error, Tx,
    columns::{Blob, Int, Text, columns, select},
    statements::{sql, statements},
    value::{Columns, Declared, Row},
};

/// A role that somebody has in a practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: PersonId,
    /// Which role.
    pub role: Role,
    /// The unit they work in; may be empty.
    pub unit: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none while it lasts.
    pub ended: Option<Timestamp>,
}

/// Somebody in the list of a practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub id: PersonId,
    /// Name for pages.
    pub name: String,
    /// What they sign in with.
    pub sign_in: SignInName,
    /// Whether a passphrase was chosen.
    pub has_passphrase: bool,
    /// The account is closed.
    pub closed: bool,
}

fn member(row: &Row) -> Result<Member, Error> {
    let column = "practice_role.role";
    Ok(Member {
        person: row.id(0, "practice_role.person", PersonId::from_slice)?,
        role: Role::from_code(row.text(1, column)?).ok_or(Error::corrupt(column))?,
        unit: row.text(2, "practice_role.unit")?.to_owned(),
        since: time(row, 3, "practice_role.since")?,
        ended: opt_time(row, 4, "practice_role.ended")?,
    })
}

columns! {
    /// What is read of a person for a list.
    LISTED: ListedColumns from "prescriber" by id {
        id: Blob,
        name: Text,
        sign_in: Text,
        passphrase: Text,
        closed: Int,
    }
}

statements! {
    HAS_ROLE = sql!(
        "SELECT role FROM practice_role WHERE person = $1 AND practice = $2 AND role = $3 AND ended IS NULL"
    );
    GIVE_ROLE = sql!("INSERT INTO practice_role (person, practice, role, unit, since) VALUES ($1, $2, $3, $4, $5)");
    END_ROLE = sql!(
        "UPDATE practice_role SET ended = $4 WHERE person = $1 AND practice = $2 AND role = $3 "
        "AND ended IS NULL"
    );
    ROLES_OF = sql!(
        "SELECT person, role, unit, since, ended, practice FROM practice_role "
        "WHERE person = $1 AND ended IS NULL ORDER BY practice, role"
    );
    ROLES_IN = sql!(
        "SELECT person, role, unit, since, ended FROM practice_role WHERE practice = $1 "
        "ORDER BY since, role, person"
    );
    IS_MEMBER = sql!(
        "SELECT role FROM practice_role WHERE person = $1 AND practice = $2 AND ended IS NULL LIMIT 1"
    );
    BELONGS = sql!(
        "SELECT id FROM invitation WHERE person = $1 AND practice = $2 AND state <> 'revoked' LIMIT 1"
    );
    PRESCRIBES = sql!(
        "SELECT role FROM practice_role WHERE person = $1 AND practice = $2 AND role = 'prescriber' AND ended IS NULL LIMIT 1"
    );
    PEOPLE_OF = select!(ListedColumns, "WHERE id IN (SELECT person FROM practice_role WHERE practice = $1) OR id IN (SELECT person FROM invitation WHERE practice = $1) ORDER BY name, id");
}

impl Tx<'_> {
    /// Gives somebody a role. `false` when they have it.
    pub fn give_role(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        role: Role,
        unit: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let had = self.row(
            HAS_ROLE,
            &[person.as_bytes().into(), practice.as_bytes().into(), role.code().into()],
        )?;
        if had.is_some() {
            return Ok(false);
        }
        self.run(
            GIVE_ROLE,
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                role.code().into(),
                unit.into(),
                now.micros().into(),
            ],
        )?;
        Ok(true)
    }

    /// Takes a role from somebody. `false` when they don't have it.
    pub fn end_role(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        role: Role,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let ended = self.run(
            END_ROLE,
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                role.code().into(),
                now.micros().into(),
            ],
        )?;
        Ok(ended == 1)
    }

    /// The roles that somebody has now, in all practices.
    pub fn roles_of(&mut self, person: PersonId) -> Result<Vec<(PracticeId, Member)>, Error> {
        self.rows(ROLES_OF, &[person.as_bytes().into()])?
            .iter()
            .map(|row| {
                Ok((row.id(5, "practice_role.practice", PracticeId::from_slice)?, member(row)?))
            })
            .collect()
    }

    /// All roles that there ever were in a practice, oldest first (21 CFR 1311.130(c): who could do
    /// what at a past date).
    pub fn roles_in(&mut self, practice: PracticeId) -> Result<Vec<Member>, Error> {
        self.rows(ROLES_IN, &[practice.as_bytes().into()])?.iter().map(member).collect()
    }

    /// Whether somebody has any role in a practice.
    pub fn is_member(&mut self, person: PersonId, practice: PracticeId) -> Result<bool, Error> {
        let found = self.row(IS_MEMBER, &[person.as_bytes().into(), practice.as_bytes().into()]);
        Ok(found?.is_some())
    }

    /// Whether somebody has any role in a practice, or is invited to it.
    pub fn belongs(&mut self, person: PersonId, practice: PracticeId) -> Result<bool, Error> {
        let found = self.row(BELONGS, &[person.as_bytes().into(), practice.as_bytes().into()])?;
        Ok(found.is_some() || self.is_member(person, practice)?)
    }

    /// Whether somebody prescribes in a practice.
    pub fn prescribes(&mut self, person: PersonId, practice: PracticeId) -> Result<bool, Error> {
        let found = self.row(PRESCRIBES, &[person.as_bytes().into(), practice.as_bytes().into()]);
        Ok(found?.is_some())
    }

    /// Everybody who has or had a role in a practice, or is invited, by name.
    pub fn people_of(&mut self, practice: PracticeId) -> Result<Vec<Listed>, Error> {
        self.rows(PEOPLE_OF, &[practice.as_bytes().into()])?
            .iter()
            .map(|row| {
                Ok(Listed {
                    id: row.get_id(LISTED.id, PersonId::from_slice)?,
                    name: row.string(LISTED.name)?,
                    sign_in: row.parsed(LISTED.sign_in)?,
                    has_passphrase: !row.get(LISTED.passphrase)?.is_empty(),
                    closed: row.flag(LISTED.closed)?,
                })
            })
            .collect()
    }
}
