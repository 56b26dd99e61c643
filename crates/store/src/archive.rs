//! The archive: signed records, the logs of months, what practitioners disown, and legal holds. A record is
//! written once. Nothing changes it, and it is removed only when its time is over and nothing holds it.

use countersign_domain::{
    HoldId, PersonId, PracticeId, PrescriptionId, Timestamp, prescription::State,
};

use crate::{
    Error, Tx,
    tx::{locking, sql},
    value::{Columns, Row},
};

/// A signed record: the archive's.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRecord {
    /// Of which prescription.
    pub prescription: PrescriptionId,
    /// In which practice.
    pub practice: PracticeId,
    /// By whom.
    pub prescriber: PersonId,
    /// When.
    pub signed: Timestamp,
    /// With which key.
    pub key_id: String,
    /// The record in compact form (JWS, RFC 7515).
    pub jws: String,
}

/// A signed record, and what became of its prescription.
#[derive(Clone, PartialEq, Eq)]
pub struct Archived {
    /// The record.
    pub record: SignedRecord,
    /// How far the prescription is.
    pub state: State,
    /// When its practitioner said that it is not theirs.
    pub disowned: Option<Timestamp>,
}

/// The log of a month as it was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyLog {
    /// Of which practice.
    pub practice: PracticeId,
    /// The month, such as `2027-05`.
    pub month: String,
    /// When its practitioner first looked at it.
    pub seen: Option<Timestamp>,
}

/// A legal hold: what it covers stays, whatever its age.
#[derive(Clone, PartialEq, Eq)]
pub struct Hold {
    /// Our identifier.
    pub id: HoldId,
    /// In which practice.
    pub practice: PracticeId,
    /// Whose records; all of the practice's where nobody is named.
    pub person: Option<PersonId>,
    /// Why.
    pub reason: String,
    /// Since when, and who placed it.
    pub placed: (Timestamp, PersonId),
    /// Since when it holds no longer, who lifted it, and why.
    pub lifted: Option<(Timestamp, PersonId, String)>,
}

macro_rules! archive_query {
    ($($tail:literal)+) => {
        sql!("SELECT r.prescription, r.practice, r.prescriber, r.signed, r.key_id, r.sealed, p.state, p.state_at, d.at "
            "FROM signed_record r JOIN prescription p ON p.id = r.prescription LEFT JOIN disowned d ON d.prescription = r.prescription " $($tail)+)
    };
}

