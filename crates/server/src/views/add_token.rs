//! The section that adds a token, and a seed that is shown for an app of another maker.

use askama::Template;
use serde::Serialize;

use super::{
    ANY_TOKEN, ASSET_VERSION, ChoiceField, Lock, LockSubject, Menu, NavTab, NextCode, Page,
    Problem, SecretField, StepUp, TextField, TokenLabel, problems, step_up_problems,
};

/// The section that adds a token. Sends `manufacturer` (empty: go by the ID), `issuer`,
/// `token_type` (empty: go by the ID), `name`, `credential_id`, `otp` and, if asked for, the two
/// fields of [`StepUp`].
#[derive(Clone, Debug, Default)]
pub struct AddToken {
    /// Where the form is sent.
    pub action: String,
    /// Where Cancel leads; nowhere if empty.
    pub back: String,
    /// Token Manufacturer. The choice that is left to the ID is added by the template.
    pub manufacturer: ChoiceField,
    /// A small note on the models that are allowed.
    pub models_note: Option<String>,
    /// A seed may be handed to an app of another maker.
    pub other_app: bool,
    /// The token that goes when this one comes. Sends `replaces`.
    pub replaces: Option<Gone>,
    /// A line under the manufacturer, such as which of them the built-in authority serves.
    pub manufacturer_help: Option<String>,
    /// Token Issuer.
    pub issuer: ChoiceField,
    /// Token Type. The choice that is left to the ID is added by the template.
    pub token_type: ChoiceField,
    /// Token Name.
    pub name: TextField,
    /// Serial Number / Credential ID.
    pub credential_id: TextField,
    /// A device has just been paired: its credential ID is filled in.
    pub paired: bool,
    /// Whether a phone can be paired by picture.
    pub can_pair: bool,
    /// How the ID looks, per manufacturer.
    pub formats: Vec<IdFormat>,
    /// What was found from the ID, after it was sent.
    pub inferred: Option<String>,
    /// The code the new token shows.
    pub otp: SecretField,
    /// A fresh passcode of an active token, where the last one is too old.
    pub step_up: Option<StepUp>,
    /// What a prefix says about manufacturer and type, for `portal.js`.
    pub prefixes: Vec<PrefixRule>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl AddToken {
    pub(super) fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("manufacturer", "Token Manufacturer", &self.manufacturer.error),
            ("issuer", "Token Issuer", &self.issuer.error),
            ("token_type", "Token Type", &self.token_type.error),
            ("name", "Token Name", &self.name.error),
            ("credential_id", "Serial Number / Credential ID", &self.credential_id.error),
            ("otp", "OTP", &self.otp.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }

    /// The prefix rules as a JSON array, for the form's `data-prefixes` attribute.
    pub(super) fn prefixes_json(&self) -> String {
        serde_json::to_string(&self.prefixes).unwrap_or_default()
    }
}

/// The token that goes when another is added.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// Its ID, as it stands in addresses.
    pub token: String,
    /// Name and masked credential ID.
    pub label: TokenLabel,
}

/// Before a seed is shown for an app of another maker. Sends `id` and, if asked for, the fields of
/// [`StepUp`].
#[derive(Clone, Debug, Template)]
#[template(path = "other_app.html")]
pub struct OtherAppPage {
    /// Frame.
    pub page: Page,
    /// The ID of the token to be made.
    pub id: String,
    /// A fresh passcode, where the last one is too old.
    pub step_up: Option<StepUp>,
    /// Why it was not done.
    pub problem: Option<String>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl OtherAppPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        step_up_problems(self.step_up.as_ref())
    }
}

/// Shows a seed, once, and takes the first code. Sends what the form that adds a token sends.
#[derive(Clone, Template)]
#[template(path = "other_app_shown.html")]
pub struct OtherAppShownPage {
    /// Frame.
    pub page: Page,
    /// The QR code as SVG markup of our own making; nothing that was typed is in it.
    pub picture: Option<String>,
    /// The secret, in groups of four.
    pub secret: String,
    /// The credential ID, in groups of four.
    pub credential: String,
    /// The credential ID, as it is sent.
    pub id: String,
}

/// How a manufacturer's credential IDs look.
#[derive(Clone, Debug, Default)]
pub struct IdFormat {
    /// Manufacturer, as it is shown.
    pub manufacturer: String,
    /// The format in words: "SYMC and 8 digits".
    pub text: String,
}

/// What the beginning of a credential ID says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PrefixRule {
    /// The first characters, upper case.
    pub prefix: String,
    /// Value of the manufacturer's option.
    pub manufacturer: String,
    /// Value of the type's option; empty if the prefix does not say.
    #[serde(rename = "type")]
    pub token_type: String,
}
