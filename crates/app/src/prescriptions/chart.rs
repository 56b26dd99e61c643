//! The chart of a patient from which somebody came, and what its page shows.

use countersign_domain::{
    Date, PersonId, PracticeId, PrescriptionId, Registered, TimeZone, prescription::Patient,
};
use countersign_store::{Identity, PrescriptionRow, Session, Tx};

use super::practitioner::{Practitioner, prescribers};
use crate::{App, At, Error, command::Caller};

/// The chart from which somebody came: no other patient can be written for in that session.
#[derive(Clone)]
pub struct Chart {
    /// Who the EHR said it is.
    pub who: Identity,
    /// The practice.
    pub practice: PracticeId,
    /// The patient.
    pub patient: countersign_store::Patient,
    /// The session in which it is open.
    session: Session,
}

impl Chart {
    /// Whoever came with it: also where somebody else has signed in in that session since.
    pub(super) fn caller(&self) -> Caller {
        Caller::Chart(Box::new(self.session.clone()))
    }
}

/// What the page of a chart shows.
#[derive(Clone)]
pub struct Sheet {
    /// The patient's prescriptions, newest first.
    pub rows: Vec<PrescriptionRow>,
    /// Those who prescribe here: who, and their name.
    pub prescribers: Vec<(PersonId, String)>,
    /// The registrations under which the prescriber who looks may prescribe now; nothing for staff.
    pub numbers: Vec<Registered>,
    /// The patient's address, as it was last written.
    pub address: String,
    /// Today where the practice is.
    pub today: Date,
    /// Time zone of the practice, in which pages show times.
    pub zone: TimeZone,
}

impl App {
    /// The chart of a session; a session without one has nothing to do here.
    pub fn chart(&self, session: &Session) -> Result<Chart, Error> {
        match (session.launched_as, &session.patient) {
            (Some(who), Some(patient)) => {
                let (practice, patient) = (session.practice, patient.clone());
                Ok(Chart { who, practice, patient, session: session.clone() })
            }
            _ => Err(Error::NotFound),
        }
    }

    /// What the page of a chart shows.
    pub async fn sheet(&self, chart: &Chart, at: At) -> Result<Sheet, Error> {
        let chart = chart.clone();
        let found = self
            .store
            .read("sheet", move |tx| {
                let mut rows = tx.prescriptions(chart.practice, &chart.patient.id, 100)?;
                rows.retain(|row| is_of(&row.it.content.patient, &chart.patient));
                let prescribers = prescribers(tx, chart.practice)?;
                let numbers = match chart.who {
                    Identity::Prescriber(me) => {
                        let it = Practitioner::of(tx, me, chart.practice, at.now)?;
                        it.map(|it| it.numbers()).unwrap_or_default()
                    }
                    Identity::Staff(_) => Vec::new(),
                };
                let address = rows.iter().find(|row| !row.it.content.patient.address.is_empty());
                let address = address.map(|row| row.it.content.patient.address.clone());
                // What the EHR says now comes before what was typed once.
                let address = Some(chart.patient.address.clone())
                    .filter(|address| !address.is_empty())
                    .or(address)
                    .unwrap_or_default();
                let practice = tx.practice(chart.practice)?;
                let zone = practice.ok_or_else(|| Tx::broken("no practice"))?.zone;
                let today = Date::at(at.now, &zone);
                Ok(Sheet { rows, prescribers, numbers, address, today, zone })
            })
            .await?;
        Ok(found)
    }
}

pub(super) const fn me(chart: &Chart) -> Option<PersonId> {
    match chart.who {
        Identity::Prescriber(id) => Some(id),
        Identity::Staff(_) => None,
    }
}

/// The name of whoever came from the chart.
pub(super) fn name_of(tx: &mut Tx<'_>, chart: &Chart) -> Result<String, countersign_store::Error> {
    Ok(match chart.who {
        Identity::Prescriber(id) => tx.person(id)?.map(|it| it.name),
        Identity::Staff(id) => tx.staff(id)?.map(|it| it.name),
    }
    .unwrap_or_default())
}

/// Whether a prescription is for the patient of a chart. Two EHRs of a practice may use one ID for two people.
pub(super) fn is_of(patient: &Patient, chart: &countersign_store::Patient) -> bool {
    patient.id == chart.id
        && patient.name == chart.name
        && patient.born == chart.birth_date
        && patient.mrn == chart.mrn
}

/// The prescription, if it is one of this chart's patient.
pub(super) fn of_chart(
    tx: &mut Tx<'_>,
    chart: &Chart,
    id: PrescriptionId,
) -> Result<Option<PrescriptionRow>, countersign_store::Error> {
    let row = tx.prescription(chart.practice, id)?;
    Ok(row.filter(|row| is_of(&row.it.content.patient, &chart.patient)))
}
