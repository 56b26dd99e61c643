//! The prescriptions that are signed together, and the digest of what is shown.

use countersign_domain::{
    Date, PersonId, PracticeId, PrescriptionId,
    canonical::{CanonicalError, Json},
    ocra,
    prescription::{SIGNING_STATEMENT, State},
    signing::SigningHindrance,
};
use countersign_store::{Person, PrescriptionRow, Session, Tx};

use super::{
    chart::{Chart, is_of, me},
    judgment::{Ground, judge_row, series_of},
    practitioner::Practitioner,
};
use crate::{App, At, Error};

/// Which prescriptions are signed together.
#[derive(Clone)]
pub(crate) enum Which {
    /// All ready ones of the patient of a chart.
    Patient(countersign_store::Patient),
    /// These.
    These(Vec<PrescriptionId>),
}

/// What is to be signed together: the ready ones of one patient and one practitioner.
#[derive(Clone)]
pub struct SigningSet {
    /// The practitioner.
    pub person: Person,
    /// The address that stands on them.
    pub address: String,
    /// The practice.
    pub practice: String,
    /// The date that stands on them.
    pub today: Date,
    /// The prescriptions that are signed, oldest first.
    pub rows: Vec<PrescriptionRow>,
    /// Ready ones of the patient that can't be signed now, and so are left out; none where the prescriptions were named
    /// one by one.
    pub held: Vec<PrescriptionRow>,
    /// What keeps one of them from being signed: which, and why. One may have several.
    pub hindrances: Vec<(PrescriptionId, SigningHindrance)>,
    pub(super) practitioner: Practitioner,
    pub(super) ground: Ground,
}

impl SigningSet {
    /// The practitioner's NPI.
    pub fn npi(&self) -> String {
        self.person.sign_in.npi().map(|npi| npi.as_text()).unwrap_or_default()
    }

    /// Whether all are for one person, whatever the EHR's identifiers say (21 CFR 1311.120(b)(13)). The address is not the
    /// person.
    pub(super) fn is_of_one_patient(&self) -> bool {
        let person = |row: &PrescriptionRow| {
            let it = &row.it.content.patient;
            [&it.id, &it.name, &it.born, &it.mrn].map(Clone::clone)
        };
        self.rows.windows(2).all(|pair| match pair {
            [one, two] => person(one) == person(two),
            _ => true,
        })
    }

    /// The digest of all that the page shows at a moment: what the two factors are bound to
    /// (21 CFR 1311.120(b)(11)).
    ///
    /// # Errors
    ///
    /// Where what is shown has no canonical form: nothing is signed then.
    pub fn digest(&self, shown_at: i64) -> Result<[u8; 32], CanonicalError> {
        self.json(shown_at).digest()
    }

    /// Why what was shown under this digest is held back now: one of those that are, or all of them.
    pub(super) fn hindrance_of(
        &self,
        shown_at: i64,
        shown: [u8; 32],
    ) -> Result<Option<SigningHindrance>, CanonicalError> {
        let alone = self.held.iter().map(std::slice::from_ref);
        for rows in alone.chain([self.held.as_slice()]) {
            let them = Self { rows: rows.to_vec(), ..self.clone() };
            if them.digest(shown_at)? == shown {
                let first = rows.first().map(|row| row.id);
                let why = self.hindrances.iter().find(|(id, _)| Some(*id) == first);
                return Ok(why.map(|(_, why)| *why));
            }
        }
        Ok(None)
    }

    fn json(&self, shown_at: i64) -> Json {
        let items = self.rows.iter().map(|row| {
            Json::object([
                ("id", Json::from(row.id.to_string())),
                ("content", row.it.content.json()),
            ])
        });
        Json::object([
            ("statement", Json::from(SIGNING_STATEMENT)),
            ("practitioner", Json::from(self.person.id.to_string())),
            ("name", Json::from(self.person.name.as_str())),
            ("address", Json::from(self.address.as_str())),
            ("npi", Json::from(self.npi())),
            ("practice", Json::from(self.practice.as_str())),
            ("date", Json::from(self.today.to_string())),
            ("shown_at", Json::from(shown_at.to_string())),
            ("prescriptions", Json::List(items.collect())),
        ])
    }

