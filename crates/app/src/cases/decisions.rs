//! What people of the practice decide about a case.

use countersign_domain::{
    Actor, CaseId, Date, Event, Outcome, PersonId, PracticeId, Purpose, Role, access::Setting,
    console::ConsoleChange, proofing::CaseRefusal,
};
use countersign_store::{CaseRow, EvidenceRow, Session, Tx};

use super::{
    evidence::{domain_case, in_person},
    settle,
};
use crate::{
    App, Asked, At, Confirm, Error, Membership,
    notices::Mailer,
    record,
    sign_in::{passcode_event, verify},
};

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
pub enum Decision {
    /// The person was seen.
    InPerson(Seen),
    /// A near match is this person.
    Near,
    /// A near match is somebody else: what the provider said is put away.
    NotNear,
    /// A credential may be issued.
    Issue,
}

/// Stable code of a refusal, for records.
const fn refusal_code(refusal: CaseRefusal) -> &'static str {
    match refusal {
        CaseRefusal::OwnCase => "own_case",
        CaseRefusal::SameHand => "same_hand",
        CaseRefusal::NotComplete => "case_not_complete",
        CaseRefusal::NothingToDecide => "no_change",
    }
}

impl App {
    /// Decides on a case, with a fresh passcode: an open screen decides nothing.
    pub async fn decide_case(
        &self,
        session: &Session,
        membership: &Membership,
        id: CaseId,
        decision: Decision,
        confirm: Confirm,
        at: At,
    ) -> Result<Asked<Result<(), CaseRefusal>>, Error> {
        let policy = self.options.policy;
        let rule = match decision {
            Decision::InPerson(_) => ConsoleChange::ProofInPerson,
            Decision::Near | Decision::NotNear => ConsoleChange::DecideNear,
            Decision::Issue => ConsoleChange::AuthorizeIssue,
        }
        .rule();
        if !rule.allows(&membership.roles) {
            return Err(Error::NotFound);
        }
        let (person, practice, mailer) =
            (membership.person, membership.practice.clone(), self.mailer());
        let session = session.id;
        let done = self
            .decide("decide_case", person, session, at.now, move |account, tx| {
                let mut event = Event::success(rule.event, Actor::Person(person), at.support);
                event.practice = Some(practice.id);
                let Some(row) = tx.case(practice.id, id)? else {
                    event.outcome = Outcome::Refused;
                    return Ok((Ok(None), event.reason("case_unknown")));
                };
                event.prescriber = Some(row.person);
                let proved = verify(account, confirm.chosen, &confirm.code, at, &policy);
                let passcode = passcode_event(
                    &proved,
                    person,
                    practice.id,
                    confirm.chosen,
                    Purpose::Approve,
                    at,
                );
                record(tx, &account.noted_browser(passcode, at), at.now)?;
                if let Err(refusal) = proved {
                    event.outcome = Outcome::Refused;
                    let event = event.reason(refusal.code());
                    return Ok((Ok(Some(Asked::NotConfirmed(refusal))), event));
                }
                tx.renew_passcode(session, at.now)?;
                let result = decided(tx, &mailer, &practice, row, &decision, person, at)?;
                if let Err(refusal) = &result {
                    event.outcome = Outcome::Refused;
                    event = event.reason(refusal_code(*refusal));
                }
                if let Decision::NotNear = decision {
                    event = event.detail("another person");
                }
                Ok((Ok(Some(Asked::Done(result))), event))
            })
            .await?;
        done.ok_or(Error::NotFound)
    }
}

/// Does what somebody decided.
fn decided(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: &countersign_store::Practice,
    mut row: CaseRow,
    decision: &Decision,
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
        Decision::InPerson(_) if practice.setting == Setting::Practitioners => {
            // Outside institutions an outside provider proofs, and nobody else (21 CFR 1311.105).
            Err(CaseRefusal::NothingToDecide)
        }
        Decision::InPerson(seen) => {
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
        Decision::Near => {
            case.accept_near_match(&by, at.now).map(|()| row.near = Some((person, at.now)))
        }
        Decision::NotNear => case.accept_near_match(&by, at.now).map(|()| {
            row.evidence = None;
            row.near = None;
        }),
        Decision::Issue => case
            .authorize_issue(&by, &unit, today)
            .map(|()| row.issue = case.issue.map(|(by, unit)| (by.person, unit))),
    };
    if result.is_ok() {
        let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
        settle(tx, mailer, &who, &mut row, at)?;
    }
    Ok(result)
}

/// The unit in which somebody does what they decide.
fn unit_of(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    person: PersonId,
    decision: &Decision,
) -> Result<String, countersign_store::Error> {
    let role = if let Decision::Issue = decision { Role::Issuing } else { Role::Proofing };
    let members = tx.roles_of(person)?;
    let found = members.into_iter().find(|(place, it)| *place == practice && it.role == role);
    Ok(found.map(|(_, member)| member.unit).unwrap_or_default())
}
