//! Prescriptions: drafted by whoever the EHR sends, marked ready and signed by the practitioner alone.
//!
//! What signs is passphrase and passcode, given while all of it is shown, and bound to the digest of what
//! was shown (21 CFR 1311.140). The application then signs the record in the same transaction in which the
//! prescription becomes signed, its archive copy is written and the event appended: all or nothing.

use std::sync::{Arc, PoisonError};

use countersign_crypto::{SecretText, SigningKey};
use countersign_domain::{
    Actor, AuthorityId, CredentialId, Date, DeaNumber, DeviceClass, Event, EventKind, Holder,
    NoAuthority, Outcome, PersonId, PracticeId, PrescriptionId, Purpose, Refusal, Registered, Role,
    SessionRowId, Standing, Timestamp, Token, UsState,
    canonical::{CanonicalError, Json},
    certification::RunningBuild,
    controlled::Table,
    ocra::{self, Binding, Challenge},
    prescription::{
        Content, Lack, Patient, Prescription, Rules, SIGNING_SECONDS, SIGNING_STATEMENT, Series,
        State, StateRefusal, number_series, series_lacking,
    },
    state_rules::StateRules,
};
use countersign_protocol::record;
use countersign_store::{
    Identity, Paper, Person, PrescriptionRow, PublicKey, Session, SignedRecord, Transmission, Tx,
};

use super::{
    App, At, Build, Confirm, Error,
    attempts::Source,
    certification, record as append_with_owner,
    sign_in::{passcode_event, verify},
    to_completion::to_completion,
};

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
    /// The registrations under which the prescriber who looks may prescribe now; nothing for staff.
    pub numbers: Vec<Registered>,
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
    /// What keeps its practitioner from marking it ready; nothing where that was not asked, or it is signed.
    pub judgment: Judgment,
}

impl OneRx {
    pub(super) fn of(
        tx: &mut Tx<'_>,
        row: PrescriptionRow,
    ) -> Result<Self, countersign_store::Error> {
        let signed = tx.signed_record(row.practice, row.id)?;
        let way = tx.transmission(row.id)?;
        let disowned = tx.disowned(row.id)?;
        Ok(Self { row, signed, way, disowned, judgment: Judgment::default() })
    }
}

/// What is written into a form.
#[derive(Debug, Clone)]
pub struct Draft {
    /// In whose name.
    pub prescriber: PersonId,
    /// What it says; patient and chart are the session's.
    pub content: Content,
    /// The prescription of the same chart after which it comes in a series; for a new one only.
    pub after: Option<PrescriptionId>,
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
    /// The prescriptions that are signed, oldest first.
    pub rows: Vec<PrescriptionRow>,
    /// Ready ones of the patient that can't be signed now, and so are left out; none where the prescriptions were named
    /// one by one.
    pub held: Vec<PrescriptionRow>,
    /// What keeps one of them from being signed: which, and why. One may have several.
    pub hindrances: Vec<(PrescriptionId, SigningHindrance)>,
    practitioner: Practitioner,
    ground: Ground,
}

/// Why one of them can't be marked ready or signed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningHindrance {
    /// Something is missing, or was right on another day only.
    #[error("Something is missing. Open it and look at the marked fields.")]
    Lacking,
    /// The registration has ended.
    #[error("The DEA registration has expired.")]
    RegistrationExpired,
    /// The registration was terminated, revoked or suspended.
    #[error("The DEA registration was withdrawn.")]
    RegistrationWithdrawn,
    /// No license of the registration's state.
    #[error("No license of the state in which this DEA number is registered is on record.")]
    NoLicense,
    /// The license of the registration's state has ended.
    #[error("The license of the state in which this DEA number is registered has expired.")]
    LicenseExpired,
    /// The license of the registration's state was suspended or revoked.
    #[error("The license of the state in which this DEA number is registered was withdrawn.")]
    LicenseWithdrawn,
    /// The institution's number without a code (21 CFR 1301.22(c)).
    #[error(
        "The institution has given you no internal code, and its DEA number can't be used without one. Ask those who set access control."
    )]
    NoInternalCode,
    /// The code is another one by now.
    #[error(
        "The internal code behind the DEA number has changed. Save it again, and mark it ready again."
    )]
    InternalCodeChanged,
    /// The registration does not cover the schedule.
    #[error("This registration does not cover the schedule.")]
    Schedule,
    /// Access control says no.
    #[error("You have no permission to sign under this DEA number.")]
    NotPermitted,
    /// Another one of its series is not signed with it.
    #[error(
        "All prescriptions of a series are signed together (21 CFR 1306.12). Mark the others ready too, or cancel them."
    )]
    SeriesIncomplete,
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

