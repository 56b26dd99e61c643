//! Moments, spans of time, and locks that end by themselves.

/// A lock that ends by itself.
#[derive(Clone, Debug)]
pub struct Lock {
    /// What is locked.
    pub subject: LockSubject,
    /// When it ends, as a time of day in UTC; `portal.js` puts the reader's own time in its place.
    pub until: String,
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

/// A moment, for people and for programs.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// As it is shown, in UTC.
    pub text: String,
    /// RFC 3339, for the `datetime` attribute; `portal.js` shows it in the reader's own time zone.
    pub machine: String,
}

impl When {
    /// A moment.
    pub fn new(text: impl Into<String>, machine: impl Into<String>) -> Self {
        Self { text: text.into(), machine: machine.into() }
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
