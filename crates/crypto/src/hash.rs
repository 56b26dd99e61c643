use aws_lc_rs::{digest, hmac};

/// The hash under an HMAC (RFC 2104), as RFC 6238 allows for passcodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HmacAlgorithm {
    /// HMAC-SHA-1, 20 bytes; what existing tokens use.
    Sha1,
    /// HMAC-SHA-256, 32 bytes; our own tokens.
    Sha256,
    /// HMAC-SHA-512, 64 bytes.
    Sha512,
}

/// A key made ready once for several messages.
pub struct HmacKey(hmac::Key);

/// An HMAC value, 20, 32 or 64 bytes long.
pub struct HmacTag(hmac::Tag);

impl HmacKey {
    /// Prepares `key`. The module accepts any length: the caller enforces its minimum.
    pub fn new(algorithm: HmacAlgorithm, key: &[u8]) -> Self {
        let algorithm = match algorithm {
            HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        Self(hmac::Key::new(algorithm, key))
    }

    /// The HMAC of `message`.
    pub fn tag(&self, message: &[u8]) -> HmacTag {
        HmacTag(hmac::sign(&self.0, message))
    }

    /// Whether `tag` is the whole HMAC of `message`, in a time that does not depend on where they
    /// differ.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

impl AsRef<[u8]> for HmacTag {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

/// SHA-256 (FIPS 180-4) of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, data);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn rfc_2202_and_4231_vectors() {
        let tag = HmacKey::new(HmacAlgorithm::Sha1, b"Jefe").tag(b"what do ya want for nothing?");
        assert_eq!(HEXLOWER.encode(tag.as_ref()), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let tag = HmacKey::new(HmacAlgorithm::Sha256, b"Jefe").tag(b"what do ya want for nothing?");
        assert_eq!(
            HEXLOWER.encode(tag.as_ref()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let tag = HmacKey::new(HmacAlgorithm::Sha512, b"Jefe").tag(b"what do ya want for nothing?");
        assert_eq!(tag.as_ref().len(), 64);
    }

    #[test]
    fn only_the_whole_unchanged_tag_verifies() {
        let key = HmacKey::new(HmacAlgorithm::Sha256, b"key");
        let tag = key.tag(b"message").as_ref().to_vec();
        assert!(key.verify(b"message", &tag));
        assert!(!key.verify(b"massage", &tag));
        assert!(!key.verify(b"message", &[]));
        for index in 0..tag.len() {
            assert!(!key.verify(b"message", &tag[..index]));
            let mut bent = tag.clone();
            bent[index] ^= 1;
            assert!(!key.verify(b"message", &bent));
        }
    }

    #[test]
    fn sha256_of_abc() {
        assert_eq!(
            HEXLOWER.encode(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
