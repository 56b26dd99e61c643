//! Signing with passphrase and passcode.

use std::sync::Arc;

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, Event, EventKind, Outcome, PersonId, PracticeId, Purpose, Refusal, SessionRowId,
    Timestamp,
    ocra::Challenge,
    prescription::{SIGNING_SECONDS, StateRefusal},
    signing::{SigningFacts, SigningHindrance, TokenFacts, hindrances},
};
use countersign_store::Session;

use super::{
    chart::me,
    records::sign_one,
    signing_set::{Which, not_canonical, signing_set},
};
use crate::{
    App, At, Confirm, Error,
    attempts::Source,
    record as append_with_owner,
    sign_in::{passcode_event, verify},
    to_completion::to_completion,
};

/// What the practitioner sends with the signature.
#[derive(Debug, Clone)]
pub struct SigningForm {
    /// When the page was made, in microseconds since 1970.
    pub shown_at: i64,
    /// The digest of what it showed.
    pub digest: [u8; 32],
    /// The passphrase as typed.
    pub passphrase: SecretText,
    /// A fresh passcode; always asked for.
    pub confirm: Confirm,
}

/// What became of signing.
#[derive(Debug)]
pub enum Signing {
    /// All are signed.
    Done(usize),
    /// Nothing was signed, and why.
    Refused(StateRefusal),
    /// One of them can't be signed.
    Hindered(SigningHindrance),
    /// The page was open for too long.
    TimedOut,
    /// Passphrase or passcode was refused.
    NotConfirmed(Refusal),
}

impl App {
    /// Signs all that was shown, with both factors. Runs to its end even if the client leaves.
    pub async fn sign(
        self: &Arc<Self>,
        session: &Session,
        form: SigningForm,
        at: At,
    ) -> Result<Signing, Error> {
        let (app, session) = (Arc::clone(self), session.clone());
        to_completion("sign", at, async move { app.try_sign(session, form, at).await }).await
    }

    async fn try_sign(
        &self,
        session: Session,
        form: SigningForm,
        at: At,
    ) -> Result<Signing, Error> {
        let chart = self.chart(&session)?;
        let Some(person) = me(&chart) else { return Err(Error::NotFound) };
        let which = Which::Patient(chart.patient.clone());
        let source = Source::Session { person, practice: session.practice };
        self.sign_as(person, chart.practice, Some(session.id), &source, which, form, at).await
    }

