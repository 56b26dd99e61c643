//! Prescriptions: drafted by whoever the EHR sends, marked ready and signed by the practitioner alone.
//!
//! What signs is passphrase and passcode, given while all of it is shown, and bound to the digest of what
//! was shown (21 CFR 1311.140). The application then signs the record in the same transaction in which the
//! prescription becomes signed, its archive copy is written and the event appended: all or nothing.

use std::sync::{Arc, PoisonError};

use countersign_crypto::{SecretText, SigningKey};
use countersign_domain::{
    Actor, CredentialId, Date, DeaNumber, DeaRegistration, DeviceClass, Event, EventKind, Outcome,
    PersonId, PracticeId, PrescriptionId, Purpose, Refusal, Role, SessionRowId, Timestamp, Token,
    UsState,
    canonical::{CanonicalError, Json},
    ocra::{self, Binding, Challenge},
    prescription::{
        Content, Patient, Prescription, SIGNING_SECONDS, SIGNING_STATEMENT, State, StateRefusal,
    },
};
use countersign_store::{
    Authority, Identity, Paper, Person, PrescriptionRow, PublicKey, Session, SignedRecord,
    Transmission, Tx,
};

use super::{
    App, At, Build, Confirm, Error, certification, record as append_with_owner,
    sign_in::{passcode_event, verify},
    to_completion::to_completion,
};
use crate::record;

/// What a signed record calls itself.
pub const RECORD_FORMAT: &str = "countersign-prescription/1";

/// How far the clock may be off, in seconds: five minutes (21 CFR 1311.120(b)(8)).
const MOST_OFFSET_SECONDS: i64 = 300;
/// How long a measurement of the clock counts, in seconds.
const MEASURED_SECONDS: i64 = 3_600;

/// The chart from which somebody came: no other patient can be written for in that session.
#[derive(Clone)]
pub struct Chart {
    /// Who the EHR said it is.
    pub who: Identity,
    /// The practice.
    pub practice: PracticeId,
    /// The patient.
    pub patient: countersign_store::Patient,
}

/// What the page of a chart shows.
#[derive(Clone)]
pub struct Sheet {
    /// The patient's prescriptions, newest first.
    pub rows: Vec<PrescriptionRow>,
    /// Those who prescribe here: who, and their name.
    pub prescribers: Vec<(PersonId, String)>,
    /// The DEA numbers under which the prescriber who looks could sign; nothing for staff.
    pub numbers: Vec<DeaRegistration>,
    /// The patient's address, as it was last written.
    pub address: String,
    /// Today where the practice is.
    pub today: Date,
}

/// One prescription, and what became of it.
#[derive(Clone)]
pub struct OneRx {
    /// The prescription.
    pub row: PrescriptionRow,
    /// Its signed record.
    pub signed: Option<SignedRecord>,
    /// Its way to the pharmacy.
    pub way: Option<Transmission>,
    /// When its practitioner said that it is not theirs.
    pub disowned: Option<Timestamp>,
}

impl OneRx {
    pub(super) fn of(
        tx: &mut Tx<'_>,
        row: PrescriptionRow,
    ) -> Result<Self, countersign_store::Error> {
        let signed = tx.signed_record(row.practice, row.id)?;
        let way = tx.transmission(row.id)?;
        let disowned = tx.disowned(row.id)?;
        Ok(Self { row, signed, way, disowned })
    }
}

/// What is written into a form.
#[derive(Debug, Clone)]
pub struct Draft {
    /// In whose name.
    pub prescriber: PersonId,
    /// What it says; patient and chart are the session's.
    pub content: Content,
}

/// Which prescriptions are signed together.
#[derive(Clone)]
pub(super) enum Which {
    /// All ready ones of the patient of a chart.
    Patient(countersign_store::Patient),
    /// These.
    These(Vec<PrescriptionId>),
}

