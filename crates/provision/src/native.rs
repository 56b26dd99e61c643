//! The native protocol: the seed is agreed, never sent (`docs/provisioning.md`).

mod derive;
mod message;
mod pairing;

pub use derive::{
    CONFIRMATION_BYTES, Confirmation, DeriveError, SeedAlgorithm, derive_on_device,
    derive_on_server,
};
pub use message::{
    Answer, AnswerError, BODY_MAX_BYTES, BrowserState, Family, ProvisionRequest, RequestError,
    ServerTime, VERSION,
};
pub use pairing::{PairingCode, PairingCodeError};
