//! The letters of a practice, and how other messages fared.

use askama::Template;

use crate::views::{ASSET_VERSION, Menu, NavTab, Page, When};

/// A letter that waits for a printer.
#[derive(Clone, Debug, Default)]
pub struct LetterLine {
    /// Its ID.
    pub id: String,
    /// To whom: the name.
    pub to: String,
    /// When it was written.
    pub when: When,
}

/// The letters of a practice, and how other messages fared.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_letters.html")]
pub struct LettersPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Whoever looks may open letters.
    pub can_print: bool,
    /// Letters that wait.
    pub letters: Vec<LetterLine>,
    /// Other messages: when, what, how it ended.
    pub messages: Vec<(When, String, String)>,
}

/// A letter, to be printed.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_letter.html")]
pub struct LetterPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Name and address, in lines.
    pub to: String,
    /// What it says.
    pub text: String,
}