/// What is to be signed together: the ready ones of one patient and one practitioner.
#[derive(Clone)]
pub struct SigningSet {
    /// The practitioner.
    pub person: Person,
    /// The address that stands on them.
    pub address: String,
    /// The practice.
    pub practice: String,
    /// The date that stands on them.
    pub today: Date,
    /// The prescriptions, oldest first.
    pub rows: Vec<PrescriptionRow>,
    /// What keeps one of them from being signed: which, and why.
    pub hindrances: Vec<(PrescriptionId, SigningHindrance)>,
    /// In which states the DEA numbers are registered under which the practitioner could sign.
    pub states: Vec<(DeaNumber, UsState)>,
}

/// Why one of them can't be signed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningHindrance {
    /// Something is missing, or was right on another day only.
    #[error("Something is missing. Open it and look at the marked fields.")]
    Lacking,
    /// Registration or licence does not hold.
    #[error("The registration, or the licence of its state, is not in force.")]
    NotInForce,
    /// The registration does not cover the schedule.
    #[error("This registration does not cover the schedule.")]
    Schedule,
    /// Access control says no.
    #[error("You have no permission to sign under this DEA number.")]
    NotPermitted,
    /// Nothing could be sent.
    #[error(
        "No way to the pharmacies is set up here, so nothing can be signed. Tell your support."
    )]
    NoGateway,
    /// Nobody certified this build (21 CFR 1311.300; question A18).
    #[error(
        "This build of the program is not a certified one, so nothing can be signed. Tell your support."
    )]
    Build,
    /// This build no longer meets the requirements (21 CFR 1311.102(g)-(i)).
    #[error(
        "Notice was given that this version of the program no longer meets the requirements (21 CFR 1311.102(g)), so nothing can be signed until a newer, certified version is installed."
    )]
    Noncompliant,
    /// The report that the release manifest names is not there (21 CFR 1311.300).
    #[error(
        "The audit or certification report of this program is not on file here, so nothing can be signed. Tell your support."
    )]
    NoReport,
    /// The report holds no longer.
    #[error(
        "The audit or certification report of this program has expired, so nothing can be signed. Tell your support."
    )]
    ReportExpired,
    /// Nobody has acknowledged the report for the practice.
    #[error(
        "Your practice has not acknowledged the audit or certification report of this version. A person who sets access control does that in the console, under Certification."
    )]
    ReportNotAcknowledged,
    /// The practitioner has not said that they read the report (21 CFR 1311.102(d)).
    #[error(
        "Read the audit or certification report first: Token Management, Overview, Certification."
    )]
    ReportNotReviewed,
    /// The clock may be wrong (21 CFR 1311.120(b)(8)).
    #[error(
        "The clock of the server could not be checked, or is off by more than five minutes, so nothing can be signed. Tell your support."
    )]
    Clock,
    /// The practitioner's address is not known.
    #[error(
        "Your address is not on record, and must stand on it. Add it under Token Management, Addresses."
    )]
    NoAddress,
}

impl SigningHindrance {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lacking => StateRefusal::Lacking.code(),
            Self::NotInForce => "registration_not_in_force",
            Self::Schedule => "schedule_not_registered",
            Self::NotPermitted => "not_permitted",
            Self::NoGateway => "no_gateway",
            Self::Build => "build_not_listed",
            Self::Noncompliant => "build_noncompliant",
            Self::NoReport => "report_missing",
            Self::ReportExpired => "report_expired",
            Self::ReportNotAcknowledged => "report_not_acknowledged",
            Self::ReportNotReviewed => "report_not_reviewed",
            Self::Clock => "clock_not_checked",
            Self::NoAddress => "no_address",
        }
    }
}

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

impl SigningSet {
    /// The practitioner's NPI.
    pub fn npi(&self) -> String {
        self.person.sign_in.npi().map(|npi| npi.as_text()).unwrap_or_default()
    }

    /// The digest of all that the page shows at a moment: what the two factors are bound to
    /// (21 CFR 1311.120(b)(11)).
    ///
    /// # Errors
    ///
    /// Where what is shown has no canonical form: nothing is signed then.
    pub fn digest(&self, shown_at: i64) -> Result<[u8; 32], CanonicalError> {
        self.json(shown_at).digest()
    }

