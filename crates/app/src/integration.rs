//! What an EHR with screens of its own may ask: who can sign, to have prescriptions signed, what became of them.
//!
//! Such a system proves itself with a key of its own (RFC 7523, RFC 6749 section 4.4) and acts in one practice.
//! It shows the prescriptions and the statement of the law, and hands over what the practitioner typed; both
//! factors are checked here, bound to the digest of what it was given to show.

use std::sync::Arc;

use countersign_crypto::{SecretText, VerifyingKey, random_array, sha256};
use countersign_domain::{
    Actor, ApiKeyId, CredentialId, Date, DeaNumber, Event, EventKind, Npi, PersonId, PracticeId,
    PrescriptionId, Refusal, Schedule, SigningRequestId, Timestamp, check_line,
    otp::OneTimePasscode,
    prescription::{
        Content, Patient, Pharmacy, Prescription, Quantity, Series, State, Supervisor, longest,
        number_series,
    },
    read_dea,
};
use countersign_protocol::validity::{has_begun, if_there};
use countersign_store::{Access, ApiClient, ApiKey, PrescriptionRow, SigningRequest, Tx};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{
    App, At, Chosen, Confirm, Error, OneRx, Signing, SigningForm, SigningSet,
    attempts::Source,
    prescriptions::{Ground, Practitioner, Which, prescribers, signing_set},
    to_completion::to_completion,
};

/// What a system may be allowed to do.
pub const SCOPES: [&str; 3] = ["prescribers.read", "signing", "receipts.read"];
/// How long an access token works, in seconds.
pub const ACCESS_SECONDS: i64 = 300;
/// Longest life of an assertion, in seconds.
const ASSERTION_SECONDS: i64 = 300;
/// How far a system's clock may be off, in seconds.
const SKEW_SECONDS: i64 = 30;
/// How long an idempotency key is remembered, in seconds: a day.
const REMEMBERED_SECONDS: i64 = 86_400;
/// Most prescriptions of one request.
const MOST_PRESCRIPTIONS: usize = 20;

/// Who asks, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller(Access);

impl Caller {
    /// Whether they may do this.
    pub fn may(&self, scope: &str) -> bool {
        self.0.scopes.split(' ').any(|it| it == scope)
    }
}

/// A prescription as a system writes it; texts as they were sent.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Drug.
    pub drug: String,
    /// Strength.
    pub strength: String,
    /// Form.
    pub form: String,
    /// Schedule: 2, 2N, 3, 3N, 4, 5; empty where the table knows the drug.
    pub schedule: String,
    /// Quantity.
    pub quantity: String,
    /// Of what.
    pub unit: String,
    /// Directions for use.
    pub directions: String,
    /// For how many days it lasts; 0 where it is not said.
    pub days_supply: u16,
    /// Refills.
    pub refills: u8,
    /// Earliest fill date; empty for none.
    pub earliest_fill: String,
    /// The same word for all of a series in the request; empty for none.
    pub series: String,
    /// Name of the supervisor; empty for none.
    pub supervisor: String,
    /// DEA number of the supervisor; empty for none.
    pub supervisor_dea: String,
    /// A word to the pharmacist.
    pub note: String,
    /// NCPDP number of the pharmacy.
    pub pharmacy: String,
    /// DEA number, an institution's with or without the internal code.
    pub dea: String,
    /// The practitioner has marked it ready (21 CFR 1311.120(b)(10)).
    pub ready: bool,
}

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

/// Something that is wrong with a request: which prescription, which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Which prescription, from 0; none where it is none of them.
    pub prescription: Option<usize>,
    /// Which field.
    pub field: &'static str,
    /// What to do.
    pub text: String,
    /// Stable code, where it is no fault of the request: the prescription could not be signed now.
    pub code: Option<&'static str>,
}

impl Wrong {
    const fn of(prescription: Option<usize>, field: &'static str, text: String) -> Self {
        Self { prescription, field, text, code: None }
    }
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

#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default, deserialize_with = "if_there")]
    nbf: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Reads the client of an assertion before anything is checked.
fn client_of(assertion: &str) -> Option<ApiKeyId> {
    let payload = assertion.split('.').nth(1)?;
    let said: Assertion =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?).ok()?;
    said.iss.parse().ok()
}

/// Checks an assertion (RFC 7523, section 3): its ID and until when that must be remembered.
fn check(
    assertion: &str,
    client: &ApiClient,
    audience: &str,
    now: Timestamp,
) -> Option<([u8; 32], Timestamp)> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
        #[serde(default)]
        crit: Option<serde_json::Value>,
    }
    let (message, signature) = assertion.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    let bytes = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
    let header: Header = serde_json::from_slice(&bytes(header)?).ok()?;
    if header.alg != "ES256" || header.crit.is_some() {
        return None;
    }
    let key = VerifyingKey::from_point(&client.public).ok()?;
    key.verify(message.as_bytes(), &bytes(signature)?).ok()?;
    let said: Assertion = serde_json::from_slice(&bytes(payload)?).ok()?;
    let id = client.key.id.to_string();
    let for_us = match &said.aud {
        Audience::One(one) => one == audience,
        Audience::Several(all) => matches!(all.as_slice(), [one] if one == audience),
    };
    let begun = has_begun(said.iat, said.nbf, now, SKEW_SECONDS);
    let (now, exp) = (now.seconds(), said.exp);
    let in_time = now < exp && exp <= now + ASSERTION_SECONDS + SKEW_SECONDS && begun;
    let named = (16..=128).contains(&said.jti.len());
    if said.iss != id || said.sub != id || !for_us || !in_time || !named {
        return None;
    }
    let once = [client.key.id.as_bytes().as_slice(), said.jti.as_bytes()].concat();
    Some((sha256(&once), Timestamp::from_seconds(exp)))
}

