//! What two people decide on: a permission, a role, a provider, or a registration or licence.

use super::{Acting, Cause, Subject};
use crate::{AuthorityId, Date, PracticeId, Role};

/// What a request does to a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The first grant, or one after a suspension: there is no shorter way back.
    Grant {
        /// The day on which whoever enters it looked at registration and licence (1311.125(b)).
        verified: Option<Date>,
    },
    /// The permission is revoked, for this cause.
    Revoke(Cause),
}

/// The subject of a request: what two people decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// A permission to sign.
    Permission {
        /// Person, DEA number and location of the permission.
        subject: Subject,
        /// Whether the permission is granted or revoked.
        change: Change,
    },
    /// A role that decides over who signs ([`Role::takes_two`]).
    Role {
        /// The person whose role changes.
        person: Acting,
        /// The practice in which the role holds.
        practice: PracticeId,
        /// The role that is given or taken.
        role: Role,
        /// The unit they work in, for proofing and issuing.
        unit: String,
        /// `true` gives the role, `false` takes it.
        give: bool,
    },
    /// A provider on the list of those whose identity proofing is accepted (question A5).
    Provider {
        /// The practice whose list changes.
        practice: PracticeId,
        /// `OpenID` Connect issuer URL of the provider.
        issuer: String,
        /// The values of `acr` or `ial` that stand for IAL2, with spaces between.
        accepted: String,
        /// Put on the list, or taken off.
        give: bool,
    },
    /// A registration or licence that holds longer, or for more schedules, than it did.
    Paper {
        /// The holder; none for a registration of the institution.
        person: Option<Acting>,
        /// The practice that keeps the registration or license.
        practice: PracticeId,
        /// The registration or license that changes; none for a new one.
        authority: Option<AuthorityId>,
        /// What it is, with its number, and what it says until now.
        before: String,
        /// The new content, in the form of `before`.
        after: String,
    },
}

impl Matter {
    /// Whom it is about, where it is about somebody.
    pub const fn person(&self) -> Option<&Acting> {
        match self {
            Self::Permission { subject, .. } => Some(&subject.person),
            Self::Role { person, .. } => Some(person),
            Self::Paper { person, .. } => person.as_ref(),
            Self::Provider { .. } => None,
        }
    }

    /// Whether it works from the moment in which it was entered, and a second person confirms the record.
    pub const fn works_at_once(&self) -> bool {
        matches!(self, Self::Permission { change: Change::Revoke(_), .. })
    }

    /// Whether it lets somebody do more than before.
    pub const fn gives(&self) -> bool {
        match self {
            Self::Permission { change, .. } => matches!(change, Change::Grant { .. }),
            Self::Role { give, .. } | Self::Provider { give, .. } => *give,
            Self::Paper { .. } => true,
        }
    }

    /// All fields as texts, in a fixed order, for the digest of the request.
    pub(super) fn parts(&self) -> Vec<String> {
        match self {
            Self::Permission { subject, change } => {
                let change = match change {
                    Change::Grant { verified: Some(day) } => format!("grant, verified {day}"),
                    Change::Grant { verified: None } => "grant".to_owned(),
                    Change::Revoke(cause) => format!("revoke, {}", cause.code()),
                };
                vec![
                    "permission".to_owned(),
                    subject.person.person.to_string(),
                    subject.dea.as_text(),
                    subject.registration.clone(),
                    subject.location.to_string(),
                    change,
                ]
            }
            Self::Role { person, practice, role, unit, give } => vec![
                "role".to_owned(),
                person.person.to_string(),
                practice.to_string(),
                role.code().to_owned(),
                unit.clone(),
                give.to_string(),
            ],
            Self::Provider { practice, issuer, accepted, give } => vec![
                "provider".to_owned(),
                practice.to_string(),
                issuer.clone(),
                accepted.clone(),
                give.to_string(),
            ],
            Self::Paper { person, practice, authority, before, after } => vec![
                "paper".to_owned(),
                person.as_ref().map(|it| it.person.to_string()).unwrap_or_default(),
                practice.to_string(),
                authority.map(|it| it.to_string()).unwrap_or_default(),
                before.clone(),
                after.clone(),
            ],
        }
    }
}
