use crate::calendar::instant;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS: i64 = 1_000_000;

impl Timestamp {
    /// The time `micros` microseconds after 1970-01-01 00:00 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch; saturates at the ends of the range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 00:00 UTC, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// This time plus `seconds` (may be negative); saturates.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }

    /// Seconds from this time until `later`, rounded up; zero when `later` has passed.
    pub const fn seconds_until(self, later: Self) -> i64 {
        let micros = later.0.saturating_sub(self.0);
        if micros <= 0 { 0 } else { micros.saturating_add(MICROS - 1) / MICROS }
    }

    /// Year, month, day, hour, minute, second in UTC (proleptic Gregorian calendar). Before the year -9999 and after 9999
    /// it is the first or last moment of that range.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let it = jiff::tz::Offset::UTC.to_datetime(instant(self));
        let part = |part: i8| u32::from(part.unsigned_abs());
        (
            it.year().into(),
            part(it.month()),
            part(it.day()),
            part(it.hour()),
            part(it.minute()),
            part(it.second()),
        )
    }

    /// `2026-05-25 14:03 UTC`, for files, the command line and records.
    pub fn minute_text(self) -> String {
        let (year, month, day, hour, minute, _) = self.civil();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_times() {
        assert_eq!(Timestamp::from_seconds(0).civil(), (1970, 1, 1, 0, 0, 0));
        assert_eq!(Timestamp::from_seconds(1_234_567_890).civil(), (2009, 2, 13, 23, 31, 30));
        assert_eq!(Timestamp::from_seconds(951_782_400).civil(), (2000, 2, 29, 0, 0, 0));
        assert_eq!(Timestamp::from_seconds(-1).civil(), (1969, 12, 31, 23, 59, 59));
        assert_eq!(Timestamp::from_micros(-1).civil(), (1969, 12, 31, 23, 59, 59));
        assert_eq!(Timestamp::from_seconds(-62_135_596_801).civil(), (0, 12, 31, 23, 59, 59));
        assert_eq!(Timestamp::from_micros(i64::MIN).civil().0, -9999);
        assert_eq!(Timestamp::from_micros(i64::MAX).civil().0, 9999);
        assert_eq!(Timestamp::from_seconds(20_000_000_000).minute_text(), "2603-10-11 11:33 UTC");
    }

    #[test]
    fn waiting_is_rounded_up_and_never_negative() {
        let now = Timestamp::from_micros(1);
        assert_eq!(now.seconds_until(Timestamp::from_micros(2)), 1);
        assert_eq!(now.seconds_until(now), 0);
        assert_eq!(now.seconds_until(Timestamp::from_micros(0)), 0);
        assert_eq!(Timestamp::from_micros(i64::MAX).plus_seconds(1).micros(), i64::MAX);
    }
}
