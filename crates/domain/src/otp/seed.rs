//! The shared secret of a token.

use std::fmt;

use countersign_crypto::{HmacAlgorithm, Rng, RngError, SecretBytes};

use super::{OtpError, SEED_MAX_BYTES, SEED_MIN_BYTES};

/// The shared secret of a token: 14 to 256 bytes, never shown.
#[derive(Clone)]
pub struct TokenSeed(SecretBytes);

impl TokenSeed {
    /// Takes seed bytes over, if there are enough.
    pub fn new(bytes: SecretBytes) -> Result<Self, OtpError> {
        if bytes.len() < SEED_MIN_BYTES || bytes.len() > SEED_MAX_BYTES {
            return Err(OtpError::Seed);
        }
        Ok(Self(bytes))
    }

    /// A new seed as long as the hash output (RFC 6238, 5.1): 20, 32 or 64 bytes.
    pub fn generate(algorithm: HmacAlgorithm, rng: &mut dyn Rng) -> Result<Self, RngError> {
        let length = match algorithm {
            HmacAlgorithm::Sha1 => 20,
            HmacAlgorithm::Sha256 => 32,
            HmacAlgorithm::Sha512 => 64,
        };
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes)?;
        Ok(Self(SecretBytes::new(bytes)))
    }

    /// The bytes, to be sealed or handed to the token.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for TokenSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSeed")
    }
}
