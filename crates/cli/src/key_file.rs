//! The master key file: 32 random bytes as 64 hexadecimal digits and a line feed, mode 0600.

use std::path::{Path, PathBuf};

use countersign_crypto::{LocalMasterKey, OpenError, Rng, RngError, SecretBytes};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

const KEY_BYTES: usize = 32;
const KEY_DIGITS: usize = 2 * KEY_BYTES;

/// Why there is no master key; each text is one line that says what to do.
#[derive(Debug, Error)]
pub(crate) enum KeyFileError {
    /// No file. Only a new installation may make one.
    #[error(
        "the master key file {} is missing: restore it from your backup, or correct keys.master_key_file; stored seeds can't be decrypted without it, and a new key would not help",
        .0.display()
    )]
    Missing(PathBuf),
    /// Something else is in the file.
    #[error(
        "{} is not a master key file (64 hexadecimal digits): restore the right one from your backup, or correct keys.master_key_file",
        .0.display()
    )]
    NotAKey(PathBuf),
    /// The file can't be used as it is.
    #[error("keys.master_key_file: {0}")]
    File(#[from] PrivateFileError),
    /// No random bytes.
    #[error("master key file: {0}; restart this machine and run `countersign doctor`")]
    Random(#[from] RngError),
    /// The module refused the key.
    #[error("master key file: the FIPS module rejected the key; run `countersign doctor`")]
    Module(#[from] OpenError),
}

/// Reads the master key. Refuses a file that other accounts may open, and any other content.
pub(crate) fn read(path: &Path) -> Result<LocalMasterKey, KeyFileError> {
    let text = private_file::read(path, 1_024).map_err(|error| match error {
        PrivateFileError::Missing(path) => KeyFileError::Missing(path),
        PrivateFileError::TooLarge(path) => KeyFileError::NotAKey(path),
        other => KeyFileError::File(other),
    })?;
    let digits = text.expose().trim_ascii();
    let not_a_key = || KeyFileError::NotAKey(path.to_owned());
    if digits.len() != KEY_DIGITS {
        return Err(not_a_key());
    }
    let key = HEXLOWER_PERMISSIVE.decode(digits).map_err(|_| not_a_key())?;
    Ok(LocalMasterKey::from_bytes(&SecretBytes::new(key))?)
}

/// Makes a new master key and its file, and the folder where that is missing. Never replaces a file.
pub(crate) fn create(path: &Path, rng: &mut dyn Rng) -> Result<LocalMasterKey, KeyFileError> {
    let bytes = LocalMasterKey::generate(rng)?;
    let key = LocalMasterKey::from_bytes(&bytes)?;
    // The line feed has its room from the start: growing would leave a copy of the digits behind.
    let mut text = Zeroizing::new(vec![b'\n'; KEY_DIGITS + 1]);
    if let Some(digits) = text.get_mut(..KEY_DIGITS) {
        HEXLOWER.encode_mut(bytes.expose(), digits);
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private_file::create_folder(folder)?;
    }
    private_file::create(path, &text)?;
    Ok(key)
}

/// Reads the master key, or makes it where there is none. Only for an installation without data:
/// whatever is stored was sealed under the key that is missing.
pub(crate) fn read_or_create(
    path: &Path,
    rng: &mut dyn Rng,
) -> Result<LocalMasterKey, KeyFileError> {
    match read(path) {
        Err(KeyFileError::Missing(_)) => match create(path, rng) {
            // Another process was faster; its key is the key.
            Err(KeyFileError::File(PrivateFileError::Exists(_))) => read(path),
            other => other,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::{KeyProvider, SystemRng};
    use std::{fs, os::unix::fs::PermissionsExt};

    fn line(result: Result<LocalMasterKey, KeyFileError>) -> String {
        let line = result.err().unwrap().to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/master.key");
        let made = read_or_create(&path, &mut SystemRng).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!((text.len(), text.trim().len()), (65, 64));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let again = read_or_create(&path, &mut SystemRng).unwrap();
        assert_eq!(made.key_id(), again.key_id());
        assert!(line(create(&path, &mut SystemRng)).contains("not overwritten"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        write(&path, text.to_uppercase().trim());
        assert_eq!(read(&path).unwrap().key_id(), made.key_id());
    }

    #[test]
    fn every_fault_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(line(read(&path)).contains("restore it from your backup"));
        for text in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"0".repeat(9_000)]
        {
            write(&path, text);
            let line = line(read(&path));
            assert!(line.contains("64 hexadecimal digits"), "{line}");
        }
        write(&path, &"0".repeat(64));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(line(read(&path)).contains("chmod 600"));
        assert!(line(read_or_create(&path, &mut SystemRng)).contains("chmod 600"));
        assert!(line(read(folder.path())).contains("not a regular file"));
    }

    #[test]
    fn a_failing_generator_leaves_no_file() {
        struct Dry;
        impl Rng for Dry {
            fn fill(&mut self, _: &mut [u8]) -> Result<(), RngError> {
                Err(RngError)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(line(create(&path, &mut Dry)).contains("random generator"));
        assert!(!path.exists());
    }

    #[test]
    fn racing_starts_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| read_or_create(&path, &mut SystemRng).unwrap().key_id()))
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| Some(id) == ids.first()), "{ids:?}");
    }
}
