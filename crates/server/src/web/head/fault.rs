//! What is wrong with a request that is not read, and what its sender is told.

use thiserror::Error;

use super::MOST_FIELDS;
use crate::web::browser::session_cookies_gone;

/// What is wrong with the framing of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum HeadFault {
    #[error("a line ends with LF alone")]
    BareLf,
    #[error("a CR without LF")]
    BareCr,
    #[error("a control character")]
    Control,
    #[error("a line starts with whitespace")]
    Folded,
    #[error("a header field has no name, or an invalid name")]
    Name,
    #[error("the first line is not method, target and version with one space between them")]
    RequestLine,
    #[error("the method CONNECT")]
    Connect,
    #[error("Content-Length more than once, or not a number")]
    Length,
    #[error("Transfer-Encoding other than chunked, more than once, or with HTTP/1.0")]
    Encoding,
    #[error("Content-Length together with Transfer-Encoding")]
    LengthAndEncoding,
    #[error("the request target contains a character that must be percent-encoded")]
    Target,
    #[error("the header section is larger than 64 KiB")]
    TooLong,
    #[error("more than {MOST_FIELDS} header fields")]
    TooMany,
    #[error("a chunk is not framed according to RFC 9112")]
    Chunk,
}

impl HeadFault {
    pub(super) const fn status(self) -> &'static str {
        match self {
            Self::TooLong | Self::TooMany => "431 Request Header Fields Too Large",
            _ => "400 Bad Request",
        }
    }

    /// Fields of the answer. A request that can't be read may be a launch: like every launch that is refused it leaves no
    /// chart open in the browser.
    pub(super) fn fields() -> String {
        session_cookies_gone().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).concat()
    }
}
