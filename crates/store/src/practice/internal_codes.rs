//! Internal codes of those who prescribe under the registration of an institution.

use countersign_domain::{InternalCode, PersonId, PracticeId, Timestamp};

use super::{opt_time, parsed, time};
use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::{Columns, Row},
};

/// The code of somebody who prescribes under an institution's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// The code.
    pub code: InternalCode,
    /// Whose.
    pub person: PersonId,
    /// When it was entered, or entered again.
    pub entered: Timestamp,
    /// By whom.
    pub entered_by: PersonId,
    /// Since when it is no longer theirs to use; none while it is.
    pub ended: Option<Timestamp>,
}

fn code(row: &Row) -> Result<CodeRow, Error> {
    Ok(CodeRow {
        code: parsed(row.text(0, "internal_code.code")?, "internal_code.code")?,
        person: row.id(1, "internal_code.person", PersonId::from_slice)?,
        entered: time(row, 2, "internal_code.entered")?,
        entered_by: row.id(3, "internal_code.entered_by", PersonId::from_slice)?,
        ended: opt_time(row, 4, "internal_code.ended")?,
    })
}

statements! {
    INTERNAL_CODES = sql!(
        "SELECT code, person, entered, entered_by, ended FROM internal_code WHERE practice = $1 ORDER BY code"
    );
    INTERNAL_CODE = sql!(
        "SELECT code, person, entered, entered_by, ended FROM internal_code "
        "WHERE practice = $1 AND person = $2 AND ended IS NULL"
    );
    LOCK_INTERNAL_CODE = locking!(
        "SELECT code, person, entered, entered_by, ended FROM internal_code WHERE practice = $1 AND code = $2"
    );
    UPDATE_INTERNAL_CODE = sql!(
        "UPDATE internal_code SET ended = $3, ended_by = $4 WHERE practice = $1 AND person = $2 AND ended IS NULL"
    );
    INSERT_INTERNAL_CODE = sql!(
        "INSERT INTO internal_code (practice, code, person, entered, entered_by) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (practice, code) DO UPDATE SET entered = excluded.entered, entered_by = excluded.entered_by, "
        "ended = NULL, ended_by = NULL WHERE internal_code.person = excluded.person"
    );
}

impl Tx<'_> {
    /// The codes of those who prescribe under the registration of an institution, those that ended too.
    pub fn internal_codes(&mut self, practice: PracticeId) -> Result<Vec<CodeRow>, Error> {
        self.rows(INTERNAL_CODES, &[practice.as_bytes().into()])?.iter().map(code).collect()
    }

    /// The code with which somebody prescribes under the registration of an institution.
    pub fn internal_code(
        &mut self,
        practice: PracticeId,
        person: PersonId,
    ) -> Result<Option<InternalCode>, Error> {
        self.row(INTERNAL_CODE, &[practice.as_bytes().into(), person.as_bytes().into()])?
            .map_or(Ok(None), |row| code(&row).map(|row| Some(row.code)))
    }

    /// Gives somebody a code in place of the one that they have, or takes it; their tokens follow. `false` where the code
    /// is or was somebody else's: then nothing is written.
    pub fn set_internal_code(
        &mut self,
        practice: PracticeId,
        person: PersonId,
        to: Option<&InternalCode>,
        by: PersonId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if let Some(to) = to {
            let known =
                self.row(LOCK_INTERNAL_CODE, &[practice.as_bytes().into(), to.as_str().into()])?;
            if known.as_ref().map(code).transpose()?.is_some_and(|known| known.person != person) {
                return Ok(false);
            }
        }
        self.run(
            UPDATE_INTERNAL_CODE,
            &[
                practice.as_bytes().into(),
                person.as_bytes().into(),
                now.micros().into(),
                by.as_bytes().into(),
            ],
        )?;
        if let Some(to) = to {
            let given = self.run(
                INSERT_INTERNAL_CODE,
                &[
                    practice.as_bytes().into(),
                    to.as_str().into(),
                    person.as_bytes().into(),
                    now.micros().into(),
                    by.as_bytes().into(),
                ],
            )?;
            if given != 1 {
                // Somebody else got it meanwhile: looked at again, that is found.
                return Err(Error::Retry);
            }
        }
        self.refresh_signing(person)?;
        Ok(true)
    }
}