    fn json(&self, shown_at: i64) -> Json {
        let items = self.rows.iter().map(|row| {
            Json::object([
                ("id", Json::from(row.id.to_string())),
                ("content", row.it.content.json()),
            ])
        });
        Json::object([
            ("statement", Json::from(SIGNING_STATEMENT)),
            ("practitioner", Json::from(self.person.id.to_string())),
            ("name", Json::from(self.person.name.as_str())),
            ("address", Json::from(self.address.as_str())),
            ("npi", Json::from(self.npi())),
            ("practice", Json::from(self.practice.as_str())),
            ("date", Json::from(self.today.to_string())),
            ("shown_at", Json::from(shown_at.to_string())),
            ("prescriptions", Json::List(items.collect())),
        ])
    }

    /// What an app of ours shows, and what its code is bound to then. The same however often the page is made: a
    /// code is good for its step alone, and once.
    ///
    /// # Errors
    ///
    /// As [`Self::digest`].
    pub fn text(&self, origin: &str) -> Result<String, CanonicalError> {
        let patient = self.rows.first().map_or("", |row| row.it.content.patient.name.as_str());
        let numbered = (1..).zip(&self.rows);
        let lines: Vec<String> =
            numbered.flat_map(|(number, row)| row.it.content.in_lines(number)).collect();
        let lines = lines.iter().map(String::as_str);
        Ok(ocra::signing_text(origin, &self.digest(0)?, &ocra::initials(patient), lines))
    }
}

/// What has no canonical form (RFC 8785) is a fault of ours: it is never signed, nor shown to be signed.
fn not_canonical(error: CanonicalError) -> countersign_store::Error {
    Tx::broken(&format!("what is to be signed has no canonical form: {error}"))
}

impl From<CanonicalError> for Error {
    fn from(error: CanonicalError) -> Self {
        Self::Internal(not_canonical(error))
    }
}

impl App {
    /// The chart of a session; a session without one has nothing to do here.
    pub fn chart(&self, session: &Session) -> Result<Chart, Error> {
        match (session.launched_as, &session.patient) {
            (Some(who), Some(patient)) => {
                Ok(Chart { who, practice: session.practice, patient: patient.clone() })
            }
            _ => Err(Error::NotFound),
        }
    }

    /// What the page of a chart shows.
    pub async fn sheet(&self, chart: &Chart, at: At) -> Result<Sheet, Error> {
        let chart = chart.clone();
        let found = self
            .store
            .read("sheet", move |tx| {
                let mut rows = tx.prescriptions(chart.practice, &chart.patient.id, 100)?;
                rows.retain(|row| is_of(&row.it.content.patient, &chart.patient));
                let prescribers = prescribers(tx, chart.practice)?;
                let numbers = match chart.who {
                    Identity::Prescriber(me) => numbers(tx, me, chart.practice, at.now)?,
                    Identity::Staff(_) => Vec::new(),
                };
                let address = rows.iter().find(|row| !row.it.content.patient.address.is_empty());
                let address = address.map(|row| row.it.content.patient.address.clone());
                // What the EHR says now comes before what was typed once.
                let address = Some(chart.patient.address.clone())
                    .filter(|address| !address.is_empty())
                    .or(address)
                    .unwrap_or_default();
                let today = today(tx, chart.practice, at.now)?;
                Ok(Sheet { rows, prescribers, numbers, address, today })
            })
            .await?;
        Ok(found)
    }

