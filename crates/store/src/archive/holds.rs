//! Legal holds: what they cover stays, whatever its age.

use countersign_domain::{HoldId, PersonId, PracticeId, Timestamp};

use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::Columns,
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

statements! {
    LOCK_RECORDS = locking!("SELECT id FROM practice WHERE id = $1");
    PLACE_HOLD = sql!(
        "INSERT INTO legal_hold (id, practice, person, sealed, placed, placed_by) VALUES ($1, $2, $3, $4, $5, $6)"
    );
    LIFT_HOLD = sql!(
        "UPDATE legal_hold SET lifted = $3, lifted_by = $4, lifted_sealed = $5 WHERE id = $1 AND practice = $2 "
        "AND lifted IS NULL"
    );
    HOLDS = sql!(
        "SELECT id, person, sealed, placed, placed_by, lifted, lifted_by, lifted_sealed FROM legal_hold "
        "WHERE practice = $1 ORDER BY CASE WHEN lifted IS NULL THEN 0 ELSE 1 END, placed DESC, id LIMIT 1000"
    );
}

impl Tx<'_> {
    /// Keeps whoever places a hold and whoever removes records of a practice apart until the commit: what was
    /// answered as held stays.
    pub fn lock_records(&mut self, practice: PracticeId) -> Result<(), Error> {
        self.row(LOCK_RECORDS, &[practice.as_bytes().into()]).map(drop)
    }

    /// Places a hold.
    pub fn place_hold(&mut self, it: &Hold) -> Result<(), Error> {
        let sealed = self.seal_json(it.practice, "legal_hold", it.id.as_bytes(), &it.reason)?;
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
        let sealed = self.seal_json(practice, "legal_hold", &place, &reason)?;
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
}
