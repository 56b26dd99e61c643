use std::fmt;

use aws_lc_rs::{
    cipher::{
        AES_128, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
        UnboundCipherKey,
    },
    iv::FixedLength,
};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::SecretBytes;

/// Bytes of an AES-128 key.
pub const AES_CBC_KEY_BYTES: usize = 16;
/// Bytes of an initialization vector: one block.
pub const AES_CBC_IV_BYTES: usize = 16;

/// The module did not encrypt, or what was to be decrypted is no whole, well padded cipher text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("AES-CBC failed")]
pub struct CbcError;

/// An AES-128-CBC key with PKCS #7 padding (SP 800-38A), for protocols that fix this cipher.
///
/// CBC alone notices no change: who receives such a text needs something else that vouches for it.
/// For our own data there is [`crate::DataKey`].
pub struct CbcKey(Zeroizing<[u8; AES_CBC_KEY_BYTES]>);

/// Cipher text and initialization vector of one message, made by [`CbcKey::encrypt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CbcText {
    /// The initialization vector, made at random inside the module.
    pub iv: [u8; AES_CBC_IV_BYTES],
    /// The cipher text, a whole number of blocks.
    pub cipher: Vec<u8>,
}

impl CbcKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; AES_CBC_KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Encrypts `plain` under a fresh random initialization vector.
    pub fn encrypt(&self, plain: &[u8]) -> Result<CbcText, CbcError> {
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.unbound()?).map_err(|_| CbcError)?;
        // Room for the padding from the start: a vector that grew would leave the plain text behind.
        let mut cipher = Vec::with_capacity(plain.len() + AES_CBC_IV_BYTES);
        cipher.extend_from_slice(plain);
        if let Ok(DecryptionContext::Iv128(iv)) = key.encrypt(&mut cipher) {
            return Ok(CbcText { iv: *iv.as_ref(), cipher });
        }
        cipher.zeroize();
        Err(CbcError)
    }

    /// Decrypts what [`CbcKey::encrypt`] made. Never says what was wrong with it.
    pub fn decrypt(
        &self,
        iv: [u8; AES_CBC_IV_BYTES],
        cipher: &[u8],
    ) -> Result<SecretBytes, CbcError> {
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.unbound()?).map_err(|_| CbcError)?;
        let mut text = Zeroizing::new(cipher.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let plain = key.decrypt(&mut text, context).map_err(|_| CbcError)?;
        Ok(SecretBytes::new(plain.to_vec()))
    }

    fn unbound(&self) -> Result<UnboundCipherKey, CbcError> {
        UnboundCipherKey::new(&AES_128, self.0.as_slice()).map_err(|_| CbcError)
    }
}

impl fmt::Debug for CbcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcKey")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    /// SP 800-38A, F.2.2, with the block of padding that `openssl enc` puts behind it.
    #[test]
    fn nist_vector() {
        let key = CbcKey::new(unhex("2b7e151628aed2a6abf7158809cf4f3c"));
        let iv = unhex("000102030405060708090a0b0c0d0e0f");
        let plain: [u8; 16] = unhex("6bc1bee22e409f96e93d7e117393172a");
        let first: [u8; 16] = unhex("7649abac8119b246cee98e9b12e9197d");
        let padding: [u8; 16] = unhex("8964e0b149c10b7b682e6e39aaeb731c");
        assert_eq!(key.decrypt(iv, &[first, padding].concat()).unwrap().expose(), plain);
    }

    #[test]
    fn every_length_comes_back() {
        let key = CbcKey::new([7; 16]);
        for length in 0..70u8 {
            let plain: Vec<u8> = (0..length).collect();
            let text = key.encrypt(&plain).unwrap();
            assert_eq!(text.cipher.len(), (plain.len() / 16 + 1) * 16);
            assert_eq!(key.decrypt(text.iv, &text.cipher).unwrap().expose(), plain);
            assert_ne!(key.encrypt(&plain).unwrap(), text, "the vector is fresh each time");
        }
    }

    #[test]
    fn no_whole_block_and_no_padding_are_refused() {
        let key = CbcKey::new([7; 16]);
        let text = key.encrypt(&[1; 20]).unwrap();
        for length in (0..32).filter(|length| *length != 16) {
            assert_eq!(key.decrypt(text.iv, &text.cipher[..length]).unwrap_err(), CbcError);
        }
        let mut bent = text.cipher.clone();
        bent[15] ^= 0x40;
        assert!(key.decrypt(text.iv, &bent).is_err());
        assert_eq!(format!("{key:?}"), "CbcKey");
    }
}
