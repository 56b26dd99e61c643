use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use thiserror::Error;

use crate::SecretBytes;

/// A key could not be read or used, or a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignError {
    /// The key bytes are no ECDSA P-256 key.
    #[error("not an ECDSA P-256 key")]
    BadKey,
    /// The module did not sign.
    #[error("the FIPS module did not sign")]
    NotSigned,
    /// The signature does not belong to this message and key.
    #[error("the signature does not hold")]
    BadSignature,
}

/// An ECDSA P-256 private key (FIPS 186-5) that signs with SHA-256.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// Makes a new key pair and its PKCS #8 document.
    pub fn generate() -> Result<(Self, SecretBytes), SignError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| SignError::BadKey)?;
        let document = SecretBytes::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(&document)?, document))
    }

    /// Reads a PKCS #8 document (DER).
    pub fn from_pkcs8(document: &SecretBytes) -> Result<Self, SignError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.expose())
            .map(Self)
            .map_err(|_| SignError::BadKey)
    }

    /// Signs `message`: 64 bytes, r then s, as JWS ES256 wants it (RFC 7518, 3.4).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignError::NotSigned)
    }

    /// The public key that verifies signatures of this key.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public_key().as_ref().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// An ECDSA P-256 public key: 65 bytes, uncompressed point (SEC 1, 2.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(Vec<u8>);

impl VerifyingKey {
    /// Takes an uncompressed point; that it lies on the curve is checked at each verification.
    pub fn from_point(point: &[u8]) -> Result<Self, SignError> {
        match point {
            [4, rest @ ..] if rest.len() == 64 => Ok(Self(point.to_vec())),
            _ => Err(SignError::BadKey),
        }
    }

    /// The uncompressed point, 65 bytes.
    pub fn point(&self) -> &[u8] {
        &self.0
    }

    /// Checks a 64-byte signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0)
            .verify(message, signature)
            .map_err(|_| SignError::BadSignature)
    }
}

/// An RSA public key of 2048 to 8192 bits, as a JWK has it (RFC 7518, 6.3.1): for what others sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaVerifyingKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl RsaVerifyingKey {
    /// Takes modulus and exponent, big-endian without leading zeros.
    pub fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, SignError> {
        let sized = (256..=1_024).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
        if !sized || modulus.first() == Some(&0) || exponent.first() == Some(&0) {
            return Err(SignError::BadKey);
        }
        Ok(Self { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// Checks a signature with PKCS #1 v1.5 and SHA-256 (RS256: RFC 7518, 3.3).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignError> {
        RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| SignError::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_verifies_and_refuses_the_rest() {
        let (key, document) = SigningKey::generate().unwrap();
        let again = SigningKey::from_pkcs8(&document).unwrap();
        assert_eq!(key.verifying_key(), again.verifying_key());
        let public = VerifyingKey::from_point(key.verifying_key().point()).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature.len(), 64);
        assert!(public.verify(b"message", &signature).is_ok());
        assert_eq!(public.verify(b"massage", &signature), Err(SignError::BadSignature));
        assert!(VerifyingKey::from_point(&[4; 64]).is_err());
        assert!(SigningKey::from_pkcs8(&SecretBytes::new(vec![1, 2, 3])).is_err());
    }
}
