//! Credential IDs: what is printed on a token or shown by it.

mod format;
#[cfg(test)]
mod tests;

pub use format::{CredentialFormat, FORMATS, Manufacturer, TokenKind};

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use countersign_crypto::{Rng, RngError, random_array};
use thiserror::Error;

use crate::npi::{luhn_check_digit, luhn_holds};

/// What is wrong with a typed ID; says which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialIdError {
    /// The text is empty.
    #[error("Enter the credential ID or serial number shown by the token.")]
    Empty,
    /// A character that no ID has.
    #[error("An ID contains only letters and digits. Check what you entered.")]
    BadCharacter,
    /// The letters in front are not those of a token that is known here.
    #[error("The ID prefix is not recognized. Check the first four characters.")]
    UnknownPrefix,
    /// The number of digits is wrong for the letters in front.
    #[error(
        "This type of ID has a different number of digits. Check for a missing or extra digit."
    )]
    WrongLength,
    /// The check digit does not fit.
    #[error("A digit is incorrect. Compare the ID with the token, digit by digit.")]
    BadCheckDigit,
    /// Only digits, and the maker was not chosen.
    #[error("Choose the token manufacturer. It can't be detected from an ID with digits only.")]
    MakerNeeded,
    /// The ID is of another maker than chosen.
    #[error("This ID belongs to a different manufacturer than the one you chose.")]
    OtherMaker,
    /// A maker or type that does not exist.
    #[error("Choose one from the list.")]
    UnknownMaker,
}

/// The public name of a token as printed on it or shown by it, normalized: 7 to 12 of `A-Z0-9`.
///
/// Two are the same if their texts are: that is what is printed on a token, and unique here.
#[derive(Debug, Clone)]
pub struct CredentialId {
    text: Text<MOST>,
    format: usize,
}

/// Characters of the longest ID.
const MOST: usize = 12;
/// Most characters that are looked at: spaces between them do not count.
const MOST_TYPED: usize = 32;

/// A few ASCII letters and digits, kept in place: every check of a passcode reads several.
#[derive(Debug, Clone, Copy)]
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    /// Adds a character; `false` when there is no room.
    fn push(&mut self, byte: u8) -> bool {
        let slot = self.bytes.get_mut(self.length);
        let fits = slot.map(|slot| *slot = byte).is_some();
        self.length += usize::from(fits);
        fits
    }

    fn as_str(&self) -> &str {
        // Only ASCII was pushed.
        self.bytes.get(..self.length).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }
}

impl PartialEq for CredentialId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CredentialId {}

impl PartialOrd for CredentialId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CredentialId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for CredentialId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl CredentialId {
    /// Reads what a person typed: case, spaces, dashes and dots are forgiven, and the letters O, I
    /// and L where only digits can stand. `maker` is needed for IDs of digits alone.
    pub fn parse(typed: &str, maker: Option<Manufacturer>) -> Result<Self, CredentialIdError> {
        let text = clean(typed)?;
        let text = text.as_str();
        if text.is_empty() {
            return Err(CredentialIdError::Empty);
        }
        let (index, digits) = match split_prefix(text) {
            Some(found) => found,
            None => digits_only(text, maker)?,
        };
        let format = FORMATS.get(index).ok_or(CredentialIdError::UnknownPrefix)?;
        if maker.is_some_and(|chosen| chosen != format.manufacturer) {
            return Err(CredentialIdError::OtherMaker);
        }
        let digits = digits.bytes().map(digit_for);
        if !digits.clone().all(|b| b.is_ascii_digit()) {
            return Err(CredentialIdError::BadCharacter);
        }
        if digits.len() < format.digits.0 || digits.len() > format.digits.1 {
            return Err(CredentialIdError::WrongLength);
        }
        if format.check_digit && !luhn_holds(digits.clone().map(|b| b - b'0')) {
            return Err(CredentialIdError::BadCheckDigit);
        }
        let mut id = Self { text: Text::EMPTY, format: index };
        if format.prefix.bytes().chain(digits).all(|byte| id.text.push(byte)) {
            Ok(id)
        } else {
            Err(CredentialIdError::WrongLength)
        }
    }

    /// A new ID of our own: `CNST` or `CNHT`, seven random digits and a check digit.
    pub fn random(kind: TokenKind, rng: &mut dyn Rng) -> Result<Self, RngError> {
        let index = usize::from(kind == TokenKind::OtpHard);
        Self::random_in(index, rng)
    }

