use std::fmt;

use countersign_crypto::{
    PBKDF2_MIN_ITERATIONS, Rng, RngError, SecretBytes, SecretText, pbkdf2_hmac_sha512, random_array,
};
use data_encoding::BASE64_NOPAD;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Fewest bytes: the FIPS module counts PBKDF2 as approved from here on (and SP 800-63B-4, 3.1.1.2
/// asks for 8 characters beside a passcode).
const MIN_BYTES: usize = 14;
/// Most bytes (SP 800-63B-4, 3.1.1.2 asks for 64 characters at least).
const MAX_BYTES: usize = 128;
/// Bytes of salt (SP 800-132, 5.1 asks for 16 at least).
pub const SALT_BYTES: usize = 32;

/// Phrases that are long enough and still the first that anybody tries.
const COMMON: &str = include_str!("common_passphrases.txt");

/// Why a passphrase is refused; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PassphraseError {
    /// Fewer than 14 bytes.
    #[error("Use at least 14 characters. Four or five words are easy to remember.")]
    TooShort,
    /// More than 128 bytes.
    #[error("Use at most 128 characters.")]
    TooLong,
    /// A control character, which can't be typed again.
    #[error("Use only characters you can type on a keyboard.")]
    ControlCharacter,
    /// On the list of common ones.
    #[error("This passphrase is too common. Choose other words.")]
    Common,
    /// It has the account's own data in it.
    #[error("This passphrase contains your name, NPI or practice. Choose one without them.")]
    OwnData,
    /// The passphrase is easy to guess.
    #[error("This passphrase is too easy to guess. Add unrelated words.")]
    Guessable,
}

/// A passphrase as typed, brought to Unicode NFC: 14 to 128 bytes, no composition rules.
#[derive(Clone)]
pub struct Passphrase(SecretText);

impl Passphrase {
    /// Checks length and characters, not strength: this is how a typed one is read.
    pub fn parse(typed: &SecretText) -> Result<Self, PassphraseError> {
        // Before normalizing: a long input must not cost anything.
        if typed.expose().len() > 4 * MAX_BYTES {
            return Err(PassphraseError::TooLong);
        }
        let text = SecretText::new(typed.expose().nfc().collect());
        match text.expose().len() {
            length if length < MIN_BYTES => Err(PassphraseError::TooShort),
            length if length > MAX_BYTES => Err(PassphraseError::TooLong),
            _ if text.expose().chars().any(char::is_control) => {
                Err(PassphraseError::ControlCharacter)
            }
            _ => Ok(Self(text)),
        }
    }

    /// Reads a new passphrase and refuses common, personal and guessable ones. `own` are words of
    /// the account: name, NPI, practice.
    pub fn choose(typed: &SecretText, own: &[&str]) -> Result<Self, PassphraseError> {
        let phrase = Self::parse(typed)?;
        let lower = phrase.0.expose().to_lowercase();
        let squeezed: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
        if COMMON.lines().any(|line| line == lower || line.replace(' ', "") == squeezed) {
            return Err(PassphraseError::Common);
        }
        let personal = own
            .iter()
            .flat_map(|text| text.split_whitespace())
            .map(|word| {
                word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>()
            })
            .any(|word| word.chars().count() >= 4 && squeezed.contains(&word));
        if personal {
            return Err(PassphraseError::OwnData);
        }
        if zxcvbn::zxcvbn(phrase.0.expose(), own).score() < zxcvbn::Score::Three {
            return Err(PassphraseError::Guessable);
        }
        Ok(phrase)
    }

    fn bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A stored text is no passphrase hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown type of passphrase hash")]
pub struct PassphraseHashError;

/// What is kept of a passphrase: PBKDF2-HMAC-SHA-512, iterations, 32 bytes of salt, 64 bytes of hash.
#[derive(Clone)]
pub struct PassphraseHash {
    iterations: u32,
    salt: [u8; SALT_BYTES],
    hash: SecretBytes,
}

impl PassphraseHash {
    /// Hashes with at least [`PBKDF2_MIN_ITERATIONS`] iterations. Slow on purpose.
    pub fn create(
        phrase: &Passphrase,
        iterations: u32,
        rng: &mut dyn Rng,
    ) -> Result<Self, RngError> {
        let iterations = iterations.max(PBKDF2_MIN_ITERATIONS);
        let salt = random_array(rng)?;
        Ok(Self { iterations, salt, hash: pbkdf2_hmac_sha512(iterations, &salt, phrase.bytes()) })
    }

    /// A hash that no passphrase has, to spend the same time where there is no account.
    pub fn decoy(iterations: u32) -> Self {
        Self {
            iterations: iterations.max(PBKDF2_MIN_ITERATIONS),
            salt: [0; SALT_BYTES],
            hash: SecretBytes::new(vec![0; 64]),
        }
    }