impl From<NoAuthority> for SigningHindrance {
    fn from(why: NoAuthority) -> Self {
        match why {
            NoAuthority::Registration(Standing::Withdrawn) => Self::RegistrationWithdrawn,
            NoAuthority::Registration(_) => Self::RegistrationExpired,
            NoAuthority::License(None) => Self::NoLicense,
            NoAuthority::License(Some(Standing::Withdrawn)) => Self::LicenseWithdrawn,
            NoAuthority::License(Some(_)) => Self::LicenseExpired,
            NoAuthority::InternalCode => Self::NoInternalCode,
            NoAuthority::Schedule => Self::Schedule,
        }
    }
}

impl SigningHindrance {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lacking => StateRefusal::Lacking.code(),
            Self::RegistrationExpired | Self::RegistrationWithdrawn => "registration_not_in_force",
            Self::NoLicense | Self::LicenseExpired | Self::LicenseWithdrawn => {
                "license_not_in_force"
            }
            Self::NoInternalCode => "internal_code_missing",
            Self::InternalCodeChanged => "internal_code_changed",
            Self::Schedule => "schedule_not_registered",
            Self::NotPermitted => "not_permitted",
            Self::SeriesIncomplete => "series_incomplete",
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

    /// Which field of a request it is about; `prescriber`, `practice` and `installation` are none of a prescription.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Lacking => "prescriptions",
            Self::RegistrationExpired
            | Self::RegistrationWithdrawn
            | Self::NoLicense
            | Self::LicenseExpired
            | Self::LicenseWithdrawn
            | Self::NoInternalCode
            | Self::InternalCodeChanged
            | Self::NotPermitted => "dea",
            Self::Schedule => "schedule",
            Self::SeriesIncomplete => "series",
            Self::NoAddress | Self::ReportNotReviewed => "prescriber",
            Self::ReportNotAcknowledged => "practice",
            Self::NoGateway
            | Self::Build
            | Self::Noncompliant
            | Self::NoReport
            | Self::ReportExpired
            | Self::Clock => "installation",
        }
    }
}

