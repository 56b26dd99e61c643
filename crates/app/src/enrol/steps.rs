//! The steps of an enrolment: terms, personal data, passphrase, and which one is due.

use countersign_crypto::SecretText;
use countersign_domain::{
    Actor, Event, EventKind, Outcome, Passphrase, PersonId, PracticeId, ReportId, Role, Timestamp,
    Token, TokenModel,
    access::{Cause, Permission, Setting},
    enrolment::{Facts, Stage as Step, stage},
};
use countersign_store::{
    AccessChange, Authority, CasePurpose, Paper, Person, Practice, Profile, RequestRow,
    RequestStage, Session, Tx,
};

use super::links::enter;
use crate::{
    App, At, Error,
    attempts::forget_browsers_and_attempts,
    cases::{CaseView, case_view, current_case, open_case},
    log,
    notices::{Note, Notice},
};

/// The terms that are in force; whoever accepted older ones is asked again.
pub const TERMS_VERSION: &str = "2026-11";

/// Everything that the enrolment of somebody shows.
#[derive(Clone)]
pub struct Enrolment {
    /// Who.
    pub person: Person,
    /// The practice that invited them.
    pub practice: Practice,
    /// What is known of them.
    pub profile: Profile,
    /// They prescribe, and so are proofed and granted.
    pub prescribes: bool,
    /// Registrations and licences in that practice, the institution's own among them.
    pub papers: Vec<Authority>,
    /// Their tokens.
    pub tokens: Vec<Token>,
    /// The models that the operator has judged.
    pub models: Vec<TokenModel>,
    /// What is done.
    pub facts: Facts,
    /// The proofing that is under way, or was completed.
    pub case: Option<CaseView>,
    /// They had a permission to sign in that practice and have none now: why, and since when.
    pub suspended: Option<(Cause, Timestamp)>,
    /// Who has entered a grant for them there that waits for a second person.
    pub grant_entered: Option<String>,
}

impl Enrolment {
    /// The step that is due.
    pub const fn step(&self) -> Step {
        stage(&self.facts)
    }

    /// Until when a token, or a passphrase, can be set now; nothing where a code opens it first.
    pub fn window(&self, now: Timestamp) -> Option<Timestamp> {
        self.case.as_ref().and_then(|case| case.row.state.window(now))
    }
}

/// What somebody says of themselves.
#[derive(Clone)]
pub struct PersonalData {
    /// All of it.
    pub profile: Profile,
    /// A registration and a licence, where the practice has entered none.
    pub papers: Vec<Paper>,
}

/// What becomes of a step that is not the one that is due.
#[derive(Debug)]
pub enum Stepped<T> {
    /// It was done.
    Done(T),
    /// Another step is due.
    NotNow,
    /// The quarter of an hour for it is over, or has not begun.
    NoWindow,
}

impl App {
    /// How far somebody has come.
    pub async fn enrolment(
        &self,
        session: &Session,
        person: PersonId,
        at: At,
    ) -> Result<Enrolment, Error> {
        let practice = session.practice;
        let found =
            self.store.read("enrolment", move |tx| enrolment(tx, person, practice, at.now)).await?;
        let mut found = found.ok_or(Error::NotFound)?;
        found.case = found.case.map(|case| self.with_names(case));
        Ok(found)
    }

    /// Accepts the terms, with the report that was shown with them (21 CFR 1311.102(d)).
    pub async fn accept_terms(
        &self,
        session: &Session,
        person: PersonId,
        report: Option<ReportId>,
        at: At,
    ) -> Result<Stepped<()>, Error> {
        self.enrol("accept_terms", session, person, Step::Terms, at, move |tx, it| {
            tx.accept_terms(person, TERMS_VERSION, at.now)?;
            let mut event =
                Event::success(EventKind::TermsAccepted, Actor::Person(person), at.support)
                    .about(it.practice.id, person)
                    .detail(TERMS_VERSION);
            if let Some(id) = report
                && let Some((report, _)) = tx.report_document(id)?
            {
                tx.review_report(person, id, at.now)?;
                event = event.detail(&format!("{TERMS_VERSION}, report {}", report.facts.name));
            }
            Ok((Stepped::Done(()), event))
        })
        .await
    }

