use std::fmt;

use thiserror::Error;

/// What the store can fail with. The caller is told nothing of it; the log is told all.
#[derive(Debug, Error)]
pub enum Error {
    /// A row with this key exists already.
    #[error("a row with this key exists already")]
    Conflict,
    /// A row does not read back as what was written.
    #[error("the value of {column} is damaged{}", .row.map_or_else(String::new, |row| format!(", in row {row}")))]
    Corrupt {
        /// Table and column.
        column: &'static str,
        /// Which row, where it is known. Nothing else of the row is told.
        row: Option<RowId>,
    },
    /// The database can't be reached or does not take writes.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Nobody knows whether the transaction was committed. What it consumed must count as consumed.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// Another transaction was in the way; running this one again may go through.
    #[error("another transaction was in the way")]
    Retry,
    /// A text handed to a statement holds a NUL character, which PostgreSQL can't store. Found on both databases before
    /// the statement runs; whoever sent the text is told.
    #[error("a text holds a NUL character")]
    NulInText,
    /// The driver refused something that should have worked.
    #[error("database driver: {0}")]
    Driver(String),
    /// The schema is not the one that this version works with.
    #[error("{0}")]
    Schema(String),
    /// The master key is not the one that this database was made with.
    #[error(
        "the master key file holds another key ({found}) than the one this database was made with ({wanted}): put the right key file back"
    )]
    WrongKey {
        /// Name of the key in the file.
        found: String,
        /// Name of the key that is needed.
        wanted: String,
    },
    /// The generator or the module failed.
    #[error("the FIPS module failed")]
    Crypto,
}

/// The ID of a row, for whoever looks for it in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowId([u8; 16]);

impl RowId {
    /// The ID in these bytes, if they are one: the length tells it from a hash.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for RowId {
    /// In hexadecimal, as both databases print bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Error {
    /// Damage in a column, of a row that is not known here.
    pub const fn corrupt(column: &'static str) -> Self {
        Self::Corrupt { column, row: None }
    }

    /// The same of a row with this ID.
    pub(crate) fn corrupt_in(column: &'static str, id: &[u8]) -> Self {
        Self::Corrupt { column, row: RowId::of(id) }
    }

    /// The words for an [`Error::Unavailable`], which says already that it is one.
    pub(crate) fn why(self) -> String {
        match self {
            Self::Unavailable(why) => why,
            other => other.to_string(),
        }
    }
}

impl Error {
    /// The fate of a commit, told to another of those who shared it.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            other => Self::OutcomeUnknown(other.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{ErrorCode as Code, ffi};
        match &error {
            rusqlite::Error::SqliteFailure(cause, text) => match cause.code {
                // No key is in the way: a statement was refused, as PostgreSQL says it.
                Code::ConstraintViolation
                    if matches!(
                        cause.extended_code,
                        ffi::SQLITE_CONSTRAINT_TRIGGER | ffi::SQLITE_CONSTRAINT_CHECK
                    ) =>
                {
                    Self::Driver(text.clone().unwrap_or_else(|| error.to_string()))
                }
                Code::ConstraintViolation => Self::Conflict,
                Code::DatabaseBusy | Code::DatabaseLocked => {
                    Self::Unavailable("another process holds it; close that process".into())
                }
                Code::DiskFull => {
                    Self::Unavailable("the disk is full; make room and try again".into())
                }
                Code::ReadOnly => Self::Unavailable(
                    "it is read-only; check the owner and mode of the data folder".into(),
                ),
                Code::CannotOpen => Self::Unavailable(
                    "the file cannot be opened; check path, owner and mode".into(),
                ),
                Code::NotADatabase => Self::Unavailable("the file is not a SQLite database".into()),
                Code::SystemIoFailure => {
                    Self::Unavailable("reading or writing the disk failed".into())
                }
                _ => Self::Driver(text.clone().unwrap_or_else(|| error.to_string())),
            },
            _ => Self::Driver(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => Self::Conflict,
            Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
                Self::Retry
            }
            Some(code)
                if code.code().starts_with("57")
                    || code.code().starts_with("53")
                    || code.code() == "25006" =>
            {
                Self::Unavailable(one_line(&error))
            }
            Some(_) => Self::Driver(one_line(&error)),
            None => Self::Unavailable(one_line(&error)),
        }
    }
}

/// What the server said, or what went wrong on the way to it: the driver's own text leaves that out.
fn one_line(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => said.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

impl From<countersign_crypto::RngError> for Error {
    fn from(_: countersign_crypto::RngError) -> Self {
        Self::Crypto
    }
}
