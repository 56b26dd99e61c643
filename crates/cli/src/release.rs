//! Release manifests: which builds were certified (21 CFR 1311.300; question A18), signed by whoever stands for
//! that. The server compares the file that runs with them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use countersign_app::Build;
use countersign_crypto::{SecretBytes, SigningKey, sha256};
use countersign_domain::{
    canonical::Json,
    certification::{BuildId, Version},
};
use countersign_protocol::{oidc::jwk, record};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::{print, private_file, settings::Signing};

/// What a manifest calls itself.
const FORMAT: &str = "countersign-release/1";
/// Longest manifest, and longest set of keys, in bytes.
const MOST_BYTES: u64 = 256 * 1024;

/// What `countersign release` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Create a key that signs manifests: writes the private key to a file of mode 0600, and prints the public
    /// key as a JSON Web Key Set
    NewKey {
        /// File for the private key; it must not exist yet
        key_file: PathBuf,
    },
    /// Sign a manifest that lists binaries, and print it
    Sign {
        /// File with the private key
        #[arg(long)]
        key_file: PathBuf,
        /// ID of the report that covers them, as entered with `countersign admin add-report`
        #[arg(long)]
        report: String,
        /// The binaries
        #[arg(required = true)]
        binaries: Vec<PathBuf>,
    },
    /// Check whether a manifest lists a binary
    Check {
        /// The manifest
        manifest: PathBuf,
        /// The keys, as a JSON Web Key Set
        #[arg(long)]
        keys: PathBuf,
        /// The binary [default: this one]
        binary: Option<PathBuf>,
    },
}

pub(crate) fn run(command: &ReleaseCommand) -> anyhow::Result<()> {
    match command {
        ReleaseCommand::NewKey { key_file } => {
            let (key, document) = SigningKey::generate()?;
            private_file::create(key_file, HEXLOWER.encode(document.expose()).as_bytes())?;
            let keys = json!({ "keys": [jwk(&key_id(&key), key.verifying_key().point())] });
            print(&format!("{keys}\n"))
        }
        ReleaseCommand::Sign { key_file, report, binaries } => {
            let bytes = private_file::read(key_file, 4_096)?;
            let document = HEXLOWER.decode(bytes.expose().trim_ascii()).context("no key")?;
            let key = SigningKey::from_pkcs8(&SecretBytes::new(document))?;
            let digests =
                binaries.iter().map(|path| digest(path)).collect::<anyhow::Result<_>>()?;
            let digests: Vec<String> = digests;
            let manifest = Json::object([
                ("format", Json::from(FORMAT)),
                ("version", Json::from(env!("CARGO_PKG_VERSION"))),
                ("report", Json::from(report.as_str())),
                ("sha256", Json::List(digests.into_iter().map(Json::from).collect())),
            ]);
            let jws = record::sign(&key, &key_id(&key), "countersign-release+jws", &manifest)
                .context("the manifest could not be signed")?;
            print(&format!("{jws}\n"))
        }
        ReleaseCommand::Check { manifest, keys, binary } => {
            let path = match binary {
                Some(path) => path.clone(),
                None => std::env::current_exe().context("the path of this program")?,
            };
            let said = read(manifest, keys, ["the manifest", "--keys"])?;
            let report = said.get("report").and_then(Value::as_str).unwrap_or_default();
            if !lists(&said, &digest(&path)?) {
                bail!("{} is not listed", path.display());
            }
            print(&format!("{} is listed: {report}\n", path.display()))
        }
    }
}

fn key_id(key: &SigningKey) -> String {
    HEXLOWER.encode(&sha256(key.verifying_key().point())).chars().take(16).collect()
}

fn digest(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(HEXLOWER.encode(&sha256(&bytes)))
}

fn short(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || path.display().to_string();
    if fs::metadata(path).with_context(about)?.len() > MOST_BYTES {
        bail!("{}: too long", path.display());
    }
    fs::read(path).with_context(about)
}

/// What a manifest says, if one of the keys has signed it. `names` are those of the manifest and of the keys for whoever
/// gave their paths: a fault begins with the one that is wrong.
fn read(manifest: &Path, keys: &Path, names: [&'static str; 2]) -> anyhow::Result<Value> {
    let [manifest_name, keys_name] = names;
    let about = || format!("{manifest_name}: {}: not valid", manifest.display());
    let jws = short(manifest).context(manifest_name)?;
    let jws = String::from_utf8(jws).context("it is not UTF-8 text").with_context(about)?;
    let set = short(keys).context(keys_name)?;
    let is_set = serde_json::from_slice::<Value>(&set)
        .is_ok_and(|set| set.get("keys").is_some_and(Value::is_array));
    if !is_set {
        bail!(
            "{keys_name}: {}: not a JSON Web Key Set, such as `countersign release new-key` prints",
            keys.display()
        );
    }
    record::verify_as(FORMAT, &jws, &set).with_context(about)
}

fn lists(said: &Value, digest: &str) -> bool {
    let all = said.get("sha256").and_then(Value::as_array);
    all.is_some_and(|all| all.iter().any(|it| it.as_str() == Some(digest)))
}

/// The version of this program.
pub(crate) fn version() -> anyhow::Result<Version> {
    Ok(env!("CARGO_PKG_VERSION").parse()?)
}

/// The build that a file holds.
pub(crate) fn build_of(path: &Path) -> anyhow::Result<BuildId> {
    Ok(digest(path)?.parse()?)
}

/// What the settings know of the build that runs, and which it is. A manifest that can't be read or does not hold
/// is a fault of the configuration, and not a reason to go on without one.
pub(crate) fn build(signing: &Signing) -> anyhow::Result<(Build, BuildId)> {
    let other = if signing.unlisted_build { Build::Allowed } else { Build::Unlisted };
    let unlisted = BuildId::unlisted(version()?);
    if signing.release_manifest_file.is_empty() {
        return Ok((other, unlisted));
    }
    let said = read(
        Path::new(&signing.release_manifest_file),
        Path::new(&signing.release_keys_file),
        ["signing.release_manifest_file", "signing.release_keys_file"],
    )?;
    let program = std::env::current_exe().context("the path of this program")?;
    let digest = digest(&program)?;
    if !lists(&said, &digest) {
        return Ok((other, unlisted));
    }
    let report = said.get("report").and_then(Value::as_str).filter(|report| !report.is_empty());
    let report = report.with_context(|| {
        let path = &signing.release_manifest_file;
        format!("signing.release_manifest_file: {path}: the manifest names no report")
    })?;
    let report = report.to_owned();
    Ok((Build::Listed { report }, digest.parse()?))
}
