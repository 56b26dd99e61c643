//! Internal codes of those who prescribe under the registration of an institution.

use countersign_domain::{InternalCode, PersonId, PracticeId, Timestamp};

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{sql, statements},
    value::{Declared, Row},
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
        code: row.parsed(CODE_ROW.code)?,
        person: row.get_id(CODE_ROW.person, PersonId::from_slice)?,
        entered: row.time(CODE_ROW.entered)?,
        entered_by: row.get_id(CODE_ROW.entered_by, PersonId::from_slice)?,
        ended: row.opt_time(CODE_ROW.ended)?,
    })
}

columns! {
    /// What is read of an internal code; the person stands for the row.
    CODE_ROW: CodeColumns from "internal_code" by person {
        code: Text,
        person: Blob,
        entered: Int,
        entered_by: Blob,
        ended: Opt<Int>,
    }
}

statements! {
    INTERNAL_CODES = select!(CodeColumns, "WHERE practice = $1 ORDER BY code");
    INTERNAL_CODE = select!(CodeColumns, "WHERE practice = $1 AND person = $2 AND ended IS NULL");
    LOCK_INTERNAL_CODE = select!(CodeColumns, locking "WHERE practice = $1 AND code = $2");
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
