use std::fmt;

use countersign_domain::otp::OneTimePasscode;
use thiserror::Error;
use zeroize::Zeroizing;

use super::VipCredentialId;
use crate::percent;

/// Longest form that is looked at.
pub const FORM_MAX_BYTES: usize = 2 * 1_024;

const CODE_DIGITS: usize = 6;

/// Not one of the two forms. Never says which part: these pages answer anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a form of this protocol")]
pub struct FormError;

/// "Is this credential in order?", with one passcode.
pub struct CheckForm {
    /// The credential to check (`cred`).
    pub credential: VipCredentialId,
    /// The passcode that it shows (`cr1` to `cr6`).
    pub passcode: OneTimePasscode,
}

/// "Bring this credential into step", with two passcodes.
pub struct SyncForm {
    /// The credential to resynchronize (`cred`).
    pub credential: VipCredentialId,
    /// The earlier passcode (`cr1` to `cr6`).
    pub first: OneTimePasscode,
    /// The passcode that follows it (`ncr1` to `ncr6`).
    pub second: OneTimePasscode,
}

impl CheckForm {
    /// Reads a body: every field once, none that is not known.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields = Fields::parse(body)?;
        if !fields.second.is_empty() || fields.purpose.as_str() != "otp_check" {
            return Err(FormError);
        }
        Ok(Self { credential: fields.credential()?, passcode: fields.first.passcode()? })
    }
}

impl SyncForm {
    /// Reads a body: every field once, none that is not known.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields = Fields::parse(body)?;
        if fields.purpose.as_str() != "otp_sync" {
            return Err(FormError);
        }
        Ok(Self {
            credential: fields.credential()?,
            first: fields.first.passcode()?,
            second: fields.second.passcode()?,
        })
    }
}

impl fmt::Debug for CheckForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckForm")
    }
}

impl fmt::Debug for SyncForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncForm")
    }
}

#[derive(Default)]
struct Digits(Zeroizing<[Option<char>; CODE_DIGITS]>);

impl Digits {
    fn put(&mut self, place: &str, value: &str) -> Result<(), FormError> {
        let at = match place.as_bytes() {
            [digit @ b'1'..=b'6'] => usize::from(digit - b'1'),
            _ => return Err(FormError),
        };
        let mut characters = value.chars();
        let digit = characters.next().filter(char::is_ascii_digit).ok_or(FormError)?;
        let slot = self.0.get_mut(at).ok_or(FormError)?;
        if characters.next().is_some() || slot.replace(digit).is_some() {
            return Err(FormError);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn passcode(&self) -> Result<OneTimePasscode, FormError> {
        let digits: Option<String> = self.0.iter().copied().collect();
        let digits = Zeroizing::new(digits.ok_or(FormError)?);
        digits.parse().map_err(|_| FormError)
    }
}

struct Fields {
    credential: String,
    first: Digits,
    second: Digits,
    purpose: String,
}

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, FormError> {
        if body.len() > FORM_MAX_BYTES || !body.is_ascii() {
            return Err(FormError);
        }
        let body = std::str::from_utf8(body).map_err(|_| FormError)?;
        let (mut credential, mut purpose) = (None, None);
        let (mut first, mut second) = (Digits::default(), Digits::default());
        for pair in body.split('&') {
            let (name, value) = pair.split_once('=').ok_or(FormError)?;
            let name = percent::decode(name, true).map_err(|_| FormError)?;
            let value = percent::decode(value, true).map(Zeroizing::new).map_err(|_| FormError)?;
            if let Some(place) = name.strip_prefix("ncr") {
                second.put(place, &value)?;
            } else if let Some(place) = name.strip_prefix("cr").filter(|_| name != "cred") {
                first.put(place, &value)?;
            } else {
                let slot = match name.as_str() {
                    "cred" => &mut credential,
                    "continue" => &mut purpose,
                    _ => return Err(FormError),
                };
                if slot.replace(value.to_string()).is_some() {
                    return Err(FormError);
                }
            }
        }
        Ok(Self {
            credential: credential.ok_or(FormError)?,
            first,
            second,
            purpose: purpose.ok_or(FormError)?,
        })
    }

    fn credential(&self) -> Result<VipCredentialId, FormError> {
        self.credential.parse().map_err(|_| FormError)
    }
}

/// The answer to a [`CheckForm`], or to what was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckAnswer {
    /// The passcode is right.
    Working,
    /// It is right for a clock, or a counter, that is too far off.
    OutOfSync,
    /// Anything else: an unknown credential, a wrong passcode, too many tries, no form.
    Unknown,
}

/// The answer to a [`SyncForm`], or to what was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncAnswer {
    /// Server and token are in step now.
    Synced,
    /// The two passcodes do not bring them into step.
    OutOfSync,
    /// Anything else: an unknown credential, too many tries, or no form.
    Unknown,
}

macro_rules! page {
    ($words:literal) => {
        concat!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>",
            $words,
            "</title>\n<p>",
            $words,
            ".</p>\n</html>\n"
        )
    };
}

// Clients look for these words, down to the capital letters.
const WORKING: &str = page!("Your VIP Credential is working correctly");
const SYNCED: &str = page!("Your VIP Credential is successfully synced");
const OUT_OF_SYNC: &str = page!("Your VIP credential needs to be synced");
const UNKNOWN: &str = page!("The credential could not be checked");

