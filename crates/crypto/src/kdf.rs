use std::{fmt, num::NonZeroU32};

use aws_lc_rs::{hkdf, pbkdf2};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::SecretBytes;

/// Fewest PBKDF2 iterations that this product ever uses (the module's own minimum is 1,000).
pub const PBKDF2_MIN_ITERATIONS: u32 = 210_000;

/// Bytes of derived key: one block of HMAC-SHA-512.
pub const PBKDF2_OUTPUT_BYTES: usize = 64;

/// PBKDF2-HMAC-SHA-512 (SP 800-132): 64 bytes from `secret` and `salt`.
///
/// The module counts this as approved only for secrets of 14 bytes or more and salts of 16 or more;
/// the types that hand values in here enforce both. Fewer than [`PBKDF2_MIN_ITERATIONS`] are raised
/// to that number, so that no stored parameter can weaken a derivation.
pub fn pbkdf2_hmac_sha512(iterations: u32, salt: &[u8], secret: &[u8]) -> SecretBytes {
    let mut out = vec![0; PBKDF2_OUTPUT_BYTES];
    let iterations =
        NonZeroU32::new(iterations.max(PBKDF2_MIN_ITERATIONS)).unwrap_or(NonZeroU32::MAX);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt, secret, &mut out);
    SecretBytes::new(out)
}

/// Most bytes that HKDF-SHA-256 gives from one key (RFC 5869, 2.3).
pub const HKDF_OUTPUT_MAX: usize = 255 * 32;

/// Salt or info is empty, which the module does not count as approved, or too much was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("HKDF needs a salt, an info and a length of 1 to {HKDF_OUTPUT_MAX} bytes")]
pub struct HkdfError;

/// The pseudorandom key of HKDF-SHA-256 (RFC 5869; SP 800-56C, two steps).
pub struct HkdfKey(hkdf::Prk);

struct OutputBytes(usize);

impl hkdf::KeyType for OutputBytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl HkdfKey {
    /// HKDF-Extract of `secret` under `salt`.
    pub fn extract(salt: &[u8], secret: &SecretBytes) -> Result<Self, HkdfError> {
        if salt.is_empty() {
            return Err(HkdfError);
        }
        Ok(Self(hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret.expose())))
    }

    /// HKDF-Expand: `length` bytes for the purpose that `info` names.
    pub fn expand(&self, info: &[u8], length: usize) -> Result<SecretBytes, HkdfError> {
        if info.is_empty() || length == 0 || length > HKDF_OUTPUT_MAX {
            return Err(HkdfError);
        }
        let mut out = Zeroizing::new(vec![0; length]);
        self.0
            .expand(&[info], OutputBytes(length))
            .and_then(|okm| okm.fill(&mut out))
            .map_err(|_| HkdfError)?;
        Ok(SecretBytes::new(std::mem::take(&mut *out)))
    }
}

impl fmt::Debug for HkdfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HkdfKey")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 5869, appendix A.1.
    #[test]
    fn hkdf_vector() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let key = HkdfKey::extract(&salt, &SecretBytes::new(vec![0x0b; 22])).unwrap();
        let out = key.expand(&info, 42).unwrap();
        assert_eq!(
            HEXLOWER.encode(out.expose()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
        assert_eq!(format!("{key:?}"), "HkdfKey");
    }

    #[test]
    fn hkdf_wants_salt_info_and_a_length() {
        let secret = SecretBytes::new(vec![1; 32]);
        assert!(HkdfKey::extract(b"", &secret).is_err());
        let key = HkdfKey::extract(b"salt", &secret).unwrap();
        assert!(key.expand(b"", 32).is_err());
        assert!(key.expand(b"info", 0).is_err());
        assert!(key.expand(b"info", HKDF_OUTPUT_MAX + 1).is_err());
        assert_eq!(key.expand(b"info", HKDF_OUTPUT_MAX).unwrap().len(), HKDF_OUTPUT_MAX);
        let (seed, other) = (key.expand(b"seed", 32).unwrap(), key.expand(b"other", 32).unwrap());
        assert!(!seed.ct_eq(other.expose()));
    }

    #[test]
    fn differs_by_salt_and_never_goes_below_the_floor() {
        let floor = pbkdf2_hmac_sha512(PBKDF2_MIN_ITERATIONS, &[1; 32], b"fourteen bytes");
        let raised = pbkdf2_hmac_sha512(1, &[1; 32], b"fourteen bytes");
        let other = pbkdf2_hmac_sha512(1, &[2; 32], b"fourteen bytes");
        assert_eq!(floor.expose(), raised.expose());
        assert_ne!(floor.expose(), other.expose());
    }
}
