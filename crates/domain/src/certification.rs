//! Audit and certification reports of builds, and notices that a build no longer meets the requirements
//! (21 CFR 1311.300, 1311.302, 1311.102(d), (g)-(i)).

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{Date, Line, TextError};

/// Longest document of a report, in bytes: 4 MiB.
pub const MOST_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// Longest name of a report or an auditor, in characters.
pub const MOST_NAME_CHARS: usize = 80;
/// For how many years a report holds at most (21 CFR 1311.300(a)).
const MOST_YEARS: i16 = 2;

/// Why a report is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReportError {
    /// The ID that the auditor gave it is no line of text.
    #[error("the report's ID: {0}")]
    Name(TextError),
    /// The auditor's name is no line of text.
    #[error("the auditor: {0}")]
    Auditor(TextError),
    /// The kind is neither `audit` nor `certification`.
    #[error("the type must be `audit` or `certification`")]
    Kind,
    /// The days are in the wrong order.
    #[error("a report must expire after its issue date")]
    Order,
    /// The report would hold for more than two years.
    #[error("a report is valid for at most two years (21 CFR 1311.300(a))")]
    TooLong,
    /// The day of issue is in the future.
    #[error("the report is dated in the future")]
    Future,
    /// The last day of the report has passed.
    #[error("the report has already expired")]
    Expired,
    /// The document has no bytes.
    #[error("the file of the report is empty")]
    Empty,
    /// A document that is too large.
    #[error("the file of the report is larger than 4 MiB")]
    Large,
    /// Neither PDF nor text.
    #[error("the file of the report is neither a PDF nor plain text in UTF-8")]
    Format,
    /// Not the digest of a build.
    #[error("give a build as its SHA-256: 64 hexadecimal digits")]
    Build,
    /// The list of builds is empty.
    #[error("a report must cover at least one build")]
    NoBuild,
}

/// What kind of report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// A third-party audit (21 CFR 1311.300(a)-(d)).
    Audit,
    /// A certification by an organization that the DEA has approved (21 CFR 1311.300(e)).
    Certification,
}

impl ReportKind {
    /// Stable word for the row and the command.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Certification => "certification",
        }
    }

    /// The kind with its section of the CFR, for pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Audit => "Audit report (21 CFR 1311.300(a))",
            Self::Certification => "Certification report (21 CFR 1311.300(e))",
        }
    }
}

impl FromStr for ReportKind {
    type Err = ReportError;

    fn from_str(text: &str) -> Result<Self, ReportError> {
        [Self::Audit, Self::Certification]
            .into_iter()
            .find(|kind| kind.code() == text)
            .ok_or(ReportError::Kind)
    }
}

/// How the document of a report is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// A document that begins with `%PDF-`.
    Pdf,
    /// Plain text in UTF-8.
    Text,
}

impl ReportFormat {
    /// The format of a document, judged by its content.
    ///
    /// # Errors
    ///
    /// Where it is empty, longer than [`MOST_DOCUMENT_BYTES`], or neither PDF nor text.
    pub fn of(document: &[u8]) -> Result<Self, ReportError> {
        if document.is_empty() {
            return Err(ReportError::Empty);
        }
        if document.len() > MOST_DOCUMENT_BYTES {
            return Err(ReportError::Large);
        }
        if document.starts_with(b"%PDF-") {
            return Ok(Self::Pdf);
        }
        let text = std::str::from_utf8(document).map_err(|_| ReportError::Format)?;
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
        if text.contains(control) { Err(ReportError::Format) } else { Ok(Self::Text) }
    }

    /// Media type (RFC 6838) under which the document is stored and served.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// The end of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Text => "txt",
        }
    }

    /// The format with that media type.
    pub fn from_media_type(text: &str) -> Option<Self> {
        [Self::Pdf, Self::Text].into_iter().find(|format| format.media_type() == text)
    }
}

/// The facts that a report states about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFacts {
    /// The ID that its auditor gave it; a release manifest names it.
    pub name: String,
    /// Whether it is an audit report or a certification report.
    pub kind: ReportKind,
    /// Name of the person or organization that audited or certified.
    pub auditor: String,
    /// The day on which it was issued.
    pub issued: Date,
    /// The last day on which it holds; it is counted in the time zone of each practice.
    pub expires: Date,
}

impl ReportFacts {
    /// Whether it can be entered on a day.
    ///
    /// # Errors
    ///
    /// The first fact that is wrong.
    pub fn check(&self, today: Date) -> Result<(), ReportError> {
        let line = |text: &str| text.parse::<Line<MOST_NAME_CHARS>>().map(drop);
        line(&self.name).map_err(ReportError::Name)?;
        line(&self.auditor).map_err(ReportError::Auditor)?;
        if self.issued > today {
            Err(ReportError::Future)
        } else if self.expires <= self.issued {
            Err(ReportError::Order)
        } else if self.expires > self.issued.plus_years(MOST_YEARS) {
            Err(ReportError::TooLong)
        } else if self.expires < today {
            Err(ReportError::Expired)
        } else {
            Ok(())
        }
    }

    /// Whether it holds on a day.
    pub fn holds(&self, today: Date) -> bool {
        self.issued <= today && today <= self.expires
    }
}

/// A build, by the SHA-256 of its binary in lower-case hexadecimal; one that no manifest lists, by its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(String);

impl BuildId {
    /// A build that no release manifest lists.
    pub fn unlisted(version: Version) -> Self {
        Self(format!("unlisted {version}"))
    }

    /// The text of the row.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a row has it.
    pub fn from_row(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for BuildId {
    type Err = ReportError;

    fn from_str(text: &str) -> Result<Self, ReportError> {
        let text = text.trim().to_ascii_lowercase();
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text))
        } else {
            Err(ReportError::Build)
        }
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A version of the program: three numbers with dots between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u32; 3]);

/// The text is not three numbers with dots between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a version is three numbers separated by dots, such as 1.4.0")]
pub struct VersionError;

impl Version {
    /// A version of its three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self([major, minor, patch])
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut numbers = text.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| digits).ok_or(VersionError)
        });
        let mut next = || numbers.next().unwrap_or(Err(VersionError));
        let version = Self([next()?, next()?, next()?]);
        if numbers.next().is_some() { Err(VersionError) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// How far a notice of non-compliance reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeScope {
    /// All builds up to and including this version are concerned.
    pub through: Version,
    /// `true` until the notice has ended.
    pub open: bool,
}

/// The build that runs, as far as certification goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningBuild {
    /// Version of the running build, as its package manifest has it.
    pub version: Version,
    /// SHA-256 of the running binary.
    pub id: BuildId,
    /// A signed release manifest lists it, and names this report; none where no manifest lists it.
    pub listed: Option<String>,
}

impl RunningBuild {
    /// Whether a notice of non-compliance keeps this build from signing. A build up to its version stays stopped for
    /// good. A newer one that a release manifest lists is free of it: that manifest is the word that the program is
    /// compliant again, and running that build is the update (21 CFR 1311.102(i), 1311.302(b)). A newer one that no
    /// manifest lists is free once the notice has ended, because a listed build ran or the operator recorded who has
    /// given that word.
    pub fn is_stopped_by(&self, notice: NoticeScope) -> bool {
        self.version <= notice.through || (notice.open && self.listed.is_none())
    }
}

#[cfg(test)]
mod tests;
