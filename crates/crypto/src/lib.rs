//! The only user of the FIPS module (AWS-LC 3.x through `aws-lc-rs`).
//!
//! Everything that the DEA rule asks of cryptography passes through here: the passcode HMAC, the
//! sealing of seeds, key agreement and key derivation, signatures and randomness. Nothing here reads
//! a clock, opens a file or knows a word of the domain.

mod aead;
mod agreement;
mod cbc;
mod fips;
mod hash;
mod kdf;
mod rng;
mod secret;
mod sign;

pub use aead::{DataKey, KeyProvider, LocalMasterKey, OpenError, SEAL_OVERHEAD};
pub use agreement::{AGREEMENT_PUBLIC_BYTES, AgreementError, AgreementKey, AgreementPublicKey};
pub use cbc::{AES_CBC_IV_BYTES, AES_CBC_KEY_BYTES, CbcError, CbcKey, CbcText};
pub use fips::{EXPECTED_MODULE_MAJOR, FipsError, FipsStatus, fips_status};
pub use hash::{HmacAlgorithm, HmacKey, HmacTag, sha256};
pub use kdf::{
    HKDF_OUTPUT_MAX, HkdfError, HkdfKey, PBKDF2_MIN_ITERATIONS, PBKDF2_OUTPUT_BYTES,
    pbkdf2_hmac_sha512,
};
pub use rng::{Drawn, Rng, RngError, SystemRng, random_array};
pub use secret::{SecretBytes, SecretText, constant_time_eq};
pub use sign::{RsaVerifyingKey, SignError, SigningKey, VerifyingKey};
