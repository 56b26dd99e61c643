//! Logical access control: who may sign, set by two people (21 CFR 1311.125, 1311.130).
//!
//! One person enters a grant or a revocation with a reason, in their own time; another executes it with
//! passphrase and passcode, bound to what was shown. What takes a permission away works at once, and the
//! second person confirms the record afterwards; what gives one always takes two first.

mod matter;
mod permission;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

pub use matter::{Change, Matter};
pub use permission::{Cause, Permission, Review, Subject, revoke_now};
pub use refusal::AccessRefusal;
pub use request::{Confirmed, Request, RequestState, enter};

use crate::{PersonId, marks::Marks};

/// How long a request that nobody executed stands, in days. What works already waits for its confirmation without
/// end.
pub const REQUEST_DAYS: i64 = 14;

/// Who a practice is, by which the rules differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Practitioners with registrations of their own (21 CFR 1311.125).
    Practitioners,
    /// An institution with its own registration (21 CFR 1311.130).
    Institution,
}

/// Somebody who acts, as the rules know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acting {
    /// The account of this person.
    pub person: PersonId,
    /// What tells their accounts: all addresses and numbers that are theirs, or were within
    /// [`crate::marks::FORMER_DAYS`].
    pub marks: Marks,
    /// A code came back from a telephone or postal address of theirs. Without that nobody knows who it is, and they
    /// are no second person.
    pub confirmed: bool,
    /// Has a DEA registration that is in force today.
    pub registrant: bool,
    /// Is one of those who set access control at this location.
    pub designated: bool,
}

impl Acting {
    /// Whether two accounts are one person: the same account, or one address or number in common.
    pub fn is(&self, other: &Self) -> bool {
        self.person == other.person || self.marks.meet(&other.marks)
    }
}
