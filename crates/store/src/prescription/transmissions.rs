//! The way of signed prescriptions to their pharmacies.

use countersign_domain::{PracticeId, PrescriptionId, Timestamp, prescription::TransmissionState};

use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::{Columns, Row},
};

/// The way of a signed prescription to its pharmacy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    /// Which.
    pub prescription: PrescriptionId,
    /// Of which practice.
    pub practice: PracticeId,
    /// When it was put on its way.
    pub begun: Timestamp,
    /// How often it was tried.
    pub tries: i64,
    /// How far it is.
    pub state: TransmissionState,
    /// Its practitioner was told that it takes long.
    pub told: bool,
}

macro_rules! transmission_query {
    ($tail:literal) => {
        transmission_query!(sql, $tail)
    };
    ($kind:ident, $tail:literal) => {
        $kind!("SELECT prescription, practice, begun, next_try, tries, done, sealed, told FROM transmission " $tail)
    };
}

statements! {
    TRANSMIT = sql!(
        "INSERT INTO transmission (prescription, practice, begun, next_try, tries, sealed, told) "
        "VALUES ($1, $2, $3, $3, 0, $4, 0) ON CONFLICT (prescription) DO UPDATE SET begun = $3, next_try = $3, "
        "tries = 0, sealed = $4, done = NULL, told = 0"
    );
    TRANSMISSIONS_DUE = sql!(
        "SELECT prescription FROM transmission WHERE done IS NULL AND (next_try <= $1 OR (told = 0 AND begun <= $2)) LIMIT 1"
    );
    SLOW_TRANSMISSIONS = transmission_query!(
        locking,
        "WHERE done IS NULL AND told = 0 AND begun <= $1 ORDER BY begun, prescription LIMIT 100"
    );
    TRANSMISSIONS_TO_SEND = transmission_query!(
        "WHERE done IS NULL AND next_try <= $1 ORDER BY next_try, prescription LIMIT $2"
    );
    TAKE_TRANSMISSION = sql!(
        "UPDATE transmission SET next_try = $3, tries = tries + 1 WHERE prescription = $1 AND next_try = $2 "
        "AND done IS NULL"
    );
    TRANSMISSION = transmission_query!(locking, "WHERE prescription = $1");
    SAVE_TRANSMISSION = sql!(
        "UPDATE transmission SET next_try = COALESCE(CAST($2 AS BIGINT), next_try), sealed = $3, done = $4, told = $5 WHERE prescription = $1"
    );
}

impl Tx<'_> {
    /// Puts one on its way, or back on it.
    pub fn transmit(
        &mut self,
        practice: PracticeId,
        id: PrescriptionId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let sealed = self.seal_json(practice, "transmission.sealed", id.as_bytes(), &"")?;
        self.run(
            TRANSMIT,
            &[
                id.as_bytes().into(),
                practice.as_bytes().into(),
                now.micros().into(),
                sealed.as_slice().into(),
            ],
        )
        .map(drop)
    }

    fn way(&mut self, row: &Row) -> Result<Transmission, Error> {
        let time = |index, column| -> Result<_, Error> {
            Ok(Timestamp::from_micros(row.int(index, column)?))
        };
        let prescription = row.id(0, "transmission.prescription", PrescriptionId::from_slice)?;
        let practice = row.id(1, "transmission.practice", PracticeId::from_slice)?;
        // What a gateway says may name the patient.
        let sealed = row.blob(6, "transmission.sealed")?;
        let text =
            self.open_json(practice, "transmission.sealed", prescription.as_bytes(), sealed)?;
        let state = match row.opt_int(5, "transmission.done")? {
            Some(at) => TransmissionState::Ended { at: Timestamp::from_micros(at), outcome: text },
            None => TransmissionState::Waiting {
                next_try: time(3, "transmission.next_try")?,
                failure: text,
            },
        };
        Ok(Transmission {
            prescription,
            practice,
            begun: time(2, "transmission.begun")?,
            tries: row.int(4, "transmission.tries")?,
            state,
            told: row.int(7, "transmission.told")? != 0,
        })
    }

    /// Whether something is to be sent now, or was put on its way before `slow_before` and nobody was told.
    pub fn transmissions_due(
        &mut self,
        now: Timestamp,
        slow_before: Timestamp,
    ) -> Result<bool, Error> {
        let row =
            self.row(TRANSMISSIONS_DUE, &[now.micros().into(), slow_before.micros().into()])?;
        Ok(row.is_some())
    }

    /// What was put on its way before a time, has not arrived, and nobody was told of.
    pub fn slow_transmissions(&mut self, before: Timestamp) -> Result<Vec<Transmission>, Error> {
        let rows = self.rows(SLOW_TRANSMISSIONS, &[before.micros().into()])?;
        rows.iter().map(|row| self.way(row)).collect()
    }

    /// Takes what is to be sent now: nobody else takes it before `again`.
    pub fn take_transmissions(
        &mut self,
        now: Timestamp,
        again: Timestamp,
        most: i64,
    ) -> Result<Vec<Transmission>, Error> {
        let rows = self.rows(TRANSMISSIONS_TO_SEND, &[now.micros().into(), most.into()])?;
        let mut taken = Vec::new();
        for row in &rows {
            let mut it = self.way(row)?;
            let TransmissionState::Waiting { next_try, .. } = &mut it.state else { continue };
            let mine = self.run(
                TAKE_TRANSMISSION,
                &[
                    it.prescription.as_bytes().into(),
                    next_try.micros().into(),
                    again.micros().into(),
                ],
            )?;
            if mine == 1 {
                *next_try = again;
                it.tries += 1;
                taken.push(it);
            }
        }
        Ok(taken)
    }

    /// How far the way of one is; nobody else may change it until the commit.
    pub fn transmission(&mut self, id: PrescriptionId) -> Result<Option<Transmission>, Error> {
        let row = self.row(TRANSMISSION, &[id.as_bytes().into()])?;
        row.as_ref().map(|row| self.way(row)).transpose()
    }

    /// Notes how a try ended.
    pub fn save_transmission(&mut self, it: &Transmission) -> Result<(), Error> {
        let id = it.prescription;
        let outcome = it.state.outcome();
        let sealed = self.seal_json(it.practice, "transmission.sealed", id.as_bytes(), &outcome)?;
        let (next_try, done) = match it.state {
            TransmissionState::Waiting { next_try, .. } => (Some(next_try), None),
            // Nobody looks at the next try of what has ended.
            TransmissionState::Ended { at, .. } => (None, Some(at)),
        };
        self.run_one(
            SAVE_TRANSMISSION,
            &[
                it.prescription.as_bytes().into(),
                next_try.map(Timestamp::micros).into(),
                sealed.as_slice().into(),
                done.map(Timestamp::micros).into(),
                i64::from(it.told).into(),
            ],
        )
    }
}