    /// A new ID in the family with this prefix, for the built-in authority of another maker's IDs.
    pub fn random_with_prefix(prefix: &str, rng: &mut dyn Rng) -> Result<Option<Self>, RngError> {
        match FORMATS.iter().position(|f| !f.prefix.is_empty() && f.prefix == prefix) {
            Some(index) => Self::random_in(index, rng).map(Some),
            None => Ok(None),
        }
    }

    fn random_in(index: usize, rng: &mut dyn Rng) -> Result<Self, RngError> {
        let format = FORMATS.get(index).ok_or(RngError)?;
        let bytes: [u8; 16] = random_array(rng)?;
        let mut number = u128::from_be_bytes(bytes);
        let mut digits: Vec<u8> = Vec::with_capacity(format.digits.0);
        let random = if format.check_digit { format.digits.0 - 1 } else { format.digits.0 };
        for _ in 0..random {
            digits.push((number % 10) as u8);
            number /= 10;
        }
        if format.check_digit {
            digits.push(luhn_check_digit(digits.iter().copied()));
        }
        let mut id = Self { text: Text::EMPTY, format: index };
        let digits = digits.iter().map(|digit| b'0' + digit);
        if format.prefix.bytes().chain(digits).all(|byte| id.text.push(byte)) {
            Ok(id)
        } else {
            Err(RngError)
        }
    }

    /// The normalized ID: capital letters and digits, without spaces and dashes.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    fn family(&self) -> &'static CredentialFormat {
        // The index was made by this module; the fallback only keeps the compiler from asking for a panic.
        FORMATS.get(self.format).unwrap_or(const { &FORMATS[0] })
    }

    /// The manufacturer that the letters of the ID stand for.
    pub fn manufacturer(&self) -> Manufacturer {
        self.family().manufacturer
    }

    /// Whether the ID is that of software or of hardware.
    pub fn kind(&self) -> TokenKind {
        self.family().kind
    }

    /// Whether the codes of tokens with such IDs follow a counter and not the time.
    pub fn is_event_based(&self) -> bool {
        self.family().event_based
    }

    /// `CNST••••5674`: enough to tell one's own tokens apart.
    pub fn masked(&self) -> String {
        mask(self.as_str())
    }
}

fn mask(text: &str) -> String {
    let length = text.len();
    text.chars().enumerate().map(|(i, c)| if i >= 4 && i + 4 < length { '•' } else { c }).collect()
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The family that an ID, perhaps half typed, plainly belongs to; none where several fit.
pub fn infer_format(typed: &str) -> Option<&'static CredentialFormat> {
    let text = clean(typed).ok()?;
    split_prefix(text.as_str()).and_then(|(index, _)| FORMATS.get(index))
}

fn clean(typed: &str) -> Result<Text<MOST_TYPED>, CredentialIdError> {
    let mut text = Text::EMPTY;
    for c in typed.chars() {
        match c {
            ' ' | '-' | '.' | '\u{a0}' | '\t' | '\u{2010}'..='\u{2014}' => {}
            c if c.is_ascii_alphanumeric() => {
                // No ID is longer; stop before a long input costs anything.
                if !text.push(c.to_ascii_uppercase() as u8) {
                    return Err(CredentialIdError::WrongLength);
                }
            }
            _ => return Err(CredentialIdError::BadCharacter),
        }
    }
    Ok(text)
}

fn split_prefix(text: &str) -> Option<(usize, &str)> {
    FORMATS
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.prefix.is_empty())
        .find_map(|(index, f)| text.strip_prefix(f.prefix).map(|rest| (index, rest)))
}

fn digits_only(
    text: &str,
    maker: Option<Manufacturer>,
) -> Result<(usize, &str), CredentialIdError> {
    if !text.bytes().next().is_some_and(|byte| digit_for(byte).is_ascii_digit()) {
        return Err(CredentialIdError::UnknownPrefix);
    }
    let maker = maker.ok_or(CredentialIdError::MakerNeeded)?;
    FORMATS
        .iter()
        .position(|f| f.prefix.is_empty() && f.manufacturer == maker)
        .map(|index| (index, text))
        .ok_or(CredentialIdError::UnknownPrefix)
}

const fn digit_for(byte: u8) -> u8 {
    match byte {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    }
}
