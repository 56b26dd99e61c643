//! Signing with passphrase and passcode.

use std::sync::Arc;

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, PersonId, PracticeId, Purpose, Refusal, Timestamp,
    command::{Command, commands},
    ocra::Challenge,
    prescription::{SIGNING_SECONDS, StateRefusal},
    signing::{SigningFacts, SigningHindrance, TokenFacts, hindrances},
};
use countersign_store::Session;

use super::{
    chart::me,
    records::sign_one,
    signing_set::{SigningSet, Which, not_canonical, signing_set},
};
use crate::{
    Answer, App, At, Confirm, Error, RefusalCode,
    attempts::Source,
    command::{Caller, Decision},
    decide::record,
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

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningRefusal {
    /// The state of the prescriptions says no.
    State(StateRefusal),
    /// One of them can't be signed.
    Hindered(SigningHindrance),
    /// The page was open for too long.
    TimedOut,
}

impl From<StateRefusal> for SigningRefusal {
    fn from(refusal: StateRefusal) -> Self {
        Self::State(refusal)
    }
}

impl RefusalCode for SigningRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::State(refusal) => refusal.code(),
            Self::Hindered(hindrance) => hindrance.code(),
            Self::TimedOut => "signing_timed_out",
        }
    }
}

/// How many prescriptions were signed, or why none.
pub type Signing = Answer<usize, SigningRefusal>;

/// Who signs, and by what way they came.
pub(crate) struct Signer {
    pub(crate) person: PersonId,
    pub(crate) practice: PracticeId,
    pub(crate) source: Source,
    pub(crate) command: Command,
    pub(crate) caller: Caller,
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
        let (command, caller) = (commands::SIGN_PRESCRIPTIONS, chart.caller());
        let signer = Signer { person, practice: chart.practice, source, command, caller };
        self.sign_as(signer, which, form, at).await
    }

    /// Signs for a practitioner whose factors the form holds.
    pub(crate) async fn sign_as(
        &self,
        signer: Signer,
        which: Which,
        form: SigningForm,
        at: At,
    ) -> Result<Signing, Error> {
        let Signer { person, practice, source, command, caller } = signer;
        let attempt = self.attempt_passphrase(person, form.passphrase, &source).await?;
        let ground = self.ground(at.now);
        let (shown_at, shown, confirm) = (form.shown_at, form.digest, form.confirm);
        let origin = self.options.public_url.clone();
        let signing = self.run(command, caller, at, move |cx| {
            cx.event.actor = Actor::Person(person);
            cx.event = cx.event.clone().about(practice, person);
            let policy = cx.policy;
            let (account, tx) = cx.account_of(person)?;
            if let Err(refusal) = attempt.recheck_under_lock(tx, person)? {
                return Ok(Decision::NotConfirmed(refusal));
            }
            let Some(set) = signing_set(tx, person, practice, &which, &ground)? else {
                return Ok(Decision::Refused(StateRefusal::NotReady.into()));
            };
            // Before the passcode is looked at: what can't be signed costs none.
            if let Some(refusal) = refusal(&set, &which, shown_at, shown, at.now)? {
                return Ok(Decision::Refused(refusal));
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
            let passcode = passcode_event(&outcome, person, practice, chosen, Purpose::Sign, at);
            record(tx, &account.noted_browser(passcode, at), at.now)?;
            let token = match proved {
                Ok(token) => token,
                Err(refusal) => return Ok(Decision::NotConfirmed(refusal)),
            };
            let binding = token.binding(&code);
            let key = tx.signing_key(practice, at.now)?;
            for row in &set.rows {
                sign_one(tx, &set, row.clone(), (&token, binding), &key, at.now)?;
            }
            // One record for each; the last is the event of the command.
            let mut signed = set.rows.iter().map(|row| row.id.to_string());
            let last = signed.next_back().unwrap_or_default();
            for id in signed {
                let event = cx.event.clone().detail(&id);
                cx.tx.append(&event, at.now)?;
            }
            cx.detail(&last);
            Ok(Decision::Done(set.rows.len()))
        });
        let signing = signing.await;
        self.signed.notify_one();
        signing
    }
}

/// Why this set is not signed, as it was shown, where it is not.
fn refusal(
    set: &SigningSet,
    which: &Which,
    shown_at: i64,
    shown: [u8; 32],
    now: Timestamp,
) -> Result<Option<SigningRefusal>, countersign_store::Error> {
    let open = Timestamp::from_micros(shown_at).seconds_until(now);
    if !(0..SIGNING_SECONDS).contains(&open) {
        return Ok(Some(SigningRefusal::TimedOut));
    }
    let not_ready = SigningRefusal::State(StateRefusal::NotReady);
    if set.rows.is_empty() {
        // What was shown and can't be signed any more says why. Anything else was changed, or signed already.
        let why = set.hindrance_of(shown_at, shown).map_err(not_canonical)?;
        return Ok(Some(why.map_or(not_ready, SigningRefusal::Hindered)));
    }
    // All that was asked for, or none of it.
    let named = match which {
        Which::Patient(_) => false,
        Which::These(ids) if set.rows.len() != ids.len() => return Ok(Some(not_ready)),
        Which::These(_) => true,
    };
    if !set.is_of_one_patient() {
        return Ok(Some(StateRefusal::TwoPatients.into()));
    }
    if set.digest(shown_at).map_err(not_canonical)? != shown {
        return Ok(Some(StateRefusal::Changed.into()));
    }
    let hindered = set.hindrances.first().filter(|_| named);
    Ok(hindered.map(|(_, hindrance)| SigningRefusal::Hindered(*hindrance)))
}
