//! Permissions to sign under a registration.

use countersign_domain::{
    AuthorityId, PersonId, PracticeId,
    access::{Cause, Permission, Review},
};

use super::time;
use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::{Columns, Row},
};

/// A permission with what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionRow {
    /// Whose.
    pub person: PersonId,
    /// For which registration.
    pub authority: AuthorityId,
    /// How it stands.
    pub permission: Permission,
}

fn permission(row: &Row, at: usize) -> Result<Permission, Error> {
    let column = "permission.state";
    let since = time(row, at + 2, "permission.since")?;
    let flag = |index, column| -> Result<bool, Error> { Ok(row.int(index, column)? != 0) };
    Ok(match row.text(at, column)? {
        "granted" => {
            Permission::Granted { since, self_executed: flag(at + 3, "permission.self_executed")? }
        }
        "revoked" => Permission::Revoked {
            cause: row
                .opt_text(at + 1, "permission.cause")?
                .and_then(Cause::from_code)
                .ok_or(Error::Corrupt { column: "permission.cause" })?,
            since,
            review: match row.int(at + 4, "permission.confirmed")? {
                0 => Review::Waiting,
                1 => Review::Confirmed,
                2 => Review::Mistaken,
                _ => return Err(Error::Corrupt { column: "permission.confirmed" }),
            },
        },
        _ => return Err(Error::Corrupt { column }),
    })
}

statements! {
    PERMISSIONS = sql!(
        "SELECT person, authority, state, cause, since, self_executed, confirmed FROM permission "
        "WHERE practice = $1 ORDER BY since, person"
    );
    PERMISSIONS_OF = locking!(
        "SELECT person, authority, state, cause, since, self_executed, confirmed, practice "
        "FROM permission WHERE person = $1"
    );
    PERMISSION = locking!(
        "SELECT state, cause, since, self_executed, confirmed FROM permission "
        "WHERE person = $1 AND practice = $2 AND authority = $3"
    );
    SAVE_PERMISSION = sql!(
        "INSERT INTO permission (person, practice, authority, state, cause, since, self_executed, confirmed) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (person, practice, authority) DO UPDATE SET "
        "state = excluded.state, cause = excluded.cause, since = excluded.since, "
        "self_executed = excluded.self_executed, confirmed = excluded.confirmed"
    );
}

impl Tx<'_> {
    /// The permissions of a practice.
    pub fn permissions(&mut self, practice: PracticeId) -> Result<Vec<PermissionRow>, Error> {
        self.rows(PERMISSIONS, &[practice.as_bytes().into()])?
            .iter()
            .map(|row| {
                Ok(PermissionRow {
                    person: row.id(0, "permission.person", PersonId::from_slice)?,
                    authority: row.id(1, "permission.authority", AuthorityId::from_slice)?,
                    permission: permission(row, 2)?,
                })
            })
            .collect()
    }

    /// Every permission of somebody, in all practices; nobody else may change them until the commit.
    pub fn permissions_of(
        &mut self,
        person: PersonId,
    ) -> Result<Vec<(PracticeId, PermissionRow)>, Error> {
        self.rows(PERMISSIONS_OF, &[person.as_bytes().into()])?
            .iter()
            .map(|row| {
                let it = PermissionRow {
                    person,
                    authority: row.id(1, "permission.authority", AuthorityId::from_slice)?,
                    permission: permission(row, 2)?,
                };
                Ok((row.id(7, "permission.practice", PracticeId::from_slice)?, it))
            })
            .collect()
    }

    /// A permission; nobody else may change it until the commit.
    pub fn permission(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        authority: AuthorityId,
    ) -> Result<Permission, Error> {
        self.row(
            PERMISSION,
            &[person.as_bytes().into(), practice.as_bytes().into(), authority.as_bytes().into()],
        )?
        .map_or(Ok(Permission::None), |row| permission(&row, 0))
    }

    /// Writes a permission; the tokens of its holder follow.
    pub fn save_permission(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        authority: AuthorityId,
        to: &Permission,
    ) -> Result<(), Error> {
        let (state, cause, since, own, confirmed) = match to {
            Permission::None => return Err(Self::broken("a permission can't be forgotten")),
            Permission::Granted { since, self_executed } => {
                ("granted", None, *since, *self_executed, 1)
            }
            Permission::Revoked { cause, since, review } => {
                let review = match review {
                    Review::Waiting => 0,
                    Review::Confirmed => 1,
                    Review::Mistaken => 2,
                };
                ("revoked", Some(cause.code()), *since, false, review)
            }
        };
        self.run_one(
            SAVE_PERMISSION,
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                authority.as_bytes().into(),
                state.into(),
                cause.into(),
                since.micros().into(),
                i64::from(own).into(),
                i64::from(confirmed).into(),
            ],
        )?;
        self.refresh_signing(person)
    }
}
