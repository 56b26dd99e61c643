//! Prescriptions, the signed records of them, and the keys that sign.

use std::collections::BTreeMap;

use countersign_crypto::{SigningKey, VerifyingKey, sha256};
use countersign_domain::{
    PersonId, PracticeId, PrescriptionId, Schedule, Timestamp,
    prescription::{Content, Patient, Pharmacy, Prescription, Series, State, Supervisor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Tx,
    tx::{Sql, locking, sql},
    value::{Columns, P, Row},
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

/// A key whose signatures can be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What names it in a record.
    pub key_id: String,
    /// The point: 65 bytes, uncompressed.
    pub point: Vec<u8>,
    /// Since when it signs no more.
    pub retired: Option<Timestamp>,
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

fn key_place(key_id: &str) -> Vec<u8> {
    [b"signing_key|".as_slice(), key_id.as_bytes(), b"|sealed"].concat()
}

/// The way of a signed prescription to its pharmacy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    /// Which.
    pub prescription: PrescriptionId,
    /// Of which practice.
    pub practice: PracticeId,
    /// When it was put on its way.
    pub begun: Timestamp,
    /// When it is tried next.
    pub next_try: Timestamp,
    /// How often it was tried.
    pub tries: i64,
    /// When that ended.
    pub done: Option<Timestamp>,
    /// How it ended, or why the last try failed.
    pub outcome: String,
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

macro_rules! prescription_query {
    ($kind:ident, $tail:literal) => {
        $kind!("SELECT id, practice, prescriber, state, state_at, sealed, created, changed FROM prescription " $tail)
    };
}

impl Tx<'_> {
    /// Puts a new prescription down.
    pub fn create_prescription(&mut self, row: &PrescriptionRow) -> Result<(), Error> {
        let written = Written::from(row);
        let sealed = self.seal_json(row.practice, "prescription", row.id.as_bytes(), &written)?;
        let patient = patient_hash(row.practice, &row.it.content.patient.id);
        self.run(
            sql!("INSERT INTO prescription (id, practice, prescriber, patient_hash, state, state_at, sealed, created, changed) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
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
        let sealed = self.seal_json(row.practice, "prescription", row.id.as_bytes(), &written)?;
        self.run_one(
            sql!("UPDATE prescription SET state = $2, state_at = $3, sealed = $4, changed = $5 WHERE id = $1 "
                "AND state IN ('draft', 'ready')"),
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
            sql!("UPDATE prescription SET state = $3, state_at = $4, changed = $5 WHERE id = $1 AND state = $2"),
            &[
                row.id.as_bytes().into(),
                from.code().into(),
                row.it.state.code().into(),
                row.it.state.since().map(Timestamp::micros).into(),
                row.changed.micros().into(),
            ],
        )
    }

    /// Puts one on its way, or back on it.
    pub fn transmit(
        &mut self,
        practice: PracticeId,
        id: PrescriptionId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let sealed = self.seal_json(practice, "transmission", id.as_bytes(), &"")?;
        self.run(
            sql!("INSERT INTO transmission (prescription, practice, begun, next_try, tries, sealed, told) "
                "VALUES ($1, $2, $3, $3, 0, $4, 0) ON CONFLICT (prescription) DO UPDATE SET begun = $3, next_try = $3, "
                "tries = 0, sealed = $4, done = NULL, told = 0"),
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
        Ok(Transmission {
            prescription,
            practice,
            begun: time(2, "transmission.begun")?,
            next_try: time(3, "transmission.next_try")?,
            tries: row.int(4, "transmission.tries")?,
            done: row.opt_int(5, "transmission.done")?.map(Timestamp::from_micros),
            outcome: self.open_json(practice, "transmission", prescription.as_bytes(), sealed)?,
            told: row.int(7, "transmission.told")? != 0,
        })
    }

    /// Whether something is to be sent now, or was put on its way before `slow_before` and nobody was told.
    pub fn transmissions_due(
        &mut self,
        now: Timestamp,
        slow_before: Timestamp,
    ) -> Result<bool, Error> {
        let row = self.row(
            sql!("SELECT prescription FROM transmission WHERE done IS NULL AND (next_try <= $1 OR (told = 0 AND begun <= $2)) LIMIT 1"),
            &[now.micros().into(), slow_before.micros().into()],
        )?;
        Ok(row.is_some())
    }

    /// What was put on its way before a time, has not arrived, and nobody was told of.
    pub fn slow_transmissions(&mut self, before: Timestamp) -> Result<Vec<Transmission>, Error> {
        let sql = transmission_query!(
            locking,
            "WHERE done IS NULL AND told = 0 AND begun <= $1 ORDER BY begun, prescription LIMIT 100"
        );
        let rows = self.rows(sql, &[before.micros().into()])?;
        rows.iter().map(|row| self.way(row)).collect()
    }

    /// Takes what is to be sent now: nobody else takes it before `again`.
    pub fn take_transmissions(
        &mut self,
        now: Timestamp,
        again: Timestamp,
        most: i64,
    ) -> Result<Vec<Transmission>, Error> {
        let rows = self.rows(
            transmission_query!(
                "WHERE done IS NULL AND next_try <= $1 ORDER BY next_try, prescription LIMIT $2"
            ),
            &[now.micros().into(), most.into()],
        )?;
        let mut taken = Vec::new();
        for row in &rows {
            let mut it = self.way(row)?;
            let mine = self.run(
                sql!("UPDATE transmission SET next_try = $3, tries = tries + 1 WHERE prescription = $1 AND next_try = $2 "
                    "AND done IS NULL"),
                &[
                    it.prescription.as_bytes().into(),
                    it.next_try.micros().into(),
                    again.micros().into(),
                ],
            )?;
            if mine == 1 {
                it.tries += 1;
                it.next_try = again;
                taken.push(it);
            }
        }
        Ok(taken)
    }

    /// How far the way of one is; nobody else may change it until the commit.
    pub fn transmission(&mut self, id: PrescriptionId) -> Result<Option<Transmission>, Error> {
        let sql = transmission_query!(locking, "WHERE prescription = $1");
        let row = self.row(sql, &[id.as_bytes().into()])?;
        row.as_ref().map(|row| self.way(row)).transpose()
    }

    /// Notes how a try ended.
    pub fn save_transmission(&mut self, it: &Transmission) -> Result<(), Error> {
        let id = it.prescription;
        let sealed = self.seal_json(it.practice, "transmission", id.as_bytes(), &it.outcome)?;
        self.run_one(
            sql!("UPDATE transmission SET next_try = $2, sealed = $3, done = $4, told = $5 WHERE prescription = $1"),
            &[
                it.prescription.as_bytes().into(),
                it.next_try.micros().into(),
                sealed.as_slice().into(),
                it.done.map(Timestamp::micros).into(),
                i64::from(it.told).into(),
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
        let column = "prescription.state";
        let at = row.opt_int(4, "prescription.state_at")?.map(Timestamp::from_micros);
        let state = State::from_code(row.text(3, column)?, at).ok_or(Error::Corrupt { column })?;
        let id = row.id(0, "prescription.id", PrescriptionId::from_slice)?;
        let practice = row.id(1, "prescription.practice", PracticeId::from_slice)?;
        let sealed = row.blob(5, "prescription.sealed")?;
        let mut written: Written =
            self.open_json(practice, "prescription", id.as_bytes(), sealed)?;
        let by = std::mem::take(&mut written.by);
        Ok(PrescriptionRow {
            id,
            practice,
            it: Prescription {
                prescriber: row.id(2, "prescription.prescriber", PersonId::from_slice)?,
                content: written.into(),
                state,
            },
            created: Timestamp::from_micros(row.int(6, "prescription.created")?),
            changed: Timestamp::from_micros(row.int(7, "prescription.changed")?),
            by,
        })
    }

    /// One prescription of a practice; nobody else may change it until the commit.
    pub fn prescription(
        &mut self,
        practice: PracticeId,
        id: PrescriptionId,
    ) -> Result<Option<PrescriptionRow>, Error> {
        let sql = prescription_query!(locking, "WHERE id = $1 AND practice = $2");
        let params = [id.as_bytes().into(), practice.as_bytes().into()];
        Ok(self.prescription_rows(sql, &params)?.pop())
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
        let sql = prescription_query!(
            sql,
            "WHERE practice = $1 AND patient_hash = $2 ORDER BY created DESC, id DESC LIMIT $3"
        );
        self.prescription_rows(sql, &[practice.as_bytes().into(), (&hash).into(), most.into()])
    }

    /// The key with which a practice signs now; made where there is none.
    pub fn signing_key(
        &mut self,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<(String, SigningKey), Error> {
        let row = self.row(
            sql!("SELECT key_id, sealed FROM signing_key WHERE practice = $1 AND retired IS NULL "
                "ORDER BY created DESC, key_id LIMIT 1"),
            &[practice.as_bytes().into()],
        )?;
        let Some(row) = row else { return self.new_signing_key(practice, now) };
        let key_id = row.text(0, "signing_key.key_id")?.to_owned();
        let corrupt = Error::Corrupt { column: "signing_key.sealed" };
        let data_key = self.data_key(Some(practice))?;
        let Ok(plain) = data_key.open(&key_place(&key_id), row.blob(1, "signing_key.sealed")?)
        else {
            return Err(corrupt);
        };
        let key = SigningKey::from_pkcs8(&plain).map_err(|_| corrupt)?;
        Ok((key_id, key))
    }

    /// Makes another key, with which a practice signs from now on. What older ones signed stays verifiable.
    pub fn new_signing_key(
        &mut self,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<(String, SigningKey), Error> {
        let (key, document) = SigningKey::generate().map_err(|_| Error::Crypto)?;
        let point = key.verifying_key().point().to_vec();
        let key_id: String =
            sha256(&point).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let data_key = self.data_key(Some(practice))?;
        let sealed =
            data_key.seal(&key_place(&key_id), document.expose()).map_err(|_| Error::Crypto)?;
        self.run(
            sql!("UPDATE signing_key SET retired = $2 WHERE practice = $1 AND retired IS NULL"),
            &[practice.as_bytes().into(), now.micros().into()],
        )?;
        self.run(
            sql!("INSERT INTO signing_key (key_id, practice, public, sealed, created) VALUES ($1, $2, $3, $4, $5)"),
            &[
                key_id.as_str().into(),
                practice.as_bytes().into(),
                point.as_slice().into(),
                sealed.as_slice().into(),
                now.micros().into(),
            ],
        )?;
        Ok((key_id, key))
    }

    /// Every key that ever signed, oldest first: for whoever verifies.
    pub fn public_keys(&mut self) -> Result<Vec<PublicKey>, Error> {
        self.rows(
            sql!("SELECT key_id, public, retired FROM signing_key ORDER BY created, key_id"),
            &[],
        )?
        .iter()
        .map(|row| {
            let point = row.blob(1, "signing_key.public")?.to_vec();
            VerifyingKey::from_point(&point)
                .map_err(|_| Error::Corrupt { column: "signing_key.public" })?;
            Ok(PublicKey {
                key_id: row.text(0, "signing_key.key_id")?.to_owned(),
                point,
                retired: row.opt_int(2, "signing_key.retired")?.map(Timestamp::from_micros),
            })
        })
        .collect()
    }
}
