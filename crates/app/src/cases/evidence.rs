//! The evidence of a case, as the domain judges it.

use countersign_domain::{
    Date, Npi, PersonId, PracticeId, Role, Standing, Timestamp,
    identity::{Identity, PersonName, compare},
    proofing::{Assurance, Case, Evidence, InPerson, PhotoId},
};
use countersign_store::{CaseRow, EvidenceRow, Profile, Tx};

use super::provider::provider;

/// A case as the rules see it, with the people as they are now.
pub(super) fn domain_case(
    tx: &mut Tx<'_>,
    row: &CaseRow,
    now: Timestamp,
) -> Result<Case, countersign_store::Error> {
    let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
    let roles = tx.roles_of(row.person)?;
    let evidence = match &row.evidence {
        None => None,
        Some(EvidenceRow::Provider { issuer, assurance, proofed, npi, .. }) => {
            let known = tx.profile(&who)?.unwrap_or_default();
            let listed = provider(tx, row.practice, issuer)?;
            let assurance = listed.as_ref().map_or(Assurance::Lower, |it| it.assurance(assurance));
            let invited = identity(&known, who.sign_in.npi());
            let proofed = identity(proofed, npi.parse().ok());
            let identity = compare(&invited, &proofed);
            Some(Evidence::Provider { assurance, listed: listed.is_some(), identity })
        }
        Some(seen @ EvidenceRow::InPerson { .. }) => {
            in_person(tx, row.practice, seen, now)?.map(Evidence::InPerson)
        }
    };
    let issue = match &row.issue {
        Some((by, unit)) => Some((tx.acting(*by, row.practice, now)?, unit.clone())),
        None => None,
    };
    Ok(Case {
        subject: tx.acting(row.person, row.practice, now)?,
        prescribes: roles.iter().any(|(_, member)| member.role == Role::Prescriber),
        evidence,
        near_match_accepted: row.near,
        address_confirmed: row.address_confirmed.is_some(),
        issue,
    })
}

pub(super) fn identity(of: &Profile, npi: Option<Npi>) -> Identity {
    Identity {
        name: PersonName {
            given: of.given.clone(),
            middle: of.middle.clone(),
            family: of.family.clone(),
            suffix: of.suffix.clone(),
        },
        born: of.born.parse().ok(),
        npi,
        address: Some(of.address.clone()).filter(|address| !address.is_empty()),
    }
}

pub(super) fn in_person(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    seen: &EvidenceRow,
    now: Timestamp,
) -> Result<Option<InPerson>, countersign_store::Error> {
    let EvidenceRow::InPerson {
        by,
        unit,
        id_kind,
        id_last_four,
        id_expires,
        licence,
        registration,
        privileges,
        va_confirmed,
        ..
    } = seen
    else {
        return Ok(None);
    };
    let (Ok(by), Ok(expires)) = (by.parse::<PersonId>(), id_expires.parse::<Date>()) else {
        return Ok(None);
    };
    let standing = |good: bool| if good { Standing::Good } else { Standing::Withdrawn };
    Ok(Some(InPerson {
        by: tx.acting(by, practice, now)?,
        unit: unit.clone(),
        photo_id: PhotoId { kind: id_kind.clone(), last_four: id_last_four.clone(), expires },
        licence: standing(*licence),
        registration: registration.then_some(Standing::Good),
        privileges: *privileges,
        va_confirmed: *va_confirmed,
    }))
}