    /// Signs for a practitioner whose factors the form holds, and `source` says where it comes from.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the request")]
    pub(crate) async fn sign_as(
        &self,
        person: PersonId,
        practice: PracticeId,
        session: Option<SessionRowId>,
        source: &Source,
        which: Which,
        form: SigningForm,
        at: At,
    ) -> Result<Signing, Error> {
        let phrase = self.try_phrase(person, form.passphrase, source).await?;
        let policy = self.options.policy;
        let ground = self.ground(at.now);
        let (shown_at, shown, confirm) = (form.shown_at, form.digest, form.confirm);
        let origin = self.options.public_url.clone();
        let signing = self
            .decide_in("sign_prescriptions", person, session, at.now, move |account, tx| {
                let mut signed = Vec::new();
                let mut work = || -> Result<Signing, countersign_store::Error> {
                    if let Err(refusal) = phrase.settle(tx, person)? {
                        return Ok(Signing::NotConfirmed(refusal));
                    }
                    let Some(set) = signing_set(tx, person, practice, &which, &ground)? else {
                        return Ok(Signing::Refused(StateRefusal::NotReady));
                    };
                    let open = Timestamp::from_micros(shown_at).seconds_until(at.now);
                    if !(0..SIGNING_SECONDS).contains(&open) {
                        return Ok(Signing::TimedOut);
                    }
                    // Before the passcode is looked at: what can't be signed costs none.
                    let hindered = || match set.hindrances.first() {
                        Some((_, hindrance)) => Signing::Hindered(*hindrance),
                        None => Signing::Refused(StateRefusal::NotReady),
                    };
                    if set.rows.is_empty() {
                        // What was shown and can't be signed any more says why. Anything else was changed, or signed already.
                        let why = set.hindrance_of(shown_at, shown).map_err(not_canonical)?;
                        let not_ready = Signing::Refused(StateRefusal::NotReady);
                        return Ok(why.map_or(not_ready, Signing::Hindered));
                    }
                    // All that was asked for, or none of it.
                    let whole = match &which {
                        Which::Patient(_) => true,
                        Which::These(ids) => set.rows.len() == ids.len(),
                    };
                    if !whole {
                        return Ok(Signing::Refused(StateRefusal::NotReady));
                    }
                    if !set.is_of_one_patient() {
                        return Ok(Signing::Refused(StateRefusal::TwoPatients));
                    }
                    if set.digest(shown_at).map_err(not_canonical)? != shown {
                        return Ok(Signing::Refused(StateRefusal::Changed));
                    }
                    let named = matches!(which, Which::These(_));
                    if named && !set.hindrances.is_empty() {
                        return Ok(hindered());
                    }
                    let text = set.text(&origin).map_err(not_canonical)?;
                    let code = confirm.code.clone().bound_to(Challenge::of(&text));
                    let proved = verify(account, confirm.chosen, &code, at, &policy);
                    let models = tx.signing_models()?;
                    let unwanted = tx.refused_models(practice)?;
                    let proved = proved.and_then(|id| {
                        let (token, _) = account.token(id).ok_or(Refusal::TokenNotActive)?;
                        let token = token.clone();
                        let refused = unwanted.iter().any(|(model, ..)| model == token.model());
                        let model = !refused && models.allow(token.model());
                        // Also until when the row says: a hardware token has an end.
                        let here = token.practice() == Some(practice);
                        let facts = TokenFacts::of(&token, model, here, at.now);
                        let facts = SigningFacts { token: Some(facts), ..SigningFacts::CLEAR };
                        let why = hindrances(&facts).first().and_then(|why| why.refusal());
                        why.map_or(Ok(token), Err)
                    });
                    let outcome = proved.as_ref().map(|token| token.id()).map_err(Clone::clone);
                    let chosen = confirm.chosen;
                    let passcode =
                        passcode_event(&outcome, person, practice, chosen, Purpose::Sign, at);
                    append_with_owner(tx, &account.noted_browser(passcode, at), at.now)?;
                    let token = match proved {
                        Ok(token) => token,
                        Err(refusal) => return Ok(Signing::NotConfirmed(refusal)),
                    };
                    let binding = token.binding(&code);
                    let key = tx.signing_key(practice, at.now)?;
                    for row in &set.rows {
                        sign_one(tx, &set, row.clone(), (&token, binding), &key, at.now)?;
                        signed.push(row.id);
                    }
                    Ok(Signing::Done(set.rows.len()))
                };
                let signing = work()?;
                let mut event = Event::success(
                    EventKind::PrescriptionSigned,
                    Actor::Person(person),
                    at.support,
                )
                .about(practice, person);
                let reason = match &signing {
                    Signing::Done(_) => None,
                    Signing::Refused(refusal) => Some(refusal.code()),
                    Signing::Hindered(hindrance) => Some(hindrance.code()),
                    Signing::TimedOut => Some("signing_timed_out"),
                    Signing::NotConfirmed(refusal) => Some(refusal.code()),
                };
                if let Some(reason) = reason {
                    event.outcome = Outcome::Refused;
                    return Ok((Ok(signing), event.reason(reason)));
                }
                // One record for each; the last goes the usual way.
                let last = signed.pop();
                for id in &signed {
                    tx.append(&event.clone().detail(&id.to_string()), at.now)?;
                }
                let last = last.map(|id| id.to_string()).unwrap_or_default();
                Ok((Ok(signing), event.detail(&last)))
            })
            .await;
        self.signed.notify_one();
        signing
    }
}
