//! DEA numbers, and the internal codes that an institution adds to its own.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Why a text is no DEA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeaNumberError {
    /// Not two letters and seven digits.
    #[error("A DEA number has two letters and seven digits, such as AB1234563.")]
    Shape,
    /// A first letter that no practitioner has.
    #[error(
        "This DEA number starts with a letter that is not used for practitioners. Check the first letter."
    )]
    NoPractitioner,
    /// The last digit does not fit the others.
    #[error("A character of this DEA number is incorrect. Check it digit by digit.")]
    BadCheckDigit,
    /// What follows the number after a hyphen is no internal code.
    #[error("The internal code after the hyphen must have only letters and digits.")]
    Code,
}

/// What kind of registrant a first letter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrantKind {
    /// A practitioner, a hospital or clinic, a teaching institution, a pharmacy (A, B, F, G).
    Practitioner,
    /// A mid-level practitioner (M).
    MidLevel,
    /// A practitioner of the armed services or of another federal agency (P and R stand for others).
    Exempt,
}

/// A DEA registration number: two letters and seven digits, the last of which is a check digit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeaNumber([u8; 9]);

impl DeaNumber {
    /// The nine characters, unmasked.
    pub fn as_text(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }

    /// `AB•••••63`, for pages and logs.
    pub fn masked(&self) -> String {
        let shown = |at: usize| !(2..7).contains(&at);
        let text = self.as_text();
        text.chars().enumerate().map(|(at, c)| if shown(at) { c } else { '•' }).collect()
    }

    /// The kind of registrant that the first letter stands for.
    pub const fn kind(&self) -> RegistrantKind {
        match self.0[0] {
            b'M' => RegistrantKind::MidLevel,
            _ => RegistrantKind::Practitioner,
        }
    }

    /// Whether the second letter is the initial of this family name, or 9 for a business. Names change
    /// after a registration is issued, so a difference is for a person to look at and no refusal.
    pub fn initial_fits(&self, family_name: &str) -> bool {
        let initial = family_name.chars().find(char::is_ascii_alphabetic);
        self.0[1] == b'9'
            || initial.is_some_and(|c| c.to_ascii_uppercase() == char::from(self.0[1]))
    }
}

impl FromStr for DeaNumber {
    type Err = DeaNumberError;

    /// Spaces, dashes and lower case are forgiven.
    fn from_str(text: &str) -> Result<Self, DeaNumberError> {
        let mut number = [0; 9];
        let mut typed = text.bytes().filter(|b| !matches!(b, b' ' | b'-'));
        if text.len() > 40 {
            return Err(DeaNumberError::Shape);
        }
        for slot in &mut number {
            *slot = typed.next().ok_or(DeaNumberError::Shape)?.to_ascii_uppercase();
        }
        let [first, second, digits @ ..] = number;
        let shaped = first.is_ascii_uppercase()
            && (second.is_ascii_uppercase() || second == b'9')
            && digits.iter().all(u8::is_ascii_digit)
            && typed.next().is_none();
        if !shaped {
            return Err(DeaNumberError::Shape);
        }
        if !matches!(first, b'A' | b'B' | b'F' | b'G' | b'M') {
            return Err(DeaNumberError::NoPractitioner);
        }
        let [d1, d2, d3, d4, d5, d6, d7] = digits.map(|b| b - b'0');
        if (d1 + d3 + d5 + 2 * (d2 + d4 + d6)) % 10 != d7 {
            return Err(DeaNumberError::BadCheckDigit);
        }
        Ok(Self(number))
    }
}

impl fmt::Debug for DeaNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Most characters of an internal code.
const LONGEST_CODE: usize = 15;

/// The text is no internal code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("An internal code has 1 to {LONGEST_CODE} letters and digits, such as 012.")]
pub struct InternalCodeError;

/// The code by which an institution tells apart those who prescribe under its registration (21 CFR 1301.22(c)(5)):
/// letters A to Z and digits. It follows the DEA number after a hyphen, as in `AH5006134-012`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InternalCode(String);

impl InternalCode {
    /// The code, without number and hyphen.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InternalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InternalCode {
    type Err = InternalCodeError;

    /// Lower case and spaces around it are forgiven.
    fn from_str(text: &str) -> Result<Self, InternalCodeError> {
        let text = text.trim();
        let shaped = (1..=LONGEST_CODE).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if shaped { Ok(Self(text.to_ascii_uppercase())) } else { Err(InternalCodeError) }
    }
}

/// The number as it stands on a prescription: with hyphen and internal code where it is an institution's (21 CFR
/// 1301.22(c), 1306.05(g)).
pub fn written_dea(number: DeaNumber, code: Option<&InternalCode>) -> String {
    match code {
        Some(code) => format!("{}-{code}", number.as_text()),
        None => number.as_text(),
    }
}

/// Reads a number as it stands on a prescription, with or without hyphen and internal code.
pub fn read_dea(text: &str) -> Result<(DeaNumber, Option<InternalCode>), DeaNumberError> {
    let text = text.trim();
    // A hyphen within the number itself is forgiven, so that only one behind a whole number begins a code.
    match text.rsplit_once('-').map(|(number, code)| (number.parse(), code)) {
        Some((Ok(number), code)) => {
            Ok((number, Some(code.parse().map_err(|_| DeaNumberError::Code)?)))
        }
        None | Some((Err(DeaNumberError::Shape), _)) => Ok((text.parse()?, None)),
        Some((Err(error), _)) => Err(error),
    }
}
