//! The two keys of the VIP Access protocol, in files of mode 0600. They are no configuration values,
//! so that none stands in a file that is shown around.

use std::path::Path;

use anyhow::{Context as _, bail};
#[cfg(any(test, feature = "demo"))]
use countersign_crypto::Rng;
use countersign_crypto::SecretText;
use countersign_provision::vip::VipKeys;
#[cfg(any(test, feature = "demo"))]
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// Longest file that is read: 64 digits and some white space.
const MOST_BYTES: usize = 256;

/// Reads both keys.
pub(crate) fn read(hmac: &Path, token: &Path) -> anyhow::Result<VipKeys> {
    let hmac_key = digits(hmac, "vip.hmac_key_file", 64)?;
    let token_key = digits(token, "vip.token_key_file", 32)?;
    VipKeys::from_hex(hmac_key.expose(), token_key.expose()).with_context(|| {
        format!(
            "{} and {}: create them with `openssl rand -hex 32` and `openssl rand -hex 16`",
            hmac.display(),
            token.display()
        )
    })
}

/// Reads both keys, or makes both where neither is there.
#[cfg(any(test, feature = "demo"))]
pub(crate) fn read_or_create(
    hmac: &Path,
    token: &Path,
    rng: &mut dyn Rng,
) -> anyhow::Result<VipKeys> {
    if !hmac.exists() && !token.exists() {
        let keys = VipKeys::random(rng)?;
        for (path, key) in [(hmac, keys.hmac_hex()), (token, keys.token_hex())] {
            let line = Zeroizing::new(format!("{}\n", key.expose()));
            private_file::create(path, line.as_bytes())?;
        }
    }
    read(hmac, token)
}

/// The key in a file, which stands in `setting`: so many hexadecimal digits.
fn digits(path: &Path, setting: &'static str, count: usize) -> anyhow::Result<SecretText> {
    let bytes = match private_file::read(path, MOST_BYTES) {
        Err(PrivateFileError::Missing(path)) => bail!(
            "{setting}: the key file {} is missing: create it as described in docs/operations.md, or set vip.enabled = false",
            path.display()
        ),
        other => other.context(setting)?,
    };
    let text = std::str::from_utf8(bytes.expose().trim_ascii()).unwrap_or("");
    if text.len() != count || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!(
            "{setting}: {} does not contain {count} hexadecimal digits: create it with `openssl rand -hex {}`",
            path.display(),
            count / 2
        );
    }
    Ok(SecretText::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (hmac, token) = (folder.path().join("h.key"), folder.path().join("t.key"));
        let made = read_or_create(&hmac, &token, &mut SystemRng).unwrap();
        let again = read_or_create(&hmac, &token, &mut SystemRng).unwrap();
        assert_eq!(made.hmac_hex().expose(), again.hmac_hex().expose());
        assert_eq!(made.token_hex().expose(), again.token_hex().expose());
        for (path, length) in [(&hmac, 65), (&token, 33)] {
            assert_eq!(fs::read(path).unwrap().len(), length);
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
    }

    #[test]
    fn faults_say_what_to_do_and_show_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let (hmac, token) = (folder.path().join("h.key"), folder.path().join("t.key"));
        let line = |result: anyhow::Result<VipKeys>| format!("{:#}", result.err().unwrap());
        assert!(line(read(&hmac, &token)).contains("vip.enabled = false"));
        read_or_create(&hmac, &token, &mut SystemRng).unwrap();
        fs::remove_file(&token).unwrap();
        let half = line(read_or_create(&hmac, &token, &mut SystemRng));
        assert!(half.contains("t.key is missing"), "{half}");
        let wrong = line(read(&hmac, &hmac));
        assert!(wrong.contains("openssl rand -hex 16"), "{wrong}");
        assert!(!wrong.contains(fs::read_to_string(&hmac).unwrap().trim()));
        fs::set_permissions(&hmac, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(line(read(&hmac, &hmac)).contains("chmod 600"));
    }
}
