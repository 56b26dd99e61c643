//! The amount of a drug.

use thiserror::Error;

/// The amount is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Enter the quantity, such as 30 or 2.5.")]
pub struct QuantityError;

/// An amount: more than nothing, at most two decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(String);

impl Quantity {
    /// As it is written: no zeros that say nothing (a trailing zero has been read as another digit).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let dotted = text.contains('.');
        if whole.is_empty()
            || whole.len() > 6
            || part.len() > 2
            || !digits(whole)
            || !digits(part)
            || (dotted && part.is_empty())
        {
            return Err(QuantityError);
        }
        let whole = whole.trim_start_matches('0');
        let part = part.trim_end_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        match (whole, part) {
            ("0", "") => Err(QuantityError),
            (whole, "") => Ok(Self(whole.to_owned())),
            (whole, part) => Ok(Self(format!("{whole}.{part}"))),
        }
    }
}
