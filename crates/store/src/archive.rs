//! The archive: signed records, and what practitioners disown. A record is written once. Nothing changes it, and it is
//! removed only when its time is over and nothing holds it. The submodules hold the logs of months, and legal holds.

pub(crate) mod holds;
pub(crate) mod monthly_logs;

use countersign_domain::{PersonId, PracticeId, PrescriptionId, Timestamp, prescription::State};

pub use holds::Hold;
pub use monthly_logs::MonthlyLog;

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{sql, statements},
    value::{Columns, Declared, Row},
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

columns! {
    /// What is read of a signed record with its prescription.
    ARCHIVED: ArchivedColumns from "signed_record" "r JOIN prescription p ON p.id = r.prescription LEFT JOIN disowned d ON d.prescription = r.prescription" by prescription {
        prescription: Blob = "r.prescription",
        practice: Blob = "r.practice",
        prescriber: Blob = "r.prescriber",
        signed: Int = "r.signed",
        key_id: Text = "r.key_id",
        sealed: Blob = "r.sealed",
        state: Text = "p.state" of "prescription",
        state_at: Opt<Int> = "p.state_at" of "prescription",
        at: Opt<Int> = "d.at" of "disowned",
    }
}

columns! {
    /// What is read of a signed record alone.
    RECORD: RecordColumns from "signed_record" {
        prescriber: Blob,
        signed: Int,
        key_id: Text,
        sealed: Blob,
    }
}

statements! {
    ARCHIVE = sql!(
        "INSERT INTO signed_record (prescription, practice, prescriber, signed, key_id, sealed) "
        "VALUES ($1, $2, $3, $4, $5, $6)"
    );
    SIGNED_RECORD = select!(RecordColumns, "WHERE prescription = $1 AND practice = $2");
    RECORDS_OF = select!(ArchivedColumns, "WHERE r.prescriber = $1 AND r.signed >= $2 AND r.signed < $3 ORDER BY r.signed, r.prescription LIMIT $4"
    );
    RECORD_OF = select!(ArchivedColumns, "WHERE r.prescriber = $1 AND r.prescription = $2");
    RECORDS_IN = select!(ArchivedColumns, "WHERE r.practice = $1 AND r.signed >= $2 AND r.signed < $3 ORDER BY r.signed DESC, r.prescription LIMIT $4"
    );
    DISOWNED = sql!("SELECT at FROM disowned WHERE prescription = $1");
    NOT_SENT = select!(ArchivedColumns, "WHERE r.prescriber = $1 AND p.state = 'failed' ORDER BY r.signed DESC, r.prescription LIMIT $2"
    );
    COUNT_NOT_SENT = sql!("SELECT COUNT(*) AS total FROM prescription WHERE prescriber = $1 AND state = 'failed'");
    DISOWN = sql!(
        "INSERT INTO disowned (prescription, practice, at) VALUES ($1, $2, $3) ON CONFLICT (prescription) DO NOTHING"
    );
    FIRST_RECORD = sql!("SELECT signed FROM signed_record WHERE practice = $1 ORDER BY signed LIMIT 1");
    RECORDS_UNHELD = select!(ArchivedColumns, "WHERE r.practice = $1 AND r.signed < $2 AND (r.signed > $3 OR (r.signed = $3 AND r.prescription > $4)) "
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
        let sealed = self.seal_json(it.practice, "signed_record.sealed", id.as_bytes(), &it.jws)?;
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
        let sealed = row.get(RECORD.sealed)?;
        Ok(Some(SignedRecord {
            prescription: id,
            practice,
            prescriber: row.get_id(RECORD.prescriber, PersonId::from_slice)?,
            signed: row.time(RECORD.signed)?,
            key_id: row.string(RECORD.key_id)?,
            jws: self.open_json(practice, "signed_record.sealed", id.as_bytes(), sealed)?,
        }))
    }

    fn archived(&mut self, rows: &[Row]) -> Result<Vec<Archived>, Error> {
        rows.iter()
            .map(|row| {
                let at = row.opt_time(ARCHIVED.state_at)?;
                let id = row.get_id(ARCHIVED.prescription, PrescriptionId::from_slice)?;
                let practice = row.get_id(ARCHIVED.practice, PracticeId::from_slice)?;
                let sealed = row.get(ARCHIVED.sealed)?;
                Ok(Archived {
                    state: State::from_code(row.get(ARCHIVED.state)?, at)
                        .ok_or_else(|| row.corrupt(ARCHIVED.state))?,
                    disowned: row.opt_time(ARCHIVED.at)?,
                    record: SignedRecord {
                        prescription: id,
                        practice,
                        prescriber: row.get_id(ARCHIVED.prescriber, PersonId::from_slice)?,
                        signed: row.time(ARCHIVED.signed)?,
                        key_id: row.string(ARCHIVED.key_id)?,
                        jws: self.open_json(
                            practice,
                            "signed_record.sealed",
                            id.as_bytes(),
                            sealed,
                        )?,
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
