//! The PIN that opens a token: where it comes from, and the key that is made from it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use countersign_crypto::{DataKey, SecretBytes, SecretText, pbkdf2_hmac_sha512};

use crate::private_file;

const KEY_BYTES: usize = 32;
const PIN_MIN_CHARACTERS: usize = 6;
const PIN_MAX_BYTES: usize = 128;
const PIN_VARIABLE: &str = "COUNTERSIGN_TOKEN_PIN";

/// Where the PIN comes from.
#[derive(Debug, Args)]
pub(crate) struct PinSource {
    /// File with the PIN on its first line, mode 0600; else the variable `COUNTERSIGN_TOKEN_PIN`, else a prompt
    #[arg(long, value_name = "FILE")]
    pub(super) pin_file: Option<PathBuf>,
}

impl PinSource {
    pub(super) fn read(&self, twice: bool) -> anyhow::Result<Pin> {
        if let Some(path) = &self.pin_file {
            return Pin::from_file(path);
        }
        if let Some(value) = std::env::var_os(PIN_VARIABLE) {
            let text =
                value.into_string().map_err(|_| anyhow!("{PIN_VARIABLE} is not UTF-8 text"))?;
            return Pin::new(SecretText::new(text)).with_context(|| PIN_VARIABLE.to_owned());
        }
        Pin::from_prompt(twice)
    }
}

/// What opens a token: at least six characters.
pub(super) struct Pin(pub(super) SecretText);

impl Pin {
    pub(super) fn new(text: SecretText) -> anyhow::Result<Self> {
        let pin = text.expose();
        ensure!(
            pin.chars().count() >= PIN_MIN_CHARACTERS,
            "the PIN needs at least {PIN_MIN_CHARACTERS} characters; several words are recommended"
        );
        ensure!(
            pin.len() <= PIN_MAX_BYTES,
            "the PIN has more than {PIN_MAX_BYTES} bytes: use fewer"
        );
        ensure!(
            !pin.chars().any(char::is_control),
            "the PIN contains an invalid character: use letters, digits, spaces and punctuation"
        );
        Ok(Self(text))
    }

    pub(super) fn from_file(path: &Path) -> anyhow::Result<Self> {
        // A pipe, as a shell makes for `--pin-file <(...)`, is private to the two processes.
        let piped =
            fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let bytes = if piped {
            let mut bytes = Vec::with_capacity(1_024);
            let read =
                fs::File::open(path).and_then(|file| file.take(1_024).read_to_end(&mut bytes));
            let bytes = SecretBytes::new(bytes);
            read.map_err(|error| anyhow!("PIN file {}", private_file::explain(path, &error)))?;
            bytes
        } else {
            private_file::read(path, 1_024).context("PIN file")?
        };
        let line = bytes.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|_| anyhow!("the PIN file {} is not UTF-8 text", path.display()))?;
        Self::new(SecretText::new(text.to_owned()))
            .with_context(|| format!("PIN file {}", path.display()))
    }

    fn from_prompt(twice: bool) -> anyhow::Result<Self> {
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt).map(SecretText::new).map_err(|error| {
                anyhow!("no terminal to ask for the PIN ({error}): give --pin-file FILE or set {PIN_VARIABLE}")
            })
        };
        if !twice {
            return Self::new(ask("PIN: ")?);
        }
        let pin = Self::new(ask("Choose a PIN for this token (6 characters or more): ")?)?;
        let again = ask("Repeat the PIN: ")?;
        let same = SecretBytes::new(again.expose().into()).ct_eq(pin.0.expose().as_bytes());
        ensure!(same, "the PINs do not match: nothing was created, start over");
        Ok(pin)
    }

    /// The key under which the seed is sealed. Slow on purpose.
    pub(super) fn key(&self, iterations: u32, salt: &[u8]) -> anyhow::Result<DataKey> {
        // The module counts PBKDF2 as approved from 14 bytes on. These constant words make up the
        // length, so that the rule holds in form; they add nothing to the strength of the PIN.
        let mut secret = Vec::with_capacity(256);
        secret.extend_from_slice(b"countersign-pin:");
        secret.extend_from_slice(self.0.expose().as_bytes());
        let secret = SecretBytes::new(secret);
        let derived = pbkdf2_hmac_sha512(iterations, salt, secret.expose());
        let key = derived.expose().get(..KEY_BYTES).unwrap_or_default();
        Ok(DataKey::from_bytes(&SecretBytes::new(key.to_vec()))?)
    }
}
