//! Token models that a practice does not let sign.

use countersign_domain::{ModelCode, PersonId, PracticeId, Timestamp};

use super::parsed;
use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::Columns,
};

statements! {
    REFUSED_MODELS = sql!(
        "SELECT model, reason, changed, changed_by FROM practice_model WHERE practice = $1 ORDER BY model"
    );
    REFUSE_MODEL = sql!(
        "INSERT INTO practice_model (practice, model, reason, changed, changed_by) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (practice, model) DO NOTHING"
    );
    ACCEPT_MODEL = sql!("DELETE FROM practice_model WHERE practice = $1 AND model = $2");
    OWNERS_OF_MODEL = sql!(
        "SELECT DISTINCT prescriber FROM token WHERE practice = $1 AND model = $2 AND prescriber IS NOT NULL"
    );
}

impl Tx<'_> {
    /// Models that a practice does not let sign: model, why, since when, who said so.
    pub fn refused_models(
        &mut self,
        practice: PracticeId,
    ) -> Result<Vec<(ModelCode, String, Timestamp, PersonId)>, Error> {
        self.rows(REFUSED_MODELS, &[practice.as_bytes().into()])?
            .iter()
            .map(|row| {
                Ok((
                    parsed(row.text(0, "practice_model.model")?, "practice_model.model")?,
                    row.text(1, "practice_model.reason")?.to_owned(),
                    Timestamp::from_micros(row.int(2, "practice_model.changed")?),
                    row.id(3, "practice_model.changed_by", PersonId::from_slice)?,
                ))
            })
            .collect()
    }

    /// Lets a model sign in a practice no more, for a reason, or again; its tokens follow. `false` where
    /// nothing changes.
    pub fn refuse_model(
        &mut self,
        practice: PracticeId,
        model: &ModelCode,
        refused: Option<&str>,
        by: PersonId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let changed = match refused {
            Some(reason) => self.run(
                REFUSE_MODEL,
                &[
                    practice.as_bytes().into(),
                    model.as_str().into(),
                    reason.into(),
                    now.micros().into(),
                    by.as_bytes().into(),
                ],
            ),
            None => self.run(ACCEPT_MODEL, &[practice.as_bytes().into(), model.as_str().into()]),
        }?;
        if changed == 1 {
            let owners =
                self.rows(OWNERS_OF_MODEL, &[practice.as_bytes().into(), model.as_str().into()])?;
            for row in &owners {
                self.refresh_signing(row.id(0, "token.prescriber", PersonId::from_slice)?)?;
            }
        }
        Ok(changed == 1)
    }
}
