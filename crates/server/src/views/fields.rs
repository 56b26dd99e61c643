//! Fields of forms, the fresh passcode that confirms a change, and the summary of errors.

use super::TokenLabel;

/// The value of the choice "Any of my tokens" in a [`TokenField`].
pub const ANY_TOKEN: &str = "any";

/// A text field: what was typed and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct TextField {
    /// What was typed.
    pub value: String,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

/// A passphrase or passcode: never holds a value.
#[derive(Clone, Debug, Default)]
pub struct SecretField {
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

/// A drop-down or a list of radio buttons.
#[derive(Clone, Debug, Default)]
pub struct ChoiceField {
    /// The value of the chosen option; empty if none.
    pub value: String,
    /// What can be chosen, in this order.
    pub options: Vec<Choice>,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

impl ChoiceField {
    /// What is shown of the chosen option; empty if none is chosen.
    pub fn chosen(&self) -> &str {
        self.options.iter().find(|it| it.value == self.value).map_or("", |it| it.label.as_str())
    }
}

/// One option of a [`ChoiceField`].
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
}

impl Choice {
    /// An option.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// A reason for disabling a token.
#[derive(Clone, Debug, Default)]
pub struct Reason {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// A line of explanation.
    pub help: Option<String>,
    /// The token can be turned back on.
    pub reversible: bool,
}

/// A list of reasons and the chosen one.
#[derive(Clone, Debug, Default)]
pub struct ReasonField {
    /// The value of the chosen reason; empty if none.
    pub value: String,
    /// What can be chosen, in this order.
    pub options: Vec<Reason>,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

/// Which token is meant: fixed by the address of the page, or chosen from a list.
#[derive(Clone, Debug, Default)]
pub struct TokenField {
    /// The token, where it can't be chosen. Nothing is sent then.
    pub fixed: Option<TokenLabel>,
    /// The tokens that can be chosen.
    pub options: Vec<TokenChoice>,
    /// Offers "Any of my tokens" ([`ANY_TOKEN`]) first.
    pub any: bool,
    /// The chosen token's ID, [`ANY_TOKEN`], or empty.
    pub value: String,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

impl TokenField {
    /// The token that stands there as a text: fixed, or the only one there is.
    pub(super) fn shown(&self) -> Option<&TokenLabel> {
        self.fixed.as_ref().or(self.only().map(|only| &only.label))
    }

    /// The only one that could be chosen; it is sent without asking.
    pub(super) fn only(&self) -> Option<&TokenChoice> {
        match self.options.as_slice() {
            [only] if self.fixed.is_none() => Some(only),
            _ => None,
        }
    }
}

/// One token in a [`TokenField`].
#[derive(Clone, Debug, Default)]
pub struct TokenChoice {
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// Name and masked credential ID.
    pub label: TokenLabel,
    /// A word behind its name, such as "locked".
    pub note: Option<String>,
}

/// A fresh passcode of an active token, asked for again before a change.
///
/// Sent as `stepup_token` and `stepup_passcode`.
#[derive(Clone, Debug, Default)]
pub struct StepUp {
    /// The active token whose code is typed.
    pub token: TokenField,
    /// Its passcode.
    pub passcode: SecretField,
}

/// One line of the summary of errors.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// ID of the field's element.
    pub anchor: &'static str,
    /// The field's name on the page.
    pub label: &'static str,
    /// The error of the field.
    pub text: &'a str,
}

pub(super) fn problems<'a, const N: usize>(
    fields: [(&'static str, &'static str, &'a Option<String>); N],
) -> Vec<Problem<'a>> {
    fields
        .into_iter()
        .filter_map(|(anchor, label, error)| {
            let text = error.as_deref()?;
            Some(Problem { anchor, label, text })
        })
        .collect()
}

pub(super) fn step_up_problems(step_up: Option<&StepUp>) -> Vec<Problem<'_>> {
    step_up.map_or_else(Vec::new, |it| {
        problems([
            ("stepup_token", "Active token", &it.token.error),
            ("stepup_passcode", "Passcode from that token", &it.passcode.error),
        ])
    })
}
