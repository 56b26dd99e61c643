//! The one place of this program that reads the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_domain::Timestamp;

/// The time of the system clock, to the microsecond.
#[expect(clippy::disallowed_methods, reason = "the edge: the clock is read here and handed down")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
