//! The pages, as plain display data.
//!
//! One struct a page, each an askama template under `templates/`. Nothing here decides anything:
//! handlers fill in text that is ready to be shown, the templates lay it out and escape it.
//!
//! What was typed is kept in [`TextField`] and [`ChoiceField`]. Passphrases and passcodes have a
//! [`SecretField`], which has no room for a value, so a page can't send a secret back.

mod activation;
mod add_token;
mod certification;
mod dashboard;
mod enrol;
mod error;
mod fields;
mod frame;
mod pairing;
mod passphrase;
mod phone;
mod practice;
mod prescribing;
mod sign_in;
mod times;
mod token_rows;
mod tokens;

pub use activation::*;
pub use add_token::*;
pub use certification::*;
pub use dashboard::*;
pub use enrol::*;
pub use error::*;
pub use fields::*;
pub use frame::*;
pub use pairing::*;
pub use passphrase::*;
pub use phone::*;
pub use practice::*;
pub use prescribing::*;
pub use sign_in::*;
pub use times::*;
pub use token_rows::*;
pub use tokens::*;

/// Appended to the address of every static file, so that an upgrade is not met by a stale cache.
pub const ASSET_VERSION: &str = env!("CARGO_PKG_VERSION");