impl CheckAnswer {
    /// The page. One of a few fixed ones: nothing of the form is in it.
    pub const fn html(self) -> &'static str {
        match self {
            Self::Working => WORKING,
            Self::OutOfSync => OUT_OF_SYNC,
            Self::Unknown => UNKNOWN,
        }
    }
}

impl SyncAnswer {
    /// The page. One of a few fixed ones: nothing of the form is in it.
    pub const fn html(self) -> &'static str {
        match self {
            Self::Synced => SYNCED,
            Self::OutOfSync => OUT_OF_SYNC,
            Self::Unknown => UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHECK: &str = "cr1=0&cr2=1&cr3=2&cr4=3&cr5=4&cr6=5&cred=SYMC12345678&continue=otp_check";
    const SYNC: &str = "cr1=0&cr2=1&cr3=2&cr4=3&cr5=4&cr6=5&ncr1=9&ncr2=8&ncr3=7&ncr4=6&ncr5=5\
                        &ncr6=4&cred=UBHE00000001&continue=otp_sync";

    #[test]
    fn reads_what_clients_post() {
        let check = CheckForm::parse(CHECK.as_bytes()).unwrap();
        assert_eq!(check.credential.as_str(), "SYMC12345678");
        let sync = SyncForm::parse(SYNC.as_bytes()).unwrap();
        assert_eq!(sync.credential.as_str(), "UBHE00000001");
        assert_eq!(format!("{check:?} {sync:?}"), "CheckForm SyncForm");
        let encoded = CHECK.replace("otp_check", "otp%5Fcheck");
        assert!(CheckForm::parse(encoded.as_bytes()).is_ok());
    }

    #[test]
    fn refuses_all_else() {
        let refused = |body: String| {
            assert!(CheckForm::parse(body.as_bytes()).is_err(), "{body}");
            assert!(SyncForm::parse(body.as_bytes()).is_err(), "{body}");
        };
        for missing in CHECK.split('&') {
            refused(CHECK.replace(missing, "").replace("&&", "&"));
            refused(CHECK.split('&').filter(|p| *p != missing).collect::<Vec<_>>().join("&"));
            refused(format!("{CHECK}&{missing}"));
        }
        for missing in SYNC.split('&') {
            refused(SYNC.split('&').filter(|p| *p != missing).collect::<Vec<_>>().join("&"));
            refused(format!("{SYNC}&{missing}"));
        }
        for more in ["&x=1", "&", "&cr7=1", "&cr0=1", "&cr=1", "&ncr=1", "&ncr7=1", "&cr11=1"] {
            refused(format!("{CHECK}{more}"));
            refused(format!("{SYNC}{more}"));
        }
        for (from, to) in [
            ("cr1=0", "cr1="),
            ("cr1=0", "cr1=00"),
            ("cr1=0", "cr1=x"),
            ("cr1=0", "cr1=%D9%A3"),
            ("cr1=0", "cr1=%"),
            ("otp_check", "otp_sync"),
            ("SYMC12345678", "symc12345678"),
            ("SYMC12345678", "SYMC1234567"),
            ("SYMC12345678", "CNST41648882"),
            ("SYMC12345678", "SYMC12345678+"),
        ] {
            refused(CHECK.replace(from, to));
        }
        refused(SYNC.replace("otp_sync", "otp_check"));
        refused(format!("{CHECK}{}", " ".repeat(FORM_MAX_BYTES)));
        refused(String::new());
    }

    #[test]
    fn each_page_has_the_words_that_clients_look_for_and_no_others() {
        let words = [
            "Your VIP Credential is working correctly",
            "Your VIP credential needs to be sync",
            "Your VIP Credential is successfully synced",
        ];
        let found = |html: &str| words.map(|words| html.contains(words));
        assert_eq!(found(CheckAnswer::Working.html()), [true, false, false]);
        assert_eq!(found(CheckAnswer::OutOfSync.html()), [false, true, false]);
        assert_eq!(found(CheckAnswer::Unknown.html()), [false; 3]);
        assert_eq!(found(SyncAnswer::Synced.html()), [false, false, true]);
        assert_eq!(found(SyncAnswer::OutOfSync.html()), [false, true, false]);
        assert_eq!(found(SyncAnswer::Unknown.html()), [false; 3]);
    }

    proptest! {
        #[test]
        fn fields_come_in_any_order(order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(), digits in "[0-9]{6}") {
            let mut fields: Vec<String> =
                digits.chars().enumerate().map(|(at, digit)| format!("cr{}={digit}", at + 1)).collect();
            fields.push("cred=VSST00000000".to_owned());
            fields.push("continue=otp_check".to_owned());
            let body = order.iter().map(|at| fields[*at].clone()).collect::<Vec<_>>().join("&");
            prop_assert!(CheckForm::parse(body.as_bytes()).is_ok());
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[a-z0-9=&%+]{0,80}") {
            for body in [bytes.as_slice(), text.as_bytes()] {
                let _ = CheckForm::parse(body);
                let _ = SyncForm::parse(body);
            }
        }
    }
}
