//! Launch, the two steps of signing in, and signing out.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, AddToken, CaseBox, Lock, LockSubject, Menu, NavTab, NextCode, Page,
    Problem, ReasonField, SecretField, TextField, TokenField, problems,
};

/// Between the EHR and the app.
///
/// The browser leaves out `SameSite=Strict` cookies on the request that comes from the EHR's
/// origin; the refresh of this page starts from our own origin and carries them.
#[derive(Clone, Debug, Template)]
#[template(path = "launch.html")]
pub struct LaunchPage {
    /// Frame.
    pub page: Page,
    /// Where it goes on: on this origin, or at a proofing provider that the operator has set up. Never
    /// taken from the request.
    pub continue_href: String,
}

/// Step 1: NPI and passphrase. Sends `npi`, `passphrase`.
#[derive(Clone, Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// Frame.
    pub page: Page,
    /// The NPI.
    pub npi: TextField,
    /// Name of the prescriber whose NPI the EHR's launch has fixed. The NPI is still sent, from a
    /// read-only field: take it from the session, not from the form.
    pub launched_as: Option<String>,
    /// The passphrase.
    pub passphrase: SecretField,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
    /// They come to report a lost phone.
    pub lost: bool,
}

impl LoginPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("npi", "NPI", &self.npi.error),
            ("passphrase", "Passphrase", &self.passphrase.error),
        ])
    }
}

/// Step 2: a passcode of an active token. Sends `token`, `passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "passcode.html")]
pub struct PasscodePage {
    /// Frame.
    pub page: Page,
    /// The token; set `any`.
    pub token: TokenField,
    /// Its passcode.
    pub passcode: SecretField,
    /// A lock on the chosen token or on sign-in.
    pub lock: Option<Lock>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
}

impl PasscodePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("token", "Token", &self.token.error),
            ("passcode", "Passcode", &self.passcode.error),
        ])
    }
}

/// Reports a token lost at login. Sends `token`, `reason`, `confirmation`.
#[derive(Clone, Debug, Template)]
#[template(path = "lost.html")]
pub struct LostPage {
    /// Frame.
    pub page: Page,
    /// The lost token.
    pub token: TokenField,
    /// Lost, stolen or compromised.
    pub reason: ReasonField,
    /// It is the only active token: the page says what follows, and its one button means it.
    pub last_active: bool,
    /// They prescribe: a loss suspends their permission to sign.
    pub prescribes: bool,
}

impl LostPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("token", "Token", &self.token.error),
            ("reason", "What happened", &self.reason.error),
        ])
    }
}

/// No active token is left; `page.support` says whom to ask.
#[derive(Clone, Debug, Template)]
#[template(path = "no_token.html")]
pub struct NoTokenPage {
    /// Frame.
    pub page: Page,
    /// Where a disabled token can be enabled with its own code, if there is one.
    pub enable_href: Option<String>,
    /// The proofing that is under way.
    pub case: Option<CaseBox>,
    /// The form for a new token, while the proofing lets one be added.
    pub add: Option<AddToken>,
}

impl NoTokenPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = self.case.as_ref().map(CaseBox::problems).unwrap_or_default();
        all.extend(self.add.as_ref().map(AddToken::problems).unwrap_or_default());
        all
    }
}

/// After signing out.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage {
    /// Frame.
    pub page: Page,
}
