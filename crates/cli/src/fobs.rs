//! A delivery of fobs: the file that `countersign admin import-fobs` reads.

use std::path::Path;

use anyhow::{Context as _, bail};
use countersign_app::NewFob;
use countersign_crypto::{HmacAlgorithm, SecretBytes};
use countersign_domain::{
    CredentialId, Date, Manufacturer, TimeZone, TokenKind,
    otp::{OtpParams, TokenSeed},
};
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::private_file;

/// The first line of the file.
const HEAD: &str = "serial,secret,algorithm,digits,period,last_day";
/// Longest file, in bytes: about 20,000 fobs.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Reads a delivery. A fault names its line and never what stands there: it holds secrets.
pub(crate) fn read(path: &Path, maker: Option<Manufacturer>) -> anyhow::Result<Vec<NewFob>> {
    let bytes = private_file::read(path, MOST_BYTES)?;
    let text = std::str::from_utf8(bytes.expose()).context("the file is not text")?;
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some(HEAD) {
        bail!("the first line must be {HEAD}");
    }
    let mut fobs: Vec<NewFob> = Vec::new();
    for (at, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fob = fob(line, maker).with_context(|| format!("line {}", at + 2))?;
        if fobs.iter().any(|other| other.credential == fob.credential) {
            bail!("line {}: this serial number stands in the file twice", at + 2);
        }
        fobs.push(fob);
    }
    if fobs.is_empty() {
        bail!("the file names no fob");
    }
    Ok(fobs)
}

fn fob(line: &str, maker: Option<Manufacturer>) -> anyhow::Result<NewFob> {
    let parts: Vec<&str> = line.split(',').map(str::trim).collect();
    let [serial, secret, algorithm, digits, period, last_day] = parts[..] else {
        bail!("six values are needed");
    };
    let credential = CredentialId::parse(serial, maker).context("serial")?;
    if credential.kind() != TokenKind::OtpHard {
        bail!("serial: this is the ID of an app, and no fob's");
    }
    let algorithm = match algorithm.to_ascii_lowercase().replace('-', "").as_str() {
        "sha1" => HmacAlgorithm::Sha1,
        "sha256" => HmacAlgorithm::Sha256,
        "sha512" => HmacAlgorithm::Sha512,
        _ => bail!("algorithm: sha1, sha256 or sha512"),
    };
    let Ok(seed) = HEXLOWER_PERMISSIVE.decode(secret.as_bytes()) else {
        bail!("secret: hexadecimal digits");
    };
    let Ok(seed) = TokenSeed::new(SecretBytes::new(seed)) else {
        bail!("secret: at least 128 bits are needed (RFC 4226, 4)");
    };
    let (Ok(digits), Ok(period)) = (digits.parse(), period.parse()) else {
        bail!("digits and period are numbers");
    };
    let Ok(params) = OtpParams::new(algorithm, digits, period) else {
        bail!("6 to 8 digits and a period of at most 120 seconds");
    };
    let last_day: Date = last_day.parse().context("last_day")?;
    let zone: TimeZone = "Etc/UTC".parse().context("the time zone of days")?;
    Ok(NewFob { credential, params, seed, ends: last_day.end(&zone) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "AVT123456789,000102030405060708090a0b0c0d0e0f10111213,sha1,6,30,2031-05-31";

    #[test]
    fn a_line_is_read_or_says_what_is_wrong_and_never_the_secret() {
        let it = fob(GOOD, None).unwrap();
        assert_eq!(it.credential.as_str(), "AVT123456789");
        assert_eq!((it.params.digits(), it.params.period()), (6, 30));
        for (from, to, why) in [
            ("AVT123456789", "AVT12", "serial"),
            ("AVT123456789", "SYMC12345678", "an app"),
            ("AVT123456789", "123456789", "serial"),
            ("0001020304", "zz01020304", "hexadecimal"),
            ("000102030405060708090a0b0c0d0e0f10111213", "0001", "128 bits"),
            ("sha1", "md5", "sha1, sha256"),
            (",6,", ",9,", "6 to 8 digits"),
            (",30,", ",600,", "120 seconds"),
            ("2031-05-31", "soon", "last_day"),
            (",2031-05-31", "", "six values"),
        ] {
            let line = GOOD.replace(from, to);
            let Err(error) = fob(&line, None) else { panic!("{to} was taken") };
            let said = format!("{error:#}");
            assert!(said.contains(why), "{to}: {said}");
            assert!(!said.contains("000102030405"), "{said}");
        }
    }
}