impl App {
    /// Registers a system of a practice by its public key; its ID.
    pub async fn create_api_client(
        &self,
        practice: PracticeId,
        name: String,
        public: Vec<u8>,
        scopes: String,
        at: At,
    ) -> Result<ApiKeyId, Error> {
        // Nobody knows what this is the digest of: there is no text that would open anything.
        let nobody: [u8; 32] = random_array((self.rng)().as_mut())?;
        let made = self
            .store
            .write("create_api_client", move |tx| {
                let key = ApiKey { id: ApiKeyId::new(at.now, tx.rng())?, practice };
                tx.create_api_key(&key, &name, &nobody, at.now)?;
                let (public, scopes) = (public.clone(), scopes.clone());
                tx.create_api_client(&ApiClient { key, public, scopes })?;
                let mut event =
                    Event::success(EventKind::ApiKeyCreated, Actor::Operator, at.support)
                        .detail(&name);
                event.practice = Some(practice);
                tx.append(&event, at.now)?;
                Ok(key.id)
            })
            .await?;
        Ok(made)
    }

    /// Where systems get their tokens; what their assertions are for.
    pub fn token_address(&self) -> String {
        format!("{}/api/v1/token", self.options.public_url)
    }

    /// Gives a token for an assertion, with the scopes that were asked for and are allowed: all of them, where
    /// none was asked for. Nothing where the assertion does not hold.
    pub async fn grant_access(
        &self,
        assertion: String,
        wanted: String,
        at: At,
    ) -> Result<Option<(SecretText, String)>, Error> {
        let audience = self.token_address();
        let bytes: [u8; 32] = random_array((self.rng)().as_mut())?;
        let text = BASE64URL_NOPAD.encode(&bytes);
        let hash = sha256(text.as_bytes());
        // Looked at before anything is written: who has no key costs no transaction.
        let Some(id) = client_of(&assertion) else { return Ok(None) };
        let client = self.store.read("api_client", move |tx| tx.api_client(id)).await?;
        let Some(client) = client else { return Ok(None) };
        let Some((once, until)) = check(&assertion, &client, &audience, at.now) else {
            return Ok(None);
        };
        let allowed: Vec<&str> = client.scopes.split(' ').collect();
        let scopes: Vec<&str> = match wanted.trim() {
            "" => allowed,
            wanted => wanted.split(' ').filter(|it| allowed.contains(it)).collect(),
        };
        let access = Access { key: client.key, scopes: scopes.join(" ") };
        let granted = self
            .store
            .write("grant_access", move |tx| {
                // Revoked meanwhile, or used before.
                if tx.api_client(id)?.is_none() || !tx.use_launch(&once, until)? {
                    return Ok(None);
                }
                tx.create_access(&hash, &access, at.now.plus_seconds(ACCESS_SECONDS))?;
                Ok(Some(access.scopes.clone()))
            })
            .await?;
        Ok(granted.map(|scopes| (SecretText::new(text), scopes)))
    }

