//! Checks of this machine: the FIPS module, the time, files and folders.

use std::{
    fs::{self, Metadata},
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use countersign_crypto::{FipsError, FipsStatus};
use countersign_domain::Timestamp;

use super::Finding;
use crate::{
    key_file::{self, KeyFileError},
    private_file::explain,
    told, vip_keys,
};

/// Before this the clock was never set. A build of this program can't be older.
const EARLIEST_YEAR: i64 = 2025;
const LATEST_YEAR: i64 = 2100;

/// The FIPS module: in its mode, and of the certified line.
pub(crate) fn fips_finding(status: Result<FipsStatus, FipsError>) -> Finding {
    const NAME: &str = "FIPS module";
    match status {
        Ok(status) => {
            let module = status.module.map(|n| format!(", module version {n}")).unwrap_or_default();
            Finding::good(NAME, format!("AWS-LC FIPS {}{module}, in FIPS mode", status.library))
        }
        Err(error) => Finding::bad(
            NAME,
            error.to_string(),
            "use a binary built as described in docs/fips.md (AWS_LC_FIPS_SYS_USE_SYSTEM=0); the server does not start with this one",
        ),
    }
}

/// Whether the clock of this machine can be true at all.
pub(crate) fn time_finding(now: Timestamp) -> Finding {
    const NAME: &str = "time";
    let (year, ..) = now.civil();
    let says = format!("this machine says {}", now.minute_text());
    if (EARLIEST_YEAR..LATEST_YEAR).contains(&year) {
        return Finding::good(NAME, says);
    }
    Finding::bad(NAME, says, "set the clock and synchronize it with chrony or systemd-timesyncd")
}

/// The configuration file: readable, and not writable by others.
pub(crate) fn config_file_finding(path: Option<&Path>) -> Finding {
    const NAME: &str = "configuration file";
    let Some(path) = path else {
        return Finding::good(NAME, "none; using defaults and environment variables");
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::bad(NAME, explain(path, &error), "correct the file"),
    };
    let says = format!("{}, mode {:04o}", path.display(), mode(&metadata));
    if mode(&metadata) & 0o022 != 0 {
        let do_this = format!("other accounts can change it: run `chmod go-w {}`", path.display());
        return Finding::bad(NAME, says, do_this);
    }
    Finding::good(NAME, says)
}

/// The master key: there, whole, and closed to others.
pub(crate) fn key_file_finding(path: &Path) -> Finding {
    const NAME: &str = "master key file";
    match key_file::read(path) {
        Ok(_) => {
            Finding::good(NAME, format!("{}, not accessible to other accounts", path.display()))
        }
        Err(KeyFileError::Missing(path)) => Finding::bad(
            NAME,
            format!("{} is missing", path.display()),
            "restore it from your backup; a new one is created only at the first start of an installation without data",
        ),
        Err(error) => {
            Finding::bad(NAME, error.to_string(), "correct the file, then run this again")
        }
    }
}

/// The keys of the VIP Access protocol: there, whole, and closed to others.
pub(crate) fn vip_keys_finding(hmac: &Path, token: &Path) -> Finding {
    const NAME: &str = "VIP Access keys";
    match vip_keys::read(hmac, token) {
        Ok(_) => Finding::good(
            NAME,
            format!("{} and {}, not accessible to other accounts", hmac.display(), token.display()),
        ),
        Err(error) => Finding::bad(
            NAME,
            one_line(&told(&error)),
            "create or restore the file (docs/operations.md, \"VIP Access protocol\"), or set vip.enabled = false",
        ),
    }
}

/// The folder of the database file, and the file: there, writable, closed to others.
pub(crate) fn data_folder_finding(database: &Path) -> Finding {
    const NAME: &str = "data folder";
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let says = format!("{} is a file", folder.display());
            return Finding::bad(NAME, says, "correct database.path");
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::warn(
                NAME,
                format!("{} does not exist yet", folder.display()),
                "nothing if the server has never started; otherwise correct database.path",
            );
        }
        Err(error) => return Finding::bad(NAME, explain(folder, &error), "correct the folder"),
    };
    // Mode bits tell nothing about a read-only disk or another owner; the system's answer does.
    if let Err(error) = probe(folder) {
        return Finding::bad(
            NAME,
            explain(folder, &error),
            "make the folder writable for this account",
        );
    }
    let says = format!("{}, mode {:04o}, writable", folder.display(), mode(&metadata));
    if mode(&metadata) & 0o022 != 0 {
        let do_this =
            format!("other accounts can replace the data: run `chmod 700 {}`", folder.display());
        return Finding::bad(NAME, says, do_this);
    }
    match fs::metadata(database) {
        Ok(file) if mode(&file) & 0o022 != 0 => {
            let says = format!("{} can be changed by other accounts", database.display());
            Finding::bad(NAME, says, format!("run `chmod 600 {}`", database.display()))
        }
        // Where nobody else may enter the folder, the mode of the file does not matter.
        Ok(file) if mode(&metadata) & 0o077 != 0 && mode(&file) & 0o044 != 0 => Finding::warn(
            NAME,
            format!("{} can be read by other accounts", database.display()),
            format!("run `chmod 700 {}`", folder.display()),
        ),
        _ => Finding::good(NAME, says),
    }
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes and removes an empty file.
pub(crate) fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".countersign-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)
}
