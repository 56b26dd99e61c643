//! What people of the practice decide about a case.

use countersign_domain::{
    CaseId, Date, PersonId, PracticeId, Role, access::Setting, command::commands,
    proofing::CaseRefusal,
};
use countersign_store::{CaseRow, EvidenceRow, Tx};

use super::{
    evidence::{domain_case, in_person},
    save_and_complete,
};
use crate::command::{Caller, CommandContext, Decision};
use crate::{Act, Answer, RefusalCode};
use crate::{App, At, Confirm, Error, notices::Mailer};

/// What the credentialing office has seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The kind of photo ID.
    pub id_kind: String,
    /// The last four characters of its number.
    pub id_last_four: String,
    /// Its last day.
    pub id_expires: Date,
    /// State authority was looked at and is in force.
    pub licence: bool,
    /// The registration was looked at and is in force.
    pub registration: bool,
    /// Privileges under the institution's registration.
    pub privileges: bool,
    /// For Veterans Affairs: the appointment was confirmed.
    pub va_confirmed: Option<bool>,
}

/// What somebody decides on in a case.
#[derive(Debug, Clone)]
pub enum CaseDecision {
    /// The person was seen.
    InPerson(Seen),
    /// A near match is this person.
    Near,
    /// A near match is somebody else: what the provider said is put away.
    NotNear,
    /// A credential may be issued.
    Issue,
}

impl RefusalCode for CaseRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::OwnCase => "own_case",
            Self::SameHand => "same_hand",
            Self::NotComplete => "case_not_complete",
            Self::NothingToDecide => "no_change",
        }
    }
}

impl App {
    /// Decides on a case, with a fresh passcode: an open screen decides nothing.
    pub async fn decide_case(
        &self,
        act: Act,
        id: CaseId,
        decision: CaseDecision,
        at: At,
    ) -> Result<Answer<(), CaseRefusal>, Error> {
        let command = match decision {
            CaseDecision::InPerson(_) => commands::PROOF_IN_PERSON,
            CaseDecision::Near | CaseDecision::NotNear => commands::DECIDE_NEAR,
            CaseDecision::Issue => commands::AUTHORIZE_ISSUE,
        };
        let (person, practice) = (act.membership.person, act.membership.practice.clone());
        let place = practice.id;
        let check = move |cx: &mut CommandContext<'_, '_>, _: Option<&Confirm>| {
            let Some(row) = cx.tx.case(place, id)? else { return Ok(Some(Decision::NotFound)) };
            cx.about(row.person);
            Ok(None)
        };
        self.run_checked(command, Caller::Member(Box::new(act)), at, check, move |cx| {
            let Some(row) = cx.tx.case(practice.id, id)? else { return Ok(Decision::NotFound) };
            if let CaseDecision::NotNear = decision {
                cx.detail("another person");
            }
            let done = decided(cx.tx, cx.mailer, &practice, row, &decision, person, at)?;
            Ok(Decision::of(done))
        })
        .await
    }
}

/// Does what somebody decided.
fn decided(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: &countersign_store::Practice,
    mut row: CaseRow,
    decision: &CaseDecision,
    person: PersonId,
    at: At,
) -> Result<Result<(), CaseRefusal>, countersign_store::Error> {
    if !row.state.is_open() {
        return Ok(Err(CaseRefusal::NothingToDecide));
    }
    let by = tx.acting(person, practice.id, at.now)?;
    let unit = unit_of(tx, practice.id, person, decision)?;
    let today = Date::at(at.now, &practice.zone);
    let mut case = domain_case(tx, &row, at.now)?;
    let result = match decision {
        CaseDecision::InPerson(_) if practice.setting == Setting::Practitioners => {
            // Outside institutions an outside provider proofs, and nobody else (21 CFR 1311.105).
            Err(CaseRefusal::NothingToDecide)
        }
        CaseDecision::InPerson(seen) => {
            let evidence = EvidenceRow::InPerson {
                by: person.to_string(),
                unit,
                id_kind: seen.id_kind.clone(),
                id_last_four: seen.id_last_four.clone(),
                id_expires: seen.id_expires.to_string(),
                licence: seen.licence,
                registration: seen.registration,
                privileges: seen.privileges,
                va_confirmed: seen.va_confirmed,
                at: at.now.micros(),
            };
            let what = in_person(tx, practice.id, &evidence, at.now)?;
            let what = what.ok_or_else(|| Tx::broken("evidence that is none"))?;
            case.proof_in_person(what).map(|()| {
                row.evidence = Some(evidence);
                row.issue = None;
            })
        }
        CaseDecision::Near => {
            case.accept_near_match(&by, at.now).map(|()| row.near = Some((person, at.now)))
        }
        CaseDecision::NotNear => case.accept_near_match(&by, at.now).map(|()| {
            row.evidence = None;
            row.near = None;
        }),
        CaseDecision::Issue => case
            .authorize_issue(&by, &unit, today)
            .map(|()| row.issue = case.issue.map(|(by, unit)| (by.person, unit))),
    };
    if result.is_ok() {
        let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
        save_and_complete(tx, mailer, &who, &mut row, at)?;
    }
    Ok(result)
}

/// The unit in which somebody does what they decide.
fn unit_of(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    person: PersonId,
    decision: &CaseDecision,
) -> Result<String, countersign_store::Error> {
    let role = if let CaseDecision::Issue = decision { Role::Issuing } else { Role::Proofing };
    let members = tx.roles_of(person)?;
    let found = members.into_iter().find(|(place, it)| *place == practice && it.role == role);
    Ok(found.map(|(_, member)| member.unit).unwrap_or_default())
}
