use std::{borrow::Cow, fmt, str::FromStr};

use thiserror::Error;

/// What kind of device a token lives on (21 CFR 1311.115(a)(3): apart from the one that prescribes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceClass {
    /// A smartphone.
    Phone,
    /// A tablet computer.
    Tablet,
    /// A watch with a browser or an app.
    Watch,
    /// A computer that runs `countersign token`.
    Terminal,
    /// The app did not say on which device it runs.
    #[default]
    Unknown,
}

impl DeviceClass {
    /// All classes, in the order of declaration.
    pub const ALL: [Self; 5] =
        [Self::Phone, Self::Tablet, Self::Watch, Self::Terminal, Self::Unknown];

    /// Stable word for messages and rows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Watch => "watch",
            Self::Terminal => "terminal",
            Self::Unknown => "unknown",
        }
    }

    /// The class with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// Words for a person.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Phone => "Phone",
            Self::Tablet => "Tablet",
            Self::Watch => "Watch",
            Self::Terminal => "Terminal",
            Self::Unknown => "Unknown",
        }
    }
}

/// How the class of the device is known. What an app says of itself is no proof; that a person has
/// seen the device is on record with that person's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceEvidence {
    /// The app looked at the device it runs on.
    Checked,
    /// The app stated it, without a check of the device.
    #[default]
    Stated,
    /// A person with authority has seen the device.
    Attested,
}

impl DeviceEvidence {
    /// All kinds of evidence, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Checked, Self::Stated, Self::Attested];
    /// The kinds of evidence that an app may claim.
    pub const OF_APPS: [Self; 2] = [Self::Checked, Self::Stated];

    /// Stable word for messages and rows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Stated => "stated",
            Self::Attested => "attested",
        }
    }

    /// Words for a person.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Checked => "detected by the app",
            Self::Stated => "not verified",
            Self::Attested => "seen and confirmed in person",
        }
    }

    /// The kind with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Where a token lives, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Device {
    /// Kind of device.
    pub class: DeviceClass,
    /// How that is known.
    pub evidence: DeviceEvidence,
    /// SHA-256 of the mark that was left in the browser which holds the token.
    pub browser: Option<[u8; 32]>,
}

/// The text is no code of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a model code has 1 to 40 lowercase letters, digits and dashes")]
pub struct ModelCodeError;

/// Names a model of tokens: 1 to 40 of `a-z0-9-`. What the model is and whether it may sign stands in
/// a table that the operator edits (21 CFR 1311.115(b)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelCode(Cow<'static, str>);

impl ModelCode {
    /// The Countersign Authenticator, for phone, tablet and watch.
    pub const AUTHENTICATOR: &str = "countersign-authenticator";
    /// Our own soft token for the terminal.
    pub const TERMINAL: &str = "countersign-terminal";
    /// An app that speaks the VIP Access provisioning protocol.
    pub const VIP_ACCESS: &str = "vip-access";
    /// Any other app that took over a seed as an `otpauth` address.
    pub const OTHER: &str = "other-authenticator";
    /// Tokens from before models were recorded.
    pub const UNKNOWN: &str = "unknown";

    /// One of the codes above.
    pub const fn known(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The code: 1 to 40 characters of `a-z0-9-`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelCode {
    type Err = ModelCodeError;

    fn from_str(text: &str) -> Result<Self, ModelCodeError> {
        let ours =
            [Self::AUTHENTICATOR, Self::TERMINAL, Self::VIP_ACCESS, Self::OTHER, Self::UNKNOWN];
        if let Some(code) = ours.into_iter().find(|code| *code == text) {
            return Ok(Self::known(code));
        }
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(ModelCodeError)
        }
    }
}

impl fmt::Display for ModelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for class in DeviceClass::ALL {
            assert_eq!(DeviceClass::from_code(class.code()), Some(class));
        }
        for kind in DeviceEvidence::ALL {
            assert_eq!(DeviceEvidence::from_code(kind.code()), Some(kind));
        }
        assert_eq!(DeviceClass::from_code("desktop"), None);
        assert_eq!(DeviceEvidence::from_code(""), None);
    }

    #[test]
    fn model_codes() {
        for code in [
            ModelCode::AUTHENTICATOR,
            ModelCode::TERMINAL,
            ModelCode::VIP_ACCESS,
            ModelCode::OTHER,
            ModelCode::UNKNOWN,
        ] {
            assert_eq!(code.parse::<ModelCode>().unwrap(), ModelCode::known(code));
        }
        for text in ["", "Upper", "a b", "é", &"x".repeat(41)] {
            assert_eq!(text.parse::<ModelCode>(), Err(ModelCodeError));
        }
    }
}
