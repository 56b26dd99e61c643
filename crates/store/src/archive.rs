//! The archive: signed records, and what practitioners disown. A record is written once. Nothing changes it, and it is
//! removed only when its time is over and nothing holds it. The submodules hold the logs of months, and legal holds.

pub(crate) mod holds;
pub(crate) mod monthly_logs;

use countersign_domain::{PersonId, PracticeId, PrescriptionId, Timestamp, prescription::State};

pub use holds::Hold;
pub use monthly_logs::MonthlyLog;

use crate::{
    Error, Tx,
    statements::{sql, statements},
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

macro_rules! archive_query {
    ($($tail:literal)+) => {
        sql!("SELECT r.prescription, r.practice, r.prescriber, r.signed, r.key_id, r.sealed, p.state, p.state_at, d.at "
            "FROM signed_record r JOIN prescription p ON p.id = r.prescription LEFT JOIN disowned d ON d.prescription = r.prescription " $($tail)+)
    };
}

statements! {
    ARCHIVE = sql!(
        "INSERT INTO signed_record (prescription, practice, prescriber, signed, key_id, sealed) "
        "VALUES ($1, $2, $3, $4, $5, $6)"
    );
    SIGNED_RECORD = sql!(
        "SELECT prescriber, signed, key_id, sealed FROM signed_record WHERE prescription = $1 AND practice = $2"
    );
    RECORDS_OF = archive_query!(
        "WHERE r.prescriber = $1 AND r.signed >= $2 AND r.signed < $3 ORDER BY r.signed, r.prescription LIMIT $4"
    );
    RECORD_OF = archive_query!("WHERE r.prescriber = $1 AND r.prescription = $2");
    RECORDS_IN = archive_query!(
        "WHERE r.practice = $1 AND r.signed >= $2 AND r.signed < $3 ORDER BY r.signed DESC, r.prescription LIMIT $4"
    );
    DISOWNED = sql!("SELECT at FROM disowned WHERE prescription = $1");
    NOT_SENT = archive_query!(
        "WHERE r.prescriber = $1 AND p.state = 'failed' ORDER BY r.signed DESC, r.prescription LIMIT $2"
    );
    COUNT_NOT_SENT = sql!("SELECT COUNT(*) AS total FROM prescription WHERE prescriber = $1 AND state = 'failed'");
    DISOWN = sql!(
        "INSERT INTO disowned (prescription, practice, at) VALUES ($1, $2, $3) ON CONFLICT (prescription) DO NOTHING"
    );
    FIRST_RECORD = sql!("SELECT signed FROM signed_record WHERE practice = $1 ORDER BY signed LIMIT 1");
    RECORDS_UNHELD = archive_query!(
        "WHERE r.practice = $1 AND r.signed < $2 AND (r.signed > $3 OR (r.signed = $3 AND r.prescription > $4)) "
        "AND d.at IS NULL AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = r.practice AND h.lifted IS NULL "
        "AND (h.person IS NULL OR h.person = r.prescriber)) ORDER BY r.signed, r.prescription LIMIT $5"
    );
    DELETE_SIGNED_RECORD = sql!(
        "DELETE FROM signed_record WHERE prescription = $1 AND signed < $2 "
        "AND NOT EXISTS (SELECT d.at FROM disowned d WHERE d.prescription = signed_record.prescription) AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = signed_record.practice AND h.lifted IS NULL "
        "AND (h.person IS NULL OR h.person = signed_record.prescriber))"
    );
    DELETE_TRANSMISSION = sql!("DELETE FROM transmission WHERE prescription = $1");
    DELETE_PRESCRIPTION = sql!("DELETE FROM prescription WHERE id = $1");
}

impl Tx<'_> {
    /// Puts a signed record into the archive: once.
    pub fn archive(&mut self, it: &SignedRecord) -> Result<(), Error> {
        let id = it.prescription;
        let sealed = self.seal_json(it.practice, "signed_record", id.as_bytes(), &it.jws)?;
        self.run(
            ARCHIVE,
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
        let row = self.row(SIGNED_RECORD, &[id.as_bytes().into(), practice.as_bytes().into()])?;
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
        let params =
            [person.as_bytes().into(), from.micros().into(), to.micros().into(), most.into()];
        let rows = self.rows(RECORDS_OF, &params)?;
        self.archived(&rows)
    }

    /// One record of somebody.
    pub fn record_of(
        &mut self,
        person: PersonId,
        id: PrescriptionId,
    ) -> Result<Option<Archived>, Error> {
        let rows = self.rows(RECORD_OF, &[person.as_bytes().into(), id.as_bytes().into()])?;
        Ok(self.archived(&rows)?.pop())
    }

    /// What was signed in a practice in a time, newest first.
    pub fn records_in(
        &mut self,
        practice: PracticeId,
        (from, to): (Timestamp, Timestamp),
        most: i64,
    ) -> Result<Vec<Archived>, Error> {
        let params =
            [practice.as_bytes().into(), from.micros().into(), to.micros().into(), most.into()];
        let rows = self.rows(RECORDS_IN, &params)?;
        self.archived(&rows)
    }

    /// When the practitioner of a prescription said that it is not theirs.
    pub fn disowned(&mut self, id: PrescriptionId) -> Result<Option<Timestamp>, Error> {
        let row = self.row(DISOWNED, &[id.as_bytes().into()])?;
        row.map(|row| Ok(Timestamp::from_micros(row.int(0, "disowned.at")?))).transpose()
    }

    /// The prescriptions of somebody that could not be sent, in all practices, newest first: at most so many.
    pub fn not_sent(&mut self, person: PersonId, most: i64) -> Result<Vec<Archived>, Error> {
        let rows = self.rows(NOT_SENT, &[person.as_bytes().into(), most.into()])?;
        self.archived(&rows)
    }

    /// How many those are.
    pub fn count_not_sent(&mut self, person: PersonId) -> Result<i64, Error> {
        let row = self.row(COUNT_NOT_SENT, &[person.as_bytes().into()])?;
        row.map_or(Ok(0), |row| row.int(0, "count"))
    }

    /// Notes that a signed record is not its practitioner's. `false` where that was noted before.
    pub fn disown(&mut self, record: &SignedRecord, now: Timestamp) -> Result<bool, Error> {
        let noted = self.run(
            DISOWN,
            &[
                record.prescription.as_bytes().into(),
                record.practice.as_bytes().into(),
                now.micros().into(),
            ],
        )?;
        Ok(noted == 1)
    }

    /// When a practice signed its first record that is still there.
    pub fn first_record(&mut self, practice: PracticeId) -> Result<Option<Timestamp>, Error> {
        let row = self.row(FIRST_RECORD, &[practice.as_bytes().into()])?;
        row.map(|row| Ok(Timestamp::from_micros(row.int(0, "signed_record.signed")?))).transpose()
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
        let rows = self.rows(
            RECORDS_UNHELD,
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
        self.run_one(DELETE_SIGNED_RECORD, &[id.as_bytes().into(), before.micros().into()])?;
        self.run(DELETE_TRANSMISSION, &[id.as_bytes().into()])?;
        self.run_one(DELETE_PRESCRIPTION, &[id.as_bytes().into()])
    }
}