    /// Who has this token.
    pub async fn caller(&self, token: &str, at: At) -> Result<Option<Caller>, Error> {
        let hash = sha256(token.as_bytes());
        let found = self.store.read("access", move |tx| tx.access(&hash, at.now)).await?;
        Ok(found.map(Caller))
    }

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
                        let signs = token.activated.is_some();
                        (token.credential.masked(), token.name.to_string(), signs)
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
                    let text = "Nobody with this NPI prescribes in the practice.".to_owned();
                    return Ok(Created::Wrong(vec![Wrong::of(None, "prescriber", text)]));
                };
                let mut wrong = Vec::new();
                if !(1..=MOST_PRESCRIPTIONS).contains(&request.prescriptions.len()) {
                    let text = format!("Send from 1 to {MOST_PRESCRIPTIONS} prescriptions.");
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
                        .find(|row| row.token.credential == *wanted)
                        .map(|row| Chosen::Token(row.token.id)),
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

/// Makes a series of each set of prescriptions that have the same word; its first one names it.
fn make_series(words: &[&str], ids: &[PrescriptionId], contents: &mut [Content]) {
    let mut begun: Vec<(&str, PrescriptionId)> = Vec::new();
    for ((word, id), content) in words.iter().zip(ids).zip(contents.iter_mut()) {
        if word.is_empty() {
            continue;
        }
        let known = begun.iter().find(|(known, _)| known == word).map(|(_, id)| *id);
        if known.is_none() {
            begun.push((word, *id));
        }
        content.series = Some(Series { id: known.unwrap_or(*id), number: 0, of: 0 });
    }
    for (_, id) in begun {
        let mut all: Vec<&mut Content> = contents
            .iter_mut()
            .filter(|it| it.series.is_some_and(|series| series.id == id))
            .collect();
        number_series(&mut all);
    }
}

/// One prescription of a request; what can't be read of it, field by field.
fn read(
    it: &Written,
    patient: &Patient,
    practitioner: &Practitioner,
    ground: &Ground,
    pharmacies: &[Pharmacy],
) -> Result<Content, Vec<(&'static str, String)>> {
    let mut wrong: Vec<(&'static str, String)> = Vec::new();
    let mut tell = |field, text: &str| wrong.push((field, text.to_owned()));
    let dea = read_dea(&it.dea);
    let number = dea.as_ref().ok().map(|(number, _)| *number);
    let rules = practitioner.rules(ground, number);
    let listed = rules.drugs.schedule_of(&it.drug, rules.state);
    let chosen = Schedule::ALL.into_iter().find(|known| known.code() == it.schedule);
    if !it.schedule.is_empty() && chosen.is_none() {
        tell("schedule", "Send 2, 2N, 3, 3N, 4 or 5.");
    }
    if let Some(text) = chosen.and_then(|chosen| rules.wrong_schedule(&it.drug, chosen)) {
        tell("schedule", &text);
    }
    let quantity = it.quantity.parse::<Quantity>();
    if let Err(error) = &quantity {
        tell("quantity", &error.to_string());
    }
    let earliest_fill = match it.earliest_fill.as_str() {
        "" => None,
        text => match text.parse::<Date>() {
            Ok(day) => Some(day),
            Err(error) => {
                tell("earliest_fill", &error.to_string());
                None
            }
        },
    };
    if let Err(error) = &dea {
        tell("dea", &error.to_string());
    }
    let supervisor_dea = match it.supervisor_dea.as_str() {
        "" => None,
        text => match text.parse::<DeaNumber>() {
            Ok(number) => Some(number),
            Err(error) => {
                tell("supervisor_dea", &error.to_string());
                None
            }
        },
    };
    let pharmacy = pharmacies.iter().find(|known| known.ncpdp == it.pharmacy).cloned();
    if pharmacy.is_none() {
        tell("pharmacy", "Send the NCPDP number of a pharmacy that is set up here.");
    }
    if !it.ready {
        tell(
            "ready",
            "The practitioner must mark each prescription ready (21 CFR 1311.120(b)(10)).",
        );
    }
    let lines = [
        (&it.drug, "drug"),
        (&it.strength, "strength"),
        (&it.form, "form"),
        (&it.unit, "unit"),
        (&it.directions, "directions"),
        (&it.note, "note"),
        (&it.supervisor, "supervisor"),
    ];
    for (text, field) in lines {
        // Never cut: what is signed is what was sent.
        if let Err(error) = check_line(text.trim(), longest(field)) {
            tell(field, &error.to_string());
        }
    }
    let (Ok(quantity), Ok((dea, code)), true) = (quantity, dea, wrong.is_empty()) else {
        return Err(wrong);
    };
    let (name, supervised) = (it.supervisor.trim(), supervisor_dea.is_some());
    let mut content = Content {
        patient: patient.clone(),
        drug: it.drug.trim().to_owned(),
        strength: it.strength.trim().to_owned(),
        form: it.form.trim().to_owned(),
        schedule: chosen.or(listed),
        quantity: Some(quantity),
        unit: it.unit.trim().to_owned(),
        directions: it.directions.trim().to_owned(),
        days_supply: Some(it.days_supply).filter(|days| *days > 0),
        refills: it.refills,
        earliest_fill,
        last_fill: None,
        series: None,
        note: it.note.trim().to_owned(),
        pharmacy,
        dea: Some(dea),
        internal_code: None,
        supervisor: (supervised || !name.is_empty())
            .then(|| Supervisor { name: name.to_owned(), dea: supervisor_dea }),
    };
    practitioner.complete(&mut content);
    content.last_fill = content.last_fill_day(&rules);
    if code.is_some() && code != content.internal_code {
        return Err(vec![("dea", "This is not the prescriber's internal code.".to_owned())]);
    }
    Ok(content)
}

/// Puts one down that the practitioner has marked ready on the system's screen.
fn put_down(
    tx: &mut Tx<'_>,
    key: ApiKey,
    id: PrescriptionId,
    it: Prescription,
    at: At,
) -> Result<(), countersign_store::Error> {
    let (practice, person) = (key.practice, it.prescriber);
    let by = "the EHR".to_owned();
    let row = PrescriptionRow { id, practice, it, created: at.now, changed: at.now, by };
    tx.create_prescription(&row)?;
    for kind in [EventKind::PrescriptionWritten, EventKind::PrescriptionReady] {
        let event = Event::success(kind, Actor::ApiKey(key.id), at.support)
            .about(practice, person)
            .detail(&id.to_string());
        tx.append(&event, at.now)?;
    }
    Ok(())
}
