//! Permissions to sign that are taken away at once: after a loss, on leaving, or without a registration in force.

use std::collections::BTreeSet;

use countersign_domain::{
    Actor, AuthorityId, DeadlineId, Event, EventKind, PersonId, PracticeId, RequestId,
    access::{Cause, revoke_now},
    one_business_day_after,
};
use countersign_store::{AccessChange, Authority, Deadline, RequestRow, RequestStage, Tx};

use super::requests::overtake;
use crate::{
    At,
    notices::{Mailer, Note, Notice},
    prescriptions::Practitioner,
};

/// Takes away the permissions that rest on a registration or licence which no longer holds. `asks` is whether a
/// second person is asked to confirm that: somebody said so, and no calendar.
pub(super) fn take_unsupported(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    it: &Authority,
    cause: Cause,
    actor: Actor,
    asks: bool,
    at: At,
) -> Result<(), countersign_store::Error> {
    let holders: BTreeSet<PersonId> = tx
        .permissions(it.practice)?
        .iter()
        .filter(|row| it.person.is_none_or(|person| person == row.person))
        .map(|row| row.person)
        .collect();
    for holder in holders {
        for (practice, row) in tx.permissions_of(holder)? {
            if practice != it.practice || !row.permission.allows() {
                continue;
            }
            let holds = Practitioner::of(tx, holder, practice, at.now)?;
            if holds.is_none_or(|it| it.is_in_force(row.authority)) {
                continue;
            }
            if asks {
                take_away_unasked(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
            } else {
                take_away(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
            }
        }
    }
    Ok(())
}

/// Takes one permission away at once, with its record.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the change")]
pub(super) fn take_away(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    authority: AuthorityId,
    cause: Cause,
    actor: Actor,
    at: At,
) -> Result<bool, countersign_store::Error> {
    // A grant that waits was entered before this was known.
    overtake(tx, holder, at, |row| {
        row.practice == practice
            && row.authority == Some(authority)
            && matches!(row.change, AccessChange::Grant { .. })
    })?;
    let before = tx.permission(holder, practice, authority)?;
    let mut permission = before;
    revoke_now(&mut permission, cause, at.now);
    if permission == before {
        return Ok(false);
    }
    tx.save_permission(holder, practice, authority, &permission)?;
    say_permission(tx, mailer, holder, practice, authority, Some(cause), actor, at)?;
    Ok(true)
}

/// Records a change of a permission, and tells its holder.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the change")]
pub(super) fn say_permission(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    authority: AuthorityId,
    cause: Option<Cause>,
    actor: Actor,
    at: At,
) -> Result<(), countersign_store::Error> {
    let dea = tx.authority(practice, authority)?.and_then(|it| it.paper.dea());
    let dea = dea.map(|number| number.masked()).unwrap_or_default();
    let event = Event::success(EventKind::PermissionChanged, actor, at.support)
        .about(practice, holder)
        .reason(cause.map_or("granted", Cause::code))
        .detail(&dea);
    tx.append(&event, at.now)?;
    let Some(person) = tx.person(holder)? else { return Ok(()) };
    let (note, detail) = match cause {
        None => (Note::PermissionGranted, format!("DEA number {dea}")),
        Some(cause) => (Note::PermissionRevoked, format!("{} ({dea})", cause.label())),
    };
    let notice = Notice { note, practice, detail: &detail, path: "/portal" };
    mailer.tell(tx, &person, &notice, &[], at.now)
}

/// Takes one permission away where nobody entered a change; one is made for the second person, who
/// confirms the record.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the change")]
fn take_away_unasked(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    authority: AuthorityId,
    cause: Cause,
    actor: Actor,
    at: At,
) -> Result<(), countersign_store::Error> {
    if !take_away(tx, mailer, holder, practice, authority, cause, actor, at)? {
        return Ok(());
    }
    let id = RequestId::new(at.now, tx.rng())?;
    tx.create_request(&RequestRow {
        id,
        practice,
        person: Some(holder),
        authority: Some(authority),
        change: AccessChange::Revoke { cause },
        reason: format!("{}: revoked immediately, waiting for confirmation", cause.label()),
        // Whoever reported it; a second person confirms.
        entered_by: match actor {
            Actor::Person(person) => person,
            _ => holder,
        },
        entered: at.now,
        stage: RequestStage::Entered,
        decided: None,
    })
}

/// Takes the permissions of somebody away in one practice, which they leave.
pub(crate) fn leave(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    practice: PracticeId,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let (cause, actor) = (Cause::Left, Actor::Person(by));
    overtake(tx, holder, at, |row| {
        row.practice == practice && matches!(row.change, AccessChange::Grant { .. })
    })?;
    for (place, row) in tx.permissions_of(holder)? {
        if place == practice {
            take_away_unasked(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
        }
    }
    Ok(())
}

/// Takes every permission of somebody away, in all practices at once (21 CFR 1311.125(d); questions A7,
/// A11). Where a token was lost it tells everybody who must know, and starts the clock of one business
/// day (1311.102(b)). A second person confirms the record afterwards.
pub(crate) fn suspend(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    holder: PersonId,
    cause: Cause,
    actor: Actor,
    what: &str,
    at: At,
) -> Result<(), countersign_store::Error> {
    let Some(person) = tx.person(holder)? else { return Ok(()) };
    overtake(tx, holder, at, |row| matches!(row.change, AccessChange::Grant { .. }))?;
    for (practice, row) in tx.permissions_of(holder)? {
        take_away_unasked(tx, mailer, holder, practice, row.authority, cause, actor, at)?;
    }
    if cause != Cause::FactorLost {
        return Ok(());
    }
    let event = Event::success(EventKind::LossReported, actor, at.support)
        .about(person.practice, holder)
        .detail(what);
    tx.append(&event, at.now)?;
    let notice = Notice {
        note: Note::LossReported,
        practice: person.practice,
        detail: what,
        path: "/portal/login",
    };
    mailer.tell(tx, &person, &notice, &[], at.now)?;
    let practices: BTreeSet<PracticeId> =
        tx.roles_of(holder)?.into_iter().map(|(practice, _)| practice).collect();
    for practice in practices {
        let Some(rules) = tx.practice(practice)? else { continue };
        let due = one_business_day_after(at.now, &rules.zone);
        let notice = Notice {
            note: Note::LossForDesignated,
            practice,
            detail: &person.name,
            path: &format!("/practice/{practice}/due"),
        };
        let told = mailer.tell_designated(tx, &notice, Some(holder), at.now)?;
        let id = DeadlineId::new(at.now, tx.rng())?;
        tx.create_deadline(&Deadline {
            id,
            practice,
            person: Some(holder),
            kind: "loss_reported".to_owned(),
            discovered: at.now,
            due,
            done: None,
            note: format!("{told} notices to designated individuals"),
        })?;
    }
    Ok(())
}
