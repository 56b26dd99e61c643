//! The files in which tokens are kept, and the folder of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail, ensure};
use countersign_crypto::{PBKDF2_MIN_ITERATIONS, SystemRng, random_array};
use countersign_domain::{
    CredentialId, TokenName,
    otp::{OtpParams, TokenSeed},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{pin::Pin, quoted, server::Credential};
use crate::private_file;

const VERSION: u32 = 1;
const SALT_BYTES: usize = 32;
/// A stored number above this would only make opening the file take for ever.
const ITERATIONS_MAX: u32 = 10_000_000;
const FILE_BYTES_MAX: usize = 4_096;

/// A token file, version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredToken {
    version: u32,
    pub(super) name: String,
    pub(super) credential_id: String,
    algorithm: String,
    pub(super) digits: u8,
    pub(super) period: u16,
    iterations: u32,
    /// Base64, 32 bytes.
    salt: String,
    /// Base64, the seed as [`DataKey::seal`](countersign_crypto::DataKey::seal) makes it.
    sealed: String,
    #[serde(skip)]
    pub(super) path: PathBuf,
}

impl StoredToken {
    pub(super) fn seal(name: &str, credential: &Credential, pin: &Pin) -> anyhow::Result<Self> {
        let salt: [u8; SALT_BYTES] = random_array(&mut SystemRng)?;
        let mut token = Self {
            version: VERSION,
            name: name.to_owned(),
            credential_id: credential.id.as_str().to_owned(),
            algorithm: credential.params.algorithm_code().to_owned(),
            digits: credential.params.digits(),
            period: credential.params.period(),
            iterations: PBKDF2_MIN_ITERATIONS,
            salt: BASE64.encode(&salt),
            sealed: String::new(),
            path: PathBuf::new(),
        };
        let key = pin.key(token.iterations, &salt)?;
        token.sealed = BASE64.encode(&key.seal(&token.place()?, credential.seed.expose())?);
        Ok(token)
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let damaged = || format!("{} is damaged or not a token file: remove it", path.display());
        let bytes = private_file::read(path, FILE_BYTES_MAX)?;
        let value: serde_json::Value =
            serde_json::from_slice(bytes.expose()).with_context(damaged)?;
        if value
            .get("version")
            .and_then(serde_json::Value::as_u64)
            .is_some_and(|v| v > VERSION.into())
        {
            bail!("{} was created by a newer version: update countersign", path.display());
        }
        let mut token: Self = serde_json::from_value(value).with_context(damaged)?;
        let iterations = PBKDF2_MIN_ITERATIONS..=ITERATIONS_MAX;
        let sound = token.version == VERSION
            && iterations.contains(&token.iterations)
            && TokenName::stored(&token.name).is_some_and(|name| name.as_str() == token.name)
            && token.id().is_ok()
            && token.params().is_ok()
            && token.bytes_of(&token.salt)?.len() == SALT_BYTES;
        ensure!(sound, damaged());
        path.clone_into(&mut token.path);
        Ok(token)
    }

    pub(super) fn open(&self, pin: &Pin) -> anyhow::Result<(TokenSeed, OtpParams)> {
        let key = pin.key(self.iterations, &self.bytes_of(&self.salt)?)?;
        let seed = key
            .open(&self.place()?, &self.bytes_of(&self.sealed)?)
            .map_err(|_| anyhow!("incorrect PIN, or {} was changed", self.path.display()))?;
        Ok((TokenSeed::new(seed)?, self.params()?))
    }

    /// The associated data of the seal: all that says whose seed this is and how it is used.
    fn place(&self) -> anyhow::Result<Vec<u8>> {
        let place = (
            "countersign soft token",
            self.version,
            &self.credential_id,
            &self.name,
            &self.algorithm,
            self.digits,
            self.period,
        );
        Ok(serde_json::to_vec(&place)?)
    }

    pub(super) fn id(&self) -> anyhow::Result<CredentialId> {
        Ok(CredentialId::parse(&self.credential_id, None)?)
    }

    pub(super) fn params(&self) -> anyhow::Result<OtpParams> {
        let algorithm = OtpParams::algorithm_from_code(&self.algorithm)?;
        Ok(OtpParams::new(algorithm, self.digits, self.period)?)
    }

    fn bytes_of(&self, text: &str) -> anyhow::Result<Vec<u8>> {
        BASE64.decode(text.as_bytes()).map_err(|_| {
            anyhow!("{} is damaged or not a token file: remove it", self.path.display())
        })
    }
}

pub(super) fn check_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        fs::metadata(folder).map_err(|error| anyhow!(private_file::explain(folder, &error)))?;
    ensure!(metadata.is_dir(), "{} is not a folder: give another --dir", folder.display());
    let mode = metadata.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    ensure!(
        others == 0,
        "{0} is open to other accounts (mode {mode:04o}): run `chmod 700 {0}`, or give another --dir",
        folder.display()
    );
    Ok(())
}

/// The tokens in a folder, by name, and a line for each file that is none.
pub(super) fn read_folder(folder: &Path) -> anyhow::Result<(Vec<StoredToken>, Vec<String>)> {
    let (mut tokens, mut faults) = (Vec::new(), Vec::new());
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((tokens, faults)),
        other => other.map_err(|error| anyhow!(private_file::explain(folder, &error)))?,
    };
    for item in listed {
        let path = item?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match StoredToken::read(&path) {
            Ok(token) => tokens.push(token),
            Err(error) => faults.push(error.to_string()),
        }
    }
    tokens.sort_by(|a, b| (&a.name, &a.credential_id).cmp(&(&b.name, &b.credential_id)));
    faults.sort();
    Ok((tokens, faults))
}

pub(super) fn find_token(folder: &Path, wanted: Option<&str>) -> anyhow::Result<StoredToken> {
    let (mut tokens, faults) = read_folder(folder)?;
    let all: Vec<String> = tokens.iter().map(|token| quoted(&token.name)).collect();
    if let Some(wanted) = wanted {
        let id = CredentialId::parse(wanted, None).ok();
        let named = |token: &StoredToken| token.name == wanted.trim();
        let by_id =
            |token: &StoredToken| id.as_ref().is_some_and(|id| id.as_str() == token.credential_id);
        if tokens.iter().any(named) {
            tokens.retain(named);
        } else {
            tokens.retain(by_id);
        }
    }
    match (tokens.len(), wanted) {
        (1, _) => tokens.pop().ok_or_else(|| anyhow!("no token")),
        (0, _) if !faults.is_empty() => bail!("{}", faults.join("\n")),
        (0, None) => bail!(
            "no tokens in {}: create one with `countersign token new --server URL --name NAME`",
            folder.display()
        ),
        (0, Some(wanted)) if all.is_empty() => {
            bail!("no token {} in {}, which is empty", quoted(wanted), folder.display())
        }
        (0, Some(wanted)) => {
            bail!(
                "no token {} in {}; available: {}",
                quoted(wanted),
                folder.display(),
                all.join(", ")
            )
        }
        (_, None) => bail!("several tokens: give one of these names: {}", all.join(", ")),
        (_, Some(_)) => bail!("several tokens have that name: give the credential ID"),
    }
}