    /// Writes what somebody says of themselves, and opens the case of their proofing.
    pub async fn save_personal_data(
        &self,
        session: &Session,
        person: PersonId,
        data: PersonalData,
        at: At,
    ) -> Result<Stepped<()>, Error> {
        let mailer = self.mailer();
        self.enrol("save_personal_data", session, person, Step::PersonalData, at, move |tx, it| {
            let kept = Profile {
                // Who somebody is, the invitation says; and an address is confirmed by a code alone.
                given: it.profile.given.clone(),
                middle: it.profile.middle.clone(),
                family: it.profile.family.clone(),
                suffix: it.profile.suffix.clone(),
                phone_confirmed: it
                    .profile
                    .phone_confirmed
                    .filter(|_| data.profile.phone == it.profile.phone),
                address_confirmed: it
                    .profile
                    .address_confirmed
                    .filter(|_| data.profile.address == it.profile.address),
                ..data.profile.clone()
            };
            tx.save_profile(&it.person, &kept, at.now)?;
            for paper in &data.papers {
                enter(tx, &it.practice, person, paper, at)?;
            }
            let event = Event::success(EventKind::ProfileSaved, Actor::Person(person), at.support)
                .about(it.practice.id, person);
            // Who proves their identity again has a case already.
            if it.case.is_none() {
                open_case(tx, &mailer, &it.person, it.practice.id, CasePurpose::Enrolment, at)?;
            }
            Ok((Stepped::Done(()), event))
        })
        .await
    }

    /// Chooses the first passphrase, or another one after proofing. The sessions of the enrolment end:
    /// whoever goes on logs in, and sees that all of it works.
    pub async fn choose_passphrase(
        &self,
        session: &Session,
        person: PersonId,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Stepped<()>, Error> {
        let hash = self.hash_new(passphrase).await?;
        let mailer = self.mailer();
        self.enrol("choose_passphrase", session, person, Step::Passphrase, at, move |tx, it| {
            let event =
                Event::success(EventKind::PassphraseChosen, Actor::Person(person), at.support)
                    .about(it.practice.id, person);
            if it.window(at.now).is_none() {
                let event = Event { outcome: Outcome::Refused, ..event };
                return Ok((Stepped::NoWindow, event.reason("window_over")));
            }
            tx.save_passphrase(person, &hash)?;
            if let Some(case) = &it.case {
                let mut row = case.row.clone();
                // A case for a passphrase is used up; one of an enrolment stays as its proof.
                if row.purpose == CasePurpose::Passphrase {
                    row.state.close();
                }
                row.state.end_window();
                tx.save_case(&row)?;
            }
            tx.end_sessions_of(person)?;
            forget_browsers_and_attempts(tx, &it.person, at.now)?;
            let notice = Notice {
                note: Note::PassphraseChanged,
                practice: it.practice.id,
                detail: "",
                path: "/portal",
            };
            mailer.tell(tx, &it.person, &notice, &[], at.now)?;
            Ok((Stepped::Done(()), event))
        })
        .await
    }

    /// One step of an enrolment: in the session of it, and only while it is the step that is due.
    async fn enrol<T, F>(
        &self,
        name: &'static str,
        session: &Session,
        person: PersonId,
        wanted: Step,
        at: At,
        mut step: F,
    ) -> Result<Stepped<T>, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, &Enrolment) -> Result<(Stepped<T>, Event), countersign_store::Error>
            + Send
            + 'static,
    {
        let (session, practice) = (session.id, session.practice);
        let done = self
            .store
            .write(name, move |tx| {
                tx.lock_prescriber(person)?;
                if tx.lock_session(session)?.is_none() {
                    return Ok(None);
                }
                let Some(it) = enrolment(tx, person, practice, at.now)? else { return Ok(None) };
                if it.step() != wanted {
                    return Ok(Some((Stepped::NotNow, None)));
                }
                let (done, event) = step(tx, &it)?;
                tx.append(&event, at.now)?;
                Ok(Some((done, Some(event))))
            })
            .await?;
        let (done, event) = done.ok_or(Error::SignedOut)?;
        if let Some(event) = &event {
            log(event);
        }
        Ok(done)
    }
}

