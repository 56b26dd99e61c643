//! What came of a command, and what it decides inside its transaction.

use std::convert::Infallible;

use countersign_domain::{Refusal, access::AccessRefusal, prescription::StateRefusal};

use crate::{Error, Hindrance};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<D, R> {
    /// It was done.
    Done(D),
    /// It was refused, and nothing but counters changed.
    Refused(R),
    /// A passphrase or passcode that it asks for is missing or was refused; nothing was done.
    NotConfirmed(Refusal),
}

impl<D, R> Answer<D, R> {
    /// The same, with another form of what was done.
    pub fn map<T>(self, done: impl FnOnce(D) -> T) -> Answer<T, R> {
        match self {
            Self::Done(it) => Answer::Done(done(it)),
            Self::Refused(refusal) => Answer::Refused(refusal),
            Self::NotConfirmed(refusal) => Answer::NotConfirmed(refusal),
        }
    }
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone<R> {
    /// It was refused.
    #[error("{0}")]
    Refused(R),
    /// A passphrase or passcode that it asks for is missing or was refused.
    #[error("{0}")]
    NotConfirmed(Refusal),
}

impl<D, R> Answer<D, R> {
    /// What was done, for a caller that shows every other answer as an error.
    ///
    /// # Errors
    ///
    /// Why it was not done.
    pub fn done(self) -> Result<D, NotDone<R>> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refusal) => Err(NotDone::Refused(refusal)),
            Self::NotConfirmed(refusal) => Err(NotDone::NotConfirmed(refusal)),
        }
    }
}

impl<D> Answer<D, Infallible> {
    /// What was done, of a command that is never refused and asks for no factor.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where it asks for one all the same.
    pub(crate) fn certain(self) -> Result<D, Error> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(never) => match never {},
            Self::NotConfirmed(refusal) => Err(Error::Refused(refusal)),
        }
    }
}

impl<D> Answer<D, Refusal> {
    /// The same as a result, for a command whose refusals are all told alike.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the reason.
    pub fn into_result(self) -> Result<D, Error> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refusal) | Self::NotConfirmed(refusal) => Err(Error::Refused(refusal)),
        }
    }
}

impl<D, R> From<Result<D, R>> for Answer<D, R> {
    fn from(result: Result<D, R>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}

/// What a command decides, inside its transaction.
pub(crate) enum Decision<D, R> {
    /// It is done.
    Done(D),
    /// It is refused, for a reason that goes on record.
    Refused(R),
    /// A factor that the command itself looks at is missing or wrong.
    NotConfirmed(Refusal),
    /// What it is about is not there, or not theirs. Never says which.
    NotFound,
}

impl<D, R> Decision<D, R> {
    /// What the domain says.
    pub(crate) fn of(result: Result<D, R>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}

/// A reason that goes on record.
pub trait RefusalCode {
    /// The stable code of the event.
    fn refusal_code(&self) -> &'static str;
}

macro_rules! refusal_codes {
    ($($refusal:ty),* $(,)?) => {
        $(impl RefusalCode for $refusal {
            fn refusal_code(&self) -> &'static str {
                self.code()
            }
        })*
    };
}
refusal_codes!(Refusal, AccessRefusal, StateRefusal, Hindrance);

impl RefusalCode for Infallible {
    fn refusal_code(&self) -> &'static str {
        match *self {}
    }
}
