//! The commands: everything that changes a state, who may do it, with how fresh a passcode, and which event goes on
//! record.
//!
//! Each command is a constant of [`commands`]. The use cases run by them, `docs/commands.md` is made from them, and tests
//! walk them with every kind of caller.

pub mod commands;

use crate::{EventKind, Role};

pub use commands::COMMANDS;

/// How fresh the last passcode of a session must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUp {
    /// The session is enough: what protects must not wait for a passcode.
    Never,
    /// A passcode is asked for where the last one is older than `policy.step_up_seconds`.
    WhenStale,
    /// A passcode is asked for each time.
    Always,
    /// The command looks at factors of its own, each time: a passphrase, a passcode of a certain token, or both.
    OwnFactors,
}

impl StepUp {
    /// Words for the documentation.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Never => "none",
            Self::WhenStale => "when the last is older than `policy.step_up_seconds`",
            Self::Always => "each time",
            Self::OwnFactors => "factors of its own",
        }
    }

    /// Whether a passcode is asked for before the command runs, in a session whose last one is too old or not.
    pub const fn asks(self, stale: bool) -> bool {
        match self {
            Self::Never | Self::OwnFactors => false,
            Self::WhenStale => stale,
            Self::Always => true,
        }
    }
}

/// Who may run a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Somebody in the administration of a practice with any one of these roles there, signed in with both factors.
    Roles(&'static [Role]),
    /// Anybody with an account, signed in with both factors.
    Full,
    /// Anybody with an account, signed in with the passphrase, also before the passcode.
    Passphrase,
    /// Whoever enrolls, in the session that the link of an invitation began.
    Enrolling,
    /// Whoever has to prove their identity: while enrolling, or signed in with the passphrase.
    Proofing,
    /// Whoever chooses a new passphrase, in the session that two tokens began.
    Resetting,
    /// Whoever an EHR has sent with the chart of a patient.
    Chart,
    /// Any session, whatever its stage.
    Session,
    /// A system with an API key or an access token of a practice.
    Api,
    /// An EHR that proves itself by its own key or its own server.
    Ehr,
    /// Whoever holds the secret link of a message.
    Link,
    /// Anybody: the command looks at what they give.
    Anybody,
    /// Somebody with a shell on the host.
    Operator,
    /// The server itself.
    System,
}

impl Guard {
    /// Words for the documentation.
    pub fn label(self) -> String {
        match self {
            Self::Roles(roles) => {
                let roles: Vec<&str> = roles.iter().map(|role| role.label()).collect();
                roles.join(", or ")
            }
            Self::Full => "owner of the account, both factors".to_owned(),
            Self::Passphrase => "owner of the account, passphrase or both factors".to_owned(),
            Self::Enrolling => "whoever enrolls".to_owned(),
            Self::Proofing => "whoever enrolls, or owner of the account, passphrase".to_owned(),
            Self::Resetting => "owner of two tokens".to_owned(),
            Self::Chart => "user of an EHR, in the chart of a patient".to_owned(),
            Self::Session => "any session".to_owned(),
            Self::Api => "API client of the practice".to_owned(),
            Self::Ehr => "EHR of the practice".to_owned(),
            Self::Link => "holder of a secret link".to_owned(),
            Self::Anybody => "anybody".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::System => "the server".to_owned(),
        }
    }

    /// The roles that it asks for; none where it asks for something else.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Roles(roles) => roles,
            _ => &[],
        }
    }
}

/// Something that changes a state: a line of the table of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// The name of its transaction, its span and its lines in the log: lower case, words joined by `_`.
    pub name: &'static str,
    /// What is done, in words: for the documentation, and for the page that asks for a passcode.
    pub what: &'static str,
    /// What goes on record, also where it was refused.
    pub event: EventKind,
    /// Who may.
    pub may: Guard,
    /// With how fresh a passcode.
    pub step_up: StepUp,
}

impl Command {
    /// Whether somebody with these roles in a practice may. `false` for a command that asks for something else.
    pub fn allows(&self, roles: &[Role]) -> bool {
        self.may.roles().iter().any(|role| roles.contains(role))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_has_a_name_of_its_own_and_somebody_who_may() {
        let names: BTreeSet<&str> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len(), "one name for one command");
        for command in COMMANDS {
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(command.name.chars().all(plain) && !command.name.is_empty(), "{command:?}");
            assert!(!command.what.is_empty() && !command.what.ends_with('.'), "{command:?}");
            if let Guard::Roles(roles) = command.may {
                assert!(!roles.is_empty() && command.allows(roles), "{command:?}");
                assert!(!command.allows(&[]), "{command:?}");
                // Who prescribes and nothing else decides nothing about others.
                assert!(!command.allows(&[Role::Prescriber]), "{command:?}");
            }
        }
    }

    #[test]
    fn only_a_session_can_be_asked_for_a_passcode() {
        for command in COMMANDS {
            let session = matches!(command.may, Guard::Roles(_) | Guard::Full | Guard::Passphrase);
            assert!(session || !command.step_up.asks(true), "{command:?}");
        }
    }

    #[test]
    fn a_stale_session_is_asked() {
        assert!(StepUp::Always.asks(false) && StepUp::WhenStale.asks(true));
        assert!(!StepUp::WhenStale.asks(false) && !StepUp::Never.asks(true));
        assert!(!StepUp::OwnFactors.asks(true));
    }
}
