//! Notices to the owner of an account: of changes of tokens, and of wrong passcodes.

use countersign_domain::{
    Actor, Event, EventKind, Outcome, PersonId, Timestamp, WRONG_PASSCODES_PER_DAY,
};
use countersign_store::Tx;

use crate::{
    Note,
    notices::{Mailer, Notice},
};

/// Tells the owner of a change, at all their addresses (SP 800-63B, 6.1.2.1).
pub(crate) fn tell_owner(
    mailer: &Mailer,
    event: &Event,
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    if event.actor == Actor::Operator {
        // A token that the operator stops in an emergency is told as a loss.
        return Ok(());
    }
    let note = match (event.kind, event.outcome) {
        (EventKind::TokenAdded, Outcome::Success) => Note::TokenAdded,
        (EventKind::TokenEnabled, Outcome::Success) => Note::TokenEnabled,
        (EventKind::PassphraseChanged, Outcome::Success) => Note::PassphraseChanged,
        // A loss is told by whoever takes the permission away.
        (EventKind::TokenDisabled, Outcome::Success) => Note::TokenDisabled,
        _ => return Ok(()),
    };
    let Some(id) = event.prescriber else { return Ok(()) };
    let Some(person) = tx.person(id)? else { return Ok(()) };
    let token = event.token.map(|id| tx.token_name(id)).transpose()?.flatten();
    let detail = token.unwrap_or_default();
    let practice = event.practice.unwrap_or(person.practice);
    let notice = Notice { note, practice, detail: &detail, path: "/portal" };
    mailer.tell(tx, &person, &notice, &[], now)
}

/// Tells the owner that several wrong codes were typed: how many in a day, where that is the reason.
pub(crate) fn tell_pause(
    mailer: &Mailer,
    prescriber: PersonId,
    day: u32,
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let Some(person) = tx.person(prescriber)? else { return Ok(()) };
    let practice = person.practice;
    let detail = match day {
        WRONG_PASSCODES_PER_DAY.. => format!("{day} in 24 hours"),
        _ => String::new(),
    };
    let notice = Notice { note: Note::TriesFailed, practice, detail: &detail, path: "/portal" };
    mailer.tell(tx, &person, &notice, &[], now)
}

/// How long after it began a day of wrong passcodes is still told, in seconds: two days, for a server that
/// was away.
const TELL_SECONDS: i64 = 2 * 86_400;

/// Tells the owners of accounts with many wrong passcodes in a day, wherever those came from. A check of the
/// API tells nobody itself: how long it takes must not say whose the credential is.
pub(crate) fn tell_wrong_passcodes(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let since = now.plus_seconds(-TELL_SECONDS);
    for (person, count) in tx.wrong_passcodes_untold(WRONG_PASSCODES_PER_DAY, since)? {
        // Two servers look at once; one of them tells.
        if tx.wrong_passcodes_told(person)? {
            tell_pause(mailer, person, count, tx, now)?;
        }
    }
    Ok(())
}
