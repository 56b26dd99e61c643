//! Tokens and their events in tables and lists: labels, masked IDs and states.

use super::When;

/// A token's name and masked credential ID.
#[derive(Clone, Debug, Default)]
pub struct TokenLabel {
    /// The name its owner gave it.
    pub name: String,
    /// Its credential ID, masked.
    pub credential: MaskedId,
}

/// A credential ID of which only both ends are shown.
#[derive(Clone, Debug, Default)]
pub struct MaskedId {
    /// The first characters, such as `CNST`; may be empty.
    pub head: String,
    /// The last characters.
    pub tail: String,
}

impl MaskedId {
    /// A masked ID from both of its ends.
    pub fn new(head: impl Into<String>, tail: impl Into<String>) -> Self {
        Self { head: head.into(), tail: tail.into() }
    }
}

/// State of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStatus {
    /// Can be used.
    #[default]
    Active,
    /// Active, but locked for some minutes.
    Locked,
    /// Disabled, and can be enabled again.
    Disabled,
    /// Disabled for good.
    Ended,
}

impl TokenStatus {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Locked => "Locked",
            Self::Disabled => "Disabled",
            Self::Ended => "Permanently disabled",
        }
    }

    /// Class of the mark.
    pub fn class(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::Ended => "ended",
        }
    }

    /// Counts as active, locked or not.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Locked)
    }

    /// Can be enabled again.
    pub fn can_enable(self) -> bool {
        self == Self::Disabled
    }
}

/// A token in a table.
#[derive(Clone, Debug, Default)]
pub struct TokenRow {
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// Name and masked credential ID.
    pub label: TokenLabel,
    /// Manufacturer, as it is shown.
    pub manufacturer: String,
    /// Type, as it is shown.
    pub kind: String,
    /// State.
    pub status: TokenStatus,
    /// More about the state: "14 min left", "Lost".
    pub status_detail: Option<String>,
    /// When it was added.
    pub added: When,
    /// When one of its codes was last accepted.
    pub last_used: Option<When>,
    /// When it was disabled.
    pub disabled: Option<When>,
    /// It waits to be activated for signing.
    pub to_activate: bool,
}

/// Something that happened to a token or an account.
#[derive(Clone, Debug, Default)]
pub struct EventRow {
    /// When.
    pub when: When,
    /// What, in a few words.
    pub what: String,
    /// The token's name, where it is not clear from the page.
    pub token: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// The word before an attempt that was refused or failed.
    pub outcome: Option<&'static str>,
}
