//! Why access control says no.

use thiserror::Error;

/// Why access control says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AccessRefusal {
    /// Not one of those who set access control here.
    #[error("You are not an access control designee at this practice.")]
    NotDesignated,
    /// A grant without the day on which registration and licence were looked at.
    #[error("Enter the date you verified the DEA registration and the license.")]
    NotVerified,
    /// No reason was typed.
    #[error("Enter a short reason.")]
    NoReason,
    /// The person who entered it, by this or another account.
    #[error(
        "Another person must do this: you requested it, or you share an address, phone, NPI or DEA number with the person who did."
    )]
    SamePerson,
    /// Nobody knows who they are: no address of theirs is confirmed.
    #[error(
        "First confirm your phone or mailing address with a code, under Addresses. Both people must do this."
    )]
    Unconfirmed,
    /// The holder of the permission, by this or another account.
    #[error("You can't grant a permission to yourself.")]
    OwnPermission,
    /// The holder of the registration or licence, by this or another account.
    #[error("You can't approve a change to your own registration or license.")]
    OwnPaper,
    /// The person whose permission was taken away.
    #[error("You can't decide on a report about yourself.")]
    OwnReport,
    /// The registration is expired or withdrawn.
    #[error("The DEA registration is not in force.")]
    NotInForce,
    /// A newer decision stands against it.
    #[error("A newer decision was made after this was requested. Request it again.")]
    Overtaken,
    /// A DEA number that stands here for another state, and on which something rests.
    #[error("This number is on file for another state, and permissions depend on it.")]
    OtherState,
    /// Only the person who entered the request may withdraw it.
    #[error("Only the person who requested it can withdraw it.")]
    NotYours,
    /// A permission that is taken away is not given back by withdrawing.
    #[error(
        "This is already in effect. Another person must confirm it or report that it was a mistake."
    )]
    WorksAlready,
    /// The change would leave the role without anybody.
    #[error("No one else has this role. Assign it to another person first.")]
    LastOne,
    /// Outside institutions a DEA registrant executes (1311.125(c)).
    #[error("Only a practitioner with a DEA registration in force can do this.")]
    NotRegistrant,
    /// It was executed, rejected, or is too old.
    #[error("This request is no longer open.")]
    NotOpen,
    /// What was confirmed is not what the request says now.
    #[error("The request has changed since you opened it. Review it again.")]
    Changed,
    /// An institution's number, and no internal code of the person (21 CFR 1301.22(c), 1311.120(b)(1)(ii)).
    #[error(
        "First enter this person's internal code, which is required with the institution's DEA number."
    )]
    NoInternalCode,
    /// The same change was entered before, and nobody has decided on it.
    #[error("The same change is already waiting for approval. See Practice administration.")]
    WaitsAlready,
    /// There is nothing to take away, or to confirm.
    #[error("No changes: the permission already has that status.")]
    NoChange,
}

impl AccessRefusal {
    /// Stable code for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotDesignated => "not_designated",
            Self::NotVerified => "not_verified",
            Self::NoReason => "no_reason",
            Self::SamePerson => "same_person",
            Self::Unconfirmed => "addresses_unconfirmed",
            Self::OwnPermission => "own_permission",
            Self::OwnPaper => "own_paper",
            Self::OwnReport => "own_report",
            Self::NotInForce => "not_in_force",
            Self::Overtaken => "request_overtaken",
            Self::OtherState => "other_state",
            Self::NotYours => "not_yours",
            Self::WorksAlready => "works_already",
            Self::LastOne => "last_one",
            Self::NotRegistrant => "not_registrant",
            Self::NotOpen => "request_not_open",
            Self::Changed => "request_changed",
            Self::NoInternalCode => "internal_code_missing",
            Self::WaitsAlready => "waits_already",
            Self::NoChange => "no_change",
        }
    }
}
