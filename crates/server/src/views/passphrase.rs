//! The change of a passphrase.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, Lock, LockSubject, Menu, NavTab, Page, Problem, SecretField, StepUp,
    problems, step_up_problems,
};

/// Changes the passphrase. Sends `current`, `new`, `again`, `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "passphrase.html")]
pub struct PassphrasePage {
    /// Frame.
    pub page: Page,
    /// The present passphrase.
    pub current: SecretField,
    /// The new one.
    pub new: SecretField,
    /// The new one once more.
    pub again: SecretField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl PassphrasePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("current", "Current passphrase", &self.current.error),
            ("new", "New passphrase", &self.new.error),
            ("again", "Confirm new passphrase", &self.again.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}