    /// Writes a draft, a new one or over an older one. Whatever was marked ready is a draft again.
    pub async fn save_draft(
        &self,
        chart: &Chart,
        id: Option<PrescriptionId>,
        draft: Draft,
        at: At,
    ) -> Result<Result<PrescriptionId, StateRefusal>, Error> {
        let chart = chart.clone();
        let done = self
            .store
            .write("save_draft", move |tx| {
                if !prescribers(tx, chart.practice)?.iter().any(|(id, _)| *id == draft.prescriber) {
                    return Ok(None);
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
                let mut event =
                    Event::success(EventKind::PrescriptionWritten, actor(&chart), at.support)
                        .about(chart.practice, prescriber);
                let (id, result) = match id {
                    None => {
                        let id = PrescriptionId::new(at.now, tx.rng())?;
                        let it = Prescription { prescriber, content, state: State::Draft };
                        let (practice, now) = (chart.practice, at.now);
                        let by = name_of(tx, &chart)?;
                        let row =
                            PrescriptionRow { id, practice, it, created: now, changed: now, by };
                        tx.create_prescription(&row)?;
                        (id, Ok(()))
                    }
                    Some(id) => {
                        let Some(mut row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                        let own = match chart.who {
                            Identity::Prescriber(me) => row.it.prescriber == me,
                            Identity::Staff(_) => row.it.prescriber == prescriber,
                        };
                        if staff {
                            content.dea = row.it.content.dea;
                        }
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
                event = event.detail(&id.to_string());
                if let Err(refusal) = &result {
                    event.outcome = Outcome::Refused;
                    event = event.reason(refusal.code());
                }
                tx.append(&event, at.now)?;
                Ok(Some(result.map(|()| id)))
            })
            .await?;
        done.ok_or(Error::NotFound)
    }

    /// One prescription of the chart.
    pub async fn prescription(&self, chart: &Chart, id: PrescriptionId) -> Result<OneRx, Error> {
        let chart = chart.clone();
        let found = self
            .store
            .read("prescription", move |tx| {
                let Some(row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                OneRx::of(tx, row).map(Some)
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// The practitioner marks one ready (21 CFR 1311.120(b)(10)).
    pub async fn mark_ready(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Result<(), StateRefusal>, Error> {
        self.change_prescription(
            EventKind::PrescriptionReady,
            chart,
            id,
            at,
            move |_, row, me, today| {
                let me = me.ok_or(StateRefusal::NotYours);
                Ok(me.and_then(|me| row.it.mark_ready(me, today, at.now)))
            },
        )
        .await
    }

    /// The practitioner lets one that could not be sent go out once more.
    pub async fn send_again(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Result<(), StateRefusal>, Error> {
        let (kind, running) = (EventKind::PrescriptionSentAgain, self.running());
        let done = self
            .change_prescription(kind, chart, id, at, move |tx, row, me, _| {
                let me = me.ok_or(StateRefusal::NotYours);
                if let Err(refusal) = me.and_then(|me| row.it.send_again(me, at.now)) {
                    return Ok(Err(refusal));
                }
                // What let it be signed must hold still: it may have failed months ago.
                let papers = papers(tx, row.practice, row.it.prescriber)?;
                let (by, content) = (row.it.prescriber, &row.it.content);
                let hindrance = match hindrance(tx, by, row.practice, &papers, content, at.now)? {
                    None => certification::hindrance(tx, &running, by, row.practice, at.now)?,
                    found => found,
                };
                Ok(hindrance.map_or(Ok(()), |_| Err(StateRefusal::NotPermitted)))
            })
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
    ) -> Result<Result<(), StateRefusal>, Error> {
        let kind = EventKind::PrescriptionPrinted;
        self.change_prescription(kind, chart, id, at, move |_, row, me, _| {
            Ok(me.ok_or(StateRefusal::NotYours).and_then(|me| row.it.print(me, at.now)))
        })
        .await
    }

    /// Puts one away that is not signed, or that could not be sent.
    pub async fn cancel_prescription(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Result<(), StateRefusal>, Error> {
        self.change_prescription(
            EventKind::PrescriptionCancelled,
            chart,
            id,
            at,
            move |_, row, me, _| Ok(row.it.cancel(me, at.now)),
        )
        .await
    }

    async fn change_prescription<F>(
        &self,
        kind: EventKind,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
        mut change: F,
    ) -> Result<Result<(), StateRefusal>, Error>
    where
        F: FnMut(
                &mut Tx<'_>,
                &mut PrescriptionRow,
                Option<PersonId>,
                Date,
            ) -> Result<Result<(), StateRefusal>, countersign_store::Error>
            + Send
            + 'static,
    {
        let chart = chart.clone();
        let done = self
            .store
            .write(kind.code(), move |tx| {
                let Some(mut row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                let (today, from) = (today(tx, chart.practice, at.now)?, row.it.state);
                let result = change(tx, &mut row, me(&chart), today)?;
                let mut event = Event::success(kind, actor(&chart), at.support)
                    .about(chart.practice, row.it.prescriber)
                    .detail(&id.to_string());
                match &result {
                    Ok(()) => {
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
                    Err(refusal) => {
                        event.outcome = Outcome::Refused;
                        event = event.reason(refusal.code());
                    }
                }
                tx.append(&event, at.now)?;
                Ok(Some(result))
            })
            .await?;
        done.ok_or(Error::NotFound)
    }

    /// What the practitioner of the chart can sign now, with what stands in the way.
    pub async fn signing_set(&self, chart: &Chart, at: At) -> Result<SigningSet, Error> {
        let (chart, blocked, running) = (chart.clone(), self.blocked(at.now), self.running());
        let found = self
            .store
            .read("signing_set", move |tx| {
                let Some(person) = me(&chart) else { return Ok(None) };
                let blocked =
                    certification::blocked(tx, blocked, &running, person, chart.practice, at.now)?;
                let which = Which::Patient(chart.patient.clone());
                signing_set(tx, person, chart.practice, &which, blocked, at.now)
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// How many prescriptions of the open chart wait for the signature of whoever it was opened by.
    pub async fn waiting(&self, session: &Session, at: At) -> Result<usize, Error> {
        match self.chart(session) {
            Ok(chart) if me(&chart).is_some() => Ok(self.signing_set(&chart, at).await?.rows.len()),
            _ => Ok(0),
        }
    }

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
        self.sign_as(person, chart.practice, Some(session.id), which, form, at).await
    }

    /// Signs for a practitioner whose factors the form holds.
    pub(super) async fn sign_as(
        &self,
        person: PersonId,
        practice: PracticeId,
        session: Option<SessionRowId>,
        which: Which,
        form: SigningForm,
        at: At,
    ) -> Result<Signing, Error> {
        let phrase = self.try_phrase(person, form.passphrase, at).await?;
        let policy = self.options.policy;
        let (blocked, running) = (self.blocked(at.now), self.running());
        let (shown_at, shown, confirm) = (form.shown_at, form.digest, form.confirm);
        let origin = self.options.public_url.clone();
        let signing = self
            .decide_in("sign_prescriptions", person, session, at.now, move |account, tx| {
                let mut signed = Vec::new();
                let mut work = || -> Result<Signing, countersign_store::Error> {
                    if let Err(refusal) = phrase.settle(tx, person, at.now)? {
                        return Ok(Signing::NotConfirmed(refusal));
                    }
                    let blocked =
                        certification::blocked(tx, blocked, &running, person, practice, at.now)?;
                    let Some(set) = signing_set(tx, person, practice, &which, blocked, at.now)?
                    else {
                        return Ok(Signing::Refused(StateRefusal::NotReady));
                    };
                    let open = Timestamp::from_micros(shown_at).seconds_until(at.now);
                    if !(0..SIGNING_SECONDS).contains(&open) {
                        return Ok(Signing::TimedOut);
                    }
                    // All that was asked for, or none of it.
                    let whole = match &which {
                        Which::Patient(_) => !set.rows.is_empty(),
                        Which::These(ids) => set.rows.len() == ids.len() && !ids.is_empty(),
                    };
                    if !whole {
                        return Ok(Signing::Refused(StateRefusal::NotReady));
                    }
                    if set.digest(shown_at).map_err(not_canonical)? != shown {
                        return Ok(Signing::Refused(StateRefusal::Changed));
                    }
                    // Before the passcode is looked at: what can't be signed costs none.
                    if let Some((_, hindrance)) = set.hindrances.first() {
                        return Ok(Signing::Hindered(*hindrance));
                    }
                    let text = set.text(&origin).map_err(not_canonical)?;
                    let code = confirm.code.clone().bound_to(Challenge::of(&text));
                    let proved = verify(account, confirm.chosen, &code, at, &policy);
                    let models = tx.signing_models()?;
                    let unwanted = tx.refused_models(practice)?;
                    let proved = proved.and_then(|id| {
                        let (token, _) = account.token(id).ok_or(Refusal::TokenNotActive)?;
                        let token = token.clone();
                        let refused = unwanted.iter().any(|(model, ..)| *model == token.model);
                        if refused || !models.allow(&token.model) {
                            return Err(Refusal::ModelNotAllowed);
                        }
                        if token.activated.is_none() {
                            return Err(Refusal::NotActivated);
                        }
                        if token.practice == Some(practice) {
                            // Also until when the row says: a fob has an end.
                            token.may_sign(at.now)?;
                        }
                        Ok(token)
                    });
                    let outcome = proved.as_ref().map(|token| token.id).map_err(Clone::clone);
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

    /// What of this installation keeps everybody from signing (R-1311.100-d).
    pub fn blocked(&self, now: Timestamp) -> Option<SigningHindrance> {
        let options = &self.options;
        if !options.gateway {
            return Some(SigningHindrance::NoGateway);
        }
        if options.build == Build::Unlisted && !options.demonstration {
            return Some(SigningHindrance::Build);
        }
        if self.is_noncompliant() {
            return Some(SigningHindrance::Noncompliant);
        }
        let measured = *self.clock_measured.lock().unwrap_or_else(PoisonError::into_inner);
        let right = measured.is_some_and(|(at, offset)| {
            at.seconds_until(now) <= MEASURED_SECONDS && offset.abs() <= MOST_OFFSET_SECONDS
        });
        // A demonstration has no time server, and asks none.
        let trusted = options.demonstration && !options.time_server;
        (!right && !trusted).then_some(SigningHindrance::Clock)
    }

    /// Notes by how many seconds a trusted time server is ahead of this host's clock.
    pub fn clock_was_measured(&self, offset_seconds: i64) {
        let now = self.clock.now();
        let mut measured = self.clock_measured.lock().unwrap_or_else(PoisonError::into_inner);
        *measured = Some((now, offset_seconds));
    }

    /// Puts on record that the operator lets a build sign that nobody certified.
    pub async fn note_unlisted_build(&self) -> Result<(), Error> {
        let at = self.at()?;
        self.store
            .write("note_unlisted_build", move |tx| {
                let event =
                    Event::success(EventKind::UnlistedBuildAllowed, Actor::Operator, at.support)
                        .detail(env!("CARGO_PKG_VERSION"));
                tx.append(&event, at.now)
            })
            .await?;
        Ok(())
    }

    /// The keys that ever signed, for whoever verifies.
    pub async fn public_keys(&self) -> Result<Vec<PublicKey>, Error> {
        Ok(self.store.read("public_keys", |tx| tx.public_keys()).await?)
    }

    /// Lets a practice sign with a new key from now on.
    pub async fn rotate_signing_key(&self, practice: PracticeId, at: At) -> Result<String, Error> {
        let key_id = self
            .store
            .write("rotate_signing_key", move |tx| {
                let (key_id, _) = tx.new_signing_key(practice, at.now)?;
                let mut event =
                    Event::success(EventKind::SigningKeyMade, Actor::Operator, at.support)
                        .detail(&key_id);
                event.practice = Some(practice);
                tx.append(&event, at.now)?;
                Ok(key_id)
            })
            .await?;
        Ok(key_id)
    }
}

const fn me(chart: &Chart) -> Option<PersonId> {
    match chart.who {
        Identity::Prescriber(id) => Some(id),
        Identity::Staff(_) => None,
    }
}

const fn actor(chart: &Chart) -> Actor {
    match chart.who {
        Identity::Prescriber(id) => Actor::Person(id),
        Identity::Staff(id) => Actor::Staff(id),
    }
}

/// The name of whoever came from the chart.
fn name_of(tx: &mut Tx<'_>, chart: &Chart) -> Result<String, countersign_store::Error> {
    Ok(match chart.who {
        Identity::Prescriber(id) => tx.person(id)?.map(|it| it.name),
        Identity::Staff(id) => tx.staff(id)?.map(|it| it.name),
    }
    .unwrap_or_default())
}

pub(super) fn today(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Date, countersign_store::Error> {
    let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
    Ok(Date::at(now, &zone))
}

/// Whether a prescription is for the patient of a chart. Two EHRs of a practice may use one ID for two people.
fn is_of(patient: &Patient, chart: &countersign_store::Patient) -> bool {
    patient.id == chart.id
        && patient.name == chart.name
        && patient.born == chart.birth_date
        && patient.mrn == chart.mrn
}

/// The prescription, if it is one of this chart's patient.
fn of_chart(
    tx: &mut Tx<'_>,
    chart: &Chart,
    id: PrescriptionId,
) -> Result<Option<PrescriptionRow>, countersign_store::Error> {
    let row = tx.prescription(chart.practice, id)?;
    Ok(row.filter(|row| is_of(&row.it.content.patient, &chart.patient)))
}

pub(super) fn prescribers(
    tx: &mut Tx<'_>,
    practice: PracticeId,
) -> Result<Vec<(PersonId, String)>, countersign_store::Error> {
    let mut found = Vec::new();
    for member in tx.roles_in(practice)? {
        if member.role != Role::Prescriber || member.ended.is_some() {
            continue;
        }
        if let Some(person) = tx.person(member.person)?.filter(|person| !person.closed) {
            found.push((person.id, person.name));
        }
    }
    Ok(found)
}

/// Somebody's registrations and licences, and the institution's.
fn papers(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    person: PersonId,
) -> Result<Vec<Authority>, countersign_store::Error> {
    let mut all = tx.authorities(practice, Some(person))?;
    all.extend(tx.authorities(practice, None)?);
    Ok(all)
}

/// The registrations under which somebody could sign: their own, and the institution's.
pub(super) fn numbers(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Vec<DeaRegistration>, countersign_store::Error> {
    let held = papers(tx, practice, person)?.into_iter().filter(|it| it.holds(now));
    Ok(held
        .filter_map(|it| match it.paper {
            Paper::Dea(dea) => Some(dea),
            Paper::Licence(_) => None,
        })
        .collect())
}

pub(super) fn signing_set(
    tx: &mut Tx<'_>,
    id: PersonId,
    practice: PracticeId,
    which: &Which,
    blocked: Option<SigningHindrance>,
    now: Timestamp,
) -> Result<Option<SigningSet>, countersign_store::Error> {
    let Some(person) = tx.person(id)? else { return Ok(None) };
    let address = tx.profile(&person)?.map(|profile| profile.address).unwrap_or_default();
    let today = today(tx, practice, now)?;
    let mut rows = match which {
        Which::Patient(patient) => {
            let mut rows = tx.prescriptions(practice, &patient.id, 100)?;
            rows.retain(|row| is_of(&row.it.content.patient, patient));
            rows.reverse();
            rows
        }
        Which::These(ids) => {
            let mut rows = Vec::new();
            for id in ids {
                rows.extend(tx.prescription(practice, *id)?);
            }
            rows
        }
    };
    rows.retain(|row| row.it.prescriber == id && matches!(row.it.state, State::Ready { .. }));
    let papers = papers(tx, practice, id)?;
    let mut hindrances = Vec::new();
    for row in &rows {
        let hindrance = if !row.it.content.lacking(today).is_empty() {
            Some(SigningHindrance::Lacking)
        } else if address.is_empty() {
            Some(SigningHindrance::NoAddress)
        } else if blocked.is_some() {
            blocked
        } else {
            hindrance(tx, id, practice, &papers, &row.it.content, now)?
        };
        if let Some(why) = hindrance {
            hindrances.push((row.id, why));
        }
    }
    let practice = tx.practice_name(practice)?.unwrap_or_default();
    let states = papers.iter().filter_map(|it| Some((it.paper.dea()?, it.paper.state()))).collect();
    Ok(Some(SigningSet { person, address, practice, today, rows, hindrances, states }))
}

/// What access control and registrations say of one.
fn hindrance(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
    papers: &[Authority],
    content: &Content,
    now: Timestamp,
) -> Result<Option<SigningHindrance>, countersign_store::Error> {
    let of = |number: DeaNumber| papers.iter().find(|it| it.paper.dea() == Some(number));
    let Some(authority) = content.dea.and_then(of) else {
        return Ok(Some(SigningHindrance::NotPermitted));
    };
    let licensed = papers.iter().any(|it| {
        matches!(it.paper, Paper::Licence(_))
            && it.paper.state() == authority.paper.state()
            && it.holds(now)
    });
    if !authority.holds(now) || !licensed {
        return Ok(Some(SigningHindrance::NotInForce));
    }
    let covers = match (&authority.paper, content.schedule) {
        (Paper::Dea(dea), Some(schedule)) => dea.schedules.allow(schedule),
        _ => false,
    };
    if !covers {
        return Ok(Some(SigningHindrance::Schedule));
    }
    let allowed = tx.permission(person, practice, authority.id)?.allows();
    Ok((!allowed).then_some(SigningHindrance::NotPermitted))
}

/// Signs one, puts its record into the archive and writes its state.
fn sign_one(
    tx: &mut Tx<'_>,
    set: &SigningSet,
    mut row: PrescriptionRow,
    by: (&Token, Binding),
    (key_id, key): &(String, SigningKey),
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let person = set.person.id;
    row.it.sign(person, set.today, now).map_err(|_| Tx::broken("what was ready is not"))?;
    row.changed = now;
    let payload = signed_json(set, &row, by, now);
    let kind = "countersign-prescription+jws";
    let jws = record::sign(key, key_id, kind, &payload)
        .ok_or_else(|| Tx::broken("a record that can't be signed"))?;
    tx.archive(&SignedRecord {
        prescription: row.id,
        practice: row.practice,
        prescriber: person,
        signed: now,
        key_id: key_id.clone(),
        jws,
    })?;
    tx.save_prescription(&row)?;
    // In the same transaction: what is signed is on its way, whatever happens to this process next.
    tx.transmit(row.practice, row.id, now)
}

/// The full record (21 CFR 1311.120(b)(15)): what was prescribed, by whom, when, and how they proved it.
fn signed_json(
    set: &SigningSet,
    row: &PrescriptionRow,
    (token, binding): (&Token, Binding),
    now: Timestamp,
) -> Json {
    let npi = set.npi();
    let (year, month, day, hour, minute, second) = now.civil();
    let signed_at = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    let dea = row.it.content.dea;
    let state = set.states.iter().find(|(number, _)| Some(*number) == dea);
    let state = state.map(|(_, state)| state.as_text()).unwrap_or_default();
    let dea = dea.map(|dea| dea.as_text()).unwrap_or_default();
    let credential: &CredentialId = &token.credential;
    let class: DeviceClass = token.device.class;
    Json::object([
        ("format", Json::from(RECORD_FORMAT)),
        ("id", Json::from(row.id.to_string())),
        ("written", Json::from(set.today.to_string())),
        ("signed_at", Json::from(signed_at)),
        ("statement", Json::from(SIGNING_STATEMENT)),
        (
            "practitioner",
            Json::object([
                ("name", Json::from(set.person.name.as_str())),
                ("npi", Json::from(npi)),
                ("dea", Json::from(dea)),
                ("dea_state", Json::from(state)),
                ("address", Json::from(set.address.as_str())),
                ("practice", Json::from(set.practice.as_str())),
            ]),
        ),
        ("prescription", row.it.content.json()),
        (
            "authentication",
            Json::object([
                ("factors", Json::List(vec![Json::from("passphrase"), Json::from("passcode")])),
                ("token", Json::from(credential.masked())),
                ("model", Json::from(token.model.to_string())),
                ("device", Json::from(class.code())),
                ("binding", Json::from(binding.code())),
                ("step", Json::Int(token.last_step.map_or(-1, |step| step.number()))),
            ]),
        ),
        ("software", Json::from(concat!("countersign ", env!("CARGO_PKG_VERSION")))),
    ])
}
