//! A new phone: what the person has in mind, and what to do.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, ChoiceField, Menu, NavTab, Page, Problem, TokenField, TokenLabel,
    problems,
};

/// A new phone: begins with what the person has in mind. Sends `intent` and `token`.
#[derive(Clone, Debug, Template)]
#[template(path = "phone.html")]
pub struct PhonePage {
    /// Frame.
    pub page: Page,
    /// What the person has in mind.
    pub intent: ChoiceField,
    /// The token on the old phone.
    pub token: TokenField,
    /// What to do, once that was said and no form follows.
    pub steps: Option<PhoneSteps>,
    /// They prescribe: a loss suspends their permission to sign.
    pub prescribes: bool,
}

impl PhonePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("intent", "Your phones", &self.intent.error),
            ("token", "Token on the old phone", &self.token.error),
        ])
    }
}

/// What a person with a new phone is to do where no form follows.
#[derive(Clone, Debug)]
pub enum PhoneSteps {
    /// The new phone is not there yet.
    Getting,
    /// The old phone is gone; its token is named before it is reported lost.
    Report {
        /// The token's ID, as it stands in addresses.
        id: String,
        /// The token.
        token: TokenLabel,
    },
    /// The old phone is gone, and no other token is active.
    NoOther {
        /// The token's ID, as it stands in addresses.
        id: String,
        /// The token.
        token: TokenLabel,
    },
}
