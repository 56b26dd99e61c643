//! Moments, spans of time, and locks that end by themselves.

use countersign_domain::Timestamp;
pub use countersign_domain::month_in_words;

/// A lock that ends by itself.
#[derive(Clone, Debug)]
pub struct Lock {
    /// What is locked.
    pub subject: LockSubject,
    /// When it ends.
    pub until: Timestamp,
    /// Seconds left.
    pub seconds: u64,
}

impl Lock {
    /// The time left, in words.
    pub fn left(&self) -> String {
        span(self.seconds)
    }
}

/// What a [`Lock`] is on.
#[derive(Clone, Debug)]
pub enum LockSubject {
    /// Sign-in as a whole.
    Account,
    /// Every active token; what ends is the first of their locks.
    AllTokens,
    /// One token.
    Token {
        /// Its name.
        name: String,
        /// There are other active tokens, and they are not locked.
        others_usable: bool,
    },
}

/// The code that was typed can't be used (again); the next one can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextCode {
    /// Seconds until the token shows the next code.
    pub seconds: u64,
}

impl NextCode {
    /// The time left, in words.
    pub fn left(self) -> String {
        span(self.seconds)
    }
}

/// A moment; `Page::time` shows it in the practice's time zone.
#[derive(Clone, Copy, Debug)]
pub struct When(pub Timestamp);

impl Default for When {
    fn default() -> Self {
        Self(Timestamp::from_seconds(0))
    }
}

impl When {
    /// RFC 3339 in UTC, for the `datetime` attribute.
    pub(super) fn machine(self) -> String {
        let (year, month, day, hour, minute, second) = self.0.civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A span of time in words. `portal.js` writes the same form while it counts down.
pub fn span(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, 1) => "1 second".to_owned(),
        (0, s) => format!("{s} seconds"),
        (m, 0) => format!("{m} min"),
        (m, s) => format!("{m} min {s} s"),
    }
}
