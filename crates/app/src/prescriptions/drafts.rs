//! Drafts: written, changed, and begun as a series.

use countersign_domain::{
    PersonId, PrescriptionId,
    command::commands,
    prescription::{Content, Patient, Prescription, Series, State, StateRefusal},
};
use countersign_store::{Identity, PrescriptionRow, Tx};

use super::{
    chart::{Chart, name_of, of_chart},
    practitioner::{Practitioner, prescribers},
};
use crate::{Answer, App, At, Error, command::Decision};

/// What is written into a form.
#[derive(Debug, Clone)]
pub struct Draft {
    /// In whose name.
    pub prescriber: PersonId,
    /// What it says; patient and chart are the session's.
    pub content: Content,
    /// The prescription of the same chart after which it comes in a series; for a new one only.
    pub after: Option<PrescriptionId>,
}

impl App {
    /// Writes a draft, a new one or over an older one. Whatever was marked ready is a draft again.
    pub async fn save_draft(
        &self,
        chart: &Chart,
        id: Option<PrescriptionId>,
        draft: Draft,
        at: At,
    ) -> Result<Answer<PrescriptionId, StateRefusal>, Error> {
        let chart = chart.clone();
        self.run(commands::SAVE_DRAFT, chart.caller(), at, move |cx| {
            let tx = &mut *cx.tx;
            if !prescribers(tx, chart.practice)?.iter().any(|(id, _)| *id == draft.prescriber) {
                return Ok(Decision::NotFound);
            }
            let mut content = draft.content.clone();
            // The chart says for whom, whatever a form says: two open charts can't be mixed up.
            content.patient = Patient {
                id: chart.patient.id.clone(),
                name: chart.patient.name.clone(),
                born: chart.patient.birth_date.clone(),
                mrn: chart.patient.mrn.clone(),
                address: content.patient.address,
            };
            // The practitioner chooses the number, for each prescription (1311.120(b)(7)): whoever else
            // writes can neither choose it nor undo the choice.
            let staff = matches!(chart.who, Identity::Staff(_));
            if staff {
                content.dea = None;
            }
            let prescriber = draft.prescriber;
            let Some(practitioner) = Practitioner::of(tx, prescriber, chart.practice, at.now)?
            else {
                return Ok(Decision::NotFound);
            };
            practitioner.complete(&mut content);
            cx.event.prescriber = Some(prescriber);
            let (id, result) = match id {
                None => {
                    let id = PrescriptionId::new(at.now, tx.rng())?;
                    let begun = match draft.after {
                        None => Ok(None),
                        Some(after) => {
                            let Some(row) = of_chart(tx, &chart, after)? else {
                                return Ok(Decision::NotFound);
                            };
                            begin_series(tx, &chart, row, prescriber, at)?.map(Some)
                        }
                    };
                    if let Ok(series) = begun {
                        content.series = series;
                        let it = Prescription { prescriber, content, state: State::Draft };
                        let (practice, now) = (chart.practice, at.now);
                        let by = name_of(tx, &chart)?;
                        let (created, changed) = (now, now);
                        let row = PrescriptionRow { id, practice, it, created, changed, by };
                        tx.create_prescription(&row)?;
                    }
                    (id, begun.map(drop))
                }
                Some(id) => {
                    let Some(mut row) = of_chart(tx, &chart, id)? else {
                        return Ok(Decision::NotFound);
                    };
                    let own = match chart.who {
                        Identity::Prescriber(me) => row.it.prescriber == me,
                        Identity::Staff(_) => row.it.prescriber == prescriber,
                    };
                    if staff {
                        content.dea = row.it.content.dea;
                        practitioner.complete(&mut content);
                    }
                    content.series = row.it.content.series;
                    let result =
                        if own { row.it.edit(content) } else { Err(StateRefusal::NotYours) };
                    if result.is_ok() {
                        row.changed = at.now;
                        row.by = name_of(tx, &chart)?;
                        tx.save_prescription(&row)?;
                    }
                    (id, result)
                }
            };
            cx.detail(&id.to_string());
            Ok(Decision::of(result.map(|()| id)))
        })
        .await
    }
}

/// The series that a new prescription of the chart goes on with. The first one of it, if there is none yet, becomes part
/// of it, and so must be looked at again.
fn begin_series(
    tx: &mut Tx<'_>,
    chart: &Chart,
    mut row: PrescriptionRow,
    prescriber: PersonId,
    at: At,
) -> Result<Result<Series, StateRefusal>, countersign_store::Error> {
    if row.it.prescriber != prescriber {
        return Ok(Err(StateRefusal::NotYours));
    }
    if !row.it.state.is_open() {
        return Ok(Err(StateRefusal::Closed));
    }
    if let Some(series) = row.it.content.series {
        return Ok(Ok(series));
    }
    let series = Series { id: row.id, number: 0, of: 0 };
    let content = Content { series: Some(series), ..row.it.content.clone() };
    if let Err(refusal) = row.it.edit(content) {
        return Ok(Err(refusal));
    }
    row.changed = at.now;
    row.by = name_of(tx, chart)?;
    tx.save_prescription(&row)?;
    Ok(Ok(series))
}
