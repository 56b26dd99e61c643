use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_by_salt_and_never_goes_below_the_floor() {
        let floor = pbkdf2_hmac_sha512(PBKDF2_MIN_ITERATIONS, &[1; 32], b"fourteen bytes");
        let raised = pbkdf2_hmac_sha512(1, &[1; 32], b"fourteen bytes");
        let other = pbkdf2_hmac_sha512(1, &[2; 32], b"fourteen bytes");
        assert_eq!(floor.expose(), raised.expose());
        assert_ne!(floor.expose(), other.expose());
    }
}