/// Why something is not done with a prescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RxRefusal {
    /// Its state, or whose it is, says no.
    #[error(transparent)]
    State(#[from] StateRefusal),
    /// It could not be signed now.
    #[error("Not marked ready. {0}")]
    Hindered(SigningHindrance),
    /// What let it be signed does not hold any more.
    #[error("You could not sign it now, so it can't be sent again. {0}")]
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
pub(super) struct Ground {
    blocked: Option<SigningHindrance>,
    running: RunningBuild,
    drugs: Arc<Table>,
    states: Arc<StateRules>,
    now: Timestamp,
}

/// Somebody who prescribes in a practice, with all that decides whether they may, as it stands now.
#[derive(Clone)]
pub(super) struct Practitioner {
    id: PersonId,
    name: String,
    address: String,
    practice: PracticeId,
    /// Today where the practice is.
    pub(super) today: Date,
    /// Their registrations, the institution's first: a number that is the institution's is used as such.
    registrations: Vec<(AuthorityId, Registered)>,
    licenses: Vec<(UsState, Standing)>,
}

impl Practitioner {
    pub(super) fn of(
        tx: &mut Tx<'_>,
        id: PersonId,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<Option<Self>, countersign_store::Error> {
        let Some(person) = tx.person(id)? else { return Ok(None) };
        let address = tx.profile(&person)?.map(|profile| profile.address).unwrap_or_default();
        let code = tx.internal_code(practice, id)?;
        let mut papers = tx.authorities(practice, None)?;
        papers.extend(tx.authorities(practice, Some(id))?);
        let mut registrations: Vec<(AuthorityId, Registered)> = Vec::new();
        let mut licenses = Vec::new();
        for it in papers {
            let standing = it.standing(now);
            let holder = match it.person {
                Some(_) => Holder::Practitioner,
                None => Holder::Institution(code.clone()),
            };
            match it.paper {
                // The institution's number is nobody's own, whoever entered it as such.
                Paper::Dea(registration)
                    if registrations
                        .iter()
                        .any(|(_, it)| it.registration.number == registration.number) => {}
                Paper::Dea(registration) => {
                    registrations.push((it.id, Registered { registration, standing, holder }));
                }
                Paper::Licence(license) if holder == Holder::Practitioner => {
                    licenses.push((license.state, standing));
                }
                Paper::Licence(_) => {}
            }
        }
        let today = today(tx, practice, now)?;
        let name = person.name;
        Ok(Some(Self { id, name, address, practice, today, registrations, licenses }))
    }

    fn registration(&self, number: Option<DeaNumber>) -> Option<&(AuthorityId, Registered)> {
        self.registrations.iter().find(|(_, it)| Some(it.registration.number) == number)
    }

    /// The state in which a number is registered.
    pub(super) fn state(&self, number: Option<DeaNumber>) -> Option<UsState> {
        self.registration(number).map(|(_, it)| it.registration.state)
    }

    /// The registrations under which they may prescribe now.
    pub(super) fn numbers(&self) -> Vec<Registered> {
        let all = self.registrations.iter().map(|(_, it)| it);
        all.filter(|it| it.in_force(&self.licenses).is_ok()).cloned().collect()
    }

    /// Whether a registration and a license of its state are in force; it need not be one that they may use.
    pub(super) fn is_in_force(&self, id: AuthorityId) -> bool {
        let found = self.registrations.iter().find(|(known, _)| *known == id);
        found.is_some_and(|(_, it)| {
            matches!(it.in_force(&self.licenses), Ok(()) | Err(NoAuthority::InternalCode))
        })
    }

    /// The rules for a prescription under this number.
    pub(super) fn rules<'a>(&self, ground: &'a Ground, number: Option<DeaNumber>) -> Rules<'a> {
        Rules {
            today: self.today,
            drugs: &ground.drugs,
            states: &ground.states,
            state: self.state(number),
        }
    }

    /// Writes the internal code that goes with the number.
    pub(super) fn complete(&self, content: &mut Content) {
        let code = self.registration(content.dea).and_then(|(_, it)| it.code());
        content.internal_code = code.cloned();
    }

    /// What registrations, licenses and access control say of one (21 CFR 1311.100(b), 1311.125).
    fn unauthorized(
        &self,
        tx: &mut Tx<'_>,
        content: &Content,
    ) -> Result<Option<SigningHindrance>, countersign_store::Error> {
        // A missing number is said where it is chosen.
        let Some(number) = content.dea else { return Ok(None) };
        let Some((id, it)) = self.registration(Some(number)) else {
            return Ok(Some(SigningHindrance::NotPermitted));
        };
        let covered = match content.schedule {
            Some(schedule) => it.covers(&self.licenses, schedule),
            None => it.in_force(&self.licenses),
        };
        if let Err(why) = covered {
            return Ok(Some(why.into()));
        }
        if content.internal_code.as_ref() != it.code() {
            return Ok(Some(SigningHindrance::InternalCodeChanged));
        }
        let allowed = tx.permission(self.id, self.practice, *id)?.allows();
        Ok((!allowed).then_some(SigningHindrance::NotPermitted))
    }

    /// Whether a supervisor must be named: in a state that wants one, where whoever prescribes under this number may be a
    /// mid-level practitioner (21 CFR 1311.135(c)).
    fn needs_supervisor(&self, ground: &Ground, number: Option<DeaNumber>) -> bool {
        let Some((_, used)) = self.registration(number) else { return false };
        let all = self.registrations.iter().map(|(_, it)| it);
        let own = all.filter(|it| it.holder == Holder::Practitioner);
        let own: Vec<DeaNumber> = own.map(|it| it.registration.number).collect();
        ground.states.wants_supervisor(Some(used.registration.state)) && used.may_be_mid_level(&own)
    }

    /// Judges a prescription: before it is marked ready, and again before it is signed (21 CFR 1311.100(d)). `series` is
    /// all of its series, itself among them.
    pub(super) fn judge(
        &self,
        tx: &mut Tx<'_>,
        ground: &Ground,
        content: &Content,
        series: &[&Content],
    ) -> Result<Judgment, countersign_store::Error> {
        let mut lacks = content.lacking(&self.rules(ground, content.dea));
        lacks.extend(series_lacking(series));
        let name = content.supervisor.as_ref().map_or("", |it| it.name.trim());
        if !name.is_empty() && name.eq_ignore_ascii_case(self.name.trim()) {
            let text = "Name somebody else: nobody is their own supervisor.".into();
            lacks.push(Lack { field: "supervisor", text });
        }
        // Under a number of their own its first letter was looked at above.
        if content.supervisor.is_none()
            && self.needs_supervisor(ground, content.dea)
            && !lacks.iter().any(|it| it.field == "supervisor")
        {
            let state = self.state(content.dea).map(|state| state.as_text()).unwrap_or_default();
            let text = format!(
                "{state} wants the supervisor of a mid-level practitioner named. Under an institution's DEA number this is asked of everybody without a DEA number of their own that says otherwise."
            );
            lacks.push(Lack { field: "supervisor", text: text.into() });
        }
        let blocked = certification::blocked(
            tx,
            ground.blocked,
            &ground.running,
            self.id,
            self.practice,
            ground.now,
        )?;
        let mut hindrances: Vec<SigningHindrance> = blocked.into_iter().collect();
        if self.address.is_empty() {
            hindrances.push(SigningHindrance::NoAddress);
        }
        hindrances.extend(self.unauthorized(tx, content)?);
        Ok(Judgment { lacks, hindrances })
    }
}

