//! How somebody is reached, and by which name they sign in.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{Npi, NpiError};

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Enter an email address, such as ruth@clinic.example.")]
pub struct EmailAddressError;

/// An e-mail address in lower case, of at most 254 characters (RFC 5321, 4.5.3.1.3).
///
/// Case is dropped in the local part too: two accounts that differ in it alone are one mailbox almost
/// everywhere, and one person must not approve for themselves.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address in lower case, at most 254 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `r•••@clinic.example`, for pages and records.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}•••@{domain}")
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;

    /// Plain addresses only: ASCII, no quotes, no comments. What no mail server of today gives out is
    /// refused, so that nothing in an address can end a header line.
    fn from_str(text: &str) -> Result<Self, EmailAddressError> {
        let text = text.trim().to_ascii_lowercase();
        let (local, domain) = text.split_once('@').ok_or(EmailAddressError)?;
        let in_local = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let good = text.len() <= 254
            && (1..=64).contains(&local.len())
            && local.bytes().all(in_local)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && domain.contains('.')
            && domain.split('.').all(label);
        if good { Ok(Self(text)) } else { Err(EmailAddressError) }
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The text is no telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Enter a phone number with its area code, such as 402 555 0100.")]
pub struct PhoneNumberError;

/// A telephone number as E.164 writes it: a plus and 8 to 15 digits. Ten digits are a number of the
/// North American plan.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The number in E.164 form, such as `+14025550100`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `•••• 0100`, for pages and records.
    pub fn masked(&self) -> String {
        let tail = self.0.get(self.0.len().saturating_sub(4)..).unwrap_or("");
        format!("•••• {tail}")
    }
}

impl FromStr for PhoneNumber {
    type Err = PhoneNumberError;

    fn from_str(text: &str) -> Result<Self, PhoneNumberError> {
        let text = text.trim();
        if text.len() > 40 || !text.bytes().all(|b| b.is_ascii_digit() || b" +-.()/".contains(&b)) {
            return Err(PhoneNumberError);
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let full = match (text.starts_with('+'), digits.len()) {
            (true, 8..=15) => digits,
            (false, 10) if !digits.starts_with(['0', '1']) => format!("1{digits}"),
            (false, 11) if digits.starts_with('1') => digits,
            _ => return Err(PhoneNumberError),
        };
        if text.get(1..).is_some_and(|rest| rest.contains('+')) || full.starts_with('0') {
            return Err(PhoneNumberError);
        }
        Ok(Self(format!("+{full}")))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The text is neither an NPI nor an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignInNameError {
    /// Digits that are no NPI.
    #[error(transparent)]
    Npi(#[from] NpiError),
    /// With an @, and no address.
    #[error(transparent)]
    Email(#[from] EmailAddressError),
}

/// What somebody types to sign in: a prescriber the NPI, everybody else their e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SignInName {
    /// The NPI of a prescriber.
    Npi(Npi),
    /// The e-mail address of a user who does not prescribe.
    Email(EmailAddress),
}

impl SignInName {
    /// As it stands in its row.
    pub fn as_text(&self) -> String {
        match self {
            Self::Npi(npi) => npi.as_text(),
            Self::Email(email) => email.as_str().to_owned(),
        }
    }

    /// The name with most characters replaced, for pages and audit records.
    pub fn masked(&self) -> String {
        match self {
            Self::Npi(npi) => npi.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// The NPI, where it is one.
    pub const fn npi(&self) -> Option<Npi> {
        match self {
            Self::Npi(npi) => Some(*npi),
            Self::Email(_) => None,
        }
    }
}

impl FromStr for SignInName {
    type Err = SignInNameError;

    fn from_str(text: &str) -> Result<Self, SignInNameError> {
        if text.contains('@') {
            Ok(Self::Email(text.parse()?))
        } else {
            Ok(Self::Npi(text.parse()?))
        }
    }
}

impl From<Npi> for SignInName {
    fn from(npi: Npi) -> Self {
        Self::Npi(npi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        let one: EmailAddress = " Ruth.Okafor@Clinic.EXAMPLE ".parse().unwrap();
        assert_eq!(one.as_str(), "ruth.okafor@clinic.example");
        assert_eq!(
            (one.masked().as_str(), format!("{one:?}").as_str()),
            ("r•••@clinic.example", "r•••@clinic.example")
        );
        for text in [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.de",
            "a@@b.c",
            "a@b..c",
            "a..b@c.de",
            ".a@b.c",
            "a@-b.c",
            "a@b.c\r\nBcc: x@y.z",
            "\"a\"@b.c",
            "a@b.c>",
            "ä@b.c",
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(EmailAddressError), "{text:?}");
        }
        assert!(format!("{}@b.c", "x".repeat(65)).parse::<EmailAddress>().is_err());
    }

    #[test]
    fn telephone_numbers() {
        for (text, full) in [
            ("402 555 0100", "+14025550100"),
            ("(402) 555-0100", "+14025550100"),
            ("1-402-555-0100", "+14025550100"),
            ("+44 20 7946 0018", "+442079460018"),
        ] {
            assert_eq!(text.parse::<PhoneNumber>().unwrap().as_str(), full);
        }
        for text in [
            "",
            "555 0100",
            "402 555 010",
            "4025550100x9",
            "+1+4025550100",
            "+0123456789",
            "0402555010",
        ] {
            assert_eq!(text.parse::<PhoneNumber>(), Err(PhoneNumberError), "{text:?}");
        }
        let masked = "402 555 0100".parse::<PhoneNumber>().unwrap().masked();
        assert_eq!(masked, "•••• 0100");
    }

    #[test]
    fn names_to_sign_in_with() {
        let npi: SignInName = "1234567893".parse().unwrap();
        let email: SignInName = "Ruth@clinic.example".parse().unwrap();
        assert_eq!((npi.as_text().as_str(), npi.npi().is_some()), ("1234567893", true));
        assert_eq!((email.as_text().as_str(), email.npi()), ("ruth@clinic.example", None));
        assert!(matches!("12345".parse::<SignInName>(), Err(SignInNameError::Npi(_))));
        assert!(matches!("x@".parse::<SignInName>(), Err(SignInNameError::Email(_))));
    }

    proptest! {
        #[test]
        fn nothing_that_is_an_address_ends_a_line(text in "\\PC{0,300}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic()));
                prop_assert_eq!(address.as_str().matches('@').count(), 1);
            }
        }
    }
}
