//! Settings that take one of a few words, and the connection text of the database.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Which database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatabaseKind {
    /// The embedded default.
    Sqlite,
    /// A server, or several, that speak the protocol of `PostgreSQL`.
    Postgres,
}

/// Where a trusted proxy says whom it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClientAddress {
    /// The header `X-Forwarded-For`.
    XForwardedFor,
    /// The header `Forwarded`.
    Forwarded,
    /// The PROXY protocol.
    ProxyProtocol,
}

/// What happens to a token that is used from the browser which holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SameBrowser {
    /// It is refused.
    Deny,
    /// It is accepted, said and recorded.
    Warn,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Plain text without colors, a line each.
    Text,
}

/// The least important lines that are still written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Faults that need somebody.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens in normal work.
    Info,
    /// And what explains it.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The word in the file, which is also that of a log filter.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A connection text of `PostgreSQL`, which may hold a password: shown and written as `(hidden)`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(pub(super) String);

impl DatabaseUrl {
    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a password stands in it, in any of the forms that clients of `PostgreSQL` read.
    pub(crate) fn has_password(&self) -> bool {
        let lower = self.0.to_ascii_lowercase();
        let after_scheme = lower.split_once("://").map(|(_, rest)| rest);
        let authority = after_scheme.and_then(|rest| rest.split(['/', '?', '#']).next());
        let user = authority.and_then(|text| text.rsplit_once('@')).map(|(user, _)| user);
        // A password may itself hold a slash that was not escaped; then the colon and the `@` tell.
        user.is_some_and(|user| user.contains(':'))
            || after_scheme
                .is_some_and(|rest| rest.split_once('@').is_some_and(|(u, _)| u.contains(':')))
            || lower.contains("password")
    }
}

impl From<&str> for DatabaseUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "(hidden)" })
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "(hidden)" })
    }
}