/// All prescriptions of the series that one is of, numbered, itself among them; nothing where it is of none.
fn series_of(
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
fn judge_row(
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

    /// Whether all are for one person, whatever the EHR's identifiers say (21 CFR 1311.120(b)(13)). The address is not the
    /// person.
    fn is_of_one_patient(&self) -> bool {
        let person = |row: &PrescriptionRow| {
            let it = &row.it.content.patient;
            [&it.id, &it.name, &it.born, &it.mrn].map(Clone::clone)
        };
        self.rows.windows(2).all(|pair| match pair {
            [one, two] => person(one) == person(two),
            _ => true,
        })
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
                    Identity::Prescriber(me) => {
                        let it = Practitioner::of(tx, me, chart.practice, at.now)?;
                        it.map(|it| it.numbers()).unwrap_or_default()
                    }
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
                let Some(practitioner) = Practitioner::of(tx, prescriber, chart.practice, at.now)?
                else {
                    return Ok(None);
                };
                practitioner.complete(&mut content);
                let mut event =
                    Event::success(EventKind::PrescriptionWritten, actor(&chart), at.support)
                        .about(chart.practice, prescriber);
                let (id, result) = match id {
                    None => {
                        let id = PrescriptionId::new(at.now, tx.rng())?;
                        let begun = match draft.after {
                            None => Ok(None),
                            Some(after) => {
                                let Some(row) = of_chart(tx, &chart, after)? else {
                                    return Ok(None);
                                };
                                begin_series(tx, &chart, row, prescriber, at)?.map(Some)
                            }
                        };
                        if let Ok(series) = begun {
                            content.series = series;
                            let it = Prescription { prescriber, content, state: State::Draft };
                            let (practice, now) = (chart.practice, at.now);
                            let by = name_of(tx, &chart)?;
                            let (created, changed) = (now, now);
                            let row = PrescriptionRow { id, practice, it, created, changed, by };
                            tx.create_prescription(&row)?;
                        }
                        (id, begun.map(drop))
                    }
                    Some(id) => {
                        let Some(mut row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                        let own = match chart.who {
                            Identity::Prescriber(me) => row.it.prescriber == me,
                            Identity::Staff(_) => row.it.prescriber == prescriber,
                        };
                        if staff {
                            content.dea = row.it.content.dea;
                            practitioner.complete(&mut content);
                        }
                        content.series = row.it.content.series;
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
    pub async fn prescription(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<OneRx, Error> {
        let (chart, ground) = (chart.clone(), self.ground(at.now));
        let found = self
            .store
            .read("prescription", move |tx| {
                let Some(mut row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                let mut judgment = Judgment::default();
                let (by, practice) = (row.it.prescriber, row.practice);
                if row.it.state.is_open()
                    && let Some(it) = Practitioner::of(tx, by, practice, at.now)?
                {
                    it.complete(&mut row.it.content);
                    judgment = judge_row(tx, &it, &ground, &mut row)?;
                }
                Ok(Some(OneRx { judgment, ..OneRx::of(tx, row)? }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// The practitioner marks one ready (21 CFR 1311.120(b)(10)): only one that could be signed now (1311.100(d)).
    pub async fn mark_ready(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<Result<(), RxRefusal>, Error> {
        let ground = self.ground(at.now);
        let kind = EventKind::PrescriptionReady;
        self.change_prescription(kind, chart, id, at, move |tx, row, me| {
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
    ) -> Result<Result<(), RxRefusal>, Error> {
        let (kind, running) = (EventKind::PrescriptionSentAgain, self.running());
        let done = self
            .change_prescription(kind, chart, id, at, move |tx, row, me| {
                let me = me.ok_or(StateRefusal::NotYours);
                if let Err(refusal) = me.and_then(|me| row.it.send_again(me, at.now)) {
                    return Ok(Err(refusal.into()));
                }
                // What let it be signed must hold still: it may have failed months ago.
                let (by, practice) = (row.it.prescriber, row.practice);
                let hindrance = match Practitioner::of(tx, by, practice, at.now)? {
                    Some(it) => it.unauthorized(tx, &row.it.content)?,
                    None => Some(SigningHindrance::NotPermitted),
                };
                let hindrance = match hindrance {
                    None => certification::hindrance(tx, &running, by, practice, at.now)?,
                    found => found,
                };
                Ok(hindrance.map_or(Ok(()), |why| Err(RxRefusal::NotSentAgain(why))))
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
    ) -> Result<Result<(), RxRefusal>, Error> {
        let kind = EventKind::PrescriptionPrinted;
        self.change_prescription(kind, chart, id, at, move |_, row, me| {
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
    ) -> Result<Result<(), RxRefusal>, Error> {
        let kind = EventKind::PrescriptionCancelled;
        self.change_prescription(kind, chart, id, at, move |_, row, me| {
            Ok(row.it.cancel(me, at.now).map_err(Into::into))
        })
        .await
    }

    async fn change_prescription<F>(
        &self,
        kind: EventKind,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
        mut change: F,
    ) -> Result<Result<(), RxRefusal>, Error>
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
        let done = self
            .store
            .write(kind.code(), move |tx| {
                let Some(mut row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                let from = row.it.state;
                let result = change(tx, &mut row, me(&chart))?;
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
        let (chart, ground) = (chart.clone(), self.ground(at.now));
        let found = self
            .store
            .read("signing_set", move |tx| {
                let Some(person) = me(&chart) else { return Ok(None) };
                let which = Which::Patient(chart.patient.clone());
                signing_set(tx, person, chart.practice, &which, &ground)
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// How many prescriptions of the open chart wait for the signature of whoever it was opened by.
    pub async fn waiting(&self, session: &Session, at: At) -> Result<usize, Error> {
        match self.chart(session) {
            Ok(chart) if me(&chart).is_some() => {
                let set = self.signing_set(&chart, at).await?;
                Ok(set.rows.len() + set.held.len())
            }
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
        let source = Source::Session { person, practice: session.practice };
        self.sign_as(person, chart.practice, Some(session.id), &source, which, form, at).await
    }

    /// Signs for a practitioner whose factors the form holds, and `source` says where it comes from.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the request")]
    pub(super) async fn sign_as(
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
                        return Ok(hindered());
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

    /// What of this installation decides over signing at a moment.
    pub(super) fn ground(&self, now: Timestamp) -> Ground {
        Ground {
            blocked: self.blocked(now),
            running: self.running(),
            drugs: Arc::clone(&self.options.drugs),
            states: Arc::clone(&self.options.states),
            now,
        }
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

/// The series that a new prescription of the chart goes on with. The first one of it, if there is none yet, becomes part
/// of it, and so must be looked at again.
fn begin_series(
    tx: &mut Tx<'_>,
    chart: &Chart,
    mut row: PrescriptionRow,
    prescriber: PersonId,
    at: At,
) -> Result<Result<Series, StateRefusal>, countersign_store::Error> {
    if row.it.prescriber != prescriber {
        return Ok(Err(StateRefusal::NotYours));
    }
    if !row.it.state.is_open() {
        return Ok(Err(StateRefusal::Closed));
    }
    if let Some(series) = row.it.content.series {
        return Ok(Ok(series));
    }
    let series = Series { id: row.id, number: 0, of: 0 };
    let content = Content { series: Some(series), ..row.it.content.clone() };
    if let Err(refusal) = row.it.edit(content) {
        return Ok(Err(refusal));
    }
    row.changed = at.now;
    row.by = name_of(tx, chart)?;
    tx.save_prescription(&row)?;
    Ok(Ok(series))
}

pub(super) fn signing_set(
    tx: &mut Tx<'_>,
    id: PersonId,
    practice: PracticeId,
    which: &Which,
    ground: &Ground,
) -> Result<Option<SigningSet>, countersign_store::Error> {
    let Some(person) = tx.person(id)? else { return Ok(None) };
    let Some(practitioner) = Practitioner::of(tx, id, practice, ground.now)? else {
        return Ok(None);
    };
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
    let mut hindrances = Vec::new();
    let mut series = Vec::new();
    for row in &mut rows {
        let of_series = series_of(tx, row)?;
        series.push((row.id, of_series.into_iter().map(|it| it.id).collect::<Vec<_>>()));
        let judgment = judge_row(tx, &practitioner, ground, row)?;
        let lacking = (!judgment.lacks.is_empty()).then_some(SigningHindrance::Lacking);
        let all = lacking.into_iter().chain(judgment.hindrances);
        hindrances.extend(all.map(|why| (row.id, why)));
    }
    // A series is signed as a whole or not at all.
    let alone: Vec<PrescriptionId> = rows
        .iter()
        .map(|row| row.id)
        .filter(|id| !hindrances.iter().any(|(hindered, _)| hindered == id))
        .collect();
    for (id, of_series) in series {
        if of_series.iter().any(|other| *other != id && !alone.contains(other)) {
            hindrances.push((id, SigningHindrance::SeriesIncomplete));
        }
    }
    let held = match which {
        Which::Patient(_) => rows
            .extract_if(.., |row| hindrances.iter().any(|(hindered, _)| *hindered == row.id))
            .collect(),
        Which::These(_) => Vec::new(),
    };
    let address = practitioner.address.clone();
    let today = practitioner.today;
    let practice = tx.practice_name(practice)?.unwrap_or_default();
    let ground = ground.clone();
    Ok(Some(SigningSet {
        person,
        address,
        practice,
        today,
        rows,
        held,
        hindrances,
        practitioner,
        ground,
    }))
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
    let rules = set.practitioner.rules(&set.ground, row.it.content.dea);
    row.it.sign(person, &rules, now).map_err(|_| Tx::broken("what was ready is not"))?;
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
    let content = &row.it.content;
    let state = set.practitioner.state(content.dea);
    let state = state.map(|state| state.as_text()).unwrap_or_default();
    let dea = content.written_dea();
    let credential: &CredentialId = &token.credential;
    let class: DeviceClass = token.device.class;
    Json::object([
        ("format", Json::from(record::RECORD_FORMAT)),
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
        ("prescription", content.json()),
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
