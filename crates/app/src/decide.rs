//! How an event gets on record and into the log.

use std::time::Duration;

use countersign_domain::{Event, Timestamp, command::Command};
use countersign_store::Tx;

/// Appends an event, and the one that follows from it.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    event: &Event,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    tx.append(event, now)?;
    event.twin().map_or(Ok(()), |twin| tx.append(&twin, now))
}

/// Says in the log what a command came to, under the code that stands on the page, and how long it took from its call to
/// its commit. Neither NPI nor credential ID: the audit event has what the log must not.
pub(crate) fn log_command(command: &Command, event: &Event, took: Duration) {
    let (support, kind, outcome) = (event.support, event.kind.code(), event.outcome.code());
    let (command, reason) = (command.name, event.reason.unwrap_or(""));
    let milliseconds = took.as_millis();
    tracing::info!(%support, command, kind, outcome, reason, milliseconds, "decided");
}

/// Says in the log what was decided, under the code that stands on the page. Neither NPI nor
/// credential ID: the audit event has what the log must not.
pub(crate) fn log(event: &Event) {
    let (support, kind, outcome) = (event.support, event.kind.code(), event.outcome.code());
    tracing::info!(%support, kind, outcome, reason = event.reason.unwrap_or(""), "decided");
}
