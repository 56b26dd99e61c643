//! Counters of wrong passcodes and of passphrase attempts.

use countersign_domain::{AttemptCounter, Failures, PasscodeFailures, PersonId, Timestamp};

use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::Columns,
};

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
    Ok(passcode_failures_of(
        (
            row.int(first, "prescriber.failures")?,
            row.opt_int(first + 1, "prescriber.blocked_until")?,
        ),
        (
            row.int(first + 2, "prescriber.wrong_in_a_day")?,
            row.opt_int(first + 3, "prescriber.wrong_began")?,
        ),
    ))
}

/// The counter from what its row holds: wrong passcodes in a row and until when they block, wrong passcodes in a day
/// and when that began.
pub(crate) fn passcode_failures_of(
    (in_a_row, blocked_until): (i64, Option<i64>),
    (in_a_day, day_began): (i64, Option<i64>),
) -> PasscodeFailures {
    PasscodeFailures {
        in_a_row: failures(in_a_row, blocked_until),
        in_a_day: u32::try_from(in_a_day).unwrap_or(u32::MAX),
        day_began: day_began.map(Timestamp::from_micros),
    }
}

statements! {
    SAVE_PRESCRIBER_FAILURES = sql!(
        "UPDATE prescriber SET failures = $2, blocked_until = $3, wrong_in_a_day = $4, wrong_began = $5 "
        "WHERE id = $1"
    );
    WRONG_PASSCODES_UNTOLD = sql!(
        "SELECT id, wrong_in_a_day FROM prescriber WHERE wrong_began IS NOT NULL AND wrong_began > $1 "
        "AND wrong_in_a_day >= $2 AND (wrong_told IS NULL OR wrong_told <> wrong_began) AND closed = 0 "
        "ORDER BY wrong_began, id"
    );
    WRONG_PASSCODES_TOLD = sql!(
        "UPDATE prescriber SET wrong_told = wrong_began WHERE id = $1 AND wrong_began IS NOT NULL "
        "AND (wrong_told IS NULL OR wrong_told <> wrong_began)"
    );
    INSERT_SIGN_IN_PAUSE = sql!(
        "INSERT INTO sign_in_pause (npi_hash, failures, at) VALUES ($1, 0, $2) "
        "ON CONFLICT (npi_hash) DO NOTHING"
    );
    LOCK_SIGN_IN_PAUSE = locking!("SELECT failures, blocked_until, under_way_until FROM sign_in_pause WHERE npi_hash = $1");
    SAVE_ATTEMPTS = sql!(
        "INSERT INTO sign_in_pause (npi_hash, failures, blocked_until, under_way_until, at) "
        "VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (npi_hash) DO UPDATE SET failures = excluded.failures, "
        "blocked_until = excluded.blocked_until, under_way_until = excluded.under_way_until, "
        "at = excluded.at"
    );
}

impl Tx<'_> {
    /// Writes the failure counter of a prescriber.
    pub fn save_prescriber_failures(
        &mut self,
        id: PersonId,
        to: &PasscodeFailures,
    ) -> Result<(), Error> {
        self.run_one(
            SAVE_PRESCRIBER_FAILURES,
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
        self.rows(WRONG_PASSCODES_UNTOLD, &[since.micros().into(), i64::from(least).into()])?
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
        let told = self.run(WRONG_PASSCODES_TOLD, &[id.as_bytes().into()])?;
        Ok(told == 1)
    }

    /// The passphrase attempts counted under a key, whether anything has that key or not; locks the row.
    pub fn attempts(&mut self, key: &[u8; 32], now: Timestamp) -> Result<AttemptCounter, Error> {
        // A row first: there is nothing to lock where there is none, and attempts in parallel would
        // all read zero.
        self.run(INSERT_SIGN_IN_PAUSE, &[key.into(), now.micros().into()])?;
        self.row(LOCK_SIGN_IN_PAUSE, &[key.into()])?.map_or(Ok(AttemptCounter::NONE), |row| {
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
            SAVE_ATTEMPTS,
            &[
                key.into(),
                i64::from(to.failures.count).into(),
                to.failures.blocked_until.map(Timestamp::micros).into(),
                to.under_way_until.map(Timestamp::micros).into(),
                now.micros().into(),
            ],
        )
    }
}
