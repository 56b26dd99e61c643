//! Who makes tokens, of which kind they are, and the formats of their credential IDs.

use std::str::FromStr;

use super::CredentialIdError;

/// The manufacturer of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manufacturer {
    /// Countersign: tokens of this product.
    Countersign,
    /// Symantec, maker of the VIP tokens.
    Symantec,
    /// `OneSpan`, maker of the Digipass tokens.
    OneSpan,
    /// RSA, maker of the `SecurID` tokens.
    Rsa,
}

impl Manufacturer {
    /// All, in the order of the form.
    pub const ALL: [Self; 4] = [Self::Countersign, Self::Symantec, Self::OneSpan, Self::Rsa];

    /// Stable word for configuration, forms and rows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Countersign => "countersign",
            Self::Symantec => "symantec",
            Self::OneSpan => "onespan",
            Self::Rsa => "rsa",
        }
    }

    /// Name of the company, for pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Countersign => "Countersign",
            Self::Symantec => "Symantec",
            Self::OneSpan => "OneSpan",
            Self::Rsa => "RSA",
        }
    }

    /// What an ID of this maker looks like, for the hint beside the field.
    pub const fn format_hint(self) -> &'static str {
        match self {
            Self::Countersign => "CNST and 8 digits, for example CNST 1234 5674",
            Self::Symantec => {
                "App: SYMC, SYMD, SYMZ, VSMT, VSMB, SYDC, VSST or UBHE and 8 digits. Hardware token: AVT and 9 digits, or FT and 10 digits"
            }
            Self::OneSpan => "7 to 12 digits from the back of the hardware token; dashes are fine",
            Self::Rsa => "9 to 12 digits from the back of the hardware token",
        }
    }
}

impl FromStr for Manufacturer {
    type Err = CredentialIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|m| m.code() == text).ok_or(CredentialIdError::UnknownMaker)
    }
}

/// What kind of device shows the passcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An app on a phone or tablet.
    OtpSoft,
    /// A key fob or card.
    OtpHard,
}

impl TokenKind {
    /// Stable word for forms and rows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OtpSoft => "otp_soft",
            Self::OtpHard => "otp_hard",
        }
    }

    /// The words of the form.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OtpSoft => "OTP SOFT TOKEN",
            Self::OtpHard => "OTP HARD TOKEN",
        }
    }
}

impl FromStr for TokenKind {
    type Err = CredentialIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::OtpSoft, Self::OtpHard]
            .into_iter()
            .find(|k| k.code() == text)
            .ok_or(CredentialIdError::UnknownMaker)
    }
}

/// The shape of the IDs of one family of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialFormat {
    /// Letters in front; empty for IDs of digits only.
    pub prefix: &'static str,
    /// Fewest and most digits after the prefix.
    pub digits: (usize, usize),
    /// The manufacturer of tokens with such IDs.
    pub manufacturer: Manufacturer,
    /// Whether these tokens are software or hardware.
    pub kind: TokenKind,
    /// Whether the last digit is a Luhn check digit over all digits.
    pub check_digit: bool,
    /// Whether the codes follow a counter and not the time.
    pub event_based: bool,
}

const fn format(
    prefix: &'static str,
    digits: usize,
    manufacturer: Manufacturer,
    kind: TokenKind,
) -> CredentialFormat {
    CredentialFormat {
        prefix,
        digits: (digits, digits),
        manufacturer,
        kind,
        check_digit: false,
        event_based: false,
    }
}

/// Every family of IDs that is recognized.
pub const FORMATS: [CredentialFormat; 14] = [
    CredentialFormat {
        check_digit: true,
        ..format("CNST", 8, Manufacturer::Countersign, TokenKind::OtpSoft)
    },
    CredentialFormat {
        check_digit: true,
        ..format("CNHT", 8, Manufacturer::Countersign, TokenKind::OtpHard)
    },
    format("SYMC", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    format("SYMD", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    format("SYMZ", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    format("VSMT", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    format("VSMB", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    format("SYDC", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    format("VSST", 8, Manufacturer::Symantec, TokenKind::OtpSoft),
    // Its codes follow a counter, but it is an app all the same.
    CredentialFormat {
        event_based: true,
        ..format("UBHE", 8, Manufacturer::Symantec, TokenKind::OtpSoft)
    },
    format("AVT", 9, Manufacturer::Symantec, TokenKind::OtpHard),
    format("FT", 10, Manufacturer::Symantec, TokenKind::OtpHard),
    CredentialFormat {
        digits: (7, 12),
        ..format("", 0, Manufacturer::OneSpan, TokenKind::OtpHard)
    },
    CredentialFormat { digits: (9, 12), ..format("", 0, Manufacturer::Rsa, TokenKind::OtpHard) },
];