    /// Whether this is the passphrase. Slow on purpose; constant-time comparison.
    pub fn verify(&self, phrase: &Passphrase) -> bool {
        pbkdf2_hmac_sha512(self.iterations, &self.salt, phrase.bytes()).ct_eq(self.hash.expose())
    }

    /// Whether the next right login should hash anew with `iterations`.
    pub const fn is_weaker_than(&self, iterations: u32) -> bool {
        self.iterations < iterations
    }

    /// The text that a row holds: `$pbkdf2-sha512$i=210000$salt$hash` (PHC string format).
    pub fn to_row(&self) -> String {
        format!(
            "$pbkdf2-sha512$i={}${}${}",
            self.iterations,
            BASE64_NOPAD.encode(&self.salt),
            BASE64_NOPAD.encode(self.hash.expose())
        )
    }

    /// Reads the text of a row, as [`PassphraseHash::to_row`] writes it; an error for any other
    /// text.
    pub fn from_row(text: &str) -> Result<Self, PassphraseHashError> {
        let rest = text.strip_prefix("$pbkdf2-sha512$i=").ok_or(PassphraseHashError)?;
        let mut parts = rest.split('$');
        let mut part = || parts.next().ok_or(PassphraseHashError);
        let iterations: u32 = part()?.parse().map_err(|_| PassphraseHashError)?;
        let salt = BASE64_NOPAD.decode(part()?.as_bytes()).map_err(|_| PassphraseHashError)?;
        let hash = BASE64_NOPAD.decode(part()?.as_bytes()).map_err(|_| PassphraseHashError)?;
        let salt = salt.try_into().map_err(|_| PassphraseHashError)?;
        if hash.len() != 64 || iterations < PBKDF2_MIN_ITERATIONS || parts.next().is_some() {
            return Err(PassphraseHashError);
        }
        Ok(Self { iterations, salt, hash: SecretBytes::new(hash) })
    }
}

impl fmt::Debug for PassphraseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassphraseHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;

    fn choose(text: &str) -> Result<Passphrase, PassphraseError> {
        Passphrase::choose(
            &SecretText::new(text.to_owned()),
            &["Ada Moreno", "1234567893", "Lakeside Clinic"],
        )
    }

    /// Shows: N-15
    #[test]
    fn length_counts_and_composition_does_not() {
        assert!(choose("plum anchor violet teapot").is_ok());
        assert!(choose("кот варит синий чайник").is_ok());
        assert_eq!(choose("Short1!").unwrap_err(), PassphraseError::TooShort);
        assert_eq!(choose(&"long ".repeat(40)).unwrap_err(), PassphraseError::TooLong);
        assert_eq!(choose(&"x".repeat(10_000_000)).unwrap_err(), PassphraseError::TooLong);
        assert_eq!(
            choose("plum anchor\u{0} violet").unwrap_err(),
            PassphraseError::ControlCharacter
        );
    }

    /// Shows: N-15
    #[test]
    fn easy_ones_are_refused_with_the_reason() {
        assert_eq!(choose("Correct Horse Battery Staple").unwrap_err(), PassphraseError::Common);
        assert_eq!(choose("passwordpassword").unwrap_err(), PassphraseError::Common);
        assert_eq!(choose("ada moreno violet teapot").unwrap_err(), PassphraseError::OwnData);
        assert_eq!(choose("my npi is 1234567893").unwrap_err(), PassphraseError::OwnData);
        assert_eq!(choose("aaaaaaaaaaaaaaaaaaaa").unwrap_err(), PassphraseError::Guessable);
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same() {
        let hash = PassphraseHash::create(
            &choose("crème anchor violet teapot").unwrap(),
            0,
            &mut SystemRng,
        )
        .unwrap();
        let decomposed =
            Passphrase::parse(&SecretText::new("cre\u{300}me anchor violet teapot".into()))
                .unwrap();
        assert!(hash.verify(&decomposed));
        assert!(!hash.verify(&choose("creme anchor violet teapot").unwrap()));
    }

    /// Shows: R-1311.115-a1, N-16
    #[test]
    fn rows_read_back_and_weak_ones_are_refused() {
        let phrase = choose("plum anchor violet teapot").unwrap();
        let hash = PassphraseHash::create(&phrase, 0, &mut SystemRng).unwrap();
        let row = hash.to_row();
        assert!(PassphraseHash::from_row(&row).unwrap().verify(&phrase));
        assert!(!PassphraseHash::decoy(0).verify(&phrase));
        assert!(
            hash.is_weaker_than(PBKDF2_MIN_ITERATIONS + 1)
                && !hash.is_weaker_than(PBKDF2_MIN_ITERATIONS)
        );
        for bad in [
            "",
            "$pbkdf2-sha512$i=1$AAAA$AAAA",
            &row.replace("i=210000", "i=1"),
            &format!("{row}$x"),
        ] {
            assert!(PassphraseHash::from_row(bad).is_err(), "{bad}");
        }
        assert!(!format!("{hash:?}{phrase:?}").contains("plum"));
    }
}
