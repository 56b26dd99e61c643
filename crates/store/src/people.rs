use countersign_domain::{
    ApiKeyId, EhrId, Failures, Npi, PassphraseHash, PersonId, PracticeId, SignInName, StaffId,
    Timestamp,
};

use crate::{
    Error, Tx,
    tx::{locking, sql},
    value::{Columns, Row},
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
    /// Wrong passcodes in a row, over all tokens.
    pub failures: Failures,
}

/// A member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// Our identifier.
    pub id: StaffId,
    /// The practice.
    pub practice: PracticeId,
    /// Name for pages.
    pub name: String,
}

/// An EHR that may launch us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EhrRow {
    /// Our identifier.
    pub id: EhrId,
    /// The practice.
    pub practice: PracticeId,
    /// Its ECDSA P-256 public key: 65 bytes, uncompressed point.
    pub public_key: Vec<u8>,
}

/// Who an EHR's user is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A prescriber.
    Prescriber(PersonId),
    /// A member of staff.
    Staff(StaffId),
}

/// A key of an integrating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKey {
    /// Our identifier.
    pub id: ApiKeyId,
    /// The practice it speaks for.
    pub practice: PracticeId,
}

pub(crate) fn failures(count: i64, blocked_until: Option<i64>) -> Failures {
    Failures {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        blocked_until: blocked_until.map(Timestamp::from_micros),
    }
}

fn person(row: &Row) -> Result<Person, Error> {
    let corrupt = |column| move || Error::Corrupt { column };
    let passphrase = match row.text(4, "prescriber.passphrase")? {
        "" => None,
        text => {
            Some(PassphraseHash::from_row(text).ok().ok_or_else(corrupt("prescriber.passphrase"))?)
        }
    };
    Ok(Person {
        id: row.id(0, "prescriber.id", PersonId::from_slice)?,
        practice: row.id(1, "prescriber.practice", PracticeId::from_slice)?,
        sign_in: row
            .text(2, "prescriber.sign_in")?
            .parse()
            .ok()
            .ok_or_else(corrupt("prescriber.sign_in"))?,
        name: row.text(3, "prescriber.name")?.to_owned(),
        passphrase,
        closed: row.int(5, "prescriber.closed")? != 0,
        failures: failures(
            row.int(6, "prescriber.failures")?,
            row.opt_int(7, "prescriber.blocked_until")?,
        ),
        practice_name: row.text(8, "practice.name")?.to_owned(),
    })
}

