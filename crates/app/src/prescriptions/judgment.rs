//! The judgment of a prescription before it is marked ready and again before it is signed.

use std::sync::Arc;

use countersign_domain::{
    Timestamp,
    certification::RunningBuild,
    controlled::Table,
    prescription::{Content, Lack, State, number_series},
    signing::{Installation, SigningHindrance},
    state_rules::StateRules,
};
use countersign_store::{PrescriptionRow, Tx};

use super::practitioner::Practitioner;
use crate::App;

/// All that keeps a prescription from being marked ready and signed: the same judgment for both.
#[derive(Debug, Clone, Default)]
pub struct Judgment {
    /// What it lacks itself, field by field.
    pub lacks: Vec<Lack>,
    /// What stands in the way besides.
    pub hindrances: Vec<SigningHindrance>,
}

/// What of this installation decides over signing; read before a transaction.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(super) installation: Installation,
    pub(super) running: RunningBuild,
    pub(super) drugs: Arc<Table>,
    pub(super) states: Arc<StateRules>,
    pub(super) now: Timestamp,
}

/// All prescriptions of the series that one is of, numbered, itself among them; nothing where it is of none.
pub(super) fn series_of(
    tx: &mut Tx<'_>,
    row: &PrescriptionRow,
) -> Result<Vec<PrescriptionRow>, countersign_store::Error> {
    let (content, prescriber) = (&row.it.content, row.it.prescriber);
    let Some(series) = content.series else { return Ok(Vec::new()) };
    let mut all = tx.prescriptions(row.practice, &content.patient.id, 100)?;
    all.retain(|it| {
        it.it.prescriber == prescriber
            && it.it.content.series.is_some_and(|other| other.id == series.id)
            && !matches!(it.it.state, State::Cancelled { .. })
    });
    number_series(&mut all.iter_mut().map(|it| &mut it.it.content).collect::<Vec<_>>());
    Ok(all)
}

/// Judges one that lies in the database, as it would be signed now.
pub(super) fn judge_row(
    tx: &mut Tx<'_>,
    practitioner: &Practitioner,
    ground: &Ground,
    row: &mut PrescriptionRow,
) -> Result<Judgment, countersign_store::Error> {
    let series = series_of(tx, row)?;
    if let Some(numbered) = series.iter().find(|it| it.id == row.id) {
        row.it.content.series = numbered.it.content.series;
    }
    let rules = practitioner.rules(ground, row.it.content.dea);
    row.it.content.last_fill = row.it.content.last_fill_day(&rules);
    let all: Vec<&Content> = series.iter().map(|it| &it.it.content).collect();
    practitioner.judge(tx, ground, &row.it.content, &all)
}

impl App {
    /// What of this installation decides over signing at a moment.
    pub(crate) fn ground(&self, now: Timestamp) -> Ground {
        Ground {
            installation: self.installation(now),
            running: self.running(),
            drugs: Arc::clone(&self.options.drugs),
            states: Arc::clone(&self.options.states),
            now,
        }
    }
}
