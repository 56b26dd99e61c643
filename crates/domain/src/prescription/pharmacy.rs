//! The pharmacy at which a prescription is to be dispensed.

use thiserror::Error;

use crate::{TextError, check_line};

/// A pharmacy of the operator's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pharmacy {
    /// NCPDP provider number: seven digits.
    pub ncpdp: String,
    /// Name and address, in one line.
    pub name: String,
}

/// Why a text names no pharmacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PharmacyError {
    /// The text does not have the form of an entry.
    #[error("give the pharmacy as its seven-digit NCPDP number, a space, and its name and address")]
    Shape,
    /// Name and address are no line of text.
    #[error("name and address: {0}")]
    Name(TextError),
}

impl std::str::FromStr for Pharmacy {
    type Err = PharmacyError;

    /// As an operator writes it: `1234567 Corner Pharmacy, 3 Oak Street`.
    fn from_str(text: &str) -> Result<Self, PharmacyError> {
        let (ncpdp, name) = text.trim().split_once(' ').ok_or(PharmacyError::Shape)?;
        let digits = ncpdp.len() == 7 && ncpdp.bytes().all(|byte| byte.is_ascii_digit());
        let name = name.trim();
        if !digits || name.is_empty() {
            return Err(PharmacyError::Shape);
        }
        check_line(name, 200).map_err(PharmacyError::Name)?;
        Ok(Self { ncpdp: ncpdp.to_owned(), name: name.to_owned() })
    }
}
