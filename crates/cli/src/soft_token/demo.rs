//! Keeps the tokens of the demonstration, for `countersign token` to show their codes.

use std::path::Path;

use anyhow::Context;
use countersign_crypto::SecretText;
use countersign_domain::{
    CredentialId,
    otp::{OtpParams, TokenSeed},
};

use super::{pin::Pin, server::Credential, token_file::StoredToken};
use crate::private_file;

/// Keeps a token that the demonstration made, as `token new` would have.
pub(crate) fn keep_for_demo(
    folder: &Path,
    name: &str,
    made: (CredentialId, TokenSeed, OtpParams),
    pin: &str,
) -> anyhow::Result<()> {
    private_file::create_folder(folder)?;
    let (id, seed, params) = made;
    let credential = Credential { id, params, seed, expires: None };
    let stored = StoredToken::seal(name, &credential, &Pin(SecretText::new(pin.to_owned())))?;
    let text = serde_json::to_vec_pretty(&stored).context("the token could not be written")?;
    private_file::create(&folder.join(format!("{}.json", credential.id)), &text)?;
    Ok(())
}
