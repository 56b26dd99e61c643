//! Prescriptions as rows. The submodules hold their way to pharmacies, and the keys that sign.

pub(crate) mod signing_keys;
pub(crate) mod transmissions;

use std::collections::BTreeMap;

use countersign_crypto::sha256;
use countersign_domain::{
    PersonId, PracticeId, PrescriptionId, Schedule, Timestamp,
    prescription::{Content, Patient, Pharmacy, Prescription, Series, State, Supervisor},
};
use serde::{Deserialize, Serialize};

pub use signing_keys::PublicKey;
pub use transmissions::Transmission;

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{Sql, sql, statements},
    value::{Declared, P, Row},
};

/// A prescription as its row has it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrescriptionRow {
    /// Our identifier.
    pub id: PrescriptionId,
    /// In which practice.
    pub practice: PracticeId,
    /// What it says, in whose name, and how far it is.
    pub it: Prescription,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was last changed.
    pub changed: Timestamp,
    /// Name of whoever wrote it last; empty where that was not kept.
    pub by: String,
}

/// The content as it lies sealed: texts, so that a later version reads an older row.
#[derive(Serialize, Deserialize)]
struct Written {
    patient: BTreeMap<String, String>,
    drug: String,
    strength: String,
    form: String,
    schedule: String,
    quantity: String,
    unit: String,
    directions: String,
    refills: u8,
    earliest_fill: String,
    note: String,
    #[serde(default)]
    pharmacy: Option<(String, String)>,
    dea: String,
    #[serde(default)]
    internal_code: String,
    #[serde(default)]
    days_supply: Option<u16>,
    #[serde(default)]
    last_fill: String,
    /// The ID of the series, which it is, how many there are.
    #[serde(default)]
    series: Option<(String, u8, u8)>,
    /// Name, and DEA number or nothing.
    #[serde(default)]
    supervisor: Option<(String, String)>,
    #[serde(default)]
    by: String,
}

impl From<&PrescriptionRow> for Written {
    fn from(row: &PrescriptionRow) -> Self {
        let it: &Content = &row.it.content;
        let patient = [
            ("id", &it.patient.id),
            ("name", &it.patient.name),
            ("born", &it.patient.born),
            ("mrn", &it.patient.mrn),
            ("address", &it.patient.address),
        ];
        Self {
            patient: patient.into_iter().map(|(k, v)| (k.to_owned(), v.clone())).collect(),
            drug: it.drug.clone(),
            strength: it.strength.clone(),
            form: it.form.clone(),
            schedule: it.schedule.map_or("", Schedule::code).to_owned(),
            quantity: it.quantity.as_ref().map(|q| q.as_str().to_owned()).unwrap_or_default(),
            unit: it.unit.clone(),
            directions: it.directions.clone(),
            refills: it.refills,
            earliest_fill: it.earliest_fill.map(|day| day.to_string()).unwrap_or_default(),
            note: it.note.clone(),
            pharmacy: it.pharmacy.as_ref().map(|at| (at.ncpdp.clone(), at.name.clone())),
            dea: it.dea.map(|dea| dea.as_text()).unwrap_or_default(),
            internal_code: it.internal_code.as_ref().map(ToString::to_string).unwrap_or_default(),
            days_supply: it.days_supply,
            last_fill: it.last_fill.map(|day| day.to_string()).unwrap_or_default(),
            series: it.series.map(|it| (it.id.to_string(), it.number, it.of)),
            supervisor: it
                .supervisor
                .as_ref()
                .map(|it| (it.name.clone(), it.dea.map(|dea| dea.as_text()).unwrap_or_default())),
            by: row.by.clone(),
        }
    }
}

impl From<Written> for Content {
    fn from(it: Written) -> Self {
        let part = |name: &str| it.patient.get(name).cloned().unwrap_or_default();
        Self {
            patient: Patient {
                id: part("id"),
                name: part("name"),
                born: part("born"),
                mrn: part("mrn"),
                address: part("address"),
            },
            schedule: Schedule::ALL.into_iter().find(|known| known.code() == it.schedule),
            quantity: it.quantity.parse().ok(),
            earliest_fill: it.earliest_fill.parse().ok(),
            last_fill: it.last_fill.parse().ok(),
            series: it
                .series
                .and_then(|(id, number, of)| Some(Series { id: id.parse().ok()?, number, of })),
            supervisor: it.supervisor.map(|(name, dea)| Supervisor { name, dea: dea.parse().ok() }),
            internal_code: it.internal_code.parse().ok(),
            days_supply: it.days_supply,
            dea: it.dea.parse().ok(),
            pharmacy: it.pharmacy.map(|(ncpdp, name)| Pharmacy { ncpdp, name }),
            drug: it.drug,
            strength: it.strength,
            form: it.form,
            unit: it.unit,
            directions: it.directions,
            refills: it.refills,
            note: it.note,
        }
    }
}

/// What finds the prescriptions of a patient without naming them: health data lies sealed.
fn patient_hash(practice: PracticeId, patient: &str) -> [u8; 32] {
    sha256(&[practice.as_bytes().as_slice(), b"|patient|", patient.as_bytes()].concat())
}

