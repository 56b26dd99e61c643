//! What can be changed in the console of a practice: by whom, with how fresh a passcode, and what goes on record.
//!
//! The use cases look here before they do anything, the documentation is made from here, and a test walks the
//! table with every role and with a session whose last passcode is old.

use crate::{EventKind, Role};

/// How fresh the last passcode of a session must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUp {
    /// The session is enough: what protects must not wait for a passcode.
    Never,
    /// A passcode is asked for where the last one is older than `policy.step_up_seconds`.
    WhenStale,
    /// A passcode is asked for each time.
    Always,
}

impl StepUp {
    /// Words for the documentation.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Never => "none",
            Self::WhenStale => "when the last is older than `policy.step_up_seconds`",
            Self::Always => "each time",
        }
    }

    /// Whether a passcode is asked for, in a session whose last one is too old or not.
    pub const fn asks(self, stale: bool) -> bool {
        match self {
            Self::Never => false,
            Self::WhenStale => stale,
            Self::Always => true,
        }
    }
}

/// A change that somebody makes in the console of a practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsoleChange {
    /// A change that two people make is entered.
    EnterRequest,
    /// A permission is taken away; it works at once.
    TakePermission,
    /// The second person executes a change.
    ExecuteRequest,
    /// The second person turns a change down.
    RejectRequest,
    /// Whoever entered a change withdraws it.
    WithdrawRequest,
    /// A registration or license is entered or changed. What extends or widens one on which a permission rests is
    /// entered for a second person, and only the rest works at once.
    EnterPaper,
    /// A registration or license is narrowed, shortened or ended; it works at once.
    NarrowPaper,
    /// The role of a prescriber is given or taken.
    SetPrescriber,
    /// A person is invited.
    Invite,
    /// An invitation is sent again with a new link.
    ResendInvitation,
    /// An invitation is taken back.
    RevokeInvitation,
    /// Somebody is sent a link to prove their identity again.
    ProveAgain,
    /// An identity is proofed in person.
    ProofInPerson,
    /// A near match is decided.
    DecideNear,
    /// The issue of a credential is authorized.
    AuthorizeIssue,
    /// The time zone is changed.
    SetTimeZone,
    /// A model of tokens is refused, or allowed again.
    RefuseModel,
    /// A token of somebody is disabled because it was lost, stolen or compromised.
    DisableLostToken,
    /// A token of somebody is disabled for another reason.
    DisableToken,
    /// It is noted that a fob was handed or mailed to somebody.
    SendFob,
    /// A deadline is noted as met.
    CloseDeadline,
    /// A letter with a code is opened for printing.
    PrintLetter,
    /// Signed records are exported.
    ExportRecords,
    /// A legal hold is placed.
    PlaceHold,
    /// A legal hold is lifted.
    LiftHold,
    /// Somebody is given an internal code for the institution's registration, or loses it.
    SetInternalCode,
    /// The report of the build that runs is acknowledged for the practice.
    AcknowledgeReport,
}

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleRule {
    /// The change to which the line applies.
    pub change: ConsoleChange,
    /// What is done, in words: for the documentation, and for the page that asks for the passcode.
    pub what: &'static str,
    /// Who may, by any one of these roles.
    pub roles: &'static [Role],
    /// With how fresh a passcode.
    pub step_up: StepUp,
    /// What goes on record, also where it was refused.
    pub event: EventKind,
}

const LOOKS_AFTER: &[Role] = &[Role::Administrator, Role::Designated];
const SETS_ACCESS: &[Role] = &[Role::Designated];

const fn rule(
    change: ConsoleChange,
    what: &'static str,
    roles: &'static [Role],
    step_up: StepUp,
    event: EventKind,
) -> ConsoleRule {
    ConsoleRule { change, what, roles, step_up, event }
}

