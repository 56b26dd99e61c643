//! A change of access control that waits for a second person, or was decided on.

use askama::Template;

use crate::views::{
    ANY_TOKEN, ASSET_VERSION, Lock, LockSubject, Menu, NavTab, Page, Problem, SecretField, StepUp,
    TextField, When, problems, step_up_problems,
};

/// A change that waits for a second person, or was decided on.
#[derive(Clone, Debug, Default)]
pub struct RequestLine {
    /// Address of its page.
    pub href: String,
    /// What it does: "Grant: Dr. Ada Moreno may sign".
    pub what: String,
    /// The DEA number, masked.
    pub dea: String,
    /// Why.
    pub reason: String,
    /// Who entered it.
    pub by: String,
    /// When.
    pub when: When,
    /// How far it is.
    pub state: String,
}

/// A change, for the second person. Sends `shown`, `passphrase`, `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_request.html")]
pub struct RequestPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Address of this page.
    pub here: String,
    /// The change.
    pub line: RequestLine,
    /// What is odd about the name of whom it is about; empty where nothing is.
    pub odd_name: &'static str,
    /// What whom it is about signs in with: an NPI in full for whoever decides, else masked.
    pub sign_in: String,
    /// State and schedules of the registration.
    pub registration: String,
    /// The unit of a role, the values of a provider; empty where there is nothing more.
    pub more: String,
    /// The day on which registration and licence were looked at; empty where it is no grant.
    pub verified: String,
    /// Digest of all this, in hexadecimal: what a passcode is bound to.
    pub digest: String,
    /// It waits for a decision.
    pub open: bool,
    /// Why whoever looks can't execute it.
    pub hindrance: Option<String>,
    /// Why it is turned down, for whoever may. Sends `reject_reason`.
    pub reject: Option<TextField>,
    /// They entered it, and may withdraw it.
    pub can_withdraw: bool,
    /// It works already: a permission that was taken away.
    pub works: bool,
    /// What a registration or licence said, and what it is to say; none where it is about something else.
    pub paper: Option<(String, String)>,
    /// The passphrase.
    pub passphrase: SecretField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl RequestPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([("passphrase", "Passphrase", &self.passphrase.error)]);
        if let Some(it) = &self.reject {
            all.extend(problems([("reject_reason", "Reason", &it.error)]));
        }
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}
