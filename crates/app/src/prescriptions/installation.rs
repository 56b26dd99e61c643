//! What of the installation keeps everybody from signing: gateway, build, clock.

use std::sync::PoisonError;

use countersign_domain::{Actor, Timestamp, command::commands, signing::Installation};

use crate::{
    App, Build, Error,
    command::{Caller, Decision},
};

/// How far the clock may be off, in seconds: five minutes (21 CFR 1311.120(b)(8)).
const MOST_OFFSET_SECONDS: i64 = 300;
/// How long a measurement of the clock counts, in seconds.
const MEASURED_SECONDS: i64 = 3_600;

impl App {
    /// What of this installation decides over signing (R-1311.100-d).
    pub(crate) fn installation(&self, now: Timestamp) -> Installation {
        let options = &self.options;
        let measured = *self.clock_measured.lock().unwrap_or_else(PoisonError::into_inner);
        let right = measured.is_some_and(|(at, offset)| {
            at.seconds_until(now) <= MEASURED_SECONDS && offset.abs() <= MOST_OFFSET_SECONDS
        });
        // A demonstration has no time server, and asks none.
        let trusted = options.demonstration && !options.time_server;
        Installation {
            gateway: options.gateway,
            build: options.build != Build::Unlisted || options.demonstration,
            noncompliant: self.is_noncompliant(),
            clock: right || trusted,
        }
    }

    /// Notes by how many seconds a trusted time server is ahead of this host's clock.
    pub fn clock_was_measured(&self, offset_seconds: i64) {
        let now = self.clock.now();
        let mut measured = self.clock_measured.lock().unwrap_or_else(PoisonError::into_inner);
        *measured = Some((now, offset_seconds));
    }

    /// Puts on record that the operator lets a build sign that nobody certified.
    pub async fn note_unlisted_build(&self) -> Result<(), Error> {
        let at = self.at()?;
        self.run(commands::NOTE_UNLISTED_BUILD, Caller::System, at, |cx| {
            // By its settings the operator has allowed it.
            cx.event.actor = Actor::Operator;
            cx.detail(env!("CARGO_PKG_VERSION"));
            Ok(Decision::Done(()))
        })
        .await?
        .certain()
    }
}
