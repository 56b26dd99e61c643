//! How a token gets its credential: the messages of the protocols, read, checked and written.
//!
//! Server and clients use the same code. Nothing here does I/O, reads a clock or remembers anything:
//! limits, replay and what is stored are the caller's.

mod percent;

pub mod fobs;
#[doc(hidden)]
pub mod fuzzing;
pub mod native;
pub mod otpauth;
pub mod vip;

pub use countersign_domain::{CredentialId, CredentialIdError, Timestamp, otp};
