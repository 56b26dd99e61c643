//! Small files that only their owner may read: the master key, the seeds of terminal tokens.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use countersign_crypto::{SecretBytes, SystemRng, random_array};
use data_encoding::HEXLOWER;
use thiserror::Error;

/// Why a private file can't be read or made; each text says what to do.
#[derive(Debug, Error)]
pub(crate) enum PrivateFileError {
    /// Nothing has this path.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// Something is there already, and nothing is ever written over.
    #[error("{} already exists and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// A folder, a device or the like.
    #[error("{} is not a regular file: give the path of a file", .0.display())]
    NotAFile(PathBuf),
    /// The group or everybody may read or write it.
    #[error("{0} is open to other accounts (mode {1:04o}): run `chmod 600 {0}`", .path.display(), .mode)]
    Exposed {
        /// The file, as its path was given.
        path: PathBuf,
        /// Its permission bits, without those of its kind.
        mode: u32,
    },
    /// More than the expected few bytes.
    #[error("{} is too large to be the right file: check the path", .0.display())]
    TooLarge(PathBuf),
    /// The system refused.
    #[error("{}", explain(.path, .source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a failed file operation means, in one line that says what to do.
pub(crate) fn explain(path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "run as the account that owns it, or change its owner or mode"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on this disk",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or choose another folder",
        io::ErrorKind::NotFound => "create the folder, or correct the path",
        io::ErrorKind::NotADirectory => "part of this path is a file: correct the path",
        _ => "check the path and the disk",
    };
    format!("{}: {error}; {advice}", path.display())
}

/// Reads a file that only its owner may open, of at most `limit` bytes. Symbolic links are followed.
pub(crate) fn read(path: &Path, limit: usize) -> Result<SecretBytes, PrivateFileError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => PrivateFileError::Missing(path.to_owned()),
        _ => PrivateFileError::Io { path: path.to_owned(), source },
    };
    // Asked before opening, since opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(PrivateFileError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode });
    }
    // The capacity is given so that no half of a secret stays behind in an outgrown buffer.
    let mut bytes = Vec::with_capacity(limit + 1);
    let read = file.take(limit as u64 + 1).read_to_end(&mut bytes);
    let bytes = SecretBytes::new(bytes);
    read.map_err(io)?;
    if bytes.len() > limit {
        return Err(PrivateFileError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// Makes a folder, and those above it that are missing, that only its owner may enter.
pub(crate) fn create_folder(path: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| PrivateFileError::Io { path: path.to_owned(), source })
}

/// Writes a new file of mode 0600, all or nothing: bytes are on the disk before the name appears,
/// and a name that exists is never replaced.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => PrivateFileError::Exists(path.to_owned()),
        _ => PrivateFileError::Io { path: path.to_owned(), source },
    };
    if path.symlink_metadata().is_ok() {
        return Err(PrivateFileError::Exists(path.to_owned()));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let tag: [u8; 8] =
        random_array(&mut SystemRng).map_err(|error| io(io::Error::other(error.to_string())))?;
    let draft = folder.join(format!(".{}.tmp", HEXLOWER.encode(&tag)));
    let written = write_draft(&draft, bytes).and_then(|()| {
        // A link, unlike a rename, fails where the name has been taken meanwhile.
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    written.map_err(io)?;
    removed.map_err(io)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_is_private_complete_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/secret");
        create_folder(path.parent().unwrap()).unwrap();
        create(&path, b"first").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(create(&path, b"second"), Err(PrivateFileError::Exists(_))));
        assert_eq!(read(&path, 5).unwrap().expose(), b"first");
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "no draft stays behind");
    }

    #[test]
    fn racing_creators_make_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8u8)
                .map(|n| {
                    let path = &path;
                    scope.spawn(move || usize::from(create(path, &[n; 32]).is_ok()))
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(made, 1);
        assert_eq!(read(&path, 32).unwrap().len(), 32);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_others_can_open_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"bytes").unwrap();
        for open in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let line = read(&path, 5).unwrap_err().to_string();
            assert!(line.contains(&format!("mode {open:04o}")), "{line}");
            assert!(line.contains(&format!("chmod 600 {}", path.display())), "{line}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read(&link, 5).unwrap().expose(), b"bytes");
        assert!(matches!(create(&link, b"x"), Err(PrivateFileError::Exists(_))));
        assert!(matches!(read(&path, 4), Err(PrivateFileError::TooLarge(_))));
        assert!(matches!(read(folder.path(), 4), Err(PrivateFileError::NotAFile(_))));
        assert!(matches!(read(&folder.path().join("no"), 4), Err(PrivateFileError::Missing(_))));
    }

    #[test]
    fn a_missing_folder_is_named_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let line = create(&folder.path().join("no/secret"), b"x").unwrap_err().to_string();
        assert!(line.contains("no/secret") && line.contains("create the folder"), "{line}");
        assert!(!line.contains('\n'));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let full = explain(Path::new("d"), &io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.contains("free some space"), "{full}");
    }
}