/// How far somebody has come, from the rows that say so.
pub(crate) fn enrolment(
    tx: &mut Tx<'_>,
    person: PersonId,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Option<Enrolment>, countersign_store::Error> {
    let Some(person) = tx.person(person)? else { return Ok(None) };
    let Some(practice) = tx.practice(practice)? else { return Ok(None) };
    let profile = tx.profile(&person)?.unwrap_or_default();
    let roles = tx.roles_of(person.id)?;
    let prescribes = roles.iter().any(|(_, member)| member.role == Role::Prescriber);
    let mut papers = tx.authorities(practice.id, Some(person.id))?;
    if practice.setting == Setting::Institution {
        papers.extend(tx.authorities(practice.id, None)?);
    }
    let tokens: Vec<Token> = tx.tokens_of(person.id)?.into_iter().map(|row| row.token).collect();
    let case = current_case(tx, person.id)?;
    let again = case.as_ref().is_some_and(|case| case.purpose == CasePurpose::Passphrase);
    let permissions = tx.permissions_of(person.id)?;
    let granted = permissions.iter().any(|(_, row)| row.permission.allows());
    let id = practice.id;
    let here = || permissions.iter().filter(move |(place, _)| *place == id);
    let suspended = here()
        .filter_map(|(_, row)| match row.permission {
            Permission::Revoked { cause, since, .. } => Some((cause, since)),
            Permission::Granted { .. } | Permission::None => None,
        })
        .max_by_key(|(_, since)| *since)
        .filter(|_| !here().any(|(_, row)| row.permission.allows()));
    let waits = |row: &RequestRow| {
        row.person == Some(person.id)
            && row.stage == RequestStage::Entered
            && matches!(row.change, AccessChange::Grant { .. })
    };
    let waiting = if granted && suspended.is_none() {
        None
    } else {
        tx.requests(practice.id, 200)?.into_iter().find(waits)
    };
    let grant_entered = match waiting {
        Some(row) => tx.person(row.entered_by)?.map(|found| found.name),
        None => None,
    };
    let facts = Facts {
        terms: tx.terms_accepted(person.id, TERMS_VERSION)?,
        // The person has looked at it: that is what opens the case.
        personal_data: is_whole(&profile, prescribes, &papers)
            && (case.is_some() || person.passphrase.is_some()),
        // An account of before has been proofed as the operator did it then.
        proofed: case.as_ref().map_or(person.passphrase.is_some(), |case| case.state.is_complete()),
        tokens: u32::try_from(tokens.iter().filter(|token| token.is_active()).count())
            .unwrap_or(u32::MAX),
        passphrase: person.passphrase.is_some() && !again,
        granted: granted || !prescribes,
    };
    let case = case.map(|row| case_view(tx, row, now)).transpose()?;
    let models = tx.token_models()?;
    Ok(Some(Enrolment {
        person,
        practice,
        profile,
        prescribes,
        papers,
        tokens,
        models,
        facts,
        case,
        suspended,
        grant_entered,
    }))
}

/// Whether the personal data is all there: two addresses for notices, a way for a code; and of a
/// prescriber the date of birth, a registration and a licence.
fn is_whole(profile: &Profile, prescribes: bool, papers: &[Authority]) -> bool {
    let addresses = profile.emails.len() + usize::from(!profile.phone.is_empty());
    let way = !profile.phone.is_empty() || !profile.address.is_empty();
    let dea = papers.iter().any(|it| it.paper.dea().is_some());
    let licence = papers.iter().any(|it| matches!(it.paper, Paper::Licence(_)));
    addresses >= 2 && way && (!prescribes || !profile.born.is_empty() && dea && licence)
}

/// A passphrase as somebody chooses it, checked against what is known of the account.
pub fn new_passphrase(
    typed: &SecretText,
    person: &Person,
) -> Result<Passphrase, countersign_domain::PassphraseError> {
    let name = person.sign_in.as_text();
    let own = [person.name.as_str(), name.as_str(), person.practice_name.as_str()];
    Passphrase::choose(typed, &own)
}
