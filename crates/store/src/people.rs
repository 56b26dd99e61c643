use countersign_domain::{
    ApiKeyId, AttemptCounter, EhrId, Failures, Npi, PasscodeFailures, PassphraseHash, PersonId,
    PracticeId, SignInName, StaffId, Timestamp,
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
    /// Wrong passcodes, over all tokens.
    pub failures: PasscodeFailures,
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

fn failures(count: i64, blocked_until: Option<i64>) -> Failures {
    Failures {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        blocked_until: blocked_until.map(Timestamp::from_micros),
    }
}

/// Reads the columns `failures`, `blocked_until`, `wrong_in_a_day` and `wrong_began` of a prescriber, which
/// stand in this order from `first` on.
pub(crate) fn passcode_failures(
    row: &impl Columns,
    first: usize,
) -> Result<PasscodeFailures, Error> {
    Ok(PasscodeFailures {
        in_a_row: failures(
            row.int(first, "prescriber.failures")?,
            row.opt_int(first + 1, "prescriber.blocked_until")?,
        ),
        in_a_day: u32::try_from(row.int(first + 2, "prescriber.wrong_in_a_day")?)
            .unwrap_or(u32::MAX),
        day_began: row.opt_int(first + 3, "prescriber.wrong_began")?.map(Timestamp::from_micros),
    })
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
        failures: passcode_failures(row, 6)?,
        practice_name: row.text(10, "practice.name")?.to_owned(),
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
            sql!("SELECT p.id, p.practice, p.sign_in, p.name, p.passphrase, p.closed, p.failures, p.blocked_until, "
                "p.wrong_in_a_day, p.wrong_began, c.name "
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
            sql!("SELECT p.id, p.practice, p.sign_in, p.name, p.passphrase, p.closed, p.failures, p.blocked_until, "
                "p.wrong_in_a_day, p.wrong_began, c.name "
                "FROM prescriber p JOIN practice c ON c.id = p.practice WHERE p.id = $1"),
            &[id.as_bytes().into()],
        )?
        .as_ref()
        .map(person)
        .transpose()
    }

    /// Keeps everyone else from changing this prescriber and their tokens until the commit, and
    /// gives the failure counter as it is now.
    pub fn lock_prescriber(&mut self, id: PersonId) -> Result<PasscodeFailures, Error> {
        let mut found = None;
        self.each(
            locking!("SELECT failures, blocked_until, wrong_in_a_day, wrong_began FROM prescriber WHERE id = $1"),
            &[id.as_bytes().into()],
            &mut |row| {
                found = Some(passcode_failures(row, 0)?);
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
    pub fn save_prescriber_failures(
        &mut self,
        id: PersonId,
        to: &PasscodeFailures,
    ) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE prescriber SET failures = $2, blocked_until = $3, wrong_in_a_day = $4, wrong_began = $5 "
                "WHERE id = $1"),
            &[
                id.as_bytes().into(),
                i64::from(to.in_a_row.count).into(),
                to.in_a_row.blocked_until.map(Timestamp::micros).into(),
                i64::from(to.in_a_day).into(),
                to.day_began.map(Timestamp::micros).into(),
            ],
        )
    }

    /// The open accounts with at least so many wrong passcodes in a day that began after `since`, whose owners
    /// were not told of that day; each with its count.
    pub fn wrong_passcodes_untold(
        &mut self,
        least: u32,
        since: Timestamp,
    ) -> Result<Vec<(PersonId, u32)>, Error> {
        self.rows(
            sql!("SELECT id, wrong_in_a_day FROM prescriber WHERE wrong_began IS NOT NULL AND wrong_began > $1 "
                "AND wrong_in_a_day >= $2 AND (wrong_told IS NULL OR wrong_told <> wrong_began) AND closed = 0 "
                "ORDER BY wrong_began, id"),
            &[since.micros().into(), i64::from(least).into()],
        )?
        .iter()
        .map(|row| {
            let count = row.int(1, "prescriber.wrong_in_a_day")?;
            let id = row.id(0, "prescriber.id", PersonId::from_slice)?;
            Ok((id, u32::try_from(count).unwrap_or(u32::MAX)))
        })
        .collect()
    }

    /// Notes that the owner of an account was told of the wrong passcodes of this day; `false` where that was
    /// noted before.
    pub fn wrong_passcodes_told(&mut self, id: PersonId) -> Result<bool, Error> {
        let told = self.run(
            sql!("UPDATE prescriber SET wrong_told = wrong_began WHERE id = $1 AND wrong_began IS NOT NULL "
                "AND (wrong_told IS NULL OR wrong_told <> wrong_began)"),
            &[id.as_bytes().into()],
        )?;
        Ok(told == 1)
    }

    /// Writes a passphrase hash, as when its parameters are raised.
    pub fn save_passphrase(&mut self, id: PersonId, to: &PassphraseHash) -> Result<(), Error> {
        self.run_one(
            sql!("UPDATE prescriber SET passphrase = $2 WHERE id = $1"),
            &[id.as_bytes().into(), to.to_row().as_str().into()],
        )
    }

    /// The passphrase attempts counted under a key, whether anything has that key or not; locks the row.
    pub fn attempts(&mut self, key: &[u8; 32], now: Timestamp) -> Result<AttemptCounter, Error> {
        // A row first: there is nothing to lock where there is none, and attempts in parallel would
        // all read zero.
        self.run(
            sql!("INSERT INTO sign_in_pause (npi_hash, failures, at) VALUES ($1, 0, $2) "
                "ON CONFLICT (npi_hash) DO NOTHING"),
            &[key.into(), now.micros().into()],
        )?;
        self.row(
            locking!(
                "SELECT failures, blocked_until, under_way_until FROM sign_in_pause WHERE npi_hash = $1"
            ),
            &[key.into()],
        )?
        .map_or(Ok(AttemptCounter::NONE), |row| {
            Ok(AttemptCounter {
                failures: failures(
                    row.int(0, "sign_in_pause.failures")?,
                    row.opt_int(1, "sign_in_pause.blocked_until")?,
                ),
                under_way_until: row
                    .opt_int(2, "sign_in_pause.under_way_until")?
                    .map(Timestamp::from_micros),
            })
        })
    }

    /// Writes the passphrase attempts counted under a key.
    pub fn save_attempts(
        &mut self,
        key: &[u8; 32],
        to: &AttemptCounter,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(
            sql!("INSERT INTO sign_in_pause (npi_hash, failures, blocked_until, under_way_until, at) "
                "VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (npi_hash) DO UPDATE SET failures = excluded.failures, "
                "blocked_until = excluded.blocked_until, under_way_until = excluded.under_way_until, "
                "at = excluded.at"),
            &[
                key.into(),
                i64::from(to.failures.count).into(),
                to.failures.blocked_until.map(Timestamp::micros).into(),
                to.under_way_until.map(Timestamp::micros).into(),
                now.micros().into(),
            ],
        )
    }

    /// Whether an account has signed in with both factors in the browser whose cookie has this hash. A
    /// look-up for nobody costs the same.
    pub fn is_known_browser(
        &mut self,
        secret_hash: &[u8; 32],
        person: Option<PersonId>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let person = person.as_ref().map_or([0; 16], |id| *id.as_bytes());
        let row = self.row(
            sql!("SELECT expires FROM known_browser WHERE secret_hash = $1 AND person = $2 AND expires > $3"),
            &[secret_hash.into(), (&person).into(), now.micros().into()],
        )?;
        Ok(row.is_some())
    }

    /// Whether any account has signed in with both factors in the browser whose cookie has this hash.
    pub fn is_browser_of_anybody(
        &mut self,
        secret_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, Error> {
        let row = self.row(
            sql!(
                "SELECT expires FROM known_browser WHERE secret_hash = $1 AND expires > $2 LIMIT 1"
            ),
            &[secret_hash.into(), now.micros().into()],
        )?;
        Ok(row.is_some())
    }

    /// Notes that an account has signed in with both factors in a browser. Of each account the `most` browsers
    /// stay that it used last.
    pub fn know_browser(
        &mut self,
        secret_hash: &[u8; 32],
        person: PersonId,
        now: Timestamp,
        expires: Timestamp,
        most: i64,
    ) -> Result<(), Error> {
        self.run_one(
            sql!("INSERT INTO known_browser (secret_hash, person, signed_in, expires) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (secret_hash, person) DO UPDATE SET signed_in = excluded.signed_in, "
                "expires = excluded.expires"),
            &[
                secret_hash.into(),
                person.as_bytes().into(),
                now.micros().into(),
                expires.micros().into(),
            ],
        )?;
        self.run(
            sql!("DELETE FROM known_browser WHERE person = $1 AND secret_hash NOT IN "
                "(SELECT k.secret_hash FROM known_browser k WHERE k.person = $1 "
                "ORDER BY k.signed_in DESC, k.secret_hash LIMIT $2)"),
            &[person.as_bytes().into(), most.into()],
        )
        .map(drop)
    }

    /// Forgets that an account has signed in in a browser.
    pub fn forget_browser(
        &mut self,
        secret_hash: &[u8; 32],
        person: PersonId,
    ) -> Result<(), Error> {
        self.run(
            sql!("DELETE FROM known_browser WHERE secret_hash = $1 AND person = $2"),
            &[secret_hash.into(), person.as_bytes().into()],
        )
        .map(drop)
    }

    /// Forgets all browsers of an account, but for one.
    pub fn forget_browsers_of(
        &mut self,
        person: PersonId,
        but: Option<&[u8; 32]>,
    ) -> Result<u64, Error> {
        // No SHA-256 is empty.
        let but = but.map_or(&[] as &[u8], <[u8; 32]>::as_slice);
        self.run(
            sql!("DELETE FROM known_browser WHERE person = $1 AND secret_hash <> $2"),
            &[person.as_bytes().into(), but.into()],
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

    /// Removes what has run out: launches, pauses of yesterday, known browsers and tokens nobody added. Sessions
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
        gone +=
            self.run(sql!("DELETE FROM known_browser WHERE expires < $1"), &[now.micros().into()])?;
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
