//! What an EHR with screens of its own may ask: who can sign, to have prescriptions signed, what became of them.
//!
//! Such a system proves itself with a key of its own (RFC 7523, RFC 6749 section 4.4) and acts in one practice.
//! It shows the prescriptions and the statement of the law, and hands over what the practitioner typed; both
//! factors are checked here, bound to the digest of what it was given to show.

mod clients;
mod reading;

use std::sync::Arc;

use countersign_crypto::{SecretText, sha256};
use countersign_domain::{
    CredentialId, Npi, PersonId, PracticeId, PrescriptionId, Refusal, SigningRequestId,
    otp::OneTimePasscode,
    prescription::{Content, Patient, Prescription, State},
};
use countersign_store::{SigningRequest, Tx};

use super::{
    App, At, Chosen, Confirm, Error, OneRx, Signing, SigningForm, SigningSet,
    attempts::Source,
    prescriptions::{Practitioner, Which, prescribers, signing_set},
    to_completion::to_completion,
};

pub use clients::{ACCESS_SECONDS, Caller, SCOPES};
pub use reading::{Written, Wrong};
use reading::{make_series, put_down, read};

/// How long an idempotency key is remembered, in seconds: a day.
const REMEMBERED_SECONDS: i64 = 86_400;
/// Most prescriptions of one request.
const MOST_PRESCRIPTIONS: usize = 20;

/// What is asked to be signed.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// By whom.
    pub npi: Npi,
    /// For whom.
    pub patient: Patient,
    /// What.
    pub prescriptions: Vec<Written>,
    /// SHA-256 of the request as it came.
    pub digest: [u8; 32],
    /// The idempotency key.
    pub key: String,
}

/// What became of a new request.
#[derive(Debug)]
pub enum Created {
    /// It is there, now or since an earlier try with the same key.
    There(SigningRequestId),
    /// The key was used for another request.
    KeyReused,
    /// Something is wrong with it.
    Wrong(Vec<Wrong>),
}

/// A signing request as its system sees it.
pub struct RequestView {
    /// Which.
    pub id: SigningRequestId,
    /// What can be signed now, with what stands in the way.
    pub set: SigningSet,
    /// Every prescription of it, with its state and record.
    pub prescriptions: Vec<OneRx>,
    /// When this view was made: what the digest is bound to.
    pub shown_at: i64,
}

/// A prescriber as a system sees them.
pub struct Known {
    /// Name.
    pub name: String,
    /// Credential ID without its middle, name of the token, whether it can sign.
    pub tokens: Vec<(String, String, bool)>,
    /// DEA numbers under which they may prescribe now, as they stand on a prescription: number, state, schedules.
    pub numbers: Vec<(String, String, String)>,
}

