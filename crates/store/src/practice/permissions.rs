//! Permissions to sign under a registration.

use countersign_domain::{
    AuthorityId, PersonId, PracticeId,
    access::{Cause, Permission, Review},
};

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{sql, statements},
    value::{Declared, Row},
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

fn permission(row: &Row) -> Result<Permission, Error> {
    let since = row.time(PERMISSION_ROW.since)?;
    Ok(match row.get(PERMISSION_ROW.state)? {
        "granted" => {
            Permission::Granted { since, self_executed: row.flag(PERMISSION_ROW.self_executed)? }
        }
        "revoked" => Permission::Revoked {
            cause: row
                .get(PERMISSION_ROW.cause)?
                .and_then(Cause::from_code)
                .ok_or_else(|| row.corrupt(PERMISSION_ROW.cause))?,
            since,
            review: match row.get(PERMISSION_ROW.confirmed)? {
                0 => Review::Waiting,
                1 => Review::Confirmed,
                2 => Review::Mistaken,
                _ => return Err(row.corrupt(PERMISSION_ROW.confirmed)),
            },
        },
        _ => return Err(row.corrupt(PERMISSION_ROW.state)),
    })
}

columns! {
    /// What is read of a permission.
    PERMISSION_ROW: PermissionColumns from "permission" {
        state: Text,
        cause: Opt<Text>,
        since: Int,
        self_executed: Int,
        confirmed: Int,
        person: Blob,
        authority: Blob,
        practice: Blob,
    }
}

statements! {
    PERMISSIONS = select!(PermissionColumns, "WHERE practice = $1 ORDER BY since, person");
    PERMISSIONS_OF = select!(PermissionColumns, locking "WHERE person = $1");
    PERMISSION = select!(PermissionColumns, locking "WHERE person = $1 AND practice = $2 AND authority = $3");
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
                    person: row.get_id(PERMISSION_ROW.person, PersonId::from_slice)?,
                    authority: row.get_id(PERMISSION_ROW.authority, AuthorityId::from_slice)?,
                    permission: permission(row)?,
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
                    authority: row.get_id(PERMISSION_ROW.authority, AuthorityId::from_slice)?,
                    permission: permission(row)?,
                };
                Ok((row.get_id(PERMISSION_ROW.practice, PracticeId::from_slice)?, it))
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
        .map_or(Ok(Permission::None), |row| permission(&row))
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
