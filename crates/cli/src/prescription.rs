//! `countersign prescription`: what can be done with a signed record by whoever has it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use countersign_server::record;

use crate::print;

/// Longest file that is read, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// What `countersign prescription` does.
#[derive(Debug, Subcommand)]
pub(crate) enum PrescriptionCommand {
    /// Verify a signed record with the published keys; no server and no database is needed
    Verify {
        /// The record, as it was downloaded
        file: PathBuf,
        /// The keys, as `/.well-known/jwks.json` of the server gives them
        #[arg(long)]
        keys: PathBuf,
    },
}

pub(crate) fn run(command: &PrescriptionCommand) -> anyhow::Result<()> {
    let PrescriptionCommand::Verify { file, keys } = command;
    let jws = String::from_utf8(read(file)?).context("the record is not text")?;
    let said = record::verify(&jws, &read(keys)?)
        .with_context(|| format!("{}: not valid", file.display()))?;
    let text = serde_json::to_string_pretty(&said)?;
    print(&format!("The signature holds. The record says:\n{text}\n"))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || path.display().to_string();
    if fs::metadata(path).with_context(about)?.len() > MOST_BYTES {
        bail!("{}: too long", path.display());
    }
    fs::read(path).with_context(about)
}
