use thiserror::Error;

/// The validated line of the module: AWS-LC FIPS 3.x (see `docs/fips.md`).
pub const EXPECTED_MODULE_MAJOR: u32 = 3;

/// Why the module can't be used. The server refuses to start on any of these.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FipsError {
    /// The library was built or started outside FIPS mode.
    #[error("the cryptographic library does not run in FIPS mode: {0}")]
    NotInFipsMode(String),
    /// The module reports another major version than the certified line.
    #[error(
        "the FIPS module reports version {0}, not the certified line {EXPECTED_MODULE_MAJOR}.x"
    )]
    WrongVersion(String),
}

/// What the module says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FipsStatus {
    /// Version text of the library, such as `AWS-LC FIPS 3.6.0`.
    pub library: String,
    /// Version number of the module's services, where it reports one.
    pub module: Option<u32>,
}

/// Asks the module for its mode and version; fails outside FIPS mode.
pub fn fips_status() -> Result<FipsStatus, FipsError> {
    aws_lc_rs::try_fips_mode().map_err(|why| FipsError::NotInFipsMode(why.to_owned()))?;
    let library = aws_lc_rs::awslc_version().to_owned();
    if !library_is_expected(&library) {
        return Err(FipsError::WrongVersion(library));
    }
    Ok(FipsStatus { library, module: aws_lc_rs::fips_version() })
}

fn library_is_expected(version: &str) -> bool {
    version
        .rsplit(|c: char| c.is_whitespace() || c == '-' || c == 'v')
        .find_map(|word| word.split_once('.'))
        .and_then(|(major, _)| major.parse::<u32>().ok())
        == Some(EXPECTED_MODULE_MAJOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows: R-1311.120-b16i
    #[test]
    fn the_module_in_this_build_is_the_certified_line() {
        let status = fips_status().unwrap();
        assert!(library_is_expected(&status.library), "{status:?}");
    }

    #[test]
    fn another_line_is_refused() {
        assert!(library_is_expected("AWS-LC FIPS 3.6.0"));
        assert!(!library_is_expected("AWS-LC FIPS 4.0.0"));
        assert!(!library_is_expected("AWS-LC"));
    }
}
