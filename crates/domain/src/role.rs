/// What somebody does in a practice. Which role may make which change there is one table: [`crate::command`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Prescribes controlled substances.
    Prescriber,
    /// Invites people and keeps their data.
    Administrator,
    /// One of those who set access control (21 CFR 1311.125(a), 1311.130(b)).
    Designated,
    /// The credentialing office of an institution, which proofs in person (1311.110(a)).
    Proofing,
    /// The separate unit that authorizes the issue of credentials (1311.110(b)).
    Issuing,
}

impl Role {
    /// All roles, in the order of declaration.
    pub const ALL: [Self; 5] =
        [Self::Prescriber, Self::Administrator, Self::Designated, Self::Proofing, Self::Issuing];

    /// Stable word for rows and forms.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Prescriber => "prescriber",
            Self::Administrator => "administrator",
            Self::Designated => "designated",
            Self::Proofing => "proofing",
            Self::Issuing => "issuing",
        }
    }

    /// Words for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Prescriber => "Prescriber",
            Self::Administrator => "Administrator",
            Self::Designated => "Access control designee",
            Self::Proofing => "Identity proofing",
            Self::Issuing => "Credential issuer",
        }
    }

    /// The role with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }

    /// Whether two people give it and take it: whoever has it decides over who signs (1311.130(a), (c)), or
    /// opens the signed records and the letters with activation codes.
    pub const fn takes_two(self) -> bool {
        !matches!(self, Self::Prescriber)
    }

    /// Whether it opens the console of the practice.
    pub const fn opens_console(self) -> bool {
        !matches!(self, Self::Prescriber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for role in Role::ALL {
            assert_eq!(Role::from_code(role.code()), Some(role));
            assert!(!role.label().is_empty());
        }
        assert_eq!(Role::from_code("root"), None);
        assert!(Role::Administrator.takes_two() && !Role::Prescriber.takes_two());
        assert!(!Role::Prescriber.opens_console());
    }
}