impl Tx<'_> {
    /// Puts a signed record into the archive: once.
    pub fn archive(&mut self, it: &SignedRecord) -> Result<(), Error> {
        let id = it.prescription;
        let sealed = self.seal_json(it.practice, "signed_record", id.as_bytes(), &it.jws)?;
        self.run(
            sql!("INSERT INTO signed_record (prescription, practice, prescriber, signed, key_id, sealed) "
                "VALUES ($1, $2, $3, $4, $5, $6)"),
            &[
                id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.prescriber.as_bytes().into(),
                it.signed.micros().into(),
                it.key_id.as_str().into(),
                sealed.as_slice().into(),
            ],
        )
        .map(drop)
    }

    /// The signed record of a prescription.
    pub fn signed_record(
        &mut self,
        practice: PracticeId,
        id: PrescriptionId,
    ) -> Result<Option<SignedRecord>, Error> {
        let row = self.row(
            sql!("SELECT prescriber, signed, key_id, sealed FROM signed_record WHERE prescription = $1 AND practice = $2"),
            &[id.as_bytes().into(), practice.as_bytes().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let sealed = row.blob(3, "signed_record.sealed")?;
        Ok(Some(SignedRecord {
            prescription: id,
            practice,
            prescriber: row.id(0, "signed_record.prescriber", PersonId::from_slice)?,
            signed: Timestamp::from_micros(row.int(1, "signed_record.signed")?),
            key_id: row.text(2, "signed_record.key_id")?.to_owned(),
            jws: self.open_json(practice, "signed_record", id.as_bytes(), sealed)?,
        }))
    }

    fn archived(&mut self, rows: &[Row]) -> Result<Vec<Archived>, Error> {
        rows.iter()
            .map(|row| {
                let column = "prescription.state";
                let at = row.opt_int(7, "prescription.state_at")?.map(Timestamp::from_micros);
                let id = row.id(0, "signed_record.prescription", PrescriptionId::from_slice)?;
                let practice = row.id(1, "signed_record.practice", PracticeId::from_slice)?;
                let sealed = row.blob(5, "signed_record.sealed")?;
                Ok(Archived {
                    state: State::from_code(row.text(6, column)?, at)
                        .ok_or(Error::Corrupt { column })?,
                    disowned: row.opt_int(8, "disowned.at")?.map(Timestamp::from_micros),
                    record: SignedRecord {
                        prescription: id,
                        practice,
                        prescriber: row.id(2, "signed_record.prescriber", PersonId::from_slice)?,
                        signed: Timestamp::from_micros(row.int(3, "signed_record.signed")?),
                        key_id: row.text(4, "signed_record.key_id")?.to_owned(),
                        jws: self.open_json(practice, "signed_record", id.as_bytes(), sealed)?,
                    },
                })
            })
            .collect()
    }

    /// What somebody has signed in a time, in all practices, oldest first.
    pub fn records_of(
        &mut self,
        person: PersonId,
        (from, to): (Timestamp, Timestamp),
        most: i64,
    ) -> Result<Vec<Archived>, Error> {
        let sql = archive_query!(
            "WHERE r.prescriber = $1 AND r.signed >= $2 AND r.signed < $3 ORDER BY r.signed, r.prescription LIMIT $4"
        );
        let params =
            [person.as_bytes().into(), from.micros().into(), to.micros().into(), most.into()];
        let rows = self.rows(sql, &params)?;
        self.archived(&rows)
    }

    /// One record of somebody.
    pub fn record_of(
        &mut self,
        person: PersonId,
        id: PrescriptionId,
    ) -> Result<Option<Archived>, Error> {
        let sql = archive_query!("WHERE r.prescriber = $1 AND r.prescription = $2");
        let rows = self.rows(sql, &[person.as_bytes().into(), id.as_bytes().into()])?;
        Ok(self.archived(&rows)?.pop())
    }

    /// What was signed in a practice in a time, newest first.
    pub fn records_in(
        &mut self,
        practice: PracticeId,
        (from, to): (Timestamp, Timestamp),
        most: i64,
    ) -> Result<Vec<Archived>, Error> {
        let sql = archive_query!(
            "WHERE r.practice = $1 AND r.signed >= $2 AND r.signed < $3 ORDER BY r.signed DESC, r.prescription LIMIT $4"
        );
        let params =
            [practice.as_bytes().into(), from.micros().into(), to.micros().into(), most.into()];
        let rows = self.rows(sql, &params)?;
        self.archived(&rows)
    }

    /// When the practitioner of a prescription said that it is not theirs.
    pub fn disowned(&mut self, id: PrescriptionId) -> Result<Option<Timestamp>, Error> {
        let row = self.row(
            sql!("SELECT at FROM disowned WHERE prescription = $1"),
            &[id.as_bytes().into()],
        )?;
        row.map(|row| Ok(Timestamp::from_micros(row.int(0, "disowned.at")?))).transpose()
    }

    /// The prescriptions of somebody that could not be sent, in all practices, newest first: at most so many.
    pub fn not_sent(&mut self, person: PersonId, most: i64) -> Result<Vec<Archived>, Error> {
        let sql = archive_query!(
            "WHERE r.prescriber = $1 AND p.state = 'failed' ORDER BY r.signed DESC, r.prescription LIMIT $2"
        );
        let rows = self.rows(sql, &[person.as_bytes().into(), most.into()])?;
        self.archived(&rows)
    }

    /// How many those are.
    pub fn count_not_sent(&mut self, person: PersonId) -> Result<i64, Error> {
        let row = self.row(
            sql!("SELECT COUNT(*) FROM prescription WHERE prescriber = $1 AND state = 'failed'"),
            &[person.as_bytes().into()],
        )?;
        row.map_or(Ok(0), |row| row.int(0, "count"))
    }

    /// Notes that a signed record is not its practitioner's. `false` where that was noted before.
    pub fn disown(&mut self, record: &SignedRecord, now: Timestamp) -> Result<bool, Error> {
        let noted = self.run(
            sql!("INSERT INTO disowned (prescription, practice, at) VALUES ($1, $2, $3) ON CONFLICT (prescription) DO NOTHING"),
            &[
                record.prescription.as_bytes().into(),
                record.practice.as_bytes().into(),
                now.micros().into(),
            ],
        )?;
        Ok(noted == 1)
    }

    /// Who has signed in a practice in a time, and has no log of that month yet.
    pub fn logs_missing(
        &mut self,
        practice: PracticeId,
        month: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<PersonId>, Error> {
        self.rows(
            sql!("SELECT DISTINCT r.prescriber FROM signed_record r WHERE r.practice = $1 AND r.signed >= $3 AND r.signed < $4 "
                "AND NOT EXISTS (SELECT l.made FROM monthly_log l WHERE l.practice = r.practice AND l.prescriber = r.prescriber "
                "AND l.month = $2)"),
            &[practice.as_bytes().into(), month.into(), from.micros().into(), to.micros().into()],
        )?
        .iter()
        .map(|row| row.id(0, "signed_record.prescriber", PersonId::from_slice))
        .collect()
    }

    /// Keeps a log as it is given out: once.
    pub fn keep_log(
        &mut self,
        practice: PracticeId,
        person: PersonId,
        month: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let id = [person.as_bytes().as_slice(), month.as_bytes()].concat();
        let sealed = self.seal_json(practice, "monthly_log", &id, &text)?;
        self.run(
            sql!("INSERT INTO monthly_log (practice, prescriber, month, made, sealed) VALUES ($1, $2, $3, $4, $5)"),
            &[
                practice.as_bytes().into(),
                person.as_bytes().into(),
                month.into(),
                now.micros().into(),
                sealed.as_slice().into(),
            ],
        )
        .map(drop)
    }

    /// The logs of somebody, newest first.
    pub fn logs_of(&mut self, person: PersonId) -> Result<Vec<MonthlyLog>, Error> {
        self.rows(
            sql!("SELECT practice, month, seen FROM monthly_log WHERE prescriber = $1 ORDER BY month DESC, practice"),
            &[person.as_bytes().into()],
        )?
        .iter()
        .map(|row| {
            Ok(MonthlyLog {
                practice: row.id(0, "monthly_log.practice", PracticeId::from_slice)?,
                month: row.text(1, "monthly_log.month")?.to_owned(),
                seen: row.opt_int(2, "monthly_log.seen")?.map(Timestamp::from_micros),
            })
        })
        .collect()
    }

    /// One log, byte for byte as it was given out.
    pub fn log(
        &mut self,
        practice: PracticeId,
        person: PersonId,
        month: &str,
    ) -> Result<Option<String>, Error> {
        let row = self.row(
            sql!("SELECT sealed FROM monthly_log WHERE practice = $1 AND prescriber = $2 AND month = $3"),
            &[practice.as_bytes().into(), person.as_bytes().into(), month.into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let id = [person.as_bytes().as_slice(), month.as_bytes()].concat();
        self.open_json(practice, "monthly_log", &id, row.blob(0, "monthly_log.sealed")?).map(Some)
    }

    /// Notes that a practitioner has looked at the log of a month.
    pub fn see_log(
        &mut self,
        person: PersonId,
        practice: PracticeId,
        month: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            sql!("UPDATE monthly_log SET seen = $4 WHERE prescriber = $1 AND practice = $2 AND month = $3 AND seen IS NULL"),
            &[
                person.as_bytes().into(),
                practice.as_bytes().into(),
                month.into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The logs, made in a time, at which nobody has looked, and of which nobody was told: practice, whose, and of
    /// which month. They count as told from now on.
    pub fn logs_unseen(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Vec<(PracticeId, PersonId, String)>, Error> {
        let found = self
            .rows(
                sql!("SELECT practice, prescriber, month FROM monthly_log WHERE made > $1 AND made <= $2 AND seen IS NULL "
                    "AND told IS NULL ORDER BY month, practice, prescriber LIMIT 1000"),
                &[from.micros().into(), to.micros().into()],
            )?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "monthly_log.practice", PracticeId::from_slice)?,
                    row.id(1, "monthly_log.prescriber", PersonId::from_slice)?,
                    row.text(2, "monthly_log.month")?.to_owned(),
                ))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        for (practice, person, month) in &found {
            self.run_one(
                sql!("UPDATE monthly_log SET told = $4 WHERE practice = $1 AND prescriber = $2 AND month = $3 AND told IS NULL"),
                &[
                    practice.as_bytes().into(),
                    person.as_bytes().into(),
                    month.as_str().into(),
                    now.micros().into(),
                ],
            )?;
        }
        Ok(found)
    }

    /// When a practice signed its first record that is still there.
    pub fn first_record(&mut self, practice: PracticeId) -> Result<Option<Timestamp>, Error> {
        let row = self.row(
            sql!("SELECT signed FROM signed_record WHERE practice = $1 ORDER BY signed LIMIT 1"),
            &[practice.as_bytes().into()],
        )?;
        row.map(|row| Ok(Timestamp::from_micros(row.int(0, "signed_record.signed")?))).transpose()
    }

    /// Keeps whoever places a hold and whoever removes records of a practice apart until the commit: what was
    /// answered as held stays.
    pub fn lock_records(&mut self, practice: PracticeId) -> Result<(), Error> {
        self.row(locking!("SELECT id FROM practice WHERE id = $1"), &[practice.as_bytes().into()])
            .map(drop)
    }

    /// Places a hold.
    pub fn place_hold(&mut self, it: &Hold) -> Result<(), Error> {
        let sealed = self.seal_json(it.practice, "legal_hold", it.id.as_bytes(), &it.reason)?;
        let (placed, by) = it.placed;
        self.run(
            sql!("INSERT INTO legal_hold (id, practice, person, sealed, placed, placed_by) VALUES ($1, $2, $3, $4, $5, $6)"),
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.person.as_ref().map(PersonId::as_bytes).into(),
                sealed.as_slice().into(),
                placed.micros().into(),
                by.as_bytes().into(),
            ],
        )
        .map(drop)
    }

    /// Lifts a hold. `false` where there is none such, or it was lifted before.
    pub fn lift_hold(
        &mut self,
        practice: PracticeId,
        id: HoldId,
        by: PersonId,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let place = [id.as_bytes().as_slice(), b"lifted"].concat();
        let sealed = self.seal_json(practice, "legal_hold", &place, &reason)?;
        let lifted = self.run(
            sql!("UPDATE legal_hold SET lifted = $3, lifted_by = $4, lifted_sealed = $5 WHERE id = $1 AND practice = $2 "
                "AND lifted IS NULL"),
            &[
                id.as_bytes().into(),
                practice.as_bytes().into(),
                now.micros().into(),
                by.as_bytes().into(),
                sealed.as_slice().into(),
            ],
        )?;
        Ok(lifted == 1)
    }

    /// The holds of a practice, those in force first, the newest first.
    pub fn holds(&mut self, practice: PracticeId) -> Result<Vec<Hold>, Error> {
        let rows = self.rows(
            sql!("SELECT id, person, sealed, placed, placed_by, lifted, lifted_by, lifted_sealed FROM legal_hold "
                "WHERE practice = $1 ORDER BY CASE WHEN lifted IS NULL THEN 0 ELSE 1 END, placed DESC, id LIMIT 1000"),
            &[practice.as_bytes().into()],
        )?;
        rows.iter()
            .map(|row| {
                let id = row.id(0, "legal_hold.id", HoldId::from_slice)?;
                let sealed = row.blob(2, "legal_hold.sealed")?;
                let reason = self.open_json(practice, "legal_hold", id.as_bytes(), sealed)?;
                let by = |index, column| row.opt_id(index, column, PersonId::from_slice);
                let lifted = match (
                    row.opt_int(5, "legal_hold.lifted")?,
                    by(6, "legal_hold.lifted_by")?,
                    row.opt_blob(7, "legal_hold.lifted_sealed")?,
                ) {
                    (Some(at), Some(by), Some(sealed)) => {
                        let place = [id.as_bytes().as_slice(), b"lifted"].concat();
                        let why = self.open_json(practice, "legal_hold", &place, sealed)?;
                        Some((Timestamp::from_micros(at), by, why))
                    }
                    _ => None,
                };
                Ok(Hold {
                    id,
                    practice,
                    person: by(1, "legal_hold.person")?,
                    reason,
                    placed: (
                        Timestamp::from_micros(row.int(3, "legal_hold.placed")?),
                        row.id(4, "legal_hold.placed_by", PersonId::from_slice)?,
                    ),
                    lifted,
                })
            })
            .collect()
    }

    /// The records of a practice that were signed before a time and that nothing holds, oldest first, and after
    /// the one named. What its practitioner disowns is evidence, and stays.
    pub fn records_unheld(
        &mut self,
        practice: PracticeId,
        before: Timestamp,
        (after, last): (Timestamp, PrescriptionId),
        most: i64,
    ) -> Result<Vec<Archived>, Error> {
        let sql = archive_query!(
            "WHERE r.practice = $1 AND r.signed < $2 AND (r.signed > $3 OR (r.signed = $3 AND r.prescription > $4)) "
            "AND d.at IS NULL AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = r.practice AND h.lifted IS NULL "
            "AND (h.person IS NULL OR h.person = r.prescriber)) ORDER BY r.signed, r.prescription LIMIT $5"
        );
        let rows = self.rows(
            sql,
            &[
                practice.as_bytes().into(),
                before.micros().into(),
                after.micros().into(),
                last.as_bytes().into(),
                most.into(),
            ],
        )?;
        self.archived(&rows)
    }

    /// Removes a record that was signed before a time and that nothing holds, with its prescription. Fails
    /// where it is younger, held or disowned.
    pub fn remove_record(&mut self, it: &SignedRecord, before: Timestamp) -> Result<(), Error> {
        let id = it.prescription;
        self.run_one(
            sql!("DELETE FROM signed_record WHERE prescription = $1 AND signed < $2 "
                "AND NOT EXISTS (SELECT d.at FROM disowned d WHERE d.prescription = signed_record.prescription) AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = signed_record.practice AND h.lifted IS NULL "
                "AND (h.person IS NULL OR h.person = signed_record.prescriber))"),
            &[id.as_bytes().into(), before.micros().into()],
        )?;
        self.run(
            sql!("DELETE FROM transmission WHERE prescription = $1"),
            &[id.as_bytes().into()],
        )?;
        self.run_one(sql!("DELETE FROM prescription WHERE id = $1"), &[id.as_bytes().into()])
    }

    /// Removes the logs of a practice that are of a month before one and that nothing holds: whose, and which.
    pub fn remove_logs(
        &mut self,
        practice: PracticeId,
        month: &str,
    ) -> Result<Vec<(PersonId, String)>, Error> {
        let found = self
            .rows(
                sql!("SELECT l.prescriber, l.month FROM monthly_log l WHERE l.practice = $1 AND l.month < $2 "
                    "AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = l.practice AND h.lifted IS NULL "
                    "AND (h.person IS NULL OR h.person = l.prescriber)) ORDER BY l.month, l.prescriber"),
                &[practice.as_bytes().into(), month.into()],
            )?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "monthly_log.prescriber", PersonId::from_slice)?,
                    row.text(1, "monthly_log.month")?.to_owned(),
                ))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        for (person, of) in &found {
            self.run_one(
                sql!("DELETE FROM monthly_log WHERE practice = $1 AND prescriber = $2 AND month = $3 AND month < $4 "
                    "AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = monthly_log.practice AND h.lifted IS NULL "
                    "AND (h.person IS NULL OR h.person = monthly_log.prescriber))"),
                &[
                    practice.as_bytes().into(),
                    person.as_bytes().into(),
                    of.as_str().into(),
                    month.into(),
                ],
            )?;
        }
        Ok(found)
    }
}
