//! Monthly logs as they were given out.

use countersign_domain::{PersonId, PracticeId, Timestamp};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

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

statements! {
    LOGS_MISSING = sql!(
        "SELECT DISTINCT r.prescriber FROM signed_record r WHERE r.practice = $1 AND r.signed >= $3 AND r.signed < $4 "
        "AND NOT EXISTS (SELECT l.made FROM monthly_log l WHERE l.practice = r.practice AND l.prescriber = r.prescriber "
        "AND l.month = $2)"
    );
    KEEP_LOG = sql!(
        "INSERT INTO monthly_log (practice, prescriber, month, made, sealed) VALUES ($1, $2, $3, $4, $5)"
    );
    LOGS_OF = sql!(
        "SELECT practice, month, seen FROM monthly_log WHERE prescriber = $1 ORDER BY month DESC, practice"
    );
    LOG = sql!("SELECT sealed FROM monthly_log WHERE practice = $1 AND prescriber = $2 AND month = $3");
    SEE_LOG = sql!(
        "UPDATE monthly_log SET seen = $4 WHERE prescriber = $1 AND practice = $2 AND month = $3 AND seen IS NULL"
    );
    LOGS_UNSEEN = sql!(
        "SELECT practice, prescriber, month FROM monthly_log WHERE made > $1 AND made <= $2 AND seen IS NULL "
        "AND told IS NULL ORDER BY month, practice, prescriber LIMIT 1000"
    );
    NOTE_LOG_TOLD = sql!(
        "UPDATE monthly_log SET told = $4 WHERE practice = $1 AND prescriber = $2 AND month = $3 AND told IS NULL"
    );
    OLD_LOGS = sql!(
        "SELECT l.prescriber, l.month FROM monthly_log l WHERE l.practice = $1 AND l.month < $2 "
        "AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = l.practice AND h.lifted IS NULL "
        "AND (h.person IS NULL OR h.person = l.prescriber)) ORDER BY l.month, l.prescriber"
    );
    REMOVE_LOG = sql!(
        "DELETE FROM monthly_log WHERE practice = $1 AND prescriber = $2 AND month = $3 AND month < $4 "
        "AND NOT EXISTS (SELECT h.id FROM legal_hold h WHERE h.practice = monthly_log.practice AND h.lifted IS NULL "
        "AND (h.person IS NULL OR h.person = monthly_log.prescriber))"
    );
}

impl Tx<'_> {
    /// Who has signed in a practice in a time, and has no log of that month yet.
    pub fn logs_missing(
        &mut self,
        practice: PracticeId,
        month: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<PersonId>, Error> {
        self.rows(
            LOGS_MISSING,
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
        let sealed = self.seal_json(practice, "monthly_log.sealed", &id, &text)?;
        self.run(
            KEEP_LOG,
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
        self.rows(LOGS_OF, &[person.as_bytes().into()])?
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
        let row =
            self.row(LOG, &[practice.as_bytes().into(), person.as_bytes().into(), month.into()])?;
        let Some(row) = row else { return Ok(None) };
        let id = [person.as_bytes().as_slice(), month.as_bytes()].concat();
        self.open_json(practice, "monthly_log.sealed", &id, row.blob(0, "monthly_log.sealed")?)
            .map(Some)
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
            SEE_LOG,
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
            .rows(LOGS_UNSEEN, &[from.micros().into(), to.micros().into()])?
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
                NOTE_LOG_TOLD,
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

    /// Removes the logs of a practice that are of a month before one and that nothing holds: whose, and which.
    pub fn remove_logs(
        &mut self,
        practice: PracticeId,
        month: &str,
    ) -> Result<Vec<(PersonId, String)>, Error> {
        let found = self
            .rows(OLD_LOGS, &[practice.as_bytes().into(), month.into()])?
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
                REMOVE_LOG,
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
