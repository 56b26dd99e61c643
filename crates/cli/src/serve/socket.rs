//! Binds the address of the server, and says why that is not possible.

use std::path::Path;

use anyhow::bail;
use countersign_server::Listening;

use crate::{
    doctor,
    settings::{Listen, Settings},
};

/// Binds an address that stands in `setting`.
pub(crate) async fn bind(address: &str, setting: &str) -> anyhow::Result<Listening> {
    match Listening::bind(address).await {
        Ok(listening) => Ok(listening),
        Err(error) => bail!("{}", why_not_bound(address, setting, &error)),
    }
}

/// Refuses a socket path at which a start could not listen, in the words of a start. An empty file is made beside it
/// and removed: mode bits tell nothing about a read-only disk or another owner.
pub(super) fn check_socket(settings: &Settings) -> anyhow::Result<()> {
    const SETTING: &str = "server.listen";
    let Listen::Unix(path) = settings.listen()? else { return Ok(()) };
    if path.is_dir() {
        bail!("{} is a folder: choose another path in {SETTING}", path.display());
    }
    let probed: std::io::Result<()> = match path.parent() {
        _ if path.is_file() => Err(std::io::ErrorKind::AddrInUse.into()),
        Some(folder) => doctor::probe(folder),
        None => Ok(()),
    };
    match probed {
        Ok(()) => Ok(()),
        Err(error) => bail!("{}", why_not_bound(&settings.server.listen, SETTING, &error)),
    }
}

/// Why an address can't be listened on, and what to do.
fn why_not_bound(address: &str, setting: &str, error: &std::io::Error) -> String {
    use std::io::ErrorKind as E;
    let path = address.strip_prefix("unix:").map(Path::new);
    let folder = path.and_then(Path::parent).map(Path::display);
    match (error.kind(), path, folder) {
        (E::AddrInUse, Some(path), _) if path.is_file() => {
            format!("{} is a file: remove it, or choose another path in {setting}", path.display())
        }
        (E::AddrInUse, ..) => {
            format!(
                "{address} is in use: stop the program that listens there, or choose another address in {setting}"
            )
        }
        (E::NotFound, _, Some(folder)) => {
            format!(
                "{address}: {folder} does not exist: create it, or choose another path in {setting}"
            )
        }
        (E::PermissionDenied, _, Some(folder)) => {
            format!(
                "{address}: this account has no permission to write to {folder}: grant it, or choose another path in {setting}"
            )
        }
        (E::PermissionDenied, ..) => {
            format!(
                "{address}: this account has no permission to listen there: choose port 1024 or higher in {setting}"
            )
        }
        (E::AddrNotAvailable, ..) => {
            format!(
                "{address}: this machine does not have this address: choose another in {setting}"
            )
        }
        _ => format!("cannot listen on {address} ({error}): choose another address in {setting}"),
    }
}