impl App {
    /// A prescriber of the practice.
    pub async fn known_prescriber(
        &self,
        caller: &Caller,
        npi: Npi,
        at: At,
    ) -> Result<Known, Error> {
        let practice = caller.0.key.practice;
        let found = self
            .store
            .read("known_prescriber", move |tx| {
                let Some(person) = prescriber(tx, practice, npi)? else { return Ok(None) };
                let tokens = tx
                    .tokens_of(person.0)?
                    .into_iter()
                    .map(|row| row.token)
                    .filter(countersign_domain::Token::is_active)
                    .map(|token| {
                        let signs = token.activated().is_some();
                        (token.credential().masked(), token.name().to_string(), signs)
                    })
                    .collect();
                let practitioner = Practitioner::of(tx, person.0, practice, at.now)?;
                let numbers = practitioner
                    .map(|it| it.numbers())
                    .unwrap_or_default()
                    .into_iter()
                    .map(|it| {
                        let (state, schedules) = (
                            it.registration.state.as_text(),
                            it.registration.schedules.to_string(),
                        );
                        (it.written(), state, schedules)
                    })
                    .collect();
                Ok(Some(Known { name: person.1, tokens, numbers }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// Puts down what a system wants to be signed: all of it, or nothing. The same key and the same request
    /// are the same signing request.
    pub async fn request_signing(
        &self,
        caller: &Caller,
        request: NewRequest,
        at: At,
    ) -> Result<Created, Error> {
        let key = caller.0.key;
        let (ground, pharmacies) = (self.ground(at.now), self.options.pharmacies.clone());
        let done = self
            .store
            .write("request_signing", move |tx| {
                let key_hash = sha256(request.key.as_bytes());
                if let Some((digest, id)) = tx.api_answer(key.id, &key_hash)? {
                    let same = digest == request.digest;
                    return Ok(if same { Created::There(id) } else { Created::KeyReused });
                }
                let person = prescriber(tx, key.practice, request.npi)?;
                let practitioner = match &person {
                    Some((id, _)) => Practitioner::of(tx, *id, key.practice, at.now)?,
                    None => None,
                };
                let (Some((person, _)), Some(practitioner)) = (person, practitioner) else {
                    let text = "No prescriber in the practice has this NPI.".to_owned();
                    return Ok(Created::Wrong(vec![Wrong::of(None, "prescriber", text)]));
                };
                let mut wrong = Vec::new();
                if !(1..=MOST_PRESCRIPTIONS).contains(&request.prescriptions.len()) {
                    let text = format!("Send 1 to {MOST_PRESCRIPTIONS} prescriptions.");
                    wrong.push(Wrong::of(None, "prescriptions", text));
                }
                let mut contents = Vec::new();
                for (at, written) in request.prescriptions.iter().enumerate() {
                    let read = read(written, &request.patient, &practitioner, &ground, &pharmacies);
                    match read {
                        Ok(content) => contents.push(content),
                        Err(found) => wrong.extend(
                            found.into_iter().map(|(field, text)| Wrong::of(Some(at), field, text)),
                        ),
                    }
                }
                if !wrong.is_empty() {
                    return Ok(Created::Wrong(wrong));
                }
                let mut ids = Vec::new();
                for _ in &contents {
                    ids.push(PrescriptionId::new(at.now, tx.rng())?);
                }
                let words: Vec<&str> =
                    request.prescriptions.iter().map(|it| it.series.trim()).collect();
                make_series(&words, &ids, &mut contents);
                for (at, content) in contents.iter().enumerate() {
                    // The practitioner has marked each one ready elsewhere: it is judged as if it were marked here.
                    let series: Vec<&Content> = contents
                        .iter()
                        .filter(|it| {
                            let id = |it: &Content| it.series.map(|series| series.id);
                            content.series.is_some() && id(it) == id(content)
                        })
                        .collect();
                    let judgment = practitioner.judge(tx, &ground, content, &series)?;
                    let lacks = judgment.lacks.into_iter();
                    wrong.extend(
                        lacks.map(|it| Wrong::of(Some(at), it.field, it.text.into_owned())),
                    );
                    wrong.extend(judgment.hindrances.into_iter().map(|it| Wrong {
                        prescription: Some(at),
                        field: it.field(),
                        text: it.to_string(),
                        code: Some(it.code()),
                    }));
                }
                if !wrong.is_empty() {
                    return Ok(Created::Wrong(wrong));
                }
                for (id, content) in ids.iter().zip(contents) {
                    let rules = practitioner.rules(&ground, content.dea);
                    let mut it = Prescription { prescriber: person, content, state: State::Draft };
                    it.mark_ready(person, &rules, at.now)
                        .map_err(|_| Tx::broken("what lacks nothing is not ready"))?;
                    put_down(tx, key, *id, it, at)?;
                }
                let id = SigningRequestId::new(at.now, tx.rng())?;
                let row = SigningRequest { id, key, prescriber: person, prescriptions: ids };
                tx.create_signing_request(&row, at.now)?;
                let until = at.now.plus_seconds(REMEMBERED_SECONDS);
                tx.keep_api_answer(key.id, (&key_hash, &request.digest), id, until)?;
                Ok(Created::There(id))
            })
            .await?;
        Ok(done)
    }

    /// A signing request, as it can be shown and signed now.
    pub async fn signing_request(
        &self,
        caller: &Caller,
        id: SigningRequestId,
        at: At,
    ) -> Result<RequestView, Error> {
        let (key, ground) = (caller.0.key, self.ground(at.now));
        let found = self
            .store
            .read("signing_request", move |tx| {
                let Some(request) = tx.signing_request(&key, id)? else { return Ok(None) };
                let which = Which::These(request.prescriptions.clone());
                let (person, practice) = (request.prescriber, key.practice);
                let set = signing_set(tx, person, practice, &which, &ground)?;
                let Some(set) = set else { return Ok(None) };
                let mut prescriptions = Vec::new();
                for id in request.prescriptions {
                    let Some(mut it) = one(tx, practice, id)? else { continue };
                    // As it would be signed now: what is counted from the day of issue is that of today.
                    if let Some(row) = set.rows.iter().find(|row| row.id == id) {
                        it.row = row.clone();
                    }
                    prescriptions.push(it);
                }
                let shown_at = at.now.micros();
                Ok(Some(RequestView { id, set, prescriptions, shown_at }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// Signs a request with what the practitioner typed. `credential` names the token; without it any of
    /// theirs counts.
    pub async fn sign_request(
        self: &Arc<Self>,
        caller: &Caller,
        id: SigningRequestId,
        shown: (i64, [u8; 32]),
        passphrase: SecretText,
        (credential, code): (Option<CredentialId>, OneTimePasscode),
        at: At,
    ) -> Result<Signing, Error> {
        let key = caller.0.key;
        let found = self
            .store
            .read("signing_request", move |tx| {
                let Some(request) = tx.signing_request(&key, id)? else { return Ok(None) };
                let tokens = tx.tokens_of(request.prescriber)?;
                let chosen = match &credential {
                    None => Some(Chosen::Any),
                    Some(wanted) => tokens
                        .iter()
                        .find(|row| row.token.credential() == wanted)
                        .map(|row| Chosen::Token(row.token.id())),
                };
                Ok(Some((request, chosen)))
            })
            .await?;
        let Some((request, chosen)) = found else { return Err(Error::NotFound) };
        let Some(chosen) = chosen else {
            return Ok(Signing::NotConfirmed(Refusal::TokenNotActive));
        };
        let form = SigningForm {
            shown_at: shown.0,
            digest: shown.1,
            passphrase,
            confirm: Confirm { chosen, code },
        };
        let which = Which::These(request.prescriptions);
        let (app, person) = (Arc::clone(self), request.prescriber);
        let source = Source::ApiClient { person, key: key.id };
        // Runs to its end even if the client leaves.
        to_completion("sign_request", at, async move {
            app.sign_as(person, key.practice, None, &source, which, form, at).await
        })
        .await
    }

    /// A prescription of the practice: how far it is, and its record.
    pub async fn receipt(&self, caller: &Caller, id: PrescriptionId) -> Result<OneRx, Error> {
        let practice = caller.0.key.practice;
        let found = self.store.read("receipt", move |tx| one(tx, practice, id)).await?;
        found.ok_or(Error::NotFound)
    }
}

fn one(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    id: PrescriptionId,
) -> Result<Option<OneRx>, countersign_store::Error> {
    let Some(row) = tx.prescription(practice, id)? else { return Ok(None) };
    OneRx::of(tx, row).map(Some)
}

/// Whoever has this NPI and prescribes in the practice: who, and their name.
fn prescriber(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    npi: Npi,
) -> Result<Option<(PersonId, String)>, countersign_store::Error> {
    let Some(person) = tx.person_by_name(&npi.into())? else { return Ok(None) };
    Ok(prescribers(tx, practice)?.into_iter().find(|(id, _)| *id == person.id))
}
