//! Strict reading of what frames a request (RFC 9112, sections 2, 5 and 6).
//!
//! hyper takes some heads that a proxy may read in another way: a line that ends with LF alone, two equal
//! lengths. Where two readers disagree on where a request ends, one client can put words into the mouth of
//! another (request smuggling). So every byte passes here first, and what is ambiguous is answered with 400.

mod fault;

use std::{
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Duration, Instant, Sleep, sleep_until},
};

use self::fault::HeadFault;

/// Most bytes of a head.
const HEAD_MAX: usize = 64 * 1024;
/// Most bytes of the line before a chunk.
const CHUNK_LINE_MAX: usize = 1_024;
/// Most fields of a head.
pub(crate) const MOST_FIELDS: usize = 64;
/// The longest body that a head can announce: what hyper counts with has a sign.
const LENGTH_MAX: u64 = i64::MAX as u64;
/// The end of a head.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// Seconds for a client to read our answer and to close, while what it still sends is thrown away.
const CLOSING_SECONDS: u64 = 5;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The first line, before which one empty line is skipped (RFC 9112, 2.2).
    Request {
        skipped: bool,
    },
    Field,
    Body {
        left: u64,
    },
    ChunkSize,
    Chunk {
        left: u64,
    },
    /// The line end behind a chunk.
    ChunkEnd,
    Trailer,
}

/// Follows requests byte by byte.
#[derive(Debug)]
struct Framing {
    part: Part,
    line: Vec<u8>,
    head_bytes: usize,
    fields: usize,
    http10: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn new() -> Self {
        Self {
            part: Part::Request { skipped: false },
            line: Vec::new(),
            head_bytes: 0,
            fields: 0,
            http10: false,
            length: None,
            chunked: false,
        }
    }

