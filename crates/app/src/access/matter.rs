//! A change request read from its row, with the people as they are now.

use countersign_domain::{
    AuthorityId, PersonId, PracticeId, RequestId, Timestamp,
    access::{AccessRefusal, Change, Matter, REQUEST_DAYS, Request, RequestState, Subject},
};
use countersign_store::{AccessChange, RequestRow, RequestStage, Tx};

use super::{execute::trial, membership::Membership, preconditions::is_overtaken};
use crate::{App, At, Error};

/// A change as its page shows it.
#[derive(Debug, Clone)]
pub struct ChangeRequestView {
    /// The change with the people as they are now.
    pub request: Request,
    /// Its row.
    pub row: RequestRow,
    /// What a passcode that executes it is bound to.
    pub digest: [u8; 32],
    /// Why the person who looks can't execute it; nothing where they can.
    pub hindrance: Option<AccessRefusal>,
}

impl App {
    /// A change as its page shows it.
    pub async fn request(
        &self,
        membership: &Membership,
        id: RequestId,
        at: At,
    ) -> Result<ChangeRequestView, Error> {
        let (person, practice) = (membership.person, membership.practice.clone());
        let found = self
            .store
            .read("request", move |tx| {
                let Some(row) = tx.request(practice.id, id)? else { return Ok(None) };
                let Some(request) = read_request(tx, &row, at.now)? else { return Ok(None) };
                let digest = request.digest();
                let hindrance = trial(tx, &practice, &row, &request, person, digest, at.now)?.err();
                Ok(Some(ChangeRequestView { request, row, digest, hindrance }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }
}

/// Whose permission for which registration; nothing where the person is not of the practice, or the
/// registration is somebody else's.
fn subject(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    person: PersonId,
    authority: AuthorityId,
    now: Timestamp,
) -> Result<Option<Subject>, countersign_store::Error> {
    if !tx.is_member(person, practice)? {
        return Ok(None);
    }
    let Some(authority) = tx.authority(practice, authority)? else { return Ok(None) };
    let theirs = authority.person.is_none_or(|owner| owner == person);
    let Some(dea) = authority.paper.dea().filter(|_| theirs) else { return Ok(None) };
    Ok(Some(Subject {
        person: tx.acting(person, practice, now)?,
        dea,
        registration: authority.says(),
        in_force: authority.holds(now),
        location: practice,
    }))
}

/// Whether a change still waits for a second person.
pub fn still_waits(row: &RequestRow, now: Timestamp) -> bool {
    let runs_out = row.entered.plus_seconds(REQUEST_DAYS * 86_400);
    let works = matches!(row.change, AccessChange::Revoke { .. });
    row.stage == RequestStage::Entered && (works || now < runs_out)
}

/// What a change is about, with the people as they are now; nothing where it is about nobody of the
/// practice.
pub(super) fn matter(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    now: Timestamp,
) -> Result<Option<Matter>, countersign_store::Error> {
    let practice = row.practice;
    let change = match &row.change {
        AccessChange::Grant { verified, .. } => Change::Grant { verified: *verified },
        AccessChange::Revoke { cause } => Change::Revoke(*cause),
        AccessChange::Role { role, unit, give } => {
            let role = Some(*role).filter(|role| role.takes_two());
            let (Some(role), Some(person)) = (role, row.person) else { return Ok(None) };
            // Somebody who is invited is none of the practice yet.
            if !tx.belongs(person, practice)? {
                return Ok(None);
            }
            let person = tx.acting(person, practice, now)?;
            let (unit, give) = (unit.clone(), *give);
            return Ok(Some(Matter::Role { person, practice, role, unit, give }));
        }
        AccessChange::Provider { issuer, accepted, give } => {
            let (issuer, accepted, give) = (issuer.clone(), accepted.clone(), *give);
            return Ok(Some(Matter::Provider { practice, issuer, accepted, give }));
        }
        AccessChange::Paper { paper, before } => {
            if let Some(person) = row.person
                && !tx.belongs(person, practice)?
            {
                return Ok(None);
            }
            let person = match row.person {
                Some(person) => Some(tx.acting(person, practice, now)?),
                None => None,
            };
            let label = paper.full_label();
            let before = if before.is_empty() { "none" } else { before };
            return Ok(Some(Matter::Paper {
                person,
                practice,
                authority: row.authority,
                before: format!("{label}: {before}"),
                after: format!("{label}: {}", paper.says()),
            }));
        }
    };
    let (Some(person), Some(authority)) = (row.person, row.authority) else { return Ok(None) };
    let subject = subject(tx, practice, person, authority, now)?;
    Ok(subject.map(|subject| Matter::Permission { subject, change }))
}

/// Reads a change with the people as they are now.
pub(super) fn read_request(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    now: Timestamp,
) -> Result<Option<Request>, countersign_store::Error> {
    let Some(matter) = matter(tx, row, now)? else { return Ok(None) };
    let state = match (row.stage, row.decided) {
        (RequestStage::Executed, Some((by, at))) => RequestState::Executed { by, at },
        (RequestStage::Rejected, Some((by, at))) => RequestState::Rejected { by, at },
        (RequestStage::Withdrawn, Some((_, at))) => RequestState::Withdrawn { at },
        (RequestStage::Overtaken, _) => RequestState::Overtaken,
        _ => RequestState::Entered,
    };
    Ok(Some(Request {
        id: row.id,
        matter,
        reason: row.reason.clone(),
        entered_by: tx.acting(row.entered_by, row.practice, now)?,
        entered: row.entered,
        state,
        overtaken: is_overtaken(tx, row)?,
    }))
}
