//! Hardware tokens of a practice: put into stock, sent to somebody, taken out of use at their end of life.

use countersign_domain::{
    Actor, Device, DisableReason, Event, EventKind, ModelCode, PersonId, PracticeId,
    ProvisionedToken, Refusal, Token, TokenId, command::commands,
};
pub use countersign_provision::fobs::NewFob;
use countersign_store::{Fob, TokenRow, Tx};

use super::{Act, App, At, Error, Membership, notices::Mailer, record, tell_owner};
use crate::command::{Caller, Decision};
use crate::{Answer, RefusalCode};

/// Why a delivery is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// Nobody has judged the model, or it may not sign.
    #[error("model {0} is not allowed: see `countersign admin models`")]
    Model(ModelCode),
    /// One of them is here already.
    #[error("{0} is already in stock; nothing was imported")]
    Known(String),
}

impl RefusalCode for ImportRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Model(_) => Refusal::ModelNotAllowed.code(),
            Self::Known(_) => "known",
        }
    }
}

impl App {
    /// Puts a delivery of fobs into the stock of a practice: all or none. `by` is who had it in hand. How many they are.
    pub async fn import_fobs(
        &self,
        practice: PracticeId,
        model: ModelCode,
        batch: String,
        by: String,
        fobs: Vec<NewFob>,
        at: At,
    ) -> Result<Answer<usize, ImportRefusal>, Error> {
        self.run(commands::IMPORT_FOBS, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&format!("{} of {model}, {batch}, by {by}", fobs.len()));
            let tx = &mut *cx.tx;
            if !tx.signing_models()?.allow(&model) {
                return Ok(Decision::Refused(ImportRefusal::Model(model.clone())));
            }
            // Before anything is written: a delivery is taken as a whole.
            for fob in &fobs {
                if tx.token_by_credential(&fob.credential)?.is_some() {
                    return Ok(Decision::Refused(ImportRefusal::Known(fob.credential.masked())));
                }
            }
            for fob in &fobs {
                let token = Token::provisioned(ProvisionedToken {
                    id: TokenId::new(at.now, tx.rng())?,
                    credential: fob.credential.clone(),
                    params: fob.params,
                    seed: fob.seed.clone(),
                    expires: fob.ends,
                    created: at.now,
                    device: Device::default(),
                    model: model.clone(),
                })
                .map_err(|_| Tx::broken("no token has these parts"))?;
                if !tx.create_token(&token)? {
                    return Err(Tx::broken("a serial number stands twice in a delivery"));
                }
                tx.create_fob(token.id(), practice, &batch, fob.ends, at.now)?;
            }
            Ok(Decision::Done(fobs.len()))
        })
        .await
    }

    /// The stock of a practice.
    pub async fn fobs(&self, membership: &Membership) -> Result<Vec<Fob>, Error> {
        let practice = membership.practice.id;
        Ok(self.store.read("fobs", move |tx| tx.fobs(practice, 500)).await?)
    }

    /// Notes that a fob was handed or mailed to somebody.
    pub async fn send_fob(
        &self,
        act: Act,
        token: TokenId,
        to: PersonId,
        how: String,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let practice = act.membership.practice.id;
        self.run(commands::SEND_FOB, Caller::Member(Box::new(act)), at, move |cx| {
            if !cx.tx.is_member(to, practice)? {
                return Ok(Decision::NotFound);
            }
            cx.about(to);
            cx.detail(&how);
            let sent = cx.tx.send_fob(practice, token, to, &how, at.now)?;
            cx.about_token(sent.then_some(token));
            Ok(Decision::of(sent.then_some(()).ok_or(Refusal::NoChange)))
        })
        .await
    }
}

/// Takes fobs out of use at the end of their life; signing has stopped by itself.
pub(super) fn retire_worn_out(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    at: At,
) -> Result<(), countersign_store::Error> {
    for (id, owner) in tx.worn_out(at.now)? {
        // Prescriber, then session, then token: the order in which everyone locks.
        tx.lock_prescriber(owner)?;
        let found = tx.tokens_of(owner)?.into_iter().find(|row| row.token.id() == id);
        let Some(TokenRow { mut token, mark, .. }) = found.filter(|row| row.token.is_active())
        else {
            continue;
        };
        let reason = DisableReason::EndOfLife;
        token.force_disable(reason, at.now);
        tx.save_token(&token, mark)?;
        tx.stale_passcodes(owner)?;
        let mut event = Event::success(EventKind::TokenDisabled, Actor::System, at.support)
            .token(id)
            .reason(reason.code());
        event.practice = token.practice();
        event.prescriber = Some(owner);
        record(tx, &event, at.now)?;
        tell_owner(mailer, &event, tx, at.now)?;
    }
    Ok(())
}
