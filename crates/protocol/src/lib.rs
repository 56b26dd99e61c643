//! What is said to other systems and by them, byte by byte: no network, no clock, no database.

#[doc(hidden)]
pub mod fuzzing;
pub mod jwks;
pub mod jws;
pub mod launch;
pub mod newrx;
pub mod oidc;
pub mod record;
pub mod smart;
pub mod validity;
pub mod webhook_signature;
