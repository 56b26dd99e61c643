//! One rule for when a signed token begins to hold (RFC 7519, 4.1.5 and 4.1.6).

use countersign_domain::Timestamp;
use serde::{Deserialize, Deserializer};

/// Whether a token that was made at `iat` and holds from `nbf` on, where it says so, holds already. Both are seconds
/// since 1970; the other clock may be ahead by so many seconds.
pub fn has_begun(iat: Option<i64>, nbf: Option<i64>, now: Timestamp, skew: i64) -> bool {
    let latest = now.seconds().saturating_add(skew);
    [iat, nbf].into_iter().flatten().all(|begin| begin <= latest)
}

/// Reads a time that may be left out, and is a whole number where it is there: `null` is none.
pub fn if_there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_must_have_come() {
        let now = Timestamp::from_seconds(1_000);
        for (iat, nbf, begun) in [
            (None, None, true),
            (Some(1_030), Some(1_030), true),
            (Some(1_031), None, false),
            (None, Some(1_031), false),
            (Some(900), Some(i64::MAX), false),
            (Some(i64::MIN), Some(i64::MIN), true),
        ] {
            assert_eq!(has_begun(iat, nbf, now, 30), begun, "{iat:?} {nbf:?}");
        }
    }
}
