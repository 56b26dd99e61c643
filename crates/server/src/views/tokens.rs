//! Token management: the list, one token, and the changes to it.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, AddToken, EventRow, Lock, LockSubject, Menu, NavTab, NextCode,
    NoticeKind, Page, Problem, ReasonField, SecretField, StepUp, TextField, TokenChoice,
    TokenField, TokenLabel, TokenRow, TokenStatus, When, problems, step_up_problems,
};

/// The word that is typed to disable the last active token.
pub const DISABLE_WORD: &str = "DISABLE";

/// Two consecutive codes bring a token's clock back in step. Sends `token` (unless fixed),
/// `passcode1`, `passcode2`.
#[derive(Clone, Debug, Template)]
#[template(path = "resync.html")]
pub struct ResyncPage {
    /// Frame.
    pub page: Page,
    /// Where the form is sent.
    pub action: String,
    /// Where Cancel leads.
    pub back: String,
    /// The token.
    pub token: TokenField,
    /// The code shown first.
    pub passcode1: SecretField,
    /// The code shown after it.
    pub passcode2: SecretField,
    /// A lock on the chosen token or on sign-in.
    pub lock: Option<Lock>,
}

impl ResyncPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("token", "Token", &self.token.error),
            ("passcode1", "First passcode", &self.passcode1.error),
            ("passcode2", "Second passcode", &self.passcode2.error),
        ])
    }
}

/// Enables a disabled token by its own passcode, at login or in token management. Sends `token`
/// (unless fixed) and `passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "enable.html")]
pub struct EnablePage {
    /// Frame.
    pub page: Page,
    /// Where the form is sent.
    pub action: String,
    /// Where Cancel leads.
    pub back: String,
    /// At login, with no active token left.
    pub at_login: bool,
    /// The token.
    pub token: TokenField,
    /// Its passcode.
    pub passcode: SecretField,
    /// A fresh passcode of another, active token, where the policy asks for one.
    pub step_up: Option<StepUp>,
    /// A lock on the token or on sign-in.
    pub lock: Option<Lock>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
}

impl EnablePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("token", "Token", &self.token.error),
            ("passcode", "Passcode from this token", &self.passcode.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// Token management: the table, and the section that adds a token.
#[derive(Clone, Debug, Template)]
#[template(path = "tokens.html")]
pub struct TokensPage {
    /// Frame.
    pub page: Page,
    /// Active tokens whose codes two devices may be showing.
    pub twins: Vec<TokenChoice>,
    /// Tokens that are active or can be enabled again; ended ones are in the history.
    pub tokens: Vec<TokenRow>,
    /// How many active tokens are allowed.
    pub limit: usize,
    /// Prescriptions of the open chart that wait for a signature.
    pub waiting: usize,
    /// The section "Add Two Factor Authentication Token", if it is open.
    pub add: Option<AddToken>,
}

impl TokensPage {
    /// How many tokens are active.
    pub fn active_count(&self) -> usize {
        self.tokens.iter().filter(|token| token.status.is_active()).count()
    }

    fn limit_reached(&self) -> bool {
        self.active_count() >= self.limit
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        self.add.as_ref().map_or_else(Vec::new, AddToken::problems)
    }
}

/// A model of tokens, as the operator has judged it.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    /// Maker and name.
    pub name: String,
    /// FIPS certificate, or "none".
    pub fips: String,
    /// Its codes may sign.
    pub allowed: bool,
    /// The operator's note; may be empty.
    pub note: String,
}

/// One token: facts, name, actions and history. The rename form sends `name`.
#[derive(Clone, Debug, Template)]
#[template(path = "token.html")]
pub struct TokenPage {
    /// Frame.
    pub page: Page,
    /// The token.
    pub token: TokenRow,
    /// Issuer, as it is shown.
    pub issuer: String,
    /// Who added it.
    pub added_by: String,
    /// A word on its clock: "12 seconds fast, allowed for".
    pub clock: Option<String>,
    /// Its model.
    pub model: ModelFacts,
    /// The device it lives on and how that is known: "Phone, checked by the app".
    pub device: String,
    /// It waits for its activation code.
    pub activate: bool,
    /// When its seed was handed to an app of another maker.
    pub seed_left: Option<When>,
    /// The name being changed.
    pub name: TextField,
    /// There is an active token, whose passcode can confirm a change.
    pub can_confirm: bool,
    /// A fresh passcode, where the last one is too old for a change.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
    /// What happened to it, newest first.
    pub events: Vec<EventRow>,
}

impl TokenPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([("name", "Token Name", &self.name.error)]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// Disables a token. Sends `reason`, `confirmation` and, if asked for, the fields of [`StepUp`].
#[derive(Clone, Debug, Template)]
#[template(path = "disable.html")]
pub struct DisablePage {
    /// Frame.
    pub page: Page,
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// The token.
    pub token: TokenLabel,
    /// The reasons.
    pub reason: ReasonField,
    /// It is the only active token, so [`DISABLE_WORD`] must be typed.
    pub last_active: bool,
    /// The word as typed.
    pub confirmation: TextField,
    /// A fresh passcode, where the last one is too old.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl DisablePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("reason", "Reason", &self.reason.error),
            ("confirmation", "Confirmation", &self.confirmation.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// Tests a token without costing a try. Sends `passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "test.html")]
pub struct TestPage {
    /// Frame.
    pub page: Page,
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// The token.
    pub token: TokenLabel,
    /// The code.
    pub passcode: SecretField,
    /// What came out.
    pub result: Option<TestResult>,
    /// A lock on the token.
    pub lock: Option<Lock>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
}

impl TestPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([("passcode", "Passcode", &self.passcode.error)])
    }
}

/// What a test of a token found.
#[derive(Clone, Debug, Default)]
pub struct TestResult {
    /// Works, works with a remark, does not work.
    pub kind: NoticeKind,
    /// In a few words: "This token works."
    pub heading: String,
    /// What it means and what to do.
    pub text: String,
    /// Offers to resynchronize.
    pub offer_resync: bool,
}

/// All tokens ever bound to the prescriber.
#[derive(Clone, Debug, Template)]
#[template(path = "history.html")]
pub struct HistoryPage {
    /// Frame.
    pub page: Page,
    /// All tokens, newest first.
    pub tokens: Vec<TokenRow>,
}
