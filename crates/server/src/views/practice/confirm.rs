//! The fresh passcode before a change in the console.

use askama::Template;

use crate::views::{
    ANY_TOKEN, ASSET_VERSION, Lock, LockSubject, Menu, NavTab, Page, Problem, StepUp,
    step_up_problems,
};

/// Asks for a fresh passcode before a change in the console; what was typed goes along unseen. Sends that again, and
/// `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_confirm.html")]
pub struct ConfirmPage {
    /// Frame.
    pub page: Page,
    /// Where the crumb and "Cancel" lead.
    pub back: String,
    /// Where the form is sent.
    pub action: String,
    /// What is to be done.
    pub what: &'static str,
    /// Whom and what it is about.
    pub about: Vec<(&'static str, String)>,
    /// What was typed: name and value.
    pub fields: Vec<(String, String)>,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl ConfirmPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        step_up_problems(self.step_up.as_ref())
    }
}
