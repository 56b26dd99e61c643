//! `countersign prescription`: what can be done with signed records by whoever has them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use countersign_app::pdf;
use countersign_domain::{Timestamp, prescription::State};
use countersign_protocol::record;
use serde::Deserialize;
use serde_json::Value;

use crate::{print, private_file};

/// Longest file that is read, in bytes.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// What `countersign prescription` does.
#[derive(Debug, Subcommand)]
pub(crate) enum PrescriptionCommand {
    /// Verify a signed record, or an export of many, with the published keys; needs no server or database
    Verify {
        /// The downloaded record, or a JSON Lines export
        file: PathBuf,
        /// The keys, from `/.well-known/jwks.json` of the server
        #[arg(long)]
        keys: PathBuf,
        /// Write the records as a printable document
        #[arg(long, value_name = "FILE")]
        pdf: Option<PathBuf>,
    },
}

/// A line of an export; what it says beside the record is not signed.
#[derive(Deserialize)]
struct Line {
    signed_record: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    disowned: Option<String>,
}

/// A record that holds.
struct Held {
    said: Value,
    state: &'static str,
    disowned: bool,
}

pub(crate) fn run(command: &PrescriptionCommand) -> anyhow::Result<()> {
    let PrescriptionCommand::Verify { file, keys, pdf } = command;
    let text = String::from_utf8(read(file)?).context("the record is not text")?;
    let keys = read(keys)?;
    let (held, summary) = if text.trim_start().starts_with('{') {
        let held = export(&text, &keys).with_context(|| file.display().to_string())?;
        let summary = format!("All {} signatures are valid.\n", held.len());
        (held, summary)
    } else {
        let said = record::verify(&text, &keys)
            .with_context(|| format!("{}: not valid", file.display()))?;
        let words = serde_json::to_string_pretty(&said)?;
        let summary = format!("The signature is valid. Record:\n{words}\n");
        (vec![Held { said, state: "", disowned: false }], summary)
    };
    if let Some(path) = pdf {
        let words = |it: &Held| record::paragraphs(&it.said, it.state, it.disowned);
        let lines: Vec<String> = held.iter().flat_map(words).collect();
        let title = "Signed prescriptions; signatures verified (the status is not signed)";
        let document = pdf::document(title, &lines);
        // Health data: for its owner alone, and over nothing that is there.
        private_file::create(path, &document).with_context(|| path.display().to_string())?;
    }
    print(&summary)
}

/// Verifies every line of an export; the first that does not hold, or comes twice, is named.
fn export(text: &str, keys: &[u8]) -> anyhow::Result<Vec<Held>> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let about = || format!("line {}: not valid", at + 1);
            let line: Line = serde_json::from_str(line).with_context(about)?;
            let said = record::verify(&line.signed_record, keys).with_context(about)?;
            let id = said.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if !seen.insert(id) {
                bail!("line {}: duplicate record", at + 1);
            }
            // What became of it is no part of what was signed: an unknown word is left out.
            let state = State::from_code(&line.state, Some(Timestamp::from_micros(0)))
                .map_or("", |state| state.label());
            Ok(Held { said, state, disowned: line.disowned.is_some() })
        })
        .collect()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || path.display().to_string();
    if fs::metadata(path).with_context(about)?.len() > MOST_BYTES {
        bail!("{}: too long", path.display());
    }
    fs::read(path).with_context(about)
}