    /// Reads on. At a fault: how many of these bytes are good, and what is wrong with the next.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), (usize, HeadFault)> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match &mut self.part {
                Part::Body { left } | Part::Chunk { left } => {
                    let here = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= here as u64;
                    at += here;
                    if *left == 0 {
                        self.part = match self.part {
                            Part::Chunk { .. } => Part::ChunkEnd,
                            _ => Part::Request { skipped: false },
                        };
                    }
                }
                _ => {
                    let Some(byte) = rest.first() else { break };
                    self.byte(*byte).map_err(|fault| (at, fault))?;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    fn in_head(&self) -> bool {
        matches!(self.part, Part::Request { .. } | Part::Field)
    }

    /// A byte of a line.
    fn byte(&mut self, byte: u8) -> Result<(), HeadFault> {
        let after_cr = self.line.last() == Some(&b'\r');
        match byte {
            b'\n' if after_cr => {
                self.line.pop();
                let line = std::mem::take(&mut self.line);
                self.end_of_line(&line)?;
                // The room is kept for the next line.
                self.line = line;
                self.line.clear();
                return Ok(());
            }
            b'\n' => return Err(HeadFault::BareLf),
            _ if after_cr => return Err(HeadFault::BareCr),
            0..=0x1f | 0x7f if !matches!(byte, b'\r' | b'\t') => return Err(HeadFault::Control),
            _ => {}
        }
        self.head_bytes += 1;
        let most = if self.in_head() { HEAD_MAX } else { CHUNK_LINE_MAX };
        if self.head_bytes > most {
            return Err(if self.in_head() { HeadFault::TooLong } else { HeadFault::Chunk });
        }
        self.line.push(byte);
        Ok(())
    }

    fn end_of_line(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        match self.part {
            Part::Request { skipped: false } if line.is_empty() => {
                self.part = Part::Request { skipped: true };
            }
            Part::Request { .. } => {
                self.request_line(line)?;
                self.part = Part::Field;
            }
            Part::Field if line.is_empty() => self.end_of_head(),
            Part::Field => self.field(line)?,
            Part::ChunkSize => {
                self.head_bytes = 0;
                self.part = match chunk_size(line).ok_or(HeadFault::Chunk)? {
                    0 => Part::Trailer,
                    left => Part::Chunk { left },
                };
            }
            Part::ChunkEnd if line.is_empty() => {
                self.head_bytes = 0;
                self.part = Part::ChunkSize;
            }
            Part::ChunkEnd => return Err(HeadFault::Chunk),
            Part::Trailer if line.is_empty() => {
                self.head_bytes = 0;
                self.part = Part::Request { skipped: false };
            }
            Part::Trailer => {
                let (name, _) = name_and_value(line)?;
                if is(name, "content-length") || is(name, "transfer-encoding") {
                    return Err(HeadFault::Chunk);
                }
            }
            Part::Body { .. } | Part::Chunk { .. } => {}
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HeadFault::RequestLine);
        };
        let is_target = !target.is_empty() && !target.contains(&b'\t');
        if !is_token(method) || !is_target {
            return Err(HeadFault::RequestLine);
        }
        if method == b"CONNECT" {
            return Err(HeadFault::Connect);
        }
        // hyper refuses these itself, with an answer that has neither text nor cookies.
        if http::Uri::try_from(target).is_err() {
            return Err(HeadFault::Target);
        }
        self.fields = 0;
        (self.http10, self.length, self.chunked) = (version == b"HTTP/1.0", None, false);
        if !self.http10 && version != b"HTTP/1.1" {
            return Err(HeadFault::RequestLine);
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        let (name, value) = name_and_value(line)?;
        self.fields += 1;
        if self.fields > MOST_FIELDS {
            return Err(HeadFault::TooMany);
        }
        if is(name, "content-length") {
            let length = decimal(value).filter(|length| *length <= LENGTH_MAX);
            let length = length.ok_or(HeadFault::Length)?;
            if self.length.replace(length).is_some() {
                return Err(HeadFault::Length);
            }
        }
        if is(name, "transfer-encoding") {
            if self.chunked || self.http10 || !is(value, "chunked") {
                return Err(HeadFault::Encoding);
            }
            self.chunked = true;
        }
        if self.chunked && self.length.is_some() {
            return Err(HeadFault::LengthAndEncoding);
        }
        Ok(())
    }

    fn end_of_head(&mut self) {
        self.head_bytes = 0;
        self.part = match (self.chunked, self.length) {
            (true, _) => Part::ChunkSize,
            (false, None | Some(0)) => Part::Request { skipped: false },
            (false, Some(left)) => Part::Body { left },
        };
    }
}

/// Whether an answer begins with a status of the client's faults. hyper writes the version of the request before.
fn is_refusal(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 4") || bytes.starts_with(b"HTTP/1.0 4")
}

fn is(text: &[u8], name: &str) -> bool {
    text.eq_ignore_ascii_case(name.as_bytes())
}

/// A token (RFC 9110, 5.6.2).
fn is_token(text: &[u8]) -> bool {
    let in_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(in_token)
}

fn name_and_value(line: &[u8]) -> Result<(&[u8], &[u8]), HeadFault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(HeadFault::Folded);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadFault::Name)?;
    let (name, value) = line.split_at_checked(colon).ok_or(HeadFault::Name)?;
    if !is_token(name) {
        return Err(HeadFault::Name);
    }
    Ok((name, value.get(1..).unwrap_or_default().trim_ascii()))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = Some(digits).filter(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The size of a chunk, whose extensions are skipped (RFC 9112, 7.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
    let digits = line.get(..end)?;
    let fits = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    if !fits {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A connection whose requests are read strictly. At a fault hyper sees a byte that no head may hold and gives
/// up; the client gets our answer in place of hyper's empty one.
pub(crate) struct Strict<S> {
    inner: S,
    framing: Framing,
    fault: Option<HeadFault>,
    /// The end of a head was given to hyper after a fault: it looks at a head that came in pieces only once it ends.
    ended: bool,
    /// What is left of our answer; none before it is begun.
    answer: Option<Vec<u8>>,
    /// Once our answer is written and the sending side closed: until when the rest is read and thrown away.
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S> Strict<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            framing: Framing::new(),
            fault: None,
            ended: false,
            answer: None,
            closing: None,
        }
    }
}

/// The whole answer of a listener, which has no page at hand.
pub(crate) fn plain_answer(status: &str, more: &str, text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if let Some(fault) = this.fault {
            // Nothing more is read: what follows has no beginning that is certain.
            if !this.framing.in_head() {
                return Poll::Ready(Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    fault,
                )));
            }
            if !this.ended && buffer.remaining() >= END_OF_HEAD.len() {
                buffer.put_slice(END_OF_HEAD);
                this.ended = true;
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if let Err((good, fault)) = this.framing.feed(new) {
            this.fault = Some(fault);
            tracing::warn!(%fault, "a request was rejected because of its framing");
            buffer.set_filled(before + good);
            if this.framing.in_head() {
                // There is room: the byte at fault was here.
                buffer.put_slice(b"\0");
            } else if good == 0 {
                return Poll::Ready(Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    fault,
                )));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Strict<S> {
    /// Writes our answer in place of hyper's; hyper is told that its own was written.
    fn write_answer(
        &mut self,
        cx: &mut Context<'_>,
        theirs: usize,
    ) -> Option<Poll<std::io::Result<usize>>> {
        let fault = self.fault?;
        let left = self.answer.get_or_insert_with(|| {
            let text = format!("This request can't be read: {fault}.\n");
            plain_answer(fault.status(), &HeadFault::fields(), &text)
        });
        while !left.is_empty() {
            match Pin::new(&mut self.inner).poll_write(cx, left) {
                Poll::Ready(Ok(0)) => {
                    return Some(Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(written)) => drop(left.drain(..written.min(left.len()))),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        Some(Poll::Ready(Ok(theirs)))
    }

    /// Whether what hyper writes now is its own answer to a head that it could not read, which has no body: the
    /// answer to an earlier request of the connection may come first.
    fn is_their_refusal(&self, bytes: &[u8]) -> bool {
        let has_content = || bytes.windows(13).any(|part| is(part, "content-type:"));
        self.fault.is_some()
            && (self.answer.is_some()
                || (self.framing.in_head() && is_refusal(bytes) && !has_content()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        if this.is_their_refusal(bytes)
            && let Some(answered) = this.write_answer(cx, bytes.len())
        {
            return answered;
        }
        Pin::new(&mut this.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let first = slices.iter().find(|slice| !slice.is_empty());
        if first.is_some_and(|slice| this.is_their_refusal(slice)) {
            let theirs = slices.iter().map(|slice| slice.len()).sum();
            if let Some(answered) = this.write_answer(cx, theirs) {
                return answered;
            }
        }
        Pin::new(&mut this.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    /// What was not read when a socket is closed can take the answer back before the client has it (RFC 9112, 9.6):
    /// after a fault the rest is read until the client closes.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            if this.fault.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
        let closing = this.closing.get_or_insert_with(|| {
            Box::pin(sleep_until(Instant::now() + Duration::from_secs(CLOSING_SECONDS)))
        });
        let mut rest = [0; 4_096];
        while closing.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut rest);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
