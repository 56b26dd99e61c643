//! What becomes of a prescription besides its signature: marked ready, sent again, printed, canceled.

use countersign_domain::{
    PersonId, PrescriptionId,
    command::{Command, commands},
    prescription::{State, StateRefusal},
    signing::SigningHindrance,
};
use countersign_store::{PrescriptionRow, Tx};

use super::{
    chart::{Chart, me, of_chart},
    judgment::judge_row,
    practitioner::Practitioner,
};
use crate::{Answer, App, At, Error, RefusalCode, command::Decision};

/// Why something is not done with a prescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RxRefusal {
    /// Its state, or whose it is, says no.
    #[error(transparent)]
    State(#[from] StateRefusal),
    /// It could not be signed now.
    #[error("Not marked ready to sign. {0}")]
    Hindered(SigningHindrance),
    /// What let it be signed does not hold any more.
    #[error("You can't sign it now, so it can't be sent again. {0}")]
    NotSentAgain(SigningHindrance),
}

impl RxRefusal {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::State(refusal) => refusal.code(),
            Self::Hindered(hindrance) | Self::NotSentAgain(hindrance) => hindrance.code(),
        }
    }
}

impl App {
    /// The practitioner marks one ready (21 CFR 1311.120(b)(10)): only one that could be signed now (1311.100(d)).
    pub async fn mark_ready(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Answer<(), RxRefusal>, Error> {
        let ground = self.ground(at.now);
        self.change_prescription(commands::MARK_READY, chart, id, at, move |tx, row, me| {
            let Some(me) = me else { return Ok(Err(StateRefusal::NotYours.into())) };
            let practitioner = Practitioner::of(tx, me, row.practice, at.now)?;
            let Some(practitioner) = practitioner else {
                return Ok(Err(StateRefusal::NotYours.into()));
            };
            if me == row.it.prescriber && row.it.state.is_open() {
                practitioner.complete(&mut row.it.content);
                let judgment = judge_row(tx, &practitioner, &ground, row)?;
                if let Some(hindrance) = judgment.hindrances.first() {
                    return Ok(Err(RxRefusal::Hindered(*hindrance)));
                }
                if !judgment.lacks.is_empty() {
                    return Ok(Err(StateRefusal::Lacking.into()));
                }
            }
            let rules = practitioner.rules(&ground, row.it.content.dea);
            Ok(row.it.mark_ready(me, &rules, at.now).map_err(Into::into))
        })
        .await
    }

    /// The practitioner lets one that could not be sent go out once more.
    pub async fn send_again(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Answer<(), RxRefusal>, Error> {
        let running = self.running();
        let done = self
            .change_prescription(
                commands::SEND_PRESCRIPTION_AGAIN,
                chart,
                id,
                at,
                move |tx, row, me| {
                    let me = me.ok_or(StateRefusal::NotYours);
                    if let Err(refusal) = me.and_then(|me| row.it.send_again(me, at.now)) {
                        return Ok(Err(refusal.into()));
                    }
                    // What let it be signed must hold still: it may have failed months ago.
                    let (by, practice) = (row.it.prescriber, row.practice);
                    let found = match Practitioner::of(tx, by, practice, at.now)? {
                        Some(it) => it.resend_hindrances(tx, &running, &row.it.content, at.now)?,
                        None => vec![SigningHindrance::NotPermitted],
                    };
                    Ok(found.first().map_or(Ok(()), |why| Err(RxRefusal::NotSentAgain(*why))))
                },
            )
            .await?;
        self.signed.notify_one();
        Ok(done)
    }

    /// The practitioner prints one that could not be sent, to sign it by hand; it is never sent afterwards
    /// (21 CFR 1311.170(b), 1311.120(b)(20)).
    pub async fn print_prescription(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Answer<(), RxRefusal>, Error> {
        self.change_prescription(commands::PRINT_PRESCRIPTION, chart, id, at, move |_, row, me| {
            let done = me.ok_or(StateRefusal::NotYours).and_then(|me| row.it.print(me, at.now));
            Ok(done.map_err(Into::into))
        })
        .await
    }

    /// Puts one away that is not signed, or that could not be sent.
    pub async fn cancel_prescription(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Answer<(), RxRefusal>, Error> {
        self.change_prescription(commands::CANCEL_PRESCRIPTION, chart, id, at, move |_, row, me| {
            Ok(row.it.cancel(me, at.now).map_err(Into::into))
        })
        .await
    }

    async fn change_prescription<F>(
        &self,
        command: Command,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
        mut change: F,
    ) -> Result<Answer<(), RxRefusal>, Error>
    where
        F: FnMut(
                &mut Tx<'_>,
                &mut PrescriptionRow,
                Option<PersonId>,
            ) -> Result<Result<(), RxRefusal>, countersign_store::Error>
            + Send
            + 'static,
    {
        let chart = chart.clone();
        self.run(command, chart.caller(), at, move |cx| {
            let Some(mut row) = of_chart(cx.tx, &chart, id)? else {
                return Ok(Decision::NotFound);
            };
            cx.about(row.it.prescriber);
            cx.detail(&id.to_string());
            let from = row.it.state;
            let tx = &mut *cx.tx;
            let result = change(tx, &mut row, me(&chart))?;
            if result.is_ok() {
                row.changed = at.now;
                if from.is_open() {
                    tx.save_prescription(&row)?;
                } else {
                    tx.move_prescription(&row, from)?;
                }
                if matches!(row.it.state, State::Signed { .. }) {
                    tx.transmit(row.practice, row.id, at.now)?;
                }
            }
            Ok(Decision::of(result))
        })
        .await
    }
}

impl RefusalCode for RxRefusal {
    fn refusal_code(&self) -> &'static str {
        self.code()
    }
}
