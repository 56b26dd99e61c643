//! The activation of a token, and "this was not me".

use askama::Template;

use super::{
    ASSET_VERSION, ChoiceField, Menu, NavTab, Page, Problem, TextField, TokenLabel, When, problems,
};

/// Activates a token for signing. Sends `channel`, or `code`.
#[derive(Clone, Debug, Template)]
#[template(path = "activate.html")]
pub struct ActivatePage {
    /// Frame.
    pub page: Page,
    /// Its ID.
    pub id: String,
    /// The token.
    pub token: TokenLabel,
    /// Ways on which a code can go.
    pub channel: ChoiceField,
    /// The code on its way: how, and until when it is good.
    pub sent: Option<(String, When)>,
    /// The code as typed.
    pub code: TextField,
}

impl ActivatePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("channel", "Send the code by", &self.channel.error),
            ("code", "Activation code", &self.code.error),
        ])
    }
}

/// "This was not me."
#[derive(Clone, Debug, Template)]
#[template(path = "not_me.html")]
pub struct NotMePage {
    /// Frame.
    pub page: Page,
    /// Whose account it is; none where the link does not work.
    pub name: Option<String>,
    /// It was done just now.
    pub done: bool,
    /// Where the form is sent.
    pub action: String,
}
