//! Why access control says no.

use thiserror::Error;

/// Why access control says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AccessRefusal {
    /// Not one of those who set access control here.
    #[error("You are not one of the people who set access control here.")]
    NotDesignated,
    /// A grant without the day on which registration and licence were looked at.
    #[error("Say on which day you looked at the DEA registration and the licence.")]
    NotVerified,
    /// No reason was typed.
    #[error("Say why, in a few words.")]
    NoReason,
    /// The person who entered it, by this or another account.
    #[error(
        "Another person must do this: you entered it, or share an address, telephone, NPI or DEA number with who did."
    )]
    SamePerson,
    /// Nobody knows who they are: no address of theirs is confirmed.
    #[error(
        "First confirm your telephone or postal address by a code: see Addresses. Both people need that."
    )]
    Unconfirmed,
    /// The holder of the permission, by this or another account.
    #[error("Nobody grants a permission to themselves.")]
    OwnPermission,
    /// The holder of the registration or licence, by this or another account.
    #[error("Nobody approves a change of their own registration or licence.")]
    OwnPaper,
    /// The person whose permission was taken away.
    #[error("Nobody decides on a report about themselves.")]
    OwnReport,
    /// The registration is expired or withdrawn.
    #[error("The DEA registration is not in force.")]
    NotInForce,
    /// A newer decision stands against it.
    #[error("Something newer was decided since this was entered. Enter it again.")]
    Overtaken,
    /// A DEA number that stands here for another state, and on which something rests.
    #[error("This number is registered here for another state, and permissions rest on that.")]
    OtherState,
    /// Only the person who entered the request may withdraw it.
    #[error("Only the person who entered it withdraws it.")]
    NotYours,
    /// A permission that is taken away is not given back by withdrawing.
    #[error("This works already. Another person confirms it, or says that it was a mistake.")]
    WorksAlready,
    /// The change would leave the role without anybody.
    #[error("Nobody else would have this role. Give it to somebody else first.")]
    LastOne,
    /// Outside institutions a DEA registrant executes (1311.125(c)).
    #[error("Only a practitioner with a DEA registration in force can do this.")]
    NotRegistrant,
    /// It was executed, rejected, or is too old.
    #[error("This request is no longer open.")]
    NotOpen,
    /// What was confirmed is not what the request says now.
    #[error("The request has changed since it was shown to you. Look at it again.")]
    Changed,
    /// An institution's number, and no internal code of the person (21 CFR 1301.22(c), 1311.120(b)(1)(ii)).
    #[error(
        "Enter the internal code of this person first: the institution's DEA number can't be used without one."
    )]
    NoInternalCode,
    /// The same change was entered before, and nobody has decided on it.
    #[error(
        "The same change already waits for a second person. It is listed on the first page of the console."
    )]
    WaitsAlready,
    /// There is nothing to take away, or to confirm.
    #[error("Nothing to change: the permission is already in that state.")]
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
