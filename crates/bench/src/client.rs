//! HTTP/1.1 as thin as it can be on a kept connection, so that the client costs the machine little.
//!
//! One request is under way at a time, and an answer says its length; that is all a server of ours
//! does, and anything else is an error here.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Most bytes of an answer; a page is far smaller.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const FIRST_BYTES: usize = 4 * 1024;

/// An HTTP/1.1 connection that is used for many requests.
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

/// An answer; it lives in the buffer of its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    /// HTTP status code.
    pub(crate) status: u16,
    /// Status line and header lines, with the blank line.
    pub(crate) head: &'a [u8],
    /// The body, without the blank line before it.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Opens a TCP connection without Nagle's delay.
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: vec![0; FIRST_BYTES] })
    }

    /// Sends one whole request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await.context("sending a request")?;
        let mut filled = 0;
        let shape = loop {
            if filled == self.input.len() {
                ensure!(filled < ANSWER_BYTES_MAX, "an answer is too long");
                self.input.resize(filled * 2, 0);
            }
            let room = self.input.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(room).await.context("reading an answer")?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            if let Some(shape) = Shape::of(self.input.get(..filled).unwrap_or_default())?
                && filled >= shape.total()
            {
                break shape;
            }
        };
        ensure!(filled == shape.total(), "the server sent more than one answer");
        let (head, body) = self
            .input
            .get(..filled)
            .and_then(|bytes| bytes.split_at_checked(shape.head))
            .context("an answer without a head")?;
        Ok(Answer { status: shape.status, head, body })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    status: u16,
    head: usize,
    body: usize,
}

impl Shape {
    const fn total(self) -> usize {
        self.head.saturating_add(self.body)
    }

    /// Reads the head of an answer; `None` while it is not complete.
    fn of(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = bytes.get(..end).unwrap_or_default();
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = lines
            .next()
            .filter(|line| line.starts_with(b"HTTP/1.1 "))
            .and_then(|line| number(line.get(9..12)?))
            .and_then(|status| u16::try_from(status).ok())
            .context("an answer that is not HTTP/1.1")?;
        let mut body = None;
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            if name.eq_ignore_ascii_case(b"content-length") {
                body = number(value.get(1..).unwrap_or_default().trim_ascii());
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                bail!("an answer in chunks, which this client does not read");
            }
        }
        let body = body.context("an answer that does not say its length")?;
        Ok(Some(Self { status, head: end + 4, body }))
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let answer = b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 17\r\n\r\n{\"verified\":true}";
        for length in 0..answer.len() - 17 {
            assert_eq!(Shape::of(&answer[..length]).unwrap(), None, "{length}");
        }
        let shape = Shape::of(answer).unwrap().unwrap();
        assert_eq!(shape, Shape { status: 200, head: answer.len() - 17, body: 17 });
        assert_eq!(shape.total(), answer.len());
    }

    #[test]
    fn what_we_do_not_speak_is_an_error() {
        for head in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 abc\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        ] {
            assert!(Shape::of(head.as_bytes()).is_err(), "{head}");
        }
    }

    #[tokio::test]
    async fn answers_in_pieces_and_long_ones_are_put_together() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let long = "x".repeat(20_000);
        let sent = long.clone();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            for piece in ["HTTP/1.1 422 No\r\nconte", "nt-length: 3\r\n", "\r\na", "bc"] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            stream.read_exact(&mut request).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{sent}", sent.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.exchange(b"ping").await.unwrap();
        assert_eq!((answer.status, answer.body), (422, b"abc".as_slice()));
        assert!(answer.head.ends_with(b"\r\n\r\n"));
        let answer = connection.exchange(b"ping").await.unwrap();
        assert_eq!((answer.status, answer.body), (200, long.as_bytes()));
        server.await.unwrap();
        assert!(connection.exchange(b"ping").await.is_err());
    }
}