impl Tx<'_> {
    /// Makes a practice with a data key of its own.
    pub fn create_practice(
        &mut self,
        id: PracticeId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let key = self.new_practice_key(id)?;
        self.run(
            sql!(
                "INSERT INTO practice (id, name, data_key_sealed, created) VALUES ($1, $2, $3, $4)"
            ),
            &[id.as_bytes().into(), name.into(), key.as_slice().into(), now.micros().into()],
        )
        .map(drop)
    }

    /// The name of a practice.
    pub fn practice_name(&mut self, id: PracticeId) -> Result<Option<String>, Error> {
        self.row(sql!("SELECT name FROM practice WHERE id = $1"), &[id.as_bytes().into()])?
            .map(|row| row.text(0, "practice.name").map(str::to_owned))
            .transpose()
    }

    /// All practices, by name.
    pub fn practices(&mut self) -> Result<Vec<(PracticeId, String)>, Error> {
        self.rows(sql!("SELECT id, name FROM practice ORDER BY name, id"), &[])?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "practice.id", PracticeId::from_slice)?,
                    row.text(1, "practice.name")?.to_owned(),
                ))
            })
            .collect()
    }

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
            sql!("INSERT INTO prescriber (id, practice, sign_in, name, passphrase, closed, failures, created) "
                "VALUES ($1, $2, $3, $4, $5, 0, 0, $6) ON CONFLICT (sign_in) DO NOTHING"),
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
        self.run_one(
            sql!("UPDATE prescriber SET name = $2 WHERE id = $1"),
            &[id.as_bytes().into(), name.into()],
        )
    }

    /// Who signs in with this name.
    pub fn person_by_name(&mut self, name: &SignInName) -> Result<Option<Person>, Error> {
        self.row(
            sql!("SELECT p.id, p.practice, p.sign_in, p.name, p.passphrase, p.closed, p.failures, p.blocked_until, c.name "
                "FROM prescriber p JOIN practice c ON c.id = p.practice WHERE p.sign_in = $1"),
            &[name.as_text().as_str().into()],
        )?
        .as_ref()
        .map(person)
        .transpose()
    }

    /// The account with this id.
    pub fn person(&mut self, id: PersonId) -> Result<Option<Person>, Error> {
        self.row(
            sql!("SELECT p.id, p.practice, p.sign_in, p.name, p.passphrase, p.closed, p.failures, p.blocked_until, c.name "
                "FROM prescriber p JOIN practice c ON c.id = p.practice WHERE p.id = $1"),
            &[id.as_bytes().into()],
        )?
        .as_ref()
        .map(person)
        .transpose()
    }

    /// Keeps everyone else from changing this prescriber and their tokens until the commit, and
    /// gives the failure counter as it is now.
    pub fn lock_prescriber(&mut self, id: PersonId) -> Result<Failures, Error> {
        let mut found = None;
        self.each(
            locking!("SELECT failures, blocked_until FROM prescriber WHERE id = $1"),
            &[id.as_bytes().into()],
            &mut |row| {
                found = Some(failures(
                    row.int(0, "prescriber.failures")?,
                    row.opt_int(1, "prescriber.blocked_until")?,
                ));
                Ok(())
            },
        )?;
        found.ok_or(Error::Corrupt { column: "prescriber.id" })
    }

    /// Locks a prescriber, and says whether the account is open.
    pub fn lock_open_account(&mut self, id: PersonId) -> Result<bool, Error> {
        let row = self
            .row(locking!("SELECT closed FROM prescriber WHERE id = $1"), &[id.as_bytes().into()])?
            .ok_or(Error::Corrupt { column: "prescriber.id" })?;
        Ok(row.int(0, "prescriber.closed")? == 0)
    }

    /// Closes an account: nobody signs in to it any more.
    pub fn close_account(&mut self, id: PersonId) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE prescriber SET closed = 1 WHERE id = $1"),
            &[id.as_bytes().into()],
        )
    }

    /// Writes the failure counter of a prescriber.
    pub fn save_prescriber_failures(&mut self, id: PersonId, to: &Failures) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE prescriber SET failures = $2, blocked_until = $3 WHERE id = $1"),
            &[
                id.as_bytes().into(),
                i64::from(to.count).into(),
                to.blocked_until.map(Timestamp::micros).into(),
            ],
        )
    }

    /// Writes a passphrase hash, as when its parameters are raised.
    pub fn save_passphrase(&mut self, id: PersonId, to: &PassphraseHash) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE prescriber SET passphrase = $2 WHERE id = $1"),
            &[id.as_bytes().into(), to.to_row().as_str().into()],
        )
    }

    /// The failures counted for a name, known or not; locks the row where there is one.
    pub fn sign_in_failures(
        &mut self,
        npi_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Failures, Error> {
        // A row first: there is nothing to lock where there is none, and tries in parallel would
        // all read zero.
        self.run(
            sql!("INSERT INTO sign_in_pause (npi_hash, failures, at) VALUES ($1, 0, $2) "
                "ON CONFLICT (npi_hash) DO NOTHING"),
            &[npi_hash.into(), now.micros().into()],
        )?;
        self.row(
            locking!("SELECT failures, blocked_until FROM sign_in_pause WHERE npi_hash = $1"),
            &[npi_hash.into()],
        )?
        .map_or(Ok(Failures::NONE), |row| {
            Ok(failures(
                row.int(0, "sign_in_pause.failures")?,
                row.opt_int(1, "sign_in_pause.blocked_until")?,
            ))
        })
    }

    /// Writes the failures counted for a name, known or not.
    pub fn save_sign_in_failures(
        &mut self,
        npi_hash: &[u8; 32],
        to: &Failures,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(
            sql!("INSERT INTO sign_in_pause (npi_hash, failures, blocked_until, at) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (npi_hash) DO UPDATE SET failures = excluded.failures, "
                "blocked_until = excluded.blocked_until, at = excluded.at"),
            &[
                npi_hash.into(),
                i64::from(to.count).into(),
                to.blocked_until.map(Timestamp::micros).into(),
                now.micros().into(),
            ],
        )
    }

    /// Makes a member of staff.
    pub fn create_staff(
        &mut self,
        staff: &Staff,
        ehr_user: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let made = self.run(
            sql!("INSERT INTO staff (id, practice, name, ehr_user, created) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (practice, ehr_user) DO NOTHING"),
            &[
                staff.id.as_bytes().into(),
                staff.practice.as_bytes().into(),
                staff.name.as_str().into(),
                ehr_user.into(),
                now.micros().into(),
            ],
        )?;
        Ok(made == 1)
    }

    /// The member of staff with this id.
    pub fn staff(&mut self, id: StaffId) -> Result<Option<Staff>, Error> {
        self.row(
            sql!("SELECT id, practice, name FROM staff WHERE id = $1"),
            &[id.as_bytes().into()],
        )?
        .map(|row| {
            Ok(Staff {
                id: row.id(0, "staff.id", StaffId::from_slice)?,
                practice: row.id(1, "staff.practice", PracticeId::from_slice)?,
                name: row.text(2, "staff.name")?.to_owned(),
            })
        })
        .transpose()
    }

    /// Registers an EHR.
    pub fn create_ehr(&mut self, ehr: &EhrRow, name: &str, now: Timestamp) -> Result<(), Error> {
        self.run(
            sql!("INSERT INTO ehr (id, practice, name, public_key, created) VALUES ($1, $2, $3, $4, $5)"),
            &[
                ehr.id.as_bytes().into(),
                ehr.practice.as_bytes().into(),
                name.into(),
                ehr.public_key.as_slice().into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The EHR with this id.
    pub fn ehr(&mut self, id: EhrId) -> Result<Option<EhrRow>, Error> {
        self.row(
            sql!("SELECT id, practice, public_key FROM ehr WHERE id = $1"),
            &[id.as_bytes().into()],
        )?
        .map(|row| {
            Ok(EhrRow {
                id: row.id(0, "ehr.id", EhrId::from_slice)?,
                practice: row.id(1, "ehr.practice", PracticeId::from_slice)?,
                public_key: row.blob(2, "ehr.public_key")?.to_vec(),
            })
        })
        .transpose()
    }

    /// Says who a user of an EHR is here.
    pub fn link_ehr_user(
        &mut self,
        ehr: EhrId,
        user: &str,
        identity: Identity,
    ) -> Result<(), Error> {
        let (prescriber, staff) = match &identity {
            Identity::Prescriber(id) => (Some(id.as_bytes()), None),
            Identity::Staff(id) => (None, Some(id.as_bytes())),
        };
        self.run(
            sql!("INSERT INTO ehr_user (ehr, ehr_user, prescriber, staff) VALUES ($1, $2, $3, $4)"),
            &[ehr.as_bytes().into(), user.into(), prescriber.into(), staff.into()],
        )
        .map(drop)
    }

    /// Who a user of an EHR is here.
    pub fn ehr_user(&mut self, ehr: EhrId, user: &str) -> Result<Option<Identity>, Error> {
        let row = self.row(
            sql!("SELECT prescriber, staff FROM ehr_user WHERE ehr = $1 AND ehr_user = $2"),
            &[ehr.as_bytes().into(), user.into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        match (
            row.opt_id(0, "ehr_user.prescriber", PersonId::from_slice)?,
            row.opt_id(1, "ehr_user.staff", StaffId::from_slice)?,
        ) {
            (Some(id), None) => Ok(Some(Identity::Prescriber(id))),
            (None, Some(id)) => Ok(Some(Identity::Staff(id))),
            _ => Err(Error::Corrupt { column: "ehr_user.prescriber" }),
        }
    }

    /// Uses a launch up; `false` when it was used before.
    pub fn use_launch(&mut self, jti_hash: &[u8; 32], expires: Timestamp) -> Result<bool, Error> {
        let used = self.run(
            sql!("INSERT INTO launch_used (jti_hash, expires) VALUES ($1, $2) ON CONFLICT (jti_hash) DO NOTHING"),
            &[jti_hash.into(), expires.micros().into()],
        )?;
        Ok(used == 1)
    }

    /// Makes a key for an integrating system; only its hash is kept.
    pub fn create_api_key(
        &mut self,
        key: &ApiKey,
        name: &str,
        key_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            sql!("INSERT INTO api_key (id, practice, name, key_hash, created) VALUES ($1, $2, $3, $4, $5)"),
            &[
                key.id.as_bytes().into(),
                key.practice.as_bytes().into(),
                name.into(),
                key_hash.into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The key with this hash, unless it was revoked.
    pub fn api_key(&mut self, key_hash: &[u8; 32]) -> Result<Option<ApiKey>, Error> {
        self.row(
            sql!("SELECT id, practice FROM api_key WHERE key_hash = $1 AND revoked IS NULL"),
            &[key_hash.into()],
        )?
        .map(|row| {
            Ok(ApiKey {
                id: row.id(0, "api_key.id", ApiKeyId::from_slice)?,
                practice: row.id(1, "api_key.practice", PracticeId::from_slice)?,
            })
        })
        .transpose()
    }

    /// The keys of a practice, oldest first: identifier, what it is for, when it was revoked.
    pub fn api_keys(
        &mut self,
        practice: PracticeId,
    ) -> Result<Vec<(ApiKeyId, String, Option<Timestamp>)>, Error> {
        self.rows(
            sql!("SELECT id, name, revoked FROM api_key WHERE practice = $1 ORDER BY created, id"),
            &[practice.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            Ok((
                row.id(0, "api_key.id", ApiKeyId::from_slice)?,
                row.text(1, "api_key.name")?.to_owned(),
                row.opt_int(2, "api_key.revoked")?.map(Timestamp::from_micros),
            ))
        })
        .collect()
    }

    /// Revokes a key; says its practice and what it was for, or nothing if no such key works.
    pub fn revoke_api_key(
        &mut self,
        id: ApiKeyId,
        now: Timestamp,
    ) -> Result<Option<(PracticeId, String)>, Error> {
        self.row(
            sql!("UPDATE api_key SET revoked = $2 WHERE id = $1 AND revoked IS NULL RETURNING practice, name"),
            &[id.as_bytes().into(), now.micros().into()],
        )?
        .map(|row| {
            Ok((
                row.id(0, "api_key.practice", PracticeId::from_slice)?,
                row.text(1, "api_key.name")?.to_owned(),
            ))
        })
        .transpose()
    }

    /// Removes what has run out: launches, pauses of yesterday and tokens nobody added. Sessions
    /// have their own way, since their end is on record.
    pub fn purge(&mut self, now: Timestamp) -> Result<u64, Error> {
        let day_ago = now.plus_seconds(-86_400).micros();
        // A day late: another server's clock may be behind this one's.
        let mut gone =
            self.run(sql!("DELETE FROM launch_used WHERE expires < $1"), &[day_ago.into()])?;
        gone += self.run(
            sql!("DELETE FROM sign_in_pause WHERE at < $1 AND (blocked_until IS NULL OR blocked_until < $2)"),
            &[day_ago.into(), now.micros().into()],
        )?;
        gone += self.run(sql!("DELETE FROM smart_try WHERE expires < $1"), &[day_ago.into()])?;
        gone += self.run(sql!("DELETE FROM api_access WHERE expires < $1"), &[day_ago.into()])?;
        gone += self.run(sql!("DELETE FROM api_answer WHERE expires < $1"), &[day_ago.into()])?;
        let former = now.plus_seconds(-countersign_domain::marks::FORMER_DAYS * 86_400);
        gone +=
            self.run(sql!("DELETE FROM former_marks WHERE ended < $1"), &[former.micros().into()])?;
        // Before the tokens that they name.
        gone += self.purge_pairings(now.plus_seconds(-3_600), now)?;
        gone += self.run(
            sql!("DELETE FROM token WHERE prescriber IS NULL AND state_at < $1 AND id NOT IN (SELECT token FROM fob)"),
            &[now.micros().into()],
        )?;
        Ok(gone)
    }
}
