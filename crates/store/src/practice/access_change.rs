//! What a change of access control asks for, and the forms in which rows keep it.

use countersign_domain::{Date, Role, access::Cause};
use serde::{Deserialize, Serialize};

use super::Paper;

/// What a change that two people make asks for. Whom and which registration it is about stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessChange {
    /// A permission is given.
    Grant {
        /// The day on which registration and license were looked at.
        verified: Option<Date>,
        /// What the registration said then; empty in requests of before that was kept.
        registration: String,
    },
    /// A permission is taken, or its taking is confirmed.
    Revoke {
        /// Why.
        cause: Cause,
    },
    /// A role is given or taken.
    Role {
        /// Which.
        role: Role,
        /// The unit.
        unit: String,
        /// Given.
        give: bool,
    },
    /// A proofing provider is put on the list, or taken off.
    Provider {
        /// Its address.
        issuer: String,
        /// The values that stand for IAL2, with spaces between.
        accepted: String,
        /// Put on.
        give: bool,
    },
    /// A registration or license holds longer, or for more.
    Paper {
        /// What it is to be.
        paper: Paper,
        /// What it said when this was entered; empty where there was none.
        before: String,
    },
}

/// A change as a row keeps it. Each form that was ever written is read; the newest is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Stored {
    Grant {
        /// A day, or empty.
        verified: String,
        /// Not in the first form.
        #[serde(default)]
        registration: String,
    },
    Revoke {
        cause: String,
    },
    Role {
        role: String,
        unit: String,
        give: bool,
    },
    Provider {
        issuer: String,
        accepted: String,
        give: bool,
    },
    Paper {
        /// As [`Paper::parts`] has it.
        paper: [String; 5],
        before: String,
    },
}

impl AccessChange {
    /// Stable word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke",
            Self::Role { .. } => "role",
            Self::Provider { .. } => "provider",
            Self::Paper { .. } => "paper",
        }
    }

    /// The text of a row; none where it can't be written.
    pub(super) fn to_json(&self) -> Option<String> {
        let stored = match self.clone() {
            Self::Grant { verified, registration } => Stored::Grant {
                verified: verified.map(|day| day.to_string()).unwrap_or_default(),
                registration,
            },
            Self::Revoke { cause } => Stored::Revoke { cause: cause.code().to_owned() },
            Self::Role { role, unit, give } => {
                Stored::Role { role: role.code().to_owned(), unit, give }
            }
            Self::Provider { issuer, accepted, give } => {
                Stored::Provider { issuer, accepted, give }
            }
            Self::Paper { paper, before } => Stored::Paper { paper: paper.parts(), before },
        };
        serde_json::to_string(&stored).ok()
    }

    /// The change in the text of a row; none where it is none.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        Some(match serde_json::from_str(text).ok()? {
            Stored::Grant { verified, registration } => {
                let verified = match verified.as_str() {
                    "" => None,
                    day => Some(day.parse().ok()?),
                };
                Self::Grant { verified, registration }
            }
            Stored::Revoke { cause } => Self::Revoke { cause: Cause::from_code(&cause)? },
            Stored::Role { role, unit, give } => {
                Self::Role { role: Role::from_code(&role)?, unit, give }
            }
            Stored::Provider { issuer, accepted, give } => {
                Self::Provider { issuer, accepted, give }
            }
            Stored::Paper { paper, before } => {
                Self::Paper { paper: Paper::of_parts(&paper)?, before }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form that rows have, and whether it is the one that is written today.
    const FIXTURES: [(&str, bool); 8] = [
        (r#"{"kind":"grant","verified":"2026-05-01"}"#, false),
        (
            r#"{"kind":"grant","verified":"2026-05-01","registration":"NE, schedules 2, last day 2027-01-31"}"#,
            true,
        ),
        (r#"{"kind":"grant","verified":"","registration":""}"#, true),
        (r#"{"kind":"revoke","cause":"factor_lost"}"#, true),
        (r#"{"kind":"role","role":"designated","unit":"Pharmacy","give":true}"#, true),
        (
            r#"{"kind":"provider","issuer":"https://proof.example","accepted":"ial2 loa3","give":false}"#,
            true,
        ),
        (
            r#"{"kind":"paper","paper":["licence","4711","NE","","2027-01-31"],"before":"NE, last day 2026-01-31"}"#,
            true,
        ),
        (
            r#"{"kind":"paper","paper":["dea","AB1234563","NE","2 3","2027-01-31"],"before":""}"#,
            false,
        ),
    ];

    #[test]
    fn every_form_that_was_written_is_read() {
        for (text, newest) in FIXTURES {
            let change = AccessChange::from_json(text).unwrap_or_else(|| panic!("{text}"));
            let written = change.to_json().unwrap();
            assert_eq!(AccessChange::from_json(&written).as_ref(), Some(&change), "{text}");
            assert!(!newest || written == text, "{written}");
            assert!(text.contains(&format!(r#""kind":"{}""#, change.kind())));
        }
        let first = AccessChange::from_json(FIXTURES[0].0).unwrap();
        let verified = Some("2026-05-01".parse().unwrap());
        assert_eq!(first, AccessChange::Grant { verified, registration: String::new() });
    }

    #[test]
    fn every_cause_and_role_reads_back() {
        for cause in Cause::ALL {
            let change = AccessChange::Revoke { cause };
            assert_eq!(AccessChange::from_json(&change.to_json().unwrap()), Some(change));
        }
        for role in Role::ALL {
            let change = AccessChange::Role { role, unit: String::new(), give: false };
            assert_eq!(AccessChange::from_json(&change.to_json().unwrap()), Some(change));
        }
    }

    #[test]
    fn what_is_no_change_is_not_taken_for_one() {
        for text in [
            "",
            "{}",
            r#"{"kind":"grant"}"#,
            r#"{"kind":"grant","verified":"soon"}"#,
            r#"{"kind":"revoke","cause":"mood"}"#,
            r#"{"kind":"role","role":"king","unit":"","give":true}"#,
            r#"{"kind":"paper","paper":["licence","4711","XX","","2027-01-31"],"before":""}"#,
        ] {
            assert_eq!(AccessChange::from_json(text), None, "{text}");
        }
    }
}
