//! Cases of identity proofing, for whoever decides in them.

use askama::Template;

use crate::views::{
    ANY_TOKEN, ASSET_VERSION, ChoiceField, Lock, LockSubject, Menu, MissingLine, NavTab, Page,
    Problem, StepUp, TextField, When, problems, step_up_problems,
};

/// A case of proofing in a list.
#[derive(Clone, Debug, Default)]
pub struct CaseLine {
    /// Address of its page.
    pub href: String,
    /// Whose.
    pub name: String,
    /// Why it was opened.
    pub purpose: &'static str,
    /// How far it is.
    pub state: &'static str,
    /// What is missing, in short.
    pub missing: String,
    /// When it was opened.
    pub when: When,
}

/// The cases of a practice.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_cases.html")]
pub struct CasesPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Newest first.
    pub cases: Vec<CaseLine>,
}

/// A case, for whoever decides in it. Sends `decision`, what was seen, and a fresh passcode.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_case.html")]
pub struct CasePage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Address of this page.
    pub here: String,
    /// The case.
    pub line: CaseLine,
    /// What is odd about the name of whom it is about; empty where nothing is.
    pub odd_name: &'static str,
    /// What there is.
    pub facts: Vec<(&'static str, String)>,
    /// What is missing, and who can act.
    pub missing: Vec<MissingLine>,
    /// A near match, part by part: ours, the provider's.
    pub compared: Vec<(&'static str, String, String)>,
    /// How they differ, in words.
    pub differences: Vec<&'static str>,
    /// Whoever looks decides on the near match.
    pub can_near: bool,
    /// Whoever looks proofs in person.
    pub can_proof: bool,
    /// Whoever looks authorizes.
    pub can_issue: bool,
    /// Kind of photo ID. Sends `id_kind`.
    pub id_kind: ChoiceField,
    /// Sends `id_last_four`.
    pub id_last_four: TextField,
    /// Sends `id_expires`.
    pub id_expires: TextField,
    /// Sends `licence`.
    pub licence: TextField,
    /// Sends `registration`.
    pub registration: TextField,
    /// Sends `privileges`.
    pub privileges: TextField,
    /// Sends `va`.
    pub va: ChoiceField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl CasePage {
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("id_kind", "Photo ID", &self.id_kind.error),
            ("id_last_four", "Last four characters of the ID number", &self.id_last_four.error),
            ("id_expires", "ID expiration date", &self.id_expires.error),
            ("licence", "State authorization", &self.licence.error),
            ("registration", "DEA registration", &self.registration.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}
