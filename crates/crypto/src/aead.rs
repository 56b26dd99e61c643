use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use data_encoding::HEXLOWER;
use thiserror::Error;

use crate::{Rng, RngError, SecretBytes, random_array};

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// Bytes that sealing adds: nonce and tag.
pub const SEAL_OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

/// A sealed value did not open: wrong key, wrong place or changed bytes. Never says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the sealed value does not open with this key in this place")]
pub struct OpenError;

/// An AES-256-GCM key for column values (SP 800-38D). The nonce is made inside the module.
///
/// Sealed form: 12 bytes nonce, cipher text, 16 bytes tag.
pub struct DataKey(RandomizedNonceKey);

impl DataKey {
    /// Makes a new key and hands out its bytes once, for wrapping.
    pub fn generate(rng: &mut dyn Rng) -> Result<(Self, SecretBytes), RngError> {
        let bytes: [u8; KEY_BYTES] = random_array(rng)?;
        let secret = SecretBytes::new(bytes.to_vec());
        let key = Self::from_bytes(&secret).map_err(|_| RngError)?;
        Ok((key, secret))
    }

    /// The key with these 32 bytes.
    pub fn from_bytes(bytes: &SecretBytes) -> Result<Self, OpenError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes.expose()).map(Self).map_err(|_| OpenError)
    }

    /// Seals `plain`, bound to `place` (table, row and column) as associated data.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut text = plain.to_vec();
        let nonce =
            self.0.seal_in_place_append_tag(Aad::from(place), &mut text).map_err(|_| OpenError)?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + text.len());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what [`DataKey::seal`] made for the same `place`.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_BYTES).ok_or(OpenError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError)?;
        let mut text = text.to_vec();
        let length =
            self.0.open_in_place(nonce, Aad::from(place), &mut text).map_err(|_| OpenError)?.len();
        text.truncate(length);
        Ok(SecretBytes::new(text))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// Wraps and unwraps data keys. A key file today; an HSM or a KMS is another implementation.
pub trait KeyProvider: Send + Sync {
    /// Names the master key, so that a wrong one is told from a damaged value. Not secret.
    fn key_id(&self) -> String;
    /// Wraps a data key for `place`.
    fn wrap(&self, place: &[u8], key: &SecretBytes) -> Result<Vec<u8>, OpenError>;
    /// Unwraps what [`KeyProvider::wrap`] made for the same `place`.
    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, OpenError>;
}

/// A master key held by this process, read from a key file by the caller.
pub struct LocalMasterKey {
    key: DataKey,
    id: String,
}

impl LocalMasterKey {
    /// The master key with these 32 bytes.
    pub fn from_bytes(bytes: &SecretBytes) -> Result<Self, OpenError> {
        // The name is a one-way function of the key, so that it can be stored beside what the key wraps.
        let mut labelled = b"countersign master key name".to_vec();
        labelled.extend_from_slice(bytes.expose());
        let digest = crate::sha256(&labelled);
        zeroize::Zeroize::zeroize(&mut labelled);
        let id = HEXLOWER.encode(&digest[..8]);
        Ok(Self { key: DataKey::from_bytes(bytes)?, id })
    }

    /// New random key bytes for a key file.
    pub fn generate(rng: &mut dyn Rng) -> Result<SecretBytes, RngError> {
        let bytes: [u8; KEY_BYTES] = random_array(rng)?;
        Ok(SecretBytes::new(bytes.to_vec()))
    }
}

impl KeyProvider for LocalMasterKey {
    fn key_id(&self) -> String {
        self.id.clone()
    }

    fn wrap(&self, place: &[u8], key: &SecretBytes) -> Result<Vec<u8>, OpenError> {
        self.key.seal(place, key.expose())
    }

    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, OpenError> {
        self.key.open(place, wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    #[test]
    fn opens_only_in_its_place_and_unchanged() {
        let (key, _) = DataKey::generate(&mut SystemRng).unwrap();
        let sealed = key.seal(b"token|1|seed", b"12345678901234567890").unwrap();
        assert_eq!(sealed.len(), 20 + SEAL_OVERHEAD);
        assert_eq!(key.open(b"token|1|seed", &sealed).unwrap().expose(), b"12345678901234567890");
        assert_eq!(key.open(b"token|2|seed", &sealed).unwrap_err(), OpenError);
        for index in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[index] ^= 1;
            assert!(key.open(b"token|1|seed", &flipped).is_err(), "byte {index}");
        }
        for length in 0..SEAL_OVERHEAD {
            assert!(key.open(b"token|1|seed", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let (key, _) = DataKey::generate(&mut SystemRng).unwrap();
        assert_ne!(key.seal(b"p", b"v").unwrap(), key.seal(b"p", b"v").unwrap());
    }

    #[test]
    fn a_master_key_wraps_and_another_does_not_unwrap() {
        let first =
            LocalMasterKey::from_bytes(&LocalMasterKey::generate(&mut SystemRng).unwrap()).unwrap();
        let second =
            LocalMasterKey::from_bytes(&LocalMasterKey::generate(&mut SystemRng).unwrap()).unwrap();
        let (_, secret) = DataKey::generate(&mut SystemRng).unwrap();
        let wrapped = first.wrap(b"practice|1", &secret).unwrap();
        assert!(first.unwrap(b"practice|1", &wrapped).unwrap().ct_eq(secret.expose()));
        assert!(second.unwrap(b"practice|1", &wrapped).is_err());
        assert_ne!(first.key_id(), second.key_id());
        assert!(LocalMasterKey::from_bytes(&SecretBytes::new(vec![0; 31])).is_err());
    }
}
