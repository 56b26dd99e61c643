//! The steps of an enrolment: terms, personal data, passphrase, and which one is due.

use countersign_crypto::SecretText;
use countersign_domain::{
    Passphrase, PersonId, PracticeId, ReportId, Role, Timestamp, Token, TokenModel,
    access::{Cause, Permission, Setting},
    command::{Command, commands},
    enrolment::{Facts, Stage as Step, stage},
};
use countersign_store::{
    AccessChange, Authority, CasePurpose, Paper, Person, Practice, Profile, RequestRow,
    RequestStage, Session, Tx,
};

use super::links::enter;
use crate::{
    Answer, App, At, Error, RefusalCode,
    attempts::forget_browsers_and_attempts,
    cases::{CaseView, case_view, current_case, open_case},
    command::{Caller, CommandContext, Decision},
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

/// Why a step of an enrollment is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepRefusal {
    /// Another step is due.
    NotNow,
    /// The 15-minute window for it is over, or has not begun.
    NoWindow,
}

impl RefusalCode for StepRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::NotNow => "another_step",
            Self::NoWindow => "window_over",
        }
    }
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
        report: Option<ReportId>,
        at: At,
    ) -> Result<Answer<(), StepRefusal>, Error> {
        self.enroll(commands::ACCEPT_TERMS, session, Step::Terms, at, move |cx, it| {
            let person = it.person.id;
            cx.tx.accept_terms(person, TERMS_VERSION, at.now)?;
            cx.detail(TERMS_VERSION);
            if let Some(id) = report
                && let Some((report, _)) = cx.tx.report_document(id)?
            {
                cx.tx.review_report(person, id, at.now)?;
                cx.detail(&format!("{TERMS_VERSION}, report {}", report.facts.name));
            }
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Writes what somebody says of themselves, and opens the case of their proofing.
    pub async fn save_personal_data(
        &self,
        session: &Session,
        data: PersonalData,
        at: At,
    ) -> Result<Answer<(), StepRefusal>, Error> {
        self.enroll(commands::SAVE_PERSONAL_DATA, session, Step::PersonalData, at, move |cx, it| {
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
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            tx.save_profile(&it.person, &kept, at.now)?;
            for paper in &data.papers {
                enter(tx, &it.practice, it.person.id, paper, at)?;
            }
            // Who proves their identity again has a case already.
            if it.case.is_none() {
                open_case(tx, mailer, &it.person, it.practice.id, CasePurpose::Enrolment, at)?;
            }
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Chooses the first passphrase, or another one after proofing. The sessions of the enrolment end:
    /// whoever goes on logs in, and sees that all of it works.
    pub async fn choose_passphrase(
        &self,
        session: &Session,
        passphrase: Passphrase,
        at: At,
    ) -> Result<Answer<(), StepRefusal>, Error> {
        let hash = self.hash_new(passphrase).await?;
        self.enroll(commands::CHOOSE_PASSPHRASE, session, Step::Passphrase, at, move |cx, it| {
            if it.window(at.now).is_none() {
                return Ok(Decision::Refused(StepRefusal::NoWindow));
            }
            let (tx, person) = (&mut *cx.tx, it.person.id);
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
            cx.mailer.tell(tx, &it.person, &notice, &[], at.now)?;
            Ok(Decision::Done(()))
        })
        .await
    }

    /// One step of an enrollment: in the session of it, and only while it is the step that is due.
    async fn enroll<F>(
        &self,
        command: Command,
        session: &Session,
        due: Step,
        at: At,
        mut step: F,
    ) -> Result<Answer<(), StepRefusal>, Error>
    where
        F: FnMut(
                &mut CommandContext<'_, '_>,
                &Enrolment,
            ) -> Result<Decision<(), StepRefusal>, countersign_store::Error>
            + Send
            + 'static,
    {
        let practice = session.practice;
        self.run(command, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let Some(it) = enrolment(cx.tx, who.id, practice, at.now)? else {
                return Ok(Decision::NotFound);
            };
            if it.step() != due {
                return Ok(Decision::Refused(StepRefusal::NotNow));
            }
            step(cx, &it)
        })
        .await
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