/// Every change that can be made in a console.
pub const CONSOLE_CHANGES: [ConsoleRule; 27] = {
    use ConsoleChange as C;
    use EventKind as E;
    use StepUp::{Always, Never, WhenStale};
    [
        rule(
            C::EnterRequest,
            "Request a change that two people make",
            SETS_ACCESS,
            WhenStale,
            E::RequestEntered,
        ),
        rule(
            C::TakePermission,
            "Revoke a permission to sign",
            SETS_ACCESS,
            WhenStale,
            E::RequestEntered,
        ),
        rule(
            C::ExecuteRequest,
            "Approve a change that another person requested (also the passphrase)",
            SETS_ACCESS,
            Always,
            E::RequestExecuted,
        ),
        rule(
            C::RejectRequest,
            "Reject a change that another person requested",
            SETS_ACCESS,
            Always,
            E::RequestRejected,
        ),
        rule(
            C::WithdrawRequest,
            "Withdraw a change you requested",
            SETS_ACCESS,
            WhenStale,
            E::RequestWithdrawn,
        ),
        rule(
            C::EnterPaper,
            "Enter or change a registration or license",
            LOOKS_AFTER,
            Always,
            E::AuthorityChanged,
        ),
        rule(
            C::NarrowPaper,
            "Reduce, shorten or end a registration or license",
            LOOKS_AFTER,
            Always,
            E::AuthorityChanged,
        ),
        rule(
            C::SetPrescriber,
            "Assign or remove the Prescriber role",
            LOOKS_AFTER,
            Always,
            E::RoleChanged,
        ),
        rule(C::Invite, "Invite a user", LOOKS_AFTER, WhenStale, E::PersonInvited),
        rule(
            C::ResendInvitation,
            "Resend an invitation",
            LOOKS_AFTER,
            WhenStale,
            E::InvitationSentAgain,
        ),
        rule(
            C::RevokeInvitation,
            "Cancel an invitation",
            LOOKS_AFTER,
            Always,
            E::InvitationRevoked,
        ),
        rule(
            C::ProveAgain,
            "Send a user a link to verify their identity again",
            LOOKS_AFTER,
            Always,
            E::PersonInvited,
        ),
        rule(
            C::ProofInPerson,
            "Verify an identity in person",
            &[Role::Proofing],
            Always,
            E::IdentityProofed,
        ),
        rule(
            C::DecideNear,
            "Decide on a name or address mismatch",
            &[Role::Proofing],
            Always,
            E::NearMatchDecided,
        ),
        rule(C::AuthorizeIssue, "Authorize a token", &[Role::Issuing], Always, E::IssueAuthorized),
        rule(C::SetTimeZone, "Change the time zone", LOOKS_AFTER, Always, E::PolicyChanged),
        rule(
            C::RefuseModel,
            "Block a token model, or allow it again",
            SETS_ACCESS,
            Always,
            E::PolicyChanged,
        ),
        rule(
            C::DisableLostToken,
            "Disable a user's lost, stolen or compromised token",
            LOOKS_AFTER,
            Never,
            E::TokenDisabled,
        ),
        rule(
            C::DisableToken,
            "Disable a user's token for another reason",
            LOOKS_AFTER,
            WhenStale,
            E::TokenDisabled,
        ),
        rule(
            C::SendFob,
            "Record that a hardware token was given or mailed to a user",
            LOOKS_AFTER,
            WhenStale,
            E::FobSent,
        ),
        rule(C::CloseDeadline, "Mark a task as done", SETS_ACCESS, Always, E::DeadlineDone),
        rule(
            C::PrintLetter,
            "Open a letter with an activation code",
            &[Role::Administrator, Role::Issuing],
            Always,
            E::LetterPrinted,
        ),
        rule(C::ExportRecords, "Export signed records", LOOKS_AFTER, WhenStale, E::RecordsExported),
        rule(C::PlaceHold, "Place a legal hold", LOOKS_AFTER, Always, E::HoldPlaced),
        rule(C::LiftHold, "Lift a legal hold", LOOKS_AFTER, Always, E::HoldLifted),
        rule(
            C::SetInternalCode,
            "Assign or remove an internal code for the institution's DEA number",
            LOOKS_AFTER,
            Always,
            E::AuthorityChanged,
        ),
        rule(
            C::AcknowledgeReport,
            "Acknowledge the audit or certification report for the practice",
            SETS_ACCESS,
            Always,
            E::ReportAcknowledged,
        ),
    ]
};

impl ConsoleChange {
    /// Its line of the table.
    pub fn rule(self) -> &'static ConsoleRule {
        // Every change has a line: a test walks them. What had none, nobody could do.
        const NOBODY: ConsoleRule =
            rule(ConsoleChange::EnterRequest, "", &[], StepUp::Always, EventKind::RequestRefused);
        CONSOLE_CHANGES.iter().find(|rule| rule.change == self).unwrap_or(&NOBODY)
    }
}

impl ConsoleRule {
    /// Whether somebody with these roles may.
    pub fn allows(&self, roles: &[Role]) -> bool {
        self.roles.iter().any(|role| roles.contains(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_one_line_and_somebody_who_may() {
        for (at, line) in CONSOLE_CHANGES.iter().enumerate() {
            assert_eq!(line.change as usize, at, "in the order of the changes, none twice");
            assert_eq!(line.change.rule(), line);
            assert!(!line.what.is_empty() && line.allows(line.roles));
            assert!(!line.allows(&[]) && !line.allows(&[Role::Prescriber]));
        }
        // The last of the changes: whoever adds one adds its line.
        assert_eq!(ConsoleChange::AcknowledgeReport as usize + 1, CONSOLE_CHANGES.len());
    }

    #[test]
    fn a_stale_session_is_asked() {
        assert!(StepUp::Always.asks(false) && StepUp::WhenStale.asks(true));
        assert!(!StepUp::WhenStale.asks(false) && !StepUp::Never.asks(true));
    }
}
