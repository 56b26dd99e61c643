//! Checks on a change request: whether it changes anything, waits already, was overtaken, or may not be done.

use std::collections::BTreeSet;

use countersign_domain::{Role, Timestamp, access::Permission};
use countersign_store::{AccessChange, RequestRow, Tx};

use super::matter::still_waits;

/// Whether the same change waits for a second person already. One that something newer has overtaken is never executed,
/// and stands in nobody's way; nor does a report where it still takes something: a permission, or a grant that waits.
pub(super) fn waits_already(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    now: Timestamp,
) -> Result<bool, countersign_store::Error> {
    let mut open = tx.open_requests(row.practice)?;
    open.retain(|it| still_waits(it, now));
    if let (AccessChange::Revoke { .. }, Some(person), Some(authority)) =
        (&row.change, row.person, row.authority)
    {
        let grant_waits = open.iter().any(|it| {
            matches!(it.change, AccessChange::Grant { .. })
                && (it.person, it.authority) == (row.person, row.authority)
        });
        if grant_waits || tx.permission(person, row.practice, authority)?.allows() {
            return Ok(false);
        }
    }
    for it in open.iter().filter(|it| is_same_change(it, row)) {
        if !is_overtaken(tx, it)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether two entries would make one and the same change, whoever entered them, why, and on whichever day registration
/// and license were looked at.
fn is_same_change(one: &RequestRow, other: &RequestRow) -> bool {
    if (one.person, one.authority) != (other.person, other.authority) {
        return false;
    }
    match (&one.change, &other.change) {
        (AccessChange::Grant { .. }, AccessChange::Grant { .. }) => true,
        (AccessChange::Revoke { cause }, AccessChange::Revoke { cause: same }) => cause == same,
        (
            AccessChange::Role { role, unit, give },
            AccessChange::Role { role: same, unit: place, give: given },
        ) => role == same && give == given && (unit.eq_ignore_ascii_case(place) || !give),
        (
            AccessChange::Provider { issuer, accepted, give },
            AccessChange::Provider { issuer: same, accepted: values, give: given },
        ) => issuer == same && give == given && (words(accepted) == words(values) || !give),
        (AccessChange::Paper { paper, .. }, AccessChange::Paper { paper: same, .. }) => {
            paper.parts().map(|part| folded(&part)) == same.parts().map(|part| folded(&part))
        }
        _ => false,
    }
}

/// The words of a text, each once, whatever their order.
fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

/// A number as it is compared: without case, spaces and signs.
fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether all is already as a change would have it.
pub(super) fn changes_nothing(
    tx: &mut Tx<'_>,
    row: &RequestRow,
) -> Result<bool, countersign_store::Error> {
    let standing = |tx: &mut Tx<'_>| match (row.person, row.authority) {
        (Some(person), Some(authority)) => tx.permission(person, row.practice, authority),
        _ => Ok(Permission::None),
    };
    Ok(match &row.change {
        AccessChange::Grant { .. } => standing(tx)?.allows(),
        AccessChange::Revoke { .. } => standing(tx)? == Permission::None,
        AccessChange::Role { role, unit, give } => {
            let has = tx.roles_in(row.practice)?.into_iter().any(|member| {
                Some(member.person) == row.person
                    && member.ended.is_none()
                    && member.role == *role
                    && (member.unit == *unit || !give)
            });
            has == *give
        }
        AccessChange::Provider { issuer, accepted, give } => {
            let listed = tx.providers(row.practice)?;
            let same = listed
                .iter()
                .any(|(known, values)| known == issuer && (values == accepted || !give));
            same == *give
        }
        AccessChange::Paper { paper, .. } => {
            let known = match row.authority {
                Some(id) => tx.authority(row.practice, id)?,
                None => None,
            };
            known.is_some_and(|it| it.withdrawn.is_none() && it.paper == *paper)
        }
    })
}

/// Whether a role that is taken would be nobody's any more, though the practice can't be without it.
pub(super) fn leaves_nobody(
    tx: &mut Tx<'_>,
    row: &RequestRow,
) -> Result<bool, countersign_store::Error> {
    let AccessChange::Role { role, give: false, .. } = &row.change else { return Ok(false) };
    if !matches!(role, Role::Administrator | Role::Designated) {
        return Ok(false);
    }
    let others = tx
        .roles_in(row.practice)?
        .into_iter()
        .any(|it| it.role == *role && it.ended.is_none() && Some(it.person) != row.person);
    Ok(!others)
}

/// Whether what a change is about was changed after it was entered: then it would undo a newer decision.
pub(super) fn is_overtaken(
    tx: &mut Tx<'_>,
    row: &RequestRow,
) -> Result<bool, countersign_store::Error> {
    let authority = match row.authority {
        Some(id) => tx.authority(row.practice, id)?,
        None => None,
    };
    Ok(match &row.change {
        AccessChange::Grant { registration, .. } => {
            let now = authority.map(|it| it.says()).unwrap_or_default();
            !registration.is_empty() && *registration != now
        }
        // The record is confirmed, and what was decided since stands.
        AccessChange::Revoke { .. } => false,
        AccessChange::Role { role, .. } => tx.roles_in(row.practice)?.into_iter().any(|it| {
            Some(it.person) == row.person
                && it.role == *role
                && (it.since > row.entered || it.ended.is_some_and(|at| at > row.entered))
        }),
        AccessChange::Provider { issuer, .. } => {
            tx.provider_changed_after(row.practice, issuer, row.entered)?
        }
        AccessChange::Paper { paper, before } => {
            if let Some(it) = authority {
                it.says() != *before
            } else {
                let all = tx.authorities(row.practice, row.person)?;
                all.iter().any(|it| it.paper.is_same(paper))
            }
        }
    })
}

/// Whether it grants an institution's registration to somebody who has no code there (21 CFR 1311.120(b)(1)(ii)).
pub(super) fn lacks_internal_code(
    tx: &mut Tx<'_>,
    row: &RequestRow,
) -> Result<bool, countersign_store::Error> {
    let (AccessChange::Grant { .. }, Some(person), Some(authority)) =
        (&row.change, row.person, row.authority)
    else {
        return Ok(false);
    };
    let number = tx.authority(row.practice, authority)?.and_then(|it| it.paper.dea());
    // Also where somebody has entered the institution's number as their own.
    let of_institution = number.is_some()
        && tx.authorities(row.practice, None)?.iter().any(|it| it.paper.dea() == number);
    Ok(of_institution && tx.internal_code(row.practice, person)?.is_none())
}
