use std::{fmt, str::FromStr};

use countersign_crypto::{Rng, RngError, SecretText, constant_time_eq, random_array, sha256};
use data_encoding::BASE32_NOPAD;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

const CODE_BYTES: usize = 16;
const CODE_CHARACTERS: usize = 26;
const GROUP_CHARACTERS: usize = 4;
/// A code with every character set off by something is shorter than this.
const TYPED_MAX_BYTES: usize = 128;

/// Not 26 characters of base32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a pairing code has 26 letters and digits (A to Z, 2 to 7)")]
pub struct PairingCodeError;

/// The single-use code of a pairing: 128 random bits, shown as 26 characters of base32.
///
/// Whoever has it can put a token into somebody's enrolment. So it is never shown by accident, and
/// a server keeps its [digest](PairingCode::digest) only.
#[derive(Clone)]
pub struct PairingCode(Zeroizing<[u8; CODE_BYTES]>);

impl PairingCode {
    /// Draws a new code; an error if `rng` fails.
    pub fn random(rng: &mut dyn Rng) -> Result<Self, RngError> {
        Ok(Self(Zeroizing::new(random_array(rng)?)))
    }

    /// How many bytes a code has.
    pub const BYTES: usize = CODE_BYTES;

    /// A code from bytes that nobody can guess.
    pub fn from_bytes(bytes: [u8; CODE_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 26 characters, for the picture.
    pub fn text(&self) -> SecretText {
        SecretText::new(BASE32_NOPAD.encode(self.0.as_slice()))
    }

    /// The characters in groups of four, for typing.
    pub fn grouped_text(&self) -> SecretText {
        let text = self.text();
        let mut out = String::with_capacity(CODE_CHARACTERS + CODE_CHARACTERS / GROUP_CHARACTERS);
        for (at, c) in text.expose().chars().enumerate() {
            if at > 0 && at % GROUP_CHARACTERS == 0 {
                out.push(' ');
            }
            out.push(c);
        }
        SecretText::new(out)
    }

    /// What a server keeps to find it again: SHA-256. With 128 random bits behind it, it tells nothing.
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.0.as_slice())
    }

    /// Whether the codes are equal, in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        constant_time_eq(self.0.as_slice(), other.0.as_slice())
    }
}

impl FromStr for PairingCode {
    type Err = PairingCodeError;

    /// Case, spaces and dashes are forgiven. Base32 has no 0 and no 1: they are read as the letters
    /// O and I, which they are typed for.
    fn from_str(typed: &str) -> Result<Self, PairingCodeError> {
        if typed.len() > TYPED_MAX_BYTES {
            return Err(PairingCodeError);
        }
        let mut clean = Zeroizing::new([0; CODE_CHARACTERS]);
        let mut slots = clean.iter_mut();
        for c in typed.chars() {
            let byte = match c {
                ' ' | '-' | '\u{a0}' | '\t' | '\u{2010}'..='\u{2014}' => continue,
                '0' => b'O',
                '1' => b'I',
                c => u8::try_from(c).map_err(|_| PairingCodeError)?.to_ascii_uppercase(),
            };
            *slots.next().ok_or(PairingCodeError)? = byte;
        }
        if slots.next().is_some() {
            return Err(PairingCodeError);
        }
        let mut bytes = BASE32_NOPAD.decode(clean.as_slice()).map_err(|_| PairingCodeError)?;
        let code = bytes.as_slice().try_into().map_err(|_| PairingCodeError);
        bytes.zeroize();
        code.map(|code| Self(Zeroizing::new(code)))
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use proptest::prelude::*;

    #[test]
    fn what_people_type_is_forgiven() {
        let code = PairingCode(Zeroizing::new([0x42; 16]));
        let text = code.text();
        assert_eq!(text.expose(), "IJBEEQSCIJBEEQSCIJBEEQSCII");
        assert_eq!(code.grouped_text().expose(), "IJBE EQSC IJBE EQSC IJBE EQSC II");
        for typed in [
            "IJBEEQSCIJBEEQSCIJBEEQSCII",
            "ijbe-eqsc-ijbe-eqsc-ijbe-eqsc-ii",
            " 1jbe eqsc 1JBE EQSC\u{a0}1jbe\u{2013}eqsc 11 ",
        ] {
            assert!(typed.parse::<PairingCode>().unwrap().ct_eq(&code), "{typed}");
        }
        let zero = "OOOOOOOOOOOOOOOOOOOOOOOOOI".replace('O', "0");
        assert!(zero.parse::<PairingCode>().is_ok());
    }

    #[test]
    fn the_rest_is_refused() {
        for typed in [
            "",
            "IJBEEQSCIJBEEQSCIJBEEQSCI",
            "IJBEEQSCIJBEEQSCIJBEEQSCIII",
            "IJBEEQSCIJBEEQSCIJBEEQSCI8",
            "IJBEEQSCIJBEEQSCIJBEEQSCI=",
            "IJBEEQSCIJBEEQSCIJBEEQSCIß",
            "IJBEEQSCIJBEEQSCIJBEEQSCI\u{131}",
            // The last character carries two bits more than the code has: they must be zero.
            "IJBEEQSCIJBEEQSCIJBEEQSCIJ",
            &"-".repeat(200),
        ] {
            assert_eq!(typed.parse::<PairingCode>().unwrap_err(), PairingCodeError, "{typed}");
        }
    }

    #[test]
    fn codes_differ_and_do_not_show_themselves() {
        let first = PairingCode::random(&mut SystemRng).unwrap();
        let second = PairingCode::random(&mut SystemRng).unwrap();
        assert!(!first.ct_eq(&second) && first.digest() != second.digest());
        assert_eq!(format!("{first:?}"), "PairingCode");
    }

    proptest! {
        #[test]
        fn every_code_comes_back(bytes: [u8; 16]) {
            let code = PairingCode(Zeroizing::new(bytes));
            for text in [code.text(), code.grouped_text()] {
                prop_assert!(text.expose().parse::<PairingCode>().unwrap().ct_eq(&code));
                prop_assert!(text.expose().to_lowercase().parse::<PairingCode>().unwrap().ct_eq(&code));
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<PairingCode>();
        }
    }
}
