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
    CredentialId, EventKind, Npi, PersonId, PracticeId, PrescriptionId, Refusal, SigningRequestId,
    command::commands,
    otp::OneTimePasscode,
    prescription::{Patient, Prescription, State},
};
use countersign_store::{SigningRequest, Tx};

use super::{
    Answer, App, At, Chosen, Confirm, Error, OneRx, RefusalCode, Signing, SigningForm, SigningSet,
    attempts::Source,
    command::{self, Decision},
    prescriptions::{Practitioner, Signer, Which, prescribers, signing_set},
    to_completion::to_completion,
};

pub use clients::{ACCESS_SECONDS, Caller, SCOPES};
pub use reading::{Written, Wrong};
use reading::{contents_of, judged, make_series, put_down};

/// How long an idempotency key is remembered, in seconds: a day.
const REMEMBERED_SECONDS: i64 = 86_400;

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

/// Why a request is not put down.
#[derive(Debug)]
pub enum RequestRefusal {
    /// It was, at an earlier try with the same key.
    Before(SigningRequestId),
    /// The key was used for another request.
    KeyReused,
    /// Something is wrong with it.
    Wrong(Vec<Wrong>),
}

impl RefusalCode for RequestRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Before(_) => Refusal::NoChange.code(),
            Self::KeyReused => "idempotency_key_reused",
            Self::Wrong(wrong) => wrong.iter().find_map(|it| it.code).unwrap_or("request_wrong"),
        }
    }
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
    ) -> Result<Answer<SigningRequestId, RequestRefusal>, Error> {
        let key = caller.0.key;
        let (ground, pharmacies) = (self.ground(at.now), self.options.pharmacies.clone());
        let caller = command::Caller::Api(key);
        self.run(commands::REQUEST_SIGNING, caller, at, move |cx| {
            let tx = &mut *cx.tx;
            let wrong = |wrong| Ok(Decision::Refused(RequestRefusal::Wrong(wrong)));
            let key_hash = sha256(request.key.as_bytes());
            if let Some((digest, id)) = tx.api_answer(key.id, &key_hash)? {
                let same = digest == request.digest;
                let before = RequestRefusal::Before(id);
                return Ok(Decision::Refused(if same {
                    before
                } else {
                    RequestRefusal::KeyReused
                }));
            }
            let person = prescriber(tx, key.practice, request.npi)?;
            let practitioner = match &person {
                Some((id, _)) => Practitioner::of(tx, *id, key.practice, at.now)?,
                None => None,
            };
            let (Some((person, _)), Some(practitioner)) = (person, practitioner) else {
                let text = "No prescriber in the practice has this NPI.".to_owned();
                return wrong(vec![Wrong::of(None, "prescriber", text)]);
            };
            cx.event.prescriber = Some(person);
            let mut contents = match contents_of(&request, &practitioner, &ground, &pharmacies) {
                Ok(contents) => contents,
                Err(found) => return wrong(found),
            };
            let mut ids = Vec::new();
            for _ in &contents {
                ids.push(PrescriptionId::new(at.now, tx.rng())?);
            }
            let words: Vec<&str> =
                request.prescriptions.iter().map(|it| it.series.trim()).collect();
            make_series(&words, &ids, &mut contents);
            let found = judged(tx, &practitioner, &ground, &contents)?;
            if !found.is_empty() {
                return wrong(found);
            }
            let (written, mut last) = (cx.event_of(EventKind::PrescriptionWritten), None);
            for (id, content) in ids.iter().zip(contents) {
                // One record for each that is ready; the last is the event of the command.
                if let Some(before) = last.replace(*id) {
                    let ready = cx.event.clone().detail(&before.to_string());
                    cx.tx.append(&ready, at.now)?;
                }
                let rules = practitioner.rules(&ground, content.dea);
                let mut it = Prescription { prescriber: person, content, state: State::Draft };
                it.mark_ready(person, &rules, at.now)
                    .map_err(|_| Tx::broken("what lacks nothing is not ready"))?;
                put_down(cx.tx, key.practice, *id, it, at)?;
                cx.tx.append(&written.clone().detail(&id.to_string()), at.now)?;
            }
            if let Some(last) = last {
                cx.detail(&last.to_string());
            }
            let id = SigningRequestId::new(at.now, cx.tx.rng())?;
            let row = SigningRequest { id, key, prescriber: person, prescriptions: ids };
            cx.tx.create_signing_request(&row, at.now)?;
            let until = at.now.plus_seconds(REMEMBERED_SECONDS);
            cx.tx.keep_api_answer(key.id, (&key_hash, &request.digest), id, until)?;
            Ok(Decision::Done(id))
        })
        .await
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
            let (command, caller) = (commands::SIGN_REQUEST, command::Caller::Api(key));
            let practice = key.practice;
            app.sign_as(Signer { person, practice, source, command, caller }, which, form, at).await
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
