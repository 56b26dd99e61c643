//! The name that a prescriber gives a token.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{TextError, check_line, shown_line, unambiguous};

/// Why a token name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenNameError {
    /// The name is empty or has spaces only.
    #[error(
        "Enter a name you will recognize, such as \u{201c}iPhone\u{201d} or \u{201c}Hardware token\u{201d}."
    )]
    Empty,
    /// More than 40 characters.
    #[error("Use at most 40 characters.")]
    TooLong,
    /// A character that can't be shown.
    #[error("Use only letters, digits, spaces and common punctuation.")]
    BadCharacter,
    /// Letters of two alphabets, or special forms of plain ones: one token could look like another.
    #[error(transparent)]
    Ambiguous(TextError),
}

/// The name a prescriber gave a token: 1 to 40 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// The name of a token that nobody has added: it gets another one from its owner.
    pub fn unnamed() -> Self {
        Self("new".to_owned())
    }

    /// The name: one line of 1 to 40 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in a row that was written under an older rule: shown as far as it can be, and never a reason why
    /// its owner sees no tokens.
    pub fn stored(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| {
            let shown = shown_line(text, 40);
            (!shown.is_empty()).then_some(Self(shown))
        })
    }
}

impl FromStr for TokenName {
    type Err = TokenNameError;
    fn from_str(text: &str) -> Result<Self, TokenNameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenNameError::Empty);
        }
        // 40 characters have at most 160 bytes; a long input is refused before it is read.
        if text.len() > 160 || text.chars().count() > 40 {
            return Err(TokenNameError::TooLong);
        }
        // Characters that reorder or hide text could make one token look like another.
        if check_line(text, 40).is_err() {
            return Err(TokenNameError::BadCharacter);
        }
        unambiguous(text).map_err(TokenNameError::Ambiguous)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
