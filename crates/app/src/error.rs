//! What a use case can answer besides what was asked for.

use countersign_domain::Refusal;
use countersign_store::Tx;
use thiserror::Error;

/// What a use case can answer besides what was asked for.
#[derive(Debug, Error)]
pub enum Error {
    /// Refused, with a reason for the right person.
    #[error("{0}")]
    Refused(Refusal),
    /// The session ended meanwhile.
    #[error("the session has ended")]
    SignedOut,
    /// No such thing, or not theirs: never says which.
    #[error("not found")]
    NotFound,
    /// A text holds a NUL character, which can't be stored. Nothing was changed.
    #[error("a text holds a NUL character (U+0000)")]
    NulInText,
    /// Too many wait already; nothing was changed.
    #[error("too busy")]
    Busy,
    /// A passphrase hash ended without an answer. It comes before the decision: nothing was decided.
    #[error("a passphrase hash ended without an answer")]
    HashFailed,
    /// The database is away.
    #[error("not available: {0}")]
    Unavailable(countersign_store::Error),
    /// Nobody knows whether it was done.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(countersign_store::Error),
    /// Our fault.
    #[error("internal: {0}")]
    Internal(countersign_store::Error),
}

impl Error {
    /// Something that this program has written does not read back.
    pub fn unreadable(what: &str) -> Self {
        Self::Internal(Tx::broken(&format!("{what} does not read back")))
    }
}

impl From<countersign_store::Error> for Error {
    fn from(error: countersign_store::Error) -> Self {
        use countersign_store::Error as E;
        match error {
            E::Unavailable(_) | E::Retry => Self::Unavailable(error),
            E::OutcomeUnknown(_) => Self::OutcomeUnknown(error),
            E::NulInText => Self::NulInText,
            other => Self::Internal(other),
        }
    }
}

impl From<countersign_crypto::RngError> for Error {
    fn from(_: countersign_crypto::RngError) -> Self {
        Self::Internal(countersign_store::Error::Crypto)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