columns! {
    /// What is read of a prescription.
    PRESCRIPTION_ROW: PrescriptionColumns from "prescription" by id {
        id: Blob,
        practice: Blob,
        prescriber: Blob,
        state: Text,
        state_at: Opt<Int>,
        sealed: Blob,
        created: Int,
        changed: Int,
    }
}

statements! {
    CREATE_PRESCRIPTION = sql!(
        "INSERT INTO prescription (id, practice, prescriber, patient_hash, state, state_at, sealed, created, changed) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    );
    SAVE_PRESCRIPTION = sql!(
        "UPDATE prescription SET state = $2, state_at = $3, sealed = $4, changed = $5 WHERE id = $1 "
        "AND state IN ('draft', 'ready')"
    );
    MOVE_PRESCRIPTION = sql!(
        "UPDATE prescription SET state = $3, state_at = $4, changed = $5 WHERE id = $1 AND state = $2"
    );
    PRESCRIPTION = select!(PrescriptionColumns, locking "WHERE id = $1 AND practice = $2");
    PRESCRIPTIONS = select!(PrescriptionColumns, "WHERE practice = $1 AND patient_hash = $2 ORDER BY created DESC, id DESC LIMIT $3"
    );
}

impl Tx<'_> {
    /// Puts a new prescription down.
    pub fn create_prescription(&mut self, row: &PrescriptionRow) -> Result<(), Error> {
        let written = Written::from(row);
        let sealed =
            self.seal_json(row.practice, "prescription.sealed", row.id.as_bytes(), &written)?;
        let patient = patient_hash(row.practice, &row.it.content.patient.id);
        self.run(
            CREATE_PRESCRIPTION,
            &[
                row.id.as_bytes().into(),
                row.practice.as_bytes().into(),
                row.it.prescriber.as_bytes().into(),
                (&patient).into(),
                row.it.state.code().into(),
                row.it.state.since().map(Timestamp::micros).into(),
                sealed.as_slice().into(),
                row.created.micros().into(),
                row.changed.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Writes what a prescription says and how far it is. What is signed or cancelled stays as it is.
    pub fn save_prescription(&mut self, row: &PrescriptionRow) -> Result<(), Error> {
        let written = Written::from(row);
        let sealed =
            self.seal_json(row.practice, "prescription.sealed", row.id.as_bytes(), &written)?;
        self.run_one(
            SAVE_PRESCRIPTION,
            &[
                row.id.as_bytes().into(),
                row.it.state.code().into(),
                row.it.state.since().map(Timestamp::micros).into(),
                sealed.as_slice().into(),
                row.changed.micros().into(),
            ],
        )
    }

    /// Writes how far one is that was signed; what it says stays.
    pub fn move_prescription(&mut self, row: &PrescriptionRow, from: State) -> Result<(), Error> {
        self.run_one(
            MOVE_PRESCRIPTION,
            &[
                row.id.as_bytes().into(),
                from.code().into(),
                row.it.state.code().into(),
                row.it.state.since().map(Timestamp::micros).into(),
                row.changed.micros().into(),
            ],
        )
    }

    fn prescription_rows(
        &mut self,
        sql: Sql,
        params: &[P<'_>],
    ) -> Result<Vec<PrescriptionRow>, Error> {
        let rows = self.rows(sql, params)?;
        rows.iter().map(|row| self.prescription_row(row)).collect()
    }

    fn prescription_row(&mut self, row: &Row) -> Result<PrescriptionRow, Error> {
        let at = row.opt_time(PRESCRIPTION_ROW.state_at)?;
        let state = State::from_code(row.get(PRESCRIPTION_ROW.state)?, at)
            .ok_or_else(|| row.corrupt(PRESCRIPTION_ROW.state))?;
        let id = row.get_id(PRESCRIPTION_ROW.id, PrescriptionId::from_slice)?;
        let practice = row.get_id(PRESCRIPTION_ROW.practice, PracticeId::from_slice)?;
        let sealed = row.get(PRESCRIPTION_ROW.sealed)?;
        let mut written: Written =
            self.open_json(practice, "prescription.sealed", id.as_bytes(), sealed)?;
        let by = std::mem::take(&mut written.by);
        Ok(PrescriptionRow {
            id,
            practice,
            it: Prescription {
                prescriber: row.get_id(PRESCRIPTION_ROW.prescriber, PersonId::from_slice)?,
                content: written.into(),
                state,
            },
            created: row.time(PRESCRIPTION_ROW.created)?,
            changed: row.time(PRESCRIPTION_ROW.changed)?,
            by,
        })
    }

    /// One prescription of a practice; nobody else may change it until the commit.
    pub fn prescription(
        &mut self,
        practice: PracticeId,
        id: PrescriptionId,
    ) -> Result<Option<PrescriptionRow>, Error> {
        let params = [id.as_bytes().into(), practice.as_bytes().into()];
        Ok(self.prescription_rows(PRESCRIPTION, &params)?.pop())
    }

    /// The prescriptions of a patient in a practice, newest first; nobody else may change them until the
    /// commit.
    pub fn prescriptions(
        &mut self,
        practice: PracticeId,
        patient: &str,
        most: i64,
    ) -> Result<Vec<PrescriptionRow>, Error> {
        let hash = patient_hash(practice, patient);
        self.prescription_rows(
            PRESCRIPTIONS,
            &[practice.as_bytes().into(), (&hash).into(), most.into()],
        )
    }
}
