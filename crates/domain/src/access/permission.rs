//! A permission to sign: what it is for, whether it is in force, and why it is taken away.

use super::Acting;
use crate::{DeaNumber, PracticeId, Timestamp};

/// What a permission is for: one person, one DEA number, one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The practitioner who may sign.
    pub person: Acting,
    /// Under which DEA number (question A12).
    pub dea: DeaNumber,
    /// What the registration says: state, schedules, last day, and whether it is withdrawn.
    pub registration: String,
    /// The registration is in force.
    pub in_force: bool,
    /// The practice at whose registered location the permission holds.
    pub location: PracticeId,
}

/// Why a permission is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A token or another factor was lost, stolen or compromised (1311.125(d)(1)).
    FactorLost,
    /// The registration or licence has expired (d)(2).
    Expired,
    /// The registration was terminated, revoked or suspended (d)(3).
    Withdrawn,
    /// The person no longer uses the application here (d)(4).
    Left,
    /// The application, or the person's use of it, does not comply (1311.102(g), (h)).
    NonCompliant,
}

impl Cause {
    /// Words for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::FactorLost => "Token or passphrase lost, stolen or compromised",
            Self::Expired => "Registration or license expired",
            Self::Withdrawn => "Registration or license withdrawn",
            Self::Left => "Left the practice",
            Self::NonCompliant => "Not compliant",
        }
    }

    /// The cause with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// All causes, in the order of declaration.
    pub const ALL: [Self; 5] =
        [Self::FactorLost, Self::Expired, Self::Withdrawn, Self::Left, Self::NonCompliant];

    /// Stable word for rows and records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::FactorLost => "factor_lost",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Left => "left",
            Self::NonCompliant => "non_compliant",
        }
    }
}

/// What a second person has said of a permission that was taken away at once (question A8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// No second person has looked at it yet.
    Waiting,
    /// The record is right.
    Confirmed,
    /// The report was a mistake. That gives nothing back: a new grant takes two.
    Mistaken,
}

/// A permission to mark ready and sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The person never had this permission.
    None,
    /// The permission is in force.
    Granted {
        /// The time of the grant.
        since: Timestamp,
        /// The holder executed it: a solo practice (question A9). The daily report says so.
        self_executed: bool,
    },
    /// The permission is revoked.
    Revoked {
        /// Why it was revoked.
        cause: Cause,
        /// The time of the revocation.
        since: Timestamp,
        /// What a second person has said of it.
        review: Review,
    },
}

impl Permission {
    /// Whether its holder may sign, as far as access control goes.
    pub const fn allows(self) -> bool {
        matches!(self, Self::Granted { .. })
    }
}

/// Takes a permission away at once: on one report, or because a cause was found (1311.125(d); question
/// A8). A second person confirms the record afterwards. What was taken away before keeps its cause.
pub fn revoke_now(permission: &mut Permission, cause: Cause, now: Timestamp) {
    if permission.allows() {
        *permission = Permission::Revoked { cause, since: now, review: Review::Waiting };
    }
}
