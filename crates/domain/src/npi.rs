use std::{fmt, str::FromStr};

use thiserror::Error;

/// Whether the digits, the last of which is a check digit, hold by the Luhn rule (ISO/IEC 7812-1).
pub fn luhn_holds(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    luhn_sum(digits, false).is_multiple_of(10)
}

/// The digit that makes `digits` followed by it hold by the Luhn rule.
pub fn luhn_check_digit(digits: impl DoubleEndedIterator<Item = u8>) -> u8 {
    ((10 - luhn_sum(digits, true) % 10) % 10) as u8
}

fn luhn_sum(digits: impl DoubleEndedIterator<Item = u8>, mut double: bool) -> u32 {
    let mut sum = 0;
    for digit in digits.rev() {
        let value = u32::from(digit) * if double { 2 } else { 1 };
        sum += value / 10 + value % 10;
        double = !double;
    }
    sum
}

/// Why a text is no NPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NpiError {
    /// Not ten ASCII digits.
    #[error("An NPI has 10 digits. Check for a missing or extra digit.")]
    NotTenDigits,
    /// The last digit does not fit the others.
    #[error("A digit of this NPI is incorrect. Check it digit by digit.")]
    BadCheckDigit,
}

/// A National Provider Identifier (45 CFR 162.406): ten digits, Luhn over `80840` and the NPI.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Npi([u8; 10]);

impl Npi {
    /// The ten digits as text, unmasked.
    pub fn as_text(&self) -> String {
        self.0.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    /// `••••••7893`, for pages and logs.
    pub fn masked(&self) -> String {
        self.as_text().chars().enumerate().map(|(i, c)| if i < 6 { '•' } else { c }).collect()
    }
}

impl FromStr for Npi {
    type Err = NpiError;

    fn from_str(text: &str) -> Result<Self, NpiError> {
        let text = text.trim();
        let bytes: &[u8; 10] = text.as_bytes().try_into().map_err(|_| NpiError::NotTenDigits)?;
        if !bytes.iter().all(u8::is_ascii_digit) {
            return Err(NpiError::NotTenDigits);
        }
        let digits = bytes.map(|b| b - b'0');
        if !luhn_holds([8, 0, 8, 4, 0].into_iter().chain(digits)) {
            return Err(NpiError::BadCheckDigit);
        }
        Ok(Self(digits))
    }
}

impl fmt::Debug for Npi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Npi({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_holds() {
        let npi: Npi = "1234567893".parse().unwrap();
        assert_eq!(npi.as_text(), "1234567893");
        assert_eq!(format!("{npi:?}"), "Npi(••••••7893)");
        assert_eq!(" 1234567893 ".parse::<Npi>().unwrap(), npi);
    }

    #[test]
    fn every_single_wrong_digit_is_noticed() {
        for position in 0..10 {
            for digit in b'0'..=b'9' {
                let mut text = *b"1234567893";
                if text[position] == digit {
                    continue;
                }
                text[position] = digit;
                let text = std::str::from_utf8(&text).unwrap();
                assert_eq!(text.parse::<Npi>(), Err(NpiError::BadCheckDigit), "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_npi() {
        for text in
            ["", "123456789", "12345678931", "12345 7893", "１２３４５６７８９３", "123456789x"]
        {
            assert_eq!(text.parse::<Npi>(), Err(NpiError::NotTenDigits), "{text}");
        }
    }

    #[test]
    fn check_digit_and_check_agree() {
        for digits in [[1u8, 2, 3, 4], [9, 9, 9, 9], [0, 0, 0, 1]] {
            let check = luhn_check_digit(digits.into_iter());
            assert!(luhn_holds(digits.into_iter().chain([check])));
        }
    }
}
