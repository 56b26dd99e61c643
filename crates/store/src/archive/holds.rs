//! Legal holds: what they cover stays, whatever its age.

use countersign_domain::{HoldId, PersonId, PracticeId, Timestamp};

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, columns, select},
    statements::{locking, sql, statements},
    value::Declared,
};

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

columns! {
    /// What is read of a legal hold.
    HOLD_ROW: HoldColumns from "legal_hold" by id {
        id: Blob,
        person: Opt<Blob>,
        sealed: Blob,
        placed: Int,
        placed_by: Blob,
        lifted: Opt<Int>,
        lifted_by: Opt<Blob>,
        lifted_sealed: Opt<Blob>,
    }
}

statements! {
    LOCK_RECORDS = locking!("SELECT id FROM practice WHERE id = $1");
    PLACE_HOLD = sql!(
        "INSERT INTO legal_hold (id, practice, person, sealed, placed, placed_by) VALUES ($1, $2, $3, $4, $5, $6)"
    );
    LIFT_HOLD = sql!(
        "UPDATE legal_hold SET lifted = $3, lifted_by = $4, lifted_sealed = $5 WHERE id = $1 AND practice = $2 "
        "AND lifted IS NULL"
    );
    HOLDS = select!(HoldColumns, "WHERE practice = $1 ORDER BY CASE WHEN lifted IS NULL THEN 0 ELSE 1 END, placed DESC, id LIMIT 1000");
}

impl Tx<'_> {
    /// Keeps whoever places a hold and whoever removes records of a practice apart until the commit: what was
    /// answered as held stays.
    pub fn lock_records(&mut self, practice: PracticeId) -> Result<(), Error> {
        self.row(LOCK_RECORDS, &[practice.as_bytes().into()]).map(drop)
    }

    /// Places a hold.
    pub fn place_hold(&mut self, it: &Hold) -> Result<(), Error> {
        let sealed =
            self.seal_json(it.practice, "legal_hold.sealed", it.id.as_bytes(), &it.reason)?;
        let (placed, by) = it.placed;
        self.run(
            PLACE_HOLD,
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
        let sealed = self.seal_json(practice, "legal_hold.lifted_sealed", &place, &reason)?;
        let lifted = self.run(
            LIFT_HOLD,
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
        let rows = self.rows(HOLDS, &[practice.as_bytes().into()])?;
        rows.iter()
            .map(|row| {
                let id = row.get_id(HOLD_ROW.id, HoldId::from_slice)?;
                let sealed = row.get(HOLD_ROW.sealed)?;
                let reason =
                    self.open_json(practice, "legal_hold.sealed", id.as_bytes(), sealed)?;
                let lifted = match (
                    row.get(HOLD_ROW.lifted)?,
                    row.get_opt_id(HOLD_ROW.lifted_by, PersonId::from_slice)?,
                    row.get(HOLD_ROW.lifted_sealed)?,
                ) {
                    (Some(at), Some(by), Some(sealed)) => {
                        let place = [id.as_bytes().as_slice(), b"lifted"].concat();
                        let why =
                            self.open_json(practice, "legal_hold.lifted_sealed", &place, sealed)?;
                        Some((Timestamp::from_micros(at), by, why))
                    }
                    _ => None,
                };
                Ok(Hold {
                    id,
                    practice,
                    person: row.get_opt_id(HOLD_ROW.person, PersonId::from_slice)?,
                    reason,
                    placed: (
                        row.time(HOLD_ROW.placed)?,
                        row.get_id(HOLD_ROW.placed_by, PersonId::from_slice)?,
                    ),
                    lifted,
                })
            })
            .collect()
    }
}
