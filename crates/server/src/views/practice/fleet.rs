//! The tokens of everybody in a practice, and its fobs.

use askama::Template;

use crate::views::{
    ASSET_VERSION, ChoiceField, Menu, NavTab, Page, Problem, TextField, When, problems,
};

/// Somebody and their tokens.
#[derive(Clone, Debug, Default)]
pub struct FleetLine {
    /// Address of their page.
    pub href: String,
    /// Full name.
    pub name: String,
    /// How many active tokens.
    pub active: usize,
    /// What to look at.
    pub attention: String,
    /// When a token was last used.
    pub last_used: Option<When>,
}

/// The tokens of everybody.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_fleet.html")]
pub struct FleetPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// How many of each kind that needs a look.
    pub sums: Vec<(usize, &'static str)>,
    /// Everybody, those that need a look first.
    pub lines: Vec<FleetLine>,
    /// The fobs of the practice, by the end of their life.
    pub fobs: Vec<FobLine>,
    /// Whoever looks may note that one was sent.
    pub can_enter: bool,
    /// A fob that is free. Sends `fob`.
    pub fob: ChoiceField,
    /// To whom. Sends `person`.
    pub person: ChoiceField,
    /// How. Sends `how`.
    pub how: TextField,
}

impl FleetPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("fob", "Hardware token", &self.fob.error),
            ("person", "To", &self.person.error),
            ("how", "How", &self.how.error),
        ])
    }
}

/// A fob of the stock.
#[derive(Clone, Debug, Default)]
pub struct FobLine {
    /// Serial number, masked.
    pub serial: String,
    /// Model.
    pub model: String,
    /// Where it is: in the drawer, sent, in use, at its end.
    pub state: String,
    /// With which delivery it came.
    pub batch: String,
    /// How many months of its life are left, in words.
    pub left: String,
    /// The end of its life.
    pub ends: When,
}