    /// What an app of ours shows, and what its code is bound to then. The same however often the page is made: a
    /// code is good for its step alone, and once.
    ///
    /// # Errors
    ///
    /// As [`Self::digest`].
    pub fn text(&self, origin: &str) -> Result<String, CanonicalError> {
        let patient = self.rows.first().map_or("", |row| row.it.content.patient.name.as_str());
        let numbered = (1..).zip(&self.rows);
        let lines: Vec<String> =
            numbered.flat_map(|(number, row)| row.it.content.in_lines(number)).collect();
        let lines = lines.iter().map(String::as_str);
        Ok(ocra::signing_text(origin, &self.digest(0)?, &ocra::initials(patient), lines))
    }
}

/// What has no canonical form (RFC 8785) is a fault of ours: it is never signed, nor shown to be signed.
pub(super) fn not_canonical(error: CanonicalError) -> countersign_store::Error {
    Tx::broken(&format!("what is to be signed has no canonical form: {error}"))
}

impl From<CanonicalError> for Error {
    fn from(error: CanonicalError) -> Self {
        Self::Internal(not_canonical(error))
    }
}

impl App {
    /// What the practitioner of the chart can sign now, with what stands in the way.
    pub async fn signing_set(&self, chart: &Chart, at: At) -> Result<SigningSet, Error> {
        let (chart, ground) = (chart.clone(), self.ground(at.now));
        let found = self
            .store
            .read("signing_set", move |tx| {
                let Some(person) = me(&chart) else { return Ok(None) };
                let which = Which::Patient(chart.patient.clone());
                signing_set(tx, person, chart.practice, &which, &ground)
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// How many prescriptions of the open chart wait for the signature of whoever it was opened by.
    pub async fn waiting(&self, session: &Session, at: At) -> Result<usize, Error> {
        match self.chart(session) {
            Ok(chart) if me(&chart).is_some() => {
                let set = self.signing_set(&chart, at).await?;
                Ok(set.rows.len() + set.held.len())
            }
            _ => Ok(0),
        }
    }
}

pub(crate) fn signing_set(
    tx: &mut Tx<'_>,
    id: PersonId,
    practice: PracticeId,
    which: &Which,
    ground: &Ground,
) -> Result<Option<SigningSet>, countersign_store::Error> {
    let Some(person) = tx.person(id)? else { return Ok(None) };
    let Some(practitioner) = Practitioner::of(tx, id, practice, ground.now)? else {
        return Ok(None);
    };
    let mut rows = match which {
        Which::Patient(patient) => {
            let mut rows = tx.prescriptions(practice, &patient.id, 100)?;
            rows.retain(|row| is_of(&row.it.content.patient, patient));
            rows.reverse();
            rows
        }
        Which::These(ids) => {
            let mut rows = Vec::new();
            for id in ids {
                rows.extend(tx.prescription(practice, *id)?);
            }
            rows
        }
    };
    rows.retain(|row| row.it.prescriber == id && matches!(row.it.state, State::Ready { .. }));
    let mut hindrances = Vec::new();
    let mut series = Vec::new();
    for row in &mut rows {
        let of_series = series_of(tx, row)?;
        series.push((row.id, of_series.into_iter().map(|it| it.id).collect::<Vec<_>>()));
        let judgment = judge_row(tx, &practitioner, ground, row)?;
        let lacking = (!judgment.lacks.is_empty()).then_some(SigningHindrance::Lacking);
        let all = lacking.into_iter().chain(judgment.hindrances);
        hindrances.extend(all.map(|why| (row.id, why)));
    }
    // A series is signed as a whole or not at all.
    let alone: Vec<PrescriptionId> = rows
        .iter()
        .map(|row| row.id)
        .filter(|id| !hindrances.iter().any(|(hindered, _)| hindered == id))
        .collect();
    for (id, of_series) in series {
        if of_series.iter().any(|other| *other != id && !alone.contains(other)) {
            hindrances.push((id, SigningHindrance::SeriesIncomplete));
        }
    }
    let held = match which {
        Which::Patient(_) => rows
            .extract_if(.., |row| hindrances.iter().any(|(hindered, _)| *hindered == row.id))
            .collect(),
        Which::These(_) => Vec::new(),
    };
    let address = practitioner.address.clone();
    let today = practitioner.today;
    let practice = tx.practice_name(practice)?.unwrap_or_default();
    let ground = ground.clone();
    Ok(Some(SigningSet {
        person,
        address,
        practice,
        today,
        rows,
        held,
        hindrances,
        practitioner,
        ground,
    }))
}
